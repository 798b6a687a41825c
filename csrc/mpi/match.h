/* Which ranks have what in common: from each rank's view of two layouts to the moves between pairs of ranks.
 *
 *   sides.c     both sides as all ranks understand them
 *   holders.c   which rank has which part of a regular layout
 *   directory.h parts that only their ranks know (boxes, indices): who meets whom is found by third parties, each for a cut of the global array
 *   halo.c      halos of regular layouts; those of boxes and indices go through the directory, from what is owned to the ghost cells
 *   match.c     all together
 * Invariants: no rank's memory grows with the number of elements of the global array, nor with that of other ranks' parts; both ranks of a pair have the same
 * moves in the same order. */
#ifndef MST_MPI_MATCH_H
#define MST_MPI_MATCH_H

#include "array/intersect.h"
#include "mpi/comm.h"
#include "mpi/ranks.h"

enum { MST_MPI_FROM, MST_MPI_TO, MST_MPI_SIDES };
enum { MST_MPI_TAG_PARTS = 1, MST_MPI_TAG_ASK, MST_MPI_TAG_ANSWER, MST_MPI_TAG_HELD, MST_MPI_TAG_MOVES, MST_MPI_TAG_DATA };

typedef struct mst_mpi_side {
    const maestro_layout_t *layout; /* this rank's own, or what it learned of it: below; NULL: neither.  Of a halo's targets: the ghost cells */
    int64_t part;                   /* that this rank has; -1: none */
    bool regular;
    maestro_layout_t learned;
} mst_mpi_side_t;

typedef struct mst_mpi_request { /* what one rank gives to maestro_redistribute; the options have their defaults where NULL was given */
    const char *what;                  /* begins messages */
    const maestro_layout_t *from, *to; /* of a halo: the layout, and NULL */
    bool is_halo;
    size_t element_nbytes;
    maestro_plan_options_t options;
} mst_mpi_request_t;

/* What one rank gives to, or gets from, others: sorted by rank when all of them are there. */
typedef struct mst_mpi_share {
    int rank;
    mst_array_moves_t moves;
} mst_mpi_share_t;

typedef struct mst_mpi_shares {
    int64_t nshares;
    size_t capacity;
    mst_mpi_share_t *share;
    mst_mpi_ranks_t ranks; /* as long as shares are added */
} mst_mpi_shares_t;

/* match.c.  Collective: the same status on all ranks.  What a rank keeps for itself is among the sends alone.  The caller ends both.
 * Errors: INVALID_ARGUMENT, NOT_FOUND (an element of the target has no source), DUPLICATE (an element has several sources, or several targets that are no
 * ghost cells), SYSTEM. */
maestro_status_t mst_mpi_match(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, mst_mpi_shares_t *sends_out, mst_mpi_shares_t *receives_out);
/* The moves with a rank, which are none where it is new; valid until the next new one; NULL without memory. */
mst_array_moves_t *mst_mpi_shares_with(mst_mpi_shares_t *shares, int rank);
/* No more are added. */
void mst_mpi_shares_sort(mst_mpi_shares_t *shares);

/* What messages are made of: shares that move something, with other ranks than this one, beginning with the next rank, so that not all write to one. */
typedef struct mst_mpi_others {
    const mst_mpi_shares_t *shares;
    int own;
    int64_t first, nseen;
} mst_mpi_others_t;

mst_mpi_others_t mst_mpi_shares_of_others(const mst_mpi_shares_t *shares, int own);
const mst_mpi_share_t *mst_mpi_others_next(mst_mpi_others_t *others); /* NULL: there are no more */
void mst_mpi_shares_fini(mst_mpi_shares_t *shares);

/* "element 17 (1, 5)": the global index of a row-major number, for messages. */
const char *mst_mpi_element_text(const maestro_layout_t *layout, int64_t linear, char *text, size_t room);

/* The row-major number of the first element that two pieces of a layout's array have in common; INT64_MAX: they have none. */
int64_t mst_mpi_first_common(const maestro_layout_t *layout, const mst_array_piece_t *a, const mst_array_piece_t *b);

/* sides.c.  Collective: the same status on all ranks.  Of a halo the source alone is learned. */
maestro_status_t mst_mpi_sides_learn(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, mst_mpi_side_t side_out[MST_MPI_SIDES]);

/* What stands before "layout" in messages: "source ", "target ", or nothing where there is but one. */
const char *mst_mpi_side_word(const mst_mpi_request_t *request, int side);

/* Which rank has which part of the regular sides: each rank keeps the answers for an even cut of the parts' numbers. */
typedef struct mst_mpi_holder {
    int64_t side, part, rank;
} mst_mpi_holder_t;

typedef struct mst_mpi_holders {
    bool is_own_number[MST_MPI_SIDES]; /* each rank has the part of its own number, if there is one: the rest is not needed */
    int64_t nholders;
    mst_mpi_holder_t *holder; /* sorted */
} mst_mpi_holders_t;

/* Collective: the same status on all ranks.  DUPLICATE: two ranks have one part. */
maestro_status_t mst_mpi_holders_learn(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const mst_mpi_side_t side[MST_MPI_SIDES],
                                       mst_mpi_holders_t *holders_out);
/* Collective: the ranks of ascending parts; -1: none has it. */
maestro_status_t mst_mpi_holders_ask(const mst_mpi_comm_t *comm, const mst_mpi_holders_t *holders, const mst_mpi_side_t *side, int64_t which,
                                     const int64_t *parts, int64_t nparts,
                                     int64_t *ranks_out);
void mst_mpi_holders_fini(mst_mpi_holders_t *holders);

/* halo.c.  Collective; the layout is regular. */
maestro_status_t mst_mpi_halo_match(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const mst_mpi_side_t side[MST_MPI_SIDES],
                                    const mst_mpi_holders_t *holders, mst_mpi_shares_t *sends, mst_mpi_shares_t *receives);

/* directory.c.  Collective; at least one of the sides is not regular. */
maestro_status_t mst_mpi_directory_match(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const mst_mpi_side_t side[MST_MPI_SIDES],
                                         const mst_mpi_holders_t *holders, mst_mpi_shares_t *sends, mst_mpi_shares_t *receives);

#endif
