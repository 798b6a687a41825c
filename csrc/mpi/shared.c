/* The methods of shared memory.  What another rank of the node has, a rank reads itself: straight out of the other's memory, or out of what the other has
 * packed for it.  Ranks of other nodes are left to messages.
 *
 *   SHARED  long lines are read straight from memory of maestro_alloc: one copy, but the source waits until it has been read.  Short ones are packed by their
 *           owner, for whom they cost less than for a rank that has to fetch a cache line for each; and whatever lies in memory that others cannot read.
 *   STAGED  everything is packed: two copies, but the source is done when it has packed.
 * What goes to other nodes goes by one of the methods of messages, whichever: `far`.
 * A use of a channel (board.h): the source fills the slot, as soon as its target has read it as that of the last use but one, and says that it is ready; the
 * target reads it and says so.  Both methods have the same state. */
#include "array/handover.h"

#include "mpi/board.h"
#include "mpi/part.h"
#include "mpi/plan.h"
#include "mpi/window.h"

static const char WHAT[] = "redistribution in shared memory";

typedef struct peer {
    int rank, number; /* in the communicator, in the node */
    int64_t count;    /* elements of a field */
    mst_mpi_part_t *part;     /* one for each kind */
    mst_mpi_channel_t channel;
    mst_array_handover_t handover; /* to a target */
    uint64_t learnt;               /* the use of which the time that it took to read has been heard */
    bool given, done; /* a source of its own: its slot is filled; nothing more has to be done */
    mst_mpi_windows_t windows;
} peer_t;

typedef struct shared {
    const mst_mpi_fields_t *fields;
    mst_mpi_boards_t boards;
    uint64_t use;
    int ntargets, nsources;
    peer_t *target, *source;
    mst_mpi_board_field_t *lies; /* where each field of the source lies in memory that others can read */
    mst_array_scratch_t scratch;
    const mst_mpi_method_t *far;
    void *messages; /* its state */
} shared_t;

/* ---- Making */
static maestro_status_t make_peer(const maestro_plan_t *plan, const mst_mpi_share_t *share, int number, bool sent, peer_t *peer) {
    *peer = (peer_t){.rank = share->rank, .number = number, .count = share->moves.count};
    peer->part = calloc((size_t)plan->fields.nkinds, sizeof *peer->part);
    if (!peer->part) return mst_base_fail_errno(WHAT);
    int64_t whole = sent ? plan->sent : plan->moved;
    for (int k = 0; k < plan->fields.nkinds; k++) MST_TRY(mst_mpi_part_init(&share->moves, sent, &plan->fields.kind[k], whole, &peer->part[k]));
    return MAESTRO_OK;
}

/* Shares with other ranks of the node. */
static maestro_status_t make_peers(const maestro_plan_t *plan, const mst_mpi_shares_t *shares, bool sent, int *npeers, peer_t **peer_out) {
    peer_t *peer = *peer_out = calloc((size_t)shares->nshares + 1, sizeof *peer);
    if (!peer) return mst_base_fail_errno(WHAT);
    for (int64_t i = 0; i < shares->nshares; i++) {
        const mst_mpi_share_t *share = &shares->share[i];
        int number = mst_mpi_comm_number(&plan->comm, share->rank);
        if (number >= 0 && share->rank != plan->comm.rank && share->moves.count) MST_TRY(make_peer(plan, share, number, sent, &peer[(*npeers)++]));
    }
    return MAESTRO_OK;
}

static size_t room_nbytes(const shared_t *shared, const peer_t *peer) { return mst_mpi_packed_nbytes(shared->fields, peer->count, shared->fields->count); }

static void find_channels(const maestro_plan_t *plan, shared_t *shared) {
    int own = plan->comm.node_rank;
    for (int i = 0; i < shared->ntargets; i++)
        mst_mpi_boards_channel(&shared->boards, own, shared->target[i].number, room_nbytes(shared, &shared->target[i]), &shared->target[i].channel);
    for (int i = 0; i < shared->nsources; i++)
        mst_mpi_boards_channel(&shared->boards, shared->source[i].number, own, room_nbytes(shared, &shared->source[i]), &shared->source[i].channel);
}

/* `status`: of this rank so far. */
static maestro_status_t make_boards(const maestro_plan_t *plan, shared_t *shared, maestro_status_t status) {
    size_t nnode = (size_t)plan->comm.nnode, *nbytes = calloc(nnode, sizeof *nbytes);
    bool *reads = calloc(nnode, sizeof *reads);
    if (!nbytes || !reads) status = mst_base_fail_errno(WHAT);
    for (int i = 0; i < shared->ntargets && status == MAESTRO_OK; i++) {
        reads[shared->target[i].number] = true;
        nbytes[shared->target[i].number] = room_nbytes(shared, &shared->target[i]);
    }
    for (int i = 0; i < shared->nsources && status == MAESTRO_OK; i++) reads[shared->source[i].number] = true;
    status = mst_mpi_boards_make(&plan->comm, shared->fields->count, nbytes, reads, status, &shared->boards);
    if (status == MAESTRO_OK) find_channels(plan, shared);
    free(nbytes);
    free(reads);
    return status;
}

