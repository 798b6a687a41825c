/* See allocator.h.  A segment is divided from its start into blocks without gaps; `state` has one byte for each 64 bytes, not zero exactly where a
 * block starts: its class, and whether it is used.  This table is the truth.  The stacks of free blocks are only hints of where to look: an entry
 * counts if the table says that a free block of this class starts there, so entries may grow stale or double, and are never searched for.
 * Invariant: blocks tile [0, fresh) of each area, and the table's bytes from `fresh` on are zero. */
#include "mem/allocator.h"

#include <sys/mman.h>

enum {
    GRANULE_SHIFT = 6,
    NCLASSES = 123,   /* the last one has 224 GiB */
    USED = 0x80,      /* in a state; the rest is class + 1 */
    SWEEP_SHARE = 8,  /* a segment is swept again when this part of it has been freed since */
    FIRST_ENTRIES = 64,
    MANY_BLOCKS = 8192
};
#define NONE UINT32_MAX

/* One segment.  Sizes and positions are in granules. */
typedef struct area {
    char *base;        /* NULL: no segment here; `number` then links the unused areas */
    uint8_t *state;
    uint64_t nbytes;
    uint32_t number;
    uint32_t size, fresh;
    uint32_t live;     /* used blocks */
    uint32_t free;     /* granules in free blocks */
    uint32_t credit;   /* granules freed since the last sweep */
    uint64_t emptied;  /* when the last used block was freed */
} area_t;

typedef struct stack {
    uint64_t *entry; /* area << 32 | granule */
    uint32_t count, capacity;
} stack_t;

struct mst_mem_allocator {
    stack_t stack[NCLASSES];
    area_t *area;
    uint32_t nareas, areas_capacity, unused_area;
    uint32_t current;             /* where to carve first */
    uint32_t room;                /* no area has more fresh granules than this */
    uint32_t recent;              /* where the last block was freed: a guess that spares the index */
    uint32_t *index, index_mask;  /* segment number -> area: open addressing, at most half full */
    mst_mem_grow_fn grow;
    mst_mem_shrink_fn shrink;
    void *context;
    uint64_t keep_nbytes, empty_nbytes, clock;
    mst_mem_allocator_stats_t stats;
};

/* ---- Size classes: 1, 2, 3, 4 granules, then four per doubling: 5, 6, 7, 8, 10, 12, 14, 16, 20 ... */
static inline uint32_t class_of(uint64_t granules) {
    if (granules <= 4) return (uint32_t)granules - 1;
    uint32_t shift = 61 - (uint32_t)__builtin_clzll(granules - 1);
    return 4 * shift + (uint32_t)((granules - 1) >> shift);
}

static inline uint32_t size_of(uint32_t class) { return class < 4 ? class + 1 : ((class & 3) + 5) << (class / 4 - 1); }

static inline uint32_t class_within(uint32_t granules) {
    uint32_t class = class_of(granules);
    if (class >= NCLASSES) return NCLASSES - 1;
    return size_of(class) == granules ? class : class - 1;
}

static inline uint32_t class_at(const area_t *area, uint32_t granule) { return (area->state[granule] & ~(uint32_t)USED) - 1; }

/* ---- Index of segments.  Numbers are handed out in sequence, so they need no mixing. */
static uint32_t index_find(const mst_mem_allocator_t *allocator, uint32_t number) {
    for (uint32_t at = number & allocator->index_mask;; at = (at + 1) & allocator->index_mask) {
        uint32_t area = allocator->index[at];
        if (area == NONE || allocator->area[area].number == number) return area;
    }
}

static void index_insert(mst_mem_allocator_t *allocator, uint32_t area) {
    uint32_t at = allocator->area[area].number & allocator->index_mask;
    while (allocator->index[at] != NONE) at = (at + 1) & allocator->index_mask;
    allocator->index[at] = area;
}

