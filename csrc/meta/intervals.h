/* Closed intervals of unsigned numbers, each with a thing of the caller's: which of them hold a value?  A sorted array with a tree of "how far
 * does anything below here reach" laid over it; new intervals wait behind it until there are enough to sort in.  Values come again and again, so what
 * was found for a value is remembered until the intervals change.
 * Invariant: reach[middle of lo..hi] is the largest `last` of lo..hi, for each part that halving 0..nsorted makes. */
#ifndef MST_META_INTERVALS_H
#define MST_META_INTERVALS_H

#include "base/base.h"

typedef struct mst_meta_interval {
    uint64_t first, last;
    void *thing; /* NULL: removed */
} mst_meta_interval_t;

enum { MST_META_MEMOS = 128, MST_META_MEMO_THINGS = 3 };

typedef struct mst_meta_memo {
    uint64_t value, version; /* version 0: empty */
    uint64_t count;
    void *thing[MST_META_MEMO_THINGS];
} mst_meta_memo_t;

typedef struct mst_meta_intervals {
    mst_meta_interval_t *item;
    uint64_t *reach;
    uint32_t count, capacity, nsorted, nremoved;
    uint64_t version;      /* of the intervals: 1 + changes */
    mst_meta_memo_t *memo; /* MST_META_MEMOS of them; NULL: none yet */
} mst_meta_intervals_t; /* all zero: empty */

typedef void (*mst_meta_interval_fn)(void *context, void *thing);

bool mst_meta_intervals_add(mst_meta_intervals_t *set, uint64_t first, uint64_t last, void *thing); /* false: no memory */
void mst_meta_intervals_remove(mst_meta_intervals_t *set, uint64_t first, uint64_t last, const void *thing);
/* Calls `found` for each interval that holds the value. */
void mst_meta_intervals_stab(mst_meta_intervals_t *set, uint64_t value, mst_meta_interval_fn found, void *context);
void mst_meta_intervals_fini(mst_meta_intervals_t *set);

static inline uint32_t mst_meta_intervals_count(const mst_meta_intervals_t *set) { return set->count - set->nremoved; }

#endif
