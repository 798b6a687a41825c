/* The method of shared memory: what another rank of the node has, a rank copies itself, straight out of the other's memory where that is from maestro_alloc,
 * else out of what the other has packed.  Ranks of other nodes are left to messages.
 *
 * A source says on its board that use n is ready, and where; a target that has read it says so on its own.  Use n of the source is over when all its targets
 * have said so, so what stands on a board does not change while it is read. */
#include "mpi/board.h"
#include "mpi/plan.h"

#include <sys/mman.h>

static const char WHAT[] = "redistribution in shared memory";

typedef struct target {
    int number; /* in the node */
    bool done;
    size_t nbytes;
    mst_array_copy_t *pack;
} target_t;

typedef struct window window_t; /* a segment of a source, mapped */
struct window {
    uint64_t serial;
    size_t nbytes;
    const void *base;
    window_t *next;
};

typedef struct source {
    int rank, number;
    bool done;
    size_t nbytes;
    mst_array_copy_t *direct, *unpack;
    window_t *windows; /* the last used first */
} source_t;

typedef struct shared {
    mst_mpi_boards_t boards;
    uint64_t use;
    int ntargets, nsources;
    target_t *target;
    source_t *source;
    void *messages; /* the state of the packed method, for other nodes */
} shared_t;

/* ---- Making */
/* Shares with ranks of the node are made into targets or sources; the others are listed as they are. */
static bool is_of_node(const maestro_plan_t *plan, const shared_t *shared, const mst_mpi_share_t *share, int *number) {
    *number = mst_mpi_boards_number(&shared->boards, share->rank);
    return *number >= 0 && share->rank != plan->comm.rank && share->moves.count > 0;
}

static maestro_status_t make_targets(const maestro_plan_t *plan, shared_t *shared, const mst_mpi_shares_t *sends) {
    shared->target = calloc((size_t)sends->nshares + 1, sizeof *shared->target);
    if (!shared->target) return mst_base_fail_errno(WHAT);
    for (int64_t i = 0; i < sends->nshares; i++) {
        const mst_mpi_share_t *share = &sends->share[i];
        int number;
        if (!is_of_node(plan, shared, share, &number)) continue;
        target_t *target = &shared->target[shared->ntargets++];
        *target = (target_t){.number = number};
        MST_TRY(mst_array_copy_create(&share->moves, MST_ARRAY_PACK, &plan->field, plan->moved_nbytes, &target->pack));
        target->nbytes = mst_array_copy_nbytes(target->pack);
    }
    return MAESTRO_OK;
}

static maestro_status_t make_sources(const maestro_plan_t *plan, shared_t *shared, const mst_mpi_shares_t *receives) {
    shared->source = calloc((size_t)receives->nshares + 1, sizeof *shared->source);
    if (!shared->source) return mst_base_fail_errno(WHAT);
    for (int64_t i = 0; i < receives->nshares; i++) {
        const mst_mpi_share_t *share = &receives->share[i];
        int number;
        if (!is_of_node(plan, shared, share, &number)) continue;
        source_t *source = &shared->source[shared->nsources++];
        *source = (source_t){.rank = share->rank, .number = number};
        MST_TRY(mst_array_copy_create(&share->moves, MST_ARRAY_DIRECT, &plan->field, plan->moved_nbytes, &source->direct));
        MST_TRY(mst_array_copy_create(&share->moves, MST_ARRAY_UNPACK, &plan->field, plan->moved_nbytes, &source->unpack));
        source->nbytes = mst_array_copy_nbytes(source->unpack);
    }
    return MAESTRO_OK;
}

/* `status`: this rank has failed already, and takes part with an empty board. */
static maestro_status_t make_boards(const maestro_plan_t *plan, shared_t *shared, maestro_status_t status) {
    size_t nnode = (size_t)shared->boards.plan.nnode, *room_nbytes = calloc(nnode + 1, sizeof *room_nbytes);
    bool *reads = calloc(nnode + 1, sizeof *reads);
    if (!room_nbytes || !reads) status = mst_base_fail_errno(WHAT);
    for (int i = 0; i < shared->ntargets && status == MAESTRO_OK; i++) {
        reads[shared->target[i].number] = true;
        room_nbytes[shared->target[i].number] = shared->target[i].nbytes * plan->max_fields;
    }
    for (int i = 0; i < shared->nsources && status == MAESTRO_OK; i++) reads[shared->source[i].number] = true;
    maestro_status_t made = room_nbytes && reads ? mst_mpi_boards_make(&plan->comm, plan->max_fields, room_nbytes, reads, &shared->boards) : status;
    free(room_nbytes);
    free(reads);
    return status != MAESTRO_OK ? status : made;
}

