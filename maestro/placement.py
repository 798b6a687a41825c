"""Where the bytes are, there the threads shall be: what `Cdo.pin` has chosen, and the way back.

The choice and the binding are the C library's; here they are shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    from .cdo import Cdo

__all__ = ["Pin", "Placement"]


@dataclass(frozen=True)
class Placement:
    """
    Which cores were chosen for an object, and why.

    Cores are counted as the operating system counts them (hardware threads), and written as lists like ``0-3,8``.

    Attributes
    ----------
    node : int
        NUMA node on which most of the object lies.
    pages, pages_there : int
        Pages that were looked at, and how many of them lie on that node.
    allowed, domain, cores : str
        Cores that the thread or process may use; of these, the ones near the object; of these, the part of this rank.
    nodes : str
        NUMA nodes of these cores.
    why : str
        The reason for the domain.
    rank, ranks : int
        Which part of how many.
    pid : int
        Process whose threads are bound; 0: one thread.
    bound : bool
        False for a dry run.
    """

    node: int
    pages: int
    pages_there: int
    allowed: str
    domain: str
    cores: str
    nodes: str
    why: str
    rank: int
    ranks: int
    pid: int
    bound: bool


class Pin(_core.PinHandle):
    """
    A thread or a process bound to the cores near an object, until `undo` or the end of the ``with`` block; made by `Cdo.pin`.

    What is not undone stays bound, also when this object is no longer referred to.

    Attributes
    ----------
    placement : Placement
        What was chosen, and why.

    Examples
    --------
    >>> with maestro.Session() as s:
    ...     with s.offer(b"bytes", name="near").pin() as pin:
    ...         len(pin.placement.cores) > 0
    True
    """

    __slots__ = ("placement",)

    def __init__(self, cdo: Cdo, process: bool | int, rank: int, nranks: int, dry_run: bool):
        pid = os.getpid() if process is True else int(process)
        said = self._bind(cdo, pid, rank, nranks, dry_run)
        self.placement = Placement(**{field.name: said[field.name] for field in fields(Placement)})

    def __repr__(self) -> str:
        return f"<maestro.Pin cores {self.placement.cores}: {self.placement.why}>"

    def __enter__(self) -> Pin:
        return self

    def __exit__(self, *exception) -> None:
        self.undo()
