/* The pool manager against clients that write what they like: into their rings, their sockets, their subscriptions' windows.
 * The manager is the real one, in this process; its rounds are driven here, so that every input runs alike.
 * Invariant: whatever came, when all clients have gone and their objects with them, nothing is left in the books.
 * Input: a program of steps. */
#include "fuzz.h"
#include "pool/group.h"
#include "pool/manager.h"
#include "pool/request.h"
#include "pool/session.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLIENTS = 3, STEPS = 200, SUBSCRIPTIONS = 8 };

typedef struct client {
    int socket;              /* the client's end; -1: not there */
    uint32_t session;
    uint64_t number;         /* of its last offer */
    uint64_t replies;        /* its read position */
} client_t;

static mst_pool_t *pool;
static client_t clients[CLIENTS];

static void init(void) {
    char folder[] = "/tmp/maestro-fuzz-XXXXXX";
    MUST(mkdtemp(folder) && chmod(folder, 0700) == 0);
    setenv("MAESTRO_DIR", folder, 1);
    setenv("MAESTRO_POOL_MEMORY", "8MiB", 1);
    setenv("MAESTRO_POOL_OBJECTS", "40", 1);
    setenv("MAESTRO_POOL_LOG", "4KiB", 1);
    setenv("MAESTRO_POOL_LOG_S", "5", 1);
    MUST(mst_pool_create("fuzz", &pool) == MAESTRO_OK);
    unlink(pool->rendezvous.socket);
    unlink(pool->rendezvous.lock);
    rmdir(folder);
    stderr = fopen("/dev/null", "w"); /* the manager tells of each session that it ends */
    MUST(stderr);
}

/* ---- Clients. */

static mst_pool_session_t *session_of(const client_t *client) { return client->socket < 0 ? NULL : mst_pool_session_by_number(pool, client->session); }

static void hang_up(client_t *client) {
    if (client->socket >= 0) close(client->socket);
    client->socket = -1;
}

static void hello(client_t *client, fuzz_input_t *input) {
    int ends[2];
    uint8_t how = fuzz_u8(input);
    mst_wire_hello_t message = {.magic = MST_WIRE_MAGIC, .protocol = MST_WIRE_PROTOCOL, .rank = how & 3, .component = "fuzz"};
    hang_up(client);
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    if (how & 64) fuzz_take(input, (char *)&message + fuzz_u8(input) % sizeof message / 2, 16);
    send(ends[0], &message, how & 128 ? fuzz_u8(input) % sizeof message : sizeof message, MSG_NOSIGNAL);
    if (mst_pool_session_attach(pool, ends[1]) != MAESTRO_OK) {
        close(ends[0]);
        close(ends[1]);
        return;
    }
    *client = (client_t){.socket = ends[0], .session = pool->session[pool->nsessions - 1]->number};
}

/* Writes as the client does, from its side of the ring in the same memory. */
static void put(const mst_wire_ring_t *of, const void *message, uint32_t nbytes) {
    bool broken = false;
    mst_wire_ring_t ring;
    mst_wire_ring_init_writer(&ring, of->shared, of->capacity);
    if (ring.position - ring.other > ring.capacity || ring.position & 7) return; /* an earlier step broke it */
    char *room = mst_wire_ring_reserve(&ring, nbytes, &broken);
    if (!room) return;
    uint32_t size = *(uint32_t *)(void *)room;
    memcpy(room, message, nbytes);
    memcpy(room, &size, sizeof size);
    mst_wire_ring_commit(&ring);
}

