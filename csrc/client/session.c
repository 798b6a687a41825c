/* Sessions: opening, closing, forking, flushing. */
#include "client/client.h"

#include "meta/text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

unsigned mst_client_forks;

static void count_fork(void) { mst_client_forks++; }
static void watch_forks(void) { pthread_atfork(NULL, NULL, count_fork); }

void maestro_session_options_init(maestro_session_options_t *options) {
    *options = (maestro_session_options_t){.size = sizeof *options, .timeout_s = -1, .start_pool = true};
}

maestro_status_t mst_client_enter(maestro_session_t *session, const char *operation) {
    if (MST_UNLIKELY(!session)) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the session is NULL", operation);
    if (MST_UNLIKELY(session->fork_count != mst_client_forks))
        return mst_base_fail(MAESTRO_FORKED, "%s: this session was opened before a fork and belongs to the parent process; open one in the child", operation);
    pthread_mutex_lock(&session->lock);
    if (MST_LIKELY(!session->closed && !session->lost)) {
        session->inside++;
        session->handles++;
        return MAESTRO_OK;
    }
    maestro_status_t status = session->closed ? mst_base_fail(MAESTRO_CLOSED, "%s: the session of %s[%lld] is closed; open a new one", operation,
                                                              session->component, (long long)session->rank)
                                              : mst_client_lost(session, operation);
    pthread_mutex_unlock(&session->lock);
    return status;
}

int64_t mst_client_deadline(const maestro_session_t *session, double timeout_s) {
    return mst_base_deadline_ns(timeout_s < 0 || timeout_s != timeout_s ? session->timeout_s : timeout_s);
}

static void free_session(maestro_session_t *session) {
    mst_client_memory_fini(session);
    for (size_t i = 0; i < session->nrefusals; i++) free(session->refusal[i].text);
    free(session->refusal);
    free(session->unreleased);
    while (session->spare) {
        maestro_cdo_t *cdo = session->spare;
        session->spare = cdo->next;
        mst_meta_builder_fini(&cdo->builder);
        free(cdo->packed);
        free(cdo->texts);
        free(cdo);
    }
    if (session->dictionary_memory) munmap(session->dictionary_memory, session->dictionary_nbytes);
    mst_meta_schema_destroy(session->schema);
    pthread_mutex_destroy(&session->lock);
    pthread_mutex_destroy(&session->needs.lock);
    pthread_cond_destroy(&session->news);
    free(session);
}

maestro_status_t mst_client_stay(maestro_session_t *session, const char *operation) {
    pthread_mutex_lock(&session->lock);
    session->inside += !session->closed;
    session->handles += !session->closed;
    bool closed = session->closed;
    pthread_mutex_unlock(&session->lock);
    return closed ? mst_base_fail(MAESTRO_CLOSED, "%s: the session is closed; open a new one", operation) : MAESTRO_OK;
}

void mst_client_leave(maestro_session_t *session) {
    session->inside--;
    if (session->closed && !session->inside) mst_client_detach(session);
    mst_client_let_go(session);
}

void mst_client_let_go(maestro_session_t *session) {
    bool last = --session->handles == 0 && session->closed;
    pthread_mutex_unlock(&session->lock);
    if (last) free_session(session);
}

static void default_component(char *component, size_t nbytes) {
    const char *setting = mst_base_setting("MAESTRO_COMPONENT");
    if (setting) {
        snprintf(component, nbytes, "%.63s", setting);
        return;
    }
    char path[512];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    const char *slash = strrchr(path, '/');
    snprintf(component, nbytes, "%.63s", slash && slash[1] ? slash + 1 : "program");
}

static const char *const priorities[] = {[MAESTRO_PRIORITY_URGENT] = "urgent", [MAESTRO_PRIORITY_NORMAL] = "normal", [MAESTRO_PRIORITY_BACKGROUND] = "background"};

static maestro_status_t take_priority(maestro_session_t *session, maestro_priority_t priority) {
    const char *setting = priority == MAESTRO_PRIORITY_DEFAULT ? mst_base_setting("MAESTRO_PRIORITY") : NULL;
    session->priority = priority == MAESTRO_PRIORITY_DEFAULT ? MAESTRO_PRIORITY_NORMAL : priority;
    if ((unsigned)priority >= MST_COUNT(priorities))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "open a session: priority %d is none of urgent, normal and background", (int)priority);
    for (unsigned i = 1; setting && i < MST_COUNT(priorities); i++) {
        if (strcmp(setting, priorities[i]) != 0) continue;
        session->priority = (maestro_priority_t)i;
        setting = NULL;
    }
    if (!setting) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "open a session: MAESTRO_PRIORITY is \"%.80s\"; set it to urgent, normal or background", setting);
}

