/* Objects that several offers make together, such as a record to which each rank of a component gives its arrays.
 *
 * A part is offered like any object, with maestro.parts (how many there are) and maestro.part (which one it is).  Parts of one schema, component, identity,
 * name, collection and sequence belong together, whatever rank offers them.  They wait hidden, without an event and in no table, until the last has come.  Then part 0 becomes the object, for all
 * to see at once: it alone has an identity, leases, an event, a lifetime and an end, and the others hang on it.  So nobody sees half, a group gives the whole
 * to one member, and withdrawals, versions and expiry know nothing of parts.  Who leases the object asks for the other parts, each of which comes with a
 * further lease on the object.
 *
 * Each of the ranks 0 to parts - 1 of the component is expected to give one or more parts.  When one leaves that has given none, what has come is discarded:
 * its offers are refused, and an event says what was missing.  So it is when nobody of the component is left; but where the last one closed in good order,
 * the others may not have begun yet, and have a while (LATE_NS).  Ranks that left are remembered while others of their component are there, for those may
 * begin an object only afterwards.
 *
 * A relay brings the parts of an object by itself: they belong to no other's, and it alone is expected to complete them.
 *
 * Invariant: a hidden part has neither leases nor references, and lives as long as its whole: until that is discarded or the object ends. */
#include "pool/parts.h"

#include "pool/manager.h"
#include "pool/offers.h"
#include "pool/session.h"

#include <stdio.h>

static const int64_t LATE_NS = 3000000000;

typedef struct part {
    uint32_t number, handle;
    int64_t rank;      /* of who offered it */
} part_t;

struct mst_pool_whole {
    mst_pool_whole_t *next, **link;
    uint64_t key;      /* hash of what its parts have in common */
    uint32_t count;
    uint32_t component; /* code; 0: brought by */
    uint32_t relay;    /* this session */
    int64_t deadline_ns; /* nobody of the component is there; 0: somebody is */
    uint32_t ncome, capacity;
    part_t *part;      /* those that have come; when all have, in their order */
};

typedef struct mst_pool_gone_rank {
    uint32_t component;
    uint32_t rank;
} gone_rank_t;

/* ---- What the attributes say. */

static int64_t word_of(const mst_meta_attributes_t *set, unsigned key) { return (int64_t)set->value[mst_meta_attributes_rank(set, key)]; }

int64_t mst_pool_parts_count(const mst_meta_attributes_t *set) { return mst_meta_attributes_has(set, MST_META_KEY_PARTS) ? word_of(set, MST_META_KEY_PARTS) : 1; }

bool mst_pool_parts_fit(const mst_meta_attributes_t *set) {
    bool parts = mst_meta_attributes_has(set, MST_META_KEY_PARTS);
    if (MST_LIKELY(!parts)) return !mst_meta_attributes_has(set, MST_META_KEY_PART);
    int64_t count = word_of(set, MST_META_KEY_PARTS);
    if (count < 1 || count > MST_WIRE_PARTS_MAX || !mst_meta_attributes_has(set, MST_META_KEY_PART)) return false;
    return word_of(set, MST_META_KEY_PART) >= 0 && word_of(set, MST_META_KEY_PART) < count;
}

/* ---- Wholes. */

static void link_into(mst_pool_whole_t **list, mst_pool_whole_t *whole) {
    whole->next = *list;
    whole->link = list;
    if (whole->next) whole->next->link = &whole->next;
    *list = whole;
}

static void unlink_whole(mst_pool_whole_t *whole) {
    *whole->link = whole->next;
    if (whole->next) whole->next->link = whole->link;
}

static void destroy(mst_pool_whole_t *whole) {
    unlink_whole(whole);
    free(whole->part);
    free(whole);
}

/* What parts have in common besides owner and identity, to which none of these need belong. */
static const unsigned names[] = {MST_META_KEY_NAME, MST_META_KEY_COLLECTION, MST_META_KEY_SEQUENCE, MST_META_KEY_FENCE};

