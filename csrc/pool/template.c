/* What many objects of one session have in common is kept once, in a template; an object keeps the words in which it differs, and its text.
 *
 * A session goes on with the templates it used last, one for each set of keys.  A word that differs from the template's becomes one that objects
 * of the next template keep themselves; but where a template has served long, a constant has changed, and the next template gets the new one.
 * Invariants: a template's constants are checked, interned and no text; a template lives while an object, an open run or a session refers to it. */
#include "pool/template.h"

#include "pool/manager.h"
#include "pool/session.h"

enum { SETTLED = 1024 };

static uint64_t *constants(const mst_pool_template_t *template) { return (uint64_t *)&template->attributes.value[template->attributes.nvalues]; }
static uint8_t *own_position(const mst_pool_template_t *template) { return (uint8_t *)(constants(template) + template->attributes.nvalues); }
static uint8_t *own_key(const mst_pool_template_t *template) { return own_position(template) + template->nown; }

static size_t template_nbytes(unsigned nvalues, unsigned nown) { return sizeof(mst_pool_template_t) + 16u * nvalues + 2u * nown; }

static bool is_own(const uint64_t *own, unsigned position) { return own[position >> 6] >> (position & 63) & 1; }

void mst_pool_template_unref(mst_pool_t *pool, uint32_t handle) {
    mst_pool_template_t *template = mst_pool_template(&pool->catalogue, handle);
    if (template->refs > 1) {
        template->refs--;
        return;
    }
    if (pool->matched == handle) pool->matched = 0;
    mst_pool_arena_free(&pool->catalogue.arena, handle, template_nbytes(template->attributes.nvalues, template->nown));
}

static bool is_identity(const mst_meta_schema_t *schema, unsigned key) {
    return (schema->identity[key >> 6] | (key < 64 && !schema->whole_pool ? MST_POOL_OWNER_KEYS : 0)) >> (key & 63) & 1;
}

/* Fills in positions and hash; `own` has a bit for each position that lies with the objects. */
static void fill(mst_pool_template_t *template, const mst_meta_attributes_t *set, const mst_meta_schema_t *schema, const uint64_t *own) {
    unsigned position = 0, nown = 0;
    memcpy(&template->attributes, set, sizeof *set + 8u * set->nvalues);
    template->attributes.tail_nbytes = 0;
    template->identity = mst_base_mix(schema->number);
    template->anonymous = !(set->mask[0] & schema->identity[0]) && !(set->mask[1] & schema->identity[1]);
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t bits = set->mask[half]; bits; bits &= bits - 1, position++) {
            unsigned key = half * 64 + (unsigned)__builtin_ctzll(bits);
            constants(template)[position] = is_own(own, position) ? 0 : UINT64_MAX;
            if (is_own(own, position)) {
                own_position(template)[nown] = (uint8_t)position;
                own_key(template)[nown++] = (uint8_t)key;
                template->own[half] |= 1ull << (key & 63);
                if (nown <= 64) template->identity_own |= (uint64_t)is_identity(schema, key) << (nown - 1);
            } else if (is_identity(schema, key)) template->identity += mst_meta_identity_term(set, set->value[position], key, schema);
        }
}

uint32_t mst_pool_template_make(mst_pool_t *pool, const mst_meta_attributes_t *set, const uint64_t *others) {
    uint64_t own[2] = {others[0], others[1]};
    for (unsigned i = 0; i < set->nvalues; i++) own[i >> 6] |= (uint64_t)mst_meta_word_is_tail(set->value[i]) << (i & 63);
    if (mst_meta_attributes_has(set, MST_META_KEY_VERSION)) { /* it becomes known when the object is made */
        unsigned position = mst_meta_attributes_rank(set, MST_META_KEY_VERSION);
        own[position >> 6] |= 1ull << (position & 63);
    }
    unsigned nown = (unsigned)(__builtin_popcountll(own[0]) + __builtin_popcountll(own[1]));
    uint32_t handle = mst_pool_arena_alloc(&pool->catalogue.arena, template_nbytes(set->nvalues, nown));
    if (handle == MST_POOL_NONE) return handle;
    mst_pool_template_t *template = mst_pool_template(&pool->catalogue, handle);
    *template = (mst_pool_template_t){.refs = 1, .nown = nown};
    template->attributes.nvalues = set->nvalues; /* which places the arrays */
    fill(template, set, pool->schema[set->schema], own);
    return handle;
}