maestro_status_t mst_client_prioritize(const maestro_session_t *session, mst_meta_builder_t *builder) {
    if (MST_LIKELY(session->priority == MAESTRO_PRIORITY_NORMAL) || session->relay || builder->mask[0] >> MST_META_KEY_PRIORITY & 1) return MAESTRO_OK;
    return mst_meta_builder_set_text(builder, MST_META_KEY_PRIORITY, priorities[session->priority], strlen(priorities[session->priority]));
}

static maestro_status_t take_options(maestro_session_t *session, const maestro_session_options_t *options) {
    if (options->size != sizeof *options)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "open a session: the options' size is %zu, expected %zu; call maestro_session_options_init first",
                             options->size, sizeof *options);
    if (!options->component) default_component(session->component, sizeof session->component);
    else if (strlen(options->component) >= sizeof session->component || !options->component[0])
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "open a session: component name \"%.80s\" must have 1 to %zu bytes", options->component, sizeof session->component - 1);
    else snprintf(session->component, sizeof session->component, "%s", options->component);
    if (!mst_meta_text_is_utf8(session->component, strlen(session->component)))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "open a session: the component's name is not UTF-8; choose another one");
    session->rank = options->rank ? options->rank : (int64_t)mst_base_setting_f64("MAESTRO_RANK", 0);
    session->interruptible = options->interruptible;
    session->relay = options->relay;
    MST_TRY(take_priority(session, options->priority));
    session->timeout_s = options->timeout_s < 0 ? mst_base_setting_f64("MAESTRO_TIMEOUT_S", 60) : options->timeout_s;
    return mst_client_check_init(session);
}

static maestro_session_t *new_session(void) {
    maestro_session_t *session = calloc(1, sizeof *session);
    if (!session) return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&session->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&session->lock, NULL);
    pthread_mutex_init(&session->needs.lock, NULL);
    session->socket = session->wake_manager = session->wake_client = -1;
    session->fork_count = mst_client_forks;
    session->refusals_round = 1;
    return session;
}

maestro_status_t maestro_session_open(const maestro_session_options_t *options, maestro_session_t **session_out) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    maestro_session_options_t defaults;
    pthread_once(&once, watch_forks);
    mst_base_settings_check();
    maestro_session_options_init(&defaults);
    if (!options) options = &defaults;
    maestro_session_t *session = new_session();
    if (!session) return mst_base_fail(MAESTRO_SYSTEM, "open a session: no memory");
    maestro_status_t status = take_options(session, options);
    if (status == MAESTRO_OK) status = mst_client_attach(session, options, mst_base_deadline_ns(session->timeout_s));
    if (status == MAESTRO_OK) status = mst_client_memory_init(session);
    if (status != MAESTRO_OK) {
        mst_client_detach(session);
        free_session(session);
        return status;
    }
    *session_out = session;
    return MAESTRO_OK;
}

/* ---- Flush. */

static maestro_status_t first_refusal(maestro_session_t *session, const char *operation) {
    size_t count = session->nrefusals + session->refusals_uncounted;
    if (!count) return MAESTRO_OK;
    static char more[] = "(not among the first thousand, whose texts are kept)";
    mst_client_refusal_t first = session->nrefusals ? session->refusal[0] : (mst_client_refusal_t){.status = session->uncounted_status, .text = more};
    maestro_status_t status = count == 1 ? mst_base_fail(first.status, "%s: %s", operation, first.text ? first.text : "")
                                         : mst_base_fail(first.status, "%s: %zu offers were refused; the first: %s", operation, count, first.text ? first.text : "");
    for (size_t i = 0; i < session->nrefusals; i++) free(session->refusal[i].text);
    session->nrefusals = session->refusals_uncounted = 0;
    session->refusals_round++;
    return status;
}

static maestro_status_t flush(maestro_session_t *session, int64_t deadline_ns, const char *operation) {
    maestro_request_t request = {0};
    mst_wire_request_t like = {.head.kind = MST_WIRE_FLUSH, .after = session->channel.offers.position};
    maestro_status_t status = mst_client_call(session, &request, &like, NULL, deadline_ns, operation);
    mst_client_request_fini(session, &request);
    if (status == MAESTRO_INTERRUPTED) session->interrupted_at = like.after;
    return status == MAESTRO_OK ? first_refusal(session, operation) : status; /* else it is told by the next one */
}

