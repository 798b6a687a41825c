"""Records: typed n-dimensional arrays that become visible together.

A record is one object, made by one offer or by several, its parts.  Its arrays lie in the object's bytes, one behind the other, aligned;
where each one lies is the attribute maestro.arrays, a JSON text that records of one form share.  So a record is there with all its
arrays or not at all, readers map it without a copy, and only the pages that they look at are touched.

Invariant: a text in maestro.arrays may come from any program; it is checked as a whole before an array is made from it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import errors
from .blocks import BlockArray, check_tiling
from .cdo import Cdo
from .wholefile import WholeFile

if TYPE_CHECKING:
    from .collection import Collection

__all__ = ["Array", "Group", "NewRecord", "Record"]

ALIGNED = 64
OWN = "maestro."


# ---- Where arrays lie
class Place:
    """One array of a record, or one block of a distributed one: element type, shape, order, where it begins, and its own attributes."""

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

    def pieces(self) -> list[Place]:
        return [self]

    def to_json(self) -> dict[str, Any]:
        return {"dtype": self.dtype.str} | self.where() | ({"attributes": self.attributes} if self.attributes else {})

    def where(self) -> dict[str, Any]:
        return {"shape": self.shape, "offset": self.offset} | ({"order": "F"} if self.order == "F" else {})


class Blocks:
    """The blocks of a distributed array that one offer holds: where in the global array each begins, and where it lies."""

    __slots__ = ("attributes", "blocks", "dtype", "shape")

    def __init__(
        self, dtype: np.dtype, shape: tuple[int, ...], blocks: list[tuple[tuple[int, ...], Place]], attributes: dict | None = None
    ):
        self.dtype, self.shape, self.blocks = dtype, shape, blocks
        self.attributes = attributes or {}

    @property
    def nbytes(self) -> int:
        return sum(place.nbytes for _, place in self.blocks)

    def view(self, memory: Any) -> BlockArray:
        return BlockArray(self.dtype, self.shape, [(start, place.view(memory)) for start, place in self.blocks])

    def pieces(self) -> list[Place]:
        return [place for _, place in self.blocks]

    def add(self, start: tuple[int, ...], place: Place, path: str) -> None:
        """One more block, within the global array."""
        lengths = (start, place.shape, self.shape)
        if len({len(one) for one in lengths}) > 1 or any(low < 0 or low + n > whole for low, n, whole in zip(*lengths, strict=True)):
            raise errors.ArgumentError(
                f"record: {path}: a block of shape {place.shape} at {start} does not lie in an array of shape {self.shape}"
            )
        self.blocks.append((start, place))

    def to_json(self) -> dict[str, Any]:
        blocks = [{"start": start} | place.where() for start, place in self.blocks]
        return {"dtype": self.dtype.str, "shape": self.shape, "blocks": blocks} | (
            {"attributes": self.attributes} if self.attributes else {}
        )


def plain_dtype(dtype: Any, path: str) -> np.dtype:
    element = np.dtype(dtype)
    if element.hasobject or element.names is not None or element.subdtype is not None:
        raise errors.AttributeTypeError(f"record: {path}: an array of dtype {element} cannot be described to others; one array per field")
    return element


def lengths_of(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)


def check_path(path: str, others: Mapping[str, Any]) -> str:
    """A path names an array, and no part of it is an array itself."""
    parts = path.split("/") if isinstance(path, str) else [""]
    if not all(parts) or any(part in (".", "..") for part in parts):
        raise errors.ArgumentError(f"record: {path!r} is no path of an array; write names with / between them, such as mesh/pressure")
    for other in others:
        if other != path and (other.startswith(path + "/") or path.startswith(other + "/")):
            raise errors.ArgumentError(f"record: {path!r} and {other!r} cannot both be arrays: one would lie inside the other")
    return path


def lay_out(places: Mapping[str, Place | Blocks]) -> int:
    """Puts the arrays one behind the other; the size of all."""
    at = 0
    for place in (piece for one in places.values() for piece in one.pieces()):
        place.offset = at
        at += -(-place.nbytes // ALIGNED) * ALIGNED
    return at


def layout_text(places: Mapping[str, Place | Blocks]) -> str:
    try:
        return json.dumps({path: place.to_json() for path, place in places.items()}, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise errors.AttributeTypeError(f"record: attributes of arrays are numbers, texts, lists and dictionaries: {error}") from error


def read_place(entry: Mapping[str, Any], dtype: np.dtype, nbytes: int, path: str) -> Place:
    place = Place(dtype, tuple(entry["shape"]), entry.get("order", "C"), entry["offset"], entry.get("attributes"))
    numbers = (*place.shape, place.offset)
    if any(type(n) is not int or n < 0 for n in numbers) or place.order not in ("C", "F") or not isinstance(place.attributes, dict):
        raise ValueError(f"{path}: {entry}")
    if place.offset + place.nbytes > nbytes or len(place.shape) > 32:
        raise ValueError(f"{path}: {entry} does not lie within {nbytes} bytes")
    if math.prod(max(n, 1) for n in place.shape) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"{path}: {entry} is larger than an array can be, though it has no elements")
    return place


def read_blocks(entry: Mapping[str, Any], dtype: np.dtype, nbytes: int, path: str) -> Blocks:
    blocks = Blocks(dtype, tuple(entry["shape"]), [], entry.get("attributes"))
    starts = [tuple(one["start"]) for one in entry["blocks"]]
    if any(type(n) is not int or n < 0 for numbers in (blocks.shape, *starts) for n in numbers) or not isinstance(blocks.attributes, dict):
        raise ValueError(f"{path}: {entry}")
    for start, one in zip(starts, entry["blocks"], strict=True):
        blocks.add(start, read_place(one, dtype, nbytes, path), path)
    return blocks


@functools.lru_cache(maxsize=256)
def read_layout(text: str, nbytes: int) -> dict[str, Place | Blocks]:
    """The arrays that a record of so many bytes says it has."""
    places: dict[str, Place | Blocks] = {}
    try:
        for path, entry in json.loads(text).items():
            read = read_blocks if "blocks" in entry else read_place
            places[check_path(path, places)] = read(entry, plain_dtype(entry["dtype"], path), nbytes, path)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError, errors.MaestroError) as error:
        raise errors.AttributeValueError(f"record: maestro.arrays describes no arrays: {str(error)[:300]}") from error
    return places


def no_array(record: Any, path: str, paths: Iterable[str]) -> Exception:
    return errors.NotFoundError(f"record {record!r} has no array {path!r}; it has: {', '.join(paths) or 'none'}")


# ---- Writing
class NewRecord:
    """
    A record that is being made, or one rank's part of it; as a context manager it is offered when the block ends, and given up when
    that fails.

    Arrays are set by path (``rec["mesh/rho"] = rho``), which keeps a copy until the offer.  When their types and shapes were declared
    (`Collection.record`), ``rec["mesh/rho"]`` is the array in pool memory, to be filled in place.

    Attributes
    ----------
    attributes : dict
        Those of the record, by the session's schema; of a record of several parts those of part 0 hold.
    """

    def __init__(self, collection: Collection, arrays: Mapping[str, Any] | None, own: Mapping[str, Any], attributes: Mapping[str, Any]):
        self._collection, self._own = collection, dict(own)
        self.attributes = dict(attributes)
        self._places: dict[str, Place | Blocks] = {}
        self._given: dict[Place, np.ndarray] = {}
        self._cdo: Cdo | None = None
        self._memory: np.ndarray | None = None
        self._offered = False
        if arrays is not None:
            for path, (dtype, shape, *block) in arrays.items():
                place = Place(plain_dtype(dtype, path), lengths_of(shape))
                self._places[check_path(path, self._places)] = self._block(path, place, *block) if block else place
            self._allocate()

    def _block(self, path: str, place: Place, whole: Any, start: Any) -> Blocks:
        blocks = Blocks(place.dtype, lengths_of(whole), [])
        blocks.add(lengths_of(start), place, path)
        return blocks

    def _allocate(self) -> None:
        self._cdo = self._collection._session.cdo()
        self._memory = self._cdo.empty(lay_out(self._places))

    def _want_open(self) -> None:
        if self._offered:
            raise errors.StateError(f"record {self._own['maestro.name']}: it was offered; begin another one")

    def _place(self, path: str) -> Place | Blocks:
        if path not in self._places:
            raise errors.NotFoundError(f"record: there is no array {path!r}; there are: {', '.join(self._places) or 'none'}")
        return self._places[path]

    def __getitem__(self, path: str) -> np.ndarray:
        pieces = self._place(path).pieces()
        self._want_open()
        if len(pieces) > 1:
            raise errors.StateError(f"record: {path!r} was given as {len(pieces)} blocks; it is read as one array when it has been offered")
        return self._given[pieces[0]] if self._memory is None else pieces[0].view(self._memory.data)

    def __setitem__(self, path: str, array: Any) -> None:
        self._want_open()
        if self._memory is not None:
            self[path][...] = array
            return
        self._places[check_path(path, self._places)] = self._take(path, np.asarray(array))

    def _take(self, path: str, given: np.ndarray) -> Place:
        """A copy: what the caller does with its own array afterwards is not the record's."""
        order = "F" if given.ndim > 1 and given.flags.f_contiguous and not given.flags.c_contiguous else "C"
        place = Place(plain_dtype(given.dtype, path), given.shape, order)
        self._given[place] = given.copy(order=order)
        return place

    def write_block(self, path: str, shape: int | tuple[int, ...], start: int | tuple[int, ...], values: Any) -> None:
        """
        Give a block of a distributed array, of which other parts of the record hold other blocks.

        The blocks of all parts fill the array, and none overlap; a reader sees the global array, however it was cut.

        Parameters
        ----------
        path : str
            Of the array, the same in all parts.
        shape : int or tuple of int
            Of the global array.
        start : int or tuple of int
            Where the block begins in it.
        values : array
            A copy is kept.

        Raises
        ------
        ArgumentError
            The block does not lie in the array, or an earlier one was of an array of another shape or type.
        StateError
            The record's arrays were declared, or it was offered.

        Examples
        --------
        >>> import numpy as np
        >>> with maestro.Session() as s:
        ...     with s.collection("cut").record(0) as rec:
        ...         rec.write_block("x", (2, 4), (0, 0), np.zeros((2, 2)))
        ...         rec.write_block("x", (2, 4), (0, 2), np.ones((2, 2)))
        ...     s.collection("cut")[0]["x"][1, 1:3]
        array([0., 1.])
        """
        self._want_open()
        if self._memory is not None:
            raise errors.StateError(
                f"record: its arrays were declared; declare {path!r} with (dtype, shape, global shape, start), and fill it"
            )
        given, whole = np.asarray(values), lengths_of(shape)
        there = self._places.get(path)
        if there is not None and not (isinstance(there, Blocks) and (there.dtype, there.shape) == (given.dtype, whole)):
            raise errors.ArgumentError(f"record: {path!r} was given before with another type or shape, or as a whole")
        blocks = there or Blocks(plain_dtype(given.dtype, path), whole, [])
        place = self._take(path, given)
        blocks.add(lengths_of(start), place, path)
        self._places[check_path(path, self._places)] = blocks

    def array(self, path: str) -> Array:
        """One array that was set or declared: its attributes can be set (units, a long name, what JSON can say)."""
        place = self._place(path)
        return Array(self, path, place, place.attributes)

    def offer(self) -> None:
        """
        Give the record to the pool: visible at once, with all its arrays; one of several parts when the last has come.

        Raises
        ------
        DuplicateError
            Comes with the session's next `flush`: this producer has offered a record of this sequence.
        IncompleteError
            Comes with it too: another part will not come, for its producer has left; all of the record was discarded.
        """
        self._want_open()
        if self._memory is None:
            self._allocate()
            for place, array in self._given.items():
                if array.flags.c_contiguous or place.order == "F":
                    self._cdo.fill(array, place.offset)
                else:
                    place.view(self._memory.data)[...] = array
        cdo, self._cdo, self._memory = self._cdo, None, None
        with cdo:
            cdo.update(self.attributes)
            cdo.update(self._own)
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
class Array:
    """
    One array of a record: what is known of it without its values, which are ``record[path]``.

    Attributes
    ----------
    record : Record or NewRecord
    path : str
        From the record's root on.
    dtype : numpy.dtype
    shape : tuple of int
        Of the global array, where it is a distributed one.
    attributes : dict
        Its own: unit, long name, whatever JSON can say.  Set them before the record's offer.
    """

    __slots__ = ("attributes", "dtype", "path", "record", "shape")

    def __init__(self, record: Any, path: str, place: Place | Blocks, attributes: dict[str, Any]):
        self.record, self.path, self.attributes = record, path, attributes
        self.dtype, self.shape = place.dtype, place.shape

    def __getitem__(self, index: Any) -> Any:
        return self.record[self.path][index]

    def __repr__(self) -> str:
        return f"<maestro.Array {self.path}  {shown_form(self.dtype, self.shape)}>"


