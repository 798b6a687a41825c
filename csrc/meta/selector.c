/* Selectors at work: binding to a dictionary, matching, and back to text. */
#include "meta/selector.h"

#include "meta/text.h"
#include "meta/words.h"

#include <stdio.h>

/* ---- Binding. */

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

typedef uint32_t (*code_fn)(void *dictionary, const char *text, size_t nbytes);

static uint32_t intern(void *dictionary, const char *text, size_t nbytes) { return mst_meta_dictionary_intern(dictionary, text, nbytes); }
static uint32_t find(void *dictionary, const char *text, size_t nbytes) { return mst_meta_dictionary_find(dictionary, text, nbytes); }

static void bind(mst_meta_node_t *node, const mst_meta_selector_t *selector, code_fn code_of, void *dictionary) {
    for (; node->op == MST_META_OP_AND || node->op == MST_META_OP_OR; node = node->child[1]) bind(node->child[0], selector, code_of, dictionary);
    if (node->op == MST_META_OP_NOT) bind(node->child[0], selector, code_of, dictionary);
    bool values = (node->op == MST_META_OP_IN || node->op == MST_META_OP_NE) && node->type == MAESTRO_TYPE_STRING;
    if (!values || !selector->schema->attribute[node->key].common) return;
    for (size_t i = 0; i < node->nwords; i++) {
        size_t nbytes = strlen(node->texts[i]);
        uint32_t code = code_of(dictionary, node->texts[i], nbytes);
        node->words[i] = code ? code : mst_meta_text_word(node->texts[i], nbytes);
    }
    qsort(node->words, node->nwords, sizeof *node->words, by_value);
}

void mst_meta_selector_bind(mst_meta_selector_t *selector, mst_meta_dictionary_t *dictionary) { bind(selector->root, selector, intern, dictionary); }

void mst_meta_selector_bind_known(mst_meta_selector_t *selector, const mst_meta_dictionary_t *dictionary) { bind(selector->root, selector, find, (void *)dictionary); }

/* ---- Matching. */

/* Texts are sorted and zero-terminated; `text` is neither terminated nor has it a zero inside. */
static bool text_among(const mst_meta_node_t *node, const char *text, size_t nbytes) {
    size_t low = 0, high = node->nwords;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strncmp(node->texts[middle], text, nbytes);
        if (order == 0) order = node->texts[middle][nbytes] != '\0';
        if (order == 0) return true;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return false;
}

static bool among(const mst_meta_node_t *node, uint64_t word) {
    size_t low = 0, high = node->nwords;
    if (high <= 8) {
        for (size_t i = 0; i < high; i++)
            if (node->words[i] == word) return true;
        return false;
    }
    uint64_t order = mst_meta_word_order(word, node->type);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (mst_meta_word_order(node->words[middle], node->type) < order) low = middle + 1;
        else high = middle;
    }
    return low < node->nwords && node->words[low] == word;
}

static bool match_value(const mst_meta_node_t *node, const mst_meta_attributes_t *set, uint64_t word) {
    if (node->type == MAESTRO_TYPE_STRING && mst_meta_word_is_tail(word))
        return text_among(node, mst_meta_attributes_tail(set) + mst_meta_word_offset(word), mst_meta_word_nbytes(word));
    return among(node, word);
}

static bool match_range(const mst_meta_node_t *node, uint64_t word) {
    uint64_t order = mst_meta_word_order(word, node->type);
    if (node->has_low) {
        uint64_t low = mst_meta_word_order(node->low, node->type);
        if (order < low || (node->open_low && order == low)) return false;
    }
    if (node->has_high) {
        uint64_t high = mst_meta_word_order(node->high, node->type);
        if (order > high || (node->open_high && order == high)) return false;
    }
    return node->step <= 0 || (word - node->low) % (uint64_t)node->step == 0;
}

