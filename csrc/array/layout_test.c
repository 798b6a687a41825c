/* Layouts against a walk over all elements: every element has one owner and one place, and what is wrong is refused by name. */
#include "array/layout.h"

#include "array/random_test.h"
#include "base/test.h"

/* ---- Every element of a random layout */
static void check_owners(const maestro_layout_t *layout, const random_array_t *array) {
    int64_t index[MST_ARRAY_MAX] = {0}, owned = 0, part, offset;
    if (array->count > 0) do {
        CHECK_OK(maestro_layout_owner(layout, index, &part));
        CHECK(part >= 0 && part < maestro_layout_nparts(layout));
        for (int64_t p = 0; p < maestro_layout_nparts(layout); p++) {
            CHECK_OK(maestro_layout_offset(layout, p, index, &offset));
            CHECK((offset >= 0) == (p == part));
        }
    } while (random_next_index(array, index));
    for (int64_t p = 0; p < maestro_layout_nparts(layout); p++) {
        maestro_local_t local;
        CHECK_OK(maestro_layout_local(layout, p, &local));
        owned += local.nowned;
    }
    CHECK(owned == array->count);
}

/* Elements have places of their own within the room, in the part's order, ghosts around them. */
static void check_places(const maestro_layout_t *layout, const random_array_t *array, int64_t part) {
    maestro_local_t local;
    int64_t index[MST_ARRAY_MAX] = {0}, offset, found = 0, product = 1;
    CHECK_OK(maestro_layout_local(layout, part, &local));
    for (int d = 0; d < local.ndims; d++) product *= local.shape[d];
    CHECK(product == local.nelements);
    char *taken = calloc((size_t)local.nelements + 1, 1);
    if (array->count > 0) do {
        CHECK_OK(maestro_layout_offset(layout, part, index, &offset));
        if (offset < 0) continue;
        CHECK(offset < local.nelements && !taken[offset]);
        taken[offset] = 1;
        found++;
        for (int d = 0; d < local.ndims; d++) {
            int64_t place = local.shape[d] ? offset / local.stride[d] % local.shape[d] : 0;
            CHECK(place >= local.low[d] && place < local.shape[d] - local.high[d]);
        }
    } while (random_next_index(array, index));
    CHECK(found == local.nowned);
    free(taken);
}

static void test_random_layouts_place_each_element_once(void) {
    random_array_t array;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        int before = test_failures;
        random_array_init(&array, seed);
        maestro_layout_t *regular = random_regular(&array);
        check_owners(regular, &array);
        for (int64_t part = 0; part < maestro_layout_nparts(regular); part++) check_places(regular, &array, part);
        maestro_layout_t *own = random_below(&array, 2) ? random_boxes(&array) : random_indices(&array);
        check_places(own, &array, 0);
        if (test_failures > before) fprintf(stderr, "  with seed %llu\n", (unsigned long long)seed);
        maestro_layout_destroy(regular);
        maestro_layout_destroy(own);
    }
}

/* ---- Examples */
static void test_blocks_are_as_array_split_makes_them(void) {
    maestro_layout_t *layout = NULL;
    maestro_layout_options_t options;
    maestro_local_t local;
    maestro_layout_options_init(&options);
    options.order = MAESTRO_COLUMN_MAJOR;
    options.low[0] = 1;
    options.high[0] = 2;
    CHECK_OK(maestro_layout_blocks(2, (int64_t[]){10, 5}, (int64_t[]){3, 1}, &options, &layout));
    CHECK_OK(maestro_layout_local(layout, 1, &local)); /* 4, 3, 3 rows */
    CHECK(local.first[0] == 4 && local.nowned == 15 && local.shape[0] == 6 && local.shape[1] == 5 && local.nelements == 30);
    CHECK(local.stride[0] == 1 && local.stride[1] == 6 && local.low[0] == 1 && local.high[0] == 2);
    maestro_layout_destroy(layout);
    CHECK_OK(maestro_layout_blocks(1, (int64_t[]){2}, (int64_t[]){3}, NULL, &layout));
    CHECK_OK(maestro_layout_local(layout, 2, &local));
    CHECK(local.nelements == 0 && local.nowned == 0);
    maestro_layout_destroy(layout);
}

static void test_grids_count_in_their_order(void) {
    maestro_layout_t *layout = NULL;
    maestro_layout_options_t options;
    int64_t part = -1;
    maestro_layout_options_init(&options);
    CHECK_OK(maestro_layout_block_cyclic(2, (int64_t[]){8, 8}, (int64_t[]){2, 2}, (int64_t[]){2, 3}, &options, &layout));
    CHECK_OK(maestro_layout_owner(layout, (int64_t[]){6, 3}, &part));
    CHECK(part == 1 * 3 + 1);
    maestro_layout_destroy(layout);
    options.grid_order = MAESTRO_COLUMN_MAJOR;
    CHECK_OK(maestro_layout_block_cyclic(2, (int64_t[]){8, 8}, (int64_t[]){2, 2}, (int64_t[]){2, 3}, &options, &layout));
    CHECK_OK(maestro_layout_owner(layout, (int64_t[]){6, 3}, &part));
    CHECK(part == 1 + 1 * 2);
    maestro_layout_destroy(layout);
}

