/* Selectors: expressions over attributes.
 *
 *     expression := term { or term } ;  term := factor { and factor } ;  factor := not factor | ( expression ) | has ( key ) | key comparison
 *     comparison := = v | != v | < v | <= v | > v | >= v | [not] in ( v, ... ) | [not] in list | like "glob"       (== is taken for =)
 *     list       := v / v / ... | from /to/ to [ /by/ step ]            ranges ascend or descend; by defaults to 1 (to the schema's unit)
 *     v          := word | number | 'text' | "text" | true | false ; globs have * ? [abc]
 *
 * and the request form of MARS, `param=t/u,step=0/to/24/by/6`, where commas mean `and` (key=* or key=all: has(key)).  Keywords in any case.
 * A comparison with an array is true when one of its values meets it (`!=` too: one is another).  With an absent attribute it is false (so `not levelist = 500` is true for surface fields; `levelist != 500` is false for them).
 * Common mistakes are answered: '&&', '||', a missing quote, an unknown key (nearest named), text where the attribute is a number.
 * Bounds: 64 KiB of text, depth 64, 4096 nodes, 65,536 list values; glob in linear time (two-pointer, no backtracking over more than the last star).
 *
 * A selector is parsed (needs a schema only), then bound to a dictionary before it is matched. */
#ifndef MST_META_SELECTOR_H
#define MST_META_SELECTOR_H

#include "meta/attributes.h"
#include "meta/dictionary.h"
#include "meta/schema.h"

typedef enum mst_meta_op {
    MST_META_OP_TRUE,   /* everything */
    MST_META_OP_AND, MST_META_OP_OR, MST_META_OP_NOT,
    MST_META_OP_HAS,
    MST_META_OP_IN,     /* equality is IN with one value; values sorted, unique */
    MST_META_OP_RANGE,  /* low <= value <= high (each end optional or open), numbers and timestamps; with step: (value - low) % step == 0, i64 */
    MST_META_OP_NE,     /* present and different */
    MST_META_OP_LIKE    /* glob on strings */
} mst_meta_op_t;

typedef struct mst_meta_node mst_meta_node_t;
struct mst_meta_node {
    mst_meta_op_t op;
    unsigned key;                         /* comparisons */
    maestro_type_t type;                  /* of the key, or of its values where it is: */
    bool array;                           /* a comparison holds when one of the values meets it */
    mst_meta_node_t *child[2];            /* AND, OR: both; NOT: first */
    uint64_t *words;                      /* IN, NE: values, sorted; of strings the codes of `texts` once bound, mst_meta_text_word of those without */
    char **texts;                         /* strings: canonical texts, sorted (NULL for other types); LIKE: texts[0] is the glob */
    size_t nwords;
    uint64_t low, high;                   /* RANGE, as words */
    bool has_low, has_high, open_low, open_high;
    int64_t step;                         /* 0: none */
};

typedef struct mst_meta_selector {
    const mst_meta_schema_t *schema;      /* borrowed */
    mst_meta_node_t *root;
    char *source;                         /* the text as given, "" for everything */
    bool core_only;                       /* mentions core attributes alone: applies to objects of every schema */
    uint64_t keys[2];                     /* that it looks at */
    void *arena;
} mst_meta_selector_t;

/* Parses; NULL or blank text is TRUE.  Errors: BAD_SELECTOR with the text, a line with ^ under the character, and what was expected;
 * UNKNOWN_ATTRIBUTE and BAD_VALUE / WRONG_TYPE likewise point at the character. */
maestro_status_t mst_meta_selector_parse(const mst_meta_schema_t *schema, const char *text, mst_meta_selector_t **selector_out);
void mst_meta_selector_destroy(mst_meta_selector_t *selector);

/* Resolves the texts of common attributes to dictionary codes, interning new ones (so that later objects agree).  Common texts that cannot be
 * interned stay texts and are compared as such. */
void mst_meta_selector_bind(mst_meta_selector_t *selector, mst_meta_dictionary_t *dictionary);
/* The same for who may only read the dictionary: of a selector that its owner has bound. */
void mst_meta_selector_bind_known(mst_meta_selector_t *selector, const mst_meta_dictionary_t *dictionary);

/* Evaluates one packed, interned set of the selector's schema (or of any schema when core_only). */
bool mst_meta_selector_match(const mst_meta_selector_t *selector, const mst_meta_attributes_t *set, const mst_meta_dictionary_t *dictionary);

bool mst_meta_glob(const char *pattern, const char *text, size_t nbytes);

/* The conjuncts of the outermost AND chain (for "what came nearest" and for anchors): writes up to `capacity` nodes, returns how many there are. */
size_t mst_meta_selector_conjuncts(const mst_meta_selector_t *selector, const mst_meta_node_t **nodes, size_t capacity);
bool mst_meta_node_match(const mst_meta_node_t *node, const mst_meta_selector_t *selector, const mst_meta_attributes_t *set, const mst_meta_dictionary_t *dictionary);
/* Writes one node back as text. */
size_t mst_meta_node_describe(const mst_meta_node_t *node, const mst_meta_selector_t *selector, char *text, size_t nbytes);
/* Appends the whole selector as JSON: see maestro_selector_tree. */
void mst_meta_selector_json(const mst_meta_selector_t *selector, mst_base_buffer_t *out);

#endif
