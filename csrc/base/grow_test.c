/* Growing arrays: what was there stays, growth is by doubling, and no count overflows. */
#include "base/base.h"
#include "base/test.h"

static void test_items_stay_where_they_are(void) {
    uint64_t *wide = NULL;
    uint16_t *narrow = NULL;
    size_t wide_capacity = 0, growths = 0;
    uint32_t narrow_capacity = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        size_t before = wide_capacity;
        CHECK(MST_RESERVE(wide, wide_capacity, i + 1, 3) && wide_capacity > i);
        CHECK(MST_RESERVE(narrow, narrow_capacity, i + 1, 1) && narrow_capacity > i);
        growths += wide_capacity != before;
        wide[i] = i * i;
        narrow[i] = (uint16_t)i;
    }
    size_t kept = 0;
    for (uint32_t i = 0; i < 100000; i++) kept += wide[i] == i * i && narrow[i] == (uint16_t)i;
    CHECK(kept == 100000);
    CHECK(growths == 17 && wide_capacity == 3 << 16);
    free(wide);
    free(narrow);
}

static void test_many_at_once_get_as_many(void) {
    char *bytes = NULL;
    size_t capacity = 0;
    CHECK(MST_RESERVE(bytes, capacity, 1000, 64) && capacity == 1000);
    CHECK(MST_RESERVE(bytes, capacity, 1001, 64) && capacity == 2000);
    CHECK(MST_RESERVE(bytes, capacity, 2000, 64) && capacity == 2000);
    free(bytes);
}

static void test_new_items_are_zero(void) {
    unsigned *items = NULL;
    uint32_t capacity = 0;
    size_t zeros = 0, seen = 0;
    for (uint32_t needed = 1; needed < 5000; needed *= 3) {
        uint32_t before = capacity;
        CHECK(MST_RESERVE_ZEROED(items, capacity, needed, 2));
        for (uint32_t i = before; i < capacity; i++, seen++) zeros += items[i] == 0;
        for (uint32_t i = 0; i < capacity; i++) items[i] = ~0u;
    }
    CHECK(zeros == seen && seen == capacity);
    free(items);
}

static void test_what_cannot_be_counted_is_refused_and_changes_nothing(void) {
    typedef struct item { char bytes[1 << 20]; } item_t;
    item_t *items = NULL;
    size_t capacity = 0;
    CHECK(!MST_RESERVE(items, capacity, SIZE_MAX / 4, 1));
    CHECK(!MST_RESERVE(items, capacity, (SIZE_MAX >> 20) + 2, 1)); /* would be one item, in bytes modulo 2^64 */
    CHECK(!items && capacity == 0);
    char *bytes = malloc(1), *same = bytes;
    uint32_t full = UINT32_MAX - 1;
    CHECK(!MST_RESERVE(bytes, full, full + 1, 1) && full == UINT32_MAX - 1 && bytes == same);
    free(bytes);
}

int main(void) {
    test_items_stay_where_they_are();
    test_many_at_once_get_as_many();
    test_new_items_are_zero();
    test_what_cannot_be_counted_is_refused_and_changes_nothing();
    return TEST_END;
}
