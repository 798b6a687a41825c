/* What memory costs.
 *   memory wrap NBYTES PASSES    application memory copied into the pool by the offer (declare, ten attributes, wrap, offer), beside memcpy and beside
 *                                a fresh segment for each object, in turn; all rotate over 256 MiB, so that no cache helps; GB/s, by medians over
 *                                the objects of all passes but the first, so that a time slice of somebody else counts for nobody
 *   memory touch NBYTES          a reader's page faults and time for the first object in a segment and for the next one in the same memory, beside
 *                                mapping each object anew
 *   memory catalogue OBJECTS     bytes per object that lies in the pool with ten attributes: the catalogue's count, the manager's resident memory
 *                                before and after a query has made it build its index */
#include "bench.h"

#include "mem/segment.h"

#include <fcntl.h>

enum { ROTATE_NBYTES = 256 << 20, FRESH_NBYTES = 64 << 20, PAGE = 4096, PASSES_MAX = 64, BATCH = 16 };

static void select_one(long i, char *selector, size_t nbytes) {
    static const char *const param[BENCH_PARAMS] = {"t", "u", "v", "q", "z", "w", "d", "vo", "r", "o3"};
    snprintf(selector, nbytes, "param = %s and levelist = %ld and number = %ld and step = %ld", param[i % BENCH_PARAMS], i / BENCH_PARAMS % BENCH_LEVELS + 1,
             (long)bench_number_of(i), (long)bench_step_of(i));
}

/* ---- wrap */
typedef struct wrap {
    maestro_session_t *session;
    char *source, *target;
    size_t nbytes, count;
    maestro_cdo_t **live; /* by place in the source: offered one rotation ago */
} wrap_t;

static void check_bytes(const wrap_t *wrap, size_t i) {
    char selector[128];
    maestro_cdo_t *cdo = NULL;
    const void *bytes;
    size_t nbytes;
    select_one((long)i, selector, sizeof selector);
    BENCH_OK(maestro_demand(wrap->session, selector, BENCH_TIMEOUT_S, &cdo));
    BENCH_OK(maestro_cdo_data(cdo, &bytes, &nbytes));
    BENCH_CHECK(nbytes == wrap->nbytes && memcmp(bytes, wrap->source + i * wrap->nbytes, nbytes) == 0);
    BENCH_OK(maestro_cdo_dispose(cdo));
}

/* Withdraws the next batch of the last rotation's objects; not timed, for lifetimes are not what is measured. */
static void make_room(wrap_t *wrap, size_t first, size_t count) {
    maestro_request_t *request[BATCH];
    if (!wrap->live[first]) return;
    for (size_t i = 0; i < count; i++) BENCH_OK(maestro_cdo_withdraw_start(wrap->live[first + i], MAESTRO_WHEN_RELEASED, BENCH_TIMEOUT_S, &request[i]));
    for (size_t i = 0; i < count; i++) {
        BENCH_OK(maestro_request_wait(request[i], BENCH_TIMEOUT_S));
        BENCH_OK(maestro_request_dispose(request[i]));
        BENCH_OK(maestro_cdo_dispose(wrap->live[first + i]));
    }
}

static void offer_wrapped(wrap_t *wrap, size_t i) {
    BENCH_OK(maestro_cdo_declare(wrap->session, NULL, &wrap->live[i]));
    bench_set_ten(wrap->live[i], (long)i);
    BENCH_OK(maestro_cdo_wrap(wrap->live[i], wrap->source + i * wrap->nbytes, wrap->nbytes));
    BENCH_OK(maestro_cdo_offer(wrap->live[i]));
}

static void copy_plainly(wrap_t *wrap, size_t i) { memcpy(wrap->target + i * wrap->nbytes, wrap->source + i * wrap->nbytes, wrap->nbytes); }

/* Nanoseconds of each object go to `sample`. */
static void time_each(wrap_t *wrap, void (*one)(wrap_t *, size_t), size_t first, size_t count, double *sample) {
    for (size_t i = first; i < first + count; i++) {
        int64_t start = mst_base_now_ns();
        one(wrap, i);
        sample[i] = (double)(mst_base_now_ns() - start);
    }
}

/* In batches that alternate; what is copied plainly was not touched for half a rotation. */
static void compared_pass(wrap_t *wrap, double *maestro, double *copy) {
    size_t batch = wrap->count / 4 < BATCH ? wrap->count / 4 : BATCH;
    for (size_t i = 0; i < wrap->count; i += batch) {
        make_room(wrap, i, batch);
        time_each(wrap, offer_wrapped, i, batch, maestro);
        time_each(wrap, copy_plainly, (i + wrap->count / 2) % wrap->count, batch, copy);
    }
    check_bytes(wrap, wrap->count / 2);
    BENCH_CHECK(memcmp(wrap->target, wrap->source, ROTATE_NBYTES) == 0);
}

