/* Subscriptions: events come through a window in shared memory that only this process reads. */
#include "client/client.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

void maestro_subscription_options_init(maestro_subscription_options_t *options) {
    *options = (maestro_subscription_options_t){.size = sizeof *options, .kinds = MAESTRO_EVENT_OFFERED, .start = MAESTRO_START_SNAPSHOT};
}

static maestro_status_t check_options(const maestro_subscription_options_t *options) {
    const uint32_t all = MAESTRO_EVENT_OFFERED | MAESTRO_EVENT_WITHDRAWN | MAESTRO_EVENT_JOINED | MAESTRO_EVENT_LEFT;
    if (options->size != sizeof *options)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: the options' size is %zu, expected %zu; call maestro_subscription_options_init first", options->size, sizeof *options);
    if (!options->kinds || options->kinds & ~all) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: kinds %#x; add up MAESTRO_EVENT_OFFERED, _WITHDRAWN, _JOINED, _LEFT", options->kinds);
    if ((unsigned)options->start > MAESTRO_START_QUERY) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: start %d is unknown", (int)options->start);
    return MAESTRO_OK;
}

static uint64_t window_capacity(size_t wanted) {
    uint64_t capacity = wanted ? MST_WIRE_WINDOW_MIN : MST_WIRE_WINDOW_DEFAULT;
    while (capacity < wanted && capacity < MST_WIRE_WINDOW_MAX) capacity *= 2;
    return capacity;
}

static maestro_status_t open_window(maestro_session_t *session, maestro_subscription_t *subscription, uint64_t capacity) {
    mst_wire_fetch_reply_t reply;
    int fds[2] = {-1, -1};
    MST_TRY(mst_client_fetch(session, MST_WIRE_FETCH_WINDOW, subscription->number, &reply, fds, 2));
    maestro_status_t status = reply.nbytes < mst_wire_ring_nbytes(capacity) ? mst_base_fail(MAESTRO_PROTOCOL, "subscribe: the window is too small")
                                                                          : mst_mem_segment_check(fds[0], reply.nbytes);
    if (status == MAESTRO_OK) status = mst_mem_segment_map(fds[0], reply.nbytes, true, &subscription->memory);
    close(fds[0]);
    if (status != MAESTRO_OK) {
        close(fds[1]);
        return status;
    }
    subscription->wake_fd = fds[1];
    subscription->memory_nbytes = reply.nbytes;
    mst_wire_ring_init_reader(&subscription->window, subscription->memory, capacity);
    atomic_store(&subscription->window.shared->sleeping, 1); /* so that the descriptor tells from the beginning */
    return MAESTRO_OK;
}

/* Leaves the thread's last error as it is: what failed before it is to be told. */
static void unsubscribe(maestro_session_t *session, uint32_t number) {
    maestro_request_t request = {0};
    mst_client_error_t error;
    mst_client_error_keep(&error);
    mst_wire_request_t like = {.head.kind = MST_WIRE_UNSUBSCRIBE, .argument = number};
    mst_client_call(session, &request, &like, NULL, mst_base_now_ns() + 2000000000, "unsubscribe");
    mst_client_request_fini(session, &request);
    mst_client_error_restore(&error);
}

static maestro_status_t subscribe(maestro_session_t *session, const char *selector, const maestro_subscription_options_t *options, maestro_subscription_t *subscription) {
    maestro_request_t request = {0};
    uint64_t capacity = window_capacity(options->window_bytes);
    mst_wire_request_t like = {.head.kind = MST_WIRE_SUBSCRIBE, .after = session->channel.offers.position, .kinds = options->kinds,
                               .start = (uint16_t)options->start, .hold = options->hold, .window = capacity};
    maestro_status_t status = mst_client_call(session, &request, &like, selector, mst_base_deadline_ns(session->timeout_s), "subscribe");
    if (status == MAESTRO_OK) {
        subscription->number = (uint32_t)request.reply->value;
        status = open_window(session, subscription, capacity);
        if (status != MAESTRO_OK) unsubscribe(session, subscription->number);
    }
    mst_client_request_fini(session, &request);
    return status;
}

