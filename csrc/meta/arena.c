/* Chained blocks; see arena.h. */
#include "meta/arena.h"

enum { BLOCK = 4096 - 64 };

typedef struct block {
    struct block *next;
    size_t used, capacity;
    _Alignas(16) char bytes[];
} block_t;

struct mst_meta_arena {
    block_t *last;
};

mst_meta_arena_t *mst_meta_arena_create(void) { return calloc(1, sizeof(mst_meta_arena_t)); }

void mst_meta_arena_destroy(mst_meta_arena_t *arena) {
    if (!arena) return;
    for (block_t *block = arena->last, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

void *mst_meta_arena_alloc(mst_meta_arena_t *arena, size_t nbytes) {
    nbytes = MST_ALIGN(nbytes ? nbytes : 1, 16);
    block_t *block = arena->last;
    if (!block || block->capacity - block->used < nbytes) {
        size_t capacity = nbytes > BLOCK ? nbytes : BLOCK;
        block = calloc(1, sizeof *block + capacity);
        if (!block) return NULL;
        block->capacity = capacity;
        block->next = arena->last;
        arena->last = block;
    }
    void *memory = block->bytes + block->used;
    block->used += nbytes;
    return memory;
}

char *mst_meta_arena_text(mst_meta_arena_t *arena, const char *text, size_t nbytes) {
    char *copy = mst_meta_arena_alloc(arena, nbytes + 1);
    if (copy && nbytes) memcpy(copy, text, nbytes);
    return copy;
}
