/* Values in selectors: one value by its attribute's type, and lists with ranges (0/to/24/by/6). */
#include "meta/schema_reader.h"
#include "meta/selector_parse.h"
#include "meta/text.h"
#include "meta/words.h"

#include <math.h>
#include <stdio.h>
#include <strings.h>

enum { LIST_MAX = 65536, CALENDAR_BY_MAX = 100000 };

/* ---- One value. */

maestro_status_t mst_meta_parse_word(mst_meta_parser_t *parser, unsigned key, uint64_t *word_out, char **text_out) {
    const mst_meta_attribute_t *attribute = &parser->schema->attribute[key];
    char canonical[MST_META_TEXT_MAX + 1];
    size_t nbytes = parser->nbytes;
    int64_t integer = 0;
    double real = 0;
    maestro_status_t status = MAESTRO_OK;
    *text_out = NULL;
    *word_out = 0;
    if (parser->token != MST_META_TOKEN_WORD && parser->token != MST_META_TOKEN_QUOTED)
        return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected a value for %s (type %s)", attribute->name, mst_meta_type_name(attribute->type));
    switch (mst_meta_element_type(attribute->type)) {
    case MAESTRO_TYPE_STRING:
        status = mst_meta_schema_canonical(attribute, parser->value, nbytes, canonical, &nbytes);
        if (status == MAESTRO_OK && !(*text_out = mst_meta_arena_text(parser->arena, canonical, nbytes))) return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
        break;
    case MAESTRO_TYPE_I64:
        status = mst_meta_schema_text_i64(attribute, parser->value, nbytes, &integer);
        *word_out = (uint64_t)integer;
        break;
    case MAESTRO_TYPE_F64:
        status = mst_meta_schema_text_f64(attribute, parser->value, nbytes, &real);
        *word_out = mst_meta_f64_word(real);
        break;
    case MAESTRO_TYPE_TIMESTAMP:
        status = mst_meta_schema_text_timestamp(attribute, parser->value, nbytes, &integer);
        *word_out = (uint64_t)integer;
        break;
    case MAESTRO_TYPE_BOOL:
        *word_out = strcasecmp(parser->value, "true") == 0;
        if (!*word_out && strcasecmp(parser->value, "false") != 0) status = mst_base_fail(MAESTRO_BAD_VALUE, "attribute %s is true or false, not '%.40s'", attribute->name, parser->value);
        break;
    default:
        return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "%s is a blob; only has(%s) can be asked of it", attribute->name, attribute->name);
    }
    if (status == MAESTRO_OK) return MAESTRO_OK;
    char why[512];
    snprintf(why, sizeof why, "%s", maestro_last_error());
    return mst_meta_parser_fail(parser, status, parser->start, "%s", why);
}

/* ---- Lists. */

static maestro_status_t append(mst_meta_parser_t *parser, mst_meta_list_t *list, uint64_t word, char *text) {
    if (list->count >= LIST_MAX) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "a list of more than %d values; use a comparison instead", LIST_MAX);
    size_t words = list->capacity, texts = list->capacity;
    if (!MST_RESERVE(list->words, words, list->count + 1, 8) || !MST_RESERVE(list->texts, texts, list->count + 1, 8)) return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
    list->capacity = words;
    list->words[list->count] = word;
    list->texts[list->count++] = text;
    return MAESTRO_OK;
}

typedef struct range {
    uint64_t from, to;
    char *from_text, *to_text;
    size_t where, by_where;
    const char *by;            /* NULL: not given */
    size_t by_nbytes;
} range_t;

static maestro_status_t bad_by(const mst_meta_parser_t *parser, const range_t *range, const char *expected) {
    return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, range->by_where, "the step '%.40s' of the range must be %s", range->by, expected);
}

/* Whole numbers and timestamps: RANGE with a step, whatever its length. */
static maestro_status_t integer_range(mst_meta_parser_t *parser, const mst_meta_attribute_t *attribute, const range_t *range, bool request, mst_meta_node_t *node) {
    bool timestamp = mst_meta_element_type(attribute->type) == MAESTRO_TYPE_TIMESTAMP;
    int64_t from = (int64_t)range->from, to = (int64_t)range->to, by = request && attribute->by >= 1 ? (int64_t)attribute->by : timestamp ? 0 : 1;
    if (range->by) {
        bool read = timestamp ? mst_meta_text_parse_duration(range->by, range->by_nbytes, 's', &by)
                              : mst_meta_schema_text_i64(attribute, range->by, range->by_nbytes, &by) == MAESTRO_OK;
        if (read && by < 0) by = by == INT64_MIN ? 0 : -by;
        if (!read || by == 0) return bad_by(parser, range, timestamp ? "a duration, such as 6h" : "a whole number, not 0");
    }
    uint64_t span = from <= to ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to;
    uint64_t reach = by ? span / (uint64_t)by * (uint64_t)by : span;
    node->op = MST_META_OP_RANGE;
    node->has_low = node->has_high = true;
    node->low = from <= to ? (uint64_t)from : (uint64_t)from - reach;
    node->high = from <= to ? (uint64_t)from + reach : (uint64_t)from;
    node->step = by == 1 && !timestamp ? 0 : by;
    return MAESTRO_OK;
}

