/* Live objects: who has which identity, who may read them, when they end.  Component and rank belong to an object's identity (reach: node). */
#include "pool/catalogue.h"

#include "pool/manager.h"
#include "pool/request.h"
#include "pool/session.h"

#include <stdio.h>

static size_t object_nbytes(const mst_pool_catalogue_t *catalogue, const mst_pool_object_t *object) {
    size_t words = mst_pool_words_before_own(object) + mst_pool_template(catalogue, object->template)->nown;
    return offsetof(mst_pool_object_t, rest) + 8u * words + MST_ALIGN(object->tail_nbytes, 8) + object->is_part * sizeof(mst_pool_whole_t *);
}

mst_pool_whole_t **mst_pool_whole_of(mst_pool_t *pool, mst_pool_object_t *object) {
    return (mst_pool_whole_t **)((char *)object + object_nbytes(&pool->catalogue, object)) - 1;
}

static const mst_meta_attributes_t *lookup(void *context, uint32_t handle) {
    mst_pool_t *pool = context;
    const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    return object->id && object->state == MST_POOL_LIVE && !object->notice && object->indexed ? mst_pool_attributes(pool, object) : NULL;
}

bool mst_pool_is_live(mst_pool_t *pool, uint32_t handle, uint64_t sequence) {
    const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    return object->id && object->state == MST_POOL_LIVE && object->sequence == sequence;
}

maestro_status_t mst_pool_catalogue_init(mst_pool_t *pool) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    MST_TRY(mst_pool_arena_init(&catalogue->arena));
    MST_TRY(mst_pool_identities_init(&catalogue->identities, catalogue->arena.reserved / 4));
    catalogue->limit = (uint64_t)mst_base_setting_bytes("MAESTRO_POOL_OBJECTS", 20000000);
    return mst_meta_index_create(lookup, pool, pool->dictionary, &catalogue->index);
}

void mst_pool_catalogue_fini(mst_pool_t *pool) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    mst_meta_index_destroy(catalogue->index);
    mst_pool_identities_fini(&catalogue->identities);
    mst_pool_arena_fini(&catalogue->arena);
}

void mst_pool_catalogue_prepare(mst_pool_t *pool) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    const mst_pool_identities_t *identities = &catalogue->identities;
    mst_pool_helper_touch(pool, &catalogue->arena_touched, catalogue->arena.base, catalogue->arena.reserved, catalogue->arena.used);
    mst_pool_helper_touch(pool, &catalogue->identities_touched, identities->bucket, identities->links * sizeof *identities->bucket,
                          identities->nbuckets * sizeof *identities->bucket);
}

/* Component and rank, which follow each other, belong to the identity. */
static bool same_owner(const mst_meta_attributes_t *a, const mst_meta_attributes_t *b) {
    unsigned x = mst_meta_attributes_rank(a, MST_META_KEY_COMPONENT), y = mst_meta_attributes_rank(b, MST_META_KEY_COMPONENT);
    return a->value[x] == b->value[y] && a->value[x + 1] == b->value[y + 1];
}

bool mst_pool_catalogue_same(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *attributes) {
    const mst_meta_attributes_t *other = mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, handle));
    const mst_meta_schema_t *schema = pool->schema[attributes->schema];
    if (other->schema != attributes->schema || (!schema->whole_pool && !same_owner(other, attributes))) return false;
    return mst_meta_attributes_identity_equal(other, attributes, schema);
}

/* The live object that has this identity, or MST_POOL_NONE; then the cursor is where it can be put. */
static uint32_t find_same(mst_pool_t *pool, const mst_meta_attributes_t *attributes, mst_pool_identity_cursor_t *cursor) {
    for (uint32_t handle; (handle = mst_pool_identities_next(&pool->catalogue.identities, cursor)) != MST_POOL_NONE;)
        if (mst_pool_catalogue_same(pool, handle, attributes)) return handle;
    return MST_POOL_NONE;
}

