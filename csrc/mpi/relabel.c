/* maestro_relabel: which rank takes which part of the target, so that little changes ranks.  A matching of the source's parts with the target's, whose weights
 * are the numbers of elements that two parts have in common: always the heaviest pair of two parts that are both free, which keeps at least half of what the
 * best matching keeps (COSTA does it so, on every rank: Kabic et al., ISC 2021).  Here a rank knows the pairs of one part of each side alone, and in each round
 * all parts that are each other's heaviest match (Preis, STACS 1999): the outcome is the same.
 *
 * Invariants: part i of both sides is kept by rank i, whichever rank holds it; every rank takes part in each round until one brings no match; of the others'
 * parts a rank knows one bit, whether they are taken. */
#include "mpi/match.h"

static const char WHAT[] = "relabel";

enum { TAG_HELD = 1, TAG_RESULT, TAG_ROUND }; /* two for rounds, in turn */

typedef struct pair {
    int64_t part;   /* of the other side */
    int64_t volume; /* elements in common */
} pair_t;

typedef struct vertex { /* a part of which this rank keeps the book */
    int64_t npairs;
    pair_t *pair;
    int64_t wanted, matched; /* of the other side; -1: none */
    int64_t volume;          /* of the match */
} vertex_t;

typedef struct matching {
    const mst_mpi_comm_t *comm;
    const mst_mpi_side_t *side;
    vertex_t vertex[MST_MPI_SIDES];
    int64_t holder;   /* the rank that holds the source's part */
    int nwords;       /* for a bit of each part of a side */
    uint64_t *taken;  /* nwords of each side, of all ranks' parts, and a word that is not 0 where a rank has failed */
    uint64_t *before; /* the same, one round ago */
} matching_t;

/* ---- What parts have in common */
static maestro_status_t volume_of(const mst_mpi_side_t *side, int which, int64_t part, int64_t other, int64_t *volume_out) {
    mst_array_moves_t moves;
    MST_TRY(mst_array_intersect(side[which].layout, part, side[!which].layout, other, &moves));
    *volume_out = moves.count;
    mst_array_moves_fini(&moves);
    return MAESTRO_OK;
}

static maestro_status_t find_pairs(const matching_t *matching, int which, vertex_t *vertex) {
    int64_t *part = NULL, own = matching->comm->rank;
    *vertex = (vertex_t){.wanted = -1, .matched = -1};
    MST_TRY(mst_array_peers(matching->side[which].layout, own, matching->side[!which].layout, &part, &vertex->npairs));
    vertex->pair = calloc((size_t)vertex->npairs + 1, sizeof *vertex->pair);
    maestro_status_t status = vertex->pair ? MAESTRO_OK : mst_base_fail_errno(WHAT);
    for (int64_t i = 0; i < vertex->npairs && status == MAESTRO_OK; i++) {
        vertex->pair[i].part = part[i];
        status = volume_of(matching->side, which, own, part[i], &vertex->pair[i].volume);
    }
    free(part);
    return status;
}

/* ---- Rounds */
static uint64_t *taken_word(const matching_t *matching, int which, int64_t part) { return &matching->taken[which * matching->nwords + part / 64]; }

static bool is_taken(const matching_t *matching, int which, int64_t part) { return *taken_word(matching, which, part) >> part % 64 & 1; }

/* How far the target's part stands behind the source's of the same number, around.  Of equal pairs the nearest come first, which are many at once where all are
 * equal; by the smallest part it would be one after the other. */
static int64_t distance(const matching_t *matching, int which, int64_t other) {
    int64_t own = matching->comm->rank, ahead = which == MST_MPI_FROM ? other - own : own - other;
    return ahead < 0 ? ahead + matching->comm->nranks : ahead;
}

/* The heaviest pair with a free part. */
static const pair_t *heaviest(const matching_t *matching, int which) {
    const vertex_t *vertex = &matching->vertex[which];
    const pair_t *best = NULL;
    for (const pair_t *pair = vertex->pair; pair < vertex->pair + vertex->npairs; pair++) {
        if ((best && pair->volume < best->volume) || is_taken(matching, !which, pair->part)) continue;
        if (!best || pair->volume > best->volume || distance(matching, which, pair->part) < distance(matching, which, best->part)) best = pair;
    }
    return best;
}

/* Each free part tells the one that it wants. */
static maestro_status_t want(matching_t *matching, int which, mst_mpi_mail_t *mail) {
    vertex_t *vertex = &matching->vertex[which];
    const pair_t *best = vertex->matched < 0 ? heaviest(matching, which) : NULL;
    vertex->wanted = best ? best->part : -1;
    if (!best) return MAESTRO_OK;
    vertex->volume = best->volume;
    const int64_t side = !which;
    mst_base_buffer_t *content = mst_mpi_mail_to(mail, (int)best->part);
    if (content) mst_base_buffer_append(content, &side, sizeof side);
    return content && !content->failed ? MAESTRO_OK : mst_base_fail_errno(WHAT);
}

