"""A store on disk: a folder with HDF5 files of the periods that are over, and the journal of the one that goes on.

    store/maestro-archive.json      format and schema
    store/schema.yaml               the schema, so that the objects can be offered in a new pool
    store/lock                      held by the one archive that writes
    store/00000012.journal          the period that goes on, or was going on at a kill
    store/collections/NAME/00000011.h5, store/objects/00000011.h5

A period ends after so many objects, bytes or seconds: its files are written under other names, renamed when they are on disk, and then
the journal goes. Who opens the store to write does that for the journals that a kill has left. Where a journal and files of its number
are both there, the journal is right.

Invariant: an object for which `sync` has returned is found by whoever opens the store afterwards; none is there twice.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .catalogue import Catalogue, Entry
from .errors import ArchiveError, from_system
from .hdf5 import read_index, read_object, write_period
from .journal import Journal, Reading, sync_folder
from .kept import Identity, Kept, compact, content, written

MARK, FORMAT = "maestro-archive.json", 1
NUMBER = re.compile(r"(\d{8})\.(journal|h5)")
RETRIES = 5  # of a reader that meets a period just as it ends


def safe(name: str) -> str:
    """A collection's name as that of a folder."""
    return quote(name, safe="").replace(".", "%2E")


def number_of(path: Path) -> int:
    return int(path.name.partition(".")[0])


class Limits:
    """How long a period lasts at most."""

    def __init__(self, objects: int = 10_000, nbytes: int = 1 << 30, seconds: float = 300.0):
        self.objects, self.nbytes, self.seconds = objects, nbytes, seconds


class Store:
    """
    An archive's folder.

    Parameters
    ----------
    folder : Path
    write : bool
        Make it where it is not there, lock it, and bring it in order; else it is only read.
    limits : Limits

    Attributes
    ----------
    catalogue : Catalogue

    Raises
    ------
    ArchiveError
        The folder is something else, damaged, in use, or cannot be written.
    """

    def __init__(self, folder: Path, write: bool = False, limits: Limits | None = None):
        self.folder, self.limits, self.catalogue = folder, limits or Limits(), Catalogue()
        self._journal: Journal | None = None
        self._period: list[Entry] = []
        self._began = 0.0
        self._identity: Identity | None = None
        self._lock = None
        check_folder(folder, write)
        if write:
            self._lock = lock(folder)
            self._recover()
        self._read()

    @property
    def schema(self) -> Path | None:
        """The file of its schema, once something was kept."""
        path = self.folder / "schema.yaml"
        return path if path.exists() else None

    # ---- Reading
    def _files(self, pattern: str) -> list[Path]:
        return sorted((path for path in self.folder.glob(pattern) if NUMBER.fullmatch(path.name)), key=lambda path: (number_of(path), path))

    def _read(self) -> None:
        """Fills the catalogue; a period that ends meanwhile is met again as files."""
        for attempt in itertools.count(1):
            self.catalogue = Catalogue()
            try:
                self._fill()
                break
            except ArchiveError as error:
                if not isinstance(error.__cause__, FileNotFoundError) or attempt == RETRIES:
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
        if entry.place is not None:
            return Kept(line, Reading(entry.path).data(entry.place, line["nbytes"]))
        return read_object(entry.path, line)

    # ---- Keeping
    def begin(self, session: Any) -> None:
        """Keep objects of this session's schema from now on."""
        schema = session.schema
        self._identity = Identity(schema)
        mark = self.folder / MARK
        if not mark.exists():
            write_whole(self.folder / "schema.yaml", schema["text"])
            write_whole(mark, json.dumps({"format": FORMAT, "schema": schema["name"]}))
            sync_folder(self.folder)
        elif (other := json.loads(mark.read_text())["schema"]) != schema["name"]:
            raise ArchiveError(f"archive: {self.folder} holds objects of schema {other}, not {schema['name']}; choose another store")

    def keep(self, cdo: Any, pool: str) -> tuple[str, dict[str, Any]]:
        """
        Take an object; durable after the next `sync`.

        Returns
        -------
        (str, dict)
            "kept", "known" (it was there already) or "conflict" (something else of its identity and version is there, and stays); its line.
        """
        attributes = written(cdo.attributes, cdo._nanoseconds)
        data = cdo.data
        identity, key = self._identity.key(attributes, [pool, cdo.id])
        line = {"identity": identity, "key": key, "digest": content(attributes, data), "nbytes": len(data), "attributes": attributes}
        if (known := self.catalogue.digest(key)) is not None:
            return "known" if known == line["digest"] else "conflict", line
        if self._journal is None:
            self._open_journal()
        offset = self._journal.append(line, data)
        self._period.append(self.catalogue.add(line, self._journal.path, offset))
        return "kept", line

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

    def _open_journal(self) -> None:
        last = max((number_of(path) for path in self._files("*.journal") + self._files("**/*.h5")), default=0)
        self._journal = Journal(self.folder / f"{last + 1:08}.journal")
        self._began = time.monotonic()

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
            path.unlink()
        for path in self._files("*.journal"):
            self._convert(path)

    def close(self) -> None:
        """Ends the period, and lets others write."""
        try:
            self.finish_period()
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None


# ---- Files and folders
def file_of(folder: Path, journal: Path, line: dict[str, Any]) -> Path:
    collection = line["attributes"].get("maestro.collection")
    place = folder / "objects" if collection is None else folder / "collections" / safe(collection)
    return place / f"{number_of(journal):08}.h5"


def write_whole(path: Path, text: str) -> None:
    """A small file that is complete or not there."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def make_folder(folder: Path, root: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    while folder != root:
        folder = folder.parent
        sync_folder(folder)


def check_folder(folder: Path, write: bool) -> None:
    """Whether a folder is a store, or can become one."""
    mark = folder / MARK
    try:
        if mark.exists():
            about = json.loads(mark.read_text())
            if about["format"] != FORMAT:
                raise ArchiveError(f"archive: {folder} has format {about['format']}, this version reads {FORMAT}")
        elif folder.exists() and any(name for name in os.listdir(folder) if name != "lock"):
            raise ArchiveError(f"archive: {folder} is no archive: it holds other things; choose an empty folder, or a new one")
        elif write:
            folder.mkdir(parents=True, exist_ok=True)
        elif not folder.exists():
            raise ArchiveError(f"archive: there is no store {folder}")
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"archive: {mark} is damaged: {error}; put it back from a copy") from error
    except OSError as error:
        if isinstance(error, ArchiveError):
            raise
        raise from_system("open", folder, error) from error


def lock(folder: Path):
    """The right to write, until the file is closed or the process ends."""
    path = folder / "lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise from_system("open", path, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise ArchiveError(f"archive: {folder} is written by another archive; one at a time, please") from error
    return file
