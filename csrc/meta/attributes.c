/* Packed attribute sets: checking what came from elsewhere, interning, identity, text for people. */
#include "meta/attributes.h"

#include "meta/dictionary.h"
#include "meta/schema.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#define EACH_KEY(mask_, key_)                                                                                    \
    for (unsigned half_ = 0; half_ < 2; half_++)                                                                 \
        for (uint64_t bits_ = (mask_)[half_]; bits_ && ((key_) = half_ * 64 + (unsigned)__builtin_ctzll(bits_), 1); bits_ &= bits_ - 1)

/* ---- Checking. */

/* UTF-8 without NUL; rejects overlong forms, surrogates and what lies beyond U+10FFFF. */
static bool is_text(const char *text, size_t nbytes) {
    const unsigned char *p = (const unsigned char *)text, *end = p + nbytes;
    while (p < end) {
        unsigned c = *p++;
        if (c >= 1 && c < 0x80) continue;
        unsigned more = c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 0;
        if (!more || (size_t)(end - p) < more) return false;
        if ((c == 0xe0 && p[0] < 0xa0) || (c == 0xed && p[0] > 0x9f) || (c == 0xf0 && p[0] < 0x90) || (c == 0xf4 && p[0] > 0x8f)) return false;
        for (unsigned i = 0; i < more; i++)
            if ((*p++ & 0xc0) != 0x80) return false;
    }
    return true;
}

static bool word_is_valid(const mst_meta_attributes_t *set, uint64_t word, const mst_meta_attribute_t *attribute, uint32_t codes) {
    switch (attribute->type) {
    case MAESTRO_TYPE_BOOL: return word <= 1;
    case MAESTRO_TYPE_I64:
    case MAESTRO_TYPE_TIMESTAMP: return true;
    case MAESTRO_TYPE_F64: return !isnan(mst_meta_word_f64(word)) && word != 1ull << 63;
    case MAESTRO_TYPE_STRING:
        if (!mst_meta_word_is_tail(word)) return word > 0 && word <= codes;
        break;
    case MAESTRO_TYPE_BLOB:
        if (!mst_meta_word_is_tail(word)) return false;
        break;
    }
    uint32_t offset = mst_meta_word_offset(word), nbytes = mst_meta_word_nbytes(word);
    if (offset > set->tail_nbytes || nbytes > set->tail_nbytes - offset) return false;
    return attribute->type == MAESTRO_TYPE_BLOB || is_text(mst_meta_attributes_tail(set) + offset, nbytes);
}

static maestro_status_t malformed(const char *what) { return mst_base_fail(MAESTRO_PROTOCOL, "attribute set: %s", what); }

maestro_status_t mst_meta_attributes_check(const mst_meta_attributes_t *set, size_t nbytes, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary, bool complete) {
    if (nbytes < sizeof *set) return malformed("shorter than its header");
    unsigned count = (unsigned)(__builtin_popcountll(set->mask[0]) + __builtin_popcountll(set->mask[1]));
    if (set->nvalues != count || set->tail_nbytes > MST_META_TAIL_MAX || mst_meta_attributes_nbytes(set) != nbytes) return malformed("lengths do not add up");
    uint64_t low = schema->nattributes >= 64 ? ~0ull : (1ull << schema->nattributes) - 1;
    uint64_t high = schema->nattributes >= 128 ? ~0ull : schema->nattributes > 64 ? (1ull << (schema->nattributes - 64)) - 1 : 0;
    if (set->mask[0] & ~low || set->mask[1] & ~high) return malformed("keys that the schema does not have");
    uint32_t codes = mst_meta_dictionary_count(dictionary);
    const uint64_t *word = set->value;
    unsigned key;
    EACH_KEY(set->mask, key)
        if (!word_is_valid(set, *word++, &schema->attribute[key], codes)) return malformed("a value does not fit its type");
    uint64_t missing = (schema->required[0] & ~set->mask[0]) | (schema->required[1] & ~set->mask[1]);
    if (complete && missing) return mst_base_fail(MAESTRO_MISSING_ATTRIBUTE, "attribute set: a required attribute is missing");
    return MAESTRO_OK;
}

