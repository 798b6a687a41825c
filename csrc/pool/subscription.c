/* Subscriptions: cursors in the event log with a window (a ring in shared memory) each.
 *
 * A subscription that has seen everything needs no cursor: new events go straight into its window.  One whose window is full, or that is still at
 * its snapshot, is "lagging": it is advanced along the log, a slice a round, as its reader makes room.  The lease of an object is granted when
 * its event enters the window.
 *
 * Like objects that follow each other share a message, a run.  The one at the window's end may be open: it is not committed, more rows may come, and the
 * next other message, or the end of the round, closes it. */
#include "pool/subscription.h"

#include "mem/segment.h"
#include "pool/group.h"
#include "pool/manager.h"
#include "pool/request.h"
#include "pool/session.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SLICE = 256, PER_SESSION_MAX = 1000, ENDED_AT_ONCE = 4096, RUN_NBYTES = 16 << 10 };

static unsigned kind_bit(uint32_t kind) { return (unsigned)__builtin_ctz(kind); }

static void count_kinds(mst_pool_t *pool, const mst_pool_subscription_t *subscription, int by) {
    for (unsigned bit = 0; bit < MST_COUNT(pool->kinds_wanted); bit++)
        if (subscription->kinds >> bit & 1) pool->kinds_wanted[bit] += (uint32_t)by;
}

static void start_lagging(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    if (subscription->lagging) return;
    subscription->lagging = true;
    subscription->lag_next = pool->lagging;
    subscription->lag_prev = &pool->lagging;
    if (pool->lagging) pool->lagging->lag_prev = &subscription->lag_next;
    pool->lagging = subscription;
}

static void stop_lagging(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    if (!subscription->lagging) return;
    subscription->lagging = false;
    *subscription->lag_prev = subscription->lag_next;
    if (subscription->lag_next) subscription->lag_next->lag_prev = subscription->lag_prev;
    pool->recheck_consumed = true;
}

static maestro_status_t open_window(mst_pool_subscription_t *subscription, uint64_t capacity) {
    subscription->window_nbytes = MST_ALIGN(mst_wire_ring_nbytes(capacity), 4096);
    MST_TRY(mst_mem_segment_create("maestro-window", subscription->window_nbytes, &subscription->window_fd));
    MST_TRY(mst_mem_segment_map(subscription->window_fd, subscription->window_nbytes, true, &subscription->window_memory));
    mst_wire_ring_init_writer(&subscription->window, subscription->window_memory, capacity);
    subscription->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return subscription->wake_fd < 0 ? mst_base_fail_errno("make the wake-up of a subscription") : MAESTRO_OK;
}

static void close_window(mst_pool_subscription_t *subscription) {
    if (subscription->window_memory) mst_mem_segment_unmap(subscription->window_memory, subscription->window_nbytes);
    if (subscription->window_fd >= 0) close(subscription->window_fd);
    if (subscription->wake_fd >= 0) close(subscription->wake_fd);
}

static void destroy_unlinked(mst_pool_subscription_t *subscription) {
    close_window(subscription);
    mst_pool_search_fini(&subscription->search);
    mst_meta_selector_destroy(subscription->selector);
    free(subscription);
}

static maestro_status_t open_selector(mst_pool_t *pool, mst_pool_session_t *session, char *text, mst_meta_selector_t **selector_out) {
    MST_TRY(mst_meta_selector_parse(pool->schema[session->schema], text, selector_out));
    mst_meta_selector_bind(*selector_out, pool->dictionary);
    return MAESTRO_OK;
}

