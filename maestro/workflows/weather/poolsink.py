"""The sink `maestro`: fields become objects of the pool, with their MARS keys as attributes.

The message is written straight into pool memory: that one write is all the copying there is, readers map the same pages. The room for
it is taken and its pages are touched before the field exists, as a model does that fills an array in place. What was offered
stays until the pool ends, for readers that come late or again; only a forecast that outgrows `keep` takes its oldest steps back, when every
subscription has released them, and waits for that. Which steps are complete is said by fences of a collection.
"""

from __future__ import annotations

import mmap
import os
import time
from collections import deque

from . import fences
from .errors import StageTimeoutError
from .sinks import Sink
from .trace import Kind

POOL_SHARE = 0.75  # of the pool's memory: the rest is for products
READERS_S = 60  # the longest wait for the product workers to come
CONSUMED_S = 180  # the longest wait for readers to release everything


class PoolSink(Sink):
    """Offers fields to the pool. Copies: one, the write of the message into pool memory; and those that the pool counts."""

    def open(self) -> None:
        import maestro

        options = self.plan.maestro
        self.session = maestro.Session(pool=options.pool, component="hammer", rank=self.rank, schema=options.schema_name)
        self.steps_session = maestro.Session(pool=options.pool, component=fences.FORECAST, rank=self.rank, schema=fences.SCHEMA)
        self.forecast = self.steps_session.collection(self.plan.collection("forecast"), producers=self.nranks)
        if self.rank == 0:
            self.forecast.describe(title=f"{len(self.plan.fields())} fields, {len(self.plan.sequences())} steps")
        self.cdo = self.room = None  # the object that is being made, and its memory
        self.steps: deque[tuple[dict, int]] = deque()
        self.here, self.nbytes = {}, 0
        room = self.session.stats(timeout=10)["memory"]["limit"] * POOL_SHARE
        self.keep = min(options.keep, room) / self.nranks
        if self.plan.workers:
            wait_for_readers(self.session, "products", self.plan.workers)

    def wanted(self, field) -> bool:
        return not self.plan.maestro.only_wanted or self.session.wanted(field.keys)

    def make_room(self, field, nbytes: int | None) -> None:
        self._drop()
        if nbytes is not None:
            self._take(field, nbytes)
            self.room[:: mmap.PAGESIZE] = 0

    def _take(self, field, nbytes: int) -> None:
        self.cdo = self.session.cdo(**field.keys)
        self.room = self.cdo.empty(nbytes, "u1")

    def _drop(self) -> None:
        """Give back room that was not used."""
        if self.cdo is not None:
            self.cdo.dispose()
        self.cdo = self.room = None

    def place(self, field, message: memoryview):
        if self.cdo is None or self.room.nbytes != len(message):
            self._drop()
            self._take(field, len(message))
        self.copies.fill(self.cdo, message)
        self.here = {key: field.keys[key] for key in ("step", "number") if key in field.keys}
        self.nbytes += len(message)
        return self.room

    def damage(self, data):
        data[len(data) // 2] ^= 0xFF
        return data

    def publish(self, field, data, check: int) -> None:
        if check:
            self.cdo["maestro.checksum"] = check
        self.cdo.offer()
        self._drop()

    def end_of_step(self) -> None:
        """Raise what the manager has refused; let go of the oldest steps when more bytes are out than are to be kept."""
        self.session.flush(timeout=READERS_S)
        self.steps.append((self.here, self.nbytes))
        self.nbytes = 0
        while sum(nbytes for _, nbytes in self.steps) > self.keep:
            self.session.withdraw(self.steps.popleft()[0], when="consumed", timeout=CONSUMED_S)

    def complete(self, sequence: int) -> None:
        """One offer, behind the fields: they have been flushed."""
        self.forecast.complete(sequence)

    def close(self) -> None:
        """The pool's own count of copies goes into the trace: 0 as long as what is offered lies in pool memory."""
        self.session.flush(timeout=READERS_S)
        mine = [one for one in sessions(self.session, "hammer") if (one["pid"], one["rank"]) == (os.getpid(), self.rank)]
        self.trace.add(Kind.COPIED, where=sum(one["copied"] for one in mine))
        self.session.close()
        self.steps_session.close()  # raises, where another rank has left too early


def wait_for_readers(session, component: str, count: int) -> None:
    """Wait until so many processes of a component have subscribed; StageTimeoutError names who is missing."""
    limit = time.monotonic() + READERS_S
    while (here := len(subscribers(session, component))) < count:
        if time.monotonic() > limit:
            raise StageTimeoutError(f"wait for {count} of {component}: {here} have subscribed within {READERS_S} s; start the {component}")
        time.sleep(0.02)


def subscribers(session, component: str) -> list[dict]:
    """The sessions of a component that have a subscription to offered objects."""
    mine = sessions(session, component)
    return [one for one in mine if any("offered" in subscription["kinds"] for subscription in one["subscriptions"])]


def sessions(session, component: str) -> list[dict]:
    """The live sessions of a component, as the pool manager counts them."""
    return [one for one in session.stats(timeout=10)["sessions"] if one["component"] == component]
