/* The method of messages: one for each pair of ranks, with all fields one after the other.  Receives are posted first; then what goes out is packed and sent,
 * beginning with the next rank, so that not all write to one; what arrives first is unpacked first.
 * What lies in one line in the application's memory is sent from there, or received there, as long as one field is moved.  Buffers are the plan's, and
 * touched when it is made. */
#include "mpi/transfer.h"

#include <limits.h>

static const char WHAT[] = "redistribution";
enum { ALIGNED = 64 };

typedef struct peer {
    int rank;
    bool is_line;      /* in the application's memory too, at: (such a one needs no copies) */
    int64_t line_at;
    int64_t count;     /* elements of a field */
    mst_mpi_transfer_t transfer;
    char *buffer;      /* in the packed one */
} peer_t;

typedef struct side { /* what is sent, or what is received */
    int npeers;
    peer_t *peer;
    mst_array_copy_t **copy; /* fields.nkinds for each peer */
} side_t;

typedef struct packed {
    const mst_mpi_fields_t *fields;
    side_t send, receive;
    char *buffer;
} packed_t;

/* ---- Making */
static maestro_status_t make_side(const maestro_plan_t *plan, const mst_mpi_shares_t *shares, mst_array_way_t way, side_t *side) {
    const mst_mpi_fields_t *fields = &plan->fields;
    side->peer = calloc((size_t)shares->nshares + 1, sizeof *side->peer);
    side->copy = calloc((size_t)shares->nshares * (size_t)fields->nkinds + 1, sizeof(mst_array_copy_t *));
    if (!side->peer || !side->copy) return mst_base_fail_errno(WHAT);
    int64_t first = 0; /* the share of the next rank */
    while (first < shares->nshares && shares->share[first].rank < plan->comm.rank) first++;
    for (int64_t i = 0; i < shares->nshares; i++) {
        const mst_mpi_share_t *share = &shares->share[(first + i) % shares->nshares];
        if (share->rank == plan->comm.rank || !share->moves.count) continue;
        mst_array_copy_t **copy = &side->copy[side->npeers * fields->nkinds];
        peer_t *peer = &side->peer[side->npeers++];
        *peer = (peer_t){.rank = share->rank, .count = share->moves.count};
        MST_TRY(mst_mpi_copies_make(fields, &share->moves, way, plan->moved, copy));
        peer->is_line = fields->nkinds == 1 && mst_array_copy_is_line(copy[0], way, &peer->line_at);
        if (peer->is_line) mst_mpi_copies_end(fields, copy);
    }
    return MAESTRO_OK;
}

static size_t place_buffers(const mst_mpi_fields_t *fields, const side_t *side, char *buffer, size_t at) {
    for (int i = 0; i < side->npeers; i++) {
        peer_t *peer = &side->peer[i];
        peer->buffer = buffer ? buffer + at : NULL;
        if (!peer->is_line || fields->count > 1) at += MST_ALIGN(mst_mpi_packed_nbytes(fields, peer->count, fields->count), ALIGNED);
    }
    return at;
}

static maestro_status_t make_buffers(packed_t *packed) {
    enum { PAGE = 4096 };
    size_t sent = place_buffers(packed->fields, &packed->send, NULL, 0), nbytes = MST_ALIGN(place_buffers(packed->fields, &packed->receive, NULL, sent), PAGE);
    packed->buffer = aligned_alloc(PAGE, nbytes + PAGE);
    if (!packed->buffer) return mst_base_fail_errno("%s: buffers of %zu bytes", WHAT, nbytes);
    memset(packed->buffer, 0, nbytes);
    place_buffers(packed->fields, &packed->send, packed->buffer, 0);
    place_buffers(packed->fields, &packed->receive, packed->buffer, sent);
    return MAESTRO_OK;
}

static maestro_status_t create(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out) {
    packed_t *packed = *state_out = calloc(1, sizeof *packed);
    if (!packed) return mst_base_fail_errno(WHAT);
    packed->fields = &plan->fields;
    MST_TRY(make_side(plan, sends, MST_ARRAY_PACK, &packed->send));
    MST_TRY(make_side(plan, receives, MST_ARRAY_UNPACK, &packed->receive));
    return make_buffers(packed);
}

static void destroy_side(const mst_mpi_fields_t *fields, side_t *side) {
    for (int i = 0; i < side->npeers; i++) mst_mpi_copies_end(fields, &side->copy[i * fields->nkinds]);
    free(side->copy);
    free(side->peer);
}

static bool is_alive(side_t *side) {
    bool alive = false;
    for (int i = 0; i < side->npeers; i++) alive = mst_mpi_transfer_is_alive(&side->peer[i].transfer) || alive;
    return alive;
}

static void destroy(void *state) {
    packed_t *packed = state;
    if (!packed) return;
    bool sends = is_alive(&packed->send), receives = is_alive(&packed->receive);
    if (!sends && !receives) free(packed->buffer); /* else a use has failed, and MPI keeps it */
    destroy_side(packed->fields, &packed->send);
    destroy_side(packed->fields, &packed->receive);
    free(packed);
}

/* ---- Use */
static bool is_line(const maestro_plan_t *plan, const peer_t *peer) { return peer->is_line && plan->nfields == 1; }

static size_t nbytes_of(const maestro_plan_t *plan, const peer_t *peer) { return mst_mpi_packed_nbytes(&plan->fields, peer->count, plan->nfields); }