/* Without copying: the moves stay those of `shares`. */
static maestro_status_t of_other_nodes(const maestro_plan_t *plan, const mst_mpi_shares_t *shares, mst_mpi_shares_t *others) {
    others->share = malloc((size_t)(shares->nshares + 1) * sizeof *others->share);
    if (!others->share) return mst_base_fail_errno(WHAT);
    for (int64_t i = 0; i < shares->nshares; i++)
        if (mst_mpi_comm_number(&plan->comm, shares->share[i].rank) < 0) others->share[others->nshares++] = shares->share[i];
    return MAESTRO_OK;
}

static maestro_status_t make_messages(const maestro_plan_t *plan, shared_t *shared, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    mst_mpi_shares_t sent = {0}, received = {0};
    maestro_status_t status = of_other_nodes(plan, sends, &sent);
    if (status == MAESTRO_OK) status = of_other_nodes(plan, receives, &received);
    if (status == MAESTRO_OK) status = shared->far->create(plan, &sent, &received, &shared->messages);
    free(sent.share);
    free(received.share);
    return status;
}

static maestro_status_t create(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, const mst_mpi_method_t *far,
                               void **state_out) {
    shared_t *shared = *state_out = calloc(1, sizeof *shared);
    if (shared) shared->lies = calloc(plan->fields.count, sizeof *shared->lies);
    MST_TRY(mst_mpi_agree(&plan->comm, shared && shared->lies ? MAESTRO_OK : mst_base_fail_errno(WHAT), -1));
    shared->fields = &plan->fields;
    shared->far = far;
    maestro_status_t status = make_peers(plan, sends, true, &shared->ntargets, &shared->target);
    if (status == MAESTRO_OK) status = make_peers(plan, receives, false, &shared->nsources, &shared->source);
    status = make_boards(plan, shared, status);
    return status == MAESTRO_OK ? make_messages(plan, shared, sends, receives) : status;
}

static void destroy_peers(const mst_mpi_fields_t *fields, peer_t *peer, int npeers) {
    for (int i = 0; i < npeers; i++) {
        for (int k = 0; peer[i].part && k < fields->nkinds; k++) mst_mpi_part_fini(&peer[i].part[k]);
        mst_mpi_windows_fini(&peer[i].windows);
        free(peer[i].part);
    }
    free(peer);
}

/* The first reason counts. */
static void end(shared_t *shared, uint64_t reason) {
    uint64_t alive = 0;
    atomic_compare_exchange_strong(&mst_mpi_board_head(shared->boards.own)->end, &alive, reason);
}

static void destroy(void *state) {
    shared_t *shared = state;
    if (!shared) return;
    if (shared->boards.own) end(shared, MST_MPI_ENDED);
    destroy_peers(shared->fields, shared->target, shared->ntargets);
    destroy_peers(shared->fields, shared->source, shared->nsources);
    if (shared->far) shared->far->destroy(shared->messages);
    mst_mpi_boards_fini(&shared->boards);
    mst_array_scratch_fini(&shared->scratch);
    free(shared->lies);
    free(shared);
}

/* Scratch arrays of others, and what was packed where most is to be read as it lies. */
static void forget(const maestro_plan_t *plan, void *state, bool scratch) {
    shared_t *shared = state;
    for (int i = 0; i < shared->nsources && scratch; i++) mst_mpi_windows_fini(&shared->source[i].windows);
    for (int i = 0; i < shared->ntargets && plan->method->number == MAESTRO_METHOD_SHARED; i++)
        for (int s = 0; s < MST_MPI_SLOTS; s++) mst_mpi_board_empty(shared->target[i].channel.room[s], room_nbytes(shared, &shared->target[i]));
}

/* ---- Both sides */
static int slot_of(uint64_t use) { return (int)(use % MST_MPI_SLOTS); }

static mst_mpi_board_head_t *head_of(const shared_t *shared, const peer_t *peer) { return mst_mpi_board_head(shared->boards.base[peer->number]); }

static bool is_alive(const shared_t *shared, const peer_t *peer) {
    return !atomic_load_explicit(&head_of(shared, peer)->end, memory_order_acquire);
}

static maestro_status_t tell_death(const shared_t *shared, const peer_t *peer) {
    if (atomic_load(&head_of(shared, peer)->end) == MST_MPI_FAILED)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: a use has failed on rank %d; all ranks must start as many fields", WHAT, peer->rank);
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: rank %d has destroyed the plan; all ranks must use it as often", WHAT, peer->rank);
}

