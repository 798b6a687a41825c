/* What client and manager say to each other: packets on the socket (attach, descriptors), messages in the rings.
 * Native byte order and alignment: both ends are on one machine.  Every struct is checked by its reader before use. */
#ifndef MST_WIRE_PROTOCOL_H
#define MST_WIRE_PROTOCOL_H

#include "meta/attributes.h"
#include "wire/ring.h"

enum {
    MST_WIRE_MAGIC = 0x5254534d,        /* "MSTR" */
    MST_WIRE_PROTOCOL = 5,              /* the first 8 bytes of hello and welcome never change */
    MST_WIRE_NAME_MAX = 64,             /* component, pool, schema names, terminator included */
    MST_WIRE_TEXT_MAX = 2048,           /* text of an error */
    MST_WIRE_SCHEMA_MAX = 1 << 20,
    MST_WIRE_OFFERS_CAPACITY = 256 << 10,
    MST_WIRE_CONTROL_CAPACITY = 256 << 10,
    MST_WIRE_REPLIES_CAPACITY = 256 << 10,
    MST_WIRE_WORDS_CAPACITY = 64 << 10, /* bytes of the release and freed rings: 4096 messages of 16 bytes */
    MST_WIRE_WINDOW_DEFAULT = 1 << 20,
    MST_WIRE_WINDOW_MIN = 256 << 10,
    MST_WIRE_WINDOW_MAX = 64 << 20,
    MST_WIRE_RUN_ROWS = 256,
    MST_WIRE_RUN_OWN = 16,
    MST_WIRE_PREFETCH_BITS = 24,
    MST_WIRE_PARTS_MAX = 65536          /* of one object */
};

#define MST_WIRE_NO_SEGMENT UINT32_MAX

/* ---- Socket packets (SOCK_SEQPACKET). */
typedef struct mst_wire_hello {
    uint32_t magic, protocol;
    int64_t rank;
    char component[MST_WIRE_NAME_MAX];
    char schema[MST_WIRE_NAME_MAX];     /* "": the pool's first schema, else core */
    uint32_t schema_nbytes;             /* YAML text in the memfd that comes along; 0: none */
    uint16_t relay;                     /* 1: its offers may say who has offered them elsewhere */
    uint16_t priority;                  /* maestro_priority_t; what is none is normal */
} mst_wire_hello_t;

typedef struct mst_wire_welcome {
    uint32_t magic, protocol;
    int32_t status;
    uint32_t session;                   /* number, 1 .. 2^24-1 */
    uint32_t schema_number, schema_nbytes;
    uint64_t channel_nbytes, dictionary_nbytes;
    int64_t memory_limit;
    char text[MST_WIRE_TEXT_MAX];       /* why it was refused */
} mst_wire_welcome_t;

/* Descriptors that come with a welcome, in this order. */
enum { MST_WIRE_FD_CHANNEL, MST_WIRE_FD_DICTIONARY, MST_WIRE_FD_BOARD, MST_WIRE_FD_WAKE_MANAGER, MST_WIRE_FD_WAKE_CLIENT, MST_WIRE_FD_SCHEMA, MST_WIRE_FDS };

typedef enum mst_wire_fetch {
    MST_WIRE_FETCH_SEGMENT = 1,         /* argument: segment number; read-only, or writable for the session it is lent to */
    MST_WIRE_FETCH_WINDOW = 2,          /* argument: subscription number; two descriptors: ring, eventfd */
    MST_WIRE_FETCH_STATS = 3,           /* a memfd with JSON text */
    MST_WIRE_FETCH_BYE = 4              /* the session ends in good order; no reply */
} mst_wire_fetch_t;

typedef struct mst_wire_fetch_request {
    uint32_t kind, number;
} mst_wire_fetch_request_t;

typedef struct mst_wire_fetch_reply {
    int32_t status;
    uint32_t writable;
    uint64_t nbytes;
} mst_wire_fetch_reply_t;

/* ---- The channel: one memfd per session that holds its five rings, in this order. */
typedef struct mst_wire_channel {
    mst_wire_ring_t offers, control, releases; /* client -> manager */
    mst_wire_ring_t replies, freed;            /* manager -> client */
} mst_wire_channel_t;

uint64_t mst_wire_channel_nbytes(void);
void mst_wire_channel_init(mst_wire_channel_t *channel, void *memory, bool manager);

