"""What an archive keeps of an object besides its bytes: a line of JSON that gives every attribute back with its type, and two digests.

The key says which object it is (schema, identity, version), the digest what it holds. An object that comes a second time, because an
archive was killed before it had acknowledged it, has both; one key with two digests is a conflict.

Invariant: an attribute comes back as the value that was offered, timestamps to the nanosecond, and blobs byte by byte.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from .. import errors
from ..record import Blocks, Place, read_layout
from .errors import ArchiveError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OWNER = ("maestro.component", "maestro.rank")
COPY = "maestro.node"  # where a copy comes from, which an archived object does not
# What may differ between two offers of the same content.
PASSING = {*OWNER, COPY, "maestro.version", "maestro.time", "maestro.lifetime", "maestro.priority"}


def digest_of(*parts: Any) -> str:
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        total.update(part)
    return total.hexdigest()


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


# ---- Attributes
def written(attributes: Mapping[str, Any], nanoseconds: Any) -> dict[str, Any]:
    """Attributes as JSON can say them; `nanoseconds` gives a timestamp by its key."""
    return {key: write_value(key, value, nanoseconds) for key, value in attributes.items()}


def write_value(key: str, value: Any, nanoseconds: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return {"blob": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray):
        return {"array": value.astype("i8" if value.dtype.kind == "M" else value.dtype).tolist(), "dtype": value.dtype.str}
    if isinstance(value, tuple):
        return {"texts": list(value)}
    return {"time": nanoseconds(key)} if isinstance(value, datetime) else value


def exact(value: Any) -> Any:
    """A written value as it is set again."""
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.array(value["array"], "i8" if "M" in value["dtype"] else None).astype(value["dtype"])
    if "texts" in value:
        return tuple(value["texts"])
    return np.datetime64(value["time"], "ns") if "time" in value else base64.b64decode(value["blob"])


def readable(value: Any) -> Any:
    """A written value as Python shows it: timestamps in microseconds."""
    return EPOCH + timedelta(microseconds=value["time"] // 1000) if isinstance(value, dict) and "time" in value else exact(value)


# ---- Digests
class Identity:
    """Which attributes make an object's identity, by its schema."""

    def __init__(self, schema: Mapping[str, Any]):
        own = [attribute["name"] for attribute in schema["attributes"] if attribute.get("identity")]
        self.keys = own or ["maestro.name"]
        self.schema, self.owner = schema["name"], schema["reach"] == "node"

    def key(self, attributes: Mapping[str, Any], source: Any) -> tuple[str, str]:
        """Digests of the identity, and of it with the version; an object without identity is told by its pool and number (`source`)."""
        values = {name: attributes[name] for name in self.keys if name in attributes}
        owner = [attributes.get(name) for name in OWNER] if self.owner else None
        identity = digest_of(compact([self.schema, values, owner, source if not values else None]))
        return identity, digest_of(identity.encode(), compact(attributes.get("maestro.version")))


def arrays_of(attributes: Mapping[str, Any], nbytes: int) -> dict[str, Place | Blocks] | None:
    """Where the arrays of a record lie; None for what is no record, or does not say so rightly."""
    layout = attributes.get("maestro.arrays")
    with contextlib.suppress(errors.MaestroError):
        return None if layout is None else read_layout(layout, nbytes)
    return None


def pieces(attributes: Mapping[str, Any], data: memoryview) -> Iterator[memoryview]:
    """The bytes that mean something: not those between the arrays of a record."""
    places = arrays_of(attributes, len(data))
    if places is None:
        yield data
        return
    for place in places.values():
        for piece in place.pieces():
            yield data[piece.offset : piece.offset + piece.nbytes]


def content(parts: Iterable[tuple[Mapping[str, Any], memoryview]]) -> str:
    """The digest of what an object holds: attributes and bytes of each part."""
    total: list[Any] = []
    for attributes, data in parts:
        total += [compact({key: value for key, value in attributes.items() if key not in PASSING}), *pieces(attributes, data)]
    return digest_of(*total)


