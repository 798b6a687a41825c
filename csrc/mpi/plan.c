/* See plan.h and maestro.h. */
#include "mpi/plan.h"

#include <limits.h>
#include <sched.h>

static const mst_mpi_method_t *const methods[] = {&mst_mpi_shared, &mst_mpi_packed}; /* AUTO takes the first that can be made */

static const double TIMEOUT_S = 60;
static const char WHAT[] = "redistribution";

/* ---- Options */
void maestro_plan_options_init(maestro_plan_options_t *options) {
    *options = (maestro_plan_options_t){.size = sizeof *options, .from_part = -1, .to_part = -1, .max_fields = 1};
}

static bool is_method(maestro_method_t number) {
    bool found = number == MAESTRO_METHOD_AUTO;
    for (size_t i = 0; i < MST_COUNT(methods); i++) found = found || methods[i]->number == number;
    return found;
}

static bool is_element(size_t nbytes) { return nbytes == 1 || nbytes == 2 || nbytes == 4 || nbytes == 8 || nbytes == 16; }

static maestro_status_t check_request(const mst_mpi_request_t *request) {
    const maestro_plan_options_t *options = &request->options;
    if (options->size != sizeof *options)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "redistribute: the options' size is %zu, expected %zu; call maestro_plan_options_init first",
                             options->size, sizeof *options);
    if (!is_element(request->element_nbytes))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT,
                             "redistribute: elements of %zu bytes; they may have 1, 2, 4, 8 or 16: make a dimension of what is in one",
                             request->element_nbytes);
    if (!is_method(options->method)) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "redistribute: there is no method %d", (int)options->method);
    if (!options->max_fields || options->max_fields > INT_MAX)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "redistribute: option max_fields is %zu; it may be 1 to %d", options->max_fields, INT_MAX);
    return MAESTRO_OK;
}

/* ---- Making */
static int64_t count_traffic(const maestro_plan_t *plan, const mst_mpi_shares_t *shares, bool sent, mst_mpi_traffic_t *traffic, int64_t ntraffic) {
    for (int64_t i = 0, k = 0; i < shares->nshares; i++) {
        const mst_mpi_share_t *share = &shares->share[i];
        if (share->rank == plan->comm.rank || !share->moves.count) continue;
        while (k < ntraffic && traffic[k].rank < share->rank) k++;
        if (k == ntraffic || traffic[k].rank != share->rank) {
            memmove(&traffic[k + 1], &traffic[k], (size_t)(ntraffic++ - k) * sizeof *traffic);
            traffic[k] = (mst_mpi_traffic_t){.rank = share->rank};
        }
        *(sent ? &traffic[k].sent_nbytes : &traffic[k].received_nbytes) = share->moves.count * (int64_t)plan->element_nbytes;
    }
    return ntraffic;
}

static size_t moved_nbytes(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    int64_t count = 0;
    for (int64_t i = 0; i < receives->nshares; i++) count += receives->share[i].moves.count;
    for (int64_t i = 0; i < sends->nshares; i++)
        if (sends->share[i].rank == plan->comm.rank) count += sends->share[i].moves.count;
    return (size_t)count * plan->element_nbytes;
}

static maestro_status_t make_own(maestro_plan_t *plan, const mst_mpi_shares_t *sends) {
    for (int64_t i = 0; i < sends->nshares; i++)
        if (sends->share[i].rank == plan->comm.rank && sends->share[i].moves.count)
            MST_TRY(mst_array_copy_create(&sends->share[i].moves, MST_ARRAY_DIRECT, &plan->field, plan->moved_nbytes, &plan->own));
    return MAESTRO_OK;
}

static maestro_status_t make(maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    plan->from = calloc(plan->max_fields, sizeof *plan->from);
    plan->to = calloc(plan->max_fields, sizeof *plan->to);
    plan->traffic = malloc((size_t)(sends->nshares + receives->nshares + 1) * sizeof *plan->traffic);
    if (!plan->from || !plan->to || !plan->traffic) return mst_base_fail_errno(WHAT);
    plan->ntraffic = count_traffic(plan, sends, true, plan->traffic, 0);
    plan->ntraffic = count_traffic(plan, receives, false, plan->traffic, plan->ntraffic);
    plan->moved_nbytes = moved_nbytes(plan, sends, receives);
    MST_TRY(make_own(plan, sends));
    plan->reads = plan->writes = plan->own != NULL;
    for (int64_t i = 0; i < plan->ntraffic; i++) {
        plan->reads = plan->reads || plan->traffic[i].sent_nbytes;
        plan->writes = plan->writes || plan->traffic[i].received_nbytes;
    }
    return MAESTRO_OK;
}

static void plan_free(maestro_plan_t *plan) {
    if (plan->method) plan->method->destroy(plan->state);
    mst_array_copy_destroy(plan->own);
    mst_mpi_comm_close(&plan->comm);
    free(plan->traffic);
    free(plan->from);
    free(plan->to);
    free(plan);
}

