/* The pool in numbers. */
#ifndef MST_POOL_STATS_H
#define MST_POOL_STATS_H

#include "pool/pool.h"

void mst_pool_stats_json(mst_pool_t *pool, mst_base_buffer_t *out);

#endif
