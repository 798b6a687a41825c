"""Hydro over MPI ranks: each has a block of the grid; the cells around it, which others own, come by a halo exchange of Maestro.

Without mpi4py, or without mpirun, there is one block, the grid. Ghost cells are filled before each sweep, for its axis; those of the other
axis, which the exchange fills as well, are not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...arrays.layout import Layout
from ...arrays.memory import empty
from ...arrays.plan import Halo
from ...errors import ArgumentError
from . import solver
from .solver import FIELDS, GHOSTS, X, Y

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
    grid : tuple of int
        How many blocks it is cut into along y and x.
    layout : Layout
        Of the state: all fields of a block's cells, with ghost cells around them.
    low, shape : tuple of int
        Where the block begins, and its cells.
    """

    def __init__(self, cells: tuple[int, int], comm=None):
        self.cells, self.comm = cells, comm
        self.rank, self.ranks = (comm.rank, comm.size) if comm else (0, 1)
        self.grid = cut(cells, self.ranks)
        self.layout = Layout.blocks((len(FIELDS), *cells), (1, *self.grid), ghosts=(0, GHOSTS, GHOSTS))
        local = self.layout.local(self.rank)
        self.low, self.shape = local.first[1:], tuple(n - 2 * GHOSTS for n in local.shape[1:])

    def zeros(self) -> np.ndarray:
        """A state in memory that the other ranks of the node can read, where there are others: (4, ny + 4, nx + 4)."""
        if self.comm is None:
            return np.zeros(self.layout.local().shape)
        return empty(self.layout, "f8", self.comm)

    @cached_property
    def halo(self) -> Halo:
        """The exchange of ghost cells, made where it is first used. Collective."""
        return Halo(self.layout, "f8", self.comm)

    def fill(self, u: np.ndarray, axis: int) -> None:
        """Ghost cells of an axis: the neighbours' cells, or what a wall mirrors. Collective."""
        if self.grid[axis] > 1:
            self.halo(u)
        end = self.low[axis] + self.shape[axis]
        solver.walls(u, axis, self.low[axis] == 0, end == self.cells[axis])

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
        run = cls(case, block, block.zeros())
        run.inner[...] = solver.initial(case, block.cells, block.low, block.shape)
        return run

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
