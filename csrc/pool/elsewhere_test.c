/* What lies on other nodes against a plain list: links come and go, objects with them, and what a former link told is forgotten in slices. */
#include "base/test.h"
#include "pool/elsewhere.h"
#include "pool/manager.h"
#include "pool/request.h"
#include "pool/session.h"

enum { NUMBERS = 3000, TURNS = 40000 };

static uint64_t state = 1;
static uint32_t draw(uint32_t n) { return (uint32_t)((mst_base_mix(state += 0x9e3779b97f4a7c15ull) >> 32) % n); }

static bool there[NUMBERS]; /* the link's objects, by number */
static size_t count_there(void) {
    size_t count = 0;
    for (uint32_t number = 0; number < NUMBERS; number++) count += there[number];
    return count;
}

static void add_or_remove(mst_pool_t *pool, const mst_pool_session_t *session, uint32_t number) {
    static const mst_meta_attributes_t nothing = {0};
    uint64_t id = (uint64_t)session->number << 40 | number;
    bool removed = there[number] || draw(8) == 0;
    if (removed) CHECK(mst_pool_elsewhere_remove(pool, id) == there[number]);
    else CHECK_OK(mst_pool_elsewhere_add(pool, session, id, &nothing));
    there[number] = !removed;
}

static void follow(mst_pool_t *pool, mst_pool_session_t *session) {
    session->number++;
    mst_pool_elsewhere_begin(pool, session);
    for (uint32_t number = 0; number < NUMBERS; number++) {
        CHECK(!there[number] || !mst_pool_elsewhere_remove(pool, (uint64_t)(session->number - 1) << 40 | number)); /* a former link's */
        there[number] = false;
    }
}

static void test_each_link_has_its_own_list(mst_pool_t *pool) {
    mst_pool_session_t session = {.number = 1};
    mst_pool_elsewhere_begin(pool, &session);
    for (int turn = 0; turn < TURNS; turn++) {
        if (draw(4000) == 0) follow(pool, &session);
        if (draw(100) == 0) mst_pool_elsewhere_forget_old(pool);
        add_or_remove(pool, &session, draw(NUMBERS));
        if (turn % 500 == 0) CHECK(pool->elsewhere.count - pool->elsewhere.nold == count_there());
    }
    const mst_pool_session_t former = {.number = session.number - 1};
    CHECK_STATUS(mst_pool_elsewhere_add(pool, &former, 1, &(mst_meta_attributes_t){0}), MAESTRO_WRONG_STATE);
}

static void test_what_a_lost_link_told_is_looked_at_when_the_list_before_is_forgotten(mst_pool_t *pool) {
    mst_pool_session_t session = {.number = 1000};
    mst_pool_request_t demand = {.losses = 0};
    size_t slices = 0, old = pool->elsewhere.count;
    CHECK(old > 0);
    mst_pool_elsewhere_begin(pool, &session);
    CHECK_OK(mst_pool_elsewhere_add(pool, &session, 1000ull << 40, &(mst_meta_attributes_t){0}));
    pool->now_ns = 1;
    mst_pool_elsewhere_lose(pool, &session);
    for (; pool->elsewhere.nold; slices++) {
        CHECK(!mst_pool_elsewhere_unseen(pool, &demand));
        mst_pool_elsewhere_forget_old(pool);
    }
    CHECK(slices > 1 && slices >= old / 256);
    CHECK(mst_pool_elsewhere_unseen(pool, &demand) && pool->elsewhere.count == 1);
}

int main(void) {
    mst_pool_t *pool = calloc(1, sizeof *pool);
    if (!pool) return 1;
    test_each_link_has_its_own_list(pool);
    test_what_a_lost_link_told_is_looked_at_when_the_list_before_is_forgotten(pool);
    mst_pool_elsewhere_fini(pool);
    CHECK(!pool->elsewhere.tree);
    free(pool);
    return TEST_END;
}