static double fresh_pass(const wrap_t *wrap) {
    size_t count = FRESH_NBYTES / wrap->nbytes;
    int64_t start = mst_base_now_ns();
    for (size_t i = 0; i < count; i++) {
        int fd;
        void *base;
        BENCH_OK(mst_mem_segment_create("bench-fresh", wrap->nbytes, &fd));
        BENCH_OK(mst_mem_segment_map(fd, wrap->nbytes, true, &base));
        memcpy(base, wrap->source + i * wrap->nbytes, wrap->nbytes);
        mst_mem_segment_unmap(base, wrap->nbytes);
        close(fd);
    }
    return (double)(count * wrap->nbytes) / (double)(mst_base_now_ns() - start);
}

static char *filled(size_t nbytes, unsigned seed) {
    char *bytes = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(bytes != MAP_FAILED);
    for (size_t i = 0; i < nbytes / 8; i++) ((uint64_t *)bytes)[i] = (seed + i) * 0x9e3779b97f4a7c15ull;
    return bytes;
}

static void run_wrap(size_t nbytes, long passes) {
    enum { WARM = 1 };
    double fresh[PASSES_MAX];
    wrap_t wrap = {.session = bench_session("bench-producer"), .source = filled(ROTATE_NBYTES, 1), .target = filled(ROTATE_NBYTES, 2),
                   .nbytes = nbytes, .count = ROTATE_NBYTES / nbytes};
    BENCH_CHECK(passes >= 1 && passes + WARM <= PASSES_MAX && nbytes >= 4096 && ROTATE_NBYTES % nbytes == 0);
    size_t samples = (size_t)(passes + WARM) * wrap.count, warm = WARM * wrap.count;
    double *maestro = calloc(samples, sizeof *maestro), *copy = calloc(samples, sizeof *copy);
    wrap.live = calloc(wrap.count, sizeof *wrap.live);
    for (long pass = 0; pass < passes + WARM; pass++) {
        compared_pass(&wrap, maestro + (size_t)pass * wrap.count, copy + (size_t)pass * wrap.count);
        fresh[pass] = fresh_pass(&wrap);
    }
    printf("{\"gb_per_s\":%.3f,\"memcpy_gb_per_s\":%.3f,\"fresh_gb_per_s\":%.3f}\n", (double)nbytes / bench_quantile(maestro + warm, samples - warm, 0.5),
           (double)nbytes / bench_quantile(copy + warm, samples - warm, 0.5), bench_quantile(fresh + WARM, (size_t)passes, 0.5));
    free(maestro);
    free(copy);
    free(wrap.live);
    BENCH_OK(maestro_session_close(wrap.session));
}

/* ---- touch */
typedef struct touch {
    bench_signal_t go, done;
    size_t nbytes;
} touch_t;

enum { TOUCH_ROUNDS = 4 };

static void offer_in_turn(void *argument) {
    touch_t *touch = argument;
    maestro_session_t *session = bench_session("bench-producer");
    for (long i = 0; i < TOUCH_ROUNDS; i++) {
        maestro_cdo_t *cdo = NULL;
        void *bytes;
        BENCH_OK(maestro_cdo_declare(session, NULL, &cdo));
        bench_set_ten(cdo, i);
        BENCH_OK(maestro_cdo_alloc(cdo, touch->nbytes, MAESTRO_TIER_DEFAULT, &bytes));
        memset(bytes, (int)i + 1, touch->nbytes);
        BENCH_OK(maestro_cdo_offer(cdo));
        bench_raise(&touch->done);
        bench_await(&touch->go);
        BENCH_OK(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, BENCH_TIMEOUT_S));
        BENCH_OK(maestro_cdo_dispose(cdo));
    }
    BENCH_OK(maestro_session_close(session));
}

static long faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static void touch_pages(const char *bytes, size_t nbytes, char expected, double *ns, long *nfaults) {
    long before = faults();
    int64_t start = mst_base_now_ns();
    for (size_t at = 0; at < nbytes; at += PAGE) BENCH_CHECK(*(const volatile char *)(bytes + at) == expected);
    *ns = (double)(mst_base_now_ns() - start);
    *nfaults = faults() - before;
}

