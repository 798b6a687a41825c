"""What tests of archives share: a store with an archive that keeps to it, in this process or in one of its own."""

import json
import subprocess
import sys

from maestro.archive.answer import restore
from maestro.archive.component import Archiver
from maestro.archive.folder import FolderStore
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


class Place:
    """A store, and an archive that runs in this process."""

    def __init__(self, pool, folder):
        self.pool, self.folder, self.schema, self.told = pool, folder / "store", str(folder / "plant.yaml"), []
        folder.mkdir(exist_ok=True)
        (folder / "plant.yaml").write_text(SCHEMA)

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


def fill(place, count=5, **limits):
    """An archive of so many objects, which are in the pool no more; the words that were told."""
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer_many([bytes([number % 256]) * 1000 for number in range(count)], station="a", hour=range(count))
    producer.flush()
    words = place.archive(**limits)
    producer.withdraw("")
    return words


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
