/* Exchanges objects with any other program of the pool, for instance with exchange.py: offers its own, waits for the other's.
 *     ./exchange ping pong &  python exchange.py pong ping                                                                        */
#include <err.h>
#include <maestro.h>
#include <stdio.h>

static void check(maestro_status_t status) {
    if (status != MAESTRO_OK) errx(1, "%s", maestro_last_error());
}

int main(int argc, char **argv) {
    const char *mine = argc > 2 ? argv[1] : "ping", *theirs = argc > 2 ? argv[2] : "pong";
    maestro_session_options_t options;
    maestro_session_t *session;
    maestro_session_options_init(&options);
    options.component = mine;
    options.schema = "mars";
    check(maestro_session_open(&options, &session));
    for (int step = 0; step < 10; step++) {
        maestro_cdo_t *cdo;
        double *values;
        check(maestro_cdo_declare(session, NULL, &cdo));
        check(maestro_cdo_set_str(cdo, "param", mine));
        check(maestro_cdo_set_i64(cdo, "step", step));
        check(maestro_cdo_set_str(cdo, "maestro.dtype", "<f8"));
        check(maestro_cdo_alloc(cdo, 100 * sizeof *values, MAESTRO_TIER_DEFAULT, (void **)&values));
        for (int i = 0; i < 100; i++) values[i] = step + i;
        check(maestro_cdo_offer(cdo));
        check(maestro_cdo_dispose(cdo));
        char selector[64];
        const void *bytes;
        size_t nbytes;
        snprintf(selector, sizeof selector, "param = %s and step = %d", theirs, step);
        check(maestro_demand(session, selector, 30, &cdo));
        check(maestro_cdo_data(cdo, &bytes, &nbytes));
        printf("%s step %d: %zu bytes, first %g\n", theirs, step, nbytes, *(const double *)bytes);
        check(maestro_cdo_dispose(cdo));
    }
    check(maestro_session_close(session));
}
