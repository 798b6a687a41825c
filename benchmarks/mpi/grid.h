/* The cases of halo exchange: ranks in a periodic grid of two or three dimensions, each with n^d doubles and a halo of some width around them, corners
 * included, in one field or several.  A region is one of the 3^d - 1 boxes of the halo; they are numbered so that region k and region LAST - k face each other.
 *
 * By hand, two ways of filling it are in halo_hand.h; here is what all ways share. */
#ifndef BENCH_GRID_H
#define BENCH_GRID_H

#include "rounds.h"

enum { DIMS = 3, REGIONS_MAX = 27 };

typedef struct box {
    int64_t first[DIMS], extent[DIMS];
} box_t;

typedef struct grid {
    int ndims, rank, nranks, nfields, width;
    int grid[DIMS], coordinate[DIMS];
    int64_t n, local[DIMS], stride[DIMS], count; /* of a field with its halo; dimensions that are not there are 1 */
    int nregions;                                /* 3^ndims; the middle one is no region of the halo */
    int peer[REGIONS_MAX];
    box_t ghosts[REGIONS_MAX], edge[REGIONS_MAX]; /* what region k is filled with, and what this rank gives to the peer of region k */
    double *fields;                               /* one after the other */
} grid_t;

static inline bool grid_is_halo(const grid_t *grid, int k) { return k != grid->nregions / 2; }

/* Which side region k is on in dimension d: -1, 0, 1. */
static inline int grid_side(const grid_t *grid, int k, int d) {
    for (int i = grid->ndims - 1; i > d; i--) k /= 3;
    return d < grid->ndims ? k % 3 - 1 : 0;
}

static inline int grid_rank_of(const grid_t *grid, const int *coordinate) {
    int rank = 0;
    for (int d = 0; d < grid->ndims; d++) rank = rank * grid->grid[d] + (coordinate[d] + grid->grid[d]) % grid->grid[d];
    return rank;
}

static inline grid_t grid_of(int ndims, int rank, int nranks, int64_t n, int width, int nfields) {
    grid_t grid = {.ndims = ndims, .rank = rank, .nranks = nranks, .nfields = nfields, .width = width, .n = n, .count = 1, .nregions = 1};
    MPI_Dims_create(nranks, ndims, grid.grid);
    for (int d = ndims - 1, left = rank; d >= 0; left /= grid.grid[d--]) grid.coordinate[d] = left % grid.grid[d];
    for (int d = DIMS - 1; d >= 0; d--) {
        grid.local[d] = d < ndims ? n + 2 * width : 1;
        grid.stride[d] = grid.count;
        grid.count *= grid.local[d];
        if (d < ndims) grid.nregions *= 3;
    }
    for (int k = 0; k < grid.nregions; k++) {
        int at[DIMS];
        for (int d = 0; d < DIMS; d++) {
            int side = grid_side(&grid, k, d);
            int64_t w = d < ndims ? width : 0, extent = side ? width : d < ndims ? n : 1;
            at[d] = grid.coordinate[d] + side;
            grid.ghosts[k].first[d] = side < 0 ? 0 : side > 0 ? w + n : w;
            grid.edge[k].first[d] = side > 0 ? n : w;
            grid.ghosts[k].extent[d] = grid.edge[k].extent[d] = extent;
        }
        grid.peer[k] = grid_rank_of(&grid, at);
    }
    return grid;
}

/* ---- Values: those of a cell's place in the whole */
static inline double grid_value(const grid_t *grid, int64_t cell, int field) {
    double value = field;
    for (int d = 0; d < grid->ndims; d++) {
        int64_t whole = grid->n * grid->grid[d], i = cell / grid->stride[d] % grid->local[d] - grid->width + grid->n * grid->coordinate[d];
        value = value * 4096 + (double)((i + whole) % whole);
    }
    return value;
}

static inline bool grid_is_ghost(const grid_t *grid, int64_t cell) {
    for (int d = 0; d < grid->ndims; d++) {
        int64_t i = cell / grid->stride[d] % grid->local[d] - grid->width;
        if (i < 0 || i >= grid->n) return true;
    }
    return false;
}

