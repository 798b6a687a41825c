/* Schemas as things: found by name, looked into, compared, freed.  Reading YAML is in schema_yaml.c, conversions of values in
 * schema_convert.c.  Invariant: a schema does not change once it is parsed (but for its number). */
#include "meta/schema.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "meta/schema_reader.h"

static const char core_yaml[] = {
#include "meta/schemas/core.yaml.inc"
};
static const char mars_yaml[] = {
#include "meta/schemas/mars.yaml.inc"
};

const char *mst_meta_schema_builtin(const char *name, size_t *nbytes_out) {
    if (strcmp(name, "core") == 0) return *nbytes_out = sizeof core_yaml - 1, core_yaml;
    if (strcmp(name, "mars") == 0) return *nbytes_out = sizeof mars_yaml - 1, mars_yaml;
    return NULL;
}

void mst_meta_schema_destroy(mst_meta_schema_t *schema) {
    if (!schema) return;
    mst_meta_arena_destroy(schema->arena);
    free(schema->text);
    free(schema);
}

const char *mst_meta_type_name(maestro_type_t type) {
    static const char *const names[] = {"?", "bool", "i64", "f64", "string", "timestamp", "blob"};
    static const char *const arrays[] = {"?", "bool array", "i64 array", "f64 array", "string array", "timestamp array"};
    if (mst_meta_type_is_array(type)) return mst_meta_element_type(type) < MST_COUNT(arrays) ? arrays[mst_meta_element_type(type)] : arrays[0];
    return (unsigned)type < MST_COUNT(names) ? names[type] : names[0];
}

/* ---- Finding a schema. */

static maestro_status_t load_file(const char *path, mst_meta_schema_t **schema_out) {
    FILE *file = fopen(path, "rb");
    if (!file) return mst_base_fail_errno("read the schema %s", path);
    char *text = malloc(MST_META_YAML_MAX + 1);
    size_t nbytes = text ? fread(text, 1, MST_META_YAML_MAX + 1, file) : 0;
    bool broken = ferror(file);
    fclose(file);
    maestro_status_t status;
    if (!text) status = mst_base_fail(MAESTRO_NO_MEMORY, "read the schema %s: no memory", path);
    else if (broken) status = mst_base_fail_errno("read the schema %s", path);
    else status = mst_meta_schema_parse(text, nbytes, path, schema_out);
    free(text);
    return status;
}

/* The file <folder>/<name>.yaml in MAESTRO_SCHEMA_PATH, if it is there. */
static bool search_path(const char *name, char *path, size_t nbytes) {
    const char *folders = mst_base_setting("MAESTRO_SCHEMA_PATH");
    while (folders && *folders) {
        size_t length = strcspn(folders, ":");
        int needed = snprintf(path, nbytes, "%.*s/%s.yaml", (int)length, folders, name);
        if (length && needed > 0 && (size_t)needed < nbytes && access(path, R_OK) == 0) return true;
        folders += length + (folders[length] == ':');
    }
    return false;
}

static bool is_path(const char *name) {
    size_t nbytes = strlen(name);
    bool yaml = (nbytes > 5 && strcmp(name + nbytes - 5, ".yaml") == 0) || (nbytes > 4 && strcmp(name + nbytes - 4, ".yml") == 0);
    return yaml || strchr(name, '/');
}

maestro_status_t mst_meta_schema_load(const char *name_or_path, mst_meta_schema_t **schema_out) {
    char path[4096];
    const char *name = name_or_path && *name_or_path ? name_or_path : "core";
    if (is_path(name)) return load_file(name, schema_out);
    if (search_path(name, path, sizeof path)) return load_file(path, schema_out);
    size_t nbytes;
    const char *text = mst_meta_schema_builtin(name, &nbytes);
    if (!text)
        return mst_base_fail(MAESTRO_BAD_SCHEMA, "load the schema %.64s: no such schema; built-in are core and mars, a file of one's own is given by "
                             "its path (./%.64s.yaml) or found as %.64s.yaml in a folder of MAESTRO_SCHEMA_PATH", name, name, name);
    snprintf(path, sizeof path, "built-in schema %s", name);
    return mst_meta_schema_parse(text, nbytes, path, schema_out);
}

