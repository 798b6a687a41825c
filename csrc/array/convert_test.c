/* Conversions against brute force: every pair of types, every way, elements converted one by one. */
#include "array/copy.h"

#include "array/random_test.h"
#include "base/test.h"

#include <math.h>

enum { CASES = 6000, MARGIN = 64 };

static const maestro_element_t types[] = {MAESTRO_I32, MAESTRO_I64, MAESTRO_F32, MAESTRO_F64, MAESTRO_C64, MAESTRO_C128};

static bool is_integer(maestro_element_t element) { return element == MAESTRO_I32 || element == MAESTRO_I64; }

/* ---- Fields */
static maestro_field_t random_field(random_array_t *array) {
    static const double scales[] = {1, 1, 0.5, -3, 1e-3, 0};
    maestro_field_t field;
    maestro_field_init(&field, types[random_below(array, 6)]);
    do field.to = types[random_below(array, 6)];
    while (mst_array_is_complex(field.from) && !mst_array_is_complex(field.to));
    field.scale = scales[random_below(array, 6)];
    if (mst_array_is_complex(field.to)) field.scale_imaginary = scales[random_below(array, 6)] * (double)random_below(array, 2);
    field.conjugate = random_below(array, 2);
    return field;
}

/* ---- One element */
static void random_element(random_array_t *array, maestro_element_t element, char *at) {
    int64_t integer = random_below(array, 2000001) - 1000000;
    double parts[2] = {(double)integer / 1024, (double)random_below(array, 5000) / 7};
    float halves[2] = {(float)parts[0], (float)parts[1]};
    int32_t small = (int32_t)integer;
    if (element == MAESTRO_I64 && random_below(array, 2)) integer = ((int64_t)1 << 53) + 2 * integer + 1; /* no double is this */
    const void *value = element == MAESTRO_I32 ? (void *)&small : element == MAESTRO_I64 ? (void *)&integer : element & 4 ? (void *)halves : (void *)parts;
    if (element == MAESTRO_C64) value = halves;
    memcpy(at, value, mst_array_element_nbytes(element));
}

static void read_double(maestro_element_t element, const char *at, double *value) {
    int32_t small;
    int64_t integer;
    float halves[2] = {0, 0};
    value[1] = 0;
    switch ((int)element) {
    case MAESTRO_I32: memcpy(&small, at, 4), value[0] = small; break;
    case MAESTRO_I64: memcpy(&integer, at, 8), value[0] = (double)integer; break;
    case MAESTRO_F64: memcpy(value, at, 8); break;
    case MAESTRO_C128: memcpy(value, at, 16); break;
    default: memcpy(halves, at, mst_array_element_nbytes(element)), value[0] = halves[0], value[1] = halves[1];
    }
}

static void write_double(maestro_element_t element, const double *value, char *at) {
    float halves[2] = {(float)value[0], (float)value[1]};
    int32_t small = element == MAESTRO_I32 ? (int32_t)value[0] : 0;
    int64_t integer = is_integer(element) ? (int64_t)value[0] : 0;
    const void *result = element == MAESTRO_I32 ? (void *)&small : element == MAESTRO_I64 ? (void *)&integer : (void *)value;
    if (element == MAESTRO_F32 || element == MAESTRO_C64) result = halves;
    memcpy(at, result, mst_array_element_nbytes(element));
}

static void convert(const maestro_field_t *field, const char *from, char *to) {
    double value[2];
    if (is_integer(field->from) && is_integer(field->to) && field->scale == 1) {
        int64_t integer = 0;
        memcpy(&integer, from, mst_array_element_nbytes(field->from));
        if (field->from == MAESTRO_I32) integer = (int32_t)integer;
        memcpy(to, &integer, mst_array_element_nbytes(field->to)); /* the lower half of it, where it becomes an I32 */
        return;
    }
    read_double(field->from, from, value);
    if (field->conjugate) value[1] = -value[1];
    double real = value[0] * field->scale - value[1] * field->scale_imaginary, imaginary = value[0] * field->scale_imaginary + value[1] * field->scale;
    write_double(field->to, (double[]){real, imaginary}, to);
}

/* Zeros have two forms, and which of them arithmetic gives is not promised. */
static bool is_same(maestro_element_t element, const char *a, const char *b) {
    double x[2], y[2];
    if (is_integer(element)) return memcmp(a, b, mst_array_element_nbytes(element)) == 0;
    read_double(element, a, x);
    read_double(element, b, y);
    return x[0] == y[0] && x[1] == y[1];
}

/* ---- One case */
typedef struct parts {
    const maestro_layout_t *from, *to;
    int64_t from_part, to_part;
} parts_t;

/* Elements of `size` bytes between margins, all bytes 0xbb, misaligned by `shift`. */
static char *memory_new(int64_t count, size_t size, int64_t shift) {
    char *block = malloc((size_t)count * size + 2 * MARGIN);
    memset(block, 0xbb, (size_t)count * size + 2 * MARGIN);
    return block + MARGIN / 2 + shift;
}

