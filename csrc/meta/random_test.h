/* Random objects and selectors for the tests of index and matcher: two schemas whose keys have different types, few values so that much matches.
 * Only tests include this.  Invariant: one seed gives one sequence. */
#ifndef MST_META_RANDOM_TEST_H
#define MST_META_RANDOM_TEST_H

#include "base/test.h"
#include "meta/selector.h"

static const char random_first_yaml[] =
    "schema: first\nversion: 1\nattributes:\n  param: {type: string, common: true}\n  note: {type: string}\n  step: {type: i64}\n"
    "  level: {type: f64}\n  flag: {type: bool}\n  valid: {type: timestamp}\n  raw: {type: blob}\n"
    "  numbers: {type: i64, array: true}\n  words: {type: string, array: true}\n";
static const char random_second_yaml[] =
    "schema: second\nversion: 1\nattributes:\n  step: {type: i64}\n  level: {type: f64}\n  param: {type: string, common: true}\n"
    "  valid: {type: timestamp}\n  flag: {type: bool}\n  note: {type: string}\n  raw: {type: blob}\n"
    "  numbers: {type: i64, array: true}\n  words: {type: string, array: true}\n";

typedef struct random_world {
    mst_meta_schema_t *schema[3]; /* core, first, second */
    mst_meta_dictionary_t *dictionary;
    uint64_t state;
} random_world_t;

static inline unsigned random_below(random_world_t *world, unsigned n) {
    return (unsigned)((mst_base_mix(world->state += 0x9e3779b97f4a7c15ull) >> 32) % n);
}

/* A dictionary of few codes is full soon: then common text stays in the tail. */
static inline void random_world_init(random_world_t *world, uint64_t seed, uint32_t max_codes) {
    *world = (random_world_t){.state = seed};
    CHECK_OK(mst_meta_schema_load(NULL, &world->schema[0]));
    CHECK_OK(mst_meta_schema_parse(random_first_yaml, strlen(random_first_yaml), "first", &world->schema[1]));
    CHECK_OK(mst_meta_schema_parse(random_second_yaml, strlen(random_second_yaml), "second", &world->schema[2]));
    for (uint16_t i = 0; i < 3; i++) world->schema[i]->number = i;
    void *block = calloc(1, mst_meta_dictionary_nbytes(max_codes, 1 << 16));
    world->dictionary = mst_meta_dictionary_init(block, max_codes, 1 << 16);
}

static inline void random_world_fini(random_world_t *world) {
    for (int i = 0; i < 3; i++) mst_meta_schema_destroy(world->schema[i]);
    free(world->dictionary);
}

static inline void random_value(random_world_t *world, const mst_meta_attribute_t *attribute, char *text, size_t nbytes) {
    int i = (int)random_below(world, 12);
    if (attribute->nvalues) {
        snprintf(text, nbytes, "%s", attribute->values[(size_t)i % attribute->nvalues]);
        return;
    }
    switch (mst_meta_element_type(attribute->type)) {
    case MAESTRO_TYPE_BOOL: snprintf(text, nbytes, "%s", i % 2 ? "true" : "false"); break;
    case MAESTRO_TYPE_I64: snprintf(text, nbytes, "%d", i - 4); break;
    case MAESTRO_TYPE_F64: snprintf(text, nbytes, "%g", (i - 6) * 0.5); break;
    case MAESTRO_TYPE_TIMESTAMP: snprintf(text, nbytes, "%d-01-%02d", i % 2 ? 1969 : 2026, 1 + i); break;
    default: snprintf(text, nbytes, "%c%c", 'a' + i % 3, 'a' + i % 4);
    }
}

static inline void random_set_array(random_world_t *world, mst_meta_builder_t *builder, unsigned key) {
    maestro_type_t element = mst_meta_element_type(builder->schema->attribute[key].type);
    char text[3][40];
    const char *texts[3] = {text[0], text[1], text[2]};
    int64_t numbers[3];
    size_t count = random_below(world, 4);
    for (size_t i = 0; i < count; i++) {
        random_value(world, &builder->schema->attribute[key], text[i], sizeof text[i]);
        numbers[i] = atoll(text[i]);
    }
    CHECK_OK(mst_meta_builder_set_array(builder, key, element, element == MAESTRO_TYPE_STRING ? (const void *)texts : numbers, count));
}

static inline void random_set_value(random_world_t *world, mst_meta_builder_t *builder, unsigned key) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    char text[40];
    int64_t number = 0;
    if (mst_meta_type_is_array(attribute->type)) {
        random_set_array(world, builder, key);
        return;
    }
    random_value(world, attribute, text, sizeof text);
    switch (attribute->type) {
    case MAESTRO_TYPE_BOOL: CHECK_OK(mst_meta_builder_set_bool(builder, key, text[0] == 't')); break;
    case MAESTRO_TYPE_I64: CHECK_OK(mst_meta_builder_set_i64(builder, key, atoll(text))); break;
    case MAESTRO_TYPE_F64: CHECK_OK(mst_meta_builder_set_f64(builder, key, atof(text))); break;
    case MAESTRO_TYPE_TIMESTAMP:
        CHECK_OK(mst_meta_schema_text_timestamp(attribute, text, strlen(text), &number));
        CHECK_OK(mst_meta_builder_set_timestamp(builder, key, number));
        break;
    case MAESTRO_TYPE_BLOB: CHECK_OK(mst_meta_builder_set_blob(builder, key, text, strlen(text))); break;
    default: CHECK_OK(mst_meta_builder_set_text(builder, key, text, strlen(text)));
    }
}

