"""Priority classes and deadlines: who is served first, what a group hands out first, and that nobody starves."""

import contextlib
import os
import random
import signal
import statistics
import time
from datetime import UTC, datetime, timedelta

import pytest
from poolside import raises, within

import maestro

FLOOD = """
import os
os.nice(10)  # as `maestro run` starts what is in the background
session = Session(component="flood", schema="mars", priority="background")
print("up", flush=True)
step = 0
while True:
    session.offer_many(param="f", step=range(step, step + 1000))
    session.withdraw({"param": "f"})
    step += 1000
"""


def session_of(observer, component):
    return next(one for one in observer.stats()["sessions"] if one["component"] == component)


def in_turn(subscription):
    """Steps in the order in which they come, each acknowledged before the next."""
    while (cdo := subscription.next(timeout=0.3)) is not None:
        with cdo:
            yield cdo["step"]


@pytest.mark.parametrize("given", ["urgent", "background", "normal", None])
def test_objects_have_their_sessions_priority_unless_they_say_another(pool, given):
    session = pool.session(priority=given)
    session.offer(b"x", param="t", step=0)
    session.offer(b"x", {"maestro.priority": "normal"}, param="t", step=1)
    session.offer_many([b"x"] * 2, param="t", step=[2, 3])
    like = session.demand("step = 1")
    session.cdo(like, step=4).offer()
    found = {cdo["step"]: cdo.get("maestro.priority") for cdo in session.query()}
    default = None if given in (None, "normal") else given
    assert found == {0: default, 1: "normal", 2: default, 3: default, 4: "normal"}
    assert session_of(session, "tester")["priority"] == (given or "normal")


def test_priority_from_the_environment(pool):
    pool.set(MAESTRO_PRIORITY="background")
    assert session_of(pool.session("archive"), "archive")["priority"] == "background"
    assert session_of(pool.session("plot", priority="urgent"), "plot")["priority"] == "urgent"
    pool.set(MAESTRO_PRIORITY="high")
    with raises(maestro.ArgumentError, "MAESTRO_PRIORITY", "high", "urgent"):
        pool.session()
    with raises(maestro.ArgumentError, "priority='high'", "urgent, normal, background"):
        pool.session(priority="high")


def test_a_lagging_group_hands_out_urgent_objects_then_the_earliest_deadlines(pool):
    producer = pool.session("producer")
    member = pool.session("member").subscribe("param = t", group="g", limit=1)
    now = datetime.now(UTC)
    producer.offer_many(param="t", step=range(4))
    held = member.next(timeout=2)  # it has one in hand: whatever comes now has to wait
    producer.offer(b"", {"maestro.deadline": now + timedelta(hours=2)}, param="t", step=12)
    producer.offer(b"", {"maestro.deadline": now + timedelta(hours=1)}, param="t", step=11)
    producer.offer(b"", {"maestro.priority": "urgent"}, param="t", step=13)
    producer.offer(b"", {"maestro.priority": "urgent"}, param="u", step=14)
    producer.offer(b"", {"maestro.priority": "background"}, param="t", step=15)
    producer.flush()
    held.dispose()
    assert list(in_turn(member)) == [13, 11, 12, 1, 2, 3, 15]


def test_an_urgent_object_goes_before_thousands_with_deadlines(pool):
    producer = pool.session("producer")
    member = pool.session("member").subscribe("param = t", group="g", limit=1)
    producer.offer_many(param="t", step=[0])
    held = member.next(timeout=2)
    deadline = {"maestro.deadline": datetime.now(UTC) + timedelta(hours=1)}
    producer.offer_many(None, deadline, param="t", step=range(1, 10_001))
    producer.offer_many(None, {"maestro.priority": "urgent"}, param="u", step=range(1000))  # the group has to pass over them
    producer.offer(b"", {"maestro.priority": "urgent"}, param="t", step=20_000)
    producer.flush()
    held.dispose()
    got = [20_000, 1, 2]
    for step in got:
        with member.next(timeout=5) as cdo:
            assert cdo["step"] == step
    with pool.session("other").subscribe("param = t", group="g") as other:
        rest = [*in_turn(other), *in_turn(member)]
    assert sorted(got + rest) == [*range(1, 10_001), 20_000]


def test_the_order_within_a_subscription_is_kept(pool):
    producer, urgent = pool.session("producer"), pool.session("urgent", priority="urgent")
    reader = pool.session("reader").subscribe("param = t")
    for step in range(20):
        producer.offer(b"", {"maestro.priority": "urgent"} if step % 3 == 0 else {}, param="t", step=step)
    producer.flush()
    urgent.offer(b"", param="t", step=20).wait()
    assert list(in_turn(reader)) == list(range(21))


def test_what_goes_ahead_is_consumed_when_its_member_is_done_with_it(pool):
    producer = pool.session("producer")
    member = pool.session("member").subscribe("param = t", group="g", limit=1)
    producer.offer_many(param="t", step=range(3))
    held = member.next(timeout=2)
    urgent = producer.offer(b"", {"maestro.priority": "urgent"}, param="t", step=9)
    producer.flush()
    with raises(maestro.TimeoutError):
        urgent.withdraw(when="consumed", timeout=0.1)
    held.dispose()
    with member.next(timeout=2) as cdo:
        assert cdo["step"] == 9
    urgent.withdraw(when="consumed", timeout=1)  # though others that came before it still wait
    assert list(in_turn(member)) == [1, 2]


