/* The link: the process that joins a node's pool to the pools of other nodes.  All links are one MPI job, one link per node.
 *
 * What is needed on a node (subscriptions, demands that wait, declared needs) its link tells the others; they subscribe to it in their pools, and name the
 * objects that match, with their attributes.  The link gets the bytes by one MPI_Get from the window of the other link into its own node's pool and offers the
 * copy, marked with maestro.node, where every reader of the node finds it until the original is withdrawn. */
#ifndef MST_MPI_LINK_H
#define MST_MPI_LINK_H

#include "base/base.h"

typedef struct mst_mpi_link_options {
    const char *pool, *schema; /* as in maestro_session_options_t */
    bool json;                 /* reports as JSON lines */
} mst_mpi_link_options_t;

/* Runs until a signal ends the job, or the pool's manager has gone; initialises and finalises MPI.  Collective over the job; the exit code of the process. */
int mst_mpi_link_run(int *argc, char ***argv, const mst_mpi_link_options_t *options);

#endif
