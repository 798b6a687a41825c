/* Relabelled parts of random layouts against brute force: the pairs are those of the plain greedy matching, and of all matchings the best keeps at most twice
 * as much.  Run by any number of ranks up to 8. */
#include "mpi/cases_test.h"
#include "mpi/scenario_test.h"

enum { RANKS = SCENARIO_RANKS, SEARCHED = 6 };

static int rank, nranks;
static maestro_comm_t world;

/* ---- Random layouts of a part for each rank */
static void random_grid(random_array_t *array, int64_t *grid) {
    int64_t rest = nranks;
    for (int d = 0; d < array->ndims; d++) grid[d] = 1;
    for (int64_t prime = 2; rest > 1; prime++)
        for (; rest % prime == 0; rest /= prime) grid[random_below(array, array->ndims)] *= prime;
}

static maestro_layout_t *random_layout(random_array_t *array) {
    maestro_layout_options_t options;
    maestro_layout_t *layout = NULL;
    int64_t grid[MST_ARRAY_MAX], block[MST_ARRAY_MAX];
    random_options(array, false, &options);
    random_grid(array, grid);
    for (int d = 0; d < array->ndims; d++) block[d] = 1 + random_below(array, random_below(array, 2) ? 3 : 12);
    if (random_below(array, 2)) CHECK_OK(maestro_layout_blocks(array->ndims, array->shape, grid, &options, &layout));
    else CHECK_OK(maestro_layout_block_cyclic(array->ndims, array->shape, block, grid, &options, &layout));
    return layout;
}

static void shuffle(random_array_t *array, int64_t *number) {
    for (int64_t i = 0; i < nranks; i++) {
        int64_t j = random_below(array, i + 1);
        number[i] = number[j];
        number[j] = i;
    }
}

/* ---- Brute force */
typedef struct table { /* elements that two parts have in common */
    int64_t volume[RANKS][RANKS], all;
} table_t;

static void count_volumes(const random_array_t *array, const maestro_layout_t *from, const maestro_layout_t *to, table_t *table) {
    int64_t index[MST_ARRAY_MAX] = {0}, source = -1, target = -1;
    *table = (table_t){.all = array->count};
    if (!array->count) return;
    do {
        CHECK_OK(maestro_layout_owner(from, index, &source));
        CHECK_OK(maestro_layout_owner(to, index, &target));
        table->volume[source][target]++;
    } while (random_next_index(array, index));
}

static bool comes_first(const table_t *table, int from, int to, int best_from, int best_to) {
    int64_t volume = table->volume[from][to], best = table->volume[best_from][best_to];
    return volume != best ? volume > best : (to - from + nranks) % nranks < (best_to - best_from + nranks) % nranks;
}

/* The plain way; -1: no part that is free has anything in common with this one. */
static int64_t match_greedily(const table_t *table, int64_t *match) {
    bool taken[RANKS] = {false};
    int64_t kept = 0;
    for (int i = 0; i < nranks; i++) match[i] = -1;
    for (;;) {
        int from = -1, to = -1;
        for (int i = 0; i < nranks; i++)
            for (int j = 0; j < nranks; j++)
                if (match[i] < 0 && !taken[j] && table->volume[i][j] && (from < 0 || comes_first(table, i, j, from, to))) from = i, to = j;
        if (from < 0) return kept;
        match[from] = to;
        taken[to] = true;
        kept += table->volume[from][to];
    }
}

static int64_t best_matching(const table_t *table, int from, unsigned taken) {
    int64_t best = 0;
    for (int to = 0; from < nranks && to < nranks; to++) {
        if (taken >> to & 1) continue;
        int64_t kept = table->volume[from][to] + best_matching(table, from + 1, taken | 1u << to);
        if (kept > best) best = kept;
    }
    return best;
}

/* ---- One case */
static int64_t kept_by(const table_t *table, const int64_t *from_part, const int64_t *to_part) {
    int64_t kept = 0;
    for (int r = 0; r < nranks; r++) kept += table->volume[from_part[r]][to_part[r]];
    return kept;
}

static void check_parts(const table_t *table, const int64_t *from_part, const int64_t *to_part) {
    int64_t match[RANKS], own[RANKS], greedy = match_greedily(table, match), kept;
    unsigned taken = 0;
    for (int r = 0; r < nranks; r++) {
        own[r] = r;
        CHECK(to_part[r] >= 0 && to_part[r] < nranks);
        taken |= 1u << to_part[r];
    }
    CHECK(taken == (1u << nranks) - 1);
    kept = kept_by(table, from_part, to_part);
    bool stays = kept_by(table, from_part, own) >= greedy;
    CHECK(kept == (stays ? kept_by(table, from_part, own) : greedy));
    for (int r = 0; r < nranks; r++) CHECK(stays ? to_part[r] == r : match[from_part[r]] < 0 || to_part[r] == match[from_part[r]]);
    if (nranks <= SEARCHED) CHECK(2 * kept >= best_matching(table, 0, 0));
}

/* What all ranks get, after the same on all of them. */
static void relabel_all(const maestro_layout_t *from, const maestro_layout_t *to, const int64_t *from_part, bool by_default, int64_t *to_part_out) {
    maestro_plan_options_t options;
    int64_t own = -1;
    maestro_plan_options_init(&options);
    if (!by_default) options.from_part = from_part[rank];
    CHECK_OK(maestro_relabel(from, to, world, by_default && rank % 2 ? NULL : &options, &own));
    MPI_Allgather(&own, 1, MPI_INT64_T, to_part_out, 1, MPI_INT64_T, MPI_COMM_WORLD);
}

