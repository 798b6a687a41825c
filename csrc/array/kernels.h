/* What moves bytes: one line, one rectangle to be transposed. */
#ifndef MST_ARRAY_KERNELS_H
#define MST_ARRAY_KERNELS_H

#include "base/base.h"

/* How large the whole is of which a line or rectangle is a part: what will not stay in a cache is written past it. */
typedef enum mst_array_extent { MST_ARRAY_SMALL, MST_ARRAY_STREAMED, MST_ARRAY_HUGE } mst_array_extent_t;

mst_array_extent_t mst_array_extent_of(size_t nbytes);
/* After copies that were not SMALL, so that other threads and processes see what was written past the cache. */
void mst_array_stream_end(mst_array_extent_t extent);

/* line.c: copies contiguous bytes. */
void mst_array_copy_line(char *to, const char *from, size_t nbytes, mst_array_extent_t extent);

/* transpose.c: element (i, j) goes from `from` + i * from_stride + j * element_nbytes to `to` + j * to_stride + i * element_nbytes, all in bytes. */
typedef struct mst_array_rectangle {
    const char *from;
    char *to;
    int64_t from_stride, to_stride;
    int64_t ni, nj;
} mst_array_rectangle_t;

/* For elements of 1, 2, 4, 8 or 16 bytes. */
void mst_array_transpose(const mst_array_rectangle_t *rectangle, size_t element_nbytes, mst_array_extent_t extent);
/* The same, with what older processors can do where avx2 is false: for tests. */
void mst_array_transpose_by(const mst_array_rectangle_t *rectangle, size_t element_nbytes, mst_array_extent_t extent, bool avx2);
bool mst_array_has_avx2(void);

#endif
