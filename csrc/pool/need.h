/* That something is needed, told to who provides. */
#ifndef MST_POOL_NEED_H
#define MST_POOL_NEED_H

#include "meta/selector.h"
#include "pool/pool.h"

typedef struct mst_pool_needs {
    uint64_t numbers, live;
    uint32_t *ended;                 /* notices that are still to be told */
    size_t nended, ended_capacity;
} mst_pool_needs_t;

/* A session, or a consumer group of this name (NULL: the session), needs what the selector selects; a handle for mst_pool_need_end, 0: no memory.  The reason
 * is as maestro.reason tells it. */
uint32_t mst_pool_need_begin(mst_pool_t *pool, const mst_pool_session_t *session, const char *group, const mst_meta_selector_t *selector, const char *reason);
void mst_pool_need_end(mst_pool_t *pool, uint32_t need); /* 0 is allowed */
void mst_pool_need_tell_ended(mst_pool_t *pool);
maestro_status_t mst_pool_need_declare(mst_pool_t *pool, mst_pool_session_t *session, const char *text, uint32_t *number_out);
void mst_pool_need_retract(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number);
void mst_pool_need_retract_all(mst_pool_t *pool, mst_pool_session_t *session);

#endif
