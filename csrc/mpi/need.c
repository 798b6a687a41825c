/* See need.h.  A need of a peer is a subscription or a demand of this node's link, and ends when the peer takes it back. */
#include "mpi/need.h"

enum { PER_ROUND = 64 };
static const double FOR_EVER_S = 1e6;

struct mst_mpi_served { /* a need of a peer */
    int peer;
    int64_t number;
    char *text;
    maestro_subscription_t *subscription; /* or */
    maestro_request_t *demand;
    mst_mpi_served_t *next;
};

/* ---- Needs of this node. */

static void tell_need(mst_mpi_needs_t *needs, const maestro_event_t *event) {
    const char *component = "", *schema = "", *text = "", *reason = "";
    mst_mpi_need_head_t head = {0};
    maestro_cdo_get_str(event->cdo, "maestro.component", &component);
    maestro_cdo_get_str(event->cdo, "maestro.schema", &schema);
    maestro_cdo_get_str(event->cdo, "maestro.selector", &text);
    maestro_cdo_get_str(event->cdo, "maestro.reason", &reason);
    maestro_cdo_get_i64(event->cdo, "maestro.need", &head.number);
    head.demand = strcmp(reason, "demand") == 0;
    bool other = strcmp(schema, needs->node->session->schema->name) != 0;
    if (other || strcmp(component, needs->node->session->component) == 0) return; /* links serve each other's needs, not their own */
    if (event->kind == MAESTRO_EVENT_REQUIRED) mst_mpi_node_tell(needs->node, MST_MPI_NEED, &head, sizeof head, text, strlen(text));
    else mst_mpi_node_tell(needs->node, MST_MPI_RETRACT, &head, sizeof head, NULL, 0);
}

bool mst_mpi_needs_open(mst_mpi_needs_t *needs) {
    maestro_subscription_options_t options;
    maestro_subscription_options_init(&options);
    options.kinds = MAESTRO_EVENT_REQUIRED | MAESTRO_EVENT_RETRACTED;
    return !mst_mpi_node_failed(needs->node, maestro_subscribe(needs->node->session, NULL, &options, &needs->own), "hear of needs");
}

size_t mst_mpi_needs_tell(mst_mpi_needs_t *needs) {
    maestro_event_t event;
    size_t work = 0;
    for (; work < PER_ROUND; work++) {
        maestro_status_t status = maestro_subscription_next(needs->own, 0, &event);
        if (status == MAESTRO_TIMEOUT) break;
        if (status == MAESTRO_END) status = mst_base_fail(MAESTRO_POOL_LOST, "the pool manager has left");
        if (mst_mpi_node_failed(needs->node, status, "hear of needs")) break;
        if (event.kind == MAESTRO_EVENT_GAP) {
            mst_mpi_node_tell(needs->node, MST_MPI_RETRACT_ALL, &event.sequence, sizeof event.sequence, NULL, 0);
            maestro_subscription_dispose(needs->own);
            if (!mst_mpi_needs_open(needs)) break;
            continue;
        }
        tell_need(needs, &event);
        maestro_cdo_dispose(event.cdo);
    }
    return work;
}

/* ---- Needs of peers. */

static void open_need(mst_mpi_needs_t *needs, mst_mpi_served_t *served, bool demand) {
    maestro_status_t status = demand ? maestro_demand_start(needs->node->session, served->text, FOR_EVER_S, &served->demand)
                                     : maestro_subscribe(needs->node->session, served->text, NULL, &served->subscription);
    mst_mpi_node_failed(needs->node, status, "serve a need of another node");
}

void mst_mpi_needs_add(mst_mpi_needs_t *needs, int peer, const mst_mpi_need_head_t *head, const char *text, size_t nbytes) {
    mst_mpi_served_t *served = calloc(1, sizeof *served);
    char *copy = strndup(text, nbytes);
    if (!served || !copy) {
        free(served);
        free(copy);
        return;
    }
    *served = (mst_mpi_served_t){.peer = peer, .number = head->number, .text = copy, .next = needs->served};
    needs->served = served;
    open_need(needs, served, head->demand);
}

static void drop_need(mst_mpi_served_t **position) {
    mst_mpi_served_t *served = *position;
    *position = served->next;
    maestro_subscription_dispose(served->subscription);
    maestro_request_dispose(served->demand);
    free(served->text);
    free(served);
}

void mst_mpi_needs_drop(mst_mpi_needs_t *needs, int peer, const int64_t *number) {
    for (mst_mpi_served_t **position = &needs->served; *position;)
        if ((*position)->peer == peer && (!number || (*position)->number == *number)) drop_need(position);
        else position = &(*position)->next;
}

static size_t serve_subscription(mst_mpi_needs_t *needs, mst_mpi_served_t *served) {
    maestro_event_t events[PER_ROUND];
    size_t count = 0;
    maestro_status_t status = maestro_subscription_next_many(served->subscription, 0, events, PER_ROUND, &count);
    if (status != MAESTRO_OK && status != MAESTRO_TIMEOUT) mst_mpi_node_failed(needs->node, status, "read what another node needs");
    bool again = false;
    for (size_t i = 0; i < count; i++) {
        again |= events[i].kind == MAESTRO_EVENT_GAP;
        if (events[i].kind == MAESTRO_EVENT_OFFERED && !events[i].gone) mst_mpi_give_find(needs->give, served->peer, events[i].cdo, events[i].sequence);
        else maestro_cdo_dispose(events[i].cdo);
    }
    if (again) { /* what was missed comes with the snapshot; what is known is not named twice */
        maestro_subscription_dispose(served->subscription);
        served->subscription = NULL;
        open_need(needs, served, false);
    }
    return count;
}

/* An answered demand is over; one that several objects match is asked again when its need changes: nobody can say which one is meant. */
static size_t serve_demand(mst_mpi_needs_t *needs, mst_mpi_served_t *served) {
    maestro_status_t status = maestro_request_test(served->demand);
    if (status == MAESTRO_IN_PROGRESS) return 0;
    maestro_cdo_t *cdo;
    if (status == MAESTRO_OK && maestro_request_cdo(served->demand, &cdo) == MAESTRO_OK) mst_mpi_give_find(needs->give, served->peer, cdo, 0);
    else mst_mpi_node_failed(needs->node, status, "answer a demand of another node");
    maestro_request_dispose(served->demand);
    served->demand = NULL;
    return 1;
}

size_t mst_mpi_needs_serve(mst_mpi_needs_t *needs) {
    size_t work = 0;
    for (mst_mpi_served_t *served = needs->served; served && !needs->node->stopping; served = served->next) {
        if (served->subscription) work += serve_subscription(needs, served);
        if (served->demand) work += serve_demand(needs, served);
    }
    return work;
}

void mst_mpi_needs_fini(mst_mpi_needs_t *needs) {
    while (needs->served) drop_need(&needs->served);
    maestro_subscription_dispose(needs->own);
}
