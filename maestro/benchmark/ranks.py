"""Benchmarks that run under mpirun: programs of benchmarks/mpi, one for each MPI family, and their Python twin.

A family is there when its program was built.  Its launcher is the one beside the MPI library that the program is linked with, and its
peers' libraries are in the folder that scripts/bench-peers made.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import sources
from .sources import BIN, Source, SourceError

FAMILIES = {"mpich": "MPICH", "openmpi": "Open MPI"}
PEERS = {"redistribute": "libscalapack.so", "halo": "libbench_ghex.so"}  # what a program opens
TIMEOUT_S = 240  # of a short run
# Open MPI refuses root, and more ranks than cores, unless told; with more it is to yield.
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def program(name: str, family: str) -> Path:
    return BIN / f"maestro-bench-{name}-{family}"


def families() -> list[str]:
    return [family for family in FAMILIES if program("halo", family).exists()]


def launcher(family: str) -> Path:
    """mpirun of the MPI that the family's programs are linked with."""
    linked = subprocess.run(["ldd", str(program("halo", family))], check=False, capture_output=True, text=True).stdout
    found = next((line.split("=>")[1].split()[0] for line in linked.splitlines() if "libmpi.so" in line and "=> /" in line), None)
    return Path(found).parents[1] / "bin" / "mpirun" if found else Path("mpirun")


@dataclass(frozen=True)
class RanksSource(Source):
    """One run under mpirun; `words` begin with the program's name, or with "python" and a module's."""

    family: str = "mpich"
    ranks: int = 2
    timeout_s: float = TIMEOUT_S

    def command(self, quick: bool) -> list[str]:
        mpirun = launcher(self.family)
        name, *rest = self.quick if quick else self.words
        start = [str(mpirun), "-n", str(self.ranks)]
        if name == "python":
            return [*start, str(mpirun.with_name("python")), "-m", *rest]
        peer = peers_folder(self.family) / PEERS[name]
        return [*start, str(program(name, self.family)), *(("--peer", str(peer)) if peer.exists() else ()), *rest]

    def run(self, quick: bool) -> dict[str, Any]:
        return sources.parse(self.output(quick))

    def output(self, quick: bool) -> str:
        """What the program printed.  Its own MPI is found by its own path; the folder of peers is for what their libraries need."""
        path = os.pathsep.join(str(place) for place in (Path(__file__).parents[2], os.environ.get("PYTHONPATH")) if place)
        folder = {"LD_LIBRARY_PATH": str(peers_folder(self.family)), "PYTHONPATH": path}
        command = self.command(quick)
        try:
            status, out, err = sources.run_group(command, os.environ | ENVIRONMENT | folder, self.timeout_s)
        except (subprocess.TimeoutExpired, OSError) as error:
            raise SourceError(f"{Path(command[0]).name} of {FAMILIES[self.family]}: {error}") from error
        if status != 0:
            raise SourceError(f"{' '.join(command)}: exit {status}: {(err.strip().splitlines() or ['nothing was said'])[-1]}")
        return out


def peers_folder(family: str) -> Path:
    return BIN / f"peers-{family}"


def ranks(family: str, words: str, quick: str | None = None, *, count: int = 2, **more: Any) -> RanksSource:
    """Case names have blanks: words are separated by '/'."""
    return RanksSource(
        tuple(words.split("/")), tuple((words if quick is None else quick).split("/")), once=True, family=family, ranks=count, **more
    )
