/* Who waits for what; see matcher.h.  Equalities and lists hang in one hash of (place, word), ranges in a list per place, where a place is an
 * attribute of one schema (core attributes: of schema 0, for all).  Only places that carry anchors are looked up, so subscribers to other values
 * cost an object nothing.  Invariant: an object that matches a selector meets at least one of its anchors, or the selector is `always` asked. */
#include "meta/matcher.h"

#include "meta/words.h"

typedef struct anchor {
    uint32_t place;
    bool range;
    uint64_t first, last; /* first: the word of an equality; else a range in the order of mst_meta_word_order */
} anchor_t;

typedef struct subscription {
    void *subscriber;
    const mst_meta_selector_t *selector;
    uint16_t schema;
    uint64_t asked; /* the number of the last match that asked it */
    anchor_t *anchor;
    size_t nanchors, capacity;
} subscription_t;

typedef struct list {
    subscription_t **item;
    uint32_t count, capacity;
} list_t;

typedef struct slot {
    uint64_t word;
    uint32_t used; /* 1 + place, 0: free */
    list_t list;
} slot_t;

typedef struct range {
    uint64_t first, last;
    subscription_t *subscription;
} range_t;

typedef struct place {
    uint32_t nequal; /* equalities and list values here */
    range_t *range;
    uint32_t nranges, capacity;
    maestro_type_t type; /* of the ranges */
} place_t;

typedef struct row {
    uint64_t anchored[2]; /* keys with anchors */
    place_t place[MST_META_KEYS_MAX];
} row_t;

struct mst_meta_matcher {
    const mst_meta_dictionary_t *dictionary;
    row_t **row; /* by schema number */
    size_t nrows;
    slot_t *slot;
    size_t nslots, nused; /* a power of two; used slots, empty lists included */
    list_t all, always;
    void **result;
    size_t nresults, result_capacity; /* room for all */
    uint64_t round;
};

maestro_status_t mst_meta_matcher_create(const mst_meta_dictionary_t *dictionary, mst_meta_matcher_t **matcher_out) {
    mst_meta_matcher_t *matcher = calloc(1, sizeof *matcher);
    if (!matcher) return mst_base_fail(MAESTRO_NO_MEMORY, "create matcher: no memory");
    matcher->dictionary = dictionary;
    *matcher_out = matcher;
    return MAESTRO_OK;
}

static void free_subscription(subscription_t *subscription) {
    free(subscription->anchor);
    free(subscription);
}

void mst_meta_matcher_destroy(mst_meta_matcher_t *matcher) {
    if (!matcher) return;
    for (uint32_t i = 0; i < matcher->all.count; i++) free_subscription(matcher->all.item[i]);
    for (size_t i = 0; i < matcher->nslots; i++) free(matcher->slot[i].list.item);
    for (size_t i = 0; i < matcher->nrows; i++) {
        for (unsigned key = 0; matcher->row[i] && key < MST_META_KEYS_MAX; key++) free(matcher->row[i]->place[key].range);
        free(matcher->row[i]);
    }
    free(matcher->row);
    free(matcher->slot);
    free(matcher->all.item);
    free(matcher->always.item);
    free(matcher->result);
    free(matcher);
}

/* ---- Lists. */

static bool list_add(list_t *list, subscription_t *subscription) {
    if (list->count == list->capacity) {
        uint32_t larger = list->capacity ? list->capacity * 2 : 2;
        void *item = realloc(list->item, larger * sizeof *list->item);
        if (!item) return false;
        list->item = item;
        list->capacity = larger;
    }
    list->item[list->count++] = subscription;
    return true;
}

static void list_remove(list_t *list, const subscription_t *subscription) {
    uint32_t i = 0;
    while (i < list->count && list->item[i] != subscription) i++;
    if (i < list->count) list->item[i] = list->item[--list->count];
}

/* ---- The hash of equalities. */

static slot_t *find_slot(slot_t *slot, size_t nslots, uint32_t place, uint64_t word) {
    size_t at = mst_base_mix(word ^ (uint64_t)(place + 1) << 40) & (nslots - 1);
    while (slot[at].used && (slot[at].used != place + 1 || slot[at].word != word)) at = (at + 1) & (nslots - 1);
    return &slot[at];
}

