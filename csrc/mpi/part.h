/* What of a field of one kind goes to a rank of the node, or comes from one: long lines, which are worth reading where they lie, and short ones. */
#ifndef MST_MPI_PART_H
#define MST_MPI_PART_H

#include "array/copy.h"

typedef struct mst_mpi_part {
    size_t long_nbytes; /* of long lines in a room, where they come first */
    mst_array_copy_t *direct, *long_lines, *short_lines; /* NULL: there are none; the latter two pack, or unpack */
} mst_mpi_part_t;

/* `part` is all zero; the source has no direct copies.  `whole` elements of a field are moved at a time all in all.  The caller ends it with _fini, also
 * after an error.  Errors: INVALID_ARGUMENT, SYSTEM. */
maestro_status_t mst_mpi_part_init(const mst_array_moves_t *moves, bool sent, const maestro_field_t *kind, int64_t whole, mst_mpi_part_t *part);
void mst_mpi_part_fini(mst_mpi_part_t *part);

#endif
