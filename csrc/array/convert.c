/* Elements that become others on their way.  A strip of elements is loaded in wide form, changed, and stored: integers that stay integers and are not scaled as
 * int64_t, all else as double, of which complex elements have two.  So a loop is needed for each type, not for each pair. */
#include "array/copy.h"

#define INLINE static inline __attribute__((always_inline))

enum { STRIP = 256, APART = 16, ROWS = 64, COLUMNS = 32 }; /* elements at a time: of a line, of others; of a tile that is transposed */

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- Strips.  Loops know strides of neighbours, for the sake of vectors. */
#define LOOPS(name, type, wide, components)                                                                       \
    INLINE void load_##name##_by(const char *from, int64_t stride, int64_t n, wide *strip) {                     \
        for (int64_t i = 0; i < n; i++)                                                                           \
            for (int c = 0; c < components; c++) {                                                                \
                type value;                                                                                       \
                memcpy(&value, from + i * stride + c * (int64_t)sizeof value, sizeof value);                      \
                strip[components * i + c] = (wide)value;                                                          \
            }                                                                                                     \
    }                                                                                                             \
    static void load_##name(const char *from, int64_t stride, int64_t n, void *strip) {                           \
        if (stride == components * sizeof(type)) load_##name##_by(from, components * sizeof(type), n, strip);    \
        else load_##name##_by(from, stride, n, strip);                                                            \
    }                                                                                                             \
    INLINE void store_##name##_by(const wide *strip, char *to, int64_t stride, int64_t n) {                      \
        for (int64_t i = 0; i < n; i++)                                                                           \
            for (int c = 0; c < components; c++) {                                                                \
                type value = (type)strip[components * i + c];                                                     \
                memcpy(to + i * stride + c * (int64_t)sizeof value, &value, sizeof value);                        \
            }                                                                                                     \
    }                                                                                                             \
    static void store_##name(const void *strip, char *to, int64_t stride, int64_t n) {                            \
        if (stride == components * sizeof(type)) store_##name##_by(strip, to, components * sizeof(type), n);     \
        else store_##name##_by(strip, to, stride, n);                                                             \
    }
LOOPS(i32, int32_t, int64_t, 1)
LOOPS(i64, int64_t, int64_t, 1)
LOOPS(i32_real, int32_t, double, 1)
LOOPS(i64_real, int64_t, double, 1)
LOOPS(f32, float, double, 1)
LOOPS(f64, double, double, 1)
LOOPS(c64, float, double, 2)
LOOPS(c128, double, double, 2)

static void multiply(const maestro_field_t *field, int64_t n, double *strip) {
    for (int64_t i = 0; i < n; i++) {
        double real = strip[2 * i], imaginary = strip[2 * i + 1];
        strip[2 * i] = real * field->scale - imaginary * field->scale_imaginary;
        strip[2 * i + 1] = real * field->scale_imaginary + imaginary * field->scale;
    }
}

static void change(const maestro_field_t *field, int64_t n, double *strip) {
    const bool was_complex = mst_array_is_complex(field->from), is_real_scale = field->scale_imaginary == 0;
    for (int64_t i = 0; was_complex && field->conjugate && i < n; i++) strip[2 * i + 1] = -strip[2 * i + 1];
    for (int64_t i = 0; is_real_scale && field->scale != 1 && i < (was_complex ? 2 * n : n); i++) strip[i] *= field->scale;
    for (int64_t i = n - 1; !was_complex && mst_array_is_complex(field->to) && i >= 0; i--) {
        strip[2 * i] = strip[i];
        strip[2 * i + 1] = 0;
    }
    if (!is_real_scale) multiply(field, n, strip);
}

/* ---- Choice */
static bool is_integer(maestro_element_t element) { return element == MAESTRO_I32 || element == MAESTRO_I64; }

static mst_array_load_fn load_of(maestro_element_t element, bool exact) {
    switch ((int)element) {
    case MAESTRO_I32: return exact ? load_i32 : load_i32_real;
    case MAESTRO_I64: return exact ? load_i64 : load_i64_real;
    case MAESTRO_F32: return load_f32;
    case MAESTRO_F64: return load_f64;
    case MAESTRO_C64: return load_c64;
    default: return load_c128;
    }
}

