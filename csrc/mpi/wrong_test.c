/* Wrong calls: every rank gets an error in bounded time, and goes on.  Run by any number of ranks up to 8. */
#include "mpi/comm.h"
#include "mpi/scenario_test.h"

#include <limits.h>

enum { ROOM = 4 * SCENARIO_RANKS };

static int rank, nranks;
static const double SHORT_S = 0.3, BOUND_S = 20; /* cores may be shared with much else */

/* ---- Helpers: a communicator of its own for each test, since some are lost */
static maestro_comm_t own_world(MPI_Comm *comm_out) {
    MPI_Comm_dup(MPI_COMM_WORLD, comm_out);
    return MPI_Comm_c2f(*comm_out);
}

static maestro_status_t make(maestro_comm_t comm, int64_t size, const maestro_plan_options_t *options, maestro_plan_t **plan_out) {
    const int64_t shape[] = {size, size};
    maestro_layout_t *rows = NULL, *columns = NULL;
    CHECK_OK(maestro_layout_blocks(2, shape, (int64_t[]){nranks, 1}, NULL, &rows));
    CHECK_OK(maestro_layout_blocks(2, shape, (int64_t[]){1, nranks}, NULL, &columns));
    maestro_status_t status = maestro_redistribute(rows, columns, 8, comm, options, plan_out);
    maestro_layout_destroy(rows);
    maestro_layout_destroy(columns);
    return status;
}

static maestro_plan_t *plan_of(maestro_comm_t comm, maestro_method_t method) {
    maestro_plan_t *plan = NULL;
    maestro_plan_options_t options;
    maestro_plan_options_init(&options);
    options.method = method;
    CHECK_OK(make(comm, 2 * nranks, &options, &plan));
    return plan;
}

static double now_s(void) { return (double)mst_base_now_ns() * 1e-9; }

static maestro_status_t run(maestro_plan_t *plan) {
    static double source[ROOM], target[ROOM];
    return maestro_plan_run(plan, 1, (const void *[]){source}, (void *[]){target});
}

/* ---- When a plan is made */
static void test_ranks_that_make_plans_in_another_order_are_told(void) {
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    maestro_plan_t *plan = NULL;
    for (int i = 0; i < 2 && nranks > 1; i++) {
        CHECK_STATUS(make(ours, (rank == 0) == (i == 0) ? 2 * nranks : 3 * nranks, NULL, &plan), MAESTRO_INVALID_ARGUMENT);
        CHECK_ERROR_SAYS("size");
    }
    CHECK_OK(make(ours, 2 * nranks, NULL, &plan));
    CHECK_OK(maestro_plan_destroy(plan));
    MPI_Comm_free(&comm);
}

static void test_a_halo_where_others_redistribute_is_refused(void) {
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    maestro_layout_t *line = scenario_line(8 * nranks, nranks, 1);
    maestro_plan_t *plan = NULL;
    if (nranks > 1) {
        CHECK_STATUS(rank ? maestro_redistribute(line, line, 8, ours, NULL, &plan) : maestro_halo(line, 8, ours, NULL, &plan), MAESTRO_INVALID_ARGUMENT);
        CHECK_ERROR_SAYS("another function");
    }
    CHECK_OK(maestro_halo(line, 8, ours, NULL, &plan));
    CHECK_OK(maestro_plan_destroy(plan));
    maestro_layout_destroy(line);
    MPI_Comm_free(&comm);
}

/* A call that is refused leaves all ranks with as many tags given: messages of a later plan meet. */
static void test_a_plan_after_a_call_of_another_kind_moves_messages(void) {
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    int64_t part;
    maestro_layout_t *line = scenario_line(8 * nranks, nranks, 0);
    maestro_plan_t *plan = NULL;
    if (nranks > 1)
        CHECK_STATUS(rank ? maestro_redistribute(line, line, 8, ours, NULL, &plan) : maestro_relabel(line, line, ours, NULL, &part), MAESTRO_INVALID_ARGUMENT);
    setenv("MAESTRO_TIMEOUT_S", "10", 1);
    plan = plan_of(ours, MAESTRO_METHOD_PACKED);
    CHECK_OK(run(plan));
    CHECK_OK(maestro_plan_destroy(plan));
    unsetenv("MAESTRO_TIMEOUT_S");
    maestro_layout_destroy(line);
    MPI_Comm_free(&comm);
}

