/* Ways to do one thing, of ours and of others, measured in turn in one run of mpirun.
 *
 * A sample is the time of the slowest rank, over so many repeats that it takes SAMPLE_NS, and of one where that takes longer than REPEATED_NS; ways
 * alternate, round after round, so that a machine that grows busy slows all of them, and each round begins with another, for the first one after a pause may
 * fare worse.  In a short run, a way that takes SLOW_NS and SLOW times as long as the quickest is only in each fifth round.  Invariant: every way is run once and
 * its result checked before it is measured; a wrong result ends the run without figures. */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include "../bench.h"

#include <mpi.h>

enum { WAYS_MAX = 32, ROUNDS_MAX = 255, SAMPLE_NS = 2000000, LEAST_REPEATS = 4, REPEATED_NS = 5000000, SLOW = 4, SLOW_NS = 20000000 };

typedef struct way {
    const char *name;
    bool ours;
    void (*run)(void *context); /* collective */
    void *context;
    const void *target;
    char note[64]; /* which method was chosen */
    const char *as; /* the way that is this method when it is asked for; NULL: there is none */
    int64_t repeats;
    int nsamples;
    double ns[ROUNDS_MAX];
} way_t;

typedef struct rounds {
    const char *what;
    void (*clear)(const void *target); /* spoils what a way is to make; the first way is the bound and makes nothing */
    bool (*right)(const void *target); /* is it right on this rank? */
    int rank, nways;
    way_t way[WAYS_MAX];
} rounds_t;

static inline way_t *rounds_add(rounds_t *rounds, const char *name, bool ours, void (*run)(void *), void *context, const void *target) {
    BENCH_CHECK(rounds->nways < WAYS_MAX);
    way_t *way = &rounds->way[rounds->nways++];
    *way = (way_t){.name = name, .ours = ours, .run = run, .context = context, .target = target};
    return way;
}

/* Nanoseconds of one run, of the slowest rank.  A quarter as many runs go before, and one at least, which find the caches as the way before has left them: after
 * another way with the same arrays, the first few take up to several times as long. */
