/* See socket.h. */
#include "wire/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool plain_name(const char *name, size_t limit) {
    size_t nbytes = strlen(name);
    if (nbytes == 0 || nbytes >= limit || name[0] == '.') return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == nbytes;
}

static void find_node(char *node, size_t capacity) {
    const char *setting = mst_base_setting("MAESTRO_NODE");
    if (setting) {
        snprintf(node, capacity, "%s", setting);
        return;
    }
    snprintf(node, capacity, "node");
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!file) return;
    char boot[64];
    if (fgets(boot, sizeof boot, file) && strlen(boot) >= 8) snprintf(node, capacity, "%.8s", boot);
    fclose(file);
}

static maestro_status_t make_directory(const char *path) {
    struct stat status;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return mst_base_fail_errno("make rendezvous directory %s", path);
    if (lstat(path, &status) != 0) return mst_base_fail_errno("look at rendezvous directory %s", path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid())
        return mst_base_fail(MAESTRO_REFUSED, "rendezvous directory %s: it belongs to user id %u, not to %u; set MAESTRO_DIR to a private directory",
                             path, (unsigned)status.st_uid, (unsigned)geteuid());
    if (status.st_mode & 077)
        return mst_base_fail(MAESTRO_REFUSED, "rendezvous directory %s: others may enter it; run: chmod 700 %s", path, path);
    return MAESTRO_OK;
}

static maestro_status_t find_directory(char *directory, size_t capacity) {
    const char *setting = mst_base_setting("MAESTRO_DIR"), *runtime = getenv("XDG_RUNTIME_DIR");
    int needed;
    if (setting) needed = snprintf(directory, capacity, "%s", setting);
    else if (runtime && *runtime && access(runtime, W_OK) == 0) needed = snprintf(directory, capacity, "%s/maestro", runtime);
    else needed = snprintf(directory, capacity, "/tmp/maestro-%u", (unsigned)geteuid());
    if (needed < 0 || (size_t)needed >= capacity)
        return mst_base_fail(MAESTRO_SYSTEM, "rendezvous: the directory's path is longer than %zu bytes; set MAESTRO_DIR to a shorter one", capacity - 1);
    return make_directory(directory);
}

maestro_status_t mst_wire_rendezvous_init(mst_wire_rendezvous_t *rendezvous, const char *pool) {
    memset(rendezvous, 0, sizeof *rendezvous);
    if (!pool) pool = mst_base_setting("MAESTRO_POOL");
    if (!pool) pool = "default";
    find_node(rendezvous->node, sizeof rendezvous->node);
    if (!plain_name(rendezvous->node, sizeof rendezvous->node))
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "MAESTRO_NODE=%s: letters, digits, '-', '_' and '.' only", rendezvous->node);
    int needed;
    if (strchr(pool, '/')) {
        char here[4096] = "";
        if (pool[0] != '/' && !getcwd(here, sizeof here)) return mst_base_fail_errno("pool %s: find the current directory", pool);
        needed = snprintf(rendezvous->socket, sizeof rendezvous->socket, "%s%s%s", here, pool[0] == '/' ? "" : "/", pool);
        snprintf(rendezvous->pool, sizeof rendezvous->pool, "%.63s", strrchr(pool, '/') + 1);
    } else {
        if (!plain_name(pool, sizeof rendezvous->pool))
            return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "pool name \"%s\": 1 to 63 letters, digits, '-', '_' and '.' only, no leading '.'", pool);
        snprintf(rendezvous->pool, sizeof rendezvous->pool, "%s", pool);
        MST_TRY(find_directory(rendezvous->directory, sizeof rendezvous->directory));
        needed = snprintf(rendezvous->socket, sizeof rendezvous->socket, "%s/%s.%s.sock", rendezvous->directory, pool, rendezvous->node);
    }
    if (needed < 0 || (size_t)needed >= sizeof rendezvous->socket)
        return mst_base_fail(MAESTRO_SYSTEM, "pool %s: its socket's path would be longer than 107 bytes; set MAESTRO_DIR to a shorter directory", pool);
    size_t stem = strlen(rendezvous->socket);
    if (stem > 5 && strcmp(rendezvous->socket + stem - 5, ".sock") == 0) stem -= 5;
    snprintf(rendezvous->lock, sizeof rendezvous->lock, "%.*s.lock", (int)stem, rendezvous->socket);
    snprintf(rendezvous->log, sizeof rendezvous->log, "%.*s.log", (int)stem, rendezvous->socket);
    return MAESTRO_OK;
}

static void socket_address(const mst_wire_rendezvous_t *rendezvous, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, rendezvous->socket, sizeof address->sun_path);
}

/* Nothing but a socket is ever taken for stale and removed: a path given as a pool's name may be a user's file. */
static maestro_status_t check_place(const mst_wire_rendezvous_t *rendezvous) {
    struct stat status;
    if (lstat(rendezvous->socket, &status) != 0 || S_ISSOCK(status.st_mode)) return MAESTRO_OK;
    return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "pool %s: %s is no socket; remove it if it is not needed, or choose another pool", rendezvous->pool, rendezvous->socket);
}

