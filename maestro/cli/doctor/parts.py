"""Optional parts: what is missing and how to get it, what is there and cannot be loaded.

Each part is imported in a process of its own: some load large libraries, and a broken one may crash.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .finding import Finding, error, hint, ok
from .mpi import pip

IMPORT_S = 60.0


@dataclass(frozen=True)
class Part:
    module: str
    package: str
    use: str


PARTS = (
    Part("eccodes", "eccodes", "GRIB messages"),
    Part("pyfdb", "pyfdb", "the archive FDB"),
    Part("mir", "mir-python", "interpolation with MIR"),
    Part("matplotlib", "matplotlib", "maps and timelines"),
    Part("mpi4py", "mpi4py", "MPI ranks in Python"),
    Part("cupy", "cupy-cuda12x", "arrays on a GPU"),
)


def optional() -> Iterator[Finding]:
    wanted = [part for part in PARTS if part.module != "cupy" or os.path.exists("/dev/nvidiactl")]
    trials = [(part, _import(part.module)) for part in wanted]
    for part, process in trials:
        yield _judge(part, process)
    if len(wanted) < len(PARTS):
        yield ok("part cupy", "not needed: there is no GPU here")


def fortran() -> Iterator[Finding]:
    """Programs in Fortran need a compiler, and Maestro's module, which is built with it."""
    compiler = shutil.which(os.environ.get("FC", "gfortran"))
    if compiler is None:
        yield hint("part fortran", "programs in Fortran: no compiler, so that the module maestro is not built", "apt-get install gfortran")
    else:
        yield ok("part fortran", f"programs in Fortran: {compiler}")


def requirement(package: str) -> str:
    """The package as Maestro's own metadata asks for it, with the version that fits the others."""
    try:
        asked = importlib.metadata.requires("maestro-hpc") or []
    except importlib.metadata.PackageNotFoundError:
        asked = []
    texts = [text.partition(";")[0].strip() for text in asked]
    return next((text for text in texts if re.split(r"[^A-Za-z0-9_-]", text)[0] == package), package)


def _import(module: str) -> subprocess.Popen:
    code = f"import {module} as m; print(getattr(m, '__version__', ''))"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _judge(part: Part, process: subprocess.Popen) -> Finding:
    name = f"part {part.module}"
    try:
        stdout, stderr = process.communicate(timeout=IMPORT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return error(
            name, f"importing it takes longer than {IMPORT_S:.0f} s", pip("install", "--force-reinstall", requirement(part.package))
        )
    if process.returncode == 0:
        return ok(name, f"{part.use}: {stdout.split()[-1] if stdout.split() else 'installed'}")
    last = (stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
    if f"No module named '{part.module}'" in last:
        return hint(name, f"{part.use}: not installed", pip("install", requirement(part.package)))
    return error(
        name, f"{part.use}: installed, but cannot be loaded: {last}", pip("install", "--force-reinstall", requirement(part.package))
    )