static void memory_free(char *memory, int64_t shift) { free(memory - shift - MARGIN / 2); }

static int64_t room_of(const maestro_layout_t *layout, int64_t part) {
    maestro_local_t local = {0};
    CHECK_OK(maestro_layout_local(layout, part, &local));
    return local.nelements;
}

/* Every element that moves is the converted one; all else, margins too, is as it was. */
static bool is_converted(const random_array_t *array, const parts_t *parts, const maestro_field_t *field, const char *source, const char *target) {
    int64_t index[MST_ARRAY_MAX] = {0}, from = -1, to = -1, room = room_of(parts->to, parts->to_part), written = 0, found = 0;
    size_t from_nbytes = mst_array_element_nbytes(field->from), to_nbytes = mst_array_element_nbytes(field->to);
    bool *is_written = calloc((size_t)room + 1, 1), good = true;
    char expected[16];
    if (array->count > 0) do {
        CHECK_OK(maestro_layout_offset(parts->from, parts->from_part, index, &from));
        CHECK_OK(maestro_layout_offset(parts->to, parts->to_part, index, &to));
        if (from < 0 || to < 0) continue;
        is_written[to] = true;
        convert(field, source + from * (int64_t)from_nbytes, expected);
        good = good && is_same(field->to, expected, target + to * (int64_t)to_nbytes);
        written++;
    } while (random_next_index(array, index));
    for (int64_t i = 0; i < room; i++) {
        bool untouched = true;
        for (size_t b = 0; b < to_nbytes; b++) untouched = untouched && target[i * (int64_t)to_nbytes + (int64_t)b] == (char)0xbb;
        good = good && (is_written[i] || untouched);
        found += is_written[i];
    }
    for (int64_t b = 1; b <= MARGIN / 4; b++) good = good && target[-b] == (char)0xbb && target[room * (int64_t)to_nbytes + b - 1] == (char)0xbb;
    free(is_written);
    return good && found == written;
}

static void run(const mst_array_moves_t *moves, mst_array_way_t way, const maestro_field_t *field, const char *from, char *to) {
    mst_array_copy_t *copy = NULL;
    CHECK_OK(mst_array_copy_create(moves, way, field, 0, &copy));
    CHECK(mst_array_copy_nbytes(copy) == (size_t)moves->count * mst_array_element_nbytes(field->from));
    mst_array_copy_run(copy, from, to);
    mst_array_copy_destroy(copy);
}

static void check_conversion(random_array_t *array, const parts_t *parts, const maestro_field_t *field) {
    mst_array_moves_t moves = {0};
    size_t from_nbytes = mst_array_element_nbytes(field->from), to_nbytes = mst_array_element_nbytes(field->to);
    int64_t shift = random_below(array, 16), count = room_of(parts->from, parts->from_part), room = room_of(parts->to, parts->to_part);
    char *source = memory_new(count, from_nbytes, shift), *direct = memory_new(room, to_nbytes, shift), *unpacked = memory_new(room, to_nbytes, shift);
    for (int64_t i = 0; i < count; i++) random_element(array, field->from, source + i * (int64_t)from_nbytes);
    CHECK_OK(mst_array_intersect(parts->from, parts->from_part, parts->to, parts->to_part, &moves));
    char *buffer = memory_new(moves.count, from_nbytes, shift);
    run(&moves, MST_ARRAY_DIRECT, field, source, direct);
    run(&moves, MST_ARRAY_PACK, field, source, buffer);
    run(&moves, MST_ARRAY_UNPACK, field, buffer, unpacked);
    CHECK(is_converted(array, parts, field, source, direct));
    CHECK(is_converted(array, parts, field, source, unpacked));
    mst_array_moves_fini(&moves);
    memory_free(source, shift), memory_free(direct, shift), memory_free(unpacked, shift), memory_free(buffer, shift);
}

static maestro_layout_t *random_layout(random_array_t *array) {
    int64_t kind = random_below(array, 4);
    return kind == 0 ? random_boxes(array) : kind == 1 ? random_indices(array) : random_regular(array);
}

static void test_random_conversions_bring_every_element(void) {
    random_array_t array;
    for (uint64_t seed = 1; seed <= CASES; seed++) {
        int before = test_failures;
        random_array_init(&array, seed);
        maestro_layout_t *from = random_layout(&array), *to = random_layout(&array);
        maestro_field_t field = random_field(&array);
        parts_t parts = {from, to, random_below(&array, maestro_layout_nparts(from)), random_below(&array, maestro_layout_nparts(to))};
        check_conversion(&array, &parts, &field);
        if (test_failures > before) fprintf(stderr, "  with seed %llu, %#x to %#x\n", (unsigned long long)seed, (unsigned)field.from, (unsigned)field.to);
        maestro_layout_destroy(from);
        maestro_layout_destroy(to);
    }
    printf("%d cases, seeds 1 to %d\n", CASES, CASES);
}

