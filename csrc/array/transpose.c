/* Tiles of whole cache lines: a tile is read from lines of the source and fills lines of the target, so no line is needed twice and it does not matter
 * that rows whose length is a power of two share the sets of a cache.  Tiles are visited in blocks that keep to few pages on both sides, for the sake of the
 * TLB.  What stays in the caches goes through a buffer of the first level, so that target rows are written in pieces of eight lines, which the processor sees
 * coming; large arrays are written past the caches instead.  Measured as ratios to memcpy, with 4 KiB pages: 512 x 512 doubles 1.5, without the buffer 2.5 to
 * 4.3; 4096 x 4096 doubles 1.1 to 1.4, without going past the caches 1.8, without blocks 2.6.
 * Tiles are transposed in registers by rounds of interleaving: row i with row i + n / 2, log2(n) times. */
#include "array/kernels.h"

#define INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#endif

/* Blocks through a buffer have eight lines of a target row; those of small elements fewer, for the source's rows are pages. */
enum { LINE = 64, BUFFER = 32 << 10, COLUMNS_AT_ONCE = 64, BUFFERED = 64 << 10, WORTH_ALIGNING = 16 };
#define ROWS_AT_ONCE(size) ((size) >= 4 ? 512 / (size) : 128)

/* ---- Loops, written once for all tiles */
typedef void (*tile_fn)(const char *from, int64_t from_stride, char *to, int64_t to_stride, bool stream);

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static mst_array_rectangle_t part_of(const mst_array_rectangle_t *r, size_t size, int64_t i, int64_t j, int64_t ni, int64_t nj) {
    mst_array_rectangle_t part = *r;
    part.from += i * r->from_stride + j * (int64_t)size;
    part.to += j * r->to_stride + i * (int64_t)size;
    part.ni = ni;
    part.nj = nj;
    return part;
}

/* A piece of a target row.  Where it streams, `to` begins a cache line. */
INLINE void write_piece(char *to, const char *from, int64_t nbytes, int64_t unit, bool stream) {
    int64_t at = 0;
#if defined(__x86_64__)
    for (; stream && at + LINE <= nbytes; at += LINE)
        for (int64_t i = at; i < at + LINE; i += 16) _mm_stream_si128((__m128i *)(to + i), _mm_load_si128((const __m128i *)(from + i)));
#endif
    for (; at < nbytes; at += unit) memcpy(to + at, from + at, (size_t)unit);
}

/* One block through a buffer: its tiles are collected, then whole pieces of target rows are written, which the processor sees coming. */
INLINE void buffered_block(const mst_array_rectangle_t *r, tile_fn tile, int64_t n, int64_t size, bool stream, char *buffer) {
    const int64_t from_stride = r->from_stride, to_stride = r->to_stride, ni = r->ni, nj = r->nj, row = ROWS_AT_ONCE(size) * size;
    const char *from = r->from;
    char *to = r->to;
    for (int64_t i = 0; i < ni; i += n)
        for (int64_t j = 0; j < nj; j += n) tile(from + i * from_stride + j * size, from_stride, buffer + j * row + i * size, row, false);
    for (int64_t j = 0; j < nj; j++) write_piece(to + j * to_stride, buffer + j * row, ni * size, n * size, stream);
}

/* One block from memory to memory: past the caches source lines are read one behind the other, else target lines are filled so. */
INLINE void plain_block(const mst_array_rectangle_t *r, tile_fn tile, int64_t n, int64_t size, bool stream) {
    const int64_t from_stride = r->from_stride, to_stride = r->to_stride, ni = r->ni, nj = r->nj;
    const char *from = r->from;
    char *to = r->to;
    if (stream)
        for (int64_t i = 0; i < ni; i += n)
            for (int64_t j = 0; j < nj; j += n) tile(from + i * from_stride + j * size, from_stride, to + j * to_stride + i * size, to_stride, true);
    else
        for (int64_t j = 0; j < nj; j += n)
            for (int64_t i = 0; i < ni; i += n) tile(from + i * from_stride + j * size, from_stride, to + j * to_stride + i * size, to_stride, false);
}

