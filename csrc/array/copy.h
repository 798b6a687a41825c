/* Moves carried out: the only place that touches elements.  A copy is prepared once, for moves and a size of elements, and run many times. */
#ifndef MST_ARRAY_COPY_H
#define MST_ARRAY_COPY_H

#include "array/intersect.h"
#include "array/kernels.h"

typedef struct mst_array_copy mst_array_copy_t;

typedef enum mst_array_way {
    MST_ARRAY_DIRECT, /* from the source part's memory to the target part's */
    MST_ARRAY_PACK,   /* from the source part's memory to a buffer without gaps, nearly in the order in which they lie there */
    MST_ARRAY_UNPACK  /* from such a buffer to the target part's memory */
} mst_array_way_t;

/* field.c: refuses, as INVALID_ARGUMENT, elements that there are not, and conversions that mean nothing. */
maestro_status_t mst_array_field_check(const maestro_field_t *field);
/* Whether elements are moved as they are. */
bool mst_array_field_is_plain(const maestro_field_t *field);

static inline size_t mst_array_element_nbytes(maestro_element_t element) { return (size_t)element & 0xff; }
static inline bool mst_array_is_complex(maestro_element_t element) { return element == MAESTRO_C64 || element == MAESTRO_C128; }

/* Prepares a copy; it keeps nothing of the moves nor of the field.  What is packed is packed as it is; elements are converted on their way out of the buffer,
 * or directly: integers into integers exactly, unless they are scaled, all else by way of double.  `whole_nbytes` is what all copies move that are run
 * together, 0 for this one alone: a part of something large is copied as large things are.
 * Errors: INVALID_ARGUMENT (as mst_array_field_check), SYSTEM. */
maestro_status_t mst_array_copy_create(const mst_array_moves_t *moves, mst_array_way_t way, const maestro_field_t *field, size_t whole_nbytes,
                                       mst_array_copy_t **copy_out);
void mst_array_copy_destroy(mst_array_copy_t *copy); /* NULL is allowed */

/* Bytes that a run reads: the size of the buffer, whose elements are those of the source. */
size_t mst_array_copy_nbytes(const mst_array_copy_t *copy);

/* `from` and `to` are the beginnings of the parts' memory or of the buffer, which do not overlap; they may be misaligned.  Any number of threads may run one
 * copy at a time, into different memory. */
void mst_array_copy_run(const mst_array_copy_t *copy, const void *from, void *to);

/* Whether a run writes past the caches, for it is of much. */
bool mst_array_copy_is_large(const mst_array_copy_t *copy);
/* Whether all of it is lines that can be written past the caches; then _run_past does so, and else is mst_array_copy_run. */
bool mst_array_copy_can_pass(const mst_array_copy_t *copy);
void mst_array_copy_run_past(const mst_array_copy_t *copy, const void *from, void *to);

/* Whether it is one line of bytes that are moved as they are, in the part's memory as in the buffer; where in the part's memory it begins. */
bool mst_array_copy_is_line(const mst_array_copy_t *copy, mst_array_way_t way, int64_t *at_out);

/* prepare.c: what is run.  A move in bytes, its axes in the order of the loops, the last two for a leaf; lengths of runs count elements.  Plans have many
 * copies of little each, so a copy is one block of memory: itself, its conversion, and steps one behind the other, each with its axes and then their runs. */
typedef enum mst_array_leaf {
    MST_ARRAY_LEAF_ROWS,    /* leaf.c: the last axis is contiguous on both sides */
    MST_ARRAY_LEAF_TILES,   /* the last one in the source and the other in the target */
    MST_ARRAY_LEAF_STRIDED, /* else */
    MST_ARRAY_LEAF_POINTS,  /* points.c: one axis of many short runs, given as points instead */
    MST_ARRAY_LEAF_CONVERT  /* convert.c: elements are converted, and are no points */
} mst_array_leaf_t;

typedef struct mst_array_point { /* counts elements */
    int32_t from, to;
} mst_array_point_t;

typedef struct mst_array_step {
    uint8_t naxes, leaf;
    int64_t from, to;
    mst_array_axis_t axis[];
} mst_array_step_t;

struct mst_array_copy {
    size_t nbytes;
    int64_t nsteps;
    uint8_t from_nbytes, to_nbytes; /* of an element; the same where nothing is converted */
    bool large, converts, can_pass;
};

/* convert.c: `n` elements, `stride` bytes apart, into a strip and out of it. */
typedef void (*mst_array_load_fn)(const char *from, int64_t stride, int64_t n, void *strip);
typedef void (*mst_array_store_fn)(const void *strip, char *to, int64_t stride, int64_t n);

typedef struct mst_array_conversion {
    maestro_field_t field;
    mst_array_load_fn load;
    mst_array_store_fn store;
    bool changes; /* the strip, which is of double then */
} mst_array_conversion_t;

/* Of a field that is not plain. */
mst_array_conversion_t mst_array_conversion_of(const maestro_field_t *field);
/* Elements that lie one behind the other on both sides. */
void mst_array_convert_line(const mst_array_copy_t *copy, const char *from, char *to, int64_t n);

static inline mst_array_conversion_t *mst_array_copy_conversion(const mst_array_copy_t *copy) { return (mst_array_conversion_t *)(uintptr_t)(copy + 1); }

static inline mst_array_step_t *mst_array_copy_step(const mst_array_copy_t *copy) { /* the first */
    return (mst_array_step_t *)((uintptr_t)(copy + 1) + (copy->converts ? sizeof(mst_array_conversion_t) : 0));
}

/* Of a step with points, whose only axis says how many instead of how many runs. */
static inline mst_array_point_t *mst_array_axis_points(const mst_array_axis_t *axis) { return (mst_array_point_t *)(uintptr_t)(axis + 1); }

static inline mst_array_step_t *mst_array_step_next(const mst_array_step_t *step) {
    const mst_array_axis_t *last = step->axis + step->naxes - 1;
    if (!step->naxes) return (mst_array_step_t *)(uintptr_t)step->axis;
    if (step->leaf == MST_ARRAY_LEAF_POINTS) return (mst_array_step_t *)(mst_array_axis_points(last) + last->nruns);
    return (mst_array_step_t *)(last->run + last->nruns);
}

/* points.c.  Whether an axis that is a move's only one is better given as points; how many they are; all of them, in an order in which they lie near to each
 * other on both sides. */
bool mst_array_points_pay(const mst_array_axis_t *axis);
int64_t mst_array_points_count(const mst_array_axis_t *axis);
bool mst_array_points_make(const mst_array_axis_t *axis, mst_array_point_t *point_out); /* false: there is no memory */

/* The loops over the last two axes; where there are fewer, one of one element stands for them. */
typedef void mst_array_leaf_fn(const mst_array_copy_t *copy, const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to);
mst_array_leaf_fn mst_array_leaf_rows, mst_array_leaf_tiles, mst_array_leaf_strided, mst_array_leaf_points, mst_array_leaf_convert;

#endif
