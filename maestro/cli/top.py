"""`maestro top`: the manager's counters as a screen that moves.

Drawing only; rates come from telemetry.py.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Annotated, NoReturn

import typer
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .common import CommandError, Json, PoolName, attach, clock, human_bytes, human_seconds, out, print_json
from .telemetry import Row, Screen, screen

Interval = Annotated[float, typer.Option("--interval", "-i", min=0.05, max=60, help="Seconds between two samples.")]
STATES = {"running": "green", "waiting": "yellow", "gone": "dim"}
BAR = 8
UNBOUNDED = 10_000  # columns of a screen on which any table has room


def register(app: typer.Typer) -> None:
    app.command("top")(top)


def top(
    pool: PoolName = None,
    once: Annotated[bool, typer.Option("--once", help="Show one picture and end.")] = False,
    interval: Interval = 1.0,
    as_json: Json = False,
) -> None:
    """Watch a pool: who produces and consumes, how fast, who holds what, and who waits for whom."""
    if not once and not as_json:
        _watch(pool, interval)
    with attach(pool, command="top") as session:
        if not once:
            _stream(session, interval)
        shown = _sample(session, session.stats(), interval)[0]
    print_json(shown.as_dict()) if as_json else out.print(picture(shown))


def _sample(session, before: dict, interval: float) -> tuple[Screen, dict]:
    started = time.monotonic()
    time.sleep(interval)
    after = session.stats()
    return screen(before, after, time.monotonic() - started, os.getpid()), after


def _stream(session, interval: float) -> NoReturn:
    """One JSON object per interval until Ctrl-C, for monitors."""
    before = session.stats()
    while True:
        shown, before = _sample(session, before, interval)
        print_json(shown.as_dict())


def _watch(pool: str | None, interval: float) -> NoReturn:
    """Until Ctrl-C, also while the pool is away: a screen that is left open outlives a workflow."""
    from ..errors import MaestroError

    session = attach(pool, command="top")
    with Live(console=out, screen=out.is_terminal, auto_refresh=False) as live:
        while True:
            try:
                with session:
                    _follow(session, live, interval)
            except MaestroError as error:
                live.update(Text(f"{error}\nwaiting for a pool of that name (Ctrl-C ends this)"), refresh=True)
            session = _when_it_runs(pool, interval)


def _follow(session, live: Live, interval: float) -> NoReturn:
    before = session.stats()
    while True:
        shown, before = _sample(session, before, interval)
        live.update(picture(shown), refresh=True)


def _when_it_runs(pool: str | None, interval: float):
    from ..errors import MaestroError

    while True:
        time.sleep(interval)
        with suppress(MaestroError, CommandError):
            return attach(pool, command="top")


def picture(shown: Screen) -> Group:
    parts = [headline(shown), Text(), Components(shown), *waits(shown)]
    if shown.groups:
        parts += [Text(), groups(shown)]
    return Group(*parts, Text(), tiers(shown))


def waits(shown: Screen) -> list[Text]:
    """A line for each component that waits: how long, and for whom."""
    return [
        Text(f"{row.component} waits {human_seconds(row.waits_s)}: {row.waits_for}", style=STATES["waiting"])
        for row in shown.components
        if row.state == "waiting"
    ]


def groups(shown: Screen) -> Table:
    drawn = _plain("group", ("lag", "objects/s", "redelivered"), "members and what they hold")
    for group in shown.groups:
        held = ", ".join(f"{name} {count:,}" for name, count in group.members.items()) or "no member"
        style = STATES["waiting"] if group.lag else ""
        drawn.add_row(group.name, Text(f"{group.lag:,}", style=style), f"{group.rate:,.0f}", f"{group.redelivered:,}", Text(held))
    return drawn


def tiers(shown: Screen) -> Table:
    drawn = _plain("memory", ("used", "of", "lent", "idle", "peak"), "")
    for tier in shown.tiers:
        sizes = (human_bytes(size) for size in (tier.used, tier.limit, tier.lent, tier.idle, tier.peak))
        drawn.add_row(tier.name, *sizes, Text(bar(tier.lent, tier.limit), style="red" if tier.lent > 0.9 * tier.limit else ""))
    return drawn


def _plain(first: str, numbers: tuple[str, ...], last: str) -> Table:
    """A table of a name, numbers, and words."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    drawn.add_column(first, no_wrap=True)
    for heading in numbers:
        drawn.add_column(heading, justify="right", no_wrap=True)
    drawn.add_column(last)
    return drawn


