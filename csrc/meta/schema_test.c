/* Schemas: the built-in ones, what is refused and where the message points, hash and difference. */
#include "base/test.h"
#include "meta/schema.h"

#include <stdio.h>
#include <unistd.h>

static mst_meta_schema_t *parse(const char *yaml) {
    mst_meta_schema_t *schema = NULL;
    CHECK_OK(mst_meta_schema_parse(yaml, strlen(yaml), "test.yaml", &schema));
    return schema;
}

static void test_core_schema_has_the_keys_of_the_header(void) {
    static const struct { const char *name; maestro_type_t type; bool common; } core[] = {
        [MST_META_KEY_NAME] = {"maestro.name", MAESTRO_TYPE_STRING, false},     [MST_META_KEY_DTYPE] = {"maestro.dtype", MAESTRO_TYPE_STRING, true},
        [MST_META_KEY_SHAPE] = {"maestro.shape", MAESTRO_TYPE_STRING, true},    [MST_META_KEY_ORDER] = {"maestro.order", MAESTRO_TYPE_STRING, true},
        [MST_META_KEY_COMPONENT] = {"maestro.component", MAESTRO_TYPE_STRING, true}, [MST_META_KEY_RANK] = {"maestro.rank", MAESTRO_TYPE_I64, false},
        [MST_META_KEY_VERSION] = {"maestro.version", MAESTRO_TYPE_I64, false},
        [MST_META_KEY_PID] = {"maestro.pid", MAESTRO_TYPE_I64, false},          [MST_META_KEY_REASON] = {"maestro.reason", MAESTRO_TYPE_STRING, true},
        [MST_META_KEY_CHECKSUM] = {"maestro.checksum", MAESTRO_TYPE_I64, false}, [MST_META_KEY_TIME] = {"maestro.time", MAESTRO_TYPE_TIMESTAMP, false},
        [MST_META_KEY_COLLECTION] = {"maestro.collection", MAESTRO_TYPE_STRING, true}, [MST_META_KEY_SEQUENCE] = {"maestro.sequence", MAESTRO_TYPE_I64, false},
        [MST_META_KEY_ARRAYS] = {"maestro.arrays", MAESTRO_TYPE_STRING, true}, [MST_META_KEY_LIFETIME] = {"maestro.lifetime", MAESTRO_TYPE_F64, false},
        [MST_META_KEY_NEED] = {"maestro.need", MAESTRO_TYPE_I64, false}, [MST_META_KEY_SELECTOR] = {"maestro.selector", MAESTRO_TYPE_STRING, false},
        [MST_META_KEY_SCHEMA] = {"maestro.schema", MAESTRO_TYPE_STRING, true},     [MST_META_KEY_NODE] = {"maestro.node", MAESTRO_TYPE_STRING, true},
        [MST_META_KEY_PRIORITY] = {"maestro.priority", MAESTRO_TYPE_STRING, true}, [MST_META_KEY_DEADLINE] = {"maestro.deadline", MAESTRO_TYPE_TIMESTAMP, false},
        [MST_META_KEY_DEMANDS] = {"maestro.demands", MAESTRO_TYPE_I64, false}, [MST_META_KEY_PERSIST] = {"maestro.persist", MAESTRO_TYPE_BOOL, false},
        [MST_META_KEY_PARTS] = {"maestro.parts", MAESTRO_TYPE_I64, false},     [MST_META_KEY_PART] = {"maestro.part", MAESTRO_TYPE_I64, false},
        [MST_META_KEY_MISSING] = {"maestro.missing", MAESTRO_TYPE_STRING, false},
        [MST_META_KEY_FENCE] = {"maestro.fence", MAESTRO_TYPE_STRING, true},   [MST_META_KEY_DESCRIBES] = {"maestro.describes", MAESTRO_TYPE_STRING, true}};
    const char *names[] = {NULL, "mars"};
    for (size_t n = 0; n < MST_COUNT(names); n++) {
        mst_meta_schema_t *schema;
        CHECK_OK(mst_meta_schema_load(names[n], &schema));
        CHECK(MST_COUNT(core) == MST_META_CORE_KEYS && schema->nattributes >= MST_META_CORE_KEYS);
        for (unsigned key = 0; key < MST_META_CORE_KEYS; key++) {
            CHECK(strcmp(schema->attribute[key].name, core[key].name) == 0);
            CHECK(schema->attribute[key].type == core[key].type && schema->attribute[key].common == core[key].common);
            CHECK(!schema->attribute[key].required && !schema->attribute[key].identity);
        }
        mst_meta_schema_destroy(schema);
    }
}

