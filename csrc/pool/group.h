/* Consumer groups: what several subscriptions share. */
#ifndef MST_POOL_GROUP_H
#define MST_POOL_GROUP_H

#include "pool/ahead.h"
#include "pool/search.h"

enum { MST_POOL_GROUP_AHEAD = 64 }; /* of a group's objects with a deadline, so many are put in order at a time */
enum { MST_POOL_GROUP_LIMIT = 256 }; /* unacknowledged objects of a member at most, unless it says otherwise */

struct mst_pool_member {             /* lives until its subscription is disposed and all it was given is settled, or its group has ended */
    mst_pool_group_t *group;
    mst_pool_session_t *session;
    mst_pool_subscription_t *subscription; /* NULL: disposed */
    uint32_t number;                 /* of the subscription */
    uint32_t unacknowledged, overdue, limit, prefetch;
    uint32_t credit, lately;         /* how many its pace suggests; how many it acknowledged since */
    int64_t lately_since_ns;
    int64_t acknowledge_ns;          /* what takes longer goes to another one; 0: never */
    mst_pool_member_t *of_group, *of_session; /* next */
};

struct mst_pool_group {
    char name[64];
    mst_meta_selector_t *selector;
    uint16_t schema;
    mst_pool_search_t search;        /* while `snapshot` */
    bool snapshot;
    bool waits;                      /* for a member that takes what comes next */
    uint64_t cursor;
    uint64_t ahead_from;             /* of offers behind it */
    uint64_t urgent, dated;          /* up to here, those that are urgent were handed out, those with a deadline taken to `hastened` */
    mst_pool_ahead_entry_t hastened[MST_POOL_GROUP_AHEAD]; /* of those, what was not yet handed out, the latest first */
    size_t nhastened;
    mst_pool_member_t *members;
    uint32_t last_taker;             /* number */
    mst_pool_member_t *taker;        /* takes the next objects, so many more */
    uint32_t taker_left;
    uint32_t *returned;              /* objects to be given to another member: a ring of handles, each with a reference */
    size_t returned_first, nreturned, returned_capacity;
    uint64_t delivered, acknowledged, redelivered, overdue;
    int64_t empty_since_ns;          /* 0: it has members */
    uint32_t need;
    bool archives;                   /* its name says so: what it acknowledges is safe */
    mst_pool_group_t *next;
};

/* The subscription becomes a member; the group is made if need be.  INVALID_ARGUMENT when it selects something else. */
maestro_status_t mst_pool_group_join(mst_pool_t *pool, mst_pool_subscription_t *subscription, const char *name, const mst_wire_request_t *request);
void mst_pool_group_leave(mst_pool_subscription_t *subscription);  /* it is disposed */
void mst_pool_group_leave_all(mst_pool_t *pool, mst_pool_session_t *session); /* what it did not acknowledge goes to others */
/* A lease of a member ends: the object is acknowledged, or goes to another member. */
void mst_pool_group_settle(mst_pool_t *pool, mst_pool_session_t *session, mst_pool_lease_t *lease, bool acknowledged);
void mst_pool_group_advance_all(mst_pool_t *pool);                 /* one slice each */
bool mst_pool_group_can_move(mst_pool_t *pool);
int64_t mst_pool_group_next(const mst_pool_t *pool);               /* when a lease may be overdue, or a group without members ends; INT64_MAX: never */
void mst_pool_group_granted(mst_pool_t *pool, const mst_pool_member_t *member); /* a lease, which may become overdue */
/* Whether one has something to hand out, and nobody to take it.  Whether who could take it is in no hurry: all such groups have members of low priority only. */
bool mst_pool_group_waits(const mst_pool_t *pool, bool *patiently_out);
uint64_t mst_pool_group_needs(const mst_pool_t *pool);             /* the log from this sequence on */
bool mst_pool_group_awaits(mst_pool_t *pool, const mst_pool_object_t *object, uint32_t handle);
uint64_t mst_pool_group_lag(const mst_pool_t *pool, const mst_pool_group_t *group);
const char *mst_pool_group_holder(const mst_pool_t *pool, char *text, size_t nbytes); /* who holds the log; NULL: no group */
void mst_pool_group_fini(mst_pool_t *pool);

#endif
