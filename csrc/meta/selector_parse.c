/* The grammar of selectors; see selector.h.  Chains of `and` and `or` lean to the right, so that matching walks them in a loop. */
#include "meta/selector_parse.h"
#include "meta/words.h"

#include <stdio.h>

enum { TEXT_MAX = 65536, DEPTH_MAX = 64, NODES_MAX = 4096 };

void mst_meta_node_set_key(mst_meta_node_t *node, const mst_meta_schema_t *schema, unsigned key) {
    node->key = key;
    node->type = mst_meta_element_type(schema->attribute[key].type);
    node->array = mst_meta_type_is_array(schema->attribute[key].type);
}

mst_meta_node_t *mst_meta_parser_node(mst_meta_parser_t *parser, mst_meta_op_t op) {
    if (++parser->nodes > NODES_MAX) return NULL;
    mst_meta_node_t *node = mst_meta_arena_alloc(parser->arena, sizeof *node);
    if (node) node->op = op;
    return node;
}

static maestro_status_t expression(mst_meta_parser_t *parser, mst_meta_node_t **node_out);

static maestro_status_t too_long(const mst_meta_parser_t *parser) {
    return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "the selector has too many parts; split it into several subscriptions");
}

static maestro_status_t unary(mst_meta_parser_t *parser, mst_meta_op_t op, mst_meta_node_t *child, mst_meta_node_t **node_out) {
    mst_meta_node_t *node = mst_meta_parser_node(parser, op);
    if (!node) return too_long(parser);
    node->child[0] = child;
    *node_out = node;
    return MAESTRO_OK;
}

static maestro_status_t expect(mst_meta_parser_t *parser, mst_meta_token_t token, const char *what) {
    if (parser->token != token) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected %s", what);
    return mst_meta_parser_next(parser);
}

static maestro_status_t read_key(mst_meta_parser_t *parser, unsigned *key_out) {
    if (parser->token != MST_META_TOKEN_WORD) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected an attribute's name, 'not', 'has' or '('");
    int key = mst_meta_schema_key(parser->schema, parser->value, parser->nbytes);
    if (key < 0) {
        const char *nearest = mst_meta_schema_nearest(parser->schema, parser->value, parser->nbytes);
        return mst_meta_parser_fail(parser, MAESTRO_UNKNOWN_ATTRIBUTE, parser->start, "'%.60s' is no attribute of schema %s%s%s%s", parser->value, parser->schema->name,
                                    nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    }
    *key_out = (unsigned)key;
    return mst_meta_parser_next(parser);
}

static maestro_status_t key_node(mst_meta_parser_t *parser, mst_meta_op_t op, unsigned key, mst_meta_node_t **node_out) {
    mst_meta_node_t *node = mst_meta_parser_node(parser, op);
    if (!node) return too_long(parser);
    mst_meta_node_set_key(node, parser->schema, key);
    *node_out = node;
    return MAESTRO_OK;
}

static maestro_status_t has(mst_meta_parser_t *parser, mst_meta_node_t **node_out) {
    unsigned key = 0;
    MST_TRY(mst_meta_parser_next(parser));
    MST_TRY(expect(parser, MST_META_TOKEN_OPEN, "'(' after 'has'"));
    MST_TRY(read_key(parser, &key));
    MST_TRY(expect(parser, MST_META_TOKEN_CLOSE, "')'"));
    return key_node(parser, MST_META_OP_HAS, key, node_out);
}

static maestro_status_t in(mst_meta_parser_t *parser, unsigned key, mst_meta_node_t **node_out) {
    MST_TRY(mst_meta_parser_next(parser));
    if (parser->token != MST_META_TOKEN_OPEN) return mst_meta_parse_list(parser, key, false, false, node_out);
    MST_TRY(mst_meta_parser_next(parser));
    MST_TRY(mst_meta_parse_list(parser, key, true, false, node_out));
    return expect(parser, MST_META_TOKEN_CLOSE, "',' or ')'");
}

static maestro_status_t not_in(mst_meta_parser_t *parser, unsigned key, mst_meta_node_t **node_out) {
    mst_meta_node_t *list = NULL, *present = NULL, *absent = NULL;
    MST_TRY(mst_meta_parser_next(parser));
    if (!mst_meta_parser_is(parser, "in")) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected 'in' after 'not'");
    MST_TRY(in(parser, key, &list));
    MST_TRY(unary(parser, MST_META_OP_NOT, list, &absent));
    MST_TRY(key_node(parser, MST_META_OP_HAS, key, &present));
    MST_TRY(unary(parser, MST_META_OP_AND, present, node_out));
    (*node_out)->child[1] = absent;
    return MAESTRO_OK;
}

static maestro_status_t like(mst_meta_parser_t *parser, unsigned key, mst_meta_node_t **node_out) {
    const mst_meta_attribute_t *attribute = &parser->schema->attribute[key];
    if (mst_meta_element_type(attribute->type) != MAESTRO_TYPE_STRING)
        return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "%s is of type %s; patterns are for strings", attribute->name, mst_meta_type_name(attribute->type));
    MST_TRY(mst_meta_parser_next(parser));
    if (parser->token != MST_META_TOKEN_WORD && parser->token != MST_META_TOKEN_QUOTED)
        return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected a pattern after 'like', such as \"wind*\"");
    MST_TRY(key_node(parser, MST_META_OP_LIKE, key, node_out));
    (*node_out)->texts = mst_meta_arena_alloc(parser->arena, sizeof(char *));
    if (!(*node_out)->texts) return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
    (*node_out)->texts[0] = mst_meta_arena_text(parser->arena, parser->value, parser->nbytes);
    (*node_out)->nwords = 1;
    if (!(*node_out)->texts[0]) return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
    for (char *c = (*node_out)->texts[0]; attribute->fold && *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 32);
    return mst_meta_parser_next(parser);
}

