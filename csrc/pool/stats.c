/* The pool's counters as one JSON object; what `maestro top` and `maestro stats` show. */
#include "pool/stats.h"

#include "pool/group.h"
#include "pool/manager.h"
#include "pool/offers.h"
#include "pool/request.h"
#include "pool/session.h"

#include <stdio.h>
#include <unistd.h>

static void text(mst_base_buffer_t *out, const char *key, const char *value) {
    mst_base_buffer_printf(out, "\"%s\":", key);
    mst_base_buffer_json_string(out, value, strlen(value));
}

static void number(mst_base_buffer_t *out, const char *key, uint64_t value) { mst_base_buffer_printf(out, ",\"%s\":%llu", key, (unsigned long long)value); }

static void kinds(mst_base_buffer_t *out, uint32_t mask) {
    static const char *const names[] = {"offered", "withdrawn", "joined", "left", "gap", "expired", "required", "retracted", "incomplete"};
    _Static_assert(MST_WIRE_EVENT_KINDS >> MST_COUNT(names) == 0, "every kind has a name");
    mst_base_buffer_printf(out, ",\"kinds\":[");
    const char *comma = "";
    for (unsigned bit = 0; bit < MST_COUNT(names); bit++) {
        if (!(mask >> bit & 1)) continue;
        mst_base_buffer_printf(out, "%s\"%s\"", comma, names[bit]);
        comma = ",";
    }
    mst_base_buffer_printf(out, "]");
}

static void subscriptions(const mst_pool_t *pool, const mst_pool_session_t *session, mst_base_buffer_t *out) {
    mst_base_buffer_printf(out, ",\"subscriptions\":[");
    for (const mst_pool_subscription_t *s = session->subscriptions; s; s = s->next) {
        mst_base_buffer_printf(out, s == session->subscriptions ? "{" : ",{");
        text(out, "selector", s->selector->source);
        kinds(out, s->kinds);
        if (s->member) mst_base_buffer_printf(out, ",");
        if (s->member) text(out, "group", s->member->group->name);
        number(out, "delivered", s->delivered);
        number(out, "gaps", s->gaps);
        uint64_t seen = s->snapshot ? 0 : s->cursor;
        number(out, "lag", s->lagging ? mst_pool_log_last(&pool->log) - seen : 0);
        mst_base_buffer_printf(out, ",\"hold\":%s}", s->hold ? "true" : "false");
    }
    mst_base_buffer_printf(out, "]");
}

static void groups(const mst_pool_t *pool, mst_base_buffer_t *out) {
    mst_base_buffer_printf(out, ",\"groups\":[");
    for (const mst_pool_group_t *group = pool->groups; group; group = group->next) {
        mst_base_buffer_printf(out, group == pool->groups ? "{" : ",{");
        text(out, "name", group->name);
        mst_base_buffer_printf(out, ",");
        text(out, "selector", group->selector->source);
        number(out, "lag", mst_pool_group_lag(pool, group));
        number(out, "delivered", group->delivered);
        number(out, "acknowledged", group->acknowledged);
        number(out, "redelivered", group->redelivered);
        number(out, "overdue", group->overdue);
        mst_base_buffer_printf(out, ",\"members\":[");
        for (const mst_pool_member_t *member = group->members; member; member = member->of_group) {
            mst_base_buffer_printf(out, member == group->members ? "{" : ",{");
            text(out, "component", member->session->component);
            mst_base_buffer_printf(out, ",\"rank\":%lld", (long long)member->session->rank);
            number(out, "pid", (uint64_t)member->session->pid);
            number(out, "unacknowledged", member->unacknowledged);
            number(out, "credit", member->credit);
            mst_base_buffer_printf(out, "}");
        }
        mst_base_buffer_printf(out, "]}");
    }
    mst_base_buffer_printf(out, "]");
}

static double oldest_lease_s(const mst_pool_t *pool, const mst_pool_session_t *session) {
    int64_t oldest = pool->now_ns;
    for (uint32_t i = 0; i < session->leases_capacity && session->leases_live; i++)
        if (session->lease[i].since_ns && session->lease[i].since_ns < oldest) oldest = session->lease[i].since_ns;
    return (double)(pool->now_ns - oldest) / 1e9;
}

static const mst_pool_request_t *wish_for_memory(const mst_pool_t *pool, const mst_pool_session_t *session) {
    const mst_pool_request_t *request = session->segment_requests ? pool->requests : NULL;
    while (request && (request->session != session || request->kind != MST_WIRE_SEGMENT)) request = request->next;
    return request;
}

/* Whether the session's offers or its wish for memory wait, for how long, and who makes it wait. */
static void waits(mst_pool_t *pool, const mst_pool_session_t *session, mst_base_buffer_t *out) {
    char holders[512] = "", why[600] = "";
    const mst_pool_request_t *wish = wish_for_memory(pool, session);
    int64_t since = session->stalled_since_ns ? session->stalled_since_ns : wish ? wish->started_ns : 0;
    if (session->stalled_since_ns) snprintf(why, sizeof why, "%s", mst_pool_obstacle(pool, holders, sizeof holders) ? holders : "");
    else if (wish) {
        mst_pool_lending_holders(pool, holders, sizeof holders);
        snprintf(why, sizeof why, "memory is held by %s", holders);
    }
    mst_base_buffer_printf(out, ",\"state\":\"%s\",\"waits_s\":%.3f,\"waits_for\":", since ? "waiting" : "running",
                           since ? (double)(pool->now_ns - since) / 1e9 : 0.0);
    mst_base_buffer_json_string(out, why, strlen(why));
}

