/* The method of MPI datatypes: one message for each pair of ranks and each field, from the application's memory and into it; MPI packs as it likes.  Fields
 * beyond those of a use go as empty messages, so that ranks that start different numbers of them notice.
 * Invariant: the elements of a pair's two types stand in the same order, that of the moves, whose axes are nested by their strides in the source. */
#include "mpi/transfer.h"

#include <limits.h>

static const char WHAT[] = "redistribution by MPI datatypes";

typedef struct peer {
    int rank;
    int64_t count;               /* elements of a field */
    MPI_Datatype *type;          /* fields.nkinds */
    mst_mpi_transfer_t *message; /* fields.count */
} peer_t;

typedef struct side {
    int npeers;
    peer_t *peer;
} side_t;

typedef struct datatypes {
    const mst_mpi_fields_t *fields;
    side_t send, receive;
} datatypes_t;

/* ---- Types.  Those that others are made of are freed: MPI keeps what it needs. */
static MPI_Datatype basic_type(size_t nbytes) { return nbytes == 1 ? MPI_BYTE : nbytes == 2 ? MPI_INT16_T : nbytes == 4 ? MPI_INT32_T : MPI_INT64_T; }

static int64_t basic_count(size_t nbytes) { return nbytes == 16 ? 2 : 1; }

static int element_type(size_t nbytes, MPI_Datatype *type_out) { return MPI_Type_contiguous((int)basic_count(nbytes), basic_type(nbytes), type_out); }

/* `type` at each place of an axis; it replaces it. */
static int along_axis(const mst_array_axis_t *axis, bool sent, int64_t size, MPI_Datatype *type) {
    int nruns = (int)axis->nruns, *length = malloc((size_t)nruns * sizeof *length), code = MPI_ERR_NO_MEM;
    MPI_Aint *at = malloc((size_t)nruns * sizeof *at);
    MPI_Datatype spaced = MPI_DATATYPE_NULL, whole = MPI_DATATYPE_NULL;
    for (int r = 0; r < nruns && length && at; r++) {
        length[r] = (int)axis->run[r].length;
        at[r] = (MPI_Aint)((sent ? axis->run[r].from : axis->run[r].to) * size);
    }
    if (length && at) code = MPI_Type_create_resized(*type, 0, (MPI_Aint)((sent ? axis->from_stride : axis->to_stride) * size), &spaced);
    if (code == MPI_SUCCESS) code = MPI_Type_create_hindexed(nruns, length, at, spaced, &whole);
    if (spaced != MPI_DATATYPE_NULL) MPI_Type_free(&spaced);
    MPI_Type_free(type);
    *type = whole;
    free(length);
    free(at);
    return code;
}

static bool fits(const mst_array_move_t *move) {
    bool good = true;
    for (int a = 0; a < move->naxes; a++) {
        good = good && move->axis[a].nruns <= INT_MAX;
        for (int64_t r = 0; r < move->axis[a].nruns && good; r++) good = move->axis[a].run[r].length <= INT_MAX;
    }
    return good;
}

/* The axes of a move, the narrowest in the source first. */
static void order_axes(const mst_array_move_t *move, int order[]) {
    for (int a = 0; a < move->naxes; a++) {
        int i = a;
        for (; i > 0 && move->axis[order[i - 1]].from_stride > move->axis[a].from_stride; i--) order[i] = order[i - 1];
        order[i] = a;
    }
}

static int move_type(const mst_array_move_t *move, bool sent, size_t size, MPI_Datatype *type_out) {
    int order[MST_ARRAY_MAX], code = element_type(size, type_out);
    order_axes(move, order);
    for (int a = 0; a < move->naxes && code == MPI_SUCCESS; a++) code = along_axis(&move->axis[order[a]], sent, (int64_t)size, type_out);
    return code;
}

