/* Memory on devices, which are CUDA's: which memory that is, and copies from and to host memory in the order of a stream, by the functions of the CUDA driver.
 * Invariants: a process that does not use CUDA itself is not made to: it gets no context, and has no memory on a device.  Each call is made in the context
 * of the memory, and the calling thread keeps the one that it has, or none. */
#ifndef MST_MEM_DEVICE_H
#define MST_MEM_DEVICE_H

#include "base/base.h"

/* Loads the driver, the first time that a process asks, where one is installed: microseconds where there is none. */
void mst_mem_device_look(void);
/* Whether _look has found it; costs nothing. */
bool mst_mem_device_is_there(void);

typedef struct mst_mem_place {
    bool on_device; /* the host cannot read it */
    bool managed;   /* the host can, but the device may be about to write it */
    void *context;  /* of either; NULL: the thread's own has to do */
} mst_mem_place_t;

/* Where memory lies; neither: in plain or pinned host memory, or CUDA is not in use.  The driver takes some 100 ns.  Keep nothing of it by address:
 * memory that was given back comes again elsewhere.  Errors: SYSTEM (the device has failed before). */
maestro_status_t mst_mem_device_find(const void *memory, mst_mem_place_t *place_out);

/* A copy after what was put on `stream` (a CUstream; NULL: the default stream), which is done on return.  Errors, here and below: INVALID_ARGUMENT (the
 * stream or the memory is not of this context), SYSTEM (else). */
maestro_status_t mst_mem_device_to_host(const mst_mem_place_t *place, void *stream, const void *device, void *host, size_t nbytes);
/* The other way; it is put on the stream, and done when _test says so, or _wait. */
maestro_status_t mst_mem_device_from_host(const mst_mem_place_t *place, void *stream, const void *host, void *device, size_t nbytes);
/* Whether the stream has done all: OK, IN_PROGRESS. */
maestro_status_t mst_mem_device_test(const mst_mem_place_t *place, void *stream);
maestro_status_t mst_mem_device_wait(const mst_mem_place_t *place, void *stream);

#endif
