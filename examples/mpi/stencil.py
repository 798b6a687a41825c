"""Stencils on blocks with ghost cells, two fields in one halo exchange: bit for bit the same on any number of ranks.

mpirun -n 4 python stencil.py

In 2D a field is diffused over all eight neighbours, corners too, and another one is carried by a wind; in 3D the same with 14 neighbours,
and two layers of ghost cells on one side.  The recipe stands in stencil.c: all factors are powers of two and sums are in the order of the
parentheses, so that C, Fortran and numpy give the same bits.  Printed is the CRC-32 of each field, gathered in row-major order.
"""

import zlib

import numpy as np
from mpi4py import MPI

import maestro

comm = MPI.COMM_WORLD


class Grid:
    """Blocks with ghost cells, of which each rank has one; two fields with old and new values, all of them zeros."""

    def __init__(self, shape, ghosts, periodic):
        self.layout = maestro.Layout.blocks(shape, MPI.Compute_dims(comm.size, len(shape)), ghosts=ghosts)
        self.local = self.layout.local(comm.rank)
        self.halo = maestro.Halo(self.layout, "f8", comm, periodic=periodic, max_fields=2)
        self.old, self.new = ([maestro.empty(self.layout, "f8", comm) for field in range(2)] for values in range(2))

    def at(self, array, *offsets):
        """The elements that lie so far from the owned ones: a view of their shape."""
        return array[tuple(slice(own.start + d, own.stop + d) for own, d in zip(self.local.owned, offsets, strict=True))]

    def checksum(self, array):
        """Of the whole field, on rank 0."""
        whole = maestro.Layout.blocks(self.layout.shape, grid=(1,) * self.layout.ndim)
        target = whole if comm.rank == 0 else None
        all_of_it = np.zeros(self.layout.shape) if target else None
        with maestro.redistribute(self.layout, target, "f8", comm) as plan:
            plan(array, all_of_it)
        return f"{zlib.crc32(all_of_it.astype('<f8')):08x}" if target else ""


def diffuse_2d(at, new):
    sides = (at(-1, 0) + at(1, 0)) + (at(0, -1) + at(0, 1))
    corners = (at(-1, -1) + at(-1, 1)) + (at(1, -1) + at(1, 1))
    new[...] = (0.25 * at(0, 0) + 0.125 * sides) + 0.0625 * corners


def carry_2d(at, new):
    v = at(0, 0)
    new[...] = v + (0.5 * (at(-1, 0) - v) + 0.25 * (at(0, -1) - v))


def diffuse_3d(at, new):
    faces = ((at(-1, 0, 0) + at(1, 0, 0)) + (at(0, -1, 0) + at(0, 1, 0))) + (at(0, 0, -1) + at(0, 0, 1))
    lower = (at(-1, -1, -1) + at(-1, -1, 1)) + (at(-1, 1, -1) + at(-1, 1, 1))
    upper = (at(1, -1, -1) + at(1, -1, 1)) + (at(1, 1, -1) + at(1, 1, 1))
    new[...] = (0.5 * at(0, 0, 0) + 0.0625 * faces) + 0.015625 * (lower + upper)


def carry_3d(at, new):
    c, one, two = at(0, 0, 0), at(0, 0, -1), at(0, 0, -2)
    new[...] = c + (0.5 * (one - c) + 0.125 * ((two - one) - (one - c)))


def run(grid, start, stencils, steps):
    """The fields' checksums after so many steps."""
    for field, values in zip(grid.old, start, strict=True):
        field[grid.local.owned] = values
    with grid.halo:
        for _ in range(steps):
            grid.halo(*grid.old)
            for stencil, old, new in zip(stencils, grid.old, grid.new, strict=True):
                stencil(lambda *offsets, old=old: grid.at(old, *offsets), grid.at(new, *[0] * grid.layout.ndim))
            grid.old, grid.new = grid.new, grid.old
    return [grid.checksum(field) for field in grid.old]


flat = Grid((50, 37), ghosts=1, periodic=(True, False))
i, j = flat.layout.coordinates(comm.rank)
u, v = run(flat, [(7 * i + 13 * j) % 31 / 32, (5 * i + 11 * j) % 29 / 32], [diffuse_2d, carry_2d], steps=40)

deep = Grid((20, 14, 11), ghosts=(1, 1, (2, 1)), periodic=(True, False, True))
i, j, k = deep.layout.coordinates(comm.rank)
t, c = run(deep, [(7 * i + 13 * j + 3 * k) % 31 / 32, (5 * i + 11 * j + 17 * k) % 29 / 32], [diffuse_3d, carry_3d], steps=30)

if comm.rank == 0:
    print(f"2D: u {u}, v {v}")
    print(f"3D: t {t}, c {c}")
