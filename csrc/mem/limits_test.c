/* Limits, on machines that the test writes: a folder with proc/ and sys/ trees, cgroup v1 and v2, nested, unlimited, in containers. */
#include "mem/limits.h"
#include "base/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define GIB (1ll << 30)
#define MIB (1ll << 20)

static char root[64];

static void put(const char *path, const char *format, ...) MST_PRINTF(2, 3);
static void put(const char *path, const char *format, ...) {
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "we");
    CHECK(file != NULL);
    if (!file) return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fclose(file);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)status, (void)kind, (void)where;
    return remove(path);
}

static void machine_end(void) { nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* A machine with `available` bytes, no cgroup and no batch system. */
static void machine_begin(int64_t available) {
    static const char *const variables[] = {"SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"};
    for (size_t i = 0; i < MST_COUNT(variables); i++) unsetenv(variables[i]);
    snprintf(root, sizeof root, "/tmp/maestro-limits-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    put("/proc/meminfo", "MemTotal: %lld kB\nMemFree: 1 kB\nMemAvailable:   %lld kB\n", (long long)available / 512, (long long)available / 1024);
}

static mst_mem_limits_t limits_here(void) {
    mst_mem_limits_t limits = {.cgroup_limit = -1};
    CHECK_OK(mst_mem_limits_read(root, &limits));
    return limits;
}

static void version2(const char *group, const char *mount_root) {
    put("/proc/self/cgroup", "0::%s\n", group);
    put("/proc/self/mountinfo", "22 1 0:20 / / rw - ext4 /dev/vda rw\n30 22 0:26 %s /sys/fs/cgroup rw,nosuid shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate\n",
        mount_root);
}

static void test_without_cgroup_the_machine_alone_counts(void) {
    machine_begin(8 * GIB);
    mst_mem_limits_t limits = limits_here();
    CHECK(limits.cgroup_limit == INT64_MAX && limits.cgroup_used == 0 && limits.available == 8 * GIB && limits.batch_share == INT64_MAX);
    CHECK(mst_mem_limits_default(&limits) == 4 * GIB);
    CHECK(mst_mem_limits_headroom_at(root) == 8 * GIB - 256 * MIB);
    machine_end();
    CHECK_STATUS(mst_mem_limits_read(root, &limits), MAESTRO_SYSTEM);
    CHECK_ERROR_SAYS("meminfo");
}

static void test_version_2_takes_the_tightest_of_nested_groups(void) {
    machine_begin(64 * GIB);
    version2("/job/step/task", "/");
    put("/sys/fs/cgroup/memory.stat", "anon 1\n"); /* the root group has no limit file */
    put("/sys/fs/cgroup/job/memory.max", "%lld\n", 4 * GIB);
    put("/sys/fs/cgroup/job/memory.current", "%lld\n", 3 * GIB);
    put("/sys/fs/cgroup/job/step/memory.max", "%lld\n", 8 * GIB);
    put("/sys/fs/cgroup/job/step/memory.current", "%lld\n", 1 * GIB);
    put("/sys/fs/cgroup/job/step/task/memory.max", "max\n");
    put("/sys/fs/cgroup/job/step/task/memory.high", "max\n");
    put("/sys/fs/cgroup/job/step/task/memory.current", "%lld\n", GIB / 2);
    mst_mem_limits_t limits = limits_here();
    CHECK(limits.cgroup_limit == 4 * GIB && limits.cgroup_used == 3 * GIB);
    CHECK(mst_mem_limits_default(&limits) == 2 * GIB);
    CHECK(mst_mem_limits_headroom_at(root) == GIB - 256 * MIB);
    put("/sys/fs/cgroup/job/step/task/memory.high", "%lld\n", GIB);
    limits = limits_here();
    CHECK(limits.cgroup_limit == GIB && limits.cgroup_used == GIB / 2);
    CHECK(mst_mem_limits_headroom_at(root) == GIB / 2 - 64 * MIB);
    machine_end();
}

static void test_the_fullest_group_bounds_the_headroom_even_when_its_limit_is_the_larger(void) {
    machine_begin(64 * GIB);
    version2("/job/task", "/");
    put("/sys/fs/cgroup/job/memory.max", "%lld\n", 16 * GIB);
    put("/sys/fs/cgroup/job/memory.current", "%lld\n", 15 * GIB);
    put("/sys/fs/cgroup/job/task/memory.max", "%lld\n", 8 * GIB);
    put("/sys/fs/cgroup/job/task/memory.current", "%lld\n", 1 * GIB);
    CHECK(limits_here().cgroup_limit == 8 * GIB);
    CHECK(mst_mem_limits_headroom_at(root) == GIB - 256 * MIB);
    put("/sys/fs/cgroup/job/memory.current", "%lld\n", 16 * GIB);
    CHECK(mst_mem_limits_headroom_at(root) == 0);
    /* pages of files are dropped before anybody is killed */
    put("/sys/fs/cgroup/job/memory.stat", "anon 5\nfile %lld\nshmem %lld\ninactive_anon 3\nactive_file 5\ninactive_file %lld\n", 9 * GIB, 9 * GIB, 2 * GIB);
    CHECK(mst_mem_limits_headroom_at(root) == 2 * GIB - 256 * MIB);
    machine_end();
}

static void version1_mounts(const char *mount_root) {
    put("/proc/self/mountinfo",
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 %s /sys/fs/cgroup/mem\\040ory rw shared:3 - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        mount_root);
}

static void test_version_1_beside_an_empty_version_2(void) {
    machine_begin(64 * GIB);
    version1_mounts("/");
    put("/proc/self/cgroup", "9:name=memory_watch:/s\n4:cpu,cpuacct:/c\n3:memory:/slurm/job_7\n0::/init\n");
    put("/sys/fs/cgroup/unified/init/cgroup.procs", "1\n");
    put("/sys/fs/cgroup/mem ory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/mem ory/slurm/memory.limit_in_bytes", "%lld\n", 6 * GIB);
    put("/sys/fs/cgroup/mem ory/slurm/memory.usage_in_bytes", "%lld\n", 6 * GIB);
    put("/sys/fs/cgroup/mem ory/slurm/job_7/memory.limit_in_bytes", "9223372036854771712\n");
    mst_mem_limits_t limits = limits_here();
    CHECK(limits.cgroup_limit == 6 * GIB && limits.cgroup_used == 6 * GIB);
    CHECK(mst_mem_limits_default(&limits) == 3 * GIB);
    CHECK(mst_mem_limits_headroom_at(root) == 0);
    put("/sys/fs/cgroup/mem ory/slurm/memory.stat", "inactive_file 7\ntotal_inactive_file %lld\n", 3 * GIB);
    CHECK(mst_mem_limits_headroom_at(root) == 3 * GIB - 256 * MIB);
    machine_end();
}

static void test_unlimited_version_1_is_no_limit(void) {
    machine_begin(2 * GIB);
    version1_mounts("/");
    put("/proc/self/cgroup", "3:memory:/\n");
    put("/sys/fs/cgroup/mem ory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/mem ory/memory.usage_in_bytes", "%lld\n", GIB);
    mst_mem_limits_t limits = limits_here();
    CHECK(limits.cgroup_limit == INT64_MAX && limits.cgroup_used == 0);
    machine_end();
}

static void test_container_whose_mount_is_its_own_group(void) {
    static const struct { const char *group, *mount_root; } cases[] = {
        {"/docker/abc", "/docker/abc"}, {"/docker/abc/inner", "/docker/abc"}, {"/", "/docker/abc"}, {"/../other", "/"}, {"/docker/abcdef", "/docker/abc"},
    };
    for (size_t i = 0; i < MST_COUNT(cases); i++) {
        machine_begin(64 * GIB);
        version2(cases[i].group, cases[i].mount_root);
        put("/sys/fs/other/memory.max", "1\n");
        put("/sys/fs/cgroup/def/memory.max", "1\n");
        put("/sys/fs/cgroup/memory.max", "%lld\n", 2 * GIB);
        put("/sys/fs/cgroup/memory.current", "%lld\n", 1 * GIB);
        put("/sys/fs/cgroup/inner/memory.max", "%lld\n", 1 * GIB);
        CHECK(limits_here().cgroup_limit == (i == 1 ? 1 : 2) * GIB);
        machine_end();
    }
}

static void test_batch_share_comes_from_slurm(void) {
    static const struct { const char *node, *cpu, *cpus; int64_t share; } cases[] = {
        {"4096", NULL, NULL, 4 * GIB},  {NULL, "512", "4", 2 * GIB},      {"4096", "1", "1", 4 * GIB},  {"0", NULL, NULL, INT64_MAX},
        {"0", "1024", "3", 3 * GIB},    {"2G", NULL, NULL, 2 * GIB},      {"lots", NULL, NULL, INT64_MAX}, {NULL, "0", "4", INT64_MAX},
        {"9999999999999", NULL, NULL, INT64_MAX},
    };
    for (size_t i = 0; i < MST_COUNT(cases); i++) {
        machine_begin(64 * GIB);
        if (cases[i].node) setenv("SLURM_MEM_PER_NODE", cases[i].node, 1);
        if (cases[i].cpu) setenv("SLURM_MEM_PER_CPU", cases[i].cpu, 1);
        if (cases[i].cpus) setenv("SLURM_CPUS_ON_NODE", cases[i].cpus, 1);
        mst_mem_limits_t limits = limits_here();
        CHECK(limits.batch_share == cases[i].share);
        CHECK(mst_mem_limits_default(&limits) == (cases[i].share < 64 * GIB ? cases[i].share / 2 : 32 * GIB));
        machine_end();
    }
}

static void test_garbage_in_the_files_does_no_harm(void) {
    machine_begin(4 * GIB);
    put("/proc/self/cgroup", "\n:\n::\nx\n0:\n0::/a\n");
    put("/proc/self/mountinfo", "- - -\n - \n1 2 3 / /sys/fs/cgroup - cgroup2\n 1 2 3\n");
    put("/sys/fs/cgroup/a/memory.max", "many\n");
    CHECK(limits_here().cgroup_limit == INT64_MAX);
    put("/sys/fs/cgroup/a/memory.max", "%s", "");
    CHECK(mst_mem_limits_headroom_at(root) == 4 * GIB - 256 * MIB);
    machine_end();
}

static int open_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_this_machine(void) {
    mst_mem_limits_t limits = {.cgroup_limit = -1};
    CHECK_OK(mst_mem_limits_read("", &limits));
    CHECK(limits.available > 0 && mst_mem_limits_default(&limits) > 0 && mst_mem_limits_default(&limits) <= limits.available / 2);
    int64_t room = mst_mem_limits_headroom();
    CHECK(room >= 0 && room <= limits.available + GIB);
    int before = open_descriptors();
    for (unsigned i = 0; i < 1000; i++) mst_mem_limits_headroom();
    for (unsigned i = 0; i < 10; i++) mst_mem_limits_headroom_at("");
    CHECK(open_descriptors() == before);
}

int main(void) {
    test_without_cgroup_the_machine_alone_counts();
    test_version_2_takes_the_tightest_of_nested_groups();
    test_the_fullest_group_bounds_the_headroom_even_when_its_limit_is_the_larger();
    test_version_1_beside_an_empty_version_2();
    test_unlimited_version_1_is_no_limit();
    test_container_whose_mount_is_its_own_group();
    test_batch_share_comes_from_slurm();
    test_garbage_in_the_files_does_no_harm();
    test_this_machine();
    return TEST_END;
}
