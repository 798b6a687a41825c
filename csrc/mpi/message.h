/* What links say to each other: a kind, a head, and what follows it. */
#ifndef MST_MPI_MESSAGE_H
#define MST_MPI_MESSAGE_H

#include <stdint.h>

typedef enum mst_mpi_message {
    MST_MPI_NEED = 1,    /* need head, selector */
    MST_MPI_RETRACT,     /* need head */
    MST_MPI_RETRACT_ALL, /* a word; all that the sender needed */
    MST_MPI_KNOWN,       /* object head, attributes: it is there, on the sender's node */
    MST_MPI_OBJECT,      /* the same: it is needed, and can be got */
    MST_MPI_DONE,        /* done head: it was got */
    MST_MPI_GONE,        /* id: it is there no more */
    MST_MPI_BYE,         /* a word; the sender gets nothing any more */
} mst_mpi_message_t;

typedef struct mst_mpi_need_head {
    int64_t number;
    uint64_t demand; /* exactly one object is asked for; then the selector's text */
} mst_mpi_need_head_t;

typedef struct mst_mpi_object_head {
    uint64_t id, nbytes;
    int64_t address;      /* in the window */
    uint32_t part, parts; /* of an object of several; then the attributes */
} mst_mpi_object_head_t;

typedef struct mst_mpi_done_head {
    uint64_t id, part;
    uint64_t refused; /* there is no copy */
} mst_mpi_done_head_t;

#endif
