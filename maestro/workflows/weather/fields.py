"""The forecast's values: an analysed field, carried along and perturbed smoothly over steps and members.

Fields that no sample has (specific humidity, vorticity, divergence, cloud water, cover, potential temperature, model levels) are
computed from those it has (`recipes`). Nothing here packs or sends. Values stay within the bounds of `params`.
"""

from __future__ import annotations

from . import analysis, params, recipes
from .grib import eccodes, ring_points

DRIFT_DEGREES_PER_HOUR = 0.35  # zonal drift of the weather, about 10 m/s in middle latitudes


class Evolution:
    """Gives the values of any field of a plan: its base field, carried along and perturbed by step and member."""

    def __init__(self, grid: str):
        self.grid, self.n = grid, int(grid[1:])
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
                made = analysis.row(self.grid, f"sfc/{param.source}") * np.float32(param.factor)
            else:
                pressure = float(level) if levtype == "pl" else recipes.model_level_pressure(int(level))
                made = recipes.make(param, pressure, self._column, self._coriolis)
            self.bases[key] = np.clip(made, param.low, param.high).astype("f4")
        return self.bases[key]

    def _column(self, name: str, level: int):
        return analysis.row(self.grid, f"{name}/{level}")

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
