"""Real analysed fields on the plan's grid, and their smooth evolution over steps and members.

The values are those of the sample files: surface fields from ECMWF's contribution to TIGGE (10 May 2007), upper air from a GFS
forecast (11 October 2011), brought to the grid by MIR once and kept in the cache. Fields that no sample has (specific humidity,
vorticity, divergence, cloud water, cover, potential temperature, model levels) are computed from those. Nothing here packs or sends.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from . import params, recipes, samples
from .errors import GribError, RefusedError, need
from .grib import eccodes, open_message, read_messages, ring_points, text

SURFACE_FILE, UPPER_FILE = "ecmwf_tigge.grb", "gfs.grb"
UPPER_NAMES = ("gh", "t", "r", "u", "v", "w", "absv", "clwmr")
VERSION = 2  # of what the cache holds
DRIFT_DEGREES_PER_HOUR = 0.35  # zonal drift of the weather, about 10 m/s in middle latitudes


def base(grid: str):
    """The analysed fields on `grid`: a memory-mapped float32 array [field, point] and the row of each name; made on first use."""
    import numpy as np

    path = samples.cache_dir() / f"base-v{VERSION}-{grid}.npy"
    names = base_names()
    if not path.exists():
        _build(path, grid, names)
    return np.load(path, mmap_mode="r"), {name: row for row, name in enumerate(names)}


def base_names() -> list[str]:
    """Names of the rows of the cache: `sfc/<source>` and `<name>/<hPa>`."""
    surface = [f"sfc/{p.source}" for p in params.SURFACE.values()]
    return surface + [f"{name}/{level}" for level in recipes.LEVELS for name in UPPER_NAMES]


def _build(path: Path, grid: str, names: list[str]) -> None:
    import numpy as np

    found = {}
    for file_name in (SURFACE_FILE, UPPER_FILE):
        for message in read_messages(samples.samples_dir() / file_name):
            name = _sample_name(file_name, message)
            if name in names and name not in found:
                found[name] = message
    missing = [name for name in names if name not in found]
    if missing:
        raise GribError(f"read the sample fields: {', '.join(missing)} not in {SURFACE_FILE} or {UPPER_FILE}")
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".npy")
    os.close(handle)
    rows = np.lib.format.open_memmap(temporary, "w+", "f4", (len(names), sum(ring_points(int(grid[1:])))))
    for row, name in enumerate(names):
        rows[row] = _to_grid(found[name], grid)
    rows.flush()
    Path(temporary).replace(path)


def _sample_name(file_name: str, message: bytes) -> str | None:
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
    return f"sfc/{short}" if short in ("gust", "pwat", "acpcp", "ci") else None


def _to_grid(message: bytes, grid: str):
    """One field brought to `grid` by MIR, as float64; cubic where the sample is coarser than the grid."""
    mir = need("mir", "mir-python")
    data = bytearray(message)
    output = mir.ArrayOutput()
    regular = data_is_regular(data)
    method = {"interpolation": "structured-bicubic"} if regular else {}
    try:
        mir.Job(grid=grid, **method).execute(mir.GribMemoryInput(data), output)
    except RuntimeError as error:
        raise RefusedError(f"interpolate a sample field to {grid}: MIR says {error}") from error
    return output.values().ravel()


def data_is_regular(message) -> bool:
    ec, handle = eccodes(), open_message(message)
    try:
        return text(handle, "gridType") == "regular_ll"
    finally:
        ec.codes_release(handle)


class Evolution:
    """Gives the values of any field of a plan: its base field, carried along and perturbed by step and member."""

    def __init__(self, grid: str):
        self.n = int(grid[1:])
        self.rows, self.names = base(grid)
        self.bases: dict[tuple, object] = {}
        self.now: tuple | None = None

    def values(self, keys: dict):
        """float64 values of the field `keys`, in the param's unit, within its bounds."""
        import numpy as np

        param = params.lookup(keys["levtype"], keys["param"])
        start = self.base(keys["levtype"], keys["param"], keys.get("levelist"))
        if param.evolve == params.FIXED:
            return start.astype("f8")
        self._move_to(keys["step"], keys["number"])
        if param.evolve in (params.DRIFT, params.GROW):
            start = np.take(start, self.source)
        if param.evolve in (params.DRIFT, params.STAY):
            made = start + self.wave * np.float32(param.amount)
        else:
            made = start * (np.float32(1) + self.wave * np.float32(param.amount))
        if param.evolve == params.SUM:
            made *= np.float32(keys["step"] / 120)  # the samples were accumulated over 120 hours
        return np.clip(made, param.low, param.high, out=made).astype("f8")

    def base(self, levtype: str, name: str, level):
        """The analysed field that this one starts from, float32."""
        import numpy as np

        key = (levtype, name, level)
        if key not in self.bases:
            param = params.lookup(levtype, name)
            if levtype == "sfc":
                made = self.rows[self.names[f"sfc/{param.source}"]] * np.float32(param.factor)
            else:
                pressure = float(level) if levtype == "pl" else recipes.model_level_pressure(int(level))
                made = recipes.make(param, pressure, self._column, self._coriolis)
            self.bases[key] = np.clip(made, param.low, param.high).astype("f4")
        return self.bases[key]

    def _column(self, name: str, level: int):
        return self.rows[self.names[f"{name}/{level}"]]

    def _coriolis(self):
        import numpy as np

        return (2 * 7.292e-5 * np.sin(np.radians(self.latitudes()))).astype("f4")

    def latitudes(self):
        """Latitude of each point in degrees."""
        import numpy as np

        rings = np.array(list(eccodes().codes_get_gaussian_latitudes(self.n)))
        return np.repeat(rings, ring_points(self.n))

    def longitudes(self):
        """Longitude of each point in degrees, 0 to below 360."""
        import numpy as np

        return np.concatenate([np.arange(n) * (360.0 / n) for n in ring_points(self.n)])

    def _move_to(self, step: int, number: int) -> None:
        """Prepare the drift and the wave of one step and member; all its fields share them."""
        import numpy as np

        if self.now == (step, number):
            return
        self.now = (step, number)
        points = np.array(ring_points(self.n))
        starts = np.concatenate([[0], np.cumsum(points)[:-1]])
        shift = np.rint(DRIFT_DEGREES_PER_HOUR * step * points / 360).astype("i4")
        column = np.arange(points.sum(), dtype="i4") - np.repeat(starts, points).astype("i4")
        wrapped = (column - np.repeat(shift, points)) % np.repeat(points, points)
        self.source = (wrapped + np.repeat(starts, points)).astype("i4")
        self.wave = self._wave(step, number)

    def _wave(self, step: int, number: int):
        """A smooth pattern between about -1 and 1 that differs from member to member and moves with the step."""
        import numpy as np

        chance = np.random.default_rng(1000 + number)
        latitude, longitude = np.radians(self.latitudes()), np.radians(self.longitudes())
        total = np.zeros(latitude.size, "f4")
        for zonal in (1, 2, 3, 5):
            phase, tilt, speed = chance.uniform(0, 2 * np.pi), chance.uniform(1, 3), chance.uniform(0.01, 0.04)
            total += np.cos(zonal * longitude + tilt * np.sin(2 * latitude) + phase - speed * step).astype("f4")
        return total * np.cos(latitude).astype("f4") * np.float32(min(1.0, 0.2 + step / 60) / 4)
