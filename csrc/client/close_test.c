/* The end of a session: threads that wait in it, forked children that hold its descriptors, handles that outlive it or are used again. */
#include "base/base.h"
#include "client/session_test.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Threads that wait while another one closes. */

typedef struct waiter {
    maestro_session_t *session;
    maestro_subscription_t *subscription;
    maestro_status_t status;
    pthread_t thread;
} waiter_t;

static void *wait_in_demand(void *argument) {
    waiter_t *waiter = argument;
    maestro_cdo_t *cdo = NULL;
    waiter->status = maestro_demand(waiter->session, "step = 77", 20, &cdo);
    return NULL;
}

static void *wait_in_next(void *argument) {
    waiter_t *waiter = argument;
    maestro_event_t event;
    waiter->status = maestro_subscription_next(waiter->subscription, 20, &event);
    return NULL;
}

static void *wait_in_alloc(void *argument) { /* the pool has 16 MiB */
    waiter_t *waiter = argument;
    maestro_cdo_t *cdo[20] = {NULL};
    void *bytes;
    waiter->status = MAESTRO_OK;
    for (size_t i = 0; i < MST_COUNT(cdo) && waiter->status == MAESTRO_OK; i++) {
        waiter->status = maestro_cdo_declare(waiter->session, NULL, &cdo[i]);
        if (waiter->status == MAESTRO_OK) waiter->status = maestro_cdo_alloc(cdo[i], 2 << 20, MAESTRO_TIER_DEFAULT, &bytes);
    }
    for (size_t i = 0; i < MST_COUNT(cdo); i++) maestro_cdo_dispose(cdo[i]);
    return NULL;
}

static void test_threads_that_wait_return_when_another_one_closes(void) {
    void *(*const waits[])(void *) = {wait_in_demand, wait_in_next, wait_in_alloc, wait_in_demand, wait_in_alloc};
    waiter_t waiter[MST_COUNT(waits)];
    maestro_subscription_t *subscription = NULL;
    maestro_session_t *session = open_session("waiter", 20);
    CHECK_OK(maestro_subscribe(session, "step = 78", NULL, &subscription));
    for (size_t i = 0; i < MST_COUNT(waits); i++) {
        waiter[i] = (waiter_t){.session = session, .subscription = subscription};
        CHECK(pthread_create(&waiter[i].thread, NULL, waits[i], &waiter[i]) == 0);
    }
    usleep(300000);
    int64_t closed = mst_base_now_ns();
    CHECK_OK(maestro_session_close(session));
    for (size_t i = 0; i < MST_COUNT(waits); i++) {
        pthread_join(waiter[i].thread, NULL);
        CHECK(waiter[i].status == MAESTRO_CLOSED);
    }
    CHECK(mst_base_now_ns() - closed < 1000000000);
    CHECK_OK(maestro_subscription_dispose(subscription));
}

/* ---- A forked child that lives on. */

static int sessions_in_pool(maestro_session_t *observer) {
    char *json = NULL;
    int count = 0;
    CHECK_OK(maestro_session_stats(observer, 5, &json));
    for (const char *at = json; (at = strstr(at, "\"component\":")); at++) count++;
    maestro_free(json);
    return count;
}

static void test_close_counts_though_a_forked_child_lives(maestro_session_t *observer) {
    maestro_session_t *session = open_session("parent", 5);
    int before = sessions_in_pool(observer);
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    CHECK_OK(maestro_session_close(session));
    for (int i = 0; i < 100 && sessions_in_pool(observer) == before; i++) usleep(10000);
    CHECK(sessions_in_pool(observer) == before - 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* ---- Handles. */

static void test_bytes_of_a_closed_session_are_not_read(maestro_session_t *observer) {
    const void *bytes;
    size_t nbytes;
    maestro_cdo_t *cdo = declare(observer, "t", 3), *lease = NULL;
    CHECK_OK(maestro_cdo_wrap(cdo, "bytes", 5));
    CHECK_OK(maestro_cdo_offer(cdo));
    maestro_session_t *session = open_session("reader", 5);
    CHECK_OK(maestro_demand(session, "step = 3", 5, &lease));
    CHECK_OK(maestro_cdo_data(lease, &bytes, &nbytes));
    CHECK_OK(maestro_session_close(session));
    CHECK(maestro_cdo_data(lease, &bytes, &nbytes) == MAESTRO_CLOSED); /* the lease has ended: the writer may use the memory again */
    CHECK_OK(maestro_cdo_dispose(lease));
    CHECK_OK(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, 5));
    CHECK_OK(maestro_cdo_dispose(cdo));
}

static void test_request_of_a_disposed_object_says_nothing_of_the_next_one(maestro_session_t *session) {
    maestro_request_t *request = NULL;
    maestro_cdo_t *first = declare(session, "t", 1);
    CHECK_OK(maestro_cdo_offer(first));
    CHECK_OK(maestro_cdo_withdraw_start(first, MAESTRO_WHEN_RELEASED, 5, &request));
    CHECK_OK(maestro_cdo_dispose(first));
    maestro_cdo_t *second = declare(session, "t", 2);
    CHECK_OK(maestro_cdo_offer(second));
    CHECK_OK(maestro_request_wait(request, 5));
    CHECK_OK(maestro_request_dispose(request));
    CHECK_OK(maestro_cdo_withdraw(second, MAESTRO_WHEN_RELEASED, 5));
    CHECK_OK(maestro_cdo_dispose(second));
}

static void test_withdraw_by_the_sessions_timeout_times_out(maestro_session_t *reader) {
    maestro_session_t *session = open_session("hasty", 0.2);
    maestro_cdo_t *cdo = declare(session, "t", 3), *lease = NULL;
    CHECK_OK(maestro_cdo_offer(cdo));
    CHECK_OK(maestro_demand(reader, "step = 3", 5, &lease));
    CHECK_STATUS(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, -1), MAESTRO_TIMEOUT);
    CHECK_OK(maestro_cdo_dispose(lease));
    CHECK_OK(maestro_cdo_dispose(cdo));
    CHECK_OK(maestro_session_close(session));
}

