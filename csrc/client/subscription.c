/* Subscriptions: events come through a window in shared memory that only this process reads. */
#include "client/client.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

enum { GROUP_NAME_MAX = 63, ACKNOWLEDGE_S_MAX = 1000000 };
enum { AHEAD = 2048, LINE = 64 }; /* bytes: how far ahead of reading a window is fetched; of a cache line */

void maestro_subscription_options_init(maestro_subscription_options_t *options) {
    *options = (maestro_subscription_options_t){.size = sizeof *options, .kinds = MAESTRO_EVENT_OFFERED, .start = MAESTRO_START_SNAPSHOT};
}

static maestro_status_t check_options(const maestro_subscription_options_t *options) {
    if (options->size != sizeof *options)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: the options' size is %zu, expected %zu; call maestro_subscription_options_init first", options->size, sizeof *options);
    if (!options->kinds || options->kinds & ~(uint32_t)MST_WIRE_EVENT_KINDS)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: kinds %#x; add up MAESTRO_EVENT_OFFERED, _WITHDRAWN, _JOINED, _LEFT, _EXPIRED, _REQUIRED, _RETRACTED, _INCOMPLETE", options->kinds);
    if (options->group && (!options->group[0] || strlen(options->group) > GROUP_NAME_MAX))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: the consumer group's name has %zu bytes; give it 1 to %d", strlen(options->group), GROUP_NAME_MAX);
    if (!(options->acknowledge_s >= 0) || options->acknowledge_s > ACKNOWLEDGE_S_MAX)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: acknowledge_s is %g; it may be 0 to %d", options->acknowledge_s, ACKNOWLEDGE_S_MAX);
    if (options->observe && options->group)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: who only observes takes no object from a group; leave out one of both");
    if (!options->group && (options->limit || options->prefetch || options->acknowledge_s > 0))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: limit, prefetch and acknowledge_s are for members of a consumer group; name one, or leave them 0");
    if (options->prefetch >> MST_WIRE_PREFETCH_BITS)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: prefetch is %u; it may be 0 to %d", options->prefetch, (1 << MST_WIRE_PREFETCH_BITS) - 1);
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
static void unsubscribe(maestro_subscription_t *subscription) {
    maestro_session_t *session = subscription->session;
    mst_client_error_t error;
    mst_client_error_keep(&error);
    mst_client_owe(session, &(mst_wire_request_t){.head.kind = MST_WIRE_UNSUBSCRIBE, .argument = subscription->number, .position = subscription->window.position,
                                                  .rows = subscription->row});
    mst_client_error_restore(&error);
}

static maestro_status_t subscribe(maestro_session_t *session, const char *selector, const maestro_subscription_options_t *options, maestro_subscription_t *subscription) {
    maestro_request_t request = {0};
    uint64_t capacity = window_capacity(options->window_bytes);
    const char *group = options->group ? options->group : "";
    size_t nbytes = strlen(selector) + strlen(group) + 1;
    char *text = malloc(nbytes);
    if (!text) return mst_base_fail(MAESTRO_SYSTEM, "subscribe: no memory");
    snprintf(text, nbytes, "%s%s", selector, group);
    mst_wire_request_t like = {.head.kind = MST_WIRE_SUBSCRIBE, .after = session->channel.offers.position, .kinds = options->kinds,
                               .start = (uint16_t)options->start, .hold = options->hold, .observe = options->observe, .window = capacity,
                               .argument = (uint64_t)options->limit << 32 | options->prefetch << 8 | strlen(group), .acknowledge_ms = (uint32_t)ceil(options->acknowledge_s * 1000)};
    maestro_status_t status = mst_client_call(session, &request, &like, text, mst_base_deadline_ns(session->timeout_s), "subscribe");
    free(text);
    if (status == MAESTRO_OK) {
        subscription->number = (uint32_t)request.reply->value;
        status = open_window(session, subscription, capacity);
        if (status != MAESTRO_OK) unsubscribe(subscription);
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
        status = subscribe(session, selector ? selector : "", options, subscription);
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

static size_t row_words(const mst_wire_run_t *run) { return mst_wire_run_row_words(true, run->has_places, run->nown); }

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
    session->inside++; /* another thread may close while this one waits */
    if (!session->closed && !session->lost) unsubscribe(subscription);
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
    uint32_t kind = message->head.flags & (uint32_t)MST_WIRE_EVENT_KINDS;
    mst_client_state_t state = kind == MAESTRO_EVENT_OFFERED && !gone ? MST_CLIENT_LEASED : MST_CLIENT_NOTICE;
    *event = (maestro_event_t){.kind = (maestro_event_kind_t)kind, .gone = gone, .redelivered = message->head.flags & MST_WIRE_EVENT_REDELIVERED, .sequence = message->sequence};
    MST_TRY(mst_client_cdo_leased(session, state, message->id, message->lease, &message->place, &message->attributes, &event->cdo));
    __builtin_prefetch(event->cdo->data); /* the writer's core has it; who takes the event is about to look */
    return MAESTRO_OK;
}

static maestro_status_t take_row(maestro_session_t *session, const mst_wire_run_t *run, uint32_t row, maestro_event_t *event) {
    static const mst_wire_place_t nowhere = {.segment = MST_WIRE_NO_SEGMENT};
    const uint64_t *word = mst_wire_run_row(run, row_words(run), row), *own = word + row_words(run) - run->nown;
    const mst_wire_place_t *place = run->has_places ? (const mst_wire_place_t *)(word + 1) : &nowhere;
    *event = (maestro_event_t){.kind = MAESTRO_EVENT_OFFERED, .sequence = run->sequence + row};
    MST_TRY(mst_client_cdo_leased(session, MST_CLIENT_LEASED, run->id + row, *word, place, &run->attributes, &event->cdo));
    mst_meta_attributes_t *set = (mst_meta_attributes_t *)event->cdo->packed;
    for (unsigned i = 0; i < run->nown; i++) set->value[run->position[i]] = own[i];
    __builtin_prefetch(event->cdo->data);
    return MAESTRO_OK;
}

/* The event that stands at `head`; the lease that comes with it, and whether the message is through then. */
static maestro_status_t take_one(maestro_subscription_t *subscription, const mst_wire_head_t *head, maestro_event_t *event, uint64_t *lease_out, bool *through_out) {
    const mst_wire_gap_t *gap = (const mst_wire_gap_t *)head;
    const mst_wire_run_t *run = (const mst_wire_run_t *)head;
    *lease_out = 0;
    *through_out = true;
    switch (head->kind) {
    case MST_WIRE_EVENT:
        *lease_out = ((const mst_wire_event_t *)head)->lease;
        return take_event(subscription->session, (const mst_wire_event_t *)head, event);
    case MST_WIRE_EVENT_RUN:
        *lease_out = *mst_wire_run_row(run, row_words(run), subscription->row);
        *through_out = subscription->row + 1 == run->count;
        return take_row(subscription->session, run, subscription->row, event);
    case MST_WIRE_GAP:
        *event = (maestro_event_t){.kind = MAESTRO_EVENT_GAP, .sequence = gap->to, .gap_from = gap->from, .gap_to = gap->to};
        return MAESTRO_OK;
    default:
        subscription->ended = true;
        return MAESTRO_OK;
    }
}

/* What comes next was written on other cores, and who takes one after the other shall not wait for it.  When a message of nbytes is taken: the one that
 * stands a few further on. */
static void foresee_message(const mst_wire_ring_t *window, uint32_t nbytes) {
    if (window->other - window->position < AHEAD + nbytes || nbytes > AHEAD) return;
    const char *ahead = window->data + mst_wire_ring_offset(window, window->position + AHEAD);
    for (uint32_t at = 0; at < nbytes; at += LINE) __builtin_prefetch(ahead + at);
}

static void step_over(maestro_subscription_t *subscription, uint32_t rows, bool through, uint32_t nbytes) {
    subscription->row = through ? 0 : subscription->row + rows;
    if (!through) return;
    foresee_message(&subscription->window, nbytes);
    mst_wire_ring_consume(&subscription->window, nbytes);
}

static const mst_wire_place_t *place_at(const mst_wire_head_t *head, uint32_t row) {
    const mst_wire_run_t *run = (const mst_wire_run_t *)head;
    if (head->kind == MST_WIRE_EVENT) return &((const mst_wire_event_t *)head)->place;
    return head->kind == MST_WIRE_EVENT_RUN && run->has_places ? (const mst_wire_place_t *)(mst_wire_run_row(run, row_words(run), row) + 1) : NULL;
}

/* When there is time until the next call: the first bytes of the next object. */
static void foresee_object(maestro_subscription_t *subscription) {
    const maestro_session_t *session = subscription->session;
    bool broken = false;
    uint32_t nbytes;
    if (subscription->window.position == subscription->window.other) return;
    const mst_wire_head_t *head = mst_wire_ring_peek(&subscription->window, &nbytes, &broken);
    const mst_wire_place_t *place = head ? place_at(head, subscription->row) : NULL;
    if (!place || place->segment >= session->nsegments || !session->segment[place->segment].base) return;
    __builtin_prefetch((const char *)session->segment[place->segment].base + place->offset);
}

static maestro_status_t out_of_bounds(void) { return mst_base_fail(MAESTRO_PROTOCOL, "next event: the window is out of bounds"); }

/* A way of taking what is there, lock held; OK and 0 when nothing is. */
typedef maestro_status_t (*take_fn)(maestro_subscription_t *subscription, void *what, size_t *count_out);

typedef struct events {
    maestro_event_t *event;
    size_t capacity;
} events_t;

static maestro_status_t take_events(maestro_subscription_t *subscription, void *what, size_t *count_out) {
    const events_t *events = what;
    bool broken = false, through;
    uint32_t nbytes;
    uint64_t lease;
    const mst_wire_head_t *head;
    maestro_status_t status = MAESTRO_OK;
    size_t count = 0;
    while (count < events->capacity && status == MAESTRO_OK && (head = mst_wire_ring_peek(&subscription->window, &nbytes, &broken))) {
        status = take_one(subscription, head, &events->event[count], &lease, &through);
        if (status != MAESTRO_OK && count) break; /* the next call tells it */
        if (status != MAESTRO_OK && lease) mst_client_release(subscription->session, lease | MST_WIRE_LEASE_REJECTED); /* nobody has read it */
        if (status == MAESTRO_OK && head->kind != MST_WIRE_END) count++;
        step_over(subscription, 1, through, nbytes);
    }
    if (broken) status = out_of_bounds();
    else if (count) foresee_object(subscription);
    *count_out = count;
    return count ? MAESTRO_OK : status;
}

/* ---- Columns. */

typedef struct columns {
    const maestro_values_t *column;
    unsigned key[MST_META_KEYS_MAX];
    size_t ncolumns, capacity;
} columns_t;

static maestro_status_t resolve(const mst_meta_schema_t *schema, columns_t *columns) {
    for (size_t i = 0; i < columns->ncolumns; i++) {
        const maestro_values_t *column = &columns->column[i];
        if (!column->key || !column->values) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "next columns: column %zu: key or values are NULL", i);
        MST_TRY(mst_meta_schema_require_key(schema, column->key, "next columns", &columns->key[i]));
        maestro_type_t type = schema->attribute[columns->key[i]].type;
        if (mst_meta_type_is_text(type) || type != column->type)
            return mst_base_fail(MAESTRO_WRONG_TYPE, "next columns: column %s is of type %s; columns hold bool, i64, f64 or timestamp, as the schema says", column->key, mst_meta_type_name(type));
    }
    return MAESTRO_OK;
}

static bool has_all(const mst_wire_run_t *run, const columns_t *columns) {
    bool all = true;
    for (size_t i = 0; i < columns->ncolumns; i++) all &= mst_meta_attributes_has(&run->attributes, columns->key[i]);
    return all;
}

/* Where a row has the word of a key; NULL: all rows have that of the first. */
static const uint64_t *own_word(const mst_wire_run_t *run, unsigned position, uint32_t row) {
    for (unsigned i = 0; i < run->nown; i++)
        if (run->position[i] == position) return mst_wire_run_row(run, row_words(run), row) + row_words(run) - run->nown + i;
    return NULL;
}

static void copy_column(const mst_wire_run_t *run, unsigned key, maestro_type_t type, void *values, uint32_t row, uint32_t count) {
    unsigned position = mst_meta_attributes_rank(&run->attributes, key);
    const uint64_t *own = own_word(run, position, row), *word = own ? own : &run->attributes.value[position];
    size_t stride = own ? row_words(run) : 0;
    if (type == MAESTRO_TYPE_BOOL)
        for (uint32_t i = 0; i < count; i++) ((bool *)values)[i] = word[i * stride] != 0;
    else
        for (uint32_t i = 0; i < count; i++) ((uint64_t *)values)[i] = word[i * stride];
}

static maestro_status_t take_columns(maestro_subscription_t *subscription, void *what, size_t *count_out) {
    const columns_t *columns = what;
    bool broken = false;
    uint32_t nbytes;
    const mst_wire_run_t *run = NULL;
    size_t count = 0;
    while (count < columns->capacity && (run = mst_wire_ring_peek(&subscription->window, &nbytes, &broken))) {
        if (run->head.kind != MST_WIRE_EVENT_RUN || !has_all(run, columns)) break;
        uint32_t first = subscription->row, rows = run->count - first;
        if (rows > columns->capacity - count) rows = (uint32_t)(columns->capacity - count);
        for (size_t i = 0; i < columns->ncolumns; i++) {
            size_t width = columns->column[i].type == MAESTRO_TYPE_BOOL ? sizeof(bool) : 8;
            copy_column(run, columns->key[i], columns->column[i].type, (char *)columns->column[i].values + count * width, first, rows);
        }
        mst_client_release_many(subscription->session, mst_wire_run_row(run, row_words(run), first), row_words(run), rows);
        step_over(subscription, rows, first + rows == run->count, nbytes);
        count += rows;
    }
    *count_out = count;
    if (broken) return count ? MAESTRO_OK : out_of_bounds();
    return count || !run ? MAESTRO_OK : MAESTRO_AGAIN; /* what is there are no columns */
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

static maestro_status_t try_take(maestro_subscription_t *subscription, take_fn take, void *what, size_t *count_out) {
    maestro_session_t *session = subscription->session;
    *count_out = 0;
    pthread_mutex_lock(&session->lock);
    maestro_status_t status = session->closed ? mst_base_fail(MAESTRO_CLOSED, "next event: the session is closed") : MAESTRO_OK;
    if (status == MAESTRO_OK) status = take(subscription, what, count_out);
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
    int count = ppoll(fds, 2, &timeout, NULL);
    if (count < 0 && errno == EINTR && session->interruptible) return mst_base_fail(MAESTRO_INTERRUPTED, "next event: a signal came");
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

static maestro_status_t wait_and_take(maestro_subscription_t *subscription, double timeout_s, take_fn take, void *what, size_t *count_out) {
    maestro_session_t *session = subscription->session;
    int64_t now = mst_base_now_ns(), deadline = mst_client_deadline(session, timeout_s);
    int64_t patience = 0;
    for (;; now = mst_base_now_ns()) {
        bool spinning = now < deadline && mst_base_patience(&patience, atomic_load_explicit(&session->board->spin_ns, memory_order_relaxed));
        if (!spinning && is_empty(subscription)) {
            MST_TRY(sleep_for_event(subscription, now < deadline ? deadline - now : 0)); /* also without time: it tells whether the manager is there */
        }
        maestro_status_t status = try_take(subscription, take, what, count_out);
        if (status != MAESTRO_OK || *count_out) return status;
        if (now >= deadline) return mst_base_fail(MAESTRO_TIMEOUT, "next event: none came in time");
    }
}

static maestro_status_t next(maestro_subscription_t *subscription, double timeout_s, take_fn take, void *what, size_t *count_out) {
    maestro_session_t *session = subscription->session;
    if (session->fork_count != mst_client_forks) return mst_base_fail(MAESTRO_FORKED, "next event: this subscription belongs to the parent process");
    size_t count = 0;
    maestro_status_t status = try_take(subscription, take, what, &count);
    if (status == MAESTRO_OK && !count) {
        MST_TRY(mst_client_stay(session, "next event"));
        status = wait_and_take(subscription, timeout_s, take, what, &count);
        pthread_mutex_lock(&session->lock);
        mst_client_leave(session);
    }
    if (count) *count_out = count;
    return status;
}

maestro_status_t maestro_subscription_next_many(maestro_subscription_t *subscription, double timeout_s, maestro_event_t *events, size_t capacity, size_t *count_out) {
    if (!subscription || !events || !capacity || !count_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "next event: an argument is NULL or 0");
    events_t what = {events, capacity};
    return next(subscription, timeout_s, take_events, &what, count_out);
}

maestro_status_t maestro_subscription_next_columns(maestro_subscription_t *subscription, double timeout_s, const maestro_values_t *columns, size_t ncolumns, size_t capacity,
                                                   size_t *count_out) {
    columns_t what = {.column = columns, .ncolumns = ncolumns, .capacity = capacity};
    if (!subscription || (ncolumns && !columns) || ncolumns > MST_COUNT(what.key) || !capacity || !count_out)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "next columns: an argument is NULL or 0, or there are more than %zu columns", MST_COUNT(what.key));
    MST_TRY(resolve(subscription->session->schema, &what));
    return next(subscription, timeout_s, take_columns, &what, count_out);
}

maestro_status_t maestro_subscription_next(maestro_subscription_t *subscription, double timeout_s, maestro_event_t *event_out) {
    size_t count;
    maestro_event_t event;
    maestro_status_t status = maestro_subscription_next_many(subscription, timeout_s, &event, 1, &count);
    if (status == MAESTRO_OK) *event_out = event;
    return status;
}