static inline double rounds_sample(const way_t *way, int64_t repeats) {
    for (int64_t i = 0; i < repeats / 4 + 1; i++) way->run(way->context);
    MPI_Barrier(MPI_COMM_WORLD);
    int64_t start = mst_base_now_ns();
    for (int64_t i = 0; i < repeats; i++) way->run(way->context);
    double own = (double)(mst_base_now_ns() - start) / (double)repeats, slowest;
    MPI_Allreduce(&own, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return slowest;
}

static inline void rounds_check(const rounds_t *rounds, const way_t *way) {
    rounds->clear(way->target);
    MPI_Barrier(MPI_COMM_WORLD);
    way->run(way->context);
    if (rounds->right(way->target)) return;
    fprintf(stderr, "%s: wrong result of: %s\n", rounds->what, way->name);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* How often each way is repeated for a sample; returns the time of the quickest of those that have a result. */
static inline double rounds_warm(rounds_t *rounds, double *once_ns) {
    double quickest = 1e300;
    for (int w = 0; w < rounds->nways; w++) {
        way_t *way = &rounds->way[w];
        once_ns[w] = rounds_sample(way, 1);
        for (int i = 0; i < 4 && once_ns[w] < 2 * REPEATED_NS; i++) {
            double again = rounds_sample(way, (int64_t)(SAMPLE_NS / 4 / once_ns[w]) + 1);
            if (again < once_ns[w]) once_ns[w] = again;
        }
        way->repeats = (int64_t)(SAMPLE_NS / once_ns[w]) + 1; /* the same on all ranks, as its time is */
        if (way->repeats < LEAST_REPEATS && once_ns[w] < REPEATED_NS) way->repeats = LEAST_REPEATS; /* so that caches are warm */
        if (w && once_ns[w] < quickest) quickest = once_ns[w];
    }
    return quickest;
}

static inline void rounds_run(rounds_t *rounds, int nrounds, bool in_short) {
    double once_ns[WAYS_MAX];
    for (int w = 1; w < rounds->nways; w++) rounds_check(rounds, &rounds->way[w]);
    double quickest = rounds_warm(rounds, once_ns);
    for (int i = 0; i < nrounds; i++)
        for (int turn = 0; turn < rounds->nways; turn++) {
            int w = (i + turn) % rounds->nways;
            way_t *way = &rounds->way[w];
            if (in_short && i % 5 && once_ns[w] > SLOW_NS && once_ns[w] > SLOW * quickest) continue;
            way->ns[way->nsamples++] = rounds_sample(way, way->repeats);
        }
}

static inline double rounds_median(way_t *way) { return bench_quantile(way->ns, (size_t)way->nsamples, 0.5); }

/* Plans of one method differ by where their memory lies: a choice is judged by what the method takes when it is asked for. */
static inline void rounds_print_as(rounds_t *rounds, const way_t *way) {
    for (int w = 0; w < rounds->nways && way->as; w++)
        if (strcmp(rounds->way[w].name, way->as) == 0) printf(", \"as_us\": %.4g", rounds_median(&rounds->way[w]) * 1e-3);
}

/* One line of JSON for all ways, or a line of text for each.  Way 0 is the bound, which each is compared with. */
static inline void rounds_print(rounds_t *rounds, bool json) {
    if (rounds->rank) return;
    double bound = rounds_median(&rounds->way[0]);
    if (json) printf("{\"%s\": {", rounds->what);
    for (int w = 0; w < rounds->nways; w++) {
        way_t *way = &rounds->way[w];
        double low = bench_quantile(way->ns, (size_t)way->nsamples, 0.25), high = bench_quantile(way->ns, (size_t)way->nsamples, 0.75);
        double median = rounds_median(way);
        if (json) {
            printf("%s\"%s\": {\"us\": %.4g, \"low\": %.4g, \"high\": %.4g, \"samples\": %d, \"ours\": %s, \"note\": \"%s\"", w ? ", " : "", way->name,
                   median * 1e-3, low * 1e-3, high * 1e-3, way->nsamples, way->ours ? "true" : "false", way->note);
            rounds_print_as(rounds, way);
            printf("}");
        } else
            printf("%-14s %s %-22s %10.2f us  %7.2f x  (%.2f to %.2f, %d samples)  %s\n", rounds->what, way->ours ? "*" : " ", way->name, median * 1e-3,
                   median / bound, low * 1e-3, high * 1e-3, way->nsamples, way->note);
    }
    if (json) printf("}}\n");
    fflush(stdout);
}

/* ---- Ours: a plan for each method and kind of memory. */
enum { FIELDS_MAX = 4 };
typedef struct planned {
    maestro_plan_t *plan;
    size_t nfields;
    const void *from[FIELDS_MAX];
    void *to[FIELDS_MAX];
} planned_t;

static inline void planned_run(void *context) {
    planned_t *planned = context;
    BENCH_OK(maestro_plan_run(planned->plan, planned->nfields, planned->from, planned->to));
}

static const struct {
    const char *name;
    maestro_method_t method;
    bool readable; /* memory from maestro_alloc */
    bool apart;    /* as if each rank were on a node of its own */
} rounds_ours[] = {
    {"packed", MAESTRO_METHOD_PACKED, false, false},
    {"buffered", MAESTRO_METHOD_BUFFERED, false, false},
    {"datatypes", MAESTRO_METHOD_DATATYPES, false, false},
    {"staged", MAESTRO_METHOD_STAGED, false, false},
    {"shared", MAESTRO_METHOD_SHARED, true, false},
    {"packed, alloc", MAESTRO_METHOD_PACKED, true, false},
    {"auto, nodes", MAESTRO_METHOD_AUTO_PRIVATE, false, true},
    {"auto, other", MAESTRO_METHOD_AUTO_PRIVATE, false, false},
    {"auto", MAESTRO_METHOD_AUTO, true, false},
};

/* The communicator of a plan of ours; a plan learns its nodes when it is the first on its communicator. */
static inline maestro_comm_t rounds_comm(bool apart, int rank) {
    static MPI_Comm alone = MPI_COMM_NULL;
    char name[32];
    if (!apart) return MPI_Comm_c2f(MPI_COMM_WORLD);
    if (alone == MPI_COMM_NULL) MPI_Comm_dup(MPI_COMM_WORLD, &alone);
    snprintf(name, sizeof name, "n%d", rank);
    setenv("MAESTRO_NODE", name, 1);
    return MPI_Comm_c2f(alone);
}

/* The method of a plan, as its own words say. */
static inline void rounds_note(const maestro_plan_t *plan, char *note, size_t nbytes) {
    char *json = NULL;
    BENCH_OK(maestro_plan_explain(plan, &json));
    const char *at = strstr(json, "\"method\": \"");
    if (at) snprintf(note, nbytes, "%.*s", (int)strcspn(at + 11, "\""), at + 11);
    maestro_free(json);
}

/* Of a choice: the way of the method that was chosen, with memory of the same kind if there is one. */
static inline const char *rounds_as(const char *name, const char *note) {
    const char *as = NULL;
    bool readable = strcmp(name, "auto") == 0;
    for (size_t i = 0; i < MST_COUNT(rounds_ours) && strncmp(name, "auto", 4) == 0; i++)
        if (strncmp(rounds_ours[i].name, note, strlen(note)) == 0 && (!as || rounds_ours[i].readable == readable)) as = rounds_ours[i].name;
    return as;
}

/* A plan of ours as a way, if its method can be had here. */
static inline bool rounds_add_ours(rounds_t *rounds, const char *name, maestro_status_t status, planned_t *planned, const void *target) {
    if (status != MAESTRO_OK) {
        if (!rounds->rank) fprintf(stderr, "%s: no method for '%s': %s\n", rounds->what, name, maestro_last_error());
        return false;
    }
    way_t *way = rounds_add(rounds, name, true, planned_run, planned, target);
    rounds_note(planned->plan, way->note, sizeof way->note);
    way->as = rounds_as(name, way->note);
    return true;
}

static inline double *bench_pages(int64_t count) {
    double *memory = mmap(NULL, (size_t)count * sizeof *memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    BENCH_CHECK(memory != MAP_FAILED);
    return memory;
}

/* Words of the command line: --json, --short, --rounds N, --peer FILE (a library with another's functions), and numbers or names of cases. */
typedef struct rounds_words {
    bool json, in_short;
    int nrounds;
    const char *peer;
    int ncases, nwanted; /* named, and found so far */
    char **cases;
} rounds_words_t;

_Noreturn static inline void rounds_refuse(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static inline rounds_words_t rounds_words(int argc, char **argv, int otherwise) {
    rounds_words_t words = {.nrounds = otherwise};
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--json") == 0) words.json = true;
        else if (strcmp(argv[i], "--short") == 0) words.in_short = true;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) words.nrounds = atoi(argv[++i]);
        else if (strcmp(argv[i], "--peer") == 0 && i + 1 < argc) words.peer = argv[++i];
        else bench_die(argv[i]);
    }
    if (words.nrounds < 1 || words.nrounds > ROUNDS_MAX) rounds_refuse("--rounds: give 1 to 255");
    words.ncases = argc - i;
    words.cases = argv + i;
    return words;
}

/* Is a case wanted: was it named, or none? */
static inline bool rounds_wants(rounds_words_t *words, const char *name) {
    for (int i = 0; i < words->ncases; i++)
        if (strcmp(words->cases[i], name) == 0) {
            words->nwanted++;
            return true;
        }
    return words->ncases == 0;
}

/* When all have been asked for: dies if one was named that there is not. */
static inline void rounds_end(const rounds_words_t *words) {
    if (words->nwanted < words->ncases) rounds_refuse("a case was named that there is not; without names all are run");
}

#endif
