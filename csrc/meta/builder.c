/* A set under construction.  Text that comes again and again (params, streams) is not converted and looked up again and again: a small cache per
 * thread remembers (dictionary, key, text as given) -> code. */
#include "meta/attributes.h"
#include "meta/dictionary.h"
#include "meta/schema.h"

#include <math.h>
#include <stdio.h>

enum { CACHED = 512, CACHED_TEXT = 16 };

/* Text of up to 16 bytes as two words (its first and its last bytes, which may overlap): with the length they are the text. */
typedef struct short_text {
    uint64_t first, last;
} short_text_t;

typedef struct cached_text {
    uint64_t dictionary;        /* its id */
    uint64_t schema;            /* its hash */
    short_text_t text;
    uint32_t code;              /* 0: the slot is empty */
    uint16_t key;
    uint8_t nbytes;
} cached_text_t;

static _Thread_local cached_text_t cache[CACHED];

void mst_meta_builder_init(mst_meta_builder_t *builder, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary) {
    builder->mask[0] = builder->mask[1] = 0;
    builder->schema = schema;
    builder->dictionary = dictionary;
    builder->tail = NULL;
    builder->tail_nbytes = builder->tail_capacity = 0;
}

void mst_meta_builder_fini(mst_meta_builder_t *builder) {
    free(builder->tail);
    builder->tail = NULL;
    builder->tail_nbytes = builder->tail_capacity = 0;
}

static inline bool has(const mst_meta_builder_t *builder, unsigned key) { return builder->mask[key >> 6] >> (key & 63) & 1; }

static inline void put(mst_meta_builder_t *builder, unsigned key, uint64_t word) {
    builder->value[key] = word;
    builder->mask[key >> 6] |= 1ull << (key & 63);
}

/* Where a value's bytes begin in a tail that is filled up to here. */
static uint32_t aligned(const mst_meta_builder_t *builder, unsigned key, uint32_t used) {
    return mst_meta_type_is_array(builder->schema->attribute[key].type) ? (uint32_t)MST_ALIGN(used, 8) : used;
}

/* Bytes of a tail without garbage. */
static size_t tail_needed(const mst_meta_builder_t *builder) {
    uint32_t nbytes = 0;
    if (!builder->tail_nbytes) return 0;
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t bits = builder->mask[half]; bits; bits &= bits - 1) {
            unsigned key = half * 64 + (unsigned)__builtin_ctzll(bits);
            if (mst_meta_type_is_text(builder->schema->attribute[key].type) && mst_meta_word_is_tail(builder->value[key]))
                nbytes = aligned(builder, key, nbytes) + mst_meta_word_nbytes(builder->value[key]);
        }
    return MST_ALIGN(nbytes, 8);
}

/* Moves what is in use to the front when overwritten values have left garbage. */
static bool compact(mst_meta_builder_t *builder) {
    char *fresh = malloc(MST_META_TAIL_MAX); /* in another order the gaps before arrays are others */
    uint32_t used = 0;
    if (!fresh) return false;
    for (unsigned key = 0; key < builder->schema->nattributes; key++) {
        uint64_t word = builder->value[key];
        if (!has(builder, key) || !mst_meta_type_is_text(builder->schema->attribute[key].type) || !mst_meta_word_is_tail(word)) continue;
        used = aligned(builder, key, used);
        memcpy(fresh + used, builder->tail + mst_meta_word_offset(word), mst_meta_word_nbytes(word));
        builder->value[key] = mst_meta_tail_word(used, mst_meta_word_nbytes(word));
        used += mst_meta_word_nbytes(word);
    }
    free(builder->tail);
    builder->tail = fresh;
    builder->tail_nbytes = used;
    builder->tail_capacity = MST_META_TAIL_MAX;
    return true;
}

