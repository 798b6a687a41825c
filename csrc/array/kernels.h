/* What moves bytes: lines of large copies, one rectangle to be transposed. */
#ifndef MST_ARRAY_KERNELS_H
#define MST_ARRAY_KERNELS_H

#include "base/base.h"

/* Whether what is copied all in all is so large that it will not stay in a cache: then it is written past it. */
bool mst_array_is_large(size_t nbytes);
/* After large copies, so that other threads and processes see what was written past the cache. */
void mst_array_large_end(void);

/* line.c: contiguous bytes of a large copy, some lines of one length at a time.  What was added is copied when it is flushed, at the latest. */
enum { MST_ARRAY_LINES = 8 };

typedef struct mst_array_lines { /* all zero: none */
    int count;
    size_t nbytes;
    char *to[MST_ARRAY_LINES];
    const char *from[MST_ARRAY_LINES];
    size_t rest[MST_ARRAY_LINES];
} mst_array_lines_t;

/* One line that stays in the caches, of MST_ARRAY_LINE_LEAST bytes or more.  Of a large copy those lines go past the caches that have so many bytes or so many
 * at most: the ends of shorter ones cost more than is won, and longer ones memcpy does as well. */
enum { MST_ARRAY_LINE_LEAST = 64, MST_ARRAY_LINE_PASSES = 256, MST_ARRAY_LINE_PASSES_MOST = 1 << 20 };
void mst_array_line_copy(char *to, const char *from, size_t nbytes);
/* `count` such lines, whose beginnings are strides of bytes apart. */
void mst_array_lines_copy(char *to, int64_t to_stride, const char *from, int64_t from_stride, int64_t count, size_t nbytes);

void mst_array_lines_add(mst_array_lines_t *lines, char *to, const char *from, size_t nbytes);
void mst_array_lines_flush(mst_array_lines_t *lines);

/* One line past the caches, where they can be passed by; other threads and processes see it. */
void mst_array_line_stream(char *to, const char *from, size_t nbytes);

/* transpose.c: element (i, j) goes from `from` + i * from_stride + j * element_nbytes to `to` + j * to_stride + i * element_nbytes, all in bytes. */
typedef struct mst_array_rectangle {
    const char *from;
    char *to;
    int64_t from_stride, to_stride;
    int64_t ni, nj;
} mst_array_rectangle_t;

/* For elements of 1, 2, 4, 8 or 16 bytes. */
void mst_array_transpose(const mst_array_rectangle_t *rectangle, size_t element_nbytes, bool large);
/* The same, with what older processors can do where avx2 is false: for tests. */
void mst_array_transpose_by(const mst_array_rectangle_t *rectangle, size_t element_nbytes, bool large, bool avx2);
bool mst_array_has_avx2(void);

#endif
