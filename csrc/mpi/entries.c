/* See directory.h.  Boxes and indices are cut to the stretch before they travel; of regular layouts nothing travels, for who meets a stretch is computed. */
#include "mpi/directory.h"

#include <stdio.h>

static const char WHAT[] = "match two layouts";

/* The leading dimensions are cut, so that a part is contiguous. */
maestro_status_t mst_mpi_stretches(const mst_mpi_comm_t *comm, const maestro_layout_t *of, maestro_layout_t **stretches_out) {
    int64_t shape[MST_ARRAY_MAX], grid[MST_ARRAY_MAX], left = comm->nranks;
    for (int d = 0; d < of->ndims; d++) {
        shape[d] = of->cut[d].size;
        grid[d] = shape[d] < 1 ? 1 : shape[d] < left ? shape[d] : left;
        left = shape[d] < left ? left / grid[d] : 1;
    }
    return maestro_layout_blocks(of->ndims, shape, grid, NULL, stretches_out);
}

/* ---- What is told: a head, then pieces or spans */
typedef struct head {
    int64_t side, family, count;
} head_t;

/* A box, cut off; false: nothing is left. */
static bool cut_box(mst_array_piece_t *piece, const mst_array_piece_t *stretch) {
    piece->count = 1;
    for (int d = 0; d < piece->ndims; d++) {
        mst_array_comb_t *comb = &piece->comb[d];
        const mst_array_comb_t *other = &stretch->comb[d];
        int64_t first = comb->first > other->first ? comb->first : other->first, end = comb->end < other->end ? comb->end : other->end;
        if (first >= end) return false;
        piece->start += (first - comb->first) * piece->stride[d];
        comb->first = first;
        comb->end = end;
        comb->length = end - first;
        piece->count *= end - first;
    }
    return true;
}

static int64_t tell_boxes(const maestro_layout_t *layout, const mst_array_piece_t *stretch, mst_base_buffer_t *content) {
    int64_t count = 0;
    for (int64_t i = 0; i < layout->npieces; i++) {
        mst_array_piece_t piece = layout->piece[i];
        if (!cut_box(&piece, stretch)) continue;
        mst_base_buffer_append(content, &piece, sizeof piece);
        count++;
    }
    return count;
}

static int64_t tell_spans(const maestro_layout_t *layout, const mst_array_piece_t *stretch, mst_base_buffer_t *content) {
    int64_t index[MST_ARRAY_MAX], count = 0, low = 0, high = layout->nspans;
    for (int d = 0; d < layout->ndims; d++) index[d] = stretch->comb[d].first;
    int64_t begin = mst_array_layout_linear(layout, index), end = begin + stretch->count;
    while (low < high) { /* the first that ends behind the beginning */
        int64_t middle = low + (high - low) / 2;
        if (layout->span[middle].first + layout->span[middle].length <= begin) low = middle + 1;
        else high = middle;
    }
    for (int64_t i = low; i < layout->nspans && layout->span[i].first < end; i++, count++) {
        mst_array_span_t span = layout->span[i];
        int64_t before = span.first < begin ? begin - span.first : 0, behind = span.first + span.length > end ? span.first + span.length - end : 0;
        span = (mst_array_span_t){.first = span.first + before, .length = span.length - before - behind, .position = span.position + before};
        mst_base_buffer_append(content, &span, sizeof span);
    }
    return count;
}

static maestro_status_t tell_stretch(const mst_mpi_side_t *side, int which, const maestro_layout_t *stretches, int64_t number, mst_mpi_mail_t *mail) {
    mst_base_buffer_t *content = mst_mpi_mail_to(mail, (int)number);
    if (!content) return mst_base_fail_errno(WHAT);
    mst_array_piece_t stretch;
    mst_array_part_piece(stretches, number, &stretch);
    head_t head = {.side = which, .family = side->layout->family};
    size_t at = content->nbytes;
    mst_base_buffer_append(content, &head, sizeof head);
    head.count = (side->layout->family == MST_ARRAY_BOXES ? tell_boxes : tell_spans)(side->layout, &stretch, content);
    if (content->failed) return mst_base_fail_errno(WHAT);
    memcpy(content->data + at, &head, sizeof head);
    return MAESTRO_OK;
}

static maestro_status_t tell_side(const mst_mpi_side_t *side, int which, const maestro_layout_t *stretches, mst_mpi_mail_t *mail) {
    int64_t *numbers = NULL, count = 0;
    if (side->regular || side->part < 0) return MAESTRO_OK;
    maestro_status_t status = mst_array_peers(side->layout, side->part, stretches, &numbers, &count);
    for (int64_t i = 0; i < count && status == MAESTRO_OK; i++) status = tell_stretch(side, which, stretches, numbers[i], mail);
    free(numbers);
    return status;
}

/* ---- What is heard */
static mst_mpi_entry_t *add_entry(mst_mpi_entries_t *entries, int rank) {
    if (!MST_RESERVE(entries->entry, entries->capacity, (size_t)entries->nentries + 1, 1)) return NULL;
    mst_mpi_entry_t *entry = &entries->entry[entries->nentries++];
    *entry = (mst_mpi_entry_t){.rank = rank};
    return entry;
}

