/* Attribute sets: conversions of the setters, packing, checking of foreign bytes, interning, identity, text for people. */
#include "base/test.h"
#include "meta/attributes.h"
#include "meta/dictionary.h"
#include "meta/schema.h"

#include <math.h>
#include <stdio.h>

static const char yaml[] =
    "schema: x\nattributes:\n"
    "  flag: {type: bool, default: true}\n  count: {type: i64, identity: true}\n  step: {type: i64, unit: h, required: true, identity: true}\n"
    "  level: {type: f64, identity: true}\n  kind: {type: string, common: true, identity: true, fold: true, values: [oper, enfo], aliases: {ef: enfo}}\n"
    "  ver: {type: string, common: true, pad: 4, default: 1}\n  note: {type: string, identity: true}\n  at: {type: timestamp}\n  raw: {type: blob}\n"
    "  clock: {type: string, pad: 4, unit: hhmm}\n  day: {type: string, pad: 8, unit: yyyymmdd}\n  label: {type: string, common: true, identity: true}\n"
    "  flags: {type: bool, array: true}\n  levels: {type: i64, array: true}\n  weights: {type: f64, array: true}\n  tags: {type: string, array: true, fold: true}\n";

static mst_meta_schema_t *schema;
static mst_meta_dictionary_t *dictionary;

static unsigned key_of(const char *name) {
    unsigned key = 0;
    CHECK_OK(mst_meta_schema_require_key(schema, name, "test", &key));
    return key;
}

typedef struct object {
    uint64_t words[256];
    size_t nbytes;
} object_t;

static mst_meta_attributes_t *set_of(object_t *object) { return (mst_meta_attributes_t *)object->words; }

static void pack(const mst_meta_builder_t *builder, object_t *object) {
    size_t measured = 0;
    CHECK_OK(mst_meta_builder_pack(builder, 3, NULL, 0, &measured));
    CHECK_OK(mst_meta_builder_pack(builder, 3, object->words, sizeof object->words, &object->nbytes));
    CHECK(object->nbytes == measured && measured % 8 == 0 && mst_meta_attributes_nbytes(set_of(object)) == measured && set_of(object)->schema == 3);
}

/* The value as JSON of a set with one attribute. */
static const char *json_of(const mst_meta_builder_t *builder, unsigned key) {
    static char text[512];
    object_t object;
    mst_base_buffer_t out = {0};
    pack(builder, &object);
    CHECK_OK(mst_meta_attributes_check(set_of(&object), object.nbytes, schema, dictionary, false));
    mst_meta_attributes_value_json(&out, set_of(&object), key, schema, dictionary);
    snprintf(text, sizeof text, "%s", out.data);
    mst_base_buffer_fini(&out);
    return text;
}

enum given { GIVE_BOOL, GIVE_I64, GIVE_F64, GIVE_TEXT, GIVE_TIME, GIVE_BLOB };

