/* What a rank's share of a redistribution costs in copies, as ratios to a memcpy of the share, all in turn in one run.  Two ranks; N x N doubles, or elements
 * of as many bytes as the name says:
 *   rows       row blocks -> column blocks, both row-major
 *   cyclic     blocks of 64 x 64 (of 8 x 8 below N = 512) dealt to a grid of 1 x 2 -> row blocks
 *   transpose  row blocks, row-major -> column blocks, column-major; transpose_1 to _16
 *   singles    rows dealt one by one, row-major -> column blocks, column-major; singles_back: the reverse
 *   lines      whole rows in an order by chance, as indices -> column blocks, column-major; lines_back: the reverse
 *   points     single elements and pairs by chance, as indices -> the same; points_back (both with N = 1024 at most)
 *   to_float, points_float: transpose and points, and doubles become floats
 * each by one copy out of the other ranks' memory (direct), into buffers (pack) and out of them (unpack).  The result of each is checked element by element.
 * Then what a plan of one of 100,000 ranks keeps of a 46,340 x 46,340 array: moves and copies, in bytes and milliseconds
 * of the processor.
 * Usage: array_kernels [--json] [--only NAME] [N ...]  (default 64 512 4096).  Prints medians over the samples, and the ratio with its quartiles. */
#include "bench.h"

#include "array/copy.h"

#include <malloc.h>

enum { RANKS = 2, SAMPLES = 41, WAYS = 3, SAMPLE_NS = 20000, POINTS_MAX = 1024 };

static bool json;
static const char *only; /* the case of this name; NULL: all */

static const char *const way_name[WAYS] = {"direct", "pack", "unpack"};

/* ---- One case: the share of rank 0, as source of what it packs and as target of all else */
typedef struct side { /* a layout of all ranks, or one for each */
    maestro_layout_t *layout[RANKS];
} side_t;

typedef struct arrays {
    const char *name;
    int64_t n;
    maestro_field_t field;
    side_t from, to;
    char *source[RANKS], *target, *buffer[RANKS];
    mst_array_copy_t *copy[WAYS][RANKS];
} arrays_t;

static size_t size_of(const arrays_t *arrays) { return mst_array_element_nbytes(arrays->field.from); }
static size_t share_nbytes(const arrays_t *arrays) { return (size_t)(arrays->n * arrays->n / RANKS) * size_of(arrays); }
static int64_t part_of(const side_t *side, int rank) { return maestro_layout_nparts(side->layout[rank]) > 1 ? rank : 0; }

/* Doubles have a value that a float can have; of others each byte is by chance. */
static void set_value(const arrays_t *arrays, int64_t i, int64_t j, bool converted, char *at) {
    double value = (double)(i * 4096 + j);
    float narrow = (float)value;
    uint64_t bits[2] = {mst_base_mix((uint64_t)(i * 8192 + j)), mst_base_mix((uint64_t)(j * 8192 + i))};
    if (arrays->field.from == MAESTRO_F64) memcpy(at, converted ? (void *)&narrow : (void *)&value, converted ? sizeof narrow : sizeof value);
    else memcpy(at, bits, size_of(arrays));
}

static char *pages(size_t nbytes) {
    void *memory = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    BENCH_CHECK(memory != MAP_FAILED);
    return memory;
}

static void fill(const arrays_t *arrays) {
    for (int rank = 0; rank < RANKS; rank++)
        for (int64_t i = 0; i < arrays->n; i++)
            for (int64_t j = 0; j < arrays->n; j++) {
                int64_t offset;
                BENCH_OK(maestro_layout_offset(arrays->from.layout[rank], part_of(&arrays->from, rank), (int64_t[]){i, j}, &offset));
                if (offset >= 0) set_value(arrays, i, j, false, arrays->source[rank] + offset * (int64_t)size_of(arrays));
            }
}

static mst_array_copy_t *prepare(const arrays_t *arrays, mst_array_way_t way, int from, int to) {
    mst_array_moves_t moves;
    mst_array_copy_t *copy;
    BENCH_OK(mst_array_intersect(arrays->from.layout[from], part_of(&arrays->from, from), arrays->to.layout[to], part_of(&arrays->to, to), &moves));
    BENCH_OK(mst_array_copy_create(&moves, way, &arrays->field, share_nbytes(arrays), &copy));
    mst_array_moves_fini(&moves);
    return copy;
}

