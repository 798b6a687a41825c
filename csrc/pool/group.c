/* Consumer groups: a cursor in the event log that several subscriptions, the members, share.  Every object that the group selects goes to one member,
 * by demand: to the one that has fewest unacknowledged, up to its credit, which follows what it acknowledges in a while (CREDIT_NS), so that a slow member hoards
 * nothing.  The end of the lease acknowledges.  What a member that died, left, rejected it or took too long had not acknowledged goes to another one, marked.
 *
 * The log keeps what a group has not seen, as for a subscription that holds.  A group outlives its members for a while, so that they can be started anew.
 * A group whose name begins with "archive" makes copies: what it acknowledges is safe (see lifetime.c).
 * Invariant: an object that was given to a member is acknowledged, or among a member's leases, or in `returned`, or withdrawn. */
#include "pool/group.h"

#include "pool/manager.h"
#include "pool/request.h"
#include "pool/session.h"

#include <stdio.h>

enum { SLICE = 256, GROUPS_MAX = 64, CREDIT_LEAST = 2, CREDIT_FOR_RUNS = 16, CREDIT_NS = 10000000, OVERDUE_NS = 20000000 };

/* ---- Members. */

static mst_pool_member_t *find_member(const mst_pool_session_t *session, uint32_t number) {
    mst_pool_member_t *member = session->members;
    while (member && member->number != number) member = member->of_session;
    return member;
}

static uint32_t bounded_credit(const mst_pool_member_t *member, uint32_t credit) {
    if (credit < CREDIT_LEAST) credit = CREDIT_LEAST;
    return credit < member->limit ? credit : member->limit;
}

static void measure_credit(const mst_pool_t *pool, mst_pool_member_t *member) {
    if (pool->now_ns - member->lately_since_ns >= CREDIT_NS) {
        member->credit = bounded_credit(member, 2 * member->lately);
        member->lately = 0;
        member->lately_since_ns = pool->now_ns;
    } else if (2 * member->lately > member->credit) {
        member->credit = bounded_credit(member, 2 * member->lately);
    }
}

static void free_member(mst_pool_member_t *member) {
    if (member->subscription) member->subscription->member = NULL;
    if (member->group->taker == member) member->group->taker = NULL;
    mst_pool_member_t **link = &member->group->members;
    while (*link != member) link = &(*link)->of_group;
    *link = member->of_group;
    link = &member->session->members;
    while (*link != member) link = &(*link)->of_session;
    *link = member->of_session;
    free(member);
}

static size_t count_members(const mst_pool_group_t *group) {
    size_t count = 0;
    for (const mst_pool_member_t *member = group->members; member; member = member->of_group) count += member->subscription != NULL;
    return count;
}

static uint32_t in_hand(const mst_pool_member_t *member) { return member->unacknowledged + member->overdue; }

/* How many it may have. */
static uint32_t allowance(const mst_pool_member_t *member) {
    uint32_t most = member->prefetch > member->credit ? member->prefetch : member->credit;
    return most < member->limit ? most : member->limit;
}

static bool can_take(mst_pool_member_t *member) {
    if (!member->subscription || in_hand(member) >= allowance(member)) return false;
    mst_wire_ring_t *window = &member->subscription->window;
    return mst_wire_ring_room(window) >= window->capacity / 2;
}

/* Who takes the next object: the member with fewest unacknowledged; of equals, the one after the last. */
static mst_pool_member_t *next_taker(mst_pool_t *pool, mst_pool_group_t *group) {
    mst_pool_member_t *best = NULL;
    bool after = false, best_after = false;
    for (mst_pool_member_t *member = group->members; member; member = member->of_group) {
        measure_credit(pool, member);
        if (can_take(member) && (!best || in_hand(member) < in_hand(best) || (in_hand(member) == in_hand(best) && after && !best_after))) {
            best = member;
            best_after = after;
        }
        after |= member->number == group->last_taker;
    }
    if (best) group->last_taker = best->number;
    return best;
}