/* An offer that is nearly right: attributes of the core schema with a checksum, or with a name and a part of an object. */
static void offer(client_t *client, mst_pool_session_t *session, fuzz_input_t *input) {
    union {
        mst_wire_offer_t offer;
        uint64_t words[sizeof(mst_wire_offer_t) / 8 + 32];
    } message = {0};
    mst_wire_offer_t *o = &message.offer;
    uint8_t how = fuzz_u8(input), what = fuzz_u8(input);
    client->number += how & 1 ? 1 : fuzz_u64(input) % (1ull << 40);
    o->head = (mst_wire_head_t){0, MST_WIRE_OFFER, what & 1};
    o->id = (uint64_t)session->number << 40 | client->number;
    o->timeout_ns = how & 2 ? 0 : (int64_t)fuzz_u64(input);
    o->place = how & 4 ? (mst_wire_place_t){.segment = fuzz_u8(input) % 16, .offset = fuzz_u8(input) * 64ull, .nbytes = fuzz_u64(input)}
                       : (mst_wire_place_t){.segment = MST_WIRE_NO_SEGMENT};
    o->attributes = (mst_meta_attributes_t){.mask[0] = 1ull << MST_META_KEY_CHECKSUM, .nvalues = 1};
    o->attributes.value[0] = what >> 1;
    uint32_t nbytes = sizeof *o + 8;
    if (how & 32) { /* a part of one of four objects */
        o->attributes = (mst_meta_attributes_t){.mask[0] = 1ull << MST_META_KEY_NAME | 1ull << MST_META_KEY_PARTS | 1ull << MST_META_KEY_PART, .nvalues = 3, .tail_nbytes = 8};
        o->attributes.value[0] = mst_meta_tail_word(0, 1);
        o->attributes.value[1] = how & 64 ? 2 : 1 + (what >> 5);
        o->attributes.value[2] = (what >> 3 & 3) % o->attributes.value[1];
        o->attributes.value[3] = 'a' + (what >> 1 & 3);
        nbytes += 24;
    }
    if (how & 8) fuzz_take(input, (char *)o + fuzz_u8(input) % (sizeof *o), 8);
    put(&session->channel.offers, o, how & 16 ? fuzz_u8(input) : nbytes);
}

/* A run that is nearly right: objects with a checksum and a time, of which one, both or none lie in the rows. */
static void run(client_t *client, mst_pool_session_t *session, fuzz_input_t *input) {
    enum { ROWS = 12 };
    union {
        mst_wire_run_t run;
        uint64_t words[sizeof(mst_wire_run_t) / 8 + 2 + ROWS * 5];
    } message = {0};
    mst_wire_run_t *r = &message.run;
    uint8_t how = fuzz_u8(input), what = fuzz_u8(input), segment = fuzz_u8(input);
    bool places = how & 4;
    unsigned nown = what & 3 ? 1 + (what & 1) : 0, count = 1 + what / 4 % ROWS;
    r->head.kind = MST_WIRE_OFFER_RUN;
    r->id = (uint64_t)session->number << 40 | (client->number + 1);
    client->number += how & 1 ? count : fuzz_u8(input);
    r->timeout_ns = how & 2 ? 0 : (int64_t)fuzz_u64(input);
    r->count = count;
    r->nown = (uint16_t)nown;
    r->has_places = places;
    r->position[0] = nown == 1 ? what >> 7 : 0;
    r->position[1] = nown == 2;
    r->attributes = (mst_meta_attributes_t){.mask[0] = 1ull << MST_META_KEY_CHECKSUM | 1ull << MST_META_KEY_TIME, .nvalues = 2};
    size_t row_words = mst_wire_run_row_words(false, places, nown), nbytes = mst_wire_run_nbytes(2, row_words, count);
    for (unsigned i = 0; i < count; i++) {
        uint64_t *word = mst_wire_run_row(r, row_words, i);
        if (places) *(mst_wire_place_t *)word = segment < 128 ? (mst_wire_place_t){.segment = segment % 16, .offset = i * 64ull, .nbytes = segment} : (mst_wire_place_t){.segment = MST_WIRE_NO_SEGMENT};
        for (unsigned k = 0; k < nown; k++) word[row_words - nown + k] = how & 32 ? i : i % 3;
    }
    if (how & 8) fuzz_take(input, (char *)r + fuzz_u8(input) % (sizeof *r + 64), 8);
    put(&session->channel.offers, r, how & 16 ? fuzz_u8(input) : (uint32_t)nbytes);
}

