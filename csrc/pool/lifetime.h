/* Objects whose lives have an end, or none before an archive has them. */
#ifndef MST_POOL_LIFETIME_H
#define MST_POOL_LIFETIME_H

#include "pool/object.h"

#define MST_POOL_LIFE_KEYS (1ull << MST_META_KEY_LIFETIME | 1ull << MST_META_KEY_DEMANDS | 1ull << MST_META_KEY_PERSIST)

typedef struct mst_pool_lifetimes {
    struct mst_pool_expiry *heap; /* of those that live */
    size_t count, capacity;
    size_t counted;               /* objects that expire by demands */
    size_t unarchived;            /* objects that wait for an archive */
} mst_pool_lifetimes_t;

static inline mst_pool_life_t *mst_pool_life(mst_pool_object_t *object) { return (mst_pool_life_t *)(object->rest + object->has_place * MST_POOL_PLACE_WORDS); }
/* It may neither be withdrawn nor make room for another version yet. */
static inline bool mst_pool_awaits_archive(mst_pool_object_t *object) {
    return object->has_life && mst_pool_life(object)->for_ever && !mst_pool_life(object)->archived;
}

void mst_pool_lifetime_begin(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *set); /* from now on, after its event */
void mst_pool_lifetime_end(mst_pool_t *pool, uint32_t handle);     /* for the catalogue: an object that has a life no longer lives */
void mst_pool_lifetime_read(mst_pool_t *pool, uint32_t handle);    /* it was read; the lease lasts yet */
void mst_pool_lifetime_archived(mst_pool_t *pool, uint32_t handle);
void mst_pool_lifetime_describe(mst_pool_t *pool, uint32_t handle, char *text, size_t nbytes); /* of what it expired: "after 3 demands" */
int64_t mst_pool_lifetime_next(const mst_pool_t *pool); /* when one is to expire; INT64_MAX: never */
void mst_pool_lifetime_expire(mst_pool_t *pool);        /* one slice of those whose time has come */
bool mst_pool_lifetime_holds(const mst_pool_t *pool);   /* one lives that is to expire, or to be archived, for which the pool stays */
void mst_pool_lifetime_fini(mst_pool_t *pool);

#endif
