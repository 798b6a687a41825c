/* What selectors, index and matcher all need to know of words: their order by type, and the one word that stands for a text without a code.
 * Invariant: equal values of a key have equal words here; two texts without codes may share one (a hash), so it is a hint for them. */
#ifndef MST_META_WORDS_H
#define MST_META_WORDS_H

#include "meta/selector.h"

/* Words of a type as unsigned integers in the order of their values. */
static inline uint64_t mst_meta_word_order(uint64_t word, maestro_type_t type) {
    const uint64_t sign = 1ull << 63;
    if (type == MAESTRO_TYPE_I64 || type == MAESTRO_TYPE_TIMESTAMP) return word ^ sign;
    if (type == MAESTRO_TYPE_F64) return word & sign ? ~word : word | sign;
    return word;
}

/* Text that the dictionary does not have; no code is as large. */
static inline uint64_t mst_meta_text_word(const char *text, size_t nbytes) { return MST_META_TAIL_FLAG | mst_base_hash(text, nbytes); }

/* The same for a string's word in a set. */
static inline uint64_t mst_meta_string_word(const mst_meta_attributes_t *set, uint64_t word) {
    if (!mst_meta_word_is_tail(word)) return word;
    return mst_meta_text_word(mst_meta_attributes_tail(set) + mst_meta_word_offset(word), mst_meta_word_nbytes(word));
}

/* The values a RANGE allows, in the order of mst_meta_word_order: [*first, *last]; false when there are none. */
static inline bool mst_meta_node_bounds(const mst_meta_node_t *node, uint64_t *first_out, uint64_t *last_out) {
    uint64_t first = node->has_low ? mst_meta_word_order(node->low, node->type) : 0;
    uint64_t last = node->has_high ? mst_meta_word_order(node->high, node->type) : UINT64_MAX;
    if (node->has_low && node->open_low && first++ == UINT64_MAX) return false;
    if (node->has_high && node->open_high && last-- == 0) return false;
    *first_out = first;
    *last_out = last;
    return first <= last;
}

#endif
