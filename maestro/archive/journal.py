"""The journal of a period: objects one behind the other, appended and durable before anybody is told that they are kept.

    header  magic, format
    object  mark, length of the line, digest of the line | the line (kept.py) | the object's bytes

An object is there when its line and its bytes have their digests; what was being written at a kill has not, and ends the journal. When
the period is over its HDF5 files are made from the journal, which goes afterwards: until then it is the truth.

Invariant: what `sync` has returned for is read again, whatever happens to the process.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import ArchiveError, from_system
from .kept import Kept, compact

MAGIC = b"maestro archive 1\n"
HEAD = struct.Struct("<4sI16s")
MARK = b"CDO\n"


def check(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()


def sync_folder(folder: Path) -> None:
    """Names in it are on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Journal:
    """
    A journal that is being written.

    Attributes
    ----------
    path : Path
    nbytes : int
        Its length.
    """

    def __init__(self, path: Path):
        self.path, self.nbytes = path, 0
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            self._write([MAGIC])
            sync_folder(path.parent)
        except OSError as error:
            raise from_system("make the journal", path, error) from error

    def append(self, line: dict[str, Any], data: list[memoryview]) -> int:
        """Write an object behind the others; where its bytes begin."""
        text = compact(line)
        try:
            self._write([HEAD.pack(MARK, len(text), check(text)), text, *data])
        except OSError as error:
            raise from_system("write", self.path, error) from error
        return self.nbytes - sum(map(len, data))

    def _write(self, parts: list) -> None:
        views = [memoryview(part).cast("B") for part in parts if len(part)]
        while views:
            written = os.writev(self._file, views)
            self.nbytes += written
            while views and written >= len(views[0]):
                written -= len(views.pop(0))
            if views:
                views[0] = views[0][written:]

    def sync(self) -> None:
        """Everything that was appended is on disk."""
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise from_system("write", self.path, error) from error

    def close(self) -> None:
        os.close(self._file)


class Reading:
    """A journal as it is read: a memory map, and the objects in it that are whole."""

    def __init__(self, path: Path):
        self.path = path
        try:
            with path.open("rb") as file:
                nbytes = os.fstat(file.fileno()).st_size
                self.memory = memoryview(mmap.mmap(file.fileno(), nbytes, access=mmap.ACCESS_READ) if nbytes else b"")
        except OSError as error:
            raise from_system("read", path, error) from error
        if bytes(self.memory[: len(MAGIC)]) != MAGIC[:nbytes]:
            raise ArchiveError(f"archive: read {path}: this is no journal of an archive; move it away")

    def data(self, offset: int, nbytes: int) -> memoryview:
        return self.memory[offset : offset + nbytes]

    def objects(self, data_elsewhere: bool = False) -> Iterator[tuple[dict[str, Any], int]]:
        """Line and offset of each whole object; of one whose bytes lie elsewhere the line is all."""
        at = len(MAGIC)
        while at + HEAD.size <= len(self.memory):
            mark, length, digest = HEAD.unpack_from(self.memory, at)
            text = bytes(self.memory[at + HEAD.size : at + HEAD.size + length])
            if mark != MARK or check(text) != digest:
                return
            line, offset = json.loads(text), at + HEAD.size + length
            if not data_elsewhere and not Kept(line, self.data(offset, line["nbytes"])).is_whole():
                return
            yield line, offset
            at = offset + (0 if data_elsewhere else line["nbytes"])
