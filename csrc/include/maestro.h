/* maestro.h - the public interface of Maestro, in the order in which a user meets things.
 *
 * Maestro hands data from program to program: a producer gives immutable bytes with attributes (a core data object, CDO)
 * to the pool of its node; consumers ask for them by meaning.  Bytes lie in shared memory and are not copied.
 * This library needs no MPI and starts its pool manager by itself.
 *
 * Conventions
 * - Every function that can fail returns a maestro_status_t: 0 is success, positive values are states, negative ones errors.
 *   maestro_last_error() has the detail (operation, object, cause, remedy) of the calling thread's last error.
 * - Outputs come last, end in `_out`, and are written on success only.
 * - Strings given to Maestro are copied; strings it returns belong to the handle they came from unless said otherwise.
 * - Times are seconds in double; a timeout < 0 means the session's default (MAESTRO_TIMEOUT_S, 60 s). No wait is unbounded.
 * - Threads: a session may be used by several threads at once; each call takes the session's lock, and waiting lets go of it.
 *   One handle (cdo, subscription, request) is used by one thread at a time.
 * - fork: in a forked child every handle is invalid; calls answer MAESTRO_FORKED and touch nothing.
 * - Options are structs whose first member is their size; fill them with their _init function first.
 */
#ifndef MAESTRO_H
#define MAESTRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MAESTRO_VERSION_MAJOR 0
#define MAESTRO_VERSION_MINOR 1
#define MAESTRO_VERSION_PATCH 0

#if defined(__GNUC__)
#define MAESTRO_API __attribute__((visibility("default")))
#else
#define MAESTRO_API
#endif

/* ---- Status ------------------------------------------------------------------------------------------------------------
 * X(name, value, Python exception, text).  Bands say what is lost: -1.. the argument, -20.. the request, -40.. the object,
 * -60.. the connection, -80.. the pool. */
#define MAESTRO_STATUS_TABLE(X) \
    X(OK, 0, None, "success") \
    X(AGAIN, 1, None, "nothing yet") \
    X(IN_PROGRESS, 2, None, "started and not finished") \
    X(END, 3, None, "no more will come") \
    X(INTERRUPTED, 4, None, "a signal ended the wait early") \
    X(INVALID_ARGUMENT, -1, ArgumentError, "invalid argument") \
    X(UNKNOWN_ATTRIBUTE, -2, AttributeKeyError, "the schema has no such attribute") \
    X(WRONG_TYPE, -3, AttributeTypeError, "wrong type for this attribute") \
    X(BAD_VALUE, -4, AttributeValueError, "value not allowed for this attribute") \
    X(BAD_SELECTOR, -5, SelectorError, "the selector cannot be understood") \
    X(BAD_SCHEMA, -6, SchemaError, "the schema cannot be understood") \
    X(TIMEOUT, -20, TimeoutError, "not done in time") \
    X(NOT_FOUND, -21, NotFoundError, "nothing matches") \
    X(NOT_UNIQUE, -22, NotUniqueError, "several identities match") \
    X(NO_MEMORY, -23, MemoryError, "no room in the pool") \
    X(TOO_LARGE, -24, TooLargeError, "larger than a limit") \
    X(MISSING_ATTRIBUTE, -40, MissingAttributeError, "a required attribute is missing") \
    X(DUPLICATE, -41, DuplicateError, "an object of this identity exists") \
    X(WITHDRAWN, -42, WithdrawnError, "the object has been withdrawn") \
    X(WRONG_STATE, -43, StateError, "not possible in the object's state") \
    X(CORRUPT, -45, CorruptError, "the object's bytes are not those that were offered") \
    X(INCOMPLETE, -44, IncompleteError, "the object was discarded, for parts of it will not come") \
    X(CLOSED, -60, ClosedError, "the session is closed") \
    X(FORKED, -61, ForkedError, "the session belongs to the parent process") \
    X(REFUSED, -62, RefusedError, "the pool manager refused the session") \
    X(PROTOCOL, -63, ProtocolError, "the peer broke the protocol") \
    X(LINK_LOST, -64, LinkLostError, "the link to other nodes is gone") \
    X(POOL_LOST, -80, PoolLostError, "the pool manager is gone") \
    X(POOL_START, -81, PoolStartError, "the pool manager could not be started") \
    X(SYSTEM, -82, SystemError, "the operating system refused")

typedef enum maestro_status {
#define MAESTRO_STATUS_ENUM(name, value, python, text) MAESTRO_##name = value,
    MAESTRO_STATUS_TABLE(MAESTRO_STATUS_ENUM)
#undef MAESTRO_STATUS_ENUM
} maestro_status_t;

/* The name of a status ("MAESTRO_TIMEOUT") and its one-line text; static strings, never NULL. */
MAESTRO_API const char *maestro_status_name(maestro_status_t status);
MAESTRO_API const char *maestro_status_text(maestro_status_t status);

/* The detail of the calling thread's last error: "operation object: cause; remedy".  Valid until the thread's next error; "" if none. */
MAESTRO_API const char *maestro_last_error(void);

/* Makes a text the calling thread's last error, cut off after 2047 bytes: for libraries on top of this one, which report as it does.  NULL is "". */
MAESTRO_API void maestro_error_record(const char *detail);

/* The version of the library in use, "0.1.0". */
MAESTRO_API const char *maestro_version(void);

/* Frees a string that a function documents as the caller's. NULL is allowed. */
MAESTRO_API void maestro_free(void *memory);

/* ---- Session -----------------------------------------------------------------------------------------------------------
 * One process's connection to the pool of its node.  The first session starts the pool manager, which leaves some seconds after
 * the last one. */
typedef struct maestro_session maestro_session_t;
typedef struct maestro_cdo maestro_cdo_t;
typedef struct maestro_subscription maestro_subscription_t;
typedef struct maestro_request maestro_request_t;

/* Class of service.  The manager serves urgent sessions before others, and again between others; background ones come last, in small shares.  Objects have
 * their session's class unless the attribute maestro.priority says another; each producer's order is kept. */
typedef enum maestro_priority {
    MAESTRO_PRIORITY_DEFAULT = 0, /* MAESTRO_PRIORITY, else normal */
    MAESTRO_PRIORITY_URGENT = 1,
    MAESTRO_PRIORITY_NORMAL = 2,
    MAESTRO_PRIORITY_BACKGROUND = 3
} maestro_priority_t;

typedef struct maestro_session_options {
    size_t size;            /* set by _init */
    const char *pool;       /* the pool's name; NULL: MAESTRO_POOL, else "default" */
    const char *component;  /* the program's name in the workflow; NULL: MAESTRO_COMPONENT, else the executable's name */
    int64_t rank;           /* this process's rank in its component, 0 if it has one only; 0 becomes MAESTRO_RANK where that is set */
    const char *schema;     /* a built-in name ("mars"), a YAML file's path, or NULL: the pool's schema, else the core one */
    double timeout_s;       /* default bound of every wait of this session; < 0: MAESTRO_TIMEOUT_S, else 60 */
    bool start_pool;        /* start the manager when there is none (default true) */
    bool relay;             /* for programs that pass on what others have offered elsewhere, such as links and archives: they may set maestro.component,
                               maestro.rank, maestro.version and maestro.node of what they offer (default false) */
    bool interruptible;     /* waits return MAESTRO_INTERRUPTED after a signal (default false: they go on) */
    maestro_priority_t priority;
} maestro_session_options_t;

