"""The file of a timeline, in the trace-event format that Perfetto (ui.perfetto.dev) and chrome://tracing load.

One writer for all that Maestro traces: what a recorder sees of a pool and what workflows note of themselves. Times are CLOCK_MONOTONIC
nanoseconds, comparable between processes of one node. Components stand as processes, their ranks and parts as threads ("lanes").
Invariant: events are written as they come, and the file is valid JSON once it is closed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple


class Lane(NamedTuple):
    """Where events stand: numbers of a process and a thread of the file."""

    pid: int
    tid: int


class TraceFile:
    """
    Writes a timeline to `path`; use as a context manager.

    A later call may tell an earlier time: viewers sort.
    """

    def __init__(self, path):
        self.path, self.count = Path(path), 0
        self._processes: dict[str, int] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._stream = self.path.open("w")
        self._stream.write('{"displayTimeUnit": "ms", "traceEvents": [')

    def lane(self, component: str, part: str = "") -> Lane:
        """The lane of a component's part (a rank, an activity); named in the file when it is first asked for."""
        known = self._lanes.get((component, part))
        if known is None:
            pid = self._processes.get(component)
            if pid is None:
                pid = self._processes[component] = len(self._processes) + 1
                self._put("M", "process_name", Lane(pid, 0), 0, args={"name": component})
            known = self._lanes[component, part] = Lane(pid, len(self._lanes) + 1)
            if part:
                self._put("M", "thread_name", known, 0, args={"name": part})
        return known

    def span(self, lane: Lane, name: str, begin_ns: int, end_ns: int, **args: Any) -> None:
        """Something that took from begin to end; spans of one lane contain each other or do not meet."""
        self._put("X", name, lane, begin_ns, dur=max(0, end_ns - begin_ns) / 1000, args=args)

    def instant(self, lane: Lane, name: str, ns: int, **args: Any) -> None:
        self._put("i", name, lane, ns, s="t", args=args)

    def counter(self, lane: Lane, name: str, ns: int, **values: float) -> None:
        """The values, drawn upon each other, from here until they are told again."""
        self._put("C", name, lane, ns, args=values)

    def life(self, lane: Lane, identity: int, name: str, begin_ns: int, end_ns: int, **args: Any) -> None:
        """A span among many at the same time, such as an object's life; `identity` tells it from the component's others."""
        which = {"cat": "object", "id": f"{lane.pid}.{identity:x}"}
        self._put("b", name, lane, begin_ns, **which, args=args)
        self._put("e", name, lane, end_ns, **which)

    def _put(self, phase: str, name: str, lane: Lane, ns: int, **more: Any) -> None:
        event = {"name": name, "ph": phase, "ts": ns / 1000, "pid": lane.pid, "tid": lane.tid, **more}
        self._stream.write((",\n" if self.count else "\n") + json.dumps(event, default=str))
        self.count += 1

    def close(self) -> None:
        self._stream.write("\n]}\n")
        self._stream.close()

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(self, *_) -> None:
        self.close()