static maestro_status_t order(mst_meta_parser_t *parser, unsigned key, mst_meta_token_t sign, mst_meta_node_t **node_out) {
    const mst_meta_attribute_t *attribute = &parser->schema->attribute[key];
    maestro_type_t type = mst_meta_element_type(attribute->type);
    bool ordered = type == MAESTRO_TYPE_I64 || type == MAESTRO_TYPE_F64 || type == MAESTRO_TYPE_TIMESTAMP;
    uint64_t word;
    char *text;
    if (!ordered)
        return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "%s is of type %s, which has no order; use = or in (dates: in 20260101/to/20260131)", attribute->name,
                                    mst_meta_type_name(attribute->type));
    MST_TRY(mst_meta_parser_next(parser));
    MST_TRY(mst_meta_parse_word(parser, key, &word, &text));
    MST_TRY(key_node(parser, MST_META_OP_RANGE, key, node_out));
    mst_meta_node_t *node = *node_out;
    bool below = sign == MST_META_TOKEN_LT || sign == MST_META_TOKEN_LE;
    if (below) node->high = word, node->has_high = true, node->open_high = sign == MST_META_TOKEN_LT;
    else node->low = word, node->has_low = true, node->open_low = sign == MST_META_TOKEN_GT;
    return mst_meta_parser_next(parser);
}

static maestro_status_t differs(mst_meta_parser_t *parser, unsigned key, mst_meta_node_t **node_out) {
    mst_meta_node_t *node = NULL;
    uint64_t word;
    char *text;
    MST_TRY(mst_meta_parser_next(parser));
    MST_TRY(mst_meta_parse_word(parser, key, &word, &text));
    MST_TRY(key_node(parser, MST_META_OP_NE, key, &node));
    node->words = mst_meta_arena_alloc(parser->arena, sizeof *node->words);
    node->texts = text ? mst_meta_arena_alloc(parser->arena, sizeof *node->texts) : NULL;
    if (!node->words || (text && !node->texts)) return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
    node->words[0] = text ? mst_meta_text_word(text, strlen(text)) : word;
    if (text) node->texts[0] = text;
    node->nwords = 1;
    *node_out = node;
    return mst_meta_parser_next(parser);
}

static maestro_status_t equals(mst_meta_parser_t *parser, unsigned key, mst_meta_node_t **node_out) {
    MST_TRY(mst_meta_parser_next(parser));
    if (mst_meta_parser_is(parser, "*") || mst_meta_parser_is(parser, "all")) {
        MST_TRY(mst_meta_parser_next(parser));
        return key_node(parser, MST_META_OP_HAS, key, node_out);
    }
    return mst_meta_parse_list(parser, key, false, true, node_out);
}

static maestro_status_t comparison(mst_meta_parser_t *parser, mst_meta_node_t **node_out) {
    unsigned key = 0;
    MST_TRY(read_key(parser, &key));
    switch (parser->token) {
    case MST_META_TOKEN_EQ: return equals(parser, key, node_out);
    case MST_META_TOKEN_NE: return differs(parser, key, node_out);
    case MST_META_TOKEN_LT:
    case MST_META_TOKEN_LE:
    case MST_META_TOKEN_GT:
    case MST_META_TOKEN_GE: return order(parser, key, parser->token, node_out);
    default: break;
    }
    if (mst_meta_parser_is(parser, "in")) return in(parser, key, node_out);
    if (mst_meta_parser_is(parser, "not")) return not_in(parser, key, node_out);
    if (mst_meta_parser_is(parser, "like")) return like(parser, key, node_out);
    return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected =, !=, <, <=, >, >=, in, not in or like after '%s'", parser->schema->attribute[key].name);
}

