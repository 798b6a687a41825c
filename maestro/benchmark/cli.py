"""The command line of `maestro bench`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from . import campaign, rows, screen

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer objects and sizes: under a minute.")] = False,
    only: Annotated[str, typer.Option("--rows", help="Rows or groups to measure, separated by commas; * stands for anything.")] = "",
    names: Annotated[bool, typer.Option("--list", help="Print the rows' names.")] = False,
) -> None:
    """Measure the pool beside ZeroMQ, iceoryx2 and Redis, arrays beside MPI, ScaLAPACK and GHEX, on this machine, and judge each row."""
    if names:
        for row in rows.rows():
            print(f"{row.key:24} {row.title}")
        return
    try:
        with progress_bar() as progress:
            report = campaign.run([p.strip() for p in only.split(",") if p.strip()], quick, progress)
    except ValueError as error:
        sys.exit(f"bench: {error}")
    if as_json:
        json.dump(report, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        screen.show(report, Console(width=None if sys.stdout.isatty() else 200))
    if any(row["value"] is None for row in report["rows"]):
        raise typer.Exit(1)


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[float, str], None]]:
    """On standard error, so that the report alone goes to a pipe."""
    with Progress(BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=1.0)
        yield lambda done, what: bars.update(task, completed=done, description=what)
