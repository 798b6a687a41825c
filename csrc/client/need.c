/* Needs: declaring them, and what a producer knows of others': a matcher of all needs in the pool, kept up to date by a subscription to what comes and
 * goes.  Asking it costs no message. */
#include "client/client.h"

#include <stdio.h>

enum { GIVEN = 1u << MST_META_KEY_NAME | 1u << MST_META_KEY_COMPONENT | 1u << MST_META_KEY_RANK | 1u << MST_META_KEY_COLLECTION | 1u << MST_META_KEY_SEQUENCE };
static const uint64_t LATER = ((1ull << MST_META_CORE_KEYS) - 1) & ~(uint64_t)GIVEN; /* attributes that an object gets with its data, or from the manager */

struct mst_client_known {
    int64_t number;
    mst_meta_selector_t *selector; /* NULL: of it is only known that it is there */
    mst_client_known_t *next;
};

/* ---- Declaring. */

maestro_status_t maestro_require(maestro_session_t *session, const char *selector, maestro_need_t **need_out) {
    if (!need_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "require: the output is NULL");
    MST_TRY(mst_client_enter(session, "require"));
    maestro_request_t request = {0};
    mst_wire_request_t like = {.head.kind = MST_WIRE_REQUIRE, .after = session->channel.offers.position};
    maestro_need_t *need = malloc(sizeof *need);
    maestro_status_t status = need ? mst_client_call(session, &request, &like, selector ? selector : "", mst_base_deadline_ns(session->timeout_s), "require")
                                   : mst_base_fail(MAESTRO_SYSTEM, "require: no memory");
    if (status == MAESTRO_OK) {
        *need = (maestro_need_t){.session = session, .number = request.reply->value};
        session->handles++;
        *need_out = need;
    } else free(need);
    if (need) mst_client_request_fini(session, &request);
    mst_client_leave(session);
    return status;
}

maestro_status_t maestro_retract(maestro_need_t *need) {
    if (!need) return MAESTRO_OK;
    maestro_session_t *session = need->session;
    if (session->fork_count != mst_client_forks) return mst_base_fail(MAESTRO_FORKED, "retract: this need belongs to the parent process");
    pthread_mutex_lock(&session->lock);
    if (!session->closed && !session->lost) mst_client_owe(session, &(mst_wire_request_t){.head.kind = MST_WIRE_RETRACT, .argument = need->number});
    free(need);
    mst_client_let_go(session);
    return MAESTRO_OK;
}

/* ---- Knowing. */

static void forget(mst_client_needs_t *needs, mst_client_known_t **link) {
    mst_client_known_t *known = *link;
    *link = known->next;
    if (known->selector) mst_meta_matcher_remove(needs->matcher, known);
    else needs->unsure--;
    mst_meta_selector_destroy(known->selector);
    free(known);
}

static mst_client_known_t **find(mst_client_needs_t *needs, int64_t number) {
    mst_client_known_t **link = &needs->known;
    while (*link && (*link)->number != number) link = &(*link)->next;
    return link;
}

/* NULL: what it selects is only known when the object has been offered. */
static mst_meta_selector_t *parse(maestro_session_t *session, const char *text) {
    mst_meta_selector_t *selector = NULL;
    if (mst_meta_selector_parse(session->schema, text, &selector) != MAESTRO_OK) return NULL;
    if (!(selector->keys[0] & LATER)) {
        mst_meta_selector_bind_known(selector, session->dictionary);
        return selector;
    }
    mst_meta_selector_destroy(selector);
    return NULL;
}

static maestro_status_t learn(maestro_session_t *session, int64_t number, const char *text) {
    mst_client_needs_t *needs = &session->needs;
    mst_client_known_t *known = malloc(sizeof *known);
    if (!known) return mst_base_fail(MAESTRO_SYSTEM, "ask what is wanted: no memory");
    *known = (mst_client_known_t){.number = number, .selector = parse(session, text), .next = needs->known};
    if (known->selector && mst_meta_matcher_add(needs->matcher, known, known->selector, session->schema_number) != MAESTRO_OK) {
        mst_meta_selector_destroy(known->selector);
        known->selector = NULL;
    }
    needs->unsure += !known->selector;
    needs->known = known;
    return MAESTRO_OK;
}

static maestro_status_t take(maestro_session_t *session, const maestro_event_t *event) {
    int64_t number;
    const char *schema, *text;
    MST_TRY(maestro_cdo_get_i64(event->cdo, "maestro.need", &number));
    mst_client_known_t **known = find(&session->needs, number);
    if (event->kind == MAESTRO_EVENT_RETRACTED) {
        if (*known) forget(&session->needs, known);
        return MAESTRO_OK;
    }
    MST_TRY(maestro_cdo_get_str(event->cdo, "maestro.schema", &schema));
    MST_TRY(maestro_cdo_get_str(event->cdo, "maestro.selector", &text));
    return *known || strcmp(schema, session->schema->name) != 0 ? MAESTRO_OK : learn(session, number, text);
}

static void forget_all(mst_client_needs_t *needs) {
    while (needs->known) forget(needs, &needs->known);
    maestro_subscription_dispose(needs->changes);
    needs->changes = NULL;
}

