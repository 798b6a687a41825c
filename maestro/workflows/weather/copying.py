"""Copies of messages, made and counted in one place: whoever copies a message does it by a method of `Copies`.

What the report says of copies per field is the sum of these counts, and of what the pool counted by itself. Also the two functions
that write and read a file in full. Knows bytes, not fields.
"""

from __future__ import annotations

import os


class Copies:
    """Makes copies and counts them; each process has one for all the messages that pass through its sink or source."""

    def __init__(self):
        self.made = 0

    def take(self) -> int:
        """How many copies were made since the last call."""
        made, self.made = self.made, 0
        return made

    def fill(self, cdo, message) -> None:
        """Copy into the memory of an object of the pool."""
        self.made += 1
        cdo.fill(message)

    def to_bytes(self, message: memoryview) -> bytes:
        """Copy into a bytes object, for a library that takes nothing else."""
        self.made += 1
        return message.tobytes()

    def write(self, descriptor: int, message) -> None:
        """Copy into the page cache."""
        self.made += 1
        write_all(descriptor, message)

    def read(self, descriptor: int, nbytes: int, offset: int) -> bytearray:
        """Copy out of the page cache, into a new buffer."""
        self.made += 1
        return read_all(descriptor, nbytes, offset)

    def archive(self, fdb, message: bytes, key: dict) -> None:
        """Have FDB copy into the page cache; what FDB may copy before that inside of itself is not counted."""
        self.made += 1
        fdb.archive(message, key)

    def read_into(self, handle, buffer: bytearray) -> int:
        """Have FDB copy out of the page cache into `buffer`; returns the number of bytes."""
        self.made += 1
        return handle.readinto(memoryview(buffer))


def write_all(descriptor: int, data) -> None:
    """Write all of `data`; a call of the system may take less (a full disk, a signal)."""
    rest = memoryview(data).cast("B")
    while rest:
        done = os.write(descriptor, rest)
        if not done:
            raise OSError(f"write {len(rest)} bytes to descriptor {descriptor}: none was taken")
        rest = rest[done:]


def read_all(descriptor: int, nbytes: int, offset: int) -> bytearray:
    """Read `nbytes` from `offset` on; OSError where the file ends before."""
    buffer = bytearray(nbytes)
    rest = memoryview(buffer)
    while rest:
        done = os.preadv(descriptor, [rest], offset + nbytes - len(rest))
        if not done:
            raise OSError(f"read {nbytes} bytes at {offset} from descriptor {descriptor}: the file ends {len(rest)} bytes too early")
        rest = rest[done:]
    return buffer