static void test_mars_schema_says_what_the_archive_language_says(void) {
    mst_meta_schema_t *mars;
    CHECK_OK(mst_meta_schema_load("mars", &mars));
    CHECK(mst_meta_schema_key(mars, "param", 5) == mst_meta_schema_key(mars, "mars.param", 10));
    CHECK(mst_meta_schema_key(mars, "maestro.dtype", 13) == MST_META_KEY_DTYPE);
    CHECK(mst_meta_schema_key(mars, "dtype", 5) == -1 && mst_meta_schema_key(mars, "mars.", 5) == -1 && mst_meta_schema_key(mars, "", 0) == -1);
    static const struct { const char *key, *given, *stored; } values[] = {
        {"class", "OD", "od"}, {"class", "operations", "od"}, {"class", "no", "no"}, {"stream", "ef", "enfo"}, {"stream", "Ensemble Prediction System", "enfo"},
        {"type", "Perturbed Forecast", "pf"}, {"type", "or", "or"}, {"levtype", "surface", "sfc"}, {"expver", "1", "0001"}, {"expver", "hxyz", "hxyz"},
        {"time", "0", "0000"}, {"time", "12", "1200"}, {"time", "630", "0630"}, {"time", "06:30", "0630"}, {"time", "1800", "1800"}, {"date", "2026-01-30", "20260130"},
        {"date", "20240229", "20240229"}, {"param", "2t", "2t"}, {"param", "130", "130"}, {"domain", "G", "g"}};
    for (size_t i = 0; i < MST_COUNT(values); i++) {
        char out[MST_META_TEXT_MAX + 1];
        size_t nbytes = 0;
        int key = mst_meta_schema_key(mars, values[i].key, strlen(values[i].key));
        CHECK(key >= 0);
        CHECK_OK(mst_meta_schema_canonical(&mars->attribute[key], values[i].given, strlen(values[i].given), out, &nbytes));
        CHECK(nbytes == strlen(values[i].stored) && memcmp(out, values[i].stored, nbytes) == 0);
    }
    static const struct { const char *key, *given, *says; } refused[] = {
        {"class", "oo", "did you mean 'o"}, {"stream", "opera", "did you mean 'oper'?"}, {"levtype", "level", "allowed: cat, dp"}, {"time", "24", "is no hour"},
        {"time", "2460", "no time of day"}, {"time", "-100", "no time of day"}, {"time", "", "no time of day"}, {"date", "20260230", "no date of the calendar"},
        {"date", "-1", "yyyymmdd"}, {"expver", "\xff", "UTF-8"}, {"param", "\xed\xa0\x80", "UTF-8"}};
    for (size_t i = 0; i < MST_COUNT(refused); i++) {
        char out[MST_META_TEXT_MAX + 1];
        size_t nbytes = 0;
        int key = mst_meta_schema_key(mars, refused[i].key, strlen(refused[i].key));
        CHECK_STATUS(mst_meta_schema_canonical(&mars->attribute[key], refused[i].given, strlen(refused[i].given), out, &nbytes), MAESTRO_BAD_VALUE);
        CHECK_ERROR_SAYS(refused[i].says);
        CHECK_ERROR_SAYS(refused[i].key);
    }
    CHECK(mars->attribute[mst_meta_schema_key(mars, "step", 4)].by == 12);
    mst_meta_schema_destroy(mars);
}

