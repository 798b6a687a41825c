/* Tokens of selectors, and errors that point at the character. */
#include "meta/selector_parse.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum { SHOWN = 60 };

/* Errors show part of the text and never cut a character of several bytes. */
static bool begins_character(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

maestro_status_t mst_meta_parser_fail(const mst_meta_parser_t *parser, maestro_status_t status, size_t where, const char *format, ...) {
    char what[768], shown[SHOWN + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    const char *text = parser->text;
    size_t length = strlen(text), from = where > SHOWN / 2 && length > SHOWN ? where - SHOWN / 2 : 0;
    while (from < where && !begins_character(text[from])) from++;
    size_t n = length - from < SHOWN ? length - from : SHOWN;
    while (n && !begins_character(text[from + n])) n--;
    for (size_t i = 0; i < n; i++) shown[i] = (unsigned char)text[from + i] < ' ' || text[from + i] == 0x7f ? ' ' : text[from + i];
    shown[n] = '\0';
    size_t number = 1, column = 1; /* characters before `where`: in all, and shown */
    for (size_t i = 0; i < where; i++) number += begins_character(text[i]);
    for (size_t i = from; i < where; i++) column += begins_character(text[i]);
    return mst_base_fail(status, "selector, character %zu: %s\n    %s\n    %*s", number, what, shown, (int)column, "^");
}

static bool is_word(unsigned char c) { return isalnum(c) || c >= 0x80 || (c && strchr("_.-+:*?[]!%@#~$", c)); }

static maestro_status_t scan_quoted(mst_meta_parser_t *parser, char quote) {
    size_t at = parser->start + 1, length = strlen(parser->text + at);
    char *value = mst_meta_arena_alloc(parser->arena, length + 1);
    if (!value) return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
    size_t n = 0;
    for (; parser->text[at] && parser->text[at] != quote; at++) {
        if (parser->text[at] == '\\' && parser->text[at + 1]) at++;
        value[n++] = parser->text[at];
    }
    if (!parser->text[at]) return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "the quote is not closed; expected another %c", quote);
    parser->token = MST_META_TOKEN_QUOTED;
    parser->value = value;
    parser->nbytes = n;
    parser->at = at + 1;
    return MAESTRO_OK;
}

static maestro_status_t scan_sign(mst_meta_parser_t *parser) {
    static const struct { const char *sign; mst_meta_token_t token; } signs[] = {
        {"==", MST_META_TOKEN_EQ}, {"!=", MST_META_TOKEN_NE}, {"<>", MST_META_TOKEN_NE}, {"<=", MST_META_TOKEN_LE}, {">=", MST_META_TOKEN_GE},
        {"=", MST_META_TOKEN_EQ}, {"<", MST_META_TOKEN_LT}, {">", MST_META_TOKEN_GT}, {"(", MST_META_TOKEN_OPEN}, {")", MST_META_TOKEN_CLOSE},
        {",", MST_META_TOKEN_COMMA}, {"/", MST_META_TOKEN_SLASH}};
    const char *here = parser->text + parser->start;
    for (size_t i = 0; i < MST_COUNT(signs); i++) {
        size_t nbytes = strlen(signs[i].sign);
        if (strncmp(here, signs[i].sign, nbytes) != 0) continue;
        parser->token = signs[i].token;
        parser->nbytes = nbytes;
        parser->at = parser->start + nbytes;
        return MAESTRO_OK;
    }
    if (strncmp(here, "&&", 2) == 0 || *here == '&') return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "write 'and' instead of '&'");
    if (strncmp(here, "||", 2) == 0 || *here == '|') return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "write 'or' instead of '|'");
    return mst_meta_parser_fail(parser, MAESTRO_BAD_SELECTOR, parser->start, "this character has no meaning here; put texts that are no plain word into quotes");
}

maestro_status_t mst_meta_parser_next(mst_meta_parser_t *parser) {
    const char *text = parser->text;
    while (isspace((unsigned char)text[parser->at])) parser->at++;
    parser->start = parser->at;
    parser->value = "";
    parser->nbytes = 0;
    unsigned char c = (unsigned char)text[parser->at];
    if (!c) {
        parser->token = MST_META_TOKEN_END;
        return MAESTRO_OK;
    }
    if (c == '"' || c == '\'') return scan_quoted(parser, (char)c);
    if (c == '!' && text[parser->at + 1] == '=') return scan_sign(parser);
    if (!is_word(c)) return scan_sign(parser);
    size_t end = parser->at;
    while (is_word((unsigned char)text[end]) && !(text[end] == '!' && text[end + 1] == '=')) end++;
    parser->token = MST_META_TOKEN_WORD;
    parser->nbytes = end - parser->at;
    parser->value = mst_meta_arena_text(parser->arena, text + parser->at, parser->nbytes);
    parser->at = end;
    return parser->value ? MAESTRO_OK : mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
}

bool mst_meta_parser_is(const mst_meta_parser_t *parser, const char *keyword) {
    return parser->token == MST_META_TOKEN_WORD && strcasecmp(parser->value, keyword) == 0;
}
