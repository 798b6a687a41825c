"""What can be known about a workflow before it is started: programs, launcher, schema, selectors, memory.

Every finding points at its place in the file. Nothing is started and no pool is touched.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..yamlfile import FileError, Source
from . import lines
from .workflow import Component, Workflow


def check(flow: Workflow, source: Source, folder: Path) -> list[str]:
    """All problems of a workflow that has passed its models; empty when it can be started here."""
    problems = []
    launcher = lines.launcher_words() if any(part.ranks for part in flow.components.values()) else None
    for name, component in flow.components.items():
        loc = ("components", name)
        problems += _program(source, loc, component, folder)
        if component.ranks and launcher is None:
            problems.append(source.problem((*loc, "ranks"), "no mpiexec beside this Python and none on PATH; run: pip install mpich"))
        for key in ("offers", "consumes"):
            problems += _selector(source, (*loc, key), getattr(component, key), flow, folder)
    return problems + _memory(source, flow)


def require(flow: Workflow, source: Source, folder: Path) -> None:
    problems = check(flow, source, folder)
    if problems:
        raise FileError(problems)


def _program(source: Source, loc: tuple, component: Component, folder: Path) -> list[str]:
    words = component.words()
    if lines.find_program(words, folder):
        return []
    where = "" if "/" in words[0] else " on PATH or beside this Python"
    return [source.problem((*loc, "run"), f"program '{words[0]}' is not found{where}, or may not be executed")]


def _selector(source: Source, loc: tuple, selector, flow: Workflow, folder: Path) -> list[str]:
    import maestro

    if selector is None:
        return []
    try:
        maestro.check_selector(selector, schema=flow.schema(folder))
    except (maestro.MaestroError, ValueError, TypeError) as error:
        return [source.problem(loc, str(error))]
    return []


def _memory(source: Source, flow: Workflow) -> list[str]:
    if flow.pool is None or flow.pool.memory is None:
        return []
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if flow.pool.memory <= machine:
        return []
    return [source.problem(("pool", "memory"), f"{flow.pool.memory.human_readable()} is more than this machine's {machine >> 20} MiB")]
