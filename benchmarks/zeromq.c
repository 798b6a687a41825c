/* ZeroMQ from C, as a peer: libzmq is loaded when the program runs (pyzmq brings one), so that Maestro does not depend on it to be built.
 *   zeromq LIBRARY direct OBJECTS     160 B messages from a producer to a consumer, nothing stored, nothing matched: objects per second
 *   zeromq LIBRARY relay OBJECTS      the same through a third process that keeps a copy of each and passes on those with a prefix
 *   zeromq LIBRARY latency SAMPLES    the way through that third process at 1 kHz: ns
 *   zeromq LIBRARY question ROUNDS    request and reply, 2 kHz: ns
 * The message is the ten attributes as text; two of them are written and read, as digits. */
#include "bench.h"

#include <dlfcn.h>

/* Declared as in zmq.h, the numbers too: they are part of libzmq's stable binary interface. */
enum { ZMQ_REQ = 3, ZMQ_REP = 4, ZMQ_PULL = 7, ZMQ_PUSH = 8 };
enum { ZMQ_LINGER = 17, ZMQ_SNDHWM = 23, ZMQ_RCVHWM = 24, ZMQ_RCVTIMEO = 27, ZMQ_SNDTIMEO = 28 };
enum { MESSAGE = 160, NUMBER_AT = 140, STEP_AT = 150, DIGITS = 10, PERIOD_NS = 1000000, PATIENCE_MS = 20000, STORE_NBYTES = 256 << 20 };

static const char prefix[] = "class=od,stream=enfo,type=pf,";

static struct {
    void *(*ctx_new)(void);
    int (*ctx_term)(void *);
    void *(*socket)(void *, int);
    int (*setsockopt)(void *, int, const void *, size_t);
    int (*bind)(void *, const char *);
    int (*connect)(void *, const char *);
    int (*send)(void *, const void *, size_t, int);
    int (*recv)(void *, void *, size_t, int);
    int (*close)(void *);
} zmq;

typedef struct shared {
    bench_signal_t ready;
    long count;
    bool relayed, paced;
    char first[80], second[80];
    _Atomic int64_t start_ns, end_ns;
    _Atomic int64_t *sent_ns;
    double *sample;
} shared_t;

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) bench_die(name);
    return found;
}

static void load(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    /* POSIX's way round the ban on casting an object pointer to a function pointer */
    *(void **)&zmq.ctx_new = symbol(library, "zmq_ctx_new");
    *(void **)&zmq.ctx_term = symbol(library, "zmq_ctx_term");
    *(void **)&zmq.socket = symbol(library, "zmq_socket");
    *(void **)&zmq.setsockopt = symbol(library, "zmq_setsockopt");
    *(void **)&zmq.bind = symbol(library, "zmq_bind");
    *(void **)&zmq.connect = symbol(library, "zmq_connect");
    *(void **)&zmq.send = symbol(library, "zmq_send");
    *(void **)&zmq.recv = symbol(library, "zmq_recv");
    *(void **)&zmq.close = symbol(library, "zmq_close");
}

