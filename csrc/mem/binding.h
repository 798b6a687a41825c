/* Threads that are bound to cores, and what they were bound to before. */
#ifndef MST_MEM_BINDING_H
#define MST_MEM_BINDING_H

#include "base/base.h"

#include <sched.h>
#include <sys/types.h>

typedef struct mst_mem_binding mst_mem_binding_t;

/* Binds the calling thread (pid 0) or all threads of a process to `cpus`.  What an earlier binding of the same thread or process has kept is
 * taken over, so that undoing leads to what was before the first.  Errors: SYSTEM (and nothing is bound), NOT_FOUND (no such process). */
maestro_status_t mst_mem_bind(pid_t pid, const cpu_set_t *cpus, size_t nbytes, mst_mem_binding_t **binding_out);
/* Gives threads back what they were bound to before, in any order of bindings; threads that a bound process has started since get what its first
 * thread gets.  Frees the binding.  Errors: FORKED in a child (nothing is done), SYSTEM. */
maestro_status_t mst_mem_unbind(mst_mem_binding_t *binding);
/* Gives up the handle; the threads stay bound. */
void mst_mem_binding_keep(mst_mem_binding_t *binding);

/* What a thread (0: the calling one) may use when the bindings made here are left out; the caller frees it with CPU_FREE.  NULL: errno says why. */
cpu_set_t *mst_mem_affinity_before(pid_t tid, size_t *nbytes_out);

#endif
