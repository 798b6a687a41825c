/* The rendezvous of a node's pool: where the socket lies, who may listen there, packets with descriptors.
 * The directory is private to the user; the lock file's flock, held for the manager's life, is the election. */
#ifndef MST_WIRE_SOCKET_H
#define MST_WIRE_SOCKET_H

#include "base/base.h"

typedef struct mst_wire_rendezvous {
    char directory[96];
    char node[64];
    char pool[64];
    char socket[108];
    char lock[160], log[160];
} mst_wire_rendezvous_t;

/* Fills in the paths for a pool's name (NULL: MAESTRO_POOL, else "default") and makes the directory.  A name with a '/' is the path of a socket.
 * Errors: INVALID_ARGUMENT (name), SYSTEM (path too long, directory of another user or open to others). */
maestro_status_t mst_wire_rendezvous_init(mst_wire_rendezvous_t *rendezvous, const char *pool);

/* Manager: takes the lock (AGAIN when another holds it), replaces a stale socket, listens. */
maestro_status_t mst_wire_listen(const mst_wire_rendezvous_t *rendezvous, int *lock_fd_out, int *listen_fd_out);
/* Client: AGAIN when nobody listens; REFUSED when the listener is another user's. */
maestro_status_t mst_wire_connect(const mst_wire_rendezvous_t *rendezvous, int *fd_out);
/* User id and process id of a connected peer, told by the kernel. */
maestro_status_t mst_wire_peer(int fd, unsigned *uid_out, int *pid_out);

enum { MST_WIRE_FDS_MAX = 8 };
/* One packet with up to MST_WIRE_FDS_MAX descriptors.  Errors: SYSTEM; AGAIN when it would block. */
maestro_status_t mst_wire_send(int fd, const void *bytes, size_t nbytes, const int *fds, size_t nfds);
/* Waits until the deadline (0: does not wait).  Received descriptors are close-on-exec; *nfds_inout: room, then how many came (further ones are
 * closed).  END when the peer has closed, INTERRUPTED when a signal ended the wait.  Errors: TIMEOUT, PROTOCOL (longer than `capacity`), SYSTEM. */
maestro_status_t mst_wire_receive(int fd, void *bytes, size_t capacity, size_t *nbytes_out, int *fds, size_t *nfds_inout, int64_t deadline_ns);

#endif
