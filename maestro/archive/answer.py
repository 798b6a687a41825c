"""Bringing archived objects back: for a demand or a declared need that the pool cannot meet, or all at once.

Of an identity the newest version is offered, as its producer offered it (same component, rank, version, attributes and bytes). A demand
that several archived identities match is not answered, for it could be by any of them.

Invariant: what was offered for a need is withdrawn when the need ends, so that an archive does not fill the pool; who has leased it
reads on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .. import errors
from . import kept

MANY = 10_000  # objects offered for one need at most


@dataclass
class Answer:
    """What became of a need."""

    offered: list[Any] = field(default_factory=list)
    found: int = 0
    live: int = 0

    @property
    def ambiguous(self) -> bool:
        return bool(self.found) and not self.offered and not self.live


def answer(session: Any, store: Any, selector: str, unique: bool) -> Answer:
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

    Returns
    -------
    Answer
        The objects that were offered, how many identities the store has, and how many of them live in the pool already.
    """
    entries = store.catalogue.newest(session, selector)
    result = Answer(found=len(entries))
    if unique and len(entries) > 1:
        return result
    for entry in entries[:MANY]:
        cdo = kept.offer(session, store.load(entry))
        try:
            cdo.wait()
        except errors.DuplicateError:
            result.live += 1
            continue
        result.offered.append(cdo)
    return result


def take_back(cdos: list[Any]) -> None:
    """Withdraw what was offered for a need that has ended; does not wait for those who read it."""
    for cdo in cdos:
        cdo.withdraw_start()
        cdo.dispose()


def restore(session: Any, store: Any, selector: str, tell: Any) -> Answer:
    """Offer all that a selector selects, to stay; `tell` is called with each entry."""
    entries = store.catalogue.newest(session, selector)
    result = Answer(found=len(entries))
    for entry in entries:
        cdo = kept.offer(session, store.load(entry))
        try:
            cdo.wait()
            result.offered.append(entry)
            tell(entry)
        except errors.DuplicateError:
            result.live += 1
        cdo.dispose()
    return result
