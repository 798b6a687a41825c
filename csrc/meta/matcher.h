/* Finding the subscriptions that one new object matches without asking all of them.  Each selector is anchored at one of its conjuncts (an equality,
 * a list, a range) chosen so that its list is the shortest; an object looks up only keys that carry anchors; candidates are verified in full.
 * A selector without any anchor (NOT, pure OR of unanchored things, TRUE) is asked for every object. */
#ifndef MST_META_MATCHER_H
#define MST_META_MATCHER_H

#include "meta/selector.h"

typedef struct mst_meta_matcher mst_meta_matcher_t;

maestro_status_t mst_meta_matcher_create(const mst_meta_dictionary_t *dictionary, mst_meta_matcher_t **matcher_out);
void mst_meta_matcher_destroy(mst_meta_matcher_t *matcher);

/* The selector is bound and stays alive until removed.  `schema` is the number objects of it carry; ignored when the selector is core_only. */
maestro_status_t mst_meta_matcher_add(mst_meta_matcher_t *matcher, void *subscriber, const mst_meta_selector_t *selector, uint16_t schema);
void mst_meta_matcher_remove(mst_meta_matcher_t *matcher, void *subscriber);

bool mst_meta_matcher_ignores(const mst_meta_matcher_t *matcher, const uint64_t *mask); /* no selector looks at these keys */
/* The result of the last match, when it is also that of a set that differs from that one only in keys of the mask; false when it may be another. */
bool mst_meta_matcher_again(const mst_meta_matcher_t *matcher, const uint64_t *mask, void *const **subscribers_out, size_t *count_out);
/* The subscribers that match, each once; the array belongs to the matcher until the next call. */
size_t mst_meta_matcher_match(mst_meta_matcher_t *matcher, const mst_meta_attributes_t *set, void *const **subscribers_out);

#endif
