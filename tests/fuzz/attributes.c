/* Packed attribute sets of any bytes: refused, or safe for every reader of a set.
 * Input: a byte that says how much to help (a raw set is hardly ever right), then the set. */
#include "fuzz.h"

#include "meta/attributes.h"
#include "meta/dictionary.h"
#include "meta/schema.h"
#include "meta/selector.h"

enum { DICTIONARY_CODES = 64, DICTIONARY_TEXT = 4096, SET_NUMBER = 3 };

static const char yaml[] = "schema: f\nversion: 1\nattributes:\n"
                           "  b: {type: bool, identity: true}\n  i: {type: i64, identity: true}\n  f: {type: f64}\n"
                           "  s: {type: string, common: true, identity: true}\n  w: {type: string, common: true, values: [x, y]}\n"
                           "  p: {type: string, pad: 4}\n  t: {type: timestamp, identity: true}\n  z: {type: blob, identity: true}\n"
                           "  r: {type: i64, required: true}\n"
                           "  ab: {type: bool, array: true}\n  ai: {type: i64, array: true}\n  af: {type: f64, array: true}\n"
                           "  as: {type: string, array: true}\n  at: {type: timestamp, array: true}\n";
/* Selectors over arrays: safe on every set that is accepted. */
static const char *const texts[] = {"ab = true", "ai in -1/to/9/by/3 or ai != 3", "af < 0.5", "as like 'a*' or as in (x, y)", "at >= 2026-01-01", "not has(as)"};
static mst_meta_selector_t *selectors[MST_COUNT(texts)];
static mst_meta_schema_t *schema;
static void *block;
static mst_meta_dictionary_t *dictionary;

static void init(void) {
    MUST(mst_meta_schema_parse(yaml, sizeof yaml - 1, "fuzz", &schema) == MAESTRO_OK);
    schema->number = SET_NUMBER;
    for (size_t i = 0; i < MST_COUNT(texts); i++) MUST(mst_meta_selector_parse(schema, texts[i], &selectors[i]) == MAESTRO_OK);
    block = malloc(mst_meta_dictionary_nbytes(DICTIONARY_CODES, DICTIONARY_TEXT));
}

/* The same dictionary for every input, so that each can be repeated. */
static void reset(void) {
    memset(block, 0, mst_meta_dictionary_nbytes(DICTIONARY_CODES, DICTIONARY_TEXT));
    dictionary = mst_meta_dictionary_init(block, DICTIONARY_CODES, DICTIONARY_TEXT);
    MUST(mst_meta_dictionary_intern(dictionary, "x", 1) == 1 && mst_meta_dictionary_intern(dictionary, "", 0) == 2);
}

/* Lengths that add up, and text where tail words point. */
static void help(mst_meta_attributes_t *set, size_t nbytes, uint8_t how) {
    if (how & 1) set->mask[1] = 0, set->mask[0] &= (1ull << schema->nattributes) - 1, set->schema = SET_NUMBER;
    unsigned count = (unsigned)(__builtin_popcountll(set->mask[0]) + __builtin_popcountll(set->mask[1]));
    if (how & 2) set->nvalues = (uint16_t)count;
    if (how & 4 && sizeof *set + 8u * set->nvalues <= nbytes) set->tail_nbytes = (uint32_t)(nbytes - sizeof *set - 8u * set->nvalues);
    for (unsigned i = 0; how & 8 && sizeof *set + 8u * (i + 1) <= nbytes && i < set->nvalues; i++) {
        uint64_t word = set->value[i];
        uint32_t room = set->tail_nbytes ? set->tail_nbytes : 1;
        uint32_t offset = (uint32_t)(word >> 8) % room, length = (uint32_t)(word >> 40) % room, whole = word & 4 ? ~7u : ~0u; /* as arrays have it */
        set->value[i] = word & 3 ? word & 7 : mst_meta_tail_word(offset & whole, length & whole);
    }
}

static void read_all(const mst_meta_attributes_t *set) {
    char text[256];
    mst_base_buffer_t json = {0};
    mst_meta_attributes_describe(set, schema, dictionary, text, sizeof text);
    for (unsigned key = 0; key < schema->nattributes; key++) {
        if (!mst_meta_attributes_has(set, key)) continue;
        mst_meta_attributes_value_json(&json, set, key, schema, dictionary);
        maestro_type_t type = schema->attribute[key].type;
        if (type != MAESTRO_TYPE_STRING && type != MAESTRO_TYPE_BLOB) continue;
        uint32_t nbytes = 0;
        const char *start = mst_meta_attributes_text(set, set->value[mst_meta_attributes_rank(set, key)], dictionary, &nbytes);
        mst_base_hash(start, nbytes);
    }
    for (size_t i = 0; i < MST_COUNT(selectors); i++) mst_meta_selector_match(selectors[i], set, dictionary);
    MUST(!json.failed);
    mst_base_buffer_fini(&json);
    MUST(mst_meta_attributes_identity_equal(set, set, schema));
}

/* Through a builder and packed again it is the same object. */
static void check_round_trip(const mst_meta_attributes_t *set) {
    mst_meta_builder_t builder;
    size_t nbytes = 0;
    mst_meta_builder_init(&builder, schema, dictionary);
    MUST(mst_meta_builder_load(&builder, set) == MAESTRO_OK);
    if (mst_meta_builder_pack(&builder, SET_NUMBER, NULL, 0, &nbytes) == MAESTRO_OK) {
        mst_meta_attributes_t *again = malloc(nbytes);
        MUST(mst_meta_builder_pack(&builder, SET_NUMBER, again, nbytes, &nbytes) == MAESTRO_OK);
        MUST(mst_meta_attributes_check(again, nbytes, schema, dictionary, true) == MAESTRO_OK);
        mst_meta_attributes_intern(again, schema, dictionary, true);
        MUST(mst_meta_attributes_identity_equal(set, again, schema));
        MUST(mst_meta_attributes_identity_hash(set, schema, 7) == mst_meta_attributes_identity_hash(again, schema, 7));
        free(again);
    }
    mst_meta_builder_fini(&builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes) {
    if (!schema) init();
    if (nbytes < 1 + sizeof(mst_meta_attributes_t)) return 0;
    reset();
    mst_meta_attributes_t *set = malloc(nbytes - 1); /* to the byte, so that reads past its end are seen */
    memcpy(set, bytes + 1, nbytes - 1);
    help(set, nbytes - 1, bytes[0]);
    if (mst_meta_attributes_check(set, nbytes - 1, schema, dictionary, true) == MAESTRO_OK) {
        read_all(set);
        mst_meta_attributes_intern(set, schema, dictionary, true);
        read_all(set);
        check_round_trip(set);
    }
    free(set);
    return 0;
}
