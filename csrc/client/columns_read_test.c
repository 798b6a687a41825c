/* Many objects read by columns: in pieces, among what has none, up to the end, and left behind.  See columns_test.h. */
#include "client/columns_test.h"

#include <unistd.h>

static void test_columns_of_every_type_in_pieces_of_every_size(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_subscription_t *subscription = subscribe(consumer, "set = a", MAESTRO_START_SNAPSHOT, MAESTRO_EVENT_OFFERED);
    maestro_event_t event;
    offer_cells(producer, "a", 0, N);
    for (int from = 0, piece = 1; from < N; piece = piece * 3 % 401) { /* 1, 3, 9, .. */
        int to = from + piece < N ? from + piece : N;
        read_range(subscription, from, to, piece);
        from = to;
    }
    CHECK_STATUS(maestro_subscription_next(subscription, 0, &event), MAESTRO_TIMEOUT);
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, N); /* would wait for leases */
}

static void test_columns_and_events_mix_in_the_middle_of_a_run(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    maestro_event_t event[7];
    uint64_t sequence = 0;
    offer_cells(producer, "b", 0, N);
    for (int read = 0, turn = 0; read < N; turn++) {
        size_t count = 0;
        if (turn % 3 == 0) count = read_cells(subscription, read, N - read < 5 ? (size_t)(N - read) : 5, MAESTRO_OK);
        else if (turn % 3 == 1) CHECK_OK(maestro_subscription_next_many(subscription, 5, event, N - read < 7 ? (size_t)(N - read) : 7, &count));
        else {
            CHECK_OK(maestro_subscription_next(subscription, 5, event));
            count = 1;
        }
        for (size_t i = 0; turn % 3 && i < count; i++) {
            check_cell(&event[i], read + (int)i);
            if (sequence) CHECK(event[i].sequence == sequence + (uint64_t)(read + (int)i));
            else sequence = event[i].sequence - (uint64_t)(read + (int)i);
            CHECK_OK(maestro_cdo_dispose(event[i].cdo));
        }
        read += (int)count;
        if (!count) break;
    }
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, N);
}

static void test_no_columns_count(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    size_t count = 0, total = 0;
    offer_cells(producer, "n", 0, 300);
    while (total < 300 && maestro_subscription_next_columns(subscription, 5, NULL, 0, 100, &count) == MAESTRO_OK) total += count;
    CHECK(total == 300);
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, 300);
}

static void take_other(maestro_subscription_t *subscription, maestro_event_t *event) {
    CHECK_OK(maestro_subscription_next(subscription, 5, event));
    CHECK_OK(maestro_cdo_dispose(event->cdo));
}

static void test_again_before_what_has_no_columns(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED | MAESTRO_EVENT_WITHDRAWN);
    maestro_event_t event;
    const char *set = "c";
    columns_t texts = cells(&set, 5), poor = {.count = 0};
    add(&texts, "note", MAESTRO_TYPE_STRING, false, &notes[5]);
    add(&poor, "set", MAESTRO_TYPE_STRING, true, &set);
    add(&poor, "id", MAESTRO_TYPE_I64, false, &ids[6]);
    offer_cells(producer, set, 0, 5);
    CHECK_OK(maestro_offer_many(producer, 1, texts.column, texts.count, NULL, NULL, NULL));
    CHECK_OK(maestro_offer_many(producer, 3, poor.column, poor.count, NULL, NULL, NULL)); /* no levels */
    offer_cells(producer, set, 9, 1);
    CHECK_OK(maestro_session_flush(producer, 5));
    read_range(subscription, 0, 5, 5);
    read_cells(subscription, 5, 10, MAESTRO_AGAIN);
    read_cells(subscription, 5, 10, MAESTRO_AGAIN); /* until it is taken */
    take_other(subscription, &event);
    for (int i = 0; i < 3; i++) {
        read_cells(subscription, 6, 10, MAESTRO_AGAIN);
        take_other(subscription, &event);
    }
    CHECK(read_cells(subscription, 9, 10, MAESTRO_OK) == 1);
    withdraw_all(producer, 10);
    read_cells(subscription, 0, 10, MAESTRO_AGAIN);
    take_other(subscription, &event);
    CHECK(event.kind == MAESTRO_EVENT_WITHDRAWN);
    CHECK_OK(maestro_subscription_dispose(subscription));
}

