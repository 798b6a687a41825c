/* The pool manager's parts and how they see each other.  One thread, one loop; nothing in it does I/O or takes longer than 100 us at a time:
 * long work (searches, snapshots, indexing) is cut into slices.  Each part has a header of its name; what all share stands here.
 *
 *   arena      memory of objects' metadata, named by 32-bit handles
 *   object     what lies there; template: what objects have in common
 *   catalogue  live objects: identity, leases, end of life; identities: the table of them
 *   log        numbered events, and the live objects in the order of their offers
 *   ahead      objects that groups hand out before others
 *   lifetime   objects whose lives have an end, or none before an archive has them
 *   parts      objects that several offers make together
 *   lending    segments lent to sessions, limits, the way back of blocks
 *   session    one client: its rings, leases, counters; serve: what comes through the rings; offers: objects among that
 *   subscription, request, search   what clients wait for; group: what several share; need: that they do, told to who provides
 *   elsewhere  what lies on other nodes
 *   helper     the one other thread, for what takes longer
 *   manager    the loop, and all of these together: mst_pool_t; stats: in numbers
 */
#ifndef MST_POOL_H
#define MST_POOL_H

#include "base/base.h"

#define MST_POOL_NONE UINT32_MAX

typedef struct mst_pool mst_pool_t;
typedef struct mst_pool_session mst_pool_session_t;
typedef struct mst_pool_lease mst_pool_lease_t;
typedef struct mst_pool_subscription mst_pool_subscription_t;
typedef struct mst_pool_request mst_pool_request_t;
typedef struct mst_pool_group mst_pool_group_t;
typedef struct mst_pool_member mst_pool_member_t;
typedef struct mst_pool_requirement mst_pool_requirement_t;
typedef struct mst_pool_whole mst_pool_whole_t;

#endif
