/* From a move to a step: the same elements in fewer and better loops.
 *
 *   1. positions in a buffer replace those of the side that packing or unpacking leaves;
 *   2. axes of one element vanish; an axis of equal runs at equal distances (blocks of a cyclic cut) becomes two axes of one run;
 *   3. an axis that goes on where another one ends, on both sides, becomes one with it: whole rows are a line;
 *   4. what lies nearest in the source becomes the last loop, and what does so in the target the last but one, where that is another;
 *   5. one axis of many short runs becomes a list of points.
 * The order of a buffer follows from the move alone: axes by their strides in the source, so packing reads on and on. */
#include "array/copy.h"

enum { AXES_MAX = 2 * MST_ARRAY_MAX };

typedef struct draft { /* counts elements until the end */
    int naxes;
    int64_t from, to;
    mst_array_axis_t axis[AXES_MAX];
    mst_array_run_t *spare; /* runs that no axis has yet */
} draft_t;

/* `room` is for as many runs as runs_needed says. */
static void draft_init(draft_t *draft, const mst_array_move_t *move, mst_array_run_t *room) {
    *draft = (draft_t){.naxes = move->naxes, .from = move->from, .to = move->to};
    for (int a = 0; a < move->naxes; a++) {
        draft->axis[a] = move->axis[a];
        draft->axis[a].run = memcpy(room, move->axis[a].run, (size_t)move->axis[a].nruns * sizeof *room);
        room += move->axis[a].nruns;
    }
    draft->spare = room;
}

/* An axis that is split needs one more. */
static size_t runs_needed(const mst_array_move_t *move) {
    size_t nruns = AXES_MAX;
    for (int a = 0; a < move->naxes; a++) nruns += (size_t)move->axis[a].nruns;
    return nruns;
}

