"""Subscriptions: what comes, in which order, exactly once; gaps, hold, events; iteration, batches, columns."""

import math
import select
import threading
import time

import numpy as np
import pytest
from poolside import raises, takes_less_than, within

import maestro


@pytest.fixture
def session(pool):
    return pool.session()


def steps(cdos):
    return [cdo["step"] for cdo in cdos]


def offer(session, *steps, param="t"):
    session.offer_many(param=param, step=list(steps))
    session.flush()


# ---- What comes
def test_snapshot_then_what_comes_exactly_once(pool, session):
    producer = pool.session("producer")
    offer(producer, *range(2000))
    subscription = session.subscribe("step >= 1000")
    for step in range(2000, 4000):
        producer.offer(None, param="t", step=step)
    producer.flush()
    got = []
    while (cdo := subscription.next(timeout=0.2)) is not None:
        got.append(cdo["step"])
    assert got == list(range(1000, 4000))
    assert not subscription.ended


def test_now_leaves_out_what_lives(session):
    offer(session, 0)
    subscription = session.subscribe(start="now", timeout=0.1)
    offer(session, 1)
    assert steps(subscription) == [1]


def test_query_ends_by_itself(session):
    offer(session, 0, 1)
    subscription = session.subscribe(start="query")
    offer(session, 2)
    assert steps(subscription) == [0, 1]
    assert subscription.ended
    assert subscription.next() is None
    assert list(subscription) == []


def test_selector_forms_give_the_same(session):
    offer(session, 0, 6, 12, 18)
    offer(session, 6, 12, param="u")
    for selector in (
        "param = t and step in (6, 12)",
        "param=t,step=6/12",
        "param=t,step=6/to/12/by/6",
        {"param": "t", "step": [6, 12]},
        {"param": ["t"], "step": range(6, 13, 6)},
        {"param": "t", "step": np.array([6, 12]), "levelist": None},
    ):
        assert steps(session.query(selector)) == [6, 12]
    assert len(session.demand_all()) == 6


def test_subscribers_do_not_take_from_each_other(pool, session):
    first, second = session.subscribe(), pool.session("other").subscribe()
    offer(session, *range(100))
    assert steps(first.next_many(100)) == list(range(100))
    within(2, lambda: steps(second.next_many(100)) == list(range(100)))


def test_object_comes_with_a_lease(session):
    subscription = session.subscribe()
    with session.cdo(param="t", step=0) as own:
        own.empty(1000, "f8")[:] = 5
        own.offer()
        with subscription.next() as got:
            array = got.array()
        with raises(TimeoutError, "tester[0]"):
            own.withdraw(timeout=0.05)
        assert (array == 5).all()


def test_what_was_withdrawn_on_its_way_is_passed_over(session):
    subscription = session.subscribe("param = t")
    blocker = [session.offer(None, param="t", step=step) for step in range(3)]
    first = subscription.next()
    subscription.dispose()
    for cdo in blocker[1:]:
        cdo.withdraw()
    subscription = session.subscribe("param = t")
    assert first["step"] == subscription.next()["step"] == 0
    assert subscription.next(0.05) is None


def test_objects_withdrawn_before_they_were_read_show_as_gone_events(session):
    subscription = session.subscribe("param = t", window=1)  # the smallest window: most events wait in the log
    offer(session, *range(3000))
    with raises(TimeoutError, "tester[0]"):  # those in the window are leased
        session.withdraw("param = t", timeout=0.05)
    events = list(subscription.events(timeout=0.2))
    assert [event.cdo["step"] for event in events] == list(range(3000))
    gone = [event for event in events if event.gone]
    assert 0 < len(gone) < 3000
    with raises(maestro.WithdrawnError):
        gone[0].cdo.array()
    assert "withdrawn" in repr(gone[0].cdo)


# ---- Waiting and ending
def test_iteration_without_timeout_raises_after_the_sessions(pool):
    session = pool.session(timeout=0.2)
    subscription = session.subscribe()
    with raises(TimeoutError, "0.2 s", "timeout=", seconds=1):
        next(subscription)
    assert subscription.next() is None
    assert not subscription.ended


def test_iteration_with_timeout_ends_quietly_and_may_go_on(session):
    subscription = session.subscribe(timeout=0.05)
    assert steps(subscription) == []
    offer(session, 1)
    assert steps(subscription) == [1]


def test_next_zero_does_not_wait(session):
    subscription = session.subscribe()
    with takes_less_than(0.2):
        assert subscription.next(timeout=0) is None


def test_infinite_patience_waits_for_the_next(session):
    subscription = session.subscribe(timeout=math.inf)
    threading.Timer(0.3, lambda: offer(session, 7)).start()
    assert next(subscription)["step"] == 7