uint32_t mst_pool_catalogue_find(mst_pool_t *pool, uint32_t tag, const mst_meta_attributes_t *attributes) {
    mst_pool_identity_cursor_t cursor = mst_pool_identities_find(&pool->catalogue.identities, tag);
    return find_same(pool, attributes, &cursor);
}

uint32_t mst_pool_catalogue_expect(mst_pool_t *pool, uint32_t template, const uint64_t *own) {
    uint32_t tag = (uint32_t)mst_pool_template_identity_of(pool, mst_pool_template(&pool->catalogue, template), own);
    mst_pool_identities_expect(&pool->catalogue.identities, tag);
    return tag;
}

/* The object takes a reference to its template. */
static uint32_t create(mst_pool_t *pool, uint64_t id, const mst_wire_place_t *place, const mst_meta_attributes_t *attributes, uint32_t template_handle, bool is_part) {
    mst_pool_template_t *template = mst_pool_template(&pool->catalogue, template_handle);
    bool has_place = place->segment != MST_WIRE_NO_SEGMENT, has_life = attributes->mask[0] & MST_POOL_LIFE_KEYS;
    mst_pool_object_t fresh = {.id = id, .waiter = MST_POOL_NONE, .template = template_handle, .tail_nbytes = (uint16_t)attributes->tail_nbytes,
                               .has_place = has_place, .has_life = has_life, .is_part = is_part};
    uint32_t handle = mst_pool_arena_alloc(&pool->catalogue.arena, object_nbytes(&pool->catalogue, &fresh));
    if (handle == MST_POOL_NONE) return handle;
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    *object = fresh;
    if (has_place) {
        object->rest[0] = (uint64_t)place->segment << 32 | place->offset / 64;
        object->rest[1] = place->nbytes;
    }
    if (has_life) *mst_pool_life(object) = (mst_pool_life_t){.place = MST_POOL_NONE};
    mst_pool_template_take(template, attributes, mst_pool_own(object));
    template->refs++;
    template->objects++;
    return handle;
}

/* Where an object keeps its version, which is a word of its own. */
static uint64_t *version_of(mst_pool_t *pool, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    uint64_t before = mst_pool_template(&pool->catalogue, object->template)->own[0] & ((1ull << MST_META_KEY_VERSION) - 1);
    return mst_pool_own(object) + __builtin_popcountll(before);
}

/* The new object takes the place of the one that has its identity, which ends; whoever reads that one reads on.  What is relayed has its version, and comes
 * too late when there is one as new. */
static void take_place(mst_pool_t *pool, uint32_t handle, uint32_t old) {
    uint64_t version = pool->relayed ? *version_of(pool, handle) : *version_of(pool, old) + 1;
    if (version <= *version_of(pool, old)) return;
    *version_of(pool, handle) = version;
    pool->offered->value[mst_meta_attributes_rank(pool->offered, MST_META_KEY_VERSION)] = version;
    mst_pool_request_end_object(pool, old, MAESTRO_EVENT_WITHDRAWN);
}

static void free_metadata(mst_pool_t *pool, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    uint32_t template = object->template;
    mst_pool_arena_free(&pool->catalogue.arena, handle, object_nbytes(&pool->catalogue, object));
    mst_pool_template_unref(pool, template);
}

/* The object enters the table of identities; with versions it takes the place of the one there.  `attributes` are its own, and pool->offered. */
static maestro_status_t take_identity(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *attributes, uint64_t *other_out) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    const mst_pool_object_t *object = mst_pool_object(catalogue, handle);
    bool anonymous = mst_pool_template(catalogue, object->template)->anonymous;
    mst_pool_identity_cursor_t cursor = mst_pool_identities_find(&catalogue->identities, object->tag);
    uint32_t same = anonymous ? MST_POOL_NONE : find_same(pool, attributes, &cursor);
    if (same != MST_POOL_NONE && pool->schema[attributes->schema]->versions && !mst_pool_awaits_archive(mst_pool_object(catalogue, same))) {
        take_place(pool, handle, same);
        cursor = mst_pool_identities_find(&catalogue->identities, object->tag);
        same = find_same(pool, attributes, &cursor);
    }
    if (same != MST_POOL_NONE) {
        *other_out = mst_pool_object(catalogue, same)->id;
        return MAESTRO_DUPLICATE;
    }
    return anonymous || mst_pool_identities_put(&catalogue->identities, &cursor, handle) ? MAESTRO_OK : MAESTRO_NO_MEMORY;
}

