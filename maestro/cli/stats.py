"""`maestro stats`: every counter of a pool's manager, as a list, as JSON, or as Prometheus reads it.

Names follow the manager's own: what ends in `_total` only grows while its session or manager lives, the rest are levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from .common import Json, PoolName, attach, out, print_json
from .telemetry import COUNTERS

GROUPS = ("memory", "objects", "events", "leases")


def register(app: typer.Typer) -> None:
    app.command("stats")(stats)


def stats(
    pool: PoolName = None,
    as_json: Json = False,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="Print Prometheus' text format.")] = False,
) -> None:
    """Print every counter of a pool since its manager started."""
    with attach(pool, command="stats") as session:
        counters = session.stats()
    if as_json:
        print_json(counters)
    elif prometheus:
        print("\n".join(prometheus_lines(counters)))
    else:
        out.print(table(counters))


def table(counters: dict) -> Table:
    drawn = Table(box=None, pad_edge=False, show_header=False)
    drawn.add_column(style="bold")
    drawn.add_column(justify="right")
    for name, value in flatten(counters):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        drawn.add_row(Text(name), Text(f"{value:,}" if number else str(value)))
    return drawn


def flatten(value, prefix: str = ""):
    """(dotted name, value) of every leaf; parts of lists are named by what names them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            name = f"{inner['component']}.{inner['rank']}" if "component" in inner else inner.get("name", number)
            yield from flatten(inner, f"{prefix}[{name}]")
    else:
        yield prefix, value


def prometheus_lines(counters: dict) -> Iterator[str]:
    """Metrics of the pool, then those of its sessions with their component and rank; one TYPE line for each name."""
    where = {"pool": counters["pool"], "node": counters["node"]}
    metrics = {
        f"maestro_{group}_{key}{'_bytes' * (group == 'memory')}": [(where, value)]
        for group in GROUPS
        for key, value in counters[group].items()
    }
    metrics["maestro_uptime_seconds"] = [(where, counters["uptime_s"])]
    for session in counters["sessions"]:
        labels = {**where, **{key: session[key] for key in ("component", "rank", "session")}}
        for name, value in session_metrics(session):
            metrics.setdefault(f"maestro_session_{name}", []).append((labels, value))
    for group in counters["groups"]:
        for name, value in group_metrics(group):
            metrics.setdefault(f"maestro_group_{name}", []).append((where | {"group": group["name"]}, value))
    for name, samples in metrics.items():
        yield f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"
        for labels, value in samples:
            yield f"{name}{{{','.join(f'{key}={quote(label)}' for key, label in labels.items())}}} {value}"


def session_metrics(session: dict) -> Iterator[tuple[str, float]]:
    for counter in COUNTERS:
        yield f"{counter}_total", session[counter]
    yield "leases", session["leases"]
    yield "oldest_lease_seconds", session["oldest_lease_s"]
    yield "memory_used_bytes", session["memory_used"]
    yield "waiting", int(session["state"] == "waiting")
    yield "waits_seconds", session["waits_s"]
    yield "lag", max((one["lag"] for one in session["subscriptions"]), default=0)
    yield "gaps_total", sum(one["gaps"] for one in session["subscriptions"])


def group_metrics(group: dict) -> Iterator[tuple[str, float]]:
    yield "members", len(group["members"])
    yield "lag", group["lag"]
    yield "unacknowledged", sum(member["unacknowledged"] for member in group["members"])
    for counter in ("delivered", "acknowledged", "redelivered", "overdue"):
        yield f"{counter}_total", group[counter]


def quote(label) -> str:
    """A label's value as the text format escapes it."""
    escaped = str(label).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
