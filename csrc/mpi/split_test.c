/* Splits by random names against brute force; refusals, which all ranks learn of; ranks of other libraries, which speak the handshake by hand here, well and
 * badly.  Run by any number of ranks up to 8. */
#include "mpi/cases_test.h"
#include "mpi/comm.h"

#include <stdio.h>

enum { RANKS = 8, NAMES = 6, TOO_LONG = 4097 };

static const char *const all_names[NAMES] = {"ocean", "ice", "ocean and ice", "land", "o", "\xc3\xa9t\xc3\xa9"};

static int rank, nranks;
static maestro_comm_t world;

/* Communicators that splits have made and that are not freed: by MPI's profiling interface. */
static int ncomms;

int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm *made) {
    int code = PMPI_Comm_split(comm, color, key, made);
    ncomms += *made != MPI_COMM_NULL;
    return code;
}

int MPI_Comm_free(MPI_Comm *comm) {
    ncomms--;
    return PMPI_Comm_free(comm);
}

/* ---- Random names: a rank's are a random part of all, in a random order. */
static size_t random_names(uint64_t seed, int of, const char **names) {
    uint64_t state = mst_base_mix(seed * RANKS + (uint64_t)of + 1);
    size_t nnames = 0;
    for (size_t i = 0; i < NAMES; i++, state = mst_base_mix(state + 1)) {
        if (state % 2) continue;
        size_t at = (size_t)(state >> 8) % (nnames + 1);
        names[nnames++] = names[at];
        names[at] = all_names[i];
    }
    return nnames;
}

static bool gives(uint64_t seed, int of, const char *name) {
    const char *names[NAMES + 1];
    size_t nnames = random_names(seed, of, names), i = 0;
    while (i < nnames && strcmp(names[i], name) != 0) i++;
    return i < nnames;
}

/* The communicator of a name has the ranks that gave it, in their order, and works. */
static void check_group(uint64_t seed, const char *name, maestro_comm_t handle) {
    int members[RANKS], expected = 0, size = 0, own = -1;
    MPI_Comm comm = MPI_Comm_f2c(handle);
    MPI_Comm_size(comm, &size);
    MPI_Comm_rank(comm, &own);
    CHECK(size <= nranks);
    MPI_Allgather(&rank, 1, MPI_INT, members, 1, MPI_INT, comm);
    for (int r = 0; r < nranks; r++) {
        if (!gives(seed, r, name)) continue;
        CHECK(expected < size && members[expected] == r);
        CHECK(r != rank || own == expected);
        expected++;
    }
    CHECK(size == expected);
    MPI_Comm_free(&comm);
}

static void check_case(uint64_t seed) {
    const char *names[NAMES + 1];
    maestro_comm_t comms[NAMES] = {0};
    size_t nnames = random_names(seed, rank, names);
    CHECK_OK(maestro_comm_split(world, nnames, names, comms));
    for (size_t i = 0; i < NAMES; i++) /* in one order on all ranks */
        for (size_t k = 0; k < nnames; k++)
            if (names[k] == all_names[i]) check_group(seed, names[k], comms[k]);
}

static void test_each_name_has_the_ranks_that_gave_it(void) { cases_run(as_many_as_time_allows(300, 100, 10), check_case); }

static void test_ranks_keep_the_order_of_the_communicator(void) {
    MPI_Comm reversed, made;
    maestro_comm_t comm = 0;
    int own = -1;
    MPI_Comm_split(MPI_COMM_WORLD, 0, -rank, &reversed);
    CHECK_OK(maestro_comm_split(MPI_Comm_c2f(reversed), 1, (const char *[]){"all"}, &comm));
    made = MPI_Comm_f2c(comm);
    MPI_Comm_rank(made, &own);
    CHECK(own == nranks - 1 - rank);
    MPI_Comm_free(&made);
    MPI_Comm_free(&reversed);
}

/* ---- Refusals: one status on all ranks, nothing written, and the communicator is as good as before */
static void check_good_split(void) {
    maestro_comm_t comm = 0;
    int size = 0;
    CHECK_OK(maestro_comm_split(world, 1, (const char *[]){"all"}, &comm));
    MPI_Comm made = MPI_Comm_f2c(comm);
    MPI_Comm_size(made, &size);
    CHECK(size == nranks);
    MPI_Comm_free(&made);
}