/* The group's name, which follows the selector, and is cut off there; empty: none. */
static maestro_status_t split_group(const mst_wire_request_t *request, char *text, char *group, size_t capacity) {
    uint32_t nbytes = (uint8_t)request->argument;
    if (nbytes > request->text_nbytes || nbytes >= capacity) return mst_base_fail(MAESTRO_PROTOCOL, "subscribe: a group's name of %u bytes", nbytes);
    char *name = text + request->text_nbytes - nbytes;
    memcpy(group, name, nbytes);
    group[nbytes] = '\0';
    name[0] = '\0';
    for (uint32_t i = 0; i < nbytes; i++)
        if ((unsigned char)group[i] < ' ') return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: the consumer group's name has control characters");
    if (nbytes && (request->kinds != MAESTRO_EVENT_OFFERED || request->start == MAESTRO_START_QUERY))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: consumer group %s shares offered objects; leave kinds alone, and start with the snapshot or now", group);
    return MAESTRO_OK;
}

maestro_status_t mst_pool_subscription_create(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *request, char *text, uint32_t *number_out) {
    char group[sizeof ((mst_pool_group_t *)NULL)->name];
    uint64_t capacity = request->window;
    if (capacity < MST_WIRE_WINDOW_MIN || capacity > MST_WIRE_WINDOW_MAX || (capacity & (capacity - 1)))
        return mst_base_fail(MAESTRO_PROTOCOL, "subscribe: a window of %llu bytes", (unsigned long long)capacity);
    if (request->start > MAESTRO_START_QUERY || request->kinds == 0 || request->kinds & ~(uint32_t)MST_WIRE_EVENT_KINDS)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: kinds %u, start %u", request->kinds, request->start);
    MST_TRY(split_group(request, text, group, sizeof group));
    size_t count = 0;
    for (const mst_pool_subscription_t *s = session->subscriptions; s; s = s->next) count++;
    if (count >= PER_SESSION_MAX)
        return mst_base_fail(MAESTRO_TOO_LARGE, "subscribe \"%.80s\": this session has %zu subscriptions and queries, the most it may; dispose those that are read", text, count);
    mst_pool_subscription_t *subscription = calloc(1, sizeof *subscription);
    if (!subscription) return mst_base_fail(MAESTRO_NO_MEMORY, "subscribe: no memory in the pool manager");
    subscription->window_fd = subscription->wake_fd = -1;
    maestro_status_t status = open_selector(pool, session, text, &subscription->selector);
    if (status == MAESTRO_OK) status = open_window(subscription, capacity);
    subscription->type = MST_POOL_SUBSCRIPTION;
    subscription->number = ++pool->next_subscription;
    subscription->request = request->request;
    subscription->session = session;
    subscription->kinds = request->kinds;
    subscription->hold = request->hold;
    subscription->query = request->start == MAESTRO_START_QUERY;
    subscription->observes = request->observe;
    subscription->shared = group[0];
    subscription->cursor = mst_pool_log_last(&pool->log);
    if (status == MAESTRO_OK && subscription->shared)
        status = mst_pool_group_join(pool, subscription, group, request);
    else if (status == MAESTRO_OK && !subscription->query)
        status = mst_meta_matcher_add(pool->matcher, subscription, subscription->selector, session->schema);
    if (status != MAESTRO_OK) {
        destroy_unlinked(subscription);
        return status;
    }
    subscription->next = session->subscriptions;
    session->subscriptions = subscription;
    pool->holding += subscription->hold;
    if (!subscription->shared && !subscription->query) count_kinds(pool, subscription, 1);
    if (!subscription->shared && request->start != MAESTRO_START_NOW) {
        subscription->snapshot = true;
        mst_pool_search_init(&subscription->search, subscription->selector, session->schema, request->kinds & (MAESTRO_EVENT_JOINED | MAESTRO_EVENT_REQUIRED), true);
        start_lagging(pool, subscription);
    }
    if (!subscription->shared && !subscription->query && !request->observe && subscription->kinds & MAESTRO_EVENT_OFFERED)
        subscription->need = mst_pool_need_begin(pool, session, NULL, subscription->selector, "subscription");
    *number_out = subscription->number;
    return MAESTRO_OK;
}

/* ---- The open run. */

