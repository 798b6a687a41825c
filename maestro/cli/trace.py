"""`maestro trace`: what happens in a pool, as a timeline for Perfetto and chrome://tracing.

Two sources: events of the pool as they come (their time is when they were seen here), and the manager's counters, sampled. What a workflow
has noted of its own work is put into the same file. Leases that come with events are given back at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic_ns as now
from typing import Annotated

import typer

from ..tracefile import Lane, TraceFile
from .common import CommandError, Json, PoolName, attach, err, out, print_json
from .objects import Schema, form
from .telemetry import Row, Screen, screen

POOL = "pool"  # the process of the file that has what no component did
FOLLOWED = 100_000  # objects whose instants or lives are told; beyond, counters alone
RATES = (("offers/s", ("offers",)), ("events/s", ("events",)), ("demands/s", ("demands",)), ("bytes/s", ("offered_bytes", "event_bytes")))


def register(app: typer.Typer) -> None:
    app.command("trace")(trace)


def trace(
    file: Annotated[Path, typer.Argument(metavar="OUT.json", help="The file to write.", show_default=False)],
    seconds: Annotated[float | None, typer.Option("--for", min=0, help="Seconds to record.", show_default="until Ctrl-C")] = None,
    select: Annotated[str | None, typer.Option("--select", "-s", help="Show the lives of these objects as spans.")] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", exists=True, file_okay=False, help="Folder of a weather run: its own spans too; without --for, these alone."),
    ] = None,
    interval: Annotated[float, typer.Option("--interval", "-i", min=0.02, max=60, help="Seconds between two samples.")] = 0.2,
    pool: PoolName = None,
    schema: Schema = None,
    as_json: Json = False,
) -> None:
    """Record a pool, running, or a workflow, finished, as a timeline that Perfetto loads."""
    if select is not None and run is not None and seconds is None:
        raise CommandError("trace: --select needs a recording; say how long with --for")
    said: dict = {"file": str(file)}
    with _opened(file) as drawn:
        if run is None or seconds is not None:
            said |= _recorded(attach(pool, schema, "trace"), Recorder(drawn, form(select), interval), seconds)
        if run is not None:
            said["spans"] = _of_workflow(run, drawn)
        said["events"] = drawn.count
    if as_json:
        print_json(said)
        return
    out.print(f"{said['events']:,} events in {file}; open it at https://ui.perfetto.dev or chrome://tracing", soft_wrap=True)
    if said.get("missed"):
        err.print(f"trace: up to {said['missed']:,} events of the pool are not shown one by one; the counters have them", soft_wrap=True)


def _opened(file: Path) -> TraceFile:
    try:
        return TraceFile(file)
    except OSError as error:
        raise CommandError(f"trace: {file} cannot be written: {error.strerror}") from error


def _recorded(session, recorder: Recorder, seconds: float | None) -> dict:
    from ..errors import PoolLostError

    try:
        with session:
            recorder.record(session, seconds)
    except PoolLostError as error:
        err.print(f"trace: ended early: {error}", soft_wrap=True, markup=False)
    return {"seconds": round(recorder.seconds, 3), "samples": recorder.samples, "missed": recorder.missed}


def _of_workflow(run: Path, drawn: TraceFile) -> int:
    from ..workflows.weather import spans

    count = spans.write(run, drawn)
    if not count:
        raise CommandError(f"trace: {run} has no traces of a weather run (files trace/hammer.0, trace/products.0, ...)")
    return count


class Recorder:
    """Writes what it sees of one pool until the time is over, the manager leaves, or Ctrl-C."""

    def __init__(self, drawn: TraceFile, selector, interval: float):
        self.drawn, self.selector, self.interval = drawn, selector, interval
        self.lives: dict[int, tuple[int, str, Lane, dict]] = {}
        self.needs: dict[int, tuple[int, str, Lane]] = {}  # what sessions ask for: since when, in words, and where it stands
        self.waits: dict[str, int] = {}  # component: since when one of its ranks waits
        self.read = self.missed = self.followed = self.samples = 0
        self.seconds = 0.0

    def record(self, session, seconds: float | None) -> None:
        begin = now()
        end = None if seconds is None else begin + int(seconds * 1e9)
        kinds, start = "offered,withdrawn,expired", "now" if self.selector is None else "snapshot"
        self.session, self.before, self.sampled = session, session.stats(), begin
        with (
            session.subscribe(self.selector, kinds=kinds, start=start, observe=True) as objects,
            session.subscribe(None, kinds="joined,left,required,retracted", start="now") as peers,
        ):
            try:
                while (end is None or now() < end) and not (objects.ended or peers.ended):
                    self._take(objects, peers, end)
            except KeyboardInterrupt:
                err.print("trace: ended by Ctrl-C")
            finally:
                self.seconds = (now() - begin) / 1e9
                self._finish()
            self.missed += self._unread()

    def _take(self, objects, peers, end: int | None) -> None:
        """Events until the next sample, then the sample."""
        due = self.sampled + int(self.interval * 1e9)
        due = due if end is None else min(due, end)
        while (left := due - now()) > 0 and not objects.ended:
            event = objects.next_event(timeout=left / 1e9)
            if event is not None:
                self.read += event.gap is None
                self._object(event)
        while (event := peers.next_event(timeout=0)) is not None:
            self._peer(event)
        self._sample()

    # ---- Events
    def _unread(self) -> int:
        """Events that came too late to be read, at most: the manager counts for a subscription also what does not match."""
        mine = next(one for one in self.session.stats()["sessions"] if one["pid"] == os.getpid())
        objects = next(one for one in mine["subscriptions"] if "offered" in one["kinds"])
        return max(0, objects["delivered"] - self.read) + objects["lag"]

    def _lane(self, event) -> Lane:
        """Of who offered, joined or needs something; a consumer group has no rank."""
        return self.drawn.lane(event.component or POOL, "group" if event.rank is None else f"rank {event.rank}")

    def _object(self, event) -> None:
        if event.gap is not None:
            self.missed += event.gap[1] - event.gap[0] + 1
            self.drawn.instant(self.drawn.lane(POOL), "gap", now(), first=event.gap[0], last=event.gap[1])
            return
        with event.cdo as cdo:
            lane = self._lane(event)
            if self.selector is not None:
                self._life(event.kind, cdo, lane)
            elif self._follows():
                self.drawn.instant(lane, event.kind, now(), object=cdo._describe(), id=cdo.id)

    def _follows(self) -> bool:
        self.followed += 1
        self.missed += self.followed > FOLLOWED
        return self.followed <= FOLLOWED

    def _life(self, kind: str, cdo, lane: Lane) -> None:
        if kind == "offered":
            if self._follows():
                size = {} if cdo.gone else {"bytes": cdo.nbytes}
                self.lives[cdo.id] = (now(), cdo._describe(), lane, dict(cdo.attributes) | size)
        elif cdo.id in self.lives:
            self._end(cdo.id, kind)

    def _end(self, identity: int, how: str) -> None:
        begin, name, lane, told = self.lives.pop(identity)
        self.drawn.life(
            lane, identity, name, begin, now(), ended=how, **{key.replace("maestro.", ""): value for key, value in told.items()}
        )

    def _peer(self, event) -> None:
        if event.gap is not None:
            return
        lane = self._lane(event)
        if event.kind == "required":
            self.needs[event.cdo["maestro.need"]] = now(), f"{event.reason} {event.selector}".rstrip(), lane
        elif event.kind == "retracted":
            self._need_ends(event.cdo["maestro.need"])
        else:
            self.drawn.instant(lane, event.kind, now(), pid=event.cdo["maestro.pid"], reason=event.reason)

    def _need_ends(self, number: int) -> None:
        if number in self.needs:
            begin, name, lane = self.needs.pop(number)
            self.drawn.life(lane, number, name, begin, now())

    # ---- Counters
    def _sample(self) -> None:
        after, time = self.session.stats(), now()
        shown = screen(self.before, after, (time - self.sampled) / 1e9, os.getpid())
        self.before, self.sampled, self.samples = after, time, self.samples + 1
        self._levels(shown, time)
        for row in shown.components:
            self._component(row, time)

    def _levels(self, shown: Screen, time: int) -> None:
        lane = self.drawn.lane(POOL)
        self.drawn.counter(lane, "objects", time, live=shown.objects["live"])
        self.drawn.counter(lane, "leases", time, live=shown.leases["live"])
        for tier in shown.tiers:
            unused = max(0, tier.lent - tier.used - tier.idle)
            self.drawn.counter(lane, f"{tier.name} bytes", time, used=tier.used, lent_and_unused=unused, idle=tier.idle)
        for group in shown.groups:
            self.drawn.counter(lane, f"lag of group {group.name}", time, objects=group.lag)

    def _component(self, row: Row, time: int) -> None:
        lane = self.drawn.lane(row.component)
        for name, counters in RATES:
            if any(row.totals[counter] for counter in counters):
                self.drawn.counter(lane, name, time, **{counter: row.rates[counter] for counter in counters})
        self.drawn.counter(lane, "leases", time, held=row.leases)
        if row.state == "waiting":
            self.waits.setdefault(row.component, time)
        elif row.component in self.waits:
            self._waited(row.component, time)

    def _waited(self, component: str, time: int) -> None:
        self.drawn.span(self.drawn.lane(component, "waits for room"), "waits for room", self.waits.pop(component), time)

    def _finish(self) -> None:
        for component in list(self.waits):
            self._waited(component, now())
        for number in list(self.needs):
            self._need_ends(number)
        for identity in list(self.lives):
            self._end(identity, "alive at the end of the recording")
