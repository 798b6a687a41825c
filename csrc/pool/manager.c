/* The manager's loop: serve every session's rings, advance what waits, ring doorbells, sleep.
 *
 * How it sleeps: it arms the board and blocks in epoll, so that a single offer costs two wake-ups.  But where messages come in quick succession it first
 * yields the core for a while after each, with the board unarmed, unless others want the core, and after a busy round it then naps for some microseconds:
 * messages gather meanwhile, and no client pays for a system call.  Where the last one was long in coming it sleeps at once, unless sessions are urgent:
 * whom it has just woken may wait for this very core, and a yield need not let him in.  Where processes outnumber the cores by more than one it does not
 * yield for long.  Clients spin only where each process can have a core: where they cannot, two that yield to each other look busy, and the scheduler
 * leaves both on one core. */
#include "pool/manager.h"

#include "mem/segment.h"
#include "mem/topology.h"
#include "pool/group.h"
#include "pool/offers.h"
#include "pool/request.h"
#include "pool/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DICTIONARY_CODES = 1 << 20, DICTIONARY_TEXT = 32 << 20, BUSY_MESSAGES = 4 };
enum { NAP_NS = 20000, GATHER_NS = 250000, ROUND_NS_MAX = 1000000000, LATELY_NS = 5000000, PATIENT_NS = 10000000 };
static const int64_t HELLO_NS = 5000000000, FIRST_SESSION_NS = 5000000000;
enum { TAG_LISTEN = 1, TAG_WAKE, TAG_FRESH, TAG_SOCKET, TAG_PROCESS, TAG_SIGNAL };

static uint64_t tagged(unsigned tag, uint32_t value) { return (uint64_t)tag << 56 | value; }

static void watch(mst_pool_t *pool, int fd, unsigned tag, uint32_t value, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = tagged(tag, value)};
    if (epoll_ctl(pool->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) fprintf(stderr, "maestro-pool: cannot watch descriptor %d: %s\n", fd, strerror(errno));
}

static maestro_status_t make_shared(const char *name, uint64_t nbytes, int *readonly_fd_out, void **memory_out) {
    int fd;
    MST_TRY(mst_mem_segment_create(name, nbytes, &fd));
    maestro_status_t status = mst_mem_segment_map(fd, nbytes, true, memory_out);
    if (status == MAESTRO_OK) status = mst_mem_segment_reopen_readonly(fd, readonly_fd_out);
    close(fd);
    return status;
}

static maestro_status_t open_signals(mst_pool_t *pool) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) return mst_base_fail_errno("watch signals");
    watch(pool, fd, TAG_SIGNAL, 0, EPOLLIN);
    return MAESTRO_OK;
}

static maestro_status_t make_scratch(mst_pool_t *pool) {
    pool->scratch = malloc(MST_WIRE_OFFERS_CAPACITY);
    pool->offered = malloc(MST_META_SET_MAX);
    bool all = pool->scratch && pool->offered;
    for (size_t i = 0; i < MST_COUNT(pool->expanded); i++) all &= (pool->expanded[i] = malloc(MST_META_SET_MAX)) != NULL;
    return all ? MAESTRO_OK : mst_base_fail(MAESTRO_NO_MEMORY, "start the pool: no memory");
}