static void arrays_init(arrays_t *arrays) {
    arrays->target = pages(share_nbytes(arrays));
    for (int rank = 0; rank < RANKS; rank++) {
        arrays->source[rank] = pages(share_nbytes(arrays));
        arrays->buffer[rank] = pages(share_nbytes(arrays));
        arrays->copy[MST_ARRAY_DIRECT][rank] = prepare(arrays, MST_ARRAY_DIRECT, rank, 0);
        arrays->copy[MST_ARRAY_PACK][rank] = prepare(arrays, MST_ARRAY_PACK, 0, rank);
        arrays->copy[MST_ARRAY_UNPACK][rank] = prepare(arrays, MST_ARRAY_UNPACK, rank, 0);
    }
    fill(arrays);
}

static void side_fini(side_t *side) {
    if (side->layout[1] != side->layout[0]) maestro_layout_destroy(side->layout[1]);
    maestro_layout_destroy(side->layout[0]);
}

static void arrays_fini(arrays_t *arrays) {
    size_t nbytes = share_nbytes(arrays);
    munmap(arrays->target, nbytes);
    for (int rank = 0; rank < RANKS; rank++) {
        munmap(arrays->source[rank], nbytes);
        munmap(arrays->buffer[rank], nbytes);
        for (int way = 0; way < WAYS; way++) mst_array_copy_destroy(arrays->copy[way][rank]);
    }
    side_fini(&arrays->from);
    side_fini(&arrays->to);
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
    const size_t size = mst_array_element_nbytes(arrays->field.to);
    for (int64_t i = 0; i < arrays->n; i++)
        for (int64_t j = 0; j < arrays->n; j++) {
            int64_t offset;
            char expected[16];
            BENCH_OK(maestro_layout_offset(arrays->to.layout[0], 0, (int64_t[]){i, j}, &offset));
            set_value(arrays, i, j, arrays->field.from != arrays->field.to, expected);
            BENCH_CHECK(offset < 0 || memcmp(arrays->target + offset * (int64_t)size, expected, size) == 0);
        }
}

