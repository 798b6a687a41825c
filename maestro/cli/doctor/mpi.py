"""MPI: does the launcher fit the library that mpi4py loads?

A launcher of another family starts every rank as "rank 0 of 1", and two families in one environment overwrite each other's
launcher; both go wrong without a message, so both are looked for here, and a trial launch has the last word.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

from ...launch import mpi
from ...launch.lines import launcher_words
from .finding import Finding, error, hint, ok, warning

# One write each: launchers mix the pieces of what ranks write in several.
TRIAL = "import os; from mpi4py import MPI; os.write(1, b'world=%d\\n' % MPI.COMM_WORLD.size)"
TRIAL_S = 30.0

_library = cache(mpi.library)


def pip(*words: str) -> str:
    return shlex.join([sys.executable, "-m", "pip", *words])


def package_of(family: str | None) -> str:
    return next((package for package, theirs in mpi.PACKAGES.items() if theirs == family), "mpich")


def launchers() -> Iterator[Finding]:
    """Every launcher that a user may hit, against the library."""
    library = _library()
    if library.error:
        yield _no_library(library.error)
        return
    yield ok("mpi library", f"mpi4py loads {library.text} ({library.path or 'linked statically'})")
    paths = dict.fromkeys(filter(None, [shutil.which("mpirun"), shutil.which("mpiexec"), mpi.beside_python()]))
    if not paths:
        yield error("mpi launcher", "no mpirun or mpiexec on PATH, and none beside this Python", pip("install", package_of(library.family)))
    for path in paths:
        yield _launcher(mpi.ask(path), library)


def _no_library(reason: str) -> Finding:
    if "No module named 'mpi4py'" in reason:
        return hint("mpi library", "mpi4py is not installed; programs with MPI ranks need it", pip("install", "mpi4py", "mpich"))
    return error("mpi library", f"mpi4py cannot load an MPI library: {reason}", pip("install", "--force-reinstall", "mpich"))


def _launcher(found: mpi.Launcher, library: mpi.Library) -> Finding:
    if found.family is None:
        return warning(
            "mpi launcher", f"{found.path} does not say which MPI it belongs to: {found.text}", f"{shlex.quote(found.path)} --version"
        )
    if found.family == library.family:
        return ok("mpi launcher", f"{found.path} is of {found.family}, as the library")
    text = (
        f"{found.path} is of {found.family}, but mpi4py loads {library.family} ({library.path}): "
        "every rank that it starts believes to be rank 0 of 1"
    )
    return error("mpi launcher", text, _mend(found.path, library))


def _mend(path: str, library: mpi.Library) -> str:
    """Put the right launcher first on PATH where there is one; otherwise install it."""
    beside = mpi.beside_python()
    if beside and beside != path and mpi.ask(beside).family == library.family:
        return f"export PATH={shlex.quote(os.path.dirname(beside))}:$PATH"
    return pip("install", "--force-reinstall", package_of(library.family))


def families() -> Iterator[Finding]:
    """Packages of two families in one environment."""
    found = {}
    for package, family in mpi.PACKAGES.items():
        try:
            found[family] = f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    if len(found) < 2:
        return
    keep = package_of(_library().family)
    others = [package for package in mpi.PACKAGES if mpi.PACKAGES[package] in found]
    text = f"{' and '.join(found.values())} are installed in one environment: they overwrite each other's mpirun and libmpi"
    yield error("mpi families", text, f"{pip('uninstall', '-y', *others)} && {pip('install', keep)}")


def trial() -> Iterator[Finding]:
    """Two ranks, started the way `maestro run` does it, must see each other."""
    words = launcher_words()
    if words is None or _library().error:
        return
    line = [*words, "-n", "2", sys.executable, "-c", TRIAL]
    try:
        done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=TRIAL_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        yield error("mpi trial", f"2 ranks started by {words[0]} did not end within {TRIAL_S:.0f} s", shlex.join(line))
        return
    worlds = re.findall(r"world=(\d+)", done.stdout)
    if worlds == ["2", "2"]:
        yield ok("mpi trial", f"2 ranks started by {words[0]} see each other")
    elif worlds == ["1", "1"]:
        yield error("mpi trial", f"2 ranks started by {words[0]} each see a world of 1", _mend(words[0], _library()))
    else:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        yield error("mpi trial", f"2 ranks started by {words[0]} failed with exit code {done.returncode}: {last[0]}", shlex.join(line))