/* Where a field begins in the room. */
static size_t room_at(const shared_t *shared, const peer_t *peer, size_t f) { return mst_mpi_packed_nbytes(shared->fields, peer->count, f); }

/* ---- The source's side */
static void pack(shared_t *shared, peer_t *target, const mst_mpi_part_t *part, const void *from, char *room, bool long_ones) {
    if (part->long_lines && long_ones) mst_array_handover_pack(&target->handover, &shared->scratch, part->long_lines, from, room);
    if (part->short_lines) mst_array_handover_pack(&target->handover, &shared->scratch, part->short_lines, from, room + part->long_nbytes);
}

/* From uses whose reader has been heard since the last one. */
static void learn(peer_t *target) {
    uint64_t read = atomic_load_explicit(&target->channel.read->use, memory_order_acquire);
    float ns = (float)atomic_load_explicit(&target->channel.read->ns, memory_order_relaxed);
    mst_array_handover_end(&target->handover, read == target->learnt ? -1 : ns);
    target->learnt = read;
}

/* Fills the slot of this use, if the target has read what stands in it. */
static void give(const maestro_plan_t *plan, shared_t *shared, peer_t *target) {
    const mst_mpi_channel_t *channel = &target->channel;
    int s = slot_of(shared->use);
    bool is_read = false; /* something, where it lies */
    if (atomic_load_explicit(&channel->read->use, memory_order_acquire) + MST_MPI_SLOTS < shared->use) return;
    for (size_t f = 0; f < plan->nfields; f++) {
        const mst_mpi_part_t *part = &target->part[shared->fields->kind_of[f]];
        mst_mpi_board_field_t *field = &channel->field[s][f];
        bool readable = part->long_lines && shared->lies[f].segment.nbytes;
        if (readable) *field = shared->lies[f];
        else field->segment.nbytes = 0;
        pack(shared, target, part, plan->from[f], channel->room[s] + room_at(shared, target, f), !readable);
        is_read = is_read || readable;
    }
    channel->slot[s]->nfields = plan->nfields;
    atomic_store_explicit(&channel->slot[s]->ready, shared->use, memory_order_release); /* what was written past the caches is fenced already */
    learn(target);
    target->given = true;
    target->done = !is_read;
}

static maestro_status_t serve_target(const maestro_plan_t *plan, shared_t *shared, peer_t *target) {
    if (!target->given) give(plan, shared, target);
    if (target->done) return MAESTRO_OK;
    if (!target->given) return MAESTRO_IN_PROGRESS;
    target->done = atomic_load_explicit(&target->channel.read->use, memory_order_acquire) >= shared->use;
    return target->done ? MAESTRO_OK : MAESTRO_IN_PROGRESS;
}

/* ---- The target's side */
static maestro_status_t read_field(const maestro_plan_t *plan, shared_t *shared, peer_t *source, size_t f) {
    const mst_mpi_part_t *part = &source->part[shared->fields->kind_of[f]];
    int s = slot_of(shared->use);
    const mst_mpi_board_field_t *field = &source->channel.field[s][f];
    const char *room = source->channel.room[s] + room_at(shared, source, f), *base;
    if (part->short_lines) mst_array_copy_run(part->short_lines, room + part->long_nbytes, plan->to[f]);
    if (!part->long_lines) return MAESTRO_OK;
    if (!field->segment.nbytes) mst_array_copy_run(part->long_lines, room, plan->to[f]);
    else {
        MST_TRY(mst_mpi_windows_open(&source->windows, &field->segment, 4 * (shared->fields->count + 1), &base));
        mst_array_copy_run(part->direct, base + field->offset, plan->to[f]);
    }
    return MAESTRO_OK;
}

/* Whether all lies in the room, and is enough to be timed. */
static bool is_of_room(const maestro_plan_t *plan, const shared_t *shared, const peer_t *source) {
    bool all = room_nbytes(shared, source) >= MST_ARRAY_HANDOVER_LEAST;
    for (size_t f = 0; f < plan->nfields && all; f++) all = !source->channel.field[slot_of(shared->use)][f].segment.nbytes;
    return all;
}

static maestro_status_t read_source(const maestro_plan_t *plan, shared_t *shared, peer_t *source) {
    const mst_mpi_slot_t *slot = source->channel.slot[slot_of(shared->use)];
    if (source->done) return MAESTRO_OK;
    if (atomic_load_explicit(&slot->ready, memory_order_acquire) != shared->use) return MAESTRO_IN_PROGRESS;
    if (slot->nfields != plan->nfields)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: rank %d gives %llu fields, this rank takes %zu; all ranks must start as many", WHAT, source->rank,
                             (unsigned long long)slot->nfields, plan->nfields);
    bool timed = is_of_room(plan, shared, source);
    int64_t begun_ns = timed ? mst_base_now_ns() : 0;
    for (size_t f = 0; f < plan->nfields; f++) MST_TRY(read_field(plan, shared, source, f));
    atomic_store_explicit(&source->channel.read->ns, timed ? (uint64_t)(mst_base_now_ns() - begun_ns) : 0, memory_order_relaxed);
    atomic_store_explicit(&source->channel.read->use, shared->use, memory_order_release);
    source->done = true;
    return MAESTRO_OK;
}

