"""What every store has: a folder with the schema, a lock, a catalogue, and journals of what was kept.

    store/maestro-archive.json      format and schema
    store/schema.yaml               the schema, so that the objects can be offered in a new pool
    store/lock                      held by the one archive that writes

Where the bytes lie is the children's matter: folder.py (HDF5 files) and fdb.py.

Invariant: an object for which `sync` has returned is found by whoever opens the store afterwards; none is there twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .catalogue import Catalogue, Entry
from .errors import ArchiveError, from_system
from .journal import sync_folder
from .kept import Identity, Kept, content, written

MARK, FORMAT = "maestro-archive.json", 1
NUMBER = re.compile(r"(\d{8})\.(journal|h5)")


def number_of(path: Path) -> int:
    """Of a journal, or a file of its period."""
    return int(path.name.partition(".")[0])


class Limits:
    """How long a period lasts at most: what is written in one piece."""

    def __init__(self, objects: int = 10_000, nbytes: int = 1 << 30, seconds: float = 300.0):
        self.objects, self.nbytes, self.seconds = objects, nbytes, seconds


class Store:
    """
    A place for archived objects.

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
        self._identity: Identity | None = None
        check_folder(folder, write)
        self._lock = lock(folder) if write else None
        try:
            self._open(write)
        except BaseException:
            self._unlock()
            raise

    def _open(self, write: bool) -> None:
        """Bring the store in order where it is to be written, and fill the catalogue."""
        raise NotImplementedError

    @property
    def schema(self) -> Path | None:
        """The file of its schema, once something was kept."""
        path = self.folder / "schema.yaml"
        return path if path.exists() else None

    def _files(self, pattern: str) -> list[Path]:
        """Journals or files of periods, in their order."""
        return sorted((path for path in self.folder.glob(pattern) if NUMBER.fullmatch(path.name)), key=lambda path: (number_of(path), path))

    def load(self, entry: Entry) -> Kept:
        """An object with its bytes."""
        raise NotImplementedError

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

        Parameters
        ----------
        cdo : Cdo
        pool : str
            Name of the pool's present life: tells objects without identity from those of other pools.

        Returns
        -------
        (str, dict)
            "kept", "known" (it was there already) or "conflict" (something else of its identity and version is there, and stays); its line.
        """
        parts = list(parts_of(cdo))
        (attributes, _), *others = parts
        identity, key = self._identity.key(attributes, [pool, cdo.id])
        nbytes = sum(len(data) for _, data in parts)
        line = {"identity": identity, "key": key, "digest": content(parts), "nbytes": nbytes, "attributes": attributes}
        if others:
            line["parts"] = [{"attributes": more, "nbytes": len(data)} for more, data in others]
        if (known := self.catalogue.digest(key)) is not None:
            return "known" if known == line["digest"] else "conflict", line
        return self._put(line, [data for _, data in parts]), line

    def _put(self, line: dict[str, Any], data: list[memoryview]) -> str:
        """Write an object, part by part, that is not there yet, and add it to the catalogue; "kept" or "conflict"."""
        raise NotImplementedError

    def sync(self) -> None:
        """What was kept is on disk."""
        raise NotImplementedError

    @property
    def left_s(self) -> float:
        """Seconds until the period ends; 0: it is over."""
        return self.limits.seconds

    def finish_period(self) -> None:
        """Write what is written once in a period."""

    def close(self) -> None:
        """End the period, and let others write."""
        try:
            self.finish_period()
        finally:
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def parts_of(cdo: Any) -> Iterator[tuple[dict[str, Any], memoryview]]:
    """Attributes and bytes of an object, and of the further parts of one that several offers have made."""
    yield written(cdo.attributes, cdo._nanoseconds), cdo.data
    for number in range(1, cdo.get("maestro.parts", 1)):
        with cdo.part(number) as part:
            yield written(part.attributes, part._nanoseconds), part.data


def open_store(to: str, write: bool = False, limits: Limits | None = None) -> Store:
    """A store by what the command line says: a folder, or fdb: and FDB's configuration."""
    if to.startswith("fdb:"):
        from .fdb import FdbStore

        return FdbStore(Path(to.removeprefix("fdb:")), write)
    from .folder import FolderStore

    return FolderStore(Path(to), write, limits)


# ---- Files and folders
def is_ours(name: str) -> bool:
    """Whether a file may be there before the mark is: an archive was killed when it made the store."""
    return name in ("lock", "schema.yaml") or name.startswith(".")


def write_whole(path: Path, text: str) -> None:
    """A small file that is complete or not there."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def check_folder(folder: Path, write: bool) -> None:
    """Whether a folder is a store, or can become one."""
    mark = folder / MARK
    try:
        if mark.exists():
            about = json.loads(mark.read_text())
            if about["format"] != FORMAT:
                raise ArchiveError(f"archive: {folder} has format {about['format']}, this version reads {FORMAT}")
        elif folder.exists() and any(not is_ours(name) for name in os.listdir(folder)):
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
