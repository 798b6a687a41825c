/* Distinct words of one attribute with their objects; see column.h.  A word costs 16 bytes of entry, about 6 of hash and, once a range was asked
 * for, 4 of order; growth by half keeps the slack small. */
#include "meta/column.h"

enum { FIRST_SLOTS = 16, FEW_EMPTY = 64 };

/* ---- Hash of words. */

static uint32_t *find_slot(const mst_meta_column_t *column, uint64_t word) {
    uint32_t at = (uint32_t)mst_base_mix(word) & (column->nslots - 1);
    while (column->slot[at] && column->entry[column->slot[at] - 1].word != word) at = (at + 1) & (column->nslots - 1);
    return &column->slot[at];
}

const mst_meta_entry_t *mst_meta_column_find(const mst_meta_column_t *column, uint64_t word) {
    uint32_t slot = column->nslots ? *find_slot(column, word) : 0;
    return slot ? &column->entry[slot - 1] : NULL;
}

static bool rehash(mst_meta_column_t *column, uint32_t nslots) {
    uint32_t *slot = calloc(nslots, sizeof *slot);
    if (!slot) return false;
    free(column->slot);
    column->slot = slot;
    column->nslots = nslots;
    for (uint32_t i = 0; i < column->nentries; i++) *find_slot(column, column->entry[i].word) = i + 1;
    return true;
}

static bool reserve_entry(mst_meta_column_t *column) {
    if (column->nentries == column->entry_capacity) {
        uint32_t larger = column->entry_capacity + column->entry_capacity / 2 + 4;
        void *entry = realloc(column->entry, larger * sizeof *column->entry);
        if (!entry) return false;
        column->entry = entry;
        column->entry_capacity = larger;
    }
    if ((uint64_t)column->nentries * 8 < (uint64_t)column->nslots * 7) return true; /* probes end: one slot in eight is free */
    return rehash(column, column->nslots ? column->nslots * 2 : FIRST_SLOTS);
}

static mst_meta_entry_t *find_or_make(mst_meta_column_t *column, uint64_t word) {
    if (!reserve_entry(column)) return NULL;
    uint32_t *slot = find_slot(column, word);
    if (!*slot) {
        column->entry[column->nentries++] = (mst_meta_entry_t){word, MST_META_NO_HANDLE, 0};
        column->nempty++;
        *slot = column->nentries;
    }
    return &column->entry[*slot - 1];
}

/* ---- Postings of words with several objects. */

static uint32_t take_many(mst_meta_column_t *column) {
    uint32_t place = column->many_free;
    if (place) {
        column->many_free = column->many[place - 1].capacity;
        column->many[place - 1].capacity = 0;
        return place;
    }
    if (column->nmany == column->many_capacity) {
        uint32_t larger = column->many_capacity + column->many_capacity / 2 + 4;
        void *many = realloc(column->many, larger * sizeof *column->many);
        if (!many) return 0;
        column->many = many;
        column->many_capacity = larger;
    }
    column->many[column->nmany++] = (mst_meta_postings_t){0};
    return column->nmany;
}

static void give_many(mst_meta_column_t *column, uint32_t place) {
    mst_meta_postings_fini(&column->many[place - 1]);
    column->many[place - 1].capacity = column->many_free;
    column->many_free = place;
}

static bool entry_add(mst_meta_column_t *column, mst_meta_entry_t *entry, uint32_t handle) {
    if (!entry->many && entry->one == MST_META_NO_HANDLE) return entry->one = handle, column->nempty--, true;
    if (!entry->many) {
        uint32_t place = take_many(column);
        if (!place) return false;
        if (!mst_meta_postings_add(&column->many[place - 1], entry->one)) return give_many(column, place), false;
        entry->many = place;
    }
    return mst_meta_postings_add(&column->many[entry->many - 1], handle);
}

bool mst_meta_column_add(mst_meta_column_t *column, uint64_t word, bool tail, uint32_t handle) {
    mst_meta_entry_t *entry = tail ? NULL : find_or_make(column, word);
    if (tail ? !mst_meta_postings_add(&column->tails, handle) : !entry || !entry_add(column, entry, handle)) return false;
    column->count++;
    return true;
}

