/* How a client joins and leaves, and the descriptors it may fetch over its socket meanwhile. */
#include "pool/session.h"

#include "mem/segment.h"
#include "meta/text.h"
#include "pool/group.h"
#include "pool/manager.h"
#include "pool/request.h"
#include "pool/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Joining. */

static maestro_status_t read_schema_text(int fd, uint32_t nbytes, char **text_out) {
    if (nbytes > MST_WIRE_SCHEMA_MAX) return mst_base_fail(MAESTRO_REFUSED, "attach: the schema is longer than 1 MiB");
    char *text = malloc(nbytes + 1);
    if (!text) return mst_base_fail(MAESTRO_NO_MEMORY, "attach: no memory for the schema");
    for (size_t at = 0; at < nbytes;) {
        ssize_t came = pread(fd, text + at, nbytes - at, (off_t)at);
        if (came < 0 && errno == EINTR) continue;
        if (came <= 0) {
            free(text);
            return mst_base_fail(MAESTRO_PROTOCOL, "attach: the schema's text is shorter than announced");
        }
        at += (size_t)came;
    }
    text[nbytes] = '\0';
    *text_out = text;
    return MAESTRO_OK;
}

static int schema_by_name(const mst_pool_t *pool, const char *name) {
    for (uint32_t i = 0; i < pool->nschemas; i++)
        if (strcmp(pool->schema[i]->name, name) == 0) return (int)i;
    return -1;
}

static maestro_status_t add_schema(mst_pool_t *pool, int fd, uint32_t nbytes, uint16_t *number_out) {
    char *text = NULL;
    mst_meta_schema_t *schema = NULL;
    MST_TRY(read_schema_text(fd, nbytes, &text));
    maestro_status_t status = mst_meta_schema_parse(text, nbytes, "schema of the client", &schema);
    free(text);
    if (status < 0) return status;
    int known = schema_by_name(pool, schema->name);
    if (known >= 0 && pool->schema[known]->hash != schema->hash) {
        char difference[512];
        mst_meta_schema_difference(pool->schema[known], schema, difference, sizeof difference);
        status = mst_base_fail(MAESTRO_REFUSED, "attach to pool %s: schema %s differs from the pool's of that name: %s; use the same file, or another name or pool",
                               pool->rendezvous.pool, schema->name, difference);
    } else if (known < 0 && pool->nschemas == MST_COUNT(pool->schema)) {
        status = mst_base_fail(MAESTRO_REFUSED, "attach to pool %s: it has %u schemas already", pool->rendezvous.pool, pool->nschemas);
    }
    if (status < 0 || known >= 0) {
        mst_meta_schema_destroy(schema);
        if (known >= 0) *number_out = (uint16_t)known;
        return status;
    }
    *number_out = (uint16_t)pool->nschemas;
    schema->number = *number_out;
    pool->schema[pool->nschemas++] = schema;
    return mst_meta_index_know(pool->catalogue.index, schema);
}

static maestro_status_t choose_schema(mst_pool_t *pool, const mst_wire_hello_t *hello, const int *fds, size_t nfds, uint16_t *number_out) {
    if (hello->schema_nbytes) {
        if (nfds < 1) return mst_base_fail(MAESTRO_PROTOCOL, "attach: the schema's text is missing");
        return add_schema(pool, fds[0], hello->schema_nbytes, number_out);
    }
    int known = hello->schema[0] ? schema_by_name(pool, hello->schema) : (int)(pool->nschemas > 1);
    if (known < 0) return mst_base_fail(MAESTRO_REFUSED, "attach to pool %s: it has no schema %s yet", pool->rendezvous.pool, hello->schema);
    *number_out = (uint16_t)known;
    return MAESTRO_OK;
}

static bool is_text(const char name[MST_WIRE_NAME_MAX]) {
    const char *end = memchr(name, 0, MST_WIRE_NAME_MAX);
    return end && mst_meta_text_is_utf8(name, (size_t)(end - name));
}

