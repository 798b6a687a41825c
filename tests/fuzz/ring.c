/* A ring whose other side writes what it likes into the shared memory: reader and writer stay inside of it, and say that it is broken.
 * Then two honest sides with the same program: what is written comes out, in order.
 * Input: edits of the shared memory (offset, byte) and steps of reader or writer. */
#include "fuzz.h"

#include "wire/ring.h"

enum { CAPACITY = 8192, STEPS = 256, MESSAGE_MAX = 96, SCALE = 8 }; /* a message of the largest size, and some more, are beyond the ring's home */

static char *new_memory(void) {
    size_t nbytes = mst_wire_ring_nbytes(CAPACITY);
    char *memory = aligned_alloc(64, nbytes);
    memset(memory, 0, nbytes);
    return memory;
}

static void edit(fuzz_input_t *input, char *memory) {
    size_t nbytes = mst_wire_ring_nbytes(CAPACITY);
    mst_wire_ring_header_t *shared = (mst_wire_ring_header_t *)memory;
    uint8_t what = fuzz_u8(input);
    if (what < 32) atomic_store(&shared->head, fuzz_u64(input) & (what & 1 ? ~0ull : ~7ull));
    else if (what < 64) atomic_store(&shared->tail, fuzz_u64(input) & (what & 1 ? ~0ull : ~7ull));
    else if (what < 80) atomic_store(&shared->base, fuzz_u64(input));
    else if (what < 192) { /* the size word of some message */
        uint32_t size = fuzz_u16(input) & (2 * CAPACITY - 1);
        if (what & 1) size &= ~7u;
        if (what & 2) size |= 0x80000000u;
        memcpy((char *)shared->data + fuzz_u16(input) % (CAPACITY / 8) * 8, &size, sizeof size);
    } else memory[fuzz_u16(input) % nbytes] = (char)fuzz_u8(input);
}

static void read_one(mst_wire_ring_t *ring) {
    bool broken = false;
    uint32_t nbytes = 0;
    const char *message = mst_wire_ring_peek(ring, &nbytes, &broken);
    MUST(!broken || !message);
    if (!message) return;
    MUST(nbytes >= 8 && message >= ring->data && message + nbytes <= ring->data + CAPACITY);
    mst_base_hash(message, nbytes);
    mst_wire_ring_consume(ring, nbytes);
    mst_wire_ring_publish(ring);
}

static void write_one(mst_wire_ring_t *ring, uint8_t size) {
    bool broken = false;
    uint32_t nbytes = 8 + size % MESSAGE_MAX * SCALE;
    char *room = mst_wire_ring_reserve(ring, nbytes, &broken);
    MUST(!broken || !room);
    MUST(mst_wire_ring_room(ring) <= CAPACITY);
    if (!room) return;
    MUST(room >= ring->data && room + nbytes <= ring->data + CAPACITY);
    memset(room + 4, size, nbytes - 4);
    mst_wire_ring_commit(ring);
}

static void against_an_enemy(fuzz_input_t input) {
    char *memory = new_memory(), *other = new_memory();
    mst_wire_ring_t reader, writer;
    mst_wire_ring_init_reader(&reader, memory, CAPACITY);
    mst_wire_ring_init_writer(&writer, other, CAPACITY);
    for (int step = 0; step < STEPS && input.left; step++) {
        uint8_t what = fuzz_u8(&input);
        if (what < 96) edit(&input, memory);
        else if (what < 128) edit(&input, other);
        else if (what < 192) read_one(&reader);
        else write_one(&writer, what);
    }
    free(memory);
    free(other);
}

static void between_friends(fuzz_input_t input) {
    char *memory = new_memory();
    mst_wire_ring_t reader, writer;
    uint64_t sent = 0, received = 0, in_flight = 0;
    mst_wire_ring_init_reader(&reader, memory, CAPACITY);
    mst_wire_ring_init_writer(&writer, memory, CAPACITY);
    for (int step = 0; step < STEPS && input.left; step++) {
        bool broken = false;
        uint8_t what = fuzz_u8(&input);
        uint32_t nbytes = 0;
        if (what & 1) {
            uint64_t *room = mst_wire_ring_reserve(&writer, 16 + what % MESSAGE_MAX * SCALE, &broken);
            MUST(!broken && (room || in_flight));
            if (!room) continue;
            room[1] = ++sent;
            in_flight++;
            mst_wire_ring_commit(&writer);
        } else {
            const uint64_t *message = mst_wire_ring_peek(&reader, &nbytes, &broken);
            MUST(!broken && !message == !in_flight);
            if (!message) continue;
            MUST(message[1] == ++received);
            in_flight--;
            mst_wire_ring_consume(&reader, nbytes);
            if (what & 2) mst_wire_ring_publish(&reader);
        }
        if (!in_flight) mst_wire_ring_publish(&reader);
    }
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes) {
    against_an_enemy((fuzz_input_t){bytes, nbytes});
    between_friends((fuzz_input_t){bytes, nbytes});
    return 0;
}
