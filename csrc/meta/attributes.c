/* Packed attribute sets: checking what came from elsewhere, interning, identity, text for people. */
#include "meta/attributes.h"

#include "meta/dictionary.h"
#include "meta/schema.h"
#include "meta/text.h"

#include <math.h>
#include <stdio.h>

enum { SHOWN = 8 }; /* values of an array in a message */

#define EACH_KEY(mask_, key_)                                                                                    \
    for (unsigned half_ = 0; half_ < 2; half_++)                                                                 \
        for (uint64_t bits_ = (mask_)[half_]; bits_ && ((key_) = half_ * 64 + (unsigned)__builtin_ctzll(bits_), 1); bits_ &= bits_ - 1)

/* ---- Checking. */

size_t mst_meta_array_count(maestro_type_t element, const char *bytes, uint32_t nbytes) {
    size_t count = 0;
    if (element == MAESTRO_TYPE_BOOL) return nbytes;
    if (element != MAESTRO_TYPE_STRING) return nbytes / 8;
    for (uint32_t i = 0; i < nbytes; i++) count += bytes[i] == '\0';
    return count;
}

bool mst_meta_array_is_valid(maestro_type_t element, const char *bytes, uint32_t nbytes) {
    uint32_t cursor = 0, text_nbytes;
    uint64_t word;
    const char *text;
    bool texts = element == MAESTRO_TYPE_STRING, valid = true;
    if (texts) valid = nbytes == 0 || bytes[nbytes - 1] == '\0';
    else if (element != MAESTRO_TYPE_BOOL) valid = nbytes % 8 == 0;
    while (valid && mst_meta_array_next(element, bytes, nbytes, &cursor, &word, &text, &text_nbytes)) {
        if (texts) valid = mst_meta_text_is_utf8(text, text_nbytes);
        else if (element == MAESTRO_TYPE_BOOL) valid = word <= 1;
        else if (element == MAESTRO_TYPE_F64) valid = mst_meta_word_is_real(word);
    }
    return valid;
}

static bool word_is_valid(const mst_meta_attributes_t *set, uint64_t word, const mst_meta_attribute_t *attribute, uint32_t codes) {
    switch (attribute->type) {
    case MAESTRO_TYPE_BOOL: return word <= 1;
    case MAESTRO_TYPE_I64:
    case MAESTRO_TYPE_TIMESTAMP: return true;
    case MAESTRO_TYPE_F64: return mst_meta_word_is_real(word);
    case MAESTRO_TYPE_STRING:
        if (!mst_meta_word_is_tail(word)) return attribute->common && word > 0 && word <= codes;
        break;
    default:
        if (!mst_meta_word_is_tail(word)) return false;
    }
    uint32_t offset = mst_meta_word_offset(word), nbytes = mst_meta_word_nbytes(word);
    if (offset > set->tail_nbytes || nbytes > set->tail_nbytes - offset) return false;
    if (mst_meta_type_is_array(attribute->type))
        return offset % 8 == 0 && mst_meta_array_is_valid(mst_meta_element_type(attribute->type), mst_meta_attributes_tail(set) + offset, nbytes);
    return attribute->type == MAESTRO_TYPE_BLOB || mst_meta_text_is_utf8(mst_meta_attributes_tail(set) + offset, nbytes);
}

static maestro_status_t malformed(const char *what) { return mst_base_fail(MAESTRO_PROTOCOL, "attribute set: %s", what); }

maestro_status_t mst_meta_attributes_check_form(const mst_meta_attributes_t *set, size_t nbytes, const mst_meta_schema_t *schema, bool complete) {
    if (nbytes < sizeof *set) return malformed("shorter than its header");
    unsigned count = (unsigned)(__builtin_popcountll(set->mask[0]) + __builtin_popcountll(set->mask[1]));
    if (set->nvalues != count || set->tail_nbytes > MST_META_TAIL_MAX || set->tail_nbytes % 8 || mst_meta_attributes_nbytes(set) != nbytes) return malformed("lengths do not add up");
    if (set->mask[0] & ~schema->all[0] || set->mask[1] & ~schema->all[1]) return malformed("keys that the schema does not have");
    uint64_t missing = (schema->required[0] & ~set->mask[0]) | (schema->required[1] & ~set->mask[1]);
    if (complete && missing) return mst_base_fail(MAESTRO_MISSING_ATTRIBUTE, "attribute set: a required attribute is missing");
    return MAESTRO_OK;
}

bool mst_meta_attributes_check_word(const mst_meta_attributes_t *set, uint64_t word, unsigned key, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary) {
    uint64_t bit = 1ull << (key & 63);
    if (!(schema->checked[key >> 6] & bit)) return true; /* numbers and codes: nearly all */
    uint32_t codes = dictionary ? mst_meta_dictionary_count(dictionary) : 0;
    if (schema->common[key >> 6] & bit && word - 1 < codes) return true;
    return word_is_valid(set, word, &schema->attribute[key], codes);
}

