/* See directory.h: who meets whom is told to both, with the moves, so that both have the same. */
#include "mpi/directory.h"

static const char WHAT[] = "match two layouts";

/* ---- Moves as bytes */
typedef struct head {
    int64_t role, peer; /* role: MST_MPI_FROM: what the reader sends */
    int64_t from, to, count, naxes;
} head_t;

typedef struct axis_head {
    int64_t from_stride, to_stride, nruns;
} axis_head_t;

static void write_move(mst_base_buffer_t *content, int role, int peer, const mst_array_move_t *move) {
    const head_t head = {role, peer, move->from, move->to, move->count, move->naxes};
    mst_base_buffer_append(content, &head, sizeof head);
    for (int a = 0; a < move->naxes; a++) {
        const mst_array_axis_t *axis = &move->axis[a];
        const axis_head_t axis_head = {axis->from_stride, axis->to_stride, axis->nruns};
        mst_base_buffer_append(content, &axis_head, sizeof axis_head);
        mst_base_buffer_append(content, axis->run, (size_t)axis->nruns * sizeof *axis->run);
    }
}

/* Returns what follows.  The runs of the axes stay in the letter, whose content is aligned and has nothing but numbers of eight bytes. */
static const char *read_move(const char *bytes, head_t *head, mst_array_axis_t axis[MST_ARRAY_MAX], mst_array_move_t *move) {
    memcpy(head, bytes, sizeof *head);
    bytes += sizeof *head;
    *move = (mst_array_move_t){.naxes = (int)head->naxes, .from = head->from, .to = head->to, .count = head->count, .axis = axis};
    for (int a = 0; a < head->naxes; a++) {
        axis_head_t axis_head;
        memcpy(&axis_head, bytes, sizeof axis_head);
        bytes += sizeof axis_head;
        axis[a] = (mst_array_axis_t){.from_stride = axis_head.from_stride, .to_stride = axis_head.to_stride, .nruns = axis_head.nruns,
                                     .run = (mst_array_run_t *)(uintptr_t)bytes};
        bytes += (size_t)axis_head.nruns * sizeof *axis[a].run;
    }
    return bytes;
}

/* ---- Telling */
static maestro_status_t tell(mst_mpi_mail_t *mail, int reader, int role, int peer, const mst_array_moves_t *moves) {
    mst_base_buffer_t *content = mst_mpi_mail_to(mail, reader);
    if (!content) return mst_base_fail_errno(WHAT);
    for (int64_t m = 0; m < moves->nmoves; m++) write_move(content, role, peer, &moves->move[m]);
    return content->failed ? mst_base_fail_errno(WHAT) : MAESTRO_OK;
}

static maestro_status_t tell_pair(const mst_mpi_entry_t *from, const mst_mpi_entry_t *to, mst_mpi_mail_t *mail) {
    mst_array_moves_t moves;
    MST_TRY(mst_array_intersect(from->layout, from->part, to->layout, to->part, &moves));
    maestro_status_t status = tell(mail, from->rank, MST_MPI_FROM, to->rank, &moves);
    if (status == MAESTRO_OK && from->rank != to->rank) status = tell(mail, to->rank, MST_MPI_TO, from->rank, &moves);
    mst_array_moves_fini(&moves);
    return status;
}

static maestro_status_t tell_pairs(const mst_mpi_entries_t entries[MST_MPI_SIDES], const mst_mpi_meeting_t *meeting, mst_mpi_mail_t *mail) {
    for (int64_t i = 0; i < meeting->npairs; i++)
        MST_TRY(tell_pair(&entries[MST_MPI_FROM].entry[meeting->pair[i].from], &entries[MST_MPI_TO].entry[meeting->pair[i].to], mail));
    return MAESTRO_OK;
}

/* ---- Hearing */
static maestro_status_t hear(const mst_mpi_letter_t *letter, mst_mpi_shares_t *sends, mst_mpi_shares_t *receives) {
    const char *bytes = letter->content.data, *end = bytes + letter->content.nbytes;
    while (bytes < end) {
        head_t head;
        mst_array_move_t move;
        mst_array_axis_t axis[MST_ARRAY_MAX];
        bytes = read_move(bytes, &head, axis, &move);
        mst_array_moves_t *moves = mst_mpi_shares_with(head.role == MST_MPI_FROM ? sends : receives, (int)head.peer);
        if (!moves) return mst_base_fail_errno(WHAT);
        MST_TRY(mst_array_moves_join(moves, &move));
    }
    return MAESTRO_OK;
}

/* Letters come sorted by rank, and a letter's moves as they were found: on both ranks of a pair the same. */
static maestro_status_t exchange_moves(const mst_mpi_comm_t *comm, mst_mpi_mail_t *out, mst_mpi_shares_t *sends, mst_mpi_shares_t *receives) {
    mst_mpi_mail_t in = {0};
    maestro_status_t status = mst_mpi_exchange(comm, MST_MPI_TAG_MOVES, out, &in);
    for (int64_t i = 0; i < in.nletters && status == MAESTRO_OK; i++) status = hear(&in.letter[i], sends, receives);
    mst_mpi_mail_fini(&in);
    return mst_mpi_agree(comm, status, -1);
}

maestro_status_t mst_mpi_directory_match(const mst_mpi_comm_t *comm, const mst_mpi_request_t *request, const mst_mpi_side_t side[MST_MPI_SIDES],
                                         const mst_mpi_holders_t *holders, mst_mpi_shares_t *sends, mst_mpi_shares_t *receives) {
    maestro_layout_t *stretches = NULL;
    mst_mpi_entries_t entries[MST_MPI_SIDES] = {{0}};
    mst_mpi_meeting_t meeting = {.order = -1};
    mst_mpi_mail_t out = {0};
    maestro_status_t status = mst_mpi_agree(comm, mst_mpi_stretches(comm, side[MST_MPI_FROM].layout, &stretches), -1);
    if (status == MAESTRO_OK) {
        status = mst_mpi_entries_collect(comm, side, holders, stretches, entries);
        if (status == MAESTRO_OK) status = mst_mpi_meet(request, stretches, comm->rank, entries, &meeting);
        if (status == MAESTRO_OK) status = tell_pairs(entries, &meeting, &out);
        status = mst_mpi_agree(comm, status, meeting.order);
    }
    if (status == MAESTRO_OK) status = exchange_moves(comm, &out, sends, receives);
    mst_mpi_mail_fini(&out);
    free(meeting.pair);
    for (int s = 0; s < MST_MPI_SIDES; s++) mst_mpi_entries_fini(&entries[s]);
    maestro_layout_destroy(stretches);
    return status;
}
