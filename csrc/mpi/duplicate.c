/* See duplicate.h.  A duplicate ends with the application's communicator where nothing is open on it on any rank; else it is left to MPI, as that of the world
 * is. */
#include "mpi/duplicate.h"

#include <sched.h>

static int key = MPI_KEYVAL_INVALID; /* of the attribute */
static int largest_tag = 32767;      /* what MPI promises at least */

/* ---- The end */
/* Whether no rank has spoilt it or has something open on it; no, where not all ranks are here in time. */
static bool is_clean(const mst_mpi_duplicate_t *duplicate) {
    const mst_mpi_same_t clean = {.name = "state", .value = 0};
    maestro_status_t status = duplicate->spoilt || duplicate->users > 0 ? MAESTRO_WRONG_STATE : MAESTRO_OK;
    return mst_mpi_begin(&duplicate->comm, "free a communicator", status, &clean, 1) == MAESTRO_OK;
}

/* Open MPI goes on with a step on a communicator that is gone, and crashes; those who came late have let it end. */
static void finish_steps(mst_mpi_duplicate_t *duplicate) {
    for (int i = 0; i < 2; i++)
        if (duplicate->step[i] != MPI_REQUEST_NULL && mst_mpi_finish(&duplicate->comm, "free a communicator", &duplicate->step[i]) != MAESTRO_OK) return;
}

/* MPI_Comm_free is collective, so all ranks come here.  The world's ends in MPI_Finalize, where nobody should wait for others. */
static int at_free(MPI_Comm theirs, int keyval, void *attribute, void *extra) {
    mst_mpi_duplicate_t *duplicate = attribute;
    (void)keyval, (void)extra;
    if (theirs == MPI_COMM_WORLD) return MPI_SUCCESS;
    finish_steps(duplicate);
    if (duplicate->lost || !is_clean(duplicate)) return MPI_SUCCESS; /* MPI may still use it */
    MPI_Comm_free(&duplicate->comm.node);
    MPI_Comm_free(&duplicate->comm.comm);
    free(duplicate->node_ranks);
    free(duplicate);
    return MPI_SUCCESS;
}

/* ---- Making */
static bool is_crowded(int nranks) {
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) != 0 || CPU_COUNT(&cores) < nranks;
}

/* Before there is a duplicate to agree on. */
static maestro_status_t check_memory(const char *what, MPI_Comm comm, const void *memory) {
    int own = memory != NULL, all = 0;
    MST_TRY(mst_mpi_check(what, MPI_Allreduce(&own, &all, 1, MPI_INT, MPI_MIN, comm)));
    return all ? MAESTRO_OK : mst_base_fail(MAESTRO_SYSTEM, "%s: a rank has no memory", what);
}

/* Ranks that share memory; MAESTRO_NODE makes several nodes of them. */
static maestro_status_t split_by_node(const char *what, mst_mpi_comm_t *comm) {
    enum { COLOURS = 1 << 30 };
    MPI_Comm machine = MPI_COMM_NULL;
    const char *name = mst_base_setting("MAESTRO_NODE");
    int colour = name ? (int)(mst_base_hash(name, strlen(name)) % COLOURS) : 0, own[] = {colour, -colour}, most[2];
    MST_TRY(mst_mpi_check(what, MPI_Comm_split_type(comm->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine)));
    comm->node = machine;
    MPI_Comm_set_errhandler(machine, MPI_ERRORS_RETURN);
    MPI_Comm_size(machine, &comm->nmachine);
    comm->crowded = is_crowded(comm->nmachine);
    MST_TRY(mst_mpi_check(what, MPI_Allreduce(own, most, 2, MPI_INT, MPI_MAX, machine)));
    if (most[0] == -most[1]) return MAESTRO_OK; /* of one name */
    MST_TRY(mst_mpi_check(what, MPI_Comm_split(machine, colour, 0, &comm->node)));
    MPI_Comm_set_errhandler(comm->node, MPI_ERRORS_RETURN);
    return mst_mpi_check(what, MPI_Comm_free(&machine));
}

static maestro_status_t learn_node(const char *what, mst_mpi_duplicate_t *duplicate) {
    mst_mpi_comm_t *comm = &duplicate->comm;
    MST_TRY(split_by_node(what, comm));
    MPI_Comm_rank(comm->node, &comm->node_rank);
    MPI_Comm_size(comm->node, &comm->nnode);
    comm->node_ranks = duplicate->node_ranks = calloc((size_t)comm->nnode, sizeof *duplicate->node_ranks);
    MST_TRY(check_memory(what, comm->comm, duplicate->node_ranks));
    return mst_mpi_check(what, MPI_Allgather(&comm->rank, 1, MPI_INT, duplicate->node_ranks, 1, MPI_INT, comm->node));
}

