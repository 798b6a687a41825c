/* Joined moves against a list of all elements that they move; what was cut in pieces becomes one move again. */
#include "array/pairs_test.h"

/* ---- Blocks: an array goes from rows to columns or to rows, cut into cells */
typedef struct cells {
    int ndims;
    int64_t from_stride[MST_ARRAY_MAX], to_stride[MST_ARRAY_MAX];
    int64_t ncells[MST_ARRAY_MAX], size[MST_ARRAY_MAX];
    bool whole; /* with gaps between rows of the source, and no cell of one element: else the pieces may be put together in other ways */
} cells_t;

static void cells_init(random_array_t *array, cells_t *cells) {
    bool turned = random_below(array, 2);
    int64_t from = 1, to = 1;
    cells->ndims = array->ndims;
    cells->whole = random_below(array, 2);
    for (int i = array->ndims - 1; i >= 0; i--) {
        int d = turned ? array->ndims - 1 - i : i;
        cells->from_stride[i] = from;
        cells->to_stride[d] = to;
        from *= array->shape[i] + cells->whole;
        to *= array->shape[d] + random_below(array, 2);
    }
    for (int d = 0; d < array->ndims; d++) {
        cells->size[d] = array->shape[d];
        int64_t most = cells->whole ? array->shape[d] / 2 : array->shape[d];
        cells->ncells[d] = 1 + random_below(array, most < 1 ? 1 : most < 4 ? most : 4);
    }
}

/* Axes of one element vanish. */
static mst_array_move_t move_of(const cells_t *cells, const int64_t *cell, mst_array_axis_t *axis, mst_array_run_t *run) {
    mst_array_move_t move = {.count = 1, .axis = axis};
    for (int d = 0; d < cells->ndims; d++) {
        int64_t begin = cell[d] * cells->size[d] / cells->ncells[d], end = (cell[d] + 1) * cells->size[d] / cells->ncells[d];
        move.from += begin * cells->from_stride[d];
        move.to += begin * cells->to_stride[d];
        move.count *= end - begin;
        if (end - begin == 1) continue;
        run[d] = (mst_array_run_t){.length = end - begin};
        axis[move.naxes++] = (mst_array_axis_t){.from_stride = cells->from_stride[d], .to_stride = cells->to_stride[d], .nruns = 1, .run = &run[d]};
    }
    return move;
}

static void check_cells(random_array_t *array) {
    static pairs_t expected;
    cells_t cells;
    mst_array_moves_t moves = {0};
    mst_array_axis_t axis[MST_ARRAY_MAX];
    mst_array_run_t run[MST_ARRAY_MAX];
    int64_t cell[MST_ARRAY_MAX] = {0};
    cells_init(array, &cells);
    bool some = random_below(array, 2), all = true;
    random_array_t grid = {.ndims = cells.ndims};
    memcpy(grid.shape, cells.ncells, sizeof grid.shape);
    expected.count = 0;
    do {
        bool left_out = some && random_below(array, 5) == 0;
        all = all && !left_out;
        if (left_out) continue;
        mst_array_move_t move = move_of(&cells, cell, axis, run);
        pairs_list(&move, 0, move.from, move.to, &expected);
        CHECK_OK(mst_array_moves_join(&moves, &move));
    } while (random_next_index(&grid, cell));
    pairs_check(&expected, &moves);
    CHECK(!all || !cells.whole || moves.nmoves == 1);
    mst_array_moves_fini(&moves);
}

static void test_blocks_that_were_cut_are_one_again(void) {
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        int before = test_failures;
        random_array_t array;
        random_array_init(&array, seed);
        if (array.count) check_cells(&array);
        if (test_failures > before) fprintf(stderr, "  with seed %llu\n", (unsigned long long)seed);
    }
}

/* ---- Lists stay as they are */
static void test_lists_are_not_joined(void) {
    static pairs_t expected;
    mst_array_run_t run[] = {{.length = 2}, {.length = 2, .from = 4, .to = 4}, {.length = 4}};
    mst_array_axis_t axis[] = {{1, 1, 2, run}, {1, 1, 1, &run[2]}};
    mst_array_move_t list = {.naxes = 1, .count = 4, .axis = &axis[0]}, block = {.naxes = 1, .from = 6, .to = 6, .count = 4, .axis = &axis[1]};
    mst_array_moves_t moves = {0};
    expected.count = 0;
    pairs_list(&list, 0, list.from, list.to, &expected);
    pairs_list(&block, 0, block.from, block.to, &expected);
    CHECK_OK(mst_array_moves_join(&moves, &list));
    CHECK_OK(mst_array_moves_join(&moves, &block));
    CHECK(moves.nmoves == 2);
    pairs_check(&expected, &moves);
    mst_array_moves_fini(&moves);
}

int main(void) {
    test_blocks_that_were_cut_are_one_again();
    test_lists_are_not_joined();
    return TEST_END;
}
