"""Ghost cells and fields of several kinds, from Python, beside numpy."""

import numpy as np
import pytest
from cutting import elements, same
from mpi4py import MPI
from poolside import raises

import maestro

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.rank, COMM.size


def wanted_halo(layout, periodic, dtype, offset):
    """This rank's array after an exchange: the global array, cut with its ghost cells; where there is nothing, number 2**40."""
    local, shape = layout.local(RANK), layout.shape
    axes = [np.arange(n) + first - low for first, low, n in zip(local.first, local.low, local.shape, strict=True)]
    places = np.meshgrid(*axes, indexing="ij")  # global indices, also outside the array
    inside = [wrap | ((place >= 0) & (place < n)) for place, n, wrap in zip(places, shape, periodic, strict=True)]
    numbers = np.ravel_multi_index(places, shape, mode="wrap")
    return elements(np.where(np.logical_and.reduce(inside), numbers + offset, 2**40), dtype)


@pytest.mark.parametrize("seed", range(40))
def test_every_ghost_cell_gets_its_element(seed):
    rng = np.random.default_rng(seed)
    ndim = int(rng.integers(1, 4))
    grid = MPI.Compute_dims(SIZE, ndim)
    shape = tuple(int(n) for n in rng.integers([4 * n for n in grid], 4 * np.array(grid) + 5))
    ghosts = [tuple(int(n) for n in pair) for pair in rng.integers(0, 4, (ndim, 2))]
    periodic = [bool(one) for one in rng.integers(0, 2, ndim)]
    dtypes = [str(one) for one in rng.choice(["i1", "f4", "f8", "c16"], rng.integers(1, 4))]
    layout = maestro.Layout.blocks(shape, grid, ghosts=ghosts, order=str(rng.choice(["C", "F"])))
    owned = layout.local(RANK).owned
    method = str(rng.choice(["auto", "auto_private", "packed", "shared", "datatypes", "staged", "buffered"]))
    with maestro.Halo(layout, dtypes, COMM, periodic=periodic, method=method) as halo:
        for use in range(2):
            fields = [maestro.empty(layout, dtype, COMM) for dtype in dtypes]
            wanted = [wanted_halo(layout, periodic, dtype, f + use) for f, dtype in enumerate(dtypes)]
            for field, right, dtype in zip(fields, wanted, dtypes, strict=True):
                field[...] = elements(2**40, dtype)
                field[owned] = right[owned]
            halo.start(*fields)
            halo.wait()
            for field, right in zip(fields, wanted, strict=True):
                assert same(field, right)


def test_ghosts_of_a_list_of_indices_get_their_elements():
    """A ring of elements dealt to the ranks; each holds the next one's first element, and a hole."""
    n = 4 * SIZE
    mine = np.arange(RANK, n, SIZE)
    indices, is_ghost = np.append(mine, [(RANK + 1) % n, -1, (RANK + 1) % n]), np.array([False] * 4 + [True, False, True])
    layout = maestro.Layout.indices(n, indices, is_ghost=is_ghost)
    assert layout.local().nowned == 4
    assert layout.ghost_indices().tolist() == [(RANK + 1) % n] * 2
    field = maestro.empty(layout, "f8", COMM)
    field[layout.local().owned] = 10 * mine
    with maestro.Halo(layout, "f8", COMM) as halo:
        halo(field)
    assert field.tolist() == [*(10.0 * mine), 10 * ((RANK + 1) % n), 0, 10 * ((RANK + 1) % n)]


def test_a_rank_without_a_part_gives_none():
    nparts = max(SIZE - 1, 1)
    layout = maestro.Layout.blocks(3 * nparts, grid=nparts, ghosts=1) if nparts > RANK else None
    with maestro.Halo(layout, "i4", COMM, periodic=True) as halo:
        if layout is None:
            halo(None)
            return
        u = maestro.empty(layout, "i4", COMM)
        u[1:-1] = layout.coordinates(RANK)[0]
        halo(u)
        assert u.tolist() == [i % (3 * nparts) for i in range(3 * RANK - 1, 3 * RANK + 4)]


def test_fields_of_a_halo_are_checked():
    layout = maestro.Layout.blocks(4 * SIZE, grid=SIZE, ghosts=1)
    with maestro.Halo(layout, ["f8", "f4"], COMM, periodic=True) as halo:
        u, v = maestro.empty(layout, "f8", COMM), maestro.empty(layout, "f4", COMM)
        with raises(maestro.ArgumentError, "halo: field 1: its dtype is float64"):
            halo(u, u)
        with raises(maestro.ArgumentError, "halo: field 0: its shape is (4,)"):
            halo(u[1:-1], v)
        with raises(maestro.ArgumentError, "share memory"):
            halo(u, u.view("f4")[: v.size])
        halo(u, v)
        assert halo.explain()["messages"] or SIZE == 1


def test_values_are_converted_scaled_and_conjugated_on_their_way():
    rows = maestro.Layout.blocks((6, 8), grid=(SIZE, 1))
    columns = maestro.Layout.blocks((6, 8), grid=(1, SIZE), order="F")
    fields = [
        "i2",
        maestro.Field("f8", "f4", scale=0.5),
        maestro.Field("c16", "c8", scale=2j, conjugate=True),
        maestro.Field("i4", "f8"),
        maestro.Field("f4", "i8"),
    ]
    i, j = rows.coordinates(RANK)
    values = [i - j, i + 10 * j, i + 1j * j, i * j, i + j + 0.75]
    k, m = columns.coordinates(RANK)
    wanted = [k - m, (k + 10 * m) / 2, 2j * (k - 1j * m), k * m, k + m]
    types = [("i2", "i2"), ("f8", "f4"), ("c16", "c8"), ("i4", "f8"), ("f4", "i8")]
    sources = [maestro.empty(rows, one, COMM) for one, _ in types]
    targets = [maestro.empty(columns, one, COMM) for _, one in types]
    for source, value in zip(sources, values, strict=True):
        source[...] = value
    with maestro.redistribute(rows, columns, fields, COMM) as plan:
        plan(sources, targets)
    for target, right in zip(targets, wanted, strict=True):
        np.testing.assert_array_equal(target, right)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (maestro.Field("c8", "f4"), ["real"]),
        (maestro.Field("f4", "f4", scale=1j), ["complex"]),
    ],
)
def test_conversions_that_lose_a_part_are_refused(field, words):
    layout = maestro.Layout.blocks(4 * SIZE, grid=SIZE)
    with raises(maestro.ArgumentError, *words, seconds=20):
        maestro.redistribute(layout, layout, field, COMM)


def test_halos_move_elements_as_they_are():
    with raises(maestro.ArgumentError, "ghost cells are of the same array", seconds=20):
        maestro.Halo(maestro.Layout.blocks(4 * SIZE, grid=SIZE, ghosts=1), maestro.Field("f8", "f4"), COMM)