static uint32_t run_nbytes(const mst_pool_t *pool, const mst_pool_subscription_t *subscription, uint32_t count) {
    unsigned nvalues = mst_pool_template(&pool->catalogue, subscription->run.template)->attributes.nvalues;
    return (uint32_t)mst_wire_run_nbytes(nvalues, mst_wire_run_row_words(true, subscription->run.has_places, subscription->run.nown), count);
}

static void close_run(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    if (!subscription->run.message) return;
    subscription->run.message->count = subscription->run.count;
    mst_wire_ring_shrink(&subscription->window, subscription->run.message, run_nbytes(pool, subscription, subscription->run.capacity),
                         run_nbytes(pool, subscription, subscription->run.count));
    mst_wire_ring_commit(&subscription->window);
    mst_pool_template_unref(pool, subscription->run.template);
    subscription->run.message = NULL;
}

/* ---- The end. */

/* The leases of a message's rows from `row` on, *budget at most; how many rows were done, or more than there are when it is malformed. */
static uint32_t release_rows(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_run_t *run, size_t nbytes, uint32_t row, size_t *budget) {
    size_t words = mst_wire_run_row_words(true, run->has_places, run->nown);
    if (nbytes < sizeof *run || nbytes < mst_wire_run_nbytes(run->attributes.nvalues, words, run->count)) return UINT32_MAX;
    for (; row < run->count && *budget && !session->broken; row++, --*budget) mst_pool_session_release(pool, session, *mst_wire_run_row(run, words, row) | MST_WIRE_LEASE_REJECTED);
    return row;
}

/* One slice of giving back what was not taken; true when nothing is left.  The window is the client's to write by now: a message is copied once and checked,
 * no position of the client's is read, and a lease that it does not hold ends its session. */
static bool release_untaken(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    mst_pool_session_t *session = subscription->session;
    mst_wire_ring_t *unread = &subscription->window;
    size_t budget = ENDED_AT_ONCE;
    bool broken = false;
    const mst_wire_head_t *head;
    uint32_t nbytes;
    while (budget && !session->broken && (head = mst_wire_ring_seen(unread, &nbytes, &broken))) {
        broken = nbytes > MST_WIRE_OFFERS_CAPACITY;
        if (broken) break;
        memcpy(pool->scratch, head, nbytes);
        const mst_wire_event_t *event = (const mst_wire_event_t *)pool->scratch;
        const mst_wire_run_t *run = (const mst_wire_run_t *)pool->scratch;
        broken = subscription->unread_row && event->head.kind != MST_WIRE_EVENT_RUN;
        if (broken) break;
        budget--;
        if (event->head.kind == MST_WIRE_EVENT && nbytes >= sizeof *event && event->lease) mst_pool_session_release(pool, session, event->lease | MST_WIRE_LEASE_REJECTED);
        if (event->head.kind == MST_WIRE_EVENT_RUN) {
            subscription->unread_row = release_rows(pool, session, run, nbytes, subscription->unread_row, &budget);
            broken = subscription->unread_row > run->count;
            if (broken || subscription->unread_row < run->count) break;
        }
        mst_wire_ring_consume(unread, nbytes);
        subscription->unread_row = 0;
    }
    if (broken) mst_pool_session_break(session, "it ended a subscription whose window is out of bounds");
    return !session->broken && unread->position == unread->other;
}

/* It gets no more events. */
static void stop(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    close_run(pool, subscription);
    stop_lagging(pool, subscription);
    if (subscription->member) mst_pool_group_leave(subscription);
    mst_pool_need_end(pool, subscription->need);
    if (!subscription->query && !subscription->shared) {
        mst_meta_matcher_remove(pool->matcher, subscription);
        count_kinds(pool, subscription, -1);
    }
    pool->holding -= subscription->hold;
    for (size_t i = 0; i < pool->ntouched_windows; i++)
        if (pool->touched_window[i] == subscription) pool->touched_window[i] = pool->touched_window[--pool->ntouched_windows];
}