/* All blocks of a rectangle whose ni and nj are multiples of the tile's n.  Tiles that are no whole cache lines stream from the buffer. */
INLINE void walk_tiles(const mst_array_rectangle_t *r, tile_fn tile, int64_t n, int64_t size, bool stream) {
    const bool buffered = (!stream || n * size < LINE) && r->ni * r->nj * size >= BUFFERED;
    const int64_t bi = buffered ? ROWS_AT_ONCE(size) : 32, bj = buffered ? COLUMNS_AT_ONCE : 32;
    _Alignas(LINE) char buffer[BUFFER];
    for (int64_t i = 0; i < r->ni; i += bi)
        for (int64_t j = 0; j < r->nj; j += bj) {
            mst_array_rectangle_t block = part_of(r, (size_t)size, i, j, smaller(bi, r->ni - i), smaller(bj, r->nj - j));
            if (buffered && stream) buffered_block(&block, tile, n, size, true, buffer);
            else if (buffered) buffered_block(&block, tile, n, size, false, buffer);
            else if (stream && n * size == LINE) plain_block(&block, tile, n, size, true);
            else plain_block(&block, tile, n, size, false);
        }
}

/* ---- Plain C: for edges, and where the processor is another */
INLINE void plain(const mst_array_rectangle_t *r, size_t size) {
    if (r->ni >= r->nj)
        for (int64_t j = 0; j < r->nj; j++)
            for (int64_t i = 0; i < r->ni; i++) memcpy(r->to + j * r->to_stride + i * (int64_t)size, r->from + i * r->from_stride + j * (int64_t)size, size);
    else
        for (int64_t i = 0; i < r->ni; i++)
            for (int64_t j = 0; j < r->nj; j++) memcpy(r->to + j * r->to_stride + i * (int64_t)size, r->from + i * r->from_stride + j * (int64_t)size, size);
}

static void plain_rectangle(const mst_array_rectangle_t *r, size_t size) {
    switch (size) {
    case 1: plain(r, 1); break;
    case 2: plain(r, 2); break;
    case 4: plain(r, 4); break;
    case 8: plain(r, 8); break;
    default: plain(r, 16);
    }
}

INLINE void plain_tile(const char *from, int64_t from_stride, char *to, int64_t to_stride, int64_t n, size_t size) {
    plain(&(mst_array_rectangle_t){.from = from, .to = to, .from_stride = from_stride, .to_stride = to_stride, .ni = n, .nj = n}, size);
}

#define PLAIN(size, n)                                                                                                                   \
    INLINE void plain_tile_##size(const char *from, int64_t from_stride, char *to, int64_t to_stride, bool stream) {                      \
        (void)stream;                                                                                                                     \
        plain_tile(from, from_stride, to, to_stride, n, size);                                                                            \
    }                                                                                                                                     \
    static void plain_walk_##size(const mst_array_rectangle_t *r, bool stream) { walk_tiles(r, plain_tile_##size, n, size, stream); }
#if !defined(__x86_64__)
PLAIN(1, 16)
PLAIN(2, 8)
PLAIN(16, 4)
#endif
PLAIN(4, 16)
PLAIN(8, 8)

#if defined(__x86_64__)
/* ---- SSE2, which every x86-64 has */
INLINE void sse_tile_1(const char *from, int64_t from_stride, char *to, int64_t to_stride, bool stream) {
    __m128i row[16], next[16];
    (void)stream;
    for (int i = 0; i < 16; i++) row[i] = _mm_loadu_si128((const __m128i *)(from + i * from_stride));
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            next[2 * i] = _mm_unpacklo_epi8(row[i], row[i + 8]);
            next[2 * i + 1] = _mm_unpackhi_epi8(row[i], row[i + 8]);
        }
        memcpy(row, next, sizeof row);
    }
    for (int j = 0; j < 16; j++) _mm_storeu_si128((__m128i *)(to + j * to_stride), row[j]);
}

INLINE void sse_tile_2(const char *from, int64_t from_stride, char *to, int64_t to_stride, bool stream) {
    __m128i row[8], next[8];
    (void)stream;
    for (int i = 0; i < 8; i++) row[i] = _mm_loadu_si128((const __m128i *)(from + i * from_stride));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            next[2 * i] = _mm_unpacklo_epi16(row[i], row[i + 4]);
            next[2 * i + 1] = _mm_unpackhi_epi16(row[i], row[i + 4]);
        }
        memcpy(row, next, sizeof row);
    }
    for (int j = 0; j < 8; j++) _mm_storeu_si128((__m128i *)(to + j * to_stride), row[j]);
}

INLINE void sse_tile_16(const char *from, int64_t from_stride, char *to, int64_t to_stride, bool stream) {
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) {
            __m128i element = _mm_loadu_si128((const __m128i *)(from + i * from_stride + j * 16)), *place = (__m128i *)(to + j * to_stride + i * 16);
            if (stream) _mm_stream_si128(place, element);
            else _mm_storeu_si128(place, element);
        }
}

