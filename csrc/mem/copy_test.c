/* Every byte arrives and no other changes, below and above the size from which another way is taken, at any alignment. */
#include "mem/copy.h"

#include "base/test.h"

static void test_copy(char *to, const char *from, size_t room, size_t at, size_t shift, size_t nbytes) {
    memset(to, 'x', room);
    mst_mem_copy(to + at, from + shift, nbytes);
    CHECK(memcmp(to + at, from + shift, nbytes) == 0);
    for (size_t i = 0; i < at; i++)
        if (to[i] != 'x') CHECK(!"bytes before are untouched");
    for (size_t i = at + nbytes; i < at + nbytes + 64; i++)
        if (to[i] != 'x') CHECK(!"bytes behind are untouched");
}

int main(void) {
    static const size_t sizes[] = {0, 1, 4095, (512 << 10) - 1, 512 << 10, (512 << 10) + 3, (3 << 20) + 17};
    size_t room = 4 << 20;
    char *from = malloc(room), *to = malloc(room);
    CHECK(from && to);
    if (!from || !to) return TEST_END;
    for (size_t i = 0; i < room; i++) from[i] = (char)(i * 131 >> 3);
    for (size_t i = 0; i < MST_COUNT(sizes); i++) {
        test_copy(to, from, room, 0, 0, sizes[i]);
        test_copy(to, from, room, 64, 16, sizes[i]);
        test_copy(to, from, room, 1, 7, sizes[i]);
    }
    free(from);
    free(to);
    return TEST_END;
}