/* ---- Names of attributes. */

static unsigned slot_of(const char *name, size_t nbytes) { return (unsigned)(mst_base_hash(name, nbytes) & 511); }

static int find(const mst_meta_schema_t *schema, const char *name, size_t nbytes) {
    for (unsigned at = slot_of(name, nbytes); schema->name_slot[at]; at = (at + 1) & 511) {
        const char *known = schema->attribute[schema->name_slot[at] - 1].name;
        if (strncmp(known, name, nbytes) == 0 && known[nbytes] == '\0') return schema->name_slot[at] - 1;
    }
    return -1;
}

int mst_meta_schema_key(const mst_meta_schema_t *schema, const char *name, size_t nbytes) {
    int key = find(schema, name, nbytes);
    size_t space = strlen(schema->name);
    if (key >= 0 || nbytes <= space + 1 || name[space] != '.' || memcmp(name, schema->name, space) != 0) return key;
    return find(schema, name + space + 1, nbytes - space - 1);
}

const char *mst_meta_schema_nearest(const mst_meta_schema_t *schema, const char *name, size_t nbytes) {
    const char *candidates[MST_META_KEYS_MAX];
    for (size_t i = 0; i < schema->nattributes; i++) {
        const char *point = strchr(schema->attribute[i].name, '.');
        if (point && strlen(point + 1) == nbytes && memcmp(point + 1, name, nbytes) == 0) return schema->attribute[i].name; /* name: maestro.name */
        candidates[i] = schema->attribute[i].name;
    }
    return mst_base_nearest(name, nbytes, candidates, schema->nattributes);
}

maestro_status_t mst_meta_schema_require_key(const mst_meta_schema_t *schema, const char *name, const char *operation, unsigned *key_out) {
    size_t nbytes = strlen(name);
    int key = mst_meta_schema_key(schema, name, nbytes);
    if (key >= 0) return *key_out = (unsigned)key, MAESTRO_OK;
    const char *nearest = mst_meta_schema_nearest(schema, name, nbytes);
    return mst_base_fail(MAESTRO_UNKNOWN_ATTRIBUTE, "%s: '%.64s' is no attribute of schema %s%s%s%s", operation, name, schema->name,
                         nearest ? "; did you mean '" : "; it has those that its YAML file lists", nearest ? nearest : "", nearest ? "'?" : "");
}

/* ---- What a schema is made of. */

static void mix_text(mst_base_buffer_t *content, const char *text) {
    mst_base_buffer_append(content, text ? text : "\1", text ? strlen(text) + 1 : 2);
}

static void mix_attribute(mst_base_buffer_t *content, const mst_meta_attribute_t *a) {
    mix_text(content, a->name);
    mst_base_buffer_printf(content, "%d %d %d %d %d %u %.17g ", a->type, a->required, a->identity, a->common, a->fold, a->pad, a->by);
    mix_text(content, a->unit);
    mix_text(content, a->otherwise);
    uint64_t sum = 0; /* the order of values and aliases has no meaning */
    for (size_t i = 0; i < a->nvalues; i++) sum += mst_base_hash(a->values[i], strlen(a->values[i]));
    for (size_t i = 0; i < a->naliases; i++)
        sum += mst_base_mix(mst_base_hash_seeded(a->aliases[i].from, strlen(a->aliases[i].from), mst_base_hash(a->aliases[i].to, strlen(a->aliases[i].to))));
    mst_base_buffer_printf(content, "%zu %zu %llx ", a->nvalues, a->naliases, (unsigned long long)sum);
}

static bool word_can_be_wrong(maestro_type_t type) { /* of an array all */ return type != MAESTRO_TYPE_I64 && type != MAESTRO_TYPE_TIMESTAMP; }

