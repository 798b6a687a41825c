"""The command maestro-link: the program of the MPI family that launched it takes this process's place."""

import os
import sys
from pathlib import Path

FAMILIES = ("mpich", "openmpi")


def family() -> str:
    """Whose launcher started this process; without one MPICH's, which also runs alone."""
    return "openmpi" if "OMPI_COMM_WORLD_SIZE" in os.environ else "mpich"


def program(name: str) -> Path:
    return Path(__file__).parents[1] / "_bin" / f"maestro-link-{name}"


def main() -> None:
    path = program(family())
    if not path.exists():
        built = ", ".join(name for name in FAMILIES if program(name).exists()) or "none"
        what = f"it is not built for this launcher's MPI ({family()}; built for: {built})"
        sys.exit(f"maestro-link: {what}; build Maestro with that MPI's mpicc first on PATH")
    os.execv(path, [str(path), *sys.argv[1:]])


if __name__ == "__main__":
    main()
