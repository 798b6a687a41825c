"""Many sessions, many objects, slow and silent subscribers, a pool that is full: nothing lost, nobody disturbed, nothing grows."""

import contextlib
import threading
import time

import pytest
from node import resident_bytes, wait_until

import maestro

OFFERS = 100_000
PRODUCERS = 4
MIB = 1 << 20


def open_session(node, component, **options):
    return maestro.Session(component=component, schema=node.environment["SCENARIO_SCHEMA"], **{"timeout": 20, **options})


def test_memory_of_the_manager_is_flat_over_a_thousand_short_sessions(node):
    with open_session(node, "observer") as session:
        producers = [node.start("producer", "producer", rank, 0, 64, 512, 500) for rank in (1, 2)]
        wait_until(lambda: session.stats()["objects"]["withdrawn_total"] > 100, "producers offer and withdraw")
        assert node.start("passerby", 200).end() == ""  # tables grow to their size
        before, start = resident_bytes(node.manager()), session.stats()
        visitors = [node.start("passerby", 500) for _ in range(2)]
        for visitor in visitors:
            visitor.end()
        stats = session.stats()
        assert resident_bytes(node.manager()) - before < 1 << 20
        assert stats["events"]["sequence"] - start["events"]["sequence"] > 2000  # all of them joined and left, beside the objects
        assert stats["memory"]["catalogue"] < 1 << 20
        assert stats["leases"]["live"] == 0
        assert {one["component"] for one in stats["sessions"]} == {"observer", "producer"}
        for producer in producers:
            producer.end()


