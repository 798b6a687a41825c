/* The allocator against a simple model: who owns each 64 bytes of each segment.  The segments are address space that nobody may touch, which
 * proves on the way that the allocator never does. */
#include "mem/allocator.h"
#include "base/test.h"

#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, GRANULE = 64, SEGMENTS = 4096, SEGMENT_NBYTES = 1 * MIB, NEVER = UINT32_MAX };

/* ---- A lender of segments, and the model beside it */
typedef struct lender {
    uint32_t next;         /* number of the next segment */
    uint32_t lent, most;   /* segments lent now, and how many may be */
    uint32_t returned;
    uint64_t refused;
    uint32_t *owner[SEGMENTS]; /* per granule: 1 + number of the slot that owns it */
    char *base[SEGMENTS];
    uint64_t nbytes[SEGMENTS];
    maestro_status_t refusal;
    mst_mem_allocator_t *allocator;
    mst_mem_block_t come_back[8]; /* what grow frees while it "waits" */
    size_t ncome_back;
} lender_t;

static maestro_status_t grow(void *context, uint64_t nbytes, uint32_t *segment_out, void **base_out, uint64_t *nbytes_out) {
    lender_t *lender = context;
    while (lender->ncome_back) {
        const mst_mem_block_t *block = &lender->come_back[--lender->ncome_back];
        CHECK_OK(mst_mem_allocator_free(lender->allocator, block->segment, block->offset));
    }
    if (lender->lent >= lender->most || lender->next == SEGMENTS) {
        lender->refused++;
        return lender->refusal;
    }
    uint32_t number = lender->next++;
    if (nbytes < SEGMENT_NBYTES) nbytes = SEGMENT_NBYTES;
    lender->nbytes[number] = nbytes;
    lender->base[number] = mmap(NULL, nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    lender->owner[number] = calloc(nbytes / GRANULE, sizeof(uint32_t));
    lender->lent++;
    *segment_out = number;
    *base_out = lender->base[number];
    *nbytes_out = nbytes;
    return MAESTRO_OK;
}

static void shrink(void *context, uint32_t segment, void *base, uint64_t nbytes) {
    lender_t *lender = context;
    CHECK(lender->owner[segment] && lender->base[segment] == base && lender->nbytes[segment] == nbytes);
    uint64_t owned = 0;
    for (uint64_t i = 0; i < nbytes / GRANULE; i++) owned += lender->owner[segment][i] != 0;
    CHECK(owned == 0);
    munmap(base, nbytes);
    free(lender->owner[segment]);
    lender->owner[segment] = NULL;
    lender->lent--;
    lender->returned++;
}

static lender_t *lender_create(uint32_t most, uint64_t keep_nbytes) {
    lender_t *lender = calloc(1, sizeof *lender);
    lender->most = most;
    lender->refusal = MAESTRO_NO_MEMORY;
    CHECK_OK(mst_mem_allocator_create(grow, shrink, lender, keep_nbytes, &lender->allocator));
    return lender;
}

static void lender_destroy(lender_t *lender) {
    mst_mem_allocator_destroy(lender->allocator);
    for (uint32_t i = 0; i < lender->next; i++)
        if (lender->owner[i]) {
            munmap(lender->base[i], lender->nbytes[i]);
            free(lender->owner[i]);
        }
    free(lender);
}

/* Enters a block as owned by `slot` (freed: 0) and tells whether it lies in bounds and collides with nobody. */
static bool own(lender_t *lender, const mst_mem_block_t *block, uint32_t expected, uint32_t slot) {
    bool inside = block->segment < lender->next && lender->owner[block->segment] && block->offset % GRANULE == 0 && block->nbytes % GRANULE == 0 &&
                  block->offset + block->nbytes <= lender->nbytes[block->segment] && block->address == lender->base[block->segment] + block->offset;
    if (!inside) return false;
    uint32_t *owner = lender->owner[block->segment] + block->offset / GRANULE;
    for (uint64_t i = 0; i < block->nbytes / GRANULE; i++) {
        if (owner[i] != expected) return false;
        owner[i] = slot;
    }
    return true;
}

static bool take(lender_t *lender, uint64_t nbytes, uint32_t slot, mst_mem_block_t *block) {
    if (mst_mem_allocator_alloc(lender->allocator, nbytes, block) != MAESTRO_OK) return false;
    bool fits = block->nbytes >= nbytes && own(lender, block, 0, slot + 1);
    if (!fits) CHECK(!"a block of its own, in bounds, large enough");
    return fits;
}

static void give(lender_t *lender, const mst_mem_block_t *block, uint32_t slot) {
    if (!own(lender, block, slot + 1, 0)) CHECK(!"the block was still its owner's");
    if (mst_mem_allocator_free(lender->allocator, block->segment, block->offset) != MAESTRO_OK) CHECK(!"an allocated block can be freed");
}

static uint64_t next_random(uint64_t *state) { return mst_base_mix(*state += 0x9e3779b97f4a7c15ull); }

/* Log-uniform from 1 byte to below 64 << doublings. */
static uint64_t random_size(uint64_t bits, unsigned doublings) {
    uint64_t low = 64ull << (bits >> 32) % doublings;
    return low - 63 + (bits & (low - 1));
}

static mst_mem_allocator_stats_t stats_of(const lender_t *lender) {
    mst_mem_allocator_stats_t stats;
    mst_mem_allocator_stats(lender->allocator, &stats);
    return stats;
}

/* ---- Tests */
enum { SLOTS = 512 };

static void test_random_sizes_never_overlap(uint64_t seed, unsigned doublings, uint64_t keep_nbytes) {
    lender_t *lender = lender_create(SEGMENTS, keep_nbytes);
    static mst_mem_block_t block[SLOTS];
    uint64_t used = 0, blocks = 0, high = 0;
    memset(block, 0, sizeof block);
    for (unsigned step = 0; step < 60000 && test_failures == 0; step++) {
        uint64_t bits = next_random(&seed);
        uint32_t slot = (uint32_t)(bits >> 40) % SLOTS;
        if (step % 20000 > 15000 && bits & 1) slot %= 32; /* times in which the others stay or go */
        if (block[slot].address) {
            give(lender, &block[slot], slot);
            used -= block[slot].nbytes;
            blocks--;
            block[slot].address = NULL;
        } else if (step % 20000 < 18000) {
            if (!take(lender, random_size(bits, doublings), slot, &block[slot])) break;
            used += block[slot].nbytes;
            blocks++;
            if (used > high) high = used;
        }
        mst_mem_allocator_stats_t stats = stats_of(lender);
        CHECK(stats.used_nbytes == used && stats.used_blocks == blocks && stats.high_water_nbytes == high);
        CHECK(stats.segments == lender->lent && stats.segment_nbytes >= used);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (block[slot].address) give(lender, &block[slot], slot);
    mst_mem_allocator_trim(lender->allocator);
    CHECK(lender->lent == 0 && stats_of(lender).segment_nbytes == 0);
    lender_destroy(lender);
}

static void test_free_of_what_is_no_block_is_refused_and_changes_nothing(void) {
    lender_t *lender = lender_create(SEGMENTS, UINT64_MAX);
    mst_mem_block_t block[3];
    CHECK_STATUS(mst_mem_allocator_free(lender->allocator, 0, 0), MAESTRO_INVALID_ARGUMENT); /* nothing lent at all */
    for (uint32_t i = 0; i < 3; i++) CHECK(take(lender, 1000, i, &block[i]));
    uint64_t at = block[1].offset;
    const struct { uint32_t segment; uint64_t offset; } bad[] = {
        {1, at}, {NEVER, at}, {0, at + 64}, {0, at + 8}, {0, at - 64}, {0, 3072}, {0, SEGMENT_NBYTES}, {0, UINT64_MAX}, {0, UINT64_MAX - 63}, {0, 1ull << 38},
    };
    mst_mem_allocator_stats_t before = stats_of(lender);
    for (size_t i = 0; i < MST_COUNT(bad); i++) CHECK_STATUS(mst_mem_allocator_free(lender->allocator, bad[i].segment, bad[i].offset), MAESTRO_INVALID_ARGUMENT);
    mst_mem_allocator_stats_t after = stats_of(lender);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    give(lender, &block[1], 1);
    CHECK_STATUS(mst_mem_allocator_free(lender->allocator, 0, at), MAESTRO_INVALID_ARGUMENT); /* twice */
    CHECK_ERROR_SAYS("no such block is allocated");
    CHECK(take(lender, 1000, 1, &block[1]) && block[1].offset == at); /* last in, first out: warm */
    lender_destroy(lender);
}

static void test_free_of_random_numbers_frees_only_what_is_allocated(void) {
    lender_t *lender = lender_create(SEGMENTS, UINT64_MAX);
    uint64_t seed = 5, freed = 0;
    mst_mem_block_t block;
    for (uint32_t i = 0; i < 2000; i++) CHECK(take(lender, random_size(next_random(&seed), 8), i, &block));
    uint64_t blocks = stats_of(lender).used_blocks;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t bits = next_random(&seed);
        freed += mst_mem_allocator_free(lender->allocator, (uint32_t)bits % 4, (bits >> 8) % SEGMENT_NBYTES & ~31ull) == MAESTRO_OK;
    }
    CHECK(freed > 0 && stats_of(lender).used_blocks == blocks - freed);
    lender_destroy(lender);
}

/* As many blocks of one size as fit; every `survive`-th stays, the others are freed. */
static uint64_t fill(lender_t *lender, uint64_t nbytes, uint32_t survive, mst_mem_block_t *kept, size_t *nkept) {
    static mst_mem_block_t block[1 << 18];
    uint32_t count = 0;
    while (count < MST_COUNT(block) && take(lender, nbytes, NEVER - 1, &block[count])) count++;
    for (uint32_t i = 0; i < count; i++) {
        if (survive && i % survive == survive - 1) kept[(*nkept)++] = block[i];
        else give(lender, &block[i], NEVER - 1);
    }
    return (uint64_t)count * nbytes;
}

static void test_change_of_sizes_strands_no_memory(void) {
    static const uint64_t sizes[] = {64, 1 * MIB, 1024, 64, 320 << 10, 4096, 512 << 10, 192, 1 * MIB};
    enum { MOST = 8 };
    lender_t *lender = lender_create(MOST, UINT64_MAX);
    for (size_t i = 0; i < MST_COUNT(sizes); i++) {
        uint64_t per_segment = SEGMENT_NBYTES / sizes[i];
        CHECK(fill(lender, sizes[i], 0, NULL, NULL) == MOST * per_segment * sizes[i]);
    }
    CHECK(lender->next == MOST);
    lender_destroy(lender);
}

static void test_room_between_survivors_is_found_again(void) {
    enum { MOST = 8 };
    static mst_mem_block_t kept[1 << 12];
    size_t nkept = 0;
    lender_t *lender = lender_create(MOST, UINT64_MAX);
    fill(lender, 4096, 128, kept, &nkept); /* one 4 KiB block stays in each 512 KiB: runs of 508 KiB between them */
    CHECK(nkept == 2 * MOST);
    uint64_t taken = fill(lender, 448 << 10, 0, NULL, NULL);
    CHECK(taken == 2 * MOST * (448ull << 10)); /* one in each run */
    CHECK(fill(lender, 4096, 0, NULL, NULL) == (MOST * 256 - nkept) * 4096ull);
    lender_destroy(lender);
}

static void test_refusal_to_grow_is_passed_on_and_changes_nothing(void) {
    lender_t *lender = lender_create(1, UINT64_MAX);
    mst_mem_block_t block, untouched = {.segment = 77};
    CHECK(take(lender, SEGMENT_NBYTES, 0, &block));
    mst_mem_allocator_stats_t before = stats_of(lender);
    static const maestro_status_t refusals[] = {MAESTRO_NO_MEMORY, MAESTRO_AGAIN, MAESTRO_INTERRUPTED, MAESTRO_POOL_LOST};
    for (size_t i = 0; i < MST_COUNT(refusals); i++) {
        lender->refusal = refusals[i];
        CHECK_STATUS(mst_mem_allocator_alloc(lender->allocator, 1, &untouched), refusals[i]);
    }
    CHECK_STATUS(mst_mem_allocator_alloc(lender->allocator, SEGMENT_NBYTES, &untouched), MAESTRO_POOL_LOST);
    CHECK(untouched.segment == 77 && untouched.address == NULL);
    mst_mem_allocator_stats_t after = stats_of(lender);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    CHECK_STATUS(mst_mem_allocator_alloc(lender->allocator, 1ull << 40, &untouched), MAESTRO_TOO_LARGE);
    CHECK_STATUS(mst_mem_allocator_alloc(lender->allocator, UINT64_MAX, &untouched), MAESTRO_TOO_LARGE);
    lender_destroy(lender);
}

static void test_small_block_finds_room_after_a_large_one_was_refused(void) {
    lender_t *lender = lender_create(1, UINT64_MAX);
    mst_mem_block_t block;
    CHECK(take(lender, SEGMENT_NBYTES / 2, 0, &block));
    CHECK(!take(lender, SEGMENT_NBYTES, 1, &block));
    CHECK(take(lender, SEGMENT_NBYTES / 2, 1, &block));
    lender_destroy(lender);
}

/* Places of segments are used again, their numbers are not. */
static void test_numbers_of_segments_are_no_positions(void) {
    lender_t *lender = lender_create(SEGMENTS, 0);
    mst_mem_block_t block[3];
    lender->next = 1;
    for (uint32_t i = 0; i < 3; i++) CHECK(take(lender, SEGMENT_NBYTES, i, &block[i]));
    for (uint32_t i = 0; i < 3; i++) give(lender, &block[(i + 1) % 3], (i + 1) % 3);
    for (uint32_t i = 0; i < 3; i++) CHECK(take(lender, SEGMENT_NBYTES, i, &block[i]));
    for (uint32_t i = 0; i < 3; i++) give(lender, &block[i], i);
    CHECK(lender->lent == 0);
    lender_destroy(lender);
}

static void test_blocks_that_come_back_while_grow_waits_are_used(void) {
    lender_t *lender = lender_create(2, UINT64_MAX);
    mst_mem_block_t a, b, c;
    CHECK(take(lender, SEGMENT_NBYTES / 2, 0, &a) && take(lender, SEGMENT_NBYTES / 2, 1, &b) && take(lender, SEGMENT_NBYTES, 2, &c));
    CHECK(own(lender, &a, 1, 0) && own(lender, &b, 2, 0));
    lender->come_back[lender->ncome_back++] = a;
    lender->come_back[lender->ncome_back++] = b;
    CHECK(take(lender, SEGMENT_NBYTES, 3, &a)); /* the two halves together */
    CHECK(lender->refused == 1 && a.segment == 0);
    lender_destroy(lender);
}

static void test_empty_segments_beyond_keep_go_back(void) {
    lender_t *lender = lender_create(SEGMENTS, 2 * SEGMENT_NBYTES);
    mst_mem_block_t block[6];
    for (uint32_t i = 0; i < 6; i++) CHECK(take(lender, SEGMENT_NBYTES, i, &block[i]));
    for (uint32_t i = 0; i < 5; i++) give(lender, &block[i], i);
    CHECK(lender->returned == 3 && lender->owner[0] == NULL && lender->owner[2] == NULL); /* those empty for longest */
    CHECK_STATUS(mst_mem_allocator_free(lender->allocator, 0, 0), MAESTRO_INVALID_ARGUMENT);
    for (uint32_t i = 0; i < 2; i++) CHECK(take(lender, SEGMENT_NBYTES, i, &block[i]));
    CHECK(lender->next == 6);
    mst_mem_allocator_trim(lender->allocator);
    CHECK(lender->lent == 3); /* those in use stay */
    give(lender, &block[0], 0);
    mst_mem_allocator_trim(lender->allocator);
    CHECK(lender->lent == 2 && stats_of(lender).segments == 2);
    lender_destroy(lender);
}

static void test_smallest_and_large_sizes(void) {
    lender_t *lender = lender_create(SEGMENTS, 0);
    mst_mem_block_t block;
    CHECK(take(lender, 0, 0, &block) && block.nbytes == 64);
    for (uint64_t nbytes = 1; nbytes <= 1ull << 36; nbytes = nbytes * 5 / 4 + 1) {
        CHECK_OK(mst_mem_allocator_alloc(lender->allocator, nbytes, &block));
        CHECK(block.nbytes >= nbytes && (nbytes <= 256 ? block.nbytes < nbytes + 64 : block.nbytes <= nbytes + nbytes / 4));
        CHECK_OK(mst_mem_allocator_free(lender->allocator, block.segment, block.offset));
        if (nbytes > 1 << 30) nbytes *= 7; /* the model's own table is not small */
        if (nbytes > 1ull << 33) break;
    }
    lender_destroy(lender);
}

/* Divides and joins the same block again and again; the crumbs that are left over are never asked for. */
static void test_crumbs_that_nobody_asks_for_leave_no_trace(void) {
    lender_t *lender = lender_create(1, UINT64_MAX);
    mst_mem_block_t wall, first, block;
    CHECK(take(lender, 512 << 10, 0, &first) && take(lender, 512 << 10, 1, &wall));
    give(lender, &first, 0);
    uint64_t bookkeeping = stats_of(lender).bookkeeping_nbytes;
    for (unsigned i = 0; i < 5000 && test_failures == 0; i++) {
        CHECK(take(lender, 160 << 10, 0, &block));
        give(lender, &block, 0);
        CHECK(take(lender, 512 << 10, 0, &block));
        give(lender, &block, 0);
    }
    CHECK(stats_of(lender).bookkeeping_nbytes <= bookkeeping + 4096);
    lender_destroy(lender);
}

static uint64_t resident_nbytes(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%*u %llu", &pages) != 1) return 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Other sizes in each phase, so that blocks are divided and joined all the time. */
static void churn(lender_t *lender, mst_mem_block_t *block, unsigned steps, uint64_t *seed) {
    for (unsigned step = 0; step < steps; step++) {
        uint64_t bits = next_random(seed);
        uint32_t slot = (uint32_t)(bits >> 40) % SLOTS;
        if (block[slot].address) CHECK_OK(mst_mem_allocator_free(lender->allocator, block[slot].segment, block[slot].offset));
        CHECK_OK(mst_mem_allocator_alloc(lender->allocator, random_size(bits, 4 + step / 4096 % 9), &block[slot]));
    }
}

static void test_bookkeeping_stays_flat_over_a_million_operations(void) {
    static mst_mem_block_t block[SLOTS];
    lender_t *lender = lender_create(SEGMENTS, UINT64_MAX);
    uint64_t seed = 11;
    memset(block, 0, sizeof block);
    churn(lender, block, 200000, &seed);
    uint64_t resident = resident_nbytes(), segments = stats_of(lender).segments, bookkeeping = stats_of(lender).bookkeeping_nbytes;
    churn(lender, block, 1000000, &seed);
    CHECK(stats_of(lender).segments <= segments + segments / 4);
    CHECK(stats_of(lender).bookkeeping_nbytes <= bookkeeping + bookkeeping / 4);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(resident_nbytes() <= resident + (512 << 10));
#else
    (void)resident;
#endif
    lender_destroy(lender);
}

int main(void) {
    test_random_sizes_never_overlap(1, 4, UINT64_MAX);
    test_random_sizes_never_overlap(2, 14, UINT64_MAX);
    test_random_sizes_never_overlap(3, 14, 4 * MIB);
    test_random_sizes_never_overlap(4, 10, 0);
    test_random_sizes_never_overlap(5, 18, 64 * MIB);
    test_free_of_what_is_no_block_is_refused_and_changes_nothing();
    test_free_of_random_numbers_frees_only_what_is_allocated();
    test_change_of_sizes_strands_no_memory();
    test_room_between_survivors_is_found_again();
    test_refusal_to_grow_is_passed_on_and_changes_nothing();
    test_small_block_finds_room_after_a_large_one_was_refused();
    test_numbers_of_segments_are_no_positions();
    test_blocks_that_come_back_while_grow_waits_are_used();
    test_empty_segments_beyond_keep_go_back();
    test_smallest_and_large_sizes();
    test_crumbs_that_nobody_asks_for_leave_no_trace();
    test_bookkeeping_stays_flat_over_a_million_operations();
    return TEST_END;
}
