/* Talking with the manager: doorbell, replies, waiting, requests.  Everything here runs with the session's lock held; waiting lets go of it.
 * One waiting thread is the leader: it listens for all, takes the replies in, and wakes the others. */
#include "client/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

enum { REFUSALS_MAX = 1024, RELEASED_AT_ONCE = 256 };

/* Once in a sleep: it looks at all rings before the next one. */
void mst_client_wake_manager(maestro_session_t *session, uint32_t bits) {
    static const uint64_t one = 1;
    uint32_t sleeping = atomic_load_explicit(&session->board->sleeping, memory_order_relaxed);
    if (MST_LIKELY(!(sleeping & bits)) || sleeping == session->rung) return;
    session->rung = sleeping;
    if (write(session->wake_manager, &one, sizeof one) < 0) return; /* a full counter wakes it as well */
}

void mst_client_ring(maestro_session_t *session, uint32_t bits) {
    atomic_thread_fence(memory_order_seq_cst);
    mst_client_wake_manager(session, bits);
}

/* ---- Giving leases back. */

static bool is_gone(const maestro_session_t *session) {
    struct pollfd fd = {.fd = session->socket};
    return poll(&fd, 1, 0) > 0 && fd.revents & (POLLHUP | POLLERR);
}

/* Room in the ring of releases; NULL after a while: the manager is stopped or gone. */
static mst_wire_word_t *release_room(maestro_session_t *session, size_t nbytes) {
    int64_t deadline = 0;
    for (;;) {
        bool broken = false;
        mst_wire_word_t *word = mst_wire_ring_reserve(&session->channel.releases, (uint32_t)nbytes, &broken);
        if (word || broken || session->unresponsive) return word;
        mst_client_ring(session, MST_WIRE_ASLEEP);
        if (!deadline) deadline = mst_base_now_ns() + MST_CLIENT_GRACE_NS;
        session->lost = is_gone(session);
        session->unresponsive = mst_base_now_ns() > deadline; /* the next ones do not wait again */
        if (session->lost) return NULL;
        sched_yield();
    }
}

static bool write_releases(maestro_session_t *session, const uint64_t *lease, size_t stride, size_t count) {
    mst_wire_word_t *message = release_room(session, mst_wire_word_nbytes(count));
    if (!message) return false;
    session->unresponsive = false;
    message->head.kind = MST_WIRE_WORD;
    message->head.flags = 0;
    for (size_t i = 0; i < count; i++) message->words[i] = lease[i * stride];
    mst_wire_ring_commit(&session->channel.releases);
    return true;
}

static void keep_release(maestro_session_t *session, uint64_t lease) {
    if (!MST_RESERVE(session->unreleased, session->unreleased_capacity, session->nunreleased + 1, 256)) return; /* the manager ends it with the session */
    session->unreleased[session->nunreleased++] = lease;
}

static void write_unreleased(maestro_session_t *session) {
    while (session->nunreleased && write_releases(session, &session->unreleased[session->nunreleased - 1], 1, 1)) session->nunreleased--;
}

void mst_client_release_many(maestro_session_t *session, const uint64_t *lease, size_t stride, size_t count) {
    if (session->closed || session->lost) return;
    write_unreleased(session);
    for (size_t i = 0, some; i < count; i += some) {
        some = count - i < RELEASED_AT_ONCE ? count - i : RELEASED_AT_ONCE;
        if (!session->nunreleased && write_releases(session, &lease[i * stride], stride, some)) continue;
        for (size_t k = i; k < i + some; k++) keep_release(session, lease[k * stride]);
    }
    mst_client_ring(session, MST_WIRE_ASLEEP_RELEASES);
}

void mst_client_release(maestro_session_t *session, uint64_t lease) { mst_client_release_many(session, &lease, 1, 1); }

/* ---- Taking replies in. */