static void test_setters_convert_as_the_schema_says(void) {
    static const struct { const char *key; enum given given; int64_t i64; double f64; const char *text; maestro_status_t status; const char *says; } rows[] = {
        {"flag", GIVE_BOOL, 1, 0, NULL, MAESTRO_OK, "true"},
        {"flag", GIVE_I64, 1, 0, NULL, MAESTRO_WRONG_TYPE, "set flag: a value of type i64 was given, the schema says bool"},
        {"flag", GIVE_TEXT, 0, 0, "true", MAESTRO_WRONG_TYPE, "of type string"},
        {"count", GIVE_I64, INT64_MIN, 0, NULL, MAESTRO_OK, "-9223372036854775808"},
        {"count", GIVE_F64, 0, 6, NULL, MAESTRO_WRONG_TYPE, "of type f64"},
        {"count", GIVE_TEXT, 0, 0, "6", MAESTRO_WRONG_TYPE, "of type string"},
        {"step", GIVE_TEXT, 0, 0, "6", MAESTRO_OK, "6"}, {"step", GIVE_TEXT, 0, 0, "6h", MAESTRO_OK, "6"}, {"step", GIVE_TEXT, 0, 0, "2d", MAESTRO_OK, "48"},
        {"step", GIVE_TEXT, 0, 0, "0-24", MAESTRO_OK, "24"}, {"step", GIVE_TEXT, 0, 0, "120m", MAESTRO_OK, "2"}, {"step", GIVE_TEXT, 0, 0, "-6", MAESTRO_OK, "-6"},
        {"step", GIVE_TEXT, 0, 0, "30m", MAESTRO_BAD_VALUE, "attribute step: '30m' is no whole number of hours"},
        {"step", GIVE_TEXT, 0, 0, "six", MAESTRO_BAD_VALUE, "attribute step: 'six' is no number of hours"},
        {"step", GIVE_TEXT, 0, 0, "99999999999999999999", MAESTRO_BAD_VALUE, "no number of hours"},
        {"level", GIVE_I64, 500, 0, NULL, MAESTRO_OK, "500"}, {"level", GIVE_F64, 0, 0.5, NULL, MAESTRO_OK, "0.5"}, {"level", GIVE_TEXT, 0, 0, ".5", MAESTRO_OK, "0.5"},
        {"level", GIVE_TEXT, 0, 0, "1013.25", MAESTRO_OK, "1013.25"}, {"level", GIVE_F64, 0, 0.1, NULL, MAESTRO_OK, "0.1"}, {"level", GIVE_F64, 0, -0.0, NULL, MAESTRO_OK, "0"},
        {"level", GIVE_F64, 0, 1e300, NULL, MAESTRO_OK, "1e+300"}, {"level", GIVE_F64, 0, INFINITY, NULL, MAESTRO_OK, "\"inf\""},
        {"level", GIVE_F64, 0, NAN, NULL, MAESTRO_BAD_VALUE, "set level: NaN is no attribute value"},
        {"level", GIVE_TEXT, 0, 0, "nan", MAESTRO_BAD_VALUE, "is no number"}, {"level", GIVE_TEXT, 0, 0, "0x10", MAESTRO_BAD_VALUE, "is no number"},
        {"level", GIVE_TEXT, 0, 0, "", MAESTRO_BAD_VALUE, "is no number"},
        {"kind", GIVE_TEXT, 0, 0, "EF", MAESTRO_OK, "\"enfo\""}, {"kind", GIVE_TEXT, 0, 0, "OPER", MAESTRO_OK, "\"oper\""},
        {"kind", GIVE_TEXT, 0, 0, "opera", MAESTRO_BAD_VALUE, "attribute kind: 'opera' is not allowed; did you mean 'oper'?; allowed: oper, enfo"},
        {"kind", GIVE_I64, 1, 0, NULL, MAESTRO_WRONG_TYPE, "of type i64"},
        {"ver", GIVE_I64, 12, 0, NULL, MAESTRO_OK, "\"0012\""}, {"ver", GIVE_TEXT, 0, 0, "abcde", MAESTRO_OK, "\"abcde\""},
        {"note", GIVE_TEXT, 0, 0, "gr\xc3\xbc\xc3\x9f\"e\n", MAESTRO_OK, "\"gr\xc3\xbc\xc3\x9f\\\"e\\u000a\""}, {"note", GIVE_TEXT, 0, 0, "", MAESTRO_OK, "\"\""},
        {"note", GIVE_TEXT, 0, 0, "\xc3", MAESTRO_BAD_VALUE, "attribute note: the text is not UTF-8"}, {"note", GIVE_BOOL, 1, 0, NULL, MAESTRO_WRONG_TYPE, "of type bool"},
        {"at", GIVE_TEXT, 0, 0, "2026-11-24", MAESTRO_OK, "\"2026-11-24T00:00:00Z\""}, {"at", GIVE_TEXT, 0, 0, "20261124", MAESTRO_OK, "\"2026-11-24T00:00:00Z\""},
        {"at", GIVE_TEXT, 0, 0, "2026-11-24T06:30:15.25+01:30", MAESTRO_OK, "\"2026-11-24T05:00:15.25Z\""}, {"at", GIVE_TEXT, 0, 0, "19691231T2359", MAESTRO_OK, "\"1969-12-31T23:59:00Z\""},
        {"at", GIVE_TIME, -1, 0, NULL, MAESTRO_OK, "\"1969-12-31T23:59:59.999999999Z\""}, {"at", GIVE_TIME, INT64_MIN, 0, NULL, MAESTRO_OK, "\"1677-09-21T00:12:43.145224192Z\""},
        {"at", GIVE_TEXT, 0, 0, "2026-02-30", MAESTRO_BAD_VALUE, "attribute at: '2026-02-30' is no time; write ISO 8601"}, {"at", GIVE_TEXT, 0, 0, "2026-11-24T25:00", MAESTRO_BAD_VALUE, "is no time"},
        {"at", GIVE_TEXT, 0, 0, "3000-01-01", MAESTRO_BAD_VALUE, "is no time"}, {"at", GIVE_I64, 5, 0, NULL, MAESTRO_WRONG_TYPE, "of type i64"},
        {"raw", GIVE_BLOB, 0, 0, "abc", MAESTRO_OK, "\"3 bytes\""}, {"raw", GIVE_TEXT, 0, 0, "abc", MAESTRO_WRONG_TYPE, "of type string"}, {"note", GIVE_BLOB, 0, 0, "abc", MAESTRO_WRONG_TYPE, "of type blob"},
        {"clock", GIVE_I64, 0, 0, NULL, MAESTRO_OK, "\"0000\""}, {"clock", GIVE_I64, 12, 0, NULL, MAESTRO_OK, "\"1200\""}, {"clock", GIVE_I64, 630, 0, NULL, MAESTRO_OK, "\"0630\""},
        {"clock", GIVE_I64, -6, 0, NULL, MAESTRO_BAD_VALUE, "no time of day"}, {"day", GIVE_I64, 20260228, 0, NULL, MAESTRO_OK, "\"20260228\""},
        {"day", GIVE_I64, 20260229, 0, NULL, MAESTRO_BAD_VALUE, "attribute day: '20260229' is no date of the calendar"}};
    for (size_t i = 0; i < MST_COUNT(rows); i++) {
        mst_meta_builder_t builder;
        unsigned key = key_of(rows[i].key);
        mst_meta_builder_init(&builder, schema, dictionary);
        size_t nbytes = rows[i].text ? strlen(rows[i].text) : 0;
        maestro_status_t status = rows[i].given == GIVE_BOOL ? mst_meta_builder_set_bool(&builder, key, rows[i].i64)
                                : rows[i].given == GIVE_I64  ? mst_meta_builder_set_i64(&builder, key, rows[i].i64)
                                : rows[i].given == GIVE_F64  ? mst_meta_builder_set_f64(&builder, key, rows[i].f64)
                                : rows[i].given == GIVE_TIME ? mst_meta_builder_set_timestamp(&builder, key, rows[i].i64)
                                : rows[i].given == GIVE_BLOB ? mst_meta_builder_set_blob(&builder, key, rows[i].text, nbytes)
                                                             : mst_meta_builder_set_text(&builder, key, rows[i].text, nbytes);
        CHECK_STATUS(status, rows[i].status);
        if (status < 0) CHECK_ERROR_SAYS(rows[i].says);
        else CHECK(strcmp(json_of(&builder, key), rows[i].says) == 0 || (fprintf(stderr, "  row %zu gave %s\n", i, json_of(&builder, key)), 0));
        mst_meta_builder_fini(&builder);
    }
}