static bool entry_remove(mst_meta_column_t *column, mst_meta_entry_t *entry, uint32_t handle) {
    if (entry->many) {
        mst_meta_postings_t *many = &column->many[entry->many - 1];
        if (!mst_meta_postings_remove(many, handle)) return false;
        if (many->count > 1) return true;
        entry->one = MST_META_NO_HANDLE;
        if (many->count) mst_meta_postings_copy(many, &entry->one);
        give_many(column, entry->many);
        entry->many = 0;
    } else if (entry->one != handle) return false;
    else entry->one = MST_META_NO_HANDLE;
    column->nempty += entry->one == MST_META_NO_HANDLE;
    return true;
}

/* Drops empty entries, and the order, which named entries by place.  Without memory for a smaller hash the larger one serves. */
static void drop_empty(mst_meta_column_t *column) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < column->nentries; i++)
        if (mst_meta_entry_count(column, &column->entry[i])) column->entry[kept++] = column->entry[i];
    column->nentries = kept;
    column->nempty = column->nordered = column->order_capacity = 0;
    free(column->order);
    column->order = NULL;
    uint32_t nslots = FIRST_SLOTS;
    while ((uint64_t)nslots * 7 <= (uint64_t)kept * 8 + 8) nslots *= 2;
    if (!rehash(column, nslots)) {
        memset(column->slot, 0, column->nslots * sizeof *column->slot);
        for (uint32_t i = 0; i < kept; i++) *find_slot(column, column->entry[i].word) = i + 1;
    }
    void *entry = realloc(column->entry, (kept + 4) * sizeof *column->entry);
    if (!entry) return;
    column->entry = entry;
    column->entry_capacity = kept + 4;
}

void mst_meta_column_remove(mst_meta_column_t *column, uint64_t word, bool tail, uint32_t handle) {
    mst_meta_entry_t *entry = tail ? NULL : (mst_meta_entry_t *)mst_meta_column_find(column, word);
    bool was_there = tail ? mst_meta_postings_remove(&column->tails, handle) : entry && entry_remove(column, entry, handle);
    column->count -= was_there;
    if (column->nempty > FEW_EMPTY && column->nempty > column->nentries / 2) drop_empty(column);
}

/* ---- Order of values. */

static int by_value(const void *a, const void *b, void *context) {
    const mst_meta_column_t *column = context;
    uint64_t x = mst_meta_word_order(column->entry[*(const uint32_t *)a].word, column->order_type);
    uint64_t y = mst_meta_word_order(column->entry[*(const uint32_t *)b].word, column->order_type);
    return (x > y) - (x < y);
}

/* Merges the sorted runs order[0, first) and order[first, count), using a copy of the second, from the back. */
static void merge(mst_meta_column_t *column, uint32_t first, uint32_t count, const uint32_t *copy) {
    uint32_t low = first, high = count - first, to = count;
    while (high) {
        bool take_low = low && by_value(&column->order[low - 1], &copy[high - 1], column) > 0;
        column->order[--to] = take_low ? column->order[--low] : copy[--high];
    }
}

bool mst_meta_column_sort(mst_meta_column_t *column, maestro_type_t type) {
    column->order_type = type;
    uint32_t first = column->nordered, count = column->nentries;
    if (first == count) return true;
    if (column->order_capacity < count) {
        void *order = realloc(column->order, column->entry_capacity * sizeof *column->order);
        if (!order) return false;
        column->order = order;
        column->order_capacity = column->entry_capacity;
    }
    uint32_t *copy = malloc((count - first) * sizeof *copy);
    if (!copy) return false;
    for (uint32_t i = first; i < count; i++) copy[i - first] = i;
    qsort_r(copy, count - first, sizeof *copy, by_value, column);
    merge(column, first, count, copy);
    free(copy);
    column->nordered = count;
    return true;
}

size_t mst_meta_column_nbytes(const mst_meta_column_t *column) {
    size_t nbytes = column->entry_capacity * sizeof *column->entry + ((size_t)column->nslots + column->order_capacity) * 4;
    nbytes += column->many_capacity * sizeof *column->many + mst_meta_postings_nbytes(&column->tails);
    for (uint32_t i = 0; i < column->nentries; i++)
        if (column->entry[i].many) nbytes += mst_meta_postings_nbytes(&column->many[column->entry[i].many - 1]);
    return nbytes;
}

void mst_meta_column_fini(mst_meta_column_t *column) {
    for (uint32_t i = 0; i < column->nentries; i++)
        if (column->entry[i].many) mst_meta_postings_fini(&column->many[column->entry[i].many - 1]);
    mst_meta_postings_fini(&column->tails);
    free(column->entry);
    free(column->slot);
    free(column->order);
    free(column->many);
    *column = (mst_meta_column_t){0};
}
