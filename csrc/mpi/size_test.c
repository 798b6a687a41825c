/* What a plan of one of 100,000 ranks takes, computed without the others: 46,340 x 46,340 doubles, by messages.  Prints bytes and milliseconds. */
#include "mpi/scenario_test.h"

#include "mpi/plan.h"

#include <malloc.h>
#include <time.h>

static const int64_t N = 46340;
enum { RANKS = 100000, RANK = 12345, LIMIT_NBYTES = 10000000, MAKING_NBYTES = 14000000, KEPT_NBYTES = 1 << 16 /* by malloc for the next */ };

static int64_t allocated(void) {
    struct mallinfo2 info = mallinfo2();
    return (int64_t)(info.uordblks + info.hblkhd);
}

static double processor_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static maestro_layout_t *cut(int64_t block, int64_t rows, int64_t columns) { /* block 0: balanced */
    maestro_layout_t *layout = NULL;
    const int64_t shape[] = {N, N}, grid[] = {rows, columns}, blocks[] = {block, block};
    if (block) CHECK_OK(maestro_layout_block_cyclic(2, shape, blocks, grid, NULL, &layout));
    else CHECK_OK(maestro_layout_blocks(2, shape, grid, NULL, &layout));
    return layout;
}

/* As match.c does it, where rank i has part i. */
static void find_shares(const maestro_layout_t *from, const maestro_layout_t *to, bool sent, mst_mpi_shares_t *shares) {
    int64_t *part = NULL, nparts = 0;
    CHECK_OK(mst_array_peers(sent ? from : to, RANK, sent ? to : from, &part, &nparts));
    for (int64_t i = 0; i < nparts; i++) {
        if (!sent && part[i] == RANK) continue;
        mst_array_moves_t *moves = mst_mpi_shares_with(shares, (int)part[i]);
        CHECK_OK(mst_array_intersect(from, sent ? RANK : part[i], to, sent ? part[i] : RANK, moves));
    }
    mst_mpi_shares_sort(shares);
    free(part);
}

static void check_plan(bool prints, const char *name, maestro_layout_t *from, maestro_layout_t *to) {
    int64_t before = allocated();
    double begun_ms = processor_ms();
    mst_mpi_shares_t sends = {0}, receives = {0};
    maestro_plan_t plan = {.comm = {.rank = RANK, .nranks = RANKS}, .method = &mst_mpi_packed};
    find_shares(from, to, true, &sends);
    find_shares(from, to, false, &receives);
    CHECK_OK(mst_mpi_fields_init(1, MAESTRO_F64, NULL, &plan.fields));
    CHECK_OK(mst_mpi_plan_fill(&plan, &sends, &receives));
    CHECK_OK(plan.method->create(&plan, &sends, &receives, &plan.state));
    int64_t most = allocated() - before, nmessages = sends.nshares + receives.nshares;
    mst_mpi_shares_fini(&sends);
    mst_mpi_shares_fini(&receives);
    double ms = processor_ms() - begun_ms;
    int64_t nbytes = allocated() - before;
    if (prints) printf("%-24s %6lld messages  %9lld bytes, while it is made %9lld  %7.3f ms\n", name, (long long)nmessages, (long long)nbytes, (long long)most, ms);
    plan.method->destroy(plan.state);
    mst_mpi_copies_end(&plan.fields, plan.own);
    mst_mpi_fields_fini(&plan.fields);
    free(plan.own), free(plan.traffic), free(plan.from), free(plan.to);
    CHECK(allocated() < before + KEPT_NBYTES);
    CHECK(nbytes <= LIMIT_NBYTES && most <= MAKING_NBYTES);
    maestro_layout_destroy(from);
    maestro_layout_destroy(to);
}

static void test_a_plan_of_100000_ranks_is_small(bool prints) {
    check_plan(prints, "rows to columns", cut(0, RANKS, 1), cut(0, 1, RANKS));
    check_plan(prints, "blocks to blocks", cut(0, 400, 250), cut(0, 250, 400));
    check_plan(prints, "blocks to cyclic 64", cut(0, 400, 250), cut(64, 250, 400));
    check_plan(prints, "cyclic 64 to cyclic 64", cut(64, 250, 400), cut(64, 400, 250));
    check_plan(prints, "blocks to cyclic 1", cut(0, 400, 250), cut(1, 250, 400));
}

int main(int argc, char **argv) {
    int rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    test_a_plan_of_100000_ranks_is_small(rank == 0);
    MPI_Finalize();
    return TEST_END;
}
