/* The straight way through the real manager, by the public interface alone: offer, events, demand, withdraw, limits of what is allowed. */
#include "client/session_test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_component_that_is_no_text_is_refused(void) {
    maestro_session_options_t options;
    maestro_session_t *session = NULL;
    maestro_session_options_init(&options);
    options.component = "w\xff";
    CHECK_STATUS(maestro_session_open(&options, &session), MAESTRO_INVALID_ARGUMENT);
}

static void offer_bytes(maestro_session_t *session, const char *param, int64_t step, const char *text) {
    maestro_cdo_t *cdo = declare(session, param, step);
    void *bytes;
    CHECK_OK(maestro_cdo_alloc(cdo, strlen(text) + 1, MAESTRO_TIER_DEFAULT, &bytes));
    strcpy(bytes, text);
    CHECK_OK(maestro_cdo_offer(cdo));
    CHECK_OK(maestro_cdo_dispose(cdo));
}

static void check_text(const maestro_cdo_t *cdo, const char *expected) {
    const void *bytes = NULL;
    size_t nbytes = 0;
    CHECK_OK(maestro_cdo_data(cdo, &bytes, &nbytes));
    CHECK(nbytes == strlen(expected) + 1 && memcmp(bytes, expected, nbytes) == 0);
}

static void test_demand_finds_what_was_offered(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_cdo_t *cdo = NULL;
    const char *param = NULL;
    int64_t step = 0;
    offer_bytes(producer, "t", 6, "temperature");
    CHECK_OK(maestro_demand(consumer, "param = t and step = 6", 5, &cdo));
    check_text(cdo, "temperature");
    CHECK_OK(maestro_cdo_get_str(cdo, "param", &param));
    CHECK(param && strcmp(param, "t") == 0);
    CHECK_OK(maestro_cdo_get_i64(cdo, "step", &step));
    CHECK(step == 6);
    CHECK_STATUS(maestro_cdo_get_i64(cdo, "number", &step), MAESTRO_NOT_FOUND);
    CHECK_STATUS(maestro_cdo_set_i64(cdo, "step", 7), MAESTRO_WRONG_STATE);
    CHECK_OK(maestro_cdo_dispose(cdo));
    CHECK_STATUS(maestro_cdo_dispose(cdo), MAESTRO_WRONG_STATE);
}

static void test_demand_waits_for_a_later_offer(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_request_t *request = NULL;
    maestro_cdo_t *cdo = NULL;
    CHECK_OK(maestro_demand_start(consumer, "param = q and step = 12", 5, &request));
    CHECK_STATUS(maestro_request_test(request), MAESTRO_IN_PROGRESS);
    offer_bytes(producer, "q", 12, "humidity");
    CHECK_OK(maestro_request_wait(request, 5));
    CHECK_OK(maestro_request_cdo(request, &cdo));
    check_text(cdo, "humidity");
    CHECK_OK(maestro_cdo_dispose(cdo));
    CHECK_OK(maestro_request_dispose(request));
}

static void test_demand_errors_help(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_cdo_t *cdo = NULL;
    offer_bytes(producer, "u", 0, "a");
    offer_bytes(producer, "u", 6, "b");
    CHECK_OK(maestro_session_flush(producer, 5));
    CHECK_STATUS(maestro_demand(consumer, "param = u", 5, &cdo), MAESTRO_NOT_UNIQUE);
    CHECK_ERROR_SAYS("step");
    CHECK_STATUS(maestro_demand(consumer, "param = u and step = 7", 0.1, &cdo), MAESTRO_TIMEOUT);
    CHECK_ERROR_SAYS("step = 7");
    CHECK_STATUS(maestro_demand(consumer, "param = = u", 5, &cdo), MAESTRO_BAD_SELECTOR);
    CHECK_STATUS(maestro_demand(consumer, "parm = u", 5, &cdo), MAESTRO_UNKNOWN_ATTRIBUTE);
    CHECK_ERROR_SAYS("param");
}