static uint32_t *slot_for(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set) {
    for (size_t i = 0; i < MST_COUNT(session->template) && session->template[i]; i++) {
        const mst_meta_attributes_t *attributes = &mst_pool_template(&pool->catalogue, session->template[i])->attributes;
        if (attributes->mask[0] == set->mask[0] && attributes->mask[1] == set->mask[1]) return &session->template[i];
    }
    return NULL;
}

uint32_t mst_pool_template_find(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set) {
    const uint32_t *slot = slot_for(pool, session, set);
    if (!slot) return MST_POOL_NONE;
    const mst_pool_template_t *template = mst_pool_template(&pool->catalogue, *slot);
    const uint64_t *constant = constants(template);
    uint64_t differs = 0;
    for (unsigned i = 0; i < set->nvalues; i++) differs |= (set->value[i] ^ template->attributes.value[i]) & constant[i];
    return differs ? MST_POOL_NONE : *slot;
}

static uint32_t renew(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set, const uint64_t *wanted) {
    uint32_t *slot = slot_for(pool, session, set);
    const mst_pool_template_t *before = slot ? mst_pool_template(&pool->catalogue, *slot) : NULL;
    uint64_t own[2] = {wanted[0], wanted[1]};
    for (unsigned i = 0; i < set->nvalues; i++) {
        bool was_own = before && !constants(before)[i], differs = before && before->attributes.value[i] != set->value[i];
        if (was_own || (differs && before->objects < SETTLED)) own[i >> 6] |= 1ull << (i & 63);
    }
    uint32_t fresh = mst_pool_template_make(pool, set, own);
    if (fresh == MST_POOL_NONE) return fresh;
    if (!slot) slot = &session->template[session->next_template++ % MST_COUNT(session->template)];
    if (*slot) mst_pool_template_unref(pool, *slot);
    *slot = fresh;
    return fresh;
}

uint32_t mst_pool_template_renew(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set) {
    static const uint64_t none[2];
    return renew(pool, session, set, none);
}

bool mst_pool_template_check(mst_pool_t *pool, const mst_pool_template_t *template, const mst_meta_attributes_t *set) {
    const uint8_t *position = own_position(template), *key = own_key(template);
    bool valid = true;
    for (unsigned i = 0; i < template->nown; i++) valid &= mst_meta_attributes_check_word(set, set->value[position[i]], key[i], pool->schema[set->schema], pool->dictionary);
    return valid;
}

uint64_t mst_pool_template_identity(mst_pool_t *pool, const mst_pool_template_t *template, const mst_meta_attributes_t *set) {
    const mst_meta_schema_t *schema = pool->schema[set->schema];
    const uint8_t *position = own_position(template), *key = own_key(template);
    uint64_t hash = template->identity;
    for (unsigned i = 0; i < template->nown; i++)
        if (is_identity(schema, key[i])) hash += mst_meta_identity_term(set, set->value[position[i]], key[i], schema);
    return hash;
}

/* ---- Runs. */

bool mst_pool_template_fits_run(const mst_pool_template_t *template) { return template->nown <= MST_WIRE_RUN_OWN; }

void mst_pool_template_begin_run(const mst_pool_template_t *template, mst_wire_run_t *run) {
    memset(run->position, 0, sizeof run->position);
    memcpy(run->position, own_position(template), template->nown);
    memcpy(&run->attributes, &template->attributes, sizeof run->attributes + 8u * template->attributes.nvalues);
}

