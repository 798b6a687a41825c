/* The pool manager's parts and how they see each other.  One thread, one loop; nothing in it does I/O or takes longer than 100 us at a time:
 * long work (searches, snapshots, indexing) is cut into slices.
 *
 *   arena      memory of objects' metadata, named by 32-bit handles
 *   template   what objects have in common
 *   catalogue  live objects: identity, leases, end of life; identities: the table of them
 *   log        numbered events, and the live objects in the order of their offers
 *   ahead      objects that groups hand out before others
 *   lifetime   objects whose lives have an end, or none before an archive has them
 *   parts      objects that several offers make together
 *   lending    segments lent to sessions, limits, the way back of blocks
 *   session    one client: its rings, leases, counters; serve: what comes through the rings; offers: objects among that
 *   subscription, request, search   what clients wait for; group: what several share; need: that they do, told to who provides
 *   elsewhere  what lies on other nodes
 *   helper     the one other thread, for what takes longer
 *   manager    the loop
 */
#ifndef MST_POOL_H
#define MST_POOL_H

#include "mem/limits.h"
#include "mem/segment.h"
#include "meta/index.h"
#include "meta/matcher.h"
#include "wire/protocol.h"
#include "wire/socket.h"

#include <pthread.h>
#include <stdio.h>

#define MST_POOL_NONE UINT32_MAX

typedef struct mst_pool mst_pool_t;
typedef struct mst_pool_session mst_pool_session_t;
typedef struct mst_pool_subscription mst_pool_subscription_t;
typedef struct mst_pool_request mst_pool_request_t;
typedef struct mst_pool_group mst_pool_group_t;
typedef struct mst_pool_member mst_pool_member_t;
typedef struct mst_pool_requirement mst_pool_requirement_t;
typedef struct mst_pool_whole mst_pool_whole_t;

/* ---- arena.c: slots of a few size classes; a handle is a slot's address / 16.  A page keeps its class for ever, so a stale handle always names
 * the start of a slot, whose id is 0 when it is free. */
typedef struct mst_pool_arena {
    char *base;
    uint64_t reserved, used;
    uint64_t live_nbytes;
    struct {
        uint32_t free;          /* handle of the first free slot */
        uint64_t fresh, end;    /* uncarved part of the newest page */
    } size_class[80];
} mst_pool_arena_t;

/* Zeroed memory straight from the kernel, or address space for it; NULL when there is none; freeing NULL is allowed. */
void *mst_pool_pages_alloc(size_t nbytes);
void mst_pool_pages_free(void *pages, size_t nbytes);

maestro_status_t mst_pool_arena_init(mst_pool_arena_t *arena);
void mst_pool_arena_fini(mst_pool_arena_t *arena);
uint32_t mst_pool_arena_alloc(mst_pool_arena_t *arena, size_t nbytes); /* MST_POOL_NONE when full */
void mst_pool_arena_free(mst_pool_arena_t *arena, uint32_t handle, size_t nbytes);

/* ---- helper.c */
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

/* ---- identities.c: handles of objects by the tag of their identity. */
enum { MST_POOL_BUCKET_SLOTS = 8 };

typedef struct mst_pool_identity {
    uint32_t tag, handle; /* handles below 2 are nobody's */
} mst_pool_identity_t;

typedef struct mst_pool_bucket { /* a cache line */
    mst_pool_identity_t entry[MST_POOL_BUCKET_SLOTS];
} mst_pool_bucket_t;

typedef struct mst_pool_identities {
    mst_pool_bucket_t *bucket;
    uint64_t reserved, nbuckets, links; /* buckets; those from `links` on continue others */
    uint64_t half;                      /* power of two, half < nbuckets <= 2 half, but at the beginning */
    uint64_t count;
    uint32_t free_link;
} mst_pool_identities_t;

typedef struct mst_pool_identity_cursor { /* good until something is put or removed */
    mst_pool_identity_t *entry;
    uint32_t tag, slot;
} mst_pool_identity_cursor_t;