static bool match_text(const mst_meta_node_t *node, const char *text, size_t nbytes) {
    if (node->op == MST_META_OP_LIKE) return mst_meta_glob(node->texts[0], text, nbytes);
    return text_among(node, text, nbytes) == (node->op == MST_META_OP_IN);
}

static bool match_number(const mst_meta_node_t *node, uint64_t word) {
    return node->op == MST_META_OP_RANGE ? match_range(node, word) : among(node, word) == (node->op == MST_META_OP_IN);
}

/* One of its values matches. */
static bool match_array(const mst_meta_node_t *node, const mst_meta_attributes_t *set, uint64_t word) {
    const char *bytes = mst_meta_attributes_tail(set) + mst_meta_word_offset(word), *text = "";
    uint32_t nbytes = mst_meta_word_nbytes(word), text_nbytes = 0, cursor = 0;
    bool matches = false;
    while (!matches && mst_meta_array_next(node->type, bytes, nbytes, &cursor, &word, &text, &text_nbytes))
        matches = node->type == MAESTRO_TYPE_STRING ? match_text(node, text, text_nbytes) : match_number(node, word);
    return matches;
}

static bool match_leaf(const mst_meta_node_t *node, const mst_meta_attributes_t *set, const mst_meta_dictionary_t *dictionary) {
    if (node->op == MST_META_OP_TRUE) return true;
    if (!mst_meta_attributes_has(set, node->key)) return false;
    uint64_t word = set->value[mst_meta_attributes_rank(set, node->key)];
    if (MST_UNLIKELY(node->array) && node->op != MST_META_OP_HAS) return match_array(node, set, word);
    uint32_t nbytes = 0;
    const char *text;
    switch (node->op) {
    case MST_META_OP_HAS: return true;
    case MST_META_OP_IN: return match_value(node, set, word);
    case MST_META_OP_NE: return !match_value(node, set, word);
    case MST_META_OP_RANGE: return match_range(node, word);
    case MST_META_OP_LIKE:
        text = mst_meta_attributes_text(set, word, dictionary, &nbytes);
        return text && mst_meta_glob(node->texts[0], text, nbytes);
    default: return false;
    }
}

static bool match(const mst_meta_node_t *node, const mst_meta_attributes_t *set, const mst_meta_dictionary_t *dictionary) {
    for (;;) {
        switch (node->op) {
        case MST_META_OP_AND:
            if (!match(node->child[0], set, dictionary)) return false;
            node = node->child[1];
            break;
        case MST_META_OP_OR:
            if (match(node->child[0], set, dictionary)) return true;
            node = node->child[1];
            break;
        case MST_META_OP_NOT: return !match(node->child[0], set, dictionary);
        default: return match_leaf(node, set, dictionary);
        }
    }
}

bool mst_meta_selector_match(const mst_meta_selector_t *selector, const mst_meta_attributes_t *set, const mst_meta_dictionary_t *dictionary) {
    return match(selector->root, set, dictionary);
}

bool mst_meta_node_match(const mst_meta_node_t *node, const mst_meta_selector_t *selector, const mst_meta_attributes_t *set, const mst_meta_dictionary_t *dictionary) {
    (void)selector;
    return match(node, set, dictionary);
}

static size_t conjuncts(const mst_meta_node_t *node, const mst_meta_node_t **nodes, size_t capacity, size_t count) {
    for (; node->op == MST_META_OP_AND; node = node->child[1]) count = conjuncts(node->child[0], nodes, capacity, count);
    if (count < capacity) nodes[count] = node;
    return count + 1;
}

size_t mst_meta_selector_conjuncts(const mst_meta_selector_t *selector, const mst_meta_node_t **nodes, size_t capacity) {
    return conjuncts(selector->root, nodes, capacity, 0);
}

/* ---- Back to text. */

