"""Distributed arrays of a record: a global array whose blocks several producers have written, read as one.

Invariant: the blocks of an array do not overlap and leave no hole; that is checked once, when a record is first looked into.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import errors

__all__ = ["BlockArray"]


class BlockArray:
    """
    A global array made of blocks that lie in several places.

    It is read as a dataset of h5py is: ``a[10:20, :]`` is a numpy array, for which only the blocks that it touches are copied; where it
    lies in one block nothing is, and it is a read-only view.  ``a[...]`` and ``numpy.asarray(a)`` are all of it.

    Attributes
    ----------
    dtype : numpy.dtype
    shape : tuple of int
        Of the global array.
    blocks : list of (tuple of int, numpy.ndarray)
        Where each block begins, and a read-only view of it.
    """

    __slots__ = ("blocks", "dtype", "shape")

    def __init__(self, dtype: np.dtype, shape: tuple[int, ...], blocks: Sequence[tuple[tuple[int, ...], np.ndarray]]):
        self.dtype, self.shape, self.blocks = dtype, shape, list(blocks)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<maestro.BlockArray {self.dtype} {' x '.join(map(str, self.shape)) or 'scalar'} in {len(self.blocks)} blocks>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[...], dtype=dtype, copy=copy)

    def __getitem__(self, index: Any) -> Any:
        ranges = plain_index(index, self.shape)
        if ranges is None:  # lists, masks and new axes are numpy's
            return self[...][index]
        chosen, backwards, dropped = ranges
        found = self._gather(chosen)
        found = found[tuple(slice(None, None, -1) if back else slice(None) for back in backwards)]
        return found[tuple(0 if drop else slice(None) for drop in dropped)]

    def _gather(self, chosen: list[range]) -> np.ndarray:
        """The elements at these indices, which ascend in every axis."""
        shape = tuple(map(len, chosen))
        result: np.ndarray | None = None
        for start, values in self.blocks:
            overlaps = [overlap(r, low, low + n) for r, low, n in zip(chosen, start, values.shape, strict=True)]
            if any(into.start == into.stop for into, _ in overlaps):
                continue
            into, out_of = (tuple(part) for part in zip(*overlaps, strict=True)) if overlaps else ((), ())
            part = values[out_of]
            if part.shape == shape:
                return part
            if result is None:
                result = np.empty(shape, self.dtype)
            result[into] = part
        return np.empty(shape, self.dtype) if result is None else result


def plain_index(index: Any, shape: tuple[int, ...]) -> tuple[list[range], list[bool], list[bool]] | None:
    """Of integers, slices and one ellipsis, for each axis: the ascending indices, whether they come backwards, whether it is dropped."""
    words = list(index) if isinstance(index, tuple) else [index]
    if sum(word is Ellipsis for word in words) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if any(not (word is Ellipsis or isinstance(word, slice) or is_integer(word)) for word in words):
        return None
    given = sum(word is not Ellipsis for word in words)
    if given > len(shape):
        raise IndexError(f"too many indices: the array has {len(shape)} axes, but {given} were indexed")
    at = next((i for i, word in enumerate(words) if word is Ellipsis), len(words))
    words[at : at + 1] = [slice(None)] * (len(shape) - given)
    ranges, backwards, dropped = [], [], []
    for axis, (word, n) in enumerate(zip(words, shape, strict=True)):
        if isinstance(word, slice):
            chosen = range(*word.indices(n))
        elif -n <= word < n:
            chosen = range(int(word) % n, int(word) % n + 1)
        else:
            raise IndexError(f"index {word} is out of bounds for axis {axis} with size {n}")
        backwards.append(chosen.step < 0)
        ranges.append(chosen[::-1] if chosen.step < 0 else chosen)
        dropped.append(not isinstance(word, slice))
    return ranges, backwards, dropped


def is_integer(word: Any) -> bool:
    return isinstance(word, (int, np.integer)) and not isinstance(word, (bool, np.bool_))


def overlap(chosen: range, low: int, high: int) -> tuple[slice, slice]:
    """Which of the ascending indices lie in a block [low, high): their positions among all, and where they are in the block."""
    first = min(max(-(-(low - chosen.start) // chosen.step), 0), len(chosen))
    last = min(max(-(-(high - chosen.start) // chosen.step), first), len(chosen))
    begin = chosen.start + first * chosen.step - low
    return slice(first, last), slice(begin, begin + (last - first) * chosen.step, chosen.step)


def check_tiling(shape: tuple[int, ...], starts: Sequence[tuple[int, ...]], shapes: Sequence[tuple[int, ...]]) -> None:
    """Raises unless the blocks cover the array, each element once."""
    filled = [(start, lengths) for start, lengths in zip(starts, shapes, strict=True) if math.prod(lengths)]
    if sum(math.prod(lengths) for _, lengths in filled) != math.prod(shape):
        raise errors.AttributeValueError(f"{len(filled)} blocks do not fill an array of shape {shape}: they leave holes or overlap")
    low = np.array([start for start, _ in filled], "i8").reshape(len(filled), len(shape))
    high = low + np.array([lengths for _, lengths in filled], "i8").reshape(low.shape)
    for i in range(len(filled) - 1):  # of the same size in sum, so without overlap they leave no hole
        if ((low[i] < high[i + 1 :]) & (low[i + 1 :] < high[i])).all(axis=1).any():
            raise errors.AttributeValueError(f"blocks overlap in an array of shape {shape}")
