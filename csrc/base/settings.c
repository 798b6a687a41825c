/* Settings from the environment.  Every MAESTRO_* variable that exists stands in the table; others get one warning. */
#include "base/base.h"

#include <errno.h>
#include <stdio.h>

extern char **environ;

static const char *const settings[] = {
    "MAESTRO_POOL",          /* name of the pool; default "default" */
    "MAESTRO_COMPONENT",     /* component of sessions that name none; set by `maestro run` */
    "MAESTRO_RANK",          /* rank of such sessions, where no MPI numbers the processes */
    "MAESTRO_GROUP",         /* consumer group that a program's sessions give as theirs; set by `maestro run` */
    "MAESTRO_PRIORITY",      /* priority of sessions that name none: urgent, normal or background; default normal */
    "MAESTRO_NODE",          /* name of the node, for several nodes on one machine, of pools and of plans; default: boot id */
    "MAESTRO_DIR",           /* rendezvous directory; default $XDG_RUNTIME_DIR/maestro or /tmp/maestro-<uid> */
    "MAESTRO_TIMEOUT_S",     /* default bound of every wait; default 60 */
    "MAESTRO_LINGER_S",      /* how long the manager stays after its last session; default 2 */
    "MAESTRO_POOL_MEMORY",   /* limit of the pool's memory; default: half of what the cgroup, the machine and the batch system leave */
    "MAESTRO_POOL_OBJECTS",  /* limit of live objects; default 20 million */
    "MAESTRO_POOL_LOG",      /* bytes kept of the event log for slow subscriptions; default 64 MiB */
    "MAESTRO_POOL_GROUP_S",  /* seconds for which a consumer group without members is kept, and all that it has not seen; default 60 */
    "MAESTRO_POOL_LOG_S",    /* seconds for which it is kept for them; default 3600 */
    "MAESTRO_MANAGER",       /* path of the maestro-pool executable; default: beside the library */
    "MAESTRO_SCHEMA_PATH",   /* folders, separated by colons, searched for <name>.yaml before the built-in schemas */
    "MAESTRO_SPIN_US",       /* how long waits spin before they sleep; default 100, and none while others want the core */
    "MAESTRO_CHECK",         /* finds writes to objects after their offer: pages (they fault), sums (checksums are compared), or pages,sums; default: none */
    "MAESTRO_CACHE",         /* where fetched samples and computed weights are kept; used by the workflows */
};

const char *mst_base_setting(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

double mst_base_setting_f64(const char *name, double otherwise) {
    const char *text = mst_base_setting(name);
    if (!text) return otherwise;
    char *end;
    double value = strtod(text, &end);
    if (*end == '\0' && value >= 0) return value;
    fprintf(stderr, "maestro: %s=%s is no non-negative number; using %g\n", name, text, otherwise);
    return otherwise;
}

bool mst_base_parse_bytes(const char *text, int64_t *bytes_out) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || !(value >= 0)) return false;
    int shift = 0;
    switch (*end) {
    case 'k': case 'K': shift = 10; break;
    case 'm': case 'M': shift = 20; break;
    case 'g': case 'G': shift = 30; break;
    case 't': case 'T': shift = 40; break;
    default: break;
    }
    if (shift) end++;
    if (shift && *end == 'i') end++;
    if (*end == 'B') end++;
    if (*end != '\0' || value > 9e18 / (double)(1ull << shift)) return false;
    *bytes_out = (int64_t)(value * (double)(1ull << shift));
    return true;
}

int64_t mst_base_setting_bytes(const char *name, int64_t otherwise) {
    const char *text = mst_base_setting(name);
    int64_t bytes;
    if (!text) return otherwise;
    if (mst_base_parse_bytes(text, &bytes)) return bytes;
    fprintf(stderr, "maestro: %s=%s is no size (4GiB, 512M, 100000); using %lld\n", name, text, (long long)otherwise);
    return otherwise;
}

static bool known(const char *name, size_t nbytes) {
    for (size_t i = 0; i < MST_COUNT(settings); i++)
        if (strlen(settings[i]) == nbytes && memcmp(settings[i], name, nbytes) == 0) return true;
    return false;
}

void mst_base_settings_check(void) {
    static int done;
    if (__atomic_exchange_n(&done, 1, __ATOMIC_RELAXED)) return;
    for (char **variable = environ; variable && *variable; variable++) {
        const char *equals = strchr(*variable, '=');
        size_t nbytes = equals ? (size_t)(equals - *variable) : strlen(*variable);
        if (strncmp(*variable, "MAESTRO_", 8) != 0 || known(*variable, nbytes)) continue;
        const char *nearest = mst_base_nearest(*variable, nbytes, settings, MST_COUNT(settings));
        fprintf(stderr, "maestro: the environment variable %.*s is unknown%s%s\n", (int)nbytes, *variable,
                nearest ? "; did you mean " : "", nearest ? nearest : "");
    }
}
