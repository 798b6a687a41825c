/* See node.h. */
#include "mpi/node.h"

#include <stdio.h>

static const double PATIENCE_S = 5;

bool mst_mpi_node_failed(mst_mpi_node_t *node, maestro_status_t status, const char *what) {
    if (status >= 0) return false;
    fprintf(stderr, "maestro-link: node %s: %s: %s\n", mst_mpi_node_name(node), what, maestro_last_error());
    if (status == MAESTRO_POOL_LOST) node->stopping = true;
    return true;
}

void mst_mpi_node_tell(mst_mpi_node_t *node, mst_mpi_message_t kind, const void *head, size_t head_nbytes, const void *body, size_t body_nbytes) {
    for (int peer = 0; peer < node->post.size; peer++)
        if (peer != node->post.rank) mst_mpi_post_send(&node->post, peer, (int)kind, head, head_nbytes, body, body_nbytes);
}

/* ---- The window. */

static void detach(void *context, uint32_t number) {
    mst_mpi_node_t *node = context;
    if (number >= node->nattached || !node->attached[number]) return;
    node->attached[number] = false;
    MPI_Win_detach(node->window, node->session->segment[number].base);
}

bool mst_mpi_node_expose(mst_mpi_node_t *node, uint32_t number) {
    if (!MST_RESERVE_ZEROED(node->attached, node->nattached, (size_t)number + 1, 64)) return false;
    const mst_client_segment_t *segment = &node->session->segment[number];
    if (!node->attached[number]) node->attached[number] = MPI_Win_attach(node->window, segment->base, (MPI_Aint)segment->nbytes) == MPI_SUCCESS;
    return node->attached[number];
}

void mst_mpi_node_open_window(mst_mpi_node_t *node) {
    MPI_Win_create_dynamic(MPI_INFO_NULL, MPI_COMM_WORLD, &node->window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, node->window);
    node->session->unmapping = detach;
    node->session->unmapping_context = node;
}

void mst_mpi_node_close_window(mst_mpi_node_t *node) {
    MPI_Win_unlock_all(node->window);
    node->session->unmapping = NULL;
    for (uint32_t i = 0; i < node->nattached; i++) detach(node, i);
    MPI_Win_free(&node->window);
}

/* ---- The others. */

typedef struct hello {
    char node[64], schema[64];
    uint64_t schema_hash;
    int64_t failed;
} hello_t;

static hello_t hello_of(const mst_mpi_node_t *node, bool ready) {
    hello_t own = {.failed = !ready};
    if (!ready) return own;
    snprintf(own.node, sizeof own.node, "%s", node->session->rendezvous.node);
    snprintf(own.schema, sizeof own.schema, "%s", node->session->schema->name);
    own.schema_hash = node->session->schema->hash;
    return own;
}

static bool fit(const hello_t *own, int rank, const hello_t *other, int other_rank) {
    bool twice = strcmp(other->node, own->node) == 0, differ = other->schema_hash != own->schema_hash;
    if (twice) fprintf(stderr, "maestro-link: ranks %d and %d are both on node %s; start one link per node (mpirun -ppn 1)\n", rank, other_rank, own->node);
    if (differ) fprintf(stderr, "maestro-link: schema %s of node %s differs from schema %s of node %s; give all links the same --schema\n", own->schema, own->node, other->schema,
                        other->node);
    return !twice && !differ;
}

/* All links learn of each other whether they can go on. */
static bool meet(mst_mpi_node_t *node, bool ready) {
    int size = node->post.size, rank = node->post.rank;
    hello_t own = hello_of(node, ready), *all = calloc((size_t)size, sizeof *all);
    node->name = calloc((size_t)size, sizeof *node->name);
    if (!all || !node->name) MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Allgather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, MPI_COMM_WORLD);
    int good = ready;
    for (int i = 0; i < size; i++) {
        memcpy(node->name[i], all[i].node, sizeof node->name[i]);
        if (all[i].failed) good = false;
        else if (ready && i != rank) good &= fit(&own, rank, &all[i], i);
    }
    MPI_Allreduce(MPI_IN_PLACE, &good, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    free(all);
    return good;
}

static maestro_status_t become_link(maestro_session_t *session) {
    maestro_request_t request = {0};
    MST_TRY(mst_client_enter(session, "become the link"));
    maestro_status_t status = mst_client_call(session, &request, &(mst_wire_request_t){.head.kind = MST_WIRE_LINK}, NULL, mst_client_deadline(session, -1), "become the link");
    mst_client_request_fini(session, &request);
    mst_client_leave(session);
    return status;
}

static bool open_session(mst_mpi_node_t *node, const mst_mpi_link_options_t *options) {
    maestro_session_options_t so;
    maestro_session_options_init(&so);
    so.pool = options->pool;
    so.schema = options->schema;
    so.component = "maestro-link";
    so.rank = node->post.rank;
    so.relay = true;
    so.timeout_s = PATIENCE_S;
    maestro_status_t status = maestro_session_open(&so, &node->session);
    if (status == MAESTRO_OK) status = become_link(node->session);
    if (status == MAESTRO_OK) return true;
    fprintf(stderr, "maestro-link: rank %d: %s\n", node->post.rank, maestro_last_error());
    return false;
}

bool mst_mpi_node_init(mst_mpi_node_t *node, const mst_mpi_link_options_t *options) {
    *node = (mst_mpi_node_t){0};
    mst_mpi_post_init(&node->post, MPI_COMM_WORLD);
    return meet(node, open_session(node, options));
}

void mst_mpi_node_fini(mst_mpi_node_t *node) {
    maestro_session_close(node->session); /* what was refused was a copy of what is here already */
    free(node->attached);
    free(node->name);
    mst_mpi_post_fini(&node->post);
}
