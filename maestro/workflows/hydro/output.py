"""Hydro's records in the pool: every rank offers its block as its part of one, and a restart reads the blocks that it needs.

Invariant: a record holds the state exactly, the conserved variables and the last time step; so a run that begins with it, on any number
of ranks, goes on as the one that wrote it, bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...errors import StateError
from ...errors import TimeoutError as NothingCameError
from ...record import Record
from ...session import Session
from .ranks import Block, Simulation
from .solver import FIELDS

__all__ = ["check_newest", "open_session", "records", "restart", "write"]

COLLECTION = "hydro"
SCHEMA = Path(__file__).with_name("hydro.yaml")


def open_session(component: str, rank: int = 0) -> Session:
    """A session with Hydro's schema; the workflow file's name of the component goes before ours."""
    return Session(component=os.environ.get("MAESTRO_COMPONENT") or component, rank=rank, schema=SCHEMA)


def write(session: Session, run: Simulation, final: bool) -> None:
    """Offer this rank's part of the record of a step, whose number is the record's, and say that there is no more of it."""
    collection, block = session.collection(COLLECTION, producers=run.block.ranks), run.block
    arrays = {f"mesh/zones/{name}": ("f8", block.shape, block.cells, block.low) for name in FIELDS}
    if block.rank == 0:
        arrays["mesh/dx"] = ("f8", ())
    about = {"case": run.case, "step": run.step, "time": run.time, "dt": run.dt, "final": final}
    with collection.record(run.step, arrays, parts=block.ranks, **about) as record:
        for name, values in zip(FIELDS, run.inner, strict=True):
            record[f"mesh/zones/{name}"][...] = values
        if block.rank == 0:
            record["mesh/dx"][...] = run.dx
    collection.complete(run.step)
    session.flush()


def restart(session: Session, sequence: int, comm=None) -> Simulation:
    """The run as it was at a record, in blocks of this run's ranks; the record is waited for, and may come from an archive."""
    with session.collection(COLLECTION).demand(sequence) as record:
        about = record.attributes
        block = Block(record["mesh/zones/rho"].shape, comm)
        run = Simulation.begin(about["case"], block)
        run.step, run.time, run.dt = about["step"], about["time"], about["dt"]
        own = tuple(slice(low, low + n) for low, n in zip(block.low, block.shape, strict=True))
        for name, values in zip(FIELDS, run.inner, strict=True):
            values[...] = record[f"mesh/zones/{name}"][own]
    return run


def check_newest(session: Session, sequence: int) -> None:
    """Refuse a restart that would make records anew which are there; the pool keeps one of a step."""
    behind = session.count(f"maestro.collection = {COLLECTION} and step > {sequence}")
    if behind:
        raise StateError(
            f"restart hydro at {sequence}: {behind} records of later steps are in the pool, and what is offered is not changed; "
            "restart from the newest one, or in another pool (MAESTRO_POOL)"
        )


def records(session: Session) -> Iterator[Record]:
    """
    Each record as it comes, until the final one is complete and none is behind it; a restart may have gone on.

    Raises
    ------
    IncompleteError
        Ranks have left in the middle of a record.
    TimeoutError
        Nothing came any more, and the final record was not there.
    """
    last = None
    try:
        for item in session.collection(COLLECTION).records(fences=True):
            if isinstance(item, Record):
                with item:
                    last = item.attributes["step"] if item.attributes["final"] else last
                    yield item
            elif item.missing is not None:
                raise item.missing
            elif item.sequence == last and not session.count(f"maestro.collection = {COLLECTION} and step > {last}"):
                return
    except NothingCameError as error:
        raise NothingCameError("wait for records of hydro: none came, and the final one was not there; has the run ended early?") from error
