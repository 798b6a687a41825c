/* Intersection of two parts: combs dimension by dimension, spans row by row, spans with spans by merging. */
#include "array/intersect.h"

static const char WHAT[] = "intersect two parts";

/* ---- Moves */
void mst_array_moves_fini(mst_array_moves_t *moves) {
    for (int64_t i = 0; i < moves->nmoves; i++) free(moves->move[i].axis);
    free(moves->move);
    *moves = (mst_array_moves_t){0};
}

/* A copy of the axes and their runs in one block. */
static mst_array_axis_t *copy_axes(const mst_array_move_t *move) {
    size_t nruns = 0;
    for (int a = 0; a < move->naxes; a++) nruns += (size_t)move->axis[a].nruns;
    mst_array_axis_t *axis = malloc((size_t)move->naxes * sizeof *axis + nruns * sizeof(mst_array_run_t));
    mst_array_run_t *run = (mst_array_run_t *)(axis + move->naxes);
    for (int a = 0; axis && a < move->naxes; a++) {
        axis[a] = move->axis[a];
        axis[a].run = memcpy(run, move->axis[a].run, (size_t)axis[a].nruns * sizeof *run);
        run += axis[a].nruns;
    }
    return axis;
}

/* The list doubles when its length is a power of two. */
maestro_status_t mst_array_moves_add(mst_array_moves_t *moves, const mst_array_move_t *move) {
    if (!move->count) return MAESTRO_OK;
    if ((moves->nmoves & (moves->nmoves - 1)) == 0) {
        mst_array_move_t *grown = realloc(moves->move, (size_t)(moves->nmoves ? 2 * moves->nmoves : 1) * sizeof *grown);
        if (!grown) return mst_base_fail_errno(WHAT);
        moves->move = grown;
    }
    mst_array_axis_t *axis = move->naxes ? copy_axes(move) : NULL;
    if (move->naxes && !axis) return mst_base_fail_errno(WHAT);
    moves->move[moves->nmoves] = *move;
    moves->move[moves->nmoves++].axis = axis;
    moves->count += move->count;
    return MAESTRO_OK;
}

/* ---- The move that is being made: its axes one after the other */
typedef struct runs {
    mst_array_move_t move;
    mst_array_axis_t axis[MST_ARRAY_MAX];
    mst_array_run_t *run, few[8];  /* of all axes; few: as long as these suffice */
    size_t nruns, capacity, first; /* first: of the axis */
    int64_t from_stride, to_stride; /* by which a run's next element follows: such runs are one */
    bool failed;
} runs_t;

static bool has_room(runs_t *runs) {
    if (runs->capacity) return MST_RESERVE(runs->run, runs->capacity, runs->nruns + 1, 1);
    if (runs->nruns < MST_COUNT(runs->few)) return true;
    mst_array_run_t *run = NULL;
    if (!MST_RESERVE(run, runs->capacity, runs->nruns + 1, 4 * MST_COUNT(runs->few))) return false;
    runs->run = memcpy(run, runs->few, sizeof runs->few);
    return true;
}

static void add_run(runs_t *runs, int64_t length, int64_t from, int64_t to) {
    mst_array_run_t *last = runs->nruns > runs->first ? &runs->run[runs->nruns - 1] : NULL;
    if (last && last->from + last->length * runs->from_stride == from && last->to + last->length * runs->to_stride == to) {
        last->length += length;
        return;
    }
    runs->failed = runs->failed || !has_room(runs);
    if (!runs->failed) runs->run[runs->nruns++] = (mst_array_run_t){.length = length, .from = from, .to = to};
}

static void begin_axis(runs_t *runs, int64_t from_stride, int64_t to_stride) {
    if (!runs->run) runs->run = runs->few;
    runs->first = runs->nruns;
    runs->from_stride = from_stride;
    runs->to_stride = to_stride;
}

/* A run that is alone begins at 0, and an axis of one element is none. */
static void end_axis(runs_t *runs) {
    mst_array_move_t *move = &runs->move;
    mst_array_run_t *run = &runs->run[runs->first];
    int64_t count = 0, nruns = (int64_t)(runs->nruns - runs->first);
    for (int64_t r = 0; r < nruns; r++) count += run[r].length;
    move->count *= count;
    if (nruns == 1) {
        move->from += run->from;
        move->to += run->to;
        run->from = run->to = 0;
    }
    if (count == 1) runs->nruns = runs->first;
    else runs->axis[move->naxes++] = (mst_array_axis_t){.from_stride = runs->from_stride, .to_stride = runs->to_stride, .nruns = nruns};
}