static void fill(mst_meta_builder_t *builder, const char *label, const char *note, int64_t step) {
    CHECK_OK(mst_meta_builder_set_text(builder, key_of("label"), label, strlen(label)));
    CHECK_OK(mst_meta_builder_set_text(builder, key_of("note"), note, strlen(note)));
    CHECK_OK(mst_meta_builder_set_i64(builder, key_of("step"), step));
}

static void test_missing_attributes_are_all_named_and_defaults_fill_in(void) {
    mst_meta_builder_t builder;
    mst_meta_builder_init(&builder, schema, dictionary);
    CHECK_STATUS(mst_meta_builder_complete(&builder), MAESTRO_MISSING_ATTRIBUTE);
    CHECK_ERROR_SAYS("schema x requires step");
    CHECK_OK(mst_meta_builder_set_i64(&builder, key_of("step"), 6));
    CHECK_OK(mst_meta_builder_complete(&builder));
    CHECK(strcmp(json_of(&builder, key_of("ver")), "\"0001\"") == 0 && strcmp(json_of(&builder, key_of("flag")), "true") == 0);
    CHECK_OK(mst_meta_builder_set_bool(&builder, key_of("flag"), false));
    CHECK_OK(mst_meta_builder_complete(&builder));
    CHECK(strcmp(json_of(&builder, key_of("flag")), "false") == 0);
    mst_meta_builder_fini(&builder);
}

