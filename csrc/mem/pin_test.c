/* Which cores are chosen, exactly, on machines that hwloc makes up or reads from a text; and that threads are bound and given back. */
#include "mem/pin.h"
#include "base/test.h"

#include <hwloc/distances.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Recorded machines. */

static hwloc_topology_t synthetic(const char *description) {
    hwloc_topology_t topology;
    CHECK(hwloc_topology_init(&topology) == 0);
    CHECK(hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) == 0);
    CHECK(hwloc_topology_set_synthetic(topology, description) == 0);
    CHECK(hwloc_topology_load(topology) == 0);
    return topology;
}

/* The machine's distances, as its firmware would tell them: `of(i, j)` from the cores of node i to the memory of node j. */
static void tell_distances(hwloc_topology_t topology, hwloc_uint64_t of(unsigned, unsigned)) {
    unsigned n = (unsigned)hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
    hwloc_obj_t node[16];
    hwloc_uint64_t value[16 * 16];
    for (unsigned i = 0; i < n; i++) {
        node[i] = hwloc_get_numanode_obj_by_os_index(topology, i);
        for (unsigned j = 0; j < n; j++) value[i * n + j] = of(i, j);
    }
    hwloc_distances_add_handle_t handle = hwloc_distances_add_create(topology, "NUMALatency", HWLOC_DISTANCES_KIND_FROM_OS | HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0);
    CHECK(handle != NULL);
    CHECK(hwloc_distances_add_values(topology, handle, n, node, value, 0) == 0);
    CHECK(hwloc_distances_add_commit(topology, handle, 0) == 0);
}

/* Two sockets of four NUMA nodes, four cores of two hardware threads each. */
static hwloc_topology_t two_socket_eight_node_epyc(void) { return synthetic("pack:2 group:4 [numa(memory=64GB)] l3:1 core:4 pu:2"); }

static hwloc_uint64_t epyc_distance(unsigned i, unsigned j) { return i == j ? 10 : i / 4 == j / 4 ? 12 : 32; }

/* Two sockets in sub-NUMA clusters of eight cores, where a ring makes the next cluster nearer than the one behind it. */
static hwloc_topology_t snc_intel(void) { return synthetic("pack:2 group:4 [numa(memory=32GB)] core:8 pu:1"); }

static hwloc_uint64_t snc_distance(unsigned i, unsigned j) {
    unsigned apart = i > j ? i - j : j - i;
    return i == j ? 10 : i / 4 != j / 4 ? 21 : 11 + apart;
}

/* Each socket has DRAM and HBM, which hwloc hangs to the socket: both are local to its cores. */
static hwloc_topology_t hbm_at_sockets(void) { return synthetic("pack:2 [numa(memory=128GB)] [numa(memory=64GB)] core:4 pu:1"); }

/* As Linux shows a machine without HMAT: nodes 2 (HBM) and 3 (CXL) have no cores, and only distances say where they are. */
static const char COREFREE[] =
    "<?xml version=\"1.0\"?>\n<topology version=\"2.0\">"
    "<object type=\"Machine\" os_index=\"0\" cpuset=\"0xf\" complete_cpuset=\"0xf\" allowed_cpuset=\"0xf\" nodeset=\"0xf\" complete_nodeset=\"0xf\" allowed_nodeset=\"0xf\">"
    "<object type=\"NUMANode\" os_index=\"2\" cpuset=\"0x0\" complete_cpuset=\"0x0\" nodeset=\"0x4\" complete_nodeset=\"0x4\" local_memory=\"16000000000\" subtype=\"HBM\"/>"
    "<object type=\"NUMANode\" os_index=\"3\" cpuset=\"0x0\" complete_cpuset=\"0x0\" nodeset=\"0x8\" complete_nodeset=\"0x8\" local_memory=\"99000000000\"/>"
    "<object type=\"Package\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\" nodeset=\"0x1\" complete_nodeset=\"0x1\">"
    "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\" nodeset=\"0x1\" complete_nodeset=\"0x1\" local_memory=\"64000000000\"/>"
    "<object type=\"Core\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\" nodeset=\"0x1\" complete_nodeset=\"0x1\">"
    "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\" nodeset=\"0x1\" complete_nodeset=\"0x1\"/></object>"
    "<object type=\"Core\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\" nodeset=\"0x1\" complete_nodeset=\"0x1\">"
    "<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\" nodeset=\"0x1\" complete_nodeset=\"0x1\"/></object></object>"
    "<object type=\"Package\" os_index=\"1\" cpuset=\"0xc\" complete_cpuset=\"0xc\" nodeset=\"0x2\" complete_nodeset=\"0x2\">"
    "<object type=\"NUMANode\" os_index=\"1\" cpuset=\"0xc\" complete_cpuset=\"0xc\" nodeset=\"0x2\" complete_nodeset=\"0x2\" local_memory=\"64000000000\"/>"
    "<object type=\"Core\" os_index=\"2\" cpuset=\"0x4\" complete_cpuset=\"0x4\" nodeset=\"0x2\" complete_nodeset=\"0x2\">"
    "<object type=\"PU\" os_index=\"2\" cpuset=\"0x4\" complete_cpuset=\"0x4\" nodeset=\"0x2\" complete_nodeset=\"0x2\"/></object>"
    "<object type=\"Core\" os_index=\"3\" cpuset=\"0x8\" complete_cpuset=\"0x8\" nodeset=\"0x2\" complete_nodeset=\"0x2\">"
    "<object type=\"PU\" os_index=\"3\" cpuset=\"0x8\" complete_cpuset=\"0x8\" nodeset=\"0x2\" complete_nodeset=\"0x2\"/></object></object>"
    "</object></topology>";

