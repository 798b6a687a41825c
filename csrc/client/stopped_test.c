/* What a client does while its manager is stopped: calls end in time with their own error, closing harms no thread inside, blocks that come back late
 * are still found; how a sleeping one is woken; and what refusals and texts of handles say when they are asked again. */
#include "base/base.h"
#include "client/client.h"
#include "client/session_test.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

/* ---- Closing while other threads are inside. */

typedef struct worker {
    maestro_session_t *session;
    maestro_subscription_t *subscription;
    maestro_cdo_t *cdo;
    maestro_status_t status;
    pthread_t thread;
} worker_t;

static void *close_it(void *argument) {
    worker_t *worker = argument;
    worker->status = maestro_session_close(worker->session);
    return NULL;
}

static void *dispose_subscription(void *argument) {
    worker_t *worker = argument;
    worker->status = maestro_subscription_dispose(worker->subscription);
    return NULL;
}

static void test_close_while_a_subscription_is_being_disposed(pid_t manager) {
    worker_t worker = {.session = open_session("disposer", 0.1)};
    CHECK_OK(maestro_subscribe(worker.session, NULL, NULL, &worker.subscription));
    kill(manager, SIGSTOP);
    CHECK(pthread_create(&worker.thread, NULL, dispose_subscription, &worker) == 0);
    usleep(100000);
    CHECK_STATUS(maestro_session_close(worker.session), MAESTRO_TIMEOUT);
    int64_t closed = mst_base_now_ns();
    pthread_join(worker.thread, NULL);
    CHECK(mst_base_now_ns() - closed < 1000000000);
    CHECK_OK(worker.status);
    kill(manager, SIGCONT);
}

static void test_two_threads_close_at_once(pid_t manager) {
    worker_t first = {.session = open_session("twice", 0.1)}, second = first;
    kill(manager, SIGSTOP);
    CHECK(pthread_create(&first.thread, NULL, close_it, &first) == 0);
    usleep(100000);
    CHECK(pthread_create(&second.thread, NULL, close_it, &second) == 0);
    pthread_join(first.thread, NULL);
    pthread_join(second.thread, NULL);
    kill(manager, SIGCONT);
    CHECK(first.status == MAESTRO_TIMEOUT);
    CHECK(second.status == MAESTRO_CLOSED);
}

/* ---- Errors. */

enum { ROOM_MAX = 20000 };

/* Demands with an empty selector are as long as their cancellation, which has no room when they have filled the ring. */
static int fill(maestro_session_t *session, maestro_request_t **request, int limit) {
    int count = 0;
    while (count < limit && maestro_demand_start(session, "", 0, &request[count]) == MAESTRO_OK) count++;
    return count;
}

static void test_cancelling_keeps_the_error_of_the_call(pid_t manager) {
    static maestro_request_t *request[2][ROOM_MAX];
    maestro_session_t *session[2] = {open_session("measure", 5), open_session("full", 5)};
    maestro_cdo_t *cdo = NULL;
    kill(manager, SIGSTOP);
    int room = fill(session[0], request[0], ROOM_MAX);
    CHECK(room > 1 && room < ROOM_MAX);
    CHECK(fill(session[1], request[1], room - 1) == room - 1);
    CHECK_STATUS(maestro_demand(session[1], "", 0, &cdo), MAESTRO_TIMEOUT);
    CHECK_ERROR_SAYS("demand: the pool manager did not answer");
    kill(manager, SIGCONT);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < room - i; j++) CHECK_OK(maestro_request_dispose(request[i][j]));
        CHECK_OK(maestro_session_close(session[i]));
    }
}

enum { REFUSED = 1500 }; /* more than are kept */

