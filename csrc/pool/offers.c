/* Taking offers out of a client's ring, single ones and runs of like objects: each message is copied once, checked, then used; what is wrong ends its
 * session and harms nobody else.  An offer that cannot be taken now waits at the beginning of its ring, and what lies behind it waits with it. */
#include "pool/offers.h"

#include "pool/manager.h"
#include "pool/session.h"
#include "pool/subscription.h"

#include <stdio.h>

enum {
    AHEAD = 8,            /* rows of a run whose place in the table of identities is brought near in advance */
    BACKGROUND_ROWS = 32  /* of a run of a background session, taken before urgent sessions are served again */
};

void mst_pool_refuse(mst_pool_t *pool, mst_pool_session_t *session, uint64_t id, maestro_status_t status, uint64_t other, const char *text) {
    uint64_t buffer[(sizeof(mst_wire_refused_t) + MST_WIRE_TEXT_MAX) / 8 + 1];
    mst_wire_refused_t *refused = (mst_wire_refused_t *)buffer;
    size_t nbytes = text ? strlen(text) : 0;
    if (nbytes > MST_WIRE_TEXT_MAX) nbytes = MST_WIRE_TEXT_MAX;
    *refused = (mst_wire_refused_t){.head.kind = MST_WIRE_REFUSED, .id = id, .status = status, .text_nbytes = (uint32_t)nbytes, .other = other};
    if (nbytes) memcpy(refused->text, text, nbytes);
    mst_pool_session_post(pool, session, refused, sizeof *refused + nbytes);
    session->total.refused++;
    pool->catalogue.refused_total++;
}

static void refuse(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer, maestro_status_t status, uint64_t other, const char *text) {
    if (offer->place.segment != MST_WIRE_NO_SEGMENT) mst_pool_session_freed(pool, session, offer->place.segment, offer->place.offset);
    mst_pool_refuse(pool, session, offer->id, status, other, text);
}

static bool is_full(const mst_pool_catalogue_t *catalogue) { return catalogue->live + catalogue->hidden >= catalogue->limit; }

const char *mst_pool_obstacle(mst_pool_t *pool, char *text, size_t nbytes) {
    if (MST_LIKELY(!is_full(&pool->catalogue) && !pool->holding)) return NULL;
    if (is_full(&pool->catalogue)) {
        snprintf(text, nbytes, "the pool holds its limit of %llu objects; withdraw some, or raise MAESTRO_POOL_OBJECTS", (unsigned long long)pool->catalogue.limit);
        return text;
    }
    return mst_pool_subscription_holder(pool, text, nbytes);
}

bool mst_pool_offers_wait(mst_pool_t *pool) {
    char text[512];
    return mst_pool_obstacle(pool, text, sizeof text) != NULL;
}

/* True when the offer waits, or was refused after waiting (then stalled_since_ns is 0).  What lay behind it in the ring waited with it, and is
 * refused with it. */
static bool stall(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer) {
    char text[512];
    const char *why = mst_pool_obstacle(pool, text, sizeof text);
    if (MST_LIKELY(!why)) {
        session->stalled_since_ns = 0;
        return false;
    }
    if (session->channel.offers.position >= session->refuse_until) {
        if (!session->stalled_since_ns) {
            session->stalled_since_ns = pool->now_ns;
            mst_pool_touch(pool, session); /* a writer that waits for room is told what there is */
        }
        int64_t deadline = session->stalled_since_ns + mst_pool_bounded(offer->timeout_ns);
        if (pool->now_ns < deadline) {
            if (deadline < pool->stall_deadline_ns) pool->stall_deadline_ns = deadline;
            session->stalled_until_ns = deadline;
            return true;
        }
        session->refuse_until = session->channel.offers.other;
    }
    refuse(pool, session, offer, is_full(&pool->catalogue) ? MAESTRO_NO_MEMORY : MAESTRO_TIMEOUT, 0, why);
    session->stalled_since_ns = 0;
    return true;
}

