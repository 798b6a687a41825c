/* Stencils on blocks with ghost cells, two fields in one halo exchange: bit for bit the same on any number of ranks.  mpirun -n 4 example_stencil
 *
 * In 2D a field is diffused over all eight neighbours, corners too, and another one is carried by a wind; while ghost cells are on their way, what needs
 * none of them is computed.  In 3D the same with 14 neighbours, and with two layers of ghost cells on one side.
 *
 * The recipe, for other languages (stencil.py, stencil.f90).  Doubles throughout; indices from 0; all new values come from old ones.  Factors are powers of
 * two, so that products are exact and it does not matter whether a compiler fuses them with sums; sums are in the order of the parentheses.
 *
 * 2D: shape (50, 37), dimension 0 is periodic; ghost cells outside dimension 1 stay 0; 40 steps
 *     u(i,j) = ((7 i + 13 j) mod 31) / 32      new u = (0.25 u + 0.125 sides) + 0.0625 corners
 *         sides   = (u(i-1,j) + u(i+1,j)) + (u(i,j-1) + u(i,j+1))
 *         corners = (u(i-1,j-1) + u(i-1,j+1)) + (u(i+1,j-1) + u(i+1,j+1))
 *     v(i,j) = ((5 i + 11 j) mod 29) / 32      new v = v + (0.5 (v(i-1,j) - v) + 0.25 (v(i,j-1) - v))
 * 3D: shape (20, 14, 11), dimensions 0 and 2 are periodic; ghost cells outside dimension 1 stay 0; 30 steps
 *     t(i,j,k) = ((7 i + 13 j + 3 k) mod 31) / 32      new t = (0.5 t + 0.0625 faces) + 0.015625 corners
 *         faces   = ((t(i-1,j,k) + t(i+1,j,k)) + (t(i,j-1,k) + t(i,j+1,k))) + (t(i,j,k-1) + t(i,j,k+1))
 *         corners = ((t(---) + t(--+)) + (t(-+-) + t(-++))) + ((t(+--) + t(+-+)) + (t(++-) + t(+++)))      - and +: one lower, one higher
 *     c(i,j,k) = ((5 i + 11 j + 17 k) mod 29) / 32     new c = c + (0.5 (c(k-1) - c) + 0.125 ((c(k-2) - c(k-1)) - (c(k-1) - c)))
 * Printed is the CRC-32 (zlib's) of the bytes of each field, gathered in row-major order, little-endian. */
#include <maestro.h>
#include <mpi.h>
#include <stdio.h>

#define TRY(call)                                                          \
    do {                                                                   \
        if ((call) != MAESTRO_OK) {                                        \
            fprintf(stderr, "%s\n", maestro_last_error());                 \
            MPI_Abort(MPI_COMM_WORLD, 1);                                  \
        }                                                                  \
    } while (0)

static int rank, nranks;
static maestro_comm_t comm;

/* ---- Fields: of each the old values and the new ones, in memory that other ranks of the node can read */
typedef struct grid {
    maestro_layout_t *layout;
    maestro_local_t local;  /* how this rank's block lies in memory */
    maestro_plan_t *halo;
    int64_t owned[3];       /* the block's size, without ghost cells */
    double *old[2], *new[2];
} grid_t;

static void grid_create(int ndims, const int64_t *shape, const maestro_layout_options_t *options, const maestro_plan_options_t *how, grid_t *grid) {
    int dims[3] = {0};
    MPI_Dims_create(nranks, ndims, dims);
    TRY(maestro_layout_blocks(ndims, shape, (int64_t[]){dims[0], dims[1], dims[2]}, options, &grid->layout));
    TRY(maestro_layout_local(grid->layout, rank, &grid->local));
    TRY(maestro_halo(grid->layout, MAESTRO_F64, comm, how, &grid->halo));
    for (int d = 0; d < ndims; d++) grid->owned[d] = grid->local.shape[d] - grid->local.low[d] - grid->local.high[d];
    for (int f = 0; f < 2; f++) {
        TRY(maestro_alloc((size_t)grid->local.nelements * sizeof(double), (void **)&grid->old[f])); /* of zeros */
        TRY(maestro_alloc((size_t)grid->local.nelements * sizeof(double), (void **)&grid->new[f]));
    }
}

