/* Offers numbered objects until it has offered COUNT or is told to stop; with KEEP, withdraws all but its last KEEP ones.
 * Prints how many are known to be in the pool, line by line, after every flush.
 *     producer COMPONENT RANK COUNT KEEP WORDS_MAX PAUSE_US                                    (0: no limit, keeps all, no data) */
#include "common.h"

#include <string.h>

enum { FLUSH_EVERY = 16, KEEP_MAX = 256 };

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    int64_t rank = atoll(argv[2]), count = atoll(argv[3]), keep = atoll(argv[4]), number = 0;
    size_t words_max = (size_t)atoll(argv[5]);
    maestro_cdo_t *kept[KEEP_MAX] = {0};
    maestro_session_t *session = open_session(argv[1], rank);
    for (; (count == 0 || number < count) && !(count == 0 && told_to_stop()); number++) {
        maestro_cdo_t *cdo;
        check(maestro_cdo_declare(session, NULL, &cdo));
        check(maestro_cdo_set_i64(cdo, "number", number));
        if (words_max) {
            void *bytes;
            size_t nwords = words_of(rank, number, words_max);
            check(maestro_cdo_alloc(cdo, nwords * 8, MAESTRO_TIER_DEFAULT, &bytes));
            fill(bytes, nwords, rank, number);
        }
        check(maestro_cdo_offer(cdo));
        maestro_cdo_t **slot = &kept[keep ? number % keep : 0];
        if (keep && *slot) check(maestro_cdo_withdraw(*slot, MAESTRO_WHEN_RELEASED, -1));
        check(maestro_cdo_dispose(*slot));
        *slot = cdo;
        if (number % FLUSH_EVERY == FLUSH_EVERY - 1) {
            check(maestro_session_flush(session, -1));
            printf("%lld\n", (long long)number + 1);
            fflush(stdout);
        }
        pause_us(atol(argv[6]));
    }
    check(maestro_session_close(session));
    printf("%lld\n", (long long)number);
    return 0;
}