static bool index_rebuild(mst_mem_allocator_t *allocator, uint32_t capacity) {
    uint32_t *index = malloc(capacity * sizeof *index);
    if (!index) return false;
    free(allocator->index);
    memset(index, 0xff, capacity * sizeof *index);
    allocator->index = index;
    allocator->index_mask = capacity - 1;
    for (uint32_t i = 0; i < allocator->nareas; i++)
        if (allocator->area[i].base) index_insert(allocator, i);
    return true;
}

/* Takes an entry out and moves up those behind it that would no longer be found (Knuth, vol. 3, 6.4, algorithm R). */
static void index_remove(mst_mem_allocator_t *allocator, uint32_t number) {
    uint32_t mask = allocator->index_mask, hole = number & mask;
    while (allocator->area[allocator->index[hole]].number != number) hole = (hole + 1) & mask;
    for (uint32_t at = (hole + 1) & mask; allocator->index[at] != NONE; at = (at + 1) & mask) {
        uint32_t home = allocator->area[allocator->index[at]].number & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        allocator->index[hole] = allocator->index[at];
        hole = at;
    }
    allocator->index[hole] = NONE;
}

/* ---- Stacks of free blocks */
static inline bool is_free(const mst_mem_allocator_t *allocator, uint64_t entry, uint32_t class) {
    const area_t *area = &allocator->area[entry >> 32];
    uint32_t granule = (uint32_t)entry;
    return granule < area->fresh && area->state[granule] == class + 1;
}

/* Drops entries that are stale or double.  A double is known by the mark that its first one set. */
static void purge(mst_mem_allocator_t *allocator, uint32_t class) {
    stack_t *stack = &allocator->stack[class];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < stack->count; i++) {
        uint64_t entry = stack->entry[i];
        if (!is_free(allocator, entry, class)) continue;
        allocator->area[entry >> 32].state[(uint32_t)entry] |= USED;
        stack->entry[kept++] = entry;
    }
    for (uint32_t i = 0; i < kept; i++) allocator->area[stack->entry[i] >> 32].state[(uint32_t)stack->entry[i]] &= (uint8_t)~USED;
    stack->count = kept;
}

/* Without memory the entry is dropped: a sweep finds the block again. */
static bool make_room(mst_mem_allocator_t *allocator, uint32_t class) {
    stack_t *stack = &allocator->stack[class];
    purge(allocator, class);
    if (stack->capacity && stack->count <= stack->capacity / 2) return true;
    return MST_RESERVE(stack->entry, stack->capacity, stack->capacity + 1, FIRST_ENTRIES) || stack->count < stack->capacity;
}

static inline void push(mst_mem_allocator_t *allocator, uint32_t class, uint64_t entry) {
    stack_t *stack = &allocator->stack[class];
    if (MST_UNLIKELY(stack->count == stack->capacity) && !make_room(allocator, class)) return;
    stack->entry[stack->count++] = entry;
}

static inline bool pop(mst_mem_allocator_t *allocator, uint32_t class, uint64_t *entry_out) {
    stack_t *stack = &allocator->stack[class];
    while (stack->count) {
        uint64_t entry = stack->entry[--stack->count];
        if (!is_free(allocator, entry, class)) continue;
        *entry_out = entry;
        return true;
    }
    return false;
}

/* ---- Where a block can come from */

/* Divides free granules into free blocks, the largest first. */
static void tile(mst_mem_allocator_t *allocator, uint32_t number, uint32_t granule, uint32_t granules) {
    area_t *area = &allocator->area[number];
    while (granules) {
        uint32_t class = class_within(granules), size = size_of(class);
        area->state[granule] = (uint8_t)(class + 1);
        push(allocator, class, (uint64_t)number << 32 | granule);
        granule += size;
        granules -= size;
    }
}