static void test_text_set_again_and_again_leaves_no_garbage(void) {
    mst_meta_builder_t builder, copy;
    object_t object;
    char text[1000];
    memset(text, 'x', sizeof text);
    mst_meta_builder_init(&builder, schema, dictionary);
    CHECK_OK(mst_meta_builder_set_text(&builder, key_of("label"), "kept", 4));
    for (int i = 0; i < 500; i++) CHECK_OK(mst_meta_builder_set_text(&builder, key_of("note"), text, (size_t)(1000 - i)));
    CHECK(builder.tail_capacity <= 2 * MST_META_TAIL_MAX);
    pack(&builder, &object);
    CHECK(set_of(&object)->tail_nbytes == MST_ALIGN(501 + 4, 8));
    mst_meta_builder_init(&copy, schema, dictionary);
    CHECK_OK(mst_meta_builder_load(&copy, set_of(&object)));
    CHECK(strcmp(json_of(&copy, key_of("label")), "\"kept\"") == 0);
    mst_meta_builder_fini(&copy);
    mst_meta_builder_init(&copy, schema, dictionary);
    CHECK_OK(mst_meta_builder_copy(&copy, &builder));
    CHECK(strcmp(json_of(&copy, key_of("label")), "\"kept\"") == 0);
    static char large[MST_META_TEXT_MAX + 1];
    memset(large, 'y', sizeof large);
    CHECK_STATUS(mst_meta_builder_set_text(&copy, key_of("note"), large, sizeof large), MAESTRO_TOO_LARGE);
    CHECK_STATUS(mst_meta_builder_set_text(&copy, key_of("clock"), large, 5), MAESTRO_BAD_VALUE);
    CHECK_STATUS(mst_meta_builder_set_blob(&copy, key_of("raw"), large, MST_META_TEXT_MAX - 200), MAESTRO_TOO_LARGE);
    CHECK_ERROR_SAYS("put large things into the object's data");
    CHECK_OK(mst_meta_builder_set_blob(&copy, key_of("raw"), large, MST_META_TEXT_MAX - 1024));
    CHECK_STATUS(mst_meta_builder_set_text(&copy, key_of("note"), large, 2000), MAESTRO_TOO_LARGE);
    mst_meta_builder_unset(&copy, key_of("raw"));
    CHECK(strcmp(json_of(&copy, key_of("label")), "\"kept\"") == 0 && strlen(json_of(&copy, key_of("note"))) == 503); /* refused changes change nothing */
    mst_meta_builder_fini(&copy);
    mst_meta_builder_fini(&builder);
}

static void test_an_emptied_text_is_packed_as_empty(void) {
    mst_meta_builder_t builder;
    mst_meta_builder_init(&builder, schema, dictionary);
    CHECK_OK(mst_meta_builder_set_text(&builder, key_of("note"), "abcde", 5));
    CHECK_OK(mst_meta_builder_set_text(&builder, key_of("note"), "", 0));
    CHECK(strcmp(json_of(&builder, key_of("note")), "\"\"") == 0);
    mst_meta_builder_fini(&builder);
}

