"""The traces of a run as spans of a timeline file: what each process did with which field, and how long it took."""

from __future__ import annotations

from pathlib import Path

from ...tracefile import TraceFile
from . import trace
from .trace import Kind, Record

# What took time, and its name; the rest are moments.
SPANS = {
    Kind.COMPLETE: "make field", Kind.PLACED: "hand over field", Kind.FLUSHED: "flush", Kind.RECEIVED: "get field",
    Kind.PRODUCT: "make product", Kind.FINISHED: "all work on field", Kind.ARCHIVED: "archive field",
}  # fmt: skip
MANY = {Kind.ARCHIVED}  # under way for several fields at once


def write(run, drawn: TraceFile, name: str = "") -> int:
    """Add every record of a run's traces to the file; returns how many there were. Several runs in one file are told apart by name."""
    count = 0
    for path in sorted((Path(run) / "trace").glob("*")):
        component = f"{name} {path.name.partition('.')[0]}".lstrip()
        if path.suffix == ".jsonl":  # failures, told in words
            continue
        for record in trace.records(path):
            _add(drawn, component, record)
            count += 1
    return count


def _add(drawn: TraceFile, component: str, record: Record) -> None:
    kind = Kind(record.kind)
    told = {"field": record.field, "product": record.product, "bytes": record.nbytes}
    told = {key: value for key, value in told.items() if value > 0 or (key == "field" and value == 0)}
    if kind in (Kind.STEP, Kind.GIVEN_UP):
        told["step"] = record.where
    if kind in SPANS:
        lane = drawn.lane(component, f"rank {record.rank}: {SPANS[kind]}")
        begin = record.t - record.ns
        if kind in MANY:
            drawn.life(lane, record.field, SPANS[kind], begin, record.t, **told)
        else:
            drawn.span(lane, SPANS[kind], begin, record.t, **told)
    else:
        drawn.instant(drawn.lane(component, f"rank {record.rank}"), kind.name.lower(), record.t, **told)
