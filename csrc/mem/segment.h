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
/* NUMA node of the page at `address` (move_pages query), -1 when it is unknown or not yet touched. */
int mst_mem_node_of(const void *address);

#endif
