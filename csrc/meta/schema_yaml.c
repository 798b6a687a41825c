/* Schemas read from YAML by libyaml, with errors that say source:line:column, what is wrong and what to write.
 * Not here: what the entries mean afterwards.  Invariant: what this accepts, every other function of the room can rely on: names are unique,
 * values and aliases belong to strings and are canonical, a default is a legal value. */
#include <ctype.h>
#include <stdio.h>
#include <yaml.h>

#include "meta/schema_reader.h"
#include "meta/text.h"

typedef struct reader {
    yaml_document_t document;
    const char *source;
    mst_meta_schema_t *schema;
    mst_meta_arena_t *arena;
    bool core; /* this is the core schema itself: names may have a point */
} reader_t;

static maestro_status_t fail_at(const reader_t *reader, const yaml_node_t *node, const char *format, ...) MST_PRINTF(3, 4);
static maestro_status_t fail_at(const reader_t *reader, const yaml_node_t *node, const char *format, ...) {
    char what[768];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return mst_base_fail(MAESTRO_BAD_SCHEMA, "%.256s:%zu:%zu: %s", reader->source, node->start_mark.line + 1, node->start_mark.column + 1, what);
}

/* ---- YAML nodes. */

static yaml_node_t *node_at(reader_t *reader, int index) { return yaml_document_get_node(&reader->document, index); }
static const char *text_of(const yaml_node_t *node) { return (const char *)node->data.scalar.value; }
static size_t length_of(const yaml_node_t *node) { return node->data.scalar.length; }
static bool is_text(const yaml_node_t *node, const char *text) { return length_of(node) == strlen(text) && memcmp(text_of(node), text, length_of(node)) == 0; }

static const char *shape(const yaml_node_t *node) {
    return node->type == YAML_SEQUENCE_NODE ? "a list" : node->type == YAML_MAPPING_NODE ? "a mapping" : "a word";
}

static maestro_status_t want_scalar(const reader_t *reader, const yaml_node_t *node, const char *what, size_t longest) {
    if (node->type != YAML_SCALAR_NODE) return fail_at(reader, node, "%s is %s; write a single word", what, shape(node));
    if (length_of(node) > longest) return fail_at(reader, node, "%s is longer than %zu bytes; shorten it", what, longest);
    if (!mst_meta_text_is_utf8(text_of(node), length_of(node))) return fail_at(reader, node, "%s has a NUL in it; remove it", what);
    return MAESTRO_OK;
}

static maestro_status_t copy_text(reader_t *reader, const yaml_node_t *node, const char **text_out) {
    *text_out = mst_meta_arena_text(reader->arena, text_of(node), length_of(node));
    return *text_out ? MAESTRO_OK : mst_base_fail(MAESTRO_NO_MEMORY, "read the schema %.256s: no memory", reader->source);
}

static void *allocate(reader_t *reader, size_t count, size_t nbytes) { return mst_meta_arena_alloc(reader->arena, count * nbytes); }

/* A mapping whose keys are single words, each once. */
static maestro_status_t want_mapping(reader_t *reader, const yaml_node_t *node, const char *what) {
    if (node->type != YAML_MAPPING_NODE) return fail_at(reader, node, "%s is %s; write a mapping (name: value)", what, shape(node));
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(reader, pair->key);
        MST_TRY(want_scalar(reader, key, "a name", MST_META_VALUE_MAX));
        for (const yaml_node_pair_t *other = node->data.mapping.pairs.start; other < pair; other++) {
            const yaml_node_t *before = node_at(reader, other->key);
            if (is_text(before, text_of(key)))
                return fail_at(reader, key, "'%.64s' stands here for the second time (first in line %zu); remove one", text_of(key), before->start_mark.line + 1);
        }
    }
    return MAESTRO_OK;
}

