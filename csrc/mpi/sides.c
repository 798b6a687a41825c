/* What all ranks must know alike: the shape, the few numbers of regular layouts, the size of elements, the options.  The lowest rank that has a side tells
 * the others of it; each compares. */
#include "mpi/match.h"

#include <stdio.h>

static const char WHAT[] = "redistribute";
const char *const mst_mpi_side_name[MST_MPI_SIDES] = {"source", "target"};

/* ---- This rank's own arguments */
static maestro_status_t check_own(const mst_mpi_comm_t *comm, const maestro_layout_t *layout, int64_t part, int which, mst_mpi_side_t *side) {
    *side = (mst_mpi_side_t){.layout = layout, .part = -1};
    if (!layout) return MAESTRO_OK;
    side->regular = layout->family == MST_ARRAY_REGULAR;
    side->part = part >= 0 ? part : side->regular ? comm->rank : 0;
    if (part >= -1 && side->part < layout->nparts) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: rank %d has no part %lld of the %s layout, whose parts are 0 to %lld; %s", WHAT, comm->rank,
                         (long long)(part < -1 ? part : side->part), mst_mpi_side_name[which], (long long)layout->nparts - 1,
                         "give the part in the options, or NULL as the layout on ranks that have none");
}

/* ---- What is told */
typedef struct told {
    int64_t is_own, ndims, order, grid_order;
    mst_array_cut_t cut[MST_ARRAY_MAX];
} told_t;

static void tell(const maestro_layout_t *layout, told_t *told) {
    memset(told, 0, sizeof *told); /* also what lies between: it is sent */
    told->is_own = layout->family != MST_ARRAY_REGULAR;
    told->ndims = layout->ndims;
    if (!told->is_own) {
        told->order = layout->order;
        told->grid_order = layout->grid_order;
    }
    for (int d = 0; d < layout->ndims; d++) {
        if (told->is_own) told->cut[d].size = layout->cut[d].size;
        else told->cut[d] = layout->cut[d];
    }
}

static maestro_status_t differ(const char *side, int rank, int dimension, const char *thing, int64_t own, int64_t other) {
    char where[40] = "";
    if (dimension >= 0) snprintf(where, sizeof where, "dimension %d: ", dimension);
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT,
                         "%s: the ranks' %s layouts differ: %s%s %lld on rank %d, %lld on the first rank that has one; all must give the same", WHAT, side,
                         where, thing, (long long)own, rank, (long long)other);
}

static maestro_status_t compare(const char *side, int rank, const told_t *own, const told_t *other) {
    if (own->is_own != other->is_own)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT,
                             "%s: the ranks' %s layouts differ: rank %d gives %s, the first rank that has one %s; all must be of one kind", WHAT, side, rank,
                             own->is_own ? "its own boxes or indices" : "a regular layout", own->is_own ? "a regular layout" : "its own boxes or indices");
    if (own->ndims != other->ndims) return differ(side, rank, -1, "number of dimensions", own->ndims, other->ndims);
    for (int d = 0; d < own->ndims; d++) {
        const mst_array_cut_t *a = &own->cut[d], *b = &other->cut[d];
        if (a->size != b->size) return differ(side, rank, d, "size", a->size, b->size);
        if (a->nparts != b->nparts) return differ(side, rank, d, "number of parts", a->nparts, b->nparts);
        if (a->block != b->block) return differ(side, rank, d, "block", a->block, b->block);
        if (a->low != b->low) return differ(side, rank, d, "low ghosts", a->low, b->low);
        if (a->high != b->high) return differ(side, rank, d, "high ghosts", a->high, b->high);
    }
    if (own->order != other->order) return differ(side, rank, -1, "order", own->order, other->order);
    if (own->grid_order != other->grid_order) return differ(side, rank, -1, "order of the grid", own->grid_order, other->grid_order);
    return MAESTRO_OK;
}

