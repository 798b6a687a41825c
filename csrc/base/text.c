/* Spelling help for error messages, and a growable buffer with JSON strings. */
#include "base/base.h"

#include <ctype.h>
#include <stdio.h>

enum { LONGEST_WORD = 63 };

/* Optimal string alignment distance (Damerau-Levenshtein without repeated edits), case ignored. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb) {
    unsigned rows[3][LONGEST_WORD + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= nb; j++) last[j] = (unsigned)j;
    memcpy(before, last, sizeof rows[0]);
    for (size_t i = 1; i <= na; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            unsigned best = last[j - 1] + (ca != cb);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) && cb == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        unsigned *spare = before;
        before = last; last = now; now = spare;
    }
    return last[nb];
}

/* How many leading characters two words share. */
static size_t common_start(const char *a, size_t na, const char *b) {
    size_t n = 0;
    while (n < na && b[n] && tolower((unsigned char)a[n]) == tolower((unsigned char)b[n])) n++;
    return n;
}

const char *mst_base_nearest(const char *word, size_t word_nbytes, const char *const *candidates, size_t ncandidates) {
    const char *nearest = NULL, *begins_alike = NULL;
    size_t longest_start = 2;
    unsigned best = word_nbytes <= 2 ? 3 : word_nbytes == 3 ? 5 : 2 * (unsigned)(word_nbytes / 3 + 2) - 1; /* in half edits: a different first letter costs one */
    if (word_nbytes > LONGEST_WORD) return NULL;
    for (size_t i = 0; i < ncandidates; i++) {
        size_t nbytes = strlen(candidates[i]), start = common_start(word, word_nbytes, candidates[i]);
        if (nbytes > LONGEST_WORD) continue;
        unsigned edits = 2 * distance(word, word_nbytes, candidates[i], nbytes) + (start == 0);
        if (edits < best) { best = edits; nearest = candidates[i]; }
        if (start > longest_start) { longest_start = start; begins_alike = candidates[i]; }
    }
    return nearest ? nearest : begins_alike;
}

static bool reserve(mst_base_buffer_t *buffer, size_t extra) {
    if (buffer->failed) return false;
    buffer->failed = !MST_RESERVE(buffer->data, buffer->capacity, buffer->nbytes + extra + 1, 256);
    return !buffer->failed;
}

void mst_base_buffer_append(mst_base_buffer_t *buffer, const void *bytes, size_t nbytes) {
    if (!reserve(buffer, nbytes)) return;
    if (nbytes) memcpy(buffer->data + buffer->nbytes, bytes, nbytes);
    buffer->nbytes += nbytes;
    buffer->data[buffer->nbytes] = '\0';
}

void mst_base_buffer_printf(mst_base_buffer_t *buffer, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int nbytes = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (nbytes >= 0 && reserve(buffer, (size_t)nbytes)) {
        vsnprintf(buffer->data + buffer->nbytes, (size_t)nbytes + 1, format, again);
        buffer->nbytes += (size_t)nbytes;
    }
    va_end(again);
}

void mst_base_buffer_json_string(mst_base_buffer_t *buffer, const char *text, size_t nbytes) {
    mst_base_buffer_append(buffer, "\"", 1);
    for (size_t i = 0; i < nbytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') mst_base_buffer_printf(buffer, "\\%c", c);
        else if (c < 0x20 || c == 0x7f) mst_base_buffer_printf(buffer, "\\u%04x", c);
        else mst_base_buffer_append(buffer, &text[i], 1);
    }
    mst_base_buffer_append(buffer, "\"", 1);
}

void mst_base_buffer_fini(mst_base_buffer_t *buffer) {
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}