maestro_status_t maestro_subscribe(maestro_session_t *session, const char *selector, const maestro_subscription_options_t *options, maestro_subscription_t **subscription_out) {
    maestro_subscription_options_t defaults;
    maestro_subscription_options_init(&defaults);
    if (!options) options = &defaults;
    if (!subscription_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: the output is NULL");
    MST_TRY(check_options(options));
    MST_TRY(mst_client_enter(session, "subscribe"));
    maestro_subscription_t *subscription = calloc(1, sizeof *subscription);
    maestro_status_t status = subscription ? MAESTRO_OK : mst_base_fail(MAESTRO_SYSTEM, "subscribe: no memory");
    if (status == MAESTRO_OK) {
        subscription->session = session;
        status = subscribe(session, selector, options, subscription);
    }
    if (status == MAESTRO_OK) {
        subscription->next = session->subscriptions;
        session->subscriptions = subscription;
        session->handles++;
        *subscription_out = subscription;
    } else free(subscription);
    mst_client_leave(session);
    return status;
}

maestro_status_t maestro_subscription_dispose(maestro_subscription_t *subscription) {
    if (!subscription) return MAESTRO_OK;
    maestro_session_t *session = subscription->session;
    if (session->fork_count != mst_client_forks) return mst_base_fail(MAESTRO_FORKED, "dispose: this subscription belongs to the parent process");
    pthread_mutex_lock(&session->lock);
    for (maestro_subscription_t **link = &session->subscriptions; *link; link = &(*link)->next)
        if (*link == subscription) {
            *link = subscription->next;
            break;
        }
    bool broken = false; /* leases of events that nobody took go back */
    uint32_t nbytes;
    const mst_wire_event_t *event;
    bool live = !session->closed && !session->lost;
    session->inside++; /* another thread may close while this one waits */
    if (live) unsubscribe(session, subscription->number);
    while (live && (event = mst_wire_ring_peek(&subscription->window, &nbytes, &broken))) {
        if (event->head.kind == MST_WIRE_EVENT && event->lease) mst_client_release(session, event->lease);
        mst_wire_ring_consume(&subscription->window, nbytes);
    }
    mst_mem_segment_unmap(subscription->memory, subscription->memory_nbytes);
    close(subscription->wake_fd);
    free(subscription);
    mst_client_leave(session);
    return MAESTRO_OK;
}

int maestro_subscription_fd(const maestro_subscription_t *subscription) { return subscription ? subscription->wake_fd : -1; }

/* ---- Events. */

static maestro_status_t take_event(maestro_session_t *session, const mst_wire_event_t *message, maestro_event_t *event) {
    bool gone = message->head.flags & MST_WIRE_EVENT_GONE;
    uint32_t kind = message->head.flags & 0xffu;
    mst_client_state_t state = kind == MAESTRO_EVENT_OFFERED && !gone ? MST_CLIENT_LEASED : MST_CLIENT_NOTICE;
    *event = (maestro_event_t){.kind = (maestro_event_kind_t)kind, .gone = gone, .sequence = message->sequence};
    MST_TRY(mst_client_cdo_leased(session, state, message->id, message->lease, &message->place, &message->attributes, &event->cdo));
    __builtin_prefetch(event->cdo->data); /* the writer's core has it; who takes the event is about to look */
    return MAESTRO_OK;
}

/* Takes up to `capacity` events that are there; lock held. */
static maestro_status_t take_ready(maestro_subscription_t *subscription, maestro_event_t *events, size_t capacity, size_t *count_out) {
    bool broken = false;
    uint32_t nbytes;
    const mst_wire_head_t *head;
    maestro_status_t status = MAESTRO_OK;
    size_t count = 0;
    while (count < capacity && status == MAESTRO_OK && (head = mst_wire_ring_peek(&subscription->window, &nbytes, &broken))) {
        if (head->kind == MST_WIRE_EVENT) status = take_event(subscription->session, (const mst_wire_event_t *)head, &events[count]);
        else if (head->kind == MST_WIRE_GAP) {
            const mst_wire_gap_t *gap = (const mst_wire_gap_t *)head;
            events[count] = (maestro_event_t){.kind = MAESTRO_EVENT_GAP, .sequence = gap->to, .gap_from = gap->from, .gap_to = gap->to};
        } else subscription->ended = true;
        if (status != MAESTRO_OK && count) break; /* the next call tells it */
        if (status != MAESTRO_OK && ((const mst_wire_event_t *)head)->lease) mst_client_release(subscription->session, ((const mst_wire_event_t *)head)->lease);
        if (status == MAESTRO_OK && head->kind != MST_WIRE_END) count++;
        mst_wire_ring_consume(&subscription->window, nbytes);
    }
    if (broken) status = mst_base_fail(MAESTRO_PROTOCOL, "next event: the window is out of bounds");
    *count_out = count;
    return count ? MAESTRO_OK : status;
}

/* Tells the manager how far we have read; wakes it if that may let events in.  Not for each event: when all that was seen is taken, and after each
 * eighth of the window. */
static void publish(maestro_subscription_t *subscription) {
    mst_wire_ring_t *window = &subscription->window;
    if (window->position != window->other && window->position - subscription->published < window->capacity / 8) return;
    subscription->published = window->position;
    mst_wire_ring_publish(window);
    uint64_t left = atomic_load_explicit(&window->shared->head, memory_order_relaxed) - window->position;
    if (left <= window->capacity / 2) mst_client_ring(subscription->session, MST_WIRE_ASLEEP_ROOM);
}

static maestro_status_t try_take(maestro_subscription_t *subscription, maestro_event_t *events, size_t capacity, size_t *count_out) {
    maestro_session_t *session = subscription->session;
    *count_out = 0;
    pthread_mutex_lock(&session->lock);
    maestro_status_t status = session->closed ? mst_base_fail(MAESTRO_CLOSED, "next event: the session is closed") : MAESTRO_OK;
    if (status == MAESTRO_OK) status = take_ready(subscription, events, capacity, count_out);
    if (status == MAESTRO_OK && !session->lost) publish(subscription);
    if (status == MAESTRO_OK && !*count_out) {
        if (subscription->ended || (session->lost && atomic_load(&session->board->leaving))) status = MAESTRO_END;
        else if (session->lost) status = mst_client_lost(session, "next event");
    }
    pthread_mutex_unlock(&session->lock);
    return status;
}

static maestro_status_t sleep_for_event(maestro_subscription_t *subscription, int64_t left_ns) {
    maestro_session_t *session = subscription->session;
    struct pollfd fds[2] = {{.fd = subscription->wake_fd, .events = POLLIN}, {.fd = session->socket, .events = 0}};
    struct timespec timeout = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    uint64_t rings;
    int count = ppoll(fds, 2, &timeout, NULL);
    if (count < 0 && errno == EINTR && session->interruptible) return mst_base_fail(MAESTRO_INTERRUPTED, "next event: a signal came");
    if (count > 0 && fds[0].revents & POLLIN && read(subscription->wake_fd, &rings, sizeof rings) < 0) return MAESTRO_OK;
    if (count > 0 && fds[1].revents & (POLLHUP | POLLERR | POLLNVAL)) {
        pthread_mutex_lock(&session->lock);
        session->lost = true; /* events that are in the window still come first */
        pthread_mutex_unlock(&session->lock);
    }
    return MAESTRO_OK;
}

/* Nothing is there, it seems: says so, and looks once more.  The descriptor is not readable afterwards unless something came. */
static bool is_empty(maestro_subscription_t *subscription) {
    uint64_t rings;
    atomic_store_explicit(&subscription->window.shared->sleeping, 1, memory_order_relaxed);
    ssize_t came = read(subscription->wake_fd, &rings, sizeof rings);
    (void)came;
    atomic_thread_fence(memory_order_seq_cst);
    return mst_wire_ring_empty(&subscription->window);
}

static maestro_status_t wait_and_take(maestro_subscription_t *subscription, double timeout_s, maestro_event_t *events, size_t capacity, size_t *count_out) {
    maestro_session_t *session = subscription->session;
    int64_t now = mst_base_now_ns(), deadline = mst_client_deadline(session, timeout_s);
    int64_t patience = 0;
    for (;; now = mst_base_now_ns()) {
        bool spinning = now < deadline && mst_base_patience(&patience);
        if (!spinning && is_empty(subscription)) {
            if (now >= deadline) return mst_base_fail(MAESTRO_TIMEOUT, "next event: none came in time");
            MST_TRY(sleep_for_event(subscription, deadline - now));
        }
        maestro_status_t status = try_take(subscription, events, capacity, count_out);
        if (status != MAESTRO_OK || *count_out) return status;
    }
}

maestro_status_t maestro_subscription_next_many(maestro_subscription_t *subscription, double timeout_s, maestro_event_t *events, size_t capacity, size_t *count_out) {
    if (!subscription || !events || !capacity || !count_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "next event: an argument is NULL or 0");
    maestro_session_t *session = subscription->session;
    if (session->fork_count != mst_client_forks) return mst_base_fail(MAESTRO_FORKED, "next event: this subscription belongs to the parent process");
    size_t count = 0;
    maestro_status_t status = try_take(subscription, events, capacity, &count);
    if (status == MAESTRO_OK && !count) {
        MST_TRY(mst_client_stay(session, "next event"));
        status = wait_and_take(subscription, timeout_s, events, capacity, &count);
        pthread_mutex_lock(&session->lock);
        mst_client_leave(session);
    }
    if (count) *count_out = count;
    return status;
}

maestro_status_t maestro_subscription_next(maestro_subscription_t *subscription, double timeout_s, maestro_event_t *event_out) {
    size_t count;
    maestro_event_t event;
    maestro_status_t status = maestro_subscription_next_many(subscription, timeout_s, &event, 1, &count);
    if (status == MAESTRO_OK) *event_out = event;
    return status;
}
