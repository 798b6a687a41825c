/* Redistributions between random layouts against brute force; use, refusals, and what a plan leaves behind.  Run by any number of ranks up to 8. */
#include "mpi/cases_test.h"
#include "mpi/scenario_test.h"

#include "mpi/memory.h"

#include <complex.h>
#include <dirent.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { GUARD = 64, UNTOUCHED = 0xdd };

static int rank, nranks;
static maestro_comm_t world;

/* ---- Elements: random bits, or small numbers of a type, which convert exactly. */
enum { FIELDS = 3 };

typedef double complex number_t;

static void store_number(maestro_element_t element, number_t value, unsigned char *bytes) {
    switch (element) {
    case MAESTRO_I32: memcpy(bytes, &(int32_t){(int32_t)creal(value)}, 4); break;
    case MAESTRO_I64: memcpy(bytes, &(int64_t){(int64_t)creal(value)}, 8); break;
    case MAESTRO_F32: memcpy(bytes, &(float){(float)creal(value)}, 4); break;
    case MAESTRO_F64: memcpy(bytes, &(double){creal(value)}, 8); break;
    case MAESTRO_C64: memcpy(bytes, &(float complex){(float complex)value}, 8); break;
    default: memcpy(bytes, &value, 16);
    }
}

static number_t number_of(maestro_element_t element, int64_t i, size_t field) {
    double value = (double)(i % 1000 + 1000 * (int64_t)field);
    return element == MAESTRO_C64 || element == MAESTRO_C128 ? value + I * (value + 1) : value;
}

static void source_value(const maestro_field_t *kind, int64_t i, size_t field, unsigned char *bytes) {
    uint64_t bits[2] = {mst_base_mix((uint64_t)i * 8 + field + 1), mst_base_mix((uint64_t)i * 8 + field + 77)};
    if (kind->from > 0xff) store_number(kind->from, number_of(kind->from, i, field), bytes);
    else memcpy(bytes, bits, kind->from);
}

static void target_value(const maestro_field_t *kind, int64_t i, size_t field, unsigned char *bytes) {
    if (kind->from <= 0xff) {
        source_value(kind, i, field, bytes);
        return;
    }
    number_t value = number_of(kind->from, i, field), scale = kind->scale + I * kind->scale_imaginary;
    store_number(kind->to, scale * (kind->conjugate ? conj(value) : value), bytes);
}

static bool is_complex(maestro_element_t element) { return element == MAESTRO_C64 || element == MAESTRO_C128; }

/* Of one size of elements as often as not, else of types, some of them converted. */
static maestro_field_t random_field(random_array_t *array, bool converts) {
    static const maestro_element_t opaque[] = {MAESTRO_BYTES_1, MAESTRO_BYTES_2, MAESTRO_BYTES_4, MAESTRO_BYTES_8, MAESTRO_BYTES_16};
    static const maestro_element_t typed[] = {MAESTRO_I32, MAESTRO_I64, MAESTRO_F32, MAESTRO_F64, MAESTRO_C64, MAESTRO_C128};
    maestro_field_t field;
    maestro_field_init(&field, opaque[random_below(array, 5)]);
    if (random_below(array, 3) == 0) return field;
    maestro_field_init(&field, typed[random_below(array, 6)]);
    if (!converts || random_below(array, 3) == 0) return field;
    field.to = is_complex(field.from) ? typed[4 + random_below(array, 2)] : typed[random_below(array, 6)];
    field.scale = (double)(1 + random_below(array, 3));
    if (is_complex(field.to)) field.scale_imaginary = (double)random_below(array, 2);
    field.conjugate = random_below(array, 2);
    return field;
}

/* ---- One random redistribution */
typedef struct field {
    const maestro_field_t *kind;
    size_t from_size, to_size; /* of elements */
    unsigned char *from, *to;
    size_t to_nbytes;
    void *shared; /* from maestro_alloc: the source lies in it */
} field_t;

static size_t room(const scenario_t *scenario, int side) { return scenario_room(scenario, side, rank) / scenario->element_nbytes; }

