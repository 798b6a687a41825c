/* Many plans made and destroyed, many uses of one: memory and descriptors stay as they are.  MAESTRO_TEST_SOAK=1 takes 10^4 plans and 10^6 uses, else fewer,
 * and a message of 2.3 GB; more ranks than cores take turns of milliseconds, and have fewer still. */
#include "mpi/scenario_test.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
enum { SLACK = 1 << 28 }; /* it keeps for a while what was freed */
#else
enum { SLACK = 1 << 21 }; /* of allocators, MPI's too */
#endif
enum { SIZE = 16 };

static int rank, nranks;

static int64_t count_descriptors(void) {
    int64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static int64_t resident_nbytes(void) {
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(fscanf(file, "%*d %lld", &pages) == 1);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

typedef struct taken { /* from the system */
    int64_t descriptors, nbytes;
} taken_t;

static taken_t take_stock(void) { return (taken_t){count_descriptors(), resident_nbytes()}; }

static void check_stock(const char *what, taken_t before) {
    taken_t now = take_stock();
    CHECK(now.descriptors == before.descriptors);
    CHECK(now.nbytes < before.nbytes + SLACK);
    if (now.nbytes >= before.nbytes + SLACK) fprintf(stderr, "  %s: %lld bytes more on rank %d\n", what, (long long)(now.nbytes - before.nbytes), rank);
}

static maestro_plan_t *make(maestro_comm_t comm, maestro_method_t method) {
    const int64_t shape[] = {SIZE, SIZE};
    maestro_layout_t *rows = NULL, *columns = NULL;
    maestro_plan_options_t options;
    maestro_plan_t *plan = NULL;
    maestro_plan_options_init(&options);
    options.method = method;
    CHECK_OK(maestro_layout_blocks(2, shape, (int64_t[]){nranks, 1}, NULL, &rows));
    CHECK_OK(maestro_layout_blocks(2, shape, (int64_t[]){1, nranks}, NULL, &columns));
    CHECK_OK(maestro_redistribute(rows, columns, 8, comm, &options, &plan));
    maestro_layout_destroy(rows);
    maestro_layout_destroy(columns);
    return plan;
}

static bool run(maestro_plan_t *plan, const double *source, double *target) {
    return maestro_plan_run(plan, 1, (const void *[]){source}, (void *[]){target}) == MAESTRO_OK;
}

/* Of all methods; now and then on a new communicator. */
static void make_plans(int64_t nplans) {
    static double source[SIZE * SIZE], target[SIZE * SIZE];
    enum { PLANS = 50 };
    MPI_Comm comm = MPI_COMM_NULL;
    for (int64_t i = 0; i < nplans; i++) {
        if (i % PLANS == 0) MPI_Comm_dup(MPI_COMM_WORLD, &comm);
        maestro_plan_t *plan = make(MPI_Comm_c2f(comm), (maestro_method_t)(i % (MAESTRO_METHOD_AUTO_PRIVATE + 1)));
        CHECK(run(plan, source, target));
        CHECK_OK(maestro_plan_destroy(plan));
        if (i % PLANS == PLANS - 1 || i == nplans - 1) MPI_Comm_free(&comm);
    }
}

static void test_plans_leave_nothing_behind(int64_t nplans) {
    enum { FIRST = 60 }; /* at least: on two communicators, and beyond what MPI takes for the first messages between two ranks */
    make_plans(nplans / 5 > FIRST ? nplans / 5 : FIRST);
    taken_t before = take_stock();
    make_plans(nplans);
    check_stock("plans", before);
}

/* Out of arrays that come and go, and into such; not often, since MPICH's UCX keeps 150 bytes of every munmap. */
static void use(maestro_plan_t *plan, int64_t nuses) {
    enum { USES = 1000 };
    void *source = NULL, *target = NULL;
    bool good = true;
    for (int64_t i = 0; i < nuses; i++) {
        if (i % USES == 0) {
            CHECK_OK(maestro_alloc(SIZE * SIZE * sizeof(double), &source));
            CHECK_OK(maestro_alloc(SIZE * SIZE * sizeof(double), &target));
        }
        good = good && run(plan, source, target);
        if (i % USES < USES - 1 && i < nuses - 1) continue;
        CHECK_OK(maestro_dealloc(source));
        CHECK_OK(maestro_dealloc(target));
    }
    CHECK(good);
}

static void test_uses_leave_nothing_behind(maestro_method_t method, int64_t nuses) {
    maestro_plan_t *plan = make(MPI_Comm_c2f(MPI_COMM_WORLD), method);
    use(plan, nuses / 5);
    taken_t before = take_stock();
    use(plan, nuses);
    check_stock("uses", before);
    CHECK_OK(maestro_plan_destroy(plan));
}

/* More than an int can count, in one message; of 5 GB of memory. */
static void test_a_message_may_be_larger_than_2_gib(void) {
    const int64_t size = 2300000003, step = 4096;
    maestro_layout_t *line = scenario_line(size, 1, 0);
    maestro_plan_options_t options;
    maestro_plan_t *plan = NULL;
    unsigned char *bytes = NULL;
    maestro_plan_options_init(&options);
    options.method = MAESTRO_METHOD_PACKED;
    options.from_part = options.to_part = 0;
    CHECK_OK(maestro_redistribute(rank == 0 ? line : NULL, rank == 1 ? line : NULL, 1, MPI_Comm_c2f(MPI_COMM_WORLD), &options, &plan));
    CHECK_OK(maestro_alloc(rank < 2 ? (size_t)size : 1, (void **)&bytes));
    for (int64_t i = 0; i < size && rank == 0; i += step) bytes[i] = (unsigned char)(i / step % 251 + 1);
    CHECK_OK(maestro_plan_run(plan, 1, (const void *[]){bytes}, (void *[]){bytes}));
    bool good = true;
    for (int64_t i = 0; i < size && rank == 1; i += step) good = good && bytes[i] == (unsigned char)(i / step % 251 + 1);
    CHECK(good);
    CHECK_OK(maestro_plan_destroy(plan));
    CHECK_OK(maestro_dealloc(bytes));
    maestro_layout_destroy(line);
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    bool whole = getenv("MAESTRO_TEST_SOAK") != NULL;
    int64_t nplans = whole ? 10000 : nranks > 2 ? 20 : 300, nuses = whole ? 1000000 : nranks > 2 ? 100 : 20000;
    test_plans_leave_nothing_behind(nplans);
    for (int method = MAESTRO_METHOD_PACKED; method <= MAESTRO_METHOD_BUFFERED; method++)
        test_uses_leave_nothing_behind(method, nuses / 4);
    if (whole && nranks > 1) test_a_message_may_be_larger_than_2_gib();
    MPI_Finalize();
    return TEST_END;
}