static void sse_walk_1(const mst_array_rectangle_t *r, bool stream) { walk_tiles(r, sse_tile_1, 16, 1, stream); }
static void sse_walk_2(const mst_array_rectangle_t *r, bool stream) { walk_tiles(r, sse_tile_2, 8, 2, stream); }
static void sse_walk_16(const mst_array_rectangle_t *r, bool stream) { walk_tiles(r, sse_tile_16, 4, 16, stream); }

/* ---- AVX2 */
AVX2 INLINE void store_line(char *to, __m256 low, __m256 high, bool stream) {
    if (stream) {
        _mm256_stream_ps((float *)to, low);
        _mm256_stream_ps((float *)to + 8, high);
    } else {
        _mm256_storeu_ps((float *)to, low);
        _mm256_storeu_ps((float *)to + 8, high);
    }
}

/* Four rows of four doubles become the columns. */
AVX2 INLINE void transpose_4x4(const char *from, int64_t from_stride, __m256d *column) {
    __m256d row[4];
    for (int i = 0; i < 4; i++) row[i] = _mm256_loadu_pd((const double *)(from + i * from_stride));
    __m256d a = _mm256_unpacklo_pd(row[0], row[1]), b = _mm256_unpackhi_pd(row[0], row[1]);
    __m256d c = _mm256_unpacklo_pd(row[2], row[3]), d = _mm256_unpackhi_pd(row[2], row[3]);
    column[0] = _mm256_permute2f128_pd(a, c, 0x20);
    column[1] = _mm256_permute2f128_pd(b, d, 0x20);
    column[2] = _mm256_permute2f128_pd(a, c, 0x31);
    column[3] = _mm256_permute2f128_pd(b, d, 0x31);
}

AVX2 INLINE void avx_tile_8(const char *from, int64_t from_stride, char *to, int64_t to_stride, bool stream) {
    for (int half = 0; half < 2; half++) {
        __m256d low[4], high[4];
        transpose_4x4(from + 32 * half, from_stride, low);
        transpose_4x4(from + 32 * half + 4 * from_stride, from_stride, high);
        for (int j = 0; j < 4; j++) store_line(to + (4 * half + j) * to_stride, _mm256_castpd_ps(low[j]), _mm256_castpd_ps(high[j]), stream);
    }
}

/* Thirty-two rows of bytes: row i and row i + 16 side by side, sixteen columns at a time. */
AVX2 INLINE void avx_tile_1(const char *from, int64_t from_stride, char *to, int64_t to_stride, bool stream) {
    (void)stream;
    for (int half = 0; half < 2; half++) {
        __m256i row[16], next[16];
        for (int i = 0; i < 16; i++) {
            const char *at = from + 16 * half + i * from_stride;
            __m256i low = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)at));
            row[i] = _mm256_inserti128_si256(low, _mm_loadu_si128((const __m128i *)(at + 16 * from_stride)), 1);
        }
        for (int round = 0; round < 4; round++) {
            for (int i = 0; i < 8; i++) {
                next[2 * i] = _mm256_unpacklo_epi8(row[i], row[i + 8]);
                next[2 * i + 1] = _mm256_unpackhi_epi8(row[i], row[i + 8]);
            }
            memcpy(row, next, sizeof row);
        }
        for (int j = 0; j < 16; j++) _mm256_storeu_si256((__m256i *)(to + (16 * half + j) * to_stride), row[j]);
    }
}

/* Sixteen rows of two bytes: row i and row i + 8 side by side, eight columns at a time. */
AVX2 INLINE void avx_tile_2(const char *from, int64_t from_stride, char *to, int64_t to_stride, bool stream) {
    (void)stream;
    for (int half = 0; half < 2; half++) {
        __m256i row[8], next[8];
        for (int i = 0; i < 8; i++) {
            const char *at = from + 16 * half + i * from_stride;
            __m256i low = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)at));
            row[i] = _mm256_inserti128_si256(low, _mm_loadu_si128((const __m128i *)(at + 8 * from_stride)), 1);
        }
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 4; i++) {
                next[2 * i] = _mm256_unpacklo_epi16(row[i], row[i + 4]);
                next[2 * i + 1] = _mm256_unpackhi_epi16(row[i], row[i + 4]);
            }
            memcpy(row, next, sizeof row);
        }
        for (int j = 0; j < 8; j++) _mm256_storeu_si256((__m256i *)(to + (8 * half + j) * to_stride), row[j]);
    }
}

/* Eight rows of eight floats become the columns: pairs, quadruples, halves. */
AVX2 INLINE void transpose_8x8(const char *from, int64_t from_stride, __m256 *column) {
    __m256 row[8], pair[8], four[8];
    for (int i = 0; i < 8; i++) row[i] = _mm256_loadu_ps((const float *)(from + i * from_stride));
    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
        pair[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        four[i] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0x44);
        four[i + 1] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0xee);
        four[i + 2] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
        four[i + 3] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        column[i] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x20);
        column[i + 4] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x31);
    }
}

