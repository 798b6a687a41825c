"""How a forecaster expects each parameter to look: unit, levels, colours, lines. A table and the functions that read it."""

from __future__ import annotations

from typing import NamedTuple


class Style(NamedTuple):
    unit: str
    levels: tuple
    colours: tuple | str
    factor: float = 1.0
    offset: float = 0.0
    lines: float = 0.0  # spacing of contour lines; 0 is none
    extremes: bool = False  # mark highs and lows
    extend: str = "both"


TEMPERATURE = ("#5b1a7a", "#8e44ad", "#3b4cc0", "#2f7fd6", "#5ec4ee", "#a8e6dd", "#58b65b")
TEMPERATURE += ("#b7d968", "#fff27a", "#fdbb4a", "#f4743b", "#d7302a", "#8c0d25")
RAIN = ("#d6ecfa", "#a6d4f2", "#6cb2e3", "#3a86cf", "#1f5fb0", "#2b9a4a")
RAIN += ("#7fc241", "#f3e03b", "#f7a427", "#e8502a", "#b5172f", "#7c1fa0")
WIND = ("#f4f9fc", "#c9e4f0", "#92cbe0", "#63b28f", "#9fcb52", "#f4e14b", "#f5a830", "#e45b2b", "#b31f38", "#7a1a6b")
CLOUD = ("#2f6fb3", "#6f9fce", "#a7c3de", "#cfdce8", "#eef2f5", "#ffffff")
MOIST = ("#7a4a1c", "#b07a3c", "#d9b77d", "#f3e9cf", "#d5ebcf", "#8fcf8f", "#3f9f5f", "#146b3a")
DIVERGING = ("#2b2f8c", "#4a6fc3", "#8db8e0", "#d8e8f3", "#fbfbf8", "#f6d9c6", "#eb9f7c", "#cc4f42", "#8a1226")
HEIGHT = ("#6b3fa0", "#4a58b8", "#3f86d1", "#58b5d9", "#8fd6b8", "#c9e58f", "#f7ec7f", "#f9bd55", "#ee7a3a", "#cf3a2f")
PRESSURE = ("#5a7fbf", "#86a8d8", "#b4cdea", "#e0ebf5", "#fdf6e3", "#f8dfb8", "#efbe8a", "#dd9464")
SNOW = ("#e8f1f8", "#bcd6ec", "#8bb5de", "#5b8fcb", "#3b66ae", "#5a3fa0", "#8b3fa8")
HEAT = ("#fff7dc", "#fee391", "#fec44f", "#fe9929", "#ec7014", "#cc4c02", "#8c2d04")


def steps(low: float, high: float, by: float) -> tuple:
    count = round((high - low) / by)
    return tuple(low + by * i for i in range(count + 1))


CELSIUS = Style("°C", steps(-40, 44, 4), TEMPERATURE, offset=-273.15)
PERCENT = Style("%", steps(0, 100, 10), CLOUD, 100.0, extend="neither")
RAINFALL = Style("mm", (0.5, 1, 2, 5, 10, 15, 20, 30, 40, 60, 80, 120), RAIN, 1000.0, extend="max")
ENERGY = Style("MJ m⁻²", steps(-24, 24, 3), DIVERGING, 1e-6)