static maestro_status_t init(mst_pool_t *pool, const char *name) {
    MST_TRY(mst_wire_rendezvous_init(&pool->rendezvous, name));
    maestro_status_t status = mst_wire_listen(&pool->rendezvous, &pool->lock_fd, &pool->listen_fd);
    if (status != MAESTRO_OK) return status;
    pool->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pool->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pool->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (pool->epoll_fd < 0 || pool->wake_fd < 0) return mst_base_fail_errno("make epoll and eventfd");
    watch(pool, pool->listen_fd, TAG_LISTEN, 0, EPOLLIN);
    watch(pool, pool->wake_fd, TAG_WAKE, 0, EPOLLIN | EPOLLET);
    MST_TRY(open_signals(pool));
    pool->dictionary_nbytes = MST_ALIGN(mst_meta_dictionary_nbytes(DICTIONARY_CODES, DICTIONARY_TEXT), 4096);
    MST_TRY(make_shared("maestro-dictionary", pool->dictionary_nbytes, &pool->dictionary_fd, &pool->dictionary_memory));
    pool->dictionary = mst_meta_dictionary_init(pool->dictionary_memory, DICTIONARY_CODES, DICTIONARY_TEXT);
    void *board;
    MST_TRY(make_shared("maestro-board", 4096, &pool->board_fd, &board));
    pool->board = board;
    MST_TRY(mst_meta_schema_load(NULL, &pool->schema[0]));
    pool->nschemas = 1;
    MST_TRY(mst_meta_matcher_create(pool->dictionary, &pool->matcher));
    MST_TRY(mst_pool_log_init(pool));
    MST_TRY(mst_pool_catalogue_init(pool));
    mst_pool_helper_init(pool);
    mst_pool_lending_init(pool);
    MST_TRY(make_scratch(pool));
    pool->group_ns = mst_base_span_ns(mst_base_setting_f64("MAESTRO_POOL_GROUP_S", 60));
    pool->linger_s = mst_base_setting_f64("MAESTRO_LINGER_S", 2);
    pool->now_ns = pool->started_ns = mst_base_now_ns();
    pool->empty_since_ns = pool->now_ns + FIRST_SESSION_NS; /* also without linger, whoever started it has time to come */
    pool->next_deadline_ns = pool->overdue_ns = pool->parts.next_ns = INT64_MAX;
    return MAESTRO_OK;
}

maestro_status_t mst_pool_create(const char *name, mst_pool_t **pool_out) {
    mst_pool_t *pool = calloc(1, sizeof *pool);
    if (!pool) return mst_base_fail(MAESTRO_NO_MEMORY, "start the pool: no memory");
    pool->requests_end = &pool->requests;
    pool->lock_fd = pool->listen_fd = pool->spare_fd = pool->epoll_fd = pool->wake_fd = pool->dictionary_fd = pool->board_fd = -1;
    maestro_status_t status = init(pool, name);
    if (status != MAESTRO_OK) {
        if (pool->lock_fd < 0) free(pool); /* a process that fails later ends at once, and the kernel cleans up */
        return status;
    }
    *pool_out = pool;
    return MAESTRO_OK;
}

void mst_pool_destroy(mst_pool_t *pool) {
    while (pool->nsessions) mst_pool_session_detach(pool, pool->session[0], "closed");
    mst_pool_group_fini(pool);
    mst_pool_lifetime_fini(pool);
    mst_pool_parts_fini(pool);
    mst_pool_elsewhere_fini(pool);
    mst_pool_ahead_fini(pool);
    while (pool->log.base < pool->log.next) mst_pool_log_trim(pool, UINT64_MAX);
    mst_pool_log_fini(pool);
    close(pool->lock_fd); /* the next manager need not wait until all pages have gone */
    mst_pool_lending_fini(pool);
    mst_pool_helper_fini(pool);
    mst_pool_catalogue_fini(pool);
    mst_meta_matcher_destroy(pool->matcher);
    for (uint32_t i = 0; i < pool->nschemas; i++) mst_meta_schema_destroy(pool->schema[i]);
    munmap(pool->dictionary_memory, pool->dictionary_nbytes);
    munmap(pool->board, 4096);
    close(pool->dictionary_fd);
    close(pool->board_fd);
    close(pool->epoll_fd);
    close(pool->wake_fd);
    if (pool->spare_fd >= 0) close(pool->spare_fd);
    free(pool->scratch);
    free(pool->offered);
    for (size_t i = 0; i < MST_COUNT(pool->expanded); i++) free(pool->expanded[i]);
    free(pool->session);
    free(pool->by_number);
    free(pool->touched);
    free(pool->touched_window);
    free(pool->request_slot);
    free(pool->needs.ended);
    free(pool);
}

