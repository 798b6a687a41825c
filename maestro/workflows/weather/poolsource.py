"""The source `maestro`, for product workers and pictures: subscriptions to objects of the pool.

An event brings the object with its lease: the bytes are a view of pool memory, nothing is copied, and they stay until the lease is given
back. A stream ends when everything that was expected has come, or when nobody is left who could send more.
"""

from __future__ import annotations

import time
from pathlib import Path

from . import trace
from .copying import Copies
from .errors import StageTimeoutError
from .poolsink import sessions
from .requirements import selector
from .sources import AHEAD, Arrival
from .trace import Kind, Trace, now

PRODUCTS_SCHEMA = str(Path(__file__).with_name("products.yaml"))
LOOK_S = 0.02  # how long a silence lasts before one looks whether there is anything left to do,
IDLE_S = 0.5  # and who is still there
RESTART_S = 3.0  # how long no product worker must be there: one that died is started again within


class Stream:
    """The events of one subscription until its producers have left, or nothing is left to do."""

    def __init__(self, session, wanted: str | None, producer: str, timeout: float, restart: float = 0, **options):
        self.session, self.producer, self.timeout, self.restart = session, producer, timeout, restart
        self.subscription = session.subscribe(wanted, **options)
        self.seen = False  # a producer, or anything from one

    def done(self) -> bool:
        """Whether all that was to be done has been done; asked in silences."""
        return False

    def __iter__(self):
        silent_since = looked = time.monotonic()
        alone_since = None
        while True:
            cdo = self.subscription.next(timeout=LOOK_S)
            here = time.monotonic()
            if cdo is not None:
                silent_since, alone_since, self.seen = here, None, True
                yield cdo
                continue
            if self.done():
                return
            if here - max(looked, silent_since) < IDLE_S:
                continue
            looked = here
            there = bool(sessions(self.session, self.producer))
            self.seen |= there
            alone_since = None if there or not self.seen else alone_since or here
            if alone_since and here - alone_since > max(self.restart, IDLE_S / 2):  # a second silence: nothing was on its way
                return
            if here - silent_since > self.timeout:
                raise StageTimeoutError(f"wait for objects of {self.producer}: none came for {self.timeout:g} s; does it run?")


class Share(Stream):
    """What one of several workers gets, who are a consumer group; it ends when the traces say that all fields are done with."""

    def __init__(self, session, wanted: str, timeout: float, group: str, fields: set[int], traces: Path):
        super().__init__(session, wanted, "hammer", timeout, group=group, limit=AHEAD, prefetch=AHEAD)
        self.open, self.finished = fields, trace.Finished(traces)

    def done(self) -> bool:
        self.open = self.open - self.finished()
        return not self.open


class PoolSource:
    """A product worker's fields. Copies: none. The workers are a consumer group: what one of them dies of or leaves goes to another."""

    def __init__(self, plan, products, run, worker: int, expected: set[int], log: Trace, descriptor: int, timeout: float = 60):
        import maestro

        self.trace, self.checked, self.copies = log, plan.checksum, Copies()
        self.by_keys = {identity(item.keys): item for item in plan.fields()}
        options = plan.maestro
        self.session = maestro.Session(pool=options.pool, component="products", rank=worker, schema=options.schema_name)
        self.pool = ProductOutlet(options.pool, worker)
        self.stream = Share(self.session, selector(products), timeout, self.session.group or "products", expected, log.path.parent)

    def ready(self) -> None:
        """The hammer sees the subscription; nothing else is to be said."""

    def stop_taking(self) -> None:
        """Leases end with the process, and what was not finished goes to another worker; nothing else is to be done."""

    def __iter__(self):
        for cdo in self.stream:
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

        self.session = maestro.Session(pool=pool, component="outlet", rank=worker, schema=PRODUCTS_SCHEMA)

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
    """Yield each finished product that asks for a picture, with its message; the component `pictures` draws them."""
    import maestro

    waiting = {product.index for product in products if product.picture and product.field}
    with maestro.Session(pool=plan.maestro.pool, component="pictures", schema=PRODUCTS_SCHEMA) as session:
        for cdo in Stream(session, "picture = true", "outlet", timeout, RESTART_S, hold=True):
            with cdo:
                index, message = cdo["product"], bytes(cdo.array())
            yield products[index], message
            waiting.discard(index)
            if not waiting:
                return
