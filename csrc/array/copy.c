/* Running a prepared copy: the outer loops; the two inner ones are a leaf's. */
#include "array/copy.h"

static void walk(const mst_array_copy_t *copy, const mst_array_step_t *step, int level, const char *from, char *to) {
    if (level == step->naxes - 2) {
        step->leaf(copy, step, from, to);
        return;
    }
    const mst_array_axis_t *axis = &step->axis[level];
    for (int64_t r = 0; r < axis->nruns; r++)
        for (int64_t i = 0; i < axis->run[r].length; i++)
            walk(copy, step, level + 1, from + axis->run[r].from + i * axis->from_stride, to + axis->run[r].to + i * axis->to_stride);
}

void mst_array_copy_run(const mst_array_copy_t *copy, const void *from, void *to) {
    for (int64_t s = 0; s < copy->nsteps; s++) walk(copy, &copy->step[s], 0, (const char *)from + copy->step[s].from, (char *)to + copy->step[s].to);
    if (copy->large) mst_array_large_end();
}
