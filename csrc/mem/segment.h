/* Segments: blocks of shared memory (memfd), sealed against shrinking and growing.  The pool manager creates them and lends each to one
 * writer; readers get a descriptor opened read-only.  Pages are first touched by the writer (its NUMA node, its cgroup), never by the manager. */
#ifndef MST_MEM_SEGMENT_H
#define MST_MEM_SEGMENT_H

#include "base/base.h"

/* Creates a sealed segment; nothing is mapped or touched.  Errors: SYSTEM. */
maestro_status_t mst_mem_segment_create(const char *name, uint64_t nbytes, int *fd_out);
/* A second descriptor of the same memory that can only be read. */
maestro_status_t mst_mem_segment_reopen_readonly(int fd, int *fd_out);
/* Checks that a descriptor from another process is a memfd of at least nbytes that cannot shrink. Errors: PROTOCOL. */
maestro_status_t mst_mem_segment_check(int fd, uint64_t nbytes);
maestro_status_t mst_mem_segment_map(int fd, uint64_t nbytes, bool writable, void **base_out);
void mst_mem_segment_unmap(void *base, uint64_t nbytes);

/* On which NUMA node bytes lie: that of most of the pages looked at, 256 at most (move_pages query). */
typedef struct mst_mem_residence {
    int node;              /* -1: unknown, since nothing has been written yet or a sandbox forbids the question */
    unsigned there, looked; /* how many of the pages looked at lie there */
} mst_mem_residence_t;

/* Pages that exist are read, so that the kernel can answer for this process; none is made. */
mst_mem_residence_t mst_mem_residence(const void *bytes, size_t nbytes);

#endif
