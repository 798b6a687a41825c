/* See memory.h. */
#include "mpi/memory.h"

#include "mem/segment.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Segments */
maestro_status_t mst_mpi_segment_create(uint64_t nbytes, mst_mpi_segment_t *segment_out, void **base_out) {
    static _Atomic uint64_t serials;
    struct stat file;
    int fd;
    MST_TRY(mst_mem_segment_create("maestro-array", nbytes, &fd));
    maestro_status_t status = fstat(fd, &file) == 0 ? mst_mem_segment_map(fd, nbytes, true, base_out) : mst_base_fail_errno("segment of an array");
    if (status != MAESTRO_OK) {
        close(fd);
        return status;
    }
    *segment_out = (mst_mpi_segment_t){.nbytes = nbytes, .device = file.st_dev, .inode = file.st_ino, .serial = ++serials, .pid = getpid(), .fd = fd};
    return MAESTRO_OK;
}

static maestro_status_t check_file(int fd, const mst_mpi_segment_t *segment) {
    struct stat file;
    if (fstat(fd, &file) != 0) return mst_base_fail_errno("segment of another rank");
    if (file.st_dev != segment->device || file.st_ino != segment->inode)
        return mst_base_fail(MAESTRO_SYSTEM, "segment of another rank: process %lld is another one here; ranks of a node must see each other's process ids",
                             (long long)segment->pid);
    return mst_mem_segment_check(fd, segment->nbytes);
}

maestro_status_t mst_mpi_segment_map(const mst_mpi_segment_t *segment, const void **base_out) {
    char path[64];
    void *base = NULL;
    snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)segment->pid, (long long)segment->fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return mst_base_fail_errno("segment of another rank: open %s", path);
    maestro_status_t status = check_file(fd, segment);
    if (status == MAESTRO_OK) status = mst_mem_segment_map(fd, segment->nbytes, false, &base);
    close(fd);
    if (status == MAESTRO_OK) *base_out = base;
    return status;
}

void mst_mpi_segment_unmap(const void *base, uint64_t nbytes) { syscall(SYS_munmap, base, nbytes); }

/* ---- The application's */
typedef struct block block_t;
struct block {
    char *base;
    mst_mpi_segment_t segment;
    block_t *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block_t *blocks; /* the last one first; applications have few */

maestro_status_t maestro_alloc(size_t nbytes, void **memory_out) {
    block_t *block = calloc(1, sizeof *block);
    void *base = NULL;
    if (!memory_out) {
        free(block);
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "alloc: the output is NULL");
    }
    maestro_status_t status = block ? mst_mpi_segment_create(nbytes ? nbytes : 1, &block->segment, &base) : mst_base_fail_errno("alloc");
    if (status != MAESTRO_OK) {
        free(block);
        return status;
    }
    block->base = base;
    pthread_mutex_lock(&lock);
    block->next = blocks;
    blocks = block;
    pthread_mutex_unlock(&lock);
    *memory_out = base;
    return MAESTRO_OK;
}

static block_t *take_out(const void *memory) {
    block_t **place = &blocks;
    while (*place && (*place)->base != memory) place = &(*place)->next;
    block_t *block = *place;
    if (block) *place = block->next;
    return block;
}

maestro_status_t maestro_dealloc(void *memory) {
    if (!memory) return MAESTRO_OK;
    pthread_mutex_lock(&lock);
    block_t *block = take_out(memory);
    pthread_mutex_unlock(&lock);
    if (!block) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "dealloc: %p is not from maestro_alloc, or has been given back already", memory);
    munmap(block->base, block->segment.nbytes);
    close((int)block->segment.fd);
    free(block);
    return MAESTRO_OK;
}

bool mst_mpi_memory_find(const void *memory, mst_mpi_segment_t *segment_out, uint64_t *offset_out) {
    const char *at = memory;
    pthread_mutex_lock(&lock);
    const block_t *block = blocks;
    while (block && (at < block->base || at >= block->base + block->segment.nbytes)) block = block->next;
    if (block) {
        *segment_out = block->segment;
        *offset_out = (uint64_t)(at - block->base);
    }
    pthread_mutex_unlock(&lock);
    return block != NULL;
}