MAESTRO_API void maestro_session_options_init(maestro_session_options_t *options);

/* Opens a session; blocking, local.  NULL options are the defaults.
 * Errors: POOL_START, REFUSED (other user, other protocol version, schema of that name differs), BAD_SCHEMA, TIMEOUT, SYSTEM. */
MAESTRO_API maestro_status_t maestro_session_open(const maestro_session_options_t *options, maestro_session_t **session_out);

/* Wakes a sleeping pool manager for what is about to come, so that it need not be waited for when it comes.  Does nothing where there is nothing to wake:
 * for NULL, a closed or forked session, a manager that is awake.  Worth
 * calling some microseconds before an offer or a demand, not longer.  Local; never blocks.  Python's Session.offer does it. */
MAESTRO_API void maestro_session_wake(maestro_session_t *session);

/* Waits until the manager has taken or refused every offer so far; raises the first refusal not yet read, with the number of further ones.
 * Errors: what refused the offer (DUPLICATE, TIMEOUT, ...), POOL_LOST naming the offers not confirmed. */
MAESTRO_API maestro_status_t maestro_session_flush(maestro_session_t *session, double timeout_s);

/* Flushes, then ends the session, also when the flush fails; threads that wait in it return CLOSED.  The session's handle is not used again.
 * Handles made from it answer CLOSED until each is disposed; the memory goes with the last.  Offered objects stay in the pool.  NULL is allowed. */
MAESTRO_API maestro_status_t maestro_session_close(maestro_session_t *session);

/* A JSON text of the pool's counters and limits (per component: offers, demands, bytes, leases, state); the caller frees it.  Waits for the
 * manager's answer; timeout_s < 0: the session's.  Errors: TIMEOUT (the manager is stopped), POOL_LOST, SYSTEM. */
MAESTRO_API maestro_status_t maestro_session_stats(maestro_session_t *session, double timeout_s, char **json_out);

/* JSON text of the session's schema: name, version, reach, the YAML text it came from, and attributes with type, flags and doc; the caller frees it. */
MAESTRO_API maestro_status_t maestro_session_schema(maestro_session_t *session, char **json_out);

/* ---- Core data object: producer's side ---------------------------------------------------------------------------------- */
typedef enum maestro_type {
    MAESTRO_TYPE_BOOL = 1,
    MAESTRO_TYPE_I64 = 2,
    MAESTRO_TYPE_F64 = 3,
    MAESTRO_TYPE_STRING = 4,
    MAESTRO_TYPE_TIMESTAMP = 5, /* int64 nanoseconds since 1970-01-01T00:00 UTC */
    MAESTRO_TYPE_BLOB = 6,
    MAESTRO_TYPE_ARRAY = 16,    /* added to one of the first five: several values of that type */
    MAESTRO_TYPE_BOOL_ARRAY = MAESTRO_TYPE_ARRAY | MAESTRO_TYPE_BOOL,
    MAESTRO_TYPE_I64_ARRAY = MAESTRO_TYPE_ARRAY | MAESTRO_TYPE_I64,
    MAESTRO_TYPE_F64_ARRAY = MAESTRO_TYPE_ARRAY | MAESTRO_TYPE_F64,
    MAESTRO_TYPE_STRING_ARRAY = MAESTRO_TYPE_ARRAY | MAESTRO_TYPE_STRING,
    MAESTRO_TYPE_TIMESTAMP_ARRAY = MAESTRO_TYPE_ARRAY | MAESTRO_TYPE_TIMESTAMP
} maestro_type_t;

typedef enum maestro_tier { MAESTRO_TIER_DEFAULT = 0, MAESTRO_TIER_DRAM = 1 } maestro_tier_t;

typedef enum maestro_when {
    MAESTRO_WHEN_RELEASED = 0, /* as soon as the leases that exist have ended */
    MAESTRO_WHEN_CONSUMED = 1, /* when every subscription that matches has received and released the object */
    MAESTRO_OF_COMPONENT = 16  /* added, for maestro_withdraw: also what other sessions of the same component have offered, or had before they ended */
} maestro_when_t;

/* Declares an object; name may be NULL.  Local, does not block.  The caller disposes the handle. */
MAESTRO_API maestro_status_t maestro_cdo_declare(maestro_session_t *session, const char *name, maestro_cdo_t **cdo_out);

/* Declares an object with the attributes of another one (of any state), without its data: set only what differs. */
MAESTRO_API maestro_status_t maestro_cdo_declare_like(const maestro_cdo_t *like, maestro_cdo_t **cdo_out);

/* Set an attribute; checked at once, can be read back at once.  An i64 is taken for f64 attributes, and for string attributes that the
 * schema pads (time, expver); strings are taken for values that the schema writes as text (step "30m", timestamp ISO 8601).
 * Errors: UNKNOWN_ATTRIBUTE (nearest key named), WRONG_TYPE, BAD_VALUE, WRONG_STATE after the offer. */
MAESTRO_API maestro_status_t maestro_cdo_set_bool(maestro_cdo_t *cdo, const char *key, bool value);
MAESTRO_API maestro_status_t maestro_cdo_set_i64(maestro_cdo_t *cdo, const char *key, int64_t value);
MAESTRO_API maestro_status_t maestro_cdo_set_f64(maestro_cdo_t *cdo, const char *key, double value);
MAESTRO_API maestro_status_t maestro_cdo_set_str(maestro_cdo_t *cdo, const char *key, const char *value);
MAESTRO_API maestro_status_t maestro_cdo_set_timestamp(maestro_cdo_t *cdo, const char *key, int64_t nanoseconds);
MAESTRO_API maestro_status_t maestro_cdo_set_blob(maestro_cdo_t *cdo, const char *key, const void *bytes, size_t nbytes);

/* Set an attribute that the schema marks as an array (array: true) to `count` values, which may be none; they are copied.  Each value is checked and
 * brought to the schema's form as a single one is; i64 values are taken for arrays of f64.  An array has 60 KiB at most, and counts among the object's texts.
 * Errors: as above; TOO_LARGE. */
MAESTRO_API maestro_status_t maestro_cdo_set_bool_array(maestro_cdo_t *cdo, const char *key, const bool *values, size_t count);
MAESTRO_API maestro_status_t maestro_cdo_set_i64_array(maestro_cdo_t *cdo, const char *key, const int64_t *values, size_t count);
MAESTRO_API maestro_status_t maestro_cdo_set_f64_array(maestro_cdo_t *cdo, const char *key, const double *values, size_t count);
MAESTRO_API maestro_status_t maestro_cdo_set_str_array(maestro_cdo_t *cdo, const char *key, const char *const *values, size_t count);
MAESTRO_API maestro_status_t maestro_cdo_set_timestamp_array(maestro_cdo_t *cdo, const char *key, const int64_t *nanoseconds, size_t count);

