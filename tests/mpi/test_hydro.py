"""Hydro on all ranks: ghost cells are those of the whole grid within its walls, and steps give the bits that one block gives.

Ranks compare what they found when the last exchange is done, so that none waits for one that has given up.
"""

import numpy as np
import pytest
from cutting import same
from mpi4py import MPI

from maestro.workflows.hydro.ranks import Block, Simulation
from maestro.workflows.hydro.solver import GHOSTS, X, Y

COMM = MPI.COMM_WORLD
OWNED = slice(GHOSTS, -GHOSTS)


def grid(seed):
    """Cells of a grid that all ranks can have blocks of, and numbers of which no two are alike; the same on all ranks."""
    rng = np.random.default_rng(seed)
    cells = tuple(int(n) for n in rng.integers(2 * COMM.size, 2 * COMM.size + 30, 2))
    return cells, rng


def within_walls(whole):
    """The grid's state and the ghost cells around it: walls are mirrors, of momentum towards them with its sign turned."""
    padded = np.pad(whole, [(0, 0), (GHOSTS, GHOSTS), (GHOSTS, GHOSTS)], "symmetric")
    padded[1, :, :GHOSTS] *= -1
    padded[1, :, -GHOSTS:] *= -1
    padded[2, :GHOSTS] *= -1
    padded[2, -GHOSTS:] *= -1
    return padded


def part(block, padded):
    """A block of it, with ghost cells."""
    return padded[:, *(slice(low, low + n + 2 * GHOSTS) for low, n in zip(block.low, block.shape, strict=True))]


@pytest.mark.parametrize("seed", range(12))
def test_ghost_cells_are_those_of_the_whole_grid(seed):
    cells, rng = grid(seed)
    block = Block(cells, COMM)
    u, found = block.zeros(), []
    for axis in (X, Y, Y, X):
        wanted = part(block, within_walls(rng.random((4, *cells))))
        u[...] = np.nan
        u[:, OWNED, OWNED] = wanted[:, OWNED, OWNED]
        block.fill(u, axis)
        read = (slice(None), OWNED, slice(None)) if axis == X else (slice(None), slice(None), OWNED)
        found.append(same(u[read], wanted[read]))
    assert found == [True] * 4


@pytest.mark.parametrize("seed", range(4))
def test_steps_give_the_bits_of_one_block(seed):
    """From a state that is another in every cell, so that none is read in vain."""
    cells, rng = grid(seed)
    start = 1 + rng.random((4, *cells))
    start[3] += 4  # energy, more than that of the motion
    runs = []
    for comm in (None, COMM):
        block = Block(cells, comm)
        run = Simulation("corner", block, block.zeros())
        run.inner[...] = part(block, within_walls(start))[:, OWNED, OWNED]
        runs.append(run)
    alone, together = runs
    found = []
    for _ in range(9):
        for run in runs:
            run.advance()
        wanted = part(together.block, within_walls(alone.inner))[:, OWNED, OWNED]
        found.append((together.dt == alone.dt, same(together.inner, wanted)))
    assert found == [(True, True)] * 9
