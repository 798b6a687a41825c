/* Redistribution by hand: the ways that a good programmer writes it on plain MPI.  See cut.h. */
#ifndef BENCH_CUT_HAND_H
#define BENCH_CUT_HAND_H

#include "cut.h"

typedef struct hand {
    cut_t cut;
    double *sent[RANKS_MAX], *received[RANKS_MAX]; /* where a piece is sent from and received to: in place where it can */
    double *out, *in;
    int nothers, nreceives, other[RANKS_MAX]; /* requests: receives, then sends */
    MPI_Request request[2 * RANKS_MAX], kept[2 * RANKS_MAX];
    int ones[RANKS_MAX], where[2][RANKS_MAX];
    MPI_Datatype type[2][RANKS_MAX];
    MPI_Comm neighbours;
    MPI_Win window;
    double *shared, *of[RANKS_MAX];
} hand_t;

/* ---- Packed: one message a pair; a piece is placed as soon as it has come */
static inline void hand_pack(hand_t *hand, int to) {
    if (hand->cut.kind != CY) cut_pack(&hand->cut, to, hand->sent[to]);
}

static inline void hand_place_own(hand_t *hand) {
    int64_t stride;
    const double *piece = cut_piece(&hand->cut, hand->cut.source, hand->cut.rank, hand->cut.rank, &stride);
    cut_place(&hand->cut, hand->cut.rank, piece, stride);
}

static inline void hand_finish(hand_t *hand, MPI_Request *request) {
    const cut_t *cut = &hand->cut;
    hand_place_own(hand);
    for (int i = 0; i < hand->nothers; i++) {
        int came;
        MPI_Waitany(hand->nothers, request, &came, MPI_STATUS_IGNORE);
        int from = hand->other[came];
        if (cut->kind != RC) cut_place(cut, from, hand->received[from], cut->kind == CY ? cut->n / cut->pc : cut->part);
    }
    MPI_Waitall(hand->nothers, request + hand->nothers, MPI_STATUSES_IGNORE);
}

static inline void hand_packed(void *context) {
    hand_t *hand = context;
    const cut_t *cut = &hand->cut;
    for (int i = 0; i < hand->nothers; i++) {
        int p = hand->other[i];
        MPI_Irecv(hand->received[p], (int)cut_nsent(cut, p, cut->rank), MPI_DOUBLE, p, 0, MPI_COMM_WORLD, &hand->request[i]);
    }
    for (int i = 0; i < hand->nothers; i++) {
        int p = hand->other[i];
        hand_pack(hand, p);
        MPI_Isend(hand->sent[p], (int)cut_nsent(cut, cut->rank, p), MPI_DOUBLE, p, 0, MPI_COMM_WORLD, &hand->request[hand->nothers + i]);
    }
    hand_finish(hand, hand->request);
}

static inline void hand_persistent(void *context) {
    hand_t *hand = context;
    MPI_Startall(hand->nothers, hand->kept);
    for (int i = 0; i < hand->nothers; i++) {
        hand_pack(hand, hand->other[i]);
        MPI_Start(&hand->kept[hand->nothers + i]);
    }
    hand_finish(hand, hand->kept);
}

/* ---- Datatypes */
static inline void hand_alltoallw(void *context) {
    hand_t *hand = context;
    MPI_Alltoallw(hand->cut.source, hand->ones, hand->where[0], hand->type[0], hand->cut.target, hand->ones, hand->where[1], hand->type[1], MPI_COMM_WORLD);
}

static inline void hand_neighbour(void *context) {
    hand_t *hand = context;
    MPI_Aint where[2][RANKS_MAX];
    for (int p = 0; p < hand->cut.nranks; p++)
        for (int side = 0; side < 2; side++) where[side][p] = hand->where[side][p];
    MPI_Neighbor_alltoallw(hand->cut.source, hand->ones, where[0], hand->type[0], hand->cut.target, hand->ones, where[1], hand->type[1], hand->neighbours);
}

static inline MPI_Datatype hand_commit(MPI_Datatype *made, int count) {
    MPI_Type_commit(&made[count - 1]);
    for (int i = 0; i < count - 1; i++) MPI_Type_free(&made[i]);
    return made[count - 1];
}

static inline MPI_Datatype hand_send_type(const cut_t *cut, int to) {
    MPI_Datatype made[1];
    if (cut->kind == CY) MPI_Type_contiguous((int)cut_nsent(cut, cut->rank, to), MPI_DOUBLE, &made[0]);
    else MPI_Type_vector((int)cut->part, (int)cut->part, (int)cut->n, MPI_DOUBLE, &made[0]);
    return hand_commit(made, 1);
}

