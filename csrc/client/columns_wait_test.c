/* Runs of many objects that wait for room, for who holds the log, or for a manager that does not come.  See columns_test.h. */
#include "client/columns_test.h"

#include <signal.h>

static size_t live(maestro_session_t *session) {
    uint64_t count = 0;
    CHECK_OK(maestro_count(session, NULL, 5, &count));
    return (size_t)count;
}

static void test_run_stops_at_the_limit_of_objects_and_goes_on_when_there_is_room(void) {
    setenv("MAESTRO_POOL_OBJECTS", "100", 1);
    maestro_session_t *old = open_cells("limit", "old", 10), *producer = open_cells("limit", "producer", 0.5), *consumer = open_cells("limit", "consumer", 10);
    unsetenv("MAESTRO_POOL_OBJECTS");
    introduce(old, "new");
    maestro_subscription_t *subscription = subscribe(consumer, "set = new", MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    uint64_t count = 0;
    size_t unread = 0;
    offer_cells(old, "old", 0, 60);
    CHECK_OK(maestro_session_flush(old, 5));
    offer_cells(producer, "new", 0, 150);
    for (int read = 0, here = 40; here <= 100; read = here, here += 20) {
        read_range(subscription, read, here, 7);
        CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, NULL, 0, 1, &unread), MAESTRO_TIMEOUT);
        CHECK(live(consumer) == 100);
        if (here == 100) break;
        char selector[40];
        snprintf(selector, sizeof selector, "set = old and id < %d", here - 20);
        CHECK_OK(maestro_withdraw(old, selector, MAESTRO_WHEN_RELEASED, 5, &count));
        CHECK(count == 20);
    }
    CHECK_STATUS(maestro_session_flush(producer, 5), MAESTRO_NO_MEMORY); /* when its time is over, all at once */
    CHECK_ERROR_SAYS("50 offers");
    CHECK_ERROR_SAYS("limit of 100 objects");
    withdraw_all(producer, 100);
    offer_cells(producer, "new", 150, 100); /* ids go on after those that were refused */
    CHECK_OK(maestro_session_flush(producer, 5));
    read_range(subscription, 150, 250, 100);
    CHECK_OK(maestro_subscription_dispose(subscription));
    CHECK_OK(maestro_session_close(old));
    CHECK_OK(maestro_session_close(consumer));
    CHECK_OK(maestro_session_close(producer));
}

enum { SETS = 20 };

static void offer_sets(maestro_session_t *session, int count) {
    char set[16];
    for (int i = 0; i < count; i++) {
        snprintf(set, sizeof set, "s%d", i);
        offer_cells(session, set, 0, N);
    }
}

/* Rows of sets, which count from 0 to N - 1 each, up to the `most`th or what is no row. */
static size_t read_sets(maestro_subscription_t *subscription, size_t read, size_t most) {
    static cells_t got;
    maestro_values_t values[] = {{"id", MAESTRO_TYPE_I64, got.id}, {"level", MAESTRO_TYPE_F64, got.level}};
    maestro_status_t status = MAESTRO_OK;
    bool right = true;
    while (read < most && status == MAESTRO_OK) {
        size_t count = 0;
        status = maestro_subscription_next_columns(subscription, 5, values, 2, most - read < 313 ? most - read : 313, &count);
        for (size_t i = 0; i < count; i++) right &= got.id[i] == (int64_t)((read + i) % N) && got.level[i] == levels[(read + i) % N];
        read += count;
    }
    CHECK(right);
    CHECK(status == (read < most ? MAESTRO_AGAIN : MAESTRO_OK));
    return read;
}

static void test_run_waits_for_who_holds_in_the_middle_of_it(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_subscription_options_t options;
    maestro_subscription_t *subscription = NULL;
    maestro_subscription_options_init(&options);
    options.hold = true;
    options.start = MAESTRO_START_NOW;
    options.window_bytes = 256 << 10;
    CHECK_OK(maestro_subscribe(consumer, NULL, &options, &subscription));
    offer_sets(producer, 10);
    CHECK_STATUS(maestro_session_flush(producer, 0.05), MAESTRO_TIMEOUT);
    CHECK_ERROR_SAYS("holds offers");
    CHECK(live(consumer) < 10 * N);
    CHECK(read_sets(subscription, 0, 3 * N + 5) == 3 * N + 5); /* which lets some in */
    CHECK(read_sets(subscription, 3 * N + 5, 10 * N) == 10 * N);
    CHECK_OK(maestro_session_flush(producer, 5));
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, 10 * N);
}

