/* Globs against a matcher that tries everything: both must agree.  Input: pattern, a zero, text. */
#include "fuzz.h"

#include "meta/selector.h"

enum { LONGEST = 14 }; /* the naive matcher is exponential in the stars */

/* Whether a class that starts after '[' has the character; -1 when the class has no end, and '[' stands for itself. */
static int naive_class(const char *pattern, unsigned char c, size_t *length_out) {
    const char *p = pattern;
    bool negated = *p == '!' || *p == '^', found = false;
    if (negated) p++;
    const char *first = p;
    for (; *p && (*p != ']' || p == first); p++) {
        unsigned char low = (unsigned char)*p;
        if (p[1] == '-' && p[2] && p[2] != ']') {
            found |= low <= c && c <= (unsigned char)p[2];
            p += 2;
        } else found |= low == c;
    }
    if (!*p) return -1;
    *length_out = (size_t)(p - pattern) + 1;
    return found != negated;
}

static bool naive(const char *pattern, const char *text, size_t nbytes) {
    if (!*pattern) return nbytes == 0;
    if (*pattern == '*') return naive(pattern + 1, text, nbytes) || (nbytes && naive(pattern, text + 1, nbytes - 1));
    if (!nbytes) return false;
    size_t length = 0;
    int in_class = *pattern == '[' ? naive_class(pattern + 1, (unsigned char)*text, &length) : -1;
    if (in_class >= 0) return in_class && naive(pattern + 1 + length, text + 1, nbytes - 1);
    return (*pattern == '?' || *pattern == *text) && naive(pattern + 1, text + 1, nbytes - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes) {
    char pattern[LONGEST + 1] = "", text[LONGEST];
    const uint8_t *zero = nbytes ? memchr(bytes, 0, nbytes) : NULL;
    size_t pattern_nbytes = zero ? (size_t)(zero - bytes) : nbytes, text_nbytes = zero ? nbytes - pattern_nbytes - 1 : 0;
    if (pattern_nbytes > LONGEST) pattern_nbytes = LONGEST;
    if (text_nbytes > LONGEST) text_nbytes = LONGEST;
    if (pattern_nbytes) memcpy(pattern, bytes, pattern_nbytes);
    if (text_nbytes) memcpy(text, zero + 1, text_nbytes);
    MUST(mst_meta_glob(pattern, text, text_nbytes) == naive(pattern, text, text_nbytes));
    return 0;
}
