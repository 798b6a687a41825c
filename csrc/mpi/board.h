/* The board of a rank: shared memory that it writes and the ranks of its node read, for one plan.  For each of its targets there is a channel of two slots,
 * used in turn, so that the source may fill the one while the other is read; on the board stands too which uses of others the rank has read. */
#ifndef MST_MPI_BOARD_H
#define MST_MPI_BOARD_H

#include "mpi/comm.h"
#include "mpi/memory.h"

#include <stdatomic.h>

enum { MST_MPI_SLOTS = 2, MST_MPI_LINE = 64 };
enum { MST_MPI_FAILED = 1, MST_MPI_ENDED };

typedef struct mst_mpi_board_head {
    _Atomic uint64_t end; /* not 0: this rank will do no more, after an error, or since it has destroyed the plan */
} mst_mpi_board_head_t;

typedef struct mst_mpi_board_read { /* which use of a rank this one has read, and how long that took; alone in its cache line */
    _Atomic uint64_t use, ns;         /* ns 0: it has not been timed, or part of it was read where it lies */
    char apart[MST_MPI_LINE - 2 * sizeof(uint64_t)];
} mst_mpi_board_read_t;

typedef struct mst_mpi_board_field { /* where it is to be read */
    mst_mpi_segment_t segment;       /* of no bytes: in the room */
    uint64_t offset;
} mst_mpi_board_field_t;

typedef struct mst_mpi_slot { /* begins its cache line */
    _Atomic uint64_t ready;   /* the use of which the rest of the slot is */
    uint64_t nfields;
} mst_mpi_slot_t;

/* From a rank to another, as either finds it. */
typedef struct mst_mpi_channel {
    mst_mpi_slot_t *slot[MST_MPI_SLOTS];
    mst_mpi_board_field_t *field[MST_MPI_SLOTS]; /* max_fields of each */
    char *room[MST_MPI_SLOTS];                   /* what the source has packed */
    mst_mpi_board_read_t *read;                  /* the last use that the target has read */
} mst_mpi_channel_t;

typedef struct mst_mpi_boards {
    int nnode, node_rank;
    size_t max_fields;
    char *own;
    size_t *nbytes; /* of each board */
    char **base;    /* of each; NULL: nothing has to be read there; others' can only be read */
} mst_mpi_boards_t;

static inline mst_mpi_board_head_t *mst_mpi_board_head(const char *base) { return (mst_mpi_board_head_t *)(uintptr_t)base; }

/* Collective over the node's ranks.  `room_nbytes[i]` is what a use may pack for the node's rank i; `reads[i]`: this rank reads that one's board.
 * A rank that fails still takes part: `status` is its error so far.  The caller ends the boards with _fini, also after an error.  Errors: SYSTEM. */
maestro_status_t mst_mpi_boards_make(const mst_mpi_comm_t *comm, size_t max_fields, const size_t *room_nbytes, const bool *reads, maestro_status_t status,
                                     mst_mpi_boards_t *boards);
void mst_mpi_boards_fini(mst_mpi_boards_t *boards);

/* The channel between two ranks of the node, of which this rank is one; `room_nbytes` is that of the source's side. */
void mst_mpi_boards_channel(const mst_mpi_boards_t *boards, int source, int target, size_t room_nbytes, mst_mpi_channel_t *channel_out);

/* Gives back the pages of a room of this rank's own board; nobody may be reading it. */
void mst_mpi_board_empty(char *room, size_t nbytes);

#endif
