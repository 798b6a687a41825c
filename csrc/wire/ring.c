/* Joining a ring; see ring.h. */
#include "wire/ring.h"

static void join(mst_wire_ring_t *ring, void *memory, uint64_t capacity) {
    memset(ring, 0, sizeof *ring);
    ring->shared = memory;
    ring->data = (char *)ring->shared->data;
    ring->capacity = capacity;
    ring->base = atomic_load_explicit(&ring->shared->base, memory_order_acquire) & ~7ull;
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
