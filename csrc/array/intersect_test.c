/* Moves and peers against a walk over all elements; one part of a hundred thousand in little time and memory. */
#include "array/copy.h"

#include "array/random_test.h"
#include "base/test.h"

#include <malloc.h>
#include <time.h>

/* ---- Moves */
typedef struct walk {
    const mst_array_move_t *move;
    int64_t *source_of; /* by target offset: source offset + 1 */
    int64_t room, count;
} walk_t;

static void walk_axes(walk_t *walk, int axis, int64_t from, int64_t to) {
    if (axis == walk->move->naxes) {
        walk->count++;
        CHECK(to >= 0 && to < walk->room && walk->source_of[to] == 0);
        walk->source_of[to] = from + 1;
        return;
    }
    const mst_array_axis_t *a = &walk->move->axis[axis];
    for (int64_t r = 0; r < a->nruns; r++)
        for (int64_t i = 0; i < a->run[r].length; i++)
            walk_axes(walk, axis + 1, from + a->run[r].from + i * a->from_stride, to + a->run[r].to + i * a->to_stride);
}

static int64_t room_of(const maestro_layout_t *layout, int64_t part) {
    maestro_local_t local = {0};
    CHECK_OK(maestro_layout_local(layout, part, &local));
    return local.nelements;
}

static int64_t check_moves(const random_array_t *array, const maestro_layout_t *from, int64_t from_part, const maestro_layout_t *to, int64_t to_part) {
    mst_array_moves_t moves = {0};
    int64_t index[MST_ARRAY_MAX] = {0}, expected = 0, in_from = -1, in_to = -1, found = 0;
    CHECK_OK(mst_array_intersect(from, from_part, to, to_part, &moves));
    walk_t walk = {.room = room_of(to, to_part)};
    walk.source_of = calloc((size_t)walk.room + 1, sizeof *walk.source_of);
    for (int64_t m = 0; m < moves.nmoves; m++) {
        walk.move = &moves.move[m];
        walk.count = 0;
        walk_axes(&walk, 0, walk.move->from, walk.move->to);
        CHECK(walk.count == walk.move->count);
        found += walk.count;
    }
    CHECK(found == moves.count);
    if (array->count > 0) do {
        CHECK_OK(maestro_layout_offset(from, from_part, index, &in_from));
        CHECK_OK(maestro_layout_offset(to, to_part, index, &in_to));
        if (in_from < 0 || in_to < 0) continue;
        expected++;
        CHECK(walk.source_of[in_to] == in_from + 1);
    } while (random_next_index(array, index));
    CHECK(expected == moves.count);
    free(walk.source_of);
    mst_array_moves_fini(&moves);
    return expected;
}

static bool contains(const int64_t *numbers, int64_t count, int64_t number) {
    for (int64_t i = 0; i < count; i++)
        if (numbers[i] == number) return true;
    return false;
}

/* Peers are exactly the parts with which something is moved. */
static void check_peers(const random_array_t *array, const maestro_layout_t *layout, int64_t part, const maestro_layout_t *other) {
    int64_t *peers = NULL, npeers = 0;
    CHECK_OK(mst_array_peers(layout, part, other, &peers, &npeers));
    for (int64_t i = 1; i < npeers; i++) CHECK(peers[i - 1] < peers[i]);
    for (int64_t p = 0; p < maestro_layout_nparts(other); p++) CHECK((check_moves(array, layout, part, other, p) > 0) == contains(peers, npeers, p));
    free(peers);
}

static maestro_layout_t *random_layout(random_array_t *array) {
    int64_t kind = random_below(array, 4);
    return kind == 0 ? random_boxes(array) : kind == 1 ? random_indices(array) : random_regular(array);
}

static void test_random_parts_move_what_they_have_in_common(void) {
    random_array_t array;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        int before = test_failures;
        random_array_init(&array, seed);
        maestro_layout_t *a = random_layout(&array), *b = random_layout(&array), *regular = random_regular(&array);
        check_moves(&array, a, random_below(&array, maestro_layout_nparts(a)), b, random_below(&array, maestro_layout_nparts(b)));
        check_peers(&array, a, random_below(&array, maestro_layout_nparts(a)), regular);
        if (test_failures > before) fprintf(stderr, "  with seed %llu\n", (unsigned long long)seed);
        maestro_layout_destroy(a);
        maestro_layout_destroy(b);
        maestro_layout_destroy(regular);
    }
}

/* ---- Cost */
static void test_equal_parts_are_one_run_an_axis(void) {
    maestro_layout_t *layout = NULL;
    mst_array_moves_t moves = {0};
    CHECK_OK(maestro_layout_block_cyclic(2, (int64_t[]){1000, 1000}, (int64_t[]){3, 7}, (int64_t[]){2, 3}, NULL, &layout));
    CHECK_OK(mst_array_intersect(layout, 4, layout, 4, &moves));
    CHECK(moves.nmoves == 1 && moves.move[0].axis[0].nruns == 1 && moves.move[0].axis[1].nruns == 1);
    mst_array_moves_fini(&moves);
    maestro_layout_destroy(layout);
}

