/* See give.h.  An object is named when the subscription to all that the pool holds has told that it lives, and not when it has told that it has ended: events of
 * one object come by two subscriptions, this one and that of a need.
 *
 * Invariants: an object is named to a peer once, and its lease is held until the peer has answered; all peers are told when an object has gone. */
#include "mpi/give.h"

#include "meta/parcel.h"
#include "mpi/key.h"

enum { PER_ROUND = 64 };
static const double UNKNOWN_S = 1;

typedef struct shown { /* an object of this node that a peer knows */
    mst_mpi_key_t key;
    bool gone;
    uint32_t parts, nheld;
    maestro_cdo_t *lease[]; /* of each part; NULL: the peer has its copy */
} shown_t;

struct mst_mpi_found { /* an object that a peer needs, not yet named */
    int peer;
    maestro_cdo_t *cdo;
    uint64_t sequence;    /* of its event; 0: it was demanded, */
    int64_t until_ns;     /* and is given up when nothing is known of it */
    mst_mpi_found_t *next;
};

/* ---- Naming objects to a peer. */

static const mst_meta_attributes_t *attributes(const maestro_cdo_t *cdo) { return (const mst_meta_attributes_t *)cdo->packed; }
static bool is_copy(const maestro_cdo_t *cdo) { return mst_meta_attributes_has(attributes(cdo), MST_META_KEY_NODE); }

/* A message about an object with its attributes, to one peer or (-1) to all. */
static void send_object(mst_mpi_give_t *give, int peer, int kind, const maestro_cdo_t *cdo, uint64_t id, uint32_t part, uint32_t parts) {
    mst_base_buffer_t parcel = {0};
    MPI_Aint address = 0;
    if (kind == MST_MPI_OBJECT && cdo->nbytes) MPI_Get_address(cdo->data, &address);
    mst_meta_parcel_write(&parcel, attributes(cdo), give->node->session->schema, give->node->session->dictionary);
    mst_mpi_object_head_t head = {.id = id, .nbytes = cdo->nbytes, .address = address, .part = part, .parts = parts};
    if (parcel.failed) fprintf(stderr, "maestro-link: no memory to tell of an object\n");
    else if (peer < 0) mst_mpi_node_tell(give->node, kind, &head, sizeof head, parcel.data, parcel.nbytes);
    else mst_mpi_post_send(&give->node->post, peer, kind, &head, sizeof head, parcel.data, parcel.nbytes);
    mst_base_buffer_fini(&parcel);
}

static uint32_t parts_of(const maestro_cdo_t *cdo) {
    int64_t parts = 1;
    if (mst_meta_attributes_has(attributes(cdo), MST_META_KEY_PARTS)) maestro_cdo_get_i64(cdo, "maestro.parts", &parts);
    return parts < 1 || parts > MST_WIRE_PARTS_MAX ? 1 : (uint32_t)parts;
}

static void forget_shown(mst_mpi_give_t *give, shown_t *shown) {
    tdelete(shown, &give->shown, mst_mpi_key_compare);
    for (uint32_t i = 0; i < shown->parts; i++) maestro_cdo_dispose(shown->lease[i]);
    free(shown);
}

/* The parts behind the first, each with a lease. */
static bool take_parts(mst_mpi_give_t *give, shown_t *shown) {
    for (uint32_t i = 1; i < shown->parts; i++)
        if (mst_mpi_node_failed(give->node, maestro_cdo_part(shown->lease[0], i, -1, &shown->lease[i]), "take a part of an object")) return false;
    for (uint32_t i = 0; i < shown->parts; i++)
        if (shown->lease[i]->nbytes && !mst_mpi_node_expose(give->node, shown->lease[i]->place.segment)) return false;
    return true;
}

/* Takes the lease over. */
static void show(mst_mpi_give_t *give, int peer, maestro_cdo_t *cdo) {
    uint32_t parts = parts_of(cdo);
    shown_t *shown = is_copy(cdo) || mst_mpi_key_find(&give->shown, (mst_mpi_key_t){peer, cdo->id, 0}) ? NULL : calloc(1, sizeof *shown + parts * sizeof *shown->lease);
    if (!shown) {
        maestro_cdo_dispose(cdo);
        return;
    }
    shown->key = (mst_mpi_key_t){peer, cdo->id, 0};
    shown->parts = shown->nheld = parts;
    shown->lease[0] = cdo;
    if (!tsearch(shown, &give->shown, mst_mpi_key_compare) || !take_parts(give, shown)) {
        forget_shown(give, shown);
        return;
    }
    for (uint32_t i = 0; i < parts; i++) send_object(give, peer, MST_MPI_OBJECT, shown->lease[i], cdo->id, i, parts);
    give->named++;
    give->awaited += parts;
}

void mst_mpi_give_done(mst_mpi_give_t *give, int peer, const mst_mpi_done_head_t *done) {
    shown_t *shown = mst_mpi_key_find(&give->shown, (mst_mpi_key_t){peer, done->id, 0});
    if (!shown || done->part >= shown->parts || !shown->lease[done->part]) return;
    give->awaited--;
    maestro_cdo_dispose(shown->lease[done->part]);
    shown->lease[done->part] = NULL;
    shown->gone |= done->refused != 0; /* it may be named again, when somebody needs it anew */
    if (!--shown->nheld && shown->gone) forget_shown(give, shown);
}

