/* A node in the job of links: its pool's session, the post between the links, and the window through which others read its segments. */
#ifndef MST_MPI_NODE_H
#define MST_MPI_NODE_H

#include "client/client.h"
#include "mpi/link.h"
#include "mpi/message.h"
#include "mpi/post.h"

typedef struct mst_mpi_node {
    maestro_session_t *session;
    mst_mpi_post_t post;
    MPI_Win window;
    char (*name)[64]; /* of all nodes, by rank */
    bool *attached;   /* segments to the window, by number */
    uint32_t nattached;
    bool stopping;    /* the job ends in good order */
} mst_mpi_node_t;

/* Opens the session and meets the others; collective.  False on all ranks alike: they cannot work together, and each has said why. */
bool mst_mpi_node_init(mst_mpi_node_t *node, const mst_mpi_link_options_t *options);
void mst_mpi_node_fini(mst_mpi_node_t *node); /* collective */

/* Both are collective. */
void mst_mpi_node_open_window(mst_mpi_node_t *node);
void mst_mpi_node_close_window(mst_mpi_node_t *node);
bool mst_mpi_node_expose(mst_mpi_node_t *node, uint32_t segment); /* from now on, others can read it */

/* True for an error, which is reported; if the pool's manager has gone the job ends. */
bool mst_mpi_node_failed(mst_mpi_node_t *node, maestro_status_t status, const char *what);
void mst_mpi_node_tell(mst_mpi_node_t *node, mst_mpi_message_t kind, const void *head, size_t head_nbytes, const void *body, size_t body_nbytes); /* all others */

static inline const char *mst_mpi_node_name(const mst_mpi_node_t *node) { return node->name[node->post.rank]; }

#endif
