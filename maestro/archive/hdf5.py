"""The HDF5 files of a store: one for each collection and period, complete or not there.

A record is a group of the same tree that `maestro export` writes; an object of no record is a dataset with its attributes, of its own
type and shape where it says them, else of bytes. The dataset maestro.index has the line (kept.py) of each, from which it is offered again
exactly; everything else is for readers with h5py.

Invariant: what HDF5 cannot say (a type that it does not have) is kept as bytes, never left out.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .. import errors
from ..cdo import _layout
from ..record import Place, Record, h5py, new_file, write_attributes, write_record
from .errors import ArchiveError, from_system
from .kept import Kept, arrays_of, compact

REMEDY = "Move it out of the store, or put it back from a copy"
INDEX, FORMAT, NUMBER = "maestro.index", "maestro.archive", 1


# ---- Writing
def write_period(path: Path, collection: str | None, objects: Iterable[Kept]) -> None:
    """A file with these objects; it gets its name when it is on disk."""
    lines: list[bytes] = []
    try:
        with new_file(path, libver="v110") as file:
            file.attrs[FORMAT] = NUMBER
            if collection is not None:
                file.attrs["maestro.collection"] = collection
            for number, kept in enumerate(objects):
                lines.append(compact({**kept.line, "at": write_object(file, number, kept)}))
            file.create_dataset(INDEX, data=np.frombuffer(b"\n".join(lines), "u1"))
    except OSError as error:
        raise from_system("write", path, error) from error


def write_object(file: Any, number: int, kept: Kept) -> str:
    """One object; the name under which it stands."""
    if all(arrays_of(part.line["attributes"], part.nbytes) is not None for part in kept.parts()):
        name = free_name(file, kept)
        try:
            write_record(Record(kept), file.create_group(name))
            return name
        except (TypeError, ValueError, KeyError):  # arrays or attributes that HDF5 cannot say
            del file[name]
    name = f"object.{number:06}"
    raw = np.frombuffer(kept.memory, "u1") if len(kept.memory) else np.empty(0, "u1")
    place = place_of(kept)
    try:
        dataset = file.create_dataset(name, data=place.view(kept.memory) if place else raw)
    except TypeError:  # HDF5 has no such type
        dataset = file.create_dataset(name, data=raw)
    with contextlib.suppress(TypeError, ValueError, OSError):  # for people: the index has them all
        write_attributes(kept.attributes, dataset)
    return name


def free_name(file: Any, kept: Kept) -> str:
    """As records are named in exported files; with the version where there are several."""
    name = str(kept.get("maestro.sequence", 0))
    if name in file:
        name += f".{kept['maestro.component']}.{kept['maestro.rank']}"
    return name if name not in file else f"{name}.{kept.get('maestro.version', len(file))}"


def place_of(kept: Kept) -> Place | None:
    """The array that an object says it is."""
    if (dtype := kept.get("maestro.dtype")) is None:
        return None
    try:
        element, shape = _layout(dtype, kept.get("maestro.shape"))
    except errors.MaestroError:
        return None
    place = Place(element, shape or (), kept.get("maestro.order", "C")) if shape is not None else None
    return place if place and place.nbytes == len(kept.memory) and element.names is None else None


# ---- Reading
@contextlib.contextmanager
def open_period(path: Path):
    try:
        with h5py().File(path, "r") as file:
            if file.attrs.get(FORMAT) != NUMBER or INDEX not in file:
                raise ArchiveError(f"archive: read {path}: this is an HDF5 file, but none of an archive; move it out of the store")
            yield file
    except OSError as error:
        if isinstance(error, errors.MaestroError):
            raise
        if isinstance(error, FileNotFoundError):
            raise from_system("read", path, error) from error
        text = f"archive: read {path}: it is no complete HDF5 file ({error}); was it cut short, or copied in part?"
        raise ArchiveError(f"{text} {REMEDY}") from error


def read_index(path: Path) -> list[dict[str, Any]]:
    """The lines of a file's objects; "at" is the name of each."""
    with open_period(path) as file:
        text = file[INDEX][()].tobytes()
    try:
        return [json.loads(line) for line in text.split(b"\n") if line]
    except ValueError as error:
        raise ArchiveError(f"archive: read {path}: its index is damaged ({error}). {REMEDY}") from error


def read_object(path: Path, line: dict[str, Any]) -> Kept:
    """An object with its bytes."""
    memory = bytearray(line["nbytes"])
    kept = Kept(line, memory)
    with open_period(path) as file:
        item = file[line["at"]]
        if isinstance(item, h5py().Group):
            for part in kept.parts():
                read_arrays(part, item)
        elif memory:
            place = place_of(kept)
            if place is None or item.dtype != place.dtype:
                place = Place(np.dtype("u1"), (len(memory),))
            place.view(memory)[...] = item[()]
    return kept


def read_arrays(part: Kept, group: Any) -> None:
    """The arrays of a record's part, or the blocks that it has of them."""
    for name, place in arrays_of(part.line["attributes"], part.nbytes).items():
        dataset = group[name]
        if isinstance(place, Place):
            place.view(part.data)[...] = dataset[()]
            continue
        for start, block in place.blocks:
            block.view(part.data)[...] = dataset[tuple(slice(low, low + n) for low, n in zip(start, block.shape, strict=True))]
