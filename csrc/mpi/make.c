/* The making of a plan: arguments checked and compared, layouts matched, own copies and a method made.  Every step is agreed on, so that all ranks get the same
 * plan or the same error. */
#include "mpi/plan.h"

#include <limits.h>

static const char WHAT[] = "redistribution";
enum { FIELDS_MAX = 1 << 20 };

const mst_mpi_method_t *const mst_mpi_method[MST_MPI_METHODS] = {&mst_mpi_shared,    &mst_mpi_staged,   &mst_mpi_packed,
                                                                 &mst_mpi_datatypes, &mst_mpi_buffered, &mst_mpi_shared_datatypes,
                                                                 &mst_mpi_staged_datatypes};

mst_mpi_tuning_t mst_mpi_tuning = {.piece_nbytes = 512 << 10};

/* ---- Options */
void maestro_plan_options_init(maestro_plan_options_t *options) {
    *options = (maestro_plan_options_t){.size = sizeof *options, .from_part = -1, .to_part = -1, .max_fields = 1};
}

static void take_options(const maestro_plan_options_t *options, maestro_plan_options_t *taken) {
    maestro_plan_options_init(taken);
    if (options && options->size == sizeof *options) *taken = *options;
    else if (options) taken->size = options->size; /* to be refused with the others */
}

static bool is_auto(maestro_method_t number) { return number == MAESTRO_METHOD_AUTO || number == MAESTRO_METHOD_AUTO_PRIVATE; }

static bool is_method(maestro_method_t number) {
    bool found = is_auto(number);
    for (size_t i = 0; i < MST_MPI_METHODS; i++) found = found || mst_mpi_method[i]->number == number;
    return found;
}

/* ---- Arguments */
static maestro_status_t check_options(const mst_mpi_request_t *request) {
    const maestro_plan_options_t *options = &request->options;
    if (options->size != sizeof *options)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the options' size is %zu, expected %zu; call maestro_plan_options_init first", request->what,
                             options->size, sizeof *options);
    if (!is_method(options->method)) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: there is no method %d", request->what, (int)options->method);
    if (!options->max_fields || options->max_fields > FIELDS_MAX)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: option max_fields is %zu; it may be 1 to %d", request->what, options->max_fields, FIELDS_MAX);
    return MAESTRO_OK;
}

static maestro_status_t check_fields(const mst_mpi_request_t *request, const mst_mpi_fields_t *fields) {
    if (!mst_mpi_fields_convert(fields)) return MAESTRO_OK;
    if (request->is_halo)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: a field is converted or scaled; ghost cells are of the same array", request->what);
    if (request->options.method == MAESTRO_METHOD_DATATYPES)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: a field is converted or scaled, which MPI datatypes cannot do; choose another method, or AUTO",
                             request->what);
    return MAESTRO_OK;
}

static maestro_status_t take_arguments(const mst_mpi_request_t *request, maestro_element_t element, maestro_plan_t *plan) {
    MST_TRY(check_options(request));
    MST_TRY(mst_mpi_fields_init(request->options.max_fields, element, request->options.fields, &plan->fields));
    return check_fields(request, &plan->fields);
}

static int64_t periodic_dimensions(const maestro_plan_options_t *options) {
    int64_t bits = 0;
    for (int d = 0; d < MAESTRO_DIMENSIONS_MAX; d++) bits |= (int64_t)options->periodic[d] << d;
    return bits;
}

static maestro_status_t begin(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, maestro_status_t status, const mst_mpi_fields_t *fields) {
    const maestro_plan_options_t *options = &request->options;
    const mst_mpi_same_t same[] = {
        {.name = "size of elements", .value = (int64_t)request->element_nbytes},
        {.name = "method", .value = options->method},
        {.name = "option partial", .value = options->partial},
        {.name = "option max_fields", .value = (int64_t)options->max_fields},
        {.name = "option periodic, one bit a dimension,", .value = periodic_dimensions(options)},
        {.name = "types of fields", .value = status == MAESTRO_OK ? (int64_t)mst_mpi_fields_hash(fields) : 0, .is_hash = true},
    };
    return mst_mpi_begin(comm, request->what, status, same, MST_COUNT(same));
}

