/* The choice of a method by trial: all that can be made move arrays in turn, a few times, and the quickest remains.  Every time is that of the slowest rank, so
 * all ranks come to the same choice.  The arrays are the application's if it gives them, else scratch.  Scratch arrays are not of zeros, which some machines move
 * sooner.
 * Least times count, for cores may be shared with others; rounds go on until they have been seen twice, a few after the last method has fallen out.
 * Bounds: scratch arrays take no more than a part of the memory that is free, else nothing is tried; and no round begins after TIME_S but the first WARM + 2,
 * each of a batch of each method that is left: one use of what takes SLOW_S or longer, five of what takes a little less. */
#include "mpi/plan.h"

#include "mem/limits.h"

#include <math.h>

static const double TIMEOUT_S = 60, TIME_S = 0.4, BATCH_S = 5e-4, SLOW_S = 5e-3, DROP = 2, DROP_COLD = 8, NEAR = 1.1, NEARLY = 1.05;
enum { WARM = 2, ROUNDS = 3, ROUNDS_MAX = 100, BATCH_LEAST = 4, BATCH_GROWTH = 4, BATCH_MAX = 200, MEMORY_PART = 8, PEERS_MAX = 1000, ALIGNED = 64 };

typedef struct candidate {
    void *state;
    int tag;         /* its own: messages that a failed use of another has left do not meet its own */
    bool made, shares_state, dropped;
    int batch;       /* uses that are timed together: several, unless they are slow */
    int nrounds;     /* since the first that counts */
    double least_s, second_s; /* of a use, in all of them */
} candidate_t;

typedef struct trial {
    maestro_plan_t *plan;
    const maestro_plan_options_t *options;
    candidate_t candidate[MST_MPI_METHODS];
    char *scratch;
    bool given;      /* arrays are the application's: this rank's; when ranks have agreed, those of all */
    bool is_private; /* scratch is not from maestro_alloc, as fields will not be */
    bool failed;     /* a use on this rank: MPI may still read and write the arrays */
    bool failed_somewhere;
    bool within, between, lines; /* something moves between ranks of a node, of different nodes, in long lines, somewhere */
    double begun_s;
} trial_t;

static double now_s(void) { return (double)mst_base_now_ns() * 1e-9; }

/* ---- The application's arrays, which it gives on all ranks or none is moved */
static bool is_usable(const void *array) {
    mst_mem_place_t place;
    return !mst_mem_device_is_there() || (mst_mem_device_find(array, &place) == MAESTRO_OK && !place.on_device && !place.managed);
}

static maestro_status_t take_given(trial_t *trial) {
    maestro_plan_t *plan = trial->plan;
    const maestro_plan_options_t *options = trial->options;
    bool good = options->try_from || options->try_to;
    if (good) MST_TRY(mst_mpi_plan_take(plan, plan->fields.count, options->try_from, options->try_to));
    for (size_t f = 0; good && f < plan->fields.count; f++)
        good = (!plan->reads || is_usable(plan->from[f])) && (!plan->writes || is_usable(plan->to[f]));
    trial->given = good || !(plan->reads || plan->writes);
    return MAESTRO_OK;
}

/* ---- Scratch arrays: those of all fields in one piece of memory */
static size_t place(const trial_t *trial, size_t f, int side) {
    const maestro_field_t *kind = &trial->plan->fields.kind[trial->plan->fields.kind_of[f]];
    return MST_ALIGN((size_t)trial->plan->staging.nelements[side] * mst_array_element_nbytes(side == MST_MPI_FROM ? kind->from : kind->to), ALIGNED);
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
    enum { ANY = 0x3f }; /* which makes numbers of each type that can be converted */
    size_t nbytes = lay_out(trial, NULL);
    void *scratch = NULL;
    if (trial->is_private) scratch = aligned_alloc(ALIGNED, MST_ALIGN(nbytes + 1, ALIGNED));
    else MST_TRY(maestro_alloc(nbytes, &scratch));
    if (!scratch) return mst_base_fail_errno("trial: %zu bytes", nbytes);
    memset(scratch, ANY, nbytes);
    trial->scratch = scratch;
    lay_out(trial, scratch);
    return MAESTRO_OK;
}

static void free_scratch(const trial_t *trial) {
    if (trial->is_private) free(trial->scratch);
    else maestro_dealloc(trial->scratch);
}

