/* What index and matcher both need to know of words: their order by type, and which words a comparison asks for.
 * Invariant: equal values of a key have equal words, except text without a dictionary code, which is never looked up by word. */
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

/* A set may refer to its tail with this word.  Exact for checked strings and blobs; a number may look like it by chance (and negative ones that do
 * not are told apart), which costs time and never a result. */
static inline bool mst_meta_word_may_be_tail(const mst_meta_attributes_t *set, uint64_t word) {
    if (!mst_meta_word_is_tail(word) || mst_meta_word_offset(word) > set->tail_nbytes) return false;
    return mst_meta_word_nbytes(word) <= set->tail_nbytes - mst_meta_word_offset(word);
}

/* Value `i` of an IN node as a word that objects carry; false where the value has none. */
static inline bool mst_meta_node_word(const mst_meta_node_t *node, size_t i, const mst_meta_attribute_t *attribute,
                                      const mst_meta_dictionary_t *dictionary, uint64_t *word_out) {
    *word_out = node->words ? node->words[i] : 0;
    if (attribute->type == MAESTRO_TYPE_BLOB) return false;
    if (attribute->type != MAESTRO_TYPE_STRING) return true;
    if (!attribute->common) return false;
    if (node->texts && !node->texts[i]) return false;
    if (node->texts) *word_out = mst_meta_dictionary_find(dictionary, node->texts[i], strlen(node->texts[i]));
    return *word_out != 0;
}

/* The values a RANGE allows, in the order of mst_meta_word_order: [*first, *last]; false when there are none. */
static inline bool mst_meta_node_bounds(const mst_meta_node_t *node, maestro_type_t type, uint64_t *first_out, uint64_t *last_out) {
    uint64_t first = node->has_low ? mst_meta_word_order(node->low, type) : 0;
    uint64_t last = node->has_high ? mst_meta_word_order(node->high, type) : UINT64_MAX;
    if (node->has_low && node->open_low && first++ == UINT64_MAX) return false;
    if (node->has_high && node->open_high && last-- == 0) return false;
    *first_out = first;
    *last_out = last;
    return first <= last;
}

#endif
