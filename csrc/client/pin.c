/* Threads and processes go where an object's bytes are; the choice and the binding are mem's. */
#include "client/client.h"

#include "mem/pin.h"

struct maestro_pin {
    mst_mem_binding_t *binding; /* NULL after a dry run */
    char *said;
};

void maestro_pin_options_init(maestro_pin_options_t *options) { *options = (maestro_pin_options_t){.size = sizeof *options, .nranks = 1}; }

static maestro_status_t check(const maestro_cdo_t *cdo, const maestro_pin_options_t *options, maestro_pin_t **pin_out) {
    if (!cdo || !pin_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "pin: the object or the output is NULL");
    if (options->size != sizeof *options) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "pin: fill the options with maestro_pin_options_init first");
    if (options->pid < 0 || options->pid > INT32_MAX) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "pin: %lld is no process id", (long long)options->pid);
    return MAESTRO_OK;
}

maestro_status_t maestro_pin_to_cdo(const maestro_cdo_t *cdo, const maestro_pin_options_t *options, maestro_pin_t **pin_out) {
    maestro_pin_options_t defaults;
    maestro_pin_options_init(&defaults);
    if (!options) options = &defaults;
    MST_TRY(check(cdo, options, pin_out));
    const void *bytes;
    size_t nbytes;
    MST_TRY(maestro_cdo_data(cdo, &bytes, &nbytes));
    if (!nbytes) return mst_base_fail(MAESTRO_NOT_FOUND, "pin: the object has no data, so it lies nowhere");
    maestro_pin_t *pin = calloc(1, sizeof *pin);
    if (!pin) return mst_base_fail(MAESTRO_SYSTEM, "pin: no memory");
    mst_mem_residence_t residence = mst_mem_residence(bytes, nbytes);
    mst_base_buffer_t said = {0};
    mst_mem_pin_wish_t wish = {.pid = (pid_t)options->pid, .rank = options->rank, .nranks = options->nranks, .dry = options->dry_run};
    maestro_status_t status = mst_mem_pin(&residence, &wish, &said, &pin->binding);
    if (status == MAESTRO_OK && said.failed) {
        if (pin->binding) mst_mem_unbind(pin->binding);
        status = mst_base_fail(MAESTRO_SYSTEM, "pin: no memory");
    }
    if (status == MAESTRO_OK) {
        pin->said = said.data;
        *pin_out = pin;
    } else {
        mst_base_buffer_fini(&said);
        free(pin);
    }
    return status;
}

const char *maestro_pin_describe(const maestro_pin_t *pin) { return pin ? pin->said : "{}"; }

static void destroy(maestro_pin_t *pin) {
    free(pin->said);
    free(pin);
}

maestro_status_t maestro_unpin(maestro_pin_t *pin) {
    maestro_status_t status = pin && pin->binding ? mst_mem_unbind(pin->binding) : MAESTRO_OK;
    if (pin) destroy(pin);
    return status;
}

void maestro_pin_dispose(maestro_pin_t *pin) {
    if (pin && pin->binding) mst_mem_binding_keep(pin->binding);
    if (pin) destroy(pin);
}
