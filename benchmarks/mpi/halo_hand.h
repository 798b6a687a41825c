/* Halo exchange by hand: the ways that a good programmer writes it on plain MPI.  Regions whose peer is the rank itself are copied without MPI, but by the
 * neighbour collective.  See grid.h. */
#ifndef BENCH_HALO_HAND_H
#define BENCH_HALO_HAND_H

#include "grid.h"

enum { PHASES = 2 * DIMS };

typedef struct phase { /* one of the two sides of a dimension */
    int peer;
    box_t ghosts, edge;
    int64_t count;      /* of all fields */
    double *in, *out;   /* NULL: in place */
} phase_t;

typedef struct hand {
    grid_t grid;
    int npeers, peer[REGIONS_MAX];
    int64_t count[REGIONS_MAX]; /* of a message to a peer */
    double *in[REGIONS_MAX], *out[REGIONS_MAX], *buffer;
    phase_t phase[PHASES];
    int nkept;
    MPI_Request request[2 * REGIONS_MAX], kept[2 * REGIONS_MAX];
    MPI_Datatype ghosts[REGIONS_MAX], edge[REGIONS_MAX], to_peer[REGIONS_MAX], from_peer[REGIONS_MAX];
    MPI_Comm neighbours;
    MPI_Win window;
    double *of[REGIONS_MAX]; /* the fields of region k's peer, in the window */
} hand_t;

static inline int hand_facing(const grid_t *grid, int k) { return grid->nregions - 1 - k; }

static inline void hand_copy_own(const grid_t *grid, bool all) {
    for (int f = 0; f < grid->nfields; f++)
        for (int k = 0; k < grid->nregions; k++) {
            double *field = grid->fields + f * grid->count;
            bool is_own = grid_is_halo(grid, k) && (all || grid->peer[k] == grid->rank);
            if (is_own) box_copy(grid, &grid->edge[hand_facing(grid, k)], field, &grid->ghosts[k], field);
        }
}

/* ---- Packed: one message a peer, of all regions and fields.  The sender goes through its regions upwards, the receiver downwards: these face each other. */
static inline void hand_packed(void *context) {
    hand_t *hand = context;
    const grid_t *grid = &hand->grid;
    for (int p = 0; p < hand->npeers; p++)
        MPI_Irecv(hand->in[p], (int)hand->count[p], MPI_DOUBLE, hand->peer[p], 0, MPI_COMM_WORLD, &hand->request[p]);
    for (int p = 0; p < hand->npeers; p++) {
        double *to = hand->out[p];
        for (int k = 0; k < grid->nregions; k++)
            for (int f = 0; f < grid->nfields && grid->peer[k] == hand->peer[p] && grid_is_halo(grid, k); f++)
                to = box_pack(grid, &grid->edge[k], grid->fields + f * grid->count, to);
        MPI_Isend(hand->out[p], (int)hand->count[p], MPI_DOUBLE, hand->peer[p], 0, MPI_COMM_WORLD, &hand->request[hand->npeers + p]);
    }
    hand_copy_own(grid, false);
    for (int i = 0; i < hand->npeers; i++) {
        int p;
        MPI_Waitany(hand->npeers, hand->request, &p, MPI_STATUS_IGNORE);
        const double *from = hand->in[p];
        for (int k = grid->nregions - 1; k >= 0; k--)
            for (int f = 0; f < grid->nfields && grid->peer[k] == hand->peer[p] && grid_is_halo(grid, k); f++)
                from = box_unpack(grid, &grid->ghosts[k], grid->fields + f * grid->count, from);
    }
    MPI_Waitall(hand->npeers, hand->request + hand->npeers, MPI_STATUSES_IGNORE);
}