/* The same, but that who has room for many takes some of them one after the other.  Where objects are few each goes to who has least: another one may be idle. */
static mst_pool_member_t *taker(mst_pool_t *pool, mst_pool_group_t *group) {
    mst_pool_member_t *member = group->taker;
    if (member && group->taker_left && member->subscription && in_hand(member) < member->credit) {
        group->taker_left--;
        return member;
    }
    member = group->taker = next_taker(pool, group);
    group->taker_left = member && member->credit > in_hand(member) + CREDIT_FOR_RUNS ? (member->credit - in_hand(member)) / 4 : 0;
    return member;
}

/* ---- What came back. */

static bool enqueue(mst_pool_group_t *group, mst_pool_t *pool, uint32_t handle) {
    if (group->nreturned == group->returned_capacity) {
        size_t capacity = group->returned_capacity ? group->returned_capacity * 2 : 64;
        uint32_t *larger = malloc(capacity * sizeof *larger);
        if (!larger) return false;
        for (size_t i = 0; i < group->nreturned; i++) larger[i] = group->returned[(group->returned_first + i) % group->returned_capacity];
        free(group->returned);
        group->returned = larger;
        group->returned_first = 0;
        group->returned_capacity = capacity;
    }
    mst_pool_object_t *object = mst_pool_object(&pool->catalogue, handle);
    object->refs++; /* its attributes stay, also when it is withdrawn */
    object->returned = 1;
    group->returned[(group->returned_first + group->nreturned++) % group->returned_capacity] = handle;
    return true;
}

static void dequeue(mst_pool_group_t *group, mst_pool_t *pool) {
    uint32_t handle = group->returned[group->returned_first];
    group->returned_first = (group->returned_first + 1) % group->returned_capacity;
    group->nreturned--;
    mst_pool_catalogue_unref(pool, handle);
}

static bool has_returned(const mst_pool_group_t *group, uint32_t handle) {
    for (size_t i = 0; i < group->nreturned; i++)
        if (group->returned[(group->returned_first + i) % group->returned_capacity] == handle) return true;
    return false;
}

void mst_pool_group_settle(mst_pool_t *pool, mst_pool_session_t *session, mst_pool_lease_t *lease, bool acknowledged) {
    mst_pool_member_t *member = find_member(session, lease->member);
    bool overdue = lease->overdue;
    lease->member = lease->overdue = 0;
    if (!member) return;
    if (overdue) { /* another member has it, or will */
        member->overdue--;
    } else {
        member->unacknowledged--;
        if (acknowledged && member->group->archives) mst_pool_lifetime_archived(pool, lease->object);
        if (acknowledged || !enqueue(member->group, pool, lease->object)) { /* without memory it counts as read: the alternative is to stop */
            member->lately++;
            member->group->acknowledged++;
            measure_credit(pool, member);
        }
    }
    if (!member->subscription && !in_hand(member)) free_member(member);
}

static int64_t after(int64_t since_ns, int64_t span_ns) { return span_ns < INT64_MAX - since_ns ? since_ns + span_ns : INT64_MAX; }

static void note_overdue(mst_pool_t *pool, int64_t since_ns, int64_t within_ns) {
    if (after(since_ns, within_ns) < pool->overdue_ns) pool->overdue_ns = after(since_ns, within_ns);
}

void mst_pool_group_granted(mst_pool_t *pool, const mst_pool_member_t *member) {
    if (member->acknowledge_ns) note_overdue(pool, pool->now_ns, member->acknowledge_ns);
}

/* What takes too long: another member is given it, and this one's hands stay full until its lease ends. */
static void take_back_overdue(mst_pool_t *pool, mst_pool_session_t *session) {
    for (uint32_t i = 0; i < session->leases_capacity; i++) {
        mst_pool_lease_t *lease = &session->lease[i];
        if (!lease->since_ns || !lease->member || lease->overdue) continue;
        mst_pool_member_t *member = find_member(session, lease->member);
        if (!member || !member->acknowledge_ns) continue; /* without a member: its group has ended */
        if (pool->now_ns - lease->since_ns < member->acknowledge_ns || !enqueue(member->group, pool, lease->object)) {
            note_overdue(pool, lease->since_ns, member->acknowledge_ns);
            continue;
        }
        lease->overdue = 1;
        member->unacknowledged--;
        member->overdue++;
        member->group->overdue++;
    }
}

