/* See link.h.  One thread: a round takes what peers have sent, what the own pool says is needed or gone, what it has for others, and what has come.
 *
 * A node gives (give.h), gets (get.h), and needs, as others do (need.h); what these share is the node in the job (node.h).  A link leaves when nobody gets
 * anything from it any more: all have said BYE. */
#include "mpi/link.h"

#include "mpi/get.h"
#include "mpi/give.h"
#include "mpi/need.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum { MESSAGES_PER_ROUND = 256, YIELDS = 50, PAUSE_NS = 50000, PAUSE_NS_MAX = 2000000 };

typedef struct link {
    mst_mpi_node_t node;
    mst_mpi_give_t give;
    mst_mpi_get_t get;
    mst_mpi_needs_t needs;
    bool said_bye;
    int byes;
} link_t;

static volatile sig_atomic_t signalled;
static void on_signal(int number) { signalled = number; }

/* ---- Messages. */

static size_t least_nbytes(int kind) {
    switch (kind) {
    case MST_MPI_NEED:
    case MST_MPI_RETRACT: return sizeof(mst_mpi_need_head_t);
    case MST_MPI_OBJECT:
    case MST_MPI_KNOWN: return sizeof(mst_mpi_object_head_t);
    case MST_MPI_DONE: return sizeof(mst_mpi_done_head_t);
    default: return sizeof(uint64_t);
    }
}

static void take_message(link_t *link, int peer, int kind, const void *bytes, size_t nbytes) {
    const mst_mpi_need_head_t *need = bytes;
    const mst_mpi_object_head_t *object = bytes;
    switch (kind) {
    case MST_MPI_NEED: mst_mpi_needs_add(&link->needs, peer, need, (const char *)(need + 1), nbytes - sizeof *need); break;
    case MST_MPI_RETRACT: mst_mpi_needs_drop(&link->needs, peer, &need->number); break;
    case MST_MPI_RETRACT_ALL: mst_mpi_needs_drop(&link->needs, peer, NULL); break;
    case MST_MPI_KNOWN: mst_mpi_get_known(&link->get, peer, object, object + 1, nbytes - sizeof *object); break;
    case MST_MPI_OBJECT: mst_mpi_get_object(&link->get, peer, object, object + 1, nbytes - sizeof *object); break;
    case MST_MPI_DONE: mst_mpi_give_done(&link->give, peer, bytes); break;
    case MST_MPI_GONE: mst_mpi_get_gone(&link->get, peer, *(const uint64_t *)bytes); break;
    case MST_MPI_BYE:
        link->byes++;
        link->node.stopping = true;
        break;
    default: fprintf(stderr, "maestro-link: node %s: a message of unknown kind %d from rank %d; is it of another version?\n", mst_mpi_node_name(&link->node), kind, peer);
    }
}

static size_t take_messages(link_t *link) {
    size_t work = 0, nbytes;
    int peer, kind;
    const void *bytes;
    for (; work < MESSAGES_PER_ROUND && mst_mpi_post_receive(&link->node.post, &peer, &kind, &bytes, &nbytes); work++) {
        if (nbytes >= least_nbytes(kind)) take_message(link, peer, kind, bytes, nbytes);
        else fprintf(stderr, "maestro-link: node %s: a message of kind %d from rank %d has %zu bytes, at least %zu are due; is it of another version?\n",
                     mst_mpi_node_name(&link->node), kind, peer, nbytes, least_nbytes(kind));
    }
    return work;
}

/* ---- The loop. */

/* With nothing to do: yields first, then sleeps, longer each time. */
static void rest(unsigned *rounds, int64_t *pause_ns) {
    if (++*rounds < YIELDS) {
        sched_yield();
        return;
    }
    nanosleep(&(struct timespec){.tv_nsec = *pause_ns}, NULL);
    if (*pause_ns < PAUSE_NS_MAX) *pause_ns *= 2;
}

static void say_bye(link_t *link) {
    uint64_t nothing = 0;
    mst_mpi_node_tell(&link->node, MST_MPI_BYE, &nothing, sizeof nothing, NULL, 0);
    link->said_bye = true;
}

static size_t do_round(link_t *link) {
    size_t work = take_messages(link);
    link->node.stopping |= signalled != 0;
    if (!link->node.stopping) {
        work += mst_mpi_give_tell(&link->give);
        work += mst_mpi_needs_tell(&link->needs);
        work += mst_mpi_needs_serve(&link->needs);
        work += mst_mpi_give_name(&link->give);
    }
    work += mst_mpi_get_advance(&link->get);
    if (link->node.stopping && !link->said_bye && !link->get.coming) say_bye(link);
    return work;
}

static void serve(link_t *link) {
    unsigned rounds = 0;
    int64_t pause_ns = PAUSE_NS;
    while (!link->said_bye || link->byes < link->node.post.size - 1) {
        if (do_round(link)) rounds = 0, pause_ns = PAUSE_NS;
        else if (link->give.awaited || link->get.running) sched_yield(); /* MPI moves bytes only while both links are inside it */
        else rest(&rounds, &pause_ns);
    }
}

/* ---- The process. */

static void report(const link_t *link, const mst_mpi_link_options_t *options, const char *event) {
    const char *node = mst_mpi_node_name(&link->node);
    const mst_mpi_get_t *get = &link->get;
    int size = link->node.post.size;
    unsigned long long came = get->came, gets = get->gets, bytes = get->bytes, named = link->give.named;
    if (options->json)
        printf("{\"event\":\"%s\",\"node\":\"%s\",\"nodes\":%d,\"objects_in\":%llu,\"gets\":%llu,\"bytes_in\":%llu,\"objects_named\":%llu}\n", event, node, size, came,
               gets, bytes, named);
    else
        printf("maestro-link: node %s %s, %d nodes: %llu objects came by %llu MPI_Gets, %.1f MiB; %llu were named to others\n", node, event, size, came, gets,
               (double)bytes / (1 << 20), named);
    fflush(stdout);
}

static void run(link_t *link, const mst_mpi_link_options_t *options) {
    mst_mpi_node_open_window(&link->node);
    if (!mst_mpi_give_open(&link->give) || !mst_mpi_needs_open(&link->needs)) link->node.stopping = true;
    report(link, options, "joined");
    serve(link);
    report(link, options, "left");
    mst_mpi_node_close_window(&link->node);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

int mst_mpi_link_run(int *argc, char ***argv, const mst_mpi_link_options_t *options) {
    link_t link = {.needs = {.node = &link.node, .give = &link.give}};
    MPI_Init(argc, argv);
    catch_signals();
    mst_mpi_give_init(&link.give, &link.node);
    mst_mpi_get_init(&link.get, &link.node);
    bool together = mst_mpi_node_init(&link.node, options);
    if (together) run(&link, options);
    mst_mpi_needs_fini(&link.needs);
    mst_mpi_give_fini(&link.give);
    mst_mpi_get_fini(&link.get);
    mst_mpi_node_fini(&link.node);
    MPI_Finalize();
    return !together;
}