static inline MPI_Datatype hand_receive_type(const cut_t *cut, int from) {
    MPI_Datatype made[3];
    const MPI_Aint row = (MPI_Aint)(cut->n * (int64_t)sizeof(double));
    int part = (int)cut->part, n = (int)cut->n, b = (int)cut->block;
    if (cut->kind == RC) {
        MPI_Type_contiguous(part * part, MPI_DOUBLE, &made[0]);
        return hand_commit(made, 1);
    }
    if (cut->kind == RT) {
        MPI_Type_vector(part, 1, n, MPI_DOUBLE, &made[0]);
        MPI_Type_create_hvector(part, 1, sizeof(double), made[0], &made[1]);
        return hand_commit(made, 2);
    }
    MPI_Type_vector(n / (int)cut->pc / b, b, b * (int)cut->pc, MPI_DOUBLE, &made[0]);
    MPI_Type_create_hvector(b, 1, row, made[0], &made[1]);
    MPI_Type_create_hvector((int)cut_nrows(cut, from, cut->rank) / b, 1, row * b * (MPI_Aint)cut->pr, made[1], &made[2]);
    return hand_commit(made, 3);
}

static inline void hand_describe(hand_t *hand) {
    const cut_t *cut = &hand->cut;
    int all[RANKS_MAX];
    for (int p = 0; p < cut->nranks; p++) {
        int64_t stride, first = cut->kind == CY ? (cut_first_row(cut, p, cut->rank) * cut->block - cut->rank * cut->part) * cut->n + p % cut->pc * cut->block
                                : cut->kind == RC ? p * cut->part * cut->part : p * cut->part;
        all[p] = p;
        hand->ones[p] = 1;
        hand->where[0][p] = (int)((cut_piece(cut, cut->source, cut->rank, p, &stride) - cut->source) * (int64_t)sizeof(double));
        hand->where[1][p] = (int)(first * (int64_t)sizeof(double));
        hand->type[0][p] = hand_send_type(cut, p);
        hand->type[1][p] = hand_receive_type(cut, p);
    }
    MPI_Dist_graph_create_adjacent(MPI_COMM_WORLD, cut->nranks, all, hand->ones, cut->nranks, all, hand->ones, MPI_INFO_NULL, 0, &hand->neighbours);
}

/* ---- One copy out of a shared window */
static inline void hand_window(void *context) {
    hand_t *hand = context;
    MPI_Win_sync(hand->window);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < hand->cut.nranks; i++) {
        int64_t stride;
        int p = (hand->cut.rank + i) % hand->cut.nranks;
        const double *piece = cut_piece(&hand->cut, hand->of[p], p, hand->cut.rank, &stride);
        cut_place(&hand->cut, p, piece, stride);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static inline void hand_share(hand_t *hand) {
    const cut_t *cut = &hand->cut;
    MPI_Win_allocate_shared((MPI_Aint)(cut->count * (int64_t)sizeof(double)), sizeof(double), MPI_INFO_NULL, MPI_COMM_WORLD, &hand->shared, &hand->window);
    memcpy(hand->shared, cut->source, (size_t)cut->count * sizeof(double));
    MPI_Win_lock_all(MPI_MODE_NOCHECK, hand->window);
    for (int p = 0; p < cut->nranks; p++) {
        MPI_Aint nbytes;
        int unit;
        MPI_Win_shared_query(hand->window, p, &nbytes, &unit, &hand->of[p]);
    }
}

/* ---- Making */
static inline void hand_init(hand_t *hand, const cut_t *cut) {
    *hand = (hand_t){.cut = *cut};
    hand->out = bench_pages(cut->count);
    hand->in = bench_pages(cut->count);
    int64_t stride, at = 0;
    for (int p = 0; p < cut->nranks; p++) {
        if (p != cut->rank) hand->other[hand->nothers++] = p;
        hand->sent[p] = cut->kind == CY ? (double *)(uintptr_t)cut_piece(cut, cut->source, cut->rank, p, &stride) : hand->out + p * cut->part * cut->part;
        hand->received[p] = cut->kind == RC ? cut->target + p * cut->part * cut->part : hand->in + at;
        at += cut_nsent(cut, p, cut->rank);
    }
    for (int i = 0; i < hand->nothers; i++) {
        int p = hand->other[i];
        MPI_Recv_init(hand->received[p], (int)cut_nsent(cut, p, cut->rank), MPI_DOUBLE, p, 1, MPI_COMM_WORLD, &hand->kept[i]);
        MPI_Send_init(hand->sent[p], (int)cut_nsent(cut, cut->rank, p), MPI_DOUBLE, p, 1, MPI_COMM_WORLD, &hand->kept[hand->nothers + i]);
    }
    hand_describe(hand);
    hand_share(hand);
}

static inline void hand_fini(hand_t *hand) {
    for (int i = 0; i < 2 * hand->nothers; i++) MPI_Request_free(&hand->kept[i]);
    for (int p = 0; p < 2 * hand->cut.nranks; p++) MPI_Type_free(&hand->type[p % 2][p / 2]);
    MPI_Comm_free(&hand->neighbours);
    MPI_Win_unlock_all(hand->window);
    MPI_Win_free(&hand->window);
    munmap(hand->out, (size_t)hand->cut.count * sizeof(double));
    munmap(hand->in, (size_t)hand->cut.count * sizeof(double));
}

#endif
