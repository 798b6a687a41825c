/* What lies on other nodes, as the link has told: attributes alone.  As long as the link lives, what is needed comes by itself.  When it has gone, demands that
 * something there would meet fail at once, saying so, and all others wait on.  The next link begins a new list; the old one is forgotten slice by slice.
 *
 * Invariant: what a former link told stands at the list's beginning. */
#include "pool/elsewhere.h"

#include "pool/manager.h"
#include "pool/request.h"
#include "pool/session.h"

#include <search.h>
#include <stdio.h>

enum { SLICE = 256, FORGOTTEN_AT_ONCE = 64 };

struct mst_pool_elsewhere_entry {
    uint64_t id;                      /* of the link's session; first: the tree's key */
    size_t at;                        /* its place in the list */
    mst_meta_attributes_t attributes;
};

static int by_id(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The list's last one takes its place. */
static void forget(mst_pool_elsewhere_t *elsewhere, size_t at) {
    mst_pool_elsewhere_entry_t *entry = elsewhere->entry[at], *last = elsewhere->entry[--elsewhere->count];
    tdelete(entry, &elsewhere->tree, by_id);
    last->at = at;
    elsewhere->entry[at] = last;
    free(entry);
}

void mst_pool_elsewhere_fini(mst_pool_t *pool) {
    mst_pool_elsewhere_t *elsewhere = &pool->elsewhere;
    while (elsewhere->count) forget(elsewhere, elsewhere->count - 1);
    free(elsewhere->entry);
    *elsewhere = (mst_pool_elsewhere_t){0};
}

void mst_pool_elsewhere_begin(mst_pool_t *pool, const mst_pool_session_t *session) {
    pool->elsewhere.nold = pool->elsewhere.count;
    pool->elsewhere.session = session->number;
    pool->elsewhere.lost_ns = 0;
}

void mst_pool_elsewhere_forget_old(mst_pool_t *pool) {
    mst_pool_elsewhere_t *elsewhere = &pool->elsewhere;
    if (!elsewhere->nold) return;
    for (int i = 0; i < FORGOTTEN_AT_ONCE && elsewhere->nold; i++) forget(elsewhere, --elsewhere->nold);
    pool->next_deadline_ns = pool->now_ns; /* demands wait for that when this link is lost, too */
}

maestro_status_t mst_pool_elsewhere_add(mst_pool_t *pool, const mst_pool_session_t *session, uint64_t id, const mst_meta_attributes_t *attributes) {
    mst_pool_elsewhere_t *elsewhere = &pool->elsewhere;
    if (elsewhere->session != session->number) return MAESTRO_WRONG_STATE;
    if (!MST_RESERVE(elsewhere->entry, elsewhere->capacity, elsewhere->count + 1, 1024)) return MAESTRO_NO_MEMORY;
    size_t nbytes = mst_meta_attributes_nbytes(attributes);
    mst_pool_elsewhere_entry_t *entry = malloc(offsetof(mst_pool_elsewhere_entry_t, attributes) + nbytes);
    if (!entry) return MAESTRO_NO_MEMORY;
    entry->id = id;
    entry->at = elsewhere->count;
    memcpy(&entry->attributes, attributes, nbytes);
    if (!tsearch(entry, &elsewhere->tree, by_id)) {
        free(entry);
        return MAESTRO_NO_MEMORY;
    }
    elsewhere->entry[elsewhere->count++] = entry;
    return MAESTRO_OK;
}

bool mst_pool_elsewhere_remove(mst_pool_t *pool, uint64_t id) {
    mst_pool_elsewhere_t *elsewhere = &pool->elsewhere;
    mst_pool_elsewhere_entry_t *const *node = tfind(&id, &elsewhere->tree, by_id);
    if (!node || (*node)->at < elsewhere->nold) return false;
    forget(elsewhere, (*node)->at);
    return true;
}

void mst_pool_elsewhere_lose(mst_pool_t *pool, const mst_pool_session_t *session) {
    if (pool->elsewhere.session != session->number) return;
    pool->elsewhere.lost_ns = pool->now_ns;
    pool->elsewhere.losses++;
}

bool mst_pool_elsewhere_unseen(const mst_pool_t *pool, const mst_pool_request_t *request) {
    if (!pool->elsewhere.lost_ns || pool->elsewhere.nold) return false;
    return request->losses != pool->elsewhere.losses || request->elsewhere_at < pool->elsewhere.count;
}

bool mst_pool_elsewhere_step(mst_pool_t *pool, mst_pool_request_t *request, char *text, size_t nbytes) {
    const mst_pool_elsewhere_t *elsewhere = &pool->elsewhere;
    if (request->losses != elsewhere->losses) request->elsewhere_at = 0;
    request->losses = elsewhere->losses;
    for (size_t end = request->elsewhere_at + SLICE; request->elsewhere_at < elsewhere->count && request->elsewhere_at < end; request->elsewhere_at++) {
        const mst_meta_attributes_t *set = &elsewhere->entry[request->elsewhere_at]->attributes;
        if (set->schema != request->session->schema || !mst_meta_selector_match(request->selector, set, pool->dictionary)) continue;
        uint32_t node_nbytes = 0;
        const char *node = mst_meta_attributes_text(set, set->value[mst_meta_attributes_rank(set, MST_META_KEY_NODE)], pool->dictionary, &node_nbytes);
        snprintf(text, nbytes, "demand \"%.256s\": what matches lies on node %.*s, and the link to other nodes went %.3g s ago; start maestro-link again", request->selector->source,
                 (int)node_nbytes, node ? node : "", (double)(pool->now_ns - elsewhere->lost_ns) / 1e9);
        return true;
    }
    return false;
}
