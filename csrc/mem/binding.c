/* See binding.h.  Bindings form one list, newest first; each knows what its threads were bound to before it.
 * Invariant: of the bindings of one thread the oldest remembers what the thread had before Maestro bound it; the newest is in force. */
#include "mem/binding.h"

#include "mem/topology.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PASSES = 16 }; /* over a process's threads, until none is new */

typedef struct bound {
    pid_t tid;
    cpu_set_t *before;
    size_t nbytes;
} bound_t;

struct mst_mem_binding {
    mst_mem_binding_t *next;
    pid_t pid;   /* whose threads these are */
    pid_t tid;   /* the one thread; 0: all of the process */
    int pidfd;   /* of another process; -1: it is this one */
    pid_t maker; /* the process that made the binding; a forked child has another id */
    bool kept;   /* nobody will undo it */
    bound_t *bound;
    size_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mst_mem_binding_t *bindings;

static void forget_in_child(void) {
    pthread_mutex_init(&lock, NULL);
    bindings = NULL;
}

static void watch_forks(void) { pthread_atfork(NULL, NULL, forget_in_child); }

static void enter(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
}

static bound_t *find(const mst_mem_binding_t *binding, pid_t tid) {
    for (size_t i = 0; i < binding->count; i++)
        if (binding->bound[i].tid == tid) return &binding->bound[i];
    return NULL;
}

static void destroy(mst_mem_binding_t *binding) {
    for (size_t i = 0; i < binding->count; i++) CPU_FREE(binding->bound[i].before);
    free(binding->bound);
    if (binding->pidfd >= 0) close(binding->pidfd);
    free(binding);
}

/* Numbers of processes and threads are used again; whoever has one of an ended one now is not touched. */
static bool lives(const mst_mem_binding_t *binding, pid_t tid) {
    struct pollfd process = {.fd = binding->pidfd, .events = POLLIN}; /* readable: it has ended; -1 is passed over */
    char path[64];
    if (poll(&process, 1, 0) > 0) return false;
    snprintf(path, sizeof path, "/proc/%d/task/%d", binding->pid, tid);
    return access(path, F_OK) == 0;
}

/* ---- Binding. */

static maestro_status_t bind_thread(mst_mem_binding_t *binding, pid_t tid, const cpu_set_t *cpus, size_t nbytes) {
    bound_t *more = realloc(binding->bound, (binding->count + 1) * sizeof *more);
    if (!more) return mst_base_fail(MAESTRO_SYSTEM, "pin: no memory");
    binding->bound = more;
    bound_t bound = {.tid = tid};
    bound.before = mst_mem_affinity(tid, &bound.nbytes);
    if (!bound.before || sched_setaffinity(tid, nbytes, cpus) != 0) {
        int error = errno;
        if (bound.before) CPU_FREE(bound.before);
        errno = error;
        return error == ESRCH ? MAESTRO_OK : mst_base_fail_errno("pin thread %d of process %d to cores", tid, binding->pid);
    }
    binding->bound[binding->count++] = bound;
    return MAESTRO_OK;
}

/* One look at the threads of the process; those that are bound already are passed over. */
static maestro_status_t bind_new_threads(mst_mem_binding_t *binding, const cpu_set_t *cpus, size_t nbytes) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", binding->pid);
    DIR *tasks = opendir(path);
    if (!tasks) return mst_base_fail(MAESTRO_NOT_FOUND, "pin: there is no process %d", binding->pid);
    maestro_status_t status = MAESTRO_OK;
    for (struct dirent *entry; status == MAESTRO_OK && (entry = readdir(tasks));) {
        pid_t tid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
        if (tid && !find(binding, tid)) status = bind_thread(binding, tid, cpus, nbytes);
    }
    closedir(tasks);
    return status;
}

static maestro_status_t bind_process(mst_mem_binding_t *binding, const cpu_set_t *cpus, size_t nbytes) {
    for (int pass = 0; pass < PASSES; pass++) {
        size_t before = binding->count;
        MST_TRY(bind_new_threads(binding, cpus, nbytes));
        if (binding->count == before) return before ? MAESTRO_OK : mst_base_fail(MAESTRO_NOT_FOUND, "pin: process %d has ended", binding->pid);
    }
    return mst_base_fail(MAESTRO_SYSTEM, "pin: process %d starts threads more quickly than they can be bound; bind it when it starts", binding->pid);
}

/* ---- Undoing. */

