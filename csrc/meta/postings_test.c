/* Sets of handles against a table of flags, in the orders handles come in: ascending, random, again and again. */
#include "base/test.h"
#include "meta/postings.h"

enum { RANGE = 20000 };

static void check_equal(const mst_meta_postings_t *set, const unsigned char *in) {
    uint32_t *handles = malloc((set->count + 1) * sizeof *handles);
    mst_meta_postings_copy(set, handles);
    size_t at = 0;
    bool equal = true;
    for (uint32_t handle = 0; handle < RANGE; handle++)
        if (in[handle]) equal = equal && at < set->count && handles[at++] == handle;
    CHECK(equal && at == set->count);
    free(handles);
}

static void test_random_changes_agree_with_a_table(void) {
    static unsigned char in[RANGE];
    mst_meta_postings_t set = {0};
    uint64_t state = 1;
    for (int round = 0; round < 40; round++) {
        unsigned adds = round < 20 ? 7 : 3; /* of ten: grows, then shrinks */
        bool right = true;
        for (int i = 0; i < 5000; i++) {
            uint64_t dice = mst_base_mix(++state);
            uint32_t handle = (uint32_t)(dice % RANGE);
            bool add = (dice >> 40) % 10 < adds;
            right = right && (add ? mst_meta_postings_add(&set, handle) : mst_meta_postings_remove(&set, handle) == in[handle]);
            in[handle] = add;
        }
        CHECK(right);
        check_equal(&set, in);
    }
    for (uint32_t handle = 0; handle < RANGE; handle++) mst_meta_postings_remove(&set, handle);
    CHECK(set.count == 0 && set.nchunks == 0 && mst_meta_postings_nbytes(&set) == 0);
    mst_meta_postings_fini(&set);
}

static void test_ascending_handles_take_little_more_than_themselves(void) {
    mst_meta_postings_t set = {0};
    bool right = true;
    for (uint32_t handle = 0; handle < 1000000; handle++) right = right && mst_meta_postings_add(&set, handle * 3);
    CHECK(right && set.count == 1000000);
    CHECK(mst_meta_postings_nbytes(&set) < 4500000);
    for (uint32_t handle = 0; handle < 1000000; handle++) right = right && mst_meta_postings_remove(&set, (999999 - handle) * 3);
    CHECK(right && set.count == 0);
}

int main(void) {
    test_random_changes_agree_with_a_table();
    test_ascending_handles_take_little_more_than_themselves();
    return TEST_END;
}
