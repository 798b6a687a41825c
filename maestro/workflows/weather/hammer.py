"""The hammer: MPI ranks that act as the output servers of a forecast model.

Each rank owns a chunk of the levels and makes its fields in the order step, member, level type, level, param. It notes when a field
is complete, then hands it to the plan's sink. Knows MPI only to start together; the sinks do not know it at all. Each maker says how
long a field's message will be where it knows that before, so that a sink can have room ready.
"""

from __future__ import annotations

import mmap
import random
import time
from itertools import groupby
from pathlib import Path

from . import grib
from .errors import GribError
from .plan import Field, Plan
from .sinks import open_sink, step_file
from .trace import RECORD, Kind, Record, Trace, now


class Encoding:
    """Mode `encode`: the values of each field evolve and are packed by eccodes."""

    def __init__(self, plan: Plan, fields: list[Field]):
        from .fields import Evolution

        self.encoder, self.evolution = grib.Encoder(plan), Evolution(plan.grid)
        for kind in {(f.keys["levtype"], f.keys["param"], f.keys.get("levelist")) for f in fields}:
            self.evolution.base(*kind)

    def nbytes(self, field: Field) -> int | None:
        return None

    def message(self, field: Field) -> memoryview:
        return self.encoder.encode(field.keys, self.evolution.values(field.keys))


class Rekeying:
    """Mode `rekey`: one message per param and level is packed before the start; a field is that message under new keys."""

    def __init__(self, plan: Plan, fields: list[Field]):
        from .fields import Evolution

        self.encoder, evolution, seen = grib.Encoder(plan), Evolution(plan.grid), set()
        for item in fields:
            kind = (item.keys["levtype"], item.keys["param"], item.keys.get("levelist"))
            if kind not in seen:
                seen.add(kind)
                self.encoder.encode(item.keys, evolution.values(item.keys))
                evolution.bases.clear()

    def nbytes(self, field: Field) -> int | None:
        return len(self.encoder.blank(field.keys))

    def message(self, field: Field) -> memoryview:
        return self.encoder.rekey(field.keys)


class Replaying:
    """Mode `replay`: the fields are those that an earlier run left with the sink `file`, mapped into memory."""

    def __init__(self, plan: Plan, fields: list[Field]):
        self.maps: dict[Path, mmap.mmap] = {}
        self.places = {}
        for index in sorted(Path(plan.forecast).glob("index.*")):
            data = index.read_bytes()
            for at in range(0, len(data), RECORD.size):
                record = Record.unpack(data, at)
                self.places[record.field] = (step_file(plan.forecast, record.where, record.rank), record)
        missing = [item for item in fields if item.index not in self.places]
        if missing:
            raise GribError(f"replay {plan.forecast}: {len(missing)} of {len(fields)} fields are not there, first {missing[0].keys}")

    def nbytes(self, field: Field) -> int | None:
        return self.places[field.index][1].nbytes

    def message(self, field: Field) -> memoryview:
        path, record = self.places[field.index]
        if path not in self.maps:
            with path.open("rb") as stream:
                self.maps[path] = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        return memoryview(self.maps[path])[record.offset : record.offset + record.nbytes]


class Copying:
    """A user's file: the fields are its messages as they are; each rank has its share of them in its memory."""

    def __init__(self, plan: Plan, fields: list[Field]):
        wanted = {item.index for item in fields}
        self.messages = {i: m for i, m in enumerate(grib.read_messages(plan.input)) if i in wanted}

    def nbytes(self, field: Field) -> int | None:
        return len(self.messages[field.index])

    def message(self, field: Field) -> memoryview:
        return memoryview(self.messages[field.index])


MAKERS = {"encode": Encoding, "rekey": Rekeying, "replay": Replaying}


class Pace:
    """Holds back a rank to its share of the plan's fields per second, with jitter; late fields are not waited for twice."""

    def __init__(self, plan: Plan, rank: int, nranks: int):
        self.pause = nranks / plan.rate if plan.rate else 0.0
        self.jitter, self.chance = plan.jitter, random.Random(rank)
        self.due = time.monotonic() + self.pause * rank / nranks

    def wait(self) -> None:
        if not self.pause:
            return
        time.sleep(max(0.0, self.due - time.monotonic()))
        self.due += self.pause * (1 + self.jitter * self.chance.uniform(-1, 1))


def run_hammer(plan: Plan, run, *, corrupt: int = -1, drop: int = -1) -> int:
    """Run this rank; returns the number of fields that it made. `corrupt` and `drop` plant a fault in the field of that number."""
    comm = _communicator()
    rank, nranks = (comm.Get_rank(), comm.Get_size()) if comm else (0, 1)
    fields = [item for item in plan.fields() if item.rank(nranks) == rank]
    maker = (Copying if plan.input else MAKERS[plan.mode])(plan, fields)
    with Trace(Path(run) / "trace" / f"hammer.{rank}", rank) as trace:
        sink = open_sink(plan, run, rank, nranks, trace, corrupt)
        _together(comm)
        trace.add(Kind.BEGIN, where=nranks)
        _forecast(plan, fields, maker, sink, trace, Pace(plan, rank, nranks), drop)
        trace.add(Kind.END, where=nranks)
        sink.close()
    return len(fields)


def _forecast(plan: Plan, fields: list[Field], maker, sink, trace: Trace, pace: Pace, drop: int) -> None:
    for sequence, members in _steps(plan, fields).items():
        for of_member in members:
            for item in of_member:
                if not sink.wanted(item):
                    continue
                sink.prepare(item, maker.nbytes(item))
                pace.wait()
                start = now()
                message = maker.message(item)
                end = now()
                trace.add(Kind.COMPLETE, item.index, end, end - start, nbytes=len(message))
                if item.index != drop:
                    sink.put(item, message)
            sink.end_of_step()
        trace.add(Kind.STEP, where=sequence)
        sink.complete(sequence)


def _steps(plan: Plan, fields: list[Field]) -> dict[int, list[list[Field]]]:
    """The fields by sequence number, and of each by step and member; also the numbers of which there are none."""
    found: dict[int, list[list[Field]]] = {sequence: [] for sequence in plan.sequences()}
    for _, together in groupby(fields, lambda item: (item.keys["step"], item.keys.get("number"))):
        members = list(together)
        found[plan.sequence(members[0])].append(members)
    return found


def _communicator():
    """MPI's world when MPI is there; a hammer without it is one rank."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError):
        return None
    return MPI.COMM_WORLD


def _together(comm) -> None:
    """A barrier that sleeps: a spinning rank would take the core that the others still need."""
    if comm is None:
        return
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.002)
