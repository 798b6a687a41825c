/* Objects that groups hand out before others. */
#ifndef MST_POOL_AHEAD_H
#define MST_POOL_AHEAD_H

#include "meta/attributes.h"
#include "pool/pool.h"

#define MST_POOL_AHEAD_KEYS (1ull << MST_META_KEY_PRIORITY | 1ull << MST_META_KEY_DEADLINE) /* an object that has none of them goes in its turn */

typedef struct mst_pool_ahead_entry {
    uint64_t sequence;      /* of its offer */
    int64_t order;          /* the lowest first */
    uint32_t handle;        /* good as long as the log has the offer */
} mst_pool_ahead_entry_t;

typedef struct mst_pool_ahead {
    mst_pool_ahead_entry_t *entry; /* a ring, by sequence */
    size_t first, count, capacity;
} mst_pool_ahead_t;

void mst_pool_ahead_note(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *set); /* an offer that has its sequence */
void mst_pool_ahead_trim(mst_pool_ahead_t *ahead, uint64_t from); /* to where the log begins */
const mst_pool_ahead_entry_t *mst_pool_ahead_next(const mst_pool_ahead_t *ahead, uint64_t after); /* the first one behind a sequence; NULL: none */
void mst_pool_ahead_fini(mst_pool_t *pool);

#endif