maestro_status_t mst_pool_identities_init(mst_pool_identities_t *table, uint64_t nbytes); /* address space to reserve, if there is so much */
void mst_pool_identities_fini(mst_pool_identities_t *table);
void mst_pool_identities_expect(const mst_pool_identities_t *table, uint32_t tag); /* it is looked for soon */
mst_pool_identity_cursor_t mst_pool_identities_find(const mst_pool_identities_t *table, uint32_t tag);
uint32_t mst_pool_identities_next(const mst_pool_identities_t *table, mst_pool_identity_cursor_t *cursor); /* next handle of this tag; MST_POOL_NONE: no more */
bool mst_pool_identities_put(mst_pool_identities_t *table, mst_pool_identity_cursor_t *end, uint32_t handle); /* where there was no more; false: it is full */
void mst_pool_identities_remove(mst_pool_identities_t *table, uint32_t tag, uint32_t handle);

/* ---- An object, or a notice, which only events show: of a session that joined or left, of a need that began or ended. */
typedef enum mst_pool_state { MST_POOL_HIDDEN, MST_POOL_LIVE, MST_POOL_WITHDRAWN, MST_POOL_ENDED } mst_pool_state_t; /* hidden: a part, see parts.c */

typedef struct mst_pool_object { /* as small as it can be: fresh memory costs a manager more than all that it does with an object */
    uint64_t id;            /* session << 40 | number; 0: the slot is free */
    uint64_t sequence;      /* of its first event in the log */
    uint32_t leases;
    uint32_t tag;           /* of its identity */
    uint32_t waiter;        /* slot of the withdraw request that waits for it; MST_POOL_NONE: none */
    uint32_t template;      /* handle */
    uint16_t tail_nbytes;   /* of its attributes */
    uint8_t refs;           /* entries of the retained log, and among the last withdrawn: a handful */
    uint8_t state : 2;      /* mst_pool_state_t */
    uint8_t indexed : 1;
    uint8_t consuming : 1;  /* live, and withdrawn as soon as it is consumed */
    uint8_t has_place : 1;
    uint8_t returned : 1;   /* was given back to a consumer group, and may wait there */
    uint8_t has_life : 1;   /* says how long it lives */
    uint8_t is_part : 1;    /* of an object of several parts */
    uint8_t notice;         /* 0: object; else the event kind: JOINED and REQUIRED live, LEFT and RETRACTED do not */
    uint64_t rest[];        /* where its bytes lie, if it has any; its life, if it says; attribute words in which it differs from its template; the tail;
                             * of a part: mst_pool_whole_t * */
} mst_pool_object_t;

enum { MST_POOL_PLACE_WORDS = 2 }; /* segment << 32 | offset / 64; bytes */

typedef struct mst_pool_life { /* one word */
    uint32_t place;         /* in the heap of lifetimes; MST_POOL_NONE: not there */
    uint32_t demands : 30;  /* after so many more it expires; 0: they are not counted, or it has expired */
    uint32_t for_ever : 1;  /* not withdrawn before it is archived */
    uint32_t archived : 1;
} mst_pool_life_t;
_Static_assert(sizeof(mst_pool_life_t) == sizeof(uint64_t), "a life is one word");

static inline unsigned mst_pool_words_before_own(const mst_pool_object_t *object) { return object->has_place * MST_POOL_PLACE_WORDS + object->has_life; }
static inline uint64_t *mst_pool_own(mst_pool_object_t *object) { return object->rest + mst_pool_words_before_own(object); }
static inline mst_wire_place_t mst_pool_place(const mst_pool_object_t *object) {
    if (!object->has_place) return (mst_wire_place_t){.segment = MST_WIRE_NO_SEGMENT};
    return (mst_wire_place_t){.segment = (uint32_t)(object->rest[0] >> 32), .offset = (uint64_t)(uint32_t)object->rest[0] * 64, .nbytes = object->rest[1]};
}

/* Keys that the manager sets; they follow each other, and belong to the identity. */
#define MST_POOL_OWNER_KEYS (1ull << MST_META_KEY_COMPONENT | 1ull << MST_META_KEY_RANK)