static list_t *find_list(const mst_meta_matcher_t *matcher, uint32_t place, uint64_t word) {
    return matcher->nslots ? &find_slot(matcher->slot, matcher->nslots, place, word)->list : NULL;
}

/* Keeps half of the slots free; empty lists are dropped on the way. */
static bool reserve_slot(mst_meta_matcher_t *matcher) {
    if (2 * (matcher->nused + 1) <= matcher->nslots) return true;
    size_t live = 0, nslots = 64;
    for (size_t i = 0; i < matcher->nslots; i++) live += matcher->slot[i].list.count > 0;
    while (nslots < 4 * (live + 1)) nslots *= 2;
    slot_t *slot = calloc(nslots, sizeof *slot);
    if (!slot) return false;
    for (size_t i = 0; i < matcher->nslots; i++) {
        slot_t *old = &matcher->slot[i];
        if (old->list.count) *find_slot(slot, nslots, old->used - 1, old->word) = *old;
        else free(old->list.item);
    }
    free(matcher->slot);
    matcher->slot = slot;
    matcher->nslots = nslots;
    matcher->nused = live;
    return true;
}

static bool equality_add(mst_meta_matcher_t *matcher, const anchor_t *anchor, subscription_t *subscription) {
    if (!reserve_slot(matcher)) return false;
    slot_t *slot = find_slot(matcher->slot, matcher->nslots, anchor->place, anchor->first);
    if (!list_add(&slot->list, subscription)) return false;
    matcher->nused += !slot->used;
    slot->used = anchor->place + 1;
    slot->word = anchor->first;
    return true;
}

/* ---- Places. */

static uint32_t place_number(unsigned schema, unsigned key) { return (key < MST_META_CORE_KEYS ? 0 : schema) * MST_META_KEYS_MAX + key; }

static place_t *find_place(const mst_meta_matcher_t *matcher, uint32_t place) {
    size_t schema = place / MST_META_KEYS_MAX;
    return schema < matcher->nrows && matcher->row[schema] ? &matcher->row[schema]->place[place % MST_META_KEYS_MAX] : NULL;
}

static place_t *make_place(mst_meta_matcher_t *matcher, uint32_t place) {
    size_t schema = place / MST_META_KEYS_MAX;
    if (schema >= matcher->nrows) {
        row_t **row = realloc(matcher->row, (schema + 1) * sizeof *row);
        if (!row) return NULL;
        memset(&row[matcher->nrows], 0, (schema + 1 - matcher->nrows) * sizeof *row);
        matcher->row = row;
        matcher->nrows = schema + 1;
    }
    if (!matcher->row[schema]) matcher->row[schema] = calloc(1, sizeof **matcher->row);
    return find_place(matcher, place);
}

static void mark_place(mst_meta_matcher_t *matcher, uint32_t place) {
    row_t *row = matcher->row[place / MST_META_KEYS_MAX];
    unsigned key = place % MST_META_KEYS_MAX;
    uint64_t bit = 1ull << (key & 63);
    if (row->place[key].nequal || row->place[key].nranges) row->anchored[key >> 6] |= bit;
    else row->anchored[key >> 6] &= ~bit;
}

static bool range_add(place_t *place, const anchor_t *anchor, subscription_t *subscription) {
    if (place->nranges == place->capacity) {
        uint32_t larger = place->capacity ? place->capacity * 2 : 4;
        void *range = realloc(place->range, larger * sizeof *place->range);
        if (!range) return false;
        place->range = range;
        place->capacity = larger;
    }
    place->type = subscription->selector->schema->attribute[anchor->place % MST_META_KEYS_MAX].type;
    place->range[place->nranges++] = (range_t){anchor->first, anchor->last, subscription};
    return true;
}

static void range_remove(place_t *place, const anchor_t *anchor, const subscription_t *subscription) {
    for (uint32_t i = 0; i < place->nranges; i++) {
        const range_t *range = &place->range[i];
        if (range->subscription != subscription || range->first != anchor->first || range->last != anchor->last) continue;
        place->range[i] = place->range[--place->nranges];
        return;
    }
}

