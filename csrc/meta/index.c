/* The index of live objects: which way a query takes through the columns, and the verification of what it finds.  Columns are kept per schema
 * number; core attributes are columns of schema 0 whatever the object's schema is.  A selector of core attributes alone finds objects of every
 * schema, another one those of its own schema.
 * Invariant: the way taken visits every object that matches; more than those only cost time. */
#include "meta/index.h"

#include "meta/column.h"

typedef struct index_row {
    uint64_t strings[2], blobs[2], arrays[2];     /* keys of these types, as far as known */
    mst_meta_column_t *column[MST_META_KEYS_MAX]; /* NULL: no object had this attribute */
} index_row_t;

/* Strings of the core schema. */
static const uint64_t core_strings = 1ull << MST_META_KEY_NAME | 1ull << MST_META_KEY_DTYPE | 1ull << MST_META_KEY_SHAPE | 1ull << MST_META_KEY_ORDER |
                                     1ull << MST_META_KEY_COMPONENT | 1ull << MST_META_KEY_REASON;

struct mst_meta_index {
    mst_meta_lookup_fn lookup;
    void *context;
    const mst_meta_dictionary_t *dictionary;
    index_row_t **row; /* by schema number */
    size_t nrows;
};

maestro_status_t mst_meta_index_create(mst_meta_lookup_fn lookup, void *context, const mst_meta_dictionary_t *dictionary, mst_meta_index_t **index_out) {
    mst_meta_index_t *index = calloc(1, sizeof *index);
    if (!index) return mst_base_fail(MAESTRO_NO_MEMORY, "create index: no memory");
    index->lookup = lookup;
    index->context = context;
    index->dictionary = dictionary;
    *index_out = index;
    return MAESTRO_OK;
}

void mst_meta_index_destroy(mst_meta_index_t *index) {
    if (!index) return;
    for (size_t i = 0; i < index->nrows; i++) {
        for (unsigned key = 0; index->row[i] && key < MST_META_KEYS_MAX; key++) {
            if (index->row[i]->column[key]) mst_meta_column_fini(index->row[i]->column[key]);
            free(index->row[i]->column[key]);
        }
        free(index->row[i]);
    }
    free(index->row);
    free(index);
}

/* ---- Columns. */

static size_t column_schema(size_t schema, unsigned key) { return key < MST_META_CORE_KEYS ? 0 : schema; }

static mst_meta_column_t *find_column(const mst_meta_index_t *index, size_t schema, unsigned key) {
    return schema < index->nrows && index->row[schema] ? index->row[schema]->column[key] : NULL;
}

static bool make_row(mst_meta_index_t *index, size_t schema) {
    if (!MST_RESERVE_ZEROED(index->row, index->nrows, schema + 1, 1)) return false;
    if (!index->row[schema] && (index->row[schema] = calloc(1, sizeof **index->row)) && schema == 0) index->row[0]->strings[0] = core_strings;
    return index->row[schema];
}

maestro_status_t mst_meta_index_know(mst_meta_index_t *index, const mst_meta_schema_t *schema) {
    if (!make_row(index, schema->number)) return mst_base_fail(MAESTRO_NO_MEMORY, "index schema %s: no memory", schema->name);
    index_row_t *row = index->row[schema->number];
    for (unsigned key = MST_META_CORE_KEYS; key < schema->nattributes; key++) {
        uint64_t bit = 1ull << (key & 63);
        if (row->column[key]) continue; /* too late: its objects are kept by what was known */
        if (schema->attribute[key].type == MAESTRO_TYPE_STRING) row->strings[key >> 6] |= bit;
        if (mst_meta_type_is_array(schema->attribute[key].type)) row->arrays[key >> 6] |= bit;
        if (schema->attribute[key].type == MAESTRO_TYPE_BLOB) row->blobs[key >> 6] |= bit;
    }
    return MAESTRO_OK;
}

static mst_meta_column_t *make_column(mst_meta_index_t *index, size_t schema, unsigned key) {
    if (!make_row(index, schema)) return NULL;
    mst_meta_column_t **column = &index->row[schema]->column[key];
    if (!*column) *column = calloc(1, sizeof **column);
    return *column;
}