/* False: the message is no whole one. */
static bool take_reply(maestro_session_t *session, const mst_wire_reply_t *message, uint32_t nbytes) {
    if (nbytes < sizeof *message || message->text_nbytes > nbytes - sizeof *message) return false;
    maestro_request_t **link = &session->requests;
    while (*link && (*link)->number != message->request) link = &(*link)->next;
    maestro_request_t *request = *link;
    if (!request) { /* retracted meanwhile: what came with it goes back */
        if (message->lease) mst_client_release(session, message->lease);
        else if (message->status == MAESTRO_OK && message->place.segment != MST_WIRE_NO_SEGMENT) mst_client_return(session, message->place.segment);
        return true;
    }
    *link = request->next;
    request->done = true;
    request->status = message->status;
    if (message->text_nbytes) request->text = strndup((const char *)message->rest, message->text_nbytes);
    request->reply = malloc(nbytes);
    if (request->reply) memcpy(request->reply, message, nbytes);
    else if (request->status == MAESTRO_OK) request->status = MAESTRO_SYSTEM;
    return true;
}

static char *refusal_text(maestro_session_t *session, const mst_wire_refused_t *message, const maestro_cdo_t *cdo) {
    char description[512] = "an object";
    char text[1024 + MST_WIRE_TEXT_MAX];
    if (cdo) maestro_cdo_describe(cdo, description, sizeof description);
    else if (message->status == MAESTRO_DUPLICATE && message->text_nbytes) /* the manager describes it, for its handle may be gone */
        snprintf(description, sizeof description, "%.*s", (int)message->text_nbytes, message->text);
    if (message->status == MAESTRO_DUPLICATE && session->schema->whole_pool && !session->schema->versions && message->other >> 40 != session->number)
        snprintf(text, sizeof text, "offer %s: another session has offered an object of this identity (id %llu), and identities of schema %s reach the whole pool; demand that one, or set other identity attributes",
                 description, (unsigned long long)message->other, session->schema->name);
    else if (message->status == MAESTRO_DUPLICATE && session->schema->versions)
        snprintf(text, sizeof text, "offer %s: it is not newer than what is there (id %llu; a part given twice, a relayed version that comes late), or that one is kept for ever (maestro.persist) and no archive has acknowledged it yet: start one",
                 description, (unsigned long long)message->other);
    else if (message->status == MAESTRO_DUPLICATE)
        snprintf(text, sizeof text, "offer %s: component %s rank %lld has offered an object of this identity before (id %llu); withdraw that one first, or set other identity attributes",
                 description, session->component, (long long)session->rank, (unsigned long long)message->other);
    else
        snprintf(text, sizeof text, "offer %s: %s%s%.*s", description, maestro_status_text(message->status), message->text_nbytes ? ": " : "",
                 (int)message->text_nbytes, message->text);
    return strdup(text);
}

static bool take_refusal(maestro_session_t *session, const mst_wire_refused_t *message, uint32_t nbytes) {
    if (nbytes < sizeof *message || message->text_nbytes > nbytes - sizeof *message) return false;
    maestro_cdo_t *cdo = mst_client_cdo_by_id(session, message->id);
    char *text = refusal_text(session, message, cdo);
    if (cdo) {
        cdo->state = MST_CLIENT_REFUSED;
        cdo->refused = message->status;
        free(cdo->refused_text);
        cdo->refused_text = text ? strdup(text) : NULL;
    }
    if (session->nrefusals < REFUSALS_MAX && MST_RESERVE(session->refusal, session->refusals_capacity, session->nrefusals + 1, 16))
        session->refusal[session->nrefusals++] = (mst_client_refusal_t){message->id, message->status, text};
    else {
        session->refusals_uncounted++;
        session->uncounted_status = message->status;
        if (cdo) cdo->uncounted_in = session->refusals_round;
        free(text);
    }
    return true;
}

void mst_client_forget_refusal(maestro_session_t *session, maestro_cdo_t *cdo) {
    for (size_t i = 0; i < session->nrefusals; i++) {
        if (session->refusal[i].id != cdo->id) continue;
        free(session->refusal[i].text);
        memmove(&session->refusal[i], &session->refusal[i + 1], (--session->nrefusals - i) * sizeof session->refusal[0]);
        return;
    }
    if (cdo->uncounted_in == session->refusals_round && session->refusals_uncounted) session->refusals_uncounted--;
    cdo->uncounted_in = 0;
}

