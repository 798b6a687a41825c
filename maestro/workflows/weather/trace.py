"""Traces: what happened to which field, when; one file per process, written without a system call per record.

A trace is a file mapped into memory, so it survives the death of its writer, and what a worker had done can be read after MIR
aborted. Times are CLOCK_MONOTONIC nanoseconds, comparable between processes of one node. The same 56-byte record is what
producers send as a notice. Invariant: a record counts once the number in the header includes it.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from enum import IntEnum
from pathlib import Path
from time import monotonic_ns as now

RECORD = struct.Struct("<BBHiiiqqqQQ")
HEADER = 64
CAPACITY = 1 << 18


class Kind(IntEnum):
    COMPLETE = 1  # the field is complete in its producer; ns: making it took
    PLACED = 2  # handed to the sink; ns: that took, with what was prepared for it
    FLUSHED = 3  # visible up to here; ns: the flush took
    NOTICE = 4  # a worker has read a notice
    RECEIVED = 5  # a reader holds readable bytes; ns: getting them took
    CORRUPT = 6  # the checksum differs from the producer's
    AGAIN = 7  # received a second time
    STARTED = 8  # a product is being made
    PRODUCT = 9  # a product is readable; ns: making it took; offset, nbytes: where in its part file
    REFUSED = 10  # a product failed
    FINISHED = 11  # a field is done with; ns: all work on it took
    ARCHIVED = 12  # a field is durable in the archive
    BEGIN = 13  # the process starts work, after all set-up
    END = 14
    COPIED = 15  # what a store has counted by itself; where: copies that it made of messages given to it
    STEP = 16  # a step is complete: a hammer rank has put its last field of it, or who hears of all has heard so; where: its number
    GIVEN_UP = 17  # a step will never be complete; where: its number


class Record:
    """One record; `product` is -1 where none is meant."""

    __slots__ = ("check", "copies", "field", "kind", "nbytes", "ns", "offset", "product", "rank", "t", "where")

    def __init__(self, kind, field=-1, t=0, ns=0, *, rank=0, copies=0, product=-1, where=0, check=0, offset=0, nbytes=0):
        self.kind, self.field, self.t, self.ns, self.rank, self.copies = kind, field, t, ns, rank, copies
        self.product, self.where, self.check, self.offset, self.nbytes = product, where, check, offset, nbytes

    def pack(self) -> bytes:
        return RECORD.pack(
            self.kind, self.copies, self.rank, self.field, self.product, self.where,
            self.t, self.ns, self.check, self.offset, self.nbytes,
        )  # fmt: skip

    @classmethod
    def unpack(cls, data, at: int = 0) -> Record:
        kind, copies, rank, field, product, where, t, ns, check, offset, nbytes = RECORD.unpack_from(data, at)
        return cls(kind, field, t, ns, rank=rank, copies=copies, product=product, where=where, check=check, offset=offset, nbytes=nbytes)


class Trace:
    """Appends records to `path`; opened again after a crash it goes on behind the last record."""

    def __init__(self, path, rank: int = 0):
        self.path, self.rank = Path(path), rank
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(descriptor, HEADER + CAPACITY * RECORD.size)  # sparse
        self.map = mmap.mmap(descriptor, 0)
        os.close(descriptor)
        self.count = struct.unpack_from("<Q", self.map)[0]
        self.lock = threading.Lock()

    def add(self, kind: Kind, field: int = -1, t: int = 0, ns: int = 0, **more) -> None:
        """Append one record; `t` is now unless given."""
        self.put(Record(kind, field, t or now(), ns, rank=self.rank, **more))

    def put(self, record: Record) -> None:
        if self.count >= CAPACITY:
            raise MemoryError(f"write trace {self.path}: it is full at {CAPACITY} records; make a smaller plan")
        with self.lock:
            at = HEADER + self.count * RECORD.size
            self.map[at : at + RECORD.size] = record.pack()
            self.count += 1
            struct.pack_into("<Q", self.map, 0, self.count)

    def close(self) -> None:
        """Cut the file to its length."""
        self.map.close()
        os.truncate(self.path, HEADER + self.count * RECORD.size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def content(path, first: int = 0) -> bytes:
    """The records in use from number `first` on, as bytes; what a trace has reserved beyond them is not read."""
    with Path(path).open("rb") as stream:
        head = stream.read(8)
        count = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        stream.seek(HEADER + first * RECORD.size)
        return stream.read(max(0, count - first) * RECORD.size)


def records(path):
    """Yield the records of a trace; none where there is no trace yet."""
    data = content(path) if Path(path).exists() else b""
    for at in range(0, len(data), RECORD.size):
        yield Record.unpack(data, at)


DTYPE = [
    ("kind", "u1"), ("copies", "u1"), ("rank", "u2"), ("field", "i4"), ("product", "i4"), ("where", "i4"),
    ("t", "i8"), ("ns", "i8"), ("check", "i8"), ("offset", "u8"), ("nbytes", "u8"),
]  # fmt: skip


def read(path, first: int = 0):
    """The records of a trace, from number `first` on, as a structured numpy array."""
    import numpy as np

    return np.frombuffer(content(path, first), np.dtype(DTYPE))


class Fresh:
    """Traces that are still being written; each look gives only what is new."""

    def __init__(self, folder, pattern: str):
        self.folder, self.pattern = Path(folder), pattern
        self.read: dict[Path, int] = {}

    def __call__(self):
        """Yield the new records of each trace."""
        for path in self.folder.glob(self.pattern):
            fresh = read(path, self.read.get(path, 0))
            self.read[path] = self.read.get(path, 0) + len(fresh)
            yield fresh


class Tally:
    """Counts the records of one kind."""

    def __init__(self, folder, pattern: str, kind: Kind):
        self.fresh, self.kind, self.count = Fresh(folder, pattern), kind, 0

    def __call__(self) -> int:
        self.count += sum(int((records["kind"] == self.kind).sum()) for records in self.fresh())
        return self.count


class Settled:
    """Fields with which product workers are done, and steps of which no field will come any more."""

    def __init__(self, folder):
        self.workers, self.supervisor = Fresh(folder, "products.*"), Fresh(folder, "steps")
        self.fields: set[int] = set()
        self.steps: set[int] = set()

    def look(self) -> None:
        """Learn what is new."""
        for records in self.workers():
            self.fields.update(records["field"][records["kind"] == Kind.FINISHED].tolist())
        for records in self.supervisor():
            self.steps.update(records["where"].tolist())
