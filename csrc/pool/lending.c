/* Segments: lent to one writer each, fetched by readers, warm when they come back.  The manager never maps them.
 * Invariant: lent_nbytes is the sum of all segments' sizes and stays below the limit, but for the reserve of sessions that hold leases. */
#include "pool/lending.h"

#include "mem/limits.h"
#include "mem/segment.h"
#include "pool/manager.h"
#include "pool/session.h"

#include <stdio.h>
#include <unistd.h>

enum { SMALLEST = 1 << 20, LARGEST = 64 << 20, CLOSED_AT_ONCE = 4 << 20 };

/* ---- Segments. */

void mst_pool_lending_init(mst_pool_t *pool) {
    mst_mem_limits_t limits;
    int64_t otherwise = 1 << 30;
    if (mst_mem_limits_read("", &limits) == MAESTRO_OK) otherwise = mst_mem_limits_default(&limits);
    pool->lending.limit = (uint64_t)mst_base_setting_bytes("MAESTRO_POOL_MEMORY", otherwise);
}

static void destroy(mst_pool_t *pool, uint32_t number) {
    mst_pool_segment_t *segment = pool->lending.segment[number];
    for (size_t i = 0; i < segment->nreaders; i++) {
        mst_pool_session_t *reader = mst_pool_session_by_number(pool, segment->readers[i]);
        mst_wire_word_t gone = {.head = {sizeof gone, MST_WIRE_UNMAP, 0}, .word = number};
        if (reader) mst_pool_session_post(pool, reader, &gone, sizeof gone);
    }
    pool->lending.lent_nbytes -= segment->nbytes;
    pool->lending.changes++;
    close(segment->readonly_fd);
    if (segment->nbytes > CLOSED_AT_ONCE) mst_pool_helper_close(pool, segment->fd);
    else close(segment->fd);
    free(segment->readers);
    free(segment);
    pool->lending.segment[number] = NULL;
}

void mst_pool_lending_fini(mst_pool_t *pool) {
    for (uint32_t i = 0; i < pool->lending.count; i++)
        if (pool->lending.segment[i]) destroy(pool, i);
    free(pool->lending.segment);
}

static maestro_status_t new_number(mst_pool_lending_t *lending, uint32_t *number_out) {
    if (!MST_RESERVE(lending->segment, lending->capacity, lending->count + 1, 64))
        return mst_base_fail(MAESTRO_NO_MEMORY, "lend a segment: no memory for the table of segments");
    *number_out = (uint32_t)lending->count++;
    return MAESTRO_OK;
}

static maestro_status_t create(mst_pool_t *pool, uint64_t nbytes, uint32_t *number_out) {
    mst_pool_segment_t *segment = calloc(1, sizeof *segment);
    if (!segment) return mst_base_fail(MAESTRO_NO_MEMORY, "lend a segment: no memory");
    maestro_status_t status = mst_mem_segment_create("maestro-segment", nbytes, &segment->fd);
    if (status == MAESTRO_OK) {
        status = mst_mem_segment_reopen_readonly(segment->fd, &segment->readonly_fd);
        if (status != MAESTRO_OK) close(segment->fd);
    }
    if (status == MAESTRO_OK) {
        status = new_number(&pool->lending, number_out);
        if (status != MAESTRO_OK) { close(segment->fd); close(segment->readonly_fd); }
    }
    if (status != MAESTRO_OK) {
        free(segment);
        return status;
    }
    segment->nbytes = nbytes;
    pool->lending.segment[*number_out] = segment;
    pool->lending.lent_nbytes += nbytes;
    return MAESTRO_OK;
}

static void lend(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number) {
    pool->lending.segment[number]->owner = session->number;
    session->lent_nbytes += pool->lending.segment[number]->nbytes;
}

static uint64_t size_for(const mst_pool_t *pool, const mst_pool_session_t *session, uint64_t nbytes) {
    uint64_t size = session->lent_nbytes, share = pool->lending.limit / 16;
    if (size > LARGEST) size = LARGEST;
    if (size > share) size = share;
    if (size < SMALLEST) size = SMALLEST;
    if (size < nbytes) size = nbytes;
    return MST_ALIGN(size, 64 << 10);
}

