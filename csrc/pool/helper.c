/* The helper thread, for what takes longer than the loop may stand still: the last close of a large segment, which gives its pages back, and the first
 * touch of pages that the catalogue will need soon.  It is started when there is something to do; without it the loop does it itself. */
#include "pool/helper.h"

#include "pool/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since Linux 5.14 */
#endif

enum { PAGE = 4096, SHARE = 16, LEAST = 128 << 10, MOST = 4 << 20 }; /* touched ahead: a share of what is used, in bytes */
enum { PIECE = 256 << 10 }; /* touched at once: meanwhile the loop can map nothing */

typedef struct errand {
    void *pages; /* NULL: close fd */
    size_t nbytes;
    int fd;
} errand_t;

static void touch(char *pages, size_t nbytes) {
    for (size_t at = 0; at < nbytes; at += PIECE) madvise(pages + at, nbytes - at < PIECE ? nbytes - at : PIECE, MADV_POPULATE_WRITE); /* refusal is no harm */
}

static void *help(void *argument) {
    int from = (int)(intptr_t)argument;
    errand_t errand;
    for (;;) {
        ssize_t came = read(from, &errand, sizeof errand);
        if (came == sizeof errand && errand.pages) touch(errand.pages, errand.nbytes);
        else if (came == sizeof errand) close(errand.fd);
        else if (came >= 0 || errno != EINTR) break;
    }
    close(from);
    return NULL;
}

void mst_pool_helper_init(mst_pool_t *pool) { pool->helper.fd = -1; }

static bool start(mst_pool_t *pool) {
    int ends[2];
    if (pool->helper.fd >= 0) return true;
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    if (pthread_create(&pool->helper.thread, NULL, help, (void *)(intptr_t)ends[0]) != 0) {
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    pool->helper.fd = ends[1];
    return true;
}

void mst_pool_helper_fini(mst_pool_t *pool) {
    if (pool->helper.fd < 0) return;
    close(pool->helper.fd); /* which ends the thread */
    pthread_join(pool->helper.thread, NULL);
}

static bool send(mst_pool_t *pool, const errand_t *errand) { return start(pool) && write(pool->helper.fd, errand, sizeof *errand) == sizeof *errand; }

void mst_pool_helper_close(mst_pool_t *pool, int fd) {
    if (!send(pool, &(errand_t){.fd = fd})) close(fd);
}

void mst_pool_helper_touch(mst_pool_t *pool, uint64_t *touched, void *region, uint64_t region_nbytes, uint64_t used) {
    uint64_t ahead = used / SHARE;
    if (ahead < LEAST) return;
    if (ahead > MOST) ahead = MOST;
    ahead = MST_ALIGN(ahead, PAGE);
    if (*touched < used) *touched = MST_ALIGN(used, PAGE);
    if (*touched - used > ahead / 2 || *touched + ahead > region_nbytes) return;
    send(pool, &(errand_t){.pages = (char *)region + *touched, .nbytes = ahead});
    *touched += ahead;
}
