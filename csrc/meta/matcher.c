/* Who waits for what; see matcher.h.  Each subscription hangs at anchors: equalities and lists in one hash of (place, word), ranges in intervals
 * of their place, mere presence in a list of the place, where a place is an attribute of one schema (core attributes: of schema 0, for all).
 * Only places that carry anchors are looked up, so subscribers to other values cost an object nothing.
 * Invariant: an object that matches a selector meets at least one of its anchors, or the selector is `always` asked. */
#include "meta/matcher.h"

#include "meta/intervals.h"
#include "meta/words.h"

enum {
    VALUES_MAX = 1024,    /* a longer list hangs where the attribute is present */
    STEPS_MAX = 64,       /* a range of so few whole numbers hangs at each of them */
    RANGE_PRICE = 8,      /* in candidates: a range lets more through than an equality */
    HAS_PRICE = 1 << 20,  /* a range goes before presence, presence that was asked for before one that a comparison implies */
    PRESENCE_PRICE = 1 << 21
};

typedef struct anchor {
    uint32_t place;
    mst_meta_op_t op;     /* IN: equality with `first`; RANGE: [first, last] in the order of mst_meta_word_order; HAS: presence */
    uint64_t first, last;
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

typedef struct place {
    maestro_type_t type;
    uint32_t nequal; /* equalities and list values here */
    mst_meta_intervals_t ranges;
    list_t present;
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
    uint64_t used[2]; /* keys in any selector */
    uint32_t uses[MST_META_KEYS_MAX]; /* selectors that look at each */
    bool valid;       /* the result is that of the last match among all */
    const mst_meta_attributes_t *set; /* being matched */
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

static void free_row(row_t *row) {
    for (unsigned key = 0; row && key < MST_META_KEYS_MAX; key++) {
        mst_meta_intervals_fini(&row->place[key].ranges);
        free(row->place[key].present.item);
    }
    free(row);
}

void mst_meta_matcher_destroy(mst_meta_matcher_t *matcher) {
    if (!matcher) return;
    for (uint32_t i = 0; i < matcher->all.count; i++) free_subscription(matcher->all.item[i]);
    for (size_t i = 0; i < matcher->nslots; i++) free(matcher->slot[i].list.item);
    for (size_t i = 0; i < matcher->nrows; i++) free_row(matcher->row[i]);
    free(matcher->row);
    free(matcher->slot);
    free(matcher->all.item);
    free(matcher->always.item);
    free(matcher->result);
    free(matcher);
}

/* ---- Lists. */

static bool list_add(list_t *list, subscription_t *subscription) {
    if (!MST_RESERVE(list->item, list->capacity, list->count + 1, 2)) return false;
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
    if (!MST_RESERVE_ZEROED(matcher->row, matcher->nrows, schema + 1, 1)) return NULL;
    if (!matcher->row[schema]) matcher->row[schema] = calloc(1, sizeof **matcher->row);
    return find_place(matcher, place);
}

static void mark_place(mst_meta_matcher_t *matcher, uint32_t number) {
    row_t *row = matcher->row[number / MST_META_KEYS_MAX];
    unsigned key = number % MST_META_KEYS_MAX;
    const place_t *place = &row->place[key];
    uint64_t bit = 1ull << (key & 63);
    if (place->nequal || place->present.count || mst_meta_intervals_count(&place->ranges)) row->anchored[key >> 6] |= bit;
    else row->anchored[key >> 6] &= ~bit;
}

static bool place_add(mst_meta_matcher_t *matcher, place_t *place, const anchor_t *anchor, subscription_t *subscription) {
    if (anchor->op == MST_META_OP_RANGE) return mst_meta_intervals_add(&place->ranges, anchor->first, anchor->last, subscription);
    if (anchor->op == MST_META_OP_HAS) return list_add(&place->present, subscription);
    if (!equality_add(matcher, anchor, subscription)) return false;
    place->nequal++;
    return true;
}

static bool hang(mst_meta_matcher_t *matcher, subscription_t *subscription, anchor_t anchor) {
    if (!MST_RESERVE(subscription->anchor, subscription->capacity, subscription->nanchors + 1, 1)) return false;
    place_t *place = make_place(matcher, anchor.place);
    if (!place || !place_add(matcher, place, &anchor, subscription)) return false;
    place->type = subscription->selector->schema->attribute[anchor.place % MST_META_KEYS_MAX].type;
    mark_place(matcher, anchor.place);
    subscription->anchor[subscription->nanchors++] = anchor;
    return true;
}

static void unhang(mst_meta_matcher_t *matcher, subscription_t *subscription) {
    for (size_t i = 0; i < subscription->nanchors; i++) {
        const anchor_t *anchor = &subscription->anchor[i];
        place_t *place = find_place(matcher, anchor->place);
        if (anchor->op == MST_META_OP_RANGE) mst_meta_intervals_remove(&place->ranges, anchor->first, anchor->last, subscription);
        else if (anchor->op == MST_META_OP_HAS) list_remove(&place->present, subscription);
        else list_remove(find_list(matcher, anchor->place, anchor->first), subscription);
        place->nequal -= anchor->op == MST_META_OP_IN;
        mark_place(matcher, anchor->place);
    }
    subscription->nanchors = 0;
}

/* ---- The choice of anchors. */

/* What an anchor costs: how many subscriptions share its longest list, then how many values it has. */
typedef struct price {
    size_t length, nvalues;
} price_t;

static const price_t impossible = {SIZE_MAX, SIZE_MAX};

static bool is_cheaper(price_t a, price_t b) { return a.length != b.length ? a.length < b.length : a.nvalues < b.nvalues; }

/* How a leaf is hung: IN at each of its values, RANGE at its interval, HAS where the attribute is present; TRUE: not at all. */
static mst_meta_op_t way_of(const mst_meta_node_t *node) {
    if (node->array) return MST_META_OP_HAS; /* one place cannot have several values */
    if (node->op == MST_META_OP_IN) return node->nwords <= VALUES_MAX ? MST_META_OP_IN : MST_META_OP_HAS;
    if (node->op == MST_META_OP_NE || node->op == MST_META_OP_LIKE || node->op == MST_META_OP_HAS) return MST_META_OP_HAS;
    if (node->op != MST_META_OP_RANGE) return MST_META_OP_TRUE;
    bool whole = node->type == MAESTRO_TYPE_I64 || (node->type == MAESTRO_TYPE_TIMESTAMP && node->step > 0);
    uint64_t first, last, step = node->step > 0 ? (uint64_t)node->step : 1;
    if (!whole || !node->has_low || !node->has_high || !mst_meta_node_bounds(node, &first, &last)) return MST_META_OP_RANGE;
    return (last - first) / step < STEPS_MAX ? MST_META_OP_IN : MST_META_OP_RANGE;
}

/* The equalities of a leaf hung by IN, one after another: false after the last. */
static bool next_word(const mst_meta_node_t *node, size_t i, uint64_t *word_out) {
    if (node->op == MST_META_OP_IN) {
        if (i < node->nwords) *word_out = node->words[i];
        return i < node->nwords;
    }
    uint64_t first, last, step = node->step > 0 ? (uint64_t)node->step : 1;
    if (!mst_meta_node_bounds(node, &first, &last) || i > (last - first) / step) return false;
    *word_out = mst_meta_word_order(first + i * step, node->type); /* of whole numbers it is its own inverse */
    return true;
}

static price_t price_of_values(const mst_meta_matcher_t *matcher, const subscription_t *subscription, const mst_meta_node_t *node) {
    price_t price = {0, 0};
    for (uint64_t word; next_word(node, price.nvalues, &word); price.nvalues++) {
        const list_t *list = find_list(matcher, place_number(subscription->schema, node->key), word);
        if (list && list->count > price.length) price.length = list->count;
    }
    return price;
}

static price_t price_of_leaf(const mst_meta_matcher_t *matcher, const subscription_t *subscription, const mst_meta_node_t *node) {
    const place_t *place = find_place(matcher, place_number(subscription->schema, node->key));
    switch (way_of(node)) {
    case MST_META_OP_IN: return price_of_values(matcher, subscription, node);
    case MST_META_OP_RANGE: return (price_t){RANGE_PRICE + (place ? mst_meta_intervals_count(&place->ranges) : 0), 1};
    case MST_META_OP_HAS: return (price_t){(node->op == MST_META_OP_HAS ? HAS_PRICE : PRESENCE_PRICE) + (place ? place->present.count : 0), 1};
    default: return impossible;
    }
}

/* The cheapest part of a conjunction, with its price; each leaf is looked at once. */
static const mst_meta_node_t *choose(const mst_meta_matcher_t *matcher, const subscription_t *subscription, const mst_meta_node_t *node, price_t *price_out) {
    price_t price;
    *price_out = impossible;
    if (node->op == MST_META_OP_AND) {
        const mst_meta_node_t *best = node, *part;
        for (bool more = true; more; node = node->child[1]) {
            more = node->op == MST_META_OP_AND;
            part = choose(matcher, subscription, more ? node->child[0] : node, &price);
            if (is_cheaper(price, *price_out)) *price_out = price, best = part;
        }
        return best;
    }
    if (node->op != MST_META_OP_OR) {
        *price_out = price_of_leaf(matcher, subscription, node);
        return node;
    }
    price_t sum = {0, 0};
    for (const mst_meta_node_t *at = node;; at = at->child[1]) {
        choose(matcher, subscription, at->op == MST_META_OP_OR ? at->child[0] : at, &price);
        if (price.length == SIZE_MAX) return node;
        if (price.length > sum.length) sum.length = price.length;
        sum.nvalues += price.nvalues;
        if (at->op != MST_META_OP_OR) break;
    }
    *price_out = sum;
    return node;
}

static bool hang_leaf(mst_meta_matcher_t *matcher, subscription_t *subscription, const mst_meta_node_t *node) {
    anchor_t anchor = {.place = place_number(subscription->schema, node->key), .op = way_of(node)};
    if (anchor.op == MST_META_OP_RANGE) return !mst_meta_node_bounds(node, &anchor.first, &anchor.last) || hang(matcher, subscription, anchor);
    if (anchor.op == MST_META_OP_HAS) return hang(matcher, subscription, anchor);
    for (size_t i = 0; next_word(node, i, &anchor.first); i++)
        if (!hang(matcher, subscription, anchor)) return false;
    return true;
}

/* Hangs the subscription at the anchors of a node that was chosen. */
static bool hang_node(mst_meta_matcher_t *matcher, subscription_t *subscription, const mst_meta_node_t *node) {
    price_t price;
    for (; node->op == MST_META_OP_OR; node = node->child[1])
        if (!hang_node(matcher, subscription, choose(matcher, subscription, node->child[0], &price))) return false;
    if (node->op == MST_META_OP_AND) return hang_node(matcher, subscription, choose(matcher, subscription, node, &price));
    return hang_leaf(matcher, subscription, node);
}

/* ---- Coming and going. */

static void count_keys(mst_meta_matcher_t *matcher, const mst_meta_selector_t *selector, int by) {
    matcher->valid = false;
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t bits = selector->keys[half]; bits; bits &= bits - 1) {
            unsigned key = half * 64 + (unsigned)__builtin_ctzll(bits);
            matcher->uses[key] += (uint32_t)by;
            if (matcher->uses[key]) matcher->used[half] |= 1ull << (key & 63);
            else matcher->used[half] &= ~(1ull << (key & 63));
        }
}

static void detach(mst_meta_matcher_t *matcher, subscription_t *subscription) {
    unhang(matcher, subscription);
    list_remove(&matcher->always, subscription);
    list_remove(&matcher->all, subscription);
    count_keys(matcher, subscription->selector, -1);
    free_subscription(subscription);
}

maestro_status_t mst_meta_matcher_add(mst_meta_matcher_t *matcher, void *subscriber, const mst_meta_selector_t *selector, uint16_t schema) {
    subscription_t *subscription = calloc(1, sizeof *subscription);
    if (!subscription) return mst_base_fail(MAESTRO_NO_MEMORY, "subscribe to \"%.80s\": no memory", selector->source);
    *subscription = (subscription_t){.subscriber = subscriber, .selector = selector, .schema = schema};
    price_t price;
    const mst_meta_node_t *node = choose(matcher, subscription, selector->root, &price);
    count_keys(matcher, selector, 1);
    if (MST_RESERVE(matcher->result, matcher->result_capacity, matcher->all.count + 1, 16) && list_add(&matcher->all, subscription) &&
        (price.length != SIZE_MAX ? hang_node(matcher, subscription, node) : list_add(&matcher->always, subscription)))
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

static void ask(void *context, void *thing) {
    mst_meta_matcher_t *matcher = context;
    subscription_t *subscription = thing;
    if (subscription->asked == matcher->round) return;
    subscription->asked = matcher->round;
    if (!subscription->selector->core_only && subscription->schema != matcher->set->schema) return;
    if (mst_meta_selector_match(subscription->selector, matcher->set, matcher->dictionary)) matcher->result[matcher->nresults++] = subscription->subscriber;
}

static void ask_list(mst_meta_matcher_t *matcher, const list_t *list) {
    for (uint32_t i = 0; i < list->count; i++) ask(matcher, list->item[i]);
}

static void ask_at(mst_meta_matcher_t *matcher, const mst_meta_attributes_t *set, unsigned key) {
    uint32_t number = place_number(set->schema, key);
    place_t *place = find_place(matcher, number);
    uint64_t word = set->value[mst_meta_attributes_rank(set, key)];
    if (place->nequal) ask_list(matcher, find_list(matcher, number, place->type == MAESTRO_TYPE_STRING ? mst_meta_string_word(set, word) : word));
    if (place->ranges.count) mst_meta_intervals_stab(&place->ranges, mst_meta_word_order(word, place->type), ask, matcher);
    ask_list(matcher, &place->present);
}

size_t mst_meta_matcher_match(mst_meta_matcher_t *matcher, const mst_meta_attributes_t *set, void *const **subscribers_out) {
    static const uint64_t none[2];
    const uint64_t core = (1ull << MST_META_CORE_KEYS) - 1;
    const uint64_t *common = matcher->nrows && matcher->row[0] ? matcher->row[0]->anchored : none;
    const uint64_t *own = set->schema < matcher->nrows && matcher->row[set->schema] ? matcher->row[set->schema]->anchored : none;
    const uint64_t mask[2] = {((common[0] & core) | (own[0] & ~core)) & set->mask[0], own[1] & set->mask[1]};
    matcher->round++;
    matcher->nresults = 0;
    matcher->set = set;
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t bits = mask[half]; bits; bits &= bits - 1) ask_at(matcher, set, half * 64 + (unsigned)__builtin_ctzll(bits));
    ask_list(matcher, &matcher->always);
    matcher->valid = true;
    *subscribers_out = matcher->result;
    return matcher->nresults;
}

bool mst_meta_matcher_ignores(const mst_meta_matcher_t *matcher, const uint64_t *mask) {
    return !((matcher->used[0] & mask[0]) | (matcher->used[1] & mask[1]));
}

bool mst_meta_matcher_again(const mst_meta_matcher_t *matcher, const uint64_t *mask, void *const **subscribers_out, size_t *count_out) {
    *subscribers_out = matcher->result;
    *count_out = matcher->nresults;
    return matcher->valid && mst_meta_matcher_ignores(matcher, mask);
}
