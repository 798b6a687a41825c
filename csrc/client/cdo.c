/* Handles of objects: attributes, memory, offer, reading, dispose. */
#include "client/client.h"

#include "mem/copy.h"

#include <stdio.h>

enum { AGAIN_NS = 1000000000 }; /* a call made later than so after its time was over is a new one */
enum { UNLOCKED = 64 << 10 }; /* bytes: a copy of more lets go of the lock */

/* ---- Handles. */

maestro_cdo_t *mst_client_cdo_new(maestro_session_t *session) {
    maestro_cdo_t *cdo = session->spare;
    if (cdo) session->spare = cdo->next;
    else {
        cdo = calloc(1, sizeof *cdo);
        if (!cdo) return NULL;
        cdo->session = session;
        mst_meta_builder_init(&cdo->builder, session->schema, session->dictionary);
    }
    cdo->id = cdo->lease = 0;
    cdo->place = (mst_wire_place_t){.segment = MST_WIRE_NO_SEGMENT};
    cdo->data = cdo->wrapped = NULL;
    cdo->nbytes = 0;
    cdo->until = 0;
    cdo->has_block = cdo->copied = cdo->block_is_back = cdo->building = cdo->summed = false;
    cdo->refused = MAESTRO_OK;
    cdo->uncounted_in = 0;
    cdo->next = session->cdos;
    cdo->link = &session->cdos;
    if (cdo->next) cdo->next->link = &cdo->next;
    session->cdos = cdo;
    session->handles++;
    return cdo;
}

void mst_client_cdo_spare(maestro_cdo_t *cdo) {
    maestro_session_t *session = cdo->session;
    *cdo->link = cdo->next;
    if (cdo->next) cdo->next->link = cdo->link;
    cdo->state = MST_CLIENT_FREE;
    cdo->any_texts = false;
    free(cdo->refused_text);
    cdo->refused_text = NULL;
    cdo->next = session->spare;
    session->spare = cdo;
}

maestro_cdo_t *mst_client_cdo_by_id(maestro_session_t *session, uint64_t id) {
    maestro_cdo_t *cdo = session->cdos;
    while (cdo && (cdo->id != id || cdo->state == MST_CLIENT_LEASED)) cdo = cdo->next;
    return cdo;
}

static maestro_status_t keep_packed(maestro_cdo_t *cdo, size_t nbytes) {
    if (nbytes <= cdo->packed_capacity) return MAESTRO_OK;
    size_t capacity = MST_ALIGN(nbytes, 256);
    void *larger = realloc(cdo->packed, capacity);
    if (!larger) return mst_base_fail(MAESTRO_SYSTEM, "keep an object's attributes: no memory");
    cdo->packed = larger;
    cdo->packed_capacity = capacity;
    return MAESTRO_OK;
}

