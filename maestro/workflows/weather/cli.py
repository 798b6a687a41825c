"""The command `maestro-weather`: the components of the weather workflow, as mpirun, `maestro run` and the demo start them.

Only options and their meaning; the work is in the modules of the same names.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Components of the weather workflow.")

PlanFile = Annotated[Path, typer.Argument(help="plan of the forecast (YAML)", show_default=False)]
WishFile = Annotated[Path, typer.Argument(help="requirements of the products (YAML)", show_default=False)]
RunDir = Annotated[Path, typer.Option("--run", help="directory of this run: traces, notices, products")]


@app.command()
def hammer(
    plan: PlanFile,
    run: RunDir = Path("."),
    corrupt_field: Annotated[int, typer.Option(help="plant a fault: damage the field of this number")] = -1,
    drop_field: Annotated[int, typer.Option(help="plant a fault: keep back the field of this number")] = -1,
) -> None:
    """Make the plan's fields, as the output servers of a forecast do; start it with mpiexec for several ranks."""
    from .hammer import run_hammer
    from .plan import load

    run_hammer(load(plan), run, corrupt=corrupt_field, drop=drop_field)


@app.command()
def products(
    plan: PlanFile,
    requirements: WishFile,
    run: RunDir = Path("."),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="receive and check the fields, make no products")] = False,
    pictures: Annotated[bool, typer.Option("--pictures", help="tell a `pictures` process about products to draw")] = False,
    limit: Annotated[float, typer.Option(help="seconds after which the run is given up")] = 300,
) -> None:
    """Make products of the fields; exits with 1 when a requirement failed or a field was lost or damaged."""
    from .plan import load
    from .products import Supervisor

    outcome = Supervisor(plan, requirements, run, load(plan), dry=dry_run, pictures=pictures, limit=limit).execute()
    bad = outcome["lost"] or outcome["corrupt"] or (outcome["failed"] and not dry_run)
    raise typer.Exit(1 if bad else 0)


@app.command(hidden=True)
def worker(
    plan: PlanFile,
    requirements: WishFile,
    run: RunDir,
    number: Annotated[int, typer.Option("--worker")],
    notices: Annotated[int, typer.Option("--notices", help="descriptor of this worker's notice pipe")],
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    pictures: Annotated[bool, typer.Option("--pictures")] = False,
) -> None:
    """One worker of `products`, which starts it."""
    from .plan import load
    from .requirements import expand
    from .requirements import load as load_requirements
    from .worker import run_worker

    forecast = load(plan)
    wanted = expand(load_requirements(requirements), forecast.fields())
    run_worker(forecast, wanted, run, number, notices, dry=dry_run, pictures=pictures)


def main() -> None:
    """Entry point: errors of the workflow are one line on stderr and exit status 2."""
    from ...yamlfile import FileError
    from .errors import WeatherError

    try:
        app()
    except (WeatherError, FileError) as error:
        print(f"maestro-weather: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