/* ---- template.c */
typedef struct mst_pool_template {
    uint64_t no_id;         /* 0: no object, for whoever has a stale handle */
    uint32_t refs;          /* objects, open runs, and sessions that go on with it */
    uint32_t objects;       /* made from it so far */
    uint32_t nown;          /* words that lie with the object */
    uint64_t identity;      /* hash of the identity attributes that lie here */
    uint64_t own[2];        /* keys of the words that lie with the objects */
    uint64_t identity_own;  /* bit i: own word i belongs to the identity; of the first 64, which the others follow */
    bool anonymous;         /* its objects have neither name nor identity attributes: they are all different */
    mst_meta_attributes_t attributes; /* of the first object, without tail; then arrays: constants (all bits, or 0: own), positions and keys of own words */
} mst_pool_template_t;

static inline uint32_t mst_pool_owner(uint64_t id) { return (uint32_t)(id >> 40); }

/* ---- catalogue.c */
typedef struct mst_pool_catalogue {
    mst_pool_arena_t arena;
    mst_pool_identities_t identities;
    uint64_t arena_touched, identities_touched;
    mst_meta_index_t *index;
    uint64_t indexed_to;    /* sequence up to which live objects are in the index */
    bool index_broken;      /* it ran out of memory: searches scan from now on */
    uint64_t live, hidden, limit; /* hidden: parts that wait for others, or hang on part 0 */
    uint64_t offered_total, withdrawn_total, expired_total, refused_total, bytes_total, copied_total;
    uint64_t leases, leases_total;
    struct {
        uint32_t handle;
        int64_t when_ns;
        bool expired;
    } withdrawn[64];        /* the last ones, so that who comes too late can be told; a ring, holding references */
    uint32_t withdrawn_next;
} mst_pool_catalogue_t;

static inline mst_pool_object_t *mst_pool_object(mst_pool_catalogue_t *catalogue, uint32_t handle) {
    return (mst_pool_object_t *)(catalogue->arena.base + (uint64_t)handle * 16);
}

static inline mst_pool_template_t *mst_pool_template(const mst_pool_catalogue_t *catalogue, uint32_t handle) {
    return (mst_pool_template_t *)(catalogue->arena.base + (uint64_t)handle * 16);
}
static inline uint16_t mst_pool_schema_of(const mst_pool_catalogue_t *catalogue, const mst_pool_object_t *object) {
    return mst_pool_template(catalogue, object->template)->attributes.schema;
}

/* The session's template that this set agrees with in all constants, which thus need no check; MST_POOL_NONE: none. */
uint32_t mst_pool_template_find(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set);
/* A template that fits, in place of the one that did not; the session holds the reference.  The set is checked.  MST_POOL_NONE: no memory. */
uint32_t mst_pool_template_renew(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set);
/* A template whose first reference is the caller's; words at the positions whose bits are set lie with the objects, and text. */
uint32_t mst_pool_template_make(mst_pool_t *pool, const mst_meta_attributes_t *set, const uint64_t *own);
void mst_pool_template_unref(mst_pool_t *pool, uint32_t handle);
bool mst_pool_template_check(mst_pool_t *pool, const mst_pool_template_t *template, const mst_meta_attributes_t *set); /* own words; the rest is */
uint64_t mst_pool_template_identity(mst_pool_t *pool, const mst_pool_template_t *template, const mst_meta_attributes_t *set); /* hash */
bool mst_pool_template_fits_run(const mst_pool_template_t *template); /* it has not too many own words */
/* Puts the template's constants and the positions of own words into the beginning of a run. */
void mst_pool_template_begin_run(const mst_pool_template_t *template, mst_wire_run_t *run);
/* A template of the session that agrees with the set, in which the words at the positions whose bits are set are own ones; made if need be. */
uint32_t mst_pool_template_for_run(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set, const uint64_t *own);
/* Own words lie with objects, and in rows of runs, in one order.  The identity's hash by them alone, when none is text. */
uint64_t mst_pool_template_identity_of(mst_pool_t *pool, const mst_pool_template_t *template, const uint64_t *own);
void mst_pool_template_take(const mst_pool_template_t *template, const mst_meta_attributes_t *set, uint64_t *own); /* own words and tail */
/* An object's attributes, whole: written to `out`, or into memory of the pool that stays valid until the second next call. */
size_t mst_pool_attributes_nbytes(mst_pool_t *pool, const mst_pool_object_t *object);
void mst_pool_attributes_write(mst_pool_t *pool, const mst_pool_object_t *object, mst_meta_attributes_t *out);
const mst_meta_attributes_t *mst_pool_attributes(mst_pool_t *pool, const mst_pool_object_t *object);
bool mst_pool_same_value(const mst_pool_t *pool, const mst_meta_attributes_t *a, const mst_meta_attributes_t *b, unsigned key); /* or absent in both */

