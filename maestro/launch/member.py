"""One process that the runner started (a plain process, or an mpiexec with its ranks), its log file and its end.

The process leads a session of its own, so a Ctrl-C at the terminal reaches it only through the runner. Ranks may sit in
process groups of their own below mpiexec: an end by SIGKILL walks the whole tree, and never touches a pool manager, which is
nobody's child.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from .lines import LaunchError, Line

TAIL_BYTES = 16 << 10


class Member:
    def __init__(self, line: Line, log: Path):
        self.line, self.log = line, log
        self.process: subprocess.Popen | None = None
        self.started = self.ended = 0.0
        self.code: int | None = None  # as a shell gives it: 128 + signal for a process that a signal ended
        self._tree: dict[int, str] = {}

    def start(self, environment: dict[str, str], folder: Path) -> None:
        with self.log.open("wb") as log, _bound_to(self.line.cores):
            try:
                self.process = subprocess.Popen(
                    self.line.words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    env=environment, cwd=folder, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise LaunchError(f"start {self.line.component}: {self.line.words[0]}: {error.strerror}") from error
        self.started = time.monotonic()

    @property
    def running(self) -> bool:
        return self.process is not None and self.code is None

    def poll(self) -> None:
        if not self.running:
            return
        code = self.process.poll()
        if code is not None:
            self.code = code if code >= 0 else 128 - code
            self.ended = time.monotonic()

    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started if self.started else 0.0

    def interrupt(self, number: signal.Signals) -> None:
        """Send SIGINT or SIGTERM to the process; mpiexec and srun pass it on to their ranks."""
        if self.running:
            self._tree |= descendants(self.process.pid)
            self.process.send_signal(number)

    def kill(self) -> None:
        """End the process and all that it started, also what outlived it."""
        if self.process is None:
            return
        self._tree |= descendants(self.process.pid) if self.running else {}
        if self.running:
            self.process.kill()
        for pid, born in self._tree.items():
            if _born(pid) == born:  # the number may have been given to another process since
                _kill(pid)

    def tail(self, count: int) -> list[str]:
        """The last lines of the log that say something."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return []
        return [line.rstrip() for line in lines if line.strip()][-count:]


def take_second_place(pid: int = 0, nice: int = 10) -> None:
    """Let a process (0: this one), and what it starts from now on, give way to others: with nice 10 it has a tenth of the time of each.

    Where the kernel groups processes by session (autogroup), a nice value counts within the group alone, so the group gets it too.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        if os.getsid(pid) == (pid or os.getpid()):  # never the group of someone's terminal
            Path(f"/proc/{pid or 'self'}/autogroup").write_text(str(nice))


@contextlib.contextmanager
def _bound_to(cores: tuple[int, ...]):
    """Lets processes that this thread starts meanwhile inherit these cores; none given: its own."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores or before)
        yield
    finally:
        os.sched_setaffinity(0, before)


def descendants(pid: int) -> dict[int, str]:
    """Process ids below `pid` with their birth times."""
    found: dict[int, str] = {}
    todo = [pid]
    while todo:
        for child in _children(todo.pop()):
            born = _born(child)
            if born and child not in found:
                found[child] = born
                todo.append(child)
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()]
    except OSError:
        return []


def _born(pid: int) -> str | None:
    """The kernel's start time of a process; None when it is gone or already a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[19] if fields[0] != "Z" else None


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
