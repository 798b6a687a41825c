/* See link.h.  One thread: a round takes what peers have sent, what the own pool says is needed or gone, what it has for others, and what has come.
 *
 * Peers KNOW of all objects of a node by their attributes, so that the pool can tell a demand that waits for something on a node that is lost from one that
 * waits for what is to come.  An OBJECT is named to those that need it; they get its bytes and answer DONE.
 *
 * Events of one object come by two subscriptions, of all that the pool holds and of a need: an object is named when the first has told that it lives, and not
 * when it has told that it has ended.
 *
 * Invariants: an object is named to a peer once, and its lease is held until the peer has answered; all peers are told when an object has gone; nothing but a
 * copy's MPI_Get is outstanding in the window, and a link leaves when nobody gets anything from it any more. */
#include "mpi/link.h"

#include "client/client.h"
#include "meta/parcel.h"
#include "mpi/post.h"

#include <sched.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum { NEED = 1, RETRACT, RETRACT_ALL, KNOWN, OBJECT, DONE, GONE, BYE };
enum { PER_ROUND = 64, RUNNING_MAX = 8, AHEAD = 4 * RUNNING_MAX, PIECE = 1 << 30, YIELDS = 50, PAUSE_NS = 50000, PAUSE_NS_MAX = 2000000 };
static const double ROOM_S = 0.02, UNKNOWN_S = 1, PATIENCE_S = 5, FOR_EVER_S = 1e6;

/* ---- What travels. */
typedef struct need_head {
    int64_t number;
    uint64_t demand; /* exactly one object is asked for; then the selector's text */
} need_head_t;

typedef struct object_head {
    uint64_t id, nbytes;
    int64_t address;      /* in the window */
    uint32_t part, parts; /* of an object of several; then the attributes */
} object_head_t;

typedef struct done_head {
    uint64_t id, part;
    uint64_t refused; /* there is no copy */
} done_head_t;

/* ---- What is kept. */
typedef struct object_key {
    int64_t peer;
    uint64_t id, part;
} object_key_t;

typedef struct shown { /* an object of this node that a peer knows */
    object_key_t key;
    bool gone;
    uint32_t parts, nheld;
    maestro_cdo_t *lease[]; /* of each part; NULL: the peer has its copy */
} shown_t;

typedef struct found found_t; /* an object that a peer needs, not yet named */
struct found {
    int peer;
    maestro_cdo_t *cdo;
    uint64_t sequence;    /* of its event; 0: it was demanded, */
    int64_t until_ns;     /* and is given up when nothing is known of it */
    found_t *next;
};

typedef struct copy copy_t; /* an object of a peer */
struct copy {
    object_key_t key;
    uint32_t parts;
    uint64_t known_id;    /* that it is there, in the own pool; 0: not told yet */
    uint64_t own_id;      /* the copy in the own pool; 0: not offered */
    bool coming;          /* on its way: */
    maestro_cdo_t *cdo;
    uint64_t nbytes, address;
    size_t got;
    char *bytes;          /* NULL: there is no room for it yet */
    bool running, gone, failed;
    MPI_Request request;
    copy_t *next;         /* of those that are not yet offered */
};

typedef struct served served_t; /* a need of a peer */
struct served {
    int peer;
    int64_t number;
    char *text;
    maestro_subscription_t *subscription; /* or */
    maestro_request_t *demand;
    served_t *next;
};

typedef struct link {
    maestro_session_t *session;
    mst_mpi_post_t post;
    MPI_Win window;
    char (*node)[64];      /* by rank */
    bool *attached;        /* segments, by number */
    uint32_t nattached;
    maestro_subscription_t *needs, *contents;
    void *shown, *copies;  /* trees, by key */
    void *live;            /* another one, of the keys of this node's objects that peers know of */
    uint64_t contents_at;  /* sequence up to which the pool's contents are known */
    found_t *found, **found_end;
    served_t *served;
    copy_t *coming, **coming_end;
    unsigned running;      /* gets of this link */
    unsigned awaited;      /* parts of objects that peers are getting from this one */
    bool stopping, said_bye;
    int byes;
    uint64_t named, came, gets, bytes;
} link_t;

static volatile sig_atomic_t signalled;
static void on_signal(int number) { signalled = number; }

static void complain(const link_t *link, const char *what) { fprintf(stderr, "maestro-link: node %s: %s: %s\n", link->node[link->post.rank], what, maestro_last_error()); }

