"""Layouts: how a global array is cut into parts, and how each part lies in its owner's memory.

The cutting is the C library's.  Here arguments of all the usual forms become numbers, and parts are described in numpy's terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Layout", "Local"]

Numbers = int | Sequence[int]
Ghosts = int | Sequence[int | tuple[int, int]]


@dataclass(frozen=True)
class Local:
    """
    How a part of a `Layout` lies in its rank's memory.  Everything is counted in elements.

    Attributes
    ----------
    part : int
        Its number.
    shape : tuple of int
        Of the part's array, ghosts included.  Parts of several boxes, and of indices, have one dimension.
    strides : tuple of int
        From an element to the next one of each dimension.
    order : str
        "C" or "F".
    first : tuple of int
        The global index of the first owned element; zeros for parts of several boxes or of indices, and for empty ones.
    low, high : tuple of int
        Ghost cells below and above the owned ones.
    size : int
        Elements of the part's array.
    nowned : int
        Elements of the global array among them.
    owned : tuple
        What selects them from the part's array: ``a[local.owned]``.  Slices, which give a view; of indices with ghosts or gaps numbers.
    """

    part: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    order: str
    first: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    size: int
    nowned: int
    owned: tuple[Any, ...]


class Layout(_core.LayoutHandle):
    """
    How a global array of 1 to 7 dimensions is cut into parts.  Made by `blocks`, `block_cyclic`, `boxes` or `indices`; immutable; local.

    Attributes
    ----------
    shape : tuple of int
        Of the global array.
    order : str
        "C": the last index is the quickest in each part's memory; "F": the first.
    kind : str
        "blocks", "block_cyclic", "boxes" or "indices".

    Examples
    --------
    >>> rows = maestro.Layout.blocks((5, 4), grid=(2, 1), ghosts=1)
    >>> rows
    maestro.Layout.blocks((5, 4), grid=(2, 1), ghosts=1)
    >>> part = rows.local(1)
    >>> part.shape, part.first, part.owned
    ((4, 6), (3, 0), (slice(1, 3, None), slice(1, 5, None)))
    """

    __slots__ = ("_given", "kind", "order", "shape")

    def __init__(self):
        raise TypeError("a layout is made by Layout.blocks, block_cyclic, boxes or indices")

    # ---- Making
    @classmethod
    def blocks(cls, shape: Numbers, grid: Numbers, *, order: str = "C", ghosts: Ghosts = 0, grid_order: str = "C") -> Layout:
        """
        One block a part: dimension d is cut into ``grid[d]`` blocks, as ``numpy.array_split`` does it.

        Parameters
        ----------
        shape : int or sequence of int
            Of the global array.
        grid : int or sequence of int
            Number of parts in each dimension; their product is the number of parts.
        order : str
            Of each part's elements in memory: "C", the last index is the quickest, or "F".
        ghosts : int, or sequence of int or (int, int)
            Cells around a part for copies of what other parts own: as many on all sides; or for each dimension as many on both sides, or
            below and above.
        grid_order : str
            How parts are numbered in the grid: "C" counts its last dimension first.

        Raises
        ------
        ArgumentError
            What is wrong, with the dimension.
        TooLargeError
            The array has more than 2**59 elements.

        Examples
        --------
        >>> maestro.Layout.blocks((100, 60), grid=(4, 2), order="F").nparts
        8
        """
        return cls._regular("blocks", shape, None, grid, order, ghosts, grid_order)

    @classmethod
    def block_cyclic(
        cls, shape: Numbers, block: Numbers, grid: Numbers, *, order: str = "C", ghosts: Ghosts = 0, grid_order: str = "C"
    ) -> Layout:
        """
        Blocks of ``block[d]`` indices, dealt to the ``grid[d]`` parts of each dimension in turn, as ScaLAPACK does.

        Parameters
        ----------
        block : int or sequence of int
            Size of the blocks in each dimension; the last may be shorter.  1 is the cyclic cut.
        shape, grid, order, ghosts, grid_order :
            As of `blocks`; ghosts only where each part is one block.

        Raises
        ------
        ArgumentError, TooLargeError
            As `blocks`.

        Examples
        --------
        >>> dealt = maestro.Layout.block_cyclic(10, block=2, grid=2)
        >>> [dealt.coordinates(part)[0].tolist() for part in range(2)]
        [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7]]
        """
        return cls._regular("block_cyclic", shape, block, grid, order, ghosts, grid_order)

    @classmethod
    def _regular(cls, kind, shape, block, grid, order, ghosts, grid_order) -> Layout:
        layout = cls._new(kind, shape, order, **({} if block is None else {"block": _numbers(block)}), grid=_numbers(grid))
        layout._given |= {"ghosts": ghosts, "grid_order": _checked_order(grid_order, "grid_order")}
        low, high = _ghosts(ghosts, len(layout.shape))
        layout._make(layout.shape, layout._given.get("block"), layout._given["grid"], order == "F", grid_order == "F", low, high)
        return layout

    @classmethod
    def boxes(cls, shape: Numbers, boxes: Sequence[tuple[Numbers, Numbers]], *, order: str = "C", ghosts: Ghosts = 0) -> Layout:
        """
        What this rank holds, as boxes; other ranks say what they hold.  The layout has this one part, number 0.

        Parameters
        ----------
        boxes : sequence of (begin, end)
            Of each box the first index and the one behind the last, in each dimension.  They lie one after the other in memory.
        shape, order, ghosts :
            As of `blocks`; a single box may have ghosts.

        Raises
        ------
        ArgumentError
            Boxes overlap or do not lie in the array, with their numbers.
        TooLargeError
            As `blocks`.

        Examples
        --------
        >>> maestro.Layout.boxes((6, 6), [((0, 0), (2, 6)), ((2, 0), (4, 3))]).local(0).shape
        (18,)
        """
        layout = cls._new("boxes", shape, order, boxes=[(_numbers(begin), _numbers(end)) for begin, end in boxes], ghosts=ghosts)
        ndim = len(layout.shape)
        corners = np.array([corner for box in layout._given["boxes"] for corner in box], "i8").reshape(-1, 2, ndim)
        low, high = _ghosts(ghosts, ndim)
        begin, end = (np.ascontiguousarray(corners[:, side]) for side in (0, 1))
        layout._make_boxes(layout.shape, begin, end, order == "F", low, high)
        return layout

    @classmethod
    def indices(cls, shape: Numbers, indices: Any, *, is_ghost: Any = None) -> Layout:
        """
        What this rank holds, element by element in the order of its memory; other ranks say what they hold.

        Parameters
        ----------
        indices : array of int, one dimension
            The global index in row-major order (``numpy.ravel_multi_index``) of what lies in each place; -1 where nothing of the array
            does.
        is_ghost : array of bool, as long, optional
            Which places hold copies of what another part owns, or this one.  Such an index may come more than once.
        shape :
            As of `blocks`.

        Raises
        ------
        ArgumentError
            An index is not in the array, or is owned twice.
        TooLargeError
            As `blocks`.

        Examples
        --------
        >>> mine = maestro.Layout.indices((2, 3), [5, 0, 2])
        >>> mine.coordinates(0)
        (array([1, 0, 0]), array([2, 0, 2]))
        """
        layout = cls._new("indices", shape, "C", indices=np.array(indices, "i8", ndmin=1), is_ghost=None)
        given = layout._given
        if is_ghost is not None:
            given["is_ghost"] = np.array(is_ghost, bool, ndmin=1)
            if given["is_ghost"].shape != given["indices"].shape:
                raise errors.ArgumentError(
                    f"layout of indices: is_ghost has shape {given['is_ghost'].shape} and indices {given['indices'].shape}; one for each"
                )
        layout._make_indices(layout.shape, given["indices"], None if is_ghost is None else given["is_ghost"].view("u1"))
        return layout

    @classmethod
    def _new(cls, kind, shape, order, **given) -> Layout:
        layout = cls.__new__(cls)
        layout.kind, layout.shape, layout.order, layout._given = kind, _numbers(shape), _checked_order(order, "order"), given
        return layout

    # ---- Asking
    @property
    def ndim(self) -> int:
        """Number of dimensions of the global array."""
        return len(self.shape)

    def local(self, part: int = 0) -> Local:
        """
        How a part lies in memory.

        Parameters
        ----------
        part : int
            0 to `nparts` - 1.

        Returns
        -------
        Local

        Raises
        ------
        ArgumentError
            There is no such part.
        """
        said = self._local(part)
        numbers = {name: tuple(said[name]) for name in ("shape", "strides", "first", "low", "high")}
        owned = tuple(slice(low, n - high) for low, n, high in zip(numbers["low"], numbers["shape"], numbers["high"], strict=True))
        if self.kind == "indices" and self._has_gaps():
            owned = (np.flatnonzero(self._is_owned()),)
        return Local(part=part, order=self.order, size=said["size"], nowned=said["nowned"], owned=owned, **numbers)

    def coordinates(self, part: int = 0) -> tuple[np.ndarray, ...]:
        """
        The global indices of a part's owned elements, one array for each dimension of the global array.

        They broadcast to the shape of ``a[layout.local(part).owned]``, as those of ``numpy.ogrid`` do, so that a formula fills a part.

        Parameters
        ----------
        part : int
            0 to `nparts` - 1.

        Returns
        -------
        tuple of numpy.ndarray of int64

        Examples
        --------
        >>> layout = maestro.Layout.blocks((3, 4), grid=(1, 2))
        >>> i, j = layout.coordinates(1)
        >>> 10 * i + j
        array([[ 2,  3],
               [12, 13],
               [22, 23]])
        """
        self.local(part)  # refuses parts that there are not
        if self.kind == "indices":
            return np.unravel_index(self._given["indices"][self._is_owned()], self.shape)
        if self.kind == "boxes":
            return self._coordinates_of_boxes()
        place = np.unravel_index(part, self._given["grid"], order=self._given["grid_order"])
        return _open([self._axis(d, int(place[d])) for d in range(self.ndim)])

    def _axis(self, d: int, place: int) -> np.ndarray:
        """The indices of dimension d that the parts at `place` of the grid own."""
        size, nparts = self.shape[d], self._given["grid"][d]
        if self.kind == "blocks":
            length, longer = divmod(size, nparts)
            first = place * length + min(place, longer)
            return np.arange(first, first + length + (place < longer))
        block = min(self._given["block"][d], max(size, 1))
        starts = np.arange(place * block, size, nparts * block)
        found = (starts[:, None] + np.arange(block)).ravel()
        return found[found < size]

    def _coordinates_of_boxes(self) -> tuple[np.ndarray, ...]:
        boxes = [[np.arange(b, e) for b, e in zip(begin, end, strict=True)] for begin, end in self._given["boxes"]]
        if len(boxes) == 1:
            return _open(boxes[0])
        flat = [[axis.ravel(self.order) for axis in np.meshgrid(*box, indexing="ij")] for box in boxes]
        return tuple(np.concatenate([box[d] for box in flat] or [np.arange(0)]) for d in range(self.ndim))

    def ghost_indices(self) -> np.ndarray:
        """Of a layout of indices those that are ghosts, in the order of memory."""
        is_ghost = self._given["is_ghost"]
        return self._given["indices"][is_ghost & (self._given["indices"] >= 0)] if is_ghost is not None else np.arange(0)

    def _has_gaps(self) -> bool:
        return self._given["is_ghost"] is not None or bool((self._given["indices"] < 0).any())

    def _is_owned(self) -> np.ndarray:
        owned = self._given["indices"] >= 0
        return owned if self._given["is_ghost"] is None else owned & ~self._given["is_ghost"]

    def plot(self, ax: Axes | None = None, *, part: int | None = None) -> Axes:
        """
        Draw who owns what: each part in a colour of its own, with its number.  Needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default is a figure of its own.
        part : int, optional
            A part of which the ghost cells, and the way through its memory, are drawn too.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ArgumentError
            The array has more than two dimensions, or there is no such part.
        """
        from .picture import draw

        return draw(self, ax, part)

    def __repr__(self) -> str:
        words = [repr(self.shape if self.ndim > 1 else self.shape[0])]
        for name, value in self._given.items():
            if isinstance(value, list | np.ndarray):
                words.append(f"{name}=<{len(value)}>")
            elif value is not None and value != {"ghosts": 0, "grid_order": "C"}.get(name):
                words.append(f"{name}={value[0] if isinstance(value, tuple) and len(value) == 1 else value!r}")
        words += [f"order={self.order!r}"] * (self.order != "C")
        return f"maestro.Layout.{self.kind}({', '.join(words)})"


# ---- Arguments
def _numbers(given: Numbers) -> tuple[int, ...]:
    return (int(given),) if isinstance(given, Integral) else tuple(int(n) for n in given)


def _checked_order(order: str, what: str) -> str:
    if order not in ("C", "F"):
        raise errors.ArgumentError(f'layout: {what} is {order!r}; it may be "C", the last index is the quickest, or "F", the first is')
    return order


def _ghosts(given: Ghosts, ndim: int) -> tuple[list[int], list[int]]:
    """Below and above, for each dimension."""
    each = [given] * ndim if isinstance(given, Integral) else list(given)
    pairs = [(one, one) if isinstance(one, Integral) else tuple(one) for one in each]
    if any(len(pair) != 2 for pair in pairs):
        raise errors.ArgumentError(f"layout: ghosts are {given!r}; of each dimension one number, or those below and above")
    return [int(low) for low, _ in pairs], [int(high) for _, high in pairs]


def _open(axes: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """As numpy.ix_, which makes empty axes floats."""
    return tuple(axis.reshape([-1 if e == d else 1 for e in range(len(axes))]) for d, axis in enumerate(axes))
