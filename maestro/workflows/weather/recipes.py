"""Upper-air fields that the samples lack, computed from those they have.

Works on arrays of one pressure level at a time; between the sample's levels everything is linear in the logarithm of pressure.
Sources: saturation over water and ice after Tetens in the form of ECMWF, IFS Documentation Part IV, 7.4.2; cloud cover after
Sundqvist et al. 1989, with a critical relative humidity of 0.8.
"""

from __future__ import annotations

from functools import cache
from math import log

from .grib import eccodes

LEVELS = (100, 150, 200, 250, 300, 400, 500, 700, 850, 925, 1000)


@cache
def model_level_pressure(level: int) -> float:
    """Pressure in hPa of a model level (1 to 91) above a surface at 1013.25 hPa, from the coefficients in eccodes' own sample."""
    ec = eccodes()
    handle = ec.codes_grib_new_from_samples("reduced_gg_ml_grib2")
    try:
        coefficients = ec.codes_get_array(handle, "pv")
    finally:
        ec.codes_release(handle)
    half = len(coefficients) // 2
    if not 1 <= level < half:
        raise ValueError(f"model level {level} does not exist: there are 1 to {half - 1}")
    edges = coefficients[:half] + coefficients[half:] * 101325.0
    return float(edges[level - 1] + edges[level]) / 200


def make(param, pressure: float, column, coriolis):
    """The field of `param` at `pressure` hPa; `column(name, level)` gives the sample's fields."""
    recipe = RECIPES.get(param.source)
    if recipe is None:
        return at(pressure, lambda level: column(param.source, level)) * param.factor
    return recipe(pressure, column, coriolis)


def at(pressure: float, field_at):
    """`field_at(level)` interpolated to `pressure`, linear in its logarithm; clamped to the sample's levels."""
    below, above, weight = neighbours(pressure)
    if weight == 0:
        return field_at(below) * 1.0
    return field_at(below) * (1 - weight) + field_at(above) * weight


def neighbours(pressure: float) -> tuple[int, int, float]:
    """The two sample levels around a pressure, and the weight of the second."""
    inside = min(max(pressure, LEVELS[0]), LEVELS[-1])
    above = next(level for level in LEVELS if level >= inside)
    below = max(level for level in LEVELS if level <= inside)
    return below, above, 0.0 if above == below else log(inside / below) / log(above / below)


def saturation(temperature, pressure: float):
    """Specific humidity in kg/kg of saturated air: over ice below -23 degC, over water above 0, mixed between."""
    import numpy as np

    water = 611.21 * np.exp(17.502 * (temperature - 273.16) / (temperature - 32.19))
    ice = 611.21 * np.exp(22.587 * (temperature - 273.16) / (temperature + 0.7))
    part = np.clip((temperature - 250.16) / 23, 0, 1) ** 2
    vapour = np.minimum(part * water + (1 - part) * ice, 50.0 * pressure)
    return 0.621981 * vapour / (100 * pressure - 0.378 * vapour)


def humidity(pressure, column, coriolis):
    temperature = at(pressure, lambda level: column("t", level))
    return saturation(temperature, pressure) * at(pressure, lambda level: column("r", level)) / 100


def vorticity(pressure, column, coriolis):
    return at(pressure, lambda level: column("absv", level)) - coriolis()


def divergence(pressure, column, coriolis):
    """From continuity: minus the derivative of the vertical velocity with pressure."""
    below, above, _ = neighbours(pressure)
    if above == below:
        place = LEVELS.index(above)
        below, above = LEVELS[max(place - 1, 0)], LEVELS[min(place + 1, len(LEVELS) - 1)]
    return -(column("w", above) - column("w", below)) / (100.0 * (above - below))


def liquid(pressure, column, coriolis):
    return _water(pressure, column) * _liquid_part(pressure, column)


def ice(pressure, column, coriolis):
    return _water(pressure, column) * (1 - _liquid_part(pressure, column))


def cover(pressure, column, coriolis):
    import numpy as np

    relative = np.clip(at(pressure, lambda level: column("r", level)) / 100, 0, 1)
    return np.where(relative > 0.8, 1 - np.sqrt((1 - relative) / 0.2), 0)


def potential(pressure, column, coriolis):
    return at(pressure, lambda level: column("t", level)) * (1000 / pressure) ** 0.2857


def _water(pressure, column):
    import numpy as np

    return np.maximum(at(pressure, lambda level: column("clwmr", level)), 0)


def _liquid_part(pressure, column):
    import numpy as np

    return np.clip((at(pressure, lambda level: column("t", level)) - 250.16) / 23, 0, 1) ** 2


RECIPES = {f.__name__: f for f in (humidity, vorticity, divergence, liquid, ice, cover, potential)}
