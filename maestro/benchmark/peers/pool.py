"""Maestro itself, as a Python program uses it."""

from __future__ import annotations

import collections
import contextlib
import copy
import os
from collections.abc import Iterator
from typing import Any

import maestro.session  # before the processes fork, so that it is loaded once

from . import System as Base

ALL = "stream = enfo and type = pf"
SHARE = 64  # objects that a member of a group takes in one call
LIVE = 8  # objects under way at most, as for the peers


@contextlib.contextmanager
def around(folder: str) -> Iterator[None]:
    os.environ.setdefault("MAESTRO_DIR", folder)
    os.environ.setdefault("MAESTRO_POOL", f"bench-{os.getpid()}")
    yield


class System(Base):
    def __init__(self, producer: bool, what: str, count: int, nbytes: int) -> None:
        super().__init__(producer, what, count, nbytes)
        self.session = self.open()
        self.subscription = None if producer or what in ("question", "queries", "groups") else self.session.subscribe(ALL)
        self.under_way: collections.deque[Any] = collections.deque()

    def open(self, **more: Any) -> maestro.Session:
        return maestro.Session(component="bench-producer" if self.producer else "bench-consumer", schema="mars", **more)

    @contextlib.contextmanager
    def pool_beside(self) -> Iterator[System]:
        """The same in a second pool."""
        beside = copy.copy(self)
        with self.open(pool=f"{self.session.pool}-beside") as beside.session:
            yield beside

    def keep_manager_on(self, core: int) -> None:
        os.sched_setaffinity(self.session.stats()["pid"], {core})

    def close(self) -> None:
        if self.subscription is not None:
            self.subscription.dispose()
        self.session.close()

    def send_object(self, attributes: dict[str, Any]) -> None:
        self.session.offer(None, attributes)

    def receive_object(self) -> Any:
        return self.subscription.next()

    def subscribe_to_others(self, count: int) -> None:
        self.others = [self.session.subscribe(f"param = other{i}") for i in range(count)]

    def join_group(self, group: str) -> None:
        self.subscription = self.session.subscribe(group=group)

    def receive_share(self, timeout: float) -> list[Any]:
        return self.subscription.next_many(SHARE, timeout)

    def acknowledge(self, got: list[Any]) -> None:
        got.clear()  # the lease ends with the object

    def query(self, selector: str) -> int:
        return sum(1 for _ in self.session.query(selector))

    def send_columns(self, count: int, columns: dict[str, Any]) -> None:
        self.session.offer_many(None, columns)

    def receive_columns(self, count: int, keys: tuple[str, ...]) -> dict[str, Any]:
        return self.subscription.next_columns(count, keys)

    def flush(self) -> None:
        self.session.flush()

    def send_bytes(self, i: int, nbytes: int) -> None:
        from ..duo import field

        cdo = self.session.cdo(field(i))
        bytes_ = cdo.empty(nbytes)
        bytes_[0] = (i + 1) % 256
        del bytes_
        cdo.offer()

    def receive_first_byte(self) -> int:
        return memoryview(self.subscription.next())[0]  # the lease ends with the object

    def reclaim(self) -> None:
        self.session.withdraw(ALL)

    def send_array(self, i: int, block: Any) -> None:
        from ..duo import field

        if len(self.under_way) == LIVE:
            self.under_way.popleft().wait()
        self.under_way.append(self.session.offer(block, field(i)).withdraw_start("consumed"))

    def serve(self, meeting: Any, objects: list[dict[str, Any]]) -> None:
        kept = [self.session.offer(str(i).encode(), attributes) for i, attributes in enumerate(objects)]
        self.session.flush()
        meeting.tell()
        meeting.wait()
        del kept

    def ask(self, wanted: dict[str, Any]) -> str:
        selector = f"param = {wanted['param']} and levelist = {wanted['levelist']:g} and number = {wanted['number']}"
        with self.session.demand(selector) as cdo:
            return bytes(cdo).decode()
