/* Offers an object with an attribute of every type, as setters.f90 does. */
#include <err.h>
#include <maestro.h>

static void check(maestro_status_t status) {
    if (status != MAESTRO_OK) errx(1, "%s", maestro_last_error());
}

int main(int argc, char **argv) {
    maestro_session_options_t options;
    maestro_session_t *session;
    maestro_cdo_t *cdo;
    double *values;
    maestro_session_options_init(&options);
    options.component = "c";
    options.schema = argc > 1 ? argv[1] : NULL;
    check(maestro_session_open(&options, &session));
    check(maestro_cdo_declare(session, "c", &cdo));
    check(maestro_cdo_set_bool(cdo, "flag", true));
    check(maestro_cdo_set_i64(cdo, "number", -7));
    check(maestro_cdo_set_f64(cdo, "weight", 0.25));
    check(maestro_cdo_set_str(cdo, "title", "Grüße"));
    check(maestro_cdo_set_timestamp(cdo, "moment", 1767225600000000001));
    check(maestro_cdo_set_str(cdo, "day", "2026-01-01T00:00:00Z"));
    check(maestro_cdo_set_blob(cdo, "key", "\x01\x00\xff", 3));
    check(maestro_cdo_set_bool_array(cdo, "flags", (bool[]){true, false}, 2));
    check(maestro_cdo_set_i64_array(cdo, "levels", (int64_t[]){1, -2, (int64_t)1 << 40}, 3));
    check(maestro_cdo_set_f64_array(cdo, "weights", (double[]){0.5, -1}, 2));
    check(maestro_cdo_set_str_array(cdo, "species", (const char *[]){"hydrogen", "", "helium"}, 3));
    check(maestro_cdo_set_timestamp_array(cdo, "moments", (int64_t[]){0, 1}, 2));
    check(maestro_cdo_set_i64_array(cdo, "nothing", NULL, 0));
    check(maestro_cdo_set_str(cdo, "maestro.dtype", "<f8"));
    check(maestro_cdo_set_str(cdo, "maestro.shape", "3"));
    check(maestro_cdo_alloc(cdo, 3 * sizeof *values, MAESTRO_TIER_DEFAULT, (void **)&values));
    for (int i = 0; i < 3; i++) values[i] = i + 1;
    check(maestro_cdo_offer(cdo));
    check(maestro_cdo_dispose(cdo));
    check(maestro_session_close(session));
}
