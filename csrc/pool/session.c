/* One client as the manager sees it: how it joins and leaves, its rings, its leases.  All that comes from a client is copied once, checked, then
 * used; what is wrong ends its session and harms nobody else. */
#include "pool/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { IDS_PER_PAGE = 1024, MESSAGES_PER_ROUND = 256, DEFERRED_MAX = 4096 };

/* ---- Queues of messages that wait. */

void mst_pool_queue_init(mst_pool_queue_t *queue) {
    queue->first = NULL;
    queue->end = &queue->first;
    queue->count = 0;
}

bool mst_pool_queue_push(mst_pool_queue_t *queue, const void *message, size_t nbytes) {
    mst_pool_message_t *node = malloc(sizeof *node + MST_ALIGN(nbytes, 8));
    if (!node) return false;
    node->next = NULL;
    memcpy(node->bytes, message, nbytes);
    ((mst_wire_head_t *)node->bytes)->nbytes = (uint32_t)nbytes;
    *queue->end = node;
    queue->end = &node->next;
    queue->count++;
    return true;
}

void mst_pool_queue_pop(mst_pool_queue_t *queue) {
    mst_pool_message_t *node = queue->first;
    queue->first = node->next;
    if (!queue->first) queue->end = &queue->first;
    queue->count--;
    free(node);
}

void mst_pool_queue_clear(mst_pool_queue_t *queue) {
    while (queue->first) mst_pool_queue_pop(queue);
}

/* ---- Talking to the client. */

void mst_pool_touch(mst_pool_t *pool, mst_pool_session_t *session) {
    if (session->touched) return;
    session->touched = true;
    pool->touched[pool->ntouched++] = session;
}

void mst_pool_session_break(mst_pool_session_t *session, const char *why) {
    if (!session->broken) snprintf(session->why, sizeof session->why, "%s", why);
    session->broken = true;
}

static bool put(mst_pool_session_t *session, mst_wire_ring_t *ring, const void *message, size_t nbytes) {
    bool broken = false;
    void *room = mst_wire_ring_reserve(ring, (uint32_t)nbytes, &broken);
    if (broken) mst_pool_session_break(session, "the read position of a ring is out of bounds");
    if (!room) return false;
    uint32_t size = *(uint32_t *)room;
    memcpy(room, message, nbytes);
    *(uint32_t *)room = size;
    mst_wire_ring_commit(ring);
    return true;
}

void mst_pool_session_post(mst_pool_t *pool, mst_pool_session_t *session, const void *message, size_t nbytes) {
    mst_pool_touch(pool, session);
    if (!session->outbox.first && put(session, &session->channel.replies, message, nbytes)) return;
    if (!mst_pool_queue_push(&session->outbox, message, nbytes)) mst_pool_session_break(session, "no memory for its replies");
}

void mst_pool_session_reply(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_reply_t *reply, const void *rest, size_t rest_nbytes) {
    uint64_t buffer[(sizeof *reply + sizeof(mst_meta_attributes_t) + 8 * MST_META_KEYS_MAX + MST_META_TAIL_MAX) / 8 + 1];
    mst_wire_reply_t *message = (mst_wire_reply_t *)buffer;
    *message = *reply;
    message->head.kind = MST_WIRE_REPLY;
    if (rest_nbytes) memcpy(message->rest, rest, rest_nbytes);
    mst_pool_session_post(pool, session, message, sizeof *message + rest_nbytes);
}

void mst_pool_session_fail(mst_pool_t *pool, mst_pool_session_t *session, uint64_t request, maestro_status_t status, const char *text) {
    size_t nbytes = strlen(text);
    if (nbytes > MST_WIRE_TEXT_MAX) nbytes = MST_WIRE_TEXT_MAX;
    mst_wire_reply_t reply = {.request = request, .status = status, .text_nbytes = (uint32_t)nbytes, .place.segment = MST_WIRE_NO_SEGMENT};
    mst_pool_session_reply(pool, session, &reply, text, nbytes);
}

