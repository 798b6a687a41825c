/* Index lists as spans: consecutive indices in consecutive places, sorted by index.  An orange partition is a few spans, a list of points one each. */
#include "array/layout.h"

typedef struct places { /* those that are owned, or those that are ghost cells */
    const int64_t *indices;
    const bool *is_ghost;
    bool ghosts;
    int64_t count;
} places_t;

static int by_first(const void *a, const void *b) {
    const mst_array_span_t *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

static bool is_one(const places_t *places, int64_t i) {
    bool is_ghost = places->is_ghost && places->is_ghost[i];
    return places->indices[i] >= 0 && is_ghost == places->ghosts;
}

/* The next span from place i on; false: none. */
static bool next_span(const places_t *places, int64_t i, mst_array_span_t *span) {
    while (i < places->count && !is_one(places, i)) i++;
    if (i == places->count) return false;
    int64_t end = i + 1;
    while (end < places->count && is_one(places, end) && places->indices[end] == places->indices[end - 1] + 1) end++;
    *span = (mst_array_span_t){.first = places->indices[i], .length = end - i, .position = i};
    return true;
}

static int64_t fill(const places_t *places, mst_array_span_t *span) {
    int64_t nspans = 0, at = 0;
    for (mst_array_span_t next; next_span(places, at, &next); at = next.position + next.length) {
        if (span) span[nspans] = next;
        nspans++;
    }
    return nspans;
}

static maestro_status_t check_twice(const mst_array_span_t *span, int64_t nspans) {
    for (int64_t i = 1; i < nspans; i++)
        if (span[i - 1].first + span[i - 1].length > span[i].first)
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of indices: index %lld comes twice; only ghost cells may", (long long)span[i].first);
    return MAESTRO_OK;
}

/* ---- Ghost cells may come several times: spans that overlap become spans of one element, so that ends ascend as beginnings do. */
static int64_t overlap_end(const mst_array_span_t *span, int64_t nspans, int64_t i) {
    int64_t end = span[i].first + span[i].length;
    for (i++; i < nspans && span[i].first < end; i++)
        if (span[i].first + span[i].length > end) end = span[i].first + span[i].length;
    return i;
}

static int64_t divide(const mst_array_span_t *span, int64_t nspans, mst_array_span_t *divided) {
    int64_t made = 0;
    for (int64_t i = 0, end; i < nspans; i = end) {
        int64_t begin = made;
        end = overlap_end(span, nspans, i);
        for (int64_t s = i; s < end; s++) {
            int64_t length = end == i + 1 ? span[s].length : 1;
            for (int64_t k = 0; k < span[s].length; k += length, made++)
                if (divided) divided[made] = (mst_array_span_t){.first = span[s].first + k, .length = length, .position = span[s].position + k};
        }
        if (divided) qsort(divided + begin, (size_t)(made - begin), sizeof *divided, by_first);
    }
    return made;
}

static maestro_status_t divide_overlaps(mst_array_span_t **span, int64_t *nspans) {
    int64_t ndivided = divide(*span, *nspans, NULL);
    if (ndivided == *nspans) return MAESTRO_OK;
    mst_array_span_t *divided = malloc((size_t)ndivided * sizeof *divided);
    if (!divided) return mst_base_fail_errno("layout of indices: %lld ghost cells that come several times", (long long)ndivided);
    divide(*span, *nspans, divided);
    free(*span);
    *span = divided;
    *nspans = ndivided;
    return MAESTRO_OK;
}

maestro_status_t mst_array_spans_make(const int64_t *indices, const bool *is_ghost, bool ghosts, int64_t count, mst_array_span_t **span_out,
                                      int64_t *nspans_out, int64_t *nplaces_out) {
    const places_t places = {indices, is_ghost, ghosts, count};
    int64_t nspans = fill(&places, NULL);
    mst_array_span_t *span = malloc((size_t)(nspans + 1) * sizeof *span);
    if (!span) return mst_base_fail_errno("layout of indices: %lld spans", (long long)nspans);
    fill(&places, span);
    *nplaces_out = 0;
    for (int64_t i = 0; i < nspans; i++) *nplaces_out += span[i].length;
    qsort(span, (size_t)nspans, sizeof *span, by_first);
    maestro_status_t status = ghosts ? divide_overlaps(&span, &nspans) : check_twice(span, nspans);
    if (status != MAESTRO_OK) {
        free(span);
        return status;
    }
    *span_out = span;
    *nspans_out = nspans;
    return MAESTRO_OK;
}

int64_t mst_array_spans_position(const mst_array_span_t *span, int64_t nspans, int64_t index) {
    int64_t low = 0, high = nspans; /* the last span that begins at or before the index lies below high */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (span[middle].first <= index) low = middle + 1;
        else high = middle;
    }
    if (!low || index >= span[low - 1].first + span[low - 1].length) return -1;
    return span[low - 1].position + index - span[low - 1].first;
}
