"""Bringing archived objects back: for a demand or a declared need that the pool cannot meet, or all at once.

Of an identity the newest version is offered, as its producer offered it (same component, rank, version, attributes and bytes). A demand
that several archived identities match is not answered, for it could be by any of them.

What the workflow file says that components consume is no need to an archive: the runner declares it before the producers start, which
make the objects anew.

Invariant: what was offered for a need is withdrawn when the need ends, so that an archive does not fill the pool; who has leased it
reads on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .. import errors
from ..launch.peers import ANSWERS, RUNNER
from ..session import Session
from . import kept

MANY = 10_000  # objects offered for one need at most
AT_ONCE = 64  # needs heard of in one turn
PATIENCE_S = 2.0
REMEMBERED = 100_000  # numbers of offered objects


@dataclass
class Answer:
    """What became of a need."""

    offered: list[list[Any]] = field(default_factory=list)
    found: int = 0
    live: int = 0

    @property
    def ambiguous(self) -> bool:
        return bool(self.found) and not self.offered and not self.live


def answer(session: Any, store: Any, selector: str, unique: bool, tell: Callable[[list[Any]], None]) -> Answer:
    """
    Offer what the store holds of a selector.

    Parameters
    ----------
    session : Session
        A relay, of the store's schema.
    store : Store
    selector : str
    unique : bool
        Offer nothing where several identities match, as for a demand.
    tell : callable
        Called with the offers of each object.

    Returns
    -------
    Answer
        The objects that were offered, how many identities the store has, and how many of them live in the pool already.

    Raises
    ------
    MaestroError
        One cannot be offered; those before it are taken back.
    """
    entries = store.catalogue.newest(session, selector)
    result = Answer(found=len(entries))
    if unique and len(entries) > 1:
        return result
    try:
        for entry in entries[:MANY]:
            try:
                result.offered.append(kept.offer(session, store.load(entry)))
                tell(result.offered[-1])
            except errors.DuplicateError:
                result.live += 1
    except BaseException:
        take_all_back(result.offered)
        raise
    return result


class Answerer:
    """
    Hears of needs and answers them.

    It has a session of its own, with little patience: where the pool has no room for what is demanded, the archive must not wait, for
    it is what makes room.

    Parameters
    ----------
    session : Session
        The archive's.
    store : Store
    tell : callable
        Called with a word ("answered", "ambiguous", "unanswered"), what describes the need, and how many objects were offered.

    Attributes
    ----------
    needs : Subscription
    """

    def __init__(self, session: Any, store: Any, tell: Any):
        self._session = Session(session.component + ANSWERS, schema=store.schema, pool=session.pool, timeout=PATIENCE_S, relay=True)
        self._store, self._tell, self._schema = store, tell, session.schema["name"]
        self._offered: dict[int, list[list[Any]]] = {}
        self._numbers: dict[int, None] = {}  # of what was offered, the oldest first
        self.needs = self._session.subscribe(kinds="required,retracted")

    def hear(self) -> bool:
        """Needs that have come and gone; whether there were any to answer."""
        worked = False
        for event in self.needs.next_many(AT_ONCE, timeout=0):
            if event.kind == "retracted":
                take_all_back(self._offered.pop(event.cdo["maestro.need"], []))
            elif event.kind == "gap":
                self._begin_again()
            elif self._is_ours(event):
                self._answer(event)
                worked = True
        return worked

    def _is_ours(self, event: Any) -> bool:
        """Whether a need is one that an archive answers."""
        asked = event.reason == "demand" or (event.reason == "require" and event.component != RUNNER)
        return asked and event.cdo["maestro.schema"] == self._schema

    def has_offered(self, cdo: Any) -> bool:
        """Whether an object is an answer, hence in the store."""
        return cdo.id in self._numbers

    def _answer(self, event: Any) -> None:
        need = {"selector": event.selector, "by": event.component}
        try:
            result = answer(self._session, self._store, event.selector, event.reason == "demand", self._remember)
        except errors.MaestroError as error:  # no room, or a file that is damaged: others can be answered
            self._tell("unanswered", {**need, "cause": str(error)}, 0)
            return
        if result.offered:
            self._offered[event.cdo["maestro.need"]] = result.offered
        if result.offered or result.ambiguous:
            self._tell("answered" if result.offered else "ambiguous", {**need, "found": result.found}, len(result.offered))

    def _remember(self, objects: list[Any]) -> None:
        """They come to the archive's own groups, soon."""
        self._numbers |= {cdo.id: None for cdo in objects}
        while len(self._numbers) > REMEMBERED:
            del self._numbers[next(iter(self._numbers))]

    def _begin_again(self) -> None:
        """Needs were missed: those that are there now are answered anew."""
        self.needs.dispose()
        self._take_all_back()
        self.needs = self._session.subscribe(kinds="required,retracted")

    def _take_all_back(self) -> None:
        for objects in self._offered.values():
            take_all_back(objects)
        self._offered.clear()

    def close(self) -> None:
        """Take back what was offered, and leave the pool."""
        with contextlib.suppress(errors.PoolLostError):
            self._take_all_back()
            self._session.close()


def take_all_back(offered: list[list[Any]]) -> None:
    """Withdraw what was offered for a need that has ended, or cannot be met in full."""
    for objects in offered:
        kept.take_back(objects)


def restore(session: Any, store: Any, selector: str, tell: Any) -> Answer:
    """Offer all that a selector selects, to stay; `tell` is called with each entry."""
    entries = store.catalogue.newest(session, selector)
    result = Answer(found=len(entries))
    for entry in entries:
        try:
            for cdo in kept.offer(session, store.load(entry)):
                cdo.dispose()
        except errors.DuplicateError:
            result.live += 1
            continue
        result.offered.append(entry)
        tell(entry)
    return result
