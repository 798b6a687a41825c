"""Collections: records of several producers, distributed arrays, the fence, attributes and queries on each level, withdrawal of a step."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poolside import raises, within
from typer.testing import CliRunner

import maestro
from maestro import cli
from maestro.blocks import check_tiling

SCHEMA = """
schema: hydro
attributes:
  time:  {type: f64}
  run:   {type: string, common: true}
"""
NAMES = ("rho", "rhou", "rhov", "E")
WISHES = {"unit": ["K", "m"], "level": [1, 2, 2.5, True], "tags": [["a"], ["b", "c"]]}


@pytest.fixture
def schema(tmp_path):
    (tmp_path / "hydro.yaml").write_text(SCHEMA)
    return str(tmp_path / "hydro.yaml")


@pytest.fixture
def solvers(pool, schema):
    """The collection hydro as its ranks see it."""
    return lambda n: [pool.session("solver", rank=rank, schema=schema).collection("hydro", producers=n) for rank in range(n)]


@pytest.fixture
def reader(pool, schema):
    return pool.session("reader", schema=schema).collection("hydro")


def state(sequence, ny=12, nx=10):
    """What a gas-dynamics code in two dimensions holds after so many steps: the conserved variables, in every cell."""
    y, x = np.mgrid[0:ny, 0:nx]
    return {name: np.sin(x * 0.3 + k) * np.cos(y * 0.2 - sequence) + k for k, name in enumerate(NAMES)}


def cut(shape, grid):
    """Where each block of a regular decomposition begins and ends, by axis."""
    edges = [[n * i // parts for i in range(parts + 1)] for n, parts in zip(shape, grid, strict=True)]
    return [tuple(zip(*corners, strict=True)) for corners in itertools.product(*(itertools.pairwise(axis) for axis in edges))]


def write(collection, sequence, rank, blocks, **attributes):
    """One rank's part of a record."""
    whole = state(sequence)
    low, high = blocks[rank]
    with collection.record(sequence, parts=len(blocks), time=sequence / 2, **attributes) as rec:
        for name, values in whole.items():
            rec.write_block(f"zones/{name}", values.shape, low, values[low[0] : high[0], low[1] : high[1]])
        if rank == 0:
            rec["mesh/dx"] = np.float64(0.1)
            rec.array("zones/rho").attributes["unit"] = "kg/m3"


# ---- Records of several producers
def test_four_ranks_write_and_a_reader_with_another_cut_sees_what_one_rank_would_have_written(solvers, reader):
    """Bit for bit, whatever the two decompositions are."""
    ranks = solvers(4)
    for sequence, grid in enumerate([(4, 1), (1, 4), (2, 2)]):
        blocks = cut((12, 10), grid)
        for rank in random.Random(sequence).sample(range(4), 4):
            assert list(reader.query(f"maestro.sequence = {sequence}")) == []
            write(ranks[rank], sequence, rank, blocks)
        with reader[sequence] as rec:
            assert (rec.parts, rec.producer, rec.attributes) == (4, ("solver", 0), {"time": sequence / 2})
            assert rec["mesh/dx"] == 0.1
            assert rec.array("zones/rho").attributes == {"unit": "kg/m3"}
            for (name, serial), (low, high) in itertools.product(state(sequence).items(), cut((12, 10), (3, 2))):
                part = rec[f"zones/{name}"][low[0] : high[0], low[1] : high[1]]
                assert part.tobytes() == serial[low[0] : high[0], low[1] : high[1]].tobytes()
            assert np.asarray(rec["zones/E"]).tobytes() == state(sequence)["E"].tobytes()


def test_programs_in_four_processes_make_a_record(pool, schema, reader):
    text = """
        rank, schema = int(sys.argv[1]), sys.argv[2]
        with Session(component="solver", rank=rank, schema=schema) as s:
            for sequence in range(5):
                with s.collection("hydro").record(sequence=sequence, parts=4) as rec:
                    rec.write_block("x", 40, rank * 10, np.arange(10.0) + 10 * rank + sequence)
    """
    programs = [pool.program(text, rank, schema) for rank in range(4)]
    seen = [(rec.sequence, rec["x"][...].tolist()) for rec in itertools.islice(reader.records(timeout=20), 5)]
    assert seen == [(sequence, [i + sequence for i in range(40)]) for sequence in range(5)]
    for program in programs:
        program.end()


