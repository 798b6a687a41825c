/* Getting at an object that exists.
 *   demand pushed NBYTES ROUNDS   its event lies in the window already: next, data, read a byte, dispose; ns per object, after a few small ones
 *   demand question ROUNDS        maestro_demand by selector: at a pace of 2 kHz (manager asleep), and back to back (as awake as the cores allow)
 *   demand busy SECONDS           the same while the producer computes and calls nothing; the longest wait counts */
#include "bench.h"

enum { PERIOD_NS = 500000, OBJECTS_MAX = 512, ROUND_NBYTES = 256 << 20, FEW = 16, FEW_NBYTES = 64 };

typedef struct shared {
    bench_signal_t go, done;
    size_t nbytes, objects;
    long rounds;
    double seconds;
    _Atomic bool computing;
    double *sample;
} shared_t;

static void offer_one(maestro_session_t *session, long i, size_t nbytes) {
    maestro_cdo_t *cdo = NULL;
    char *bytes;
    BENCH_OK(maestro_cdo_declare(session, NULL, &cdo));
    bench_set_ten(cdo, i);
    BENCH_OK(maestro_cdo_alloc(cdo, nbytes, MAESTRO_TIER_DEFAULT, (void **)&bytes));
    bytes[0] = bytes[nbytes - 1] = (char)(i + 1);
    BENCH_OK(maestro_cdo_offer(cdo));
    BENCH_OK(maestro_cdo_dispose(cdo));
}

static void offer_rounds(void *argument) {
    shared_t *shared = argument;
    maestro_session_t *session = bench_session("bench-producer");
    for (long round = 0; round < shared->rounds; round++) {
        uint64_t withdrawn = 0;
        bench_await(&shared->go);
        for (size_t i = 0; i < FEW; i++) offer_one(session, (long)i, FEW_NBYTES);
        for (size_t i = FEW; i < FEW + shared->objects; i++) offer_one(session, (long)i, shared->nbytes);
        BENCH_OK(maestro_session_flush(session, BENCH_TIMEOUT_S));
        bench_raise(&shared->done);
        bench_await(&shared->go);
        BENCH_OK(maestro_withdraw(session, BENCH_ALL, MAESTRO_WHEN_RELEASED, BENCH_TIMEOUT_S, &withdrawn));
        BENCH_CHECK(withdrawn == FEW + shared->objects);
        bench_raise(&shared->done);
    }
    BENCH_OK(maestro_session_close(session));
}

static void take_pushed(maestro_subscription_t *subscription, size_t i, size_t nbytes) {
    maestro_event_t event;
    const void *bytes;
    size_t came;
    BENCH_OK(maestro_subscription_next(subscription, 0, &event));
    BENCH_OK(maestro_cdo_data(event.cdo, &bytes, &came));
    BENCH_CHECK(came == nbytes && *(const volatile char *)bytes == (char)(i + 1));
    BENCH_OK(maestro_cdo_dispose(event.cdo));
}

static long faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static double take_round(shared_t *shared, maestro_subscription_t *subscription, double *faults_out) {
    bench_raise(&shared->go);
    bench_await(&shared->done);
    bench_sleep_until(mst_base_now_ns() + 2000000); /* the others have gone to sleep */
    for (size_t i = 0; i < FEW; i++) take_pushed(subscription, i, FEW_NBYTES);
    long before = faults();
    int64_t start = mst_base_now_ns();
    for (size_t i = 0; i < shared->objects; i++) take_pushed(subscription, i + FEW, shared->nbytes);
    double ns = (double)(mst_base_now_ns() - start) / (double)shared->objects;
    *faults_out = (double)(faults() - before) / (double)shared->objects;
    bench_raise(&shared->go);
    bench_await(&shared->done);
    return ns;
}

static void run_pushed(shared_t *shared) {
    enum { WARM = 2 };
    shared->rounds += WARM;
    double *sample = calloc((size_t)shared->rounds, sizeof *sample), nfaults = 0;
    pid_t producer = bench_child(offer_rounds, shared);
    maestro_session_t *session = bench_session("bench-consumer");
    maestro_subscription_t *subscription = NULL;
    BENCH_OK(maestro_subscribe(session, BENCH_ALL, NULL, &subscription));
    for (long round = 0; round < shared->rounds; round++) sample[round] = take_round(shared, subscription, &nfaults);
    size_t count = (size_t)shared->rounds - WARM;
    printf("{\"first_ns\":%.0f,\"ns\":%.0f,\"faults\":%.3f,\"objects\":%zu}\n", sample[0], bench_quantile(sample + WARM, count, 0.5), nfaults, shared->objects);
    BENCH_OK(maestro_session_close(session));
    bench_join(producer);
    free(sample);
}

/* ---- By question. */

