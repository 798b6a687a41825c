/* See parcel.h. */
#include "meta/parcel.h"

typedef struct entry {
    uint32_t key, nbytes;
} entry_t;

static void write_entry(mst_base_buffer_t *out, unsigned key, const void *value, uint32_t nbytes) {
    static const char zeros[8];
    entry_t entry = {key, nbytes};
    mst_base_buffer_append(out, &entry, sizeof entry);
    mst_base_buffer_append(out, value, nbytes);
    mst_base_buffer_append(out, zeros, MST_ALIGN(nbytes, 8) - nbytes);
}

void mst_meta_parcel_write(mst_base_buffer_t *out, const mst_meta_attributes_t *set, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary) {
    for (unsigned key = 0; key < schema->nattributes; key++) {
        if (!mst_meta_attributes_has(set, key)) continue;
        uint64_t word = set->value[mst_meta_attributes_rank(set, key)];
        uint32_t nbytes = sizeof word;
        const void *value = &word;
        if (mst_meta_type_is_text(schema->attribute[key].type)) value = mst_meta_attributes_text(set, word, dictionary, &nbytes);
        if (value) write_entry(out, key, value, nbytes);
    }
}

static maestro_status_t set_value(mst_meta_builder_t *builder, unsigned key, const void *value, uint32_t nbytes) {
    maestro_type_t type = builder->schema->attribute[key].type;
    uint64_t word;
    if (type == MAESTRO_TYPE_STRING) return mst_meta_builder_set_text(builder, key, value, nbytes);
    if (mst_meta_type_is_array(type)) return mst_meta_builder_set_array_bytes(builder, key, value, nbytes);
    if (type == MAESTRO_TYPE_BLOB) return mst_meta_builder_set_blob(builder, key, value, nbytes);
    if (nbytes != sizeof word) return mst_base_fail(MAESTRO_PROTOCOL, "unpack attribute %s: %u bytes instead of 8", builder->schema->attribute[key].name, nbytes);
    memcpy(&word, value, sizeof word);
    switch (type) {
    case MAESTRO_TYPE_BOOL: return mst_meta_builder_set_bool(builder, key, word != 0);
    case MAESTRO_TYPE_I64: return mst_meta_builder_set_i64(builder, key, (int64_t)word);
    case MAESTRO_TYPE_F64: return mst_meta_builder_set_f64(builder, key, mst_meta_word_f64(word));
    default: return mst_meta_builder_set_timestamp(builder, key, (int64_t)word);
    }
}

maestro_status_t mst_meta_parcel_read(const void *bytes, size_t nbytes, mst_meta_builder_t *builder) {
    const char *at = bytes, *end = at + nbytes;
    while (at < end) {
        entry_t entry;
        if ((size_t)(end - at) < sizeof entry) return mst_base_fail(MAESTRO_PROTOCOL, "unpack attributes: cut short");
        memcpy(&entry, at, sizeof entry);
        at += sizeof entry;
        if (entry.key >= builder->schema->nattributes) return mst_base_fail(MAESTRO_PROTOCOL, "unpack attributes: there is no key %u", entry.key);
        if (entry.nbytes > MST_META_SET_MAX || MST_ALIGN(entry.nbytes, 8) > (size_t)(end - at)) return mst_base_fail(MAESTRO_PROTOCOL, "unpack attributes: cut short");
        MST_TRY(set_value(builder, entry.key, at, entry.nbytes));
        at += MST_ALIGN(entry.nbytes, 8);
    }
    return MAESTRO_OK;
}
