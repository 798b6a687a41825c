/* What memory and cores this machine has (hwloc).  Loaded once, lazily; recorded machines through hwloc's own variables. */
#ifndef MST_MEM_TOPOLOGY_H
#define MST_MEM_TOPOLOGY_H

#include "base/base.h"

/* Cores in this process's affinity mask (the cpuset counts, not the machine). Does not load hwloc. */
int mst_mem_cores(void);
/* {"cores":..,"affinity":..,"numa":[{"node":0,"bytes":..,"cores":[..],"tier":"DRAM"}],"caches":..,"page_bytes":..} appended as one JSON object. */
maestro_status_t mst_mem_topology_json(mst_base_buffer_t *out);

#endif
