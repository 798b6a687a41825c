/* What clients asked for and has no answer yet: demands that wait, counts under way, withdrawals that wait for leases, segments that wait for room.
 * Every one has a deadline, and is answered exactly once. */
#include "pool/request.h"

#include "pool/manager.h"
#include "pool/session.h"

#include <stdio.h>

enum { SLICE = 256, SLICE_BESIDE_URGENT = 16, SEARCHES_MAX = 3, PER_SESSION_MAX = 4096 };
enum { EXPLAIN_NS = 20000000, RECHECK_NS = 500000, SEGMENT_RETRY_NS = 50000000 };

static void note_deadline(mst_pool_t *pool, int64_t deadline_ns) {
    if (deadline_ns < pool->next_deadline_ns) pool->next_deadline_ns = deadline_ns;
}

static uint32_t take_slot(mst_pool_t *pool, mst_pool_request_t *request) {
    size_t slot = pool->request_slot_from;
    while (slot < pool->request_slots && pool->request_slot[slot]) slot++;
    if (!MST_RESERVE_ZEROED(pool->request_slot, pool->request_slots, slot + 1, 64)) return MST_POOL_NONE;
    pool->request_slot[slot] = request;
    pool->request_slot_from = slot + 1;
    return (uint32_t)slot;
}

static void destroy(mst_pool_t *pool, mst_pool_request_t *request) {
    *request->link = request->next;
    if (request->next) request->next->link = request->link;
    else pool->requests_end = request->link;
    if (request->in_matcher) {
        mst_meta_matcher_remove(pool->matcher, request);
        mst_pool_need_end(pool, request->need);
        pool->kinds_wanted[0]--;
    }
    pool->request_slot[request->slot] = NULL;
    if (request->slot < pool->request_slot_from) pool->request_slot_from = request->slot;
    request->session->open_requests--;
    request->session->segment_requests -= request->kind == MST_WIRE_SEGMENT;
    mst_pool_search_fini(&request->search);
    mst_meta_selector_destroy(request->selector);
    free(request->object);
    free(request);
}

static void fail(mst_pool_t *pool, mst_pool_request_t *request, maestro_status_t status, const char *text) {
    mst_pool_session_fail(pool, request->session, request->number, status, text);
}

static void succeed(mst_pool_t *pool, mst_pool_request_t *request, uint64_t value) {
    mst_wire_reply_t reply = {.request = request->number, .value = value, .place.segment = MST_WIRE_NO_SEGMENT};
    mst_pool_session_reply(pool, request->session, &reply, NULL, 0);
}

/* ---- Demand. */

static bool give(mst_pool_t *pool, mst_pool_request_t *request, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    uint64_t lease = mst_pool_session_grant(pool, request->session, handle, 0);
    if (!lease) return false;
    mst_wire_reply_t reply = {.request = request->number, .id = object->id, .lease = lease,
                              .place = mst_pool_place(object)};
    mst_pool_session_reply(pool, request->session, &reply, mst_pool_attributes(pool, object), mst_pool_attributes_nbytes(pool, object));
    request->session->total.demands++;
    return true;
}

void mst_pool_request_matched(mst_pool_t *pool, mst_pool_request_t *request, uint32_t handle) {
    const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    if (mst_pool_schema_of(&pool->catalogue, object) != request->session->schema || object->state != MST_POOL_LIVE) return;
    if (!give(pool, request, handle)) fail(pool, request, MAESTRO_NO_MEMORY, "demand: the pool manager has no memory for a lease");
    destroy(pool, request);
}

static void note_difference(mst_pool_t *pool, mst_pool_request_t *request, const mst_pool_entry_t *entry) {
    const mst_meta_attributes_t *a = mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, request->match[0].handle));
    const mst_meta_attributes_t *b = mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, entry->handle));
    const mst_meta_schema_t *schema = pool->schema[b->schema];
    for (unsigned key = 0; key < schema->nattributes; key++) {
        bool part = schema->identity[key >> 6] >> (key & 63) & 1 || key == MST_META_KEY_COMPONENT || key == MST_META_KEY_RANK;
        if (part && !mst_pool_same_value(pool, a, b, key)) request->differing[key >> 6] |= 1ull << (key & 63);
    }
}