/* ---- Refusals */
static void test_wrong_numbers_are_refused_by_dimension_and_value(void) {
    maestro_layout_t *layout = NULL;
    int64_t huge = (int64_t)1 << 40;
    CHECK_STATUS(maestro_layout_blocks(0, (int64_t[]){1}, (int64_t[]){1}, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_layout_blocks(8, (int64_t[]){1}, (int64_t[]){1}, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("8 dimensions");
    CHECK_STATUS(maestro_layout_blocks(2, (int64_t[]){4, -3}, (int64_t[]){1, 1}, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("dimension 1: size -3");
    CHECK_STATUS(maestro_layout_blocks(2, (int64_t[]){4, 4}, (int64_t[]){1, 0}, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("dimension 1: number of parts 0");
    CHECK_STATUS(maestro_layout_block_cyclic(2, (int64_t[]){4, 4}, (int64_t[]){0, 1}, (int64_t[]){1, 1}, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("dimension 0: block 0");
    CHECK_STATUS(maestro_layout_blocks(3, (int64_t[]){0, huge, huge}, (int64_t[]){1, 1, 1}, NULL, &layout), MAESTRO_TOO_LARGE);
    CHECK_ERROR_SAYS("dimension 2");
    CHECK_STATUS(maestro_layout_blocks(2, (int64_t[]){1, 1}, (int64_t[]){huge, huge}, NULL, &layout), MAESTRO_TOO_LARGE);
    CHECK_STATUS(maestro_layout_blocks(1, (int64_t[]){1}, (int64_t[]){1}, NULL, NULL), MAESTRO_INVALID_ARGUMENT);
    CHECK(layout == NULL);
}

static void test_wrong_options_are_refused(void) {
    maestro_layout_t *layout = NULL;
    maestro_layout_options_t options = {0};
    CHECK_STATUS(maestro_layout_blocks(1, (int64_t[]){4}, (int64_t[]){1}, &options, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("maestro_layout_options_init");
    maestro_layout_options_init(&options);
    options.order = (maestro_order_t)2;
    CHECK_STATUS(maestro_layout_blocks(1, (int64_t[]){4}, (int64_t[]){1}, &options, &layout), MAESTRO_INVALID_ARGUMENT);
    maestro_layout_options_init(&options);
    options.low[1] = -1;
    CHECK_STATUS(maestro_layout_blocks(2, (int64_t[]){4, 4}, (int64_t[]){1, 1}, &options, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("dimension 1: low ghosts -1");
    options.low[1] = MST_ARRAY_LIMIT;
    CHECK_STATUS(maestro_layout_blocks(2, (int64_t[]){4, 4}, (int64_t[]){1, 1}, &options, &layout), MAESTRO_TOO_LARGE);
    options.low[1] = 1;
    CHECK_STATUS(maestro_layout_block_cyclic(2, (int64_t[]){4, 4}, (int64_t[]){1, 1}, (int64_t[]){1, 2}, &options, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("dimension 1: ghosts");
    CHECK(layout == NULL);
}

static void test_wrong_boxes_and_indices_are_refused(void) {
    maestro_layout_t *layout = NULL;
    maestro_layout_options_t options;
    maestro_layout_options_init(&options);
    options.high[0] = 1;
    CHECK_STATUS(maestro_layout_boxes(2, (int64_t[]){4, 4}, 1, (int64_t[]){0, 2}, (int64_t[]){4, 5}, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("box 0, dimension 1: from 2 to 5");
    CHECK_STATUS(maestro_layout_boxes(1, (int64_t[]){9}, 2, (int64_t[]){0, 3}, (int64_t[]){4, 5}, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("overlap");
    CHECK_STATUS(maestro_layout_boxes(1, (int64_t[]){9}, 2, (int64_t[]){0, 4}, (int64_t[]){4, 5}, &options, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("dimension 0: ghosts");
    CHECK_STATUS(maestro_layout_indices(2, (int64_t[]){2, 3}, 2, (int64_t[]){0, 6}, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("index 6 at place 1");
    CHECK_STATUS(maestro_layout_indices(2, (int64_t[]){2, 3}, 4, (int64_t[]){3, 1, 2, 3}, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("index 3 comes twice");
    CHECK_STATUS(maestro_layout_indices(1, (int64_t[]){2}, -1, NULL, NULL, &layout), MAESTRO_INVALID_ARGUMENT);
    CHECK(layout == NULL);
}

static void test_wrong_parts_and_indices_are_refused(void) {
    maestro_layout_t *layout = NULL;
    maestro_local_t local;
    int64_t out = 7;
    CHECK_OK(maestro_layout_blocks(2, (int64_t[]){4, 4}, (int64_t[]){2, 2}, NULL, &layout));
    CHECK_STATUS(maestro_layout_local(layout, 4, &local), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("no part 4");
    CHECK_STATUS(maestro_layout_local(NULL, 0, &local), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_layout_offset(layout, 0, (int64_t[]){0, 4}, &out), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("dimension 1: no index 4");
    CHECK_STATUS(maestro_layout_owner(layout, (int64_t[]){-1, 0}, &out), MAESTRO_INVALID_ARGUMENT);
    CHECK(out == 7);
    maestro_layout_destroy(layout);
    maestro_layout_destroy(NULL);
}

int main(void) {
    test_random_layouts_place_each_element_once();
    test_blocks_are_as_array_split_makes_them();
    test_grids_count_in_their_order();
    test_wrong_numbers_are_refused_by_dimension_and_value();
    test_wrong_options_are_refused();
    test_wrong_boxes_and_indices_are_refused();
    test_wrong_parts_and_indices_are_refused();
    return TEST_END;
}