/* The sum of tenths as one would write it: 0.3, not 0.30000000000000004. */
static double as_written(double value) {
    char text[32];
    snprintf(text, sizeof text, "%.12g", value);
    return strtod(text, NULL);
}

static maestro_status_t real_range(mst_meta_parser_t *parser, const mst_meta_attribute_t *attribute, const range_t *range, bool request, mst_meta_list_t *list) {
    double from = mst_meta_word_f64(range->from), to = mst_meta_word_f64(range->to), by = request && attribute->by > 0 ? attribute->by : 1;
    if (range->by && (!mst_meta_text_parse_f64(range->by, range->by_nbytes, &by) || by == 0)) return bad_by(parser, range, "a number, not 0");
    by = from <= to ? fabs(by) : -fabs(by);
    double steps = floor((to - from) / by + 1e-9);
    if (!(steps < LIST_MAX)) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, range->where, "a range of more than %d values; use >= and <= instead", LIST_MAX);
    for (double i = 0; i <= steps; i++) MST_TRY(append(parser, list, mst_meta_f64_word(as_written(from + i * by)), NULL));
    return MAESTRO_OK;
}

static int64_t minutes_of(const char *hhmm) { return (hhmm[0] - '0') * 600 + (hhmm[1] - '0') * 60 + (hhmm[2] - '0') * 10 + (hhmm[3] - '0'); }

/* Dates by days, times of day by hours. */
static maestro_status_t calendar_range(mst_meta_parser_t *parser, const mst_meta_attribute_t *attribute, const range_t *range, bool request, mst_meta_list_t *list) {
    bool date = mst_meta_is_date(attribute);
    int64_t from = 0, to = 0, by = request && attribute->by >= 1 ? (int64_t)attribute->by : 1;
    if (range->by && (!mst_meta_text_parse_i64(range->by, range->by_nbytes, &by) || by == 0 || by < -CALENDAR_BY_MAX || by > CALENDAR_BY_MAX))
        return bad_by(parser, range, date ? "a number of days, not 0" : "a number of hours, not 0");
    if (date) {
        mst_meta_text_parse_date(range->from_text, 8, &from);
        mst_meta_text_parse_date(range->to_text, 8, &to);
    } else {
        from = minutes_of(range->from_text);
        to = minutes_of(range->to_text);
        by *= 60;
    }
    if (by < 0) by = -by;
    if (from > to) by = -by;
    for (int64_t at = from; by > 0 ? at <= to : at >= to; at += by) {
        char text[16];
        if (date) mst_meta_text_format_date(at, text);
        else snprintf(text, sizeof text, "%02d%02d", (int)(at / 60) % 24, (int)(at % 60));
        char *copy = mst_meta_arena_text(parser->arena, text, strlen(text));
        if (!copy) return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
        MST_TRY(append(parser, list, 0, copy));
    }
    return MAESTRO_OK;
}

static maestro_status_t add_range(mst_meta_parser_t *parser, unsigned key, const range_t *range, bool request, mst_meta_list_t *list, mst_meta_node_t *node) {
    const mst_meta_attribute_t *attribute = &parser->schema->attribute[key];
    maestro_type_t type = mst_meta_element_type(attribute->type);
    if (type == MAESTRO_TYPE_F64) return real_range(parser, attribute, range, request, list);
    if (mst_meta_is_date(attribute) || mst_meta_is_time(attribute)) return calendar_range(parser, attribute, range, request, list);
    if (type != MAESTRO_TYPE_I64 && type != MAESTRO_TYPE_TIMESTAMP)
        return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, range->where, "%s is of type %s, which has no ranges; list the values", attribute->name, mst_meta_type_name(attribute->type));
    mst_meta_node_t one = {0};
    MST_TRY(integer_range(parser, attribute, range, request, &one));
    if (list->count == 0 && parser->token != MST_META_TOKEN_SLASH && parser->token != MST_META_TOKEN_COMMA) { /* the range is all there is */
        one.key = node->key;
        one.type = node->type;
        one.array = node->array;
        *node = one;
        return MAESTRO_OK;
    }
    uint64_t step = one.step > 0 ? (uint64_t)one.step : 1;
    for (uint64_t at = one.low;; at += step) {
        MST_TRY(append(parser, list, at, NULL));
        if (one.high - at < step) return MAESTRO_OK;
    }
}

