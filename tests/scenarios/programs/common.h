/* What the test programs share: opening a session, bytes that tell whose they are, the sign to stop.
 * Every word of an object's bytes follows from producer and number, so bytes that are torn, stale or another object's are found.
 * The same rule stands in ../objects.py. */
#ifndef SCENARIO_COMMON_H
#define SCENARIO_COMMON_H

#include <maestro.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void check(maestro_status_t status) {
    if (status == MAESTRO_OK) return;
    fprintf(stderr, "%s: %s\n", maestro_status_name(status), maestro_last_error());
    exit(1);
}

static maestro_session_t *open_session(const char *component, int64_t rank) {
    maestro_session_options_t options;
    maestro_session_t *session;
    maestro_session_options_init(&options);
    options.component = component;
    options.rank = rank;
    options.schema = getenv("SCENARIO_SCHEMA");
    options.timeout_s = 20;
    check(maestro_session_open(&options, &session));
    return session;
}

/* splitmix64's finaliser, Steele et al. 2014. */
static inline uint64_t mix(uint64_t x) {
    x ^= x >> 30, x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27, x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static inline uint64_t seed_of(int64_t rank, int64_t number) { return mix((uint64_t)rank << 40 ^ (uint64_t)number) | 1; }
static inline size_t words_of(int64_t rank, int64_t number, size_t words_max) { return 8 + seed_of(rank, number) % words_max; }

static inline void fill(uint64_t *words, size_t nwords, int64_t rank, int64_t number) {
    uint64_t seed = seed_of(rank, number);
    for (size_t i = 0; i < nwords; i++) words[i] = seed * (i + 1);
}

static inline int is_whole(const uint64_t *words, size_t nwords, int64_t rank, int64_t number) {
    uint64_t seed = seed_of(rank, number), wrong = nwords < 8;
    for (size_t i = 0; i < nwords; i++) wrong |= words[i] ^ seed * (i + 1);
    return !wrong;
}

/* Whoever started the program ends it by closing its standard input. */
static inline int told_to_stop(void) {
    struct pollfd in = {.fd = 0, .events = POLLIN};
    return poll(&in, 1, 0) > 0 && in.revents & POLLHUP;
}

static inline void pause_us(long us) {
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    if (us) nanosleep(&time, NULL);
}

#endif
