/* The description of the machine, on machines that hwloc makes up or reads from a file that the test wrote. */
#include "mem/topology.h"
#include "base/test.h"

#include <hwloc.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static bool describe(mst_base_buffer_t *out) {
    memset(out, 0, sizeof *out);
    maestro_status_t status = mst_mem_topology_json(out);
    CHECK(status == MAESTRO_OK);
    return status == MAESTRO_OK;
}

static bool says(const mst_base_buffer_t *out, const char *part) {
    bool found = strstr(out->data, part) != NULL;
    if (!found) fprintf(stderr, "  said: %s\n", out->data);
    return found;
}

static unsigned count(const char *text, const char *part) {
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

static void test_synthetic_machine_with_two_nodes(void) {
    mst_base_buffer_t out;
    setenv("HWLOC_SYNTHETIC", "pack:2 [numa(memory=64GB)] l3:1(size=33554432) core:2 pu:2", 1);
    if (describe(&out)) {
        CHECK(says(&out, "{\"node\":0,\"bytes\":64000000000,\"cores\":[0,1,2,3],\"tier\":\"DRAM\"}"));
        CHECK(says(&out, "{\"node\":1,\"bytes\":64000000000,\"cores\":[4,5,6,7],\"tier\":\"DRAM\"}"));
        CHECK(says(&out, "\"caches\":[{\"level\":3,\"bytes\":33554432,\"count\":2}]"));
    }
    mst_base_buffer_fini(&out);
    unsetenv("HWLOC_SYNTHETIC");
}

/* Two packages, each with DRAM, a faster and a slower memory; bandwidths as a real machine's firmware would tell. */
static void write_tiered_machine(const char *path) {
    static const hwloc_uint64_t bandwidth[] = {100000, 400000, 20000};
    hwloc_topology_t topology;
    CHECK(hwloc_topology_init(&topology) == 0);
    CHECK(hwloc_topology_set_synthetic(topology, "pack:2 [numa(memory=64GB)] [numa(memory=16GB)] [numa(memory=512GB)] core:4 pu:1") == 0);
    CHECK(hwloc_topology_load(topology) == 0);
    for (hwloc_obj_t node = NULL; (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node));) {
        struct hwloc_location from = {.type = HWLOC_LOCATION_TYPE_CPUSET, .location.cpuset = node->cpuset};
        CHECK(hwloc_memattr_set_value(topology, HWLOC_MEMATTR_ID_BANDWIDTH, node, &from, 0, bandwidth[node->os_index % 3]) == 0);
        if (node->os_index % 3 == 2) node->subtype = strdup("NVM");
    }
    CHECK(hwloc_topology_export_xml(topology, path, 0) == 0);
    hwloc_topology_destroy(topology);
}

static void test_recorded_machine_with_three_tiers(void) {
    char path[] = "/tmp/maestro-topology-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    write_tiered_machine(path);
    setenv("HWLOC_XMLFILE", path, 1);
    mst_base_buffer_t out;
    if (describe(&out)) {
        CHECK(count(out.data, "\"node\":") == 6 && count(out.data, "\"DRAM\"") == 2 && count(out.data, "\"HBM\"") == 2 && count(out.data, "\"NVM\"") == 2);
        CHECK(says(&out, "\"bytes\":16000000000,\"cores\":[4,5,6,7],\"tier\":\"HBM\"}"));
    }
    mst_base_buffer_fini(&out);
    unsetenv("HWLOC_XMLFILE");
    unlink(path);
}

static void test_this_machine_and_its_affinity(void) {
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    CHECK(mst_mem_cores() == CPU_COUNT(&all));
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(mst_mem_cores() == 1);
    mst_base_buffer_t out;
    char affinity[64];
    snprintf(affinity, sizeof affinity, "{\"cores\":1,\"affinity\":\"%d\",\"numa\":[{\"node\":", cpu);
    if (describe(&out)) CHECK(says(&out, affinity) && says(&out, "\"page_bytes\":"));
    mst_base_buffer_fini(&out);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

int main(void) {
    test_synthetic_machine_with_two_nodes();
    test_recorded_machine_with_three_tiers();
    test_this_machine_and_its_affinity();
    return TEST_END;
}