/* ---- Traffic */
/* With which rank the next share is that moves something to another rank; INT_MAX: there is none. */
static int next_rank(const maestro_plan_t *plan, const mst_mpi_shares_t *shares, int64_t *i) {
    while (*i < shares->nshares && (shares->share[*i].rank == plan->comm.rank || !shares->share[*i].moves.count)) ++*i;
    return *i < shares->nshares ? shares->share[*i].rank : INT_MAX;
}

static void count_traffic(maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    for (int64_t s = 0, r = 0;;) {
        int to = next_rank(plan, sends, &s), from = next_rank(plan, receives, &r), rank = to < from ? to : from;
        if (rank == INT_MAX) return;
        mst_mpi_traffic_t *traffic = &plan->traffic[plan->ntraffic++];
        *traffic = (mst_mpi_traffic_t){.rank = rank};
        if (to == rank) traffic->sent = sends->share[s++].moves.count;
        if (from == rank) traffic->received = receives->share[r++].moves.count;
    }
}

static maestro_status_t make_traffic(maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    plan->traffic = malloc((size_t)(sends->nshares + receives->nshares + 1) * sizeof *plan->traffic);
    if (!plan->traffic) return mst_base_fail_errno(WHAT);
    count_traffic(plan, sends, receives);
    mst_mpi_traffic_t *trimmed = realloc(plan->traffic, (size_t)(plan->ntraffic + 1) * sizeof *trimmed); /* as a rule both are with the same ranks */
    if (trimmed) plan->traffic = trimmed;
    plan->moved = plan->kept;
    plan->reads = plan->writes = plan->kept > 0;
    for (int64_t i = 0; i < plan->ntraffic; i++) {
        const mst_mpi_traffic_t *traffic = &plan->traffic[i];
        int64_t room;
        if (__builtin_mul_overflow(traffic->sent + traffic->received, (int64_t)plan->fields.packed_at[plan->fields.count] * 4, &room))
            return mst_base_fail(MAESTRO_TOO_LARGE, "%s: %zu fields of %lld elements with rank %d; take fewer fields, or more ranks", WHAT, plan->fields.count,
                                 (long long)(traffic->sent + traffic->received), traffic->rank);
        plan->sent += traffic->sent;
        plan->moved += traffic->received;
        plan->reads = plan->reads || traffic->sent;
        plan->writes = plan->writes || traffic->received;
    }
    return MAESTRO_OK;
}

static const mst_array_moves_t *kept_moves(const maestro_plan_t *plan, const mst_mpi_shares_t *sends) {
    for (int64_t i = 0; i < sends->nshares; i++)
        if (sends->share[i].rank == plan->comm.rank && sends->share[i].moves.count) return &sends->share[i].moves;
    return NULL;
}

maestro_status_t mst_mpi_plan_fill(maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    const mst_array_moves_t *kept = kept_moves(plan, sends);
    plan->from = calloc(plan->fields.count, sizeof *plan->from);
    plan->to = calloc(plan->fields.count, sizeof *plan->to);
    if (!plan->from || !plan->to) return mst_base_fail_errno(WHAT);
    plan->kept = kept ? kept->count : 0;
    MST_TRY(make_traffic(plan, sends, receives));
    if (!kept) return MAESTRO_OK;
    plan->own = calloc((size_t)plan->fields.nkinds, sizeof *plan->own);
    if (!plan->own) return mst_base_fail_errno(WHAT);
    return mst_mpi_copies_make(&plan->fields, kept, MST_ARRAY_DIRECT, plan->moved, plan->own);
}

/* ---- The method that was asked for */
static maestro_status_t make_method(maestro_plan_t *plan, maestro_method_t number, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    bool datatypes = mst_mpi_tuning.datatypes_between && !mst_mpi_fields_convert(&plan->fields);
    for (size_t i = 0; i < MST_MPI_METHODS; i++) {
        bool wanted = !plan->method || (datatypes && strcmp(mst_mpi_method[i]->between, mst_mpi_datatypes.between) == 0);
        if (mst_mpi_method[i]->number == number && wanted) plan->method = mst_mpi_method[i];
    }
    return mst_mpi_agree(&plan->comm, plan->method->create(plan, sends, receives, &plan->state), -1);
}

