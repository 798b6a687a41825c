/* How a session finds its pool manager: connect, start one when nobody listens, say hello, map what comes back. */
#include "client/client.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { RETRY_NS = 2000000, SIGNALLED_NS = 500000000 };

/* How long opening may take.  A signal shortens it, and does not end it at once: frequent ones (timers) must not keep it from ever getting done. */
typedef struct patience {
    int64_t deadline_ns;
    bool interruptible, signalled;
} patience_t;

static void take_signal(patience_t *patience) {
    if (!patience->interruptible || patience->signalled) return;
    int64_t soon = mst_base_now_ns() + SIGNALLED_NS;
    patience->signalled = true;
    if (soon < patience->deadline_ns) patience->deadline_ns = soon;
}

static void pause_for(patience_t *patience, long ns) {
    if (nanosleep(&(struct timespec){.tv_nsec = ns}, NULL) != 0) take_signal(patience);
}

/* The status when time is over: INTERRUPTED, or 0 when it is the caller's to say what took so long. */
static maestro_status_t ended_by_signal(const patience_t *patience) {
    return patience->signalled ? mst_base_fail(MAESTRO_INTERRUPTED, "open a session: a signal came") : MAESTRO_OK;
}

/* ---- Starting the manager. */

static void find_manager(char *path, size_t nbytes) {
    static const char *const places[] = {"maestro-pool", "bin/maestro-pool", "../bin/maestro-pool", "../_bin/maestro-pool"};
    const char *setting = mst_base_setting("MAESTRO_MANAGER");
    Dl_info library;
    snprintf(path, nbytes, "%s", setting ? setting : "maestro-pool");
    if (setting || !dladdr((void *)(uintptr_t)maestro_session_open, &library) || !library.dli_fname) return;
    const char *slash = strrchr(library.dli_fname, '/');
    if (!slash) return;
    for (size_t i = 0; i < MST_COUNT(places); i++) {
        char candidate[4096];
        int needed = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)(slash - library.dli_fname), library.dli_fname, places[i]);
        if (needed > 0 && (size_t)needed < nbytes && access(candidate, X_OK) == 0) {
            snprintf(path, nbytes, "%s", candidate);
            return;
        }
    }
}

