/* maestro_relabel: which rank takes which part of the target, so that little changes ranks.  A matching of the source's parts with the target's, whose weights
 * are the numbers of elements that two parts have in common: always the heaviest pair of two parts that are both free, which keeps at least half of what the
 * best matching keeps (COSTA does it so, on every rank: Kabic et al., ISC 2021).  Here each rank has one part of each side and knows its pairs alone, and
 * parts that are each other's heaviest match at once (Preis, STACS 1999; asked for as in Manne and Bisseling, PPAM 2007): the outcome is the same.
 *
 * A part asks the heaviest that has not refused it.  Two that ask each other have matched; each then refuses all others that ask it, and have asked.
 * Invariants: part i of both sides is kept by rank i, whichever rank holds it; every rank takes part in each round until no part has said anything. */
#include "mpi/match.h"

static const char WHAT[] = "relabel";

enum { TAG_HELD = 1, TAG_REST, TAG_RESULT, TAG_ROUND }; /* two for rounds, in turn */

typedef struct pair {
    int64_t part;   /* of the other side; ascending */
    int64_t volume; /* elements in common; 0: it has refused */
    bool asks;
} pair_t;

typedef struct vertex { /* a part of which this rank keeps the book */
    int64_t npairs;
    pair_t *pair;
    int64_t asked, matched; /* of the other side; -1: none */
    int64_t volume;         /* of the match */
} vertex_t;

typedef struct matching {
    const mst_mpi_comm_t *comm;
    const mst_mpi_side_t *side;
    vertex_t vertex[MST_MPI_SIDES];
    int64_t holder; /* the rank that holds the source's part */
} matching_t;

typedef struct word { /* from a part to one of the other side */
    int64_t to_side, refuses;
} word_t;

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
/* How far the target's part stands behind the source's of the same number, around.  Of equal pairs the nearest come first, which are many at once where all are
 * equal; by the smallest part it would be one after the other. */
static int64_t distance(const matching_t *matching, int which, int64_t other) {
    int64_t own = matching->comm->rank, ahead = which == MST_MPI_FROM ? other - own : own - other;
    return ahead < 0 ? ahead + matching->comm->nranks : ahead;
}

static pair_t *heaviest(const matching_t *matching, int which) {
    const vertex_t *vertex = &matching->vertex[which];
    pair_t *best = NULL;
    for (pair_t *pair = vertex->pair; pair < vertex->pair + vertex->npairs; pair++) {
        if (!pair->volume || (best && pair->volume < best->volume)) continue;
        if (!best || pair->volume > best->volume || distance(matching, which, pair->part) < distance(matching, which, best->part)) best = pair;
    }
    return best;
}

static pair_t *pair_with(const vertex_t *vertex, int64_t part) {
    int64_t low = 0, high = vertex->npairs;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (vertex->pair[middle].part < part) low = middle + 1;
        else high = middle;
    }
    return low < vertex->npairs && vertex->pair[low].part == part ? &vertex->pair[low] : NULL;
}

static maestro_status_t say(mst_mpi_mail_t *mail, int which, int64_t to, bool refuses) {
    const word_t word = {.to_side = !which, .refuses = refuses};
    mst_base_buffer_t *content = mst_mpi_mail_to(mail, (int)to);
    if (content) mst_base_buffer_append(content, &word, sizeof word);
    return content && !content->failed ? MAESTRO_OK : mst_base_fail_errno(WHAT);
}

static maestro_status_t hear(matching_t *matching, const mst_mpi_mail_t *mail, mst_mpi_mail_t *answers) {
    for (int64_t i = 0; i < mail->nletters; i++) {
        const word_t *word = (const word_t *)(const void *)mail->letter[i].content.data;
        for (size_t k = 0; k < mail->letter[i].content.nbytes / sizeof *word; k++) {
            vertex_t *vertex = &matching->vertex[word[k].to_side];
            int64_t from = mail->letter[i].rank;
            pair_t *pair = pair_with(vertex, from);
            if (!pair) return mst_base_fail(MAESTRO_SYSTEM, "%s: rank %lld asks for a part that has nothing in common with its own", WHAT, (long long)from);
            if (word[k].refuses) pair->volume = 0;
            else if (vertex->matched >= 0) MST_TRY(say(answers, (int)word[k].to_side, from, true));
            else pair->asks = true;
        }
    }
    return MAESTRO_OK;
}

