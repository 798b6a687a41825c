/* Inside of the schema files of this room: the reader's state and the steps between YAML and mst_meta_schema_t. */
#ifndef MST_META_SCHEMA_READER_H
#define MST_META_SCHEMA_READER_H

#include "meta/arena.h"
#include "meta/schema.h"

enum {
    MST_META_NAME_MAX = 48,      /* bytes of an attribute's or schema's name */
    MST_META_VALUE_MAX = 255,    /* bytes of an allowed value, alias or default */
    MST_META_YAML_MAX = 1 << 20
};

const char *mst_meta_schema_builtin(const char *name, size_t *nbytes_out);  /* YAML text, NULL: none of that name */
void mst_meta_schema_seal(mst_meta_schema_t *schema);                       /* masks, name table, hash */

/* What the two units that give strings a meaning make of a text; see schema.h. */
bool mst_meta_is_time(const mst_meta_attribute_t *attribute);
bool mst_meta_is_date(const mst_meta_attribute_t *attribute);

#endif
