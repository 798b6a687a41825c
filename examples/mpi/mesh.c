/* A cubed sphere, smoothed over the edges of its faces, two fields in one halo exchange: bit for bit the same on any number of ranks.
 * mpirun -n 4 example_mesh
 *
 * Six faces of N x N cells, each cut into tiles, of which a rank has some, one after the other in its memory.  A layout of indices says what lies where: a
 * tile's own cells, and a frame of ghost cells around them, which beyond an edge are cells of the neighbouring face.  So any mesh is described whose cells have
 * numbers: each rank lists those that it has, and those that it only reads.
 *
 * The recipe, for other languages (mesh.py, mesh.f90).  Doubles throughout; factors are powers of two and sums are in the order of the parentheses, as in
 * stencil.c.  The array has shape (6, 24, 24); a tile is 8 x 8; tiles are numbered by face, i, j and dealt evenly, in their order.
 *     Where faces meet: on a cube from -N to N, face f lies where coordinate f mod 3 is N (f < 3) or -N; i counts along the next coordinate, j along the one
 *     after that, in turn.  Cells are 2 wide.  Where i or j lies one beyond an edge, its coordinate is that of the edge, and the face's own one is nearer to 0
 *     by 1: that is the middle of a cell of the neighbouring face.  Beyond a corner of the cube there is no cell: its value is 0.
 * 30 steps, all new values of old ones, along a face's own i and j:
 *     u(f,i,j) = ((7 i + 13 j + 3 f) mod 31) / 32      new u = (0.25 u + 0.125 sides u) + 0.0625 corners u
 *     v(f,i,j) = ((5 i + 11 j + 17 f) mod 29) / 32     new v = (0.5 v + 0.0625 sides v) + 0.25 u
 *         sides x   = (x(i-1,j) + x(i+1,j)) + (x(i,j-1) + x(i,j+1))
 *         corners x = (x(i-1,j-1) + x(i-1,j+1)) + (x(i+1,j-1) + x(i+1,j+1))
 * Printed is the CRC-32 (zlib's) of the bytes of each field, gathered in row-major order, little-endian. */
#include <maestro.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY(call)                                                          \
    do {                                                                   \
        if ((call) != MAESTRO_OK) {                                        \
            fprintf(stderr, "%s\n", maestro_last_error());                 \
            MPI_Abort(MPI_COMM_WORLD, 1);                                  \
        }                                                                  \
    } while (0)

enum { N = 24, TILE = 8, ROOM = TILE + 2, STEPS = 30, PER_FACE = (N / TILE) * (N / TILE) };

static const int64_t shape[] = {6, N, N};
static int rank, nranks;
static maestro_comm_t comm;

/* ---- The mesh */
static int64_t number_of(int64_t face, int64_t i, int64_t j) { return (face * N + i) * N + j; }

/* The number of cell (i, j) of a face, which may lie one beyond its edge; -1 beyond a corner, where three faces meet and no cell is. */
static int64_t cell(int64_t face, int64_t i, int64_t j) {
    int64_t x[3], normal = face % 3, side = face < 3 ? 1 : -1; /* x: its middle */
    bool beyond_i = i < 0 || i >= N, beyond_j = j < 0 || j >= N;
    if (!beyond_i && !beyond_j) return number_of(face, i, j);
    if (beyond_i && beyond_j) return -1;
    x[normal] = side * (N - 1);
    x[(normal + 1) % 3] = beyond_i ? (i < 0 ? -N : N) : 2 * i + 1 - N;
    x[(normal + 2) % 3] = beyond_j ? (j < 0 ? -N : N) : 2 * j + 1 - N;
    normal = (normal + (beyond_i ? 1 : 2)) % 3;
    return number_of(x[normal] > 0 ? normal : normal + 3, (x[(normal + 1) % 3] + N) / 2, (x[(normal + 2) % 3] + N) / 2);
}

typedef struct mesh {
    int64_t first, ntiles;    /* this rank's tiles */
    int64_t count;            /* places in its memory */
    int64_t *cells;           /* of each place; -1: none */
    maestro_layout_t *layout;
    double *old[2], *new[2];  /* u and v, in memory that other ranks of the node can read */
} mesh_t;

/* What lies where in memory. */
static void list_cells(mesh_t *mesh, bool *is_ghost) {
    int64_t place = 0;
    for (int64_t t = mesh->first; t < mesh->first + mesh->ntiles; t++) {
        int64_t face = t / PER_FACE, i0 = t % PER_FACE / (N / TILE) * TILE, j0 = t % (N / TILE) * TILE;
        for (int64_t i = -1; i <= TILE; i++)
            for (int64_t j = -1; j <= TILE; j++, place++) {
                mesh->cells[place] = cell(face, i0 + i, j0 + j);
                is_ghost[place] = i < 0 || i == TILE || j < 0 || j == TILE;
            }
    }
}

