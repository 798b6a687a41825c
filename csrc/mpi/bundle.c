/* See bundle.h. */
#include "mpi/bundle.h"

static const char WHAT[] = "redistribution";

/* ---- Kinds */
static bool is_same(const maestro_field_t *a, const maestro_field_t *b) {
    return a->from == b->from && a->to == b->to && a->conjugate == b->conjugate && memcmp(&a->scale, &b->scale, sizeof a->scale) == 0 &&
           memcmp(&a->scale_imaginary, &b->scale_imaginary, sizeof a->scale_imaginary) == 0;
}

static int kind_number(mst_mpi_fields_t *fields, const maestro_field_t *field) {
    int k = 0;
    while (k < fields->nkinds && !is_same(&fields->kind[k], field)) k++;
    if (k == fields->nkinds) fields->kind[fields->nkinds++] = *field;
    return k;
}

maestro_status_t mst_mpi_fields_init(size_t count, maestro_element_t element, const maestro_field_t *given, mst_mpi_fields_t *fields_out) {
    maestro_field_t field;
    mst_mpi_fields_t fields = {.count = count};
    fields.kind = malloc((given ? count : 1) * sizeof *fields.kind);
    fields.kind_of = malloc(count * sizeof *fields.kind_of);
    fields.packed_at = malloc((count + 1) * sizeof *fields.packed_at);
    *fields_out = fields;
    if (!fields.kind || !fields.kind_of || !fields.packed_at) return mst_base_fail_errno("%s: %zu fields", WHAT, count);
    maestro_field_init(&field, element);
    fields.packed_at[0] = 0;
    for (size_t f = 0; f < count; f++) {
        if (given) field = given[f];
        if (given || f == 0) MST_TRY(mst_array_field_check(&field));
        fields.kind_of[f] = kind_number(&fields, &field);
        fields.packed_at[f + 1] = fields.packed_at[f] + mst_array_element_nbytes(field.from);
    }
    *fields_out = fields;
    return MAESTRO_OK;
}

void mst_mpi_fields_fini(mst_mpi_fields_t *fields) {
    free(fields->kind);
    free(fields->kind_of);
    free(fields->packed_at);
    *fields = (mst_mpi_fields_t){0};
}

uint64_t mst_mpi_fields_hash(const mst_mpi_fields_t *fields) {
    uint64_t hash = mst_base_hash(fields->kind_of, fields->count * sizeof *fields->kind_of);
    for (int k = 0; k < fields->nkinds; k++) {
        const maestro_field_t *kind = &fields->kind[k];
        const int64_t type[] = {kind->from, kind->to, kind->conjugate};
        hash = mst_base_hash_seeded(type, sizeof type, hash);
        hash = mst_base_hash_seeded((const double[]){kind->scale, kind->scale_imaginary}, 2 * sizeof(double), hash);
    }
    return hash;
}

bool mst_mpi_fields_convert(const mst_mpi_fields_t *fields) {
    for (int k = 0; k < fields->nkinds; k++)
        if (!mst_array_field_is_plain(&fields->kind[k])) return true;
    return false;
}

/* ---- Copies */
maestro_status_t mst_mpi_copies_make(const mst_mpi_fields_t *fields, const mst_array_moves_t *moves, mst_array_way_t way, int64_t whole,
                                     mst_array_copy_t **copy_out) {
    for (int k = 0; k < fields->nkinds && moves->count; k++)
        MST_TRY(mst_array_copy_create(moves, way, &fields->kind[k], (size_t)whole * mst_array_element_nbytes(fields->kind[k].to), &copy_out[k]));
    return MAESTRO_OK;
}

void mst_mpi_copies_end(const mst_mpi_fields_t *fields, mst_array_copy_t **copy) {
    for (int k = 0; copy && k < fields->nkinds; k++) {
        mst_array_copy_destroy(copy[k]);
        copy[k] = NULL;
    }
}
