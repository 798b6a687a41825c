/* Handles of objects by the tag of their identity. */
#ifndef MST_POOL_IDENTITIES_H
#define MST_POOL_IDENTITIES_H

#include "pool/pool.h"

enum { MST_POOL_BUCKET_SLOTS = 8 };

typedef struct mst_pool_identity {
    uint32_t tag, handle; /* handles below 2 are nobody's */
} mst_pool_identity_t;

typedef struct mst_pool_bucket { /* a cache line */
    mst_pool_identity_t entry[MST_POOL_BUCKET_SLOTS];
} mst_pool_bucket_t;

typedef struct mst_pool_identities {
    mst_pool_bucket_t *bucket;
    uint64_t reserved, nbuckets, links; /* buckets; those from `links` on continue others */
    uint64_t half;                      /* power of two, half < nbuckets <= 2 half, but at the beginning */
    uint64_t count;
    uint32_t free_link;
} mst_pool_identities_t;

typedef struct mst_pool_identity_cursor { /* good until something is put or removed */
    mst_pool_identity_t *entry;
    uint32_t tag, slot;
} mst_pool_identity_cursor_t;

maestro_status_t mst_pool_identities_init(mst_pool_identities_t *table, uint64_t nbytes); /* address space to reserve, if there is so much */
void mst_pool_identities_fini(mst_pool_identities_t *table);
void mst_pool_identities_expect(const mst_pool_identities_t *table, uint32_t tag); /* it is looked for soon */
mst_pool_identity_cursor_t mst_pool_identities_find(const mst_pool_identities_t *table, uint32_t tag);
uint32_t mst_pool_identities_next(const mst_pool_identities_t *table, mst_pool_identity_cursor_t *cursor); /* next handle of this tag; MST_POOL_NONE: no more */
bool mst_pool_identities_put(mst_pool_identities_t *table, mst_pool_identity_cursor_t *end, uint32_t handle); /* where there was no more; false: it is full */
void mst_pool_identities_remove(mst_pool_identities_t *table, uint32_t tag, uint32_t handle);

#endif
