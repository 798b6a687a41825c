/* What the targets share: an input that is read piece by piece, and a check that ends the run.
 * Invariant: an input that has been used up gives zeros, so that every input is a whole program. */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/base.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes);

#define MUST(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            dprintf(2, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                           \
        }                                                                      \
    } while (0)

typedef struct fuzz_input {
    const uint8_t *bytes;
    size_t left;
} fuzz_input_t;

static inline void fuzz_take(fuzz_input_t *input, void *to, size_t nbytes) {
    size_t given = nbytes < input->left ? nbytes : input->left;
    memset(to, 0, nbytes);
    if (given) memcpy(to, input->bytes, given);
    input->bytes += given;
    input->left -= given;
}

static inline uint8_t fuzz_u8(fuzz_input_t *input) {
    uint8_t value;
    fuzz_take(input, &value, sizeof value);
    return value;
}

static inline uint16_t fuzz_u16(fuzz_input_t *input) {
    uint16_t value;
    fuzz_take(input, &value, sizeof value);
    return value;
}

/* Small numbers mostly, now and then all 64 bits. */
static inline uint64_t fuzz_u64(fuzz_input_t *input) {
    uint64_t value = 0;
    uint8_t width = fuzz_u8(input) % 12;
    fuzz_take(input, &value, width == 8 ? 8 : width == 9 ? 4 : width == 10 ? 2 : 1);
    return width == 11 ? UINT64_MAX - value : value;
}

#endif
