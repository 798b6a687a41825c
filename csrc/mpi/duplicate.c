/* See duplicate.h.  A duplicate ends when the application has freed its communicator and nothing is open on it; what is left at MPI_Finalize is left to MPI. */
#include "mpi/duplicate.h"

#include <sched.h>

static int key = MPI_KEYVAL_INVALID; /* of the attribute */
static int largest_tag = 32767;      /* what MPI promises at least */

/* ---- The end */
static bool is_finalised(void) {
    int finalised = 0;
    MPI_Finalized(&finalised);
    return finalised;
}

/* Whether no rank has spoilt it; no, where not all ranks are here in time. */
static bool is_clean(const mst_mpi_duplicate_t *duplicate) {
    const mst_mpi_same_t clean = {.name = "state", .value = 0};
    maestro_status_t status = duplicate->spoilt ? MAESTRO_WRONG_STATE : MAESTRO_OK;
    return mst_mpi_begin(&duplicate->comm, "free a communicator", status, &clean, 1) == MAESTRO_OK;
}

static void end(mst_mpi_duplicate_t *duplicate) {
    if (duplicate->lost || is_finalised() || !is_clean(duplicate)) return; /* MPI may still use it */
    MPI_Comm_free(&duplicate->comm.node);
    MPI_Comm_free(&duplicate->comm.comm);
    free(duplicate->node_ranks);
    free(duplicate);
}

static void leave(mst_mpi_duplicate_t *duplicate) {
    if (atomic_fetch_sub(&duplicate->users, 1) == 1) end(duplicate);
}

static int at_free(MPI_Comm theirs, int keyval, void *attribute, void *extra) {
    (void)theirs, (void)keyval, (void)extra;
    leave(attribute);
    return MPI_SUCCESS;
}

/* ---- Making */
static bool is_crowded(int nnode) {
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) != 0 || CPU_COUNT(&cores) < nnode;
}

/* Before there is a duplicate to agree on. */
static maestro_status_t check_memory(const char *what, MPI_Comm comm, const void *memory) {
    int own = memory != NULL, all = 0;
    MST_TRY(mst_mpi_check(what, MPI_Allreduce(&own, &all, 1, MPI_INT, MPI_MIN, comm)));
    return all ? MAESTRO_OK : mst_base_fail(MAESTRO_SYSTEM, "%s: a rank has no memory", what);
}

static maestro_status_t learn_node(const char *what, mst_mpi_duplicate_t *duplicate) {
    mst_mpi_comm_t *comm = &duplicate->comm;
    MST_TRY(mst_mpi_check(what, MPI_Comm_split_type(comm->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &comm->node)));
    MPI_Comm_set_errhandler(comm->node, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm->node, &comm->node_rank);
    MPI_Comm_size(comm->node, &comm->nnode);
    comm->crowded = is_crowded(comm->nnode);
    comm->node_ranks = duplicate->node_ranks = calloc((size_t)comm->nnode, sizeof *duplicate->node_ranks);
    MST_TRY(check_memory(what, comm->comm, duplicate->node_ranks));
    return mst_mpi_check(what, MPI_Allgather(&comm->rank, 1, MPI_INT, duplicate->node_ranks, 1, MPI_INT, comm->node));
}

/* After an error the duplicate is left as it is: MPI is at its end then, or this process without memory. */
static maestro_status_t make(const char *what, MPI_Comm ours, mst_mpi_duplicate_t **duplicate_out) {
    mst_mpi_duplicate_t *duplicate = calloc(1, sizeof *duplicate);
    mst_mpi_comm_t comm = {.comm = ours, .node = MPI_COMM_NULL, .duplicate = duplicate};
    MPI_Comm_set_errhandler(ours, MPI_ERRORS_RETURN);
    MPI_Comm_rank(ours, &comm.rank);
    MPI_Comm_size(ours, &comm.nranks);
    MST_TRY(check_memory(what, ours, duplicate));
    duplicate->comm = comm;
    duplicate->users = 1;
    *duplicate_out = duplicate;
    return learn_node(what, duplicate);
}

static int make_key(void) {
    int found = 0, *largest;
    if (key != MPI_KEYVAL_INVALID) return MPI_SUCCESS;
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &largest, &found);
    if (found) largest_tag = *largest;
    return MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, at_free, &key, NULL);
}

/* The attribute, or else a new communicator. */
static int find(MPI_Comm theirs, mst_mpi_duplicate_t **duplicate_out, MPI_Comm *ours_out) {
    int found = 0, code = make_key();
    if (code == MPI_SUCCESS) code = MPI_Comm_get_attr(theirs, key, duplicate_out, &found);
    if (!found) *duplicate_out = NULL;
    return code == MPI_SUCCESS && !found ? MPI_Comm_dup(theirs, ours_out) : code;
}

maestro_status_t mst_mpi_duplicate_of(const char *what, mst_mpi_theirs_t *theirs, mst_mpi_comm_t *comm_out) {
    MPI_Comm ours = MPI_COMM_NULL;
    mst_mpi_duplicate_t *duplicate = NULL;
    MST_TRY(mst_mpi_check(what, find(theirs->comm, &duplicate, &ours)));
    if (!duplicate) {
        MST_TRY(make(what, ours, &duplicate));
        MST_TRY(mst_mpi_check(what, MPI_Comm_set_attr(theirs->comm, key, duplicate)));
    }
    atomic_fetch_add(&duplicate->users, 1);
    *comm_out = duplicate->comm;
    return MAESTRO_OK;
}

/* ---- Use */
void mst_mpi_comm_close(mst_mpi_comm_t *comm) {
    if (comm->duplicate) leave(comm->duplicate);
    *comm = (mst_mpi_comm_t){.comm = MPI_COMM_NULL, .node = MPI_COMM_NULL};
}

void mst_mpi_comm_spoil(mst_mpi_comm_t *comm) { comm->duplicate->spoilt = true; }

int mst_mpi_comm_tag(mst_mpi_comm_t *comm, int first) { return first + (int)(comm->duplicate->nmade++ % (largest_tag - first)); }