void mst_meta_schema_seal(mst_meta_schema_t *schema) {
    mst_base_buffer_t content = {0};
    mst_base_buffer_printf(&content, "%s %lld %d %d ", schema->name, (long long)schema->version, schema->versions, schema->whole_pool);
    for (unsigned key = 0; key < schema->nattributes; key++) {
        const mst_meta_attribute_t *a = &schema->attribute[key];
        uint64_t bit = 1ull << (key & 63);
        schema->all[key >> 6] |= bit;
        schema->required[key >> 6] |= a->required ? bit : 0;
        schema->identity[key >> 6] |= a->identity ? bit : 0;
        schema->common[key >> 6] |= a->common ? bit : 0;
        schema->defaulted[key >> 6] |= a->otherwise ? bit : 0;
        schema->checked[key >> 6] |= word_can_be_wrong(a->type) ? bit : 0;
        unsigned at = slot_of(a->name, strlen(a->name));
        while (schema->name_slot[at]) at = (at + 1) & 511;
        schema->name_slot[at] = (uint8_t)(key + 1);
        mix_attribute(&content, a);
    }
    if (!schema->identity[0] && !schema->identity[1]) schema->identity[0] = 1ull << MST_META_KEY_NAME; /* who marks nothing tells objects apart by name */
    schema->hash = mst_base_hash(content.data, content.nbytes);
    mst_base_buffer_fini(&content);
}

static const char *yes(bool value) { return value ? "true" : "false"; }

/* Names the first thing in which two attributes of one name differ. */
static bool difference(const mst_meta_attribute_t *a, const mst_meta_attribute_t *b, char *text, size_t nbytes) {
    const struct { const char *what; bool here, there; } flags[] = {
        {"required", a->required, b->required}, {"identity", a->identity, b->identity}, {"common", a->common, b->common}, {"fold", a->fold, b->fold}};
    for (size_t i = 0; i < MST_COUNT(flags); i++)
        if (flags[i].here != flags[i].there)
            return snprintf(text, nbytes, "attribute %s: %s is %s here, %s there", a->name, flags[i].what, yes(flags[i].here), yes(flags[i].there)), true;
    const struct { const char *what, *here, *there; } texts[] = {
        {"type", mst_meta_type_name(a->type), mst_meta_type_name(b->type)}, {"unit", a->unit, b->unit}, {"default", a->otherwise, b->otherwise}};
    for (size_t i = 0; i < MST_COUNT(texts); i++) {
        const char *here = texts[i].here ? texts[i].here : "not given", *there = texts[i].there ? texts[i].there : "not given";
        if (strcmp(here, there) != 0) return snprintf(text, nbytes, "attribute %s: %s is %s here, %s there", a->name, texts[i].what, here, there), true;
    }
    if (a->pad != b->pad) return snprintf(text, nbytes, "attribute %s: pad is %u here, %u there", a->name, a->pad, b->pad), true;
    if (a->by != b->by) return snprintf(text, nbytes, "attribute %s: by is %g here, %g there", a->name, a->by, b->by), true;
    mst_base_buffer_t x = {0}, y = {0};
    mix_attribute(&x, a);
    mix_attribute(&y, b);
    bool same = x.nbytes == y.nbytes && x.data && y.data && memcmp(x.data, y.data, x.nbytes) == 0;
    mst_base_buffer_fini(&x);
    mst_base_buffer_fini(&y);
    if (!same) snprintf(text, nbytes, "attribute %s: its values or aliases differ", a->name);
    return !same;
}

