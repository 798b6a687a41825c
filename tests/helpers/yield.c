/* Linked into the C tests that run under MPI: where cores are short, a rank that yields sleeps.
 *
 * A rank of MPICH that waits calls sched_yield in a loop.  Beside programs that compute, each call gives a turn of milliseconds away, so that the rank is late
 * when its message is there, and all others wait for it.  Who sleeps keeps his turns and leaves the core to who has work; but on free cores to yield is
 * quicker.  So a yield that took long is followed by naps.  The program's symbol goes before the C library's, for MPI's calls too. */
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LONG_NS = 500000, NAPS = 200, NAP_NS = 1000 /* and some 50 us that Linux adds */ };

static _Thread_local int naps;

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

__attribute__((visibility("default"))) int sched_yield(void) {
    if (naps > 0) return naps--, nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    long long begun_ns = now_ns();
    int result = (int)syscall(SYS_sched_yield);
    if (now_ns() - begun_ns > LONG_NS) naps = NAPS;
    return result;
}