static maestro_status_t check_hello(const mst_pool_t *pool, const mst_wire_hello_t *hello, size_t nbytes) {
    if (nbytes < 8 || hello->magic != MST_WIRE_MAGIC) return mst_base_fail(MAESTRO_PROTOCOL, "attach: this is no Maestro client");
    if (hello->protocol != MST_WIRE_PROTOCOL)
        return mst_base_fail(MAESTRO_REFUSED, "attach to pool %s: its manager (version %s) speaks protocol %d, this client %u; stop the old programs, or use another pool (MAESTRO_POOL)",
                             pool->rendezvous.pool, maestro_version(), MST_WIRE_PROTOCOL, hello->protocol);
    if (nbytes != sizeof *hello || !is_text(hello->component) || !is_text(hello->schema))
        return mst_base_fail(MAESTRO_PROTOCOL, "attach: the hello is malformed");
    return MAESTRO_OK;
}

static maestro_status_t check_peer(const mst_pool_t *pool, int socket, int *pid_out) {
    unsigned uid;
    MST_TRY(mst_wire_peer(socket, &uid, pid_out));
    if (uid != geteuid())
        return mst_base_fail(MAESTRO_REFUSED, "attach to pool %s: it belongs to user id %u, you are %u", pool->rendezvous.pool, (unsigned)geteuid(), uid);
    return MAESTRO_OK;
}

static maestro_status_t open_channel(mst_pool_session_t *session) {
    uint64_t nbytes = mst_wire_channel_nbytes();
    MST_TRY(mst_mem_segment_create("maestro-channel", nbytes, &session->channel_fd));
    MST_TRY(mst_mem_segment_map(session->channel_fd, nbytes, true, &session->channel_memory));
    mst_wire_channel_init(&session->channel, session->channel_memory, true);
    session->wake_client = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return session->wake_client < 0 ? mst_base_fail_errno("attach: make an eventfd") : MAESTRO_OK;
}

static maestro_status_t grow_tables(mst_pool_t *pool) {
    size_t sessions = pool->sessions_capacity, touched = pool->sessions_capacity;
    if (!MST_RESERVE(pool->session, sessions, pool->nsessions + 1, 64) || !MST_RESERVE(pool->touched, touched, pool->nsessions + 1, 64) ||
        !MST_RESERVE_ZEROED(pool->by_number, pool->numbers_capacity, pool->numbers + 2, 256))
        return mst_base_fail(MAESTRO_NO_MEMORY, "attach: no memory for a further session");
    pool->sessions_capacity = sessions;
    return pool->numbers + 1 < 1u << 24 ? MAESTRO_OK : mst_base_fail(MAESTRO_REFUSED, "attach: this pool has served 16 million sessions; start it anew");
}

static uint32_t make_notice(mst_pool_t *pool, const mst_pool_session_t *session, uint8_t kind, const char *reason) {
    mst_meta_builder_t builder;
    uint64_t packed[64];
    size_t nbytes;
    mst_meta_builder_init(&builder, pool->schema[0], pool->dictionary);
    mst_meta_builder_set_text(&builder, MST_META_KEY_COMPONENT, session->component, strlen(session->component));
    mst_meta_builder_set_i64(&builder, MST_META_KEY_RANK, session->rank);
    mst_meta_builder_set_i64(&builder, MST_META_KEY_PID, session->pid);
    if (reason) mst_meta_builder_set_text(&builder, MST_META_KEY_REASON, reason, strlen(reason));
    uint32_t handle = MST_POOL_NONE;
    if (mst_meta_builder_pack(&builder, 0, packed, sizeof packed, &nbytes) == MAESTRO_OK) {
        mst_meta_attributes_t *attributes = (mst_meta_attributes_t *)packed;
        mst_meta_attributes_intern(attributes, pool->schema[0], pool->dictionary, true);
        handle = mst_pool_catalogue_notice(pool, (uint64_t)session->number << 40, kind, attributes);
    }
    mst_meta_builder_fini(&builder);
    return handle;
}