static bool has_name(const mst_meta_attributes_t *set) {
    bool any = false;
    for (size_t i = 0; i < MST_COUNT(names); i++) any |= mst_meta_attributes_has(set, names[i]);
    return any;
}

static uint64_t key_of(mst_pool_t *pool, const mst_pool_template_t *template, const mst_meta_attributes_t *set) {
    uint64_t key = mst_pool_template_identity(pool, template, set);
    for (size_t i = 0; i < MST_COUNT(names); i++)
        if (mst_meta_attributes_has(set, names[i])) key += mst_meta_identity_term(set, set->value[mst_meta_attributes_rank(set, names[i])], names[i], pool->schema[set->schema]);
    return key;
}

static bool belongs(mst_pool_t *pool, const mst_pool_whole_t *whole, const mst_meta_attributes_t *set) {
    if (!mst_pool_catalogue_same(pool, whole->part[0].handle, set)) return false;
    const mst_meta_attributes_t *other = mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, whole->part[0].handle));
    for (size_t i = 0; i < MST_COUNT(names); i++)
        if (!mst_pool_same_value(pool, set, other, names[i])) return false;
    return true;
}

static mst_pool_whole_t **bucket(mst_pool_t *pool, uint64_t key) { return &pool->parts.waiting[key % MST_COUNT(pool->parts.waiting)]; }

static mst_pool_whole_t *find(mst_pool_t *pool, uint64_t key, uint32_t relay, const mst_meta_attributes_t *set) {
    mst_pool_whole_t *whole = *bucket(pool, key);
    while (whole && (whole->key != key || whole->relay != relay || !belongs(pool, whole, set))) whole = whole->next;
    return whole;
}

static mst_pool_whole_t *begin(mst_pool_t *pool, uint64_t key, uint32_t count, uint32_t component, uint32_t relay) {
    mst_pool_whole_t *whole = calloc(1, sizeof *whole);
    if (!whole) return NULL;
    whole->key = key;
    whole->count = count;
    whole->component = relay ? 0 : component;
    whole->relay = relay;
    link_into(bucket(pool, key), whole);
    return whole;
}

static const part_t *find_part(const mst_pool_whole_t *whole, uint32_t number) {
    for (uint32_t i = 0; i < whole->ncome; i++)
        if (whole->part[i].number == number) return &whole->part[i];
    return NULL;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = ((const part_t *)a)->number, y = ((const part_t *)b)->number;
    return (x > y) - (x < y);
}

/* ---- Discarding. */

/* "1,3-5", as far as there is room. */
static void list_missing(const mst_pool_whole_t *whole, char *text, size_t nbytes) {
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t first = 0, i = 0; first < whole->count; i++) { /* the parts are in order */
        uint32_t end = i < whole->ncome ? whole->part[i].number : whole->count;
        if (end > first && at + 32 > nbytes) {
            snprintf(text + at, nbytes - at, ",...");
            return;
        }
        if (end == first + 1) at += (size_t)snprintf(text + at, nbytes - at, "%s%u", at ? "," : "", first);
        else if (end > first) at += (size_t)snprintf(text + at, nbytes - at, "%s%u-%u", at ? "," : "", first, end - 1);
        first = end + 1;
    }
}

