/* What a rank's share of a redistribution costs in copies, as ratios to a memcpy of the share, all in turn in one run.  Two ranks; N x N doubles:
 *   rows      row blocks -> column blocks, both row-major
 *   cyclic    blocks of 64 x 64 (of 8 x 8 below N = 512) dealt to a grid of 1 x 2 -> row blocks
 *   transpose row blocks, row-major -> column blocks, column-major
 * each by one copy out of the other ranks' memory (direct), into buffers (pack) and out of them (unpack).  The result of each is checked element by element.
 * Usage: array_kernels [--json] [N ...]  (default 64 512 4096).  Prints medians over the samples, and the ratio with its quartiles. */
#include "bench.h"

#include "array/copy.h"

static const maestro_field_t field = {.from = MAESTRO_F64, .to = MAESTRO_F64, .scale = 1};

enum { RANKS = 2, SAMPLES = 41, WAYS = 3, SAMPLE_NS = 20000 };

static const char *const way_name[WAYS] = {"direct", "pack", "unpack"};

/* ---- One case: the share of rank 0, as source of what it packs and as target of all else */
typedef struct arrays {
    const char *name;
    int64_t n;
    maestro_layout_t *from, *to;
    double *source[RANKS], *target, *buffer[RANKS];
    mst_array_copy_t *copy[WAYS][RANKS];
} arrays_t;

static size_t share_nbytes(const arrays_t *arrays) { return (size_t)(arrays->n * arrays->n / RANKS) * sizeof(double); }

static double value_of(int64_t i, int64_t j) { return (double)i * 8192.0 + (double)j; }

