/* See match.h: what regular layouts have in common is computed by both ranks of each pair; whatever else there is goes through the directory. */
#include "mpi/match.h"

#include <stdio.h>

static const char WHAT[] = "match two layouts";

/* ---- Shares */
mst_array_moves_t *mst_mpi_shares_with(mst_mpi_shares_t *shares, int rank) {
    bool room = MST_RESERVE(shares->share, shares->capacity, (size_t)shares->nshares + 1, 8);
    int64_t place = room ? mst_mpi_ranks_place(&shares->ranks, rank) : -1;
    if (place == shares->nshares) shares->share[shares->nshares++] = (mst_mpi_share_t){.rank = rank};
    return place < 0 ? NULL : &shares->share[place].moves;
}

static int compare_ranks(const void *a, const void *b) { return ((const mst_mpi_share_t *)a)->rank - ((const mst_mpi_share_t *)b)->rank; }

static bool are_sorted(const mst_mpi_shares_t *shares) {
    for (int64_t i = 1; i < shares->nshares; i++)
        if (shares->share[i - 1].rank > shares->share[i].rank) return false;
    return true;
}

/* As a rule they are found in order. */
void mst_mpi_shares_sort(mst_mpi_shares_t *shares) {
    size_t nshares = (size_t)shares->nshares;
    mst_mpi_ranks_fini(&shares->ranks);
    if (!nshares) return;
    if (!are_sorted(shares)) qsort(shares->share, nshares, sizeof *shares->share, compare_ranks);
    mst_mpi_share_t *trimmed = realloc(shares->share, nshares * sizeof *trimmed);
    if (trimmed) shares->share = trimmed;
    shares->capacity = nshares;
}

/* How many shares are with lower ranks. */
static int64_t count_lower(const mst_mpi_shares_t *shares, int rank) {
    int64_t low = 0, high = shares->nshares;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (shares->share[middle].rank < rank) low = middle + 1;
        else high = middle;
    }
    return low;
}

mst_mpi_others_t mst_mpi_shares_of_others(const mst_mpi_shares_t *shares, int own) {
    return (mst_mpi_others_t){.shares = shares, .own = own, .first = count_lower(shares, own)};
}

const mst_mpi_share_t *mst_mpi_others_next(mst_mpi_others_t *others) {
    const mst_mpi_shares_t *shares = others->shares;
    while (others->nseen < shares->nshares) {
        const mst_mpi_share_t *share = &shares->share[(others->first + others->nseen++) % shares->nshares];
        if (share->rank != others->own && share->moves.count) return share;
    }
    return NULL;
}

void mst_mpi_shares_fini(mst_mpi_shares_t *shares) {
    for (int64_t i = 0; i < shares->nshares; i++) mst_array_moves_fini(&shares->share[i].moves);
    mst_mpi_ranks_fini(&shares->ranks);
    free(shares->share);
    *shares = (mst_mpi_shares_t){0};
}

/* ---- Messages */
const char *mst_mpi_element_text(const maestro_layout_t *layout, int64_t linear, char *text, size_t room) {
    int64_t index[MST_ARRAY_MAX], rest = linear;
    for (int d = layout->ndims - 1; d >= 0; d--) {
        index[d] = rest % layout->cut[d].size;
        rest /= layout->cut[d].size;
    }
    int n = snprintf(text, room, "element %lld (", (long long)linear);
    for (int d = 0; d < layout->ndims; d++) n += snprintf(text + n, room - (size_t)n, d ? ", %lld" : "%lld", (long long)index[d]);
    snprintf(text + n, room - (size_t)n, ")");
    return text;
}

/* ---- Regular layouts */
static int64_t first_of_combs(const mst_array_comb_t *a, const mst_array_comb_t *b) {
    int64_t i = 0;
    while (i < a->end && i < b->end) {
        int64_t begin_a = mst_array_comb_begin(a, mst_array_comb_block(a, i)), begin_b = mst_array_comb_begin(b, mst_array_comb_block(b, i));
        int64_t begin = begin_a > begin_b ? begin_a : begin_b;
        if (begin <= i) return i;
        i = begin;
    }
    return i;
}

int64_t mst_mpi_first_common(const maestro_layout_t *layout, const mst_array_piece_t *a, const mst_array_piece_t *b) {
    int64_t index[MST_ARRAY_MAX];
    for (int d = 0; d < layout->ndims; d++) {
        index[d] = first_of_combs(&a->comb[d], &b->comb[d]);
        if (index[d] >= a->comb[d].end || index[d] >= b->comb[d].end) return INT64_MAX;
    }
    return mst_array_layout_linear(layout, index);
}

static int64_t first_element(const maestro_layout_t *a, int64_t a_part, const maestro_layout_t *b, int64_t b_part) {
    mst_array_piece_t x, y;
    mst_array_part_piece(a, a_part, &x);
    mst_array_part_piece(b, b_part, &y);
    return mst_mpi_first_common(a, &x, &y);
}

typedef struct uncovered {
    int64_t first; /* row-major number; INT64_MAX: nothing */
    int64_t part;
} uncovered_t;

typedef struct partner { /* a part of the other side that this rank's own one meets */
    int64_t rank, part; /* rank -1: none has it */
} partner_t;