/* ---- catalogue.c, again */
maestro_status_t mst_pool_catalogue_init(mst_pool_t *pool);
void mst_pool_catalogue_fini(mst_pool_t *pool);
void mst_pool_catalogue_prepare(mst_pool_t *pool); /* between rounds: memory for what comes next */
/* Takes an offer whose attributes are checked and interned, made from a template; the tag is the low half of its identity's hash.
 * OK, DUPLICATE (id of the other in *other_out), NO_MEMORY. */
maestro_status_t mst_pool_catalogue_offer(mst_pool_t *pool, mst_pool_session_t *session, uint64_t id, const mst_wire_place_t *place,
                                          const mst_meta_attributes_t *attributes, uint32_t template, uint32_t tag, uint32_t *handle_out, uint64_t *other_out);
/* A part, in two steps: made and hidden; then, of part 0, shown as the whole object: OK, DUPLICATE, NO_MEMORY.  Its attributes are then pool->offered. */
uint32_t mst_pool_catalogue_hide(mst_pool_t *pool, mst_pool_session_t *session, uint64_t id, const mst_wire_place_t *place, const mst_meta_attributes_t *attributes,
                                 uint32_t template, uint32_t tag, mst_pool_whole_t *whole);
maestro_status_t mst_pool_catalogue_reveal(mst_pool_t *pool, uint32_t handle, uint64_t *other_out);
void mst_pool_catalogue_drop_part(mst_pool_t *pool, uint32_t handle); /* a part that is not shown, or is no more: its bytes go back */
mst_pool_whole_t **mst_pool_whole_of(mst_pool_t *pool, mst_pool_object_t *object); /* of a part */
bool mst_pool_catalogue_same(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *attributes); /* owner and identity */
uint32_t mst_pool_catalogue_find(mst_pool_t *pool, uint32_t tag, const mst_meta_attributes_t *attributes); /* the live one of this identity; MST_POOL_NONE */
/* An object without bytes that is not there, for an event that speaks of it. */
void mst_pool_catalogue_tell(mst_pool_t *pool, uint64_t id, uint32_t kind, const mst_meta_attributes_t *attributes);
/* An object of these own words, of which none is text, comes soon: brings near where it will be looked for; its tag. */
uint32_t mst_pool_catalogue_expect(mst_pool_t *pool, uint32_t template, const uint64_t *own);
/* An object's metadata without identity: for notices. */
uint32_t mst_pool_catalogue_notice(mst_pool_t *pool, uint64_t id, uint8_t kind, const mst_meta_attributes_t *attributes);
/* Whether a handle that was kept still names the live object whose first event had this sequence: slots are used again. */
bool mst_pool_is_live(mst_pool_t *pool, uint32_t handle, uint64_t sequence);
void mst_pool_catalogue_end(mst_pool_t *pool, uint32_t handle, uint32_t kind); /* WITHDRAWN or EXPIRED; else as: */
void mst_pool_catalogue_withdraw(mst_pool_t *pool, uint32_t handle);  /* live -> withdrawn, with its event; ends when no lease is left */
/* Of the last ones that were withdrawn the newest that matches, or has this id; writes what became of it: "was withdrawn 2 s ago", "expired 0.1 s ago, after
 * 3 demands".  MST_POOL_NONE: none. */