static inline void grid_fill(const grid_t *grid) {
    for (int f = 0; f < grid->nfields; f++)
        for (int64_t i = 0; i < grid->count; i++) grid->fields[f * grid->count + i] = grid_is_ghost(grid, i) ? -1 : grid_value(grid, i, f);
}

static inline bool grid_right(const grid_t *grid) {
    bool same = true;
    for (int f = 0; f < grid->nfields; f++)
        for (int64_t i = 0; i < grid->count; i++) same = same && grid->fields[f * grid->count + i] == grid_value(grid, i, f);
    return same;
}

/* ---- Boxes */
static inline int64_t box_count(const box_t *box) { return box->extent[0] * box->extent[1] * box->extent[2]; }

static inline int64_t box_at(const grid_t *grid, const box_t *box, int64_t i, int64_t j) {
    const int64_t *s = grid->stride, *at = box->first;
    int last = grid->ndims - 1; /* the dimension whose cells lie side by side; j counts the one before it, i the one before that */
    return last == 1 ? (at[0] + j) * s[0] + at[1] : (at[0] + i) * s[0] + (at[1] + j) * s[1] + at[2];
}

static inline void box_sizes(const grid_t *grid, const box_t *box, int64_t *planes, int64_t *rows, int64_t *length) {
    *planes = grid->ndims == 3 ? box->extent[0] : 1;
    *rows = box->extent[grid->ndims - 2];
    *length = box->extent[grid->ndims - 1];
}

/* A column of one cell, which is what a halo of width 1 has most of, is a loop of its own. */
static inline double *box_pack(const grid_t *grid, const box_t *box, const double *field, double *to) {
    int64_t planes, rows, length, down = grid->stride[grid->ndims - 2];
    box_sizes(grid, box, &planes, &rows, &length);
    for (int64_t i = 0; i < planes; i++) {
        const double *from = field + box_at(grid, box, i, 0);
        if (length == 1) for (int64_t j = 0; j < rows; j++) to[j] = from[j * down];
        else if (length == 3) for (int64_t j = 0; j < rows; j++) memcpy(to + 3 * j, from + j * down, 3 * sizeof *to);
        else for (int64_t j = 0; j < rows; j++) memcpy(to + j * length, from + j * down, (size_t)length * sizeof *to);
        to += rows * length;
    }
    return to;
}

static inline const double *box_unpack(const grid_t *grid, const box_t *box, double *field, const double *from) {
    int64_t planes, rows, length, down = grid->stride[grid->ndims - 2];
    box_sizes(grid, box, &planes, &rows, &length);
    for (int64_t i = 0; i < planes; i++) {
        double *to = field + box_at(grid, box, i, 0);
        if (length == 1) for (int64_t j = 0; j < rows; j++) to[j * down] = from[j];
        else if (length == 3) for (int64_t j = 0; j < rows; j++) memcpy(to + j * down, from + 3 * j, 3 * sizeof *to);
        else for (int64_t j = 0; j < rows; j++) memcpy(to + j * down, from + j * length, (size_t)length * sizeof *to);
        from += rows * length;
    }
    return from;
}

/* From one box to another of the same size, in arrays of the same shape. */
static inline void box_copy(const grid_t *grid, const box_t *from, const double *source, const box_t *to, double *target) {
    int64_t planes, rows, length, down = grid->stride[grid->ndims - 2];
    box_sizes(grid, from, &planes, &rows, &length);
    for (int64_t i = 0; i < planes; i++) {
        const double *s = source + box_at(grid, from, i, 0);
        double *t = target + box_at(grid, to, i, 0);
        if (length == 1) for (int64_t j = 0; j < rows; j++) t[j * down] = s[j * down];
        else if (length == 3) for (int64_t j = 0; j < rows; j++) memcpy(t + j * down, s + j * down, 3 * sizeof *t);
        else for (int64_t j = 0; j < rows; j++) memcpy(t + j * down, s + j * down, (size_t)length * sizeof *t);
    }
}

#endif
