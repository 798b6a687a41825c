/* A plan: what a rank gives, gets and keeps, and a method that does it.  Methods stand in one table, in plan.c; each keeps its own state.
 * A use: the method starts, the own share is copied while messages fly, the method makes progress until it is done.
 * Invariant: between uses nothing of a plan is under way in MPI. */
#ifndef MST_MPI_PLAN_H
#define MST_MPI_PLAN_H

#include "array/copy.h"
#include "mpi/match.h"

typedef struct mst_mpi_method {
    maestro_method_t number;
    const char *name;
    /* Collective: makes the state of what this rank gives and gets, its own share apart.  After an error _destroy ends what was made. */
    maestro_status_t (*create)(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out);
    /* Begins a use of plan->nfields of plan->from and plan->to. */
    maestro_status_t (*start)(const maestro_plan_t *plan, void *state);
    /* Does what can be done without waiting; IN_PROGRESS: not all. */
    maestro_status_t (*progress)(const maestro_plan_t *plan, void *state);
    void (*abandon)(void *state); /* after an error of either: from here on nothing is written to plan->to */
    void (*destroy)(void *state); /* NULL is allowed */
} mst_mpi_method_t;

extern const mst_mpi_method_t mst_mpi_packed, mst_mpi_shared; /* packed.c, shared.c */

typedef struct mst_mpi_traffic { /* with a rank, a field */
    int rank;
    int64_t sent_nbytes, received_nbytes;
} mst_mpi_traffic_t;

struct maestro_plan {
    mst_mpi_comm_t comm;
    size_t element_nbytes, max_fields;
    maestro_field_t field;
    size_t moved_nbytes;      /* what this rank keeps and gets of a field: a copy of a part of it is a part of something as large */
    const mst_mpi_method_t *method;
    void *state;
    mst_array_copy_t *own;    /* NULL: this rank keeps nothing */
    bool reads, writes;       /* whether it needs fields of the source, of the target */
    bool is_halo;             /* source and target are the same fields */
    int64_t ntraffic;
    mst_mpi_traffic_t *traffic;
    bool running, failed;
    size_t nfields;
    const void **from;        /* max_fields of each */
    void **to;
};

#endif