uint32_t mst_pool_template_for_run(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set, const uint64_t *own) {
    uint32_t handle = mst_pool_template_find(pool, session, set);
    if (handle != MST_POOL_NONE) {
        const mst_pool_template_t *template = mst_pool_template(&pool->catalogue, handle);
        bool all = true;
        for (unsigned i = 0; i < set->nvalues; i++) all &= !is_own(own, i) || !constants(template)[i];
        if (all) return handle;
    }
    return renew(pool, session, set, own);
}

uint64_t mst_pool_template_identity_of(mst_pool_t *pool, const mst_pool_template_t *template, const uint64_t *own) {
    const mst_meta_schema_t *schema = pool->schema[template->attributes.schema];
    const uint8_t *key = own_key(template);
    uint64_t hash = template->identity;
    for (uint64_t bits = template->identity_own; bits; bits &= bits - 1) {
        unsigned i = (unsigned)__builtin_ctzll(bits);
        hash += mst_meta_identity_mix(own[i], key[i]);
    }
    for (unsigned i = 64; i < template->nown; i++)
        if (is_identity(schema, key[i])) hash += mst_meta_identity_mix(own[i], key[i]);
    return hash;
}

void mst_pool_template_take(const mst_pool_template_t *template, const mst_meta_attributes_t *set, uint64_t *own) {
    const uint8_t *position = own_position(template);
    for (unsigned i = 0; i < template->nown; i++) own[i] = set->value[position[i]];
    if (set->tail_nbytes) memcpy(&own[template->nown], mst_meta_attributes_tail(set), set->tail_nbytes);
}

/* ---- From an object back to its attributes. */

size_t mst_pool_attributes_nbytes(mst_pool_t *pool, const mst_pool_object_t *object) {
    return mst_meta_attributes_nbytes(&mst_pool_template(&pool->catalogue, object->template)->attributes) + object->tail_nbytes;
}

/* `out` may lie in a client's memory: nothing is read back from it. */
void mst_pool_attributes_write(mst_pool_t *pool, const mst_pool_object_t *object, mst_meta_attributes_t *out) {
    const mst_pool_template_t *template = mst_pool_template(&pool->catalogue, object->template);
    const uint8_t *position = own_position(template);
    memcpy(out, &template->attributes, sizeof *out + 8u * template->attributes.nvalues);
    const uint64_t *own = mst_pool_own((mst_pool_object_t *)object);
    for (unsigned i = 0; i < template->nown; i++) out->value[position[i]] = own[i];
    out->tail_nbytes = object->tail_nbytes;
    if (object->tail_nbytes) memcpy(&out->value[template->attributes.nvalues], &own[template->nown], object->tail_nbytes);
}

const mst_meta_attributes_t *mst_pool_attributes(mst_pool_t *pool, const mst_pool_object_t *object) {
    mst_meta_attributes_t *out = pool->expanded[pool->next_expanded++ % MST_COUNT(pool->expanded)];
    mst_pool_attributes_write(pool, object, out);
    return out;
}

bool mst_pool_same_value(const mst_pool_t *pool, const mst_meta_attributes_t *a, const mst_meta_attributes_t *b, unsigned key) {
    if (mst_meta_attributes_has(a, key) != mst_meta_attributes_has(b, key)) return false;
    if (!mst_meta_attributes_has(a, key)) return true;
    uint64_t x = a->value[mst_meta_attributes_rank(a, key)], y = b->value[mst_meta_attributes_rank(b, key)];
    if (x == y && !mst_meta_word_is_tail(x)) return true;
    maestro_type_t type = pool->schema[a->schema]->attribute[key].type;
    if (!mst_meta_type_is_text(type)) return false;
    uint32_t nx, ny;
    const char *tx = mst_meta_attributes_text(a, x, pool->dictionary, &nx), *ty = mst_meta_attributes_text(b, y, pool->dictionary, &ny);
    return nx == ny && memcmp(tx, ty, nx) == 0;
}
