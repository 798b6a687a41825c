/* What memory and cores this machine has (hwloc); recorded machines through hwloc's own variables (HWLOC_SYNTHETIC, HWLOC_XMLFILE, HWLOC_FSROOT). */
#ifndef MST_MEM_TOPOLOGY_H
#define MST_MEM_TOPOLOGY_H

#include "base/base.h"

/* Cores in this process's affinity mask (the cpuset counts, not the machine). Does not load hwloc. */
int mst_mem_cores(void);
/* One JSON object is appended; hwloc is loaded for it (3 to 5 ms), so this is no call for a hot path.
 * {"cores": of this process, "affinity": "0-3" or null, "numa": [{"node": 0, "bytes": .., "cores": [..], "tier": "DRAM"}],
 *  "caches": [{"level": 1, "bytes": .., "count": ..}], "page_bytes": ..}.  Tiers are DRAM, HBM, NVM or hwloc's own word. */
maestro_status_t mst_mem_topology_json(mst_base_buffer_t *out);

#endif
