/* The plans that live, by their addresses: a handle that is none of them is refused, without a look at its memory, however long ago its plan has ended.
 * An address that malloc gives again is that of another plan; so that this is not soon, memory of ended plans is given back only after that of KEPT others. */
#include "mpi/plan.h"

#include <pthread.h>

enum { KEPT = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static maestro_plan_t **live, *ended[KEPT]; /* live: sorted */
static size_t nlive, capacity, nended;

/* How many lie below; the plan's place if it is there. */
static size_t count_below(const maestro_plan_t *plan) {
    size_t low = 0, high = nlive;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)live[middle] < (uintptr_t)plan) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool is_live(const maestro_plan_t *plan) {
    pthread_mutex_lock(&lock);
    size_t place = count_below(plan);
    bool found = place < nlive && live[place] == plan;
    pthread_mutex_unlock(&lock);
    return found;
}

static bool add(maestro_plan_t *plan) {
    pthread_mutex_lock(&lock);
    bool room = MST_RESERVE(live, capacity, nlive + 1, 8);
    if (room) {
        size_t place = count_below(plan);
        memmove(&live[place + 1], &live[place], (nlive++ - place) * sizeof(maestro_plan_t *));
        live[place] = plan;
    }
    pthread_mutex_unlock(&lock);
    return room;
}

maestro_plan_t *mst_mpi_plan_new(void) {
    maestro_plan_t *plan = calloc(1, sizeof *plan);
    if (plan && add(plan)) return plan;
    free(plan);
    return NULL;
}

void mst_mpi_plan_end(maestro_plan_t *plan) {
    pthread_mutex_lock(&lock);
    size_t place = count_below(plan);
    memmove(&live[place], &live[place + 1], (--nlive - place) * sizeof(maestro_plan_t *));
    maestro_plan_t **oldest = &ended[nended++ % KEPT];
    free(*oldest);
    *oldest = plan;
    pthread_mutex_unlock(&lock);
}

maestro_status_t mst_mpi_plan_check(const maestro_plan_t *plan, const char *what) {
    if (MST_LIKELY(plan && is_live(plan))) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, plan ? "%s: the plan has been destroyed" : "%s: the plan is NULL", what);
}
