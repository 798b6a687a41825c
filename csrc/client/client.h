/* The library side: what a session, an object's handle, a subscription and a request are in the application's process.
 *
 * Invariants: one lock per session covers all of it; waiting lets go of the lock, and one of the waiting threads (the leader) listens for all.
 * Handles live as long as the caller wants: after the session's close they answer CLOSED, and the last one frees the session's memory. */
#ifndef MST_CLIENT_H
#define MST_CLIENT_H

#include "mem/allocator.h"
#include "mem/segment.h"
#include "meta/dictionary.h"
#include "meta/matcher.h"
#include "meta/selector.h"
#include "wire/protocol.h"
#include "wire/socket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

typedef struct mst_client_segment {
    void *base;            /* NULL: not mapped here */
    uint64_t nbytes;
    bool writable;
} mst_client_segment_t;

typedef struct mst_client_refusal {
    uint64_t id;
    maestro_status_t status;
    char *text;
} mst_client_refusal_t;

typedef enum mst_client_state {
    MST_CLIENT_FREE,       /* on the session's list of spare handles */
    MST_CLIENT_DECLARED, MST_CLIENT_SEALED, MST_CLIENT_OFFERED,
    MST_CLIENT_REFUSED, MST_CLIENT_WITHDRAWN,
    MST_CLIENT_LEASED,     /* a consumer's */
    MST_CLIENT_NOTICE      /* attributes only: gone objects, joined and left */
} mst_client_state_t;

/* One terminated copy for each key whose string was asked for; it does not move. */
typedef struct mst_client_texts {
    uint32_t at[MST_META_KEYS_MAX];    /* where it begins, plus one; 0: not copied yet */
    uint32_t nbytes;
    char bytes[MST_META_TAIL_MAX + MST_META_KEYS_MAX];
} mst_client_texts_t;

struct maestro_cdo {
    maestro_session_t *session;
    maestro_cdo_t *next, **link;       /* list of the session's handles, or of its spare ones */
    mst_client_state_t state;
    uint64_t id, lease;
    mst_wire_place_t place;
    const void *data;
    size_t nbytes;
    bool has_block, copied, block_is_back;
    bool summed;                       /* MAESTRO_CHECK=sums: its checksum was made here; of a leased one: it is right */
    int64_t until;                     /* deadline of the allocation or offer that a signal ended; 0: none */
    const void *wrapped;
    uint64_t offered_at;               /* position in the offers ring after its offer */
    maestro_status_t refused;
    uint64_t uncounted_in;             /* round of refusals in which its own was counted without being kept; 0: in none */
    char *refused_text;
    bool building;                     /* attributes are in `builder`; else in `packed` */
    mst_meta_builder_t builder;
    uint64_t *packed;
    size_t packed_capacity;
    mst_client_texts_t *texts;         /* copies of strings that were asked for; valid while any_texts, until the next set or dispose */
    bool any_texts;
};

struct maestro_subscription {
    maestro_session_t *session;
    maestro_subscription_t *next;
    uint32_t number;
    void *memory;
    uint64_t memory_nbytes;
    mst_wire_ring_t window;
    uint64_t published;                /* how far the manager knows that we have read */
    uint32_t row;                      /* rows that were taken of the run at the window's beginning */
    int wake_fd;
    bool ended;
};

struct maestro_request {
    maestro_session_t *session;
    maestro_request_t *next;           /* of those without answer */
    uint64_t number;
    bool done, cdo_taken;
    maestro_status_t status;
    char *text;
    mst_wire_reply_t *reply;           /* copy of the answer */
    maestro_cdo_t *cdo;                /* withdraw: the handle of the object concerned, if it has not been disposed meanwhile */
    uint64_t cdo_id;
};

struct maestro_need {
    maestro_session_t *session;
    uint64_t number;
};

typedef struct mst_client_known mst_client_known_t;

