/* Messages between the links of a job: a head and bytes, in order from each peer, never waiting. */
#ifndef MST_MPI_POST_H
#define MST_MPI_POST_H

#include "base/base.h"

#include <mpi.h>

typedef struct mst_mpi_outgoing mst_mpi_outgoing_t;

typedef struct mst_mpi_post {
    MPI_Comm comm;
    int rank, size;
    mst_mpi_outgoing_t *outgoing, **outgoing_end; /* not yet sent */
    void *incoming;
    int incoming_capacity;
} mst_mpi_post_t;

void mst_mpi_post_init(mst_mpi_post_t *post, MPI_Comm comm);
void mst_mpi_post_fini(mst_mpi_post_t *post); /* waits until all is sent */
/* Sends `head` followed by `body`; both are copied. */
void mst_mpi_post_send(mst_mpi_post_t *post, int peer, int kind, const void *head, size_t head_nbytes, const void *body, size_t body_nbytes);
/* The next message that has come: its bytes stay valid until the next call.  False: there is none. */
bool mst_mpi_post_receive(mst_mpi_post_t *post, int *peer_out, int *kind_out, const void **bytes_out, size_t *nbytes_out);

#endif