static void check_case(uint64_t seed) {
    random_array_t array;
    table_t table;
    int64_t from_part[RANKS], to_part[RANKS];
    random_array_init(&array, seed);
    maestro_layout_t *from = random_layout(&array), *to = random_below(&array, 4) ? random_layout(&array) : from;
    bool by_default = random_below(&array, 2);
    shuffle(&array, from_part);
    for (int r = 0; by_default && r < nranks; r++) from_part[r] = r;
    count_volumes(&array, from, to, &table);
    relabel_all(from, to, from_part, by_default, to_part);
    check_parts(&table, from_part, to_part);
    if (to == from) CHECK(kept_by(&table, from_part, to_part) == table.all);
    if (to != from) maestro_layout_destroy(to);
    maestro_layout_destroy(from);
}

static void test_parts_are_those_of_the_greedy_matching(void) { cases_run(as_many_as_time_allows(100, 300, 12), check_case); }

/* ---- Layouts that are equal but for the numbers of their parts */
static void check_nothing_moves(const maestro_layout_t *from, const maestro_layout_t *to, int64_t from_part) {
    maestro_plan_options_t options;
    maestro_plan_t *plan = NULL;
    char *text = NULL;
    maestro_plan_options_init(&options);
    options.from_part = from_part;
    CHECK_OK(maestro_relabel(from, to, world, &options, &options.to_part));
    CHECK_OK(maestro_redistribute(from, to, 8, world, &options, &plan));
    CHECK_OK(maestro_plan_explain(plan, &text));
    CHECK(text && strstr(text, "\"messages\": []"));
    maestro_free(text);
    CHECK_OK(maestro_plan_destroy(plan));
}

static void test_equal_layouts_with_other_numbers_move_nothing(void) {
    random_array_t array = {.ndims = 2, .shape = {24, 24}, .state = 5};
    maestro_layout_options_t options;
    maestro_layout_t *by_rows = NULL, *by_columns = NULL;
    int64_t grid[2], number[RANKS];
    maestro_layout_options_init(&options);
    for (int i = 0; i < as_many_as_time_allows(1, 4, 4); i++) {
        random_grid(&array, grid);
        shuffle(&array, number);
        options.grid_order = MAESTRO_ROW_MAJOR;
        CHECK_OK(maestro_layout_block_cyclic(2, array.shape, (int64_t[]){3, 2}, grid, &options, &by_rows));
        options.grid_order = MAESTRO_COLUMN_MAJOR;
        CHECK_OK(maestro_layout_block_cyclic(2, array.shape, (int64_t[]){3, 2}, grid, &options, &by_columns));
        check_nothing_moves(by_rows, by_columns, rank);
        check_nothing_moves(by_columns, by_rows, number[rank]);
        check_nothing_moves(by_rows, by_rows, number[rank]);
        maestro_layout_destroy(by_rows);
        maestro_layout_destroy(by_columns);
    }
}

/* ---- Refusals: the same on all ranks, with the same words */
static void check_refused(const maestro_layout_t *from, const maestro_layout_t *to, const maestro_plan_options_t *options, bool has_output, const char *said) {
    int64_t to_part = -77;
    CHECK_STATUS(maestro_relabel(from, to, world, options, has_output ? &to_part : NULL), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS(said);
    CHECK(to_part == -77);
    check_words_are_alike();
}

static void test_arguments_that_do_not_fit_are_refused_by_all(void) {
    maestro_layout_t *line = scenario_line(8 * nranks, nranks, 0), *more = scenario_line(8 * nranks, nranks + 1, 0);
    maestro_layout_t *longer = scenario_line(8 * nranks + 1, nranks, 0), *box = NULL;
    maestro_plan_options_t options;
    bool last = rank == nranks - 1;
    CHECK_OK(maestro_layout_boxes(1, (int64_t[]){8 * nranks}, 0, NULL, NULL, NULL, &box));
    maestro_plan_options_init(&options);
    check_refused(last ? NULL : line, line, NULL, true, "source layout is NULL");
    check_refused(line, last ? NULL : line, NULL, true, "target layout is NULL");
    check_refused(line, last ? box : line, NULL, true, "boxes or indices");
    check_refused(line, more, NULL, true, "parts for");
    check_refused(line, longer, NULL, true, "dimension 0");
    check_refused(line, line, NULL, !last, "output is NULL");
    options.size = last ? 8 : sizeof options;
    check_refused(line, line, &options, true, "options' size");
    options.size = sizeof options;
    options.from_part = last ? nranks : rank;
    check_refused(line, line, &options, true, "has no part");
    options.from_part = 0;
    if (nranks > 1) check_refused(line, line, &options, true, "part 0 of the source is that of rank 0 and of rank 1");
    if (nranks > 1) check_refused(line, last ? longer : line, NULL, true, "size");
    CHECK_STATUS(maestro_relabel(line, line, MPI_Comm_c2f(MPI_COMM_NULL), NULL, &(int64_t){0}), MAESTRO_INVALID_ARGUMENT);
    maestro_layout_destroy(line);
    maestro_layout_destroy(more);
    maestro_layout_destroy(longer);
    maestro_layout_destroy(box);
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    world = MPI_Comm_c2f(MPI_COMM_WORLD);
    test_parts_are_those_of_the_greedy_matching();
    test_equal_layouts_with_other_numbers_move_nothing();
    test_arguments_that_do_not_fit_are_refused_by_all();
    MPI_Finalize();
    return TEST_END;
}
