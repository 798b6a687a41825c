/* Live objects: identity, leases, end of life. */
#ifndef MST_POOL_CATALOGUE_H
#define MST_POOL_CATALOGUE_H

#include "meta/index.h"
#include "pool/arena.h"
#include "pool/identities.h"
#include "pool/template.h"

typedef struct mst_pool_catalogue {
    mst_pool_arena_t arena;
    mst_pool_identities_t identities;
    uint64_t arena_touched, identities_touched;
    mst_meta_index_t *index;
    uint64_t indexed_to;    /* sequence up to which live objects are in the index */
    bool index_broken;      /* it ran out of memory: searches scan from now on */
    uint64_t live, hidden, limit; /* hidden: parts that wait for others, or hang on part 0 */
    uint64_t offered_total, withdrawn_total, expired_total, refused_total, bytes_total, copied_total;
    uint64_t leases, leases_total;
    struct {
        uint32_t handle;
        int64_t when_ns;
        bool expired;
    } withdrawn[64];        /* the last ones, so that who comes too late can be told; a ring, holding references */
    uint32_t withdrawn_next;
} mst_pool_catalogue_t;

static inline mst_pool_object_t *mst_pool_object(mst_pool_catalogue_t *catalogue, uint32_t handle) {
    return (mst_pool_object_t *)(catalogue->arena.base + (uint64_t)handle * 16);
}

static inline mst_pool_template_t *mst_pool_template(const mst_pool_catalogue_t *catalogue, uint32_t handle) {
    return (mst_pool_template_t *)(catalogue->arena.base + (uint64_t)handle * 16);
}
static inline uint16_t mst_pool_schema_of(const mst_pool_catalogue_t *catalogue, const mst_pool_object_t *object) {
    return mst_pool_template(catalogue, object->template)->attributes.schema;
}

maestro_status_t mst_pool_catalogue_init(mst_pool_t *pool);
void mst_pool_catalogue_fini(mst_pool_t *pool);
void mst_pool_catalogue_prepare(mst_pool_t *pool); /* between rounds: memory for what comes next */
/* Takes an offer whose attributes are checked and interned, made from a template; the tag is the low half of its identity's hash.
 * OK, DUPLICATE (id of the other in *other_out), NO_MEMORY. */
maestro_status_t mst_pool_catalogue_offer(mst_pool_t *pool, mst_pool_session_t *session, uint64_t id, const mst_wire_place_t *place,
                                          const mst_meta_attributes_t *attributes, uint32_t template, uint32_t tag, uint32_t *handle_out, uint64_t *other_out);
/* A part, in two steps: made and hidden; then, of part 0, shown as the whole object: OK, DUPLICATE, NO_MEMORY.  Its attributes are then pool->offered. */
uint32_t mst_pool_catalogue_hide(mst_pool_t *pool, mst_pool_session_t *session, uint64_t id, const mst_wire_place_t *place, const mst_meta_attributes_t *attributes,
                                 uint32_t template, uint32_t tag, mst_pool_whole_t *whole);
maestro_status_t mst_pool_catalogue_reveal(mst_pool_t *pool, uint32_t handle, uint64_t *other_out);
void mst_pool_catalogue_drop_part(mst_pool_t *pool, uint32_t handle); /* a part that is not shown, or is no more: its bytes go back */
mst_pool_whole_t **mst_pool_whole_of(mst_pool_t *pool, mst_pool_object_t *object); /* of a part */
bool mst_pool_catalogue_same(mst_pool_t *pool, uint32_t handle, const mst_meta_attributes_t *attributes); /* owner and identity */
uint32_t mst_pool_catalogue_find(mst_pool_t *pool, uint32_t tag, const mst_meta_attributes_t *attributes); /* the live one of this identity; MST_POOL_NONE */
/* An object without bytes that is not there, for an event that speaks of it. */
void mst_pool_catalogue_tell(mst_pool_t *pool, uint64_t id, uint32_t kind, const mst_meta_attributes_t *attributes);
/* An object of these own words, of which none is text, comes soon: brings near where it will be looked for; its tag. */
uint32_t mst_pool_catalogue_expect(mst_pool_t *pool, uint32_t template, const uint64_t *own);
/* An object's metadata without identity: for notices. */
uint32_t mst_pool_catalogue_notice(mst_pool_t *pool, uint64_t id, uint8_t kind, const mst_meta_attributes_t *attributes);
/* Whether a handle that was kept still names the live object whose first event had this sequence: slots are used again. */
bool mst_pool_is_live(mst_pool_t *pool, uint32_t handle, uint64_t sequence);
void mst_pool_catalogue_end(mst_pool_t *pool, uint32_t handle, uint32_t kind); /* WITHDRAWN or EXPIRED; else as: */
void mst_pool_catalogue_withdraw(mst_pool_t *pool, uint32_t handle);  /* live -> withdrawn, with its event; ends when no lease is left */
/* Of the last ones that were withdrawn the newest that matches, or has this id; writes what became of it: "was withdrawn 2 s ago", "expired 0.1 s ago, after
 * 3 demands".  MST_POOL_NONE: none. */
uint32_t mst_pool_catalogue_find_withdrawn(mst_pool_t *pool, const mst_meta_selector_t *selector, uint16_t schema, char *fate, size_t nbytes);
uint32_t mst_pool_catalogue_find_withdrawn_id(mst_pool_t *pool, uint64_t id, char *fate, size_t nbytes);
void mst_pool_catalogue_lease_ended(mst_pool_t *pool, uint32_t handle);
void mst_pool_catalogue_unref(mst_pool_t *pool, uint32_t handle);     /* the retained log lets go */
/* Brings the index forward by at most `budget` objects; true when it is up to date. */
bool mst_pool_catalogue_index_step(mst_pool_t *pool, size_t budget);

#endif
