/* An index of one's own: finds what a pool would find, after its session has gone too. */
#include "client/session_test.h"

enum { STEPS = 500 };

static void add(maestro_index_t *index, maestro_session_t *session, const char *param, int64_t step) {
    maestro_cdo_t *cdo = declare(session, param, step);
    CHECK_OK(maestro_index_add(index, cdo));
    CHECK_OK(maestro_cdo_dispose(cdo));
}

static size_t found(maestro_index_t *index, const char *selector, uint32_t *first_out) {
    uint32_t *numbers = NULL;
    size_t count = 0;
    CHECK_OK(maestro_index_find(index, selector, &numbers, &count));
    for (size_t i = 1; i < count; i++) CHECK(numbers[i - 1] < numbers[i]);
    if (first_out && count) *first_out = numbers[0];
    free(numbers);
    return count;
}

static void check_all(maestro_index_t *index) {
    uint32_t first = 0;
    CHECK(found(index, "", NULL) == 2 * STEPS);
    CHECK(found(index, "param = t", NULL) == STEPS);
    CHECK(found(index, "param = u and step = 7", &first) == 1);
    CHECK(first == 15);
    CHECK(found(index, "step in 10/to/19 and not param = t", NULL) == 10);
    CHECK(found(index, "param like '?' and step < 3", NULL) == 6);
    CHECK(found(index, "param = nobody", NULL) == 0);
}

static void test_objects_are_found_as_in_a_pool(void) {
    maestro_session_t *session = open_session("archive", 10);
    maestro_index_t *index = NULL;
    CHECK_OK(maestro_index_create(session, &index));
    CHECK(found(index, "", NULL) == 0);
    for (int64_t step = 0; step < STEPS; step++) {
        add(index, session, "t", step);
        add(index, session, "u", step);
    }
    check_all(index);
    CHECK_OK(maestro_session_close(session));
    check_all(index);
    maestro_index_destroy(index);
}

static void test_leased_objects_are_added_with_their_owner(void) {
    maestro_session_t *session = open_session("model", 10);
    maestro_index_t *index = NULL;
    maestro_cdo_t *cdo = declare(session, "t", 6), *leased = NULL;
    CHECK_OK(maestro_cdo_offer(cdo));
    CHECK_OK(maestro_demand(session, "step = 6", 5, &leased));
    CHECK_OK(maestro_index_create(session, &index));
    CHECK_OK(maestro_index_add(index, leased));
    CHECK(found(index, "maestro.component = model and param = t", NULL) == 1);
    CHECK(found(index, "maestro.component = other", NULL) == 0);
    CHECK_OK(maestro_cdo_dispose(leased));
    CHECK_OK(maestro_cdo_dispose(cdo));
    CHECK_OK(maestro_session_close(session));
    maestro_index_destroy(index);
}

static void test_wrong_use_is_refused(void) {
    maestro_session_options_t options;
    maestro_session_t *session = open_session("archive", 10), *other = NULL;
    maestro_index_t *index = NULL;
    maestro_cdo_t *cdo = NULL;
    uint32_t *numbers = NULL;
    size_t count = 0;
    CHECK_OK(maestro_index_create(session, &index));
    CHECK_STATUS(maestro_index_find(index, "parm = t", &numbers, &count), MAESTRO_UNKNOWN_ATTRIBUTE);
    CHECK_STATUS(maestro_index_find(index, "param =", &numbers, &count), MAESTRO_BAD_SELECTOR);
    CHECK_STATUS(maestro_index_add(index, NULL), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_index_create(session, NULL), MAESTRO_INVALID_ARGUMENT);
    maestro_session_options_init(&options);
    options.component = "other";
    options.schema = "core";
    CHECK_OK(maestro_session_open(&options, &other));
    CHECK_OK(maestro_cdo_declare(other, "name", &cdo));
    CHECK_STATUS(maestro_index_add(index, cdo), MAESTRO_INVALID_ARGUMENT);
    CHECK(strstr(maestro_last_error(), "schema core"));
    CHECK_OK(maestro_cdo_dispose(cdo));
    CHECK_OK(maestro_session_close(other));
    CHECK_OK(maestro_session_close(session));
    maestro_index_destroy(index);
    maestro_index_destroy(NULL);
}

int main(void) {
    char place[] = "/tmp/maestro-test-XXXXXX";
    make_place(place);
    test_objects_are_found_as_in_a_pool();
    test_leased_objects_are_added_with_their_owner();
    test_wrong_use_is_refused();
    remove_place(place);
    return TEST_END;
}
