"""The archive as a component of a workflow: takes what its rules select, keeps it, acknowledges it when it is on disk, answers needs.

It is a member of a consumer group, so that what it had not acknowledged when it was killed comes again, and a producer whose
`withdraw(when="consumed")` has returned knows that its object is kept.

Invariant: an object is disposed, hence acknowledged, only after the store's `sync` has returned for it. One that is to be kept for ever and
is in conflict with the store is nowhere on disk: it is held, and goes back to its group when the archive ends.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..subscription import wait
from .answer import Answerer
from .errors import ArchiveError
from .rules import Rule

IN_HAND = 256  # objects that a member of a group may have
HELD = 14  # of them that are held at most
IN_WORK = 2  # beside those that are held, however slow the archive is
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
    stats, started = session.stats(), ""
    with contextlib.suppress(OSError):  # of another process namespace
        started = Path(f"/proc/{stats['pid']}/stat").read_text().rpartition(")")[2].split()[19]  # clock ticks since boot
    return f"{stats['node']} {stats['pid']} {started}"


class Archiver:
    """
    An archive at work.

    Parameters
    ----------
    session : Session
        A relay, of the store's schema.
    store : Store
        Opened to be written.
    rules : list of Rule
        Each is a consumer group of its own; none: it only answers.
    tell : callable
        Called with a word, a dictionary that describes the object or need, and the counts so far: "persisted", "known" and "conflict" of
        objects, when they are on disk; "answered", "ambiguous" and "unanswered" of needs.
    group : str
        Name of the consumer group; further rules have groups with numbers behind it.

    Attributes
    ----------
    counts : Counts
    """

    def __init__(self, session: Any, store: Any, rules: list[Rule], tell: Tell, group: str = "archive"):
        self.store, self.tell, self.counts = store, tell, Counts()
        self._stopped = False
        self._held: list[Any] = []
        self._pool = pool_of(session)
        store.begin(session)
        self._answerer = Answerer(session, store, self._answered)
        names = [group, *(f"{group}-{number}" for number in range(2, len(rules) + 1))]
        self._sources = [
            (session.subscribe(rule.selector, group=name, limit=IN_HAND, prefetch=HELD + IN_WORK), rule.keeper())
            for rule, name in zip(rules, names, strict=False)
        ]

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
            The store cannot be written, or has others of the identities of too many objects that are to be kept for ever: what was not
            told comes to the next archive.
        PoolLostError
            The pool manager is gone; what was told is kept, what was not may be lost.
        """
        last = time.monotonic()
        try:
            while not self._stopped and not self._answerer.needs.ended:
                if self.step():
                    last = time.monotonic()
                elif idle is not None and time.monotonic() - last > idle:
                    break
        finally:
            self.close()
        return self.counts

    def close(self) -> None:
        """Take back what was offered for needs, and give back what is held; `run` does it at its end."""
        reject(self._held)
        self._answerer.close()

    def step(self) -> bool:
        """One turn of `run`, of a fifth of a second at most; whether there was anything to do.  For programs with a loop of their own."""
        wait([self._answerer.needs, *(objects for objects, _ in self._sources)], min(SLICE_S, self.store.left_s))
        worked = self._answerer.hear()
        for objects, keeps in self._sources:
            batch = objects.next_many(IN_HAND, timeout=0)
            self._keep(batch, keeps)
            worked |= bool(batch)
        self.counts.gone = sum(objects.passed_over for objects, _ in self._sources)
        self._end_period()
        return worked

    def _end_period(self) -> None:
        if self.store.left_s == 0:
            self.store.sync()
            self.store.finish_period()

    # ---- Keeping
    def _keep(self, batch: list[Any], keeps: Callable[[Any], bool]) -> None:
        """Objects of a group: to disk, then acknowledged, then told."""
        told, held = [], []
        try:
            for cdo in batch:
                if not self._answerer.has_offered(cdo) and keeps(cdo):
                    told.append(self.store.keep(cdo, self._pool))
                    if told[-1][0] == "conflict" and cdo.get("maestro.persist", False):
                        held.append(cdo)
                    self._end_period()
            self.store.sync()
        except BaseException:
            reject(batch)
            raise
        self._held += held
        for cdo in batch:
            if not any(cdo is other for other in held):
                cdo.dispose()
        self.counts.passed += len(batch) - len(told)
        for word, line in told:
            self.counts.kept += word == "kept"
            self.counts.known += word == "known"
            self.counts.conflicts += word == "conflict"
            self.counts.nbytes += line["nbytes"] * (word == "kept")
            self.tell("persisted" if word == "kept" else word, line, self.counts)
        if len(self._held) > HELD:
            raise ArchiveError(
                f"archive: {self.store.folder}: {len(self._held)} objects are to be kept for ever (maestro.persist), and the store has "
                "others of their identity and version; start an archive with another store"
            )

    def _answered(self, word: str, need: dict[str, Any], count: int) -> None:
        self.counts.answered += count
        self.tell(word, need, self.counts)


def reject(objects: list[Any]) -> None:
    """Back to their group, for an archive that can keep them."""
    for cdo in objects:
        cdo.reject()
    objects.clear()