static maestro_status_t end_move(runs_t *runs, mst_array_moves_t *moves) {
    mst_array_run_t *run = runs->run;
    for (int a = 0; a < runs->move.naxes; a++) {
        runs->axis[a].run = run;
        run += runs->axis[a].nruns;
    }
    runs->move.axis = runs->axis;
    maestro_status_t status = runs->failed ? mst_base_fail_errno(WHAT) : mst_array_moves_add(moves, &runs->move);
    if (runs->capacity) free(runs->run);
    return status;
}

/* ---- Combs */
/* One that begins behind the other jumps there by division, so blocks that meet nothing cost nothing. */
static void intersect_combs(const mst_array_comb_t *a, const mst_array_comb_t *b, runs_t *runs) {
    for (int64_t i = 0; i < a->end && i < b->end;) {
        int64_t block_a = mst_array_comb_block(a, i), block_b = mst_array_comb_block(b, i);
        int64_t begin_a = mst_array_comb_begin(a, block_a), begin_b = mst_array_comb_begin(b, block_b);
        int64_t begin = begin_a > begin_b ? begin_a : begin_b;
        if (begin <= i) {
            int64_t end_a = mst_array_comb_end(a, block_a), end_b = mst_array_comb_end(b, block_b), end = end_a < end_b ? end_a : end_b;
            add_run(runs, end - i, (block_a * a->length + i - begin_a) * runs->from_stride, (block_b * b->length + i - begin_b) * runs->to_stride);
            i = end;
        } else i = begin;
    }
}

static maestro_status_t intersect_pieces(const mst_array_piece_t *from, const mst_array_piece_t *to, mst_array_moves_t *moves) {
    runs_t runs = {.move = {.from = from->start, .to = to->start, .count = from->count && to->count}};
    for (int d = 0; runs.move.count && d < from->ndims; d++) {
        begin_axis(&runs, from->stride[d], to->stride[d]);
        intersect_combs(&from->comb[d], &to->comb[d], &runs);
        end_axis(&runs);
    }
    return end_move(&runs, moves);
}

/* ---- Spans and a piece */
typedef struct rows {
    const int64_t *shape;
    const mst_array_piece_t *piece;
    bool list_is_source;
    runs_t runs;
} rows_t;

/* What the piece has of `length` elements from index[] on, which lie in one row; `position` is the list's place of the first. */
static void intersect_row(rows_t *rows, const int64_t *index, int64_t length, int64_t position) {
    const mst_array_piece_t *piece = rows->piece;
    int last = piece->ndims - 1;
    int64_t base = piece->start;
    for (int d = 0; d < last; d++) {
        int64_t place = mst_array_comb_position(&piece->comb[d], index[d]);
        if (place < 0) return;
        base += place * piece->stride[d];
    }
    const mst_array_comb_t *comb = &piece->comb[last];
    for (int64_t i = index[last], end; i < index[last] + length && i < comb->end; i = end) {
        int64_t block = mst_array_comb_block(comb, i), begin = mst_array_comb_begin(comb, block);
        end = begin;
        if (begin > i) continue;
        end = mst_array_comb_end(comb, block);
        if (end > index[last] + length) end = index[last] + length;
        int64_t in_list = position + i - index[last], in_piece = base + (block * comb->length + i - begin) * piece->stride[last];
        add_run(&rows->runs, end - i, rows->list_is_source ? in_list : in_piece, rows->list_is_source ? in_piece : in_list);
    }
}

static void next_row(const int64_t *shape, int ndims, int64_t *index) {
    index[ndims - 1] = 0;
    for (int d = ndims - 2; d >= 0; d--) {
        if (++index[d] < shape[d]) return;
        index[d] = 0;
    }
}

static void intersect_span(rows_t *rows, const mst_array_span_t *span) {
    int ndims = rows->piece->ndims;
    int64_t index[MST_ARRAY_MAX], rest = span->first;
    for (int d = ndims - 1; d >= 0; d--) {
        index[d] = rest % rows->shape[d];
        rest /= rows->shape[d];
    }
    for (int64_t done = 0; done < span->length;) {
        int64_t in_row = rows->shape[ndims - 1] - index[ndims - 1], length = span->length - done < in_row ? span->length - done : in_row;
        intersect_row(rows, index, length, span->position + done);
        done += length;
        next_row(rows->shape, ndims, index);
    }
}

/* The global row-major index of a piece's first (or last) element: spans before and behind these need no look. */
static int64_t linear_end(const rows_t *rows, bool last) {
    int64_t linear = 0;
    for (int d = 0; d < rows->piece->ndims; d++) {
        const mst_array_comb_t *comb = &rows->piece->comb[d];
        linear = linear * rows->shape[d] + (last ? comb->end - 1 : comb->first);
    }
    return linear;
}