static maestro_status_t begin_step(const char *what, MPI_Comm theirs, mst_mpi_duplicate_t *duplicate, int i, bool here) {
    duplicate->here[i] = here;
    return mst_mpi_check(what, MPI_Iallreduce(&duplicate->here[i], &duplicate->all_here[i], 1, MPI_INT, MPI_MIN, theirs, &duplicate->step[i]));
}

static maestro_status_t finish_step(const char *what, mst_mpi_duplicate_t *duplicate, int i) {
    return mst_mpi_finish(&(mst_mpi_comm_t){.crowded = true}, what, &duplicate->step[i]);
}

/* Whether all ranks are here and none has given up: MPI_Comm_dup waits without end.  Who gives up takes the second step as well, so that those who come late
 * learn it, and no message of theirs is left. */
static maestro_status_t gather_ranks(const char *what, MPI_Comm theirs, mst_mpi_duplicate_t *duplicate) {
    duplicate->step[0] = duplicate->step[1] = MPI_REQUEST_NULL;
    MST_TRY(begin_step(what, theirs, duplicate, 0, true));
    maestro_status_t met = finish_step(what, duplicate, 0), second = begin_step(what, theirs, duplicate, 1, met == MAESTRO_OK);
    MST_TRY(met);
    MST_TRY(second);
    MST_TRY(finish_step(what, duplicate, 1));
    if (duplicate->all_here[1]) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_TIMEOUT, "%s: other ranks have called it before and wait no more; make another communicator", what);
}

/* After an error the duplicate is left as it is, and lost: MPI may still write to it. */
static maestro_status_t make(const char *what, MPI_Comm theirs, mst_mpi_duplicate_t *duplicate) {
    mst_mpi_comm_t *comm = &duplicate->comm;
    *comm = (mst_mpi_comm_t){.comm = MPI_COMM_NULL, .node = MPI_COMM_NULL, .duplicate = duplicate};
    MST_TRY(gather_ranks(what, theirs, duplicate));
    MST_TRY(mst_mpi_check(what, MPI_Comm_dup(theirs, &comm->comm)));
    MPI_Comm_set_errhandler(comm->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm->comm, &comm->rank);
    MPI_Comm_size(comm->comm, &comm->nranks);
    return learn_node(what, duplicate);
}

static int make_key(void) {
    int found = 0, *largest;
    if (key != MPI_KEYVAL_INVALID) return MPI_SUCCESS;
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &largest, &found);
    if (found) largest_tag = *largest;
    return MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, at_free, &key, NULL);
}

/* The attribute, or NULL. */
static int find(MPI_Comm theirs, mst_mpi_duplicate_t **duplicate_out) {
    int found = 0, code = make_key();
    if (code == MPI_SUCCESS) code = MPI_Comm_get_attr(theirs, key, duplicate_out, &found);
    if (!found) *duplicate_out = NULL;
    return code;
}

maestro_status_t mst_mpi_duplicate_of(const char *what, mst_mpi_theirs_t *theirs, mst_mpi_comm_t *comm_out) {
    mst_mpi_duplicate_t *duplicate = NULL;
    MST_TRY(mst_mpi_check(what, find(theirs->comm, &duplicate)));
    if (!duplicate) {
        duplicate = calloc(1, sizeof *duplicate);
        if (!duplicate) return mst_base_fail_errno(what); /* the others give up */
        maestro_status_t status = make(what, theirs->comm, duplicate);
        duplicate->lost = status != MAESTRO_OK;
        MST_TRY(mst_mpi_check(what, MPI_Comm_set_attr(theirs->comm, key, duplicate)));
        MST_TRY(status);
    }
    if (duplicate->lost) return mst_base_fail(MAESTRO_WRONG_STATE, "%s: a call on this communicator has not ended on all ranks; make another one", what);
    atomic_fetch_add(&duplicate->users, 1);
    *comm_out = duplicate->comm;
    return MAESTRO_OK;
}

/* ---- Use */
void mst_mpi_comm_close(mst_mpi_comm_t *comm) {
    if (comm->duplicate) atomic_fetch_sub(&comm->duplicate->users, 1);
    *comm = (mst_mpi_comm_t){.comm = MPI_COMM_NULL, .node = MPI_COMM_NULL};
}

void mst_mpi_comm_spoil(mst_mpi_comm_t *comm) { comm->duplicate->spoilt = true; }

int mst_mpi_comm_tag(mst_mpi_comm_t *comm, int first) { return first + (int)(comm->duplicate->nmade++ % (largest_tag - first)); }
