/* All ranks of a model hold some points of a field; two of them write it, half of the rows each.  mpirun -n 3 example_writers
 *
 * Each rank says itself what it holds, by boxes or by indices: no rank knows all of it.  The model goes on while the field is under way. */
#include <maestro.h>
#include <mpi.h>
#include <stdio.h>

enum { NLAT = 90, NLON = 180 };

#define TRY(call)                                                          \
    do {                                                                   \
        maestro_status_t try_status_ = (call);                             \
        if (try_status_ < 0) {                                             \
            fprintf(stderr, "%s\n", maestro_last_error());                 \
            MPI_Abort(MPI_COMM_WORLD, 1);                                  \
        }                                                                  \
    } while (0)

static const int64_t shape[] = {NLAT, NLON};

static double value_of(int64_t index) { return 270.0 + (double)index * 1e-3; }

/* The last rank has the southern half, as a box; the others have the points of the northern half in turn.  A rank that is alone has all. */
static maestro_layout_t *make_held(int rank, int nranks, double *values) {
    static int64_t indices[NLAT * NLON];
    const int64_t begin[] = {nranks > 1 ? NLAT / 2 : 0, 0};
    maestro_layout_t *layout;
    int64_t count = 0;
    if (rank == nranks - 1) {
        TRY(maestro_layout_boxes(2, shape, 1, begin, shape, NULL, &layout));
        for (int64_t i = begin[0] * NLON; i < NLAT * NLON; i++) values[count++] = value_of(i);
        return layout;
    }
    for (int64_t i = rank; i < NLAT / 2 * NLON; i += nranks - 1) {
        values[count] = value_of(i);
        indices[count++] = i;
    }
    TRY(maestro_layout_indices(2, shape, count, indices, NULL, &layout));
    return layout;
}

int main(int argc, char **argv) {
    static double held[NLAT * NLON], written[NLAT * NLON];
    int rank, nranks, wrong = 0;
    long steps = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);

    maestro_layout_t *from = make_held(rank, nranks, held), *to;
    TRY(maestro_layout_blocks(2, shape, (int64_t[]){nranks > 1 ? 2 : 1, 1}, NULL, &to));
    bool writes = rank < maestro_layout_nparts(to);

    maestro_plan_t *plan;
    TRY(maestro_redistribute(from, writes ? to : NULL, sizeof *held, MPI_Comm_c2f(MPI_COMM_WORLD), NULL, &plan));
    TRY(maestro_plan_start(plan, 1, (const void *[]){held}, (void *[]){written}));
    maestro_status_t status;
    do {
        steps++; /* the model computes here */
        TRY(status = maestro_plan_test(plan));
    } while (status == MAESTRO_IN_PROGRESS);

    if (writes) {
        maestro_local_t local;
        TRY(maestro_layout_local(to, rank, &local));
        for (int64_t i = 0; i < local.nelements; i++) wrong += written[i] != value_of(local.first[0] * NLON + i);
        printf("rank %d writes %lld rows, %d points are wrong\n", rank, (long long)local.shape[0], wrong);
    }
    TRY(maestro_plan_destroy(plan));
    maestro_layout_destroy(from);
    maestro_layout_destroy(to);
    MPI_Finalize();
    return wrong != 0 || steps == 0;
}
