/* Copies against brute force: every element arrives by every way, and nothing else is written. */
#include "array/handover.h"

#include "array/random_test.h"
#include "base/test.h"

enum { CASES = 10000, MARGIN = 64 };

static int copies_of_a_line, copies_past;

/* ---- Memory with margins; misaligned as the seed says */
typedef struct memory {
    unsigned char *block, *bytes;
    size_t nbytes, block_nbytes;
} memory_t;

static memory_t memory_new(random_array_t *array, size_t nbytes, unsigned char fill) {
    memory_t memory = {.nbytes = nbytes, .block_nbytes = nbytes + 2 * MARGIN + 16};
    memory.block = malloc(memory.block_nbytes);
    memory.bytes = memory.block + MARGIN + random_below(array, 16);
    memset(memory.block, fill, memory.block_nbytes);
    return memory;
}

static memory_t memory_of(random_array_t *array, const maestro_layout_t *layout, int64_t part, size_t size, unsigned char fill) {
    maestro_local_t local = {0};
    CHECK_OK(maestro_layout_local(layout, part, &local));
    return memory_new(array, (size_t)local.nelements * size, fill);
}

static memory_t memory_like(const memory_t *other, unsigned char fill) {
    memory_t memory = *other;
    memory.block = malloc(memory.block_nbytes);
    memory.bytes = memory.block + (other->bytes - other->block);
    memset(memory.block, fill, memory.block_nbytes);
    return memory;
}

static bool memory_same(const memory_t *a, const memory_t *b) { return memcmp(a->block, b->block, a->block_nbytes) == 0; }

static bool margins_untouched(const memory_t *memory, unsigned char fill) {
    for (size_t i = 0; i < memory->block_nbytes; i++)
        if ((memory->block + i < memory->bytes || memory->block + i >= memory->bytes + memory->nbytes) && memory->block[i] != fill) return false;
    return true;
}

/* ---- One case */
typedef struct parts {
    const maestro_layout_t *from, *to;
    int64_t from_part, to_part;
} parts_t;

static void fill_at_random(random_array_t *array, memory_t *memory) {
    for (size_t i = 0; i < memory->nbytes; i++) memory->bytes[i] = (unsigned char)random_below(array, 256);
}

static void copy_by_element(const random_array_t *array, const parts_t *parts, size_t size, const memory_t *source, memory_t *target) {
    int64_t index[MST_ARRAY_MAX] = {0}, from = -1, to = -1;
    if (array->count > 0) do {
        CHECK_OK(maestro_layout_offset(parts->from, parts->from_part, index, &from));
        if (from < 0) continue;
        CHECK_OK(maestro_layout_offset(parts->to, parts->to_part, index, &to));
        if (to >= 0) memcpy(target->bytes + to * (int64_t)size, source->bytes + from * (int64_t)size, size);
    } while (random_next_index(array, index));
}

static void run(const mst_array_moves_t *moves, mst_array_way_t way, size_t size, bool large, const memory_t *from, memory_t *to) {
    mst_array_copy_t *copy = NULL;
    maestro_field_t field;
    maestro_field_init(&field, (maestro_element_t)size);
    CHECK_OK(mst_array_copy_create(moves, way, &field, 0, &copy));
    CHECK(mst_array_copy_nbytes(copy) == (size_t)moves->count * size);
    copy->large = large; /* small copies meet the kernels of large ones too */
    mst_array_copy_run(copy, from->bytes, to->bytes);
    mst_array_copy_destroy(copy);
}

/* Handed over in either way it is what was packed, of which `buffer` is a copy. */
static void hand_over(const mst_array_moves_t *moves, size_t size, bool cached, const memory_t *from, const memory_t *buffer) {
    mst_array_handover_t handover = {.cached = cached};
    mst_array_scratch_t scratch = {0};
    mst_array_copy_t *copy = NULL;
    maestro_field_t field;
    memory_t to = memory_like(buffer, 0xcc);
    maestro_field_init(&field, (maestro_element_t)size);
    CHECK_OK(mst_array_copy_create(moves, MST_ARRAY_PACK, &field, 0, &copy));
    mst_array_handover_pack(&handover, &scratch, copy, from->bytes, (char *)to.bytes);
    CHECK(memory_same(&to, buffer));
    CHECK((handover.kib > 0) == (buffer->nbytes >= MST_ARRAY_HANDOVER_LEAST));
    copies_past += !cached && handover.kib > 0;
    mst_array_handover_end(&handover, 0);
    mst_array_copy_destroy(copy);
    mst_array_scratch_fini(&scratch);
    free(to.block);
}