MAESTRO_API maestro_status_t maestro_cdo_unset(maestro_cdo_t *cdo, const char *key);

/* Gives nbytes of pool memory (64-byte aligned, content undefined) to be filled in place: no copy later.
 * May wait for room until the session's default timeout.  Errors: NO_MEMORY (names the largest holders), TOO_LARGE, WRONG_STATE. */
MAESTRO_API maestro_status_t maestro_cdo_alloc(maestro_cdo_t *cdo, size_t nbytes, maestro_tier_t tier, void **bytes_out);

/* Copies application memory into the object's pool memory, `offset` bytes from its beginning, by the quickest way of this machine; the manager
 * is woken meanwhile, so that it is ready for the offer.  Errors: WRONG_STATE without alloc or after the offer, TOO_LARGE beyond the end. */
MAESTRO_API maestro_status_t maestro_cdo_fill(maestro_cdo_t *cdo, size_t offset, const void *bytes, size_t nbytes);

/* Takes application memory: it is copied into the pool by the offer (one copy, counted) and must not change before. */
MAESTRO_API maestro_status_t maestro_cdo_wrap(maestro_cdo_t *cdo, const void *bytes, size_t nbytes);

/* Ends the setting of attributes and checks the required ones.  Offer seals by itself.  Errors: MISSING_ATTRIBUTE, WRONG_STATE. */
MAESTRO_API maestro_status_t maestro_cdo_seal(maestro_cdo_t *cdo);

/* Gives the object to the pool; asynchronous: what only the manager can refuse comes with maestro_cdo_wait or the next flush.
 * From here on the bytes must not be written.  Errors at once: MISSING_ATTRIBUTE, WRONG_STATE, POOL_LOST, TIMEOUT (manager does not drain). */
MAESTRO_API maestro_status_t maestro_cdo_offer(maestro_cdo_t *cdo);

/* An object of several parts, which several processes of one component make together: each offers its parts as objects of the same identity, with the
 * attributes maestro.parts (how many there are) and maestro.part (which one this is, from 0 on; default: the session's rank).  When the last has come, all
 * of it is visible at once, as one object: part 0's attributes and bytes, and the others' through maestro_cdo_part.  It is of rank 0, whoever offered what.
 * Each of the ranks 0 to parts - 1 is expected to offer one or more parts: when one leaves without having done so, what has come is discarded; flush and
 * wait of those who offered it then say INCOMPLETE, and an event tells consumers. */

/* Waits until the manager has taken or refused this object's offer; of one of several parts this does not wait for the others. */
MAESTRO_API maestro_status_t maestro_cdo_wait(maestro_cdo_t *cdo, double timeout_s);

/* Takes an own offered object back: new demands no longer find it; returns when nobody reads it, and the bytes are the producer's again
 * (maestro_cdo_data gives them until dispose).  TIMEOUT names the holders: after RELEASED the object stays withdrawn and its bytes
 * come back to the pool later; after CONSUMED it stays in the pool as if nothing had been asked. */
MAESTRO_API maestro_status_t maestro_cdo_withdraw(maestro_cdo_t *cdo, maestro_when_t when, double timeout_s);

/* Gives up the handle: a consumer's lease ends; an object not offered is freed; an offered one stays in the pool.  NULL is allowed.
 * CORRUPT (with MAESTRO_CHECK=sums): the object's bytes were written to since its offer; the handle has been given up all the same. */
MAESTRO_API maestro_status_t maestro_cdo_dispose(maestro_cdo_t *cdo);

/* The same without acknowledging: the consumer group that the object came from gives it to another member, and the
 * reading does not count (maestro.demands).  Else as maestro_cdo_dispose. */
MAESTRO_API maestro_status_t maestro_cdo_reject(maestro_cdo_t *cdo);

/* ---- Core data object: reading ------------------------------------------------------------------------------------------ */
MAESTRO_API uint64_t maestro_cdo_id(const maestro_cdo_t *cdo); /* 0 before the offer */

/* The bytes of a leased (or own) object; read-only; valid until dispose or the session's close.  nbytes 0 with NULL bytes for an object without data. */
MAESTRO_API maestro_status_t maestro_cdo_data(const maestro_cdo_t *cdo, const void **bytes_out, size_t *nbytes_out);

/* A part of a leased object of several parts, as an object of its own with a lease on the whole; the caller disposes it.  Part 0 is the object itself once
 * more.  Blocks for one question to the manager, up to timeout_s (< 0: the session's).
 * Errors: NOT_FOUND (it has no such part), WRONG_STATE (not leased), TIMEOUT, POOL_LOST. */
MAESTRO_API maestro_status_t maestro_cdo_part(const maestro_cdo_t *cdo, uint32_t part, double timeout_s, maestro_cdo_t **part_out);

/* The NUMA node on which most of the data lies, by 256 pages at most; -1 when that is not known: no data, not yet written, or a sandbox forbids
 * the question. */
MAESTRO_API int maestro_cdo_numa_node(const maestro_cdo_t *cdo);

/* Get an attribute.  Errors: UNKNOWN_ATTRIBUTE, WRONG_TYPE, NOT_FOUND when the object has no such attribute.
 * Strings (zero-terminated) and blobs belong to the handle, until dispose or the next set. */
MAESTRO_API bool maestro_cdo_has(const maestro_cdo_t *cdo, const char *key);
MAESTRO_API maestro_status_t maestro_cdo_get_bool(const maestro_cdo_t *cdo, const char *key, bool *value_out);
MAESTRO_API maestro_status_t maestro_cdo_get_i64(const maestro_cdo_t *cdo, const char *key, int64_t *value_out);
MAESTRO_API maestro_status_t maestro_cdo_get_f64(const maestro_cdo_t *cdo, const char *key, double *value_out);
MAESTRO_API maestro_status_t maestro_cdo_get_str(const maestro_cdo_t *cdo, const char *key, const char **value_out);
MAESTRO_API maestro_status_t maestro_cdo_get_timestamp(const maestro_cdo_t *cdo, const char *key, int64_t *nanoseconds_out);
MAESTRO_API maestro_status_t maestro_cdo_get_blob(const maestro_cdo_t *cdo, const char *key, const void **bytes_out, size_t *nbytes_out);

/* Get an array's values, which belong to the handle, until dispose or the next set.  The texts of a string array stand one behind the other, each with its
 * terminating zero: the next one is at first + strlen(first) + 1.  Errors: as above. */
MAESTRO_API maestro_status_t maestro_cdo_get_bool_array(const maestro_cdo_t *cdo, const char *key, const bool **values_out, size_t *count_out);
MAESTRO_API maestro_status_t maestro_cdo_get_i64_array(const maestro_cdo_t *cdo, const char *key, const int64_t **values_out, size_t *count_out);
MAESTRO_API maestro_status_t maestro_cdo_get_f64_array(const maestro_cdo_t *cdo, const char *key, const double **values_out, size_t *count_out);
MAESTRO_API maestro_status_t maestro_cdo_get_str_array(const maestro_cdo_t *cdo, const char *key, const char **first_out, size_t *count_out);
MAESTRO_API maestro_status_t maestro_cdo_get_timestamp_array(const maestro_cdo_t *cdo, const char *key, const int64_t **nanoseconds_out, size_t *count_out);