static bool carve_from(mst_mem_allocator_t *allocator, uint32_t number, uint32_t class, uint64_t *entry_out) {
    area_t *area = &allocator->area[number];
    uint32_t size = size_of(class);
    if (area->size - area->fresh < size) return false;
    area->state[area->fresh] = (uint8_t)(class + 1);
    *entry_out = (uint64_t)number << 32 | area->fresh;
    area->fresh += size;
    area->free += size;
    return true;
}

static bool carve(mst_mem_allocator_t *allocator, uint32_t class, uint64_t *entry_out) {
    if (size_of(class) > allocator->room) return false;
    if (carve_from(allocator, allocator->current, class, entry_out)) return true;
    uint32_t room = 0;
    for (uint32_t i = 0; i < allocator->nareas; i++) {
        if (carve_from(allocator, i, class, entry_out)) {
            allocator->current = i;
            return true;
        }
        uint32_t fresh = allocator->area[i].size - allocator->area[i].fresh;
        if (fresh > room) room = fresh;
    }
    allocator->room = room;
    return false;
}

static void has_room(mst_mem_allocator_t *allocator, const area_t *area) {
    if (area->size - area->fresh > allocator->room) allocator->room = area->size - area->fresh;
}

/* A larger free block, the smallest there is: as it is below twice the size, else its beginning. */
static bool take_larger(mst_mem_allocator_t *allocator, uint32_t class, uint64_t *entry_out) {
    uint32_t larger = class + 1;
    while (larger < NCLASSES && !pop(allocator, larger, entry_out)) larger++;
    if (larger == NCLASSES) return false;
    uint32_t size = size_of(class), rest = size_of(larger) - size;
    if (rest < size) return true;
    uint32_t number = (uint32_t)(*entry_out >> 32), granule = (uint32_t)*entry_out;
    allocator->area[number].state[granule] = (uint8_t)(class + 1);
    tile(allocator, number, granule + size, rest);
    return true;
}

/* From block to block, for that touches no page of the table in vain; where blocks are very many, all bytes at once are faster. */
static void erase(area_t *area, uint32_t from, uint32_t to) {
    for (uint32_t blocks = 0; from < to && blocks < MANY_BLOCKS; blocks++) {
        uint32_t size = size_of(class_at(area, from));
        area->state[from] = 0;
        from += size;
    }
    if (from < to) memset(area->state + from, 0, to - from);
}

/* Joins neighbouring free blocks; those before `fresh` become fresh again. */
static void sweep(mst_mem_allocator_t *allocator, uint32_t number) {
    area_t *area = &allocator->area[number];
    uint32_t run = 0, blocks = 0; /* the free blocks just passed: where they begin, how many */
    for (uint32_t at = area->live ? 0 : area->fresh, next; at < area->fresh; at = next) {
        next = at + size_of(class_at(area, at));
        if (!(area->state[at] & USED)) {
            blocks++;
            continue;
        }
        if (blocks > 1) {
            erase(area, run, at);
            tile(allocator, number, run, at - run);
        }
        run = next;
        blocks = 0;
    }
    area->free -= area->fresh - run;
    erase(area, run, area->fresh);
    area->fresh = run;
    area->credit = 0;
    has_room(allocator, area);
}

/* Dividing blocks leaves crumbs; an empty segment had better start anew. */
static bool carve_empty(mst_mem_allocator_t *allocator, uint32_t class, uint64_t *entry_out) {
    for (uint32_t i = 0; i < allocator->nareas && allocator->empty_nbytes; i++) {
        const area_t *area = &allocator->area[i];
        if (area->live || !area->fresh || area->size < size_of(class)) continue;
        sweep(allocator, i);
        allocator->current = i;
        return carve_from(allocator, i, class, entry_out);
    }
    return false;
}

static bool find(mst_mem_allocator_t *allocator, uint32_t class, uint64_t *entry_out) {
    return pop(allocator, class, entry_out) || carve(allocator, class, entry_out) || carve_empty(allocator, class, entry_out) ||
           take_larger(allocator, class, entry_out);
}

