/* An object, or a notice, which only events show: of a session that joined or left, of a need that began or ended. */
#ifndef MST_POOL_OBJECT_H
#define MST_POOL_OBJECT_H

#include "pool/pool.h"
#include "wire/protocol.h"

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

static inline uint32_t mst_pool_owner(uint64_t id) { return (uint32_t)(id >> 40); }

#endif
