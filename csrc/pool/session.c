/* One client as the manager sees it: messages that wait for room in its rings, its leases, its objects by id. */
#include "pool/session.h"

#include "pool/group.h"
#include "pool/manager.h"

#include <stdio.h>

enum { IDS_PER_PAGE = 1024 };

/* ---- Queues of messages that wait. */

void mst_pool_queue_init(mst_pool_queue_t *queue) {
    queue->first = NULL;
    queue->end = &queue->first;
    queue->count = 0;
}

bool mst_pool_queue_push(mst_pool_queue_t *queue, const void *message, size_t nbytes) {
    mst_pool_message_t *node = malloc(sizeof *node + MST_ALIGN(nbytes, 8));
    if (!node) return false;
    node->next = NULL;
    memcpy(node->bytes, message, nbytes);
    ((mst_wire_head_t *)node->bytes)->nbytes = (uint32_t)nbytes;
    *queue->end = node;
    queue->end = &node->next;
    queue->count++;
    return true;
}

void mst_pool_queue_pop(mst_pool_queue_t *queue) {
    mst_pool_message_t *node = queue->first;
    queue->first = node->next;
    if (!queue->first) queue->end = &queue->first;
    queue->count--;
    free(node);
}

void mst_pool_queue_clear(mst_pool_queue_t *queue) {
    while (queue->first) mst_pool_queue_pop(queue);
}

/* ---- Talking to the client. */

void mst_pool_touch(mst_pool_t *pool, mst_pool_session_t *session) {
    pool->urgent_news |= session->priority == MAESTRO_PRIORITY_URGENT;
    if (session->touched) return;
    session->touched = true;
    pool->touched[pool->ntouched++] = session;
}

void mst_pool_session_break(mst_pool_session_t *session, const char *why) {
    if (!session->broken) snprintf(session->why, sizeof session->why, "%s", why);
    session->broken = true;
}

static bool put(mst_pool_session_t *session, mst_wire_ring_t *ring, const void *message, size_t nbytes) {
    bool broken = false;
    void *room = mst_wire_ring_reserve(ring, (uint32_t)nbytes, &broken);
    if (broken) mst_pool_session_break(session, "the read position of a ring is out of bounds");
    if (!room) return false;
    uint32_t size = *(uint32_t *)room;
    memcpy(room, message, nbytes);
    *(uint32_t *)room = size;
    mst_wire_ring_commit(ring);
    return true;
}

void mst_pool_session_post(mst_pool_t *pool, mst_pool_session_t *session, const void *message, size_t nbytes) {
    mst_pool_touch(pool, session);
    if (!session->outbox.first && put(session, &session->channel.replies, message, nbytes)) return;
    if (!mst_pool_queue_push(&session->outbox, message, nbytes)) mst_pool_session_break(session, "no memory for its replies");
}

void mst_pool_session_reply(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_reply_t *reply, const void *rest, size_t rest_nbytes) {
    uint64_t buffer[(sizeof *reply + MST_META_SET_MAX) / 8 + 1];
    mst_wire_reply_t *message = (mst_wire_reply_t *)buffer;
    *message = *reply;
    message->head.kind = MST_WIRE_REPLY;
    if (rest_nbytes) memcpy(message->rest, rest, rest_nbytes);
    mst_pool_session_post(pool, session, message, sizeof *message + rest_nbytes);
}

void mst_pool_session_fail(mst_pool_t *pool, mst_pool_session_t *session, uint64_t request, maestro_status_t status, const char *text) {
    size_t nbytes = strlen(text);
    if (nbytes > MST_WIRE_TEXT_MAX) nbytes = MST_WIRE_TEXT_MAX;
    mst_wire_reply_t reply = {.request = request, .status = status, .text_nbytes = (uint32_t)nbytes, .place.segment = MST_WIRE_NO_SEGMENT};
    mst_pool_session_reply(pool, session, &reply, text, nbytes);
}

void mst_pool_session_freed(mst_pool_t *pool, mst_pool_session_t *session, uint32_t segment, uint64_t offset) {
    if (session->segment_requests) {
        session->freed_news = true;
        mst_pool_touch(pool, session);
    }
    mst_wire_word_t word = {.head = {sizeof word, MST_WIRE_WORD, 0}, .word = (uint64_t)segment << 32 | offset / 64};
    if (!session->freed.first && put(session, &session->channel.freed, &word, sizeof word)) return;
    if (!mst_pool_queue_push(&session->freed, &word, sizeof word)) mst_pool_session_break(session, "no memory for its freed blocks");
}

static void flush_queue(mst_pool_session_t *session, mst_pool_queue_t *queue, mst_wire_ring_t *ring) {
    while (queue->first && put(session, ring, queue->first->bytes, ((mst_wire_head_t *)queue->first->bytes)->nbytes)) mst_pool_queue_pop(queue);
}

static bool fits(const mst_pool_queue_t *queue, mst_wire_ring_t *ring) {
    if (!queue->first) return false;
    uint64_t room = mst_wire_ring_room(ring);
    return room == ring->capacity || room >= 2 * (uint64_t)((const mst_wire_head_t *)queue->first->bytes)->nbytes;
}

bool mst_pool_session_can_flush(mst_pool_session_t *session) {
    return fits(&session->outbox, &session->channel.replies) || fits(&session->freed, &session->channel.freed);
}

void mst_pool_session_flush(mst_pool_t *pool, mst_pool_session_t *session) {
    if (session->freed.first) flush_queue(session, &session->freed, &session->channel.freed);
    if (!session->outbox.first) return;
    flush_queue(session, &session->outbox, &session->channel.replies);
    mst_pool_touch(pool, session);
}

