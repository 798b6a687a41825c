/* See comm.h. */
#include "mpi/comm.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>

maestro_status_t mst_mpi_check(const char *what, int code) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (MST_LIKELY(code == MPI_SUCCESS)) return MAESTRO_OK;
    MPI_Error_string(code, text, &length);
    return mst_base_fail(MAESTRO_SYSTEM, "%s: MPI says: %s", what, text);
}

static maestro_status_t check_running(const char *what) {
    int initialised = 0, finalised = 0;
    MPI_Initialized(&initialised);
    if (!initialised)
        return mst_base_fail(MAESTRO_WRONG_STATE,
                             "%s: MPI is not initialised; call MPI_Init first (if the application has: its MPI is another one than that of libmaestro_mpi)",
                             what);
    MPI_Finalized(&finalised);
    return finalised ? mst_base_fail(MAESTRO_WRONG_STATE, "%s: MPI has been finalised", what) : MAESTRO_OK;
}

/* ---- The application's communicator */
static int silence(mst_mpi_theirs_t *theirs) {
    MPI_Comm place[MST_COUNT(theirs->handler)] = {MPI_COMM_WORLD, MPI_COMM_SELF, theirs->comm};
    for (; theirs->nset < MST_COUNT(place); theirs->nset++) {
        int code = MPI_Comm_get_errhandler(place[theirs->nset], &theirs->handler[theirs->nset]);
        if (code != MPI_SUCCESS) return code;
        MPI_Comm_set_errhandler(place[theirs->nset], MPI_ERRORS_RETURN);
    }
    return MPI_SUCCESS;
}

void mst_mpi_theirs_end(mst_mpi_theirs_t *theirs) {
    MPI_Comm place[MST_COUNT(theirs->handler)] = {MPI_COMM_WORLD, MPI_COMM_SELF, theirs->comm};
    while (theirs->nset-- > 0) {
        MPI_Comm_set_errhandler(place[theirs->nset], theirs->handler[theirs->nset]);
        MPI_Errhandler_free(&theirs->handler[theirs->nset]);
    }
}

maestro_status_t mst_mpi_theirs_begin(const char *what, maestro_comm_t handle, mst_mpi_theirs_t *theirs_out) {
    MST_TRY(check_running(what));
    *theirs_out = (mst_mpi_theirs_t){.comm = MPI_Comm_f2c(handle)};
    int is_inter = 1;
    if (theirs_out->comm != MPI_COMM_NULL && silence(theirs_out) == MPI_SUCCESS) MPI_Comm_test_inter(theirs_out->comm, &is_inter);
    if (!is_inter) return MAESTRO_OK;
    mst_mpi_theirs_end(theirs_out);
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: %d is no communicator of this MPI; give MPI_Comm_c2f of an intracommunicator", what, (int)handle);
}

/* ---- Our own one */
static bool is_crowded(MPI_Comm node) {
    cpu_set_t cores;
    int nranks = 1;
    MPI_Comm_size(node, &nranks);
    return sched_getaffinity(0, sizeof cores, &cores) != 0 || CPU_COUNT(&cores) < nranks;
}

maestro_status_t mst_mpi_comm_open(const char *what, maestro_comm_t handle, mst_mpi_comm_t *comm_out) {
    MPI_Comm ours = MPI_COMM_NULL;
    mst_mpi_theirs_t theirs;
    MST_TRY(mst_mpi_theirs_begin(what, handle, &theirs));
    maestro_status_t status = mst_mpi_check(what, MPI_Comm_dup(theirs.comm, &ours));
    mst_mpi_theirs_end(&theirs);
    MST_TRY(status);
    MPI_Comm_set_errhandler(ours, MPI_ERRORS_RETURN);
    mst_mpi_comm_t comm = {.comm = ours, .node = MPI_COMM_NULL};
    status = mst_mpi_check(what, MPI_Comm_split_type(ours, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &comm.node));
    if (status != MAESTRO_OK) {
        MPI_Comm_free(&ours);
        return status;
    }
    MPI_Comm_set_errhandler(comm.node, MPI_ERRORS_RETURN);
    comm.crowded = is_crowded(comm.node);
    MPI_Comm_rank(ours, &comm.rank);
    MPI_Comm_size(ours, &comm.nranks);
    *comm_out = comm;
    return MAESTRO_OK;
}

void mst_mpi_comm_forget_node(mst_mpi_comm_t *comm) {
    if (comm->node != MPI_COMM_NULL) MPI_Comm_free(&comm->node);
    comm->node = MPI_COMM_NULL;
}

void mst_mpi_comm_close(mst_mpi_comm_t *comm) {
    int finalised = 0;
    MPI_Finalized(&finalised);
    if (!finalised) mst_mpi_comm_forget_node(comm);
    if (!finalised && comm->comm != MPI_COMM_NULL) MPI_Comm_free(&comm->comm);
    comm->comm = MPI_COMM_NULL;
}

/* ---- One verdict */
typedef struct verdict {
    int status;
    char text[MST_BASE_ERROR_NBYTES];
} verdict_t;

maestro_status_t mst_mpi_agree(const mst_mpi_comm_t *comm, maestro_status_t status, int64_t order) {
    static const int64_t GOOD = INT64_MAX;
    int64_t own = status == MAESTRO_OK ? GOOD : order, first = GOOD;
    int rank, speaker = 0;
    verdict_t verdict = {.status = status};
    MST_TRY(mst_mpi_check("agree", MPI_Allreduce(&own, &first, 1, MPI_INT64_T, MPI_MIN, comm->comm)));
    if (first == GOOD) return MAESTRO_OK;
    rank = own == first ? comm->rank : INT_MAX;
    MST_TRY(mst_mpi_check("agree", MPI_Allreduce(&rank, &speaker, 1, MPI_INT, MPI_MIN, comm->comm)));
    snprintf(verdict.text, sizeof verdict.text, "%s", maestro_last_error());
    MST_TRY(mst_mpi_check("agree", MPI_Bcast(&verdict, sizeof verdict, MPI_BYTE, speaker, comm->comm)));
    return mst_base_fail((maestro_status_t)verdict.status, "%s", verdict.text);
}
