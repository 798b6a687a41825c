"""How long objects live: those with a lifetime expire, and are named so; versions take each other's place; how far identities reach."""

import gc
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from poolside import managers, raises, within

import maestro

SCHEMA = """
schema: series
attributes:
  station: {type: string, required: true, identity: true, common: true}
  hour:    {type: i64, identity: true}
  note:    {type: string}
"""


@pytest.fixture
def schema(tmp_path):
    """Writes the schema with further lines; its path."""

    def write(*lines):
        path = tmp_path / "series.yaml"
        path.write_text(SCHEMA + "\n".join(lines) + "\n")
        return str(path)

    return write


# ---- Lifetimes
def test_an_object_expires_and_is_named_so(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    watch = consumer.subscribe(kinds="expired,withdrawn", start="now")
    producer.offer(b"bytes", {"maestro.lifetime": 0.4}, param="t", step=1)
    producer.offer(b"bytes", param="t", step=2)
    producer.flush()
    assert bytes(consumer.demand("step = 1")) == b"bytes"
    event = watch.next(timeout=2)
    assert (event.kind, event.cdo["step"], event.component) == ("expired", 1, "producer")
    assert [cdo["step"] for cdo in consumer.query()] == [2]
    with raises(maestro.TimeoutError, "one that matches expired 0.", "step=1"):
        consumer.demand("step = 1", timeout=0.1)
    assert consumer.stats()["objects"]["expired_total"] == 1


def test_lifetimes_end_in_their_order_and_withdrawn_objects_do_not_expire(pool):
    producer, watch = pool.session("producer"), pool.session("watcher").subscribe(kinds="expired", start="now")
    lifetimes = [0.5, 0.1, 0.3, 0.2, 0.4]
    cdos = [producer.offer(None, {"maestro.lifetime": s}, param="t", step=i) for i, s in enumerate(lifetimes)]
    cdos[3].withdraw()
    assert [event.cdo["step"] for event in watch.events(timeout=0.6)] == [1, 2, 4, 0]


def test_many_expire_together(pool):
    producer = pool.session("producer")
    producer.offer_many(None, {"maestro.lifetime": 0.3}, param="t", step=range(5000))
    producer.flush()
    assert producer.count() == 5000
    within(2, lambda: producer.count() == 0)


def test_lease_outlasts_the_lifetime(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    producer.offer(np.arange(1000.0), {"maestro.lifetime": 0.1}, param="t", step=1)
    array = consumer.demand("step = 1").array()
    within(2, lambda: producer.count() == 0)
    producer.offer(np.zeros(1000), param="t", step=2)
    assert (array == np.arange(1000.0)).all()


def test_lifetime_zero_is_for_who_waits(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    subscription = consumer.subscribe("param = t")
    waiting = consumer.demand_start("param = t")
    producer.offer(b"now", {"maestro.lifetime": 0}, param="t", step=1)
    assert bytes(subscription.next(timeout=2)) == bytes(waiting.wait()) == b"now"
    within(1, lambda: producer.count() == 0)


def test_pool_stays_for_a_lifetime_and_no_longer(pool):
    """A producer that offers for three seconds and goes: there within them, named as expired behind them, and then the pool goes too."""
    pool.set(MAESTRO_LINGER_S="0.3")
    with pool.session("producer") as producer:
        producer.offer(b"bytes", {"maestro.lifetime": 3}, param="t", step=1)
    manager = pool.manager()
    time.sleep(1.5)
    with pool.session("early") as consumer:
        assert bytes(consumer.demand("step = 1", timeout=1)) == b"bytes"
    time.sleep(1.3)
    with pool.session("late") as consumer:
        within(2, lambda: consumer.count() == 0)
        with raises(maestro.TimeoutError, "expired"):
            consumer.demand("step = 1", timeout=0.1)
    within(3, lambda: not os.path.exists(f"/proc/{manager}"))


def test_withdraw_when_consumed_is_done_when_the_object_expires(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    subscription = consumer.subscribe("param = t")
    cdo = producer.offer(None, {"maestro.lifetime": 0.3}, param="t", step=1)
    held = subscription.next(timeout=2)
    request = cdo.withdraw_start(when="consumed")
    within(2, lambda: producer.count() == 0)
    assert not request.test()
    held.dispose()
    request.wait(2)


def test_lifetimes_of_objects_that_have_gone_take_no_room_and_hold_no_pool(pool, schema):
    pool.set(MAESTRO_LINGER_S="0")
    with pool.session("producer", schema=schema("duplicate: version")) as producer:
        for seconds in (3600.0, 60.0, 7200.0):
            producer.offer_many(None, {"maestro.lifetime": seconds}, station="x", hour=range(1000))
        producer.flush()
        assert producer.stats()["objects"]["with_lifetime"] == 1000
        producer.withdraw("hour > 99")
        assert producer.stats()["objects"]["with_lifetime"] == 100
        producer.withdraw("hour >= 0")
    within(2, lambda: not managers(pool.folder))


def test_lifetimes_keep_their_order_when_others_are_withdrawn(pool):
    """Any of them may be taken out: the rest expire as they would have."""
    producer, watch = pool.session("producer"), pool.session("watcher").subscribe(kinds="expired", start="now")
    lifetimes = [0.3 + 0.001 * (i * 37 % 200) for i in range(200)]
    cdos = [producer.offer(None, {"maestro.lifetime": s}, param="t", step=i) for i, s in enumerate(lifetimes)]
    for cdo in cdos[::3]:
        cdo.withdraw()
    came = [lifetimes[event.cdo["step"]] for event in watch.events(timeout=0.5)]
    assert came == sorted(s for i, s in enumerate(lifetimes) if i % 3)


# ---- Demands
def test_an_object_expires_after_so_many_readings(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    watch = consumer.subscribe(kinds="expired", start="now")
    cdo = producer.offer(b"thrice", {"maestro.demands": 3}, param="t", step=1)
    subscription = consumer.subscribe("param = t")
    with subscription.next(timeout=2) as read:
        assert bytes(read) == b"thrice"
    with consumer.demand("param = t"):
        assert producer.count() == 1
    assert [bytes(cdo) for cdo in consumer.query("param = t")] == [b"thrice"]
    gc.collect()
    event = watch.next(timeout=2)
    assert (event.cdo["step"], event.component) == (1, "producer")
    with raises(maestro.TimeoutError, "one that matches expired", "after 3 demands", "step=1"):
        consumer.demand("param = t", timeout=0.1)
    with raises(maestro.WithdrawnError, "expired", "after 3 demands"):
        cdo.withdraw()


def test_what_is_not_read_is_no_demand(pool):
    """Rejected, unread in a window, in the hands of one that died, observed, or looked at by the command line."""
    producer, consumer = pool.session("producer"), pool.session("consumer")
    producer.offer(b"once", {"maestro.demands": 1}, param="t", step=1)
    consumer.demand("param = t").reject()
    with consumer.subscribe("param = t") as unread:
        assert unread.fileno() >= 0
        within(2, lambda: pool_leases(producer) == 1)
    with consumer.subscribe("param = t", observe=True) as observer:
        observer.next(timeout=2).dispose()
    dying = pool.program("s = Session(schema='mars')\ncdo = s.demand('param = t')\nprint('has it')\nsys.stdin.read()")
    dying.expect("has it")
    dying.kill()
    looked = subprocess.run([sys.executable, "-m", "maestro.cli", "ls"], check=True, capture_output=True, text=True)
    assert looked.stdout.startswith("1 objects")
    within(2, lambda: pool_leases(producer) == 0)
    assert producer.count() == 1
    consumer.demand("param = t").dispose()
    within(2, lambda: producer.count() == 0)


def pool_leases(session):
    return session.stats()["leases"]["live"]


def test_the_last_demand_ends_an_object_that_others_read_on(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    producer.offer(np.arange(10.0), {"maestro.demands": 1}, param="t", step=1)
    kept = consumer.demand("param = t").array()
    consumer.demand("param = t").dispose()
    within(2, lambda: producer.count() == 0)
    producer.offer(np.zeros(10), param="t", step=2).wait()
    assert (kept == np.arange(10.0)).all()


def test_demands_and_a_lifetime_end_at_what_comes_first(pool):
    session = pool.session()
    both = {"maestro.demands": 2, "maestro.lifetime": 0.3}
    session.offer(None, both, param="t", step=1)
    session.offer(None, both, param="t", step=2)
    for _ in range(2):
        session.demand("step = 2").dispose()
    within(0.2, lambda: session.count() == 1)
    within(1, lambda: session.count() == 0)
    with raises(maestro.TimeoutError, "after its lifetime of 0.3 s"):
        session.demand("step = 1", timeout=0)


def test_demands_below_one_are_refused(pool):
    session = pool.session()
    for offer in (
        lambda: session.offer(None, {"maestro.demands": 0}, param="t"),
        lambda: session.offer_many(None, {"maestro.demands": -1}, param="t", step=[1, 2]),
    ):
        with raises(maestro.AttributeValueError, "maestro.demands", "at least once"):
            offer()


# ---- For ever
def test_a_persistent_object_is_withdrawn_once_an_archive_has_acknowledged_it(pool):
    producer, archive = pool.session("producer"), pool.session("archive")
    cdo = producer.offer(b"precious", {"maestro.persist": True}, param="t", step=1)
    with raises(maestro.TimeoutError, "no archive has acknowledged 1"):
        cdo.withdraw(timeout=0.2)
    assert producer.count() == 1
    request = cdo.withdraw_start(timeout=10)
    painter = pool.session("painter").subscribe(group="paint")
    painter.next(timeout=2).dispose()  # a group, and no archive
    copies = archive.subscribe("param = t", group="archive")
    copy = copies.next(timeout=2)
    assert not request.test()
    copy.reject()
    copy = copies.next(timeout=2)
    assert copy.redelivered
    assert not request.test()
    copy.dispose()
    request.wait(2)
    assert producer.count() == 0


def test_a_persistent_object_that_is_archived_is_withdrawn_as_any_other(pool):
    producer = pool.session("producer")
    cdo = producer.offer(b"precious", {"maestro.persist": True}, param="t", step=1)
    archive = pool.session("archive").subscribe(group="archive-1")
    archive.next(timeout=2).dispose()
    archive.dispose()
    cdo.withdraw(timeout=2)


def cpu_seconds(pid):
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_the_pool_stays_until_what_is_to_be_kept_is_archived(pool):
    pool.set(MAESTRO_LINGER_S="0")
    with pool.session("producer") as producer:
        producer.offer(b"precious", {"maestro.persist": True}, param="t", step=1)
    manager = pool.manager()
    before = cpu_seconds(manager)
    time.sleep(0.3)
    assert pool.manager() == manager
    assert cpu_seconds(manager) - before < 0.1  # it sleeps
    with pool.session("archive") as session, session.subscribe(group="archive") as archive, archive.next(timeout=2) as copy:
        assert bytes(copy) == b"precious"
    within(2, lambda: not managers(pool.folder))


def test_no_version_takes_the_place_of_one_that_awaits_its_archive(pool, schema):
    session = pool.session("producer", schema=schema("duplicate: version"))
    session.offer(b"one", {"maestro.persist": True}, station="x", hour=1).wait()
    with raises(maestro.DuplicateError, "not newer than what is there", "no archive has acknowledged it"):
        session.offer(b"two", station="x", hour=1).wait()
    archive = session.subscribe(group="archive")
    archive.next(timeout=2).dispose()
    session.offer(b"two", station="x", hour=1).wait()
    assert bytes(session.demand("station = x")) == b"two"


def test_for_ever_and_an_end_exclude_each_other(pool):
    session = pool.session()
    for end in ({"maestro.lifetime": 3.0}, {"maestro.demands": 3}):
        with raises(maestro.AttributeValueError, "maestro.persist", "set one of them"):
            session.offer(None, {"maestro.persist": True, **end}, param="t")
    session.offer(None, {"maestro.persist": False, "maestro.lifetime": 0}, param="t", step=1)


# ---- Versions
def test_an_identity_that_is_offered_again_becomes_the_next_version(pool, schema):
    path = schema("duplicate: version")
    producer, consumer = pool.session("producer", schema=path), pool.session("consumer", schema=path)
    watch = consumer.subscribe(kinds="offered,withdrawn")
    first = producer.offer(b"one", station="x", hour=1)
    reader = consumer.demand("station = x", timeout=2)
    assert (bytes(reader), reader["maestro.version"]) == (b"one", 1)
    producer.offer(b"two", station="x", hour=1)
    producer.offer(b"other", station="y", hour=1)
    producer.flush()
    newest = consumer.demand("station = x", timeout=2)
    assert (bytes(newest), newest["maestro.version"]) == (b"two", 2)
    assert bytes(reader) == b"one"  # who read that one reads on
    assert consumer.count() == 2
    assert [(e.kind, e.cdo["station"], e.cdo["maestro.version"]) for e in watch.events(timeout=0.3)] == [
        ("offered", "x", 1), ("withdrawn", "x", 1), ("offered", "x", 2), ("offered", "y", 1),
    ]  # fmt: skip
    with raises(maestro.WithdrawnError, "not in the pool"):
        first.withdraw()
    assert consumer.count("maestro.version = 2") == 1


def test_versions_in_columns(pool, schema):
    path = schema("duplicate: version")
    producer, consumer = pool.session("producer", schema=path), pool.session("consumer", schema=path)
    subscription = consumer.subscribe()
    for _ in range(3):
        producer.offer_many(station="x", hour=range(100))
    producer.offer_many(station="x", hour=[7, 7, 7])
    producer.flush()
    assert consumer.count() == 100
    versions = {cdo["hour"]: cdo["maestro.version"] for cdo in consumer.query()}
    assert versions == {hour: 6 if hour == 7 else 3 for hour in range(100)}
    events = list(subscription.events(timeout=0.3))
    assert len(events) == 303
    for hour, group in itertools.groupby(sorted(events, key=lambda e: (e.cdo["hour"], e.sequence)), key=lambda e: e.cdo["hour"]):
        assert [e.cdo["maestro.version"] for e in group] == list(range(1, 7 if hour == 7 else 4)), hour


def test_a_new_identity_behind_an_old_one_in_a_run_is_version_one(pool, schema):
    producer = pool.session("producer", schema=schema("duplicate: version"))
    for _ in range(3):
        producer.offer_many(station="x", hour=[7])
    producer.offer_many(station="x", hour=[6, 7, 200])
    producer.flush()
    assert {cdo["hour"]: cdo["maestro.version"] for cdo in producer.query()} == {6: 1, 7: 4, 200: 1}


def test_version_takes_the_place_of_one_that_is_being_withdrawn(pool, schema):
    path = schema("duplicate: version")
    producer, consumer = pool.session("producer", schema=path), pool.session("consumer", schema=path)
    subscription = consumer.subscribe()
    first = producer.offer(b"one", station="x", hour=1)
    held = subscription.next(timeout=2)
    request = first.withdraw_start(when="consumed")
    assert producer.count() == 1  # requests and offers have rings of their own: now the first has been served
    producer.offer(b"two", station="x", hour=1).wait()
    assert not request.test()
    held.dispose()
    request.wait(2)
    assert bytes(consumer.demand("station = x", timeout=2)) == b"two"


def test_version_is_not_for_programs_to_set(pool, schema):
    session = pool.session("producer", schema=schema("duplicate: version"))
    with raises(maestro.ArgumentError, "maestro.version", "Maestro sets it itself"):
        session.offer(None, {"maestro.version": 7}, station="x")


def test_without_versions_a_second_one_is_refused(pool, schema):
    path = schema("duplicate: error")
    producer, consumer = pool.session("producer", schema=path), pool.session("consumer", schema=path)
    producer.offer(b"one", station="x", hour=1)
    with raises(maestro.DuplicateError, "station=x", "withdraw that one first"):
        producer.offer(b"two", station="x", hour=1).wait()
    assert bytes(consumer.demand("station = x")) == b"one"
    assert "maestro.version" not in consumer.demand("station = x")


# ---- Reach
def test_reach_says_whether_producers_can_have_the_same_identity(pool, schema):
    path = schema("reach: node")
    one, two = pool.session("one", schema=path), pool.session("two", schema=path)
    one.offer(None, station="x", hour=1).wait()
    two.offer(None, station="x", hour=1).wait()
    assert one.count("station = x") == 2


def test_identities_that_reach_the_pool_are_one_for_all_producers(pool, schema):
    path = schema("reach: pool")
    one, two = pool.session("one", schema=path), pool.session("two", schema=path)
    one.offer(None, station="x", hour=1).wait()
    with raises(maestro.DuplicateError, "another session has offered", "schema series reach the whole pool"):
        two.offer(None, station="x", hour=1).wait()
    two.offer_many(station="x", hour=[2, 3])
    two.flush()
    with raises(maestro.DuplicateError):
        one.offer_many(station="x", hour=[3, 4])
        one.flush()
    assert one.count() == 4


def test_version_of_one_producer_replaces_that_of_another_where_identities_reach_the_pool(pool, schema):
    path = schema("reach: pool", "duplicate: version")
    one, two = pool.session("one", schema=path), pool.session("two", schema=path)
    cdo = one.offer(b"one", station="x", hour=1)
    cdo.wait()
    two.offer(b"two", station="x", hour=1).wait()
    newest = one.demand("station = x", timeout=2)
    assert (bytes(newest), newest["maestro.version"], newest["maestro.component"]) == (b"two", 2, "two")
    one.cdo(station="z", hour=1).empty(1 << 20)  # the first one's block is its producer's again
    assert one.count() == 1
