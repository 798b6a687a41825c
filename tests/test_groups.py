"""Consumer groups: every group gets every object, one member each; what is not acknowledged goes to another member, and says so."""

import collections
import itertools
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from poolside import raises, takes_less_than, within

import maestro
from maestro.cli import telemetry, top
from maestro.cli.stats import prometheus_lines


def take_all(*subscriptions, timeout=0.3):
    """Steps by subscription, taken in turn and acknowledged."""
    steps = [[] for _ in subscriptions]
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < timeout:
        for subscription, got in zip(subscriptions, steps, strict=True):
            while (cdo := subscription.next(timeout=0)) is not None:
                with cdo:
                    got.append(cdo["step"])
                idle_since = time.monotonic()
        time.sleep(0.001)
    return steps


def group_of(session, name="paint"):
    return next((group for group in session.stats()["groups"] if group["name"] == name), None)


def test_every_group_gets_every_object_and_one_member_each(pool):
    producer = pool.session("producer")
    producer.offer_many(param="t", step=range(500))
    members = {name: [pool.session(name).subscribe("param = t", group=name) for _ in range(2)] for name in ("paint", "count")}
    producer.offer_many(param="t", step=range(500, 1000))
    producer.offer_many(param="u", step=range(100))
    got = take_all(*members["paint"], *members["count"])
    for name, shares in (("paint", got[:2]), ("count", got[2:])):
        assert sorted(itertools.chain(*shares)) == list(range(1000)), name
        assert all(shares)
    within(2, lambda: group_of(producer)["acknowledged"] == 1000)  # the manager may answer before it has read what members wrote
    assert group_of(producer)["redelivered"] == 0


def test_share_follows_demand(pool):
    """Who is slow gets little, and hoards no more."""
    producer, slow = pool.session("producer"), pool.session("slow").subscribe("param = t", group="paint")
    fast = pool.session("fast").subscribe("param = t", group="paint")
    producer.offer_many(param="t", step=range(1000))
    first = slow.next(timeout=2)
    assert first["step"] in range(2)
    assert len(take_all(fast)[0]) >= 1000 - 2  # the slow one has two: the one it works at, and the next
    first.dispose()
    assert len(take_all(slow, fast)[0]) == 1


def test_limit_of_a_member(pool):
    producer = pool.session("producer")
    member = pool.session("member").subscribe("param = t", group="paint", limit=3)
    producer.offer_many(param="t", step=range(10))
    held = []
    while (cdo := member.next(timeout=0.2)) is not None:
        held.append(cdo)
    assert 2 <= len(held) <= 3
    for cdo in held:
        cdo.dispose()
    assert len(held) + len(take_all(member)[0]) == 10


def test_a_member_may_have_more_at_hand_than_its_pace_suggests(pool):
    producer = pool.session("producer")
    eager = pool.session("eager").subscribe("param = t", group="paint", prefetch=20)
    other = pool.session("other").subscribe("param = t", group="paint", prefetch=20, limit=5)
    producer.offer_many(param="t", step=range(100))
    held = {}
    for member in (eager, other):
        held[member] = member.next_many(100, timeout=2)
        while more := member.next_many(100, timeout=0.2):
            held[member] += more
    assert (len(held[eager]), len(held[other])) == (20, 5)
    with raises(maestro.ArgumentError, "prefetch", "16777215"):
        pool.session().subscribe("param = t", group="paint", prefetch=1 << 24)
    with raises(maestro.ArgumentError, "prefetch", "consumer group"):
        pool.session().subscribe("param = t", prefetch=2)


def test_what_a_killed_member_had_goes_to_another_one_and_says_so(pool):
    producer, other = pool.session("producer"), pool.session("other")
    survivor = other.subscribe("param = t", group="paint")
    child = os.fork()
    if child == 0:
        with maestro.Session(component="victim", schema="mars") as session:
            subscription = session.subscribe("param = t", group="paint")
            kept = [subscription.next(timeout=5) for _ in range(2)]
            assert all(kept)
            time.sleep(60)
        os._exit(0)
    within(5, lambda: len(group_of(producer)["members"]) == 2)
    producer.offer_many(param="t", step=range(100))
    within(5, lambda: any(m["component"] == "victim" and m["unacknowledged"] for m in group_of(producer)["members"]))
    got = collections.Counter(take_all(survivor)[0])
    assert len(got) < 100
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    redelivered = []
    while (cdo := survivor.next(timeout=0.5)) is not None:
        assert cdo.redelivered
        redelivered.append(cdo["step"])
        cdo.dispose()
    assert sorted([*got, *redelivered]) == list(range(100))
    assert group_of(producer)["redelivered"] == len(redelivered) > 0


