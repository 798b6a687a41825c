/* Pool memory in this process: own segments with the allocator on them, other sessions' segments mapped read-only, once each. */
#include "client/client.h"

#include <stdio.h>
#include <unistd.h>

enum { KEEP_NBYTES = 64 << 20, KEEP_MORE_NBYTES = 512 << 20 };

static maestro_status_t segment_slot(maestro_session_t *session, uint32_t number, mst_client_segment_t **slot_out) {
    if (!MST_RESERVE_ZEROED(session->segment, session->nsegments, (size_t)number + 1, 64)) return mst_base_fail(MAESTRO_SYSTEM, "map a segment: no memory");
    *slot_out = &session->segment[number];
    return MAESTRO_OK;
}

static maestro_status_t map_segment(maestro_session_t *session, uint32_t number, bool writable, mst_client_segment_t **segment_out) {
    mst_client_segment_t *segment = NULL;
    mst_wire_fetch_reply_t reply;
    int fd = -1;
    MST_TRY(segment_slot(session, number, &segment));
    if (!segment->base || (writable && !segment->writable)) {
        MST_TRY(mst_client_fetch(session, MST_WIRE_FETCH_SEGMENT, number, &reply, &fd, 1));
        void *base = NULL;
        maestro_status_t status = writable && !reply.writable ? mst_base_fail(MAESTRO_PROTOCOL, "map segment %u: the manager gave it read-only", number)
                                                              : mst_mem_segment_check(fd, reply.nbytes);
        if (status == MAESTRO_OK) status = mst_mem_segment_map(fd, reply.nbytes, reply.writable, &base);
        close(fd);
        if (status != MAESTRO_OK) return status;
        if (segment->base) mst_mem_segment_unmap(segment->base, segment->nbytes);
        *segment = (mst_client_segment_t){.base = base, .nbytes = reply.nbytes, .writable = reply.writable};
    }
    *segment_out = segment;
    return MAESTRO_OK;
}

maestro_status_t mst_client_map(maestro_session_t *session, const mst_wire_place_t *place, const void **bytes_out) {
    mst_client_segment_t *segment = place->segment < session->nsegments ? &session->segment[place->segment] : NULL;
    if (MST_UNLIKELY(!segment || !segment->base)) MST_TRY(map_segment(session, place->segment, false, &segment));
    if (place->offset > segment->nbytes || place->nbytes > segment->nbytes - place->offset)
        return mst_base_fail(MAESTRO_PROTOCOL, "map segment %u: the object lies outside of it", place->segment);
    *bytes_out = (const char *)segment->base + place->offset;
    return MAESTRO_OK;
}

void mst_client_unmap(maestro_session_t *session, uint32_t number) {
    if (number >= session->nsegments || !session->segment[number].base || session->segment[number].writable) return;
    if (session->unmapping) session->unmapping(session->unmapping_context, number);
    mst_mem_segment_unmap(session->segment[number].base, session->segment[number].nbytes);
    session->segment[number].base = NULL;
}

/* ---- The allocator's side. */

static maestro_status_t grow(void *context, uint64_t nbytes, uint32_t *segment_out, void **base_out, uint64_t *nbytes_out) {
    maestro_session_t *session = context;
    const mst_client_segment_t *fresh = session->has_fresh ? &session->segment[session->fresh_segment] : NULL;
    if (!fresh || fresh->nbytes < nbytes) {
        session->wanted_nbytes = nbytes;
        return MAESTRO_NO_MEMORY;
    }
    session->has_fresh = false;
    *segment_out = session->fresh_segment;
    *base_out = fresh->base;
    *nbytes_out = fresh->nbytes;
    return MAESTRO_OK;
}

void mst_client_return(maestro_session_t *session, uint32_t number) {
    mst_client_owe(session, &(mst_wire_request_t){.head.kind = MST_WIRE_SEGMENT_RETURN, .argument = number, .after = session->channel.offers.position});
}

static void shrink(void *context, uint32_t number, void *base, uint64_t nbytes) {
    maestro_session_t *session = context;
    mst_mem_segment_unmap(base, nbytes);
    session->segment[number].base = NULL;
    session->segment[number].writable = false;
    mst_client_return(session, number);
}