/* It is there, for its owner to name and with its bytes; and it is seen. */
static void settle(mst_pool_t *pool, mst_pool_session_t *session, uint32_t handle, const mst_wire_place_t *place) {
    if (place->segment != MST_WIRE_NO_SEGMENT) mst_pool_lending_block_taken(pool, place);
    pool->catalogue.bytes_total += place->nbytes;
    mst_pool_session_set_id(session, mst_pool_object(&pool->catalogue, handle)->id, handle);
}

static void appear(mst_pool_catalogue_t *catalogue, uint32_t handle) {
    mst_pool_object(catalogue, handle)->state = MST_POOL_LIVE;
    catalogue->live++;
    catalogue->offered_total++;
}

maestro_status_t mst_pool_catalogue_offer(mst_pool_t *pool, mst_pool_session_t *session, uint64_t id, const mst_wire_place_t *place,
                                          const mst_meta_attributes_t *attributes, uint32_t template, uint32_t tag, uint32_t *handle_out, uint64_t *other_out) {
    mst_pool_identities_expect(&pool->catalogue.identities, tag); /* the copy hides the cache miss */
    uint32_t handle = create(pool, id, place, attributes, template, false);
    if (handle == MST_POOL_NONE) return MAESTRO_NO_MEMORY;
    mst_pool_object(&pool->catalogue, handle)->tag = tag;
    maestro_status_t status = take_identity(pool, handle, attributes, other_out);
    if (status != MAESTRO_OK) {
        free_metadata(pool, handle);
        return status;
    }
    settle(pool, session, handle, place);
    appear(&pool->catalogue, handle);
    *handle_out = handle;
    return MAESTRO_OK;
}

uint32_t mst_pool_catalogue_hide(mst_pool_t *pool, mst_pool_session_t *session, uint64_t id, const mst_wire_place_t *place, const mst_meta_attributes_t *attributes,
                                 uint32_t template, uint32_t tag, mst_pool_whole_t *whole) {
    uint32_t handle = create(pool, id, place, attributes, template, true);
    if (handle == MST_POOL_NONE) return handle;
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    object->tag = tag;
    *mst_pool_whole_of(pool, object) = whole;
    settle(pool, session, handle, place);
    pool->catalogue.hidden++;
    return handle;
}

maestro_status_t mst_pool_catalogue_reveal(mst_pool_t *pool, uint32_t handle, uint64_t *other_out) {
    mst_pool_attributes_write(pool, mst_pool_object(&pool->catalogue, handle), pool->offered);
    MST_TRY(take_identity(pool, handle, pool->offered, other_out));
    pool->catalogue.hidden--;
    appear(&pool->catalogue, handle);
    return MAESTRO_OK;
}

void mst_pool_catalogue_drop_part(mst_pool_t *pool, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    mst_pool_session_t *owner = mst_pool_session_by_number(pool, mst_pool_owner(object->id));
    mst_wire_place_t place = mst_pool_place(object);
    if (object->has_place) mst_pool_lending_block_ended(pool, object->id, &place);
    if (owner) mst_pool_session_forget_id(owner, object->id);
    pool->catalogue.hidden--;
    free_metadata(pool, handle);
}

static bool born_ended(const mst_pool_object_t *object) { return object->notice == MAESTRO_EVENT_LEFT || object->notice == MAESTRO_EVENT_RETRACTED; }

