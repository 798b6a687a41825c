/* Redistribution of N x N doubles by plans, beside the same by hand, as ratios to a memcpy of a rank's share, all in turn in one run:
 *   rows       row blocks -> column blocks, both row-major; by hand: rows packed, received in place
 *   transpose  row blocks, row-major -> column blocks, column-major; by hand: rows packed, unpacked element by element in tiles of 16 x 16
 * A sample is that of the slowest rank; results are checked element by element.
 * Usage: mpirun -n RANKS maestro-bench-redistribute [--json] [N ...]  (default 64 512 4096).  Prints medians, and the ratio with its quartiles. */
#include "../bench.h"

#include "base/base.h"

#include <mpi.h>

enum { SAMPLES = 31, SAMPLE_NS = 100000, PEERS_MAX = 64 };
typedef enum way { COPY, HAND, PACKED, SHARED, ONE_COPY, WAYS } way_t; /* SHARED: out of memory that others cannot read */
static const char *const way_name[WAYS] = {"memcpy", "by hand", "packed", "shared", "one copy"};

static int rank, nranks;

typedef struct arrays {
    const char *name;
    bool transposed;
    int64_t n, part; /* n = part * nranks */
    double *source, *target, *sent, *received, *readable;
    maestro_plan_t *plan[WAYS];
} arrays_t;

static double value_of(int64_t i, int64_t j) { return (double)i * 8192.0 + (double)j; }

