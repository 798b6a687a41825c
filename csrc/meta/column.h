/* One attribute of the index: its distinct words, each with the objects that carry it, and the objects of which only
 * that they have a value is known (`tails`: it is somewhere in their tail).
 * Nothing here knows selectors.  Invariant: `count` objects are in the column, each exactly once. */
#ifndef MST_META_COLUMN_H
#define MST_META_COLUMN_H

#include "meta/postings.h"
#include "meta/words.h"

#define MST_META_NO_HANDLE UINT32_MAX

/* A distinct word.  Most words of an attribute with many have one object: it is kept here, `many` being 0 then. */
typedef struct mst_meta_entry {
    uint64_t word;
    uint32_t one;  /* MST_META_NO_HANDLE: none */
    uint32_t many; /* 1 + place in the column's postings */
} mst_meta_entry_t;

typedef struct mst_meta_column {
    mst_meta_entry_t *entry;
    uint32_t nentries, entry_capacity, nempty; /* empty entries (without an object) go when they are half of all */
    uint32_t *slot;                            /* hash of words: 1 + place of the entry, 0 is free */
    uint32_t nslots;                           /* a power of two */
    uint32_t *order;                           /* entries by value; valid for the first nordered entries */
    uint32_t nordered, order_capacity;
    maestro_type_t order_type;                 /* of the values; known once a range is asked for */
    mst_meta_postings_t *many;
    uint32_t nmany, many_capacity, many_free;  /* free ones are chained by `capacity`, 1 + place */
    mst_meta_postings_t tails;
    uint64_t count;
} mst_meta_column_t; /* all zero: empty */

bool mst_meta_column_add(mst_meta_column_t *column, uint64_t word, bool tail, uint32_t handle); /* false: no memory */
void mst_meta_column_remove(mst_meta_column_t *column, uint64_t word, bool tail, uint32_t handle);
const mst_meta_entry_t *mst_meta_column_find(const mst_meta_column_t *column, uint64_t word); /* NULL: never seen */
/* Brings `order` up to date for values of a type; false: no memory. */
bool mst_meta_column_sort(mst_meta_column_t *column, maestro_type_t type);
size_t mst_meta_column_nbytes(const mst_meta_column_t *column);
void mst_meta_column_fini(mst_meta_column_t *column);

static inline uint64_t mst_meta_entry_count(const mst_meta_column_t *column, const mst_meta_entry_t *entry) {
    return entry->many ? column->many[entry->many - 1].count : entry->one != MST_META_NO_HANDLE;
}

#endif
