"""GRIB messages: read from files, made from values, re-keyed in place.

Knows eccodes; does not know MIR, sinks or plans' files. Invariant: whoever takes a handle here releases it here, and a view of a
handle's message is used before the handle changes.
"""

from __future__ import annotations

import mmap
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from . import mars, params
from .errors import GribError, need
from .plan import Field, Plan

SIX_HOURS = ("10fg", "mx2t6", "mn2t6")  # maxima and minima of the last six hours
PACKING = {"ccsds": "grid_ccsds", "simple16": "grid_simple"}


def eccodes():
    return need("eccodes", "eccodes")


def read_messages(path):
    """Yield each field of a GRIB file as bytes (fields that share a message are split); GribError if it is none or truncated."""
    ec = eccodes()
    path = Path(path)
    if not path.is_file():
        raise GribError(f"read {path}: no such file")
    begun = _check_whole(path)
    ec.codes_grib_multi_support_on()
    count = 0
    with path.open("rb") as stream:
        while True:
            handle = _next_handle(ec, stream, path, count)
            if handle is None:
                break
            try:
                yield ec.codes_get_message(handle)
            finally:
                ec.codes_release(handle)
            count += 1
    if not begun:
        raise GribError(f"read {path}: no GRIB message in it; give a GRIB file, edition 1 or 2")
    if count < begun:  # eccodes passes over a message whose sections it does not understand
        raise GribError(f"read {path}: only {count} of {begun} messages can be read; the sections of one are damaged")


def _check_whole(path: Path) -> int:
    """Count the messages; each ends where its length says, or GribError (eccodes passes over a last one that is cut off)."""
    if not path.stat().st_size:
        return 0
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
        return _count_whole(path, data)


def _count_whole(path: Path, data: mmap.mmap) -> int:
    at = count = 0
    while (at := data.find(b"GRIB", at)) >= 0 and at + 16 <= len(data):
        edition, length = data[at + 7], 4
        if edition == 2:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        elif edition == 1:
            length = int.from_bytes(data[at + 4 : at + 7], "big")
            length = 4 if length & 0x800000 else length  # beyond 8 MiB edition 1 counts in another way: looked at by eccodes only
        count += edition in (1, 2)
        if length > 4 and data[at + length - 4 : at + length] != b"7777":
            raise GribError(f"read {path}: message {count} is damaged or truncated (no 7777 at its end)")
        at += max(length, 4)
    return count


def _next_handle(ec, stream, path, count):
    try:
        return ec.codes_grib_new_from_file(stream)
    except ec.CodesInternalError as error:
        raise GribError(f"read {path}: message {count + 1} is damaged or truncated ({error})") from error


def open_message(message):
    """An eccodes handle on a copy of `message` (any readable buffer); the caller releases it."""
    ec = eccodes()
    try:
        return ec.codes_new_from_message(message if isinstance(message, bytes) else memoryview(message))
    except ec.CodesInternalError as error:
        raise GribError(f"open GRIB message of {len(message)} bytes: {error}") from error


def view(handle) -> memoryview:
    """The bytes of a handle's message without a copy; valid until the handle changes or is released."""
    from gribapi.bindings import ffi, lib

    start, length = ffi.new("const void **"), ffi.new("size_t *")
    if lib.grib_get_message(ffi.cast("grib_handle *", handle), start, length):
        raise GribError("look at the bytes of a message: eccodes has none for this handle")
    return memoryview(ffi.buffer(ffi.cast("char *", start[0]), length[0])).cast("B")


def text(handle, key: str, default: str | None = None) -> str | None:
    """A key of a message as text, or `default` where the message has no such key."""
    ec = eccodes()
    try:
        return ec.codes_get_string(handle, key)
    except ec.CodesInternalError:
        return default


def file_fields(path) -> list[Field]:
    """The fields of a user's file, with the keys that its messages have; `iteration` numbers them from 1, so
    that two messages with equal MARS keys stay two fields. A process lists a file once."""
    path = Path(path)
    state = path.stat() if path.is_file() else None
    return list(_file_fields(path, state and (state.st_size, state.st_mtime_ns)))


@lru_cache(maxsize=4)
def _file_fields(path: Path, state) -> tuple[Field, ...]:
    """`state` tells one content of the file from another."""
    ec = eccodes()
    found = []
    for index, message in enumerate(read_messages(path)):
        handle = open_message(message)
        try:
            number = int(text(handle, "paramId", "0"))
            found.append(Field(index, 0.0, message_keys(handle) | {"iteration": index + 1}, number))
        finally:
            ec.codes_release(handle)
    for item in found:
        item.chunk = item.index / len(found)
    return tuple(found)


def message_keys(handle) -> dict:
    """MARS keys of a message; a key that the message lacks is absent."""
    levtype = _known(handle, "levtype", "sfc")  # MARS counts single layers to the surface
    keys = {
        "class": _known(handle, "class", "od"),
        "stream": _known(handle, "stream", "oper"),
        "type": _known(handle, "type", "fc"),
        "expver": mars.scalar("expver", text(handle, "expver", "0001")),
        "date": text(handle, "dataDate"),
        "time": mars.scalar("time", text(handle, "dataTime", "0000")),
        "levtype": levtype,
        "param": _known(handle, "shortName", text(handle, "paramId", "0")),
        "step": mars.hours(text(handle, "endStep", "0")),
    }
    if levtype in ("pl", "ml", "pt", "pv"):
        keys["levelist"] = mars.scalar("levelist", text(handle, "level", "0"))
    if text(handle, "number") is not None:
        keys["number"] = mars.scalar("number", text(handle, "number"))
    return keys


