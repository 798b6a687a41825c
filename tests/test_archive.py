"""Archives: what comes back is what was offered, type by type; rules, commands.

What is asked of an archive is in test_archive_answers.py, stores that were cut or damaged in test_archive_stores.py, kills in
scenarios/test_archive.py, FDB in weather/test_archive.py.
"""

import gc
import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from archiveside import SCHEMA, Place, fill
from hypothesis import given, settings
from hypothesis import strategies as st
from poolside import raises, within
from typer.testing import CliRunner

import maestro
from maestro import cli, yamlfile
from maestro.archive import component
from maestro.archive import kept as keeping
from maestro.archive import rules as ruling
from maestro.archive.errors import ArchiveError
from maestro.archive.folder import FolderStore
from maestro.archive.rules import Rule
from maestro.archive.store import open_store


@pytest.fixture
def place(pool, tmp_path):
    return Place(pool, tmp_path)


def seen(cdo):
    """All that a reader can see of an object."""
    attributes = cdo.attributes
    return attributes, {key: cdo._nanoseconds(key) for key in attributes if key == "when"}, bytes(cdo), cdo.array().tobytes("A")


# ---- What comes back
def test_attributes_and_bytes_come_back_with_their_types(place):
    producer = place.pool.session("probe", rank=3, schema=place.schema)
    moment = np.datetime64("2031-05-06T07:08:09.123456789", "ns")
    producer.offer(np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)), station="a", hour=2**62, level=1.0, dry=True, when=moment)
    producer.offer(b"\x00bytes\xff", station="b", level=float("inf"), dry=False, key=bytes(range(256)))
    producer.offer(None, station="c", hour=-1)
    producer.offer(np.empty((0, 4)), station="d", level=-0.1)
    producer.offer(np.array(["zone", "äöü"]), station="e")
    producer.offer(np.array([True, False]), station="f")
    producer.offer(np.array(["2030-01-01", "1999-12-31"], "M8[s]"), station="g")
    producer.offer(b"odd", {"maestro.dtype": "<f8", "maestro.shape": "7"}, station="h")
    producer.offer(np.array(1 + 2j), station="i", name="a name")
    before = {}
    for cdo in producer.query():
        with cdo:
            before[cdo["station"]] = (seen(cdo) if cdo["station"] != "h" else (cdo.attributes, bytes(cdo)), cdo.nbytes)
    assert place.archive() == ["persisted"] * 9
    producer.withdraw("")
    assert len(place.restore().offered) == 9
    for cdo in producer.query():
        with cdo:
            after = (seen(cdo) if cdo["station"] != "h" else (cdo.attributes, bytes(cdo)), cdo.nbytes)
            assert after == before.pop(cdo["station"])
    assert before == {}
    with producer.demand("station = a") as cdo:
        assert cdo.array().flags.f_contiguous
        assert (cdo.array().dtype, cdo["maestro.component"], cdo["maestro.rank"]) == (np.dtype(">i2"), "probe", 3)
        assert cdo._nanoseconds("when") == moment.astype("i8")


VALUES = {
    "hour": st.integers(-(2**63), 2**63 - 1),
    "level": st.floats(allow_nan=False),
    "dry": st.booleans(),
    "when": st.integers(-(2**62), 2**62).map(lambda ns: np.datetime64(ns, "ns")),
    "key": st.binary(max_size=300),
    "name": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
}
ARRAYS = st.tuples(
    st.sampled_from(["<f8", ">f4", "<i2", "u1", "?", "<c16", "<U3", "S5", "<M8[ns]", "<f2"]),
    st.lists(st.integers(0, 4), max_size=3),
    st.sampled_from("CF"),
)


def made(description):
    """An array of any bytes; of bools of those that there are."""
    dtype, shape, order = description
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    data = np.arange(count, dtype="u1") % (2 if dtype == "?" else 0x7F)
    if dtype == "<U3":  # code points
        return np.full(shape, "ab\u20ac", dtype, order)
    return np.ndarray(shape, dtype, data.tobytes(), order=order)


