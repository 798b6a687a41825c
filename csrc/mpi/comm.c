/* See comm.h. */
#include "mpi/duplicate.h"

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

bool mst_mpi_is_running(void) {
    int initialised = 0, finalised = 0;
    MPI_Initialized(&initialised);
    MPI_Finalized(&finalised);
    return initialised && !finalised;
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

maestro_status_t mst_mpi_comm_open(const char *what, maestro_comm_t handle, mst_mpi_comm_t *comm_out) {
    mst_mpi_theirs_t theirs;
    MST_TRY(mst_mpi_theirs_begin(what, handle, &theirs));
    maestro_status_t status = mst_mpi_duplicate_of(what, &theirs, comm_out);
    mst_mpi_theirs_end(&theirs);
    return status;
}

int mst_mpi_comm_number(const mst_mpi_comm_t *comm, int rank) {
    int low = 0, high = comm->nnode;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (comm->node_ranks[middle] < rank) low = middle + 1;
        else high = middle;
    }
    return low < comm->nnode && comm->node_ranks[low] == rank ? low : -1;
}

/* ---- Waiting */
static const double TIMEOUT_S = 60;

double mst_mpi_timeout_s(void) { return mst_base_setting_f64("MAESTRO_TIMEOUT_S", TIMEOUT_S); }

maestro_status_t mst_mpi_late(const char *what, double timeout_s) {
    return mst_base_fail(MAESTRO_TIMEOUT, "%s: not all ranks have called it within %.3g s (MAESTRO_TIMEOUT_S); %s", what, timeout_s,
                         "all ranks of a communicator make the same calls in the same order, and from here on nothing can be made on this one");
}

/* MPI's own wait has no end. */
maestro_status_t mst_mpi_finish(const mst_mpi_comm_t *comm, const char *what, MPI_Request *request) {
    enum { LOOKS = 256 };
    double timeout_s = mst_mpi_timeout_s();
    int64_t until_ns = mst_base_deadline_ns(timeout_s);
    for (unsigned i = 1;; i++) {
        int done = 0;
        MST_TRY(mst_mpi_check(what, MPI_Test(request, &done, MPI_STATUS_IGNORE)));
        if (done) return MAESTRO_OK;
        if (comm->crowded || i > LOOKS) sched_yield();
        if (i % LOOKS == 0 && mst_base_now_ns() >= until_ns) break;
    }
    return mst_mpi_late(what, timeout_s);
}

/* The least of each number over all ranks, in duplicate->least: there MPI may write even when this rank waits no more. */
static maestro_status_t reduce(const mst_mpi_comm_t *comm, const char *what, const int64_t *own, int count) {
    mst_mpi_duplicate_t *duplicate = comm->duplicate;
    MPI_Request request;
    if (duplicate->lost) return mst_base_fail(MAESTRO_WRONG_STATE, "%s: a call on this communicator has not ended on all ranks; make another one", what);
    memcpy(duplicate->own, own, (size_t)count * sizeof *own);
    MST_TRY(mst_mpi_check(what, MPI_Iallreduce(duplicate->own, duplicate->least, count, MPI_INT64_T, MPI_MIN, comm->comm, &request)));
    maestro_status_t status = mst_mpi_finish(comm, what, &request);
    duplicate->lost = status != MAESTRO_OK;
    return status;
}

