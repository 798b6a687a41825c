/* Memory of objects' metadata; see arena.h.  Address space is reserved at once and touched as it is used. */
#include "pool/arena.h"

#include <sys/mman.h>

enum { PAGE = 64 << 10, FINE_LIMIT = 1024, UNIT = 16 };

static unsigned class_of(size_t nbytes) {
    if (nbytes <= FINE_LIMIT) return (unsigned)((nbytes + UNIT - 1) / UNIT);
    return 64 + 54 - (unsigned)__builtin_clzll(nbytes - 1); /* 1025..2048 -> 65, ... */
}

static size_t class_nbytes(unsigned class) { return class <= 64 ? (size_t)class * UNIT : (size_t)FINE_LIMIT << (class - 64); }

void *mst_pool_pages_alloc(size_t nbytes) {
    void *pages = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void mst_pool_pages_free(void *pages, size_t nbytes) {
    if (pages) munmap(pages, nbytes);
}

maestro_status_t mst_pool_arena_init(mst_pool_arena_t *arena) {
    memset(arena, 0, sizeof *arena);
    for (arena->reserved = 64ull << 30; arena->reserved >= 64ull << 20; arena->reserved /= 2) {
        void *base = mst_pool_pages_alloc(arena->reserved);
        if (!base) continue;
        arena->base = base;
        arena->used = PAGE; /* handle 0 is nobody's */
        for (size_t i = 0; i < MST_COUNT(arena->size_class); i++) arena->size_class[i].free = MST_POOL_NONE;
        return MAESTRO_OK;
    }
    return mst_base_fail_errno("reserve address space for the catalogue");
}

void mst_pool_arena_fini(mst_pool_arena_t *arena) {
    mst_pool_pages_free(arena->base, arena->reserved);
}

uint32_t mst_pool_arena_alloc(mst_pool_arena_t *arena, size_t nbytes) {
    unsigned class = class_of(nbytes);
    size_t size = class_nbytes(class);
    uint32_t handle = arena->size_class[class].free;
    if (handle != MST_POOL_NONE) {
        arena->size_class[class].free = *(uint32_t *)(arena->base + (uint64_t)handle * UNIT + 8);
        arena->live_nbytes += size;
        return handle;
    }
    if (arena->size_class[class].fresh + size > arena->size_class[class].end) {
        uint64_t page = size > PAGE / 4 ? size : PAGE;
        if (arena->used + page > arena->reserved) return MST_POOL_NONE;
        arena->size_class[class].fresh = arena->used;
        arena->size_class[class].end = arena->used + page;
        arena->used += page;
    }
    handle = (uint32_t)(arena->size_class[class].fresh / UNIT);
    arena->size_class[class].fresh += size;
    arena->live_nbytes += size;
    return handle;
}

void mst_pool_arena_free(mst_pool_arena_t *arena, uint32_t handle, size_t nbytes) {
    unsigned class = class_of(nbytes);
    char *slot = arena->base + (uint64_t)handle * UNIT;
    *(uint64_t *)slot = 0;
    *(uint32_t *)(slot + 8) = arena->size_class[class].free;
    arena->size_class[class].free = handle;
    arena->live_nbytes -= class_nbytes(class);
}