typedef struct mst_client_needs {      /* of everybody, once they were asked for */
    pthread_mutex_t lock;              /* taken before the session's */
    maestro_subscription_t *changes;   /* NULL: not yet asked for */
    mst_meta_matcher_t *matcher;
    mst_client_known_t *known;
    size_t unsure;                     /* of which nothing more is known */
    mst_meta_attributes_t *set;        /* room for one object's */
} mst_client_needs_t;

struct maestro_session {
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool leader;
    unsigned waiting;
    unsigned fork_count;
    atomic_bool closed;
    bool lost;
    uint64_t handles;                  /* cdos, subscriptions, requests alive, and threads inside */
    unsigned inside;                   /* threads in a call: connection and shared memory stay until the last has left */
    mst_wire_rendezvous_t rendezvous;
    int socket, wake_manager, wake_client;
    uint32_t rung; /* the sleep of the manager in which its doorbell was rung last */
    uint32_t number;
    uint16_t schema_number;
    mst_meta_schema_t *schema;
    char component[MST_WIRE_NAME_MAX];
    int64_t rank;
    double timeout_s;
    int64_t memory_limit;              /* of the pool */
    bool interruptible, relay;
    maestro_priority_t priority;       /* not the default */
    uint8_t check;                     /* bits of MAESTRO_CHECK */
    void *channel_memory;
    mst_wire_channel_t channel;
    void *dictionary_memory;
    uint64_t dictionary_nbytes;
    const mst_meta_dictionary_t *dictionary;
    mst_wire_board_t *board;
    uint64_t last_id, last_request;
    bool unresponsive;                 /* the manager made no room for releases in time, and has not since */
    uint64_t *unreleased;              /* leases that wait for that room */
    size_t nunreleased, unreleased_capacity;
    unsigned late_answers;             /* to questions on the socket whose time was over */
    bool stats_due;                    /* the last of them was for stats */
    uint64_t interrupted_at;           /* end of the offers of the last flush that a signal ended */
    maestro_request_t *requests;
    mst_client_refusal_t *refusal;
    size_t nrefusals, refusals_capacity, refusals_uncounted;
    maestro_status_t uncounted_status; /* of the last of them */
    uint64_t refusals_round;           /* from 1; a flush that tells them begins the next one */
    mst_client_segment_t *segment;     /* by number */
    size_t nsegments;
    void (*unmapping)(void *context, uint32_t segment); /* told before a segment is unmapped; NULL: nobody is */
    void *unmapping_context;
    mst_mem_allocator_t *allocator;
    uint64_t wanted_nbytes;            /* the allocator asked for a segment of this size */
    uint32_t fresh_segment;            /* granted and not yet given to the allocator */
    bool has_fresh;
    mst_wire_request_t *owed;          /* messages that need no answer and had no room yet: segments that go back, ends of subscriptions, cancellations */
    size_t nowed, owed_capacity;
    maestro_cdo_t **held;              /* own offered blocks whose handle is open, by (segment, offset); open addressing */
    size_t held_mask, nheld;
    uint64_t freed_blocks;             /* how many came back so far */
    maestro_cdo_t *cdos, *spare;
    maestro_subscription_t *subscriptions;
    mst_client_needs_t needs;
};

/* The thread's last error, kept over what is done after it. */
typedef struct mst_client_error { char text[2048]; } mst_client_error_t;
static inline void mst_client_error_keep(mst_client_error_t *error) { snprintf(error->text, sizeof error->text, "%s", maestro_last_error()); }
static inline void mst_client_error_restore(const mst_client_error_t *error) { mst_base_fail(MAESTRO_OK, "%s", error->text); }

#define MST_CLIENT_GRACE_NS 2000000000ll /* what a manager gets beyond a deadline that it keeps itself: longer, and it is stopped */

/* ---- session.c */
maestro_status_t mst_client_prioritize(const maestro_session_t *session, mst_meta_builder_t *builder); /* the session's priority, where none was set */
extern unsigned mst_client_forks; /* counts forks that made this process */
/* Takes the lock if the session is open and its manager lives; leave gives it back.  While a thread is inside, connection and memory stay.
 * `operation` begins the error. */
