"""Layouts beside a model in numpy: a global array of element numbers, cut by array_split and by dealing; every part filled and put back."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poolside import raises

import maestro
from maestro import _core

ORDERS = st.sampled_from("CF")


@st.composite
def cuts(draw, blocks=False):
    """(shape, grid, block, order, grid order), 1 to 3 dimensions."""
    ndim = draw(st.integers(1, 3))
    shape, grid = (tuple(draw(st.lists(st.integers(low, 7), min_size=ndim, max_size=ndim))) for low in (0, 1))
    block = tuple(draw(st.lists(st.integers(1, 8), min_size=ndim, max_size=ndim))) if blocks else None
    return shape, grid, block, draw(ORDERS), draw(ORDERS)


def places(grid, order):
    """The places of the parts in the grid, in the order of their numbers."""
    return [np.unravel_index(part, grid, order=order) for part in range(int(np.prod(grid)))]


def memory(layout, part, dtype="i8"):
    """A part's array as the layout says it lies."""
    local = layout.local(part)
    flat = np.full(local.size, -1, dtype)
    return np.lib.stride_tricks.as_strided(flat, local.shape, [s * flat.itemsize for s in local.strides]), flat


def check_part(layout, part, wanted, whole):
    """The part owns `wanted` of the array of numbers; coordinates, slices, offsets and owners say so."""
    local = layout.local(part)
    array, flat = memory(layout, part)
    array[local.owned] = np.ravel_multi_index(np.broadcast_arrays(*layout.coordinates(part)), layout.shape) if wanted.size else 0
    np.testing.assert_array_equal(array[local.owned], wanted)
    assert (local.nowned, int((flat >= 0).sum())) == (wanted.size, wanted.size)
    for number in wanted.ravel()[:: max(1, wanted.size // 3)]:
        index = np.argwhere(whole == number)[0].tolist()
        assert layout.owner(index) == part
        assert flat[layout.offset(part, index)] == number


@settings(max_examples=150, deadline=None)
@given(cut=cuts(), ghosts=st.integers(0, 2), uneven=st.booleans())
def test_blocks_are_those_of_array_split(cut, ghosts, uneven):
    shape, grid, _, order, grid_order = cut
    sides = [(ghosts, d) for d in range(len(shape))] if uneven else ghosts
    layout = maestro.Layout.blocks(shape, grid, order=order, ghosts=sides, grid_order=grid_order)
    whole = np.arange(int(np.prod(shape))).reshape(shape)
    assert layout.nparts == int(np.prod(grid))
    for part, place in enumerate(places(grid, grid_order)):
        wanted = whole
        for d, (n, at) in enumerate(zip(grid, place, strict=True)):
            wanted = np.array_split(wanted, n, axis=d)[at]
        check_part(layout, part, wanted, whole)
        local = layout.local(part)
        around = [sum(pair) for pair in (sides if uneven else [(ghosts, ghosts)] * len(shape))]
        assert local.shape == tuple(n + (more if wanted.size else 0) for n, more in zip(wanted.shape, around, strict=True))
        assert not wanted.size or local.first == tuple(np.argwhere(whole == wanted.min())[0])


@settings(max_examples=150, deadline=None)
@given(cut=cuts(blocks=True))
def test_block_cyclic_deals_blocks_in_turn(cut):
    shape, grid, block, order, grid_order = cut
    layout = maestro.Layout.block_cyclic(shape, block, grid, order=order, grid_order=grid_order)
    whole = np.arange(int(np.prod(shape))).reshape(shape)
    for part, place in enumerate(places(grid, grid_order)):
        mine = [[i for i in range(n) if i // b % p == at] for n, b, p, at in zip(shape, block, grid, place, strict=True)]
        check_part(layout, part, whole[np.ix_(*(np.array(axis, int) for axis in mine))], whole)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.integers(0, 4), min_size=1, max_size=4), order=ORDERS)
def test_boxes_lie_one_after_the_other(rows, order):
    shape = (max(sum(rows), 1), 5)
    begins = np.cumsum([0, *rows])
    boxes = [((begins[k], k % 3), (begins[k + 1], 5 - k % 2)) for k in range(len(rows))]
    layout = maestro.Layout.boxes(shape, boxes, order=order)
    whole = np.arange(shape[0] * 5).reshape(shape)
    cut = [whole[b[0] : e[0], b[1] : e[1]] for b, e in boxes]
    wanted = cut[0] if len(cut) == 1 else np.concatenate([box.ravel(order) for box in cut])
    check_part(layout, 0, wanted, whole)


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(12)), count=st.integers(0, 12))
def test_indices_lie_as_they_were_given(order, count):
    layout = maestro.Layout.indices((3, 4), order[:count])
    check_part(layout, 0, np.array(order[:count], int), np.arange(12).reshape(3, 4))


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(12)), kinds=st.lists(st.sampled_from("ogh"), max_size=12))
def test_indices_may_have_ghosts_and_holes_among_them(order, kinds):
    """Owned, ghost or hole: only the first are seen by `owned` and `coordinates`."""
    indices = [-1 if kind == "h" else order[i] for i, kind in enumerate(kinds)]
    layout = maestro.Layout.indices((3, 4), indices, is_ghost=[kind == "g" for kind in kinds])
    owned = [index for index, kind in zip(indices, kinds, strict=True) if kind == "o"]
    check_part(layout, 0, np.array(owned, int), np.arange(12).reshape(3, 4))
    assert layout.local().shape == (len(kinds),)
    assert layout.ghost_indices().tolist() == [index for index, kind in zip(indices, kinds, strict=True) if kind == "g"]