/* ---- Datatypes: one message a peer, or one a region, also with requests that are kept */
static inline void hand_datatypes(void *context) {
    hand_t *hand = context;
    for (int p = 0; p < hand->npeers; p++) MPI_Irecv(hand->grid.fields, 1, hand->from_peer[p], hand->peer[p], 0, MPI_COMM_WORLD, &hand->request[2 * p]);
    for (int p = 0; p < hand->npeers; p++) MPI_Isend(hand->grid.fields, 1, hand->to_peer[p], hand->peer[p], 0, MPI_COMM_WORLD, &hand->request[2 * p + 1]);
    hand_copy_own(&hand->grid, false);
    MPI_Waitall(2 * hand->npeers, hand->request, MPI_STATUSES_IGNORE);
}

static inline bool hand_is_message(const grid_t *grid, int k) { return grid_is_halo(grid, k) && grid->peer[k] != grid->rank; }

static inline void hand_regions(void *context) {
    hand_t *hand = context;
    const grid_t *grid = &hand->grid;
    int count = 0;
    for (int k = 0; k < grid->nregions; k++)
        if (hand_is_message(grid, k)) MPI_Irecv(grid->fields, 1, hand->ghosts[k], grid->peer[k], hand_facing(grid, k), MPI_COMM_WORLD, &hand->request[count++]);
    for (int k = 0; k < grid->nregions; k++)
        if (hand_is_message(grid, k)) MPI_Isend(grid->fields, 1, hand->edge[k], grid->peer[k], k, MPI_COMM_WORLD, &hand->request[count++]);
    hand_copy_own(grid, false);
    MPI_Waitall(count, hand->request, MPI_STATUSES_IGNORE);
}

static inline void hand_persistent(void *context) {
    hand_t *hand = context;
    MPI_Startall(hand->nkept, hand->kept);
    hand_copy_own(&hand->grid, false);
    MPI_Waitall(hand->nkept, hand->kept, MPI_STATUSES_IGNORE);
}

static inline void hand_neighbour(void *context) {
    hand_t *hand = context;
    const grid_t *grid = &hand->grid;
    const MPI_Aint where[REGIONS_MAX] = {0};
    int ones[REGIONS_MAX], count = 0;
    MPI_Datatype sent[REGIONS_MAX], received[REGIONS_MAX];
    for (int k = 0; k < grid->nregions; k++) {
        if (!grid_is_halo(grid, k)) continue;
        ones[count] = 1;
        sent[count] = hand->edge[k];
        received[count++] = hand->ghosts[hand_facing(grid, k)];
    }
    MPI_Neighbor_alltoallw(grid->fields, ones, where, sent, grid->fields, ones, where, received, hand->neighbours);
}

/* ---- Phases: one dimension after the other, the last first; each takes the halo of those before along.  The rows at the end go as they lie. */
static inline void hand_phase(const grid_t *grid, phase_t *side) {
    MPI_Request request[4];
    for (int s = 0; s < 2; s++)
        MPI_Irecv(side[s].in ? side[s].in : grid->fields + box_at(grid, &side[s].ghosts, 0, 0), (int)side[s].count, MPI_DOUBLE, side[s].peer, !s,
                  MPI_COMM_WORLD, &request[s]);
    for (int s = 0; s < 2; s++) {
        double *to = side[s].out;
        for (int f = 0; to && f < grid->nfields; f++) to = box_pack(grid, &side[s].edge, grid->fields + f * grid->count, to);
        MPI_Isend(side[s].out ? side[s].out : grid->fields + box_at(grid, &side[s].edge, 0, 0), (int)side[s].count, MPI_DOUBLE, side[s].peer, s,
                  MPI_COMM_WORLD, &request[2 + s]);
    }
    MPI_Waitall(4, request, MPI_STATUSES_IGNORE);
    for (int s = 0; s < 2; s++) {
        const double *from = side[s].in;
        for (int f = 0; from && f < grid->nfields; f++) from = box_unpack(grid, &side[s].ghosts, grid->fields + f * grid->count, from);
    }
}

