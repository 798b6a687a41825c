/* How packed bytes are left for another core.  Written through the caches they are read soonest, but where the other's caches hold the lines of an earlier use,
 * each of them is to be taken away from it first; past the caches that is nearly free, and reading takes longer.  Measured on an AMD EPYC (Zen 4) with 256 KiB,
 * to write and to read: cores that share a cache 5 + 5 us through it and 10 + 18 us past it; others 36 + 7 or, farther away, 200 + 15, and 10 + 18.
 * Which it is depends on where ranks run, and may change: each handover times what it does, and changes its way. */
#ifndef MST_ARRAY_HANDOVER_H
#define MST_ARRAY_HANDOVER_H

#include "array/copy.h"

enum { MST_ARRAY_HANDOVER_LEAST = 4 << 10 }; /* what is less goes through the caches, and is not timed */

typedef struct mst_array_handover { /* to one rank; all zero at first */
    float ns, kib;          /* since the last end */
    float last_ns, past_ns; /* of a KiB: of the last use, and past the caches */
    bool cached;            /* it goes through the caches */
    uint8_t pause;          /* after how many uses past them they are tried again, as a power of two */
    uint16_t uses;          /* since that changed, up to a bound */
} mst_array_handover_t;

/* Where bytes are packed that go past the caches and are no lines; all zero at first.  It belongs to one plan. */
typedef struct mst_array_scratch {
    char *bytes;
    size_t capacity;
} mst_array_scratch_t;

void mst_array_scratch_fini(mst_array_scratch_t *scratch);

/* Packs: as mst_array_copy_run, with the same result either way. */
void mst_array_handover_pack(mst_array_handover_t *handover, mst_array_scratch_t *scratch, const mst_array_copy_t *copy, const void *from, char *to);

/* All of a use is packed: learns from it.  `read_ns`: how long the other rank took to read a use of late; 0: that is not known, and is taken to be as on the
 * machine above; < 0: this use teaches nothing. */
void mst_array_handover_end(mst_array_handover_t *handover, float read_ns);

#endif
