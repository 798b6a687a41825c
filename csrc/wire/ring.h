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
    uint64_t pending;    /* writer: reserved and not committed */
} mst_wire_ring_t;

static inline uint64_t mst_wire_ring_nbytes(uint64_t capacity) { return sizeof(mst_wire_ring_header_t) + capacity; }

/* Joins a ring lying in `memory` (zeroed when new); capacity is a power of two.  Both sides start at their published position. */
void mst_wire_ring_init_writer(mst_wire_ring_t *ring, void *memory, uint64_t capacity);
void mst_wire_ring_init_reader(mst_wire_ring_t *ring, void *memory, uint64_t capacity);

/* Largest message a ring takes. */
static inline uint64_t mst_wire_ring_limit(const mst_wire_ring_t *ring) { return ring->capacity / 2; }

/* Writer: room for a message of nbytes (rounded up to 8, with its size stored in the first word's low half), or NULL when the ring is full;
 * *broken_out when the reader published nonsense. */
void *mst_wire_ring_reserve(mst_wire_ring_t *ring, uint32_t nbytes, bool *broken_out);
void mst_wire_ring_commit(mst_wire_ring_t *ring);

/* Writer: bytes that are free for certain (messages may need up to twice their size because of the wrap). */
uint64_t mst_wire_ring_room(mst_wire_ring_t *ring);

/* Reader: the next message in place, or NULL; its size in *nbytes_out.  It stays until mst_wire_ring_consume. broken: sizes out of bounds. */
const void *mst_wire_ring_peek(mst_wire_ring_t *ring, uint32_t *nbytes_out, bool *broken_out);
void mst_wire_ring_consume(mst_wire_ring_t *ring, uint32_t nbytes); /* private; others see it with publish */
static inline void mst_wire_ring_publish(mst_wire_ring_t *ring) { atomic_store_explicit(&ring->shared->tail, ring->position, memory_order_release); }
static inline bool mst_wire_ring_empty(const mst_wire_ring_t *ring) {
    return atomic_load_explicit(&ring->shared->head, memory_order_acquire) == ring->position;
}

#endif
