/* The innermost loops of a copy, over its last two axes. */
#include "array/copy.h"

#define INLINE static inline __attribute__((always_inline))

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- Lines that are contiguous on both sides */
/* 1 to 64 bytes without a call; the last group overlaps the one before. */
INLINE void copy_short(char *to, const char *from, size_t nbytes) {
    if (nbytes >= 16) {
        for (size_t i = 0; i + 16 < nbytes; i += 16) memcpy(to + i, from + i, 16);
        memcpy(to + nbytes - 16, from + nbytes - 16, 16);
    } else if (nbytes >= 8) {
        memcpy(to, from, 8);
        memcpy(to + nbytes - 8, from + nbytes - 8, 8);
    } else if (nbytes >= 4) {
        memcpy(to, from, 4);
        memcpy(to + nbytes - 4, from + nbytes - 4, 4);
    } else {
        to[0] = from[0];
        to[nbytes / 2] = from[nbytes / 2];
        to[nbytes - 1] = from[nbytes - 1];
    }
}

INLINE void copy_line(mst_array_lines_t *lines, char *to, const char *from, size_t nbytes, bool large) {
    if (nbytes <= MST_ARRAY_LINE_LEAST) copy_short(to, from, nbytes);
    else if (large) mst_array_lines_add(lines, to, from, nbytes);
    else mst_array_line_copy(to, from, nbytes);
}

/* Rows of one short line each, as of ghost cells: lengths that are known need no decisions. */
INLINE void copy_short_rows(const mst_array_axis_t *outer, const mst_array_run_t *line, const char *from, char *to, size_t nbytes) {
    for (int64_t r = 0; r < outer->nruns; r++) {
        const char *source = from + outer->run[r].from + line->from;
        char *target = to + outer->run[r].to + line->to;
        for (int64_t i = 0; i < outer->run[r].length; i++) copy_short(target + i * outer->to_stride, source + i * outer->from_stride, nbytes);
    }
}

static void short_rows(const mst_array_axis_t *outer, const mst_array_run_t *line, const char *from, char *to, size_t nbytes) {
    switch (nbytes) {
    case 8: copy_short_rows(outer, line, from, to, 8); break;
    case 16: copy_short_rows(outer, line, from, to, 16); break;
    case 24: copy_short_rows(outer, line, from, to, 24); break;
    case 32: copy_short_rows(outer, line, from, to, 32); break;
    case 48: copy_short_rows(outer, line, from, to, 48); break;
    case 64: copy_short_rows(outer, line, from, to, 64); break;
    default: copy_short_rows(outer, line, from, to, nbytes);
    }
}

void mst_array_leaf_rows(const mst_array_copy_t *copy, const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to) {
    const size_t size = copy->from_nbytes;
    const bool large = copy->large;
    mst_array_lines_t lines;
    lines.count = 0;
    if (inner->nruns == 1 && (size_t)inner->run->length * size <= MST_ARRAY_LINE_LEAST) {
        short_rows(outer, inner->run, from, to, (size_t)inner->run->length * size);
        return;
    }
    for (int64_t r = 0; r < outer->nruns && inner->nruns == 1 && !large; r++)
        mst_array_lines_copy(to + outer->run[r].to + inner->run->to, outer->to_stride, from + outer->run[r].from + inner->run->from, outer->from_stride,
                             outer->run[r].length, (size_t)inner->run->length * size);
    for (int64_t r = 0; r < outer->nruns && (inner->nruns > 1 || large); r++)
        for (int64_t i = 0; i < outer->run[r].length; i++) {
            const char *source = from + outer->run[r].from + i * outer->from_stride;
            char *target = to + outer->run[r].to + i * outer->to_stride;
            for (int64_t k = 0; k < inner->nruns; k++)
                copy_line(&lines, target + inner->run[k].to, source + inner->run[k].from, (size_t)inner->run[k].length * size, large);
        }
    if (lines.count) mst_array_lines_flush(&lines);
}

/* ---- Elements one by one, in small tiles */
/* The two axes lie differently on the two sides, or runs lie anywhere: ROWS rows of COLUMNS elements at a time, so that a cache line is used up while it is
 * near, whichever of the axes it lies along.  BLOCK columns of all rows come before the next, for they may all lie in different pages.  Rows need not be of
 * one length. */
enum { ROWS = 16, COLUMNS = 8, BLOCK = 128 };

typedef struct rows {
    int count;
    const char *from[ROWS];
    char *to[ROWS];
    int64_t length[ROWS];
} rows_t;

INLINE void copy_elements(char *to, int64_t to_stride, const char *from, int64_t from_stride, int64_t n, size_t size) {
    for (int64_t j = 0; j < n; j++) memcpy(to + j * to_stride, from + j * from_stride, size);
}

/* The columns begin..end of rows that may end before. */
INLINE void copy_rows(const rows_t *rows, const mst_array_axis_t *axis, int64_t begin, int64_t end, size_t size) {
    const int64_t from_stride = axis->from_stride, to_stride = axis->to_stride;
    for (int64_t j = begin; j < end; j += COLUMNS)
        for (int i = 0; i < rows->count; i++) {
            int64_t rest = (rows->length[i] < end ? rows->length[i] : end) - j;
            char *to = rows->to[i] + j * to_stride;
            const char *from = rows->from[i] + j * from_stride;
            if (rest >= COLUMNS) copy_elements(to, to_stride, from, from_stride, COLUMNS, size);
            else copy_elements(to, to_stride, from, from_stride, rest, size);
        }
}