uint32_t mst_pool_catalogue_find_withdrawn(mst_pool_t *pool, const mst_meta_selector_t *selector, uint16_t schema, char *fate, size_t nbytes);
uint32_t mst_pool_catalogue_find_withdrawn_id(mst_pool_t *pool, uint64_t id, char *fate, size_t nbytes);
void mst_pool_catalogue_lease_ended(mst_pool_t *pool, uint32_t handle);
void mst_pool_catalogue_unref(mst_pool_t *pool, uint32_t handle);     /* the retained log lets go */
/* Brings the index forward by at most `budget` objects; true when it is up to date. */
bool mst_pool_catalogue_index_step(mst_pool_t *pool, size_t budget);

/* ---- lifetime.c: objects that say how long they live. */
#define MST_POOL_LIFE_KEYS (1ull << MST_META_KEY_LIFETIME | 1ull << MST_META_KEY_DEMANDS | 1ull << MST_META_KEY_PERSIST)

typedef struct mst_pool_lifetimes {
    struct mst_pool_expiry *heap; /* of those that live */
    size_t count, capacity;
    size_t counted;               /* objects that expire by demands */
    size_t unarchived;            /* objects that wait for an archive */
} mst_pool_lifetimes_t;

static inline mst_pool_life_t *mst_pool_life(mst_pool_object_t *object) { return (mst_pool_life_t *)(object->rest + object->has_place * MST_POOL_PLACE_WORDS); }
/* It may neither be withdrawn nor make room for another version yet. */
static inline bool mst_pool_awaits_archive(mst_pool_object_t *object) {
    return object->has_life && mst_pool_life(object)->for_ever && !mst_pool_life(object)->archived;
}

void mst_pool_lifetime_begin(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *set); /* from now on, after its event */
void mst_pool_lifetime_end(mst_pool_t *pool, uint32_t handle);     /* for the catalogue: an object that has a life no longer lives */
void mst_pool_lifetime_read(mst_pool_t *pool, uint32_t handle);    /* it was read; the lease lasts yet */
void mst_pool_lifetime_archived(mst_pool_t *pool, uint32_t handle);
void mst_pool_lifetime_describe(mst_pool_t *pool, uint32_t handle, char *text, size_t nbytes); /* of what it expired: "after 3 demands" */
int64_t mst_pool_lifetime_next(const mst_pool_t *pool); /* when one is to expire; INT64_MAX: never */
void mst_pool_lifetime_expire(mst_pool_t *pool);        /* one slice of those whose time has come */
bool mst_pool_lifetime_holds(const mst_pool_t *pool);   /* one lives that is to expire, or to be archived, for which the pool stays */
void mst_pool_lifetime_fini(mst_pool_t *pool);

/* ---- ahead.c: objects that groups hand out before others. */
#define MST_POOL_AHEAD_KEYS (1ull << MST_META_KEY_PRIORITY | 1ull << MST_META_KEY_DEADLINE) /* an object that has none of them goes in its turn */

typedef struct mst_pool_ahead_entry {
    uint64_t sequence;      /* of its offer */
    int64_t order;          /* the lowest first */
    uint32_t handle;        /* good as long as the log has the offer */
} mst_pool_ahead_entry_t;

typedef struct mst_pool_ahead {
    mst_pool_ahead_entry_t *entry; /* a ring, by sequence */
    size_t first, count, capacity;
} mst_pool_ahead_t;

void mst_pool_ahead_note(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *set); /* an offer that has its sequence */
void mst_pool_ahead_trim(mst_pool_ahead_t *ahead, uint64_t from); /* to where the log begins */
const mst_pool_ahead_entry_t *mst_pool_ahead_next(const mst_pool_ahead_t *ahead, uint64_t after); /* the first one behind a sequence; NULL: none */
void mst_pool_ahead_fini(mst_pool_t *pool);
/* ---- parts.c: objects that several offers make together. */
typedef struct mst_pool_parts {
    mst_pool_whole_t *waiting[256]; /* for parts, by key */
    mst_pool_whole_t *whole;        /* all of whose parts have come */
    struct mst_pool_gone_rank *gone;
    size_t ngone, gone_capacity;
    int64_t next_ns;                /* when one of those that wait is to be given up; INT64_MAX: never */
} mst_pool_parts_t;