static hwloc_topology_t memory_without_cores(void) {
    hwloc_topology_t topology;
    CHECK(hwloc_topology_init(&topology) == 0);
    CHECK(hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) == 0);
    CHECK(hwloc_topology_set_xmlbuffer(topology, COREFREE, sizeof COREFREE) == 0);
    CHECK(hwloc_topology_load(topology) == 0);
    return topology;
}

/* HBM near socket 0, CXL equally far from both. */
static hwloc_uint64_t corefree_distance(unsigned i, unsigned j) {
    static const unsigned distance[4][4] = {{10, 21, 13, 24}, {21, 10, 23, 24}, {13, 23, 10, 34}, {24, 24, 34, 10}};
    return distance[i][j];
}

static bool same_list(hwloc_const_bitmap_t set, const char *list) {
    char *text = NULL;
    bool same = hwloc_bitmap_list_asprintf(&text, set) >= 0 && strcmp(text, list) == 0;
    if (!same) fprintf(stderr, "  chosen: %s, expected: %s\n", text, list);
    free(text);
    return same;
}

/* Whether rank `rank` of `nranks`, allowed the cores of the list, gets exactly `cores` for memory of `node`, for a reason with `why` in it. */
static bool chosen(hwloc_topology_t topology, int node, const char *allowed, int64_t rank, int64_t nranks, const char *cores, const char *why) {
    hwloc_bitmap_t usable = hwloc_bitmap_alloc();
    mst_mem_choice_t choice;
    CHECK(hwloc_bitmap_list_sscanf(usable, allowed) >= 0);
    maestro_status_t status = mst_mem_choose(topology, node, usable, rank, nranks, &choice);
    hwloc_bitmap_free(usable);
    CHECK(status == MAESTRO_OK);
    if (status != MAESTRO_OK) return false;
    bool right = same_list(choice.cores, cores) && strstr(choice.why, why);
    if (!right) fprintf(stderr, "  why: %s\n", choice.why);
    mst_mem_choice_fini(&choice);
    return right;
}

/* ---- Choices. */

static void test_cores_of_the_objects_own_domain(void) {
    hwloc_topology_t epyc = two_socket_eight_node_epyc(), snc = snc_intel();
    CHECK(chosen(epyc, 0, "0-63", 0, 1, "0-7", "local to NUMA node 0 (DRAM)"));
    CHECK(chosen(epyc, 5, "0-63", 0, 1, "40-47", "local to NUMA node 5"));
    CHECK(chosen(snc, 7, "0-63", 0, 1, "56-63", "local to NUMA node 7"));
    CHECK(chosen(snc, 7, "0-57", 0, 1, "56-57", "local to NUMA node 7"));
    hwloc_topology_destroy(epyc);
    hwloc_topology_destroy(snc);
}

