/* Making layouts: what is wrong with an argument is found here, so that nothing that works with a layout needs to look again. */
#include "array/layout.h"

void maestro_layout_options_init(maestro_layout_options_t *options) { *options = (maestro_layout_options_t){.size = sizeof *options}; }

static maestro_status_t bad(const char *what, int dimension, const char *thing, int64_t value, const char *remedy) {
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: dimension %d: %s %lld; %s", what, dimension, thing, (long long)value, remedy);
}

/* ---- Checks */
static maestro_status_t check_shape(const char *what, int ndims, const int64_t *shape) {
    if (ndims < 1 || ndims > MST_ARRAY_MAX)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: %d dimensions; there may be 1 to %d", what, ndims, MST_ARRAY_MAX);
    if (!shape) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the shape is NULL", what);
    int64_t count = 1;
    for (int d = 0; d < ndims; d++) {
        if (shape[d] < 0) return bad(what, d, "size", shape[d], "it may be 0 or more");
        if (shape[d] && count > MST_ARRAY_LIMIT / shape[d])
            return mst_base_fail(MAESTRO_TOO_LARGE, "%s: dimension %d: with size %lld the array has more than 2^59 elements", what, d, (long long)shape[d]);
        if (shape[d]) count *= shape[d];
    }
    return MAESTRO_OK;
}

static maestro_status_t check_grid(const char *what, int ndims, const int64_t *grid) {
    if (!grid) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the grid is NULL", what);
    int64_t count = 1;
    for (int d = 0; d < ndims; d++) {
        if (grid[d] < 1) return bad(what, d, "number of parts", grid[d], "it must be at least 1");
        if (count > MST_ARRAY_LIMIT / grid[d])
            return mst_base_fail(MAESTRO_TOO_LARGE, "%s: dimension %d: with %lld parts there are more than 2^59", what, d, (long long)grid[d]);
        count *= grid[d];
    }
    return MAESTRO_OK;
}

static maestro_status_t check_order(const char *what, const char *thing, maestro_order_t order) {
    if (order == MAESTRO_ROW_MAJOR || order == MAESTRO_COLUMN_MAJOR) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: %s %d; it may be MAESTRO_ROW_MAJOR or MAESTRO_COLUMN_MAJOR", what, thing, (int)order);
}

static maestro_status_t check_options(const char *what, int ndims, const maestro_layout_options_t *options) {
    if (options->size != sizeof *options)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the options' size is %zu, expected %zu; call maestro_layout_options_init first", what,
                             options->size, sizeof *options);
    MST_TRY(check_order(what, "order", options->order));
    MST_TRY(check_order(what, "order of the grid", options->grid_order));
    for (int d = 0; d < ndims; d++) {
        if (options->low[d] < 0 || options->low[d] > MST_ARRAY_LIMIT) return bad(what, d, "low ghosts", options->low[d], "there may be 0 to 2^59");
        if (options->high[d] < 0 || options->high[d] > MST_ARRAY_LIMIT) return bad(what, d, "high ghosts", options->high[d], "there may be 0 to 2^59");
    }
    return MAESTRO_OK;
}

static bool has_ghosts(const mst_array_cut_t *cut) { return cut->low || cut->high; }

/* Ghosts lie around one block: several ones in a part have no place for them. */
static maestro_status_t check_blocks(const char *what, const maestro_layout_t *layout, const int64_t *block) {
    for (int d = 0; d < layout->ndims; d++) {
        const mst_array_cut_t *cut = &layout->cut[d];
        if (block[d] < 1) return bad(what, d, "block", block[d], "it must be at least 1");
        if (has_ghosts(cut) && (cut->size - 1) / block[d] >= cut->nparts)
            return bad(what, d, "ghosts with blocks of", block[d], "a part has ghosts only where it is one block: make blocks longer, or leave the ghosts");
    }
    return MAESTRO_OK;
}

static maestro_status_t too_large(const char *what) {
    return mst_base_fail(MAESTRO_TOO_LARGE, "%s: a part with its ghosts has more than 2^59 elements; make the ghosts fewer", what);
}

/* ---- Making */
static maestro_status_t make(const char *what, mst_array_family_t family, int ndims, const int64_t *shape, const int64_t *grid,
                             const maestro_layout_options_t *options, maestro_layout_t **layout_out) {
    maestro_layout_options_t defaults;
    maestro_layout_options_init(&defaults);
    if (!options) options = &defaults;
    MST_TRY(check_shape(what, ndims, shape));
    MST_TRY(check_options(what, ndims, options));
    maestro_layout_t *layout = calloc(1, sizeof *layout);
    if (!layout) return mst_base_fail_errno("%s", what);
    *layout = (maestro_layout_t){.family = family, .ndims = ndims, .order = options->order, .grid_order = options->grid_order, .nparts = 1};
    for (int d = 0; d < ndims; d++) {
        layout->cut[d] = (mst_array_cut_t){.size = shape[d], .nparts = grid ? grid[d] : 1, .low = options->low[d], .high = options->high[d]};
        layout->nparts *= layout->cut[d].nparts;
    }
    *layout_out = layout;
    return MAESTRO_OK;
}

