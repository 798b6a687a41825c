"""FDB as this workflow uses it: one local store per root, the explicit MARS key, a fresh handle per query.

Knows pyfdb and nothing of plans or sinks. A handle that has retrieved once does not see newer data (its catalogue is cached), hence
`Reader` opens a new one for each batch of notices.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import yaml

from .copying import Copies
from .errors import WeatherError, need

# One database per step, member and level type. A reader opens a database anew for each query, and its table of contents grows with
# every flush: with one database for the whole forecast a retrieve costs 6 ms after 200 flushes and 30 ms after 1,600, with this one
# 2 ms always.
SCHEMA = """[ class, stream, expver, date, time, step, number?, levtype
  [ type
    [ levelist?, iteration?, param ]]]
"""


class FdbError(WeatherError, OSError):
    """FDB does not hold what it was given."""


def configuration(root) -> dict:
    """FDB's configuration of the store at `root`, which is made when it is not there."""
    root = Path(root)
    (root / "root").mkdir(parents=True, exist_ok=True)
    schema = root / "schema"
    if not schema.exists():
        fresh = root / f"schema.{os.getpid()}"
        fresh.write_text(SCHEMA)
        fresh.replace(schema)
    space = {"handler": "Default", "roots": [{"path": str(root / "root")}]}
    return {"type": "local", "engine": "toc", "schema": str(schema), "spaces": [space]}


def configure(root) -> Path:
    """The same as a file, as FDB's tools and `maestro restore` take it."""
    path = Path(root) / "config.yaml"
    about = configuration(root)  # which makes the folder
    path.write_text(yaml.safe_dump(about))
    return path


def open_fdb(root):
    """A new FDB handle on the store at `root`."""
    return need("pyfdb", "pyfdb").FDB(configuration(root))


def identifier(field) -> dict[str, str]:
    """The explicit key of a field, all text; params by number, for names are translated in requests but not in archiving."""
    return {key: str(value) for key, value in field.keys.items()} | {"param": str(field.param_id)}


def load(root, field) -> None:
    """Ask once for a field that is not there yet: a process's first query loads libraries and takes 60 ms."""
    with contextlib.suppress(FdbError):
        Reader(root).retrieve(field, 1)


class Reader:
    """Reads fields that were flushed before this object was made."""

    def __init__(self, root, copies: Copies | None = None):
        self.fdb = open_fdb(root)
        self.root, self.copies = root, copies or Copies()

    def retrieve(self, field, nbytes: int):
        """The field's bytes in a new buffer; FdbError when FDB gives another number of bytes than were archived."""
        buffer = bytearray(nbytes)
        with self.fdb.retrieve(identifier(field)) as handle:
            got = self.copies.read_into(handle, buffer)
        if got != nbytes:
            raise FdbError(f"retrieve {identifier(field)} from {self.root}: {got} bytes instead of {nbytes}")
        return buffer
