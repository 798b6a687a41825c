/* Fields on a device, where tests/helpers/fakecuda.c stands for the driver: random redistributions and halos, whose fields lie on a device on some ranks and in
 * host memory on others, against the same plan with host memory alone; streams, failures, what stays behind.  Run by any number of ranks up to 8. */
#include "mpi/cases_test.h"
#include "mpi/scenario_test.h"

#include <dirent.h>
#include <fakecuda.h>

enum { UNTOUCHED = 0xdd, FIELDS = 3, LINE = 6 };

#define TIMEOUT_S "20"

static int rank, nranks;
static maestro_comm_t world;
static void *const stream = (void *)7;

/* ---- A field on either side */
typedef struct memory {
    size_t nbytes;
    unsigned char *near, *later; /* where it is; what it holds as soon as the stream has come so far */
    void *given;                 /* to the plan */
} memory_t;

/* On a device what it holds is put on the stream, and is not there yet. */
static memory_t make_memory(size_t nbytes, bool on_device, int byte) {
    memory_t memory = {.nbytes = nbytes, .near = calloc(1, nbytes + 1), .later = malloc(nbytes + 1)};
    for (size_t b = 0; b < nbytes; b++) memory.later[b] = byte < 0 ? (unsigned char)mst_base_mix(b * 8 + (uint64_t)rank) : (unsigned char)byte;
    memory.given = on_device ? fakecuda_far(memory.near) : memory.near;
    return memory;
}

static void put_on_stream(const memory_t *memory) {
    if (memory->given == memory->near) memcpy(memory->near, memory->later, memory->nbytes);
    else CHECK(fakecuda_later(stream, memory->given, memory->later, memory->nbytes) == 0);
}

static void end_memory(memory_t *memory) {
    cuStreamSynchronize(stream);
    free(memory->near);
    free(memory->later);
}

/* ---- A use, with `from` NULL of a halo */
static void run_on(maestro_plan_t *plan, size_t nfields, memory_t *from, memory_t *to) {
    const void *sources[FIELDS];
    void *targets[FIELDS];
    for (size_t f = 0; f < nfields; f++) {
        if (from) put_on_stream(&from[f]);
        if (from) sources[f] = from[f].given;
        put_on_stream(&to[f]);
        targets[f] = to[f].given;
    }
    CHECK_OK(maestro_plan_start_on(plan, stream, nfields, sources, targets));
    maestro_status_t status = maestro_plan_test(plan);
    CHECK(status == MAESTRO_OK || status == MAESTRO_IN_PROGRESS);
    if (status == MAESTRO_IN_PROGRESS) CHECK_OK(maestro_plan_wait(plan, 60));
}

/* The same, in host memory and where the choices say. */
static void compare(maestro_plan_t *plan, random_array_t *choices, size_t nfields, const size_t from_nbytes[FIELDS], const size_t to_nbytes[FIELDS],
                    bool halo) {
    memory_t from[FIELDS], to[FIELDS], other_from[FIELDS], expected[FIELDS];
    for (size_t f = 0; f < nfields; f++) {
        from[f] = make_memory(from_nbytes[f], random_below(choices, 2), -1);
        other_from[f] = make_memory(from_nbytes[f], false, -1);
        to[f] = make_memory(to_nbytes[f], random_below(choices, 2), halo ? -1 : UNTOUCHED);
        expected[f] = make_memory(to_nbytes[f], false, halo ? -1 : UNTOUCHED);
    }
    run_on(plan, nfields, halo ? NULL : other_from, expected);
    run_on(plan, nfields, halo ? NULL : from, to);
    for (size_t f = 0; f < nfields; f++) {
        cuStreamSynchronize(stream); /* a rank that takes no part of a field does not look at it */
        CHECK(memcmp(to[f].near, expected[f].near, to_nbytes[f]) == 0);
        CHECK(halo || memcmp(from[f].near, from[f].later, from_nbytes[f]) == 0);
        end_memory(&from[f]);
        end_memory(&other_from[f]);
        end_memory(&to[f]);
        end_memory(&expected[f]);
    }
}

