"""Archives: what comes back is what was offered, type by type; stores that were cut, damaged or are none; rules, needs, commands.

Kills are in scenarios/test_archive.py, FDB is in weather/test_archive.py.
"""

import gc
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poolside import raises, within
from typer.testing import CliRunner

import maestro
from maestro import cli, yamlfile
from maestro.archive import component
from maestro.archive import kept as keeping
from maestro.archive import rules as ruling
from maestro.archive.answer import answer, restore
from maestro.archive.component import Archiver
from maestro.archive.errors import ArchiveError
from maestro.archive.folder import FolderStore
from maestro.archive.hdf5 import read_index
from maestro.archive.rules import Rule
from maestro.archive.store import Limits, open_store

SCHEMA = """
schema: plant
duplicate: version
attributes:
  station: {type: string, identity: true, common: true}
  hour:    {type: i64, identity: true}
  level:   {type: f64}
  dry:     {type: bool}
  when:    {type: timestamp}
  key:     {type: blob}
  levels:  {type: f64, array: true}
  tags:    {type: string, array: true}
  times:   {type: timestamp, array: true}
"""


@pytest.fixture
def schema(tmp_path):
    path = tmp_path / "plant.yaml"
    path.write_text(SCHEMA)
    return str(path)


class Place:
    """A store, and an archive that runs in this process."""

    def __init__(self, pool, folder, schema):
        self.pool, self.folder, self.schema, self.told = pool, folder, schema, []

    def open(self, **limits):
        return FolderStore(self.folder, True, Limits(**limits))

    def archive(self, *rules, finish=True, group="archive", **limits):
        """Everything that the group has not seen and the rules select; the words that were told."""
        store, self.told = self.open(**limits), []
        try:
            with self.pool.session("archive", schema=self.schema, relay=True) as session:
                archiver = Archiver(session, store, list(rules) or [Rule()], lambda word, line, _: self.told.append((word, line)), group)
                self.counts = archiver.run(idle=0.1)
            if finish:
                store.finish_period()
        finally:  # not finished: as after a kill
            store._unlock()
        return [word for word, _ in self.told]

    def restore(self, selector="", component="archive"):
        with self.pool.session(component, schema=self.schema, relay=True) as session:
            return restore(session, open_store(str(self.folder)), selector, lambda _: None)

    def lines(self):
        return [entry.line for entry in open_store(str(self.folder)).catalogue]


@pytest.fixture
def place(pool, tmp_path, schema):
    return Place(pool, tmp_path / "store", schema)


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


def test_an_object_of_several_parts_is_brought_back_for_a_demand(place):
    ranks = [place.pool.session("solver", rank=rank, schema=place.schema) for rank in range(3)]
    for rank in range(3):
        ranks[rank].offer(bytes([rank]) * (rank + 1), {"maestro.parts": 3}, station="a", hour=1)
    for session in ranks:
        session.flush()
    assert place.archive() == ["persisted"]
    ranks[0].withdraw("")
    for session in ranks:
        session.close()
    server = Running(place)
    reader = place.pool.session("reader", schema=place.schema)
    with reader.demand("station = a") as cdo:
        parts = [cdo.part(number) for number in range(3)]
        assert [bytes(part) for part in parts] == [b"\0", b"\1\1", b"\2\2\2"]
        assert cdo["maestro.component"] == "solver"
        del parts
    within(5, lambda: reader.count() == 0)
    server.end()


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
    assert Place(place.pool, tmp_path / "another", place.schema).archive() == ["persisted"]
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
    assert Place(place.pool, tmp_path / "another", place.schema).archive() == ["persisted"] * 3


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


# ---- Needs
class Running:
    """An archive that answers, in a process of its own."""

    def __init__(self, place, *more):
        words = [sys.executable, "-m", "maestro.cli", "archive", "--to", str(place.folder), "--json", *(more or ["--serve"])]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.next("ready")

    def next(self, word):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        event = json.loads(line)
        assert event["event"] == word, event
        return event

    def end(self):
        self.process.terminate()
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, err
        return json.loads(out.splitlines()[-1])


