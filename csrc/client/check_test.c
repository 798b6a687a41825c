/* MAESTRO_CHECK: who writes to an object after its offer is caught, at the write or by the sums. */
#include "base/base.h"
#include "client/session_test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* How a write to this byte ends, in a child, which shares the memory; 0: well. */
static int signal_of_write(volatile char *byte) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *byte = 'x';
        _exit(0);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static maestro_cdo_t *filled(maestro_session_t *session, int64_t step, size_t nbytes, char **bytes_out) {
    maestro_cdo_t *cdo = declare(session, "t", step);
    void *bytes = NULL;
    CHECK_OK(maestro_cdo_alloc(cdo, nbytes, MAESTRO_TIER_DEFAULT, &bytes));
    memset(bytes, 'a', nbytes);
    *bytes_out = bytes;
    return cdo;
}

static void test_writes_after_the_offer_fault_until_the_block_is_back(void) {
    static const size_t sizes[] = {1, 100, PAGE, PAGE + 1, 5 * PAGE - 64, 1 << 20};
    maestro_session_t *session = open_session("pages", 10);
    maestro_cdo_t *cdo[MST_COUNT(sizes)], *open[MST_COUNT(sizes)];
    char *bytes[MST_COUNT(sizes)], *open_bytes[MST_COUNT(sizes)];
    for (size_t i = 0; i < MST_COUNT(sizes); i++) {
        cdo[i] = filled(session, (int64_t)i, sizes[i], &bytes[i]);
        open[i] = filled(session, (int64_t)(100 + i), sizes[i], &open_bytes[i]);
        CHECK(signal_of_write(bytes[i]) == 0);
    }
    for (size_t i = 0; i < MST_COUNT(sizes); i++) CHECK_OK(maestro_cdo_offer(cdo[i]));
    for (size_t i = 0; i < MST_COUNT(sizes); i++) {
        CHECK(signal_of_write(bytes[i]) == SIGSEGV && signal_of_write(bytes[i] + sizes[i] - 1) == SIGSEGV);
        CHECK(signal_of_write(open_bytes[i]) == 0 && signal_of_write(open_bytes[i] + sizes[i] - 1) == 0); /* neighbours that are not offered */
        CHECK(bytes[i][sizes[i] / 2] == (sizes[i] == 1 ? 'x' : 'a'));
        CHECK_OK(maestro_cdo_withdraw(cdo[i], MAESTRO_WHEN_RELEASED, 5));
        CHECK_OK(maestro_cdo_dispose(cdo[i]));
        CHECK_OK(maestro_cdo_dispose(open[i]));
    }
    for (size_t i = 0; i < MST_COUNT(sizes); i++) { /* the blocks are used again */
        cdo[i] = filled(session, (int64_t)i, sizes[i], &bytes[i]);
        CHECK_OK(maestro_cdo_dispose(cdo[i]));
    }
    CHECK_OK(maestro_session_close(session));
}

static void test_refused_objects_can_be_written_to(void) {
    maestro_session_t *session = open_session("pages", 10);
    char *bytes, *again_bytes;
    maestro_cdo_t *cdo = filled(session, 1, 100, &bytes), *again = filled(session, 1, 100, &again_bytes);
    CHECK_OK(maestro_cdo_offer(cdo));
    CHECK_OK(maestro_cdo_offer(again));
    CHECK_STATUS(maestro_cdo_wait(again, 5), MAESTRO_DUPLICATE);
    CHECK_OK(maestro_cdo_dispose(again));
    again = filled(session, 2, 100, &again_bytes);
    CHECK(signal_of_write(again_bytes) == 0 && signal_of_write(bytes) == SIGSEGV);
    CHECK_OK(maestro_cdo_dispose(again));
    CHECK_OK(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, 5));
    CHECK_OK(maestro_cdo_dispose(cdo));
    CHECK_OK(maestro_session_close(session));
}

static void test_sums_tell_the_producer_and_the_consumer(void) {
    maestro_session_t *producer = open_session("culprit", 10), *consumer = open_session("reader", 10);
    char *bytes;
    const void *read;
    size_t nbytes;
    maestro_cdo_t *good = filled(producer, 1, 1000, &bytes), *bad = filled(producer, 2, 1000, &bytes), *leased = NULL;
    CHECK_OK(maestro_cdo_offer(good));
    CHECK_OK(maestro_cdo_offer(bad));
    CHECK_OK(maestro_demand(consumer, "step = 1", 5, &leased));
    CHECK_OK(maestro_cdo_data(leased, &read, &nbytes));
    CHECK_OK(maestro_cdo_dispose(leased));
    bytes[500] = 'b';
    CHECK_OK(maestro_demand(consumer, "step = 2", 5, &leased));
    CHECK_STATUS(maestro_cdo_data(leased, &read, &nbytes), MAESTRO_CORRUPT);
    CHECK_ERROR_SAYS("data expver=0001 param=t step=2");
    CHECK_ERROR_SAYS("component culprit rank 0 offered");
    CHECK_OK(maestro_cdo_dispose(leased));
    CHECK_STATUS(maestro_cdo_withdraw(bad, MAESTRO_WHEN_RELEASED, 5), MAESTRO_CORRUPT);
    CHECK_ERROR_SAYS("withdraw expver=0001 param=t step=2");
    CHECK_STATUS(maestro_cdo_dispose(bad), MAESTRO_CORRUPT);
    CHECK_OK(maestro_cdo_withdraw(good, MAESTRO_WHEN_RELEASED, 5));
    CHECK_OK(maestro_cdo_dispose(good));
    CHECK_OK(maestro_session_close(consumer));
    CHECK_OK(maestro_session_close(producer));
}

static void test_an_unknown_mode_is_refused(void) {
    maestro_session_t *session = NULL;
    CHECK_STATUS(maestro_session_open(NULL, &session), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("MAESTRO_CHECK is \"page\"; write pages, sums or pages,sums");
}

int main(void) {
    char directory[] = "/tmp/maestro-test-XXXXXX";
    make_place(directory);
    setenv("MAESTRO_CHECK", "pages", 1);
    test_writes_after_the_offer_fault_until_the_block_is_back();
    test_refused_objects_can_be_written_to();
    setenv("MAESTRO_CHECK", "sums", 1);
    test_sums_tell_the_producer_and_the_consumer();
    setenv("MAESTRO_CHECK", "page", 1);
    test_an_unknown_mode_is_refused();
    remove_place(directory);
    return TEST_END;
}
