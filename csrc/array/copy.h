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

/* Prepares a copy; it keeps nothing of the moves.  Elements have 1, 2, 4, 8 or 16 bytes; of others a dimension can be made.  `whole_nbytes`
 * is what all copies move that are run together, 0 for this one alone: a part of something large is copied as large things are.
 * Errors: INVALID_ARGUMENT, SYSTEM. */
maestro_status_t mst_array_copy_create(const mst_array_moves_t *moves, mst_array_way_t way, size_t element_nbytes, size_t whole_nbytes,
                                       mst_array_copy_t **copy_out);
void mst_array_copy_destroy(mst_array_copy_t *copy); /* NULL is allowed */

/* Bytes that a run moves: the size of the buffer. */
size_t mst_array_copy_nbytes(const mst_array_copy_t *copy);

/* `from` and `to` are the beginnings of the parts' memory or of the buffer, which do not overlap; they may be misaligned.  Any number of threads may run one
 * copy at a time, into different memory. */
void mst_array_copy_run(const mst_array_copy_t *copy, const void *from, void *to);

/* prepare.c: what is run. */
typedef struct mst_array_step mst_array_step_t;
typedef void (*mst_array_leaf_fn)(const mst_array_step_t *step, const char *from, char *to, size_t element_nbytes, bool large);

/* A move in bytes, its axes in the order of the loops: at least two, of which the last two are the leaf's.  Lengths of runs count elements. */
struct mst_array_step {
    int naxes;
    int64_t from, to;
    mst_array_leaf_fn leaf;
    mst_array_axis_t *axis;
};

struct mst_array_copy {
    size_t element_nbytes, nbytes;
    bool large;
    int64_t nsteps;
    mst_array_step_t *step;
};

/* leaf.c: the kernels, by what the last two axes have in common.  Rows: the last is contiguous on both sides; tiles: the last one in the source and the other
 * in the target; strided: else. */
void mst_array_leaf_rows(const mst_array_step_t *step, const char *from, char *to, size_t element_nbytes, bool large);
void mst_array_leaf_tiles(const mst_array_step_t *step, const char *from, char *to, size_t element_nbytes, bool large);
void mst_array_leaf_strided(const mst_array_step_t *step, const char *from, char *to, size_t element_nbytes, bool large);

#endif