static void test_ranks_share_a_domain_in_whole_cores_then_threads_then_in_turn(void) {
    hwloc_topology_t epyc = two_socket_eight_node_epyc();
    CHECK(chosen(epyc, 1, "0-63", 0, 2, "8-11", "local") && chosen(epyc, 1, "0-63", 1, 2, "12-15", "local"));
    CHECK(chosen(epyc, 1, "0-63", 0, 3, "8-9", "local") && chosen(epyc, 1, "0-63", 1, 3, "10-11", "local") && chosen(epyc, 1, "0-63", 2, 3, "12-15", "local"));
    CHECK(chosen(epyc, 1, "0-63", 3, 4, "14-15", "local"));
    for (int64_t rank = 0; rank < 8; rank++) {
        char one[8];
        snprintf(one, sizeof one, "%d", 8 + (int)rank);
        CHECK(chosen(epyc, 1, "0-63", rank, 8, one, "local"));
    }
    CHECK(chosen(epyc, 1, "0-63", 0, 16, "8", "local") && chosen(epyc, 1, "0-63", 1, 16, "8", "local") && chosen(epyc, 1, "0-63", 15, 16, "15", "local"));
    CHECK(chosen(epyc, 1, "9,11,13", 0, 3, "9", "local") && chosen(epyc, 1, "9,11,13", 2, 3, "13", "local")); /* one thread of each core is allowed */
    hwloc_topology_destroy(epyc);
}

static void test_cpuset_without_the_objects_domain_takes_the_nearest_ones(void) {
    hwloc_topology_t epyc = two_socket_eight_node_epyc(), snc = snc_intel();
    CHECK(chosen(epyc, 0, "16-63", 0, 1, "16-31", "no core that may be used; the nearest are those of the same Package 0")); /* no distances told */
    CHECK(chosen(epyc, 0, "40-63", 0, 1, "40-63", "the nearest are those of the same Machine 0"));
    tell_distances(epyc, epyc_distance);
    CHECK(chosen(epyc, 0, "8-11,40-63", 0, 1, "8-11", "the nearest are at distance 12"));
    CHECK(chosen(epyc, 0, "16-63", 1, 2, "24-31", "distance 12")); /* two equally near domains, halved */
    CHECK(chosen(epyc, 0, "40-47", 0, 1, "40-47", "distance 32"));
    tell_distances(snc, snc_distance);
    CHECK(chosen(snc, 3, "0-23,32-63", 0, 1, "16-23", "distance 12")); /* the next cluster, not the whole socket */
    hwloc_topology_destroy(epyc);
    hwloc_topology_destroy(snc);
}

static void test_memory_of_a_socket_besides_its_own_is_local_to_its_cores(void) {
    hwloc_topology_t topology = hbm_at_sockets();
    hwloc_get_numanode_obj_by_os_index(topology, 3)->subtype = strdup("HBM");
    CHECK(chosen(topology, 1, "0-7", 0, 1, "0-3", "local to NUMA node 1"));
    CHECK(chosen(topology, 3, "0-7", 1, 2, "6-7", "local to NUMA node 3 (HBM)"));
    CHECK(chosen(topology, 3, "0-2", 0, 1, "0-2", "NUMA node 3 (HBM) has no core that may be used"));
    hwloc_topology_destroy(topology);
}

static void test_memory_without_cores_takes_the_nearest_by_distance(void) {
    hwloc_topology_t topology = memory_without_cores();
    CHECK(chosen(topology, 2, "0-3", 0, 1, "0-3", "NUMA node 2 (HBM) has no cores of its own; the nearest are those of the same Machine 0"));
    tell_distances(topology, corefree_distance);
    CHECK(chosen(topology, 2, "0-3", 0, 1, "0-1", "NUMA node 2 (HBM) has no cores of its own; the nearest are at distance 13"));
    CHECK(chosen(topology, 2, "1,3", 0, 1, "1", "distance 13"));
    CHECK(chosen(topology, 2, "2-3", 0, 1, "2-3", "distance 23"));
    CHECK(chosen(topology, 3, "0-3", 0, 1, "0-3", "distance 24"));
    hwloc_topology_destroy(topology);
}

