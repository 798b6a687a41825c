/* Asking for objects: demand, withdraw by selector, count; and requests in two steps. */
#include "client/client.h"

#include <stdio.h>

/* ---- Requests. */

/* What a finished withdrawal means for the handle. */
static void settle(maestro_request_t *request) {
    if (!request->cdo || request->cdo->id != request->cdo_id) return; /* the handle was disposed, and may be another object's now */
    if (request->cdo->state == MST_CLIENT_OFFERED && (request->status == MAESTRO_OK || request->status == MAESTRO_WITHDRAWN))
        request->cdo->state = MST_CLIENT_WITHDRAWN;
}

maestro_status_t maestro_request_wait(maestro_request_t *request, double timeout_s) {
    if (!request) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "wait: the request is NULL");
    maestro_session_t *session = request->session;
    MST_TRY(mst_client_enter(session, "wait for a request"));
    maestro_status_t status = mst_client_wait(session, "wait for a request", mst_client_deadline(session, timeout_s), mst_client_request_is_done, request);
    if (status == MAESTRO_TIMEOUT) status = MAESTRO_IN_PROGRESS;
    else if (status == MAESTRO_OK) {
        settle(request);
        status = mst_client_request_status(request);
    }
    mst_client_leave(session);
    return status;
}

maestro_status_t maestro_request_test(maestro_request_t *request) { return maestro_request_wait(request, 0); }

static maestro_status_t take_leased(maestro_session_t *session, const mst_wire_reply_t *reply, maestro_cdo_t **cdo_out) {
    const mst_meta_attributes_t *attributes = (const mst_meta_attributes_t *)reply->rest;
    maestro_status_t status = mst_client_cdo_leased(session, MST_CLIENT_LEASED, reply->id, reply->lease, &reply->place, attributes, cdo_out);
    if (status != MAESTRO_OK) mst_client_release(session, reply->lease);
    return status;
}

maestro_status_t maestro_request_cdo(maestro_request_t *request, maestro_cdo_t **cdo_out) {
    if (!request || !cdo_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "request: the request or the output is NULL");
    maestro_session_t *session = request->session;
    MST_TRY(mst_client_enter(session, "take the demanded object"));
    const mst_wire_reply_t *reply = request->reply;
    maestro_status_t status = MAESTRO_OK;
    if (!request->done || request->status != MAESTRO_OK || !reply || !reply->lease)
        status = mst_base_fail(MAESTRO_WRONG_STATE, "take the demanded object: the request is not finished, failed, or was no demand; wait for it first");
    else if (request->cdo_taken) status = mst_base_fail(MAESTRO_WRONG_STATE, "take the demanded object: it was taken already");
    else {
        request->cdo_taken = true;
        status = take_leased(session, reply, cdo_out);
    }
    mst_client_leave(session);
    return status;
}

maestro_status_t maestro_request_count(maestro_request_t *request, uint64_t *count_out) {
    if (!request || !count_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "request: the request or the output is NULL");
    maestro_session_t *session = request->session;
    if (session->fork_count != mst_client_forks) return mst_base_fail(MAESTRO_FORKED, "request: it belongs to the parent process");
    pthread_mutex_lock(&session->lock);
    bool known = request->done && request->status == MAESTRO_OK && request->reply;
    if (known) *count_out = request->reply->lease || request->cdo ? 1 : request->reply->value;
    pthread_mutex_unlock(&session->lock);
    return known ? MAESTRO_OK : mst_base_fail(MAESTRO_WRONG_STATE, "count what was withdrawn: the request is not finished, or failed; wait for it first");
}

maestro_status_t maestro_request_dispose(maestro_request_t *request) {
    if (!request) return MAESTRO_OK;
    maestro_session_t *session = request->session;
    if (session->fork_count != mst_client_forks) return mst_base_fail(MAESTRO_FORKED, "dispose: this request belongs to the parent process");
    pthread_mutex_lock(&session->lock);
    if (!session->closed) mst_client_drain(session);
    if (request->done) settle(request);
    if (request->done && request->reply && request->reply->lease && !request->cdo_taken && !session->closed) mst_client_release(session, request->reply->lease);
    mst_client_request_fini(session, request);
    free(request);
    mst_client_let_go(session);
    return MAESTRO_OK;
}

/* ---- Demand. */