/* The event: attributes of the first part that came, without what is that part's own. */
static void tell(mst_pool_t *pool, const mst_pool_whole_t *whole, const char *missing, const char *reason) {
    const mst_pool_object_t *first = mst_pool_object(&pool->catalogue, whole->part[0].handle);
    const mst_meta_attributes_t *like = mst_pool_attributes(pool, first);
    mst_meta_schema_t *schema = pool->schema[like->schema];
    mst_meta_builder_t builder;
    size_t nbytes;
    mst_meta_builder_init(&builder, schema, pool->dictionary);
    bool made = mst_meta_builder_load(&builder, like) == MAESTRO_OK && mst_meta_builder_set_text(&builder, MST_META_KEY_MISSING, missing, strlen(missing)) == MAESTRO_OK &&
                mst_meta_builder_set_text(&builder, MST_META_KEY_REASON, reason, strlen(reason)) == MAESTRO_OK;
    mst_meta_builder_unset(&builder, MST_META_KEY_PART);
    mst_meta_builder_unset(&builder, MST_META_KEY_ARRAYS);
    mst_meta_attributes_t *set = made ? malloc(MST_META_SET_MAX) : NULL;
    if (set && mst_meta_builder_pack(&builder, like->schema, set, MST_META_SET_MAX, &nbytes) == MAESTRO_OK) {
        mst_meta_attributes_intern(set, schema, pool->dictionary, true);
        mst_pool_catalogue_tell(pool, first->id, MAESTRO_EVENT_INCOMPLETE, set);
    }
    free(set);
    mst_meta_builder_fini(&builder);
}

/* The name of its parts, for who has disposed the handle that could tell. */
static void put_name(mst_pool_t *pool, const mst_pool_whole_t *whole, char *text, size_t nbytes) {
    const mst_meta_attributes_t *set = mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, whole->part[0].handle));
    uint32_t length = 0;
    const char *name = "";
    if (mst_meta_attributes_has(set, MST_META_KEY_NAME)) name = mst_meta_attributes_text(set, set->value[mst_meta_attributes_rank(set, MST_META_KEY_NAME)], pool->dictionary, &length);
    snprintf(text, nbytes, "%.*s%s", (int)(length < 128 ? length : 128), name, length ? ": " : "");
}

/* Who offered parts is told, but for the session that knows. */
static void discard(mst_pool_t *pool, mst_pool_whole_t *whole, maestro_status_t status, uint64_t other, const char *reason, const mst_pool_session_t *knows) {
    char missing[256], name[160], text[768];
    qsort(whole->part, whole->ncome, sizeof *whole->part, by_number);
    list_missing(whole, missing, sizeof missing);
    put_name(pool, whole, name, sizeof name);
    snprintf(text, sizeof text, "%sof its %u parts %s had not come: %s", name, whole->count, missing, reason);
    if (status == MAESTRO_INCOMPLETE) tell(pool, whole, missing, reason);
    for (uint32_t i = 0; i < whole->ncome; i++) {
        uint64_t id = mst_pool_object(&pool->catalogue, whole->part[i].handle)->id;
        mst_pool_session_t *owner = mst_pool_session_by_number(pool, mst_pool_owner(id));
        mst_pool_catalogue_drop_part(pool, whole->part[i].handle);
        if (owner && owner != knows) mst_pool_refuse(pool, owner, id, status, other, status == MAESTRO_INCOMPLETE ? text : reason);
    }
    destroy(whole);
}

/* ---- Ranks that left. */

static bool gave(const mst_pool_whole_t *whole, int64_t rank) {
    for (uint32_t i = 0; i < whole->ncome; i++)
        if (whole->part[i].rank == rank) return true;
    return false;
}

static bool is_expected(const mst_pool_whole_t *whole, uint32_t component, int64_t rank) {
    return whole->component == component && rank >= 0 && rank < whole->count && !gave(whole, rank);
}

/* A rank that has left and owes a part; MST_POOL_NONE: none. */
static uint32_t find_gone(const mst_pool_t *pool, const mst_pool_whole_t *whole) {
    for (size_t i = 0; i < pool->parts.ngone; i++)
        if (is_expected(whole, pool->parts.gone[i].component, pool->parts.gone[i].rank)) return pool->parts.gone[i].rank;
    return MST_POOL_NONE;
}

static void forget_gone(mst_pool_parts_t *parts, uint32_t component, int64_t rank, bool all) {
    size_t kept = 0;
    for (size_t i = 0; i < parts->ngone; i++)
        if (parts->gone[i].component != component || (!all && parts->gone[i].rank != rank)) parts->gone[kept++] = parts->gone[i];
    parts->ngone = kept;
}

