/* How long objects live that say so: until a time, which a heap keeps; until they have been read so often; for ever, which is until an archive has them.
 * Invariants: the heap has just the live objects with a time, and each object knows its place there; an object that waits for an archive is neither
 * withdrawn nor replaced, and holds the pool. */
#include "pool/lifetime.h"

#include "pool/manager.h"
#include "pool/request.h"

#include <stdio.h>

enum { AT_ONCE = 256, FIRST_CAPACITY = 64, DEMANDS_MAX = (1 << 30) - 1 };

typedef struct mst_pool_expiry {
    int64_t when_ns;
    uint32_t handle;
} expiry_t;

static mst_pool_life_t *life_of(mst_pool_t *pool, uint32_t handle) { return mst_pool_life(mst_pool_object(&pool->catalogue, handle)); }

static void put(mst_pool_t *pool, size_t at, expiry_t entry) {
    pool->lifetimes.heap[at] = entry;
    life_of(pool, entry.handle)->place = (uint32_t)at;
}

static void sift_up(mst_pool_t *pool, size_t at, expiry_t entry) {
    const expiry_t *heap = pool->lifetimes.heap;
    for (; at && heap[(at - 1) / 2].when_ns > entry.when_ns; at = (at - 1) / 2) put(pool, at, heap[(at - 1) / 2]);
    put(pool, at, entry);
}

static void sift_down(mst_pool_t *pool, size_t at, expiry_t entry) {
    const expiry_t *heap = pool->lifetimes.heap;
    size_t count = pool->lifetimes.count;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1].when_ns < heap[child].when_ns) child++;
        if (heap[child].when_ns >= entry.when_ns) break;
        put(pool, at, heap[child]);
    }
    put(pool, at, entry);
}

static void set_time(mst_pool_t *pool, uint32_t handle, double seconds) {
    mst_pool_lifetimes_t *lifetimes = &pool->lifetimes;
    if (!MST_RESERVE(lifetimes->heap, lifetimes->capacity, lifetimes->count + 1, FIRST_CAPACITY)) return; /* it lives until it is withdrawn */
    int64_t span = seconds > 0 ? mst_base_span_ns(seconds) : 0, when = span < INT64_MAX - pool->now_ns ? pool->now_ns + span : INT64_MAX;
    sift_up(pool, lifetimes->count++, (expiry_t){when, handle});
}

static bool word_of(const mst_meta_attributes_t *set, unsigned key, uint64_t *word_out) {
    if (!mst_meta_attributes_has(set, key)) return false;
    *word_out = set->value[mst_meta_attributes_rank(set, key)];
    return true;
}

void mst_pool_lifetime_begin(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *set) {
    mst_pool_life_t *life = life_of(pool, handle);
    bool copy = mst_meta_attributes_has(set, MST_META_KEY_NODE); /* its original is read and archived where it was offered; */
    bool relayed = pool->relayed;                                /* and what comes out of an archive is kept there */
    uint64_t word;
    if (!relayed && word_of(set, MST_META_KEY_PERSIST, &word) && word) { /* which goes before other ends of its life */
        life->for_ever = 1;
        pool->lifetimes.unarchived++;
        return;
    }
    if (!copy && word_of(set, MST_META_KEY_DEMANDS, &word) && (int64_t)word > 0) {
        life->demands = word < DEMANDS_MAX ? (uint32_t)word : DEMANDS_MAX;
        pool->lifetimes.counted++;
    }
    if (word_of(set, MST_META_KEY_LIFETIME, &word)) set_time(pool, handle, mst_meta_word_f64(word));
}

static void forget_time(mst_pool_t *pool, mst_pool_life_t *life) {
    mst_pool_lifetimes_t *lifetimes = &pool->lifetimes;
    size_t at = life->place;
    expiry_t last = lifetimes->heap[--lifetimes->count];
    life->place = MST_POOL_NONE;
    if (at == lifetimes->count) return;
    if (at && lifetimes->heap[(at - 1) / 2].when_ns > last.when_ns) sift_up(pool, at, last);
    else sift_down(pool, at, last);
}

void mst_pool_lifetime_end(mst_pool_t *pool, uint32_t handle) {
    mst_pool_life_t *life = life_of(pool, handle);
    if (life->place != MST_POOL_NONE) forget_time(pool, life);
    pool->lifetimes.unarchived -= life->for_ever && !life->archived;
    pool->lifetimes.counted -= life->demands > 0;
}

void mst_pool_lifetime_read(mst_pool_t *pool, uint32_t handle) {
    mst_pool_life_t *life = life_of(pool, handle);
    if (mst_pool_object(&pool->catalogue, handle)->state != MST_POOL_LIVE || !life->demands || --life->demands) return;
    pool->lifetimes.counted--;
    mst_pool_request_end_object(pool, handle, MAESTRO_EVENT_EXPIRED);
}

void mst_pool_lifetime_archived(mst_pool_t *pool, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    if (!mst_pool_awaits_archive(object)) return;
    mst_pool_life(object)->archived = 1;
    pool->lifetimes.unarchived -= object->state == MST_POOL_LIVE;
}

void mst_pool_lifetime_describe(mst_pool_t *pool, uint32_t handle, char *text, size_t nbytes) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    const mst_meta_attributes_t *set = mst_pool_attributes(pool, object);
    uint64_t word;
    text[0] = '\0';
    if (word_of(set, MST_META_KEY_DEMANDS, &word) && (int64_t)word > 0 && !mst_pool_life(object)->demands) snprintf(text, nbytes, ", after %lld demands", (long long)word);
    else if (word_of(set, MST_META_KEY_LIFETIME, &word)) snprintf(text, nbytes, ", after its lifetime of %.3g s", mst_meta_word_f64(word));
}

int64_t mst_pool_lifetime_next(const mst_pool_t *pool) { return pool->lifetimes.count ? pool->lifetimes.heap[0].when_ns : INT64_MAX; }

void mst_pool_lifetime_expire(mst_pool_t *pool) {
    const mst_pool_lifetimes_t *lifetimes = &pool->lifetimes;
    for (int i = 0; i < AT_ONCE && lifetimes->count && lifetimes->heap[0].when_ns <= pool->now_ns; i++)
        mst_pool_request_end_object(pool, lifetimes->heap[0].handle, MAESTRO_EVENT_EXPIRED); /* which takes it out of the heap */
}

bool mst_pool_lifetime_holds(const mst_pool_t *pool) { return pool->lifetimes.count || pool->lifetimes.unarchived; }

void mst_pool_lifetime_fini(mst_pool_t *pool) { free(pool->lifetimes.heap); }