static void test_memory_is_filled_before_the_offer_and_within_bounds(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_cdo_t *cdo = declare(producer, "filled", 0), *read = NULL;
    size_t nbytes = 3 << 20, got = 0;
    char *source = malloc(nbytes);
    const void *bytes = NULL;
    void *room;
    for (size_t i = 0; i < nbytes; i++) source[i] = (char)(i >> 3);
    CHECK_STATUS(maestro_cdo_fill(cdo, 0, source, 1), MAESTRO_WRONG_STATE);
    CHECK_OK(maestro_cdo_alloc(cdo, nbytes, MAESTRO_TIER_DEFAULT, &room));
    CHECK_OK(maestro_cdo_fill(cdo, 0, source, nbytes));
    CHECK_OK(maestro_cdo_fill(cdo, nbytes - 4, "last", 4));
    CHECK_OK(maestro_cdo_fill(cdo, nbytes, NULL, 0));
    CHECK_STATUS(maestro_cdo_fill(cdo, nbytes - 3, "last", 4), MAESTRO_TOO_LARGE);
    CHECK_STATUS(maestro_cdo_fill(cdo, SIZE_MAX, "last", 4), MAESTRO_TOO_LARGE);
    CHECK_STATUS(maestro_cdo_fill(cdo, 0, NULL, 4), MAESTRO_INVALID_ARGUMENT);
    CHECK_OK(maestro_cdo_offer(cdo));
    CHECK_STATUS(maestro_cdo_fill(cdo, 0, source, 1), MAESTRO_WRONG_STATE);
    CHECK_OK(maestro_cdo_dispose(cdo));
    CHECK_OK(maestro_demand(consumer, "param = filled", 5, &read));
    CHECK_OK(maestro_cdo_data(read, &bytes, &got));
    CHECK(got == nbytes && memcmp(bytes, source, nbytes - 4) == 0 && memcmp((const char *)bytes + nbytes - 4, "last", 4) == 0);
    CHECK_OK(maestro_cdo_dispose(read));
    free(source);
}

static void test_duplicate_is_refused_asynchronously(maestro_session_t *producer) {
    maestro_cdo_t *again = declare(producer, "t", 6);
    CHECK_OK(maestro_cdo_offer(again));
    CHECK_STATUS(maestro_cdo_wait(again, 5), MAESTRO_DUPLICATE);
    CHECK_OK(maestro_session_flush(producer, 5)); /* read already */
    CHECK_OK(maestro_cdo_dispose(again));
    offer_bytes(producer, "t", 6, "another one");
    CHECK_STATUS(maestro_session_flush(producer, 5), MAESTRO_DUPLICATE);
    CHECK_OK(maestro_session_flush(producer, 5));
}

static void test_subscription_gets_snapshot_and_tail_once(maestro_session_t *producer, maestro_session_t *consumer) {
    enum { BEFORE = 5000, AFTER = 5000 };
    maestro_subscription_t *subscription = NULL;
    maestro_event_t event;
    maestro_cdo_t *cdo = NULL;
    uint64_t count = 0;
    for (int64_t i = 0; i < BEFORE; i++) {
        cdo = declare(producer, "v", i);
        CHECK_OK(maestro_cdo_offer(cdo));
        maestro_cdo_dispose(cdo);
    }
    CHECK_OK(maestro_subscribe(consumer, "param = v", NULL, &subscription));
    for (int64_t i = BEFORE; i < BEFORE + AFTER; i++) {
        cdo = declare(producer, "v", i);
        CHECK_OK(maestro_cdo_offer(cdo));
        maestro_cdo_dispose(cdo);
    }
    CHECK_OK(maestro_session_flush(producer, 5));
    for (int64_t i = 0; i < BEFORE + AFTER; i++) {
        int64_t step = -1;
        maestro_status_t status = maestro_subscription_next(subscription, 5, &event);
        CHECK_OK(status);
        if (status != MAESTRO_OK) break;
        CHECK(event.kind == MAESTRO_EVENT_OFFERED && !event.gone);
        CHECK_OK(maestro_cdo_get_i64(event.cdo, "step", &step));
        CHECK(step == i);
        CHECK_OK(maestro_cdo_dispose(event.cdo));
    }
    CHECK_STATUS(maestro_subscription_next(subscription, 0, &event), MAESTRO_TIMEOUT);
    CHECK_OK(maestro_subscription_dispose(subscription));
    CHECK_OK(maestro_count(consumer, "param = v and step in 0/to/9999/by/10", 5, &count));
    CHECK(count == (BEFORE + AFTER) / 10);
    CHECK_OK(maestro_withdraw(producer, "param = v", MAESTRO_WHEN_RELEASED, 5, &count));
    CHECK(count == BEFORE + AFTER);
    CHECK_OK(maestro_count(consumer, "param = v", 5, &count));
    CHECK(count == 0);
}