static mst_array_store_fn store_of(maestro_element_t element, bool exact) {
    switch ((int)element) {
    case MAESTRO_I32: return exact ? store_i32 : store_i32_real;
    case MAESTRO_I64: return exact ? store_i64 : store_i64_real;
    case MAESTRO_F32: return store_f32;
    case MAESTRO_F64: return store_f64;
    case MAESTRO_C64: return store_c64;
    default: return store_c128;
    }
}

mst_array_conversion_t mst_array_conversion_of(const maestro_field_t *field) {
    bool exact = is_integer(field->from) && is_integer(field->to) && field->scale == 1;
    return (mst_array_conversion_t){.field = *field, .load = load_of(field->from, exact), .store = store_of(field->to, exact), .changes = !exact};
}

/* ---- The leaf */
INLINE void convert(const mst_array_conversion_t *conversion, const char *from, int64_t from_stride, char *to, int64_t to_stride, int64_t n, double *strip) {
    conversion->load(from, from_stride, n, strip);
    if (conversion->changes) change(&conversion->field, n, strip);
    conversion->store(strip, to, to_stride, n);
}

/* A run of each axis; the source is contiguous along the inner one, the target along the outer one: converted by rows into a tile, which is transposed. */
static void transpose_runs(const mst_array_copy_t *copy, const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to,
                           int64_t ni, int64_t nj) {
    const int64_t to_nbytes = copy->to_nbytes, row = COLUMNS * to_nbytes;
    double strip[2 * STRIP];
    _Alignas(64) char tile[ROWS * COLUMNS * 16];
    for (int64_t i = 0; i < ni; i += ROWS)
        for (int64_t j = 0; j < nj; j += COLUMNS) {
            const char *source = from + i * outer->from_stride + j * inner->from_stride;
            mst_array_rectangle_t rectangle = {.from = tile, .to = to + i * outer->to_stride + j * inner->to_stride, .from_stride = row,
                                               .to_stride = inner->to_stride, .ni = smaller(ROWS, ni - i), .nj = smaller(COLUMNS, nj - j)};
            for (int64_t k = 0; k < rectangle.ni; k++)
                convert(mst_array_copy_conversion(copy), source + k * outer->from_stride, inner->from_stride, tile + k * row, to_nbytes, rectangle.nj, strip);
            mst_array_transpose(&rectangle, copy->to_nbytes, copy->large);
        }
}

/* A run of each axis, however they lie.  Neighbours that lie apart are in different cache lines, and these are used again by the next row. */
static void convert_runs(const mst_array_copy_t *copy, const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to, int64_t ni,
                         int64_t nj) {
    const bool is_line = inner->from_stride == copy->from_nbytes && inner->to_stride == copy->to_nbytes;
    const int64_t columns = is_line ? STRIP : APART;
    double strip[2 * STRIP];
    for (int64_t i = 0; i < ni; i += ROWS)
        for (int64_t j = 0; j < nj; j += columns)
            for (int64_t k = i; k < ni && k < i + ROWS; k++)
                convert(mst_array_copy_conversion(copy), from + k * outer->from_stride + j * inner->from_stride, inner->from_stride,
                        to + k * outer->to_stride + j * inner->to_stride, inner->to_stride, smaller(columns, nj - j), strip);
}

void mst_array_convert_line(const mst_array_copy_t *copy, const char *from, char *to, int64_t n) {
    double strip[2 * STRIP];
    for (int64_t j = 0; j < n; j += STRIP)
        convert(mst_array_copy_conversion(copy), from + j * copy->from_nbytes, copy->from_nbytes, to + j * copy->to_nbytes, copy->to_nbytes,
                smaller(STRIP, n - j), strip);
}

void mst_array_leaf_convert(const mst_array_copy_t *copy, const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to) {
    const bool is_transposed = inner->from_stride == copy->from_nbytes && outer->to_stride == copy->to_nbytes && inner->to_stride != copy->to_nbytes;
    for (int64_t r = 0; r < outer->nruns; r++)
        for (int64_t k = 0; k < inner->nruns; k++) {
            const mst_array_run_t *i = &outer->run[r], *j = &inner->run[k];
            (is_transposed ? transpose_runs : convert_runs)(copy, outer, inner, from + i->from + j->from, to + i->to + j->to, i->length, j->length);
        }
}
