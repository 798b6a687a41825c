/* Who meets whom in a stretch: what each entry has of it as runs of the stretch's row-major numbers, sorted; then one walk over both sides. */
#include "mpi/directory.h"

static const char WHAT[] = "match two layouts";

typedef struct run {
    int64_t begin, end, entry;
} run_t;

typedef struct runs {
    int64_t nruns;
    size_t capacity;
    run_t *run;
    bool failed;
} runs_t;

static void add_run(runs_t *runs, int64_t entry, int64_t begin, int64_t end) {
    run_t *last = runs->nruns ? &runs->run[runs->nruns - 1] : NULL;
    if (last && last->entry == entry && last->end == begin) {
        last->end = end;
        return;
    }
    runs->failed = runs->failed || !MST_RESERVE(runs->run, runs->capacity, (size_t)runs->nruns + 1, 64);
    if (!runs->failed) runs->run[runs->nruns++] = (run_t){begin, end, entry};
}

/* A move from the stretch: what of it is contiguous there is its last axis. */
static void add_move(runs_t *runs, int64_t entry, const mst_array_move_t *move, int number, int64_t at) {
    const mst_array_axis_t *axis = &move->axis[number];
    if (number == move->naxes) {
        add_run(runs, entry, at, at + 1);
        return;
    }
    bool line = number == move->naxes - 1 && axis->from_stride == 1;
    for (int64_t r = 0; r < axis->nruns; r++) {
        const mst_array_run_t *run = &axis->run[r];
        if (line) add_run(runs, entry, at + run->from, at + run->from + run->length);
        for (int64_t i = 0; i < run->length && !line; i++) add_move(runs, entry, move, number + 1, at + run->from + i * axis->from_stride);
    }
}

