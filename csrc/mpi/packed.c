/* The method of messages: what goes from one rank to another is packed, all fields one after the other, sent, and unpacked.  What is large goes in pieces, one
 * message each, through a few slots that take turns: pieces are packed, sent and unpacked at the same time, and buffers stay small.
 * Receives are posted first; then what goes out is packed, beginning with the next rank, so that not all write to one; what arrives first is unpacked first.
 * What lies in one line in the application's memory is sent from there, or received there, as long as one field is moved.  Buffers are the plan's, and
 * touched when it is made.
 * Buffered is the same method, but that all which is sent goes through the buffers: a copy more, out of huge pages, which MPI may read so much sooner that it
 * is quicker.
 * Invariant: both sides of a pair have the same pieces, for they have the same moves and the same fields. */
#include "array/handover.h"

#include "mpi/transfer.h"

#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>

static const char WHAT[] = "redistribution";
enum {
    ALIGNED = 64,
    SLOTS = 2,
    FIELD_NBYTES = 64 << 10, /* of one field, a piece has at least, however many fields there are */
    MOST_NBYTES = 1 << 30    /* which MPI can count; what is neither packed nor unpacked has no smaller pieces */
};

typedef struct piece {
    int64_t count : 63; /* elements of a field; there may be a piece for each of many ranks */
    bool is_line : 1;   /* in the application's memory too, at: (such a one needs no copies) */
    int64_t at;         /* of no line: the first of its copies, fields.nkinds of them, among those of the side */
} piece_t;

typedef struct slot {
    mst_mpi_transfer_t transfer;
    char *buffer;    /* in the packed one */
} slot_t;

typedef struct peer { /* there may be many */
    int rank;
    int npieces, begun, done;     /* begun, done: of this use, in order */
    int first_piece, first_slot;  /* on its side; a piece's slot is that of its number */
} peer_t;

typedef struct side { /* what is sent, or what is received */
    int npeers, npieces, nslots;
    size_t most_peers, pieces_capacity, copies_capacity, slots_capacity;
    peer_t *peer;
    piece_t *piece;
    size_t ncopies;
    mst_array_copy_t **copy;
    slot_t *slot;
} side_t;

typedef struct packed {
    const mst_mpi_fields_t *fields;
    bool buffered;
    side_t send, receive;
    char *buffer, *mapped; /* of large ones: the pages in which it lies */
    size_t mapped_nbytes;
    mst_array_handover_t *handover; /* of each peer that is sent to; NULL: all is little */
    mst_array_scratch_t scratch;
    maestro_status_t failed; /* and why: in the use under way, while another plan was waited for */
    char why[512];
} packed_t;

/* ---- Making */
static maestro_status_t is_line(const mst_array_moves_t *moves, mst_array_way_t way, const maestro_field_t *kind, bool *is_out) {
    mst_array_copy_t *copy = NULL;
    int64_t at;
    MST_TRY(mst_array_copy_create(moves, way, kind, 0, &copy));
    *is_out = mst_array_copy_is_line(copy, way, &at);
    mst_array_copy_destroy(copy);
    return MAESTRO_OK;
}

/* Elements of a piece: many, where one field goes from a line to a line. */
static maestro_status_t piece_length(const packed_t *packed, const mst_array_moves_t *moves, int64_t *most_out) {
    const mst_mpi_fields_t *fields = packed->fields;
    int64_t all = (int64_t)fields->packed_at[fields->count], piece = (int64_t)mst_mpi_tuning.piece_nbytes;
    int64_t wanted = piece / all, least = (piece < FIELD_NBYTES ? piece : FIELD_NBYTES) / (int64_t)fields->packed_at[1];
    bool from_line = false, to_line = false;
    *most_out = mst_array_slice_length(moves, wanted > least ? wanted : least);
    if (*most_out > MOST_NBYTES / all) *most_out = MOST_NBYTES / all;
    if (moves->count <= *most_out || fields->count > 1 || packed->buffered) return MAESTRO_OK;
    MST_TRY(is_line(moves, MST_ARRAY_PACK, &fields->kind[0], &from_line));
    if (from_line) MST_TRY(is_line(moves, MST_ARRAY_UNPACK, &fields->kind[0], &to_line));
    if (from_line && to_line) *most_out = MOST_NBYTES / all;
    return MAESTRO_OK;
}

static int nslots_of(const peer_t *peer) { return peer->npieces < SLOTS ? peer->npieces : SLOTS; }

