"""Pictures of layouts, for people who ask who owns what.  matplotlib is imported when the first is drawn.

An array of one dimension is drawn as one row.  Of large arrays every n-th element of a dimension is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .layout import Layout, Local

MOST_CELLS = 400  # of a dimension
MOST_NUMBERS = 16  # cells of a dimension that are numbered one by one
MOST_LABELS = 100  # parts that are numbered where cells are not
MOST_STEPS = 600  # of the way through a part's memory
NCOLOURS = 10


def draw(layout: Layout, ax: Axes | None, part: int | None) -> Axes:
    """The picture of Layout.plot."""
    if layout.ndim > 2:
        raise errors.ArgumentError(f"plot a layout: its array has {layout.ndim} dimensions; pictures have 1 or 2")
    local = None if part is None else layout.local(part)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure().add_subplot()
    owners = owners_of(layout)
    colours = np.ma.masked_where(owners < 0, owners % NCOLOURS)
    height, width = rows_and_columns(layout.shape)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(colours, cmap="tab10", vmin=-0.5, vmax=NCOLOURS - 0.5, alpha=0.5, interpolation="nearest", extent=extent, aspect="equal")
    number_parts(ax, owners, (height / owners.shape[0], width / owners.shape[1]))
    if local is not None:
        draw_ghosts(ax, layout, local)
        draw_way(ax, layout, local)
    describe_axes(ax, layout, part)
    return ax


def rows_and_columns(shape: tuple[int, ...]) -> tuple[int, int]:
    return (max(shape[0], 1), max(shape[1], 1)) if len(shape) == 2 else (1, max(shape[0], 1))


def describe_axes(ax: Axes, layout: Layout, part: int | None) -> None:
    ax.set_xlabel(f"dimension {layout.ndim - 1}")
    if layout.ndim == 2:
        ax.set_ylabel("dimension 0")
    else:
        ax.set_yticks([])
    what = layout.kind.replace("_", "-") + (f', order "{layout.order}"' if layout.kind != "indices" else "")
    ax.set_title(what if part is None else f"{what}: part {part}", fontsize="medium")


# ---- Owners
def owners_of(layout: Layout) -> np.ndarray:
    """(rows, columns) of part numbers, -1 where nobody is known; at most MOST_CELLS of a dimension."""
    steps = [max(1, -(-n // MOST_CELLS)) for n in layout.shape]
    owners = np.full([len(range(0, n, step)) for n, step in zip(layout.shape, steps, strict=True)], -1)
    for part in range(layout.nparts):
        owners[sampled(layout.coordinates(part), steps)] = part
    return owners.reshape(-1, owners.shape[-1]) if owners.size else np.full(rows_and_columns(owners.shape), -1)


def sampled(coordinates: tuple[np.ndarray, ...], steps: list[int]) -> tuple[np.ndarray, ...]:
    """Those coordinates, as cells, that are multiples of the steps."""
    kept = [axis % step == 0 for axis, step in zip(coordinates, steps, strict=True)]
    if all(axis.ndim == 1 for axis in coordinates):  # element by element
        both = np.logical_and.reduce(kept)
        return tuple(axis[both] // step for axis, step in zip(coordinates, steps, strict=True))
    return np.ix_(*(axis[keep] // step for axis, keep, step in zip(coordinates, kept, steps, strict=True)))


def number_parts(ax: Axes, owners: np.ndarray, scale: tuple[float, float]) -> None:
    """Every cell of a small array; of a large one the first run of cells of each part."""
    style = {"ha": "center", "va": "center", "fontsize": "small", "color": "0.25"}
    if max(owners.shape) <= MOST_NUMBERS:
        for (row, column), part in np.ndenumerate(owners):
            if part >= 0:
                ax.text(column, row, str(part), **style)
        return
    parts, places = np.unique(owners, return_index=True)
    for part, place in list(zip(parts, places, strict=True))[:MOST_LABELS]:
        row, column = divmod(int(place), owners.shape[1])
        height, width = run(owners[row:, column] == part), run(owners[row, column:] == part)
        if part >= 0:
            ax.text((column + width / 2) * scale[1] - 0.5, (row + height / 2) * scale[0] - 0.5, str(part), **style)


def run(same: np.ndarray) -> int:
    """How many are true before the first that is not."""
    return len(same) if same.all() else int(np.argmin(same))


# ---- One part
def draw_ghosts(ax: Axes, layout: Layout, local: Local) -> None:
    if layout.kind == "indices":
        y, x = points(np.unravel_index(layout.ghost_indices(), layout.shape))
        ax.plot(x, y, "x", color="0.3")
        return
    if not any(local.low + local.high):
        return
    from matplotlib.patches import Rectangle

    begin = [first - low - 0.5 for first, low in zip(local.first, local.low, strict=True)]
    y, x = begin if layout.ndim == 2 else [-0.5, begin[0]]
    height, width = rows_and_columns(local.shape)
    ax.add_patch(Rectangle((x, y), width, height, fill=False, hatch="////", edgecolor="0.4", linewidth=1, linestyle="--", alpha=0.6))
    rows, columns = layout.shape if layout.ndim == 2 else (1, layout.shape[0])
    ax.set_xlim(min(x, -0.5) - 0.2, max(x + width, columns - 0.5) + 0.2)
    ax.set_ylim(max(y + height, rows - 0.5) + 0.2, min(y, -0.5) - 0.2)


def draw_way(ax: Axes, layout: Layout, local: Local) -> None:
    """From owned element to owned element, as they lie in memory."""
    y, x = points([axis.ravel(local.order) for axis in np.broadcast_arrays(*layout.coordinates(local.part))])
    ax.plot(x[:MOST_STEPS], y[:MOST_STEPS], "-", color="0.1", linewidth=0.8, alpha=0.7)
    ax.plot(x[:1], y[:1], "o", color="0.1", markersize=4)
    if len(x) > 1:
        last = min(len(x), MOST_STEPS) - 1
        ax.annotate("", (x[last], y[last]), (x[last - 1], y[last - 1]), arrowprops={"arrowstyle": "->", "color": "0.1"})


def points(coordinates) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of elements."""
    return (coordinates[0], coordinates[1]) if len(coordinates) == 2 else (np.zeros_like(coordinates[0]), coordinates[0])
