/* What memory and cores this machine has (hwloc); recorded machines through hwloc's own variables (HWLOC_SYNTHETIC, HWLOC_XMLFILE, HWLOC_FSROOT). */
#ifndef MST_MEM_TOPOLOGY_H
#define MST_MEM_TOPOLOGY_H

#include "base/base.h"

#include <hwloc.h>
#include <sched.h>
#include <sys/types.h>

/* Cores in this process's affinity mask (the cpuset counts, not the machine). Does not load hwloc. */
int mst_mem_cores(void);
/* One JSON object is appended; hwloc is loaded for it (3 to 5 ms), so this is no call for a hot path.
 * {"cores": of this process, "affinity": "0-3" or null, "numa": [{"node": 0, "bytes": .., "cores": [..], "tier": "DRAM"}],
 *  "caches": [{"level": 1, "bytes": .., "count": ..}], "page_bytes": ..}.  Tiers are DRAM, HBM, NVM or hwloc's own word. */
maestro_status_t mst_mem_topology_json(mst_base_buffer_t *out);

/* hwloc's view of the machine, with hwloc's own flags; the caller destroys it. */
maestro_status_t mst_mem_topology_load(unsigned long flags, hwloc_topology_t *topology_out);
/* The kind of a node's memory: hwloc's own word where it has one; else HBM from twice the ordinary bandwidth on, else DRAM. */
const char *mst_mem_tier(hwloc_topology_t topology, hwloc_obj_t node);
/* The affinity mask of a thread (0: the calling one), however many cores the kernel was built for; the caller frees it with CPU_FREE.
 * NULL with errno: there is no such thread, or no memory. */
cpu_set_t *mst_mem_affinity(pid_t tid, size_t *nbytes_out);

#endif