void mst_meta_schema_difference(const mst_meta_schema_t *here, const mst_meta_schema_t *there, char *text, size_t nbytes) {
    snprintf(text, nbytes, "no difference");
    if (strcmp(here->name, there->name) != 0) { snprintf(text, nbytes, "the name is %s here, %s there", here->name, there->name); return; }
    if (here->version != there->version) {
        snprintf(text, nbytes, "the version is %lld here, %lld there", (long long)here->version, (long long)there->version);
        return;
    }
    if (here->versions != there->versions) {
        snprintf(text, nbytes, "duplicate is %s here, %s there", here->versions ? "version" : "error", there->versions ? "version" : "error");
        return;
    }
    if (here->whole_pool != there->whole_pool) {
        snprintf(text, nbytes, "reach is %s here, %s there", here->whole_pool ? "pool" : "node", there->whole_pool ? "pool" : "node");
        return;
    }
    for (size_t i = 0; i < here->nattributes; i++)
        if (find(there, here->attribute[i].name, strlen(here->attribute[i].name)) < 0) { snprintf(text, nbytes, "attribute %s is missing there", here->attribute[i].name); return; }
    for (size_t i = 0; i < there->nattributes; i++) {
        const mst_meta_attribute_t *other = &there->attribute[i];
        int key = find(here, other->name, strlen(other->name));
        if (key < 0) { snprintf(text, nbytes, "attribute %s is missing here", other->name); return; }
        if (difference(&here->attribute[key], other, text, nbytes)) return;
    }
    for (size_t i = MST_META_CORE_KEYS; i < here->nattributes; i++)
        if (strcmp(here->attribute[i].name, there->attribute[i].name) != 0) {
            snprintf(text, nbytes, "the order of attributes differs: number %zu is %s here, %s there", i - MST_META_CORE_KEYS + 1, here->attribute[i].name, there->attribute[i].name);
            return;
        }
}

/* ---- As JSON. */

static void json_member(mst_base_buffer_t *out, const char *name, const char *text) {
    if (!text) return;
    mst_base_buffer_printf(out, ",\"%s\":", name);
    mst_base_buffer_json_string(out, text, strlen(text));
}

static void json_attribute(mst_base_buffer_t *out, const mst_meta_attribute_t *a) {
    mst_base_buffer_printf(out, "{\"name\":");
    mst_base_buffer_json_string(out, a->name, strlen(a->name));
    mst_base_buffer_printf(out, ",\"type\":\"%s\",\"required\":%s,\"identity\":%s,\"common\":%s", mst_meta_type_name(mst_meta_element_type(a->type)), yes(a->required),
                           yes(a->identity), yes(a->common));
    if (mst_meta_type_is_array(a->type)) mst_base_buffer_printf(out, ",\"array\":true");
    if (a->fold) mst_base_buffer_printf(out, ",\"fold\":true");
    if (a->pad) mst_base_buffer_printf(out, ",\"pad\":%u", a->pad);
    if (a->by > 0) mst_base_buffer_printf(out, ",\"by\":%.15g", a->by);
    json_member(out, "unit", a->unit);
    json_member(out, "default", a->otherwise);
    json_member(out, "doc", a->doc);
    for (size_t i = 0; i < a->nvalues; i++) {
        mst_base_buffer_printf(out, i ? "," : ",\"values\":[");
        mst_base_buffer_json_string(out, a->values[i], strlen(a->values[i]));
    }
    if (a->nvalues) mst_base_buffer_printf(out, "]");
    for (size_t i = 0; i < a->naliases; i++) {
        mst_base_buffer_printf(out, i ? "," : ",\"aliases\":{");
        mst_base_buffer_json_string(out, a->aliases[i].from, strlen(a->aliases[i].from));
        mst_base_buffer_printf(out, ":");
        mst_base_buffer_json_string(out, a->aliases[i].to, strlen(a->aliases[i].to));
    }
    mst_base_buffer_printf(out, a->naliases ? "}}" : "}");
}

void mst_meta_schema_json(const mst_meta_schema_t *schema, mst_base_buffer_t *out) {
    mst_base_buffer_printf(out, "{\"name\":");
    mst_base_buffer_json_string(out, schema->name, strlen(schema->name));
    mst_base_buffer_printf(out, ",\"version\":%lld,\"reach\":\"%s\",\"text\":", (long long)schema->version, schema->whole_pool ? "pool" : "node");
    mst_base_buffer_json_string(out, schema->text, schema->text_nbytes);
    mst_base_buffer_printf(out, ",\"attributes\":[");
    for (size_t i = 0; i < schema->nattributes; i++) {
        if (i) mst_base_buffer_printf(out, ",");
        json_attribute(out, &schema->attribute[i]);
    }
    mst_base_buffer_printf(out, "]}");
}
