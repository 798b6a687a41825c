/* See plan.h and maestro.h: the use of a plan, and what it says of itself. */
#include "mpi/plan.h"

#include <sched.h>

static const double TIMEOUT_S = 60;
static const char WHAT[] = "redistribution";

/* ---- A use */
static maestro_plan_t *helping; /* the running plans of this process that others may wait for: ranks wait for their plans in any order */

static void set_running(maestro_plan_t *plan) {
    plan->running = true;
    if (!plan->method->help) return;
    plan->next = helping;
    helping = plan;
}

static void set_ended(maestro_plan_t *plan) {
    plan->running = false;
    for (maestro_plan_t **link = &helping; *link; link = &(*link)->next)
        if (*link == plan) {
            *link = plan->next;
            return;
        }
}

static void help_others(const maestro_plan_t *plan) {
    for (maestro_plan_t *other = helping; other; other = other->next)
        if (other != plan) other->method->help(other, other->state);
}

void mst_mpi_plan_abandon(maestro_plan_t *plan) {
    plan->failed = true;
    plan->method->abandon(plan, plan->state);
    set_ended(plan);
}

static void copy_own(const maestro_plan_t *plan) {
    for (size_t f = 0; plan->own && f < plan->nfields; f++) mst_array_copy_run(plan->own[plan->fields.kind_of[f]], plan->from[f], plan->to[f]);
}

maestro_status_t mst_mpi_plan_begin(maestro_plan_t *plan) {
    set_running(plan);
    maestro_status_t status = plan->method->start(plan, plan->state);
    if (MST_LIKELY(status == MAESTRO_OK)) copy_own(plan);
    else mst_mpi_plan_abandon(plan);
    return status;
}

maestro_status_t mst_mpi_plan_go_on(maestro_plan_t *plan) {
    maestro_status_t status = plan->staging.landing ? MAESTRO_OK : plan->method->progress(plan, plan->state);
    if (status == MAESTRO_OK && MST_UNLIKELY(plan->staging.lands)) status = mst_mpi_staging_land(plan);
    if (status == MAESTRO_OK) set_ended(plan);
    else if (status == MAESTRO_IN_PROGRESS) help_others(plan);
    else mst_mpi_plan_abandon(plan);
    return status;
}

/* Looks at the clock take as long as a test does: now and then.  What takes longer than a moment leaves the core to others. */
maestro_status_t mst_mpi_plan_finish(maestro_plan_t *plan, double timeout_s) {
    enum { LOOKS = 256, MOMENT = 2000 };
    int64_t until_ns = 0;
    for (unsigned i = 1;; i++) {
        maestro_status_t status = mst_mpi_plan_go_on(plan);
        if (status != MAESTRO_IN_PROGRESS) return status;
        if (plan->comm.crowded || i > MOMENT) sched_yield();
        if (i % LOOKS) continue;
        if (until_ns && mst_base_now_ns() >= until_ns) break;
        if (until_ns) continue;
        if (timeout_s < 0) timeout_s = mst_base_setting_f64("MAESTRO_TIMEOUT_S", TIMEOUT_S);
        until_ns = mst_base_deadline_ns(timeout_s);
    }
    return mst_base_fail(MAESTRO_TIMEOUT, "%s: not done after %.3g s, for other ranks have not come so far; wait again, or longer (MAESTRO_TIMEOUT_S)", WHAT,
                         timeout_s);
}

/* ---- The application's calls */
static maestro_status_t take_fields(const maestro_plan_t *plan, bool needed, const char *which, size_t nfields, const void *const *given, const void **taken) {
    for (size_t f = 0; needed && f < nfields; f++) {
        if (!given || !given[f]) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: field %zu of the %s is NULL, and rank %d has a part of it", WHAT, f,
                                                      which, plan->comm.rank);
        taken[f] = given[f];
    }
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_plan_take(maestro_plan_t *plan, size_t nfields, const void *const *from, void *const *to) {
    if (plan->is_halo) from = (const void *const *)to;
    MST_TRY(take_fields(plan, plan->reads, "source", nfields, from, plan->from));
    return take_fields(plan, plan->writes, "target", nfields, (const void *const *)to, (const void **)plan->to);
}

static maestro_status_t check_usable(const maestro_plan_t *plan) {
    MST_TRY(mst_mpi_plan_check(plan, WHAT));
    if (!mst_mpi_is_running()) return mst_base_fail(MAESTRO_WRONG_STATE, "%s: MPI has been finalised", WHAT);
    return plan->failed ? mst_base_fail(MAESTRO_WRONG_STATE, "%s: an earlier use has failed; make a new plan", WHAT) : MAESTRO_OK;
}