static maestro_status_t fail_unknown(const reader_t *reader, const yaml_node_t *key, const char *what, const char *const *known, size_t nknown) {
    char list[256] = "";
    for (size_t i = 0, at = 0; i < nknown && at < sizeof list; i++) at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", known[i]);
    const char *nearest = mst_base_nearest(text_of(key), length_of(key), known, nknown);
    return fail_at(reader, key, "%s '%.64s' is unknown%s%s%s; known: %s", what, text_of(key), nearest ? "; did you mean '" : "", nearest ? nearest : "",
                   nearest ? "'?" : "", list);
}

/* ---- Entries of an attribute. */

static maestro_status_t read_bool(reader_t *reader, const yaml_node_t *node, const char *what, bool *value_out) {
    MST_TRY(want_scalar(reader, node, what, MST_META_VALUE_MAX));
    if (!is_text(node, "true") && !is_text(node, "false")) return fail_at(reader, node, "%s is '%.64s'; write true or false", what, text_of(node));
    *value_out = is_text(node, "true");
    return MAESTRO_OK;
}

static maestro_status_t read_required(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) { return read_bool(reader, node, "required", &a->required); }
static maestro_status_t read_identity(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) { return read_bool(reader, node, "identity", &a->identity); }

static maestro_status_t only_for_strings(const reader_t *reader, const yaml_node_t *node, const mst_meta_attribute_t *a, const char *what) {
    if (a->type == MAESTRO_TYPE_STRING) return MAESTRO_OK;
    return fail_at(reader, node, "%s is for strings, and %s is %s; remove it or say type: string", what, a->name, mst_meta_type_name(a->type));
}

static maestro_status_t read_common(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    MST_TRY(read_bool(reader, node, "common", &a->common));
    if (a->type == MAESTRO_TYPE_BLOB && a->common) return only_for_strings(reader, node, a, "common");
    if (a->type != MAESTRO_TYPE_STRING) a->common = false; /* numbers are as small as a code already */
    return MAESTRO_OK;
}

static maestro_status_t read_fold(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    MST_TRY(only_for_strings(reader, node, a, "fold"));
    return read_bool(reader, node, "fold", &a->fold);
}

static maestro_status_t read_pad(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    int64_t pad;
    MST_TRY(only_for_strings(reader, node, a, "pad"));
    MST_TRY(want_scalar(reader, node, "pad", MST_META_VALUE_MAX));
    if (!mst_meta_text_parse_i64(text_of(node), length_of(node), &pad) || pad < 1 || pad > 64)
        return fail_at(reader, node, "pad is '%.64s'; write a width from 1 to 64", text_of(node));
    a->pad = (unsigned)pad;
    return MAESTRO_OK;
}

static maestro_status_t read_unit(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    MST_TRY(want_scalar(reader, node, "unit", MST_META_NAME_MAX));
    return copy_text(reader, node, &a->unit);
}

static maestro_status_t read_by(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    MST_TRY(want_scalar(reader, node, "by", MST_META_VALUE_MAX));
    bool whole = a->type != MAESTRO_TYPE_F64;
    if (!mst_meta_text_parse_f64(text_of(node), length_of(node), &a->by) || !(a->by > 0) || a->by > 1e9 || (whole && a->by != (double)(int64_t)a->by))
        return fail_at(reader, node, "by is '%.64s'; write %s above 0", text_of(node), whole ? "a whole number" : "a number");
    return MAESTRO_OK;
}

static maestro_status_t read_doc(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    MST_TRY(want_scalar(reader, node, "doc", 4096));
    return copy_text(reader, node, &a->doc);
}

/* Allowed values are kept in the form in which they are stored. */
static maestro_status_t canonical_text(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a, const char *what, const char **text_out) {
    char canonical[MST_META_VALUE_MAX + 1];
    size_t nbytes;
    MST_TRY(want_scalar(reader, node, what, MST_META_VALUE_MAX));
    if (mst_meta_schema_canonical(a, text_of(node), length_of(node), canonical, &nbytes) != MAESTRO_OK)
        return fail_at(reader, node, "%s: %s", what, maestro_last_error());
    *text_out = mst_meta_arena_text(reader->arena, canonical, nbytes);
    return *text_out ? MAESTRO_OK : mst_base_fail(MAESTRO_NO_MEMORY, "read the schema %.256s: no memory", reader->source);
}