/* ---- Random redistributions; those of 8 bytes may be converted, so that a field's sides differ in size */
static void check_redistribution(uint64_t seed) {
    scenario_t scenario;
    maestro_plan_t *plan = NULL;
    maestro_field_t kind[FIELDS];
    size_t from_nbytes[FIELDS], to_nbytes[FIELDS];
    scenario_init(&scenario, seed, nranks);
    random_array_t choices = {.state = seed * 64 + (uint64_t)rank};
    maestro_plan_options_t *options = &scenario.options;
    options->method = 1 + random_below(&scenario.array, MAESTRO_METHOD_BUFFERED);
    options->from_part = scenario.side[MST_MPI_FROM].part[rank];
    options->to_part = scenario.side[MST_MPI_TO].part[rank];
    bool converts = scenario.element_nbytes == 8 && options->method != MAESTRO_METHOD_DATATYPES;
    for (size_t f = 0; f < FIELDS; f++) {
        maestro_field_init(&kind[f], converts ? MAESTRO_I64 : (maestro_element_t)scenario.element_nbytes);
        if (converts && f != 1) kind[f].to = MAESTRO_I32;
        from_nbytes[f] = scenario_room(&scenario, MST_MPI_FROM, rank);
        to_nbytes[f] = scenario_room(&scenario, MST_MPI_TO, rank) / scenario.element_nbytes * (kind[f].to & 0xff);
    }
    if (converts) options->fields = kind;
    if (scenario.uncovered < 0 || options->partial) {
        CHECK_OK(maestro_redistribute(scenario.side[MST_MPI_FROM].layout[rank], scenario.side[MST_MPI_TO].layout[rank], scenario.element_nbytes, world, options,
                                      &plan));
        for (int use = 0; plan && use < 2; use++) compare(plan, &choices, use ? 1 : options->max_fields, from_nbytes, to_nbytes, false);
        CHECK_OK(maestro_plan_destroy(plan));
    }
    scenario_fini(&scenario);
}

/* ---- Halos */
static void check_halo(uint64_t seed) {
    random_array_t array, choices = {.state = seed * 64 + (uint64_t)rank};
    maestro_layout_options_t ghosts;
    maestro_plan_options_t options;
    maestro_layout_t *layout = NULL;
    maestro_plan_t *plan = NULL;
    maestro_local_t local = {0};
    random_array_init(&array, seed);
    maestro_layout_options_init(&ghosts);
    maestro_plan_options_init(&options);
    int64_t grid[MST_ARRAY_MAX] = {1, 1, 1, 1};
    grid[random_below(&array, array.ndims)] = nranks;
    for (int d = 0; d < array.ndims; d++) {
        ghosts.low[d] = random_below(&array, 3);
        ghosts.high[d] = random_below(&array, 3);
        options.periodic[d] = random_below(&array, 2);
    }
    options.method = 1 + random_below(&array, MAESTRO_METHOD_BUFFERED);
    options.max_fields = 1 + (size_t)random_below(&array, FIELDS);
    CHECK_OK(maestro_layout_blocks(array.ndims, array.shape, grid, &ghosts, &layout));
    CHECK_OK(maestro_layout_local(layout, rank, &local));
    CHECK_OK(maestro_halo(layout, 4, world, &options, &plan));
    size_t nbytes[FIELDS];
    for (size_t f = 0; f < FIELDS; f++) nbytes[f] = (size_t)local.nelements * 4;
    for (int use = 0; plan && use < 2; use++) compare(plan, &choices, options.max_fields, nbytes, nbytes, true);
    CHECK_OK(maestro_plan_destroy(plan));
    maestro_layout_destroy(layout);
}

/* ---- One plan, in which each rank gives LINE elements to each */
static maestro_plan_t *line_plan_of(const maestro_plan_options_t *options, bool ghosts) {
    const int64_t size = LINE * nranks * nranks, parts = nranks, block = LINE;
    maestro_layout_t *blocks = NULL, *cyclic = NULL;
    maestro_layout_options_t layout;
    maestro_plan_t *plan = NULL;
    maestro_layout_options_init(&layout);
    layout.low[0] = ghosts;
    CHECK_OK(maestro_layout_blocks(1, &size, &parts, &layout, &blocks));
    CHECK_OK(maestro_layout_block_cyclic(1, &size, &block, &parts, NULL, &cyclic));
    CHECK_OK(maestro_redistribute(cyclic, blocks, 8, world, options, &plan));
    maestro_layout_destroy(blocks);
    maestro_layout_destroy(cyclic);
    return plan;
}

static maestro_plan_t *line_plan(maestro_method_t method, bool ghosts) {
    maestro_plan_options_t options;
    maestro_plan_options_init(&options);
    options.method = method;
    return line_plan_of(&options, ghosts);
}

static size_t line_nbytes(bool ghosts) { return (size_t)(LINE * nranks + ghosts) * 8; }

static maestro_status_t start(maestro_plan_t *plan, void *on, memory_t *from, memory_t *to) {
    return maestro_plan_start_on(plan, on, 1, (const void *[]){from->given}, (void *[]){to->given});
}

static maestro_status_t run(maestro_plan_t *plan, memory_t *from, memory_t *to) {
    put_on_stream(from);
    put_on_stream(to);
    maestro_status_t status = start(plan, stream, from, to);
    return status == MAESTRO_OK ? maestro_plan_wait(plan, 60) : status;
}

