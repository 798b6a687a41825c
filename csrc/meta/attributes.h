/* The attribute set of one object in its packed form, which is also its form on the wire and in the catalogue:
 *
 *     header | one 64-bit word per attribute that is set, in the order of the schema | tail (text and blobs)
 *
 * Presence is a bit of the mask, so a look-up is a bit test and a population count.  Invariant: a packed set that came from another
 * process is used only after mst_meta_attributes_check.
 *
 * Words: bool 0/1; i64 and timestamp as they are; f64 its bits (no NaN, -0 stored as 0); string either a dictionary code (< 2^32) or,
 * with the top bit set, a reference into the tail; blob always such a reference.  An array too: to a place that is a multiple of 8, where its values
 * stand as bytes (bool), words (i64, f64, timestamp) or texts, each with a zero behind it. */
#ifndef MST_META_ATTRIBUTES_H
#define MST_META_ATTRIBUTES_H

#include "base/base.h"

enum {
    MST_META_KEYS_MAX = 128,          /* attributes of one schema, the core schema's included */
    MST_META_TEXT_MAX = 61440,        /* bytes of one string or blob */
    MST_META_TAIL_MAX = 61440         /* bytes of one object's tail */
};

typedef struct mst_meta_attributes {
    uint64_t mask[2];
    uint32_t tail_nbytes;
    uint16_t nvalues;                 /* population count of mask */
    uint16_t schema;                  /* number of the schema in its pool; 0 is the core schema */
    uint64_t value[];                 /* nvalues words, then tail_nbytes bytes */
} mst_meta_attributes_t;

#define MST_META_SET_MAX (sizeof(mst_meta_attributes_t) + 8 * MST_META_KEYS_MAX + MST_META_TAIL_MAX) /* bytes of the largest set */
#define MST_META_TAIL_FLAG (1ull << 63)

static inline uint64_t mst_meta_tail_word(uint32_t offset, uint32_t nbytes) { return MST_META_TAIL_FLAG | ((uint64_t)nbytes << 32) | offset; }
static inline bool mst_meta_word_is_tail(uint64_t word) { return word >> 63; }
static inline uint32_t mst_meta_word_offset(uint64_t word) { return (uint32_t)word; }
static inline uint32_t mst_meta_word_nbytes(uint64_t word) { return (uint32_t)(word >> 32) & 0x7fffffffu; }

static inline bool mst_meta_attributes_has(const mst_meta_attributes_t *set, unsigned key) {
    return set->mask[key >> 6] >> (key & 63) & 1;
}

static inline bool mst_meta_type_is_array(maestro_type_t type) { return type & MAESTRO_TYPE_ARRAY; }
static inline maestro_type_t mst_meta_element_type(maestro_type_t type) { return type & ~(unsigned)MAESTRO_TYPE_ARRAY; } /* of an array; else the type itself */
/* Its values may lie in the tail. */
static inline bool mst_meta_type_is_text(maestro_type_t type) { return type == MAESTRO_TYPE_STRING || type == MAESTRO_TYPE_BLOB || mst_meta_type_is_array(type); }

/* Position of a key that is set in value[]. */
static inline unsigned mst_meta_attributes_rank(const mst_meta_attributes_t *set, unsigned key) {
    unsigned rank = (unsigned)__builtin_popcountll(set->mask[key >> 6] & ((1ull << (key & 63)) - 1));
    return key < 64 ? rank : rank + (unsigned)__builtin_popcountll(set->mask[0]);
}

static inline const char *mst_meta_attributes_tail(const mst_meta_attributes_t *set) { return (const char *)&set->value[set->nvalues]; }

static inline size_t mst_meta_attributes_nbytes(const mst_meta_attributes_t *set) {
    return sizeof *set + 8u * set->nvalues + set->tail_nbytes;
}

