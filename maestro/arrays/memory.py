"""Arrays of a layout in memory that the other ranks of the node can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _mpi, errors
from .layout import Layout
from .library import handle

if TYPE_CHECKING:
    from mpi4py.MPI import Comm

__all__ = ["empty"]


def part_of(layout: Layout, part: int | None, rank: int) -> int:
    """Which part of a layout a rank has: that of its number, and the only one of boxes and indices."""
    if part is not None:
        return part
    return rank if layout.kind in ("blocks", "block_cyclic") else 0


def empty(layout: Layout, dtype: Any, comm: Comm, *, part: int | None = None) -> np.ndarray:
    """
    An array for a part of a layout, ghost cells included, of which other ranks of the node copy without detour.  Local.

    The memory is given back with the last view of the array.  It has room for zeros, which are made where it is touched first.

    Parameters
    ----------
    layout : Layout
    dtype : dtype
        Any but Python objects.
    comm : mpi4py.MPI.Comm
        Of the ranks that hold the parts.
    part : int, optional
        Which part; default is that of this rank's number in `comm`, or the only one of boxes and indices.

    Returns
    -------
    numpy.ndarray
        Of shape ``layout.local(part).shape``, in the layout's order.

    Raises
    ------
    ArgumentError
        There is no such part, or it is no communicator.
    SystemError
        No memory, or no descriptor: each array has one; or Maestro is not built for this MPI.

    Examples
    --------
    >>> from mpi4py import MPI
    >>> columns = maestro.Layout.blocks((4, 6), grid=(1, MPI.COMM_SELF.size), order="F", ghosts=1)
    >>> a = maestro.empty(columns, "f8", MPI.COMM_SELF)
    >>> a.shape, a.strides
    ((6, 8), (8, 48))
    """
    handle(comm, "empty")
    dtype = np.dtype(dtype)
    if dtype.hasobject:
        raise errors.ArgumentError(f"empty: dtype {dtype} has Python objects, which mean nothing to other ranks")
    local = layout.local(part_of(layout, part, comm.rank))
    memory = _mpi.Memory(max(local.size * dtype.itemsize, 1))
    return np.ndarray(local.shape, dtype, memory, strides=[stride * dtype.itemsize for stride in local.strides])
