/* Objects that consumer groups hand out before others: urgent ones, then those with a deadline, the earliest first.
 *
 * A list of each follows the event log, as far as that is kept; they are made only while there are groups.  Each group takes from them what it selects, of
 * deadlines some at a time, which it puts in order, and passes over what it took when its cursor comes there.  An object for which there was no memory
 * goes in its turn. */
#include "pool/ahead.h"

#include "pool/manager.h"

enum { FIRST_CAPACITY = 64 };

static mst_pool_ahead_entry_t *entry_at(const mst_pool_ahead_t *ahead, size_t i) { return &ahead->entry[(ahead->first + i) % ahead->capacity]; }

static bool grow(mst_pool_ahead_t *ahead) {
    size_t capacity = ahead->capacity ? ahead->capacity * 2 : FIRST_CAPACITY;
    mst_pool_ahead_entry_t *larger = malloc(capacity * sizeof *larger);
    if (!larger) return false;
    for (size_t i = 0; i < ahead->count; i++) larger[i] = *entry_at(ahead, i);
    free(ahead->entry);
    *ahead = (mst_pool_ahead_t){.entry = larger, .count = ahead->count, .capacity = capacity};
    return true;
}

/* What is to come before what: 0 is urgent, else nanoseconds of a deadline; INT64_MAX: it goes in its turn. */
static int64_t order_of(mst_pool_t *pool, const mst_meta_attributes_t *set) {
    if (mst_meta_attributes_has(set, MST_META_KEY_PRIORITY)) {
        uint32_t nbytes = 0;
        const char *text = mst_meta_attributes_text(set, set->value[mst_meta_attributes_rank(set, MST_META_KEY_PRIORITY)], pool->dictionary, &nbytes);
        if (text && nbytes == 6 && memcmp(text, "urgent", 6) == 0) return 0;
    }
    if (!mst_meta_attributes_has(set, MST_META_KEY_DEADLINE)) return INT64_MAX;
    int64_t deadline = (int64_t)set->value[mst_meta_attributes_rank(set, MST_META_KEY_DEADLINE)];
    return deadline > 0 ? deadline : 1;
}

void mst_pool_ahead_note(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *set) {
    int64_t order = order_of(pool, set);
    mst_pool_ahead_t *ahead = order ? &pool->dated : &pool->urgent;
    pool->urgent_news |= order == 0;
    if (!pool->groups || order == INT64_MAX) return;
    if (ahead->count == ahead->capacity && !grow(ahead)) return;
    *entry_at(ahead, ahead->count++) = (mst_pool_ahead_entry_t){.sequence = mst_pool_object(&pool->catalogue, handle)->sequence, .order = order, .handle = handle};
}

void mst_pool_ahead_trim(mst_pool_ahead_t *ahead, uint64_t from) {
    while (ahead->count && entry_at(ahead, 0)->sequence < from) {
        ahead->first = (ahead->first + 1) % ahead->capacity;
        ahead->count--;
    }
}

const mst_pool_ahead_entry_t *mst_pool_ahead_next(const mst_pool_ahead_t *ahead, uint64_t after) {
    size_t low = 0, high = ahead->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (entry_at(ahead, middle)->sequence <= after) low = middle + 1;
        else high = middle;
    }
    return low < ahead->count ? entry_at(ahead, low) : NULL;
}

void mst_pool_ahead_fini(mst_pool_t *pool) {
    free(pool->urgent.entry);
    free(pool->dated.entry);
}
