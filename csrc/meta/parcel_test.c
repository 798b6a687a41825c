/* Attributes between nodes: what one pool packed the other one has, with a dictionary of its own; damaged parcels are refused or change values, no more. */
#include "base/test.h"
#include "meta/parcel.h"

static const char yaml[] =
    "schema: x\nattributes:\n  flag: {type: bool}\n  count: {type: i64}\n  level: {type: f64}\n  kind: {type: string, common: true, values: [oper, enfo]}\n"
    "  note: {type: string}\n  at: {type: timestamp}\n  raw: {type: blob}\n"
    "  levels: {type: i64, array: true}\n  tags: {type: string, array: true}\n";

static mst_meta_schema_t *schema;
static mst_meta_dictionary_t *here, *there;

static size_t random_below(size_t n) {
    static uint64_t state;
    return mst_base_mix(state += 0x9e3779b97f4a7c15ull) % n;
}

static unsigned key_of(const char *name) {
    unsigned key = 0;
    CHECK_OK(mst_meta_schema_require_key(schema, name, "test", &key));
    return key;
}

static void make(uint64_t *packed, size_t capacity) {
    mst_meta_builder_t builder;
    size_t nbytes;
    mst_meta_builder_init(&builder, schema, here);
    CHECK_OK(mst_meta_builder_set_bool(&builder, key_of("flag"), true));
    CHECK_OK(mst_meta_builder_set_i64(&builder, key_of("count"), -7));
    CHECK_OK(mst_meta_builder_set_f64(&builder, key_of("level"), 0.1));
    CHECK_OK(mst_meta_builder_set_text(&builder, key_of("kind"), "enfo", 4));
    CHECK_OK(mst_meta_builder_set_text(&builder, key_of("note"), "nine byte", 9));
    CHECK_OK(mst_meta_builder_set_timestamp(&builder, key_of("at"), 1234567890123456789));
    CHECK_OK(mst_meta_builder_set_blob(&builder, key_of("raw"), "\0\1\2", 3));
    CHECK_OK(mst_meta_builder_set_array(&builder, key_of("levels"), MAESTRO_TYPE_I64, (const int64_t[]){1, -2, 3}, 3));
    CHECK_OK(mst_meta_builder_set_array(&builder, key_of("tags"), MAESTRO_TYPE_STRING, (const char *const[]){"a", "", "bc"}, 3));
    CHECK_OK(mst_meta_builder_pack(&builder, 0, packed, capacity, &nbytes));
    mst_meta_attributes_intern((mst_meta_attributes_t *)packed, schema, here, true);
    mst_meta_builder_fini(&builder);
}

/* All attributes as text, by the dictionary in which they were packed. */
static void describe(const uint64_t *packed, const mst_meta_dictionary_t *dictionary, mst_base_buffer_t *out) {
    const mst_meta_attributes_t *set = (const mst_meta_attributes_t *)packed;
    for (unsigned key = 0; key < schema->nattributes; key++) {
        if (!mst_meta_attributes_has(set, key)) continue;
        mst_base_buffer_printf(out, "%s=", schema->attribute[key].name);
        mst_meta_attributes_value_json(out, set, key, schema, dictionary);
    }
}

static void test_values_arrive_with_the_other_dictionary(void) {
    uint64_t packed[64], unpacked[64];
    mst_base_buffer_t parcel = {0}, sent = {0}, came = {0};
    mst_meta_builder_t builder;
    size_t nbytes;
    make(packed, sizeof packed);
    CHECK(mst_meta_dictionary_intern(there, "something else", 14) && mst_meta_dictionary_intern(there, "enfo", 4) != mst_meta_dictionary_find(here, "enfo", 4));
    mst_meta_parcel_write(&parcel, (mst_meta_attributes_t *)packed, schema, here);
    CHECK(!parcel.failed && parcel.nbytes % 8 == 0);
    mst_meta_builder_init(&builder, schema, there);
    CHECK_OK(mst_meta_parcel_read(parcel.data, parcel.nbytes, &builder));
    CHECK_OK(mst_meta_builder_pack(&builder, 0, unpacked, sizeof unpacked, &nbytes));
    CHECK_OK(mst_meta_attributes_check((mst_meta_attributes_t *)unpacked, nbytes, schema, there, true));
    describe(packed, here, &sent);
    describe(unpacked, there, &came);
    CHECK(sent.nbytes > 80 && sent.nbytes == came.nbytes && memcmp(sent.data, came.data, sent.nbytes) == 0);
    mst_meta_builder_fini(&builder);
    mst_base_buffer_fini(&parcel);
    mst_base_buffer_fini(&sent);
    mst_base_buffer_fini(&came);
}

static void test_damaged_parcels_harm_nobody(void) {
    uint64_t packed[64], unpacked[256];
    mst_base_buffer_t parcel = {0};
    size_t refused = 0, nbytes;
    make(packed, sizeof packed);
    mst_meta_parcel_write(&parcel, (mst_meta_attributes_t *)packed, schema, here);
    for (int i = 0; i < 20000; i++) {
        size_t length = i % 3 ? parcel.nbytes : random_below(parcel.nbytes);
        char *damaged = malloc(length + 1); /* of its own size: a sanitizer sees what is read beyond */
        memcpy(damaged, parcel.data, length);
        if (length && i % 2) damaged[random_below(length)] = (char)random_below(256);
        mst_meta_builder_t builder;
        mst_meta_builder_init(&builder, schema, there);
        maestro_status_t status = mst_meta_parcel_read(damaged, length, &builder);
        if (status == MAESTRO_OK) {
            CHECK_OK(mst_meta_builder_pack(&builder, 0, unpacked, sizeof unpacked, &nbytes));
            CHECK_OK(mst_meta_attributes_check((mst_meta_attributes_t *)unpacked, nbytes, schema, there, false));
        } else refused++;
        mst_meta_builder_fini(&builder);
        free(damaged);
    }
    CHECK(refused > 5000 && refused < 20000);
    mst_base_buffer_fini(&parcel);
}

int main(void) {
    CHECK_OK(mst_meta_schema_parse(yaml, strlen(yaml), "x.yaml", &schema));
    size_t nbytes = mst_meta_dictionary_nbytes(1024, 65536);
    here = mst_meta_dictionary_init(calloc(1, nbytes), 1024, 65536);
    there = mst_meta_dictionary_init(calloc(1, nbytes), 1024, 65536);
    test_values_arrive_with_the_other_dictionary();
    test_damaged_parcels_harm_nobody();
    mst_meta_schema_destroy(schema);
    free(here);
    free(there);
    return TEST_END;
}
