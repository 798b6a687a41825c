"""The archive as a component of a workflow: takes what its rules select, keeps it, acknowledges it when it is on disk, answers needs.

It is a member of a consumer group, so that what it had not acknowledged when it was killed comes again, and a producer whose
`withdraw(when="consumed")` has returned knows that its object is kept.

Invariant: an object is disposed, hence acknowledged, only after the store's `sync` has returned for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import errors
from ..subscription import wait
from .answer import Answer, answer, take_back
from .rules import Rules

IN_HAND = 256  # objects that a member of a group may have
SLICE_S = 0.2  # how long a wait lasts before a request to stop is seen
Tell = Callable[[str, dict[str, Any], Any], None]


@dataclass
class Counts:
    """What an archive has done since it was started."""

    kept: int = 0
    known: int = 0
    conflicts: int = 0
    passed: int = 0
    gone: int = 0
    answered: int = 0
    nbytes: int = 0


def pool_of(session: Any) -> str:
    """A name for the pool's present life: ids of objects are unique in it."""
    stats = session.stats()
    started = Path(f"/proc/{stats['pid']}/stat").read_text().rpartition(")")[2].split()[19]  # clock ticks since boot
    return f"{stats['node']} {stats['pid']} {started}"


class Archiver:
    """
    An archive at work.

    Parameters
    ----------
    session : Session
    store : Store or FdbStore
    rules : Rules or None
        None keeps nothing, and only answers.
    tell : callable
        Called with a word ("persisted", "known", "conflict", "answered", "ambiguous"), a dictionary that describes the object or need, and
        the counts so far; of objects when they are on disk.

    Attributes
    ----------
    counts : Counts
    """

    def __init__(self, session: Any, store: Any, rules: Rules | None, tell: Tell, group: str = "archive"):
        self.session, self.store, self.tell, self.counts = session, store, tell, Counts()
        self._keepers = [(rule, rule.keeper()) for rule in rules.rules] if rules else []
        self._stopped = False
        self._answers: dict[int, Answer] = {}
        self._pool = pool_of(session)
        store.begin(session)
        self._objects = session.subscribe(rules.selector(), group=group, limit=IN_HAND) if rules else None

    def stop(self) -> None:
        """Let `run` end after what it has in hand; may be called by a signal handler."""
        self._stopped = True

    def run(self, idle: float | None = None) -> Counts:
        """
        Work until the source ends, `stop` is called, or nothing has come for `idle` seconds.

        Returns
        -------
        Counts

        Raises
        ------
        ArchiveError
            The store cannot be written: what was not told comes to the next archive.
        PoolLostError
            The pool manager is gone; what it had in hand may be lost, what was told is not.
        """
        last = time.monotonic()
        while not self._stopped:
            if self.step():
                last = time.monotonic()
            elif self._ended or (idle is not None and time.monotonic() - last > idle):
                break
        return self.counts

    @property
    def _ended(self) -> bool:
        return self._objects is not None and self._objects.ended

    def step(self) -> bool:
        """One turn; whether there was anything to do."""
        ready = wait([self._objects], min(SLICE_S, self.store.left_s)) if self._objects else []
        batch = self._objects.next_many(IN_HAND, timeout=0) if ready else []
        self.keep(batch)
        if self.store.left_s == 0:
            self.store.finish_period()
        return bool(batch)

    def keep(self, batch: Iterable[Any]) -> None:
        """Objects of the group: to disk, then acknowledged."""
        told = []
        for cdo in batch:
            if not self._wanted(cdo):
                self.counts.passed += 1
                continue
            told.append(self.store.keep(cdo, self._pool))
        self.store.sync()
        for cdo in batch:
            cdo.dispose()
        for word, line in told:
            self._count(word, line)
            self.tell("persisted" if word == "kept" else word, line, self.counts)

    def _wanted(self, cdo: Any) -> bool:
        return any(self._selects(rule, cdo) and keeps(cdo) for rule, keeps in self._keepers)

    def _count(self, word: str, line: dict[str, Any]) -> None:
        self.counts.kept += word == "kept"
        self.counts.known += word == "known"
        self.counts.conflicts += word == "conflict"
        self.counts.nbytes += line["nbytes"] if word == "kept" else 0
