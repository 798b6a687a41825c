"""Pictures: a map as PNG for each product that asks for one.

Reads a product's GRIB message and nothing else: projection, palette and title come from its keys. `run_pictures` is the component
that draws products as the workers make them.
"""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta
from pathlib import Path

from ...launch.member import take_second_place
from . import coast, mapstyle
from .errors import RefusedError, StageTimeoutError, WeatherError, need
from .grib import eccodes, open_message, text
from .notices import Reader
from .outlet import read_part
from .plan import Plan
from .requirements import Product
from .trace import Kind, Trace, now


class Chart:
    """What a map needs to know of a product: values on a latitude-longitude grid, and its keys."""

    def __init__(self, message):
        import numpy as np

        ec, handle = eccodes(), open_message(message)
        try:
            if text(handle, "gridType") not in ("regular_ll", "regular_gg"):
                raise RefusedError(f"draw a map: the grid is {text(handle, 'gridType')}; ask for a grid in degrees (grid: 0.5/0.5)")
            self.keys = {key: text(handle, key, "") for key in TITLE_KEYS}
            if self.keys["units"] in ("unknown", "~"):
                self.keys["units"] = text(handle, "parameterUnits", "")
            ni, nj = ec.codes_get_long(handle, "Ni"), ec.codes_get_long(handle, "Nj")
            values = ec.codes_get_values(handle)
            missing = ec.codes_get_double(handle, "missingValue")
            latitudes = np.array(ec.codes_get_array(handle, "distinctLatitudes"))
            west = ec.codes_get_double(handle, "longitudeOfFirstGridPointInDegrees")
            east = ec.codes_get_double(handle, "longitudeOfLastGridPointInDegrees")
        finally:
            ec.codes_release(handle)
        values = np.where(values == missing, np.nan, values).reshape(nj, ni)
        self.latitudes = np.sort(latitudes)[::-1]
        east = east if east > west else east + 360
        self.longitudes, self.values = _wrap(np.linspace(west, east, ni), values)

    @property
    def area(self) -> tuple[float, float, float, float]:
        return self.longitudes[0], self.longitudes[-1], self.latitudes[-1], self.latitudes[0]


TITLE_KEYS = ("shortName", "name", "parameterName", "units", "typeOfLevel", "level", "dataDate", "dataTime", "endStep", "number")


def _wrap(longitudes, values):
    """Longitudes from -180 to 180; a global field is turned to start at the date line and closed there."""
    import numpy as np

    stride = longitudes[1] - longitudes[0] if len(longitudes) > 1 else 1
    if longitudes[-1] - longitudes[0] + 1.5 * stride < 360:
        return longitudes - (360 if longitudes[0] >= 180 else 0), values
    order = np.argsort((longitudes + 180) % 360)
    turned = (longitudes[order] + 180) % 360 - 180
    return np.append(turned, turned[0] + 360), np.concatenate([values[:, order], values[:, order[:1]]], axis=1)


