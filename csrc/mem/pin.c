/* See pin.h.  hwloc is loaded for one choice, as in topology.c, with what this process may not use: memory of another's cpuset has a place too.
 * Invariant: what is chosen is allowed, and not empty. */
#include "mem/pin.h"

#include <errno.h>
#include <hwloc/distances.h>
#include <hwloc/glibc-sched.h>
#include <stdio.h>

/* ---- Near cores. */

static bool take(mst_mem_choice_t *choice, hwloc_const_bitmap_t cpus, hwloc_const_bitmap_t allowed) {
    if (!hwloc_bitmap_intersects(cpus, allowed)) return false;
    hwloc_bitmap_or(choice->domain, choice->domain, cpus);
    hwloc_bitmap_and(choice->domain, choice->domain, allowed); /* what was there is allowed too */
    return true;
}

/* To memory without cores hwloc gives those of the part of the machine that it hangs it to, which has nodes with cores of their own in it. */
static bool has_own_cores(hwloc_topology_t topology, hwloc_obj_t node) {
    for (hwloc_obj_t other = NULL; (other = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, other));)
        if (hwloc_bitmap_isincluded(other->cpuset, node->cpuset) && !hwloc_bitmap_isequal(other->cpuset, node->cpuset)) return false;
    return true;
}

/* What the sentence that tells why begins with. */
static int begin_why(mst_mem_choice_t *choice, hwloc_topology_t topology, hwloc_obj_t node) {
    return snprintf(choice->why, sizeof choice->why, "NUMA node %u (%s) has %s", node->os_index, mst_mem_tier(topology, node),
                    has_own_cores(topology, node) ? "no core that may be used" : "no cores of its own");
}

/* By the machine's own distances (latencies from a core's node to the memory's); false when it has none of this node. */
static bool take_by_distance(mst_mem_choice_t *choice, hwloc_topology_t topology, hwloc_obj_t node, hwloc_const_bitmap_t allowed) {
    struct hwloc_distances_s *distances;
    unsigned count = 1;
    if (hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &count, &distances, HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) != 0 || !count) return false;
    unsigned n = distances->nbobjs, to = 0;
    while (to < n && distances->objs[to] != node) to++;
    hwloc_uint64_t nearest = UINT64_MAX;
    for (unsigned from = 0; to < n && from < n; from++) {
        hwloc_obj_t other = distances->objs[from];
        hwloc_uint64_t distance = distances->values[(size_t)from * n + to];
        if (distance > nearest || !other || !has_own_cores(topology, other) || !hwloc_bitmap_intersects(other->cpuset, allowed)) continue;
        if (distance < nearest) {
            hwloc_bitmap_zero(choice->domain);
            hwloc_bitmap_zero(choice->nodes);
        }
        nearest = distance;
        take(choice, other->cpuset, allowed);
        hwloc_bitmap_set(choice->nodes, other->os_index);
    }
    hwloc_distances_release(topology, distances);
    if (nearest == UINT64_MAX) return false;
    int used = begin_why(choice, topology, node);
    snprintf(choice->why + used, sizeof choice->why - (size_t)used, "; the nearest are at distance %llu", (unsigned long long)nearest);
    return true;
}

/* By the hierarchy: the smallest part of the machine around the memory that has cores which may be used. */
static bool take_by_hierarchy(mst_mem_choice_t *choice, hwloc_topology_t topology, hwloc_obj_t node, hwloc_const_bitmap_t allowed) {
    hwloc_obj_t around = node->parent;
    while (around && !take(choice, around->cpuset, allowed)) around = around->parent;
    if (!around) return false;
    for (hwloc_obj_t other = NULL; (other = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, other));)
        if (hwloc_bitmap_intersects(other->cpuset, choice->domain)) hwloc_bitmap_set(choice->nodes, other->os_index);
    char part[64];
    hwloc_obj_type_snprintf(part, sizeof part, around, 0);
    int used = begin_why(choice, topology, node);
    snprintf(choice->why + used, sizeof choice->why - (size_t)used, "; the nearest are those of the same %s %u", part, around->logical_index);
    return true;
}

