/* Segments: what is promised to the writer, to readers, and against a peer that gives bad descriptors. */
#include "mem/segment.h"
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NBYTES = 4 << 20 };

static uint64_t allocated_nbytes(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 ? (uint64_t)status.st_blocks * 512 : UINT64_MAX;
}

static void test_segment_is_sized_sealed_and_closed_on_exec(void) {
    int fd;
    CHECK_OK(mst_mem_segment_create("test", NBYTES + 100, &fd));
    struct stat status;
    CHECK(fstat(fd, &status) == 0 && status.st_size == NBYTES + 100);
    CHECK(ftruncate(fd, 4096) != 0 && errno == EPERM);
    CHECK(ftruncate(fd, 2 * NBYTES) != 0 && errno == EPERM);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) != 0); /* nobody may forbid the writer to write */
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_OK(mst_mem_segment_check(fd, NBYTES + 100));
    close(fd);
    CHECK_STATUS(mst_mem_segment_create("test", 0, &fd), MAESTRO_INVALID_ARGUMENT);
    CHECK_STATUS(mst_mem_segment_create("test", UINT64_MAX, &fd), MAESTRO_INVALID_ARGUMENT);
}

static void test_pages_come_with_the_first_touch(void) {
    int fd;
    void *base;
    CHECK_OK(mst_mem_segment_create("test", NBYTES, &fd));
    CHECK_OK(mst_mem_segment_map(fd, NBYTES, true, &base));
    CHECK(allocated_nbytes(fd) == 0);
    memset(base, 7, NBYTES);
    CHECK(allocated_nbytes(fd) >= NBYTES);
    mst_mem_segment_unmap(base, NBYTES);
    mst_mem_segment_unmap(NULL, NBYTES);
    close(fd);
}

static void test_reader_sees_the_writer_and_cannot_write(void) {
    int fd, readonly;
    void *written, *read, *refused;
    CHECK_OK(mst_mem_segment_create("test", NBYTES, &fd));
    CHECK_OK(mst_mem_segment_reopen_readonly(fd, &readonly));
    CHECK((fcntl(readonly, F_GETFL) & O_ACCMODE) == O_RDONLY && (fcntl(readonly, F_GETFD) & FD_CLOEXEC));
    CHECK_OK(mst_mem_segment_check(readonly, NBYTES));
    CHECK_OK(mst_mem_segment_map(fd, NBYTES, true, &written));
    CHECK_OK(mst_mem_segment_map(readonly, NBYTES, false, &read));
    strcpy((char *)written + 5000, "meaning");
    CHECK(strcmp((char *)read + 5000, "meaning") == 0);
    CHECK_STATUS(mst_mem_segment_map(readonly, NBYTES, true, &refused), MAESTRO_SYSTEM);
    CHECK_ERROR_SAYS("ermission denied");
    CHECK(mprotect(read, NBYTES, PROT_READ | PROT_WRITE) != 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile char *)read = 1;
        _exit(0);
    }
    int how = 0;
    CHECK(waitpid(child, &how, 0) == child && !(WIFEXITED(how) && WEXITSTATUS(how) == 0));
    close(readonly);
    close(fd); /* mappings outlive descriptors */
    CHECK(((char *)read)[5000] == 'm');
    mst_mem_segment_unmap(read, NBYTES);
    mst_mem_segment_unmap(written, NBYTES);
    CHECK_STATUS(mst_mem_segment_reopen_readonly(-1, &readonly), MAESTRO_SYSTEM);
}

static void test_descriptors_that_are_no_segment_are_refused(void) {
    int pipes[2], fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING), file = fileno(tmpfile());
    CHECK(pipe(pipes) == 0 && fd >= 0 && ftruncate(fd, NBYTES) == 0 && ftruncate(file, NBYTES) == 0);
    CHECK_STATUS(mst_mem_segment_check(pipes[0], 1), MAESTRO_PROTOCOL);
    CHECK_STATUS(mst_mem_segment_check(-1, 1), MAESTRO_PROTOCOL);
    CHECK_STATUS(mst_mem_segment_check(file, 1), MAESTRO_PROTOCOL);
    CHECK_STATUS(mst_mem_segment_check(fd, NBYTES), MAESTRO_PROTOCOL);
    CHECK_ERROR_SAYS("sealed");
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    CHECK_OK(mst_mem_segment_check(fd, NBYTES));
    CHECK_STATUS(mst_mem_segment_check(fd, NBYTES + 1), MAESTRO_PROTOCOL);
    CHECK_ERROR_SAYS("4194305");
}

static void test_residence_is_known_of_pages_that_were_written(void) {
    int fd, reader;
    void *base, *seen;
    CHECK_OK(mst_mem_segment_create("test", NBYTES, &fd));
    CHECK_OK(mst_mem_segment_map(fd, NBYTES, true, &base));
    int here = 1;
    bool answers = mst_mem_residence(&here, sizeof here).node >= 0; /* a sandbox may forbid the question */
    CHECK(mst_mem_residence(base, NBYTES).node == -1);
    CHECK(mst_mem_residence(base, 0).node == -1);
    struct stat before, after;
    CHECK(fstat(fd, &before) == 0);
    memset((char *)base + NBYTES / 2, 1, NBYTES / 2);
    mst_mem_residence_t half = mst_mem_residence(base, NBYTES);
    CHECK(answers ? half.node >= 0 && half.looked == 256 && half.there == 128 : half.node == -1);
    CHECK(mst_mem_residence((char *)base + NBYTES - 1, 1).looked == (answers ? 1 : 0));
    CHECK(fstat(fd, &after) == 0);
    CHECK(before.st_blocks == 0 && after.st_blocks * 512 == NBYTES / 2); /* looking makes no pages */
    CHECK_OK(mst_mem_segment_reopen_readonly(fd, &reader));
    CHECK_OK(mst_mem_segment_map(reader, NBYTES, false, &seen));
    CHECK(mst_mem_residence(seen, NBYTES).there == half.there); /* of who has read nothing yet */
    mst_mem_segment_unmap(seen, NBYTES);
    mst_mem_segment_unmap(base, NBYTES);
    close(reader);
    close(fd);
}

int main(void) {
    test_segment_is_sized_sealed_and_closed_on_exec();
    test_pages_come_with_the_first_touch();
    test_reader_sees_the_writer_and_cannot_write();
    test_descriptors_that_are_no_segment_are_refused();
    test_residence_is_known_of_pages_that_were_written();
    return TEST_END;
}
