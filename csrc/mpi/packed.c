/* The method of messages: one for each pair of ranks, with all fields one after the other.  Receives are posted first; then what goes out is packed and sent,
 * beginning with the next rank, so that not all write to one; what arrives first is unpacked first.
 * What lies in one line in the application's memory is sent from there, or received there, as long as one field is moved.  Buffers are the plan's, and
 * touched when it is made. */
#include "mpi/plan.h"

#include <limits.h>

static const char WHAT[] = "redistribution";
enum { ALIGNED = 4096 };

typedef struct peer {
    int rank;
    int64_t nelements; /* of a field */
    size_t nbytes;
    mst_array_copy_t *copy;
    MPI_Request request;
    bool under_way;
    char *buffer;      /* in the packed one */
    bool is_line;      /* in the application's memory too, at: */
    int64_t line_at;
} peer_t;

typedef struct packed {
    MPI_Datatype type;
    int nsends, nreceives;
    peer_t *send, *receive;
    char *buffer;
} packed_t;

/* ---- Making */
static MPI_Datatype type_of(size_t element_nbytes) {
    switch (element_nbytes) {
    case 1: return MPI_BYTE;
    case 2: return MPI_INT16_T;
    case 4: return MPI_INT32_T;
    case 8: return MPI_INT64_T;
    default: return MPI_C_DOUBLE_COMPLEX;
    }
}

static maestro_status_t make_peers(const maestro_plan_t *plan, const mst_mpi_shares_t *shares, mst_array_way_t way, int *npeers, peer_t **peer_out) {
    *peer_out = calloc((size_t)shares->nshares + 1, sizeof **peer_out);
    if (!*peer_out) return mst_base_fail_errno(WHAT);
    int64_t first = 0; /* the share of the next rank */
    while (first < shares->nshares && shares->share[first].rank < plan->comm.rank) first++;
    for (int64_t i = 0; i < shares->nshares; i++) {
        const mst_mpi_share_t *share = &shares->share[(first + i) % shares->nshares];
        peer_t *peer = &(*peer_out)[*npeers];
        if (share->rank == plan->comm.rank || !share->moves.count) continue;
        if (share->moves.count > INT_MAX / (int64_t)plan->max_fields)
            return mst_base_fail(MAESTRO_TOO_LARGE,
                                 "%s: a message of %lld elements of %zu fields to rank %d; one has at most 2^31 - 1: take more ranks, or fewer fields",
                                 WHAT,
                                 (long long)share->moves.count, plan->max_fields, share->rank);
        *peer = (peer_t){.rank = share->rank, .nelements = share->moves.count};
        ++*npeers;
        MST_TRY(mst_array_copy_create(&share->moves, way, &plan->field, plan->moved_nbytes, &peer->copy));
        peer->nbytes = mst_array_copy_nbytes(peer->copy);
        peer->is_line = mst_array_copy_is_line(peer->copy, way, &peer->line_at);
    }
    return MAESTRO_OK;
}

static size_t place_buffers(const maestro_plan_t *plan, peer_t *peer, int npeers, char *buffer, size_t at) {
    for (int i = 0; i < npeers; i++) {
        peer[i].buffer = buffer ? buffer + at : NULL;
        at += MST_ALIGN(peer[i].nbytes * plan->max_fields, ALIGNED);
    }
    return at;
}

static maestro_status_t make_buffers(const maestro_plan_t *plan, packed_t *packed) {
    size_t nbytes = place_buffers(plan, packed->receive, packed->nreceives, NULL, place_buffers(plan, packed->send, packed->nsends, NULL, 0));
    packed->buffer = aligned_alloc(ALIGNED, nbytes + ALIGNED);
    if (!packed->buffer) return mst_base_fail_errno("%s: buffers of %zu bytes", WHAT, nbytes);
    memset(packed->buffer, 0, nbytes + ALIGNED);
    place_buffers(plan, packed->receive, packed->nreceives, packed->buffer, place_buffers(plan, packed->send, packed->nsends, packed->buffer, 0));
    return MAESTRO_OK;
}

static maestro_status_t create(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out) {
    packed_t *packed = *state_out = calloc(1, sizeof *packed);
    if (!packed) return mst_base_fail_errno(WHAT);
    packed->type = type_of(plan->element_nbytes);
    MST_TRY(make_peers(plan, sends, MST_ARRAY_PACK, &packed->nsends, &packed->send));
    MST_TRY(make_peers(plan, receives, MST_ARRAY_UNPACK, &packed->nreceives, &packed->receive));
    return make_buffers(plan, packed);
}

/* Whether a failed use has left messages that MPI may still read. */
static bool is_sending(packed_t *packed) {
    bool sending = false;
    for (int i = 0; i < packed->nsends; i++) {
        int sent = 1;
        if (packed->send[i].under_way) MPI_Test(&packed->send[i].request, &sent, MPI_STATUS_IGNORE);
        sending = sending || !sent;
    }
    return sending;
}

