/* The board of a rank: shared memory that it writes and the ranks of its node read, for one plan.  On it stand which use is ready to be read, and where; which
 * uses of others it has read; and room for what it packs where the application's memory cannot be read by others. */
#ifndef MST_MPI_BOARD_H
#define MST_MPI_BOARD_H

#include "mpi/comm.h"
#include "mpi/memory.h"

#include <stdatomic.h>

typedef struct mst_mpi_board_head {
    _Atomic uint64_t ready;  /* the last use whose sources may be read */
    _Atomic uint64_t failed; /* not 0: this rank will do no more */
    uint64_t nfields;        /* of that use, and: */
    uint64_t is_packed;      /* what is to be read lies in the room */
} mst_mpi_board_head_t;

typedef struct mst_mpi_board_read { /* which use of a rank this one has read; alone in its cache line */
    _Atomic uint64_t use;
    char apart[64 - sizeof(uint64_t)];
} mst_mpi_board_read_t;

typedef struct mst_mpi_board_field {
    mst_mpi_segment_t segment;
    uint64_t offset;
} mst_mpi_board_field_t;

/* How all boards of a plan are laid out. */
typedef struct mst_mpi_board_plan {
    int nnode, node_rank;
    size_t max_fields;
    size_t places_at, fields_at, room_at;
} mst_mpi_board_plan_t;

typedef struct mst_mpi_boards {
    mst_mpi_board_plan_t plan;
    int *rank;         /* of each of the node, in the plan's communicator */
    char *own;
    size_t *nbytes;    /* of each board */
    const char **base; /* of each; NULL: nothing has to be read there */
} mst_mpi_boards_t;

static inline mst_mpi_board_head_t *mst_mpi_board_head(const char *base) { return (mst_mpi_board_head_t *)(uintptr_t)base; }
/* By the number in the node. */
static inline _Atomic uint64_t *mst_mpi_board_read(const char *base, int of) { return &((mst_mpi_board_read_t *)(uintptr_t)(base + 64))[of].use; }
/* Where in the board what is packed for a rank of the node begins. */
static inline uint64_t *mst_mpi_board_places(const mst_mpi_boards_t *boards,
                                             const char *base) { return (uint64_t *)(uintptr_t)(base + boards->plan.places_at); }
static inline mst_mpi_board_field_t *mst_mpi_board_fields(const mst_mpi_boards_t *boards, const char *base) {
    return (mst_mpi_board_field_t *)(uintptr_t)(base + boards->plan.fields_at);
}

/* Collective over the node's ranks.  `room_nbytes[i]` is what this rank may pack for the node's rank i; `reads[i]`: this rank reads that one's board.
 * A rank that fails still takes part.  The caller ends the boards with _fini, also after an error.  Errors: SYSTEM. */
maestro_status_t mst_mpi_boards_make(const mst_mpi_comm_t *comm, size_t max_fields, const size_t *room_nbytes, const bool *reads,
                                     mst_mpi_boards_t *boards);
/* Collective: which ranks are of this node. */
maestro_status_t mst_mpi_boards_meet(const mst_mpi_comm_t *comm, mst_mpi_boards_t *boards);
/* The number in the node of a rank, or -1. */
int mst_mpi_boards_number(const mst_mpi_boards_t *boards, int rank);
void mst_mpi_boards_fini(mst_mpi_boards_t *boards);

#endif
