/* The live objects that match a selector, found in slices: by the index when that looks at few candidates, else along the log. */
#include "pool/search.h"

#include "pool/manager.h"

enum { SCAN_ALWAYS = 16, INDEX_ALWAYS = 4096, INDEX_MOST = 32768, INDEX_SLICE = 512 };

void mst_pool_search_init(mst_pool_search_t *search, const mst_meta_selector_t *selector, uint16_t schema, bool notices, bool bounded) {
    memset(search, 0, sizeof *search);
    search->selector = selector;
    search->schema = schema;
    search->notices = notices;
    search->bounded = bounded;
}

void mst_pool_search_fini(mst_pool_search_t *search) {
    free(search->hits);
    free(search->hit_sequence);
    search->hits = NULL;
    search->hit_sequence = NULL;
}

bool mst_pool_selects(mst_pool_t *pool, const mst_meta_selector_t *selector, uint16_t schema, const mst_pool_object_t *object) {
    if (!object->notice && mst_pool_schema_of(&pool->catalogue, object) != schema) return false;
    if (object->notice && !selector->core_only) return false;
    return mst_meta_selector_match(selector, mst_pool_attributes(pool, object), pool->dictionary);
}

bool mst_pool_selects_next(mst_pool_t *pool, const mst_meta_selector_t *selector, uint16_t schema, const mst_pool_object_t *object, mst_pool_verdict_t *verdict) {
    const uint64_t *own = mst_pool_template(&pool->catalogue, object->template)->own;
    if (verdict->template != object->template || selector->keys[0] & own[0] || selector->keys[1] & own[1]) {
        verdict->selected = mst_pool_selects(pool, selector, schema, object);
        verdict->template = object->template;
    }
    return verdict->selected;
}

static int by_sequence(const void *a, const void *b, void *context) {
    uint64_t x = mst_pool_object(context, *(const uint32_t *)a)->sequence, y = mst_pool_object(context, *(const uint32_t *)b)->sequence;
    return (x > y) - (x < y);
}

static bool collect_hits(mst_pool_t *pool, mst_pool_search_t *search) {
    size_t capacity = 0;
    if (mst_meta_index_query(pool->catalogue.index, search->selector, &search->hits, &search->nhits, &capacity) != MAESTRO_OK) return false;
    if (search->nhits) qsort_r(search->hits, search->nhits, sizeof *search->hits, by_sequence, &pool->catalogue);
    search->hit_sequence = malloc((search->nhits + 1) * sizeof *search->hit_sequence);
    if (!search->hit_sequence) return false;
    for (size_t i = 0; i < search->nhits; i++) search->hit_sequence[i] = mst_pool_object(&pool->catalogue, search->hits[i])->sequence;
    return true;
}

/* Decides the way; false when the index is still being brought forward. */
static bool start(mst_pool_t *pool, mst_pool_search_t *search) {
    mst_pool_catalogue_t *catalogue = &pool->catalogue;
    if (catalogue->live > SCAN_ALWAYS && !search->notices && !catalogue->index_broken && search->selector->root->op != MST_META_OP_TRUE) {
        if (!mst_pool_catalogue_index_step(pool, INDEX_SLICE)) return false;
        uint64_t estimate = mst_meta_index_estimate(catalogue->index, search->selector);
        search->by_index = estimate <= INDEX_ALWAYS || (estimate <= INDEX_MOST && estimate < catalogue->live / 16); /* sorting hits is not sliced */
        if (search->by_index && !collect_hits(pool, search)) {
            mst_pool_search_fini(search);
            search->by_index = false;
        }
    }
    search->started = true;
    search->until = mst_pool_log_last(&pool->log);
    return true;
}

static bool still_matches(mst_pool_t *pool, const mst_pool_search_t *search, uint32_t handle, uint64_t sequence) {
    const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    return mst_pool_is_live(pool, handle, sequence) && !object->notice && mst_pool_schema_of(&pool->catalogue, object) == search->schema;
}

static size_t step_hits(mst_pool_t *pool, mst_pool_search_t *search, mst_pool_entry_t *entries, size_t capacity, bool *done_out) {
    size_t count = 0;
    for (; search->next < search->nhits && count < capacity; search->next++)
        if (still_matches(pool, search, search->hits[search->next], search->hit_sequence[search->next]))
            entries[count++] = (mst_pool_entry_t){search->hit_sequence[search->next], search->hits[search->next], MAESTRO_EVENT_OFFERED};
    *done_out = search->next == search->nhits;
    return count;
}

static size_t step_scan(mst_pool_t *pool, mst_pool_search_t *search, mst_pool_entry_t *entries, size_t capacity, bool *done_out) {
    uint64_t until = search->bounded ? search->until : mst_pool_log_last(&pool->log);
    size_t count = 0;
    mst_pool_verdict_t verdict = {0};
    for (int round = 0; round < 4 && count == 0 && search->cursor < until; round++) {
        size_t came = mst_pool_log_read(pool, search->cursor, entries, capacity, &search->cursor);
        for (size_t i = 0; i < came; i++) {
            const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, entries[i].handle);
            bool first_event = entries[i].kind & (MAESTRO_EVENT_OFFERED | MAESTRO_EVENT_JOINED | MAESTRO_EVENT_REQUIRED);
            if (!first_event || entries[i].sequence > until || object->state != MST_POOL_LIVE || (object->notice && !search->notices)) continue;
            if (mst_pool_selects_next(pool, search->selector, search->schema, object, &verdict)) entries[count++] = entries[i];
        }
    }
    *done_out = search->cursor >= until;
    return count;
}

size_t mst_pool_search_step(mst_pool_t *pool, mst_pool_search_t *search, mst_pool_entry_t *entries, size_t capacity, bool *done_out) {
    *done_out = false;
    if (!search->started && !start(pool, search)) return 0;
    return search->by_index ? step_hits(pool, search, entries, capacity, done_out) : step_scan(pool, search, entries, capacity, done_out);
}

void mst_pool_search_unread(mst_pool_search_t *search, const mst_pool_entry_t *entries, size_t first, size_t count) {
    if (first == count) return;
    if (!search->by_index) search->cursor = entries[first].sequence - 1;
    else while (search->next > 0 && search->hit_sequence[search->next - 1] >= entries[first].sequence) search->next--;
}

static bool still_has(const mst_pool_search_t *search, uint64_t sequence) {
    if (!search->started) return true;
    if (search->by_index) return search->next < search->nhits && search->hit_sequence[search->next] <= sequence && sequence <= search->until;
    return search->cursor < sequence && sequence <= search->until;
}

uint64_t mst_pool_search_seen(const mst_pool_t *pool, const mst_pool_search_t *search, bool snapshot, uint64_t cursor) {
    if (!snapshot) return cursor;
    return search->started ? search->until : mst_pool_log_last(&pool->log);
}

bool mst_pool_search_awaits(const mst_pool_search_t *search, bool snapshot, uint64_t cursor, uint64_t sequence) {
    return snapshot ? still_has(search, sequence) || sequence > search->until : cursor < sequence;
}