static void remember_gone(mst_pool_parts_t *parts, uint32_t component, int64_t rank) {
    if (rank < 0 || rank >= MST_WIRE_PARTS_MAX) return;
    if (!MST_RESERVE(parts->gone, parts->gone_capacity, parts->ngone + 1, 64)) return; /* what is begun later waits until the component has left */
    parts->gone[parts->ngone++] = (gone_rank_t){component, (uint32_t)rank};
}

/* Calls for each whole that waits for parts, which may end by it. */
static void for_each(mst_pool_t *pool, void (*call)(mst_pool_t *pool, mst_pool_whole_t *whole, void *context), void *context) {
    for (size_t i = 0; i < MST_COUNT(pool->parts.waiting); i++)
        for (mst_pool_whole_t *whole = pool->parts.waiting[i], *next; whole; whole = next) {
            next = whole->next;
            call(pool, whole, context);
        }
}

static void come_back(mst_pool_t *pool, mst_pool_whole_t *whole, void *context) {
    (void)pool;
    if (whole->component == ((const mst_pool_session_t *)context)->component_code) whole->deadline_ns = 0;
}

void mst_pool_parts_joined(mst_pool_t *pool, mst_pool_session_t *session) {
    forget_gone(&pool->parts, session->component_code, session->rank, false);
    for_each(pool, come_back, session);
}

typedef struct leaving {
    const mst_pool_session_t *session;
    bool others, died;
    char text[128];
} leaving_t;

static void leave(mst_pool_t *pool, mst_pool_whole_t *whole, void *context) {
    const leaving_t *leaving = context;
    uint32_t component = leaving->session->component_code;
    bool last = whole->component == component && !leaving->others;
    if (is_expected(whole, component, leaving->session->rank) || (last && leaving->died)) discard(pool, whole, MAESTRO_INCOMPLETE, 0, leaving->text, NULL);
    else if (last) {
        whole->deadline_ns = pool->now_ns + LATE_NS;
        if (whole->deadline_ns < pool->parts.next_ns) pool->parts.next_ns = whole->deadline_ns;
    }
}

static void leave_relayed(mst_pool_t *pool, mst_pool_whole_t *whole, void *context) {
    const leaving_t *leaving = context;
    if (whole->relay == leaving->session->number) discard(pool, whole, MAESTRO_INCOMPLETE, 0, leaving->text, NULL);
}

void mst_pool_parts_left(mst_pool_t *pool, const mst_pool_session_t *session, const char *reason) {
    leaving_t leaving = {.session = session, .died = strcmp(reason, "died") == 0};
    bool same_rank = false;
    snprintf(leaving.text, sizeof leaving.text, "%s[%lld] %s", session->component, (long long)session->rank, reason);
    if (session->relay) for_each(pool, leave_relayed, &leaving);
    for (size_t i = 0; i < pool->nsessions; i++) {
        if (pool->session[i]->component_code != session->component_code) continue;
        leaving.others = true;
        same_rank |= pool->session[i]->rank == session->rank;
    }
    if (same_rank) return;
    if (leaving.others) remember_gone(&pool->parts, session->component_code, session->rank);
    else forget_gone(&pool->parts, session->component_code, 0, true);
    for_each(pool, leave, &leaving);
}

static void give_up(mst_pool_t *pool, mst_pool_whole_t *whole, void *context) {
    int64_t *next = context;
    if (!whole->deadline_ns) return;
    if (whole->deadline_ns <= pool->now_ns) discard(pool, whole, MAESTRO_INCOMPLETE, 0, "its component has closed", NULL);
    else if (whole->deadline_ns < *next) *next = whole->deadline_ns;
}

void mst_pool_parts_expire(mst_pool_t *pool) {
    if (pool->now_ns < pool->parts.next_ns) return;
    int64_t next = INT64_MAX;
    for_each(pool, give_up, &next);
    pool->parts.next_ns = next;
}

/* ---- Taking a part. */