static void stop_ending(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    mst_pool_subscription_t **link = &pool->ending;
    while (*link != subscription) link = &(*link)->lag_next;
    *link = subscription->lag_next;
}

void mst_pool_subscription_destroy(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    if (subscription->ending) stop_ending(pool, subscription);
    else stop(pool, subscription);
    mst_pool_subscription_t **link = &subscription->session->subscriptions;
    while (*link != subscription) link = &(*link)->next;
    *link = subscription->next;
    destroy_unlinked(subscription);
}

void mst_pool_subscription_end(mst_pool_t *pool, mst_pool_subscription_t *subscription, uint64_t position, uint32_t row) {
    mst_wire_ring_t *window = &subscription->window;
    stop(pool, subscription);
    bool wrong = window->position - position > window->position - window->other || position & 7;
    window->other = window->position;
    window->position = wrong ? window->other : position;
    subscription->unread_row = row;
    subscription->ending = true;
    subscription->lag_next = pool->ending;
    pool->ending = subscription;
    if (wrong) mst_pool_session_break(subscription->session, "it ended a subscription at a wrong position");
}

static void advance_ending(mst_pool_t *pool) {
    mst_pool_subscription_t *next;
    if (pool->ending) pool->next_deadline_ns = pool->now_ns; /* requests that wait for these leases are looked at in the next round */
    for (mst_pool_subscription_t *subscription = pool->ending; subscription; subscription = next) {
        next = subscription->lag_next;
        if (release_untaken(pool, subscription)) mst_pool_subscription_destroy(pool, subscription);
    }
}

mst_pool_subscription_t *mst_pool_subscription_find(mst_pool_session_t *session, uint32_t number) {
    mst_pool_subscription_t *subscription = session->subscriptions;
    while (subscription && (subscription->number != number || subscription->ending)) subscription = subscription->next;
    return subscription;
}

static bool touch_window(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    pool->urgent_news |= subscription->session->priority == MAESTRO_PRIORITY_URGENT;
    if (subscription->touched) return true;
    if (!MST_RESERVE(pool->touched_window, pool->touched_windows_capacity, pool->ntouched_windows + 1, 64)) return false; /* its reader wakes at its next time-out */
    subscription->touched = true;
    pool->touched_window[pool->ntouched_windows++] = subscription;
    return true;
}

void mst_pool_subscription_show(mst_pool_t *pool) {
    for (size_t i = 0; i < pool->ntouched_windows; i++) close_run(pool, pool->touched_window[i]);
}

/* Rings the doorbells of readers that sleep before new events. */
void mst_pool_subscription_wake(mst_pool_t *pool) {
    static const uint64_t one = 1;
    mst_pool_subscription_show(pool);
    if (pool->ntouched_windows) atomic_thread_fence(memory_order_seq_cst);
    for (size_t i = 0; i < pool->ntouched_windows; i++) {
        mst_pool_subscription_t *subscription = pool->touched_window[i];
        subscription->touched = false;
        mst_wire_ring_header_t *shared = subscription->window.shared;
        if (!atomic_load_explicit(&shared->sleeping, memory_order_relaxed)) continue;
        atomic_store_explicit(&shared->sleeping, 0, memory_order_relaxed);
        if (write(subscription->wake_fd, &one, sizeof one) < 0) continue; /* full counter: it is readable anyway */
    }
    pool->ntouched_windows = 0;
}

static void *reserve(mst_pool_t *pool, mst_pool_subscription_t *subscription, size_t nbytes, uint16_t kind, uint16_t flags) {
    bool broken = false;
    close_run(pool, subscription);
    mst_wire_head_t *head = mst_wire_ring_reserve(&subscription->window, (uint32_t)nbytes, &broken);
    if (broken) mst_pool_session_break(subscription->session, "its window's read position is out of bounds");
    if (!head) return NULL;
    head->kind = kind;
    head->flags = flags;
    return head;
}

