/* Random global arrays and layouts of them for tests: everything follows from the seed. */
#ifndef MST_ARRAY_RANDOM_TEST_H
#define MST_ARRAY_RANDOM_TEST_H

#include "array/layout.h"

#include "base/test.h"

typedef struct random_array {
    uint64_t state;
    int ndims;
    int64_t shape[MST_ARRAY_MAX], count;
} random_array_t;

static inline int64_t random_below(random_array_t *array, int64_t n) {
    return (int64_t)((mst_base_mix(array->state += 0x9e3779b97f4a7c15ull) >> 33) % (uint64_t)n);
}

/* 1 to 4 dimensions of 0 to 20, and some thousand elements at most. */
static inline void random_array_init(random_array_t *array, uint64_t seed) {
    static const int64_t sizes[] = {0, 21, 21, 12, 8};
    *array = (random_array_t){.state = seed * 0x2545f4914f6cdd1dull, .count = 1};
    array->ndims = 1 + (int)random_below(array, 4);
    for (int d = 0; d < array->ndims; d++) {
        array->shape[d] = random_below(array, 25) ? 1 + random_below(array, sizes[array->ndims] - 1) : 0;
        array->count *= array->shape[d];
    }
}

/* The next index in row-major order; false after the last. */
static inline bool random_next_index(const random_array_t *array, int64_t *index) {
    for (int d = array->ndims - 1; d >= 0; d--) {
        if (++index[d] < array->shape[d]) return true;
        index[d] = 0;
    }
    return false;
}

static inline void random_options(random_array_t *array, bool ghosts, maestro_layout_options_t *options) {
    maestro_layout_options_init(options);
    options->order = (maestro_order_t)random_below(array, 2);
    options->grid_order = (maestro_order_t)random_below(array, 2);
    for (int d = 0; ghosts && d < array->ndims; d++) {
        options->low[d] = random_below(array, 3);
        options->high[d] = random_below(array, 3);
    }
}

/* None in some dimensions, a few as a rule, now and then more than the dimension has elements. */
static inline void random_ghosts(random_array_t *array, maestro_layout_options_t *options) {
    for (int d = 0; d < array->ndims; d++) {
        int64_t most = random_below(array, 4) ? 4 : random_below(array, 4) ? 1 : 12;
        options->low[d] = random_below(array, most);
        options->high[d] = random_below(array, most);
    }
}

enum { RANDOM_OUTSIDE = -2 };

/* The row-major number of the element that a place of a block with ghosts stands for, or RANDOM_OUTSIDE; *owned: it is the block's own. */
static inline int64_t random_element_of(const random_array_t *array, const maestro_local_t *local, int64_t place, const bool *periodic, bool *owned) {
    int64_t linear = 0;
    bool inside = true;
    *owned = true;
    for (int d = 0; d < array->ndims; d++) {
        int64_t size = array->shape[d], at = place / local->stride[d] % local->shape[d], index = local->first[d] + at - local->low[d];
        *owned = *owned && at >= local->low[d] && at < local->shape[d] - local->high[d];
        inside = inside && (periodic[d] || (index >= 0 && index < size));
        linear = linear * size + ((index % size) + size) % size;
    }
    return inside ? linear : RANDOM_OUTSIDE;
}

static inline maestro_layout_t *random_regular(random_array_t *array) {
    maestro_layout_options_t options;
    maestro_layout_t *layout = NULL;
    int64_t grid[MST_ARRAY_MAX], block[MST_ARRAY_MAX];
    bool balanced = random_below(array, 3) == 0;
    random_options(array, balanced && random_below(array, 2), &options);
    for (int d = 0; d < array->ndims; d++) {
        grid[d] = 1 + random_below(array, array->ndims > 2 ? 3 : 5);
        block[d] = 1 + random_below(array, random_below(array, 3) ? 4 : 25);
        if (!balanced && array->shape[d] <= block[d] * grid[d]) options.low[d] = random_below(array, 2);
    }
    if (balanced) CHECK_OK(maestro_layout_blocks(array->ndims, array->shape, grid, &options, &layout));
    else CHECK_OK(maestro_layout_block_cyclic(array->ndims, array->shape, block, grid, &options, &layout));
    return layout;
}

enum { RANDOM_BOXES = 5 };

static inline bool random_boxes_meet(const random_array_t *array, const int64_t *begin, const int64_t *end, int64_t a, int64_t b) {
    for (int d = 0; d < array->ndims; d++) {
        int64_t i = a * array->ndims + d, j = b * array->ndims + d;
        if (end[i] <= begin[j] || end[j] <= begin[i]) return false;
    }
    return true;
}

/* Up to five boxes, empty ones among them; those that would overlap are left out. */
static inline maestro_layout_t *random_boxes(random_array_t *array) {
    int64_t begin[RANDOM_BOXES * MST_ARRAY_MAX], end[RANDOM_BOXES * MST_ARRAY_MAX], nboxes = 0;
    maestro_layout_options_t options;
    maestro_layout_t *layout = NULL;
    for (int64_t tries = random_below(array, RANDOM_BOXES + 1); tries > 0; tries--) {
        bool free_room = true;
        for (int d = 0; d < array->ndims; d++) {
            int64_t a = random_below(array, array->shape[d] + 1), b = random_below(array, array->shape[d] + 1);
            begin[nboxes * array->ndims + d] = a < b ? a : b;
            end[nboxes * array->ndims + d] = a < b ? b : a;
        }
        for (int64_t i = 0; i < nboxes; i++) free_room = free_room && !random_boxes_meet(array, begin, end, i, nboxes);
        nboxes += free_room;
    }
    random_options(array, nboxes == 1, &options);
    CHECK_OK(maestro_layout_boxes(array->ndims, array->shape, nboxes, begin, end, &options, &layout));
    return layout;
}

/* Some of the elements, in order, in runs or shuffled. */
static inline maestro_layout_t *random_indices(random_array_t *array) {
    maestro_layout_t *layout = NULL;
    int64_t *indices = malloc((size_t)(array->count + 1) * sizeof *indices), count = 0, chance = random_below(array, 5);
    bool shuffled = random_below(array, 2), taken = true;
    for (int64_t i = 0; i < array->count; i++) {
        if (random_below(array, 4) < chance) taken = random_below(array, 2);
        if (taken) indices[count++] = i;
    }
    for (int64_t i = 1; shuffled && i < count; i++) {
        int64_t j = random_below(array, i + 1), swapped = indices[i];
        indices[i] = indices[j];
        indices[j] = swapped;
    }
    CHECK_OK(maestro_layout_indices(array->ndims, array->shape, count, indices, NULL, &layout));
    free(indices);
    return layout;
}

#endif