/* Walks the attributes that are set, in the schema's order: start with *cursor = 0; END after the last one. */
MAESTRO_API maestro_status_t maestro_cdo_next_attribute(const maestro_cdo_t *cdo, uint32_t *cursor, const char **key_out, maestro_type_t *type_out);

/* Writes "t@500 step=6 ..." for messages; always terminated; returns the length that was needed. */
MAESTRO_API size_t maestro_cdo_describe(const maestro_cdo_t *cdo, char *text, size_t nbytes);

/* ---- Asking for objects ------------------------------------------------------------------------------------------------- */

/* Checks a selector against a schema (built-in name or file; NULL: core) without a pool.  Errors: BAD_SELECTOR pointing at the character. */
MAESTRO_API maestro_status_t maestro_selector_check(const char *schema, const char *selector);

/* The selector's parts as JSON text, for programs that compare selectors; the caller frees it.  {"schema", "core_only", "tree"}; a part has "op":
 * "and", "or", "not" with parts in "of"; "has", "in" and "ne" with "values", "range" with "low", "high" (and "open_low", "open_high", "step"), "like"
 * with "pattern", each with its "key", and "array": true where that has several values, of which any may meet it; "true" for
 * everything.  Values are in the schema's form, timestamps in nanoseconds.  Errors: as above. */
MAESTRO_API maestro_status_t maestro_selector_tree(const char *schema, const char *selector, char **json_out);
/* An index of one's own: attribute sets of objects that need not be in the pool, such as those in an archive, found by selectors as the pool finds objects.
 * It keeps copies and outlives the session whose schema it has; one thread at a time.  NULL is allowed for destroy.  Errors: SYSTEM. */
typedef struct maestro_index maestro_index_t;
MAESTRO_API maestro_status_t maestro_index_create(maestro_session_t *session, maestro_index_t **index_out);
MAESTRO_API void maestro_index_destroy(maestro_index_t *index);

/* Adds the attributes of an object in any state; they are numbered 0, 1, 2, ...  Errors: INVALID_ARGUMENT (a session of another schema), WRONG_STATE
 * (disposed), NO_MEMORY. */
MAESTRO_API maestro_status_t maestro_index_add(maestro_index_t *index, const maestro_cdo_t *cdo);

/* The numbers of those that match, ascending; the caller frees the array.  Errors: BAD_SELECTOR, UNKNOWN_ATTRIBUTE and what else the selector's check
 * answers; NO_MEMORY. */
MAESTRO_API maestro_status_t maestro_index_find(maestro_index_t *index, const char *selector, uint32_t **numbers_out, size_t *count_out);

/* Waits for exactly one identity that matches and leases its newest version.
 * Errors: NOT_UNIQUE (count and keys that differ), TIMEOUT (what came nearest), BAD_SELECTOR, POOL_LOST, LINK_LOST (it lies on another node, at once). */
MAESTRO_API maestro_status_t maestro_demand(maestro_session_t *session, const char *selector, double timeout_s, maestro_cdo_t **cdo_out);

/* The same in two steps.  wait: IN_PROGRESS when `timeout_s` has passed and the demand's own time has not.
 * maestro_request_dispose retracts a request that is not finished. */
MAESTRO_API maestro_status_t maestro_demand_start(maestro_session_t *session, const char *selector, double timeout_s, maestro_request_t **request_out);
MAESTRO_API maestro_status_t maestro_cdo_part_start(const maestro_cdo_t *cdo, uint32_t part, double timeout_s, maestro_request_t **request_out);
MAESTRO_API maestro_status_t maestro_cdo_withdraw_start(maestro_cdo_t *cdo, maestro_when_t when, double timeout_s, maestro_request_t **request_out);
MAESTRO_API maestro_status_t maestro_withdraw_start(maestro_session_t *session, const char *selector, maestro_when_t when, double timeout_s,
                                                    maestro_request_t **request_out);
MAESTRO_API maestro_status_t maestro_request_wait(maestro_request_t *request, double timeout_s);
MAESTRO_API maestro_status_t maestro_request_test(maestro_request_t *request); /* OK, IN_PROGRESS or the error */
MAESTRO_API maestro_status_t maestro_request_cdo(maestro_request_t *request, maestro_cdo_t **cdo_out); /* the demanded object, once */
MAESTRO_API maestro_status_t maestro_request_count(maestro_request_t *request, uint64_t *count_out); /* how many objects were withdrawn */
MAESTRO_API maestro_status_t maestro_request_dispose(maestro_request_t *request);

/* Declares that objects which match will be needed: who can provide them (an archive, a link to other nodes, a producer that asks maestro_cdo_wanted) is
 * told, until the need is retracted or the session ends.  Errors: BAD_SELECTOR, TOO_LARGE (more than 4096 at once), TIMEOUT, POOL_LOST. */
typedef struct maestro_need maestro_need_t;
MAESTRO_API maestro_status_t maestro_require(maestro_session_t *session, const char *selector, maestro_need_t **need_out);

/* Ends the need and frees its handle.  NULL is allowed. */
MAESTRO_API maestro_status_t maestro_retract(maestro_need_t *need);

/* Whether anybody needs a declared object as its attributes are now: a subscription, a demand that waits or a declared need matches.  What selects by
 * attributes that come with the data (maestro.dtype, maestro.shape, ...) counts as matching.  The first question of a session waits for the manager, up
 * to `timeout_s` (< 0: the session's); the others cost no message.  Errors: MISSING_ATTRIBUTE, WRONG_STATE after the offer, TIMEOUT, POOL_LOST. */
MAESTRO_API maestro_status_t maestro_cdo_wanted(const maestro_cdo_t *cdo, double timeout_s, bool *wanted_out);

/* How many live objects match. */
MAESTRO_API maestro_status_t maestro_count(maestro_session_t *session, const char *selector, double timeout_s, uint64_t *count_out);

/* Withdraws all own objects of the session that match, or all of its component (MAESTRO_OF_COMPONENT); as maestro_cdo_withdraw. */
MAESTRO_API maestro_status_t maestro_withdraw(maestro_session_t *session, const char *selector, maestro_when_t when, double timeout_s,
                                              uint64_t *count_out);

