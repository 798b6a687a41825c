/* See get.h.  Peers KNOW of all objects of a node by their attributes, so that the pool can tell a demand that waits for something on a node that is lost from one
 * that waits for what is to come.  An OBJECT is named because it is needed here; its bytes are got and DONE is answered, whether they could be kept or not.
 *
 * Invariant: nothing but a copy's MPI_Get is outstanding in the window. */
#include "mpi/get.h"

#include "meta/parcel.h"
#include "mpi/key.h"

enum { RUNNING_MAX = 8, AHEAD = 4 * RUNNING_MAX, PIECE = 1 << 30 };
static const double ROOM_S = 0.02;

struct mst_mpi_copy { /* an object of a peer */
    mst_mpi_key_t key;
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
    mst_mpi_copy_t *next; /* of those that are not yet offered */
};

static void end_copy(mst_mpi_get_t *get, mst_mpi_copy_t *copy) {
    tdelete(copy, &get->copies, mst_mpi_key_compare);
    maestro_cdo_dispose(copy->cdo);
    free(copy);
}

static void done_with(mst_mpi_get_t *get, int peer, uint64_t id, uint64_t part, bool refused) {
    mst_mpi_done_head_t head = {id, part, refused};
    mst_mpi_post_send(&get->node->post, peer, MST_MPI_DONE, &head, sizeof head, NULL, 0);
}

static mst_mpi_copy_t *find_or_make(mst_mpi_get_t *get, int peer, const mst_mpi_object_head_t *head) {
    mst_mpi_copy_t *copy = mst_mpi_key_find(&get->copies, (mst_mpi_key_t){peer, head->id, head->part});
    if (copy || !(copy = calloc(1, sizeof *copy))) return copy;
    copy->key = (mst_mpi_key_t){peer, head->id, head->part};
    copy->parts = head->parts;
    if (tsearch(copy, &get->copies, mst_mpi_key_compare)) return copy;
    free(copy);
    return NULL;
}

/* ---- What peers say. */