static maestro_status_t start(maestro_session_t *session, mst_wire_request_t *like, const char *selector, double timeout_s, const char *operation, maestro_request_t **request_out) {
    if (!request_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: the output is NULL", operation);
    MST_TRY(mst_client_enter(session, operation));
    maestro_request_t *request = calloc(1, sizeof *request);
    like->after = session->channel.offers.position;
    maestro_status_t status = request ? mst_client_send(session, request, like, selector, mst_client_deadline(session, timeout_s), operation)
                                      : mst_base_fail(MAESTRO_SYSTEM, "%s: no memory", operation);
    if (status == MAESTRO_OK) {
        session->handles++;
        *request_out = request;
    } else free(request);
    mst_client_leave(session);
    return status;
}

maestro_status_t maestro_demand_start(maestro_session_t *session, const char *selector, double timeout_s, maestro_request_t **request_out) {
    mst_wire_request_t like = {.head.kind = MST_WIRE_DEMAND};
    return start(session, &like, selector, timeout_s, "demand", request_out);
}

maestro_status_t maestro_withdraw_start(maestro_session_t *session, const char *selector, maestro_when_t when, double timeout_s, maestro_request_t **request_out) {
    mst_wire_request_t like = {.head.kind = MST_WIRE_WITHDRAW_MATCHING, .kinds = when};
    return start(session, &like, selector, timeout_s, "withdraw", request_out);
}

maestro_status_t maestro_demand(maestro_session_t *session, const char *selector, double timeout_s, maestro_cdo_t **cdo_out) {
    MST_TRY(mst_client_enter(session, "demand"));
    if (!cdo_out) {
        mst_client_leave(session);
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "demand: the output is NULL");
    }
    maestro_request_t request = {0};
    mst_wire_request_t like = {.head.kind = MST_WIRE_DEMAND, .after = session->channel.offers.position};
    maestro_status_t status = mst_client_call(session, &request, &like, selector, mst_client_deadline(session, timeout_s), "demand");
    if (status == MAESTRO_OK) status = take_leased(session, request.reply, cdo_out);
    mst_client_request_fini(session, &request);
    mst_client_leave(session);
    return status;
}

static maestro_status_t ask_for_part(const maestro_cdo_t *cdo, uint32_t part, mst_wire_request_t *like_out) {
    if (cdo->state != MST_CLIENT_LEASED) return mst_base_fail(MAESTRO_WRONG_STATE, "part: the object is not leased; demand it first");
    *like_out = (mst_wire_request_t){.head.kind = MST_WIRE_PART, .argument = cdo->lease, .kinds = part};
    return MAESTRO_OK;
}

maestro_status_t maestro_cdo_part_start(const maestro_cdo_t *cdo, uint32_t part, double timeout_s, maestro_request_t **request_out) {
    mst_wire_request_t like;
    if (!cdo) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "part: the object is NULL");
    MST_TRY(ask_for_part(cdo, part, &like));
    return start(cdo->session, &like, NULL, timeout_s, "part", request_out);
}

maestro_status_t maestro_cdo_part(const maestro_cdo_t *cdo, uint32_t part, double timeout_s, maestro_cdo_t **part_out) {
    if (!cdo || !part_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "part: the object or the output is NULL");
    maestro_session_t *session = cdo->session;
    MST_TRY(mst_client_enter(session, "part"));
    maestro_request_t request = {0};
    mst_wire_request_t like;
    maestro_status_t status = ask_for_part(cdo, part, &like);
    if (status == MAESTRO_OK) status = mst_client_call(session, &request, &like, NULL, mst_client_deadline(session, timeout_s), "part");
    if (status == MAESTRO_OK) status = take_leased(session, request.reply, part_out);
    mst_client_request_fini(session, &request);
    mst_client_leave(session);
    return status;
}

/* ---- Count and withdraw by selector. */

static maestro_status_t call_for_number(maestro_session_t *session, const mst_wire_request_t *like, const char *selector, double timeout_s, const char *operation, uint64_t *number_out) {
    maestro_request_t request = {0};
    maestro_status_t status = mst_client_call(session, &request, like, selector, mst_client_deadline(session, timeout_s), operation);
    if (status == MAESTRO_OK && number_out) *number_out = request.reply->value;
    mst_client_request_fini(session, &request);
    mst_client_leave(session);
    return status;
}

maestro_status_t maestro_count(maestro_session_t *session, const char *selector, double timeout_s, uint64_t *count_out) {
    MST_TRY(mst_client_enter(session, "count"));
    mst_wire_request_t like = {.head.kind = MST_WIRE_COUNT, .after = session->channel.offers.position};
    return call_for_number(session, &like, selector, timeout_s, "count", count_out);
}

maestro_status_t maestro_withdraw(maestro_session_t *session, const char *selector, maestro_when_t when, double timeout_s, uint64_t *count_out) {
    MST_TRY(mst_client_enter(session, "withdraw"));
    mst_wire_request_t like = {.head.kind = MST_WIRE_WITHDRAW_MATCHING, .after = session->channel.offers.position, .kinds = when};
    return call_for_number(session, &like, selector, timeout_s, "withdraw", count_out);
}

/* Parses without a pool; appends the selector's parts where `tree` is given. */
static maestro_status_t parse_alone(const char *schema_name, const char *text, mst_base_buffer_t *tree) {
    mst_meta_schema_t *schema = NULL;
    mst_meta_selector_t *selector = NULL;
    MST_TRY(mst_meta_schema_load(schema_name, &schema));
    maestro_status_t status = mst_meta_selector_parse(schema, text, &selector);
    if (status == MAESTRO_OK && tree) mst_meta_selector_json(selector, tree);
    if (status == MAESTRO_OK) mst_meta_selector_destroy(selector);
    mst_meta_schema_destroy(schema);
    return status;
}

maestro_status_t maestro_selector_check(const char *schema, const char *selector) { return parse_alone(schema, selector, NULL); }

maestro_status_t maestro_selector_tree(const char *schema, const char *selector, char **json_out) {
    mst_base_buffer_t tree = {0};
    if (!json_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "selector: the output is NULL");
    MST_TRY(parse_alone(schema, selector, &tree));
    if (!tree.failed) {
        *json_out = tree.data;
        return MAESTRO_OK;
    }
    mst_base_buffer_fini(&tree);
    return mst_base_fail(MAESTRO_SYSTEM, "selector: no memory");
}