static void fail_not_unique(mst_pool_t *pool, mst_pool_request_t *request) {
    const mst_meta_schema_t *schema = pool->schema[request->session->schema];
    char keys[512] = "";
    size_t at = 0;
    for (unsigned key = 0; key < schema->nattributes && at < sizeof keys - 1; key++)
        if (request->differing[key >> 6] >> (key & 63) & 1)
            at += (size_t)snprintf(keys + at, sizeof keys - at, "%s%s", at ? ", " : "", schema->attribute[key].name);
    char text[1024];
    snprintf(text, sizeof text, "demand \"%.256s\": %llu identities match; they differ in %s; add these to the selector, or use query",
             request->selector->source, (unsigned long long)request->found, keys[0] ? keys : "nothing any more, for they come and go");
    fail(pool, request, MAESTRO_NOT_UNIQUE, text);
}

static void begin_search(mst_pool_request_t *request) {
    request->found = 0;
    request->nmatches = 0;
    request->unsure = false;
    request->differing[0] = request->differing[1] = 0;
    mst_pool_search_init(&request->search, request->selector, request->session->schema, false, request->kind != MST_WIRE_DEMAND);
    request->searching = true;
}

/* Matches that have gone since they were found are none; of those beyond two nothing is kept, so one of them may be what is left. */
static void forget_gone(mst_pool_t *pool, mst_pool_request_t *request) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < request->nmatches; i++)
        if (mst_pool_is_live(pool, request->match[i].handle, request->match[i].sequence)) request->match[kept++] = request->match[i];
    if (kept < request->nmatches && request->found > request->nmatches) request->unsure = true;
    request->nmatches = kept;
}

/* One slice of looking at live objects; true when the demand has been answered. */
static bool step_demand(mst_pool_t *pool, mst_pool_request_t *request) {
    mst_pool_entry_t entries[SLICE];
    bool done;
    size_t count = mst_pool_search_step(pool, &request->search, entries, SLICE, &done);
    forget_gone(pool, request);
    for (size_t i = 0; i < count; i++, request->found++) {
        if (request->nmatches) note_difference(pool, request, &entries[i]);
        if (request->nmatches < MST_COUNT(request->match)) request->match[request->nmatches++] = entries[i];
    }
    if (!done) return false;
    mst_pool_search_fini(&request->search);
    request->searching = false;
    if (request->unsure && request->nmatches < 2 && request->searches++ < SEARCHES_MAX && pool->now_ns < request->deadline_ns) {
        begin_search(request);
        return false;
    }
    if (request->nmatches == 2 || request->unsure) {
        fail_not_unique(pool, request);
        return true;
    }
    if (request->nmatches == 1) return give(pool, request, request->match[0].handle);
    request->found = 0;
    bool waits = pool->now_ns < request->deadline_ns; /* else it was a look, and is no need */
    if (waits && !request->in_matcher && mst_meta_matcher_add(pool->matcher, request, request->selector, request->session->schema) == MAESTRO_OK) {
        request->in_matcher = true;
        request->need = mst_pool_need_begin(pool, request->session, NULL, request->selector, "demand");
        pool->kinds_wanted[0]++;
    }
    return false;
}

/* One slice of looking at what lies on nodes that cannot be reached; true when the demand has been answered. */
static bool step_elsewhere(mst_pool_t *pool, mst_pool_request_t *request) {
    char text[768];
    if (!mst_pool_elsewhere_step(pool, request, text, sizeof text)) return false;
    fail(pool, request, MAESTRO_LINK_LOST, text);
    return true;
}

