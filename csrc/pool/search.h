/* The live objects that match, in slices. */
#ifndef MST_POOL_SEARCH_H
#define MST_POOL_SEARCH_H

#include "meta/selector.h"
#include "pool/log.h"
#include "pool/object.h"

typedef struct mst_pool_search {
    const mst_meta_selector_t *selector;
    uint16_t schema;
    bool started, by_index, notices; /* notices: include those that live */
    uint32_t *hits;                  /* by_index: handles, in order of sequence */
    uint64_t *hit_sequence;
    size_t nhits, next;
    uint64_t cursor;                 /* scan: last sequence seen */
    bool bounded;                    /* scan: stop at `until`, the last sequence when it began; else at the log's end */
    uint64_t until;
} mst_pool_search_t;

void mst_pool_search_init(mst_pool_search_t *search, const mst_meta_selector_t *selector, uint16_t schema, bool notices, bool bounded);
void mst_pool_search_fini(mst_pool_search_t *search);
/* One slice: up to `capacity` matching entries.  *done_out when there are no more; then everything live at this moment has been seen,
 * if the search is not bounded. */
size_t mst_pool_search_step(mst_pool_t *pool, mst_pool_search_t *search, mst_pool_entry_t *entries, size_t capacity, bool *done_out);
/* Gives the last step's entries from `first` on back, to come again. */
void mst_pool_search_unread(mst_pool_search_t *search, const mst_pool_entry_t *entries, size_t first, size_t count);
/* Of a reader of a snapshot, while `snapshot`, and then of the log behind `cursor`: the last sequence that it needs no more of the log for; whether an
 * object's offer is still to come. */
uint64_t mst_pool_search_seen(const mst_pool_t *pool, const mst_pool_search_t *search, bool snapshot, uint64_t cursor);
bool mst_pool_search_awaits(const mst_pool_search_t *search, bool snapshot, uint64_t cursor, uint64_t sequence);
/* What the selector said last, where many objects are looked at: those of one template differ for it only where it looks at their own words. */
typedef struct mst_pool_verdict {
    uint32_t template; /* 0: none yet */
    bool selected;
} mst_pool_verdict_t;

bool mst_pool_selects_next(mst_pool_t *pool, const mst_meta_selector_t *selector, uint16_t schema, const mst_pool_object_t *object, mst_pool_verdict_t *verdict);
bool mst_pool_selects(mst_pool_t *pool, const mst_meta_selector_t *selector, uint16_t schema, const mst_pool_object_t *object);

#endif
