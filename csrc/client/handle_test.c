/* Handles as a C application has them: attributes of each type, what an object says of itself, needs, parts, rejecting, requests in two steps, texts. */
#include "client/session_test.h"

#include <stdlib.h>

static const char schema[] =
    "schema: probe\nattributes:\n  station: {type: string, identity: true, required: true}\n  wet: {type: bool}\n  level: {type: f64}\n  at: {type: timestamp}\n  raw: {type: blob}\n";

static void write_schema(char *path) {
    FILE *file = fdopen(mkstemps(path, 5), "w");
    CHECK(file && fputs(schema, file) >= 0 && fclose(file) == 0);
}

static maestro_session_t *open_probe(const char *component, const char *path) {
    maestro_session_options_t options;
    maestro_session_t *session = NULL;
    maestro_session_options_init(&options);
    options.component = component;
    options.schema = path;
    CHECK_OK(maestro_session_open(&options, &session));
    return session;
}

static maestro_cdo_t *make(maestro_session_t *session, const char *station) {
    maestro_cdo_t *cdo = NULL;
    CHECK_OK(maestro_cdo_declare(session, NULL, &cdo));
    CHECK_OK(maestro_cdo_set_str(cdo, "station", station));
    return cdo;
}

static void test_attributes_of_each_type(maestro_session_t *session) {
    maestro_cdo_t *cdo = make(session, "a"), *like = NULL;
    bool wet = false;
    double level = 0;
    int64_t at = 0;
    const void *raw = NULL;
    size_t nbytes = 0;
    CHECK_OK(maestro_cdo_set_bool(cdo, "wet", true));
    CHECK_OK(maestro_cdo_set_f64(cdo, "level", 2.5));
    CHECK_OK(maestro_cdo_set_timestamp(cdo, "at", 42));
    CHECK_OK(maestro_cdo_set_blob(cdo, "raw", "\0\1", 2));
    CHECK(maestro_cdo_id(cdo) == 0 && maestro_cdo_has(cdo, "raw") && !maestro_cdo_has(cdo, "maestro.time"));
    CHECK_OK(maestro_cdo_declare_like(cdo, &like));
    CHECK_OK(maestro_cdo_get_bool(like, "wet", &wet));
    CHECK_OK(maestro_cdo_get_f64(like, "level", &level));
    CHECK_OK(maestro_cdo_get_timestamp(like, "at", &at));
    CHECK_OK(maestro_cdo_get_blob(like, "raw", &raw, &nbytes));
    CHECK(wet && level == 2.5 && at == 42 && nbytes == 2 && memcmp(raw, "\0\1", 2) == 0);
    CHECK_OK(maestro_cdo_unset(like, "raw"));
    CHECK(!maestro_cdo_has(like, "raw") && maestro_cdo_has(cdo, "raw"));
    CHECK_OK(maestro_cdo_dispose(like));
    CHECK_OK(maestro_cdo_seal(cdo));
    CHECK_STATUS(maestro_cdo_set_bool(cdo, "wet", false), MAESTRO_WRONG_STATE);
    CHECK_OK(maestro_cdo_offer(cdo));
    CHECK(maestro_cdo_id(cdo) != 0 && maestro_cdo_numa_node(cdo) == -1);
    CHECK_OK(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, 5));
    CHECK_OK(maestro_cdo_dispose(cdo));
}

static void test_what_an_object_says_of_itself(maestro_session_t *session) {
    maestro_cdo_t *cdo = make(session, "b");
    uint32_t cursor = 0;
    unsigned count = 0;
    const char *key;
    maestro_type_t type;
    char text[16];
    CHECK_OK(maestro_cdo_set_f64(cdo, "level", 500));
    while (maestro_cdo_next_attribute(cdo, &cursor, &key, &type) == MAESTRO_OK) {
        CHECK(type == (strcmp(key, "level") == 0 ? MAESTRO_TYPE_F64 : MAESTRO_TYPE_STRING));
        count++;
    }
    CHECK(count == 2);
    CHECK(maestro_cdo_describe(cdo, text, sizeof text) >= strlen(text) && strncmp(text, "station=b", 9) == 0);
    CHECK_OK(maestro_cdo_dispose(cdo));
}

static bool wanted(maestro_session_t *session, const char *station) {
    maestro_cdo_t *cdo = make(session, station);
    bool answer = false;
    CHECK_OK(maestro_cdo_wanted(cdo, 5, &answer));
    CHECK_OK(maestro_cdo_dispose(cdo));
    return answer;
}

