/* See topology.h.  hwloc is loaded for one answer and let go of again: nothing is kept, so nothing grows old.
 * Invariant: outputs describe what hwloc reports; what it does not know is left out or null, never guessed. */
#include "mem/topology.h"

#include <errno.h>
#include <hwloc/glibc-sched.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

enum { MOST_CPUS = 1 << 16 };

cpu_set_t *mst_mem_affinity(pid_t tid, size_t *nbytes_out) {
    for (int ncpus = 1024; ncpus <= MOST_CPUS; ncpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(ncpus);
        *nbytes_out = CPU_ALLOC_SIZE(ncpus);
        if (!set) return NULL;
        if (sched_getaffinity(tid, *nbytes_out, set) == 0) return set;
        int error = errno;
        CPU_FREE(set);
        errno = error;
    }
    return NULL;
}

int mst_mem_cores(void) {
    size_t nbytes;
    cpu_set_t *set = mst_mem_affinity(0, &nbytes);
    int count = set ? CPU_COUNT_S(nbytes, set) : 0;
    if (set) CPU_FREE(set);
    long online = count ? count : sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

/* Of this process, also where hwloc looks at another machine: a list like 0-3,8. */
static void print_affinity(mst_base_buffer_t *out, hwloc_topology_t topology) {
    size_t nbytes;
    cpu_set_t *set = mst_mem_affinity(0, &nbytes);
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    char *list = NULL;
    if (set && cpus && hwloc_cpuset_from_glibc_sched_affinity(topology, cpus, set, nbytes) == 0 && hwloc_bitmap_list_asprintf(&list, cpus) >= 0)
        mst_base_buffer_json_string(out, list, strlen(list));
    else
        mst_base_buffer_printf(out, "null");
    free(list);
    hwloc_bitmap_free(cpus);
    if (set) CPU_FREE(set);
}

/* The largest bandwidth that any initiator has to `node`; 0 when hwloc has none. */
static uint64_t bandwidth_of(hwloc_topology_t topology, hwloc_obj_t node) {
    struct hwloc_location initiators[16];
    hwloc_uint64_t values[16], best = 0;
    unsigned count = MST_COUNT(initiators);
    if (hwloc_memattr_get_initiators(topology, HWLOC_MEMATTR_ID_BANDWIDTH, node, 0, &count, initiators, values) != 0) return 0;
    for (unsigned i = 0; i < count && i < MST_COUNT(initiators); i++)
        if (values[i] > best) best = values[i];
    return best;
}

/* The bandwidth of ordinary memory: the smallest of nodes that have cores of their own and no special subtype. */
static uint64_t ordinary_bandwidth(hwloc_topology_t topology) {
    uint64_t ordinary = 0;
    for (hwloc_obj_t node = NULL; (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node));) {
        uint64_t bandwidth = bandwidth_of(topology, node);
        if (node->subtype || hwloc_bitmap_iszero(node->cpuset) || !bandwidth) continue;
        if (!ordinary || bandwidth < ordinary) ordinary = bandwidth;
    }
    return ordinary;
}

static const char *tier_of(hwloc_topology_t topology, hwloc_obj_t node, uint64_t ordinary) {
    if (node->subtype && strcasecmp(node->subtype, "MCDRAM") == 0) return "HBM";
    if (node->subtype && strcasecmp(node->subtype, "DAX") == 0) return "NVM";
    if (node->subtype) return node->subtype;
    return ordinary && bandwidth_of(topology, node) >= 2 * ordinary ? "HBM" : "DRAM";
}

const char *mst_mem_tier(hwloc_topology_t topology, hwloc_obj_t node) { return tier_of(topology, node, ordinary_bandwidth(topology)); }

static void print_node(mst_base_buffer_t *out, hwloc_topology_t topology, hwloc_obj_t node, uint64_t ordinary) {
    const char *tier = tier_of(topology, node, ordinary);
    mst_base_buffer_printf(out, "{\"node\":%u,\"bytes\":%llu,\"cores\":[", node->os_index,
                           (unsigned long long)node->attr->numanode.local_memory);
    unsigned cpu;
    bool first = true;
    hwloc_bitmap_foreach_begin(cpu, node->cpuset)
        mst_base_buffer_printf(out, "%s%u", first ? "" : ",", cpu);
        first = false;
    hwloc_bitmap_foreach_end();
    mst_base_buffer_printf(out, "],\"tier\":");
    mst_base_buffer_json_string(out, tier, strlen(tier));
    mst_base_buffer_printf(out, "}");
}

static void print_nodes(mst_base_buffer_t *out, hwloc_topology_t topology) {
    uint64_t ordinary = ordinary_bandwidth(topology);
    hwloc_obj_t node = NULL;
    for (bool first = true; (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)); first = false) {
        if (!first) mst_base_buffer_printf(out, ",");
        print_node(out, topology, node, ordinary);
    }
}

static void print_caches(mst_base_buffer_t *out, hwloc_topology_t topology) {
    static const hwloc_obj_type_t levels[] = {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L4CACHE};
    bool first = true;
    for (size_t i = 0; i < MST_COUNT(levels); i++) {
        hwloc_obj_t cache = hwloc_get_next_obj_by_type(topology, levels[i], NULL);
        if (!cache) continue;
        mst_base_buffer_printf(out, "%s{\"level\":%zu,\"bytes\":%llu,\"count\":%d}", first ? "" : ",", i + 1,
                               (unsigned long long)cache->attr->cache.size, hwloc_get_nbobjs_by_type(topology, levels[i]));
        first = false;
    }
}

maestro_status_t mst_mem_topology_load(unsigned long flags, hwloc_topology_t *topology_out) {
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) return mst_base_fail(MAESTRO_NO_MEMORY, "look at the machine: hwloc cannot start");
    if (hwloc_topology_set_flags(topology, flags) != 0 || hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        return mst_base_fail(MAESTRO_SYSTEM, "look at the machine: hwloc cannot load it; check HWLOC_SYNTHETIC, HWLOC_XMLFILE and HWLOC_FSROOT");
    }
    *topology_out = topology;
    return MAESTRO_OK;
}

maestro_status_t mst_mem_topology_json(mst_base_buffer_t *out) {
    hwloc_topology_t topology;
    MST_TRY(mst_mem_topology_load(0, &topology));
    mst_base_buffer_printf(out, "{\"cores\":%d,\"affinity\":", mst_mem_cores());
    print_affinity(out, topology);
    mst_base_buffer_printf(out, ",\"numa\":[");
    print_nodes(out, topology);
    mst_base_buffer_printf(out, "],\"caches\":[");
    print_caches(out, topology);
    mst_base_buffer_printf(out, "],\"page_bytes\":%ld}", sysconf(_SC_PAGESIZE));
    hwloc_topology_destroy(topology);
    return out->failed ? mst_base_fail(MAESTRO_NO_MEMORY, "describe the machine: no memory for the text") : MAESTRO_OK;
}
