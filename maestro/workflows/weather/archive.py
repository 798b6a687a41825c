"""The archive: a low-priority consumer that writes the pool's fields to FDB with the explicit key, off the products' way.

It runs at the lowest priority and holds a field only while FDB copies it. A field counts as archived when the flush after it has
returned. Knows the pool and FDB, not the products.
"""

from __future__ import annotations

from pathlib import Path

from ...launch.member import take_second_place
from . import fdbstore
from .plan import Plan
from .trace import Kind, Trace, now

GROUP = 100  # fields per flush


def run_archive(plan: Plan, run, root: Path, timeout: float = 120) -> int:
    """Archive every field of the plan's pool into the store at `root`; returns how many."""
    from .poolsource import every_field

    take_second_place(nice=19)
    store, waiting, count = fdbstore.open_fdb(Path(run) / root), [], 0
    total = len(plan.fields())
    with Trace(Path(run) / "trace" / "archive") as log:
        log.add(Kind.BEGIN)
        for item, cdo in every_field(plan, timeout, "archive"):
            start = now()
            with cdo:
                data = bytes(cdo.array())  # pyfdb takes nothing but bytes
            store.archive(data, fdbstore.identifier(item))
            waiting.append((item.index, len(data), now() - start))
            count += 1
            if len(waiting) >= GROUP or count == total:
                _flush(store, waiting, log)
            if count == total:
                break
        _flush(store, waiting, log)
        log.add(Kind.END)
    return count


def _flush(store, waiting: list, log: Trace) -> None:
    if not waiting:
        return
    store.flush()
    for index, nbytes, ns in waiting:
        log.add(Kind.ARCHIVED, index, ns=ns, nbytes=nbytes)
    waiting.clear()