@settings(max_examples=60, deadline=None)
@given(attributes=st.fixed_dictionaries({}, optional=VALUES), arrays=st.lists(ARRAYS, max_size=3), record=st.booleans())
def test_any_object_comes_back_as_it_was(tmp_path_factory, shared, attributes, arrays, record):
    producer, archive = shared
    name = attributes.pop("name", None)
    if record:
        with producer.collection("c").record(1, **attributes) as new:
            new["one"] = np.array(1)
            for number, array in enumerate(map(made, arrays)):
                new[f"group/{number}"] = array
    else:
        producer.offer(made(arrays[0]) if arrays else b"", {"station": "s"}, name=name, **attributes)
    with producer.demand("", timeout=5) as cdo:
        store = FolderStore(tmp_path_factory.mktemp("store"), True)
        store.begin(archive)
        assert store.keep(cdo, "pool")[0] == "kept"
        before = (
            cdo.attributes,
            cdo.nbytes,
            [bytes(piece) for piece in keeping.pieces(keeping.written(cdo.attributes, cdo._nanoseconds), cdo.data)],
        )
    store.close()
    producer.withdraw("")
    (entry,) = open_store(str(store.folder)).catalogue
    (again,) = keeping.offer(archive, store.load(entry))
    with again:
        with producer.demand("", timeout=5) as cdo:
            pieces = keeping.pieces(keeping.written(cdo.attributes, cdo._nanoseconds), cdo.data)
            assert (cdo.attributes, cdo.nbytes, [bytes(piece) for piece in pieces]) == before
        again.withdraw()
    shutil.rmtree(store.folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A producer and an archive's session in a pool of the module's."""
    path = tmp_path_factory.mktemp("schema") / "plant.yaml"
    path.write_text(SCHEMA)
    with maestro.Session("probe", schema=path, timeout=10) as one, maestro.Session("archive", schema=path, relay=True, timeout=10) as two:
        yield one, two


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, -(2**63)]),
        np.array([0.1, np.inf]),
        np.array([True, False]),
        np.array(["2030-01-01T00:00:00.123456789"], "M8[ns]"),
        np.array([], "f8"),
        ("a", "äöü"),
    ],
)
def test_values_that_are_several_are_written_exactly(value):
    read = keeping.exact(json.loads(json.dumps(keeping.write_value("key", value, None))))
    assert type(read) is type(value)
    assert np.array_equal(read, value)
    assert getattr(read, "dtype", None) == getattr(value, "dtype", None)


def test_attributes_of_several_values_come_back_and_are_selected_by(place):
    producer = place.pool.session("probe", schema=place.schema)
    several = {"levels": [1.5, float("inf")], "tags": ["a", "äöü"], "times": np.array(["2030-01-01T00:00:00.123456789"], "M8[ns]")}
    producer.offer(b"plain", station="a", **several)
    with producer.collection("run").record(1, hour=1, **several) as rec:
        rec["x"] = np.arange(3)
    producer.offer(b"none", station="b", levels=[], tags=[])
    assert place.archive() == ["persisted"] * 3
    with h5py.File(next(place.folder.rglob("collections/*/*.h5"))) as file:
        assert file["1"].attrs["tags"].tolist() == ["a", "äöü"]
        assert file["1"].attrs["levels"].tolist() == several["levels"]
    producer.withdraw("")
    assert place.restore("levels > 5 and tags = a").found == 2
    for cdo in (producer.demand("station = a"), producer.demand("hour = 1")):
        assert (cdo["levels"].tolist(), cdo["tags"]) == (several["levels"], ("a", "äöü"))
        assert cdo["times"].tolist() == several["times"].tolist()
    assert place.restore("station = b").found == 1


def test_what_is_to_be_kept_for_ever_is_kept_by_every_rule_that_selects_it(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer_many(None, {"maestro.persist": [False, True, False, True]}, station="a", hour=range(4))
    producer.flush()
    place.archive(Rule(every=100))
    assert [line["attributes"]["hour"] for line in place.lines()] == [0, 1, 3]
    assert producer.withdraw("", timeout=5) == 4  # an archive has them


def test_records_have_the_tree_of_an_exported_file(place):
    producer = place.pool.session("solver", schema=place.schema)
    for sequence in (1, 2):
        with producer.collection("run/é.1").record(sequence, hour=sequence, when=np.datetime64("2030-01-01")) as rec:
            rec["mesh/rho"] = np.full((2, 3), sequence)
            rec.array("mesh/rho").attributes.update(units="kg", levels=[1, 2])
    place.archive()
    (path,) = place.folder.rglob("*.h5")
    assert path.parent.parent.name == "collections"
    with h5py.File(path) as file:
        assert file["2/mesh/rho"][()].tolist() == [[2] * 3] * 2
        assert (file["2"].attrs["hour"], file["2"].attrs["maestro.component"]) == (2, "solver")
        assert file["2/mesh/rho"].attrs["units"] == "kg"
    reader = place.pool.session("reader", schema=place.schema)
    assert reader.collection("imported").from_hdf5(path) == 2
    assert reader.collection("imported")[2]["mesh/rho"].tolist() == [[2] * 3] * 2


def offer_blocks(session, rank, **more):
    """A rank's part of a record: rows of a global array, and an array of its own."""
    with session.collection("run").record(
        7, {"x": ("i4", (2, 3), (4, 3), (2 * rank, 0)), f"own/{rank}": ("f8", 5)}, parts=2, **more
    ) as rec:
        rec["x"][...] = np.arange(6).reshape(2, 3) + 10 * rank
        rec[f"own/{rank}"][:] = rank


def test_a_record_of_several_ranks_comes_back_with_all_its_parts(place):
    ranks = [place.pool.session("solver", rank=rank, schema=place.schema) for rank in range(2)]
    for rank in (1, 0):
        offer_blocks(ranks[rank], rank, hour=3)
    before = {path: np.asarray(array).tolist() for path, array in arrays_of(ranks[0].collection("run")[7]).items()}
    assert place.archive() == ["persisted"]
    (path,) = place.folder.rglob("*.h5")
    with h5py.File(path) as file:
        assert file["7/x"][()].tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 12], [13, 14, 15]]
        assert file["7/own/1"][()].tolist() == [1.0] * 5
    ranks[0].withdraw("")
    assert place.restore().found == 1
    record = ranks[1].collection("run")[7]
    assert record.parts == 2
    assert {path: np.asarray(array).tolist() for path, array in arrays_of(record).items()} == before
    assert [record.cdo.part(number)["maestro.part"] for number in range(2)] == [0, 1]


