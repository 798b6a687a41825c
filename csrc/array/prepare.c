/* From a move to a step: the same elements in fewer and better loops.
 *
 *   1. positions in a buffer replace those of the side that packing or unpacking leaves;
 *   2. axes of one element vanish; an axis of equal runs at equal distances (blocks of a cyclic cut) becomes two axes of one run;
 *   3. an axis that goes on where another one ends, on both sides, becomes one with it: whole rows are a line;
 *   4. what is contiguous in memory becomes the last loop: on both sides (rows), or the source's last and the target's last but one (tiles).
 * The order of a buffer follows from the move alone: axes by their strides in the source, so packing reads on and on. */
#include "array/copy.h"

enum { AXES_MAX = 2 * MST_ARRAY_MAX };

typedef struct draft { /* counts elements until the end */
    int naxes;
    int64_t from, to;
    mst_array_axis_t axis[AXES_MAX];
} draft_t;

static int64_t length_of(const mst_array_axis_t *axis) {
    int64_t length = 0;
    for (int64_t r = 0; r < axis->nruns; r++) length += axis->run[r].length;
    return length;
}

static void draft_fini(draft_t *draft) {
    for (int a = 0; a < draft->naxes; a++) free(draft->axis[a].run);
}

static bool draft_init(draft_t *draft, const mst_array_move_t *move) {
    *draft = (draft_t){.from = move->from, .to = move->to};
    for (int a = 0; a < move->naxes; a++) {
        mst_array_axis_t axis = move->axis[a];
        size_t nbytes = (size_t)axis.nruns * sizeof *axis.run;
        axis.run = malloc(nbytes);
        if (!axis.run) return false;
        memcpy(axis.run, move->axis[a].run, nbytes);
        draft->axis[draft->naxes++] = axis;
    }
    return true;
}

static void remove_axis(draft_t *draft, int a) {
    free(draft->axis[a].run);
    memmove(&draft->axis[a], &draft->axis[a + 1], (size_t)(--draft->naxes - a) * sizeof *draft->axis);
}

/* Keeps the order of axes for which `before` is false both ways. */
static void sort_axes(draft_t *draft, bool (*before)(const mst_array_axis_t *a, const mst_array_axis_t *b)) {
    for (int i = 1; i < draft->naxes; i++)
        for (int j = i; j > 0 && before(&draft->axis[j], &draft->axis[j - 1]); j--) {
            mst_array_axis_t swapped = draft->axis[j];
            draft->axis[j] = draft->axis[j - 1];
            draft->axis[j - 1] = swapped;
        }
}

static bool wider_in_source(const mst_array_axis_t *a, const mst_array_axis_t *b) { return a->from_stride > b->from_stride; }
static bool wider_in_target(const mst_array_axis_t *a, const mst_array_axis_t *b) { return a->to_stride > b->to_stride; }

/* ---- 1. Buffers */
static void lie_in_buffer(draft_t *draft, mst_array_way_t way) {
    int64_t stride = 1;
    if (way == MST_ARRAY_DIRECT) return;
    if (way == MST_ARRAY_PACK) draft->to = 0;
    else draft->from = 0;
    for (int a = 0; a < draft->naxes; a++)
        if (length_of(&draft->axis[a]) == 1) draft->axis[a].from_stride = 0; /* means nothing, and must not count in the order */
    sort_axes(draft, wider_in_source);
    for (int a = draft->naxes - 1; a >= 0; a--) {
        mst_array_axis_t *axis = &draft->axis[a];
        int64_t position = 0;
        *(way == MST_ARRAY_PACK ? &axis->to_stride : &axis->from_stride) = stride;
        for (int64_t r = 0; r < axis->nruns; r++) {
            *(way == MST_ARRAY_PACK ? &axis->run[r].to : &axis->run[r].from) = position * stride;
            position += axis->run[r].length;
        }
        stride *= position;
    }
}

/* ---- 2. Simpler axes */
/* Where an axis has one run, it begins at the step's beginning. */
static void begin_at_zero(draft_t *draft, mst_array_axis_t *axis) {
    draft->from += axis->run[0].from;
    draft->to += axis->run[0].to;
    axis->run[0].from = axis->run[0].to = 0;
}

static bool is_regular(const mst_array_axis_t *axis) {
    const mst_array_run_t *run = axis->run;
    if (axis->nruns < 2) return false;
    int64_t from = run[1].from - run[0].from, to = run[1].to - run[0].to;
    for (int64_t r = 1; r < axis->nruns; r++)
        if (run[r].length != run[0].length || run[r].from - run[r - 1].from != from || run[r].to - run[r - 1].to != to) return false;
    return true;
}

