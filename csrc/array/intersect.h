/* What two parts have in common, as moves of elements from the one's memory to the other's.
 *
 * A move is a product: for each axis a list of runs, and an element for each choice of one place on every axis.  What the axes say is added up:
 *     element (i0, i1, ...) of runs (r0, r1, ...) goes from   move.from + sum of r.from + i * axis.from_stride
 *                                                      to     move.to   + sum of r.to   + i * axis.to_stride
 * so that memory and time go with the sum of the axes' runs, not with their product.  Two pieces give one move whose axes are the dimensions; spans give
 * one of one axis.  Axes of one element vanish: there may be none.  All numbers count elements.
 * Invariant: the moves of two parts and their order follow from the two layouts alone, so both sides of a message have the same. */
#ifndef MST_ARRAY_INTERSECT_H
#define MST_ARRAY_INTERSECT_H

#include "array/layout.h"

typedef struct mst_array_run {
    int64_t length, from, to;
} mst_array_run_t;

typedef struct mst_array_axis {
    int64_t from_stride, to_stride;
    int64_t nruns;
    mst_array_run_t *run; /* of one run, from and to are 0 */
} mst_array_axis_t;

typedef struct mst_array_move {
    int naxes;               /* at most MST_ARRAY_MAX */
    int64_t from, to;
    int64_t count;           /* elements, more than 0 */
    mst_array_axis_t *axis;  /* with all runs in one block of memory, in the axes' order; NULL: none */
} mst_array_move_t;

typedef struct mst_array_moves {
    int64_t nmoves, count; /* count: elements of all */
    mst_array_move_t *move;
} mst_array_moves_t;

/* The caller ends the moves with _fini; there are none where the parts have nothing in common.
 * Errors: INVALID_ARGUMENT (shapes of the global arrays differ, no such part), SYSTEM. */
maestro_status_t mst_array_intersect(const maestro_layout_t *from, int64_t from_part, const maestro_layout_t *to, int64_t to_part,
                                     mst_array_moves_t *moves_out);
void mst_array_moves_fini(mst_array_moves_t *moves);
/* Adds a copy of the move, of its axes, and of their runs, which may lie anywhere; a move without elements is left out.  Errors: SYSTEM. */
maestro_status_t mst_array_moves_add(mst_array_moves_t *moves, const mst_array_move_t *move);

/* join.c: the same, and a block that continues others becomes one with them.  The same moves in the same order give the same list. */
maestro_status_t mst_array_moves_join(mst_array_moves_t *moves, const mst_array_move_t *move);

/* slice.c: cuts moves into slices of at most `most` elements, or of one, in the order of a buffer; the same moves give the same slices.  The caller ends
 * them with _fini, also after an error: SYSTEM. */
maestro_status_t mst_array_moves_slice(const mst_array_moves_t *moves, int64_t most, mst_array_moves_t **slices_out, int64_t *nslices_out);
void mst_array_slices_fini(mst_array_moves_t *slices, int64_t nslices);
/* The length for slices of about `wanted` elements, or longer, so that together they have not many more runs than the moves. */
int64_t mst_array_slice_length(const mst_array_moves_t *moves, int64_t wanted);

/* peers.c: the parts of the regular layout `other` with which a part has elements in common, ascending; computed from the part's blocks, so that time and
 * memory go with these and with the number of peers.  The caller frees the array, which is never NULL.
 * Errors: INVALID_ARGUMENT (shapes differ, no such part, `other` is not regular), SYSTEM. */
maestro_status_t mst_array_peers(const maestro_layout_t *layout, int64_t part, const maestro_layout_t *other, int64_t **parts_out, int64_t *nparts_out);

#endif