static void grid_destroy(grid_t *grid) {
    TRY(maestro_plan_destroy(grid->halo));
    for (int f = 0; f < 2; f++) {
        TRY(maestro_dealloc(grid->old[f]));
        TRY(maestro_dealloc(grid->new[f]));
    }
    maestro_layout_destroy(grid->layout);
}

static void swap(grid_t *grid) {
    for (int f = 0; f < 2; f++) {
        double *old = grid->old[f];
        grid->old[f] = grid->new[f];
        grid->new[f] = old;
    }
}

/* Where the element (i, j, k) of the block lies, counted from its first owned one. */
static int64_t at(const grid_t *grid, int64_t i, int64_t j, int64_t k) {
    const maestro_local_t *local = &grid->local;
    int64_t place = (local->low[0] + i) * local->stride[0] + (local->low[1] + j) * local->stride[1];
    return local->ndims == 2 ? place : place + (local->low[2] + k) * local->stride[2];
}

/* ---- 2D */
static void start2(grid_t *grid) {
    for (int64_t i = 0; i < grid->owned[0]; i++)
        for (int64_t j = 0; j < grid->owned[1]; j++) {
            int64_t x = grid->local.first[0] + i, y = grid->local.first[1] + j;
            grid->old[0][at(grid, i, j, 0)] = (double)((7 * x + 13 * y) % 31) / 32;
            grid->old[1][at(grid, i, j, 0)] = (double)((5 * x + 11 * y) % 29) / 32;
        }
}

