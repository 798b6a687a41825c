/* Memory of the application that other ranks of its node can read: segments, found by an address in them. */
#ifndef MST_MPI_MEMORY_H
#define MST_MPI_MEMORY_H

#include "base/base.h"

/* How another process of the node comes to a segment: by the descriptor that this process has of it. */
typedef struct mst_mpi_segment {
    uint64_t nbytes;
    uint64_t device, inode; /* which file it must be */
    uint64_t serial;        /* never that of another segment of this process */
    int64_t pid;
    int64_t fd;
} mst_mpi_segment_t;

/* Makes a segment and maps it.  The caller ends both, with mst_mpi_segment_unmap where MPI has never seen the memory, else munmap, and with close. */
maestro_status_t mst_mpi_segment_create(uint64_t nbytes, mst_mpi_segment_t *segment_out, void **base_out);
/* Maps another process's segment, to be read.  SYSTEM: it cannot be reached, as from another container. */
maestro_status_t mst_mpi_segment_map(const mst_mpi_segment_t *segment, const void **base_out);
/* Without a word to MPI: MPICH's UCX listens to munmap, and keeps 150 bytes for ever each time. */
void mst_mpi_segment_unmap(const void *base, uint64_t nbytes);

/* The segment of maestro_alloc in which memory lies, and where; false: it lies in none. */
bool mst_mpi_memory_find(const void *memory, mst_mpi_segment_t *segment_out, uint64_t *offset_out);

#endif