/* What is said to be one line is one: the buffer's bytes as they lie in the part's memory.  What moves one element is always one. */
static bool check_line(const mst_array_moves_t *moves, mst_array_way_t way, size_t size, const memory_t *part, const memory_t *buffer) {
    mst_array_copy_t *copy = NULL;
    maestro_field_t field;
    int64_t at = -1;
    maestro_field_init(&field, (maestro_element_t)size);
    CHECK_OK(mst_array_copy_create(moves, way, &field, 0, &copy));
    bool is_line = mst_array_copy_is_line(copy, way, &at);
    if (is_line) CHECK(at >= 0 && (size_t)at + buffer->nbytes <= part->nbytes && memcmp(part->bytes + at, buffer->bytes, buffer->nbytes) == 0);
    else CHECK(moves->count != 1);
    mst_array_copy_destroy(copy);
    return is_line;
}

static void check_copies(random_array_t *array, const parts_t *parts, size_t size) {
    mst_array_moves_t moves = {0};
    bool large = random_below(array, 2);
    memory_t source = memory_of(array, parts->from, parts->from_part, size, 0xaa), target = memory_of(array, parts->to, parts->to_part, size, 0xbb);
    memory_t expected = memory_like(&target, 0xbb), unpacked = memory_like(&target, 0xbb);
    fill_at_random(array, &source);
    memory_t kept = memory_like(&source, 0xaa);
    memcpy(kept.bytes, source.bytes, source.nbytes);
    copy_by_element(array, parts, size, &source, &expected);
    CHECK_OK(mst_array_intersect(parts->from, parts->from_part, parts->to, parts->to_part, &moves));
    memory_t buffer = memory_new(array, (size_t)moves.count * size, 0xcc);
    run(&moves, MST_ARRAY_DIRECT, size, large, &source, &target);
    run(&moves, MST_ARRAY_PACK, size, large, &source, &buffer);
    run(&moves, MST_ARRAY_UNPACK, size, large, &buffer, &unpacked);
    CHECK(memory_same(&target, &expected));
    CHECK(memory_same(&unpacked, &expected));
    CHECK(memory_same(&source, &kept));
    CHECK(margins_untouched(&buffer, 0xcc));
    hand_over(&moves, size, random_below(array, 2), &source, &buffer);
    copies_of_a_line += check_line(&moves, MST_ARRAY_PACK, size, &source, &buffer) + check_line(&moves, MST_ARRAY_UNPACK, size, &target, &buffer);
    mst_array_moves_fini(&moves);
    free(source.block), free(target.block), free(expected.block), free(unpacked.block), free(kept.block), free(buffer.block);
}

static maestro_layout_t *random_layout(random_array_t *array) {
    int64_t kind = random_below(array, 4);
    return kind == 0 ? random_boxes(array) : kind == 1 ? random_indices(array) : random_regular(array);
}

static void test_random_copies_bring_every_element_and_touch_nothing_else(void) {
    random_array_t array;
    for (uint64_t seed = 1; seed <= CASES; seed++) {
        int before = test_failures;
        random_array_init(&array, seed);
        maestro_layout_t *from = random_layout(&array), *to = random_layout(&array);
        parts_t parts = {from, to, random_below(&array, maestro_layout_nparts(from)), random_below(&array, maestro_layout_nparts(to))};
        check_copies(&array, &parts, (size_t)1 << random_below(&array, 5));
        if (test_failures > before) fprintf(stderr, "  with seed %llu\n", (unsigned long long)seed);
        maestro_layout_destroy(from);
        maestro_layout_destroy(to);
    }
    printf("%d cases, seeds 1 to %d; %d of twice as many copies are a line\n", CASES, CASES, copies_of_a_line);
    CHECK(copies_of_a_line > CASES / 20);
}