/* Where the device has failed others need not wait for this rank, if the method tells them. */
static maestro_status_t stage(maestro_plan_t *plan, void *stream) {
    maestro_status_t status = mst_mpi_staging_begin(plan, stream);
    if (status != MAESTRO_OK && status != MAESTRO_INVALID_ARGUMENT) mst_mpi_plan_abandon(plan);
    return status;
}

maestro_status_t maestro_plan_start_on(maestro_plan_t *plan, void *stream, size_t nfields, const void *const *from, void *const *to) {
    MST_TRY(check_usable(plan));
    if (plan->running) return mst_base_fail(MAESTRO_WRONG_STATE, "%s: it has been started already; wait for it first", WHAT);
    if (nfields < 1 || nfields > plan->fields.count)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: %zu fields; the plan was made for 1 to %zu, by its option max_fields", WHAT, nfields,
                             plan->fields.count);
    MST_TRY(mst_mpi_plan_take(plan, nfields, from, to));
    plan->nfields = nfields;
    MST_TRY(stage(plan, stream));
    return mst_mpi_plan_begin(plan);
}

maestro_status_t maestro_plan_start(maestro_plan_t *plan, size_t nfields, const void *const *from, void *const *to) {
    return maestro_plan_start_on(plan, NULL, nfields, from, to);
}

static maestro_status_t check_started(const maestro_plan_t *plan) {
    MST_TRY(check_usable(plan));
    return plan->running ? MAESTRO_OK : mst_base_fail(MAESTRO_WRONG_STATE, "%s: it has not been started", WHAT);
}

maestro_status_t maestro_plan_test(maestro_plan_t *plan) {
    MST_TRY(check_started(plan));
    return mst_mpi_plan_go_on(plan);
}

maestro_status_t maestro_plan_wait(maestro_plan_t *plan, double timeout_s) {
    MST_TRY(check_started(plan));
    return mst_mpi_plan_finish(plan, timeout_s);
}

maestro_status_t maestro_plan_run(maestro_plan_t *plan, size_t nfields, const void *const *from, void *const *to) {
    MST_TRY(maestro_plan_start(plan, nfields, from, to));
    return mst_mpi_plan_finish(plan, -1);
}

/* ---- What it does */
static void explain_trial(const maestro_plan_t *plan, mst_base_buffer_t *text) {
    bool any = false;
    mst_base_buffer_printf(text, ", \"trial_s\": {");
    for (size_t i = 0; i < MST_MPI_METHODS; i++) {
        if (plan->trial_s[i] <= 0) continue;
        mst_base_buffer_printf(text, "%s\"%s\": %.3g", any ? ", " : "", mst_mpi_method[i]->name, plan->trial_s[i]);
        any = true;
    }
    mst_base_buffer_printf(text, "}");
}

static void explain_messages(const maestro_plan_t *plan, mst_base_buffer_t *text) {
    size_t nbytes = plan->fields.packed_at[1];
    mst_base_buffer_printf(text, ", \"messages\": [");
    for (int64_t i = 0; i < plan->ntraffic; i++) {
        const mst_mpi_traffic_t *traffic = &plan->traffic[i];
        bool of_node = mst_mpi_comm_number(&plan->comm, traffic->rank) >= 0;
        mst_base_buffer_printf(text, "%s{\"rank\": %d, \"way\": \"%s\", \"sent_bytes\": %lld, \"received_bytes\": %lld}", i ? ", " : "", traffic->rank,
                               of_node ? plan->method->within : plan->method->between, (long long)traffic->sent * (long long)nbytes,
                               (long long)traffic->received * (long long)nbytes);
    }
    mst_base_buffer_printf(text, "]");
}

maestro_status_t maestro_plan_explain(const maestro_plan_t *plan, char **json_out) {
    mst_base_buffer_t text = {0};
    MST_TRY(mst_mpi_plan_check(plan, "explain a redistribution"));
    if (!json_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "explain a redistribution: the output is NULL");
    size_t nbytes = plan->fields.packed_at[1];
    mst_base_buffer_printf(&text, "{\"method\": \"%s\", \"element_bytes\": %zu, \"kept_bytes\": %zu", plan->method->name, nbytes, (size_t)plan->kept * nbytes);
    explain_messages(plan, &text);
    explain_trial(plan, &text);
    mst_base_buffer_printf(&text, "}");
    if (text.failed) {
        mst_base_buffer_fini(&text);
        return mst_base_fail_errno("explain a redistribution");
    }
    *json_out = text.data;
    return MAESTRO_OK;
}
