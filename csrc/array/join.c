/* Moves that were found piece by piece made few again: blocks that continue each other along an axis, on both sides. */
#include "array/intersect.h"

enum { NEAR = 32 }; /* how many of the last moves are looked at: more than a block has neighbours in three dimensions */

static bool is_block(const mst_array_move_t *move) {
    bool is = true;
    for (int a = 0; a < move->naxes; a++) is = is && move->axis[a].nruns == 1;
    return is;
}

static bool have_same_strides(const mst_array_axis_t *x, const mst_array_axis_t *y) {
    return x->from_stride == y->from_stride && x->to_stride == y->to_stride;
}

/* Whether two blocks are alike, but for their lengths on the axis `but`, on which the second has one element where it has an axis less. */
static bool are_alike(const mst_array_move_t *more, const mst_array_move_t *other, int but) {
    bool both = more->naxes == other->naxes;
    if (both && !have_same_strides(&more->axis[but], &other->axis[but])) return false;
    for (int a = 0; a < more->naxes; a++) {
        if (a == but) continue;
        const mst_array_axis_t *x = &more->axis[a], *y = &other->axis[both || a < but ? a : a - 1];
        if (!have_same_strides(x, y) || x->run->length != y->run->length) return false;
    }
    return true;
}

/* The axis along which `next` continues `first`, or -1; `more` is the one of them that has more axes. */
static int continued_axis(const mst_array_move_t *first, const mst_array_move_t *next, const mst_array_move_t *more) {
    const mst_array_move_t *other = more == first ? next : first;
    if (more->naxes - other->naxes > 1 || !is_block(first) || !is_block(next)) return -1;
    for (int a = 0; a < more->naxes; a++) {
        const mst_array_axis_t *axis = &more->axis[a];
        int64_t length = first->naxes < more->naxes ? 1 : first->axis[a].run->length;
        if (next->from - first->from != length * axis->from_stride || next->to - first->to != length * axis->to_stride) continue;
        if (are_alike(more, other, a)) return a;
    }
    return -1;
}

static bool join(mst_array_move_t *first, mst_array_move_t *next) {
    mst_array_move_t *more = next->naxes > first->naxes ? next : first, *other = more == first ? next : first;
    int along = continued_axis(first, next, more);
    if (along < 0) return false;
    more->axis[along].run->length += other->naxes < more->naxes ? 1 : other->axis[along].run->length;
    first->count += next->count;
    if (more == next) {
        const mst_array_move_t replaced = *first;
        first->naxes = next->naxes;
        first->axis = next->axis;
        next->axis = replaced.axis;
    }
    return true;
}

/* Joins the last move with one before it, which becomes the last; false: it continues none. */
static bool join_last(mst_array_moves_t *moves) {
    int64_t last = moves->nmoves - 1;
    for (int64_t i = last - 1; i >= 0 && last - i <= NEAR; i--) {
        if (!join(&moves->move[i], &moves->move[last])) continue;
        const mst_array_move_t joined = moves->move[i];
        free(moves->move[last].axis);
        memmove(&moves->move[i], &moves->move[i + 1], (size_t)(last - 1 - i) * sizeof joined);
        moves->move[last - 1] = joined;
        moves->nmoves--;
        return true;
    }
    return false;
}

maestro_status_t mst_array_moves_join(mst_array_moves_t *moves, const mst_array_move_t *move) {
    MST_TRY(mst_array_moves_add(moves, move));
    while (join_last(moves)) continue; /* what was joined may continue yet another one */
    return MAESTRO_OK;
}
