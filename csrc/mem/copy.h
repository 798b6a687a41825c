/* Copies of whole objects. */
#ifndef MST_MEM_COPY_H
#define MST_MEM_COPY_H

#include "base/base.h"

/* memcpy, by the quickest way of this machine for large blocks. */
void mst_mem_copy(void *to, const void *from, size_t nbytes);

#endif
