/* maestro-pool: the pool manager's process.  Started by the first session (--daemon), or by hand.  With --daemon it returns as soon as the pool
 * can be attached to, leaving a child that is in nobody's job: its own session, no inherited descriptors, output to the pool's log file. */
#include "pool/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static int usage(FILE *to, int code) {
    fprintf(to, "usage: maestro-pool [--daemon] [--pool NAME] [--version]\n"
                "Keeps the pool of this node.  Leaves MAESTRO_LINGER_S seconds after its last session.\n");
    return code;
}

/* The launcher's variables would make an MPI_Init in here join a job, and mpirun wait for us. */
static void forget_launcher(void) {
    static const char *const prefixes[] = {"PMI_", "PMIX_", "OMPI_", "PMI2_", "PRTE_", "HYDI_", "HYDRA_", "SLURM_STEP", "SLURM_PMI"};
    extern char **environ;
    for (char **variable = environ; *variable;) {
        bool launcher = false;
        for (size_t i = 0; i < MST_COUNT(prefixes); i++) launcher |= strncmp(*variable, prefixes[i], strlen(prefixes[i])) == 0;
        const char *equals = strchr(*variable, '=');
        char name[256];
        if (!launcher || !equals || (size_t)(equals - *variable) >= sizeof name) {
            variable++;
            continue;
        }
        memcpy(name, *variable, (size_t)(equals - *variable));
        name[equals - *variable] = '\0';
        unsetenv(name);
        variable = environ;
    }
}

static void redirect(const char *log) {
    int in = open("/dev/null", O_RDWR | O_CLOEXEC), out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (in >= 0) dup2(in, 0);
    if (out < 0) out = in;
    if (out >= 0) {
        dup2(out, 1);
        dup2(out, 2);
    }
    setvbuf(stderr, NULL, _IOLBF, 0);
}

/* Every session takes some descriptors here: as many as the system allows. */
static void open_many(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* True in the child, which is in a session of its own. */
static bool detach(int *ready) {
    if (pipe2(ready, O_CLOEXEC) != 0 || fork() != 0) return false;
    setsid();
    close(ready[0]);
    return true;
}

/* Memory of the books is given back rarely: each way to the kernel for more is followed by page faults in the loop that serves all. */
static void keep_memory(void) {
    mallopt(M_TOP_PAD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

static int wait_for_child(const int *ready) {
    char code = 1;
    close(ready[1]);
    return read(ready[0], &code, 1) == 1 ? code : 1;
}

static void tell_parent(const int *ready, char code) {
    if (ready[1] < 0) return;
    if (write(ready[1], &code, 1) != 1) fprintf(stderr, "maestro-pool: whoever started this has gone\n");
    close(ready[1]);
}

int main(int argc, char **argv) {
    const char *name = NULL;
    bool daemon = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--daemon") == 0) daemon = true;
        else if (strcmp(argv[i], "--pool") == 0 && i + 1 < argc) name = argv[++i];
        else if (strcmp(argv[i], "--version") == 0) return printf("%s\n", maestro_version()) < 0;
        else if (strcmp(argv[i], "--help") == 0) return usage(stdout, 0);
        else return usage(stderr, 2);
    }
    mst_base_settings_check();
    forget_launcher();
    keep_memory();
    open_many();
    int ready[2] = {-1, -1};
    if (daemon && !detach(ready)) return wait_for_child(ready);
    mst_pool_t *pool;
    maestro_status_t status = mst_pool_create(name, &pool);
    if (status == MAESTRO_AGAIN) {
        if (!daemon) fprintf(stderr, "maestro-pool: pool %s has a manager already\n", name ? name : "default");
        tell_parent(ready, 0);
        return daemon ? 0 : 1;
    }
    if (status != MAESTRO_OK) {
        fprintf(stderr, "maestro-pool: %s\n", maestro_last_error());
        tell_parent(ready, 1);
        return 1;
    }
    if (daemon) redirect(pool->rendezvous.log);
    if (daemon && chdir("/") != 0) fprintf(stderr, "maestro-pool: chdir /: %s\n", strerror(errno));
    tell_parent(ready, 0);
    status = mst_pool_run(pool);
    mst_pool_destroy(pool);
    return status != MAESTRO_OK;
}