static void *open_socket(void *context, int kind, const char *address, bool bound) {
    int none = 0, patience_ms = PATIENCE_MS;
    void *socket = zmq.socket(context, kind);
    BENCH_CHECK(socket != NULL);
    zmq.setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
    zmq.setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
    zmq.setsockopt(socket, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
    zmq.setsockopt(socket, ZMQ_SNDTIMEO, &patience_ms, sizeof patience_ms);
    zmq.setsockopt(socket, ZMQ_LINGER, &patience_ms, sizeof patience_ms);
    BENCH_CHECK((bound ? zmq.bind : zmq.connect)(socket, address) == 0);
    return socket;
}

static void put_digits(char *at, long value) {
    for (int i = DIGITS - 1; i >= 0; i--, value /= 10) at[i] = (char)('0' + value % 10);
}

static long digits(const char *at) {
    long value = 0;
    for (int i = 0; i < DIGITS; i++) value = value * 10 + at[i] - '0';
    return value;
}

static void pack(char *message, long i) {
    static const char rest[] = "date=20261124,time=1200,levtype=ml,levelist=00,param=t,number,step";
    memset(message, ' ', MESSAGE);
    memcpy(message, prefix, sizeof prefix - 1);
    memcpy(message + sizeof prefix - 1, rest, sizeof rest - 1);
    put_digits(message + NUMBER_AT, bench_number_of(i));
    put_digits(message + STEP_AT, bench_step_of(i));
}

static uint64_t receive_one(void *socket) {
    char message[MESSAGE];
    BENCH_CHECK(zmq.recv(socket, message, MESSAGE, 0) == MESSAGE);
    return bench_sum_of(digits(message + NUMBER_AT), digits(message + STEP_AT));
}

static void produce(void *argument) {
    shared_t *shared = argument;
    void *context = zmq.ctx_new(), *socket = open_socket(context, ZMQ_PUSH, shared->first, true);
    char message[MESSAGE];
    bench_await(&shared->ready);
    int64_t next = mst_base_now_ns();
    for (long i = 0; i < shared->count; i++) {
        if (shared->paced) bench_sleep_until(next += PERIOD_NS);
        if (i == shared->count / 5) shared->start_ns = mst_base_now_ns();
        pack(message, i);
        if (shared->paced) shared->sent_ns[i] = mst_base_now_ns();
        BENCH_CHECK(zmq.send(socket, message, MESSAGE, 0) == MESSAGE);
    }
    zmq.close(socket);
    zmq.ctx_term(context);
}

static void relay(void *argument) {
    shared_t *shared = argument;
    char *store = mmap(NULL, STORE_NBYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *context = zmq.ctx_new(), *in = open_socket(context, ZMQ_PULL, shared->first, false), *out = open_socket(context, ZMQ_PUSH, shared->second, true);
    BENCH_CHECK(store != MAP_FAILED && shared->count * MESSAGE <= STORE_NBYTES);
    for (long i = 0; i < shared->count; i++) {
        char *at = store + i * MESSAGE;
        BENCH_CHECK(zmq.recv(in, at, MESSAGE, 0) == MESSAGE);
        if (memcmp(at, prefix, sizeof prefix - 1) == 0) BENCH_CHECK(zmq.send(out, at, MESSAGE, 0) == MESSAGE);
    }
    zmq.close(in);
    zmq.close(out);
    zmq.ctx_term(context);
}

static void consume(shared_t *shared) {
    void *context = zmq.ctx_new();
    void *socket = open_socket(context, ZMQ_PULL, shared->relayed ? shared->second : shared->first, false);
    uint64_t sum = 0, expected = 0;
    bench_raise(&shared->ready);
    for (long i = 0; i < shared->count; i++) {
        sum += receive_one(socket);
        if (shared->paced) shared->sample[i] = (double)(mst_base_now_ns() - shared->sent_ns[i]);
    }
    shared->end_ns = mst_base_now_ns();
    for (long i = 0; i < shared->count; i++) expected += bench_sum_of(bench_number_of(i), bench_step_of(i));
    BENCH_CHECK(sum == expected);
    zmq.close(socket);
    zmq.ctx_term(context);
}

static void print_quantiles(double *sample, size_t count) {
    size_t warm = count / 5;
    printf("{\"p50_ns\":%.0f,\"p99_ns\":%.0f}\n", bench_quantile(sample + warm, count - warm, 0.5), bench_quantile(sample + warm, count - warm, 0.99));
}

static void run_stream(shared_t *shared) {
    pid_t middle = shared->relayed ? bench_child(relay, shared) : 0, producer = bench_child(produce, shared);
    consume(shared);
    bench_join(producer);
    if (middle) bench_join(middle);
    if (shared->paced) print_quantiles(shared->sample, (size_t)shared->count);
    else printf("{\"rate\":%.0f}\n", (double)(shared->count - shared->count / 5) * 1e9 / (double)(shared->end_ns - shared->start_ns));
}

static void answer(void *argument) {
    shared_t *shared = argument;
    void *context = zmq.ctx_new(), *socket = open_socket(context, ZMQ_REP, shared->first, true);
    char message[MESSAGE];
    for (long i = 0; i < shared->count; i++) {
        BENCH_CHECK(zmq.recv(socket, message, MESSAGE, 0) == MESSAGE);
        BENCH_CHECK(zmq.send(socket, message, MESSAGE, 0) == MESSAGE);
    }
    zmq.close(socket);
    zmq.ctx_term(context);
}

static void run_question(shared_t *shared) {
    pid_t other = bench_child(answer, shared);
    void *context = zmq.ctx_new(), *socket = open_socket(context, ZMQ_REQ, shared->first, false);
    char message[MESSAGE];
    int64_t next = mst_base_now_ns();
    for (long i = 0; i < shared->count; i++) {
        bench_sleep_until(next += PERIOD_NS / 2);
        pack(message, i);
        int64_t start = mst_base_now_ns();
        BENCH_CHECK(zmq.send(socket, message, MESSAGE, 0) == MESSAGE);
        BENCH_CHECK(receive_one(socket) == bench_sum_of(bench_number_of(i), bench_step_of(i)));
        shared->sample[i] = (double)(mst_base_now_ns() - start);
    }
    zmq.close(socket);
    zmq.ctx_term(context);
    bench_join(other);
    print_quantiles(shared->sample, (size_t)shared->count);
}

int main(int argc, char **argv) {
    const char *what = argc > 2 ? argv[2] : "", *folder = getenv("TMPDIR");
    shared_t *shared = bench_share(sizeof *shared);
    if (strcmp(what, "direct") != 0 && strcmp(what, "relay") != 0 && strcmp(what, "latency") != 0 && strcmp(what, "question") != 0) {
        fprintf(stderr, "usage: zeromq LIBRARY direct|relay|latency|question COUNT\n");
        return 2;
    }
    load(argv[1]);
    shared->count = bench_argument(argc, argv, 3, 1000);
    shared->paced = what[0] == 'l';
    shared->relayed = what[0] == 'r' || what[0] == 'l';
    shared->sample = bench_share((size_t)shared->count * sizeof(double));
    shared->sent_ns = bench_share((size_t)shared->count * sizeof(int64_t));
    snprintf(shared->first, sizeof shared->first, "ipc://%s/mb-%d-1", folder ? folder : "/tmp", (int)getpid());
    snprintf(shared->second, sizeof shared->second, "ipc://%s/mb-%d-2", folder ? folder : "/tmp", (int)getpid());
    bench_signal_init(&shared->ready);
    if (what[0] == 'q') run_question(shared);
    else run_stream(shared);
    unlink(shared->first + strlen("ipc://"));
    unlink(shared->second + strlen("ipc://"));
    return 0;
}
