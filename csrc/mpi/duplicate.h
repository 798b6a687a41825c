/* The duplicate of a communicator: an attribute of the application's, so that whatever is made on it uses the same one. */
#ifndef MST_MPI_DUPLICATE_H
#define MST_MPI_DUPLICATE_H

#include "mpi/comm.h"

#include <stdatomic.h>

struct mst_mpi_duplicate {
    mst_mpi_comm_t comm;
    int *node_ranks;
    _Atomic int users;  /* what is open */
    bool spoilt;        /* see mst_mpi_comm_spoil */
    bool lost;          /* a collective call on it has not ended, so there can be no other */
    int here[2], all_here[2]; /* the steps before it is made, on the application's communicator */
    MPI_Request step[2];
    int64_t nmade;      /* how many tags it has given */
    int64_t own[3 + 2 * MST_MPI_SAME_MAX], least[3 + 2 * MST_MPI_SAME_MAX]; /* what is compared */
};

/* Collective where it is made. */
maestro_status_t mst_mpi_duplicate_of(const char *what, mst_mpi_theirs_t *theirs, mst_mpi_comm_t *comm_out);

#endif