class Group(Mapping):
    """
    What lies below a path of a record, as in HDF5: arrays and further groups, by name or by path.

    Attributes
    ----------
    path : str
        Empty for the record itself.
    """

    __slots__ = ("_within", "path")

    def __init__(self, record: Record, path: str):
        self._within, self.path = record, path

    @property
    def _record(self) -> Record:
        return self._within

    def _whole(self, path: str) -> str:
        return f"{self.path}/{path}" if self.path else path

    def paths(self) -> list[str]:
        """Paths of all arrays below, as seen from here."""
        start = len(self.path) + 1 if self.path else 0
        return [path[start:] for path in self._record._arrays if not start or path.startswith(self.path + "/")]

    def __getitem__(self, path: str) -> np.ndarray | BlockArray | Group:
        whole = self._whole(path)
        arrays = self._record._arrays
        if whole in arrays:
            return arrays[whole].values()
        if any(other.startswith(whole + "/") for other in arrays):
            return Group(self._record, whole)
        raise no_array(self._record, whole, arrays)

    def __contains__(self, path: object) -> bool:
        whole = self._whole(str(path))
        return whole in self._record._arrays or any(other.startswith(whole + "/") for other in self._record._arrays)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(path.split("/")[0] for path in self.paths()))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def array(self, path: str) -> Array:
        """One array: its type, shape and attributes, for which no byte of it is touched."""
        whole = self._whole(path)
        if whole not in self._record._arrays:
            raise no_array(self._record, whole, self._record._arrays)
        place = self._record._arrays[whole].place
        return Array(self._record, whole, place, dict(place.attributes))

    def arrays(self) -> list[Array]:
        """All arrays below."""
        return [self.array(path) for path in self.paths()]

    def tree(self) -> str:
        """Groups and arrays with types and shapes, a line each."""
        return "\n".join(tree_lines({path: (self.array(path).dtype, self.array(path).shape) for path in self.paths()}))


