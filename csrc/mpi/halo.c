/* Halos of regular layouts: who owns what this rank's ghost cells stand for, and who has ghost cells of what it owns, is computed.  Parts that have ghost
 * cells of this one are those in which this one would have some if as many lay above as do below, and the reverse.
 * Both ranks of a pair compute the same moves: those from the owner's part to the other's ghost cells. */
#include "mpi/match.h"

static const char WHAT[] = "match the parts of a layout";

typedef struct neighbours { /* parts, ascending, and their ranks; -1: none has it */
    int64_t nparts;
    int64_t *part, *rank;
} neighbours_t;

static void neighbours_fini(neighbours_t *neighbours) {
    free(neighbours->part);
    free(neighbours->rank);
}

/* Collective.  The parts that own what the ghost cells stand for; NULL: this rank has none. */
static maestro_status_t find_neighbours(const mst_mpi_comm_t *comm, const mst_mpi_side_t *side, const mst_mpi_holders_t *holders,
                                        const maestro_layout_t *ghosts, neighbours_t *neighbours) {
    maestro_status_t status = MAESTRO_OK;
    if (ghosts) status = mst_array_peers(ghosts, 0, side->layout, &neighbours->part, &neighbours->nparts);
    neighbours->rank = malloc((size_t)(neighbours->nparts + 1) * sizeof *neighbours->rank);
    if (!neighbours->rank && status == MAESTRO_OK) status = mst_base_fail_errno(WHAT);
    int64_t nparts = status == MAESTRO_OK ? neighbours->nparts : 0;
    maestro_status_t asked = mst_mpi_holders_ask(comm, holders, side, MST_MPI_FROM, neighbours->part, nparts, neighbours->rank);
    return status != MAESTRO_OK ? status : asked;
}

/* The layout in which parts have ghost cells where others have theirs from them. */
static maestro_status_t make_mirrored(const mst_mpi_side_t *side, const bool *periodic, maestro_layout_t **ghosts_out) {
    maestro_layout_t mirrored = *side->layout;
    if (side->part < 0) return MAESTRO_OK;
    for (int d = 0; d < mirrored.ndims; d++) {
        mirrored.cut[d].low = side->layout->cut[d].high;
        mirrored.cut[d].high = side->layout->cut[d].low;
    }
    return mst_array_ghosts(&mirrored, side->part, periodic, ghosts_out);
}

static maestro_status_t add_moves(const maestro_layout_t *layout, int64_t part, const maestro_layout_t *ghosts, int rank, mst_mpi_shares_t *shares) {
    mst_array_moves_t *moves = mst_mpi_shares_with(shares, rank);
    return moves ? mst_array_intersect(layout, part, ghosts, 0, moves) : mst_base_fail_errno(WHAT);
}

/* ---- What this rank gives */
static maestro_status_t give(const mst_mpi_side_t *side, const bool *periodic, const neighbours_t *takers, mst_mpi_shares_t *sends) {
    for (int64_t i = 0; i < takers->nparts; i++) {
        maestro_layout_t *ghosts = NULL;
        if (takers->rank[i] < 0) continue;
        MST_TRY(mst_array_ghosts(side->layout, takers->part[i], periodic, &ghosts));
        maestro_status_t status = add_moves(side->layout, side->part, ghosts, (int)takers->rank[i], sends);
        maestro_layout_destroy(ghosts);
        MST_TRY(status);
    }
    return MAESTRO_OK;
}

static maestro_status_t match_takers(const mst_mpi_comm_t *comm, const mst_mpi_side_t *side, const bool *periodic, const mst_mpi_holders_t *holders,
                                     mst_mpi_shares_t *sends) {
    maestro_layout_t *mirrored = NULL;
    neighbours_t takers = {0};
    maestro_status_t status = make_mirrored(side, periodic, &mirrored);
    maestro_status_t found = find_neighbours(comm, side, holders, mirrored, &takers);
    if (status == MAESTRO_OK) status = found;
    if (status == MAESTRO_OK) status = give(side, periodic, &takers, sends);
    neighbours_fini(&takers);
    maestro_layout_destroy(mirrored);
    return status;
}

/* ---- What this rank gets */
/* The first element that ghost cells and a part have in common. */
static int64_t first_element(const maestro_layout_t *layout, int64_t part, const maestro_layout_t *ghosts) {
    int64_t first = INT64_MAX;
    mst_array_piece_t owned;
    mst_array_part_piece(layout, part, &owned);
    for (int64_t i = 0; i < ghosts->npieces; i++) {
        int64_t common = mst_mpi_first_common(layout, &owned, &ghosts->piece[i]);
        if (common < first) first = common;
    }
    return first;
}

static maestro_status_t refuse(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const maestro_layout_t *layout, int64_t element) {
    int64_t index[MST_ARRAY_MAX], part = -1, rest = element;
    char text[200];
    for (int d = layout->ndims - 1; d >= 0; rest /= layout->cut[d--].size) index[d] = rest % layout->cut[d].size;
    MST_TRY(maestro_layout_owner(layout, index, &part));
    return mst_base_fail(MAESTRO_NOT_FOUND, "%s: %s, of which rank %d has a ghost cell, is in part %lld, which no rank has; each part must be with a rank",
                         request->what, mst_mpi_element_text(layout, element, text, sizeof text), comm->rank, (long long)part);
}

static maestro_status_t take(const mst_mpi_comm_t *comm, const mst_mpi_side_t side[MST_MPI_SIDES], const neighbours_t *owners, mst_mpi_shares_t *receives,
                             int64_t *missing) {
    const maestro_layout_t *layout = side[MST_MPI_FROM].layout, *ghosts = side[MST_MPI_TO].layout;
    for (int64_t i = 0; i < owners->nparts; i++) {
        if (owners->rank[i] < 0) {
            int64_t first = first_element(layout, owners->part[i], ghosts);
            if (first < *missing) *missing = first;
        } else if (owners->rank[i] != comm->rank) MST_TRY(add_moves(layout, owners->part[i], ghosts, (int)owners->rank[i], receives));
    }
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_halo_match(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const mst_mpi_side_t side[MST_MPI_SIDES],
                                    const mst_mpi_holders_t *holders, mst_mpi_shares_t *sends, mst_mpi_shares_t *receives) {
    const mst_mpi_side_t *own = &side[MST_MPI_FROM];
    neighbours_t owners = {0};
    int64_t missing = INT64_MAX;
    maestro_status_t status = match_takers(comm, own, request->options.periodic, holders, sends);
    maestro_status_t found = find_neighbours(comm, own, holders, side[MST_MPI_TO].layout, &owners);
    if (status == MAESTRO_OK) status = found;
    if (status == MAESTRO_OK) status = take(comm, side, &owners, receives, &missing);
    neighbours_fini(&owners);
    if (status != MAESTRO_OK || missing == INT64_MAX) return mst_mpi_agree(comm, status, -1);
    return mst_mpi_agree(comm, refuse(comm, request, own->layout, missing), missing);
}