static void test_withdraw_waits_for_leases(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_cdo_t *own = declare(producer, "w", 1), *lease = NULL, *none = NULL;
    void *bytes;
    CHECK_OK(maestro_cdo_alloc(own, 100, MAESTRO_TIER_DEFAULT, &bytes));
    memset(bytes, 7, 100);
    CHECK_OK(maestro_cdo_offer(own));
    CHECK_OK(maestro_demand(consumer, "param = w", 5, &lease));
    CHECK_STATUS(maestro_cdo_withdraw(own, MAESTRO_WHEN_RELEASED, 0.1), MAESTRO_TIMEOUT);
    CHECK_ERROR_SAYS("consumer[0]");
    CHECK_STATUS(maestro_demand(consumer, "param = w", 0, &none), MAESTRO_TIMEOUT);
    CHECK_OK(maestro_cdo_dispose(lease));
    CHECK_OK(maestro_cdo_dispose(own));
    own = declare(producer, "w", 2);
    CHECK_OK(maestro_cdo_offer(own));
    CHECK_OK(maestro_cdo_withdraw(own, MAESTRO_WHEN_RELEASED, 5));
    CHECK_STATUS(maestro_cdo_withdraw(own, MAESTRO_WHEN_RELEASED, 5), MAESTRO_WITHDRAWN);
    CHECK_OK(maestro_cdo_dispose(own));
}

static void test_consumed_withdraw_waits_for_subscribers(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_subscription_t *subscription = NULL;
    maestro_event_t event;
    maestro_request_t *request = NULL;
    maestro_cdo_t *own = declare(producer, "z", 1);
    CHECK_OK(maestro_subscribe(consumer, "param = z", NULL, &subscription));
    CHECK_OK(maestro_cdo_offer(own));
    CHECK_OK(maestro_cdo_withdraw_start(own, MAESTRO_WHEN_CONSUMED, 5, &request));
    CHECK_STATUS(maestro_request_wait(request, 0.05), MAESTRO_IN_PROGRESS);
    CHECK_OK(maestro_subscription_next(subscription, 5, &event));
    CHECK_STATUS(maestro_request_wait(request, 0.05), MAESTRO_IN_PROGRESS);
    CHECK_OK(maestro_cdo_dispose(event.cdo));
    CHECK_OK(maestro_request_wait(request, 5));
    CHECK_OK(maestro_request_dispose(request));
    CHECK_OK(maestro_cdo_dispose(own));
    CHECK_OK(maestro_subscription_dispose(subscription));
}