maestro_status_t mst_meta_attributes_check_words(const mst_meta_attributes_t *set, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary) {
    const uint64_t *word = set->value;
    unsigned key;
    EACH_KEY(set->mask, key) if (!mst_meta_attributes_check_word(set, *word++, key, schema, dictionary)) return malformed("a value does not fit its type");
    return MAESTRO_OK;
}

maestro_status_t mst_meta_attributes_check(const mst_meta_attributes_t *set, size_t nbytes, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary, bool complete) {
    maestro_status_t form = mst_meta_attributes_check_form(set, nbytes, schema, complete);
    if (form == MAESTRO_PROTOCOL) return form;
    MST_TRY(mst_meta_attributes_check_words(set, schema, dictionary));
    return form;
}

void mst_meta_attributes_intern(mst_meta_attributes_t *set, const mst_meta_schema_t *schema, mst_meta_dictionary_t *dictionary, bool intern) {
    uint64_t any = 0, common[2] = {set->mask[0] & schema->common[0], set->mask[1] & schema->common[1]};
    for (unsigned i = 0; i < set->nvalues; i++) any |= set->value[i];
    if (!mst_meta_word_is_tail(any)) return; /* the usual case: all are codes already */
    unsigned key;
    EACH_KEY(common, key) {
        uint64_t *at = &set->value[mst_meta_attributes_rank(set, key)];
        if (!mst_meta_word_is_tail(*at)) continue;
        const char *text = mst_meta_attributes_tail(set) + mst_meta_word_offset(*at);
        uint32_t nbytes = mst_meta_word_nbytes(*at);
        uint32_t code = intern ? mst_meta_dictionary_intern(dictionary, text, nbytes) : mst_meta_dictionary_find(dictionary, text, nbytes);
        if (code) *at = code;
    }
}

const char *mst_meta_attributes_text(const mst_meta_attributes_t *set, uint64_t word, const mst_meta_dictionary_t *dictionary, uint32_t *nbytes_out) {
    if (!mst_meta_word_is_tail(word)) return mst_meta_dictionary_text(dictionary, (uint32_t)word, nbytes_out);
    *nbytes_out = mst_meta_word_nbytes(word);
    return mst_meta_attributes_tail(set) + mst_meta_word_offset(word);
}

/* ---- Identity. */

static uint64_t content_of(const mst_meta_attributes_t *set, uint64_t word, maestro_type_t type) {
    if (!mst_meta_type_is_text(type) || !mst_meta_word_is_tail(word)) return word;
    return mst_base_hash(mst_meta_attributes_tail(set) + mst_meta_word_offset(word), mst_meta_word_nbytes(word));
}

uint64_t mst_meta_identity_term(const mst_meta_attributes_t *set, uint64_t word, unsigned key, const mst_meta_schema_t *schema) {
    if (mst_meta_word_is_tail(word)) word = content_of(set, word, schema->attribute[key].type);
    return mst_meta_identity_mix(word, key);
}

uint64_t mst_meta_attributes_identity_hash(const mst_meta_attributes_t *set, const mst_meta_schema_t *schema, uint64_t seed) {
    uint64_t mask[2] = {set->mask[0] & schema->identity[0], set->mask[1] & schema->identity[1]}, hash = mst_base_mix(seed);
    unsigned key;
    EACH_KEY(mask, key) hash += mst_meta_identity_term(set, set->value[mst_meta_attributes_rank(set, key)], key, schema);
    return hash;
}

bool mst_meta_attributes_identity_equal(const mst_meta_attributes_t *a, const mst_meta_attributes_t *b, const mst_meta_schema_t *schema) {
    uint64_t mask[2] = {a->mask[0] & schema->identity[0], a->mask[1] & schema->identity[1]};
    if (mask[0] != (b->mask[0] & schema->identity[0]) || mask[1] != (b->mask[1] & schema->identity[1])) return false;
    unsigned key;
    EACH_KEY(mask, key) {
        uint64_t x = a->value[mst_meta_attributes_rank(a, key)], y = b->value[mst_meta_attributes_rank(b, key)];
        maestro_type_t type = schema->attribute[key].type;
        bool text = mst_meta_type_is_text(type) && mst_meta_word_is_tail(x) && mst_meta_word_is_tail(y);
        if (!text && x != y) return false;
        if (!text) continue;
        uint32_t nbytes = mst_meta_word_nbytes(x);
        if (nbytes != mst_meta_word_nbytes(y) ||
            memcmp(mst_meta_attributes_tail(a) + mst_meta_word_offset(x), mst_meta_attributes_tail(b) + mst_meta_word_offset(y), nbytes) != 0)
            return false;
    }
    return true;
}

