/* Records errors.  Apart from where they are kept (status.c), for libmaestro_mpi has a copy of this, and none of that: what it records is read with
 * libmaestro's maestro_last_error. */
#include "base/base.h"

#include <errno.h>
#include <stdio.h>

maestro_status_t mst_base_fail(maestro_status_t status, const char *format, ...) {
    char message[MST_BASE_ERROR_NBYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    maestro_error_record(message);
    return status;
}

maestro_status_t mst_base_fail_errno(const char *format, ...) {
    int saved = errno;
    char message[MST_BASE_ERROR_NBYTES - 128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return mst_base_fail(MAESTRO_SYSTEM, "%s: %s", message, strerror(saved));
}

maestro_status_t mst_base_fail_context(maestro_status_t status, const char *format, ...) {
    char context[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    char old[MST_BASE_ERROR_NBYTES - sizeof context];
    snprintf(old, sizeof old, "%.*s", (int)sizeof old - 1, maestro_last_error());
    return mst_base_fail(status, "%s: %s", context, old);
}