/* Each element of one axis is a row: that run of the other. */
INLINE void tile_run(const mst_array_axis_t *outer, const mst_array_axis_t *inner, const mst_array_run_t *run, const char *from, char *to, size_t size) {
    rows_t rows;
    for (int64_t begin = 0, end; begin < run->length; begin = end) {
        end = smaller(begin + BLOCK, run->length);
        rows.count = 0;
        for (int64_t r = 0; r < outer->nruns; r++)
            for (int64_t i = 0; i < outer->run[r].length; i++) {
                rows.from[rows.count] = from + outer->run[r].from + i * outer->from_stride + run->from;
                rows.to[rows.count] = to + outer->run[r].to + i * outer->to_stride + run->to;
                rows.length[rows.count] = run->length;
                if (++rows.count < ROWS) continue;
                copy_rows(&rows, inner, begin, end, size);
                rows.count = 0;
            }
        copy_rows(&rows, inner, begin, end, size);
    }
}

/* The longest run, and how many columns come at once: where few are long, all of them. */
static int64_t longest_run(const mst_array_axis_t *axis, int64_t *block_out) {
    int64_t longest = 0, count = 0;
    for (int64_t r = 0; r < axis->nruns; r++) {
        longest = axis->run[r].length > longest ? axis->run[r].length : longest;
        count += axis->run[r].length;
    }
    *block_out = count / axis->nruns >= longest / 4 ? BLOCK : longest;
    return longest;
}

/* Each run of one axis is a row. */
INLINE void tile_runs(const mst_array_axis_t *axis, const char *from, char *to, size_t size) {
    rows_t rows;
    int64_t block, longest = longest_run(axis, &block);
    for (int64_t begin = 0; begin < longest; begin += block)
        for (int64_t r = 0; r < axis->nruns; r += ROWS) {
            rows.count = (int)smaller(ROWS, axis->nruns - r);
            for (int i = 0; i < rows.count; i++) {
                rows.from[i] = from + axis->run[r + i].from;
                rows.to[i] = to + axis->run[r + i].to;
                rows.length[i] = axis->run[r + i].length;
            }
            copy_rows(&rows, axis, begin, smaller(begin + block, longest), size);
        }
}

INLINE void loop(const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to, size_t size) {
    for (int64_t r = 0; r < outer->nruns; r++)
        for (int64_t i = 0; i < outer->run[r].length; i++)
            for (int64_t k = 0; k < inner->nruns; k++) {
                const char *source = from + outer->run[r].from + i * outer->from_stride + inner->run[k].from;
                char *target = to + outer->run[r].to + i * outer->to_stride + inner->run[k].to;
                copy_elements(target, inner->to_stride, source, inner->from_stride, inner->run[k].length, size);
            }
}

INLINE void strided(const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to, size_t size) {
    bool alone = outer->nruns == 1 && outer->run[0].length == 1;
    if (alone && inner->nruns > 1) tile_runs(inner, from + outer->run[0].from, to + outer->run[0].to, size);
    else if (alone || (inner->from_stride <= outer->from_stride && inner->to_stride <= outer->to_stride)) loop(outer, inner, from, to, size);
    else
        for (int64_t k = 0; k < inner->nruns; k++) tile_run(outer, inner, &inner->run[k], from, to, size);
}

void mst_array_leaf_strided(const mst_array_copy_t *copy, const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to) {
    switch (copy->from_nbytes) {
    case 1: strided(outer, inner, from, to, 1); break;
    case 2: strided(outer, inner, from, to, 2); break;
    case 4: strided(outer, inner, from, to, 4); break;
    case 8: strided(outer, inner, from, to, 8); break;
    default: strided(outer, inner, from, to, 16);
    }
}

/* ---- The contiguous dimensions differ */
static bool has_long_runs(const mst_array_axis_t *axis) {
    int64_t length = 0;
    for (int64_t r = 0; r < axis->nruns; r++) length += axis->run[r].length;
    return length >= ROWS * axis->nruns;
}

void mst_array_leaf_tiles(const mst_array_copy_t *copy, const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to) {
    if (!has_long_runs(outer) || !has_long_runs(inner)) {
        mst_array_leaf_strided(copy, outer, inner, from, to);
        return;
    }
    for (int64_t r = 0; r < outer->nruns; r++)
        for (int64_t k = 0; k < inner->nruns; k++) {
            const mst_array_run_t *i = &outer->run[r], *j = &inner->run[k];
            mst_array_rectangle_t rectangle = {.from = from + i->from + j->from, .to = to + i->to + j->to, .from_stride = outer->from_stride,
                                               .to_stride = inner->to_stride, .ni = i->length, .nj = j->length};
            mst_array_transpose(&rectangle, copy->from_nbytes, copy->large);
        }
}
