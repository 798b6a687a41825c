"""Runs the sources of each group in turn, again and again, and says how far it is.

Invariant: Maestro and its peers of one group alternate, so a machine that grows busy slows all of them.
"""

from __future__ import annotations

import fnmatch
import os
import shlex
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import groups as plan
from . import judge, rows
from .sources import BIN, Source, SourceError

REPETITIONS, QUICK_REPETITIONS = 5, 3  # the most, and the least
BUDGET_S = 240  # beyond the least, repetitions are made while the run is on its way to end within this time


def chosen_rows(patterns: list[str]) -> list[rows.Row]:
    everything = rows.rows()
    chosen = [row for row in everything if not patterns or any(fnmatch.fnmatch(row.key, p) or row.group == p for p in patterns)]
    if not chosen:
        raise ValueError(f"no row is called {', '.join(patterns)}; there are: {', '.join(row.key for row in everything)}")
    return chosen


def run(patterns: list[str], quick: bool, progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Everything: measured, judged, as one JSON object."""
    if not any(BIN.glob("maestro-bench-*")):
        raise ValueError(f"the benchmark programs are not in {BIN}; they come with a build from the source tree: make build")
    wanted = chosen_rows(patterns)
    groups = {name: sources for name, sources in plan.groups().items() if any(row.group == name for row in wanted)}
    began, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="mb-", ignore_cleanup_errors=True) as folder:
        os.environ |= {"MAESTRO_DIR": folder, "TMPDIR": folder}
        measured = measure(groups, quick, progress)
    judged = [judge.judge(row, measured[row.group]) for row in wanted]
    left_out = [row["key"] for row in judged if row.get("missing") == judge.LEFT_OUT]
    judged = [row for row in judged if row["key"] not in left_out]
    return {
        "machine": machine() | {"load_before": load, "load_after": os.getloadavg()[0]},
        "quick": quick,
        "repetitions": f"{QUICK_REPETITIONS} to {REPETITIONS}" if not quick else QUICK_REPETITIONS,
        "seconds": round(time.monotonic() - began, 1),
        "rows": judged,
        "missed": [row["key"] for row in judged if row["met"] is False],
        "close": [row["key"] for row in judged if row["close"]],
        "behind_a_peer": [row["key"] for row in judged if row["against_peers"] == "behind"],
        "level_with_a_peer": [row["key"] for row in judged if row["against_peers"] == "level"],
        "quicker_references": {row["key"]: names for row in judged if (names := judge.quicker_references(row))},
        "failed": {f"{group}:{name}": why for group, m in measured.items() for name, why in m.missing.items()},
        "left_out": left_out,
        "not_measured": rows.not_measured(),
    }


def repetitions(quick: bool) -> int:
    return QUICK_REPETITIONS if quick else REPETITIONS


def measure(groups: dict[str, dict[str, Source]], quick: bool, progress: Callable[[float, str], None]) -> dict[str, judge.Measured]:
    measured = {name: judge.Measured() for name in groups}
    for name, sources in groups.items():
        for source in sources:
            if quick and any(fnmatch.fnmatch(f"{name}:{source}", pattern) for pattern in plan.NOT_QUICK):
                measured[name].left_out.add(source)
    total = sum(
        1 if s.once else repetitions(quick) for g, sources in groups.items() for n, s in sources.items() if n not in measured[g].left_out
    )
    done, began = 0, time.monotonic()
    for group, sources in groups.items():
        for repetition in range(repetitions(quick)):
            if repetition >= QUICK_REPETITIONS and time.monotonic() - began > BUDGET_S * (done + 1) / total:
                done += sum(not s.once for n, s in sources.items() if n not in measured[group].left_out)
                continue
            measured[group].repetitions.append({})
            for name, source in sources.items():
                if name in measured[group].left_out or (source.once and repetition):
                    continue
                progress(done / total, f"{group}: {name}")
                take(measured[group], name, source, quick)
                done += 1
    progress(1.0, "done")
    return measured


def take(measured: judge.Measured, name: str, source: Source, quick: bool) -> None:
    """One run; its figures join the last repetition.  What is missing is asked for once only."""
    measured.commands[name] = shlex.join([Path(word).name if i == 0 else word for i, word in enumerate(source.command(quick))])
    if measured.missing.get(name, "").startswith("missing:"):
        return
    try:
        figures = source.run(quick)
    except SourceError as error:
        measured.missing[name] = str(error)
        return
    measured.repetitions[-1] |= {f"{name}:{figure}": value for figure, value in figures.items() if isinstance(value, (int, float))}


def machine() -> dict[str, Any]:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "unknown"
    )
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release}
