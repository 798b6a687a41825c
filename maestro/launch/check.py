"""What can be known about a workflow before it is started: programs, launcher, selectors and whether they meet, cores, memory.

Every finding points at its place in the file. An error is what cannot work; a warning is what can, and was hardly meant. Nothing is
started and no pool is touched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ByteSize

from ..errors import MaestroError
from ..yamlfile import FileError, Source
from . import lines
from .overlap import Selection, first_selection
from .workflow import Component, Workflow

SHOWN = 8  # values in a message


@dataclass
class Findings:
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Said:
    """A selector of the file: who says it, and where."""

    component: str
    loc: tuple
    selection: Selection


def check(flow: Workflow, source: Source, folder: Path) -> Findings:
    """All findings about a workflow that has passed its models; without errors it can be started here."""
    found = Findings()
    launcher = lines.launcher_words() if any(part.ranks for part in flow.components.values()) else None
    for name, component in flow.components.items():
        loc = flow.place(name)
        found.errors += _program(source, loc, component, folder)
        if component.ranks and launcher is None:
            found.errors.append(source.problem((*loc, "ranks"), "no mpiexec beside this Python and none on PATH; run: pip install mpich"))
    offers = _selections(flow, source, folder, "offers", found)
    consumes = _selections(flow, source, folder, "consumes", found)
    if not found.errors:
        _unsatisfied(flow, source, offers, consumes, found)
        _unused(flow, source, offers, consumes, found)
    _groups(flow, source, found)
    found.errors += _cores(source, flow) + _memory(source, flow)
    return found


def require(flow: Workflow, source: Source, folder: Path) -> None:
    """Raises FileError when a workflow cannot be started here."""
    errors = check(flow, source, folder).errors
    if errors:
        raise FileError(errors)


def _program(source: Source, loc: tuple, component: Component, folder: Path) -> list[str]:
    words = component.words()
    if lines.find_program(words, folder):
        return []
    where = "" if "/" in words[0] else " on PATH or beside this Python"
    return [source.problem((*loc, "run"), f"program '{words[0]}' is not found{where}, or may not be executed")]


# ---- Selectors


def _selections(flow: Workflow, source: Source, folder: Path, key: str, found: Findings) -> list[Said]:
    """The selectors under one key of all components; those that are wrong become errors."""
    said = []
    for name, component in flow.components.items():
        for index, selector in enumerate(getattr(component, key) or ()):
            loc = (*flow.place(name), key, index)
            try:
                said.append(Said(name, loc, first_selection(selector, flow.schemas(name, folder))))
            except (MaestroError, ValueError, TypeError) as error:
                found.errors.append(source.problem(loc, str(error)))
    return said


def _unsatisfied(flow: Workflow, source: Source, offers: list[Said], consumes: list[Said], found: Findings) -> None:
    """Consumers without producers; as long as a component says nothing of itself it may be the producer."""
    silent = [name for name, part in flow.components.items() if part.unsaid]
    for one in consumes:
        if any(other.selection.meets(one.selection) for other in offers):
            continue
        message = f"no component offers what {one.component} consumes here"
        if silent:
            message += f"; {', '.join(silent)} may, but does not say what it offers"
        (found.warnings if silent else found.errors).append(source.problem(one.loc, message))


def _unused(flow: Workflow, source: Source, offers: list[Said], consumes: list[Said], found: Findings) -> None:
    """What nobody uses; not known as long as a component says nothing of itself."""
    if any(part.unsaid for part in flow.components.values()):
        return
    users = [one.selection for one in consumes]
    for one in offers:
        if not any(one.selection.meets(user) for user in users):
            found.warnings.append(source.problem(one.loc, f"no component consumes anything of what {one.component} offers here"))
            continue
        for key, values in one.selection.unused(users).items():
            found.warnings.append(source.problem(one.loc, f"no component consumes {key} = {_listed(values)}"))


def _listed(values: list) -> str:
    shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values[:SHOWN])
    return f"{shown} and {len(values) - SHOWN} more" if len(values) > SHOWN else shown


def _groups(flow: Workflow, source: Source, found: Findings) -> None:
    """Members of a group share one stream, so they must select the same."""
    first: dict[str, str] = {}
    for name, part in flow.components.items():
        if part.group is None:
            continue
        other = first.setdefault(part.group, name)
        if flow.components[other].consumes != part.consumes:
            message = f"group '{part.group}' has another selector in component {other}; members of a group consume the same"
            found.errors.append(source.problem(("components", name, "group"), message))


# ---- Resources


def _cores(source: Source, flow: Workflow) -> list[str]:
    have, used = len(os.sched_getaffinity(0)), 0
    for name, part in flow.components.items():
        used += (part.resources.cores or 0) * part.size()
        if part.resources.cores and used > have:
            message = f"with this one the components need {used} cores, and {have} are there; without 'cores' they share them"
            return [source.problem(("components", name, "resources", "cores"), message)]
    return []


def _memory(source: Source, flow: Workflow) -> list[str]:
    """The pool's limit and all that components need, against what this process may have of the machine."""
    have, used = _machine_memory(), 0
    needs = [(("pool", "memory"), flow.pool.memory)] if flow.pool and flow.pool.memory else []
    for name, part in flow.components.items():
        if part.resources.memory:
            needs.append((("components", name, "resources", "memory"), part.resources.memory * part.size()))
    for loc, nbytes in needs:
        used += nbytes
        if used > have:
            others = "" if used == nbytes else f" with {_human(used - nbytes)} before it"
            return [source.problem(loc, f"{_human(nbytes)}{others} is more than this machine's {_human(have)}")]
    return []


def _human(nbytes: int) -> str:
    return ByteSize(nbytes).human_readable()


def _machine_memory() -> int:
    from .. import _core

    limits = _core.info()["memory"]
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *(limits[name] for name in ("cgroup_limit", "batch_share") if limits.get(name))])
