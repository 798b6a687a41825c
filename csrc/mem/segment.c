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

enum { HUGE_PAGE = 2 << 20 };

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

int mst_mem_node_of(const void *address) {
    uintptr_t page_mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    void *page = (void *)((uintptr_t)address & ~page_mask);
    int node = -1;
    /* Without target nodes move_pages moves nothing and tells where each page lies, or a negative errno. */
    if (syscall(SYS_move_pages, 0, 1ul, &page, NULL, &node, 0) != 0) return -1;
    return node < 0 ? -1 : node;
}
