/* Running a prepared copy: the outer loops; the two inner ones are a leaf's. */
#include "array/copy.h"

static mst_array_leaf_fn *const leaves[] = {
    [MST_ARRAY_LEAF_ROWS] = mst_array_leaf_rows,
    [MST_ARRAY_LEAF_TILES] = mst_array_leaf_tiles,
    [MST_ARRAY_LEAF_STRIDED] = mst_array_leaf_strided,
    [MST_ARRAY_LEAF_POINTS] = mst_array_leaf_points,
    [MST_ARRAY_LEAF_CONVERT] = mst_array_leaf_convert,
};

static mst_array_run_t one_element = {.length = 1};
static const mst_array_axis_t no_axis = {.nruns = 1, .run = &one_element};

static void walk(const mst_array_copy_t *copy, const mst_array_step_t *step, int level, const char *from, char *to) {
    const mst_array_axis_t *axis = &step->axis[level];
    if (level + 2 >= step->naxes) {
        leaves[step->leaf](copy, step->naxes > 1 ? axis : &no_axis, step->naxes ? &step->axis[step->naxes - 1] : &no_axis, from, to);
        return;
    }
    for (int64_t r = 0; r < axis->nruns; r++)
        for (int64_t i = 0; i < axis->run[r].length; i++)
            walk(copy, step, level + 1, from + axis->run[r].from + i * axis->from_stride, to + axis->run[r].to + i * axis->to_stride);
}

static void run(const mst_array_copy_t *copy, const mst_array_step_t *step, const char *from, char *to) {
    for (int64_t s = 0; s < copy->nsteps; s++) {
        walk(copy, step, 0, from + step->from, to + step->to);
        step = mst_array_step_next(step);
    }
    if (copy->large) mst_array_large_end();
}

void mst_array_copy_run(const mst_array_copy_t *copy, const void *from, void *to) { run(copy, mst_array_copy_step(copy), from, to); }

void mst_array_copy_run_past(const mst_array_copy_t *copy, const void *from, void *to) {
    mst_array_copy_t large = *copy; /* without what stands behind it, which is a conversion's */
    large.large = true;
    if (copy->can_pass) run(&large, mst_array_copy_step(copy), from, to);
    else mst_array_copy_run(copy, from, to);
}
