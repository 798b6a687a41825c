/* The cases of redistribution as those of COSTA's and ScaLAPACK's papers: an N x N array of doubles on P ranks,
 *   rc  row blocks -> column blocks, both row-major
 *   rt  row blocks, row-major -> column blocks, column-major
 *   cy  block-cyclic, blocks of 64 x 64 (8 x 8 for N = 64) on 1 x P ranks, or 2 x P/2 for more than 2 -> row blocks
 * and how they are done by hand.  A piece is what one rank gives to another. */
#ifndef BENCH_CUT_H
#define BENCH_CUT_H

#include "rounds.h"

enum { RANKS_MAX = 64 };
typedef enum kind { RC, RT, CY, KINDS } kind_t;
static const char *const kind_name[KINDS] = {"rc", "rt", "cy"};

typedef struct cut {
    kind_t kind;
    int rank, nranks;
    int64_t n, part;       /* n = part * nranks */
    int64_t block, pr, pc; /* cy */
    int64_t count;         /* doubles of a rank on either side */
    double *source, *target;
} cut_t;

static inline cut_t cut_of(kind_t kind, int rank, int nranks, int64_t n) {
    cut_t cut = {.kind = kind, .rank = rank, .nranks = nranks, .n = n, .part = n / nranks, .block = n == 64 ? 8 : 64, .count = n * n / nranks};
    cut.pr = nranks > 2 ? 2 : 1;
    cut.pc = nranks / cut.pr;
    BENCH_CHECK(nranks <= RANKS_MAX && cut.part * nranks == n && cut.pr * cut.pc == nranks && cut.part % cut.block == 0 && n % (cut.block * cut.pc) == 0);
    return cut;
}

/* ---- What lies where */
static inline double cut_value(int64_t i, int64_t j) { return (double)i * 8192.0 + (double)j; }

static inline double cut_source_value(const cut_t *cut, int64_t k) {
    if (cut->kind != CY) return cut_value(cut->rank * cut->part + k / cut->n, k % cut->n);
    int64_t ncols = cut->n / cut->pc, i = k / ncols, j = k % ncols, b = cut->block;
    return cut_value((i / b * cut->pr + cut->rank / cut->pc) * b + i % b, (j / b * cut->pc + cut->rank % cut->pc) * b + j % b);
}

static inline double cut_target_value(const cut_t *cut, int64_t k) {
    if (cut->kind == RC) return cut_value(k / cut->part, cut->rank * cut->part + k % cut->part);
    if (cut->kind == RT) return cut_value(k % cut->n, cut->rank * cut->part + k / cut->n);
    return cut_value(cut->rank * cut->part + k / cut->n, k % cut->n);
}

/* ---- Pieces.  Of cy a rank's rows for another lie together, and go as they are. */
static inline int64_t cut_first_row(const cut_t *cut, int from, int to) { /* the first block of rows of `to`'s part that `from` has */
    int64_t first = to * cut->part / cut->block;
    return first + (from / cut->pc - first % cut->pr + cut->pr) % cut->pr;
}

static inline int64_t cut_nrows(const cut_t *cut, int from, int to) {
    int64_t end = (to + 1) * cut->part / cut->block, first = cut_first_row(cut, from, to);
    return first < end ? ((end - first - 1) / cut->pr + 1) * cut->block : 0;
}

static inline int64_t cut_nsent(const cut_t *cut, int from, int to) {
    return cut->kind == CY ? cut_nrows(cut, from, to) * (cut->n / cut->pc) : cut->part * cut->part;
}

/* Where the piece for `to` begins in the source of `from`, and how far apart its rows are. */
static inline const double *cut_piece(const cut_t *cut, const double *source, int from, int to, int64_t *stride_out) {
    *stride_out = cut->kind == CY ? cut->n / cut->pc : cut->n;
    return cut->kind == CY ? source + cut_first_row(cut, from, to) / cut->pr * cut->block * *stride_out : source + to * cut->part;
}

static inline void cut_pack(const cut_t *cut, int to, double *packed) {
    for (int64_t i = 0; i < cut->part; i++)
        memcpy(packed + i * cut->part, cut->source + i * cut->n + to * cut->part, (size_t)cut->part * sizeof *packed);
}

static inline void cut_transpose(const cut_t *cut, double *to, const double *from, int64_t stride) {
    enum { TILE = 16 };
    for (int64_t ii = 0; ii < cut->part; ii += TILE)
        for (int64_t jj = 0; jj < cut->part; jj += TILE)
            for (int64_t j = jj; j < jj + TILE && j < cut->part; j++)
                for (int64_t i = ii; i < ii + TILE && i < cut->part; i++) to[j * cut->n + i] = from[i * stride + j];
}

static inline void cut_deal(const cut_t *cut, int from, const double *rows, int64_t stride) {
    int64_t b = cut->block, nrows = cut_nrows(cut, from, cut->rank), first = cut_first_row(cut, from, cut->rank);
    for (int64_t r = 0; r < nrows; r++) {
        double *row = cut->target + ((first + r / b * cut->pr) * b + r % b - cut->rank * cut->part) * cut->n + from % cut->pc * b;
        for (int64_t c = 0; c < stride; c += b) memcpy(row + c * cut->pc, rows + r * stride + c, (size_t)b * sizeof *row);
    }
}

/* Puts a piece into the target. */
static inline void cut_place(const cut_t *cut, int from, const double *piece, int64_t stride) {
    double *rows = cut->target + from * cut->part * cut->part;
    if (cut->kind == RT) cut_transpose(cut, cut->target + from * cut->part, piece, stride);
    else if (cut->kind == CY) cut_deal(cut, from, piece, stride);
    else for (int64_t i = 0; i < cut->part; i++) memcpy(rows + i * cut->part, piece + i * stride, (size_t)cut->part * sizeof *piece);
}

#endif