static void join(matching_t *matching, const mst_mpi_mail_t *mail) {
    for (int64_t i = 0; i < mail->nletters; i++) {
        const int64_t *side = (const int64_t *)(const void *)mail->letter[i].content.data;
        for (size_t k = 0; k < mail->letter[i].content.nbytes / sizeof *side; k++) {
            vertex_t *vertex = &matching->vertex[side[k]];
            if (vertex->wanted != mail->letter[i].rank) continue;
            vertex->matched = vertex->wanted;
            *taken_word(matching, (int)side[k], matching->comm->rank) |= UINT64_C(1) << matching->comm->rank % 64;
        }
    }
}

/* Whether nothing was taken in this round, or a rank has failed. */
static maestro_status_t learn_taken(const matching_t *matching, maestro_status_t status, bool *over_out) {
    const int nwords = MST_MPI_SIDES * matching->nwords + 1;
    matching->taken[nwords - 1] = status != MAESTRO_OK;
    MST_TRY(mst_mpi_allreduce(matching->comm, WHAT, matching->taken, matching->taken, nwords, MPI_UINT64_T, MPI_BOR));
    *over_out = matching->taken[nwords - 1] || memcmp(matching->taken, matching->before, (size_t)nwords * sizeof *matching->taken) == 0;
    memcpy(matching->before, matching->taken, (size_t)nwords * sizeof *matching->taken);
    return status;
}

static maestro_status_t match(matching_t *matching) {
    maestro_status_t status = MAESTRO_OK;
    bool over = false;
    for (int round = 0; status == MAESTRO_OK && !over; round++) {
        mst_mpi_mail_t out = {0}, in = {0};
        for (int which = 0; which < MST_MPI_SIDES && status == MAESTRO_OK; which++) status = want(matching, which, &out);
        maestro_status_t exchanged = mst_mpi_exchange(matching->comm, TAG_ROUND + round % 2, &out, &in);
        if (status == MAESTRO_OK) status = exchanged;
        if (status == MAESTRO_OK) join(matching, &in);
        status = learn_taken(matching, status, &over);
        mst_mpi_mail_fini(&out);
        mst_mpi_mail_fini(&in);
    }
    return mst_mpi_agree(matching->comm, status, -1);
}

/* ---- Outcome */
static int64_t count_free(const matching_t *matching, int which, int64_t below) {
    int64_t count = 0;
    for (int64_t part = 0; part < below; part++) count += !is_taken(matching, which, part);
    return count;
}

/* What this rank's part of the source has matched.  Those left have nothing in common with any that is free: the first takes the first, and so on. */
static int64_t partner(const matching_t *matching) {
    if (matching->vertex[MST_MPI_FROM].matched >= 0) return matching->vertex[MST_MPI_FROM].matched;
    int64_t left = count_free(matching, MST_MPI_FROM, matching->comm->rank), part = 0;
    while (is_taken(matching, MST_MPI_TO, part) || left-- > 0) part++;
    return part;
}

/* Collective: the holder learns it. */
static maestro_status_t learn_result(const matching_t *matching, int64_t *to_part_out) {
    mst_mpi_mail_t out = {0}, in = {0};
    const int64_t part = partner(matching);
    mst_base_buffer_t *content = mst_mpi_mail_to(&out, (int)matching->holder);
    if (content) mst_base_buffer_append(content, &part, sizeof part);
    maestro_status_t status = content && !content->failed ? MAESTRO_OK : mst_base_fail_errno(WHAT);
    maestro_status_t exchanged = mst_mpi_exchange(matching->comm, TAG_RESULT, &out, &in);
    if (status == MAESTRO_OK) status = exchanged;
    if (in.nletters == 1) memcpy(to_part_out, in.letter[0].content.data, sizeof part);
    else if (status == MAESTRO_OK) status = mst_base_fail(MAESTRO_SYSTEM, "%s: a rank lacks memory to tell this one its part", WHAT);
    mst_mpi_mail_fini(&out);
    mst_mpi_mail_fini(&in);
    return mst_mpi_agree(matching->comm, status, -1);
}

/* ---- Holders */
static maestro_status_t learn_holder(matching_t *matching) {
    mst_mpi_mail_t out = {0}, in = {0};
    maestro_status_t status = mst_mpi_mail_to(&out, (int)matching->side[MST_MPI_FROM].part) ? MAESTRO_OK : mst_base_fail_errno(WHAT);
    maestro_status_t exchanged = mst_mpi_exchange(matching->comm, TAG_HELD, &out, &in);
    if (status == MAESTRO_OK) status = exchanged;
    if (in.nletters > 0) matching->holder = in.letter[0].rank;
    if (status == MAESTRO_OK && in.nletters > 1)
        status = mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: part %d of the source is that of rank %d and of rank %d; each part may be of one rank", WHAT,
                               matching->comm->rank, in.letter[0].rank, in.letter[1].rank);
    mst_mpi_mail_fini(&out);
    mst_mpi_mail_fini(&in);
    return mst_mpi_agree(matching->comm, status, -1);
}