/* Two ranks make an object together; its reader gets one event, and asks for the other part. */
static void test_parts_of_two_sessions_are_one_object(maestro_session_t *consumer) {
    maestro_subscription_t *subscription = NULL;
    maestro_session_t *rank[2];
    maestro_event_t event = {0};
    maestro_cdo_t *part = NULL;
    const void *bytes;
    size_t nbytes;
    int64_t number = -1;
    uint64_t count = 1;
    CHECK_OK(maestro_subscribe(consumer, "param = parts", NULL, &subscription));
    for (int i = 1; i >= 0; i--) {
        maestro_session_options_t options;
        maestro_session_options_init(&options);
        options.component = "solver";
        options.rank = i;
        options.schema = "mars";
        CHECK_OK(maestro_session_open(&options, &rank[i]));
        part = declare(rank[i], "parts", 0);
        CHECK_OK(maestro_cdo_set_i64(part, "maestro.parts", 2));
        CHECK_OK(maestro_cdo_wrap(part, i ? "one" : "zero", i ? 3 : 4));
        CHECK_OK(maestro_cdo_offer(part));
        CHECK_OK(maestro_cdo_wait(part, 5));
        CHECK_STATUS(maestro_cdo_part(part, 0, 5, &part), MAESTRO_WRONG_STATE);
        CHECK_OK(maestro_cdo_dispose(part));
        CHECK_OK(maestro_count(consumer, "param = parts", 5, &count));
        CHECK(count == !i);
    }
    CHECK_OK(maestro_subscription_next(subscription, 5, &event));
    CHECK_OK(maestro_cdo_part(event.cdo, 1, 5, &part));
    CHECK_STATUS(maestro_cdo_part(event.cdo, 2, 5, &part), MAESTRO_NOT_FOUND);
    CHECK_OK(maestro_cdo_dispose(event.cdo)); /* the part's lease keeps the whole */
    CHECK_OK(maestro_cdo_get_i64(part, "maestro.part", &number));
    CHECK_OK(maestro_cdo_data(part, &bytes, &nbytes));
    CHECK(number == 1 && nbytes == 3 && memcmp(bytes, "one", 3) == 0);
    CHECK_STATUS(maestro_withdraw(rank[1], "param = parts", MAESTRO_WHEN_RELEASED, 0.05, NULL), MAESTRO_TIMEOUT);
    CHECK_OK(maestro_cdo_dispose(part));
    CHECK_STATUS(maestro_subscription_next(subscription, 0.05, &event), MAESTRO_TIMEOUT);
    CHECK_OK(maestro_subscription_dispose(subscription));
    for (int i = 0; i < 2; i++) CHECK_OK(maestro_session_close(rank[i]));
}

static void test_memory_is_reused(maestro_session_t *producer) {
    for (int round = 0; round < 200; round++) {
        maestro_cdo_t *cdo = declare(producer, "r", 0);
        void *bytes = NULL;
        CHECK_OK(maestro_cdo_alloc(cdo, 8 << 20, MAESTRO_TIER_DEFAULT, &bytes));
        if (bytes) memset(bytes, round, 64);
        CHECK_OK(maestro_cdo_offer(cdo));
        CHECK_OK(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, 5));
        CHECK_OK(maestro_cdo_dispose(cdo));
    }
    char *json = NULL;
    CHECK_OK(maestro_session_stats(producer, 5, &json));
    CHECK(json && strstr(json, "\"component\":\"producer\""));
    maestro_free(json);
}

static void test_full_pool_names_the_holder(maestro_session_t *producer) {
    maestro_cdo_t *cdo = declare(producer, "full", 0);
    void *bytes;
    CHECK_STATUS(maestro_cdo_alloc(cdo, (size_t)1 << 40, MAESTRO_TIER_DEFAULT, &bytes), MAESTRO_TOO_LARGE);
    CHECK_OK(maestro_cdo_dispose(cdo));
}

