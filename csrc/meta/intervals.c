/* Intervals around a value; see intervals.h. */
#include "meta/intervals.h"

enum { UNSORTED_MAX = 16, WORTH_A_MEMO = 4 };

bool mst_meta_intervals_add(mst_meta_intervals_t *set, uint64_t first, uint64_t last, void *thing) {
    uint32_t items = set->capacity, reaches = set->capacity;
    if (!MST_RESERVE(set->item, items, set->count + 1, 4) || !MST_RESERVE(set->reach, reaches, set->count + 1, 4)) return false;
    set->capacity = items;
    set->version++;
    set->item[set->count++] = (mst_meta_interval_t){first, last, thing};
    return true;
}

static int by_first(const void *a, const void *b) {
    uint64_t x = ((const mst_meta_interval_t *)a)->first, y = ((const mst_meta_interval_t *)b)->first;
    return (x > y) - (x < y);
}

static uint64_t spread(mst_meta_intervals_t *set, uint32_t low, uint32_t high) {
    if (low >= high) return 0;
    uint32_t middle = low + (high - low) / 2;
    uint64_t left = spread(set, low, middle), right = spread(set, middle + 1, high), reach = set->item[middle].last;
    if (left > reach) reach = left;
    if (right > reach) reach = right;
    return set->reach[middle] = reach;
}

static void sort(mst_meta_intervals_t *set) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->count; i++)
        if (set->item[i].thing) set->item[kept++] = set->item[i];
    set->count = set->nsorted = kept;
    set->nremoved = 0;
    if (kept) qsort(set->item, kept, sizeof *set->item, by_first);
    spread(set, 0, kept);
}

void mst_meta_intervals_remove(mst_meta_intervals_t *set, uint64_t first, uint64_t last, const void *thing) {
    for (uint32_t i = 0; i < set->count; i++) {
        mst_meta_interval_t *item = &set->item[i];
        if (item->thing != thing || item->first != first || item->last != last) continue;
        set->version++;
        item->thing = NULL;
        if (++set->nremoved > set->count / 2) sort(set);
        return;
    }
}

typedef struct stab {
    const mst_meta_intervals_t *set;
    uint64_t value;
    mst_meta_interval_fn found;
    void *context;
    mst_meta_memo_t *memo; /* to be written, or NULL */
} stab_t;

static void visit(const stab_t *stab, const mst_meta_interval_t *item) {
    if (item->first > stab->value || stab->value > item->last || !item->thing) return;
    if (stab->memo && stab->memo->count < MST_META_MEMO_THINGS) stab->memo->thing[stab->memo->count] = item->thing;
    if (stab->memo) stab->memo->count++;
    stab->found(stab->context, item->thing);
}

static void descend(const stab_t *stab, uint32_t low, uint32_t high) {
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (stab->set->reach[middle] < stab->value) return;
        if (stab->set->item[middle].first > stab->value) {
            high = middle;
            continue;
        }
        descend(stab, low, middle);
        visit(stab, &stab->set->item[middle]);
        low = middle + 1;
    }
}

/* The memo of a value, to be read or written; NULL: not worth one. */
static mst_meta_memo_t *memo_of(mst_meta_intervals_t *set, uint64_t value) {
    if (set->count <= WORTH_A_MEMO) return NULL;
    if (!set->memo && !(set->memo = calloc(MST_META_MEMOS, sizeof *set->memo))) return NULL;
    return &set->memo[value * 0x9e3779b97f4a7c15ull >> 57]; /* 7 bits: MST_META_MEMOS */
}

void mst_meta_intervals_stab(mst_meta_intervals_t *set, uint64_t value, mst_meta_interval_fn found, void *context) {
    mst_meta_memo_t *memo = memo_of(set, value);
    if (memo && memo->version == set->version && memo->value == value && memo->count <= MST_META_MEMO_THINGS) {
        for (uint64_t i = 0; i < memo->count; i++) found(context, memo->thing[i]);
        return;
    }
    if (set->count - set->nsorted > UNSORTED_MAX + set->nsorted / 8) sort(set);
    if (memo) *memo = (mst_meta_memo_t){.value = value, .version = set->version};
    stab_t stab = {set, value, found, context, memo};
    for (uint32_t i = set->nsorted; i < set->count; i++) visit(&stab, &set->item[i]);
    descend(&stab, 0, set->nsorted);
}

void mst_meta_intervals_fini(mst_meta_intervals_t *set) {
    free(set->item);
    free(set->reach);
    free(set->memo);
    *set = (mst_meta_intervals_t){0};
}
