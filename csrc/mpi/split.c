/* maestro_comm_split: version 1 of the MPI handshake, by which the libraries of one MPI job find their ranks (Hanke, DKRZ:
 * gitlab.dkrz.de/dkrz-sw/mpi-handshake; YAC's manual, "MPI handshake algorithm").  Other libraries' ranks take part if these calls are made on the
 * communicator itself, and no others:
 *     Allreduce of one int, the smallest: the version
 *     as long as a rank lacks a communicator:
 *         Allreduce of one int, the smallest: the ranks that lack one, those that do not say the number of ranks
 *         Bcast by that rank of one int, the length of its next name, and of so many chars, the name
 *         Comm_split of all, the ranks that have the name in their order, the others undefined
 * Invariant: what a rank finds wrong before it tells by its version, what all find wrong at once ends the handshake on all, and what it finds alone later
 * does not keep it from taking part; so nobody waits. */
#include "mpi/comm.h"

enum { VERSION = 1, NAME_NBYTES = 4096 };

static const char WHAT[] = "split by name";

typedef struct handshake {
    MPI_Comm comm;
    int rank, nranks;
    size_t nnames;
    const char *const *names;
    MPI_Comm *made; /* of each name; MPI_COMM_NULL: not yet */
} handshake_t;

/* ---- What this rank gives */
static maestro_status_t check_name(const char *const *names, size_t which) {
    size_t nbytes = names[which] ? strnlen(names[which], NAME_NBYTES + 1) : 0;
    if (!nbytes)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: name %zu is %s; give at least one character", WHAT, which, names[which] ? "empty" : "NULL");
    if (nbytes > NAME_NBYTES)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: name %zu has more than %d bytes; give a shorter one", WHAT, which, NAME_NBYTES);
    for (size_t i = 0; i < which; i++)
        if (strcmp(names[i], names[which]) == 0)
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: names %zu and %zu are both '%.64s'; give each once", WHAT, i, which, names[i]);
    return MAESTRO_OK;
}

static maestro_status_t prepare(handshake_t *handshake, const maestro_comm_t *comms_out) {
    if (handshake->nnames && (!handshake->names || !comms_out))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: there are %zu names, but the array of %s is NULL", WHAT, handshake->nnames,
                             handshake->names ? "communicators" : "names");
    for (size_t i = 0; i < handshake->nnames; i++) MST_TRY(check_name(handshake->names, i));
    handshake->made = malloc((handshake->nnames + 1) * sizeof *handshake->made);
    if (!handshake->made) return mst_base_fail_errno(WHAT);
    for (size_t i = 0; i < handshake->nnames; i++) handshake->made[i] = MPI_COMM_NULL;
    return MAESTRO_OK;
}

/* ---- The version.  A rank that cannot take part gives a negative one, with its rank and status in it: other libraries do not speak that, and give up too.
 * The smallest is the lowest rank's. */
enum { STATUSES = 128 };

static int refusal(const handshake_t *handshake, maestro_status_t status) { return (handshake->rank - handshake->nranks) * STATUSES + status; }

static maestro_status_t refused(const handshake_t *handshake, int version) {
    int rank = handshake->nranks + version / STATUSES;
    if (version > -STATUSES || version % STATUSES == 0 || rank < 0)
        return mst_base_fail(MAESTRO_PROTOCOL, "%s: a rank speaks version %d of the MPI handshake, and this library version %d", WHAT, version, VERSION);
    maestro_status_t status = (maestro_status_t)(version % STATUSES);
    if (rank == handshake->rank) return status; /* it has said why */
    return mst_base_fail(status, "%s: rank %d has not taken part: %s; its own message says more", WHAT, rank, maestro_status_text(status));
}

static maestro_status_t exchange_versions(const handshake_t *handshake, maestro_status_t own) {
    int version = own == MAESTRO_OK ? VERSION : refusal(handshake, own), smallest = 0;
    MST_TRY(mst_mpi_check(WHAT, MPI_Allreduce(&version, &smallest, 1, MPI_INT, MPI_MIN, handshake->comm)));
    return smallest == VERSION ? MAESTRO_OK : refused(handshake, smallest);
}

/* ---- A name */
static size_t next_name(const handshake_t *handshake) {
    size_t i = 0;
    while (i < handshake->nnames && handshake->made[i] != MPI_COMM_NULL) i++;
    return i;
}

static maestro_status_t find_speaker(const handshake_t *handshake, int *speaker_out) {
    int own = next_name(handshake) < handshake->nnames ? handshake->rank : handshake->nranks, speaker = 0;
    MST_TRY(mst_mpi_check(WHAT, MPI_Allreduce(&own, &speaker, 1, MPI_INT, MPI_MIN, handshake->comm)));
    if (speaker < 0 || speaker > handshake->nranks)
        return mst_base_fail(MAESTRO_PROTOCOL, "%s: a rank says that it is rank %d, of %d", WHAT, speaker, handshake->nranks);
    *speaker_out = speaker;
    return MAESTRO_OK;
}

