"""The source `maestro`, for product workers and pictures: subscriptions to objects of the pool.

An event brings the object with its lease: the bytes are a view of pool memory, nothing is copied, and they stay until the lease is given
back. Fences say when nothing more comes.
"""

from __future__ import annotations

import time

from . import fences, trace
from .copying import Copies
from .errors import StageTimeoutError
from .requirements import selector
from .sources import AHEAD, Arrival
from .trace import Kind, Trace, now

LOOK_S = 0.02  # how long a silence lasts before one looks whether there is anything left to do,
LOOK_EARLY_S = 0.25  # and before all steps are complete: a look reads files, and a field that comes meanwhile would wait for its end


class PoolSource:
    """A product worker's fields. Copies: none. The workers are a consumer group: what one of them dies of or leaves goes to another."""

    def __init__(self, plan, products, run, worker: int, expected: set[int], log: Trace, descriptor: int, timeout: float = 60):
        import maestro

        self.trace, self.checked, self.copies, self.timeout = log, plan.checksum, Copies(), timeout
        fields = plan.fields()
        self.by_keys = {identity(item.keys): item for item in fields}
        self.expected, self.wanted = expected, selector(products)
        self.steps = {plan.sequence(fields[index]) for index in expected}
        self.settled, self.coming = trace.Settled(log.path.parent), True
        options = plan.maestro
        self.session = maestro.Session(pool=options.pool, component="products", rank=worker, schema=options.schema_name)
        self.pool = ProductOutlet(options.pool, worker)
        self.stream = self.session.subscribe(self.wanted, group=self.session.group or "products", limit=AHEAD, prefetch=AHEAD)

    def ready(self) -> None:
        """The hammer sees the subscription; nothing else is to be said."""

    def stop_taking(self) -> None:
        """Leases end with the process, and what was not finished goes to another worker; nothing else is to be done."""

    def __iter__(self):
        for cdo in self._objects():
            start = now()
            data = cdo.data  # readable from here on, whatever it turns out to be
            end = now()
            item = self.by_keys.get(identity(cdo.attributes))
            if item is None:
                cdo.dispose()
                del data
                continue
            self.trace.add(Kind.RECEIVED, item.index, end, end - start, copies=self.copies.take(), nbytes=data.nbytes)
            arrival = Arrival(item, data, cdo.get("maestro.checksum", 0) if self.checked else 0, cdo, cdo.redelivered)
            del data, cdo  # a view that waits here for the next event would keep the lease, and its producer waiting
            yield arrival

    def _objects(self):
        """What the group gives to this member, until nothing is left to do."""
        heard = time.monotonic()
        while True:
            cdo = self.stream.next(timeout=LOOK_EARLY_S if self.coming else LOOK_S)
            if cdo is not None:
                heard = time.monotonic()
                yield cdo
            finished = len(self.settled.fields)
            if cdo is None and self._done():
                return
            if len(self.settled.fields) > finished:  # another worker is at it
                heard = time.monotonic()
            elif time.monotonic() - heard > self.timeout:
                raise StageTimeoutError(self._silence())

    def _done(self) -> bool:
        """Whether no more fields come, and those that have come are finished: what another worker has in hand may be left to this one."""
        self.settled.look()
        if not self.steps <= self.settled.steps:
            return False
        if self.coming:
            self.expected, self.coming = self.expected & (self.settled.fields | self._in_pool()), False
        return self.expected <= self.settled.fields

    def _silence(self) -> str:
        wait = f"wait for fields of the hammer: none came for {self.timeout:g} s"
        if self.coming:
            return f"{wait}; does it run?"
        left = len(self.expected - self.settled.fields)
        return f"{wait}, and {left} in the pool are finished by nobody; have workers of an earlier run taken them? start another pool"

    def _in_pool(self) -> set[int]:
        found = set()
        for cdo in self.session.query(self.wanted):
            with cdo:
                item = self.by_keys.get(identity(cdo.attributes))
            if item is not None:
                found.add(item.index)
        return found

    def close(self) -> None:
        self.session.close()
        self.pool.close()


def identity(keys) -> tuple:
    """What tells the fields of one plan apart."""
    return tuple(keys.get(key) for key in ("param", "levtype", "levelist", "step", "number", "iteration"))


class ProductOutlet:
    """Offers finished products as objects under a schema of their own."""

    def __init__(self, pool: str | None, worker: int):
        import maestro

        self.session = maestro.Session(pool=pool, component="outlet", rank=worker, schema=fences.SCHEMA)

    def offer_product(self, product, message: bytes) -> None:
        """One copy, of a message of some kilobytes, into the pool."""
        import numpy as np

        keys = {key: product.field.keys[key] for key in ("param", "levtype", "levelist", "step", "number") if key in product.field.keys}
        self.session.offer(
            np.frombuffer(message, "u1"), product=product.index, title=product.name, destination=product.to, picture=product.picture, **keys
        )

    def close(self) -> None:
        self.session.close()


def finished_products(plan, products, timeout: float):
    """Yield each finished product that asks for a picture, with its message, until the supervisor says that no more come.

    The component `pictures` draws them.
    """
    import maestro

    waiting = {product.index for product in products if product.picture and product.field}
    wanted = f"picture = true or {fences.selector(plan.collection('products'))}"
    with maestro.Session(pool=plan.maestro.pool, component="pictures", schema=fences.SCHEMA) as session:
        for cdo in session.subscribe(wanted, timeout=timeout, hold=True):
            with cdo:
                if "maestro.fence" in cdo:
                    return
                index, message = cdo["product"], bytes(cdo.array())
            yield products[index], message
            waiting.discard(index)
            if not waiting:
                return
    raise StageTimeoutError(f"wait for products to draw: none came for {timeout:g} s; are the workers alive?")
