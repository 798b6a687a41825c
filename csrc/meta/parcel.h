/* An object's attributes as they travel between nodes: keys of a schema that both sides have, values without codes of a node's dictionary.
 * A parcel is a sequence of entries { uint32 key, uint32 bytes, value padded to 8 bytes }; text and blobs are their bytes, other values their word. */
#ifndef MST_META_PARCEL_H
#define MST_META_PARCEL_H

#include "meta/attributes.h"
#include "meta/dictionary.h"
#include "meta/schema.h"

/* Appends the set to the buffer (its `failed` tells of missing memory). */
void mst_meta_parcel_write(mst_base_buffer_t *out, const mst_meta_attributes_t *set, const mst_meta_schema_t *schema, const mst_meta_dictionary_t *dictionary);
/* Sets what a parcel holds, checked like a user's values.  Errors: PROTOCOL (cut short, unknown key), and those of the setters. */
maestro_status_t mst_meta_parcel_read(const void *bytes, size_t nbytes, mst_meta_builder_t *builder);

#endif
