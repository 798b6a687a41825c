"""Takes the figures of docs/performance.md again and rewrites what stands there between its marks.

Usage: performance.py [ROUNDS]   (default 11; from the source tree, after make build-openmpi and scripts/bench-peers: make performance)
Runs the array benchmarks under every MPI that is built, with 2 ranks, and with 4 under Open MPI, whose ranks yield where cores are fewer.
Invariant: a figure in the page was measured in the run that wrote it, beside the others of its row; what was not there is a dash.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import statistics
import sys
from pathlib import Path

from maestro.benchmark import arrays, judge
from maestro.benchmark.campaign import machine
from maestro.benchmark.ranks import FAMILIES, families, ranks
from maestro.benchmark.sources import SourceError, flat

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
TITLES = {
    "auto": "**Maestro**",
    "auto, other": "other memory",
    "auto, nodes": "two nodes",
    "packed": "its packed",
    "staged": "its staged",
    "datatypes": "its datatypes",
    "buffered": "its buffered",
    "shared window": "shared window",
}
OWN_WAYS = ("auto", "auto, other", "auto, nodes", "staged", "datatypes", "packed", "buffered")
CUT_WAYS = (*OWN_WAYS, *arrays.BY_HAND, "ScaLAPACK")
HALO_WAYS = (*OWN_WAYS, *arrays.HALO_BY_HAND, "shared window", "GHEX")
RUNS = [(family, 2) for family in families()] + [("openmpi", 4)] * ("openmpi" in families())
TIMEOUT_S = 1200
REPEATS = 3
failures: list[str] = []
Cases = dict[str, dict[str, dict]]  # case -> way -> {"us", "low", "high", "samples", "note"}


def unrest(ways: dict[str, dict]) -> float:
    """How far the figures of one way are apart within a run, as a ratio of quartiles."""
    return statistics.median(way["high"] / way["low"] if "low" in way else 1.0 for way in ways.values())


def steadiest(runs: list[Cases]) -> Cases:
    """Of each case the run in which figures varied least, whatever they are."""
    return {case: min((of[case] for of in runs if case in of), key=unrest) for case in runs[0]}


def run(family: str, count: int, words: str) -> Cases:
    print(f"{FAMILIES[family]}, {count} ranks: {words}", file=sys.stderr)
    try:
        lines = ranks(family, words, count=count, timeout_s=TIMEOUT_S).output(False).splitlines()
    except SourceError as error:
        failures.append(str(error))
        print(error, file=sys.stderr)
        return {}
    return {case: ways for line in lines if line.startswith("{") for case, ways in json.loads(line).items()}


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def cell(ways: dict[str, dict], way: str, bound: str) -> str:
    if way not in ways:
        return "-"
    us = ways[way]["us"]
    chosen = f" {ways[way]['note']}" if way.startswith("auto") else ""
    return f"{number(us)} ({number(us / ways[bound]['us'])}){chosen}"


def table(cases: Cases, bound: str, names: tuple[str, ...]) -> list[str]:
    there = [way for way in names if any(way in ways for ways in cases.values())]
    head = ["case", f"{bound}, us", *(TITLES.get(way, way) for way in there)]
    lines = [head, ["---"] * len(head)]
    lines += [[case, number(ways[bound]["us"]), *(cell(ways, way, bound) for way in there)] for case, ways in cases.items()]
    return [f"| {' | '.join(line)} |" for line in lines]


def values(runs: dict[str, list[Cases]], i: int) -> dict[str, float]:
    """The figures of a run as rows name them."""
    named = {f"{program}:{name}": value for program, cases in runs.items() for name, value in flat(cases[i]).items()}
    return {name: value for name, value in named.items() if isinstance(value, int | float)}


def bars(family: str, runs: dict[str, list[Cases]]) -> list[str]:
    """How the rows of `maestro bench` stand with these figures: the median of the runs."""
    measured = judge.Measured([values(runs, i) for i in range(REPEATS)])
    lines = ["| row | figure | must | aim | best of the others | |", "| --- | --- | --- | --- | --- | --- |"]
    for row in (row for row in arrays.rows() if row.group == f"arrays-{family}"):
        told = judge.judge(row, measured)
        if told["value"] is None:
            continue
        best = next((f"{one['name']} {number(one['value'])}" for one in told["peers"] if one["name"] == told["best_peer"]), "-")
        verdict = "aim met" if told["aim_met"] else "must met" if told["met"] else "**missed**" if told["met"] is False else ""
        bar = [number(told[name]) if told[name] is not None else "-" for name in ("must", "aim")]
        lines.append(f"| {row.key} | {number(told['value'])} {told['unit']} | {bar[0]} | {bar[1]} | {best} | {verdict} |")
    return lines


def section(family: str, count: int, rounds: int) -> list[str]:
    words = {program: f"{program}/--json/--rounds/{rounds}" for program in ("redistribute", "halo")}
    if count == 2:
        words["python"] = "python/maestro.benchmark.alltoallw"
    runs = {program: [run(family, count, words[program]) for _ in range(REPEATS)] for program in words}
    out = [f"## {FAMILIES[family]}, {count} ranks", ""]
    for program, bound, ways in (("redistribute", "memcpy", CUT_WAYS), ("halo", "copy in place", HALO_WAYS)):
        out += [*table(steadiest(runs[program]), bound, ways), ""]
    if "python" in runs:
        out += ["From Python:", "", *table(steadiest(runs["python"]), "memcpy", ("maestro", "Alltoallw")), ""]
    return [*out, f"Beside the bars, medians of {REPEATS} runs:", "", *bars(family, runs), ""] if count == 2 else out


def write(load: float, rounds: int, body: list[str]) -> None:
    of = machine()
    kernel = ".".join(of["kernel"].split(".")[:2])
    when = f"Taken on {datetime.date.today()}, on {of['cores']} cores of {of['cpu']}, Linux {kernel}, {REPEATS} runs of {rounds} rounds; "
    when += f"load {load:.1f} before and {os.getloadavg()[0]:.1f} after."
    text = PAGE.read_text()
    PAGE.write_text(re.sub(r"(?s)(<!-- figures -->\n).*(<!-- end -->)", lambda m: "\n".join([m[1] + when, "", *body]) + m[2], text))


def main() -> None:
    """Writes after each run of an MPI: what has been measured stands in the page, whatever comes later."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    load, body = os.getloadavg()[0], []
    for family, count in RUNS:
        body += section(family, count, rounds)
        write(load, rounds, body)
    if failures:
        sys.exit(f"{len(failures)} runs failed; what they would have measured is missing in the page")


if __name__ == "__main__":
    main()
