/* Objects that expire: a heap of times.  Entries of objects that have gone before are dropped when their time comes. */
#include "pool/pool.h"

enum { AT_ONCE = 256, FIRST_CAPACITY = 64 };

typedef struct mst_pool_expiry {
    int64_t when_ns;
    uint64_t sequence;
    uint32_t handle;
} expiry_t;

static void sift_up(expiry_t *heap, size_t at) {
    expiry_t entry = heap[at];
    for (; at && heap[(at - 1) / 2].when_ns > entry.when_ns; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = entry;
}

static void sift_down(expiry_t *heap, size_t count, size_t at) {
    expiry_t entry = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1].when_ns < heap[child].when_ns) child++;
        if (heap[child].when_ns >= entry.when_ns) break;
        heap[at] = heap[child];
    }
    heap[at] = entry;
}

void mst_pool_lifetime_begin(mst_pool_t *pool, uint32_t handle, double seconds) {
    mst_pool_lifetimes_t *lifetimes = &pool->lifetimes;
    if (lifetimes->count == lifetimes->capacity) {
        size_t capacity = lifetimes->capacity ? lifetimes->capacity * 2 : FIRST_CAPACITY;
        expiry_t *larger = realloc(lifetimes->heap, capacity * sizeof *larger);
        if (!larger) return; /* it lives until it is withdrawn */
        lifetimes->heap = larger;
        lifetimes->capacity = capacity;
    }
    int64_t span = seconds > 0 ? mst_base_span_ns(seconds) : 0, when = span < INT64_MAX - pool->now_ns ? pool->now_ns + span : INT64_MAX;
    lifetimes->heap[lifetimes->count] = (expiry_t){when, mst_pool_object(&pool->catalogue, handle)->sequence, handle};
    sift_up(lifetimes->heap, lifetimes->count++);
}

int64_t mst_pool_lifetime_next(const mst_pool_t *pool) { return pool->lifetimes.count ? pool->lifetimes.heap[0].when_ns : INT64_MAX; }

void mst_pool_lifetime_expire(mst_pool_t *pool) {
    mst_pool_lifetimes_t *lifetimes = &pool->lifetimes;
    for (int i = 0; i < AT_ONCE && lifetimes->count && lifetimes->heap[0].when_ns <= pool->now_ns; i++) {
        expiry_t first = lifetimes->heap[0];
        lifetimes->heap[0] = lifetimes->heap[--lifetimes->count];
        if (lifetimes->count) sift_down(lifetimes->heap, lifetimes->count, 0);
        if (mst_pool_is_live(pool, first.handle, first.sequence)) mst_pool_request_end_object(pool, first.handle, MAESTRO_EVENT_EXPIRED);
    }
}

bool mst_pool_lifetime_holds(mst_pool_t *pool) {
    const mst_pool_lifetimes_t *lifetimes = &pool->lifetimes;
    for (size_t i = 0; i < lifetimes->count; i++)
        if (mst_pool_is_live(pool, lifetimes->heap[i].handle, lifetimes->heap[i].sequence)) return true;
    return false;
}

void mst_pool_lifetime_fini(mst_pool_t *pool) { free(pool->lifetimes.heap); }
