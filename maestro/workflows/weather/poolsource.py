"""The source `maestro`, for product workers, pictures and the archive: subscriptions to objects of the pool.

An event brings the object with its lease: the bytes are a view of pool memory, nothing is copied, and they stay until the lease is given
back. A stream ends when everything that was expected has come, or when nobody is left who could send more.
"""

from __future__ import annotations

import time
from pathlib import Path

from .copying import Copies
from .errors import StageTimeoutError
from .grib import ring_points
from .poolsink import sessions
from .requirements import selector
from .sources import Arrival
from .trace import Kind, Trace, now, read, records

PRODUCTS_SCHEMA = str(Path(__file__).with_name("products.yaml"))
IDLE_S = 0.5  # how long a silence lasts before one looks who is still there
RESTART_S = 3.0  # how long no product worker must be there: one that died is started again within


class Stream:
    """The events of one subscription until its producers have left."""

    def __init__(self, session, wanted: str | None, producer: str, timeout: float, restart: float = 0):
        self.session, self.producer, self.timeout, self.restart = session, producer, timeout, restart
        self.subscription = session.subscribe(wanted, hold=True)
        self.seen = False  # a producer, or anything from one

    def __iter__(self):
        silent_since, alone_since = time.monotonic(), None
        while True:
            cdo = self.subscription.next(timeout=IDLE_S)
            if cdo is not None:
                silent_since, alone_since, self.seen = time.monotonic(), None, True
                yield cdo
                continue
            there = bool(sessions(self.session, self.producer))
            self.seen |= there
            alone_since = None if there or not self.seen else alone_since or time.monotonic()
            if alone_since and time.monotonic() - alone_since > max(self.restart, IDLE_S / 2):  # a second silence: nothing was on its way
                return
            if time.monotonic() - silent_since > self.timeout:
                raise StageTimeoutError(f"wait for objects of {self.producer}: none came for {self.timeout:g} s; does it run?")


class PoolSource:
    """A product worker's fields. Copies: none."""

    def __init__(self, plan, products, run, worker: int, expected: set[int], log: Trace, descriptor: int, timeout: float = 60):
        import maestro

        self.worker, self.expected, self.trace = worker, expected, log
        self.workers, self.checked, self.copies = plan.workers, plan.checksum, Copies()
        self.by_keys = {identity(item.keys): item for item in plan.fields()}
        options = plan.maestro
        self.session = maestro.Session(pool=options.pool, component="products", rank=worker, schema=options.schema_name)
        self.pool = ProductOutlet(options.pool, worker)
        self.stream = Stream(self.session, selector(products), "hammer", timeout)

    def ready(self) -> None:
        """The hammer sees the subscription; nothing else is to be said."""

    def stop_taking(self) -> None:
        """Leases end with the process, and what was not finished comes again; nothing else is to be done."""

    def __iter__(self):
        done = {record.field for record in records(self.trace.path) if record.kind == Kind.FINISHED}
        open_fields = self.expected - done
        if not open_fields:
            return
        for cdo in self.stream:
            start = now()
            data = cdo.data  # readable from here on, whatever it turns out to be
            end = now()
            item = self.by_keys.get(identity(cdo.attributes))
            if item is None or item.worker(self.workers) != self.worker or item.index in done:
                cdo.dispose()
                del data
                continue
            self.trace.add(Kind.RECEIVED, item.index, end, end - start, copies=self.copies.take(), nbytes=data.nbytes)
            arrival = Arrival(item, data, cdo.get("maestro.checksum", 0) if self.checked else 0, cdo)
            del data, cdo  # a view that waits here for the next event would keep the lease, and its producer waiting
            yield arrival
            open_fields.discard(item.index)
            if not open_fields:
                return

    def close(self) -> None:
        self.session.close()
        self.pool.close()


class Keeper:
    """Keeps a lease on each field until the traces say that a worker has finished it.

    A worker that died has no subscription any more, so what it had not finished would count as consumed and be taken back before the
    next worker comes. Belongs to the supervisor, which outlives the workers.
    """

    def __init__(self, plan, products, run):
        import maestro

        options, self.workers = plan.maestro, Path(run) / "trace"
        self.by_keys = {identity(item.keys): item.index for item in plan.fields()}
        self.session = maestro.Session(pool=options.pool, component="keeper", schema=options.schema_name)
        self.subscription = self.session.subscribe(selector(products), hold=True)
        self.leases: dict[int, object] = {}
        self.finished: set[int] = set()
        self.read: dict[Path, int] = {}

    def step(self) -> None:
        """Take what has come, give back what is finished; never waits."""
        while (cdo := self.subscription.next(timeout=0)) is not None:
            index = self.by_keys.get(identity(cdo.attributes))
            if index is None or index in self.leases:
                cdo.dispose()
            else:
                self.leases[index] = cdo
        for path in self.workers.glob("products.*"):
            fresh = read(path, self.read.get(path, 0))
            self.read[path] = self.read.get(path, 0) + len(fresh)
            self.finished.update(fresh["field"][fresh["kind"] == Kind.FINISHED].tolist())
        for index in self.finished & self.leases.keys():
            self.leases.pop(index).dispose()

    def close(self) -> None:
        for cdo in self.leases.values():
            cdo.dispose()
        self.session.close()


def outgrows(plan) -> bool:
    """Whether the forecast may be larger than what the pool keeps of it, so that finished steps must make room."""
    if plan.input:
        return Path(plan.input).stat().st_size > plan.maestro.keep
    points = sum(ring_points(int(plan.grid[1:])))
    return len(plan.fields()) * (2 * points + 4096) > plan.maestro.keep


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
        for cdo in Stream(session, "picture = true", "outlet", timeout, RESTART_S):
            with cdo:
                index, message = cdo["product"], bytes(cdo.array())
            yield products[index], message
            waiting.discard(index)
            if not waiting:
                return


def every_field(plan, timeout: float, component: str):
    """Yield every field of the pool with its lease; the caller disposes it."""
    import maestro

    by_keys = {identity(item.keys): item for item in plan.fields()}
    with maestro.Session(pool=plan.maestro.pool, component=component, schema=plan.maestro.schema_name) as session:
        for cdo in Stream(session, "has(param)", "hammer", timeout):
            item = by_keys.get(identity(cdo.attributes))
            if item is None:
                cdo.dispose()
            else:
                yield item, cdo