static void test_fields_that_differ_are_refused_by_all(void) {
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    maestro_plan_t *plan = NULL;
    maestro_field_t field[2];
    maestro_plan_options_t options;
    maestro_plan_options_init(&options);
    maestro_field_init(&field[0], MAESTRO_F64);
    maestro_field_init(&field[1], rank ? MAESTRO_F64 : MAESTRO_F32);
    options.max_fields = 2;
    options.fields = field;
    if (nranks > 1) {
        CHECK_STATUS(make(ours, 2 * nranks, &options, &plan), MAESTRO_INVALID_ARGUMENT);
        CHECK_ERROR_SAYS("types of fields differ");
        options.fields = NULL;
        options.max_fields = rank ? 1 : 2;
        CHECK_STATUS(make(ours, 2 * nranks, &options, &plan), MAESTRO_INVALID_ARGUMENT);
        CHECK_ERROR_SAYS("max_fields is 1 on one rank and 2 on another");
    }
    options.fields = field;
    options.max_fields = 1;
    field[0].to = MAESTRO_F32;
    options.method = MAESTRO_METHOD_DATATYPES;
    CHECK_STATUS(make(ours, 2 * nranks, &options, &plan), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("datatypes cannot");
    MPI_Comm_free(&comm);
}

/* Those that are there give up, for good on this communicator; who comes too late gives up as well. */
static void test_a_rank_that_makes_no_plan_is_waited_for_only_so_long(void) {
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    maestro_plan_t *plan = plan_of(ours, MAESTRO_METHOD_PACKED), *none = NULL;
    double begun_s = now_s();
    setenv("MAESTRO_TIMEOUT_S", "0.3", 1);
    if (rank) CHECK_STATUS(make(ours, 2 * nranks, NULL, &none), MAESTRO_TIMEOUT);
    if (rank) CHECK_STATUS(make(ours, 2 * nranks, NULL, &none), MAESTRO_WRONG_STATE);
    MPI_Barrier(MPI_COMM_WORLD);
    if (nranks > 1 && !rank) CHECK_STATUS(make(ours, 2 * nranks, NULL, &none), MAESTRO_TIMEOUT);
    CHECK(now_s() - begun_s < BOUND_S);
    unsetenv("MAESTRO_TIMEOUT_S");
    CHECK_OK(run(plan)); /* which was made before */
    CHECK_OK(maestro_plan_destroy(plan));
    MPI_Comm_free(&comm);
}

/* As above, where nothing was made on the communicator before. */
static void test_a_rank_that_does_not_make_the_first_plan_is_waited_for_only_so_long(void) {
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    maestro_plan_t *none = NULL;
    double begun_s = now_s();
    if (nranks == 1) return;
    setenv("MAESTRO_TIMEOUT_S", "0.3", 1);
    if (rank) CHECK_STATUS(make(ours, 2 * nranks, NULL, &none), MAESTRO_TIMEOUT);
    if (rank) CHECK_STATUS(make(ours, 2 * nranks, NULL, &none), MAESTRO_WRONG_STATE);
    MPI_Barrier(MPI_COMM_WORLD);
    if (!rank) CHECK_STATUS(make(ours, 2 * nranks, NULL, &none), MAESTRO_TIMEOUT);
    CHECK_STATUS(make(ours, 2 * nranks, NULL, &none), MAESTRO_WRONG_STATE);
    CHECK(now_s() - begun_s < BOUND_S);
    unsetenv("MAESTRO_TIMEOUT_S");
    MPI_Comm_free(&comm);
}

/* ---- While a plan is made */
static void test_letters_that_nobody_reads_are_given_up(void) {
    MPI_Comm comm;
    mst_mpi_comm_t ours;
    mst_mpi_mail_t out = {0}, in = {0};
    int own = 1;
    double begun_s = now_s();
    if (nranks == 1) return;
    CHECK_OK(mst_mpi_comm_open("a test", own_world(&comm), &ours));
    mst_base_buffer_append(mst_mpi_mail_to(&out, 0), &own, sizeof own);
    setenv("MAESTRO_TIMEOUT_S", "0.3", 1);
    if (rank) CHECK_STATUS(mst_mpi_exchange(&ours, 1, &out, &in), MAESTRO_TIMEOUT);
    if (rank) CHECK_STATUS(mst_mpi_agree(&ours, MAESTRO_OK, -1), MAESTRO_WRONG_STATE);
    MPI_Barrier(MPI_COMM_WORLD);
    if (!rank) CHECK_STATUS(mst_mpi_exchange(&ours, 1, &out, &in), MAESTRO_TIMEOUT);
    CHECK(now_s() - begun_s < BOUND_S);
    unsetenv("MAESTRO_TIMEOUT_S");
    mst_mpi_mail_fini(&out);
    mst_mpi_mail_fini(&in);
    mst_mpi_comm_close(&ours);
    MPI_Comm_free(&comm);
}

/* By the one as by the other call. */
static void test_a_number_that_a_rank_does_not_give_is_waited_for_only_so_long(bool is_bcast) {
    MPI_Comm comm;
    mst_mpi_comm_t ours;
    int own = rank, all = -1;
    double begun_s = now_s();
    CHECK_OK(mst_mpi_comm_open("a test", own_world(&comm), &ours));
    CHECK_OK(mst_mpi_allreduce(&ours, "a test", &own, &all, 1, MPI_INT, MPI_MAX));
    CHECK(all == nranks - 1);
    CHECK_OK(mst_mpi_bcast(&ours, "a test", &own, sizeof own, nranks - 1));
    CHECK(own == nranks - 1);
    setenv("MAESTRO_TIMEOUT_S", "0.3", 1);
    all = -1;
    if (rank) CHECK_STATUS(is_bcast ? mst_mpi_bcast(&ours, "a test", &all, sizeof all, 0)
                                    : mst_mpi_allreduce(&ours, "a test", &own, &all, 1, MPI_INT, MPI_MAX), MAESTRO_TIMEOUT);
    CHECK(all == -1 && now_s() - begun_s < BOUND_S);
    MPI_Barrier(MPI_COMM_WORLD);
    unsetenv("MAESTRO_TIMEOUT_S");
    mst_mpi_comm_spoil(&ours);
    mst_mpi_comm_close(&ours);
}

static void test_letters_come_sorted_and_one_that_is_too_large_is_refused(void) {
    MPI_Comm comm;
    mst_mpi_comm_t ours;
    mst_mpi_mail_t out = {0}, in = {0};
    CHECK_OK(mst_mpi_comm_open("a test", own_world(&comm), &ours));
    for (int to = nranks - 1; to >= 0; to--) mst_base_buffer_append(mst_mpi_mail_to(&out, to), &rank, sizeof rank);
    CHECK_OK(mst_mpi_exchange(&ours, 1, &out, &in));
    CHECK(in.nletters == nranks);
    for (int64_t i = 0; i < in.nletters; i++) CHECK(in.letter[i].rank == i && *(const int *)(const void *)in.letter[i].content.data == i);
    mst_mpi_mail_fini(&in);
    out.letter[0].content.nbytes = (size_t)INT_MAX + 1;
    CHECK_STATUS(mst_mpi_exchange(&ours, 2, &out, &in), MAESTRO_TOO_LARGE);
    CHECK_ERROR_SAYS("2147483648 bytes");
    CHECK(in.nletters == 0);
    mst_mpi_mail_fini(&out);
    mst_mpi_mail_fini(&in);
    mst_mpi_comm_close(&ours);
    MPI_Comm_free(&comm);
}

/* One rank never comes, until MPI_Finalize. */
static void leave_a_first_plan_unmade(void) {
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    maestro_plan_t *none = NULL;
    setenv("MAESTRO_TIMEOUT_S", "0.3", 1);
    if (rank) CHECK_STATUS(make(ours, 2 * nranks, NULL, &none), MAESTRO_TIMEOUT);
    unsetenv("MAESTRO_TIMEOUT_S");
}

/* ---- When a plan is used */
static void test_a_rank_that_does_not_use_a_plan_is_waited_for_only_so_long(maestro_method_t method) {
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    maestro_plan_t *plan = plan_of(ours, method);
    double source[ROOM] = {0}, target[ROOM], begun_s = now_s();
    setenv("MAESTRO_TIMEOUT_S", "0.3", 1);
    if (rank) {
        CHECK_OK(maestro_plan_start(plan, 1, (const void *[]){source}, (void *[]){target}));
        CHECK_STATUS(maestro_plan_wait(plan, SHORT_S), MAESTRO_TIMEOUT);
        CHECK_STATUS(maestro_plan_destroy(plan), MAESTRO_TIMEOUT);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (!rank) CHECK_OK(maestro_plan_destroy(plan));
    CHECK(now_s() - begun_s < BOUND_S);
    unsetenv("MAESTRO_TIMEOUT_S");
    MPI_Comm_free(&comm);
}

/* By messages that takes until the timeout; in shared memory it is seen. */
static void test_a_rank_that_has_destroyed_the_plan_is_noticed(maestro_method_t method) {
    bool of_node = method == MAESTRO_METHOD_SHARED || method == MAESTRO_METHOD_STAGED;
    if (!of_node || !scenario_is_one_node()) return;
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    maestro_plan_t *plan = plan_of(ours, method);
    CHECK_OK(run(plan));
    MPI_Barrier(comm);
    if (!rank) CHECK_OK(maestro_plan_destroy(plan));
    MPI_Barrier(comm);
    if (rank) {
        CHECK_STATUS(run(plan), MAESTRO_INVALID_ARGUMENT);
        CHECK_OK(maestro_plan_destroy(plan));
    }
    MPI_Comm_free(&comm);
}

static void test_a_plan_that_was_destroyed_is_refused(maestro_method_t method) {
    maestro_plan_t *plan = plan_of(MPI_Comm_c2f(MPI_COMM_WORLD), method), *copy = plan;
    char *text = NULL;
    CHECK_OK(run(plan));
    CHECK_OK(maestro_plan_destroy(plan));
    CHECK_STATUS(run(copy), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("has been destroyed");
    CHECK_STATUS(maestro_plan_wait(copy, 1), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_plan_test(copy), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_plan_explain(copy, &text), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_plan_destroy(copy), MAESTRO_INVALID_ARGUMENT);
}

static void test_every_plan_that_has_ended_is_refused_and_none_that_lives(void) {
    enum { PLANS = 1000, LIVING = 100 };
    static maestro_plan_t *plan[PLANS], *living[LIVING];
    static double memory[64];
    maestro_layout_t *line = NULL;
    CHECK_OK(maestro_layout_blocks(1, (int64_t[]){4}, (int64_t[]){1}, NULL, &line));
    for (int i = 0; i < PLANS; i++) {
        CHECK_OK(maestro_redistribute(line, line, 8, MPI_Comm_c2f(MPI_COMM_SELF), NULL, &plan[i]));
        if (i % (PLANS / LIVING) == 5) living[i / (PLANS / LIVING)] = plan[i];
        else CHECK_OK(maestro_plan_destroy(plan[i]));
    }
    for (int i = 0; i < PLANS; i++) {
        bool lives = false;
        for (int k = 0; k < LIVING; k++) lives = lives || plan[i] == living[k]; /* its memory may be that of an earlier one */
        CHECK_STATUS(maestro_plan_wait(plan[i], 1), lives ? MAESTRO_WRONG_STATE : MAESTRO_INVALID_ARGUMENT);
        CHECK_ERROR_SAYS(lives ? "has not been started" : "has been destroyed");
    }
    CHECK_STATUS(maestro_plan_wait((maestro_plan_t *)(void *)memory, 1), MAESTRO_INVALID_ARGUMENT); /* what never was a plan */
    for (int k = 0; k < LIVING; k++) CHECK_OK(maestro_plan_destroy(living[k]));
    CHECK_STATUS(run(plan[0]), MAESTRO_INVALID_ARGUMENT);
    maestro_layout_destroy(line);
}

/* The duplicate that plans share lives as long as one of them. */
static void test_plans_outlive_the_communicator(void) {
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    maestro_plan_t *a = plan_of(ours, MAESTRO_METHOD_PACKED), *b = plan_of(ours, MAESTRO_METHOD_STAGED);
    MPI_Comm_free(&comm);
    CHECK_OK(run(b));
    CHECK_OK(maestro_plan_destroy(b));
    CHECK_OK(run(a));
    CHECK_OK(maestro_plan_destroy(a));
}

/* Each goes by its own tag. */
static void test_plans_are_waited_for_in_any_order(maestro_method_t method) {
    double source[2][ROOM], target[2][ROOM];
    maestro_plan_t *plan[2];
    for (int p = 0; p < 2; p++) {
        plan[p] = plan_of(MPI_Comm_c2f(MPI_COMM_WORLD), method);
        for (int i = 0; i < 4 * nranks; i++) source[p][i] = 100 * p + rank;
    }
    for (int i = 0; i < 2; i++) {
        int p = rank % 2 ? i : 1 - i;
        CHECK_OK(maestro_plan_start(plan[p], 1, (const void *[]){source[p]}, (void *[]){target[p]}));
    }
    for (int p = 1; p >= 0; p--) CHECK_OK(maestro_plan_wait(plan[p], 60));
    for (int p = 0; p < 2; p++) {
        for (int i = 0; i < 4 * nranks; i++) CHECK(target[p][i] == 100 * p + i / 4); /* two rows of a rank, two columns of it */
        CHECK_OK(maestro_plan_destroy(plan[p]));
    }
}

/* A source in memory that others read where it lies is done when they have read it: ranks that wait for another plan do so too. */
static void test_plans_are_waited_for_in_opposite_orders(maestro_method_t method) {
    enum { SIDE = 512 };
    MPI_Comm comm;
    maestro_comm_t ours = own_world(&comm);
    const size_t count = (size_t)SIDE * (size_t)nranks * SIDE;
    void *source[2], *target = calloc(2 * count, sizeof(double));
    maestro_plan_t *plan[2];
    maestro_plan_options_t options;
    maestro_plan_options_init(&options);
    options.method = method;
    for (int p = 0; p < 2; p++) {
        CHECK_OK(maestro_alloc(count * sizeof(double), &source[p]));
        CHECK_OK(make(ours, SIDE * nranks, &options, &plan[p]));
    }
    for (int p = 0; p < 2; p++) CHECK_OK(maestro_plan_start(plan[p], 1, (const void *[]){source[p]}, (void *[]){(double *)target + (size_t)p * count}));
    for (int p = 0; p < 2; p++) CHECK_OK(maestro_plan_wait(plan[(p + rank) % 2], 20));
    for (int p = 0; p < 2; p++) {
        CHECK_OK(maestro_plan_destroy(plan[p]));
        CHECK_OK(maestro_dealloc(source[p]));
    }
    free(target);
    MPI_Comm_free(&comm);
}

/* What is left over when MPI has ended: local errors, and memory is given back. */
static maestro_plan_t *left[2];

static void leave_plans(void) {
    for (int p = 0; p < 2; p++) left[p] = plan_of(MPI_Comm_c2f(MPI_COMM_WORLD), p ? MAESTRO_METHOD_DATATYPES : MAESTRO_METHOD_PACKED);
}

static void test_after_the_end_of_mpi_plans_are_refused_and_destroyed(void) {
    for (int p = 0; p < 2; p++) {
        CHECK_STATUS(run(left[p]), MAESTRO_WRONG_STATE);
        CHECK_ERROR_SAYS("finalised");
        CHECK_OK(maestro_plan_destroy(left[p]));
    }
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    test_ranks_that_make_plans_in_another_order_are_told();
    test_a_halo_where_others_redistribute_is_refused();
    test_fields_that_differ_are_refused_by_all();
    test_a_plan_after_a_call_of_another_kind_moves_messages();
    test_a_rank_that_makes_no_plan_is_waited_for_only_so_long();
    test_a_rank_that_does_not_make_the_first_plan_is_waited_for_only_so_long();
    test_letters_that_nobody_reads_are_given_up();
    test_a_number_that_a_rank_does_not_give_is_waited_for_only_so_long(false);
    test_a_number_that_a_rank_does_not_give_is_waited_for_only_so_long(true);
    test_letters_come_sorted_and_one_that_is_too_large_is_refused();
    test_plans_outlive_the_communicator();
    test_every_plan_that_has_ended_is_refused_and_none_that_lives();
    for (int method = MAESTRO_METHOD_PACKED; method <= MAESTRO_METHOD_BUFFERED; method++) {
        test_a_rank_that_does_not_use_a_plan_is_waited_for_only_so_long(method);
        test_a_rank_that_has_destroyed_the_plan_is_noticed(method);
        test_a_plan_that_was_destroyed_is_refused(method);
        test_plans_are_waited_for_in_any_order(method);
        test_plans_are_waited_for_in_opposite_orders(method);
    }
    leave_plans();
    leave_a_first_plan_unmade();
    maestro_plan_t *plan = plan_of(MPI_Comm_c2f(MPI_COMM_WORLD), MAESTRO_METHOD_PACKED);
    if (rank) CHECK_OK(maestro_plan_destroy(plan)); /* that of rank 0 is left open */
    double begun_s = now_s();
    MPI_Finalize();
    CHECK(now_s() - begun_s < BOUND_S);
    test_after_the_end_of_mpi_plans_are_refused_and_destroyed();
    return TEST_END;
}
