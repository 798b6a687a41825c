"""What a store holds: which identities with which versions, where each lies, and which of them a selector selects.

Everything here is made anew from the store's files when it is opened; nothing of it is kept on disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _core
from ..selectors import Selector, selector_text
from .kept import compact, declare


@dataclass(slots=True)
class Entry:
    """An archived object: its line (kept.py) as text, and the file and place that have its bytes."""

    text: bytes
    path: Path
    place: Any

    @property
    def line(self) -> dict[str, Any]:
        return json.loads(self.text)


class Catalogue:
    """
    The objects of a store.

    Attributes
    ----------
    entries : list of Entry
        In the order in which they were kept.
    nbytes : int
        Of all objects.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.nbytes = 0
        self._digests: dict[str, str] = {}
        self._index: _core.Index | None = None
        self._indexed = 0

    def __len__(self) -> int:
        return len(self.entries)

    def digest(self, key: str) -> str | None:
        """What the object of this identity and version holds; None: it is not here."""
        return self._digests.get(key)

    def add(self, line: dict[str, Any], path: Path, place: Any) -> Entry:
        entry = Entry(compact(line), path, place)
        self.entries.append(entry)
        self._digests[line["key"]] = line["digest"]
        self.nbytes += line["nbytes"]
        return entry

    def find(self, session: Any, selector: Selector = None) -> list[Entry]:
        """
        The entries that a selector selects, of every version, in the order in which they were kept.

        The session must be a relay and have the store's schema; any pool will do.

        Raises
        ------
        SelectorError, AttributeKeyError
            The selector cannot be understood.
        """
        if self._index is None:
            self._index = _core.Index(session)
        for entry in self.entries[self._indexed :]:
            with declare(session, entry.line) as cdo:
                self._index.add(cdo)
            self._indexed += 1
        return [self.entries[number] for number in self._index.find(selector_text(selector))]

    def newest(self, session: Any, selector: Selector = None) -> list[Entry]:
        """Of `find` the newest version of each identity."""
        newest: dict[str, tuple[int, Entry]] = {}
        for entry in self.find(session, selector):
            line = entry.line
            version = line["attributes"].get("maestro.version", 0)
            if line["identity"] not in newest or version >= newest[line["identity"]][0]:
                newest[line["identity"]] = (version, entry)
        return [entry for _, entry in newest.values()]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)
