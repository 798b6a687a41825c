/* One monotonic clock, in nanoseconds, comparable between the processes of a node. */
#include "base/base.h"

#include <time.h>

int64_t mst_base_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t mst_base_span_ns(double seconds) {
    if (!(seconds > 0)) return 0;
    return (int64_t)((seconds < 1e9 ? seconds : 1e9) * 1e9);
}

int64_t mst_base_deadline_ns(double timeout_s) { return mst_base_now_ns() + mst_base_span_ns(timeout_s); }
