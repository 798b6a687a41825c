/* Nanoseconds for one alloc and one free, through Maestro's allocator on real segments and through its peers, in turn, in one run.
 * Peers: glibc's malloc, and a bare size-class list (the floor: no checks, no way back for memory, links kept in the blocks).
 * Each block is stamped and the stamp is checked before the free, so nobody can win by handing out the same memory twice.
 * A round is shorter than a time slice, so the median holds on a busy machine too.
 * Usage: alloc [plain].  Prints one JSON object per line; value_ns and peer_ns are medians over the rounds, range_ns the smallest and largest of Maestro's. */
#include "mem/allocator.h"
#include "mem/segment.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { ROUNDS = 15, SLOTS = 256, LIST_CLASSES = 64, PAGE = 4096, SEGMENT = 64 << 20 };

/* ---- The three heaps, behind one interface */
typedef struct block {
    char *address;
    uint64_t offset, nbytes;
    uint32_t segment;
} block_t;

typedef struct heap heap_t;
struct heap {
    const char *name;
    void (*open)(heap_t *heap);
    void (*close)(heap_t *heap);
    void (*take)(heap_t *heap, uint64_t nbytes, block_t *block);
    void (*give)(heap_t *heap, const block_t *block);
    mst_mem_allocator_t *allocator;
    uint32_t nsegments;
    struct { void *base; uint64_t nbytes; } segment[1024];
    void *list[LIST_CLASSES];
    pthread_mutex_t *mutex;
};

static void die(const char *what) {
    fprintf(stderr, "alloc: %s: %s\n", what, maestro_last_error());
    exit(1);
}

static maestro_status_t grow(void *context, uint64_t nbytes, uint32_t *segment_out, void **base_out, uint64_t *nbytes_out) {
    heap_t *heap = context;
    int fd;
    if (nbytes < SEGMENT) nbytes = SEGMENT;
    if (heap->nsegments == MST_COUNT(heap->segment)) die("too many segments");
    MST_TRY(mst_mem_segment_create("bench", nbytes, &fd));
    maestro_status_t status = mst_mem_segment_map(fd, nbytes, true, base_out);
    close(fd);
    if (status != MAESTRO_OK) return status;
    heap->segment[heap->nsegments].base = *base_out;
    heap->segment[heap->nsegments].nbytes = nbytes;
    *segment_out = heap->nsegments++;
    *nbytes_out = nbytes;
    return MAESTRO_OK;
}

static void shrink(void *context, uint32_t segment, void *base, uint64_t nbytes) {
    (void)context, (void)segment, (void)base, (void)nbytes; /* unmapped when the heap is closed */
}

static void maestro_open(heap_t *heap) {
    heap->nsegments = 0;
    if (mst_mem_allocator_create(grow, shrink, heap, UINT64_MAX, &heap->allocator) != MAESTRO_OK) die("create");
}

static void maestro_close(heap_t *heap) {
    mst_mem_allocator_destroy(heap->allocator);
    for (uint32_t i = 0; i < heap->nsegments; i++) mst_mem_segment_unmap(heap->segment[i].base, heap->segment[i].nbytes);
}

static void maestro_take(heap_t *heap, uint64_t nbytes, block_t *block) {
    mst_mem_block_t got;
    if (heap->mutex) pthread_mutex_lock(heap->mutex);
    if (mst_mem_allocator_alloc(heap->allocator, nbytes, &got) != MAESTRO_OK) die("alloc");
    if (heap->mutex) pthread_mutex_unlock(heap->mutex);
    *block = (block_t){.address = got.address, .offset = got.offset, .nbytes = nbytes, .segment = got.segment};
}

static void maestro_give(heap_t *heap, const block_t *block) {
    if (heap->mutex) pthread_mutex_lock(heap->mutex);
    if (mst_mem_allocator_free(heap->allocator, block->segment, block->offset) != MAESTRO_OK) die("free");
    if (heap->mutex) pthread_mutex_unlock(heap->mutex);
}

static void nothing(heap_t *heap) { (void)heap; }

static void glibc_take(heap_t *heap, uint64_t nbytes, block_t *block) {
    (void)heap;
    *block = (block_t){.address = malloc(nbytes), .nbytes = nbytes};
}

