"""Real analysed fields on a Gaussian grid: taken from the sample files, interpolated by MIR, kept in the cache one row each.

Surface fields are from ECMWF's contribution to TIGGE (10 May 2007), upper air is from a GFS forecast (11 October 2011). A row is made
when it is first asked for, or all of them by `prepare`. Nothing here evolves or packs.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from . import params, recipes, samples
from .errors import GribError, RefusedError, need
from .grib import eccodes, open_message, read_messages, text
from .interpolate import prepare_cache

SURFACE_FILE, UPPER_FILE = "ecmwf_tigge.grb", "gfs.grb"
UPPER_NAMES = ("gh", "t", "r", "u", "v", "w", "absv", "clwmr")
SURFACE_OF_UPPER_FILE = ("gust", "pwat", "acpcp", "ci")
VERSION = 3  # of what the cache holds


def row(grid: str, name: str):
    """One analysed field on `grid` as a read-only float32 array; `name` is `sfc/<source>` or `<name>/<hPa>`."""
    import numpy as np

    path = _path(grid, name)
    if not path.exists():
        _make(grid, name, path)
    return np.load(path, mmap_mode="r")


def names() -> list[str]:
    """All rows that the known parameters can ask for."""
    surface = [f"sfc/{p.source}" for p in params.SURFACE.values()]
    return surface + [f"{name}/{level}" for level in recipes.LEVELS for name in UPPER_NAMES]


def missing(grid: str, wanted: list[str]) -> list[str]:
    """Those of the wanted rows that are not yet in the cache."""
    return [name for name in wanted if not _path(grid, name).exists()]


def prepare(grid: str, wanted: list[str], part: int = 0, parts: int = 1) -> None:
    """Make every `parts`-th of the wanted rows, from number `part` on."""
    for name in wanted[part::parts]:
        row(grid, name)


def _path(grid: str, name: str) -> Path:
    folder = samples.cache_dir() / f"analysis-v{VERSION}-{grid}"
    folder.mkdir(exist_ok=True)
    return folder / f"{name.replace('/', '_')}.npy"


def _make(grid: str, name: str, path: Path) -> None:
    import numpy as np

    message = _messages().get(name)
    if message is None:
        raise GribError(f"read the sample fields: '{name}' is neither in {SURFACE_FILE} nor in {UPPER_FILE}")
    fresh = path.with_suffix(f".{os.getpid()}.npy")
    np.save(fresh, _to_grid(message, grid).astype("f4"))
    fresh.replace(path)


@cache
def _messages() -> dict[str, bytes]:
    """The sample messages by the names of their rows."""
    found: dict[str, bytes] = {}
    for file_name in (SURFACE_FILE, UPPER_FILE):
        for message in read_messages(samples.samples_dir() / file_name):
            name = _name(file_name, message)
            if name:
                found.setdefault(name, message)
    return found


def _name(file_name: str, message: bytes) -> str | None:
    """The row that a sample message fills, or None."""
    ec, handle = eccodes(), open_message(message)
    try:
        short, kind, level = (text(handle, key, "") for key in ("shortName", "typeOfLevel", "level"))
    finally:
        ec.codes_release(handle)
    if file_name == SURFACE_FILE:
        return f"sfc/{short}"
    if kind == "isobaricInhPa":
        return f"{short}/{level}"
    if short == "tcc" and kind.endswith("CloudLayer"):
        return f"sfc/tcc/{kind}"
    return f"sfc/{short}" if short in SURFACE_OF_UPPER_FILE else None


def _to_grid(message: bytes, grid: str):
    """One field brought to `grid` by MIR, as float64; cubic from the coarse regular grid of GFS."""
    prepare_cache()
    mir = need("mir", "mir-python")
    data, output = bytearray(message), mir.ArrayOutput()
    method = {"interpolation": "structured-bicubic"} if _is_regular(data) else {}
    try:
        mir.Job(grid=grid, **method).execute(mir.GribMemoryInput(data), output)
    except RuntimeError as error:
        raise RefusedError(f"interpolate a sample field to {grid}: MIR says {error}") from error
    return output.values().ravel()


def _is_regular(message) -> bool:
    ec, handle = eccodes(), open_message(message)
    try:
        return text(handle, "gridType") == "regular_ll"
    finally:
        ec.codes_release(handle)