void mst_pool_session_tell_freed(mst_pool_t *pool, mst_pool_session_t *session) {
    if (!session->freed.first && mst_wire_ring_room(&session->channel.freed) == session->channel.freed.capacity) return;
    session->freed_news = true;
    mst_pool_touch(pool, session);
}

/* ---- Leases. */

uint64_t mst_pool_session_grant(mst_pool_t *pool, mst_pool_session_t *session, uint32_t handle, uint32_t member) {
    if (session->lease_free == MST_POOL_NONE) {
        uint32_t first = session->leases_capacity;
        if (!MST_RESERVE(session->lease, session->leases_capacity, first + 1, 256)) return 0;
        for (uint32_t i = first; i < session->leases_capacity; i++)
            session->lease[i] = (mst_pool_lease_t){.object = i + 1 < session->leases_capacity ? i + 1 : MST_POOL_NONE, .generation = 1};
        session->lease_free = first;
    }
    uint32_t slot = session->lease_free;
    mst_pool_lease_t *lease = &session->lease[slot];
    session->lease_free = lease->object;
    lease->object = handle;
    lease->since_ns = pool->now_ns;
    lease->member = member;
    session->leases_live++;
    session->total.leases++;
    pool->catalogue.leases++;
    pool->catalogue.leases_total++;
    mst_pool_object(&pool->catalogue, handle)->leases++;
    return (uint64_t)lease->generation << 32 | slot;
}

uint32_t mst_pool_session_leased(const mst_pool_session_t *session, uint64_t lease) {
    uint32_t slot = (uint32_t)lease;
    bool held = slot < session->leases_capacity && session->lease[slot].generation == lease >> 32 && session->lease[slot].since_ns;
    return held ? session->lease[slot].object : MST_POOL_NONE;
}

void mst_pool_session_release(mst_pool_t *pool, mst_pool_session_t *session, uint64_t word) {
    bool acknowledged = !(word & MST_WIRE_LEASE_REJECTED);
    uint32_t slot = (uint32_t)(word & ~MST_WIRE_LEASE_REJECTED), handle = mst_pool_session_leased(session, word & ~MST_WIRE_LEASE_REJECTED);
    if (handle == MST_POOL_NONE) {
        mst_pool_session_break(session, "it gave back a lease that it does not hold");
        return;
    }
    mst_pool_lease_t *lease = &session->lease[slot];
    bool counts = acknowledged && !lease->overdue && !lease->observed && !session->relay && mst_pool_object(&pool->catalogue, handle)->has_life;
    if (MST_UNLIKELY(lease->member)) mst_pool_group_settle(pool, session, lease, acknowledged);
    *lease = (mst_pool_lease_t){.object = session->lease_free, .generation = lease->generation + 1 ? lease->generation + 1 : 1};
    session->lease_free = slot;
    session->leases_live--;
    if (MST_UNLIKELY(counts)) mst_pool_lifetime_read(pool, handle);
    mst_pool_catalogue_lease_ended(pool, handle);
}

void mst_pool_session_release_all(mst_pool_t *pool, mst_pool_session_t *session) {
    for (uint32_t i = 0; i < session->leases_capacity; i++)
        if (session->lease[i].since_ns) {
            session->lease[i].since_ns = 0;
            mst_pool_catalogue_lease_ended(pool, session->lease[i].object);
        }
    free(session->lease);
}

/* ---- Own objects by id. */

static bool reserve_id(mst_pool_session_t *session, uint64_t page) {
    size_t pages = session->id_pages, counts = session->id_pages;
    if (!MST_RESERVE_ZEROED(session->id_page, pages, page + 1, 8) || !MST_RESERVE_ZEROED(session->id_page_live, counts, page + 1, 8)) return false;
    session->id_pages = pages;
    if (session->id_page[page]) return true;
    session->id_page[page] = malloc(IDS_PER_PAGE * sizeof(uint32_t));
    if (session->id_page[page]) memset(session->id_page[page], 0xff, IDS_PER_PAGE * sizeof(uint32_t));
    return session->id_page[page] != NULL;
}

/* A new object's id: each is set once, for they come in sequence. */
void mst_pool_session_set_id(mst_pool_session_t *session, uint64_t id, uint32_t handle) {
    uint64_t number = id & ((1ull << 40) - 1), page = number / IDS_PER_PAGE;
    if (MST_UNLIKELY(page >= session->id_pages || !session->id_page[page]) && !reserve_id(session, page)) {
        mst_pool_session_break(session, "no memory for its objects");
        return;
    }
    session->id_page[page][number % IDS_PER_PAGE] = handle;
    session->id_page_live[page]++;
}

void mst_pool_session_forget_id(mst_pool_session_t *session, uint64_t id) {
    uint64_t number = id & ((1ull << 40) - 1), page = number / IDS_PER_PAGE;
    if (page >= session->id_pages || !session->id_page[page] || session->id_page[page][number % IDS_PER_PAGE] == MST_POOL_NONE) return; /* there was no memory for it */
    session->id_page[page][number % IDS_PER_PAGE] = MST_POOL_NONE;
    if (--session->id_page_live[page]) return;
    free(session->id_page[page]);
    session->id_page[page] = NULL;
}

uint32_t mst_pool_session_get_id(mst_pool_session_t *session, uint64_t id) {
    uint64_t number = id & ((1ull << 40) - 1), page = number / IDS_PER_PAGE;
    if (mst_pool_owner(id) != session->number || page >= session->id_pages || !session->id_page[page]) return MST_POOL_NONE;
    return session->id_page[page][number % IDS_PER_PAGE];
}
