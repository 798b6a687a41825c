/* Where a Fortran program begins and ends with MPI.  The MPI of Python wheels has no Fortran; with one that has, `use mpi_f08` instead: mpi_init,
 * mpi_comm_rank, mpi_comm_size, mpi_finalize, and MPI_COMM_WORLD%MPI_VAL for `comm`. */
#include <mpi.h>
#include <stddef.h>

void world_begin(int *comm, int *rank, int *nranks);
void world_end(void);

void world_begin(int *comm, int *rank, int *nranks) {
    MPI_Init(NULL, NULL);
    *comm = MPI_Comm_c2f(MPI_COMM_WORLD);
    MPI_Comm_rank(MPI_COMM_WORLD, rank);
    MPI_Comm_size(MPI_COMM_WORLD, nranks);
}

void world_end(void) { MPI_Finalize(); }
