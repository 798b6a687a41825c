"""Subscriptions and events as people use them; taking and waiting stand in _core."""

from __future__ import annotations

import asyncio
import builtins
import select
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _core, errors
from .cdo import Cdo

__all__ = ["Event", "Subscription", "wait"]

SLICE_S = 0.5  # how long a wait for descriptors lasts at most before the manager is looked after

KINDS = {
    "offered": _core.MAESTRO_EVENT_OFFERED,
    "withdrawn": _core.MAESTRO_EVENT_WITHDRAWN,
    "joined": _core.MAESTRO_EVENT_JOINED,
    "left": _core.MAESTRO_EVENT_LEFT,
    "expired": _core.MAESTRO_EVENT_EXPIRED,
    "required": _core.MAESTRO_EVENT_REQUIRED,
    "retracted": _core.MAESTRO_EVENT_RETRACTED,
    "incomplete": _core.MAESTRO_EVENT_INCOMPLETE,
    "gap": _core.MAESTRO_EVENT_GAP,
}
NAMES = {number: name for name, number in KINDS.items()}
SUBSCRIBABLE = {name: number for name, number in KINDS.items() if name != "gap"}
STARTS = {"snapshot": _core.MAESTRO_START_SNAPSHOT, "now": _core.MAESTRO_START_NOW, "query": _core.MAESTRO_START_QUERY}


def kinds_mask(kinds: str | Iterable[str]) -> int:
    """ "offered,left" or ["offered", "left"] as the sum that C takes."""
    words = [word.strip() for word in kinds.split(",")] if isinstance(kinds, str) else list(kinds)
    for word in words:
        if word not in SUBSCRIBABLE:
            raise errors.ArgumentError(f"subscribe: event kind {word!r} is unknown; known are: {', '.join(SUBSCRIBABLE)}")
    return sum({SUBSCRIBABLE[word] for word in words})


@dataclass(frozen=True, slots=True)
class Event:
    """
    What happened in the pool.

    Attributes
    ----------
    kind : {"offered", "withdrawn", "joined", "left", "expired", "required", "retracted", "incomplete", "gap"}
    cdo : Cdo or None
        The object; for joined and left one that has only attributes (component, rank, pid, reason); None for a gap.
    sequence : int
        Number in the node's event log.
    gone : bool
        The object was withdrawn before its event arrived: it has attributes only.
    gap : (int, int) or None
        First and last number of the events that a subscription which was too slow has lost.
    """

    kind: str
    cdo: Cdo | None
    sequence: int
    gone: bool = False
    gap: tuple[int, int] | None = None

    @classmethod
    def _make(cls, kind: int, *rest) -> Event:
        return cls(NAMES[kind], *rest)

    def _attribute(self, key: str):
        return None if self.cdo is None else self.cdo.get(key)

    @property
    def redelivered(self) -> bool:
        """Another member of the consumer group was given the object before, and did not acknowledge it."""
        return self.cdo is not None and self.cdo.redelivered

    @property
    def component(self) -> str | None:
        """Who offered, withdrew, joined or left."""
        return self._attribute("maestro.component")

    @property
    def rank(self) -> int | None:
        """Its rank."""
        return self._attribute("maestro.rank")

    @property
    def reason(self) -> str | None:
        """Why it left ("closed", "died"); why something is required ("require", "demand", "subscription"); why parts were discarded."""
        return self._attribute("maestro.reason")

    @property
    def selector(self) -> str | None:
        """What is required, or no longer: the selector as it was written ("" is everything); ``cdo["maestro.schema"]`` is its schema."""
        return self._attribute("maestro.selector")


