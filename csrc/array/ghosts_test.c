/* Ghost cells against a walk over all places of a part: each gets the element that it stands for, and nothing else is written. */
#include "array/copy.h"
#include "array/random_test.h"

enum { NOTHING = -1 };

/* ---- What should come */
/* The memory of a part: elements have their global indices as values. */
static int64_t *fill_owned(const random_array_t *array, const maestro_layout_t *layout, int64_t part) {
    maestro_local_t local;
    int64_t index[MST_ARRAY_MAX] = {0}, offset;
    CHECK_OK(maestro_layout_local(layout, part, &local));
    int64_t *memory = malloc((size_t)(local.nelements + 1) * sizeof *memory);
    for (int64_t i = 0; i < local.nelements; i++) memory[i] = NOTHING;
    if (array->count > 0) do {
        CHECK_OK(maestro_layout_offset(layout, part, index, &offset));
        if (offset >= 0) memory[offset] = mst_array_layout_linear(layout, index);
    } while (random_next_index(array, index));
    return memory;
}

/* The ghost cells of `memory` from what a part owns. */
static void fill_ghosts(const random_array_t *array, const maestro_layout_t *layout, int64_t part, const maestro_layout_t *ghosts, int64_t *memory) {
    mst_array_moves_t moves;
    mst_array_copy_t *copy = NULL;
    maestro_field_t field;
    int64_t *source = fill_owned(array, layout, part);
    maestro_field_init(&field, MAESTRO_I64);
    CHECK_OK(mst_array_intersect(layout, part, ghosts, 0, &moves));
    CHECK_OK(mst_array_copy_create(&moves, MST_ARRAY_DIRECT, &field, 0, &copy));
    mst_array_copy_run(copy, source, memory);
    mst_array_copy_destroy(copy);
    mst_array_moves_fini(&moves);
    free(source);
}

/* The memory of a part after an exchange among all parts. */
static int64_t *fill_part(const random_array_t *array, const maestro_layout_t *layout, int64_t part, const bool *periodic) {
    maestro_layout_t *ghosts = NULL;
    int64_t *memory = fill_owned(array, layout, part);
    CHECK_OK(mst_array_ghosts(layout, part, periodic, &ghosts));
    for (int64_t p = 0; p < maestro_layout_nparts(layout); p++) fill_ghosts(array, layout, p, ghosts, memory);
    maestro_layout_destroy(ghosts);
    return memory;
}

/* ---- Regular layouts and single boxes */
static void check_part(const random_array_t *array, const maestro_layout_t *layout, int64_t part, const bool *periodic) {
    maestro_local_t local;
    int64_t *memory = fill_part(array, layout, part, periodic);
    CHECK_OK(maestro_layout_local(layout, part, &local));
    for (int64_t i = 0; i < local.nelements; i++) {
        bool owned;
        int64_t element = random_element_of(array, &local, i, periodic, &owned);
        CHECK(memory[i] == (element == RANDOM_OUTSIDE ? NOTHING : element));
    }
    free(memory);
}

static maestro_layout_t *blocks_with_ghosts(random_array_t *array) {
    maestro_layout_t *layout = NULL;
    maestro_layout_options_t options;
    int64_t grid[MST_ARRAY_MAX], block[MST_ARRAY_MAX];
    bool balanced = random_below(array, 2);
    random_options(array, false, &options);
    random_ghosts(array, &options);
    for (int d = 0; d < array->ndims; d++) {
        grid[d] = 1 + random_below(array, array->ndims > 2 ? 2 : 5);
        block[d] = 1 + array->shape[d] / grid[d] + random_below(array, 3); /* one block a part */
    }
    if (balanced) CHECK_OK(maestro_layout_blocks(array->ndims, array->shape, grid, &options, &layout));
    else CHECK_OK(maestro_layout_block_cyclic(array->ndims, array->shape, block, grid, &options, &layout));
    return layout;
}

static void test_ghost_cells_around_blocks_get_their_elements(void) {
    random_array_t array;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        int before = test_failures;
        bool periodic[MST_ARRAY_MAX];
        random_array_init(&array, seed);
        for (int d = 0; d < MST_ARRAY_MAX; d++) periodic[d] = random_below(&array, 2);
        maestro_layout_t *layout = blocks_with_ghosts(&array);
        for (int64_t part = 0; part < maestro_layout_nparts(layout); part++) check_part(&array, layout, part, periodic);
        if (test_failures > before) fprintf(stderr, "  with seed %llu\n", (unsigned long long)seed);
        maestro_layout_destroy(layout);
    }
}