static bool hang(mst_meta_matcher_t *matcher, subscription_t *subscription, anchor_t anchor) {
    if (subscription->nanchors == subscription->capacity) {
        size_t larger = subscription->capacity ? subscription->capacity * 2 : 1;
        void *grown = realloc(subscription->anchor, larger * sizeof anchor);
        if (!grown) return false;
        subscription->anchor = grown;
        subscription->capacity = larger;
    }
    place_t *place = make_place(matcher, anchor.place);
    if (!place || !(anchor.range ? range_add(place, &anchor, subscription) : equality_add(matcher, &anchor, subscription))) return false;
    place->nequal += !anchor.range;
    mark_place(matcher, anchor.place);
    subscription->anchor[subscription->nanchors++] = anchor;
    return true;
}

static void unhang(mst_meta_matcher_t *matcher, subscription_t *subscription) {
    for (size_t i = 0; i < subscription->nanchors; i++) {
        const anchor_t *anchor = &subscription->anchor[i];
        place_t *place = find_place(matcher, anchor->place);
        if (anchor->range) range_remove(place, anchor, subscription);
        else list_remove(find_list(matcher, anchor->place, anchor->first), subscription);
        place->nequal -= !anchor->range;
        mark_place(matcher, anchor->place);
    }
    subscription->nanchors = 0;
}

/* ---- The choice of anchors. */

/* What an anchor costs: how long its list would be, then how many values it has.  Every object with the attribute pays for a range, so an equality
 * whose list is short goes before the first range. */
typedef struct price {
    size_t length, nvalues;
} price_t;

enum { RANGE_SURCHARGE = 8 };
static const price_t impossible = {SIZE_MAX, SIZE_MAX};

static bool is_cheaper(price_t a, price_t b) { return a.length != b.length ? a.length < b.length : a.nvalues < b.nvalues; }

static price_t price_of_list(const mst_meta_matcher_t *matcher, const subscription_t *subscription, const mst_meta_node_t *node) {
    price_t price = {0, node->nwords};
    for (size_t i = 0; i < node->nwords; i++) {
        uint64_t word;
        if (!mst_meta_node_word(node, i, &subscription->selector->schema->attribute[node->key], matcher->dictionary, &word)) return impossible;
        const list_t *list = find_list(matcher, place_number(subscription->schema, node->key), word);
        if (list && list->count > price.length) price.length = list->count;
    }
    return price;
}

static price_t price_of(const mst_meta_matcher_t *matcher, const subscription_t *subscription, const mst_meta_node_t *node) {
    if (node->op == MST_META_OP_IN) return price_of_list(matcher, subscription, node);
    if (node->op == MST_META_OP_RANGE) {
        const place_t *place = find_place(matcher, place_number(subscription->schema, node->key));
        return (price_t){RANGE_SURCHARGE + (place ? place->nranges : 0), 1};
    }
    if (node->op != MST_META_OP_AND && node->op != MST_META_OP_OR) return impossible;
    price_t first = price_of(matcher, subscription, node->child[0]), second = price_of(matcher, subscription, node->child[1]);
    if (node->op == MST_META_OP_AND) return is_cheaper(second, first) ? second : first;
    if (first.length == SIZE_MAX || second.length == SIZE_MAX) return impossible;
    return (price_t){first.length > second.length ? first.length : second.length, first.nvalues + second.nvalues};
}

/* Hangs the subscription at the anchors of a node that has a possible price. */
static bool hang_node(mst_meta_matcher_t *matcher, subscription_t *subscription, const mst_meta_node_t *node) {
    while (node->op == MST_META_OP_AND)
        node = node->child[is_cheaper(price_of(matcher, subscription, node->child[1]), price_of(matcher, subscription, node->child[0]))];
    if (node->op == MST_META_OP_OR) return hang_node(matcher, subscription, node->child[0]) && hang_node(matcher, subscription, node->child[1]);
    const mst_meta_attribute_t *attribute = &subscription->selector->schema->attribute[node->key];
    anchor_t anchor = {.place = place_number(subscription->schema, node->key), .range = node->op == MST_META_OP_RANGE};
    if (anchor.range) return !mst_meta_node_bounds(node, attribute->type, &anchor.first, &anchor.last) || hang(matcher, subscription, anchor);
    for (size_t i = 0; i < node->nwords; i++)
        if (!mst_meta_node_word(node, i, attribute, matcher->dictionary, &anchor.first) || !hang(matcher, subscription, anchor)) return false;
    return true;
}