maestro_status_t mst_client_enter(maestro_session_t *session, const char *operation);
/* The same without keeping the lock, and whether or not the manager lives; leave, called with the lock held, ends it too. */
maestro_status_t mst_client_stay(maestro_session_t *session, const char *operation);
void mst_client_leave(maestro_session_t *session);
void mst_client_let_go(maestro_session_t *session); /* a handle ended, lock held: unlocks, and frees a closed session with its last handle */
int64_t mst_client_deadline(const maestro_session_t *session, double timeout_s);

/* ---- attach.c: rendezvous, starting the manager, the hello. */
maestro_status_t mst_client_attach(maestro_session_t *session, const maestro_session_options_t *options, int64_t deadline_ns);
void mst_client_hang_up(maestro_session_t *session);
void mst_client_detach(maestro_session_t *session);

/* ---- talk.c: rings, replies, waiting.  All with the lock held. */
void mst_client_ring(maestro_session_t *session, uint32_t bits); /* after a message: wakes the manager if it sleeps for one of the bits */
void mst_client_wake_manager(maestro_session_t *session, uint32_t bits); /* the same before one, which it may miss */
void mst_client_drain(maestro_session_t *session);               /* takes in all replies */
typedef bool (*mst_client_ready_fn)(maestro_session_t *session, void *context);
/* Waits until ready; TIMEOUT and INTERRUPTED without a message; POOL_LOST with. */
maestro_status_t mst_client_wait(maestro_session_t *session, const char *operation, int64_t deadline_ns, mst_client_ready_fn ready, void *context);
maestro_status_t mst_client_lost(maestro_session_t *session, const char *operation);
/* Waits for room and begins a message; commit with mst_wire_ring_commit and ring. */
maestro_status_t mst_client_reserve(maestro_session_t *session, mst_wire_ring_t *ring, size_t nbytes, int64_t deadline_ns, const char *operation, void **room_out);
/* For a request that needs no answer: sends it as soon as there is room, without waiting; order is kept.  Errors are told by nobody: without memory it is not sent. */
void mst_client_owe(maestro_session_t *session, const mst_wire_request_t *like);
void mst_client_pay(maestro_session_t *session); /* what is owed, as far as there is room */
/* Sends a request; `like` carries its fields, `text` its selector. The answer completes `request`. */
maestro_status_t mst_client_send(maestro_session_t *session, maestro_request_t *request, const mst_wire_request_t *like, const char *text, int64_t deadline_ns, const char *operation);
/* Sends and waits for the answer; fills request->status, reply.  The caller runs mst_client_request_fini. */
maestro_status_t mst_client_call(maestro_session_t *session, maestro_request_t *request, const mst_wire_request_t *like, const char *text, int64_t deadline_ns, const char *operation);
void mst_client_request_fini(maestro_session_t *session, maestro_request_t *request); /* leaves the thread's last error as it is */
bool mst_client_request_is_done(maestro_session_t *session, void *request); /* to wait for it */
maestro_status_t mst_client_request_status(const maestro_request_t *request); /* with the message of a failed one */
void mst_client_release(maestro_session_t *session, uint64_t lease);
void mst_client_release_many(maestro_session_t *session, const uint64_t *lease, size_t stride, size_t count); /* every stride-th word is one */
void mst_client_forget_refusal(maestro_session_t *session, maestro_cdo_t *cdo);
/* Asks over the socket for descriptors; no signal ends it, and it takes 2 s at most. */
maestro_status_t mst_client_fetch(maestro_session_t *session, mst_wire_fetch_t kind, uint32_t number, mst_wire_fetch_reply_t *reply, int *fds, size_t nfds);
/* The same with a deadline; a signal ends it in an interruptible session. */
maestro_status_t mst_client_fetch_until(maestro_session_t *session, mst_wire_fetch_t kind, uint32_t number, int64_t deadline_ns, mst_wire_fetch_reply_t *reply, int *fds, size_t nfds);