static void offer_and_compute(void *argument) {
    shared_t *shared = argument;
    maestro_session_t *session = bench_session("bench-producer");
    for (long i = 0; i < BENCH_PARAMS * BENCH_LEVELS; i++) offer_one(session, i, 64);
    BENCH_OK(maestro_session_flush(session, BENCH_TIMEOUT_S));
    bench_raise(&shared->done);
    bench_await(&shared->go);
    int64_t until = mst_base_now_ns() + (int64_t)(shared->seconds * 1e9);
    while (mst_base_now_ns() < until) continue;
    shared->computing = false;
    bench_await(&shared->go);
    BENCH_OK(maestro_session_close(session));
}

static double ask(maestro_session_t *session, long i) {
    char selector[64];
    maestro_cdo_t *cdo = NULL;
    const void *bytes;
    size_t nbytes;
    snprintf(selector, sizeof selector, "param = vo and levelist = %ld", i % BENCH_LEVELS + 1);
    int64_t start = mst_base_now_ns();
    BENCH_OK(maestro_demand(session, selector, BENCH_TIMEOUT_S, &cdo));
    BENCH_OK(maestro_cdo_data(cdo, &bytes, &nbytes));
    double ns = (double)(mst_base_now_ns() - start);
    BENCH_CHECK(nbytes == 64 && *(const char *)bytes == (char)(i % BENCH_LEVELS * BENCH_PARAMS + 7 + 1));
    BENCH_OK(maestro_cdo_dispose(cdo));
    return ns;
}

static void print_quantiles(const char *name, double *sample, size_t count) {
    printf("\"%s_p50_ns\":%.0f,\"%s_p99_ns\":%.0f", name, bench_quantile(sample, count, 0.5), name, bench_quantile(sample, count, 0.99));
}

static void ask_paced_and_unpaced(shared_t *shared, maestro_session_t *session) {
    size_t warm = (size_t)shared->rounds / 5;
    int64_t next = mst_base_now_ns();
    for (long i = 0; i < shared->rounds; i++) {
        bench_sleep_until(next += PERIOD_NS);
        shared->sample[i] = ask(session, i);
    }
    printf("{");
    print_quantiles("asleep", shared->sample + warm, (size_t)shared->rounds - warm);
    for (long i = 0; i < shared->rounds; i++) shared->sample[i] = ask(session, i);
    printf(",");
    print_quantiles("awake", shared->sample + warm, (size_t)shared->rounds - warm);
    printf("}\n");
}

static void ask_a_busy_producer(shared_t *shared, maestro_session_t *session) {
    size_t count = 0, capacity = (size_t)(shared->seconds * 2000) + 1;
    shared->sample = calloc(capacity, sizeof *shared->sample);
    shared->computing = true;
    bench_raise(&shared->go);
    while (shared->computing && count < capacity) {
        bench_sleep_until(mst_base_now_ns() + 1000000);
        shared->sample[count] = ask(session, (long)count);
        count++;
    }
    BENCH_CHECK(count > 10);
    printf("{\"p50_ns\":%.0f,\"max_ns\":%.0f,\"demands\":%zu}\n", bench_quantile(shared->sample, count, 0.5), bench_quantile(shared->sample, count, 1), count);
}

static void run_questions(shared_t *shared) {
    pid_t producer = bench_child(offer_and_compute, shared);
    maestro_session_t *session = bench_session("bench-consumer");
    bench_await(&shared->done);
    if (shared->seconds > 0) ask_a_busy_producer(shared, session);
    else {
        shared->sample = calloc((size_t)shared->rounds, sizeof *shared->sample);
        bench_raise(&shared->go);
        ask_paced_and_unpaced(shared, session);
    }
    bench_raise(&shared->go);
    BENCH_OK(maestro_session_close(session));
    bench_join(producer);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    shared_t *shared = bench_share(sizeof *shared);
    bench_signal_init(&shared->go);
    bench_signal_init(&shared->done);
    if (strcmp(what, "pushed") == 0) {
        shared->nbytes = (size_t)bench_argument(argc, argv, 2, 64);
        shared->objects = ROUND_NBYTES / shared->nbytes < OBJECTS_MAX ? ROUND_NBYTES / shared->nbytes : OBJECTS_MAX;
        shared->rounds = bench_argument(argc, argv, 3, 10);
        run_pushed(shared);
    } else if (strcmp(what, "question") == 0 || strcmp(what, "busy") == 0) {
        shared->rounds = bench_argument(argc, argv, 2, 1000);
        if (what[0] == 'b') shared->seconds = (double)bench_argument(argc, argv, 2, 1);
        run_questions(shared);
    } else {
        fprintf(stderr, "usage: demand pushed NBYTES ROUNDS | question ROUNDS | busy SECONDS\n");
        return 2;
    }
    return 0;
}
