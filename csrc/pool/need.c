/* Needs: that a subscription, a consumer group, a demand that waits or a declaration selects objects is told to who can provide them, as events `required`
 * and `retracted`.  A need is a notice that lives as long as what is behind it, so that the snapshot of a late subscription has it too. */
#include "pool/need.h"

#include "pool/manager.h"
#include "pool/session.h"
#include "pool/subscription.h"

enum { PER_SESSION_MAX = 4096 };

struct mst_pool_requirement {
    uint32_t number, need;
    mst_pool_requirement_t *next;
};

/* A group outlives the session that made it, and so is told by its own name. */
static void describe_owner(mst_meta_builder_t *builder, const mst_pool_session_t *session, const char *group) {
    const char *name = group ? group : session->component;
    mst_meta_builder_set_text(builder, MST_META_KEY_COMPONENT, name, strlen(name));
    if (group) return;
    mst_meta_builder_set_i64(builder, MST_META_KEY_RANK, session->rank);
    mst_meta_builder_set_i64(builder, MST_META_KEY_PID, session->pid);
}

static void describe(mst_meta_builder_t *builder, const mst_meta_schema_t *schema, const char *selector, const char *reason, int64_t number) {
    mst_meta_builder_set_text(builder, MST_META_KEY_REASON, reason, strlen(reason));
    mst_meta_builder_set_i64(builder, MST_META_KEY_NEED, number);
    mst_meta_builder_set_text(builder, MST_META_KEY_SCHEMA, schema->name, strlen(schema->name));
    mst_meta_builder_set_text(builder, MST_META_KEY_SELECTOR, selector, strlen(selector));
}

static uint32_t make_notice(mst_pool_t *pool, const mst_pool_session_t *session, const mst_meta_builder_t *builder) {
    uint32_t handle = MST_POOL_NONE;
    size_t nbytes = 0;
    mst_meta_builder_pack(builder, 0, NULL, 0, &nbytes);
    mst_meta_attributes_t *attributes = malloc(nbytes);
    if (attributes && mst_meta_builder_pack(builder, 0, attributes, nbytes, &nbytes) == MAESTRO_OK) {
        mst_meta_attributes_intern(attributes, pool->schema[0], pool->dictionary, true);
        handle = mst_pool_catalogue_notice(pool, (uint64_t)session->number << 40, MAESTRO_EVENT_REQUIRED, attributes);
    }
    free(attributes);
    return handle;
}

/* A selector too long for an event is told as everything, so that nothing that is needed is held back; and a demand then as a declaration, for it is met by one
 * object, everything by all. */
uint32_t mst_pool_need_begin(mst_pool_t *pool, const mst_pool_session_t *session, const char *group, const mst_meta_selector_t *selector, const char *reason) {
    mst_meta_builder_t builder;
    bool fits = strlen(selector->source) < MST_META_TAIL_MAX - 1024;
    if (!fits && strcmp(reason, "demand") == 0) reason = "require";
    mst_meta_builder_init(&builder, pool->schema[0], pool->dictionary);
    describe_owner(&builder, session, group);
    describe(&builder, selector->schema, fits ? selector->source : "", reason, (int64_t)++pool->needs.numbers);
    uint32_t need = make_notice(pool, session, &builder);
    mst_meta_builder_fini(&builder);
    if (need == MST_POOL_NONE) return 0;
    pool->needs.live++;
    mst_pool_publish(pool, need, MAESTRO_EVENT_REQUIRED, mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, need)));
    return need;
}

static bool keep_ended(mst_pool_t *pool, uint32_t notice) {
    if (!MST_RESERVE(pool->needs.ended, pool->needs.ended_capacity, pool->needs.nended + 1, 64)) return false; /* who provides goes on as if it were needed */
    pool->needs.ended[pool->needs.nended++] = notice;
    return true;
}

void mst_pool_need_end(mst_pool_t *pool, uint32_t need) {
    if (!need) return;
    const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, need);
    if (pool->kinds_wanted[__builtin_ctz(MAESTRO_EVENT_RETRACTED)]) {
        uint32_t notice = mst_pool_catalogue_notice(pool, object->id, MAESTRO_EVENT_RETRACTED, mst_pool_attributes(pool, object));
        if (notice != MST_POOL_NONE) keep_ended(pool, notice);
    }
    mst_pool_catalogue_withdraw(pool, need);
    pool->needs.live--;
}

/* A demand ends while the events of offers are handed out; the log's order is kept when its end is told afterwards. */
void mst_pool_need_tell_ended(mst_pool_t *pool) {
    for (size_t i = 0; i < pool->needs.nended; i++) {
        uint32_t notice = pool->needs.ended[i];
        mst_pool_publish(pool, notice, MAESTRO_EVENT_RETRACTED, mst_pool_attributes(pool, mst_pool_object(&pool->catalogue, notice)));
    }
    pool->needs.nended = 0;
}

/* ---- Declarations. */

maestro_status_t mst_pool_need_declare(mst_pool_t *pool, mst_pool_session_t *session, const char *text, uint32_t *number_out) {
    mst_meta_selector_t *selector;
    if (session->nrequirements >= PER_SESSION_MAX)
        return mst_base_fail(MAESTRO_TOO_LARGE, "require \"%.80s\": this session has declared %d needs, the most it may; retract some", text, PER_SESSION_MAX);
    MST_TRY(mst_meta_selector_parse(pool->schema[session->schema], text, &selector));
    mst_meta_selector_bind(selector, pool->dictionary);
    mst_pool_requirement_t *requirement = malloc(sizeof *requirement);
    if (requirement) {
        *requirement = (mst_pool_requirement_t){.need = mst_pool_need_begin(pool, session, NULL, selector, "require"), .next = session->requirements};
        requirement->number = *number_out = (uint32_t)pool->needs.numbers;
        session->requirements = requirement;
        session->nrequirements++;
    }
    mst_meta_selector_destroy(selector);
    return requirement ? MAESTRO_OK : mst_base_fail(MAESTRO_NO_MEMORY, "require: no memory in the pool manager");
}

static void drop(mst_pool_t *pool, mst_pool_session_t *session, mst_pool_requirement_t **link) {
    mst_pool_requirement_t *requirement = *link;
    *link = requirement->next;
    mst_pool_need_end(pool, requirement->need);
    free(requirement);
    session->nrequirements--;
}

void mst_pool_need_retract(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number) {
    mst_pool_requirement_t **link = &session->requirements;
    while (*link && (*link)->number != number) link = &(*link)->next;
    if (*link) drop(pool, session, link);
}

void mst_pool_need_retract_all(mst_pool_t *pool, mst_pool_session_t *session) {
    while (session->requirements) drop(pool, session, &session->requirements);
}
