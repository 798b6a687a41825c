/* Halo exchange by plans, beside the same by hand on plain MPI and by GHEX, all in turn in one run; the bound is a copy of as many cells within the rank.
 * The cases are those of grid.h.  Every result is checked cell by cell, corners included.
 * Usage: mpirun -n RANKS maestro-bench-halo [--json] [--short] [--rounds N] [--peer FILE made of ghex.cpp] ["2d 128 1" ...]  (default: all cases) */
#include "ghex.h"
#include "halo_hand.h"

#include <dlfcn.h>

static const struct {
    const char *name;
    int ndims;
    int64_t n;
    int width, nfields;
} cases[] = {{"2d 128 1", 2, 128, 1, 1}, {"2d 128 3", 2, 128, 3, 1}, {"2d 1024 1", 2, 1024, 1, 1}, {"2d 1024 3", 2, 1024, 3, 1}, {"3d 64 1 x3", 3, 64, 1, 3}};

static int rank, nranks;

static struct {
    void *(*open)(const bench_ghex_case_t *);
    void (*run)(void *);
    void (*close)(void *);
} ghex;

static bool open_ghex(const char *path) {
    void *library = path ? dlopen(path, RTLD_NOW) : NULL;
    if (path && !library && !rank) fprintf(stderr, "no GHEX: %s\n", dlerror());
    if (!library) return false;
    void *const found[] = {dlsym(library, "bench_ghex_open"), dlsym(library, "bench_ghex_run"), dlsym(library, "bench_ghex_close")};
    memcpy(&ghex, found, sizeof found);
    return found[0] && found[1] && found[2];
}

static void *make_ghex(const grid_t *grid) {
    bench_ghex_case_t of = {.ndims = grid->ndims, .rank = grid->rank, .width = grid->width, .nfields = grid->nfields, .fields = grid->fields,
                            .count = grid->count};
    for (int d = 0; d < grid->ndims; d++) {
        of.first[d] = grid->coordinate[d] * (int)grid->n;
        of.last[d] = of.first[d] + (int)grid->n - 1;
        of.whole[d] = grid->grid[d] * (int)grid->n;
    }
    void *exchange = ghex.open(&of);
    BENCH_CHECK(exchange != NULL);
    return exchange;
}

static maestro_status_t make_plan(const grid_t *grid, maestro_method_t method, bool apart, planned_t *planned) {
    maestro_layout_options_t ghosts;
    maestro_plan_options_t options;
    maestro_layout_t *layout;
    int64_t shape[DIMS], parts[DIMS];
    maestro_layout_options_init(&ghosts);
    maestro_plan_options_init(&options);
    options.method = method;
    options.max_fields = (size_t)grid->nfields;
    options.try_to = planned->to;
    for (int d = 0; d < grid->ndims; d++) {
        parts[d] = grid->grid[d];
        shape[d] = grid->n * parts[d];
        ghosts.low[d] = ghosts.high[d] = grid->width;
        options.periodic[d] = true;
    }
    BENCH_OK(maestro_layout_blocks(grid->ndims, shape, parts, &ghosts, &layout));
    maestro_status_t status = maestro_halo(layout, MAESTRO_F64, rounds_comm(apart, rank), &options, &planned->plan);
    unsetenv("MAESTRO_NODE");
    maestro_layout_destroy(layout);
    return status;
}

/* ---- The bound, and what a run is checked by */
static void copy_in_place(void *context) { hand_copy_own(context, true); }
static void clear(const void *target) { grid_fill(target); }
static bool right(const void *target) { return grid_right(target); }

/* ---- Measuring */
static int add_ours(rounds_t *rounds, const grid_t *grid, const grid_t *readable, planned_t *planned) {
    int count = 0;
    for (size_t i = 0; i < MST_COUNT(rounds_ours); i++) {
        if (rounds_ours[i].method == MAESTRO_METHOD_BUFFERED) continue; /* no long lines: it is PACKED */
        const grid_t *in = rounds_ours[i].readable ? readable : grid;
        planned_t *one = &planned[count];
        *one = (planned_t){.nfields = (size_t)grid->nfields};
        for (int f = 0; f < grid->nfields; f++) one->to[f] = in->fields + f * grid->count;
        count += rounds_add_ours(rounds, rounds_ours[i].name, make_plan(grid, rounds_ours[i].method, rounds_ours[i].apart, one), one, in);
    }
    return count;
}

static void measure(const char *name, const grid_t *grid, const rounds_words_t *words, bool has_ghex) {
    static rounds_t rounds;
    static hand_t hand, hand_shared;
    planned_t planned[MST_COUNT(rounds_ours)];
    grid_t readable = *grid, shared, bound = *grid;
    BENCH_OK(maestro_alloc((size_t)(grid->count * grid->nfields) * sizeof(double), (void **)&readable.fields));
    hand_init(&hand, grid, &shared);
    hand_shared = hand;
    hand_shared.grid = shared;
    rounds = (rounds_t){.what = name, .clear = clear, .right = right, .rank = rank};
    rounds_add(&rounds, "copy in place", false, copy_in_place, &bound, NULL);
    rounds_add(&rounds, "packed by hand", false, hand_packed, &hand, grid);
    rounds_add(&rounds, "datatypes by hand", false, hand_datatypes, &hand, grid);
    rounds_add(&rounds, "a message a region", false, hand_regions, &hand, grid);
    rounds_add(&rounds, "persistent", false, hand_persistent, &hand, grid);
    rounds_add(&rounds, "phases", false, hand_phases, &hand, grid);
    rounds_add(&rounds, "Neighbor_alltoallw", false, hand_neighbour, &hand, grid);
    rounds_add(&rounds, "shared window", false, hand_window, &hand_shared, &shared);
    void *exchange = has_ghex ? make_ghex(grid) : NULL;
    if (exchange) rounds_add(&rounds, "GHEX", false, ghex.run, exchange, grid);
    grid_fill(grid);
    grid_fill(&readable);
    int nplanned = add_ours(&rounds, grid, &readable, planned);
    rounds_run(&rounds, words->nrounds, words->in_short);
    rounds_print(&rounds, words->json);
    for (int i = 0; i < nplanned; i++) BENCH_OK(maestro_plan_destroy(planned[i].plan));
    if (exchange) ghex.close(exchange);
    hand_fini(&hand);
    BENCH_OK(maestro_dealloc(readable.fields));
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    rounds_words_t words = rounds_words(argc, argv, 63);
    bool has_ghex = open_ghex(words.peer);
    for (size_t i = 0; i < MST_COUNT(cases); i++) {
        if (!rounds_wants(&words, cases[i].name)) continue;
        grid_t grid = grid_of(cases[i].ndims, rank, nranks, cases[i].n, cases[i].width, cases[i].nfields);
        grid.fields = bench_pages(grid.count * grid.nfields);
        measure(cases[i].name, &grid, &words, has_ghex);
        munmap(grid.fields, (size_t)(grid.count * grid.nfields) * sizeof(double));
    }
    MPI_Finalize();
    rounds_end(&words);
    return 0;
}