uint32_t mst_pool_catalogue_notice(mst_pool_t *pool, uint64_t id, uint8_t kind, const mst_meta_attributes_t *attributes) {
    static const uint64_t none[2];
    static const mst_wire_place_t nowhere = {.segment = MST_WIRE_NO_SEGMENT};
    uint32_t template = mst_pool_template_make(pool, attributes, none);
    if (template == MST_POOL_NONE) return template;
    uint32_t handle = create(pool, id, &nowhere, attributes, template, false);
    mst_pool_template_unref(pool, template);
    if (handle == MST_POOL_NONE) return handle;
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    object->notice = kind;
    object->state = born_ended(object) ? MST_POOL_ENDED : MST_POOL_LIVE;
    return handle;
}

/* A withdrawn object that nobody reads: its bytes go back; its metadata stay while retained events speak of it. */
static void end(mst_pool_t *pool, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    if (object->state != MST_POOL_WITHDRAWN || object->leases) return;
    object->state = MST_POOL_ENDED;
    if (object->has_place) {
        mst_wire_place_t place = mst_pool_place(object);
        mst_pool_lending_block_ended(pool, object->id, &place);
    }
    if (object->waiter != MST_POOL_NONE) mst_pool_request_released(pool, object->waiter, handle);
    if (object->is_part) mst_pool_parts_ended(pool, handle);
    if (object->refs) pool->log.dead_nbytes += object_nbytes(&pool->catalogue, object);
    else free_metadata(pool, handle);
}

void mst_pool_catalogue_tell(mst_pool_t *pool, uint64_t id, uint32_t kind, const mst_meta_attributes_t *attributes) {
    uint32_t handle = mst_pool_catalogue_notice(pool, id, 0, attributes);
    if (handle == MST_POOL_NONE) return;
    mst_pool_object(&pool->catalogue, handle)->state = MST_POOL_WITHDRAWN;
    mst_pool_publish(pool, handle, kind, attributes);
    end(pool, handle);
}

static void remember_withdrawn(mst_pool_t *pool, uint32_t handle, bool expired) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    uint32_t slot = catalogue->withdrawn_next++ % MST_COUNT(catalogue->withdrawn), oldest = catalogue->withdrawn[slot].handle;
    mst_pool_object(catalogue, handle)->refs++;
    catalogue->withdrawn[slot].handle = handle;
    catalogue->withdrawn[slot].when_ns = pool->now_ns;
    catalogue->withdrawn[slot].expired = expired;
    if (oldest) mst_pool_catalogue_unref(pool, oldest);
}

static uint32_t withdrawn_at(mst_pool_t *pool, uint32_t slot, char *fate, size_t nbytes) {
    const mst_pool_catalogue_t *catalogue = &pool->catalogue;
    uint32_t handle = catalogue->withdrawn[slot].handle;
    bool expired = catalogue->withdrawn[slot].expired;
    int at = snprintf(fate, nbytes, "%s %.3g s ago", expired ? "expired" : "was withdrawn", (double)(pool->now_ns - catalogue->withdrawn[slot].when_ns) / 1e9);
    if (expired && (size_t)at < nbytes) mst_pool_lifetime_describe(pool, handle, fate + at, nbytes - (size_t)at);
    return handle;
}

/* The slot of the i-th last one; false: there is none. */
static bool slot_of_withdrawn(const mst_pool_catalogue_t *catalogue, uint32_t i, uint32_t *slot_out) {
    *slot_out = (catalogue->withdrawn_next - i) % MST_COUNT(catalogue->withdrawn);
    return i <= MST_COUNT(catalogue->withdrawn) && catalogue->withdrawn[*slot_out].handle;
}

