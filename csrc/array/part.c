/* What one part of a layout holds: computed from the layout and the part's number alone. */
#include "array/layout.h"

/* ---- One dimension */
int64_t mst_array_comb_count(const mst_array_comb_t *comb) {
    if (comb->end <= comb->first) return 0;
    int64_t last = (comb->end - 1 - comb->first) / comb->period;
    return last * comb->length + mst_array_comb_end(comb, last) - mst_array_comb_begin(comb, last);
}

int64_t mst_array_comb_position(const mst_array_comb_t *comb, int64_t i) {
    int64_t block = mst_array_comb_block(comb, i), begin = mst_array_comb_begin(comb, block);
    return i < begin || i >= comb->end ? -1 : block * comb->length + i - begin;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static mst_array_comb_t balanced_comb(const mst_array_cut_t *cut, int64_t coordinate) {
    int64_t quotient = cut->size / cut->nparts, longer = cut->size % cut->nparts;
    return mst_array_comb_of(coordinate * quotient + smaller(coordinate, longer), quotient + (coordinate < longer));
}

static mst_array_comb_t cyclic_comb(const mst_array_cut_t *cut, int64_t coordinate) {
    int64_t nblocks = cut->size / cut->block + (cut->size % cut->block != 0);
    if (coordinate >= nblocks) return mst_array_comb_of(0, 0);
    int64_t first = coordinate * cut->block;
    if (nblocks <= cut->nparts) return mst_array_comb_of(first, smaller(cut->block, cut->size - first));
    return (mst_array_comb_t){.first = first, .length = cut->block, .period = cut->block * cut->nparts, .end = cut->size};
}

int64_t mst_array_cut_owner(const mst_array_cut_t *cut, int64_t i) {
    if (cut->block) return i / cut->block % cut->nparts;
    int64_t quotient = cut->size / cut->nparts, longer = cut->size % cut->nparts;
    return i < longer * (quotient + 1) ? i / (quotient + 1) : longer + (i - longer * (quotient + 1)) / quotient;
}

/* ---- The grid */
void mst_array_part_coordinates(const maestro_layout_t *layout, int64_t part, int64_t *coordinates_out) {
    for (int i = 0; i < layout->ndims; i++) {
        int d = layout->grid_order == MAESTRO_ROW_MAJOR ? layout->ndims - 1 - i : i;
        coordinates_out[d] = part % layout->cut[d].nparts;
        part /= layout->cut[d].nparts;
    }
}

int64_t mst_array_part_number(const maestro_layout_t *layout, const int64_t *coordinates) {
    int64_t part = 0;
    for (int i = 0; i < layout->ndims; i++) {
        int d = layout->grid_order == MAESTRO_ROW_MAJOR ? i : layout->ndims - 1 - i;
        part = part * layout->cut[d].nparts + coordinates[d];
    }
    return part;
}

maestro_status_t mst_array_part_check(const maestro_layout_t *layout, int64_t part, const char *what) {
    if (!layout) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the layout is NULL", what);
    if (part >= 0 && part < layout->nparts) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: there is no part %lld; the layout's parts are 0 to %lld", what, (long long)part,
                         (long long)layout->nparts - 1);
}

/* ---- Pieces */
int64_t mst_array_piece_lay(mst_array_piece_t *piece, maestro_order_t order, const mst_array_cut_t *cut, int64_t *shape_out) {
    int64_t nelements = 1, at[MST_ARRAY_MAX];
    piece->count = 1;
    for (int d = 0; d < piece->ndims; d++) piece->count *= at[d] = mst_array_comb_count(&piece->comb[d]);
    piece->start = 0;
    for (int i = 0; i < piece->ndims; i++) {
        int d = order == MAESTRO_ROW_MAJOR ? piece->ndims - 1 - i : i;
        shape_out[d] = piece->count ? at[d] + cut[d].low + cut[d].high : at[d];
        piece->stride[d] = nelements;
        if (shape_out[d] && nelements > MST_ARRAY_LIMIT / shape_out[d]) return -1;
        if (piece->count) piece->start += cut[d].low * nelements;
        nelements *= shape_out[d];
    }
    return nelements;
}

