/* The bounds: what the same processes reach with nothing between them but shared memory and a doorbell.
 *   bare relay RECORDS      records of an offer's size through two rings and a relay in between (three processes): records per second
 *   bare ring RECORDS       the same through one ring (two processes)
 *   bare asleep ROUNDS      request and reply over two eventfds, both sides asleep: ns
 *   bare awake ROUNDS       the same over two shared words, both sides spinning (two processes, so two cores suffice): ns */
#include "bench.h"

#include "wire/protocol.h"

#include <sys/eventfd.h>

enum { FIRST_CAPACITY = MST_WIRE_OFFERS_CAPACITY, SECOND_CAPACITY = MST_WIRE_WINDOW_DEFAULT, VALUES = 14, PUBLISH_EVERY = 16 };

typedef struct record {
    mst_wire_offer_t offer;
    uint64_t value[VALUES]; /* ten attributes of the user, two defaults, component and rank */
} record_t;

typedef struct shared {
    long count, warm;
    bool relayed;
    void *first, *second;
    _Atomic int64_t start_ns, end_ns;
    int request_fd, reply_fd;
    _Alignas(64) _Atomic long request;
    _Alignas(64) _Atomic long reply;
} shared_t;

/* Who waits naps, as the manager does between bursts: three processes on two cores must not spin, nor may two where others work. */
static record_t *reserve(mst_wire_ring_t *ring) {
    bool broken = false;
    record_t *record;
    while (!(record = mst_wire_ring_reserve(ring, sizeof *record, &broken))) {
        BENCH_CHECK(!broken);
        bench_nap();
    }
    return record;
}

static const record_t *take(mst_wire_ring_t *ring) {
    bool broken = false;
    uint32_t nbytes;
    const record_t *record;
    while (!(record = mst_wire_ring_peek(ring, &nbytes, &broken))) {
        BENCH_CHECK(!broken);
        mst_wire_ring_publish(ring);
        bench_nap();
    }
    mst_wire_ring_consume(ring, nbytes);
    return record;
}

static void produce(void *argument) {
    shared_t *shared = argument;
    mst_wire_ring_t ring;
    mst_wire_ring_init_writer(&ring, shared->first, FIRST_CAPACITY);
    for (long i = 0; i < shared->count; i++) {
        if (i == shared->warm) shared->start_ns = mst_base_now_ns();
        record_t *record = reserve(&ring);
        for (unsigned k = 0; k < VALUES; k++) record->value[k] = (uint64_t)i + k;
        mst_wire_ring_commit(&ring);
    }
}

static void relay(void *argument) {
    shared_t *shared = argument;
    mst_wire_ring_t in, out;
    mst_wire_ring_init_reader(&in, shared->first, FIRST_CAPACITY);
    mst_wire_ring_init_writer(&out, shared->second, SECOND_CAPACITY);
    for (long i = 0; i < shared->count; i++) {
        const record_t *record = take(&in);
        memcpy(reserve(&out)->value, record->value, sizeof record->value);
        mst_wire_ring_commit(&out);
        if (i % PUBLISH_EVERY == 0) mst_wire_ring_publish(&in);
    }
}

static void consume(shared_t *shared, void *memory, uint64_t capacity) {
    mst_wire_ring_t ring;
    uint64_t sum = 0;
    mst_wire_ring_init_reader(&ring, memory, capacity);
    for (long i = 0; i < shared->count; i++) {
        sum += take(&ring)->value[VALUES - 1];
        if (i % PUBLISH_EVERY == 0) mst_wire_ring_publish(&ring);
    }
    shared->end_ns = mst_base_now_ns();
    BENCH_CHECK(sum == (uint64_t)shared->count * (uint64_t)(shared->count - 1) / 2 + (uint64_t)shared->count * (VALUES - 1));
}

static void run_rings(shared_t *shared) {
    bool relayed = shared->relayed;
    prctl(PR_SET_TIMERSLACK, 1000);
    shared->first = bench_share(mst_wire_ring_nbytes(FIRST_CAPACITY));
    shared->second = bench_share(mst_wire_ring_nbytes(SECOND_CAPACITY));
    shared->warm = shared->count / 5;
    pid_t middle = relayed ? bench_child(relay, shared) : 0;
    pid_t producer = bench_child(produce, shared);
    if (relayed) consume(shared, shared->second, SECOND_CAPACITY);
    else consume(shared, shared->first, FIRST_CAPACITY);
    bench_join(producer);
    if (middle) bench_join(middle);
    printf("{\"rate\":%.0f}\n", (double)(shared->count - shared->warm) * 1e9 / (double)(shared->end_ns - shared->start_ns));
}

static void ring_bell(int fd) {
    static const uint64_t one = 1;
    if (write(fd, &one, sizeof one) != sizeof one) bench_die("write to an eventfd");
}

static void hear_bell(int fd) {
    uint64_t rings;
    if (read(fd, &rings, sizeof rings) != sizeof rings) bench_die("read an eventfd");
}

static void answer_asleep(void *argument) {
    shared_t *shared = argument;
    for (long i = 0; i < shared->count; i++) {
        hear_bell(shared->request_fd);
        ring_bell(shared->reply_fd);
    }
}

static void answer_awake(void *argument) {
    shared_t *shared = argument;
    for (long i = 1; i <= shared->count; i++) {
        while (atomic_load_explicit(&shared->request, memory_order_acquire) < i) continue;
        atomic_store_explicit(&shared->reply, i, memory_order_release);
    }
}

static double ask(shared_t *shared, bool awake, long i) {
    int64_t start = mst_base_now_ns();
    if (awake) {
        atomic_store_explicit(&shared->request, i, memory_order_release);
        while (atomic_load_explicit(&shared->reply, memory_order_acquire) < i) continue;
    } else {
        ring_bell(shared->request_fd);
        hear_bell(shared->reply_fd);
    }
    return (double)(mst_base_now_ns() - start);
}

static void run_questions(shared_t *shared, bool awake) {
    double *samples = calloc((size_t)shared->count, sizeof *samples);
    shared->request_fd = eventfd(0, 0);
    shared->reply_fd = eventfd(0, 0);
    pid_t other = bench_child(awake ? answer_awake : answer_asleep, shared);
    int64_t next = mst_base_now_ns();
    for (long i = 0; i < shared->count; i++) {
        if (!awake) bench_sleep_until(next += 500000);
        samples[i] = ask(shared, awake, i + 1);
    }
    bench_join(other);
    printf("{\"p50_ns\":%.0f,\"p99_ns\":%.0f}\n", bench_quantile(samples, (size_t)shared->count, 0.5), bench_quantile(samples, (size_t)shared->count, 0.99));
    free(samples);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    shared_t *shared = bench_share(sizeof *shared);
    shared->count = bench_argument(argc, argv, 2, 1000);
    shared->relayed = strcmp(what, "relay") == 0;
    if (shared->relayed || strcmp(what, "ring") == 0) run_rings(shared);
    else if (strcmp(what, "asleep") == 0 || strcmp(what, "awake") == 0) run_questions(shared, what[1] == 'w');
    else {
        fprintf(stderr, "usage: bare relay|ring|asleep|awake COUNT\n");
        return 2;
    }
    return 0;
}