/* No part is larger than the first. */
static maestro_status_t check_first_part(const char *what, const maestro_layout_t *layout) {
    mst_array_piece_t piece;
    int64_t shape[MST_ARRAY_MAX];
    mst_array_part_piece(layout, 0, &piece);
    return mst_array_piece_lay(&piece, layout->order, layout->cut, shape) < 0 ? too_large(what) : MAESTRO_OK;
}

static maestro_status_t make_regular(const char *what, int ndims, const int64_t *shape, const int64_t *block, const int64_t *grid,
                                     const maestro_layout_options_t *options, maestro_layout_t **layout_out) {
    maestro_layout_t *layout = NULL;
    if (!layout_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the output is NULL", what);
    MST_TRY(check_shape(what, ndims, shape));
    MST_TRY(check_grid(what, ndims, grid));
    MST_TRY(make(what, MST_ARRAY_REGULAR, ndims, shape, grid, options, &layout));
    maestro_status_t status = block ? check_blocks(what, layout, block) : MAESTRO_OK;
    for (int d = 0; status == MAESTRO_OK && block && d < ndims; d++) layout->cut[d].block = block[d] < shape[d] ? block[d] : shape[d] ? shape[d] : 1;
    if (status == MAESTRO_OK) status = check_first_part(what, layout);
    if (status != MAESTRO_OK) maestro_layout_destroy(layout);
    else *layout_out = layout;
    return status;
}

maestro_status_t maestro_layout_blocks(int ndims, const int64_t *shape, const int64_t *grid, const maestro_layout_options_t *options,
                                       maestro_layout_t **layout_out) {
    return make_regular("layout of blocks", ndims, shape, NULL, grid, options, layout_out);
}

maestro_status_t maestro_layout_block_cyclic(int ndims, const int64_t *shape, const int64_t *block, const int64_t *grid,
                                             const maestro_layout_options_t *options, maestro_layout_t **layout_out) {
    if (!block) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout block by block: the blocks are NULL");
    return make_regular("layout block by block", ndims, shape, block, grid, options, layout_out);
}

/* ---- Boxes */
static maestro_status_t take_box(maestro_layout_t *layout, int64_t number, const int64_t *begin, const int64_t *end) {
    mst_array_piece_t piece = {.ndims = layout->ndims};
    int64_t shape[MST_ARRAY_MAX];
    for (int d = 0; d < layout->ndims; d++) {
        if (begin[d] < 0 || end[d] < begin[d] || end[d] > layout->cut[d].size)
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of boxes: box %lld, dimension %d: from %lld to %lld in a size of %lld", (long long)number, d,
                                 (long long)begin[d], (long long)end[d], (long long)layout->cut[d].size);
        piece.comb[d] = mst_array_comb_of(begin[d], end[d] - begin[d]);
    }
    int64_t nelements = mst_array_piece_lay(&piece, layout->order, layout->cut, shape);
    if (nelements < 0) return too_large("layout of boxes");
    piece.start += layout->nelements;
    layout->nelements += nelements;
    layout->nowned += piece.count;
    if (layout->nelements > MST_ARRAY_LIMIT)
        return mst_base_fail(MAESTRO_TOO_LARGE, "layout of boxes: up to box %lld they have more than 2^59 elements", (long long)number);
    layout->piece[layout->npieces++] = piece;
    return MAESTRO_OK;
}

typedef struct corner {
    int64_t begin;
    const mst_array_piece_t *piece;
} corner_t;

static int by_begin(const void *a, const void *b) {
    const corner_t *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static bool overlap(const mst_array_piece_t *a, const mst_array_piece_t *b) {
    if (!a->count || !b->count) return false;
    for (int d = 0; d < a->ndims; d++)
        if (a->comb[d].end <= b->comb[d].first || b->comb[d].end <= a->comb[d].first) return false;
    return true;
}

static maestro_status_t refuse_overlap(const mst_array_piece_t *a, const mst_array_piece_t *b) {
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of boxes: the boxes that begin at %lld and %lld in dimension 0 overlap; give each element once",
                         (long long)a->comb[0].first, (long long)b->comb[0].first);
}

/* Sorted by their beginning in the first dimension, a box is compared with those that begin before it ends. */
static maestro_status_t check_overlap(const maestro_layout_t *layout) {
    corner_t *corner = malloc((size_t)(layout->npieces ? layout->npieces : 1) * sizeof *corner);
    if (!corner) return mst_base_fail_errno("layout of boxes: %lld boxes", (long long)layout->npieces);
    for (int64_t i = 0; i < layout->npieces; i++) corner[i] = (corner_t){layout->piece[i].comb[0].first, &layout->piece[i]};
    qsort(corner, (size_t)layout->npieces, sizeof *corner, by_begin);
    maestro_status_t status = MAESTRO_OK;
    for (int64_t i = 0; status == MAESTRO_OK && i < layout->npieces; i++)
        for (int64_t j = i + 1; status == MAESTRO_OK && j < layout->npieces && corner[j].begin < corner[i].piece->comb[0].end; j++)
            if (overlap(corner[i].piece, corner[j].piece)) status = refuse_overlap(corner[i].piece, corner[j].piece);
    free(corner);
    return status;
}

