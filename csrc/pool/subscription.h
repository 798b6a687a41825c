/* Events for who subscribed: handed out as they come, or from the log by who lags. */
#ifndef MST_POOL_SUBSCRIPTION_H
#define MST_POOL_SUBSCRIPTION_H

#include "pool/search.h"
#include "wire/protocol.h"

typedef enum mst_pool_subscriber { MST_POOL_SUBSCRIPTION, MST_POOL_DEMAND } mst_pool_subscriber_t;

struct mst_pool_subscription {
    mst_pool_subscriber_t type;      /* first: what the matcher's pointer is */
    uint32_t number;
    mst_pool_session_t *session;
    mst_meta_selector_t *selector;
    uint32_t kinds;
    bool hold, query, lagging, touched, fetched;
    bool observes;                   /* neither a need nor a reader */
    bool shared;                     /* a consumer group's cursor serves it */
    bool ending;                     /* it gets no events any more; what was not taken goes back: */
    uint32_t unread_row;
    uint64_t request;                /* that asked for it: may be cancelled while its window was not fetched */
    mst_pool_search_t search;        /* the snapshot, while `snapshot` */
    bool snapshot;
    uint64_t cursor;                 /* lagging: last sequence seen */
    int window_fd, wake_fd;
    void *window_memory;
    uint64_t window_nbytes;
    mst_wire_ring_t window;          /* ending: position is how far that was done */
    struct {                         /* the run at the window's end that is not yet committed; what is decided by is kept here, not read back */
        mst_wire_run_t *message;     /* NULL: none */
        uint64_t *row;               /* where the next row goes */
        uint32_t template, count, capacity, nown;
        uint64_t next_id, next_sequence;
        bool has_places;
    } run;
    uint64_t delivered, gaps;
    mst_pool_member_t *member;                /* of a consumer group, while it shares */
    uint32_t need;                            /* that it is; 0: none */
    mst_pool_subscription_t *next;            /* of the session */
    mst_pool_subscription_t *lag_next, **lag_prev; /* of the pool's lagging ones; of those that end */
};

maestro_status_t mst_pool_subscription_create(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *request, char *text, uint32_t *number_out);
/* It ends, a slice a round: the leases of events that stand in its window from `position` on go back, but for the first rows of a run there, which were
 * taken. */
void mst_pool_subscription_end(mst_pool_t *pool, mst_pool_subscription_t *subscription, uint64_t position, uint32_t row);
void mst_pool_subscription_destroy(mst_pool_t *pool, mst_pool_subscription_t *subscription);
mst_pool_subscription_t *mst_pool_subscription_find(mst_pool_session_t *session, uint32_t number);
void mst_pool_subscription_advance_all(mst_pool_t *pool);      /* lagging ones, one slice each */
/* An event into its window, with its lease; flags: 0 or MST_WIRE_EVENT_REDELIVERED.  False: there is no room. */
bool mst_pool_subscription_push(mst_pool_t *pool, mst_pool_subscription_t *subscription, uint32_t handle, uint32_t kind, uint64_t sequence, uint16_t flags);
/* Appends to the log and hands out to who matches; `set` are the object's attributes. */
void mst_pool_publish(mst_pool_t *pool, uint32_t handle, uint32_t kind, const mst_meta_attributes_t *set);
/* Hands out offered objects of one template that lie one after the other in the log. */
void mst_pool_publish_run(mst_pool_t *pool, const uint32_t *handle, size_t count);
bool mst_pool_subscription_awaits(mst_pool_t *pool, uint32_t handle); /* a lagging one or a group still has to see it */
const char *mst_pool_subscription_holder(mst_pool_t *pool, char *text, size_t nbytes); /* who holds the log; NULL: nobody */
void mst_pool_subscription_show(mst_pool_t *pool); /* what was put into windows since the last time can be read from now on */
void mst_pool_subscription_wake(mst_pool_t *pool);

#endif
