"""The library itself, and what it needs of the kernel: memory by descriptor, process descriptors, enough open files."""

from __future__ import annotations

import fcntl
import mmap
import os
import resource
import sys
from collections.abc import Iterator

from .finding import Finding, error, ok, warning

FILES_NEEDED = 1024  # a session of a busy pool holds some dozen; a manager holds 10 per session


def library() -> Iterator[Finding]:
    """Maestro's own library and manager can be loaded and are of one version."""
    import maestro

    yield ok("maestro", f"version {maestro.__version__}, Python {sys.version.split()[0]}, {sys.executable}")


def kernel() -> Iterator[Finding]:
    """Segments are memfds, sealed; deaths are seen by pidfd."""
    try:
        fd = os.memfd_create("maestro-doctor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, mmap.PAGESIZE)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            with mmap.mmap(fd, mmap.PAGESIZE) as page:
                page[0] = 1
        finally:
            os.close(fd)
        yield ok("shared memory", "memfd with seals works (/dev/shm is not used)")
    except OSError as reason:
        yield error("shared memory", f"memfd does not work: {reason.strerror}; a kernel of 3.17 or later is needed", "uname -r")
    try:
        os.close(os.pidfd_open(os.getpid()))
        yield ok("pidfd", "deaths of processes are seen at once")
    except OSError as reason:
        text = f"pidfd_open: {reason.strerror}; deaths are seen by hang-up alone, which a forked child of the dead delays"
        yield warning("pidfd", text, "uname -r")


def descriptors() -> Iterator[Finding]:
    """The limit of open files, which the manager inherits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= FILES_NEEDED:
        yield ok("open files", f"{soft} at most")
    elif hard == resource.RLIM_INFINITY or hard > soft:
        wanted = FILES_NEEDED if hard == resource.RLIM_INFINITY else min(hard, FILES_NEEDED)
        yield warning("open files", f"only {soft} are allowed; a manager with many sessions needs {FILES_NEEDED}", f"ulimit -n {wanted}")
    else:
        text = f"only {soft} are allowed, also at most; a manager with many sessions needs {FILES_NEEDED}"
        yield warning("open files", text, f"echo '* hard nofile {FILES_NEEDED}' | sudo tee -a /etc/security/limits.conf")