static void begin_explaining(mst_pool_t *pool, mst_pool_request_t *request) {
    static mst_meta_node_t everything = {.op = MST_META_OP_TRUE};
    static mst_meta_selector_t all = {.root = &everything, .core_only = true};
    mst_pool_search_fini(&request->search);
    mst_pool_search_init(&request->search, &all, request->session->schema, false, true);
    request->explaining = true;
    request->argument = (uint64_t)(request->deadline_ns - request->started_ns); /* what was asked for, for the message */
    request->deadline_ns = pool->now_ns + EXPLAIN_NS;
    note_deadline(pool, request->deadline_ns);
}

static void count_near(mst_pool_t *pool, mst_pool_request_t *request, const mst_pool_entry_t *entry, const mst_meta_node_t **nodes, size_t nnodes) {
    const mst_meta_attributes_t *attributes = mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, entry->handle));
    size_t missed = nnodes;
    for (size_t i = 0; i < nnodes; i++) {
        if (mst_meta_node_match(nodes[i], request->selector, attributes, pool->dictionary)) continue;
        if (missed < nnodes) return;
        missed = i;
    }
    if (missed == nnodes) return;
    request->near[missed]++;
    request->near_example[missed] = entry->handle;
    request->near_sequence[missed] = entry->sequence;
}

static void fail_timeout(mst_pool_t *pool, mst_pool_request_t *request, const mst_meta_node_t **nodes, size_t nnodes) {
    char text[1536], part[256], example[512];
    size_t best = 0;
    for (size_t i = 1; i < nnodes; i++)
        if (request->near[i] > request->near[best]) best = i;
    char fate[128];
    uint32_t withdrawn = mst_pool_catalogue_find_withdrawn(pool, request->selector, request->session->schema, fate, sizeof fate);
    int at = snprintf(text, sizeof text, "demand \"%.256s\": nothing matched within %.3g s", request->selector->source, (double)request->argument / 1e9);
    if (withdrawn != MST_POOL_NONE) {
        const mst_meta_attributes_t *attributes = mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, withdrawn));
        mst_meta_attributes_describe(attributes, pool->schema[attributes->schema], pool->dictionary, example, sizeof example);
        snprintf(text + at, sizeof text - (size_t)at, "; one that matches %s: %s", fate, example);
        fail(pool, request, MAESTRO_TIMEOUT, text);
        return;
    }
    if (nnodes && request->near[best] && mst_pool_is_live(pool, request->near_example[best], request->near_sequence[best])) {
        mst_meta_node_describe(nodes[best], request->selector, part, sizeof part);
        const mst_meta_attributes_t *attributes = mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, request->near_example[best]));
        mst_meta_attributes_describe(attributes, pool->schema[attributes->schema], pool->dictionary, example, sizeof example);
        snprintf(text + at, sizeof text - (size_t)at, "; nearest: %llu objects match all but \"%s\", such as %s", (unsigned long long)request->near[best], part, example);
    } else {
        snprintf(text + at, sizeof text - (size_t)at, "; no object comes near (%llu objects are in the pool)", (unsigned long long)pool->catalogue.live);
    }
    fail(pool, request, MAESTRO_TIMEOUT, text);
}

/* One slice of finding out what came nearest; true when the demand has been answered. */
static bool step_explaining(mst_pool_t *pool, mst_pool_request_t *request) {
    const mst_meta_node_t *nodes[MST_COUNT(request->near)];
    size_t nnodes = mst_meta_selector_conjuncts(request->selector, nodes, MST_COUNT(nodes));
    if (nnodes > MST_COUNT(nodes)) nnodes = MST_COUNT(nodes);
    mst_pool_entry_t entries[SLICE];
    bool done;
    size_t count = mst_pool_search_step(pool, &request->search, entries, SLICE, &done);
    for (size_t i = 0; i < count; i++) count_near(pool, request, &entries[i], nodes, nnodes);
    if (!done && pool->now_ns < request->deadline_ns) return false;
    fail_timeout(pool, request, nodes, nnodes);
    return true;
}