def test_a_reader_never_sees_half_a_record(pool, schema, solvers, reader):
    """Ranks write as they come; a reader who asks all the time gets whole records or none."""
    ranks = solvers(3)
    blocks = cut((12, 10), (3, 1))
    order = random.Random(7).sample([(rank, sequence) for rank in range(3) for sequence in range(10)], 30)
    whole = set()
    for rank, sequence in order:
        write(ranks[rank], sequence, rank, blocks)
        whole |= {sequence} if sum(s == sequence for _, s in order[: order.index((rank, sequence)) + 1]) == 3 else set()
        found = {rec.sequence: np.asarray(rec["zones/rho"]).shape for rec in reader.query()}
        assert set(found) <= whole
        assert set(found.values()) <= {(12, 10)}
    assert sorted(rec.sequence for rec in reader.query()) == list(range(10))


def test_declared_blocks_are_filled_in_place(solvers, reader):
    ranks = solvers(2)
    for rank, ours in enumerate(ranks):
        with ours.record(0, {"x": ("i4", (2, 3), (4, 3), (2 * rank, 0))}, parts=2) as rec:
            rec["x"][...] = rank + 1
    assert reader._session.stats()["objects"]["copied_total"] == 0
    assert reader[0]["x"][:, 1].tolist() == [1, 1, 2, 2]
    assert not reader[0]["x"][:1].flags.writeable  # in one block: a view
    assert reader[0]["x"][:1].base is not None


def test_when_a_rank_dies_its_record_is_discarded_and_all_are_told(pool, schema, solvers, reader):
    ranks = solvers(2)
    events = reader._session.subscribe("maestro.collection = hydro", kinds="incomplete", start="now")
    program = pool.program(
        """
        s = Session(component="solver", rank=2, schema=sys.argv[1])
        rec = s.collection("hydro").record(0, parts=3)
        print("there")
        sys.stdin.read()
        """,
        schema,
    )
    program.expect("there")
    for rank, ours in enumerate(ranks):
        with ours.record(0, parts=3, time=0.25) as rec:
            rec.write_block("x", 3, rank, [1.0])
        ours._session.flush()
    program.kill()
    event = events.next(timeout=5)
    assert (event.cdo["time"], event.cdo["maestro.sequence"], event.cdo["maestro.missing"]) == (0.25, 0, "2")
    for ours in ranks:
        with raises(maestro.IncompleteError, "hydro/0", "of its 3 parts 2 had not come", "solver[2] died"):
            ours._session.flush()
    assert list(reader.query()) == []


def test_c_programs_say_it_by_attributes(pool, schema, solvers, reader):
    """What the class does is in the attributes: a part made by hand joins one made by it."""
    (ours,) = solvers(1)
    other = pool.session("solver", rank=1, schema=schema)
    with ours.record(4, parts=2) as rec:
        rec["a"] = np.arange(3)
    layout = '{"b":{"dtype":"<f4","shape":[2],"offset":8}}'
    other.offer(
        b"12345678" + np.float32([1, 2]).tobytes(),
        {"maestro.name": "hydro/4", "maestro.collection": "hydro", "maestro.sequence": 4, "maestro.parts": 2, "maestro.arrays": layout},
    )
    assert reader[4]["b"].tolist() == [1, 2]
    assert reader[4].paths() == ["a", "b"]


def test_parts_that_do_not_fit_are_told_to_the_reader(solvers, reader):
    ranks = solvers(2)

    def make(sequence, *gives):
        for ours, give in zip(ranks, gives, strict=True):
            with ours.record(sequence, parts=2) as rec:
                give(rec)
        with reader[sequence] as rec:
            rec.paths()

    def block(*arguments):
        return lambda rec: rec.write_block("x", *arguments)

    def put(path):
        return lambda rec: rec.__setitem__(path, np.zeros(2))

    for sequence, (words, *gives) in enumerate([
        ("leave holes or overlap", block(4, 0, [1.0]), block(4, 2, [1.0, 2])),
        ("overlap", block((2, 2), (0, 0), np.ones((2, 1))), block((2, 2), (0, 0), np.ones((1, 2)))),
        ("do not agree", block(2, 0, [1.0]), block(2, 1, [1])),
        ("in several parts", put("x"), put("x")),
        ("in several parts", put("x"), block(2, 0, [1.0, 2])),
        ("would lie inside", put("x"), put("x/y")),
    ]):  # fmt: skip
        with raises(maestro.MaestroError, words):
            make(sequence, *gives)
    rec = ranks[0].record(99, parts=2)
    with raises(maestro.ArgumentError, "does not lie in"):
        rec.write_block("x", 4, 3, [1.0, 2])
    rec.write_block("x", 4, 0, [1.0, 2])
    with raises(maestro.ArgumentError, "another type or shape"):
        rec.write_block("x", 5, 2, [1.0, 2])
    with raises(maestro.ArgumentError, "how many parts"):
        ranks[0].record(1, part=3)