def _known(handle, key: str, default: str) -> str:
    """A key as text, or `default` where eccodes has no name for its value."""
    found = text(handle, key, default)
    return default if found in ("unknown", "~", "") else found


class Encoder:
    """Makes the messages of a plan from one handle per param (and per level too, when the fields are only re-keyed)."""

    def __init__(self, plan: Plan):
        self.ec, self.plan, self.handles = eccodes(), plan, {}
        self.start = datetime.strptime(plan.date + plan.time, "%Y%m%d%H%M")
        self.empty = self._geometry()

    def close(self) -> None:
        for handle in [*self.handles.values(), self.empty]:
            self.ec.codes_release(handle)
        self.handles.clear()

    def encode(self, keys: dict, values) -> memoryview:
        """The message that holds `values` (1-D float64) under `keys`; good until the next call for this param."""
        handle = self._handle(keys)
        self.ec.codes_set(handle, "bitsPerValue", 16)  # a constant field before this one has left 0
        self.ec.codes_set_values(handle, values)
        self._key(handle, keys)
        return view(handle)

    def rekey(self, keys: dict) -> memoryview:
        """The message of this param and level made last, under new `keys`: 10 us, no packing."""
        handle = self._handle(keys)
        self._key(handle, keys)
        return view(handle)

    def blank(self, keys: dict) -> memoryview:
        """A message of this plan with values that mean nothing."""
        return view(self._handle(keys))

    def _handle(self, keys: dict):
        kind = (keys["levtype"], keys["param"], keys.get("levelist") if self.plan.mode == "rekey" else None)
        if kind not in self.handles:
            self.handles[kind] = self._template(keys["levtype"], params.lookup(keys["levtype"], keys["param"]))
        return self.handles[kind]

    def _key(self, handle, keys: dict) -> None:
        """Set level, member and step. The key stepRange would cost 0.7 ms, so the interval is written in its parts."""
        param = params.lookup(keys["levtype"], keys["param"])
        if "levelist" in keys:
            self.ec.codes_set(handle, "level", keys["levelist"])
        self.ec.codes_set(handle, "perturbationNumber", keys["number"])
        end = keys["step"]
        length = end if param.evolve == params.SUM else min(6, end) if param.name in SIX_HOURS else 0
        self.ec.codes_set(handle, "forecastTime", end - length)
        if param.evolve == params.SUM or param.name in SIX_HOURS:
            self.ec.codes_set(handle, "lengthOfTimeRange", length)
            moment = self.start + timedelta(hours=end)
            for part in ("year", "month", "day", "hour"):
                self.ec.codes_set(handle, f"{part}OfEndOfOverallTimeInterval", getattr(moment, part))

    def _geometry(self):
        """A message of the plan's grid, date and ensemble, without a param."""
        ec, plan, n = self.ec, self.plan, int(self.plan.grid[1:])
        handle = ec.codes_grib_new_from_samples("reduced_gg_ml_grib2")
        points = ring_points(n)
        latitudes = list(ec.codes_get_gaussian_latitudes(n))
        ec.codes_set(handle, "N", n)
        ec.codes_set(handle, "Nj", 2 * n)
        ec.codes_set_array(handle, "pl", points)
        ec.codes_set(handle, "latitudeOfFirstGridPointInDegrees", latitudes[0])
        ec.codes_set(handle, "latitudeOfLastGridPointInDegrees", latitudes[-1])
        ec.codes_set(handle, "longitudeOfFirstGridPointInDegrees", 0)
        ec.codes_set(handle, "longitudeOfLastGridPointInDegrees", 360 - 360 / max(points))
        ec.codes_set(handle, "tablesVersion", 33)
        ec.codes_set(handle, "setLocalDefinition", 1)
        for key, value in (("class", plan.class_), ("stream", plan.stream), ("type", plan.type), ("expver", plan.expver)):
            try:
                ec.codes_set(handle, key, value)
            except ec.CodesInternalError as error:
                raise GribError(f"encode fields of {key} '{value}': eccodes does not know it ({error}); see the MARS schema") from error
        ec.codes_set(handle, "dataDate", int(plan.date))
        ec.codes_set(handle, "dataTime", int(plan.time))
        ec.codes_set(handle, "productDefinitionTemplateNumber", 1)
        ec.codes_set(handle, "numberOfForecastsInEnsemble", max(plan.members))
        return handle

    def _template(self, levtype: str, param):
        import numpy as np

        ec, handle = self.ec, self.ec.codes_clone(self.empty)
        if levtype != "ml":
            ec.codes_set(handle, "deletePV", 1)
            ec.codes_set(handle, "typeOfLevel", "isobaricInhPa" if levtype == "pl" else "surface")
        ec.codes_set(handle, "paramId", param.id)
        points = sum(ring_points(int(self.plan.grid[1:])))
        ec.codes_set(handle, "bitsPerValue", 16)
        ec.codes_set(handle, "packingType", PACKING[self.plan.packing])
        ec.codes_set_values(handle, np.linspace(0.0, 1.0, points))
        return handle


def ring_points(n: int) -> list[int]:
    """Points on each latitude ring of the octahedral grid O<n>, from north to south."""
    north = [20 + 4 * i for i in range(n)]
    return north + north[::-1]