/* Takes a part whose attributes are pool->offered.  OK: the object it completed in *handle_out, and pool->offered are that one's attributes; or MST_POOL_NONE:
 * it waits, or was discarded.  DUPLICATE (id in *other_out), INVALID_ARGUMENT and NO_MEMORY; *why_out then says more, or is NULL. */
maestro_status_t mst_pool_parts_take(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer, uint32_t template, uint32_t *handle_out,
                                     uint64_t *other_out, const char **why_out);
bool mst_pool_parts_fit(const mst_meta_attributes_t *set); /* what they say of parts makes sense */
int64_t mst_pool_parts_count(const mst_meta_attributes_t *set); /* maestro.parts, or 1 */
void mst_pool_parts_joined(mst_pool_t *pool, mst_pool_session_t *session);
void mst_pool_parts_left(mst_pool_t *pool, const mst_pool_session_t *session, const char *reason); /* it is no longer among the sessions */
void mst_pool_parts_expire(mst_pool_t *pool); /* what nobody is left to complete */
/* The object to withdraw for who offered this part; MST_POOL_NONE: it waited, and is discarded. */
uint32_t mst_pool_parts_withdraw(mst_pool_t *pool, mst_pool_session_t *session, uint32_t handle);
bool mst_pool_parts_made_by(mst_pool_t *pool, mst_pool_object_t *object, uint32_t session); /* it offered one of its parts */
void mst_pool_parts_withdrawn(mst_pool_t *pool, uint32_t handle); /* for the catalogue: the object is no longer live; has ended */
void mst_pool_parts_ended(mst_pool_t *pool, uint32_t handle);
void mst_pool_parts_give(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *message); /* answers MST_WIRE_PART */
void mst_pool_parts_fini(mst_pool_t *pool);

/* ---- log.c */
typedef struct mst_pool_entry {
    uint64_t sequence;
    uint32_t handle;
    uint32_t kind;          /* maestro_event_kind_t */
} mst_pool_entry_t;

typedef struct mst_pool_live_chunk mst_pool_live_chunk_t;

typedef struct mst_pool_log {
    struct { uint32_t handle, kind; } *retained; /* a ring of capacity entries: sequences [base, next) */
    uint64_t capacity, base, next;
    uint64_t dead_nbytes;            /* metadata kept alive by retained entries alone */
    uint64_t limit_nbytes;
    uint64_t keep_from;              /* entries before are on their way out */
    int64_t limit_ns;
    struct {
        uint64_t next;               /* as it was at that time */
        int64_t when_ns;
    } mark[32];                      /* a ring: two ages long */
    uint32_t nmarks;
    mst_pool_live_chunk_t **chunk;   /* offers and joins before base, in order; dead ones among them are swept */
    size_t nchunks, chunks_capacity, sweep;
    uint64_t live_entries;
    uint64_t gaps_total;
} mst_pool_log_t;

maestro_status_t mst_pool_log_init(mst_pool_t *pool);
void mst_pool_log_fini(mst_pool_t *pool);
/* Appends, takes a reference to the object, returns the sequence; 0 when there is no memory. */
uint64_t mst_pool_log_append(mst_pool_t *pool, uint32_t handle, uint32_t kind);
/* Entries with sequence > after, oldest first: dead ones before `base` are left out.  *reached_out is where to go on from. */
size_t mst_pool_log_read(mst_pool_t *pool, uint64_t after, mst_pool_entry_t *entries, size_t capacity, uint64_t *reached_out);
void mst_pool_log_trim(mst_pool_t *pool, uint64_t keep_from); /* one slice of letting go of retained entries before keep_from */
uint64_t mst_pool_log_old(mst_pool_t *pool); /* events before this sequence are older than the log's age */
void mst_pool_log_sweep(mst_pool_t *pool);                    /* one slice of cleaning the live list, when it is worth it */
static inline uint64_t mst_pool_log_nbytes(const mst_pool_log_t *log) { return (log->next - log->base) * 8 + log->dead_nbytes; }
static inline uint64_t mst_pool_log_last(const mst_pool_log_t *log) { return log->next - 1; }