/* Sweeps areas that may have room, until there is some.  `share`: those of which at least 1/share has been freed since they were swept. */
static bool sweep_for(mst_mem_allocator_t *allocator, uint32_t class, uint32_t share, uint64_t *entry_out) {
    uint32_t size = size_of(class);
    for (uint32_t i = 0; i < allocator->nareas; i++) {
        const area_t *area = &allocator->area[i];
        if (!area->credit || area->credit < area->size / share || area->free + (area->size - area->fresh) < size) continue;
        sweep(allocator, i);
        if (find(allocator, class, entry_out)) return true;
    }
    return false;
}

/* ---- Segments come and go */
static bool reserve_area(mst_mem_allocator_t *allocator) {
    if (allocator->unused_area != NONE) return true;
    if (allocator->nareas == allocator->areas_capacity) {
        uint32_t capacity = allocator->areas_capacity ? allocator->areas_capacity * 2 : 16;
        if (!index_rebuild(allocator, capacity * 2)) return false;
        area_t *larger = realloc(allocator->area, capacity * sizeof *larger);
        if (!larger) return false;
        allocator->area = larger;
        allocator->areas_capacity = capacity;
    }
    return true;
}

static uint32_t unused_area(mst_mem_allocator_t *allocator) {
    uint32_t number = allocator->unused_area;
    if (number == NONE) return allocator->nareas++;
    allocator->unused_area = allocator->area[number].number;
    return number;
}

static maestro_status_t add_area(mst_mem_allocator_t *allocator, uint32_t number, void *base, uint64_t nbytes) {
    uint64_t size = nbytes >> GRANULE_SHIFT;
    if (size > UINT32_MAX) size = UINT32_MAX;
    /* Fresh zero pages that cost nothing until blocks start there; calloc would touch the smaller ones. */
    void *state = MAP_FAILED;
    if (reserve_area(allocator)) state = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (state == MAP_FAILED) {
        allocator->shrink(allocator->context, number, base, nbytes);
        return mst_base_fail(MAESTRO_NO_MEMORY, "use segment %u: no memory for its table of blocks", number);
    }
    uint32_t at = unused_area(allocator);
    allocator->area[at] = (area_t){.base = base, .state = state, .nbytes = nbytes, .number = number, .size = (uint32_t)size};
    index_insert(allocator, at);
    has_room(allocator, &allocator->area[at]);
    allocator->empty_nbytes += nbytes;
    allocator->stats.segments++;
    allocator->stats.segment_nbytes += nbytes;
    return MAESTRO_OK;
}

/* Nothing of the allocator may be kept in hand across the call of `grow`, which may let others use it while it waits. */
static maestro_status_t grow(mst_mem_allocator_t *allocator, uint32_t class) {
    uint64_t least = (uint64_t)size_of(class) << GRANULE_SHIFT, nbytes = 0;
    uint32_t number = 0;
    void *base = NULL;
    maestro_status_t status = allocator->grow(allocator->context, least, &number, &base, &nbytes);
    if (status != MAESTRO_OK) return status;
    if (nbytes < least || ((uintptr_t)base & 63) || !base)
        return mst_base_fail(MAESTRO_PROTOCOL, "use segment %u: %llu bytes at %p where %llu were asked for", number, (unsigned long long)nbytes, base,
                             (unsigned long long)least);
    if (index_find(allocator, number) != NONE) return mst_base_fail(MAESTRO_PROTOCOL, "use segment %u: it was lent before", number);
    return add_area(allocator, number, base, nbytes);
}

static void remove_area(mst_mem_allocator_t *allocator, uint32_t at) {
    area_t gone = allocator->area[at];
    index_remove(allocator, gone.number);
    munmap(gone.state, gone.size);
    allocator->area[at] = (area_t){.number = allocator->unused_area};
    allocator->unused_area = at;
    allocator->recent = NONE;
    allocator->empty_nbytes -= gone.nbytes;
    allocator->stats.segments--;
    allocator->stats.segment_nbytes -= gone.nbytes;
    allocator->shrink(allocator->context, gone.number, gone.base, gone.nbytes);
}

