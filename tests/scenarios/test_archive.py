"""An archive at work while it, the pool manager and the producer are killed: what was told to be on disk is there, whole, once.

ARCHIVE_KILLS says how many are killed (default 12).
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import objects
import pytest
from node import wait_until

import maestro
from maestro.archive.store import open_store
from maestro.record import Record

HERE = Path(__file__).parent
KILLS = int(os.environ.get("ARCHIVE_KILLS", "12"))
PERIOD = "{objects: 40, bytes: 1MiB, seconds: 0.3}"


class Archive:
    """The archive of a test, started anew after each death."""

    def __init__(self, node, folder):
        self.node, self.folder, self.rules = node, folder / "store", folder / "rules.yaml"
        self.rules.write_text(f"to: {self.folder}\nperiod: {PERIOD}\nrules: [{{select: number >= 0}}]\n")
        self.told, self.program = set(), None

    def start(self):
        words = ("archive", "--rules", self.rules, "--json", "--schema", self.node.environment["SCENARIO_SCHEMA"])
        self.program = self.node.run(sys.executable, "-m", "maestro.cli", *words)
        wait_until(lambda: self.program.lines or self.program.process.poll() is not None, "the archive is ready", 20)

    def collect(self):
        """What the archive that has ended had told to be on disk; the last line may be cut."""
        for line in self.program.lines:
            if line.endswith("}"):
                event = json.loads(line)
                assert event["event"] in ("ready", "persisted", "known", "end"), event
                if "attributes" in event:
                    self.told.add((event["attributes"]["maestro.rank"], event["attributes"]["number"]))

    def is_running(self):
        return self.program.process.poll() is None


class Producer:
    """The producer of a test; each life has a rank of its own, or goes on with that of the one before it, and offers some objects again."""

    def __init__(self, node, chance):
        self.node, self.chance, self.program = node, chance, None
        self.rank, self.number, self.consumed = 0, 0, set()

    def start(self):
        self.program = self.node.start("chronicler.py", self.number, self.rank, SCENARIO_FOLDER=str(HERE))

    def collect(self):
        numbers = [int(line) for line in self.program.lines if line.isdigit()]
        self.consumed |= {(self.rank, 2 * number + more) for number in numbers for more in (0, 1)}
        self.number = max([self.number, *numbers])
        if self.chance.random() < 0.5:
            self.rank, self.number = self.rank + 1, 0

    def has_consumed(self):
        """Waits for the first objects that are archived; false if its offers were refused."""
        wait_until(lambda: len(self.program.lines) > 8 or not self.is_running(), "objects are archived", 20)
        return self.is_running()

    def is_running(self):
        return self.program.process.poll() is None


def kill_one(node, archive, producer, chance):
    """Kill somebody; whoever was in the pool whose manager is killed ends."""
    victim = chance.choice((archive, producer, None))
    if victim is None:
        manager = node.manager()
        if manager is not None:
            node.note_memory()
            os.kill(manager, signal.SIGKILL)
            wait_until(lambda: node.manager() != manager, "the manager's end")
            for other in (archive, producer):
                if other.program.lines:  # else it may meet the next manager as its first
                    other.program.end(code=1)
    elif victim.is_running():  # it may be ending: a producer is refused what its former life had offered
        victim.program.process.kill()
        refused = victim is producer and victim.program.process.wait(30) == 1
        victim.program.end(code=1 if refused else -signal.SIGKILL)


def expected(rank, number):
    return objects.arrays(rank, number // 2) if number % 2 == 0 else {"": objects.words(rank, number // 2)}


def equal(kept):
    """Whether an object has the arrays that its producer made, type by type and bit by bit."""
    arrays = expected(kept["maestro.rank"], kept["number"])
    if "" in arrays:
        return kept["maestro.dtype"] == "<u8" and bytes(kept.data) == arrays[""].tobytes()
    record = Record(kept)
    found = {path: record[path] for path in record.paths()}
    same = [
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes("A") == b.tobytes("A")
        for a, b in zip(found.values(), arrays.values(), strict=True)
    ]
    return list(found) == list(arrays) and all(same)


def check_files(folder):
    """Every file is whole, none is unfinished."""
    assert [path for path in folder.rglob("*") if path.name.startswith(".") or path.suffix == ".journal"] == []
    for path in folder.rglob("*.h5"):
        with h5py.File(path) as file:
            assert "maestro.index" in file
            for item in file.values():
                item.attrs.items()


@pytest.mark.timeout(60 + 10 * KILLS)
def test_what_was_told_to_be_on_disk_survives_every_kill(node, tmp_path):
    chance = random.Random(KILLS)
    archive, producer = Archive(node, tmp_path), Producer(node, chance)
    archive.start()
    producer.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.02, 0.5))
        kill_one(node, archive, producer, chance)
        for one in (archive, producer):
            if not one.is_running():
                one.program.end(code=one.program.process.returncode)
                one.collect()
                one.start()
    while not producer.has_consumed():  # it meets objects of its own that it offers again, until it takes another rank
        producer.program.end(code=1)
        producer.collect()
        producer.start()
    producer.program.end()
    producer.collect()
    archive.program.process.send_signal(signal.SIGTERM)
    archive.program.end()
    archive.collect()
    check_files(archive.folder)
    store = open_store(str(archive.folder))
    found = [(line["attributes"]["maestro.rank"], line["attributes"]["number"]) for line in (entry.line for entry in store.catalogue)]
    assert len(found) == len(set(found))
    assert archive.told | producer.consumed <= set(found)
    assert len(archive.told) > 10 * KILLS
    for entry in store.catalogue:
        kept = store.load(entry)
        assert kept.is_whole()
        assert equal(kept)
    print(f"{KILLS} kills: {len(archive.told):,} told to be on disk, {len(producer.consumed):,} consumed, {len(found):,} found, all equal")


def test_demands_after_everything_was_stopped_are_answered(node, tmp_path):
    archive = Archive(node, tmp_path)
    archive.start()
    producer = node.start("chronicler.py", 0, 3, SCENARIO_FOLDER=str(HERE))
    wait_until(lambda: len(producer.lines) > 8, "objects are archived", 20)
    producer.end()
    archive.program.process.send_signal(signal.SIGTERM)
    archive.program.end()
    wait_until(lambda: node.manager() is None, "the pool has ended")
    archive.start()
    with maestro.Session(component="reader", schema=node.environment["SCENARIO_SCHEMA"], timeout=20) as session:
        with session.collection("chronicle")[5] as record:
            assert record.producer == ("chronicler", 3)
            assert {path: record[path].tolist() for path in record.paths()} == {
                path: a.tolist() for path, a in objects.arrays(3, 5).items()
            }
        assert np.asarray(session.demand("number = 7")).tolist() == objects.words(3, 3).tolist()
        wait_until(lambda: session.count() == 0, "what was brought back goes again")
    archive.program.process.send_signal(signal.SIGTERM)
    archive.program.end()


def test_every_tenth_record_is_kept_while_a_consumer_in_transit_sees_all(node, tmp_path):
    store = Path(tmp_path, "store")
    schema = node.environment["SCENARIO_SCHEMA"]
    words = ("archive", "maestro.collection = run", "--every", 10, "--to", store, "--schema", schema, "--json")
    archive = node.run(sys.executable, "-m", "maestro.cli", *words)
    wait_until(lambda: archive.lines, "the archive is ready", 20)
    with maestro.Session(component="model", schema=schema, timeout=20) as session, maestro.Session("watcher", schema=schema) as other:
        watched = other.subscribe("maestro.collection = run")
        for sequence in range(100):
            with session.collection("run").record(sequence, number=sequence) as record:
                record["mesh/rho"] = np.full((3, 4), float(sequence))
        assert [cdo["maestro.sequence"] for cdo in watched.next_many(100, timeout=10)] == list(range(100))
        session.flush()
        session.withdraw("", when="consumed")
    archive.process.send_signal(signal.SIGTERM)
    archive.end()
    (path,) = store.rglob("*.h5")
    with h5py.File(path) as file:
        records = {name: group for name, group in file.items() if name != "maestro.index"}
        assert sorted(map(int, records)) == list(range(0, 100, 10))
        assert all((group["mesh/rho"][()] == int(name)).all() for name, group in records.items())
        assert records["50"].attrs["number"] == 50