def test_slow_consumer_gets_snapshot_and_tail_once_and_in_order(node):
    with open_session(node, "observer") as session:
        each = OFFERS // PRODUCERS
        producers = [node.start("producer", "producer", rank, each, 0, 0, 0) for rank in range(PRODUCERS)]
        wait_until(lambda: session.stats()["objects"]["live"] > OFFERS // 20, "producers offer")
        slow = [node.start("consumer", "slow", rank, "number >= 0", pause, OFFERS) for rank, pause in ((1, 0), (2, 100))]
        for producer in producers:
            assert producer.end() == str(each)
        for consumer in slow:
            assert consumer.end() == f"events {OFFERS} gone 0 gaps 0"
        assert session.count() == OFFERS


def test_who_comes_after_a_hundred_thousand_offers_gets_them_and_all_that_follow(node):
    """Four producers go on all the time."""
    with open_session(node, "observer") as session:
        producers = [node.start("producer", "producer", rank, 0, 0, 0, 20) for rank in range(PRODUCERS)]
        wait_until(lambda: session.stats()["objects"]["live"] >= OFFERS, "producers offer", 40)
        late = [node.start("consumer", "late", rank, "number >= 0", pause) for rank, pause in ((1, 0), (2, 50))]
        for consumer in late:
            consumer.wait_for("ready")
        there = session.count()
        wait_until(lambda: session.count() > there + OFFERS // 20, "producers go on")
        total = sum(int(producer.end()) for producer in producers)
        wait_until(lambda: delivered(session, "late") == [total] * 2, "all is delivered", 30)
        for consumer in late:
            assert consumer.end() == f"events {total} gone 0 gaps 0"


def delivered(session, component):
    sessions = [one for one in session.stats()["sessions"] if one["component"] == component]
    return [subscription["delivered"] for one in sessions for subscription in one["subscriptions"]]


def test_plain_subscription_that_never_reads_gets_a_gap_and_disturbs_nobody(node, monkeypatch):
    monkeypatch.setenv("MAESTRO_POOL_LOG", "64KiB")
    with open_session(node, "producer") as session, open_session(node, "sleeper") as sleeper, open_session(node, "reader") as reader:
        asleep, awake = sleeper.subscribe(window=1 << 18), reader.subscribe(timeout=0)
        received = 0
        for first in range(0, 50_000, 1000):
            session.offer_many(number=range(first, first + 1000))
            session.flush()
            received += sum(1 for _ in awake)
        assert received == 50_000
        numbers, lost = [], 0
        for event in asleep.events(timeout=0.5):
            if event.kind == "gap":
                lost += event.gap[1] - event.gap[0] + 1
            else:
                numbers.append(event.cdo["number"])
        assert lost > 1000
        assert numbers == sorted(set(numbers))
        assert len(numbers) + lost == 50_000
        assert session.stats()["events"]["log_bytes"] < 1 << 18


def test_hold_subscription_that_never_reads_makes_offers_wait_and_is_named(node, monkeypatch):
    monkeypatch.setenv("MAESTRO_POOL_LOG", "64KiB")
    with open_session(node, "producer", timeout=1) as session, open_session(node, "sleeper", rank=3) as sleeper:
        asleep = sleeper.subscribe(window=1 << 18, hold=True)
        taken = session.offer_many(number=range(8000))
        session.flush()
        with pytest.raises(maestro.TimeoutError, match=r"sleeper\[3\] \(process \d+\) holds offers"):  # noqa: PT012
            for number in range(taken, 100_000):
                began = time.monotonic()
                offered = session.cdo(number=number)
                offered.offer(wait=True)
                taken = number + 1
        assert 0.9 < time.monotonic() - began < 3
        assert offered["number"] == session.count() == taken
        numbers = [event.cdo["number"] for event in asleep.events(timeout=0.5)]
        assert numbers == list(range(taken))  # whoever holds loses nothing
        session.cdo(number=200_000).offer(wait=True)


def test_a_refusal_is_told_once(node):
    with open_session(node, "producer") as session:
        kept = session.offer(None, number=1)
        with pytest.raises(maestro.DuplicateError):
            session.cdo(number=1).offer(wait=True)
        session.flush()
        assert not kept.gone


def test_flush_behind_held_offers_names_the_holder(node, monkeypatch):
    monkeypatch.setenv("MAESTRO_POOL_LOG", "64KiB")
    session = open_session(node, "producer", timeout=1)
    with open_session(node, "sleeper", rank=3) as sleeper:
        asleep = sleeper.subscribe(window=1 << 18, hold=True)
        try:
            with pytest.raises(maestro.TimeoutError, match=r"sleeper\[3\] \(process \d+\) holds offers"):  # noqa: PT012
                for first in range(0, 100_000, 1000):
                    session.offer_many(number=range(first, first + 1000))
                    session.flush()
        finally:
            asleep.dispose()
            with contextlib.suppress(maestro.MaestroError):
                session.close()


def test_full_pool_names_its_holder_and_serves_whoever_holds_leases(node, monkeypatch):
    monkeypatch.setenv("MAESTRO_POOL_MEMORY", "32MiB")
    with open_session(node, "producer", timeout=0.5) as session, open_session(node, "worker", timeout=0.5) as worker:
        with pytest.raises(maestro.MemoryError, match=r"pool is full.*producer\[0\] \d+ MiB"):  # noqa: PT012
            for number in range(100):
                with session.cdo(number=number) as cdo:
                    cdo.empty(MIB)[:] = number
                    cdo.offer()
        session.flush()
        taken = session.count()
        assert 16 < taken <= 32
        with pytest.raises(maestro.MemoryError):
            worker.cdo(number=1).empty(MIB)
        leased = worker.demand("maestro.component = producer and number = 0")
        with worker.cdo(number=1) as product:  # what it reads can become something, so that it can be given back
            product.empty(MIB)[:] = leased.array()[0] + 1
            product.offer()
        with pytest.raises(maestro.TooLargeError):
            session.cdo(number=101).empty(64 * MIB)
        waits = session.demand_start("maestro.component = worker", timeout=5).wait()
        assert (waits.array() == 1).all()
        assert (leased.array() == 0).all()
        leased.dispose()


def test_alloc_that_waits_takes_own_memory_that_comes_back(node, monkeypatch):
    monkeypatch.setenv("MAESTRO_POOL_MEMORY", "16MiB")
    with open_session(node, "producer", timeout=3) as session, open_session(node, "worker") as worker:
        session.offer_many([bytes(MIB)] * 16, number=range(16))
        leased = worker.demand("number = 5")
        withdrawal = threading.Thread(target=session.withdraw, args=["number = 5"])
        withdrawal.start()
        later = threading.Timer(0.3, leased.dispose)
        later.start()
        try:
            session.cdo(number=100).empty(MIB)
        finally:
            later.join()
            withdrawal.join()


@pytest.mark.parametrize("who", ["itself", "another"])
def test_free_segments_are_given_back_to_who_needs_them(node, monkeypatch, who):
    monkeypatch.setenv("MAESTRO_POOL_MEMORY", "16MiB")
    with open_session(node, "producer", timeout=1) as session, open_session(node, "another", timeout=1) as another:
        session.offer_many([bytes(MIB)] * 16, number=range(16))
        assert session.withdraw("number >= 0") == 16
        (session if who == "itself" else another).cdo(number=100).empty(8 * MIB)