def test_waiting_wakes_at_once(pool, session):
    subscription = session.subscribe()
    producer = pool.session("producer")
    offered = []

    def later():
        time.sleep(0.2)
        offered.append(time.monotonic())
        producer.offer(None, param="t", step=0)

    thread = threading.Thread(target=later)
    thread.start()
    assert subscription.next()
    assert time.monotonic() - offered[0] < 0.1
    thread.join()


def test_fileno_is_readable_when_something_came(session):
    subscription = session.subscribe()
    assert subscription.next(0) is None
    assert select.select([subscription], [], [], 0)[0] == []
    offer(session, 0)
    assert select.select([subscription], [], [], 1)[0] == [subscription]
    assert subscription.next(0)["step"] == 0
    assert subscription.next(0) is None


def test_next_many_gives_what_is_there_up_to_n(session):
    offer(session, *range(700))
    subscription = session.subscribe()
    first = subscription.next_many(3)
    assert steps(first) == [0, 1, 2]
    rest = subscription.next_many(10_000, timeout=1)
    while len(rest) < 697:
        rest += subscription.next_many(10_000, timeout=1)
    assert steps(rest) == list(range(3, 700))
    assert subscription.next_many(5, timeout=0) == []


# ---- Hold and gap
def fill_the_log(session, count, wait=False):
    """Objects that are offered and withdrawn: nothing but the log keeps them."""
    for step in range(count):
        with session.offer(None, {"maestro.name": "x" * 400}, param="t", step=step) as cdo:
            if wait:
                cdo.wait()
            cdo.withdraw_start()
        if step % 100 == 99:  # so that events of offers and withdrawals alternate in the log
            session.flush()
    session.flush()


def test_slow_subscription_gets_a_gap_and_goes_on(pool):
    pool.set(MAESTRO_POOL_LOG="400KiB")
    session = pool.session()
    subscription = session.subscribe("param = t", window=1)
    fill_the_log(session, 5000)
    events = list(subscription.events(timeout=0.2))
    gaps = [event.gap for event in events if event.kind == "gap"]
    seen = [event.cdo["step"] for event in events if event.kind == "offered"]
    assert len(gaps) + len(seen) == len(events)
    assert gaps
    assert all(first <= last for first, last in gaps)
    assert seen == sorted(set(seen))
    assert seen[-1] == 4999
    assert len(seen) < 5000
    assert session.stats()["events"]["gaps_total"] == len(gaps)


def test_gap_is_an_exception_among_objects(pool):
    pool.set(MAESTRO_POOL_LOG="400KiB")
    session = pool.session()
    subscription = session.subscribe("param = t", window=1)
    fill_the_log(session, 5000)
    offer(session, 7777)
    got, gaps = [], []
    while True:
        try:
            cdos = subscription.next_many(100, timeout=0.2)
        except maestro.GapError as error:
            gaps.append(error)
            continue
        if not cdos:
            break
        got += steps(cdos)
    assert "hold=True" in str(gaps[0])
    assert all(gap.first <= gap.last for gap in gaps)
    assert got == sorted(set(got))
    assert got[-1] == 7777
    assert subscription.passed_over > 0


@pytest.mark.parametrize("hold", [False, True])
def test_log_is_kept_for_its_age_but_for_whoever_holds(pool, hold):
    pool.set(MAESTRO_POOL_LOG_S="0.4")
    session = pool.session()
    slow = session.subscribe("param = t", window=1, hold=hold)
    fill_the_log(session, 3000)
    time.sleep(0.6)
    offer(session, 3000, 3001)
    time.sleep(0.05)  # the manager answers the flush first, and looks at the log then
    events = list(slow.events(timeout=0.2))
    gaps = [event.gap for event in events if event.kind == "gap"]
    seen = [event.cdo["step"] for event in events if event.kind == "offered"]
    assert len(gaps) == (0 if hold else 1)
    assert seen[-2:] == [3000, 3001]  # what is young comes
    assert (seen == list(range(3002))) == hold


def test_hold_makes_offers_wait_and_loses_nothing(pool):
    pool.set(MAESTRO_POOL_LOG="400KiB")
    consumer, producer = pool.session("consumer"), pool.session("producer", timeout=0.3)
    subscription = consumer.subscribe("param = t", window=1, hold=True)
    with raises(TimeoutError, "consumer[0]", "holds offers", seconds=30):
        fill_the_log(producer, 20_000, wait=True)
    taken = producer.stats()["objects"]["offered_total"]
    assert 500 < taken < 20_000
    assert [event.cdo["step"] for event in subscription.events(timeout=0.2)] == list(range(taken))
    producer.offer(None, param="t", step=30_000).wait()  # it goes on


