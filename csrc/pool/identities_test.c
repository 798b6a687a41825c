/* The table of identities against a plain list: random puts and removals, tags of few values so that chains grow, and the end of the address space. */
#include "base/test.h"
#include "pool/identities.h"

enum { HANDLES = 20000, SMALLEST = 16 << 20, TURNS = 60000 };

static uint64_t state = 1;
static uint32_t draw(uint32_t n) { return (uint32_t)((mst_base_mix(state += 0x9e3779b97f4a7c15ull) >> 32) % n); }

static bool put(mst_pool_identities_t *table, uint32_t tag, uint32_t handle) {
    mst_pool_identity_cursor_t cursor = mst_pool_identities_find(table, tag);
    while (mst_pool_identities_next(table, &cursor) != MST_POOL_NONE) continue;
    return mst_pool_identities_put(table, &cursor, handle);
}

static uint32_t count(const mst_pool_identities_t *table, uint32_t tag, uint32_t wanted, uint32_t *found_out) {
    uint32_t n = 0, handle;
    mst_pool_identity_cursor_t cursor = mst_pool_identities_find(table, tag);
    *found_out = 0;
    for (; (handle = mst_pool_identities_next(table, &cursor)) != MST_POOL_NONE; n++) *found_out += handle == wanted;
    return n;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint64_t position(const uint32_t *sorted, uint64_t count, uint32_t tag) { /* of the first that is not smaller */
    uint64_t low = 0, high = count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (sorted[middle] < tag) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Handle h + 2 has tag tag_of[h] while it is in the table. */
static void check_all(const mst_pool_identities_t *table, const uint32_t *tag_of, const bool *there) {
    uint64_t live = 0;
    static uint32_t sorted[HANDLES];
    uint32_t found;
    for (uint32_t h = 0; h < HANDLES; h++)
        if (there[h]) sorted[live++] = tag_of[h];
    qsort(sorted, live, sizeof *sorted, compare);
    CHECK(table->count == live);
    for (uint32_t h = 0; h < HANDLES; h++) {
        uint64_t first = position(sorted, live, tag_of[h]), after = tag_of[h] < UINT32_MAX ? position(sorted, live, tag_of[h] + 1) : live;
        CHECK(count(table, tag_of[h], h + 2, &found) == after - first);
        CHECK(found == there[h]);
    }
}

static void churn(uint32_t ntags, uint32_t spread) {
    static uint32_t tag_of[HANDLES];
    static bool there[HANDLES];
    mst_pool_identities_t table;
    memset(there, 0, sizeof there);
    CHECK_OK(mst_pool_identities_init(&table, SMALLEST));
    for (uint32_t h = 0; h < HANDLES; h++) tag_of[h] = draw(ntags) * spread;
    for (int i = 0; i < TURNS; i++) {
        uint32_t h = draw(HANDLES);
        if (there[h]) mst_pool_identities_remove(&table, tag_of[h], h + 2);
        else CHECK(put(&table, tag_of[h], h + 2));
        there[h] = !there[h];
        if (i % (TURNS / 3) == TURNS / 3 - 1) check_all(&table, tag_of, there);
    }
    for (uint32_t h = 0; h < HANDLES; h++)
        if (there[h]) mst_pool_identities_remove(&table, tag_of[h], h + 2);
    mst_pool_identities_remove(&table, 1, 2); /* not there: nothing happens */
    memset(there, 0, sizeof there);
    check_all(&table, tag_of, there);
    mst_pool_identities_fini(&table);
}

static void test_random_puts_and_removals_are_as_in_a_list(void) {
    churn(UINT32_MAX, 1);
    churn(3000, 1);
    churn(3000, 1 << 12); /* all alike in the bits that the table looks at first */
    churn(7, 1);          /* long chains */
}

static void test_links_that_are_no_longer_needed_are_used_again(void) {
    mst_pool_identities_t table;
    CHECK_OK(mst_pool_identities_init(&table, SMALLEST));
    uint64_t first = 0;
    for (int round = 0; round < 20; round++) {
        for (uint32_t h = 2; h < 1002; h++) CHECK(put(&table, 5, h));
        if (!round) first = table.links;
        for (uint32_t h = 2; h < 1002; h++) mst_pool_identities_remove(&table, 5, h);
    }
    CHECK(table.links == first);
    mst_pool_identities_fini(&table);
}

static void test_a_full_table_says_so_and_loses_nothing(void) {
    mst_pool_identities_t table;
    uint32_t n = 0, found;
    CHECK_OK(mst_pool_identities_init(&table, SMALLEST));
    while (put(&table, mst_base_mix(n) & UINT32_MAX, n + 2)) n++;
    CHECK(table.nbuckets <= table.links && n > SMALLEST / sizeof(mst_pool_bucket_t) * 3);
    for (uint32_t h = 0; h < n; h += 97) CHECK(count(&table, mst_base_mix(h) & UINT32_MAX, h + 2, &found) && found == 1);
    mst_pool_identities_remove(&table, mst_base_mix(n / 2) & UINT32_MAX, n / 2 + 2);
    CHECK(put(&table, mst_base_mix(n / 2) & UINT32_MAX, n / 2 + 2));
    mst_pool_identities_fini(&table);
}

int main(void) {
    test_random_puts_and_removals_are_as_in_a_list();
    test_links_that_are_no_longer_needed_are_used_again();
    test_a_full_table_says_so_and_loses_nothing();
    return TEST_END;
}