@pytest.fixture
def server(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer_many([b"zero", b"one", b"two"], station="a", hour=range(3))
    place.archive()
    producer.withdraw("")
    running = Running(place)
    yield running
    running.process.kill()
    running.process.communicate()


def test_demands_and_requires_are_answered_and_what_came_goes_again(place, server):
    reader = place.pool.session("reader", schema=place.schema)
    with reader.demand("hour = 1") as cdo:
        assert bytes(cdo) == b"one"
        assert server.next("answered") == {"event": "answered", "selector": "hour = 1", "by": "reader", "found": 1}
        within(5, lambda: reader.count() == 0)
        assert bytes(cdo) == b"one"  # who holds it reads on
    with reader.require("hour >= 1"):
        assert server.next("answered")["found"] == 2
        within(5, lambda: reader.count() == 2)
    within(5, lambda: reader.count() == 0)
    assert server.end()["answered"] == 3


def test_what_a_workflow_file_says_is_consumed_is_not_answered(place, server):
    runner, reader = (place.pool.session(name, schema=place.schema) for name in ("maestro-run", "reader"))
    with runner.require(""), reader.require("hour = 1"):
        assert server.next("answered")["by"] == "reader"
        within(5, lambda: reader.count() == 1)
    assert server.end()["answered"] == 1


def test_what_an_archive_brings_back_it_does_not_keep_again(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer(b"anonymous", level=1.0)
    producer.offer(b"named", station="a")
    producer.flush()
    running = Running(place, "--schema", place.schema)
    for _ in range(2):
        running.next("persisted")
    producer.withdraw("", when="consumed")
    for selector in ("level = 1", "station = a", "level = 1"):
        with producer.demand(selector):
            running.next("answered")
        within(5, lambda: producer.count() == 0)
    end = running.end()
    assert (end["kept"], end["known"], end["answered"]) == (2, 0, 3)
    assert len(place.lines()) == 2


def test_an_answer_that_fails_in_the_middle_is_taken_back(place):
    place.pool.set(MAESTRO_POOL_MEMORY="16MiB")
    producer = place.pool.session("probe", schema=place.schema)
    for hour in range(2):
        producer.offer(b"x" * (10 << 20), station="a", hour=hour)
        place.archive()
        producer.withdraw("")
    with place.pool.session("archive", schema=place.schema, relay=True, timeout=0.2) as session:
        told = []
        with raises(maestro.MaestroError, "alloc", seconds=5):
            answer(session, open_store(str(place.folder)), "", False, told.append)
        assert len(told) == 1
        within(5, lambda: producer.count() == 0)
    assert producer.offer(b"x" * (10 << 20), station="b").nbytes == 10 << 20


def two_parts(place):
    """An archived object of two parts, which is in the pool no more."""
    producer = place.pool.session("solver", schema=place.schema)
    for part in range(2):
        producer.offer(b"bytes", {"maestro.parts": 2, "maestro.part": part}, station="a")
    producer.flush()
    assert place.archive() == ["persisted"]
    producer.withdraw("")
    store = open_store(str(place.folder))
    (entry,) = store.catalogue
    return producer, store.load(entry)


def test_parts_that_cannot_all_be_offered_are_taken_back(place):
    producer, kept = two_parts(place)
    first, second = kept.line["attributes"], kept.line["parts"][0]
    unknown = {**second, "attributes": {**second["attributes"], "nonsense": 1}}
    digest = keeping.content([(first, kept.part(0).data), (unknown["attributes"], kept.part(1).data)])
    wrong = keeping.Kept({**kept.line, "parts": [unknown], "digest": digest}, kept.memory)
    with place.pool.session("archive", schema=place.schema, relay=True) as session:
        with raises(maestro.AttributeKeyError, "nonsense", seconds=5):
            keeping.offer(session, wrong)
        offered = keeping.offer(session, kept)  # nothing of the other one is in its way
        assert producer.count() == 1
        keeping.take_back(offered)


def test_every_refusal_of_an_answer_is_read(place):
    producer, kept = two_parts(place)
    with place.pool.session("archive", schema=place.schema, relay=True) as session:
        offered = keeping.offer(session, kept)
        for _ in range(2):
            with raises(maestro.DuplicateError, seconds=5):
                keeping.offer(session, kept)
        session.flush()  # raises what nobody has read
        assert producer.count() == 1
        keeping.take_back(offered)
        within(5, lambda: producer.count() == 0)


def test_what_was_declared_ahead_is_there_when_it_is_demanded(place):
    """Demands for megabytes in the archive, in turns, with the declaration, which brings the object, and without; none is brought twice."""
    producer = place.pool.session("probe", schema=place.schema)
    for hour in range(40):
        producer.offer(bytes([hour]) * (1 << 20), station="a", hour=hour)
    place.archive()
    producer.withdraw("")
    running = Running(place)
    reader = place.pool.session("reader", schema=place.schema)
    took = {False: [], True: []}
    try:
        for hour in range(40):
            declared = hour % 2 == 1
            need = reader.require(f"hour = {hour}") if declared else None
            if declared:
                within(5, lambda: reader.count() == 1)
            began = time.perf_counter()
            with reader.demand(f"hour = {hour}", timeout=10) as cdo:
                took[declared].append(1e3 * (time.perf_counter() - began))
                assert memoryview(cdo)[0] == hour
            if need:
                need.retract()
            within(5, lambda: reader.count() == 0)
        assert running.end()["answered"] == 40
    finally:
        running.process.kill()
        running.process.communicate()
    without, ahead = (statistics.median(took[declared]) for declared in (False, True))
    print(f"demand of 1 MiB from the archive, median of 20: {without:.2f} ms, declared ahead {ahead:.2f} ms, ratio {without / ahead:.1f}")


def test_what_several_identities_match_is_not_answered_for_a_demand(place, server):
    reader = place.pool.session("reader", schema=place.schema)
    with raises(maestro.TimeoutError, "nothing matched", seconds=5):
        reader.demand("station = a", timeout=0.5)
    assert server.next("ambiguous")["found"] == 3


def test_subscriptions_are_not_answered(place, server):
    reader = place.pool.session("reader", schema=place.schema)
    assert list(reader.subscribe("station = a", timeout=0.5)) == []
    assert server.end()["answered"] == 0


def test_what_cannot_be_brought_back_is_told_and_others_are(place, server):
    (path,) = place.folder.rglob("*.h5")
    with h5py.File(path, "r+") as file:
        file["object.000001"][0] = 99
    reader = place.pool.session("reader", schema=place.schema)
    with raises(maestro.TimeoutError, "nothing matched", seconds=5):
        reader.demand("hour = 1", timeout=0.5)
    assert "no longer has the bytes" in server.next("unanswered")["cause"]
    assert bytes(reader.demand("hour = 2")) == b"two"


def test_an_archive_goes_on_where_the_pool_has_no_room_for_an_answer(place):
    place.pool.set(MAESTRO_POOL_MEMORY="16MiB")
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer(b"x" * (10 << 20), station="a", hour=0)
    place.archive()
    producer.withdraw("")
    held = [producer.offer(b"y" * (10 << 20), station="b", hour=0)]
    server = Running(place)
    with raises(maestro.TimeoutError, seconds=10):
        producer.demand("station = a", timeout=3)
    assert "alloc" in server.next("unanswered")["cause"]
    held.pop().withdraw()
    assert producer.demand("station = a").nbytes == 10 << 20
    server.end()


def test_an_archive_that_ends_takes_back_what_it_had_offered(place, server):
    reader = place.pool.session("reader", schema=place.schema)
    with reader.require("hour >= 1"):
        within(5, lambda: reader.count() == 2)
        server.end()
        within(5, lambda: reader.count() == 0)


def test_what_has_expired_in_the_pool_is_brought_back(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer(b"short", {"maestro.lifetime": 0.3}, station="a", hour=0)
    place.archive()
    within(5, lambda: producer.count() == 0)
    server = Running(place)
    with producer.demand("station = a") as cdo:
        assert bytes(cdo) == b"short"
        assert cdo["maestro.lifetime"] == 0.3
    server.end()


def test_what_lives_already_is_not_offered_over_it(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer(b"bytes", station="a")
    place.archive()
    result = place.restore()
    assert (result.found, len(result.offered), result.live) == (1, 0, 1)


# ---- Stores that were cut or damaged
def fill(place, count=5, **limits):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer_many([bytes([number % 256]) * 1000 for number in range(count)], station="a", hour=range(count))
    producer.flush()
    words = place.archive(**limits)
    producer.withdraw("")
    return words


def test_periods_end_by_number(place):
    fill(place, 600, objects=200)
    assert len(list(place.folder.rglob("*.h5"))) == 3
    assert {len(read_index(path)) for path in place.folder.rglob("*.h5")} == {200}
    assert sorted(line["attributes"]["hour"] for line in place.lines()) == list(range(600))


def test_periods_end_by_bytes_and_by_time(place):
    fill(place, 10, nbytes=5000)
    assert len(list(place.folder.rglob("*.h5"))) >= 2
    before = len(list(place.folder.rglob("*.h5")))
    place.pool.session("other", schema=place.schema).offer(b"x", station="b")
    place.archive(finish=False, seconds=0.05)
    assert len(list(place.folder.rglob("*.h5"))) == before + 1


def test_a_journal_that_a_kill_has_left_is_read_and_then_ended(place):
    fill(place, finish=False)
    (journal,) = place.folder.glob("*.journal")
    assert len(place.lines()) == 5  # a reader finds it
    (place.folder / "objects").mkdir()
    (place.folder / "objects" / ".00000001.h5.77").write_bytes(b"half")
    place.open().close()
    assert not journal.exists()
    assert [path.name for path in place.folder.rglob("*.h5*")] == ["00000001.h5"]
    assert len(place.lines()) == 5
    assert len(place.restore().offered) == 5


@pytest.mark.parametrize("cut", [1, 500, 1000, 1001, 1300, 1500])
def test_a_journal_that_is_cut_keeps_what_is_whole(place, cut):
    fill(place, finish=False)
    (journal,) = place.folder.glob("*.journal")
    journal.write_bytes(journal.read_bytes()[:-cut])
    place.open().close()
    assert [line["attributes"]["hour"] for line in place.lines()] == list(range(4 if cut < 1300 else 3))


def test_a_journal_is_right_where_files_of_its_number_are_there_too(place):
    fill(place, finish=False)
    (journal,) = place.folder.glob("*.journal")
    content = journal.read_bytes()
    place.open().close()
    journal.write_bytes(content)  # a kill between the rename and the removal
    assert len(place.lines()) == 5
    place.open().close()
    assert len(place.lines()) == 5


def test_a_reader_finds_objects_whose_period_has_ended_since(place):
    fill(place, finish=False)
    reader = open_store(str(place.folder))
    place.open().close()
    assert [bytes(reader.load(entry).data[:1]) for entry in reader.catalogue] == [bytes([number]) for number in range(5)]


def test_an_archive_that_was_killed_while_it_made_its_store_goes_on(place):
    place.folder.mkdir()
    (place.folder / "schema.yaml").write_text("half")
    (place.folder / ".maestro-archive.json.77").write_text("{")
    fill(place)
    assert len(place.restore().offered) == 5


def test_bytes_that_changed_on_disk_are_not_offered(place):
    fill(place)
    (path,) = place.folder.rglob("*.h5")
    with h5py.File(path, "r+") as file:
        file["object.000002"][3] = 99
    with raises(ArchiveError, "station=a", "no longer has the bytes", seconds=10):
        place.restore()


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:3000])


def damage_foreign(path):
    with h5py.File(path, "w") as file:
        file["x"] = 1


def damage_text(path):
    path.write_text("no HDF5")


@pytest.mark.parametrize(
    ("damage", "words"),
    [(damage_truncate, "no complete HDF5 file"), (damage_foreign, "none of an archive"), (damage_text, "no complete HDF5 file")],
)
def test_a_file_that_is_damaged_or_foreign_is_named(place, damage, words):
    fill(place)
    (path,) = place.folder.rglob("*.h5")
    damage(path)
    with raises(ArchiveError, str(path), words, "ove it out of the store"):
        open_store(str(place.folder))


def test_folders_that_are_no_store_are_refused(tmp_path):
    with raises(ArchiveError, "there is no store"):
        open_store(str(tmp_path / "none"))
    (tmp_path / "file").write_text("x")
    with raises(ArchiveError, "open", "file", "Not a directory"):
        open_store(str(tmp_path / "file"), write=True)
    with raises(ArchiveError, "is no archive"):
        open_store(str(tmp_path), write=True)
    mark = tmp_path / "damaged" / "maestro-archive.json"
    mark.parent.mkdir()
    mark.write_text("{")
    with raises(ArchiveError, "maestro-archive.json is damaged"):
        open_store(str(mark.parent))
    mark.write_text('{"format": 7}')
    with raises(ArchiveError, "has format 7"):
        open_store(str(mark.parent))


def test_one_archive_writes_at_a_time(place):
    store = place.open()
    with raises(ArchiveError, "is written by another archive"):
        place.open()
    store.close()
    place.open().close()


def test_a_store_has_objects_of_one_schema(place):
    fill(place)
    store = place.open()
    with pytest.raises(ArchiveError, match="holds objects of schema plant, not mars"):
        store.begin(place.pool.session("other", schema="mars"))
    store.close()


def test_a_disk_that_is_full_is_named_and_nothing_that_was_told_is_lost(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer_many([b"x" * 10_000] * 30, station="a", hour=range(30))
    producer.flush()
    words = ["archive", "--to", str(place.folder), "--schema", place.schema, "--json", "--idle", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "maestro.cli", *words], capture_output=True, text=True, timeout=40, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000)),
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "File too large" in done.stderr
    assert "make room and start the archive again" in done.stderr
    told = [json.loads(line)["attributes"]["hour"] for line in done.stdout.splitlines() if "persisted" in line]
    found = [line["attributes"]["hour"] for line in place.lines()]
    assert set(told) <= set(found)
    assert len(found) < 30
    assert set(place.archive()) <= {"persisted", "known"}  # the rest comes again
    assert sorted(line["attributes"]["hour"] for line in place.lines()) == list(range(30))


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
