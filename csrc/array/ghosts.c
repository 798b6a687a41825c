/* Ghost cells as a layout: in each dimension stretches of places below, among and above the owned ones, whose global indices follow each other; a piece
 * for each choice of one stretch per dimension, but for the owned block itself.  So rows, columns and corners are pieces of their own. */
#include "array/layout.h"

static const char WHAT[] = "ghost cells of a part";

typedef struct stretch {
    int64_t place, first, length; /* place: from the first owned one; first: the global index there */
} stretch_t;

typedef struct line { /* of a dimension */
    int64_t nstretches;
    size_t capacity;
    stretch_t *stretch; /* the owned one first */
} line_t;

/* ---- One dimension */
static maestro_status_t add_stretch(line_t *line, stretch_t stretch) {
    if (!MST_RESERVE(line->stretch, line->capacity, (size_t)line->nstretches + 1, 4)) return mst_base_fail_errno(WHAT);
    line->stretch[line->nstretches++] = stretch;
    return MAESTRO_OK;
}

/* The places from begin to end, of which 0 has the global index `first`. */
static maestro_status_t add_places(line_t *line, int64_t size, int64_t first, bool periodic, int64_t begin, int64_t end) {
    if (!periodic && begin < -first) begin = -first;
    if (!periodic && end > size - first) end = size - first;
    while (begin < end) {
        int64_t index = (first + begin) % size;
        if (index < 0) index += size;
        int64_t length = end - begin < size - index ? end - begin : size - index;
        MST_TRY(add_stretch(line, (stretch_t){.place = begin, .first = index, .length = length}));
        begin += length;
    }
    return MAESTRO_OK;
}

static maestro_status_t make_line(const mst_array_cut_t *cut, const mst_array_comb_t *own, bool periodic, line_t *line) {
    int64_t length = mst_array_comb_count(own);
    MST_TRY(add_stretch(line, (stretch_t){.first = own->first, .length = length}));
    MST_TRY(add_places(line, cut->size, own->first, periodic, -cut->low, 0));
    return add_places(line, cut->size, own->first, periodic, length, length + cut->high);
}

/* ---- All dimensions */
static mst_array_piece_t piece_at(const mst_array_piece_t *own, const line_t *line, const int64_t *choice) {
    mst_array_piece_t piece = *own;
    piece.count = 1;
    for (int d = 0; d < own->ndims; d++) {
        const stretch_t *stretch = &line[d].stretch[choice[d]];
        if (choice[d]) piece.comb[d] = mst_array_comb_of(stretch->first, stretch->length); /* what is owned may be several blocks */
        piece.start += stretch->place * piece.stride[d];
        piece.count *= stretch->length;
    }
    return piece;
}

static bool next_choice(const line_t *line, int ndims, int64_t *choice) {
    for (int d = ndims - 1; d >= 0; d--) {
        if (++choice[d] < line[d].nstretches) return true;
        choice[d] = 0;
    }
    return false;
}

static maestro_status_t make_pieces(const mst_array_piece_t *own, const line_t *line, maestro_layout_t *ghosts) {
    int64_t choice[MST_ARRAY_MAX] = {0}, count = 1; /* no more than the part has places */
    for (int d = 0; d < own->ndims; d++) count *= line[d].nstretches;
    ghosts->piece = calloc((size_t)count, sizeof *ghosts->piece);
    if (!ghosts->piece) return mst_base_fail_errno(WHAT);
    while (next_choice(line, own->ndims, choice)) ghosts->piece[ghosts->npieces++] = piece_at(own, line, choice); /* the first choice is what is owned */
    return MAESTRO_OK;
}

static maestro_status_t around_piece(const mst_array_piece_t *own, const mst_array_cut_t *cut, const bool *periodic, maestro_layout_t *ghosts) {
    line_t line[MST_ARRAY_MAX] = {0};
    maestro_status_t status = MAESTRO_OK;
    if (!own->count) return MAESTRO_OK;
    for (int d = 0; d < own->ndims && status == MAESTRO_OK; d++) status = make_line(&cut[d], &own->comb[d], periodic[d], &line[d]);
    if (status == MAESTRO_OK) status = make_pieces(own, line, ghosts);
    for (int d = 0; d < own->ndims; d++) free(line[d].stretch);
    return status;
}

static maestro_status_t copy_spans(const maestro_layout_t *layout, maestro_layout_t *ghosts) {
    ghosts->span = malloc((size_t)(layout->nghosts + 1) * sizeof *ghosts->span);
    if (!ghosts->span) return mst_base_fail_errno(WHAT);
    if (layout->nghosts) memcpy(ghosts->span, layout->ghost, (size_t)layout->nghosts * sizeof *ghosts->span);
    ghosts->nspans = layout->nghosts;
    return MAESTRO_OK;
}

static bool has_ghosts(const maestro_layout_t *layout) {
    bool has = false;
    for (int d = 0; d < layout->ndims; d++) has = has || layout->cut[d].low || layout->cut[d].high;
    return has;
}

static maestro_status_t fill(const maestro_layout_t *layout, int64_t part, const bool *periodic, maestro_layout_t *ghosts) {
    mst_array_piece_t piece;
    if (layout->family == MST_ARRAY_INDICES) return copy_spans(layout, ghosts);
    if (!has_ghosts(layout)) return MAESTRO_OK;
    if (layout->family == MST_ARRAY_REGULAR) mst_array_part_piece(layout, part, &piece);
    else piece = layout->piece[0]; /* only a single box has ghosts */
    return around_piece(&piece, layout->cut, periodic, ghosts);
}

maestro_status_t mst_array_ghosts(const maestro_layout_t *layout, int64_t part, const bool *periodic, maestro_layout_t **ghosts_out) {
    maestro_layout_t *ghosts = calloc(1, sizeof *ghosts);
    if (!ghosts) return mst_base_fail_errno(WHAT);
    ghosts->family = layout->family == MST_ARRAY_INDICES ? MST_ARRAY_INDICES : MST_ARRAY_BOXES;
    ghosts->ndims = layout->ndims;
    ghosts->nparts = 1;
    for (int d = 0; d < layout->ndims; d++) ghosts->cut[d] = (mst_array_cut_t){.size = layout->cut[d].size, .nparts = 1};
    maestro_status_t status = fill(layout, part, periodic, ghosts);
    if (status != MAESTRO_OK) maestro_layout_destroy(ghosts);
    else *ghosts_out = ghosts;
    return status;
}
