/* How many objects per second go from a producer through the manager to a subscriber: one call an object on both sides, ten attributes set by
 * name, two read by name.  `subscriptions` - 1 others ask for values that never come.  Usage: stream OBJECTS SUBSCRIPTIONS
 *
 * The clock runs from the offer of the first object after the warm-up to the arrival of the last one, across processes.  CPU time per object and
 * process is printed too: on a machine with fewer cores than processes it tells more than the rate. */
#include "bench.h"

typedef struct shared {
    bench_signal_t subscribed;
    long objects, warm, subscriptions;
    _Atomic int64_t start_ns, end_ns;
    int64_t producer_cpu_ns, manager_cpu_ns, consumer_cpu_ns;
    int64_t manager_at_start_ns;
} shared_t;

static void produce(void *argument) {
    shared_t *shared = argument;
    maestro_session_t *session = bench_session("bench-producer");
    pid_t manager = (pid_t)bench_stat(session, "", "pid");
    int64_t cpu = 0;
    bench_await(&shared->subscribed);
    for (long i = 0; i < shared->objects; i++) {
        maestro_cdo_t *cdo = NULL;
        if (i == shared->warm) {
            shared->manager_at_start_ns = bench_cpu_ns_of(manager);
            cpu = bench_cpu_ns();
            shared->start_ns = mst_base_now_ns();
        }
        BENCH_OK(maestro_cdo_declare(session, NULL, &cdo));
        bench_set_ten(cdo, i);
        BENCH_OK(maestro_cdo_offer(cdo));
        BENCH_OK(maestro_cdo_dispose(cdo));
    }
    shared->producer_cpu_ns = bench_cpu_ns() - cpu;
    BENCH_OK(maestro_session_flush(session, BENCH_TIMEOUT_S));
    BENCH_OK(maestro_session_close(session));
}

static void subscribe_to_others(maestro_session_t *session, long count) {
    for (long i = 0; i < count; i++) {
        char selector[64];
        maestro_subscription_t *subscription = NULL;
        snprintf(selector, sizeof selector, "param = other%ld", i);
        BENCH_OK(maestro_subscribe(session, selector, NULL, &subscription));
    }
}

static uint64_t take_one(maestro_subscription_t *subscription) {
    maestro_event_t event;
    int64_t number, step;
    BENCH_OK(maestro_subscription_next(subscription, BENCH_TIMEOUT_S, &event));
    BENCH_CHECK(event.kind == MAESTRO_EVENT_OFFERED && !event.gone);
    BENCH_OK(maestro_cdo_get_i64(event.cdo, "number", &number));
    BENCH_OK(maestro_cdo_get_i64(event.cdo, "step", &step));
    BENCH_OK(maestro_cdo_dispose(event.cdo));
    return bench_sum_of(number, step);
}

static void consume(void *argument) {
    shared_t *shared = argument;
    maestro_session_t *session = bench_session("bench-consumer");
    maestro_subscription_t *subscription = NULL;
    pid_t manager = (pid_t)bench_stat(session, "", "pid");
    uint64_t sum = 0, expected = 0;
    int64_t cpu = 0;
    BENCH_OK(maestro_subscribe(session, BENCH_ALL, NULL, &subscription));
    subscribe_to_others(session, shared->subscriptions - 1);
    bench_raise(&shared->subscribed);
    for (long i = 0; i < shared->objects; i++) {
        if (i == shared->warm) cpu = bench_cpu_ns();
        sum += take_one(subscription);
    }
    shared->end_ns = mst_base_now_ns();
    shared->consumer_cpu_ns = bench_cpu_ns() - cpu;
    shared->manager_cpu_ns = bench_cpu_ns_of(manager) - shared->manager_at_start_ns;
    for (long i = 0; i < shared->objects; i++) expected += bench_sum_of(bench_number_of(i), bench_step_of(i));
    BENCH_CHECK(sum == expected);
    BENCH_OK(maestro_session_close(session));
}

int main(int argc, char **argv) {
    shared_t *shared = bench_share(sizeof *shared);
    shared->objects = bench_argument(argc, argv, 1, 500000);
    shared->subscriptions = bench_argument(argc, argv, 2, 1);
    shared->warm = shared->objects / 5;
    bench_signal_init(&shared->subscribed);
    pid_t consumer = bench_child(consume, shared), producer = bench_child(produce, shared);
    bench_join(producer);
    bench_join(consumer);
    double count = (double)(shared->objects - shared->warm);
    printf("{\"rate\":%.0f,\"producer_cpu_ns\":%.0f,\"manager_cpu_ns\":%.0f,\"consumer_cpu_ns\":%.0f}\n", count * 1e9 / (double)(shared->end_ns - shared->start_ns),
           (double)shared->producer_cpu_ns / count, (double)shared->manager_cpu_ns / count, (double)shared->consumer_cpu_ns / count);
    return 0;
}
