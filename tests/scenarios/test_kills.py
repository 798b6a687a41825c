"""Producers and consumers that die in mid-stream: what they had offered stays, whoever lives goes on, nothing is torn or left."""

import random
import time

import pytest
from node import wait_until
from objects import is_whole

import maestro

LAUNCHES = 50


def progress(session):
    """Offers of the surviving producer, events of the surviving consumer."""
    counts = {one["component"]: one for one in session.stats()["sessions"]}
    return counts["survivor-producer"]["offers"], counts["survivor-consumer"]["events"]


def launch_and_kill(node, number, chance):
    """Start a producer and a consumer and kill both somewhere in their lives; how many objects the producer knew to be in the pool."""
    producer = node.start("producer", "victim-producer", 1000 + number, 0, 0, 2048, chance.choice((0, 20, 200)))
    consumer = node.start("consumer", "victim-consumer", 2000 + number, "number >= 0", chance.choice((0, 500)))
    time.sleep(chance.uniform(0.0, 0.06))
    for program in chance.sample((producer, consumer), 2):
        program.kill()
        time.sleep(chance.choice((0, 0.005)))
    return int(producer.lines[-1]) if producer.lines else 0


def check_objects(session, rank, known):
    """The dead producer's objects: all that it knew to be there, perhaps some more, without a hole, whole."""
    numbers = []
    for cdo in session.query(f"maestro.component = victim-producer and maestro.rank = {rank}"):
        with cdo:
            numbers.append(cdo["number"])
            assert is_whole(cdo), cdo
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= known
    if known:
        with session.demand(f"maestro.rank = {rank} and number = {known - 1}", timeout=5) as cdo:
            assert is_whole(cdo)
    return len(numbers)


def test_killed_producers_and_consumers_harm_nobody(node):
    chance = random.Random(9)
    with maestro.Session(component="observer", schema=node.environment["SCENARIO_SCHEMA"], timeout=20) as session:
        joined = session.subscribe(kinds="joined", start="now", timeout=0)
        left = session.subscribe(kinds="left", start="now", timeout=0)
        producer = node.start("producer", "survivor-producer", 1, 0, 64, 4096, 200)
        consumer = node.start("consumer", "survivor-consumer", 2, "number >= 0", 0)
        consumer.wait_for("ready")
        wait_until(lambda: producer.lines, "the surviving producer offers")
        known, before = {}, progress(session)
        for number in range(LAUNCHES):
            known[1000 + number] = launch_and_kill(node, number, chance)
            node.note_memory()
            wait_until(lambda: all(now > then for now, then in zip(progress(session), before, strict=True)), "survivors go on")  # noqa: B023
            before = progress(session)
        found = sum(check_objects(session, rank, count) for rank, count in known.items())
        events = [(event.component, event.rank, event.reason) for event in left]
        came = {(event.component, event.rank) for event in joined} - {("survivor-producer", 1), ("survivor-consumer", 2)}
        assert {reason for _, _, reason in events} == {"died"}
        assert len(set(events)) == len(events)
        assert {event[:2] for event in events} == came  # every dead one is named, and nobody else
        assert {("victim-producer", rank) for rank, count in known.items() if count} <= {event[:2] for event in events}
        assert len(events) > LAUNCHES  # most had come so far as to join
        stats = session.stats()
        assert {one["component"] for one in stats["sessions"]} == {"observer", "survivor-producer", "survivor-consumer"}
        assert found > LAUNCHES
        assert producer.end().isdigit()
        assert consumer.end().split()[-2:] == ["gaps", "0"]
        assert session.stats()["leases"]["live"] == 0


def test_withdrawal_goes_on_at_once_when_the_holder_dies(node):
    with maestro.Session(component="producer", schema=node.environment["SCENARIO_SCHEMA"], timeout=20) as session:
        cdo = session.offer(b"bytes", number=1)
        holder = node.start("holder.py", "number = 1")
        holder.wait_for("holds")
        withdrawal = cdo.withdraw_start(timeout=10)
        with pytest.raises(maestro.TimeoutError):
            withdrawal.wait(0.1)
        holder.kill()
        before = time.monotonic()
        withdrawal.wait(10)
        assert time.monotonic() - before < 1
        assert session.count("number = 1") == 0