/* The last rank's arguments; the others' are good. */
static void check_refused(size_t nnames, const char *const *names, bool has_output, const char *said) {
    maestro_comm_t comms[4] = {-77, -77, -77, -77};
    bool last = rank == nranks - 1;
    char others[64];
    if (last) CHECK_STATUS(maestro_comm_split(world, nnames, names, has_output ? comms : NULL), MAESTRO_INVALID_ARGUMENT);
    else CHECK_STATUS(maestro_comm_split(world, 1, (const char *[]){"ocean"}, comms), MAESTRO_INVALID_ARGUMENT);
    snprintf(others, sizeof others, "rank %d has not taken part: invalid argument", nranks - 1);
    CHECK_ERROR_SAYS(last ? said : others);
    for (size_t i = 0; i < MST_COUNT(comms); i++) CHECK(comms[i] == -77);
}

static void test_bad_names_are_refused_by_all(void) {
    char long_name[TOO_LONG + 1];
    memset(long_name, 'a', TOO_LONG);
    long_name[TOO_LONG] = 0;
    check_refused(2, (const char *[]){"ocean", ""}, true, "name 1 is empty");
    check_refused(2, (const char *[]){NULL, "ocean"}, true, "name 0 is NULL");
    check_refused(3, (const char *[]){"ocean", "ice", "ocean"}, true, "names 0 and 2 are both 'ocean'");
    check_refused(1, (const char *[]){long_name}, true, "name 0 has more than 4096 bytes");
    check_refused(1, NULL, true, "array of names is NULL");
    check_refused(1, (const char *[]){"ocean"}, false, "array of communicators is NULL");
    check_good_split();
}

