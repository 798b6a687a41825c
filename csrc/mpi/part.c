/* See part.h. */
#include "mpi/part.h"

static const char WHAT[] = "redistribution in shared memory";

enum { LONG_NBYTES = 64 }; /* about a cache line: measured with columns of 128 to 4096 rows */

/* ---- Long and short lines */
static int64_t length_of(const mst_array_axis_t *axis) {
    int64_t length = 0;
    for (int64_t r = 0; r < axis->nruns; r++) length += axis->run[r].length;
    return length;
}

/* Elements that lie one after the other in the source's memory: along the axis of that stride, and on along the next one where it goes on there. */
static int64_t line_length(const mst_array_move_t *move) {
    int64_t line = 1;
    for (bool on = true; on;) {
        on = false;
        for (int a = 0; a < move->naxes && !on; a++) {
            const mst_array_axis_t *axis = &move->axis[a];
            int64_t length = length_of(axis);
            if (axis->from_stride != line || length == 1) continue;
            line *= length / axis->nruns;
            if (axis->nruns > 1) return line;
            on = true;
        }
    }
    return line;
}

/* Those of the moves that have long lines, or those that have not; without copying.  The caller frees their list. */
static maestro_status_t choose_moves(const mst_array_moves_t *moves, size_t size, bool long_ones, mst_array_moves_t *chosen_out) {
    *chosen_out = (mst_array_moves_t){.move = malloc((size_t)moves->nmoves * sizeof *moves->move)};
    if (!chosen_out->move) return mst_base_fail_errno(WHAT);
    for (int64_t m = 0; m < moves->nmoves; m++) {
        if ((line_length(&moves->move[m]) * (int64_t)size >= LONG_NBYTES) != long_ones) continue;
        chosen_out->move[chosen_out->nmoves++] = moves->move[m];
        chosen_out->count += moves->move[m].count;
    }
    return MAESTRO_OK;
}

/* ---- Copies */
static maestro_status_t make_copy(const mst_array_moves_t *moves, mst_array_way_t way, const maestro_field_t *kind, int64_t whole,
                                  mst_array_copy_t **copy_out) {
    if (!moves->count) return MAESTRO_OK;
    return mst_array_copy_create(moves, way, kind, (size_t)whole * mst_array_element_nbytes(kind->to), copy_out);
}

maestro_status_t mst_mpi_part_init(const mst_array_moves_t *moves, bool sent, const maestro_field_t *kind, int64_t whole, mst_mpi_part_t *part) {
    mst_array_moves_t long_ones = {0}, short_ones = {0};
    mst_array_way_t way = sent ? MST_ARRAY_PACK : MST_ARRAY_UNPACK;
    size_t size = mst_array_element_nbytes(kind->from);
    maestro_status_t status = choose_moves(moves, size, true, &long_ones);
    if (status == MAESTRO_OK) status = choose_moves(moves, size, false, &short_ones);
    if (status == MAESTRO_OK && !sent) status = make_copy(&long_ones, MST_ARRAY_DIRECT, kind, whole, &part->direct);
    if (status == MAESTRO_OK) status = make_copy(&long_ones, way, kind, whole, &part->long_lines);
    if (status == MAESTRO_OK) status = make_copy(&short_ones, way, kind, whole, &part->short_lines);
    part->long_nbytes = (size_t)long_ones.count * size;
    free(long_ones.move);
    free(short_ones.move);
    return status;
}

void mst_mpi_part_fini(mst_mpi_part_t *part) {
    mst_array_copy_destroy(part->direct);
    mst_array_copy_destroy(part->long_lines);
    mst_array_copy_destroy(part->short_lines);
}