void mst_meta_attributes_intern(mst_meta_attributes_t *set, const mst_meta_schema_t *schema, mst_meta_dictionary_t *dictionary, bool intern) {
    if (!set->tail_nbytes) return;
    uint64_t *word = set->value;
    unsigned key;
    EACH_KEY(set->mask, key) {
        uint64_t *at = word++;
        if (!(schema->common[key >> 6] >> (key & 63) & 1) || !mst_meta_word_is_tail(*at)) continue;
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
    bool text = type == MAESTRO_TYPE_STRING || type == MAESTRO_TYPE_BLOB;
    if (!text || !mst_meta_word_is_tail(word)) return word;
    return mst_base_hash(mst_meta_attributes_tail(set) + mst_meta_word_offset(word), mst_meta_word_nbytes(word));
}

uint64_t mst_meta_attributes_identity_hash(const mst_meta_attributes_t *set, const mst_meta_schema_t *schema, uint64_t seed) {
    uint64_t words[2 + MST_META_KEYS_MAX];
    uint64_t mask[2] = {set->mask[0] & schema->identity[0], set->mask[1] & schema->identity[1]};
    size_t count = 0;
    words[count++] = mask[0];
    words[count++] = mask[1];
    unsigned key;
    EACH_KEY(mask, key) words[count++] = content_of(set, set->value[mst_meta_attributes_rank(set, key)], schema->attribute[key].type);
    return mst_base_hash_seeded(words, count * sizeof words[0], seed);
}

bool mst_meta_attributes_identity_equal(const mst_meta_attributes_t *a, const mst_meta_attributes_t *b, const mst_meta_schema_t *schema) {
    uint64_t mask[2] = {a->mask[0] & schema->identity[0], a->mask[1] & schema->identity[1]};
    if (mask[0] != (b->mask[0] & schema->identity[0]) || mask[1] != (b->mask[1] & schema->identity[1])) return false;
    unsigned key;
    EACH_KEY(mask, key) {
        uint64_t x = a->value[mst_meta_attributes_rank(a, key)], y = b->value[mst_meta_attributes_rank(b, key)];
        maestro_type_t type = schema->attribute[key].type;
        bool text = (type == MAESTRO_TYPE_STRING || type == MAESTRO_TYPE_BLOB) && mst_meta_word_is_tail(x) && mst_meta_word_is_tail(y);
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

static void timestamp_text(int64_t nanoseconds, char *text, size_t nbytes) {
    time_t seconds = (time_t)(nanoseconds / 1000000000);
    int64_t rest = nanoseconds % 1000000000;
    if (rest < 0) { rest += 1000000000; seconds--; }
    struct tm when;
    char date[64];
    if (!gmtime_r(&seconds, &when) || !strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &when)) snprintf(date, sizeof date, "%lld s", (long long)seconds);
    if (rest) snprintf(text, nbytes, "%s.%09lldZ", date, (long long)rest);
    else snprintf(text, nbytes, "%sZ", date);
}

static void append_value(mst_base_buffer_t *out, const mst_meta_attributes_t *set, unsigned key, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary, bool json) {
    uint64_t word = set->value[mst_meta_attributes_rank(set, key)];
    uint32_t nbytes = 0;
    const char *text;
    char when[96];
    switch (schema->attribute[key].type) {
    case MAESTRO_TYPE_BOOL: mst_base_buffer_printf(out, "%s", word ? "true" : "false"); return;
    case MAESTRO_TYPE_I64: mst_base_buffer_printf(out, "%lld", (long long)word); return;
    case MAESTRO_TYPE_F64:
        if (json && !isfinite(mst_meta_word_f64(word))) mst_base_buffer_printf(out, "\"%g\"", mst_meta_word_f64(word));
        else mst_base_buffer_printf(out, json ? "%.17g" : "%g", mst_meta_word_f64(word));
        return;
    case MAESTRO_TYPE_TIMESTAMP:
        timestamp_text((int64_t)word, when, sizeof when);
        if (json) mst_base_buffer_json_string(out, when, strlen(when));
        else mst_base_buffer_printf(out, "%s", when);
        return;
    case MAESTRO_TYPE_BLOB: mst_base_buffer_printf(out, json ? "\"%u bytes\"" : "(%u bytes)", mst_meta_word_nbytes(word)); return;
    case MAESTRO_TYPE_STRING:
        text = mst_meta_attributes_text(set, word, dictionary, &nbytes);
        if (!text) text = "?", nbytes = 1;
        if (json) mst_base_buffer_json_string(out, text, nbytes);
        else mst_base_buffer_append(out, text, nbytes);
        return;
    }
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