static maestro_status_t hear(const maestro_layout_t *array, const head_t *head, const char *bytes, mst_mpi_entry_t *entry) {
    bool boxes = head->family == MST_ARRAY_BOXES;
    size_t nbytes = (size_t)head->count * (boxes ? sizeof(mst_array_piece_t) : sizeof(mst_array_span_t));
    void *copy = malloc(nbytes + 1);
    if (!copy) return mst_base_fail_errno(WHAT);
    memcpy(copy, bytes, nbytes);
    entry->own = (maestro_layout_t){.family = (mst_array_family_t)head->family, .ndims = array->ndims, .nparts = 1};
    for (int d = 0; d < array->ndims; d++) entry->own.cut[d] = (mst_array_cut_t){.size = array->cut[d].size, .nparts = 1};
    if (boxes) entry->own.piece = copy, entry->own.npieces = head->count;
    else entry->own.span = copy, entry->own.nspans = head->count;
    return MAESTRO_OK;
}

static maestro_status_t hear_letter(const maestro_layout_t *array, const mst_mpi_letter_t *letter, mst_mpi_entries_t entries[MST_MPI_SIDES]) {
    for (size_t at = 0; at < letter->content.nbytes;) {
        head_t head;
        memcpy(&head, letter->content.data + at, sizeof head);
        at += sizeof head;
        mst_mpi_entry_t *entry = add_entry(&entries[head.side], letter->rank);
        if (!entry) return mst_base_fail_errno(WHAT);
        MST_TRY(hear(array, &head, letter->content.data + at, entry));
        at += (size_t)head.count * (head.family == MST_ARRAY_BOXES ? sizeof(mst_array_piece_t) : sizeof(mst_array_span_t));
    }
    return MAESTRO_OK;
}

/* ---- What is computed */
static maestro_status_t add_regular(const mst_mpi_comm_t *comm, const mst_mpi_side_t *side, int which, const mst_mpi_holders_t *holders,
                                    const maestro_layout_t *stretches,
                                    mst_mpi_entries_t *entries) {
    int64_t *parts = NULL, *ranks = NULL, nparts = 0;
    maestro_status_t status = comm->rank < stretches->nparts ? mst_array_peers(stretches, comm->rank, side->layout, &parts, &nparts) : MAESTRO_OK;
    if (status == MAESTRO_OK && !(ranks = malloc((size_t)(nparts + 1) * sizeof *ranks))) status = mst_base_fail_errno(WHAT);
    maestro_status_t asked = mst_mpi_holders_ask(comm, holders, side, which, parts, status == MAESTRO_OK ? nparts : 0, ranks);
    if (status == MAESTRO_OK) status = asked;
    for (int64_t i = 0; i < nparts && status == MAESTRO_OK; i++) {
        if (ranks[i] < 0) continue;
        mst_mpi_entry_t *entry = add_entry(entries, (int)ranks[i]);
        if (!entry) status = mst_base_fail_errno(WHAT);
        else entry->layout = side->layout, entry->part = parts[i];
    }
    free(parts);
    free(ranks);
    return status;
}

maestro_status_t mst_mpi_entries_collect(const mst_mpi_comm_t *comm, const mst_mpi_side_t side[MST_MPI_SIDES], const mst_mpi_holders_t *holders,
                                         const maestro_layout_t *stretches,
                                         mst_mpi_entries_t entries_out[MST_MPI_SIDES]) {
    mst_mpi_mail_t out = {0}, in = {0};
    maestro_status_t status = MAESTRO_OK, step;
    for (int s = 0; s < MST_MPI_SIDES && status == MAESTRO_OK; s++) status = tell_side(&side[s], s, stretches, &out);
    step = mst_mpi_exchange(comm, MST_MPI_TAG_HELD, &out, &in);
    if (status == MAESTRO_OK) status = step;
    for (int64_t i = 0; i < in.nletters && status == MAESTRO_OK; i++) status = hear_letter(stretches, &in.letter[i], entries_out);
    for (int s = 0; s < MST_MPI_SIDES; s++) {
        if (!side[s].regular) continue; /* all ranks see it so */
        step = add_regular(comm, &side[s], s, holders, stretches, &entries_out[s]);
        if (status == MAESTRO_OK) status = step;
    }
    for (int s = 0; s < MST_MPI_SIDES; s++) /* now that none of them moves any more */
        for (int64_t i = 0; i < entries_out[s].nentries; i++)
            if (!entries_out[s].entry[i].layout) entries_out[s].entry[i].layout = &entries_out[s].entry[i].own;
    mst_mpi_mail_fini(&out);
    mst_mpi_mail_fini(&in);
    return status;
}

void mst_mpi_entries_fini(mst_mpi_entries_t *entries) {
    for (int64_t i = 0; i < entries->nentries; i++) {
        free(entries->entry[i].own.piece);
        free(entries->entry[i].own.span);
    }
    free(entries->entry);
    *entries = (mst_mpi_entries_t){0};
}
