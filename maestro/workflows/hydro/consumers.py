"""Programs that read Hydro's records while it runs: figures of each, and a picture of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import StateError
from ...record import Record
from ...session import Session
from .output import records
from .solver import FIELDS, pressure

__all__ = ["draw", "pictures", "statistics", "stats"]


def stats(session: Session) -> Iterator[dict[str, Any]]:
    """Figures of each record as it comes."""
    for record in records(session):
        yield statistics(record)


def statistics(record: Record) -> dict[str, Any]:
    """
    Step, time, mass, energy and extrema of a record.

    Sums are over the global arrays, so they do not depend on how the grid was cut.
    """
    rho, mx, my, energy = (np.asarray(record[f"mesh/zones/{name}"]) for name in FIELDS)
    p, zone = pressure(rho, mx, my, energy), float(record["mesh/dx"]) ** 2
    about = record.attributes
    return {
        "step": about["step"], "time": about["time"], "mass": float(rho.sum()) * zone, "energy": float(energy.sum()) * zone,
        "rho_min": float(rho.min()), "rho_max": float(rho.max()), "p_max": float(p.max()),
        "speed_max": float((np.hypot(mx, my) / rho).max()),
    }  # fmt: skip


def pictures(session: Session, folder: Path) -> Iterator[Path]:
    """A picture of each record as it comes: `rho-000040.png` in the folder is the density at step 40."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in records(session):
        yield draw(record, folder / f"rho-{record.sequence:06}.png")


def draw(record: Record, path: Path) -> Path:
    """The density of a record as a PNG file."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise StateError(f"draw a record: {error}; install it with: pip install 'maestro-hpc[hydro]'") from error
    rho, dx = np.asarray(record["mesh/zones/rho"]), float(record["mesh/dx"])
    figure = Figure(figsize=(5.6, 4.8), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    ny, nx = rho.shape
    drawn = axes.imshow(rho, origin="lower", extent=(0, nx * dx, 0, ny * dx), cmap="inferno")
    figure.colorbar(drawn, label="density", shrink=0.9)
    about = record.attributes
    axes.set(title=f"{about['case']}, step {about['step']}, t = {about['time']:.3f}", xlabel="x", ylabel="y")
    figure.savefig(path)
    return path