/* ---- Subscriptions ------------------------------------------------------------------------------------------------------ */
typedef enum maestro_event_kind {
    MAESTRO_EVENT_OFFERED = 1,
    MAESTRO_EVENT_WITHDRAWN = 2,
    MAESTRO_EVENT_JOINED = 4, /* a component's session: attributes maestro.component, maestro.rank, maestro.pid */
    MAESTRO_EVENT_LEFT = 8,   /* the same, and maestro.reason: "closed" or "died" */
    MAESTRO_EVENT_EXPIRED = 32, /* the time of maestro.lifetime was over, or the readings of maestro.demands */
    MAESTRO_EVENT_REQUIRED = 64, /* somebody needs objects: attributes maestro.need (its number), maestro.selector, maestro.schema, who (of a consumer
                                    group maestro.component alone, which is its name), and maestro.reason: "require", "demand" (one that waits) or
                                    "subscription".  A selector of nearly 60 KiB is told as "", everything, and a demand of it as "require" */
    MAESTRO_EVENT_RETRACTED = 128, /* the same need has ended */
    MAESTRO_EVENT_INCOMPLETE = 256, /* an object of several parts was discarded: its attributes, maestro.missing ("1,3-5": parts that had not come), maestro.reason */
    MAESTRO_EVENT_GAP = 16    /* a plain subscription was too slow: events gap_from..gap_to are lost to it */
} maestro_event_kind_t;

typedef enum maestro_start {
    MAESTRO_START_SNAPSHOT = 0, /* the live objects that match, then what comes */
    MAESTRO_START_NOW = 1,      /* only what comes */
    MAESTRO_START_QUERY = 2     /* the live objects that match, then END */
} maestro_start_t;

typedef struct maestro_subscription_options {
    size_t size;
    uint32_t kinds;        /* sum of maestro_event_kind_t; default OFFERED */
    maestro_start_t start; /* default SNAPSHOT */
    bool hold;             /* offers wait for this subscription instead of leaving it behind; default false */
    bool observe;          /* only watches: what it selects does not count as needed (MAESTRO_EVENT_REQUIRED, maestro_cdo_wanted); default false */
    size_t window_bytes;   /* size of the subscription's ring; 0: 1 MiB */
    const char *group;     /* consumer group to join, at most 63 bytes; NULL: none.  Every object that the group's selector selects goes to one member */
    uint32_t limit;        /* in a group: objects that this member may have unacknowledged; 0: as its pace suggests, 256 at most */
    uint32_t prefetch;     /* in a group: objects that it may have however slow it is, within the limit; 0: two, the one in work and the next */
    double acknowledge_s;  /* in a group: what it has not acknowledged after so long goes to another member; 0: only when it leaves or dies */
} maestro_subscription_options_t;

typedef struct maestro_event {
    maestro_event_kind_t kind;
    bool gone;             /* the object was withdrawn before its event arrived: attributes only */
    bool redelivered;      /* in a group: another member was given it before, and did not acknowledge it */
    uint64_t sequence;     /* number in the node's event log */
    uint64_t gap_from, gap_to;
    maestro_cdo_t *cdo;    /* the caller disposes it; NULL for a gap */
} maestro_event_t;

MAESTRO_API void maestro_subscription_options_init(maestro_subscription_options_t *options);

/* Subscribes; NULL selector is everything (of the session's schema).  The first member of a consumer group says what it selects, and whether it starts with
 * the snapshot; disposing an object acknowledges it.  Offers wait for groups as for subscriptions that hold.
 * Errors: BAD_SELECTOR, INVALID_ARGUMENT (the group has another selector; kinds other than OFFERED), TOO_LARGE, POOL_LOST. */
MAESTRO_API maestro_status_t maestro_subscribe(maestro_session_t *session, const char *selector, const maestro_subscription_options_t *options,
                                               maestro_subscription_t **subscription_out);

/* The next event, with the lease.  TIMEOUT when none came, END after a query's last one or when the manager left in good order. */
MAESTRO_API maestro_status_t maestro_subscription_next(maestro_subscription_t *subscription, double timeout_s, maestro_event_t *event_out);

/* Up to `capacity` events at once; waits for the first only. */
MAESTRO_API maestro_status_t maestro_subscription_next_many(maestro_subscription_t *subscription, double timeout_s, maestro_event_t *events,
                                                            size_t capacity, size_t *count_out);

typedef struct maestro_values {
    const char *key;
    maestro_type_t type;   /* of the schema: BOOL, I64, F64 or TIMESTAMP */
    void *values;          /* room for `capacity` of bool, int64_t or double */
} maestro_values_t;

/* Attributes of up to `capacity` offered objects at once, into columns; waits for the first only; the leases are given back, so this is for who reads
 * no data.  Made for streams of like objects: AGAIN when what comes next is something else (a text of its own, an absent attribute, another
 * kind of event, a gap): take that one with maestro_subscription_next.  Else as there.  Errors also: UNKNOWN_ATTRIBUTE, WRONG_TYPE. */
MAESTRO_API maestro_status_t maestro_subscription_next_columns(maestro_subscription_t *subscription, double timeout_s, const maestro_values_t *columns,
                                                               size_t ncolumns, size_t capacity, size_t *count_out);

/* A descriptor that is readable when an event may be there; owned by the subscription.  Drain with timeout 0 until TIMEOUT. */
MAESTRO_API int maestro_subscription_fd(const maestro_subscription_t *subscription);
MAESTRO_API maestro_status_t maestro_subscription_dispose(maestro_subscription_t *subscription);

/* ---- Many objects at once ----------------------------------------------------------------------------------------------- */
typedef struct maestro_column {
    const char *key;
    maestro_type_t type;   /* of `values`: int64_t, double, const char *, bool; I64 for timestamps */
    bool constant;         /* one value for all objects */
    const void *values;    /* `count` values, or one */
} maestro_column_t;

/* Offers `count` objects in one call: attributes by columns, payloads by pointers (copied, counted) or none (NULL).
 * Errors as maestro_cdo_offer; the object's number is in the message; objects before it were offered: `offered_out` (may be NULL) says
 * how many, and is written in any case, so that the rest can be offered after a signal or when there is room again. */
MAESTRO_API maestro_status_t maestro_offer_many(maestro_session_t *session, size_t count, const maestro_column_t *columns, size_t ncolumns,
                                                const void *const *payloads, const size_t *nbytes, size_t *offered_out);

/* ---- Placement: threads and ranks near an object's bytes ---------------------------------------------------------------- */
typedef struct maestro_pin maestro_pin_t;

typedef struct maestro_pin_options {
    size_t size;
    int64_t pid;           /* the process whose threads are all bound; 0: the calling thread alone, and those that it starts from here on */
    int64_t rank, nranks;  /* `nranks` processes or threads share the cores; this one gets part `rank`, counted from 0; default 0 of 1 */
    bool dry_run;          /* choose and describe only */
} maestro_pin_options_t;

MAESTRO_API void maestro_pin_options_init(maestro_pin_options_t *options);

/* Binds a thread or a process to the cores near an object's bytes: of those that it may use (cpuset, affinity before any pin) the ones local to the
 * NUMA node that holds most of the object's pages; where there are none (another's cpuset, memory without cores) the nearest ones.  NULL options are
 * the defaults.  Local, takes milliseconds.  Pins may be nested, and a later one replaces what a disposed one of the same thread or process bound.
 * The caller unpins, or disposes the handle to stay bound.
 * Errors: NOT_FOUND (no data, nothing written to it yet, no such process), WRONG_STATE (hwloc was told of another machine and this is no dry run),
 * INVALID_ARGUMENT, SYSTEM. */
