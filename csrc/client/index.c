/* An index of one's own: packed attribute sets, found by selectors without a pool.
 *
 * Sets are kept with the codes of the index's own dictionary, so that they outlive the session that they came from.  Sets do not go again, and a number
 * is a place in the table.  Invariant: every set is complete in memory before the index knows its number. */
#include "client/client.h"

#include "meta/index.h"

enum { CODES = 1 << 16, CODES_TEXT = 4 << 20 };

struct maestro_index {
    mst_meta_schema_t *schema;
    void *dictionary_memory;
    mst_meta_dictionary_t *dictionary;
    mst_meta_index_t *index;
    mst_meta_attributes_t **set;
    size_t count, capacity;
};

static const mst_meta_attributes_t *lookup(void *context, uint32_t number) { return ((maestro_index_t *)context)->set[number]; }

void maestro_index_destroy(maestro_index_t *index) {
    if (!index) return;
    mst_meta_index_destroy(index->index);
    for (size_t i = 0; i < index->count; i++) free(index->set[i]);
    free(index->set);
    free(index->dictionary_memory);
    mst_meta_schema_destroy(index->schema);
    free(index);
}

static maestro_status_t fill_in(maestro_index_t *index, const mst_meta_schema_t *schema) {
    MST_TRY(mst_meta_schema_parse(schema->text, schema->text_nbytes, schema->name, &index->schema));
    index->schema->number = strcmp(schema->name, "core") != 0; /* as pools number them: 0 is the core schema */
    index->dictionary_memory = calloc(1, mst_meta_dictionary_nbytes(CODES, CODES_TEXT));
    if (!index->dictionary_memory) return mst_base_fail(MAESTRO_SYSTEM, "create index: no memory");
    index->dictionary = mst_meta_dictionary_init(index->dictionary_memory, CODES, CODES_TEXT);
    MST_TRY(mst_meta_index_create(lookup, index, index->dictionary, &index->index));
    return mst_meta_index_know(index->index, index->schema);
}

maestro_status_t maestro_index_create(maestro_session_t *session, maestro_index_t **index_out) {
    if (!index_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "create index: the output is NULL");
    MST_TRY(mst_client_enter(session, "create index"));
    maestro_index_t *index = calloc(1, sizeof *index);
    maestro_status_t status = index ? fill_in(index, session->schema) : mst_base_fail(MAESTRO_SYSTEM, "create index: no memory");
    if (status == MAESTRO_OK) *index_out = index;
    else maestro_index_destroy(index);
    mst_client_leave(session);
    return status;
}

/* ---- Adding. */

static maestro_status_t append(maestro_index_t *index, mst_meta_attributes_t *set) {
    if (index->count >= UINT32_MAX - 1 || !MST_RESERVE(index->set, index->capacity, index->count + 1, 256))
        return mst_base_fail(MAESTRO_NO_MEMORY, "add to index: no memory for more than %zu objects", index->count);
    index->set[index->count] = set;
    MST_TRY(mst_meta_index_insert(index->index, (uint32_t)index->count, set));
    index->count++;
    return MAESTRO_OK;
}

static maestro_status_t add_built(maestro_index_t *index, const mst_meta_builder_t *builder) {
    size_t nbytes;
    MST_TRY(mst_meta_builder_pack(builder, index->schema->number, NULL, 0, &nbytes));
    mst_meta_attributes_t *set = malloc(nbytes);
    if (!set) return mst_base_fail(MAESTRO_NO_MEMORY, "add to index: no memory");
    maestro_status_t status = mst_meta_builder_pack(builder, index->schema->number, set, nbytes, &nbytes);
    if (status == MAESTRO_OK) mst_meta_attributes_intern(set, index->schema, index->dictionary, true);
    if (status == MAESTRO_OK) status = append(index, set);
    if (status != MAESTRO_OK) free(set);
    return status;
}

maestro_status_t maestro_index_add(maestro_index_t *index, const maestro_cdo_t *cdo) {
    if (!index || !cdo) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "add to index: the index or the object is NULL");
    if (cdo->state == MST_CLIENT_FREE) return mst_base_fail(MAESTRO_WRONG_STATE, "add to index: this handle has been disposed");
    if (cdo->session->schema->hash != index->schema->hash)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "add to index: the object is of schema %s, the index of schema %s", cdo->session->schema->name, index->schema->name);
    mst_meta_builder_t builder;
    mst_meta_builder_init(&builder, index->schema, NULL);
    maestro_status_t status = mst_client_copy_attributes(cdo, &builder);
    if (status == MAESTRO_OK) status = add_built(index, &builder);
    mst_meta_builder_fini(&builder);
    return status;
}

/* ---- Finding. */

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static maestro_status_t scan(const maestro_index_t *index, const mst_meta_selector_t *selector, uint32_t **numbers, size_t *count) {
    uint32_t *found = realloc(*numbers, (index->count + 1) * sizeof *found);
    if (!found) return mst_base_fail(MAESTRO_NO_MEMORY, "find in index: no memory");
    *numbers = found;
    for (size_t i = 0; i < index->count; i++)
        if (mst_meta_selector_match(selector, index->set[i], index->dictionary)) found[(*count)++] = (uint32_t)i;
    return MAESTRO_OK;
}

maestro_status_t maestro_index_find(maestro_index_t *index, const char *text, uint32_t **numbers_out, size_t *count_out) {
    mst_meta_selector_t *selector = NULL;
    uint32_t *numbers = NULL;
    size_t count = 0, capacity = 0;
    if (!index || !numbers_out || !count_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "find in index: the index or an output is NULL");
    MST_TRY(mst_meta_selector_parse(index->schema, text, &selector));
    mst_meta_selector_bind(selector, index->dictionary);
    maestro_status_t status = mst_meta_index_query(index->index, selector, &numbers, &count, &capacity);
    if (status == MAESTRO_AGAIN) status = scan(index, selector, &numbers, &count);
    else if (status == MAESTRO_OK && count) qsort(numbers, count, sizeof *numbers, ascending);
    mst_meta_selector_destroy(selector);
    if (status != MAESTRO_OK) {
        free(numbers);
        return status;
    }
    *numbers_out = numbers;
    *count_out = count;
    return MAESTRO_OK;
}