static void test_a_refusal_that_is_asked_twice_counts_once(maestro_session_t *session) {
    static maestro_cdo_t *again[REFUSED];
    maestro_cdo_t *first = declare(session, "t", 1);
    char expected[64];
    CHECK_OK(maestro_cdo_offer(first));
    for (int i = 0; i < REFUSED; i++) CHECK_OK(maestro_cdo_offer(again[i] = declare(session, "t", 1)));
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(maestro_cdo_wait(again[0], 5), MAESTRO_DUPLICATE);
        CHECK_STATUS(maestro_cdo_wait(again[REFUSED - 1], 5), MAESTRO_DUPLICATE);
    }
    CHECK_STATUS(maestro_session_flush(session, 5), MAESTRO_DUPLICATE);
    snprintf(expected, sizeof expected, "%d offers were refused", REFUSED - 2);
    CHECK_ERROR_SAYS(expected);
    for (int i = 1; i < REFUSED - 1; i++) CHECK_OK(maestro_cdo_dispose(again[i]));
    for (int i = 1; i < REFUSED - 1; i++) CHECK_OK(maestro_cdo_offer(again[i] = declare(session, "t", 1)));
    CHECK_STATUS(maestro_cdo_wait(again[1], 5), MAESTRO_DUPLICATE);
    CHECK_STATUS(maestro_cdo_wait(again[REFUSED - 1], 5), MAESTRO_DUPLICATE); /* of the round before, told then */
    CHECK_STATUS(maestro_session_flush(session, 5), MAESTRO_DUPLICATE);
    snprintf(expected, sizeof expected, "%d offers were refused", REFUSED - 3);
    CHECK_ERROR_SAYS(expected);
    for (int i = 0; i < REFUSED; i++) CHECK_OK(maestro_cdo_dispose(again[i]));
    CHECK_OK(maestro_cdo_withdraw(first, MAESTRO_WHEN_RELEASED, 5));
    CHECK_OK(maestro_cdo_dispose(first));
}

/* ---- Memory that comes back when time is over. */

enum { BLOCKS = 64 };

static void *alloc_more(void *argument) {
    worker_t *worker = argument;
    void *bytes = NULL;
    worker->status = maestro_cdo_alloc(worker->cdo, 1 << 20, MAESTRO_TIER_DEFAULT, &bytes);
    return NULL;
}

static void test_alloc_takes_a_block_that_came_back_with_the_refusal(maestro_session_t *reader, pid_t manager) {
    maestro_session_t *session = open_session("tight", 0.3);
    maestro_cdo_t *cdo[BLOCKS], *lease = NULL;
    void *bytes;
    int count = 0;
    for (; count < BLOCKS; count++) {
        cdo[count] = declare(session, "t", 100 + count);
        if (maestro_cdo_alloc(cdo[count], 1 << 20, MAESTRO_TIER_DEFAULT, &bytes) != MAESTRO_OK) break;
        CHECK_OK(maestro_cdo_offer(cdo[count]));
    }
    CHECK(count > 2 && count < BLOCKS);
    CHECK_OK(maestro_demand(reader, "step = 101", 5, &lease));
    CHECK_STATUS(maestro_cdo_withdraw(cdo[1], MAESTRO_WHEN_RELEASED, 0.05), MAESTRO_TIMEOUT);
    CHECK_OK(maestro_cdo_dispose(cdo[1]));
    cdo[1] = NULL;
    kill(manager, SIGSTOP);
    worker_t worker = {.session = session, .cdo = cdo[count]};
    CHECK(pthread_create(&worker.thread, NULL, alloc_more, &worker) == 0);
    usleep(500000); /* the request's time is over before the manager sees it */
    CHECK_OK(maestro_cdo_dispose(lease));
    kill(manager, SIGCONT);
    pthread_join(worker.thread, NULL);
    CHECK_OK(worker.status);
    for (int i = 0; i < count; i++) {
        if (cdo[i]) CHECK_OK(maestro_cdo_withdraw(cdo[i], MAESTRO_WHEN_RELEASED, 5));
        CHECK_OK(maestro_cdo_dispose(cdo[i]));
    }
    CHECK_OK(maestro_cdo_dispose(cdo[count]));
    CHECK_OK(maestro_session_close(session));
}

/* ---- Waking a manager that sleeps. */

static uint32_t sleep_of(const maestro_session_t *session) { return atomic_load(&session->board->sleeping); }

static uint32_t wait_for_another_sleep(const maestro_session_t *session, uint32_t than) {
    for (int i = 0; i < 5000 && (!sleep_of(session) || sleep_of(session) == than); i++) usleep(1000);
    CHECK(sleep_of(session) && sleep_of(session) != than);
    return sleep_of(session);
}