static void append_word(mst_base_buffer_t *out, const mst_meta_node_t *node, uint64_t word) {
    char text[40];
    switch (node->type) {
    case MAESTRO_TYPE_BOOL: mst_base_buffer_printf(out, "%s", word ? "true" : "false"); return;
    case MAESTRO_TYPE_F64: mst_meta_text_format_f64(mst_meta_word_f64(word), text); break;
    case MAESTRO_TYPE_TIMESTAMP: mst_meta_text_format_timestamp((int64_t)word, text); break;
    default: snprintf(text, sizeof text, "%lld", (long long)word);
    }
    mst_base_buffer_printf(out, "%s", text);
}

static void append_quoted(mst_base_buffer_t *out, const char *text) {
    mst_base_buffer_append(out, "\"", 1);
    for (; *text; text++) mst_base_buffer_printf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    mst_base_buffer_append(out, "\"", 1);
}

static void append_values(mst_base_buffer_t *out, const mst_meta_node_t *node) {
    for (size_t i = 0; i < node->nwords; i++) {
        if (i) mst_base_buffer_printf(out, ", ");
        if (node->texts) append_quoted(out, node->texts[i]);
        else append_word(out, node, node->words[i]);
    }
}

static void append_range(mst_base_buffer_t *out, const mst_meta_node_t *node, const char *name) {
    if (node->step > 0) {
        mst_base_buffer_printf(out, "%s in ", name);
        append_word(out, node, node->low);
        mst_base_buffer_printf(out, "/to/");
        append_word(out, node, node->high);
        if (node->type == MAESTRO_TYPE_TIMESTAMP) mst_base_buffer_printf(out, "/by/%gs", (double)node->step / 1e9);
        else mst_base_buffer_printf(out, "/by/%lld", (long long)node->step);
        return;
    }
    bool both = node->has_low && node->has_high;
    if (both) mst_base_buffer_printf(out, "(");
    if (node->has_low) {
        mst_base_buffer_printf(out, "%s %s ", name, node->open_low ? ">" : ">=");
        append_word(out, node, node->low);
    }
    if (both) mst_base_buffer_printf(out, " and ");
    if (node->has_high) {
        mst_base_buffer_printf(out, "%s %s ", name, node->open_high ? "<" : "<=");
        append_word(out, node, node->high);
    }
    if (both) mst_base_buffer_printf(out, ")");
}

static void append_node(mst_base_buffer_t *out, const mst_meta_node_t *node, const mst_meta_selector_t *selector) {
    const char *name = selector->schema->attribute[node->key].name;
    switch (node->op) {
    case MST_META_OP_AND:
    case MST_META_OP_OR:
        mst_base_buffer_printf(out, "(");
        append_node(out, node->child[0], selector);
        mst_base_buffer_printf(out, node->op == MST_META_OP_AND ? " and " : " or ");
        append_node(out, node->child[1], selector);
        mst_base_buffer_printf(out, ")");
        return;
    case MST_META_OP_NOT:
        mst_base_buffer_printf(out, "not (");
        append_node(out, node->child[0], selector);
        mst_base_buffer_printf(out, ")");
        return;
    case MST_META_OP_HAS: mst_base_buffer_printf(out, "has(%s)", name); return;
    case MST_META_OP_RANGE: append_range(out, node, name); return;
    case MST_META_OP_LIKE:
        mst_base_buffer_printf(out, "%s like ", name);
        append_quoted(out, node->texts[0]);
        return;
    case MST_META_OP_IN:
    case MST_META_OP_NE:
        mst_base_buffer_printf(out, node->nwords != 1 ? "%s in (" : node->op == MST_META_OP_IN ? "%s = " : "%s != ", name);
        append_values(out, node);
        if (node->nwords != 1) mst_base_buffer_printf(out, ")");
        return;
    case MST_META_OP_TRUE: return;
    }
}

size_t mst_meta_node_describe(const mst_meta_node_t *node, const mst_meta_selector_t *selector, char *text, size_t nbytes) {
    mst_base_buffer_t out = {0};
    append_node(&out, node, selector);
    size_t needed = out.nbytes;
    if (nbytes) snprintf(text, nbytes, "%s", out.data ? out.data : "");
    mst_base_buffer_fini(&out);
    return needed;
}