/* Without copying: the moves stay those of `shares`. */
static maestro_status_t of_other_nodes(const shared_t *shared, const mst_mpi_shares_t *shares, mst_mpi_shares_t *others) {
    others->share = malloc((size_t)(shares->nshares + 1) * sizeof *others->share);
    if (!others->share) return mst_base_fail_errno(WHAT);
    for (int64_t i = 0; i < shares->nshares; i++)
        if (mst_mpi_boards_number(&shared->boards, shares->share[i].rank) < 0) others->share[others->nshares++] = shares->share[i];
    return MAESTRO_OK;
}

static maestro_status_t make_messages(const maestro_plan_t *plan, shared_t *shared, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    mst_mpi_shares_t sent = {0}, received = {0};
    maestro_status_t status = of_other_nodes(shared, sends, &sent);
    if (status == MAESTRO_OK) status = of_other_nodes(shared, receives, &received);
    if (status == MAESTRO_OK) status = mst_mpi_packed.create(plan, &sent, &received, &shared->messages);
    free(sent.share);
    free(received.share);
    return status;
}

static maestro_status_t create(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out) {
    shared_t *shared = *state_out = calloc(1, sizeof *shared);
    MST_TRY(mst_mpi_agree(&plan->comm, shared ? mst_mpi_boards_meet(&plan->comm, &shared->boards) : mst_base_fail_errno(WHAT), -1));
    maestro_status_t status = make_targets(plan, shared, sends);
    if (status == MAESTRO_OK) status = make_sources(plan, shared, receives);
    status = make_boards(plan, shared, status);
    return status == MAESTRO_OK ? make_messages(plan, shared, sends, receives) : status;
}

static void destroy_source(source_t *source) {
    while (source->windows) {
        window_t *window = source->windows;
        source->windows = window->next;
        munmap((void *)(uintptr_t)window->base, window->nbytes);
        free(window);
    }
    mst_array_copy_destroy(source->direct);
    mst_array_copy_destroy(source->unpack);
}

static void destroy(void *state) {
    shared_t *shared = state;
    if (!shared) return;
    for (int i = 0; i < shared->ntargets; i++) mst_array_copy_destroy(shared->target[i].pack);
    for (int i = 0; i < shared->nsources; i++) destroy_source(&shared->source[i]);
    mst_mpi_packed.destroy(shared->messages);
    mst_mpi_boards_fini(&shared->boards);
    free(shared->target);
    free(shared->source);
    free(shared);
}

/* ---- The source's side */
/* False: a field lies in memory that others cannot read. */
static bool show_fields(const maestro_plan_t *plan, const shared_t *shared) {
    mst_mpi_board_field_t *field = mst_mpi_board_fields(&shared->boards, shared->boards.own);
    for (size_t f = 0; f < plan->nfields; f++)
        if (!mst_mpi_memory_find(plan->from[f], &field[f].segment, &field[f].offset)) return false;
    return true;
}

static void pack_all(const maestro_plan_t *plan, const shared_t *shared) {
    for (int i = 0; i < shared->ntargets; i++) {
        const target_t *target = &shared->target[i];
        char *room = shared->boards.own + mst_mpi_board_places(&shared->boards, shared->boards.own)[target->number];
        for (size_t f = 0; f < plan->nfields; f++) mst_array_copy_run(target->pack, plan->from[f], room + f * target->nbytes);
    }
}

static maestro_status_t start(const maestro_plan_t *plan, void *state) {
    shared_t *shared = state;
    shared->use++;
    for (int i = 0; i < shared->ntargets; i++) shared->target[i].done = false;
    for (int i = 0; i < shared->nsources; i++) shared->source[i].done = false;
    if (shared->ntargets) {
        mst_mpi_board_head_t *head = mst_mpi_board_head(shared->boards.own);
        head->nfields = plan->nfields;
        head->is_packed = !show_fields(plan, shared);
        if (head->is_packed) pack_all(plan, shared);
        atomic_store(&head->ready, shared->use); /* in the strictest order: what was written past the caches comes before it too */
    }
    return mst_mpi_packed.start(plan, shared->messages);
}