static void test_every_mistake_in_a_schema_is_pointed_at(void) {
    static const struct { const char *yaml, *says; } bad[] = {
        {"", "test.yaml:1:1: the file is empty"},
        {"- a\n", "test.yaml:1:1: a schema is a list; write a mapping"},
        {"schema: x\nattributes: {a: {type: i64}\n", "not YAML"},
        {"schema: x\n", "test.yaml:1:1: the schema has no attributes"},
        {"attributes: {}\n", "test.yaml:1:1: the schema has no name"},
        {"schema: x\nattrs: {}\n", "test.yaml:2:1: the entry 'attrs' is unknown; did you mean 'attributes'?; known: schema, version"},
        {"schema: maestro\nattributes: {}\n", "test.yaml:1:9: maestro is the namespace"},
        {"schema: core\nattributes: {a: {type: i64}}\n", "core is the name of Maestro's own schema"},
        {"schema: x\nversion: one\nattributes: {}\n", "test.yaml:2:10: version is 'one'"},
        {"schema: x\nduplicate: twice\nattributes: {}\n", "test.yaml:2:12: duplicate is 'twice'; write error or version"},
        {"schema: x\nreach: far\nattributes: {}\n", "test.yaml:2:8: reach is 'far'; write node or pool"},
        {"schema: x\nattributes:\n  a: {type: i64}\n  a: {type: i64}\n", "test.yaml:4:3: 'a' stands here for the second time (first in line 3)"},
        {"schema: x\nattributes:\n  a: {typ: i64}\n", "test.yaml:3:7: the entry 'typ' is unknown; did you mean 'type'?"},
        {"schema: x\nattributes:\n  a: {type: int}\n", "test.yaml:3:13: the type 'int' is unknown"},
        {"schema: x\nattributes:\n  a: {doc: nothing}\n", "test.yaml:3:6: attribute a has no type"},
        {"schema: x\nattributes:\n  a: i64\n", "test.yaml:3:6: an attribute is a word; write a mapping"},
        {"schema: x\nattributes:\n  a.b: {type: i64}\n", "test.yaml:3:3: the attribute 'a.b' is no name"},
        {"schema: x\nattributes:\n  like: {type: i64}\n", "test.yaml:3:3: 'like' is a word of the selector language"},
        {"schema: x\nattributes:\n  a: {type: i64, required: yes}\n", "test.yaml:3:28: required is 'yes'; write true or false"},
        {"schema: x\nattributes:\n  a: {type: i64, values: [a]}\n", "test.yaml:3:26: values is for strings, and a is i64"},
        {"schema: x\nattributes:\n  a: {type: f64, aliases: {a: b}}\n", "aliases is for strings"},
        {"schema: x\nattributes:\n  a: {type: i64, pad: 4}\n", "pad is for strings"},
        {"schema: x\nattributes:\n  a: {type: string, pad: -1}\n", "test.yaml:3:26: pad is '-1'; write a width from 1 to 64"},
        {"schema: x\nattributes:\n  a: {type: string, values: []}\n", "values is empty"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u, v, u]}\n", "test.yaml:3:36: the value 'u' stands here for the second time"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u], aliases: {w: v}}\n", "test.yaml:3:47: an alias's target: attribute a: 'v' is not allowed"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u], aliases: {u: u}}\n", "test.yaml:3:44: the alias 'u' is an allowed value itself"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u], default: v}\n", "test.yaml:3:43: default: attribute a: 'v' is not allowed"},
        {"schema: x\nattributes:\n  a: {type: i64, default: six}\n", "test.yaml:3:27: default: attribute a: 'six' is no whole number"},
        {"schema: x\nattributes:\n  a: {type: bool, default: 1}\n", "write true or false"},
        {"schema: x\nattributes:\n  a: {type: blob, default: 1}\n", "a blob has no default"},
        {"schema: x\nattributes:\n  a: {type: blob, common: true}\n", "common is for strings"},
        {"schema: x\nattributes:\n  a: {type: i64, by: 0}\n", "test.yaml:3:22: by is '0'; write a whole number above 0"},
        {"schema: x\nattributes:\n  a: {type: [i64]}\n", "test.yaml:3:13: type is a list; write a single word"},
        {"schema: x\nattributes: {}\n---\nschema: y\n", "test.yaml:4:1: a second document begins here"},
        {"schema: 1x\nattributes: {}\n", "test.yaml:1:9: the schema '1x' is no name"},
        {"schema: x\nattributes: &a {b: *a}\n", "is unknown"},
        {"schema: \"\\0\"\nattributes: {}\n", "has a NUL in it"}};
    for (size_t i = 0; i < MST_COUNT(bad); i++) {
        mst_meta_schema_t *schema = NULL;
        CHECK_STATUS(mst_meta_schema_parse(bad[i].yaml, strlen(bad[i].yaml), "test.yaml", &schema), MAESTRO_BAD_SCHEMA);
        CHECK_ERROR_SAYS(bad[i].says);
        CHECK(schema == NULL);
    }
}

