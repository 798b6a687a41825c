/* What this node gets: objects of peers that are needed here come by MPI_Get, a bounded number at a time, and are offered to its pool as copies. */
#ifndef MST_MPI_GET_H
#define MST_MPI_GET_H

#include "mpi/node.h"

typedef struct mst_mpi_copy mst_mpi_copy_t;

typedef struct mst_mpi_get {
    mst_mpi_node_t *node;
    void *copies;          /* tree of objects of peers */
    mst_mpi_copy_t *coming, **coming_end;
    unsigned running;      /* MPI_Gets */
    uint64_t came, gets, bytes; /* so far */
} mst_mpi_get_t;

void mst_mpi_get_init(mst_mpi_get_t *get, mst_mpi_node_t *node);
void mst_mpi_get_fini(mst_mpi_get_t *get);
size_t mst_mpi_get_advance(mst_mpi_get_t *get);  /* what comes; how much there was to do */
/* What a peer says of an object of its node; the parcel holds its attributes. */
void mst_mpi_get_known(mst_mpi_get_t *get, int peer, const mst_mpi_object_head_t *head, const void *parcel, size_t nbytes);
void mst_mpi_get_object(mst_mpi_get_t *get, int peer, const mst_mpi_object_head_t *head, const void *parcel, size_t nbytes);
void mst_mpi_get_gone(mst_mpi_get_t *get, int peer, uint64_t id);

#endif