/* The whole array as one box, so that all its elements are there. */
static void test_a_single_box_may_be_its_own_neighbour(void) {
    random_array_t array;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        bool periodic[MST_ARRAY_MAX];
        maestro_layout_t *layout = NULL;
        maestro_layout_options_t options;
        random_array_init(&array, seed);
        random_options(&array, false, &options);
        random_ghosts(&array, &options);
        for (int d = 0; d < MST_ARRAY_MAX; d++) periodic[d] = random_below(&array, 2);
        CHECK_OK(maestro_layout_boxes(array.ndims, array.shape, 1, (int64_t[MST_ARRAY_MAX]){0}, array.shape, &options, &layout));
        check_part(&array, layout, 0, periodic);
        maestro_layout_destroy(layout);
    }
}

/* A dimension without ghosts may be dealt in several blocks: ghost rows have the columns that owned rows have. */
static void check_rows(const random_array_t *array, const maestro_layout_t *layout, int64_t part, const bool *periodic) {
    maestro_local_t local;
    int64_t *memory = fill_part(array, layout, part, periodic);
    CHECK_OK(maestro_layout_local(layout, part, &local));
    for (int64_t i = 0; i < local.shape[0]; i++)
        for (int64_t j = 0; j < local.shape[1]; j++) {
            int64_t row = (local.first[0] + i - local.low[0] + array->shape[0]) % array->shape[0];
            int64_t column = memory[local.low[0] * local.stride[0] + j * local.stride[1]] % array->shape[1];
            CHECK(memory[i * local.stride[0] + j * local.stride[1]] == row * array->shape[1] + column);
        }
    free(memory);
}

static void test_blocks_in_turn_beside_ghosts_keep_their_places(void) {
    const random_array_t array = {.ndims = 2, .shape = {7, 23}, .count = 7 * 23};
    const bool periodic[MST_ARRAY_MAX] = {true, true};
    maestro_layout_t *layout = NULL;
    maestro_layout_options_t options;
    maestro_layout_options_init(&options);
    options.low[0] = 2;
    options.high[0] = 1;
    CHECK_OK(maestro_layout_block_cyclic(2, array.shape, (int64_t[]){4, 3}, (int64_t[]){2, 2}, &options, &layout));
    for (int64_t part = 0; part < 4; part++) check_rows(&array, layout, part, periodic);
    maestro_layout_destroy(layout);
}

static void test_what_owns_nothing_has_no_ghost_cells(void) {
    maestro_layout_t *layout = NULL, *ghosts = NULL;
    maestro_layout_options_t options;
    maestro_layout_options_init(&options);
    options.low[0] = options.high[0] = 1;
    CHECK_OK(maestro_layout_blocks(1, (int64_t[]){2}, (int64_t[]){3}, &options, &layout));
    CHECK_OK(mst_array_ghosts(layout, 2, (bool[]){true}, &ghosts));
    CHECK(ghosts->npieces == 0);
    maestro_layout_destroy(ghosts);
    maestro_layout_destroy(layout);
}

/* ---- Indices: owned once, ghosts of any elements in any places, holes among them */
typedef struct list {
    int64_t count, *index;
    bool *is_ghost;
} list_t;

static list_t random_list(random_array_t *array) {
    list_t list = {.index = calloc((size_t)(3 * array->count + 1), sizeof *list.index), .is_ghost = calloc((size_t)(3 * array->count + 1), 1)};
    int64_t next = 0, chance = 1 + random_below(array, 6), at = 0;
    while (array->count && list.count < 3 * array->count) {
        int64_t kind = random_below(array, 8), i = list.count++;
        list.is_ghost[i] = kind < 4;
        if (kind >= 4 && next < array->count) list.index[i] = next++;
        else if (kind >= 4 || kind == 0) list.index[i] = -1;
        else list.index[i] = at = random_below(array, 6) < chance && i && at + 1 < array->count ? at + 1 : random_below(array, array->count);
    }
    return list;
}

