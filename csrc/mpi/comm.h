/* A communicator of Maestro's own, made of the application's: errors return, messages meet no others.  On it what every collective operation here needs:
 * one verdict of all ranks, and letters from some ranks to some.
 * Invariant: a rank on which something fails still takes part until all have agreed, so nobody waits for it. */
#ifndef MST_MPI_COMM_H
#define MST_MPI_COMM_H

#include "mpi/ranks.h"

#include <mpi.h>

/* duplicate.h: one for each communicator of the application, whatever is made on it: MPI has some 2,000 communicators, and their making takes long. */
typedef struct mst_mpi_duplicate mst_mpi_duplicate_t;

typedef struct mst_mpi_comm {
    MPI_Comm comm;
    int rank, nranks;
    MPI_Comm node;        /* its ranks of this node, in their order */
    int node_rank, nnode;
    const int *node_ranks; /* the number in `comm` of each */
    int nmachine;         /* ranks that share cores and memory with this one: more than nnode where MAESTRO_NODE makes several nodes of a machine */
    bool crowded;         /* they are more than this rank has cores: who waits gives the core away */
    mst_mpi_duplicate_t *duplicate;
} mst_mpi_comm_t;

/* The application's communicator, while errors on it return.  Where there is no communicator of our own yet, MPI calls the handlers of the application's, of
 * the world's and of the process's own one. */
typedef struct mst_mpi_theirs {
    MPI_Comm comm;
    MPI_Errhandler handler[3];
    size_t nset;
} mst_mpi_theirs_t;

/* Local.  Errors: WRONG_STATE (MPI is not initialised, or finalised), INVALID_ARGUMENT (no communicator, or one between two groups); then there is no _end. */
maestro_status_t mst_mpi_theirs_begin(const char *what, maestro_comm_t handle, mst_mpi_theirs_t *theirs_out);
void mst_mpi_theirs_end(mst_mpi_theirs_t *theirs);

/* Collective.  `what` begins messages.  Errors: those of mst_mpi_theirs_begin, SYSTEM; TIMEOUT, not on all ranks alike, where ranks have not come within
 * MAESTRO_TIMEOUT_S; then WRONG_STATE, since the communicator is lost. */
maestro_status_t mst_mpi_comm_open(const char *what, maestro_comm_t handle, mst_mpi_comm_t *comm_out);
/* Local.  Where it was open when the application freed its communicator, the duplicate is left to MPI_Finalize. */
void mst_mpi_comm_close(mst_mpi_comm_t *comm);
/* Messages have been sent on it that nobody will receive: MPICH aborts where such a communicator is freed, so it is left to MPI_Finalize. */
void mst_mpi_comm_spoil(mst_mpi_comm_t *comm);
/* A tag for what is made now by all ranks, `first` or more; it comes again after as many as MPI has. */
int mst_mpi_comm_tag(mst_mpi_comm_t *comm, int first);
/* The number in the node of a rank, or -1: it is of another node. */
int mst_mpi_comm_number(const mst_mpi_comm_t *comm, int rank);

/* MPI's code as a status: SYSTEM with MPI's text. */
maestro_status_t mst_mpi_check(const char *what, int code);

/* Initialised and not finalised. */
bool mst_mpi_is_running(void);

/* Waits for a request of a collective call; unlike MPI's own wait it leaves the core to others, and ends: TIMEOUT after MAESTRO_TIMEOUT_S. */
maestro_status_t mst_mpi_finish(const mst_mpi_comm_t *comm, const char *what, MPI_Request *request);
double mst_mpi_timeout_s(void);
maestro_status_t mst_mpi_late(const char *what, double timeout_s); /* the TIMEOUT of who has waited so long */

/* Collective: MPI's calls of these names, with an end: TIMEOUT after MAESTRO_TIMEOUT_S, and then the communicator is lost.  The output is written after success
 * alone.  `type` is one of MPI's own. */
maestro_status_t mst_mpi_allreduce(const mst_mpi_comm_t *comm, const char *what, const void *own, void *all_out, int count, MPI_Datatype type, MPI_Op op);
maestro_status_t mst_mpi_bcast(const mst_mpi_comm_t *comm, const char *what, void *bytes, int nbytes, int root);

/* Collective: all ranks get the status, and the last error, of one rank: of those that failed the one with the smallest `order`, the lowest of these.
 * Orders of a global index are the index; others, < 0, come first. */
maestro_status_t mst_mpi_agree(const mst_mpi_comm_t *comm, maestro_status_t status, int64_t order);

/* What all ranks must give alike: a name for the message, and the value.  A hash's value is not shown. */
typedef struct mst_mpi_same {
    const char *name;
    int64_t value;
    bool is_hash;
} mst_mpi_same_t;

enum { MST_MPI_SAME_MAX = 7 };

/* Collective, and the first step of what all ranks do together: mst_mpi_agree and a comparison, in one step.  `what` is the function's name, which is compared
 * too.  The same status on all ranks: INVALID_ARGUMENT where values differ; TIMEOUT on those that are here where others do not come within
 * MAESTRO_TIMEOUT_S, and then for good: the communicator is lost. */
maestro_status_t mst_mpi_begin(const mst_mpi_comm_t *comm, const char *what, maestro_status_t status, const mst_mpi_same_t *same, int nsame);

/* ---- letters.c: what goes to other ranks, or has come from them: then sorted by rank. */
typedef struct mst_mpi_letter {
    int rank;
    mst_base_buffer_t content;
} mst_mpi_letter_t;

typedef struct mst_mpi_mail {
    int64_t nletters;
    size_t capacity;
    mst_mpi_letter_t *letter;
    mst_mpi_ranks_t ranks; /* of what goes out */
} mst_mpi_mail_t;

/* The content of a rank's letter, which is made where there is none; valid until the next is made; NULL without memory. */
mst_base_buffer_t *mst_mpi_mail_to(mst_mpi_mail_t *mail, int rank);
/* Whether a letter lacks memory. */
bool mst_mpi_mail_failed(const mst_mpi_mail_t *mail);
void mst_mpi_mail_fini(mst_mpi_mail_t *mail);

/* Collective: letters arrive, in time that goes with those of this rank and the logarithm of the number of ranks.  `tag` differs from that of the exchange
 * before.  The caller ends `in_out` with _fini, also after an error.  Errors: TOO_LARGE (a letter of 2 GiB), SYSTEM (no memory); TIMEOUT where ranks do not
 * come within MAESTRO_TIMEOUT_S: then the communicator is lost, and `out` empty: MPI may still read the letters. */
maestro_status_t mst_mpi_exchange(const mst_mpi_comm_t *comm, int tag, mst_mpi_mail_t *out, mst_mpi_mail_t *in_out);

#endif
