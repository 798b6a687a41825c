"""Where figures come from: one run of a program that prints one JSON object, in a pool of its own.

Programs are those of benchmarks/*.c and `python -m maestro.benchmark.duo`.  Nothing is judged here.
Invariant: a source that fails says so with the program's own last words; it never becomes a figure.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(__file__).parents[1] / "_bin"
TIMEOUT_S = 60
_pools = itertools.count()


class SourceError(Exception):
    """A program gave no figures."""


@dataclass(frozen=True)
class Source:
    """One program with its words; `peer` names the system it measures when it is not Maestro."""

    words: tuple[str, ...]
    quick: tuple[str, ...]  # the words of a quick run
    peer: str | None = None
    once: bool = False  # repeats itself inside and prints medians

    def command(self, quick: bool) -> list[str]:
        name, *rest = self.quick if quick else self.words
        return [*program(name), *rest]

    def run(self, quick: bool) -> dict[str, Any]:
        environment = os.environ | {
            "MAESTRO_POOL": f"bench-{os.getpid()}-{next(_pools)}",
            "MAESTRO_LINGER_S": "0.1",
        }  # no manager lingers beside the next one
        command = self.command(quick)
        try:
            status, out, err = run_group(command, environment)
        except (subprocess.TimeoutExpired, OSError) as error:
            raise SourceError(f"{shlex.join(command)}: {error}") from error
        if status != 0:
            words = err.strip().splitlines() or ["nothing was said"]
            raise SourceError(f"{shlex.join(command)}: exit {status}: {words[-1]}")
        return parse(out)


def run_group(command: list[str], environment: dict[str, str], timeout_s: float | None = None) -> tuple[int, str, str]:
    """A program and all that it starts: after a timeout none of them goes on."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=timeout_s or TIMEOUT_S)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process.returncode, out, err


def program(name: str) -> list[str]:
    return [sys.executable, "-m", "maestro.benchmark.duo"] if name == "duo" else [str(BIN / f"maestro-bench-{name}")]


def parse(text: str) -> dict[str, Any]:
    """One JSON object with numbers, also nested ones: {"a": {"b": 1}} gives "a.b"; of lines with a name in "row", its parts follow that."""
    lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not lines:
        raise SourceError("a program printed nothing")
    figures: dict[str, Any] = {}
    for line in lines:
        name = line.pop("row", None)
        figures |= flat(line if name is None else {name: {"value_ns": line["value_ns"], line["peer"]: line["peer_ns"]}})
    return figures


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out = {}
    for key, inner in value.items():
        out |= flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {prefix + key: inner}
    return out


def c(program: str, words: str, quick: str | None = None, **more: Any) -> Source:
    return Source((program, *words.split()), (program, *(words if quick is None else quick).split()), **more)


def python(peer: str, words: str, quick: str | None = None, **more: Any) -> Source:
    named = None if peer == "maestro" else peer
    return Source(("duo", peer, *words.split()), ("duo", peer, *(words if quick is None else quick).split()), peer=named, **more)
