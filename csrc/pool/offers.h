/* Offers that come through a session's ring, and why they wait. */
#ifndef MST_POOL_OFFERS_H
#define MST_POOL_OFFERS_H

#include "pool/pool.h"

void mst_pool_refuse(mst_pool_t *pool, mst_pool_session_t *session, uint64_t id, maestro_status_t status, uint64_t other, const char *text); /* NULL text: none */
size_t mst_pool_offers_serve(mst_pool_t *pool, mst_pool_session_t *session); /* the message at the beginning of its offers ring; how many objects were taken */
const char *mst_pool_obstacle(mst_pool_t *pool, char *text, size_t nbytes);  /* why offers cannot be taken now; NULL: they can */
bool mst_pool_offers_wait(mst_pool_t *pool);
static inline int64_t mst_pool_bounded(int64_t timeout_ns) { return timeout_ns < 0 ? 0 : timeout_ns < (int64_t)1e18 ? timeout_ns : (int64_t)1e18; }

#endif