def arrays_of(record):
    return {path: record[path] for path in record.paths()}


def test_of_several_versions_the_newest_comes_back(place):
    producer = place.pool.session("probe", schema=place.schema)
    for value in (b"one", b"two", b"three"):
        producer.offer(value, station="a", hour=1)
        producer.flush()
        place.archive()
    assert [line["attributes"]["maestro.version"] for line in place.lines()] == [1, 2, 3]
    producer.withdraw("")
    assert place.restore().found == 1
    with producer.demand("station = a") as cdo:
        assert (bytes(cdo), cdo["maestro.version"]) == (b"three", 3)
    producer.offer(b"four", station="a", hour=1)
    with producer.demand("station = a") as cdo:
        assert cdo["maestro.version"] == 4  # numbers go on


def test_objects_without_identity_are_kept_each(place):
    producer = place.pool.session("probe", schema=place.schema)
    for text in (b"one", b"two", b"two"):
        producer.offer(text)
    assert place.archive() == ["persisted"] * 3
    producer.offer(b"two")
    assert place.archive() == ["persisted"]
    assert place.archive(group="another") == ["known"] * 4


def test_an_object_that_comes_again_is_known_by_its_content(place):
    producer = place.pool.session("probe", schema=place.schema)
    cdo = producer.offer(b"bytes", station="a")
    assert place.archive() == ["persisted"]
    cdo.withdraw()
    producer.offer(b"bytes", {"maestro.time": np.datetime64("2030-01-01")}, station="a")
    assert place.archive() == ["known"]
    producer.withdraw("")
    producer.close()
    other = place.pool.session("probe", schema=place.schema)
    other.withdraw("")
    other.offer(b"other", station="a")
    assert place.archive() == ["conflict"]
    assert place.counts.conflicts == 1
    other.withdraw("")
    place.restore()
    assert bytes(other.demand("station = a")) == b"bytes"  # what was there first has stayed


