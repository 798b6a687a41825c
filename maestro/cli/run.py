"""`maestro run` and `maestro check`: the screen around launch/runner.py.

The runner knows what happens; here it is drawn: a live table on a terminal, one line per change elsewhere.
"""

from __future__ import annotations

import json
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..launch import check as checks
from ..launch import workflow
from ..launch.runner import Runner
from .common import Json, err, human_bytes, out, print_json

File = Annotated[Path, typer.Argument(metavar="WORKFLOW.yaml", help="The workflow file.", show_default=False)]
STEP_S = 0.05
DRAW_S = 0.2


def register(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("check")(check)


def check(file: File, as_json: Json = False) -> None:
    """Validate a workflow file without starting anything; exits with 1 when it has errors, whatever warnings it has."""
    flow, source = workflow.load(file)
    found = checks.check(flow, source, file.parent)
    if as_json:
        print_json({"workflow": flow.workflow, "ok": not found.errors, "problems": found.errors, "warnings": found.warnings})
        raise typer.Exit(1 if found.errors else 0)
    for warning in found.warnings:
        err.print(f"[bold yellow]warning[/]: {escape(warning)}", soft_wrap=True)
    for error in found.errors:
        err.print(f"[bold red]error[/]: {escape(error)}", soft_wrap=True)
    if not found.errors:
        sizes = ", ".join(f"{name} ({part.size()})" for name, part in flow.components.items())
        out.print(f"{file}: workflow {flow.workflow} can start here: {sizes}")
    raise typer.Exit(1 if found.errors else 0)


def run(
    file: File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the launch lines and start nothing.")] = False,
    logs: Annotated[Path | None, typer.Option("--logs", help="Folder for the log files.", show_default="maestro-runs/NAME-TIME")] = None,
    wait: Annotated[
        float | None, typer.Option("--wait", help="Seconds until `wait_for` gives up.", show_default="MAESTRO_TIMEOUT_S or 60")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start the components of a workflow, watch them, and stop them together."""
    flow, source = workflow.load(file)
    checks.require(flow, source, file.parent)
    logs = logs or Path("maestro-runs") / f"{flow.workflow}-{time.strftime('%Y%m%d-%H%M%S')}"
    runner = Runner(flow, file.parent.resolve(), logs.absolute(), wait)
    if dry_run:
        return _print_lines(runner, as_json)
    try:
        with _signals(runner):
            _drive(runner)
    finally:
        runner.close()
    report = runner.report()
    (runner.logs / "run.json").write_text(_dump(report))
    if as_json:
        print_json(report)
    else:
        _summary(runner)
    raise typer.Exit(runner.exit_code)


def _dump(report: dict) -> str:
    return json.dumps(report, indent=2) + "\n"


def _print_lines(runner: Runner, as_json: bool) -> None:
    environment = {name: value for name, value in runner.environment().items() if name.startswith("MAESTRO_")}
    lines = runner.lines()
    if as_json:
        print_json({"environment": environment, "lines": [{"component": line.component, "words": line.words} for line in lines]})
        return
    for name, value in sorted(environment.items()):
        print(f"export {name}={value}")
    for line in lines:
        print(f"{line.text()}    # {line.component}")


@contextmanager
def _signals(runner: Runner):
    """Ctrl-C and SIGTERM end the components, not this program; a second one goes a stage further."""

    def on_signal(number, _frame):
        if not runner.members:  # nothing to end yet; the wait for the pool is to be left
            raise SystemExit(128 + number)
        runner.stop("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name, 128 + number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _drive(runner: Runner) -> None:
    runner.start()
    err.print(f"workflow {runner.flow.workflow}: pool {runner.flow.pool_name}, logs in {runner.logs}")
    screen = _Live(runner) if err.is_terminal else _Lines(runner)
    with screen:
        while not runner.finished:
            runner.step()
            screen.update()
            time.sleep(STEP_S)
        runner.step()
        screen.update(last=True)


class _Notes:
    """Prints what the runner noted since the last time."""

    def __init__(self, runner: Runner):
        self.runner, self._told = runner, 0

    def tell(self, console) -> None:
        for note in self.runner.notes[self._told :]:
            console.print(escape(note), soft_wrap=True)
        self._told = len(self.runner.notes)


class _Lines:
    """For logs and pipes: a line when the state of a component changes."""

    def __init__(self, runner: Runner):
        self.runner, self.notes, self.states = runner, _Notes(runner), {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def update(self, last: bool = False) -> None:
        for name in self.runner.flow.components:
            state = component_state(self.runner, name)
            if self.states.get(name) != state:
                self.states[name] = state
                err.print(f"{time.monotonic() - self.runner.started:7.1f} s  {name}: {state}")
        self.notes.tell(err)


class _Live:
    """For a terminal: a table that is drawn again five times a second."""

    def __init__(self, runner: Runner):
        self.runner, self.notes, self._next = runner, _Notes(runner), 0.0
        self.live = Live(console=err, auto_refresh=False)

    def __enter__(self):
        self.live.start()
        return self

    def __exit__(self, *_):
        self.live.stop()

    def update(self, last: bool = False) -> None:
        if last or time.monotonic() >= self._next:
            self._next = time.monotonic() + DRAW_S
            self.notes.tell(self.live.console)
            self.live.update(screen_table(self.runner), refresh=True)


def component_state(runner: Runner, name: str) -> str:
    """One phrase: running, waiting for joins, done, or how it failed."""
    mine = [member for member in runner.members if member.line.component == name]
    running = sum(member.running for member in mine)
    failed = [member.code for member in mine if runner.failed(member)]
    if failed:
        return f"ended with exit code {failed[0]}" if runner.stopping else f"failed with exit code {failed[0]}"
    if not running:
        return "waiting for services" if any(member.process is None for member in mine) else "done"
    if runner.stopping:
        return "stopping"
    if runner.peers and name in runner.flow.wait_for:
        joined, size = runner.peers.joined(name), runner.flow.components[name].size()
        return "running" if joined >= size else f"joining, {joined} of {size}"
    return "running" if running == len(mine) else f"running, {running} of {len(mine)} left"


def screen_table(runner: Runner) -> Table:
    colours = {"running": "green", "done": "cyan", "joining": "yellow", "waiting": "yellow", "stopping": "yellow", "failed": "red"}
    table = Table(box=None, pad_edge=False, header_style="bold", title=_title(runner), title_justify="left", title_style="")
    for heading, justify in (("component", "left"), ("ranks", "right"), ("time", "right"), ("offered", "right"), ("demands", "right")):
        table.add_column(heading, justify=justify)
    table.add_column("state")
    table.add_column("last line of its log", overflow="ellipsis", no_wrap=True, style="dim")
    for name, part in runner.flow.components.items():
        mine = [member for member in runner.members if member.line.component == name]
        state = component_state(runner, name)
        counts = runner.peers.counts(name) if runner.peers else {}
        table.add_row(
            name, str(part.size()), f"{max(member.seconds() for member in mine):.0f} s",
            _count(counts.get("offers")), _count(counts.get("demands")),
            Text(state, style=colours.get(state.split()[0].rstrip(","), "")), Text("".join(mine[0].tail(1))),
        )  # fmt: skip
    return table


def _title(runner: Runner) -> str:
    stats = runner.peers.stats if runner.peers else {}
    elapsed = f"workflow {runner.flow.workflow} · {time.monotonic() - runner.started:.0f} s"
    if not stats:
        return elapsed
    memory, objects = stats.get("memory", {}), stats.get("objects", {})
    used = f"{human_bytes(memory.get('used'))} of {human_bytes(memory.get('limit'))}"
    return f"{elapsed} · pool {stats.get('pool')} · memory {used} · objects {_count(objects.get('live'))}"


def _count(value) -> str:
    return "-" if value is None else f"{value:,}"


def _summary(runner: Runner) -> None:
    if runner.exit_code == 0:
        err.print(f"workflow {runner.flow.workflow}: done in {time.monotonic() - runner.started:.1f} s")
    else:
        why = escape(runner.stopping or "")
        err.print(f"[red]workflow {runner.flow.workflow}: {why}; exit code {runner.exit_code}; logs in {runner.logs}[/]", soft_wrap=True)