static maestro_status_t put_tail(mst_meta_builder_t *builder, unsigned key, const void *bytes, size_t nbytes) {
    const char *name = builder->schema->attribute[key].name;
    if (nbytes > MST_META_TEXT_MAX) return mst_base_fail(MAESTRO_TOO_LARGE, "set %s: %zu bytes; a value has at most %d; put large things into the object's data", name, nbytes, MST_META_TEXT_MAX);
    if (aligned(builder, key, builder->tail_nbytes) + nbytes > MST_META_TAIL_MAX) {
        uint64_t mask[2] = {builder->mask[0], builder->mask[1]};
        builder->mask[key >> 6] &= ~(1ull << (key & 63)); /* its old value goes */
        if (tail_needed(builder) + nbytes > MST_META_TAIL_MAX) { /* which is aligned */
            memcpy(builder->mask, mask, sizeof mask);
            return mst_base_fail(MAESTRO_TOO_LARGE, "set %s: the object's texts would exceed %d bytes in sum; put large things into the object's data", name, MST_META_TAIL_MAX);
        }
        if (!compact(builder)) return memcpy(builder->mask, mask, sizeof mask), mst_base_fail(MAESTRO_SYSTEM, "set %s: no memory", name);
    }
    uint32_t offset = aligned(builder, key, builder->tail_nbytes);
    if (!MST_RESERVE(builder->tail, builder->tail_capacity, offset + nbytes, 256)) return mst_base_fail(MAESTRO_SYSTEM, "set %s: no memory", name);
    if (nbytes) memcpy(builder->tail + offset, bytes, nbytes);
    put(builder, key, mst_meta_tail_word(offset, (uint32_t)nbytes));
    builder->tail_nbytes = offset + (uint32_t)nbytes;
    return MAESTRO_OK;
}

maestro_status_t mst_meta_builder_copy(mst_meta_builder_t *to, const mst_meta_builder_t *from) {
    if (from->tail_nbytes > to->tail_capacity) {
        char *larger = realloc(to->tail, from->tail_nbytes);
        if (!larger) return mst_base_fail(MAESTRO_SYSTEM, "copy attributes: no memory");
        to->tail = larger;
        to->tail_capacity = from->tail_nbytes;
    }
    if (from->tail_nbytes) memcpy(to->tail, from->tail, from->tail_nbytes);
    to->tail_nbytes = from->tail_nbytes;
    to->mask[0] = from->mask[0];
    to->mask[1] = from->mask[1];
    memcpy(to->value, from->value, from->schema->nattributes * sizeof to->value[0]);
    return MAESTRO_OK;
}

maestro_status_t mst_meta_builder_load(mst_meta_builder_t *builder, const mst_meta_attributes_t *set) {
    const uint64_t *word = set->value;
    builder->mask[0] = builder->mask[1] = 0;
    builder->tail_nbytes = 0;
    for (unsigned key = 0; key < builder->schema->nattributes; key++) {
        if (!mst_meta_attributes_has(set, key)) continue;
        uint64_t value = *word++;
        if (mst_meta_type_is_text(builder->schema->attribute[key].type) && mst_meta_word_is_tail(value))
            MST_TRY(put_tail(builder, key, mst_meta_attributes_tail(set) + mst_meta_word_offset(value), mst_meta_word_nbytes(value)));
        else put(builder, key, value);
    }
    return MAESTRO_OK;
}

/* ---- Setters. */

static maestro_status_t wrong_type(const mst_meta_attribute_t *attribute, const char *given) {
    return mst_base_fail(MAESTRO_WRONG_TYPE, "set %s: a value of type %s was given, the schema says %s", attribute->name, given, mst_meta_type_name(attribute->type));
}

maestro_status_t mst_meta_builder_set_bool(mst_meta_builder_t *builder, unsigned key, bool value) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    if (attribute->type != MAESTRO_TYPE_BOOL) return wrong_type(attribute, "bool");
    put(builder, key, value);
    return MAESTRO_OK;
}

maestro_status_t mst_meta_builder_set_i64(mst_meta_builder_t *builder, unsigned key, int64_t value) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    if (MST_LIKELY(attribute->type == MAESTRO_TYPE_I64)) {
        put(builder, key, (uint64_t)value);
        return MAESTRO_OK;
    }
    if (attribute->type == MAESTRO_TYPE_F64) {
        put(builder, key, mst_meta_f64_word((double)value));
        return MAESTRO_OK;
    }
    if (attribute->type != MAESTRO_TYPE_STRING || !attribute->pad) return wrong_type(attribute, "i64");
    char text[32];
    return mst_meta_builder_set_text(builder, key, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

maestro_status_t mst_meta_builder_set_f64(mst_meta_builder_t *builder, unsigned key, double value) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    if (attribute->type != MAESTRO_TYPE_F64) return wrong_type(attribute, "f64");
    if (isnan(value)) return mst_base_fail(MAESTRO_BAD_VALUE, "set %s: NaN is no attribute value; leave the attribute out instead", attribute->name);
    put(builder, key, mst_meta_f64_word(value));
    return MAESTRO_OK;
}

