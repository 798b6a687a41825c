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
FIELD_BYTES = 600_000  # at most, for the room that a store in memory needs


class Screen:
    """Progress bars on stderr; silent where stderr is no terminal, except for one line per stage."""

    def __init__(self, quiet: bool = False):
        from rich.console import Console

        self.console, self.quiet = Console(stderr=True), quiet

    @contextmanager
    def bar(self, title: str, total: int):
        """Yields a function that takes the number done so far."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        started = time.monotonic()
        if self.quiet or not self.console.is_terminal:
            yield lambda done: None
            if not self.quiet:
                self.console.print(f"{title}: {time.monotonic() - started:.1f} s", highlight=False)
            return
        shape = (TextColumn("{task.description:34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*shape, console=self.console) as progress:
            task = progress.add_task(title, total=total)
            yield lambda done: progress.update(task, completed=done)
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
    faults: tuple[int, int] = (-1, -1),
    quiet: bool = False,
) -> dict:
    """Run the demo; returns the report, which also stands in `output/report.json` beside the maps and the timeline."""
    output, screen = Path(output).absolute(), Screen(quiet)
    output.mkdir(parents=True, exist_ok=True)
    columns.leftovers(output)
    started = time.monotonic()
    if source:
        draft, wishes = _user_file(source)
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


def run_dry(output: Path, *, sinks: tuple[str, ...] = columns.ALL, rate: float = 0, fields: int = 1200, quiet: bool = False) -> dict:
    """Only the way of the data: 1 MiB re-keyed messages, consumers that make no products; same report."""
    output, screen = Path(output).absolute(), Screen(quiet)
    output.mkdir(parents=True, exist_ok=True)
    draft = plan.default(members=1, steps=max(1, fields // 60)) | {
        "pl": {"params": "t/u/v/r/w/z", "levels": "100/200/250/300/400/500/700/850/925/1000"},
        "grid": "O360",  # 531,360 points at 16 bits: 1.01 MiB
        "packing": "simple16",
        "mode": "rekey",
        "rate": rate,
        "checksum": False,
        "maestro": {"keep": 64 << 20},  # consumed fields make room for the next: warm memory, as in a long run
    }
    del draft["ml"], draft["sfc"]
    wishes = [{"name": "all", "retrieve": {"param": draft["pl"]["params"]}, "post": {"grid": "1/1"}, "to": "nobody"}]
    with screen.bar("analysed fields on O360", 1):
        for name in ("t", "u", "v", "r", "w", "gh"):
            for level in draft["pl"]["levels"].split("/"):
                analysis.row("O360", f"{name}/{level}")
    figures, skipped = _run_columns(output, sinks, draft, wishes, (-1, -1), screen, dry=True)
    result = report.summary(figures, None) | {"skipped": skipped}
    (output / "dry-run.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return result


def _forecast_wishes(members: int, steps: int, grid: str) -> tuple[dict, list[dict]]:
    draft = plan.default(members, steps) | {"grid": grid}
    return draft, requirements.default(plan.Plan.model_validate(draft))


def _user_file(source: Path) -> tuple[dict, list[dict]]:
    draft = {"input": str(Path(source).absolute())}
    return draft, requirements.of_file(plan.Plan.model_validate(draft).fields())


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
    """Sample fields on the forecast's grid; in two processes, for MIR uses one core."""
    with screen.bar("sample fields", 1):
        samples.samples_dir()
    total = len(analysis.missing(grid))
    if total:
        with screen.bar(f"analysed fields on {grid}", total) as show, Stage(samples.cache_dir() / "log", environment()) as stage:
            for part in range(2):
                stage.start(f"prepare.{part}", component("prepare", grid, "--part", str(part), "--parts", "2"))
            stage.wait(180, progress=lambda: show(total - len(analysis.missing(grid))))


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
            figures[name] = column.execute(draw=not dry, environment=environment(), progress=lambda c, show=show: show(c.seen()))
        if not dry and len(figures) == 1:
            _collect_maps(column.run, output)
    return figures, skipped


def _collect_maps(run: Path, output: Path) -> None:
    maps = output / "maps"
    shutil.rmtree(maps, ignore_errors=True)
    if (run / "maps").is_dir():
        shutil.copytree(run / "maps", maps)


def _finish(output: Path, figures: dict[str, dict], skipped: dict[str, str]) -> dict:
    from . import timeline

    runs = {name: output / "runs" / name for name in figures}
    hashes = [report.digests(run) for run in runs.values()]
    same = all(found == hashes[0] for found in hashes) if len(hashes) > 1 else None
    best = min((name for name in figures if name.startswith("fdb")), key=lambda name: _mean_age(figures[name]), default=None)
    shown = [name for name in ("maestro", best) if name in figures] or list(figures)[:2]
    result = report.summary(figures, same)
    result["skipped"] = skipped
    result["products"] = hashes[0] if hashes else {}
    result["maps"] = sorted(str(path) for path in (output / "maps").glob("*.png"))
    result["timeline"] = str(timeline.draw({name: runs[name] for name in shown}, output / "timeline.png"))
    return result


def _mean_age(column: dict) -> float:
    return column["field_age_ms"]["mean"] if column["field_age_ms"] else float("inf")


def show(result: dict) -> None:
    """The table and where the pictures are, for people."""
    from rich.console import Console

    flat = {"maestro": result["sinks"].get("maestro"), "file": result["sinks"].get("file")}
    flat |= {f"fdb.{name}": column for name, column in result["sinks"].get("fdb", {}).items()}
    console = Console()
    console.print(report.table({name: column for name, column in flat.items() if column}))
    for name, reason in result["skipped"].items():
        console.print(f"not run: {name}: {reason}", highlight=False)
    if result["products_identical"] is not None:
        console.print(f"products of all runs identical (SHA-256): {'yes' if result['products_identical'] else 'NO'}")
    for name, column in flat.items():
        for failure in (column or {}).get("failed", [])[:20]:
            console.print(f"failed in {name}: {failure['name']}: {failure['reason']}", highlight=False)
    if result.get("maps"):
        console.print(f"{len(result['maps'])} maps in {Path(result['maps'][0]).parent}", highlight=False)
    if result.get("timeline"):
        console.print(f"timeline: {result['timeline']}", highlight=False)


def succeeded(result: dict) -> bool:
    """Nothing failed, lost, damaged or doubled, and all runs made the same products."""
    clean = not (result["failed_requirements"] or result["lost"] or result["corrupt"] or result["duplicates"])
    return clean and result["products_identical"] is not False
