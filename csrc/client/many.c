/* Many objects in one call: attributes by columns, payloads copied. */
#include "client/client.h"

#include "mem/copy.h"

#include <stdio.h>

enum { RING_EVERY = 64 };

static maestro_status_t set_value(mst_meta_builder_t *builder, unsigned key, const maestro_column_t *column, size_t row) {
    size_t at = column->constant ? 0 : row;
    switch (column->type) {
    case MAESTRO_TYPE_BOOL: return mst_meta_builder_set_bool(builder, key, ((const bool *)column->values)[at]);
    case MAESTRO_TYPE_I64: return mst_meta_builder_set_i64(builder, key, ((const int64_t *)column->values)[at]);
    case MAESTRO_TYPE_TIMESTAMP: return mst_meta_builder_set_timestamp(builder, key, ((const int64_t *)column->values)[at]);
    case MAESTRO_TYPE_F64: return mst_meta_builder_set_f64(builder, key, ((const double *)column->values)[at]);
    case MAESTRO_TYPE_STRING: {
        const char *text = ((const char *const *)column->values)[at];
        if (!text) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "column %s: the text is NULL", column->key);
        return mst_meta_builder_set_text(builder, key, text, strlen(text));
    }
    default: return mst_base_fail(MAESTRO_WRONG_TYPE, "column %s: columns hold bool, i64, f64, string or timestamp", column->key);
    }
}

static maestro_status_t resolve(const maestro_session_t *session, const maestro_column_t *columns, size_t ncolumns, unsigned *keys) {
    for (size_t i = 0; i < ncolumns; i++) {
        if (!columns[i].key || !columns[i].values) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "column %zu: key or values are NULL", i);
        MST_TRY(mst_meta_schema_require_key(session->schema, columns[i].key, "offer many", &keys[i]));
        if (mst_client_key_is_maestros(keys[i])) return mst_client_refuse_key("column", columns[i].key);
    }
    return MAESTRO_OK;
}

static maestro_status_t copy_payload(maestro_session_t *session, const void *bytes, size_t nbytes, int64_t deadline_ns, mst_wire_place_t *place) {
    mst_mem_block_t block;
    *place = (mst_wire_place_t){.segment = MST_WIRE_NO_SEGMENT};
    if (!nbytes) return MAESTRO_OK;
    if (!bytes) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "the payload is NULL and has %zu bytes", nbytes);
    MST_TRY(mst_client_alloc(session, nbytes, deadline_ns, "offer many", &block));
    mst_mem_copy(block.address, bytes, nbytes);
    *place = (mst_wire_place_t){.segment = block.segment, .offset = block.offset, .nbytes = nbytes};
    return MAESTRO_OK;
}

typedef struct batch {
    const maestro_column_t *columns;
    const unsigned *keys;
    size_t ncolumns;
    const void *const *payloads;
    const size_t *nbytes;
} batch_t;

static maestro_status_t offer_row(maestro_session_t *session, const batch_t *batch, mst_meta_builder_t *builder, size_t row, int64_t deadline_ns) {
    mst_wire_place_t place;
    uint64_t id;
    for (size_t i = 0; i < batch->ncolumns; i++)
        if (row == 0 || !batch->columns[i].constant) MST_TRY(set_value(builder, batch->keys[i], &batch->columns[i], row));
    MST_TRY(mst_meta_builder_complete(builder));
    MST_TRY(copy_payload(session, batch->payloads ? batch->payloads[row] : NULL, batch->payloads ? batch->nbytes[row] : 0, deadline_ns, &place));
    bool copied = place.segment != MST_WIRE_NO_SEGMENT;
    maestro_status_t status = mst_client_write_offer(session, builder, &place, copied, deadline_ns, "offer many", &id);
    if (status != MAESTRO_OK && copied) mst_mem_allocator_free(session->allocator, place.segment, place.offset);
    return status;
}

maestro_status_t maestro_offer_many(maestro_session_t *session, size_t count, const maestro_column_t *columns, size_t ncolumns, const void *const *payloads, const size_t *nbytes,
                                    size_t *offered_out) {
    unsigned keys[MST_META_KEYS_MAX];
    size_t offered = 0;
    if (offered_out) *offered_out = 0;
    if (ncolumns > MST_COUNT(keys) || (ncolumns && !columns) || (payloads && !nbytes))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "offer many: columns are missing or more than %zu, or payloads come without sizes", MST_COUNT(keys));
    MST_TRY(mst_client_enter(session, "offer many"));
    batch_t batch = {columns, keys, ncolumns, payloads, nbytes};
    int64_t deadline = mst_base_deadline_ns(session->timeout_s);
    mst_meta_builder_t builder;
    mst_meta_builder_init(&builder, session->schema, session->dictionary);
    mst_client_drain(session);
    maestro_status_t status = resolve(session, columns, ncolumns, keys);
    for (size_t row = 0; row < count && status == MAESTRO_OK; row++) {
        status = offer_row(session, &batch, &builder, row, deadline);
        if (status != MAESTRO_OK) mst_base_fail_context(status, "offer many: object %zu of %zu", row, count);
        else if (++offered % RING_EVERY == 0) mst_client_ring(session, MST_WIRE_ASLEEP);
    }
    mst_client_ring(session, MST_WIRE_ASLEEP);
    mst_meta_builder_fini(&builder);
    mst_client_leave(session);
    if (offered_out) *offered_out = offered;
    return status;
}