static inline void hand_phases(void *context) {
    hand_t *hand = context;
    const grid_t *grid = &hand->grid;
    for (int d = grid->ndims - 1; d >= 0; d--) {
        phase_t *side = &hand->phase[2 * d];
        if (side->peer != grid->rank) hand_phase(grid, side);
        else for (int f = 0; f < 2 * grid->nfields; f++) {
            double *field = grid->fields + f / 2 * grid->count;
            box_copy(grid, &side[1 - f % 2].edge, field, &side[f % 2].ghosts, field);
        }
    }
}

/* ---- One copy out of the peer's fields, which are in a shared window */
static inline void hand_window(void *context) {
    hand_t *hand = context;
    const grid_t *grid = &hand->grid;
    MPI_Win_sync(hand->window);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int f = 0; f < grid->nfields; f++)
        for (int k = 0; k < grid->nregions; k++)
            if (grid_is_halo(grid, k))
                box_copy(grid, &grid->edge[hand_facing(grid, k)], hand->of[k] + f * grid->count, &grid->ghosts[k], grid->fields + f * grid->count);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- Making */
static inline MPI_Datatype hand_type(const grid_t *grid, const box_t *box) {
    int whole[DIMS], extent[DIMS], first[DIMS];
    MPI_Datatype one, all;
    for (int d = 0; d < DIMS; d++) {
        whole[d] = (int)grid->local[d];
        extent[d] = (int)box->extent[d];
        first[d] = (int)box->first[d];
    }
    MPI_Type_create_subarray(grid->ndims, whole, extent, first, MPI_ORDER_C, MPI_DOUBLE, &one);
    MPI_Type_create_hvector(grid->nfields, 1, (MPI_Aint)(grid->count * (int64_t)sizeof(double)), one, &all);
    MPI_Type_commit(&all);
    MPI_Type_free(&one);
    return all;
}

/* All regions of a peer, in the order of the facing side where `down`. */
static inline MPI_Datatype hand_peer_type(const hand_t *hand, int peer, const MPI_Datatype *of, bool down) {
    const grid_t *grid = &hand->grid;
    const MPI_Aint where[REGIONS_MAX] = {0};
    int ones[REGIONS_MAX], count = 0;
    MPI_Datatype type[REGIONS_MAX], made;
    for (int i = 0; i < grid->nregions; i++) {
        int k = down ? hand_facing(grid, i) : i;
        if (!hand_is_message(grid, k) || grid->peer[k] != peer) continue;
        ones[count] = 1;
        type[count++] = of[k];
    }
    MPI_Type_create_struct(count, ones, where, type, &made);
    MPI_Type_commit(&made);
    return made;
}

static inline void hand_find_peers(hand_t *hand) {
    const grid_t *grid = &hand->grid;
    for (int rank = 0; rank < grid->nranks; rank++) {
        int64_t count = 0;
        for (int k = 0; k < grid->nregions; k++)
            if (hand_is_message(grid, k) && grid->peer[k] == rank) count += box_count(&grid->edge[k]) * grid->nfields;
        if (count) hand->count[hand->npeers] = count, hand->peer[hand->npeers++] = rank;
    }
}

static inline void hand_describe(hand_t *hand) {
    const grid_t *grid = &hand->grid;
    int to[REGIONS_MAX], from[REGIONS_MAX], ones[REGIONS_MAX], count = 0;
    for (int k = 0; k < grid->nregions; k++) {
        hand->ghosts[k] = hand_type(grid, &grid->ghosts[k]);
        hand->edge[k] = hand_type(grid, &grid->edge[k]);
        if (hand_is_message(grid, k)) {
            MPI_Recv_init(grid->fields, 1, hand->ghosts[k], grid->peer[k], 64 + hand_facing(grid, k), MPI_COMM_WORLD, &hand->kept[hand->nkept++]);
            MPI_Send_init(grid->fields, 1, hand->edge[k], grid->peer[k], 64 + k, MPI_COMM_WORLD, &hand->kept[hand->nkept++]);
        }
        ones[k] = 1;
        if (grid_is_halo(grid, k)) from[count] = grid->peer[hand_facing(grid, k)], to[count++] = grid->peer[k];
    }
    for (int p = 0; p < hand->npeers; p++) {
        hand->to_peer[p] = hand_peer_type(hand, hand->peer[p], hand->edge, false);
        hand->from_peer[p] = hand_peer_type(hand, hand->peer[p], hand->ghosts, true);
    }
    MPI_Dist_graph_create_adjacent(MPI_COMM_WORLD, count, from, ones, count, to, ones, MPI_INFO_NULL, 0, &hand->neighbours);
}