def draw(message, path, source: str = "") -> Path:
    """Draw the map of one product to `path` (PNG); returns the path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    draw_figure(message, source).savefig(path)
    return Path(path)


def draw_figure(message, source: str = ""):
    """The map of one product as a matplotlib Figure; no window and no pyplot. RefusedError where its grid is none of degrees."""
    need("matplotlib", "matplotlib")
    from matplotlib.figure import Figure

    chart = Chart(message)
    style = mapstyle.style_of(_levtype(chart.keys), chart.keys["shortName"], chart.keys["units"], chart.values)
    projection = coast.choose(*chart.area)
    figure = Figure(figsize=(9.0, 6.8), dpi=100)
    axes = figure.add_axes((0.02, 0.12, 0.96, 0.77))
    filled = _paint(axes, chart, style, projection)
    _coast(axes, chart, projection)
    axes.set_aspect("equal")
    axes.set_axis_off()
    bar = figure.colorbar(filled, cax=figure.add_axes((0.1, 0.075, 0.8, 0.022)), orientation="horizontal", format="%g")
    bar.set_ticks(style.levels[:: 1 + len(style.levels) // 16])
    bar.set_label(style.unit, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    left, right = titles(chart.keys)
    figure.text(0.02, 0.955, left, fontsize=12, fontweight="bold", va="center")
    figure.text(0.02, 0.918, right, fontsize=9.5, va="center", color="#333333")
    figure.text(0.98, 0.012, f"{source}  {projection.name}".strip(), fontsize=7, ha="right", color="#777777")
    return figure


def titles(keys: dict) -> tuple[str, str]:
    """Two lines from the keys: what and where; when and who."""
    name = keys["name"] if keys["name"] not in ("unknown", "") else f"Parameter {keys['parameterName'] or keys['shortName']}"
    kind = keys["typeOfLevel"]
    where = {"isobaricInhPa": f"{keys['level']} hPa", "hybrid": f"model level {keys['level']}"}.get(kind, "")
    start = datetime.strptime(f"{int(keys['dataDate'])}{int(keys['dataTime'] or 0):04d}", "%Y%m%d%H%M")
    step = keys["endStep"] or "0"
    amount = int(re.sub(r"\D", "", step) or 0)
    valid = start + timedelta(**{{"m": "minutes", "s": "seconds", "d": "days"}.get(step[-1:], "hours"): amount})
    step = step if step[-1:].isalpha() else f"{step} h"
    who = f"  ·  member {keys['number']}" if keys["number"] not in ("", None, "0") else ""
    left = f"{name}, {where}" if where else name
    return left, f"Valid {valid:%a %d %b %Y %H:%M} UTC  ·  from {start:%d %b %Y %H} UTC, step {step}{who}"


def _levtype(keys: dict) -> str:
    if keys["typeOfLevel"] == "isobaricInhPa":
        return "pl"
    return "ml" if keys["typeOfLevel"] in ("hybrid", "sigma") else "sfc"


def _paint(axes, chart: Chart, style, projection):
    import matplotlib.colors as colours
    import numpy as np
    from matplotlib import colormaps

    values = chart.values * style.factor + style.offset
    x, y = projection(*np.meshgrid(chart.longitudes, chart.latitudes))
    if isinstance(style.colours, str):
        palette = colormaps[style.colours]
    else:
        palette = colours.LinearSegmentedColormap.from_list("map", style.colours)
    levels = np.array(style.levels, "f8")
    filled = axes.contourf(x, y, values, levels=levels, cmap=palette, extend=style.extend, norm=_norm(levels, palette, style.extend))
    if style.lines:
        spread = np.arange(np.floor(np.nanmin(values) / style.lines), np.nanmax(values) / style.lines + 1) * style.lines
        lines = axes.contour(x, y, values, levels=spread, colors="#20242c", linewidths=np.where(spread % (5 * style.lines) == 0, 1.3, 0.6))
        axes.clabel(lines, spread[:: 2 if len(spread) > 8 else 1], fontsize=7, fmt="%g")
    if style.extremes:
        _extremes(axes, values, x, y, style.lines)
    return filled


def _norm(levels, palette, extend: str):
    """Each interval its own colour, evenly spaced in the palette, whatever the spacing of the levels."""
    import matplotlib.colors as colours

    return colours.BoundaryNorm(levels, palette.N, extend=extend)


def _extremes(axes, values, x, y, least: float) -> None:
    """Mark highs and lows: extremes of their neighbourhood (an eighth of the map), where that spans a contour interval at least."""
    import numpy as np

    half = max(4, min(values.shape) // 8)
    small = {"fontsize": 7.5, "ha": "center", "va": "center"}
    highest, lowest = _windows(values, half, np.max), _windows(values, half, np.min)
    middle = values[half:-half, half:-half]
    for edge, letter, colour in ((highest, "H", "#1f3fa8"), (lowest, "L", "#b3151f")):
        for row, column in np.argwhere((middle == edge) & (highest - lowest >= least))[:12]:
            at = row + half, column + half
            axes.text(x[at], y[at], letter, color=colour, fontsize=14, fontweight="bold", ha="center", va="center", clip_on=True)
            axes.annotate(f"{values[at]:.0f}", (x[at], y[at]), (0, -11), textcoords="offset points", **small, color=colour)


def _windows(values, half: int, reduce):
    """`reduce` over the square of 2 * half + 1 points around each point, first along columns, then along rows."""
    from numpy.lib.stride_tricks import sliding_window_view

    columns = reduce(sliding_window_view(values, 2 * half + 1, axis=0), axis=-1)
    return reduce(sliding_window_view(columns, 2 * half + 1, axis=1), axis=-1)


def _coast(axes, chart: Chart, projection) -> None:
    """Coastlines and a graticule inside of the area, and its frame."""
    import numpy as np

    west, east, south, north = chart.area
    axes.plot(*projection(*coast.inside(west, east, south, north).T), color="#1a1a1a", linewidth=0.7)
    gap = next(step for step in (1, 2, 5, 10, 20, 30) if max(east - west, 2 * (north - south)) / step <= 13)
    for longitude in np.arange(np.ceil(west / gap) * gap, east, gap):
        along = np.linspace(south, north, 60)
        axes.plot(*projection(np.full(60, longitude), along), color="#60656d", linewidth=0.35, linestyle=(0, (4, 4)))
    for latitude in np.arange(np.ceil(south / gap) * gap, north, gap):
        along = np.linspace(west, east, 120)
        axes.plot(*projection(along, np.full(120, latitude)), color="#60656d", linewidth=0.35, linestyle=(0, (4, 4)))
    frame = np.concatenate([np.linspace(west, east, 80), np.full(80, east), np.linspace(east, west, 80), np.full(80, west)])
    sides = np.concatenate([np.full(80, north), np.linspace(north, south, 80), np.full(80, south), np.linspace(south, north, 80)])
    axes.plot(*projection(frame, sides), color="#20242c", linewidth=1.0)


def run_pictures(plan: Plan, products: list[Product], run, timeout: float = 120) -> dict:
    """Draw every product that asks for a picture, as the workers make them; returns what was drawn and what was refused, by name.

    Ends when every worker has ended; low priority, so that it takes only time that the others leave.
    """
    take_second_place()
    need("matplotlib", "matplotlib")
    coast.outline()
    drawn, refused = [], []
    with Trace(Path(run) / "trace" / "pictures") as log:
        for product, message in open_pictures(plan, products, run, timeout):
            start = now()
            try:
                drawn.append(str(draw(message, Path(run) / "maps" / file_name(product.name))))
                log.add(Kind.PRODUCT, product.field.index, ns=now() - start, product=product.index)
            except WeatherError as error:
                refused.append({"product": product.index, "name": product.name, "reason": str(error)})
    outcome = {"drawn": drawn, "refused": refused}
    (Path(run) / "pictures.json").write_text(json.dumps(outcome, indent=1) + "\n")
    return outcome


def open_pictures(plan: Plan, products: list[Product], run, timeout: float):
    """The finished products that ask for a picture: objects of the pool with the sink maestro, else told by notices."""
    if plan.sink == "maestro":
        from .poolsource import finished_products

        return finished_products(plan, products, timeout)
    return _noticed(plan, products, run, timeout)


def _noticed(plan: Plan, products: list[Product], run, timeout: float):
    reader, ended, limit = Reader(run, "pictures"), 0, time.monotonic() + timeout
    reader.ready()
    try:
        while ended < plan.workers:
            for record in reader.read(timeout=0.5):
                limit = time.monotonic() + timeout
                if record.kind == Kind.END:
                    ended += 1
                else:
                    yield products[record.product], read_part(run, products[record.product], record)
            if time.monotonic() > limit:
                raise StageTimeoutError(f"wait for products to draw in {run}: none came for {timeout:g} s; are the workers alive?")
    finally:
        reader.close()


def file_name(product_name: str) -> str:
    """A product's name as a file name."""
    return re.sub(r"[^\w.-]+", "-", product_name).strip("-") + ".png"
