"""A cubed sphere, smoothed over the edges of its faces, two fields in one halo exchange: bit for bit the same on any number of ranks.

mpirun -n 4 python mesh.py

Six faces of N x N cells, each cut into tiles, of which a rank has some, one after the other in its memory.  A layout of indices says what
lies where: a tile's own cells, and a frame of ghost cells around them, which beyond an edge are cells of the neighbouring face.  The recipe
stands in mesh.c.  Printed is the CRC-32 of each field, gathered in row-major order.
"""

import zlib

import numpy as np
from mpi4py import MPI

import maestro

N, TILE, STEPS = 24, 8, 30  # cells along a face and along a tile
SHAPE = (6, N, N)
comm = MPI.COMM_WORLD


def cell(face, i, j):
    """The number of cell (i, j) of a face, which may lie one beyond its edge; -1 beyond a corner, where three faces meet and no cell is."""
    x = np.empty(3, int)  # its middle, on a cube from -N to N, of which the cells are 2 wide
    normal, along, across = face % 3, (face + 1) % 3, (face + 2) % 3
    x[normal], x[along], x[across] = (N if face < 3 else -N), 2 * i + 1 - N, 2 * j + 1 - N
    beyond = np.abs(x) > N
    if beyond.sum() == 2:
        return -1
    if beyond.any():  # folded down around the edge
        x[beyond] = np.sign(x[beyond]) * N
        x[normal] -= np.sign(x[normal])
    (normal,) = np.flatnonzero(np.abs(x) == N)
    face = normal if x[normal] > 0 else normal + 3
    return np.ravel_multi_index((face, (x[(normal + 1) % 3] + N) // 2, (x[(normal + 2) % 3] + N) // 2), SHAPE)


def tiles():
    """(tiles, TILE + 2, TILE + 2) cells that lie in this rank's memory."""
    corners = [(face, i, j) for face in range(6) for i in range(0, N, TILE) for j in range(0, N, TILE)]
    mine = np.array_split(np.arange(len(corners)), comm.size)[comm.rank]
    frame = range(-1, TILE + 1)
    cells = [cell(face, i + a, j + b) for face, i, j in (corners[t] for t in mine) for a in frame for b in frame]
    return np.array(cells, int).reshape(len(mine), TILE + 2, TILE + 2)


def at(field, i, j):
    """The cells that lie so far from the tiles' own ones: a view of their shape."""
    return field[:, 1 + i : TILE + 1 + i, 1 + j : TILE + 1 + j]


def sides(field):
    return (at(field, -1, 0) + at(field, 1, 0)) + (at(field, 0, -1) + at(field, 0, 1))


def corners(field):
    return (at(field, -1, -1) + at(field, -1, 1)) + (at(field, 1, -1) + at(field, 1, 1))


def checksum(array):
    """Of the whole field, on rank 0."""
    whole = maestro.Layout.blocks(SHAPE, grid=(1, 1, 1)) if comm.rank == 0 else None
    all_of_it = np.zeros(SHAPE) if whole else None
    with maestro.redistribute(layout, whole, "f8", comm) as plan:
        plan(array, all_of_it)
    return f"{zlib.crc32(all_of_it.astype('<f8')):08x}" if whole else ""


cells = tiles()
is_ghost = np.ones(cells.shape, bool)
at(is_ghost, 0, 0)[...] = False
layout = maestro.Layout.indices(SHAPE, cells.ravel(), is_ghost=is_ghost.ravel())
arrays = [maestro.empty(layout, "f8", comm) for _ in range(4)]  # zeros, which stay where no cell is
u, v, new_u, new_v = (array.reshape(cells.shape) for array in arrays)

face, i, j = np.unravel_index(at(cells, 0, 0), SHAPE)
at(u, 0, 0)[...] = (7 * i + 13 * j + 3 * face) % 31 / 32
at(v, 0, 0)[...] = (5 * i + 11 * j + 17 * face) % 29 / 32
with maestro.Halo(layout, "f8", comm, max_fields=2) as halo:
    for _ in range(STEPS):
        halo(u.ravel(), v.ravel())
        at(new_u, 0, 0)[...] = (0.25 * at(u, 0, 0) + 0.125 * sides(u)) + 0.0625 * corners(u)
        at(new_v, 0, 0)[...] = (0.5 * at(v, 0, 0) + 0.0625 * sides(v)) + 0.25 * at(u, 0, 0)
        u, v, new_u, new_v = new_u, new_v, u, v

results = checksum(u.ravel()), checksum(v.ravel())
if comm.rank == 0:
    print("mesh: u {}, v {}".format(*results))