MAESTRO_API maestro_status_t maestro_pin_to_cdo(const maestro_cdo_t *cdo, const maestro_pin_options_t *options, maestro_pin_t **pin_out);

/* What was chosen and why, as JSON; belongs to the handle.  "node" of the object, "pages" looked at and "pages_there"; "allowed" cores, of these the
 * "domain" near the object, of these the "cores" of this rank, as lists like 0-3,8; the NUMA "nodes" of these cores; "why"; "rank", "ranks", "pid",
 * "bound". */
MAESTRO_API const char *maestro_pin_describe(const maestro_pin_t *pin);

/* Gives every thread of the pin back the cores that it had before, from any thread and in any order of pins, and ends the handle.  Threads that a
 * pinned process has started since get what its first thread gets.  NULL is allowed.  Errors: FORKED (in a child; nothing is undone), SYSTEM. */
MAESTRO_API maestro_status_t maestro_unpin(maestro_pin_t *pin);

/* Ends the handle; the threads stay bound.  NULL is allowed. */
MAESTRO_API void maestro_pin_dispose(maestro_pin_t *pin);

/* ---- Arrays: layouts ----------------------------------------------------------------------------------------------------
 * A layout says how an n-dimensional global array is cut into parts, and how each part lies in its owner's memory.  Parts know nothing of each other:
 * no layout needs memory that grows with their number.  Layouts are immutable; any thread may use them, also several at once.  They need no session.
 *
 * Sizes, counts, indices and strides are int64_t and count elements, not bytes; indices begin at 0.  A dimension may be of size 0 and a part may be empty.
 * An array has at most 2^59 elements (for this, sizes of 0 count as 1), so that bytes can be counted too.
 * Errors of all functions here: INVALID_ARGUMENT, which names the dimension and the value; TOO_LARGE beyond 2^59; SYSTEM without memory. */
#define MAESTRO_DIMENSIONS_MAX 7

typedef struct maestro_layout maestro_layout_t;

typedef enum maestro_order {
    MAESTRO_ROW_MAJOR = 0,    /* the last index is the quickest: C, numpy's default */
    MAESTRO_COLUMN_MAJOR = 1  /* the first index is the quickest: Fortran */
} maestro_order_t;

typedef struct maestro_layout_options {
    size_t size;                /* set by _init */
    maestro_order_t order;      /* of each part's elements in memory; default ROW_MAJOR */
    maestro_order_t grid_order; /* how parts are numbered in the grid: ROW_MAJOR (default) counts its last dimension first, as BLACS does by default */
    int64_t low[MAESTRO_DIMENSIONS_MAX], high[MAESTRO_DIMENSIONS_MAX]; /* ghost cells below and above a part's own ones, default 0; a part that owns
                                   nothing has none.  Only where a part is one contiguous block in each dimension */
} maestro_layout_options_t;

MAESTRO_API void maestro_layout_options_init(maestro_layout_options_t *options);

/* Cuts each dimension d into grid[d] blocks that are balanced: the first shape[d] mod grid[d] ones are longer by one, as numpy.array_split does.
 * `shape` and `grid` have `ndims` (1 to MAESTRO_DIMENSIONS_MAX) values; NULL options are the defaults.  The caller destroys the layout. */
MAESTRO_API maestro_status_t maestro_layout_blocks(int ndims, const int64_t *shape, const int64_t *grid, const maestro_layout_options_t *options,
                                                   maestro_layout_t **layout_out);

/* Cuts each dimension d into blocks of block[d] (at least 1; the last may be shorter), dealt to its grid[d] parts in turn, as ScaLAPACK does.  Blocks of 1
 * are the cyclic cut; blocks of shape[d] / grid[d], rounded up, are one block a part. */
MAESTRO_API maestro_status_t maestro_layout_block_cyclic(int ndims, const int64_t *shape, const int64_t *block, const int64_t *grid,
                                                         const maestro_layout_options_t *options, maestro_layout_t **layout_out);

/* Says what one part, this process's own one, holds of a global array whose other parts are not known here: `nboxes` boxes, of which box i has the indices
 * from begin[i * ndims + d] up to, not including, end[i * ndims + d] in each dimension d.  They lie one after the other, each in the options' order;
 * a single box may have ghosts.  The layout has this one part, number 0; the arrays are copied.  Boxes that overlap are an INVALID_ARGUMENT. */
MAESTRO_API maestro_status_t maestro_layout_boxes(int ndims, const int64_t *shape, int64_t nboxes, const int64_t *begin, const int64_t *end,
                                                  const maestro_layout_options_t *options, maestro_layout_t **layout_out);

/* The same for `count` places in the order in which they lie in memory: the global index in row-major order (of a shape (n, m), element (i, j) is i * m + j)
 * of what lies in each, or -1 where nothing of the array does.  `is_ghost` says which places are ghost cells, of elements that another part owns, or this one:
 * they may come as often as one likes; NULL: none.  An index that is owned twice is an INVALID_ARGUMENT. */
MAESTRO_API maestro_status_t maestro_layout_indices(int ndims, const int64_t *shape, int64_t count, const int64_t *indices, const bool *is_ghost,
                                                    maestro_layout_t **layout_out);

/* NULL is allowed. */
MAESTRO_API void maestro_layout_destroy(maestro_layout_t *layout);

/* How many parts the layout knows: the product of its grid; 1 for boxes and indices. */
MAESTRO_API int64_t maestro_layout_nparts(const maestro_layout_t *layout);

/* How a part lies in memory.  Parts of several boxes or of indices have one dimension here. */
typedef struct maestro_local {
    int ndims;
    maestro_order_t order;
    int64_t nelements;      /* room that the part needs, ghosts included */
    int64_t nowned;         /* elements of the global array among them */
    int64_t shape[MAESTRO_DIMENSIONS_MAX];                              /* ghosts included */
    int64_t stride[MAESTRO_DIMENSIONS_MAX];                             /* from an element to the next of this dimension */
    int64_t low[MAESTRO_DIMENSIONS_MAX], high[MAESTRO_DIMENSIONS_MAX];  /* ghosts */
    int64_t first[MAESTRO_DIMENSIONS_MAX];  /* the global index of the first owned element; 0 for parts of several boxes or of indices, and for empty ones */
} maestro_local_t;

MAESTRO_API maestro_status_t maestro_layout_local(const maestro_layout_t *layout, int64_t part, maestro_local_t *local_out);

/* Where in a part's memory the element of a global index (one number per dimension of the layout) lies; -1 if the part does not own it. */
MAESTRO_API maestro_status_t maestro_layout_offset(const maestro_layout_t *layout, int64_t part, const int64_t *index, int64_t *offset_out);

/* The part that owns a global index; -1 if that is not the only part of boxes or indices. */
MAESTRO_API maestro_status_t maestro_layout_owner(const maestro_layout_t *layout, const int64_t *index, int64_t *part_out);

