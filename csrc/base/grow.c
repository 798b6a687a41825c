/* Arrays that grow by doubling, so that n items cost n steps. */
#include "base/base.h"

/* The capacity that follows; 0: none does. */
static size_t larger(size_t capacity, size_t needed, size_t first, size_t limit) {
    if (needed > limit) return 0;
    size_t doubled = capacity > limit / 2 ? limit : 2 * capacity, least = first < limit ? first : limit;
    size_t most = doubled > least ? doubled : least;
    return most > needed ? most : needed;
}

static bool grow(void *array, size_t *capacity, size_t needed, size_t first, size_t item_nbytes, bool zeroed, size_t limit) {
    size_t items = larger(*capacity, needed, first, limit < PTRDIFF_MAX / item_nbytes ? limit : PTRDIFF_MAX / item_nbytes);
    char *old, *grown;
    memcpy(&old, array, sizeof old); /* a pointer to any type */
    if (!items || !(grown = realloc(old, items * item_nbytes))) return false;
    if (zeroed) memset(grown + *capacity * item_nbytes, 0, (items - *capacity) * item_nbytes);
    memcpy(array, &grown, sizeof grown);
    *capacity = items;
    return true;
}

bool mst_base_grow(void *array, size_t *capacity, size_t needed, size_t first, size_t item_nbytes, bool zeroed) {
    return grow(array, capacity, needed, first, item_nbytes, zeroed, SIZE_MAX);
}

bool mst_base_grow_32(void *array, uint32_t *capacity, size_t needed, size_t first, size_t item_nbytes, bool zeroed) {
    size_t wide = *capacity;
    if (!grow(array, &wide, needed, first, item_nbytes, zeroed, UINT32_MAX - 1)) return false; /* count + 1 of a full one is more, and not 0 */
    *capacity = (uint32_t)wide;
    return true;
}
