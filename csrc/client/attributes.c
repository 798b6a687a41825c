/* Attributes of a handle by name: setters while it is built, getters at any time.  Names are resolved through a small cache per thread, keyed by
 * the name's address and verified by its text, for names are nearly always string literals. */
#include "client/client.h"

#include <stdio.h>

enum { CACHED = 256, CACHED_NAME = 22 };

typedef struct cached_key {
    const char *name;
    uint64_t schema;      /* its hash */
    uint16_t key;
    char text[CACHED_NAME];
} cached_key_t;

static maestro_status_t find_key(const maestro_cdo_t *cdo, const char *name, const char *operation, unsigned *key_out) {
    static _Thread_local cached_key_t cache[CACHED];
    const mst_meta_schema_t *schema = cdo->session->schema;
    if (MST_UNLIKELY(!name)) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the attribute's name is NULL", operation);
    cached_key_t *cached = &cache[mst_base_mix((uintptr_t)name) % CACHED];
    if (MST_LIKELY(cached->name == name && cached->schema == schema->hash && strcmp(cached->text, name) == 0)) {
        *key_out = cached->key;
        return MAESTRO_OK;
    }
    MST_TRY(mst_meta_schema_require_key(schema, name, operation, key_out));
    size_t nbytes = strlen(name);
    if (nbytes >= CACHED_NAME) return MAESTRO_OK;
    cached->name = name;
    cached->schema = schema->hash;
    cached->key = (uint16_t)*key_out;
    memcpy(cached->text, name, nbytes + 1);
    return MAESTRO_OK;
}

maestro_status_t mst_client_refuse_key(const char *operation, const char *name) {
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s %s: Maestro sets it itself, from the session", operation, name);
}

static maestro_status_t check_usable(const maestro_cdo_t *cdo, const char *operation) {
    if (MST_UNLIKELY(!cdo)) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the object is NULL", operation);
    if (MST_UNLIKELY(cdo->state == MST_CLIENT_FREE)) return mst_base_fail(MAESTRO_WRONG_STATE, "%s: this handle has been disposed", operation);
    if (MST_UNLIKELY(cdo->session->fork_count != mst_client_forks)) return mst_base_fail(MAESTRO_FORKED, "%s: this object belongs to the parent process", operation);
    return MAESTRO_OK;
}

static maestro_status_t begin_set(maestro_cdo_t *cdo, const char *name, unsigned *key_out) {
    MST_TRY(check_usable(cdo, "set an attribute"));
    if (MST_UNLIKELY(cdo->state != MST_CLIENT_DECLARED))
        return mst_base_fail(MAESTRO_WRONG_STATE, "set %s: the object is %s; its attributes no longer change; declare another one (declare_like copies them)", name ? name : "",
                             cdo->state == MST_CLIENT_SEALED ? "sealed" : cdo->state == MST_CLIENT_LEASED ? "another component's" : "offered");
    MST_TRY(find_key(cdo, name, "set an attribute", key_out));
    if (MST_UNLIKELY(mst_client_key_is_maestros(*key_out) && !(cdo->session->relay && mst_client_key_is_origin(*key_out)))) return mst_client_refuse_key("set", name);
    cdo->any_texts = false;
    return MAESTRO_OK;
}

#define SETTER(suffix, parameters, call)                                             \
    maestro_status_t maestro_cdo_set_##suffix parameters {                           \
        unsigned key;                                                                \
        maestro_status_t status = begin_set(cdo, name, &key);                        \
        return MST_UNLIKELY(status != MAESTRO_OK) ? status : mst_meta_builder_set_##call; \
    }

SETTER(bool, (maestro_cdo_t *cdo, const char *name, bool value), bool(&cdo->builder, key, value))
SETTER(i64, (maestro_cdo_t *cdo, const char *name, int64_t value), i64(&cdo->builder, key, value))
SETTER(f64, (maestro_cdo_t *cdo, const char *name, double value), f64(&cdo->builder, key, value))
SETTER(timestamp, (maestro_cdo_t *cdo, const char *name, int64_t nanoseconds), timestamp(&cdo->builder, key, nanoseconds))