#define NODE_KEY (1ull << MST_META_KEY_NODE)
#define MANAGERS_KEYS (MST_POOL_OWNER_KEYS | 1ull << MST_META_KEY_VERSION | 1ull << MST_META_KEY_PID | 1ull << MST_META_KEY_REASON | \
                       1ull << MST_META_KEY_MISSING | NODE_KEY)

static uint64_t added(const mst_meta_schema_t *schema) { return MST_POOL_OWNER_KEYS | (uint64_t)schema->versions << MST_META_KEY_VERSION; }

/* Of what the manager puts in, a relay may give all, and nobody else anything. */
static bool origin_ok(const mst_pool_session_t *session, const mst_meta_schema_t *schema, uint64_t mask) {
    uint64_t given = mask & MANAGERS_KEYS;
    return !given || (session->relay && (given & ~NODE_KEY) == added(schema));
}

/* How many keys the manager puts in: component, rank, and the version where there are any. */
static unsigned nadded(const mst_meta_schema_t *schema) { return schema->versions ? 3 : 2; }

/* Copies `from` into the pool's set, with what the manager adds, which stands in one place. */
static mst_meta_attributes_t *with_owner(mst_pool_t *pool, const mst_pool_session_t *session, const mst_meta_attributes_t *from) {
    mst_meta_attributes_t *to = pool->offered;
    const mst_meta_schema_t *schema = pool->schema[session->schema];
    pool->relayed = from->mask[0] & MST_POOL_OWNER_KEYS;
    if (MST_UNLIKELY(pool->relayed)) return memcpy(to, from, mst_meta_attributes_nbytes(from));
    unsigned before = (unsigned)__builtin_popcountll(from->mask[0] & ((1ull << MST_META_KEY_COMPONENT) - 1)), after = from->nvalues - before;
    *to = *from;
    to->mask[0] |= added(schema);
    to->nvalues = (uint16_t)(from->nvalues + nadded(schema));
    for (unsigned i = 0; i < before; i++) to->value[i] = from->value[i];
    to->value[before] = session->component_code;
    to->value[before + 1] = mst_pool_parts_count(from) > 1 ? 0 : (uint64_t)session->rank; /* what many make is the component's */
    if (schema->versions) to->value[before + 2] = 1;
    memcpy(&to->value[before + nadded(schema)], &from->value[before], 8u * after + from->tail_nbytes);
    return to;
}

static bool take_attributes(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer, uint32_t *template_out) {
    const mst_meta_schema_t *schema = pool->schema[session->schema];
    size_t nbytes = offer->head.nbytes - offsetof(mst_wire_offer_t, attributes);
    if (offer->attributes.schema != session->schema || !origin_ok(session, schema, offer->attributes.mask[0])) return false;
    if (mst_meta_attributes_check_form(&offer->attributes, nbytes, schema, true) != MAESTRO_OK) return false;
    mst_meta_attributes_t *set = with_owner(pool, session, &offer->attributes);
    if (pool->relayed && schema->versions && (int64_t)set->value[mst_meta_attributes_rank(set, MST_META_KEY_VERSION)] < 1) return false;
    *template_out = mst_pool_template_find(pool, session, set);
    bool valid = *template_out != MST_POOL_NONE ? mst_pool_template_check(pool, mst_pool_template(&pool->catalogue, *template_out), set)
                                                : mst_meta_attributes_check_words(set, schema, pool->dictionary) == MAESTRO_OK;
    if (!valid || !mst_pool_parts_fit(set)) return false;
    if (set->tail_nbytes) mst_meta_attributes_intern(set, schema, pool->dictionary, true);
    if (*template_out == MST_POOL_NONE) *template_out = mst_pool_template_find(pool, session, set); /* text may have become the codes of constants */
    return true;
}

