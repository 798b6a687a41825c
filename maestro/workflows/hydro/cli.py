"""The command `maestro-hydro`: the simulation, as mpirun and `maestro run` start it, and the programs that read its records.

Only options and their meaning; the work is in the modules beside it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Gas dynamics in a box, through the pool."
)

LAST_WORDS_S = 0.5  # before a rank ends all: launchers lose what was written just before


@app.command()
def run(
    cells: Annotated[str, typer.Option(help="cells of the grid: along x, along y")] = "256x256",
    steps: Annotated[int, typer.Option(min=0, help="the step at which the run ends, counted from time 0")] = 100,
    every: Annotated[int, typer.Option(min=1, help="a record every so many steps, and at the end")] = 10,
    case: Annotated[str, typer.Option(help="sod (a shock tube), corner or centre (a point explosion)")] = "corner",
    restart: Annotated[int | None, typer.Option(help="go on from the record of this step, instead of --case and --cells")] = None,
) -> None:
    """Simulate, on one process or on the ranks of mpirun, and offer records to the collection `hydro`."""
    from .ranks import communicator

    comm = communicator()
    try:
        _run(comm, _cells(cells), steps, every, _case(case), restart)
    except Exception as error:
        if comm is None:
            raise
        print(f"maestro-hydro: rank {comm.rank}: {error}", file=sys.stderr, flush=True)
        time.sleep(LAST_WORDS_S)
        comm.Abort(2)  # the other ranks wait for this one


def _run(comm, cells: tuple[int, int], steps: int, every: int, case: str, restart: int | None) -> None:
    from . import output
    from .ranks import Block, Simulation

    with output.open_session("hydro", comm.rank if comm else 0) as session:
        if restart is None:
            simulation = Simulation.begin(case, Block(cells, comm))
            output.write(session, simulation, final=steps == 0)
        else:
            output.check_newest(session, restart)
            simulation = output.restart(session, restart, comm)
        first, begin = simulation.step, time.monotonic()
        for _ in _progress(range(first, steps), simulation.block.rank == 0):
            simulation.advance()
            if simulation.step % every == 0 or simulation.step == steps:
                output.write(session, simulation, final=simulation.step == steps)
    if simulation.block.rank == 0:
        _tell(simulation, simulation.step - first, time.monotonic() - begin)


def _progress(steps: range, shown: bool):
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(steps, "hydro", console=console, disable=not (shown and console.is_terminal), transient=True)


def _tell(simulation, steps: int, seconds: float) -> None:
    """One line about a run that has ended."""
    (ny, nx), ranks = simulation.block.cells, simulation.block.ranks
    where = f"step {simulation.step}, time {simulation.time:.6g}"
    rate = f"{steps * nx * ny / seconds / 1e6:.1f} million cells/s"
    print(f"hydro: {where}; {seconds:.1f} s on {ranks} rank{'s' * (ranks > 1)}, {rate}", file=sys.stderr)


@app.command()
def stats() -> None:
    """Mass, energy and extrema of each record as it comes: a line of JSON each."""
    from . import consumers, output

    with output.open_session("stats") as session:
        for figures in consumers.stats(session):
            print(json.dumps(figures), flush=True)


@app.command()
def picture(folder: Annotated[Path, typer.Option(help="where the pictures go")] = Path("hydro-pictures")) -> None:
    """Draw the density of each record as it comes."""
    from . import consumers, output

    with output.open_session("picture") as session:
        for path in consumers.pictures(session, folder):
            print(path, flush=True)


@app.command()
def schema() -> None:
    """Print the schema of the records, for a workflow file or an archive: maestro-hydro schema > records.yaml."""
    from .output import SCHEMA

    print(SCHEMA.read_text(), end="")


def _cells(text: str) -> tuple[int, int]:
    """(ny, nx) of a text such as 256x128."""
    words = text.split("x")
    if len(words) != 2 or not all(word.isdecimal() and int(word) > 1 for word in words):
        raise typer.BadParameter(f"'{text}' is no number of cells; write it as 256x128, each 2 or more", param_hint="--cells")
    return int(words[1]), int(words[0])


def _case(text: str) -> str:
    from .solver import CASES

    if text not in CASES:
        raise typer.BadParameter(f"there is no case '{text}'; there are: {', '.join(CASES)}", param_hint="--case")
    return text


def main(arguments: list[str] | None = None) -> int:
    """Entry point: errors are one line on stderr and exit status 2."""
    from ...errors import MaestroError

    try:
        app(args=arguments, prog_name="maestro-hydro")
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    except (MaestroError, OSError) as error:
        print(f"maestro-hydro: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
