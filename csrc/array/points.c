/* Elements that lie anywhere, as from a list of indices in no order: runs so short that to loop over each costs more than to copy it.  They are copied one by
 * one from a list of 32-bit places, in panels of PANEL neighbours of the side whose neighbours lie apart: there, a list that goes along rows would meet as many
 * pages as it has elements.  Within a panel the order stays that of the list. */
#include "array/copy.h"

#define INLINE static inline __attribute__((always_inline))

enum { PANEL = 8, SHORT = 8, WORTH = 16, STRIP = 256 };

int64_t mst_array_points_count(const mst_array_axis_t *axis) {
    int64_t count = 0;
    for (int64_t r = 0; r < axis->nruns; r++) count += axis->run[r].length;
    return count;
}

static bool is_narrow(int64_t first, int64_t length, int64_t stride) { return first >= 0 && first + (length - 1) * stride <= INT32_MAX; }

bool mst_array_points_pay(const mst_array_axis_t *axis) {
    if (axis->nruns < WORTH || mst_array_points_count(axis) >= SHORT * axis->nruns) return false;
    for (int64_t r = 0; r < axis->nruns; r++) {
        const mst_array_run_t *run = &axis->run[r];
        if (!is_narrow(run->from, run->length, axis->from_stride) || !is_narrow(run->to, run->length, axis->to_stride)) return false;
    }
    return true;
}

/* ---- Making */
typedef struct panels {
    bool in_target;   /* else in the source */
    int64_t width;    /* in elements of that side */
    int64_t npanels;
    int64_t *next;    /* of each panel: where its next point goes */
} panels_t;

static int64_t panel_of(const panels_t *panels, mst_array_point_t point) { return (panels->in_target ? point.to : point.from) / panels->width; }

static mst_array_point_t point_of(const mst_array_axis_t *axis, int64_t r, int64_t i) {
    return (mst_array_point_t){(int32_t)(axis->run[r].from + i * axis->from_stride), (int32_t)(axis->run[r].to + i * axis->to_stride)};
}

/* Not more panels than points, as in a large array with few of them. */
static bool panels_init(panels_t *panels, const mst_array_axis_t *axis, int64_t count) {
    const bool in_target = axis->to_stride > 1;
    int64_t last = 0;
    for (int64_t r = 0; r < axis->nruns; r++) {
        mst_array_point_t point = point_of(axis, r, axis->run[r].length - 1);
        if ((in_target ? point.to : point.from) > last) last = in_target ? point.to : point.from;
    }
    int64_t width = PANEL * (in_target ? axis->to_stride : axis->from_stride), least = last / count + 1;
    if (axis->to_stride == 1 && axis->from_stride == 1) width = last + 1; /* neighbours lie together: the order is as good as any */
    *panels = (panels_t){.in_target = in_target, .width = width > least ? width : least};
    panels->npanels = last / panels->width + 1;
    panels->next = calloc((size_t)panels->npanels + 1, sizeof *panels->next);
    return panels->next != NULL;
}

bool mst_array_points_make(const mst_array_axis_t *axis, mst_array_point_t *point_out) {
    panels_t panels;
    if (!panels_init(&panels, axis, mst_array_points_count(axis))) return false;
    for (int64_t r = 0; r < axis->nruns; r++)
        for (int64_t i = 0; i < axis->run[r].length; i++) panels.next[panel_of(&panels, point_of(axis, r, i)) + 1]++;
    for (int64_t p = 0; p < panels.npanels; p++) panels.next[p + 1] += panels.next[p];
    for (int64_t r = 0; r < axis->nruns; r++)
        for (int64_t i = 0; i < axis->run[r].length; i++) {
            mst_array_point_t point = point_of(axis, r, i);
            point_out[panels.next[panel_of(&panels, point)]++] = point;
        }
    free(panels.next);
    return true;
}

/* ---- The leaf */
INLINE void copy_points(const mst_array_point_t *point, int64_t count, const char *from, char *to, size_t size, bool gather, bool scatter) {
    for (int64_t i = 0; i < count; i++)
        memcpy(to + (scatter ? point[i].to : i) * (int64_t)size, from + (gather ? point[i].from : i) * (int64_t)size, size);
}

/* From places of the source, or from one line; to places of the target, or to one line. */
INLINE void points(const mst_array_point_t *point, int64_t count, const char *from, char *to, size_t size, bool gather, bool scatter) {
    switch (size) {
    case 1: copy_points(point, count, from, to, 1, gather, scatter); break;
    case 2: copy_points(point, count, from, to, 2, gather, scatter); break;
    case 4: copy_points(point, count, from, to, 4, gather, scatter); break;
    case 8: copy_points(point, count, from, to, 8, gather, scatter); break;
    default: copy_points(point, count, from, to, 16, gather, scatter);
    }
}

/* Gathered, converted and scattered, some at a time. */
static void convert_points(const mst_array_copy_t *copy, const mst_array_point_t *point, int64_t count, const char *from, char *to) {
    _Alignas(64) char gathered[STRIP * 16], converted[STRIP * 16];
    for (int64_t i = 0, n; i < count; i += n) {
        n = count - i < STRIP ? count - i : STRIP;
        points(point + i, n, from, gathered, copy->from_nbytes, true, false);
        mst_array_convert_line(copy, gathered, converted, n);
        points(point + i, n, converted, to, copy->to_nbytes, false, true);
    }
}

void mst_array_leaf_points(const mst_array_copy_t *copy, const mst_array_axis_t *outer, const mst_array_axis_t *inner, const char *from, char *to) {
    const mst_array_point_t *point = mst_array_axis_points(inner);
    (void)outer; /* has one element */
    if (copy->converts) convert_points(copy, point, inner->nruns, from, to);
    else points(point, inner->nruns, from, to, copy->from_nbytes, true, true);
}
