"""A file that HDF5 writes through: an error of the disk is kept until the end, for HDF5 does not survive one while it closes a file.

Invariant: what was written without error is on disk when the block ends; else the first error is raised there.
"""

from __future__ import annotations

import io
import os
from typing import Any


class WholeFile(io.FileIO):
    """A new file; as a context manager it ends on disk, or with the first error that there was."""

    def __init__(self, path: str | os.PathLike):
        super().__init__(path, "w+")
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        start, view = self.tell(), memoryview(data).cast("B")
        length = len(view)
        try:
            while self._error is None and view:
                view = view[super().write(view) :]
        except OSError as error:
            self._error = error
        if self._error is not None:
            self.seek(start + length)
        return length

    def readinto(self, buffer: Any) -> int:
        """All of the buffer; zeros where nothing could be written."""
        view = memoryview(buffer).cast("B")
        count = super().readinto(view)
        view[count:] = bytes(len(view) - count)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            super().truncate(size)
        except OSError as error:
            self._error = self._error or error
        return self.tell() if size is None else size

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None:
                if self._error is not None:
                    raise self._error
                os.fsync(self.fileno())
        finally:
            self.close()