maestro_status_t mst_client_cdo_leased(maestro_session_t *session, mst_client_state_t state, uint64_t id, uint64_t lease, const mst_wire_place_t *place,
                                       const mst_meta_attributes_t *attributes, maestro_cdo_t **cdo_out) {
    maestro_cdo_t *cdo = mst_client_cdo_new(session);
    size_t nbytes = mst_meta_attributes_nbytes(attributes);
    maestro_status_t status = cdo ? keep_packed(cdo, nbytes) : mst_base_fail(MAESTRO_SYSTEM, "receive an object: no memory");
    if (status == MAESTRO_OK && place->segment != MST_WIRE_NO_SEGMENT) status = mst_client_map(session, place, &cdo->data);
    if (status != MAESTRO_OK) {
        if (cdo) {
            mst_client_cdo_spare(cdo);
            session->handles--;
        }
        return status;
    }
    memcpy(cdo->packed, attributes, nbytes);
    cdo->state = state;
    cdo->id = id;
    cdo->lease = lease;
    cdo->place = *place;
    cdo->nbytes = place->nbytes;
    *cdo_out = cdo;
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_declare(maestro_session_t *session, const char *name, maestro_cdo_t **cdo_out) {
    MST_TRY(mst_client_enter(session, "declare"));
    maestro_cdo_t *cdo = mst_client_cdo_new(session);
    if (cdo) {
        mst_meta_builder_t *builder = &cdo->builder;
        builder->mask[0] = builder->mask[1] = 0;
        builder->tail_nbytes = 0;
        cdo->building = true;
        cdo->state = MST_CLIENT_DECLARED;
    }
    maestro_status_t status = !cdo ? mst_base_fail(MAESTRO_SYSTEM, "declare: no memory")
                              : name ? mst_meta_builder_set_text(&cdo->builder, MST_META_KEY_NAME, name, strlen(name)) : MAESTRO_OK;
    if (status == MAESTRO_OK) status = mst_client_prioritize(session, &cdo->builder);
    if (cdo && status != MAESTRO_OK) {
        mst_client_cdo_spare(cdo);
        session->handles--;
    }
    mst_client_leave(session);
    if (status == MAESTRO_OK) *cdo_out = cdo;
    return status;
}

maestro_status_t maestro_cdo_declare_like(const maestro_cdo_t *like, maestro_cdo_t **cdo_out) {
    maestro_cdo_t *cdo = NULL;
    if (!like) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "declare like: the object is NULL");
    MST_TRY(maestro_cdo_declare(like->session, NULL, &cdo));
    maestro_status_t status = like->building ? mst_meta_builder_copy(&cdo->builder, &like->builder)
                                             : mst_meta_builder_load(&cdo->builder, (const mst_meta_attributes_t *)like->packed);
    if (status == MAESTRO_OK) status = mst_client_prioritize(like->session, &cdo->builder);
    if (status != MAESTRO_OK) {
        maestro_cdo_dispose(cdo);
        return status;
    }
    if (!like->session->relay) mst_meta_builder_unset(&cdo->builder, MST_META_KEY_CHECKSUM); /* which is of other bytes */
    if (!like->building && !like->session->relay) { /* who offered it is Maestro's to say */
        mst_meta_builder_unset(&cdo->builder, MST_META_KEY_COMPONENT);
        mst_meta_builder_unset(&cdo->builder, MST_META_KEY_RANK);
        mst_meta_builder_unset(&cdo->builder, MST_META_KEY_VERSION);
        mst_meta_builder_unset(&cdo->builder, MST_META_KEY_NODE);
        mst_meta_builder_unset(&cdo->builder, MST_META_KEY_REASON);
        mst_meta_builder_unset(&cdo->builder, MST_META_KEY_MISSING);
    }
    *cdo_out = cdo;
    return MAESTRO_OK;
}

static maestro_status_t dispose(maestro_cdo_t *cdo, uint64_t how) {
    if (!cdo) return MAESTRO_OK;
    maestro_session_t *session = cdo->session;
    maestro_status_t status = MAESTRO_OK;
    if (session->fork_count != mst_client_forks) return mst_base_fail(MAESTRO_FORKED, "dispose: this object belongs to the parent process");
    pthread_mutex_lock(&session->lock);
    if (cdo->state == MST_CLIENT_FREE) {
        pthread_mutex_unlock(&session->lock);
        return mst_base_fail(MAESTRO_WRONG_STATE, "dispose: this handle has been disposed already");
    }
    if (MST_UNLIKELY(cdo->summed) && cdo->has_block && !session->closed) {
        mst_client_take_freed(session);
        status = mst_client_check_own(cdo, "dispose");
    }
    if (cdo->lease && !session->closed) {
        mst_client_release(session, cdo->lease | how);
        if (how) mst_client_ring(session, MST_WIRE_ASLEEP); /* another member may wait for it */
    }
    if (cdo->has_block && !session->closed) {
        bool offered = cdo->offered_at != 0;
        if (offered) mst_client_take_freed(session);
        if (offered) mst_client_unhold(session, cdo);
        if (!offered || cdo->block_is_back) mst_mem_allocator_free(session->allocator, cdo->place.segment, cdo->place.offset);
    }
    cdo->offered_at = 0;
    mst_client_cdo_spare(cdo);
    mst_client_let_go(session);
    return status;
}

