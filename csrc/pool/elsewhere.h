/* What lies on other nodes. */
#ifndef MST_POOL_ELSEWHERE_H
#define MST_POOL_ELSEWHERE_H

#include "meta/attributes.h"
#include "pool/pool.h"

typedef struct mst_pool_elsewhere_entry mst_pool_elsewhere_entry_t;
typedef struct mst_pool_elsewhere {
    mst_pool_elsewhere_entry_t **entry;
    size_t count, capacity;
    size_t nold;                     /* the first ones, of a former link, are to be forgotten */
    void *tree;                      /* by id */
    uint32_t session;                /* of the link that told; 0: there was none */
    int64_t lost_ns;                 /* when it went; 0: it is there */
    uint32_t losses;
} mst_pool_elsewhere_t;

void mst_pool_elsewhere_begin(mst_pool_t *pool, const mst_pool_session_t *session); /* of a new link */
void mst_pool_elsewhere_forget_old(mst_pool_t *pool);          /* one slice of what a former link told */
/* WRONG_STATE: the session is not the link, or no more; NO_MEMORY. */
maestro_status_t mst_pool_elsewhere_add(mst_pool_t *pool, const mst_pool_session_t *session, uint64_t id, const mst_meta_attributes_t *attributes);
bool mst_pool_elsewhere_remove(mst_pool_t *pool, uint64_t id); /* false: it does not stand there */
void mst_pool_elsewhere_lose(mst_pool_t *pool, const mst_pool_session_t *session); /* a session ends */
bool mst_pool_elsewhere_unseen(const mst_pool_t *pool, const mst_pool_request_t *request); /* a demand has to be compared with what lies there */
bool mst_pool_elsewhere_step(mst_pool_t *pool, mst_pool_request_t *request, char *text, size_t nbytes); /* one slice; true: it fails, and why */
void mst_pool_elsewhere_fini(mst_pool_t *pool);

#endif