/* All events that are there, or, with `until_end`, those of a query. */
static maestro_status_t take_events(maestro_session_t *session, maestro_subscription_t *events, bool until_end, int64_t deadline_ns) {
    for (;;) {
        maestro_event_t event;
        double left = until_end ? (double)(deadline_ns - mst_base_now_ns()) / 1e9 : 0;
        maestro_status_t status = maestro_subscription_next(events, left > 0 ? left : 0, &event);
        if (status == MAESTRO_TIMEOUT && !until_end) return MAESTRO_OK;
        if (status == MAESTRO_END) return until_end ? MAESTRO_OK : mst_base_fail(MAESTRO_POOL_LOST, "ask what is wanted: the pool manager has left");
        if (status != MAESTRO_OK) return status;
        if (event.kind == MAESTRO_EVENT_GAP) return MAESTRO_AGAIN;
        status = take(session, &event);
        maestro_cdo_dispose(event.cdo);
        MST_TRY(status);
    }
}

static maestro_status_t begin(maestro_session_t *session, int64_t deadline_ns) {
    mst_client_needs_t *needs = &session->needs;
    maestro_subscription_options_t options;
    maestro_subscription_t *present;
    maestro_subscription_options_init(&options);
    options.kinds = MAESTRO_EVENT_REQUIRED | MAESTRO_EVENT_RETRACTED;
    options.start = MAESTRO_START_NOW;
    if (!needs->set && !(needs->set = malloc(MST_META_SET_MAX))) return mst_base_fail(MAESTRO_SYSTEM, "ask what is wanted: no memory");
    if (!needs->matcher) MST_TRY(mst_meta_matcher_create(session->dictionary, &needs->matcher));
    MST_TRY(maestro_subscribe(session, NULL, &options, &needs->changes));
    options.start = MAESTRO_START_QUERY;
    maestro_status_t status = maestro_subscribe(session, NULL, &options, &present);
    if (status == MAESTRO_OK) {
        status = take_events(session, present, true, deadline_ns);
        maestro_subscription_dispose(present);
    }
    return status;
}

static maestro_status_t refresh(maestro_session_t *session, int64_t deadline_ns) {
    mst_client_needs_t *needs = &session->needs;
    maestro_status_t status = MAESTRO_AGAIN;
    while (status == MAESTRO_AGAIN) { /* also after a gap */
        status = needs->changes ? MAESTRO_OK : begin(session, deadline_ns);
        if (status == MAESTRO_OK) status = take_events(session, needs->changes, false, deadline_ns);
        if (status == MAESTRO_OK) break;
        mst_client_error_t error;
        mst_client_error_keep(&error);
        forget_all(needs);
        mst_client_error_restore(&error);
        if (status == MAESTRO_AGAIN && mst_base_now_ns() > deadline_ns) status = mst_base_fail(MAESTRO_TIMEOUT, "ask what is wanted: needs come and go too quickly");
    }
    return status;
}

static maestro_status_t match(maestro_session_t *session, const maestro_cdo_t *cdo, bool *wanted_out) {
    mst_client_needs_t *needs = &session->needs;
    mst_meta_builder_t builder;
    size_t nbytes;
    void *const *matching;
    mst_meta_builder_init(&builder, session->schema, session->dictionary);
    maestro_status_t status = mst_meta_builder_copy(&builder, &cdo->builder);
    if (status == MAESTRO_OK) status = mst_meta_builder_complete(&builder);
    if (status == MAESTRO_OK) status = mst_meta_builder_set_text(&builder, MST_META_KEY_COMPONENT, session->component, strlen(session->component));
    if (status == MAESTRO_OK) status = mst_meta_builder_set_i64(&builder, MST_META_KEY_RANK, builder.mask[0] >> MST_META_KEY_PARTS & 1 ? 0 : session->rank);
    if (status == MAESTRO_OK) status = mst_meta_builder_pack(&builder, session->schema_number, needs->set, MST_META_SET_MAX, &nbytes);
    mst_meta_builder_fini(&builder);
    if (status != MAESTRO_OK) return mst_base_fail_context(status, "ask whether an object is wanted");
    mst_meta_attributes_intern(needs->set, session->schema, (mst_meta_dictionary_t *)session->dictionary, false);
    *wanted_out = needs->unsure || mst_meta_matcher_match(needs->matcher, needs->set, &matching);
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_wanted(const maestro_cdo_t *cdo, double timeout_s, bool *wanted_out) {
    if (!cdo || !wanted_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "ask whether an object is wanted: the object or the output is NULL");
    maestro_session_t *session = cdo->session;
    MST_TRY(mst_client_enter(session, "ask whether an object is wanted"));
    bool open = cdo->building && (cdo->state == MST_CLIENT_DECLARED || cdo->state == MST_CLIENT_SEALED);
    int64_t deadline_ns = mst_client_deadline(session, timeout_s);
    mst_client_leave(session);
    if (!open) return mst_base_fail(MAESTRO_WRONG_STATE, "ask whether an object is wanted: it was offered, or came from the pool; ask before the offer");
    pthread_mutex_lock(&session->needs.lock);
    maestro_status_t status = refresh(session, deadline_ns);
    if (status == MAESTRO_OK) status = match(session, cdo, wanted_out);
    pthread_mutex_unlock(&session->needs.lock);
    return status;
}

void mst_client_needs_fini(maestro_session_t *session) {
    mst_client_needs_t *needs = &session->needs;
    pthread_mutex_lock(&needs->lock);
    forget_all(needs);
    mst_meta_matcher_destroy(needs->matcher);
    free(needs->set);
    needs->matcher = NULL;
    needs->set = NULL;
    pthread_mutex_unlock(&needs->lock);
}