/* Sizes at which whole tiles, blocks of tiles, and long lines occur, in two and three dimensions. */
static void test_larger_arrays_are_transposed_in_tiles(void) {
    random_array_t array = {.state = 7};
    for (int i = 0; i < 60; i++) {
        maestro_layout_options_t options;
        maestro_layout_t *from = NULL, *to = NULL;
        array.ndims = 2 + i % 2;
        array.count = 1;
        for (int d = 0; d < array.ndims; d++) array.count *= array.shape[d] = i % 5 ? 40 + random_below(&array, array.ndims == 2 ? 150 : 40) : 128;
        maestro_layout_options_init(&options);
        options.order = (maestro_order_t)(i / 2 % 2);
        CHECK_OK(maestro_layout_blocks(array.ndims, array.shape, (int64_t[]){1, 2, 1}, &options, &from));
        options.order = (maestro_order_t)(i / 4 % 2);
        options.low[0] = random_below(&array, 2) * 8;
        options.high[array.ndims - 1] = random_below(&array, 3);
        CHECK_OK(maestro_layout_blocks(array.ndims, array.shape, (int64_t[]){2, 1, 1}, &options, &to));
        check_copies(&array, &(parts_t){from, to, 1, i % 2}, (size_t)1 << i % 5);
        maestro_layout_destroy(from);
        maestro_layout_destroy(to);
    }
}

/* Lists whose runs are a few elements, or whole rows, against both orders, and against each other. */
static void test_larger_lists_meet_blocks_of_both_orders(void) {
    random_array_t array = {.state = 5, .ndims = 2};
    for (int i = 0; i < 60; i++) {
        maestro_layout_options_t options;
        maestro_layout_t *blocks = NULL, *list, *other;
        array.count = 1;
        for (int d = 0; d < 2; d++) array.count *= array.shape[d] = 20 + random_below(&array, 80);
        list = random_indices(&array);
        other = random_indices(&array);
        maestro_layout_options_init(&options);
        options.order = (maestro_order_t)(i % 2);
        CHECK_OK(maestro_layout_blocks(2, array.shape, (int64_t[]){1, 1}, &options, &blocks));
        check_copies(&array, &(parts_t){list, blocks, 0, 0}, (size_t)1 << i % 5);
        check_copies(&array, &(parts_t){blocks, list, 0, 0}, (size_t)1 << i % 5);
        check_copies(&array, &(parts_t){list, other, 0, 0}, (size_t)1 << i % 5);
        maestro_layout_destroy(blocks);
        maestro_layout_destroy(list);
        maestro_layout_destroy(other);
    }
}

/* Places beyond 32 bits are no points; nor are few runs, or long ones. */
static void test_points_are_made_of_many_short_runs_that_are_near(void) {
    mst_array_run_t run[20];
    mst_array_axis_t axis = {.from_stride = 1, .to_stride = 1000, .nruns = 20, .run = run};
    for (int r = 0; r < 20; r++) run[r] = (mst_array_run_t){.length = 2, .from = 100 - 3 * r, .to = r * r};
    CHECK(mst_array_points_pay(&axis) && mst_array_points_count(&axis) == 40);
    run[7].to = INT32_MAX - 999;
    CHECK(!mst_array_points_pay(&axis));
    run[7].to = INT32_MAX - 1000;
    CHECK(mst_array_points_pay(&axis));
    run[3].from = INT32_MAX;
    CHECK(!mst_array_points_pay(&axis));
    run[3] = (mst_array_run_t){.length = 1000};
    CHECK(!mst_array_points_pay(&axis));
    axis.nruns = 3;
    CHECK(!mst_array_points_pay(&axis));
}

/* ---- Kernels */
static bool is_transposed(const mst_array_rectangle_t *r, size_t size) {
    for (int64_t i = 0; i < r->ni; i++)
        for (int64_t j = 0; j < r->nj; j++)
            if (memcmp(r->to + j * r->to_stride + i * (int64_t)size, r->from + i * r->from_stride + j * (int64_t)size, size) != 0) return false;
    return true;
}

static bool gaps_untouched(const mst_array_rectangle_t *r, const char *block, size_t nbytes, size_t size) {
    for (const char *at = block; at < block + nbytes; at++) {
        int64_t offset = at - r->to, j = offset / r->to_stride, within = offset % r->to_stride;
        bool written = offset >= 0 && j < r->nj && within < r->ni * (int64_t)size;
        if (!written && *at != 'x') return false;
    }
    return true;
}

static void check_transpose(size_t size, int64_t ni, int64_t nj, int64_t gap, int64_t shift, bool large, bool avx2) {
    int64_t from_stride = nj * (int64_t)size + gap, to_stride = ni * (int64_t)size + gap;
    size_t from_nbytes = (size_t)(ni * from_stride + 128), to_nbytes = (size_t)(nj * to_stride + 256);
    char *from = malloc(from_nbytes), *to = aligned_alloc(64, (to_nbytes + 63) / 64 * 64);
    for (size_t i = 0; i < from_nbytes; i++) from[i] = (char)(mst_base_mix(i) >> 8);
    memset(to, 'x', to_nbytes);
    mst_array_rectangle_t rectangle = {.from = from + shift, .to = to + 64 + shift, .from_stride = from_stride, .to_stride = to_stride, .ni = ni, .nj = nj};
    mst_array_transpose_by(&rectangle, size, large, avx2);
    mst_array_large_end();
    CHECK(is_transposed(&rectangle, size));
    CHECK(gaps_untouched(&rectangle, to, to_nbytes, size));
    free(from);
    free(to);
}

