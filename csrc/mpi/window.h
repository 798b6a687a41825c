/* Windows of a rank: segments of another rank that it has mapped, to be read again. */
#ifndef MST_MPI_WINDOW_H
#define MST_MPI_WINDOW_H

#include "mpi/memory.h"

typedef struct mst_mpi_window mst_mpi_window_t;

typedef struct mst_mpi_windows { /* all zero: none */
    size_t count;
    mst_mpi_window_t *last; /* the last used first */
} mst_mpi_windows_t;

/* Where the segment begins here; it stays until `most` others have been used since. */
maestro_status_t mst_mpi_windows_open(mst_mpi_windows_t *windows, const mst_mpi_segment_t *segment, size_t most, const char **base_out);
void mst_mpi_windows_fini(mst_mpi_windows_t *windows);

#endif