maestro_status_t maestro_cdo_dispose(maestro_cdo_t *cdo) { return dispose(cdo, 0); }

maestro_status_t maestro_cdo_reject(maestro_cdo_t *cdo) { return dispose(cdo, MST_WIRE_LEASE_REJECTED); }

/* ---- Memory. */

static maestro_status_t can_take_data(const maestro_cdo_t *cdo, const char *operation) {
    if (cdo->state == MST_CLIENT_DECLARED || cdo->state == MST_CLIENT_SEALED) {
        if (!cdo->has_block && !cdo->wrapped) return MAESTRO_OK;
        return mst_base_fail(MAESTRO_WRONG_STATE, "%s: the object has data already; declare another one", operation);
    }
    return mst_base_fail(MAESTRO_WRONG_STATE, "%s: the object was offered; its bytes no longer change; declare another one", operation);
}

static void give_block(maestro_cdo_t *cdo, const mst_mem_block_t *block, size_t nbytes) {
    cdo->place = (mst_wire_place_t){.segment = block->segment, .offset = block->offset, .nbytes = nbytes};
    cdo->data = block->address;
    cdo->nbytes = nbytes;
    cdo->has_block = true;
}

/* A call that is made again after a signal has the time that was left, so that a ticker cannot make it endless. */
static int64_t deadline_of(const maestro_cdo_t *cdo) {
    if (MST_UNLIKELY(cdo->until != 0) && mst_base_now_ns() < cdo->until + AGAIN_NS) return cdo->until;
    return mst_base_deadline_ns(cdo->session->timeout_s);
}

static void remember(maestro_cdo_t *cdo, maestro_status_t status, int64_t deadline_ns) { cdo->until = MST_UNLIKELY(status == MAESTRO_INTERRUPTED) ? deadline_ns : 0; }

maestro_status_t maestro_cdo_alloc(maestro_cdo_t *cdo, size_t nbytes, maestro_tier_t tier, void **bytes_out) {
    if (!cdo || !bytes_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "alloc: the object or the output is NULL");
    if (tier != MAESTRO_TIER_DEFAULT && tier != MAESTRO_TIER_DRAM) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "alloc: tier %d is not there; use MAESTRO_TIER_DEFAULT", (int)tier);
    maestro_session_t *session = cdo->session;
    MST_TRY(mst_client_enter(session, "alloc"));
    mst_mem_block_t block;
    char operation[64];
    snprintf(operation, sizeof operation, "alloc %zu bytes", nbytes);
    maestro_status_t status = can_take_data(cdo, "alloc");
    int64_t deadline = deadline_of(cdo);
    if (status == MAESTRO_OK) status = mst_client_alloc(session, nbytes, deadline, operation, &block);
    remember(cdo, status, deadline);
    if (status == MAESTRO_OK) {
        give_block(cdo, &block, nbytes);
        *bytes_out = block.address;
    }
    mst_client_leave(session);
    return status;
}

/* The lock is let go of while bytes move. */
static maestro_status_t copy(maestro_session_t *session, char *to, const char *from, size_t nbytes, const char *operation) {
    if (nbytes < UNLOCKED) {
        mst_mem_copy(to, from, nbytes);
        return MAESTRO_OK;
    }
    pthread_mutex_unlock(&session->lock);
    mst_mem_copy(to, from, nbytes);
    pthread_mutex_lock(&session->lock);
    return session->closed ? mst_base_fail(MAESTRO_CLOSED, "%s: the session was closed by another thread", operation) : MAESTRO_OK;
}