static int spawn(const char *path, const mst_wire_rendezvous_t *rendezvous, pid_t *child_out) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    const char *name = strchr(rendezvous->socket, '/') && !rendezvous->directory[0] ? rendezvous->socket : rendezvous->pool;
    char *const arguments[] = {(char *)"maestro-pool", (char *)"--daemon", (char *)"--pool", (char *)name, NULL};
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, rendezvous->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int error = posix_spawnp(child_out, path, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static void last_line(const char *path, char *line, size_t nbytes) {
    char tail[1024] = "";
    line[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    off_t end = lseek(fd, 0, SEEK_END);
    ssize_t came = pread(fd, tail, sizeof tail - 1, end > (off_t)sizeof tail - 1 ? end - (off_t)sizeof tail + 1 : 0);
    close(fd);
    while (came > 0 && tail[came - 1] == '\n') came--;
    if (came <= 0) return;
    tail[came] = '\0';
    const char *start = strrchr(tail, '\n');
    snprintf(line, nbytes, "%s", start ? start + 1 : tail);
}

/* The starter returns as soon as the manager listens (or another one does). */
static maestro_status_t start_manager(const mst_wire_rendezvous_t *rendezvous, patience_t *patience) {
    char path[4096], line[1024];
    pid_t child;
    find_manager(path, sizeof path);
    int error = spawn(path, rendezvous, &child);
    if (error)
        return mst_base_fail(MAESTRO_POOL_START, "start the pool manager: %s: %s; install Maestro's executables, or name maestro-pool in MAESTRO_MANAGER", path, strerror(error));
    for (;;) {
        int code;
        pid_t ended = waitpid(child, &code, WNOHANG);
        if (ended < 0 && errno != EINTR) return MAESTRO_OK; /* somebody else reaped it: connecting will tell */
        if (ended == child) {
            if (WIFEXITED(code) && WEXITSTATUS(code) == 0) return MAESTRO_OK;
            last_line(rendezvous->log, line, sizeof line);
            return mst_base_fail(MAESTRO_POOL_START, "start the pool manager %s: it ended with %s %d: %s; its log is %s", path, WIFEXITED(code) ? "code" : "signal",
                                 WIFEXITED(code) ? WEXITSTATUS(code) : WTERMSIG(code), line, rendezvous->log);
        }
        if (mst_base_now_ns() > patience->deadline_ns) {
            kill(child, SIGKILL);
            waitpid(child, &code, 0);
            MST_TRY(ended_by_signal(patience));
            return mst_base_fail(MAESTRO_POOL_START, "start the pool manager %s: it did not listen in time; its log is %s", path, rendezvous->log);
        }
        pause_for(patience, RETRY_NS / 4);
    }
}

/* ---- Hello. */

static maestro_status_t make_hello(maestro_session_t *session, const maestro_session_options_t *options, mst_wire_hello_t *hello, int *schema_fd_out) {
    *hello = (mst_wire_hello_t){.magic = MST_WIRE_MAGIC, .protocol = MST_WIRE_PROTOCOL, .rank = session->rank,
                                .relay = session->relay, .priority = (uint16_t)session->priority};
    memcpy(hello->component, session->component, sizeof hello->component);
    *schema_fd_out = -1;
    if (!options->schema) return MAESTRO_OK;
    mst_meta_schema_t *schema = NULL;
    MST_TRY(mst_meta_schema_load(options->schema, &schema));
    snprintf(hello->schema, sizeof hello->schema, "%.63s", schema->name);
    hello->schema_nbytes = (uint32_t)schema->text_nbytes;
    int fd = memfd_create("maestro-schema", MFD_CLOEXEC);
    bool written = fd >= 0 && write(fd, schema->text, schema->text_nbytes) == (ssize_t)schema->text_nbytes;
    mst_meta_schema_destroy(schema);
    if (!written) {
        maestro_status_t status = mst_base_fail_errno("open a session: make a memfd for the schema");
        if (fd >= 0) close(fd);
        return status;
    }
    *schema_fd_out = fd;
    return MAESTRO_OK;
}

static maestro_status_t take_schema(maestro_session_t *session, int fd, uint32_t nbytes) {
    if (nbytes > MST_WIRE_SCHEMA_MAX) return mst_base_fail(MAESTRO_PROTOCOL, "open a session: the pool's schema is longer than 1 MiB");
    char *text = malloc(nbytes + 1);
    if (!text) return mst_base_fail(MAESTRO_SYSTEM, "open a session: no memory");
    ssize_t came = pread(fd, text, nbytes, 0);
    text[came > 0 ? came : 0] = '\0';
    maestro_status_t status = came == (ssize_t)nbytes ? mst_meta_schema_parse(text, nbytes, "the pool's schema", &session->schema)
                                                      : mst_base_fail(MAESTRO_PROTOCOL, "open a session: the pool's schema is cut short");
    free(text);
    return status;
}

static maestro_status_t take_welcome(maestro_session_t *session, const mst_wire_welcome_t *welcome, int *fds) {
    void *board = NULL;
    const struct { int fd; uint64_t nbytes; } memory[] = {
        {fds[MST_WIRE_FD_CHANNEL], welcome->channel_nbytes}, {fds[MST_WIRE_FD_DICTIONARY], welcome->dictionary_nbytes}, {fds[MST_WIRE_FD_BOARD], 4096}};
    session->number = welcome->session;
    session->schema_number = (uint16_t)welcome->schema_number;
    session->memory_limit = welcome->memory_limit;
    session->dictionary_nbytes = welcome->dictionary_nbytes;
    if (welcome->channel_nbytes != mst_wire_channel_nbytes()) return mst_base_fail(MAESTRO_PROTOCOL, "open a session: the manager's channel has another size");
    for (size_t i = 0; i < MST_COUNT(memory); i++) MST_TRY(mst_mem_segment_check(memory[i].fd, memory[i].nbytes));
    MST_TRY(mst_mem_segment_map(fds[MST_WIRE_FD_CHANNEL], welcome->channel_nbytes, true, &session->channel_memory));
    mst_wire_channel_init(&session->channel, session->channel_memory, false);
    MST_TRY(mst_mem_segment_map(fds[MST_WIRE_FD_DICTIONARY], welcome->dictionary_nbytes, false, &session->dictionary_memory));
    session->dictionary = mst_meta_dictionary_attach(session->dictionary_memory, welcome->dictionary_nbytes);
    if (!session->dictionary) return mst_base_fail(MAESTRO_PROTOCOL, "open a session: the manager's dictionary is malformed");
    MST_TRY(mst_mem_segment_map(fds[MST_WIRE_FD_BOARD], 4096, false, &board));
    session->board = board;
    MST_TRY(take_schema(session, fds[MST_WIRE_FD_SCHEMA], welcome->schema_nbytes));
    session->wake_manager = fds[MST_WIRE_FD_WAKE_MANAGER];
    session->wake_client = fds[MST_WIRE_FD_WAKE_CLIENT];
    fds[MST_WIRE_FD_WAKE_MANAGER] = fds[MST_WIRE_FD_WAKE_CLIENT] = -1;
    return MAESTRO_OK;
}

/* AGAIN when the manager left meanwhile. */
static maestro_status_t greet(maestro_session_t *session, const mst_wire_hello_t *hello, int schema_fd, patience_t *patience) {
    mst_wire_welcome_t welcome = {0};
    int fds[MST_WIRE_FDS_MAX];
    size_t nfds = MST_WIRE_FDS_MAX, nbytes = 0;
    if (mst_wire_send(session->socket, hello, sizeof *hello, &schema_fd, schema_fd >= 0) != MAESTRO_OK) return MAESTRO_AGAIN;
    maestro_status_t status;
    while ((status = mst_wire_receive(session->socket, &welcome, sizeof welcome, &nbytes, fds, &nfds, patience->deadline_ns)) == MAESTRO_INTERRUPTED) take_signal(patience);
    if (status == MAESTRO_END) return MAESTRO_AGAIN;
    if (status == MAESTRO_TIMEOUT) {
        MST_TRY(ended_by_signal(patience));
        return mst_base_fail(status, "open a session: the manager of pool %s did not answer in time; is it stopped? see maestro doctor", session->rendezvous.pool);
    }
    if (status != MAESTRO_OK) return mst_base_fail_context(status, "open a session: pool %s", session->rendezvous.pool);
    if (nbytes < 12 || welcome.magic != MST_WIRE_MAGIC) status = mst_base_fail(MAESTRO_PROTOCOL, "open a session: %s is no Maestro pool", session->rendezvous.socket);
    else if (nbytes != sizeof welcome && welcome.protocol == MST_WIRE_PROTOCOL)
        status = mst_base_fail(MAESTRO_PROTOCOL, "open a session: the manager of pool %s answered with %zu bytes where %zu were due", session->rendezvous.pool, nbytes, sizeof welcome);
    else if (nbytes != sizeof welcome || welcome.status != MAESTRO_OK) {
        welcome.text[sizeof welcome.text - 1] = '\0';
        status = welcome.protocol != MST_WIRE_PROTOCOL && nbytes != sizeof welcome
                     ? mst_base_fail(MAESTRO_REFUSED, "open a session: the manager of pool %s speaks protocol %u, this library %d; stop the old programs, or use another pool",
                                     session->rendezvous.pool, welcome.protocol, MST_WIRE_PROTOCOL)
                     : mst_base_fail(welcome.status < 0 ? welcome.status : MAESTRO_REFUSED, "%s", welcome.text);
    } else if (nfds != MST_WIRE_FDS) status = mst_base_fail(MAESTRO_PROTOCOL, "open a session: descriptors are missing (is the limit of open files, ulimit -n, too low?)");
    else status = take_welcome(session, &welcome, fds);
    for (size_t i = 0; i < nfds; i++)
        if (fds[i] >= 0) close(fds[i]);
    return status;
}

static maestro_status_t connect_or_start(maestro_session_t *session, bool may_start, patience_t *patience) {
    for (int64_t started = 0;;) {
        maestro_status_t status = mst_wire_connect(&session->rendezvous, &session->socket);
        if (status != MAESTRO_AGAIN) return status;
        if (!may_start)
            return mst_base_fail(MAESTRO_POOL_START, "open a session: no pool %s on this node (%s); start one with: maestro pool start", session->rendezvous.pool, session->rendezvous.socket);
        int64_t now = mst_base_now_ns();
        if (now > patience->deadline_ns) {
            MST_TRY(ended_by_signal(patience));
            return mst_base_fail(MAESTRO_POOL_START, "open a session: the manager of pool %s did not answer in time; see %s", session->rendezvous.pool, session->rendezvous.log);
        }
        if (now - started > 500000000) {
            started = now;
            MST_TRY(start_manager(&session->rendezvous, patience));
        } else pause_for(patience, RETRY_NS);
    }
}

maestro_status_t mst_client_attach(maestro_session_t *session, const maestro_session_options_t *options, int64_t deadline_ns) {
    mst_wire_hello_t hello;
    int schema_fd;
    patience_t patience = {.deadline_ns = deadline_ns, .interruptible = session->interruptible};
    MST_TRY(mst_wire_rendezvous_init(&session->rendezvous, options->pool));
    MST_TRY(make_hello(session, options, &hello, &schema_fd));
    maestro_status_t status;
    for (;;) {
        status = connect_or_start(session, options->start_pool, &patience);
        if (status == MAESTRO_OK) status = greet(session, &hello, schema_fd, &patience);
        if (status != MAESTRO_AGAIN) break;
        close(session->socket); /* the manager was about to leave: the next one is ours */
        session->socket = -1;
        if (mst_base_now_ns() > patience.deadline_ns) {
            status = ended_by_signal(&patience);
            if (status == MAESTRO_OK)
                status = mst_base_fail(MAESTRO_TIMEOUT, "open a session: pool %s keeps closing the connection; see %s", session->rendezvous.pool, session->rendezvous.log);
            break;
        }
        pause_for(&patience, RETRY_NS);
    }
    if (schema_fd >= 0) close(schema_fd);
    return status;
}

/* Tells the manager, whoever else holds the descriptors (a forked child), and wakes every thread that waits. */
void mst_client_hang_up(maestro_session_t *session) {
    static const uint64_t one = 1;
    mst_wire_fetch_request_t bye = {.kind = MST_WIRE_FETCH_BYE};
    if (!session->lost && send(session->socket, &bye, sizeof bye, MSG_NOSIGNAL) < 0) session->lost = true; /* no error of its own: one may be on its way */
    shutdown(session->socket, SHUT_RDWR);
    if (write(session->wake_client, &one, sizeof one) < 0) session->lost = true;
    for (maestro_subscription_t *subscription = session->subscriptions; subscription; subscription = subscription->next)
        if (write(subscription->wake_fd, &one, sizeof one) < 0) session->lost = true;
    pthread_cond_broadcast(&session->news);
}

void mst_client_detach(maestro_session_t *session) {
    int *fds[] = {&session->socket, &session->wake_manager, &session->wake_client};
    for (size_t i = 0; i < MST_COUNT(fds); i++) {
        if (*fds[i] >= 0) close(*fds[i]);
        *fds[i] = -1;
    }
    if (session->channel_memory) mst_mem_segment_unmap(session->channel_memory, mst_wire_channel_nbytes());
    session->channel_memory = NULL;
    if (session->board) munmap(session->board, 4096);
    session->board = NULL;
}
