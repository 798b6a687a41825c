/* What tests of many objects in one call begin with: objects of a schema of cells, whose values follow from their row's number, offered and read by columns.
 * Nothing here knows how the objects travel. */
#ifndef MST_CLIENT_COLUMNS_TEST_H
#define MST_CLIENT_COLUMNS_TEST_H

#include "base/base.h"
#include "client/session_test.h"

#include <math.h>

enum { N = 1000, LONG = 40 };

static const char schema_yaml[] =
    "schema: cells\nversion: 1\nattributes:\n  set: {type: string, identity: true, common: true}\n  id: {type: i64, identity: true}\n  flag: {type: bool}\n"
    "  level: {type: f64}\n  when: {type: timestamp}\n  note: {type: string}\n  x0: {type: i64}\n  x1: {type: i64}\n  x2: {type: i64}\n  x3: {type: i64}\n"
    "  x4: {type: i64}\n  x5: {type: i64}\n  x6: {type: i64}\n  x7: {type: i64}\n  x8: {type: i64}\n  x9: {type: i64}\n  x10: {type: i64}\n  x11: {type: i64}\n"
    "  x12: {type: i64}\n  x13: {type: i64}\n  x14: {type: i64}\n";
static char schema_path[64];

static inline maestro_session_t *open_cells(const char *pool, const char *component, double timeout_s) {
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
static const char *notes[N];
static char note_text[N][LONG];

static inline void make_rows(void) {
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

static inline void add(columns_t *columns, const char *key, maestro_type_t type, bool constant, const void *values) {
    columns->column[columns->count++] = (maestro_column_t){key, type, constant, values};
}

/* Objects `first` .. of a set. */
static inline columns_t cells(const char **set, int first) {
    columns_t columns = {.count = 0};
    add(&columns, "set", MAESTRO_TYPE_STRING, true, set);
    add(&columns, "id", MAESTRO_TYPE_I64, false, &ids[first]);
    add(&columns, "flag", MAESTRO_TYPE_BOOL, false, &flags[first]);
    add(&columns, "level", MAESTRO_TYPE_F64, false, &levels[first]);
    add(&columns, "when", MAESTRO_TYPE_TIMESTAMP, false, &whens[first]);
    return columns;
}

static inline void offer_cells(maestro_session_t *session, const char *set, int first, int count) {
    columns_t columns = cells(&set, first);
    CHECK_OK(maestro_offer_many(session, (size_t)count, columns.column, columns.count, NULL, NULL, NULL));
}

/* Makes codes of the sets' names, for the object that brings a name has text of its own. */
static inline void introduce(maestro_session_t *session, const char *set) {
    uint64_t count = 0;
    offer_cells(session, set, 0, 1);
    CHECK_OK(maestro_session_flush(session, 5));
    CHECK_OK(maestro_withdraw(session, NULL, MAESTRO_WHEN_RELEASED, 5, &count));
}

static inline void withdraw_all(maestro_session_t *session, uint64_t expected) {
    uint64_t count = 0;
    CHECK_OK(maestro_withdraw(session, NULL, MAESTRO_WHEN_RELEASED, 5, &count));
    CHECK(count == expected);
}

static inline maestro_subscription_t *subscribe(maestro_session_t *session, const char *selector, maestro_start_t start, uint32_t kinds) {
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
static inline size_t read_cells(maestro_subscription_t *subscription, int first, size_t capacity, maestro_status_t expected) {
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
static inline void read_range(maestro_subscription_t *subscription, int from, int to, int piece) {
    for (int count = 1; from < to && count; from += count) count = (int)read_cells(subscription, from, (size_t)(to - from < piece ? to - from : piece), MAESTRO_OK);
}

static inline void check_cell(const maestro_event_t *event, int row) {
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

/* A place for pools, and the schema in it; `directory` is as for make_place. */
static inline void make_cells_place(char *directory) {
    make_place(directory);
    setenv("MAESTRO_POOL_MEMORY", "64MiB", 1);
    snprintf(schema_path, sizeof schema_path, "%s/cells.yaml", directory);
    FILE *file = fopen(schema_path, "w");
    if (!file || fputs(schema_yaml, file) < 0 || fclose(file)) exit(1);
    make_rows();
}

#endif