/* ---- Text for people. */

static void append_text(mst_base_buffer_t *out, const char *text, size_t nbytes, bool json) {
    if (json) mst_base_buffer_json_string(out, text, nbytes);
    else mst_base_buffer_append(out, text, nbytes);
}

static void append_number(mst_base_buffer_t *out, uint64_t word, maestro_type_t type, bool json) {
    char when[40];
    switch (type) {
    case MAESTRO_TYPE_BOOL: mst_base_buffer_printf(out, "%s", word ? "true" : "false"); return;
    case MAESTRO_TYPE_I64: mst_base_buffer_printf(out, "%lld", (long long)word); return;
    case MAESTRO_TYPE_F64:
        mst_meta_text_format_f64(mst_meta_word_f64(word), when);
        mst_base_buffer_printf(out, json && !isfinite(mst_meta_word_f64(word)) ? "\"%s\"" : "%s", when); /* JSON knows no infinity */
        return;
    case MAESTRO_TYPE_TIMESTAMP:
        mst_meta_text_format_timestamp((int64_t)word, when);
        append_text(out, when, strlen(when), json);
        return;
    default: return;
    }
}

/* Messages show the first values of a long one. */
static void append_array(mst_base_buffer_t *out, const char *bytes, uint32_t nbytes, maestro_type_t element, bool json) {
    uint32_t cursor = 0, text_nbytes = 0;
    uint64_t word = 0;
    const char *text = "";
    mst_base_buffer_printf(out, "[");
    for (int i = 0; mst_meta_array_next(element, bytes, nbytes, &cursor, &word, &text, &text_nbytes); i++) {
        if (i) mst_base_buffer_printf(out, json ? "," : ", ");
        if (i == SHOWN && !json) {
            mst_base_buffer_printf(out, "... (%zu values)", mst_meta_array_count(element, bytes, nbytes));
            break;
        }
        if (element == MAESTRO_TYPE_STRING) append_text(out, text, text_nbytes, json);
        else append_number(out, word, element, json);
    }
    mst_base_buffer_printf(out, "]");
}

static void append_value(mst_base_buffer_t *out, const mst_meta_attributes_t *set, unsigned key, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary, bool json) {
    uint64_t word = set->value[mst_meta_attributes_rank(set, key)];
    maestro_type_t type = schema->attribute[key].type;
    uint32_t nbytes = 0;
    if (!mst_meta_type_is_text(type)) {
        append_number(out, word, type, json);
        return;
    }
    const char *text = mst_meta_attributes_text(set, word, dictionary, &nbytes);
    if (mst_meta_type_is_array(type)) append_array(out, text, nbytes, mst_meta_element_type(type), json);
    else if (type == MAESTRO_TYPE_BLOB) mst_base_buffer_printf(out, json ? "\"%u bytes\"" : "(%u bytes)", nbytes);
    else append_text(out, text ? text : "?", text ? nbytes : 1, json);
}

void mst_meta_attributes_value_json(mst_base_buffer_t *out, const mst_meta_attributes_t *set, unsigned key, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary) {
    append_value(out, set, key, schema, dictionary, true);
}

static void describe_keys(mst_base_buffer_t *out, const mst_meta_attributes_t *set, const uint64_t *mask, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary) {
    unsigned key;
    EACH_KEY(mask, key) {
        if (key == MST_META_KEY_COMPONENT || key == MST_META_KEY_RANK || key == MST_META_KEY_CHECKSUM || key == MST_META_KEY_TIME) continue;
        mst_base_buffer_printf(out, "%s%s=", out->nbytes ? " " : "", schema->attribute[key].name);
        append_value(out, set, key, schema, dictionary, false);
    }
}

size_t mst_meta_attributes_describe(const mst_meta_attributes_t *set, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary, char *text, size_t nbytes) {
    mst_base_buffer_t out = {0};
    uint64_t identity[2] = {set->mask[0] & schema->identity[0], set->mask[1] & schema->identity[1]};
    uint64_t others[2] = {set->mask[0] & ~schema->identity[0], set->mask[1] & ~schema->identity[1]};
    describe_keys(&out, set, identity, schema, dictionary);
    describe_keys(&out, set, others, schema, dictionary);
    if (!out.nbytes) mst_base_buffer_printf(&out, "an object without attributes");
    size_t needed = out.nbytes;
    if (nbytes) snprintf(text, nbytes, "%s", out.data ? out.data : "");
    mst_base_buffer_fini(&out);
    return needed;
}