# ---- Objects
class Kept:
    """
    An object in an archive, or a part of it, read like a `maestro.Cdo`.

    Attributes
    ----------
    line : dict
        What is kept besides the bytes: "key", "identity", "digest", "nbytes" (of all parts), "attributes" as they are written, and, of an
        object of several parts, "parts": the attributes and sizes of those behind the first.
    data : memoryview
        Bytes of the first part.
    memory : memoryview
        Bytes of all parts.
    """

    def __init__(self, line: Mapping[str, Any], memory: Any):
        self.line, self.memory = line, memoryview(memory)
        self._others = line.get("parts", [])
        self.data = self.memory[: self.nbytes]

    @property
    def nbytes(self) -> int:
        return self.line["nbytes"] - sum(part["nbytes"] for part in self._others)

    @property
    def attributes(self) -> dict[str, Any]:
        return {key: readable(value) for key, value in self.line["attributes"].items()}

    def get(self, key: str, default: Any = None) -> Any:
        return readable(self.line["attributes"].get(key, default))

    def __getitem__(self, key: str) -> Any:
        return readable(self.line["attributes"][key])

    def part(self, number: int) -> Kept:
        """A part of an object of several, from 0 on."""
        sizes = [self.nbytes, *(part["nbytes"] for part in self._others)]
        begin = sum(sizes[:number])
        line = {"attributes": self.line["attributes"], "nbytes": self.nbytes} if number == 0 else self._others[number - 1]
        return Kept(line, self.memory[begin : begin + sizes[number]])

    def part_start(self, number: int) -> Kept:
        """The same, as of an object in a pool: a request, which has nothing to wait for."""
        return self.part(number)

    def wait(self) -> Kept:
        """Itself, as what a request gives."""
        return self

    def parts(self) -> list[Kept]:
        """All of them; an object that one offer has made is its only part."""
        return [self.part(number) for number in range(1 + len(self._others))]

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *exception) -> None:
        """Nothing is leased."""

    def is_whole(self) -> bool:
        """Whether the bytes are those that were kept."""
        if len(self.memory) != self.line["nbytes"]:
            return False
        return content((part.line["attributes"], part.data) for part in self.parts()) == self.line["digest"]


def describe(line: Mapping[str, Any]) -> str:
    """An object in a message: its attributes, short."""
    plain = {key: value for key, value in line["attributes"].items() if key != "maestro.arrays" and not isinstance(value, dict)}
    return " ".join(f"{key}={value}" for key, value in plain.items())[:300]


def declare(session: Any, line: Mapping[str, Any]) -> Any:
    """A new object with the attributes of an archived one, also those that say who offered it: the session is a relay."""
    return session.cdo({key: exact(value) for key, value in line["attributes"].items() if key != COPY})


def offer(session: Any, kept: Kept) -> list[Any]:
    """
    Give an archived object to the pool, as its producers did; an offer for each of its parts: all of them, or an error and none.

    Raises
    ------
    DuplicateError
        One of its identity lives.
    MaestroError
        The first of what else was refused, such as memory.
    """
    if not kept.is_whole():
        raise ArchiveError(f"archive: {describe(kept.line)}: the store no longer has the bytes that were archived; is the disk damaged?")
    offered: list[Any] = []
    try:
        for part in kept.parts():
            cdo = declare(session, part.line)
            offered.append(cdo)
            if part.nbytes:
                cdo.empty(part.nbytes)
                cdo.fill(part.data)
            cdo.offer()
    except BaseException:
        take_back(settle(offered)[0])
        raise
    taken, refused = settle(offered)
    if refused:
        take_back(taken)
        raise refused[0]
    return taken


def settle(offered: list[Any]) -> tuple[list[Any], list[errors.MaestroError]]:
    """Waits for all offers: those that were taken, and why the others were not, which are disposed of; no refusal stays unread."""
    taken, refused = [], []
    for cdo in offered:
        try:
            cdo.wait()
            taken.append(cdo)
        except errors.MaestroError as error:
            refused.append(error)
            cdo.dispose()
    return taken, refused


def take_back(offered: list[Any]) -> None:
    """Withdraw what was offered, so that it can be offered anew; does not wait for those who read it."""
    requests = []
    for cdo in offered:
        with contextlib.suppress(errors.WithdrawnError, errors.StateError):  # by its lifetime, or with another part
            requests.append(cdo.withdraw_start())
    with contextlib.suppress(errors.MaestroError):  # of a pool that is lost the next call tells
        if requests:
            offered[0].session.count({"maestro.name": ""})  # whose answer comes when the manager has seen to the requests
    for cdo in offered:
        cdo.dispose()