/* ---- Withdraw. */

static void wait_for_release(mst_pool_t *pool, mst_pool_request_t *request, uint32_t handle) {
    mst_pool_object(&pool->catalogue, handle)->waiter = request->slot;
    request->waiting++;
    mst_pool_catalogue_withdraw(pool, handle); /* may call mst_pool_request_released at once */
}

static bool consumed(mst_pool_t *pool, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    return object->leases == 0 && !mst_pool_awaits_archive(object) && !mst_pool_subscription_awaits(pool, handle);
}

static void withdraw_one(mst_pool_t *pool, mst_pool_request_t *request, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    if (object->consuming) return; /* an earlier request takes care of it */
    request->found++;
    if ((!(request->when & MAESTRO_WHEN_CONSUMED) && !mst_pool_awaits_archive(object)) || consumed(pool, handle)) {
        wait_for_release(pool, request, handle);
        return;
    }
    if (!MST_RESERVE(request->object, request->objects_capacity, request->nobjects + 1, 64)) return; /* stays in the pool; the count tells */
    object->consuming = 1;
    object->waiter = request->slot;
    request->object[request->nobjects++] = handle;
    request->consuming++;
}

/* Whether an object on the request's list is still to be consumed: others have gone, and their handles may name new objects. */
static bool is_consuming(mst_pool_t *pool, const mst_pool_request_t *request, uint32_t handle) {
    const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    return object->id && object->consuming && object->waiter == request->slot;
}

void mst_pool_request_unleased(mst_pool_t *pool, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    mst_pool_request_t *request = pool->request_slot[object->waiter];
    if (!consumed(pool, handle)) return; /* a subscription that lags still has to see it */
    object->consuming = 0;
    request->consuming--;
    wait_for_release(pool, request, handle);
}

/* Subscriptions have come further: looks at all that is to be consumed. */
static void recheck(mst_pool_t *pool, mst_pool_request_t *request) {
    size_t kept = 0;
    for (size_t i = 0; i < request->nobjects; i++) {
        uint32_t handle = request->object[i];
        if (is_consuming(pool, request, handle)) mst_pool_request_unleased(pool, handle);
        if (is_consuming(pool, request, handle)) request->object[kept++] = handle;
    }
    request->nobjects = kept;
}

void mst_pool_request_end_object(mst_pool_t *pool, uint32_t handle, uint32_t kind) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    if (object->consuming) { /* that comes before: what a request waits for now is its release */
        mst_pool_request_t *request = pool->request_slot[object->waiter];
        object->consuming = 0;
        request->consuming--;
        request->waiting++;
        pool->next_deadline_ns = pool->now_ns;
    }
    mst_pool_catalogue_end(pool, handle, kind);
}

void mst_pool_request_released(mst_pool_t *pool, uint32_t slot, uint32_t handle) {
    mst_pool_object(&pool->catalogue, handle)->waiter = MST_POOL_NONE;
    if (slot < pool->request_slots && pool->request_slot[slot]) pool->request_slot[slot]->waiting--;
}