static void announce(mst_pool_t *pool, uint32_t notice, uint32_t kind) {
    if (notice == MST_POOL_NONE) return; /* there was no memory for it */
    mst_pool_publish(pool, notice, kind, mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, notice)));
}

static void destroy(mst_pool_session_t *session) {
    if (session->channel_memory) mst_mem_segment_unmap(session->channel_memory, mst_wire_channel_nbytes());
    int fds[] = {session->socket, session->pidfd, session->channel_fd, session->wake_client};
    for (size_t i = 0; i < MST_COUNT(fds); i++)
        if (fds[i] >= 0) close(fds[i]);
    mst_pool_queue_clear(&session->outbox);
    mst_pool_queue_clear(&session->deferred);
    mst_pool_queue_clear(&session->freed);
    for (uint64_t i = 0; i < session->id_pages; i++) free(session->id_page[i]);
    free(session->id_page);
    free(session->id_page_live);
    free(session);
}

static maestro_status_t create(mst_pool_t *pool, const mst_wire_hello_t *hello, int pid, uint16_t schema, mst_pool_session_t **session_out) {
    MST_TRY(grow_tables(pool));
    mst_pool_session_t *session = calloc(1, sizeof *session);
    if (!session) return mst_base_fail(MAESTRO_NO_MEMORY, "attach: no memory");
    session->socket = session->pidfd = session->channel_fd = session->wake_client = -1;
    mst_pool_queue_init(&session->outbox);
    mst_pool_queue_init(&session->deferred);
    mst_pool_queue_init(&session->freed);
    session->lease_free = MST_POOL_NONE;
    session->schema = schema;
    session->relay = hello->relay;
    session->rank = hello->rank;
    session->pid = pid;
    session->priority = hello->priority == MAESTRO_PRIORITY_URGENT || hello->priority == MAESTRO_PRIORITY_BACKGROUND ? hello->priority : MAESTRO_PRIORITY_NORMAL;
    session->joined_ns = pool->now_ns;
    memcpy(session->component, hello->component, sizeof session->component);
    session->component_code = mst_meta_dictionary_intern(pool->dictionary, session->component, strlen(session->component));
    maestro_status_t status = open_channel(session);
    if (status == MAESTRO_OK && !session->component_code)
        status = mst_base_fail(MAESTRO_REFUSED, "attach: the pool's dictionary is full, so component %s cannot be named", session->component);
    if (status != MAESTRO_OK) {
        destroy(session);
        return status;
    }
    if (pid > 0) session->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    *session_out = session;
    return MAESTRO_OK;
}

static int schema_memfd(const mst_meta_schema_t *schema) {
    int fd = memfd_create("maestro-schema", MFD_CLOEXEC);
    if (fd < 0) return fd;
    if (write(fd, schema->text, schema->text_nbytes) == (ssize_t)schema->text_nbytes) return fd;
    close(fd);
    return -1;
}

static maestro_status_t welcome(mst_pool_t *pool, mst_pool_session_t *session, int socket) {
    const mst_meta_schema_t *schema = pool->schema[session->schema];
    mst_wire_welcome_t message = {
        .magic = MST_WIRE_MAGIC, .protocol = MST_WIRE_PROTOCOL, .status = MAESTRO_OK, .session = session->number, .schema_number = session->schema,
        .schema_nbytes = (uint32_t)schema->text_nbytes, .channel_nbytes = mst_wire_channel_nbytes(), .dictionary_nbytes = pool->dictionary_nbytes,
        .memory_limit = (int64_t)pool->lending.limit};
    int fds[MST_WIRE_FDS] = {[MST_WIRE_FD_CHANNEL] = session->channel_fd,   [MST_WIRE_FD_DICTIONARY] = pool->dictionary_fd,
                             [MST_WIRE_FD_BOARD] = pool->board_fd,          [MST_WIRE_FD_WAKE_MANAGER] = pool->wake_fd,
                             [MST_WIRE_FD_WAKE_CLIENT] = session->wake_client, [MST_WIRE_FD_SCHEMA] = schema_memfd(schema)};
    if (fds[MST_WIRE_FD_SCHEMA] < 0) return mst_base_fail_errno("attach: make a memfd for the schema");
    maestro_status_t status = mst_wire_send(socket, &message, sizeof message, fds, MST_WIRE_FDS);
    close(fds[MST_WIRE_FD_SCHEMA]);
    return status;
}

