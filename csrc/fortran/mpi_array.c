/* Arrays as Fortran passes them, of any type and rank: checked against what a plan moves, and taken as an address. */
#include "mpi/comm.h"

#include <ISO_Fortran_binding.h>
#include <stdio.h>

maestro_status_t mst_fortran_array(const CFI_cdesc_t *array, const maestro_local_t *part, int element, const char *name, void **address_out);
void *mst_fortran_address(const CFI_cdesc_t *array);
int mst_fortran_rank(int comm);

enum { TEXT_NBYTES = 200 };

static const struct {
    int element;
    CFI_type_t type;
    const char *name;
} types[] = {
    {MAESTRO_I32, CFI_type_int32_t, "integer(int32)"},      {MAESTRO_I64, CFI_type_int64_t, "integer(int64)"},
    {MAESTRO_F32, CFI_type_float, "real(real32)"},          {MAESTRO_F64, CFI_type_double, "real(real64)"},
    {MAESTRO_C64, CFI_type_float_Complex, "complex(real32)"}, {MAESTRO_C128, CFI_type_double_Complex, "complex(real64)"},
};

static const char *type_name(CFI_type_t type) {
    for (size_t i = 0; i < MST_COUNT(types); i++)
        if (types[i].type == type) return types[i].name;
    return "another type";
}

static maestro_status_t check_type(const CFI_cdesc_t *array, int element, const char *name) {
    for (size_t i = 0; i < MST_COUNT(types); i++)
        if (types[i].element == element && types[i].type != array->type)
            return mst_base_fail(MAESTRO_WRONG_TYPE, "%s: its elements are %s, and the plan was made for %s", name, type_name(array->type), types[i].name);
    if (array->elem_len != (size_t)(element & 0xff))
        return mst_base_fail(MAESTRO_WRONG_TYPE, "%s: its elements have %zu bytes, and the plan was made for %d", name, array->elem_len, element & 0xff);
    return MAESTRO_OK;
}

/* The length that a dimension of the array must have.  What is row-major has its axes in reverse. */
static int64_t wanted(const maestro_local_t *part, int d) {
    return part->shape[part->order == MAESTRO_COLUMN_MAJOR ? d : part->ndims - 1 - d];
}

static const char *wanted_text(const maestro_local_t *part, char *text) {
    int length = 0;
    for (int d = 0; d < part->ndims; d++) length += snprintf(text + length, TEXT_NBYTES - (size_t)length, "%s%lld", d ? "," : "", (long long)wanted(part, d));
    return text;
}

static maestro_status_t check_shape(const CFI_cdesc_t *array, const maestro_local_t *part, const char *name) {
    char text[TEXT_NBYTES];
    if (array->rank != part->ndims)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: an array of %d dimensions, and this rank's part of the layout has the shape (%s)", name, array->rank,
                             wanted_text(part, text));
    for (int d = 0; d < part->ndims; d++)
        if (array->dim[d].extent != wanted(part, d))
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT,
                                 "%s: dimension %d has the length %lld, and that of this rank's part of the layout is %lld, with ghosts: its shape is (%s)",
                                 name, d + 1, (long long)array->dim[d].extent, (long long)wanted(part, d), wanted_text(part, text));
    return MAESTRO_OK;
}

static bool is_empty(const CFI_cdesc_t *array) {
    for (int d = 0; d < array->rank; d++)
        if (!array->dim[d].extent) return true;
    return false;
}

/* An absent array is NULL, and so is one that is not allocated: whether one is needed the plan knows. */
maestro_status_t mst_fortran_array(const CFI_cdesc_t *array, const maestro_local_t *part, int element, const char *name, void **address_out) {
    *address_out = NULL;
    if (!array || (!part->ndims && is_empty(array))) return MAESTRO_OK;
    if (!part->ndims) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: this rank has no part of it; leave the argument away", name);
    MST_TRY(check_type(array, element, name));
    MST_TRY(check_shape(array, part, name));
    if (!CFI_is_contiguous(array))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the array is a section with gaps; give a whole array, or a copy of the section", name);
    *address_out = array->base_addr;
    return MAESTRO_OK;
}

void *mst_fortran_address(const CFI_cdesc_t *array) { return array->base_addr; }

/* In the communicator that a plan will be made with; 0 where there is none, which the plan refuses.  MPI calls the handlers of the world's and of the
 * process's own one then. */
int mst_fortran_rank(int comm) {
    MPI_Comm place[] = {MPI_COMM_WORLD, MPI_COMM_SELF};
    MPI_Errhandler handler[MST_COUNT(place)];
    int rank = 0, initialised = 0, finalised = 0;
    MPI_Initialized(&initialised);
    MPI_Finalized(&finalised);
    if (!initialised || finalised || MPI_Comm_f2c(comm) == MPI_COMM_NULL) return 0;
    for (size_t i = 0; i < MST_COUNT(place); i++) {
        MPI_Comm_get_errhandler(place[i], &handler[i]);
        MPI_Comm_set_errhandler(place[i], MPI_ERRORS_RETURN);
    }
    MPI_Comm_rank(MPI_Comm_f2c(comm), &rank);
    for (size_t i = 0; i < MST_COUNT(place); i++) {
        MPI_Comm_set_errhandler(place[i], handler[i]);
        MPI_Errhandler_free(&handler[i]);
    }
    return rank;
}