maestro_status_t mst_meta_builder_set_timestamp(mst_meta_builder_t *builder, unsigned key, int64_t nanoseconds) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    if (attribute->type != MAESTRO_TYPE_TIMESTAMP) return wrong_type(attribute, "timestamp");
    put(builder, key, (uint64_t)nanoseconds);
    return MAESTRO_OK;
}

maestro_status_t mst_meta_builder_set_blob(mst_meta_builder_t *builder, unsigned key, const void *bytes, size_t nbytes) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    if (attribute->type != MAESTRO_TYPE_BLOB) return wrong_type(attribute, "blob");
    return put_tail(builder, key, bytes, nbytes);
}

static inline short_text_t read_short(const char *text, size_t nbytes) {
    short_text_t words = {0, 0};
    if (nbytes >= 8) {
        memcpy(&words.first, text, 8);
        memcpy(&words.last, text + nbytes - 8, 8);
    } else if (nbytes >= 4) {
        memcpy(&words.first, text, 4);
        memcpy(&words.last, text + nbytes - 4, 4);
    } else if (nbytes) {
        words.first = (uint64_t)(unsigned char)text[0] | (uint64_t)(unsigned char)text[nbytes / 2] << 8;
        words.last = (unsigned char)text[nbytes - 1];
    }
    return words;
}

static inline cached_text_t *cached_slot(unsigned key, short_text_t text, size_t nbytes) {
    uint64_t x = (text.first ^ (text.last << 23 | text.last >> 41) ^ (uint64_t)key << 8 ^ nbytes) * 0x9e3779b97f4a7c15ull;
    return &cache[x >> 55]; /* 9 bits: CACHED slots */
}

static maestro_status_t set_string(mst_meta_builder_t *builder, unsigned key, const char *text, size_t nbytes) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    char canonical[MST_META_TEXT_MAX + 1];
    size_t canonical_nbytes;
    if (nbytes > MST_META_TEXT_MAX) return mst_base_fail(MAESTRO_TOO_LARGE, "set %s: %zu bytes; a value has at most %d; put large things into the object's data", attribute->name, nbytes, MST_META_TEXT_MAX);
    MST_TRY(mst_meta_schema_canonical(attribute, text, nbytes, canonical, &canonical_nbytes));
    uint32_t code = attribute->common && builder->dictionary ? mst_meta_dictionary_find(builder->dictionary, canonical, canonical_nbytes) : 0;
    if (!code) return put_tail(builder, key, canonical, canonical_nbytes);
    put(builder, key, code);
    if (nbytes > CACHED_TEXT) return MAESTRO_OK;
    short_text_t words = read_short(text, nbytes);
    *cached_slot(key, words, nbytes) = (cached_text_t){.dictionary = mst_meta_dictionary_id(builder->dictionary), .schema = builder->schema->hash,
                                                       .text = words, .code = code, .key = (uint16_t)key, .nbytes = (uint8_t)nbytes};
    return MAESTRO_OK;
}

maestro_status_t mst_meta_builder_set_text(mst_meta_builder_t *builder, unsigned key, const char *text, size_t nbytes) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    int64_t integer;
    double real;
    switch (attribute->type) {
    case MAESTRO_TYPE_STRING:
        if (attribute->common && builder->dictionary && nbytes <= CACHED_TEXT) {
            short_text_t words = read_short(text, nbytes);
            const cached_text_t *slot = cached_slot(key, words, nbytes);
            if (MST_LIKELY(slot->text.first == words.first && slot->text.last == words.last && slot->code && slot->key == key && slot->nbytes == nbytes &&
                           slot->schema == builder->schema->hash && slot->dictionary == mst_meta_dictionary_id(builder->dictionary))) {
                put(builder, key, slot->code);
                return MAESTRO_OK;
            }
        }
        return set_string(builder, key, text, nbytes);
    case MAESTRO_TYPE_I64:
        if (!attribute->unit) return wrong_type(attribute, "string");
        MST_TRY(mst_meta_schema_text_i64(attribute, text, nbytes, &integer));
        put(builder, key, (uint64_t)integer);
        return MAESTRO_OK;
    case MAESTRO_TYPE_F64:
        MST_TRY(mst_meta_schema_text_f64(attribute, text, nbytes, &real));
        return mst_meta_builder_set_f64(builder, key, real);
    case MAESTRO_TYPE_TIMESTAMP:
        MST_TRY(mst_meta_schema_text_timestamp(attribute, text, nbytes, &integer));
        put(builder, key, (uint64_t)integer);
        return MAESTRO_OK;
    default: return wrong_type(attribute, "string");
    }
}