/* ---- lending.c */
typedef struct mst_pool_segment {
    int fd, readonly_fd;
    uint32_t owner;             /* session it is lent to; 0: none */
    uint64_t nbytes;
    uint64_t blocks, used_nbytes; /* of objects that have not ended */
    uint32_t *readers;          /* sessions that may have it mapped */
    size_t nreaders, readers_capacity;
} mst_pool_segment_t;

typedef struct mst_pool_lending {
    mst_pool_segment_t **segment; /* by number; NULL: gone */
    size_t count, capacity;
    uint64_t limit, lent_nbytes, used_nbytes, idle_nbytes; /* lent: all segments; idle: those of nobody, kept warm */
    uint64_t used_peak;
    uint64_t changes;             /* counts events after which a refused grant may succeed */
} mst_pool_lending_t;

void mst_pool_lending_init(mst_pool_t *pool);
void mst_pool_lending_fini(mst_pool_t *pool);
/* OK; AGAIN when there is no room now; TOO_LARGE when there never is; SYSTEM.  Text of AGAIN names who holds the room. */
maestro_status_t mst_pool_lending_grant(mst_pool_t *pool, mst_pool_session_t *session, uint64_t nbytes, uint32_t *number_out);
maestro_status_t mst_pool_lending_return(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number);
maestro_status_t mst_pool_lending_fetch(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number, int *fd_out, uint64_t *nbytes_out, bool *writable_out);
bool mst_pool_lending_place_ok(mst_pool_t *pool, const mst_pool_session_t *session, const mst_wire_place_t *place);
void mst_pool_lending_block_taken(mst_pool_t *pool, const mst_wire_place_t *place);
void mst_pool_lending_block_ended(mst_pool_t *pool, uint64_t id, const mst_wire_place_t *place); /* back to its owner, or to nobody */
void mst_pool_lending_orphan(mst_pool_t *pool, mst_pool_session_t *session);
void mst_pool_lending_holders(mst_pool_t *pool, char *text, size_t nbytes); /* "hammer[0] 512 MiB, ..." */

/* ---- session.c, attach.c, serve.c */
typedef struct mst_pool_lease {
    uint32_t object, generation; /* free slots: next free, generation */
    int64_t since_ns;
    uint32_t member : 30;        /* number of a subscription in a consumer group, for which its end acknowledges; 0: none */
    uint32_t overdue : 1;        /* no longer: it took too long */
    uint32_t observed : 1;       /* it is no reading (maestro.demands) */
} mst_pool_lease_t;

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

/* ---- offers.c */
void mst_pool_refuse(mst_pool_t *pool, mst_pool_session_t *session, uint64_t id, maestro_status_t status, uint64_t other, const char *text); /* NULL text: none */
size_t mst_pool_offers_serve(mst_pool_t *pool, mst_pool_session_t *session); /* the message at the beginning of its offers ring; how many objects were taken */
const char *mst_pool_obstacle(mst_pool_t *pool, char *text, size_t nbytes);  /* why offers cannot be taken now; NULL: they can */
bool mst_pool_offers_wait(mst_pool_t *pool);
static inline int64_t mst_pool_bounded(int64_t timeout_ns) { return timeout_ns < 0 ? 0 : timeout_ns < (int64_t)1e18 ? timeout_ns : (int64_t)1e18; }

