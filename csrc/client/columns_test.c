/* Many objects in one call, offered and read: runs that go through the real manager, are read in part, stall, are refused in part, or are left behind.
 * What comes out is compared with what each row's number says; nothing here knows how the objects travelled. */
#include "base/base.h"
#include "client/session_test.h"

#include <math.h>
#include <signal.h>
#include <unistd.h>

enum { N = 1000, LONG = 40, BLOCK = 64 };

static const char schema_yaml[] =
    "schema: cells\nversion: 1\nattributes:\n  set: {type: string, identity: true, common: true}\n  id: {type: i64, identity: true}\n  flag: {type: bool}\n"
    "  level: {type: f64}\n  when: {type: timestamp}\n  note: {type: string}\n  x0: {type: i64}\n  x1: {type: i64}\n  x2: {type: i64}\n  x3: {type: i64}\n"
    "  x4: {type: i64}\n  x5: {type: i64}\n  x6: {type: i64}\n  x7: {type: i64}\n  x8: {type: i64}\n  x9: {type: i64}\n  x10: {type: i64}\n  x11: {type: i64}\n"
    "  x12: {type: i64}\n  x13: {type: i64}\n  x14: {type: i64}\n";
static char schema_path[64];

static maestro_session_t *open_cells(const char *pool, const char *component, double timeout_s) {
    maestro_session_options_t options;
    maestro_session_t *session = NULL;
    maestro_session_options_init(&options);
    options.pool = pool;
    options.component = component;
    options.schema = schema_path;
    options.timeout_s = timeout_s;
    CHECK_OK(maestro_session_open(&options, &session));
    if (!session) exit(1);
    return session;
}

/* ---- Rows: every value follows from the row's number. */

static int64_t ids[N], whens[N];
static double levels[N];
static bool flags[N];
static const char *notes[N], *sets[N];
static char note_text[N][LONG];

static void make_rows(void) {
    for (int i = 0; i < N; i++) {
        ids[i] = i;
        whens[i] = (int64_t)i * 1000000007 - 5;
        levels[i] = i % 3 ? i * -0.5 : -0.0;
        flags[i] = i % 5 == 0;
        snprintf(note_text[i], LONG, "a note of its own, number %d", i);
        notes[i] = note_text[i];
    }
}

typedef struct columns {
    maestro_column_t column[24];
    size_t count;
} columns_t;

static void add(columns_t *columns, const char *key, maestro_type_t type, bool constant, const void *values) {
    columns->column[columns->count++] = (maestro_column_t){key, type, constant, values};
}

/* Objects `first` .. of a set. */
static columns_t cells(const char **set, int first) {
    columns_t columns = {.count = 0};
    add(&columns, "set", MAESTRO_TYPE_STRING, true, set);
    add(&columns, "id", MAESTRO_TYPE_I64, false, &ids[first]);
    add(&columns, "flag", MAESTRO_TYPE_BOOL, false, &flags[first]);
    add(&columns, "level", MAESTRO_TYPE_F64, false, &levels[first]);
    add(&columns, "when", MAESTRO_TYPE_TIMESTAMP, false, &whens[first]);
    return columns;
}

static void offer_cells(maestro_session_t *session, const char *set, int first, int count) {
    columns_t columns = cells(&set, first);
    CHECK_OK(maestro_offer_many(session, (size_t)count, columns.column, columns.count, NULL, NULL, NULL));
}

/* Makes codes of the sets' names, for the object that brings a name has text of its own. */
static void introduce(maestro_session_t *session, const char *set) {
    uint64_t count = 0;
    offer_cells(session, set, 0, 1);
    CHECK_OK(maestro_session_flush(session, 5));
    CHECK_OK(maestro_withdraw(session, NULL, MAESTRO_WHEN_RELEASED, 5, &count));
}

static void withdraw_all(maestro_session_t *session, uint64_t expected) {
    uint64_t count = 0;
    CHECK_OK(maestro_withdraw(session, NULL, MAESTRO_WHEN_RELEASED, 5, &count));
    CHECK(count == expected);
}

