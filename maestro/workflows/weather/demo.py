"""`maestro demo weather`: the same forecast through Maestro and through FDB, side by side, with maps and figures.

The forecast is made once and replayed into every sink, so that all runs move the same bytes at the same pace. Everything that costs
time only once (sample fields, interpolation weights, coastlines) is prepared first and cached.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from . import analysis, columns, plan, report, requirements, samples
from .columns import Column
from .stage import Stage, component

RATE = 300  # fields per second: a forecast's steady output
DRY_RATE = 100  # fields per second of a dry run that looks at ages
FIELD_BYTES = 600_000  # at most, for the room that a store in memory needs


class Screen:
    """Progress bars on stderr; silent where stderr is no terminal, except for one line per stage."""

    def __init__(self, quiet: bool = False):
        from rich.console import Console

        self.console, self.quiet = Console(stderr=True), quiet

    @contextmanager
    def bar(self, title: str, total: int):
        """Yields a function that takes a function that counts what is done; where nobody looks, that one is never called."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        started = time.monotonic()
        if self.quiet or not self.console.is_terminal:
            yield lambda count: None
            if not self.quiet:
                self.console.print(f"{title}: {time.monotonic() - started:.1f} s", highlight=False)
            return
        shape = (TextColumn("{task.description:34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*shape, console=self.console) as progress:
            task = progress.add_task(title, total=total)
            yield lambda count: progress.update(task, completed=count())
            progress.update(task, completed=total)


def run_demo(
    output: Path,
    *,
    sinks: tuple[str, ...] = columns.ALL,
    members: int = 2,
    steps: int = 10,
    grid: str = "O320",
    rate: float = RATE,
    source: Path | None = None,
    maps: int = 100,
    faults: tuple[int, int] = (-1, -1),
    quiet: bool = False,
) -> dict:
    """Run the demo; returns the report, which also stands in `output/report.json` beside the maps and the timeline."""
    output, screen = Path(output).absolute(), Screen(quiet)
    output.mkdir(parents=True, exist_ok=True)
    columns.leftovers()
    started = time.monotonic()
    if source:
        draft, wishes = _user_file(source, maps)
        prepared = started
    else:
        draft, wishes = _forecast_wishes(members, steps, grid)
        _prepare(grid, screen)
        prepared = time.monotonic()
        draft = _make_forecast(output, draft, len(plan.Plan.model_validate(draft).fields()), screen)
        _warm(output, draft, wishes, screen)
    draft["rate"] = rate
    try:
        figures, skipped = _run_columns(output, sinks, draft, wishes, faults, screen)
    finally:
        if draft.get("forecast"):
            shutil.rmtree(Path(draft["forecast"]).parent, ignore_errors=True)
    result = _finish(output, figures, skipped)
    result["seconds"] = {"setup": round(prepared - started, 1), "runs": round(time.monotonic() - prepared, 1)}
    (output / "report.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


def run_dry(
    output: Path,
    *,
    sinks: tuple[str, ...] = columns.ALL,
    rate: float | None = None,
    steps: int | None = None,
    grid: str = "O360",
    quiet: bool = False,
) -> dict:
    """Only the way of the data: re-keyed messages (1 MiB on O360), consumers that make no products.

    Runs at 100 fields per second and as fast as it goes, or at one `rate` alone; the report has one part for each and the bars that
    the two together can judge.
    """
    output, screen = Path(output).absolute(), Screen(quiet)
    output.mkdir(parents=True, exist_ok=True)
    columns.leftovers()
    draft, wishes = _dry_wishes(grid)
    _analyse(grid, [f"{name}/{level}" for name in ("t", "u", "v", "r", "w", "gh") for level in draft["pl"]["levels"].split("/")], screen)
    result: dict = {}
    for pace in (DRY_RATE, 0) if rate is None else (rate,):
        count = steps or (20 if pace else 40)  # at full rate long enough that memory is warm most of the time
        paced = draft | {"rate": pace, "steps": f"6/to/{6 * count}/by/6"}
        figures, skipped = _run_columns(output, sinks, paced, wishes, (-1, -1), screen, dry=True)
        result["at_rate" if pace else "full_rate"] = report.summary(figures, None) | {"rate": pace, "skipped": skipped}
    result["bars"] = report.bars(result)
    (output / "dry-run.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


def _dry_wishes(grid: str) -> tuple[dict, list[dict]]:
    """60 fields a step, all wanted."""
    draft = plan.default(members=1, steps=1) | {
        "pl": {"params": "t/u/v/r/w/z", "levels": "100/200/250/300/400/500/700/850/925/1000"},
        "grid": grid,  # O360 has 531,360 points, at 16 bits 1.01 MiB
        "packing": "simple16",
        "mode": "rekey",
        "checksum": False,
        "maestro": {"keep": 0},  # each step is consumed before the next one begins: warm memory from the second step on, as in a long run
    }
    del draft["ml"], draft["sfc"]
    return draft, [{"name": "all", "retrieve": {"param": draft["pl"]["params"]}, "post": {"grid": "1/1"}, "to": "nobody"}]


def _forecast_wishes(members: int, steps: int, grid: str) -> tuple[dict, list[dict]]:
    draft = plan.default(members, steps) | {"grid": grid}
    return draft, requirements.default(plan.Plan.model_validate(draft))


def _user_file(source: Path, maps: int) -> tuple[dict, list[dict]]:
    draft = {"input": str(Path(source).absolute())}
    return draft, requirements.of_file(plan.Plan.model_validate(draft).fields(), maps)


def environment() -> dict[str, str]:
    """What every component gets: one thread for numeric libraries, the cache of weights, this package on the path.

    Freed buffers of some megabytes stay with the process: FDB's sink and reader need one per field, and would pay page faults for each.
    """
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH")) if part)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    memory = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(64 << 20))
    return os.environ | threads | memory | {"MIR_CACHE_PATH": str(samples.cache_dir() / "mir"), "PYTHONPATH": path}


def _prepare(grid: str, screen: Screen) -> None:
    """Sample files, and their fields on the forecast's grid."""
    with screen.bar("sample fields", 1):
        samples.samples_dir()
    _analyse(grid, analysis.names(), screen)


def _analyse(grid: str, names: list[str], screen: Screen) -> None:
    """Bring analysed fields to a grid, into the cache; in two processes, for MIR uses one core."""
    total = len(analysis.missing(grid, names))
    if total:
        with screen.bar(f"analysed fields on {grid}", total) as show, Stage(samples.cache_dir() / "log", environment()) as stage:
            for part in range(2):
                stage.start(f"prepare.{part}", component("prepare", grid, *names, "--part", str(part), "--parts", "2"))
            stage.wait(180, progress=lambda: show(lambda: total - len(analysis.missing(grid, names))))


def _make_forecast(output: Path, draft: dict, total: int, screen: Screen) -> dict:
    """The forecast's messages lie in memory where there is room, so that no column pays for another one's disk writes."""
    need = 3 * total * FIELD_BYTES
    try:
        folder = columns.memory_folder(need) / f"{os.getpid()}-forecast"
    except columns.NoRoomError:
        folder = output
    with screen.bar(f"forecast of {total:,} fields", total) as show:
        return columns.forecast(folder, draft, environment(), show)


def _warm(output: Path, draft: dict, wishes: list[dict], screen: Screen) -> None:
    """Interpolation weights for all products, once."""
    run = output / "runs" / "warm"
    run.mkdir(parents=True, exist_ok=True)
    files = columns.write_yaml(run / "plan.yaml", draft), columns.write_yaml(run / "requirements.yaml", wishes)
    with screen.bar("interpolation weights", 1), Stage(run, environment()) as stage:
        stage.start("warm", component("warm", *map(str, files)))
        stage.wait(120)


def _run_columns(output: Path, sinks, draft: dict, wishes, faults, screen: Screen, dry: bool = False) -> tuple[dict, dict]:
    total = len(plan.Plan.model_validate(draft).fields())
    figures: dict[str, dict] = {}
    skipped: dict[str, str] = {}
    for name in sinks:
        try:
            if "shm" in name:
                columns.memory_folder(total * FIELD_BYTES)
            column = Column(name, draft, wishes, output, dry=dry, faults=faults)
        except columns.NoRoomError as error:
            skipped[name] = str(error)
            continue
        with screen.bar(f"run {name}", total) as show:
            figures[name] = column.execute(draw=not dry, environment=environment(), progress=show)
        if not dry and len(figures) == 1:
            _collect_maps(column.run, output)
    return figures, skipped


def _collect_maps(run: Path, output: Path) -> None:
    maps = output / "maps"
    shutil.rmtree(maps, ignore_errors=True)
    if (run / "maps").is_dir():
        shutil.copytree(run / "maps", maps)


def _finish(output: Path, figures: dict[str, dict], skipped: dict[str, str]) -> dict:
    from ...tracefile import TraceFile
    from . import spans, timeline

    runs = {name: output / "runs" / name for name in figures}
    hashes = [report.digests(run) for run in runs.values()]
    same = all(found == hashes[0] for found in hashes) if len(hashes) > 1 else None
    best = min((name for name in figures if name.startswith("fdb")), key=lambda name: report.mean_age(figures[name]), default=None)
    shown = [name for name in ("maestro", best) if name in figures] or list(figures)[:2]
    result = report.summary(figures, same)
    result["bars"] = report.full_bars(result)
    result["skipped"] = skipped
    result["products"] = hashes[0] if hashes else {}
    result["maps"] = sorted(str(path) for path in (output / "maps").glob("*.png"))
    result["timeline"] = str(timeline.draw({name: runs[name] for name in shown}, output / "timeline.png"))
    with TraceFile(output / "timeline.json") as drawn:
        for name, run in runs.items():
            spans.write(run, drawn, name)
    return result


def show(result: dict) -> None:
    """The table and where the pictures are, for people."""
    console = _console()
    flat = _show_columns(console, "Fields from forecast to product", result)
    _show_bars(console, result["bars"])
    if result["products_identical"] is not None:
        console.print(f"products of all runs identical (SHA-256): {'yes' if result['products_identical'] else 'NO'}")
    for name, column in flat.items():
        for failure in column["failed"][:20]:
            console.print(f"failed in {name}: {failure['name']}: {failure['reason']}")
    if result["maps"]:
        console.print(f"{len(result['maps'])} maps in {Path(result['maps'][0]).parent}")
    console.print(f"timeline: {result['timeline']}, and timeline.json beside it for https://ui.perfetto.dev", soft_wrap=True)


def show_dry(result: dict) -> None:
    """The tables of a dry run, and its bars."""
    console = _console()
    for part in ("at_rate", "full_rate"):
        if part in result:
            rate = result[part]["rate"]
            _show_columns(console, f"Dry run at {rate:g} fields/s" if rate else "Dry run as fast as it goes", result[part])
    _show_bars(console, result["bars"])


def _show_bars(console, bars: list[dict]) -> None:
    for bar in bars:
        console.print(f"{'met   ' if bar['met'] else 'MISSED'} {bar['what']}: {bar['value']:g} (must be {bar['must']})", soft_wrap=True)


def _console():
    from rich.console import Console

    return Console(highlight=False)


def _show_columns(console, title: str, part: dict) -> dict[str, dict]:
    """Print one table and what was not run; returns the columns by name."""
    flat = {name: part["sinks"][name] for name in ("maestro", "file") if name in part["sinks"]}
    flat |= {f"fdb.{name}": column for name, column in part["sinks"].get("fdb", {}).items()}
    console.print(report.table(title, flat))
    for name, reason in part["skipped"].items():
        console.print(f"not run: {name}: {reason}")
    return flat


def succeeded(result: dict) -> bool:
    """Nothing failed, lost, damaged or doubled, and all runs (of a demo) made the same products."""
    clean = not (result["failed_requirements"] or result["lost"] or result["corrupt"] or result["duplicates"])
    return clean and result["products_identical"] is not False


def status(parts: list[dict], bars: list[dict], strict: bool) -> int:
    """Exit status of a demo: 1 when a run went wrong; 3 when a bar was missed and `strict` asks to fail then; else 0.

    A measurement that was made is a success, whatever it shows: a slow machine is no error. Who guards figures asks for `--strict`.
    """
    if not all(succeeded(part) for part in parts):
        return 1
    return 3 if strict and not all(bar["met"] for bar in bars) else 0