def test_what_a_member_rejected_and_what_was_withdrawn_meanwhile(pool):
    producer = pool.session("producer")
    member = pool.session("member").subscribe("param = t", group="g", limit=1)
    held = producer.offer_many(param="t", step=[0]) and member.next(timeout=2)
    gone = producer.offer(b"", {"maestro.priority": "urgent"}, param="t", step=1)
    producer.offer(b"", {"maestro.priority": "urgent"}, param="t", step=2).wait()
    gone.withdraw()
    held.dispose()
    first = member.next(timeout=2)
    assert first["step"] == 2  # what has gone is passed over
    first.reject()
    with member.next(timeout=2) as again:
        assert (again["step"], again.redelivered) == (2, True)


@pytest.mark.parametrize("start", ["snapshot", "now"])
def test_every_object_comes_to_one_member_once_whatever_its_priority(pool, start):
    chance = random.Random(7)
    producers = [pool.session(f"producer{i}") for i in range(2)]
    count = 1500

    def offer(producer, step):
        more = [{}, {}, {"maestro.priority": "urgent"}, {"maestro.deadline": datetime.now(UTC) + timedelta(seconds=chance.random())}]
        producer.offer(b"", chance.choice(more), param="t", step=step)

    before = 0 if start == "now" else count // 3
    for step in range(before):
        offer(producers[step % 2], step)
    for producer in producers:
        producer.flush()
    members = [
        pool.session(f"member{i}").subscribe("param = t", group="g", start=start, limit=limit) for i, limit in enumerate((1, 3, 256))
    ]
    for step in range(before, count):
        offer(producers[step % 2], step)
    got, idle = [], time.monotonic()
    while time.monotonic() - idle < 0.3:
        for member in members:
            while (cdo := member.next(timeout=0)) is not None:
                with cdo:
                    got.append(cdo["step"])
                idle = time.monotonic()
    assert sorted(got) == list(range(count))


def test_background_sessions_do_not_starve_in_a_flood_of_urgent_ones(pool):
    flood = pool.program(FLOOD.replace("os.nice(10)", "").replace('"background"', '"urgent"'))
    flood.expect("up")
    quiet = pool.session("quiet", priority="background")
    for step in range(50):
        quiet.offer(b"", param="t", step=step)
        quiet.demand({"param": "t", "step": step}, timeout=5)
    flood.kill()


def demand_times(session, count):
    times = []
    for _ in range(count):
        time.sleep(0.001)
        start = time.perf_counter()
        session.demand("param = t and step = 6").dispose()
        times.append(time.perf_counter() - start)
    return times


@contextlib.contextmanager
def a_core_for(manager, *others):
    """While it lasts, the manager alone runs on one core, this process and the others on the rest of them."""
    cores = os.sched_getaffinity(0)
    own, *rest = sorted(cores)
    os.sched_setaffinity(manager, {own})
    for process in (0, *others):
        os.sched_setaffinity(process, rest or {own})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def p99(times):
    return statistics.quantiles(times, n=100)[98]


def test_urgent_demands_are_little_slower_while_the_background_floods(pool):
    """The flood runs every other moment, so that other load is in both figures; of five figures the median counts.

    The manager has a core of its own, as on the nodes where this counts: where it hands its core to the flood is the scheduler's matter.
    """
    urgent = pool.session("urgent", priority="urgent")
    urgent.offer(b"x" * 1000, param="t", step=6).wait()
    flood = pool.program(FLOOD)
    flood.expect("up")
    within(5, lambda: session_of(urgent, "flood")["offers"] > 2000, "the flood")
    ratios = []
    with a_core_for(pool.manager(), flood.process.pid):
        while len(ratios) < 5:
            times = {signal.SIGSTOP: [], signal.SIGCONT: []}
            for _ in range(10):
                for number in times:
                    flood.process.send_signal(number)
                    times[number] += demand_times(urgent, 30)
            ratios.append(p99(times[signal.SIGCONT]) / p99(times[signal.SIGSTOP]))
    flood.kill()
    print(f"p99 of urgent demands during the flood: {statistics.median(ratios):.2f} times that without")
    assert statistics.median(ratios) < 2, ratios


def test_the_manager_serves_urgent_sessions_first_and_background_ones_last(pool):
    """Offers come together while the manager stands still; the log shows in which order they were taken."""
    reader = pool.session("reader").subscribe("param = t")
    sessions = {name: pool.session(name, priority=name) for name in ("background", "normal", "urgent")}
    os.kill(pool.manager(), signal.SIGSTOP)
    try:
        for session in sessions.values():
            for step in range(400):
                session.offer(b"", param="t", step=step)
    finally:
        os.kill(pool.manager(), signal.SIGCONT)
    order = []
    while len(order) < 1200:
        with reader.next(timeout=5) as cdo:
            order.append(cdo["maestro.component"])
    first, last = ({name: listed.index(name) for name in sessions} for listed in (order, order[::-1]))
    assert first["urgent"] == 0
    assert first["normal"] < first["background"]
    assert order[: first["background"]].count("urgent") == 400
    assert first["background"] < 1200 - last["normal"]  # and yet it has its share meanwhile