static void control(mst_pool_session_t *session, fuzz_input_t *input) {
    static const char *const texts[] = {"", "maestro.checksum >= 4", "maestro.component = fuzz", "maestro.checksum in (1, 2, 3)", "has(maestro.name)",
                                        "maestro.rank = 1 or not maestro.checksum = 5", "bad = = 1", "maestro.checksum = 7"};
    union {
        mst_wire_request_t request;
        uint64_t words[sizeof(mst_wire_request_t) / 8 + 32];
    } message = {0};
    mst_wire_request_t *r = &message.request;
    uint8_t how = fuzz_u8(input);
    const char *text = texts[how & 7];
    *r = (mst_wire_request_t){.head.kind = (uint16_t)(MST_WIRE_FLUSH + fuzz_u8(input) % 16), .request = fuzz_u8(input) % 16, .timeout_ns = (int64_t)fuzz_u64(input),
                              .argument = fuzz_u64(input), .kinds = fuzz_u8(input), .start = fuzz_u8(input) % 4, .hold = how >> 3 & 1, .observe = how >> 4 & 1,
                              .window = (uint64_t)MST_WIRE_WINDOW_MIN << fuzz_u8(input) % 2, .text_nbytes = (uint32_t)strlen(text)};
    if (r->head.kind == MST_WIRE_WITHDRAW) r->argument |= (uint64_t)session->number << 40;
    if (r->head.kind == MST_WIRE_PART) {
        r->argument = r->argument % 8 | (uint64_t)(session->leases_capacity ? session->lease[r->argument % 8].generation : 1) << 32;
        r->kinds &= 3;
    }
    if (r->head.kind == MST_WIRE_SUBSCRIBE && !(how & 32)) { /* in a group: the last letter of the selector is its name */
        uint8_t member = fuzz_u8(input);
        r->argument = (uint64_t)(member >> 3) << 32 | (member & 1);
        r->acknowledge_ms = member & 2 ? 10 : 0;
        if (member & 4) r->kinds = MAESTRO_EVENT_OFFERED;
    }
    if (r->head.kind == MST_WIRE_UNSUBSCRIBE && how & 8 && session->subscriptions) {
        const mst_wire_ring_t *window = &session->subscriptions->window;
        r->argument = session->subscriptions->number;
        r->position = how & 1 ? window->position : how & 2 ? atomic_load(&window->shared->tail) : window->position - 8u * fuzz_u8(input);
        r->rows &= 3;
    }
    if (how & 16) r->after = session->channel.offers.position + fuzz_u8(input);
    memcpy(r->text, text, strlen(text));
    if (how & 32) fuzz_take(input, (char *)r + fuzz_u8(input) % sizeof *r, 8);
    put(&session->channel.control, r, (uint32_t)(sizeof *r + (how & 64 ? fuzz_u8(input) % 64 : strlen(text))));
}

static uint64_t lease_word(mst_pool_session_t *session, fuzz_input_t *input) {
    uint64_t slot = fuzz_u8(input), generation = slot < session->leases_capacity ? session->lease[slot].generation : 1;
    return slot & 0x80 ? fuzz_u64(input) : generation << 32 | slot | (slot & 1 ? MST_WIRE_LEASE_REJECTED : 0);
}

/* One lease, or several in one message. */
static void release(mst_pool_session_t *session, fuzz_input_t *input) {
    union {
        mst_wire_word_t word;
        uint64_t words[1 + 8];
    } message = {.word.head = {0, MST_WIRE_WORD, 0}};
    size_t count = 0, wanted = 1 + fuzz_u8(input) % 12;
    while (count < (wanted < 8 ? wanted : 1)) message.words[++count] = lease_word(session, input);
    put(&session->channel.releases, &message, wanted == 12 ? 8 : (uint32_t)mst_wire_word_nbytes(count));
}

/* Reads a ring of the manager's up to its end, or publishes nonsense. */
static void read_ring(const mst_wire_ring_t *of, fuzz_input_t *input) {
    uint8_t how = fuzz_u8(input);
    uint64_t head = atomic_load(&of->shared->head);
    atomic_store(&of->shared->tail, how < 250 ? head : fuzz_u64(input));
}

static void read_window(mst_pool_session_t *session, fuzz_input_t *input) {
    uint8_t which = fuzz_u8(input) % SUBSCRIPTIONS;
    mst_pool_subscription_t *subscription = session->subscriptions;
    while (subscription && which--) subscription = subscription->next;
    if (!subscription) return;
    subscription->fetched = true;
    if (fuzz_u8(input) < 128) read_ring(&subscription->window, input);
    else fuzz_take(input, (char *)subscription->window_memory + fuzz_u16(input) % 4096, 8);
}

static void scribble(mst_pool_session_t *session, fuzz_input_t *input) {
    uint64_t at = fuzz_u64(input) % mst_wire_channel_nbytes();
    fuzz_take(input, (char *)session->channel_memory + (at < mst_wire_channel_nbytes() - 8 ? at : 0), 8);
}