/* As a rule each peer has one piece and one slot. */
static maestro_status_t reserve(const mst_mpi_fields_t *fields, side_t *side, int64_t npieces) {
    size_t all = (size_t)side->npieces + (size_t)npieces;
    if (all > INT_MAX / SLOTS) return mst_base_fail(MAESTRO_TOO_LARGE, "%s: %zu pieces; take more ranks", WHAT, all);
    bool good = MST_RESERVE(side->piece, side->pieces_capacity, all, side->most_peers);
    good = good && MST_RESERVE(side->copy, side->copies_capacity, side->ncopies + (size_t)npieces * (size_t)fields->nkinds, 1);
    good = good && MST_RESERVE(side->slot, side->slots_capacity, (size_t)side->nslots + (npieces < SLOTS ? (size_t)npieces : SLOTS), side->most_peers);
    return good ? MAESTRO_OK : mst_base_fail_errno("%s: %zu pieces", WHAT, all);
}

/* Pieces of much data are always packed past the caches, others as each handover learns. */
static maestro_status_t add_piece(const maestro_plan_t *plan, const packed_t *packed, const mst_array_moves_t *slice, mst_array_way_t way, side_t *side) {
    bool sent = way == MST_ARRAY_PACK;
    const mst_mpi_fields_t *fields = &plan->fields;
    size_t first = side->ncopies, nkinds = (size_t)fields->nkinds;
    piece_t *piece = &side->piece[side->npieces++];
    *piece = (piece_t){.count = slice->count, .at = (int64_t)first};
    memset(&side->copy[first], 0, nkinds * sizeof *side->copy);
    side->ncopies += nkinds;
    MST_TRY(mst_mpi_copies_make(fields, slice, way, sent ? plan->sent : plan->moved, &side->copy[first]));
    piece->is_line = !(sent && packed->buffered) && nkinds == 1 && mst_array_copy_is_line(side->copy[first], way, &piece->at);
    if (!piece->is_line) return MAESTRO_OK;
    mst_mpi_copies_end(fields, &side->copy[first]);
    side->ncopies = first;
    return MAESTRO_OK;
}

static maestro_status_t add_pieces(const maestro_plan_t *plan, const packed_t *packed, const mst_array_moves_t *slices, int64_t nslices, mst_array_way_t way,
                                   side_t *side, peer_t *peer) {
    MST_TRY(reserve(&plan->fields, side, nslices));
    for (int64_t i = 0; i < nslices; i++) MST_TRY(add_piece(plan, packed, &slices[i], way, side));
    peer->npieces = (int)nslices;
    for (int s = 0; s < nslots_of(peer); s++) side->slot[side->nslots++] = (slot_t){.transfer = mst_mpi_transfer_none()};
    return MAESTRO_OK;
}

static maestro_status_t make_peer(const maestro_plan_t *plan, const packed_t *packed, const mst_mpi_share_t *share, mst_array_way_t way, side_t *side,
                                  peer_t *peer) {
    int64_t most, nslices = 1;
    *peer = (peer_t){.rank = share->rank, .first_piece = side->npieces, .first_slot = side->nslots};
    MST_TRY(piece_length(packed, &share->moves, &most));
    if (share->moves.count <= most) return add_pieces(plan, packed, &share->moves, 1, way, side, peer);
    mst_array_moves_t *slices = NULL;
    maestro_status_t status = mst_array_moves_slice(&share->moves, most, &slices, &nslices);
    if (status == MAESTRO_OK) status = add_pieces(plan, packed, slices, nslices, way, side, peer);
    mst_array_slices_fini(slices, nslices);
    return status;
}

static maestro_status_t make_side(const maestro_plan_t *plan, const packed_t *packed, const mst_mpi_shares_t *shares, mst_array_way_t way, side_t *side) {
    side->most_peers = (size_t)shares->nshares + 1;
    side->peer = calloc(side->most_peers, sizeof *side->peer);
    if (!side->peer) return mst_base_fail_errno(WHAT);
    mst_mpi_others_t others = mst_mpi_shares_of_others(shares, plan->comm.rank);
    for (const mst_mpi_share_t *share; (share = mst_mpi_others_next(&others));) MST_TRY(make_peer(plan, packed, share, way, side, &side->peer[side->npeers++]));
    return MAESTRO_OK;
}

static size_t slot_nbytes(const mst_mpi_fields_t *fields, const side_t *side, const peer_t *peer) {
    int64_t most = 0;
    for (int i = 0; i < peer->npieces; i++) {
        const piece_t *piece = &side->piece[peer->first_piece + i];
        if ((!piece->is_line || fields->count > 1) && piece->count > most) most = piece->count;
    }
    return MST_ALIGN(mst_mpi_packed_nbytes(fields, most, fields->count), ALIGNED);
}