/* The method that was asked for, or the first that can be made: the same on all ranks. */
static maestro_status_t choose_method(maestro_plan_t *plan, maestro_method_t number, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    maestro_status_t status = MAESTRO_OK;
    for (size_t i = 0; i < MST_COUNT(methods); i++) {
        if (number != MAESTRO_METHOD_AUTO && number != methods[i]->number) continue;
        plan->method = methods[i];
        plan->state = NULL;
        status = mst_mpi_agree(&plan->comm, methods[i]->create(plan, sends, receives, &plan->state), -1);
        if (status == MAESTRO_OK) return MAESTRO_OK;
        methods[i]->destroy(plan->state);
        plan->state = NULL;
    }
    return status;
}

/* All ranks are here, with good arguments. */
static maestro_status_t make_together(const mst_mpi_request_t *request, maestro_plan_t *plan) {
    mst_mpi_shares_t sends = {0}, receives = {0};
    plan->element_nbytes = request->element_nbytes;
    maestro_field_init(&plan->field, (maestro_element_t)request->element_nbytes);
    plan->max_fields = request->options.max_fields;
    maestro_status_t status = mst_mpi_match(&plan->comm, request, &sends, &receives);
    if (status == MAESTRO_OK) status = mst_mpi_agree(&plan->comm, make(plan, &sends, &receives), -1);
    if (status == MAESTRO_OK) status = choose_method(plan, request->options.method, &sends, &receives);
    mst_mpi_comm_forget_node(&plan->comm);
    mst_mpi_shares_fini(&sends);
    mst_mpi_shares_fini(&receives);
    return status;
}

static void take_options(const maestro_plan_options_t *options, maestro_plan_options_t *taken) {
    maestro_plan_options_init(taken);
    if (options && options->size == sizeof *options) *taken = *options;
    else if (options) taken->size = options->size; /* to be refused with the others */
}

static maestro_status_t make_plan(mst_mpi_request_t request, maestro_comm_t comm, const maestro_plan_options_t *options, maestro_plan_t **plan_out) {
    mst_mpi_comm_t ours;
    take_options(options, &request.options);
    MST_TRY(mst_mpi_comm_open(request.what, comm, &ours));
    maestro_plan_t *plan = calloc(1, sizeof *plan);
    maestro_status_t status = plan ? check_request(&request) : mst_base_fail_errno("%s", request.what);
    if (!plan_out) status = mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the output is NULL", request.what);
    status = mst_mpi_agree(&ours, status, -1);
    if (status != MAESTRO_OK) {
        free(plan);
        mst_mpi_comm_close(&ours);
        return status;
    }
    plan->comm = ours;
    plan->is_halo = request.is_halo;
    status = make_together(&request, plan);
    if (status != MAESTRO_OK) plan_free(plan);
    else *plan_out = plan;
    return status;
}

maestro_status_t maestro_redistribute(const maestro_layout_t *from, const maestro_layout_t *to, maestro_element_t element, maestro_comm_t comm,
                                      const maestro_plan_options_t *options, maestro_plan_t **plan_out) {
    return make_plan((mst_mpi_request_t){.what = "redistribute", .from = from, .to = to, .element_nbytes = element & 0xff}, comm, options, plan_out);
}

maestro_status_t maestro_halo(const maestro_layout_t *layout, maestro_element_t element, maestro_comm_t comm, const maestro_plan_options_t *options,
                              maestro_plan_t **plan_out) {
    return make_plan((mst_mpi_request_t){.what = "halo", .from = layout, .is_halo = true, .element_nbytes = element & 0xff}, comm, options, plan_out);
}

/* ---- Use */
static void copy_own(const maestro_plan_t *plan) {
    for (size_t f = 0; plan->own && f < plan->nfields; f++) mst_array_copy_run(plan->own, plan->from[f], plan->to[f]);
}

static maestro_status_t take_fields(const maestro_plan_t *plan, bool needed, const char *which, size_t nfields, const void *const *given, const void **taken) {
    for (size_t f = 0; needed && f < nfields; f++) {
        if (!given || !given[f]) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: field %zu of the %s is NULL, and rank %d has a part of it", WHAT, f,
                                                      which, plan->comm.rank);
        taken[f] = given[f];
    }
    return MAESTRO_OK;
}

static void fail(maestro_plan_t *plan) {
    plan->failed = true;
    plan->running = false;
    plan->method->abandon(plan->state);
}

