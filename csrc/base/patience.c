/* See base.h.  A yield that takes long has given the core to somebody who works: then nobody here spins for a while, longer each time. */
#include "base/base.h"

#include <sched.h>
#include <stdatomic.h>

static const int64_t CONTENDED_NS = 500000, SHY_FIRST_NS = 10000000, SHY_MOST_NS = 1000000000;

static _Atomic int64_t shy_ns, shy_until_ns;

static void be_shy(int64_t now_ns) {
    int64_t ns = atomic_load_explicit(&shy_ns, memory_order_relaxed) * 2;
    ns = ns < SHY_FIRST_NS ? SHY_FIRST_NS : ns > SHY_MOST_NS ? SHY_MOST_NS : ns;
    atomic_store_explicit(&shy_ns, ns, memory_order_relaxed);
    atomic_store_explicit(&shy_until_ns, now_ns + ns, memory_order_relaxed);
}

bool mst_base_patience(int64_t *until_ns, int64_t longest_ns) {
    if (!longest_ns) return false;
    int64_t before = mst_base_now_ns();
    if (!*until_ns) *until_ns = before < atomic_load_explicit(&shy_until_ns, memory_order_relaxed) ? before : before + longest_ns;
    if (before >= *until_ns) return false;
    sched_yield();
    int64_t now = mst_base_now_ns();
    if (now - before > CONTENDED_NS) {
        be_shy(now);
        *until_ns = now;
    } else if (now >= *until_ns) atomic_store_explicit(&shy_ns, 0, memory_order_relaxed);
    return true;
}
