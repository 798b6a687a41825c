/* Memory of objects' metadata: slots of a few size classes; a handle is a slot's address / 16.  A page keeps its class for ever, so a stale handle always names
 * the start of a slot, whose id is 0 when it is free. */
#ifndef MST_POOL_ARENA_H
#define MST_POOL_ARENA_H

#include "pool/pool.h"

typedef struct mst_pool_arena {
    char *base;
    uint64_t reserved, used;
    uint64_t live_nbytes;
    struct {
        uint32_t free;          /* handle of the first free slot */
        uint64_t fresh, end;    /* uncarved part of the newest page */
    } size_class[80];
} mst_pool_arena_t;

/* Zeroed memory straight from the kernel, or address space for it; NULL when there is none; freeing NULL is allowed. */
void *mst_pool_pages_alloc(size_t nbytes);
void mst_pool_pages_free(void *pages, size_t nbytes);

maestro_status_t mst_pool_arena_init(mst_pool_arena_t *arena);
void mst_pool_arena_fini(mst_pool_arena_t *arena);
uint32_t mst_pool_arena_alloc(mst_pool_arena_t *arena, size_t nbytes); /* MST_POOL_NONE when full */
void mst_pool_arena_free(mst_pool_arena_t *arena, uint32_t handle, size_t nbytes);

#endif