/* Checks an offer; its attributes, complete and interned, are pool->offered afterwards. */
static const char *check_offer(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer, uint32_t *template_out) {
    if (offer->head.kind != MST_WIRE_OFFER || offer->head.nbytes < sizeof *offer) return "it wrote garbage into its offers ring";
    if (offer->id != session->last_id + 1) return "it offered an object with a wrong id";
    if (!mst_pool_lending_place_ok(pool, session, &offer->place)) return "it offered memory that is not lent to it";
    if (!take_attributes(pool, session, offer, template_out)) return "it offered an object with malformed attributes";
    return NULL;
}

/* Into the catalogue; to be published by the caller. `tag` as far as it is known: else 0. */
static maestro_status_t enter(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer, uint32_t template, uint32_t tag, uint32_t *handle_out,
                              uint64_t *other_out, const char **why_out) {
    if (template == MST_POOL_NONE) return MAESTRO_NO_MEMORY;
    if (!tag) tag = (uint32_t)mst_pool_template_identity(pool, mst_pool_template(&pool->catalogue, template), pool->offered);
    if (MST_UNLIKELY(mst_pool_parts_count(pool->offered) > 1)) MST_TRY(mst_pool_parts_take(pool, session, offer, template, handle_out, other_out, why_out));
    else MST_TRY(mst_pool_catalogue_offer(pool, session, offer->id, &offer->place, pool->offered, template, tag, handle_out, other_out));
    bool copied = offer->head.flags & MST_WIRE_OFFER_COPIED;
    session->total.offers++;
    session->total.offered_bytes += offer->place.nbytes;
    session->total.copied += copied;
    pool->catalogue.copied_total += copied;
    return MAESTRO_OK;
}

/* One object, whose checked attributes are pool->offered; false when it has to wait.  Its handle; MST_POOL_NONE: it was refused, or is a part that
 * waits for others. */
static bool take_offer(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer, uint32_t template, uint32_t tag, uint32_t *handle_out) {
    *handle_out = MST_POOL_NONE;
    if (stall(pool, session, offer)) {
        if (session->stalled_since_ns) return false;
    } else {
        uint64_t other = 0;
        const char *why = NULL;
        maestro_status_t status = enter(pool, session, offer, template, tag, handle_out, &other, &why);
        if (status != MAESTRO_OK) {
            char description[512];
            if (!why) mst_meta_attributes_describe(pool->offered, pool->schema[session->schema], pool->dictionary, description, sizeof description);
            refuse(pool, session, offer, status, other, why ? why : description);
        }
    }
    session->last_id = offer->id;
    return true;
}

/* After its event: from now on it may expire. */
static void begin_life(mst_pool_t *pool, uint32_t handle) {
    if (MST_UNLIKELY(pool->offered->mask[0] & MST_POOL_AHEAD_KEYS)) mst_pool_ahead_note(pool, handle, pool->offered);
    if (MST_UNLIKELY(pool->offered->mask[0] & MST_POOL_LIFE_KEYS)) mst_pool_lifetime_begin(pool, handle, pool->offered);
}

/* ---- Runs of offers. */

static const char *const malformed = "it offered objects with malformed attributes";

static const char *check_run(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_run_t *run, size_t nbytes) {
    const mst_meta_schema_t *schema = pool->schema[session->schema];
    if (nbytes < sizeof *run || !run->count || run->count > MST_WIRE_RUN_ROWS || run->nown > MST_WIRE_RUN_OWN || run->has_places > 1) return malformed;
    if (run->attributes.schema != session->schema || run->attributes.tail_nbytes || run->attributes.mask[0] & (MANAGERS_KEYS | 1ull << MST_META_KEY_PARTS)) return malformed;
    if (nbytes != mst_wire_run_nbytes(run->attributes.nvalues, mst_wire_run_row_words(false, run->has_places, run->nown), run->count)) return malformed;
    if (mst_meta_attributes_check_form(&run->attributes, mst_meta_attributes_nbytes(&run->attributes), schema, true) != MAESTRO_OK) return malformed;
    for (unsigned i = 0; i < run->nown; i++)
        if (run->position[i] >= run->attributes.nvalues || (i && run->position[i] <= run->position[i - 1])) return malformed;
    if (run->id + session->row != session->last_id + 1 || session->row >= run->count) return "it offered objects with wrong ids";
    return NULL;
}

