/* Selectors from any text: an error that points into the text, or a selector whose description means the same.
 * Input: selector text; objects to match it with are fixed. */
#include "fuzz.h"

#include "meta/selector.h"

enum { DICTIONARY_CODES = 4096, DICTIONARY_TEXT = 1 << 20, DESCRIPTION = 1 << 20, OBJECTS = 24 };

static mst_meta_schema_t *schema;
static mst_meta_dictionary_t *dictionary;
static mst_meta_attributes_t *object[OBJECTS];

static mst_meta_attributes_t *make_object(int64_t i) {
    static const char *const params[] = {"t", "u", "v", "q", "2t", "msl"};
    mst_meta_builder_t builder;
    size_t nbytes = 0;
    mst_meta_builder_init(&builder, schema, dictionary);
    unsigned param = (unsigned)mst_meta_schema_key(schema, "param", 5), step = (unsigned)mst_meta_schema_key(schema, "step", 4);
    unsigned level = (unsigned)mst_meta_schema_key(schema, "levelist", 8), date = (unsigned)mst_meta_schema_key(schema, "date", 4);
    const char *name = params[i % 6];
    MUST(mst_meta_builder_set_text(&builder, param, name, strlen(name)) == MAESTRO_OK);
    MUST(mst_meta_builder_set_i64(&builder, step, i * 3 % 25) == MAESTRO_OK);
    if (i % 6 < 4) MUST(mst_meta_builder_set_f64(&builder, level, (double)(i * 250 % 1000) + (i % 5 ? 0 : 0.5)) == MAESTRO_OK);
    if (i % 2) MUST(mst_meta_builder_set_text(&builder, date, "20240229", 8) == MAESTRO_OK);
    MUST(mst_meta_builder_complete(&builder) == MAESTRO_OK);
    mst_meta_builder_pack(&builder, 1, NULL, 0, &nbytes);
    mst_meta_attributes_t *set = malloc(nbytes);
    MUST(mst_meta_builder_pack(&builder, 1, set, nbytes, &nbytes) == MAESTRO_OK);
    mst_meta_builder_fini(&builder);
    mst_meta_attributes_intern(set, schema, dictionary, true);
    return set;
}

static void init(void) {
    MUST(mst_meta_schema_load("mars", &schema) == MAESTRO_OK);
    schema->number = 1;
    dictionary = mst_meta_dictionary_init(calloc(1, mst_meta_dictionary_nbytes(DICTIONARY_CODES, DICTIONARY_TEXT)), DICTIONARY_CODES, DICTIONARY_TEXT);
    for (int i = 0; i < OBJECTS; i++) object[i] = make_object(i);
}

static void check_the_same(const mst_meta_selector_t *selector, const char *text) {
    mst_meta_selector_t *again = NULL;
    static char description[DESCRIPTION];
    maestro_status_t status = mst_meta_selector_parse(schema, text, &again);
    if (status != MAESTRO_OK) fprintf(stderr, "\"%s\" was described as \"%s\": %s\n", selector->source, text, maestro_last_error());
    MUST(status == MAESTRO_OK);
    mst_meta_selector_bind(again, dictionary);
    for (int i = 0; i < OBJECTS; i++) {
        bool one = mst_meta_selector_match(selector, object[i], dictionary), other = mst_meta_selector_match(again, object[i], dictionary);
        if (one != other) fprintf(stderr, "\"%s\" was described as \"%s\": object %d: %d, %d\n", selector->source, text, i, one, other);
        MUST(one == other);
    }
    mst_meta_node_describe(again->root, again, description, sizeof description);
    if (strcmp(description, text) != 0) fprintf(stderr, "\"%s\" was described as \"%s\", that as \"%s\"\n", selector->source, text, description);
    MUST(strcmp(description, text) == 0);
    mst_meta_selector_destroy(again);
}

static void check(const mst_meta_selector_t *selector) {
    static char description[DESCRIPTION];
    const mst_meta_node_t *nodes[8];
    size_t count = mst_meta_selector_conjuncts(selector, nodes, MST_COUNT(nodes));
    for (int i = 0; i < OBJECTS && count && count <= MST_COUNT(nodes); i++) {
        bool all = true;
        for (size_t n = 0; n < count; n++) all &= mst_meta_node_match(nodes[n], selector, object[i], dictionary);
        MUST(all == mst_meta_selector_match(selector, object[i], dictionary));
    }
    char little[16];
    size_t needed = mst_meta_node_describe(selector->root, selector, description, sizeof description);
    MUST(mst_meta_node_describe(selector->root, selector, little, sizeof little) == needed && strlen(little) < sizeof little);
    if (needed < sizeof description && needed <= 65536 && selector->root->op != MST_META_OP_TRUE) check_the_same(selector, description);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes) {
    if (!schema) init();
    char *text = malloc(nbytes + 1);
    if (nbytes) memcpy(text, bytes, nbytes);
    text[nbytes] = '\0';
    mst_meta_selector_t *selector = NULL;
    if (mst_meta_selector_parse(schema, text, &selector) == MAESTRO_OK) {
        mst_meta_selector_bind(selector, dictionary);
        check(selector);
        mst_meta_selector_destroy(selector);
    } else {
        MUST(maestro_last_error()[0]);
    }
    free(text);
    return 0;
}