static void text_of_priority(mst_base_buffer_t *out, maestro_priority_t priority) {
    const char *name = priority == MAESTRO_PRIORITY_URGENT ? "urgent" : priority == MAESTRO_PRIORITY_BACKGROUND ? "background" : "normal";
    mst_base_buffer_printf(out, ",\"priority\":\"%s\"", name);
}

static void sessions(mst_pool_t *pool, mst_base_buffer_t *out) {
    mst_base_buffer_printf(out, ",\"sessions\":[");
    for (size_t i = 0; i < pool->nsessions; i++) {
        const mst_pool_session_t *session = pool->session[i];
        mst_base_buffer_printf(out, i ? ",{" : "{");
        text(out, "component", session->component);
        mst_base_buffer_printf(out, ",\"rank\":%lld", (long long)session->rank);
        number(out, "session", session->number);
        number(out, "pid", (uint64_t)session->pid);
        mst_base_buffer_printf(out, ",\"since_s\":%.3f", (double)(pool->now_ns - session->joined_ns) / 1e9);
        waits(pool, session, out);
        text_of_priority(out, session->priority);
        number(out, "offers", session->total.offers);
        number(out, "offered_bytes", session->total.offered_bytes);
        number(out, "copied", session->total.copied);
        number(out, "refused", session->total.refused);
        number(out, "withdrawn", session->total.withdrawn);
        number(out, "demands", session->total.demands);
        number(out, "events", session->total.events);
        number(out, "event_bytes", session->total.event_bytes);
        number(out, "leases", session->leases_live);
        number(out, "leases_total", session->total.leases);
        mst_base_buffer_printf(out, ",\"oldest_lease_s\":%.6f", oldest_lease_s(pool, session));
        number(out, "memory_lent", session->lent_nbytes);
        number(out, "memory_used", session->used_nbytes);
        subscriptions(pool, session, out);
        mst_base_buffer_printf(out, "}");
    }
    mst_base_buffer_printf(out, "]");
}

static void schemas(const mst_pool_t *pool, mst_base_buffer_t *out) {
    mst_base_buffer_printf(out, ",\"schemas\":[");
    for (uint32_t i = 0; i < pool->nschemas; i++) {
        mst_base_buffer_printf(out, i ? ",{" : "{");
        text(out, "name", pool->schema[i]->name);
        number(out, "number", i);
        number(out, "attributes", pool->schema[i]->nattributes);
        mst_base_buffer_printf(out, "}");
    }
    mst_base_buffer_printf(out, "]");
}

void mst_pool_stats_json(mst_pool_t *pool, mst_base_buffer_t *out) {
    const mst_pool_catalogue_t *catalogue = &pool->catalogue;
    mst_base_buffer_printf(out, "{");
    text(out, "pool", pool->rendezvous.pool);
    mst_base_buffer_printf(out, ",");
    text(out, "node", pool->rendezvous.node);
    mst_base_buffer_printf(out, ",");
    text(out, "socket", pool->rendezvous.socket);
    mst_base_buffer_printf(out, ",");
    text(out, "version", maestro_version());
    number(out, "protocol", MST_WIRE_PROTOCOL);
    number(out, "pid", (uint64_t)getpid());
    mst_base_buffer_printf(out, ",\"uptime_s\":%.3f", (double)(pool->now_ns - pool->started_ns) / 1e9);
    mst_base_buffer_printf(out, ",\"memory\":{\"limit\":%llu", (unsigned long long)pool->lending.limit);
    number(out, "lent", pool->lending.lent_nbytes);
    number(out, "used", pool->lending.used_nbytes);
    number(out, "used_peak", pool->lending.used_peak);
    number(out, "idle", pool->lending.idle_nbytes);
    number(out, "catalogue", catalogue->arena.live_nbytes);
    number(out, "index", mst_meta_index_memory(catalogue->index));
    mst_base_buffer_printf(out, "},\"objects\":{\"live\":%llu", (unsigned long long)catalogue->live);
    number(out, "parts", catalogue->hidden);
    number(out, "limit", catalogue->limit);
    number(out, "offered_total", catalogue->offered_total);
    number(out, "withdrawn_total", catalogue->withdrawn_total);
    number(out, "expired_total", catalogue->expired_total);
    number(out, "with_lifetime", pool->lifetimes.count);
    number(out, "awaiting_archive", pool->lifetimes.unarchived);
    number(out, "refused_total", catalogue->refused_total);
    number(out, "copied_total", catalogue->copied_total);
    number(out, "bytes_total", catalogue->bytes_total);
    number(out, "elsewhere", pool->elsewhere.count - pool->elsewhere.nold);
    mst_base_buffer_printf(out, "},\"events\":{\"sequence\":%llu", (unsigned long long)mst_pool_log_last(&pool->log));
    number(out, "log_entries", pool->log.next - pool->log.base);
    number(out, "log_bytes", mst_pool_log_nbytes(&pool->log));
    number(out, "log_limit", pool->log.limit_nbytes);
    number(out, "gaps_total", pool->log.gaps_total);
    mst_base_buffer_printf(out, "},\"leases\":{\"live\":%llu", (unsigned long long)catalogue->leases);
    number(out, "total", catalogue->leases_total);
    mst_base_buffer_printf(out, "}");
    schemas(pool, out);
    groups(pool, out);
    sessions(pool, out);
    mst_base_buffer_printf(out, "}");
}
