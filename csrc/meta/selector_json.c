/* A parsed selector as JSON, for programs that reason about selectors without matching any: values are in the schema's form. */
#include "meta/selector.h"

#include "meta/text.h"

static void append_word(mst_base_buffer_t *out, maestro_type_t type, uint64_t word) {
    char text[40];
    if (type == MAESTRO_TYPE_BOOL) {
        mst_base_buffer_printf(out, "%s", word ? "true" : "false");
    } else if (type == MAESTRO_TYPE_F64) {
        mst_meta_text_format_f64(mst_meta_word_f64(word), text);
        mst_base_buffer_printf(out, "%s", text);
    } else {
        mst_base_buffer_printf(out, "%lld", (long long)word);
    }
}

static void append_values(mst_base_buffer_t *out, const mst_meta_node_t *node) {
    mst_base_buffer_printf(out, ",\"values\":[");
    for (size_t i = 0; i < node->nwords; i++) {
        if (i) mst_base_buffer_printf(out, ",");
        if (node->texts) mst_base_buffer_json_string(out, node->texts[i], strlen(node->texts[i]));
        else append_word(out, node->type, node->words[i]);
    }
    mst_base_buffer_printf(out, "]");
}

static void append_bound(mst_base_buffer_t *out, const mst_meta_node_t *node, const char *name, uint64_t word, bool open) {
    mst_base_buffer_printf(out, ",\"%s\":", name);
    append_word(out, node->type, word);
    if (open) mst_base_buffer_printf(out, ",\"open_%s\":true", name);
}

static void append_leaf(mst_base_buffer_t *out, const mst_meta_node_t *node, const mst_meta_selector_t *selector) {
    static const char *const op[] = {[MST_META_OP_HAS] = "has", [MST_META_OP_IN] = "in", [MST_META_OP_RANGE] = "range", [MST_META_OP_NE] = "ne", [MST_META_OP_LIKE] = "like"};
    const char *key = selector->schema->attribute[node->key].name;
    mst_base_buffer_printf(out, "{\"op\":\"%s\",\"key\":", op[node->op]);
    mst_base_buffer_json_string(out, key, strlen(key));
    if (node->array) mst_base_buffer_printf(out, ",\"array\":true");
    if (node->op == MST_META_OP_IN || node->op == MST_META_OP_NE) append_values(out, node);
    if (node->op == MST_META_OP_RANGE && node->has_low) append_bound(out, node, "low", node->low, node->open_low);
    if (node->op == MST_META_OP_RANGE && node->has_high) append_bound(out, node, "high", node->high, node->open_high);
    if (node->op == MST_META_OP_RANGE && node->step > 0) mst_base_buffer_printf(out, ",\"step\":%lld", (long long)node->step);
    if (node->op == MST_META_OP_LIKE) {
        mst_base_buffer_printf(out, ",\"pattern\":");
        mst_base_buffer_json_string(out, node->texts[0], strlen(node->texts[0]));
    }
    mst_base_buffer_printf(out, "}");
}

static void append_node(mst_base_buffer_t *out, const mst_meta_node_t *node, const mst_meta_selector_t *selector) {
    mst_meta_op_t op = node->op;
    if (op == MST_META_OP_TRUE) {
        mst_base_buffer_printf(out, "{\"op\":\"true\"}");
    } else if (op == MST_META_OP_NOT) {
        mst_base_buffer_printf(out, "{\"op\":\"not\",\"of\":[");
        append_node(out, node->child[0], selector);
        mst_base_buffer_printf(out, "]}");
    } else if (op == MST_META_OP_AND || op == MST_META_OP_OR) { /* a chain of one operator is one list, so that JSON is no deeper than the text */
        mst_base_buffer_printf(out, "{\"op\":\"%s\",\"of\":[", op == MST_META_OP_AND ? "and" : "or");
        for (; node->op == op; node = node->child[1]) {
            append_node(out, node->child[0], selector);
            mst_base_buffer_printf(out, ",");
        }
        append_node(out, node, selector);
        mst_base_buffer_printf(out, "]}");
    } else {
        append_leaf(out, node, selector);
    }
}

void mst_meta_selector_json(const mst_meta_selector_t *selector, mst_base_buffer_t *out) {
    mst_base_buffer_printf(out, "{\"schema\":");
    mst_base_buffer_json_string(out, selector->schema->name, strlen(selector->schema->name));
    mst_base_buffer_printf(out, ",\"core_only\":%s,\"tree\":", selector->core_only ? "true" : "false");
    append_node(out, selector->root, selector);
    mst_base_buffer_printf(out, "}");
}