# ---- Distributed arrays against numpy
def random_cut(draw, low, high):
    """Boxes that tile a box, found by cutting it again and again."""
    axes = [axis for axis in range(len(low)) if high[axis] - low[axis] > 1]
    if not axes or draw(st.integers(0, 3)) == 0:
        return [(low, high)]
    axis = draw(st.sampled_from(axes))
    at = draw(st.integers(low[axis] + 1, high[axis] - 1))
    upper, lower = list(high), list(low)
    upper[axis] = lower[axis] = at
    return random_cut(draw, low, tuple(upper)) + random_cut(draw, tuple(lower), high)


@st.composite
def arrays_in_blocks(draw):
    shape = tuple(draw(st.lists(st.integers(1, 6), max_size=3)))
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    boxes = random_cut(draw, (0,) * len(shape), shape)
    return values, [(low, values[tuple(map(slice, low, high))].copy()) for low, high in boxes]


SLICES = st.builds(slice, *[st.none() | st.integers(-8, 8)] * 2, st.none() | st.sampled_from([-3, -1, 1, 2]))
INDICES = st.lists(st.integers(-7, 6) | st.just(Ellipsis) | SLICES, max_size=4).map(tuple) | st.lists(st.integers(-6, 5), max_size=3)


@settings(max_examples=400, deadline=None)
@given(arrays_in_blocks(), INDICES)
def test_a_distributed_array_is_indexed_as_numpy_does(cut_up, index):
    values, blocks = cut_up
    array = maestro.BlockArray(values.dtype, values.shape, blocks)
    check_tiling(values.shape, [start for start, _ in blocks], [block.shape for _, block in blocks])
    try:
        expected = values[index]
    except IndexError:
        with pytest.raises(IndexError):
            array[index]
        return
    found = array[index]
    assert np.array_equal(found, expected)
    assert np.shape(found) == np.shape(expected)


@settings(max_examples=200, deadline=None)
@given(arrays_in_blocks(), st.data())
def test_blocks_that_overlap_or_leave_holes_are_found(cut_up, data):
    values, blocks = cut_up
    boxes = [(start, block.shape) for start, block in blocks]
    at = data.draw(st.integers(0, len(boxes) - 1))
    boxes[at : at + 1] = data.draw(st.sampled_from([[], [boxes[at]] * 2]))
    with pytest.raises(maestro.AttributeValueError):
        check_tiling(values.shape, [start for start, _ in boxes], [shape for _, shape in boxes])


# ---- The fence
def test_a_sequence_is_complete_when_all_producers_have_said_so(solvers, reader):
    ranks = solvers(3)
    for rank in (2, 0):
        with ranks[rank].record(5) as rec:
            rec["x"] = np.array(rank)
        ranks[rank].complete(5)
    with raises(maestro.TimeoutError, "hydro/5", "not all producers"):
        reader.wait_complete(5, timeout=0.1)
    ranks[1].complete(5)
    reader.wait_complete(5)
    assert len(list(reader.query("maestro.sequence = 5"))) == 2
    with raises(maestro.DuplicateError, "hydro/5/complete"):
        ranks[1].complete(5)
        ranks[1]._session.flush()