/* ---- memory.c: own blocks, mapped segments.  Lock held. */
maestro_status_t mst_client_memory_init(maestro_session_t *session);
void mst_client_memory_fini(maestro_session_t *session);
maestro_status_t mst_client_alloc(maestro_session_t *session, uint64_t nbytes, int64_t deadline_ns, const char *operation, mst_mem_block_t *block_out);
maestro_status_t mst_client_try_alloc(maestro_session_t *session, uint64_t nbytes, mst_mem_block_t *block_out); /* NO_MEMORY where alloc would have to ask */
void mst_client_take_freed(maestro_session_t *session);   /* blocks the manager gave back */
maestro_status_t mst_client_map(maestro_session_t *session, const mst_wire_place_t *place, const void **bytes_out);
void mst_client_unmap(maestro_session_t *session, uint32_t segment);
void mst_client_return(maestro_session_t *session, uint32_t segment); /* a lent segment goes back with the next message */
void mst_client_hold(maestro_session_t *session, maestro_cdo_t *cdo);   /* its block stays its handle's when it comes back */
void mst_client_unhold(maestro_session_t *session, maestro_cdo_t *cdo);

/* ---- need.c */
void mst_client_needs_fini(maestro_session_t *session); /* the session is closed; may be called again */

/* ---- check.c: MAESTRO_CHECK.  Lock held, but for the last one. */
enum { MST_CLIENT_CHECK_PAGES = 1, MST_CLIENT_CHECK_SUMS = 2 };
maestro_status_t mst_client_check_init(maestro_session_t *session);
uint64_t mst_client_check_nbytes(uint64_t nbytes); /* what to allocate with PAGES */
maestro_status_t mst_client_check_offer(maestro_cdo_t *cdo); /* before it is sent; undone by: */
void mst_client_check_unprotect(const maestro_session_t *session, uint32_t segment, uint64_t offset); /* with PAGES: a block is this process's again, or no block */
maestro_status_t mst_client_check_own(const maestro_cdo_t *cdo, const char *operation);   /* CORRUPT: it was written to since its offer */
maestro_status_t mst_client_check_leased(maestro_cdo_t *cdo, const char *operation);      /* with SUMS */

/* ---- attributes.c: what a component must not set. */
static inline bool mst_client_key_is_origin(unsigned key) { /* a relay may */
    return key == MST_META_KEY_COMPONENT || key == MST_META_KEY_RANK || key == MST_META_KEY_VERSION || key == MST_META_KEY_NODE;
}
static inline bool mst_client_key_is_maestros(unsigned key) {
    return mst_client_key_is_origin(key) || key == MST_META_KEY_PID || key == MST_META_KEY_REASON || key == MST_META_KEY_MISSING;
}
/* An object's attributes into a builder of the same schema that has no dictionary, with texts instead of codes. */
maestro_status_t mst_client_copy_attributes(const maestro_cdo_t *cdo, mst_meta_builder_t *builder);
maestro_status_t mst_client_refuse_key(const char *operation, const char *name);

/* ---- cdo.c */
maestro_cdo_t *mst_client_cdo_new(maestro_session_t *session); /* from the spare ones; NULL without memory */
void mst_client_cdo_spare(maestro_cdo_t *cdo);                 /* frees what it holds and puts it back */
maestro_status_t mst_client_cdo_leased(maestro_session_t *session, mst_client_state_t state, uint64_t id, uint64_t lease, const mst_wire_place_t *place,
                                       const mst_meta_attributes_t *attributes, maestro_cdo_t **cdo_out);
/* Writes the offer of what was built, with its data, into the ring (flags: MST_WIRE_OFFER_*); the manager is not woken. */
maestro_status_t mst_client_write_offer(maestro_session_t *session, const mst_meta_builder_t *builder, const mst_wire_place_t *place, uint16_t flags,
                                        int64_t deadline_ns, const char *operation, uint64_t *id_out);
maestro_cdo_t *mst_client_cdo_by_id(maestro_session_t *session, uint64_t id);

#endif