maestro_status_t maestro_cdo_set_str(maestro_cdo_t *cdo, const char *name, const char *value) {
    unsigned key;
    MST_TRY(begin_set(cdo, name, &key));
    if (!value) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "set %s: the value is NULL; use unset to remove an attribute", name);
    return mst_meta_builder_set_text(&cdo->builder, key, value, strlen(value));
}

maestro_status_t maestro_cdo_set_blob(maestro_cdo_t *cdo, const char *name, const void *bytes, size_t nbytes) {
    unsigned key;
    MST_TRY(begin_set(cdo, name, &key));
    if (!bytes && nbytes) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "set %s: the bytes are NULL", name);
    return mst_meta_builder_set_blob(&cdo->builder, key, bytes, nbytes);
}

#define ARRAY_SETTER(suffix, element, type)                                                                                    \
    maestro_status_t maestro_cdo_set_##suffix##_array(maestro_cdo_t *cdo, const char *name, const type *values, size_t count) { \
        unsigned key;                                                                                                           \
        MST_TRY(begin_set(cdo, name, &key));                                                                                    \
        if (!values && count) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "set %s: the values are NULL", name);              \
        return mst_meta_builder_set_array(&cdo->builder, key, element, values, count);                                          \
    }

ARRAY_SETTER(bool, MAESTRO_TYPE_BOOL, bool)
ARRAY_SETTER(i64, MAESTRO_TYPE_I64, int64_t)
ARRAY_SETTER(f64, MAESTRO_TYPE_F64, double)
ARRAY_SETTER(str, MAESTRO_TYPE_STRING, char *const)
ARRAY_SETTER(timestamp, MAESTRO_TYPE_TIMESTAMP, int64_t)

maestro_status_t maestro_cdo_unset(maestro_cdo_t *cdo, const char *name) {
    unsigned key;
    MST_TRY(begin_set(cdo, name, &key));
    mst_meta_builder_unset(&cdo->builder, key);
    return MAESTRO_OK;
}

/* ---- Getters. */

static const mst_meta_attributes_t *packed(const maestro_cdo_t *cdo) { return (const mst_meta_attributes_t *)cdo->packed; }

static bool is_set(const maestro_cdo_t *cdo, unsigned key) {
    if (cdo->building) return cdo->builder.mask[key >> 6] >> (key & 63) & 1;
    return mst_meta_attributes_has(packed(cdo), key);
}

static uint64_t word_of(const maestro_cdo_t *cdo, unsigned key) {
    return cdo->building ? cdo->builder.value[key] : packed(cdo)->value[mst_meta_attributes_rank(packed(cdo), key)];
}

static const char *text_of(const maestro_cdo_t *cdo, uint64_t word, uint32_t *nbytes_out) {
    if (!cdo->building) return mst_meta_attributes_text(packed(cdo), word, cdo->session->dictionary, nbytes_out);
    if (!mst_meta_word_is_tail(word)) return mst_meta_dictionary_text(cdo->session->dictionary, (uint32_t)word, nbytes_out);
    *nbytes_out = mst_meta_word_nbytes(word);
    return *nbytes_out ? cdo->builder.tail + mst_meta_word_offset(word) : "";
}

static maestro_status_t begin_get(const maestro_cdo_t *cdo, const char *name, maestro_type_t type, unsigned *key_out, uint64_t *word_out) {
    MST_TRY(check_usable(cdo, "get an attribute"));
    MST_TRY(find_key(cdo, name, "get an attribute", key_out));
    maestro_type_t is = cdo->session->schema->attribute[*key_out].type;
    if (MST_UNLIKELY(is != type))
        return mst_base_fail(MAESTRO_WRONG_TYPE, "get %s: it is of type %s, not %s", name, mst_meta_type_name(is), mst_meta_type_name(type));
    if (!is_set(cdo, *key_out)) return mst_base_fail(MAESTRO_NOT_FOUND, "get %s: the object has no such attribute", name);
    *word_out = word_of(cdo, *key_out);
    return MAESTRO_OK;
}

bool maestro_cdo_has(const maestro_cdo_t *cdo, const char *name) {
    unsigned key;
    return check_usable(cdo, "has") == MAESTRO_OK && find_key(cdo, name, "has", &key) == MAESTRO_OK && is_set(cdo, key);
}

