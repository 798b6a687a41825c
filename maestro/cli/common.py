"""What all commands share: the consoles, JSON output, opening a session without starting a pool, the error of a command.

Reports go to standard output and everything else (progress, notes, errors) to standard error, so that a pipe gets the report
alone. Commands import Maestro's library when they need it: `maestro doctor` and `maestro --help` work without it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from ..launch import rendezvous

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
PoolName = Annotated[str | None, typer.Option("--pool", "-p", help="The pool's name.", envvar="MAESTRO_POOL", show_default="default")]

WIDE = 200  # columns of a table in a pipe or file, which have no width of their own

out = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
err = Console(stderr=True, highlight=False)


class CommandError(RuntimeError):
    """A command cannot do its work; the text says why and what to do."""


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def attach(pool: str | None, schema: str | None = None, command: str = "cli"):
    """A session to a pool that runs already; a command that only looks starts none."""
    import maestro

    pool = pool or os.environ.get("MAESTRO_POOL") or "default"
    if "/" not in pool and pool not in rendezvous.running():
        there = rendezvous.running()
        hint = f"running on this node: {', '.join(there)} (choose one with --pool)" if there else "no pool runs on this node"
        raise CommandError(f"{command}: no pool '{pool}' runs here; {hint}")
    return maestro.Session(pool=pool, component=f"maestro-{command}", schema=schema, start_pool=False)


def human_bytes(nbytes: float | None) -> str:
    if nbytes is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(nbytes) < 1024 or unit == "GiB":
            return f"{nbytes:,.0f} {unit}" if unit == "B" else f"{nbytes:,.1f} {unit}"
        nbytes /= 1024
    raise AssertionError


def human_seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else clock(seconds)


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
