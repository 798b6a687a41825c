/* Lists by rank: ranks that are named in any order, once or often, have one item each; shares come sorted, those of others begin with the next rank. */
#include "mpi/scenario_test.h"

#include <time.h>

enum { RANKS = 200, MANY = 200000, LIMIT_MS = 1000 /* it took 3,000 where items moved for each new one */ };

static double processor_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

/* Some ranks of RANKS, some of them several times, each time with one more move of one element. */
static void check_random(uint64_t seed) {
    random_array_t random = {.state = seed};
    mst_mpi_shares_t shares = {0};
    mst_mpi_mail_t mail = {0};
    int64_t named[RANKS] = {0}, nranks = 0, own = random_below(&random, RANKS);
    for (int64_t n = random_below(&random, 2 * RANKS), among = 1 + random_below(&random, RANKS); n > 0; n--) {
        int rank = (int)random_below(&random, among);
        nranks += !named[rank]++;
        CHECK_OK(mst_array_moves_add(mst_mpi_shares_with(&shares, rank), &(mst_array_move_t){.count = 1}));
        mst_base_buffer_append(mst_mpi_mail_to(&mail, rank), "x", 1);
    }
    CHECK(shares.nshares == nranks && mail.nletters == nranks);
    for (int64_t i = 0; i < mail.nletters; i++) CHECK((int64_t)mail.letter[i].content.nbytes == named[mail.letter[i].rank]);
    mst_mpi_shares_sort(&shares);
    for (int64_t i = 0; i < shares.nshares; i++) {
        CHECK(shares.share[i].moves.count == named[shares.share[i].rank]);
        CHECK(i == 0 || shares.share[i].rank > shares.share[i - 1].rank);
    }
    mst_mpi_others_t others = mst_mpi_shares_of_others(&shares, (int)own);
    for (int64_t i = 1; i < RANKS; i++) {
        int64_t rank = (own + i) % RANKS;
        if (named[rank]) CHECK(mst_mpi_others_next(&others)->rank == rank);
    }
    CHECK(!mst_mpi_others_next(&others));
    mst_mpi_shares_fini(&shares);
    mst_mpi_mail_fini(&mail);
}

static void test_ranks_in_any_order_have_one_item_each(void) {
    for (uint64_t seed = 0; seed < 300; seed++) check_random(seed);
}

static void test_time_goes_with_the_number_of_ranks(void) {
    static int64_t rank[MANY];
    random_array_t random = {.state = 1};
    mst_mpi_shares_t shares = {0};
    for (int64_t i = 0; i < MANY; i++) rank[i] = i;
    scenario_shuffle(&random, rank, MANY);
    double begun_ms = processor_ms();
    for (int64_t i = 0; i < MANY; i++) CHECK(mst_mpi_shares_with(&shares, (int)rank[i]) != NULL);
    mst_mpi_shares_sort(&shares);
    CHECK(processor_ms() - begun_ms < LIMIT_MS);
    for (int64_t i = 0; i < MANY; i++) CHECK(shares.share[i].rank == i);
    mst_mpi_shares_fini(&shares);
}

int main(void) {
    test_ranks_in_any_order_have_one_item_each();
    test_time_goes_with_the_number_of_ranks();
    return TEST_END;
}