static maestro_status_t factor_inside(mst_meta_parser_t *parser, mst_meta_node_t **node_out) {
    mst_meta_node_t *child = NULL;
    if (mst_meta_parser_is(parser, "not")) {
        parser->logical = true;
        MST_TRY(mst_meta_parser_next(parser));
        if (parser->depth >= DEPTH_MAX) return too_long(parser);
        parser->depth++;
        MST_TRY(factor_inside(parser, &child));
        parser->depth--;
        return unary(parser, MST_META_OP_NOT, child, node_out);
    }
    if (parser->token == MST_META_TOKEN_OPEN) {
        parser->logical = true;
        MST_TRY(mst_meta_parser_next(parser));
        MST_TRY(expression(parser, node_out));
        return expect(parser, MST_META_TOKEN_CLOSE, "'and', 'or' or ')'");
    }
    if (mst_meta_parser_is(parser, "has") && mst_meta_schema_key(parser->schema, "has", 3) < 0) return has(parser, node_out);
    return comparison(parser, node_out);
}

/* Whether the token joins another part by `op`; commas do so in requests. */
static bool joins(mst_meta_parser_t *parser, mst_meta_op_t op) {
    bool word = mst_meta_parser_is(parser, op == MST_META_OP_OR ? "or" : "and");
    bool comma = op == MST_META_OP_AND && parser->token == MST_META_TOKEN_COMMA && parser->depth == 1;
    if (comma && !parser->comma) parser->comma = parser->start + 1;
    parser->logical |= word;
    return word || comma;
}

static maestro_status_t chain(mst_meta_parser_t *parser, mst_meta_op_t op, mst_meta_node_t **node_out) {
    mst_meta_node_t **end = node_out; /* where the last part hangs */
    MST_TRY(op == MST_META_OP_OR ? chain(parser, MST_META_OP_AND, end) : factor_inside(parser, end));
    while (joins(parser, op)) {
        mst_meta_node_t *node = NULL;
        MST_TRY(mst_meta_parser_next(parser));
        MST_TRY(unary(parser, op, *end, &node));
        MST_TRY(op == MST_META_OP_OR ? chain(parser, MST_META_OP_AND, &node->child[1]) : factor_inside(parser, &node->child[1]));
        *end = node;
        end = &node->child[1];
    }
    return MAESTRO_OK;
}

static maestro_status_t expression(mst_meta_parser_t *parser, mst_meta_node_t **node_out) {
    if (parser->depth >= DEPTH_MAX) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "parentheses are nested deeper than %d", DEPTH_MAX);
    parser->depth++;
    maestro_status_t status = chain(parser, MST_META_OP_OR, node_out);
    parser->depth--;
    return status;
}

static maestro_status_t parse(mst_meta_parser_t *parser, mst_meta_node_t **root_out) {
    MST_TRY(mst_meta_parser_next(parser));
    if (parser->token == MST_META_TOKEN_END) return unary(parser, MST_META_OP_TRUE, NULL, root_out);
    MST_TRY(expression(parser, root_out));
    if (parser->comma && parser->logical)
        return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->comma - 1, "a comma joins the pairs of a request (key=value,key=value); write 'and' here");
    if (parser->token == MST_META_TOKEN_END) return MAESTRO_OK;
    return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected 'and', 'or' or the end");
}

static void collect_keys(const mst_meta_node_t *node, uint64_t *keys) {
    for (; node->op == MST_META_OP_AND || node->op == MST_META_OP_OR; node = node->child[1]) collect_keys(node->child[0], keys);
    if (node->op == MST_META_OP_NOT) collect_keys(node->child[0], keys);
    else if (node->op != MST_META_OP_TRUE) keys[node->key >> 6] |= 1ull << (node->key & 63);
}

static bool core_only(const mst_meta_node_t *node) {
    for (; node->op == MST_META_OP_AND || node->op == MST_META_OP_OR; node = node->child[1])
        if (!core_only(node->child[0])) return false;
    if (node->op == MST_META_OP_NOT) return core_only(node->child[0]);
    return node->op == MST_META_OP_TRUE || node->key < MST_META_CORE_KEYS;
}

maestro_status_t mst_meta_selector_parse(const mst_meta_schema_t *schema, const char *text, mst_meta_selector_t **selector_out) {
    if (!text) text = "";
    size_t nbytes = strlen(text);
    if (nbytes > TEXT_MAX) return mst_base_fail(MAESTRO_BAD_SELECTOR, "selector: %zu bytes are more than %d; split it into several subscriptions", nbytes, TEXT_MAX);
    mst_meta_selector_t *selector = calloc(1, sizeof *selector);
    mst_meta_arena_t *arena = mst_meta_arena_create();
    if (!selector || !arena || !(selector->source = mst_meta_arena_text(arena, text, nbytes))) {
        mst_meta_arena_destroy(arena);
        free(selector);
        return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
    }
    selector->schema = schema;
    selector->arena = arena;
    mst_meta_parser_t parser = {.schema = schema, .arena = arena, .text = selector->source};
    maestro_status_t status = parse(&parser, &selector->root);
    if (status != MAESTRO_OK) {
        mst_meta_selector_destroy(selector);
        return status;
    }
    selector->core_only = core_only(selector->root);
    collect_keys(selector->root, selector->keys);
    *selector_out = selector;
    return MAESTRO_OK;
}

void mst_meta_selector_destroy(mst_meta_selector_t *selector) {
    if (!selector) return;
    mst_meta_arena_destroy(selector->arena);
    free(selector);
}
