"""Records and collections: what is put in comes out, whole or not at all; trees as in HDF5, and to HDF5 and back."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from poolside import raises, within
from typer.testing import CliRunner

import maestro
from maestro import cli
from maestro.record import read_layout

SCHEMA = """
schema: hydro
attributes:
  time:  {type: f64, doc: "Simulated seconds"}
  run:   {type: string, common: true}
  ready: {type: bool}
"""


@pytest.fixture
def hydro(pool, tmp_path):
    """The collection as its producer and as a consumer see it."""
    (tmp_path / "hydro.yaml").write_text(SCHEMA)
    schema = str(tmp_path / "hydro.yaml")
    return pool.session("solver", schema=schema).collection("hydro"), pool.session("reader", schema=schema).collection("hydro")


def put(collection, sequence, **attributes):
    with collection.record(sequence, **attributes) as rec:
        rec["mesh/rho"] = np.arange(12.0).reshape(3, 4) + sequence
        rec["mesh/zones/id"] = np.arange(5, dtype="i4")
        rec["time"] = np.float64(sequence / 2)
    return rec


def test_arrays_come_out_as_they_were_put_in(hydro):
    producer, reader = hydro
    columns = np.asfortranarray(np.arange(6, dtype="u2").reshape(2, 3))
    strided = np.arange(20)[::2]
    with producer.record(1, time=0.5, run="first") as rec:
        rec["a/b/c"], rec["a/columns"], rec["strided"] = np.eye(3, dtype="c16"), columns, strided
        rec["empty"], rec["scalar"], rec["flag"] = np.empty((0, 4)), np.array(7, "i1"), np.array([True, False])
        rec.array("strided").attributes.update(units="m", levels=[1, 2])
    with reader[1] as rec:
        assert (rec["a/b/c"] == np.eye(3)).all()
        assert rec["a/b/c"].dtype == np.complex128
        assert (rec["a/columns"] == columns).all()
        assert rec["a/columns"].flags.f_contiguous
        assert (rec["strided"] == strided).all()
        assert rec["empty"].shape == (0, 4)
        assert rec["scalar"] == 7
        assert rec["flag"].tolist() == [True, False]
        assert (rec.sequence, rec.producer) == (1, ("solver", 0))
        assert rec.attributes == {"time": 0.5, "run": "first"}
        assert rec.array("strided").attributes == {"units": "m", "levels": [1, 2]}
        assert rec.array("flag").attributes == {}
        assert not rec["strided"].flags.writeable


def test_a_record_is_read_like_an_hdf5_group(hydro):
    producer, reader = hydro
    put(producer, 3)
    rec = reader[3]
    assert list(rec) == ["mesh", "time"]
    assert len(rec) == 2
    assert rec.paths() == ["mesh/rho", "mesh/zones/id", "time"]
    mesh = rec["mesh"]
    assert isinstance(mesh, maestro.Group)
    assert list(mesh) == ["rho", "zones"]
    assert mesh.paths() == ["rho", "zones/id"]
    assert (mesh["zones"]["id"] == mesh["zones/id"]).all()
    assert "zones/id" in mesh
    assert "zones" in mesh
    assert "rho/x" not in mesh
    assert (mesh.array("rho").dtype, mesh.array("rho").shape) == (np.dtype("f8"), (3, 4))
    assert rec.tree() == "├─ mesh\n│  ├─ rho  float64 3 x 4\n│  └─ zones\n│     └─ id  int32 5\n└─ time  float64 scalar"
    with raises(maestro.NotFoundError, "no array 'mesh/u'", "mesh/rho, mesh/zones/id, time"):
        rec["mesh/u"]


def test_a_lease_ends_with_the_last_reference(hydro):
    producer, reader = hydro
    put(producer, 1)
    mesh = reader[1]["mesh"]
    assert mesh["rho"].shape == (3, 4)
    with raises(maestro.TimeoutError, "reader[0]"):
        producer._session.withdraw(None, timeout=0.1)
    del mesh
    within(2, lambda: reader._session.stats()["memory"]["used"] == 0)


def test_declared_arrays_are_filled_in_place(hydro):
    producer, reader = hydro
    with producer.record(1, {"x": ("f8", (2, 3)), "y": ("i4", 4)}) as rec:
        rec["x"][...] = 5
        rec["y"] = range(4)
        with raises(maestro.NotFoundError, "no array 'z'", "x, y"):
            rec["z"] = np.zeros(3)
        view = rec["x"]
    assert producer._session.stats()["objects"]["copied_total"] == 0
    assert view.base is not None
    assert (reader[1]["x"] == 5).all()
    assert reader[1]["y"].tolist() == [0, 1, 2, 3]


def test_a_failed_block_offers_nothing(hydro):
    producer, reader = hydro
    with pytest.raises(ZeroDivisionError), producer.record(1, {"x": ("f8", 3)}) as rec:
        rec["x"][:] = 1 / 0
    assert list(reader.query()) == []
    assert reader._session.count() == 0


def test_what_is_set_is_what_is_offered_once(hydro):
    producer, reader = hydro
    buffer = np.zeros(3)
    with producer.record(1) as rec:
        for name in "ab":
            buffer += 1
            rec[name] = buffer
        rec.offer()
        with raises(maestro.StateError, "hydro/1", "was offered"):
            rec.offer()
    with producer.record(2, {"x": ("f8", 2)}) as declared:
        declared["x"] = 7
        declared.offer()
        with raises(maestro.StateError, "was offered"):
            declared["x"]
    producer._session.flush()
    assert [reader[1][name][0] for name in "ab"] == [1, 2]
    assert reader[2]["x"].tolist() == [7, 7]


def test_queries_on_records_agree_with_brute_force(hydro):
    producer, reader = hydro
    for sequence in range(50):
        put(producer, sequence, time=sequence * 0.1, ready=sequence % 3 == 0)
    producer._session.offer(None, time=99.0, run="no record")
    other = producer._session.collection("other")
    put(other, 1, time=99.0)
    for selector, wanted in (
        ("time > 2.5", lambda i: i * 0.1 > 2.5),
        ({"ready": True}, lambda i: i % 3 == 0),
        ("ready = true and maestro.sequence < 10", lambda i: i % 3 == 0 and i < 10),
        ("time > 2.5 or maestro.sequence = 1", lambda i: i * 0.1 > 2.5 or i == 1),
        (None, lambda i: True),
    ):
        assert [rec.sequence for rec in reader.query(selector)] == [i for i in range(50) if wanted(i)]


def test_records_come_as_they_are_made(hydro):
    producer, reader = hydro
    put(producer, 0)
    stream = reader.records(timeout=0.3)
    first = next(stream)
    put(producer, 1)
    assert [first.sequence, *(rec.sequence for rec in stream)] == [0, 1]


def test_the_members_of_a_group_share_records(hydro, pool):
    producer, reader = hydro
    shares = [reader.records(timeout=0.3, group="render", limit=1) for _ in range(2)]
    for sequence in range(10):
        put(producer, sequence)
    first = next(shares[0])
    second = next(shares[1])
    numbers = [second.sequence]
    first.reject()  # somebody gets it again
    second.dispose()
    for share in shares:
        for rec in share:
            with rec:
                numbers.append(rec.sequence)
    assert sorted(numbers) == list(range(10))


def test_a_slice_touches_what_it_shows(hydro):
    """Of a record of 64 MiB, eight rows are read: resident memory of the reader grows by little."""
    producer, reader = hydro
    with producer.record(1, {"big": ("f8", (1 << 10, 1 << 13))}) as rec:
        rec["big"][...] = 3
    rec = reader[1]

    def resident():
        with open("/proc/self/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))

    before = resident()
    assert (rec["big"][5:13, :100] == 3).all()
    assert resident() - before < 4 << 10  # KiB; the producer of this test is the same process and has all of it


def test_mistakes_are_told(hydro):
    producer, reader = hydro
    rec = producer.record(1)
    for path in ("", "/a", "a/", "a//b", "a/../b", 3):
        with raises(maestro.ArgumentError, "no path of an array"):
            rec[path] = np.zeros(1)
    rec["a/b"] = np.zeros(1)
    for path in ("a", "a/b/c"):
        with raises(maestro.ArgumentError, "cannot both be arrays"):
            rec[path] = np.zeros(1)
    with raises(maestro.AttributeTypeError, "cannot be described"):
        rec["o"] = np.array([object()])
    rec.array("a/b").attributes["bad"] = {1, 2}
    with raises(maestro.AttributeTypeError, "attributes of arrays"):
        rec.offer()
    with raises(maestro.AttributeKeyError, "tim", "time"), producer.record(2, tim=1.0) as rec:
        rec["a"] = np.zeros(1)
    put(producer, 3)
    with raises(maestro.DuplicateError, "hydro/3"):
        put(producer, 3)
        producer._session.flush()
    with raises(maestro.TimeoutError, "maestro.sequence = 9"):
        reader.demand(9, timeout=0.1)
    with raises(maestro.ArgumentError, "no name"):
        producer._session.collection("")
    producer._session.offer(
        b"12345678",
        {"maestro.collection": "hydro", "maestro.sequence": 77, "maestro.arrays": '{"a":{"dtype":"f8","shape":[2],"offset":0}}'},
    )
    with raises(maestro.AttributeValueError, "hydro", "does not lie within 8 bytes"):
        reader.demand(77).paths()
    producer._session.offer(b"12345678", {"maestro.collection": "hydro", "maestro.sequence": 78})
    with raises(maestro.AttributeValueError, "has no maestro.arrays"):
        reader.demand(78).paths()


# ---- What another program wrote
WORDS = ["dtype", "shape", "offset", "order", "attributes", "blocks", "start", "a", "a/b", "/"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner),
    max_leaves=12,
)  # fmt: skip
NUMBERS = st.sampled_from([0, 1, 2, -1, 2**62, 1.5, "2", True])
PLACE = {
    "dtype": st.sampled_from(["<f8", "i4", "O", "V8", "f8,f8", "(2,)f8", "", "U999999999"]),
    "shape": st.lists(NUMBERS, max_size=40) | st.lists(st.integers(0, 3), max_size=2),
    "offset": st.sampled_from([0, 8, 64, -8, 2**63, "0", None]),
}
BLOCK = st.fixed_dictionaries(PLACE | {"start": st.lists(NUMBERS, max_size=3) | st.lists(st.integers(0, 2), max_size=2)})
PLACES = st.dictionaries(
    st.sampled_from(["a", "a/b", "b", "", "c/"]),
    st.fixed_dictionaries(PLACE, optional={
        "order": st.sampled_from(["C", "F", "K", 1]), "attributes": JSON, "blocks": st.lists(BLOCK, max_size=3) | JSON,
    }),
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@example({"a": {"dtype": "<f8", "shape": [0, 1 << 62], "offset": 0}}, 0)
@given(JSON | PLACES, st.sampled_from([0, 8, 100, 1 << 20]))
def test_any_layout_is_refused_or_lies_within_the_bytes(layout, nbytes):
    try:
        places = read_layout(json.dumps(layout), nbytes)
    except maestro.AttributeValueError:
        return
    memory = bytes(nbytes)
    for place in (piece for one in places.values() for piece in one.pieces()):
        assert place.view(memory).nbytes == place.nbytes <= nbytes


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_refused(text):
    with pytest.raises(maestro.AttributeValueError):
        read_layout(text + "!", 100)


# ---- HDF5
def test_a_record_is_the_same_tree_in_hdf5(hydro, tmp_path):
    h5py = pytest.importorskip("h5py")
    producer, reader = hydro
    with producer.record(4, time=2.5, run="x", ready=True) as rec:
        rec["mesh/zones/pressure"] = np.arange(6.0).reshape(2, 3)
        rec["mesh/name"] = np.asfortranarray(np.arange(6).reshape(2, 3))
        rec.array("mesh/zones/pressure").attributes.update(units="Pa", levels=[1, 2, 5], names=["a", "b"])
    with reader[4] as rec:
        rec.to_hdf5(tmp_path / "one.h5")
        with h5py.File(tmp_path / "one.h5") as file:
            assert sorted(file) == ["mesh"]
            assert (file["mesh/zones/pressure"][()] == rec["mesh/zones/pressure"]).all()
            assert (file["mesh/name"][()] == rec["mesh/name"]).all()
            assert file["mesh/zones/pressure"].attrs["units"] == "Pa"
            assert file["mesh/zones/pressure"].attrs["levels"].tolist() == [1, 2, 5]
            assert list(file["mesh/zones/pressure"].attrs["names"]) == ["a", "b"]
            assert dict(file.attrs) == {
                "time": 2.5, "run": "x", "ready": True, "maestro.sequence": 4, "maestro.component": "solver", "maestro.rank": 0,
            }  # fmt: skip


def test_a_collection_goes_to_hdf5_and_comes_back(hydro, pool, tmp_path):
    pytest.importorskip("h5py")
    producer, reader = hydro
    for sequence in range(5):
        put(producer, sequence, time=sequence / 4, run="x")
    assert reader.to_hdf5(tmp_path / "all.h5", "maestro.sequence >= 1") == 4
    producer._session.withdraw("maestro.sequence >= 0")
    assert producer.from_hdf5(tmp_path / "all.h5") == 4
    for sequence in range(1, 5):
        with reader[sequence] as rec:
            assert (rec["mesh/rho"] == np.arange(12.0).reshape(3, 4) + sequence).all()
            assert rec.attributes == {"time": sequence / 4, "run": "x"}
            assert rec["mesh/zones/id"].dtype == np.int32


def test_a_file_is_complete_or_not_there(hydro, tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    producer, reader = hydro
    put(producer, 1)
    reader.to_hdf5(tmp_path / "all.h5")
    before = (tmp_path / "all.h5").read_bytes()
    monkeypatch.setattr(maestro.Group, "array", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        reader.to_hdf5(tmp_path / "all.h5")
    assert (tmp_path / "all.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if "all" in path.name] == ["all.h5"]


# ---- On the command line
def test_ls_shows_the_tree_and_export_and_import_go_to_hdf5_and_back(hydro, tmp_path):
    pytest.importorskip("h5py")
    producer, _ = hydro
    for sequence in range(3):
        put(producer, sequence, time=sequence / 4)
    producer._session.flush()

    def run(*words):
        done = CliRunner().invoke(cli.app, [*words])
        assert done.exit_code == 0, done.output
        return done.output

    shown = run("ls")
    assert "collection hydro: 3 records 0 to 2 of solver[0]" in shown
    assert "│  ├─ rho  float64 3 x 4" in shown
    assert "maestro.arrays" not in shown
    summary = json.loads(run("ls", "--json"))["collections"]["hydro"]
    assert summary["arrays"]["mesh/zones/id"] == {"dtype": "int32", "shape": [5]}
    assert json.loads(run("export", "hydro", str(tmp_path / "out.h5"), "--json"))["records"] == 3
    producer._session.withdraw("maestro.sequence >= 0")
    assert "3 records offered" in run("import", "hydro", str(tmp_path / "out.h5"))
    assert "import[0], 768 B" in run("ls", "maestro.sequence >= 0")
