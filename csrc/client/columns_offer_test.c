/* Many objects offered in one call: their payloads, their text, more columns than a run takes, and what is refused among them.  See columns_test.h. */
#include "client/columns_test.h"

enum { BLOCK = 64 };

static const char *sets[N];

static void test_payloads_of_all_sizes_lie_with_their_rows(maestro_session_t *producer, maestro_session_t *consumer) {
    static char bytes[N][BLOCK];
    static const void *payloads[N];
    static size_t sizes[N];
    const char *set = "p";
    columns_t columns = cells(&set, 0);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < BLOCK; k++) bytes[i][k] = (char)(i * 7 + k);
        payloads[i] = i % 100 == 17 ? NULL : bytes[i]; /* of no bytes, then */
        sizes[i] = i % 100 == 17 || i % 100 == 18 ? 0 : (size_t)(1 + i % BLOCK);
    }
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    CHECK_OK(maestro_offer_many(producer, N, columns.column, columns.count, payloads, sizes, NULL));
    for (int i = 0; i < N; i++) {
        maestro_event_t event;
        const void *data = NULL;
        size_t nbytes = 99;
        if (i % 10 == 3) { /* others by column */
            CHECK(read_cells(subscription, i, 1, MAESTRO_OK) == 1);
            continue;
        }
        maestro_status_t status = maestro_subscription_next(subscription, 5, &event);
        CHECK_OK(status);
        if (status != MAESTRO_OK) break;
        check_cell(&event, i);
        CHECK_OK(maestro_cdo_data(event.cdo, &data, &nbytes));
        CHECK(nbytes == sizes[i] && (!nbytes || memcmp(data, bytes[i], nbytes) == 0));
        CHECK_OK(maestro_cdo_dispose(event.cdo));
    }
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, N);
    char *json = NULL;
    CHECK_OK(maestro_session_stats(producer, 5, &json));
    CHECK(json && strstr(json, "\"used\":0")); /* no payload stays behind */
    maestro_free(json);
}

static void test_payload_that_is_null_in_the_middle_is_named(maestro_session_t *producer) {
    const void *payloads[] = {"a", "b", NULL, "d"};
    const size_t sizes[] = {1, 1, 1, 1};
    const char *set = "pn";
    columns_t columns = cells(&set, 0);
    size_t offered = 77;
    CHECK_STATUS(maestro_offer_many(producer, 4, columns.column, columns.count, payloads, sizes, &offered), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("object 2 of 4");
    CHECK(offered == 2);
    withdraw_all(producer, 2);
}

static void test_texts_that_are_no_codes_travel(maestro_session_t *producer, maestro_session_t *consumer) {
    const char *set = "t";
    columns_t columns = cells(&set, 0);
    add(&columns, "note", MAESTRO_TYPE_STRING, false, notes);
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    CHECK_OK(maestro_offer_many(producer, 300, columns.column, columns.count, NULL, NULL, NULL));
    for (int i = 0; i < 300; i++) {
        maestro_event_t event;
        const char *note = NULL;
        CHECK_OK(maestro_subscription_next(subscription, 5, &event));
        check_cell(&event, i);
        CHECK_OK(maestro_cdo_get_str(event.cdo, "note", &note));
        CHECK(note && strcmp(note, notes[i]) == 0);
        CHECK_OK(maestro_cdo_dispose(event.cdo));
    }
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, 300);
}

/* Common text is its own the first time, and a code from then on: a column of it changes between the two ways. */
static void test_common_texts_become_codes_on_the_way(maestro_session_t *producer, maestro_session_t *consumer) {
    static char name[N][16];
    columns_t columns = {.count = 0};
    for (int i = 0; i < N; i++) {
        snprintf(name[i], sizeof name[i], "s%d", i % 50 + (i >= 500) * 25);
        sets[i] = name[i];
    }
    add(&columns, "set", MAESTRO_TYPE_STRING, false, sets);
    add(&columns, "id", MAESTRO_TYPE_I64, false, ids);
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    CHECK_OK(maestro_offer_many(producer, N, columns.column, columns.count, NULL, NULL, NULL));
    for (int i = 0; i < N; i++) {
        maestro_event_t event;
        int64_t id = -1;
        const char *set = NULL;
        CHECK_OK(maestro_subscription_next(subscription, 5, &event));
        CHECK_OK(maestro_cdo_get_i64(event.cdo, "id", &id));
        CHECK_OK(maestro_cdo_get_str(event.cdo, "set", &set));
        CHECK(id == i && set && strcmp(set, sets[i]) == 0);
        CHECK_OK(maestro_cdo_dispose(event.cdo));
    }
    uint64_t count = 0;
    CHECK_OK(maestro_count(consumer, "set = s30", 5, &count));
    CHECK(count == 20);
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, N);
}