/* ---- Use */
static void find_sources(const maestro_plan_t *plan, shared_t *shared) {
    for (size_t f = 0; f < plan->nfields; f++) {
        mst_mpi_board_field_t *lies = &shared->lies[f];
        bool readable = plan->method->number == MAESTRO_METHOD_SHARED && mst_mpi_memory_find(plan->from[f], &lies->segment, &lies->offset);
        if (!readable) lies->segment.nbytes = 0;
    }
}

static maestro_status_t start(const maestro_plan_t *plan, void *state) {
    shared_t *shared = state;
    shared->use++;
    if (shared->ntargets) find_sources(plan, shared);
    for (int i = 0; i < shared->nsources; i++) shared->source[i].done = false;
    for (int i = 0; i < shared->ntargets; i++) shared->target[i].given = shared->target[i].done = false;
    for (int i = 0; i < shared->ntargets; i++) give(plan, shared, &shared->target[i]);
    return shared->far->start(plan, shared->messages);
}

/* A step with each peer.  Who has come so far may have ended since: what it has done is looked at once more before that counts. */
typedef maestro_status_t (*step_fn)(const maestro_plan_t *plan, shared_t *shared, peer_t *peer);

static maestro_status_t with_all(const maestro_plan_t *plan, shared_t *shared, peer_t *peer, int npeers, step_fn step, bool *all) {
    for (int i = 0; i < npeers; i++) {
        maestro_status_t status = step(plan, shared, &peer[i]);
        if (status == MAESTRO_IN_PROGRESS && !is_alive(shared, &peer[i])) {
            status = step(plan, shared, &peer[i]);
            if (status == MAESTRO_IN_PROGRESS) status = tell_death(shared, &peer[i]);
        }
        if (status < 0) return status;
        *all = *all && status == MAESTRO_OK;
    }
    return MAESTRO_OK;
}

static maestro_status_t progress(const maestro_plan_t *plan, void *state) {
    shared_t *shared = state;
    bool all = true;
    MST_TRY(with_all(plan, shared, shared->source, shared->nsources, read_source, &all));
    MST_TRY(with_all(plan, shared, shared->target, shared->ntargets, serve_target, &all));
    maestro_status_t status = shared->far->progress(plan, shared->messages);
    return status == MAESTRO_OK && !all ? MAESTRO_IN_PROGRESS : status;
}

static void help(const maestro_plan_t *plan, void *state) {
    shared_t *shared = state;
    for (int i = 0; i < shared->nsources; i++) read_source(plan, shared, &shared->source[i]);
    for (int i = 0; i < shared->ntargets; i++) serve_target(plan, shared, &shared->target[i]);
    if (shared->far->help) shared->far->help(plan, shared->messages);
}

static void abandon(const maestro_plan_t *plan, void *state) {
    shared_t *shared = state;
    end(shared, MST_MPI_FAILED);
    shared->far->abandon(plan, shared->messages);
}

/* ---- The four: what is done within a node, and what between nodes */
static maestro_status_t create_packed(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out) {
    return create(plan, sends, receives, &mst_mpi_packed, state_out);
}

static maestro_status_t create_datatypes(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out) {
    return create(plan, sends, receives, &mst_mpi_datatypes, state_out);
}

#define METHOD(number_, name_, within_, between_, create_, of)                                                                                      \
    {.number = number_, .name = name_, .within = within_, .between = between_, .state_of = of, .create = create_, .start = start, .progress = progress, \
     .help = help, .abandon = abandon, .forget = forget, .destroy = destroy}

const mst_mpi_method_t mst_mpi_shared = METHOD(MAESTRO_METHOD_SHARED, "shared", "shared", "packed", create_packed, NULL);
const mst_mpi_method_t mst_mpi_staged = METHOD(MAESTRO_METHOD_STAGED, "staged", "staged", "packed", create_packed, &mst_mpi_shared);
const mst_mpi_method_t mst_mpi_shared_datatypes = METHOD(MAESTRO_METHOD_SHARED, "shared+datatypes", "shared", "datatypes", create_datatypes, NULL);
const mst_mpi_method_t mst_mpi_staged_datatypes =
    METHOD(MAESTRO_METHOD_STAGED, "staged+datatypes", "staged", "datatypes", create_datatypes, &mst_mpi_shared_datatypes);
