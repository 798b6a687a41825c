"""Maps without a map library: projections in numpy, and coastlines from the land-sea mask that comes with MIR.

The mask (values 0 to 1 on O640) serves as coastline and as nothing else. Its outline is computed once and cached.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from . import samples
from .errors import REMEDY, GribError, MissingPackageError
from .grib import eccodes, open_message, read_messages, ring_points

STEP = 0.125  # degrees between the points on which the outline is traced
MASK = "lsm.O640.grib"


@cache
def outline():
    """Coastlines of the world as one array of (longitude, latitude), longitudes -180 to 180, with a row of NaN after each line."""
    import numpy as np

    path = samples.cache_dir() / "coast-v2.npy"
    if not path.exists():
        fresh = path.with_suffix(f".{os.getpid()}.npy")
        gap = np.full((1, 2), np.nan)
        np.save(fresh, np.concatenate([part for line in _trace_mask() for part in (line, gap)]).astype("f4"))
        fresh.replace(path)
    return np.load(path)


def inside(west: float, east: float, south: float, north: float):
    """The coastlines of an area, wherever it begins; what lies outside is NaN."""
    import numpy as np

    turned = np.concatenate([outline() + np.array([turn, 0], "f4") for turn in (-360, 0, 360)])
    longitude, latitude = turned[:, 0], turned[:, 1]
    hidden = ~((longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north))
    turned[hidden] = np.nan
    return turned[~(hidden & np.append(False, hidden[:-1]))]  # one NaN ends a line as well as many do


def _trace_mask() -> list:
    import contourpy
    import numpy as np

    longitudes, latitudes = np.arange(-180, 180 + STEP / 2, STEP), np.arange(90, -90 - STEP / 2, -STEP)
    land = _regular_mask(longitudes, latitudes)
    lines = contourpy.contour_generator(longitudes, latitudes, land).lines(0.5)
    return [line for line in lines if len(line) > 12]  # drops lakes and islets of a few points


def _regular_mask(longitudes, latitudes):
    """The mask on a regular grid: linear along each ring, the nearest ring in latitude."""
    import numpy as np

    ec, values = eccodes(), None
    handle = open_message(next(read_messages(_mask_file())))
    try:
        values = ec.codes_get_values(handle)
        n = ec.codes_get_long(handle, "N")
    finally:
        ec.codes_release(handle)
    rings = np.array(list(ec.codes_get_gaussian_latitudes(n)))
    counts = ring_points(n)
    starts = np.concatenate([[0], np.cumsum(counts)])
    if starts[-1] != len(values):
        raise GribError(f"read {_mask_file()}: {len(values)} points are no octahedral grid O{n}")
    land = np.empty((len(latitudes), len(longitudes)))
    for row, latitude in enumerate(latitudes):
        ring = int(np.abs(rings - latitude).argmin())
        points = values[starts[ring] : starts[ring + 1]]
        land[row] = np.interp(longitudes % 360, np.arange(counts[ring]) * 360 / counts[ring], points, period=360)
    return land


def _mask_file() -> Path:
    try:
        import mirlib
    except ImportError as error:
        raise MissingPackageError(f"find the land-sea mask: {error}; install it with: pip install '{REMEDY}'") from error
    return Path(mirlib.__file__).parent / "share" / "mir" / "masks" / MASK


class PlateCarree:
    """Degrees as they are; for the whole globe and the tropics."""

    name = "plate carrée"

    def __call__(self, longitude, latitude):
        return longitude, latitude


class Lambert:
    """Lambert's conformal conic projection on a sphere with two standard parallels (Snyder 1987, equations 15-1 to 15-4)."""

    name = "Lambert conformal"

    def __init__(self, centre: float, south: float, north: float):
        import numpy as np

        first, second = np.radians(south + (north - south) / 6), np.radians(north - (north - south) / 6)
        half = [np.tan(np.pi / 4 + angle / 2) for angle in (first, second)]
        self.cone = np.log(np.cos(first) / np.cos(second)) / np.log(half[1] / half[0])
        self.scale = np.cos(first) * half[0] ** self.cone / self.cone
        self.centre = centre

    def __call__(self, longitude, latitude):
        import numpy as np

        radius = self.scale / np.tan(np.pi / 4 + np.radians(np.clip(latitude, -89.9, 89.9)) / 2) ** self.cone
        angle = self.cone * np.radians(longitude - self.centre)
        return radius * np.sin(angle), -radius * np.cos(angle)


class Stereographic:
    """The polar stereographic projection, for caps around the north pole (sign 1) or the south pole (sign -1)."""

    name = "polar stereographic"

    def __init__(self, centre: float, sign: int):
        self.centre, self.sign = centre, sign

    def __call__(self, longitude, latitude):
        import numpy as np

        radius = np.tan(np.pi / 4 - np.radians(np.clip(self.sign * np.asarray(latitude), -30, 90)) / 2)
        angle = np.radians(np.asarray(longitude) - self.centre)
        return radius * np.sin(angle), -self.sign * radius * np.cos(angle)


def choose(west: float, east: float, south: float, north: float):
    """The projection that a forecaster would take for this area."""
    centre = (west + east) / 2
    if east - west > 300 and (south >= 20 or north <= -20):
        return Stereographic(centre, 1 if south >= 20 else -1)
    if east - west <= 140 and south * north > 0 and min(abs(south), abs(north)) >= 15 and max(abs(south), abs(north)) < 88:
        return Lambert(centre, south, north)
    return PlateCarree()