static double *pages(int64_t count) {
    double *memory = mmap(NULL, (size_t)count * sizeof *memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    BENCH_CHECK(memory != MAP_FAILED);
    return memory;
}

static void fill(const arrays_t *arrays) {
    for (int64_t i = 0; i < arrays->n; i++)
        for (int64_t j = 0; j < arrays->n; j++) {
            int64_t index[] = {i, j}, part, offset;
            BENCH_OK(maestro_layout_owner(arrays->from, index, &part));
            BENCH_OK(maestro_layout_offset(arrays->from, part, index, &offset));
            arrays->source[part][offset] = value_of(i, j);
        }
}

static void prepare(arrays_t *arrays, mst_array_way_t way, int rank, const maestro_layout_t *from, int from_part, const maestro_layout_t *to, int to_part) {
    mst_array_moves_t moves;
    BENCH_OK(mst_array_intersect(from, from_part, to, to_part, &moves));
    BENCH_OK(mst_array_copy_create(&moves, way, &field, share_nbytes(arrays), &arrays->copy[way][rank]));
    mst_array_moves_fini(&moves);
}

static void arrays_init(arrays_t *arrays, const char *name, int64_t n, maestro_layout_t *from, maestro_layout_t *to) {
    *arrays = (arrays_t){.name = name, .n = n, .from = from, .to = to, .target = pages(n * n / RANKS)};
    for (int rank = 0; rank < RANKS; rank++) {
        arrays->source[rank] = pages(n * n / RANKS);
        arrays->buffer[rank] = pages(n * n / RANKS);
        prepare(arrays, MST_ARRAY_DIRECT, rank, from, rank, to, 0);
        prepare(arrays, MST_ARRAY_PACK, rank, from, 0, to, rank);
        prepare(arrays, MST_ARRAY_UNPACK, rank, from, rank, to, 0);
    }
    fill(arrays);
}

static void arrays_fini(arrays_t *arrays) {
    size_t nbytes = share_nbytes(arrays);
    munmap(arrays->target, nbytes);
    for (int rank = 0; rank < RANKS; rank++) {
        munmap(arrays->source[rank], nbytes);
        munmap(arrays->buffer[rank], nbytes);
        for (int way = 0; way < WAYS; way++) mst_array_copy_destroy(arrays->copy[way][rank]);
    }
    maestro_layout_destroy(arrays->from);
    maestro_layout_destroy(arrays->to);
}

static void run(const arrays_t *arrays, int way) {
    for (int rank = 0; rank < RANKS; rank++) {
        const void *from = way == MST_ARRAY_DIRECT ? arrays->source[rank] : way == MST_ARRAY_PACK ? arrays->source[0] : arrays->buffer[rank];
        mst_array_copy_run(arrays->copy[way][rank], from, way == MST_ARRAY_PACK ? arrays->buffer[rank] : arrays->target);
    }
}

static void copy_plainly(const arrays_t *arrays) { memcpy(arrays->target, arrays->source[0], share_nbytes(arrays)); }

/* ---- Checks */
static void check_target(const arrays_t *arrays) {
    for (int64_t i = 0; i < arrays->n; i++)
        for (int64_t j = 0; j < arrays->n; j++) {
            int64_t index[] = {i, j}, offset;
            BENCH_OK(maestro_layout_offset(arrays->to, 0, index, &offset));
            BENCH_CHECK(offset < 0 || arrays->target[offset] == value_of(i, j));
        }
}

/* Buffers from each rank are packed and then unpacked; what the benchmark packs, rank 0's share, is the first of them. */
static void check_all(const arrays_t *arrays) {
    mst_array_moves_t moves;
    size_t nbytes = share_nbytes(arrays);
    memset(arrays->target, 0xff, nbytes);
    run(arrays, MST_ARRAY_DIRECT);
    check_target(arrays);
    for (int rank = 0; rank < RANKS; rank++) {
        mst_array_copy_t *pack;
        BENCH_OK(mst_array_intersect(arrays->from, rank, arrays->to, 0, &moves));
        BENCH_OK(mst_array_copy_create(&moves, MST_ARRAY_PACK, &field, share_nbytes(arrays), &pack));
        mst_array_copy_run(pack, arrays->source[rank], arrays->buffer[rank]);
        mst_array_copy_destroy(pack);
        mst_array_moves_fini(&moves);
    }
    memset(arrays->target, 0xff, nbytes);
    run(arrays, MST_ARRAY_UNPACK);
    check_target(arrays);
}

/* ---- Times */
static void run_one(const arrays_t *arrays, int way) {
    if (way < 0) copy_plainly(arrays);
    else run(arrays, way);
    __asm__ volatile("" ::: "memory");
}

/* Nanoseconds of one run.  Short ones are repeated so that a sample is longer than the clock's grain.  One that is not timed comes first: what the way before
 * left in the caches (a long memcpy leaves its target in none) is not this one's. */
static double sample(const arrays_t *arrays, int way, long repeat) {
    run_one(arrays, way);
    int64_t start = mst_base_now_ns();
    for (long i = 0; i < repeat; i++) run_one(arrays, way);
    return (double)(mst_base_now_ns() - start) / (double)repeat;
}

static void measure(const arrays_t *arrays, bool json) {
    static double plain[SAMPLES], ours[WAYS][SAMPLES], ratio[WAYS][SAMPLES];
    long repeat = 1 + (long)(SAMPLE_NS / (1 + sample(arrays, -1, 3)));
    for (int i = 0; i < SAMPLES; i++) {
        plain[i] = sample(arrays, -1, repeat);
        for (int way = 0; way < WAYS; way++) ratio[way][i] = (ours[way][i] = sample(arrays, way, repeat)) / plain[i];
    }
    double memcpy_ns = bench_quantile(plain, SAMPLES, 0.5);
    for (int way = 0; way < WAYS; way++) {
        double ns = bench_quantile(ours[way], SAMPLES, 0.5), low = bench_quantile(ratio[way], SAMPLES, 0.25), high = bench_quantile(ratio[way], SAMPLES, 0.75);
        if (json)
            printf("{\"name\":\"%s_%s\",\"n\":%lld,\"value_ns\":%.1f,\"memcpy_ns\":%.1f,\"ratio\":%.3f,\"ratio_quartiles\":[%.3f,%.3f]}\n", arrays->name,
                   way_name[way], (long long)arrays->n, ns, memcpy_ns, bench_quantile(ratio[way], SAMPLES, 0.5), low, high);
        else
            printf("%-10s %-7s %6lld  %12.2f us  memcpy %12.2f us  ratio %5.2f  (%.2f to %.2f)\n", arrays->name, way_name[way], (long long)arrays->n, ns * 1e-3,
                   memcpy_ns * 1e-3, bench_quantile(ratio[way], SAMPLES, 0.5), low, high);
    }
}

/* ---- Cases */
static maestro_layout_t *blocks(int64_t n, bool by_rows, maestro_order_t order) {
    maestro_layout_t *layout;
    maestro_layout_options_t options;
    maestro_layout_options_init(&options);
    options.order = order;
    BENCH_OK(maestro_layout_blocks(2, (int64_t[]){n, n}, by_rows ? (int64_t[]){RANKS, 1} : (int64_t[]){1, RANKS}, &options, &layout));
    return layout;
}

static maestro_layout_t *dealt(int64_t n) {
    maestro_layout_t *layout;
    int64_t block = n < 512 ? 8 : 64;
    BENCH_OK(maestro_layout_block_cyclic(2, (int64_t[]){n, n}, (int64_t[]){block, block}, (int64_t[]){1, RANKS}, NULL, &layout));
    return layout;
}

static void run_case(const char *name, int64_t n, maestro_layout_t *from, maestro_layout_t *to, bool json) {
    arrays_t arrays;
    arrays_init(&arrays, name, n, from, to);
    check_all(&arrays);
    measure(&arrays, json);
    check_all(&arrays);
    arrays_fini(&arrays);
}

static void run_size(int64_t n, bool json) {
    BENCH_CHECK(n > 0 && n % (n < 512 ? 8 * RANKS : 64 * RANKS) == 0 && n <= 8192); /* each rank has half */
    run_case("rows", n, blocks(n, true, MAESTRO_ROW_MAJOR), blocks(n, false, MAESTRO_ROW_MAJOR), json);
    run_case("cyclic", n, dealt(n), blocks(n, true, MAESTRO_ROW_MAJOR), json);
    run_case("transpose", n, blocks(n, true, MAESTRO_ROW_MAJOR), blocks(n, false, MAESTRO_COLUMN_MAJOR), json);
}

int main(int argc, char **argv) {
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    if (argc > 1 + json)
        for (int i = 1 + json; i < argc; i++) run_size(atol(argv[i]), json);
    else
        for (int64_t n = 64; n <= 4096; n *= 8) run_size(n, json);
    return 0;
}