static void commit(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    mst_wire_ring_commit(&subscription->window);
    touch_window(pool, subscription);
}

static void drop_run(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    subscription->window.pending = 0;
    mst_pool_template_unref(pool, subscription->run.template);
    subscription->run.message = NULL;
}

/* It holds its template.  False: there is no room. */
static bool open_run(mst_pool_t *pool, mst_pool_subscription_t *subscription, const mst_pool_object_t *object, uint64_t sequence) {
    mst_pool_template_t *template = mst_pool_template(&pool->catalogue, object->template);
    close_run(pool, subscription);
    subscription->run.template = object->template;
    subscription->run.has_places = object->has_place;
    subscription->run.nown = template->nown;
    subscription->run.count = 0;
    subscription->run.next_id = object->id;
    subscription->run.next_sequence = sequence;
    uint32_t rows = MST_WIRE_RUN_ROWS, nbytes = run_nbytes(pool, subscription, rows);
    for (; rows > 1 && nbytes > RUN_NBYTES; nbytes = run_nbytes(pool, subscription, rows)) rows /= 2;
    subscription->run.capacity = rows;
    mst_wire_run_t *run = reserve(pool, subscription, nbytes, MST_WIRE_EVENT_RUN, 0);
    if (!run) return false;
    run->id = object->id;
    run->sequence = sequence;
    run->timeout_ns = 0;
    run->nown = (uint16_t)template->nown;
    run->has_places = subscription->run.has_places;
    mst_pool_template_begin_run(template, run);
    subscription->run.message = run;
    subscription->run.row = (uint64_t *)((char *)run + run_nbytes(pool, subscription, 0));
    template->refs++;
    if (touch_window(pool, subscription)) return true;
    drop_run(pool, subscription); /* nobody would close it */
    return false;
}

/* A lease for the subscription, or for the consumer group that it is a member of; 0: no memory. */
static uint64_t grant(mst_pool_t *pool, const mst_pool_subscription_t *subscription, uint32_t handle) {
    if (subscription->member) mst_pool_group_granted(pool, subscription->member);
    uint64_t lease = mst_pool_session_grant(pool, subscription->session, handle, subscription->member ? subscription->number : 0);
    if (lease) subscription->session->lease[(uint32_t)lease].observed = subscription->observes;
    return lease;
}

static bool goes_on(const mst_pool_subscription_t *subscription, const mst_pool_object_t *object, uint64_t sequence) {
    return subscription->run.message && subscription->run.count < subscription->run.capacity && subscription->run.template == object->template &&
           subscription->run.next_id == object->id && subscription->run.next_sequence == sequence &&
           subscription->run.has_places == object->has_place;
}

/* What else has to be an event of its own. */
static bool fits_run(const mst_pool_t *pool, const mst_pool_object_t *object) {
    return !object->tail_nbytes && object->state == MST_POOL_LIVE && mst_pool_template_fits_run(mst_pool_template(&pool->catalogue, object->template));
}

/* Rows of the run at the window's end, or of a new one; how many: where there is no room they wait, for who reads columns is to see no other events.  The
 * objects are of one template. */
static size_t push_rows(mst_pool_t *pool, mst_pool_subscription_t *subscription, const uint32_t *handle, size_t count, uint64_t sequence) {
    size_t done = 0;
    for (; done < count; done++) {
        mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle[done]);
        if (!goes_on(subscription, object, sequence + done) && !open_run(pool, subscription, object, sequence + done)) break;
        uint64_t lease = grant(pool, subscription, handle[done]);
        if (!lease) { /* an empty run is none */
            if (!subscription->run.count) drop_run(pool, subscription);
            break;
        }
        uint64_t *row = subscription->run.row, *own = mst_pool_own(object);
        *row++ = lease;
        if (subscription->run.has_places) {
            mst_wire_place_t place = mst_pool_place(object);
            *(mst_wire_place_t *)row = place;
            subscription->session->total.event_bytes += place.nbytes;
            row += sizeof(mst_wire_place_t) / 8;
        }
        for (uint32_t i = 0; i < subscription->run.nown; i++) *row++ = own[i];
        subscription->run.row = row;
        subscription->run.count++;
        subscription->run.next_id++;
        subscription->run.next_sequence++;
    }
    subscription->delivered += done;
    subscription->session->total.events += done;
    return done;
}

