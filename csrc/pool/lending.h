/* Segments lent to sessions, limits, the way back of blocks. */
#ifndef MST_POOL_LENDING_H
#define MST_POOL_LENDING_H

#include "pool/pool.h"
#include "wire/protocol.h"

typedef struct mst_pool_segment {
    int fd, readonly_fd;
    uint32_t owner;             /* session it is lent to; 0: none */
    uint64_t nbytes;
    uint64_t blocks, used_nbytes; /* of objects that have not ended */
    uint32_t *readers;          /* sessions that may have it mapped */
    size_t nreaders, readers_capacity;
} mst_pool_segment_t;

typedef struct mst_pool_lending {
    mst_pool_segment_t **segment; /* by number; NULL: gone */
    size_t count, capacity;
    uint64_t limit, lent_nbytes, used_nbytes, idle_nbytes; /* lent: all segments; idle: those of nobody, kept warm */
    uint64_t used_peak;
    uint64_t changes;             /* counts events after which a refused grant may succeed */
} mst_pool_lending_t;

void mst_pool_lending_init(mst_pool_t *pool);
void mst_pool_lending_fini(mst_pool_t *pool);
/* OK; AGAIN when there is no room now; TOO_LARGE when there never is; SYSTEM.  Text of AGAIN names who holds the room. */
maestro_status_t mst_pool_lending_grant(mst_pool_t *pool, mst_pool_session_t *session, uint64_t nbytes, uint32_t *number_out);
maestro_status_t mst_pool_lending_return(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number);
maestro_status_t mst_pool_lending_fetch(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number, int *fd_out, uint64_t *nbytes_out, bool *writable_out);
bool mst_pool_lending_place_ok(mst_pool_t *pool, const mst_pool_session_t *session, const mst_wire_place_t *place);
void mst_pool_lending_block_taken(mst_pool_t *pool, const mst_wire_place_t *place);
void mst_pool_lending_block_ended(mst_pool_t *pool, uint64_t id, const mst_wire_place_t *place); /* back to its owner, or to nobody */
void mst_pool_lending_orphan(mst_pool_t *pool, mst_pool_session_t *session);
void mst_pool_lending_holders(mst_pool_t *pool, char *text, size_t nbytes); /* "hammer[0] 512 MiB, ..." */

#endif