static void check_strides(size_t size, int64_t ni, int64_t nj, bool large, bool avx2) {
    check_transpose(size, ni, nj, 0, 0, large, avx2);
    check_transpose(size, ni, nj, 64 - ni * (int64_t)size % 64, 2 * (int64_t)size % 64, large, avx2); /* target lines are aligned behind some elements */
    check_transpose(size, ni, nj, 3, 5, large, avx2);                                               /* elements are not */
}

/* Long enough for several blocks, whatever the size of an element. */
static void test_large_rectangles(void) {
    for (int avx2 = 0; avx2 <= mst_array_has_avx2(); avx2++)
        for (size_t size = 1; size <= 16; size *= 2)
            for (int large = 0; large < 2; large++) check_strides(size, 300, 270, large, avx2);
}

static void test_rectangles_of_all_sizes_and_strides(void) {
    static const int64_t lengths[] = {1, 2, 7, 8, 15, 16, 17, 31, 64, 70, 129};
    for (int avx2 = 0; avx2 <= mst_array_has_avx2(); avx2++)
        for (size_t size = 1; size <= 16; size *= 2)
            for (size_t i = 0; i < MST_COUNT(lengths); i++)
                for (size_t j = 0; j < MST_COUNT(lengths); j++)
                    for (int large = 0; large < 2; large++) check_strides(size, lengths[i], lengths[j], large, avx2);
}

/* Up to ten lines, 64 bytes apart and some more, so that targets begin everywhere in a cache line. */
static void check_lines(size_t nbytes, size_t shift, int nlines) {
    static char from[64 << 10], to[64 << 10];
    mst_array_lines_t lines = {0};
    size_t stride = nbytes + 64 + shift;
    for (size_t i = 0; i < sizeof from; i++) from[i] = (char)(mst_base_mix(i) >> 8 | 1);
    memset(to, 0, sizeof to);
    for (int k = 0; k < nlines; k++) mst_array_lines_add(&lines, to + 64 + (size_t)k * stride, from + 3 + (size_t)k * nbytes, nbytes);
    mst_array_lines_flush(&lines);
    mst_array_large_end();
    for (int k = 0; k < nlines; k++) {
        char *line = to + 64 + (size_t)k * stride;
        CHECK(memcmp(line, from + 3 + (size_t)k * nbytes, nbytes) == 0);
        CHECK(line[-1] == 0 && line[nbytes] == 0);
    }
}

static void test_lines_of_all_lengths(void) {
    static const size_t lengths[] = {1, 65, 255, 256, 257, 511, 512, 513, 575, 576, 1023, 1024, 1025, 1088, 5000};
    for (size_t i = 0; i < MST_COUNT(lengths); i++)
        for (size_t shift = 0; shift < 66; shift += 5)
            for (int nlines = 1; nlines <= 10; nlines += 3) check_lines(lengths[i], shift, nlines);
}

static void test_a_copy_of_nothing_touches_nothing(void) {
    mst_array_moves_t moves = {0};
    mst_array_copy_t *copy = NULL;
    maestro_field_t field;
    maestro_field_init(&field, MAESTRO_F64);
    CHECK_OK(mst_array_copy_create(&moves, MST_ARRAY_DIRECT, &field, 0, &copy));
    mst_array_copy_run(copy, "", NULL);
    mst_array_copy_destroy(copy);
    mst_array_copy_destroy(NULL);
}

int main(void) {
    test_random_copies_bring_every_element_and_touch_nothing_else();
    test_larger_arrays_are_transposed_in_tiles();
    test_larger_lists_meet_blocks_of_both_orders();
    printf("%d larger ones are handed over past the caches\n", copies_past);
    CHECK(copies_past > 20);
    test_points_are_made_of_many_short_runs_that_are_near();
    test_rectangles_of_all_sizes_and_strides();
    test_large_rectangles();
    test_lines_of_all_lengths();
    test_a_copy_of_nothing_touches_nothing();
    return TEST_END;
}
