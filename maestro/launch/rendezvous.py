"""The rendezvous directory as a person sees it: which pools run on this node, and what dead managers left behind.

Looks only: no lock is taken (a manager that starts at this moment must win its election) and no session is opened, only a
connection, to learn from the kernel who listens. The rules of the directory's name are those of csrc/wire/socket.c.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

NETWORK_FILESYSTEMS = ("nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "ceph", "fuse.sshfs")


@dataclass(frozen=True)
class Pool:
    name: str
    node: str
    socket: Path
    pid: int | None  # of the manager that listens; None: nobody does
    here: bool  # belongs to this node

    @property
    def log(self) -> Path:
        return self.socket.with_suffix(".log")

    @property
    def lock(self) -> Path:
        return self.socket.with_suffix(".lock")


def directory() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if os.environ.get("MAESTRO_DIR"):
        return Path(os.environ["MAESTRO_DIR"])
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "maestro"
    return Path(f"/tmp/maestro-{os.geteuid()}")


def node() -> str:
    if os.environ.get("MAESTRO_NODE"):
        return os.environ["MAESTRO_NODE"]
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return "node"


def pools() -> list[Pool]:
    """Every pool that has a socket in the rendezvous directory, running or not."""
    found = []
    try:
        paths = sorted(directory().glob("*.sock"))
    except OSError:
        return []
    for path in paths:
        name, _, where = path.stem.rpartition(".")
        if name and stat.S_ISSOCK(path.lstat().st_mode):
            found.append(Pool(name, where, path, listener(path), where == node()))
    return found


def running() -> list[str]:
    return [pool.name for pool in pools() if pool.pid is not None and pool.here]


def listener(path: Path) -> int | None:
    """The process id of whoever listens at a socket; None when nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
            pid, _, _ = struct.unpack("iII", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        except BlockingIOError:  # its queue is full: somebody is there
            return 0
        except OSError:
            return None
        return pid


def shared_filesystem(path: Path) -> str | None:
    """The type of the file system below `path` when other nodes may write there too."""
    best, kind = -1, ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, fstype, *_ = line.split()
        if (path == Path(mount) or Path(mount) in path.parents) and len(mount) > best:
            best, kind = len(mount), fstype
    return kind if kind in NETWORK_FILESYSTEMS else None