static inline void hand_make_phases(hand_t *hand, double *buffer) {
    const grid_t *grid = &hand->grid;
    for (int i = 0; i < 2 * grid->ndims; i++) {
        int d = i / 2, at[DIMS], side = i % 2 ? 1 : -1;
        phase_t *phase = &hand->phase[i];
        memcpy(at, grid->coordinate, sizeof at);
        at[d] += side;
        *phase = (phase_t){.peer = grid_rank_of(grid, at)};
        for (int e = 0; e < DIMS; e++) {
            int64_t w = e < grid->ndims ? grid->width : 0, n = e < grid->ndims ? grid->n : 1;
            phase->edge.first[e] = e > d ? 0 : e == d && side > 0 ? n : w;
            phase->ghosts.first[e] = e > d ? 0 : e < d ? w : side < 0 ? 0 : w + n;
            phase->edge.extent[e] = phase->ghosts.extent[e] = e > d ? grid->local[e] : e < d ? n : grid->width;
        }
        phase->count = box_count(&phase->edge) * grid->nfields;
        if (d == 0 && grid->nfields == 1) continue;
        phase->in = buffer;
        phase->out = buffer + phase->count;
        buffer += 2 * phase->count;
    }
}

static inline void hand_share(hand_t *hand, double **fields_out) {
    const grid_t *grid = &hand->grid;
    MPI_Win_allocate_shared((MPI_Aint)(grid->count * grid->nfields * (int64_t)sizeof(double)), sizeof(double), MPI_INFO_NULL, MPI_COMM_WORLD, fields_out,
                            &hand->window);
    for (int k = 0; k < grid->nregions; k++) {
        MPI_Aint nbytes;
        int unit;
        MPI_Win_shared_query(hand->window, grid->peer[k], &nbytes, &unit, &hand->of[k]);
    }
    MPI_Win_lock_all(MPI_MODE_NOCHECK, hand->window);
}

/* The window's fields come back in `shared`: the same grid in other memory. */
static inline void hand_init(hand_t *hand, const grid_t *grid, grid_t *shared) {
    *hand = (hand_t){.grid = *grid};
    hand_find_peers(hand);
    hand->buffer = bench_pages(4 * grid->count * grid->nfields);
    double *buffer = hand->buffer;
    for (int p = 0; p < hand->npeers; p++) {
        hand->in[p] = buffer;
        hand->out[p] = buffer + hand->count[p];
        buffer += 2 * hand->count[p];
    }
    hand_make_phases(hand, buffer);
    hand_describe(hand);
    *shared = *grid;
    hand_share(hand, &shared->fields);
}

static inline void hand_fini(hand_t *hand) {
    for (int i = 0; i < hand->nkept; i++) MPI_Request_free(&hand->kept[i]);
    for (int k = 0; k < hand->grid.nregions; k++) {
        MPI_Type_free(&hand->ghosts[k]);
        MPI_Type_free(&hand->edge[k]);
    }
    for (int p = 0; p < hand->npeers; p++) {
        MPI_Type_free(&hand->to_peer[p]);
        MPI_Type_free(&hand->from_peer[p]);
    }
    MPI_Comm_free(&hand->neighbours);
    MPI_Win_unlock_all(hand->window);
    MPI_Win_free(&hand->window);
    munmap(hand->buffer, (size_t)(4 * hand->grid.count * hand->grid.nfields) * sizeof(double));
}

#endif
