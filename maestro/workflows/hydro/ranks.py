"""Hydro over MPI ranks: each has a block of the grid, and neighbours whose cells are its ghosts.

Without mpi4py, or without mpirun, there is one block, the grid. Ghost cells are exchanged before each sweep, along its axis only, so
corners are never needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import ArgumentError
from . import solver
from .solver import GHOSTS, X, Y

__all__ = ["Block", "Simulation", "communicator", "cut"]


def communicator():
    """MPI's world, where mpi4py is there and there are several ranks; else None."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError):
        return None
    return MPI.COMM_WORLD if MPI.COMM_WORLD.size > 1 else None


def cut(cells: tuple[int, int], ranks: int) -> tuple[int, int]:
    """How many blocks along y and x, so that the edges between them are shortest."""
    grids = [(rows, ranks // rows) for rows in range(1, ranks + 1) if ranks % rows == 0]
    grids = [grid for grid in grids if cells[Y] // grid[Y] >= GHOSTS and cells[X] // grid[X] >= GHOSTS]
    if not grids:
        raise ArgumentError(
            f"hydro: {cells[X]}x{cells[Y]} cells over {ranks} ranks leave blocks of less than {GHOSTS} cells; use fewer ranks"
        )
    return min(grids, key=lambda grid: grid[Y] * cells[X] + grid[X] * cells[Y])


class Block:
    """
    What one rank has of a grid.

    Attributes
    ----------
    rank, ranks : int
    cells : tuple of int
        (ny, nx) of the grid.
    low, shape : tuple of int
        Where the block begins, and its cells.
    """

    def __init__(self, cells: tuple[int, int], comm=None):
        self.cells, self.comm = cells, comm
        self.rank, self.ranks = (comm.rank, comm.size) if comm else (0, 1)
        grid = cut(cells, self.ranks)
        place = divmod(self.rank, grid[X])
        self.low = tuple(n * i // parts for n, i, parts in zip(cells, place, grid, strict=True))
        high = (n * (i + 1) // parts for n, i, parts in zip(cells, place, grid, strict=True))
        self.shape = tuple(end - begin for begin, end in zip(self.low, high, strict=True))
        self.neighbours = [
            (self.rank - stride if i > 0 else None, self.rank + stride if i + 1 < parts else None)
            for i, parts, stride in zip(place, grid, (grid[X], 1), strict=True)
        ]

    def fill(self, u: np.ndarray, axis: int) -> None:
        """Ghost cells of an axis: the neighbours' cells, or what a wall mirrors. Collective."""
        low, high = self.neighbours[axis]
        solver.walls(u, axis, low is None, high is None)
        if self.comm is None:
            return
        rows = np.moveaxis(u, 1 + axis, 0)
        self._swap(rows[-2 * GHOSTS : -GHOSTS], high, rows[:GHOSTS], low)
        self._swap(rows[GHOSTS : 2 * GHOSTS], low, rows[-GHOSTS:], high)

    def _swap(self, own: np.ndarray, to: int | None, ghosts: np.ndarray, source: int | None) -> None:
        """Give own cells to one neighbour and take those of the opposite one."""
        from mpi4py import MPI

        taken = np.empty(ghosts.shape)
        receiver, sender = (MPI.PROC_NULL if rank is None else rank for rank in (to, source))
        self.comm.Sendrecv(np.ascontiguousarray(own), receiver, recvbuf=taken, source=sender)
        if source is not None:
            ghosts[...] = taken

    def least(self, value: float) -> float:
        """The least of all ranks' values. Collective."""
        if self.comm is None:
            return value
        from mpi4py import MPI

        return self.comm.allreduce(value, MPI.MIN)


@dataclass
class Simulation:
    """
    A gas in a box, as far as it has come.

    The time step is chosen in even steps and kept for the odd ones, as in the mini-app; the very first is halved. So `dt` is part of what
    a restart needs.
    """

    case: str
    block: Block
    u: np.ndarray
    step: int = 0
    time: float = 0.0
    dt: float = 0.0

    @classmethod
    def begin(cls, case: str, block: Block) -> Simulation:
        """At time 0."""
        return cls(case, block, solver.initial(case, block.cells, block.low, block.shape))

    @property
    def dx(self) -> float:
        """Width of a cell."""
        return solver.width(self.case, self.block.cells[X])

    @property
    def inner(self) -> np.ndarray:
        """The state without ghost cells: (4, ny, nx), a view."""
        return self.u[:, GHOSTS:-GHOSTS, GHOSTS:-GHOSTS]

    def advance(self) -> None:
        """One time step. Collective."""
        if self.step % 2 == 0:
            self.dt = self.block.least(solver.largest_step(self.u, self.dx)) * (0.5 if self.step == 0 else 1.0)
        solver.advance(self.u, self.dt, self.dx, self.step, self.block.fill)
        self.step += 1
        self.time += self.dt