void mst_client_drain(maestro_session_t *session) {
    bool broken = false;
    uint32_t nbytes;
    const mst_wire_head_t *head;
    if (session->nunreleased && session->channel_memory && !session->lost) write_unreleased(session);
    if (session->nowed) mst_client_pay(session);
    if (!session->channel_memory || mst_wire_ring_empty(&session->channel.replies)) return;
    mst_client_take_freed(session);
    while (!broken && (head = mst_wire_ring_peek(&session->channel.replies, &nbytes, &broken))) {
        switch (head->kind) {
        case MST_WIRE_REPLY: broken = !take_reply(session, (const mst_wire_reply_t *)head, nbytes); break;
        case MST_WIRE_REFUSED: broken = !take_refusal(session, (const mst_wire_refused_t *)head, nbytes); break;
        case MST_WIRE_UNMAP: mst_client_unmap(session, (uint32_t)((const mst_wire_word_t *)head)->word); break;
        default: break;
        }
        mst_wire_ring_consume(&session->channel.replies, nbytes);
    }
    mst_wire_ring_publish(&session->channel.replies);
    if (broken) session->lost = true;
    mst_client_ring(session, MST_WIRE_ASLEEP_ROOM);
}

/* ---- The manager is gone. */

enum { NAMED = 5 };

typedef struct unconfirmed {
    char *text;
    size_t nbytes, at, count;
} unconfirmed_t;

static void add_unconfirmed(const maestro_session_t *session, unconfirmed_t *list, const mst_meta_attributes_t *attributes) {
    char one[256];
    if (list->count++ >= NAMED || list->at >= list->nbytes) return;
    mst_meta_attributes_describe(attributes, session->schema, session->dictionary, one, sizeof one);
    list->at += (size_t)snprintf(list->text + list->at, list->nbytes - list->at, "%s{%s}", list->at ? ", " : "", one);
}

static void add_unconfirmed_run(const maestro_session_t *session, unconfirmed_t *list, const mst_wire_run_t *run) {
    union { mst_meta_attributes_t set; uint64_t room[sizeof(mst_meta_attributes_t) / 8 + MST_META_KEYS_MAX]; } row;
    size_t words = mst_wire_run_row_words(false, run->has_places, run->nown);
    memcpy(&row, &run->attributes, mst_meta_attributes_nbytes(&run->attributes));
    for (uint32_t i = 0; i < run->count; i++) {
        const uint64_t *own = mst_wire_run_row(run, words, i) + words - run->nown;
        for (unsigned k = 0; k < run->nown; k++) row.set.value[run->position[k]] = own[k];
        add_unconfirmed(session, list, &row.set);
    }
}

static size_t describe_unconfirmed(maestro_session_t *session, char *text, size_t nbytes) {
    mst_wire_ring_t unread = session->channel.offers;
    uint64_t end = unread.position;
    unconfirmed_t list = {.text = text, .nbytes = nbytes};
    mst_wire_ring_init_reader(&unread, session->channel.offers.shared, session->channel.offers.capacity);
    text[0] = '\0';
    while (unread.position < end) {
        bool broken = false;
        uint32_t size;
        const mst_wire_offer_t *offer = mst_wire_ring_peek(&unread, &size, &broken);
        if (!offer || broken) break;
        if (offer->head.kind == MST_WIRE_OFFER_RUN) add_unconfirmed_run(session, &list, (const mst_wire_run_t *)offer);
        else add_unconfirmed(session, &list, &offer->attributes);
        mst_wire_ring_consume(&unread, size);
    }
    if (list.count > NAMED && list.at < nbytes) snprintf(text + list.at, nbytes - list.at, " and %zu more", list.count - NAMED);
    return list.count;
}

maestro_status_t mst_client_lost(maestro_session_t *session, const char *operation) {
    char offers[1024];
    size_t count = session->channel_memory ? describe_unconfirmed(session, offers, sizeof offers) : 0;
    if (!count)
        return mst_base_fail(MAESTRO_POOL_LOST, "%s: the manager of pool %s is gone (its log: %s); open a new session and offer again what is needed", operation,
                             session->rendezvous.pool, session->rendezvous.log);
    return mst_base_fail(MAESTRO_POOL_LOST, "%s: the manager of pool %s is gone (its log: %s); %zu offers are not confirmed: %s", operation, session->rendezvous.pool,
                         session->rendezvous.log, count, offers);
}

/* ---- Waiting. */

