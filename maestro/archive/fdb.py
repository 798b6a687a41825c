"""A store of GRIB fields in FDB, so that FDB's own tools find them; journals beside FDB's configuration have what FDB does not say.

    config.yaml                     FDB's configuration; its schema says which keys a field is filed under
    config.archive/00000001.journal lines (kept.py) of the fields that were flushed, one journal for each run of an archive

A field is filed under those of its attributes that FDB's schema names, with the number of its param. FDB has one field under a key: a
newer version takes the place of an older one there.

Invariant: a line is written after the flush of its field has returned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import yamlfile
from .catalogue import Entry
from .errors import ArchiveError
from .journal import Journal, Reading
from .kept import Kept, describe
from .store import Store, number_of

COMMENT = re.compile(r"#[^\n]*")
MOMENT = {"date", "time", "step", "number"}  # fields that differ in these alone have one param; its number takes long to read


class FdbStore(Store):
    """As `Store`, in FDB; `config` is FDB's configuration."""

    def __init__(self, config: Path, write: bool = False):
        self.config, self._keys = config, schema_keys(config)
        self._fdb, self._journal, self._waiting = open_fdb(config), None, []
        self._filed: dict[frozenset, str] = {}
        self._params: dict[frozenset, str] = {}
        super().__init__(config.with_suffix(".archive"), write)

    def _open(self, write: bool) -> None:
        for path in self._files("*.journal"):
            for line, _ in Reading(path).objects(data_elsewhere=True):
                self._add(line)

    def _add(self, line: dict[str, Any]) -> None:
        self.catalogue.add(line, self.config, None)
        self._filed[frozenset(line["at"].items())] = line["identity"]

    def load(self, entry: Entry) -> Kept:
        line = entry.line
        data = bytearray(line["nbytes"])
        try:
            with open_fdb(self.config).retrieve(line["at"]) as handle:  # one that has retrieved once sees nothing newer
                handle.readinto(memoryview(data))
        except RuntimeError as error:
            raise ArchiveError(f"archive: retrieve {line['at']} from FDB {self.config}: {first_line(error)}") from error
        return Kept(line, data)

    def _put(self, line: dict[str, Any], data: list[memoryview]) -> str:
        message = b"".join(data)
        if message[:4] != b"GRIB":
            raise ArchiveError(f"archive: {describe(line)} is no GRIB message, and FDB keeps nothing else; select fields only")
        at = self._identifier(line["attributes"], message)
        if self._filed.get(frozenset(at.items()), line["identity"]) != line["identity"]:
            return "conflict"
        try:
            self._fdb.archive(message, at)
        except RuntimeError as error:
            raise ArchiveError(f"archive: file {at} in FDB {self.config}: {first_line(error)}") from error
        self._waiting.append({**line, "at": at})
        self._add(self._waiting[-1])
        return "kept"

    def _identifier(self, attributes: Mapping[str, Any], message: bytes) -> dict[str, str]:
        """The key of a field, all text; params by number, for names are translated in requests but not in archiving."""
        at = {key: as_text(value) for key, value in attributes.items() if key in self._keys}
        return at | {"param": self._param(at, message)}

    def _param(self, at: Mapping[str, str], message: bytes) -> str:
        if "param" not in at:
            return param_of(message)
        alike = frozenset(item for item in at.items() if item[0] not in MOMENT)
        if alike not in self._params:
            self._params[alike] = param_of(message)
        return self._params[alike]

    def sync(self) -> None:
        if not self._waiting:
            return
        try:
            self._fdb.flush()
        except RuntimeError as error:
            raise ArchiveError(f"archive: flush FDB {self.config}: {first_line(error)}") from error
        if self._journal is None:
            last = max(map(number_of, self._files("*.journal")), default=0)
            self._journal = Journal(self.folder / f"{last + 1:08}.journal")
        for line in self._waiting:
            self._journal.append(line, [])
        self._waiting.clear()
        self._journal.sync()


def open_fdb(config: Path) -> Any:
    from ..workflows.weather.errors import need

    return need("pyfdb", "pyfdb").FDB(config)


def schema_keys(config: Path) -> set[str]:
    """Every word of FDB's schema: the keys are among them."""
    about = yamlfile.read(config).data
    path = about.get("schema") if isinstance(about, dict) else None
    if not isinstance(path, str):
        raise ArchiveError(f"archive: read {config}: it is no configuration of FDB with a 'schema'")
    try:
        return set(re.findall(r"[a-z_]+", COMMENT.sub("", Path(path).read_text(encoding="utf-8"))))
    except OSError as error:
        raise ArchiveError(f"archive: read the schema {path} of FDB {config}: {error.strerror}") from error


def param_of(message: bytes) -> str:
    """The number of a field's param."""
    from ..workflows.weather import grib

    handle = grib.open_message(message)
    try:
        return grib.text(handle, "paramId")
    finally:
        grib.eccodes().codes_release(handle)


def as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