static maestro_status_t read_values(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    MST_TRY(only_for_strings(reader, node, a, "values"));
    if (node->type != YAML_SEQUENCE_NODE) return fail_at(reader, node, "values is %s; write a list: [a, b]", shape(node));
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start), read = 0;
    if (count == 0) return fail_at(reader, node, "values is empty, so that no value would be allowed; list some or remove it");
    if (count > 4096) return fail_at(reader, node, "values has %zu entries; at most 4096", count);
    const char **values = allocate(reader, count, sizeof *values);
    if (!values) return mst_base_fail(MAESTRO_NO_MEMORY, "read the schema %.256s: no memory", reader->source);
    for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++, read++) {
        const yaml_node_t *value = node_at(reader, *item);
        MST_TRY(canonical_text(reader, value, a, "a value", &values[read]));
        for (size_t i = 0; i < read; i++)
            if (strcmp(values[i], values[read]) == 0) return fail_at(reader, value, "the value '%.64s' stands here for the second time; remove one", values[read]);
    }
    a->values = values;
    a->nvalues = count;
    return MAESTRO_OK;
}

static maestro_status_t read_aliases(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    MST_TRY(only_for_strings(reader, node, a, "aliases"));
    MST_TRY(want_mapping(reader, node, "aliases"));
    size_t count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start), read = 0;
    if (count > 4096) return fail_at(reader, node, "aliases has %zu entries; at most 4096", count);
    mst_meta_alias_t *aliases = allocate(reader, count, sizeof *aliases);
    if (!aliases) return mst_base_fail(MAESTRO_NO_MEMORY, "read the schema %.256s: no memory", reader->source);
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++, read++) {
        const yaml_node_t *from = node_at(reader, pair->key);
        MST_TRY(copy_text(reader, from, &aliases[read].from));
        for (char *c = (char *)aliases[read].from; a->fold && *c; c++) *c = (char)tolower((unsigned char)*c);
        MST_TRY(canonical_text(reader, node_at(reader, pair->value), a, "an alias's target", &aliases[read].to));
        for (size_t i = 0; i < a->nvalues; i++)
            if (strcmp(a->values[i], aliases[read].from) == 0) return fail_at(reader, from, "the alias '%.64s' is an allowed value itself; remove one", text_of(from));
    }
    a->aliases = aliases; /* only now: the targets are no aliases themselves */
    a->naliases = count;
    return MAESTRO_OK;
}

static maestro_status_t default_word(const mst_meta_attribute_t *a, const char *text, size_t nbytes, uint64_t *word_out) {
    double f64;
    bool value = nbytes == 4 && memcmp(text, "true", 4) == 0;
    switch (a->type) {
    case MAESTRO_TYPE_I64: return mst_meta_schema_text_i64(a, text, nbytes, (int64_t *)word_out);
    case MAESTRO_TYPE_TIMESTAMP: return mst_meta_schema_text_timestamp(a, text, nbytes, (int64_t *)word_out);
    case MAESTRO_TYPE_F64:
        MST_TRY(mst_meta_schema_text_f64(a, text, nbytes, &f64));
        *word_out = mst_meta_f64_word(f64);
        return MAESTRO_OK;
    case MAESTRO_TYPE_BOOL:
        *word_out = value;
        if (!value && !(nbytes == 5 && memcmp(text, "false", 5) == 0)) return mst_base_fail(MAESTRO_BAD_VALUE, "attribute %s: write true or false", a->name);
        return MAESTRO_OK;
    default: return mst_base_fail(MAESTRO_BAD_VALUE, "attribute %s: a blob has no default; remove it", a->name);
    }
}

static maestro_status_t read_default(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    if (a->type == MAESTRO_TYPE_STRING) return canonical_text(reader, node, a, "default", &a->otherwise);
    MST_TRY(want_scalar(reader, node, "default", MST_META_VALUE_MAX));
    if (default_word(a, text_of(node), length_of(node), &a->otherwise_word) != MAESTRO_OK) return fail_at(reader, node, "default: %s", maestro_last_error());
    return copy_text(reader, node, &a->otherwise);
}