/* Whoever pressed Ctrl-C in a flush does not want to wait for the same offers again. */
static maestro_status_t last_flush(maestro_session_t *session) {
    if (session->interrupted_at && session->interrupted_at == session->channel.offers.position)
        return mst_base_fail(MAESTRO_INTERRUPTED, "close: a signal ended the flush before; offers may be unconfirmed");
    return flush(session, mst_base_deadline_ns(session->timeout_s), "close");
}

maestro_status_t maestro_session_flush(maestro_session_t *session, double timeout_s) {
    MST_TRY(mst_client_enter(session, "flush"));
    maestro_status_t status = flush(session, mst_client_deadline(session, timeout_s), "flush");
    mst_client_leave(session);
    return status;
}

void maestro_session_wake(maestro_session_t *session) {
    if (!session || session->fork_count != mst_client_forks) return;
    pthread_mutex_lock(&session->lock);
    if (!session->closed && !session->lost) mst_client_wake_manager(session, MST_WIRE_ASLEEP);
    pthread_mutex_unlock(&session->lock);
}

maestro_status_t maestro_session_close(maestro_session_t *session) {
    if (!session) return MAESTRO_OK;
    if (session->fork_count != mst_client_forks) return mst_base_fail(MAESTRO_FORKED, "close: this session belongs to the parent process");
    pthread_mutex_lock(&session->lock);
    if (session->closed) {
        pthread_mutex_unlock(&session->lock);
        return mst_base_fail(MAESTRO_CLOSED, "close: the session is closed already");
    }
    session->inside++;
    session->handles++;
    maestro_status_t status = session->lost ? mst_client_lost(session, "close") : last_flush(session);
    if (!session->closed) { /* else another thread has been faster */
        session->closed = true;
        mst_client_hang_up(session);
    }
    pthread_mutex_unlock(&session->lock);
    mst_client_needs_fini(session); /* who waits there has been told of the end */
    pthread_mutex_lock(&session->lock);
    mst_client_leave(session);
    return status;
}

/* ---- Texts. */

enum { STATS_SLICE_NS = 100000000, STATS_PAUSE_NS = 100000 };

static maestro_status_t read_text(int fd, uint64_t nbytes, char **text_out) {
    char *text = malloc(nbytes + 1);
    if (!text) return mst_base_fail(MAESTRO_SYSTEM, "stats: no memory");
    uint64_t at = 0;
    while (at < nbytes) {
        ssize_t came = pread(fd, text + at, nbytes - at, (off_t)at);
        if (came <= 0) break;
        at += (uint64_t)came;
    }
    text[at] = '\0';
    *text_out = text;
    return MAESTRO_OK;
}

maestro_status_t maestro_session_stats(maestro_session_t *session, double timeout_s, char **json_out) {
    mst_wire_fetch_reply_t reply;
    int64_t deadline = 0, now;
    int fd = -1;
    maestro_status_t status;
    do { /* the lock is held while the socket is waited for: other threads get their turn in the pauses */
        if (deadline) nanosleep(&(struct timespec){.tv_nsec = STATS_PAUSE_NS}, NULL);
        MST_TRY(mst_client_enter(session, "stats"));
        now = mst_base_now_ns();
        if (!deadline) deadline = mst_client_deadline(session, timeout_s);
        int64_t until = deadline - now < STATS_SLICE_NS ? deadline : now + STATS_SLICE_NS;
        status = mst_client_fetch_until(session, MST_WIRE_FETCH_STATS, 0, until, &reply, &fd, 1);
        mst_client_leave(session);
    } while (status == MAESTRO_TIMEOUT && mst_base_now_ns() < deadline);
    if (status != MAESTRO_OK) return status;
    status = read_text(fd, reply.nbytes, json_out);
    close(fd);
    return status;
}

maestro_status_t maestro_session_schema(maestro_session_t *session, char **json_out) {
    MST_TRY(mst_client_enter(session, "schema"));
    mst_base_buffer_t text = {0};
    mst_meta_schema_json(session->schema, &text);
    mst_client_leave(session);
    if (text.failed) return mst_base_fail(MAESTRO_SYSTEM, "schema: no memory");
    *json_out = text.data;
    return MAESTRO_OK;
}
