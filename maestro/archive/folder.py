"""A store of HDF5 files, one for each collection and period, and the journal of the period that goes on.

    store/00000012.journal          the period that goes on, or was going on at a kill
    store/collections/NAME/00000011.h5, store/objects/00000011.h5

A period ends after so many objects, bytes or seconds: its files are written under other names, renamed when they are on disk, and then
the journal goes. Who opens the store to write does that for the journals that a kill has left. Where a journal and files of its number
are both there, the journal is right.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .catalogue import Catalogue, Entry
from .errors import ArchiveError
from .hdf5 import read_index, read_object, write_period
from .journal import Journal, Reading, sync_folder
from .kept import Kept, compact
from .store import Limits, Store, number_of

RETRIES = 5  # of a reader that meets a period just as it ends


class FolderStore(Store):
    """As `Store`, in HDF5 files."""

    def __init__(self, folder: Path, write: bool = False, limits: Limits | None = None):
        self._journal: Journal | None = None
        self._period: list[Entry] = []
        self._began = 0.0
        super().__init__(folder, write, limits)

    # ---- Reading
    def _open(self, write: bool) -> None:
        if write:
            self._recover()
        for attempt in itertools.count(1):
            self.catalogue = Catalogue()
            try:
                self._fill()
                break
            except ArchiveError as error:
                if not has_gone(error) or attempt == RETRIES:
                    raise

    def _fill(self) -> None:
        journals = {number_of(path): path for path in self._files("*.journal")}
        for path in self._files("objects/*.h5") + self._files("collections/*/*.h5"):
            if number_of(path) not in journals:
                for line in read_index(path):
                    self.catalogue.add(line, path, None)
        for path in journals.values():
            for line, offset in Reading(path).objects():
                self.catalogue.add(line, path, offset)

    def load(self, entry: Entry) -> Kept:
        """An object with its bytes."""
        line = entry.line
        if entry.place is None:
            return read_object(entry.path, line)
        try:
            return Kept(line, Reading(entry.path).data(entry.place, line["nbytes"]))
        except ArchiveError as error:
            if not has_gone(error):
                raise
        path = file_of(self.folder, entry.path, line)  # the period has ended meanwhile
        return read_object(path, next(other for other in read_index(path) if other["key"] == line["key"]))

    # ---- Keeping
    def _put(self, line: dict[str, Any], data: list[memoryview]) -> str:
        if self._journal is None:
            last = max((number_of(path) for path in self._files("*.journal") + self._files("**/*.h5")), default=0)
            self._journal = Journal(self.folder / f"{last + 1:08}.journal")
            self._began = time.monotonic()
        offset = self._journal.append(line, data)
        self._period.append(self.catalogue.add(line, self._journal.path, offset))
        return "kept"

    def sync(self) -> None:
        """What was kept is on disk."""
        if self._journal is not None:
            self._journal.sync()

    @property
    def left_s(self) -> float:
        """Seconds until the period ends; 0: it is over."""
        if self._journal is None:
            return self.limits.seconds
        if len(self._period) >= self.limits.objects or self._journal.nbytes >= self.limits.nbytes:
            return 0.0
        return max(self._began + self.limits.seconds - time.monotonic(), 0.0)

    # ---- Ending a period
    def finish_period(self) -> None:
        """The journal becomes HDF5 files."""
        if self._journal is None:
            return
        journal, self._journal = self._journal, None
        journal.close()
        members, self._period = self._period, []
        files: dict[Path, list[Entry]] = {}
        for entry in members:
            files.setdefault(file_of(self.folder, journal.path, entry.line), []).append(entry)
        for path, names in self._convert(journal.path, len(members)).items():
            for entry, name in zip(files[path], names, strict=True):
                entry.path, entry.place, entry.text = path, None, compact({**entry.line, "at": name})

    def _convert(self, path: Path, count: int | None = None) -> dict[Path, list[str]]:
        """Writes the files of a journal of so many objects, then removes it; the names of the objects in each file."""
        reading, files = Reading(path), {}
        for line, offset in reading.objects():
            files.setdefault(file_of(self.folder, path, line), []).append((line, offset))
        if count is not None and sum(map(len, files.values())) != count:
            raise ArchiveError(f"archive: read {path}: it no longer holds the {count} objects that were written; is the disk damaged?")
        for file, objects in files.items():
            make_folder(file.parent, self.folder)
            collection = objects[0][0]["attributes"].get("maestro.collection")
            write_period(file, collection, (Kept(line, reading.data(offset, line["nbytes"])) for line, offset in objects))
            sync_folder(file.parent)
        path.unlink()
        sync_folder(self.folder)
        return {file: [line["at"] for line in read_index(file)] for file in files}

    def _recover(self) -> None:
        """Removes what a kill has left unfinished, and ends the periods that it has cut."""
        for path in self.folder.rglob(".*"):
            if path.is_file():
                path.unlink()
        for path in self._files("*.journal"):
            self._convert(path)


# ---- Files and folders
def safe(name: str) -> str:
    """A collection's name as that of a folder."""
    return quote(name, safe="").replace(".", "%2E")


def has_gone(error: ArchiveError) -> bool:
    """A file that was there is there no more."""
    return isinstance(error.__cause__, FileNotFoundError)


def file_of(folder: Path, journal: Path, line: dict[str, Any]) -> Path:
    collection = line["attributes"].get("maestro.collection")
    place = folder / "objects" if collection is None else folder / "collections" / safe(collection)
    return place / f"{number_of(journal):08}.h5"


def make_folder(folder: Path, root: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    while folder != root:
        folder = folder.parent
        sync_folder(folder)