static void test_identity_is_by_content_however_it_is_written(void) {
    static const struct { const char *label, *note; int64_t step; bool level; } rows[] = {{"a", "n", 6, false}, {"b", "n", 6, false}, {"a", "m", 6, false}, {"a", "n", 7, false}, {"a", "n", 6, true}, {"", "an", 6, false}, {"a", "", 6, false}};
    object_t object[MST_COUNT(rows)][2];
    for (size_t i = 0; i < MST_COUNT(rows); i++)
        for (int way = 0; way < 2; way++) { /* before and after the dictionary knows the label; tails in another order; something that is no identity */
            mst_meta_builder_t builder;
            mst_meta_builder_init(&builder, schema, way ? dictionary : NULL);
            if (way) CHECK_OK(mst_meta_builder_set_text(&builder, MST_META_KEY_NAME, "some name", 9));
            fill(&builder, rows[i].label, rows[i].note, rows[i].step);
            if (rows[i].level) CHECK_OK(mst_meta_builder_set_f64(&builder, key_of("level"), 0));
            pack(&builder, &object[i][way]);
            mst_meta_builder_fini(&builder);
            mst_meta_attributes_intern(set_of(&object[i][way]), schema, dictionary, true);
            CHECK(!mst_meta_word_is_tail(set_of(&object[i][way])->value[mst_meta_attributes_rank(set_of(&object[i][way]), key_of("label"))]));
        }
    for (size_t i = 0; i < MST_COUNT(rows); i++)
        for (size_t j = 0; j < MST_COUNT(rows); j++)
            for (int way = 0; way < 2; way++) {
                const mst_meta_attributes_t *a = set_of(&object[i][0]), *b = set_of(&object[j][way]);
                CHECK(mst_meta_attributes_identity_equal(a, b, schema) == (i == j));
                CHECK((mst_meta_attributes_identity_hash(a, schema, 1) == mst_meta_attributes_identity_hash(b, schema, 1)) == (i == j));
                CHECK(mst_meta_attributes_identity_hash(a, schema, 1) != mst_meta_attributes_identity_hash(b, schema, 2));
            }
}

static void test_description_begins_with_the_identity(void) {
    mst_meta_builder_t builder;
    object_t object;
    char text[64];
    mst_meta_builder_init(&builder, schema, dictionary);
    fill(&builder, "a", "n", 6);
    CHECK_OK(mst_meta_builder_set_f64(&builder, key_of("level"), 1013.25));
    CHECK_OK(mst_meta_builder_set_text(&builder, MST_META_KEY_DTYPE, "<f8", 3));
    pack(&builder, &object);
    CHECK(mst_meta_attributes_describe(set_of(&object), schema, dictionary, text, sizeof text) == strlen("step=6 level=1013.25 note=n label=a maestro.dtype=<f8"));
    CHECK(strcmp(text, "step=6 level=1013.25 note=n label=a maestro.dtype=<f8") == 0);
    CHECK(mst_meta_attributes_describe(set_of(&object), schema, dictionary, text, 7) > 7 && strcmp(text, "step=6") == 0);
    mst_meta_builder_fini(&builder);
}

/* ---- Foreign bytes. */

