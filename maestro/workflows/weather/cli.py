"""The command `maestro-weather`: the components of the weather workflow, as mpirun, `maestro run` and the demo start them.

Only options and their meaning; the work is in the modules of the same names.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Components of the weather workflow.")

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
    bad = outcome["lost"] or outcome["corrupt"] or outcome["failed"]
    raise typer.Exit(1 if bad else 0)


@app.command()
def pictures(plan: PlanFile, requirements: WishFile, run: RunDir = Path(".")) -> None:
    """Draw a map of each product that asks for one, as the products are made."""
    from .pictures import run_pictures

    run_pictures(*_wanted(plan, requirements), run)


@app.command()
def archive(plan: PlanFile, run: RunDir = Path("."), root: Annotated[Path, typer.Option(help="FDB store")] = Path("archive")) -> None:
    """Archive the pool's fields into FDB, at low priority, off the products' way."""
    from .archive import run_archive
    from .plan import load

    run_archive(load(plan), run, root)


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="print the report as one JSON object")] = False,
    source: Annotated[Path | None, typer.Option("--input", help="a GRIB file of yours instead of the sample forecast")] = None,
    output: Annotated[Path, typer.Option(help="directory for maps, products and figures")] = Path("weather-demo"),
    sinks: Annotated[str, typer.Option(help="which runs, with commas: maestro, fdb (all four), fdb.shm_field, ..., file")] = "",
    members: Annotated[int, typer.Option(min=1, help="ensemble members")] = 2,
    steps: Annotated[int | None, typer.Option(min=1, help="forecast steps of 6 h", show_default="10; 20 and 40 in a dry run")] = None,
    grid: Annotated[str | None, typer.Option(help="octahedral grid of the forecast", show_default="O320; O360 in a dry run")] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="fields per second; 0 is as fast as it goes", show_default="300; 100 and then 0 in a dry run"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="the data's way alone: 1 MiB fields, no products; ages and rates")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="exit with 3 when a bar is missed (they are printed either way)")] = False,
    maps: Annotated[int, typer.Option("--pictures", min=0, help="with --input: how many of the file's fields get a map")] = 100,
    corrupt_field: Annotated[int, typer.Option(hidden=True)] = -1,
    drop_field: Annotated[int, typer.Option(hidden=True)] = -1,
) -> None:
    """Run the forecast through Maestro and through FDB, compare them, and draw maps."""
    import json

    from . import demo as it

    chosen = _sinks(sinks or ("maestro,file" if source else "maestro,fdb"))
    if dry_run:
        result = it.run_dry(output, sinks=chosen, rate=rate, steps=steps, grid=grid or "O360", quiet=as_json)
        parts = [result[part] for part in ("at_rate", "full_rate") if part in result]
    else:
        options = {"members": members, "steps": steps or 10, "grid": grid or "O320", "rate": it.RATE if rate is None else rate}
        options |= {"source": source, "maps": maps, "faults": (corrupt_field, drop_field)}
        result = it.run_demo(output, sinks=chosen, quiet=as_json, **options)
        parts = [result]
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        (it.show_dry if dry_run else it.show)(result)
    raise typer.Exit(it.status(parts, result["bars"], strict))


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
    from .worker import run_worker

    run_worker(*_wanted(plan, requirements), run, number, notices, dry=dry_run, pictures=pictures)


@app.command(hidden=True)
def prepare(grid: str, names: list[str], part: Annotated[int, typer.Option()] = 0, parts: Annotated[int, typer.Option()] = 1) -> None:
    """Interpolate sample fields to a grid, into the cache."""
    from .analysis import prepare as make

    make(grid, names, part, parts)


@app.command(hidden=True)
def warm(plan: PlanFile, requirements: WishFile) -> None:
    """Compute MIR's weights for the products of a plan, and the coastlines, into the cache."""
    from . import coast
    from .worker import interpolator

    interpolator(*_wanted(plan, requirements))
    coast.outline()


def _wanted(plan: Path, requirements: Path):
    """A plan and the products that are expected of it."""
    from .plan import load
    from .requirements import expand
    from .requirements import load as load_requirements

    forecast = load(plan)
    return forecast, expand(load_requirements(requirements), forecast.fields())


def _sinks(text: str) -> tuple[str, ...]:
    from .columns import ALL, FDB

    found: list[str] = []
    for word in text.split(","):
        names = {"fdb": FDB, "all": ALL}.get(word, (word,))
        for name in names:
            if name not in (*ALL, "file"):
                raise typer.BadParameter(f"there is no run '{name}'; there are: {', '.join((*ALL, 'fdb', 'file'))}")
        found += [name for name in names if name not in found]
    return tuple(found)


def main(arguments: list[str] | None = None) -> int:
    """Entry point: errors of the workflow are one line on stderr and exit status 2."""
    from ...errors import MaestroError
    from ...launch.lines import LaunchError
    from ...yamlfile import FileError
    from .errors import WeatherError

    try:
        app(args=arguments, prog_name="maestro-weather")
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    except (WeatherError, FileError, LaunchError, MaestroError, OSError) as error:
        print(f"maestro-weather: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
