/* The index against looking at every object: random objects that come and go under handles used again, and what a way through the index costs. */
#include "meta/index.h"

#include "meta/random_test.h"

enum { OBJECTS = 1500 };

typedef struct store {
    random_world_t world;
    mst_meta_index_t *index;
    mst_meta_attributes_t *object[OBJECTS];
    bool indexed[OBJECTS];
} store_t;

static const mst_meta_attributes_t *lookup(void *context, uint32_t handle) {
    store_t *store = context;
    return store->indexed[handle] ? store->object[handle] : NULL;
}

static store_t *store_create(uint64_t seed, uint32_t max_codes) {
    store_t *store = calloc(1, sizeof *store);
    random_world_init(&store->world, seed, max_codes);
    CHECK_OK(mst_meta_index_create(lookup, store, store->world.dictionary, &store->index));
    return store;
}

static void store_put(store_t *store, uint32_t handle) {
    store->object[handle] = random_object(&store->world);
    CHECK_OK(mst_meta_index_insert(store->index, handle, store->object[handle]));
    store->indexed[handle] = true;
}

static void store_drop(store_t *store, uint32_t handle) {
    mst_meta_index_remove(store->index, handle, store->object[handle]);
    store->indexed[handle] = false;
    free(store->object[handle]);
    store->object[handle] = NULL;
}

static void store_destroy(store_t *store) {
    for (uint32_t handle = 0; handle < OBJECTS; handle++) free(store->object[handle]);
    mst_meta_index_destroy(store->index);
    random_world_fini(&store->world);
    free(store);
}

/* Compares one query with brute force; how many objects it found, or -1 where the index leaves it to its caller. */
static long check_query(store_t *store, const mst_meta_selector_t *selector) {
    uint32_t *handles = NULL;
    size_t count = 0, capacity = 0;
    uint64_t estimate = mst_meta_index_estimate(store->index, selector);
    maestro_status_t status = mst_meta_index_query(store->index, selector, &handles, &count, &capacity);
    CHECK((status == MAESTRO_AGAIN) == (estimate == UINT64_MAX));
    if (status == MAESTRO_AGAIN) {
        CHECK(handles == NULL && count == 0);
        return -1;
    }
    CHECK_OK(status);
    static unsigned char found[OBJECTS];
    memset(found, 0, sizeof found);
    for (size_t i = 0; i < count; i++) found[handles[i]]++;
    bool equal = true;
    for (uint32_t handle = 0; handle < OBJECTS; handle++)
        equal = equal && found[handle] == (store->indexed[handle] && random_matches(&store->world, selector, store->object[handle]));
    CHECK(equal);
    CHECK(count <= estimate);
    if (!equal) fprintf(stderr, "  in %s\n", selector->source);
    free(handles);
    return (long)count;
}

static void check_random(uint64_t seed, uint32_t max_codes) {
    store_t *store = store_create(seed, max_codes);
    size_t served = 0, hits = 0;
    for (int round = 0; round < 30; round++) {
        unsigned puts = round % 10 < 6 ? 8 : 2;
        for (int i = 0; i < 600; i++) {
            uint32_t handle = random_below(&store->world, OBJECTS);
            if (store->object[handle] && random_below(&store->world, 10) >= puts) store_drop(store, handle);
            else if (!store->object[handle] && random_below(&store->world, 10) < puts) store_put(store, handle);
        }
        for (int i = 0; i < 60; i++) {
            mst_meta_selector_t *selector = random_selector(&store->world);
            if (!selector) continue;
            long found = check_query(store, selector);
            served += found >= 0;
            hits += found > 0;
            mst_meta_selector_destroy(selector);
        }
    }
    CHECK(served > 900 && hits > 500); /* else the comparison shows nothing */
    store_destroy(store);
}

static void test_random_queries_agree_with_brute_force(void) {
    for (uint64_t seed = 1; seed <= 4; seed++) check_random(seed * 1000003, 4096);
}

static void test_text_beyond_a_full_dictionary_is_found(void) {
    check_random(77, 5);
}

static uint64_t estimate(store_t *store, const char *text) {
    mst_meta_selector_t *selector = random_parse(&store->world, 1, text);
    if (!selector) return 0;
    uint64_t cost = mst_meta_index_estimate(store->index, selector);
    mst_meta_selector_destroy(selector);
    return cost;
}