static size_t place_buffers(const mst_mpi_fields_t *fields, const side_t *side, char *buffer, size_t at) {
    for (int i = 0; i < side->npeers; i++) {
        const peer_t *peer = &side->peer[i];
        size_t nbytes = slot_nbytes(fields, side, peer);
        for (int s = 0; s < nslots_of(peer); s++, at += nbytes) side->slot[peer->first_slot + s].buffer = buffer ? buffer + at : NULL;
    }
    return at;
}

/* Huge pages, which processors find sooner; its own, for memory that has been used before stays in the pages that it has. */
enum { HUGE_PAGE = 2 << 20, LARGE = HUGE_PAGE / 4 };

static bool map_buffer(packed_t *packed, size_t nbytes) {
    size_t whole = MST_ALIGN(nbytes, HUGE_PAGE);
    void *mapped = mmap(NULL, whole + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return false;
    packed->mapped = mapped;
    packed->mapped_nbytes = whole + HUGE_PAGE;
    packed->buffer = packed->mapped + (MST_ALIGN((uintptr_t)mapped, HUGE_PAGE) - (uintptr_t)mapped);
    madvise(packed->buffer, whole, MADV_HUGEPAGE); /* else they are of the usual ones */
    return true;
}

static bool allocate_buffer(packed_t *packed, size_t nbytes) {
    packed->buffer = aligned_alloc(ALIGNED, nbytes);
    return packed->buffer;
}

static maestro_status_t make_buffers(packed_t *packed) {
    size_t sent = place_buffers(packed->fields, &packed->send, NULL, 0), nbytes = place_buffers(packed->fields, &packed->receive, NULL, sent);
    if (!nbytes) return MAESTRO_OK;
    if (!(nbytes < LARGE ? allocate_buffer(packed, nbytes) : map_buffer(packed, nbytes)))
        return mst_base_fail_errno("%s: buffers of %zu bytes", WHAT, nbytes);
    memset(packed->buffer, 0, nbytes);
    place_buffers(packed->fields, &packed->send, packed->buffer, 0);
    place_buffers(packed->fields, &packed->receive, packed->buffer, sent);
    return MAESTRO_OK;
}

static void free_buffers(packed_t *packed) {
    if (packed->mapped) munmap(packed->mapped, packed->mapped_nbytes);
    else free(packed->buffer);
}

static maestro_status_t make_handovers(packed_t *packed) {
    bool any = false;
    for (int i = 0; i < packed->send.npieces && !any; i++)
        any = !packed->send.piece[i].is_line && mst_mpi_packed_nbytes(packed->fields, packed->send.piece[i].count, packed->fields->count) >= MST_ARRAY_HANDOVER_LEAST;
    if (any) packed->handover = calloc((size_t)packed->send.npeers, sizeof *packed->handover);
    return !any || packed->handover ? MAESTRO_OK : mst_base_fail_errno(WHAT);
}

static maestro_status_t make(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, bool buffered, void **state_out) {
    packed_t *packed = *state_out = calloc(1, sizeof *packed);
    if (!packed) return mst_base_fail_errno(WHAT);
    packed->fields = &plan->fields;
    packed->buffered = buffered;
    MST_TRY(make_side(plan, packed, sends, MST_ARRAY_PACK, &packed->send));
    MST_TRY(make_side(plan, packed, receives, MST_ARRAY_UNPACK, &packed->receive));
    MST_TRY(make_handovers(packed));
    return make_buffers(packed);
}

static maestro_status_t create(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out) {
    return make(plan, sends, receives, false, state_out);
}

static maestro_status_t create_buffered(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out) {
    return make(plan, sends, receives, true, state_out);
}

static bool is_long_line(const maestro_plan_t *plan, const mst_mpi_share_t *share) {
    enum { LONG = 64 << 10 };
    bool line = false;
    if (mst_mpi_packed_nbytes(&plan->fields, share->moves.count, 1) < LONG) return false;
    return is_line(&share->moves, MST_ARRAY_PACK, &plan->fields.kind[0], &line) == MAESTRO_OK && line;
}

bool mst_mpi_packed_has_lines(const maestro_plan_t *plan, const mst_mpi_shares_t *sends) {
    enum { PEERS_MAX = 64 };
    if (plan->fields.count > 1 || plan->ntraffic > PEERS_MAX) return false;
    mst_mpi_others_t others = mst_mpi_shares_of_others(sends, plan->comm.rank);
    for (const mst_mpi_share_t *share; (share = mst_mpi_others_next(&others));)
        if (is_long_line(plan, share)) return true;
    return false;
}

static void destroy_side(side_t *side) {
    for (size_t i = 0; i < side->ncopies; i++) mst_array_copy_destroy(side->copy[i]);
    free(side->copy);
    free(side->piece);
    free(side->slot);
    free(side->peer);
}

static bool is_alive(side_t *side) {
    bool alive = false;
    for (int s = 0; s < side->nslots; s++) alive = mst_mpi_transfer_is_alive(&side->slot[s].transfer) || alive;
    return alive;
}

static void destroy(void *state) {
    packed_t *packed = state;
    if (!packed) return;
    bool sends = is_alive(&packed->send), receives = is_alive(&packed->receive);
    if (!sends && !receives) free_buffers(packed); /* else a use has failed, and MPI keeps them */
    destroy_side(&packed->send);
    destroy_side(&packed->receive);
    mst_array_scratch_fini(&packed->scratch);
    free(packed->handover);
    free(packed);
}

/* ---- A piece of a peer */
typedef struct message {
    const piece_t *piece;
    mst_array_copy_t *const *copy; /* of no line */
    slot_t *slot;
    bool is_line; /* in this use */
    size_t nbytes;
} message_t;

static message_t message_of(const maestro_plan_t *plan, const side_t *side, const peer_t *peer, int number) {
    const piece_t *piece = &side->piece[peer->first_piece + number];
    return (message_t){.piece = piece,
                       .copy = piece->is_line ? NULL : &side->copy[piece->at],
                       .slot = &side->slot[peer->first_slot + number % nslots_of(peer)],
                       .is_line = piece->is_line && plan->nfields == 1,
                       .nbytes = mst_mpi_packed_nbytes(&plan->fields, piece->count, plan->nfields)};
}

/* Packs it, and says where it lies. */
static const char *pack(const maestro_plan_t *plan, packed_t *packed, const peer_t *peer, const message_t *message) {
    mst_array_handover_t *handover = packed->handover ? &packed->handover[peer - packed->send.peer] : NULL;
    const mst_mpi_fields_t *fields = &plan->fields;
    const piece_t *piece = message->piece;
    if (message->is_line) return (const char *)plan->from[0] + piece->at;
    for (size_t f = 0; f < plan->nfields; f++) {
        char *to = message->slot->buffer + mst_mpi_packed_nbytes(fields, piece->count, f);
        const mst_array_copy_t *copy = piece->is_line ? NULL : message->copy[fields->kind_of[f]];
        if (copy && handover) mst_array_handover_pack(handover, &packed->scratch, copy, plan->from[f], to);
        else if (copy) mst_array_copy_run(copy, plan->from[f], to);
        else memcpy(to, (const char *)plan->from[f] + piece->at, mst_mpi_packed_nbytes(fields, piece->count, 1));
    }
    if (handover) mst_array_handover_end(handover, 0);
    return message->slot->buffer;
}

static void unpack(const maestro_plan_t *plan, const message_t *message) {
    const mst_mpi_fields_t *fields = &plan->fields;
    const piece_t *piece = message->piece;
    for (size_t f = 0; f < plan->nfields && !message->is_line; f++) {
        const char *from = message->slot->buffer + mst_mpi_packed_nbytes(fields, piece->count, f);
        if (!piece->is_line) mst_array_copy_run(message->copy[fields->kind_of[f]], from, plan->to[f]);
        else memcpy((char *)plan->to[f] + piece->at, from, mst_mpi_packed_nbytes(fields, piece->count, 1));
    }
}

static maestro_status_t send_next(const maestro_plan_t *plan, packed_t *packed, peer_t *peer) {
    message_t message = message_of(plan, &packed->send, peer, peer->begun++);
    return mst_mpi_transfer_send(plan, &message.slot->transfer, peer->rank, pack(plan, packed, peer, &message), (int)message.nbytes, MPI_BYTE);
}

static maestro_status_t receive_next(const maestro_plan_t *plan, packed_t *packed, peer_t *peer) {
    message_t message = message_of(plan, &packed->receive, peer, peer->begun++);
    char *to = message.is_line ? (char *)plan->to[0] + message.piece->at : message.slot->buffer;
    return mst_mpi_transfer_receive(plan, &message.slot->transfer, peer->rank, to, (int)message.nbytes, MPI_BYTE);
}

/* ---- Use */
typedef maestro_status_t (*next_fn)(const maestro_plan_t *plan, packed_t *packed, peer_t *peer);

static maestro_status_t begin(const maestro_plan_t *plan, packed_t *packed, const side_t *side, next_fn next) {
    for (int i = 0; i < side->npeers; i++) {
        peer_t *peer = &side->peer[i];
        peer->begun = peer->done = 0;
        while (peer->begun < nslots_of(peer)) MST_TRY(next(plan, packed, peer));
    }
    return MAESTRO_OK;
}

static maestro_status_t start(const maestro_plan_t *plan, void *state) {
    packed_t *packed = state;
    packed->failed = MAESTRO_OK;
    MST_TRY(begin(plan, packed, &packed->receive, receive_next));
    return begin(plan, packed, &packed->send, send_next);
}

/* OK: all pieces of the peer have come. */
static maestro_status_t progress_receive(const maestro_plan_t *plan, packed_t *packed, peer_t *peer) {
    for (; peer->done < peer->npieces; peer->done++) {
        message_t message = message_of(plan, &packed->receive, peer, peer->done);
        maestro_status_t status = mst_mpi_transfer_arrived(plan, &message.slot->transfer, peer->rank, MPI_BYTE, (int64_t)message.nbytes);
        if (status != MAESTRO_OK) return status;
        unpack(plan, &message);
        if (peer->begun < peer->npieces) MST_TRY(receive_next(plan, packed, peer));
    }
    return MAESTRO_OK;
}

static maestro_status_t progress_send(const maestro_plan_t *plan, packed_t *packed, peer_t *peer) {
    for (; peer->done < peer->npieces; peer->done++) {
        maestro_status_t status = mst_mpi_transfer_sent(&message_of(plan, &packed->send, peer, peer->done).slot->transfer);
        if (status != MAESTRO_OK) return status;
        if (peer->begun < peer->npieces) MST_TRY(send_next(plan, packed, peer));
    }
    return MAESTRO_OK;
}

static maestro_status_t progress_all(const maestro_plan_t *plan, packed_t *packed) {
    bool all = true;
    for (int i = 0; i < packed->receive.npeers; i++) {
        maestro_status_t status = progress_receive(plan, packed, &packed->receive.peer[i]);
        if (status < 0) return status;
        all = all && status == MAESTRO_OK;
    }
    for (int i = 0; i < packed->send.npeers; i++) {
        peer_t *peer = &packed->send.peer[i];
        if (!all && peer->begun == peer->npieces) continue; /* a look takes MPI's time, and receives move sends on */
        maestro_status_t status = progress_send(plan, packed, peer);
        if (status < 0) return status;
        all = all && status == MAESTRO_OK;
    }
    return all ? MAESTRO_OK : MAESTRO_IN_PROGRESS;
}

static maestro_status_t progress(const maestro_plan_t *plan, void *state) {
    packed_t *packed = state;
    return packed->failed ? mst_base_fail(packed->failed, "%s", packed->why) : progress_all(plan, packed);
}

/* Others may wait for pieces that have not been sent. */
static void help(const maestro_plan_t *plan, void *state) {
    packed_t *packed = state;
    maestro_status_t status = packed->failed ? packed->failed : progress_all(plan, packed);
    if (status >= 0 || packed->failed) return;
    packed->failed = status;
    snprintf(packed->why, sizeof packed->why, "%s", maestro_last_error());
}

/* Whoever waits for pieces that will not come gets one without bytes, and knows. */
static void give_up(const maestro_plan_t *plan, const side_t *side) {
    MPI_Request request;
    for (int i = 0; i < side->npeers && mst_mpi_is_running(); i++) {
        const peer_t *peer = &side->peer[i];
        if (plan->running && peer->begun == peer->npieces) continue;
        if (MPI_Isend(NULL, 0, MPI_BYTE, peer->rank, plan->tag, plan->comm.comm, &request) == MPI_SUCCESS) MPI_Request_free(&request);
    }
}

static void abandon(const maestro_plan_t *plan, void *state) {
    packed_t *packed = state;
    give_up(plan, &packed->send);
    for (int s = 0; s < packed->receive.nslots; s++) mst_mpi_transfer_cancel(&packed->receive.slot[s].transfer);
}

#define METHOD(number_, name_, create_)                                                                                                            \
    {.number = number_, .name = name_, .within = name_, .between = name_, .create = create_, .start = start, .progress = progress, .help = help, \
     .abandon = abandon, .destroy = destroy}

const mst_mpi_method_t mst_mpi_packed = METHOD(MAESTRO_METHOD_PACKED, "packed", create);
const mst_mpi_method_t mst_mpi_buffered = METHOD(MAESTRO_METHOD_BUFFERED, "buffered", create_buffered);