static void touch_object(maestro_session_t *session, long i, size_t nbytes, double *ns, long *nfaults) {
    char selector[128];
    maestro_cdo_t *cdo = NULL;
    const void *bytes;
    size_t came;
    select_one(i, selector, sizeof selector);
    BENCH_OK(maestro_demand(session, selector, BENCH_TIMEOUT_S, &cdo));
    BENCH_OK(maestro_cdo_data(cdo, &bytes, &came));
    BENCH_CHECK(came == nbytes);
    touch_pages(bytes, nbytes, (char)(i + 1), ns, nfaults);
    BENCH_OK(maestro_cdo_dispose(cdo));
}

static void touch_mapped_anew(size_t nbytes, double *ns, long *nfaults) {
    int fd;
    void *base;
    BENCH_OK(mst_mem_segment_create("bench-anew", nbytes, &fd));
    BENCH_OK(mst_mem_segment_map(fd, nbytes, true, &base));
    memset(base, 7, nbytes);
    mst_mem_segment_unmap(base, nbytes);
    int64_t start = mst_base_now_ns();
    BENCH_OK(mst_mem_segment_map(fd, nbytes, false, &base));
    touch_pages(base, nbytes, 7, ns, nfaults);
    mst_mem_segment_unmap(base, nbytes);
    *ns = (double)(mst_base_now_ns() - start);
    close(fd);
}

static void run_touch(size_t nbytes) {
    touch_t *touch = bench_share(sizeof *touch);
    double ns[TOUCH_ROUNDS], anew_ns;
    long nfaults[TOUCH_ROUNDS], anew_faults;
    touch->nbytes = nbytes;
    bench_signal_init(&touch->go);
    bench_signal_init(&touch->done);
    pid_t producer = bench_child(offer_in_turn, touch);
    maestro_session_t *session = bench_session("bench-consumer");
    for (long i = 0; i < TOUCH_ROUNDS; i++) {
        bench_await(&touch->done);
        touch_object(session, i, nbytes, &ns[i], &nfaults[i]);
        bench_raise(&touch->go);
    }
    touch_mapped_anew(nbytes, &anew_ns, &anew_faults);
    printf("{\"first_faults\":%ld,\"first_ns\":%.0f,\"next_faults\":%ld,\"next_ns\":%.0f,\"anew_faults\":%ld,\"anew_ns\":%.0f}\n", nfaults[0], ns[0],
           nfaults[TOUCH_ROUNDS - 1], ns[TOUCH_ROUNDS - 1], anew_faults, anew_ns);
    BENCH_OK(maestro_session_close(session));
    bench_join(producer);
}

/* ---- catalogue */
static double resident_nbytes(pid_t pid) {
    char path[64];
    long total, resident = -1;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    BENCH_CHECK(file && fscanf(file, "%ld %ld", &total, &resident) == 2);
    fclose(file);
    return (double)resident * PAGE;
}

static void run_catalogue(long objects) {
    maestro_session_t *session = bench_session("bench-producer");
    pid_t manager = (pid_t)bench_stat(session, "", "pid");
    double before = resident_nbytes(manager), catalogue_before = bench_stat(session, "\"memory\"", "catalogue");
    for (long i = 0; i < objects; i++) {
        maestro_cdo_t *cdo = NULL;
        BENCH_OK(maestro_cdo_declare(session, NULL, &cdo));
        bench_set_ten(cdo, i);
        BENCH_OK(maestro_cdo_offer(cdo));
        BENCH_OK(maestro_cdo_dispose(cdo));
    }
    BENCH_OK(maestro_session_flush(session, BENCH_TIMEOUT_S));
    double after = resident_nbytes(manager), catalogue = bench_stat(session, "\"memory\"", "catalogue");
    uint64_t found = 0;
    BENCH_OK(maestro_count(session, BENCH_ALL, BENCH_TIMEOUT_S, &found));
    BENCH_CHECK(found == (uint64_t)objects);
    double indexed = resident_nbytes(manager);
    printf("{\"catalogue_nbytes\":%.1f,\"resident_nbytes\":%.1f,\"resident_indexed_nbytes\":%.1f,\"index_nbytes\":%.1f}\n", (catalogue - catalogue_before) / (double)objects,
           (after - before) / (double)objects, (indexed - before) / (double)objects, bench_stat(session, "\"memory\"", "index") / (double)objects);
    BENCH_OK(maestro_session_close(session));
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "wrap") == 0) run_wrap((size_t)bench_argument(argc, argv, 2, 1 << 20), bench_argument(argc, argv, 3, 5));
    else if (strcmp(what, "touch") == 0) run_touch((size_t)bench_argument(argc, argv, 2, 256 << 20));
    else if (strcmp(what, "catalogue") == 0) run_catalogue(bench_argument(argc, argv, 2, 200000));
    else {
        fprintf(stderr, "usage: memory wrap NBYTES PASSES | touch NBYTES | catalogue OBJECTS\n");
        return 2;
    }
    return 0;
}