static maestro_status_t check_failed(const shared_t *shared, int number) {
    if (!atomic_load_explicit(&mst_mpi_board_head(shared->boards.base[number])->failed, memory_order_relaxed)) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the use has failed on rank %d; all ranks must start as many fields", WHAT, shared->boards.rank[number]);
}

/* ---- The target's side */
static maestro_status_t open_window(source_t *source, const mst_mpi_segment_t *segment, const char **base_out) {
    for (window_t *window = source->windows; window; window = window->next)
        if (window->serial == segment->serial) {
            *base_out = window->base;
            return MAESTRO_OK;
        }
    window_t *window = calloc(1, sizeof *window);
    if (!window) return mst_base_fail_errno(WHAT);
    maestro_status_t status = mst_mpi_segment_map(segment, &window->base);
    if (status != MAESTRO_OK) {
        free(window);
        return status;
    }
    window->serial = segment->serial;
    window->nbytes = segment->nbytes;
    window->next = source->windows;
    source->windows = window;
    *base_out = window->base;
    return MAESTRO_OK;
}

static maestro_status_t read_source(const maestro_plan_t *plan, shared_t *shared, source_t *source) {
    const char *board = shared->boards.base[source->number], *base;
    const mst_mpi_board_head_t *head = mst_mpi_board_head(board);
    if (head->nfields != plan->nfields)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: rank %d gives %llu fields, this rank takes %zu; all ranks must start as many", WHAT, source->rank,
                             (unsigned long long)head->nfields, plan->nfields);
    const char *room = board + mst_mpi_board_places(&shared->boards, board)[shared->boards.plan.node_rank];
    for (size_t f = 0; f < plan->nfields; f++) {
        const mst_mpi_board_field_t *field = &mst_mpi_board_fields(&shared->boards, board)[f];
        if (head->is_packed) {
            mst_array_copy_run(source->unpack, room + f * source->nbytes, plan->to[f]);
            continue;
        }
        MST_TRY(open_window(source, &field->segment, &base));
        mst_array_copy_run(source->direct, base + field->offset, plan->to[f]);
    }
    return MAESTRO_OK;
}

/* Every source that is ready is read. */
static maestro_status_t read_sources(const maestro_plan_t *plan, shared_t *shared, bool *all) {
    for (int i = 0; i < shared->nsources; i++) {
        source_t *source = &shared->source[i];
        if (source->done) continue;
        MST_TRY(check_failed(shared, source->number));
        if (atomic_load_explicit(&mst_mpi_board_head(shared->boards.base[source->number])->ready, memory_order_acquire) < shared->use) {
            *all = false;
            continue;
        }
        MST_TRY(read_source(plan, shared, source));
        atomic_store_explicit(mst_mpi_board_read(shared->boards.own, source->number), shared->use, memory_order_release);
        source->done = true;
    }
    return MAESTRO_OK;
}

static maestro_status_t check_targets(shared_t *shared, bool *all) {
    for (int i = 0; i < shared->ntargets; i++) {
        target_t *target = &shared->target[i];
        if (target->done) continue;
        const char *board = shared->boards.base[target->number];
        target->done = atomic_load_explicit(mst_mpi_board_read(board, shared->boards.plan.node_rank), memory_order_acquire) >= shared->use;
        if (target->done) continue;
        MST_TRY(check_failed(shared, target->number));
        *all = false;
    }
    return MAESTRO_OK;
}

static maestro_status_t progress(const maestro_plan_t *plan, void *state) {
    shared_t *shared = state;
    bool all = true;
    MST_TRY(read_sources(plan, shared, &all));
    MST_TRY(check_targets(shared, &all));
    maestro_status_t status = mst_mpi_packed.progress(plan, shared->messages);
    return status == MAESTRO_OK && !all ? MAESTRO_IN_PROGRESS : status;
}

static void abandon(void *state) {
    shared_t *shared = state;
    atomic_store(&mst_mpi_board_head(shared->boards.own)->failed, 1);
    mst_mpi_packed.abandon(shared->messages);
}

const mst_mpi_method_t mst_mpi_shared = {.number = MAESTRO_METHOD_SHARED, .name = "shared", .create = create, .start = start,
                                         .progress = progress, .abandon = abandon, .destroy = destroy};