/* The own words of a run: where they lie in pool->offered, for the owner's keys have been put in before some; how they are checked. */
typedef struct own_words {
    unsigned nown;
    unsigned position[MST_WIRE_RUN_OWN], key[MST_WIRE_RUN_OWN];
    uint64_t bits[2];  /* positions */
    uint32_t codes;    /* bit i: word i is a code and nothing else, for runs have no text */
    uint32_t reals;    /* bit i: word i is a number that may be no NaN */
    uint32_t checked;  /* bit i: word i is of another type that not all words fit */
} own_words_t;

static unsigned key_at(const mst_meta_attributes_t *set, unsigned position) {
    unsigned half = position < (unsigned)__builtin_popcountll(set->mask[0]) ? 0 : 1;
    uint64_t bits = set->mask[half];
    for (unsigned i = half ? (unsigned)__builtin_popcountll(set->mask[0]) : 0; i < position; i++) bits &= bits - 1;
    return half * 64 + (unsigned)__builtin_ctzll(bits);
}

static bool has_text(const mst_meta_attributes_t *set, const mst_meta_schema_t *schema) {
    bool any = false;
    for (unsigned i = 0; i < set->nvalues; i++) any |= mst_meta_word_is_tail(set->value[i]) && mst_meta_type_is_text(schema->attribute[key_at(set, i)].type);
    return any;
}

static own_words_t find_own(const mst_wire_run_t *run, const mst_meta_attributes_t *set, const mst_meta_schema_t *schema) {
    own_words_t own = {.nown = run->nown};
    unsigned before = (unsigned)__builtin_popcountll(run->attributes.mask[0] & ((1ull << MST_META_KEY_COMPONENT) - 1));
    for (unsigned i = 0; i < run->nown; i++) {
        unsigned position = own.position[i] = run->position[i] + (run->position[i] >= before ? nadded(schema) : 0), key = own.key[i] = key_at(set, position);
        own.bits[position >> 6] |= 1ull << (position & 63);
        own.codes |= (uint32_t)mst_meta_type_is_text(schema->attribute[key].type) << i;
        own.reals |= (uint32_t)(schema->attribute[key].type == MAESTRO_TYPE_F64) << i;
        own.checked |= (uint32_t)(schema->checked[key >> 6] >> (key & 63) & 1) << i;
    }
    own.checked &= ~(own.codes | own.reals);
    return own;
}

/* Checks a row's own words and puts them into pool->offered. */
static bool put_row(mst_pool_t *pool, const own_words_t *own, const mst_meta_schema_t *schema, const uint64_t *word) {
    uint64_t ncodes = mst_meta_dictionary_count(pool->dictionary), wrong = 0;
    for (unsigned i = 0; i < own->nown; i++) pool->offered->value[own->position[i]] = word[i];
    if (MST_UNLIKELY(schema->versions)) pool->offered->value[mst_meta_attributes_rank(pool->offered, MST_META_KEY_VERSION)] = 1; /* the row before may have been another */
    for (uint32_t bits = own->codes; bits; bits &= bits - 1) {
        unsigned i = (unsigned)__builtin_ctz(bits);
        wrong |= word[i] - 1 >= ncodes || !(schema->common[own->key[i] >> 6] >> (own->key[i] & 63) & 1);
    }
    for (uint32_t bits = own->reals; bits; bits &= bits - 1) wrong |= !mst_meta_word_is_real(word[__builtin_ctz(bits)]);
    for (uint32_t bits = own->checked; bits; bits &= bits - 1) {
        unsigned i = (unsigned)__builtin_ctz(bits);
        wrong |= !mst_meta_attributes_check_word(pool->offered, word[i], own->key[i], schema, pool->dictionary);
    }
    return !wrong;
}

