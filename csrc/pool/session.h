/* One client: its rings, leases, counters.  attach.c has its beginning and end, serve.c what comes through its rings, session.c the rest. */
#ifndef MST_POOL_SESSION_H
#define MST_POOL_SESSION_H

#include "pool/pool.h"
#include "wire/protocol.h"

struct mst_pool_lease {
    uint32_t object, generation; /* free slots: next free, generation */
    int64_t since_ns;
    uint32_t member : 30;        /* number of a subscription in a consumer group, for which its end acknowledges; 0: none */
    uint32_t overdue : 1;        /* no longer: it took too long */
    uint32_t observed : 1;       /* it is no reading (maestro.demands) */
};

typedef struct mst_pool_message {
    struct mst_pool_message *next;
    uint64_t bytes[];            /* a ring message */
} mst_pool_message_t;

typedef struct mst_pool_queue {
    mst_pool_message_t *first, **end;
    size_t count;
} mst_pool_queue_t;

struct mst_pool_session {
    uint32_t number;
    int socket, pidfd, wake_client;
    int channel_fd;
    void *channel_memory;
    mst_wire_channel_t channel;
    char component[MST_WIRE_NAME_MAX];
    uint32_t component_code;
    int64_t rank;
    int pid;
    maestro_priority_t priority;
    uint16_t schema;
    uint32_t template[4];        /* those used last, one for each set of keys; 0: none yet */
    uint32_t next_template;
    bool said_bye, broken, touched;
    bool relay;                  /* may say who offered its objects elsewhere */
    char why[256];               /* what made it broken */
    uint32_t notice;             /* handle of its joined notice */
    uint64_t last_id;            /* of its last offer: ids come one after the other */
    uint32_t row;                /* rows that were taken of the run at the beginning of its offers */
    uint64_t woken;              /* end of the replies for which it was last woken */
    uint64_t offers_woken_at, control_woken_at; /* how far its messages had been taken then */
    uint32_t open_requests;
    uint32_t segment_requests;   /* it waits for memory: freed blocks are news to it */
    bool freed_news;
    uint64_t refuse_until;       /* offers up to here in its ring waited with one whose time is over */
    int64_t stalled_since_ns;    /* its next offer waits since then; 0: it does not */
    int64_t stalled_until_ns;    /* its deadline */
    int64_t joined_ns, heard_ns; /* heard: something came from it */
    mst_pool_queue_t outbox;     /* replies that found no room */
    mst_pool_queue_t deferred;   /* control messages that wait for offers before them */
    mst_pool_queue_t freed;      /* blocks that found no room in the freed ring */
    mst_pool_lease_t *lease;
    uint32_t nleases, leases_capacity, lease_free, leases_live;
    uint32_t **id_page;          /* handles of own objects by number: pages of 1024, NULL when all have ended */
    uint16_t *id_page_live;
    uint64_t id_pages;
    mst_pool_subscription_t *subscriptions;
    mst_pool_member_t *members;  /* in consumer groups */
    mst_pool_requirement_t *requirements; /* needs that it declared */
    size_t nrequirements;
    uint64_t lent_nbytes, used_nbytes;
    struct {
        uint64_t offers, offered_bytes, copied, refused, demands, events, event_bytes, withdrawn, leases;
    } total;
};

maestro_status_t mst_pool_session_attach(mst_pool_t *pool, int socket); /* answers the hello on a fresh connection; AGAIN: it has not come yet */
void mst_pool_session_detach(mst_pool_t *pool, mst_pool_session_t *session, const char *reason);
void mst_pool_session_socket(mst_pool_t *pool, mst_pool_session_t *session); /* a packet came, or a hang-up */
/* Serves its rings for one round; how many messages it took. */
size_t mst_pool_session_serve(mst_pool_t *pool, mst_pool_session_t *session);
/* Nothing in its rings can be served now; offers_wait: those that stall would stall again. */
bool mst_pool_session_idle(mst_pool_session_t *session, bool offers_wait);
bool mst_pool_session_can_flush(mst_pool_session_t *session); /* what waits for room in its rings has some */
void mst_pool_session_tell_freed(mst_pool_t *pool, mst_pool_session_t *session); /* it begins to wait for memory: blocks freed before are news too */
void mst_pool_session_break(mst_pool_session_t *session, const char *why); /* protocol error: detached at the end of the round */
void mst_pool_session_reply(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_reply_t *reply, const void *rest, size_t rest_nbytes);
void mst_pool_session_fail(mst_pool_t *pool, mst_pool_session_t *session, uint64_t request, maestro_status_t status, const char *text);
void mst_pool_session_post(mst_pool_t *pool, mst_pool_session_t *session, const void *message, size_t nbytes); /* into the replies ring or the outbox */
void mst_pool_session_flush(mst_pool_t *pool, mst_pool_session_t *session); /* what waited for room in its rings */
void mst_pool_session_freed(mst_pool_t *pool, mst_pool_session_t *session, uint32_t segment, uint64_t offset);
uint64_t mst_pool_session_grant(mst_pool_t *pool, mst_pool_session_t *session, uint32_t handle, uint32_t member); /* a lease, for a member of a group or 0; 0: no memory */
void mst_pool_session_release(mst_pool_t *pool, mst_pool_session_t *session, uint64_t lease);
uint32_t mst_pool_session_leased(const mst_pool_session_t *session, uint64_t lease); /* the object; MST_POOL_NONE: it has no such lease */
void mst_pool_session_release_all(mst_pool_t *pool, mst_pool_session_t *session);
void mst_pool_session_set_id(mst_pool_session_t *session, uint64_t id, uint32_t handle);
void mst_pool_session_forget_id(mst_pool_session_t *session, uint64_t id);
uint32_t mst_pool_session_get_id(mst_pool_session_t *session, uint64_t id);
void mst_pool_touch(mst_pool_t *pool, mst_pool_session_t *session);

void mst_pool_queue_init(mst_pool_queue_t *queue);
bool mst_pool_queue_push(mst_pool_queue_t *queue, const void *message, size_t nbytes);
void mst_pool_queue_pop(mst_pool_queue_t *queue);
void mst_pool_queue_clear(mst_pool_queue_t *queue);

#endif