static char *receive_buffer(const maestro_plan_t *plan, const peer_t *peer) { return is_line(plan, peer) ? (char *)plan->to[0] + peer->line_at : peer->buffer; }

static const char *pack(const maestro_plan_t *plan, const packed_t *packed, int i) {
    const mst_mpi_fields_t *fields = packed->fields;
    const peer_t *peer = &packed->send.peer[i];
    if (is_line(plan, peer)) return (const char *)plan->from[0] + peer->line_at;
    for (size_t f = 0; f < plan->nfields; f++) {
        char *to = peer->buffer + mst_mpi_packed_nbytes(fields, peer->count, f);
        if (peer->is_line) memcpy(to, (const char *)plan->from[f] + peer->line_at, mst_mpi_packed_nbytes(fields, peer->count, 1));
        else mst_array_copy_run(packed->send.copy[i * fields->nkinds + fields->kind_of[f]], plan->from[f], to);
    }
    return peer->buffer;
}

static void unpack(const maestro_plan_t *plan, const packed_t *packed, int i) {
    const mst_mpi_fields_t *fields = packed->fields;
    const peer_t *peer = &packed->receive.peer[i];
    for (size_t f = 0; f < plan->nfields && !is_line(plan, peer); f++) {
        const char *from = peer->buffer + mst_mpi_packed_nbytes(fields, peer->count, f);
        if (peer->is_line) memcpy((char *)plan->to[f] + peer->line_at, from, mst_mpi_packed_nbytes(fields, peer->count, 1));
        else mst_array_copy_run(packed->receive.copy[i * fields->nkinds + fields->kind_of[f]], from, plan->to[f]);
    }
}

/* What an int cannot count is of one type, of as many bytes. */
static maestro_status_t large_type(size_t nbytes, MPI_Datatype *type_out) {
    enum { LARGE = 1 << 20 };
    MPI_Datatype large, whole;
    MST_TRY(mst_mpi_check(WHAT, MPI_Type_contiguous(LARGE, MPI_BYTE, &large)));
    const MPI_Aint at[] = {0, (MPI_Aint)(nbytes / LARGE * LARGE)};
    int code = MPI_Type_create_struct(2, (const int[]){(int)(nbytes / LARGE), (int)(nbytes % LARGE)}, at, (const MPI_Datatype[]){large, MPI_BYTE}, &whole);
    MPI_Type_free(&large);
    MST_TRY(mst_mpi_check(WHAT, code));
    *type_out = whole;
    return mst_mpi_check(WHAT, MPI_Type_commit(type_out));
}

/* `from` NULL: receives. */
static maestro_status_t post(const maestro_plan_t *plan, peer_t *peer, const char *from, int count, MPI_Datatype type) {
    if (from) return mst_mpi_transfer_send(plan, &peer->transfer, peer->rank, from, count, type);
    return mst_mpi_transfer_receive(plan, &peer->transfer, peer->rank, receive_buffer(plan, peer), count, type);
}

static maestro_status_t post_bytes(const maestro_plan_t *plan, peer_t *peer, const char *from) {
    size_t nbytes = nbytes_of(plan, peer);
    MPI_Datatype type;
    if (MST_LIKELY(nbytes <= INT_MAX)) return post(plan, peer, from, (int)nbytes, MPI_BYTE);
    MST_TRY(large_type(nbytes, &type));
    maestro_status_t status = post(plan, peer, from, 1, type);
    MPI_Type_free(&type); /* in the end: MPI still uses it */
    return status;
}

static maestro_status_t start(const maestro_plan_t *plan, void *state) {
    packed_t *packed = state;
    for (int i = 0; i < packed->receive.npeers; i++) MST_TRY(post_bytes(plan, &packed->receive.peer[i], NULL));
    for (int i = 0; i < packed->send.npeers; i++) MST_TRY(post_bytes(plan, &packed->send.peer[i], pack(plan, packed, i)));
    return MAESTRO_OK;
}

static maestro_status_t progress(const maestro_plan_t *plan, void *state) {
    packed_t *packed = state;
    bool all = true;
    for (int i = 0; i < packed->receive.npeers; i++) {
        peer_t *peer = &packed->receive.peer[i];
        if (!peer->transfer.under_way) continue;
        maestro_status_t status = mst_mpi_transfer_arrived(plan, &peer->transfer, peer->rank, MPI_BYTE, (int64_t)nbytes_of(plan, peer));
        if (status < 0) return status;
        if (status == MAESTRO_OK) unpack(plan, packed, i);
        all = all && status == MAESTRO_OK;
    }
    for (int i = 0; i < packed->send.npeers && all; i++) { /* not looked at before: each look takes MPI's time, and receives move them on */
        maestro_status_t status = mst_mpi_transfer_sent(&packed->send.peer[i].transfer);
        if (status < 0) return status;
        all = all && status == MAESTRO_OK;
    }
    return all ? MAESTRO_OK : MAESTRO_IN_PROGRESS;
}

static void abandon(void *state) {
    packed_t *packed = state;
    for (int i = 0; i < packed->receive.npeers; i++) mst_mpi_transfer_cancel(&packed->receive.peer[i].transfer);
}

const mst_mpi_method_t mst_mpi_packed = {.number = MAESTRO_METHOD_PACKED, .name = "packed", .within = "packed", .between = "packed", .create = create,
                                         .start = start, .progress = progress, .abandon = abandon, .destroy = destroy};