static void glibc_give(heap_t *heap, const block_t *block) {
    (void)heap;
    free(block->address);
}

static unsigned list_class(uint64_t nbytes) { return nbytes <= 64 ? 6 : 64 - (unsigned)__builtin_clzll(nbytes - 1); }

static void list_take(heap_t *heap, uint64_t nbytes, block_t *block) {
    unsigned class = list_class(nbytes);
    if (heap->mutex) pthread_mutex_lock(heap->mutex);
    void **head = heap->list[class];
    if (head) heap->list[class] = *head;
    else head = malloc(1ull << class);
    if (heap->mutex) pthread_mutex_unlock(heap->mutex);
    *block = (block_t){.address = (char *)head, .nbytes = nbytes};
}

static void list_give(heap_t *heap, const block_t *block) {
    unsigned class = list_class(block->nbytes);
    if (heap->mutex) pthread_mutex_lock(heap->mutex);
    *(void **)block->address = heap->list[class];
    heap->list[class] = block->address;
    if (heap->mutex) pthread_mutex_unlock(heap->mutex);
}

static void list_close(heap_t *heap) {
    for (unsigned class = 0; class < LIST_CLASSES; class++)
        for (void *next; heap->list[class]; heap->list[class] = next) {
            next = *(void **)heap->list[class];
            free(heap->list[class]);
        }
}

static const heap_t heaps[] = {
    {.name = "maestro", .open = maestro_open, .close = maestro_close, .take = maestro_take, .give = maestro_give},
    {.name = "glibc", .open = nothing, .close = nothing, .take = glibc_take, .give = glibc_give},
    {.name = "bare list", .open = nothing, .close = list_close, .take = list_take, .give = list_give},
};
enum { NHEAPS = MST_COUNT(heaps) };

/* ---- What is measured */
typedef struct work {
    const char *name;
    uint64_t nbytes; /* 0: log-uniform 64 B .. 4 MiB, 256 live blocks, random replacement */
    bool touch;      /* write a byte of each page */
    uint64_t pairs;
} work_t;

static inline void stamp(const block_t *block, uint64_t value, bool touch) {
    if (touch)
        for (uint64_t at = PAGE; at < block->nbytes; at += PAGE) *(volatile char *)(block->address + at) = 1;
    *(volatile uint64_t *)block->address = value;
}

static inline void check(const block_t *block, uint64_t value) {
    if (*(volatile uint64_t *)block->address != value) die("a block was handed out twice");
}

static void run_one_size(heap_t *heap, const work_t *work) {
    for (uint64_t i = 0; i < work->pairs; i++) {
        block_t block;
        heap->take(heap, work->nbytes, &block);
        stamp(&block, i, work->touch);
        check(&block, i);
        heap->give(heap, &block);
    }
}

static void run_mix(heap_t *heap, const work_t *work) {
    static _Thread_local block_t slot[SLOTS];
    uint64_t random = 1;
    memset(slot, 0, sizeof slot);
    for (uint64_t i = 0; i < work->pairs; i++) {
        uint64_t bits = mst_base_mix(random += 0x9e3779b97f4a7c15ull), at = bits % SLOTS;
        uint64_t low = 64ull << (bits >> 8) % 16, nbytes = low + ((bits >> 16) & (low - 1));
        if (slot[at].address) {
            check(&slot[at], at);
            heap->give(heap, &slot[at]);
        }
        heap->take(heap, nbytes, &slot[at]);
        stamp(&slot[at], at, work->touch);
    }
    for (uint64_t at = 0; at < SLOTS; at++)
        if (slot[at].address) heap->give(heap, &slot[at]);
}

static void run(heap_t *heap, const work_t *work) { (work->nbytes ? run_one_size : run_mix)(heap, work); }

typedef struct worker {
    heap_t *heap;
    const work_t *work;
    pthread_barrier_t *barrier;
    int64_t ns;
} worker_t;

static void *run_worker(void *argument) {
    worker_t *worker = argument;
    run(worker->heap, worker->work); /* warm */
    pthread_barrier_wait(worker->barrier);
    int64_t start = mst_base_now_ns();
    run(worker->heap, worker->work);
    worker->ns = mst_base_now_ns() - start;
    return NULL;
}