static void test_estimates_follow_the_cheapest_way(void) {
    store_t *store = store_create(5, 4096);
    for (uint32_t handle = 0; handle < OBJECTS; handle++) store_put(store, handle);
    uint64_t step[12] = {0}, has = 0, low = 0, high = 0;
    unsigned key = (unsigned)mst_meta_schema_key(store->world.schema[1], "step", 4);
    unsigned level_key = (unsigned)mst_meta_schema_key(store->world.schema[1], "level", 5);
    for (uint32_t handle = 0; handle < OBJECTS; handle++) {
        const mst_meta_attributes_t *set = store->object[handle];
        if (set->schema == 1 && mst_meta_attributes_has(set, level_key)) {
            double level = mst_meta_word_f64(set->value[mst_meta_attributes_rank(set, level_key)]);
            low += level < -1;
            high += level >= -0.5;
        }
        if (set->schema != 1 || !mst_meta_attributes_has(set, key)) continue;
        has++;
        step[(int64_t)set->value[mst_meta_attributes_rank(set, key)] + 4]++;
    }
    CHECK(estimate(store, "step = -4") == step[0]);
    CHECK(estimate(store, "step = 99") == 0);
    CHECK(estimate(store, "step in (-4, 7)") == step[0] + step[11]);
    CHECK(estimate(store, "step < -2") == step[0] + step[1]);
    CHECK(estimate(store, "step in -4/to/4/by/4") == step[0] + step[4] + step[8]);
    CHECK(estimate(store, "step = -4 or step = 7") == step[0] + step[11]);
    CHECK(estimate(store, "level < -1") == low && estimate(store, "level >= -0.5") == high);
    CHECK(estimate(store, "has(step)") == has && estimate(store, "step != 3") == has);
    CHECK(estimate(store, "has(step) and step = 99") == 0);
    CHECK(estimate(store, "(not step = 1) and step >= 6") == step[10] + step[11]);
    CHECK(estimate(store, "not step = 1") == UINT64_MAX && estimate(store, "") == UINT64_MAX);
    CHECK(estimate(store, "step = 1 or not has(level)") == UINT64_MAX);
    store_destroy(store);
}

/* ---- Objects of one number only. */

typedef struct numbered {
    mst_meta_attributes_t head;
    int64_t step;
} numbered_t;

static mst_meta_attributes_t *make_numbered(numbered_t *set, const random_world_t *world, int64_t step) {
    unsigned key = (unsigned)mst_meta_schema_key(world->schema[1], "step", 4);
    set->head = (mst_meta_attributes_t){.mask = {1ull << key}, .nvalues = 1, .schema = 1};
    set->step = step;
    return &set->head;
}

static const mst_meta_attributes_t *nobody(void *context, uint32_t handle) { return (void)context, (void)handle, NULL; }

static void test_distinct_values_take_40_bytes_at_most(void) {
    enum { VALUES = 300000 };
    random_world_t world;
    random_world_init(&world, 1, 64);
    mst_meta_index_t *index;
    numbered_t set;
    CHECK_OK(mst_meta_index_create(nobody, NULL, world.dictionary, &index));
    mst_meta_selector_t *range = random_parse(&world, 1, "step > 0");
    size_t most = 0;
    for (uint32_t i = 0; i < VALUES; i++) {
        if (mst_meta_index_insert(index, i, make_numbered(&set, &world, (int64_t)i * 7919)) != MAESTRO_OK) CHECK(false);
        if (i < VALUES / 2 || i % 10000 != 0) continue;
        CHECK(range && mst_meta_index_estimate(index, range) == i);
        size_t each = mst_meta_index_memory(index) / (i + 1);
        if (each > most) most = each;
    }
    CHECK(most <= 40);
    for (uint32_t i = 0; i < VALUES; i++) mst_meta_index_remove(index, i, make_numbered(&set, &world, (int64_t)i * 7919));
    CHECK(range && mst_meta_index_estimate(index, range) == 0);
    CHECK(mst_meta_index_memory(index) < 8192);
    mst_meta_selector_destroy(range);
    mst_meta_index_destroy(index);
    random_world_fini(&world);
}

static void test_objects_that_come_and_go_leave_nothing(void) {
    random_world_t world;
    random_world_init(&world, 1, 64);
    mst_meta_index_t *index;
    numbered_t set;
    CHECK_OK(mst_meta_index_create(nobody, NULL, world.dictionary, &index));
    for (uint32_t i = 0; i < 200000; i++) {
        if (mst_meta_index_insert(index, i % 100, make_numbered(&set, &world, i)) != MAESTRO_OK) CHECK(false);
        if (i >= 50) mst_meta_index_remove(index, (i - 50) % 100, make_numbered(&set, &world, (int64_t)i - 50));
    }
    CHECK(mst_meta_index_memory(index) < 16384);
    mst_meta_index_destroy(index);
    random_world_fini(&world);
}

int main(void) {
    test_random_queries_agree_with_brute_force();
    test_text_beyond_a_full_dictionary_is_found();
    test_estimates_follow_the_cheapest_way();
    test_distinct_values_take_40_bytes_at_most();
    test_objects_that_come_and_go_leave_nothing();
    return TEST_END;
}