/* The next newer binding of a thread, which will have to restore what `binding` would have. */
static bound_t *newer(const mst_mem_binding_t *binding, pid_t tid) {
    bound_t *found = NULL;
    for (const mst_mem_binding_t *one = bindings; one && one != binding; one = one->next) {
        bound_t *bound = find(one, tid);
        if (bound) found = bound;
    }
    return found;
}

static void swap(bound_t *a, bound_t *b) {
    bound_t kept = *a;
    *a = *b;
    *b = kept;
}

static void restore(const mst_mem_binding_t *binding, bound_t *bound, int *error) {
    bound_t *heir = newer(binding, bound->tid);
    if (heir) swap(heir, bound);
    else if (lives(binding, bound->tid) && sched_setaffinity(bound->tid, bound->nbytes, bound->before) != 0 && errno != ESRCH) *error = errno;
}

/* Threads that came after the binding inherited it; they get what the process's first thread gets. */
static void free_later_threads(mst_mem_binding_t *binding) {
    const bound_t *first = binding->tid ? NULL : find(binding, binding->pid);
    if (first && lives(binding, binding->pid) && !newer(binding, binding->pid)) bind_process(binding, first->before, first->nbytes);
}

static void unlink_binding(const mst_mem_binding_t *binding) {
    mst_mem_binding_t **link = &bindings;
    while (*link && *link != binding) link = &(*link)->next;
    if (*link) *link = binding->next;
}

/* Ends a binding, of whose threads the first `count` were bound before; 0 or an errno. */
static int retire(mst_mem_binding_t *binding, size_t count) {
    int error = 0;
    for (size_t i = 0; i < count; i++) restore(binding, &binding->bound[i], &error);
    unlink_binding(binding);
    destroy(binding);
    return error;
}

/* Also what threads and processes that have ended left behind goes. */
static void take_over_kept(const mst_mem_binding_t *binding) {
    for (mst_mem_binding_t *old = binding->next, *next; old; old = next) {
        next = old->next;
        bool same = old->pid == binding->pid && old->tid == binding->tid, over = !lives(old, old->tid ? old->tid : old->pid);
        if (old->kept && (same || over)) retire(old, old->count);
    }
}

maestro_status_t mst_mem_bind(pid_t pid, const cpu_set_t *cpus, size_t nbytes, mst_mem_binding_t **binding_out) {
    mst_mem_binding_t *binding = calloc(1, sizeof *binding);
    if (!binding) return mst_base_fail(MAESTRO_SYSTEM, "pin: no memory");
    *binding = (mst_mem_binding_t){.pid = pid ? pid : getpid(), .tid = pid ? 0 : gettid(), .maker = getpid(), .pidfd = -1};
    if (binding->pid != binding->maker) binding->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    enter();
    binding->next = bindings;
    bindings = binding;
    maestro_status_t status = binding->tid ? bind_thread(binding, binding->tid, cpus, nbytes) : bind_process(binding, cpus, nbytes);
    if (status == MAESTRO_OK) {
        take_over_kept(binding);
        *binding_out = binding;
    } else retire(binding, binding->count);
    pthread_mutex_unlock(&lock);
    return status;
}

maestro_status_t mst_mem_unbind(mst_mem_binding_t *binding) {
    if (binding->maker != getpid()) return mst_base_fail(MAESTRO_FORKED, "unpin: the threads belong to the parent process");
    pid_t pid = binding->pid;
    enter();
    size_t count = binding->count;
    free_later_threads(binding);
    errno = retire(binding, count);
    pthread_mutex_unlock(&lock);
    return errno ? mst_base_fail_errno("unpin process %d: its threads stay bound", pid) : MAESTRO_OK;
}

void mst_mem_binding_keep(mst_mem_binding_t *binding) {
    if (binding->maker != getpid()) return;
    enter();
    binding->kept = true;
    pthread_mutex_unlock(&lock);
}

cpu_set_t *mst_mem_affinity_before(pid_t tid, size_t *nbytes_out) {
    cpu_set_t *now = mst_mem_affinity(tid, nbytes_out);
    if (!now) return NULL;
    enter();
    bound_t *oldest = newer(NULL, tid ? tid : gettid());
    if (oldest) {
        CPU_FREE(now);
        *nbytes_out = oldest->nbytes;
        now = CPU_ALLOC(oldest->nbytes * 8);
        if (now) memcpy(now, oldest->before, oldest->nbytes);
    }
    pthread_mutex_unlock(&lock);
    return now;
}
