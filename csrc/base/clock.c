/* One monotonic clock, in nanoseconds, comparable between the processes of a node. */
#include "base/base.h"

#include <time.h>

int64_t mst_base_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t mst_base_deadline_ns(double timeout_s) {
    int64_t now = mst_base_now_ns();
    if (!(timeout_s > 0)) return now;
    if (timeout_s > 1e9) timeout_s = 1e9;
    return now + (int64_t)(timeout_s * 1e9);
}
