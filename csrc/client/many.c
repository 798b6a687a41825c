/* Many objects in one call: attributes by columns, payloads copied.  Like objects without text of their own go as runs, others one by one. */
#include "client/client.h"

#include "mem/copy.h"

#include <stdio.h>

enum { RING_EVERY = 64, HELD_NBYTES = 256 << 10 };

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
        if (keys[i] == MST_META_KEY_PARTS) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "column %s: parts of objects are offered one by one", columns[i].key);
        for (size_t k = 0; k < i; k++) /* which of them held would depend on how the objects travel */
            if (keys[k] == keys[i]) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "offer many: two columns name %s", columns[i].key);
    }
    return MAESTRO_OK;
}

/* With `wait` it may wait for room until the deadline; else NO_MEMORY where it would have to. */
static maestro_status_t copy_payload(maestro_session_t *session, const void *bytes, size_t nbytes, bool wait, int64_t deadline_ns, mst_wire_place_t *place) {
    mst_mem_block_t block;
    *place = (mst_wire_place_t){.segment = MST_WIRE_NO_SEGMENT};
    if (!nbytes) return MAESTRO_OK;
    if (!bytes) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "the payload is NULL and has %zu bytes", nbytes);
    MST_TRY(wait ? mst_client_alloc(session, nbytes, deadline_ns, "offer many", &block) : mst_client_try_alloc(session, nbytes, &block));
    mst_mem_copy(block.address, bytes, nbytes);
    *place = (mst_wire_place_t){.segment = block.segment, .offset = block.offset, .nbytes = nbytes};
    return MAESTRO_OK;
}

/* One call. */
typedef struct batch {
    const maestro_column_t *columns;
    unsigned keys[MST_META_KEYS_MAX];
    size_t ncolumns;
    const void *const *payloads;
    const size_t *nbytes;
    size_t count;
    int64_t deadline_ns;
    mst_meta_builder_t builder;              /* of the row that was built last */
    unsigned own[MST_WIRE_RUN_OWN], nown;    /* keys of the columns with a value for each object, ascending */
    const maestro_column_t *own_column[MST_WIRE_RUN_OWN];
    uint64_t *row;                           /* rows of a run under construction; NULL: no memory or too many own columns, no runs */
} batch_t;

static maestro_status_t build(batch_t *batch, size_t row) {
    for (size_t i = 0; i < batch->ncolumns; i++)
        if (row == 0 || !batch->columns[i].constant) MST_TRY(set_value(&batch->builder, batch->keys[i], &batch->columns[i], row));
    return row == 0 ? mst_meta_builder_complete(&batch->builder) : MAESTRO_OK; /* all have the same keys */
}

static size_t payload_nbytes(const batch_t *batch, size_t row) { return batch->payloads ? batch->nbytes[row] : 0; }

static maestro_status_t copy_row(maestro_session_t *session, const batch_t *batch, size_t row, bool wait, mst_wire_place_t *place) {
    return copy_payload(session, batch->payloads ? batch->payloads[row] : NULL, payload_nbytes(batch, row), wait, batch->deadline_ns, place);
}

static void free_place(maestro_session_t *session, const mst_wire_place_t *place) {
    if (place->segment != MST_WIRE_NO_SEGMENT) mst_mem_allocator_free(session->allocator, place->segment, place->offset);
}

static maestro_status_t offer_row(maestro_session_t *session, batch_t *batch, size_t row) {
    mst_wire_place_t place;
    uint64_t id;
    MST_TRY(copy_row(session, batch, row, true, &place));
    maestro_status_t status = mst_client_write_offer(session, &batch->builder, &place, place.segment != MST_WIRE_NO_SEGMENT ? MST_WIRE_OFFER_COPIED : 0, batch->deadline_ns, "offer many", &id);
    if (status != MAESTRO_OK) free_place(session, &place);
    return status;
}

/* ---- Runs. */

static void find_own(batch_t *batch) {
    const maestro_column_t *own[MST_META_KEYS_MAX] = {NULL};
    for (size_t i = 0; i < batch->ncolumns; i++)
        if (!batch->columns[i].constant) own[batch->keys[i]] = &batch->columns[i];
    for (unsigned key = 0; key < MST_META_KEYS_MAX; key++) {
        if (!own[key]) continue;
        if (batch->nown == MST_COUNT(batch->own)) return;
        batch->own_column[batch->nown] = own[key];
        batch->own[batch->nown++] = key;
    }
    batch->row = malloc(MST_WIRE_RUN_ROWS * (sizeof(mst_wire_place_t) + 8u * batch->nown));
}

