"""Random layouts that all ranks agree on, and elements that know their own number: a model to compare collective operations with."""

import math
from dataclasses import dataclass

import numpy as np

import maestro

DTYPES = ("i1", "u2", "f4", "f8", "M8[s]", "c16", ">i4", [("a", "i2"), ("b", "f2")])


def elements(numbers, dtype):
    """An element for each number, made of bytes that look random; equal numbers give equal elements."""
    words = np.asarray(numbers).astype("u8")[..., None] * np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], "u8")
    dtype = np.dtype(dtype)
    begin = min(3, 16 - dtype.itemsize)
    return np.ascontiguousarray(words.view("u1")[..., begin : begin + dtype.itemsize]).view(dtype)[..., 0]


def same(a, b):
    """Byte for byte: NaN is NaN."""
    return a.shape == b.shape and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@dataclass
class Side:
    """What this rank has of one side; `layout` is None where it has no part."""

    layout: maestro.Layout | None
    part: int

    def numbers(self):
        """Row-major numbers of the owned elements, as they stand in the array."""
        axes = np.broadcast_arrays(*self.layout.coordinates(self.part))
        return np.ravel_multi_index(axes, self.layout.shape) if axes[0].size else np.zeros(axes[0].shape, int)

    def array(self, comm, dtype, fill, shared=True):
        """The part with all its places `fill`, in memory from maestro.empty or in numpy's own."""
        if self.layout is None:
            return None
        array = maestro.empty(self.layout, dtype, comm, part=self.part)
        array = array if shared else np.zeros_like(array, order=self.layout.order)
        array[...] = elements(fill, dtype)
        return array

    def filled(self, comm, dtype, offset=0, shared=True):
        """The part with its own elements, which begin with number `offset`."""
        array = self.array(comm, dtype, 0, shared)
        if array is not None:
            array[self.owned()] = elements(self.numbers() + offset, dtype)
        return array

    def owned(self):
        return self.layout.local(self.part).owned


def random_grid(rng, ndim, most):
    """Parts of each dimension, at most so many in all."""
    grid = [1] * ndim
    for d in rng.permutation(ndim):
        grid[d] = int(rng.integers(1, most // math.prod(grid) + 1))
    return grid


def random_boxes(rng, shape, comm, order):
    """A grid of blocks of which each rank has some, in an order of its own."""
    ndim = len(shape)
    grid = [int(n) for n in rng.integers(1, 4, ndim)]
    cut = maestro.Layout.blocks(shape, grid)
    owners, ranking = rng.integers(0, comm.size, cut.nparts), rng.permutation(cut.nparts)
    boxes = []
    for part in ranking:
        local = cut.local(int(part))
        if owners[part] == comm.rank and local.nowned:
            boxes.append((local.first, [first + n for first, n in zip(local.first, local.shape, strict=True)]))
    return maestro.Layout.boxes(shape, boxes, order=order)


def random_side(rng, shape, comm, ghosts=0):
    """The same random numbers on all ranks give the views of one layout."""
    order, grid_order = rng.choice(["C", "F"], 2)
    kind = rng.choice(["blocks", "block_cyclic", "boxes", "indices"])
    if kind == "boxes":
        return Side(random_boxes(rng, shape, comm, order), 0)
    if kind == "indices":
        owners, order = rng.integers(0, comm.size, math.prod(shape)), rng.permutation(math.prod(shape))
        return Side(maestro.Layout.indices(shape, order[owners[order] == comm.rank]), 0)
    grid = random_grid(rng, len(shape), comm.size)
    block = [int(n) for n in rng.integers(1, 6, len(shape))]
    if kind == "blocks":
        layout = maestro.Layout.blocks(shape, grid, order=order, ghosts=ghosts, grid_order=grid_order)
    else:
        layout = maestro.Layout.block_cyclic(shape, block, grid, order=order, grid_order=grid_order)
    part = int(rng.permutation(comm.size)[comm.rank])
    return Side(layout if part < layout.nparts else None, part)