static void test_each_kind_of_malformed_set_is_refused(void) {
    mst_meta_builder_t builder;
    object_t good, bad;
    mst_meta_attributes_t *set = set_of(&bad);
    mst_meta_builder_init(&builder, schema, NULL);
    fill(&builder, "a", "n", 6);
    CHECK_OK(mst_meta_builder_set_bool(&builder, key_of("flag"), true));
    CHECK_OK(mst_meta_builder_set_f64(&builder, key_of("level"), 1));
    pack(&builder, &good);
    mst_meta_builder_fini(&builder);
    unsigned flag = mst_meta_attributes_rank(set_of(&good), key_of("flag")), level = mst_meta_attributes_rank(set_of(&good), key_of("level"));
    unsigned note = mst_meta_attributes_rank(set_of(&good), key_of("note")), label = mst_meta_attributes_rank(set_of(&good), key_of("label"));
    uint32_t tail = set_of(&good)->tail_nbytes;
    CHECK_OK(mst_meta_attributes_check(set_of(&good), good.nbytes, schema, dictionary, true));
#define REFUSED(change, nbytes)                                                                                       \
    do {                                                                                                              \
        bad = good;                                                                                                   \
        change;                                                                                                       \
        CHECK_STATUS(mst_meta_attributes_check(set, nbytes, schema, dictionary, true), MAESTRO_PROTOCOL);             \
    } while (0)
    REFUSED((void)0, good.nbytes - 8);
    REFUSED((void)0, good.nbytes + 8);
    REFUSED((void)0, sizeof *set - 1);
    REFUSED(set->nvalues++, good.nbytes + 8);
    REFUSED(set->tail_nbytes -= 1, good.nbytes - 1);
    REFUSED(set->tail_nbytes = 0xfffffff8u, good.nbytes);
    REFUSED(set->mask[1] |= 1ull << 63, good.nbytes);
    REFUSED(set->value[flag] = 2, good.nbytes);
    REFUSED(set->value[level] = 0x7ff8000000000000ull, good.nbytes);
    REFUSED(set->value[level] = 1ull << 63, good.nbytes); /* -0 */
    REFUSED(set->value[label] = 0, good.nbytes);
    REFUSED(set->value[label] = mst_meta_dictionary_count(dictionary) + 1, good.nbytes);
    REFUSED(set->value[note] = 1, good.nbytes); /* a code, for text that is not common */
    REFUSED(set->value[note] = mst_meta_tail_word(tail, 1), good.nbytes);
    REFUSED(set->value[note] = mst_meta_tail_word(0, tail + 1), good.nbytes);
    REFUSED(set->value[note] = mst_meta_tail_word(0xffffffff, 0x7fffffff), good.nbytes);
    REFUSED(((char *)&set->value[set->nvalues])[mst_meta_word_offset(set->value[note])] = '\xff', good.nbytes);
    REFUSED(((char *)&set->value[set->nvalues])[mst_meta_word_offset(set->value[note])] = '\0', good.nbytes);
    bad = good;
    unsigned step = mst_meta_attributes_rank(set, key_of("step"));
    memmove(&set->value[step], &set->value[step + 1], good.nbytes - sizeof *set - 8 * (step + 1));
    set->mask[key_of("step") >> 6] &= ~(1ull << (key_of("step") & 63));
    set->nvalues--;
    CHECK_STATUS(mst_meta_attributes_check(set, good.nbytes - 8, schema, dictionary, true), MAESTRO_MISSING_ATTRIBUTE);
    CHECK_OK(mst_meta_attributes_check(set, good.nbytes - 8, schema, dictionary, false));
}

/* Whatever passes the check can be used by everything else; the sanitizers watch. */
static void test_random_bytes_are_refused_or_usable(void) {
    uint64_t state = 1;
    unsigned passed = 0;
    for (int round = 0; round < 20000; round++) {
        object_t object;
        mst_meta_attributes_t *set = set_of(&object);
        uint64_t random = mst_base_mix(state += 0x9e3779b97f4a7c15ull);
        for (size_t i = 0; i < 40; i++) object.words[i] = mst_base_mix(state + i * 77) & (random & 1 ? ~0ull : 0x8000000f0000000full);
        set->mask[0] &= schema->all[0] & mst_base_mix(random);
        set->mask[1] = 0;
        set->nvalues = (uint16_t)__builtin_popcountll(set->mask[0]);
        set->tail_nbytes = (uint32_t)(random >> 20) % 4 * 8;
        memset(&set->value[set->nvalues], 'a' + (int)(random % 26), set->tail_nbytes);
        size_t nbytes = mst_meta_attributes_nbytes(set);
        if (mst_meta_attributes_check(set, nbytes, schema, dictionary, false) != MAESTRO_OK) continue;
        char text[100];
        mst_meta_attributes_intern(set, schema, dictionary, round % 50 == 0);
        CHECK(mst_meta_attributes_identity_equal(set, set, schema));
        mst_meta_attributes_describe(set, schema, dictionary, text, sizeof text);
        passed++;
    }
    CHECK(passed > 100);
}

