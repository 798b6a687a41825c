/* A library that stands for the CUDA driver in tests without a device.  "Device memory" is host memory whose addresses have their highest bit set, so that
 * nobody else can touch it.  What is put on a stream is done when somebody waits for that stream, or asks for it: then one thing at a time.  Streams are
 * numbers below FAKECUDA_STREAMS; 0 is the default stream.  Copies must be made in the memory's context.  As with the real one nothing is on a device before
 * cuInit. */
#ifndef FAKECUDA_H
#define FAKECUDA_H

#include <stddef.h>
#include <stdint.h>

#define FAKECUDA_FAR ((uint64_t)1 << 63)
#define FAKECUDA_POOLED ((uint64_t)1 << 62) /* with it: memory that has no context of its own, but its device's primary one */
enum { FAKECUDA_STREAMS = 20 };

/* Where the host finds what is on the device, and back. */
static inline void *fakecuda_far(const void *near) { return (void *)((uintptr_t)near | FAKECUDA_FAR); }
static inline void *fakecuda_near(const void *far) { return (void *)((uintptr_t)far & ~(FAKECUDA_FAR | FAKECUDA_POOLED)); }

int cuInit(unsigned flags);
int cuCtxGetCurrent(void **context_out);
int cuStreamSynchronize(void *stream);

/* A kernel on a stream, which copies from host memory to device memory. */
int fakecuda_later(void *stream, void *device, const void *host, size_t nbytes);
/* From now on this memory is managed. */
void fakecuda_manage(const void *memory, size_t nbytes);
/* From now on calls of this function fail with a code; NULL: none does. */
void fakecuda_fail(const char *function, int code);
/* What has been done since the last time: lines "DtoH NBYTES STREAM", "HtoD ...", "sync STREAM", of a thread at a time. */
const char *fakecuda_said(void);

#endif
