/* What this node gives: all peers hear what its pool holds (attributes alone), and those that need an object get it named, with its place in the window. */
#ifndef MST_MPI_GIVE_H
#define MST_MPI_GIVE_H

#include "mpi/node.h"

typedef struct mst_mpi_found mst_mpi_found_t;

typedef struct mst_mpi_give {
    mst_mpi_node_t *node;
    maestro_subscription_t *contents;
    uint64_t contents_at;  /* sequence up to which the pool's contents are known */
    void *live;            /* tree of keys: this node's objects that peers know of */
    mst_mpi_found_t *found, **found_end;
    void *shown;           /* tree of objects that were named */
    unsigned awaited;      /* parts of objects that peers are getting */
    uint64_t named;        /* objects so far */
} mst_mpi_give_t;

void mst_mpi_give_init(mst_mpi_give_t *give, mst_mpi_node_t *node);
void mst_mpi_give_fini(mst_mpi_give_t *give);
bool mst_mpi_give_open(mst_mpi_give_t *give);                /* hears of what the pool holds from now on */
size_t mst_mpi_give_tell(mst_mpi_give_t *give);              /* what has come and gone here; how much there was to do */
size_t mst_mpi_give_name(mst_mpi_give_t *give);              /* what was found, as soon as it is known to live */
/* A peer needs this object, of the event with this sequence; 0: it was demanded.  Takes the lease over. */
void mst_mpi_give_find(mst_mpi_give_t *give, int peer, maestro_cdo_t *cdo, uint64_t sequence);
void mst_mpi_give_done(mst_mpi_give_t *give, int peer, const mst_mpi_done_head_t *done);

#endif