/* The new values of rows i0 to i1 and columns j0 to j1. */
static void step2(grid_t *grid, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    const int64_t s = grid->local.stride[0];
    for (int64_t i = i0; i < i1; i++)
        for (int64_t j = j0; j < j1; j++) {
            const double *u = grid->old[0] + at(grid, i, j, 0), *v = grid->old[1] + at(grid, i, j, 0);
            double sides = (u[-s] + u[s]) + (u[-1] + u[1]);
            double corners = (u[-s - 1] + u[-s + 1]) + (u[s - 1] + u[s + 1]);
            grid->new[0][at(grid, i, j, 0)] = (0.25 * u[0] + 0.125 * sides) + 0.0625 * corners;
            grid->new[1][at(grid, i, j, 0)] = v[0] + (0.5 * (v[-s] - v[0]) + 0.25 * (v[-1] - v[0]));
        }
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static void run2(grid_t *grid) {
    const int64_t n = grid->owned[0], m = grid->owned[1]; /* any, also 0 or 1 */
    const int64_t top = smaller(1, n), bottom = larger(top, n - 1), left = smaller(1, m), right = larger(left, m - 1);
    start2(grid);
    for (int step = 0; step < 40; step++) {
        TRY(maestro_plan_start(grid->halo, 2, NULL, (void **)grid->old));
        step2(grid, top, bottom, left, right); /* what needs no ghost cells */
        TRY(maestro_plan_wait(grid->halo, -1));
        step2(grid, 0, top, 0, m);
        step2(grid, bottom, n, 0, m);
        step2(grid, top, bottom, 0, left);
        step2(grid, top, bottom, right, m);
        swap(grid);
    }
}

/* ---- 3D */
static void start3(grid_t *grid) {
    for (int64_t i = 0; i < grid->owned[0]; i++)
        for (int64_t j = 0; j < grid->owned[1]; j++)
            for (int64_t k = 0; k < grid->owned[2]; k++) {
                int64_t x = grid->local.first[0] + i, y = grid->local.first[1] + j, z = grid->local.first[2] + k;
                grid->old[0][at(grid, i, j, k)] = (double)((7 * x + 13 * y + 3 * z) % 31) / 32;
                grid->old[1][at(grid, i, j, k)] = (double)((5 * x + 11 * y + 17 * z) % 29) / 32;
            }
}

static double faces(const double *t, int64_t s, int64_t r) { return ((t[-s] + t[s]) + (t[-r] + t[r])) + (t[-1] + t[1]); }

static double corners(const double *t, int64_t s, int64_t r) {
    const double *lower = t - s, *higher = t + s;
    return ((lower[-r - 1] + lower[-r + 1]) + (lower[r - 1] + lower[r + 1])) + ((higher[-r - 1] + higher[-r + 1]) + (higher[r - 1] + higher[r + 1]));
}

static void step3(grid_t *grid) {
    const int64_t s = grid->local.stride[0], r = grid->local.stride[1];
    for (int64_t i = 0; i < grid->owned[0]; i++)
        for (int64_t j = 0; j < grid->owned[1]; j++)
            for (int64_t k = 0; k < grid->owned[2]; k++) {
                const double *t = grid->old[0] + at(grid, i, j, k), *c = grid->old[1] + at(grid, i, j, k);
                grid->new[0][at(grid, i, j, k)] = (0.5 * t[0] + 0.0625 * faces(t, s, r)) + 0.015625 * corners(t, s, r);
                grid->new[1][at(grid, i, j, k)] = c[0] + (0.5 * (c[-1] - c[0]) + 0.125 * ((c[-2] - c[-1]) - (c[-1] - c[0])));
            }
}

static void run3(grid_t *grid) {
    start3(grid);
    for (int step = 0; step < 30; step++) {
        TRY(maestro_plan_run(grid->halo, 2, NULL, (void **)grid->old));
        step3(grid);
        swap(grid);
    }
}

/* ---- The result: gathered on rank 0 by a redistribution to a single part */
static unsigned checksum(const void *values, size_t nbytes) {
    const unsigned char *bytes = values;
    unsigned crc = ~0u;
    for (size_t i = 0; i < nbytes; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static void print_result(const char *title, const char *first, const char *second, const grid_t *grid, const int64_t *shape) {
    maestro_layout_t *whole = NULL;
    maestro_plan_t *gather;
    maestro_plan_options_t options;
    size_t nbytes = sizeof(double);
    double *result[2];
    maestro_plan_options_init(&options);
    options.max_fields = 2;
    for (int d = 0; d < grid->local.ndims; d++) nbytes *= (size_t)shape[d];
    for (int f = 0; f < 2; f++) TRY(maestro_alloc(rank == 0 ? nbytes : 0, (void **)&result[f]));
    if (rank == 0) TRY(maestro_layout_blocks(grid->local.ndims, shape, (int64_t[]){1, 1, 1}, NULL, &whole));
    TRY(maestro_redistribute(grid->layout, whole, MAESTRO_F64, comm, &options, &gather));
    TRY(maestro_plan_run(gather, 2, (const void *const *)grid->old, (void **)result));
    if (rank == 0) printf("%s: %s %08x, %s %08x\n", title, first, checksum(result[0], nbytes), second, checksum(result[1], nbytes));
    TRY(maestro_plan_destroy(gather));
    for (int f = 0; f < 2; f++) TRY(maestro_dealloc(result[f]));
    maestro_layout_destroy(whole);
}

int main(int argc, char **argv) {
    static const int64_t plane[] = {50, 37}, room[] = {20, 14, 11};
    maestro_layout_options_t ghosts;
    maestro_plan_options_t how;
    grid_t grid;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    comm = MPI_Comm_c2f(MPI_COMM_WORLD);

    maestro_layout_options_init(&ghosts);
    maestro_plan_options_init(&how);
    how.max_fields = 2;
    for (int d = 0; d < 3; d++) ghosts.low[d] = ghosts.high[d] = 1;
    how.periodic[0] = true;
    grid_create(2, plane, &ghosts, &how, &grid);
    run2(&grid);
    print_result("2D", "u", "v", &grid, plane);
    grid_destroy(&grid);

    ghosts.low[2] = 2;
    how.periodic[2] = true;
    grid_create(3, room, &ghosts, &how, &grid);
    run3(&grid);
    print_result("3D", "t", "c", &grid, room);
    grid_destroy(&grid);
    MPI_Finalize();
    return 0;
}