/* ---- The board: one page the manager writes and everybody reads. */
typedef struct mst_wire_board {
    _Atomic uint32_t sleeping; /* MST_WIRE_ASLEEP_* bits, and above them the number of this sleep, so that who has rung need not ring twice; 0: awake */
    _Atomic uint32_t leaving;  /* it ends in good order */
    _Atomic uint32_t spin_ns;  /* how long clients' waits may spin before they sleep; 0 when those that were heard lately outnumber the cores */
} mst_wire_board_t;

enum {
    MST_WIRE_ASLEEP = 1,          /* ring its eventfd after writing into a ring */
    MST_WIRE_ASLEEP_RELEASES = 2, /* after giving a lease back too: somebody waits for that */
    MST_WIRE_ASLEEP_ROOM = 4,     /* after reading half of a window too */
    MST_WIRE_ASLEEP_BITS = 3
};

/* ---- Ring messages.  All start with the ring's size word. */
typedef struct mst_wire_head {
    uint32_t nbytes;
    uint16_t kind;
    uint16_t flags;
} mst_wire_head_t;

typedef enum mst_wire_kind {
    MST_WIRE_OFFER = 1,
    MST_WIRE_OFFER_RUN,     /* mst_wire_run_t */
    /* control ring; all begin with mst_wire_request_t */
    MST_WIRE_FLUSH = 16,
    MST_WIRE_SUBSCRIBE, MST_WIRE_UNSUBSCRIBE,
    MST_WIRE_DEMAND, MST_WIRE_CANCEL,
    MST_WIRE_WITHDRAW, MST_WIRE_WITHDRAW_MATCHING,
    MST_WIRE_COUNT,
    MST_WIRE_SEGMENT, MST_WIRE_SEGMENT_RETURN,
    MST_WIRE_REQUIRE, MST_WIRE_RETRACT,
    MST_WIRE_LINK,          /* this relay is the link from now on, and tells what lies on other nodes */
    MST_WIRE_PART,
    /* replies ring */
    MST_WIRE_REPLY = 48,    /* mst_wire_reply_t, ends a request */
    MST_WIRE_REFUSED,       /* mst_wire_refused_t: an offer */
    MST_WIRE_UNMAP,         /* mst_wire_word_t: a segment no longer exists */
    /* releases and freed rings */
    MST_WIRE_WORD = 64,     /* mst_wire_word_t: leases, or segment << 32 | offset / 64 */
    /* windows of subscriptions */
    MST_WIRE_EVENT = 80,    /* mst_wire_event_t */
    MST_WIRE_EVENT_RUN,     /* mst_wire_run_t, of offered objects */
    MST_WIRE_GAP,           /* mst_wire_gap_t */
    MST_WIRE_END            /* head only: a query is complete */
} mst_wire_kind_t;

/* Where an object's bytes lie. */
typedef struct mst_wire_place {
    uint32_t segment;       /* MST_WIRE_NO_SEGMENT: the object has no data */
    uint32_t pad;
    uint64_t offset, nbytes;
} mst_wire_place_t;

typedef struct mst_wire_offer {
    mst_wire_head_t head;   /* flags: MST_WIRE_OFFER_* */
    uint64_t id;            /* session << 40 | number, ascending */
    int64_t timeout_ns;     /* how long it may wait to be taken */
    mst_wire_place_t place;
    mst_meta_attributes_t attributes;
} mst_wire_offer_t;

enum {
    MST_WIRE_OFFER_COPIED = 1,   /* application memory was copied into the pool */
    MST_WIRE_OFFER_ELSEWHERE = 2 /* a relay's: the object lies on another node */
};

typedef struct mst_wire_request {
    mst_wire_head_t head;
    uint64_t request;       /* the client's number, comes back in the reply */
    uint64_t after;         /* serve when the offers ring has been read up to here */
    int64_t timeout_ns;
    uint64_t argument;      /* object id; PART: lease; subscription; request to cancel; need; segment; bytes;
                               SUBSCRIBE: limit << 32 | prefetch << 8 | bytes of the group's name */
    union {
        uint32_t kinds;     /* SUBSCRIBE: event kinds; WITHDRAW: when; PART: which */
        uint32_t rows;      /* UNSUBSCRIBE: that were taken of the run at which reading ended */
    };
    uint16_t start;
    uint8_t hold, observe;
    union {
        uint64_t window;    /* SUBSCRIBE: capacity, a power of two */
        uint64_t position;  /* UNSUBSCRIBE: how far the window was read */
    };
    uint32_t text_nbytes;   /* selector, without terminator; SUBSCRIBE: then the group's name */
    uint32_t acknowledge_ms; /* SUBSCRIBE in a group: what takes longer is given to another member; 0: never */
    char text[];
} mst_wire_request_t;