static void test_gap_among_columns(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_subscription_options_t options;
    maestro_subscription_t *subscription = NULL;
    maestro_event_t event = {0};
    maestro_subscription_options_init(&options);
    options.start = MAESTRO_START_NOW;
    options.window_bytes = 256 << 10;
    CHECK_OK(maestro_subscribe(consumer, NULL, &options, &subscription));
    offer_sets(producer, SETS);
    CHECK_OK(maestro_session_flush(producer, 5));
    size_t read = 0;
    int gaps = 0;
    while ((read = read_sets(subscription, read, SETS * N)) < SETS * N) {
        CHECK(read > 1000); /* what the window takes came before */
        CHECK_OK(maestro_subscription_next(subscription, 5, &event));
        CHECK(event.kind == MAESTRO_EVENT_GAP && event.gap_to > event.gap_from);
        if (event.kind != MAESTRO_EVENT_GAP) break;
        read += (size_t)(event.gap_to - event.gap_from + 1);
        gaps++;
    }
    CHECK(gaps > 0 && gaps < 3); /* they are told together */
    CHECK_STATUS(maestro_subscription_next(subscription, 0, &event), MAESTRO_TIMEOUT);
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, SETS * N);
}

static void test_runs_that_a_killed_manager_did_not_take_are_counted(void) {
    maestro_session_t *producer = open_cells("killed", "producer", 10);
    pid_t manager = manager_of(producer);
    const char *set = "k";
    columns_t columns = cells(&set, 300);
    static const void *payloads[N];
    static size_t sizes[N];
    for (int i = 0; i < N; i++) payloads[i] = "bytes", sizes[i] = 5;
    offer_cells(producer, set, 0, 5);
    CHECK_OK(maestro_offer_many(producer, 1, columns.column, columns.count, payloads, sizes, NULL));
    CHECK_OK(maestro_session_flush(producer, 5)); /* they are confirmed; `set` is a code, and there is memory */
    kill(manager, SIGSTOP);
    offer_cells(producer, set, 10, 290);
    columns.column[1].values = &ids[301];
    CHECK_OK(maestro_offer_many(producer, 499, columns.column, columns.count, payloads, sizes, NULL));
    add(&columns, "note", MAESTRO_TYPE_STRING, false, &notes[300]);
    columns.column[1].values = &ids[800];
    CHECK_OK(maestro_offer_many(producer, 7, columns.column, columns.count, NULL, NULL, NULL)); /* one by one */
    kill(manager, SIGKILL);
    CHECK_STATUS(maestro_session_flush(producer, 5), MAESTRO_POOL_LOST);
    CHECK_ERROR_SAYS("796 offers are not confirmed: {set=k id=10 ");
    CHECK_ERROR_SAYS("id=14 ");
    CHECK_ERROR_SAYS("and 791 more");
    CHECK_STATUS(maestro_session_close(producer), MAESTRO_POOL_LOST);
}

static void run_with_a_small_log(void) {
    setenv("MAESTRO_POOL_LOG", "4KiB", 1);
    maestro_session_t *producer = open_cells("small", "producer", 10), *consumer = open_cells("small", "consumer", 10);
    unsetenv("MAESTRO_POOL_LOG");
    for (int i = 0; i < SETS; i++) {
        char set[16];
        snprintf(set, sizeof set, "s%d", i);
        introduce(producer, set);
    }
    test_run_waits_for_who_holds_in_the_middle_of_it(producer, consumer);
    test_gap_among_columns(producer, consumer);
    CHECK_OK(maestro_session_close(producer));
    CHECK_OK(maestro_session_close(consumer));
}

int main(void) {
    char directory[] = "/tmp/maestro-test-XXXXXX";
    make_cells_place(directory);
    test_run_stops_at_the_limit_of_objects_and_goes_on_when_there_is_room();
    run_with_a_small_log();
    test_runs_that_a_killed_manager_did_not_take_are_counted();
    remove_place(directory);
    return TEST_END;
}