static size_t cut_off(mst_pool_session_t *session, const char *wrong) {
    mst_pool_session_break(session, wrong);
    return 0;
}

/* A run that was checked, while its rows are taken. */
typedef struct rows {
    const mst_wire_run_t *run;
    const mst_meta_schema_t *schema;
    own_words_t own;
    size_t words;
    uint32_t template;
    bool foresee;                       /* tags are known from the own words alone */
    uint32_t tag[AHEAD];                /* of the rows to come */
    uint32_t handle[MST_WIRE_RUN_ROWS]; /* of those that were taken */
    size_t ntaken;
} rows_t;

/* OK; AGAIN: it waits; else the run is wrong. */
static maestro_status_t take_row(mst_pool_t *pool, mst_pool_session_t *session, rows_t *rows) {
    const mst_wire_run_t *run = rows->run;
    uint32_t at = session->row, tag = rows->tag[at % AHEAD];
    const uint64_t *row = mst_wire_run_row(run, rows->words, at), *word = row + rows->words - run->nown;
    mst_wire_offer_t offer = {.head.flags = run->head.flags, .id = run->id + at, .timeout_ns = run->timeout_ns, .place.segment = MST_WIRE_NO_SEGMENT};
    if (rows->foresee && at + AHEAD < run->count) rows->tag[at % AHEAD] = mst_pool_catalogue_expect(pool, rows->template, word + AHEAD * rows->words);
    if (run->has_places) offer.place = *(const mst_wire_place_t *)row;
    if (!mst_pool_lending_place_ok(pool, session, &offer.place) || !put_row(pool, &rows->own, rows->schema, word)) return MAESTRO_PROTOCOL;
    if (!take_offer(pool, session, &offer, rows->template, tag, &rows->handle[rows->ntaken])) return MAESTRO_AGAIN;
    if (rows->handle[rows->ntaken] == MST_POOL_NONE) return MAESTRO_OK;
    mst_pool_log_append(pool, rows->handle[rows->ntaken], MAESTRO_EVENT_OFFERED);
    begin_life(pool, rows->handle[rows->ntaken++]);
    if (!rows->schema->versions) return MAESTRO_OK;
    mst_pool_publish_run(pool, rows->handle, rows->ntaken); /* the next row may end an object, with an event of its own */
    rows->ntaken = 0;
    return MAESTRO_OK;
}

/* Takes the rows that were not taken yet; how many it took. */
static size_t serve_run(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_run_t *run, uint32_t nbytes) {
    const mst_meta_schema_t *schema = pool->schema[session->schema];
    const char *wrong = check_run(pool, session, run, nbytes);
    if (wrong) return cut_off(session, wrong);
    mst_meta_attributes_t *set = with_owner(pool, session, &run->attributes);
    if (mst_meta_attributes_check_words(set, schema, pool->dictionary) != MAESTRO_OK || has_text(set, schema)) return cut_off(session, malformed);
    rows_t rows = {.run = run, .schema = schema, .words = mst_wire_run_row_words(false, run->has_places, run->nown)};
    rows.own = find_own(run, set, schema);
    rows.template = mst_pool_template_for_run(pool, session, set, rows.own.bits);
    rows.foresee = rows.template != MST_POOL_NONE && mst_pool_template(&pool->catalogue, rows.template)->nown == run->nown;
    uint32_t first = session->row;
    maestro_status_t status = MAESTRO_OK;
    bool gives_way = pool->nurgent && session->priority == MAESTRO_PRIORITY_BACKGROUND;
    uint32_t end = gives_way && run->count - first > BACKGROUND_ROWS ? first + BACKGROUND_ROWS : run->count;
    while (session->row < end && !session->outbox.first && (status = take_row(pool, session, &rows)) == MAESTRO_OK) session->row++;
    mst_pool_publish_run(pool, rows.handle, rows.ntaken);
    if (status == MAESTRO_PROTOCOL) return cut_off(session, "it offered objects with malformed attributes, or in memory that is not lent to it");
    size_t taken = session->row - first;
    if (session->row < run->count) return taken;
    session->row = 0;
    mst_wire_ring_consume(&session->channel.offers, nbytes);
    return taken;
}