/* ---- Arrays: redistribution ---------------------------------------------------------------------------------------------
 * A plan takes the elements of an array from one layout to another, among the ranks of one MPI communicator: from blocks to block-cyclic, from row- to
 * column-major, from one program's ranks to another's.  It is made once and used many times.  These functions are in libmaestro_mpi, which is built for
 * one MPI; this header needs no mpi.h.  MPI errors never abort here: they are returned.
 *
 * Collective: every rank of the communicator calls, in the same order.  Making a plan gives all ranks the same status, with the same last error, and takes
 * what is told once; no rank holds a table that grows with the array.  The plans of a process, all together, are used by one thread at a time,
 * under MPI_THREAD_SINGLE too. */
typedef struct maestro_plan maestro_plan_t;

/* What the elements of a field are: their size alone, or a type whose values can be converted.  The lowest byte is the size in bytes. */
typedef enum maestro_element {
    MAESTRO_BYTES_1 = 1, MAESTRO_BYTES_2 = 2, MAESTRO_BYTES_4 = 4, MAESTRO_BYTES_8 = 8, MAESTRO_BYTES_16 = 16, /* moved as they are */
    MAESTRO_I32 = 0x104, MAESTRO_I64 = 0x108,  /* int32_t, int64_t */
    MAESTRO_F32 = 0x204, MAESTRO_F64 = 0x208,  /* float, double */
    MAESTRO_C64 = 0x308, MAESTRO_C128 = 0x310  /* complex float, complex double */
} maestro_element_t;

/* A field whose elements are not moved as they are: target = scale * source, or its conjugate.  Real values become complex ones, not the reverse; floating
 * ones become integers by truncation towards zero, and what an integer cannot hold is undefined, as in C. */
typedef struct maestro_field {
    maestro_element_t from, to;     /* MAESTRO_BYTES_...: the same on both sides, and neither scaled nor conjugated */
    double scale, scale_imaginary;  /* the imaginary part is for complex targets alone */
    bool conjugate;                 /* the source, before it is scaled */
} maestro_field_t;

/* The same element on both sides, as it is. */
MAESTRO_API void maestro_field_init(maestro_field_t *field, maestro_element_t element);

/* A communicator as MPI's Fortran handle: MPI_Comm_c2f(comm) in C, comm itself in Fortran, comm.py2f() in mpi4py. */
typedef int maestro_comm_t;

typedef enum maestro_method {
    MAESTRO_METHOD_AUTO = 0,     /* the quickest of those that can be made, by a trial when the plan is made */
    MAESTRO_METHOD_PACKED = 1,   /* one message for each pair of ranks, in pieces of about half a MiB if it is large */
    MAESTRO_METHOD_SHARED = 2,   /* ranks of one node read each other's memory, once where it is from maestro_alloc; between nodes as PACKED, of
                                    AUTO also as DATATYPES: then "shared+datatypes" is what the plan explains */
    MAESTRO_METHOD_DATATYPES = 3, /* one message for each pair of ranks and each field, described to MPI as it lies in memory */
    MAESTRO_METHOD_STAGED = 4,   /* ranks of one node pack into memory that the other reads, whatever the fields' memory is; between nodes as SHARED */
    MAESTRO_METHOD_BUFFERED = 5, /* as PACKED, but that MPI reads no fields: what lies in one line is copied into the plan's own memory as well */
    MAESTRO_METHOD_AUTO_PRIVATE = 6 /* as AUTO, for fields that are not from maestro_alloc: tried with such memory; without SHARED, which is STAGED there */
} maestro_method_t;

typedef struct maestro_plan_options {
    size_t size;              /* set by _init */
    maestro_method_t method;  /* default AUTO */
    bool partial;             /* elements of the target that have no source are left as they are; default: refused as NOT_FOUND */
    int64_t from_part, to_part; /* which part of the layout this rank has; -1 (default): that of its rank in the communicator, and 0 of boxes and indices */
    size_t max_fields;        /* that one start may move; room is made for so many; default 1 */
    const maestro_field_t *fields; /* max_fields of them, which may differ; NULL (default): all as `element` says */
    bool periodic[MAESTRO_DIMENSIONS_MAX]; /* of maestro_halo: beyond its end a dimension begins again; default false */
    const void *const *try_from;  /* sources that AUTO and AUTO_PRIVATE try methods with, max_fields of them, as a use takes them; default NULL */
    void *const *try_to;          /* and targets, which are written as by a use if there is a trial; default NULL; of maestro_halo, these alone */
} maestro_plan_options_t;

MAESTRO_API void maestro_plan_options_init(maestro_plan_options_t *options);

/* Makes a plan.  Collective and blocking.  `from` and `to` are this rank's views of the source's and the target's layout; NULL on a rank that has no part of
 * that side.  Of a regular layout (blocks, block-cyclic) all ranks that give one give the same, and ranks have different parts; of boxes and indices each
 * gives what it has itself.  Both are of one shape, and no longer needed afterwards.  `element` says what elements are, or their size in bytes: 1, 2, 4, 8
 * or 16.  Options but for the parts are the same on all ranks; NULL are the defaults.  Plans have a duplicate of the communicator, one for all of them, so
 * their messages meet no others.  Which ranks are of one node is learnt with the first of them: those that share memory and have the same MAESTRO_NODE, or
 * none.  AUTO takes some hundred microseconds more for small arrays, and a few uses for large ones; it does best with the arrays that the plan will move,
 * options try_from and try_to, for how long MPI takes depends on where their pages lie.  They are tried if all ranks give theirs, and none on a device; else
 * scratch arrays.  Where these would take more than an eighth of the memory that is free, and where nothing moves, it is SHARED if that can be made, else
 * PACKED.  After an error that is SYSTEM or TIMEOUT MPI may still use the arrays that were given.
 * The caller destroys the plan.  Errors, all of them the same on all ranks: INVALID_ARGUMENT (the ranks' arguments do not fit each other, no communicator),
 * NOT_FOUND (an element of the target has no source; the first is named), DUPLICATE (an element or a part has two ranks on one side; the same), TOO_LARGE,
 * SYSTEM; WRONG_STATE where MPI is not initialised.  Not the same: TIMEOUT where ranks have not called within MAESTRO_TIMEOUT_S; then WRONG_STATE, since the
 * communicator is of no use for plans any more. */
MAESTRO_API maestro_status_t maestro_redistribute(const maestro_layout_t *from, const maestro_layout_t *to, maestro_element_t element, maestro_comm_t comm,
                                                  const maestro_plan_options_t *options, maestro_plan_t **plan_out);

/* Makes a plan that fills the ghost cells of a layout with the elements that they stand for, those of corners too.  Collective and blocking, as
 * maestro_redistribute; `layout` is blocks, block-cyclic or one box with ghosts, or indices with ghosts; NULL on a rank without a part.  Ghost cells outside
 * the array are left as they are, unless the dimension is periodic.  Option from_part is this rank's part; to_part and partial have no meaning here.  A use
 * takes each field once, as `to`; `from` is not looked at.  Errors: as maestro_redistribute; NOT_FOUND: a ghost cell's element has no owner. */
