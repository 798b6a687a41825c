/* Moves cut into slices of few elements each, which are packed, sent and unpacked one after the other while they are in the caches. */
#include "array/intersect.h"

typedef struct slicer {
    int64_t most; /* elements of a slice, if it can be cut so finely */
    mst_array_moves_t *slice;
    int64_t nslices;
    size_t capacity;
} slicer_t;

/* As much as goes into the last slice is added to it. */
static maestro_status_t add(slicer_t *slicer, const mst_array_move_t *move) {
    bool fits = slicer->nslices && slicer->slice[slicer->nslices - 1].count + move->count <= slicer->most;
    if (!fits && !MST_RESERVE(slicer->slice, slicer->capacity, (size_t)slicer->nslices + 1, 16)) return mst_base_fail_errno("cut a redistribution");
    if (!fits) slicer->slice[slicer->nslices++] = (mst_array_moves_t){0};
    return mst_array_moves_add(&slicer->slice[slicer->nslices - 1], move);
}

/* The axis whose places lie farthest from each other in the source, as in the order of a buffer. */
static int widest_axis(const mst_array_move_t *move) {
    int widest = 0;
    for (int a = 1; a < move->naxes; a++)
        if (move->axis[a].from_stride > move->axis[widest].from_stride) widest = a;
    return widest;
}

typedef struct cursor { /* a place on an axis */
    int64_t run, at;
} cursor_t;

/* The runs of the next places, `count` at most; how many places they have. */
static int64_t take_places(const mst_array_axis_t *axis, cursor_t *cursor, int64_t count, mst_array_run_t *run_out, int64_t *nruns_out) {
    int64_t left = count;
    for (*nruns_out = 0; left && cursor->run < axis->nruns; ++*nruns_out) {
        const mst_array_run_t *run = &axis->run[cursor->run];
        int64_t length = run->length - cursor->at < left ? run->length - cursor->at : left;
        run_out[*nruns_out] = (mst_array_run_t){length, run->from + cursor->at * axis->from_stride, run->to + cursor->at * axis->to_stride};
        left -= length;
        cursor->at += length;
        if (cursor->at < run->length) continue;
        cursor->at = 0;
        cursor->run++;
    }
    return count - left;
}

/* A single run begins at the move's beginning, and an axis of one element vanishes. */
static void tidy(mst_array_move_t *move, int a) {
    mst_array_axis_t *axis = &move->axis[a];
    if (axis->nruns > 1) return;
    move->from += axis->run->from;
    move->to += axis->run->to;
    axis->run->from = axis->run->to = 0;
    if (axis->run->length == 1) memmove(axis, axis + 1, (size_t)(--move->naxes - a) * sizeof *axis);
}

/* Cut along its widest axis, and where a single place is too much along the next one. */
static maestro_status_t cut(slicer_t *slicer, const mst_array_move_t *move) {
    if (move->count <= slicer->most || !move->naxes) return add(slicer, move);
    int a = widest_axis(move);
    const mst_array_axis_t *whole = &move->axis[a];
    int64_t nplaces = 0;
    for (int64_t r = 0; r < whole->nruns; r++) nplaces += whole->run[r].length;
    int64_t each = move->count / nplaces, places = slicer->most > each ? slicer->most / each : 1;
    mst_array_run_t *run = malloc((size_t)whole->nruns * sizeof *run);
    maestro_status_t status = run ? MAESTRO_OK : mst_base_fail_errno("cut a redistribution");
    for (cursor_t cursor = {0}; cursor.run < whole->nruns && status == MAESTRO_OK;) {
        mst_array_axis_t axes[MST_ARRAY_MAX];
        mst_array_move_t part = *move;
        part.axis = memcpy(axes, move->axis, (size_t)move->naxes * sizeof *axes);
        axes[a].run = run;
        part.count = each * take_places(whole, &cursor, places, run, &axes[a].nruns);
        tidy(&part, a);
        status = cut(slicer, &part);
    }
    free(run);
    return status;
}

/* Each slice has the runs of those axes again along which its move was not cut. */
int64_t mst_array_slice_length(const mst_array_moves_t *moves, int64_t wanted) {
    enum { RUNS = 1 << 16, FEW = 8 };
    int64_t again = 1;
    for (int64_t m = 0; m < moves->nmoves; m++) {
        int64_t nruns = 0;
        for (int a = 0; a < moves->move[m].naxes; a++)
            if (a != widest_axis(&moves->move[m])) nruns += moves->move[m].axis[a].nruns;
        again = nruns > again ? nruns : again;
    }
    int64_t most_slices = RUNS / again > FEW ? RUNS / again : FEW, least = moves->count / most_slices + 1;
    return wanted > least || again == 1 ? wanted : least;
}

maestro_status_t mst_array_moves_slice(const mst_array_moves_t *moves, int64_t most, mst_array_moves_t **slices_out, int64_t *nslices_out) {
    slicer_t slicer = {.most = most > 1 ? most : 1};
    maestro_status_t status = MAESTRO_OK;
    for (int64_t m = 0; m < moves->nmoves && status == MAESTRO_OK; m++) status = cut(&slicer, &moves->move[m]);
    *slices_out = slicer.slice;
    *nslices_out = slicer.nslices;
    return status;
}

void mst_array_slices_fini(mst_array_moves_t *slices, int64_t nslices) {
    for (int64_t i = 0; i < nslices; i++) mst_array_moves_fini(&slices[i]);
    free(slices);
}