static void test_needs(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_need_t *need = NULL;
    CHECK(!wanted(producer, "c"));
    CHECK_OK(maestro_require(consumer, "station = c", &need));
    CHECK_OK(maestro_session_flush(producer, 5)); /* an answer of the manager: its event has come before */
    CHECK(wanted(producer, "c") && !wanted(producer, "d"));
    CHECK_OK(maestro_retract(need));
    CHECK_OK(maestro_session_flush(consumer, 5));
    CHECK_OK(maestro_session_flush(producer, 5));
    CHECK(!wanted(producer, "c"));
    CHECK_STATUS(maestro_require(consumer, "station =", &need), MAESTRO_BAD_SELECTOR);
}

static void test_parts_are_asked_for_in_two_steps(maestro_session_t *producer, maestro_session_t *consumer) {
    maestro_cdo_t *cdo = NULL, *part = NULL;
    maestro_request_t *request = NULL;
    const void *bytes = NULL;
    size_t nbytes = 0;
    for (int64_t i = 0; i < 2; i++) {
        maestro_cdo_t *one = make(producer, "e");
        CHECK_OK(maestro_cdo_set_i64(one, "maestro.parts", 2));
        CHECK_OK(maestro_cdo_set_i64(one, "maestro.part", i));
        CHECK_OK(maestro_cdo_wrap(one, i ? "one" : "zero", 4));
        CHECK_OK(maestro_cdo_offer(one));
        CHECK_OK(maestro_cdo_dispose(one));
    }
    CHECK_OK(maestro_demand(consumer, "station = e", 5, &cdo));
    CHECK_OK(maestro_cdo_part_start(cdo, 1, 5, &request));
    CHECK_OK(maestro_request_wait(request, 5));
    CHECK_OK(maestro_request_cdo(request, &part));
    CHECK_OK(maestro_cdo_data(part, &bytes, &nbytes));
    CHECK(nbytes == 4 && memcmp(bytes, "one", 4) == 0);
    CHECK_OK(maestro_cdo_dispose(part));
    CHECK_OK(maestro_cdo_reject(cdo));
    CHECK_OK(maestro_request_dispose(request));
}

static void test_withdrawals_in_two_steps_say_how_many(maestro_session_t *session) {
    maestro_request_t *request = NULL;
    uint64_t count = 0;
    for (int i = 0; i < 3; i++) {
        char station[16];
        snprintf(station, sizeof station, "w%d", i);
        maestro_cdo_t *cdo = make(session, station);
        CHECK_OK(maestro_cdo_offer(cdo));
        CHECK_OK(maestro_cdo_dispose(cdo));
    }
    CHECK_OK(maestro_withdraw_start(session, "station like \"w*\"", MAESTRO_WHEN_RELEASED, 5, &request));
    CHECK_OK(maestro_request_wait(request, 5));
    CHECK_OK(maestro_request_count(request, &count));
    CHECK(count == 3);
    CHECK_OK(maestro_request_dispose(request));
}

static void check_says(char **json, const char *word) {
    CHECK(*json && strstr(*json, word));
    maestro_free(*json);
    *json = NULL;
}

static void test_texts(maestro_session_t *session) {
    char *json = NULL;
    CHECK_OK(maestro_session_schema(session, &json));
    check_says(&json, "\"station\"");
    CHECK_OK(maestro_info(&json));
    check_says(&json, maestro_version());
    CHECK_OK(maestro_selector_tree("mars", "param = t", &json));
    check_says(&json, "\"param\"");
    CHECK_OK(maestro_selector_check("mars", "param = t"));
    CHECK_STATUS(maestro_selector_check("mars", "param"), MAESTRO_BAD_SELECTOR);
    CHECK(strcmp(maestro_status_name(MAESTRO_TIMEOUT), "MAESTRO_TIMEOUT") == 0 && strlen(maestro_status_text(MAESTRO_TIMEOUT)) > 5);
    CHECK(strcmp(maestro_status_text((maestro_status_t)-999), maestro_status_text(MAESTRO_OK)) != 0);
}

int main(void) {
    char path[] = "/tmp/maestro-probe-XXXXXX.yaml", directory[] = "/tmp/maestro-test-XXXXXX";
    make_place(directory);
    write_schema(path);
    maestro_session_t *producer = open_probe("producer", path), *consumer = open_probe("consumer", path);
    test_attributes_of_each_type(producer);
    test_what_an_object_says_of_itself(producer);
    test_needs(producer, consumer);
    test_parts_are_asked_for_in_two_steps(producer, consumer);
    test_withdrawals_in_two_steps_say_how_many(producer);
    test_texts(producer);
    CHECK_OK(maestro_session_close(consumer));
    CHECK_OK(maestro_session_close(producer));
    remove(path);
    remove_place(directory);
    return TEST_END;
}
