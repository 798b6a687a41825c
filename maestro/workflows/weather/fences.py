"""The fences of a run through the pool: of each step of the forecast, said by the hammer's ranks; of the products, by the supervisor.

They are of the schema of the products, in sessions of their own: who selects fields sees fields only. The supervisor hears of steps for
its whole run and notes them in the trace `steps`, where workers that are started late find them, too.
"""

from __future__ import annotations

import time
from pathlib import Path

from .plan import Plan
from .trace import Kind, Trace

SCHEMA = str(Path(__file__).with_name("products.yaml"))
FORECAST, SUPERVISOR = "forecast", "supervisor"  # components of the sessions that say what is complete, for hammer and products
PRODUCTS = 0  # the products are one sequence


class Fences:
    """Base, and what a run without a pool has: nothing is heard or said."""

    def hear(self, seconds: float) -> None:
        """Wait so long at most, and note what is heard."""
        time.sleep(seconds)

    def close(self) -> None:
        """Say that no more products come."""


class PoolFences(Fences):
    """Hears which steps are complete, and which never will be, for their producers have left."""

    def __init__(self, plan: Plan, run):
        import maestro

        self.name, self.open = plan.collection("forecast"), set(plan.sequences())
        self.log = Trace(Path(run) / "trace" / "steps")
        self.session = maestro.Session(pool=plan.maestro.pool, component=SUPERVISOR, schema=SCHEMA)
        self.events = self.session.subscribe(f"{selector(self.name)} or has(maestro.pid)", kinds="offered,incomplete,left")
        self.left = self._have_left()
        self.products = self.session.collection(plan.collection("products"))
        self.products.withdraw(PRODUCTS, when="released")  # what an earlier supervisor has said: now more come

    def hear(self, seconds: float) -> None:
        while (event := self.events.next_event(timeout=seconds)) is not None:
            seconds = 0
            self._note(event)
        if self.left:
            for step in sorted(self.open):
                self._settle(step, Kind.GIVEN_UP)

    def _note(self, event) -> None:
        import maestro

        if event.kind == "gap":
            raise maestro.GapError(*event.gap)
        with event.cdo as cdo:
            if event.kind == "left":
                self.left |= event.component == FORECAST and self._have_left()
            else:
                self._settle(cdo["maestro.sequence"], Kind.STEP if event.kind == "offered" else Kind.GIVEN_UP)

    def _settle(self, step: int, kind: Kind) -> None:
        if step in self.open:
            self.open.remove(step)
            self.log.add(kind, where=step)

    def _have_left(self) -> bool:
        """Whether the forecast's producers have been there and are no more."""
        there = any(one["component"] == FORECAST for one in self.session.stats(timeout=10)["sessions"])
        return not there and self.session.count({"maestro.describes": self.name}) > 0

    def close(self) -> None:
        self.products.complete(PRODUCTS)
        self.session.close()
        self.log.close()


def selector(collection: str) -> str:
    """Selects the fences of a collection."""
    from ...selectors import selector_text

    return selector_text({"maestro.fence": collection})


def open_fences(plan: Plan, run) -> Fences:
    """Those of a supervisor."""
    return PoolFences(plan, run) if plan.sink == "maestro" else Fences()
