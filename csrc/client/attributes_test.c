/* Attributes by the public interface: what does not fit is refused by name, and arrays come through the pool as they were set. */
#include "base/base.h"
#include "client/session_test.h"

static const char yaml[] = "schema: plasma\nattributes:\n"
                           "  label: {type: string, identity: true, required: true}\n  levels: {type: i64, array: true}\n  weights: {type: f64, array: true}\n"
                           "  species: {type: string, array: true, fold: true}\n  flags: {type: bool, array: true}\n  moments: {type: timestamp, array: true}\n";

static void test_what_does_not_fit_is_refused_by_name(maestro_session_t *session) {
    maestro_cdo_t *cdo = NULL;
    CHECK_OK(maestro_cdo_declare(session, NULL, &cdo));
    CHECK_STATUS(maestro_cdo_set_i64(cdo, "lable", 1), MAESTRO_UNKNOWN_ATTRIBUTE);
    CHECK_ERROR_SAYS("'lable' is no attribute of schema plasma; did you mean 'label'?");
    CHECK_STATUS(maestro_cdo_set_i64(cdo, "label", 1), MAESTRO_WRONG_TYPE);
    CHECK_ERROR_SAYS("set label: a value of type i64 was given, the schema says string");
    CHECK_STATUS(maestro_cdo_offer(cdo), MAESTRO_MISSING_ATTRIBUTE);
    CHECK_ERROR_SAYS("schema plasma requires label, which is not set");
    CHECK_OK(maestro_cdo_set_str(cdo, "label", "mended"));
    CHECK_OK(maestro_cdo_offer(cdo));
    CHECK_OK(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, 5));
    CHECK_OK(maestro_cdo_dispose(cdo));
}

static const int64_t levels[] = {5, -1, INT64_MAX}, moments[] = {0, 1764000000000000000};
static const double weights[] = {0.25, 1e300};
static const bool flags[] = {true, false, true};
static const char *const species[] = {"H", "", "deuterium"};

static void check_arrays(const maestro_cdo_t *cdo) {
    const int64_t *integers = NULL;
    const double *reals = NULL;
    const bool *truths = NULL;
    const char *text = NULL;
    size_t count = 0;
    CHECK_OK(maestro_cdo_get_i64_array(cdo, "levels", &integers, &count));
    CHECK(count == 3 && memcmp(integers, levels, sizeof levels) == 0);
    CHECK_OK(maestro_cdo_get_timestamp_array(cdo, "moments", &integers, &count));
    CHECK(count == 2 && memcmp(integers, moments, sizeof moments) == 0);
    CHECK_OK(maestro_cdo_get_f64_array(cdo, "weights", &reals, &count));
    CHECK(count == 2 && reals[0] == weights[0] && reals[1] == weights[1]);
    CHECK_OK(maestro_cdo_get_bool_array(cdo, "flags", &truths, &count));
    CHECK(count == 3 && truths[0] && !truths[1] && truths[2]);
    CHECK_OK(maestro_cdo_get_str_array(cdo, "species", &text, &count));
    CHECK(count == 3 && strcmp(text, "h") == 0 && strcmp(text + 2, "") == 0 && strcmp(text + 3, "deuterium") == 0);
    CHECK_STATUS(maestro_cdo_get_i64(cdo, "levels", &(int64_t){0}), MAESTRO_WRONG_TYPE);
    CHECK_ERROR_SAYS("get levels: it is of type i64 array, not i64");
}

static void test_arrays_come_as_they_were_set(maestro_session_t *session) {
    maestro_cdo_t *cdo = NULL, *leased = NULL;
    CHECK_OK(maestro_cdo_declare(session, NULL, &cdo));
    CHECK_OK(maestro_cdo_set_str(cdo, "label", "odd"));
    CHECK_OK(maestro_cdo_set_str_array(cdo, "species", species, MST_COUNT(species)));
    CHECK_OK(maestro_cdo_set_i64_array(cdo, "levels", levels, MST_COUNT(levels)));
    CHECK_OK(maestro_cdo_set_bool_array(cdo, "flags", flags, MST_COUNT(flags)));
    CHECK_OK(maestro_cdo_set_f64_array(cdo, "weights", weights, MST_COUNT(weights)));
    CHECK_OK(maestro_cdo_set_timestamp_array(cdo, "moments", moments, MST_COUNT(moments)));
    CHECK_STATUS(maestro_cdo_set_i64_array(cdo, "levels", NULL, 1), MAESTRO_INVALID_ARGUMENT);
    check_arrays(cdo);
    CHECK_OK(maestro_cdo_offer(cdo));
    check_arrays(cdo);
    CHECK_OK(maestro_demand(session, "levels > 5 and species = H and not flags != true or moments >= 2025-01-01", 5, &leased));
    check_arrays(leased);
    CHECK_OK(maestro_cdo_dispose(leased));
    CHECK_OK(maestro_cdo_withdraw(cdo, MAESTRO_WHEN_RELEASED, 5));
    CHECK_OK(maestro_cdo_dispose(cdo));
}

int main(void) {
    char directory[] = "/tmp/maestro-test-XXXXXX", path[64];
    maestro_session_options_t options;
    maestro_session_t *session = NULL;
    make_place(directory);
    snprintf(path, sizeof path, "%s/plasma.yaml", directory);
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(yaml, file) >= 0 && fclose(file) == 0);
    maestro_session_options_init(&options);
    options.schema = path;
    CHECK_OK(maestro_session_open(&options, &session));
    test_what_does_not_fit_is_refused_by_name(session);
    test_arrays_come_as_they_were_set(session);
    CHECK_OK(maestro_session_close(session));
    remove_place(directory);
    return TEST_END;
}