static void test_joined_and_left(maestro_session_t *consumer) {
    maestro_subscription_options_t options;
    maestro_subscription_t *subscription = NULL;
    maestro_event_t event = {0};
    const char *component = NULL, *reason = NULL;
    maestro_subscription_options_init(&options);
    options.kinds = MAESTRO_EVENT_JOINED | MAESTRO_EVENT_LEFT;
    options.start = MAESTRO_START_NOW;
    CHECK_OK(maestro_subscribe(consumer, NULL, &options, &subscription));
    maestro_session_t *guest = open_session("guest", 10);
    CHECK_OK(maestro_subscription_next(subscription, 5, &event));
    CHECK(event.kind == MAESTRO_EVENT_JOINED);
    CHECK_OK(maestro_cdo_get_str(event.cdo, "maestro.component", &component));
    CHECK(component && strcmp(component, "guest") == 0);
    CHECK_OK(maestro_cdo_dispose(event.cdo));
    CHECK_OK(maestro_session_close(guest));
    CHECK_OK(maestro_subscription_next(subscription, 5, &event));
    CHECK(event.kind == MAESTRO_EVENT_LEFT);
    CHECK_OK(maestro_cdo_get_str(event.cdo, "maestro.reason", &reason));
    CHECK(reason && strcmp(reason, "closed") == 0);
    CHECK_OK(maestro_cdo_dispose(event.cdo));
    CHECK_OK(maestro_subscription_dispose(subscription));
}

static void test_fork_invalidates(maestro_session_t *session) {
    pid_t child = fork();
    if (child == 0) _exit(maestro_session_flush(session, 1) == MAESTRO_FORKED && maestro_session_close(session) == MAESTRO_FORKED ? 0 : 1);
    int code = -1;
    waitpid(child, &code, 0);
    CHECK(code == 0);
    CHECK_OK(maestro_session_flush(session, 5));
}

static void test_columns(maestro_session_t *producer, maestro_session_t *consumer) {
    enum { N = 1000 };
    static int64_t steps[N];
    const char *param = "col";
    uint64_t count = 0;
    for (int i = 0; i < N; i++) steps[i] = i;
    maestro_column_t columns[] = {{"param", MAESTRO_TYPE_STRING, true, &param}, {"step", MAESTRO_TYPE_I64, false, steps}};
    CHECK_OK(maestro_offer_many(producer, N, columns, 2, NULL, NULL, NULL));
    CHECK_OK(maestro_session_flush(producer, 5));
    CHECK_OK(maestro_count(consumer, "param = col", 5, &count));
    CHECK(count == N);
}

static void test_manager_killed_gives_an_error_by_name(maestro_session_t *producer, maestro_session_t *consumer) {
    kill(manager_of(producer), SIGKILL);
    maestro_cdo_t *cdo = NULL;
    CHECK_STATUS(maestro_demand(consumer, "param = never", 5, &cdo), MAESTRO_POOL_LOST);
    CHECK_STATUS(maestro_session_flush(producer, 5), MAESTRO_POOL_LOST);
    CHECK_STATUS(maestro_session_close(producer), MAESTRO_POOL_LOST);
    CHECK_STATUS(maestro_session_close(consumer), MAESTRO_POOL_LOST);
}

int main(void) {
    char directory[] = "/tmp/maestro-test-XXXXXX";
    make_place(directory);
    test_component_that_is_no_text_is_refused();
    maestro_session_t *producer = open_session("producer", 10), *consumer = open_session("consumer", 10);
    test_demand_finds_what_was_offered(producer, consumer);
    test_demand_waits_for_a_later_offer(producer, consumer);
    test_demand_errors_help(producer, consumer);
    test_memory_is_filled_before_the_offer_and_within_bounds(producer, consumer);
    test_duplicate_is_refused_asynchronously(producer);
    test_subscription_gets_snapshot_and_tail_once(producer, consumer);
    test_withdraw_waits_for_leases(producer, consumer);
    test_consumed_withdraw_waits_for_subscribers(producer, consumer);
    test_parts_of_two_sessions_are_one_object(consumer);
    test_memory_is_reused(producer);
    test_full_pool_names_the_holder(producer);
    test_joined_and_left(consumer);
    test_fork_invalidates(producer);
    test_columns(producer, consumer);
    test_manager_killed_gives_an_error_by_name(producer, consumer);
    remove_place(directory);
    return TEST_END;
}