static maestro_status_t declare(mst_mpi_get_t *get, int peer, const void *parcel, size_t nbytes, maestro_cdo_t **cdo_out) {
    maestro_cdo_t *cdo = NULL;
    MST_TRY(maestro_cdo_declare(get->node->session, NULL, &cdo));
    maestro_status_t status = mst_meta_parcel_read(parcel, nbytes, &cdo->builder);
    if (status == MAESTRO_OK) status = maestro_cdo_set_str(cdo, "maestro.node", get->node->name[peer]);
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

void mst_mpi_get_known(mst_mpi_get_t *get, int peer, const mst_mpi_object_head_t *head, const void *parcel, size_t nbytes) {
    maestro_cdo_t *cdo;
    mst_mpi_copy_t *copy = find_or_make(get, peer, head);
    if (!copy || copy->known_id || mst_mpi_node_failed(get->node, declare(get, peer, parcel, nbytes, &cdo), "hear of an object of another node")) return;
    mst_mpi_node_failed(get->node, tell_pool(get->node->session, cdo, &copy->known_id), "hear of an object of another node");
    maestro_cdo_dispose(cdo);
}

void mst_mpi_get_object(mst_mpi_get_t *get, int peer, const mst_mpi_object_head_t *head, const void *parcel, size_t nbytes) {
    mst_mpi_copy_t *copy = find_or_make(get, peer, head);
    if (!copy || copy->coming || copy->own_id || mst_mpi_node_failed(get->node, declare(get, peer, parcel, nbytes, &copy->cdo), "take an object of another node")) {
        done_with(get, peer, head->id, head->part, !copy || (!copy->coming && !copy->own_id));
        return;
    }
    copy->nbytes = head->nbytes;
    copy->address = (uint64_t)head->address;
    copy->got = 0; /* it may have been refused before */
    copy->bytes = NULL;
    copy->coming = true;
    copy->next = NULL;
    *get->coming_end = copy;
    get->coming_end = &copy->next;
}

static void withdraw(maestro_session_t *session, uint64_t id) {
    if (!id || mst_client_enter(session, "withdraw a copy") != MAESTRO_OK) return;
    mst_client_owe(session, &(mst_wire_request_t){.head.kind = MST_WIRE_WITHDRAW, .after = session->channel.offers.position, .argument = id, .kinds = MAESTRO_WHEN_RELEASED});
    mst_client_leave(session);
}

void mst_mpi_get_gone(mst_mpi_get_t *get, int peer, uint64_t id) {
    mst_mpi_copy_t *copy;
    for (uint64_t part = 0, parts = 1; part < parts && part < MST_WIRE_PARTS_MAX; part++) {
        if (!(copy = mst_mpi_key_find(&get->copies, (mst_mpi_key_t){peer, id, part}))) continue;
        parts = copy->parts;
        withdraw(get->node->session, copy->known_id);
        withdraw(get->node->session, copy->own_id); /* of a part: if it waits for others, else they have gone with the first */
        copy->gone = true;
        if (!copy->coming) end_copy(get, copy); /* else when it has come */
    }
}

/* ---- Bytes. */

/* The next piece of a copy's bytes.  True: it is under way. */
static bool get_piece(mst_mpi_get_t *get, mst_mpi_copy_t *copy) {
    if (copy->got == copy->nbytes) return false;
    size_t nbytes = copy->nbytes - copy->got < PIECE ? copy->nbytes - copy->got : PIECE;
    MPI_Rget(copy->bytes + copy->got, (int)nbytes, MPI_BYTE, (int)copy->key.peer, (MPI_Aint)(copy->address + copy->got), (int)nbytes, MPI_BYTE, get->node->window,
             &copy->request);
    copy->got += nbytes;
    get->gets++;
    return true;
}

/* AGAIN: there may be room later. */
static maestro_status_t make_room(mst_mpi_get_t *get, mst_mpi_copy_t *copy) {
    void *bytes = NULL;
    double timeout_s = get->node->session->timeout_s;
    get->node->session->timeout_s = ROOM_S; /* peers get from this link meanwhile, and wait no longer than that */
    maestro_status_t status = maestro_cdo_alloc(copy->cdo, copy->nbytes, MAESTRO_TIER_DEFAULT, &bytes);
    get->node->session->timeout_s = timeout_s;
    copy->bytes = bytes;
    return status == MAESTRO_NO_MEMORY || status == MAESTRO_TIMEOUT ? MAESTRO_AGAIN : status;
}

/* What the pool refuses is not there for anybody: the peer is told.  One that still waits to be taken is left to the pool. */
static void offer_copy(mst_mpi_get_t *get, mst_mpi_copy_t *copy) {
    maestro_status_t status = maestro_cdo_offer(copy->cdo);
    if (status == MAESTRO_OK) status = maestro_cdo_wait(copy->cdo, ROOM_S);
    if (status == MAESTRO_TIMEOUT) status = MAESTRO_OK;
    if (mst_mpi_node_failed(get->node, status, "offer a copy")) return;
    copy->own_id = copy->cdo->id;
    get->came++;
    get->bytes += copy->nbytes;
}

static bool has_come(const mst_mpi_get_t *get, const mst_mpi_copy_t *copy) {
    return !copy->running && (copy->got == copy->nbytes || copy->gone || copy->failed || get->node->stopping);
}

/* False: there is no room for it, nor for those behind it. */
static bool bring(mst_mpi_get_t *get, mst_mpi_copy_t *copy) {
    int there;
    if (has_come(get, copy)) return true;
    if (copy->running) {
        MPI_Test(&copy->request, &there, MPI_STATUS_IGNORE);
        copy->running = !there || get_piece(get, copy);
        get->running -= !copy->running;
        return true;
    }
    if (get->running == RUNNING_MAX) return false;
    maestro_status_t status = make_room(get, copy);
    if (status == MAESTRO_AGAIN) return false;
    copy->failed = mst_mpi_node_failed(get->node, status, "make room for a copy");
    if (copy->failed) return true;
    copy->running = get_piece(get, copy);
    get->running++;
    return true;
}

/* Bytes come in any order, and are offered in that in which they were named: each producer's. */
size_t mst_mpi_get_advance(mst_mpi_get_t *get) {
    size_t work = 0;
    unsigned ahead = 0;
    for (mst_mpi_copy_t *copy = get->coming; copy && ahead < AHEAD && bring(get, copy); copy = copy->next) ahead++;
    for (mst_mpi_copy_t *copy; (copy = get->coming) && has_come(get, copy); work++) {
        get->coming = copy->next;
        if (!get->coming) get->coming_end = &get->coming;
        copy->coming = false;
        if (!copy->gone && !copy->failed && !get->node->stopping) offer_copy(get, copy);
        maestro_cdo_dispose(copy->cdo);
        copy->cdo = NULL;
        copy->failed = false;
        done_with(get, (int)copy->key.peer, copy->key.id, copy->key.part, !copy->own_id);
        if (copy->gone) end_copy(get, copy);
    }
    return work;
}

void mst_mpi_get_init(mst_mpi_get_t *get, mst_mpi_node_t *node) {
    *get = (mst_mpi_get_t){.node = node, .coming_end = &get->coming};
}

void mst_mpi_get_fini(mst_mpi_get_t *get) {
    while (get->copies) end_copy(get, mst_mpi_key_any(get->copies));
}