/* ---- Collective calls with an end.  MPI works in a copy, which is left to it where this rank waits no more. */
static maestro_status_t finish_copy(const mst_mpi_comm_t *comm, const char *what, int code, MPI_Request *request, char *copy, void *out, size_t nbytes) {
    maestro_status_t status = mst_mpi_check(what, code);
    if (status == MAESTRO_OK) status = mst_mpi_finish(comm, what, request);
    comm->duplicate->lost = comm->duplicate->lost || status != MAESTRO_OK;
    if (status != MAESTRO_OK) return status;
    memcpy(out, copy, nbytes);
    free(copy);
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_allreduce(const mst_mpi_comm_t *comm, const char *what, const void *own, void *all_out, int count, MPI_Datatype type, MPI_Op op) {
    int item = 0;
    MPI_Type_size(type, &item);
    size_t nbytes = (size_t)count * (size_t)item;
    char *copy = malloc(nbytes + 1);
    MPI_Request request;
    if (!copy) return mst_base_fail_errno(what); /* the others give up */
    memcpy(copy, own, nbytes);
    int code = MPI_Iallreduce(MPI_IN_PLACE, copy, count, type, op, comm->comm, &request);
    return finish_copy(comm, what, code, &request, copy, all_out, nbytes);
}

maestro_status_t mst_mpi_bcast(const mst_mpi_comm_t *comm, const char *what, void *bytes, int nbytes, int root) {
    char *copy = malloc((size_t)nbytes + 1);
    MPI_Request request;
    if (!copy) return mst_base_fail_errno(what);
    if (comm->rank == root) memcpy(copy, bytes, (size_t)nbytes);
    int code = MPI_Ibcast(copy, nbytes, MPI_BYTE, root, comm->comm, &request);
    return finish_copy(comm, what, code, &request, copy, bytes, (size_t)nbytes);
}

/* ---- One verdict */
typedef struct verdict {
    int status;
    char text[MST_BASE_ERROR_NBYTES];
} verdict_t;

maestro_status_t mst_mpi_agree(const mst_mpi_comm_t *comm, maestro_status_t status, int64_t order) {
    static const int64_t GOOD = INT64_MAX;
    int64_t own = status == MAESTRO_OK ? GOOD : order;
    int rank, speaker = 0;
    verdict_t verdict = {.status = status};
    if (comm->duplicate->lost && status != MAESTRO_OK) return status; /* nobody else will hear of it */
    MST_TRY(reduce(comm, "agree", &own, 1));
    if (comm->duplicate->least[0] == GOOD) return MAESTRO_OK;
    rank = own == comm->duplicate->least[0] ? comm->rank : INT_MAX;
    MST_TRY(mst_mpi_allreduce(comm, "agree", &rank, &speaker, 1, MPI_INT, MPI_MIN));
    snprintf(verdict.text, sizeof verdict.text, "%s", maestro_last_error());
    MST_TRY(mst_mpi_bcast(comm, "agree", &verdict, sizeof verdict, speaker));
    return mst_base_fail((maestro_status_t)verdict.status, "%s", verdict.text);
}

/* ---- The first step */
static maestro_status_t differ(const char *what, const mst_mpi_same_t *same, int64_t least, int64_t most) {
    if (same->is_hash) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the %s differ from rank to rank; all ranks must give the same", what, same->name);
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the %s is %lld on one rank and %lld on another; all ranks must give the same", what, same->name,
                         (long long)least, (long long)most);
}

static void set(int64_t *own, int i, int64_t value) {
    own[1 + 2 * i] = value;
    own[2 + 2 * i] = ~value; /* whose least is the complement of the largest value */
}

maestro_status_t mst_mpi_begin(const mst_mpi_comm_t *comm, const char *what, maestro_status_t status, const mst_mpi_same_t *same, int nsame) {
    int64_t own[3 + 2 * MST_MPI_SAME_MAX] = {status == MAESTRO_OK}, *least = comm->duplicate->least;
    set(own, 0, (int64_t)mst_base_hash(what, strlen(what)));
    for (int i = 0; i < nsame; i++) set(own, 1 + i, same[i].value);
    MST_TRY(reduce(comm, what, own, MST_COUNT(own)));
    if (least[1] != ~least[2])
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: some ranks are in another function; all ranks make the same calls in the same order", what);
    if (!least[0]) return mst_mpi_agree(comm, status, -1);
    for (int i = 0; i < nsame; i++)
        if (least[3 + 2 * i] != ~least[4 + 2 * i]) return differ(what, &same[i], least[3 + 2 * i], ~least[4 + 2 * i]);
    return MAESTRO_OK;
}