enum { REFUSED = 1500 };

static void test_more_refusals_than_are_kept_can_be_told_one_by_one(maestro_session_t *session) {
    static maestro_cdo_t *again[REFUSED];
    maestro_cdo_t *first = declare(session, "t", 4);
    CHECK_OK(maestro_cdo_offer(first));
    for (int i = 0; i < REFUSED; i++) CHECK_OK(maestro_cdo_offer(again[i] = declare(session, "t", 4)));
    for (int i = 0; i < REFUSED; i++) {
        CHECK_STATUS(maestro_cdo_wait(again[i], 5), MAESTRO_DUPLICATE);
        CHECK_OK(maestro_cdo_dispose(again[i]));
    }
    CHECK_OK(maestro_session_flush(session, 5));
    CHECK_OK(maestro_cdo_withdraw(first, MAESTRO_WHEN_RELEASED, 5));
    CHECK_OK(maestro_cdo_dispose(first));
}

static void test_descriptor_of_a_drained_subscription_is_not_readable(maestro_session_t *producer, maestro_session_t *reader) {
    maestro_subscription_t *subscription = NULL;
    maestro_event_t event;
    CHECK_OK(maestro_subscribe(reader, "step = 5", NULL, &subscription));
    struct pollfd fd = {.fd = maestro_subscription_fd(subscription), .events = POLLIN};
    for (int round = 0; round < 3; round++) {
        CHECK_STATUS(maestro_subscription_next(subscription, 0, &event), MAESTRO_TIMEOUT);
        CHECK(poll(&fd, 1, 0) == 0);
        maestro_cdo_t *cdo = declare(producer, "t", 5);
        CHECK_OK(maestro_cdo_offer(cdo));
        CHECK(poll(&fd, 1, 5000) == 1);
        CHECK_OK(maestro_subscription_next(subscription, 0, &event));
        CHECK_OK(maestro_cdo_dispose(event.cdo));
        CHECK_OK(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, 5));
        CHECK_OK(maestro_cdo_dispose(cdo));
    }
    CHECK_OK(maestro_subscription_dispose(subscription));
}

static void test_endless_timeout_is_a_long_one(void) {
    maestro_session_t *session = open_session("patient", INFINITY);
    maestro_cdo_t *cdo = declare(session, "t", 6);
    CHECK_OK(maestro_cdo_offer(cdo));
    CHECK_OK(maestro_cdo_wait(cdo, INFINITY));
    CHECK_OK(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, 1e30));
    CHECK_OK(maestro_cdo_dispose(cdo));
    CHECK_OK(maestro_session_close(session));
}

int main(void) {
    char directory[] = "/tmp/maestro-test-XXXXXX";
    make_place(directory);
    setenv("MAESTRO_POOL_MEMORY", "16MiB", 1);
    maestro_session_t *producer = open_session("producer", 10), *reader = open_session("reader", 10);
    test_threads_that_wait_return_when_another_one_closes();
    test_close_counts_though_a_forked_child_lives(reader);
    test_request_of_a_disposed_object_says_nothing_of_the_next_one(producer);
    test_withdraw_by_the_sessions_timeout_times_out(reader);
    test_more_refusals_than_are_kept_can_be_told_one_by_one(producer);
    test_descriptor_of_a_drained_subscription_is_not_readable(producer, reader);
    test_bytes_of_a_closed_session_are_not_read(reader);
    test_endless_timeout_is_a_long_one();
    CHECK_OK(maestro_session_close(reader));
    CHECK_OK(maestro_session_close(producer));
    remove_place(directory);
    return TEST_END;
}
