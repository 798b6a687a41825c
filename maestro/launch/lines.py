"""The launch lines: how each component of a workflow is started on this machine.

Ranks go through mpiexec (or srun inside a SLURM allocation), processes are started plainly. Lines are lists of words, ready
for exec; no shell is between, so nothing in a workflow file is expanded behind the user's back.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from . import mpi
from .workflow import Component


class LaunchError(RuntimeError):
    """A component cannot be started on this machine."""


@dataclass(frozen=True)
class Line:
    """One process that `maestro run` starts; `ranks` of them join under it."""

    component: str
    words: list[str]
    ranks: int
    first_rank: int
    cores: tuple[int, ...] = ()  # that it is bound to, all its ranks together; empty: to none
    background: bool = False  # it gives way to others

    def text(self) -> str:
        return shlex.join(self.words)


def search_path() -> str:
    """PATH as components see it: programs beside this Python come first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def find_program(words: list[str], folder: Path) -> str | None:
    """The file that the first word of a command stands for, or None."""
    program = words[0]
    if "/" in program:
        path = folder / program
        return str(path) if os.access(path, os.X_OK) and path.is_file() else None
    return shutil.which(program, path=search_path())


def inside_slurm() -> bool:
    return "SLURM_JOB_ID" in os.environ and shutil.which("srun") is not None


def lines_of(name: str, component: Component, launcher: list[str] | None) -> list[Line]:
    """The lines of one component; `launcher` (from `launcher_words`) is used for ranks only."""
    words = component.words()
    if component.ranks is None:
        return [Line(name, words, 1, number) for number in range(component.processes)]
    if launcher is None:
        raise LaunchError(
            f"start {name}: no mpiexec beside {sys.executable} and none on PATH; install one with: {sys.executable} -m pip install mpich"
        )
    if component.resources.cores and launcher[0] == "srun":
        launcher = [*launcher, f"--cpus-per-task={component.resources.cores}"]
    return [Line(name, [*launcher, "-n", str(component.ranks), *words], component.ranks, 0)]


def launcher_words() -> list[str] | None:
    """The words before `-n RANKS`: srun inside a SLURM allocation, else the mpiexec that fits this Python; None: there is none."""
    if inside_slurm():
        family = mpi.library().family
        # srun starts Open MPI through PMIx only, which few sites' SLURM can load; its own mpiexec knows allocations.
        if family != "Open MPI":
            return srun_words(family)
    path = mpi.find_launcher()
    if path is None:
        return None
    return [path, *open_mpi_words()] if mpi.ask(path).family == "Open MPI" else [path]


def open_mpi_words() -> list[str]:
    # Open MPI counts cores before it starts anything and refuses user id 0; the file says how many ranks, and the user who
    # typed the command is who they are.
    return ["--oversubscribe"] + (["--allow-run-as-root"] if os.geteuid() == 0 else [])


def srun_words(family: str | None) -> list[str]:
    """srun for one component: a step of its own that shares the allocation's first node with the other components."""
    words = ["srun", "--overlap", "--nodes=1", "--relative=0", "--quit-on-interrupt"]
    return [*words, "--mpi=pmi2"] if family in ("MPICH", "Intel MPI") else words
