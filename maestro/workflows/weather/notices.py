"""Notices: how a producer tells a product worker that fields can be read, where the store itself tells nobody (FDB, files).

One FIFO per worker in the run's directory; a notice is one trace record, so writing it is atomic. Maestro needs none of this: its
events carry the object. Invariant: the pipe is wide enough (18,000 notices) that a slow reader does not hold up the producer.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import time
from pathlib import Path

from .errors import StageTimeoutError
from .trace import RECORD, Kind, Record

PIPE_BYTES = 1 << 20


def path(run, name) -> Path:
    return Path(run) / f"notices.{name}"


def _ready_path(pipe: Path) -> Path:
    return pipe.with_name(pipe.name + ".ready")


class Reader:
    """Reads the notices for `name`; opened before the writers, and kept by the supervisor while a worker is replaced."""

    def __init__(self, run, name, descriptor: int | None = None):
        self.path = path(run, name)
        if descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)  # whichever component comes first makes the run's directory
            self.path.unlink(missing_ok=True)
            _ready_path(self.path).unlink(missing_ok=True)
            os.mkfifo(self.path, 0o600)
            descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)  # own writing end: no end of file between writers
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.descriptor = descriptor

    def ready(self) -> None:
        """Let the writers begin: whoever reads has done its set-up."""
        _ready_path(self.path).touch()

    def read(self, timeout: float) -> list[Record]:
        """All notices that wait, at least one; an empty list when none came within `timeout` seconds."""
        if not select.select([self.descriptor], [], [], timeout)[0]:
            return []
        try:
            data = os.read(self.descriptor, PIPE_BYTES)
        except BlockingIOError:
            return []
        return [Record.unpack(data, at) for at in range(0, len(data), RECORD.size)]

    def close(self) -> None:
        os.close(self.descriptor)
        self.path.unlink(missing_ok=True)
        _ready_path(self.path).unlink(missing_ok=True)


class Writer:
    """Sends notices to the readers `names`; waits at most `timeout` seconds for all of them to be ready."""

    def __init__(self, run, names, timeout: float = 60):
        limit = time.monotonic() + timeout
        self.pipes = [self._open(path(run, name), limit, timeout) for name in names]

    @staticmethod
    def _open(where: Path, limit: float, timeout: float) -> int:
        while True:
            try:
                if _ready_path(where).exists():
                    pipe = os.open(where, os.O_WRONLY | os.O_NONBLOCK)
                    os.set_blocking(pipe, True)
                    return pipe
            except OSError as error:
                if error.errno not in (errno.ENXIO, errno.ENOENT):
                    raise
            if time.monotonic() > limit:
                raise StageTimeoutError(f"wait for a reader of {where}: none came within {timeout:g} s; start the products first")
            time.sleep(0.01)

    def send(self, reader: int, record: Record) -> None:
        os.write(self.pipes[reader], record.pack())

    def end(self, rank: int, nranks: int) -> None:
        """Tell every reader that this rank of so many sends no more, and close."""
        for pipe in self.pipes:
            os.write(pipe, Record(Kind.END, rank=rank, where=nranks).pack())
            os.close(pipe)
        self.pipes = []
