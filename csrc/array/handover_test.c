/* What a handover learns from the times that uses take: here they are given.  What it packs is in copy_test.c. */
#include "array/handover.h"

#include "base/test.h"

enum { PAST = 40, NEAR = 30, FAR = 400, SOME = 60, KIB = 64 }; /* ns of a KiB: past the caches; through them, near, far, and between */

static void use(mst_array_handover_t *handover, float past_ns, float cached_ns, float read_ns) {
    handover->ns = KIB * (handover->cached ? cached_ns : past_ns);
    handover->kib = KIB;
    mst_array_handover_end(handover, KIB * read_ns);
    CHECK(handover->ns == 0 && handover->kib == 0);
}

/* How many of the uses went through the caches. */
static int uses(mst_array_handover_t *handover, int count, float past_ns, float cached_ns, float read_ns) {
    int ncached = 0;
    for (int i = 0; i < count; i++) {
        ncached += handover->cached;
        use(handover, past_ns, cached_ns, read_ns);
    }
    return ncached;
}

static void test_caches_that_are_near_are_used_after_a_few_uses_and_for_good(void) {
    mst_array_handover_t handover = {0};
    CHECK(uses(&handover, 1000, PAST, NEAR, 10) >= 990);
}

static void test_caches_that_are_far_are_tried_now_and_then(void) {
    mst_array_handover_t handover = {0};
    int first = uses(&handover, 100, PAST, FAR, 10), later = uses(&handover, 1000, PAST, FAR, 10);
    CHECK(first >= 2 && first <= 10);
    CHECK(later >= 2 && later <= 20);
}

/* Without the reader's time, reading past the caches is taken to be dearer. */
static void test_the_time_to_read_counts(void) {
    mst_array_handover_t near = {0}, far = {0};
    CHECK(uses(&near, 200, PAST, SOME, 0) > 150);
    CHECK(uses(&far, 200, PAST, SOME, 20) < 100);
}

static void test_what_becomes_dear_is_left_and_found_again(void) {
    mst_array_handover_t handover = {0};
    for (int i = 0; i < 3; i++) {
        uses(&handover, 200, PAST, NEAR, 10);
        CHECK(handover.cached);
        CHECK(uses(&handover, 10, PAST, FAR, 10) <= 3);
        CHECK(uses(&handover, 1000, PAST, FAR, 10) <= 30);
        CHECK(uses(&handover, 300, PAST, NEAR, 10) >= 150);
    }
}

static void test_one_use_that_takes_long_changes_nothing(void) {
    mst_array_handover_t handover = {0};
    uses(&handover, 100, PAST, NEAR, 10);
    for (int i = 0; i < 100; i++) {
        use(&handover, PAST, i % 4 == 0 ? 1e6F : NEAR, i % 4 == 2 ? 1e6F : 10);
        CHECK(handover.cached);
    }
}

/* Slow uses past the caches, as of new pages, are not what they take. */
static void test_the_least_of_what_it_takes_past_the_caches_counts(void) {
    mst_array_handover_t handover = {0};
    uses(&handover, 60, PAST, FAR, 10);
    while (handover.cached) use(&handover, PAST, FAR, 10);
    uses(&handover, 8, PAST, FAR, 10);
    while (!handover.cached) use(&handover, FAR, FAR, 10);
    CHECK(uses(&handover, 10, PAST, FAR, 10) < 10);
}

/* All in all it is little dearer than if it were known which way is better, which of the two it may be. */
static void test_learning_costs_little(void) {
    for (int far = 0; far < 2; far++) {
        mst_array_handover_t handover = {0};
        float cached_ns = far ? FAR : NEAR, sum_ns = 0, least_ns = far ? PAST : NEAR;
        for (int i = 0; i < 20000; i++) {
            sum_ns += handover.cached ? cached_ns : PAST;
            use(&handover, PAST, cached_ns, 10);
        }
        CHECK(sum_ns < 1.05F * 20000 * least_ns);
    }
}

/* What was not heard of teaches nothing. */
static void test_uses_that_are_not_judged_are_forgotten(void) {
    mst_array_handover_t handover = {0};
    uses(&handover, 100, PAST, NEAR, 10);
    for (int i = 0; i < 100; i++) {
        handover.ns = 1e6F;
        handover.kib = KIB;
        mst_array_handover_end(&handover, -1);
        CHECK(handover.cached && handover.kib == 0);
    }
}

static void test_uses_without_much_teach_nothing(void) {
    mst_array_handover_t handover = {0};
    for (int i = 0; i < 1000; i++) mst_array_handover_end(&handover, 10);
    CHECK(!handover.cached && handover.last_ns == 0);
}

int main(void) {
    test_caches_that_are_near_are_used_after_a_few_uses_and_for_good();
    test_caches_that_are_far_are_tried_now_and_then();
    test_the_time_to_read_counts();
    test_what_becomes_dear_is_left_and_found_again();
    test_one_use_that_takes_long_changes_nothing();
    test_the_least_of_what_it_takes_past_the_caches_counts();
    test_learning_costs_little();
    test_uses_that_are_not_judged_are_forgotten();
    test_uses_without_much_teach_nothing();
    return TEST_END;
}