static bool is_text(const batch_t *batch, unsigned key) {
    return mst_meta_type_is_text(batch->builder.schema->attribute[key].type) && mst_meta_word_is_tail(batch->builder.value[key]);
}

static bool any_text(const batch_t *batch) {
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t bits = batch->builder.mask[half]; bits; bits &= bits - 1)
            if (is_text(batch, half * 64 + (unsigned)__builtin_ctzll(bits))) return true;
    return false;
}

/* Puts the words of one column into rows, `stride` words apart; how many rows, up to the first value that is wrong or text of its own. */
static size_t encode(batch_t *batch, unsigned key, const maestro_column_t *column, size_t first, size_t count, uint64_t *word, size_t stride) {
    const mst_meta_schema_t *schema = batch->builder.schema;
    size_t i = 0;
    if (column->type == schema->attribute[key].type && (column->type == MAESTRO_TYPE_I64 || column->type == MAESTRO_TYPE_TIMESTAMP)) {
        for (const int64_t *value = (const int64_t *)column->values + first; i < count; i++) word[i * stride] = (uint64_t)value[i];
    } else if (column->type == MAESTRO_TYPE_F64 && schema->attribute[key].type == MAESTRO_TYPE_F64) {
        for (const double *value = (const double *)column->values + first; i < count && value[i] == value[i]; i++) word[i * stride] = mst_meta_f64_word(value[i]);
    } else {
        for (; i < count && set_value(&batch->builder, key, column, first + i) == MAESTRO_OK && !is_text(batch, key); i++) word[i * stride] = batch->builder.value[key];
    }
    return i;
}

/* The attributes of the first object: what is constant counts, and is no text of its own. */
static maestro_status_t begin_run(const maestro_session_t *session, const batch_t *batch, bool places, mst_wire_run_t *run) {
    size_t nbytes;
    memset(run, 0, offsetof(mst_wire_run_t, attributes));
    MST_TRY(mst_meta_builder_pack(&batch->builder, session->schema_number, &run->attributes, sizeof run->attributes + 8 * MST_META_KEYS_MAX, &nbytes));
    run->head.kind = MST_WIRE_OFFER_RUN;
    run->timeout_ns = mst_base_span_ns(session->timeout_s);
    run->nown = (uint16_t)batch->nown;
    run->has_places = places;
    for (unsigned i = 0; i < batch->nown; i++) run->position[i] = (uint8_t)mst_meta_attributes_rank(&run->attributes, batch->own[i]);
    return MAESTRO_OK;
}

typedef union run_head {
    mst_wire_run_t run;
    uint64_t room[sizeof(mst_wire_run_t) / 8 + MST_META_KEYS_MAX];
} run_head_t;

static maestro_status_t write_run(maestro_session_t *session, const batch_t *batch, run_head_t *head, size_t row_words, size_t count) {
    mst_wire_ring_t *ring = &session->channel.offers;
    size_t nbytes = mst_wire_run_nbytes(head->run.attributes.nvalues, row_words, count), head_nbytes = mst_wire_run_nbytes(head->run.attributes.nvalues, row_words, 0);
    void *room = NULL;
    MST_TRY(mst_client_reserve(session, ring, nbytes, batch->deadline_ns, "offer many", &room));
    head->run.head.nbytes = ((mst_wire_head_t *)room)->nbytes;
    head->run.head.flags = head->run.has_places ? MST_WIRE_OFFER_COPIED : 0;
    head->run.count = (uint32_t)count;
    head->run.id = (uint64_t)session->number << 40 | (session->last_id + 1);
    memcpy(room, head, head_nbytes);
    memcpy((char *)room + head_nbytes, batch->row, nbytes - head_nbytes);
    session->last_id += count;
    mst_wire_ring_commit(ring);
    return MAESTRO_OK;
}

/* The rows of a run that begins at `first`, without places: how many, one at least. */
static size_t encode_rows(batch_t *batch, size_t first, size_t count, size_t row_words) {
    for (unsigned k = 0; k < batch->nown; k++)
        count = encode(batch, batch->own[k], batch->own_column[k], first, count, batch->row + row_words - batch->nown + k, row_words);
    return count;
}