typedef struct cost {
    int64_t npeers, nruns, count, ns, nbytes; /* nbytes: that the allocator has given; 0 under sanitizers, which have their own */
} cost_t;

static int64_t allocated(void) {
    struct mallinfo2 info = mallinfo2();
    return (int64_t)(info.uordblks + info.hblkhd);
}

static int64_t cpu_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000000000ll + used.tv_nsec;
}

static int64_t runs_of(const mst_array_moves_t *moves) {
    int64_t nruns = 0;
    for (int64_t m = 0; m < moves->nmoves; m++)
        for (int a = 0; a < moves->move[m].naxes; a++) nruns += moves->move[m].axis[a].nruns;
    return nruns;
}

/* Peers, moves and copies of one part, all of them kept, as when a plan is made. */
static cost_t cost_of(const maestro_layout_t *layout, int64_t part, const maestro_layout_t *other) {
    int64_t *peers = NULL, before = allocated(), start = cpu_ns();
    cost_t cost = {0};
    maestro_field_t field;
    maestro_field_init(&field, MAESTRO_F64);
    CHECK_OK(mst_array_peers(layout, part, other, &peers, &cost.npeers));
    mst_array_moves_t *moves = calloc((size_t)cost.npeers + 1, sizeof *moves);
    mst_array_copy_t **copy = calloc((size_t)cost.npeers + 1, sizeof *copy);
    for (int64_t i = 0; i < cost.npeers; i++) {
        CHECK_OK(mst_array_intersect(layout, part, other, peers[i], &moves[i]));
        CHECK_OK(mst_array_copy_create(&moves[i], MST_ARRAY_PACK, &field, 0, &copy[i]));
    }
    cost.ns = cpu_ns() - start;
    cost.nbytes = allocated() - before;
    for (int64_t i = 0; i < cost.npeers; i++) {
        cost.count += moves[i].count;
        cost.nruns += runs_of(&moves[i]);
        mst_array_moves_fini(&moves[i]);
        mst_array_copy_destroy(copy[i]);
    }
    free(moves);
    free(copy);
    free(peers);
    return cost;
}

static cost_t check_cost(const char *what, const maestro_layout_t *layout, int64_t part, const maestro_layout_t *other, double bound_ms, double bound_mb) {
    maestro_local_t local;
    cost_t cost = {.ns = INT64_MAX};
    for (int i = 0; i < 3; i++) { /* the best of some, for others use this machine too */
        cost_t again = cost_of(layout, part, other);
        if (again.ns < cost.ns) cost = again;
    }
    CHECK_OK(maestro_layout_local(layout, part, &local));
    CHECK(cost.count == local.nowned);
    printf("%s: %lld of %lld parts are peers, %lld runs, %.3f ms, %.3f MB\n", what, (long long)cost.npeers, (long long)maestro_layout_nparts(other),
           (long long)cost.nruns, (double)cost.ns * 1e-6, (double)cost.nbytes * 1e-6);
    CHECK((double)cost.ns * 1e-6 < bound_ms);
    CHECK((double)cost.nbytes * 1e-6 < bound_mb);
    return cost;
}

static maestro_layout_t *blocks_of(const int64_t *shape, int64_t rows, int64_t columns) {
    maestro_layout_t *layout = NULL;
    CHECK_OK(maestro_layout_blocks(2, shape, (int64_t[]){rows, columns}, NULL, &layout));
    return layout;
}

static maestro_layout_t *dealt_of(const int64_t *shape, int64_t block, int64_t rows, int64_t columns) {
    maestro_layout_t *layout = NULL;
    CHECK_OK(maestro_layout_block_cyclic(2, shape, (int64_t[]){block, block}, (int64_t[]){rows, columns}, NULL, &layout));
    return layout;
}

/* Times are of the processor, and bounded loosely: the machine may be busy, or look for mistakes. */
static void test_one_part_of_many_costs_little(void) {
    const int64_t shape[] = {46340, 46340};
    maestro_layout_t *dealt = dealt_of(shape, 64, 250, 400), *other_dealt = dealt_of(shape, 64, 400, 250), *singles = dealt_of(shape, 1, 250, 400);
    maestro_layout_t *blocks = blocks_of(shape, 400, 250), *row = blocks_of(shape, 100000, 1), *column = blocks_of(shape, 1, 100000);
    maestro_layout_t *half = blocks_of(shape, 2, 1);
    check_cost("blocks of 64 -> one block a part", dealt, 54321, blocks, 50, 0.01);
    check_cost("one block a part -> blocks of 64", blocks, 54321, dealt, 50, 0.01);
    check_cost("blocks of 64 -> blocks of 64 on another grid", dealt, 54321, other_dealt, 50, 0.01);
    check_cost("blocks of 1 -> one block a part", singles, 54321, blocks, 500, 8);
    check_cost("one block a part -> blocks of 1", blocks, 54321, singles, 500, 8);
    check_cost("one row a part -> blocks of 64", row, 12345, dealt, 50, 0.2);
    /* All parts that have something, or half of them, are peers of these. */
    check_cost("one row a part -> one column a part", row, 12345, column, 500, 8);
    check_cost("one of two halves -> one row a part", half, 1, row, 500, 8);
    maestro_layout_destroy(dealt);
    maestro_layout_destroy(other_dealt);
    maestro_layout_destroy(singles);
    maestro_layout_destroy(blocks);
    maestro_layout_destroy(row);
    maestro_layout_destroy(column);
    maestro_layout_destroy(half);
}