static int by_begin(const void *a, const void *b) {
    const run_t *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static maestro_status_t runs_of(const maestro_layout_t *stretches, int64_t own, const mst_mpi_entries_t *entries, runs_t *runs) {
    for (int64_t e = 0; e < entries->nentries; e++) {
        mst_array_moves_t moves;
        MST_TRY(mst_array_intersect(stretches, own, entries->entry[e].layout, entries->entry[e].part, &moves));
        for (int64_t m = 0; m < moves.nmoves; m++) add_move(runs, e, &moves.move[m], 0, moves.move[m].from);
        mst_array_moves_fini(&moves);
    }
    if (runs->failed) return mst_base_fail_errno(WHAT);
    if (runs->nruns) qsort(runs->run, (size_t)runs->nruns, sizeof *runs->run, by_begin);
    return MAESTRO_OK;
}

/* ---- What is wrong */
typedef struct walk {
    const mst_mpi_request_t *request;
    const maestro_layout_t *stretches;
    const mst_mpi_entries_t *entries;
    const runs_t *runs;
    int64_t first; /* row-major number of the stretch's first element */
    mst_mpi_meeting_t *meeting;
    size_t capacity; /* of its pairs */
} walk_t;

static maestro_status_t check_twice(walk_t *walk, int side) {
    const run_t *run = walk->runs[side].run;
    char text[200];
    for (int64_t i = 1; i < walk->runs[side].nruns; i++) {
        if (run[i].begin >= run[i - 1].end) continue;
        walk->meeting->order = walk->first + run[i].begin;
        mst_mpi_element_text(walk->stretches, walk->meeting->order, text, sizeof text);
        return mst_base_fail(MAESTRO_DUPLICATE, "%s: %s of the %slayout is with rank %d and with rank %d; each element may be with one", walk->request->what,
                             text, mst_mpi_side_word(walk->request, side), walk->entries[side].entry[run[i - 1].entry].rank,
                             walk->entries[side].entry[run[i].entry].rank);
    }
    return MAESTRO_OK;
}

static maestro_status_t uncovered(walk_t *walk, const run_t *run, int64_t at) {
    char text[200];
    walk->meeting->order = walk->first + at;
    mst_mpi_element_text(walk->stretches, walk->meeting->order, text, sizeof text);
    int rank = walk->entries[MST_MPI_TO].entry[run->entry].rank;
    if (walk->request->is_halo)
        return mst_base_fail(MAESTRO_NOT_FOUND, "%s: %s, of which rank %d has a ghost cell, is with no rank; let one own it, or make the cell no ghost",
                             walk->request->what, text, rank);
    return mst_base_fail(MAESTRO_NOT_FOUND, "%s: %s of the target, of rank %d, has no source; give it, or allow such elements by the option partial",
                         walk->request->what, text, rank);
}

/* ---- Pairs */
static int by_entries(const void *a, const void *b) {
    const mst_mpi_pair_t *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static void make_unique(mst_mpi_meeting_t *meeting) {
    int64_t kept = 0;
    if (meeting->npairs) qsort(meeting->pair, (size_t)meeting->npairs, sizeof *meeting->pair, by_entries);
    for (int64_t i = 0; i < meeting->npairs; i++)
        if (!kept || by_entries(&meeting->pair[kept - 1], &meeting->pair[i]) != 0) meeting->pair[kept++] = meeting->pair[i];
    meeting->npairs = kept;
}

/* Pairs that come again are dropped whenever the list is full; it grows unless that makes half of it free. */
static maestro_status_t add_pair(walk_t *walk, int64_t from, int64_t to) {
    mst_mpi_meeting_t *meeting = walk->meeting;
    const mst_mpi_pair_t pair = {from, to};
    if (meeting->npairs && by_entries(&meeting->pair[meeting->npairs - 1], &pair) == 0) return MAESTRO_OK;
    if ((size_t)meeting->npairs == walk->capacity) {
        make_unique(meeting);
        if (!MST_RESERVE(meeting->pair, walk->capacity, 2 * (size_t)meeting->npairs + 1, 64)) return mst_base_fail_errno(WHAT);
    }
    meeting->pair[meeting->npairs++] = pair;
    return MAESTRO_OK;
}

/* Targets that are ghost cells may overlap: each looks from the first source that ends behind its beginning. */
static maestro_status_t walk_both(walk_t *walk) {
    const runs_t *from = &walk->runs[MST_MPI_FROM], *to = &walk->runs[MST_MPI_TO];
    bool partial = walk->request->options.partial && !walk->request->is_halo;
    int64_t first = 0;
    for (int64_t t = 0; t < to->nruns; t++) {
        int64_t at = to->run[t].begin, end = to->run[t].end;
        while (first < from->nruns && from->run[first].end <= at) first++;
        for (int64_t f = first; at < end;) {
            while (f < from->nruns && from->run[f].end <= at) f++;
            bool covered = f < from->nruns && from->run[f].begin <= at;
            if (!covered && !partial) return uncovered(walk, &to->run[t], at);
            if (covered) MST_TRY(add_pair(walk, from->run[f].entry, to->run[t].entry));
            int64_t next = f >= from->nruns ? end : covered ? from->run[f].end : from->run[f].begin;
            at = next < end ? next : end;
        }
    }
    make_unique(walk->meeting);
    return MAESTRO_OK;
}

static int64_t first_number(const maestro_layout_t *stretches, int64_t own) {
    int64_t index[MST_ARRAY_MAX];
    mst_array_piece_t piece;
    mst_array_part_piece(stretches, own, &piece);
    for (int d = 0; d < stretches->ndims; d++) index[d] = piece.comb[d].first;
    return mst_array_layout_linear(stretches, index);
}

maestro_status_t mst_mpi_meet(const mst_mpi_request_t *request, const maestro_layout_t *stretches, int64_t own,
                              const mst_mpi_entries_t entries[MST_MPI_SIDES], mst_mpi_meeting_t *meeting_out) {
    runs_t runs[MST_MPI_SIDES] = {{0}};
    *meeting_out = (mst_mpi_meeting_t){.order = -1};
    if (own >= stretches->nparts) return MAESTRO_OK;
    walk_t walk = {.request = request, .stretches = stretches, .entries = entries, .runs = runs, .first = first_number(stretches, own), .meeting = meeting_out};
    maestro_status_t status = MAESTRO_OK;
    for (int s = 0; s < MST_MPI_SIDES && status == MAESTRO_OK; s++) status = runs_of(stretches, own, &entries[s], &runs[s]);
    if (status == MAESTRO_OK) status = check_twice(&walk, MST_MPI_FROM);
    if (status == MAESTRO_OK && !request->is_halo) status = check_twice(&walk, MST_MPI_TO);
    if (status == MAESTRO_OK) status = walk_both(&walk);
    for (int s = 0; s < MST_MPI_SIDES; s++) free(runs[s].run);
    return status;
}
