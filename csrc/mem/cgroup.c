/* See cgroup.h.  Where the groups lie: /proc/self/cgroup names them, /proc/self/mountinfo says where they are mounted. */
#include "mem/cgroup.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <unistd.h>

/* v1 writes "no limit" as the largest number of whole pages. */
#define NO_LIMIT_FROM (INT64_MAX / 2)

typedef struct place {
    char mount[PATH_MAX]; /* where the hierarchy is mounted */
    char below[PATH_MAX]; /* this process's group below it, "" or "/a/b" */
} place_t;

typedef struct names {
    const char *fstype, *max, *high, *used;
} names_t;

static const names_t version1 = {"cgroup", "memory.limit_in_bytes", NULL, "memory.usage_in_bytes"};
static const names_t version2 = {"cgroup2", "memory.max", "memory.high", "memory.current"};

static FILE *open_below(const char *root, const char *path) {
    char full[PATH_MAX];
    if (snprintf(full, sizeof full, "%s%s", root, path) >= (int)sizeof full) return NULL;
    return fopen(full, "re");
}

/* True when `word` is one of those that commas separate in `list`. */
static bool contains(const char *list, const char *word) {
    size_t nbytes = strlen(word);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, word, nbytes) == 0 && (at[nbytes] == ',' || at[nbytes] == '\0')) return true;
    return false;
}

/* This process's group in the v1 memory hierarchy, or in v2 (whose list of controllers is empty). */
static bool find_group(const char *root, const names_t *names, char *group) {
    FILE *file = open_below(root, "/proc/self/cgroup");
    char line[PATH_MAX + 256];
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = '\0';
        controllers++;
        path[strcspn(path, "\n")] = '\0';
        found = names == &version2 ? *controllers == '\0' : contains(controllers, "memory");
        if (found) found = snprintf(group, PATH_MAX, "%s", path) < PATH_MAX;
    }
    if (file) fclose(file);
    return found;
}

