/* A plan: what a rank gives, gets and keeps, and a method that does it.  Methods stand in one table, in make.c; each keeps its own state.
 * A use: the method starts, the own share is copied while messages fly, the method makes progress until it is done.
 *
 *   make.c      from a request to a plan
 *   trial.c     which method
 *   plan.c      use, explanation, end
 *   staging.c   fields on a device
 *   bundle.c    the fields that go to one rank together
 *   packed.c, datatypes.c    methods of messages, by transfer.c
 *   shared.c    methods of shared memory, by board.c, part.c and window.c
 * Invariant: between uses nothing of a plan is under way in MPI. */
#ifndef MST_MPI_PLAN_H
#define MST_MPI_PLAN_H

#include "mpi/bundle.h"
#include "mpi/match.h"
#include "mpi/staging.h"

typedef struct mst_mpi_method mst_mpi_method_t;
struct mst_mpi_method {
    maestro_method_t number;
    const char *name;
    const char *within, *between;     /* the names of what is done between ranks of a node, and of different nodes */
    const mst_mpi_method_t *state_of; /* NULL, or a method whose state this one can use as well */
    /* Collective: makes the state of what this rank gives and gets, its own share apart.  After an error _destroy ends what was made. */
    maestro_status_t (*create)(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out);
    /* Begins a use of plan->nfields of plan->from and plan->to. */
    maestro_status_t (*start)(const maestro_plan_t *plan, void *state);
    /* Does what can be done without waiting; IN_PROGRESS: not all. */
    maestro_status_t (*progress)(const maestro_plan_t *plan, void *state);
    /* What other ranks wait for, while this rank waits for another plan; what fails fails again in progress.  NULL: MPI does it. */
    void (*help)(const maestro_plan_t *plan, void *state);
    void (*abandon)(const maestro_plan_t *plan, void *state); /* after an error, while the use runs, or before it has: nothing is written to plan->to
                                                               any more, but by MPI what it has begun */
    void (*forget)(const maestro_plan_t *plan, void *state, bool scratch); /* memory that was of use in the trial alone, which has moved scratch arrays, or
                                                                              the application's; NULL: there is none */
    void (*destroy)(void *state); /* NULL is allowed */
};

extern const mst_mpi_method_t mst_mpi_packed, mst_mpi_buffered, mst_mpi_datatypes, mst_mpi_shared, mst_mpi_staged, mst_mpi_shared_datatypes,
    mst_mpi_staged_datatypes;
enum { MST_MPI_METHODS = 7 };
extern const mst_mpi_method_t *const mst_mpi_method[MST_MPI_METHODS]; /* make.c; the likely best first */

/* make.c: what tests change, on all ranks alike. */
typedef struct mst_mpi_tuning {
    size_t piece_nbytes;    /* what is packed goes in pieces of about so many bytes.  Measured with 8 KiB to 8 MiB: smaller messages cost more each, larger ones
                               gain nothing */
    bool datatypes_between; /* what SHARED and STAGED do between nodes, if they can: AUTO alone chooses it else */
} mst_mpi_tuning_t;
extern mst_mpi_tuning_t mst_mpi_tuning;

/* packed.c: whether this rank sends something large that lies in one line, and to few enough ranks that buffers for it may be tried. */
bool mst_mpi_packed_has_lines(const maestro_plan_t *plan, const mst_mpi_shares_t *sends);

typedef struct mst_mpi_traffic { /* with a rank, elements of a field */
    int rank;
    int64_t sent, received;
} mst_mpi_traffic_t;

struct maestro_plan {
    mst_mpi_comm_t comm;
    mst_mpi_fields_t fields;
    int tag;                  /* of its messages */
    const mst_mpi_method_t *method;
    void *state;
    mst_array_copy_t **own;   /* one for each kind of field; NULL: this rank keeps nothing */
    int64_t kept, sent, moved; /* elements of a field: that this rank keeps; that it gives to others; that it keeps and gets */
    bool reads, writes;       /* whether it needs fields of the source, of the target */
    bool is_halo;             /* source and target are the same fields */
    bool running, failed;
    double trial_s[MST_MPI_METHODS]; /* a use of each method; 0: not tried */
    int64_t ntraffic;
    mst_mpi_traffic_t *traffic;
    size_t nfields;
    const void **from;        /* fields.count of each */
    void **to;
    mst_mpi_staging_t staging;
    maestro_plan_t *next;     /* of those that are running and help: plan.c */
};

/* make.c.  Local: what a rank gives, gets and keeps, in a plan that has its communicator and its fields. */
maestro_status_t mst_mpi_plan_fill(maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives);

/* trial.c.  Collective: makes what methods can be made, and leaves in the plan the quickest. */
maestro_status_t mst_mpi_trial(maestro_plan_t *plan, const maestro_plan_options_t *options, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives);

/* registry.c: handles that applications use after the plan's end are recognised.  All zero; NULL without memory. */
maestro_plan_t *mst_mpi_plan_new(void);
void mst_mpi_plan_end(maestro_plan_t *plan);
/* INVALID_ARGUMENT: NULL, or it has been destroyed. */
maestro_status_t mst_mpi_plan_check(const maestro_plan_t *plan, const char *what);

/* plan.c: takes the application's fields into the plan.  INVALID_ARGUMENT: one is missing that this rank needs. */
maestro_status_t mst_mpi_plan_take(maestro_plan_t *plan, size_t nfields, const void *const *from, void *const *to);

/* plan.c: of a plan whose fields stand in it. */
maestro_status_t mst_mpi_plan_begin(maestro_plan_t *plan);
maestro_status_t mst_mpi_plan_go_on(maestro_plan_t *plan);                   /* IN_PROGRESS: not done */
maestro_status_t mst_mpi_plan_finish(maestro_plan_t *plan, double timeout_s); /* < 0: the default */
void mst_mpi_plan_abandon(maestro_plan_t *plan);                              /* a use that has not ended: the plan has failed */

#endif