static bool reserve_result(mst_meta_matcher_t *matcher) {
    if (matcher->all.count < matcher->result_capacity) return true;
    size_t larger = matcher->result_capacity ? matcher->result_capacity * 2 : 16;
    void *result = realloc(matcher->result, larger * sizeof *matcher->result);
    if (!result) return false;
    matcher->result = result;
    matcher->result_capacity = larger;
    return true;
}

static void detach(mst_meta_matcher_t *matcher, subscription_t *subscription) {
    unhang(matcher, subscription);
    list_remove(&matcher->always, subscription);
    list_remove(&matcher->all, subscription);
    free_subscription(subscription);
}

maestro_status_t mst_meta_matcher_add(mst_meta_matcher_t *matcher, void *subscriber, const mst_meta_selector_t *selector, uint16_t schema) {
    subscription_t *subscription = calloc(1, sizeof *subscription);
    if (!subscription) return mst_base_fail(MAESTRO_NO_MEMORY, "subscribe to \"%.80s\": no memory", selector->source);
    *subscription = (subscription_t){.subscriber = subscriber, .selector = selector, .schema = schema};
    bool anchored = price_of(matcher, subscription, selector->root).length != SIZE_MAX;
    if (reserve_result(matcher) && list_add(&matcher->all, subscription) &&
        (anchored ? hang_node(matcher, subscription, selector->root) : list_add(&matcher->always, subscription)))
        return MAESTRO_OK;
    detach(matcher, subscription);
    return mst_base_fail(MAESTRO_NO_MEMORY, "subscribe to \"%.80s\": no memory", selector->source);
}

void mst_meta_matcher_remove(mst_meta_matcher_t *matcher, void *subscriber) {
    for (uint32_t i = 0; i < matcher->all.count; i++) {
        if (matcher->all.item[i]->subscriber != subscriber) continue;
        detach(matcher, matcher->all.item[i]);
        return;
    }
}

/* ---- Matching. */

static void ask(mst_meta_matcher_t *matcher, subscription_t *subscription, const mst_meta_attributes_t *set) {
    if (subscription->asked == matcher->round) return;
    subscription->asked = matcher->round;
    if (!subscription->selector->core_only && subscription->schema != set->schema) return;
    if (mst_meta_selector_match(subscription->selector, set, matcher->dictionary)) matcher->result[matcher->nresults++] = subscription->subscriber;
}

static void ask_list(mst_meta_matcher_t *matcher, const list_t *list, const mst_meta_attributes_t *set) {
    for (uint32_t i = 0; i < list->count; i++) ask(matcher, list->item[i], set);
}

static void ask_at(mst_meta_matcher_t *matcher, const mst_meta_attributes_t *set, unsigned key) {
    uint32_t number = place_number(set->schema, key);
    const place_t *place = find_place(matcher, number);
    uint64_t word = set->value[mst_meta_attributes_rank(set, key)];
    if (place->nequal) ask_list(matcher, find_list(matcher, number, word), set);
    uint64_t order = mst_meta_word_order(word, place->type);
    for (uint32_t i = 0; i < place->nranges; i++)
        if (place->range[i].first <= order && order <= place->range[i].last) ask(matcher, place->range[i].subscription, set);
}

size_t mst_meta_matcher_match(mst_meta_matcher_t *matcher, const mst_meta_attributes_t *set, void *const **subscribers_out) {
    static const uint64_t none[2];
    const uint64_t core = (1ull << MST_META_CORE_KEYS) - 1;
    const uint64_t *common = matcher->nrows && matcher->row[0] ? matcher->row[0]->anchored : none;
    const uint64_t *own = set->schema < matcher->nrows && matcher->row[set->schema] ? matcher->row[set->schema]->anchored : none;
    const uint64_t mask[2] = {((common[0] & core) | (own[0] & ~core)) & set->mask[0], own[1] & set->mask[1]};
    matcher->round++;
    matcher->nresults = 0;
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t bits = mask[half]; bits; bits &= bits - 1) ask_at(matcher, set, half * 64 + (unsigned)__builtin_ctzll(bits));
    ask_list(matcher, &matcher->always, set);
    *subscribers_out = matcher->result;
    return matcher->nresults;
}
