/* What elements of a field are, and what may become of them. */
#include "array/copy.h"

static const char WHAT[] = "a field";

void maestro_field_init(maestro_field_t *field, maestro_element_t element) {
    *field = (maestro_field_t){.from = element, .to = element, .scale = 1};
}

static bool is_known(maestro_element_t element) {
    switch (element) {
    case MAESTRO_BYTES_1:
    case MAESTRO_BYTES_2:
    case MAESTRO_BYTES_4:
    case MAESTRO_BYTES_8:
    case MAESTRO_BYTES_16:
    case MAESTRO_I32:
    case MAESTRO_I64:
    case MAESTRO_F32:
    case MAESTRO_F64:
    case MAESTRO_C64:
    case MAESTRO_C128: return true;
    default: return false;
    }
}

static bool is_opaque(maestro_element_t element) { return element <= 0xff; }
static bool is_scaled(const maestro_field_t *field) { return field->scale != 1 || field->scale_imaginary != 0; }

maestro_status_t mst_array_field_check(const maestro_field_t *field) {
    if (!is_known(field->from) || !is_known(field->to))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT,
                             "%s: there is no element %#x; it is one of MAESTRO_BYTES_1 to MAESTRO_C128, or 1, 2, 4, 8 or 16 bytes: make a dimension of others",
                             WHAT, (unsigned)(is_known(field->from) ? field->to : field->from));
    if ((is_opaque(field->from) || is_opaque(field->to)) && (field->from != field->to || is_scaled(field) || field->conjugate))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: elements of %zu bytes become such of %zu, scaled or of a type; of what type both are must be said",
                             WHAT, mst_array_element_nbytes(field->from), mst_array_element_nbytes(field->to));
    if (mst_array_is_complex(field->from) && !mst_array_is_complex(field->to))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: complex elements become real ones; what of them is meant, the program must say", WHAT);
    if (field->scale_imaginary != 0 && !mst_array_is_complex(field->to))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: scale_imaginary is %g, and the target is not complex; it must be 0", WHAT, field->scale_imaginary);
    return MAESTRO_OK;
}

bool mst_array_field_is_plain(const maestro_field_t *field) {
    return field->from == field->to && !is_scaled(field) && !(field->conjugate && mst_array_is_complex(field->from));
}
