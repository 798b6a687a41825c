"""Which libmaestro_mpi this process needs: the one of mpi4py's MPI.  It is loaded when the first communicator comes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .. import errors
from ..launch.mpi import family_of

if TYPE_CHECKING:
    from mpi4py.MPI import Comm

FOLDER = Path(__file__).parents[1] / "_lib"
# Intel MPI has the binary interface of MPICH.
FOLDERS = {"MPICH": "mpich", "Intel MPI": "mpich", "Open MPI": "openmpi"}


def path_for(text: str) -> Path:
    """The library for the MPI that says this about itself (MPI_Get_library_version)."""
    family = family_of(text)
    path = FOLDER / FOLDERS.get(family, "none") / "libmaestro_mpi.so.0"
    if not path.exists():
        built = ", ".join(sorted(one.parent.name for one in FOLDER.glob("*/libmaestro_mpi.so.0"))) or "none"
        what = f"it is not built for mpi4py's MPI, {family or text.splitlines()[0]} (built for: {built})"
        raise errors.SystemError(f"load libmaestro_mpi: {what}; build Maestro with that MPI's mpicc first on PATH")
    return path


def handle(comm: Comm, operation: str) -> int:
    """A communicator as the C library takes it; from here on the library is loaded."""
    if not hasattr(comm, "py2f"):
        raise errors.ArgumentError(f"{operation}: comm is {comm!r}; give a communicator of mpi4py")
    from mpi4py import MPI

    from .. import _mpi

    _mpi.load(str(path_for(MPI.Get_library_version())))
    return comm.py2f()
