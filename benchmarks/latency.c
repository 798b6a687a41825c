/* From the offer to the event at a pace of 1 kHz, all asleep in between: producer, manager, subscriber.  Beside it, in blocks that alternate, a
 * bare chain of three processes that wake each other over two eventfds.  Usage: latency SAMPLES; latency SAMPLES chain (the chain alone)
 *
 * All processes exist all the time; those whose turn it is not sleep. */
#include "bench.h"

#include <sys/eventfd.h>

enum { BLOCK = 50, PERIOD_NS = 1000000 };

typedef struct shared {
    bench_signal_t ready;
    long count;
    bool chain_only;
    int first_fd, second_fd;
    _Atomic int64_t *offered_ns, *rung_ns; /* when each sample was sent */
    double *maestro, *chain;
} shared_t;

static void ring_bell(int fd) {
    static const uint64_t one = 1;
    if (write(fd, &one, sizeof one) != sizeof one) bench_die("write to an eventfd");
}

static void hear_bell(int fd) {
    uint64_t rings;
    if (read(fd, &rings, sizeof rings) != sizeof rings) bench_die("read an eventfd");
}

static void relay(void *argument) {
    shared_t *shared = argument;
    for (long i = 0; i < shared->count; i++) {
        hear_bell(shared->first_fd);
        ring_bell(shared->second_fd);
    }
}

static void end_of_chain(void *argument) {
    shared_t *shared = argument;
    for (long i = 0; i < shared->count; i++) {
        hear_bell(shared->second_fd);
        shared->chain[i] = (double)(mst_base_now_ns() - shared->rung_ns[i]);
    }
}

static void consume(void *argument) {
    shared_t *shared = argument;
    maestro_session_t *session = bench_session("bench-consumer");
    maestro_subscription_t *subscription = NULL;
    BENCH_OK(maestro_subscribe(session, BENCH_ALL, NULL, &subscription));
    bench_raise(&shared->ready);
    for (long i = 0; i < shared->count; i++) {
        maestro_event_t event;
        int64_t step;
        BENCH_OK(maestro_subscription_next(subscription, BENCH_TIMEOUT_S, &event));
        shared->maestro[i] = (double)(mst_base_now_ns() - shared->offered_ns[i]);
        BENCH_OK(maestro_cdo_get_i64(event.cdo, "step", &step));
        BENCH_CHECK(step == i);
        BENCH_OK(maestro_cdo_dispose(event.cdo));
    }
    BENCH_OK(maestro_session_close(session));
}

static void send_one(shared_t *shared, maestro_session_t *session, long i) {
    maestro_cdo_t *cdo = NULL;
    BENCH_OK(maestro_cdo_declare(session, NULL, &cdo));
    bench_set_ten(cdo, i);
    BENCH_OK(maestro_cdo_set_i64(cdo, "step", i));
    shared->offered_ns[i] = mst_base_now_ns();
    BENCH_OK(maestro_cdo_offer(cdo));
    BENCH_OK(maestro_cdo_dispose(cdo));
}

static void produce(void *argument) {
    shared_t *shared = argument;
    maestro_session_t *session = shared->chain_only ? NULL : bench_session("bench-producer");
    if (session) bench_await(&shared->ready);
    int64_t next = mst_base_now_ns() + 50 * PERIOD_NS;
    for (long block = 0; block < shared->count; block += BLOCK) {
        for (long i = block; session && i < block + BLOCK; i++) {
            bench_sleep_until(next += PERIOD_NS);
            send_one(shared, session, i);
        }
        for (long i = block; i < block + BLOCK; i++) {
            bench_sleep_until(next += PERIOD_NS);
            shared->rung_ns[i] = mst_base_now_ns();
            ring_bell(shared->first_fd);
        }
    }
    if (session) BENCH_OK(maestro_session_close(session));
}

static void report(const char *name, double *samples, size_t count) {
    samples += BLOCK; /* the first block warms */
    count -= BLOCK;
    printf("\"%s_p50_ns\":%.0f,\"%s_p99_ns\":%.0f", name, bench_quantile(samples, count, 0.5), name, bench_quantile(samples, count, 0.99));
}

int main(int argc, char **argv) {
    shared_t *shared = bench_share(sizeof *shared);
    long blocks = bench_argument(argc, argv, 1, 500) / BLOCK;
    shared->count = (blocks + 1) * BLOCK;
    shared->chain_only = argc > 2;
    shared->first_fd = eventfd(0, EFD_SEMAPHORE);
    shared->second_fd = eventfd(0, EFD_SEMAPHORE);
    shared->offered_ns = bench_share((size_t)shared->count * sizeof *shared->offered_ns);
    shared->rung_ns = bench_share((size_t)shared->count * sizeof *shared->rung_ns);
    shared->maestro = bench_share((size_t)shared->count * sizeof(double));
    shared->chain = bench_share((size_t)shared->count * sizeof(double));
    bench_signal_init(&shared->ready);
    void (*const roles[])(void *) = {end_of_chain, relay, produce, consume};
    size_t nroles = MST_COUNT(roles) - shared->chain_only;
    pid_t child[MST_COUNT(roles)];
    for (size_t i = 0; i < nroles; i++) child[i] = bench_child(roles[i], shared);
    for (size_t i = 0; i < nroles; i++) bench_join(child[i]);
    printf("{");
    report("chain", shared->chain, (size_t)shared->count);
    if (!shared->chain_only) printf(",");
    if (!shared->chain_only) report("maestro", shared->maestro, (size_t)shared->count);
    printf("}\n");
    return 0;
}
