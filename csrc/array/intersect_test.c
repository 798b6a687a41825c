/* Moves and peers against a walk over all elements; one part of a hundred thousand in little time and memory. */
#include "array/intersect.h"

#include "array/random_test.h"
#include "base/test.h"

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
    int64_t npeers, nruns, count, ns;
} cost_t;

/* Peers and moves of one part, all of them kept, as a plan does. */
static cost_t cost_of(const maestro_layout_t *layout, int64_t part, const maestro_layout_t *other) {
    int64_t *peers = NULL, start = mst_base_now_ns();
    cost_t cost = {0};
    CHECK_OK(mst_array_peers(layout, part, other, &peers, &cost.npeers));
    mst_array_moves_t *moves = calloc((size_t)cost.npeers + 1, sizeof *moves);
    for (int64_t i = 0; i < cost.npeers; i++) CHECK_OK(mst_array_intersect(layout, part, other, peers[i], &moves[i]));
    cost.ns = mst_base_now_ns() - start;
    for (int64_t i = 0; i < cost.npeers; i++) {
        cost.count += moves[i].count;
        for (int a = 0; a < moves[i].move[0].naxes; a++) cost.nruns += moves[i].move[0].axis[a].nruns;
        mst_array_moves_fini(&moves[i]);
    }
    free(moves);
    free(peers);
    return cost;
}

/* Memory is counted from the sizes of the lists, which may be twice as long as what is in them. */
static void check_cost(const char *what, const maestro_layout_t *layout, int64_t part, const maestro_layout_t *other, double bound_ms, double bound_mb) {
    maestro_local_t local;
    cost_t cost = {.ns = INT64_MAX};
    for (int i = 0; i < 3; i++) { /* the best of some, for others use this machine too */
        cost_t again = cost_of(layout, part, other);
        if (again.ns < cost.ns) cost = again;
    }
    int64_t per_peer = (int64_t)(sizeof(int64_t) + sizeof(mst_array_moves_t) + sizeof(mst_array_move_t));
    int64_t nbytes = cost.npeers * per_peer + 2 * cost.nruns * (int64_t)sizeof(mst_array_run_t);
    CHECK_OK(maestro_layout_local(layout, part, &local));
    CHECK(cost.count == local.nowned);
    printf("%s: %lld of %lld parts are peers, %lld runs, %.3f ms, %.3f MB\n", what, (long long)cost.npeers, (long long)maestro_layout_nparts(other),
           (long long)cost.nruns, (double)cost.ns * 1e-6, (double)nbytes * 1e-6);
    CHECK((double)cost.ns * 1e-6 < bound_ms);
    CHECK((double)nbytes * 1e-6 < bound_mb);
}

static void test_one_part_of_many_costs_little(void) {
    const int64_t shape[] = {46340, 46340}, block[] = {64, 64}, grid[] = {250, 400}, other_grid[] = {400, 250};
    const int64_t rows[] = {100000, 1}, slabs[] = {1, 100000}, two[] = {2, 1};
    maestro_layout_t *dealt = NULL, *other_dealt = NULL, *blocks = NULL, *row = NULL, *slab = NULL, *half = NULL;
    CHECK_OK(maestro_layout_block_cyclic(2, shape, block, grid, NULL, &dealt));
    CHECK_OK(maestro_layout_block_cyclic(2, shape, block, other_grid, NULL, &other_dealt));
    CHECK_OK(maestro_layout_blocks(2, shape, other_grid, NULL, &blocks));
    CHECK_OK(maestro_layout_blocks(2, shape, rows, NULL, &row));
    CHECK_OK(maestro_layout_blocks(2, shape, slabs, NULL, &slab));
    CHECK_OK(maestro_layout_blocks(2, shape, two, NULL, &half));
    check_cost("blocks of 64 -> one block a part", dealt, 54321, blocks, 10, 1);
    check_cost("one block a part -> blocks of 64", blocks, 54321, dealt, 10, 1);
    check_cost("blocks of 64 -> blocks of 64 on another grid", dealt, 54321, other_dealt, 10, 1);
    check_cost("one row a part -> blocks of 64", row, 12345, dealt, 10, 1);
    /* Half of all parts are peers of these, each with a list of its own. */
    check_cost("one row a part -> one column a part", row, 12345, slab, 500, 25);
    check_cost("one of two halves -> one row a part", half, 1, row, 500, 25);
    maestro_layout_destroy(dealt);
    maestro_layout_destroy(other_dealt);
    maestro_layout_destroy(blocks);
    maestro_layout_destroy(row);
    maestro_layout_destroy(slab);
    maestro_layout_destroy(half);
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
    test_what_does_not_fit_is_refused();
    return TEST_END;
}
