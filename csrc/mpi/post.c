/* See post.h. */
#include "mpi/post.h"

#include <stdio.h>

struct mst_mpi_outgoing {
    MPI_Request request;
    mst_mpi_outgoing_t *next;
    char bytes[];
};

static void *must(void *memory) {
    if (memory) return memory;
    fprintf(stderr, "maestro-link: no memory for a message\n");
    MPI_Abort(MPI_COMM_WORLD, 1);
    abort();
}

void mst_mpi_post_init(mst_mpi_post_t *post, MPI_Comm comm) {
    *post = (mst_mpi_post_t){.outgoing_end = &post->outgoing};
    MPI_Comm_dup(comm, &post->comm);
    MPI_Comm_rank(comm, &post->rank);
    MPI_Comm_size(comm, &post->size);
}

/* The first ones are done first, as a rule. */
static void sweep(mst_mpi_post_t *post, bool wait) {
    while (post->outgoing) {
        mst_mpi_outgoing_t *first = post->outgoing;
        int done = 1;
        if (wait) MPI_Wait(&first->request, MPI_STATUS_IGNORE);
        else MPI_Test(&first->request, &done, MPI_STATUS_IGNORE);
        if (!done) return;
        post->outgoing = first->next;
        if (!post->outgoing) post->outgoing_end = &post->outgoing;
        free(first);
    }
}

void mst_mpi_post_fini(mst_mpi_post_t *post) {
    sweep(post, true);
    free(post->incoming);
    MPI_Comm_free(&post->comm);
}

void mst_mpi_post_send(mst_mpi_post_t *post, int peer, int kind, const void *head, size_t head_nbytes, const void *body, size_t body_nbytes) {
    mst_mpi_outgoing_t *message = must(malloc(sizeof *message + head_nbytes + body_nbytes));
    memcpy(message->bytes, head, head_nbytes);
    if (body_nbytes) memcpy(message->bytes + head_nbytes, body, body_nbytes);
    message->next = NULL;
    MPI_Isend(message->bytes, (int)(head_nbytes + body_nbytes), MPI_BYTE, peer, kind, post->comm, &message->request);
    *post->outgoing_end = message;
    post->outgoing_end = &message->next;
}

bool mst_mpi_post_receive(mst_mpi_post_t *post, int *peer_out, int *kind_out, const void **bytes_out, size_t *nbytes_out) {
    int there, nbytes;
    MPI_Status status;
    sweep(post, false);
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, post->comm, &there, &status);
    if (!there) return false;
    MPI_Get_count(&status, MPI_BYTE, &nbytes);
    if (nbytes > post->incoming_capacity) {
        free(post->incoming);
        post->incoming_capacity = nbytes + nbytes / 2;
        post->incoming = must(malloc((size_t)post->incoming_capacity));
    }
    MPI_Recv(post->incoming, nbytes, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, post->comm, MPI_STATUS_IGNORE);
    *peer_out = status.MPI_SOURCE;
    *kind_out = status.MPI_TAG;
    *bytes_out = post->incoming;
    *nbytes_out = (size_t)nbytes;
    return true;
}