/* ---- Arrays. */

/* The canonical texts, each with its zero, appended to `out`. */
static maestro_status_t join_texts(const mst_meta_attribute_t *attribute, const char *const *texts, size_t count, mst_base_buffer_t *out) {
    char canonical[MST_META_TEXT_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        size_t nbytes;
        if (!texts[i]) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "set %s: text %zu of the array is NULL", attribute->name, i);
        MST_TRY(mst_meta_schema_canonical(attribute, texts[i], strlen(texts[i]), canonical, &nbytes));
        canonical[nbytes] = '\0';
        mst_base_buffer_append(out, canonical, nbytes + 1);
        if (out->nbytes > MST_META_TEXT_MAX) break; /* which is told when they are put */
    }
    return out->failed ? mst_base_fail(MAESTRO_SYSTEM, "set %s: no memory", attribute->name) : MAESTRO_OK;
}

static maestro_status_t put_texts(mst_meta_builder_t *builder, unsigned key, const char *const *texts, size_t count) {
    mst_base_buffer_t joined = {0};
    maestro_status_t status = join_texts(&builder->schema->attribute[key], texts, count, &joined);
    if (status == MAESTRO_OK) status = put_tail(builder, key, joined.data, joined.nbytes);
    mst_base_buffer_fini(&joined);
    return status;
}

static maestro_status_t put_reals(mst_meta_builder_t *builder, unsigned key, bool integers, const void *values, size_t count) {
    uint64_t words[MST_META_TEXT_MAX / 8];
    for (size_t i = 0; i < count; i++) {
        double value = integers ? (double)((const int64_t *)values)[i] : ((const double *)values)[i];
        if (isnan(value)) return mst_base_fail(MAESTRO_BAD_VALUE, "set %s: value %zu of the array is NaN, which is no attribute value", builder->schema->attribute[key].name, i);
        words[i] = mst_meta_f64_word(value);
    }
    return put_tail(builder, key, words, count * 8);
}

maestro_status_t mst_meta_builder_set_array(mst_meta_builder_t *builder, unsigned key, maestro_type_t element, const void *values, size_t count) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    maestro_type_t wanted = mst_meta_element_type(attribute->type);
    bool widens = element == MAESTRO_TYPE_I64 && wanted == MAESTRO_TYPE_F64, fits = element == wanted || widens || !count;
    if (!mst_meta_type_is_array(attribute->type) || !fits) return wrong_type(attribute, mst_meta_type_name(element | MAESTRO_TYPE_ARRAY));
    size_t width = wanted == MAESTRO_TYPE_BOOL || wanted == MAESTRO_TYPE_STRING ? 1 : 8; /* of texts the least */
    if (count > MST_META_TEXT_MAX / width) return mst_base_fail(MAESTRO_TOO_LARGE, "set %s: %zu values; an array has at most %d bytes; put large ones into the object's data", attribute->name, count, MST_META_TEXT_MAX);
    if (wanted == MAESTRO_TYPE_STRING) return put_texts(builder, key, values, count);
    if (wanted == MAESTRO_TYPE_F64) return put_reals(builder, key, widens, values, count);
    return put_tail(builder, key, values, count * width);
}

maestro_status_t mst_meta_builder_set_array_bytes(mst_meta_builder_t *builder, unsigned key, const void *bytes, size_t nbytes) {
    const mst_meta_attribute_t *attribute = &builder->schema->attribute[key];
    if (nbytes > MST_META_TEXT_MAX || !mst_meta_array_is_valid(mst_meta_element_type(attribute->type), bytes, (uint32_t)nbytes))
        return mst_base_fail(MAESTRO_BAD_VALUE, "set %s: these %zu bytes are no %s", attribute->name, nbytes, mst_meta_type_name(attribute->type));
    return put_tail(builder, key, bytes, nbytes);
}

void mst_meta_builder_unset(mst_meta_builder_t *builder, unsigned key) { builder->mask[key >> 6] &= ~(1ull << (key & 63)); }

/* ---- Completion. */