/* Under which word a column keeps a value; false: with its tails, because it has several, or nothing better is known of it. */
static bool column_word(const mst_meta_index_t *index, const mst_meta_attributes_t *set, unsigned key, uint64_t word, uint64_t *word_out) {
    const index_row_t *row = index->row[column_schema(set->schema, key)];
    uint64_t bit = 1ull << (key & 63);
    *word_out = word;
    if (MST_LIKELY(!mst_meta_word_is_tail(word))) return true;
    if (row->strings[key >> 6] & bit) return *word_out = mst_meta_string_word(set, word), true;
    if (row->arrays[key >> 6] & bit) return false;
    if (row->blobs[key >> 6] & bit) return *word_out = 0, true; /* one word for all of them: only their presence can be asked */
    bool inside = mst_meta_word_offset(word) <= set->tail_nbytes && mst_meta_word_nbytes(word) <= set->tail_nbytes - mst_meta_word_offset(word);
    return !inside; /* a number that looks so by chance costs time and never a result */
}

maestro_status_t mst_meta_index_insert(mst_meta_index_t *index, uint32_t handle, const mst_meta_attributes_t *set) {
    const uint64_t *word = set->value;
    for (unsigned half = 0; half < 2; half++) {
        for (uint64_t bits = set->mask[half], kept; bits; bits &= bits - 1, word++) {
            unsigned key = half * 64 + (unsigned)__builtin_ctzll(bits);
            mst_meta_column_t *column = make_column(index, column_schema(set->schema, key), key);
            bool tail = column && !column_word(index, set, key, *word, &kept);
            if (column && mst_meta_column_add(column, kept, tail, handle)) continue;
            mst_meta_index_remove(index, handle, set);
            return mst_base_fail(MAESTRO_NO_MEMORY, "index object: no memory");
        }
    }
    return MAESTRO_OK;
}

void mst_meta_index_remove(mst_meta_index_t *index, uint32_t handle, const mst_meta_attributes_t *set) {
    const uint64_t *word = set->value;
    for (unsigned half = 0; half < 2; half++) {
        for (uint64_t bits = set->mask[half], kept; bits; bits &= bits - 1, word++) {
            unsigned key = half * 64 + (unsigned)__builtin_ctzll(bits);
            mst_meta_column_t *column = find_column(index, column_schema(set->schema, key), key);
            if (!column) continue;
            bool tail = !column_word(index, set, key, *word, &kept);
            mst_meta_column_remove(column, kept, tail, handle);
        }
    }
}

size_t mst_meta_index_memory(const mst_meta_index_t *index) {
    size_t nbytes = sizeof *index + index->nrows * sizeof *index->row;
    for (size_t i = 0; i < index->nrows; i++) {
        if (!index->row[i]) continue;
        nbytes += sizeof *index->row[i];
        for (unsigned key = 0; key < MST_META_KEYS_MAX; key++)
            if (index->row[i]->column[key]) nbytes += sizeof(mst_meta_column_t) + mst_meta_column_nbytes(index->row[i]->column[key]);
    }
    return nbytes;
}

/* ---- The way of a query.  One walk serves both purposes: it counts candidates, or it collects them. */

typedef struct walk {
    mst_meta_index_t *index;
    const mst_meta_selector_t *selector;
    uint64_t count, limit; /* counting ends early beyond the limit: something cheaper is known */
    uint32_t *handles;
    size_t capacity;
    bool collect, united, failed; /* united: a handle may have come twice */
} walk_t;

static bool walk_reserve(walk_t *walk, uint64_t more) {
    if (MST_RESERVE(walk->handles, walk->capacity, walk->count + more, 1)) return true;
    walk->failed = true;
    return false;
}

static void visit_entry(walk_t *walk, const mst_meta_column_t *column, const mst_meta_entry_t *entry) {
    uint64_t more = mst_meta_entry_count(column, entry);
    if (more && walk->collect) {
        if (!walk_reserve(walk, more)) return;
        if (entry->many) mst_meta_postings_copy(&column->many[entry->many - 1], &walk->handles[walk->count]);
        else walk->handles[walk->count] = entry->one;
    }
    walk->count += more;
}

