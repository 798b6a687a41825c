/* The consumer of a stream in C; its producer is stream.py, or any other that offers t.
 *     cc stream.c $(pkg-config --cflags --libs maestro) -o stream &&  ./stream &  python stream.py producer                      */
#include <maestro.h>
#include <stdio.h>
#include <stdlib.h>

static void check(maestro_status_t status) {
    if (status == MAESTRO_OK) return;
    fprintf(stderr, "%s\n", maestro_last_error());
    exit(1);
}

static void tell_ready(maestro_session_t *session) {
    maestro_cdo_t *ready;
    check(maestro_cdo_declare(session, "ready", &ready));
    check(maestro_cdo_set_str(ready, "param", "none"));
    check(maestro_cdo_set_i64(ready, "step", 0));
    check(maestro_cdo_offer(ready));
    check(maestro_cdo_dispose(ready));
}

/* The sum of a field of 4-byte floats. */
static double sum(const maestro_cdo_t *field) {
    const void *bytes;
    size_t nbytes;
    double total = 0;
    check(maestro_cdo_data(field, &bytes, &nbytes));
    for (size_t i = 0; i < nbytes / sizeof(float); i++) total += ((const float *)bytes)[i];
    return total;
}

int main(void) {
    maestro_session_options_t options;
    maestro_session_t *session;
    maestro_subscription_t *fields;
    maestro_session_options_init(&options);
    options.component = "consumer";
    options.schema = "mars";
    check(maestro_session_open(&options, &session));
    check(maestro_subscribe(session, "param = t and step in 0/to/48/by/6", NULL, &fields));
    tell_ready(session);
    for (int64_t step = 0; step < 48;) {
        maestro_event_t event;
        check(maestro_subscription_next(fields, 30, &event)); /* the lease comes with the event */
        check(maestro_cdo_get_i64(event.cdo, "step", &step));
        printf("step %lld: sum %.0f\n", (long long)step, sum(event.cdo));
        check(maestro_cdo_dispose(event.cdo)); /* gives the lease back */
    }
    check(maestro_subscription_dispose(fields));
    check(maestro_session_close(session));
    return 0;
}