/* Each part has 128 x 128 elements, whatever the grid's size. */
static void test_the_number_of_parts_costs_nothing(void) {
    cost_t few[3] = {{0}};
    for (int64_t grid = 8; grid <= 512; grid *= 8) {
        const int64_t shape[] = {128 * grid, 128 * grid}, part = grid * grid / 3;
        maestro_layout_t *blocks = blocks_of(shape, grid, grid), *dealt = dealt_of(shape, 64, grid, grid), *shifted = dealt_of(shape, 96, grid, grid);
        const cost_t cost[] = {check_cost("a block -> blocks of 64", blocks, part, dealt, 50, 0.01),
                               check_cost("blocks of 64 -> a block", dealt, part, blocks, 50, 0.01),
                               check_cost("blocks of 64 -> blocks of 96", dealt, part, shifted, 50, 0.01)};
        for (size_t i = 0; i < MST_COUNT(cost); i++) {
            if (grid == 8) few[i] = cost[i];
            CHECK(cost[i].nbytes <= 2 * few[i].nbytes && cost[i].npeers <= 2 * few[i].npeers);
        }
        maestro_layout_destroy(blocks);
        maestro_layout_destroy(dealt);
        maestro_layout_destroy(shifted);
    }
}

/* A list costs what it is: a run, and then a point, for each element that is alone. */
static void test_a_list_of_points_costs_two_dozen_bytes_each_and_its_copy_eight(void) {
    enum { SIDE = 200, COUNT = SIDE * SIDE / 2 };
    const int64_t shape[] = {SIDE, SIDE};
    static int64_t indices[COUNT];
    maestro_layout_options_t options;
    maestro_layout_t *list = NULL, *blocks = NULL;
    mst_array_moves_t moves;
    mst_array_copy_t *copy = NULL;
    maestro_field_t field;
    maestro_field_init(&field, MAESTRO_F32);
    maestro_layout_options_init(&options);
    options.order = MAESTRO_COLUMN_MAJOR;
    for (int64_t i = 0; i < COUNT; i++) indices[i] = 2 * i + (int64_t)(mst_base_mix((uint64_t)i) >> 9 & 1);
    CHECK_OK(maestro_layout_indices(2, shape, COUNT, indices, NULL, &list));
    CHECK_OK(maestro_layout_blocks(2, shape, (int64_t[]){1, 1}, &options, &blocks));
    int64_t before = allocated();
    CHECK_OK(mst_array_intersect(list, 0, blocks, 0, &moves));
    int64_t between = allocated();
    CHECK_OK(mst_array_copy_create(&moves, MST_ARRAY_DIRECT, &field, 0, &copy));
    int64_t after = allocated();
    CHECK(moves.count == COUNT && between - before <= 24 * COUNT + 8192 && after - between <= 8 * COUNT + 8192);
    mst_array_copy_destroy(copy);
    mst_array_moves_fini(&moves);
    maestro_layout_destroy(list);
    maestro_layout_destroy(blocks);
}

/* ---- Refusals */
static void test_what_does_not_fit_is_refused(void) {
    maestro_layout_t *a = NULL, *b = NULL, *own = NULL;
    mst_array_moves_t moves = {.nmoves = 7};
    int64_t *parts = NULL, nparts = 7;
    CHECK_OK(maestro_layout_blocks(2, (int64_t[]){4, 4}, (int64_t[]){2, 2}, NULL, &a));
    CHECK_OK(maestro_layout_blocks(2, (int64_t[]){4, 5}, (int64_t[]){2, 2}, NULL, &b));
    CHECK_OK(maestro_layout_indices(2, (int64_t[]){4, 4}, 0, NULL, NULL, &own));
    CHECK_STATUS(mst_array_intersect(a, 0, b, 0, &moves), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("dimension 1");
    CHECK_STATUS(mst_array_intersect(a, 4, a, 0, &moves), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(mst_array_intersect(a, 0, own, 1, &moves), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(mst_array_peers(a, 0, own, &parts, &nparts), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("do not say what others hold");
    CHECK(moves.nmoves == 7 && !parts && nparts == 7);
    maestro_layout_destroy(a);
    maestro_layout_destroy(b);
    maestro_layout_destroy(own);
}

int main(void) {
    test_random_parts_move_what_they_have_in_common();
    test_equal_parts_are_one_run_an_axis();
    test_one_part_of_many_costs_little();
    test_the_number_of_parts_costs_nothing();
    test_a_list_of_points_costs_two_dozen_bytes_each_and_its_copy_eight();
    test_what_does_not_fit_is_refused();
    return TEST_END;
}