static void visit_tails(walk_t *walk, const mst_meta_column_t *column) {
    if (walk->collect) {
        if (!walk_reserve(walk, column->tails.count)) return;
        mst_meta_postings_copy(&column->tails, &walk->handles[walk->count]);
    }
    walk->count += column->tails.count;
}

static bool enough(const walk_t *walk) { return walk->failed || (!walk->collect && walk->count >= walk->limit); }

static void visit_all(walk_t *walk, const mst_meta_column_t *column) {
    if (!walk->collect) {
        walk->count += column->count;
        return;
    }
    visit_tails(walk, column);
    for (uint32_t i = 0; i < column->nentries && !enough(walk); i++) visit_entry(walk, column, &column->entry[i]);
}

static void visit_in(walk_t *walk, const mst_meta_column_t *column, const mst_meta_node_t *node) {
    visit_tails(walk, column);
    for (size_t i = 0; i < node->nwords && !enough(walk); i++) {
        const mst_meta_entry_t *entry = mst_meta_column_find(column, node->words[i]);
        if (entry) visit_entry(walk, column, entry);
    }
}

static uint32_t lower_bound(const mst_meta_column_t *column, maestro_type_t type, uint64_t first) {
    uint32_t low = 0, high = column->nordered;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mst_meta_word_order(column->entry[column->order[middle]].word, type) < first) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void visit_range(walk_t *walk, mst_meta_column_t *column, const mst_meta_node_t *node) {
    maestro_type_t type = node->type;
    uint64_t first, last;
    if (!mst_meta_node_bounds(node, &first, &last)) return;
    if (!mst_meta_column_sort(column, type)) {
        visit_all(walk, column);
        return;
    }
    visit_tails(walk, column);
    bool stepped = node->step > 0 && node->has_low && type != MAESTRO_TYPE_F64;
    for (uint32_t i = lower_bound(column, type, first); i < column->nordered && !enough(walk); i++) {
        const mst_meta_entry_t *entry = &column->entry[column->order[i]];
        if (mst_meta_word_order(entry->word, type) > last) break;
        if (!stepped || (entry->word - node->low) % (uint64_t)node->step == 0) visit_entry(walk, column, entry);
    }
}

static void visit_like(walk_t *walk, const mst_meta_column_t *column, const mst_meta_node_t *node) {
    visit_tails(walk, column);
    for (uint32_t i = 0; i < column->nentries && !enough(walk); i++) {
        uint64_t word = column->entry[i].word;
        uint32_t nbytes;
        const char *text = mst_meta_word_is_tail(word) ? NULL : mst_meta_dictionary_text(walk->index->dictionary, (uint32_t)word, &nbytes);
        if (!text || mst_meta_glob(node->texts[0], text, nbytes)) visit_entry(walk, column, &column->entry[i]); /* a hash tells nothing */
    }
}

static void visit_column(walk_t *walk, mst_meta_column_t *column, const mst_meta_node_t *node) {
    switch (node->op) {
    case MST_META_OP_IN: visit_in(walk, column, node); return;
    case MST_META_OP_RANGE: visit_range(walk, column, node); return;
    case MST_META_OP_LIKE: visit_like(walk, column, node); return;
    default: visit_all(walk, column); /* HAS and NE */
    }
}

static void visit_leaf(walk_t *walk, const mst_meta_node_t *node) {
    mst_meta_column_t *column = find_column(walk->index, column_schema(walk->selector->schema->number, node->key), node->key);
    if (column) visit_column(walk, column, node);
}

/* The node to walk in place of `node`: of a conjunction its cheapest part.  UINT64_MAX: only looking at all objects will do.  Costs of `limit` and
 * more are not told apart. */
static const mst_meta_node_t *choose(mst_meta_index_t *index, const mst_meta_selector_t *selector, const mst_meta_node_t *node, uint64_t limit, uint64_t *cost_out);

static const mst_meta_node_t *choose_part(mst_meta_index_t *index, const mst_meta_selector_t *selector, const mst_meta_node_t *node, uint64_t limit, uint64_t *cost_out) {
    const mst_meta_node_t *best = node;
    uint64_t cost;
    *cost_out = UINT64_MAX;
    for (bool more = true; more; node = node->child[1]) {
        more = node->op == MST_META_OP_AND;
        const mst_meta_node_t *part = choose(index, selector, more ? node->child[0] : node, *cost_out < limit ? *cost_out : limit, &cost);
        if (cost < *cost_out) *cost_out = cost, best = part;
    }
    return best;
}