static inline uint64_t mst_meta_f64_word(double value) {
    uint64_t word;
    if (value == 0) value = 0; /* -0 and 0 are one value */
    memcpy(&word, &value, 8);
    return word;
}
/* Whether a word is what mst_meta_f64_word gives: no NaN, no -0. */
static inline bool mst_meta_word_is_real(uint64_t word) { return (word & ~(1ull << 63)) <= 0x7ff0000000000000ull && word != 1ull << 63; }
static inline double mst_meta_word_f64(uint64_t word) {
    double value;
    memcpy(&value, &word, 8);
    return value;
}

/* Walks an array that lies in `nbytes` bytes: with *cursor = 0 first, false after the last value.  Numbers come as words, texts by place and length. */
static inline bool mst_meta_array_next(maestro_type_t element, const char *bytes, uint32_t nbytes, uint32_t *cursor, uint64_t *word_out, const char **text_out,
                                       uint32_t *text_nbytes_out) {
    const char *at = bytes + *cursor;
    if (*cursor >= nbytes) return false;
    if (element == MAESTRO_TYPE_STRING) {
        *text_out = at;
        *text_nbytes_out = (uint32_t)strnlen(at, nbytes - *cursor);
        *cursor += *text_nbytes_out + 1;
    } else if (element == MAESTRO_TYPE_BOOL) {
        *word_out = (unsigned char)*at;
        *cursor += 1;
    } else {
        memcpy(word_out, at, 8);
        *cursor += 8;
    }
    return true;
}
bool mst_meta_array_is_valid(maestro_type_t element, const char *bytes, uint32_t nbytes); /* of bytes from elsewhere */
size_t mst_meta_array_count(maestro_type_t element, const char *bytes, uint32_t nbytes);

struct mst_meta_schema;
struct mst_meta_dictionary;

/* Checks a set of untrusted bytes: lengths add up to exactly nbytes, mask within the schema, words valid for their types (bool 0/1, no NaN,
 * codes known to the dictionary, tail references inside the tail, text is UTF-8 without NUL), required attributes of the schema present when
 * `complete`.  Errors: PROTOCOL, MISSING_ATTRIBUTE. */
maestro_status_t mst_meta_attributes_check(const mst_meta_attributes_t *set, size_t nbytes, const struct mst_meta_schema *schema,
                                           const struct mst_meta_dictionary *dictionary, bool complete);

/* Its parts: lengths, mask and required attributes; all words; one word. */
maestro_status_t mst_meta_attributes_check_form(const mst_meta_attributes_t *set, size_t nbytes, const struct mst_meta_schema *schema, bool complete);
maestro_status_t mst_meta_attributes_check_words(const mst_meta_attributes_t *set, const struct mst_meta_schema *schema, const struct mst_meta_dictionary *dictionary);
bool mst_meta_attributes_check_word(const mst_meta_attributes_t *set, uint64_t word, unsigned key, const struct mst_meta_schema *schema,
                                    const struct mst_meta_dictionary *dictionary);

/* Replaces text of common attributes by dictionary codes where the text has one (intern = false) or can get one (intern = true: only the
 * dictionary's owner).  Works in place: words change, the tail stays.  After this, equal common values have equal words. */
void mst_meta_attributes_intern(mst_meta_attributes_t *set, const struct mst_meta_schema *schema, struct mst_meta_dictionary *dictionary, bool intern);

/* Text of a string or blob word of this set (tail or dictionary). */
const char *mst_meta_attributes_text(const mst_meta_attributes_t *set, uint64_t word, const struct mst_meta_dictionary *dictionary, uint32_t *nbytes_out);

/* Hash and equality of the identity attributes (absent is a value); `seed` mixes in what else belongs to the identity.  The hash is the seed and
 * a sum of one term an attribute, so that parts of it can be kept. */
uint64_t mst_meta_attributes_identity_hash(const mst_meta_attributes_t *set, const struct mst_meta_schema *schema, uint64_t seed);
static inline uint64_t mst_meta_identity_mix(uint64_t word, unsigned key) { /* the term of a word that is no text */
    return mst_base_mix(word + (key + 1) * 0x9e3779b97f4a7c15ull); /* splitmix64's increment */
}
uint64_t mst_meta_identity_term(const mst_meta_attributes_t *set, uint64_t word, unsigned key, const struct mst_meta_schema *schema);
bool mst_meta_attributes_identity_equal(const mst_meta_attributes_t *a, const mst_meta_attributes_t *b, const struct mst_meta_schema *schema);