maestro_status_t maestro_cdo_fill(maestro_cdo_t *cdo, size_t offset, const void *bytes, size_t nbytes) {
    if (!cdo || (!bytes && nbytes)) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "fill: the object or the bytes are NULL");
    MST_TRY(mst_client_enter(cdo->session, "fill"));
    bool ready = cdo->has_block && (cdo->state == MST_CLIENT_DECLARED || cdo->state == MST_CLIENT_SEALED), fits = offset <= cdo->nbytes && nbytes <= cdo->nbytes - offset;
    maestro_status_t status = !ready ? mst_base_fail(MAESTRO_WRONG_STATE, "fill: the object has no memory to be filled; allocate it before, and fill it before the offer")
                              : !fits ? mst_base_fail(MAESTRO_TOO_LARGE, "fill: %zu bytes from offset %zu on do not fit into the object's %zu bytes", nbytes, offset, cdo->nbytes)
                                      : copy(cdo->session, (char *)cdo->data + offset, bytes, nbytes, "fill");
    mst_client_leave(cdo->session);
    return status;
}

maestro_status_t maestro_cdo_wrap(maestro_cdo_t *cdo, const void *bytes, size_t nbytes) {
    if (!cdo || (!bytes && nbytes)) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "wrap: the object or the bytes are NULL");
    MST_TRY(mst_client_enter(cdo->session, "wrap"));
    maestro_status_t status = can_take_data(cdo, "wrap");
    cdo->until = 0;
    if (status == MAESTRO_OK && nbytes) {
        cdo->wrapped = bytes;
        cdo->data = bytes;
        cdo->nbytes = nbytes;
    }
    mst_client_leave(cdo->session);
    return status;
}

/* The one copy of wrapped memory. */
static maestro_status_t copy_wrapped(maestro_cdo_t *cdo, int64_t deadline_ns) {
    mst_mem_block_t block;
    MST_TRY(mst_client_alloc(cdo->session, cdo->nbytes, deadline_ns, "offer wrapped memory", &block));
    MST_TRY(copy(cdo->session, block.address, cdo->wrapped, cdo->nbytes, "offer wrapped memory"));
    give_block(cdo, &block, cdo->nbytes);
    cdo->wrapped = NULL;
    cdo->copied = true;
    return MAESTRO_OK;
}

/* ---- Offer. */

/* Who offered an object elsewhere is said in full, or not at all. */
static maestro_status_t check_origin(const maestro_cdo_t *cdo) {
    const uint64_t owner = 1ull << MST_META_KEY_COMPONENT | 1ull << MST_META_KEY_RANK, version = 1ull << MST_META_KEY_VERSION, node = 1ull << MST_META_KEY_NODE;
    bool versions = cdo->session->schema->versions;
    uint64_t given = cdo->builder.mask[0] & (owner | version | node);
    if (given & version && (int64_t)cdo->builder.value[MST_META_KEY_VERSION] < 1)
        return mst_base_fail(MAESTRO_BAD_VALUE, "maestro.version is %lld; versions begin at 1", (long long)cdo->builder.value[MST_META_KEY_VERSION]);
    if (!given || (given & ~node) == (owner | (versions ? version : 0))) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "give maestro.component and maestro.rank%s of an object that is passed on, or none of what says where it comes from",
                         versions ? " and maestro.version" : " (and no maestro.version in this schema)");
}

/* What it says of parts: as the manager checks it. */
static maestro_status_t check_parts(const maestro_cdo_t *cdo, mst_meta_builder_t *builder, const char *operation) {
    bool is_part = builder->mask[0] >> MST_META_KEY_PART & 1;
    if (MST_LIKELY(!(builder->mask[0] >> MST_META_KEY_PARTS & 1)))
        return is_part ? mst_base_fail(MAESTRO_MISSING_ATTRIBUTE, "%s: the object has maestro.part and no maestro.parts, which says how many there are", operation) : MAESTRO_OK;
    int64_t count = (int64_t)builder->value[MST_META_KEY_PARTS], part = is_part ? (int64_t)builder->value[MST_META_KEY_PART] : cdo->session->rank;
    if (count < 1 || count > MST_WIRE_PARTS_MAX) return mst_base_fail(MAESTRO_BAD_VALUE, "%s: maestro.parts is %lld; it may be 1 to %d", operation, (long long)count, MST_WIRE_PARTS_MAX);
    if (part < 0 || part >= count)
        return mst_base_fail(MAESTRO_BAD_VALUE, "%s: maestro.part is %lld%s; of %lld parts the last is %lld", operation, (long long)part,
                             is_part ? "" : ", the session's rank", (long long)count, (long long)count - 1);
    return is_part ? MAESTRO_OK : mst_meta_builder_set_i64(builder, MST_META_KEY_PART, part);
}

