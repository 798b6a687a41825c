"""A node of its own for one test: a rendezvous directory, programs with deadlines, and the search for what was left behind.

Invariant: every program that a test starts here has ended when the test has, and so has the manager.
"""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

DEADLINE_S = 30.0


def wait_until(condition, what, seconds=10.0):
    """Wait until the condition's value is true, and give it."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"after {seconds:g} s still not: {what}"
        time.sleep(0.005)
    return value


class Program:
    """A running program; its lines are read as they come, its input is closed to end it."""

    def __init__(self, command, environment):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)
        self.lines, self.errors = [], []
        self.readers = [
            threading.Thread(target=self._read, args=args)
            for args in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for reader in self.readers:
            reader.start()

    def _read(self, stream, lines):
        with stream:
            for line in stream:
                lines.append(line.rstrip("\n"))

    def wait_for(self, word, seconds=10.0):
        """Wait for a line."""
        wait_until(lambda: word in self.lines or self.process.poll() is not None, f"{self.process.args} says {word!r}", seconds)
        assert word in self.lines, self.errors

    def tell(self, line):
        """Write a line to its input."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, code=0, seconds=DEADLINE_S):
        """Wait for the program's end (programs without limit: tell them), check its code, give its last line."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        assert self.process.wait(seconds) == code, (self.process.args, self.process.returncode, self.errors)
        for reader in self.readers:
            reader.join()
        return self.lines[-1] if self.lines else ""

    def kill(self):
        """SIGKILL; everything that it had said is in `lines`."""
        self.process.kill()
        self.end(code=-signal.SIGKILL)


class Node:
    """Starts programs that meet in one pool; ends them, and says what stayed behind."""

    def __init__(self, folder, binaries, environment):
        self.folder, self.binaries, self.environment = Path(folder), binaries, environment
        self.programs, self.memory = [], set()

    def start(self, program, *words, **settings):
        """A compiled program of this folder, or a Python one (name ends in .py)."""
        path = self.binaries / program
        return self.run(*([sys.executable] if program.endswith(".py") else []), path, *words, **settings)

    def run(self, *command, **settings):
        """Any command."""
        running = Program(list(map(str, command)), self.environment | settings)
        self.programs.append(running)
        return running

    def manager(self):
        """Process id of the manager, None without one."""
        found = [pid for pid in processes() if comm(pid) == "maestro-pool" and f"MAESTRO_DIR={self.folder}".encode() in environ(pid)]
        assert len(found) <= 1, f"{len(found)} managers of one pool"
        return found[0] if found else None

    def note_memory(self):
        """Remember the shared memory of the pool as it is now, to look for it after the end."""
        self.memory |= memfds(self.manager())

    def end(self):
        """End whatever still runs."""
        for program in self.programs:
            if program.process.poll() is None:
                program.process.send_signal(signal.SIGCONT)
                program.kill()
            program.process.stdin.close()
        if pid := self.manager():
            os.kill(pid, signal.SIGCONT)

    def left_behind(self):
        """What is still there though everybody has left: the manager, its socket, its lock, shared memory."""
        found = []
        if pid := self.manager():
            found.append(f"maestro-pool {pid}")
        found += [f"socket {path}" for path in self.folder.glob("*.sock")]
        for path in self.folder.glob("*.lock"):
            with path.open("r+") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(f"lock {path}")
        return found + [f"memory of the pool in process {pid}" for pid in processes() if memfds(pid) & self.memory]


# ---- What the kernel says of processes; any of them may end meanwhile.
def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def read(path):
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def comm(pid):
    return read(f"/proc/{pid}/comm").decode().strip()


def environ(pid):
    return read(f"/proc/{pid}/environ").split(b"\0")


def resident_bytes(pid):
    """Private memory of a process: shared segments do not count."""
    return sum(int(line.split()[1]) for line in read(f"/proc/{pid}/status").decode().splitlines() if line.startswith("RssAnon")) * 1024


def memfds(pid):
    """Inodes of Maestro's memfds that a process has open or mapped."""
    found = set()
    for line in read(f"/proc/{pid}/maps").decode(errors="replace").splitlines():
        if "memfd:maestro" in line:
            found.add(int(line.split()[4]))
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return found
    for descriptor in descriptors:
        path = f"/proc/{pid}/fd/{descriptor}"
        try:
            if "memfd:maestro" in os.readlink(path):
                found.add(os.stat(path).st_ino)
        except OSError:
            continue
    return found