uint32_t mst_pool_catalogue_find_withdrawn(mst_pool_t *pool, const mst_meta_selector_t *selector, uint16_t schema, char *fate, size_t nbytes) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    for (uint32_t i = 1, slot; slot_of_withdrawn(catalogue, i, &slot); i++)
        if (mst_pool_selects(pool, selector, schema, mst_pool_object(catalogue, catalogue->withdrawn[slot].handle))) return withdrawn_at(pool, slot, fate, nbytes);
    return MST_POOL_NONE;
}

uint32_t mst_pool_catalogue_find_withdrawn_id(mst_pool_t *pool, uint64_t id, char *fate, size_t nbytes) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    for (uint32_t i = 1, slot; slot_of_withdrawn(catalogue, i, &slot); i++)
        if (mst_pool_object(catalogue, catalogue->withdrawn[slot].handle)->id == id) return withdrawn_at(pool, slot, fate, nbytes);
    return MST_POOL_NONE;
}

void mst_pool_catalogue_end(mst_pool_t *pool, uint32_t handle, uint32_t kind) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    mst_pool_object_t *object = mst_pool_object(catalogue, handle);
    if (object->state != MST_POOL_LIVE) return;
    if (!object->notice) {
        mst_pool_identities_remove(&catalogue->identities, object->tag, handle);
        if (object->indexed) mst_meta_index_remove(catalogue->index, handle, mst_pool_attributes(pool, object));
        catalogue->live--;
        catalogue->withdrawn_total++;
        mst_pool_session_t *owner = mst_pool_session_by_number(pool, mst_pool_owner(object->id));
        if (owner) mst_pool_session_forget_id(owner, object->id);
        if (owner) owner->total.withdrawn++;
        if (object->is_part) mst_pool_parts_withdrawn(pool, handle);
        catalogue->expired_total += kind == MAESTRO_EVENT_EXPIRED;
        remember_withdrawn(pool, handle, kind == MAESTRO_EVENT_EXPIRED);
    }
    object->state = MST_POOL_WITHDRAWN;
    object->indexed = 0;
    if (object->has_life) mst_pool_lifetime_end(pool, handle);
    if (!object->notice) mst_pool_publish(pool, handle, kind, mst_pool_attributes(pool, object));
    end(pool, handle);
}

void mst_pool_catalogue_withdraw(mst_pool_t *pool, uint32_t handle) { mst_pool_catalogue_end(pool, handle, MAESTRO_EVENT_WITHDRAWN); }

void mst_pool_catalogue_lease_ended(mst_pool_t *pool, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    pool->catalogue.leases--;
    if (--object->leases) return;
    if (object->consuming) mst_pool_request_unleased(pool, handle);
    else end(pool, handle);
}

void mst_pool_catalogue_unref(mst_pool_t *pool, uint32_t handle) {
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    if (--object->refs || object->state != MST_POOL_ENDED) return;
    if (!born_ended(object)) pool->log.dead_nbytes -= object_nbytes(&pool->catalogue, object);
    free_metadata(pool, handle);
}

bool mst_pool_catalogue_index_step(mst_pool_t *pool, size_t budget) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    mst_pool_entry_t entries[256];
    while (catalogue->indexed_to < mst_pool_log_last(&pool->log)) {
        if (budget == 0) return false;
        size_t capacity = budget < MST_COUNT(entries) ? budget : MST_COUNT(entries);
        size_t count = mst_pool_log_read(pool, catalogue->indexed_to, entries, capacity, &catalogue->indexed_to);
        for (size_t i = 0; i < count; i++) {
            mst_pool_object_t *object = mst_pool_object(catalogue, entries[i].handle);
            if (entries[i].kind != MAESTRO_EVENT_OFFERED || object->state != MST_POOL_LIVE || object->indexed) continue;
            if (mst_meta_index_insert(catalogue->index, entries[i].handle, mst_pool_attributes(pool, object)) == MAESTRO_OK) object->indexed = 1;
            else catalogue->index_broken = true;
        }
        budget -= count < budget ? count : budget;
    }
    return true;
}
