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