void mst_pool_session_freed(mst_pool_session_t *session, uint32_t segment, uint64_t offset) {
    mst_wire_word_t word = {.head = {sizeof word, MST_WIRE_WORD, 0}, .word = (uint64_t)segment << 32 | offset / 64};
    if (!session->freed.first && put(session, &session->channel.freed, &word, sizeof word)) return;
    if (!mst_pool_queue_push(&session->freed, &word, sizeof word)) mst_pool_session_break(session, "no memory for its freed blocks");
}

static void flush_queue(mst_pool_session_t *session, mst_pool_queue_t *queue, mst_wire_ring_t *ring) {
    while (queue->first && put(session, ring, queue->first->bytes, ((mst_wire_head_t *)queue->first->bytes)->nbytes)) mst_pool_queue_pop(queue);
}

/* ---- Leases. */

uint64_t mst_pool_session_grant(mst_pool_t *pool, mst_pool_session_t *session, uint32_t handle) {
    if (session->lease_free == MST_POOL_NONE) {
        uint32_t capacity = session->leases_capacity ? session->leases_capacity * 2 : 256;
        mst_pool_lease_t *larger = realloc(session->lease, capacity * sizeof *larger);
        if (!larger) return 0;
        for (uint32_t i = session->leases_capacity; i < capacity; i++)
            larger[i] = (mst_pool_lease_t){.object = i + 1 < capacity ? i + 1 : MST_POOL_NONE, .generation = 1};
        session->lease = larger;
        session->lease_free = session->leases_capacity;
        session->leases_capacity = capacity;
    }
    uint32_t slot = session->lease_free;
    mst_pool_lease_t *lease = &session->lease[slot];
    session->lease_free = lease->object;
    lease->object = handle;
    lease->since_ns = pool->now_ns;
    session->leases_live++;
    session->total.leases++;
    pool->catalogue.leases++;
    pool->catalogue.leases_total++;
    mst_pool_object(&pool->catalogue, handle)->leases++;
    return (uint64_t)lease->generation << 32 | slot;
}

static void release(mst_pool_t *pool, mst_pool_session_t *session, uint64_t word) {
    uint32_t slot = (uint32_t)word;
    if (slot >= session->leases_capacity || session->lease[slot].generation != word >> 32 || !session->lease[slot].since_ns) {
        mst_pool_session_break(session, "it gave back a lease that it does not hold");
        return;
    }
    mst_pool_lease_t *lease = &session->lease[slot];
    uint32_t handle = lease->object;
    *lease = (mst_pool_lease_t){.object = session->lease_free, .generation = lease->generation + 1 ? lease->generation + 1 : 1};
    session->lease_free = slot;
    session->leases_live--;
    mst_pool_catalogue_lease_ended(pool, handle);
}

static void release_all(mst_pool_t *pool, mst_pool_session_t *session) {
    for (uint32_t i = 0; i < session->leases_capacity; i++)
        if (session->lease[i].since_ns) {
            session->lease[i].since_ns = 0;
            mst_pool_catalogue_lease_ended(pool, session->lease[i].object);
        }
    free(session->lease);
}

/* ---- Own objects by id. */

void mst_pool_session_set_id(mst_pool_session_t *session, uint64_t id, uint32_t handle) {
    uint64_t number = id & ((1ull << 40) - 1), page = number / IDS_PER_PAGE;
    if (page >= session->id_pages) {
        uint64_t pages = session->id_pages ? session->id_pages * 2 : 8;
        while (pages <= page) pages *= 2;
        uint32_t **larger = realloc(session->id_page, pages * sizeof *larger);
        if (larger) session->id_page = larger;
        uint16_t *counts = realloc(session->id_page_live, pages * sizeof *counts);
        if (counts) session->id_page_live = counts;
        if (!larger || !counts) { mst_pool_session_break(session, "no memory for its objects"); return; }
        memset(&session->id_page[session->id_pages], 0, (pages - session->id_pages) * sizeof *larger);
        memset(&session->id_page_live[session->id_pages], 0, (pages - session->id_pages) * sizeof *counts);
        session->id_pages = pages;
    }
    if (!session->id_page[page]) {
        if (handle == MST_POOL_NONE) return;
        session->id_page[page] = malloc(IDS_PER_PAGE * sizeof(uint32_t));
        if (!session->id_page[page]) { mst_pool_session_break(session, "no memory for its objects"); return; }
        memset(session->id_page[page], 0xff, IDS_PER_PAGE * sizeof(uint32_t));
    }
    uint32_t *slot = &session->id_page[page][number % IDS_PER_PAGE];
    session->id_page_live[page] = (uint16_t)(session->id_page_live[page] + (*slot == MST_POOL_NONE && handle != MST_POOL_NONE) -
                                             (*slot != MST_POOL_NONE && handle == MST_POOL_NONE));
    *slot = handle;
    if (session->id_page_live[page]) return;
    free(session->id_page[page]);
    session->id_page[page] = NULL;
}

