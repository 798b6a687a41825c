/* See staging.h. */
#include "mpi/plan.h"

static const char WHAT[] = "redistribution";
static const char *const NAME[MST_MPI_SIDES] = {"source", "target"};

static int64_t nelements_of(const mst_mpi_comm_t *comm, const maestro_layout_t *layout, int64_t part) {
    maestro_local_t local;
    if (!layout) return 0;
    if (part < 0) part = layout->family == MST_ARRAY_REGULAR ? comm->rank : 0;
    return maestro_layout_local(layout, part, &local) == MAESTRO_OK ? local.nelements : 0;
}

void mst_mpi_staging_init(maestro_plan_t *plan, const mst_mpi_request_t *request) {
    const maestro_plan_options_t *options = &request->options;
    int64_t *nelements = plan->staging.nelements;
    nelements[MST_MPI_FROM] = nelements_of(&plan->comm, request->from, options->from_part);
    nelements[MST_MPI_TO] = request->is_halo ? nelements[MST_MPI_FROM] : nelements_of(&plan->comm, request->to, options->to_part);
    mst_mem_device_look();
}

void mst_mpi_staging_fini(maestro_plan_t *plan) {
    for (int side = 0; side < MST_MPI_SIDES && !plan->failed; side++) {
        for (size_t f = 0; plan->staging.standin[side] && f < plan->fields.count; f++) maestro_dealloc(plan->staging.standin[side][f].host);
        free(plan->staging.standin[side]);
    }
}

static size_t nbytes_of(const maestro_plan_t *plan, int side, size_t f) {
    const maestro_field_t *kind = &plan->fields.kind[plan->fields.kind_of[f]];
    return (size_t)plan->staging.nelements[side] * mst_array_element_nbytes(side == MST_MPI_FROM ? kind->from : kind->to);
}

/* ---- Before the exchange */
static maestro_status_t make_standin(maestro_plan_t *plan, int side, size_t f, mst_mpi_standin_t **standin_out) {
    mst_mpi_standin_t **all = &plan->staging.standin[side];
    if (!*all) *all = calloc(plan->fields.count, sizeof **all);
    if (!*all) return mst_base_fail_errno("stand-ins");
    if (!(*all)[f].host) MST_TRY(maestro_alloc(nbytes_of(plan, side, f), &(*all)[f].host));
    *standin_out = *all + f;
    return MAESTRO_OK;
}

/* What the exchange does not write must come back as it was: ghost cells, elements without a source, of a halo what the rank owns. */
static bool is_read(const maestro_plan_t *plan, int side) { return side == MST_MPI_FROM || plan->moved < plan->staging.nelements[MST_MPI_TO]; }

/* Of managed memory the work that may still write to it is waited for. */
static maestro_status_t stage(maestro_plan_t *plan, int side, size_t f, void **field) {
    mst_mpi_staging_t *staging = &plan->staging;
    mst_mpi_standin_t *standin;
    mst_mem_place_t place;
    MST_TRY(mst_mem_device_find(*field, &place));
    if (place.managed) return mst_mem_device_wait(&place, staging->stream);
    if (!place.on_device) return MAESTRO_OK;
    MST_TRY(make_standin(plan, side, f, &standin));
    if (is_read(plan, side)) MST_TRY(mst_mem_device_to_host(&place, staging->stream, *field, standin->host, nbytes_of(plan, side, f)));
    standin->device = *field;
    standin->place = place;
    *field = standin->host;
    staging->lands = staging->lands || side == MST_MPI_TO;
    return MAESTRO_OK;
}

static maestro_status_t stage_side(maestro_plan_t *plan, int side, void **fields) {
    mst_mpi_standin_t *standin = plan->staging.standin[side];
    for (size_t f = 0; standin && f < plan->fields.count; f++) standin[f].device = NULL;
    for (size_t f = 0; f < plan->nfields; f++) {
        maestro_status_t status = stage(plan, side, f, &fields[f]);
        if (status != MAESTRO_OK) return mst_base_fail_context(status, "%s: copy field %zu of the %s from its device", WHAT, f, NAME[side]);
    }
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_staging_begin(maestro_plan_t *plan, void *stream) {
    mst_mpi_staging_t *staging = &plan->staging;
    if (MST_LIKELY(!mst_mem_device_is_there())) return MAESTRO_OK;
    staging->stream = stream;
    staging->lands = staging->landing = false;
    if (plan->writes) MST_TRY(stage_side(plan, MST_MPI_TO, plan->to));
    if (plan->writes && plan->is_halo) memcpy(plan->from, plan->to, plan->nfields * sizeof *plan->from);
    else if (plan->reads) MST_TRY(stage_side(plan, MST_MPI_FROM, (void **)plan->from));
    return MAESTRO_OK;
}

/* ---- After it */
static maestro_status_t put_back(maestro_plan_t *plan, size_t f) {
    const mst_mpi_standin_t *standin = &plan->staging.standin[MST_MPI_TO][f];
    return mst_mem_device_from_host(&standin->place, plan->staging.stream, standin->host, standin->device, nbytes_of(plan, MST_MPI_TO, f));
}

static maestro_status_t test(maestro_plan_t *plan, size_t f) {
    return mst_mem_device_test(&plan->staging.standin[MST_MPI_TO][f].place, plan->staging.stream);
}

/* Each field that has a stand-in, until one is not done. */
static maestro_status_t with_targets(maestro_plan_t *plan, maestro_status_t (*step)(maestro_plan_t *plan, size_t f)) {
    for (size_t f = 0; f < plan->nfields; f++) {
        if (!plan->staging.standin[MST_MPI_TO][f].device) continue;
        maestro_status_t status = step(plan, f);
        if (status < 0) return mst_base_fail_context(status, "%s: copy field %zu of the %s to its device", WHAT, f, NAME[MST_MPI_TO]);
        if (status != MAESTRO_OK) return status;
    }
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_staging_land(maestro_plan_t *plan) {
    if (!plan->staging.landing) MST_TRY(with_targets(plan, put_back));
    plan->staging.landing = true;
    return with_targets(plan, test);
}
