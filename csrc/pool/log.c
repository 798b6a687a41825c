/* The node's numbered event log, and the live objects in the order of their offers.
 *
 * Two regions meet at sequence `base`.  From base on, every event is retained, and holds a reference to its object's metadata, so that a slow
 * subscription can still be told of what is gone.  Before base only offers (and joins) that still live are kept, without a reference: an entry
 * is good while its handle's object is alive and carries the entry's sequence.  A snapshot is thus a cursor that starts at 0. */
#include "pool/log.h"

#include "pool/manager.h"

enum { CHUNK = 512, FIRST_CAPACITY = 1024, TRIMMED_AT_ONCE = 2048 };

struct mst_pool_live_chunk {
    uint64_t first;  /* not larger than any sequence in here, larger than all in chunks before */
    uint32_t count;
    struct { uint32_t handle, low; } entry[CHUNK]; /* low: low half of the sequence */
};

maestro_status_t mst_pool_log_init(mst_pool_t *pool) {
    mst_pool_log_t *log = &pool->log;
    log->capacity = FIRST_CAPACITY;
    log->base = log->next = 1;
    log->limit_nbytes = (uint64_t)mst_base_setting_bytes("MAESTRO_POOL_LOG", 64 << 20);
    log->limit_ns = mst_base_span_ns(mst_base_setting_f64("MAESTRO_POOL_LOG_S", 3600));
    log->retained = mst_pool_pages_alloc(log->capacity * sizeof *log->retained);
    return log->retained ? MAESTRO_OK : mst_base_fail(MAESTRO_NO_MEMORY, "make the event log: no memory");
}

void mst_pool_log_fini(mst_pool_t *pool) {
    for (size_t i = 0; i < pool->log.nchunks; i++) free(pool->log.chunk[i]);
    free(pool->log.chunk);
    mst_pool_pages_free(pool->log.retained, pool->log.capacity * sizeof *pool->log.retained);
}

static bool grow(mst_pool_log_t *log) {
    void *memory = mst_pool_pages_alloc(2 * log->capacity * sizeof *log->retained);
    if (!memory) return false;
    __typeof__(log->retained) larger = memory;
    for (uint64_t s = log->base; s < log->next; s++) larger[s & (2 * log->capacity - 1)] = log->retained[s & (log->capacity - 1)];
    mst_pool_pages_free(log->retained, log->capacity * sizeof *log->retained);
    log->retained = larger;
    log->capacity *= 2;
    return true;
}

uint64_t mst_pool_log_append(mst_pool_t *pool, uint32_t handle, uint32_t kind) {
    mst_pool_log_t *log = &pool->log;
    if (log->next - log->base == log->capacity && !grow(log)) abort(); /* an event would be lost silently */
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    uint64_t sequence = log->next++;
    log->retained[sequence & (log->capacity - 1)].handle = handle;
    log->retained[sequence & (log->capacity - 1)].kind = kind;
    object->refs++;
    if (!object->sequence) object->sequence = sequence;
    return sequence;
}

static bool alive(mst_pool_t *pool, uint32_t handle, uint32_t low) {
    const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    return object->id && object->state == MST_POOL_LIVE && (uint32_t)object->sequence == low;
}

static size_t chunk_after(const mst_pool_log_t *log, uint64_t after) { /* the last chunk that starts at or before after + 1 */
    size_t low = 0, high = log->nchunks;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (log->chunk[middle]->first <= after + 1) low = middle;
        else high = middle;
    }
    return low;
}

static size_t read_live(mst_pool_t *pool, uint64_t after, mst_pool_entry_t *entries, size_t capacity, uint64_t *reached_out) {
    mst_pool_log_t *log = &pool->log;
    size_t count = 0, looked = 0;
    for (size_t i = chunk_after(log, after); i < log->nchunks; i++) {
        const mst_pool_live_chunk_t *chunk = log->chunk[i];
        for (uint32_t e = 0; e < chunk->count; e++) {
            if (!alive(pool, chunk->entry[e].handle, chunk->entry[e].low)) continue;
            const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, chunk->entry[e].handle);
            if (object->sequence <= after) continue;
            entries[count++] = (mst_pool_entry_t){object->sequence, chunk->entry[e].handle, object->notice ? object->notice : MAESTRO_EVENT_OFFERED};
            *reached_out = object->sequence;
            if (count == capacity) return count;
        }
        looked += CHUNK;
        if (i + 1 < log->nchunks) *reached_out = log->chunk[i + 1]->first - 1;
        if (looked >= 4096) return count; /* enough for one slice */
    }
    *reached_out = log->base - 1;
    return count;
}

