"""Collections of records: named sets of typed n-dimensional arrays that become visible together.

A record is one object.  Its arrays lie in the object's bytes, one behind the other, aligned; where each one lies is the attribute
maestro.arrays, a JSON text that records of one form share.  So a record is there with all its arrays or not at all, readers map it
without a copy, and only the pages that they look at are touched.

Invariant: a text in maestro.arrays may come from any program; it is checked as a whole before an array is made from it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import errors
from .cdo import Cdo
from .selectors import Selector, selector_text
from .wholefile import WholeFile

if TYPE_CHECKING:
    from .session import Session
    from .subscription import Subscription

__all__ = ["Collection", "Group", "NewRecord", "Record"]

ALIGNED = 64
OWN = "maestro."


# ---- Where arrays lie
class Place:
    """One array of a record: element type, shape, order, where it begins, and its own attributes."""

    __slots__ = ("attributes", "dtype", "offset", "order", "shape")

    def __init__(self, dtype: np.dtype, shape: tuple[int, ...], order: str = "C", offset: int = 0, attributes: dict | None = None):
        self.dtype, self.shape, self.order, self.offset = dtype, shape, order, offset
        self.attributes = attributes or {}

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def view(self, memory: Any) -> np.ndarray:
        if not self.nbytes:
            return np.empty(self.shape, self.dtype, order=self.order)
        return np.ndarray(self.shape, self.dtype, memory, self.offset, order=self.order)

    def to_json(self) -> dict[str, Any]:
        more = ({"order": "F"} if self.order == "F" else {}) | ({"attributes": self.attributes} if self.attributes else {})
        return {"dtype": self.dtype.str, "shape": self.shape, "offset": self.offset} | more


def plain_dtype(dtype: Any, path: str) -> np.dtype:
    element = np.dtype(dtype)
    if element.hasobject or element.names is not None or element.subdtype is not None:
        raise errors.AttributeTypeError(f"record: {path}: an array of dtype {element} cannot be described to others; one array per field")
    return element


def check_path(path: str, others: Mapping[str, Any]) -> str:
    """A path names an array, and no part of it is an array itself."""
    parts = path.split("/") if isinstance(path, str) else [""]
    if not all(parts) or any(part in (".", "..") for part in parts):
        raise errors.ArgumentError(f"record: {path!r} is no path of an array; write names with / between them, such as mesh/pressure")
    for other in others:
        if other != path and (other.startswith(path + "/") or path.startswith(other + "/")):
            raise errors.ArgumentError(f"record: {path!r} and {other!r} cannot both be arrays: one would lie inside the other")
    return path


def lay_out(places: Mapping[str, Place]) -> int:
    """Puts the arrays one behind the other; the size of all."""
    at = 0
    for place in places.values():
        place.offset = at
        at += -(-place.nbytes // ALIGNED) * ALIGNED
    return at


def layout_text(places: Mapping[str, Place]) -> str:
    try:
        return json.dumps({path: place.to_json() for path, place in places.items()}, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise errors.AttributeTypeError(f"record: attributes of arrays are numbers, texts, lists and dictionaries: {error}") from error


@functools.lru_cache(maxsize=256)
def read_layout(text: str, nbytes: int) -> dict[str, Place]:
    """The arrays that a record of so many bytes says it has."""
    places: dict[str, Place] = {}
    try:
        entries = json.loads(text)
        for path, entry in entries.items():
            place = Place(
                plain_dtype(entry["dtype"], path), tuple(entry["shape"]), entry.get("order", "C"), entry["offset"], entry.get("attributes")
            )
            numbers = (*place.shape, place.offset)
            if any(type(n) is not int or n < 0 for n in numbers) or place.order not in ("C", "F") or not isinstance(place.attributes, dict):
                raise ValueError(f"{path}: {entry}")
            if place.offset + place.nbytes > nbytes or len(place.shape) > 32:
                raise ValueError(f"{path}: {entry} does not lie within {nbytes} bytes")
            places[check_path(path, places)] = place
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError, errors.MaestroError) as error:
        raise errors.AttributeValueError(f"record: maestro.arrays describes no arrays: {str(error)[:300]}") from error
    return places


# ---- Writing
class NewRecord:
    """
    A record that is being made; as a context manager it is offered when the block ends, and given up when that fails.

    Arrays are set by path (``rec["mesh/rho"] = rho``), which keeps a copy until the offer.  When their types and shapes were declared
    (`Collection.record`), ``rec["mesh/rho"]`` is the array in pool memory, to be filled in place.

    Attributes
    ----------
    attributes : dict
        Those of the record, by the session's schema.
    """

    def __init__(self, collection: Collection, sequence: int, arrays: Mapping[str, tuple[Any, Any]] | None, attributes: Mapping[str, Any]):
        self._collection, self._sequence = collection, sequence
        self.attributes = dict(attributes)
        self._places: dict[str, Place] = {}
        self._given: dict[str, np.ndarray] = {}
        self._cdo: Cdo | None = None
        self._memory: np.ndarray | None = None
        self._offered = False
        if arrays is not None:
            for path, (dtype, shape) in arrays.items():
                lengths = (shape,) if isinstance(shape, int) else tuple(shape)
                self._places[check_path(path, self._places)] = Place(plain_dtype(dtype, path), lengths)
            self._allocate()

    def _allocate(self) -> None:
        self._cdo = self._collection._session.cdo()
        self._memory = self._cdo.empty(lay_out(self._places))

    def _want_open(self) -> None:
        if self._offered:
            raise errors.StateError(f"record {self._collection.name}/{self._sequence}: it was offered; begin another one")

    def _place(self, path: str) -> Place:
        if path not in self._places:
            raise errors.NotFoundError(f"record: there is no array {path!r}; there are: {', '.join(self._places) or 'none'}")
        return self._places[path]

    def __getitem__(self, path: str) -> np.ndarray:
        place = self._place(path)
        self._want_open()
        return self._given[path] if self._memory is None else place.view(self._memory.data)

    def __setitem__(self, path: str, array: Any) -> None:
        self._want_open()
        given = np.asarray(array)
        if self._memory is not None:
            self[path][...] = given
            return
        order = "F" if given.ndim > 1 and given.flags.f_contiguous and not given.flags.c_contiguous else "C"
        self._places[check_path(path, self._places)] = Place(plain_dtype(given.dtype, path), given.shape, order)
        self._given[path] = given.copy(order=order)  # what the caller does with its own array afterwards is not the record's

    def array_attributes(self, path: str) -> dict[str, Any]:
        """The attributes of one array, to be set: units, a long name, what JSON can say."""
        return self._place(path).attributes

    def offer(self) -> None:
        """
        Give the record to the pool: visible at once, with all its arrays.

        Raises
        ------
        DuplicateError
            Comes with the session's next `flush`: this producer has offered a record of this sequence.
        """
        self._want_open()
        if self._memory is None:
            self._allocate()
            for path, array in self._given.items():
                place = self._places[path]
                if array.flags.c_contiguous or place.order == "F":
                    self._cdo.fill(array, place.offset)
                else:
                    self[path][...] = array
        cdo, self._cdo, self._memory = self._cdo, None, None
        with cdo:
            cdo.update(self.attributes)
            cdo["maestro.name"] = f"{self._collection.name}/{self._sequence}"
            cdo["maestro.collection"], cdo["maestro.sequence"] = self._collection.name, self._sequence
            cdo["maestro.arrays"] = layout_text(self._places)
            cdo.offer()
        self._offered = True
        self._given.clear()

    def __enter__(self) -> NewRecord:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None and not self._offered:
            self.offer()
        elif kind is not None and self._cdo is not None:
            self._cdo.dispose()


# ---- Reading
class Group(Mapping):
    """
    What lies below a path of a record, as in HDF5: arrays and further groups, by name or by path.

    Attributes
    ----------
    path : str
        Empty for the record itself.
    """

    __slots__ = ("_record", "path")

    def __init__(self, record: Record, path: str):
        self._record, self.path = record, path

    def _whole(self, path: str) -> str:
        return f"{self.path}/{path}" if self.path else path

    def paths(self) -> list[str]:
        """Paths of all arrays below, as seen from here."""
        start = len(self.path) + 1 if self.path else 0
        return [path[start:] for path in self._record._places if not start or path.startswith(self.path + "/")]

    def __getitem__(self, path: str) -> np.ndarray | Group:
        whole = self._whole(path)
        place = self._record._places.get(whole)
        if place is not None:
            return place.view(self._record._bytes)
        if any(other.startswith(whole + "/") for other in self._record._places):
            return Group(self._record, whole)
        raise errors.NotFoundError(f"record {self._record!r} has no array {whole!r}; it has: {', '.join(self._record._places) or 'none'}")

    def __contains__(self, path: object) -> bool:
        whole = self._whole(str(path))
        return whole in self._record._places or any(other.startswith(whole + "/") for other in self._record._places)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(path.split("/")[0] for path in self.paths()))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def array_attributes(self, path: str) -> dict[str, Any]:
        """Attributes of one array."""
        whole = self._whole(path)
        if whole not in self._record._places:
            raise errors.NotFoundError(
                f"record {self._record!r} has no array {whole!r}; it has: {', '.join(self._record._places) or 'none'}"
            )
        return dict(self._record._places[whole].attributes)

    def shape_of(self, path: str) -> tuple[np.dtype, tuple[int, ...]]:
        """Element type and shape of one array, of which no byte is touched."""
        place = self._record._places.get(self._whole(path))
        if place is None:
            raise errors.NotFoundError(f"record {self._record!r} has no array {self._whole(path)!r}")
        return place.dtype, place.shape

    def tree(self) -> str:
        """Groups and arrays with types and shapes, a line each."""
        return "\n".join(tree_lines({path: self.shape_of(path) for path in self.paths()}))


class Record(Group):
    """
    A record: arrays at paths, attributes, and who made it.

    Arrays are read-only views of the pool's memory: a slice touches what it shows.  The lease lasts as long as the record and all
    views of its arrays; `dispose` ends it, and acknowledges the record where it came through a consumer group.

    Attributes
    ----------
    cdo : Cdo
        The object that it is.
    """

    __slots__ = ("_bytes", "_places", "cdo")

    def __init__(self, cdo: Cdo):
        if (text := cdo.get("maestro.arrays")) is None:
            raise errors.AttributeValueError(f"record: {cdo!r} is none: it has no maestro.arrays")
        self.cdo = cdo
        self._places = read_layout(text, cdo.nbytes)
        self._bytes = cdo.data
        super().__init__(self, "")

    @property
    def sequence(self) -> int:
        """Its number in the collection."""
        return self.cdo["maestro.sequence"]

    @property
    def producer(self) -> tuple[str, int]:
        """Component and rank that offered it."""
        return self.cdo["maestro.component"], self.cdo["maestro.rank"]

    @property
    def attributes(self) -> dict[str, Any]:
        """The record's attributes, without Maestro's own."""
        return {key: value for key, value in self.cdo.attributes.items() if not key.startswith(OWN)}

    def dispose(self) -> None:
        """Give up the record; views of its arrays stay valid, and the lease with them."""
        self._bytes = None
        self.cdo.dispose()

    def reject(self) -> None:
        """Give it up unread: another member of the consumer group gets it."""
        self._bytes = None
        self.cdo.reject()

    def __enter__(self) -> Record:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if not self.cdo.disposed:
            self._bytes = None
            self.cdo.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return (
            f"<maestro.Record {self.cdo.get('maestro.name', '?')} of {self.cdo.get('maestro.component', '?')}: {', '.join(self._places)}>"
        )

    def to_hdf5(self, where: Any) -> None:
        """
        Write the record as groups and datasets of the same names and shapes.

        Parameters
        ----------
        where : path or h5py.Group
            A file, which is complete or not there, whatever happens; or a group of an open one.
        """
        if isinstance(where, (str, os.PathLike)):
            with new_file(where) as file:
                write_record(self, file)
        else:
            write_record(self, where)


class Collection:
    """
    The records of one name in a pool.  Made by `Session.collection`.

    Examples
    --------
    >>> import numpy as np
    >>> with maestro.Session() as s:
    ...     hydro = s.collection("hydro")
    ...     with hydro.record(3) as rec:
    ...         rec["mesh/rho"] = np.ones((4, 5))
    ...         rec["time"] = np.array(2.5)
    ...     hydro[3]["mesh/rho"][1:3, 0]
    array([1., 1.])
    """

    def __init__(self, session: Session, name: str):
        if not name or not isinstance(name, str):
            raise errors.ArgumentError(f"collection: {name!r} is no name")
        self._session, self.name = session, name

    def __repr__(self) -> str:
        return f"<maestro.Collection {self.name}>"

    def _selector(self, selector: Selector, **more: Any) -> str:
        own, text = selector_text({"maestro.collection": self.name, **more}), selector_text(selector)
        return f"{own} and ({text})" if text else own

    def record(self, sequence: int, arrays: Mapping[str, tuple[Any, Any]] | None = None, /, **attributes: Any) -> NewRecord:
        """
        Begin a record.

        Parameters
        ----------
        sequence : int
            Its number; one producer offers a number once.
        arrays : mapping of path to (dtype, shape), optional
            What it will hold: then its memory is there at once, and ``rec[path]`` is filled in place, without a copy.
        **attributes
            By the session's schema.

        Returns
        -------
        NewRecord
            Offered by `NewRecord.offer`, or at the end of its ``with`` block.

        Examples
        --------
        >>> with maestro.Session() as s:
        ...     with s.collection("ramp").record(0, {"x": ("f8", 3)}) as rec:
        ...         rec["x"][:] = range(3)
        ...     s.collection("ramp")[0]["x"]
        array([0., 1., 2.])
        """
        return NewRecord(self, sequence, arrays, attributes)

    def demand(self, sequence: int, selector: Selector = None, timeout: float | None = None) -> Record:
        """The record of this number, waited for; a selector says which one where several producers have made one."""
        return Record(self._session.demand(self._selector(selector, **{"maestro.sequence": sequence}), timeout))

    def __getitem__(self, sequence: int) -> Record:
        return self.demand(sequence)

    def query(self, selector: Selector = None) -> Iterator[Record]:
        """The records that are there and match, such as ``"time > 2.5"``."""
        return map(Record, self._session.query(self._selector(selector)))

    def records(self, selector: Selector = None, **subscription: Any) -> Iterator[Record]:
        """
        Every record as it comes, those that are there first.

        Parameters
        ----------
        selector : str, dict or None
            Of the records' attributes.
        **subscription
            As for `Session.subscribe`: ``timeout``, ``start``, ``hold``, ``group``, ``limit``, ``acknowledge_within``.
        """
        subscribed: Subscription = self._session.subscribe(self._selector(selector), **subscription)
        with subscribed:
            for cdo in subscribed:
                yield Record(cdo)

    def to_hdf5(self, path: str | os.PathLike, selector: Selector = None) -> int:
        """
        Write the records that are there into a file, a group each, named by sequence.

        The file is complete or not there, whatever happens.  Returns the number of records.
        """
        count = 0
        with new_file(path) as file:
            file.attrs["maestro.collection"] = self.name
            for record in self.query(selector):
                with record:
                    component, rank = record.producer
                    name = str(record.sequence)
                    group = file.create_group(name if name not in file else f"{name}.{component}.{rank}")
                    write_record(record, group)
                    count += 1
        return count

    def from_hdf5(self, path: str | os.PathLike) -> int:
        """Offer the records of a file that `to_hdf5` wrote; their number."""
        count = 0
        with h5py().File(path, "r") as file:
            for group in file.values():
                if "maestro.sequence" not in group.attrs:  # an archive's index
                    continue
                with self.record(int(group.attrs["maestro.sequence"])) as record:
                    read_record(group, record)
                count += 1
        return count


# ---- HDF5
def h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise errors.StateError(f"records to and from HDF5 need h5py: {error}; install it with: pip install 'maestro-hpc[hdf5]'") from error
    return h5py


@contextlib.contextmanager
def new_file(path: str | os.PathLike, **options: Any) -> Iterator[Any]:
    """An HDF5 file that gets its name when it is complete and on disk; options as for h5py.File."""
    unfinished = Path(path).with_name(f".{Path(path).name}.{os.getpid()}")
    try:
        with WholeFile(unfinished) as written, h5py().File(written, "w", **options) as file:
            yield file
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    os.replace(unfinished, path)


def write_record(record: Record, group: Any) -> None:
    for path in record.paths():
        dataset = group.create_dataset(path, data=record[path])
        for key, value in record.array_attributes(path).items():
            dataset.attrs[key] = json.dumps(value) if isinstance(value, (dict, list)) or value is None else value
    component, rank = record.producer
    group.attrs.update({"maestro.sequence": record.sequence, "maestro.component": component, "maestro.rank": rank})
    write_attributes(record.attributes, group)


def write_attributes(attributes: Mapping[str, Any], item: Any) -> None:
    """Attributes of an object as those of a group or dataset."""
    for key, value in attributes.items():
        item.attrs[key] = hdf5_value(value)


def hdf5_value(value: Any) -> Any:
    """An attribute as HDF5 can have it: times as text, texts that are several as an array of them."""
    if isinstance(value, bytes):
        return np.void(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "M":
        value = tuple(np.datetime_as_string(value).tolist())
    if isinstance(value, tuple):
        return np.array(value, h5py().string_dtype())
    return value.isoformat() if hasattr(value, "isoformat") else value


def plain(value: Any) -> Any:
    """An HDF5 attribute as Python writes it."""
    if isinstance(value, np.void):
        return value.tobytes()
    return value.item() if isinstance(value, np.generic) else value.tolist() if isinstance(value, np.ndarray) else value


def read_record(group: Any, record: NewRecord) -> None:
    def take(path: str, item: Any) -> None:
        if hasattr(item, "shape"):
            record[path] = item[()]
            record.array_attributes(path).update({key: plain(value) for key, value in item.attrs.items()})

    group.visititems(take)
    record.attributes.update({key: plain(value) for key, value in group.attrs.items() if not key.startswith(OWN)})


# ---- As text
def tree_lines(arrays: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> list[str]:
    """A tree of paths with types and shapes."""
    below: dict[str, dict[str, Any]] = {}
    for path, what in arrays.items():
        name, _, rest = path.partition("/")
        below.setdefault(name, {})[rest] = what
    lines = []
    for i, (name, inner) in enumerate(below.items()):
        last = i == len(below) - 1
        if "" in inner:
            dtype, shape = inner[""]
            lines.append(f"{'└' if last else '├'}─ {name}  {dtype} {' x '.join(map(str, shape)) or 'scalar'}")
            continue
        lines.append(f"{'└' if last else '├'}─ {name}")
        lines += [("   " if last else "│  ") + line for line in tree_lines(inner)]
    return lines