/* Gives back the segments that have been empty for longest until at most `keep_nbytes` are hoarded. */
static void give_back(mst_mem_allocator_t *allocator, uint64_t keep_nbytes) {
    while (allocator->empty_nbytes > keep_nbytes) {
        uint32_t oldest = NONE;
        for (uint32_t i = 0; i < allocator->nareas; i++) {
            const area_t *area = &allocator->area[i];
            if (area->base && !area->live && (oldest == NONE || area->emptied < allocator->area[oldest].emptied)) oldest = i;
        }
        remove_area(allocator, oldest);
    }
}

/* ---- The interface */
maestro_status_t mst_mem_allocator_create(mst_mem_grow_fn grow_fn, mst_mem_shrink_fn shrink_fn, void *context, uint64_t keep_nbytes,
                                          mst_mem_allocator_t **allocator_out) {
    mst_mem_allocator_t *allocator = calloc(1, sizeof *allocator);
    if (!allocator) return mst_base_fail(MAESTRO_NO_MEMORY, "create allocator: no memory");
    allocator->grow = grow_fn;
    allocator->shrink = shrink_fn;
    allocator->context = context;
    allocator->keep_nbytes = keep_nbytes;
    allocator->unused_area = NONE;
    allocator->recent = NONE;
    if (!index_rebuild(allocator, 2)) {
        free(allocator);
        return mst_base_fail(MAESTRO_NO_MEMORY, "create allocator: no memory");
    }
    *allocator_out = allocator;
    return MAESTRO_OK;
}

void mst_mem_allocator_destroy(mst_mem_allocator_t *allocator) {
    if (!allocator) return;
    for (uint32_t i = 0; i < allocator->nareas; i++)
        if (allocator->area[i].base) munmap(allocator->area[i].state, allocator->area[i].size);
    for (uint32_t class = 0; class < NCLASSES; class++) free(allocator->stack[class].entry);
    free(allocator->area);
    free(allocator->index);
    free(allocator);
}

/* No free block of this class is at hand. */
static __attribute__((noinline)) maestro_status_t obtain(mst_mem_allocator_t *allocator, uint32_t class, uint64_t *entry_out) {
    if (find(allocator, class, entry_out) || sweep_for(allocator, class, SWEEP_SHARE, entry_out)) return MAESTRO_OK;
    maestro_status_t status = grow(allocator, class);
    /* Also after a refusal: blocks may have come back while it waited, or lie in segments that were not worth sweeping before. */
    if (find(allocator, class, entry_out) || sweep_for(allocator, class, UINT32_MAX, entry_out)) return MAESTRO_OK;
    return status;
}

/* Marks a free block as used. */
static inline void take(mst_mem_allocator_t *allocator, uint64_t entry, uint32_t class, mst_mem_block_t *block_out) {
    area_t *area = &allocator->area[entry >> 32];
    uint32_t granule = (uint32_t)entry, size = size_of(class);
    mst_mem_allocator_stats_t *stats = &allocator->stats;
    area->state[granule] = (uint8_t)((class + 1) | USED);
    area->free -= size;
    if (area->live++ == 0) allocator->empty_nbytes -= area->nbytes;
    block_out->segment = area->number;
    block_out->offset = (uint64_t)granule << GRANULE_SHIFT;
    block_out->nbytes = (uint64_t)size << GRANULE_SHIFT;
    block_out->address = area->base + block_out->offset;
    stats->used_nbytes += block_out->nbytes;
    if (stats->used_nbytes > stats->high_water_nbytes) stats->high_water_nbytes = stats->used_nbytes;
}

