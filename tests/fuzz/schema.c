/* Schemas from any text: an error that says where, or a schema whose text gives the same one again and that can be told as JSON. */
#include "fuzz.h"

#include "meta/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes) {
    mst_meta_schema_t *schema = NULL, *again = NULL;
    maestro_status_t status = mst_meta_schema_parse((const char *)bytes, nbytes, "fuzz", &schema);
    if (status != MAESTRO_OK) {
        MUST(status == MAESTRO_BAD_SCHEMA && strncmp(maestro_last_error(), "fuzz:", 5) == 0);
        return 0;
    }
    char difference[512];
    mst_base_buffer_t json = {0};
    MUST(mst_meta_schema_parse(schema->text, schema->text_nbytes, "again", &again) == MAESTRO_OK);
    MUST(again->hash == schema->hash && again->nattributes == schema->nattributes);
    for (size_t key = 0; key < schema->nattributes; key++) {
        const char *name = schema->attribute[key].name;
        MUST(mst_meta_schema_key(schema, name, strlen(name)) == (int)key);
    }
    mst_meta_schema_difference(schema, again, difference, sizeof difference);
    mst_meta_schema_json(schema, &json);
    mst_base_buffer_fini(&json);
    mst_meta_schema_destroy(schema);
    mst_meta_schema_destroy(again);
    return 0;
}
