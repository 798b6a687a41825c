/* Attributes of every type, single ones and arrays, set and read again by meaning.  The schema is station.yaml beside this file:
 *     ./attributes station.yaml                                                                                                  */
#include <err.h>
#include <inttypes.h>
#include <maestro.h>
#include <stdio.h>
#include <string.h>

static const int64_t day_ns = 86400 * INT64_C(1000000000);

static void check(maestro_status_t status) {
    if (status != MAESTRO_OK) errx(1, "%s: %s", maestro_status_name(status), maestro_last_error());
}

static void offer(maestro_session_t *session) {
    maestro_cdo_t *cdo;
    check(maestro_cdo_declare(session, NULL, &cdo));
    check(maestro_cdo_set_str(cdo, "name", "Sonnblick"));
    check(maestro_cdo_set_bool(cdo, "manned", true));
    check(maestro_cdo_set_timestamp(cdo, "opened", -30436 * day_ns)); /* 1886-09-02 */
    check(maestro_cdo_set_i64_array(cdo, "levels", (const int64_t[]){2, 10}, 2));
    check(maestro_cdo_set_f64_array(cdo, "bounds", (const double[]){12.9, 47.0, 13.0, 47.1}, 4));
    check(maestro_cdo_set_bool_array(cdo, "works", (const bool[]){true, false}, 2));
    check(maestro_cdo_set_str_array(cdo, "names", (const char *const[]){"thermometer", "anemometer"}, 2));
    check(maestro_cdo_set_timestamp_array(cdo, "checked", (const int64_t[]){20000 * day_ns, 20001 * day_ns}, 2));
    check(maestro_cdo_offer(cdo));
    check(maestro_cdo_dispose(cdo));
}

static void read_again(maestro_session_t *session) {
    maestro_cdo_t *cdo;
    const char *name, *instrument;
    const int64_t *levels, *checked;
    const double *bounds;
    const bool *works;
    size_t count, sides;
    check(maestro_demand(session, "manned = true and opened < 1900-01-01T00:00:00Z", 5, &cdo));
    check(maestro_cdo_get_str(cdo, "name", &name));
    check(maestro_cdo_get_f64_array(cdo, "bounds", &bounds, &sides));
    check(maestro_cdo_get_i64_array(cdo, "levels", &levels, &count));
    check(maestro_cdo_get_bool_array(cdo, "works", &works, &count));
    check(maestro_cdo_get_timestamp_array(cdo, "checked", &checked, &count));
    check(maestro_cdo_get_str_array(cdo, "names", &instrument, &count));
    printf("%s, from %.1f E to %.1f E\n", name, bounds[0], bounds[2]);
    for (size_t i = 0; i < count; i++, instrument += strlen(instrument) + 1)
        printf("%s at %" PRId64 " m, checked on day %" PRId64 ": %s\n", instrument, levels[i], checked[i] / day_ns, works[i] ? "works" : "broken");
    check(maestro_cdo_dispose(cdo));
}

int main(int argc, char **argv) {
    maestro_session_options_t options;
    maestro_session_t *session;
    maestro_session_options_init(&options);
    options.schema = argc > 1 ? argv[1] : "station.yaml";
    check(maestro_session_open(&options, &session));
    offer(session);
    read_again(session);
    check(maestro_session_close(session));
}
