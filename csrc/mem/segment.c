/* See segment.h.  Nothing here keeps state: descriptors and mappings belong to the caller.
 * Invariant: a segment that this file made or checked cannot shrink, so no reader meets SIGBUS. */
#include "mem/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

enum { HUGE_PAGE = 2 << 20, SAMPLES = 256 };

/* Kernels before 6.3 do not know MFD_NOEXEC_SEAL; newer ones may insist on it (vm.memfd_noexec). */
static int create_memfd(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    return fd >= 0 || errno != EINVAL ? fd : memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

maestro_status_t mst_mem_segment_create(const char *name, uint64_t nbytes, int *fd_out) {
    if (nbytes == 0 || nbytes > INT64_MAX)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "create segment %s: %llu bytes are no size", name, (unsigned long long)nbytes);
    int fd = create_memfd(name);
    if (fd < 0) return mst_base_fail_errno("create segment %s", name);
    if (ftruncate(fd, (off_t)nbytes) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        maestro_status_t status = mst_base_fail_errno("create segment %s: size it to %llu bytes and seal it", name, (unsigned long long)nbytes);
        close(fd);
        return status;
    }
    *fd_out = fd;
    return MAESTRO_OK;
}

maestro_status_t mst_mem_segment_reopen_readonly(int fd, int *fd_out) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int readonly = open(path, O_RDONLY | O_CLOEXEC);
    if (readonly < 0) return mst_base_fail_errno("open segment read-only through %s (is /proc mounted?)", path);
    *fd_out = readonly;
    return MAESTRO_OK;
}

maestro_status_t mst_mem_segment_check(int fd, uint64_t nbytes) {
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return mst_base_fail(MAESTRO_PROTOCOL, "check segment: descriptor %d is no memory", fd);
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK))
        return mst_base_fail(MAESTRO_PROTOCOL, "check segment: descriptor %d is not sealed against shrinking, so reading it would not be safe", fd);
    if ((uint64_t)status.st_size < nbytes)
        return mst_base_fail(MAESTRO_PROTOCOL, "check segment: it has %lld bytes where the peer announced %llu", (long long)status.st_size,
                             (unsigned long long)nbytes);
    return MAESTRO_OK;
}

maestro_status_t mst_mem_segment_map(int fd, uint64_t nbytes, bool writable, void **base_out) {
    void *base = mmap(NULL, nbytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return mst_base_fail_errno("map a segment of %llu bytes (see ulimit -v and vm.max_map_count)", (unsigned long long)nbytes);
    /* Takes effect where /sys/kernel/mm/transparent_hugepage/shmem_enabled is "advise"; elsewhere it is refused or ignored. */
    if (writable && nbytes >= HUGE_PAGE) madvise(base, nbytes, MADV_HUGEPAGE);
    *base_out = base;
    return MAESTRO_OK;
}

void mst_mem_segment_unmap(void *base, uint64_t nbytes) {
    if (base) munmap(base, nbytes);
}

/* What the kernel holds of a file can be read without making pages; only what this process has read or written can be asked for. */
static void read_if_there(void *page, size_t page_nbytes, const void *byte) {
    unsigned char resident = 0;
    if (mincore(page, page_nbytes, &resident) == 0 && resident & 1) (void)*(volatile const char *)byte;
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static mst_mem_residence_t most_of(int *node, unsigned count) {
    mst_mem_residence_t most = {.node = -1, .looked = count};
    qsort(node, count, sizeof *node, by_number);
    for (unsigned i = 0, run; i < count; i += run) {
        for (run = 1; i + run < count && node[i + run] == node[i];) run++;
        if (node[i] < 0 || run <= most.there) continue; /* negative: the page's errno */
        most.node = node[i];
        most.there = run;
    }
    return most;
}

mst_mem_residence_t mst_mem_residence(const void *bytes, size_t nbytes) {
    uintptr_t page_nbytes = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)bytes / page_nbytes;
    size_t npages = nbytes ? ((uintptr_t)bytes + nbytes - 1) / page_nbytes - first + 1 : 0;
    unsigned count = npages < SAMPLES ? (unsigned)npages : SAMPLES;
    void *page[SAMPLES];
    int node[SAMPLES];
    for (unsigned i = 0; i < count; i++) {
        page[i] = (void *)((first + npages * i / count) * page_nbytes); /* spread evenly */
        read_if_there(page[i], page_nbytes, (const char *)page[i] < (const char *)bytes ? bytes : page[i]);
    }
    /* Without target nodes move_pages moves nothing and tells where each page lies, or a negative errno. */
    bool answered = count && syscall(SYS_move_pages, 0, (unsigned long)count, page, NULL, node, 0) == 0;
    return answered ? most_of(node, count) : (mst_mem_residence_t){.node = -1};
}