/* The smallest warm segment of nobody that is large enough, and no larger than a new one would be or than four times what is asked for. */
static bool reuse_idle(mst_pool_t *pool, const mst_pool_session_t *session, uint64_t nbytes, uint32_t *number_out) {
    mst_pool_lending_t *lending = &pool->lending;
    uint32_t best = MST_POOL_NONE;
    uint64_t fresh = size_for(pool, session, nbytes), most = fresh / 4 > nbytes ? fresh : 4 * nbytes;
    if (!lending->idle_nbytes) return false;
    for (uint32_t i = 0; i < lending->count; i++) {
        const mst_pool_segment_t *segment = lending->segment[i];
        if (!segment || segment->owner || segment->blocks || segment->nbytes < nbytes || segment->nbytes > most) continue;
        if (best == MST_POOL_NONE || segment->nbytes < lending->segment[best]->nbytes) best = i;
    }
    if (best == MST_POOL_NONE) return false;
    lending->idle_nbytes -= lending->segment[best]->nbytes;
    *number_out = best;
    return true;
}

/* Gives idle segments back to the system until `nbytes` more can be lent. */
static void drop_idle(mst_pool_t *pool, uint64_t nbytes) {
    mst_pool_lending_t *lending = &pool->lending;
    for (uint32_t i = 0; i < lending->count && lending->idle_nbytes && lending->lent_nbytes + nbytes > lending->limit; i++) {
        mst_pool_segment_t *segment = lending->segment[i];
        if (!segment || segment->owner || segment->blocks) continue;
        lending->idle_nbytes -= segment->nbytes;
        destroy(pool, i);
    }
}

maestro_status_t mst_pool_lending_grant(mst_pool_t *pool, mst_pool_session_t *session, uint64_t nbytes, uint32_t *number_out) {
    mst_pool_lending_t *lending = &pool->lending;
    char holders[512];
    if (nbytes > lending->limit)
        return mst_base_fail(MAESTRO_TOO_LARGE, "%llu bytes are more than the pool's limit of %llu; raise MAESTRO_POOL_MEMORY before the pool starts",
                             (unsigned long long)nbytes, (unsigned long long)lending->limit);
    if (reuse_idle(pool, session, nbytes, number_out)) {
        lend(pool, session, *number_out);
        return MAESTRO_OK;
    }
    uint64_t size = size_for(pool, session, nbytes), least = MST_ALIGN(nbytes, 64 << 10);
    uint64_t reserve = session->leases_live ? lending->limit / 16 : 0;
    if (lending->lent_nbytes + size > lending->limit) drop_idle(pool, size);
    if (lending->lent_nbytes + size > lending->limit) size = least;
    if (lending->lent_nbytes + size > lending->limit + reserve) {
        mst_pool_lending_holders(pool, holders, sizeof holders);
        return mst_base_fail(MAESTRO_AGAIN, "the pool is full (limit %llu MiB; held by %s); withdraw objects, or raise MAESTRO_POOL_MEMORY",
                             (unsigned long long)(lending->limit >> 20), holders);
    }
    int64_t headroom = mst_mem_limits_headroom();
    if (headroom < (int64_t)size && lending->idle_nbytes) {
        drop_idle(pool, lending->limit);
        headroom = mst_mem_limits_headroom();
    }
    if (headroom < (int64_t)size && headroom >= (int64_t)least) size = least;
    if (headroom < (int64_t)size) {
        mst_pool_lending_holders(pool, holders, sizeof holders);
        return mst_base_fail(MAESTRO_AGAIN, "the cgroup or machine has %lld MiB left, less than the %llu MiB asked for (held by %s); withdraw objects, or give the job more memory",
                             (long long)(headroom >> 20), (unsigned long long)((least + (1 << 20) - 1) >> 20), holders);
    }
    MST_TRY(create(pool, size, number_out));
    lend(pool, session, *number_out);
    return MAESTRO_OK;
}

static mst_pool_segment_t *find(mst_pool_t *pool, uint64_t number) {
    return number < pool->lending.count ? pool->lending.segment[number] : NULL;
}

/* Its writer has let go of it: kept warm for the next one, up to a quarter of the limit. */
maestro_status_t mst_pool_lending_return(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number) {
    mst_pool_lending_t *lending = &pool->lending;
    mst_pool_segment_t *segment = find(pool, number);
    if (!segment || segment->owner != session->number || segment->blocks)
        return mst_base_fail(MAESTRO_PROTOCOL, "returned segment %u, which is not lent to it or still holds objects", number);
    session->lent_nbytes -= segment->nbytes;
    segment->owner = 0;
    if (lending->idle_nbytes + segment->nbytes > lending->limit / 4) destroy(pool, number);
    else lending->idle_nbytes += segment->nbytes;
    lending->changes++;
    return MAESTRO_OK;
}

