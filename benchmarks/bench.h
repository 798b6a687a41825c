/* What the benchmark programs share: child processes that meet, memory they share, samples and their order, one JSON line at the end.
 *
 * A program runs one measurement and prints one JSON object of plain numbers; `maestro bench` runs programs and peers in turn, takes medians and
 * judges.  Roles (producer, consumer, relay) are processes, forked before any session is opened.  Invariant: what a program prints it has
 * checked (counts, sums, bytes); a wrong result ends it with a message and no JSON. */
#ifndef BENCH_H
#define BENCH_H

#include "base/base.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BENCH_TIMEOUT_S 60.0

_Noreturn static inline void bench_die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, maestro_last_error()[0] ? maestro_last_error() : errno ? strerror(errno) : "wrong result");
    exit(1);
}

#define BENCH_OK(call) ((call) == MAESTRO_OK ? (void)0 : bench_die(#call))
#define BENCH_CHECK(condition) ((condition) ? (void)0 : (maestro_last_error()[0] ? (void)0 : (void)(errno = 0), bench_die("not true: " #condition)))

static inline long bench_argument(int argc, char **argv, int at, long otherwise) { return argc > at ? atol(argv[at]) : otherwise; }

/* ---- Processes. */
static inline void *bench_share(size_t nbytes) {
    void *memory = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) bench_die("mmap");
    return memory;
}

static inline pid_t bench_child(void (*run)(void *), void *argument) {
    pid_t parent = getpid(), child = fork();
    if (child < 0) bench_die("fork");
    if (child > 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    run(argument);
    exit(0);
}

static inline void bench_join(pid_t child) {
    int code;
    if (waitpid(child, &code, 0) != child || !WIFEXITED(code) || WEXITSTATUS(code) != 0) bench_die("a process of the benchmark failed");
}

/* A meeting point that sleeps: one side waits for a byte, the other sends it. */
typedef struct bench_signal {
    int fd[2];
} bench_signal_t;

static inline void bench_signal_init(bench_signal_t *signal) {
    if (pipe(signal->fd) != 0) bench_die("pipe");
}

static inline void bench_raise(const bench_signal_t *signal) {
    if (write(signal->fd[1], "", 1) != 1) bench_die("write to a pipe");
}

static inline void bench_await(const bench_signal_t *signal) {
    char byte;
    alarm((unsigned)BENCH_TIMEOUT_S);
    if (read(signal->fd[0], &byte, 1) != 1) bench_die("the other process is gone");
    alarm(0);
}

/* Sleeps until `at`: for a pace that does not drift. */
static inline void bench_sleep_until(int64_t at_ns) {
    struct timespec at = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) continue;
}

static inline void bench_nap(void) { nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL); }

static inline int64_t bench_cpu_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000000000ll + used.tv_nsec;
}

/* ---- Sessions. */
static inline maestro_session_t *bench_session(const char *component) {
    maestro_session_options_t options;
    maestro_session_t *session = NULL;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    maestro_session_options_init(&options);
    options.component = component;
    options.schema = "mars";
    options.timeout_s = BENCH_TIMEOUT_S;
    BENCH_OK(maestro_session_open(&options, &session));
    return session;
}

/* A number of the pool's statistics: the first one after `key`, searched behind `section` ("" for anywhere). */
static inline double bench_stat(maestro_session_t *session, const char *section, const char *key) {
    char *json = NULL, name[64];
    BENCH_OK(maestro_session_stats(session, BENCH_TIMEOUT_S, &json));
    snprintf(name, sizeof name, "\"%s\":", key);
    const char *from = strstr(json, section), *found = from ? strstr(from, name) : NULL;
    double value = found ? atof(found + strlen(name)) : -1;
    maestro_free(json);
    BENCH_CHECK(found != NULL);
    return value;
}

/* CPU time that another process has used, ns; in steps of the scheduler's clock. */
static inline int64_t bench_cpu_ns_of(pid_t pid) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) bench_die("CPU time of a process");
    return used.tv_sec * 1000000000ll + used.tv_nsec;
}

/* ---- A MARS-like field: ten attributes set by name; (param, levelist, number, step) tell objects apart. */
enum { BENCH_PARAMS = 10, BENCH_LEVELS = 137, BENCH_NUMBERS = 50 };

static inline int64_t bench_number_of(long i) { return i / (BENCH_PARAMS * BENCH_LEVELS) % BENCH_NUMBERS; }
static inline int64_t bench_step_of(long i) { return i / ((long)BENCH_PARAMS * BENCH_LEVELS * BENCH_NUMBERS); }
/* What reader and writer add up over all objects, to see that attributes arrive as they were set. */
static inline uint64_t bench_sum_of(int64_t number, int64_t step) { return (uint64_t)(step * 1000 + number + 1); }

static inline void bench_set_ten(maestro_cdo_t *cdo, long i) {
    static const char *const param[BENCH_PARAMS] = {"t", "u", "v", "q", "z", "w", "d", "vo", "r", "o3"};
    BENCH_OK(maestro_cdo_set_str(cdo, "class", "od"));
    BENCH_OK(maestro_cdo_set_str(cdo, "stream", "enfo"));
    BENCH_OK(maestro_cdo_set_str(cdo, "type", "pf"));
    BENCH_OK(maestro_cdo_set_str(cdo, "date", "20261124"));
    BENCH_OK(maestro_cdo_set_str(cdo, "time", "1200"));
    BENCH_OK(maestro_cdo_set_str(cdo, "levtype", "ml"));
    BENCH_OK(maestro_cdo_set_f64(cdo, "levelist", (double)(i / BENCH_PARAMS % BENCH_LEVELS + 1)));
    BENCH_OK(maestro_cdo_set_str(cdo, "param", param[i % BENCH_PARAMS]));
    BENCH_OK(maestro_cdo_set_i64(cdo, "number", bench_number_of(i)));
    BENCH_OK(maestro_cdo_set_i64(cdo, "step", bench_step_of(i)));
}

#define BENCH_ALL "stream = enfo and type = pf"

/* ---- Samples. */
static inline int bench_ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static inline double bench_quantile(double *samples, size_t count, double q) {
    qsort(samples, count, sizeof *samples, bench_ascending);
    return samples[(size_t)(q * (double)(count - 1) + 0.5)];
}

#endif