/* ---- Events of descriptors. */

static bool is_fresh(const mst_pool_t *pool, int fd) {
    for (size_t i = 0; i < pool->nfresh; i++)
        if (pool->fresh[i].fd == fd) return true;
    return false;
}

static void forget_fresh(mst_pool_t *pool, int fd) {
    for (size_t i = 0; i < pool->nfresh; i++)
        if (pool->fresh[i].fd == fd) pool->fresh[i] = pool->fresh[--pool->nfresh];
}

/* Whoever does not say hello in time makes room for others. */
static void drop_silent(mst_pool_t *pool) {
    for (size_t i = 0; i < pool->nfresh; i++) {
        if (pool->now_ns - pool->fresh[i].since_ns < HELLO_NS && pool->nfresh < MST_COUNT(pool->fresh)) continue;
        close(pool->fresh[i].fd); /* which takes it out of epoll too */
        pool->fresh[i--] = pool->fresh[--pool->nfresh];
    }
}

/* With no descriptor left the listener stays readable: whoever waits there is turned away, and told by the log. */
static void turn_away(mst_pool_t *pool) {
    if (pool->spare_fd < 0) return;
    close(pool->spare_fd);
    int fd = accept4(pool->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) close(fd);
    pool->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    fprintf(stderr, "maestro-pool: a session was turned away: too many open files with %zu sessions; raise the limit (ulimit -n) before the pool starts\n", pool->nsessions);
}

