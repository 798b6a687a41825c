"""A product worker: takes its share of the fields, checks them, makes their products, and leaves a trace that survives it.

It may die in MIR at any point; `products` then reads the trace, names the requirement that killed it, and starts the next worker,
which goes on where this one stopped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from . import requirements as wishes
from . import trace
from .checksum import checksum
from .errors import WeatherError
from .outlet import Outlet
from .plan import Plan
from .requirements import Product
from .sources import Arrival, ahead, open_source
from .trace import Kind, Trace, now

SWITCH_S = 0.0005  # how long the thread that takes fields waits for one that runs Python code (it cannot interrupt MIR)


def run_worker(plan: Plan, products: list[Product], run, worker: int, descriptor: int, *, dry: bool, pictures: bool) -> None:
    """Serve what comes to this worker until all fields are done with, or the producers have ended."""
    sys.setswitchinterval(SWITCH_S)
    expected = wishes.covers(products, plan.fields())
    with Trace(Path(run) / "trace" / f"products.{worker}", worker) as log:
        state = State(log)
        tool = None if dry else interpolator(plan, products)
        source = open_source(plan, products, run, worker, expected, log, descriptor)
        outlet = Outlet(run, worker, log, source.pool, pictures)
        needed = {} if dry else wishes.needed(products)
        log.add(Kind.BEGIN)
        source.ready()
        try:
            for arrival in source if dry else ahead(source):  # where MIR does not work, there is nothing to read ahead of
                _serve(arrival, needed, tool, outlet, state, log, run)
        except BaseException:
            source.stop_taking()
            raise
        log.add(Kind.END)
        outlet.close()
        source.close()


class State:
    """What has been done with which field and product, by earlier workers of this number and, once asked for, by others."""

    def __init__(self, log: Trace):
        self.log = log
        self.finished: set[int] = set()
        self.decided: set[int] = set()
        self._take(log.path)

    def learn(self) -> None:
        """Take what all workers have done. A product that one has begun and not decided is what it died of, if its field comes here."""
        for path in self.log.path.parent.glob("products.*"):
            begun = self._take(path)
            if path != self.log.path:
                self.decided |= begun

    def _take(self, path: Path) -> set[int]:
        begun: set[int] = set()
        for record in trace.records(path):
            if record.kind == Kind.FINISHED:
                self.finished.add(record.field)
            elif record.kind == Kind.STARTED:
                begun.add(record.product)
            elif record.kind in (Kind.PRODUCT, Kind.REFUSED):
                self.decided.add(record.product)
        return begun


def _serve(arrival: Arrival, needed: dict, tool, outlet: Outlet, state: State, log: Trace, run) -> None:
    index, start = arrival.field.index, now()
    if arrival.again:
        state.learn()
    wanted = [product for product in needed.get(index, ()) if product.index not in state.decided]
    if index in state.finished:
        if not arrival.again:
            log.add(Kind.AGAIN, index)
        wanted = []
    elif arrival.check and checksum(arrival.data) != arrival.check:
        log.add(Kind.CORRUPT, index)
        for product in wanted:
            refuse(log, run, product, "the field is damaged: its checksum is not the producer's")
        wanted = []
    if wanted:
        _make(arrival, wanted, tool, outlet, log, run)
    state.finished.add(index)
    log.add(Kind.FINISHED, index, ns=now() - start)  # before it is released: what is with nobody has been finished
    arrival.release()


def _make(arrival: Arrival, wanted: list[Product], tool, outlet: Outlet, log: Trace, run) -> None:
    """All products of one field; it is decoded once where `interpolate` can."""
    opened = None
    for product in wanted:
        started = now()
        log.add(Kind.STARTED, arrival.field.index, started, product=product.index)
        try:
            opened = opened or tool.open(arrival.data)
            outlet.give(product, opened.product(product.post.job()), started)
        except WeatherError as error:
            refuse(log, run, product, str(error))
    if opened:
        opened.close()


def refuse(log: Trace, run, product: Product, reason: str) -> None:
    """Record that a requirement failed, and why."""
    log.add(Kind.REFUSED, product.field.index if product.field else -1, product=product.index)
    with (Path(run) / "trace" / f"failures.{log.rank}.jsonl").open("a") as stream:
        stream.write(json.dumps({"product": product.index, "name": product.name, "reason": reason}) + "\n")


def interpolator(plan: Plan, products: list[Product]):
    """MIR, with the weights of all products loaded, so that the first fields do not wait for them."""
    from .grib import Encoder
    from .interpolate import Interpolator

    if plan.input:
        return Interpolator()
    tool, encoder = Interpolator(plan.grid), Encoder(plan)
    tool.warm(bytes(encoder.blank(plan.fields()[0].keys)), [item.post.job() for item in products])
    encoder.close()
    return tool
