/* The choice of a method by trial: all that can be made move scratch arrays in turn, a few times, and the quickest remains.  Every time is that of the slowest
 * rank, so all ranks come to the same choice.
 * Bounds: scratch arrays take no more than a part of the memory that is free, else nothing is tried; and the whole takes some uses of small arrays, or as
 * long as TIME_S, or WARM + 1 uses of each method, whichever is longer. */
#include "mpi/plan.h"

#include "mem/limits.h"

#include <math.h>

static const double TIME_S = 0.2, BATCH_S = 2e-5, SLOW_S = 5e-3, DROP = 2, DROP_COLD = 8;
enum { WARM = 2, ROUNDS = 5, BATCH_MAX = 16, MEMORY_PART = 8, ALIGNED = 64 };

typedef struct candidate {
    void *state;
    bool made, shares_state, dropped;
    int batch;       /* uses that are timed together */
    double least_s;  /* of a use; 0: not known yet */
} candidate_t;

typedef struct trial {
    maestro_plan_t *plan;
    candidate_t candidate[MST_MPI_METHODS];
    int64_t nelements[MST_MPI_SIDES]; /* in this rank's parts, ghost cells too */
    char *scratch;
    double begun_s;
} trial_t;

static double now_s(void) { return (double)mst_base_now_ns() * 1e-9; }

/* ---- Scratch arrays: those of all fields in one piece of memory */
static int64_t nelements_of(const mst_mpi_comm_t *comm, const maestro_layout_t *layout, int64_t part) {
    maestro_local_t local;
    if (!layout) return 0;
    if (part < 0) part = layout->family == MST_ARRAY_REGULAR ? comm->rank : 0;
    return maestro_layout_local(layout, part, &local) == MAESTRO_OK ? local.nelements : 0;
}

static size_t place(const trial_t *trial, size_t f, int side) {
    const maestro_field_t *kind = &trial->plan->fields.kind[trial->plan->fields.kind_of[f]];
    return MST_ALIGN((size_t)trial->nelements[side] * mst_array_element_nbytes(side == MST_MPI_FROM ? kind->from : kind->to), ALIGNED);
}

static size_t lay_out(const trial_t *trial, char *scratch) {
    maestro_plan_t *plan = trial->plan;
    size_t at = 0;
    for (size_t f = 0; f < plan->fields.count; f++) {
        if (scratch) plan->from[f] = scratch + at;
        if (!plan->is_halo) at += place(trial, f, MST_MPI_FROM);
        if (scratch) plan->to[f] = scratch + at;
        at += place(trial, f, MST_MPI_TO);
    }
    return at;
}

static maestro_status_t make_scratch(trial_t *trial) {
    size_t nbytes = lay_out(trial, NULL);
    void *scratch;
    MST_TRY(maestro_alloc(nbytes, &scratch));
    memset(scratch, 0, nbytes);
    trial->scratch = scratch;
    lay_out(trial, scratch);
    return MAESTRO_OK;
}

/* ---- Whether to try */
static bool has_room(const trial_t *trial) {
    enum { SMALL = 1 << 22 }; /* always */
    int64_t room;
    for (int s = 0; s < MST_MPI_SIDES; s++)
        if (__builtin_mul_overflow(trial->nelements[s], (int64_t)(32 * trial->plan->fields.count), &room)) return false;
    int64_t nbytes = (int64_t)lay_out(trial, NULL);
    return nbytes <= SMALL || nbytes <= mst_mem_limits_headroom() / MEMORY_PART / trial->plan->comm.nnode;
}

/* Collective: something moves between ranks, and all have room. */
static maestro_status_t is_worth_it(const trial_t *trial, bool *worth_out) {
    int own[] = {trial->plan->ntraffic > 0, !has_room(trial)}, any[2];
    MST_TRY(mst_mpi_check("trial", MPI_Allreduce(own, any, 2, MPI_INT, MPI_MAX, trial->plan->comm.comm)));
    *worth_out = any[0] && !any[1];
    return MAESTRO_OK;
}

/* ---- Methods */
static int index_of(const mst_mpi_method_t *method) {
    int i = 0;
    while (mst_mpi_method[i] != method) i++;
    return i;
}

/* Collective.  What cannot be made is no candidate; OK all the same. */
static void make_candidate(trial_t *trial, int i, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, maestro_status_t *status_out) {
    const mst_mpi_method_t *method = mst_mpi_method[i];
    candidate_t *candidate = &trial->candidate[i];
    *candidate = (candidate_t){.batch = 1};
    if (method->state_of) {
        const candidate_t *other = &trial->candidate[index_of(method->state_of)];
        *candidate = (candidate_t){.batch = 1, .made = other->made, .state = other->state, .shares_state = true};
        return;
    }
    *status_out = mst_mpi_agree(&trial->plan->comm, method->create(trial->plan, sends, receives, &candidate->state), -1);
    candidate->made = *status_out == MAESTRO_OK;
    if (candidate->made) return;
    method->destroy(candidate->state);
    candidate->state = NULL;
}

static void choose(trial_t *trial, int chosen) {
    trial->plan->method = mst_mpi_method[chosen];
    trial->plan->state = trial->candidate[chosen].state;
}

/* All but the chosen one. */
static void destroy_others(const trial_t *trial) {
    for (int i = 0; i < MST_MPI_METHODS; i++) {
        const candidate_t *candidate = &trial->candidate[i];
        if (candidate->made && !candidate->shares_state && candidate->state != trial->plan->state) mst_mpi_method[i]->destroy(candidate->state);
    }
}