/* What a session may hoard: a step's objects that are withdrawn together should find their pages warm in the next step, here and at the readers;
 * sixteen hoarders of a small pool, or thirty-two of a large one, may keep all of it. */
maestro_status_t mst_client_memory_init(maestro_session_t *session) {
    int64_t keep = session->memory_limit / 16 < KEEP_NBYTES ? session->memory_limit / 16 : KEEP_NBYTES;
    int64_t more = session->memory_limit / 32 < KEEP_MORE_NBYTES ? session->memory_limit / 32 : KEEP_MORE_NBYTES;
    if (keep < more) keep = more;
    return mst_mem_allocator_create(grow, shrink, session, (uint64_t)keep, &session->allocator);
}

void mst_client_memory_fini(maestro_session_t *session) {
    mst_mem_allocator_destroy(session->allocator);
    for (size_t i = 0; i < session->nsegments; i++)
        if (session->segment[i].base) mst_mem_segment_unmap(session->segment[i].base, session->segment[i].nbytes);
    free(session->segment);
    free(session->owed);
    free(session->held);
}

typedef struct asked {
    maestro_request_t request;
    uint64_t freed_blocks; /* when it was asked */
} asked_t;

static bool have_come_back(const maestro_session_t *session, const asked_t *asked) {
    return asked->freed_blocks != session->freed_blocks || !mst_wire_ring_empty(&session->channel.freed);
}

static bool granted_or_freed(maestro_session_t *session, void *context) {
    const asked_t *asked = context;
    return asked->request.done || have_come_back(session, asked);
}

/* Asks the manager for a segment; waits for room, or for own blocks to come back (then AGAIN, though there be no room). */
static maestro_status_t ask_for_segment(maestro_session_t *session, int64_t deadline_ns, const char *operation) {
    asked_t asked = {.freed_blocks = session->freed_blocks};
    maestro_request_t *request = &asked.request;
    mst_client_segment_t *segment = NULL;
    mst_wire_request_t like = {.head.kind = MST_WIRE_SEGMENT, .argument = session->wanted_nbytes};
    if (session->has_fresh) shrink(session, session->fresh_segment, session->segment[session->fresh_segment].base, session->segment[session->fresh_segment].nbytes);
    session->has_fresh = false;
    mst_mem_allocator_trim(session->allocator); /* what is free and too small for this makes room for it */
    maestro_status_t status = mst_client_send(session, request, &like, NULL, deadline_ns, operation);
    mst_client_pay(session);
    if (status == MAESTRO_OK) status = mst_client_wait(session, operation, deadline_ns + MST_CLIENT_GRACE_NS, granted_or_freed, &asked);
    if (status == MAESTRO_TIMEOUT) status = mst_base_fail(status, "%s: the pool manager did not answer in time; is it stopped? see maestro doctor", operation);
    else if (status == MAESTRO_OK && (!request->done || (request->status == MAESTRO_NO_MEMORY && have_come_back(session, &asked)))) status = MAESTRO_AGAIN;
    else if (status == MAESTRO_OK) status = mst_client_request_status(request);
    if (status == MAESTRO_OK) status = map_segment(session, (uint32_t)request->reply->value, true, &segment);
    if (status == MAESTRO_OK) {
        session->fresh_segment = (uint32_t)request->reply->value;
        session->has_fresh = true;
    }
    mst_client_request_fini(session, request);
    return status < 0 ? mst_base_fail_context(status, "%s", operation) : status;
}

maestro_status_t mst_client_try_alloc(maestro_session_t *session, uint64_t nbytes, mst_mem_block_t *block_out) {
    if (MST_UNLIKELY(!mst_wire_ring_empty(&session->channel.freed))) mst_client_take_freed(session);
    if (MST_UNLIKELY(session->check & MST_CLIENT_CHECK_PAGES)) nbytes = mst_client_check_nbytes(nbytes);
    return mst_mem_allocator_alloc(session->allocator, nbytes, block_out);
}