bool mst_pool_subscription_push(mst_pool_t *pool, mst_pool_subscription_t *subscription, uint32_t handle, uint32_t kind, uint64_t sequence, uint16_t flags) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    mst_pool_session_t *session = subscription->session;
    bool offered = kind == MAESTRO_EVENT_OFFERED, gone = offered && object->state != MST_POOL_LIVE;
    if (offered && !flags && fits_run(pool, object)) return push_rows(pool, subscription, &handle, 1, sequence) == 1;
    size_t attributes_nbytes = mst_pool_attributes_nbytes(pool, object);
    mst_wire_event_t *event = reserve(pool, subscription, offsetof(mst_wire_event_t, attributes) + attributes_nbytes, MST_WIRE_EVENT,
                                      (uint16_t)(kind | flags | (gone ? MST_WIRE_EVENT_GONE : 0)));
    if (!event) return false;
    event->sequence = sequence;
    event->id = object->id;
    event->lease = 0;
    event->place = (mst_wire_place_t){.segment = MST_WIRE_NO_SEGMENT};
    if (offered && !gone) {
        uint64_t lease = grant(pool, subscription, handle);
        if (!lease) return false;
        event->lease = lease;
        mst_wire_place_t place = mst_pool_place(object);
        event->place = place;
        session->total.event_bytes += place.nbytes;
    }
    mst_pool_attributes_write(pool, object, &event->attributes);
    commit(pool, subscription);
    subscription->delivered++;
    session->total.events++;
    return true;
}

static bool push(mst_pool_t *pool, mst_pool_subscription_t *subscription, uint32_t handle, uint32_t kind, uint64_t sequence) {
    return mst_pool_subscription_push(pool, subscription, handle, kind, sequence, 0);
}

static bool push_mark(mst_pool_t *pool, mst_pool_subscription_t *subscription, uint16_t kind, uint64_t from, uint64_t to) {
    mst_wire_gap_t *mark = reserve(pool, subscription, sizeof *mark, kind, 0);
    if (!mark) return false;
    mark->from = from;
    mark->to = to;
    commit(pool, subscription);
    return true;
}

/* One slice of the snapshot; false when the window is full or more slices are needed. */
static bool advance_snapshot(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    mst_pool_entry_t entries[SLICE];
    bool done;
    if (mst_wire_ring_room(&subscription->window) < subscription->window.capacity / 4) return false;
    size_t count = mst_pool_search_step(pool, &subscription->search, entries, SLICE, &done);
    for (size_t i = 0; i < count; i++) {
        if (!(subscription->kinds & entries[i].kind)) continue;
        if (push(pool, subscription, entries[i].handle, entries[i].kind, entries[i].sequence)) continue;
        mst_pool_search_unread(&subscription->search, entries, i, count);
        return false;
    }
    if (!done || (subscription->query && !push_mark(pool, subscription, MST_WIRE_END, 0, 0))) return false;
    subscription->snapshot = false;
    subscription->cursor = subscription->search.until;
    mst_pool_search_fini(&subscription->search);
    return true;
}

