/* A set of 32-bit handles that grows to millions: sorted chunks behind a sorted directory.  Adding and removing cost a binary search and the move
 * of at most one chunk, so nothing has to be compacted later and no operation is long.  What a handle stands for is not known here.
 * Invariant: chunks are not empty, sorted, without duplicates, and each lies wholly before the next. */
#ifndef MST_META_POSTINGS_H
#define MST_META_POSTINGS_H

#include "base/base.h"

enum { MST_META_CHUNK_MAX = 512 };

typedef struct mst_meta_chunk {
    uint32_t *handle;
    uint32_t first; /* not above handle[0], above all of the chunk before: the search of the directory touches no chunk */
    uint16_t count, capacity;
} mst_meta_chunk_t;

typedef struct mst_meta_postings {
    mst_meta_chunk_t *chunk;
    uint32_t nchunks, capacity;
    uint64_t count;
} mst_meta_postings_t; /* all zero: empty */

bool mst_meta_postings_add(mst_meta_postings_t *set, uint32_t handle);    /* false: no memory; adding twice is adding once */
bool mst_meta_postings_remove(mst_meta_postings_t *set, uint32_t handle); /* false: was not there */
void mst_meta_postings_copy(const mst_meta_postings_t *set, uint32_t *handles); /* room for count */
size_t mst_meta_postings_nbytes(const mst_meta_postings_t *set);
void mst_meta_postings_fini(mst_meta_postings_t *set);

#endif