class Subscription(_core.SubscriptionHandle):
    """
    A cursor in the pool's event log: the objects that match a selector, each exactly once, with the lease.  Made by
    `Session.subscribe`.

    A subscription to offered objects alone gives `Cdo` objects; objects that were withdrawn before they arrived are passed over
    (``passed_over`` counts them).  A subscription to other kinds too gives `Event` objects, as `events` always does.

    Iteration ends quietly after ``timeout`` seconds without event, if subscribe was given one; else it raises TimeoutError after the
    session's timeout.  It also ends when no more will come: the manager has left in good order, or a query is through.

    In a consumer group every object goes to one member, to whom has time for it, and disposing the object acknowledges it: what a member
    that died, left, rejected it (`Cdo.reject`) or took too long had not acknowledged comes to another one, with ``cdo.redelivered`` set.

    As a context manager it disposes itself.  One thread at a time may use a subscription; another one gets a StateError.

    Examples
    --------
    >>> with maestro.Session(schema="mars") as s:
    ...     with s.subscribe("param = u10 and step <= 12", timeout=0.1) as fields:
    ...         cdos = [s.offer(None, param="u10", step=step) for step in (0, 12, 24)]
    ...         [cdo["step"] for cdo in fields]
    [0, 12]
    """

    __slots__ = ()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *exception) -> None:
        if not self.disposed:
            self.dispose()

    def __iter__(self) -> Subscription:
        return self

    def __aiter__(self) -> Subscription:
        """
        As iteration, in an event loop: ``async for cdo in subscription``.

        Examples
        --------
        >>> import asyncio
        >>> async def steps(session):
        ...     async for cdo in session.subscribe("param = t2m", timeout=0.1):
        ...         print(cdo["step"])
        >>> with maestro.Session(schema="mars") as s:
        ...     n = s.offer_many(param="t2m", step=[6, 12])
        ...     asyncio.run(steps(s))
        6
        12
        """
        return self

    async def __anext__(self) -> Any:
        seconds = self.session.timeout if self.patience < 0 else self.patience
        give_up = time.monotonic() + seconds
        while (item := self.next(timeout=0)) is None:
            left = give_up - time.monotonic()
            if self.ended or (left <= 0 and self.patience >= 0):
                raise StopAsyncIteration
            if left <= 0:
                raise errors.TimeoutError(f"iterate over a subscription: nothing came within {seconds:g} s, the session's timeout")
            await readable(self.fileno(), min(left, SLICE_S))
        return item

    def next_event(self, timeout: float | None = None) -> Event | None:
        """The next event; None when none came in time or no more will come.  See `next`."""
        return self._next_event(timeout)

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """
        Iterate over events; ends after `timeout` seconds without one (default: the session's timeout), or when no more will come.

        Unlike the objects' iteration this shows what was withdrawn on its way (``event.gone``) and gaps (``event.gap``).

        Examples
        --------
        >>> with maestro.Session(component="watcher") as s:
        ...     for event in s.subscribe(kinds="offered,withdrawn,joined,left").events(timeout=0):
        ...         print(event.kind, event.component)
        joined watcher
        """
        while (event := self._next_event(timeout)) is not None:
            yield event

    def next_columns(self, n: int, keys: Iterable[str], timeout: float | None = None) -> dict[str, np.ndarray]:
        """
        The attributes of up to n events as columns, for rates at which one object each is too slow.

        Leases are given back at once: this reads attributes, not data.

        Parameters
        ----------
        n : int
            At most so many events.
        keys : iterable of str
            Attributes.
        timeout : float, optional
            Seconds to wait for the first; default is the session's timeout.

        Returns
        -------
        dict of numpy.ndarray
            One array of equal length for each key: int64, float64, bool, or object for texts, timestamps and blobs.  Where an
            attribute is absent it has NaN (float64) or None (the column is of dtype object then).

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     s.offer_many(param="v10", step=[0, 6, 12])
        ...     s.subscribe("param = v10").next_columns(100, ["step"], timeout=1)["step"]
        3
        array([ 0,  6, 12])
        """
        keys = tuple(keys)
        return dict(zip(keys, _core.take_columns(self, n, keys, self.session._types_of(keys), timeout), strict=True))


async def readable(fd: int, seconds: float) -> None:
    """Until the descriptor is readable, or the time is over."""
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, came.set)
    try:
        async with asyncio.timeout(seconds):
            await came.wait()
    except builtins.TimeoutError:
        pass
    finally:
        loop.remove_reader(fd)


def wait(subscriptions: Iterable[Subscription], timeout: float | None = None) -> list[Subscription]:
    """
    Wait until one of several subscriptions has something.

    Parameters
    ----------
    subscriptions : iterable of Subscription
    timeout : float, optional
        Seconds; default is the timeout of the first one's session.

    Returns
    -------
    list of Subscription
        Those whose `next` would not wait: also those that have ended.  Empty when the time is over.

    Raises
    ------
    ArgumentError
        There is none to wait for.
    PoolLostError
        A pool manager is gone.

    Examples
    --------
    >>> with maestro.Session(schema="mars") as s:
    ...     winds, rain = s.subscribe("param in (u, v)"), s.subscribe("param = tp")
    ...     cdo = s.offer(None, param="v", step=0)
    ...     maestro.wait([winds, rain], timeout=5) == [winds]
    True
    """
    several = list(subscriptions)
    if not several:
        raise errors.ArgumentError("wait: there is no subscription to wait for")
    give_up = time.monotonic() + (several[0].session.timeout if timeout is None else timeout)
    poll = select.poll()
    for subscription in several:
        poll.register(subscription.fileno(), select.POLLIN)
    while not (ready := [subscription for subscription in several if subscription._is_ready()]):
        left = give_up - time.monotonic()
        if left <= 0:
            break
        poll.poll(min(left, SLICE_S) * 1000)
    return ready