/* The offer at the beginning of its ring waits on: known without looking at it again. */
static bool still_stalled(mst_pool_t *pool, const mst_pool_session_t *session) {
    if (MST_LIKELY(!session->stalled_since_ns) || pool->now_ns >= session->stalled_until_ns || !mst_pool_offers_wait(pool)) return false;
    if (session->stalled_until_ns < pool->stall_deadline_ns) pool->stall_deadline_ns = session->stalled_until_ns;
    return true;
}

/* No object, but that there is one on another node. */
static size_t take_elsewhere(mst_pool_t *pool, mst_pool_session_t *session, const mst_wire_offer_t *offer) {
    if (!pool->relayed || offer->place.segment != MST_WIRE_NO_SEGMENT || !mst_meta_attributes_has(pool->offered, MST_META_KEY_NODE)) return cut_off(session, malformed);
    maestro_status_t status = mst_pool_elsewhere_add(pool, session, offer->id, pool->offered);
    if (status != MAESTRO_OK) refuse(pool, session, offer, status, 0, NULL);
    session->last_id = offer->id;
    mst_wire_ring_consume(&session->channel.offers, offer->head.nbytes);
    return 1;
}

size_t mst_pool_offers_serve(mst_pool_t *pool, mst_pool_session_t *session) {
    bool broken = false;
    if (still_stalled(pool, session)) return 0;
    uint32_t nbytes = 0;
    const void *message = mst_wire_ring_peek(&session->channel.offers, &nbytes, &broken);
    if (broken || nbytes > MST_WIRE_OFFERS_CAPACITY / 2) broken = broken || message;
    if (broken) mst_pool_session_break(session, "its offers ring is out of bounds");
    if (broken || !message) return 0;
    mst_wire_offer_t *offer = (mst_wire_offer_t *)pool->scratch;
    memcpy(offer, message, nbytes);
    __builtin_prefetch((const char *)message + nbytes); /* the next one comes from another core's cache */
    __builtin_prefetch((const char *)message + nbytes + 64);
    __builtin_prefetch((const char *)message + nbytes + 128);
    offer->head.nbytes = nbytes;
    if (session->row && offer->head.kind != MST_WIRE_OFFER_RUN) return cut_off(session, "it changed a run of offers that was being taken");
    if (offer->head.kind == MST_WIRE_OFFER_RUN) return serve_run(pool, session, (const mst_wire_run_t *)pool->scratch, nbytes);
    uint32_t template = MST_POOL_NONE;
    const char *wrong = check_offer(pool, session, offer, &template);
    if (wrong) return cut_off(session, wrong);
    uint32_t handle;
    if (MST_UNLIKELY(offer->head.flags & MST_WIRE_OFFER_ELSEWHERE)) return take_elsewhere(pool, session, offer);
    if (template == MST_POOL_NONE) template = mst_pool_template_renew(pool, session, pool->offered);
    if (!take_offer(pool, session, offer, template, 0, &handle)) return 0;
    if (handle != MST_POOL_NONE) {
        mst_pool_publish(pool, handle, MAESTRO_EVENT_OFFERED, pool->offered);
        begin_life(pool, handle);
    }
    mst_wire_ring_consume(&session->channel.offers, nbytes);
    return 1;
}
