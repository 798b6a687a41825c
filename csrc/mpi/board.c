/* See board.h.  A board: head | uses read, one of each rank of the node | where the channel to each begins | channels.
 * A channel: slots | fields of each slot | room of each slot. */
#include "mpi/board.h"

#include <sys/mman.h>
#include <unistd.h>

static const char WHAT[] = "redistribution in shared memory";

/* ---- Places */
static size_t aligned(size_t nbytes) { return MST_ALIGN(nbytes, MST_MPI_LINE); }

static mst_mpi_board_read_t *read_of(const char *base, int rank) { return (mst_mpi_board_read_t *)(uintptr_t)(base + MST_MPI_LINE) + rank; }

static size_t places_at(const mst_mpi_boards_t *boards) { return MST_MPI_LINE + sizeof(mst_mpi_board_read_t) * (size_t)boards->nnode; }

static uint64_t *places(const mst_mpi_boards_t *boards, const char *base) { return (uint64_t *)(uintptr_t)(base + places_at(boards)); }

static size_t fields_nbytes(const mst_mpi_boards_t *boards) { return aligned(boards->max_fields * sizeof(mst_mpi_board_field_t)); }

static size_t channel_nbytes(const mst_mpi_boards_t *boards, size_t room_nbytes) {
    return room_nbytes ? MST_MPI_SLOTS * (MST_MPI_LINE + fields_nbytes(boards) + aligned(room_nbytes)) : 0;
}

void mst_mpi_boards_channel(const mst_mpi_boards_t *boards, int source, int target, size_t room_nbytes, mst_mpi_channel_t *channel_out) {
    char *at = boards->base[source] + places(boards, boards->base[source])[target];
    for (int s = 0; s < MST_MPI_SLOTS; s++) {
        channel_out->slot[s] = (mst_mpi_slot_t *)(void *)(at + s * MST_MPI_LINE);
        channel_out->field[s] = (mst_mpi_board_field_t *)(void *)(at + MST_MPI_SLOTS * MST_MPI_LINE + (size_t)s * fields_nbytes(boards));
        channel_out->room[s] = at + MST_MPI_SLOTS * (MST_MPI_LINE + fields_nbytes(boards)) + (size_t)s * aligned(room_nbytes);
    }
    channel_out->read = read_of(boards->base[target], source);
}

/* ---- Making */
/* Pages of the rooms are made when something is packed. */
static maestro_status_t make_own(mst_mpi_boards_t *boards, const size_t *room_nbytes, mst_mpi_segment_t *segment_out) {
    size_t nbytes = aligned(places_at(boards) + sizeof(uint64_t) * (size_t)boards->nnode), at = nbytes;
    void *base;
    for (int i = 0; i < boards->nnode; i++) nbytes += channel_nbytes(boards, room_nbytes[i]);
    MST_TRY(mst_mpi_segment_create(nbytes, segment_out, &base));
    boards->own = boards->base[boards->node_rank] = base;
    boards->nbytes[boards->node_rank] = nbytes;
    for (int i = 0; i < boards->nnode; i++) {
        places(boards, base)[i] = at;
        at += channel_nbytes(boards, room_nbytes[i]);
    }
    return MAESTRO_OK;
}

static maestro_status_t map_others(const mst_mpi_comm_t *comm, mst_mpi_boards_t *boards, const mst_mpi_segment_t *segment, const bool *reads) {
    for (int i = 0; i < boards->nnode; i++) {
        const void *base;
        if (!segment[i].nbytes) return mst_base_fail(MAESTRO_SYSTEM, "%s: rank %d cannot make its part of it", WHAT, comm->node_ranks[i]);
        if (!reads[i] || i == boards->node_rank) continue;
        MST_TRY(mst_mpi_segment_map(&segment[i], &base));
        boards->base[i] = (char *)(uintptr_t)base;
        boards->nbytes[i] = segment[i].nbytes;
    }
    return MAESTRO_OK;
}

static maestro_status_t make_lists(const mst_mpi_comm_t *comm, size_t max_fields, mst_mpi_boards_t *boards) {
    size_t nnode = (size_t)comm->nnode;
    *boards = (mst_mpi_boards_t){.nnode = comm->nnode, .node_rank = comm->node_rank, .max_fields = max_fields};
    boards->nbytes = calloc(nnode, sizeof *boards->nbytes);
    boards->base = calloc(nnode, sizeof *boards->base);
    return boards->nbytes && boards->base ? MAESTRO_OK : mst_base_fail_errno(WHAT);
}

static maestro_status_t gather(const mst_mpi_comm_t *comm, const mst_mpi_segment_t *own, mst_mpi_segment_t *segment) {
    MPI_Request request;
    segment[comm->node_rank] = *own;
    MST_TRY(mst_mpi_check(WHAT, MPI_Iallgather(MPI_IN_PLACE, 0, MPI_BYTE, segment, sizeof *own, MPI_BYTE, comm->node, &request)));
    return mst_mpi_finish(comm, WHAT, &request);
}

static maestro_status_t meet(const mst_mpi_comm_t *comm) {
    MPI_Request request;
    MST_TRY(mst_mpi_check(WHAT, MPI_Ibarrier(comm->node, &request)));
    return mst_mpi_finish(comm, WHAT, &request);
}

/* The own descriptor is closed when all have mapped what they read. */
maestro_status_t mst_mpi_boards_make(const mst_mpi_comm_t *comm, size_t max_fields, const size_t *room_nbytes, const bool *reads, maestro_status_t status,
                                     mst_mpi_boards_t *boards) {
    mst_mpi_segment_t own = {.fd = -1}, *segment = calloc((size_t)comm->nnode, sizeof *segment);
    maestro_status_t listed = make_lists(comm, max_fields, boards);
    if (!segment) return mst_base_fail_errno(WHAT); /* little memory was asked for: others may wait, but for a process that is at its end */
    if (status == MAESTRO_OK) status = listed;
    if (status == MAESTRO_OK) status = make_own(boards, room_nbytes, &own);
    maestro_status_t gathered = gather(comm, &own, segment);
    if (status == MAESTRO_OK) status = gathered;
    if (status == MAESTRO_OK) status = map_others(comm, boards, segment, reads);
    maestro_status_t met = meet(comm);
    if (own.fd >= 0) close((int)own.fd);
    if (gathered == MAESTRO_OK) free(segment); /* else MPI may still write there */
    return status == MAESTRO_OK ? met : status;
}

void mst_mpi_board_empty(char *room, size_t nbytes) {
    enum { PAGE = 4096 };
    uintptr_t first = MST_ALIGN((uintptr_t)room, PAGE), end = ((uintptr_t)room + nbytes) / PAGE * PAGE;
    if (first < end) madvise((void *)first, end - first, MADV_REMOVE); /* else they stay */
}

void mst_mpi_boards_fini(mst_mpi_boards_t *boards) {
    for (int i = 0; boards->base && i < boards->nnode; i++)
        if (boards->base[i]) mst_mpi_segment_unmap(boards->base[i], boards->nbytes[i]);
    free(boards->nbytes);
    free(boards->base);
    *boards = (mst_mpi_boards_t){0};
}