class Stored:
    """An array of a record that is read: what its parts say of it, each with the part's bytes."""

    __slots__ = ("place", "sources")

    def __init__(self, place: Place | Blocks, memory: Any):
        self.place, self.sources = place, [(place, memory)]

    def join(self, place: Place | Blocks, memory: Any, path: str) -> None:
        """What a further part says of the same path."""
        if not (isinstance(place, Blocks) and isinstance(self.place, Blocks)):
            raise errors.AttributeValueError(f"{path!r} is in several parts; one of them writes it, or each a block of it (write_block)")
        if (place.dtype, place.shape) != (self.place.dtype, self.place.shape):
            raise errors.AttributeValueError(f"parts do not agree on the type or shape of {path!r}")
        self.sources.append((place, memory))

    def check(self) -> None:
        if isinstance(self.place, Blocks):
            blocks = [block for source, _ in self.sources for block in source.blocks]
            check_tiling(self.place.shape, [start for start, _ in blocks], [place.shape for _, place in blocks])

    def values(self) -> np.ndarray | BlockArray:
        views = [place.view(memory) for place, memory in self.sources]
        if len(views) == 1:
            return views[0]
        return BlockArray(self.place.dtype, self.place.shape, [block for view in views for block in view.blocks])


class Record(Group):
    """
    A record: arrays at paths, attributes, and who made it.

    Arrays are read-only views of the pool's memory: a slice touches what it shows.  Distributed ones, whose blocks several ranks have
    written, are `BlockArray`.  The lease lasts as long as the record and all views of its arrays; `dispose` ends it, and acknowledges
    the record where it came through a consumer group.

    What another program wrote into it is looked at when an array is first asked for: where it describes no arrays, that is an
    AttributeValueError, and leaving the ``with`` block by it acknowledges the record, for no other member could read it either.

    Attributes
    ----------
    cdo : Cdo
        The object that it is; of several parts the first.
    """

    __slots__ = ("_stored", "cdo", "malformed")

    def __init__(self, cdo: Cdo):
        self.cdo, self.path = cdo, ""
        self._stored: dict[str, Stored] | None = None
        self.malformed = False

    @property
    def _record(self) -> Record:
        return self  # not kept: the lease is to end with the last reference

    @property
    def _arrays(self) -> dict[str, Stored]:
        if self._stored is None:
            try:
                self._stored = self._load()
            except errors.AttributeValueError as error:
                self.malformed = True
                raise errors.AttributeValueError(f"record {self._title()}: {error}") from error
        return self._stored

    def _parts(self) -> Iterator[tuple[str | None, memoryview]]:
        """What each part says of its arrays, and its bytes."""
        others = [self.cdo.part_start(number) for number in range(1, self.parts)]  # all under way at once
        yield self.cdo.get("maestro.arrays"), self.cdo.data
        for request in others:
            with request.wait() as part:
                yield part.get("maestro.arrays"), part.data  # which keeps the lease

    def _load(self) -> dict[str, Stored]:
        stored: dict[str, Stored] = {}
        for text, memory in self._parts():
            if text is None:
                raise errors.AttributeValueError("it has no maestro.arrays, which says where its arrays lie")
            for path, place in read_layout(text, memory.nbytes).items():
                if path in stored:
                    stored[path].join(place, memory, path)
                else:
                    stored[check_path(path, stored)] = Stored(place, memory)
        for path, array in stored.items():
            try:
                array.check()
            except errors.AttributeValueError as error:
                raise errors.AttributeValueError(f"{path}: {error}") from error
        return stored

    @property
    def sequence(self) -> int:
        """Its number in the collection."""
        return self.cdo["maestro.sequence"]

    @property
    def parts(self) -> int:
        """How many offers made it."""
        return self.cdo.get("maestro.parts", 1)

    @property
    def producer(self) -> tuple[str, int]:
        """Component and rank that offered it; of several parts the rank is 0."""
        return self.cdo["maestro.component"], self.cdo["maestro.rank"]

    @property
    def nbytes(self) -> int:
        """Bytes of all its arrays."""
        return sum(place.nbytes for array in self._arrays.values() for place, _ in array.sources)

    @property
    def redelivered(self) -> bool:
        """Another member of the consumer group was given it before, and did not acknowledge it."""
        return self.cdo.redelivered

    @property
    def attributes(self) -> dict[str, Any]:
        """The record's attributes, without Maestro's own."""
        return {key: value for key, value in self.cdo.attributes.items() if not key.startswith(OWN)}

    def dispose(self) -> None:
        """Give up the record; views of its arrays stay valid, and the lease with them."""
        self._stored = None
        self.cdo.dispose()

    def reject(self) -> None:
        """Give it up unread: another member of the consumer group gets it."""
        self._stored = None
        self.cdo.reject()

    def __enter__(self) -> Record:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if self.cdo.disposed:
            return
        self._stored = None
        if self.malformed:
            self.cdo.dispose()
        else:
            self.cdo.__exit__(kind, error, trace)

    def _title(self) -> str:
        about = self.cdo.attributes
        return f"{about.get('maestro.collection')}/{about.get('maestro.sequence')} of {about.get('maestro.component')}"

    def __repr__(self) -> str:
        return f"<maestro.Record {self._title()}: {'malformed' if self.malformed else ', '.join(self._arrays)}>"

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
    for array in record.arrays():
        dataset = group.create_dataset(array.path, data=array[...])
        for key, value in array.attributes.items():
            dataset.attrs[key] = value if is_plain(value) else json.dumps(value)
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