static int join_types(const mst_array_moves_t *moves, bool sent, size_t size, MPI_Datatype *part, MPI_Datatype *type_out) {
    size_t nmoves = (size_t)moves->nmoves;
    int *once = malloc(nmoves * sizeof *once), code = MPI_ERR_NO_MEM;
    MPI_Aint *at = malloc(nmoves * sizeof *at);
    for (size_t m = 0; m < nmoves && once && at; m++) {
        once[m] = 1;
        at[m] = (MPI_Aint)((sent ? moves->move[m].from : moves->move[m].to) * (int64_t)size);
    }
    if (once && at) code = MPI_Type_create_struct((int)nmoves, once, at, part, type_out);
    if (code == MPI_SUCCESS) code = MPI_Type_commit(type_out);
    free(once);
    free(at);
    return code;
}

static maestro_status_t make_type(const mst_array_moves_t *moves, bool sent, size_t size, MPI_Datatype *type_out) {
    if (moves->nmoves > INT_MAX) return mst_base_fail(MAESTRO_TOO_LARGE, "%s: more than 2^31 moves with one rank; choose another method", WHAT);
    MPI_Datatype *part = malloc((size_t)moves->nmoves * sizeof *part);
    int64_t made = 0;
    int code = part ? MPI_SUCCESS : MPI_ERR_NO_MEM;
    for (int64_t m = 0; m < moves->nmoves && code == MPI_SUCCESS; m++) {
        if (!fits(&moves->move[m])) code = MPI_ERR_COUNT;
        if (code == MPI_SUCCESS) code = move_type(&moves->move[m], sent, size, &part[m]);
        made += code == MPI_SUCCESS;
    }
    if (code == MPI_SUCCESS) code = join_types(moves, sent, size, part, type_out);
    for (int64_t m = 0; m < made; m++) MPI_Type_free(&part[m]);
    free(part);
    return mst_mpi_check(WHAT, code);
}

/* ---- Making */
static maestro_status_t make_peer(const mst_mpi_fields_t *fields, const mst_mpi_share_t *share, bool sent, peer_t *peer) {
    *peer = (peer_t){.rank = share->rank, .count = share->moves.count};
    peer->type = malloc((size_t)fields->nkinds * sizeof *peer->type);
    peer->message = malloc(fields->count * sizeof *peer->message);
    for (size_t f = 0; f < fields->count && peer->message; f++) peer->message[f] = mst_mpi_transfer_none();
    for (int k = 0; k < fields->nkinds && peer->type; k++) peer->type[k] = MPI_DATATYPE_NULL;
    if (!peer->type || !peer->message) return mst_base_fail_errno(WHAT);
    for (int k = 0; k < fields->nkinds; k++) MST_TRY(make_type(&share->moves, sent, mst_array_element_nbytes(fields->kind[k].from), &peer->type[k]));
    return MAESTRO_OK;
}

static maestro_status_t make_side(const maestro_plan_t *plan, const mst_mpi_shares_t *shares, bool sent, side_t *side) {
    side->peer = calloc((size_t)shares->nshares + 1, sizeof *side->peer);
    if (!side->peer) return mst_base_fail_errno(WHAT);
    mst_mpi_others_t others = mst_mpi_shares_of_others(shares, plan->comm.rank);
    for (const mst_mpi_share_t *share; (share = mst_mpi_others_next(&others));)
        MST_TRY(make_peer(&plan->fields, share, sent, &side->peer[side->npeers++]));
    return MAESTRO_OK;
}

static maestro_status_t create(const maestro_plan_t *plan, const mst_mpi_shares_t *sends, const mst_mpi_shares_t *receives, void **state_out) {
    if (mst_mpi_fields_convert(&plan->fields)) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: a field is converted", WHAT);
    datatypes_t *datatypes = *state_out = calloc(1, sizeof *datatypes);
    if (!datatypes) return mst_base_fail_errno(WHAT);
    datatypes->fields = &plan->fields;
    MST_TRY(make_side(plan, sends, true, &datatypes->send));
    return make_side(plan, receives, false, &datatypes->receive);
}

