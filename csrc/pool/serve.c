/* Serving a client's rings: offers, requests, leases that come back.  All that comes from a client is copied once, checked, then used; what is
 * wrong ends its session and harms nobody else. */
#include "pool/session.h"

#include "pool/manager.h"
#include "pool/offers.h"
#include "pool/request.h"

#include <stdio.h>

enum { MESSAGES_PER_ROUND = 256, BACKGROUND_PER_ROUND = 64, BESIDE_URGENT = 32, DEFERRED_MAX = 4096 };

enum { DEFERRED = 1 }; /* flag of a request in the queue: its timeout is a deadline */

static void defer(mst_pool_t *pool, mst_pool_session_t *session, mst_wire_request_t *request) {
    if (request->head.kind == MST_WIRE_SEGMENT_RETURN) request->timeout_ns = INT64_MAX; /* a gift, not a question: it waits for ever */
    else if (!(request->head.flags & DEFERRED)) request->timeout_ns = pool->now_ns + mst_pool_bounded(request->timeout_ns);
    request->head.flags = DEFERRED;
    if (request->timeout_ns < pool->stall_deadline_ns) pool->stall_deadline_ns = request->timeout_ns;
    if (session->deferred.count < DEFERRED_MAX && mst_pool_queue_push(&session->deferred, request, request->head.nbytes)) return;
    mst_pool_session_fail(pool, session, request->request, MAESTRO_TOO_LARGE, "4096 requests wait for offers that were made before them; flush first");
}

static void fail_deferred(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *request) {
    char text[768], why[512];
    const char *what = mst_pool_obstacle(pool, why, sizeof why);
    snprintf(text, sizeof text, "offers made before this request still wait: %s", what ? what : "the manager is busy");
    mst_pool_session_fail(pool, session, request->request, MAESTRO_TIMEOUT, text);
}

static void take_control(mst_pool_t *pool, mst_pool_session_t *session, mst_wire_request_t *request) {
    bool deferred = request->head.flags & DEFERRED;
    if (request->after <= session->channel.offers.position || request->head.kind == MST_WIRE_CANCEL) {
        if (deferred) request->timeout_ns -= pool->now_ns;
        mst_pool_request_take(pool, session, request);
    } else if (deferred && pool->now_ns >= request->timeout_ns) fail_deferred(pool, session, request);
    else defer(pool, session, request);
}

static bool serve_control(mst_pool_t *pool, mst_pool_session_t *session) {
    bool broken = false;
    uint32_t nbytes;
    const void *message = mst_wire_ring_peek(&session->channel.control, &nbytes, &broken);
    if (!message && !broken) return false;
    mst_wire_request_t *request = (mst_wire_request_t *)pool->scratch;
    if (!broken && nbytes <= MST_WIRE_CONTROL_CAPACITY / 2) {
        memcpy(request, message, nbytes);
        request->head.nbytes = nbytes;
    } else broken = true;
    if (broken || nbytes < sizeof *request || request->text_nbytes > nbytes - sizeof *request || request->after > session->channel.offers.other + MST_WIRE_OFFERS_CAPACITY) {
        mst_pool_session_break(session, "it wrote garbage into its control ring");
        return false;
    }
    mst_wire_ring_consume(&session->channel.control, nbytes);
    request->head.flags = 0;
    take_control(pool, session, request);
    return true;
}

static size_t serve_deferred(mst_pool_t *pool, mst_pool_session_t *session) {
    size_t served = 0;
    for (size_t left = session->deferred.count; left && session->deferred.first; left--) {
        mst_wire_request_t *request = (mst_wire_request_t *)session->deferred.first->bytes;
        size_t nbytes = request->head.nbytes;
        memcpy(pool->scratch, request, nbytes);
        mst_pool_queue_pop(&session->deferred);
        request = (mst_wire_request_t *)pool->scratch;
        if (request->after <= session->channel.offers.position) served++;
        take_control(pool, session, request);
    }
    return served;
}

static size_t serve_releases(mst_pool_t *pool, mst_pool_session_t *session) {
    size_t served = 0;
    uint32_t nbytes;
    bool broken = false;
    const mst_wire_word_t *word;
    while (!session->broken && served < 4096 && (word = mst_wire_ring_peek(&session->channel.releases, &nbytes, &broken))) {
        if (nbytes < sizeof *word) broken = true;
        if (broken) break;
        for (size_t i = 0, count = mst_wire_word_count(nbytes); i < count && !session->broken; i++, served++)
            mst_pool_session_release(pool, session, ((volatile const uint64_t *)word->words)[i]);
        mst_wire_ring_consume(&session->channel.releases, nbytes);
    }
    if (broken) mst_pool_session_break(session, "its releases ring is out of bounds");
    if (served) mst_wire_ring_publish(&session->channel.releases);
    return served;
}

size_t mst_pool_session_serve(mst_pool_t *pool, mst_pool_session_t *session) {
    size_t served = serve_releases(pool, session);
    mst_pool_session_flush(pool, session);
    if (session->outbox.first) return served; /* it does not read its replies: it gets no more work done until it does */
    size_t offers = 0, requests = 0, most = MESSAGES_PER_ROUND;
    if (session->priority == MAESTRO_PRIORITY_BACKGROUND) most = pool->nurgent ? BESIDE_URGENT : BACKGROUND_PER_ROUND;
    for (size_t taken = 1; taken && offers < most && !session->outbox.first && !session->broken; offers += taken) taken = mst_pool_offers_serve(pool, session);
    if (session->deferred.first && !session->outbox.first) served += serve_deferred(pool, session);
    while (requests < most && !session->outbox.first && !session->broken && serve_control(pool, session)) requests++;
    if (offers) mst_wire_ring_publish(&session->channel.offers);
    if (requests) mst_wire_ring_publish(&session->channel.control);
    if (offers + requests) mst_pool_touch(pool, session);
    return served + offers + requests;
}

bool mst_pool_session_idle(mst_pool_session_t *session, bool offers_wait) {
    if (mst_pool_session_can_flush(session)) return false;
    if (session->outbox.first) return true; /* it must read its replies first */
    return ((session->stalled_since_ns && offers_wait) || mst_wire_ring_empty(&session->channel.offers)) && mst_wire_ring_empty(&session->channel.control) &&
           mst_wire_ring_empty(&session->channel.releases);
}
