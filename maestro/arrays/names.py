"""The programs of an MPI job find each other by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _mpi, errors
from .library import handle

if TYPE_CHECKING:
    from mpi4py.MPI import Comm, Intracomm

__all__ = ["comm_split"]


def comm_split(comm: Comm, *names: str) -> tuple[Intracomm, ...]:
    """
    Split a communicator, as a rule the world, by names: each name's communicator has the ranks that gave it, in their order.  Collective.

    A rank may be in several.  The ranks speak version 1 of the MPI handshake that couplers have agreed on, so programs that use another
    library's take part.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    *names : str
        This rank's names, all different; none is allowed.

    Returns
    -------
    tuple of mpi4py.MPI.Intracomm
        One for each name.  The caller frees them, in this order, with ``Free()``.

    Raises
    ------
    ArgumentError
        Names are repeated or empty, or no texts.  All ranks get an error, also where one alone is wrong.
    StateError
        MPI is not initialised.
    SystemError
        Maestro is not built for this MPI, or MPI says so.

    Examples
    --------
    >>> from mpi4py import MPI
    >>> ocean, coupled = maestro.comm_split(MPI.COMM_SELF, "ocean", "ocean and ice")
    >>> ocean.size
    1
    >>> ocean.Free(), coupled.Free()
    (None, None)
    """
    c_comm = handle(comm, "split by name")
    try:
        encoded = [bytes_of(name) for name in names]
    except errors.ArgumentError:
        _mpi.refuse_split(c_comm)
        raise
    handles = _mpi.split(c_comm, encoded)
    from mpi4py import MPI

    return tuple(MPI.Comm.f2py(one) for one in handles)


def bytes_of(name: str) -> bytes:
    """As C takes it: UTF-8, to the first zero."""
    if not isinstance(name, str) or "\0" in name:
        raise errors.ArgumentError(f"split by name: a name is {name!r}; give texts, without zero bytes")
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise errors.ArgumentError(f"split by name: the name {name!r} cannot be written as UTF-8: {error.reason}") from None