static void test_end_of_a_query_after_columns(maestro_session_t *producer, maestro_session_t *consumer) {
    offer_cells(producer, "q", 0, N);
    CHECK_OK(maestro_session_flush(producer, 5));
    maestro_subscription_t *subscription = subscribe(consumer, "id >= 0", MAESTRO_START_QUERY, MAESTRO_EVENT_OFFERED);
    maestro_event_t event;
    read_range(subscription, 0, N, 300);
    read_cells(subscription, 0, 10, MAESTRO_AGAIN);
    CHECK_STATUS(maestro_subscription_next(subscription, 5, &event), MAESTRO_END);
    size_t count = 0;
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 5, NULL, 0, 1, &count), MAESTRO_END);
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, N);
}

static void test_wrong_columns_are_named(maestro_session_t *consumer) {
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    int64_t room[4];
    size_t count = 77;
    maestro_values_t wrong[] = {{"id", MAESTRO_TYPE_I64, room}, {"levl", MAESTRO_TYPE_F64, room}};
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, wrong, 2, 4, &count), MAESTRO_UNKNOWN_ATTRIBUTE);
    CHECK_ERROR_SAYS("level");
    wrong[1] = (maestro_values_t){"level", MAESTRO_TYPE_I64, room};
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, wrong, 2, 4, &count), MAESTRO_WRONG_TYPE);
    CHECK_ERROR_SAYS("level");
    wrong[1] = (maestro_values_t){"set", MAESTRO_TYPE_STRING, room};
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, wrong, 2, 4, &count), MAESTRO_WRONG_TYPE);
    wrong[1] = (maestro_values_t){"level", MAESTRO_TYPE_F64, NULL};
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, wrong, 2, 4, &count), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("column 1");
    wrong[1] = (maestro_values_t){NULL, MAESTRO_TYPE_F64, room};
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, wrong, 2, 4, &count), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, NULL, 2, 4, &count), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_subscription_next_columns(NULL, 0, wrong, 1, 4, &count), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, wrong, 1, 0, &count), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, wrong, 1, 4, NULL), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0, wrong, 129, 4, &count), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 0.01, wrong, 1, 4, &count), MAESTRO_TIMEOUT);
    CHECK(count == 77); /* written only on success */
    CHECK_OK(maestro_subscription_dispose(subscription));
}

static void test_subscription_left_in_the_middle_of_a_run_keeps_no_leases(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    maestro_event_t event;
    offer_cells(producer, "l", 0, N);
    CHECK_OK(maestro_session_flush(producer, 5));
    CHECK_OK(maestro_subscription_next(subscription, 5, &event));
    CHECK(read_cells(subscription, 1, 3, MAESTRO_OK) == 3);
    CHECK_OK(maestro_subscription_dispose(subscription));
    uint64_t count = 0;
    CHECK_STATUS(maestro_withdraw(producer, NULL, MAESTRO_WHEN_RELEASED, 0.1, &count), MAESTRO_TIMEOUT); /* the one that was taken */
    check_cell(&event, 0);
    CHECK_OK(maestro_cdo_dispose(event.cdo));
    char *json = NULL;
    for (int i = 0; i < 200; i++) {
        CHECK_OK(maestro_session_stats(producer, 5, &json));
        bool none = json && strstr(json, "\"leases\":{\"live\":0");
        if (none || i == 199) CHECK(none);
        maestro_free(json);
        if (none) break;
        usleep(5000);
    }
    withdraw_all(producer, 0);
}

int main(void) {
    char directory[] = "/tmp/maestro-test-XXXXXX";
    make_cells_place(directory);
    maestro_session_t *producer = open_cells(NULL, "producer", 10), *consumer = open_cells(NULL, "consumer", 10);
    for (const char *set = "cabnql"; *set; set++) introduce(producer, (const char[]){*set, 0});
    test_columns_of_every_type_in_pieces_of_every_size(producer, consumer);
    test_columns_and_events_mix_in_the_middle_of_a_run(producer, consumer);
    test_no_columns_count(producer, consumer);
    test_again_before_what_has_no_columns(producer, consumer);
    test_end_of_a_query_after_columns(producer, consumer);
    test_wrong_columns_are_named(consumer);
    test_subscription_left_in_the_middle_of_a_run_keeps_no_leases(producer, consumer);
    CHECK_OK(maestro_session_close(producer));
    CHECK_OK(maestro_session_close(consumer));
    remove_place(directory);
    return TEST_END;
}