/* The pool's manager has gone, or memory: the job ends in good order. */
static bool failed(link_t *link, maestro_status_t status, const char *what) {
    if (status >= 0) return false;
    complain(link, what);
    if (status == MAESTRO_POOL_LOST) link->stopping = true;
    return true;
}

static void to_all(link_t *link, int kind, const void *head, size_t head_nbytes, const void *body, size_t body_nbytes) {
    for (int peer = 0; peer < link->post.size; peer++)
        if (peer != link->post.rank) mst_mpi_post_send(&link->post, peer, kind, head, head_nbytes, body, body_nbytes);
}

static int by_key(const void *a, const void *b) {
    const object_key_t *x = a, *y = b;
    if (x->peer != y->peer) return x->peer < y->peer ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

static void *find(void **tree, int peer, uint64_t id, uint64_t part) {
    object_key_t key = {peer, id, part};
    void *const *node = tfind(&key, tree, by_key);
    return node ? *node : NULL;
}

/* ---- The window. */

static void detach(void *context, uint32_t number) {
    link_t *link = context;
    if (number >= link->nattached || !link->attached[number]) return;
    link->attached[number] = false;
    MPI_Win_detach(link->window, link->session->segment[number].base);
}

static bool attach(link_t *link, uint32_t number) {
    if (number >= link->nattached) {
        uint32_t count = 2 * number + 64;
        bool *larger = realloc(link->attached, count * sizeof *larger);
        if (!larger) return false;
        memset(larger + link->nattached, 0, (count - link->nattached) * sizeof *larger);
        link->attached = larger;
        link->nattached = count;
    }
    const mst_client_segment_t *segment = &link->session->segment[number];
    if (!link->attached[number]) link->attached[number] = MPI_Win_attach(link->window, segment->base, (MPI_Aint)segment->nbytes) == MPI_SUCCESS;
    return link->attached[number];
}

/* ---- Naming objects to a peer. */

static const mst_meta_attributes_t *attributes(const maestro_cdo_t *cdo) { return (const mst_meta_attributes_t *)cdo->packed; }
static bool is_copy(const maestro_cdo_t *cdo) { return mst_meta_attributes_has(attributes(cdo), MST_META_KEY_NODE); }

/* A message about an object with its attributes, to one peer or (-1) to all. */
static void send_object(link_t *link, int peer, int kind, const maestro_cdo_t *cdo, uint64_t id, uint32_t part, uint32_t parts) {
    mst_base_buffer_t parcel = {0};
    MPI_Aint address = 0;
    if (kind == OBJECT && cdo->nbytes) MPI_Get_address(cdo->data, &address);
    mst_meta_parcel_write(&parcel, attributes(cdo), link->session->schema, link->session->dictionary);
    object_head_t head = {.id = id, .nbytes = cdo->nbytes, .address = address, .part = part, .parts = parts};
    if (parcel.failed) fprintf(stderr, "maestro-link: no memory to tell of an object\n");
    else if (peer < 0) to_all(link, kind, &head, sizeof head, parcel.data, parcel.nbytes);
    else mst_mpi_post_send(&link->post, peer, kind, &head, sizeof head, parcel.data, parcel.nbytes);
    mst_base_buffer_fini(&parcel);
}

static uint32_t parts_of(const maestro_cdo_t *cdo) {
    int64_t parts = 1;
    if (mst_meta_attributes_has(attributes(cdo), MST_META_KEY_PARTS)) maestro_cdo_get_i64(cdo, "maestro.parts", &parts);
    return parts < 1 || parts > MST_WIRE_PARTS_MAX ? 1 : (uint32_t)parts;
}

static void forget_shown(link_t *link, shown_t *shown) {
    tdelete(shown, &link->shown, by_key);
    for (uint32_t i = 0; i < shown->parts; i++) maestro_cdo_dispose(shown->lease[i]);
    free(shown);
}

/* The parts behind the first, each with a lease. */
static bool take_parts(link_t *link, shown_t *shown) {
    for (uint32_t i = 1; i < shown->parts; i++)
        if (failed(link, maestro_cdo_part(shown->lease[0], i, -1, &shown->lease[i]), "take a part of an object")) return false;
    for (uint32_t i = 0; i < shown->parts; i++)
        if (shown->lease[i]->nbytes && !attach(link, shown->lease[i]->place.segment)) return false;
    return true;
}

/* Takes the lease over. */
static void show(link_t *link, int peer, maestro_cdo_t *cdo) {
    uint32_t parts = parts_of(cdo);
    shown_t *shown = is_copy(cdo) || find(&link->shown, peer, cdo->id, 0) ? NULL : calloc(1, sizeof *shown + parts * sizeof *shown->lease);
    if (!shown) {
        maestro_cdo_dispose(cdo);
        return;
    }
    shown->key = (object_key_t){peer, cdo->id, 0};
    shown->parts = shown->nheld = parts;
    shown->lease[0] = cdo;
    if (!tsearch(shown, &link->shown, by_key) || !take_parts(link, shown)) {
        forget_shown(link, shown);
        return;
    }
    for (uint32_t i = 0; i < parts; i++) send_object(link, peer, OBJECT, shown->lease[i], cdo->id, i, parts);
    link->named++;
    link->awaited += parts;
}

static void peer_is_done(link_t *link, int peer, const done_head_t *done) {
    shown_t *shown = find(&link->shown, peer, done->id, 0);
    if (!shown || done->part >= shown->parts || !shown->lease[done->part]) return;
    link->awaited--;
    maestro_cdo_dispose(shown->lease[done->part]);
    shown->lease[done->part] = NULL;
    shown->gone |= done->refused != 0; /* it may be named again, when somebody needs it anew */
    if (!--shown->nheld && shown->gone) forget_shown(link, shown);
}

/* ---- What lives. */

static object_key_t *find_live(link_t *link, uint64_t id) { return find(&link->live, link->post.rank, id, 0); }

static void begin_life(link_t *link, uint64_t id) {
    object_key_t *kept = find_live(link, id) ? NULL : malloc(sizeof *kept);
    if (!kept) return;
    *kept = (object_key_t){link->post.rank, id, 0};
    if (!tsearch(kept, &link->live, by_key)) free(kept);
}

static void end_life(link_t *link, object_key_t *kept) {
    if (!kept) return;
    tdelete(kept, &link->live, by_key);
    free(kept);
}

/* Takes the lease over. */
static void add_found(link_t *link, int peer, maestro_cdo_t *cdo, uint64_t sequence) {
    found_t *found = malloc(sizeof *found);
    if (!found) {
        maestro_cdo_dispose(cdo);
        return;
    }
    *found = (found_t){.peer = peer, .cdo = cdo, .sequence = sequence, .until_ns = mst_base_deadline_ns(UNKNOWN_S)};
    *link->found_end = found;
    link->found_end = &found->next;
}

/* What was offered is named in its order; what was demanded need not wait for that. */
static size_t name_found(link_t *link) {
    size_t work = 0;
    bool waits = false;
    for (found_t **position = &link->found; *position;) {
        found_t *found = *position;
        bool here = find_live(link, found->cdo->id) != NULL, over = found->sequence ? link->contents_at >= found->sequence : mst_base_now_ns() > found->until_ns;
        if ((found->sequence && waits) || (!here && !over)) {
            waits |= found->sequence != 0;
            position = &found->next;
            continue;
        }
        if (here) show(link, found->peer, found->cdo);
        else maestro_cdo_dispose(found->cdo);
        *position = found->next;
        if (!found->next) link->found_end = position;
        free(found);
        work++;
    }
    return work;
}

/* ---- Needs of peers. */

static void open_need(link_t *link, served_t *served, bool demand) {
    maestro_status_t status = demand ? maestro_demand_start(link->session, served->text, FOR_EVER_S, &served->demand)
                                     : maestro_subscribe(link->session, served->text, NULL, &served->subscription);
    failed(link, status, "serve a need of another node");
}

static void add_need(link_t *link, int peer, const need_head_t *head, const char *text, size_t nbytes) {
    served_t *served = calloc(1, sizeof *served);
    char *copy = strndup(text, nbytes);
    if (!served || !copy) {
        free(served);
        free(copy);
        return;
    }
    *served = (served_t){.peer = peer, .number = head->number, .text = copy, .next = link->served};
    link->served = served;
    open_need(link, served, head->demand);
}

static void drop_need(served_t **position) {
    served_t *served = *position;
    *position = served->next;
    maestro_subscription_dispose(served->subscription);
    maestro_request_dispose(served->demand);
    free(served->text);
    free(served);
}

static void drop_needs(link_t *link, int peer, bool all, int64_t number) {
    for (served_t **position = &link->served; *position;)
        if ((*position)->peer == peer && (all || (*position)->number == number)) drop_need(position);
        else position = &(*position)->next;
}

static size_t serve_subscription(link_t *link, served_t *served) {
    maestro_event_t events[PER_ROUND];
    size_t count = 0;
    maestro_status_t status = maestro_subscription_next_many(served->subscription, 0, events, PER_ROUND, &count);
    if (status != MAESTRO_OK && status != MAESTRO_TIMEOUT) failed(link, status, "read what another node needs");
    bool again = false;
    for (size_t i = 0; i < count; i++) {
        again |= events[i].kind == MAESTRO_EVENT_GAP;
        if (events[i].kind == MAESTRO_EVENT_OFFERED && !events[i].gone) add_found(link, served->peer, events[i].cdo, events[i].sequence);
        else maestro_cdo_dispose(events[i].cdo);
    }
    if (again) { /* what was missed comes with the snapshot; what is known is not named twice */
        maestro_subscription_dispose(served->subscription);
        served->subscription = NULL;
        open_need(link, served, false);
    }
    return count;
}

/* An answered demand is over; one that several objects match is asked again when its need changes: nobody can say which one is meant. */
static size_t serve_demand(link_t *link, served_t *served) {
    maestro_status_t status = maestro_request_test(served->demand);
    if (status == MAESTRO_IN_PROGRESS) return 0;
    maestro_cdo_t *cdo;
    if (status == MAESTRO_OK && maestro_request_cdo(served->demand, &cdo) == MAESTRO_OK) add_found(link, served->peer, cdo, 0);
    else failed(link, status, "answer a demand of another node");
    maestro_request_dispose(served->demand);
    served->demand = NULL;
    return 1;
}

static size_t serve_needs(link_t *link) {
    size_t work = 0;
    for (served_t *served = link->served; served && !link->stopping; served = served->next) {
        if (served->subscription) work += serve_subscription(link, served);
        if (served->demand) work += serve_demand(link, served);
    }
    return work;
}

/* ---- What is needed here, and what has gone here. */

static void tell_need(link_t *link, const maestro_event_t *event) {
    const char *component = "", *schema = "", *text = "", *reason = "";
    need_head_t head = {0};
    maestro_cdo_get_str(event->cdo, "maestro.component", &component);
    maestro_cdo_get_str(event->cdo, "maestro.schema", &schema);
    maestro_cdo_get_str(event->cdo, "maestro.selector", &text);
    maestro_cdo_get_str(event->cdo, "maestro.reason", &reason);
    maestro_cdo_get_i64(event->cdo, "maestro.need", &head.number);
    head.demand = strcmp(reason, "demand") == 0;
    bool other = strcmp(schema, link->session->schema->name) != 0;
    if (other || strcmp(component, link->session->component) == 0) return; /* links serve each other's needs, not their own */
    if (event->kind == MAESTRO_EVENT_REQUIRED) to_all(link, NEED, &head, sizeof head, text, strlen(text));
    else to_all(link, RETRACT, &head, sizeof head, NULL, 0);
}

static bool open_needs(link_t *link) {
    maestro_subscription_options_t options;
    maestro_subscription_options_init(&options);
    options.kinds = MAESTRO_EVENT_REQUIRED | MAESTRO_EVENT_RETRACTED;
    return !failed(link, maestro_subscribe(link->session, NULL, &options, &link->needs), "hear of needs");
}

static size_t tell_needs(link_t *link) {
    maestro_event_t event;
    size_t work = 0;
    for (; work < PER_ROUND; work++) {
        maestro_status_t status = maestro_subscription_next(link->needs, 0, &event);
        if (status == MAESTRO_TIMEOUT) break;
        if (status == MAESTRO_END) status = mst_base_fail(MAESTRO_POOL_LOST, "the pool manager has left");
        if (failed(link, status, "hear of needs")) break;
        if (event.kind == MAESTRO_EVENT_GAP) {
            to_all(link, RETRACT_ALL, &event.sequence, sizeof event.sequence, NULL, 0);
            maestro_subscription_dispose(link->needs);
            if (!open_needs(link)) break;
            continue;
        }
        tell_need(link, &event);
        maestro_cdo_dispose(event.cdo);
    }
    return work;
}

static bool open_contents(link_t *link) {
    maestro_subscription_options_t options;
    maestro_subscription_options_init(&options);
    options.kinds = MAESTRO_EVENT_OFFERED | MAESTRO_EVENT_WITHDRAWN | MAESTRO_EVENT_EXPIRED;
    options.hold = true; /* a copy whose end is missed would stay for ever */
    options.observe = true;
    return !failed(link, maestro_subscribe(link->session, NULL, &options, &link->contents), "hear of what the pool holds");
}

static void tell_ending(link_t *link, uint64_t id) {
    to_all(link, GONE, &id, sizeof id, NULL, 0);
    for (int peer = 0; peer < link->post.size; peer++) {
        shown_t *shown = find(&link->shown, peer, id, 0);
        if (shown && !shown->nheld) forget_shown(link, shown); /* else it goes when the peer has got it */
        else if (shown) shown->gone = true;
    }
}

static size_t tell_contents(link_t *link) {
    maestro_event_t events[PER_ROUND];
    size_t count = 0;
    maestro_status_t status = maestro_subscription_next_many(link->contents, 0, events, PER_ROUND, &count);
    if (status != MAESTRO_OK && status != MAESTRO_TIMEOUT) failed(link, status, "hear of what the pool holds");
    for (size_t i = 0; i < count; i++) {
        maestro_cdo_t *cdo = events[i].cdo;
        link->contents_at = events[i].sequence;
        if (events[i].kind != MAESTRO_EVENT_OFFERED) {
            object_key_t *kept = find_live(link, cdo->id);
            if (kept) tell_ending(link, cdo->id);
            end_life(link, kept);
        } else if (!events[i].gone && !is_copy(cdo)) {
            begin_life(link, cdo->id);
            send_object(link, -1, KNOWN, cdo, cdo->id, 0, parts_of(cdo));
        }
        maestro_cdo_dispose(cdo);
    }
    return count;
}

/* ---- Copies. */

static void end_copy(link_t *link, copy_t *copy) {
    tdelete(copy, &link->copies, by_key);
    maestro_cdo_dispose(copy->cdo);
    free(copy);
}

static void done_with(link_t *link, int peer, uint64_t id, uint64_t part, bool refused) {
    done_head_t head = {id, part, refused};
    mst_mpi_post_send(&link->post, peer, DONE, &head, sizeof head, NULL, 0);
}

static copy_t *find_or_make(link_t *link, int peer, const object_head_t *head) {
    copy_t *copy = find(&link->copies, peer, head->id, head->part);
    if (copy || !(copy = calloc(1, sizeof *copy))) return copy;
    copy->key = (object_key_t){peer, head->id, head->part};
    copy->parts = head->parts;
    if (tsearch(copy, &link->copies, by_key)) return copy;
    free(copy);
    return NULL;
}

static maestro_status_t declare(link_t *link, int peer, const void *parcel, size_t nbytes, maestro_cdo_t **cdo_out) {
    maestro_cdo_t *cdo = NULL;
    MST_TRY(maestro_cdo_declare(link->session, NULL, &cdo));
    maestro_status_t status = mst_meta_parcel_read(parcel, nbytes, &cdo->builder);
    if (status == MAESTRO_OK) status = maestro_cdo_set_str(cdo, "maestro.node", link->node[peer]);
    if (status == MAESTRO_OK) status = maestro_cdo_seal(cdo);
    if (status != MAESTRO_OK) {
        maestro_cdo_dispose(cdo);
        return status;
    }
    *cdo_out = cdo;
    return MAESTRO_OK;
}

static maestro_status_t tell_pool(maestro_session_t *session, const maestro_cdo_t *cdo, uint64_t *id_out) {
    static const mst_wire_place_t nowhere = {.segment = MST_WIRE_NO_SEGMENT};
    MST_TRY(mst_client_enter(session, "tell of an object on another node"));
    maestro_status_t status = mst_client_write_offer(session, &cdo->builder, &nowhere, MST_WIRE_OFFER_ELSEWHERE, mst_client_deadline(session, -1),
                                                     "tell of an object on another node", id_out);
    mst_client_ring(session, MST_WIRE_ASLEEP);
    mst_client_leave(session);
    return status;
}

static void take_known(link_t *link, int peer, const object_head_t *head, const void *parcel, size_t nbytes) {
    maestro_cdo_t *cdo;
    copy_t *copy = find_or_make(link, peer, head);
    if (!copy || copy->known_id || failed(link, declare(link, peer, parcel, nbytes, &cdo), "hear of an object of another node")) return;
    failed(link, tell_pool(link->session, cdo, &copy->known_id), "hear of an object of another node");
    maestro_cdo_dispose(cdo);
}

static void take_object(link_t *link, int peer, const object_head_t *head, const void *parcel, size_t nbytes) {
    copy_t *copy = find_or_make(link, peer, head);
    if (!copy || copy->coming || copy->own_id || failed(link, declare(link, peer, parcel, nbytes, &copy->cdo), "take an object of another node")) {
        done_with(link, peer, head->id, head->part, !copy || (!copy->coming && !copy->own_id));
        return;
    }
    copy->nbytes = head->nbytes;
    copy->address = (uint64_t)head->address;
    copy->coming = true;
    copy->next = NULL;
    *link->coming_end = copy;
    link->coming_end = &copy->next;
}

/* The next piece of a copy's bytes.  True: it is under way. */
static bool get_piece(link_t *link, copy_t *copy) {
    if (copy->got == copy->nbytes) return false;
    size_t nbytes = copy->nbytes - copy->got < PIECE ? copy->nbytes - copy->got : PIECE;
    MPI_Rget(copy->bytes + copy->got, (int)nbytes, MPI_BYTE, (int)copy->key.peer, (MPI_Aint)(copy->address + copy->got), (int)nbytes, MPI_BYTE, link->window, &copy->request);
    copy->got += nbytes;
    link->gets++;
    return true;
}

/* AGAIN: there may be room later. */
static maestro_status_t make_room(link_t *link, copy_t *copy) {
    void *bytes = NULL;
    double timeout_s = link->session->timeout_s;
    link->session->timeout_s = ROOM_S; /* peers get from this link meanwhile, and wait no longer than that */
    maestro_status_t status = maestro_cdo_alloc(copy->cdo, copy->nbytes, MAESTRO_TIER_DEFAULT, &bytes);
    link->session->timeout_s = timeout_s;
    copy->bytes = bytes;
    return status == MAESTRO_NO_MEMORY || status == MAESTRO_TIMEOUT ? MAESTRO_AGAIN : status;
}

/* What the pool refuses is not there for anybody: the peer is told.  One that still waits to be taken is left to the pool. */
static void offer_copy(link_t *link, copy_t *copy) {
    maestro_status_t status = maestro_cdo_offer(copy->cdo);
    if (status == MAESTRO_OK) status = maestro_cdo_wait(copy->cdo, ROOM_S);
    if (status == MAESTRO_TIMEOUT) status = MAESTRO_OK;
    if (failed(link, status, "offer a copy")) return;
    copy->own_id = copy->cdo->id;
    link->came++;
    link->bytes += copy->nbytes;
}

static bool has_come(const link_t *link, const copy_t *copy) { return !copy->running && (copy->got == copy->nbytes || copy->gone || copy->failed || link->stopping); }

/* False: there is no room for it, nor for those behind it. */
static bool bring(link_t *link, copy_t *copy) {
    int there;
    if (has_come(link, copy)) return true;
    if (copy->running) {
        MPI_Test(&copy->request, &there, MPI_STATUS_IGNORE);
        copy->running = !there || get_piece(link, copy);
        link->running -= !copy->running;
        return true;
    }
    if (link->running == RUNNING_MAX) return false;
    maestro_status_t status = make_room(link, copy);
    if (status == MAESTRO_AGAIN) return false;
    copy->failed = failed(link, status, "make room for a copy");
    if (copy->failed) return true;
    copy->running = get_piece(link, copy);
    link->running++;
    return true;
}

/* Bytes come in any order, and are offered in that in which they were named: each producer's. */
static size_t advance_copies(link_t *link) {
    size_t work = 0;
    unsigned ahead = 0;
    for (copy_t *copy = link->coming; copy && ahead < AHEAD && bring(link, copy); copy = copy->next) ahead++;
    for (copy_t *copy; (copy = link->coming) && has_come(link, copy); work++) {
        link->coming = copy->next;
        if (!link->coming) link->coming_end = &link->coming;
        copy->coming = false;
        if (!copy->gone && !copy->failed && !link->stopping) offer_copy(link, copy);
        maestro_cdo_dispose(copy->cdo);
        copy->cdo = NULL;
        copy->failed = false;
        done_with(link, (int)copy->key.peer, copy->key.id, copy->key.part, !copy->own_id);
        if (copy->gone) end_copy(link, copy);
    }
    return work;
}

static void withdraw(link_t *link, uint64_t id) {
    if (!id || mst_client_enter(link->session, "withdraw a copy") != MAESTRO_OK) return;
    mst_client_owe(link->session, &(mst_wire_request_t){.head.kind = MST_WIRE_WITHDRAW, .after = link->session->channel.offers.position, .argument = id,
                                                        .kinds = MAESTRO_WHEN_RELEASED});
    mst_client_leave(link->session);
}

static void take_ending(link_t *link, int peer, uint64_t id) {
    copy_t *copy;
    for (uint64_t part = 0, parts = 1; part < parts && part < MST_WIRE_PARTS_MAX; part++) {
        if (!(copy = find(&link->copies, peer, id, part))) continue;
        parts = copy->parts;
        withdraw(link, copy->known_id);
        withdraw(link, copy->own_id); /* of a part: if it waits for others, else they have gone with the first */
        copy->gone = true;
        if (!copy->coming) end_copy(link, copy); /* else when it has come */
    }
}

/* ---- The job. */

static void take_message(link_t *link, int peer, int kind, const void *bytes, size_t nbytes) {
    const need_head_t *need = bytes;
    const object_head_t *object = bytes;
    uint64_t id;
    size_t least = kind == NEED || kind == RETRACT ? sizeof *need : kind == OBJECT || kind == KNOWN ? sizeof *object : kind == DONE ? sizeof(done_head_t) : sizeof id;
    if (nbytes < least) {
        fprintf(stderr, "maestro-link: node %s: a message of kind %d from rank %d has %zu bytes, at least %zu are due; is it of another version?\n", link->node[link->post.rank], kind,
                peer, nbytes, least);
        return;
    }
    memcpy(&id, bytes, sizeof id);
    switch (kind) {
    case NEED: add_need(link, peer, need, (const char *)(need + 1), nbytes - sizeof *need); break;
    case RETRACT: drop_needs(link, peer, false, need->number); break;
    case RETRACT_ALL: drop_needs(link, peer, true, 0); break;
    case KNOWN: take_known(link, peer, object, object + 1, nbytes - sizeof *object); break;
    case OBJECT: take_object(link, peer, object, object + 1, nbytes - sizeof *object); break;
    case DONE: peer_is_done(link, peer, bytes); break;
    case GONE: take_ending(link, peer, id); break;
    case BYE:
        link->byes++;
        link->stopping = true;
        break;
    default: fprintf(stderr, "maestro-link: node %s: a message of unknown kind %d from rank %d; is it of another version?\n", link->node[link->post.rank], kind, peer);
    }
}

static size_t take_messages(link_t *link) {
    size_t work = 0, nbytes;
    int peer, kind;
    const void *bytes;
    for (; work < 4 * PER_ROUND && mst_mpi_post_receive(&link->post, &peer, &kind, &bytes, &nbytes); work++) take_message(link, peer, kind, bytes, nbytes);
    return work;
}

/* With nothing to do: yields first, then sleeps, longer each time. */
static void rest(unsigned *rounds, int64_t *pause_ns) {
    if (++*rounds < YIELDS) {
        sched_yield();
        return;
    }
    nanosleep(&(struct timespec){.tv_nsec = *pause_ns}, NULL);
    if (*pause_ns < PAUSE_NS_MAX) *pause_ns *= 2;
}

static void serve(link_t *link) {
    unsigned rounds = 0;
    int64_t pause_ns = PAUSE_NS;
    while (!link->said_bye || link->byes < link->post.size - 1) {
        size_t work = take_messages(link);
        link->stopping |= signalled != 0;
        if (!link->stopping) {
            work += tell_contents(link);
            work += tell_needs(link);
            work += serve_needs(link);
            work += name_found(link);
        }
        work += advance_copies(link);
        if (link->stopping && !link->said_bye && !link->coming) {
            uint64_t nothing = 0;
            to_all(link, BYE, &nothing, sizeof nothing, NULL, 0);
            link->said_bye = true;
        }
        if (work) rounds = 0, pause_ns = PAUSE_NS;
        else if (link->awaited || link->running) sched_yield(); /* MPI moves bytes only while both links are inside it */
        else rest(&rounds, &pause_ns);
    }
}

typedef struct hello {
    char node[64], schema[64];
    uint64_t schema_hash;
    int64_t failed;
} hello_t;

/* All links learn of each other whether they can go on. */
static bool meet(link_t *link, bool ready) {
    int size = link->post.size, rank = link->post.rank;
    hello_t own = {.failed = !ready}, *all = calloc((size_t)size, sizeof *all);
    link->node = calloc((size_t)size, sizeof *link->node);
    if (!all || !link->node) MPI_Abort(MPI_COMM_WORLD, 1);
    if (ready) {
        snprintf(own.node, sizeof own.node, "%s", link->session->rendezvous.node);
        snprintf(own.schema, sizeof own.schema, "%s", link->session->schema->name);
        own.schema_hash = link->session->schema->hash;
    }
    MPI_Allgather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, MPI_COMM_WORLD);
    bool good = ready;
    for (int i = 0; i < size; i++) {
        memcpy(link->node[i], all[i].node, sizeof link->node[i]);
        good &= !all[i].failed;
        if (!ready || i == rank || all[i].failed) continue;
        bool twice = strcmp(all[i].node, own.node) == 0, other = all[i].schema_hash != own.schema_hash;
        if (twice) fprintf(stderr, "maestro-link: ranks %d and %d are both on node %s; start one link per node (mpirun -ppn 1)\n", rank, i, own.node);
        if (other) fprintf(stderr, "maestro-link: schema %s of node %s differs from schema %s of node %s; give all links the same --schema\n", own.schema, own.node, all[i].schema,
                           all[i].node);
        good &= !twice && !other;
    }
    int everybody = good;
    MPI_Allreduce(MPI_IN_PLACE, &everybody, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    free(all);
    return everybody;
}

static maestro_status_t become_link(maestro_session_t *session) {
    maestro_request_t request = {0};
    MST_TRY(mst_client_enter(session, "become the link"));
    maestro_status_t status = mst_client_call(session, &request, &(mst_wire_request_t){.head.kind = MST_WIRE_LINK}, NULL, mst_client_deadline(session, -1), "become the link");
    mst_client_request_fini(session, &request);
    mst_client_leave(session);
    return status;
}

static bool open_session(link_t *link, const mst_mpi_link_options_t *options) {
    maestro_session_options_t so;
    maestro_session_options_init(&so);
    so.pool = options->pool;
    so.schema = options->schema;
    so.component = "maestro-link";
    so.rank = link->post.rank;
    so.relay = true;
    so.timeout_s = PATIENCE_S;
    maestro_status_t status = maestro_session_open(&so, &link->session);
    if (status == MAESTRO_OK) status = become_link(link->session);
    if (status == MAESTRO_OK) return true;
    fprintf(stderr, "maestro-link: rank %d: %s\n", link->post.rank, maestro_last_error());
    return false;
}

static void report(const link_t *link, const mst_mpi_link_options_t *options, const char *event) {
    const char *node = link->node[link->post.rank];
    if (options->json)
        printf("{\"event\":\"%s\",\"node\":\"%s\",\"nodes\":%d,\"objects_in\":%llu,\"gets\":%llu,\"bytes_in\":%llu,\"objects_named\":%llu}\n", event, node, link->post.size,
               (unsigned long long)link->came, (unsigned long long)link->gets, (unsigned long long)link->bytes, (unsigned long long)link->named);
    else
        printf("maestro-link: node %s %s, %d nodes: %llu objects came by %llu MPI_Gets, %.1f MiB; %llu were named to others\n", node, event, link->post.size,
               (unsigned long long)link->came, (unsigned long long)link->gets, (double)link->bytes / (1 << 20), (unsigned long long)link->named);
    fflush(stdout);
}

static void open_window(link_t *link) {
    MPI_Win_create_dynamic(MPI_INFO_NULL, MPI_COMM_WORLD, &link->window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, link->window);
    link->session->unmapping = detach;
    link->session->unmapping_context = link;
}

static void close_window(link_t *link) {
    MPI_Win_unlock_all(link->window);
    link->session->unmapping = NULL;
    for (uint32_t i = 0; i < link->nattached; i++) detach(link, i);
    MPI_Win_free(&link->window);
}

static void fini(link_t *link) {
    while (link->served) drop_need(&link->served);
    for (found_t *found; (found = link->found);) {
        link->found = found->next;
        maestro_cdo_dispose(found->cdo);
        free(found);
    }
    while (link->live) end_life(link, *(object_key_t **)link->live); /* a tree's root begins with the pointer to its key (search.h) */
    while (link->shown) forget_shown(link, *(shown_t **)link->shown);
    while (link->copies) end_copy(link, *(copy_t **)link->copies);
    maestro_subscription_dispose(link->needs);
    maestro_subscription_dispose(link->contents);
    maestro_session_close(link->session); /* what was refused was a copy of what is here already */
    free(link->attached);
    free(link->node);
}

int mst_mpi_link_run(int *argc, char ***argv, const mst_mpi_link_options_t *options) {
    link_t link = {.coming_end = &link.coming, .found_end = &link.found};
    MPI_Init(argc, argv);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    mst_mpi_post_init(&link.post, MPI_COMM_WORLD);
    bool together = meet(&link, open_session(&link, options));
    if (together) {
        open_window(&link);
        if (!open_contents(&link) || !open_needs(&link)) link.stopping = true;
        report(&link, options, "joined");
        serve(&link);
        report(&link, options, "left");
        close_window(&link);
    }
    fini(&link);
    mst_mpi_post_fini(&link.post);
    MPI_Finalize();
    return !together;
}