def test_in_the_loop_the_fence_comes_behind_the_last_record(solvers, reader):
    ranks = solvers(2)
    for sequence in range(3):
        for ours in ranks:
            with ours.record(sequence) as rec:
                rec["x"] = np.zeros(1)
            ours.complete(sequence)
            ours._session.flush()
    seen = [(type(item).__name__, item.sequence) for item in reader.records(fences=True, timeout=0.3)]
    assert seen == [(what, sequence) for sequence in range(3) for what in ("Record", "Record", "Fence")]
    assert [rec.sequence for rec in reader.records(timeout=0.1)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_producer_that_died_ends_the_wait_and_is_named(pool, schema, solvers, reader, when):
    """Before the others have said that it is complete, or afterwards."""
    ranks = solvers(2)
    program = pool.program("s = Session(component='solver', rank=2, schema=sys.argv[1]); print('there'); sys.stdin.read()", schema)
    program.expect("there")
    waiting = pool.program(
        """
        s = Session(component="waiter", schema=sys.argv[1])
        print("waits")
        try:
            s.collection("hydro").wait_complete(1, timeout=20)
        except maestro.IncompleteError as error:
            print(error)
        """,
        schema,
    )
    waiting.expect("waits")
    within(5, lambda: any(one["component"] == "waiter" and one["subscriptions"] for one in reader._session.stats()["sessions"]))
    if when == "before":
        program.kill()
        within(2, lambda: len([one for one in reader._session.stats()["sessions"] if one["component"] == "solver"]) == 2)
    for ours in ranks:
        ours._session.collection("hydro", producers=3).complete(1)
        if when == "after":
            ours._session.flush()
    if when == "after":
        program.kill()
    out = waiting.end()
    assert "hydro: 1 is not complete" in out
    assert "solver[2] " + ("left before" if when == "before" else "died") in out


@pytest.mark.parametrize("made", ["record(0).offer()", "complete(7)"])
def test_the_only_producer_that_leaves_ends_the_wait(pool, schema, reader, made):
    program = pool.program(
        """
        s = Session(component="lonely", schema=sys.argv[1])
        exec(f's.collection("hydro").{sys.argv[2]}')
        s.flush()
        print("there")
        sys.stdin.read()
        """,
        schema,
        made,
    )
    program.expect("there")
    killer = pool.program("import time, os, signal; time.sleep(0.3); os.kill(int(sys.argv[1]), signal.SIGKILL)", program.process.pid)
    with raises(maestro.IncompleteError, "lonely[0] died", "none of lonely", seconds=8):
        reader.wait_complete(0, timeout=8)
    killer.end()


def test_a_loop_tells_of_a_fence_that_will_not_come(solvers, reader):
    ranks = solvers(2)
    with ranks[0].record(0) as rec:
        rec["x"] = np.zeros(1)
    items = reader.records(fences=True, timeout=5)
    assert next(items).sequence == 0
    ranks[0].complete(0)
    ranks[0]._session.flush()
    ranks[1]._session.close()
    fence = next(items)
    assert fence.sequence == 0
    assert isinstance(fence.missing, maestro.IncompleteError)
    assert "solver[1] closed; of 2 producers 1 had not said so" in str(fence.missing)


# ---- Attributes and queries on each level
def test_collections_have_attributes_and_are_found_by_them(pool, schema, solvers, reader):
    (ours,) = solvers(1)
    for name, run, time in (("a", "first", 0.5), ("b", "second", 1.5), ("c", None, None)):
        collection = ours._session.collection(name)
        if run:
            collection.describe(run=run, time=time)
        with collection.record(0) as rec:
            rec["x"] = np.zeros(1)
    ours._session.flush()
    session = reader._session
    assert [one.name for one in session.collections()] == ["a", "b", "c"]
    assert [one.name for one in session.collections("time > 1")] == ["b"]
    assert [one.name for one in session.collections({"run": ["first", "third"]})] == ["a"]
    assert session.collection("b").attributes == {"run": "second", "time": 1.5}
    assert session.collection("c").attributes == {}
    assert [rec.sequence for rec in session.collection("a").records(timeout=0.1)] == [0]
    with raises(maestro.DuplicateError):
        ours._session.collection("a").describe(run="again")
        ours._session.flush()


def test_queries_on_each_level_agree_with_brute_force(pool, schema, solvers, reader):
    """Random attributes on records and arrays; what selectors and wishes find is what a loop finds."""
    (ours,) = solvers(1)
    chance = random.Random(11)
    made = []
    for sequence in range(40):
        time, run = chance.choice([None, *range(5)]), chance.choice([None, "x", "y"])
        with ours.record(sequence, **({} if time is None else {"time": time}), **({} if run is None else {"run": run})) as rec:
            for name in chance.sample(["mesh/p", "mesh/q", "t", "u"], 3):
                rec[name] = np.zeros(2)
                for key, values in WISHES.items():
                    if chance.random() < 0.7:
                        rec.array(name).attributes[key] = chance.choice(values)
                made.append((sequence, name, time, run, dict(rec.array(name).attributes)))
    for selector, wanted in (
        ("time > 2.5", lambda time, run: time is not None and time > 2.5),
        ({"run": None}, lambda time, run: run is None),
        ("run = x or time = 1", lambda time, run: run == "x" or time == 1),
    ):
        expected = sorted({sequence for sequence, _, time, run, _ in made if wanted(time, run)})
        assert sorted(rec.sequence for rec in reader.query(selector)) == expected
        arrays = sorted((a.record.sequence, a.path) for a in reader.arrays({"unit": "K"}, records=selector, path="mesh/*"))
        assert arrays == sorted((s, n) for s, n, t, r, own in made if wanted(t, r) and own.get("unit") == "K" and n.startswith("mesh/"))
    for wish, holds in (
        ({"unit": "K"}, lambda own: own.get("unit") == "K"),
        ({"unit": ["K", "s"]}, lambda own: own.get("unit") in ("K", "s")),
        ({"unit": None}, lambda own: "unit" not in own),
        ({"level": ...}, lambda own: "level" in own),
        ({"level": 1}, lambda own: own.get("level") == 1 and own["level"] is not True),
        ({"level": lambda level: level > 1}, lambda own: "level" in own and own["level"] > 1),
        ({"level": range(2, 3), "unit": "m"}, lambda own: own.get("level") == 2 and own.get("unit") == "m"),
        ({"tags": ["a"]}, lambda own: own.get("tags") == ["a"]),
        ({}, lambda own: True),
    ):
        found = sorted((a.record.sequence, a.path) for a in reader.arrays(wish))
        assert found == sorted((s, n) for s, n, _, _, own in made if holds(own)), wish


# ---- Malformed records
def test_malformed_records_neither_end_a_loop_nor_go_round(pool, schema, solvers, reader):
    (ours,) = solvers(1)
    session = ours._session
    for sequence in range(6):
        if sequence % 2:
            with ours.record(sequence) as rec:
                rec["x"] = np.zeros(1)
        else:
            layout = ['{"a":{"dtype":"f8","shape":[2],"offset":0}}', "nonsense", None][sequence // 2]
            own = {"maestro.collection": "hydro", "maestro.sequence": sequence}
            session.offer(b"12345678", own | ({} if layout is None else {"maestro.arrays": layout}))
    for group in (None, "g"):
        good, bad = [], []
        for rec in reader.records(timeout=0.3, **({} if group is None else {"group": group})):
            sequence = rec.sequence
            try:
                with rec:
                    assert rec.paths() == ["x"]
                    good.append(sequence)
            except maestro.AttributeValueError as error:
                bad.append(f"hydro/{sequence} of solver" in str(error) and sequence)
        assert (good, bad) == ([1, 3, 5], [0, 2, 4])
    assert [one["redelivered"] for one in session.stats()["groups"]] == [0]


# ---- A step is withdrawn
def test_a_step_is_withdrawn_for_all_ranks_when_it_is_consumed(pool, schema, solvers, reader):
    ranks = solvers(3)
    for sequence in (1, 2):
        for ours in ranks:
            with ours.record(sequence) as rec:
                rec["x"] = np.zeros(1)
            ours.complete(sequence)
            ours._session.flush()
    items = reader.records(timeout=5)
    held = [next(items) for _ in range(3)]
    with raises(maestro.TimeoutError, "reader[0]", "holds"):
        ranks[0].withdraw(1, timeout=0.2)
    assert reader._session.count("maestro.sequence = 1") == 3  # the fence, which nobody awaits, is gone
    for rec in held:
        rec.dispose()
    assert ranks[0].withdraw(1) == 3
    assert reader._session.count("maestro.sequence = 1") == 0
    assert reader._session.count("maestro.sequence = 2") == 4
    items.close()
    assert ranks[1].withdraw(2, when="released", of="session") == 2  # its record, and the fence of all
    assert reader._session.count("maestro.collection = hydro and maestro.sequence = 2") == 2


# ---- Consumer groups
def test_a_statistics_group_gets_all_and_renderers_share_while_one_is_killed(pool, schema, solvers, reader):
    """1,000 records of two ranks: nothing is lost, and what comes twice is announced."""
    ranks = solvers(2)
    text = """
        s = Session(component=sys.argv[1], rank=int(sys.argv[2]), schema=sys.argv[4])
        records = s.collection("hydro").records(group=sys.argv[3], timeout=3)
        print("ready", flush=True)
        for rec in records:
            with rec:
                print(rec.sequence, int(rec["x"][...].sum()), int(rec.redelivered), flush=True)
    """
    statistics = pool.program(text, "statistics", 0, "statistics", schema)
    renderers = [pool.program(text, "renderer", rank, "render", schema) for rank in range(3)]
    for program in (statistics, *renderers):
        program.expect("ready")
    within(10, lambda: sum(len(group["members"]) for group in reader._session.stats()["groups"]) == 4)
    seen = []
    for sequence in range(1000):
        for rank, ours in enumerate(ranks):
            with ours.record(sequence, {"x": ("i8", 1, 2, rank)}, parts=2) as rec:
                rec["x"][...] = sequence
        if sequence == 500:
            for _ in range(5):
                seen.append(renderers[1].process.stdout.readline().split())
            renderers[1].process.kill()
            seen += [line.split() for line in renderers[1].process.stdout.read().splitlines()]

    def lines(program):
        return [tuple(map(int, line.split())) for line in program.end(timeout=60).splitlines()]

    assert sorted(lines(statistics)) == [(sequence, 2 * sequence, 0) for sequence in range(1000)]
    shares = [lines(renderers[0]), [tuple(map(int, words)) for words in seen if len(words) == 3], lines(renderers[2])]
    everything = [line for share in shares for line in share]
    assert {sequence for sequence, _, _ in everything} == set(range(1000))
    assert all(total == 2 * sequence for sequence, total, _ in everything)
    first = [sequence for sequence, _, again in everything if not again]
    assert len(first) == len(set(first))  # what came twice said so
    assert all(len(share) >= 5 for share in shares)


# ---- As Hydro writes it
def test_what_a_hydro_code_writes_is_shown_exported_and_read_by_h5py(pool, schema, solvers, reader, tmp_path):
    h5py = pytest.importorskip("h5py")
    ranks = solvers(4)
    ranks[0].describe(run="sedov")
    blocks = cut((12, 10), (2, 2))
    for sequence in range(2):
        for rank, ours in enumerate(ranks):
            write(ours, sequence, rank, blocks, run="sedov")
    for ours in ranks:
        ours._session.flush()

    def run(*words):
        done = CliRunner().invoke(cli.app, [*words])
        assert done.exit_code == 0, done.output
        return done.output

    shown = run("ls", "maestro.collection = hydro")
    assert "collection hydro: 2 records 0 to 1 of solver[4 parts]" in shown
    for line in ("├─ zones", "│  ├─ rho  float64 12 x 10", "│  └─ E  float64 12 x 10", "└─ mesh", "   └─ dx  float64 scalar"):
        assert f"  {line}\n" in shown + "\n", shown
    assert "2 records" in run("export", "hydro", str(tmp_path / "out.h5"))
    with h5py.File(tmp_path / "out.h5") as file:
        assert file.attrs["run"] == "sedov"
        for sequence in range(2):
            for name, serial in state(sequence).items():
                assert file[f"{sequence}/zones/{name}"][()].tobytes() == serial.tobytes()
            assert file[f"{sequence}/zones/rho"].attrs["unit"] == "kg/m3"
            assert file[f"{sequence}"].attrs["time"] == sequence / 2
    again = pool.session("again", schema=schema).collection("copy")
    assert again.from_hdf5(tmp_path / "out.h5") == 2
    assert again.attributes == {"run": "sedov"}
    assert (again[1]["zones/E"] == state(1)["E"]).all()
    assert [array.path for array in again.arrays(unit="kg/m3", records="time = 0")] == ["zones/rho"]