static maestro_status_t check(mst_pool_t *pool, const mst_pool_whole_t *whole, const mst_pool_template_t *template, uint32_t tag, uint64_t *other_out,
                              const char **why_out) {
    uint32_t number = (uint32_t)word_of(pool->offered, MST_META_KEY_PART);
    if (!whole) {
        bool may_be_another = template->anonymous || pool->schema[pool->offered->schema]->versions;
        uint32_t same = may_be_another ? MST_POOL_NONE : mst_pool_catalogue_find(pool, tag, pool->offered);
        if (same == MST_POOL_NONE) return MAESTRO_OK;
        *other_out = mst_pool_object(&pool->catalogue, same)->id;
        return MAESTRO_DUPLICATE;
    }
    if (whole->count != (uint32_t)word_of(pool->offered, MST_META_KEY_PARTS)) {
        *why_out = "parts that came before have another maestro.parts; all parts of an object name the same number";
        return MAESTRO_INVALID_ARGUMENT;
    }
    const part_t *part = find_part(whole, number);
    if (part) *other_out = mst_pool_object(&pool->catalogue, part->handle)->id;
    return part ? MAESTRO_DUPLICATE : MAESTRO_OK;
}

static uint32_t reveal(mst_pool_t *pool, mst_pool_whole_t *whole) {
    uint64_t other = 0;
    qsort(whole->part, whole->ncome, sizeof *whole->part, by_number);
    maestro_status_t status = mst_pool_catalogue_reveal(pool, whole->part[0].handle, &other);
    if (status != MAESTRO_OK) {
        discard(pool, whole, status, other, "an object of this identity was offered before its parts had come", NULL);
        return MST_POOL_NONE;
    }
    unlink_whole(whole);
    link_into(&pool->parts.whole, whole);
    return whole->part[0].handle;
}

maestro_status_t mst_pool_parts_take(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer, uint32_t template, uint32_t *handle_out,
                                     uint64_t *other_out, const char **why_out) {
    const mst_meta_attributes_t *set = pool->offered;
    const mst_pool_template_t *like = mst_pool_template(&pool->catalogue, template);
    if (like->anonymous && !has_name(set)) {
        *why_out = "a part needs a name or other identity attributes, by which the parts of an object find each other";
        return MAESTRO_INVALID_ARGUMENT;
    }
    uint64_t key = key_of(pool, like, set);
    uint32_t tag = (uint32_t)mst_pool_template_identity(pool, like, set), count = (uint32_t)word_of(set, MST_META_KEY_PARTS);
    uint32_t relay = pool->relayed ? session->number : 0;
    mst_pool_whole_t *whole = find(pool, key, relay, set);
    MST_TRY(check(pool, whole, like, tag, other_out, why_out));
    if (!whole && !(whole = begin(pool, key, count, session->component_code, relay))) return MAESTRO_NO_MEMORY;
    uint32_t handle = MST_POOL_NONE;
    if (MST_RESERVE(whole->part, whole->capacity, whole->ncome + 1, 4))
        handle = mst_pool_catalogue_hide(pool, session, offer->id, &offer->place, set, template, tag, whole);
    if (handle == MST_POOL_NONE) {
        if (!whole->ncome) destroy(whole);
        return MAESTRO_NO_MEMORY;
    }
    whole->part[whole->ncome++] = (part_t){(uint32_t)word_of(set, MST_META_KEY_PART), handle, session->rank};
    uint32_t gone = whole->ncome == whole->count ? MST_POOL_NONE : find_gone(pool, whole);
    if (gone != MST_POOL_NONE) {
        char text[128];
        snprintf(text, sizeof text, "%s[%u] left before", session->component, gone);
        discard(pool, whole, MAESTRO_INCOMPLETE, 0, text, NULL);
    } else if (whole->ncome == whole->count) {
        *handle_out = reveal(pool, whole);
    }
    return MAESTRO_OK;
}

/* ---- The whole's life. */

