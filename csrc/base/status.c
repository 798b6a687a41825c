/* Status names and texts, generated from the one table in maestro.h, and the per-thread detail of the last error: one of them for all libraries. */
#include "base/base.h"

#include <stdio.h>

static _Thread_local char last_error[MST_BASE_ERROR_NBYTES];

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

void maestro_error_record(const char *detail) { snprintf(last_error, sizeof last_error, "%s", detail ? detail : ""); }

#define STRING_(x) #x
#define STRING(x) STRING_(x)

const char *maestro_version(void) {
    return STRING(MAESTRO_VERSION_MAJOR) "." STRING(MAESTRO_VERSION_MINOR) "." STRING(MAESTRO_VERSION_PATCH);
}

void maestro_free(void *memory) { free(memory); }