/* ---- Whether to try */
static bool has_room(const trial_t *trial) {
    enum { SMALL = 1 << 22 }; /* always */
    int64_t room;
    for (int s = 0; s < MST_MPI_SIDES; s++)
        if (__builtin_mul_overflow(trial->plan->staging.nelements[s], (int64_t)(32 * trial->plan->fields.count), &room)) return false;
    int64_t nbytes = (int64_t)lay_out(trial, NULL);
    return nbytes <= SMALL || nbytes <= mst_mem_limits_headroom() / MEMORY_PART / trial->plan->comm.nmachine;
}

/* Whether something moves between this rank and others of its node, or of other nodes. */
static bool has_traffic(const maestro_plan_t *plan, bool of_node) {
    bool any = false;
    for (int64_t i = 0; i < plan->ntraffic && !any; i++) any = (mst_mpi_comm_number(&plan->comm, plan->traffic[i].rank) >= 0) == of_node;
    return any;
}

/* Collective: something moves between ranks, all have room, and none has so many peers that the states of all methods would take much of it.  What all ranks
 * have in common is in the trial then. */
static maestro_status_t is_worth_it(trial_t *trial, const mst_mpi_shares_t *sends, bool *worth_out) {
    const maestro_plan_t *plan = trial->plan;
    int own[] = {has_traffic(plan, true), has_traffic(plan, false), mst_mpi_packed_has_lines(plan, sends), !trial->given,
                 !has_room(trial), plan->ntraffic > PEERS_MAX};
    int any[MST_COUNT(own)];
    MST_TRY(mst_mpi_allreduce(&plan->comm, "trial", own, any, MST_COUNT(own), MPI_INT, MPI_MAX));
    trial->within = any[0];
    trial->between = any[1];
    trial->lines = any[2];
    trial->given = !any[3];
    *worth_out = (any[0] || any[1]) && (trial->given || !any[4]) && !any[5];
    return MAESTRO_OK;
}

/* ---- Methods */
static int index_of(const mst_mpi_method_t *method) {
    int i = 0;
    while (mst_mpi_method[i] != method) i++;
    return i;
}

/* SHARED is STAGED, with memory that others cannot read. */
static bool is_as_staged(const trial_t *trial, const mst_mpi_method_t *method) { return trial->is_private && method->number == MAESTRO_METHOD_SHARED; }

/* Whether a method differs from all others where something moves. */
static bool is_of_use(const trial_t *trial, const mst_mpi_method_t *method) {
    bool is_mixed = strcmp(method->within, method->between) != 0;
    if (method == &mst_mpi_buffered && !trial->lines) return false;
    if (is_as_staged(trial, method)) return false;
    if (is_mixed && !trial->within) return false; /* it is its way between nodes */
    return trial->between || strcmp(method->name, method->within) == 0;
}

/* Collective.  What cannot be made is no candidate; OK all the same. */
static void make_candidate(trial_t *trial, int i, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, maestro_status_t *status_out) {
    const mst_mpi_method_t *method = mst_mpi_method[i];
    candidate_t *candidate = &trial->candidate[i];
    *candidate = (candidate_t){.batch = 1, .tag = mst_mpi_comm_tag(&trial->plan->comm, MST_MPI_TAG_DATA)};
    if (method->state_of && is_of_use(trial, method->state_of)) {
        const candidate_t *other = &trial->candidate[index_of(method->state_of)];
        *candidate = (candidate_t){.batch = 1, .tag = other->tag, .made = other->made, .state = other->state, .shares_state = true};
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
    trial->plan->tag = trial->candidate[chosen].tag;
}

static void choose_none(trial_t *trial) {
    trial->plan->method = NULL;
    trial->plan->state = NULL;
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
        if (is_as_staged(trial, mst_mpi_method[i])) continue;
        make_candidate(trial, i, sends, receives, &status);
        if (trial->candidate[i].made) {
            choose(trial, i);
            return MAESTRO_OK;
        }
    }
    return status;
}

/* ---- Rounds */
/* Of one use of a batch, or HUGE_VAL: one has failed, or not ended in time: in less than that in which the ranks for which it has failed wait for the others.
 * Uses go before the batch that find the caches as the method before has left them: what moves the same arrays otherwise slows them to several times. */