/* What a free part does next. */
static maestro_status_t advance(matching_t *matching, int which, mst_mpi_mail_t *mail) {
    vertex_t *vertex = &matching->vertex[which];
    const pair_t *best = vertex->matched < 0 ? heaviest(matching, which) : NULL;
    if (!best) return MAESTRO_OK;
    if (vertex->asked != best->part) MST_TRY(say(mail, which, best->part, false));
    vertex->asked = best->part;
    if (!best->asks) return MAESTRO_OK;
    vertex->matched = best->part;
    vertex->volume = best->volume;
    for (const pair_t *pair = vertex->pair; pair < vertex->pair + vertex->npairs; pair++)
        if (pair->asks && pair != best) MST_TRY(say(mail, which, pair->part, true));
    return MAESTRO_OK;
}

/* Whether no rank has anything to say, or one has failed. */
static maestro_status_t is_over(const matching_t *matching, maestro_status_t status, const mst_mpi_mail_t *mail, bool *over_out) {
    int own[] = {mail->nletters > 0, status != MAESTRO_OK}, any[] = {0, 1};
    MST_TRY(mst_mpi_check(WHAT, MPI_Allreduce(own, any, 2, MPI_INT, MPI_MAX, matching->comm->comm)));
    *over_out = !any[0] || any[1];
    return status;
}

static maestro_status_t match(matching_t *matching) {
    mst_mpi_mail_t out = {0}, in = {0};
    maestro_status_t status = MAESTRO_OK;
    for (int round = 0;; round++) {
        bool over = false;
        for (int which = 0; which < MST_MPI_SIDES && status == MAESTRO_OK; which++) status = advance(matching, which, &out);
        status = is_over(matching, status, &out, &over);
        if (over || status != MAESTRO_OK) break;
        status = mst_mpi_exchange(matching->comm, TAG_ROUND + round % 2, &out, &in);
        mst_mpi_mail_fini(&out);
        if (status == MAESTRO_OK) status = hear(matching, &in, &out);
        mst_mpi_mail_fini(&in);
    }
    mst_mpi_mail_fini(&out);
    return mst_mpi_agree(matching->comm, status, -1);
}

/* ---- Parts that have nothing in common with any free one: the first left of the source takes the first left of the target, and so on. */
static maestro_status_t tell(mst_mpi_mail_t *mail, int64_t rank, int64_t side, int64_t number) {
    const int64_t told[] = {side, number};
    mst_base_buffer_t *content = mst_mpi_mail_to(mail, (int)rank);
    if (content) mst_base_buffer_append(content, told, sizeof told);
    return content && !content->failed ? MAESTRO_OK : mst_base_fail_errno(WHAT);
}

/* Rank k hears of the k-th of both sides: who holds the source's, and which is the target's. */
static maestro_status_t tell_rest(const matching_t *matching, mst_mpi_mail_t *mail) {
    const int64_t number[] = {matching->holder, matching->comm->rank};
    int64_t left[MST_MPI_SIDES], before[MST_MPI_SIDES] = {0};
    for (int s = 0; s < MST_MPI_SIDES; s++) left[s] = matching->vertex[s].matched < 0;
    MST_TRY(mst_mpi_check(WHAT, MPI_Exscan(left, before, MST_MPI_SIDES, MPI_INT64_T, MPI_SUM, matching->comm->comm)));
    for (int s = 0; s < MST_MPI_SIDES; s++)
        if (left[s]) MST_TRY(tell(mail, matching->comm->rank ? before[s] : 0, s, number[s]));
    return MAESTRO_OK;
}

static maestro_status_t join_rest(const mst_mpi_mail_t *heard, mst_mpi_mail_t *results) {
    int64_t number[MST_MPI_SIDES] = {-1, -1};
    for (int64_t i = 0; i < heard->nletters; i++) {
        const int64_t *told = (const int64_t *)(const void *)heard->letter[i].content.data;
        for (size_t k = 0; k < heard->letter[i].content.nbytes / sizeof *told; k += 2) number[told[k]] = told[k + 1];
    }
    return number[MST_MPI_FROM] < 0 ? MAESTRO_OK : tell(results, number[MST_MPI_FROM], MST_MPI_TO, number[MST_MPI_TO]);
}

