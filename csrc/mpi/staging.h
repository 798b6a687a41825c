/* Fields that lie on a device have a stand-in in host memory, which the methods of a plan read and write instead.  It is from maestro_alloc, so that
 * other ranks read it where it is; made when it is first needed, and kept for the plan's other uses.
 * A use: what it reads is copied to stand-ins before the exchange begins, what it has written is copied back when the exchange is done. */
#ifndef MST_MPI_STAGING_H
#define MST_MPI_STAGING_H

#include "mem/device.h"
#include "mpi/match.h"

typedef struct mst_mpi_standin {
    void *host;    /* NULL: it has never been needed */
    void *device;  /* the field of the use under way; NULL: that is in host memory */
    mst_mem_place_t place;
} mst_mpi_standin_t;

typedef struct mst_mpi_staging {
    int64_t nelements[MST_MPI_SIDES];          /* of this rank's parts, ghost cells too */
    mst_mpi_standin_t *standin[MST_MPI_SIDES]; /* of each field; NULL: none of that side has been needed */
    void *stream;
    bool lands;   /* targets of the use under way have stand-ins */
    bool landing; /* which are on their way back */
} mst_mpi_staging_t;

/* Local.  Of a plan whose layouts have been matched. */
void mst_mpi_staging_init(maestro_plan_t *plan, const mst_mpi_request_t *request);
/* Where the plan has failed MPI may still write to stand-ins, so they stay. */
void mst_mpi_staging_fini(maestro_plan_t *plan);

/* Puts stand-ins in the places of those of plan->from and plan->to that lie on a device.  After an error nothing has begun.
 * Errors: INVALID_ARGUMENT (the stream is not the memory's), SYSTEM. */
maestro_status_t mst_mpi_staging_begin(maestro_plan_t *plan, void *stream);
/* After the exchange, where staging.lands: OK when the targets are complete; IN_PROGRESS: look again. */
maestro_status_t mst_mpi_staging_land(maestro_plan_t *plan);

#endif
