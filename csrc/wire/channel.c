/* Lays the five rings of a session out in its channel. */
#include "wire/protocol.h"

static const uint64_t capacities[5] = {
    MST_WIRE_OFFERS_CAPACITY, MST_WIRE_CONTROL_CAPACITY, MST_WIRE_WORDS_CAPACITY, /* client -> manager */
    MST_WIRE_REPLIES_CAPACITY, MST_WIRE_WORDS_CAPACITY,                           /* manager -> client */
};

uint64_t mst_wire_channel_nbytes(void) {
    uint64_t nbytes = 0;
    for (size_t i = 0; i < MST_COUNT(capacities); i++) nbytes += mst_wire_ring_nbytes(capacities[i]);
    return nbytes;
}

void mst_wire_channel_init(mst_wire_channel_t *channel, void *memory, bool manager) {
    mst_wire_ring_t *rings[5] = {&channel->offers, &channel->control, &channel->releases, &channel->replies, &channel->freed};
    char *at = memory;
    for (size_t i = 0; i < MST_COUNT(rings); i++) {
        bool writer = manager == (i >= 3);
        if (writer) mst_wire_ring_init_writer(rings[i], at, capacities[i]);
        else mst_wire_ring_init_reader(rings[i], at, capacities[i]);
        at += mst_wire_ring_nbytes(capacities[i]);
    }
}
