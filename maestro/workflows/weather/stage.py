"""A stage: the components of one run as processes, started together, watched, bounded in time, and always cleaned up.

Knows commands and logs, not what they do. Each component is a process group of its own, so that mpiexec's ranks and the product
workers end with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ...launch.lines import LaunchError, launcher_words
from .errors import StageTimeoutError, WeatherError

GRACE_S = 3.0


class ComponentError(WeatherError, RuntimeError):
    """A component ended with an error."""


def component(*words: str) -> list[str]:
    """The command line of a component of this workflow."""
    return [sys.executable, "-m", "maestro.workflows.weather.cli", *words]


def ranks(count: int, words: list[str]) -> list[str]:
    """The same, as `count` MPI ranks."""
    launcher = launcher_words()
    if launcher is None:
        raise LaunchError(f"start {count} ranks: no mpiexec beside {sys.executable} and none on PATH; pip install mpich")
    return [*launcher, "-n", str(count), *words]


class Stage:
    """Components of one run; use as a context manager."""

    def __init__(self, run, environment: dict[str, str]):
        self.run = Path(run)
        self.run.mkdir(parents=True, exist_ok=True)
        self.environment = environment
        self.processes: dict[str, subprocess.Popen] = {}
        self.status: dict[str, int] = {}

    def start(self, name: str, command: list[str]) -> None:
        with (self.run / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment, start_new_session=True
            )

    def wait(self, limit: float, allowed: dict[str, tuple] | None = None, progress=lambda: None) -> None:
        """Wait for all; ComponentError when one ends with a status that is not allowed, StageTimeoutError after `limit` seconds."""
        end = time.monotonic() + limit
        while self.processes:
            for name, process in list(self.processes.items()):
                status = process.poll()
                if status is not None:
                    del self.processes[name]
                    self.status[name] = status
                    self._judge(name, status, (allowed or {}).get(name, (0,)))
            if time.monotonic() > end:
                names, last = ", ".join(self.processes), self._last(next(iter(self.processes)))
                raise StageTimeoutError(f"run {names} in {self.run}: not finished after {limit:g} s; {last}")
            progress()
            time.sleep(0.05)

    def _judge(self, name: str, status: int, allowed: tuple) -> None:
        if status not in allowed:
            manner = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
            raise ComponentError(f"{name} ended with {manner}; {self._last(name)}")

    def _last(self, name: str) -> str:
        path = self.run / f"{name}.log"
        lines = path.read_text(errors="replace").strip().splitlines()[-3:] if path.exists() else []
        return f"{path}: {' | '.join(lines) or 'empty'}"

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_) -> None:
        """End what still runs, politely and then not."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for process in self.processes.values():
                _signal_group(process, sign)
            end = time.monotonic() + GRACE_S
            while any(p.poll() is None for p in self.processes.values()) and time.monotonic() < end:
                time.sleep(0.02)
        for process in self.processes.values():
            process.wait()
        self.processes.clear()


def _signal_group(process: subprocess.Popen, sign: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, sign)
