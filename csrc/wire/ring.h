/* A ring of messages in shared memory, one writer and one reader.  Messages are 8-byte aligned, lie in one piece, and start with their size.
 *
 * Invariants: each side keeps its own position in private memory and only publishes it; what it reads of the other side's position is checked
 * before use (a wrong one is PROTOCOL, never a wild access).  The reader copies a message out once before it looks at it, unless the writer is
 * trusted (the manager).  Publishing is a release store, reading an acquire load; who sleeps says so in the shared header, and a writer that
 * publishes fences before it looks there. */
#ifndef MST_WIRE_RING_H
#define MST_WIRE_RING_H

#include "base/base.h"

#include <stdatomic.h>

typedef struct mst_wire_ring_header {
    _Alignas(64) _Atomic uint64_t head;       /* bytes written since the beginning */
    _Atomic uint64_t base;                    /* the position that lies at the start of data; changes only while the ring is empty, before the next head */
    _Alignas(64) _Atomic uint64_t tail;       /* bytes read */
    _Alignas(64) _Atomic uint32_t sleeping;   /* the reader sleeps and wants its eventfd rung */
    _Atomic uint32_t blocked;                 /* the writer waits for room */
    _Alignas(64) uint64_t data[];
} mst_wire_ring_header_t;

typedef struct mst_wire_ring {
    mst_wire_ring_header_t *shared;
    char *data;
    uint64_t capacity;   /* bytes of data, a power of two */
    uint64_t position;   /* own: head of the writer, tail of the reader */
    uint64_t other;      /* last seen, checked position of the other side */
    uint64_t base;       /* see above */
    uint64_t pending;    /* writer: reserved and not committed */
} mst_wire_ring_t;

static inline uint64_t mst_wire_ring_nbytes(uint64_t capacity) { return sizeof(mst_wire_ring_header_t) + capacity; }

/* Joins a ring lying in `memory` (zeroed when new); capacity is a power of two.  Both sides start at their published position. */
void mst_wire_ring_init_writer(mst_wire_ring_t *ring, void *memory, uint64_t capacity);
void mst_wire_ring_init_reader(mst_wire_ring_t *ring, void *memory, uint64_t capacity);

/* Largest message a ring takes. */
static inline uint64_t mst_wire_ring_limit(const mst_wire_ring_t *ring) { return ring->capacity / 2; }

/* A message that does not fit before the end is preceded by a filler, whose size has this bit set. */
#define MST_WIRE_RING_FILLER 0x80000000u

/* A ring that the writer finds empty beyond so many bytes begins again at its start: as long as the reader keeps up, both stay in few pages, which were
 * touched before and are near. */
#define MST_WIRE_RING_HOME 4096u

static inline uint64_t mst_wire_ring_offset(const mst_wire_ring_t *ring, uint64_t position) { return (position - ring->base) & (ring->capacity - 1); }

/* Reads the reader's position anew.  It may only move forward, and not beyond what was written. */
static inline bool mst_wire_ring_refresh_tail(mst_wire_ring_t *ring) {
    uint64_t tail = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);
    if (tail < ring->other || tail > ring->position) return false;
    ring->other = tail;
    return true;
}

/* Writer: room for a message of nbytes (rounded up to 8, with its size stored in the first word's low half), or NULL when the ring is full;
 * *broken_out when the reader published nonsense. */
static inline void *mst_wire_ring_reserve(mst_wire_ring_t *ring, uint32_t nbytes, bool *broken_out) {
    uint64_t size = MST_ALIGN(nbytes, 8);
    uint64_t at = mst_wire_ring_offset(ring, ring->position);
    if (at >= MST_WIRE_RING_HOME && mst_wire_ring_refresh_tail(ring) && ring->other == ring->position) {
        ring->base = ring->position;
        atomic_store_explicit(&ring->shared->base, ring->base, memory_order_relaxed); /* seen with the head that commit publishes */
        at = 0;
    }
    uint64_t filler = at + size > ring->capacity ? ring->capacity - at : 0;
    if (ring->position + filler + size - ring->other > ring->capacity) {
        if (!mst_wire_ring_refresh_tail(ring)) { *broken_out = true; return NULL; }
        if (ring->position + filler + size - ring->other > ring->capacity) return NULL;
    }
    if (filler) {
        *(uint32_t *)(ring->data + at) = (uint32_t)filler | MST_WIRE_RING_FILLER;
        at = 0;
    }
    ring->pending = filler + size;
    *(uint32_t *)(ring->data + at) = (uint32_t)size;
    return ring->data + at;
}

/* Writer: the message for which `reserved` bytes were reserved takes only nbytes. */
static inline void mst_wire_ring_shrink(mst_wire_ring_t *ring, void *message, uint32_t reserved, uint32_t nbytes) {
    ring->pending -= MST_ALIGN(reserved, 8) - MST_ALIGN(nbytes, 8);
    *(uint32_t *)message = (uint32_t)MST_ALIGN(nbytes, 8);
}

static inline void mst_wire_ring_commit(mst_wire_ring_t *ring) {
    ring->position += ring->pending;
    ring->pending = 0;
    atomic_store_explicit(&ring->shared->head, ring->position, memory_order_release);
}

/* Writer: bytes that are free for certain (messages may need up to twice their size because of the wrap). */
static inline uint64_t mst_wire_ring_room(mst_wire_ring_t *ring) {
    return mst_wire_ring_refresh_tail(ring) ? ring->capacity - (ring->position - ring->other) : 0;
}

/* Reader: the next of the messages seen so far, as mst_wire_ring_peek. */
static inline const void *mst_wire_ring_seen(mst_wire_ring_t *ring, uint32_t *nbytes_out, bool *broken_out) {
    while (ring->position != ring->other) {
        uint64_t ready = ring->other - ring->position, at = mst_wire_ring_offset(ring, ring->position);
        uint32_t size = *(volatile const uint32_t *)(ring->data + at);
        bool filler = size & MST_WIRE_RING_FILLER;
        size &= ~MST_WIRE_RING_FILLER;
        if (size < 8 || size & 7 || size > ready || at + size > ring->capacity) { *broken_out = true; return NULL; }
        if (!filler) {
            *nbytes_out = size;
            return ring->data + at;
        }
        ring->position += size;
    }
    return NULL;
}

/* Reader: the next message in place, or NULL; its size in *nbytes_out.  It stays until mst_wire_ring_consume. broken: sizes out of bounds. */
static inline const void *mst_wire_ring_peek(mst_wire_ring_t *ring, uint32_t *nbytes_out, bool *broken_out) {
    for (;;) {
        const void *message = mst_wire_ring_seen(ring, nbytes_out, broken_out);
        if (message || *broken_out) return message;
        uint64_t head = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
        if (head == ring->position) return NULL;
        if (head < ring->position || head - ring->position > ring->capacity || head & 7) { *broken_out = true; return NULL; }
        ring->other = head;
        ring->base = atomic_load_explicit(&ring->shared->base, memory_order_relaxed) & ~7ull; /* any one is in bounds */
    }
}

/* Reader: private; others see it with publish. */
static inline void mst_wire_ring_consume(mst_wire_ring_t *ring, uint32_t nbytes) { ring->position += nbytes; }
static inline void mst_wire_ring_publish(mst_wire_ring_t *ring) { atomic_store_explicit(&ring->shared->tail, ring->position, memory_order_release); }
static inline bool mst_wire_ring_empty(const mst_wire_ring_t *ring) {
    return atomic_load_explicit(&ring->shared->head, memory_order_acquire) == ring->position;
}

#endif
