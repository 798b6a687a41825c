"""Stores of archives: their periods, and those that were cut, damaged, are in use, full or none."""

import json
import resource
import subprocess
import sys

import h5py
import pytest
from archiveside import Place, fill
from poolside import raises

from maestro.archive.errors import ArchiveError
from maestro.archive.hdf5 import read_index
from maestro.archive.store import open_store


@pytest.fixture
def place(pool, tmp_path):
    return Place(pool, tmp_path)


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