def test_with_what_priority_an_object_comes_is_no_part_of_its_content(place):
    for priority, word in (("urgent", "persisted"), ("normal", "known"), ("background", "known")):
        with place.pool.session("probe", schema=place.schema, priority=priority) as producer:
            producer.offer(b"bytes", station="a")
            producer.flush()
            assert place.archive() == [word]
            producer.withdraw("")


def test_what_is_to_be_kept_for_ever_and_is_in_conflict_stays_until_another_store_has_it(place, tmp_path):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer(b"first", station="a")
    place.archive()
    producer.withdraw("")
    producer.offer(b"other", {"maestro.persist": True}, station="a")
    producer.flush()
    assert place.archive() == ["conflict"]  # once
    with raises(maestro.TimeoutError, "no archive has acknowledged 1", seconds=5):
        producer.withdraw("", timeout=0.2)
    assert Place(place.pool, tmp_path / "another").archive() == ["persisted"]
    assert producer.withdraw("", timeout=5) == 1


def test_an_archive_that_would_hold_too_much_ends_and_nothing_is_lost(place, tmp_path, monkeypatch):
    monkeypatch.setattr(component, "HELD", 2)
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer_many([b"first"] * 3, station="a", hour=range(3))
    producer.flush()
    assert place.archive() == ["persisted"] * 3
    producer.withdraw("")
    producer.offer_many([b"other"] * 3, {"maestro.persist": True}, station="a", hour=range(3))
    producer.flush()
    with raises(ArchiveError, "3 objects are to be kept for ever", "start an archive with another store", seconds=5):
        place.archive()
    assert producer.count() == 3
    assert Place(place.pool, tmp_path / "another").archive() == ["persisted"] * 3


def test_what_an_archive_could_not_write_goes_back_to_the_group(place, monkeypatch):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer_many([b"x"] * 3, station="a", hour=range(3))
    producer.flush()
    store = place.open()
    with monkeypatch.context() as patch, place.pool.session("archive", schema=place.schema, relay=True) as session:
        archiver = component.Archiver(session, store, [Rule()], lambda *_: None)
        patch.setattr(store, "sync", fail)
        with pytest.raises(ArchiveError):
            within(5, archiver.step)
        gc.collect()  # the objects that it had in hand
        archiver.close()
    store._unlock()
    assert len(place.archive()) == 3
    assert len(place.lines()) == 3


def fail():
    raise ArchiveError("archive: no room")


# ---- Rules
def test_every_counts_by_sequence_and_else_as_they_come(place):
    producer = place.pool.session("solver", schema=place.schema)
    for sequence in range(3, 25):
        with producer.collection("run").record(sequence) as rec:
            rec["x"] = np.array(sequence)
    producer.offer_many(station="a", hour=range(7))
    producer.flush()
    place.archive(Rule(select="maestro.collection = run", every=10), Rule(select="station = a", every=3))
    lines = [line["attributes"] for line in place.lines()]
    assert sorted(line["maestro.sequence"] for line in lines if "maestro.sequence" in line) == [10, 20]
    assert sorted(line["hour"] for line in lines if "hour" in line) == [0, 3, 6]
    assert place.counts.passed == 20 + 4


