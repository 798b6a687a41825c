/* Receives all objects and checks that each is whole when it comes and when its lease ends, some objects later, and that each producer's
 * objects come in order, each once.  Ends with code 3 at the first that is not whole, 4 at the first out of order.
 * Told to stop, it takes what is there and prints its counts.
 *     consumer COMPONENT RANK SELECTOR PAUSE_US [EVENTS]               (a pause after each 8 events; EVENTS: stops after so many) */
#include "common.h"

#include <string.h>

enum { LEASES = 32, RANKS = 4096 };

typedef struct held {
    maestro_cdo_t *cdo;
    int64_t rank, number;
} held_t;

static int64_t next_number[RANKS];
static long events, gone, gaps;

static void check_whole(const held_t *held) {
    const void *bytes;
    size_t nbytes;
    check(maestro_cdo_data(held->cdo, &bytes, &nbytes));
    if (!nbytes || is_whole(bytes, nbytes / 8, held->rank, held->number)) return;
    fprintf(stderr, "object %lld of rank %lld is not whole\n", (long long)held->number, (long long)held->rank);
    exit(3);
}

static void check_order(int64_t rank, int64_t number) {
    if (rank < 0 || rank >= RANKS) exit(2);
    if (next_number[rank] != number && next_number[rank] != 0) { /* the snapshot may begin anywhere, since producers withdraw */
        fprintf(stderr, "rank %lld: object %lld came where %lld was due\n", (long long)rank, (long long)number, (long long)next_number[rank]);
        exit(4);
    }
    next_number[rank] = number + 1;
}

static void take(const maestro_event_t *event) {
    static held_t ring[LEASES];
    held_t *slot = &ring[events % LEASES], held = {.cdo = event->cdo};
    if (event->kind == MAESTRO_EVENT_GAP) {
        gaps++;
        memset(next_number, 0, sizeof next_number);
        return;
    }
    check(maestro_cdo_get_i64(event->cdo, "number", &held.number));
    check(maestro_cdo_get_i64(event->cdo, "maestro.rank", &held.rank));
    check_order(held.rank, held.number);
    events++;
    if (event->gone) {
        gone++;
        check(maestro_cdo_dispose(event->cdo));
        return;
    }
    check_whole(&held);
    if (slot->cdo) {
        check_whole(slot);
        check(maestro_cdo_dispose(slot->cdo));
    }
    *slot = held;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    long limit = argc > 5 ? atol(argv[5]) : 0;
    maestro_session_t *session = open_session(argv[1], atoll(argv[2]));
    maestro_subscription_t *subscription;
    maestro_event_t event;
    check(maestro_subscribe(session, argv[3], NULL, &subscription));
    puts("ready");
    fflush(stdout);
    for (maestro_status_t status = MAESTRO_OK; limit == 0 || events < limit;) {
        int last = limit == 0 && told_to_stop();
        while ((limit == 0 || events < limit) && (status = maestro_subscription_next(subscription, last ? 0 : 0.05, &event)) == MAESTRO_OK) {
            take(&event);
            if (events % 8 == 0) pause_us(atol(argv[4]));
            if (!last && limit == 0 && events % 64 == 0 && told_to_stop()) break;
        }
        if (status != MAESTRO_OK && status != MAESTRO_TIMEOUT) check(status);
        if (last) break;
    }
    check(maestro_session_close(session));
    printf("events %ld gone %ld gaps %ld\n", events, gone, gaps);
    return 0;
}
