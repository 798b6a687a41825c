/* Random cases of tests on several ranks: how many there are, and which one it was that failed, ended the program or never came to its end.
 *
 * MAESTRO_TEST_CASES says which ones: 2500 is cases 1 to 2500, 417-417 case 417 alone.  A case is the same whatever ran before it, and another one on each
 * number of ranks. */
#ifndef MST_MPI_CASES_TEST_H
#define MST_MPI_CASES_TEST_H

#include "base/test.h"

#include <mpi.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum { CASE_LIMIT_S = 100 };

static const int case_signals[] = {SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction case_others[NSIG]; /* what was there for them before: sanitizers and MPI say where they came from */
static char case_text[128];                /* of the case that runs; empty: none does */

/* More ranks than cores take turns of milliseconds under MPICH, if the cores have other work too: fewer of everything then. */
static inline int as_many_as_time_allows(int alone, int two, int more) {
    int nranks = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    return nranks == 1 ? alone : nranks == 2 ? two : more;
}

static inline void case_tell(void) {
    if (write(STDERR_FILENO, case_text, strlen(case_text)) < 0) return; /* nothing more can be done */
}

/* Whoever had the signal before gets it again: a fault comes by itself. */
static inline void case_ends(int number) {
    case_tell();
    sigaction(number, &case_others[number], NULL);
    if (number == SIGALRM || number == SIGABRT) raise(number);
}

/* Runs `check` for each case, with a seed of its own.  Collective; `usual` is how many there are unless the environment says otherwise. */
static inline void cases_run(int usual, void (*check)(uint64_t seed)) {
    const char *given = getenv("MAESTRO_TEST_CASES");
    long long first = 1, last = usual;
    int rank = 0, nranks = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    if (given && sscanf(given, "%lld-%lld", &first, &last) == 1) last = first, first = 1;
    static int installed;
    for (size_t i = 0; !installed && i < sizeof case_signals / sizeof *case_signals; i++)
        sigaction(case_signals[i], &(struct sigaction){.sa_handler = case_ends}, &case_others[case_signals[i]]);
    installed = 1;
    for (long long i = first; i <= last; i++) {
        int before = test_failures;
        snprintf(case_text, sizeof case_text, "  in case %lld of %d ranks, on rank %d; MAESTRO_TEST_CASES=%lld-%lld repeats it\n", i, nranks, rank, i, i);
        alarm(CASE_LIMIT_S);
        check((uint64_t)i * 16 + (uint64_t)nranks);
        if (test_failures > before) case_tell();
    }
    alarm(0);
    *case_text = 0;
}

#endif