static maestro_status_t read_type(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    static const char *const names[] = {"bool", "i64", "f64", "string", "timestamp", "blob"};
    MST_TRY(want_scalar(reader, node, "type", MST_META_VALUE_MAX));
    for (unsigned i = 0; i < MST_COUNT(names); i++)
        if (is_text(node, names[i])) return a->type = (maestro_type_t)(i + 1), MAESTRO_OK;
    return fail_unknown(reader, node, "the type", names, MST_COUNT(names));
}

/* Of many values none is the identity, and none recurs; the type says so from now on. */
static maestro_status_t read_array(reader_t *reader, const yaml_node_t *node, mst_meta_attribute_t *a) {
    bool array = false;
    MST_TRY(read_bool(reader, node, "array", &array));
    if (!array) return MAESTRO_OK;
    const char *with = a->identity ? "identity" : a->common ? "common" : a->otherwise ? "default" : NULL;
    if (with) return fail_at(reader, node, "%s is an array, which cannot be %s; remove %s", a->name, a->otherwise ? "given a default" : with, with);
    if (a->type == MAESTRO_TYPE_BLOB) return fail_at(reader, node, "%s is a blob, of which there are no arrays; remove array", a->name);
    a->type |= MAESTRO_TYPE_ARRAY;
    return MAESTRO_OK;
}

/* In the order in which they must be read: what converts values comes before the values, the type of one value before that it is an array. */
static const char *const entry_names[] = {"type", "required", "identity", "common", "fold", "pad", "unit", "by", "doc", "values", "aliases", "default", "array"};
static maestro_status_t (*const entry_readers[])(reader_t *, const yaml_node_t *, mst_meta_attribute_t *) = {
    read_type, read_required, read_identity, read_common, read_fold, read_pad, read_unit, read_by, read_doc, read_values, read_aliases, read_default, read_array};

static const yaml_node_t *entry(reader_t *reader, const yaml_node_t *mapping, const char *name) {
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++)
        if (is_text(node_at(reader, pair->key), name)) return node_at(reader, pair->value);
    return NULL;
}

static maestro_status_t want_known_entries(reader_t *reader, const yaml_node_t *mapping, const char *what, const char *const *known, size_t nknown) {
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(reader, pair->key);
        size_t i = 0;
        while (i < nknown && !is_text(key, known[i])) i++;
        if (i == nknown) return fail_unknown(reader, key, what, known, nknown);
    }
    return MAESTRO_OK;
}

/* ---- Attributes. */

static bool is_keyword(const yaml_node_t *name) {
    static const char *const keywords[] = {"and", "or", "not", "in", "has", "like", "to", "by", "true", "false"};
    for (size_t i = 0; i < MST_COUNT(keywords); i++)
        if (length_of(name) == strlen(keywords[i]) && strncasecmp(text_of(name), keywords[i], length_of(name)) == 0) return true;
    return false;
}

static maestro_status_t want_name(const reader_t *reader, const yaml_node_t *node, const char *what) {
    MST_TRY(want_scalar(reader, node, what, MST_META_NAME_MAX));
    bool good = length_of(node) && (isalpha((unsigned char)text_of(node)[0]) || text_of(node)[0] == '_');
    for (size_t i = 0; i < length_of(node); i++) {
        char c = text_of(node)[i];
        good = good && (isalnum((unsigned char)c) || c == '_' || (c == '.' && reader->core));
    }
    if (!good) return fail_at(reader, node, "%s '%.64s' is no name; write letters, digits and _, beginning with a letter", what, text_of(node));
    if (is_keyword(node)) return fail_at(reader, node, "'%s' is a word of the selector language; choose another name", text_of(node));
    return MAESTRO_OK;
}