static maestro_status_t attach(mst_pool_t *pool, int socket, const mst_wire_hello_t *hello, size_t nbytes, const int *fds, size_t nfds) {
    int pid;
    uint16_t schema = 0;
    mst_pool_session_t *session = NULL;
    MST_TRY(check_peer(pool, socket, &pid));
    MST_TRY(check_hello(pool, hello, nbytes));
    MST_TRY(choose_schema(pool, hello, fds, nfds, &schema));
    MST_TRY(create(pool, hello, pid, schema, &session));
    session->number = ++pool->numbers;
    session->last_id = (uint64_t)session->number << 40;
    maestro_status_t status = welcome(pool, session, socket);
    if (status != MAESTRO_OK) {
        destroy(session);
        return status;
    }
    session->socket = socket;
    pool->by_number[session->number] = session;
    pool->session[pool->nsessions++] = session;
    pool->nurgent += session->priority == MAESTRO_PRIORITY_URGENT;
    pool->nbackground += session->priority == MAESTRO_PRIORITY_BACKGROUND;
    session->notice = make_notice(pool, session, MAESTRO_EVENT_JOINED, NULL);
    announce(pool, session->notice, MAESTRO_EVENT_JOINED);
    mst_pool_parts_joined(pool, session);
    return MAESTRO_OK;
}

maestro_status_t mst_pool_session_attach(mst_pool_t *pool, int socket) {
    union {
        mst_wire_hello_t hello;
        char bytes[1024];
    } packet;
    int fds[2];
    size_t nfds = MST_COUNT(fds), nbytes = 0;
    maestro_status_t status = mst_wire_receive(socket, &packet, sizeof packet, &nbytes, fds, &nfds, 0);
    if (status != MAESTRO_OK) return status == MAESTRO_END ? MAESTRO_PROTOCOL : status;
    status = attach(pool, socket, &packet.hello, nbytes, fds, nfds);
    while (nfds) close(fds[--nfds]);
    if (status == MAESTRO_OK) return MAESTRO_OK;
    mst_wire_welcome_t refusal = {.magic = MST_WIRE_MAGIC, .protocol = MST_WIRE_PROTOCOL, .status = status};
    snprintf(refusal.text, sizeof refusal.text, "%s", maestro_last_error());
    mst_wire_send(socket, &refusal, sizeof refusal, NULL, 0);
    return status < 0 ? status : MAESTRO_REFUSED;
}

void mst_pool_session_detach(mst_pool_t *pool, mst_pool_session_t *session, const char *reason) {
    for (int round = 0; round < 64 && !session->broken && !session->stalled_since_ns; round++)
        if (!mst_pool_session_serve(pool, session)) break; /* what it wrote before it left counts */
    mst_pool_request_cancel_all(pool, session);
    mst_pool_need_retract_all(pool, session);
    mst_pool_elsewhere_lose(pool, session);
    mst_pool_group_leave_all(pool, session);
    while (session->subscriptions) mst_pool_subscription_destroy(pool, session->subscriptions);
    mst_pool_session_release_all(pool, session);
    pool->next_deadline_ns = pool->now_ns; /* what waited for its leases or memory is looked at in this round */
    for (size_t i = 0; i < MST_COUNT(session->template); i++)
        if (session->template[i]) mst_pool_template_unref(pool, session->template[i]);
    pool->by_number[session->number] = NULL;
    pool->nurgent -= session->priority == MAESTRO_PRIORITY_URGENT;
    pool->nbackground -= session->priority == MAESTRO_PRIORITY_BACKGROUND;
    mst_pool_lending_orphan(pool, session);
    if (session->notice != MST_POOL_NONE) mst_pool_catalogue_withdraw(pool, session->notice);
    for (size_t i = 0; i < pool->ntouched; i++)
        if (pool->touched[i] == session) pool->touched[i] = pool->touched[--pool->ntouched];
    for (size_t i = 0; i < pool->nsessions; i++)
        if (pool->session[i] == session) pool->session[i] = pool->session[--pool->nsessions];
    announce(pool, make_notice(pool, session, MAESTRO_EVENT_LEFT, reason), MAESTRO_EVENT_LEFT);
    mst_pool_parts_left(pool, session, reason);
    if (session->broken) fprintf(stderr, "maestro-pool: session %u (%s[%lld], process %d) ended: %s\n", session->number, session->component,
                                 (long long)session->rank, session->pid, session->why);
    destroy(session);
}