/* How often the doorbell was rung since it was looked at last, which the manager never does. */
static uint64_t rings(const maestro_session_t *session) {
    struct pollfd bell = {.fd = session->wake_manager, .events = POLLIN};
    uint64_t count = 0;
    if (poll(&bell, 1, 0) == 1) CHECK(read(session->wake_manager, &count, sizeof count) == sizeof count);
    return count;
}

/* Stops it in a sleep other than the last one; it may just have been about to leave one. */
static uint32_t stop_in_its_sleep(const maestro_session_t *session, pid_t manager, uint32_t last) {
    for (int i = 0; i < 20; i++) {
        uint32_t asleep = wait_for_another_sleep(session, last);
        kill(manager, SIGSTOP);
        usleep(20000);
        if (sleep_of(session) == asleep) {
            rings(session);
            return asleep;
        }
        kill(manager, SIGCONT);
    }
    CHECK(!"the manager sleeps");
    return 0;
}

static void test_a_sleeping_manager_is_woken_once_in_a_sleep(maestro_session_t *session, pid_t manager) {
    uint32_t asleep = wait_for_another_sleep(session, 0);
    maestro_session_wake(NULL);
    maestro_session_wake(session);
    for (int64_t step = 1; step <= 3; step++) {
        asleep = stop_in_its_sleep(session, manager, asleep);
        if (step < 3) maestro_session_wake(session);
        maestro_cdo_t *cdo = declare(session, "wake", step);
        CHECK_OK(maestro_cdo_offer(cdo));
        CHECK(rings(session) == 1);
        kill(manager, SIGCONT);
        CHECK_OK(maestro_session_flush(session, 5));
        CHECK_OK(maestro_cdo_dispose(cdo));
    }
}

/* ---- Texts of a handle. */

static void test_a_text_stays_until_the_next_set(maestro_session_t *session) {
    char name[1001];
    const char *first = NULL, *later = NULL;
    maestro_cdo_t *cdo = declare(session, "t", 2);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    CHECK_OK(maestro_cdo_set_str(cdo, "maestro.name", name));
    CHECK_OK(maestro_cdo_get_str(cdo, "maestro.name", &first));
    for (int i = 0; i < 200; i++) {
        CHECK_OK(maestro_cdo_get_str(cdo, "maestro.name", &later));
        CHECK(later == first);
    }
    CHECK(first && strcmp(first, name) == 0);
    CHECK_OK(maestro_cdo_set_str(cdo, "maestro.name", "another one"));
    CHECK_OK(maestro_cdo_get_str(cdo, "maestro.name", &later));
    CHECK(later && strcmp(later, "another one") == 0);
    CHECK_OK(maestro_cdo_dispose(cdo));
    cdo = declare(session, "t", 2); /* the same handle */
    CHECK_OK(maestro_cdo_set_str(cdo, "maestro.name", "a third one"));
    CHECK_OK(maestro_cdo_get_str(cdo, "maestro.name", &later));
    CHECK(later && strcmp(later, "a third one") == 0);
    CHECK_OK(maestro_cdo_dispose(cdo));
}

int main(int argc, char **argv) {
    char directory[] = "/tmp/maestro-test-XXXXXX";
    make_place(directory);
    setenv("MAESTRO_POOL_MEMORY", "16MiB", 1);
    const char *only = argc > 1 ? argv[1] : "";
    maestro_session_t *producer = open_session("producer", 10), *reader = open_session("reader", 10);
    pid_t manager = manager_of(reader);
    if (!*only || *only == 't') test_a_text_stays_until_the_next_set(producer);
    if (!*only || *only == 'w') test_a_sleeping_manager_is_woken_once_in_a_sleep(producer, manager);
    if (!*only || *only == 'r') test_a_refusal_that_is_asked_twice_counts_once(producer);
    if (!*only || *only == 'm') test_alloc_takes_a_block_that_came_back_with_the_refusal(reader, manager);
    if (!*only || *only == 'e') test_cancelling_keeps_the_error_of_the_call(manager);
    if (!*only || *only == '2') test_two_threads_close_at_once(manager);
    if (!*only || *only == 'd') test_close_while_a_subscription_is_being_disposed(manager);
    CHECK_OK(maestro_session_close(reader));
    CHECK_OK(maestro_session_close(producer));
    remove_place(directory);
    return TEST_END;
}
