/* The ground floor: status with detail, clock, settings from the environment, spelling help, growable byte buffer and arrays.
 * Nothing here knows what an object is.  Invariant: the function that first decides an error records it with mst_base_fail;
 * callers pass the status on. */
#ifndef MST_BASE_H
#define MST_BASE_H

#include <maestro.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MST_LIKELY(x) __builtin_expect(!!(x), 1)
#define MST_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MST_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MST_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MST_ALIGN(n, a) (((n) + (a) - 1) & ~((uint64_t)(a) - 1))

#define MST_TRY(call)                                        \
    do {                                                     \
        maestro_status_t try_status_ = (call);               \
        if (MST_UNLIKELY(try_status_ != MAESTRO_OK)) return try_status_; \
    } while (0)

enum { MST_BASE_ERROR_NBYTES = 2048 };

/* ---- fail.c: records "operation object: cause; remedy" for this thread and returns the status. */
maestro_status_t mst_base_fail(maestro_status_t status, const char *format, ...) MST_PRINTF(2, 3);
/* The same with errno's text appended to the cause; status SYSTEM. */
maestro_status_t mst_base_fail_errno(const char *format, ...) MST_PRINTF(1, 2);
/* Replaces the message's beginning: "<context>: <old message>". */
maestro_status_t mst_base_fail_context(maestro_status_t status, const char *format, ...) MST_PRINTF(2, 3);

/* ---- clock.c */
int64_t mst_base_now_ns(void);                                   /* CLOCK_MONOTONIC */
int64_t mst_base_span_ns(double seconds);                        /* 0 or less, and no number: 0; beyond 30 years: that */
int64_t mst_base_deadline_ns(double timeout_s);                  /* now + timeout, saturating; 0 or less: now */

/* ---- patience.c: what is over soon is waited for on the core, as long as nobody else wants it.  Yields once, and is true when the caller shall
 * look again; false: it is time to sleep.  *until_ns is 0 when a wait begins; the patience that begins then lasts longest_ns. */
bool mst_base_patience(int64_t *until_ns, int64_t longest_ns);

/* ---- settings.c: MAESTRO_* variables.  All known ones stand in one table there (name, default, meaning). */
const char *mst_base_setting(const char *name);                  /* value or NULL when unset or empty */
double mst_base_setting_f64(const char *name, double otherwise);
int64_t mst_base_setting_bytes(const char *name, int64_t otherwise); /* "4GiB", "512M", "100000" */
bool mst_base_parse_bytes(const char *text, int64_t *bytes_out);
void mst_base_settings_check(void);                              /* warns once, on stderr, about unknown MAESTRO_* variables, naming the nearest */

/* ---- text.c */
/* The candidate nearest to `word` by edit distance (transpositions count once), or NULL when none is near enough to suggest. */
const char *mst_base_nearest(const char *word, size_t word_nbytes, const char *const *candidates, size_t ncandidates);

/* Growable text or bytes; `data` is zero-terminated.  Allocation failure aborts the append and sets `failed`. */
typedef struct mst_base_buffer {
    char *data;
    size_t nbytes, capacity;
    bool failed;
} mst_base_buffer_t;

void mst_base_buffer_append(mst_base_buffer_t *buffer, const void *bytes, size_t nbytes);
void mst_base_buffer_printf(mst_base_buffer_t *buffer, const char *format, ...) MST_PRINTF(2, 3);
void mst_base_buffer_json_string(mst_base_buffer_t *buffer, const char *text, size_t nbytes); /* quoted and escaped */
void mst_base_buffer_fini(mst_base_buffer_t *buffer);

/* ---- grow.c: room for `needed` items in a growing array: a pointer from realloc, or NULL, and its capacity, a size_t or a uint32_t; both change.  It doubles,
 * and begins with `first` items.  False: there is no memory for so many, or the capacity cannot count them; what was there stays.  Macros: arguments without
 * side effects.  ZEROED: items that are new are zero. */
#define MST_RESERVE(array, capacity, needed, first) (MST_LIKELY((needed) <= (capacity)) || MST_GROW(array, capacity, needed, first, false))
#define MST_RESERVE_ZEROED(array, capacity, needed, first) (MST_LIKELY((needed) <= (capacity)) || MST_GROW(array, capacity, needed, first, true))
#define MST_GROW(array, capacity, needed, first, zeroed) \
    _Generic(&(capacity), uint32_t *: mst_base_grow_32, size_t *: mst_base_grow)(&(array), &(capacity), needed, first, sizeof *(array), zeroed)
bool mst_base_grow(void *array, size_t *capacity, size_t needed, size_t first, size_t item_nbytes, bool zeroed);
bool mst_base_grow_32(void *array, uint32_t *capacity, size_t needed, size_t first, size_t item_nbytes, bool zeroed);

/* ---- hash.c: XXH3 (xxHash library), 64 bits. */
uint64_t mst_base_hash(const void *bytes, size_t nbytes);
uint64_t mst_base_hash_seeded(const void *bytes, size_t nbytes, uint64_t seed);

/* A cheap mix of one 64-bit word (splitmix64's finaliser, Steele et al. 2014). */
static inline uint64_t mst_base_mix(uint64_t x) {
    x ^= x >> 30; x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27; x *= 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

#endif
