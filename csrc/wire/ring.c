/* See ring.h.  A message that does not fit before the end is preceded by a filler, whose size has the top bit set. */
#include "wire/ring.h"

#define FILLER 0x80000000u

static void join(mst_wire_ring_t *ring, void *memory, uint64_t capacity) {
    memset(ring, 0, sizeof *ring);
    ring->shared = memory;
    ring->data = (char *)ring->shared->data;
    ring->capacity = capacity;
}

void mst_wire_ring_init_writer(mst_wire_ring_t *ring, void *memory, uint64_t capacity) {
    join(ring, memory, capacity);
    ring->position = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
    ring->other = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);
}

void mst_wire_ring_init_reader(mst_wire_ring_t *ring, void *memory, uint64_t capacity) {
    join(ring, memory, capacity);
    ring->position = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);
    ring->other = ring->position;
}

/* Reads the reader's position anew.  It may only move forward, and not beyond what was written. */
static bool refresh_tail(mst_wire_ring_t *ring) {
    uint64_t tail = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);
    if (tail < ring->other || tail > ring->position) return false;
    ring->other = tail;
    return true;
}

uint64_t mst_wire_ring_room(mst_wire_ring_t *ring) {
    return refresh_tail(ring) ? ring->capacity - (ring->position - ring->other) : 0;
}

void *mst_wire_ring_reserve(mst_wire_ring_t *ring, uint32_t nbytes, bool *broken_out) {
    uint64_t size = MST_ALIGN(nbytes, 8);
    uint64_t at = ring->position & (ring->capacity - 1);
    uint64_t filler = at + size > ring->capacity ? ring->capacity - at : 0;
    if (ring->position + filler + size - ring->other > ring->capacity) {
        if (!refresh_tail(ring)) { *broken_out = true; return NULL; }
        if (ring->position + filler + size - ring->other > ring->capacity) return NULL;
    }
    if (filler) {
        *(uint32_t *)(ring->data + at) = (uint32_t)filler | FILLER;
        at = 0;
    }
    ring->pending = filler + size;
    *(uint32_t *)(ring->data + at) = (uint32_t)size;
    return ring->data + at;
}

void mst_wire_ring_commit(mst_wire_ring_t *ring) {
    ring->position += ring->pending;
    ring->pending = 0;
    atomic_store_explicit(&ring->shared->head, ring->position, memory_order_release);
}

const void *mst_wire_ring_peek(mst_wire_ring_t *ring, uint32_t *nbytes_out, bool *broken_out) {
    for (;;) {
        uint64_t ready = ring->other - ring->position;
        if (ready == 0) {
            uint64_t head = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
            if (head == ring->position) return NULL;
            if (head < ring->position || head - ring->position > ring->capacity || head & 7) { *broken_out = true; return NULL; }
            ring->other = head;
            ready = head - ring->position;
        }
        uint64_t at = ring->position & (ring->capacity - 1);
        uint32_t size = *(volatile const uint32_t *)(ring->data + at);
        bool filler = size & FILLER;
        size &= ~FILLER;
        if (size < 8 || size & 7 || size > ready || at + size > ring->capacity) { *broken_out = true; return NULL; }
        if (!filler) {
            *nbytes_out = size;
            return ring->data + at;
        }
        ring->position += size;
    }
}

void mst_wire_ring_consume(mst_wire_ring_t *ring, uint32_t nbytes) { ring->position += nbytes; }