size_t mst_pool_log_read(mst_pool_t *pool, uint64_t after, mst_pool_entry_t *entries, size_t capacity, uint64_t *reached_out) {
    mst_pool_log_t *log = &pool->log;
    size_t count = 0;
    uint64_t reached = after;
    if (after + 1 < log->base) {
        count = read_live(pool, after, entries, capacity, &reached);
        if (reached + 1 < log->base) {
            *reached_out = reached;
            return count;
        }
    }
    while (count < capacity && reached + 1 < log->next) {
        reached++;
        uint64_t at = reached & (log->capacity - 1);
        entries[count++] = (mst_pool_entry_t){reached, log->retained[at].handle, log->retained[at].kind};
    }
    *reached_out = reached;
    return count;
}

static void keep_live(mst_pool_t *pool, uint32_t handle, uint64_t sequence) {
    mst_pool_log_t *log = &pool->log;
    mst_pool_live_chunk_t *last = log->nchunks ? log->chunk[log->nchunks - 1] : NULL;
    if (!last || last->count == CHUNK) {
        if (!MST_RESERVE(log->chunk, log->chunks_capacity, log->nchunks + 1, 64)) abort(); /* without this list objects would be lost silently */
        last = malloc(sizeof *last);
        if (!last) abort();
        last->first = sequence;
        last->count = 0;
        log->chunk[log->nchunks++] = last;
    }
    last->entry[last->count].handle = handle;
    last->entry[last->count++].low = (uint32_t)sequence;
    log->live_entries++;
}

void mst_pool_log_trim(mst_pool_t *pool, uint64_t keep_from) {
    mst_pool_log_t *log = &pool->log;
    if (keep_from > log->next) keep_from = log->next;
    if (keep_from > log->keep_from) log->keep_from = keep_from;
    for (int i = 0; i < TRIMMED_AT_ONCE && log->base < log->keep_from; log->base++, i++) {
        uint64_t at = log->base & (log->capacity - 1);
        uint32_t handle = log->retained[at].handle;
        const mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
        if (object->state == MST_POOL_LIVE && object->sequence == log->base) keep_live(pool, handle, log->base);
        mst_pool_catalogue_unref(pool, handle);
    }
}

uint64_t mst_pool_log_old(mst_pool_t *pool) {
    mst_pool_log_t *log = &pool->log;
    uint32_t newest = log->nmarks - 1;
    if (!log->nmarks || pool->now_ns - log->mark[newest % MST_COUNT(log->mark)].when_ns > log->limit_ns / (int64_t)(MST_COUNT(log->mark) / 2)) {
        newest = log->nmarks++;
        log->mark[newest % MST_COUNT(log->mark)].next = log->next;
        log->mark[newest % MST_COUNT(log->mark)].when_ns = pool->now_ns;
    }
    for (uint32_t i = 0; i < MST_COUNT(log->mark) && i <= newest; i++)
        if (pool->now_ns - log->mark[(newest - i) % MST_COUNT(log->mark)].when_ns >= log->limit_ns) return log->mark[(newest - i) % MST_COUNT(log->mark)].next;
    return 0;
}

/* Drops a chunk's dead entries, and the chunk when it fits into the one before. */
static void sweep_chunk(mst_pool_t *pool, size_t index) {
    mst_pool_log_t *log = &pool->log;
    mst_pool_live_chunk_t *chunk = log->chunk[index], *before = index ? log->chunk[index - 1] : NULL;
    uint32_t kept = 0;
    for (uint32_t e = 0; e < chunk->count; e++)
        if (alive(pool, chunk->entry[e].handle, chunk->entry[e].low)) chunk->entry[kept++] = chunk->entry[e];
    log->live_entries -= chunk->count - kept;
    chunk->count = kept;
    if (kept && (!before || before->count + kept > CHUNK)) return;
    if (kept) {
        memcpy(&before->entry[before->count], chunk->entry, kept * sizeof chunk->entry[0]);
        before->count += kept;
    }
    free(chunk);
    memmove(&log->chunk[index], &log->chunk[index + 1], (log->nchunks - index - 1) * sizeof log->chunk[0]);
    log->nchunks--;
}

void mst_pool_log_sweep(mst_pool_t *pool) {
    mst_pool_log_t *log = &pool->log;
    if (log->live_entries < 2 * (pool->catalogue.live + pool->nsessions + pool->needs.live) + 4096) return;
    for (int i = 0; i < 8 && log->nchunks; i++) {
        if (log->sweep >= log->nchunks) log->sweep = 0;
        size_t before = log->nchunks;
        sweep_chunk(pool, log->sweep);
        if (log->nchunks == before) log->sweep++;
    }
}
