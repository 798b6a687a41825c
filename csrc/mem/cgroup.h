/* The control groups above this process that bound its memory (cgroup v1 or v2), from its own up to the mount's root.
 * Files stay open, so that asking again costs two reads a level.  For limits.c alone. */
#ifndef MST_MEM_CGROUP_H
#define MST_MEM_CGROUP_H

#include "base/base.h"

enum { MST_MEM_CGROUP_LEVELS = 16 };

typedef struct mst_mem_cgroup_level {
    int max_fd, high_fd, used_fd, stat_fd; /* -1: the level has no such file */
} mst_mem_cgroup_level_t;

typedef struct mst_mem_cgroup {
    mst_mem_cgroup_level_t level[MST_MEM_CGROUP_LEVELS];
    size_t nlevels;
} mst_mem_cgroup_t;

/* No memory controller found is no error: no levels.  `root` is put before /proc and before the mount's path. */
void mst_mem_cgroup_open(mst_mem_cgroup_t *cgroup, const char *root);
void mst_mem_cgroup_close(mst_mem_cgroup_t *cgroup);

/* The limit of a level, INT64_MAX when there is none.  memory.high counts too: beyond it the kernel slows everybody down to a crawl. */
int64_t mst_mem_cgroup_limit(const mst_mem_cgroup_level_t *level);
/* Bytes charged to the level. */
int64_t mst_mem_cgroup_used(const mst_mem_cgroup_level_t *level);
/* Bytes of these that are pages of files, which the kernel drops before it kills.  Shared memory is not among them. */
int64_t mst_mem_cgroup_reclaimable(const mst_mem_cgroup_level_t *level);

#endif
