"""The columns of the comparison: one run per sink. Each is the same plan with another sink, in a directory of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from pathlib import Path

import yaml

from . import report, trace
from .errors import WeatherError
from .stage import Stage, component, ranks
from .trace import Kind

FDB = ("fdb.shm_field", "fdb.shm_step", "fdb.disk_field", "fdb.disk_step")
ALL = ("maestro", *FDB)
HAMMERS = 2
LIMIT_S = 240
SETTLE_S = 2
numbers = itertools.count()


class NoRoomError(WeatherError, OSError):
    """There is no file system in memory, or too little room on it."""


class Column:
    """One run: the plan with this column's sink, the components, the figures."""

    def __init__(self, name: str, plan: dict, wishes: list[dict], folder: Path, *, dry: bool = False, faults: tuple[int, int] = (-1, -1)):
        self.name, self.wishes, self.dry, self.faults = name, wishes, dry, faults
        self.run = folder / "runs" / name
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(parents=True)
        self.store = None
        self.plan = plan | {"sink": name.split(".", maxsplit=1)[0]}
        if self.plan["sink"] == "fdb":
            place, self.flush = name.split(".")[1].split("_")
            self.store = memory_folder() / f"{os.getpid()}-{name}" if place == "shm" else self.run / "fdb"
            self.plan["fdb"] = {"root": str(self.store), "flush": self.flush}

    def execute(self, *, draw: bool, environment: dict[str, str], progress=lambda count: None) -> dict:
        """Run all components of this column to their end; returns the figures. `progress` gets a function that counts received fields."""
        plan, wishes = write_yaml(self.run / "plan.yaml", self.plan), write_yaml(self.run / "requirements.yaml", self.wishes)
        environment = environment | {"MAESTRO_POOL": f"weather-{os.getpid()}-{next(numbers)}"}  # an earlier run's pool may still linger
        seen = trace.Tally(self.run / "trace", "products.*", Kind.RECEIVED)
        try:
            with Stage(self.run, environment) as stage:
                self._start(stage, plan, wishes, draw)
                stage.wait(LIMIT_S, {"products": (0, 1)}, lambda: progress(seen))
        finally:
            for store in (self.store, self.run / "archive"):
                if store:
                    shutil.rmtree(store, ignore_errors=True)
            if self.dry:
                settle()
        return report.figures(self.run)

    def _start(self, stage: Stage, plan: Path, wishes: Path, draw: bool) -> None:
        pool = self.plan["sink"] == "maestro"
        run = ["--run", str(self.run)]
        flags = ["--dry-run"] * self.dry + ["--pictures"] * (draw and not pool)
        if draw:
            stage.start("pictures", component("pictures", str(plan), str(wishes), *run))
        stage.start("products", component("products", str(plan), str(wishes), *run, "--limit", str(LIMIT_S), *flags))
        if pool and not self.dry and not self.plan.get("input"):
            stage.start("archive", component("archive", str(plan), *run))
        faults = ["--corrupt-field", str(self.faults[0]), "--drop-field", str(self.faults[1])]
        stage.start("hammer", ranks(HAMMERS, component("hammer", str(plan), *run, *faults)))


def settle() -> None:
    """What this column has left to the kernel, written pages and freed ones, is not to be paid by the next one."""
    os.sync()
    time.sleep(SETTLE_S)


def forecast(folder: Path, plan: dict, environment: dict[str, str], progress=lambda count: None) -> dict:
    """Make the forecast once, into files, and return the plan that replays it."""
    run = folder / "forecast"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    path = write_yaml(run / "plan.yaml", plan | {"sink": "file", "workers": 0, "mode": "encode", "rate": 0})
    with Stage(run, environment) as stage:
        stage.start("hammer", ranks(HAMMERS, component("hammer", str(path), "--run", str(run))))
        placed = trace.Tally(run / "trace", "hammer.*", Kind.PLACED)
        stage.wait(LIMIT_S, progress=lambda: progress(placed))
    return plan | {"mode": "replay", "forecast": str(run / "fields")}


def write_yaml(path: Path, data) -> Path:
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    return path


def memory_folder(need: int = 0) -> Path:
    """A folder in memory (tmpfs) with room for `need` bytes; NoRoomError says what there is."""
    places = ["/dev/shm", *_tmpfs_mounts()]
    for place in places:
        if os.access(place, os.W_OK) and _is_tmpfs(place) and shutil.disk_usage(place).free >= need:
            folder = Path(place) / f"maestro-weather-{os.getuid()}"
            folder.mkdir(mode=0o700, exist_ok=True)
            return folder
    tried = ", ".join(dict.fromkeys(places))
    raise NoRoomError(f"find a file system in memory with {need / 1e9:.1f} GB: none among {tried}; mount a tmpfs on /dev/shm")


def _tmpfs_mounts() -> list[str]:
    lines = Path("/proc/mounts").read_text().splitlines() if Path("/proc/mounts").exists() else []
    return [line.split()[1] for line in lines if line.split()[2] == "tmpfs"]


def _is_tmpfs(place: str) -> bool:
    return place in _tmpfs_mounts()


def leftovers() -> None:
    """Remove stores in memory that a killed demo has left."""
    try:
        place = memory_folder()
    except NoRoomError:
        return
    for entry in place.iterdir():
        owner = entry.name.split("-")[0]
        if not (owner.isdigit() and Path(f"/proc/{owner}").exists()):
            shutil.rmtree(entry, ignore_errors=True)