void mst_pool_group_leave_all(mst_pool_t *pool, mst_pool_session_t *session) {
    for (uint32_t i = 0; i < session->leases_capacity && session->members; i++)
        if (session->lease[i].since_ns && session->lease[i].member) mst_pool_group_settle(pool, session, &session->lease[i], false);
    while (session->members) free_member(session->members);
}

void mst_pool_group_leave(mst_pool_subscription_t *subscription) {
    mst_pool_member_t *member = subscription->member;
    subscription->member = NULL;
    member->subscription = NULL;
    if (!in_hand(member)) free_member(member);
}

/* ---- Groups. */

static mst_pool_group_t *find_group(const mst_pool_t *pool, const char *name) {
    mst_pool_group_t *group = pool->groups;
    while (group && strcmp(group->name, name) != 0) group = group->next;
    return group;
}

static maestro_status_t create(mst_pool_t *pool, const mst_pool_subscription_t *subscription, const char *name, bool snapshot, mst_pool_group_t **group_out) {
    size_t count = 0;
    for (const mst_pool_group_t *group = pool->groups; group; group = group->next) count++;
    if (count >= GROUPS_MAX) return mst_base_fail(MAESTRO_TOO_LARGE, "subscribe: the pool has %zu consumer groups, the most it may have", count);
    mst_pool_group_t *group = calloc(1, sizeof *group);
    if (!group) return mst_base_fail(MAESTRO_NO_MEMORY, "subscribe: no memory in the pool manager");
    snprintf(group->name, sizeof group->name, "%s", name);
    group->archives = strncmp(name, "archive", 7) == 0;
    group->schema = subscription->session->schema;
    group->cursor = group->ahead_from = group->urgent = group->dated = mst_pool_log_last(&pool->log);
    group->snapshot = snapshot;
    char *text = strdup(subscription->selector->source);
    maestro_status_t status = text ? mst_meta_selector_parse(pool->schema[group->schema], text, &group->selector) : MAESTRO_NO_MEMORY;
    free(text);
    if (status != MAESTRO_OK) {
        free(group);
        return status;
    }
    mst_meta_selector_bind(group->selector, pool->dictionary);
    if (snapshot) mst_pool_search_init(&group->search, group->selector, group->schema, false, true);
    group->next = pool->groups;
    pool->groups = group;
    pool->holding++;
    group->need = mst_pool_need_begin(pool, subscription->session, group->name, group->selector, "subscription");
    *group_out = group;
    return MAESTRO_OK;
}

/* Whatever members that left still have in their hands is theirs alone from now on. */
static void destroy(mst_pool_t *pool, mst_pool_group_t *group) {
    while (group->members) free_member(group->members);
    while (group->nreturned) dequeue(group, pool);
    free(group->returned);
    mst_pool_need_end(pool, group->need);
    mst_pool_search_fini(&group->search);
    mst_meta_selector_destroy(group->selector);
    mst_pool_group_t **link = &pool->groups;
    while (*link != group) link = &(*link)->next;
    *link = group->next;
    pool->holding--;
    pool->recheck_consumed = true;
    pool->next_deadline_ns = pool->now_ns; /* withdrawals that waited for it are looked at in the next round */
    free(group);
}

maestro_status_t mst_pool_group_join(mst_pool_t *pool, mst_pool_subscription_t *subscription, const char *name, const mst_wire_request_t *request) {
    uint32_t limit = (uint32_t)(request->argument >> 32);
    mst_pool_group_t *group = find_group(pool, name);
    if (group && (group->schema != subscription->session->schema || strcmp(group->selector->source, subscription->selector->source) != 0))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "subscribe: consumer group %s selects \"%.300s\" of schema %s; join with that selector, or choose another name", name,
                             group->selector->source, pool->schema[group->schema]->name);
    if (!group) MST_TRY(create(pool, subscription, name, request->start == MAESTRO_START_SNAPSHOT, &group));
    mst_pool_member_t *member = calloc(1, sizeof *member);
    if (!member) {
        if (!group->members) destroy(pool, group);
        return mst_base_fail(MAESTRO_NO_MEMORY, "subscribe: no memory in the pool manager");
    }
    *member = (mst_pool_member_t){.group = group, .session = subscription->session, .subscription = subscription, .number = subscription->number,
                                  .limit = limit ? limit : MST_POOL_GROUP_LIMIT, .prefetch = (uint32_t)request->argument >> 8,
                                  .acknowledge_ns = request->acknowledge_ms * 1000000ll, .lately_since_ns = pool->now_ns};
    member->credit = bounded_credit(member, CREDIT_LEAST);
    member->of_session = subscription->session->members;
    subscription->session->members = member;
    mst_pool_member_t **link = &group->members;
    while (*link) link = &(*link)->of_group;
    *link = member;
    subscription->member = member;
    return MAESTRO_OK;
}