/* Mean time of one pair as a thread sees it. */
static double measure(heap_t *const *heap, unsigned nthreads, const work_t *work) {
    pthread_barrier_t barrier;
    pthread_t thread[2];
    worker_t worker[2];
    double ns = 0;
    pthread_barrier_init(&barrier, NULL, nthreads);
    for (unsigned i = 0; i < nthreads; i++) {
        worker[i] = (worker_t){.heap = heap[i], .work = work, .barrier = &barrier};
        if (pthread_create(&thread[i], NULL, run_worker, &worker[i]) != 0) die("no thread");
    }
    for (unsigned i = 0; i < nthreads; i++) {
        pthread_join(thread[i], NULL);
        ns += (double)worker[i].ns / (double)work->pairs / nthreads;
    }
    pthread_barrier_destroy(&barrier);
    return ns;
}

static int ascending(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static void print_rows(const work_t *work, unsigned nthreads, bool shared, double ns[NHEAPS][ROUNDS]) {
    double must = nthreads == 1 ? 40 : 80;
    for (size_t i = 0; i < NHEAPS; i++) qsort(ns[i], ROUNDS, sizeof ns[i][0], ascending);
    double value = ns[0][ROUNDS / 2];
    for (size_t i = 1; i < NHEAPS; i++) {
        double peer = ns[i][ROUNDS / 2];
        printf("{\"row\":\"alloc and free, %s%s, %u thread%s%s\",\"value_ns\":%.1f,\"range_ns\":[%.1f,%.1f],\"peer\":\"%s\",\"peer_ns\":%.1f,\"ratio\":%.3f",
               work->name, work->touch ? ", pages touched" : "", nthreads, nthreads == 1 ? "" : "s",
               nthreads == 1 ? "" : shared ? ", one heap and a mutex" : ", a heap each", value, ns[0][0], ns[0][ROUNDS - 1], heaps[i].name, peer, value / peer);
        if (!work->touch && work->nbytes) printf(",\"must_ns\":%.0f,\"met\":%s", must, value <= must ? "true" : "false");
        printf("}\n");
    }
    fflush(stdout);
}

static void compare(const work_t *work, unsigned nthreads, bool shared) {
    static heap_t heap[NHEAPS][2];
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    double ns[NHEAPS][ROUNDS];
    unsigned nheaps = shared ? 1 : nthreads;
    for (unsigned i = 0; i < NHEAPS; i++)
        for (unsigned k = 0; k < nheaps; k++) {
            heap[i][k] = heaps[i];
            heap[i][k].mutex = shared ? &mutex : NULL;
            heap[i][k].open(&heap[i][k]);
        }
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < NHEAPS; i++) {
            heap_t *of_thread[2] = {&heap[i][0], &heap[i][nheaps - 1]};
            ns[i][round] = measure(of_thread, nthreads, work);
        }
    for (unsigned i = 0; i < NHEAPS; i++)
        for (unsigned k = 0; k < nheaps; k++) heap[i][k].close(&heap[i][k]);
    print_rows(work, nthreads, shared, ns);
}

int main(int argc, char **argv) {
    bool plain = argc > 1 && strcmp(argv[1], "plain") == 0; /* one size at a time, pages not touched */
    static const work_t works[] = {
        {"64 B", 64, false, 20000},     {"4 KiB", 4 << 10, false, 20000},  {"64 KiB", 64 << 10, false, 20000}, {"1 MiB", 1 << 20, false, 20000},
        {"16 MiB", 16 << 20, false, 5000}, {"64 MiB", 64 << 20, false, 50}, {"mix", 0, false, 10000},
        {"4 KiB", 4 << 10, true, 20000}, {"1 MiB", 1 << 20, true, 500},     {"64 MiB", 64 << 20, true, 1},      {"mix", 0, true, 1000},
    };
    for (size_t i = 0; i < MST_COUNT(works); i++) {
        if (plain && (works[i].touch || !works[i].nbytes)) continue;
        compare(&works[i], 1, false);
        if (works[i].touch) continue; /* there the page faults are measured, which two threads only make noisier */
        compare(&works[i], 2, false);
        compare(&works[i], 2, true);
    }
    return 0;
}
