"""Plans: redistributions and halo exchanges, made once by all ranks together and used many times."""

from __future__ import annotations

import os
from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import _core, _mpi, errors
from .fields import DType, Field, dtypes_of, elements, fields_of, moves_as_is
from .layout import Layout
from .library import handle
from .memory import part_of

if TYPE_CHECKING:
    from mpi4py.MPI import Comm

__all__ = ["Halo", "Plan", "redistribute", "relabel"]

NAMES = ("auto", "auto_private", "packed", "shared", "datatypes", "staged", "buffered")
METHODS = {name: getattr(_core, f"MAESTRO_METHOD_{name.upper()}") for name in NAMES}
Arrays = Any  # an array, a sequence of arrays, or None


class Explanation(dict):
    """What a use of a plan does on this rank, as `Plan.explain` gives it; ``str()`` is for people."""

    def __str__(self) -> str:
        others = self["messages"]
        sent, received = (sum(other[f"{what}_bytes"] for other in others) for what in ("sent", "received"))
        lines = [f"method {self['method']}: keeps {self['kept_bytes']:,} bytes, sends {sent:,}, receives {received:,}"]
        for other in others:
            lines.append(f"  rank {other['rank']}, {other['way']}: sends {other['sent_bytes']:,}, receives {other['received_bytes']:,}")
        tried = sorted(self["trial_s"].items(), key=lambda pair: pair[1])
        if tried:
            lines.append("  tried: " + ", ".join(f"{name} {1e6 * seconds:,.1f} us" for name, seconds in tried))
        return "\n".join(lines)


class Plan(_mpi.PlanHandle):
    """
    How the elements of an array get from one layout to another, among the ranks of a communicator; made by `redistribute`.

    A plan is called with the arrays, or started and waited for, with work between them.  Of each side it takes an array, or for several
    fields a sequence of them, or None where this rank has no part of it.  Sources must not be written and targets not be read until it is
    done; they must not share memory.  One thread at a time uses a plan.  As the target of a ``with`` block it is closed at its end.

    Arrays on a device (those that have ``__cuda_array_interface__``, as CuPy's) are staged: copied as a whole to host memory that the plan
    keeps, and back where they are targets.

    Attributes
    ----------
    timeout : float
        Seconds that `wait` waits by default.
    """

    def __call__(self, source: Arrays = None, target: Arrays = None, *, stream: Any = None, timeout: float | None = None) -> None:
        """Start and wait."""
        self.start(source, target, stream=stream)
        self.wait(timeout)

    def start(self, source: Arrays = None, target: Arrays = None, *, stream: Any = None) -> None:
        """
        Begin to move the arrays' elements; `wait` or `test` says when that is done.

        Local; does not wait for other ranks.  All ranks start as many fields.  The plan keeps the arrays alive until it is done.

        Parameters
        ----------
        source, target : array, sequence of arrays, or None
            This rank's parts, as the layouts say: shape with ghost cells, strides, dtype.  Ghost cells of a target are not written.
        stream : int or object, optional
            Of arrays on a device: CUDA's stream, by its number or as an object of CuPy or PyTorch.  What is on it already comes first, and
            is waited for; targets are written on it.  Default is the stream that the arrays name, else the default one; arrays that are
            managed memory, which is not copied, are waited for too.

        Raises
        ------
        ArgumentError
            An array is not as the layout says; it is named, with what was expected and what was found.  Arrays name several streams, or the
            stream is of another device.
        StateError
            The plan was started already, or an earlier use has failed.
        ClosedError
            The plan was closed.
        SystemError
            MPI or the device says so, and the plan has failed; or there is no driver for arrays on a device.
        """
        self._begin(sequence(source), sequence(target), stream)

    def explain(self) -> Explanation:
        """
        What a use of one field does on this rank.  Local.

        Returns
        -------
        Explanation
            A dictionary: "method", "element_bytes", "kept_bytes" that stay on the rank; "messages", of each other rank its "rank", the
            "way", which is the method between these two, "sent_bytes" and "received_bytes"; and "trial_s", of each method that was tried
            the seconds of a use.  Printed, it is a table.
        """
        return Explanation(self._explain())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if kind is None or not self._running:
            self.close()  # after an error other ranks may never come so far as to let this one be done

    def __repr__(self) -> str:
        return f"<maestro.{type(self).__name__}, closed>" if self.closed else f"<maestro.{type(self).__name__}, {self.explain()['method']}>"

    def _create(self, given_parts, dtype, comm, max_fields, tries, **options) -> None:
        """Collective: what `redistribute` and `Halo` have in common.  What is wrong on this rank alone is refused on all."""
        c_comm = handle(comm, "make a plan")
        try:
            types, converted = kinds(fields_of(dtype, max_fields))
            parts = [0 if layout is None else part_of(layout, part, comm.rank) for layout, part in given_parts]
            told = option_numbers(given_parts[0][0], options)
            timeout = default_timeout()
            source, target = given_parts[0][0], None if len(parts) == 1 else given_parts[1][0]
            self._hold_tries(source, target, types, parts, *(sequence(arrays) for arrays in tries))
        except Exception:
            self._refuse(c_comm, len(given_parts) == 1)
            raise
        self._make(source, target, c_comm, types, converted, parts, told, timeout)