/* Rows of several strips and several tiles, in both orders. */
static void test_long_rows_of_all_pairs(void) {
    random_array_t array = {.state = 11, .ndims = 2, .shape = {75, 350}, .count = 75 * 350};
    for (int i = 0; i < 6 * 6 * 2; i++) {
        maestro_layout_options_t options;
        maestro_layout_t *from = NULL, *to = NULL;
        maestro_field_t field = {.from = types[i % 6], .to = types[i / 6 % 6], .scale = i % 4 ? 1 : 2};
        if (mst_array_is_complex(field.from) && !mst_array_is_complex(field.to)) continue;
        maestro_layout_options_init(&options);
        CHECK_OK(maestro_layout_blocks(2, array.shape, (int64_t[]){1, 1}, &options, &from));
        options.order = (maestro_order_t)(i / 36);
        CHECK_OK(maestro_layout_blocks(2, array.shape, (int64_t[]){1, 1}, &options, &to));
        check_conversion(&array, &(parts_t){from, to, 0, 0}, &field);
        maestro_layout_destroy(from);
        maestro_layout_destroy(to);
    }
}

/* ---- Fields that are refused, and what scales do that are no numbers */
static maestro_status_t check_field(maestro_element_t from, maestro_element_t to, double scale, double imaginary, bool conjugate) {
    return mst_array_field_check(&(maestro_field_t){.from = from, .to = to, .scale = scale, .scale_imaginary = imaginary, .conjugate = conjugate});
}

static void test_conversions_that_mean_nothing_are_refused(void) {
    mst_array_moves_t moves = {0};
    mst_array_copy_t *copy = NULL;
    CHECK_STATUS(check_field((maestro_element_t)12, (maestro_element_t)12, 1, 0, false), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("there is no element 0xc");
    CHECK_STATUS(check_field(MAESTRO_F64, (maestro_element_t)0x210, 1, 0, false), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("there is no element 0x210");
    CHECK_STATUS(check_field(MAESTRO_BYTES_8, MAESTRO_BYTES_4, 1, 0, false), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("elements of 8 bytes");
    CHECK_STATUS(check_field(MAESTRO_BYTES_8, MAESTRO_F64, 1, 0, false), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(check_field(MAESTRO_BYTES_8, MAESTRO_BYTES_8, 2, 0, false), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(check_field(MAESTRO_BYTES_16, MAESTRO_BYTES_16, 1, 0, true), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(check_field(MAESTRO_C64, MAESTRO_F32, 1, 0, false), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("complex elements become real");
    CHECK_STATUS(check_field(MAESTRO_F64, MAESTRO_F64, 1, 2, false), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("scale_imaginary is 2");
    CHECK_STATUS(check_field(MAESTRO_F64, MAESTRO_I32, 1, (double)NAN, false), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(mst_array_copy_create(&moves, MST_ARRAY_PACK, &(maestro_field_t){.from = MAESTRO_C64, .to = MAESTRO_I32, .scale = 1}, 0, &copy),
                 MAESTRO_INVALID_ARGUMENT);
    CHECK(!copy);
}

static void test_what_can_be_converted_is_allowed(void) {
    for (size_t i = 0; i < MST_COUNT(types); i++)
        for (size_t j = 0; j < MST_COUNT(types); j++)
            if (!mst_array_is_complex(types[i]) || mst_array_is_complex(types[j])) CHECK_OK(check_field(types[i], types[j], 2, 0, true));
    for (int size = 1; size <= 16; size *= 2) CHECK_OK(check_field((maestro_element_t)size, (maestro_element_t)size, 1, 0, false));
    CHECK_OK(check_field(MAESTRO_F64, MAESTRO_C64, (double)NAN, (double)INFINITY, false));
}

static void test_a_scale_that_is_no_number_makes_all_elements_so(void) {
    maestro_layout_t *layout = NULL;
    mst_array_moves_t moves = {0};
    maestro_field_t field = {.from = MAESTRO_F64, .to = MAESTRO_F64, .scale = (double)NAN};
    double from[5] = {1, 2, 3, 4, 5}, to[5] = {0};
    CHECK_OK(maestro_layout_blocks(1, (int64_t[]){5}, (int64_t[]){1}, NULL, &layout));
    CHECK_OK(mst_array_intersect(layout, 0, layout, 0, &moves));
    run(&moves, MST_ARRAY_DIRECT, &field, (const char *)from, (char *)to);
    for (int i = 0; i < 5; i++) CHECK(isnan(to[i]));
    field.scale = (double)INFINITY;
    run(&moves, MST_ARRAY_DIRECT, &field, (const char *)from, (char *)to);
    for (int i = 0; i < 5; i++) CHECK(isinf(to[i]));
    mst_array_moves_fini(&moves);
    maestro_layout_destroy(layout);
}

int main(void) {
    test_random_conversions_bring_every_element();
    test_long_rows_of_all_pairs();
    test_conversions_that_mean_nothing_are_refused();
    test_what_can_be_converted_is_allowed();
    test_a_scale_that_is_no_number_makes_all_elements_so();
    return TEST_END;
}
