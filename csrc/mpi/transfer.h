/* One message under way, to a rank or from one, of a use of a plan. */
#ifndef MST_MPI_TRANSFER_H
#define MST_MPI_TRANSFER_H

#include "mpi/plan.h"

typedef struct mst_mpi_transfer { /* there may be many */
    MPI_Request request; /* MPI_REQUEST_NULL: none is under way */
} mst_mpi_transfer_t;

static inline mst_mpi_transfer_t mst_mpi_transfer_none(void) { return (mst_mpi_transfer_t){MPI_REQUEST_NULL}; }
static inline bool mst_mpi_transfer_under_way(const mst_mpi_transfer_t *transfer) { return transfer->request != MPI_REQUEST_NULL; }

maestro_status_t mst_mpi_transfer_send(const maestro_plan_t *plan, mst_mpi_transfer_t *transfer, int rank, const void *from, int count, MPI_Datatype type);
maestro_status_t mst_mpi_transfer_receive(const maestro_plan_t *plan, mst_mpi_transfer_t *transfer, int rank, void *to, int count, MPI_Datatype type);

/* One request at a time: MPI's calls for several tell the world of errors, whose handler aborts.  OK: it is done, and no more under way; or IN_PROGRESS. */
maestro_status_t mst_mpi_transfer_sent(mst_mpi_transfer_t *transfer);
/* Another length than `expected`, counted in elements of the basic type `basic`, or more than there is room for comes from a rank that started another number
 * of fields: INVALID_ARGUMENT. */
maestro_status_t mst_mpi_transfer_arrived(const maestro_plan_t *plan, mst_mpi_transfer_t *transfer, int rank, MPI_Datatype basic, int64_t expected);

/* Gives up a receive.  MPI may have begun it, and then writes all the same: the transfer stays alive. */
void mst_mpi_transfer_cancel(mst_mpi_transfer_t *transfer);
/* Whether MPI may still read what was to be sent, or write what was to be received. */
bool mst_mpi_transfer_is_alive(mst_mpi_transfer_t *transfer);

#endif
