/* Finding objects by attributes without looking at all of them.  Postings per (schema, key, value) and per (schema, key); distinct values of a key
 * are kept sorted (lazily) for ranges and globs.  A query takes the cheapest way through its expression (smallest posting of an AND, union for
 * an OR, everything when nothing helps), and verifies each candidate with the full selector.
 *
 * Objects are named by 32-bit handles of the catalogue.  Removal is lazy: a stale handle is filtered by `lookup` (NULL for dead ones) or by the
 * verification; postings in which most handles are dead are compacted.  A handle is reported at most once per query. */
#ifndef MST_META_INDEX_H
#define MST_META_INDEX_H

#include "meta/selector.h"

typedef struct mst_meta_index mst_meta_index_t;

/* Attributes of a live object, or NULL.  Pure and fast. */
typedef const mst_meta_attributes_t *(*mst_meta_lookup_fn)(void *context, uint32_t handle);

maestro_status_t mst_meta_index_create(mst_meta_lookup_fn lookup, void *context, const mst_meta_dictionary_t *dictionary, mst_meta_index_t **index_out);
void mst_meta_index_destroy(mst_meta_index_t *index);

/* Tells the types of a schema's attributes, before the first object of its number: only then the index finds text that has no code by its content.
 * Core attributes it knows. */
maestro_status_t mst_meta_index_know(mst_meta_index_t *index, const mst_meta_schema_t *schema);

maestro_status_t mst_meta_index_insert(mst_meta_index_t *index, uint32_t handle, const mst_meta_attributes_t *set);
/* The object will die: counts for compaction.  Its handle may be used again afterwards for another object. */
void mst_meta_index_remove(mst_meta_index_t *index, uint32_t handle, const mst_meta_attributes_t *set);

/* How many candidates a query would have to verify (UINT64_MAX: all objects). */
uint64_t mst_meta_index_estimate(mst_meta_index_t *index, const mst_meta_selector_t *selector);

/* All live handles that match, in no order, appended to a growing array (realloc'ed, caller frees *handles).  UINT64_MAX estimates are the caller's
 * to serve by scanning its own objects: then this returns AGAIN and reports nothing. */
maestro_status_t mst_meta_index_query(mst_meta_index_t *index, const mst_meta_selector_t *selector, uint32_t **handles, size_t *count, size_t *capacity);

size_t mst_meta_index_memory(const mst_meta_index_t *index);

#endif