static maestro_status_t choose_domain(mst_mem_choice_t *choice, hwloc_topology_t topology, int number, hwloc_const_bitmap_t allowed) {
    hwloc_obj_t node = hwloc_get_numanode_obj_by_os_index(topology, (unsigned)number);
    if (!node) return mst_base_fail(MAESTRO_NOT_FOUND, "pin: hwloc knows no NUMA node %d of this machine", number);
    if (has_own_cores(topology, node) && take(choice, node->cpuset, allowed)) {
        hwloc_bitmap_set(choice->nodes, node->os_index);
        snprintf(choice->why, sizeof choice->why, "local to NUMA node %d (%s)", number, mst_mem_tier(topology, node));
        return MAESTRO_OK;
    }
    if (take_by_distance(choice, topology, node, allowed) || take_by_hierarchy(choice, topology, node, allowed)) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_NOT_FOUND, "pin: this process may use no core that hwloc knows");
}

/* ---- The part of one rank. */

/* Cores (or hardware threads) with something in the domain; those numbered from `from` to before `to` are added to `part`. */
static unsigned units(hwloc_topology_t topology, hwloc_obj_type_t type, hwloc_const_bitmap_t domain, unsigned from, unsigned to, hwloc_bitmap_t part) {
    unsigned count = 0;
    for (hwloc_obj_t unit = NULL; (unit = hwloc_get_next_obj_by_type(topology, type, unit));) {
        if (!hwloc_bitmap_intersects(unit->cpuset, domain)) continue;
        if (count >= from && count < to) hwloc_bitmap_or(part, part, unit->cpuset);
        count++;
    }
    return count;
}

static void choose_part(mst_mem_choice_t *choice, hwloc_topology_t topology, uint64_t rank, uint64_t nranks) {
    hwloc_obj_type_t type = HWLOC_OBJ_CORE;
    uint64_t count = units(topology, type, choice->domain, 0, 0, choice->cores);
    if (count < nranks) {
        type = HWLOC_OBJ_PU;
        count = units(topology, type, choice->domain, 0, 0, choice->cores);
    }
    uint64_t from = rank * count / nranks, to = (rank + 1) * count / nranks;
    units(topology, type, choice->domain, (unsigned)from, (unsigned)(to > from ? to : from + 1), choice->cores);
    hwloc_bitmap_and(choice->cores, choice->cores, choice->domain);
}

void mst_mem_choice_fini(mst_mem_choice_t *choice) {
    hwloc_bitmap_free(choice->domain);
    hwloc_bitmap_free(choice->cores);
    hwloc_bitmap_free(choice->nodes);
}

maestro_status_t mst_mem_choose(hwloc_topology_t topology, int node, hwloc_const_bitmap_t allowed, int64_t rank, int64_t nranks,
                                mst_mem_choice_t *choice_out) {
    if (nranks < 1 || nranks > INT32_MAX || rank < 0 || rank >= nranks)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "pin: there is no rank %lld of %lld; ranks count from 0", (long long)rank, (long long)nranks);
    mst_mem_choice_t choice = {hwloc_bitmap_alloc(), hwloc_bitmap_alloc(), hwloc_bitmap_alloc(), ""};
    maestro_status_t status = choice.domain && choice.cores && choice.nodes ? choose_domain(&choice, topology, node, allowed) : mst_base_fail(MAESTRO_SYSTEM, "pin: no memory");
    if (status == MAESTRO_OK) {
        choose_part(&choice, topology, (uint64_t)rank, (uint64_t)nranks);
        *choice_out = choice;
    } else mst_mem_choice_fini(&choice);
    return status;
}

/* ---- Binding to it. */

static void say_list(mst_base_buffer_t *said, const char *key, hwloc_const_bitmap_t cpus) {
    char *list = NULL;
    mst_base_buffer_printf(said, ",\"%s\":", key);
    if (hwloc_bitmap_list_asprintf(&list, cpus) >= 0) mst_base_buffer_json_string(said, list, strlen(list));
    else said->failed = true;
    free(list);
}