/* Cells with more columns, of which those from `from` to `to` differ from row to row: all arrive as they were offered. */
static void pass_wide_cells(maestro_session_t *producer, maestro_subscription_t *subscription, int first, int count, int extra, int from, int to) {
    static int64_t values[15][N];
    static char key[15][16];
    const char *set = "x";
    columns_t columns = cells(&set, first);
    for (int k = 0; k < extra; k++) {
        bool constant = k < from || k >= to;
        snprintf(key[k], sizeof key[k], "x%d", k);
        for (int i = 0; i < N; i++) values[k][i] = constant ? 7 : i * 31 - k * (int64_t)1000000000000;
        add(&columns, key[k], MAESTRO_TYPE_I64, constant, values[k]);
    }
    CHECK_OK(maestro_offer_many(producer, (size_t)count, columns.column, columns.count, NULL, NULL, NULL));
    for (int i = 0; i < count; i++) {
        maestro_event_t event;
        CHECK_OK(maestro_subscription_next(subscription, 5, &event));
        check_cell(&event, first + i);
        bool right = true;
        for (int k = 0; k < extra; k++) {
            int64_t value = 0;
            right &= maestro_cdo_get_i64(event.cdo, key[k], &value) == MAESTRO_OK && value == values[k][i];
        }
        CHECK(right);
        CHECK_OK(maestro_cdo_dispose(event.cdo));
    }
}

static void test_more_own_columns_than_a_run_takes(maestro_session_t *producer, maestro_session_t *consumer) {
    for (int extra = 11; extra <= 15; extra++) { /* with id, flag, level, when: 15 to 19 */
        maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
        pass_wide_cells(producer, subscription, 0, 300, extra, 0, extra);
        CHECK_OK(maestro_subscription_dispose(subscription));
        withdraw_all(producer, 300);
    }
}

/* Which words differ changes from call to call, until all that have ever differed are more than a run takes. */
static void test_words_that_differ_in_turn_become_more_than_a_run_takes(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    pass_wide_cells(producer, subscription, 0, 300, 15, 0, 8);
    pass_wide_cells(producer, subscription, 300, 300, 15, 8, 15);
    pass_wide_cells(producer, subscription, 600, 300, 15, 0, 15);
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, 900);
}

static void test_nan_in_the_middle_is_named_and_what_was_before_is_there(maestro_session_t *producer, maestro_session_t *consumer) {
    double wrong[N];
    uint64_t count = 0;
    for (int at = 0; at < N; at += 333) {
        size_t offered = 77;
        const char *set = "nan";
        char where[40];
        columns_t columns = cells(&set, 0);
        memcpy(wrong, levels, sizeof wrong);
        wrong[at] = NAN;
        columns.column[3].values = wrong;
        CHECK_STATUS(maestro_offer_many(producer, N, columns.column, columns.count, NULL, NULL, &offered), MAESTRO_BAD_VALUE);
        snprintf(where, sizeof where, "object %d of %d", at, N);
        CHECK_ERROR_SAYS(where);
        CHECK_ERROR_SAYS("level");
        CHECK((int)offered == at);
        CHECK_OK(maestro_session_flush(producer, 5));
        CHECK_OK(maestro_count(consumer, NULL, 5, &count));
        CHECK((int)count == at);
        withdraw_all(producer, (uint64_t)at);
    }
}

