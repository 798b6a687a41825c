/* The innermost loops of a copy, over its last two axes. */
#include "array/copy.h"

#define INLINE static inline __attribute__((always_inline))

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
    if (nbytes <= 64) copy_short(to, from, nbytes);
    else if (large) mst_array_lines_add(lines, to, from, nbytes);
    else memcpy(to, from, nbytes);
}

void mst_array_leaf_rows(const mst_array_copy_t *copy, const mst_array_step_t *step, const char *from, char *to) {
    const size_t size = copy->from_nbytes;
    const bool large = copy->large;
    const mst_array_axis_t *outer = &step->axis[step->naxes - 2], *inner = outer + 1;
    mst_array_lines_t lines;
    lines.count = 0;
    for (int64_t r = 0; r < outer->nruns; r++)
        for (int64_t i = 0; i < outer->run[r].length; i++) {
            const char *source = from + outer->run[r].from + i * outer->from_stride;
            char *target = to + outer->run[r].to + i * outer->to_stride;
            for (int64_t k = 0; k < inner->nruns; k++)
                copy_line(&lines, target + inner->run[k].to, source + inner->run[k].from, (size_t)inner->run[k].length * size, large);
        }
    if (lines.count) mst_array_lines_flush(&lines);
}

/* ---- The contiguous dimensions differ */
void mst_array_leaf_tiles(const mst_array_copy_t *copy, const mst_array_step_t *step, const char *from, char *to) {
    const mst_array_axis_t *outer = &step->axis[step->naxes - 2], *inner = outer + 1;
    for (int64_t r = 0; r < outer->nruns; r++)
        for (int64_t k = 0; k < inner->nruns; k++) {
            const mst_array_run_t *i = &outer->run[r], *j = &inner->run[k];
            mst_array_rectangle_t rectangle = {.from = from + i->from + j->from, .to = to + i->to + j->to, .from_stride = outer->from_stride,
                                               .to_stride = inner->to_stride, .ni = i->length, .nj = j->length};
            mst_array_transpose(&rectangle, copy->from_nbytes, copy->large);
        }
}

/* ---- Nothing is contiguous on both sides */
INLINE void strided(const mst_array_step_t *step, const char *from, char *to, size_t size) {
    const mst_array_axis_t *outer = &step->axis[step->naxes - 2], *inner = outer + 1;
    for (int64_t r = 0; r < outer->nruns; r++)
        for (int64_t i = 0; i < outer->run[r].length; i++)
            for (int64_t k = 0; k < inner->nruns; k++) {
                const char *source = from + outer->run[r].from + i * outer->from_stride + inner->run[k].from;
                char *target = to + outer->run[r].to + i * outer->to_stride + inner->run[k].to;
                for (int64_t j = 0; j < inner->run[k].length; j++) memcpy(target + j * inner->to_stride, source + j * inner->from_stride, size);
            }
}

void mst_array_leaf_strided(const mst_array_copy_t *copy, const mst_array_step_t *step, const char *from, char *to) {
    switch (copy->from_nbytes) {
    case 1: strided(step, from, to, 1); break;
    case 2: strided(step, from, to, 2); break;
    case 4: strided(step, from, to, 4); break;
    case 8: strided(step, from, to, 8); break;
    default: strided(step, from, to, 16);
    }
}