static maestro_status_t bind_to(hwloc_topology_t topology, hwloc_const_bitmap_t cores, pid_t pid, mst_mem_binding_t **binding_out) {
    if (!hwloc_topology_is_thissystem(topology))
        return mst_base_fail(MAESTRO_WRONG_STATE, "pin: hwloc was told of another machine (HWLOC_XMLFILE, HWLOC_SYNTHETIC, HWLOC_FSROOT); choose without binding (dry run)");
    int ncpus = hwloc_bitmap_last(cores) + 1;
    cpu_set_t *set = CPU_ALLOC(ncpus);
    if (!set) return mst_base_fail(MAESTRO_SYSTEM, "pin: no memory");
    hwloc_cpuset_to_glibc_sched_affinity(topology, cores, set, CPU_ALLOC_SIZE(ncpus));
    maestro_status_t status = mst_mem_bind(pid, set, CPU_ALLOC_SIZE(ncpus), binding_out);
    CPU_FREE(set);
    return status;
}

/* What the thread or process may use; on a recorded machine what was recorded as allowed.  The caller frees it. */
static hwloc_bitmap_t allowed_cores(hwloc_topology_t topology, pid_t pid) {
    if (!hwloc_topology_is_thissystem(topology)) return hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology));
    size_t nbytes;
    cpu_set_t *set = mst_mem_affinity_before(pid, &nbytes);
    hwloc_bitmap_t allowed = set ? hwloc_bitmap_alloc() : NULL;
    if (allowed) hwloc_cpuset_from_glibc_sched_affinity(topology, allowed, set, nbytes);
    if (set) CPU_FREE(set);
    return allowed;
}

/* Where a sandbox hides the place of pages, a machine of one node has only one answer. */
static int node_of(hwloc_topology_t topology, const mst_mem_residence_t *residence) {
    if (residence->node >= 0 || hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE) != 1) return residence->node;
    return (int)hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, 0)->os_index;
}

static void say(mst_base_buffer_t *said, int node, const mst_mem_residence_t *residence, const mst_mem_choice_t *choice, hwloc_const_bitmap_t allowed) {
    mst_base_buffer_printf(said, "{\"node\":%d,\"pages\":%u,\"pages_there\":%u", node, residence->looked, residence->there);
    say_list(said, "cores", choice->cores);
    say_list(said, "domain", choice->domain);
    say_list(said, "nodes", choice->nodes);
    say_list(said, "allowed", allowed);
    mst_base_buffer_printf(said, ",\"why\":");
    mst_base_buffer_json_string(said, choice->why, strlen(choice->why));
}

static maestro_status_t pin(hwloc_topology_t topology, const mst_mem_residence_t *residence, const mst_mem_pin_wish_t *wish, mst_base_buffer_t *said,
                            mst_mem_binding_t **binding_out) {
    int node = node_of(topology, residence);
    if (node < 0)
        return mst_base_fail(MAESTRO_NOT_FOUND, "pin: on which NUMA node the object lies is not known: nothing has been written to it, or a sandbox forbids the question (move_pages)");
    mst_mem_choice_t choice;
    hwloc_bitmap_t allowed = allowed_cores(topology, wish->pid);
    if (!allowed) return errno == ESRCH ? mst_base_fail(MAESTRO_NOT_FOUND, "pin: there is no process %d", wish->pid) : mst_base_fail_errno("pin: read what process %d may use", wish->pid);
    maestro_status_t status = mst_mem_choose(topology, node, allowed, wish->rank, wish->nranks, &choice);
    if (status == MAESTRO_OK) {
        if (!wish->dry) status = bind_to(topology, choice.cores, wish->pid, binding_out);
        say(said, node, residence, &choice, allowed);
        mst_base_buffer_printf(said, ",\"rank\":%lld,\"ranks\":%lld,\"pid\":%d,\"bound\":%s}", (long long)wish->rank, (long long)wish->nranks, wish->pid,
                               wish->dry ? "false" : "true");
        mst_mem_choice_fini(&choice);
    }
    hwloc_bitmap_free(allowed);
    return status;
}

maestro_status_t mst_mem_pin(const mst_mem_residence_t *residence, const mst_mem_pin_wish_t *wish, mst_base_buffer_t *said, mst_mem_binding_t **binding_out) {
    hwloc_topology_t topology;
    MST_TRY(mst_mem_topology_load(HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED, &topology));
    maestro_status_t status = pin(topology, residence, wish, said, binding_out);
    hwloc_topology_destroy(topology);
    return status;
}