static void test_duplicates_inside_a_run_are_refused_alone(maestro_session_t *producer, maestro_session_t *consumer) {
    static int64_t twice[N];
    const char *set = "d";
    columns_t columns = cells(&set, 0);
    int64_t expected = 0;
    uint64_t before = 0, ordered = 0;
    for (int i = 0; i < N; i++) twice[i] = i % 10 == 9 ? i - 4 : i; /* 100 of them */
    columns.column[1].values = twice;
    maestro_subscription_t *subscription = subscribe(consumer, NULL, MAESTRO_START_NOW, MAESTRO_EVENT_OFFERED);
    maestro_cdo_t *first = NULL; /* whose id tells those that follow */
    CHECK_OK(maestro_cdo_declare(producer, NULL, &first));
    CHECK_OK(maestro_cdo_set_str(first, "set", "first"));
    CHECK_OK(maestro_cdo_set_i64(first, "id", 0));
    CHECK_OK(maestro_cdo_offer(first));
    CHECK_OK(maestro_cdo_dispose(first));
    CHECK_OK(maestro_offer_many(producer, N, columns.column, columns.count, NULL, NULL, NULL));
    CHECK_STATUS(maestro_session_flush(producer, 5), MAESTRO_DUPLICATE);
    CHECK_ERROR_SAYS("100 offers");
    CHECK_ERROR_SAYS("id=5 "); /* the first that was refused */
    CHECK_OK(maestro_session_flush(producer, 5));
    for (int i = 0; i < N - 100 + 1; i++) {
        maestro_event_t event;
        int64_t id = -1, when = 0;
        maestro_status_t status = maestro_subscription_next(subscription, 5, &event);
        CHECK_OK(status);
        if (status != MAESTRO_OK) break;
        CHECK_OK(maestro_cdo_get_i64(event.cdo, "id", &id));
        if (i) {
            CHECK(event.sequence == before + 1 && id == expected);
            CHECK_OK(maestro_cdo_get_timestamp(event.cdo, "when", &when));
            ordered += when == whens[expected];
            expected += expected % 10 == 8 ? 2 : 1;
        }
        before = event.sequence;
        CHECK_OK(maestro_cdo_dispose(event.cdo));
    }
    CHECK(ordered == N - 100);
    CHECK_OK(maestro_subscription_dispose(subscription));
    withdraw_all(producer, N - 100 + 1);
}

static void test_payloads_of_refused_rows_come_back(maestro_session_t *producer) {
    static const void *payloads[N];
    static size_t sizes[N];
    static char bytes[4096];
    static int64_t same[N];
    const char *set = "dp";
    columns_t columns = cells(&set, 0);
    for (int i = 0; i < N; i++) payloads[i] = bytes, sizes[i] = sizeof bytes;
    columns.column[1].values = same;
    for (int round = 0; round < 30; round++) { /* 120 MB in all; the pool has less */
        CHECK_OK(maestro_offer_many(producer, N, columns.column, columns.count, payloads, sizes, NULL));
        CHECK_STATUS(maestro_session_flush(producer, 5), MAESTRO_DUPLICATE);
    }
    withdraw_all(producer, 1);
}

static void test_key_named_by_two_columns_is_refused(maestro_session_t *producer) {
    const char *set = "k", *other = "s30";
    columns_t columns = cells(&set, 0);
    size_t offered = 77;
    add(&columns, "set", MAESTRO_TYPE_STRING, false, notes);
    add(&columns, "set", MAESTRO_TYPE_STRING, true, &other); /* a code, where the column before is text of its own */
    CHECK_STATUS(maestro_offer_many(producer, 3, columns.column, columns.count, NULL, NULL, &offered), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("set");
    CHECK(offered == 0);
    CHECK_OK(maestro_session_flush(producer, 5));
    withdraw_all(producer, 0);
}

int main(void) {
    char directory[] = "/tmp/maestro-test-XXXXXX";
    make_cells_place(directory);
    maestro_session_t *producer = open_cells(NULL, "producer", 10), *consumer = open_cells(NULL, "consumer", 10);
    introduce(producer, "p");
    test_payloads_of_all_sizes_lie_with_their_rows(producer, consumer);
    test_payload_that_is_null_in_the_middle_is_named(producer);
    test_texts_that_are_no_codes_travel(producer, consumer);
    test_common_texts_become_codes_on_the_way(producer, consumer);
    test_more_own_columns_than_a_run_takes(producer, consumer);
    test_words_that_differ_in_turn_become_more_than_a_run_takes(producer, consumer);
    test_nan_in_the_middle_is_named_and_what_was_before_is_there(producer, consumer);
    test_duplicates_inside_a_run_are_refused_alone(producer, consumer);
    test_payloads_of_refused_rows_come_back(producer);
    test_key_named_by_two_columns_is_refused(producer);
    CHECK_OK(maestro_session_close(producer));
    CHECK_OK(maestro_session_close(consumer));
    remove_place(directory);
    return TEST_END;
}