static void test_arrays_lie_in_the_tail_in_their_place(void) {
    static const int64_t levels[] = {1, -2, 3};
    static const char *const tags[] = {"A", "", "bc"};
    static const bool flags[] = {true, false};
    mst_meta_builder_t builder;
    mst_meta_builder_init(&builder, schema, dictionary);
    CHECK_OK(mst_meta_builder_set_text(&builder, key_of("note"), "odd", 3));
    CHECK_OK(mst_meta_builder_set_array(&builder, key_of("tags"), MAESTRO_TYPE_STRING, tags, MST_COUNT(tags)));
    CHECK_OK(mst_meta_builder_set_array(&builder, key_of("levels"), MAESTRO_TYPE_I64, levels, MST_COUNT(levels)));
    CHECK_OK(mst_meta_builder_set_array(&builder, key_of("weights"), MAESTRO_TYPE_I64, levels, MST_COUNT(levels)));
    CHECK_OK(mst_meta_builder_set_array(&builder, key_of("flags"), MAESTRO_TYPE_BOOL, flags, MST_COUNT(flags)));
    CHECK(strcmp(json_of(&builder, key_of("tags")), "[\"a\",\"\",\"bc\"]") == 0);
    CHECK(strcmp(json_of(&builder, key_of("levels")), "[1,-2,3]") == 0);
    CHECK(strcmp(json_of(&builder, key_of("weights")), "[1,-2,3]") == 0);
    CHECK(strcmp(json_of(&builder, key_of("flags")), "[true,false]") == 0);
    CHECK_STATUS(mst_meta_builder_set_array(&builder, key_of("levels"), MAESTRO_TYPE_F64, levels, 1), MAESTRO_WRONG_TYPE);
    CHECK_STATUS(mst_meta_builder_set_array(&builder, key_of("count"), MAESTRO_TYPE_I64, levels, 1), MAESTRO_WRONG_TYPE);
    CHECK_STATUS(mst_meta_builder_set_i64(&builder, key_of("levels"), 1), MAESTRO_WRONG_TYPE);
    CHECK_ERROR_SAYS("set levels: a value of type i64 was given, the schema says i64 array");
    mst_meta_builder_fini(&builder);
}

/* Of each array one that no builder writes. */
static void test_malformed_arrays_are_refused(void) {
    static const uint64_t two = 2, nan_bits = 0x7ff8000000000000ull, bad_utf8 = 0x00ffull;
    static const struct { const char *key; uint32_t offset, nbytes; const uint64_t *content; bool valid; } rows[] = {
        {"levels", 0, 8, &two, true},   {"levels", 4, 8, &two, false}, {"levels", 0, 7, &two, false},    {"levels", 0, 24, &two, false}, {"levels", 24, 0, &two, false},
        {"flags", 0, 1, &two, false},   {"flags", 0, 0, &two, true},   {"weights", 0, 8, &nan_bits, false}, {"tags", 0, 1, &two, false}, {"tags", 0, 2, &two, true},
        {"tags", 0, 2, &bad_utf8, false}, {"tags", 0, 8, &two, true},  {"tags", 1, 1, &two, false}};
    for (size_t i = 0; i < MST_COUNT(rows); i++) {
        object_t object = {0};
        mst_meta_attributes_t *set = set_of(&object);
        unsigned key = key_of(rows[i].key);
        set->mask[key >> 6] = 1ull << (key & 63);
        set->nvalues = 1;
        set->tail_nbytes = 16;
        set->value[0] = mst_meta_tail_word(rows[i].offset, rows[i].nbytes);
        set->value[1] = *rows[i].content;
        CHECK_STATUS(mst_meta_attributes_check(set, mst_meta_attributes_nbytes(set), schema, dictionary, false), rows[i].valid ? MAESTRO_OK : MAESTRO_PROTOCOL);
    }
}

int main(void) {
    CHECK_OK(mst_meta_schema_parse(yaml, strlen(yaml), "test.yaml", &schema));
    void *block = calloc(1, mst_meta_dictionary_nbytes(1000, 10000));
    dictionary = mst_meta_dictionary_init(block, 1000, 10000);
    mst_meta_dictionary_intern(dictionary, "first", 5);
    test_setters_convert_as_the_schema_says();
    test_missing_attributes_are_all_named_and_defaults_fill_in();
    test_text_set_again_and_again_leaves_no_garbage();
    test_an_emptied_text_is_packed_as_empty();
    test_identity_is_by_content_however_it_is_written();
    test_description_begins_with_the_identity();
    test_each_kind_of_malformed_set_is_refused();
    test_arrays_lie_in_the_tail_in_their_place();
    test_malformed_arrays_are_refused();
    test_random_bytes_are_refused_or_usable();
    mst_meta_schema_destroy(schema);
    free(block);
    return TEST_END;
}