static double time_uses(trial_t *trial, int count) {
    maestro_plan_t *plan = trial->plan;
    double timeout_s = mst_base_setting_f64("MAESTRO_TIMEOUT_S", TIMEOUT_S) / 2, begun_s = 0;
    maestro_status_t status = MAESTRO_OK;
    for (int i = count > 1 ? -(count / BATCH_LEAST) : 0; i < count && status == MAESTRO_OK; i++) {
        if (i == 0) begun_s = now_s();
        status = mst_mpi_plan_begin(plan);
        if (status == MAESTRO_OK) status = mst_mpi_plan_finish(plan, timeout_s);
    }
    if (status == MAESTRO_OK) return (now_s() - begun_s) / count;
    if (plan->running) mst_mpi_plan_abandon(plan);
    mst_mpi_comm_spoil(&plan->comm);
    trial->failed = true;
    plan->failed = false; /* which it has not with another method */
    return HUGE_VAL;
}

/* Collective: a batch of each method; the times of the slowest ranks, and the time since the trial began. */
static maestro_status_t time_round(trial_t *trial, double slowest_s[MST_MPI_METHODS + 1]) {
    maestro_plan_t *plan = trial->plan;
    double own_s[MST_MPI_METHODS + 1] = {0};
    for (int i = 0; i < MST_MPI_METHODS; i++) {
        const candidate_t *candidate = &trial->candidate[i];
        if (!candidate->made || candidate->dropped) continue;
        choose(trial, i);
        MST_TRY(mst_mpi_agree(&plan->comm, MAESTRO_OK, -1)); /* a barrier */
        own_s[i] = time_uses(trial, candidate->batch);
    }
    own_s[MST_MPI_METHODS] = now_s() - trial->begun_s;
    return mst_mpi_allreduce(&plan->comm, "trial", own_s, slowest_s, MST_COUNT(own_s), MPI_DOUBLE, MPI_MAX);
}

static int best_of(const double time_s[MST_MPI_METHODS]) {
    int best = -1;
    for (int i = 0; i < MST_MPI_METHODS; i++)
        if (time_s[i] > 0 && (best < 0 || time_s[i] < time_s[best])) best = i;
    return best;
}

static void take_time(candidate_t *candidate, double s) {
    double batch = BATCH_S / s, most = BATCH_GROWTH * candidate->batch;
    if (most > BATCH_MAX) most = BATCH_MAX;
    candidate->batch = s > SLOW_S ? 1 : batch > most ? (int)most : batch < BATCH_LEAST ? BATCH_LEAST : (int)batch;
    if (!candidate->nrounds++) candidate->least_s = candidate->second_s = HUGE_VAL;
    if (s < candidate->least_s) {
        candidate->second_s = candidate->least_s;
        candidate->least_s = s;
    } else if (s < candidate->second_s) candidate->second_s = s;
}

/* A use of it has failed on some rank: it is never chosen, nor what has the same state. */
static void drop_failed(trial_t *trial, const double round_s[MST_MPI_METHODS]) {
    for (int i = 0; i < MST_MPI_METHODS; i++)
        for (int j = 0; j < MST_MPI_METHODS && round_s[i] == HUGE_VAL; j++) {
            candidate_t *other = &trial->candidate[j];
            trial->failed_somewhere = true;
            if (other->state != trial->candidate[i].state) continue;
            other->dropped = true;
            other->least_s = HUGE_VAL;
        }
}

/* A method falls out that has been looked at a few times, or once if that takes long, and is clearly slower; or twice, while pages are being made, and is
 * hopeless: for the one after it finds other caches.  Returns whether any fell out. */
static bool judge(trial_t *trial, const double round_s[MST_MPI_METHODS], bool cold) {
    double least_s[MST_MPI_METHODS];
    bool any = false;
    for (int i = 0; i < MST_MPI_METHODS; i++) {
        candidate_t *candidate = &trial->candidate[i];
        if (round_s[i] > 0) take_time(candidate, round_s[i]);
    }
    drop_failed(trial, round_s);
    for (int i = 0; i < MST_MPI_METHODS; i++) least_s[i] = trial->candidate[i].least_s;
    double best_s = least_s[best_of(least_s)], drop = cold ? DROP_COLD : DROP;
    for (int i = 0; i < MST_MPI_METHODS; i++) {
        candidate_t *candidate = &trial->candidate[i];
        int looks = cold ? WARM : candidate->least_s < SLOW_S ? ROUNDS : 1;
        if (!candidate->made || candidate->dropped || candidate->nrounds < looks || candidate->least_s <= drop * best_s) continue;
        candidate->dropped = any = true;
    }
    return any;
}