static int64_t first_span_behind(const maestro_layout_t *list, int64_t linear) {
    int64_t low = 0, high = list->nspans;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (list->span[middle].first + list->span[middle].length <= linear) low = middle + 1;
        else high = middle;
    }
    return low;
}

static maestro_status_t intersect_list(const maestro_layout_t *list, const mst_array_piece_t *piece, bool list_is_source, mst_array_moves_t *moves) {
    int64_t shape[MST_ARRAY_MAX], stride = piece->stride[piece->ndims - 1];
    if (!piece->count) return MAESTRO_OK;
    for (int d = 0; d < list->ndims; d++) shape[d] = list->cut[d].size;
    rows_t rows = {.shape = shape, .piece = piece, .list_is_source = list_is_source, .runs.move.count = 1};
    begin_axis(&rows.runs, list_is_source ? 1 : stride, list_is_source ? stride : 1);
    int64_t last = linear_end(&rows, true);
    for (int64_t i = first_span_behind(list, linear_end(&rows, false)); i < list->nspans && list->span[i].first <= last; i++)
        intersect_span(&rows, &list->span[i]);
    end_axis(&rows.runs);
    return end_move(&rows.runs, moves);
}

static void intersect_spans(const mst_array_span_t *from, const mst_array_span_t *to, runs_t *runs) {
    int64_t begin = from->first > to->first ? from->first : to->first, from_end = from->first + from->length, to_end = to->first + to->length;
    int64_t end = from_end < to_end ? from_end : to_end;
    if (begin < end) add_run(runs, end - begin, from->position + begin - from->first, to->position + begin - to->first);
}

/* Targets that are ghost cells may overlap. */
static maestro_status_t intersect_lists(const maestro_layout_t *from, const maestro_layout_t *to, mst_array_moves_t *moves) {
    runs_t runs = {.move.count = 1};
    begin_axis(&runs, 1, 1);
    for (int64_t i = 0, j = 0; j < to->nspans; j++) {
        const mst_array_span_t *y = &to->span[j];
        while (i < from->nspans && from->span[i].first + from->span[i].length <= y->first) i++;
        for (int64_t k = i; k < from->nspans && from->span[k].first < y->first + y->length; k++) intersect_spans(&from->span[k], y, &runs);
    }
    end_axis(&runs);
    return end_move(&runs, moves);
}

/* ---- Parts */
/* Both forms of a part as a list of pieces; indices have none. */
typedef struct pieces {
    int64_t count;
    const mst_array_piece_t *piece;
    mst_array_piece_t computed;
} pieces_t;

static void pieces_of(const maestro_layout_t *layout, int64_t part, pieces_t *pieces) {
    pieces->count = layout->npieces;
    pieces->piece = layout->piece;
    if (layout->family != MST_ARRAY_REGULAR) return;
    mst_array_part_piece(layout, part, &pieces->computed);
    pieces->count = 1;
    pieces->piece = &pieces->computed;
}

static maestro_status_t intersect(const maestro_layout_t *from, int64_t from_part, const maestro_layout_t *to, int64_t to_part, mst_array_moves_t *moves) {
    bool from_list = from->family == MST_ARRAY_INDICES, to_list = to->family == MST_ARRAY_INDICES;
    pieces_t a, b;
    pieces_of(from, from_part, &a);
    pieces_of(to, to_part, &b);
    if (from_list && to_list) return intersect_lists(from, to, moves);
    for (int64_t j = 0; from_list && j < b.count; j++) MST_TRY(intersect_list(from, &b.piece[j], true, moves));
    for (int64_t i = 0; to_list && i < a.count; i++) MST_TRY(intersect_list(to, &a.piece[i], false, moves));
    for (int64_t i = 0; i < a.count; i++)
        for (int64_t j = 0; j < b.count; j++) MST_TRY(intersect_pieces(&a.piece[i], &b.piece[j], moves));
    return MAESTRO_OK;
}

maestro_status_t mst_array_intersect(const maestro_layout_t *from, int64_t from_part, const maestro_layout_t *to, int64_t to_part,
                                     mst_array_moves_t *moves_out) {
    mst_array_moves_t moves = {0};
    MST_TRY(mst_array_part_check(from, from_part, "intersect two parts: the first"));
    MST_TRY(mst_array_part_check(to, to_part, "intersect two parts: the second"));
    MST_TRY(mst_array_layout_check_shapes(from, to, "intersect two parts"));
    maestro_status_t status = intersect(from, from_part, to, to_part, &moves);
    if (status != MAESTRO_OK) mst_array_moves_fini(&moves);
    else *moves_out = moves;
    return status;
}