def kinds(fields: list[Field]) -> tuple[list, list | None]:
    """Of each field the dtypes of both sides, and the elements that C knows; None where all are moved as they are and alike."""
    types = [dtypes_of(field) for field in fields]
    alike = all(moves_as_is(field) and one == types[0] for field, one in zip(fields, types, strict=True))
    return types, None if alike else [elements(field) for field in fields]


def option_numbers(layout: Layout | None, options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as C takes them."""
    taken = {name: value for name, value in options.items() if value is not None}
    for name, value in taken.items():
        if name == "method":
            taken[name] = method_number(value)
        elif name == "periodic":
            taken[name] = wraps(value, layout)
        else:
            taken[name] = bool(value) if name == "partial" else part_number(value)
    return taken


def part_number(part: int) -> int:
    """As C takes it, for which -1 is the default and -2 is wrong, on all ranks."""
    return part if 0 <= index(part) < 2**63 else -2


def wraps(periodic: bool | Sequence[bool], layout: Layout | None) -> list[bool]:
    """Of each dimension that there may be, whether it is periodic."""
    most = _core.MAESTRO_DIMENSIONS_MAX
    if isinstance(periodic, bool | np.bool_):
        return [bool(periodic)] * most
    given = [bool(one) for one in periodic]
    if len(given) > most or (layout is not None and len(given) != layout.ndim):
        ndim = f"up to {most}" if layout is None else layout.ndim
        raise errors.ArgumentError(f"halo: periodic has {len(given)} values for {ndim} dimensions; give one for each")
    return given + [False] * (most - len(given))


def default_timeout() -> float:
    said = os.environ.get("MAESTRO_TIMEOUT_S", "60")
    try:
        seconds = float(said)
    except ValueError:
        seconds = -1
    if not seconds >= 0:
        raise errors.ArgumentError(f"make a plan: MAESTRO_TIMEOUT_S is {said!r}; give seconds, as a number")
    return seconds


def sequence(arrays: Arrays) -> Sequence[Any] | None:
    return arrays if arrays is None or isinstance(arrays, list | tuple) else (arrays,)


def method_number(name: str) -> int:
    if name not in METHODS:
        raise errors.ArgumentError(f"make a plan: method is {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]


def redistribute(
    source: Layout | None,
    target: Layout | None,
    dtype: DType | Field | Sequence[DType | Field],
    comm: Comm,
    *,
    method: str = "auto",
    partial: bool = False,
    max_fields: int | None = None,
    from_part: int | None = None,
    to_part: int | None = None,
    try_from: Arrays = None,
    try_to: Arrays = None,
) -> Plan:
    """
    Make a plan that takes arrays from one layout to another.  Collective: all ranks of the communicator call.

    Parameters
    ----------
    source, target : Layout or None
        This rank's views of both layouts; None on a rank that has no part of that side.  Of blocks and block-cyclic ones all ranks give
        the same; of boxes and indices each what it has itself.  Both are of one shape.
    dtype : dtype, Field, or list of them
        Of the elements, of 1, 2, 4, 8 or 16 bytes; a `Field` converts, scales or conjugates.  A list has one for each field.
    comm : mpi4py.MPI.Comm
        An intracommunicator.  The plan's messages meet no others in it.
    method : str
        "auto" takes the quickest of the others, by a trial: "packed", one message for each pair of ranks, in pieces if it is large;
        "shared", ranks of one node read each other's memory; "datatypes", MPI packs; "staged", ranks of one node pack into memory that
        the other reads; "buffered" copies also what "packed" sends from where it lies.  Between nodes "shared" and "staged" do as
        "packed"; "auto" chooses that apart ("shared+datatypes").  "auto_private" is "auto" for arrays that are not of `maestro.empty`.
    partial : bool
        Elements of the target that have no source are left as they are; by default they are refused.
    max_fields : int, optional
        How many fields of one kind a use may move; default 1.
    from_part, to_part : int, optional
        Which part of source and target this rank has; default is that of its number in the communicator.  `relabel` proposes the second.
    try_from, try_to : array, or sequence of max_fields arrays, optional
        What "auto" tries methods with, as a use takes them, and writes as a use does.  Best are those that the plan will move, for how
        long MPI takes depends on where their pages lie.  A rank gives what it has of both sides, or nothing; scratch arrays are tried where
        one gives nothing, or has them on a device.

    Returns
    -------
    Plan

    Raises
    ------
    ArgumentError
        What the ranks gave is wrong, or does not fit each other.  All ranks get an error, also where one alone is wrong.
    NotFoundError
        An element of the target has no source; the first is named.
    DuplicateError
        An element or a part has two ranks on one side; the first is named.
    TimeoutError
        Other ranks have not called within ``MAESTRO_TIMEOUT_S``; the communicator is of no use for plans any more.
    StateError
        MPI is not initialised.
    SystemError
        Maestro is not built for this MPI, or MPI says so.

    Examples
    --------
    >>> from mpi4py import MPI
    >>> comm = MPI.COMM_SELF
    >>> rows = maestro.Layout.blocks((4, 6), grid=(comm.size, 1))
    >>> columns = maestro.Layout.blocks((4, 6), grid=(1, comm.size), order="F")
    >>> a, b = maestro.empty(rows, "f8", comm), maestro.empty(columns, "f8", comm)
    >>> a[:] = np.arange(24).reshape(4, 6)
    >>> with maestro.redistribute(rows, columns, "f8", comm) as plan:
    ...     plan(a, b)
    >>> b.flags.f_contiguous, bool((a == b).all())
    (True, True)
    """
    plan = Plan()
    options = {"method": method, "partial": partial, "from_part": from_part, "to_part": to_part}
    plan._create([(source, from_part), (target, to_part)], dtype, comm, max_fields, (try_from, try_to), **options)
    return plan


class Halo(Plan):
    """
    The exchange of a layout's ghost cells: each gets the element that it stands for, those of corners too.

    Ghost cells outside the array are left as they are, unless the dimension is periodic.  Used as a `Plan`, with the arrays of one or
    several fields: ``halo(u, v)``, or ``halo.start(u, v)`` and ``halo.wait()`` with the work on the interior between them.

    Making one is collective.

    Parameters
    ----------
    layout : Layout or None
        With ghosts; None on a rank that has no part.
    dtype : dtype, or list of dtypes
        Of the elements, of 1, 2, 4, 8 or 16 bytes; a list has one for each field.
    comm : mpi4py.MPI.Comm
        An intracommunicator.
    periodic : bool or sequence of bool
        For each dimension, whether it begins again beyond its end.
    method, max_fields, try_to :
        As of `redistribute`.
    part : int, optional
        Which part this rank has; default is that of its number in the communicator.

    Raises
    ------
    ArgumentError, DuplicateError, TimeoutError, StateError, SystemError
        As `redistribute`.
    NotFoundError
        A ghost cell's element has no owner.

    Examples
    --------
    >>> from mpi4py import MPI
    >>> comm = MPI.COMM_SELF
    >>> ring = maestro.Layout.blocks(4, grid=comm.size, ghosts=1)
    >>> u = maestro.empty(ring, "i8", comm)
    >>> u[1:-1] = [1, 2, 3, 4]
    >>> with maestro.Halo(ring, "i8", comm, periodic=True) as halo:
    ...     halo(u)
    >>> u
    array([4, 1, 2, 3, 4, 1])
    """

    def __init__(
        self,
        layout: Layout | None,
        dtype: DType | Sequence[DType],
        comm: Comm,
        *,
        periodic: bool | Sequence[bool] = False,
        method: str = "auto",
        max_fields: int | None = None,
        part: int | None = None,
        try_to: Arrays = None,
    ):
        self._create([(layout, part)], dtype, comm, max_fields, (None, try_to), method=method, from_part=part, periodic=periodic)

    def __call__(self, *fields: Any, stream: Any = None, timeout: float | None = None) -> None:
        """Start and wait."""
        self.start(*fields, stream=stream)
        self.wait(timeout)

    def start(self, *fields: Any, stream: Any = None) -> None:
        """
        Begin to fill the ghost cells of the fields; `wait` or `test` says when that is done.

        Until then owned elements must not be written, nor ghost cells be read.

        Parameters
        ----------
        *fields : array
            This rank's parts, ghost cells included.
        stream : int or object, optional
            As of `Plan.start`.

        Raises
        ------
        ArgumentError, StateError, ClosedError, SystemError
            As `Plan.start`.
        """
        self._begin(None, fields, stream)


def relabel(source: Layout, target: Layout, comm: Comm, *, from_part: int | None = None) -> int:
    """
    Which part of the target's layout this rank should take so that as few bytes as possible change ranks.  Collective.

    Where both layouts are equal up to the numbers of their parts, none do.

    Parameters
    ----------
    source, target : Layout
        Blocks or block-cyclic, with a part for each rank.
    comm : mpi4py.MPI.Comm
    from_part : int, optional
        Which part of the source this rank has; default is that of its number.

    Returns
    -------
    int
        For `redistribute` as `to_part`, and for `empty` as `part`.

    Raises
    ------
    ArgumentError, SystemError
        As `redistribute`.

    Examples
    --------
    >>> from mpi4py import MPI
    >>> rows = maestro.Layout.blocks((4, 6), grid=(MPI.COMM_SELF.size, 1))
    >>> maestro.relabel(rows, rows, MPI.COMM_SELF)
    0
    """
    return _mpi.relabel(source, target, handle(comm, "relabel"), None if from_part is None else part_number(from_part))