/* The parts that ranks have anyway, where these keep as much. */
static maestro_status_t compare_with_own(const matching_t *matching, int64_t *to_part) {
    const vertex_t *vertex = &matching->vertex[MST_MPI_FROM];
    int64_t own[] = {vertex->matched < 0 ? 0 : vertex->volume, 0}, all[2] = {0};
    maestro_status_t status = volume_of(matching->side, MST_MPI_FROM, matching->side[MST_MPI_FROM].part, matching->comm->rank, &own[1]);
    MST_TRY(mst_mpi_agree(matching->comm, status, -1));
    MST_TRY(mst_mpi_allreduce(matching->comm, WHAT, own, all, 2, MPI_INT64_T, MPI_SUM));
    if (all[1] >= all[0]) *to_part = matching->comm->rank;
    return MAESTRO_OK;
}

static maestro_status_t prepare(matching_t *matching) {
    matching->nwords = matching->comm->nranks / 64 + 1;
    matching->taken = calloc((size_t)MST_MPI_SIDES * (size_t)matching->nwords + 1, sizeof *matching->taken);
    matching->before = calloc((size_t)MST_MPI_SIDES * (size_t)matching->nwords + 1, sizeof *matching->before);
    if (!matching->taken || !matching->before) return mst_base_fail_errno(WHAT);
    for (int s = 0; s < MST_MPI_SIDES; s++) MST_TRY(find_pairs(matching, s, &matching->vertex[s]));
    return MAESTRO_OK;
}

static maestro_status_t relabel(const mst_mpi_comm_t *comm, const mst_mpi_side_t *side, int64_t *to_part_out) {
    matching_t matching = {.comm = comm, .side = side};
    maestro_status_t status = mst_mpi_agree(comm, prepare(&matching), -1);
    if (status == MAESTRO_OK) status = learn_holder(&matching);
    if (status == MAESTRO_OK) status = match(&matching);
    if (status == MAESTRO_OK) status = learn_result(&matching, to_part_out);
    if (status == MAESTRO_OK) status = compare_with_own(&matching, to_part_out);
    for (int s = 0; s < MST_MPI_SIDES; s++) free(matching.vertex[s].pair);
    free(matching.taken);
    free(matching.before);
    return status;
}

/* ---- Arguments */
static maestro_status_t check_layout(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const maestro_layout_t *layout, int which) {
    const char *name = mst_mpi_side_word(request, which);
    if (!layout) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the %slayout is NULL on rank %d; every rank gives it", WHAT, name, comm->rank);
    if (layout->family != MST_ARRAY_REGULAR)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the %slayout of rank %d is its own boxes or indices; give a regular one", WHAT, name, comm->rank);
    if (layout->nparts == comm->nranks) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the %slayout of rank %d has %lld parts for %d ranks; give one with a part for each", WHAT, name,
                         comm->rank, (long long)layout->nparts, comm->nranks);
}

static maestro_status_t check_request(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const int64_t *to_part_out) {
    if (!to_part_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the output is NULL", WHAT);
    if (request->options.size != sizeof request->options)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the options' size is %zu, expected %zu; call maestro_plan_options_init first", WHAT,
                             request->options.size, sizeof request->options);
    MST_TRY(check_layout(comm, request, request->from, MST_MPI_FROM));
    return check_layout(comm, request, request->to, MST_MPI_TO);
}

maestro_status_t maestro_relabel(const maestro_layout_t *from, const maestro_layout_t *to, maestro_comm_t comm, const maestro_plan_options_t *options,
                                 int64_t *to_part_out) {
    mst_mpi_request_t request = {.what = WHAT, .from = from, .to = to, .element_nbytes = 1};
    mst_mpi_side_t side[MST_MPI_SIDES];
    mst_mpi_comm_t ours;
    int64_t to_part = -1;
    maestro_plan_options_init(&request.options);
    if (options && options->size == sizeof *options) request.options.from_part = options->from_part;
    else if (options) request.options.size = options->size;
    MST_TRY(mst_mpi_comm_open(WHAT, comm, &ours));
    maestro_status_t status = mst_mpi_begin(&ours, WHAT, check_request(&ours, &request, to_part_out), NULL, 0);
    if (status == MAESTRO_OK) status = mst_mpi_sides_learn(&ours, &request, side);
    if (status == MAESTRO_OK) status = relabel(&ours, side, &to_part);
    if (status == MAESTRO_OK) *to_part_out = to_part;
    mst_mpi_comm_close(&ours);
    return status;
}
