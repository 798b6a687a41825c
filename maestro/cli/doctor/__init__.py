"""`maestro doctor`: what is wrong with this machine for Maestro, and the command that mends it.

Here: the command and its screen. The checks stand in mpi.py, pool.py, system.py and parts.py; each yields findings and looks at
the real thing (programs are asked, sockets are tried), changing nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import typer
from rich.markup import escape

from ..common import Json, err, out, print_json
from .finding import LEVELS, Finding, error

MARKS = {"ok": "[green]✓[/]", "hint": "[cyan]·[/]", "warning": "[yellow]![/]", "error": "[bold red]✗[/]"}


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def examine() -> Iterator[Finding]:
    """Every finding, as the checks make them."""
    from . import mpi, parts, pool, system

    for check in (system.library, system.kernel, system.descriptors, mpi.launchers, mpi.families, mpi.trial,
                  pool.directory, pool.managers, pool.memory, pool.batch, parts.optional, parts.fortran):  # fmt: skip
        try:
            yield from check()
        except Exception as failure:  # a check that breaks must not hide the others
            name = f"{check.__module__.rpartition('.')[2]} {check.__name__}"
            yield error(name, f"this check itself failed: {type(failure).__name__}: {failure}", "maestro info")


def doctor(as_json: Json = False) -> None:
    """Look for what is wrong with this machine, and name the command that mends it."""
    findings = []
    with err.status("looking at this machine") as progress:
        for finding in examine():
            findings.append(finding)
            progress.update(f"looking at this machine: {finding.check}")
            if not as_json:
                show(finding)
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    if as_json:
        print_json({"ok": not counts["error"], "counts": counts, "findings": [finding.as_dict() for finding in findings]})
    else:
        out.print(f"{counts['error']} errors, {counts['warning']} warnings, {counts['hint']} hints, {counts['ok']} fine")
    raise typer.Exit(1 if counts["error"] else 0)


def show(finding: Finding) -> None:
    out.print(f"{MARKS[finding.level]} {finding.check}: {escape(finding.text)}", soft_wrap=True)
    if finding.command:
        out.print(f"    [bold]{escape(finding.command)}[/]", soft_wrap=True)