static field_t make_field(const scenario_t *scenario, random_array_t *choices, const maestro_field_t *kind, size_t number) {
    field_t field = {.kind = kind, .from_size = kind->from & 0xff, .to_size = kind->to & 0xff};
    size_t from_nbytes = room(scenario, MST_MPI_FROM) * field.from_size;
    unsigned char value[16];
    field.to_nbytes = room(scenario, MST_MPI_TO) * field.to_size;
    if (random_below(choices, 2)) {
        CHECK_OK(maestro_alloc(from_nbytes + GUARD, &field.shared));
        field.from = (unsigned char *)field.shared + random_below(choices, 3) * 16;
    } else field.from = calloc(1, from_nbytes + 1);
    field.to = malloc(field.to_nbytes + 2 * GUARD);
    memset(field.to, UNTOUCHED, field.to_nbytes + 2 * GUARD);
    for (int64_t i = 0; i < scenario->array.count; i++) {
        if (scenario->side[MST_MPI_FROM].owner[i] != rank) continue;
        source_value(kind, i, number, value);
        memcpy(field.from + (size_t)scenario_offset(scenario, MST_MPI_FROM, rank, i) * field.from_size, value, field.from_size);
    }
    return field;
}

/* Elements that came, if any have, are taken away again; then nothing else may have been written. */
static bool check_field(const scenario_t *scenario, const field_t *field, size_t number, bool came) {
    bool good = true;
    unsigned char value[16];
    for (int64_t i = 0; i < scenario->array.count && came; i++) {
        if (scenario->side[MST_MPI_TO].owner[i] != rank || scenario->side[MST_MPI_FROM].owner[i] < 0) continue;
        unsigned char *at = field->to + GUARD + (size_t)scenario_offset(scenario, MST_MPI_TO, rank, i) * field->to_size;
        target_value(field->kind, i, number, value);
        good = good && memcmp(at, value, field->to_size) == 0;
        memset(at, UNTOUCHED, field->to_size);
    }
    for (size_t b = 0; b < field->to_nbytes + 2 * GUARD; b++) good = good && field->to[b] == UNTOUCHED;
    return good;
}

typedef struct fields {
    size_t count;
    field_t field[FIELDS];
    const void *from[FIELDS];
    void *to[FIELDS];
} fields_t;

/* `choices` differ from rank to rank. */
static void make_fields(const scenario_t *scenario, random_array_t *choices, const maestro_field_t *kind, size_t count, fields_t *fields) {
    fields->count = count;
    for (size_t f = 0; f < count; f++) {
        fields->field[f] = make_field(scenario, choices, &kind[f], f);
        fields->from[f] = fields->field[f].from;
        fields->to[f] = fields->field[f].to + GUARD;
    }
}

static void end_fields(const scenario_t *scenario, const fields_t *fields, bool came) {
    for (size_t f = 0; f < fields->count; f++) {
        const field_t *field = &fields->field[f];
        CHECK(check_field(scenario, field, f, came));
        if (field->shared) CHECK_OK(maestro_dealloc(field->shared));
        else free(field->from);
        free(field->to);
    }
}

static void use_plan(const scenario_t *scenario, random_array_t *choices, maestro_plan_t *plan, const maestro_field_t *kind, size_t nfields, bool in_steps) {
    fields_t fields;
    make_fields(scenario, choices, kind, nfields, &fields);
    if (in_steps) {
        CHECK_OK(maestro_plan_start(plan, nfields, fields.from, fields.to));
        maestro_status_t status = maestro_plan_test(plan);
        CHECK(status == MAESTRO_OK || status == MAESTRO_IN_PROGRESS);
        if (status == MAESTRO_IN_PROGRESS) CHECK_OK(maestro_plan_wait(plan, 60));
    } else CHECK_OK(maestro_plan_run(plan, nfields, fields.from, fields.to));
    end_fields(scenario, &fields, true);
}

static maestro_status_t make_plan(scenario_t *scenario, maestro_plan_t **plan_out) {
    scenario->options.from_part = scenario->side[MST_MPI_FROM].part[rank];
    scenario->options.to_part = scenario->side[MST_MPI_TO].part[rank];
    return maestro_redistribute(scenario->side[MST_MPI_FROM].layout[rank], scenario->side[MST_MPI_TO].layout[rank], scenario->element_nbytes, world,
                                &scenario->options, plan_out);
}