static const mst_meta_node_t *choose(mst_meta_index_t *index, const mst_meta_selector_t *selector, const mst_meta_node_t *node, uint64_t limit, uint64_t *cost_out) {
    if (node->op == MST_META_OP_TRUE || node->op == MST_META_OP_NOT) return *cost_out = UINT64_MAX, node;
    if (node->op == MST_META_OP_AND) return choose_part(index, selector, node, limit, cost_out);
    if (node->op != MST_META_OP_OR) {
        walk_t walk = {.index = index, .selector = selector, .limit = limit};
        visit_leaf(&walk, node);
        *cost_out = walk.count;
        return node;
    }
    *cost_out = 0;
    const mst_meta_node_t *at = node;
    for (bool more = true; more; at = at->child[1]) {
        uint64_t cost;
        more = at->op == MST_META_OP_OR;
        choose(index, selector, more ? at->child[0] : at, limit, &cost);
        *cost_out = cost > UINT64_MAX - *cost_out ? UINT64_MAX : *cost_out + cost;
    }
    return node;
}

/* Collects along a node that was chosen. */
static void collect(walk_t *walk, const mst_meta_node_t *node) {
    uint64_t cost;
    for (; node->op == MST_META_OP_OR; node = node->child[1]) {
        walk->united = true;
        collect(walk, choose(walk->index, walk->selector, node->child[0], UINT64_MAX, &cost));
    }
    if (node->op == MST_META_OP_AND) collect(walk, choose(walk->index, walk->selector, node, UINT64_MAX, &cost));
    else visit_leaf(walk, node);
}

uint64_t mst_meta_index_estimate(mst_meta_index_t *index, const mst_meta_selector_t *selector) {
    uint64_t cost;
    choose(index, selector, selector->root, UINT64_MAX, &cost);
    return cost;
}

/* ---- Verification. */

static size_t verify(walk_t *walk) {
    mst_meta_index_t *index = walk->index;
    size_t kept = 0;
    for (size_t i = 0; i < walk->count; i++) {
        const mst_meta_attributes_t *set = index->lookup(index->context, walk->handles[i]);
        if (!set || (!walk->selector->core_only && set->schema != walk->selector->schema->number)) continue;
        if (mst_meta_selector_match(walk->selector, set, index->dictionary)) walk->handles[kept++] = walk->handles[i];
    }
    return kept;
}

static int by_handle(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Branches of an OR may bring one object twice.  Done after verification, when fewer are left. */
static size_t unite(uint32_t *handles, size_t count) {
    if (count) qsort(handles, count, sizeof *handles, by_handle);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || handles[kept - 1] != handles[i]) handles[kept++] = handles[i];
    return kept;
}

static bool append(const uint32_t *found, size_t nfound, uint32_t **handles, size_t *count, size_t *capacity) {
    if (!MST_RESERVE(*handles, *capacity, *count + nfound, 1)) return false;
    if (nfound) memcpy(*handles + *count, found, nfound * sizeof *found);
    *count += nfound;
    return true;
}

maestro_status_t mst_meta_index_query(mst_meta_index_t *index, const mst_meta_selector_t *selector, uint32_t **handles, size_t *count, size_t *capacity) {
    uint64_t cost;
    const mst_meta_node_t *way = choose(index, selector, selector->root, UINT64_MAX, &cost);
    if (cost == UINT64_MAX) return MAESTRO_AGAIN;
    walk_t walk = {.index = index, .selector = selector, .collect = true};
    collect(&walk, way);
    size_t found = walk.failed ? 0 : verify(&walk);
    if (walk.united) found = unite(walk.handles, found);
    bool done = !walk.failed && append(walk.handles, found, handles, count, capacity);
    free(walk.handles);
    return done ? MAESTRO_OK : mst_base_fail(MAESTRO_NO_MEMORY, "query index: no memory for its results");
}