void mst_pool_group_fini(mst_pool_t *pool) {
    while (pool->groups) destroy(pool, pool->groups);
}

/* ---- Handing out. */

static bool give(mst_pool_t *pool, mst_pool_group_t *group, uint32_t handle, uint64_t sequence, uint16_t flags) {
    mst_pool_member_t *member = taker(pool, group);
    if (!member || !mst_pool_subscription_push(pool, member->subscription, handle, MAESTRO_EVENT_OFFERED, sequence, flags)) {
        group->taker_left = 0;
        return false;
    }
    if (mst_pool_object(&pool->catalogue, handle)->state == MST_POOL_LIVE) member->unacknowledged++; /* else it has no lease that could come back */
    group->delivered++;
    group->redelivered += flags == MST_WIRE_EVENT_REDELIVERED;
    return true;
}

/* ---- Ahead of others. */

static bool is_listed(const mst_pool_ahead_t *ahead, uint64_t from, uint64_t to, uint64_t sequence) {
    if (MST_LIKELY(sequence <= from || sequence > to)) return false;
    const mst_pool_ahead_entry_t *entry = mst_pool_ahead_next(ahead, sequence - 1);
    return entry && entry->sequence == sequence;
}

static bool went_ahead(const mst_pool_t *pool, const mst_pool_group_t *group, uint64_t sequence) {
    return is_listed(&pool->urgent, group->ahead_from, group->urgent, sequence) || is_listed(&pool->dated, group->ahead_from, group->dated, sequence);
}

/* False: it waits for a member that takes it, and all others with it. */
static bool give_ahead(mst_pool_t *pool, mst_pool_group_t *group, const mst_pool_ahead_entry_t *entry) {
    group->waits = !give(pool, group, entry->handle, entry->sequence, 0);
    return !group->waits;
}

/* Here and below, false: it did not come to the end, for no member takes the next one, or it looked at `left` offers, as many as it may in a round. */
static bool advance_urgent(mst_pool_t *pool, mst_pool_group_t *group, size_t *left) {
    const mst_pool_ahead_entry_t *entry;
    for (; (entry = mst_pool_ahead_next(&pool->urgent, group->urgent)); group->urgent = entry->sequence) {
        if (!*left) return false;
        --*left;
        if (mst_pool_selects(pool, group->selector, group->schema, mst_pool_object(&pool->catalogue, entry->handle)) && !give_ahead(pool, group, entry)) return false;
    }
    return true;
}

/* Puts it where it belongs: the latest first, of equals too. */
static void hasten(mst_pool_group_t *group, mst_pool_ahead_entry_t entry) {
    size_t at = group->nhastened++;
    for (; at && group->hastened[at - 1].order <= entry.order; at--) group->hastened[at] = group->hastened[at - 1];
    group->hastened[at] = entry;
}

static bool fill_hastened(mst_pool_t *pool, mst_pool_group_t *group, size_t *left) {
    const mst_pool_ahead_entry_t *entry;
    for (; group->nhastened < MST_POOL_GROUP_AHEAD && (entry = mst_pool_ahead_next(&pool->dated, group->dated)); group->dated = entry->sequence) {
        if (!*left) return false;
        --*left;
        if (mst_pool_selects(pool, group->selector, group->schema, mst_pool_object(&pool->catalogue, entry->handle))) hasten(group, *entry);
    }
    return true;
}