/* Equal runs at equal distances: an axis of the runs, and one within a run. */
static bool split(draft_t *draft, mst_array_axis_t *axis) {
    mst_array_axis_t *within = &draft->axis[draft->naxes];
    *within = (mst_array_axis_t){.from_stride = axis->from_stride, .to_stride = axis->to_stride, .nruns = 1, .run = malloc(sizeof *within->run)};
    if (!within->run) return false;
    draft->naxes++;
    within->run[0] = (mst_array_run_t){.length = axis->run[0].length};
    axis->from_stride = axis->run[1].from - axis->run[0].from;
    axis->to_stride = axis->run[1].to - axis->run[0].to;
    axis->run[0].length = axis->nruns;
    axis->nruns = 1;
    begin_at_zero(draft, axis);
    return true;
}

static bool simplify(draft_t *draft) {
    for (int a = 0, n = draft->naxes; a < n; a++) {
        if (draft->axis[a].nruns == 1) begin_at_zero(draft, &draft->axis[a]);
        else if (is_regular(&draft->axis[a]) && !split(draft, &draft->axis[a])) return false;
    }
    for (int a = draft->naxes - 1; a >= 0; a--)
        if (draft->axis[a].nruns == 1 && draft->axis[a].run[0].length == 1) remove_axis(draft, a);
    return true;
}

/* ---- 3. Fewer axes */
static bool join(draft_t *draft, int o, int i) {
    mst_array_axis_t *outer = &draft->axis[o], *inner = &draft->axis[i];
    if (o == i || inner->nruns != 1) return false;
    int64_t length = inner->run[0].length;
    if (outer->from_stride != length * inner->from_stride || outer->to_stride != length * inner->to_stride) return false;
    outer->from_stride = inner->from_stride;
    outer->to_stride = inner->to_stride;
    for (int64_t r = 0; r < outer->nruns; r++) outer->run[r].length *= length;
    remove_axis(draft, i);
    return true;
}

static void join_all(draft_t *draft) {
    for (int o = 0; o < draft->naxes; o++)
        for (int i = 0; i < draft->naxes; i++)
            if (join(draft, o, i)) o = 0, i = -1;
}

/* ---- 4. Order */
static void put_last(draft_t *draft, int a) {
    mst_array_axis_t axis = draft->axis[a];
    memmove(&draft->axis[a], &draft->axis[a + 1], (size_t)(draft->naxes - 1 - a) * sizeof axis);
    draft->axis[draft->naxes - 1] = axis;
}

static int find_contiguous(const draft_t *draft, bool in_source, bool in_target) {
    for (int a = 0; a < draft->naxes; a++)
        if ((!in_source || draft->axis[a].from_stride == 1) && (!in_target || draft->axis[a].to_stride == 1)) return a;
    return -1;
}

static mst_array_leaf_fn choose_leaf(draft_t *draft) {
    sort_axes(draft, wider_in_target);
    int both = find_contiguous(draft, true, true);
    if (both >= 0) {
        put_last(draft, both);
        return mst_array_leaf_rows;
    }
    if (find_contiguous(draft, true, false) < 0 || find_contiguous(draft, false, true) < 0) return mst_array_leaf_strided;
    put_last(draft, find_contiguous(draft, false, true));
    put_last(draft, find_contiguous(draft, true, false));
    return mst_array_leaf_tiles;
}

/* The leaves take two axes: an axis of one element stands in front of fewer. */
static bool pad(draft_t *draft) {
    while (draft->naxes < 2) {
        mst_array_run_t *run = malloc(sizeof *run);
        if (!run) return false;
        *run = (mst_array_run_t){.length = 1};
        memmove(&draft->axis[1], &draft->axis[0], (size_t)draft->naxes++ * sizeof *draft->axis);
        draft->axis[0] = (mst_array_axis_t){.nruns = 1, .run = run};
    }
    return true;
}

