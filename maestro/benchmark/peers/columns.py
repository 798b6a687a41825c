"""How a peer that knows no columns of attributes sends a step of 1000 objects: ways that keep them apart, and one that does not.

columns  a pickled tuple for each object, a frame or an entry each: every object can be routed, kept or read alone
tuples   one pickled list of tuples: the objects come apart when all of them are read
blobs    the columns themselves, pickled: nobody can find, store or match one object; the quickest way
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np


def pack(what: str, count: int, columns: dict[str, Any]) -> bytes:
    return pickle.dumps(columns if what == "blobs" else (tuple(columns), tuples(count, columns)), 5)


def unpack(what: str, data: Any, count: int, keys: tuple[str, ...]) -> dict[str, Any]:
    got = pickle.loads(data)
    return masked(got, count, keys) if what == "blobs" else chosen(*got, keys)


def tuples(count: int, columns: dict[str, Any]) -> list[tuple]:
    """One tuple for each object, in the order of the columns."""
    return list(zip(*(listed(value, count) for value in columns.values()), strict=True))


def listed(value: Any, count: int) -> list:
    return value if isinstance(value, list) else value.tolist() if isinstance(value, np.ndarray) else [value] * count


def chosen(names: tuple[str, ...], objects: Iterable[tuple], keys: tuple[str, ...]) -> dict[str, Any]:
    """The consumer's own matching, object by object."""
    stream = names.index("stream")
    hits = [one for one in objects if one[stream] == "enfo"]
    return {key: [one[at] for one in hits] for key, at in ((key, names.index(key)) for key in keys)}


def masked(columns: dict[str, Any], count: int, keys: tuple[str, ...]) -> dict[str, Any]:
    """The consumer's own matching, by columns; a value that stands for all objects is compared once."""
    same = np.asarray(columns["stream"]) == "enfo"
    hits = same if same.ndim else np.full(count, same)
    return {key: (columns[key] if isinstance(columns[key], np.ndarray) else np.full(count, columns[key]))[hits] for key in keys}