static void test_of_several_refusals_the_lowest_ranks_is_told(void) {
    maestro_comm_t comms[2];
    if (nranks < 3) return;
    const char *names[] = {"ocean", rank ? "ocean" : "ice"};
    CHECK_STATUS(maestro_comm_split(world, 2, names, comms), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS(rank == 1 ? "are both" : "rank 1 has not taken part");
}

static void test_no_names_and_long_ones_are_good(void) {
    char name[TOO_LONG];
    maestro_comm_t comm = 0;
    memset(name, 'a', TOO_LONG - 1);
    name[TOO_LONG - 1] = 0;
    CHECK_OK(maestro_comm_split(world, 0, NULL, NULL));
    CHECK_OK(maestro_comm_split(world, rank == 0, (const char *[]){name}, &comm));
    if (rank) return;
    MPI_Comm made = MPI_Comm_f2c(comm);
    MPI_Comm_free(&made);
}

static void test_what_is_no_communicator_is_refused(void) {
    maestro_comm_t comm = -77;
    MPI_Comm half, between;
    CHECK_STATUS(maestro_comm_split(MPI_Comm_c2f(MPI_COMM_NULL), 1, (const char *[]){"a"}, &comm), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(maestro_comm_split(12345678, 1, (const char *[]){"a"}, &comm), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("no communicator");
    CHECK(comm == -77);
    if (nranks < 2) return;
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, 0, &half);
    MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, 1 - rank % 2, 1, &between);
    CHECK_STATUS(maestro_comm_split(MPI_Comm_c2f(between), 1, (const char *[]){"a"}, &comm), MAESTRO_INVALID_ARGUMENT);
    MPI_Comm_free(&between);
    MPI_Comm_free(&half);
}

/* ---- Ranks of other libraries: the calls of the handshake */
static int foreign_version(int version) {
    int smallest = 0;
    MPI_Allreduce(&version, &smallest, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return smallest;
}

static int foreign_speaker(int speaker) {
    int smallest = 0;
    MPI_Allreduce(&speaker, &smallest, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return smallest;
}

/* Takes part in a round, with this name if it is the speaker's; the group's size if it is the same. */
static int foreign_round(int speaker, const char *name) {
    char heard[256] = "";
    int nbytes = (int)strlen(name), size = 0;
    MPI_Comm made;
    if (speaker == rank) memcpy(heard, name, (size_t)nbytes);
    MPI_Bcast(&nbytes, 1, MPI_INT, speaker, MPI_COMM_WORLD);
    MPI_Bcast(heard, nbytes, MPI_CHAR, speaker, MPI_COMM_WORLD);
    MPI_Comm_split(MPI_COMM_WORLD, strcmp(heard, name) == 0 ? 0 : MPI_UNDEFINED, rank, &made);
    if (made == MPI_COMM_NULL) return 0;
    MPI_Comm_size(made, &size);
    MPI_Comm_free(&made);
    return size;
}

static maestro_status_t split_as(const char *name) {
    maestro_comm_t comm = -77;
    maestro_status_t status = maestro_comm_split(world, 1, &name, &comm);
    CHECK((status == MAESTRO_OK) == (comm != -77));
    MPI_Comm made = status == MAESTRO_OK ? MPI_Comm_f2c(comm) : MPI_COMM_NULL;
    if (made != MPI_COMM_NULL) MPI_Comm_free(&made);
    return status;
}

/* The last rank is foreign, and can speak a later version too. */
static void test_a_rank_of_another_library_takes_part(void) {
    if (rank < nranks - 1) {
        CHECK_OK(split_as(rank ? "both" : "ours"));
        return;
    }
    int speaker = 0, rounds = 0, expected = nranks > 1 ? nranks - 1 : 1, size = 0;
    CHECK(foreign_version(2) == (nranks > 1 ? 1 : 2));
    while ((speaker = foreign_speaker(size ? nranks : rank)) != nranks && rounds++ < 3) size += foreign_round(speaker, "both");
    CHECK(size == expected && rounds == (nranks > 1 ? 2 : 1));
}

static void test_another_version_is_refused_by_all(void) {
    const int versions[] = {0, -1, -127, -128, -129 * 128, -1000000000};
    for (size_t i = 0; i < MST_COUNT(versions); i++) {
        if (rank == nranks - 1) CHECK(foreign_version(versions[i]) == versions[i]);
        else {
            CHECK_STATUS(split_as("ocean"), MAESTRO_PROTOCOL);
            CHECK_ERROR_SAYS("this library version 1");
        }
    }
}

static void test_a_rank_that_breaks_the_handshake_is_refused_by_all(void) {
    const int lengths[] = {-1, 4097, INT32_MAX};
    for (size_t i = 0; i < MST_COUNT(lengths) && nranks > 1; i++) {
        int length = lengths[i];
        if (rank) {
            CHECK_STATUS(split_as("ocean"), MAESTRO_PROTOCOL);
            CHECK_ERROR_SAYS("rank 0 gives a name of");
            continue;
        }
        foreign_version(1);
        foreign_speaker(0);
        MPI_Bcast(&length, 1, MPI_INT, 0, MPI_COMM_WORLD);
    }
    if (nranks == 1) return;
    if (rank) CHECK_STATUS(split_as("ocean"), MAESTRO_PROTOCOL);
    else foreign_version(1), foreign_speaker(-5);
}

/* Rank 0 gives a name twice: whose it is say so, all come to the end, and what was made is freed. */
static void test_a_name_that_comes_twice_is_refused(void) {
    int before = ncomms;
    if (nranks == 1) return;
    if (rank) {
        CHECK_STATUS(split_as(rank == 1 ? "twice" : "once"), rank == 1 ? MAESTRO_PROTOCOL : MAESTRO_OK);
        if (rank == 1) CHECK_ERROR_SAYS("'twice'");
        CHECK(ncomms == before);
        return;
    }
    foreign_version(1);
    CHECK(foreign_speaker(0) == 0);
    CHECK(foreign_round(0, "twice") == 2);
    CHECK(foreign_speaker(0) == 0);
    CHECK(foreign_round(0, "twice") == 1);
    for (int speaker; (speaker = foreign_speaker(nranks)) != nranks;) foreign_round(speaker, "none");
}

/* ---- What remains */
static void check_handler(MPI_Errhandler expected) {
    MPI_Errhandler handler;
    maestro_comm_t comm = 0;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, expected);
    CHECK_OK(maestro_comm_split(world, 1, (const char *[]){"all"}, &comm));
    MPI_Comm made = MPI_Comm_f2c(comm), places[] = {made, MPI_COMM_WORLD};
    for (size_t i = 0; i < MST_COUNT(places); i++) {
        MPI_Comm_get_errhandler(places[i], &handler);
        CHECK(handler == expected);
        MPI_Errhandler_free(&handler);
    }
    MPI_Comm_free(&made);
}

static void test_the_applications_error_handler_is_that_of_what_is_made(void) {
    check_handler(MPI_ERRORS_RETURN);
    check_handler(MPI_ERRORS_ARE_FATAL);
}

int main(int argc, char **argv) {
    CHECK_STATUS(maestro_comm_split(0, 0, NULL, NULL), MAESTRO_WRONG_STATE);
    CHECK_ERROR_SAYS("not initialised");
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    world = MPI_Comm_c2f(MPI_COMM_WORLD);
    test_each_name_has_the_ranks_that_gave_it();
    test_ranks_keep_the_order_of_the_communicator();
    test_bad_names_are_refused_by_all();
    test_of_several_refusals_the_lowest_ranks_is_told();
    test_no_names_and_long_ones_are_good();
    test_what_is_no_communicator_is_refused();
    test_a_rank_of_another_library_takes_part();
    test_another_version_is_refused_by_all();
    test_a_rank_that_breaks_the_handshake_is_refused_by_all();
    test_a_name_that_comes_twice_is_refused();
    test_the_applications_error_handler_is_that_of_what_is_made();
    MPI_Finalize();
    CHECK_STATUS(maestro_comm_split(world, 0, NULL, NULL), MAESTRO_WRONG_STATE);
    return TEST_END;
}