static maestro_status_t seal(maestro_cdo_t *cdo, const char *operation) {
    if (cdo->state == MST_CLIENT_SEALED) return MAESTRO_OK;
    if (cdo->state != MST_CLIENT_DECLARED) return mst_base_fail(MAESTRO_WRONG_STATE, "%s: the object was offered, or came from the pool; declare another one", operation);
    maestro_status_t status = mst_meta_builder_complete(&cdo->builder);
    if (status == MAESTRO_OK && cdo->session->relay) status = check_origin(cdo);
    if (status != MAESTRO_OK) return mst_base_fail_context(status, "%s", operation);
    MST_TRY(check_parts(cdo, &cdo->builder, operation));
    cdo->state = MST_CLIENT_SEALED;
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_seal(maestro_cdo_t *cdo) {
    if (!cdo) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "seal: the object is NULL");
    MST_TRY(mst_client_enter(cdo->session, "seal"));
    maestro_status_t status = seal(cdo, "seal");
    mst_client_leave(cdo->session);
    return status;
}

maestro_status_t mst_client_write_offer(maestro_session_t *session, const mst_meta_builder_t *builder, const mst_wire_place_t *place, uint16_t flags,
                                        int64_t deadline_ns, const char *operation, uint64_t *id_out) {
    mst_wire_ring_t *ring = &session->channel.offers;
    size_t nbytes;
    void *room = NULL;
    MST_TRY(mst_meta_builder_pack(builder, session->schema_number, NULL, 0, &nbytes));
    MST_TRY(mst_client_reserve(session, ring, offsetof(mst_wire_offer_t, attributes) + nbytes, deadline_ns, operation, &room));
    mst_wire_offer_t *offer = room;
    MST_TRY(mst_meta_builder_pack(builder, session->schema_number, &offer->attributes, nbytes, &nbytes));
    offer->head.kind = MST_WIRE_OFFER;
    offer->head.flags = flags;
    offer->id = *id_out = (uint64_t)session->number << 40 | ++session->last_id;
    offer->timeout_ns = mst_base_span_ns(session->timeout_s);
    offer->place = *place;
    mst_wire_ring_commit(ring);
    return MAESTRO_OK;
}

static maestro_status_t send_offer(maestro_cdo_t *cdo, int64_t deadline_ns) {
    maestro_session_t *session = cdo->session;
    if (MST_UNLIKELY(session->check)) MST_TRY(mst_client_check_offer(cdo));
    maestro_status_t status = mst_client_write_offer(session, &cdo->builder, &cdo->place, cdo->copied ? MST_WIRE_OFFER_COPIED : 0, deadline_ns, "offer", &cdo->id);
    if (status != MAESTRO_OK) {
        if (cdo->has_block && session->check & MST_CLIENT_CHECK_PAGES) mst_client_check_unprotect(session, cdo->place.segment, cdo->place.offset);
        return status;
    }
    cdo->offered_at = session->channel.offers.position;
    cdo->state = MST_CLIENT_OFFERED;
    if (cdo->has_block) mst_client_hold(session, cdo);
    mst_client_ring(session, MST_WIRE_ASLEEP);
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_offer(maestro_cdo_t *cdo) {
    if (!cdo) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "offer: the object is NULL");
    maestro_session_t *session = cdo->session;
    MST_TRY(mst_client_enter(session, "offer"));
    int64_t deadline = deadline_of(cdo);
    if (!cdo->wrapped) mst_client_wake_manager(session, MST_WIRE_ASLEEP); /* it wakes while the message is made; not for a copy, which takes long */
    mst_client_drain(session);
    maestro_status_t status = seal(cdo, "offer");
    if (status == MAESTRO_OK && cdo->wrapped) status = copy_wrapped(cdo, deadline);
    if (status == MAESTRO_OK) status = send_offer(cdo, deadline);
    remember(cdo, status, deadline);
    mst_client_leave(session);
    return status;
}

