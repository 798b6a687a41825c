/* What has not been answered yet: demands, counts, withdrawals, segments. */
#ifndef MST_POOL_REQUEST_H
#define MST_POOL_REQUEST_H

#include "pool/search.h"
#include "pool/subscription.h"

struct mst_pool_request {
    mst_pool_subscriber_t type;      /* first: what the matcher's pointer is */
    uint16_t kind;                   /* mst_wire_kind_t */
    bool searching, in_matcher;
    uint32_t slot;
    mst_pool_session_t *session;
    uint64_t number;
    int64_t deadline_ns, started_ns;
    mst_meta_selector_t *selector;
    mst_pool_search_t search;
    uint64_t argument;
    uint32_t when;
    uint64_t found;                  /* DEMAND, COUNT: matches so far; WITHDRAW: objects taken */
    mst_pool_entry_t match[2];       /* DEMAND: the first ones that live */
    uint32_t nmatches, searches;
    bool unsure;                     /* DEMAND: matches have gone, and others were not kept */
    uint64_t differing[2];           /* DEMAND: mask of keys in which the matches differ */
    uint64_t waiting;                /* WITHDRAW: objects not yet released */
    uint64_t consuming;              /* WITHDRAW CONSUMED: objects not yet consumed */
    uint32_t *object;                /* their handles, and some of objects that have gone */
    size_t nobjects, objects_capacity;
    uint64_t lending_changes;        /* SEGMENT: as of the last try */
    bool explaining;                 /* DEMAND out of time: looking for what came nearest */
    uint64_t near[8];                /* objects that match all conjuncts but this one */
    uint32_t need;                   /* DEMAND: that it waits; 0: none */
    size_t elsewhere_at;             /* DEMAND: compared with what lies elsewhere so far, */
    uint32_t losses;                 /* since this loss of the link */
    uint32_t near_example[8];        /* handles; and */
    uint64_t near_sequence[8];
    mst_pool_request_t *next, **link;
};

/* Takes one control message (already copied out of the ring). */
void mst_pool_request_take(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *message);
void mst_pool_request_cancel_all(mst_pool_t *pool, mst_pool_session_t *session);
void mst_pool_request_step_all(mst_pool_t *pool);               /* searches, deadlines, consumption */
void mst_pool_request_matched(mst_pool_t *pool, mst_pool_request_t *request, uint32_t handle); /* a demand met by a new object */
void mst_pool_request_released(mst_pool_t *pool, uint32_t slot, uint32_t handle);
void mst_pool_request_end_object(mst_pool_t *pool, uint32_t handle, uint32_t kind); /* for the catalogue: also one that a request waits to be consumed */
void mst_pool_request_unleased(mst_pool_t *pool, uint32_t handle); /* the last lease of an object that is to be consumed has ended */

#endif