/* ---- search.c: the live objects that match, in slices. */
typedef struct mst_pool_search {
    const mst_meta_selector_t *selector;
    uint16_t schema;
    bool started, by_index, notices; /* notices: include those that live */
    uint32_t *hits;                  /* by_index: handles, in order of sequence */
    uint64_t *hit_sequence;
    size_t nhits, next;
    uint64_t cursor;                 /* scan: last sequence seen */
    bool bounded;                    /* scan: stop at `until`, the last sequence when it began; else at the log's end */
    uint64_t until;
} mst_pool_search_t;

void mst_pool_search_init(mst_pool_search_t *search, const mst_meta_selector_t *selector, uint16_t schema, bool notices, bool bounded);
void mst_pool_search_fini(mst_pool_search_t *search);
/* One slice: up to `capacity` matching entries.  *done_out when there are no more; then everything live at this moment has been seen,
 * if the search is not bounded. */
size_t mst_pool_search_step(mst_pool_t *pool, mst_pool_search_t *search, mst_pool_entry_t *entries, size_t capacity, bool *done_out);
/* Gives the last step's entries from `first` on back, to come again. */
void mst_pool_search_unread(mst_pool_search_t *search, const mst_pool_entry_t *entries, size_t first, size_t count);
/* Of a reader of a snapshot, while `snapshot`, and then of the log behind `cursor`: the last sequence that it needs no more of the log for; whether an
 * object's offer is still to come. */
uint64_t mst_pool_search_seen(const mst_pool_t *pool, const mst_pool_search_t *search, bool snapshot, uint64_t cursor);
bool mst_pool_search_awaits(const mst_pool_search_t *search, bool snapshot, uint64_t cursor, uint64_t sequence);
/* What the selector said last, where many objects are looked at: those of one template differ for it only where it looks at their own words. */
typedef struct mst_pool_verdict {
    uint32_t template; /* 0: none yet */
    bool selected;
} mst_pool_verdict_t;

bool mst_pool_selects_next(mst_pool_t *pool, const mst_meta_selector_t *selector, uint16_t schema, const mst_pool_object_t *object, mst_pool_verdict_t *verdict);
bool mst_pool_selects(mst_pool_t *pool, const mst_meta_selector_t *selector, uint16_t schema, const mst_pool_object_t *object);

/* ---- subscription.c */
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

/* ---- request.c: what has not been answered yet */
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

/* ---- group.c: consumer groups. */
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
bool mst_pool_group_waits(const mst_pool_t *pool);                 /* one has something to hand out, and nobody to take it */
uint64_t mst_pool_group_needs(const mst_pool_t *pool);             /* the log from this sequence on */
bool mst_pool_group_awaits(mst_pool_t *pool, const mst_pool_object_t *object, uint32_t handle);
uint64_t mst_pool_group_lag(const mst_pool_t *pool, const mst_pool_group_t *group);
const char *mst_pool_group_holder(const mst_pool_t *pool, char *text, size_t nbytes); /* who holds the log; NULL: no group */
void mst_pool_group_fini(mst_pool_t *pool);

/* ---- need.c */
typedef struct mst_pool_needs {
    uint64_t numbers, live;
    uint32_t *ended;                 /* notices that are still to be told */
    size_t nended, ended_capacity;
} mst_pool_needs_t;

/* A session, or a consumer group of this name (NULL: the session), needs what the selector selects; a handle for mst_pool_need_end, 0: no memory.  The reason
 * is as maestro.reason tells it. */
uint32_t mst_pool_need_begin(mst_pool_t *pool, const mst_pool_session_t *session, const char *group, const mst_meta_selector_t *selector, const char *reason);
void mst_pool_need_end(mst_pool_t *pool, uint32_t need); /* 0 is allowed */
void mst_pool_need_tell_ended(mst_pool_t *pool);
maestro_status_t mst_pool_need_declare(mst_pool_t *pool, mst_pool_session_t *session, const char *text, uint32_t *number_out);
void mst_pool_need_retract(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number);
void mst_pool_need_retract_all(mst_pool_t *pool, mst_pool_session_t *session);

/* ---- elsewhere.c */
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

/* ---- stats.c */
void mst_pool_stats_json(mst_pool_t *pool, mst_base_buffer_t *out);

/* ---- manager.c */
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