static maestro_status_t read_by(mst_meta_parser_t *parser, range_t *range) {
    mst_meta_parser_t ahead = *parser;
    if (parser->token != MST_META_TOKEN_SLASH) return MAESTRO_OK;
    MST_TRY(mst_meta_parser_next(&ahead));
    if (!mst_meta_parser_is(&ahead, "by")) return MAESTRO_OK;
    *parser = ahead;
    MST_TRY(mst_meta_parser_next(parser));
    if (parser->token != MST_META_TOKEN_SLASH) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected '/' and a number after 'by'");
    MST_TRY(mst_meta_parser_next(parser));
    if (parser->token != MST_META_TOKEN_WORD) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected a number after 'by/'");
    range->by = parser->value;
    range->by_nbytes = parser->nbytes;
    range->by_where = parser->start;
    return mst_meta_parser_next(parser);
}

/* One value, or from/to/to[/by/step]. */
static maestro_status_t element(mst_meta_parser_t *parser, unsigned key, bool request, mst_meta_list_t *list, mst_meta_node_t *node) {
    range_t range = {.where = parser->start};
    MST_TRY(mst_meta_parse_word(parser, key, &range.from, &range.from_text));
    MST_TRY(mst_meta_parser_next(parser));
    mst_meta_parser_t ahead = *parser;
    if (parser->token == MST_META_TOKEN_SLASH) MST_TRY(mst_meta_parser_next(&ahead));
    if (parser->token != MST_META_TOKEN_SLASH || !mst_meta_parser_is(&ahead, "to")) return append(parser, list, range.from, range.from_text);
    *parser = ahead;
    MST_TRY(mst_meta_parser_next(parser));
    if (parser->token != MST_META_TOKEN_SLASH) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "expected '/' and the end of the range after 'to'");
    MST_TRY(mst_meta_parser_next(parser));
    MST_TRY(mst_meta_parse_word(parser, key, &range.to, &range.to_text));
    MST_TRY(mst_meta_parser_next(parser));
    MST_TRY(read_by(parser, &range));
    return add_range(parser, key, &range, request, list, node);
}

static int by_order(const void *a, const void *b, void *type) {
    uint64_t x = mst_meta_word_order(*(const uint64_t *)a, *(maestro_type_t *)type), y = mst_meta_word_order(*(const uint64_t *)b, *(maestro_type_t *)type);
    return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static maestro_status_t finish(mst_meta_parser_t *parser, mst_meta_list_t *list, mst_meta_node_t *node) {
    bool texts = node->type == MAESTRO_TYPE_STRING;
    size_t count = 0;
    if (texts) qsort(list->texts, list->count, sizeof *list->texts, by_text);
    else qsort_r(list->words, list->count, sizeof *list->words, by_order, &node->type);
    for (size_t i = 0; i < list->count; i++) {
        bool same = i && (texts ? strcmp(list->texts[i], list->texts[count - 1]) == 0 : list->words[i] == list->words[count - 1]);
        if (same) continue;
        list->texts[count] = list->texts[i];
        list->words[count++] = texts ? mst_meta_text_word(list->texts[i], strlen(list->texts[i])) : list->words[i];
    }
    node->nwords = count;
    node->words = mst_meta_arena_alloc(parser->arena, count * sizeof *node->words + 8);
    node->texts = texts ? mst_meta_arena_alloc(parser->arena, count * sizeof *node->texts + 8) : NULL;
    if (!node->words || (texts && !node->texts)) return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
    memcpy(node->words, list->words, count * sizeof *node->words);
    if (texts) memcpy(node->texts, list->texts, count * sizeof *node->texts);
    return MAESTRO_OK;
}

static maestro_status_t read_elements(mst_meta_parser_t *parser, unsigned key, bool in_parentheses, bool request, mst_meta_list_t *list, mst_meta_node_t *node) {
    for (;;) {
        MST_TRY(element(parser, key, request, list, node));
        bool more = parser->token == MST_META_TOKEN_SLASH || (in_parentheses && parser->token == MST_META_TOKEN_COMMA);
        if (more && node->op == MST_META_OP_RANGE) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "a range ends the list here");
        if (!more) return MAESTRO_OK;
        MST_TRY(mst_meta_parser_next(parser));
    }
}

maestro_status_t mst_meta_parse_list(mst_meta_parser_t *parser, unsigned key, bool in_parentheses, bool request, mst_meta_node_t **node_out) {
    mst_meta_list_t list = {0};
    mst_meta_node_t *node = mst_meta_parser_node(parser, MST_META_OP_IN);
    if (!node) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "the selector is too long");
    mst_meta_node_set_key(node, parser->schema, key);
    maestro_status_t status = read_elements(parser, key, in_parentheses, request, &list, node);
    if (status == MAESTRO_OK && node->op == MST_META_OP_IN) status = finish(parser, &list, node);
    free(list.words);
    free(list.texts);
    if (status == MAESTRO_OK) *node_out = node;
    return status;
}
