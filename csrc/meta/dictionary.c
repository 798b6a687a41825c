/* The interned strings of a pool, in one block: header | slots (hash and code) | entries (where a code's text is) | text.
 * The writer fills text and entry before it publishes the count and then the slot, both with release; readers take them with acquire.
 * Invariant: a text that once got no code never gets one, so that equal texts are always written in the same way. */
#include "meta/dictionary.h"

#include <stdatomic.h>
#include <unistd.h>

enum { MAGIC = 0x4354444d /* "MDTC" */, VERSION = 1, INTERNED_MAX = 1024 };

typedef struct entry {
    uint32_t offset, nbytes;
} entry_t;

struct mst_meta_dictionary {
    uint32_t magic, version;
    uint64_t id;             /* random */
    uint64_t nbytes, entries_at, text_at;
    uint32_t max_codes, mask, text_capacity, text_used;
    _Atomic uint32_t count, full;
    _Atomic uint64_t slot[]; /* upper half of the hash, code; 0: free */
};

static uint64_t slots_for(uint32_t max_codes) {
    uint64_t slots = 64;
    while (slots < 2ull * max_codes) slots *= 2;
    return slots;
}

size_t mst_meta_dictionary_nbytes(uint32_t max_codes, uint32_t max_text_nbytes) {
    return sizeof(mst_meta_dictionary_t) + 8 * slots_for(max_codes) + sizeof(entry_t) * ((size_t)max_codes + 1) + max_text_nbytes;
}

mst_meta_dictionary_t *mst_meta_dictionary_init(void *zeroed_block, uint32_t max_codes, uint32_t max_text_nbytes) {
    mst_meta_dictionary_t *dictionary = zeroed_block;
    uint64_t slots = slots_for(max_codes);
    dictionary->version = VERSION;
    dictionary->nbytes = mst_meta_dictionary_nbytes(max_codes, max_text_nbytes);
    dictionary->entries_at = sizeof *dictionary + 8 * slots;
    dictionary->text_at = dictionary->entries_at + sizeof(entry_t) * ((uint64_t)max_codes + 1);
    dictionary->max_codes = max_codes;
    dictionary->mask = (uint32_t)(slots - 1);
    dictionary->text_capacity = max_text_nbytes;
    if (getentropy(&dictionary->id, sizeof dictionary->id) != 0) dictionary->id = mst_base_mix((uint64_t)mst_base_now_ns() ^ (uintptr_t)zeroed_block);
    dictionary->magic = MAGIC;
    return dictionary;
}

const mst_meta_dictionary_t *mst_meta_dictionary_attach(const void *block, size_t nbytes) {
    const mst_meta_dictionary_t *dictionary = block;
    if (!block || nbytes < sizeof *dictionary || dictionary->magic != MAGIC || dictionary->version != VERSION) return NULL;
    if (dictionary->nbytes > nbytes || dictionary->max_codes > UINT32_MAX / 4) return NULL;
    uint64_t slots = slots_for(dictionary->max_codes), entries_at = sizeof *dictionary + 8 * slots;
    bool fits = dictionary->mask == slots - 1 && dictionary->entries_at == entries_at &&
                dictionary->text_at == entries_at + sizeof(entry_t) * ((uint64_t)dictionary->max_codes + 1) &&
                dictionary->nbytes == mst_meta_dictionary_nbytes(dictionary->max_codes, dictionary->text_capacity);
    return fits ? dictionary : NULL;
}

static const entry_t *entry_of(const mst_meta_dictionary_t *dictionary, uint32_t code) {
    return (const entry_t *)((const char *)dictionary + dictionary->entries_at) + code;
}

static const char *text_of(const mst_meta_dictionary_t *dictionary, const entry_t *entry) {
    return (const char *)dictionary + dictionary->text_at + entry->offset;
}

static bool is_text(const mst_meta_dictionary_t *dictionary, uint32_t code, const char *text, size_t nbytes) {
    if (code > dictionary->max_codes) return false;
    const entry_t *entry = entry_of(dictionary, code);
    if (entry->nbytes != nbytes || (uint64_t)entry->offset + nbytes > dictionary->text_capacity) return false;
    return memcmp(text_of(dictionary, entry), text, nbytes) == 0;
}

/* The text's code, 0 when it has none; *free_at: then the slot where it would stand. Each slot is read once: the writer may fill one meanwhile, with another text. */
static uint32_t probe(const mst_meta_dictionary_t *dictionary, const char *text, size_t nbytes, uint64_t hash, uint32_t *free_at) {
    uint32_t at = (uint32_t)hash & dictionary->mask;
    for (uint32_t tries = 0; tries <= dictionary->mask; tries++, at = (at + 1) & dictionary->mask) {
        uint64_t slot = atomic_load_explicit(&dictionary->slot[at], memory_order_acquire);
        *free_at = at;
        if (slot == 0) return 0;
        if (slot >> 32 == hash >> 32 && is_text(dictionary, (uint32_t)slot, text, nbytes)) return (uint32_t)slot;
    }
    return 0;
}

uint32_t mst_meta_dictionary_find(const mst_meta_dictionary_t *dictionary, const char *text, size_t nbytes) {
    uint32_t free_at;
    return nbytes > INTERNED_MAX ? 0 : probe(dictionary, text, nbytes, mst_base_hash(text, nbytes), &free_at);
}

uint32_t mst_meta_dictionary_intern(mst_meta_dictionary_t *dictionary, const char *text, size_t nbytes) {
    uint64_t hash = mst_base_hash(text, nbytes);
    if (nbytes > INTERNED_MAX) return 0;
    uint32_t free_at, found = probe(dictionary, text, nbytes, hash, &free_at);
    if (found || atomic_load_explicit(&dictionary->full, memory_order_relaxed)) return found;
    uint32_t code = atomic_load_explicit(&dictionary->count, memory_order_relaxed) + 1;
    if (code > dictionary->max_codes || dictionary->text_capacity - dictionary->text_used <= nbytes) {
        atomic_store_explicit(&dictionary->full, 1, memory_order_relaxed);
        return 0;
    }
    entry_t *entry = (entry_t *)entry_of(dictionary, code);
    *entry = (entry_t){dictionary->text_used, (uint32_t)nbytes};
    char *to = (char *)text_of(dictionary, entry);
    memcpy(to, text, nbytes);
    to[nbytes] = '\0';
    dictionary->text_used += (uint32_t)nbytes + 1;
    atomic_store_explicit(&dictionary->count, code, memory_order_release);
    atomic_store_explicit(&dictionary->slot[free_at], (hash >> 32 << 32) | code, memory_order_release); /* twice as many slots as codes: one was free */
    return code;
}

const char *mst_meta_dictionary_text(const mst_meta_dictionary_t *dictionary, uint32_t code, uint32_t *nbytes_out) {
    if (code == 0 || code > mst_meta_dictionary_count(dictionary) || code > dictionary->max_codes) return NULL;
    const entry_t *entry = entry_of(dictionary, code);
    if ((uint64_t)entry->offset + entry->nbytes >= dictionary->text_capacity) return NULL;
    *nbytes_out = entry->nbytes;
    return text_of(dictionary, entry);
}

uint32_t mst_meta_dictionary_count(const mst_meta_dictionary_t *dictionary) {
    return atomic_load_explicit(&dictionary->count, memory_order_acquire);
}

uint64_t mst_meta_dictionary_id(const mst_meta_dictionary_t *dictionary) { return dictionary->id; }
