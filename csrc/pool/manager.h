/* The loop, and what it holds together. */
#ifndef MST_POOL_MANAGER_H
#define MST_POOL_MANAGER_H

#include "meta/matcher.h"
#include "pool/ahead.h"
#include "pool/catalogue.h"
#include "pool/elsewhere.h"
#include "pool/helper.h"
#include "pool/lending.h"
#include "pool/lifetime.h"
#include "pool/log.h"
#include "pool/need.h"
#include "pool/parts.h"
#include "wire/socket.h"

struct mst_pool {
    mst_wire_rendezvous_t rendezvous;
    int lock_fd, listen_fd, epoll_fd, wake_fd;
    int spare_fd;                    /* given up for a moment to turn somebody away when no other descriptor is left */
    struct {
        int fd;
        int64_t since_ns;
    } fresh[64];                     /* connections that have not said hello */
    size_t nfresh;
    mst_pool_catalogue_t catalogue;
    mst_pool_log_t log;
    mst_pool_lifetimes_t lifetimes;
    mst_pool_ahead_t urgent, dated;
    bool urgent_news;                /* somebody waits for what came who is not to wait for others */
    uint32_t nurgent, nbackground;   /* sessions */
    mst_pool_parts_t parts;
    mst_pool_lending_t lending;
    mst_pool_helper_t helper;
    mst_meta_matcher_t *matcher;
    uint32_t matched;            /* template of the object that was matched last; 0: it is gone */
    int dictionary_fd, board_fd;
    void *dictionary_memory;
    uint64_t dictionary_nbytes;
    mst_meta_dictionary_t *dictionary;
    mst_wire_board_t *board;
    uint32_t nsleeps;
    mst_meta_schema_t *schema[256];
    uint32_t nschemas;
    mst_pool_session_t **session;    /* by position in the round */
    size_t nsessions, sessions_capacity;
    mst_pool_session_t **by_number;
    uint32_t numbers, numbers_capacity;
    uint32_t next_subscription;
    mst_pool_subscription_t *lagging, *ending;
    uint32_t kinds_wanted[9];        /* subscriptions per event kind (bit number) */
    uint32_t holding;                /* subscriptions with hold, and groups */
    mst_pool_needs_t needs;
    mst_pool_elsewhere_t elsewhere;
    mst_pool_group_t *groups;
    int64_t group_ns;                /* how long one without members lives */
    int64_t overdue_ns;              /* when a lease may be overdue next; INT64_MAX: none */
    mst_pool_request_t *requests, **requests_end; /* all that wait, oldest first */
    mst_pool_request_t **request_slot;
    size_t request_slots, request_slot_from; /* no slot below is free */
    int64_t next_deadline_ns;        /* of requests */
    int64_t stall_deadline_ns;       /* of offers that wait, found anew in every round */
    bool recheck_consumed;
    int64_t rechecked_ns;
    mst_pool_session_t **touched;
    size_t ntouched;
    mst_pool_subscription_t **touched_window;
    size_t ntouched_windows, touched_windows_capacity;
    uint64_t *scratch;               /* one message, copied out of a ring */
    mst_meta_attributes_t *offered;  /* its attributes with what the manager adds */
    bool relayed;                    /* which a relay gave */
    mst_meta_attributes_t *expanded[2]; /* of objects, see mst_pool_attributes */
    unsigned next_expanded;
    int64_t now_ns, started_ns, empty_since_ns;
    int64_t called_ns;               /* when descriptors were last looked at and doorbells rung */
    double linger_s;
    bool stop;
};

static inline mst_pool_session_t *mst_pool_session_by_number(const mst_pool_t *pool, uint32_t number) {
    return number < pool->numbers_capacity ? pool->by_number[number] : NULL;
}

/* AGAIN when another manager holds the pool. */
maestro_status_t mst_pool_create(const char *name, mst_pool_t **pool_out);
/* Serves until nobody needs the pool any more, or a signal says so. */
maestro_status_t mst_pool_run(mst_pool_t *pool);
void mst_pool_destroy(mst_pool_t *pool);

#endif