static maestro_subscription_t *subscribe(maestro_session_t *session, const char *selector, maestro_start_t start, uint32_t kinds) {
    maestro_subscription_options_t options;
    maestro_subscription_t *subscription = NULL;
    maestro_subscription_options_init(&options);
    options.start = start;
    options.kinds = kinds;
    CHECK_OK(maestro_subscribe(session, selector, &options, &subscription));
    if (!subscription) exit(1);
    return subscription;
}

typedef struct cells {
    int64_t id[N], when[N];
    double level[N];
    bool flag[N];
} cells_t;

/* Up to `capacity` rows; they must be those from `first` on. */
static size_t read_cells(maestro_subscription_t *subscription, int first, size_t capacity, maestro_status_t expected) {
    static cells_t got;
    maestro_values_t values[] = {{"when", MAESTRO_TYPE_TIMESTAMP, got.when}, {"id", MAESTRO_TYPE_I64, got.id}, {"flag", MAESTRO_TYPE_BOOL, got.flag},
                                 {"level", MAESTRO_TYPE_F64, got.level}};
    size_t count = 0;
    CHECK_STATUS(maestro_subscription_next_columns(subscription, 5, values, MST_COUNT(values), capacity, &count), expected);
    CHECK(count <= capacity && (expected == MAESTRO_OK) == (count > 0));
    bool right = true;
    for (size_t i = 0; i < count; i++) {
        int row = first + (int)i;
        right &= got.id[i] == row && got.when[i] == whens[row] && got.flag[i] == flags[row] && got.level[i] == levels[row] && (got.level[i] != 0 || !signbit(got.level[i]));
    }
    CHECK(right);
    return count;
}

/* Rows [from, to), in pieces of at most `piece`. */
static void read_range(maestro_subscription_t *subscription, int from, int to, int piece) {
    for (int count = 1; from < to && count; from += count) count = (int)read_cells(subscription, from, (size_t)(to - from < piece ? to - from : piece), MAESTRO_OK);
}

static void check_cell(const maestro_event_t *event, int row) {
    int64_t id = -1, when = 0;
    double level = NAN;
    bool flag = !flags[row];
    CHECK(event->kind == MAESTRO_EVENT_OFFERED && !event->gone);
    CHECK_OK(maestro_cdo_get_i64(event->cdo, "id", &id));
    CHECK_OK(maestro_cdo_get_timestamp(event->cdo, "when", &when));
    CHECK_OK(maestro_cdo_get_f64(event->cdo, "level", &level));
    CHECK_OK(maestro_cdo_get_bool(event->cdo, "flag", &flag));
    CHECK(id == row && when == whens[row] && level == levels[row] && flag == flags[row]);
}

/* ---- Reading. */

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

/* ---- Offering. */

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

/* ---- Runs that wait, and runs that are lost. */

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

int main(void) {
    char directory[] = "/tmp/maestro-test-XXXXXX";
    make_place(directory);
    setenv("MAESTRO_POOL_MEMORY", "64MiB", 1);
    snprintf(schema_path, sizeof schema_path, "%s/cells.yaml", directory);
    FILE *file = fopen(schema_path, "w");
    if (!file || fputs(schema_yaml, file) < 0 || fclose(file)) exit(1);
    make_rows();
    maestro_session_t *producer = open_cells(NULL, "producer", 10), *consumer = open_cells(NULL, "consumer", 10);
    for (const char *set = "abnclqp"; *set; set++) introduce(producer, (const char[]){*set, 0});
    test_columns_of_every_type_in_pieces_of_every_size(producer, consumer);
    test_columns_and_events_mix_in_the_middle_of_a_run(producer, consumer);
    test_no_columns_count(producer, consumer);
    test_again_before_what_has_no_columns(producer, consumer);
    test_end_of_a_query_after_columns(producer, consumer);
    test_wrong_columns_are_named(consumer);
    test_subscription_left_in_the_middle_of_a_run_keeps_no_leases(producer, consumer);
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
    test_run_stops_at_the_limit_of_objects_and_goes_on_when_there_is_room();
    setenv("MAESTRO_POOL_LOG", "4KiB", 1);
    producer = open_cells("small", "producer", 10), consumer = open_cells("small", "consumer", 10);
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
    test_runs_that_a_killed_manager_did_not_take_are_counted();
    remove_place(directory);
    return TEST_END;
}
