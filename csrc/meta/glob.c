/* Glob patterns in linear time and constant space: * ? [abc] [a-z] [!abc].  On a mismatch only the last star is tried again, one character
 * further, which is enough (a star that matched earlier never needs to grow). */
#include "meta/selector.h"

/* Matches one character against a class that starts after '['; *end_out is behind its ']'. A class without end matches '[' itself. */
static bool in_class(const char *pattern, unsigned char c, const char **end_out) {
    const char *p = pattern;
    bool negated = *p == '!' || *p == '^', found = false;
    if (negated) p++;
    for (bool first = true; *p && (*p != ']' || first); first = false) {
        unsigned char low = (unsigned char)*p++, high = low;
        if (p[0] == '-' && p[1] && p[1] != ']') {
            high = (unsigned char)p[1];
            p += 2;
        }
        found |= low <= c && c <= high;
    }
    if (*p != ']') {
        *end_out = pattern;
        return c == '[';
    }
    *end_out = p + 1;
    return found != negated;
}

static bool match_one(const char *pattern, unsigned char c, const char **next_out) {
    *next_out = pattern + 1;
    if (*pattern == '?') return true;
    if (*pattern == '[') return in_class(pattern + 1, c, next_out);
    return (unsigned char)*pattern == c;
}

bool mst_meta_glob(const char *pattern, const char *text, size_t nbytes) {
    const char *end = text + nbytes, *star = NULL, *retry = text, *next;
    while (text < end) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (*pattern && match_one(pattern, (unsigned char)*text, &next)) {
            pattern = next;
            text++;
        } else if (star) {
            pattern = star;
            text = ++retry;
        } else return false;
    }
    while (*pattern == '*') pattern++;
    return *pattern == '\0';
}
