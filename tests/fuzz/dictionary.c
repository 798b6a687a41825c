/* A block that says it is a dictionary: refused, or safe to read whatever its slots and entries say.
 * Input: a byte (1: begin with a good block), its size, then edits (offset, eight bytes), then a text to look for. */
#include "fuzz.h"

#include "meta/dictionary.h"

enum { CODES = 16, TEXT = 256, EDITS = 16 };

static void read_all(const mst_meta_dictionary_t *dictionary, fuzz_input_t *input) {
    char text[64];
    uint32_t nbytes = 0, count = mst_meta_dictionary_count(dictionary);
    fuzz_take(input, text, sizeof text);
    uint32_t code = mst_meta_dictionary_find(dictionary, text, strnlen(text, sizeof text));
    mst_meta_dictionary_find(dictionary, "word", 4);
    for (uint32_t i = 0; i <= (count < 64 ? count : 64) + 1; i++) {
        const char *found = mst_meta_dictionary_text(dictionary, i, &nbytes);
        if (found) mst_base_hash(found, nbytes);
    }
    const char *found = mst_meta_dictionary_text(dictionary, code, &nbytes);
    if (found) mst_base_hash(found, nbytes);
    mst_meta_dictionary_id(dictionary);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes) {
    fuzz_input_t input = {bytes, nbytes};
    uint8_t good = fuzz_u8(&input);
    size_t needed = mst_meta_dictionary_nbytes(CODES, TEXT), size = good & 2 ? fuzz_u16(&input) % 8192 : needed;
    char *block = calloc(1, size + 1), *whole = calloc(1, needed);
    mst_meta_dictionary_t *dictionary = mst_meta_dictionary_init(whole, CODES, TEXT);
    mst_meta_dictionary_intern(dictionary, "word", 4);
    mst_meta_dictionary_intern(dictionary, "another", 7);
    if (good & 1) memcpy(block, whole, size < needed ? size : needed);
    for (int i = 0; i < EDITS && input.left && size >= 8; i++) {
        size_t at = fuzz_u16(&input) % (size - 7);
        fuzz_take(&input, block + at, 1 + (at & 7));
    }
    char *exact = realloc(block, size ? size : 1);
    const mst_meta_dictionary_t *reader = mst_meta_dictionary_attach(exact, size);
    if (reader) read_all(reader, &input);
    free(exact);
    free(whole);
    return 0;
}
