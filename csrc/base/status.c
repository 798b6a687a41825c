/* Status names and texts, generated from the one table in maestro.h, and the per-thread detail of the last error. */
#include "base/base.h"

#include <errno.h>
#include <stdio.h>

static _Thread_local char last_error[2048];

const char *maestro_status_name(maestro_status_t status) {
    switch (status) {
#define NAME(name, value, python, text) case MAESTRO_##name: return "MAESTRO_" #name;
        MAESTRO_STATUS_TABLE(NAME)
#undef NAME
    }
    return "unknown status";
}

const char *maestro_status_text(maestro_status_t status) {
    switch (status) {
#define TEXT(name, value, python, text) case MAESTRO_##name: return text;
        MAESTRO_STATUS_TABLE(TEXT)
#undef TEXT
    }
    return "unknown status";
}

const char *maestro_last_error(void) { return last_error; }

maestro_status_t mst_base_fail(maestro_status_t status, const char *format, ...) {
    char message[sizeof last_error];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    memcpy(last_error, message, sizeof message);
    return status;
}

maestro_status_t mst_base_fail_errno(const char *format, ...) {
    int saved = errno;
    char message[sizeof last_error - 128];
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
    char old[sizeof last_error - sizeof context];
    snprintf(old, sizeof old, "%.*s", (int)sizeof old - 1, last_error);
    return mst_base_fail(status, "%s: %s", context, old);
}

#define STRING_(x) #x
#define STRING(x) STRING_(x)

const char *maestro_version(void) {
    return STRING(MAESTRO_VERSION_MAJOR) "." STRING(MAESTRO_VERSION_MINOR) "." STRING(MAESTRO_VERSION_PATCH);
}

void maestro_free(void *memory) { free(memory); }