static void test_ghost_cells_of_indices_may_come_several_times(void) {
    random_array_t array;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        int before = test_failures;
        int64_t nowned = 0;
        const bool periodic[MST_ARRAY_MAX] = {false};
        maestro_layout_t *layout = NULL, *whole = NULL, *ghosts = NULL;
        maestro_local_t local;
        random_array_init(&array, seed);
        list_t list = random_list(&array);
        CHECK_OK(maestro_layout_indices(array.ndims, array.shape, list.count, list.index, list.is_ghost, &layout));
        CHECK_OK(maestro_layout_blocks(array.ndims, array.shape, (int64_t[]){1, 1, 1, 1, 1, 1, 1}, NULL, &whole));
        CHECK_OK(mst_array_ghosts(layout, 0, periodic, &ghosts));
        CHECK_OK(maestro_layout_local(layout, 0, &local));
        CHECK(local.nelements == list.count && local.ndims == 1 && local.shape[0] == list.count);
        int64_t *memory = fill_owned(&array, layout, 0), *again = fill_owned(&array, layout, 0);
        fill_ghosts(&array, whole, 0, ghosts, memory);
        for (int64_t i = 0; i < local.nelements; i++) CHECK(memory[i] == list.index[i]);
        fill_ghosts(&array, layout, 0, ghosts, again); /* from the list's own elements */
        for (int64_t i = 0; i < local.nelements; i++) nowned += !list.is_ghost[i] && list.index[i] >= 0;
        for (int64_t i = 0; i < local.nelements; i++) CHECK(again[i] == (list.index[i] < nowned ? list.index[i] : NOTHING)); /* the first ones are owned */
        CHECK(local.nowned == nowned);
        if (test_failures > before) fprintf(stderr, "  with seed %llu\n", (unsigned long long)seed);
        maestro_layout_destroy(layout);
        maestro_layout_destroy(whole);
        maestro_layout_destroy(ghosts);
        free(memory);
        free(again);
        free(list.index);
        free(list.is_ghost);
    }
}

static void test_wrong_indices_beside_ghosts_are_refused(void) {
    maestro_layout_t *layout = NULL;
    const bool ghost[] = {false, true, true, false};
    CHECK_STATUS(maestro_layout_indices(1, (int64_t[]){5}, 4, (int64_t[]){3, 4, 4, 3}, ghost, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("index 3 comes twice");
    CHECK_STATUS(maestro_layout_indices(1, (int64_t[]){5}, 4, (int64_t[]){3, 4, 5, 2}, ghost, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("index 5 at place 2");
    CHECK_STATUS(maestro_layout_indices(1, (int64_t[]){5}, 4, (int64_t[]){3, -1, -2, 2}, ghost, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("index -2 at place 2");
    CHECK(layout == NULL);
}

/* ---- One of very many parts: its ghost cells, their owners and what comes from each, as a plan has them */
static void test_halos_of_one_part_of_many_cost_little(void) {
    const bool periodic[MST_ARRAY_MAX] = {true, true};
    maestro_layout_t *layout = NULL, *ghosts = NULL;
    maestro_layout_options_t options;
    int64_t *peers = NULL, npeers = 0, nmoves = 0, count = 0, best_ns = INT64_MAX;
    maestro_layout_options_init(&options);
    for (int d = 0; d < 2; d++) options.low[d] = options.high[d] = 3;
    CHECK_OK(maestro_layout_blocks(2, (int64_t[]){46340, 46340}, (int64_t[]){250, 400}, &options, &layout));
    for (int tries = 0; tries < 3; tries++) { /* the best of some, for others use this machine too */
        int64_t start = mst_base_now_ns();
        count = nmoves = 0;
        CHECK_OK(mst_array_ghosts(layout, 0, periodic, &ghosts));
        CHECK_OK(mst_array_peers(ghosts, 0, layout, &peers, &npeers));
        for (int64_t i = 0; i < npeers; i++) {
            mst_array_moves_t moves;
            CHECK_OK(mst_array_intersect(layout, peers[i], ghosts, 0, &moves));
            nmoves += moves.nmoves;
            count += moves.count;
            mst_array_moves_fini(&moves);
        }
        int64_t ns = mst_base_now_ns() - start;
        if (ns < best_ns) best_ns = ns;
        maestro_layout_destroy(ghosts);
        free(peers);
    }
    printf("a halo: %lld of %lld parts are peers, %lld moves, %.3f ms\n", (long long)npeers, (long long)maestro_layout_nparts(layout), (long long)nmoves,
           (double)best_ns * 1e-6);
    CHECK(npeers == 8 && nmoves == 8);
    CHECK(count == (186 + 6) * (116 + 6) - 186 * 116);
    CHECK(best_ns < 10 * 1000 * 1000);
    maestro_layout_destroy(layout);
}

int main(void) {
    test_ghost_cells_around_blocks_get_their_elements();
    test_a_single_box_may_be_its_own_neighbour();
    test_blocks_in_turn_beside_ghosts_keep_their_places();
    test_what_owns_nothing_has_no_ghost_cells();
    test_ghost_cells_of_indices_may_come_several_times();
    test_wrong_indices_beside_ghosts_are_refused();
    test_halos_of_one_part_of_many_cost_little();
    return TEST_END;
}