/* A target that is written as a whole is not read; one with ghost cells is. */
static void test_no_more_is_copied_than_needed(bool ghosts) {
    maestro_plan_t *plan = line_plan(MAESTRO_METHOD_SHARED, ghosts);
    memory_t from = make_memory(line_nbytes(false), true, -1), to = make_memory(line_nbytes(ghosts), true, UNTOUCHED);
    char expected[200], target[100] = "";
    if (ghosts) snprintf(target, sizeof target, "DtoH %zu 7\nsync 7\n", to.nbytes);
    snprintf(expected, sizeof expected, "%sDtoH %zu 7\nsync 7\nHtoD %zu 7\n", target, from.nbytes, to.nbytes);
    fakecuda_said();
    CHECK_OK(run(plan, &from, &to));
    CHECK(strcmp(fakecuda_said(), expected) == 0);
    CHECK(to.near[0] == UNTOUCHED || !ghosts);
    CHECK_OK(maestro_plan_destroy(plan));
    end_memory(&from);
    end_memory(&to);
}

/* It would move their stand-ins. */
static void test_a_trial_leaves_arrays_on_a_device_alone(void) {
    memory_t from = make_memory(line_nbytes(false), rank == 0, 1), to = make_memory(line_nbytes(false), rank == 0, UNTOUCHED);
    maestro_plan_options_t options;
    maestro_plan_options_init(&options);
    options.try_from = (const void *[]){from.given};
    options.try_to = (void *[]){to.given};
    memset(to.near, UNTOUCHED, to.nbytes);
    fakecuda_said();
    maestro_plan_t *plan = line_plan_of(&options, false);
    CHECK(strcmp(fakecuda_said(), "") == 0);
    CHECK((plan->trial_s[2] > 0) == (nranks > 1));
    CHECK(memcmp(to.near, to.later, to.nbytes) == 0);
    CHECK_OK(maestro_plan_destroy(plan));
    end_memory(&from);
    end_memory(&to);
}

static void test_a_start_without_a_stream_takes_the_default_one(void) {
    maestro_plan_t *plan = line_plan(MAESTRO_METHOD_PACKED, false);
    memory_t from = make_memory(line_nbytes(false), true, 1), to = make_memory(line_nbytes(false), true, UNTOUCHED);
    CHECK(fakecuda_later(NULL, from.given, from.later, from.nbytes) == 0);
    CHECK_OK(maestro_plan_run(plan, 1, (const void *[]){from.given}, (void *[]){to.given}));
    CHECK(memcmp(to.near, from.later, to.nbytes) == 0); /* all ones */
    CHECK_OK(maestro_plan_destroy(plan));
    end_memory(&from);
    end_memory(&to);
}

static void test_managed_memory_is_waited_for_and_not_copied(void) {
    maestro_plan_t *plan = line_plan(MAESTRO_METHOD_SHARED, false);
    memory_t from = make_memory(line_nbytes(false), true, 1), to = make_memory(line_nbytes(false), false, UNTOUCHED);
    put_on_stream(&from);
    from.given = from.near;
    fakecuda_manage(from.near, from.nbytes);
    fakecuda_said();
    CHECK_OK(start(plan, stream, &from, &to));
    CHECK_OK(maestro_plan_wait(plan, 60));
    CHECK(strcmp(fakecuda_said(), "sync 7\n") == 0);
    CHECK(memcmp(to.near, from.later, to.nbytes) == 0);
    fakecuda_manage(NULL, 0);
    CHECK_OK(maestro_plan_destroy(plan));
    end_memory(&from);
    end_memory(&to);
}

