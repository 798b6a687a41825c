/* Many short sessions, one after the other: each joins, subscribes, takes some events and a demand, and leaves; every third without a word.
 *     passerby COUNT                                                                                                              */
#include "common.h"

#include <sys/wait.h>
#include <unistd.h>

static void visit(int64_t rank, int rudely) {
    maestro_session_t *session = open_session("passerby", rank);
    maestro_subscription_t *subscription;
    maestro_event_t events[16];
    maestro_request_t *request;
    size_t count = 0;
    check(maestro_subscribe(session, "number > 0", NULL, &subscription));
    check(maestro_demand_start(session, "number = -1", 5, &request)); /* never met */
    maestro_status_t status = maestro_subscription_next_many(subscription, 5, events, 16, &count);
    check(status);
    if (rudely) _exit(0); /* a child of its own: leases, subscription and request are left behind */
    for (size_t i = 0; i < count; i++) check(maestro_cdo_dispose(events[i].cdo));
    check(maestro_request_dispose(request));
    check(maestro_subscription_dispose(subscription));
    check(maestro_session_close(session));
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 0;
    for (long i = 0; i < count; i++) {
        int code = 0;
        if (i % 3) {
            visit(i, 0);
        } else {
            if (fork() == 0) visit(i, 1);
            if (wait(&code) < 0 || code) return 1;
        }
    }
    return 0;
}