/* Lets go of what a withdraw request still waits for; names who holds it. */
static void abandon(mst_pool_t *pool, mst_pool_request_t *request, char *text, size_t nbytes) {
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < pool->nsessions; i++) {
        mst_pool_session_t *session = pool->session[i];
        uint64_t held = 0;
        for (uint32_t slot = 0; slot < session->leases_capacity && session->leases_live; slot++)
            if (session->lease[slot].since_ns)
                held += mst_pool_object(&pool->catalogue, session->lease[slot].object)->waiter == request->slot;
        if (held && at < nbytes)
            at += (size_t)snprintf(text + at, nbytes - at, "%s%s[%lld] (process %d) holds %llu", at ? ", " : "", session->component, (long long)session->rank,
                                   session->pid, (unsigned long long)held);
    }
    uint64_t unarchived = 0;
    for (size_t i = 0; i < request->nobjects; i++) {
        if (!is_consuming(pool, request, request->object[i])) continue;
        mst_pool_object_t *object = mst_pool_object(&pool->catalogue, request->object[i]);
        unarchived += mst_pool_awaits_archive(object);
        object->consuming = 0;
        object->waiter = MST_POOL_NONE;
    }
    for (size_t i = 0; i < pool->nsessions; i++)
        for (uint32_t slot = 0; slot < pool->session[i]->leases_capacity; slot++) {
            if (!pool->session[i]->lease[slot].since_ns) continue;
            mst_pool_object_t *object = mst_pool_object(&pool->catalogue, pool->session[i]->lease[slot].object);
            if (object->waiter == request->slot) object->waiter = MST_POOL_NONE;
        }
    if (unarchived && at < nbytes)
        snprintf(text + at, nbytes - at, "%sno archive has acknowledged %llu that are kept for ever (maestro.persist)", at ? ", " : "", (unsigned long long)unarchived);
    else if (!at) snprintf(text, nbytes, "a subscription has not received them yet");
}

/* Whether the request may withdraw an object: the session's own, also in part; or its component's. */
static bool may_withdraw(mst_pool_t *pool, const mst_pool_request_t *request, mst_pool_object_t *object) {
    if (mst_pool_parts_made_by(pool, object, request->session->number)) return true;
    if (!(request->when & MAESTRO_OF_COMPONENT)) return false;
    const mst_meta_attributes_t *set = mst_pool_attributes(pool, object);
    return set->value[mst_meta_attributes_rank(set, MST_META_KEY_COMPONENT)] == request->session->component_code;
}

static bool step_withdraw(mst_pool_t *pool, mst_pool_request_t *request) {
    mst_pool_entry_t entries[SLICE];
    bool done = !request->searching;
    if (request->searching) {
        size_t count = mst_pool_search_step(pool, &request->search, entries, pool->nurgent ? SLICE_BESIDE_URGENT : SLICE, &done);
        for (size_t i = 0; i < count; i++)
            if (may_withdraw(pool, request, mst_pool_object(&pool->catalogue, entries[i].handle)))
                withdraw_one(pool, request, entries[i].handle);
        request->searching = !done;
    }
    if (!done || request->waiting || request->consuming) return false;
    succeed(pool, request, request->found);
    return true;
}

static void time_out_withdraw(mst_pool_t *pool, mst_pool_request_t *request) {
    char text[1024], holders[768];
    uint64_t left = request->waiting + request->consuming;
    abandon(pool, request, holders, sizeof holders);
    snprintf(text, sizeof text, "withdraw: %llu of %llu objects are still in use after %.3g s: %s", (unsigned long long)left, (unsigned long long)request->found,
             (double)(pool->now_ns - request->started_ns) / 1e9, holders);
    fail(pool, request, MAESTRO_TIMEOUT, text);
}

/* ---- Segments and counts. */

static bool step_segment(mst_pool_t *pool, mst_pool_request_t *request) {
    uint32_t number;
    bool last = pool->now_ns >= request->deadline_ns;
    request->lending_changes = pool->lending.changes;
    maestro_status_t status = mst_pool_lending_grant(pool, request->session, request->argument, &number);
    if (status == MAESTRO_OK) {
        mst_wire_reply_t reply = {.request = request->number, .value = number, .place = {.segment = number, .nbytes = pool->lending.segment[number]->nbytes}};
        mst_pool_session_reply(pool, request->session, &reply, NULL, 0);
        return true;
    }
    if (status == MAESTRO_AGAIN && !last) {
        note_deadline(pool, pool->now_ns + SEGMENT_RETRY_NS);
        return false;
    }
    fail(pool, request, status == MAESTRO_AGAIN ? MAESTRO_NO_MEMORY : status, maestro_last_error());
    return true;
}