/* mountinfo writes blanks in paths as \040. */
static void unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from; to++) {
        unsigned code;
        if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
            *to = (char)code;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* The group's path below a mount whose root is itself a group (containers).  Outside of it: the mount's root is all we see. */
static const char *below_mount(const char *group, const char *mount_root) {
    size_t nbytes = strlen(mount_root);
    if (nbytes == 1) nbytes = 0; /* "/" */
    if (strstr(group, "/..")) return ""; /* outside of this process's cgroup namespace */
    if (strncmp(group, mount_root, nbytes) != 0 || (group[nbytes] != '/' && group[nbytes] != '\0')) return "";
    return strcmp(group + nbytes, "/") == 0 ? "" : group + nbytes;
}

/* One line: id parent device root mount options [optional...] - fstype source super-options */
static bool parse_mount(char *line, const names_t *names, const char *group, place_t *place) {
    char mount_root[PATH_MAX], mount[PATH_MAX], fstype[64], options[512] = "";
    char *rest = strstr(line, " - ");
    if (!rest || sscanf(line, "%*s %*s %*s %4095s %4095s", mount_root, mount) != 2) return false;
    if (sscanf(rest, " - %63s %*s %511s", fstype, options) < 1 || strcmp(fstype, names->fstype) != 0) return false;
    if (names == &version1 && !contains(options, "memory")) return false;
    unescape(mount_root);
    unescape(mount);
    snprintf(place->mount, sizeof place->mount, "%s", mount);
    snprintf(place->below, sizeof place->below, "%s", below_mount(group, mount_root));
    return true;
}

static bool find_place(const char *root, const names_t *names, place_t *place) {
    char group[PATH_MAX], *line = NULL;
    size_t capacity = 0;
    if (!find_group(root, names, group)) return false;
    FILE *file = open_below(root, "/proc/self/mountinfo");
    bool found = false;
    while (file && !found && getline(&line, &capacity, file) >= 0) found = parse_mount(line, names, group, place);
    free(line);
    if (file) fclose(file);
    return found;
}

static int open_file(const char *folder, const char *name) {
    char path[PATH_MAX + 64];
    if (!name) return -1;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void open_level(mst_mem_cgroup_t *cgroup, const char *folder, const names_t *names) {
    mst_mem_cgroup_level_t level = {.max_fd = open_file(folder, names->max), .high_fd = -1, .used_fd = -1, .stat_fd = -1};
    if (level.max_fd < 0) return; /* v2's root group, or a level where the controller is off */
    level.high_fd = open_file(folder, names->high);
    level.used_fd = open_file(folder, names->used);
    level.stat_fd = open_file(folder, "memory.stat");
    cgroup->level[cgroup->nlevels++] = level;
}

static void open_levels(mst_mem_cgroup_t *cgroup, const char *root, place_t *place, const names_t *names) {
    char folder[PATH_MAX];
    for (;;) {
        int nbytes = snprintf(folder, sizeof folder, "%s%s%s", root, place->mount, place->below);
        if (nbytes < (int)sizeof folder && cgroup->nlevels < MST_MEM_CGROUP_LEVELS) open_level(cgroup, folder, names);
        char *slash = strrchr(place->below, '/');
        if (!slash) return;
        *slash = '\0';
    }
}

void mst_mem_cgroup_open(mst_mem_cgroup_t *cgroup, const char *root) {
    place_t place;
    memset(cgroup, 0, sizeof *cgroup);
    /* Both can be mounted; the memory controller is in one of them. */
    if (find_place(root, &version2, &place)) open_levels(cgroup, root, &place, &version2);
    if (find_place(root, &version1, &place)) open_levels(cgroup, root, &place, &version1);
}

void mst_mem_cgroup_close(mst_mem_cgroup_t *cgroup) {
    for (size_t i = 0; i < cgroup->nlevels; i++) {
        const mst_mem_cgroup_level_t *level = &cgroup->level[i];
        const int fds[] = {level->max_fd, level->high_fd, level->used_fd, level->stat_fd};
        for (size_t k = 0; k < MST_COUNT(fds); k++)
            if (fds[k] >= 0) close(fds[k]);
    }
    memset(cgroup, 0, sizeof *cgroup);
}

static bool read_text(int fd, char *text, size_t capacity) {
    ssize_t nbytes = fd < 0 ? -1 : pread(fd, text, capacity - 1, 0);
    text[nbytes > 0 ? nbytes : 0] = '\0';
    return nbytes > 0;
}

static int64_t read_number(int fd, int64_t otherwise) {
    char text[64];
    long long value;
    return read_text(fd, text, sizeof text) && sscanf(text, "%lld", &value) == 1 ? value : otherwise; /* "max" is no number */
}

int64_t mst_mem_cgroup_limit(const mst_mem_cgroup_level_t *level) {
    int64_t max = read_number(level->max_fd, INT64_MAX), high = read_number(level->high_fd, INT64_MAX);
    int64_t limit = max < high ? max : high;
    return limit >= NO_LIMIT_FROM ? INT64_MAX : limit;
}

int64_t mst_mem_cgroup_used(const mst_mem_cgroup_level_t *level) { return read_number(level->used_fd, 0); }

/* v1 counts its children in total_inactive_file alone; v2's inactive_file has them. */
int64_t mst_mem_cgroup_reclaimable(const mst_mem_cgroup_level_t *level) {
    static const char *const keys[] = {"\ntotal_inactive_file ", "\ninactive_file "};
    char text[8192];
    text[0] = '\n';
    if (!read_text(level->stat_fd, text + 1, sizeof text - 1)) return 0;
    for (size_t i = 0; i < MST_COUNT(keys); i++) {
        const char *at = strstr(text, keys[i]);
        if (at) return strtoll(at + strlen(keys[i]), NULL, 10);
    }
    return 0;
}