static maestro_status_t fill_boxes(maestro_layout_t *layout, int64_t nboxes, const int64_t *begin, const int64_t *end) {
    layout->piece = malloc((size_t)(nboxes ? nboxes : 1) * sizeof *layout->piece);
    if (!layout->piece) return mst_base_fail_errno("layout of boxes: %lld boxes", (long long)nboxes);
    for (int d = 0; nboxes != 1 && d < layout->ndims; d++)
        if (has_ghosts(&layout->cut[d])) return bad("layout of boxes", d, "ghosts with a number of boxes of", nboxes, "a single box may have them");
    for (int64_t i = 0; i < nboxes; i++) MST_TRY(take_box(layout, i, begin + i * layout->ndims, end + i * layout->ndims));
    return check_overlap(layout);
}

maestro_status_t maestro_layout_boxes(int ndims, const int64_t *shape, int64_t nboxes, const int64_t *begin, const int64_t *end,
                                      const maestro_layout_options_t *options, maestro_layout_t **layout_out) {
    maestro_layout_t *layout = NULL;
    if (nboxes < 0 || nboxes > MST_ARRAY_LIMIT / (int64_t)sizeof *layout->piece)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of boxes: %lld boxes; there may be 0 or more, as memory allows", (long long)nboxes);
    if (!layout_out || (nboxes && (!begin || !end))) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of boxes: begin, end or the output is NULL");
    MST_TRY(make("layout of boxes", MST_ARRAY_BOXES, ndims, shape, NULL, options, &layout));
    maestro_status_t status = fill_boxes(layout, nboxes, begin, end);
    if (status != MAESTRO_OK) maestro_layout_destroy(layout);
    else *layout_out = layout;
    return status;
}

/* ---- Indices */
static maestro_status_t check_range(const maestro_layout_t *layout, int64_t count, const int64_t *indices) {
    int64_t limit = 1;
    for (int d = 0; d < layout->ndims; d++) limit *= layout->cut[d].size;
    for (int64_t i = 0; i < count; i++)
        if (indices[i] < -1 || indices[i] >= limit)
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of indices: index %lld at place %lld; the array's are 0 to %lld, and -1 is nothing of it",
                                 (long long)indices[i], (long long)i, (long long)limit - 1);
    return MAESTRO_OK;
}

static maestro_status_t fill_indices(maestro_layout_t *layout, int64_t count, const int64_t *indices, const bool *is_ghost) {
    int64_t nplaces;
    MST_TRY(check_range(layout, count, indices));
    MST_TRY(mst_array_spans_make(indices, is_ghost, false, count, &layout->span, &layout->nspans, &layout->nowned));
    if (is_ghost) MST_TRY(mst_array_spans_make(indices, is_ghost, true, count, &layout->ghost, &layout->nghosts, &nplaces));
    layout->nelements = count;
    return MAESTRO_OK;
}

maestro_status_t maestro_layout_indices(int ndims, const int64_t *shape, int64_t count, const int64_t *indices, const bool *is_ghost,
                                        maestro_layout_t **layout_out) {
    maestro_layout_t *layout = NULL;
    if (count < 0 || count > MST_ARRAY_LIMIT / (int64_t)sizeof *layout->span)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of indices: %lld indices; there may be 0 or more, as memory allows", (long long)count);
    if (!layout_out || (count && !indices)) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of indices: the indices or the output is NULL");
    MST_TRY(make("layout of indices", MST_ARRAY_INDICES, ndims, shape, NULL, NULL, &layout));
    maestro_status_t status = fill_indices(layout, count, indices, is_ghost);
    if (status != MAESTRO_OK) maestro_layout_destroy(layout);
    else *layout_out = layout;
    return status;
}

/* ---- What remains */
void maestro_layout_destroy(maestro_layout_t *layout) {
    if (!layout) return;
    free(layout->piece);
    free(layout->span);
    free(layout->ghost);
    free(layout);
}

int64_t maestro_layout_nparts(const maestro_layout_t *layout) { return layout->nparts; }

int64_t mst_array_layout_linear(const maestro_layout_t *layout, const int64_t *index) {
    int64_t linear = 0;
    for (int d = 0; d < layout->ndims; d++) linear = linear * layout->cut[d].size + index[d];
    return linear;
}

maestro_status_t mst_array_layout_check_shapes(const maestro_layout_t *a, const maestro_layout_t *b, const char *what) {
    if (a->ndims != b->ndims)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the one's array has %d dimensions, the other's %d; they must be of one shape", what, a->ndims,
                             b->ndims);
    for (int d = 0; d < a->ndims; d++)
        if (a->cut[d].size != b->cut[d].size)
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: dimension %d: the one's array has size %lld, the other's %lld; they must be of one shape", what,
                                 d, (long long)a->cut[d].size, (long long)b->cut[d].size);
    return MAESTRO_OK;
}
