"""Sources: where a product worker's fields come from. `file` and `fdb`, told by notices; the source `maestro` is in `poolsource`.

A source yields each field that belongs to its worker, once, as bytes that can be read, and says how long getting them took. After a
crash it yields again what had been announced but not finished.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from pathlib import Path

from . import fdbstore, trace
from .copying import Copies
from .errors import StageTimeoutError
from .notices import Reader
from .plan import Field, Plan
from .sinks import step_file
from .trace import Kind, Record, Trace, now

AHEAD = 512  # fields that a worker may hold before it has worked on them: half a gigabyte at most where readers copy


class Arrival:
    """A field in the reader's hands; `again`: another worker was given it before, and is not done with it."""

    __slots__ = ("again", "check", "data", "field", "lease")

    def __init__(self, field: Field, data, check: int, lease=None, again: bool = False):
        self.field, self.data, self.check, self.lease, self.again = field, data, check, lease, again

    def release(self) -> None:
        """Give the bytes back; they must not be touched afterwards."""
        self.data = None
        if self.lease is not None:
            self.lease.dispose()
            self.lease = None


class Source:
    """Base: the notices of one worker, in batches, until every rank has said that it has ended."""

    pool = None  # where finished products are offered

    def __init__(self, plan: Plan, run, worker: int, expected: set[int], log: Trace, descriptor: int, timeout: float = 60):
        self.plan, self.run, self.worker, self.expected = plan, Path(run), worker, expected
        self.trace, self.timeout, self.copies = log, timeout, Copies()
        self.fields = plan.fields()
        self.reader = Reader(run, worker, descriptor)
        self.ranks, self.ended = None, set()
        self.taking = threading.Lock()  # held while notices are on their way from the pipe to the trace
        self.open()

    def open(self) -> None:
        pass

    def ready(self) -> None:
        """Let the producers begin."""
        self.reader.ready()

    def close(self) -> None:
        pass

    def stop_taking(self) -> None:
        """For a worker that ends by an error: what has left the pipe is in the trace, for the next worker, and nothing more leaves it."""
        self.taking.acquire()

    def __iter__(self):
        for batch in self._batches():
            self.begin(batch)
            for notice in batch:
                if notice.field in self.expected:
                    start = now()
                    data = self.fetch(self.fields[notice.field], notice)
                    end = now()
                    self.trace.add(Kind.RECEIVED, notice.field, end, end - start, copies=self.copies.take(), nbytes=notice.nbytes)
                    yield Arrival(self.fields[notice.field], data, notice.check)

    def begin(self, batch: list[Record]) -> None:
        """A batch of notices has come; everything in it is visible from now on."""

    def fetch(self, field: Field, notice: Record):
        """The bytes of one field."""
        raise NotImplementedError

    def _batches(self):
        for batch in self._unfinished():
            yield batch
        limit = time.monotonic() + self.timeout
        while not self._all_ended():
            records = self._take()
            if records:
                limit = time.monotonic() + self.timeout
            elif time.monotonic() > limit:
                raise StageTimeoutError(
                    f"wait for fields: no notice came to worker {self.worker} for {self.timeout:g} s; does the hammer run?"
                )
            batch = [record for record in records if record.kind == Kind.NOTICE]
            if batch:
                yield batch

    def _take(self) -> list[Record]:
        with self.taking:
            records = self.reader.read(timeout=0.5)
            for record in records:
                record.t = now()
                self.trace.put(record)
                self._note_end(record)
        return records

    def _unfinished(self):
        """What a predecessor of this worker had been told and had not finished, and which ranks had ended."""
        told: dict[int, Record] = {}
        for record in trace.records(self.trace.path):
            self._note_end(record)
            if record.kind == Kind.NOTICE:
                told[record.field] = record
            elif record.kind == Kind.FINISHED:
                told.pop(record.field, None)
        if told:
            yield list(told.values())

    def _note_end(self, record: Record) -> None:
        if record.kind == Kind.END and record.where:
            self.ranks = record.where
            self.ended.add(record.rank)

    def _all_ended(self) -> bool:
        return self.ranks is not None and len(self.ended) >= self.ranks


class FdbSource(Source):
    """Reads from FDB with a fresh handle per batch of notices. Copies: one, by read() out of the page cache."""

    def open(self) -> None:
        fdbstore.load(self.run / self.plan.fdb.root, self.fields[0])

    def begin(self, batch) -> None:
        self.store = fdbstore.Reader(self.run / self.plan.fdb.root, self.copies)

    def fetch(self, field: Field, notice: Record):
        return self.store.retrieve(field, notice.nbytes)


class FileSource(Source):
    """Reads from the files of the sink `file`. Copies: one, by read() out of the page cache."""

    def open(self) -> None:
        self.files: dict[Path, int] = {}

    def fetch(self, field: Field, notice: Record):
        path = step_file(self.run / self.plan.file.directory, notice.where, notice.rank)
        if path not in self.files:
            self.files[path] = os.open(path, os.O_RDONLY)
        return self.copies.read(self.files[path], notice.nbytes, notice.offset)


def ahead(source):
    """Take fields from `source` in a thread of their own, so that one can be read while MIR works on another; an error comes through."""
    fetched: queue.Queue = queue.Queue(AHEAD)

    def take() -> None:
        try:
            for arrival in source:
                fetched.put(arrival)
            fetched.put(None)
        except BaseException as error:  # whatever it is, the worker must hear of it
            fetched.put(error)

    threading.Thread(target=take, name="fields", daemon=True).start()
    while (got := fetched.get()) is not None:
        if isinstance(got, BaseException):
            raise got
        yield got


def open_source(plan: Plan, products: list, *arguments):
    """The source that belongs to the plan's sink; further arguments as for `Source`."""
    if plan.sink == "maestro":
        from .poolsource import PoolSource

        return PoolSource(plan, products, *arguments)
    if plan.sink == "null":
        raise ValueError("read the fields of a plan whose sink is 'null': there is nothing to read; choose maestro, fdb or file")
    return {"fdb": FdbSource, "file": FileSource}[plan.sink](plan, *arguments)