/* Buffers from each rank are packed and then unpacked; what the benchmark packs, rank 0's share, is the first of them. */
static void check_all(const arrays_t *arrays) {
    size_t nbytes = share_nbytes(arrays);
    memset(arrays->target, 0xff, nbytes);
    run(arrays, MST_ARRAY_DIRECT);
    check_target(arrays);
    for (int rank = 0; rank < RANKS; rank++) {
        mst_array_copy_t *pack = prepare(arrays, MST_ARRAY_PACK, rank, 0);
        mst_array_copy_run(pack, arrays->source[rank], arrays->buffer[rank]);
        mst_array_copy_destroy(pack);
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

static void measure(const arrays_t *arrays) {
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
            printf("%-13s %-7s %6lld  %12.2f us  memcpy %12.2f us  ratio %5.2f  (%.2f to %.2f)\n", arrays->name, way_name[way], (long long)arrays->n, ns * 1e-3,
                   memcpy_ns * 1e-3, bench_quantile(ratio[way], SAMPLES, 0.5), low, high);
    }
}

/* ---- Layouts */
static side_t same(maestro_layout_t *layout) { return (side_t){{layout, layout}}; }

static side_t blocks(int64_t n, bool by_rows, maestro_order_t order) {
    maestro_layout_t *layout;
    maestro_layout_options_t options;
    maestro_layout_options_init(&options);
    options.order = order;
    BENCH_OK(maestro_layout_blocks(2, (int64_t[]){n, n}, by_rows ? (int64_t[]){RANKS, 1} : (int64_t[]){1, RANKS}, &options, &layout));
    return same(layout);
}

static side_t dealt(int64_t n, int64_t block, bool rows) {
    maestro_layout_t *layout;
    BENCH_OK(maestro_layout_block_cyclic(2, (int64_t[]){n, n}, (int64_t[]){block, block}, rows ? (int64_t[]){RANKS, 1} : (int64_t[]){1, RANKS}, NULL, &layout));
    return same(layout);
}

/* Of each two elements each rank has one. */
static side_t points(int64_t n) {
    side_t side;
    int64_t *indices = (int64_t *)(uintptr_t)pages((size_t)(n * n / RANKS) * sizeof *indices);
    for (int rank = 0; rank < RANKS; rank++) {
        for (int64_t k = 0; k < n * n / RANKS; k++) indices[k] = 2 * k + (int64_t)((mst_base_mix((uint64_t)k) >> 7 & 1) ^ (uint64_t)rank);
        BENCH_OK(maestro_layout_indices(2, (int64_t[]){n, n}, n * n / RANKS, indices, NULL, &side.layout[rank]));
    }
    munmap(indices, (size_t)(n * n / RANKS) * sizeof *indices);
    return side;
}

static side_t lines(int64_t n) {
    side_t side;
    int64_t *indices = (int64_t *)(uintptr_t)pages((size_t)(n * n) * sizeof *indices), *row = malloc((size_t)n * sizeof *row);
    for (int64_t i = 0; i < n; i++) row[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(mst_base_mix((uint64_t)i) % (uint64_t)(i + 1)), swapped = row[i];
        row[i] = row[j];
        row[j] = swapped;
    }
    for (int64_t k = 0; k < n * n; k++) indices[k] = row[k / n] * n + k % n;
    for (int rank = 0; rank < RANKS; rank++)
        BENCH_OK(maestro_layout_indices(2, (int64_t[]){n, n}, n * n / RANKS, indices + rank * n * n / RANKS, NULL, &side.layout[rank]));
    munmap(indices, (size_t)(n * n) * sizeof *indices);
    free(row);
    return side;
}

/* ---- Cases */
static bool is_wanted(const char *name) { return !only || strcmp(only, name) == 0; }

static void run_case(const char *name, int64_t n, maestro_element_t from, maestro_element_t to, side_t from_side, side_t to_side) {
    arrays_t arrays = {.name = name, .n = n, .field = {.from = from, .to = to, .scale = 1}, .from = from_side, .to = to_side};
    arrays_init(&arrays);
    check_all(&arrays);
    measure(&arrays);
    check_all(&arrays);
    arrays_fini(&arrays);
}

#define CASE(name, n, element, from, to) (is_wanted(name) ? run_case(name, n, element, element, from, to) : (void)0)

static void run_size(int64_t n) {
    const int64_t fewer = n < POINTS_MAX ? n : POINTS_MAX;
    BENCH_CHECK(n > 0 && n % (n < 512 ? 8 * RANKS : 64 * RANKS) == 0 && n <= 8192); /* each rank has half */
    CASE("rows", n, MAESTRO_F64, blocks(n, true, MAESTRO_ROW_MAJOR), blocks(n, false, MAESTRO_ROW_MAJOR));
    CASE("cyclic", n, MAESTRO_F64, dealt(n, n < 512 ? 8 : 64, false), blocks(n, true, MAESTRO_ROW_MAJOR));
    CASE("transpose", n, MAESTRO_F64, blocks(n, true, MAESTRO_ROW_MAJOR), blocks(n, false, MAESTRO_COLUMN_MAJOR));
    CASE("transpose_1", n, MAESTRO_BYTES_1, blocks(n, true, MAESTRO_ROW_MAJOR), blocks(n, false, MAESTRO_COLUMN_MAJOR));
    CASE("transpose_2", n, MAESTRO_BYTES_2, blocks(n, true, MAESTRO_ROW_MAJOR), blocks(n, false, MAESTRO_COLUMN_MAJOR));
    CASE("transpose_4", n, MAESTRO_BYTES_4, blocks(n, true, MAESTRO_ROW_MAJOR), blocks(n, false, MAESTRO_COLUMN_MAJOR));
    CASE("transpose_16", n, MAESTRO_BYTES_16, blocks(n, true, MAESTRO_ROW_MAJOR), blocks(n, false, MAESTRO_COLUMN_MAJOR));
    CASE("singles", n, MAESTRO_F64, dealt(n, 1, true), blocks(n, false, MAESTRO_COLUMN_MAJOR));
    CASE("singles_back", n, MAESTRO_F64, blocks(n, false, MAESTRO_COLUMN_MAJOR), dealt(n, 1, true));
    CASE("lines", n, MAESTRO_F64, lines(n), blocks(n, false, MAESTRO_COLUMN_MAJOR));
    CASE("lines_back", n, MAESTRO_F64, blocks(n, false, MAESTRO_COLUMN_MAJOR), lines(n));
    CASE("points", fewer, MAESTRO_F64, points(fewer), blocks(fewer, false, MAESTRO_COLUMN_MAJOR));
    CASE("points_back", fewer, MAESTRO_F64, blocks(fewer, false, MAESTRO_COLUMN_MAJOR), points(fewer));
    if (is_wanted("points_float"))
        run_case("points_float", fewer, MAESTRO_F64, MAESTRO_F32, points(fewer), blocks(fewer, false, MAESTRO_COLUMN_MAJOR));
    if (is_wanted("to_float"))
        run_case("to_float", n, MAESTRO_F64, MAESTRO_F32, blocks(n, true, MAESTRO_ROW_MAJOR), blocks(n, false, MAESTRO_COLUMN_MAJOR));
}

/* ---- Plans */
static int64_t allocated(void) {
    struct mallinfo2 info = mallinfo2();
    return (int64_t)(info.uordblks + info.hblkhd);
}

/* All moves of a part and their copies, kept together. */
static void run_plan(const char *name, maestro_layout_t *from, int64_t part, maestro_layout_t *to) {
    int64_t *peers, npeers, before = allocated(), start = bench_cpu_ns();
    const maestro_field_t field = {.from = MAESTRO_F64, .to = MAESTRO_F64, .scale = 1};
    BENCH_OK(mst_array_peers(from, part, to, &peers, &npeers));
    mst_array_moves_t *moves = calloc((size_t)npeers + 1, sizeof *moves);
    mst_array_copy_t **copy = calloc((size_t)npeers + 1, sizeof *copy);
    for (int64_t i = 0; i < npeers; i++) {
        BENCH_OK(mst_array_intersect(from, part, to, peers[i], &moves[i]));
        BENCH_OK(mst_array_copy_create(&moves[i], MST_ARRAY_PACK, &field, 0, &copy[i]));
    }
    double ms = (double)(bench_cpu_ns() - start) * 1e-6;
    int64_t nbytes = allocated() - before;
    if (json) printf("{\"name\":\"plan_%s\",\"peers\":%lld,\"nbytes\":%lld,\"ms\":%.3f}\n", name, (long long)npeers, (long long)nbytes, ms);
    else printf("plan of %-24s %6lld peers  %12lld bytes  %8.3f ms\n", name, (long long)npeers, (long long)nbytes, ms);
    for (int64_t i = 0; i < npeers; i++) {
        mst_array_moves_fini(&moves[i]);
        mst_array_copy_destroy(copy[i]);
    }
    free(moves), free(copy), free(peers);
    maestro_layout_destroy(from);
    maestro_layout_destroy(to);
}

static maestro_layout_t *cut(int64_t block, int64_t rows, int64_t columns) { /* block 0: balanced */
    const int64_t shape[] = {46340, 46340}, grid[] = {rows, columns};
    maestro_layout_t *layout;
    if (block) BENCH_OK(maestro_layout_block_cyclic(2, shape, (int64_t[]){block, block}, grid, NULL, &layout));
    else BENCH_OK(maestro_layout_blocks(2, shape, grid, NULL, &layout));
    return layout;
}

static void run_plans(void) {
    run_plan("rows_to_columns", cut(0, 100000, 1), 12345, cut(0, 1, 100000));
    run_plan("blocks_to_blocks", cut(0, 400, 250), 54321, cut(0, 250, 400));
    run_plan("blocks_to_cyclic_64", cut(0, 400, 250), 54321, cut(64, 250, 400));
    run_plan("cyclic_64_to_cyclic_64", cut(64, 250, 400), 54321, cut(64, 400, 250));
    run_plan("blocks_to_cyclic_1", cut(0, 400, 250), 54321, cut(1, 250, 400));
}

int main(int argc, char **argv) {
    bool sized = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) json = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
        else {
            run_size(atol(argv[i]));
            sized = true;
        }
    }
    for (int64_t n = 64; !sized && n <= 4096; n *= 8) run_size(n);
    if (is_wanted("plan")) run_plans();
    return 0;
}
