/* Letters from some ranks to some, none of which knows who will write to it: the algorithm NBX of Hoefler, Siebert and Lumsdaine (Scalable communication
 * protocols for dynamic sparse data exchange, PPoPP 2010).  A sender knows when its letters are being read; when all ranks know so, none is on its way. */
#include "mpi/duplicate.h"

#include <limits.h>
#include <sched.h>

mst_base_buffer_t *mst_mpi_mail_to(mst_mpi_mail_t *mail, int rank) {
    bool room = MST_RESERVE(mail->letter, mail->capacity, (size_t)mail->nletters + 1, 8);
    int64_t place = room ? mst_mpi_ranks_place(&mail->ranks, rank) : -1;
    if (place == mail->nletters) mail->letter[mail->nletters++] = (mst_mpi_letter_t){.rank = rank};
    return place < 0 ? NULL : &mail->letter[place].content;
}

bool mst_mpi_mail_failed(const mst_mpi_mail_t *mail) {
    for (int64_t i = 0; i < mail->nletters; i++)
        if (mail->letter[i].content.failed) return true;
    return false;
}

void mst_mpi_mail_fini(mst_mpi_mail_t *mail) {
    for (int64_t i = 0; i < mail->nletters; i++) mst_base_buffer_fini(&mail->letter[i].content);
    mst_mpi_ranks_fini(&mail->ranks);
    free(mail->letter);
    *mail = (mst_mpi_mail_t){0};
}

/* In order of arrival; they are sorted when all are there. */
static maestro_status_t receive(const mst_mpi_comm_t *comm, const MPI_Status *status, mst_mpi_mail_t *in) {
    int nbytes = 0;
    MPI_Get_count(status, MPI_BYTE, &nbytes);
    char *data = malloc((size_t)nbytes + 1);
    bool room = data && MST_RESERVE(in->letter, in->capacity, (size_t)in->nletters + 1, 8);
    int code = MPI_Recv(data, room ? nbytes : 0, MPI_BYTE, status->MPI_SOURCE, status->MPI_TAG, comm->comm, MPI_STATUS_IGNORE);
    if (!room) {
        free(data);
        return mst_base_fail_errno("receive a letter of %d bytes", nbytes);
    }
    in->letter[in->nletters++] = (mst_mpi_letter_t){status->MPI_SOURCE, {.data = data, .nbytes = (size_t)nbytes, .capacity = (size_t)nbytes + 1}};
    return mst_mpi_check("receive a letter", code);
}

static int compare_ranks(const void *a, const void *b) { return ((const mst_mpi_letter_t *)a)->rank - ((const mst_mpi_letter_t *)b)->rank; }

/* One after the other: MPI's call for several tells the world of errors, whose handler aborts. */
static maestro_status_t test_all(int count, MPI_Request *request, int *done) {
    *done = 1;
    for (int i = 0; i < count && *done; i++)
        if (request[i] != MPI_REQUEST_NULL) MST_TRY(mst_mpi_check("send a letter", MPI_Test(&request[i], done, MPI_STATUS_IGNORE)));
    return MAESTRO_OK;
}

/* Receives until all ranks know that what they sent is being read. */
static maestro_status_t serve(const mst_mpi_comm_t *comm, int tag, int nsent, MPI_Request *sent, mst_mpi_mail_t *in) {
    maestro_status_t result = MAESTRO_OK;
    MPI_Request all_read = MPI_REQUEST_NULL;
    bool at_barrier = false;
    double timeout_s = mst_mpi_timeout_s();
    int64_t until_ns = mst_base_deadline_ns(timeout_s);
    for (int done = 0, arrived = 0;;) {
        MPI_Status status;
        MST_TRY(mst_mpi_check("exchange letters", MPI_Iprobe(MPI_ANY_SOURCE, tag, comm->comm, &arrived, &status)));
        if (arrived) {
            maestro_status_t received = receive(comm, &status, in);
            if (result == MAESTRO_OK) result = received;
            continue;
        }
        MST_TRY(at_barrier ? test_all(1, &all_read, &done) : test_all(nsent, sent, &done));
        if (done && at_barrier) return result;
        if (done) MST_TRY(mst_mpi_check("exchange letters", MPI_Ibarrier(comm->comm, &all_read)));
        at_barrier = at_barrier || done;
        if (comm->crowded) sched_yield();
        if (mst_base_now_ns() >= until_ns) return mst_mpi_late("exchange letters", timeout_s);
    }
}

static maestro_status_t check_letters(const mst_mpi_mail_t *out) {
    if (mst_mpi_mail_failed(out)) return mst_base_fail_errno("exchange letters");
    for (int64_t i = 0; i < out->nletters; i++)
        if (out->letter[i].content.nbytes > INT_MAX)
            return mst_base_fail(MAESTRO_TOO_LARGE, "exchange letters: what rank %d is told takes %zu bytes, the limit is %d; give boxes, or use more ranks",
                                 out->letter[i].rank, out->letter[i].content.nbytes, INT_MAX);
    return MAESTRO_OK;
}

maestro_status_t mst_mpi_exchange(const mst_mpi_comm_t *comm, int tag, mst_mpi_mail_t *out, mst_mpi_mail_t *in_out) {
    MPI_Request *sent = malloc((size_t)(out->nletters + 1) * sizeof *sent);
    maestro_status_t status = sent ? check_letters(out) : mst_base_fail_errno("exchange letters");
    int nsent = 0;
    for (int64_t i = 0; i < out->nletters && status == MAESTRO_OK; i++) {
        mst_base_buffer_t *content = &out->letter[i].content;
        status = mst_mpi_check("send a letter", MPI_Issend(content->data, (int)content->nbytes, MPI_BYTE, out->letter[i].rank, tag, comm->comm, &sent[nsent]));
        nsent += status == MAESTRO_OK;
    }
    maestro_status_t served = serve(comm, tag, nsent, sent, in_out);
    free(sent);
    if (in_out->nletters > 1) qsort(in_out->letter, (size_t)in_out->nletters, sizeof *in_out->letter, compare_ranks);
    if (served == MAESTRO_TIMEOUT) {
        comm->duplicate->lost = true;
        *out = (mst_mpi_mail_t){0};
    }
    return status != MAESTRO_OK ? status : served;
}