static maestro_status_t make_all(maestro_plan_t *plan, const mst_mpi_request_t *request) {
    mst_mpi_shares_t sends = {0}, receives = {0};
    maestro_status_t status = mst_mpi_match(&plan->comm, request, &sends, &receives);
    if (status == MAESTRO_OK) mst_mpi_staging_init(plan, request);
    if (status == MAESTRO_OK) status = mst_mpi_agree(&plan->comm, mst_mpi_plan_fill(plan, &sends, &receives), -1);
    const maestro_plan_options_t *options = &request->options;
    if (status == MAESTRO_OK && is_auto(options->method)) status = mst_mpi_trial(plan, options, &sends, &receives);
    else if (status == MAESTRO_OK) status = make_method(plan, options->method, &sends, &receives);
    mst_mpi_shares_fini(&sends);
    mst_mpi_shares_fini(&receives);
    return status;
}

static void unmake(maestro_plan_t *plan) {
    if (plan->method) plan->method->destroy(plan->state);
    mst_mpi_copies_end(&plan->fields, plan->own);
    mst_mpi_staging_fini(plan);
    mst_mpi_fields_fini(&plan->fields);
    mst_mpi_comm_close(&plan->comm);
    free(plan->own);
    free(plan->traffic);
    free(plan->from);
    free(plan->to);
    mst_mpi_plan_end(plan);
}

/* All ranks are here. */
static maestro_status_t make_plan(mst_mpi_request_t *request, maestro_element_t element, mst_mpi_comm_t *comm, maestro_plan_t **plan_out) {
    maestro_plan_t *plan = mst_mpi_plan_new();
    request->element_nbytes = mst_array_element_nbytes(element);
    maestro_status_t status = plan ? take_arguments(request, element, plan) : mst_base_fail_errno("%s", request->what);
    if (!plan_out) status = mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the output is NULL", request->what);
    if (!plan) {
        status = mst_mpi_begin(comm, request->what, status, NULL, 0);
        mst_mpi_comm_close(comm);
        return status;
    }
    plan->comm = *comm;
    plan->is_halo = request->is_halo;
    status = begin(comm, request, status, &plan->fields);
    if (status == MAESTRO_OK) { /* on all ranks or none, so they have given as many tags */
        plan->tag = mst_mpi_comm_tag(&plan->comm, MST_MPI_TAG_DATA);
        status = make_all(plan, request);
    }
    if (status == MAESTRO_OK) *plan_out = plan;
    else unmake(plan);
    return status;
}

static maestro_status_t make(mst_mpi_request_t request, maestro_element_t element, maestro_comm_t handle, const maestro_plan_options_t *options,
                             maestro_plan_t **plan_out) {
    mst_mpi_comm_t comm;
    take_options(options, &request.options);
    MST_TRY(mst_mpi_comm_open(request.what, handle, &comm));
    return make_plan(&request, element, &comm, plan_out);
}

maestro_status_t maestro_redistribute(const maestro_layout_t *from, const maestro_layout_t *to, maestro_element_t element, maestro_comm_t comm,
                                      const maestro_plan_options_t *options, maestro_plan_t **plan_out) {
    return make((mst_mpi_request_t){.what = "redistribute", .from = from, .to = to}, element, comm, options, plan_out);
}

maestro_status_t maestro_halo(const maestro_layout_t *layout, maestro_element_t element, maestro_comm_t comm, const maestro_plan_options_t *options,
                              maestro_plan_t **plan_out) {
    return make((mst_mpi_request_t){.what = "halo", .from = layout, .is_halo = true}, element, comm, options, plan_out);
}

/* ---- The end */
maestro_status_t maestro_plan_destroy(maestro_plan_t *plan) {
    if (!plan) return MAESTRO_OK;
    MST_TRY(mst_mpi_plan_check(plan, "destroy a redistribution"));
    maestro_status_t status = MAESTRO_OK;
    if (plan->running && mst_mpi_is_running()) status = mst_mpi_plan_finish(plan, -1);
    else if (plan->running) status = mst_base_fail(MAESTRO_WRONG_STATE, "destroy a redistribution: it runs, and MPI has been finalised; wait for it before");
    if (plan->running) mst_mpi_plan_abandon(plan);
    if (plan->failed) mst_mpi_comm_spoil(&plan->comm);
    unmake(plan);
    return status;
}