/* `name` has room for NAME_NBYTES: without memory that could be missing on one rank alone. */
static maestro_status_t hear(const handshake_t *handshake, int speaker, char *name, size_t *nbytes_out) {
    int nbytes = 0;
    if (speaker == handshake->rank) {
        const char *own = handshake->names[next_name(handshake)];
        nbytes = (int)strlen(own);
        memcpy(name, own, (size_t)nbytes);
    }
    MST_TRY(mst_mpi_check(WHAT, MPI_Bcast(&nbytes, 1, MPI_INT, speaker, handshake->comm)));
    if (nbytes < 0 || nbytes > NAME_NBYTES)
        return mst_base_fail(MAESTRO_PROTOCOL, "%s: rank %d gives a name of %d bytes; they may have %d", WHAT, speaker, nbytes, NAME_NBYTES);
    MST_TRY(mst_mpi_check(WHAT, MPI_Bcast(name, nbytes, MPI_CHAR, speaker, handshake->comm)));
    *nbytes_out = (size_t)nbytes;
    return MAESTRO_OK;
}

static size_t find_name(const handshake_t *handshake, const char *name, size_t nbytes) {
    size_t i = 0;
    while (i < handshake->nnames && (strlen(handshake->names[i]) != nbytes || memcmp(handshake->names[i], name, nbytes) != 0)) i++;
    return i;
}

/* `fault`: what is wrong and will be said at the end. */
static maestro_status_t make(const handshake_t *handshake, int speaker, maestro_status_t *fault) {
    char name[NAME_NBYTES];
    size_t nbytes = 0;
    MPI_Comm made = MPI_COMM_NULL;
    MST_TRY(hear(handshake, speaker, name, &nbytes));
    size_t which = find_name(handshake, name, nbytes);
    bool is_mine = which < handshake->nnames, again = is_mine && handshake->made[which] != MPI_COMM_NULL;
    if (again)
        *fault = mst_base_fail(MAESTRO_PROTOCOL, "%s: rank %d gives the name '%.64s' once more", WHAT, speaker, handshake->names[which]);
    MST_TRY(mst_mpi_check(WHAT, MPI_Comm_split(handshake->comm, is_mine && !again ? 0 : MPI_UNDEFINED, handshake->rank, &made)));
    if (made != MPI_COMM_NULL) handshake->made[which] = made;
    return MAESTRO_OK;
}

static maestro_status_t shake(const handshake_t *handshake, maestro_status_t own) {
    maestro_status_t fault = MAESTRO_OK;
    MST_TRY(exchange_versions(handshake, own));
    for (int speaker = 0;;) {
        MST_TRY(find_speaker(handshake, &speaker));
        if (speaker == handshake->nranks) return fault;
        MST_TRY(make(handshake, speaker, &fault));
    }
}

/* ---- Outcome */
static void give(const handshake_t *handshake, maestro_comm_t *comms_out) {
    MPI_Errhandler handler;
    MPI_Comm_get_errhandler(handshake->comm, &handler); /* what is made of a communicator has its handler */
    for (size_t i = 0; i < handshake->nnames; i++) {
        MPI_Comm_set_errhandler(handshake->made[i], handler);
        comms_out[i] = MPI_Comm_c2f(handshake->made[i]);
    }
    MPI_Errhandler_free(&handler);
}

static void take_back(handshake_t *handshake) {
    for (size_t i = 0; handshake->made && i < handshake->nnames; i++)
        if (handshake->made[i] != MPI_COMM_NULL) MPI_Comm_free(&handshake->made[i]);
}

maestro_status_t maestro_comm_split(maestro_comm_t comm, size_t nnames, const char *const *names, maestro_comm_t *comms_out) {
    mst_mpi_theirs_t theirs;
    MST_TRY(mst_mpi_theirs_begin(WHAT, comm, &theirs));
    handshake_t handshake = {.comm = theirs.comm, .nnames = nnames, .names = names};
    MPI_Comm_rank(theirs.comm, &handshake.rank);
    MPI_Comm_size(theirs.comm, &handshake.nranks);
    maestro_status_t status = shake(&handshake, prepare(&handshake, comms_out));
    if (status != MAESTRO_OK) take_back(&handshake);
    mst_mpi_theirs_end(&theirs);
    if (status == MAESTRO_OK) give(&handshake, comms_out);
    free(handshake.made);
    return status;
}