/* A packed and interned object of schema 1 or 2; the caller frees it. */
static inline mst_meta_attributes_t *random_object(random_world_t *world) {
    uint16_t number = (uint16_t)(1 + random_below(world, 2));
    mst_meta_builder_t builder;
    mst_meta_builder_init(&builder, world->schema[number], NULL);
    for (unsigned key = 0; key < world->schema[number]->nattributes; key++)
        if (random_below(world, 10) < 7) random_set_value(world, &builder, key);
    size_t nbytes = 0;
    CHECK_OK(mst_meta_builder_pack(&builder, number, NULL, 0, &nbytes));
    mst_meta_attributes_t *set = malloc(nbytes);
    CHECK_OK(mst_meta_builder_pack(&builder, number, set, nbytes, &nbytes));
    mst_meta_attributes_intern(set, world->schema[number], world->dictionary, true);
    mst_meta_builder_fini(&builder);
    return set;
}

/* One comparison of a random attribute, among them attributes no object has. */
static inline void random_comparison(random_world_t *world, const mst_meta_schema_t *schema, bool core_only, mst_base_buffer_t *out) {
    static const char *const operators[] = {"=", "!=", "<", "<=", ">", ">="};
    unsigned key = random_below(world, core_only ? MST_META_CORE_KEYS : (unsigned)schema->nattributes);
    maestro_type_t type = mst_meta_element_type(schema->attribute[key].type);
    const char *name = schema->attribute[key].name, *quote = type == MAESTRO_TYPE_STRING || type == MAESTRO_TYPE_TIMESTAMP ? "\"" : "";
    bool ordered = type == MAESTRO_TYPE_I64 || type == MAESTRO_TYPE_F64 || type == MAESTRO_TYPE_TIMESTAMP;
    unsigned how = random_below(world, 10);
    char a[40], b[40];
    random_value(world, &schema->attribute[key], a, sizeof a);
    random_value(world, &schema->attribute[key], b, sizeof b);
    if (type == MAESTRO_TYPE_BLOB || how == 0) mst_base_buffer_printf(out, "has(%s)", name);
    else if (how == 1 && type == MAESTRO_TYPE_I64) mst_base_buffer_printf(out, "%s in %d/to/%d/by/%u", name, -4 + atoi(a) % 2, atoi(b), 1 + random_below(world, 3));
    else if (how < 4 && type == MAESTRO_TYPE_STRING) mst_base_buffer_printf(out, "%s like \"%c*\"", name, a[0]);
    else if (how < 5) mst_base_buffer_printf(out, "%s in (%s%s%s, %s%s%s)", name, quote, a, quote, quote, b, quote);
    else mst_base_buffer_printf(out, "%s %s %s%s%s", name, operators[random_below(world, ordered ? 6 : 2)], quote, a, quote);
}

static inline void random_expression(random_world_t *world, const mst_meta_schema_t *schema, bool core_only, int depth, mst_base_buffer_t *out) {
    unsigned how = depth == 0 ? 9 : random_below(world, 10);
    if (how > 6) {
        random_comparison(world, schema, core_only, out);
        return;
    }
    mst_base_buffer_printf(out, how == 0 ? "not (" : "(");
    random_expression(world, schema, core_only, depth - 1, out);
    if (how > 0) {
        mst_base_buffer_printf(out, how < 3 ? ") or (" : ") and (");
        random_expression(world, schema, core_only, depth - 1, out);
    }
    mst_base_buffer_printf(out, ")");
}

static inline mst_meta_selector_t *random_parse(random_world_t *world, unsigned schema, const char *text) {
    mst_meta_selector_t *selector = NULL;
    CHECK_OK(mst_meta_selector_parse(world->schema[schema], text, &selector));
    if (selector) mst_meta_selector_bind(selector, world->dictionary);
    else fprintf(stderr, "  in %s\n", text);
    return selector;
}

static inline mst_meta_selector_t *random_selector(random_world_t *world) {
    mst_base_buffer_t text = {0};
    unsigned schema = 1 + random_below(world, 2);
    random_expression(world, world->schema[schema], random_below(world, 6) == 0, 3, &text);
    mst_meta_selector_t *selector = random_parse(world, schema, text.data);
    mst_base_buffer_fini(&text);
    return selector;
}

/* What index and matcher must agree with. */
static inline bool random_matches(const random_world_t *world, const mst_meta_selector_t *selector, const mst_meta_attributes_t *set) {
    if (!selector->core_only && set->schema != selector->schema->number) return false;
    return mst_meta_selector_match(selector, set, world->dictionary);
}

#endif