def test_a_layout_tells_how_it_was_made():
    for text in (
        "maestro.Layout.blocks(12, grid=3)",
        "maestro.Layout.blocks((12, 8), grid=(3, 1), ghosts=2, order='F')",
        "maestro.Layout.block_cyclic((9, 9), block=(2, 2), grid=(3, 1), grid_order='F')",
    ):
        assert repr(eval(text)) == text
    assert "boxes=<2>" in repr(maestro.Layout.boxes((4, 4), [((0, 0), (1, 4)), ((2, 0), (3, 4))]))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: maestro.Layout.blocks((4, 4), grid=3), ["grid", "1 values", "2 dimensions"]),
        (lambda: maestro.Layout.blocks((4, -4), grid=(1, 1)), ["dimension 1", "-4"]),
        (lambda: maestro.Layout.blocks((4, 4), grid=(0, 1)), ["dimension 0", "number of parts 0"]),
        (lambda: maestro.Layout.blocks((4, 4), grid=(1, 1), ghosts=(1, 2, 3)), ["ghosts", "3 values"]),
        (lambda: maestro.Layout.blocks((4, 4), grid=(1, 1), ghosts=((1, 2, 3), 1)), ["ghosts", "below and above"]),
        (lambda: maestro.Layout.blocks((4, 4), grid=(1, 1), ghosts=-1), ["low ghosts -1"]),
        (lambda: maestro.Layout.blocks((4, 4), grid=(1, 1), order="K"), ["order is 'K'"]),
        (lambda: maestro.Layout.blocks((4,) * 8, grid=(1,) * 8), ["8 dimensions", "1 to 7"]),
        (lambda: maestro.Layout.block_cyclic(9, block=2, grid=2, ghosts=1), ["ghosts", "one block"]),
        (lambda: maestro.Layout.boxes((4, 4), [((0, 0), (2, 2)), ((1, 1), (3, 3))]), ["overlap"]),
        (lambda: maestro.Layout.indices(4, [1, 1]), ["1"]),
        (lambda: maestro.Layout.indices(4, [1, 2], is_ghost=[True]), ["is_ghost", "(1,)", "(2,)"]),
        (lambda: maestro.Layout.indices(4, [1.5, 2]), ["float64", "integers"]),
        (lambda: maestro.Layout.indices(4, [True, False]), ["bool", "integers"]),
        (lambda: maestro.Layout.indices(4, [[1, 2]]), ["(1, 2)", "one dimension"]),
        (lambda: maestro.Layout.blocks((4.5, 2), (2, 1)), ["(4.5, 2)", "integers"]),
        (lambda: maestro.Layout.blocks(4.0, 2), ["4.0", "integers"]),
        (lambda: maestro.Layout.blocks(4, 2.5), ["2.5", "integers"]),
        (lambda: maestro.Layout.block_cyclic(4, 1.5, 2), ["1.5", "integers"]),
        (lambda: maestro.Layout.boxes(4, [((0.5,), (2,))]), ["0.5", "integers"]),
        (lambda: maestro.Layout.blocks(4, 2, ghosts=0.5), ["ghosts are 0.5", "integer"]),
        (lambda: maestro.Layout.blocks(4, 2, ghosts=[(0, 1.5)]), ["1.5", "integer"]),
        (lambda: maestro.Layout.blocks(4, grid=2).local(2), ["no part 2", "0 to 1"]),
        (lambda: maestro.Layout.blocks(4, grid=2).coordinates(-1), ["no part -1"]),
        (lambda: maestro.Layout.blocks(4, grid=2).owner(4), ["no index 4", "size of 4"]),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, words):
    with raises(maestro.ArgumentError, *words):
        make()