static bool advance_dated(mst_pool_t *pool, mst_pool_group_t *group, size_t *left) {
    for (;;) {
        if (!fill_hastened(pool, group, left)) return false;
        if (!group->nhastened) return true;
        if (!give_ahead(pool, group, &group->hastened[group->nhastened - 1])) return false;
        group->nhastened--;
    }
}

static bool advance_ahead(mst_pool_t *pool, mst_pool_group_t *group) {
    size_t left = SLICE;
    return advance_urgent(pool, group, &left) && advance_dated(pool, group, &left);
}

/* ---- In turn. */

static bool advance_snapshot(mst_pool_t *pool, mst_pool_group_t *group) {
    mst_pool_entry_t entries[SLICE];
    bool done;
    size_t count = mst_pool_search_step(pool, &group->search, entries, SLICE, &done);
    if (group->ahead_from < group->search.until) /* what the snapshot has comes with it: the log may forget it */
        group->ahead_from = group->urgent = group->dated = group->search.until;
    for (size_t i = 0; i < count; i++) {
        if (give(pool, group, entries[i].handle, entries[i].sequence, 0)) continue;
        mst_pool_search_unread(&group->search, entries, i, count);
        group->waits = true;
        return false;
    }
    if (!done) return false;
    group->snapshot = false;
    group->cursor = group->search.until;
    mst_pool_search_fini(&group->search);
    return true;
}

static void advance_tail(mst_pool_t *pool, mst_pool_group_t *group) {
    mst_pool_entry_t entries[SLICE];
    uint64_t reached;
    mst_pool_verdict_t verdict = {0};
    size_t count = mst_pool_log_read(pool, group->cursor, entries, SLICE, &reached);
    for (size_t i = 0; i < count; i++) {
        bool wanted = entries[i].kind == MAESTRO_EVENT_OFFERED && !went_ahead(pool, group, entries[i].sequence) &&
                      mst_pool_selects_next(pool, group->selector, group->schema, mst_pool_object(&pool->catalogue, entries[i].handle), &verdict);
        if (wanted && !give(pool, group, entries[i].handle, entries[i].sequence, 0)) {
            group->waits = true;
            return;
        }
        group->cursor = entries[i].sequence;
    }
    group->cursor = reached;
    if (reached == mst_pool_log_last(&pool->log)) pool->recheck_consumed = true; /* what it did not select is consumed as far as it goes */
}

static bool has_work(const mst_pool_t *pool, const mst_pool_group_t *group) {
    return group->nreturned || group->snapshot || group->cursor < mst_pool_log_last(&pool->log);
}

/* Whether it can go on: `waits` says that what comes next needs a member that takes it. */
static bool can_move(mst_pool_t *pool, mst_pool_group_t *group) { return has_work(pool, group) && (!(group->waits || group->nreturned) || next_taker(pool, group)); }

static void advance(mst_pool_t *pool, mst_pool_group_t *group) {
    if (!can_move(pool, group)) return;
    group->waits = false;
    while (group->nreturned) {
        uint32_t handle = group->returned[group->returned_first];
        if (!give(pool, group, handle, mst_pool_object(&pool->catalogue, handle)->sequence, MST_WIRE_EVENT_REDELIVERED)) return;
        dequeue(group, pool);
    }
    if ((!group->snapshot || group->search.started) && !advance_ahead(pool, group)) return;
    if (!group->snapshot || advance_snapshot(pool, group)) advance_tail(pool, group);
}

static void look_for_overdue(mst_pool_t *pool) {
    if (pool->now_ns < pool->overdue_ns) return;
    pool->overdue_ns = INT64_MAX;
    for (size_t i = 0; i < pool->nsessions; i++)
        if (pool->session[i]->members) take_back_overdue(pool, pool->session[i]);
    if (pool->overdue_ns < pool->now_ns + OVERDUE_NS) pool->overdue_ns = pool->now_ns + OVERDUE_NS; /* it looks at all leases, so not too often */
}

