/* A matrix in row blocks becomes column blocks, stored by columns: each rank gets its columns as one contiguous array.  mpirun -n 2 example_transpose
 *
 * The plan is made once, by all ranks together, and used for every step.  Rows are in memory from maestro_alloc, so ranks of one node copy them straight
 * out of each other's memory. */
#include <maestro.h>
#include <mpi.h>
#include <stdio.h>

enum { N = 1000 };

#define TRY(call)                                                          \
    do {                                                                   \
        if ((call) != MAESTRO_OK) {                                        \
            fprintf(stderr, "%s\n", maestro_last_error());                 \
            MPI_Abort(MPI_COMM_WORLD, 1);                                  \
        }                                                                  \
    } while (0)

int main(int argc, char **argv) {
    int rank, nranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);

    maestro_layout_t *rows, *columns;
    maestro_layout_options_t by_columns;
    maestro_layout_options_init(&by_columns);
    by_columns.order = MAESTRO_COLUMN_MAJOR;
    TRY(maestro_layout_blocks(2, (int64_t[]){N, N}, (int64_t[]){nranks, 1}, NULL, &rows));
    TRY(maestro_layout_blocks(2, (int64_t[]){N, N}, (int64_t[]){1, nranks}, &by_columns, &columns));

    maestro_local_t mine, wanted; /* how this rank's parts lie in memory */
    TRY(maestro_layout_local(rows, rank, &mine));
    TRY(maestro_layout_local(columns, rank, &wanted));
    double *from, *to;
    TRY(maestro_alloc((size_t)mine.nelements * sizeof *from, (void **)&from));
    TRY(maestro_alloc((size_t)wanted.nelements * sizeof *to, (void **)&to));

    maestro_plan_t *plan;
    TRY(maestro_redistribute(rows, columns, sizeof *from, MPI_Comm_c2f(MPI_COMM_WORLD), NULL, &plan));
    int wrong = 0;
    for (int step = 0; step < 3; step++) {
        for (int64_t i = 0; i < mine.shape[0]; i++)
            for (int64_t j = 0; j < N; j++) from[i * mine.stride[0] + j] = (double)((mine.first[0] + i) * N + j + step);
        TRY(maestro_plan_run(plan, 1, (const void *[]){from}, (void *[]){to}));
        for (int64_t j = 0; j < wanted.shape[1]; j++)
            for (int64_t i = 0; i < N; i++) wrong += to[j * wanted.stride[1] + i] != (double)(i * N + wanted.first[1] + j + step);
    }

    char *text;
    TRY(maestro_plan_explain(plan, &text));
    printf("rank %d: %d elements are wrong; %s\n", rank, wrong, text);
    maestro_free(text);
    TRY(maestro_plan_destroy(plan));
    TRY(maestro_dealloc(from));
    TRY(maestro_dealloc(to));
    maestro_layout_destroy(rows);
    maestro_layout_destroy(columns);
    MPI_Finalize();
    return wrong != 0;
}