static maestro_status_t read_attribute(reader_t *reader, const yaml_node_t *name, const yaml_node_t *entries) {
    mst_meta_schema_t *schema = reader->schema;
    MST_TRY(want_name(reader, name, "the attribute"));
    if (schema->nattributes == MST_META_KEYS_MAX)
        return fail_at(reader, name, "more than %d attributes (Maestro's own %d included); split the schema", MST_META_KEYS_MAX, MST_META_CORE_KEYS);
    mst_meta_attribute_t *a = &schema->attribute[schema->nattributes];
    MST_TRY(copy_text(reader, name, &a->name));
    MST_TRY(want_mapping(reader, entries, "an attribute"));
    MST_TRY(want_known_entries(reader, entries, "the entry", entry_names, MST_COUNT(entry_names)));
    if (!entry(reader, entries, "type")) return fail_at(reader, entries, "attribute %s has no type; add type: string (or bool, i64, f64, timestamp, blob)", a->name);
    for (size_t i = 0; i < MST_COUNT(entry_names); i++) {
        const yaml_node_t *value = entry(reader, entries, entry_names[i]);
        if (value) MST_TRY(entry_readers[i](reader, value, a));
    }
    schema->nattributes++;
    return MAESTRO_OK;
}

static maestro_status_t read_attributes(reader_t *reader, const yaml_node_t *attributes) {
    MST_TRY(want_mapping(reader, attributes, "attributes"));
    for (const yaml_node_pair_t *pair = attributes->data.mapping.pairs.start; pair < attributes->data.mapping.pairs.top; pair++)
        MST_TRY(read_attribute(reader, node_at(reader, pair->key), node_at(reader, pair->value)));
    return MAESTRO_OK;
}

/* ---- The whole. */

static maestro_status_t read_choice(reader_t *reader, const yaml_node_t *root, const char *name, const char *usual, const char *other, bool *other_out) {
    const yaml_node_t *node = entry(reader, root, name);
    if (!node) return MAESTRO_OK;
    MST_TRY(want_scalar(reader, node, name, MST_META_VALUE_MAX));
    *other_out = is_text(node, other);
    return *other_out || is_text(node, usual) ? MAESTRO_OK : fail_at(reader, node, "%s is '%.64s'; write %s or %s", name, text_of(node), usual, other);
}

static maestro_status_t read_head(reader_t *reader, const yaml_node_t *root) {
    static const char *const known[] = {"schema", "version", "attributes", "duplicate", "reach"};
    MST_TRY(want_mapping(reader, root, "a schema"));
    MST_TRY(want_known_entries(reader, root, "the entry", known, MST_COUNT(known)));
    const yaml_node_t *name = entry(reader, root, "schema"), *version = entry(reader, root, "version");
    if (!name) return fail_at(reader, root, "the schema has no name; add schema: NAME");
    MST_TRY(want_name(reader, name, "the schema"));
    MST_TRY(copy_text(reader, name, &reader->schema->name));
    reader->core = is_text(name, "core");
    if (is_text(name, "maestro")) return fail_at(reader, name, "maestro is the namespace of Maestro's own attributes; choose another name");
    reader->schema->version = 1;
    if (version) {
        MST_TRY(want_scalar(reader, version, "version", MST_META_VALUE_MAX));
        if (!mst_meta_text_parse_i64(text_of(version), length_of(version), &reader->schema->version))
            return fail_at(reader, version, "version is '%.64s'; write a whole number", text_of(version));
    }
    MST_TRY(read_choice(reader, root, "duplicate", "error", "version", &reader->schema->versions));
    return read_choice(reader, root, "reach", "node", "pool", &reader->schema->whole_pool);
}

static maestro_status_t parse_text(reader_t *reader, const char *yaml, size_t nbytes, const char *source, bool core);