/* ---- The socket: descriptors on request. */

static maestro_status_t fetch(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_fetch_request_t *request, mst_wire_fetch_reply_t *reply, int *fds, size_t *nfds_out) {
    bool writable = false;
    if (request->kind == MST_WIRE_FETCH_SEGMENT) {
        MST_TRY(mst_pool_lending_fetch(pool, session, request->number, &fds[0], &reply->nbytes, &writable));
        reply->writable = writable;
        *nfds_out = 1;
        return MAESTRO_OK;
    }
    mst_pool_subscription_t *subscription = request->kind == MST_WIRE_FETCH_WINDOW ? mst_pool_subscription_find(session, request->number) : NULL;
    if (!subscription) return MAESTRO_NOT_FOUND;
    subscription->fetched = true;
    fds[0] = subscription->window_fd;
    fds[1] = subscription->wake_fd;
    *nfds_out = 2;
    reply->nbytes = subscription->window_nbytes;
    return MAESTRO_OK;
}

static int stats_memfd(mst_pool_t *pool, uint64_t *nbytes_out) {
    mst_base_buffer_t text = {0};
    mst_pool_stats_json(pool, &text);
    int fd = text.failed ? -1 : memfd_create("maestro-stats", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, text.data, text.nbytes) != (ssize_t)text.nbytes) {
        close(fd);
        fd = -1;
    }
    *nbytes_out = text.nbytes;
    mst_base_buffer_fini(&text);
    return fd;
}

void mst_pool_session_socket(mst_pool_t *pool, mst_pool_session_t *session) {
    mst_wire_fetch_request_t request;
    mst_wire_fetch_reply_t reply = {0};
    int fds[2] = {-1, -1};
    size_t nbytes, none = 0, nfds = 0;
    maestro_status_t status = mst_wire_receive(session->socket, &request, sizeof request, &nbytes, NULL, &none, 0);
    if (status == MAESTRO_AGAIN) return;
    if (status == MAESTRO_END) {
        mst_pool_session_detach(pool, session, session->said_bye ? "closed" : "died");
        return;
    }
    if (status != MAESTRO_OK || nbytes != sizeof request) {
        mst_pool_session_break(session, "it sent garbage on its socket");
        return;
    }
    if (request.kind == MST_WIRE_FETCH_BYE) {
        session->said_bye = true;
        return;
    }
    bool stats = request.kind == MST_WIRE_FETCH_STATS;
    if (stats) {
        fds[0] = stats_memfd(pool, &reply.nbytes);
        nfds = fds[0] >= 0;
        reply.status = nfds ? MAESTRO_OK : MAESTRO_NO_MEMORY;
    } else {
        reply.status = fetch(pool, session, &request, &reply, fds, &nfds);
    }
    if (mst_wire_send(session->socket, &reply, sizeof reply, fds, nfds) != MAESTRO_OK) mst_pool_session_break(session, "it does not read its socket");
    if (stats && fds[0] >= 0) close(fds[0]);
}