maestro_status_t mst_mem_allocator_alloc(mst_mem_allocator_t *allocator, uint64_t nbytes, mst_mem_block_t *block_out) {
    uint64_t largest = (uint64_t)size_of(NCLASSES - 1) << GRANULE_SHIFT, entry;
    if (MST_UNLIKELY(nbytes > largest))
        return mst_base_fail(MAESTRO_TOO_LARGE, "allocate %llu bytes: one block has at most %llu", (unsigned long long)nbytes,
                             (unsigned long long)largest);
    uint32_t class = class_of(nbytes ? (nbytes + 63) >> GRANULE_SHIFT : 1);
    if (MST_UNLIKELY(!pop(allocator, class, &entry))) {
        maestro_status_t status = obtain(allocator, class, &entry);
        if (status != MAESTRO_OK) return status;
        class = class_at(&allocator->area[entry >> 32], (uint32_t)entry); /* it may be a larger one */
    }
    take(allocator, entry, class, block_out);
    return MAESTRO_OK;
}

static inline bool is_used(const area_t *area, uint64_t offset) {
    return (offset & 63) == 0 && offset >> GRANULE_SHIFT < area->fresh && area->state[offset >> GRANULE_SHIFT] & USED;
}

uint64_t mst_mem_allocator_block_nbytes(const mst_mem_allocator_t *allocator, uint32_t segment, uint64_t offset) {
    uint32_t at = index_find(allocator, segment);
    if (at == NONE || !is_used(&allocator->area[at], offset)) return 0;
    return (uint64_t)size_of(class_at(&allocator->area[at], (uint32_t)(offset >> GRANULE_SHIFT))) << GRANULE_SHIFT;
}

maestro_status_t mst_mem_allocator_free(mst_mem_allocator_t *allocator, uint32_t segment, uint64_t offset) {
    uint32_t at = allocator->recent;
    if (MST_UNLIKELY(at >= allocator->nareas || allocator->area[at].number != segment)) at = index_find(allocator, segment);
    area_t *area = at == NONE ? NULL : &allocator->area[at];
    if (!area || !is_used(area, offset))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "free block %llu of segment %u: no such block is allocated", (unsigned long long)offset, segment);
    uint32_t granule = (uint32_t)(offset >> GRANULE_SHIFT), class = class_at(area, granule), size = size_of(class);
    allocator->recent = at;
    area->state[granule] = (uint8_t)(class + 1);
    area->free += size;
    area->credit = area->credit + size < size ? UINT32_MAX : area->credit + size;
    allocator->stats.used_nbytes -= (uint64_t)size << GRANULE_SHIFT;
    push(allocator, class, (uint64_t)at << 32 | granule);
    if (--area->live == 0) {
        area->emptied = ++allocator->clock;
        allocator->empty_nbytes += area->nbytes;
        if (MST_UNLIKELY(allocator->empty_nbytes > allocator->keep_nbytes)) give_back(allocator, allocator->keep_nbytes);
    }
    return MAESTRO_OK;
}

void mst_mem_allocator_trim(mst_mem_allocator_t *allocator) { give_back(allocator, 0); }

void mst_mem_allocator_stats(const mst_mem_allocator_t *allocator, mst_mem_allocator_stats_t *stats_out) {
    *stats_out = allocator->stats;
    stats_out->used_nbytes = 0;
    for (uint32_t i = 0; i < allocator->nareas; i++) {
        stats_out->used_blocks += allocator->area[i].live;
        stats_out->used_nbytes += (uint64_t)(allocator->area[i].fresh - allocator->area[i].free) << GRANULE_SHIFT;
    }
    stats_out->bookkeeping_nbytes = sizeof *allocator + allocator->areas_capacity * sizeof(area_t) + (allocator->index_mask + 1) * sizeof(uint32_t);
    for (uint32_t i = 0; i < NCLASSES; i++) stats_out->bookkeeping_nbytes += allocator->stack[i].capacity * sizeof(uint64_t);
}