SURFACE = {
    "msl": Style("hPa", steps(960, 1048, 4), PRESSURE, 0.01, lines=4, extremes=True),
    "sp": Style("hPa", steps(500, 1060, 40), PRESSURE, 0.01),
    **dict.fromkeys(("2t", "mx2t6", "mn2t6", "skt", "2d", "stl1", "tmax", "tmin"), CELSIUS),
    **dict.fromkeys(("tp", "cp", "lsp"), RAINFALL),
    "sf": Style("mm w.e.", (0.5, 1, 2, 5, 10, 15, 20, 30, 40, 60), SNOW, 1000.0, extend="max"),
    "sd": Style("cm w.e.", (0.5, 1, 2, 5, 10, 20, 40, 80, 160), SNOW, 100.0, extend="max"),
    **dict.fromkeys(("tcc", "lcc", "mcc", "hcc", "ci"), PERCENT),
    "10fg": Style("m s⁻¹", (0, 5, 8, 11, 14, 17, 21, 25, 29, 33), WIND, extend="max"),
    **dict.fromkeys(("10u", "10v"), Style("m s⁻¹", steps(-24, 24, 3), DIVERGING)),
    **dict.fromkeys(("tcw", "tcwv", "pwat"), Style("kg m⁻²", steps(0, 65, 5), MOIST, extend="max")),
    "cape": Style("J kg⁻¹", (100, 250, 500, 750, 1000, 1500, 2000, 3000, 4000), HEAT, extend="max"),
    **dict.fromkeys(("ssr", "str", "ttr", "sshf", "slhf"), ENERGY),
    "sund": Style("h", steps(0, 48, 4), HEAT, 1 / 3600, extend="max"),
    "z": Style("m", (0, 100, 200, 500, 1000, 1500, 2000, 3000, 4000, 5000), "terrain", 1 / 9.80665),
    "r": Style("%", steps(0, 100, 10), MOIST, extend="max"),
    "q": Style("g kg⁻¹", (0.1, 0.5, 1, 2, 4, 6, 8, 10, 12, 14, 16, 18), MOIST, 1000.0),
    "swh": Style("m", (0, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12), WIND, extend="max"),
    "lsm": Style("%", steps(0, 100, 10), ("#3f7fbf", "#cfe0ee", "#d9cfa0", "#8c9a4a"), 100.0, extend="neither"),
}

UPPER = {
    "t": CELSIUS,
    "pt": Style("K", steps(240, 420, 10), TEMPERATURE),
    "u": Style("m s⁻¹", steps(-70, 70, 10), DIVERGING, lines=20),
    "v": Style("m s⁻¹", steps(-50, 50, 10), DIVERGING),
    "q": Style("g kg⁻¹", (0.1, 0.5, 1, 2, 4, 6, 8, 10, 12, 14, 16, 18), MOIST, 1000.0),
    "r": Style("%", steps(0, 100, 10), MOIST, extend="max"),
    "w": Style("Pa s⁻¹", (-2, -1.5, -1, -0.6, -0.3, -0.1, 0.1, 0.3, 0.6, 1, 1.5, 2), DIVERGING),
    "vo": Style("10⁻⁵ s⁻¹", (-30, -20, -14, -10, -6, -2, 2, 6, 10, 14, 20, 30), DIVERGING, 1e5),
    "d": Style("10⁻⁵ s⁻¹", (-8, -6, -4, -2, -1, -0.5, 0.5, 1, 2, 4, 6, 8), DIVERGING, 1e5),
    **dict.fromkeys(("clwc", "ciwc", "clwmr"), Style("mg kg⁻¹", (1, 5, 10, 20, 50, 100, 200, 400, 800), RAIN, 1e6, extend="max")),
    "cc": PERCENT,
    "ws": Style("m s⁻¹", steps(0, 80, 8), WIND, extend="max"),
}


# Other centres' names for what looks the same.
SAME = {"prmsl": "msl", "mslet": "msl", "2r": "r", "2sh": "q", "gust": "10fg", "absv": "vo", "max_2t": "2t", "min_2t": "2t"}


def style_of(levtype: str, name: str, unit: str, values) -> Style:
    """The style of a field; heights are spaced for their level, unknown parameters get even levels in their own unit."""
    import numpy as np

    name = SAME.get(name, name)
    found = (SURFACE if levtype == "sfc" else UPPER).get(name)
    if levtype == "pl" and name in ("z", "gh"):
        return _height(values, 0.1 / 9.80665 if name == "z" else 0.1)
    if found:
        return found
    low, high = (float(bound) for bound in np.nanpercentile(values, (1, 99)))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    from matplotlib.ticker import MaxNLocator

    return Style(unit, tuple(MaxNLocator(12).tick_values(low, high)), "viridis")


def _height(values, factor: float) -> Style:
    """Geopotential height in decametres, lines every 4 dam near the ground, 8 dam and more above."""
    import numpy as np

    low, high = (float(bound) * factor for bound in (np.nanmin(values), np.nanmax(values)))
    by = next((step for step in (2, 4, 8, 16, 32) if (high - low) / step <= 26), 64)
    return Style("dam", steps(np.floor(low / by) * by, np.ceil(high / by) * by, by), HEIGHT, factor, lines=by, extremes=True)
