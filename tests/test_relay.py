"""Relays pass on what others have offered elsewhere: what they offer keeps who offered it, its version, and where it comes from."""

import pytest
from poolside import raises

import maestro

ORIGIN = {"maestro.component": "hammer", "maestro.rank": 3}


def test_a_relayed_object_is_its_producers(pool):
    relay, consumer = pool.session("link", relay=True), pool.session("consumer")
    relay.offer(b"bytes", {**ORIGIN, "maestro.node": "n1"}, param="t", step=0).wait()
    cdo = consumer.demand("maestro.component = hammer and maestro.node = n1", timeout=2)
    assert (bytes(cdo), cdo["maestro.component"], cdo["maestro.rank"], cdo["param"]) == (b"bytes", "hammer", 3, "t")


def test_what_a_relay_offers_by_itself_is_its_own(pool):
    relay = pool.session("link", relay=True)
    relay.offer(None, param="t", step=0).wait()
    cdo = relay.demand("param = t", timeout=2)
    assert (cdo["maestro.component"], "maestro.node" in cdo) == ("link", False)


def test_identities_of_producers_do_not_meet_in_a_relay(pool):
    relay = pool.session("link", relay=True)
    for rank in range(3):
        relay.offer(None, {**ORIGIN, "maestro.rank": rank}, param="t", step=0).wait()
    with pytest.raises(maestro.DuplicateError):
        relay.offer(None, {**ORIGIN, "maestro.rank": 1}, param="t", step=0).wait()
    assert relay.count() == 3


def test_versions_are_kept_and_old_ones_come_too_late(pool, tmp_path):
    schema = tmp_path / "versions.yaml"
    schema.write_text("schema: versions\nattributes:\n  hour: {type: i64, identity: true}\nduplicate: version\n")
    relay = pool.session("link", schema=str(schema), relay=True)
    for version in (4, 7):
        relay.offer(b"%d" % version, {**ORIGIN, "maestro.version": version}, hour=1).wait()
    with pytest.raises(maestro.DuplicateError):
        relay.offer(b"5", {**ORIGIN, "maestro.version": 5}, hour=1).wait()
    newest = relay.demand("hour = 1", timeout=2)
    assert (bytes(newest), newest["maestro.version"]) == (b"7", 7)
    relay.offer(b"own", hour=1).wait()
    relay.offer(b"own", hour=1).wait()
    assert relay.demand("hour = 1 and maestro.component = link", timeout=2)["maestro.version"] == 2


def test_nobody_else_may_say_who_offered(pool):
    session = pool.session("producer")
    for key, value in {**ORIGIN, "maestro.node": "n1", "maestro.version": 2}.items():
        with raises(maestro.ArgumentError, key, "Maestro sets it itself"):
            session.offer(None, {key: value}, param="t", step=0)


def test_a_relay_says_all_or_nothing(pool):
    relay, bystander = pool.session("link", relay=True), pool.session("bystander")
    with raises(maestro.ArgumentError, "maestro.component and maestro.rank"):
        relay.offer(None, {"maestro.component": "hammer"}, param="t", step=0)
    assert bystander.count() == 0


def test_what_a_relay_brings_back_waits_for_no_archive(pool):
    relay = pool.session("archive", relay=True)
    cdo = relay.offer(b"kept", {**ORIGIN, "maestro.persist": True}, param="t", step=0)
    cdo.wait()
    cdo.withdraw(timeout=2)
    assert relay.count() == 0


def test_parts_of_relays_and_of_producers_make_no_object_together(pool):
    """A relay that brings an older record must not complete a newer one with it."""
    relay, producer, reader = pool.session("archive", relay=True), pool.session("model"), pool.session("reader")
    whole = {"maestro.parts": 2, "maestro.component": "model", "maestro.rank": 0}
    producer.offer(b"new", {"maestro.parts": 2, "maestro.part": 0}, param="t", step=0)
    producer.flush()
    relay.offer(b"old", {**whole, "maestro.part": 1}, param="t", step=0)
    relay.flush()
    assert reader.count() == 0
    producer.offer(b"newer", {"maestro.parts": 2, "maestro.part": 1}, param="t", step=0)
    with reader.demand("param = t", timeout=2) as cdo, cdo.part(1) as part:
        assert (bytes(cdo), bytes(part)) == (b"new", b"newer")


def test_a_relay_that_leaves_takes_its_unfinished_objects_along(pool):
    reader = pool.session("reader")
    events = reader.subscribe(kinds="incomplete", start="now")
    relays = [pool.session("maestro-restore", relay=True) for _ in range(2)]
    relays[0].offer(b"half", {**ORIGIN, "maestro.parts": 2, "maestro.part": 0}, param="t", step=0)
    relays[0].flush()
    relays[0].close()
    assert events.next(timeout=2).cdo["maestro.missing"] == "1"
    for part in range(2):
        relays[1].offer(b"whole", {**ORIGIN, "maestro.parts": 2, "maestro.part": part}, param="t", step=0)
    assert bytes(reader.demand("param = t", timeout=2)) == b"whole"


def test_versions_of_relays_begin_at_one(pool, tmp_path):
    schema = tmp_path / "versions.yaml"
    schema.write_text("schema: versions\nattributes:\n  hour: {type: i64, identity: true}\nduplicate: version\n")
    relay = pool.session("link", schema=str(schema), relay=True)
    with raises(maestro.AttributeValueError, "versions begin at 1"):
        relay.offer(None, {**ORIGIN, "maestro.version": -1}, hour=1)


def test_reading_parts_is_one_reading(pool):
    producer, reader = pool.session("model"), pool.session("reader")
    for part in range(2):
        producer.offer(b"x", {"maestro.parts": 2, "maestro.part": part, "maestro.demands": 2}, param="t", step=0)
    producer.flush()
    for left in (1, 0):
        with reader.demand("param = t", timeout=2) as cdo, cdo.part(1) as part:
            assert bytes(part) == b"x"
        reader.flush()
        assert reader.count() == left


def test_a_look_is_no_need(pool):
    watcher, reader = pool.session("watcher").subscribe(kinds="required,retracted", start="now"), pool.session("reader")
    with pytest.raises(maestro.TimeoutError):
        reader.demand("param = t", timeout=0)
    assert watcher.next(timeout=0.2) is None