maestro_status_t maestro_plan_start(maestro_plan_t *plan, size_t nfields, const void *const *from, void *const *to) {
    if (!plan) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the plan is NULL", WHAT);
    if (plan->failed) return mst_base_fail(MAESTRO_WRONG_STATE, "%s: an earlier use has failed; make a new plan", WHAT);
    if (plan->running) return mst_base_fail(MAESTRO_WRONG_STATE, "%s: it has been started already; wait for it first", WHAT);
    if (nfields < 1 || nfields > plan->max_fields)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: %zu fields; the plan was made for 1 to %zu, by its option max_fields", WHAT, nfields,
                             plan->max_fields);
    if (plan->is_halo) from = (const void *const *)to;
    MST_TRY(take_fields(plan, plan->reads, "source", nfields, from, plan->from));
    MST_TRY(take_fields(plan, plan->writes, "target", nfields, (const void *const *)to, (const void **)plan->to));
    plan->nfields = nfields;
    plan->running = true;
    maestro_status_t status = plan->method->start(plan, plan->state);
    if (status == MAESTRO_OK) copy_own(plan);
    else fail(plan);
    return status;
}

static maestro_status_t progress(maestro_plan_t *plan) {
    maestro_status_t status = plan->method->progress(plan, plan->state);
    if (status == MAESTRO_OK) plan->running = false;
    if (status < 0) fail(plan);
    return status;
}

static maestro_status_t check_started(const maestro_plan_t *plan) {
    if (!plan) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the plan is NULL", WHAT);
    if (plan->failed) return mst_base_fail(MAESTRO_WRONG_STATE, "%s: an earlier use has failed; make a new plan", WHAT);
    return plan->running ? MAESTRO_OK : mst_base_fail(MAESTRO_WRONG_STATE, "%s: it has not been started", WHAT);
}

maestro_status_t maestro_plan_test(maestro_plan_t *plan) {
    MST_TRY(check_started(plan));
    return progress(plan);
}

/* The clock is looked at now and then, for a look takes as long as a test does. */
maestro_status_t maestro_plan_wait(maestro_plan_t *plan, double timeout_s) {
    enum { LOOKS = 256 };
    int64_t until_ns = 0;
    MST_TRY(check_started(plan));
    if (timeout_s < 0) timeout_s = mst_base_setting_f64("MAESTRO_TIMEOUT_S", TIMEOUT_S);
    for (unsigned i = 1;; i++) {
        maestro_status_t status = progress(plan);
        if (status != MAESTRO_IN_PROGRESS) return status;
        if (plan->comm.crowded) sched_yield();
        if (i % LOOKS) continue;
        if (!until_ns) until_ns = mst_base_deadline_ns(timeout_s);
        else if (mst_base_now_ns() >= until_ns) break;
    }
    return mst_base_fail(MAESTRO_TIMEOUT, "%s: not done after %.3g s, for other ranks have not come so far; wait again, or longer (MAESTRO_TIMEOUT_S)", WHAT,
                         timeout_s);
}

maestro_status_t maestro_plan_run(maestro_plan_t *plan, size_t nfields, const void *const *from, void *const *to) {
    MST_TRY(maestro_plan_start(plan, nfields, from, to));
    return maestro_plan_wait(plan, -1);
}

/* ---- The rest */
maestro_status_t maestro_plan_explain(const maestro_plan_t *plan, char **json_out) {
    mst_base_buffer_t text = {0};
    if (!plan || !json_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "explain a redistribution: the plan or the output is NULL");
    size_t kept = plan->own ? mst_array_copy_nbytes(plan->own) : 0;
    mst_base_buffer_printf(&text, "{\"method\": \"%s\", \"element_bytes\": %zu, \"kept_bytes\": %zu, \"messages\": [", plan->method->name,
                           plan->element_nbytes, kept);
    for (int64_t i = 0; i < plan->ntraffic; i++) {
        const mst_mpi_traffic_t *traffic = &plan->traffic[i];
        mst_base_buffer_printf(&text, "%s{\"rank\": %d, \"sent_bytes\": %lld, \"received_bytes\": %lld}", i ? ", " : "", traffic->rank,
                               (long long)traffic->sent_nbytes,
                               (long long)traffic->received_nbytes);
    }
    mst_base_buffer_printf(&text, "]}");
    if (text.failed) {
        mst_base_buffer_fini(&text);
        return mst_base_fail_errno("explain a redistribution");
    }
    *json_out = text.data;
    return MAESTRO_OK;
}

/* MPICH aborts where a communicator is freed on which a message was sent and not received, as after uses that failed: such a one is left to MPI_Finalize. */
static void leave_messages(maestro_plan_t *plan) {
    int own = plan->failed || plan->running, any = 1, finalised = 0;
    MPI_Finalized(&finalised);
    if (!finalised) MPI_Allreduce(&own, &any, 1, MPI_INT, MPI_MAX, plan->comm.comm);
    if (any) plan->comm.comm = MPI_COMM_NULL;
}

maestro_status_t maestro_plan_destroy(maestro_plan_t *plan) {
    if (!plan) return MAESTRO_OK;
    maestro_status_t status = plan->running ? maestro_plan_wait(plan, -1) : MAESTRO_OK;
    leave_messages(plan);
    plan_free(plan);
    return status;
}
