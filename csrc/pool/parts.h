/* Objects that several offers make together. */
#ifndef MST_POOL_PARTS_H
#define MST_POOL_PARTS_H

#include "pool/object.h"

typedef struct mst_pool_parts {
    mst_pool_whole_t *waiting[256]; /* for parts, by key */
    mst_pool_whole_t *whole;        /* all of whose parts have come */
    struct mst_pool_gone_rank *gone;
    size_t ngone, gone_capacity;
    int64_t next_ns;                /* when one of those that wait is to be given up; INT64_MAX: never */
} mst_pool_parts_t;

/* Takes a part whose attributes are pool->offered.  OK: the object it completed in *handle_out, and pool->offered are that one's attributes; or MST_POOL_NONE:
 * it waits, or was discarded.  DUPLICATE (id in *other_out), INVALID_ARGUMENT and NO_MEMORY; *why_out then says more, or is NULL. */
maestro_status_t mst_pool_parts_take(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer, uint32_t template, uint32_t *handle_out,
                                     uint64_t *other_out, const char **why_out);
bool mst_pool_parts_fit(const mst_meta_attributes_t *set); /* what they say of parts makes sense */
int64_t mst_pool_parts_count(const mst_meta_attributes_t *set); /* maestro.parts, or 1 */
void mst_pool_parts_joined(mst_pool_t *pool, mst_pool_session_t *session);
void mst_pool_parts_left(mst_pool_t *pool, const mst_pool_session_t *session, const char *reason); /* it is no longer among the sessions */
void mst_pool_parts_expire(mst_pool_t *pool); /* what nobody is left to complete */
/* The object to withdraw for who offered this part; MST_POOL_NONE: it waited, and is discarded. */
uint32_t mst_pool_parts_withdraw(mst_pool_t *pool, mst_pool_session_t *session, uint32_t handle);
bool mst_pool_parts_made_by(mst_pool_t *pool, mst_pool_object_t *object, uint32_t session); /* it offered one of its parts */
void mst_pool_parts_withdrawn(mst_pool_t *pool, uint32_t handle); /* for the catalogue: the object is no longer live; has ended */
void mst_pool_parts_ended(mst_pool_t *pool, uint32_t handle);
void mst_pool_parts_give(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *message); /* answers MST_WIRE_PART */
void mst_pool_parts_fini(mst_pool_t *pool);

#endif