static int count_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static void test_standins_are_made_when_needed_and_end_with_the_plan(void) {
    memory_t from = make_memory(line_nbytes(false), true, 1), to = make_memory(line_nbytes(false), true, UNTOUCHED);
    memory_t host_from = make_memory(line_nbytes(false), false, 1), host_to = make_memory(line_nbytes(false), false, UNTOUCHED);
    maestro_plan_t *plan = line_plan(MAESTRO_METHOD_DATATYPES, false);
    int before = count_descriptors();
    CHECK_OK(run(plan, &host_from, &host_to));
    CHECK(count_descriptors() == before);
    for (int use = 0; use < 3; use++) {
        CHECK_OK(run(plan, &from, &to));
        CHECK(count_descriptors() == before + 2);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    CHECK_OK(maestro_plan_destroy(plan));
    CHECK(count_descriptors() == before);
    end_memory(&from);
    end_memory(&to);
    end_memory(&host_from);
    end_memory(&host_to);
}

/* ---- What the driver refuses */
static void test_after_a_wrong_stream_nothing_has_begun(void) {
    maestro_plan_t *plan = line_plan(MAESTRO_METHOD_SHARED, false);
    memory_t from = make_memory(line_nbytes(false), true, 1), to = make_memory(line_nbytes(false), true, UNTOUCHED);
    if (rank == nranks - 1) {
        CHECK_STATUS(start(plan, (void *)777, &from, &to), MAESTRO_INVALID_ARGUMENT);
        CHECK_ERROR_SAYS("redistribution: copy field 0 of the source from its device: cuMemcpyDtoHAsync: invalid resource handle");
    }
    CHECK_OK(run(plan, &from, &to));
    CHECK(memcmp(to.near, from.later, to.nbytes) == 0);
    CHECK_OK(maestro_plan_destroy(plan));
    end_memory(&from);
    end_memory(&to);
}

/* One rank's device fails before the exchange: that rank says what has failed, and others hear of it or wait in vain for a bounded time. */
static void test_others_are_told_of_a_device_that_fails(maestro_method_t method, const char *function) {
    maestro_plan_t *plan = line_plan(method, false);
    memory_t from = make_memory(line_nbytes(false), true, 1), to = make_memory(line_nbytes(false), true, UNTOUCHED);
    bool told = method != MAESTRO_METHOD_DATATYPES;
    setenv("MAESTRO_TIMEOUT_S", "0.3", 1); /* of the end of the plan */
    if (rank == nranks - 1) {
        fakecuda_fail(function, 719);
        CHECK_STATUS(start(plan, stream, &from, &to), MAESTRO_SYSTEM);
        CHECK_ERROR_SAYS(function);
        CHECK_ERROR_SAYS("unspecified launch failure (719)");
        fakecuda_fail(NULL, 0);
        CHECK_STATUS(start(plan, stream, &from, &to), MAESTRO_WRONG_STATE);
    } else {
        CHECK_OK(start(plan, stream, &from, &to));
        CHECK_STATUS(maestro_plan_wait(plan, told ? 60 : 0.2), told ? MAESTRO_INVALID_ARGUMENT : MAESTRO_TIMEOUT);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    CHECK_STATUS(maestro_plan_destroy(plan), rank == nranks - 1 || told ? MAESTRO_OK : MAESTRO_TIMEOUT);
    setenv("MAESTRO_TIMEOUT_S", TIMEOUT_S, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    end_memory(&from);
    end_memory(&to);
}

/* After the exchange: the others have what they need. */
static void test_a_device_that_fails_afterwards_is_told_by_the_wait(const char *function) {
    maestro_plan_t *plan = line_plan(MAESTRO_METHOD_SHARED, false);
    memory_t from = make_memory(line_nbytes(false), true, 1), to = make_memory(line_nbytes(false), true, UNTOUCHED);
    if (rank == nranks - 1) {
        CHECK_OK(start(plan, stream, &from, &to));
        fakecuda_fail(function, 719);
        CHECK_STATUS(maestro_plan_wait(plan, 60), MAESTRO_SYSTEM);
        CHECK_ERROR_SAYS("copy field 0 of the target to its device: cu");
        CHECK_ERROR_SAYS("(719)");
        fakecuda_fail(NULL, 0);
        CHECK_STATUS(start(plan, stream, &from, &to), MAESTRO_WRONG_STATE);
    } else CHECK_OK(run(plan, &from, &to));
    CHECK_OK(maestro_plan_destroy(plan));
    MPI_Barrier(MPI_COMM_WORLD);
    end_memory(&from);
    end_memory(&to);
}

int main(int argc, char **argv) {
    setenv("MAESTRO_TIMEOUT_S", TIMEOUT_S, 1);
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    world = MPI_Comm_c2f(MPI_COMM_WORLD);
    CHECK(cuInit(0) == 0);
    int ncases = as_many_as_time_allows(300, 150, 12);
    cases_run(ncases, check_redistribution);
    cases_run(ncases, check_halo);
    test_no_more_is_copied_than_needed(false);
    test_no_more_is_copied_than_needed(true);
    test_a_trial_leaves_arrays_on_a_device_alone();
    test_a_start_without_a_stream_takes_the_default_one();
    test_managed_memory_is_waited_for_and_not_copied();
    test_standins_are_made_when_needed_and_end_with_the_plan();
    test_after_a_wrong_stream_nothing_has_begun();
    test_a_device_that_fails_afterwards_is_told_by_the_wait("cuMemcpyHtoDAsync");
    test_a_device_that_fails_afterwards_is_told_by_the_wait("cuStreamQuery");
    for (int method = MAESTRO_METHOD_PACKED; method <= MAESTRO_METHOD_BUFFERED; method++) {
        test_others_are_told_of_a_device_that_fails(method, "cuMemcpyDtoHAsync");
        test_others_are_told_of_a_device_that_fails(method, "cuPointerGetAttributes");
    }
    MPI_Finalize();
    return TEST_END;
}
