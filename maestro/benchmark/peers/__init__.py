"""How each system sends and receives: Maestro and its peers behind one interface, so that duo.py measures all of them with one loop.

A peer is used the quickest way that its documentation shows for Python; what it does not do (store, match) is said in rows.py.
Invariant: a system that lacks a package or a server raises MissingError with the remedy, before a process is started.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any

PARAMS = ("t", "u", "v", "q", "z", "w", "d", "vo", "r", "o3")
FEW, FEW_NBYTES = 16, 64  # small objects that go before a hand-over is measured
SYSTEMS = {"maestro": ".pool", "zeromq": ".zeromq", "iceoryx2": ".iceoryx", "redis": ".redis"}


class MissingError(Exception):
    """Something that a system needs is not there."""


class System:
    """One end of a connection from a producer to a consumer.  An operation that a system does not have is not overridden."""

    def __init__(self, producer: bool, what: str, count: int, nbytes: int) -> None:
        self.producer, self.what, self.count, self.nbytes = producer, what, count, nbytes

    def close(self) -> None:
        """Nothing more is sent or received."""

    def flush(self) -> None:
        """All that was sent is on its way."""

    def flush_one(self) -> None:
        """The one object that was sent is on its way."""

    def reclaim(self) -> None:
        """What the consumer has read may go."""

    def wake_receiver(self) -> None:
        """The producer rings: called before the consumer sleeps when it is idle."""

    def sleep_when_idle(self) -> None:
        """The consumer sleeps between objects."""


@contextlib.contextmanager
def place_of(name: str) -> Iterator[None]:
    """What both processes need around them: a folder, a server."""
    if name not in SYSTEMS:
        raise MissingError(f"there is no system '{name}'; there are: {', '.join(SYSTEMS)}")
    module = load(name)
    with tempfile.TemporaryDirectory(prefix="mb-", ignore_cleanup_errors=True) as folder:
        os.environ["BENCH_PLACE"] = folder
        with module.around(folder):
            yield


def load(name: str) -> Any:
    try:
        return importlib.import_module(SYSTEMS[name], __name__)
    except ImportError as error:
        raise MissingError(f"{error}; install it with: pip install 'maestro-hpc[bench]'") from error


@contextlib.contextmanager
def open_system(name: str, producer: bool, what: str, count: int, nbytes: int) -> Iterator[System]:
    system = load(name).System(producer, what, count, nbytes)
    try:
        yield system
    finally:
        system.close()
