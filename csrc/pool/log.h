/* Numbered events, and the live objects in the order of their offers. */
#ifndef MST_POOL_LOG_H
#define MST_POOL_LOG_H

#include "pool/pool.h"

typedef struct mst_pool_entry {
    uint64_t sequence;
    uint32_t handle;
    uint32_t kind;          /* maestro_event_kind_t */
} mst_pool_entry_t;

typedef struct mst_pool_live_chunk mst_pool_live_chunk_t;

typedef struct mst_pool_log {
    struct { uint32_t handle, kind; } *retained; /* a ring of capacity entries: sequences [base, next) */
    uint64_t capacity, base, next;
    uint64_t dead_nbytes;            /* metadata kept alive by retained entries alone */
    uint64_t limit_nbytes;
    uint64_t keep_from;              /* entries before are on their way out */
    int64_t limit_ns;
    struct {
        uint64_t next;               /* as it was at that time */
        int64_t when_ns;
    } mark[32];                      /* a ring: two ages long */
    uint32_t nmarks;
    mst_pool_live_chunk_t **chunk;   /* offers and joins before base, in order; dead ones among them are swept */
    size_t nchunks, chunks_capacity, sweep;
    uint64_t live_entries;
    uint64_t gaps_total;
} mst_pool_log_t;

maestro_status_t mst_pool_log_init(mst_pool_t *pool);
void mst_pool_log_fini(mst_pool_t *pool);
/* Appends, takes a reference to the object, returns the sequence; 0 when there is no memory. */
uint64_t mst_pool_log_append(mst_pool_t *pool, uint32_t handle, uint32_t kind);
/* Entries with sequence > after, oldest first: dead ones before `base` are left out.  *reached_out is where to go on from. */
size_t mst_pool_log_read(mst_pool_t *pool, uint64_t after, mst_pool_entry_t *entries, size_t capacity, uint64_t *reached_out);
void mst_pool_log_trim(mst_pool_t *pool, uint64_t keep_from); /* one slice of letting go of retained entries before keep_from */
uint64_t mst_pool_log_old(mst_pool_t *pool); /* events before this sequence are older than the log's age */
void mst_pool_log_sweep(mst_pool_t *pool);                    /* one slice of cleaning the live list, when it is worth it */
static inline uint64_t mst_pool_log_nbytes(const mst_pool_log_t *log) { return (log->next - log->base) * 8 + log->dead_nbytes; }
static inline uint64_t mst_pool_log_last(const mst_pool_log_t *log) { return log->next - 1; }

#endif
