/* Lines of a large copy.  memcpy knows one line at a time; that the whole is large, so that lines shall go past the cache, only the caller knows.  Eight lines
 * are copied side by side, chunk by chunk: they lie in different pages, and one line alone does not keep the memory busy.  Measured with lines of 16 KiB,
 * as ratios to a memcpy of the whole of 64 MiB: line by line memcpy 1.3, past the cache 1.4 to 1.8, side by side 0.8 to 1.0. */
#include "array/kernels.h"

enum { LARGE = 8 << 20 }; /* measured with 1 MiB of second and 32 MiB of third level: 4 MiB are better kept, 16 MiB streamed */

bool mst_array_is_large(size_t nbytes) { return nbytes >= LARGE; }

#if defined(__x86_64__)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define AVX2 __attribute__((target("avx2")))

enum { CACHE_LINE = 64, MEDIUM = 512, PAGE = 4096 };
enum { CHUNK = 512 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

AVX2 INLINE void avx_copy(char *to, const char *from) {
    __m256i low = _mm256_loadu_si256((const __m256i *)from), high = _mm256_loadu_si256((const __m256i *)(from + 32));
    _mm256_storeu_si256((__m256i *)to, low);
    _mm256_storeu_si256((__m256i *)(to + 32), high);
}

/* The last cache line overlaps the one before.  Measured with lines of 2 KiB, as a ratio to a memcpy of the whole of 1 MiB: 1.0, line by line memcpy 1.1;
 * but up to MEDIUM bytes a call of memcpy takes without a loop; many lines in one call do better without it: 64 of 256 bytes, 0.2 us. */
AVX2 INLINE void avx_line(char *to, const char *from, size_t nbytes) {
    size_t at = 0;
    for (; at + 2 * CACHE_LINE <= nbytes; at += 2 * CACHE_LINE) {
        avx_copy(to + at, from + at);
        avx_copy(to + at + CACHE_LINE, from + at + CACHE_LINE);
    }
    if (at + CACHE_LINE < nbytes) avx_copy(to + at, from + at);
    if (at < nbytes) avx_copy(to + nbytes - CACHE_LINE, from + nbytes - CACHE_LINE);
}

AVX2 static void avx_lines(char *to, int64_t to_stride, const char *from, int64_t from_stride, int64_t count, size_t nbytes) {
    for (int64_t i = 0; i < count; i++) avx_line(to + i * to_stride, from + i * from_stride, nbytes);
}

static void plain_lines(char *to, int64_t to_stride, const char *from, int64_t from_stride, int64_t count, size_t nbytes) {
    for (int64_t i = 0; i < count; i++) memcpy(to + i * to_stride, from + i * from_stride, nbytes);
}

void mst_array_line_copy(char *to, const char *from, size_t nbytes) {
    if (nbytes > MEDIUM && nbytes <= PAGE && mst_array_has_avx2()) avx_lines(to, 0, from, 0, 1, nbytes);
    else memcpy(to, from, nbytes);
}

/* Without a call for each line. */
void mst_array_lines_copy(char *to, int64_t to_stride, const char *from, int64_t from_stride, int64_t count, size_t nbytes) {
    (nbytes <= PAGE && mst_array_has_avx2() ? avx_lines : plain_lines)(to, to_stride, from, from_stride, count, nbytes);
}

AVX2 INLINE void avx_stream(char *to, const char *from) {
    __m256i low = _mm256_loadu_si256((const __m256i *)from), high = _mm256_loadu_si256((const __m256i *)(from + 32));
    _mm256_stream_si256((__m256i *)to, low);
    _mm256_stream_si256((__m256i *)(to + 32), high);
}

INLINE void sse_stream(char *to, const char *from) {
    for (size_t i = 0; i < CACHE_LINE; i += 16) _mm_stream_si128((__m128i *)(to + i), _mm_loadu_si128((const __m128i *)(from + i)));
}

/* A multiple of 64 bytes into whole cache lines; `ahead` is from where the next chunk will be. */
#define CHUNK_COPY(name, attribute, stream)                                                     \
    attribute static void name(char *to, const char *from, size_t nbytes, size_t ahead) {       \
        for (size_t at = 0; at < nbytes; at += CACHE_LINE) {                                    \
            _mm_prefetch(from + at + ahead, _MM_HINT_T0);                                       \
            stream(to + at, from + at);                                                         \
        }                                                                                       \
    }
CHUNK_COPY(avx_chunk, AVX2, avx_stream)
CHUNK_COPY(sse_chunk, , sse_stream)

void mst_array_line_stream(char *to, const char *from, size_t nbytes) {
    size_t head = smaller(-(uintptr_t)to & (CACHE_LINE - 1), nbytes), body = (nbytes - head) / CACHE_LINE * CACHE_LINE;
    memcpy(to, from, head);
    size_t ahead = body > 2 * CHUNK ? CHUNK : 0, first = body - ahead;
    void (*chunk)(char *, const char *, size_t, size_t) = mst_array_has_avx2() ? avx_chunk : sse_chunk;
    chunk(to + head, from + head, first, ahead);
    chunk(to + head + first, from + head + first, ahead, 0);
    memcpy(to + head + body, from + head + body, nbytes - head - body);
    _mm_sfence();
}

/* Each line first up to where a cache line begins in its target, and what remains at last. */
static void begin_lines(mst_array_lines_t *lines) {
    for (int k = 0; k < lines->count; k++) {
        size_t head = -(uintptr_t)lines->to[k] & (CACHE_LINE - 1);
        memcpy(lines->to[k], lines->from[k], head);
        lines->to[k] += head;
        lines->from[k] += head;
        lines->rest[k] = lines->nbytes - head;
    }
}

void mst_array_lines_flush(mst_array_lines_t *lines) {
    void (*chunk)(char *, const char *, size_t, size_t) = mst_array_has_avx2() ? avx_chunk : sse_chunk;
    begin_lines(lines);
    for (size_t at = 0; at < lines->nbytes; at += CHUNK)
        for (int k = 0; k < lines->count; k++) {
            if (lines->rest[k] < at) continue;
            size_t nbytes = smaller(CHUNK, (lines->rest[k] - at) / CACHE_LINE * CACHE_LINE);
            chunk(lines->to[k] + at, lines->from[k] + at, nbytes, lines->rest[k] - at >= 2 * CHUNK ? CHUNK : 0);
        }
    for (int k = 0; k < lines->count; k++) {
        size_t done = lines->rest[k] / CACHE_LINE * CACHE_LINE;
        memcpy(lines->to[k] + done, lines->from[k] + done, lines->rest[k] - done);
    }
    lines->count = 0;
}

void mst_array_lines_add(mst_array_lines_t *lines, char *to, const char *from, size_t nbytes) {
    if (nbytes < MST_ARRAY_LINE_PASSES || nbytes > MST_ARRAY_LINE_PASSES_MOST) {
        memcpy(to, from, nbytes);
        return;
    }
    if (lines->count == MST_ARRAY_LINES || (lines->count && lines->nbytes != nbytes)) mst_array_lines_flush(lines);
    lines->nbytes = nbytes;
    lines->to[lines->count] = to;
    lines->from[lines->count++] = from;
}

void mst_array_large_end(void) { _mm_sfence(); }

bool mst_array_has_avx2(void) { return __builtin_cpu_supports("avx2"); }
#else
void mst_array_line_copy(char *to, const char *from, size_t nbytes) { memcpy(to, from, nbytes); }

void mst_array_lines_copy(char *to, int64_t to_stride, const char *from, int64_t from_stride, int64_t count, size_t nbytes) {
    for (int64_t i = 0; i < count; i++) memcpy(to + i * to_stride, from + i * from_stride, nbytes);
}

void mst_array_line_stream(char *to, const char *from, size_t nbytes) { memcpy(to, from, nbytes); }

void mst_array_lines_add(mst_array_lines_t *lines, char *to, const char *from, size_t nbytes) {
    (void)lines;
    memcpy(to, from, nbytes);
}

void mst_array_lines_flush(mst_array_lines_t *lines) { (void)lines; }

void mst_array_large_end(void) {}

bool mst_array_has_avx2(void) { return false; }
#endif
