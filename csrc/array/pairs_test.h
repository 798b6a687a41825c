/* A list of all elements that moves move, for tests. */
#ifndef MST_ARRAY_PAIRS_TEST_H
#define MST_ARRAY_PAIRS_TEST_H

#include "array/intersect.h"
#include "array/random_test.h"

typedef struct pair {
    int64_t from, to;
} pair_t;

typedef struct pairs {
    int64_t count;
    pair_t pair[20000];
} pairs_t;

static inline void pairs_list(const mst_array_move_t *move, int number, int64_t from, int64_t to, pairs_t *pairs) {
    if (number == move->naxes) {
        if (pairs->count < (int64_t)MST_COUNT(pairs->pair)) pairs->pair[pairs->count] = (pair_t){from, to};
        pairs->count++;
        return;
    }
    const mst_array_axis_t *axis = &move->axis[number];
    for (int64_t r = 0; r < axis->nruns; r++)
        for (int64_t i = 0; i < axis->run[r].length; i++)
            pairs_list(move, number + 1, from + axis->run[r].from + i * axis->from_stride, to + axis->run[r].to + i * axis->to_stride, pairs);
}

static inline int pairs_by_place(const void *a, const void *b) {
    const pair_t *x = a, *y = b;
    if (x->to != y->to) return x->to < y->to ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static inline void pairs_add(const mst_array_moves_t *moves, pairs_t *pairs) {
    for (int64_t i = 0; i < moves->nmoves; i++) pairs_list(&moves->move[i], 0, moves->move[i].from, moves->move[i].to, pairs);
}

/* Sorts both. */
static inline void pairs_check(pairs_t *expected, const mst_array_moves_t *moves) {
    static pairs_t pairs;
    pairs.count = 0;
    pairs_add(moves, &pairs);
    CHECK(pairs.count == expected->count && moves->count == pairs.count && pairs.count <= (int64_t)MST_COUNT(pairs.pair));
    qsort(pairs.pair, (size_t)pairs.count, sizeof *pairs.pair, pairs_by_place);
    qsort(expected->pair, (size_t)expected->count, sizeof *expected->pair, pairs_by_place);
    CHECK(memcmp(pairs.pair, expected->pair, (size_t)pairs.count * sizeof *pairs.pair) == 0);
}

#endif