maestro_status_t maestro_cdo_get_bool(const maestro_cdo_t *cdo, const char *name, bool *value_out) {
    uint64_t word;
    unsigned key;
    MST_TRY(begin_get(cdo, name, MAESTRO_TYPE_BOOL, &key, &word));
    *value_out = word;
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_get_i64(const maestro_cdo_t *cdo, const char *name, int64_t *value_out) {
    uint64_t word;
    unsigned key;
    MST_TRY(begin_get(cdo, name, MAESTRO_TYPE_I64, &key, &word));
    *value_out = (int64_t)word;
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_get_f64(const maestro_cdo_t *cdo, const char *name, double *value_out) {
    uint64_t word;
    unsigned key;
    MST_TRY(begin_get(cdo, name, MAESTRO_TYPE_F64, &key, &word));
    *value_out = mst_meta_word_f64(word);
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_get_timestamp(const maestro_cdo_t *cdo, const char *name, int64_t *nanoseconds_out) {
    uint64_t word;
    unsigned key;
    MST_TRY(begin_get(cdo, name, MAESTRO_TYPE_TIMESTAMP, &key, &word));
    *nanoseconds_out = (int64_t)word;
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_get_blob(const maestro_cdo_t *cdo, const char *name, const void **bytes_out, size_t *nbytes_out) {
    uint64_t word;
    unsigned key;
    uint32_t nbytes;
    MST_TRY(begin_get(cdo, name, MAESTRO_TYPE_BLOB, &key, &word));
    *bytes_out = text_of(cdo, word, &nbytes);
    *nbytes_out = nbytes;
    return MAESTRO_OK;
}

/* They stand where the type wants them: the place of an array is a multiple of 8, and memory for attributes begins at such. */
static maestro_status_t get_array(const maestro_cdo_t *cdo, const char *name, maestro_type_t element, const void **values_out, size_t *count_out) {
    uint64_t word;
    unsigned key;
    uint32_t nbytes;
    MST_TRY(begin_get(cdo, name, MAESTRO_TYPE_ARRAY | element, &key, &word));
    *values_out = text_of(cdo, word, &nbytes);
    *count_out = mst_meta_array_count(element, *values_out, nbytes);
    return MAESTRO_OK;
}

#define ARRAY_GETTER(suffix, element, type)                                                                                                       \
    maestro_status_t maestro_cdo_get_##suffix##_array(const maestro_cdo_t *cdo, const char *name, const type **values_out, size_t *count_out) {    \
        return get_array(cdo, name, element, (const void **)values_out, count_out);                                                               \
    }

ARRAY_GETTER(bool, MAESTRO_TYPE_BOOL, bool)
ARRAY_GETTER(i64, MAESTRO_TYPE_I64, int64_t)
ARRAY_GETTER(f64, MAESTRO_TYPE_F64, double)
ARRAY_GETTER(str, MAESTRO_TYPE_STRING, char)
ARRAY_GETTER(timestamp, MAESTRO_TYPE_TIMESTAMP, int64_t)

/* Dictionary texts are terminated and stay; others are copied into the handle, once each.  NULL without memory. */
static const char *terminated(maestro_cdo_t *cdo, unsigned key, const char *text, uint32_t nbytes) {
    if (!cdo->texts && !(cdo->texts = malloc(sizeof *cdo->texts))) return NULL;
    mst_client_texts_t *texts = cdo->texts;
    if (!cdo->any_texts) memset(texts, 0, offsetof(mst_client_texts_t, bytes));
    cdo->any_texts = true;
    if (texts->at[key]) return texts->bytes + texts->at[key] - 1;
    if (nbytes >= sizeof texts->bytes - texts->nbytes) return NULL; /* not of attributes that keep their limits */
    char *copy = texts->bytes + texts->nbytes;
    memcpy(copy, text, nbytes);
    copy[nbytes] = '\0';
    texts->at[key] = texts->nbytes + 1;
    texts->nbytes += nbytes + 1;
    return copy;
}

maestro_status_t maestro_cdo_get_str(const maestro_cdo_t *cdo, const char *name, const char **value_out) {
    uint64_t word;
    unsigned key;
    uint32_t nbytes;
    MST_TRY(begin_get(cdo, name, MAESTRO_TYPE_STRING, &key, &word));
    const char *text = text_of(cdo, word, &nbytes);
    if (text && mst_meta_word_is_tail(word)) text = terminated((maestro_cdo_t *)cdo, key, text, nbytes);
    if (!text) return mst_base_fail(MAESTRO_SYSTEM, "get %s: no memory", name);
    *value_out = text;
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_next_attribute(const maestro_cdo_t *cdo, uint32_t *cursor, const char **key_out, maestro_type_t *type_out) {
    MST_TRY(check_usable(cdo, "walk attributes"));
    const mst_meta_schema_t *schema = cdo->session->schema;
    for (uint32_t key = *cursor; key < schema->nattributes; key++) {
        if (!is_set(cdo, key)) continue;
        *cursor = key + 1;
        *key_out = schema->attribute[key].name;
        *type_out = schema->attribute[key].type;
        return MAESTRO_OK;
    }
    return MAESTRO_END;
}

maestro_status_t mst_client_copy_attributes(const maestro_cdo_t *cdo, mst_meta_builder_t *builder) {
    const mst_meta_schema_t *schema = cdo->session->schema;
    MST_TRY(cdo->building ? mst_meta_builder_copy(builder, &cdo->builder) : mst_meta_builder_load(builder, packed(cdo)));
    for (unsigned key = 0; key < schema->nattributes; key++) {
        uint32_t nbytes;
        if (!is_set(cdo, key) || schema->attribute[key].type != MAESTRO_TYPE_STRING || mst_meta_word_is_tail(word_of(cdo, key))) continue;
        const char *text = text_of(cdo, word_of(cdo, key), &nbytes); /* of a code, which means something in this pool alone */
        if (!text) return mst_base_fail(MAESTRO_SYSTEM, "copy %s: no such text", schema->attribute[key].name);
        MST_TRY(mst_meta_builder_set_text(builder, key, text, nbytes));
    }
    return MAESTRO_OK;
}

/* ---- Reading. */

uint64_t maestro_cdo_id(const maestro_cdo_t *cdo) { return cdo ? cdo->id : 0; }

maestro_status_t maestro_cdo_data(const maestro_cdo_t *cdo, const void **bytes_out, size_t *nbytes_out) {
    MST_TRY(check_usable(cdo, "data"));
    if (MST_UNLIKELY(atomic_load_explicit(&cdo->session->closed, memory_order_relaxed)))
        return mst_base_fail(MAESTRO_CLOSED, "data: the session is closed, and with it the right to an object's bytes; read before the close");
    if (cdo->state == MST_CLIENT_NOTICE) return mst_base_fail(MAESTRO_WITHDRAWN, "data: the object was withdrawn before its event arrived; its attributes are all that is left");
    if (MST_UNLIKELY(cdo->session->check & MST_CLIENT_CHECK_SUMS)) MST_TRY(mst_client_check_leased((maestro_cdo_t *)cdo, "data"));
    *bytes_out = cdo->data;
    *nbytes_out = cdo->nbytes;
    return MAESTRO_OK;
}

int maestro_cdo_numa_node(const maestro_cdo_t *cdo) {
    const void *bytes = NULL;
    size_t nbytes = 0;
    return cdo && maestro_cdo_data(cdo, &bytes, &nbytes) == MAESTRO_OK && nbytes ? mst_mem_residence(bytes, nbytes).node : -1;
}

size_t maestro_cdo_describe(const maestro_cdo_t *cdo, char *text, size_t nbytes) {
    uint64_t stack[256];
    uint64_t *memory = stack;
    size_t needed = sizeof stack;
    if (!cdo || cdo->state == MST_CLIENT_FREE) return (size_t)snprintf(text, nbytes, "no object");
    if (!cdo->building) return mst_meta_attributes_describe(packed(cdo), cdo->session->schema, cdo->session->dictionary, text, nbytes);
    if (mst_meta_builder_pack(&cdo->builder, 0, NULL, 0, &needed) == MAESTRO_OK && needed > sizeof stack) memory = malloc(needed);
    size_t length = memory && mst_meta_builder_pack(&cdo->builder, 0, memory, needed > sizeof stack ? needed : sizeof stack, &needed) == MAESTRO_OK
                        ? mst_meta_attributes_describe((mst_meta_attributes_t *)memory, cdo->session->schema, cdo->session->dictionary, text, nbytes)
                        : (size_t)snprintf(text, nbytes, "an object");
    if (memory != stack) free(memory);
    return length;
}