uint32_t mst_pool_session_get_id(mst_pool_session_t *session, uint64_t id) {
    uint64_t number = id & ((1ull << 40) - 1), page = number / IDS_PER_PAGE;
    if (mst_pool_owner(id) != session->number || page >= session->id_pages || !session->id_page[page]) return MST_POOL_NONE;
    return session->id_page[page][number % IDS_PER_PAGE];
}

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
    pool->schema[pool->nschemas++] = schema;
    return MAESTRO_OK;
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

static maestro_status_t check_hello(const mst_pool_t *pool, const mst_wire_hello_t *hello, size_t nbytes) {
    if (nbytes < 8 || hello->magic != MST_WIRE_MAGIC) return mst_base_fail(MAESTRO_PROTOCOL, "attach: this is no Maestro client");
    if (hello->protocol != MST_WIRE_PROTOCOL)
        return mst_base_fail(MAESTRO_REFUSED, "attach to pool %s: its manager (version %s) speaks protocol %d, this client %u; stop the old programs, or use another pool (MAESTRO_POOL)",
                             pool->rendezvous.pool, maestro_version(), MST_WIRE_PROTOCOL, hello->protocol);
    if (nbytes != sizeof *hello || !memchr(hello->component, 0, sizeof hello->component) || !memchr(hello->schema, 0, sizeof hello->schema))
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
    if (pool->nsessions == pool->sessions_capacity) {
        size_t capacity = pool->sessions_capacity ? pool->sessions_capacity * 2 : 64;
        void *larger = realloc(pool->session, capacity * sizeof(void *));
        if (larger) pool->session = larger;
        void *touched = realloc(pool->touched, capacity * sizeof(void *));
        if (touched) pool->touched = touched;
        if (!larger || !touched) return mst_base_fail(MAESTRO_NO_MEMORY, "attach: no memory for a further session");
        pool->sessions_capacity = capacity;
    }
    if (pool->numbers + 1 >= pool->numbers_capacity) {
        uint32_t capacity = pool->numbers_capacity ? pool->numbers_capacity * 2 : 256;
        void *larger = realloc(pool->by_number, capacity * sizeof(void *));
        if (!larger) return mst_base_fail(MAESTRO_NO_MEMORY, "attach: no memory for a further session");
        pool->by_number = larger;
        memset(&pool->by_number[pool->numbers_capacity], 0, (capacity - pool->numbers_capacity) * sizeof(void *));
        pool->numbers_capacity = capacity;
    }
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
    session->rank = hello->rank;
    session->pid = pid;
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
        .board_nbytes = 4096, .memory_limit = (int64_t)pool->lending.limit};
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
    maestro_status_t status = welcome(pool, session, socket);
    if (status != MAESTRO_OK) {
        destroy(session);
        return status;
    }
    session->socket = socket;
    pool->by_number[session->number] = session;
    pool->session[pool->nsessions++] = session;
    session->notice = make_notice(pool, session, MAESTRO_EVENT_JOINED, NULL);
    if (session->notice != MST_POOL_NONE) mst_pool_publish(pool, session->notice, MAESTRO_EVENT_JOINED);
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
    while (session->subscriptions) mst_pool_subscription_destroy(pool, session->subscriptions);
    release_all(pool, session);
    pool->by_number[session->number] = NULL;
    mst_pool_lending_orphan(pool, session);
    if (session->notice != MST_POOL_NONE) mst_pool_catalogue_withdraw(pool, session->notice);
    for (size_t i = 0; i < pool->ntouched; i++)
        if (pool->touched[i] == session) pool->touched[i] = pool->touched[--pool->ntouched];
    for (size_t i = 0; i < pool->nsessions; i++)
        if (pool->session[i] == session) pool->session[i] = pool->session[--pool->nsessions];
    uint32_t notice = make_notice(pool, session, MAESTRO_EVENT_LEFT, reason);
    if (notice != MST_POOL_NONE) mst_pool_publish(pool, notice, MAESTRO_EVENT_LEFT);
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