/* Core attributes come first in every schema.  A schema named core is held against the built-in one by its hash. */
static maestro_status_t read_document(reader_t *reader, bool builtin_core) {
    const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
    if (!root) return mst_base_fail(MAESTRO_BAD_SCHEMA, "%.256s:1:1: the file is empty; a schema begins with schema: NAME", reader->source);
    MST_TRY(read_head(reader, root));
    if (!reader->core && !builtin_core) {
        size_t nbytes;
        const char *text = mst_meta_schema_builtin("core", &nbytes);
        reader_t core = {.schema = reader->schema, .arena = reader->arena};
        const char *name = reader->schema->name;
        int64_t version = reader->schema->version;
        MST_TRY(parse_text(&core, text, nbytes, "built-in schema core", true));
        reader->schema->name = name;
        reader->schema->version = version;
    }
    const yaml_node_t *attributes = entry(reader, root, "attributes");
    if (!attributes) return fail_at(reader, root, "the schema has no attributes; add attributes: with one entry per attribute");
    return read_attributes(reader, attributes);
}

static maestro_status_t fail_yaml(const reader_t *reader, const yaml_parser_t *parser) {
    const yaml_mark_t *mark = &parser->problem_mark;
    return mst_base_fail(MAESTRO_BAD_SCHEMA, "%.256s:%zu:%zu: not YAML: %s%s%s; check the indentation, quotes and brackets there", reader->source, mark->line + 1,
                         mark->column + 1, parser->problem ? parser->problem : "the parser failed", parser->context ? " " : "", parser->context ? parser->context : "");
}

static maestro_status_t want_end(const reader_t *reader, yaml_parser_t *parser) {
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second)) return fail_yaml(reader, parser);
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    maestro_status_t status = root ? fail_at(reader, root, "a second document begins here; keep one schema per file") : MAESTRO_OK;
    yaml_document_delete(&second);
    return status;
}

static maestro_status_t parse_text(reader_t *reader, const char *yaml, size_t nbytes, const char *source, bool core) {
    yaml_parser_t parser;
    reader->source = source;
    if (!yaml_parser_initialize(&parser)) return mst_base_fail(MAESTRO_NO_MEMORY, "read the schema %.256s: no memory", source);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, nbytes);
    maestro_status_t status;
    if (!yaml_parser_load(&parser, &reader->document)) {
        status = fail_yaml(reader, &parser);
    } else {
        status = read_document(reader, core);
        yaml_document_delete(&reader->document);
        if (status == MAESTRO_OK) status = want_end(reader, &parser);
    }
    yaml_parser_delete(&parser);
    return status;
}

/* The pool has one core schema; another of that name would number the keys differently. */
static maestro_status_t want_true_core(const reader_t *reader) {
    const mst_meta_schema_t *schema = reader->schema;
    if (!reader->core || schema->nattributes == MST_META_CORE_KEYS) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_BAD_SCHEMA, "%.256s:1:1: core is the name of Maestro's own schema; choose another name", reader->source);
}

maestro_status_t mst_meta_schema_parse(const char *yaml, size_t nbytes, const char *source, mst_meta_schema_t **schema_out) {
    if (nbytes > MST_META_YAML_MAX) return mst_base_fail(MAESTRO_BAD_SCHEMA, "%.256s: the schema is larger than 1 MiB; split it", source);
    mst_meta_schema_t *schema = calloc(1, sizeof *schema);
    reader_t reader = {.schema = schema, .arena = mst_meta_arena_create()};
    maestro_status_t status = MAESTRO_OK;
    if (schema) {
        schema->arena = reader.arena;
        schema->text = malloc(nbytes + 1);
    }
    if (!schema || !schema->arena || !schema->text) status = mst_base_fail(MAESTRO_NO_MEMORY, "read the schema %.256s: no memory", source);
    if (status == MAESTRO_OK) status = parse_text(&reader, yaml, nbytes, source, false);
    if (status == MAESTRO_OK) status = want_true_core(&reader);
    if (status != MAESTRO_OK) {
        mst_meta_schema_destroy(schema);
        return status;
    }
    memcpy(schema->text, yaml, nbytes);
    schema->text[nbytes] = '\0';
    schema->text_nbytes = nbytes;
    mst_meta_schema_seal(schema);
    *schema_out = schema;
    return MAESTRO_OK;
}
