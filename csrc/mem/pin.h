/* Which cores are near a memory: the choice, its reasons, and the binding to it.  "Core" is what the affinity mask counts, a hardware thread. */
#ifndef MST_MEM_PIN_H
#define MST_MEM_PIN_H

#include "mem/binding.h"
#include "mem/segment.h"
#include "mem/topology.h"

typedef struct mst_mem_choice {
    hwloc_bitmap_t domain; /* cores near the memory that may be used */
    hwloc_bitmap_t cores;  /* of these, the part of one rank */
    hwloc_bitmap_t nodes;  /* the NUMA nodes that these cores belong to */
    char why[256];
} mst_mem_choice_t;

/* The cores of `allowed` near NUMA node `node`: its own; else those of the nearest node that has any, by the machine's distances, else by its
 * hierarchy.  Equally near ones are taken together.  Rank `rank` of `nranks` gets a connected part: whole cores with all their hardware threads
 * while there are enough, then hardware threads, then shared ones.  The caller ends the choice.  Errors: NOT_FOUND, INVALID_ARGUMENT, SYSTEM. */
maestro_status_t mst_mem_choose(hwloc_topology_t topology, int node, hwloc_const_bitmap_t allowed, int64_t rank, int64_t nranks,
                                mst_mem_choice_t *choice_out);
void mst_mem_choice_fini(mst_mem_choice_t *choice);

typedef struct mst_mem_pin_wish {
    pid_t pid;            /* as for mst_mem_bind */
    int64_t rank, nranks;
    bool dry;             /* choose only; on a recorded machine (topology.h) that is all there is to do */
} mst_mem_pin_wish_t;

/* Chooses cores of what the thread or process may use near `residence`, binds to them unless dry, and appends a JSON object that says what and why
 * (maestro_pin_describe).  `binding_out` is written unless dry.  Errors: NOT_FOUND, INVALID_ARGUMENT, WRONG_STATE, SYSTEM. */
maestro_status_t mst_mem_pin(const mst_mem_residence_t *residence, const mst_mem_pin_wish_t *wish, mst_base_buffer_t *said, mst_mem_binding_t **binding_out);

#endif