/* ---- The rings. */

static void refuse(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer, maestro_status_t status, uint64_t other, const char *text) {
    uint64_t buffer[(sizeof(mst_wire_refused_t) + MST_WIRE_TEXT_MAX) / 8 + 1];
    mst_wire_refused_t *refused = (mst_wire_refused_t *)buffer;
    size_t nbytes = text ? strlen(text) : 0;
    if (nbytes > MST_WIRE_TEXT_MAX) nbytes = MST_WIRE_TEXT_MAX;
    *refused = (mst_wire_refused_t){.head.kind = MST_WIRE_REFUSED, .id = offer->id, .status = status, .text_nbytes = (uint32_t)nbytes, .other = other};
    if (nbytes) memcpy(refused->text, text, nbytes);
    if (offer->place.segment != MST_WIRE_NO_SEGMENT) mst_pool_session_freed(session, offer->place.segment, offer->place.offset);
    mst_pool_session_post(pool, session, refused, sizeof *refused + nbytes);
    session->total.refused++;
    pool->catalogue.refused_total++;
}

/* Why an offer cannot be taken now, or NULL. */
static const char *obstacle(mst_pool_t *pool, char *text, size_t nbytes) {
    if (MST_LIKELY(pool->catalogue.live < pool->catalogue.limit && !pool->holding)) return NULL;
    if (pool->catalogue.live >= pool->catalogue.limit) {
        snprintf(text, nbytes, "the pool holds its limit of %llu objects; withdraw some, or raise MAESTRO_POOL_OBJECTS", (unsigned long long)pool->catalogue.limit);
        return text;
    }
    return mst_pool_subscription_holder(pool, text, nbytes);
}

static bool stall(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer) {
    char text[512];
    const char *why = obstacle(pool, text, sizeof text);
    if (MST_LIKELY(!why)) {
        session->stalled_since_ns = 0;
        return false;
    }
    if (!session->stalled_since_ns) session->stalled_since_ns = pool->now_ns;
    int64_t deadline = session->stalled_since_ns + (offer->timeout_ns < 0 ? 0 : offer->timeout_ns < (int64_t)1e18 ? offer->timeout_ns : (int64_t)1e18);
    if (pool->now_ns < deadline) {
        if (deadline < pool->stall_deadline_ns) pool->stall_deadline_ns = deadline;
        return true;
    }
    refuse(pool, session, offer, pool->catalogue.live >= pool->catalogue.limit ? MAESTRO_NO_MEMORY : MAESTRO_TIMEOUT, 0, why);
    session->stalled_since_ns = 0;
    return true;
}

static const char *check_offer(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer) {
    if (offer->head.kind != MST_WIRE_OFFER || offer->head.nbytes < sizeof *offer) return "it wrote garbage into its offers ring";
    if (mst_pool_owner(offer->id) != session->number || offer->id <= session->last_id) return "it offered an object with a wrong id";
    if (!mst_pool_lending_place_ok(pool, session, &offer->place)) return "it offered memory that is not lent to it";
    size_t nbytes = offer->head.nbytes - offsetof(mst_wire_offer_t, attributes);
    if (offer->attributes.schema != session->schema ||
        mst_meta_attributes_check(&offer->attributes, nbytes, pool->schema[session->schema], pool->dictionary, true) != MAESTRO_OK)
        return "it offered an object with malformed attributes";
    return NULL;
}

