"""Sinks: where a producer's fields go. `null`, `file` and `fdb`; the sink `maestro` is in `poolsink`.

A sink puts one message where readers will find it and tells them. Copies of a message are made by `Copies`, which counts them, from the
moment when the field is complete in the producer. Planted faults (a damaged field) live in the one method `put`.
"""

from __future__ import annotations

import os
from pathlib import Path

from .checksum import checksum
from .copying import Copies
from .fdbstore import identifier, open_fdb
from .notices import Writer
from .plan import Field, Plan
from .trace import Kind, Record, Trace, now


class Sink:
    """Base of all sinks, and the sink `null`: takes messages and does nothing with them."""

    def __init__(self, plan: Plan, run, rank: int, nranks: int, trace: Trace, corrupt: int = -1):
        self.plan, self.run, self.trace, self.corrupt = plan, Path(run), trace, corrupt
        self.rank, self.nranks, self.preparing, self.copies = rank, nranks, 0, Copies()
        self.open()

    def open(self) -> None:
        """Connect; waits, bounded, for the readers where there are any."""

    def wanted(self, field: Field) -> bool:
        """Whether the field is to be made at all."""
        return True

    def prepare(self, field: Field, nbytes: int | None) -> None:
        """Do what can be done before the field exists; it makes no field older, but counts as time spent on moving it."""
        start = now()
        self.make_room(field, nbytes)
        self.preparing = now() - start

    def make_room(self, field: Field, nbytes: int | None) -> None:
        """Have room for a message of `nbytes`, where that is known."""

    def put(self, field: Field, message: memoryview) -> None:
        """Give one complete message to the readers."""
        start = now()
        data = self.place(field, message)
        check = checksum(data) if self.plan.checksum else 0
        if field.index == self.corrupt:
            data = self.damage(data)
        self.publish(field, data, check)
        end = now()
        self.trace.add(Kind.PLACED, field.index, end, end - start + self.preparing, copies=self.copies.take(), nbytes=len(message))

    def place(self, field: Field, message: memoryview):
        """The message where it can be published from."""
        return message

    def damage(self, data):
        """Change one byte in the middle of the values (the planted fault)."""
        damaged = bytearray(data)
        damaged[len(damaged) // 2] ^= 0xFF
        return bytes(damaged)

    def publish(self, field: Field, data, check: int) -> None:
        pass

    def end_of_step(self) -> None:
        """All fields of this rank for one step and member have been put."""

    def complete(self, sequence: int) -> None:
        """All fields of this rank for one step (`Plan.sequences`) have been put, or it has none."""

    def close(self) -> None:
        """No more fields; returns when everything is with the readers."""


class NoticedSink(Sink):
    """A sink that tells the product workers by notices, at once or when a flush has made the fields visible."""

    def open(self) -> None:
        self.waiting: list[tuple[int, Record]] = []
        self.writer = Writer(self.run, range(self.plan.workers))

    def notice(self, field: Field, data, check: int, offset: int = 0, where: int = 0) -> Record:
        record = Record(Kind.NOTICE, field.index, rank=self.rank, where=where, check=check, offset=offset, nbytes=len(data))
        if self.plan.workers:
            self.waiting.append((field.worker(self.plan.workers), record))
        return record

    def send(self) -> None:
        for worker, record in self.waiting:
            self.writer.send(worker, record)
        self.waiting.clear()

    def close(self) -> None:
        self.writer.end(self.rank, self.nranks)


class FileSink(NoticedSink):
    """One file per step and rank, messages one after the other, and an index. Copies: one, by write() into the page cache."""

    def open(self) -> None:
        super().open()
        self.stream, self.step, self.offset = None, None, 0
        directory = self.run / self.plan.file.directory
        directory.mkdir(parents=True, exist_ok=True)
        self.index = (directory / f"index.{self.rank}").open("wb")

    def publish(self, field: Field, data, check: int) -> None:
        step = int(field.keys["step"]) if not self.plan.input else 0
        if step != self.step:
            self._next(step)
        self.copies.write(self.stream, data)
        self.index.write(self.notice(field, data, check, self.offset, where=step).pack())
        self.offset += len(data)
        self.send()

    def _next(self, step: int) -> None:
        if self.stream is not None:
            os.close(self.stream)
        path = step_file(self.run / self.plan.file.directory, step, self.rank)
        self.stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self.step, self.offset = step, 0

    def close(self) -> None:
        super().close()
        self.index.close()
        if self.stream is not None:
            os.close(self.stream)


class FdbSink(NoticedSink):
    """FDB with the explicit key. Copies: out of the encoder (pyfdb takes bytes only), and by write() into the page cache."""

    def open(self) -> None:
        super().open()
        self.fdb = open_fdb(self.run / self.plan.fdb.root)

    def place(self, field: Field, message: memoryview) -> bytes:
        return self.copies.to_bytes(message)

    def publish(self, field: Field, data: bytes, check: int) -> None:
        self.copies.archive(self.fdb, data, identifier(field))
        self.notice(field, data, check)
        if self.plan.fdb.flush == "field":
            self._flush(field.index)

    def end_of_step(self) -> None:
        if self.waiting:
            self._flush()

    def _flush(self, index: int = -1) -> None:
        start = now()
        self.fdb.flush()
        self.send()
        end = now()
        self.trace.add(Kind.FLUSHED, index, end, end - start)

    def close(self) -> None:
        self.end_of_step()
        super().close()


def step_file(directory, step: int, rank: int) -> Path:
    """The file that the sink `file` writes for one step and rank."""
    return Path(directory) / f"step-{step:04d}-rank-{rank}.grib"


def open_sink(plan: Plan, *arguments) -> Sink:
    """The sink that the plan names; arguments as for `Sink`."""
    if plan.sink == "maestro":
        from .poolsink import PoolSink

        return PoolSink(plan, *arguments)
    return {"null": Sink, "file": FileSink, "fdb": FdbSink}[plan.sink](plan, *arguments)
