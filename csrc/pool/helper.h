/* The one other thread, for what takes longer. */
#ifndef MST_POOL_HELPER_H
#define MST_POOL_HELPER_H

#include "pool/pool.h"

#include <pthread.h>

typedef struct mst_pool_helper {
    int fd;           /* its errands; -1: not started */
    pthread_t thread;
} mst_pool_helper_t;

void mst_pool_helper_init(mst_pool_t *pool);
void mst_pool_helper_fini(mst_pool_t *pool); /* waits until all errands are run */
void mst_pool_helper_close(mst_pool_t *pool, int fd);
/* Of a region that is used from its beginning on: the pages that come next, soon enough before they are needed, once it is large.  *touched: how far that
 * was done. */
void mst_pool_helper_touch(mst_pool_t *pool, uint64_t *touched, void *region, uint64_t region_nbytes, uint64_t used);

#endif