/* True when a message was taken. */
static bool serve_offer(mst_pool_t *pool, mst_pool_session_t *session) {
    bool broken = false;
    uint32_t nbytes;
    const void *message = mst_wire_ring_peek(&session->channel.offers, &nbytes, &broken);
    if (broken || nbytes > MST_WIRE_OFFERS_CAPACITY / 2) broken = broken || message;
    if (broken) mst_pool_session_break(session, "its offers ring is out of bounds");
    if (broken || !message) return false;
    mst_wire_offer_t *offer = (mst_wire_offer_t *)pool->scratch;
    memcpy(offer, message, nbytes);
    offer->head.nbytes = nbytes;
    const char *wrong = check_offer(pool, session, offer);
    if (wrong) {
        mst_pool_session_break(session, wrong);
        return false;
    }
    if (stall(pool, session, offer)) {
        if (session->stalled_since_ns) return false;
    } else {
        uint32_t handle;
        uint64_t other = 0;
        mst_meta_attributes_intern(&offer->attributes, pool->schema[session->schema], pool->dictionary, true);
        maestro_status_t status = mst_pool_catalogue_offer(pool, session, offer->id, &offer->place, &offer->attributes, &handle, &other);
        if (status == MAESTRO_OK) {
            bool copied = offer->head.flags & MST_WIRE_OFFER_COPIED;
            session->total.offers++;
            session->total.offered_bytes += offer->place.nbytes;
            session->total.copied += copied;
            pool->catalogue.copied_total += copied;
            mst_pool_publish(pool, handle, MAESTRO_EVENT_OFFERED);
        } else {
            refuse(pool, session, offer, status, other, NULL);
        }
    }
    session->last_id = offer->id;
    mst_wire_ring_consume(&session->channel.offers, nbytes);
    return true;
}

static void take_control(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *request) {
    if (request->after <= session->channel.offers.position || request->head.kind == MST_WIRE_CANCEL) mst_pool_request_take(pool, session, request);
    else if (session->deferred.count < DEFERRED_MAX && mst_pool_queue_push(&session->deferred, request, request->head.nbytes)) return;
    else mst_pool_session_break(session, "too many of its requests wait for offers before them");
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
        uint64_t lease = *(volatile const uint64_t *)&word->word;
        if (nbytes != sizeof *word) broken = true;
        if (broken) break;
        mst_wire_ring_consume(&session->channel.releases, nbytes);
        release(pool, session, lease);
        served++;
    }
    if (broken) mst_pool_session_break(session, "its releases ring is out of bounds");
    if (served) mst_wire_ring_publish(&session->channel.releases);
    return served;
}

size_t mst_pool_session_serve(mst_pool_t *pool, mst_pool_session_t *session) {
    size_t served = serve_releases(pool, session);
    if (session->freed.first) flush_queue(session, &session->freed, &session->channel.freed);
    if (session->outbox.first) {
        flush_queue(session, &session->outbox, &session->channel.replies);
        mst_pool_touch(pool, session);
        if (session->outbox.first) return served; /* it does not read its replies: it gets no more work done until it does */
    }
    size_t offers = 0, requests = 0;
    while (offers < MESSAGES_PER_ROUND && !session->outbox.first && !session->broken && serve_offer(pool, session)) offers++;
    if (session->deferred.first && !session->outbox.first) served += serve_deferred(pool, session);
    while (requests < MESSAGES_PER_ROUND && !session->outbox.first && !session->broken && serve_control(pool, session)) requests++;
    if (offers) mst_wire_ring_publish(&session->channel.offers);
    if (requests) mst_wire_ring_publish(&session->channel.control);
    if (offers + requests) mst_pool_touch(pool, session);
    return served + offers + requests;
}

bool mst_pool_session_idle(mst_pool_session_t *session) {
    return (session->stalled_since_ns || mst_wire_ring_empty(&session->channel.offers)) && mst_wire_ring_empty(&session->channel.control) &&
           mst_wire_ring_empty(&session->channel.releases);
}