static void advance_tail(mst_pool_t *pool, mst_pool_subscription_t *subscription) {
    mst_pool_entry_t entries[SLICE];
    uint64_t from = pool->log.keep_from > pool->log.base ? pool->log.keep_from : pool->log.base; /* what is on its way out has gone */
    if (subscription->cursor + 1 < from) {
        if (mst_wire_ring_room(&subscription->window) < subscription->window.capacity / 4) return; /* else one gap would be told in many parts */
        if (!push_mark(pool, subscription, MST_WIRE_GAP, subscription->cursor + 1, from - 1)) return;
        subscription->gaps++;
        pool->log.gaps_total++;
        subscription->cursor = from - 1;
    }
    uint64_t reached;
    mst_pool_verdict_t verdict = {0};
    size_t count = mst_pool_log_read(pool, subscription->cursor, entries, SLICE, &reached);
    for (size_t i = 0; i < count; i++) {
        const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, entries[i].handle);
        bool wanted = subscription->kinds & entries[i].kind && mst_pool_selects_next(pool, subscription->selector, subscription->session->schema, object, &verdict);
        if (wanted && !push(pool, subscription, entries[i].handle, entries[i].kind, entries[i].sequence)) return;
        subscription->cursor = entries[i].sequence;
    }
    subscription->cursor = reached;
    if (reached == mst_pool_log_last(&pool->log)) stop_lagging(pool, subscription);
}

/* Trims the log to what lagging subscriptions still have to see, within its limit; who holds is spared. */
static void trim(mst_pool_t *pool) {
    uint64_t keep = mst_pool_group_needs(pool), keep_holding = keep;
    for (mst_pool_subscription_t *s = pool->lagging; s; s = s->lag_next) {
        if (s->query) continue;
        uint64_t needed = mst_pool_search_seen(pool, &s->search, s->snapshot, s->cursor) + 1;
        if (needed < keep) keep = needed;
        if (s->hold && needed < keep_holding) keep_holding = needed;
    }
    if (mst_pool_log_nbytes(&pool->log) > pool->log.limit_nbytes) {
        uint64_t half = pool->log.base + (pool->log.next - pool->log.base) / 2;
        if (half > keep) keep = half < keep_holding ? half : keep_holding;
    }
    if (keep < pool->log.next) { /* somebody is behind */
        uint64_t old = mst_pool_log_old(pool);
        if (old > keep) keep = old < keep_holding ? old : keep_holding;
    }
    mst_pool_log_trim(pool, keep);
    mst_pool_ahead_trim(&pool->urgent, pool->log.base);
    mst_pool_ahead_trim(&pool->dated, pool->log.base);
}

void mst_pool_subscription_advance_all(mst_pool_t *pool) {
    mst_pool_subscription_t *next;
    for (mst_pool_subscription_t *s = pool->lagging; s; s = next) {
        next = s->lag_next;
        if (s->snapshot && !advance_snapshot(pool, s)) continue;
        if (s->query) stop_lagging(pool, s);
        else advance_tail(pool, s);
    }
    mst_pool_group_advance_all(pool);
    advance_ending(pool);
    trim(pool);
}

/* Objects of one template, whose events follow each other; several are a run of offers just taken. */
static void hand_out(mst_pool_t *pool, mst_pool_subscription_t *subscription, const uint32_t *handle, size_t count, uint32_t kind, uint64_t sequence) {
    if (subscription->lagging || !(subscription->kinds & kind)) return;
    const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle[0]);
    if (!object->notice && mst_pool_schema_of(&pool->catalogue, object) != subscription->session->schema) return;
    size_t done = 0;
    if (count > 1 && fits_run(pool, object)) done = push_rows(pool, subscription, handle, count, sequence);
    else while (done < count && push(pool, subscription, handle[done], kind, sequence + done)) done++;
    if (done == count) return;
    subscription->cursor = sequence + done - 1;
    start_lagging(pool, subscription);
}

/* Who wants an object of the template; `set` are its attributes.  The array is the matcher's, until the next call. */
static size_t find_subscribers(mst_pool_t *pool, uint32_t template, const mst_meta_attributes_t *set, void *const **subscribers_out) {
    size_t count;
    const uint64_t *own = mst_pool_template(&pool->catalogue, template)->own;
    if (pool->matched != template || !mst_meta_matcher_again(pool->matcher, own, subscribers_out, &count))
        count = mst_meta_matcher_match(pool->matcher, set, subscribers_out);
    pool->matched = template;
    return count;
}

