"""A pool for one test: rendezvous directory, settings, sessions, other programs; and the check that nothing of it stays.

The real library and the real manager alone are used here. Invariant: what a test opened through its Pool is closed at its end, and
the manager then leaves by itself.
"""

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

import maestro

ROOT = Path(__file__).parents[2]
SCHEMA = "mars"


def within(seconds, condition, what="it"):
    """Waits until the condition holds; fails by name after so many seconds."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"{what} did not come about within {seconds} s"
        time.sleep(0.005)
    return result


@contextlib.contextmanager
def takes_less_than(seconds):
    begin = time.monotonic()
    try:
        yield
    finally:  # also when it ended by the error that was to come
        took = time.monotonic() - begin
        assert took < seconds, f"took {took:.2f} s, allowed are {seconds} s"


@contextlib.contextmanager
def raises(kind, *words, seconds=2):
    """The block ends in this error in time, and its text says all these words."""
    with pytest.raises(kind) as caught, takes_less_than(seconds):
        yield caught
    assert isinstance(caught.value, maestro.MaestroError)
    for word in words:
        assert word in str(caught.value)


def managers(folder):
    """Process ids of the pool managers whose rendezvous directory this is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            named = (process / "comm").read_text().startswith("maestro-pool")
            if named and f"MAESTRO_DIR={folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:  # it has just ended
            continue
    return found


class Program:
    """Another program: a Python text that runs with the test's pool, speaking through its standard input and output."""

    def __init__(self, text, *words, environment):
        prelude = "import sys, maestro, numpy as np\nfrom maestro import *\n"
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-W", "error", "-c", prelude + textwrap.dedent(text), *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip

    def expect(self, line):
        came = self.process.stdout.readline().rstrip("\n")
        assert came == line, came or self.process.stderr.read()

    def say(self, line=""):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, timeout=20):
        """Its output so far unread, when it has ended well."""
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, err
        assert err == "", err
        return out

    def kill(self):
        self.process.kill()
        self.process.communicate()


class Pool:
    """One test's pool."""

    def __init__(self, monkeypatch, **settings):
        self.folder = tempfile.mkdtemp(prefix="mst-", dir="/tmp")  # short: socket paths end at 108 bytes
        self.opened, self.programs, self.monkeypatch = [], [], monkeypatch
        for name in [name for name in os.environ if name.startswith("MAESTRO_")]:
            monkeypatch.delenv(name)
        self.set(MAESTRO_DIR=self.folder, MAESTRO_LINGER_S="0.1", MAESTRO_POOL_MEMORY="512MiB", **settings)
        if "TEST_MANAGER" in os.environ:  # one that is built with a sanitizer
            self.set(MAESTRO_MANAGER=os.environ["TEST_MANAGER"])

    def set(self, **settings):
        for name, value in settings.items():
            self.monkeypatch.setenv(name, str(value))

    def session(self, component="tester", **options):
        session = maestro.Session(component=component, **{"schema": SCHEMA, "timeout": 10, **options})
        self.opened.append(session)
        return session

    def program(self, text, *words, **environment):
        program = Program(text, *words, environment={**os.environ, **environment})
        self.programs.append(program)
        return program

    @property
    def socket(self):
        """The path of the pool's socket, whether it is there or not; known once a session was opened."""
        return next(Path(self.folder).glob("*.lock")).with_suffix(".sock")

    @property
    def log(self):
        return self.socket.with_suffix(".log").read_text()

    def manager(self):
        (pid,) = managers(self.folder)
        return pid

    def kill_manager(self, signal_number=signal.SIGKILL):
        pid = self.manager()
        os.kill(pid, signal_number)
        if signal_number == signal.SIGKILL:
            within(2, lambda: not managers(self.folder), "the manager's end")

    def finish(self):
        """Closes all; the manager must leave by itself, and leave no socket behind."""
        for program in self.programs:
            if program.process.poll() is None:
                program.kill()
            for pipe in (program.process.stdin, program.process.stdout, program.process.stderr):
                pipe.close()
        for session in self.opened:
            with contextlib.suppress(maestro.MaestroError):  # what was refused or lost is the test's own subject
                session.close()
        self.opened.clear()
        gc.collect()
        try:
            within(5, lambda: not managers(self.folder), "the manager's leaving")
        finally:
            for pid in managers(self.folder):
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)