static void test_more_attributes_than_keys_are_refused(void) {
    for (unsigned own = MST_META_KEYS_MAX - MST_META_CORE_KEYS; own <= MST_META_KEYS_MAX - MST_META_CORE_KEYS + 1; own++) {
        mst_base_buffer_t yaml = {0};
        mst_base_buffer_printf(&yaml, "schema: x\nattributes:\n");
        for (unsigned i = 0; i < own; i++) mst_base_buffer_printf(&yaml, "  a%u: {type: i64}\n", i);
        mst_meta_schema_t *schema = NULL;
        maestro_status_t status = mst_meta_schema_parse(yaml.data, yaml.nbytes, "many.yaml", &schema);
        CHECK(status == (own + MST_META_CORE_KEYS > MST_META_KEYS_MAX ? MAESTRO_BAD_SCHEMA : MAESTRO_OK));
        char place[64];
        snprintf(place, sizeof place, "many.yaml:%u:3: more than %d attributes", own + 2, MST_META_KEYS_MAX); /* two lines come before the attributes */
        if (status < 0) CHECK_ERROR_SAYS(place);
        else
            for (unsigned i = 0; i < own; i++) {
                char name[8];
                CHECK(mst_meta_schema_key(schema, name, (size_t)snprintf(name, sizeof name, "a%u", i)) == (int)(MST_META_CORE_KEYS + i));
            }
        mst_meta_schema_destroy(schema);
        mst_base_buffer_fini(&yaml);
    }
}

static void test_hash_follows_meaning_and_difference_names_it(void) {
    static const char *const same = "schema: x\nattributes:\n  a: {type: string, values: [u, v], common: true, default: u}\n  b: {type: i64, unit: h}\n";
    static const char *const also = "# a remark\nschema: x\nversion: 1\nattributes:\n  a:\n    doc: other words\n    common: true\n    values: [v, u]\n    type: string\n"
                                    "    default: u\n  b: {unit: h, type: i64}\nduplicate: error\n";
    static const struct { const char *yaml, *says; } others[] = {
        {"schema: x\nattributes:\n  a: {type: string, values: [u, w], common: true, default: u}\n  b: {type: i64, unit: h}\n", "attribute a: its values or aliases differ"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u, v], common: true, default: v}\n  b: {type: i64, unit: h}\n", "attribute a: default is u here, v there"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u, v], common: true, default: u}\n  b: {type: f64, unit: h}\n", "attribute b: type is i64 here, f64 there"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u, v], common: true, default: u}\n  b: {type: i64}\n", "attribute b: unit is h here, not given there"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u, v], common: true, default: u}\n", "attribute b is missing there"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u, v], common: true, default: u}\n  b: {type: i64, unit: h}\n  c: {type: i64}\n", "attribute c is missing here"},
        {"schema: x\nattributes:\n  b: {type: i64, unit: h}\n  a: {type: string, values: [u, v], common: true, default: u}\n", "the order of attributes differs: number 1 is a here, b there"},
        {"schema: x\nattributes:\n  a: {type: string, values: [u, v], common: true, default: u, identity: true}\n  b: {type: i64, unit: h}\n", "attribute a: identity is false here, true there"},
        {"schema: x\nversion: 2\nattributes:\n  a: {type: string, values: [u, v], common: true, default: u}\n  b: {type: i64, unit: h}\n", "the version is 1 here, 2 there"},
        {"schema: x\nduplicate: version\nattributes:\n  a: {type: string, values: [u, v], common: true, default: u}\n  b: {type: i64, unit: h}\n", "duplicate is error here, version there"},
        {"schema: x\nreach: pool\nattributes:\n  a: {type: string, values: [u, v], common: true, default: u}\n  b: {type: i64, unit: h}\n", "reach is node here, pool there"}};
    mst_meta_schema_t *here = parse(same), *there = parse(also);
    CHECK(here->hash == there->hash);
    mst_meta_schema_destroy(there);
    for (size_t i = 0; i < MST_COUNT(others); i++) {
        char text[256];
        there = parse(others[i].yaml);
        CHECK(here->hash != there->hash);
        mst_meta_schema_difference(here, there, text, sizeof text);
        CHECK(strcmp(text, others[i].says) == 0 || (fprintf(stderr, "  said: %s\n", text), 0));
        mst_meta_schema_destroy(there);
    }
    mst_meta_schema_destroy(here);
}