maestro_status_t mst_wire_listen(const mst_wire_rendezvous_t *rendezvous, int *lock_fd_out, int *listen_fd_out) {
    MST_TRY(check_place(rendezvous));
    int lock = open(rendezvous->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) return mst_base_fail_errno("open lock %s", rendezvous->lock);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        close(lock);
        return MAESTRO_AGAIN;
    }
    struct sockaddr_un address;
    socket_address(rendezvous, &address);
    unlink(rendezvous->socket); /* we hold the lock, so whatever lies there is stale */
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(rendezvous->socket, 0600) != 0 || listen(fd, 512) != 0) {
        maestro_status_t status = mst_base_fail_errno("listen on %s", rendezvous->socket);
        if (fd >= 0) close(fd);
        close(lock);
        return status;
    }
    *lock_fd_out = lock;
    *listen_fd_out = fd;
    return MAESTRO_OK;
}

maestro_status_t mst_wire_connect(const mst_wire_rendezvous_t *rendezvous, int *fd_out) {
    struct sockaddr_un address;
    MST_TRY(check_place(rendezvous));
    socket_address(rendezvous, &address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); /* a manager that is stopped must not stop us */
    if (fd < 0) return mst_base_fail_errno("make a socket for pool %s", rendezvous->pool);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        if (error == ENOENT || error == ECONNREFUSED || error == EAGAIN) return MAESTRO_AGAIN;
        if (error == EACCES)
            return mst_base_fail(MAESTRO_REFUSED, "connect to pool %s at %s: it belongs to another user; use a pool of your own (MAESTRO_DIR)", rendezvous->pool, rendezvous->socket);
        return mst_base_fail_errno("connect to pool %s at %s", rendezvous->pool, rendezvous->socket);
    }
    unsigned uid;
    int pid;
    maestro_status_t status = mst_wire_peer(fd, &uid, &pid);
    if (status == MAESTRO_OK && uid != geteuid())
        status = mst_base_fail(MAESTRO_REFUSED, "connect to pool %s at %s: its manager runs as user id %u, this process as %u; use a pool of your own (MAESTRO_DIR)",
                               rendezvous->pool, rendezvous->socket, uid, (unsigned)geteuid());
    if (status != MAESTRO_OK) {
        close(fd);
        return status;
    }
    *fd_out = fd;
    return MAESTRO_OK;
}

maestro_status_t mst_wire_peer(int fd, unsigned *uid_out, int *pid_out) {
    struct ucred peer;
    socklen_t nbytes = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &nbytes) != 0) return mst_base_fail_errno("ask who the peer is");
    *uid_out = peer.uid;
    *pid_out = peer.pid;
    return MAESTRO_OK;
}

maestro_status_t mst_wire_send(int fd, const void *bytes, size_t nbytes, const int *fds, size_t nfds) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MST_WIRE_FDS_MAX)];
    } control;
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = nbytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (nfds) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * nfds);
    }
    ssize_t sent;
    do sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return MAESTRO_AGAIN;
    if (sent < 0) return mst_base_fail_errno("send to the peer");
    return MAESTRO_OK;
}

static void take_descriptors(struct msghdr *message, int *fds, size_t room, size_t *count_out) {
    size_t count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t came = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < came; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            if (count < room) fds[count++] = fd;
            else close(fd);
        }
    }
    *count_out = count;
}

maestro_status_t mst_wire_receive(int fd, void *bytes, size_t capacity, size_t *nbytes_out, int *fds, size_t *nfds_inout, int64_t deadline_ns) {
    char control[CMSG_SPACE(sizeof(int) * 2 * MST_WIRE_FDS_MAX)] __attribute__((aligned(8)));
    struct iovec vector = {.iov_base = bytes, .iov_len = capacity};
    size_t room = *nfds_inout;
    for (;;) {
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t came = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (came >= 0) {
            size_t nfds = 0;
            take_descriptors(&message, fds, room, &nfds);
            bool whole = came > 0 && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
            while (!whole && nfds) close(fds[--nfds]); /* an empty packet may bring some too */
            if (came == 0) return MAESTRO_END;
            if (message.msg_flags & MSG_CTRUNC) return mst_base_fail(MAESTRO_SYSTEM, "receive: no room for the descriptors that came; raise the limit of open files (ulimit -n)");
            if (!whole) return mst_base_fail(MAESTRO_PROTOCOL, "receive: a packet longer than %zu bytes", capacity);
            *nfds_inout = nfds;
            *nbytes_out = (size_t)came;
            return MAESTRO_OK;
        }
        if (errno == EINTR) continue;
        if (errno == ECONNRESET) return MAESTRO_END;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return mst_base_fail_errno("receive from the peer");
        if (deadline_ns == 0) return MAESTRO_AGAIN;
        int64_t left = deadline_ns - mst_base_now_ns();
        if (left <= 0) return mst_base_fail(MAESTRO_TIMEOUT, "receive: the peer sent nothing in time");
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        if (ppoll(&wait, 1, &timeout, NULL) < 0 && errno == EINTR) return MAESTRO_INTERRUPTED;
    }
}
