/* Which live object has an identity: handles by tag, with linear hashing.  The table grows in place by one bucket at a time, so no offer waits for a
 * rehash, and no memory is touched that it does not need.
 *
 * Buckets [0, nbuckets) are the table; those from `links` to the end of the reserved address space continue full ones.  A chain of buckets has no gaps:
 * its entries stand in all slots from the first on, but for the last slot of a bucket that is continued, which has the number of the next one. */
#include "pool/identities.h"

#include "pool/arena.h"

enum { EMPTY = 0, LINK = 1, SLOTS = MST_POOL_BUCKET_SLOTS, LOAD = 3, RESERVED_MIN = 16 << 20 };

maestro_status_t mst_pool_identities_init(mst_pool_identities_t *table, uint64_t nbytes) {
    for (; nbytes >= RESERVED_MIN; nbytes /= 2) {
        mst_pool_bucket_t *bucket = mst_pool_pages_alloc(nbytes);
        uint64_t reserved = nbytes / sizeof *bucket;
        *table = (mst_pool_identities_t){.bucket = bucket, .reserved = reserved, .links = reserved, .nbuckets = 1, .half = 1};
        if (bucket) return MAESTRO_OK;
    }
    return mst_base_fail_errno("reserve address space for the table of identities");
}

void mst_pool_identities_fini(mst_pool_identities_t *table) { mst_pool_pages_free(table->bucket, table->reserved * sizeof *table->bucket); }

static mst_pool_identity_t *home_of(const mst_pool_identities_t *table, uint32_t tag) {
    uint64_t at = tag & (2 * table->half - 1);
    return table->bucket[at < table->nbuckets ? at : at - table->half].entry;
}

void mst_pool_identities_expect(const mst_pool_identities_t *table, uint32_t tag) { __builtin_prefetch(home_of(table, tag)); }

/* ---- Continued buckets; the free ones form a list by their first tag, which ends with 0. */
static uint32_t take_link(mst_pool_identities_t *table) {
    uint32_t number = table->free_link;
    if (number) table->free_link = table->bucket[number].entry[0].tag;
    else if (table->links > table->nbuckets) number = (uint32_t)--table->links;
    else return 0;
    table->bucket[number] = (mst_pool_bucket_t){0};
    return number;
}

static void free_link(mst_pool_identities_t *table, uint32_t number) {
    table->bucket[number].entry[0].tag = table->free_link;
    table->free_link = number;
}

/* ---- Chains */
mst_pool_identity_cursor_t mst_pool_identities_find(const mst_pool_identities_t *table, uint32_t tag) {
    return (mst_pool_identity_cursor_t){home_of(table, tag), tag, 0};
}

uint32_t mst_pool_identities_next(const mst_pool_identities_t *table, mst_pool_identity_cursor_t *cursor) {
    while (cursor->slot < SLOTS) {
        mst_pool_identity_t entry = cursor->entry[cursor->slot];
        if (entry.handle == EMPTY) break;
        if (entry.handle == LINK) {
            cursor->entry = table->bucket[entry.tag].entry;
            cursor->slot = 0;
            continue;
        }
        cursor->slot++;
        if (entry.tag == cursor->tag) return entry.handle;
    }
    return MST_POOL_NONE;
}

static bool put(mst_pool_identities_t *table, mst_pool_identity_cursor_t *end, uint32_t handle) {
    if (end->slot == SLOTS) {
        uint32_t number = take_link(table);
        if (!number) return false;
        mst_pool_identity_t *last = &end->entry[SLOTS - 1];
        end->entry = table->bucket[number].entry;
        end->entry[0] = *last;
        end->slot = 1;
        *last = (mst_pool_identity_t){number, LINK};
    }
    end->entry[end->slot] = (mst_pool_identity_t){end->tag, handle};
    return true;
}

/* A chain of several buckets is divided.  It needs no more links than it had, and they are given back before they are needed. */
static void divide_chain(mst_pool_identities_t *table, mst_pool_bucket_t chain) {
    for (unsigned i = 0; i < SLOTS && chain.entry[i].handle != EMPTY; i++) {
        uint32_t tag = chain.entry[i].tag;
        if (chain.entry[i].handle == LINK) {
            chain = table->bucket[tag];
            free_link(table, tag);
            i = UINT32_MAX;
            continue;
        }
        mst_pool_identity_cursor_t cursor = mst_pool_identities_find(table, tag);
        while (mst_pool_identities_next(table, &cursor) != MST_POOL_NONE) continue;
        put(table, &cursor, chain.entry[i].handle);
    }
}

/* One more bucket: the next one in turn is divided by one more bit of its tags. */
static void split(mst_pool_identities_t *table) {
    if (table->nbuckets == table->links) return; /* no address space: chains grow */
    if (table->nbuckets == 2 * table->half) table->half *= 2;
    mst_pool_bucket_t *first = &table->bucket[table->nbuckets - table->half], *second = &table->bucket[table->nbuckets], old = *first;
    table->nbuckets++;
    *first = *second = (mst_pool_bucket_t){0}; /* written before it is read: fresh memory faults only once */
    if (old.entry[SLOTS - 1].handle == LINK) {
        divide_chain(table, old);
        return;
    }
    mst_pool_identity_t *stays = first->entry, *goes = second->entry;
    for (unsigned i = 0; i < SLOTS && old.entry[i].handle != EMPTY; i++) *(old.entry[i].tag & table->half ? goes++ : stays++) = old.entry[i];
}

bool mst_pool_identities_put(mst_pool_identities_t *table, mst_pool_identity_cursor_t *end, uint32_t handle) {
    if (!put(table, end, handle)) return false;
    if (++table->count > LOAD * table->nbuckets) split(table);
    return true;
}

void mst_pool_identities_remove(mst_pool_identities_t *table, uint32_t tag, uint32_t handle) {
    mst_pool_identity_t *entry = home_of(table, tag), *found = NULL, *last = NULL, *link = NULL;
    for (unsigned i = 0; i < SLOTS && entry[i].handle != EMPTY; i++) {
        if (entry[i].handle == LINK) {
            link = &entry[i];
            entry = table->bucket[link->tag].entry;
            i = UINT32_MAX;
            continue;
        }
        if (entry[i].handle == handle) found = &entry[i];
        last = &entry[i];
    }
    if (!found) return;
    table->count--;
    *found = *last;
    *last = (mst_pool_identity_t){0, EMPTY};
    if (link && last == entry) { /* nothing is left of the chain's end */
        free_link(table, link->tag);
        *link = (mst_pool_identity_t){0, EMPTY};
    }
}