MAESTRO_API maestro_status_t maestro_halo(const maestro_layout_t *layout, maestro_element_t element, maestro_comm_t comm,
                                          const maestro_plan_options_t *options, maestro_plan_t **plan_out);

/* Which part of the target's layout this rank should take, as option to_part, so that as few bytes as possible change ranks: where both layouts are equal up
 * to the numbers of their parts, none do.  Collective; arguments as those of maestro_redistribute, both layouts regular and with one part for each rank.
 * Errors: INVALID_ARGUMENT, SYSTEM. */
MAESTRO_API maestro_status_t maestro_relabel(const maestro_layout_t *from, const maestro_layout_t *to, maestro_comm_t comm,
                                             const maestro_plan_options_t *options, int64_t *to_part_out);

/* Memory for arrays that other ranks of the node can read, so that a redistribution copies each element once, straight out of it.  Of zeros, aligned to pages;
 * its pages are made by who touches them first.  Local; from any thread.  The caller gives it back with maestro_dealloc, not while a plan that was started
 * uses it; ranks that have read it keep it mapped until they destroy the plan.  Errors: SYSTEM (no memory, no descriptor: each has one). */
MAESTRO_API maestro_status_t maestro_alloc(size_t nbytes, void **memory_out);
MAESTRO_API maestro_status_t maestro_dealloc(void *memory); /* NULL is allowed; INVALID_ARGUMENT: it is not from maestro_alloc */

/* Moves `nfields` arrays (1 to max_fields, on all ranks as many), together between each pair of ranks: from[i] is the beginning of this rank's part in the
 * source's layout, to[i] of that in the target's; NULL where the rank has no such part.  Memory belongs to the caller; sources are not written and targets not
 * read until the plan is done; they do not overlap.  Ghost cells are not written.  Does not wait for other ranks.  Until it is done, a rank waits for others
 * by waits and tests of plans alone, of any of them and in any order: others may need that of this rank.  It makes no plan meanwhile, and waits in MPI for no
 * rank that may still wait for this plan; only a plan of DATATYPES goes on by itself.
 * Errors: WRONG_STATE (started and not waited for; a use has failed), INVALID_ARGUMENT, SYSTEM. */
MAESTRO_API maestro_status_t maestro_plan_start(maestro_plan_t *plan, size_t nfields, const void *const *from, void *const *to);

/* The same where fields lie on a device, some or all of them, on this rank alone or on all: memory of CUDA that the host cannot read.  `stream` is a CUstream
 * or cudaStream_t of that device; maestro_plan_start takes the default stream, NULL.  The fields are staged: what is put on the stream before has been done
 * when they are read, by this call; targets are written on the stream, and complete when the wait, or a test, is OK.  The calling thread needs no context of
 * CUDA.  What that costs: a copy of the whole part, ghost cells too, from the device before the exchange, of each source, and of each target of which the plan
 * does not write every element (as of halos), since what is not written keeps its values; a copy of each target's whole part to the device after it; and host
 * memory for all of these, which the plan has from their first use to its end, as from maestro_alloc.  The call waits for the copies, and so for the stream.
 * Memory that the host can read is never staged.  Managed memory is read after what is on the stream; pinned and plain memory as it is, so work on it is
 * waited for before.  CUDA's driver is loaded when a process makes its first plan, where one is installed, and never initialised: a process that does not use
 * CUDA has no fields on a device and gets no context.  Where there is a driver each use asks it where each field lies, some 100 ns a field, less where the
 * process does not use it; where there is none nothing is asked.
 * Errors: those of maestro_plan_start; INVALID_ARGUMENT too where the stream is not the fields' (nothing has begun), SYSTEM too where the device fails: the
 * plan has failed then, here or in the wait, and other ranks hear of it, or their wait ends, as after any other failure. */
MAESTRO_API maestro_status_t maestro_plan_start_on(maestro_plan_t *plan, void *stream, size_t nfields, const void *const *from, void *const *to);

/* Waits until the target is complete and the source may be written.  TIMEOUT: the plan goes on; wait again.  WRONG_STATE: it was not started.
 * Other errors end the use, and the plan with it: INVALID_ARGUMENT (ranks started different numbers of fields), SYSTEM.  Then targets are undefined, and MPI
 * may read sources until they have been sent. */
MAESTRO_API maestro_status_t maestro_plan_wait(maestro_plan_t *plan, double timeout_s);
MAESTRO_API maestro_status_t maestro_plan_test(maestro_plan_t *plan); /* does what can be done; OK, IN_PROGRESS or the error */

/* Start and wait. */
MAESTRO_API maestro_status_t maestro_plan_run(maestro_plan_t *plan, size_t nfields, const void *const *from, void *const *to);

/* What a use of one field does on this rank, as JSON: "method", "element_bytes", "kept_bytes" that stay on the rank, "messages": of each other rank "rank",
 * "way" (the method by which this pair moves), "sent_bytes", "received_bytes"; "trial_s": of each method that was tried the seconds of a use of all fields,
 * on the slowest rank.  Bytes are those of the first field.  Local; the caller frees the text.  INVALID_ARGUMENT: the plan has been destroyed. */
MAESTRO_API maestro_status_t maestro_plan_explain(const maestro_plan_t *plan, char **json_out);

/* Ends the plan, after the wait for a use that was started, of MAESTRO_TIMEOUT_S at most.  All ranks destroy it, none waits for others to do so.
 * NULL is allowed.  The handle is gone in any case: later calls with it are refused as
 * INVALID_ARGUMENT, until its memory has become that of other plans.  Errors are those of the wait. */
MAESTRO_API maestro_status_t maestro_plan_destroy(maestro_plan_t *plan);

/* ---- Names of programs --------------------------------------------------------------------------------------------------
 * Splits a communicator, as a rule the world, by names that the ranks give: each name's communicator has the ranks that gave it, in their order.  A rank may
 * be in several, as "ocean" and "ocean and ice"; it never matters in which order programs or names come.  The ranks speak version 1 of the MPI handshake
 * that couplers have agreed on, so programs that use another library's take part.  Collective.  `names` has `nnames` different names (0 is allowed) of 1 to
 * 4096 bytes; the caller frees each communicator, in the order of the names, with MPI_Comm_free.  Errors: INVALID_ARGUMENT (the same on all ranks, but for
 * what is no communicator), PROTOCOL (a rank speaks another version, or breaks this one), WRONG_STATE (MPI is not initialised), SYSTEM. */
MAESTRO_API maestro_status_t maestro_comm_split(maestro_comm_t comm, size_t nnames, const char *const *names, maestro_comm_t *comms_out);

/* ---- Machine ------------------------------------------------------------------------------------------------------------ */
/* JSON text about this machine as Maestro sees it: memory spaces with sizes, cgroup limits, NUMA nodes, cores, pools; the caller frees it. */
MAESTRO_API maestro_status_t maestro_info(char **json_out);

#ifdef __cplusplus
}
#endif
#endif