static bool step_count(mst_pool_t *pool, mst_pool_request_t *request) {
    mst_pool_entry_t entries[SLICE];
    bool done;
    request->found += mst_pool_search_step(pool, &request->search, entries, SLICE, &done);
    if (!done) return false;
    succeed(pool, request, request->found);
    return true;
}

/* ---- All of them. */

static bool step(mst_pool_t *pool, mst_pool_request_t *request) {
    bool late = pool->now_ns >= request->deadline_ns;
    switch (request->kind) {
    case MST_WIRE_DEMAND:
        if (request->explaining) return step_explaining(pool, request);
        if (request->searching && step_demand(pool, request)) return true;
        if (!request->searching && mst_pool_elsewhere_unseen(pool, request) && step_elsewhere(pool, request)) return true;
        if (late && !request->searching) begin_explaining(pool, request);
        return false;
    case MST_WIRE_WITHDRAW:
    case MST_WIRE_WITHDRAW_MATCHING:
        if (step_withdraw(pool, request)) return true;
        if (late) time_out_withdraw(pool, request);
        return late;
    case MST_WIRE_SEGMENT:
        return step_segment(pool, request);
    default:
        if (step_count(pool, request)) return true;
        if (late) fail(pool, request, MAESTRO_TIMEOUT, "count: not finished in time");
        return late;
    }
}

static bool due(const mst_pool_t *pool, const mst_pool_request_t *request) {
    if (request->searching || request->explaining || pool->now_ns >= request->deadline_ns) return true;
    if (request->kind == MST_WIRE_DEMAND && mst_pool_elsewhere_unseen(pool, request)) return true;
    if (request->kind == MST_WIRE_SEGMENT) return request->lending_changes != pool->lending.changes || pool->now_ns >= pool->next_deadline_ns;
    return request->kind != MST_WIRE_DEMAND && !request->waiting && !request->consuming;
}

void mst_pool_request_step_all(mst_pool_t *pool) {
    bool again = pool->recheck_consumed && pool->now_ns - pool->rechecked_ns >= RECHECK_NS;
    mst_pool_request_t *next;
    int64_t deadline = INT64_MAX;
    for (mst_pool_request_t *request = pool->requests; request; request = next) {
        next = request->next;
        if (again && request->consuming) recheck(pool, request);
        if (due(pool, request) && step(pool, request)) destroy(pool, request);
    }
    if (again) {
        pool->recheck_consumed = false;
        pool->rechecked_ns = pool->now_ns;
    }
    for (mst_pool_request_t *request = pool->requests; request; request = request->next) {
        if (request->deadline_ns < deadline) deadline = request->deadline_ns;
        if (request->kind == MST_WIRE_SEGMENT && pool->now_ns + SEGMENT_RETRY_NS < deadline) deadline = pool->now_ns + SEGMENT_RETRY_NS;
        if (request->searching || request->explaining || (request->kind == MST_WIRE_DEMAND && mst_pool_elsewhere_unseen(pool, request))) deadline = pool->now_ns;
        if (pool->recheck_consumed && request->consuming && pool->rechecked_ns + RECHECK_NS < deadline) deadline = pool->rechecked_ns + RECHECK_NS;
    }
    pool->next_deadline_ns = deadline;
}

static mst_pool_request_t *create(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *message) {
    mst_pool_request_t *request = calloc(1, sizeof *request);
    if (!request) return NULL;
    int64_t timeout = message->timeout_ns < 0 ? 0 : message->timeout_ns < (int64_t)1e18 ? message->timeout_ns : (int64_t)1e18;
    request->type = MST_POOL_DEMAND;
    request->kind = message->head.kind;
    request->session = session;
    request->number = message->request;
    request->started_ns = pool->now_ns;
    request->deadline_ns = pool->now_ns + timeout;
    request->argument = message->argument;
    request->when = message->kinds;
    request->slot = take_slot(pool, request);
    if (request->slot == MST_POOL_NONE) {
        free(request);
        return NULL;
    }
    request->link = pool->requests_end;
    *pool->requests_end = request;
    pool->requests_end = &request->next;
    session->open_requests++;
    session->segment_requests += request->kind == MST_WIRE_SEGMENT;
    if (request->kind == MST_WIRE_SEGMENT) mst_pool_session_tell_freed(pool, session);
    return request;
}

