/* See ranks.h: a hash table with open addressing. */
#include "mpi/ranks.h"

struct mst_mpi_rank_slot {
    int rank;
    uint32_t next_place; /* 0: empty; there are no more places than ranks, whose number is an int */
};

/* That of the rank, or the empty one where it belongs. */
static mst_mpi_rank_slot_t *find(const mst_mpi_ranks_t *ranks, int rank) {
    size_t i = mst_base_mix((uint64_t)rank);
    while (ranks->slot[i & (ranks->nslots - 1)].next_place && ranks->slot[i & (ranks->nslots - 1)].rank != rank) i++;
    return &ranks->slot[i & (ranks->nslots - 1)];
}

static bool grow(mst_mpi_ranks_t *ranks) {
    mst_mpi_ranks_t grown = {.nranks = ranks->nranks, .nslots = ranks->nslots ? 2 * ranks->nslots : 16};
    grown.slot = calloc(grown.nslots, sizeof *grown.slot);
    if (!grown.slot) return false;
    for (size_t i = 0; i < ranks->nslots; i++)
        if (ranks->slot[i].next_place) *find(&grown, ranks->slot[i].rank) = ranks->slot[i];
    free(ranks->slot);
    *ranks = grown;
    return true;
}

int64_t mst_mpi_ranks_place(mst_mpi_ranks_t *ranks, int rank) {
    if (2 * (size_t)ranks->nranks >= ranks->nslots && !grow(ranks)) return -1;
    mst_mpi_rank_slot_t *slot = find(ranks, rank);
    if (!slot->next_place) *slot = (mst_mpi_rank_slot_t){.rank = rank, .next_place = (uint32_t)++ranks->nranks};
    return (int64_t)slot->next_place - 1;
}

void mst_mpi_ranks_fini(mst_mpi_ranks_t *ranks) {
    free(ranks->slot);
    *ranks = (mst_mpi_ranks_t){0};
}
