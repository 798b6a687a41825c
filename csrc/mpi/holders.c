/* Which rank has which part of a regular layout. */
#include "mpi/match.h"

static const char WHAT[] = "match two layouts";

/* The parts' numbers cut evenly over the ranks. */
static int keeper(const mst_mpi_comm_t *comm, const mst_mpi_side_t *side, int64_t part) {
    const mst_array_cut_t cut = {.size = side->layout->nparts, .nparts = comm->nranks};
    return (int)mst_array_cut_owner(&cut, part);
}

static int by_part(const void *a, const void *b) {
    const mst_mpi_holder_t *x = a, *y = b;
    if (x->side != y->side) return x->side < y->side ? -1 : 1;
    if (x->part != y->part) return x->part < y->part ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static maestro_status_t append_number(mst_mpi_mail_t *mail, int rank, const void *bytes, size_t nbytes) {
    mst_base_buffer_t *content = mst_mpi_mail_to(mail, rank);
    if (content) mst_base_buffer_append(content, bytes, nbytes);
    return content && !content->failed ? MAESTRO_OK : mst_base_fail_errno(WHAT);
}

/* ---- Learning */
static maestro_status_t take_holders(const mst_mpi_mail_t *mail, mst_mpi_holders_t *holders) {
    int64_t capacity = 0;
    for (int64_t i = 0; i < mail->nletters; i++) capacity += (int64_t)(mail->letter[i].content.nbytes / sizeof *holders->holder);
    holders->holder = malloc((size_t)(capacity + 1) * sizeof *holders->holder);
    if (!holders->holder) return mst_base_fail_errno(WHAT);
    for (int64_t i = 0; i < mail->nletters; i++) {
        const mst_base_buffer_t *content = &mail->letter[i].content;
        memcpy(holders->holder + holders->nholders, content->data, content->nbytes);
        holders->nholders += (int64_t)(content->nbytes / sizeof *holders->holder);
    }
    qsort(holders->holder, (size_t)holders->nholders, sizeof *holders->holder, by_part);
    return MAESTRO_OK;
}

static maestro_status_t check_twice(const mst_mpi_request_t *request, const mst_mpi_holders_t *holders) {
    for (int64_t i = 1; i < holders->nholders; i++) {
        const mst_mpi_holder_t *a = &holders->holder[i - 1], *b = &holders->holder[i];
        if (a->side == b->side && a->part == b->part)
            return mst_base_fail(MAESTRO_DUPLICATE, "%s: part %lld of the %slayout is that of rank %lld and of rank %lld; each part may be of one rank",
                                 request->what, (long long)a->part, mst_mpi_side_word(request, (int)a->side), (long long)a->rank, (long long)b->rank);
    }
    return MAESTRO_OK;
}

/* Collective. */
static maestro_status_t compare_numbers(const mst_mpi_comm_t *comm, const mst_mpi_side_t side[MST_MPI_SIDES], mst_mpi_holders_t *holders) {
    int own[MST_MPI_SIDES], all[MST_MPI_SIDES];
    for (int s = 0; s < MST_MPI_SIDES; s++) {
        own[s] = !side[s].regular || side[s].part == (comm->rank < side[s].layout->nparts ? comm->rank : -1);
    }
    MST_TRY(mst_mpi_allreduce(comm, WHAT, own, all, MST_MPI_SIDES, MPI_INT, MPI_MIN));
    for (int s = 0; s < MST_MPI_SIDES; s++) holders->is_own_number[s] = all[s];
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_holders_learn(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const mst_mpi_side_t side[MST_MPI_SIDES],
                                       mst_mpi_holders_t *holders_out) {
    mst_mpi_mail_t out = {0}, in = {0};
    maestro_status_t status = MAESTRO_OK;
    *holders_out = (mst_mpi_holders_t){0};
    MST_TRY(compare_numbers(comm, side, holders_out));
    if (holders_out->is_own_number[MST_MPI_FROM] && holders_out->is_own_number[MST_MPI_TO]) return MAESTRO_OK;
    for (int s = 0; s < MST_MPI_SIDES; s++) {
        const mst_mpi_holder_t holder = {.side = s, .part = side[s].part, .rank = comm->rank};
        if (side[s].regular && side[s].part >= 0 && status == MAESTRO_OK)
            status = append_number(&out, keeper(comm, &side[s], holder.part), &holder, sizeof holder);
    }
    maestro_status_t exchanged = mst_mpi_exchange(comm, MST_MPI_TAG_PARTS, &out, &in);
    if (status == MAESTRO_OK) status = exchanged;
    if (status == MAESTRO_OK) status = take_holders(&in, holders_out);
    if (status == MAESTRO_OK) status = check_twice(request, holders_out);
    mst_mpi_mail_fini(&out);
    mst_mpi_mail_fini(&in);
    return mst_mpi_agree(comm, status, -1);
}

/* ---- Asking */
static int64_t find_rank(const mst_mpi_holders_t *holders, int64_t which, int64_t part) {
    const mst_mpi_holder_t lowest = {.side = which, .part = part};
    int64_t low = 0, high = holders->nholders;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (by_part(&holders->holder[middle], &lowest) < 0) low = middle + 1;
        else high = middle;
    }
    const mst_mpi_holder_t *found = &holders->holder[low];
    return low < holders->nholders && found->side == which && found->part == part ? found->rank : -1;
}

static maestro_status_t answer(const mst_mpi_holders_t *holders, int64_t which, const mst_mpi_mail_t *asked, mst_mpi_mail_t *answers) {
    for (int64_t i = 0; i < asked->nletters; i++) {
        const int64_t *part = (const int64_t *)asked->letter[i].content.data;
        for (size_t k = 0; k < asked->letter[i].content.nbytes / sizeof *part; k++) {
            int64_t rank = find_rank(holders, which, part[k]);
            MST_TRY(append_number(answers, asked->letter[i].rank, &rank, sizeof rank));
        }
    }
    return MAESTRO_OK;
}

/* Keepers stand in the order of the parts, so their answers do too. */
static maestro_status_t take_answers(const mst_mpi_mail_t *answers, int64_t nparts, int64_t *ranks_out) {
    int64_t taken = 0;
    for (int64_t i = 0; i < answers->nletters; i++) {
        const mst_base_buffer_t *content = &answers->letter[i].content;
        int64_t n = (int64_t)(content->nbytes / sizeof *ranks_out);
        if (taken + n <= nparts) memcpy(ranks_out + taken, content->data, content->nbytes);
        taken += n;
    }
    return taken == nparts ? MAESTRO_OK : mst_base_fail(MAESTRO_SYSTEM, "%s: %lld answers to %lld questions; a rank lacks memory", WHAT, (long long)taken,
                                                        (long long)nparts);
}

maestro_status_t mst_mpi_holders_ask(const mst_mpi_comm_t *comm, const mst_mpi_holders_t *holders, const mst_mpi_side_t *side, int64_t which,
                                     const int64_t *parts, int64_t nparts,
                                     int64_t *ranks_out) {
    mst_mpi_mail_t questions = {0}, asked = {0}, answers = {0}, answered = {0};
    maestro_status_t status = MAESTRO_OK, step;
    if (holders->is_own_number[which]) {
        for (int64_t i = 0; i < nparts; i++) ranks_out[i] = parts[i] < comm->nranks ? parts[i] : -1;
        return MAESTRO_OK;
    }
    for (int64_t i = 0; i < nparts && status == MAESTRO_OK; i++) status = append_number(&questions, keeper(comm, side, parts[i]), &parts[i], sizeof parts[i]);
    step = mst_mpi_exchange(comm, MST_MPI_TAG_ASK, &questions, &asked);
    if (status == MAESTRO_OK) status = step;
    step = answer(holders, which, &asked, &answers);
    if (status == MAESTRO_OK) status = step;
    step = mst_mpi_exchange(comm, MST_MPI_TAG_ANSWER, &answers, &answered);
    if (status == MAESTRO_OK) status = step;
    if (status == MAESTRO_OK) status = take_answers(&answered, nparts, ranks_out);
    mst_mpi_mail_fini(&questions);
    mst_mpi_mail_fini(&asked);
    mst_mpi_mail_fini(&answers);
    mst_mpi_mail_fini(&answered);
    return status;
}

void mst_mpi_holders_fini(mst_mpi_holders_t *holders) {
    free(holders->holder);
    *holders = (mst_mpi_holders_t){0};
}