static void remove_axis(draft_t *draft, int a) {
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
static void split(draft_t *draft, mst_array_axis_t *axis) {
    mst_array_axis_t *within = &draft->axis[draft->naxes++];
    *within = (mst_array_axis_t){.from_stride = axis->from_stride, .to_stride = axis->to_stride, .nruns = 1, .run = draft->spare++};
    within->run[0] = (mst_array_run_t){.length = axis->run[0].length};
    axis->from_stride = axis->run[1].from - axis->run[0].from;
    axis->to_stride = axis->run[1].to - axis->run[0].to;
    axis->run[0].length = axis->nruns;
    axis->nruns = 1;
    begin_at_zero(draft, axis);
}

static void simplify(draft_t *draft) {
    for (int a = 0, n = draft->naxes; a < n; a++) {
        if (draft->axis[a].nruns == 1) begin_at_zero(draft, &draft->axis[a]);
        else if (is_regular(&draft->axis[a])) split(draft, &draft->axis[a]);
    }
    for (int a = draft->naxes - 1; a >= 0; a--)
        if (draft->axis[a].nruns == 1 && draft->axis[a].run[0].length == 1) remove_axis(draft, a);
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

static int nearest_in_source(const draft_t *draft) {
    int nearest = 0;
    for (int a = 1; a < draft->naxes; a++)
        if (draft->axis[a].from_stride < draft->axis[nearest].from_stride) nearest = a;
    return nearest;
}

/* The axis whose elements lie nearest to each other in the source comes last, before it the one of the target, where it is another. */
static mst_array_leaf_t order_axes(draft_t *draft) {
    if (!draft->naxes) return MST_ARRAY_LEAF_ROWS;
    sort_axes(draft, wider_in_target);
    put_last(draft, nearest_in_source(draft));
    const mst_array_axis_t *last = &draft->axis[draft->naxes - 1], *other = draft->naxes > 1 ? last - 1 : last;
    if (last->from_stride != 1) return MST_ARRAY_LEAF_STRIDED;
    if (last->to_stride == 1) return MST_ARRAY_LEAF_ROWS;
    return other->to_stride == 1 ? MST_ARRAY_LEAF_TILES : MST_ARRAY_LEAF_STRIDED;
}

/* ---- The step */
typedef struct block { /* the copy's memory, which grows; capacity bytes */
    char *bytes;
    size_t nbytes, capacity;
} block_t;

/* Room for so many bytes more, all zero; NULL without memory. */
static void *block_add(block_t *block, size_t nbytes) {
    enum { FIRST = 128 }; /* a copy of one line needs no more */
    if (!MST_RESERVE(block->bytes, block->capacity, block->nbytes + nbytes, FIRST)) return NULL;
    block->nbytes += nbytes;
    return memset(block->bytes + block->nbytes - nbytes, 0, nbytes);
}

/* A step whose only axis is given as points. */
static bool add_points(const draft_t *draft, int64_t from_nbytes, int64_t to_nbytes, block_t *block) {
    const int64_t count = mst_array_points_count(draft->axis);
    mst_array_step_t *step = block_add(block, sizeof *step + sizeof *step->axis + (size_t)count * sizeof(mst_array_point_t));
    if (!step) return false;
    *step = (mst_array_step_t){.naxes = 1, .leaf = MST_ARRAY_LEAF_POINTS, .from = draft->from * from_nbytes, .to = draft->to * to_nbytes};
    step->axis[0] = (mst_array_axis_t){.nruns = count};
    return mst_array_points_make(draft->axis, mst_array_axis_points(step->axis));
}

static bool add_step(const draft_t *draft, mst_array_leaf_t leaf, int64_t from_nbytes, int64_t to_nbytes, block_t *block) {
    size_t nruns = 0;
    for (int a = 0; a < draft->naxes; a++) nruns += (size_t)draft->axis[a].nruns;
    mst_array_step_t *step = block_add(block, sizeof *step + (size_t)draft->naxes * sizeof *step->axis + nruns * sizeof(mst_array_run_t));
    if (!step) return false;
    *step = (mst_array_step_t){.naxes = (uint8_t)draft->naxes, .leaf = (uint8_t)leaf, .from = draft->from * from_nbytes, .to = draft->to * to_nbytes};
    mst_array_run_t *run = (mst_array_run_t *)(step->axis + draft->naxes);
    for (int a = 0; a < draft->naxes; a++) {
        const mst_array_axis_t *axis = &draft->axis[a];
        step->axis[a] = (mst_array_axis_t){.from_stride = axis->from_stride * from_nbytes, .to_stride = axis->to_stride * to_nbytes, .nruns = axis->nruns};
        for (int64_t r = 0; r < axis->nruns; r++, run++)
            *run = (mst_array_run_t){.length = axis->run[r].length, .from = axis->run[r].from * from_nbytes, .to = axis->run[r].to * to_nbytes};
    }
    return true;
}

/* ---- The copy */
void mst_array_copy_destroy(mst_array_copy_t *copy) { free(copy); }

static bool add_move(const mst_array_copy_t *copy, const mst_array_move_t *move, mst_array_way_t way, int64_t buffered, mst_array_run_t *room, block_t *block) {
    draft_t draft;
    draft_init(&draft, move, room);
    lie_in_buffer(&draft, way);
    if (way == MST_ARRAY_PACK) draft.to = buffered;
    else if (way == MST_ARRAY_UNPACK) draft.from = buffered;
    simplify(&draft);
    join_all(&draft);
    mst_array_leaf_t leaf = order_axes(&draft);
    if (draft.naxes == 1 && mst_array_points_pay(draft.axis)) return add_points(&draft, copy->from_nbytes, copy->to_nbytes, block);
    return add_step(&draft, copy->converts ? MST_ARRAY_LEAF_CONVERT : leaf, copy->from_nbytes, copy->to_nbytes, block);
}

static bool add_moves(const mst_array_copy_t *copy, const mst_array_moves_t *moves, mst_array_way_t way, block_t *block) {
    enum { FEW = 16 };
    mst_array_run_t few[FEW], *room = few;
    size_t nruns = 0;
    for (int64_t m = 0; m < moves->nmoves; m++) nruns = runs_needed(&moves->move[m]) > nruns ? runs_needed(&moves->move[m]) : nruns;
    if (nruns > FEW) room = malloc(nruns * sizeof *room);
    bool done = room != NULL;
    for (int64_t m = 0, buffered = 0; done && m < moves->nmoves; m++) {
        done = add_move(copy, &moves->move[m], way, buffered, room, block);
        buffered += moves->move[m].count;
    }
    if (room != few) free(room);
    return done;
}

static bool can_pass(const mst_array_copy_t *copy, const mst_array_step_t *step) {
    bool can = step->leaf == MST_ARRAY_LEAF_ROWS && step->naxes;
    const mst_array_axis_t *line = can ? &step->axis[step->naxes - 1] : NULL;
    for (int64_t r = 0; can && r < line->nruns; r++) {
        int64_t nbytes = line->run[r].length * copy->from_nbytes;
        can = nbytes >= MST_ARRAY_LINE_PASSES && nbytes <= MST_ARRAY_LINE_PASSES_MOST;
    }
    return can;
}

/* The block is whole: it is made as small as it can be, and axes find their runs. */

static mst_array_copy_t *finish(block_t *block) {
    mst_array_copy_t *copy = realloc(block->bytes, block->nbytes);
    if (!copy) copy = (mst_array_copy_t *)(uintptr_t)block->bytes;
    mst_array_step_t *step = mst_array_copy_step(copy);
    copy->can_pass = !copy->converts;
    for (int64_t s = 0; s < copy->nsteps; s++) {
        mst_array_run_t *run = (mst_array_run_t *)(step->axis + step->naxes);
        for (int a = 0; a < step->naxes && step->leaf != MST_ARRAY_LEAF_POINTS; run += step->axis[a++].nruns) step->axis[a].run = run;
        copy->can_pass = copy->can_pass && can_pass(copy, step);
        step = mst_array_step_next(step);
    }
    return copy;
}

static mst_array_copy_t describe(const mst_array_moves_t *moves, mst_array_way_t way, const maestro_field_t *field, size_t whole_nbytes) {
    mst_array_copy_t copy = {.nsteps = moves->nmoves, .converts = way != MST_ARRAY_PACK && !mst_array_field_is_plain(field)};
    copy.from_nbytes = (uint8_t)mst_array_element_nbytes(field->from);
    copy.to_nbytes = copy.converts ? (uint8_t)mst_array_element_nbytes(field->to) : copy.from_nbytes;
    copy.nbytes = (size_t)moves->count * copy.from_nbytes;
    copy.large = mst_array_is_large(whole_nbytes > copy.nbytes ? whole_nbytes : copy.nbytes);
    return copy;
}

maestro_status_t mst_array_copy_create(const mst_array_moves_t *moves, mst_array_way_t way, const maestro_field_t *field, size_t whole_nbytes,
                                       mst_array_copy_t **copy_out) {
    MST_TRY(mst_array_field_check(field));
    block_t block = {0};
    mst_array_copy_t copy = describe(moves, way, field, whole_nbytes), *head = block_add(&block, sizeof copy);
    if (head) *head = copy;
    mst_array_conversion_t *conversion = head && copy.converts ? block_add(&block, sizeof *conversion) : NULL;
    if (conversion) *conversion = mst_array_conversion_of(field);
    if (!head || (copy.converts && !conversion) || !add_moves(&copy, moves, way, &block)) {
        free(block.bytes);
        return mst_base_fail_errno("prepare a copy of %lld moves", (long long)moves->nmoves);
    }
    *copy_out = finish(&block);
    return MAESTRO_OK;
}

size_t mst_array_copy_nbytes(const mst_array_copy_t *copy) { return copy->nbytes; }

bool mst_array_copy_is_large(const mst_array_copy_t *copy) { return copy->large; }

bool mst_array_copy_can_pass(const mst_array_copy_t *copy) { return copy->can_pass; }

bool mst_array_copy_is_line(const mst_array_copy_t *copy, mst_array_way_t way, int64_t *at_out) {
    const mst_array_step_t *step = mst_array_copy_step(copy);
    if (copy->converts || copy->nsteps != 1 || step->naxes > 1) return false;
    const mst_array_axis_t *axis = step->axis;
    if (step->naxes && (step->leaf != MST_ARRAY_LEAF_ROWS || axis->nruns != 1)) return false;
    *at_out = way == MST_ARRAY_PACK ? step->from : step->to;
    return true;
}