void mst_pool_group_advance_all(mst_pool_t *pool) {
    mst_pool_group_t *next;
    look_for_overdue(pool);
    for (mst_pool_group_t *group = pool->groups; group; group = next) {
        next = group->next;
        if (count_members(group)) group->empty_since_ns = 0;
        else if (!group->empty_since_ns) group->empty_since_ns = pool->now_ns;
        else if (pool->now_ns - group->empty_since_ns >= pool->group_ns) {
            destroy(pool, group);
            continue;
        }
        advance(pool, group);
    }
}

/* ---- What others ask. */

int64_t mst_pool_group_next(const mst_pool_t *pool) {
    int64_t next = pool->overdue_ns;
    for (const mst_pool_group_t *group = pool->groups; group; group = group->next)
        if (group->empty_since_ns && after(group->empty_since_ns, pool->group_ns) < next) next = after(group->empty_since_ns, pool->group_ns);
    return next;
}

bool mst_pool_group_can_move(mst_pool_t *pool) {
    for (mst_pool_group_t *group = pool->groups; group; group = group->next)
        if (can_move(pool, group)) return true;
    return false;
}

static bool in_a_hurry(const mst_pool_group_t *group) {
    for (const mst_pool_member_t *member = group->members; member; member = member->of_group)
        if (member->session->priority != MAESTRO_PRIORITY_BACKGROUND) return true;
    return false;
}

bool mst_pool_group_waits(const mst_pool_t *pool, bool *patiently_out) {
    bool waits = false;
    *patiently_out = true;
    for (const mst_pool_group_t *group = pool->groups; group; group = group->next) {
        if (!has_work(pool, group) || !group->members) continue; /* who joins rings anyway */
        waits = true;
        *patiently_out = *patiently_out && !in_a_hurry(group);
    }
    return waits;
}

uint64_t mst_pool_group_needs(const mst_pool_t *pool) {
    uint64_t needs = pool->log.next;
    for (const mst_pool_group_t *group = pool->groups; group; group = group->next) {
        uint64_t seen = mst_pool_search_seen(pool, &group->search, group->snapshot, group->cursor);
        if (seen + 1 < needs) needs = seen + 1;
    }
    return needs;
}

static bool is_hastened(const mst_pool_group_t *group, uint64_t sequence) {
    for (size_t i = 0; i < group->nhastened; i++)
        if (group->hastened[i].sequence == sequence) return true;
    return false;
}

bool mst_pool_group_awaits(mst_pool_t *pool, const mst_pool_object_t *object, uint32_t handle) {
    for (const mst_pool_group_t *group = pool->groups; group; group = group->next) {
        if (object->returned && has_returned(group, handle)) return true;
        if (went_ahead(pool, group, object->sequence)) {
            if (is_hastened(group, object->sequence)) return true;
            continue;
        }
        if (mst_pool_search_awaits(&group->search, group->snapshot, group->cursor, object->sequence) && mst_pool_selects(pool, group->selector, group->schema, object)) return true;
    }
    return false;
}

uint64_t mst_pool_group_lag(const mst_pool_t *pool, const mst_pool_group_t *group) {
    return mst_pool_log_last(&pool->log) - (group->snapshot ? 0 : group->cursor) + group->nreturned;
}

const char *mst_pool_group_holder(const mst_pool_t *pool, char *text, size_t nbytes) {
    const mst_pool_group_t *slowest = NULL;
    const mst_pool_member_t *most = NULL;
    for (const mst_pool_group_t *group = pool->groups; group; group = group->next)
        if (!slowest || mst_pool_group_lag(pool, group) > mst_pool_group_lag(pool, slowest)) slowest = group;
    if (!slowest) return NULL;
    for (const mst_pool_member_t *member = slowest->members; member; member = member->of_group)
        if (!most || member->unacknowledged > most->unacknowledged) most = member;
    int at = snprintf(text, nbytes, "consumer group %s holds offers: it is %llu events behind, ", slowest->name, (unsigned long long)mst_pool_group_lag(pool, slowest));
    if (most) snprintf(text + at, nbytes - (size_t)at, "and %s[%lld] (process %d) has %u objects unacknowledged", most->session->component, (long long)most->session->rank,
                       most->session->pid, most->unacknowledged);
    else snprintf(text + at, nbytes - (size_t)at, "and has no member");
    return text;
}