/* Without a trial: shared memory where it can be had, else messages. */
static maestro_status_t take_first(trial_t *trial, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    maestro_status_t status = MAESTRO_OK;
    for (int i = 0; i < MST_MPI_METHODS; i++) {
        make_candidate(trial, i, sends, receives, &status);
        if (trial->candidate[i].made) {
            choose(trial, i);
            return MAESTRO_OK;
        }
    }
    return status;
}

/* ---- Rounds */
static double time_uses(maestro_plan_t *plan, int count) {
    double begun_s = now_s();
    maestro_status_t status = MAESTRO_OK;
    for (int i = 0; i < count && status == MAESTRO_OK; i++) {
        status = mst_mpi_plan_begin(plan);
        if (status == MAESTRO_OK) status = mst_mpi_plan_finish(plan, -1);
    }
    plan->failed = plan->running = false;
    return status == MAESTRO_OK ? (now_s() - begun_s) / count : HUGE_VAL;
}

/* Collective: a batch of each method; the times of the slowest ranks, and the time since the trial began. */
static maestro_status_t time_round(trial_t *trial, double slowest_s[MST_MPI_METHODS + 1]) {
    maestro_plan_t *plan = trial->plan;
    double own_s[MST_MPI_METHODS + 1] = {0};
    for (int i = 0; i < MST_MPI_METHODS; i++) {
        const candidate_t *candidate = &trial->candidate[i];
        if (!candidate->made || candidate->dropped) continue;
        choose(trial, i);
        MST_TRY(mst_mpi_check("trial", MPI_Barrier(plan->comm.comm)));
        own_s[i] = time_uses(plan, candidate->batch);
    }
    own_s[MST_MPI_METHODS] = now_s() - trial->begun_s;
    return mst_mpi_check("trial", MPI_Allreduce(own_s, slowest_s, MST_MPI_METHODS + 1, MPI_DOUBLE, MPI_MAX, plan->comm.comm));
}

static int best_of(const double time_s[MST_MPI_METHODS]) {
    int best = -1;
    for (int i = 0; i < MST_MPI_METHODS; i++)
        if (time_s[i] > 0 && (best < 0 || time_s[i] < time_s[best])) best = i;
    return best;
}

/* While pages are being made, only what is hopeless is dropped. */
static void judge(trial_t *trial, const double round_s[MST_MPI_METHODS], bool cold) {
    double best_s = round_s[best_of(round_s)];
    for (int i = 0; i < MST_MPI_METHODS; i++) {
        candidate_t *candidate = &trial->candidate[i];
        if (round_s[i] <= 0) continue;
        candidate->dropped = cold ? round_s[i] > DROP_COLD * best_s && round_s[i] > SLOW_S : round_s[i] > DROP * best_s;
        candidate->dropped = candidate->dropped || round_s[i] == HUGE_VAL;
        double batch = BATCH_S / round_s[i];
        candidate->batch = batch < 1 ? 1 : batch > BATCH_MAX ? BATCH_MAX : (int)batch;
        if (!cold && (!candidate->least_s || round_s[i] < candidate->least_s)) candidate->least_s = round_s[i];
    }
}

static maestro_status_t run_rounds(trial_t *trial) {
    double round_s[MST_MPI_METHODS + 1];
    trial->begun_s = now_s();
    trial->plan->nfields = trial->plan->fields.count;
    for (int r = 0; r < WARM + ROUNDS; r++) {
        MST_TRY(time_round(trial, round_s));
        judge(trial, round_s, r < WARM);
        if (r >= WARM && round_s[MST_MPI_METHODS] > TIME_S) break;
    }
    for (int i = 0; i < MST_MPI_METHODS; i++) trial->plan->trial_s[i] = trial->candidate[i].least_s;
    return MAESTRO_OK;
}

static int first_made(const trial_t *trial) {
    int i = 0;
    while (i < MST_MPI_METHODS && !trial->candidate[i].made) i++;
    return i;
}

static maestro_status_t try_all(trial_t *trial, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    maestro_status_t status = MAESTRO_OK;
    for (int i = 0; i < MST_MPI_METHODS; i++) make_candidate(trial, i, sends, receives, &status);
    int chosen = first_made(trial);
    if (chosen == MST_MPI_METHODS) return status;
    status = mst_mpi_agree(&trial->plan->comm, make_scratch(trial), -1);
    if (status == MAESTRO_OK) status = run_rounds(trial);
    if (status == MAESTRO_OK && best_of(trial->plan->trial_s) >= 0) chosen = best_of(trial->plan->trial_s);
    choose(trial, chosen);
    destroy_others(trial);
    if (trial->plan->method->forget) trial->plan->method->forget(trial->plan->state);
    maestro_dealloc(trial->scratch);
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_trial(maestro_plan_t *plan, const mst_mpi_request_t *request, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    const maestro_plan_options_t *options = &request->options;
    trial_t trial = {.plan = plan};
    bool worth_it;
    trial.nelements[MST_MPI_FROM] = nelements_of(&plan->comm, request->from, options->from_part);
    trial.nelements[MST_MPI_TO] = plan->is_halo ? trial.nelements[MST_MPI_FROM] : nelements_of(&plan->comm, request->to, options->to_part);
    MST_TRY(is_worth_it(&trial, &worth_it));
    return worth_it ? try_all(&trial, sends, receives) : take_first(&trial, sends, receives);
}
