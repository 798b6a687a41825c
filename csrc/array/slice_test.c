/* Slices of random moves: together they move what the whole moves, and none is longer than it may be. */
#include "array/pairs_test.h"

static maestro_layout_t *random_layout(random_array_t *array) {
    maestro_layout_options_t options;
    maestro_layout_t *layout = NULL;
    int64_t grid[MST_ARRAY_MAX], block[MST_ARRAY_MAX];
    random_options(array, false, &options);
    for (int d = 0; d < array->ndims; d++) {
        grid[d] = 1 + random_below(array, 2);
        block[d] = 1 + random_below(array, 6);
    }
    CHECK_OK(maestro_layout_block_cyclic(array->ndims, array->shape, block, grid, &options, &layout));
    return layout;
}

/* In the order of a buffer they are the whole's, where that is one move: a line that is cut stays a line. */
static void check_slices(const mst_array_moves_t *moves, int64_t most) {
    static pairs_t expected;
    mst_array_moves_t *slice = NULL, all = {0};
    int64_t nslices = 0;
    CHECK_OK(mst_array_moves_slice(moves, most, &slice, &nslices));
    for (int64_t i = 0; i < nslices; i++) {
        int64_t count = 0;
        for (int64_t m = 0; m < slice[i].nmoves; m++) {
            const mst_array_move_t *move = &slice[i].move[m];
            for (int a = 0; a < move->naxes; a++) CHECK(move->axis[a].nruns > 1 || (move->axis[a].run->length > 1 && !move->axis[a].run->from && !move->axis[a].run->to));
            count += move->count;
            CHECK_OK(mst_array_moves_add(&all, move));
        }
        CHECK(count == slice[i].count && count > 0 && count <= (most > 1 ? most : 1));
    }
    expected.count = 0;
    pairs_add(moves, &expected);
    pairs_check(&expected, &all);
    mst_array_moves_fini(&all);
    mst_array_slices_fini(slice, nslices);
}

static void test_slices_are_the_whole(void) {
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        int before = test_failures;
        random_array_t array;
        mst_array_moves_t moves = {0};
        random_array_init(&array, seed);
        maestro_layout_t *from = random_layout(&array), *to = random_layout(&array);
        CHECK_OK(mst_array_intersect(from, 0, to, 0, &moves));
        check_slices(&moves, random_below(&array, 3) ? random_below(&array, 40) : random_below(&array, 4000));
        mst_array_moves_fini(&moves);
        maestro_layout_destroy(from);
        maestro_layout_destroy(to);
        if (test_failures > before) fprintf(stderr, "  with seed %llu\n", (unsigned long long)seed);
    }
}

/* 2^21 runs in slices of 100 each take no longer than their number. */
static void test_long_lists_are_cut_in_one_go(void) {
    enum { RUNS = 1 << 21 };
    mst_array_run_t *run = malloc(RUNS * sizeof *run);
    for (int64_t r = 0; r < RUNS; r++) run[r] = (mst_array_run_t){.length = 1, .from = 3 * r, .to = 2 * r};
    mst_array_axis_t axis = {1, 1, RUNS, run};
    mst_array_move_t move = {.naxes = 1, .count = RUNS, .axis = &axis};
    mst_array_moves_t moves = {1, RUNS, &move}, *slice;
    int64_t nslices;
    CHECK_OK(mst_array_moves_slice(&moves, 100, &slice, &nslices));
    CHECK(nslices == (RUNS + 99) / 100);
    mst_array_slices_fini(slice, nslices);
    free(run);
}

static int64_t count_runs(const mst_array_moves_t *moves) {
    int64_t nruns = 0;
    for (int64_t m = 0; m < moves->nmoves; m++)
        for (int a = 0; a < moves->move[m].naxes; a++) nruns += moves->move[m].axis[a].nruns;
    return nruns;
}

/* Columns dealt by 3 become columns dealt by 5: each row has many runs, which each slice has again. */
static void test_slices_have_few_runs_together(void) {
    const int64_t n = 30000, shape[] = {n, n}, block[][2] = {{n, 3}, {n, 5}}, grid[] = {1, 2};
    maestro_layout_t *from = NULL, *to = NULL;
    mst_array_moves_t moves = {0}, *slice;
    int64_t nslices, nruns = 0;
    CHECK_OK(maestro_layout_block_cyclic(2, shape, block[0], grid, NULL, &from));
    CHECK_OK(maestro_layout_block_cyclic(2, shape, block[1], grid, NULL, &to));
    CHECK_OK(mst_array_intersect(from, 0, to, 1, &moves));
    CHECK(count_runs(&moves) > 1000);
    CHECK_OK(mst_array_moves_slice(&moves, mst_array_slice_length(&moves, 1 << 16), &slice, &nslices));
    for (int64_t i = 0; i < nslices; i++) nruns += count_runs(&slice[i]);
    CHECK(nslices > 1 && nruns <= 2 << 16);
    mst_array_slices_fini(slice, nslices);
    mst_array_moves_fini(&moves);
    maestro_layout_destroy(from);
    maestro_layout_destroy(to);
}

int main(void) {
    test_slices_have_few_runs_together();
    test_slices_are_the_whole();
    test_long_lists_are_cut_in_one_go();
    return TEST_END;
}