static void accept_all(mst_pool_t *pool) {
    int fd;
    while ((fd = accept4(pool->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        drop_silent(pool);
        pool->fresh[pool->nfresh].fd = fd;
        pool->fresh[pool->nfresh++].since_ns = pool->now_ns;
        watch(pool, fd, TAG_FRESH, (uint32_t)fd, EPOLLIN | EPOLLRDHUP);
    }
    if (errno == EMFILE || errno == ENFILE) turn_away(pool);
}

static void greet(mst_pool_t *pool, int fd) {
    if (!is_fresh(pool, fd)) return; /* dropped earlier in this round */
    maestro_status_t status = mst_pool_session_attach(pool, fd);
    if (status == MAESTRO_AGAIN) return;
    epoll_ctl(pool->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    forget_fresh(pool, fd);
    if (status != MAESTRO_OK) {
        close(fd);
        return;
    }
    const mst_pool_session_t *session = pool->session[pool->nsessions - 1];
    watch(pool, session->socket, TAG_SOCKET, session->number, EPOLLIN | EPOLLRDHUP);
    if (session->pidfd >= 0) watch(pool, session->pidfd, TAG_PROCESS, session->number, EPOLLIN);
}

static void dispatch(mst_pool_t *pool, const struct epoll_event *event) {
    uint32_t value = (uint32_t)event->data.u64;
    mst_pool_session_t *session;
    switch (event->data.u64 >> 56) {
    case TAG_LISTEN: accept_all(pool); return;
    case TAG_FRESH: greet(pool, (int)value); return;
    case TAG_SOCKET:
        session = mst_pool_session_by_number(pool, value);
        if (session) mst_pool_session_socket(pool, session);
        return;
    case TAG_PROCESS:
        session = mst_pool_session_by_number(pool, value);
        if (session) mst_pool_session_detach(pool, session, session->said_bye ? "closed" : "died");
        return;
    case TAG_SIGNAL: pool->stop = true; return;
    default: return;
    }
}

/* Whether one of them had something. */
static bool poll_descriptors(mst_pool_t *pool, int64_t timeout_ns) {
    struct epoll_event events[64];
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    int count = epoll_pwait2(pool->epoll_fd, events, MST_COUNT(events), &timeout, NULL);
    if (count < 0 && errno == ENOSYS) count = epoll_wait(pool->epoll_fd, events, MST_COUNT(events), (int)((timeout_ns + 999999) / 1000000));
    pool->now_ns = mst_base_now_ns();
    for (int i = 0; i < count; i++) dispatch(pool, &events[i]);
    return count > 0;
}

/* ---- One round. */

/* A writer that found its ring full is woken when half of it is free, so that it does not sleep again after a few messages; but once for what is free, when
 * nothing more is taken for now: there may be room for its message. */
static bool writer_may_go_on(const mst_wire_ring_t *ring, bool stands, uint64_t woken_at) {
    if (!atomic_load_explicit(&ring->shared->blocked, memory_order_relaxed)) return false;
    return atomic_load_explicit(&ring->shared->head, memory_order_relaxed) - ring->position <= ring->capacity / 2 || (stands && ring->position != woken_at);
}

static void wake_sessions(mst_pool_t *pool) {
    static const uint64_t one = 1;
    if (pool->ntouched) atomic_thread_fence(memory_order_seq_cst);
    for (size_t i = 0; i < pool->ntouched; i++) {
        mst_pool_session_t *session = pool->touched[i];
        session->touched = false;
        uint64_t end = session->channel.replies.position;
        bool sleeps = atomic_load_explicit(&session->channel.replies.shared->sleeping, memory_order_relaxed) && (session->woken != end || session->freed_news);
        bool stands = session->stalled_since_ns || session->outbox.first;
        bool blocked = writer_may_go_on(&session->channel.offers, stands, session->offers_woken_at) ||
                       writer_may_go_on(&session->channel.control, stands, session->control_woken_at);
        if (!sleeps && !blocked) continue;
        session->woken = end;
        session->freed_news = false;
        session->offers_woken_at = session->channel.offers.position;
        session->control_woken_at = session->channel.control.position;
        atomic_store_explicit(&session->channel.offers.shared->blocked, 0, memory_order_relaxed);
        atomic_store_explicit(&session->channel.control.shared->blocked, 0, memory_order_relaxed);
        if (write(session->wake_client, &one, sizeof one) < 0) continue; /* full counter: it is readable anyway */
    }
    pool->ntouched = 0;
}

static void wake_all(mst_pool_t *pool) {
    pool->urgent_news = false;
    mst_pool_subscription_wake(pool);
    wake_sessions(pool);
}

static void drop_broken(mst_pool_t *pool) {
    for (size_t i = 0; i < pool->nsessions; i++) {
        if (!pool->session[i]->broken) continue;
        mst_pool_session_detach(pool, pool->session[i], "died");
        i = (size_t)-1;
    }
}

/* The sessions of one priority; urgent ones again after each other one that had something, who are told at once. */
static size_t serve_sessions(mst_pool_t *pool, maestro_priority_t priority, bool *broken) {
    size_t served = 0;
    for (size_t i = 0; i < pool->nsessions; i++) {
        mst_pool_session_t *session = pool->session[i];
        if (session->priority != priority) continue;
        size_t taken = mst_pool_session_serve(pool, session);
        if (taken) session->heard_ns = pool->now_ns;
        served += taken;
        *broken |= session->broken;
        if (!taken || !pool->nurgent || priority == MAESTRO_PRIORITY_URGENT) continue;
        served += serve_sessions(pool, MAESTRO_PRIORITY_URGENT, broken);
        mst_pool_catalogue_index_step(pool, taken); /* the next urgent question need not wait until what others offered is in the index */
    }
    if (pool->urgent_news) wake_all(pool);
    return served;
}

static size_t serve_round(mst_pool_t *pool) {
    size_t served = 0;
    bool broken = false;
    pool->stall_deadline_ns = INT64_MAX;
    if (pool->nurgent) served += serve_sessions(pool, MAESTRO_PRIORITY_URGENT, &broken);
    served += serve_sessions(pool, MAESTRO_PRIORITY_NORMAL, &broken);
    if (pool->nbackground) served += serve_sessions(pool, MAESTRO_PRIORITY_BACKGROUND, &broken);
    if (served && served < BUSY_MESSAGES) wake_all(pool); /* who waits for little is told before the books are tidied */
    if (!pool->requests) pool->next_deadline_ns = INT64_MAX;
    else if (served || pool->recheck_consumed || pool->now_ns >= pool->next_deadline_ns) mst_pool_request_step_all(pool);
    mst_pool_lifetime_expire(pool);
    mst_pool_parts_expire(pool);
    mst_pool_need_tell_ended(pool);
    mst_pool_elsewhere_forget_old(pool);
    mst_pool_subscription_advance_all(pool);
    mst_pool_log_sweep(pool);
    if (broken) drop_broken(pool);
    return served;
}

/* Half of the smallest window takes any event, also where it does not fit before the end; else a reader that stands still would keep the loop awake. */
_Static_assert(2 * (offsetof(mst_wire_event_t, attributes) + MST_META_SET_MAX) <= MST_WIRE_WINDOW_MIN / 2, "half a window takes any event");

static bool lagging_can_move(mst_pool_t *pool) {
    if (pool->ending || pool->needs.nended || pool->elsewhere.nold || (pool->groups && mst_pool_group_can_move(pool))) return true;
    for (mst_pool_subscription_t *s = pool->lagging; s; s = s->lag_next)
        if (mst_wire_ring_room(&s->window) >= s->window.capacity / 2) return true;
    return false;
}

static bool more_to_do(mst_pool_t *pool) {
    if (lagging_can_move(pool)) return true;
    bool offers_wait = mst_pool_offers_wait(pool);
    for (size_t i = 0; i < pool->nsessions; i++)
        if (!mst_pool_session_idle(pool->session[i], offers_wait)) return true;
    return pool->next_deadline_ns <= pool->now_ns || mst_pool_lifetime_next(pool) <= pool->now_ns || pool->parts.next_ns <= pool->now_ns || pool->log.base < pool->log.keep_from;
}

/* What costs a system call waits in a flood of messages until enough of it has come together, for a quarter of a millisecond at most; when there is nothing more to serve it is done at
 * once, so that a single offer is not late. */
static void end_round(mst_pool_t *pool) {
    mst_pool_subscription_show(pool);
    mst_pool_catalogue_prepare(pool);
    if (!pool->urgent_news && pool->now_ns - pool->called_ns < GATHER_NS && more_to_do(pool)) return;
    pool->called_ns = pool->now_ns;
    wake_all(pool);
    poll_descriptors(pool, 0);
}

/* ---- Sleeping. */

/* What wakes it.  Leases that come back do where someone waits for them; but an archive that lags would have it woken for each lease of anybody, all day long:
 * groups of low priority are served when something else has woken it, or ten milliseconds later. */
static uint32_t what_matters(const mst_pool_t *pool, bool *patiently_out) {
    uint32_t bits = MST_WIRE_ASLEEP;
    bool group_waits = mst_pool_group_waits(pool, patiently_out);
    *patiently_out = *patiently_out && group_waits;
    bool waits = pool->lagging || (group_waits && !*patiently_out);
    if (pool->requests || waits || pool->lifetimes.counted) bits |= MST_WIRE_ASLEEP_RELEASES;
    if (waits) bits |= MST_WIRE_ASLEEP_ROOM;
    for (size_t i = 0; i < pool->nsessions; i++)
        if (pool->session[i]->outbox.first || pool->session[i]->freed.first) bits |= MST_WIRE_ASLEEP_ROOM;
    return bits;
}

static int64_t earliest_deadline(const mst_pool_t *pool) {
    const int64_t deadlines[] = {pool->stall_deadline_ns, mst_pool_lifetime_next(pool), mst_pool_group_next(pool), pool->parts.next_ns};
    int64_t earliest = pool->next_deadline_ns;
    for (size_t i = 0; i < MST_COUNT(deadlines); i++)
        if (deadlines[i] < earliest) earliest = deadlines[i];
    return earliest;
}

/* Whether someone has rung. */
static bool sleep_until_needed(mst_pool_t *pool) {
    bool patiently;
    uint32_t bits = what_matters(pool, &patiently);
    int64_t deadline = earliest_deadline(pool), timeout = deadline == INT64_MAX ? ROUND_NS_MAX : deadline - pool->now_ns;
    int64_t longest = patiently ? PATIENT_NS : ROUND_NS_MAX;
    if (timeout > longest) timeout = longest;
    if (!pool->nsessions && !mst_pool_lifetime_holds(pool)) {
        int64_t linger = pool->empty_since_ns + mst_base_span_ns(pool->linger_s) - pool->now_ns;
        if (linger < timeout) timeout = linger;
    }
    if (timeout < 0) timeout = 0;
    atomic_store_explicit(&pool->board->sleeping, bits | ++pool->nsleeps << MST_WIRE_ASLEEP_BITS, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (more_to_do(pool)) timeout = 0;
    bool rung = poll_descriptors(pool, timeout);
    atomic_store_explicit(&pool->board->sleeping, 0, memory_order_seq_cst); /* before the rings are read */
    return rung;
}

/* How many processes had something to do lately: this one, and clients from which something came. */
static int busy_processes(const mst_pool_t *pool) {
    int busy = 1;
    for (size_t i = 0; i < pool->nsessions; i++) busy += pool->now_ns - pool->session[i]->heard_ns < LATELY_NS;
    return busy;
}

static bool unneeded(mst_pool_t *pool) {
    if (pool->nsessions || mst_pool_lifetime_holds(pool)) {
        pool->empty_since_ns = pool->now_ns;
        return false;
    }
    return pool->now_ns - pool->empty_since_ns >= mst_base_span_ns(pool->linger_s);
}

maestro_status_t mst_pool_run(mst_pool_t *pool) {
    int64_t spin_ns = mst_base_span_ns(mst_base_setting_f64("MAESTRO_SPIN_US", 100) / 1e6), patience = 0;
    int cores = mst_mem_cores(), naps = 0;
    bool seldom = false, answered = false; /* messages come further apart than it would wait awake for; one came since it slept */
    if (spin_ns > ROUND_NS_MAX) spin_ns = ROUND_NS_MAX;
    prctl(PR_SET_TIMERSLACK, 1000);
    while (!pool->stop && !unneeded(pool)) {
        pool->now_ns = mst_base_now_ns();
        size_t served = serve_round(pool);
        if (served >= BUSY_MESSAGES) {
            naps = 2;
            seldom = false;
        }
        if (served || lagging_can_move(pool)) {
            answered = true;
            patience = 0;
            end_round(pool);
            continue;
        }
        wake_all(pool);
        int busy = busy_processes(pool);
        atomic_store_explicit(&pool->board->spin_ns, busy <= cores ? (uint32_t)spin_ns : 0, memory_order_relaxed);
        if (pool->nsessions && !(seldom && answered) && mst_base_patience(&patience, busy <= cores + 1 ? spin_ns : 0)) continue; /* of the others one sleeps most of the time */
        if (naps > 0) {
            struct timespec nap = {.tv_nsec = NAP_NS};
            naps--;
            nanosleep(&nap, NULL);
            continue;
        }
        int64_t since = pool->now_ns;
        answered = !sleep_until_needed(pool); /* who has rung may still be writing */
        seldom = pool->now_ns - since > spin_ns && !pool->nurgent;
        if (pool->nfresh) drop_silent(pool);
        patience = 0;
    }
    unlink(pool->rendezvous.socket);
    close(pool->listen_fd);
    atomic_store(&pool->board->leaving, 1);
    return MAESTRO_OK;
}