def test_rejected_objects_and_those_of_a_failed_block_go_to_another_member(pool):
    producer = pool.session("producer")
    member = pool.session("member").subscribe("param = t", group="paint", limit=1)
    producer.offer(None, param="t", step=1)
    producer.offer(None, param="t", step=2)
    cdo = member.next(timeout=2)
    assert not cdo.redelivered
    cdo.reject()
    cdo = member.next(timeout=2)
    assert (cdo["step"], cdo.redelivered) == (1, True)
    with pytest.raises(ZeroDivisionError), cdo:
        raise ZeroDivisionError
    with member.next_event(timeout=2).cdo as cdo:
        assert (cdo["step"], cdo.redelivered) == (1, True)
    with member.next(timeout=2) as cdo:
        assert (cdo["step"], cdo.redelivered) == (2, False)
    within(2, lambda: group_of(producer)["acknowledged"] == 2)


def test_what_takes_too_long_goes_to_another_member(pool):
    producer = pool.session("producer")
    stuck = pool.session("stuck").subscribe("param = t", group="paint", limit=1, acknowledge_within=0.2)
    producer.offer(np.arange(3.0), param="t", step=1)
    cdo = stuck.next(timeout=2)
    values = cdo.array()
    other = pool.session("other").subscribe("param = t", group="paint")
    again = other.next(timeout=2)
    assert (again["step"], again.redelivered) == (1, True)
    assert values.tolist() == [0, 1, 2]  # its lease lasts
    again.dispose()
    del values
    cdo.dispose()  # too late to count
    state = within(2, lambda: (g := group_of(producer))["acknowledged"] and g)
    assert (state["acknowledged"], state["overdue"], state["redelivered"]) == (1, 1, 1)


def test_member_that_leaves_in_good_order_gives_back_what_it_did_not_read(pool):
    producer, leaver = pool.session("producer"), pool.session("leaver")
    subscription = leaver.subscribe("param = t", group="paint")
    producer.offer_many(param="t", step=range(50))
    with subscription.next(timeout=2) as cdo:
        first = cdo["step"]
    subscription.dispose()
    rest = take_all(pool.session("heir").subscribe("param = t", group="paint"))[0]
    assert sorted([first, *rest]) == list(range(50))


def test_group_without_members_goes_on_where_it_was(pool):
    producer = pool.session("producer")
    with pool.session("first") as session:
        first = take_all(session.subscribe("param = t", group="paint"))[0]
        assert first == []
    producer.offer_many(param="t", step=range(20))
    producer.flush()
    assert group_of(producer)["lag"] >= 20
    assert sorted(take_all(pool.session("second").subscribe("param = t", group="paint"))[0]) == list(range(20))


def test_group_without_members_ends_in_time(pool):
    pool.set(MAESTRO_POOL_GROUP_S="0.2")
    producer = pool.session("producer")
    with pool.session("first") as session:
        session.subscribe("param = t", group="paint")
    assert group_of(producer)
    within(3, lambda: group_of(producer) is None)


def test_withdraw_when_consumed_waits_for_groups(pool):
    producer = pool.session("producer")
    member = pool.session("member").subscribe("param = t", group="paint", limit=1)
    cdos = [producer.offer(None, param="t", step=step) for step in range(3)]
    first = member.next(timeout=2)
    requests = [cdo.withdraw_start(when="consumed") for cdo in cdos]
    first.reject()
    time.sleep(0.2)
    assert producer.count() == 3
    assert not any(request.test() for request in requests)
    assert sorted(take_all(member)[0]) == [0, 1, 2]
    for request in requests:
        request.wait(2)
    assert producer.count() == 0


def test_object_withdrawn_before_its_turn_is_passed_over(pool):
    producer = pool.session("producer")
    member = pool.session("member").subscribe("param = t", group="paint", limit=1)
    producer.offer_many(param="t", step=range(4))
    first = member.next(timeout=2)
    producer.withdraw("step in (1, 2)")
    first.dispose()
    assert take_all(member)[0] == [3]
    assert member.passed_over == 2


def test_slow_group_makes_producers_wait_and_is_named(pool):
    pool.set(MAESTRO_POOL_LOG="64KiB")
    producer = pool.session("producer", timeout=0.5)
    member = pool.session("worker").subscribe("param = t", group="paint", limit=1)
    producer.offer(None, param="t", step=0)
    first = member.next(timeout=2)
    with raises(maestro.TimeoutError, "consumer group paint holds offers", "worker[0]", "1 objects unacknowledged"):
        producer.offer_many(param="t", step=range(1, 20000))
        producer.flush()
    first.dispose()
    assert len(take_all(member)[0]) > 5000


