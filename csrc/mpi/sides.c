/* What all ranks must know alike: the shape, the few numbers of regular layouts, the size of elements, the options.  The lowest rank that has a side tells
 * the others of it; each compares. */
#include "mpi/match.h"

#include <stdio.h>

const char *mst_mpi_side_word(const mst_mpi_request_t *request, int side) {
    static const char *const word[MST_MPI_SIDES] = {"source ", "target "};
    return request->is_halo ? "" : word[side];
}

/* ---- This rank's own arguments */
static maestro_status_t check_own(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, int which, mst_mpi_side_t *side) {
    const maestro_layout_t *layout = which == MST_MPI_FROM ? request->from : request->to;
    int64_t part = which == MST_MPI_FROM ? request->options.from_part : request->options.to_part;
    *side = (mst_mpi_side_t){.layout = layout, .part = -1};
    if (!layout) return MAESTRO_OK;
    side->regular = layout->family == MST_ARRAY_REGULAR;
    side->part = part >= 0 ? part : side->regular ? comm->rank : 0;
    if (part >= -1 && side->part < layout->nparts) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: rank %d has no part %lld of the %slayout, whose parts are 0 to %lld; %s", request->what, comm->rank,
                         (long long)(part < -1 ? part : side->part), mst_mpi_side_word(request, which), (long long)layout->nparts - 1,
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

typedef struct difference { /* of this rank's layout from that of the first rank that has one */
    const mst_mpi_request_t *request;
    int side, rank;
} difference_t;

static maestro_status_t differ(const difference_t *difference, int dimension, const char *thing, int64_t own, int64_t other) {
    char where[40] = "";
    if (dimension >= 0) snprintf(where, sizeof where, "dimension %d: ", dimension);
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT,
                         "%s: the ranks' %slayouts differ: %s%s %lld on rank %d, %lld on the first rank that has one; all must give the same",
                         difference->request->what, mst_mpi_side_word(difference->request, difference->side), where, thing, (long long)own, difference->rank,
                         (long long)other);
}

static maestro_status_t differ_in_kind(const difference_t *difference, bool is_own) {
    static const char *const kind[] = {"a regular layout", "its own boxes or indices"};
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT,
                         "%s: the ranks' %slayouts differ: rank %d gives %s, the first rank that has one %s; all must be of one kind",
                         difference->request->what, mst_mpi_side_word(difference->request, difference->side), difference->rank, kind[is_own], kind[!is_own]);
}

static maestro_status_t compare(const difference_t *what, const told_t *own, const told_t *other) {
    if (own->is_own != other->is_own) return differ_in_kind(what, own->is_own);
    if (own->ndims != other->ndims) return differ(what, -1, "number of dimensions", own->ndims, other->ndims);
    for (int d = 0; d < own->ndims; d++) {
        const mst_array_cut_t *a = &own->cut[d], *b = &other->cut[d];
        if (a->size != b->size) return differ(what, d, "size", a->size, b->size);
        if (a->nparts != b->nparts) return differ(what, d, "number of parts", a->nparts, b->nparts);
        if (a->block != b->block) return differ(what, d, "block", a->block, b->block);
        if (a->low != b->low) return differ(what, d, "low ghosts", a->low, b->low);
        if (a->high != b->high) return differ(what, d, "high ghosts", a->high, b->high);
    }
    if (own->order != other->order) return differ(what, -1, "order", own->order, other->order);
    if (own->grid_order != other->grid_order) return differ(what, -1, "order of the grid", own->grid_order, other->grid_order);
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
/* The lowest ranks that have the sides; the number of ranks where none has. */
static maestro_status_t find_first(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, int nsides, const mst_mpi_side_t side[MST_MPI_SIDES],
                                   int first_out[MST_MPI_SIDES]) {
    int own[MST_MPI_SIDES];
    for (int s = 0; s < nsides; s++) own[s] = side[s].layout ? comm->rank : comm->nranks;
    MST_TRY(mst_mpi_allreduce(comm, request->what, own, first_out, nsides, MPI_INT, MPI_MIN));
    for (int s = 0; s < nsides; s++)
        if (first_out[s] == comm->nranks) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: no rank gives a %slayout; at least one must", request->what,
                                                               mst_mpi_side_word(request, s));
    return MAESTRO_OK;
}

static maestro_status_t learn_side(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, int first, int which, mst_mpi_side_t *side,
                                   maestro_status_t *status) {
    const difference_t difference = {request, which, comm->rank};
    told_t told, own;
    if (side->layout) tell(side->layout, &own);
    if (comm->rank == first) told = own;
    MST_TRY(mst_mpi_bcast(comm, request->what, &told, sizeof told, first));
    if (!side->layout) learn(&told, side);
    else if (*status == MAESTRO_OK) *status = compare(&difference, &own, &told);
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_sides_learn(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, mst_mpi_side_t side[MST_MPI_SIDES]) {
    int first[MST_MPI_SIDES], nsides = request->is_halo ? 1 : MST_MPI_SIDES;
    maestro_status_t status = MAESTRO_OK;
    for (int s = 0; s < nsides && status == MAESTRO_OK; s++) status = check_own(comm, request, s, &side[s]);
    MST_TRY(mst_mpi_agree(comm, status, -1));
    MST_TRY(find_first(comm, request, nsides, side, first));
    for (int s = 0; s < nsides; s++) MST_TRY(learn_side(comm, request, first[s], s, &side[s], &status));
    MST_TRY(mst_mpi_agree(comm, status, -1));
    if (request->is_halo) return MAESTRO_OK;
    return mst_array_layout_check_shapes(side[MST_MPI_FROM].layout, side[MST_MPI_TO].layout, "redistribute, from the one layout to the other");
}
