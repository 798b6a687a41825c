/* The directory of parts that only their ranks know.  The global array is cut into contiguous stretches of its row-major numbers, one of each rank; what a rank
 * has of a stretch it tells the stretch's rank, which finds out who meets whom there, and tells both. */
#ifndef MST_MPI_DIRECTORY_H
#define MST_MPI_DIRECTORY_H

#include "mpi/match.h"

/* What a rank has of a stretch. */
typedef struct mst_mpi_entry {
    int rank;
    const maestro_layout_t *layout; /* points to own, or is a side's */
    int64_t part;
    maestro_layout_t own;
} mst_mpi_entry_t;

typedef struct mst_mpi_entries {
    int64_t nentries;
    size_t capacity;
    mst_mpi_entry_t *entry;
} mst_mpi_entries_t;

/* entries.c.  One layout whose parts are the stretches; fewer than ranks where the array is small. */
maestro_status_t mst_mpi_stretches(const mst_mpi_comm_t *comm, const maestro_layout_t *of, maestro_layout_t **stretches_out);
/* Collective: what all ranks have of this rank's stretch.  The caller ends the entries, also after an error. */
maestro_status_t mst_mpi_entries_collect(const mst_mpi_comm_t *comm, const mst_mpi_side_t side[MST_MPI_SIDES], const mst_mpi_holders_t *holders,
                                         const maestro_layout_t *stretches,
                                         mst_mpi_entries_t entries_out[MST_MPI_SIDES]);
void mst_mpi_entries_fini(mst_mpi_entries_t *entries);

/* meet.c: pairs of entries, one of each side, that meet. */
typedef struct mst_mpi_pair {
    int64_t from, to; /* which entries */
} mst_mpi_pair_t;

typedef struct mst_mpi_meeting {
    int64_t npairs;
    mst_mpi_pair_t *pair;
    int64_t order; /* of an error: the element's row-major number, or -1 */
} mst_mpi_meeting_t;

/* Errors: DUPLICATE (of a halo: among what is owned), NOT_FOUND (unless the option partial allows it), SYSTEM. */
maestro_status_t mst_mpi_meet(const mst_mpi_request_t *request, const maestro_layout_t *stretches, int64_t own,
                              const mst_mpi_entries_t entries[MST_MPI_SIDES], mst_mpi_meeting_t *meeting_out);

#endif
