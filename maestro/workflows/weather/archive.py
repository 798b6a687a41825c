"""The archive of a forecast: maestro's own, with one rule, every field, into FDB; its trace says when each field is durable.

It runs at the lowest priority. It ends when it has all fields of the plan and nothing comes any more, or when the hammer has gone. Other
fields that are in the pool are kept too, but have no place in the trace.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from ...archive.component import Archiver
from ...archive.rules import Rule
from ...archive.store import open_store
from ...launch.member import take_second_place
from . import fdbstore
from .errors import StageTimeoutError
from .plan import Plan
from .poolsink import sessions
from .poolsource import identity
from .trace import Kind, Trace

IDLE_S = 0.5  # how long a silence lasts before one looks who is still there


def run_archive(plan: Plan, run, root: Path, timeout: float = 120) -> int:
    """Archive every field of the plan's pool into the store at `root`; returns how many fields of the plan are there."""
    import maestro

    take_second_place(nice=19)
    index = {identity(item.keys): item.index for item in plan.fields()}
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(Trace(Path(run) / "trace" / "archive"))
        session = stack.enter_context(
            maestro.Session(pool=plan.maestro.pool, component="archive", schema=plan.maestro.schema_name, priority="background", relay=True)
        )
        store = open_store(f"fdb:{fdbstore.configure(Path(run) / root)}", write=True)
        stack.callback(store.close)
        there = {index.get(identity(entry.line["attributes"])) for entry in store.catalogue} - {None}

        def tell(word: str, about: dict, counts) -> None:
            number = index.get(identity(about["attributes"])) if word in ("persisted", "known") else None
            if number is not None:
                there.add(number)
                log.add(Kind.ARCHIVED, number, nbytes=about["nbytes"])

        archiver = Archiver(session, store, [Rule(select="has(param)")], tell)
        stack.callback(archiver.close)
        log.add(Kind.BEGIN)
        _work(archiver, session, lambda: len(there) == len(index), timeout)
        log.add(Kind.END)
    return len(there)


def _work(archiver: Archiver, session, has_all: Callable[[], bool], timeout: float) -> None:
    """Until it has all, or nobody is left who could send more."""
    silent_since, seen = time.monotonic(), False
    while True:
        if archiver.step():
            silent_since, seen = time.monotonic(), True
            continue
        if has_all():  # asked in silences: what an archive that was killed had kept is to be acknowledged
            return
        silence = time.monotonic() - silent_since
        if silence > IDLE_S:
            there = bool(sessions(session, "hammer"))
            if seen and not there:
                return
            seen |= there
        if silence > timeout:
            raise StageTimeoutError(f"wait for objects of hammer: none came for {timeout:g} s; does it run?")
