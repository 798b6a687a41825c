/* What the two halves of the selector parser share: the scanner's tokens, and the building of value lists. */
#ifndef MST_META_SELECTOR_PARSE_H
#define MST_META_SELECTOR_PARSE_H

#include "meta/arena.h"
#include "meta/selector.h"

typedef enum mst_meta_token {
    MST_META_TOKEN_END, MST_META_TOKEN_WORD, MST_META_TOKEN_QUOTED, MST_META_TOKEN_OPEN, MST_META_TOKEN_CLOSE, MST_META_TOKEN_COMMA,
    MST_META_TOKEN_SLASH, MST_META_TOKEN_EQ, MST_META_TOKEN_NE, MST_META_TOKEN_LT, MST_META_TOKEN_LE, MST_META_TOKEN_GT, MST_META_TOKEN_GE
} mst_meta_token_t;

typedef struct mst_meta_parser {
    const mst_meta_schema_t *schema;
    mst_meta_arena_t *arena;
    const char *text;
    size_t at;                 /* where to scan on */
    mst_meta_token_t token;    /* the token looked at, */
    size_t start, nbytes;      /* its place, */
    const char *value;         /* and its text (unquoted, zero-terminated, in the arena) */
    unsigned depth, nodes;
    size_t comma;              /* 1 + place of the first comma that joined pairs */
    bool logical;              /* and, or, not or parentheses were met */
} mst_meta_parser_t;

maestro_status_t mst_meta_parser_next(mst_meta_parser_t *parser);
bool mst_meta_parser_is(const mst_meta_parser_t *parser, const char *keyword);
/* Fails with the text and a mark under the character at `where`. */
maestro_status_t mst_meta_parser_fail(const mst_meta_parser_t *parser, maestro_status_t status, size_t where, const char *format, ...) MST_PRINTF(4, 5);
mst_meta_node_t *mst_meta_parser_node(mst_meta_parser_t *parser, mst_meta_op_t op);
void mst_meta_node_set_key(mst_meta_node_t *node, const mst_meta_schema_t *schema, unsigned key);

/* Values of a list, with ranges; ends in *node_out (IN or RANGE). */
typedef struct mst_meta_list {
    uint64_t *words;
    char **texts;
    size_t count, capacity;
} mst_meta_list_t;

maestro_status_t mst_meta_parse_word(mst_meta_parser_t *parser, unsigned key, uint64_t *word_out, char **text_out); /* the token as a value; not advanced */
maestro_status_t mst_meta_parse_list(mst_meta_parser_t *parser, unsigned key, bool in_parentheses, bool request, mst_meta_node_t **node_out);

#endif
