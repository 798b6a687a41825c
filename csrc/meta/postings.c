/* Sets of handles in sorted chunks; see postings.h.  Handles that come in ascending order fill chunks wholly, others leave them half full or more
 * (removal leaves what it leaves until a chunk is empty). */
#include "meta/postings.h"

enum { CHUNK_FIRST = 4 };

/* The chunk a handle is in or belongs into; there is at least one. */
static uint32_t find_chunk(const mst_meta_postings_t *set, uint32_t handle) {
    uint32_t low = 0, high = set->nchunks - 1;
    if (set->chunk[high].first <= handle) return high; /* the common case: new handles are the largest */
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (set->chunk[middle].first <= handle) low = middle;
        else high = middle - 1;
    }
    return low;
}

static uint32_t find_place(const mst_meta_chunk_t *chunk, uint32_t handle) {
    uint32_t low = 0, high = chunk->count;
    if (high && chunk->handle[high - 1] < handle) return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk->handle[middle] < handle) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Opens an empty chunk before directory place `at`. */
static bool open_chunk(mst_meta_postings_t *set, uint32_t at, uint16_t capacity) {
    if (!MST_RESERVE(set->chunk, set->capacity, set->nchunks + 1, 1)) return false;
    uint32_t *handle = malloc(capacity * sizeof *handle);
    if (!handle) return false;
    memmove(&set->chunk[at + 1], &set->chunk[at], (set->nchunks - at) * sizeof *set->chunk);
    set->chunk[at] = (mst_meta_chunk_t){.handle = handle, .capacity = capacity};
    set->nchunks++;
    return true;
}

/* Makes room for `handle`, which belongs at `place` of chunk `at`, in a full chunk: a new one at the end, else one that takes the upper half. */
static bool split(mst_meta_postings_t *set, uint32_t at, uint32_t place) {
    bool append = at + 1 == set->nchunks && place == set->chunk[at].count;
    if (!open_chunk(set, at + 1, append ? CHUNK_FIRST * 16 : MST_META_CHUNK_MAX)) return false;
    if (append) return true;
    mst_meta_chunk_t *low = &set->chunk[at], *high = low + 1;
    low->count = high->count = MST_META_CHUNK_MAX / 2;
    memcpy(high->handle, low->handle + low->count, high->count * sizeof *high->handle);
    high->first = high->handle[0];
    return true;
}

static bool grow(mst_meta_chunk_t *chunk) {
    uint32_t *handle = realloc(chunk->handle, chunk->capacity * 2u * sizeof *handle);
    if (!handle) return false;
    chunk->handle = handle;
    chunk->capacity = (uint16_t)(chunk->capacity * 2);
    return true;
}

bool mst_meta_postings_add(mst_meta_postings_t *set, uint32_t handle) {
    if (set->nchunks == 0 && !open_chunk(set, 0, CHUNK_FIRST)) return false;
    uint32_t at = set->count ? find_chunk(set, handle) : 0;
    uint32_t place = find_place(&set->chunk[at], handle);
    if (place < set->chunk[at].count && set->chunk[at].handle[place] == handle) return true;
    if (set->chunk[at].count == MST_META_CHUNK_MAX) {
        if (!split(set, at, place)) return false;
        if (place > set->chunk[at].count || set->chunk[at].count == MST_META_CHUNK_MAX) place -= set->chunk[at++].count;
    }
    mst_meta_chunk_t *chunk = &set->chunk[at];
    if (chunk->count == chunk->capacity && !grow(chunk)) return false;
    memmove(&chunk->handle[place + 1], &chunk->handle[place], (chunk->count - place) * sizeof *chunk->handle);
    chunk->handle[place] = handle;
    if (place == 0) chunk->first = handle;
    chunk->count++;
    set->count++;
    return true;
}

static void close_chunk(mst_meta_postings_t *set, uint32_t at) {
    free(set->chunk[at].handle);
    set->nchunks--;
    memmove(&set->chunk[at], &set->chunk[at + 1], (set->nchunks - at) * sizeof *set->chunk);
}

bool mst_meta_postings_remove(mst_meta_postings_t *set, uint32_t handle) {
    if (set->count == 0) return false;
    uint32_t at = find_chunk(set, handle);
    mst_meta_chunk_t *chunk = &set->chunk[at];
    uint32_t place = find_place(chunk, handle);
    if (place == chunk->count || chunk->handle[place] != handle) return false;
    chunk->count--;
    memmove(&chunk->handle[place], &chunk->handle[place + 1], (chunk->count - place) * sizeof *chunk->handle);
    if (chunk->count == 0) close_chunk(set, at);
    if (--set->count == 0) mst_meta_postings_fini(set);
    return true;
}

void mst_meta_postings_copy(const mst_meta_postings_t *set, uint32_t *handles) {
    for (uint32_t i = 0; i < set->nchunks; handles += set->chunk[i++].count) memcpy(handles, set->chunk[i].handle, set->chunk[i].count * sizeof *handles);
}

size_t mst_meta_postings_nbytes(const mst_meta_postings_t *set) {
    size_t nbytes = set->capacity * sizeof *set->chunk;
    for (uint32_t i = 0; i < set->nchunks; i++) nbytes += set->chunk[i].capacity * sizeof *set->chunk->handle;
    return nbytes;
}

void mst_meta_postings_fini(mst_meta_postings_t *set) {
    for (uint32_t i = 0; i < set->nchunks; i++) free(set->chunk[i].handle);
    free(set->chunk);
    *set = (mst_meta_postings_t){0};
}