/* ---- The step */
static bool finish(draft_t *draft, mst_array_leaf_fn leaf, int64_t from_nbytes, int64_t to_nbytes, mst_array_step_t *step_out) {
    mst_array_axis_t *axes = malloc((size_t)draft->naxes * sizeof *axes);
    if (!axes) return false;
    for (int a = 0; a < draft->naxes; a++) {
        axes[a] = draft->axis[a];
        axes[a].from_stride *= from_nbytes;
        axes[a].to_stride *= to_nbytes;
        for (int64_t r = 0; r < axes[a].nruns; r++) {
            axes[a].run[r].from *= from_nbytes;
            axes[a].run[r].to *= to_nbytes;
        }
    }
    *step_out = (mst_array_step_t){.naxes = draft->naxes, .from = draft->from * from_nbytes, .to = draft->to * to_nbytes, .leaf = leaf, .axis = axes};
    return true;
}

static bool prepare(const mst_array_copy_t *copy, const mst_array_move_t *move, mst_array_way_t way, int64_t buffered, mst_array_step_t *step_out) {
    draft_t draft;
    bool done = draft_init(&draft, move);
    if (done) lie_in_buffer(&draft, way);
    if (way == MST_ARRAY_PACK) draft.to = buffered;
    else if (way == MST_ARRAY_UNPACK) draft.from = buffered;
    done = done && simplify(&draft);
    mst_array_leaf_fn leaf = NULL;
    if (done) {
        join_all(&draft);
        leaf = choose_leaf(&draft);
    }
    if (copy->converts) leaf = mst_array_leaf_convert;
    done = done && pad(&draft) && finish(&draft, leaf, (int64_t)copy->from_nbytes, (int64_t)copy->to_nbytes, step_out);
    if (!done) draft_fini(&draft);
    return done;
}

/* ---- The copy */
void mst_array_copy_destroy(mst_array_copy_t *copy) {
    if (!copy) return;
    for (int64_t s = 0; s < copy->nsteps; s++) {
        for (int a = 0; a < copy->step[s].naxes; a++) free(copy->step[s].axis[a].run);
        free(copy->step[s].axis);
    }
    free(copy->step);
    free(copy);
}

static bool prepare_all(const mst_array_moves_t *moves, mst_array_way_t way, mst_array_copy_t *copy) {
    int64_t buffered = 0;
    copy->step = malloc((size_t)(moves->nmoves ? moves->nmoves : 1) * sizeof *copy->step);
    if (!copy->step) return false;
    for (int64_t m = 0; m < moves->nmoves; m++) {
        if (!prepare(copy, &moves->move[m], way, buffered, &copy->step[m])) return false;
        copy->nsteps++;
        buffered += moves->move[m].count;
    }
    return true;
}

static void take_field(mst_array_copy_t *copy, mst_array_way_t way, const maestro_field_t *field) {
    copy->converts = way != MST_ARRAY_PACK && !mst_array_field_is_plain(field);
    copy->from_nbytes = mst_array_element_nbytes(field->from);
    copy->to_nbytes = copy->converts ? mst_array_element_nbytes(field->to) : copy->from_nbytes;
    if (copy->converts) copy->conversion = mst_array_conversion_of(field);
}

maestro_status_t mst_array_copy_create(const mst_array_moves_t *moves, mst_array_way_t way, const maestro_field_t *field, size_t whole_nbytes,
                                       mst_array_copy_t **copy_out) {
    MST_TRY(mst_array_field_check(field));
    mst_array_copy_t *copy = calloc(1, sizeof *copy);
    if (!copy) return mst_base_fail_errno("prepare a copy");
    take_field(copy, way, field);
    copy->nbytes = (size_t)moves->count * copy->from_nbytes;
    copy->large = mst_array_is_large(whole_nbytes > copy->nbytes ? whole_nbytes : copy->nbytes);
    if (!prepare_all(moves, way, copy)) {
        mst_array_copy_destroy(copy);
        return mst_base_fail_errno("prepare a copy of %lld moves", (long long)moves->nmoves);
    }
    *copy_out = copy;
    return MAESTRO_OK;
}

size_t mst_array_copy_nbytes(const mst_array_copy_t *copy) { return copy->nbytes; }

bool mst_array_copy_is_line(const mst_array_copy_t *copy, mst_array_way_t way, int64_t *at_out) {
    const mst_array_step_t *step = copy->step;
    if (copy->converts || copy->nsteps != 1 || step->naxes != 2) return false;
    const mst_array_axis_t *outer = &step->axis[0], *inner = &step->axis[1];
    const int64_t size = (int64_t)copy->from_nbytes;
    if (outer->nruns != 1 || outer->run[0].length != 1 || inner->nruns != 1 || inner->from_stride != size || inner->to_stride != size) return false;
    *at_out = way == MST_ARRAY_PACK ? step->from + inner->run[0].from : step->to + inner->run[0].to;
    return true;
}