static void test_impossible_wishes_are_refused(void) {
    hwloc_topology_t epyc = two_socket_eight_node_epyc();
    hwloc_bitmap_t some = hwloc_bitmap_alloc();
    mst_mem_choice_t choice;
    hwloc_bitmap_set(some, 3);
    CHECK_STATUS(mst_mem_choose(epyc, 8, some, 0, 1, &choice), MAESTRO_NOT_FOUND);
    CHECK_ERROR_SAYS("no NUMA node 8");
    CHECK_STATUS(mst_mem_choose(epyc, 0, some, 2, 2, &choice), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(mst_mem_choose(epyc, 0, some, 0, 0, &choice), MAESTRO_INVALID_ARGUMENT);
    hwloc_bitmap_only(some, 99);
    CHECK_STATUS(mst_mem_choose(epyc, 0, some, 0, 1, &choice), MAESTRO_NOT_FOUND);
    hwloc_bitmap_free(some);
    hwloc_topology_destroy(epyc);
}

static void test_recorded_machine_is_described_and_not_bound_to(void) {
    mst_base_buffer_t said = {0};
    mst_mem_binding_t *binding = NULL;
    mst_mem_residence_t residence = {.node = 1, .there = 60, .looked = 64};
    mst_mem_pin_wish_t wish = {.rank = 1, .nranks = 2, .dry = true};
    setenv("HWLOC_SYNTHETIC", "pack:2 [numa(memory=64GB)] core:4 pu:2", 1);
    CHECK_OK(mst_mem_pin(&residence, &wish, &said, &binding));
    CHECK(strcmp(said.data, "{\"node\":1,\"pages\":64,\"pages_there\":60,\"cores\":\"12-15\",\"domain\":\"8-15\",\"nodes\":\"1\","
                            "\"allowed\":\"0-15\",\"why\":\"local to NUMA node 1 (DRAM)\",\"rank\":1,\"ranks\":2,\"pid\":0,\"bound\":false}") == 0 || (puts(said.data), 0));
    wish.dry = false;
    CHECK_STATUS(mst_mem_pin(&residence, &wish, &said, &binding), MAESTRO_WRONG_STATE);
    CHECK_ERROR_SAYS("another machine");
    residence.node = -1;
    CHECK_STATUS(mst_mem_pin(&residence, &wish, &said, &binding), MAESTRO_NOT_FOUND);
    CHECK(!binding);
    unsetenv("HWLOC_SYNTHETIC");
    mst_base_buffer_fini(&said);
}

/* ---- Bindings, on this machine: of two cores at least for most of it. */

static cpu_set_t all, first, second;

static bool bound_to(pid_t tid, const cpu_set_t *set) {
    cpu_set_t now;
    return sched_getaffinity(tid, sizeof now, &now) == 0 && CPU_EQUAL(&now, set);
}

static void pick_cores(void) {
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    CPU_ZERO(&first);
    CPU_ZERO(&second);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        CPU_SET(cpu, CPU_COUNT(&first) ? &second : &first);
        if (CPU_COUNT(&second)) return;
    }
}

static void test_nested_bindings_are_undone_in_any_order(void) {
    mst_mem_binding_t *outer, *inner;
    for (int outer_first = 0; outer_first < 2; outer_first++) {
        CHECK_OK(mst_mem_bind(0, &first, sizeof first, &outer));
        CHECK(bound_to(0, &first));
        CHECK_OK(mst_mem_bind(0, &second, sizeof second, &inner));
        CHECK(bound_to(0, &second));
        size_t nbytes;
        cpu_set_t *before = mst_mem_affinity_before(0, &nbytes);
        CHECK(before && CPU_COUNT_S(nbytes, before) == CPU_COUNT(&all)); /* an earlier pin does not narrow what the next may choose from */
        CPU_FREE(before);
        CHECK_OK(mst_mem_unbind(outer_first ? outer : inner));
        CHECK(bound_to(0, outer_first ? &second : &first));
        CHECK_OK(mst_mem_unbind(outer_first ? inner : outer));
        CHECK(bound_to(0, &all));
    }
}

static void test_kept_bindings_are_replaced_by_the_next(void) {
    mst_mem_binding_t *binding;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(mst_mem_bind(0, i & 1 ? &second : &first, sizeof first, &binding));
        if (i < 2) mst_mem_binding_keep(binding);
    }
    CHECK(bound_to(0, &first));
    CHECK_OK(mst_mem_unbind(binding));
    CHECK(bound_to(0, &all));
}

typedef struct sleeper {
    pid_t tid;
    pthread_barrier_t barrier;
} sleeper_t;

static void *sleep_in_thread(void *argument) {
    sleeper_t *sleeper = argument;
    sleeper->tid = gettid();
    pthread_barrier_wait(&sleeper->barrier);
    pthread_barrier_wait(&sleeper->barrier);
    return NULL;
}

static pthread_t start(sleeper_t *sleeper) {
    pthread_t thread;
    pthread_barrier_init(&sleeper->barrier, NULL, 2);
    CHECK(pthread_create(&thread, NULL, sleep_in_thread, sleeper) == 0);
    pthread_barrier_wait(&sleeper->barrier);
    return thread;
}