static bool poll_once(maestro_session_t *session, int64_t left_ns) { /* true when a signal came; lock not held */
    struct pollfd fds[2] = {{.fd = session->wake_client, .events = POLLIN}, {.fd = session->socket, .events = 0}};
    struct timespec timeout = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    uint64_t rings;
    int count = ppoll(fds, 2, &timeout, NULL);
    if (count < 0) return errno == EINTR;
    if (fds[0].revents & POLLIN && read(session->wake_client, &rings, sizeof rings) < 0) return false;
    if (fds[1].revents & (POLLHUP | POLLERR)) {
        pthread_mutex_lock(&session->lock);
        mst_client_drain(session);
        session->lost = true;
        pthread_mutex_unlock(&session->lock);
    }
    return false;
}

static bool lead(maestro_session_t *session, int64_t left_ns, mst_client_ready_fn ready, void *context) {
    mst_wire_ring_header_t *replies = session->channel.replies.shared;
    bool signalled = false;
    session->leader = true;
    atomic_store_explicit(&replies->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (mst_wire_ring_empty(&session->channel.replies) && !ready(session, context)) {
        pthread_mutex_unlock(&session->lock);
        signalled = poll_once(session, left_ns);
        pthread_mutex_lock(&session->lock);
    }
    atomic_store_explicit(&replies->sleeping, 0, memory_order_relaxed);
    session->leader = false;
    if (session->waiting) pthread_cond_broadcast(&session->news);
    return signalled;
}

static void follow(maestro_session_t *session, int64_t deadline_ns) {
    struct timespec until = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    session->waiting++;
    pthread_cond_timedwait(&session->news, &session->lock, &until);
    session->waiting--;
}

static bool be_patient(maestro_session_t *session, int64_t *until_ns) {
    pthread_mutex_unlock(&session->lock);
    bool again = mst_base_patience(until_ns, atomic_load_explicit(&session->board->spin_ns, memory_order_relaxed));
    pthread_mutex_lock(&session->lock);
    return again;
}

maestro_status_t mst_client_wait(maestro_session_t *session, const char *operation, int64_t deadline_ns, mst_client_ready_fn ready, void *context) {
    int64_t patience = 0;
    for (;;) {
        if (session->closed) return mst_base_fail(MAESTRO_CLOSED, "%s: the session was closed by another thread", operation);
        mst_client_drain(session);
        if (ready(session, context)) return MAESTRO_OK;
        if (session->lost) return mst_client_lost(session, operation);
        int64_t now = mst_base_now_ns();
        if (now >= deadline_ns) return MAESTRO_TIMEOUT;
        if (!session->leader && be_patient(session, &patience)) continue;
        if (session->leader) follow(session, deadline_ns);
        else if (lead(session, deadline_ns - now, ready, context) && session->interruptible) return mst_base_fail(MAESTRO_INTERRUPTED, "%s: a signal came", operation);
    }
}

/* ---- Writing. */

typedef struct room {
    mst_wire_ring_t *ring;
    uint32_t nbytes;
    void *room;
    bool broken;
} room_t;

static bool has_room(maestro_session_t *session, void *context) {
    room_t *room = context;
    (void)session;
    room->room = mst_wire_ring_reserve(room->ring, room->nbytes, &room->broken);
    if (!room->room && !room->broken) {
        atomic_store_explicit(&room->ring->shared->blocked, 1, memory_order_relaxed);
        mst_client_ring(session, MST_WIRE_ASLEEP);
        room->room = mst_wire_ring_reserve(room->ring, room->nbytes, &room->broken);
    }
    return room->room || room->broken;
}

maestro_status_t mst_client_reserve(maestro_session_t *session, mst_wire_ring_t *ring, size_t nbytes, int64_t deadline_ns, const char *operation, void **room_out) {
    bool broken = false;
    if (nbytes > mst_wire_ring_limit(ring)) return mst_base_fail(MAESTRO_TOO_LARGE, "%s: a message of %zu bytes is too large; limit attributes and selectors to 60 KiB", operation, nbytes);
    void *now = mst_wire_ring_reserve(ring, (uint32_t)nbytes, &broken);
    if (MST_LIKELY(now != NULL)) {
        *room_out = now;
        return MAESTRO_OK;
    }
    room_t room = {.ring = ring, .nbytes = (uint32_t)nbytes};
    maestro_status_t status = mst_client_wait(session, operation, deadline_ns, has_room, &room);
    if (status == MAESTRO_TIMEOUT)
        return mst_base_fail(MAESTRO_TIMEOUT, "%s: the pool manager did not take earlier messages in time; the pool is full or offers are held: see maestro top", operation);
    if (status != MAESTRO_OK) return status;
    if (room.broken) return mst_base_fail(MAESTRO_PROTOCOL, "%s: the manager's read position is out of bounds", operation);
    *room_out = room.room;
    return MAESTRO_OK;
}

maestro_status_t mst_client_send(maestro_session_t *session, maestro_request_t *request, const mst_wire_request_t *like, const char *text, int64_t deadline_ns, const char *operation) {
    size_t text_nbytes = text ? strlen(text) : 0;
    void *room = NULL;
    MST_TRY(mst_client_reserve(session, &session->channel.control, sizeof *like + text_nbytes, deadline_ns, operation, &room));
    mst_wire_request_t *message = room;
    uint32_t nbytes = message->head.nbytes;
    int64_t left = deadline_ns - mst_base_now_ns();
    *message = *like;
    message->head.nbytes = nbytes;
    message->request = ++session->last_request;
    message->timeout_ns = left > 0 ? left : 0;
    message->text_nbytes = (uint32_t)text_nbytes;
    if (text_nbytes) memcpy(message->text, text, text_nbytes);
    if (request) {
        request->session = session;
        request->number = message->request;
        request->next = session->requests;
        session->requests = request;
    }
    mst_wire_ring_commit(&session->channel.control);
    mst_client_ring(session, MST_WIRE_ASLEEP);
    return MAESTRO_OK;
}

/* ---- What needs no answer. */

static bool has_room_for_one(maestro_session_t *session) { return mst_wire_ring_room(&session->channel.control) >= 2 * sizeof(mst_wire_request_t); }

void mst_client_pay(maestro_session_t *session) {
    size_t paid = 0;
    if (!session->nowed || !session->channel_memory || session->lost) return;
    for (; paid < session->nowed && has_room_for_one(session); paid++)
        if (mst_client_send(session, NULL, &session->owed[paid], NULL, mst_base_now_ns(), "tell the manager") != MAESTRO_OK) break;
    session->nowed -= paid;
    memmove(session->owed, session->owed + paid, session->nowed * sizeof *session->owed);
}

void mst_client_owe(maestro_session_t *session, const mst_wire_request_t *like) {
    if (!MST_RESERVE(session->owed, session->owed_capacity, session->nowed + 1, 16)) return; /* all comes back when the session ends */
    session->owed[session->nowed++] = *like;
    mst_client_pay(session);
}

bool mst_client_request_is_done(maestro_session_t *session, void *request) {
    (void)session;
    return ((const maestro_request_t *)request)->done;
}

maestro_status_t mst_client_request_status(const maestro_request_t *request) {
    if (request->status == MAESTRO_OK) return MAESTRO_OK;
    return mst_base_fail(request->status, "%s", request->text ? request->text : maestro_status_text(request->status));
}

/* The manager keeps the deadline; the grace is for a manager that is stopped. */
maestro_status_t mst_client_call(maestro_session_t *session, maestro_request_t *request, const mst_wire_request_t *like, const char *text, int64_t deadline_ns, const char *operation) {
    MST_TRY(mst_client_send(session, request, like, text, deadline_ns, operation));
    maestro_status_t status = mst_client_wait(session, operation, deadline_ns + MST_CLIENT_GRACE_NS, mst_client_request_is_done, request);
    if (status == MAESTRO_TIMEOUT) return mst_base_fail(MAESTRO_TIMEOUT, "%s: the pool manager did not answer in time; is it stopped? see maestro doctor", operation);
    return status == MAESTRO_OK ? mst_client_request_status(request) : status;
}

static void cancel(maestro_session_t *session, const maestro_request_t *request) {
    mst_wire_request_t like = {.head.kind = MST_WIRE_CANCEL, .argument = request->number};
    mst_client_owe(session, &like);
}

void mst_client_request_fini(maestro_session_t *session, maestro_request_t *request) {
    if (!request->done && request->number && !session->closed && !session->lost) cancel(session, request);
    for (maestro_request_t **link = &session->requests; *link; link = &(*link)->next)
        if (*link == request) {
            *link = request->next;
            break;
        }
    free(request->text);
    free(request->reply);
    request->text = NULL;
    request->reply = NULL;
}

/* The answer to the last question: what comes late to earlier ones is thrown away, else it would be taken for it. */
static maestro_status_t receive_answer(maestro_session_t *session, bool interruptible, int64_t deadline_ns, mst_wire_fetch_reply_t *reply, size_t *nbytes_out, int *fds, size_t *nfds_inout) {
    size_t room = *nfds_inout;
    for (;;) {
        *nfds_inout = room;
        maestro_status_t status = mst_wire_receive(session->socket, reply, sizeof *reply, nbytes_out, fds, nfds_inout, deadline_ns);
        if (status == MAESTRO_INTERRUPTED && !interruptible) continue;
        if (status == MAESTRO_TIMEOUT || status == MAESTRO_INTERRUPTED) session->late_answers++;
        if (status != MAESTRO_OK || !session->late_answers) return status;
        session->late_answers--;
        while (*nfds_inout) close(fds[--*nfds_inout]);
    }
}

/* Stats were asked for before and have not come yet: their answer is waited for, so that a manager that is stopped is not asked again and again. */
static bool stats_are_coming(const maestro_session_t *session) {
    struct pollfd fd = {.fd = session->socket, .events = POLLIN};
    return session->stats_due && poll(&fd, 1, 0) == 0;
}

static maestro_status_t fetch(maestro_session_t *session, mst_wire_fetch_t kind, uint32_t number, bool interruptible, int64_t deadline_ns, mst_wire_fetch_reply_t *reply, int *fds, size_t nfds) {
    mst_wire_fetch_request_t request = {.kind = kind, .number = number};
    size_t nbytes, came = nfds;
    bool coming = kind == MST_WIRE_FETCH_STATS && stats_are_coming(session);
    if (coming) session->late_answers--;
    maestro_status_t status = coming ? MAESTRO_OK : mst_wire_send(session->socket, &request, sizeof request, NULL, 0);
    bool sent = status == MAESTRO_OK;
    if (sent) status = receive_answer(session, interruptible, deadline_ns, reply, &nbytes, fds, &came);
    session->stats_due = kind == MST_WIRE_FETCH_STATS && sent && (status == MAESTRO_TIMEOUT || status == MAESTRO_INTERRUPTED);
    if (status == MAESTRO_TIMEOUT || status == MAESTRO_AGAIN) return mst_base_fail(MAESTRO_TIMEOUT, "fetch from the pool manager: it did not answer in time; is it stopped? see maestro doctor");
    if (status == MAESTRO_INTERRUPTED && sent) return mst_base_fail(status, "fetch from the pool manager: a signal came");
    if (status == MAESTRO_SYSTEM && sent) return mst_base_fail_context(status, "fetch from the pool manager"); /* no descriptor left: not its fault */
    if (status != MAESTRO_OK) {
        session->lost = true;
        return mst_client_lost(session, "fetch from the pool manager");
    }
    if (nbytes == sizeof *reply && reply->status == MAESTRO_OK && came == nfds) return MAESTRO_OK;
    while (came) close(fds[--came]);
    return mst_base_fail(reply->status < 0 ? reply->status : MAESTRO_PROTOCOL, "fetch from the pool manager: it has no such segment or subscription (%u)", number);
}

maestro_status_t mst_client_fetch(maestro_session_t *session, mst_wire_fetch_t kind, uint32_t number, mst_wire_fetch_reply_t *reply, int *fds, size_t nfds) {
    return fetch(session, kind, number, false, mst_base_now_ns() + MST_CLIENT_GRACE_NS, reply, fds, nfds);
}

maestro_status_t mst_client_fetch_until(maestro_session_t *session, mst_wire_fetch_t kind, uint32_t number, int64_t deadline_ns, mst_wire_fetch_reply_t *reply, int *fds, size_t nfds) {
    return fetch(session, kind, number, session->interruptible, deadline_ns, reply, fds, nfds);
}