maestro_status_t mst_client_alloc(maestro_session_t *session, uint64_t nbytes, int64_t deadline_ns, const char *operation, mst_mem_block_t *block_out) {
    if (MST_UNLIKELY(nbytes > (uint64_t)session->memory_limit))
        return mst_base_fail(MAESTRO_TOO_LARGE, "%s: %llu bytes are more than the pool's limit of %lld; raise MAESTRO_POOL_MEMORY before the pool starts", operation,
                             (unsigned long long)nbytes, (long long)session->memory_limit);
    for (bool late = false;;) {
        session->wanted_nbytes = 0;
        maestro_status_t status = mst_client_try_alloc(session, nbytes, block_out);
        if (MST_LIKELY(status == MAESTRO_OK)) return MAESTRO_OK;
        if (!session->wanted_nbytes) return mst_base_fail_context(status, "%s", operation);
        if (late) return mst_base_fail(MAESTRO_NO_MEMORY, "%s: what came back in time is too small; see maestro top for who holds memory", operation);
        late = mst_base_now_ns() >= deadline_ns;
        status = ask_for_segment(session, deadline_ns, operation);
        if (status != MAESTRO_OK && status != MAESTRO_AGAIN) return status; /* also when a signal came */
    }
}

/* ---- Blocks that come back. */

static size_t held_slot(const maestro_session_t *session, uint32_t segment, uint64_t offset) {
    return mst_base_mix((uint64_t)segment << 40 ^ offset) & session->held_mask;
}

static maestro_cdo_t *find_held(const maestro_session_t *session, uint32_t segment, uint64_t offset) {
    if (!session->nheld) return NULL;
    for (size_t at = held_slot(session, segment, offset); session->held[at]; at = (at + 1) & session->held_mask)
        if (session->held[at]->place.segment == segment && session->held[at]->place.offset == offset) return session->held[at];
    return NULL;
}

static void put_held(maestro_session_t *session, maestro_cdo_t *cdo) {
    size_t at = held_slot(session, cdo->place.segment, cdo->place.offset);
    while (session->held[at]) at = (at + 1) & session->held_mask;
    session->held[at] = cdo;
}

void mst_client_hold(maestro_session_t *session, maestro_cdo_t *cdo) {
    size_t size = session->held ? session->held_mask + 1 : 0;
    if ((session->nheld + 1) * 2 > size) {
        size_t larger = size ? size * 2 : 64;
        maestro_cdo_t **old = session->held, **table = calloc(larger, sizeof *table);
        if (!table) return; /* its block goes back to the allocator when it comes: the handle's pointer is stale then, as after dispose */
        session->held = table;
        session->held_mask = larger - 1;
        for (size_t i = 0; i < size; i++)
            if (old[i]) put_held(session, old[i]);
        free(old);
    }
    put_held(session, cdo);
    session->nheld++;
}

void mst_client_unhold(maestro_session_t *session, maestro_cdo_t *cdo) {
    if (!session->held) return;
    size_t at = held_slot(session, cdo->place.segment, cdo->place.offset);
    while (session->held[at] && session->held[at] != cdo) at = (at + 1) & session->held_mask;
    if (!session->held[at]) return;
    session->held[at] = NULL;
    session->nheld--;
    for (at = (at + 1) & session->held_mask; session->held[at]; at = (at + 1) & session->held_mask) { /* close the gap */
        maestro_cdo_t *moved = session->held[at];
        session->held[at] = NULL;
        put_held(session, moved);
    }
}

void mst_client_take_freed(maestro_session_t *session) {
    bool broken = false;
    uint32_t nbytes;
    const mst_wire_word_t *word;
    while ((word = mst_wire_ring_peek(&session->channel.freed, &nbytes, &broken))) {
        uint32_t segment = (uint32_t)(word->word >> 32);
        uint64_t offset = (uint64_t)(uint32_t)word->word * 64;
        if (MST_UNLIKELY(session->check & MST_CLIENT_CHECK_PAGES)) mst_client_check_unprotect(session, segment, offset);
        maestro_cdo_t *cdo = find_held(session, segment, offset);
        if (cdo) cdo->block_is_back = true;
        else mst_mem_allocator_free(session->allocator, segment, offset);
        mst_wire_ring_consume(&session->channel.freed, nbytes);
        session->freed_blocks++;
    }
    mst_wire_ring_publish(&session->channel.freed);
}
