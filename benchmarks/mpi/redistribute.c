/* Redistribution of N x N doubles by plans, beside the same by hand on plain MPI and by ScaLAPACK, all in turn in one run, as ratios to a memcpy of a
 * rank's share; the cases are those of cut.h.  Every result is checked element by element.
 * Usage: mpirun -n RANKS maestro-bench-redistribute [--json] [--rounds N] [--peer FILE of ScaLAPACK] ["rc 512" ...]  (default: all cases, of 64, 512, 4096) */
#include "cut_hand.h"
#include "cut_scalapack.h"

static int rank, nranks;

static maestro_layout_t *layout_of(const cut_t *cut, bool target) {
    const int64_t shape[] = {cut->n, cut->n}, block[] = {cut->block, cut->block}, grid[] = {cut->pr, cut->pc};
    const int64_t rows[] = {nranks, 1}, columns[] = {1, nranks};
    maestro_layout_options_t order;
    maestro_layout_t *layout;
    maestro_layout_options_init(&order);
    if (cut->kind == RT && target) order.order = MAESTRO_COLUMN_MAJOR;
    if (cut->kind == CY && !target) BENCH_OK(maestro_layout_block_cyclic(2, shape, block, grid, NULL, &layout));
    else BENCH_OK(maestro_layout_blocks(2, shape, target && cut->kind != CY ? columns : rows, &order, &layout));
    return layout;
}

static maestro_status_t make_plan(const cut_t *cut, maestro_method_t method, bool apart, planned_t *planned) {
    maestro_plan_options_t options;
    maestro_layout_t *from = layout_of(cut, false), *to = layout_of(cut, true);
    maestro_plan_options_init(&options);
    options.method = method;
    options.try_from = planned->from;
    options.try_to = planned->to;
    maestro_status_t status = maestro_redistribute(from, to, MAESTRO_F64, rounds_comm(apart, rank), &options, &planned->plan);
    unsetenv("MAESTRO_NODE");
    maestro_layout_destroy(from);
    maestro_layout_destroy(to);
    return status;
}

/* ---- The bound, and what a run is checked by */
static void copy(void *context) {
    const cut_t *cut = context;
    memcpy(cut->target, cut->source, (size_t)cut->count * sizeof(double));
}

static void clear(const void *target) {
    const cut_t *cut = target;
    memset(cut->target, 0xff, (size_t)cut->count * sizeof(double));
}

static bool right(const void *target) {
    const cut_t *cut = target;
    bool same = true;
    for (int64_t k = 0; k < cut->count; k++) same = same && cut->target[k] == cut_target_value(cut, k);
    return same;
}

/* ---- Ours */
static int add_ours(rounds_t *rounds, const cut_t *cut, double *readable, planned_t *planned) {
    int count = 0;
    bool lines = cut->kind == CY && cut->n > 64; /* what is sent lies in long lines: else BUFFERED is PACKED */
    for (size_t i = 0; i < MST_COUNT(rounds_ours); i++) {
        if (rounds_ours[i].method == MAESTRO_METHOD_BUFFERED && !lines) continue;
        planned_t *one = &planned[count];
        *one = (planned_t){.nfields = 1, .from = {rounds_ours[i].readable ? readable : cut->source}, .to = {cut->target}};
        count += rounds_add_ours(rounds, rounds_ours[i].name, make_plan(cut, rounds_ours[i].method, rounds_ours[i].apart, one), one, cut);
    }
    return count;
}

static void measure(const char *name, cut_t *cut, const rounds_words_t *words, bool has_scalapack) {
    static rounds_t rounds;
    static hand_t hand;
    planned_t planned[MST_COUNT(rounds_ours)];
    scalapack_t scalapack;
    double *readable;
    BENCH_OK(maestro_alloc((size_t)cut->count * sizeof(double), (void **)&readable));
    memcpy(readable, cut->source, (size_t)cut->count * sizeof(double));
    hand_init(&hand, cut);
    rounds = (rounds_t){.what = name, .clear = clear, .right = right, .rank = rank};
    rounds_add(&rounds, "memcpy", false, copy, cut, NULL);
    rounds_add(&rounds, "by hand", false, hand_packed, &hand, cut);
    rounds_add(&rounds, "persistent", false, hand_persistent, &hand, cut);
    rounds_add(&rounds, "Alltoallw", false, hand_alltoallw, &hand, cut);
    rounds_add(&rounds, "Neighbor_alltoallw", false, hand_neighbour, &hand, cut);
    rounds_add(&rounds, "shared window", false, hand_window, &hand, cut);
    if (has_scalapack) {
        scalapack_init(&scalapack, cut);
        rounds_add(&rounds, "ScaLAPACK", false, scalapack_run, &scalapack, cut);
    }
    int nplanned = add_ours(&rounds, cut, readable, planned);
    rounds_run(&rounds, words->nrounds, words->in_short);
    rounds_print(&rounds, words->json);
    for (int i = 0; i < nplanned; i++) BENCH_OK(maestro_plan_destroy(planned[i].plan));
    if (has_scalapack) scalapack_fini(&scalapack);
    hand_fini(&hand);
    BENCH_OK(maestro_dealloc(readable));
}

static void run_case(kind_t kind, int64_t n, rounds_words_t *words, bool has_scalapack) {
    char name[32];
    snprintf(name, sizeof name, "%s %lld", kind_name[kind], (long long)n);
    if (!rounds_wants(words, name)) return;
    cut_t cut = cut_of(kind, rank, nranks, n);
    cut.source = bench_pages(cut.count);
    cut.target = bench_pages(cut.count);
    for (int64_t k = 0; k < cut.count; k++) cut.source[k] = cut_source_value(&cut, k);
    measure(name, &cut, words, has_scalapack);
    munmap(cut.source, (size_t)cut.count * sizeof(double));
    munmap(cut.target, (size_t)cut.count * sizeof(double));
}

int main(int argc, char **argv) {
    static const int64_t sizes[] = {64, 512, 4096};
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    rounds_words_t words = rounds_words(argc, argv, 31);
    bool has_scalapack = scalapack_open(words.peer);
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t s = 0; s < MST_COUNT(sizes); s++) run_case((kind_t)kind, sizes[s], &words, has_scalapack);
    MPI_Finalize();
    rounds_end(&words);
    return 0;
}