/* Copies payloads of like objects and puts their places into rows: how many, up to the first that is unlike, or would have to wait for room and is not
 * the first.  Only some payload is held back until the run is written. */
static maestro_status_t copy_rows(maestro_session_t *session, const batch_t *batch, size_t first, size_t *count, size_t row_words) {
    size_t held = 0, i = 0;
    mst_wire_place_t place;
    maestro_status_t status = MAESTRO_OK;
    for (; i < *count && held < HELD_NBYTES && payload_nbytes(batch, first + i); i++) {
        status = copy_row(session, batch, first + i, i == 0, &place);
        if (status != MAESTRO_OK) break;
        memcpy(batch->row + i * row_words, &place, sizeof place);
        held += place.nbytes;
    }
    *count = i;
    return i ? MAESTRO_OK : status;
}

/* Offers the objects from `first` on, which is built, as far as one run goes.  An object that is no like one, is wrong, or would have to wait for room
 * ends the run: that is looked into when it comes first. */
static maestro_status_t offer_run(maestro_session_t *session, batch_t *batch, size_t first, size_t *taken_out) {
    bool places = payload_nbytes(batch, first) > 0;
    size_t row_words = mst_wire_run_row_words(false, places, batch->nown), most = batch->count - first;
    run_head_t head;
    MST_TRY(begin_run(session, batch, places, &head.run));
    size_t count = encode_rows(batch, first, most < MST_WIRE_RUN_ROWS ? most : MST_WIRE_RUN_ROWS, row_words);
    if (places) MST_TRY(copy_rows(session, batch, first, &count, row_words));
    for (size_t i = 0; !places && i < count; i++)
        if (payload_nbytes(batch, first + i)) count = i;
    maestro_status_t status = write_run(session, batch, &head, row_words, count);
    for (size_t i = 0; status != MAESTRO_OK && places && i < count; i++) free_place(session, (const mst_wire_place_t *)(batch->row + i * row_words));
    *taken_out = status == MAESTRO_OK ? count : 0;
    return status;
}

static maestro_status_t offer_some(maestro_session_t *session, batch_t *batch, size_t first, size_t *taken_out) {
    *taken_out = 0;
    MST_TRY(build(batch, first));
    if (batch->row && !any_text(batch)) return offer_run(session, batch, first, taken_out);
    MST_TRY(offer_row(session, batch, first));
    *taken_out = 1;
    return MAESTRO_OK;
}

maestro_status_t maestro_offer_many(maestro_session_t *session, size_t count, const maestro_column_t *columns, size_t ncolumns, const void *const *payloads, const size_t *nbytes,
                                    size_t *offered_out) {
    batch_t batch = {.columns = columns, .ncolumns = ncolumns, .payloads = payloads, .nbytes = nbytes, .count = count};
    size_t offered = 0, taken;
    if (offered_out) *offered_out = 0;
    if (ncolumns > MST_COUNT(batch.keys) || (ncolumns && !columns) || (payloads && !nbytes))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "offer many: columns are missing or more than %zu, or payloads come without sizes", MST_COUNT(batch.keys));
    MST_TRY(mst_client_enter(session, "offer many"));
    batch.deadline_ns = mst_base_deadline_ns(session->timeout_s);
    mst_meta_builder_init(&batch.builder, session->schema, session->dictionary);
    mst_client_drain(session);
    maestro_status_t status = resolve(session, columns, ncolumns, batch.keys);
    if (status == MAESTRO_OK) status = mst_client_prioritize(session, &batch.builder);
    if (status == MAESTRO_OK) find_own(&batch);
    for (size_t rung = 0; offered < count && status == MAESTRO_OK; offered += taken) {
        status = offer_some(session, &batch, offered, &taken);
        if (status != MAESTRO_OK) mst_base_fail_context(status, "offer many: object %zu of %zu", offered + taken, count);
        if (offered + taken - rung < RING_EVERY) continue;
        mst_client_ring(session, MST_WIRE_ASLEEP);
        rung = offered + taken;
    }
    mst_client_ring(session, MST_WIRE_ASLEEP);
    mst_meta_builder_fini(&batch.builder);
    free(batch.row);
    mst_client_leave(session);
    if (offered_out) *offered_out = offered;
    return status;
}