static void destroy_side(const mst_mpi_fields_t *fields, side_t *side) {
    bool running = mst_mpi_is_running();
    for (int i = 0; i < side->npeers; i++) {
        peer_t *peer = &side->peer[i];
        for (int k = 0; peer->type && k < fields->nkinds; k++)
            if (peer->type[k] != MPI_DATATYPE_NULL && running) MPI_Type_free(&peer->type[k]);
        free(peer->type);
        free(peer->message);
    }
    free(side->peer);
}

static void destroy(void *state) {
    datatypes_t *datatypes = state;
    if (!datatypes) return;
    destroy_side(datatypes->fields, &datatypes->send);
    destroy_side(datatypes->fields, &datatypes->receive);
    free(datatypes);
}

/* ---- Use */
static maestro_status_t start(const maestro_plan_t *plan, void *state) {
    datatypes_t *datatypes = state;
    const mst_mpi_fields_t *fields = &plan->fields;
    for (int i = 0; i < datatypes->receive.npeers; i++)
        for (size_t f = 0; f < fields->count; f++) {
            peer_t *peer = &datatypes->receive.peer[i];
            bool used = f < plan->nfields;
            MST_TRY(mst_mpi_transfer_receive(plan, &peer->message[f], peer->rank, used ? plan->to[f] : NULL, used, peer->type[fields->kind_of[f]]));
        }
    for (int i = 0; i < datatypes->send.npeers; i++)
        for (size_t f = 0; f < fields->count; f++) {
            peer_t *peer = &datatypes->send.peer[i];
            bool used = f < plan->nfields;
            MST_TRY(mst_mpi_transfer_send(plan, &peer->message[f], peer->rank, used ? plan->from[f] : NULL, used, peer->type[fields->kind_of[f]]));
        }
    return MAESTRO_OK;
}

static maestro_status_t progress_receive(const maestro_plan_t *plan, peer_t *peer, bool *all) {
    const mst_mpi_fields_t *fields = &plan->fields;
    for (size_t f = 0; f < fields->count; f++) {
        size_t size = mst_array_element_nbytes(fields->kind[fields->kind_of[f]].from);
        int64_t expected = f < plan->nfields ? peer->count * basic_count(size) : 0;
        if (!mst_mpi_transfer_under_way(&peer->message[f])) continue;
        maestro_status_t status = mst_mpi_transfer_arrived(plan, &peer->message[f], peer->rank, basic_type(size), expected);
        if (status < 0) return status;
        *all = *all && status == MAESTRO_OK;
    }
    return MAESTRO_OK;
}

static maestro_status_t progress_send(const maestro_plan_t *plan, peer_t *peer, bool *all) {
    for (size_t f = 0; f < plan->fields.count; f++) {
        maestro_status_t status = mst_mpi_transfer_sent(&peer->message[f]);
        if (status < 0) return status;
        *all = *all && status == MAESTRO_OK;
    }
    return MAESTRO_OK;
}

static maestro_status_t progress(const maestro_plan_t *plan, void *state) {
    datatypes_t *datatypes = state;
    bool all = true;
    for (int i = 0; i < datatypes->receive.npeers; i++) MST_TRY(progress_receive(plan, &datatypes->receive.peer[i], &all));
    for (int i = 0; i < datatypes->send.npeers; i++) MST_TRY(progress_send(plan, &datatypes->send.peer[i], &all));
    return all ? MAESTRO_OK : MAESTRO_IN_PROGRESS;
}

static void abandon(const maestro_plan_t *plan, void *state) {
    datatypes_t *datatypes = state;
    (void)plan;
    for (int i = 0; i < datatypes->receive.npeers; i++)
        for (size_t f = 0; f < datatypes->fields->count; f++) mst_mpi_transfer_cancel(&datatypes->receive.peer[i].message[f]);
}

const mst_mpi_method_t mst_mpi_datatypes = {.number = MAESTRO_METHOD_DATATYPES, .name = "datatypes", .within = "datatypes", .between = "datatypes",
                                            .create = create, .start = start, .progress = progress, .abandon = abandon, .destroy = destroy};
