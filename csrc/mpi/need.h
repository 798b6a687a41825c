/* Needs, both ways: all peers hear what is needed on this node, and this node looks in its pool for what they need. */
#ifndef MST_MPI_NEED_H
#define MST_MPI_NEED_H

#include "mpi/give.h"

typedef struct mst_mpi_served mst_mpi_served_t;

typedef struct mst_mpi_needs {
    mst_mpi_node_t *node;
    mst_mpi_give_t *give;          /* takes what is found */
    maestro_subscription_t *own;   /* of this node's needs */
    mst_mpi_served_t *served;      /* needs of peers */
} mst_mpi_needs_t;

void mst_mpi_needs_fini(mst_mpi_needs_t *needs);
bool mst_mpi_needs_open(mst_mpi_needs_t *needs);     /* hears of what is needed here from now on */
size_t mst_mpi_needs_tell(mst_mpi_needs_t *needs);   /* what is needed here; how much there was to do */
size_t mst_mpi_needs_serve(mst_mpi_needs_t *needs);  /* what peers need */
void mst_mpi_needs_add(mst_mpi_needs_t *needs, int peer, const mst_mpi_need_head_t *head, const char *text, size_t nbytes);
void mst_mpi_needs_drop(mst_mpi_needs_t *needs, int peer, const int64_t *number); /* NULL: all of the peer */

#endif