static maestro_status_t offer_status(maestro_cdo_t *cdo) {
    if (cdo->state != MST_CLIENT_REFUSED) return MAESTRO_OK;
    mst_client_forget_refusal(cdo->session, cdo); /* told here, so not by flush and close */
    return mst_base_fail(cdo->refused, "%s", cdo->refused_text ? cdo->refused_text : maestro_status_text(cdo->refused));
}

maestro_status_t maestro_cdo_wait(maestro_cdo_t *cdo, double timeout_s) {
    if (!cdo) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "wait: the object is NULL");
    maestro_session_t *session = cdo->session;
    MST_TRY(mst_client_enter(session, "wait for an offer"));
    maestro_request_t request = {0};
    mst_wire_request_t like = {.head.kind = MST_WIRE_FLUSH, .after = cdo->offered_at};
    maestro_status_t status = cdo->offered_at ? MAESTRO_OK : mst_base_fail(MAESTRO_WRONG_STATE, "wait for an offer: the object has not been offered");
    if (status == MAESTRO_OK && cdo->state == MST_CLIENT_OFFERED) {
        status = mst_client_call(session, &request, &like, NULL, mst_client_deadline(session, timeout_s), "wait for an offer");
        mst_client_request_fini(session, &request);
    }
    if (status == MAESTRO_OK) status = offer_status(cdo);
    mst_client_leave(session);
    return status;
}

/* ---- Withdraw. */

static maestro_status_t start_withdraw(maestro_cdo_t *cdo, maestro_when_t when, int64_t deadline_ns, maestro_request_t *request) {
    if (cdo->state == MST_CLIENT_REFUSED) return offer_status(cdo);
    if (cdo->state == MST_CLIENT_WITHDRAWN) return mst_base_fail(MAESTRO_WITHDRAWN, "withdraw: the object has been withdrawn already");
    if (cdo->state != MST_CLIENT_OFFERED) return mst_base_fail(MAESTRO_WRONG_STATE, "withdraw: only an own offered object can be withdrawn; dispose gives a lease back");
    MST_TRY(mst_client_check_own(cdo, "withdraw"));
    mst_wire_request_t like = {.head.kind = MST_WIRE_WITHDRAW, .after = cdo->offered_at, .argument = cdo->id, .kinds = when};
    MST_TRY(mst_client_send(cdo->session, request, &like, NULL, deadline_ns, "withdraw"));
    request->cdo = cdo;
    request->cdo_id = cdo->id;
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_withdraw_start(maestro_cdo_t *cdo, maestro_when_t when, double timeout_s, maestro_request_t **request_out) {
    if (!cdo || !request_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "withdraw: the object or the output is NULL");
    maestro_session_t *session = cdo->session;
    MST_TRY(mst_client_enter(session, "withdraw"));
    maestro_request_t *request = calloc(1, sizeof *request);
    maestro_status_t status = request ? start_withdraw(cdo, when, mst_client_deadline(session, timeout_s), request) : mst_base_fail(MAESTRO_SYSTEM, "withdraw: no memory");
    if (status == MAESTRO_OK) {
        session->handles++;
        *request_out = request;
    } else free(request);
    mst_client_leave(session);
    return status;
}

maestro_status_t maestro_cdo_withdraw(maestro_cdo_t *cdo, maestro_when_t when, double timeout_s) {
    maestro_request_t *request = NULL;
    MST_TRY(maestro_cdo_withdraw_start(cdo, when, timeout_s, &request));
    maestro_status_t status = maestro_request_wait(request, (timeout_s >= 0 ? timeout_s : cdo->session->timeout_s) + 2); /* the manager keeps the time; the rest is grace */
    if (status == MAESTRO_IN_PROGRESS) status = mst_base_fail(MAESTRO_TIMEOUT, "withdraw: the pool manager did not answer in time; is it stopped? see maestro doctor");
    maestro_request_dispose(request);
    return status;
}