static maestro_status_t fill_defaults(mst_meta_builder_t *builder) {
    const mst_meta_schema_t *schema = builder->schema;
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t bits = schema->defaulted[half] & ~builder->mask[half]; bits; bits &= bits - 1) {
            unsigned key = half * 64 + (unsigned)__builtin_ctzll(bits);
            const mst_meta_attribute_t *attribute = &schema->attribute[key];
            if (attribute->type == MAESTRO_TYPE_STRING) MST_TRY(mst_meta_builder_set_text(builder, key, attribute->otherwise, strlen(attribute->otherwise)));
            else put(builder, key, attribute->otherwise_word);
        }
    return MAESTRO_OK;
}

/* How long an object lives is said in one way, or in two that bound it. */
static maestro_status_t check_life(const mst_meta_builder_t *builder) {
    bool bounded = has(builder, MST_META_KEY_DEMANDS) || has(builder, MST_META_KEY_LIFETIME);
    if (has(builder, MST_META_KEY_DEMANDS) && (int64_t)builder->value[MST_META_KEY_DEMANDS] < 1)
        return mst_base_fail(MAESTRO_BAD_VALUE, "maestro.demands is %lld; an object is read at least once before it expires", (long long)builder->value[MST_META_KEY_DEMANDS]);
    if (bounded && has(builder, MST_META_KEY_PERSIST) && builder->value[MST_META_KEY_PERSIST])
        return mst_base_fail(MAESTRO_BAD_VALUE, "maestro.persist keeps the object for ever, and maestro.lifetime or maestro.demands ends it; set one of them");
    return MAESTRO_OK;
}

maestro_status_t mst_meta_builder_complete(mst_meta_builder_t *builder) {
    const mst_meta_schema_t *schema = builder->schema;
    MST_TRY(fill_defaults(builder));
    if (MST_UNLIKELY(builder->mask[0] & (1ull << MST_META_KEY_DEMANDS | 1ull << MST_META_KEY_PERSIST))) MST_TRY(check_life(builder));
    uint64_t missing[2] = {schema->required[0] & ~builder->mask[0], schema->required[1] & ~builder->mask[1]};
    if (MST_LIKELY(!(missing[0] | missing[1]))) return MAESTRO_OK;
    char names[512];
    size_t at = 0;
    for (unsigned key = 0; key < schema->nattributes && at < sizeof names - 1; key++)
        if (missing[key >> 6] >> (key & 63) & 1) at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", schema->attribute[key].name);
    return mst_base_fail(MAESTRO_MISSING_ATTRIBUTE, "schema %s requires %s, which is not set", schema->name, names);
}

/* ---- Packing. */

maestro_status_t mst_meta_builder_pack(const mst_meta_builder_t *builder, uint16_t schema_number, void *out, size_t capacity, size_t *nbytes_out) {
    unsigned count = (unsigned)(__builtin_popcountll(builder->mask[0]) + __builtin_popcountll(builder->mask[1]));
    size_t tail_nbytes = tail_needed(builder), needed = sizeof(mst_meta_attributes_t) + 8u * count + tail_nbytes;
    if (tail_nbytes > MST_META_TAIL_MAX)
        return mst_base_fail(MAESTRO_TOO_LARGE, "the object's texts and arrays have %zu bytes, and may have %d; put large things into the object's data", tail_nbytes, MST_META_TAIL_MAX);
    *nbytes_out = needed;
    if (!out) return MAESTRO_OK;
    if (needed > capacity) return mst_base_fail(MAESTRO_TOO_LARGE, "pack attributes: %zu bytes into %zu", needed, capacity);
    mst_meta_attributes_t *set = out;
    *set = (mst_meta_attributes_t){.mask = {builder->mask[0], builder->mask[1]}, .tail_nbytes = (uint32_t)tail_nbytes, .nvalues = (uint16_t)count, .schema = schema_number};
    uint64_t *word = set->value;
    char *tail = (char *)&set->value[count];
    uint32_t used = 0;
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t bits = builder->mask[half]; bits; bits &= bits - 1) {
            unsigned key = half * 64 + (unsigned)__builtin_ctzll(bits);
            uint64_t value = builder->value[key];
            if (mst_meta_word_is_tail(value) && mst_meta_type_is_text(builder->schema->attribute[key].type)) {
                uint32_t nbytes = mst_meta_word_nbytes(value), at = aligned(builder, key, used);
                if (at > used) memset(tail + used, 0, at - used);
                used = at;
                if (nbytes) memcpy(tail + used, builder->tail + mst_meta_word_offset(value), nbytes);
                value = mst_meta_tail_word(used, nbytes);
                used += nbytes;
            }
            *word++ = value;
        }
    memset(tail + used, 0, tail_nbytes - used);
    return MAESTRO_OK;
}