# ---- Events
def test_events_tell_who_joined_offered_withdrew_and_left(pool, session):
    subscription = session.subscribe(kinds=["offered", "withdrawn", "joined", "left"], start="now")
    other = pool.session("other", rank=3)
    request = other.offer(b"x", param="t", step=0).withdraw_start()
    assert not request.test()  # the event that waits holds a lease
    other.close()
    told = [(event.kind, event.component, event.rank) for event in subscription.events(timeout=0.2)]
    assert told == [(kind, "other", 3) for kind in ("joined", "offered", "withdrawn", "left")]


def test_left_event_says_how(pool, session):
    subscription = session.subscribe(kinds="left", start="now")
    pool.session("polite").close()
    program = pool.program("s = Session('unlucky'); print('open'); sys.stdin.readline()")
    program.expect("open")
    program.kill()
    events = [subscription.next(2), subscription.next(2)]
    assert [(event.component, event.reason) for event in events] == [("polite", "closed"), ("unlucky", "died")]
    assert events[0].sequence < events[1].sequence
    assert events[1].cdo["maestro.pid"] == program.process.pid


def test_event_is_a_plain_record(session):
    offer(session, 4)
    event = session.subscribe().next_event(1)
    assert (event.kind, event.gone, event.gap, event.component, event.rank, event.reason) == ("offered", False, None, "tester", 0, None)
    assert event.cdo["step"] == 4
    with pytest.raises(AttributeError):
        event.kind = "other"


def test_withdrawn_event_has_attributes_and_no_bytes(session):
    subscription = session.subscribe("param = t", kinds="withdrawn", start="now")
    session.offer(b"x", param="t", step=0).withdraw()
    event = subscription.next(1)
    assert event.cdo["step"] == 0
    with raises(maestro.WithdrawnError):
        event.cdo.array()
    assert "t" in repr(event.cdo)


# ---- Wrong use
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kinds": "offerd"}, ["offerd", "offered, withdrawn, joined, left"]),
        ({"kinds": "gap"}, ["gap"]),
        ({"kinds": ""}, ["''"]),
        ({"kinds": []}, ["kind"]),
        ({"start": "later"}, ["later", "snapshot, now, query"]),
    ],
)
def test_wrong_option_is_an_argument_error(session, options, words):
    with raises(maestro.ArgumentError, *words):
        session.subscribe(**options)


def test_use_after_dispose_is_a_state_error(session):
    subscription = session.subscribe()
    subscription.dispose()
    assert subscription.disposed
    for use in (
        subscription.dispose,
        subscription.next,
        subscription.next_event,
        lambda: next(subscription),
        lambda: subscription.next_many(3),
        subscription.fileno,
        lambda: subscription.next_columns(3, ["step"]),
    ):
        with raises(maestro.StateError, "disposed"):
            use()
    with session.subscribe() as subscription:
        subscription.dispose()


def test_disposed_subscription_gives_back_what_waited_in_it(session):
    subscription = session.subscribe()
    session.offer(b"x", param="t", step=0).wait()
    within(1, lambda: session.stats()["leases"]["live"] == 1)
    taken = subscription.next()
    offer(session, 1)
    subscription.dispose()
    within(1, lambda: session.stats()["leases"]["live"] == 1)
    assert bytes(taken) == b"x"


def test_forgotten_subscription_ends(session):
    session.subscribe()
    within(1, lambda: session.stats()["sessions"][0]["subscriptions"] == [])


def test_columns_say_where_events_were_lost(pool):
    pool.set(MAESTRO_POOL_LOG="400KiB")
    session = pool.session()
    subscription = session.subscribe("param = t", window=1)
    fill_the_log(session, 5000)
    offer(session, 7777)
    got, gaps = [], 0
    while True:
        try:
            (step,) = subscription.next_columns(100, ["step"], timeout=0.2).values()
        except maestro.GapError:
            gaps += 1
            continue
        if not len(step):
            break
        got += step.tolist()
    assert gaps >= 1
    assert got == sorted(set(got))
    assert got[-1] == 7777


def test_events_that_were_taken_before_the_managers_death_are_not_lost(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    subscription = consumer.subscribe("param = t")
    producer.offer_many(param="t", step=range(3))
    producer.flush()
    within(2, lambda: consumer.count() == 3)
    pool.kill_manager()
    with pytest.raises(maestro.PoolLostError):
        consumer.count()
    assert [cdo["step"] for cdo in subscription.next_many(10)] == [0, 1, 2]
    with pytest.raises(maestro.PoolLostError):
        subscription.next_many(10)