/* Whether the least time of each method that is left has been seen twice. */
static bool is_sure(const trial_t *trial) {
    bool sure = true;
    for (int i = 0; i < MST_MPI_METHODS; i++) {
        const candidate_t *candidate = &trial->candidate[i];
        if (candidate->made && !candidate->dropped) sure = sure && candidate->second_s < NEAR * candidate->least_s;
    }
    return sure;
}

static maestro_status_t run_rounds(trial_t *trial) {
    double round_s[MST_MPI_METHODS + 1];
    int since = WARM; /* the first round of those methods that are left */
    trial->begun_s = now_s();
    trial->plan->nfields = trial->plan->fields.count;
    for (int r = 0; r < WARM + ROUNDS_MAX; r++) {
        MST_TRY(time_round(trial, round_s));
        if (judge(trial, round_s, r < WARM) && r >= WARM) since = r + 1;
        for (int i = 0; i < MST_MPI_METHODS && r == WARM - 1; i++) trial->candidate[i].nrounds = 0;
        if (r > WARM && round_s[MST_MPI_METHODS] > TIME_S) break;
        if (r >= since + ROUNDS && is_sure(trial)) break;
    }
    for (int i = 0; i < MST_MPI_METHODS; i++)
        if (trial->candidate[i].least_s < HUGE_VAL) trial->plan->trial_s[i] = trial->candidate[i].least_s;
    return MAESTRO_OK;
}

/* The one that stands first among those that are nearly as quick as the quickest; -1: none has been timed. */
static int best_method(const double trial_s[MST_MPI_METHODS]) {
    int best = best_of(trial_s), i = 0;
    if (best < 0) return -1;
    while (trial_s[i] <= 0 || trial_s[i] > NEARLY * trial_s[best]) i++;
    return i;
}

/* Collective: the same on all ranks, for they have the same times and agree that they have. */
static maestro_status_t choose_quickest(trial_t *trial, int *chosen_out) {
    MST_TRY(run_rounds(trial)); /* else the communicator is lost */
    MST_TRY(mst_mpi_agree(&trial->plan->comm, MAESTRO_OK, -1));
    if (trial->given && trial->failed_somewhere)
        return mst_base_fail(MAESTRO_SYSTEM, "redistribution: a method has failed on some rank in the trial, and MPI may still use the arrays that it was given; "
                                             "choose a method as option method, or let scratch arrays be tried");
    int best = best_method(trial->plan->trial_s);
    if (best < 0) return mst_base_fail(MAESTRO_SYSTEM, "redistribution: each method has failed on some rank in its trial; try one of them as option method");
    *chosen_out = best;
    return MAESTRO_OK;
}

static int first_made(const trial_t *trial) {
    int i = 0;
    while (i < MST_MPI_METHODS && !trial->candidate[i].made) i++;
    return i;
}

static maestro_status_t try_all(trial_t *trial, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    maestro_status_t status = MAESTRO_OK;
    for (int i = 0; i < MST_MPI_METHODS; i++)
        if (is_of_use(trial, mst_mpi_method[i])) make_candidate(trial, i, sends, receives, &status);
    int chosen = first_made(trial);
    if (chosen == MST_MPI_METHODS) return status;
    bool ready = trial->given || mst_mpi_agree(&trial->plan->comm, make_scratch(trial), -1) == MAESTRO_OK;
    status = ready ? choose_quickest(trial, &chosen) : MAESTRO_OK;
    if (status == MAESTRO_OK) choose(trial, chosen);
    else choose_none(trial);
    destroy_others(trial);
    const mst_mpi_method_t *method = trial->plan->method;
    if (method && method->forget && (trial->given || !trial->is_private)) method->forget(trial->plan, trial->plan->state, !trial->given);
    if (!trial->failed && !trial->given) free_scratch(trial); /* else MPI keeps it */
    return status;
}

maestro_status_t mst_mpi_trial(maestro_plan_t *plan, const maestro_plan_options_t *options, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives) {
    trial_t trial = {.plan = plan, .options = options, .is_private = options->method == MAESTRO_METHOD_AUTO_PRIVATE};
    bool worth_it;
    MST_TRY(mst_mpi_agree(&plan->comm, take_given(&trial), -1));
    MST_TRY(is_worth_it(&trial, sends, &worth_it));
    return worth_it ? try_all(&trial, sends, receives) : take_first(&trial, sends, receives);
}