class Components:
    """The table of the components; what their states need notes for stands below it where the screen has no room for it."""

    def __init__(self, shown: Screen):
        self.shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = table(self.shown)
        if console.measure(whole, options=options.update(max_width=UNBOUNDED)).maximum <= options.max_width:
            yield whole
            return
        yield table(self.shown, narrow=True)
        for row in self.shown.components:
            if told := [*holdings(row), *notes(row)]:
                yield Text(f"{row.component}: {', '.join(told)}", style=STATES.get(row.state, ""))


def headline(shown: Screen) -> Columns:
    """One line; on a narrow terminal its parts stand below each other, unbroken."""
    used, limit = shown.memory.get("used"), shown.memory.get("limit")
    memory = f"memory {human_bytes(used)} / {human_bytes(limit)}  {bar(used, limit)}"
    counts = f"objects {shown.objects.get('live', 0):,}   leases {shown.leases.get('live', 0):,}"
    pool = f"pool {shown.pool} · node {shown.node} · {clock(shown.uptime_s)}"
    return Columns([Text(part) for part in (pool, memory, counts)], padding=(0, 3))


def bar(used, limit) -> str:
    filled = round(BAR * min(1.0, (used or 0) / limit)) if limit else 0
    return "▇" * filled + "▁" * (BAR - filled)


def table(shown: Screen, narrow: bool = False) -> Table:
    """Where there is room, what components hold has columns of its own."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1 if narrow else 2, 0, 0))
    drawn.add_column("component", no_wrap=True)
    held = () if narrow else ("leases", "memory")
    for heading in ("ranks", "offers/s", "GB/s", "events/s", "demands/s", *held, "oldest lease"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    drawn.add_column("state", no_wrap=True)
    for row in shown.components:
        rates, totals = row.rates, row.totals
        told = [row.state] if narrow else [row.state, *notes(row)]
        held = () if narrow else (f"{row.leases:,}" if row.leases else "-", human_bytes(row.memory_lent or None))
        drawn.add_row(
            row.component, str(len(row.pids)),
            _number(rates["offers"], totals["offers"], ",.0f"),
            _number((rates["offered_bytes"] + rates["event_bytes"]) / 1e9, totals["offered_bytes"] + totals["event_bytes"], ".2f"),
            _number(rates["events"], totals["events"], ",.0f"), _number(rates["demands"], totals["demands"], ",.0f"),
            *held, human_seconds(row.oldest_lease_s), Text(", ".join(told), style=STATES.get(row.state, "")),
        )  # fmt: skip
    return drawn


def holdings(row: Row) -> list[str]:
    leases = [f"{row.leases:,} leases"] if row.leases else []
    return leases + ([f"{human_bytes(row.memory_lent)} of memory"] if row.memory_lent else [])


def _number(value: float, ever: int, form: str) -> str:
    """'-' for what a component has never done."""
    return format(value, form) if ever else "-"


def notes(row: Row) -> list[str]:
    notes = [f"group {name}, lag {lag:,}" if lag else f"group {name}" for name, lag in row.groups.items()]
    if row.lag:
        notes.append(f"lag {row.lag:,}")
    if row.gaps:
        notes.append(f"gaps {row.gaps:,}")
    if row.hold:
        notes.append("holds")
    if row.totals["copied"]:
        notes.append(f"copied {row.totals['copied']:,}")
    if row.totals["refused"]:
        notes.append(f"refused {row.totals['refused']:,}")
    return notes