def test_arrays_that_nobody_can_count_are_too_large():
    with raises(maestro.TooLargeError, "2^59"):
        maestro.Layout.blocks((2**40, 2**40), grid=(1, 1))


def test_a_layout_is_made_by_its_makers_alone():
    with pytest.raises(TypeError, match=r"Layout\.blocks"):
        maestro.Layout()


# ---- Pictures
@pytest.fixture(name="figure")
def new_figure():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.mark.parametrize(
    "layout",
    [
        maestro.Layout.blocks((5, 7), grid=(2, 3), ghosts=1),
        maestro.Layout.block_cyclic((9, 8), block=(2, 3), grid=(2, 2), order="F"),
        maestro.Layout.blocks(11, grid=3, ghosts=((1, 2),)),
        maestro.Layout.boxes((6, 6), [((0, 0), (2, 6)), ((3, 1), (5, 3))]),
        maestro.Layout.indices((3, 4), [5, 0, 7]),
        maestro.Layout.blocks((1201, 900), grid=(5, 30)),
    ],
    ids=repr,
)
def test_a_picture_shows_the_owner_of_every_element(figure, layout):
    ax = layout.plot(part=0)
    (image,) = ax.get_images()
    shown = image.get_array().filled(-1)
    steps = [-(-n // have) for n, have in zip(layout.shape, shown.shape[-layout.ndim :], strict=True)]
    for cell, colour in np.ndenumerate(shown):
        owner = layout.owner([i * step for i, step in zip(cell[-layout.ndim :], steps, strict=True)])
        assert colour == (owner if owner < 0 else owner % 10)
    numbers = {text.get_text() for text in ax.texts} - {""}
    assert numbers >= {str(part) for part in range(min(layout.nparts, 100))}
    ax.figure.canvas.draw()


def test_pictures_have_two_dimensions(figure):
    with raises(maestro.ArgumentError, "3 dimensions"):
        maestro.Layout.blocks((2, 2, 2), grid=(1, 1, 1)).plot()
    ax = figure.figure().add_subplot()
    assert maestro.Layout.blocks((2, 2), grid=(1, 1)).plot(ax) is ax


def test_the_tutorial_shows_what_its_pictures_were_drawn_from(figure, tmp_path):
    import make_pictures

    page = (Path(__file__).parents[1] / "docs/tutorial-arrays.md").read_text()
    for name, layouts in make_pictures.PICTURES.items():
        assert f"(images/{name})" in page
        make_pictures.picture(layouts, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5_000
        for layout, _ in layouts:
            assert layout.kind in ("boxes", "indices") or repr(layout).replace("'", '"') in page


@pytest.mark.parametrize("kind", ["indices", "boxes"])
def test_other_threads_run_while_a_long_list_becomes_a_layout(kind):
    count = 1_000_000
    places = np.random.default_rng(1).permutation(count)
    corner = 2 * np.arange(count // 4)[:, None]
    ran, gate, interval = [], threading.Lock(), sys.getswitchinterval()
    gate.acquire()
    other = threading.Thread(target=lambda: gate.acquire(timeout=60) and ran.append(True), daemon=True)
    other.start()
    sys.setswitchinterval(100)  # the other thread runs where this one lets it, and nowhere else
    try:
        handle = _core.LayoutHandle()
        gate.release()
        if kind == "indices":
            handle._make_indices((count,), places, None)
        else:
            handle._make_boxes((count,), corner, corner + 1, False, [0], [0])
        assert ran
    finally:
        sys.setswitchinterval(interval)
        other.join()