static void destroy_peers(peer_t *peer, int npeers) {
    for (int i = 0; i < npeers; i++) mst_array_copy_destroy(peer[i].copy);
    free(peer);
}

static void destroy(void *state) {
    packed_t *packed = state;
    if (!packed) return;
    if (!is_sending(packed)) free(packed->buffer);
    destroy_peers(packed->send, packed->nsends);
    destroy_peers(packed->receive, packed->nreceives);
    free(packed);
}

/* ---- Use */
static int count_of(const maestro_plan_t *plan, const peer_t *peer) { return (int)(peer->nelements * (int64_t)plan->nfields); }

static bool is_line(const maestro_plan_t *plan, const peer_t *peer) { return peer->is_line && plan->nfields == 1; }

static char *receive_buffer(const maestro_plan_t *plan, const peer_t *peer) { return is_line(plan, peer) ? (char *)plan->to[0] + peer->line_at : peer->buffer; }

static const char *pack(const maestro_plan_t *plan, const peer_t *peer) {
    if (is_line(plan, peer)) return (const char *)plan->from[0] + peer->line_at;
    for (size_t f = 0; f < plan->nfields; f++) mst_array_copy_run(peer->copy, plan->from[f], peer->buffer + f * peer->nbytes);
    return peer->buffer;
}

static maestro_status_t start(const maestro_plan_t *plan, void *state) {
    packed_t *packed = state;
    for (int i = 0; i < packed->nreceives; i++) {
        peer_t *peer = &packed->receive[i];
        MST_TRY(mst_mpi_check(WHAT, MPI_Irecv(receive_buffer(plan, peer), count_of(plan, peer), packed->type, peer->rank, MST_MPI_TAG_DATA, plan->comm.comm,
                                              &peer->request)));
        peer->under_way = true;
    }
    for (int i = 0; i < packed->nsends; i++) {
        peer_t *peer = &packed->send[i];
        MST_TRY(mst_mpi_check(WHAT, MPI_Isend(pack(plan, peer), count_of(plan, peer), packed->type, peer->rank, MST_MPI_TAG_DATA, plan->comm.comm,
                                              &peer->request)));
        peer->under_way = true;
    }
    return MAESTRO_OK;
}

/* Other counts come from ranks that started another number of fields; more than there is room for is an error of MPI's. */
static maestro_status_t check_arrived(const maestro_plan_t *plan, const packed_t *packed, const peer_t *peer, const MPI_Status *status, int code) {
    int count = 0, class = MPI_SUCCESS;
    if (code != MPI_SUCCESS) MPI_Error_class(code, &class);
    if (class != MPI_SUCCESS && class != MPI_ERR_TRUNCATE) return mst_mpi_check(WHAT, code);
    if (class == MPI_SUCCESS) MPI_Get_count(status, packed->type, &count);
    if (count == count_of(plan, peer)) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: rank %d sends another number of fields than %zu, as here; all ranks must start as many", WHAT,
                         peer->rank, plan->nfields);
}

static maestro_status_t unpack(const maestro_plan_t *plan, const packed_t *packed, const peer_t *peer, const MPI_Status *status, int code) {
    MST_TRY(check_arrived(plan, packed, peer, status, code));
    for (size_t f = 0; f < plan->nfields && !is_line(plan, peer); f++) mst_array_copy_run(peer->copy, peer->buffer + f * peer->nbytes, plan->to[f]);
    return MAESTRO_OK;
}

/* One request after the other: MPI's calls for several tell the world of errors, whose handler aborts. */
static maestro_status_t progress(const maestro_plan_t *plan, void *state) {
    packed_t *packed = state;
    bool all = true;
    for (int i = 0; i < packed->nreceives; i++) {
        peer_t *peer = &packed->receive[i];
        MPI_Status status;
        int arrived = 0;
        if (!peer->under_way) continue;
        int code = MPI_Test(&peer->request, &arrived, &status);
        peer->under_way = !arrived && code == MPI_SUCCESS;
        if (!peer->under_way) MST_TRY(unpack(plan, packed, peer, &status, code));
        all = all && arrived;
    }
    for (int i = 0; i < packed->nsends; i++) {
        peer_t *peer = &packed->send[i];
        int sent = 1;
        if (peer->under_way) MST_TRY(mst_mpi_check(WHAT, MPI_Test(&peer->request, &sent, MPI_STATUS_IGNORE)));
        peer->under_way = !sent;
        all = all && sent;
    }
    return all ? MAESTRO_OK : MAESTRO_IN_PROGRESS;
}

static void abandon(void *state) {
    packed_t *packed = state;
    for (int i = 0; i < packed->nreceives; i++) {
        peer_t *peer = &packed->receive[i];
        if (!peer->under_way) continue;
        MPI_Cancel(&peer->request);
        MPI_Wait(&peer->request, MPI_STATUS_IGNORE);
        peer->under_way = false;
    }
}

const mst_mpi_method_t mst_mpi_packed = {.number = MAESTRO_METHOD_PACKED, .name = "packed", .create = create, .start = start, 
                                         .progress = progress, .abandon = abandon, .destroy = destroy};
