/* Lists with one item for each rank that was named, in any order: where a rank's item stands.  The list grows at its end; who wants it sorted sorts it when all
 * ranks have been named. */
#ifndef MST_MPI_RANKS_H
#define MST_MPI_RANKS_H

#include "base/base.h"

typedef struct mst_mpi_rank_slot mst_mpi_rank_slot_t;

typedef struct mst_mpi_ranks { /* all zero: nobody was named */
    int64_t nranks;
    size_t nslots; /* a power of two, at least half of them empty */
    mst_mpi_rank_slot_t *slot;
} mst_mpi_ranks_t;

/* The place of a rank's item: that of a new rank is the number of those that were named before.  -1: there is no memory. */
int64_t mst_mpi_ranks_place(mst_mpi_ranks_t *ranks, int rank);
void mst_mpi_ranks_fini(mst_mpi_ranks_t *ranks);

#endif
