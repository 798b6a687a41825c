/* See transfer.h. */
#include "mpi/transfer.h"

static const char WHAT[] = "redistribution";

maestro_status_t mst_mpi_transfer_send(const maestro_plan_t *plan, mst_mpi_transfer_t *transfer, int rank, const void *from, int count, MPI_Datatype type) {
    return mst_mpi_check(WHAT, MPI_Isend(from, count, type, rank, plan->tag, plan->comm.comm, &transfer->request));
}

maestro_status_t mst_mpi_transfer_receive(const maestro_plan_t *plan, mst_mpi_transfer_t *transfer, int rank, void *to, int count, MPI_Datatype type) {
    return mst_mpi_check(WHAT, MPI_Irecv(to, count, type, rank, plan->tag, plan->comm.comm, &transfer->request));
}

maestro_status_t mst_mpi_transfer_sent(mst_mpi_transfer_t *transfer) {
    int sent = 1;
    if (!mst_mpi_transfer_under_way(transfer)) return MAESTRO_OK;
    MST_TRY(mst_mpi_check(WHAT, MPI_Test(&transfer->request, &sent, MPI_STATUS_IGNORE)));
    return sent ? MAESTRO_OK : MAESTRO_IN_PROGRESS;
}

static maestro_status_t check_arrived(const maestro_plan_t *plan, int rank, MPI_Datatype basic, int64_t expected, const MPI_Status *status, int code) {
    MPI_Count count = 0;
    int class = MPI_SUCCESS;
    if (code != MPI_SUCCESS) MPI_Error_class(code, &class);
    if (class != MPI_SUCCESS && class != MPI_ERR_TRUNCATE) return mst_mpi_check(WHAT, code);
    if (class == MPI_SUCCESS) MPI_Get_elements_x(status, basic, &count);
    if (class == MPI_SUCCESS && count == expected) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: rank %d sends another number of fields than %zu, as here; all ranks must start as many", WHAT, rank,
                         plan->nfields);
}

maestro_status_t mst_mpi_transfer_arrived(const maestro_plan_t *plan, mst_mpi_transfer_t *transfer, int rank, MPI_Datatype basic, int64_t expected) {
    MPI_Status status;
    int arrived = 0;
    int code = MPI_Test(&transfer->request, &arrived, &status);
    if (code == MPI_SUCCESS && !arrived) return MAESTRO_IN_PROGRESS;
    transfer->request = MPI_REQUEST_NULL;
    return check_arrived(plan, rank, basic, expected, &status, code);
}

void mst_mpi_transfer_cancel(mst_mpi_transfer_t *transfer) {
    enum { LOOKS = 100 };
    if (!mst_mpi_transfer_under_way(transfer) || !mst_mpi_is_running()) return;
    MPI_Cancel(&transfer->request);
    for (int i = 0; i < LOOKS && mst_mpi_transfer_is_alive(transfer); i++) continue;
}

bool mst_mpi_transfer_is_alive(mst_mpi_transfer_t *transfer) {
    int done = 1;
    if (mst_mpi_transfer_under_way(transfer) && mst_mpi_is_running()) MPI_Test(&transfer->request, &done, MPI_STATUS_IGNORE);
    if (done) transfer->request = MPI_REQUEST_NULL;
    return !done;
}