void mst_array_part_piece(const maestro_layout_t *layout, int64_t part, mst_array_piece_t *piece_out) {
    int64_t coordinate[MST_ARRAY_MAX], shape[MST_ARRAY_MAX];
    mst_array_part_coordinates(layout, part, coordinate);
    piece_out->ndims = layout->ndims;
    for (int d = 0; d < layout->ndims; d++)
        piece_out->comb[d] = layout->cut[d].block ? cyclic_comb(&layout->cut[d], coordinate[d]) : balanced_comb(&layout->cut[d], coordinate[d]);
    mst_array_piece_lay(piece_out, layout->order, layout->cut, shape);
}

int64_t mst_array_piece_offset(const mst_array_piece_t *piece, const int64_t *index) {
    int64_t offset = piece->start;
    for (int d = 0; d < piece->ndims; d++) {
        int64_t position = mst_array_comb_position(&piece->comb[d], index[d]);
        if (position < 0) return -1;
        offset += position * piece->stride[d];
    }
    return offset;
}

/* ---- Public */
static void describe_piece(const maestro_layout_t *layout, mst_array_piece_t *piece, maestro_local_t *local) {
    local->nelements = mst_array_piece_lay(piece, layout->order, layout->cut, local->shape);
    local->nowned = piece->count;
    for (int d = 0; d < layout->ndims; d++) {
        local->stride[d] = piece->stride[d];
        local->low[d] = piece->count ? layout->cut[d].low : 0;
        local->high[d] = piece->count ? layout->cut[d].high : 0;
        local->first[d] = piece->count ? piece->comb[d].first : 0;
    }
}

maestro_status_t maestro_layout_local(const maestro_layout_t *layout, int64_t part, maestro_local_t *local_out) {
    MST_TRY(mst_array_part_check(layout, part, "a layout's part in memory"));
    if (!local_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "a layout's part in memory: the output is NULL");
    maestro_local_t local = {.ndims = layout->ndims, .order = layout->order};
    mst_array_piece_t piece;
    if (layout->family == MST_ARRAY_REGULAR) {
        mst_array_part_piece(layout, part, &piece);
        describe_piece(layout, &piece, &local);
    } else if (layout->npieces == 1) {
        piece = layout->piece[0];
        describe_piece(layout, &piece, &local);
    } else {
        local.ndims = 1;
        local.shape[0] = local.nelements = layout->nelements;
        local.nowned = layout->nowned;
        local.stride[0] = 1;
    }
    *local_out = local;
    return MAESTRO_OK;
}

static maestro_status_t check_index(const maestro_layout_t *layout, const int64_t *index, const void *output, const char *what) {
    if (!layout || !index || !output) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the layout, the index or the output is NULL", what);
    for (int d = 0; d < layout->ndims; d++)
        if (index[d] < 0 || index[d] >= layout->cut[d].size)
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: dimension %d: no index %lld in a size of %lld", what, d, (long long)index[d],
                                 (long long)layout->cut[d].size);
    return MAESTRO_OK;
}

static int64_t own_offset(const maestro_layout_t *layout, const int64_t *index) {
    if (layout->family == MST_ARRAY_INDICES) return mst_array_spans_position(layout->span, layout->nspans, mst_array_layout_linear(layout, index));
    for (int64_t i = 0; i < layout->npieces; i++) {
        int64_t offset = mst_array_piece_offset(&layout->piece[i], index);
        if (offset >= 0) return offset;
    }
    return -1;
}

maestro_status_t maestro_layout_offset(const maestro_layout_t *layout, int64_t part, const int64_t *index, int64_t *offset_out) {
    MST_TRY(mst_array_part_check(layout, part, "an element's place"));
    MST_TRY(check_index(layout, index, offset_out, "an element's place"));
    mst_array_piece_t piece;
    if (layout->family == MST_ARRAY_REGULAR) mst_array_part_piece(layout, part, &piece);
    *offset_out = layout->family == MST_ARRAY_REGULAR ? mst_array_piece_offset(&piece, index) : own_offset(layout, index);
    return MAESTRO_OK;
}

maestro_status_t maestro_layout_owner(const maestro_layout_t *layout, const int64_t *index, int64_t *part_out) {
    MST_TRY(check_index(layout, index, part_out, "an element's owner"));
    int64_t coordinate[MST_ARRAY_MAX];
    for (int d = 0; d < layout->ndims; d++) coordinate[d] = mst_array_cut_owner(&layout->cut[d], index[d]);
    if (layout->family == MST_ARRAY_REGULAR) *part_out = mst_array_part_number(layout, coordinate);
    else *part_out = own_offset(layout, index) < 0 ? -1 : 0;
    return MAESTRO_OK;
}
