/* Moves that were found piece by piece, made few again: blocks that continue each other along an axis on both sides, and lists of runs. */
#include "array/intersect.h"

enum { NEAR = 32 }; /* how many of the last moves are looked at: more than a block has neighbours in three dimensions */

static const char WHAT[] = "join moves";

static int64_t from_of(const mst_array_move_t *move) {
    int64_t from = move->from;
    for (int a = 0; a < move->naxes; a++) from += move->axis[a].run[0].from;
    return from;
}

static int64_t to_of(const mst_array_move_t *move) {
    int64_t to = move->to;
    for (int a = 0; a < move->naxes; a++) to += move->axis[a].run[0].to;
    return to;
}

static bool have_same_strides(const mst_array_move_t *x, const mst_array_move_t *y) {
    bool same = x->naxes == y->naxes;
    for (int a = 0; same && a < x->naxes; a++)
        same = x->axis[a].from_stride == y->axis[a].from_stride && x->axis[a].to_stride == y->axis[a].to_stride;
    return same;
}

/* ---- Blocks: one run on each axis */
static bool is_block(const mst_array_move_t *move) {
    bool is = true;
    for (int a = 0; a < move->naxes; a++) is = is && move->axis[a].nruns == 1;
    return is;
}

static bool have_same_lengths(const mst_array_move_t *x, const mst_array_move_t *y, int but) {
    bool same = true;
    for (int a = 0; a < x->naxes; a++) same = same && (a == but || x->axis[a].run[0].length == y->axis[a].run[0].length);
    return same;
}

static bool join_blocks(mst_array_move_t *first, const mst_array_move_t *next) {
    int64_t from = from_of(next) - from_of(first), to = to_of(next) - to_of(first);
    for (int a = 0; a < first->naxes; a++) {
        const mst_array_axis_t *axis = &first->axis[a];
        int64_t length = axis->run[0].length;
        if (from != length * axis->from_stride || to != length * axis->to_stride || !have_same_lengths(first, next, a)) continue;
        axis->run[0].length += next->axis[a].run[0].length;
        return true;
    }
    return false;
}

/* ---- Lists: one axis.  `failed`: no memory. */
static bool join_lists(mst_array_move_t *first, const mst_array_move_t *next, bool *failed) {
    mst_array_axis_t *axis = &first->axis[0];
    const mst_array_axis_t *more = &next->axis[0];
    mst_array_run_t *run = realloc(axis->run, (size_t)(axis->nruns + more->nruns) * sizeof *run);
    if (!run) return !(*failed = true);
    axis->run = run;
    for (int64_t i = 0; i < more->nruns; i++) {
        const mst_array_run_t *one = &more->run[i];
        run[axis->nruns++] = (mst_array_run_t){.length = one->length, .from = one->from + next->from - first->from, .to = one->to + next->to - first->to};
    }
    return true;
}

static bool join(mst_array_move_t *first, const mst_array_move_t *next, bool *failed) {
    if (!have_same_strides(first, next)) return false;
    bool joined = is_block(first) && is_block(next) && join_blocks(first, next);
    if (!joined && first->naxes == 1) joined = join_lists(first, next, failed);
    if (joined) first->count += next->count;
    return joined;
}

/* ---- The list of moves */
static void end_move(mst_array_move_t *move) {
    for (int a = 0; a < move->naxes; a++) free(move->axis[a].run);
}

/* The list doubles when its length is a power of two. */
static maestro_status_t append(mst_array_moves_t *moves, mst_array_move_t *move) {
    bool full = (moves->nmoves & (moves->nmoves - 1)) == 0;
    if (full) {
        mst_array_move_t *grown = realloc(moves->move, (size_t)(moves->nmoves ? 2 * moves->nmoves : 1) * sizeof *grown);
        if (!grown) {
            end_move(move);
            return mst_base_fail_errno(WHAT);
        }
        moves->move = grown;
    }
    moves->move[moves->nmoves++] = *move;
    moves->count += move->count;
    return MAESTRO_OK;
}

static mst_array_move_t take_out(mst_array_moves_t *moves, int64_t i) {
    mst_array_move_t move = moves->move[i];
    moves->count -= move.count;
    memmove(&moves->move[i], &moves->move[i + 1], (size_t)(--moves->nmoves - i) * sizeof move);
    return move;
}

/* What was joined may continue yet another one. */
maestro_status_t mst_array_moves_add(mst_array_moves_t *moves, mst_array_move_t *move) {
    mst_array_move_t joined = *move;
    bool failed = false;
    for (int64_t i = moves->nmoves - 1, last = i; i >= 0 && last - i < NEAR; i--) {
        int64_t count = moves->move[i].count;
        if (!join(&moves->move[i], &joined, &failed)) continue;
        moves->count += moves->move[i].count - count;
        end_move(&joined);
        joined = take_out(moves, i);
        last = i = moves->nmoves; /* from the end again */
    }
    if (!failed) return append(moves, &joined);
    end_move(&joined);
    return mst_base_fail_errno(WHAT);
}