static void mesh_create(mesh_t *mesh) {
    mesh->first = (int64_t)6 * PER_FACE * rank / nranks;
    mesh->ntiles = (int64_t)6 * PER_FACE * (rank + 1) / nranks - mesh->first;
    mesh->count = mesh->ntiles * ROOM * ROOM;
    mesh->cells = malloc((size_t)(mesh->count + 1) * sizeof *mesh->cells);
    bool *is_ghost = malloc((size_t)mesh->count + 1);
    if (!mesh->cells || !is_ghost) MPI_Abort(MPI_COMM_WORLD, 1);
    list_cells(mesh, is_ghost);
    TRY(maestro_layout_indices(3, shape, mesh->count, mesh->cells, is_ghost, &mesh->layout));
    free(is_ghost);
    for (int f = 0; f < 2; f++) {
        TRY(maestro_alloc((size_t)mesh->count * sizeof(double), (void **)&mesh->old[f])); /* of zeros, which stay where no cell is */
        TRY(maestro_alloc((size_t)mesh->count * sizeof(double), (void **)&mesh->new[f]));
    }
}

static void mesh_destroy(mesh_t *mesh) {
    for (int f = 0; f < 2; f++) {
        TRY(maestro_dealloc(mesh->old[f]));
        TRY(maestro_dealloc(mesh->new[f]));
    }
    maestro_layout_destroy(mesh->layout);
    free(mesh->cells);
}

/* ---- The fields */
static int64_t place_of(int64_t tile, int64_t i, int64_t j) { return (tile * ROOM + 1 + i) * ROOM + 1 + j; }

static void start(mesh_t *mesh) {
    for (int64_t t = 0; t < mesh->ntiles; t++)
        for (int64_t i = 0; i < TILE; i++)
            for (int64_t j = 0; j < TILE; j++) {
                int64_t at = place_of(t, i, j), c = mesh->cells[at], f = c / (N * N), x = c / N % N, y = c % N;
                mesh->old[0][at] = (double)((7 * x + 13 * y + 3 * f) % 31) / 32;
                mesh->old[1][at] = (double)((5 * x + 11 * y + 17 * f) % 29) / 32;
            }
}

static double sides(const double *x) { return (x[-ROOM] + x[ROOM]) + (x[-1] + x[1]); }

static double corners(const double *x) { return (x[-ROOM - 1] + x[-ROOM + 1]) + (x[ROOM - 1] + x[ROOM + 1]); }

static void smooth(mesh_t *mesh) {
    for (int64_t t = 0; t < mesh->ntiles; t++)
        for (int64_t i = 0; i < TILE; i++)
            for (int64_t j = 0; j < TILE; j++) {
                int64_t at = place_of(t, i, j);
                const double *u = mesh->old[0] + at, *v = mesh->old[1] + at;
                mesh->new[0][at] = (0.25 * u[0] + 0.125 * sides(u)) + 0.0625 * corners(u);
                mesh->new[1][at] = (0.5 * v[0] + 0.0625 * sides(v)) + 0.25 * u[0];
            }
}

static void run(mesh_t *mesh) {
    maestro_plan_options_t how;
    maestro_plan_t *halo;
    maestro_plan_options_init(&how);
    how.max_fields = 2;
    TRY(maestro_halo(mesh->layout, MAESTRO_F64, comm, &how, &halo));
    start(mesh);
    for (int step = 0; step < STEPS; step++) {
        TRY(maestro_plan_run(halo, 2, NULL, (void **)mesh->old));
        smooth(mesh);
        for (int f = 0; f < 2; f++) {
            double *old = mesh->old[f];
            mesh->old[f] = mesh->new[f];
            mesh->new[f] = old;
        }
    }
    TRY(maestro_plan_destroy(halo));
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

static void print_result(const mesh_t *mesh) {
    maestro_layout_t *whole = NULL;
    maestro_plan_t *gather;
    maestro_plan_options_t options;
    const size_t nbytes = 6 * N * N * sizeof(double);
    double *result[2];
    maestro_plan_options_init(&options);
    options.max_fields = 2;
    for (int f = 0; f < 2; f++) TRY(maestro_alloc(rank == 0 ? nbytes : 0, (void **)&result[f]));
    if (rank == 0) TRY(maestro_layout_blocks(3, shape, (int64_t[]){1, 1, 1}, NULL, &whole));
    TRY(maestro_redistribute(mesh->layout, whole, MAESTRO_F64, comm, &options, &gather));
    TRY(maestro_plan_run(gather, 2, (const void *const *)mesh->old, (void **)result));
    if (rank == 0) printf("mesh: u %08x, v %08x\n", checksum(result[0], nbytes), checksum(result[1], nbytes));
    TRY(maestro_plan_destroy(gather));
    for (int f = 0; f < 2; f++) TRY(maestro_dealloc(result[f]));
    maestro_layout_destroy(whole);
}

int main(int argc, char **argv) {
    mesh_t mesh;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    comm = MPI_Comm_c2f(MPI_COMM_WORLD);
    mesh_create(&mesh);
    run(&mesh);
    print_result(&mesh);
    mesh_destroy(&mesh);
    MPI_Finalize();
    return 0;
}