static double *pages(int64_t count) {
    double *memory = mmap(NULL, (size_t)count * sizeof *memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    BENCH_CHECK(memory != MAP_FAILED);
    return memory;
}

static maestro_plan_t *make_plan(const arrays_t *arrays, maestro_method_t method) {
    const int64_t shape[] = {arrays->n, arrays->n};
    maestro_layout_options_t order;
    maestro_plan_options_t options;
    maestro_layout_t *rows, *columns;
    maestro_plan_t *plan;
    maestro_layout_options_init(&order);
    maestro_plan_options_init(&options);
    order.order = arrays->transposed ? MAESTRO_COLUMN_MAJOR : MAESTRO_ROW_MAJOR;
    options.method = method;
    BENCH_OK(maestro_layout_blocks(2, shape, (int64_t[]){nranks, 1}, NULL, &rows));
    BENCH_OK(maestro_layout_blocks(2, shape, (int64_t[]){1, nranks}, &order, &columns));
    BENCH_OK(maestro_redistribute(rows, columns, sizeof(double), MPI_Comm_c2f(MPI_COMM_WORLD), &options, &plan));
    maestro_layout_destroy(rows);
    maestro_layout_destroy(columns);
    return plan;
}

static void arrays_init(arrays_t *arrays, const char *name, bool transposed, int64_t n) {
    *arrays = (arrays_t){.name = name, .transposed = transposed, .n = n, .part = n / nranks};
    int64_t count = arrays->part * n;
    BENCH_CHECK(arrays->part * nranks == n);
    arrays->source = pages(count);
    arrays->target = pages(count);
    arrays->sent = pages(count);
    arrays->received = pages(count);
    for (int64_t i = 0; i < arrays->part; i++)
        for (int64_t j = 0; j < n; j++) arrays->source[i * n + j] = value_of(rank * arrays->part + i, j);
    BENCH_OK(maestro_alloc((size_t)count * sizeof(double), (void **)&arrays->readable));
    memcpy(arrays->readable, arrays->source, (size_t)count * sizeof(double));
    arrays->plan[SHARED] = make_plan(arrays, MAESTRO_METHOD_SHARED);
    arrays->plan[ONE_COPY] = make_plan(arrays, MAESTRO_METHOD_SHARED);
    arrays->plan[PACKED] = make_plan(arrays, MAESTRO_METHOD_PACKED);
}

static void arrays_fini(arrays_t *arrays) {
    size_t nbytes = (size_t)(arrays->part * arrays->n) * sizeof(double);
    double *const memory[] = {arrays->source, arrays->target, arrays->sent, arrays->received};
    for (size_t i = 0; i < MST_COUNT(memory); i++) munmap(memory[i], nbytes);
    for (int way = 0; way < WAYS; way++) BENCH_OK(maestro_plan_destroy(arrays->plan[way]));
    BENCH_OK(maestro_dealloc(arrays->readable));
}

/* ---- By hand */
static void pack(const arrays_t *arrays, int peer, double *to) {
    for (int64_t i = 0; i < arrays->part; i++) memcpy(to + i * arrays->part, arrays->source + i * arrays->n + peer * arrays->part,
                                                      (size_t)arrays->part * sizeof *to);
}

static void unpack(const arrays_t *arrays, int peer, const double *from) {
    enum { TILE = 16 };
    for (int64_t ii = 0; ii < arrays->part; ii += TILE)
        for (int64_t jj = 0; jj < arrays->part; jj += TILE)
            for (int64_t j = jj; j < jj + TILE && j < arrays->part; j++)
                for (int64_t i = ii; i < ii + TILE && i < arrays->part; i++)
                    arrays->target[j * arrays->n + peer * arrays->part + i] = from[i * arrays->part + j];
}

static void by_hand(const arrays_t *arrays) {
    MPI_Request request[2 * PEERS_MAX];
    int64_t block = arrays->part * arrays->part;
    int nrequests = 0;
    double *received = arrays->transposed ? arrays->received : arrays->target;
    for (int p = 0; p < nranks; p++)
        if (p != rank) MPI_Irecv(received + p * block, (int)block, MPI_DOUBLE, p, 0, MPI_COMM_WORLD, &request[nrequests++]);
    for (int p = 0; p < nranks; p++) {
        if (p == rank) continue;
        pack(arrays, p, arrays->sent + p * block);
        MPI_Isend(arrays->sent + p * block, (int)block, MPI_DOUBLE, p, 0, MPI_COMM_WORLD, &request[nrequests++]);
    }
    pack(arrays, rank, received + rank * block);
    MPI_Waitall(nrequests, request, MPI_STATUSES_IGNORE);
    for (int p = 0; p < nranks && arrays->transposed; p++) unpack(arrays, p, received + p * block);
}

/* ---- Measuring */
static void run(const arrays_t *arrays, int way) {
    const void *from[] = {way == ONE_COPY ? arrays->readable : arrays->source};
    void *to[] = {arrays->target};
    if (way == COPY) memcpy(arrays->target, arrays->source, (size_t)(arrays->part * arrays->n) * sizeof(double));
    else if (way == HAND) by_hand(arrays);
    else BENCH_OK(maestro_plan_run(arrays->plan[way], 1, from, to));
}

static void check(const arrays_t *arrays, int way) {
    memset(arrays->target, 0, (size_t)(arrays->part * arrays->n) * sizeof(double));
    run(arrays, way);
    for (int64_t i = 0; i < arrays->n && way != COPY; i++)
        for (int64_t j = 0; j < arrays->part; j++)
            BENCH_CHECK(arrays->target[arrays->transposed ? j * arrays->n + i : i * arrays->part + j] == value_of(i, rank * arrays->part + j));
}

/* Nanoseconds of a run, of the slowest rank. */
static double sample(const arrays_t *arrays, int way, int64_t repeats) {
    MPI_Barrier(MPI_COMM_WORLD);
    int64_t start = mst_base_now_ns();
    for (int64_t i = 0; i < repeats; i++) run(arrays, way);
    double own = (double)(mst_base_now_ns() - start) / (double)repeats, slowest;
    MPI_Allreduce(&own, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return slowest;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void report(const arrays_t *arrays, int way, double *ns, const double *copy_ns, bool json) {
    double ratio[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) ratio[i] = ns[i] / copy_ns[i];
    qsort(ratio, SAMPLES, sizeof *ratio, by_value);
    qsort(ns, SAMPLES, sizeof *ns, by_value);
    if (rank) return;
    const char *format = json ? "{\"case\": \"%s\", \"n\": %lld, \"ranks\": %d, \"way\": \"%s\", \"us\": %.2f, \"ratio\": %.2f, \"quartiles\": [%.2f, %.2f]}\n"
                              : "%-9s %5lld  %d ranks  %-8s %10.2f us  %6.2f memcpy  (%.2f to %.2f)\n";
    printf(format, arrays->name, (long long)arrays->n, nranks, way_name[way], ns[SAMPLES / 2] * 1e-3, ratio[SAMPLES / 2], ratio[SAMPLES / 4],
           ratio[3 * SAMPLES / 4]);
}

static void measure(const arrays_t *arrays, bool json) {
    static double ns[WAYS][SAMPLES];
    double copy_ns[SAMPLES];
    for (int way = 0; way < WAYS; way++) check(arrays, way);
    int64_t repeats = (int64_t)(SAMPLE_NS / sample(arrays, PACKED, 3)) + 1;
    MPI_Bcast(&repeats, 1, MPI_INT64_T, 0, MPI_COMM_WORLD);
    for (int i = 0; i < SAMPLES; i++)
        for (int way = 0; way < WAYS; way++) ns[way][i] = sample(arrays, way, repeats);
    memcpy(copy_ns, ns[COPY], sizeof copy_ns);
    for (int way = 0; way < WAYS; way++) report(arrays, way, ns[way], copy_ns, json);
}

int main(int argc, char **argv) {
    static const int64_t usual[] = {64, 512, 4096};
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    BENCH_CHECK(nranks <= PEERS_MAX);
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    int first = json ? 2 : 1, nsizes = argc > first ? argc - first : (int)MST_COUNT(usual);
    for (int c = 0; c < 2; c++)
        for (int s = 0; s < nsizes; s++) {
            arrays_t arrays;
            arrays_init(&arrays, c ? "transpose" : "rows", c, argc > first ? atoll(argv[first + s]) : usual[s]);
            measure(&arrays, json);
            arrays_fini(&arrays);
        }
    MPI_Finalize();
    return 0;
}