/* Collective: what this rank's part of the source has matched. */
static maestro_status_t learn_result(const matching_t *matching, int64_t *to_part_out) {
    const vertex_t *vertex = &matching->vertex[MST_MPI_FROM];
    mst_mpi_mail_t rest = {0}, heard = {0}, results = {0}, result = {0};
    maestro_status_t status = tell_rest(matching, &rest), step = mst_mpi_exchange(matching->comm, TAG_REST, &rest, &heard);
    if (status == MAESTRO_OK) status = step;
    if (status == MAESTRO_OK) status = join_rest(&heard, &results);
    if (status == MAESTRO_OK && vertex->matched >= 0) status = tell(&results, matching->holder, MST_MPI_TO, vertex->matched);
    step = mst_mpi_exchange(matching->comm, TAG_RESULT, &results, &result);
    if (status == MAESTRO_OK) status = step;
    if (status == MAESTRO_OK && result.nletters == 1) *to_part_out = ((const int64_t *)(const void *)result.letter[0].content.data)[1];
    if (status == MAESTRO_OK && result.nletters != 1) status = mst_base_fail(MAESTRO_SYSTEM, "%s: no rank knows this one's part; another lacks memory", WHAT);
    mst_mpi_mail_fini(&rest);
    mst_mpi_mail_fini(&heard);
    mst_mpi_mail_fini(&results);
    mst_mpi_mail_fini(&result);
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
    int64_t own[] = {matching->vertex[MST_MPI_FROM].volume, 0}, all[2] = {0};
    maestro_status_t status = volume_of(matching->side, MST_MPI_FROM, matching->side[MST_MPI_FROM].part, matching->comm->rank, &own[1]);
    MST_TRY(mst_mpi_agree(matching->comm, status, -1));
    MST_TRY(mst_mpi_check(WHAT, MPI_Allreduce(own, all, 2, MPI_INT64_T, MPI_SUM, matching->comm->comm)));
    if (all[1] >= all[0]) *to_part = matching->comm->rank;
    return MAESTRO_OK;
}

static maestro_status_t relabel(const mst_mpi_comm_t *comm, const mst_mpi_side_t *side, int64_t *to_part_out) {
    matching_t matching = {.comm = comm, .side = side};
    maestro_status_t status = MAESTRO_OK;
    for (int s = 0; s < MST_MPI_SIDES; s++) {
        matching.vertex[s] = (vertex_t){.asked = -1, .matched = -1};
        if (status == MAESTRO_OK) status = find_pairs(&matching, s, &matching.vertex[s]);
    }
    status = mst_mpi_agree(comm, status, -1);
    if (status == MAESTRO_OK) status = learn_holder(&matching);
    if (status == MAESTRO_OK) status = match(&matching);
    if (status == MAESTRO_OK) status = learn_result(&matching, to_part_out);
    if (status == MAESTRO_OK) status = compare_with_own(&matching, to_part_out);
    for (int s = 0; s < MST_MPI_SIDES; s++) free(matching.vertex[s].pair);
    return status;
}

/* ---- Arguments */
static maestro_status_t check_layout(const mst_mpi_comm_t *comm, const maestro_layout_t *layout, int which) {
    const char *name = mst_mpi_side_name[which];
    if (!layout) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the %s layout is NULL on rank %d; every rank gives it", WHAT, name, comm->rank);
    if (layout->family != MST_ARRAY_REGULAR)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the %s layout of rank %d is its own boxes or indices, whose parts have no numbers; give a regular one",
                             WHAT, name, comm->rank);
    if (layout->nparts == comm->nranks) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the %s layout of rank %d has %lld parts for %d ranks; give one with a part for each", WHAT, name,
                         comm->rank, (long long)layout->nparts, comm->nranks);
}

static maestro_status_t check_request(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const int64_t *to_part_out) {
    if (!to_part_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the output is NULL", WHAT);
    if (request->options.size != sizeof request->options)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the options' size is %zu, expected %zu; call maestro_plan_options_init first", WHAT,
                             request->options.size, sizeof request->options);
    MST_TRY(check_layout(comm, request->from, MST_MPI_FROM));
    return check_layout(comm, request->to, MST_MPI_TO);
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
    maestro_status_t status = mst_mpi_agree(&ours, check_request(&ours, &request, to_part_out), -1);
    if (status == MAESTRO_OK) status = mst_mpi_sides_learn(&ours, &request, side);
    if (status == MAESTRO_OK) status = relabel(&ours, side, &to_part);
    if (status == MAESTRO_OK) *to_part_out = to_part;
    mst_mpi_comm_close(&ours);
    return status;
}
