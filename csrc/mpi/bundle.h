/* The fields of a plan, which are of one or of several kinds, and what of all of them goes to a rank together: a copy for each kind; in a buffer, one field
 * after the other, each without gaps. */
#ifndef MST_MPI_BUNDLE_H
#define MST_MPI_BUNDLE_H

#include "array/copy.h"

typedef struct mst_mpi_fields {
    size_t count;         /* most that a use moves */
    int nkinds;
    maestro_field_t *kind;
    int *kind_of;         /* each field */
    size_t *packed_at;    /* bytes of an element's fields before each, in a buffer; [count]: of all */
} mst_mpi_fields_t;

/* `given` NULL: all are as `element` says.  The caller ends them with _fini, also after an error.  Errors: INVALID_ARGUMENT, SYSTEM. */
maestro_status_t mst_mpi_fields_init(size_t count, maestro_element_t element, const maestro_field_t *given, mst_mpi_fields_t *fields_out);
void mst_mpi_fields_fini(mst_mpi_fields_t *fields);
uint64_t mst_mpi_fields_hash(const mst_mpi_fields_t *fields);
/* Whether values change on their way. */
bool mst_mpi_fields_convert(const mst_mpi_fields_t *fields);

/* The copies of moves with one rank, one for each kind: `copy_out` has room for them and is NULL where there are no moves.  `whole` elements of a field are
 * moved at a time all in all.  The caller ends them, also after an error. */
maestro_status_t mst_mpi_copies_make(const mst_mpi_fields_t *fields, const mst_array_moves_t *moves, mst_array_way_t way, int64_t whole,
                                     mst_array_copy_t **copy_out);
void mst_mpi_copies_end(const mst_mpi_fields_t *fields, mst_array_copy_t **copy); /* NULL is allowed */

/* Bytes in a buffer of the first `nfields` fields of a bundle of `count` elements: where the next one begins. */
static inline size_t mst_mpi_packed_nbytes(const mst_mpi_fields_t *fields, int64_t count, size_t nfields) { return (size_t)count * fields->packed_at[nfields]; }

#endif
