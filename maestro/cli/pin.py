"""`maestro pin`: a program or a running process goes to the cores near an object, and comes back.

The choice is `Cdo.pin`'s. What a running process had before is kept in a file beside the pools' sockets, so that another call can undo it;
it names the process by its id and start, since ids are used again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ..launch import rendezvous
from .common import CommandError, Json, PoolName, attach, err, out, print_json
from .objects import Schema, form

# How launchers number the ranks of one node, and count them.
LOCAL_RANKS = (
    ("MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"),
)


def register(app: typer.Typer) -> None:
    app.command("pin")(pin)


def pin(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[SELECTOR] [-- PROGRAM ...]", help="The object; the program to run near it.")
    ] = None,
    pid: Annotated[int | None, typer.Option("--pid", min=1, help="Pin all threads of a running process.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Give the process of --pid its cores back.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell which cores and why, and bind nothing.")] = False,
    rank: Annotated[
        int | None, typer.Option("--rank", min=0, help="Which part of the cores.", show_default="as mpiexec or srun says")
    ] = None,
    ranks: Annotated[int | None, typer.Option("--ranks", min=1, help="Parts into which the ranks of this node share them.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds to wait for the object.", show_default="60")] = None,
    pool: PoolName = None,
    schema: Schema = None,
    as_json: Json = False,
) -> None:
    """Run a program, or bind a running process, on the cores near an object."""
    selector, *program = words or [None]
    _check(selector, program, pid, undo, dry_run)
    if undo:
        freed = restore(pid)
        print_json({"pid": pid, "threads": freed}) if as_json else out.print(f"process {pid}: {freed} threads have their cores back")
        return
    number, count = local_rank() if rank is None and ranks is None else (rank or 0, ranks or (rank or 0) + 1)
    with attach(pool, schema, "pin") as session, session.demand(form(selector), timeout) as cdo:
        if pid and not dry_run:
            remember(pid)
        placement = cdo.pin(pid or False, number, count, dry_run).placement
        _tell(repr(cdo), placement, as_json, err if program and not dry_run else out)
    if program and not dry_run:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores, and a program would inherit that
        os.execvp(program[0], program)


def _check(selector, program: list[str], pid: int | None, undo: bool, dry_run: bool) -> None:
    if undo:
        if pid is None or selector is not None:
            raise CommandError("pin: --undo takes --pid and no selector; a program that maestro pin has started just ends")
    elif selector is None:
        raise CommandError("pin: say near which object: maestro pin SELECTOR -- PROGRAM")
    elif (bool(program) + (pid is not None) + dry_run) == 0 or (program and pid is not None):
        raise CommandError("pin: say what to bind: -- PROGRAM after the selector, or --pid N, or --dry-run to see the choice")
    elif program and shutil.which(program[0]) is None:
        raise CommandError(f"pin: there is no program {program[0]}")


def _tell(name: str, placement, as_json: bool, console) -> None:
    if as_json:
        console.print(json.dumps(asdict(placement)), soft_wrap=True)
        return
    lies = f"lies on NUMA node {placement.node} ({placement.pages_there} of {placement.pages} pages looked at)"
    chosen = f"cores {placement.cores}: {placement.why}; allowed are {placement.allowed}"
    if placement.ranks > 1:
        chosen = f"rank {placement.rank} of {placement.ranks}, its part of {placement.domain}, {chosen}"
    console.print(f"{escape(name)} {lies}\n{escape(chosen)}{'' if placement.bound else '; nothing is bound'}", soft_wrap=True)


def local_rank() -> tuple[int, int]:
    """This process among the ranks that its launcher has started on this node; (0, 1) without one."""
    for rank, count in LOCAL_RANKS:
        found = re.match(r"\d+", os.environ.get(count, ""))  # SLURM writes 4(x2),3
        if found and os.environ.get(rank, "").isdigit():
            number = int(os.environ[rank])
            return number, max(int(found[0]), number + 1)
    return 0, 1


# ---- What a running process had before
def remember(pid: int) -> None:
    """Write down what the threads of a process may use; what was pinned before is freed first."""
    path = _memory(pid)
    if path.exists():
        with suppress(CommandError):  # it may tell of another process, which had this number
            restore(pid)
    threads = {}
    for tid in _threads(pid):
        with _may_end(pid):
            threads[tid] = sorted(os.sched_getaffinity(tid))
    path.write_text(json.dumps({"start": _start(pid), "threads": threads}))


def restore(pid: int) -> int:
    """Give every thread of a process what it had; how many that were. Threads that have come since get what the first one gets."""
    path = _memory(pid)
    try:
        kept = json.loads(path.read_text())
        before = {int(tid): {int(core) for core in cores} for tid, cores in kept["threads"].items()}
        first, start = before[pid], kept["start"]
    except FileNotFoundError:
        raise CommandError(f"pin: process {pid} was not pinned by maestro pin --pid in this directory of pools ({path.parent})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(f"pin: {path} is damaged ({error}); remove it and use taskset --all-tasks --pid") from error
    if start != _start(pid):
        path.unlink()
        raise CommandError(f"pin: the process {pid} that was pinned has ended")
    threads = 0
    for tid in _threads(pid):
        with _may_end(pid):
            os.sched_setaffinity(tid, before.get(tid, first))
            threads += 1
    path.unlink()
    return threads


@contextmanager
def _may_end(pid: int) -> Iterator[None]:
    """A thread may end at any time; it may also be another user's."""
    try:
        yield
    except ProcessLookupError:
        pass
    except OSError as error:
        raise CommandError(f"pin: process {pid}: {error.strerror}") from error


def _memory(pid: int) -> Path:
    return rendezvous.directory() / f"pinned-{pid}.json"


def _start(pid: int) -> int:
    """When the process began, in the kernel's ticks."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError as error:
        raise CommandError(f"pin: there is no process {pid}") from error


def _threads(pid: int) -> Iterator[int]:
    """The threads of a process, until a look finds no new one."""
    seen: set[int] = set()
    try:
        while new := {int(entry) for entry in os.listdir(f"/proc/{pid}/task")} - seen:
            seen |= new
            yield from sorted(new)
    except OSError as error:
        raise CommandError(f"pin: there is no process {pid}") from error