/* Collective. */
static maestro_status_t find_partners(const mst_mpi_comm_t *comm, const mst_mpi_side_t side[MST_MPI_SIDES], const mst_mpi_holders_t *holders, int own,
                                      partner_t **partner_out, int64_t *npartners_out) {
    const mst_mpi_side_t *mine = &side[own], *other = &side[1 - own];
    int64_t *parts = NULL, *ranks = NULL, nparts = 0;
    maestro_status_t status = mine->part < 0 ? MAESTRO_OK : mst_array_peers(mine->layout, mine->part, other->layout, &parts, &nparts);
    partner_t *partner = malloc((size_t)(nparts + 1) * sizeof *partner);
    ranks = malloc((size_t)(nparts + 1) * sizeof *ranks);
    if (status == MAESTRO_OK && (!partner || !ranks)) status = mst_base_fail_errno(WHAT);
    *npartners_out = status == MAESTRO_OK ? nparts : 0;
    maestro_status_t asked = mst_mpi_holders_ask(comm, holders, other, 1 - own, parts, *npartners_out, ranks);
    if (status == MAESTRO_OK) status = asked;
    for (int64_t i = 0; i < *npartners_out && status == MAESTRO_OK; i++) partner[i] = (partner_t){.rank = ranks[i], .part = parts[i]};
    free(parts);
    free(ranks);
    *partner_out = partner;
    return status;
}

static maestro_status_t add_share(const mst_mpi_side_t side[MST_MPI_SIDES], int own, const partner_t *partner, mst_mpi_shares_t *shares) {
    const mst_mpi_side_t *from = &side[MST_MPI_FROM], *to = &side[MST_MPI_TO];
    mst_array_moves_t *moves = mst_mpi_shares_with(shares, (int)partner->rank);
    if (!moves) return mst_base_fail_errno(WHAT);
    return mst_array_intersect(from->layout, own == MST_MPI_FROM ? from->part : partner->part, to->layout, own == MST_MPI_FROM ? partner->part : to->part,
                               moves);
}

/* Collective.  One side's view: what its part gives to, or gets from, others; the own share among the sends alone.
 * `uncovered` NULL: parts that no rank has do not matter. */
static maestro_status_t meet(const mst_mpi_comm_t *comm, const mst_mpi_side_t side[MST_MPI_SIDES], const mst_mpi_holders_t *holders, int own,
                             mst_mpi_shares_t *shares, uncovered_t *uncovered) {
    partner_t *partner = NULL;
    int64_t npartners = 0;
    maestro_status_t status = find_partners(comm, side, holders, own, &partner, &npartners);
    for (int64_t i = 0; i < npartners && status == MAESTRO_OK; i++) {
        if (partner[i].rank < 0) {
            if (!uncovered) continue;
            int64_t first = first_element(side[own].layout, side[own].part, side[1 - own].layout, partner[i].part);
            if (first < uncovered->first) *uncovered = (uncovered_t){first, partner[i].part};
        } else if (own == MST_MPI_FROM || partner[i].rank != comm->rank) status = add_share(side, own, &partner[i], shares);
    }
    free(partner);
    return status;
}

static maestro_status_t match_regular(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const mst_mpi_side_t side[MST_MPI_SIDES],
                                      const mst_mpi_holders_t *holders, mst_mpi_shares_t *sends, mst_mpi_shares_t *receives) {
    uncovered_t uncovered = {INT64_MAX, -1};
    maestro_status_t status = meet(comm, side, holders, MST_MPI_FROM, sends, NULL);
    maestro_status_t step = meet(comm, side, holders, MST_MPI_TO, receives, &uncovered);
    if (status == MAESTRO_OK) status = step;
    if (status != MAESTRO_OK || request->options.partial || uncovered.part < 0) return mst_mpi_agree(comm, status, -1);
    char text[200];
    status = mst_base_fail(MAESTRO_NOT_FOUND, "%s: %s of the target is in part %lld of the source, which no rank has; %s", request->what,
                           mst_mpi_element_text(side[MST_MPI_TO].layout, uncovered.first, text, sizeof text), (long long)uncovered.part,
                           "give it, or allow such elements by the option partial");
    return mst_mpi_agree(comm, status, uncovered.first);
}

/* ---- All together */
static maestro_status_t match_sides(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const mst_mpi_side_t side[MST_MPI_SIDES],
                                    mst_mpi_shares_t *sends, mst_mpi_shares_t *receives) {
    mst_mpi_holders_t holders;
    maestro_status_t status = mst_mpi_holders_learn(comm, request, side, &holders);
    if (status == MAESTRO_OK) {
        bool regular = side[MST_MPI_FROM].regular && (request->is_halo || side[MST_MPI_TO].regular);
        status = (!regular ? mst_mpi_directory_match : request->is_halo ? mst_mpi_halo_match : match_regular)(comm, request, side, &holders, sends, receives);
    }
    mst_mpi_holders_fini(&holders);
    mst_mpi_shares_sort(sends);
    mst_mpi_shares_sort(receives);
    return status;
}

maestro_status_t mst_mpi_match(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, mst_mpi_shares_t *sends_out, mst_mpi_shares_t *receives_out) {
    mst_mpi_side_t side[MST_MPI_SIDES];
    maestro_layout_t *ghosts = NULL;
    *sends_out = *receives_out = (mst_mpi_shares_t){0};
    MST_TRY(mst_mpi_sides_learn(comm, request, side));
    if (request->is_halo) {
        const mst_mpi_side_t *own = &side[MST_MPI_FROM];
        MST_TRY(mst_mpi_agree(comm, own->part < 0 ? MAESTRO_OK : mst_array_ghosts(own->layout, own->part, request->options.periodic, &ghosts), -1));
        side[MST_MPI_TO] = (mst_mpi_side_t){.layout = ghosts, .part = ghosts ? 0 : -1};
    }
    maestro_status_t status = match_sides(comm, request, side, sends_out, receives_out);
    maestro_layout_destroy(ghosts);
    return status;
}