uint32_t mst_pool_parts_withdraw(mst_pool_t *pool, mst_pool_session_t *session, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    if (!object->is_part) return handle;
    mst_pool_whole_t *whole = *mst_pool_whole_of(pool, object);
    if (whole->ncome == whole->count) return whole->part[0].handle;
    char text[128];
    snprintf(text, sizeof text, "%s[%lld] withdrew its part", session->component, (long long)session->rank);
    discard(pool, whole, MAESTRO_INCOMPLETE, 0, text, session);
    return MST_POOL_NONE;
}

bool mst_pool_parts_made_by(mst_pool_t *pool, mst_pool_object_t *object, uint32_t session) {
    if (mst_pool_owner(object->id) == session) return true;
    if (MST_LIKELY(!object->is_part)) return false;
    const mst_pool_whole_t *whole = *mst_pool_whole_of(pool, object);
    for (uint32_t i = 0; i < whole->ncome; i++)
        if (mst_pool_owner(mst_pool_object(&pool->catalogue, whole->part[i].handle)->id) == session) return true;
    return false;
}

void mst_pool_parts_withdrawn(mst_pool_t *pool, uint32_t handle) {
    const mst_pool_whole_t *whole = *mst_pool_whole_of(pool, mst_pool_object(&pool->catalogue, handle));
    for (uint32_t i = 1; i < whole->ncome; i++) {
        uint64_t id = mst_pool_object(&pool->catalogue, whole->part[i].handle)->id;
        mst_pool_session_t *owner = mst_pool_session_by_number(pool, mst_pool_owner(id));
        if (owner) mst_pool_session_forget_id(owner, id);
    }
}

void mst_pool_parts_ended(mst_pool_t *pool, uint32_t handle) {
    mst_pool_whole_t **place = mst_pool_whole_of(pool, mst_pool_object(&pool->catalogue, handle)), *whole = *place;
    *place = NULL; /* what is left of the object are its attributes, for events */
    for (uint32_t i = 1; i < whole->ncome; i++) mst_pool_catalogue_drop_part(pool, whole->part[i].handle);
    destroy(whole);
}

void mst_pool_parts_give(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_request_t *message) {
    uint32_t handle = mst_pool_session_leased(session, message->argument);
    mst_pool_object_t *object = handle == MST_POOL_NONE ? NULL : mst_pool_object(&pool->catalogue, handle);
    const mst_pool_whole_t *whole = object && object->is_part ? *mst_pool_whole_of(pool, object) : NULL;
    char text[128];
    if (!object || message->kinds >= (whole ? whole->count : 1)) {
        snprintf(text, sizeof text, object ? "part: the object has %u parts, of which the first is 0" : "part: the object is not leased", whole ? whole->count : 1);
        mst_pool_session_fail(pool, session, message->request, object ? MAESTRO_NOT_FOUND : MAESTRO_WRONG_STATE, text);
        return;
    }
    mst_pool_object_t *part = whole ? mst_pool_object(&pool->catalogue, whole->part[message->kinds].handle) : object;
    uint64_t lease = mst_pool_session_grant(pool, session, handle, 0);
    if (!lease) {
        mst_pool_session_fail(pool, session, message->request, MAESTRO_NO_MEMORY, "part: the pool manager has no memory for a lease");
        return;
    }
    session->lease[(uint32_t)lease].observed = 1; /* the object is read once, whatever parts of it */
    mst_wire_reply_t reply = {.request = message->request, .id = part->id, .lease = lease, .place = mst_pool_place(part)};
    mst_pool_session_reply(pool, session, &reply, mst_pool_attributes(pool, part), mst_pool_attributes_nbytes(pool, part));
}

void mst_pool_parts_fini(mst_pool_t *pool) {
    for (size_t i = 0; i < MST_COUNT(pool->parts.waiting); i++)
        while (pool->parts.waiting[i]) destroy(pool->parts.waiting[i]);
    while (pool->parts.whole) destroy(pool->parts.whole);
    free(pool->parts.gone);
}