static void end(pthread_t thread, sleeper_t *sleeper) {
    pthread_barrier_wait(&sleeper->barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&sleeper->barrier);
}

static void test_process_is_bound_with_all_threads_and_given_back_with_later_ones(void) {
    sleeper_t early, late;
    mst_mem_binding_t *alone, *whole;
    pthread_t a = start(&early);
    CHECK_OK(mst_mem_bind(0, &first, sizeof first, &alone));
    CHECK(bound_to(early.tid, &all)); /* one thread's binding is its own */
    CHECK_OK(mst_mem_unbind(alone));
    CHECK_OK(mst_mem_bind(getpid(), &first, sizeof first, &whole));
    pthread_t b = start(&late);
    CHECK(bound_to(0, &first) && bound_to(early.tid, &first) && bound_to(late.tid, &first));
    CHECK_OK(mst_mem_unbind(whole));
    CHECK(bound_to(0, &all) && bound_to(early.tid, &all) && bound_to(late.tid, &all));
    end(a, &early);
    end(b, &late);
}

/* A thread that keeps its binding and ends leaves a record behind until the next pin. */
static void *bind_and_end(void *argument) {
    mst_mem_binding_t *binding;
    CHECK_OK(mst_mem_bind(0, argument, sizeof first, &binding));
    mst_mem_binding_keep(binding);
    return NULL;
}

static void test_what_an_ended_thread_kept_does_not_matter_to_others(void) {
    pthread_t thread;
    mst_mem_binding_t *binding;
    CHECK(pthread_create(&thread, NULL, bind_and_end, &first) == 0);
    pthread_join(thread, NULL);
    CHECK_OK(mst_mem_bind(0, &second, sizeof second, &binding));
    CHECK_OK(mst_mem_unbind(binding));
    CHECK(bound_to(0, &all));
}

static void test_another_process_is_bound_and_given_back(void) {
    mst_mem_binding_t *binding;
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    CHECK_OK(mst_mem_bind(child, &first, sizeof first, &binding));
    CHECK(bound_to(child, &first) && bound_to(0, &all));
    CHECK_OK(mst_mem_unbind(binding));
    CHECK(bound_to(child, &all));
    CHECK_OK(mst_mem_bind(child, &first, sizeof first, &binding));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK_OK(mst_mem_unbind(binding)); /* what has ended needs nothing back */
    CHECK_STATUS(mst_mem_bind(child, &first, sizeof first, &binding), MAESTRO_NOT_FOUND);
}

static void test_refused_binding_leaves_all_as_it_was(void) {
    mst_mem_binding_t *binding;
    cpu_set_t none;
    CPU_ZERO(&none);
    CHECK_STATUS(mst_mem_bind(getpid(), &none, sizeof none, &binding), MAESTRO_SYSTEM);
    CHECK(bound_to(0, &all));
}

/* ---- The nodes of this machine; scripts/numa-guest runs this where there are four. */

enum { MOST_NODES = 64, BIND = 2 /* MPOL_BIND */ };

/* What the kernel says of a node: a line of one of its files. */
static bool read_node(unsigned node, const char *file, char line[4096]) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/node/node%u/%s", node, file);
    FILE *stream = fopen(path, "r");
    bool read = stream && fgets(line, 4096, stream);
    if (stream) fclose(stream);
    return read;
}

/* Of this process's cores those of the node; a machine without such files has one node with all. */
static hwloc_bitmap_t usable_cores(unsigned node) {
    char line[4096];
    hwloc_bitmap_t cores = hwloc_bitmap_alloc();
    if (!read_node(node, "cpulist", line)) strcpy(line, node ? "" : "0-4095");
    line[strcspn(line, "\n")] = '\0';
    hwloc_bitmap_list_sscanf(cores, line);
    for (int cpu = hwloc_bitmap_first(cores); cpu >= 0; cpu = hwloc_bitmap_next(cores, cpu))
        if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &all)) hwloc_bitmap_clr(cores, (unsigned)cpu);
    return cores;
}

static long distance_between(unsigned from, unsigned to) {
    char line[4096], *at = line;
    if (!read_node(from, "distance", line)) return from == to ? 10 : 1000;
    for (unsigned i = 0; i < to; i++) strtol(at, &at, 10);
    return strtol(at, NULL, 10);
}