/* ---- What lives. */

static mst_mpi_key_t *find_live(mst_mpi_give_t *give, uint64_t id) { return mst_mpi_key_find(&give->live, (mst_mpi_key_t){give->node->post.rank, id, 0}); }

static void begin_life(mst_mpi_give_t *give, uint64_t id) {
    mst_mpi_key_t *kept = find_live(give, id) ? NULL : malloc(sizeof *kept);
    if (!kept) return;
    *kept = (mst_mpi_key_t){give->node->post.rank, id, 0};
    if (!tsearch(kept, &give->live, mst_mpi_key_compare)) free(kept);
}

static void end_life(mst_mpi_give_t *give, mst_mpi_key_t *kept) {
    if (!kept) return;
    tdelete(kept, &give->live, mst_mpi_key_compare);
    free(kept);
}

void mst_mpi_give_find(mst_mpi_give_t *give, int peer, maestro_cdo_t *cdo, uint64_t sequence) {
    mst_mpi_found_t *found = malloc(sizeof *found);
    if (!found) {
        maestro_cdo_dispose(cdo);
        return;
    }
    *found = (mst_mpi_found_t){.peer = peer, .cdo = cdo, .sequence = sequence, .until_ns = mst_base_deadline_ns(UNKNOWN_S)};
    *give->found_end = found;
    give->found_end = &found->next;
}

/* What was offered is named in its order; what was demanded need not wait for that. */
size_t mst_mpi_give_name(mst_mpi_give_t *give) {
    size_t work = 0;
    bool waits = false;
    for (mst_mpi_found_t **position = &give->found; *position;) {
        mst_mpi_found_t *found = *position;
        bool here = find_live(give, found->cdo->id) != NULL, over = found->sequence ? give->contents_at >= found->sequence : mst_base_now_ns() > found->until_ns;
        if ((found->sequence && waits) || (!here && !over)) {
            waits |= found->sequence != 0;
            position = &found->next;
            continue;
        }
        if (here) show(give, found->peer, found->cdo);
        else maestro_cdo_dispose(found->cdo);
        *position = found->next;
        if (!found->next) give->found_end = position;
        free(found);
        work++;
    }
    return work;
}

/* ---- What comes and goes here. */

bool mst_mpi_give_open(mst_mpi_give_t *give) {
    maestro_subscription_options_t options;
    maestro_subscription_options_init(&options);
    options.kinds = MAESTRO_EVENT_OFFERED | MAESTRO_EVENT_WITHDRAWN | MAESTRO_EVENT_EXPIRED;
    options.hold = true; /* a copy whose end is missed would stay for ever */
    options.observe = true;
    return !mst_mpi_node_failed(give->node, maestro_subscribe(give->node->session, NULL, &options, &give->contents), "hear of what the pool holds");
}

static void tell_ending(mst_mpi_give_t *give, uint64_t id) {
    mst_mpi_node_tell(give->node, MST_MPI_GONE, &id, sizeof id, NULL, 0);
    for (int peer = 0; peer < give->node->post.size; peer++) {
        shown_t *shown = mst_mpi_key_find(&give->shown, (mst_mpi_key_t){peer, id, 0});
        if (shown && !shown->nheld) forget_shown(give, shown); /* else it goes when the peer has got it */
        else if (shown) shown->gone = true;
    }
}

size_t mst_mpi_give_tell(mst_mpi_give_t *give) {
    maestro_event_t events[PER_ROUND];
    size_t count = 0;
    maestro_status_t status = maestro_subscription_next_many(give->contents, 0, events, PER_ROUND, &count);
    if (status != MAESTRO_OK && status != MAESTRO_TIMEOUT) mst_mpi_node_failed(give->node, status, "hear of what the pool holds");
    for (size_t i = 0; i < count; i++) {
        maestro_cdo_t *cdo = events[i].cdo;
        give->contents_at = events[i].sequence;
        if (events[i].kind != MAESTRO_EVENT_OFFERED) {
            mst_mpi_key_t *kept = find_live(give, cdo->id);
            if (kept) tell_ending(give, cdo->id);
            end_life(give, kept);
        } else if (!events[i].gone && !is_copy(cdo)) {
            begin_life(give, cdo->id);
            send_object(give, -1, MST_MPI_KNOWN, cdo, cdo->id, 0, parts_of(cdo));
        }
        maestro_cdo_dispose(cdo);
    }
    return count;
}

void mst_mpi_give_init(mst_mpi_give_t *give, mst_mpi_node_t *node) {
    *give = (mst_mpi_give_t){.node = node, .found_end = &give->found};
}

void mst_mpi_give_fini(mst_mpi_give_t *give) {
    for (mst_mpi_found_t *found; (found = give->found);) {
        give->found = found->next;
        maestro_cdo_dispose(found->cdo);
        free(found);
    }
    while (give->live) end_life(give, mst_mpi_key_any(give->live));
    while (give->shown) forget_shown(give, mst_mpi_key_any(give->shown));
    maestro_subscription_dispose(give->contents);
}
