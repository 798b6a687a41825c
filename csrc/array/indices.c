/* Index lists as spans: consecutive indices in consecutive places, sorted by index.  An orange partition is a few spans, a list of points one each. */
#include "array/layout.h"

static int by_first(const void *a, const void *b) {
    const mst_array_span_t *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Where the next span begins after the one that begins at i. */
static int64_t span_end(const int64_t *indices, int64_t count, int64_t i) {
    int64_t end = i + 1;
    while (end < count && indices[end] == indices[end - 1] + 1) end++;
    return end;
}

static maestro_status_t check_range(const int64_t *indices, int64_t count, int64_t limit) {
    for (int64_t i = 0; i < count; i++)
        if (indices[i] < 0 || indices[i] >= limit)
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of indices: index %lld at place %lld; the array's are 0 to %lld", (long long)indices[i],
                                 (long long)i, (long long)limit - 1);
    return MAESTRO_OK;
}

static maestro_status_t check_twice(const mst_array_span_t *span, int64_t nspans) {
    for (int64_t i = 1; i < nspans; i++)
        if (span[i - 1].first + span[i - 1].length > span[i].first)
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "layout of indices: index %lld comes twice", (long long)span[i].first);
    return MAESTRO_OK;
}

maestro_status_t mst_array_spans_make(const int64_t *indices, int64_t count, int64_t limit, mst_array_span_t **span_out, int64_t *nspans_out) {
    MST_TRY(check_range(indices, count, limit));
    int64_t nspans = 0, made = 0;
    for (int64_t i = 0; i < count; i = span_end(indices, count, i)) nspans++;
    mst_array_span_t *span = malloc((size_t)(nspans ? nspans : 1) * sizeof *span);
    if (!span) return mst_base_fail_errno("layout of indices: %lld spans", (long long)nspans);
    for (int64_t i = 0, end; i < count; i = end) {
        end = span_end(indices, count, i);
        span[made++] = (mst_array_span_t){.first = indices[i], .length = end - i, .position = i};
    }
    qsort(span, (size_t)nspans, sizeof *span, by_first);
    maestro_status_t status = check_twice(span, nspans);
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
