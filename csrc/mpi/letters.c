/* Letters from some ranks to some, none of which knows who will write to it: the algorithm NBX of Hoefler, Siebert and Lumsdaine (Scalable communication
 * protocols for dynamic sparse data exchange, PPoPP 2010).  A sender knows when its letters are being read; when all ranks know so, none is on its way. */
#include "mpi/comm.h"

#include <limits.h>
#include <sched.h>

mst_base_buffer_t *mst_mpi_mail_to(mst_mpi_mail_t *mail, int rank) {
    int64_t low = 0, high = mail->nletters; /* the letter, or its place */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (mail->letter[middle].rank < rank) low = middle + 1;
        else high = middle;
    }
    if (low < mail->nletters && mail->letter[low].rank == rank) return &mail->letter[low].content;
    if (mail->nletters == mail->capacity) {
        int64_t capacity = mail->capacity ? 2 * mail->capacity : 8;
        mst_mpi_letter_t *grown = realloc(mail->letter, (size_t)capacity * sizeof *grown);
        if (!grown) return NULL;
        mail->letter = grown;
        mail->capacity = capacity;
    }
    memmove(&mail->letter[low + 1], &mail->letter[low], (size_t)(mail->nletters++ - low) * sizeof *mail->letter);
    mail->letter[low] = (mst_mpi_letter_t){.rank = rank};
    return &mail->letter[low].content;
}

bool mst_mpi_mail_failed(const mst_mpi_mail_t *mail) {
    for (int64_t i = 0; i < mail->nletters; i++)
        if (mail->letter[i].content.failed || mail->letter[i].content.nbytes > INT_MAX) return true;
    return false;
}

void mst_mpi_mail_fini(mst_mpi_mail_t *mail) {
    for (int64_t i = 0; i < mail->nletters; i++) mst_base_buffer_fini(&mail->letter[i].content);
    free(mail->letter);
    *mail = (mst_mpi_mail_t){0};
}

static maestro_status_t receive(const mst_mpi_comm_t *comm, const MPI_Status *status, mst_mpi_mail_t *in) {
    int nbytes = 0;
    MPI_Get_count(status, MPI_BYTE, &nbytes);
    mst_base_buffer_t *content = mst_mpi_mail_to(in, status->MPI_SOURCE);
    char *data = malloc((size_t)nbytes + 1);
    if (content && data) *content = (mst_base_buffer_t){.data = data, .nbytes = (size_t)nbytes, .capacity = (size_t)nbytes + 1};
    int code = MPI_Recv(data, data ? nbytes : 0, MPI_BYTE, status->MPI_SOURCE, status->MPI_TAG, comm->comm, MPI_STATUS_IGNORE);
    if (content && data) return mst_mpi_check("receive a letter", code);
    free(data);
    return mst_base_fail_errno("receive a letter of %d bytes", nbytes);
}

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
    }
}

maestro_status_t mst_mpi_exchange(const mst_mpi_comm_t *comm, int tag, mst_mpi_mail_t *out, mst_mpi_mail_t *in_out) {
    MPI_Request *sent = malloc((size_t)(out->nletters + 1) * sizeof *sent);
    maestro_status_t status = sent && !mst_mpi_mail_failed(out) ? MAESTRO_OK : mst_base_fail_errno("exchange letters");
    int nsent = 0;
    for (int64_t i = 0; i < out->nletters && status == MAESTRO_OK; i++) {
        mst_base_buffer_t *content = &out->letter[i].content;
        status = mst_mpi_check("send a letter", MPI_Issend(content->data, (int)content->nbytes, MPI_BYTE, out->letter[i].rank, tag, comm->comm, &sent[nsent]));
        nsent += status == MAESTRO_OK;
    }
    maestro_status_t served = serve(comm, tag, nsent, sent, in_out);
    free(sent);
    return status != MAESTRO_OK ? status : served;
}
