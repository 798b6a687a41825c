/* What memory costs.
 *   memory wrap NBYTES PASSES    application memory copied into the pool by the offer, beside memcpy, in passes that alternate; both rotate over
 *                                256 MiB, so that no cache helps; GB/s, and the peer that makes a fresh segment per object
 *   memory touch NBYTES          a reader's page faults and time for the first object in a segment and for the second, beside a fresh map each
 *   memory catalogue OBJECTS     bytes of the catalogue and of the manager's resident memory per object that lies there with ten attributes */
#include "bench.h"

#include "mem/segment.h"

enum { ROTATE_NBYTES = 256 << 20, PAGE = 4096, PASSES_MAX = 64 };

/* ---- wrap */
typedef struct pass {
    double maestro_ns, memcpy_ns, fresh_ns;
} pass_t;

static double wrap_pass(maestro_session_t *session, const char *source, size_t nbytes) {
    size_t count = ROTATE_NBYTES / nbytes;
    int64_t spent = 0;
    uint64_t withdrawn = 0;
    for (size_t i = 0; i < count; i++) {
        maestro_cdo_t *cdo = NULL;
        BENCH_OK(maestro_cdo_declare(session, NULL, &cdo));
        bench_set_ten(cdo, (long)i);
        int64_t start = mst_base_now_ns();
        BENCH_OK(maestro_cdo_wrap(cdo, source + i * nbytes, nbytes));
        BENCH_OK(maestro_cdo_offer(cdo));
        spent += mst_base_now_ns() - start;
        BENCH_OK(maestro_cdo_dispose(cdo));
    }
    maestro_cdo_t *last = NULL;
    const void *bytes;
    size_t came;
    char selector[128];
    long i = (long)count - 1;
    snprintf(selector, sizeof selector, "levelist = %ld and number = %ld and step = %ld and maestro.rank = 0", i / BENCH_PARAMS % BENCH_LEVELS + 1, (long)bench_number_of(i), (long)bench_step_of(i));
    (void)selector;
    BENCH_OK(maestro_session_flush(session, BENCH_TIMEOUT_S));
    maestro_subscription_t *subscription = NULL;
    maestro_subscription_options_t options;
    maestro_event_t event;
    maestro_subscription_options_init(&options);
    options.start = MAESTRO_START_QUERY;
    (void)last, (void)bytes, (void)came, (void)subscription, (void)event;
    BENCH_OK(maestro_withdraw(session, BENCH_ALL, MAESTRO_WHEN_RELEASED, BENCH_TIMEOUT_S, &withdrawn));
    BENCH_CHECK(withdrawn == count);
    return (double)spent;
}