AVX2 INLINE void avx_tile_4(const char *from, int64_t from_stride, char *to, int64_t to_stride, bool stream) {
    for (int half = 0; half < 2; half++) {
        __m256 low[8], high[8];
        transpose_8x8(from + 32 * half, from_stride, low);
        transpose_8x8(from + 32 * half + 8 * from_stride, from_stride, high);
        for (int j = 0; j < 8; j++) store_line(to + (8 * half + j) * to_stride, low[j], high[j], stream);
    }
}

AVX2 static void avx_walk_1(const mst_array_rectangle_t *r, bool stream) { walk_tiles(r, avx_tile_1, 32, 1, stream); }
AVX2 static void avx_walk_2(const mst_array_rectangle_t *r, bool stream) { walk_tiles(r, avx_tile_2, 16, 2, stream); }
AVX2 static void avx_walk_4(const mst_array_rectangle_t *r, bool stream) { walk_tiles(r, avx_tile_4, 16, 4, stream); }
AVX2 static void avx_walk_8(const mst_array_rectangle_t *r, bool stream) { walk_tiles(r, avx_tile_8, 8, 8, stream); }
#endif

/* ---- Choice */
typedef struct kernel {
    void (*walk)(const mst_array_rectangle_t *r, bool stream); /* ni and nj are multiples of n */
    int64_t n;
} kernel_t;

static kernel_t kernel_of(size_t size, bool avx2) {
    (void)avx2;
#if defined(__x86_64__)
    static const kernel_t sse1 = {sse_walk_1, 16}, sse2 = {sse_walk_2, 8}, sse16 = {sse_walk_16, 4}, avx4 = {avx_walk_4, 16}, avx8 = {avx_walk_8, 8};
    static const kernel_t avx1 = {avx_walk_1, 32}, avx2_ = {avx_walk_2, 16};
    if (size == 1) return avx2 ? avx1 : sse1;
    if (size == 2) return avx2 ? avx2_ : sse2;
    if (size == 16) return sse16;
    if (avx2) return size == 4 ? avx4 : avx8;
#else
    if (size == 1) return (kernel_t){plain_walk_1, 16};
    if (size == 2) return (kernel_t){plain_walk_2, 8};
    if (size == 16) return (kernel_t){plain_walk_16, 4};
#endif
    return size == 4 ? (kernel_t){plain_walk_4, 16} : (kernel_t){plain_walk_8, 8};
}

/* How many elements come before the first whole group of `unit` bytes; none where rows do not agree about it, or are so short that edges cost more. */
static int64_t before_aligned(const void *address, int64_t stride, int64_t unit, int64_t size, int64_t count) {
    int64_t gap = (int64_t)(-(uintptr_t)address & (uintptr_t)(unit - 1));
    return stride % unit || gap % size || count < WORTH_ALIGNING * unit / size ? 0 : gap / size;
}

static void edge(const mst_array_rectangle_t *r, size_t size, int64_t i, int64_t j, int64_t ni, int64_t nj) {
    mst_array_rectangle_t part = part_of(r, size, i, j, ni, nj);
    if (ni && nj) plain_rectangle(&part, size);
}

void mst_array_transpose(const mst_array_rectangle_t *r, size_t size, bool large) { mst_array_transpose_by(r, size, large, mst_array_has_avx2()); }

void mst_array_transpose_by(const mst_array_rectangle_t *r, size_t size, bool large, bool avx2) {
    kernel_t kernel = kernel_of(size, avx2);
    int64_t n = kernel.n, unit = n * (int64_t)size;
    int64_t i = before_aligned(r->to, r->to_stride, large ? LINE : unit, (int64_t)size, r->ni), ni = (r->ni - i) / n * n;
    int64_t j = before_aligned(r->from, r->from_stride, unit, (int64_t)size, r->nj), nj = (r->nj - j) / n * n;
    mst_array_rectangle_t middle = part_of(r, size, i, j, ni, nj);
    bool whole_lines = (uintptr_t)middle.to % LINE == 0 && r->to_stride % LINE == 0;
    edge(r, size, 0, 0, i, r->nj);
    edge(r, size, i + ni, 0, r->ni - i - ni, r->nj);
    edge(r, size, i, 0, ni, j);
    edge(r, size, i, j + nj, ni, r->nj - j - nj);
    if (ni && nj) kernel.walk(&middle, large && whole_lines);
}