def test_a_filter_chooses(place, tmp_path, monkeypatch):
    (tmp_path / "mychoice.py").write_text("def warm(cdo):\n    return cdo['level'] > 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    place.pool.session("probe", schema=place.schema).offer_many(station="a", hour=range(5), level=[0.0, 1.0, 2.0, 3.0, 4.0])
    place.archive(Rule(filter="mychoice:warm"))
    assert [line["attributes"]["hour"] for line in place.lines()] == [3, 4]


def test_a_filter_that_fails_is_named_with_the_object(place, tmp_path, monkeypatch):
    (tmp_path / "myfault.py").write_text("def warm(cdo):\n    return 1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    place.pool.session("probe", schema=place.schema).offer(b"x", station="a")
    with pytest.raises(ArchiveError, match=r"the filter warm failed for .*station=a.*: ZeroDivisionError"):
        place.archive(Rule(filter="myfault:warm"))


def test_an_object_of_two_rules_is_kept_once(place):
    place.pool.session("probe", schema=place.schema).offer_many(station="a", hour=range(5))
    assert sorted(place.archive(Rule(select="hour >= 2"), Rule(select="hour <= 2"))) == ["known"] + ["persisted"] * 5


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("rules:\n  - selec: a = 1\n", "2:5", "did you mean 'select'"),
        ("rules:\n  - select: station = a\n    every: 0\n", "3:12", "greater than 0"),
        ("rules:\n  - filter: nowhere:f\n", "2:13", "cannot be loaded"),
        ("rules:\n  - filter: os\n", "2:13", "write module:function"),
        ("to: x\n", "1:1", "required key 'rules' is missing"),
        ("period: {bytes: many}\nrules: [{}]\n", "1:17", "byte"),
    ],
)
def test_mistakes_in_rules_are_told_with_their_place(tmp_path, text, where, words):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(yamlfile.FileError) as caught:
        ruling.load(path)
    assert f"rules.yaml:{where}: " in str(caught.value)
    assert words in str(caught.value)


def test_selectors_in_rules_are_checked_by_the_schema(place, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("rules:\n  - select: station = a\n  - select: staton = a\n  - {select: hour =}\n")
    known, source = ruling.load(path)
    with pytest.raises(yamlfile.FileError) as caught:
        ruling.check_selectors(known, source, place.pool.session("archive", schema=place.schema))
    first, second = caught.value.problems
    assert "rules.yaml:3:13: " in first
    assert "did you mean 'station'" in first
    assert "rules.yaml:4:14: " in second


# ---- Commands
def run(*words):
    return CliRunner().invoke(cli.app, [*map(str, words)])


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--to", "x", "--serve", "--every", "3"], "--serve keeps nothing"),
        (["--to", "x", "--rules", "y", "--every", "3"], "the rules say what is kept"),
        ([], "where to?"),
        (["--to", "x", "--filter", "json:nothing"], "cannot be loaded"),
    ],
)
def test_wrong_command_lines_are_answered(words, cause):
    done = run("archive", *words)
    assert done.exit_code != 0
    assert cause in str(done.exception)


def test_a_wrong_selector_is_pointed_at(pool, tmp_path):
    done = run("archive", "stp = 3", "--to", tmp_path / "store", "--schema", "mars")
    assert isinstance(done.exception, maestro.AttributeKeyError)
    assert "did you mean 'step'" in str(done.exception)


def test_what_is_archived_is_listed_and_restored_by_commands(place):
    fill(place)
    assert run("restore", place.folder, "--list", "--json").exit_code == 0
    listed = json.loads(run("restore", place.folder, "hour > 2", "--list", "--json").stdout)
    assert [one["attributes"]["hour"] for one in listed["objects"]] == [3, 4]
    assert "station a" in run("restore", place.folder, "--list").stdout
    done = run("restore", place.folder, "hour <= 2", "--json")
    assert json.loads(done.stdout) == {"store": str(place.folder), "found": 3, "restored": 3, "live": 0}
    assert place.pool.session("reader", schema=place.schema).count() == 3
    assert "3 were in the pool already" in run("restore", place.folder, "hour <= 2").stdout
    assert "did you mean 'hour'" in str(run("restore", place.folder, "our = 2").exception)


def test_withdrawal_when_consumed_returns_when_the_object_is_on_disk(place):
    producer = place.pool.session("probe", schema=place.schema)
    words = ["archive", "--to", str(place.folder), "--schema", place.schema, "--json"]
    with subprocess.Popen([sys.executable, "-m", "maestro.cli", *words], stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        for hour in range(20):
            producer.offer(b"bytes", station="a", hour=hour).withdraw(when="consumed")
            assert len(place.lines()) == hour + 1
        process.terminate()
        process.communicate(timeout=20)