/* Writes "param=t step=6 ..." (identity attributes first, then the others) for messages; always terminated; returns the length needed. */
size_t mst_meta_attributes_describe(const mst_meta_attributes_t *set, const struct mst_meta_schema *schema,
                                    const struct mst_meta_dictionary *dictionary, char *text, size_t nbytes);
/* Appends one value as JSON (string, number, true/false; timestamps as ISO 8601 text; blobs as their length). */
void mst_meta_attributes_value_json(mst_base_buffer_t *out, const mst_meta_attributes_t *set, unsigned key,
                                    const struct mst_meta_schema *schema, const struct mst_meta_dictionary *dictionary);

/* ---- A set under construction, in the client: unpacked, indexed by key. */
typedef struct mst_meta_builder {
    uint64_t mask[2];
    const struct mst_meta_schema *schema;
    const struct mst_meta_dictionary *dictionary; /* may be NULL: then all text goes to the tail */
    char *tail;                                   /* grows; text set twice leaves garbage that packing drops */
    uint32_t tail_nbytes, tail_capacity;
    uint64_t value[MST_META_KEYS_MAX];            /* word of each key that is set */
} mst_meta_builder_t;

void mst_meta_builder_init(mst_meta_builder_t *builder, const struct mst_meta_schema *schema, const struct mst_meta_dictionary *dictionary);
void mst_meta_builder_fini(mst_meta_builder_t *builder);
maestro_status_t mst_meta_builder_copy(mst_meta_builder_t *to, const mst_meta_builder_t *from); /* `to` initialised */
maestro_status_t mst_meta_builder_load(mst_meta_builder_t *builder, const mst_meta_attributes_t *set); /* from a packed set */

/* Typed setters with the schema's conventions (see schema.h, "conversion").  Errors: WRONG_TYPE, BAD_VALUE (naming key, value, what is allowed). */
maestro_status_t mst_meta_builder_set_bool(mst_meta_builder_t *builder, unsigned key, bool value);
maestro_status_t mst_meta_builder_set_i64(mst_meta_builder_t *builder, unsigned key, int64_t value);
maestro_status_t mst_meta_builder_set_f64(mst_meta_builder_t *builder, unsigned key, double value);
maestro_status_t mst_meta_builder_set_text(mst_meta_builder_t *builder, unsigned key, const char *text, size_t nbytes);
maestro_status_t mst_meta_builder_set_timestamp(mst_meta_builder_t *builder, unsigned key, int64_t nanoseconds);
maestro_status_t mst_meta_builder_set_blob(mst_meta_builder_t *builder, unsigned key, const void *bytes, size_t nbytes);
/* `values`: bool, int64_t, double or const char * by the element's type. */
maestro_status_t mst_meta_builder_set_array(mst_meta_builder_t *builder, unsigned key, maestro_type_t element, const void *values, size_t count);
/* The same from an array's bytes as they lie in a set; BAD_VALUE where they are none. */
maestro_status_t mst_meta_builder_set_array_bytes(mst_meta_builder_t *builder, unsigned key, const void *bytes, size_t nbytes);
void mst_meta_builder_unset(mst_meta_builder_t *builder, unsigned key);

/* Fills in the schema's defaults and checks the required attributes.  Error: MISSING_ATTRIBUTE naming all that are missing. */
maestro_status_t mst_meta_builder_complete(mst_meta_builder_t *builder);

/* Packs into `out` (capacity bytes, 8-byte aligned); writes the needed size always; NULL out only measures. Size is a multiple of 8 (tail padded
 * with zeros, padding counted in tail_nbytes). */
maestro_status_t mst_meta_builder_pack(const mst_meta_builder_t *builder, uint16_t schema_number, void *out, size_t capacity, size_t *nbytes_out);

#endif
