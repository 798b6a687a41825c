"""Demands race with offers, versions and withdrawals of producers that are killed at random: what a reader holds is whole.

RACE_DEMANDS says how many demands (default 4,000; a million are some minutes).  That the test can fail is shown by a reader
that is broken on purpose: it reads after it has given its lease back.
"""

import ctypes
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest
from poolside import within

import maestro

DEMANDS = int(os.environ.get("RACE_DEMANDS", "4000"))
KEYS, PRODUCERS, READERS = 8, 2, 2
SCHEMA = """
schema: race
duplicate: version
reach: pool
attributes:
  key:   {type: i64, required: true, identity: true}
  mark:  {type: i64, required: true}
  count: {type: i64, required: true}
"""


def produce(schema, number):
    """Offers versions of a few keys and withdraws some, until it is killed; all of an object's bytes say which one it is."""
    session, chance = maestro.Session(component="producer", rank=number, schema=schema, timeout=20), random.Random(os.getpid())
    mark, mine = os.getpid() << 32, []
    while True:
        mark += 1
        count = 1 + mark % 700
        cdo = session.cdo(key=chance.randrange(KEYS), mark=mark, count=count)
        values = cdo.empty(count, "i8")
        values[:] = mark
        del values
        cdo.offer()
        mine.append(cdo)
        if len(mine) > 2 * KEYS:
            old = mine.pop(0)
            if chance.random() < 0.3:
                old.withdraw_start()
            old.dispose()


def read_whole(cdo):
    return cdo.array()


def read_too_late(cdo):
    """Where the bytes were before the lease was given back."""
    values = cdo.array()
    address, count = values.ctypes.data, len(values)
    del values
    cdo.dispose()
    time.sleep(0.001)
    return np.frombuffer(ctypes.string_at(address, 8 * count), "i8")


def consume(schema, number, demands, read, pipe):
    """How many demands were answered, and what was torn."""
    session, chance = maestro.Session(component="reader", rank=number, schema=schema, timeout=20), random.Random(number)
    answered, torn = 0, []
    for _ in range(demands):
        try:
            cdo = session.demand({"key": chance.randrange(KEYS)}, timeout=0.05)
        except maestro.TimeoutError:
            continue
        answered += 1
        mark, count = cdo["mark"], cdo["count"]
        values = read(cdo)
        if len(values) != count or (values != mark).any():
            torn.append((mark, count, len(values)))
        del values
        if not cdo.disposed:
            cdo.dispose()
    session.close()
    pipe.send((answered, len(torn), torn[:3]))
    os._exit(0)


class Race:
    def __init__(self, schema):
        self.context, self.schema = multiprocessing.get_context("fork"), schema
        self.producers = [self.start(produce, i) for i in range(PRODUCERS)]
        self.killed = 0

    def start(self, target, *words):
        process = self.context.Process(target=target, args=(self.schema, *words))
        process.start()
        return process

    def replace_one(self):
        number = random.randrange(PRODUCERS)
        os.kill(self.producers[number].pid, signal.SIGKILL)
        self.producers[number].join()
        self.producers[number] = self.start(produce, number)
        self.killed += 1

    def run(self, demands, read):
        """Sums over the readers: answered demands, torn reads; examples of these."""
        pipes, readers = [], []
        for number in range(READERS):
            here, there = self.context.Pipe(duplex=False)
            readers.append(self.start(consume, number, demands // READERS, read, there))
            there.close()
            pipes.append(here)
        while any(reader.is_alive() for reader in readers):
            time.sleep(random.uniform(0.1, 0.4))
            self.replace_one()
        came = [pipe.recv() for pipe in pipes]
        for reader in readers:
            reader.join()
        return (
            sum(answered for answered, _, _ in came),
            sum(torn for _, torn, _ in came),
            [example for *_, examples in came for example in examples],
        )

    def end(self):
        for producer in self.producers:
            os.kill(producer.pid, signal.SIGKILL)
            producer.join()


@pytest.fixture
def race(pool, tmp_path):
    path = tmp_path / "race.yaml"
    path.write_text(SCHEMA)
    race = Race(str(path))
    with pool.session("watcher", schema=str(path)) as watcher:
        within(10, lambda: watcher.count() >= KEYS // 2)
        yield race
        race.end()


@pytest.mark.timeout(60 + DEMANDS // 500)
def test_no_demand_sees_an_object_that_is_not_whole(race):
    answered, torn, examples = race.run(DEMANDS, read_whole)
    print(f"{answered:,} of {DEMANDS:,} demands were answered, {torn} torn; {race.killed} producers were killed")
    assert torn == 0, examples
    assert answered > DEMANDS * 0.9


def test_a_reader_that_is_broken_on_purpose_is_caught(race):
    _, torn, _ = race.run(1000, read_too_late)
    assert torn > 0
