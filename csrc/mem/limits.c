/* See limits.h.  Joins what the control groups, the machine and the batch system say; reading the groups is cgroup.c's.
 * Invariant: a source that cannot be read never makes a limit looser than the others. */
#include "mem/limits.h"
#include "mem/cgroup.h"
#include "mem/topology.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define MIB ((int64_t)1 << 20)

static struct {
    pthread_once_t once;
    mst_mem_cgroup_t cgroup;
    int meminfo_fd;
} machine = {.once = PTHREAD_ONCE_INIT, .meminfo_fd = -1};

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int open_meminfo(const char *root) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int64_t read_available(int meminfo_fd) {
    char text[4096];
    ssize_t nbytes = pread(meminfo_fd, text, sizeof text - 1, 0);
    if (nbytes <= 0) return -1;
    text[nbytes] = '\0';
    const char *at = strstr(text, "MemAvailable:");
    return at ? (int64_t)strtoll(at + strlen("MemAvailable:"), NULL, 10) * 1024 : -1;
}

/* SLURM writes MiB; srun and sbatch also take a unit.  0 means the whole node, which is no share. */
static int64_t slurm_bytes(const char *name) {
    const char *text = getenv(name);
    int64_t bytes;
    if (!text || !mst_base_parse_bytes(text, &bytes) || bytes == 0) return -1;
    bool has_unit = text[strspn(text, "0123456789.")] != '\0';
    return has_unit ? bytes : bytes < INT64_MAX / MIB ? bytes * MIB : INT64_MAX;
}

static int64_t batch_share(void) {
    int64_t node = slurm_bytes("SLURM_MEM_PER_NODE"), cpu = slurm_bytes("SLURM_MEM_PER_CPU");
    if (node > 0) return node;
    if (cpu <= 0) return INT64_MAX;
    const char *text = getenv("SLURM_CPUS_ON_NODE");
    int64_t ncpus = text ? strtoll(text, NULL, 10) : 0;
    if (ncpus <= 0) ncpus = mst_mem_cores();
    return cpu < INT64_MAX / ncpus ? cpu * ncpus : INT64_MAX;
}

maestro_status_t mst_mem_limits_read(const char *root, mst_mem_limits_t *limits_out) {
    mst_mem_limits_t limits = {.cgroup_limit = INT64_MAX, .batch_share = batch_share()};
    int meminfo_fd = open_meminfo(root);
    limits.available = read_available(meminfo_fd);
    if (meminfo_fd >= 0) close(meminfo_fd);
    if (limits.available < 0) return mst_base_fail(MAESTRO_SYSTEM, "read limits: %s/proc/meminfo has no MemAvailable; is /proc mounted?", root);
    mst_mem_cgroup_t cgroup;
    mst_mem_cgroup_open(&cgroup, root);
    for (size_t i = 0; i < cgroup.nlevels; i++) {
        int64_t limit = mst_mem_cgroup_limit(&cgroup.level[i]);
        if (limit >= limits.cgroup_limit) continue;
        limits.cgroup_limit = limit;
        limits.cgroup_used = mst_mem_cgroup_used(&cgroup.level[i]);
    }
    mst_mem_cgroup_close(&cgroup);
    *limits_out = limits;
    return MAESTRO_OK;
}

int64_t mst_mem_limits_default(const mst_mem_limits_t *limits) {
    return smaller(smaller(limits->cgroup_limit, limits->available), limits->batch_share) / 2;
}

/* Room under one level.  Its statistics cost the kernel a walk over all cores, so they are read only when the level looks nearly full. */
static int64_t level_headroom(const mst_mem_cgroup_level_t *level) {
    int64_t limit = mst_mem_cgroup_limit(level);
    if (limit == INT64_MAX) return INT64_MAX;
    int64_t room = limit - smaller(limit / 16, 256 * MIB) - mst_mem_cgroup_used(level);
    if (room < limit / 4) room += mst_mem_cgroup_reclaimable(level);
    return room > 0 ? room : 0;
}

static int64_t headroom(const mst_mem_cgroup_t *cgroup, int meminfo_fd) {
    int64_t available = read_available(meminfo_fd);
    int64_t room = available < 0 ? INT64_MAX : available - smaller(available / 16, 256 * MIB);
    for (size_t i = 0; i < cgroup->nlevels; i++) room = smaller(room, level_headroom(&cgroup->level[i]));
    return room;
}

static void open_machine(void) {
    mst_mem_cgroup_open(&machine.cgroup, "");
    machine.meminfo_fd = open_meminfo("");
}

int64_t mst_mem_limits_headroom(void) {
    pthread_once(&machine.once, open_machine);
    return headroom(&machine.cgroup, machine.meminfo_fd);
}

int64_t mst_mem_limits_headroom_at(const char *root) {
    mst_mem_cgroup_t cgroup;
    mst_mem_cgroup_open(&cgroup, root);
    int meminfo_fd = open_meminfo(root);
    int64_t room = headroom(&cgroup, meminfo_fd);
    mst_mem_cgroup_close(&cgroup);
    if (meminfo_fd >= 0) close(meminfo_fd);
    return room;
}
