/* See board.h. */
#include "mpi/board.h"

#include <sys/mman.h>
#include <unistd.h>

static const char WHAT[] = "redistribution in shared memory";
enum { PAGE = 4096 };

maestro_status_t mst_mpi_boards_meet(const mst_mpi_comm_t *comm, mst_mpi_boards_t *boards) {
    MPI_Comm_size(comm->node, &boards->plan.nnode);
    MPI_Comm_rank(comm->node, &boards->plan.node_rank);
    size_t nnode = (size_t)boards->plan.nnode;
    boards->rank = calloc(nnode, sizeof *boards->rank);
    boards->nbytes = calloc(nnode, sizeof *boards->nbytes);
    boards->base = calloc(nnode, sizeof *boards->base);
    if (!boards->rank || !boards->nbytes || !boards->base) return mst_base_fail_errno(WHAT);
    return mst_mpi_check(WHAT, MPI_Allgather(&comm->rank, 1, MPI_INT, boards->rank, 1, MPI_INT, comm->node));
}

/* Ranks of a node stand in the order of the communicator, by which it was split. */
int mst_mpi_boards_number(const mst_mpi_boards_t *boards, int rank) {
    int low = 0, high = boards->plan.nnode;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (boards->rank[middle] < rank) low = middle + 1;
        else high = middle;
    }
    return low < boards->plan.nnode && boards->rank[low] == rank ? low : -1;
}

static void lay_out(mst_mpi_board_plan_t *plan, size_t max_fields) {
    plan->max_fields = max_fields;
    plan->places_at = sizeof(mst_mpi_board_read_t) * (1 + (size_t)plan->nnode);
    plan->fields_at = plan->places_at + sizeof(uint64_t) * (size_t)plan->nnode;
    plan->room_at = MST_ALIGN(plan->fields_at + max_fields * sizeof(mst_mpi_board_field_t), PAGE);
}

/* Pages of the room are made when something is packed. */
static maestro_status_t make_own(mst_mpi_boards_t *boards, const size_t *room_nbytes, mst_mpi_segment_t *segment_out) {
    size_t nbytes = boards->plan.room_at;
    void *base;
    for (int i = 0; i < boards->plan.nnode; i++) nbytes += MST_ALIGN(room_nbytes[i], PAGE);
    MST_TRY(mst_mpi_segment_create(nbytes, segment_out, &base));
    boards->own = base;
    boards->nbytes[boards->plan.node_rank] = nbytes;
    nbytes = boards->plan.room_at;
    for (int i = 0; i < boards->plan.nnode; i++) {
        mst_mpi_board_places(boards, base)[i] = nbytes;
        nbytes += MST_ALIGN(room_nbytes[i], PAGE);
    }
    return MAESTRO_OK;
}

static maestro_status_t map_others(mst_mpi_boards_t *boards, const mst_mpi_segment_t *segment, const bool *reads) {
    for (int i = 0; i < boards->plan.nnode; i++) {
        const void *base;
        if (!segment[i].nbytes) return mst_base_fail(MAESTRO_SYSTEM, "%s: rank %d cannot make its part of it", WHAT, boards->rank[i]);
        if (!reads[i] || i == boards->plan.node_rank) continue;
        MST_TRY(mst_mpi_segment_map(&segment[i], &base));
        boards->base[i] = base;
        boards->nbytes[i] = segment[i].nbytes;
    }
    return MAESTRO_OK;
}

/* The own descriptor is closed when all have mapped what they read. */
maestro_status_t mst_mpi_boards_make(const mst_mpi_comm_t *comm, size_t max_fields, const size_t *room_nbytes, const bool *reads, mst_mpi_boards_t *boards) {
    mst_mpi_segment_t own = {.fd = -1}, *segment = calloc((size_t)boards->plan.nnode, sizeof *segment);
    lay_out(&boards->plan, max_fields);
    maestro_status_t status = segment ? make_own(boards, room_nbytes, &own) : mst_base_fail_errno(WHAT);
    if (!segment) return status; /* little memory was asked for: others may wait, but for a process that is at its end */
    maestro_status_t gathered = mst_mpi_check(WHAT, MPI_Allgather(&own, sizeof own, MPI_BYTE, segment, sizeof own, MPI_BYTE, comm->node));
    if (status == MAESTRO_OK) status = gathered;
    if (status == MAESTRO_OK) status = map_others(boards, segment, reads);
    MPI_Barrier(comm->node);
    if (own.fd >= 0) close((int)own.fd);
    free(segment);
    return status;
}

void mst_mpi_boards_fini(mst_mpi_boards_t *boards) {
    for (int i = 0; boards->base && i < boards->plan.nnode; i++)
        if (boards->base[i]) munmap((void *)(uintptr_t)boards->base[i], boards->nbytes[i]);
    if (boards->own) munmap(boards->own, boards->nbytes[boards->plan.node_rank]);
    free(boards->rank);
    free(boards->nbytes);
    free(boards->base);
    *boards = (mst_mpi_boards_t){0};
}
