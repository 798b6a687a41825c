/* A warm pool over segments: alloc and free of blocks without system calls, page faults or locks in steady state.  All book-keeping lies in the
 * private memory of the process that uses it, so nobody else can damage it; the segments' memory itself is never touched here.
 *
 * Size classes, four per doubling, from 64 bytes; a stack of free blocks per class, last in first out, so blocks come back warm.  When it is empty:
 * the fresh end of a segment; a segment whose blocks are all free starts anew; the smallest larger free block, as it is below twice the size, else
 * divided; neighbouring free blocks joined; only then `grow` is asked for a segment.  So a change of sizes strands no memory.
 * Cost: one byte per 64 bytes (only pages of that table where blocks started are real), and 8 bytes per free block.
 * Not thread-safe: the owner's lock covers it. */
#ifndef MST_MEM_ALLOCATOR_H
#define MST_MEM_ALLOCATOR_H

#include "base/base.h"

typedef struct mst_mem_allocator mst_mem_allocator_t;

typedef struct mst_mem_block {
    uint32_t segment;  /* the number that grow gave */
    uint64_t offset;   /* in the segment, 64-byte aligned */
    uint64_t nbytes;   /* usable size: the class's, >= what was asked for */
    void *address;
} mst_mem_block_t;

/* Brings a new segment with room for at least `nbytes`: sets number, mapped base (64-byte aligned) and size.  While it waits, this allocator may be
 * used, by it or by others if it lets go of their lock.  What is not OK is passed on, unless room has come back meanwhile. */
typedef maestro_status_t (*mst_mem_grow_fn)(void *context, uint64_t nbytes, uint32_t *segment_out, void **base_out, uint64_t *nbytes_out);
/* Takes back a segment that is entirely free (called when more than `keep` bytes of entirely free segments are hoarded, and by trim). */
typedef void (*mst_mem_shrink_fn)(void *context, uint32_t segment, void *base, uint64_t nbytes);

maestro_status_t mst_mem_allocator_create(mst_mem_grow_fn grow, mst_mem_shrink_fn shrink, void *context, uint64_t keep_nbytes,
                                          mst_mem_allocator_t **allocator_out);
void mst_mem_allocator_destroy(mst_mem_allocator_t *allocator); /* shrinks nothing: the context's owner unmaps */

/* nbytes 0 is served like 1.  Errors: TOO_LARGE beyond 224 GiB, NO_MEMORY for the tables, and whatever grow gave, also the positive ones. */
maestro_status_t mst_mem_allocator_alloc(mst_mem_allocator_t *allocator, uint64_t nbytes, mst_mem_block_t *block_out);
/* segment and offset as given by alloc.  Anything that is no allocated block (double free, unknown segment, no block's start) is refused with
 * INVALID_ARGUMENT and changes nothing: the numbers come from another process. */
maestro_status_t mst_mem_allocator_free(mst_mem_allocator_t *allocator, uint32_t segment, uint64_t offset);
uint64_t mst_mem_allocator_block_nbytes(const mst_mem_allocator_t *allocator, uint32_t segment, uint64_t offset); /* 0: no allocated block starts there */
void mst_mem_allocator_trim(mst_mem_allocator_t *allocator); /* gives every entirely free segment back */

typedef struct mst_mem_allocator_stats {
    uint64_t segments, segment_nbytes, used_nbytes, used_blocks, high_water_nbytes;
    uint64_t bookkeeping_nbytes; /* private memory at most; of the tables only pages where blocks started count, which this leaves out */
} mst_mem_allocator_stats_t;
void mst_mem_allocator_stats(const mst_mem_allocator_t *allocator, mst_mem_allocator_stats_t *stats_out);

#endif
