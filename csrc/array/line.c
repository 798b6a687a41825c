/* Contiguous bytes.  memcpy knows one line at a time; that the whole is large, so that lines shall go past the cache, only the caller knows. */
#include "array/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { STREAMED = 2 << 20, HUGE = 16 << 20 };

mst_array_extent_t mst_array_extent_of(size_t nbytes) { return nbytes < STREAMED ? MST_ARRAY_SMALL : nbytes < HUGE ? MST_ARRAY_STREAMED : MST_ARRAY_HUGE; }

#if defined(__x86_64__)
enum { SHORT = 1024 }; /* the ends of a line would cost more than is won */

/* Whole cache lines of the target past the cache, the rest through it. */
static void stream_line(char *to, const char *from, size_t nbytes) {
    size_t head = -(uintptr_t)to & 63;
    memcpy(to, from, head);
    for (; nbytes - head >= 64; head += 64)
        for (size_t i = 0; i < 64; i += 16) _mm_stream_si128((__m128i *)(to + head + i), _mm_loadu_si128((const __m128i *)(from + head + i)));
    memcpy(to + head, from + head, nbytes - head);
}

void mst_array_copy_line(char *to, const char *from, size_t nbytes, mst_array_extent_t extent) {
    if (extent == MST_ARRAY_SMALL || nbytes < SHORT) memcpy(to, from, nbytes);
    else stream_line(to, from, nbytes);
}

void mst_array_stream_end(mst_array_extent_t extent) {
    if (extent != MST_ARRAY_SMALL) _mm_sfence();
}
#else
void mst_array_copy_line(char *to, const char *from, size_t nbytes, mst_array_extent_t extent) {
    (void)extent;
    memcpy(to, from, nbytes);
}

void mst_array_stream_end(mst_array_extent_t extent) { (void)extent; }
#endif
