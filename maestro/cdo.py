"""Core data objects as people use them: attributes like a dictionary, bytes like a numpy array.

Conversion, lifetimes and what must be quick stand in _core; here is what numpy needs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from . import _core, errors

if TYPE_CHECKING:
    from .placement import Pin

__all__ = ["Cdo", "Request"]

When = Literal["released", "consumed"]
WHEN = {"released": _core.MAESTRO_WHEN_RELEASED, "consumed": _core.MAESTRO_WHEN_CONSUMED}
OF = {"session": 0, "component": _core.MAESTRO_OF_COMPONENT}


class Request(_core.RequestHandle):
    """
    A demand or a withdrawal that goes on while the program does something else.

    Made by `Session.demand_start` and `Cdo.withdraw_start`.  Used as a context manager it is cancelled at the end of the block
    if it has not finished.

    Examples
    --------
    >>> with maestro.Session(schema="mars") as s:
    ...     request = s.demand_start({"param": "z", "step": 0}, timeout=10)
    ...     cdo = s.offer(b"bytes", param="z", step=0)
    ...     bytes(request.wait())
    b'bytes'
    """

    __slots__ = ()

    def __enter__(self) -> Request:
        return self

    def __exit__(self, *exception) -> None:
        if self._pending:
            self.cancel()


class Need(_core.NeedHandle):
    """
    That objects which match a selector will be needed, declared by `Session.require`.  As a context manager it ends with the block.

    Examples
    --------
    >>> with maestro.Session(schema="mars") as s:
    ...     with s.require("param = t and step <= 24"):
    ...         s.wanted(param="t", step=6), s.wanted(param="t", step=30)
    (True, False)
    """

    __slots__ = ()

    def __enter__(self) -> Need:
        return self

    def __exit__(self, *exception) -> None:
        self.retract()


class Cdo(_core.CdoHandle):
    """
    A core data object: immutable bytes with attributes.

    Producers make one with `Session.cdo`, set attributes (``cdo["step"] = 6``), fill it (`empty`) and `offer` it.  Consumers get
    them from subscriptions, demands and queries, and read attributes (``cdo["step"]``, `attributes`) and bytes (`array`,
    ``numpy.asarray(cdo)``, `data`, ``bytes(cdo)``).

    The lease on an object's bytes ends when the object and every view of its bytes are gone, or when `dispose` was called and the
    last view is gone.  As a context manager it disposes itself.  One thread at a time may use an object; another one gets a
    StateError.

    Examples
    --------
    >>> with maestro.Session(schema="mars") as s:
    ...     with s.cdo(param="t", step=6, levelist=500) as cdo:
    ...         a = cdo.empty((181, 360), "f8")
    ...         a[:] = 273.15
    ...         cdo.offer()
    ...     field = s.demand({"param": "t", "step": 6}).array()
    >>> field.shape, float(field[0, 0])
    ((181, 360), 273.15)
    """

    __slots__ = ()

    if TYPE_CHECKING:  # they stand in the handle

        def __enter__(self) -> Cdo: ...

        def __exit__(self, *exception) -> None: ...

    def __repr__(self) -> str:
        try:
            size = "" if self.disposed else f" {self.nbytes:,} bytes"
        except (errors.WithdrawnError, errors.CorruptError):  # of what events tell only the attributes are left
            size = " (withdrawn)" if self.gone else ""
        return f"<maestro.Cdo {self._describe()}{size}>"

    # ---- Attributes: what a mapping has, besides the item access of the handle
    def keys(self) -> list[str]:
        """Names of the attributes that are set, in the schema's order."""
        return list(self.attributes)

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute's value, or `default` when the object does not have it; a key that the schema does not know is an error."""
        try:
            return self[key]
        except errors.NotFoundError:
            return default

    def update(self, attributes: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Set several attributes."""
        for key, value in {**(attributes or {}), **more}.items():
            self[key] = value

    # ---- Bytes
    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike | None = None, order: Literal["C", "F"] = "C") -> np.ndarray:
        """
        Pool memory to be filled in place, as an uninitialised numpy array: what is written here is never copied.

        The array is writable until `offer`; then it turns read-only, and so is every view taken from it afterwards.  Views (slices,
        reshaped arrays, memoryviews) that were taken before the offer and are still kept cannot be found: do not write to them.

        Parameters
        ----------
        shape : int or tuple of int
        dtype : dtype, optional
            Element type; the array's dtype, shape and order become attributes.  Without it the object has plain bytes (uint8 in
            one dimension), such as a GRIB message.
        order : {"C", "F"}
            Row- or column-major.

        Returns
        -------
        numpy.ndarray
            64-byte aligned.

        Raises
        ------
        StateError
            The object has data already or was offered.
        MemoryError, TooLargeError, TimeoutError
            The pool has no room; the message names the largest holders.

        Examples
        --------
        >>> with maestro.Session() as s, s.cdo(name="ramp") as cdo:
        ...     cdo.empty(5, "i4")[:] = range(5)
        ...     cdo.offer()
        """
        element = np.dtype("u1" if dtype is None else dtype)
        if element.hasobject or element.names is not None:
            raise errors.AttributeTypeError(
                f"empty: an array of dtype {element} cannot be described to others; use bytes or one array per field"
            )
        shape = tuple(int(n) for n in (shape if isinstance(shape, Iterable) else (shape,)))
        if any(n < 0 for n in shape):
            raise errors.ArgumentError(f"empty: shape {shape} has a negative length")
        nbytes = math.prod(shape) * element.itemsize
        memory = self._alloc(nbytes) if nbytes else bytearray()
        array = np.ndarray(shape, element, buffer=memory, order=order)
        self._remember(array)
        if dtype is not None:
            self["maestro.dtype"] = element.str
            self["maestro.shape"] = ",".join(map(str, shape))
            if order == "F" and len(shape) > 1:
                self["maestro.order"] = "F"
        return array

    def array(self) -> np.ndarray:
        """
        The object's data as a read-only numpy array, without a copy.

        Its dtype, shape and order are those that the producer's array had; without a shape it has one dimension, and bytes
        without any description come as uint8.  The lease lives as long as the array and its views.

        Returns
        -------
        numpy.ndarray
            ``flags.writeable`` is False (before the offer of one's own object: True).

        Raises
        ------
        WithdrawnError
            The object was withdrawn before its event arrived.
        AttributeValueError
            The attributes that describe the array do not agree with the bytes.

        Examples
        --------
        >>> import numpy as np
        >>> with maestro.Session() as s:
        ...     s.offer(np.eye(2), name="unit").array()
        array([[1., 0.],
               [0., 1.]])
        """
        memory = self._memory()
        if (dtype := self.get("maestro.dtype")) is None:
            return np.frombuffer(memory, "u1") if self.nbytes else np.empty(0, "u1")
        element, shape = _layout(dtype, self.get("maestro.shape"))
        if shape is None:  # a producer that says what the elements are, and no more: all of them, in a row
            shape = (self.nbytes // max(element.itemsize, 1),)
        if math.prod(shape) * element.itemsize != self.nbytes:
            raise errors.AttributeValueError(f"array: dtype {dtype} and shape {shape} are not {self.nbytes} bytes")
        return np.ndarray(shape, element, buffer=memory, order=self.get("maestro.order", "C"))

    @property
    def data(self) -> memoryview:
        """The object's bytes as a memoryview; keeps the lease like any view."""
        return memoryview(self._memory())

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array(), dtype=dtype, copy=copy)

    def pin(self, process: bool | int = False, rank: int = 0, nranks: int = 1, dry_run: bool = False) -> Pin:
        """
        Bind the calling thread, or a whole process, to the cores near this object's bytes.

        Of the cores that it may use (cpuset, affinity before any pin) those local to the NUMA node that holds most of the object's
        pages; where there are none (another's cpuset, memory without cores) the nearest ones.  Takes milliseconds.

        Parameters
        ----------
        process : bool or int
            False: the calling thread, and threads that it starts from here on.  True: all threads of this process.  A process id:
            all of that process.
        rank, nranks : int
            `nranks` processes or threads share the cores near the object, and this one, counted from 0, gets its part.
        dry_run : bool
            Choose and tell, and bind nothing; also on a recorded machine (hwloc's HWLOC_XMLFILE, HWLOC_SYNTHETIC).

        Returns
        -------
        Pin
            Undone by `Pin.undo`, or at the end of a ``with`` block.

        Raises
        ------
        NotFoundError
            The object has no data or none was written yet, or there is no such process.
        StateError
            hwloc was told of another machine, and this is no dry run.
        ArgumentError
            There is no such rank.
        SystemError
            The operating system refused.

        Examples
        --------
        >>> import numpy as np
        >>> with maestro.Session() as s:
        ...     field = s.offer(np.ones(1000), name="field")
        ...     with field.pin() as pin:
        ...         total = field.array().sum()  # read by the cores that are near
        ...     pin.placement.why
        'local to NUMA node ...'
        """
        from .placement import Pin

        return Pin(self, process, rank, nranks, dry_run)

    def part(self, number: int, timeout: float | None = None) -> Cdo:
        """
        A part of a leased object that several offers made together; part 0 is the object itself once more.

        Parameters
        ----------
        number : int
            From 0 to ``cdo["maestro.parts"]`` - 1.
        timeout : float, optional
            Seconds; default is the session's timeout.

        Returns
        -------
        Cdo
            With the part's attributes and bytes, and a lease on the whole object.

        Raises
        ------
        NotFoundError
            The object has no such part.
        StateError
            It is not leased.
        """
        return self.part_start(number, timeout).wait()

    def part_start(self, number: int, timeout: float | None = None) -> Request:
        """
        Start to ask for a `part`; the request gives it when it is waited for, so that several can be under way.

        Examples
        --------
        >>> with maestro.Session() as s:
        ...     for half in (0, 1):
        ...         cdo = s.offer(bytes([half]), {"maestro.name": "both", "maestro.parts": 2, "maestro.part": half})
        ...     whole = s.demand({"maestro.name": "both"})
        ...     halves = [whole.part_start(number) for number in (0, 1)]
        ...     [bytes(half.wait().array()) for half in halves]
        [b'\\x00', b'\\x01']
        """
        return self._part_start(number, timeout)

    # ---- Offer and withdraw
    def offer(self, wait: bool = False, timeout: float | None = None) -> None:
        """
        Give the object to the pool.  From here on its attributes and bytes do not change.

        Asynchronous: what only the pool manager can refuse (identity taken, no room) is raised by `wait`, or by the session's next
        `flush` or `close`.

        Parameters
        ----------
        wait : bool
            Wait for the manager's answer, `timeout` seconds at most (default: the session's).

        Raises
        ------
        MissingAttributeError
            A required attribute is missing.
        StateError
            The object was offered already, or is another component's.
        """
        self._offer(wait, timeout)

    def withdraw(self, when: When = "released", timeout: float | None = None) -> None:
        """
        Take an own object back out of the pool and wait until nobody reads it any more.

        Parameters
        ----------
        when : {"released", "consumed"}
            As soon as the leases that exist have ended; or when every subscription that matches has received and released it.
        timeout : float, optional
            Seconds; default is the session's timeout.

        Raises
        ------
        TimeoutError
            Names who still holds the object.
        WithdrawnError, StateError
            It was withdrawn already, is not offered or is another component's.

        Examples
        --------
        >>> with maestro.Session() as s:
        ...     cdo = s.offer(b"bytes", name="short-lived")
        ...     cdo.withdraw()
        ...     s.count("maestro.name = short-lived")
        0
        """
        self.withdraw_start(when, timeout).wait()

    def withdraw_start(self, when: When = "released", timeout: float | None = None) -> Request:
        """Start to `withdraw`; the request is waited for, tested or cancelled."""
        return self._withdraw_start(choose("when", when, WHEN), timeout)


@functools.lru_cache(maxsize=1024)
def _layout(dtype: str, shape: str | None) -> tuple[np.dtype, tuple[int, ...] | None]:
    """Element type and shape of an array from its attributes, which any program may have written."""
    try:
        element = np.dtype(dtype)
        lengths = None if shape is None else tuple(int(n) for n in shape.split(",")) if shape else ()
    except (TypeError, ValueError) as error:
        raise errors.AttributeValueError(f"array: dtype {dtype!r} and shape {shape!r} describe no array") from error
    if element.hasobject or any(n < 0 for n in lengths or ()):
        raise errors.AttributeValueError(f"array: dtype {dtype!r} and shape {shape!r} describe no array of plain values")
    return element, lengths


def choose(what: str, word: str | None, known: Mapping[Any, int]) -> int:
    """The number of a word, or an error that lists the known ones."""
    if word in known:
        return known[word]
    raise errors.ArgumentError(f"{what}={word!r} is unknown; known are: {', '.join(filter(None, known))}")
