/* What a layout is inside.  Every part is described in one of two forms, whatever the layout's family:
 *   a piece: in each dimension a comb of blocks, stored as an n-dimensional array.  A regular layout's part is one piece, which is computed; a part of
 *            boxes has one piece per box;
 *   spans:   consecutive global row-major indices that are stored consecutively, sorted by index: a part of indices.
 * Ghost cells have the same two forms: as a layout of one part (ghosts.c), whose pieces or spans may stand for an element several times.
 * Invariant: nothing here grows with the number of parts, and no number of elements, stride or index of a valid layout exceeds MST_ARRAY_LIMIT. */
#ifndef MST_ARRAY_LAYOUT_H
#define MST_ARRAY_LAYOUT_H

#include "base/base.h"

enum { MST_ARRAY_MAX = MAESTRO_DIMENSIONS_MAX };
#define MST_ARRAY_LIMIT ((int64_t)1 << 59) /* elements of 16 bytes still have their bytes counted in an int64_t */

/* The indices begin, begin + 1, ... of blocks: block k is first + k * period up to first + k * period + length, cut off at end. */
typedef struct mst_array_comb {
    int64_t first, length, period, end; /* length >= 1; one block: period > end - first */
} mst_array_comb_t;

typedef struct mst_array_piece {
    int ndims;
    int64_t start; /* where the first owned element lies */
    int64_t count; /* owned elements */
    int64_t stride[MST_ARRAY_MAX];
    mst_array_comb_t comb[MST_ARRAY_MAX];
} mst_array_piece_t;

typedef struct mst_array_span {
    int64_t first, length, position;
} mst_array_span_t;

typedef struct mst_array_cut { /* of a dimension */
    int64_t size, nparts, block; /* block 0: balanced */
    int64_t low, high;
} mst_array_cut_t;

typedef enum mst_array_family { MST_ARRAY_REGULAR, MST_ARRAY_BOXES, MST_ARRAY_INDICES } mst_array_family_t;

struct maestro_layout {
    mst_array_family_t family;
    int ndims;
    maestro_order_t order, grid_order;
    int64_t nparts;
    mst_array_cut_t cut[MST_ARRAY_MAX]; /* of boxes and indices: one part in each dimension; size alone counts, and the ghosts of a single box */
    int64_t nowned, nelements;          /* of boxes and indices */
    int64_t npieces, nspans, nghosts;
    mst_array_piece_t *piece;           /* of boxes */
    mst_array_span_t *span, *ghost;     /* of indices: what is owned, what is a ghost cell; their ends ascend as their beginnings do */
};

/* ---- Indices of one dimension.  The number of the first block that ends behind index i. */
static inline int64_t mst_array_comb_block(const mst_array_comb_t *comb, int64_t i) {
    if (i < comb->first + comb->length) return 0;
    int64_t k = (i - comb->first) / comb->period;
    return i - comb->first - k * comb->period < comb->length ? k : k + 1;
}

static inline int64_t mst_array_comb_begin(const mst_array_comb_t *comb, int64_t block) { return comb->first + block * comb->period; }

static inline int64_t mst_array_comb_end(const mst_array_comb_t *comb, int64_t block) {
    int64_t end = mst_array_comb_begin(comb, block) + comb->length;
    return end < comb->end ? end : comb->end;
}

/* One block. */
static inline mst_array_comb_t mst_array_comb_of(int64_t first, int64_t length) {
    return (mst_array_comb_t){.first = first, .length = length ? length : 1, .period = 4 * MST_ARRAY_LIMIT, .end = first + length};
}

int64_t mst_array_comb_count(const mst_array_comb_t *comb);
/* The number of an index among those of the comb, or -1. */
int64_t mst_array_comb_position(const mst_array_comb_t *comb, int64_t i);

/* ---- part.c: what a part holds. */
/* The piece of a regular layout's part. */
void mst_array_part_piece(const maestro_layout_t *layout, int64_t part, mst_array_piece_t *piece_out);
/* Where a regular layout's part stands in the grid, and back. */
void mst_array_part_coordinates(const maestro_layout_t *layout, int64_t part, int64_t *coordinates_out);
int64_t mst_array_part_number(const maestro_layout_t *layout, const int64_t *coordinates);
/* Which part of a dimension owns an index. */
int64_t mst_array_cut_owner(const mst_array_cut_t *cut, int64_t i);
/* Refuses numbers that are no part of the layout; `what` begins the message. */
maestro_status_t mst_array_part_check(const maestro_layout_t *layout, int64_t part, const char *what);
/* Lays out one box with ghosts: strides, start, count; returns the number of elements, or -1 beyond MST_ARRAY_LIMIT.  Combs stand in the piece. */
int64_t mst_array_piece_lay(mst_array_piece_t *piece, maestro_order_t order, const mst_array_cut_t *cut, int64_t *shape_out);
/* The offset of a global index in a piece, or -1. */
int64_t mst_array_piece_offset(const mst_array_piece_t *piece, const int64_t *index);

/* ---- indices.c: lists as spans. */
/* Those of the owned places (of which no index may come twice) or of the ghost cells, and how many places they are. */
maestro_status_t mst_array_spans_make(const int64_t *indices, const bool *is_ghost, bool ghosts, int64_t count, mst_array_span_t **span_out,
                                      int64_t *nspans_out, int64_t *nplaces_out);
int64_t mst_array_spans_position(const mst_array_span_t *span, int64_t nspans, int64_t index);

/* ---- ghosts.c.  The ghost cells of a part as a layout of one part in the part's memory: of pieces, cut where periodic dimensions begin again, or of spans;
 * those that stand for nothing are left out.  The caller destroys it.  Errors: SYSTEM. */
maestro_status_t mst_array_ghosts(const maestro_layout_t *layout, int64_t part, const bool *periodic, maestro_layout_t **ghosts_out);

/* ---- layout.c */
int64_t mst_array_layout_linear(const maestro_layout_t *layout, const int64_t *index); /* row-major */
/* Refuses two layouts of global arrays of different shapes; `what` begins the message. */
maestro_status_t mst_array_layout_check_shapes(const maestro_layout_t *a, const maestro_layout_t *b, const char *what);

#endif
