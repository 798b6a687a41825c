/* The ranks of a program in C, the first N of the world, give rows of a[i][j] = 1000 i + j to those of mpi_take.f90.  mpirun -n N give N : -n M take N */
#include <maestro.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 23, COLUMNS = 31 };

static void check(maestro_status_t status) {
    if (status == MAESTRO_OK) return;
    fprintf(stderr, "%s\n", maestro_last_error());
    MPI_Abort(MPI_COMM_WORLD, 1);
}

int main(int argc, char **argv) {
    static double a[ROWS * COLUMNS];
    int rank;
    maestro_layout_t *rows;
    maestro_local_t local;
    maestro_plan_t *plan;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    check(maestro_layout_blocks(2, (int64_t[]){ROWS, COLUMNS}, (int64_t[]){atoi(argv[1]), 1}, NULL, &rows));
    check(maestro_layout_local(rows, rank, &local));
    for (int64_t i = 0; i < local.shape[0]; i++)
        for (int64_t j = 0; j < COLUMNS; j++) a[i * COLUMNS + j] = (double)(1000 * (local.first[0] + i) + j);
    check(maestro_redistribute(rows, NULL, MAESTRO_F64, MPI_Comm_c2f(MPI_COMM_WORLD), NULL, &plan));
    check(maestro_plan_run(plan, 1, (const void *[]){a}, NULL));
    check(maestro_plan_destroy(plan));
    maestro_layout_destroy(rows);
    MPI_Finalize();
}
