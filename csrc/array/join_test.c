/* Joined moves against a list of all elements that they move; what was cut in pieces becomes one move again. */
#include "array/intersect.h"
#include "array/random_test.h"

typedef struct pair {
    int64_t from, to;
} pair_t;

typedef struct pairs {
    int64_t count;
    pair_t pair[20000];
} pairs_t;

static void list_axes(const mst_array_move_t *move, int number, int64_t from, int64_t to, pairs_t *pairs) {
    if (number == move->naxes) {
        if (pairs->count < (int64_t)MST_COUNT(pairs->pair)) pairs->pair[pairs->count] = (pair_t){from, to};
        pairs->count++;
        return;
    }
    const mst_array_axis_t *axis = &move->axis[number];
    for (int64_t r = 0; r < axis->nruns; r++)
        for (int64_t i = 0; i < axis->run[r].length; i++)
            list_axes(move, number + 1, from + axis->run[r].from + i * axis->from_stride, to + axis->run[r].to + i * axis->to_stride, pairs);
}

static int by_place(const void *a, const void *b) {
    const pair_t *x = a, *y = b;
    if (x->to != y->to) return x->to < y->to ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static void check_same(pairs_t *expected, const mst_array_moves_t *moves) {
    static pairs_t pairs;
    pairs.count = 0;
    for (int64_t i = 0; i < moves->nmoves; i++) list_axes(&moves->move[i], 0, moves->move[i].from, moves->move[i].to, &pairs);
    CHECK(pairs.count == expected->count && moves->count == pairs.count && pairs.count <= (int64_t)MST_COUNT(pairs.pair));
    qsort(pairs.pair, (size_t)pairs.count, sizeof *pairs.pair, by_place);
    qsort(expected->pair, (size_t)expected->count, sizeof *expected->pair, by_place);
    CHECK(memcmp(pairs.pair, expected->pair, (size_t)pairs.count * sizeof *pairs.pair) == 0);
}

/* ---- Blocks: an array goes from rows to columns or to rows, cut into cells */
typedef struct cells {
    int ndims;
    int64_t from_stride[MST_ARRAY_MAX], to_stride[MST_ARRAY_MAX];
    int64_t ncells[MST_ARRAY_MAX], size[MST_ARRAY_MAX];
    bool gaps; /* between rows of the source; without, a row may as well run on into the next one */
} cells_t;

static void cells_init(random_array_t *array, cells_t *cells) {
    bool turned = random_below(array, 2);
    int64_t from = 1, to = 1;
    cells->ndims = array->ndims;
    cells->gaps = random_below(array, 2);
    for (int i = array->ndims - 1; i >= 0; i--) {
        int d = turned ? array->ndims - 1 - i : i;
        cells->from_stride[i] = from;
        cells->to_stride[d] = to;
        from *= array->shape[i] + cells->gaps;
        to *= array->shape[d] + random_below(array, 2);
    }
    for (int d = 0; d < array->ndims; d++) {
        cells->size[d] = array->shape[d];
        cells->ncells[d] = 1 + random_below(array, array->shape[d] < 4 ? array->shape[d] : 4);
    }
}

static mst_array_move_t move_of(const cells_t *cells, const int64_t *cell) {
    mst_array_move_t move = {.naxes = cells->ndims, .count = 1};
    for (int d = 0; d < cells->ndims; d++) {
        int64_t begin = cell[d] * cells->size[d] / cells->ncells[d], end = (cell[d] + 1) * cells->size[d] / cells->ncells[d];
        mst_array_run_t *run = malloc(sizeof *run);
        *run = (mst_array_run_t){.length = end - begin, .from = begin * cells->from_stride[d], .to = begin * cells->to_stride[d]};
        if (cell[d] % 2) move.from += run->from, move.to += run->to, run->from = run->to = 0; /* it does not matter where the beginning is said */
        move.axis[d] = (mst_array_axis_t){.from_stride = cells->from_stride[d], .to_stride = cells->to_stride[d], .nruns = 1, .run = run};
        move.count *= end - begin;
    }
    return move;
}

static void test_blocks_that_were_cut_are_one_again(void) {
    static pairs_t expected;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        random_array_t array;
        cells_t cells;
        mst_array_moves_t moves = {0};
        int64_t cell[MST_ARRAY_MAX] = {0};
        random_array_init(&array, seed);
        if (!array.count) continue;
        cells_init(&array, &cells);
        bool some = random_below(&array, 2), all = true;
        expected.count = 0;
        random_array_t grid = {.ndims = cells.ndims};
        memcpy(grid.shape, cells.ncells, sizeof grid.shape);
        do {
            mst_array_move_t move = move_of(&cells, cell);
            bool left_out = some && random_below(&array, 5) == 0;
            all = all && !left_out;
            if (!left_out) list_axes(&move, 0, move.from, move.to, &expected);
            if (!left_out) CHECK_OK(mst_array_moves_add(&moves, &move));
            for (int a = 0; left_out && a < move.naxes; a++) free(move.axis[a].run);
        } while (random_next_index(&grid, cell));
        check_same(&expected, &moves);
        CHECK(!all || !cells.gaps || moves.nmoves == 1);
        mst_array_moves_fini(&moves);
    }
}

/* ---- Lists */
static void test_lists_are_one_list(void) {
    static pairs_t expected;
    random_array_t array = {.state = 7};
    mst_array_moves_t moves = {0};
    expected.count = 0;
    for (int64_t n = 0, at = 0; n < 100; n++) {
        mst_array_move_t move = {.naxes = 1, .from = n, .to = 2 * n};
        int64_t nruns = 1 + random_below(&array, 4);
        move.axis[0] = (mst_array_axis_t){.from_stride = 1, .to_stride = 3, .nruns = nruns, .run = malloc((size_t)nruns * sizeof(mst_array_run_t))};
        for (int64_t r = 0; r < nruns; r++) {
            int64_t length = 1 + random_below(&array, 5);
            move.axis[0].run[r] = (mst_array_run_t){.length = length, .from = at, .to = 3 * at + random_below(&array, 2)};
            move.count += length;
            at += length + random_below(&array, 3);
        }
        list_axes(&move, 0, move.from, move.to, &expected);
        CHECK_OK(mst_array_moves_add(&moves, &move));
    }
    CHECK(moves.nmoves == 1);
    check_same(&expected, &moves);
    mst_array_moves_fini(&moves);
}

int main(void) {
    test_blocks_that_were_cut_are_one_again();
    test_lists_are_one_list();
    return TEST_END;
}