static bool anywhere(bool here) {
    int own = here, any;
    MPI_Allreduce(&own, &any, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    return any;
}

/* Makes it with arrays that a trial moves.  They are as after a use where there was a trial and every rank that has a part gave its arrays, and else as
 * before. */
static maestro_status_t make_plan_trying(scenario_t *scenario, random_array_t *choices, const maestro_field_t *kind, maestro_plan_t **plan_out) {
    fields_t fields;
    bool gives = random_below(choices, 8);
    make_fields(scenario, choices, kind, scenario->options.max_fields, &fields);
    scenario->options.try_from = gives ? fields.from : NULL;
    scenario->options.try_to = gives ? fields.to : NULL;
    maestro_status_t status = make_plan(scenario, plan_out);
    scenario->options.try_from = NULL;
    scenario->options.try_to = NULL;
    const maestro_plan_t *plan = *plan_out;
    bool tried = false, lacking = plan && !gives && (plan->reads || plan->writes);
    for (int i = 0; i < MST_MPI_METHODS && plan; i++) tried = tried || plan->trial_s[i] > 0;
    lacking = anywhere(lacking);
    end_fields(scenario, &fields, tried && !lacking);
    return status;
}

/* A trial takes longer: few have one. */
static void choose_fields(scenario_t *scenario, maestro_field_t kind[FIELDS]) {
    random_array_t *array = &scenario->array;
    maestro_method_t method = random_below(array, 8) ? 1 + random_below(array, MAESTRO_METHOD_BUFFERED) : MAESTRO_METHOD_AUTO;
    bool several = random_below(array, 2), converts = several && method != MAESTRO_METHOD_DATATYPES;
    for (size_t f = 0; f < FIELDS; f++) {
        maestro_field_init(&kind[f], (maestro_element_t)scenario->element_nbytes);
        if (several) kind[f] = random_field(array, converts);
    }
    scenario->options.method = method;
    scenario->options.fields = several ? kind : NULL;
    mst_mpi_tuning.piece_nbytes = (size_t)(random_below(array, 2) ? 1 + random_below(array, 600) : 1 << 20); /* many pieces, or one */
    mst_mpi_tuning.datatypes_between = random_below(array, 2);
}

static void check_case(uint64_t seed) {
    scenario_t scenario;
    maestro_plan_t *plan = NULL;
    maestro_field_t kind[FIELDS];
    char said[64];
    scenario_init(&scenario, seed, nranks);
    choose_fields(&scenario, kind);
    random_array_t choices = {.state = seed * 64 + (uint64_t)rank};
    if (scenario.uncovered >= 0 && !scenario.options.partial) {
        CHECK_STATUS(make_plan(&scenario, &plan), MAESTRO_NOT_FOUND);
        snprintf(said, sizeof said, "element %lld ", (long long)scenario.uncovered);
        CHECK_ERROR_SAYS(said);
        CHECK(!plan);
    } else {
        bool tries = scenario.options.method == MAESTRO_METHOD_AUTO && random_below(&scenario.array, 3);
        if (tries) CHECK_OK(make_plan_trying(&scenario, &choices, kind, &plan));
        else CHECK_OK(make_plan(&scenario, &plan));
        if (plan) use_plan(&scenario, &choices, plan, kind, scenario.options.max_fields, false);
        if (plan) use_plan(&scenario, &choices, plan, kind, 1, true);
        CHECK_OK(maestro_plan_destroy(plan));
    }
    scenario_fini(&scenario);
}

static void test_random_layouts_arrive_as_they_should(void) { cases_run(as_many_as_time_allows(640, 330, 10), check_case); }

/* ---- Refusals: the same on all ranks, with the same words */
static void check_refused(const maestro_layout_t *from, const maestro_layout_t *to, size_t element_nbytes, const maestro_plan_options_t *options,
                          maestro_status_t expected,
                          const char *said) {
    maestro_plan_t *plan = NULL;
    CHECK_STATUS(maestro_redistribute(from, to, element_nbytes, world, options, &plan), expected);
    CHECK_ERROR_SAYS(said);
    CHECK(!plan);
    check_words_are_alike();
}

/* Elements first, first + 1, ..., of 8 a rank. */
static maestro_layout_t *own_of(int64_t first, int64_t count) {
    int64_t indices[64], size = 8 * nranks;
    maestro_layout_t *layout = NULL;
    for (int64_t i = 0; i < count; i++) indices[i] = first + i;
    CHECK_OK(maestro_layout_indices(1, &size, count, indices, NULL, &layout));
    return layout;
}

static void test_arguments_that_do_not_fit_are_refused_by_all(void) {
    maestro_layout_t *line = scenario_line(8 * nranks, nranks, 0), *longer = scenario_line(8 * nranks + 1, nranks, 0);
    maestro_layout_t *fewer = scenario_line(8 * nranks, nranks + 1, 0), *own = own_of(8 * rank, 8);
    maestro_plan_options_t options;
    bool last = rank == nranks - 1;
    maestro_plan_options_init(&options);
    check_refused(line, longer, 8, NULL, MAESTRO_INVALID_ARGUMENT, "dimension 0");
    check_refused(line, NULL, 8, NULL, MAESTRO_INVALID_ARGUMENT, "no rank gives a target layout");
    check_refused(line, line, 3, NULL, MAESTRO_INVALID_ARGUMENT, "no element 0x3");
    options.from_part = last ? nranks : rank;
    check_refused(line, line, 8, &options, MAESTRO_INVALID_ARGUMENT, "has no part");
    options.from_part = options.to_part = -1;
    options.size = last ? 8 : options.size;
    check_refused(line, line, 8, &options, MAESTRO_INVALID_ARGUMENT, "options' size");
    options.size = sizeof options;
    options.method = last ? 77 : MAESTRO_METHOD_AUTO;
    check_refused(line, line, 8, &options, MAESTRO_INVALID_ARGUMENT, "no method 77");
    if (nranks > 1) {
        check_refused(line, last ? longer : line, 8, NULL, MAESTRO_INVALID_ARGUMENT, "size");
        check_refused(last ? fewer : line, line, 8, NULL, MAESTRO_INVALID_ARGUMENT, "source layouts differ");
        check_refused(line, last ? own : line, 8, NULL, MAESTRO_INVALID_ARGUMENT, "of one kind");
        check_refused(line, line, last ? 4 : 8, NULL, MAESTRO_INVALID_ARGUMENT, "size of elements");
        options.method = MAESTRO_METHOD_AUTO;
        options.partial = last;
        check_refused(line, line, 8, &options, MAESTRO_INVALID_ARGUMENT, "partial");
    }
    maestro_layout_destroy(line);
    maestro_layout_destroy(longer);
    maestro_layout_destroy(fewer);
    maestro_layout_destroy(own);
}

static void test_elements_with_no_source_or_several_are_named(void) {
    maestro_layout_t *line = scenario_line(8 * nranks, nranks, 0), *more = scenario_line(8 * nranks, 2 * nranks, 0), *own = own_of(8 * rank, 8);
    maestro_layout_t *shorter = own_of(8 * rank, 7), *overlapping = own_of(rank ? 8 * rank - 1 : 0, 8);
    maestro_plan_options_t options;
    char said[64];
    maestro_plan_options_init(&options);
    check_refused(shorter, line, 8, NULL, MAESTRO_NOT_FOUND, "element 7 (7)");
    check_refused(shorter, own, 8, NULL, MAESTRO_NOT_FOUND, "element 7 (7)");
    snprintf(said, sizeof said, "element %d (%d)", 4 * nranks, 4 * nranks);
    check_refused(more, line, 8, NULL, MAESTRO_NOT_FOUND, said);
    check_refused(more, own, 8, NULL, MAESTRO_NOT_FOUND, said);
    if (nranks > 1) {
        options.partial = true;
        check_refused(overlapping, line, 8, &options, MAESTRO_DUPLICATE, "element 7 (7) of the source");
        check_refused(own, overlapping, 8, NULL, MAESTRO_DUPLICATE, "element 7 (7) of the target");
        options.from_part = 1;
        check_refused(line, line, 8, &options, MAESTRO_DUPLICATE, "part 1 of the source");
    }
    maestro_layout_destroy(line);
    maestro_layout_destroy(more);
    maestro_layout_destroy(own);
    maestro_layout_destroy(shorter);
    maestro_layout_destroy(overlapping);
}

static void test_what_is_no_communicator_is_refused(void) {
    maestro_layout_t *line = scenario_line(8, 1, 0);
    maestro_plan_t *plan = NULL;
    CHECK_STATUS(maestro_redistribute(line, line, 8, MPI_Comm_c2f(MPI_COMM_NULL), NULL, &plan), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("no communicator");
    CHECK_STATUS(maestro_redistribute(line, line, 8, MPI_Comm_c2f(MPI_COMM_SELF), NULL, NULL), MAESTRO_INVALID_ARGUMENT);
    CHECK_OK(maestro_redistribute(line, line, 8, MPI_Comm_c2f(MPI_COMM_SELF), NULL, &plan));
    CHECK_OK(maestro_plan_destroy(plan));
    CHECK_OK(maestro_plan_destroy(NULL));
    maestro_layout_destroy(line);
}

/* ---- Use */
static maestro_plan_t *line_to_column_plan(maestro_method_t method, size_t max_fields) {
    const int64_t shape[] = {2 * nranks, 2 * nranks};
    maestro_layout_t *rows = NULL, *columns = NULL;
    maestro_plan_options_t options;
    maestro_plan_t *plan = NULL;
    maestro_plan_options_init(&options);
    options.max_fields = max_fields;
    options.method = method;
    CHECK_OK(maestro_layout_blocks(2, shape, (int64_t[]){nranks, 1}, NULL, &rows));
    CHECK_OK(maestro_layout_blocks(2, shape, (int64_t[]){1, nranks}, NULL, &columns));
    CHECK_OK(maestro_redistribute(rows, columns, 8, world, &options, &plan));
    maestro_layout_destroy(rows);
    maestro_layout_destroy(columns);
    return plan;
}

static void test_wrong_use_is_refused(maestro_method_t method) {
    enum { ROOM = 4 * SCENARIO_RANKS };
    double source[ROOM] = {0}, target[ROOM];
    const void *from[] = {source, NULL};
    void *to[] = {target, NULL};
    maestro_plan_t *plan = line_to_column_plan(method, 2);
    CHECK_STATUS(maestro_plan_wait(plan, 1), MAESTRO_WRONG_STATE);
    CHECK_STATUS(maestro_plan_start(plan, 0, from, to), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_plan_start(plan, 3, from, to), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_plan_start(plan, 2, from, to), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("field 1 of the source is NULL");
    CHECK_STATUS(maestro_plan_start(plan, 1, from, NULL), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_plan_start(NULL, 1, from, to), MAESTRO_INVALID_ARGUMENT);
    CHECK_OK(maestro_plan_start(plan, 1, from, to));
    CHECK_STATUS(maestro_plan_start(plan, 1, from, to), MAESTRO_WRONG_STATE);
    CHECK_OK(maestro_plan_wait(plan, 60));
    CHECK_STATUS(maestro_plan_test(plan), MAESTRO_WRONG_STATE);
    CHECK_OK(maestro_plan_start(plan, 1, from, to));
    CHECK_OK(maestro_plan_destroy(plan)); /* waits */
}

/* The first rank begins late: the others' waits end, and go on. */
static void test_a_wait_ends_in_time_and_may_go_on(maestro_method_t method) {
    double source[4 * SCENARIO_RANKS] = {0}, target[4 * SCENARIO_RANKS];
    const void *from[] = {source};
    void *to[] = {target};
    maestro_plan_t *plan = line_to_column_plan(method, 1);
    if (rank) {
        CHECK_OK(maestro_plan_start(plan, 1, from, to));
        CHECK_STATUS(maestro_plan_wait(plan, 0.01), MAESTRO_TIMEOUT);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (!rank) CHECK_OK(maestro_plan_start(plan, 1, from, to));
    CHECK_OK(maestro_plan_wait(plan, 60));
    CHECK_OK(maestro_plan_destroy(plan));
}

static void test_different_numbers_of_fields_are_refused_by_all(maestro_method_t method) {
    double source[4 * SCENARIO_RANKS] = {0}, target[4 * SCENARIO_RANKS];
    const void *from[] = {source, source};
    void *to[] = {target, target};
    if (nranks == 1) return;
    maestro_plan_t *plan = line_to_column_plan(method, 2);
    CHECK_OK(maestro_plan_start(plan, rank ? 2 : 1, from, to));
    CHECK_STATUS(maestro_plan_wait(plan, 60), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("fields");
    CHECK_STATUS(maestro_plan_start(plan, 1, from, to), MAESTRO_WRONG_STATE);
    CHECK_OK(maestro_plan_destroy(plan));
}

/* Rank 1 takes two fields where rank 0 gives one.  Rank 0 reads nothing, and must not wait for ever, nor go on: what it packs is of no use any more, which it
 * learns when there is no room left, at the latest. */
static void test_a_source_learns_that_its_target_has_failed(void) {
    double source[8 * SCENARIO_RANKS] = {0}, target[8 * SCENARIO_RANKS];
    const void *from[] = {source, source};
    void *to[] = {target, target};
    maestro_plan_options_t options;
    maestro_plan_t *plan = NULL;
    if (nranks == 1 || !scenario_is_one_node()) return;
    maestro_layout_t *whole = scenario_line(8 * nranks, 1, 0);
    maestro_plan_options_init(&options);
    options.from_part = options.to_part = 0;
    options.max_fields = 2;
    options.method = MAESTRO_METHOD_STAGED;
    CHECK_OK(maestro_redistribute(rank == 0 ? whole : NULL, rank == 1 ? whole : NULL, 8, world, &options, &plan));
    maestro_status_t status = MAESTRO_OK;
    for (int use = 0; use < 3 && status == MAESTRO_OK; use++) {
        status = maestro_plan_start(plan, rank == 1 ? 2 : 1, from, to);
        if (status == MAESTRO_OK) status = maestro_plan_wait(plan, 60);
    }
    CHECK_STATUS(status, rank < 2 ? MAESTRO_INVALID_ARGUMENT : MAESTRO_OK);
    CHECK_OK(maestro_plan_destroy(plan));
    maestro_layout_destroy(whole);
}

static void test_memory_is_given_back_once(void) {
    void *memory = NULL, *none = NULL;
    CHECK_OK(maestro_alloc(0, &none));
    CHECK_OK(maestro_alloc(100, &memory));
    CHECK(memory && *(char *)memory == 0);
    CHECK_STATUS(maestro_dealloc((char *)memory + 8), MAESTRO_INVALID_ARGUMENT);
    CHECK_OK(maestro_dealloc(memory));
    CHECK_STATUS(maestro_dealloc(memory), MAESTRO_INVALID_ARGUMENT);
    CHECK_OK(maestro_dealloc(none));
    CHECK_OK(maestro_dealloc(NULL));
    CHECK_STATUS(maestro_alloc(8, NULL), MAESTRO_INVALID_ARGUMENT);
}

static void test_a_plan_explains_itself(void) {
    char *text = NULL, expected[256];
    const char *way = scenario_is_one_node() ? "staged" : "packed";
    maestro_plan_t *plan = line_to_column_plan(MAESTRO_METHOD_STAGED, 1);
    CHECK_OK(maestro_plan_explain(plan, &text));
    CHECK(text && strstr(text, "{\"method\": \"staged\", \"element_bytes\": 8, \"kept_bytes\": 32, \"messages\": [") == text);
    snprintf(expected, sizeof expected, "{\"rank\": %d, \"way\": \"%s\", \"sent_bytes\": 32, \"received_bytes\": 32}", rank ? 0 : 1, way);
    CHECK(nranks == 1 || nranks > 2 || (text && strstr(text, expected)));
    CHECK(text && strstr(text, "\"trial_s\": {}"));
    maestro_free(text);
    CHECK_OK(maestro_plan_destroy(plan));
}

/* What was tried, and that all ranks have chosen the quickest of it. */
static void test_the_quickest_method_of_a_trial_is_taken(maestro_method_t method) {
    char *text = NULL, chosen[512] = "";
    maestro_plan_t *plan = line_to_column_plan(method, 1);
    int best = -1, number = (int)plan->method->number, first = number;
    MPI_Bcast(&first, 1, MPI_INT, 0, MPI_COMM_WORLD);
    CHECK(first == number);
    for (int i = 0; i < MST_MPI_METHODS; i++)
        if (plan->trial_s[i] > 0 && (best < 0 || plan->trial_s[i] < plan->trial_s[best])) best = i;
    CHECK((best < 0) == (nranks == 1));
    int own = 0;
    while (mst_mpi_method[own] != plan->method) own++;
    CHECK(best < 0 || plan->trial_s[own] <= 1.05 * plan->trial_s[best]);
    CHECK_OK(maestro_plan_explain(plan, &text));
    snprintf(chosen, sizeof chosen, "\"%s\": ", plan->method->name);
    CHECK(best < 0 || (text && strstr(strstr(text, "\"trial_s\""), chosen)));
    maestro_free(text);
    CHECK_OK(maestro_plan_destroy(plan));
}

/* Whether a method is tried: all that differ where something moves, and no others.  Here no lines are long. */
static bool is_to_be_tried(const mst_mpi_method_t *method, bool private, bool within, bool between) {
    if (private && method->number == MAESTRO_METHOD_SHARED) return false;
    bool is_mixed = strcmp(method->within, method->between) != 0, is_default = strcmp(method->name, method->within) == 0;
    return method == &mst_mpi_packed || method == &mst_mpi_datatypes || (is_mixed && within && (between || is_default));
}

/* ---- Much data, which goes in pieces and past the caches: all to the next rank, in one line or turned, or from the first rank to all. */
enum { MUCH = 2 << 20 };

static maestro_layout_t *much(bool columns, bool first_alone) {
    const int64_t shape[] = {nranks * 1024, MUCH / 1024}, rows_grid[] = {first_alone ? 1 : nranks, 1};
    maestro_layout_options_t options;
    maestro_layout_t *layout = NULL;
    if (first_alone && rank) return NULL;
    maestro_layout_options_init(&options);
    if (columns) options.order = MAESTRO_COLUMN_MAJOR;
    CHECK_OK(maestro_layout_blocks(2, shape, rows_grid, &options, &layout));
    return layout;
}

static void check_much(maestro_method_t method, bool turned, bool first_alone) {
    const int64_t width = MUCH / 1024, count = first_alone ? (rank ? 0 : (int64_t)MUCH * nranks) : MUCH;
    maestro_layout_t *from = much(false, first_alone), *to = much(turned, false);
    maestro_plan_options_t options;
    maestro_plan_t *plan = NULL;
    double *source = malloc((size_t)(count + 1) * sizeof *source), *target = calloc(MUCH, sizeof *target);
    int64_t part = (rank + 1) % nranks, first = (first_alone ? 0 : rank) * (int64_t)MUCH;
    bool good = true;
    maestro_plan_options_init(&options);
    options.method = method;
    options.to_part = part;
    for (int64_t i = 0; i < count; i++) source[i] = (double)(first + i);
    CHECK_OK(maestro_redistribute(from, to, MAESTRO_F64, world, &options, &plan));
    for (int use = 0; use < 2; use++) CHECK_OK(maestro_plan_run(plan, 1, (const void *[]){source}, (void *[]){target}));
    for (int64_t i = 0; i < 1024; i++)
        for (int64_t j = 0; j < width; j++) good = good && target[turned ? j * 1024 + i : i * width + j] == (double)(part * MUCH + i * width + j);
    CHECK(good);
    CHECK_OK(maestro_plan_destroy(plan));
    maestro_layout_destroy(from);
    maestro_layout_destroy(to);
    free(source);
    free(target);
}

static void test_much_data_arrives(void) {
    static const maestro_method_t methods[] = {MAESTRO_METHOD_PACKED, MAESTRO_METHOD_BUFFERED, MAESTRO_METHOD_STAGED};
    for (size_t m = 0; m < MST_COUNT(methods); m++)
        for (int turned = 0; turned < 2; turned++)
            for (int first_alone = 0; first_alone < 2; first_alone++) check_much(methods[m], turned, first_alone);
}

/* Each rank gives all to the next. */
static void test_long_lines_are_tried_from_buffers_too(void) {
    enum { LONG = 1 << 14 };
    maestro_layout_t *line = scenario_line(LONG * nranks, nranks, 0);
    maestro_plan_options_t options;
    maestro_plan_t *plan = NULL;
    maestro_plan_options_init(&options);
    options.to_part = (rank + 1) % nranks;
    CHECK_OK(maestro_redistribute(line, line, MAESTRO_F64, world, &options, &plan));
    for (int i = 0; i < MST_MPI_METHODS && plan && nranks > 1; i++)
        if (mst_mpi_method[i] == &mst_mpi_buffered) CHECK(plan->trial_s[i] > 0);
    CHECK_OK(maestro_plan_destroy(plan));
    maestro_layout_destroy(line);
}

/* Every rank gives to every other one. */
static void test_all_ways_within_and_between_nodes_are_tried(bool private) {
    mst_mpi_comm_t comm;
    CHECK_OK(mst_mpi_comm_open("test", world, &comm));
    int own[] = {comm.nnode > 1, comm.nnode < nranks}, any[2];
    MPI_Allreduce(own, any, 2, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    mst_mpi_comm_close(&comm);
    maestro_plan_t *plan = line_to_column_plan(private ? MAESTRO_METHOD_AUTO_PRIVATE : MAESTRO_METHOD_AUTO, 1);
    for (int i = 0; i < MST_MPI_METHODS && nranks > 1; i++) CHECK((plan->trial_s[i] > 0) == is_to_be_tried(mst_mpi_method[i], private, any[0], any[1]));
    if (nranks == 1) CHECK(plan->method == (private ? &mst_mpi_staged : &mst_mpi_shared)); /* without a trial */
    CHECK_OK(maestro_plan_destroy(plan));
}

/* Pages that this process has touched in what ranks share: boards, and memory of maestro_alloc. */
static long shared_kib(void) {
    char line[512];
    long all = 0, kib;
    unsigned long from, to;
    bool ours = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx", &from, &to) == 2) ours = strstr(line, "memfd:maestro-array") != NULL;
        if (ours && sscanf(line, "Rss: %ld", &kib) == 1) all += kib;
    }
    if (maps) fclose(maps);
    return all;
}

/* Half of each rank's 8 MiB goes to others, and is packed twice in the trial. */
static void test_a_trial_leaves_no_pages_behind(void) {
    enum { N = 1 << 20, SMALL_KIB = 1024 };
    maestro_layout_t *halves = scenario_line((int64_t)N * nranks, nranks, 0), *cyclic = NULL;
    maestro_plan_t *plan = NULL;
    CHECK_OK(maestro_layout_block_cyclic(1, (int64_t[]){(int64_t)N * nranks}, (int64_t[]){N / 4}, (int64_t[]){nranks}, NULL, &cyclic));
    long before = shared_kib();
    CHECK_OK(maestro_redistribute(halves, cyclic, 8, world, NULL, &plan));
    MPI_Barrier(MPI_COMM_WORLD); /* others have given back theirs, which are mapped here too */
    if (plan->method == &mst_mpi_shared) CHECK(shared_kib() < before + SMALL_KIB);
    CHECK_OK(maestro_plan_destroy(plan));
    maestro_layout_destroy(halves);
    maestro_layout_destroy(cyclic);
}

/* ---- Where memory cannot be shared */
static void test_segments_of_others_are_checked(void) {
    mst_mpi_segment_t segment, wrong;
    void *base;
    const void *mapped = NULL;
    CHECK_OK(mst_mpi_segment_create(100, &segment, &base));
    *(char *)base = 7;
    CHECK_OK(mst_mpi_segment_map(&segment, &mapped));
    CHECK(mapped && *(const char *)mapped == 7);
    munmap((void *)(uintptr_t)mapped, segment.nbytes);
    wrong = segment;
    wrong.inode++;
    CHECK_STATUS(mst_mpi_segment_map(&wrong, &mapped), MAESTRO_SYSTEM);
    CHECK_ERROR_SAYS("another one");
    wrong = segment;
    wrong.nbytes = 1 << 20;
    CHECK(mst_mpi_segment_map(&wrong, &mapped) != MAESTRO_OK);
    munmap(base, segment.nbytes);
    close((int)segment.fd);
    CHECK_STATUS(mst_mpi_segment_map(&segment, &mapped), MAESTRO_SYSTEM);
}

/* One rank has no descriptor left: all take messages, or get its error if it must be shared memory. */
static void test_without_shared_memory_there_are_messages(void) {
    struct rlimit limit, none;
    char *text = NULL;
    maestro_layout_t *line = scenario_line(8 * nranks, nranks, 0);
    maestro_plan_options_t options;
    maestro_plan_t *plan = NULL;
    maestro_plan_options_init(&options);
    options.method = MAESTRO_METHOD_SHARED;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    if (rank == nranks - 1) setrlimit(RLIMIT_NOFILE, &none);
    CHECK_STATUS(maestro_redistribute(line, line, 8, world, &options, &plan), MAESTRO_SYSTEM);
    CHECK_OK(maestro_redistribute(line, line, 8, world, NULL, &plan));
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK_OK(maestro_plan_explain(plan, &text));
    CHECK(text && (strstr(text, "\"packed\"") || strstr(text, "\"datatypes\"")));
    maestro_free(text);
    CHECK_OK(maestro_plan_destroy(plan));
    maestro_layout_destroy(line);
}

/* ---- What remains */
static int count_descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static void test_plans_leave_nothing_behind(maestro_method_t method) {
    int before = 0, nplans = as_many_as_time_allows(1500, 500, 5); /* MPICH has some 2,000 communicators */
    for (int i = 0; i < nplans; i++) {
        maestro_plan_t *plan = line_to_column_plan(method, 1);
        CHECK_OK(maestro_plan_destroy(plan));
        if (!i) before = count_descriptors();
    }
    CHECK(count_descriptors() == before);
}

int main(int argc, char **argv) {
    const mst_mpi_tuning_t tuning = mst_mpi_tuning;
    maestro_plan_t *plan = NULL;
    CHECK_STATUS(maestro_redistribute(NULL, NULL, 8, 0, NULL, &plan), MAESTRO_WRONG_STATE);
    CHECK_ERROR_SAYS("not initialised");
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    world = MPI_Comm_c2f(MPI_COMM_WORLD);
    test_random_layouts_arrive_as_they_should();
    mst_mpi_tuning = tuning;
    test_arguments_that_do_not_fit_are_refused_by_all();
    test_elements_with_no_source_or_several_are_named();
    test_what_is_no_communicator_is_refused();
    test_memory_is_given_back_once();
    test_a_source_learns_that_its_target_has_failed();
    test_a_plan_explains_itself();
    test_the_quickest_method_of_a_trial_is_taken(MAESTRO_METHOD_AUTO);
    test_the_quickest_method_of_a_trial_is_taken(MAESTRO_METHOD_AUTO_PRIVATE);
    test_all_ways_within_and_between_nodes_are_tried(false);
    test_all_ways_within_and_between_nodes_are_tried(true);
    test_long_lines_are_tried_from_buffers_too();
    test_much_data_arrives();
    test_a_trial_leaves_no_pages_behind();
    test_segments_of_others_are_checked();
    test_without_shared_memory_there_are_messages();
    for (int method = MAESTRO_METHOD_PACKED; method <= MAESTRO_METHOD_BUFFERED; method++) {
        test_wrong_use_is_refused(method);
        test_a_wait_ends_in_time_and_may_go_on(method);
        test_different_numbers_of_fields_are_refused_by_all(method);
        mst_mpi_tuning.piece_nbytes = 8; /* many pieces, of which the first is refused */
        test_different_numbers_of_fields_are_refused_by_all(method);
        mst_mpi_tuning = tuning;
        test_plans_leave_nothing_behind(method);
    }
    MPI_Finalize();
    return TEST_END;
}