static void packet(client_t *client, fuzz_input_t *input) {
    union {
        mst_wire_fetch_request_t request;
        char bytes[16];
    } packet = {.request = {.kind = fuzz_u8(input) % 6, .number = fuzz_u8(input)}};
    char answer[sizeof(mst_wire_fetch_reply_t)];
    int fds[2];
    size_t nbytes, nfds = MST_COUNT(fds);
    send(client->socket, &packet, packet.request.number < 240 ? sizeof packet.request : packet.request.number - 240, MSG_NOSIGNAL);
    mst_pool_session_socket(pool, session_of(client));
    if (mst_wire_receive(client->socket, answer, sizeof answer, &nbytes, fds, &nfds, 0) != MAESTRO_OK) return;
    while (nfds) close(fds[--nfds]);
}

/* ---- The manager's round, as its loop does it (csrc/pool/manager.c), without descriptors. */

static void serve_round(void) {
    pool->stall_deadline_ns = INT64_MAX;
    for (size_t i = 0; i < pool->nsessions; i++) mst_pool_session_serve(pool, pool->session[i]);
    if (pool->requests) mst_pool_request_step_all(pool);
    mst_pool_lifetime_expire(pool);
    mst_pool_subscription_advance_all(pool);
    mst_pool_log_sweep(pool);
    mst_pool_subscription_wake(pool);
    for (size_t i = 0; i < pool->ntouched; i++) pool->touched[i]->touched = false;
    pool->ntouched = 0;
    for (size_t i = 0; i < pool->nsessions; i++) {
        if (!pool->session[i]->broken) continue;
        mst_pool_session_detach(pool, pool->session[i], "died");
        i = (size_t)-1;
    }
}

static void step(fuzz_input_t *input) {
    uint8_t what = fuzz_u8(input);
    client_t *client = &clients[what % CLIENTS];
    mst_pool_session_t *session = session_of(client);
    what = (uint8_t)(what / CLIENTS % 16);
    if (!session || what == 0) {
        if (session) mst_pool_session_detach(pool, session, "closed");
        hello(client, input);
        return;
    }
    switch (what) {
    case 1: case 2: offer(client, session, input); return;
    case 3: case 4: run(client, session, input); return;
    case 5: case 6: case 7: control(session, input); return;
    case 8: release(session, input); return;
    case 9: read_window(session, input); return;
    case 10: read_ring(&session->channel.replies, input); read_ring(&session->channel.freed, input); return;
    case 11: scribble(session, input); return;
    case 12: packet(client, input); return;
    case 13: pool->now_ns += (int64_t)(fuzz_u64(input) % 10000000000ull); return;
    default: serve_round(); return;
    }
}

/* ---- The end of an input: everybody leaves, and what they had offered is withdrawn. */

static void withdraw_all(void) {
    mst_pool_entry_t entries[64];
    uint64_t at = 0;
    while (at < mst_pool_log_last(&pool->log)) {
        size_t count = mst_pool_log_read(pool, at, entries, MST_COUNT(entries), &at);
        for (size_t i = 0; i < count; i++) {
            const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, entries[i].handle);
            if (entries[i].kind == MAESTRO_EVENT_OFFERED && object->id && object->state == MST_POOL_LIVE) mst_pool_catalogue_withdraw(pool, entries[i].handle);
        }
    }
}

static void check_empty(void) {
    MUST(pool->nsessions == 0 && !pool->requests && !pool->lagging && pool->holding == 0);
    for (size_t i = 0; i < MST_COUNT(pool->kinds_wanted); i++) MUST(pool->kinds_wanted[i] == 0);
    for (size_t i = 0; i < pool->request_slots; i++) MUST(!pool->request_slot[i]);
    MUST(pool->catalogue.live == 0 && pool->catalogue.leases == 0);
    MUST(pool->lending.used_nbytes == 0 && pool->lending.lent_nbytes == pool->lending.idle_nbytes);
    for (size_t i = 0; i < pool->lending.count; i++) {
        const mst_pool_segment_t *segment = pool->lending.segment[i];
        MUST(!segment || (segment->owner == 0 && segment->blocks == 0 && segment->used_nbytes == 0 && segment->nreaders == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes) {
    fuzz_input_t input = {bytes, nbytes};
    if (!pool) init();
    for (size_t i = 0; i < CLIENTS; i++) clients[i].socket = -1;
    for (int i = 0; i < STEPS && input.left; i++) step(&input);
    while (pool->nsessions) mst_pool_session_detach(pool, pool->session[0], "closed");
    for (size_t i = 0; i < CLIENTS; i++) hang_up(&clients[i]);
    withdraw_all();
    serve_round();
    mst_pool_group_fini(pool); /* groups outlive their members */
    check_empty();
    return 0;
}