static hwloc_bitmap_t expected_cores(unsigned node) {
    long nearest = INT32_MAX;
    hwloc_bitmap_t expected = hwloc_bitmap_alloc();
    for (unsigned from = 0; from < MOST_NODES; from++) {
        hwloc_bitmap_t usable = usable_cores(from);
        long distance = hwloc_bitmap_iszero(usable) ? INT32_MAX : distance_between(from, node);
        if (distance < nearest) hwloc_bitmap_zero(expected);
        if (distance <= nearest) hwloc_bitmap_or(expected, expected, usable);
        if (distance < nearest) nearest = distance;
        hwloc_bitmap_free(usable);
    }
    return expected;
}

/* Memory whose pages the kernel took from one node; NULL: it would not. */
static char *memory_of(unsigned node, size_t nbytes) {
    unsigned long mask = 1ul << node;
    char *memory = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    if (syscall(SYS_mbind, memory, nbytes, BIND, &mask, (unsigned long)MOST_NODES, 0) == 0) return memset(memory, 1, nbytes);
    munmap(memory, nbytes);
    return NULL;
}

static void test_every_node_of_this_machine(void) {
    for (unsigned node = 0; node < MOST_NODES; node++) {
        enum { NBYTES = 4 << 20 };
        char *memory = memory_of(node, NBYTES);
        mst_mem_residence_t residence = memory ? mst_mem_residence(memory, NBYTES) : (mst_mem_residence_t){.node = -1};
        if (memory) munmap(memory, NBYTES);
        if (residence.node < 0) continue; /* no such node, or a sandbox */
        CHECK(residence.node == (int)node && residence.there == residence.looked);
        hwloc_bitmap_t expected = expected_cores(node);
        mst_base_buffer_t said = {0};
        mst_mem_binding_t *binding;
        mst_mem_pin_wish_t wish = {.nranks = 1};
        CHECK_OK(mst_mem_pin(&residence, &wish, &said, &binding));
        cpu_set_t now;
        CHECK(sched_getaffinity(0, sizeof now, &now) == 0);
        CHECK(CPU_COUNT(&now) == hwloc_bitmap_weight(expected));
        for (int cpu = hwloc_bitmap_first(expected); cpu >= 0; cpu = hwloc_bitmap_next(expected, cpu)) CHECK(CPU_ISSET(cpu, &now));
        CHECK_OK(mst_mem_unbind(binding));
        CHECK(bound_to(0, &all));
        printf("%s\n", said.data);
        mst_base_buffer_fini(&said);
        hwloc_bitmap_free(expected);
    }
}

static void test_child_cannot_undo_its_parents_binding(void) {
    mst_mem_binding_t *binding;
    int code = 1;
    CHECK_OK(mst_mem_bind(0, &first, sizeof first, &binding));
    pid_t child = fork();
    if (child == 0) {
        mst_mem_binding_t *own;
        bool right = mst_mem_unbind(binding) == MAESTRO_FORKED && mst_mem_bind(0, &second, sizeof second, &own) == MAESTRO_OK && bound_to(0, &second);
        _exit(right && mst_mem_unbind(own) == MAESTRO_OK && bound_to(0, &first) ? 0 : 2);
    }
    CHECK(waitpid(child, &code, 0) == child && code == 0);
    CHECK_OK(mst_mem_unbind(binding));
    CHECK(bound_to(0, &all));
}

int main(void) {
    test_cores_of_the_objects_own_domain();
    test_ranks_share_a_domain_in_whole_cores_then_threads_then_in_turn();
    test_cpuset_without_the_objects_domain_takes_the_nearest_ones();
    test_memory_of_a_socket_besides_its_own_is_local_to_its_cores();
    test_memory_without_cores_takes_the_nearest_by_distance();
    test_impossible_wishes_are_refused();
    test_recorded_machine_is_described_and_not_bound_to();
    pick_cores();
    test_refused_binding_leaves_all_as_it_was();
    test_every_node_of_this_machine();
    if (CPU_COUNT(&second) == 0) return TEST_END;
    test_nested_bindings_are_undone_in_any_order();
    test_kept_bindings_are_replaced_by_the_next();
    test_process_is_bound_with_all_threads_and_given_back_with_later_ones();
    test_what_an_ended_thread_kept_does_not_matter_to_others();
    test_another_process_is_bound_and_given_back();
    test_child_cannot_undo_its_parents_binding();
    return TEST_END;
}
