/* How much memory a pool may use.  Beyond a cgroup's limit the kernel kills instead of refusing, so limits are read before memory is taken. */
#ifndef MST_MEM_LIMITS_H
#define MST_MEM_LIMITS_H

#include "base/base.h"

typedef struct mst_mem_limits {
    int64_t cgroup_limit, cgroup_used;  /* of the cgroup (v2 or v1) with the smallest limit above this process; INT64_MAX / 0 when there is none */
    int64_t available;                  /* MemAvailable */
    int64_t batch_share;                /* SLURM_MEM_PER_NODE, or SLURM_MEM_PER_CPU times the cpus of the node; INT64_MAX when not under a batch system */
} mst_mem_limits_t;

/* `root` is "" for the real machine; tests give a folder that holds proc/ and sys/ trees they wrote. */
maestro_status_t mst_mem_limits_read(const char *root, mst_mem_limits_t *limits_out);
/* Default pool limit: half of the smallest of cgroup limit, available memory, and the batch share. */
int64_t mst_mem_limits_default(const mst_mem_limits_t *limits);
/* Bytes that can still be taken before any cgroup above this process, or the machine, is full, less a reserve of 1/16, at most 256 MiB.  Pages of
 * files that were not used lately do not count as taken.  Descriptors are kept open: about 10 us, fit to be called before each new segment.
 * Pages are charged to the cgroup of the process that touches them first, so a client in another cgroup asks for itself. */
int64_t mst_mem_limits_headroom(void);
/* The same below `root`, nothing kept open. */
int64_t mst_mem_limits_headroom_at(const char *root);

#endif