typedef struct mst_wire_reply {
    mst_wire_head_t head;   /* flags: MST_WIRE_REPLY_* */
    uint64_t request;
    int32_t status;
    uint32_t text_nbytes;   /* error text after the struct (then no attributes) */
    uint64_t value;         /* COUNT, WITHDRAW_MATCHING: how many; SUBSCRIBE, REQUIRE, SEGMENT: number */
    uint64_t id, lease;     /* DEMAND, PART */
    mst_wire_place_t place; /* DEMAND, PART; SEGMENT: nbytes */
    uint64_t rest[];        /* DEMAND, PART: packed attributes; or text */
} mst_wire_reply_t;

typedef struct mst_wire_refused {
    mst_wire_head_t head;
    uint64_t id;
    int32_t status;
    uint32_t text_nbytes;   /* why, where the status alone does not say it */
    uint64_t other;         /* DUPLICATE: the id of the object that exists */
    char text[];
} mst_wire_refused_t;

typedef struct mst_wire_word {
    mst_wire_head_t head;
    union {
        uint64_t word;
        uint64_t words[1];  /* of releases: as many as the message has room for */
    };
} mst_wire_word_t;

static inline size_t mst_wire_word_nbytes(size_t count) { return sizeof(mst_wire_head_t) + 8 * count; }
static inline size_t mst_wire_word_count(size_t nbytes) { return (nbytes - sizeof(mst_wire_head_t)) / 8; }

typedef struct mst_wire_event {
    mst_wire_head_t head;   /* flags: event kind | MST_WIRE_EVENT_GONE */
    uint64_t sequence, id;
    uint64_t lease;         /* 0: none (gone, or no object: joined, left, required, retracted) */
    mst_wire_place_t place;
    mst_meta_attributes_t attributes;
} mst_wire_event_t;

enum { /* what can be subscribed to */
    MST_WIRE_EVENT_KINDS = MAESTRO_EVENT_OFFERED | MAESTRO_EVENT_WITHDRAWN | MAESTRO_EVENT_JOINED | MAESTRO_EVENT_LEFT | MAESTRO_EVENT_EXPIRED | MAESTRO_EVENT_REQUIRED |
                           MAESTRO_EVENT_RETRACTED | MAESTRO_EVENT_INCOMPLETE
};
enum { MST_WIRE_EVENT_GONE = 0x8000, MST_WIRE_EVENT_REDELIVERED = 0x4000 };

#define MST_WIRE_LEASE_REJECTED 0x80000000ull /* in a lease that comes back: its group is to give the object to another member */

/* Objects offered one after the other that differ in few words and have no text of their own: what they have in common, then a row each. */
typedef struct mst_wire_run {
    mst_wire_head_t head;   /* OFFER_RUN flags: MST_WIRE_OFFER_COPIED */
    uint64_t id;            /* of the first object; the others' ids follow */
    uint64_t sequence;      /* EVENT_RUN: of the first object's event; the others' follow */
    int64_t timeout_ns;     /* OFFER_RUN: how long each may wait to be taken */
    uint32_t count;         /* 1 .. MST_WIRE_RUN_ROWS */
    uint16_t nown;          /* words in which they differ, at most MST_WIRE_RUN_OWN */
    uint16_t has_places;
    uint8_t position[MST_WIRE_RUN_OWN]; /* of each own word among the values, ascending */
    mst_meta_attributes_t attributes;   /* of the first object, without tail; then the rows */
} mst_wire_run_t;

/* A row: the lease (EVENT_RUN), the place (where the run has places), the own words. */
static inline size_t mst_wire_run_row_words(bool lease, bool place, unsigned nown) {
    return lease + (place ? sizeof(mst_wire_place_t) / 8 : 0) + nown;
}
static inline size_t mst_wire_run_nbytes(unsigned nvalues, size_t row_words, size_t count) {
    return offsetof(mst_wire_run_t, attributes) + sizeof(mst_meta_attributes_t) + 8 * (nvalues + row_words * count);
}
static inline uint64_t *mst_wire_run_row(const mst_wire_run_t *run, size_t row_words, size_t row) {
    return (uint64_t *)&run->attributes.value[run->attributes.nvalues] + row * row_words;
}

typedef struct mst_wire_gap {
    mst_wire_head_t head;
    uint64_t from, to;
} mst_wire_gap_t;

#endif