static void test_unknown_attribute_names_the_nearest(void) {
    static const struct { const char *name, *says; } words[] = {
        {"levlist", "declare: 'levlist' is no attribute of schema mars; did you mean 'levelist'?"}, {"dtype", "did you mean 'maestro.dtype'?"}, {"zzzzzzzz", "it has those that its YAML file lists"}};
    mst_meta_schema_t *mars;
    unsigned key = 77;
    CHECK_OK(mst_meta_schema_load("mars", &mars));
    for (size_t i = 0; i < MST_COUNT(words); i++) {
        CHECK_STATUS(mst_meta_schema_require_key(mars, words[i].name, "declare", &key), MAESTRO_UNKNOWN_ATTRIBUTE);
        CHECK_ERROR_SAYS(words[i].says);
        CHECK(key == 77);
    }
    CHECK_OK(mst_meta_schema_require_key(mars, "step", "declare", &key));
    CHECK(mars->attribute[key].type == MAESTRO_TYPE_I64);
    mst_meta_schema_destroy(mars);
}

static void test_schemas_are_found_by_name_and_by_path(void) {
    char folder[] = "/tmp/maestro-schema-XXXXXX", path[64];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/own.yaml", folder);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    if (!file) return;
    fprintf(file, "schema: own\nattributes: {x: {type: f64}}\n");
    fclose(file);
    mst_meta_schema_t *schema = NULL;
    CHECK_OK(mst_meta_schema_load(path, &schema));
    CHECK(schema && mst_meta_schema_key(schema, "own.x", 5) == MST_META_CORE_KEYS);
    mst_meta_schema_destroy(schema);
    setenv("MAESTRO_SCHEMA_PATH", "/nowhere:", 1);
    CHECK_STATUS(mst_meta_schema_load("own", &schema), MAESTRO_BAD_SCHEMA);
    CHECK_ERROR_SAYS("built-in are core and mars");
    char search[64];
    snprintf(search, sizeof search, "/nowhere:%s", folder);
    setenv("MAESTRO_SCHEMA_PATH", search, 1);
    CHECK_OK(mst_meta_schema_load("own", &schema));
    mst_meta_schema_destroy(schema);
    unsetenv("MAESTRO_SCHEMA_PATH");
    CHECK_STATUS(mst_meta_schema_load("./missing.yaml", &schema), MAESTRO_SYSTEM);
    CHECK_ERROR_SAYS("missing.yaml");
    unlink(path);
    rmdir(folder);
}

static void test_json_lists_attributes(void) {
    mst_base_buffer_t json = {0};
    mst_meta_schema_t *schema = parse("schema: x\nattributes:\n  a: {type: string, values: [\"\\\"\"], aliases: {b: \"\\\"\"}, doc: d, pad: 1}\n");
    mst_meta_schema_json(schema, &json);
    CHECK(strstr(json.data, "{\"name\":\"a\",\"type\":\"string\",\"required\":false,\"identity\":false,\"common\":false,\"pad\":1,\"doc\":\"d\","
                            "\"values\":[\"\\\"\"],\"aliases\":{\"b\":\"\\\"\"}}]}") != NULL);
    mst_base_buffer_fini(&json);
    mst_meta_schema_destroy(schema);
}

int main(void) {
    test_core_schema_has_the_keys_of_the_header();
    test_mars_schema_says_what_the_archive_language_says();
    test_every_mistake_in_a_schema_is_pointed_at();
    test_more_attributes_than_keys_are_refused();
    test_hash_follows_meaning_and_difference_names_it();
    test_unknown_attribute_names_the_nearest();
    test_schemas_are_found_by_name_and_by_path();
    test_json_lists_attributes();
    return TEST_END;
}