static void learn(const told_t *told, mst_mpi_side_t *side) {
    side->regular = !told->is_own;
    maestro_layout_t *layout = &side->learned;
    *layout = (maestro_layout_t){.family = told->is_own ? MST_ARRAY_INDICES : MST_ARRAY_REGULAR, .ndims = (int)told->ndims,
                                 .order = (maestro_order_t)told->order,
                                 .grid_order = (maestro_order_t)told->grid_order, .nparts = 1};
    for (int d = 0; d < layout->ndims; d++) {
        layout->cut[d] = told->cut[d];
        if (told->is_own) layout->cut[d].nparts = 1;
        layout->nparts *= layout->cut[d].nparts;
    }
    side->layout = layout;
}

/* ---- Agreement */
typedef struct common { /* of all ranks */
    int64_t element_nbytes, method, partial, max_fields;
} common_t;

static maestro_status_t compare_common(const mst_mpi_comm_t *comm, const common_t *own, const common_t *first) {
    static const char *const thing[] = {"size of elements", "method", "option partial", "option max_fields"};
    const int64_t a[] = {own->element_nbytes, own->method, own->partial, own->max_fields}, b[] = {first->element_nbytes, first->method, first->partial,
                                                                                                  first->max_fields};
    for (size_t i = 0; i < MST_COUNT(a); i++)
        if (a[i] != b[i])
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the %s is %lld on rank %d and %lld on rank 0; all ranks must give the same", WHAT, thing[i],
                                 (long long)a[i],
                                 comm->rank, (long long)b[i]);
    return MAESTRO_OK;
}

/* The lowest ranks that have the sides; the number of ranks where none has. */
static maestro_status_t find_first(const mst_mpi_comm_t *comm, const mst_mpi_side_t side[MST_MPI_SIDES], int first_out[MST_MPI_SIDES]) {
    int own[MST_MPI_SIDES];
    for (int s = 0; s < MST_MPI_SIDES; s++) own[s] = side[s].layout ? comm->rank : comm->nranks;
    MST_TRY(mst_mpi_check(WHAT, MPI_Allreduce(own, first_out, MST_MPI_SIDES, MPI_INT, MPI_MIN, comm->comm)));
    for (int s = 0; s < MST_MPI_SIDES; s++)
        if (first_out[s] == comm->nranks) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: no rank gives a %s layout; at least one must", WHAT,
                                                               mst_mpi_side_name[s]);
    return MAESTRO_OK;
}

static maestro_status_t learn_side(const mst_mpi_comm_t *comm, int first, int which, mst_mpi_side_t *side, maestro_status_t *difference) {
    told_t told, own;
    if (side->layout) tell(side->layout, &own);
    if (comm->rank == first) told = own;
    MST_TRY(mst_mpi_check(WHAT, MPI_Bcast(&told, sizeof told, MPI_BYTE, first, comm->comm)));
    if (!side->layout) learn(&told, side);
    else if (*difference == MAESTRO_OK) *difference = compare(mst_mpi_side_name[which], comm->rank, &own, &told);
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_sides_learn(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, mst_mpi_side_t side[MST_MPI_SIDES]) {
    const maestro_plan_options_t *options = &request->options;
    common_t own = {(int64_t)request->element_nbytes, options->method, options->partial, (int64_t)options->max_fields}, common = own;
    int first[MST_MPI_SIDES];
    maestro_status_t status = check_own(comm, request->from, options->from_part, MST_MPI_FROM, &side[MST_MPI_FROM]);
    maestro_status_t other = check_own(comm, request->to, options->to_part, MST_MPI_TO, &side[MST_MPI_TO]);
    MST_TRY(mst_mpi_agree(comm, status != MAESTRO_OK ? status : other, -1));
    MST_TRY(find_first(comm, side, first));
    MST_TRY(mst_mpi_check(WHAT, MPI_Bcast(&common, sizeof common, MPI_BYTE, 0, comm->comm)));
    status = compare_common(comm, &own, &common);
    for (int s = 0; s < MST_MPI_SIDES; s++) MST_TRY(learn_side(comm, first[s], s, &side[s], &status));
    MST_TRY(mst_mpi_agree(comm, status, -1));
    return mst_array_layout_check_shapes(side[MST_MPI_FROM].layout, side[MST_MPI_TO].layout, "redistribute, from the one layout to the other");
}