static maestro_status_t fail_not_there(mst_pool_t *pool, uint64_t id) {
    char fate[128];
    bool known = mst_pool_catalogue_find_withdrawn_id(pool, id, fate, sizeof fate) != MST_POOL_NONE;
    return mst_base_fail(MAESTRO_WITHDRAWN, "withdraw: the object is not in the pool: it %s", known ? fate : "was withdrawn or expired before, or its offer was refused");
}

static maestro_status_t prepare(mst_pool_t *pool, mst_pool_request_t *request, const char *text) {
    mst_pool_session_t *session = request->session;
    if (request->kind == MST_WIRE_WITHDRAW) {
        if (session->relay && mst_pool_elsewhere_remove(pool, request->argument)) return MAESTRO_OK;
        uint32_t handle = mst_pool_session_get_id(session, request->argument);
        if (handle == MST_POOL_NONE) return fail_not_there(pool, request->argument);
        handle = mst_pool_parts_withdraw(pool, session, handle);
        if (handle == MST_POOL_NONE) return MAESTRO_OK; /* nobody had seen it */
        withdraw_one(pool, request, handle);
        if (!request->found) return mst_base_fail(MAESTRO_WRONG_STATE, "withdraw: the object is being withdrawn already");
        return MAESTRO_OK;
    }
    if (request->kind == MST_WIRE_SEGMENT) return MAESTRO_OK;
    MST_TRY(mst_meta_selector_parse(pool->schema[session->schema], text, &request->selector));
    mst_meta_selector_bind(request->selector, pool->dictionary);
    begin_search(request);
    return MAESTRO_OK;
}

static void cancel(mst_pool_t *pool, mst_pool_session_t *session, uint64_t number) {
    for (mst_pool_message_t *node = session->deferred.first; node; node = node->next) {
        mst_wire_request_t *deferred = (mst_wire_request_t *)node->bytes;
        if (deferred->request != number) continue;
        deferred->head.kind = MST_WIRE_CANCEL; /* of nothing: it is dropped when its turn comes */
        deferred->argument = 0;
        return;
    }
    for (mst_pool_request_t *request = pool->requests; request; request = request->next) {
        char holders[256];
        if (request->session != session || request->number != number) continue;
        if (request->kind == MST_WIRE_WITHDRAW || request->kind == MST_WIRE_WITHDRAW_MATCHING) abandon(pool, request, holders, sizeof holders);
        destroy(pool, request);
        return;
    }
    for (mst_pool_subscription_t *subscription = session->subscriptions; subscription; subscription = subscription->next) {
        if (subscription->request != number || subscription->fetched || subscription->ending) continue;
        mst_pool_subscription_end(pool, subscription, 0, 0);
        return;
    }
}

/* A request that makes something with a number, answered at once. */
static void make_numbered(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *message, char *text) {
    uint32_t number;
    maestro_status_t status = message->head.kind == MST_WIRE_REQUIRE ? mst_pool_need_declare(pool, session, text, &number)
                                                                     : mst_pool_subscription_create(pool, session, message, text, &number);
    if (status != MAESTRO_OK) {
        mst_pool_session_fail(pool, session, message->request, status, maestro_last_error());
        return;
    }
    mst_wire_reply_t reply = {.request = message->request, .value = number, .place.segment = MST_WIRE_NO_SEGMENT};
    mst_pool_session_reply(pool, session, &reply, NULL, 0);
}

