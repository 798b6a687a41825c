/* Plans that have ended are kept for a while, marked as such, so that a call with their handle is refused and does not crash; their memory becomes that of
 * later plans, the longest ended first. */
#include "mpi/plan.h"

#include <pthread.h>

enum { KEPT = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static maestro_plan_t *oldest, *newest;
static int nended;

static maestro_plan_t *take_oldest(void) {
    maestro_plan_t *plan = NULL;
    pthread_mutex_lock(&lock);
    if (nended > KEPT) {
        plan = oldest;
        oldest = plan->next;
        nended--;
    }
    pthread_mutex_unlock(&lock);
    return plan;
}

maestro_plan_t *mst_mpi_plan_new(void) {
    maestro_plan_t *plan = take_oldest();
    if (!plan) plan = malloc(sizeof *plan);
    if (plan) *plan = (maestro_plan_t){.alive = true};
    return plan;
}

void mst_mpi_plan_end(maestro_plan_t *plan) {
    *plan = (maestro_plan_t){.alive = false};
    pthread_mutex_lock(&lock);
    if (nended++) newest->next = plan;
    else oldest = plan;
    newest = plan;
    pthread_mutex_unlock(&lock);
}

maestro_status_t mst_mpi_plan_check(const maestro_plan_t *plan, const char *what) {
    if (MST_LIKELY(plan && plan->alive)) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, plan ? "%s: the plan has been destroyed" : "%s: the plan is NULL", what);
}