def test_wrong_use_is_refused_in_words(pool):
    session = pool.session("member")
    session.subscribe("param = t", group="paint")
    with raises(maestro.ArgumentError, 'consumer group paint selects "param = t"', "choose another name"):
        session.subscribe("param = u", group="paint")
    with raises(maestro.ArgumentError, "shares offered objects"):
        session.subscribe(kinds="offered,left", group="other")
    with raises(maestro.ArgumentError, "shares offered objects"):
        session.subscribe(start="query", group="other")
    with raises(maestro.ArgumentError, "name has 64 bytes", "1 to 63"):
        session.subscribe(group="g" * 64)
    with raises(maestro.ArgumentError, "control characters"):
        session.subscribe(group="a\nb")
    with raises(maestro.ArgumentError, "for members of a consumer group"):
        session.subscribe(limit=3)
    with raises(maestro.ArgumentError, "acknowledge_s is -1"):
        session.subscribe(group="other", acknowledge_within=-1)


def test_top_and_prometheus_show_groups(pool):
    producer = pool.session("producer")
    member = pool.session("painter").subscribe("param = t", group="paint", limit=1)
    producer.offer_many(param="t", step=range(5))
    held = member.next(timeout=2)
    stats = producer.stats()
    (row,) = [row for row in telemetry.screen(stats, stats, 1.0).components if row.component == "painter"]
    assert row.groups == {"paint": group_of(producer)["lag"]}
    assert top.notes(row)[0].startswith("group paint, lag ")
    lines = list(prometheus_lines(stats))
    where = f'pool="{stats["pool"]}",node="{stats["node"]}",group="paint"'
    assert f"maestro_group_unacknowledged{{{where}}} 1" in lines
    assert f"maestro_group_members{{{where}}} 1" in lines
    assert "# TYPE maestro_group_acknowledged_total counter" in lines
    held.dispose()


# ---- Times at which nobody else wakes the manager
def test_overdue_objects_are_handed_on_in_time_though_the_manager_sleeps(pool):
    producer = pool.session("producer")
    slow = pool.session("slow").subscribe("param = t", group="paint", acknowledge_within=0.2)
    producer.offer(None, param="t", step=1).wait()
    held = slow.next(timeout=2)
    other = pool.session("other").subscribe("param = t", group="paint", acknowledge_within=0.2)
    with takes_less_than(0.5):
        assert other.next(timeout=2).redelivered
    held.dispose()


def test_a_group_without_members_ends_in_time_though_one_that_left_keeps_an_object(pool):
    """What waits for the group goes on then: the withdrawal that waits until all have had the object."""
    pool.set(MAESTRO_POOL_GROUP_S="0.2")
    producer, consumer = pool.session("producer"), pool.session("consumer")
    member = consumer.subscribe("param = t", group="paint")
    producer.offer(None, param="t", step=1)
    kept = member.next(timeout=2)
    member.dispose()
    unseen = producer.offer(None, param="t", step=2)
    with takes_less_than(0.6):
        unseen.withdraw(when="consumed", timeout=5)
    assert group_of(producer) is None
    kept.dispose()  # of a group that is no more
    assert [cdo["step"] for cdo in producer.query()] == [1]


def test_the_manager_sleeps_when_groups_and_their_times_are_over(pool):
    pool.set(MAESTRO_POOL_GROUP_S="0.1")
    session = pool.session()
    member = session.subscribe("param = t", group="paint", acknowledge_within=0.1)
    session.offer(None, param="t", step=1)
    kept = member.next(timeout=2)
    member.dispose()
    within(2, lambda: group_of(session) is None)
    kept.dispose()
    time.sleep(0.2)
    began = processor_time(pool.manager())
    time.sleep(0.5)
    assert processor_time(pool.manager()) - began < 0.2


def processor_time(pid):
    """Seconds that the process has been on a core."""
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_few_objects_go_to_who_has_none(pool):
    producer = pool.session("producer")
    members = [pool.session(f"member{number}").subscribe("param = t", group="paint") for number in range(2)]
    for step in range(0, 100, 2):
        for more in range(2):
            producer.offer(None, param="t", step=step + more)
        producer.flush()
        for member in members:  # each has one, though one alone would be quick enough for both
            with member.next(timeout=5) as cdo:
                assert cdo["step"] in (step, step + 1)
            assert member.next(timeout=0) is None
        time.sleep(0.002)


def test_an_archive_that_lags_does_not_wake_the_manager_for_each_lease(pool):
    producer, reader = pool.session("producer"), pool.session("reader").subscribe("param = t")
    archive = pool.session("archive", priority="background").subscribe("param = t", group="archive", limit=1)
    producer.offer_many(param="t", step=range(400))
    within(5, lambda: group_of(producer, "archive")["lag"] >= 399)
    leased = [reader.next(timeout=5) for _ in range(400)]
    before, since = wake_ups(producer), time.monotonic()
    for cdo in leased:
        cdo.dispose()
        time.sleep(0.0002)
    assert wake_ups(producer) - before < 100 + 3 * (time.monotonic() - since) / 0.01  # it naps before it sleeps
    assert len(take_all(archive)[0]) == 400  # and it goes on by itself


def wake_ups(session):
    status = Path(f"/proc/{session.stats()['pid']}/status").read_text()
    return int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", status)[1])