static void start(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *message, const char *text) {
    if (session->open_requests >= PER_SESSION_MAX) {
        mst_pool_session_fail(pool, session, message->request, MAESTRO_TOO_LARGE, "this session waits for 4096 requests, the most it may; wait for some or cancel them");
        return;
    }
    mst_pool_request_t *request = create(pool, session, message);
    if (!request) {
        mst_pool_session_fail(pool, session, message->request, MAESTRO_NO_MEMORY, "the pool manager has no memory for the request");
        return;
    }
    maestro_status_t status = prepare(pool, request, text);
    if (status < 0) {
        fail(pool, request, status, maestro_last_error());
        destroy(pool, request);
    } else if (step(pool, request)) {
        destroy(pool, request);
    } else {
        note_deadline(pool, request->deadline_ns);
        if (request->searching) note_deadline(pool, pool->now_ns);
    }
}

void mst_pool_request_take(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *message) {
    mst_wire_reply_t done = {.request = message->request, .place.segment = MST_WIRE_NO_SEGMENT};
    switch (message->head.kind) {
    case MST_WIRE_FLUSH:
        mst_pool_session_reply(pool, session, &done, NULL, 0);
        return;
    case MST_WIRE_UNSUBSCRIBE: {
        mst_pool_subscription_t *subscription = mst_pool_subscription_find(session, (uint32_t)message->argument);
        if (subscription) mst_pool_subscription_end(pool, subscription, message->position, message->rows);
        mst_pool_session_reply(pool, session, &done, NULL, 0);
        return;
    }
    case MST_WIRE_LINK:
        if (session->relay) mst_pool_elsewhere_begin(pool, session);
        else mst_pool_session_fail(pool, session, message->request, MAESTRO_WRONG_STATE, "only a relay can be the link");
        if (session->relay) mst_pool_session_reply(pool, session, &done, NULL, 0);
        return;
    case MST_WIRE_RETRACT:
        mst_pool_need_retract(pool, session, (uint32_t)message->argument);
        mst_pool_session_reply(pool, session, &done, NULL, 0);
        return;
    case MST_WIRE_PART:
        mst_pool_parts_give(pool, session, message);
        return;
    case MST_WIRE_CANCEL:
        cancel(pool, session, message->argument);
        return;
    case MST_WIRE_SEGMENT_RETURN:
        if (mst_pool_lending_return(pool, session, (uint32_t)message->argument) != MAESTRO_OK) mst_pool_session_break(session, maestro_last_error());
        return;
    case MST_WIRE_SUBSCRIBE:
    case MST_WIRE_REQUIRE:
    case MST_WIRE_DEMAND:
    case MST_WIRE_WITHDRAW:
    case MST_WIRE_WITHDRAW_MATCHING:
    case MST_WIRE_COUNT:
    case MST_WIRE_SEGMENT:
        break;
    default:
        mst_pool_session_break(session, "it sent a request of unknown kind");
        return;
    }
    char *text = malloc(message->text_nbytes + 1u);
    if (!text) {
        mst_pool_session_fail(pool, session, message->request, MAESTRO_NO_MEMORY, "the pool manager has no memory for the request");
        return;
    }
    memcpy(text, message->text, message->text_nbytes);
    text[message->text_nbytes] = '\0';
    if (message->head.kind == MST_WIRE_SUBSCRIBE || message->head.kind == MST_WIRE_REQUIRE) make_numbered(pool, session, message, text);
    else start(pool, session, message, text);
    free(text);
}

void mst_pool_request_cancel_all(mst_pool_t *pool, mst_pool_session_t *session) {
    mst_pool_request_t *next;
    for (mst_pool_request_t *request = pool->requests; request; request = next) {
        next = request->next;
        if (request->session != session) continue;
        char holders[256];
        if (request->kind == MST_WIRE_WITHDRAW || request->kind == MST_WIRE_WITHDRAW_MATCHING) abandon(pool, request, holders, sizeof holders);
        destroy(pool, request);
    }
}