def is_plain(value: Any) -> bool:
    """Whether HDF5 has attributes of this kind: numbers and texts, and lists of one of them."""
    values = value if isinstance(value, list) else [value]
    return bool(values) and any(all(isinstance(one, kind) for one in values) for kind in (str, (int, float)))


def plain(value: Any) -> Any:
    """An HDF5 attribute as Python writes it."""
    if isinstance(value, np.void):
        return value.tobytes()
    return value.item() if isinstance(value, np.generic) else value.tolist() if isinstance(value, np.ndarray) else value


def read_record(group: Any, record: NewRecord) -> None:
    def take(path: str, item: Any) -> None:
        if hasattr(item, "shape"):
            record[path] = item[()]
            record.array(path).attributes.update({key: plain(value) for key, value in item.attrs.items()})

    group.visititems(take)
    record.attributes.update({key: plain(value) for key, value in group.attrs.items() if not key.startswith(OWN)})


# ---- As text
def shown_form(dtype: Any, shape: Iterable[int]) -> str:
    return f"{dtype} {' x '.join(map(str, shape)) or 'scalar'}"


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
            lines.append(f"{'└' if last else '├'}─ {name}  {shown_form(dtype, shape)}")
            continue
        lines.append(f"{'└' if last else '├'}─ {name}")
        lines += [("   " if last else "│  ") + line for line in tree_lines(inner)]
    return lines