maestro_status_t mst_pool_lending_fetch(mst_pool_t *pool, mst_pool_session_t *session, uint32_t number, int *fd_out, uint64_t *nbytes_out, bool *writable_out) {
    mst_pool_segment_t *segment = find(pool, number);
    if (!segment) return MAESTRO_NOT_FOUND;
    if (!MST_RESERVE(segment->readers, segment->readers_capacity, segment->nreaders + 1, 8)) return mst_base_fail(MAESTRO_NO_MEMORY, "fetch segment %u: no memory", number);
    bool known = false;
    for (size_t i = 0; i < segment->nreaders; i++) known |= segment->readers[i] == session->number;
    if (!known) segment->readers[segment->nreaders++] = session->number;
    *writable_out = segment->owner == session->number;
    *fd_out = *writable_out ? segment->fd : segment->readonly_fd;
    *nbytes_out = segment->nbytes;
    return MAESTRO_OK;
}

bool mst_pool_lending_place_ok(mst_pool_t *pool, const mst_pool_session_t *session, const mst_wire_place_t *place) {
    if (place->segment == MST_WIRE_NO_SEGMENT) return place->offset == 0 && place->nbytes == 0;
    const mst_pool_segment_t *segment = find(pool, place->segment);
    return segment && segment->owner == session->number && (place->offset & 63) == 0 && place->offset / 64 <= UINT32_MAX && place->offset <= segment->nbytes &&
           place->nbytes <= segment->nbytes - place->offset;
}

void mst_pool_lending_block_taken(mst_pool_t *pool, const mst_wire_place_t *place) {
    mst_pool_segment_t *segment = pool->lending.segment[place->segment];
    mst_pool_session_t *owner = mst_pool_session_by_number(pool, segment->owner);
    segment->blocks++;
    segment->used_nbytes += place->nbytes;
    pool->lending.used_nbytes += place->nbytes;
    if (pool->lending.used_nbytes > pool->lending.used_peak) pool->lending.used_peak = pool->lending.used_nbytes;
    if (owner) owner->used_nbytes += place->nbytes;
}

void mst_pool_lending_block_ended(mst_pool_t *pool, uint64_t id, const mst_wire_place_t *place) {
    mst_pool_segment_t *segment = pool->lending.segment[place->segment];
    segment->blocks--;
    segment->used_nbytes -= place->nbytes;
    pool->lending.used_nbytes -= place->nbytes;
    mst_pool_session_t *owner = mst_pool_session_by_number(pool, segment->owner);
    if (owner && owner->number == mst_pool_owner(id)) {
        owner->used_nbytes -= place->nbytes;
        mst_pool_session_freed(pool, owner, place->segment, place->offset);
    } else if (!segment->owner && !segment->blocks) {
        destroy(pool, place->segment);
    }
}

/* What an ended session had is lent to nobody else: a thread of it may write there to this moment. */
void mst_pool_lending_orphan(mst_pool_t *pool, mst_pool_session_t *session) {
    for (uint32_t i = 0; i < pool->lending.count; i++) {
        mst_pool_segment_t *segment = pool->lending.segment[i];
        if (!segment) continue;
        for (size_t r = 0; r < segment->nreaders; r++)
            if (segment->readers[r] == session->number) segment->readers[r] = segment->readers[--segment->nreaders];
        if (segment->owner != session->number) continue;
        segment->owner = 0;
        if (!segment->blocks) destroy(pool, i);
    }
}

void mst_pool_lending_holders(mst_pool_t *pool, char *text, size_t nbytes) {
    mst_pool_session_t *largest[3] = {NULL, NULL, NULL};
    uint64_t of_sessions = 0;
    for (size_t i = 0; i < pool->nsessions; i++) {
        mst_pool_session_t *session = pool->session[i];
        of_sessions += session->lent_nbytes;
        for (size_t place = 0; place < MST_COUNT(largest) && session; place++) {
            if (largest[place] && largest[place]->lent_nbytes >= session->lent_nbytes) continue;
            mst_pool_session_t *moved = largest[place];
            largest[place] = session;
            session = moved;
        }
    }
    size_t at = 0;
    text[0] = '\0';
    for (size_t place = 0; place < MST_COUNT(largest) && largest[place] && largest[place]->lent_nbytes && at < nbytes; place++)
        at += (size_t)snprintf(text + at, nbytes - at, "%s%s[%lld] %llu MiB", at ? ", " : "", largest[place]->component, (long long)largest[place]->rank,
                               (unsigned long long)(largest[place]->lent_nbytes >> 20));
    uint64_t orphaned = pool->lending.lent_nbytes - of_sessions;
    if (orphaned && at < nbytes)
        snprintf(text + at, nbytes - at, "%sobjects of sessions that left %llu MiB", at ? ", " : "", (unsigned long long)(orphaned >> 20));
    else if (!at) snprintf(text, nbytes, "nobody");
}