/* Objects of one template that the same subscribers want. */
static void tell(mst_pool_t *pool, const uint32_t *handle, size_t nhandles, uint32_t kind, uint64_t sequence, const mst_meta_attributes_t *set) {
    void *const *subscribers;
    mst_pool_request_t *few[64], **demands = few;
    size_t ndemands = 0, count = find_subscribers(pool, mst_pool_object(&pool->catalogue, handle[0])->template, set, &subscribers);
    if (count > MST_COUNT(few) && !(demands = malloc(count * sizeof *demands))) abort(); /* an event would be lost silently */
    for (size_t i = 0; i < count; i++) {
        if (*(mst_pool_subscriber_t *)subscribers[i] == MST_POOL_SUBSCRIPTION) hand_out(pool, subscribers[i], handle, nhandles, kind, sequence);
        else if (kind == MAESTRO_EVENT_OFFERED) demands[ndemands++] = subscribers[i];
    }
    for (size_t i = 0; i < ndemands; i++) mst_pool_request_matched(pool, demands[i], handle[0]); /* one answer ends a demand */
    if (demands != few) free(demands);
}

void mst_pool_publish(mst_pool_t *pool, uint32_t handle, uint32_t kind, const mst_meta_attributes_t *set) {
    uint64_t sequence = mst_pool_log_append(pool, handle, kind);
    if (pool->kinds_wanted[kind_bit(kind)]) tell(pool, &handle, 1, kind, sequence, set);
}

void mst_pool_publish_run(mst_pool_t *pool, const uint32_t *handle, size_t count) {
    if (!count || !pool->kinds_wanted[kind_bit(MAESTRO_EVENT_OFFERED)]) return;
    uint64_t sequence = mst_pool_object(&pool->catalogue, handle[0])->sequence;
    bool alike = mst_meta_matcher_ignores(pool->matcher, mst_pool_template(&pool->catalogue, mst_pool_object(&pool->catalogue, handle[0])->template)->own);
    size_t together = alike ? count : 1;
    for (size_t i = 0; i < count; i += together)
        tell(pool, &handle[i], together, MAESTRO_EVENT_OFFERED, sequence + i, mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, handle[i])));
}

bool mst_pool_subscription_awaits(mst_pool_t *pool, uint32_t handle) {
    const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    if (mst_pool_group_awaits(pool, object, handle)) return true;
    for (const mst_pool_subscription_t *s = pool->lagging; s; s = s->lag_next) {
        if (s->query || s->observes || !(s->kinds & MAESTRO_EVENT_OFFERED)) continue;
        if (mst_pool_search_awaits(&s->search, s->snapshot, s->cursor, object->sequence) && mst_pool_selects(pool, s->selector, s->session->schema, object)) return true;
    }
    return false;
}

const char *mst_pool_subscription_holder(mst_pool_t *pool, char *text, size_t nbytes) {
    if (!pool->holding || mst_pool_log_nbytes(&pool->log) <= pool->log.limit_nbytes) return NULL;
    const mst_pool_subscription_t *slowest = NULL;
    for (const mst_pool_subscription_t *s = pool->lagging; s; s = s->lag_next)
        if (s->hold && (!slowest || s->cursor < slowest->cursor)) slowest = s;
    if (!slowest || slowest->cursor >= mst_pool_group_needs(pool)) return mst_pool_group_holder(pool, text, nbytes);
    snprintf(text, nbytes, "%s[%lld] (process %d) holds offers: its subscription to \"%.80s\" is %llu events behind", slowest->session->component,
             (long long)slowest->session->rank, slowest->session->pid, slowest->selector->source,
             (unsigned long long)(mst_pool_log_last(&pool->log) - slowest->cursor));
    return text;
}
