"""Needs: what somebody waits for or has declared is told to who can provide it; producers ask before they make something."""

import threading
import time

import pytest
from poolside import raises, within

import maestro


def wanted(session, **attributes):
    return session.wanted({"param": "t", "step": 0, **attributes})


def seen(subscription):
    return [(event.kind, event.reason, event.selector, event.component) for event in subscription.next_many(100, timeout=0.3)]


def test_subscriptions_demands_and_declarations_are_told(pool):
    watcher = pool.session("watcher").subscribe(kinds="required,retracted")
    consumer = pool.session("consumer")
    with consumer.require("param = t"), consumer.subscribe("param = u"), consumer.demand_start("param = v"):
        consumer.flush()
        assert seen(watcher) == [
            ("required", "require", "param = t", "consumer"),
            ("required", "subscription", "param = u", "consumer"),
            ("required", "demand", "param = v", "consumer"),
        ]
    consumer.flush()
    assert sorted(seen(watcher)) == [
        ("retracted", "demand", "param = v", "consumer"),
        ("retracted", "require", "param = t", "consumer"),
        ("retracted", "subscription", "param = u", "consumer"),
    ]


def test_who_only_observes_needs_nothing(pool):
    producer, watcher = pool.session("model"), pool.session("watcher")
    with watcher.subscribe(observe=True) as seen:
        cdo = producer.cdo(param="t", step=6)
        assert not cdo.wanted()
        cdo.offer()
        assert seen.next(timeout=5)["step"] == 6
    with raises(maestro.ArgumentError, "only observes"):
        watcher.subscribe(observe=True, group="g")


def test_a_withdrawal_of_what_is_consumed_waits_for_readers_not_for_observers(pool):
    """Neither of them has come as far as the last object: their windows are full of those before."""
    producer, reader = pool.session("model"), pool.session("reader")
    observer = pool.session("watcher").subscribe(observe=True, window=1 << 18)
    producer.offer_many(param="t", step=range(40_000))
    within(2, lambda: any(one["lag"] for session in producer.stats()["sessions"] for one in session["subscriptions"]))
    producer.withdraw("step = 39999", when="consumed", timeout=1)
    with reader.subscribe(window=1 << 18) as unread:
        assert unread.fileno() >= 0
        with raises(maestro.TimeoutError):
            producer.withdraw("step = 39998", when="consumed", timeout=0.2)
    assert next(observer)["step"] == 0


def test_who_comes_late_gets_the_needs_that_are_there(pool):
    consumer = pool.session("consumer")
    gone, need = consumer.require("param = t"), consumer.require("param = u")
    gone.retract()
    consumer.flush()
    late = pool.session("late").subscribe(kinds="required")
    assert seen(late) == [("required", "require", "param = u", "consumer")]
    need.retract()
    need.retract()


def test_a_demand_that_is_met_is_no_need_any_more(pool):
    watcher = pool.session("watcher").subscribe(kinds="required,retracted")
    consumer, producer = pool.session("consumer"), pool.session("producer")
    requests = [consumer.demand_start(f"step = {step}") for step in range(5)]
    consumer.flush()
    assert [kind for kind, *_ in seen(watcher)] == ["required"] * 5
    producer.offer_many(param="t", step=range(5))
    assert [request.wait()["step"] for request in requests] == list(range(5))
    assert sorted(selector for kind, _, selector, _ in seen(watcher) if kind == "retracted") == [f"step = {step}" for step in range(5)]


def test_events_of_a_need_that_ends_while_offers_are_handed_out_keep_the_order(pool):
    watcher = pool.session("watcher").subscribe(kinds="offered,retracted")
    consumer, producer = pool.session("consumer"), pool.session("producer")
    requests = [consumer.demand_start(f"step = {step}") for step in range(0, 100, 10)]
    consumer.flush()
    producer.offer_many([b"x"] * 100, param="t", step=range(100))
    producer.flush()
    events = watcher.next_many(200, timeout=1)
    while more := watcher.next_many(200, timeout=0.2):
        events += more
    assert [event.sequence for event in events] == sorted({event.sequence for event in events})
    assert sorted(event.kind for event in events) == ["offered"] * 100 + ["retracted"] * 10
    for request in requests:
        request.wait()


def test_a_dead_session_needs_nothing(pool):
    producer = pool.session("producer")
    with pool.session("consumer") as consumer:
        consumer.require("param = t")
        consumer.subscribe("step = 0")
        assert wanted(producer)
    within(2, lambda: not wanted(producer))


def test_wanted_follows_what_comes_and_goes(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    assert not wanted(producer)
    with consumer.subscribe("param in (t, q) and step <= 6"):
        within(2, lambda: wanted(producer))
        assert wanted(producer, param="q")
        assert wanted(producer, step=6)
        assert not wanted(producer, param="u")
        assert not wanted(producer, step=7)
    consumer.flush()
    within(2, lambda: not wanted(producer))
    with consumer.demand_start("param = t and step = 3"):
        consumer.flush()
        within(2, lambda: wanted(producer, step=3))
        assert not wanted(producer, step=4)


def test_wanted_knows_a_group_that_has_lost_its_members(pool):
    producer = pool.session("producer")
    with pool.session("member") as member:
        member.subscribe("param = t", group="paint")
        within(2, lambda: wanted(producer))
    time.sleep(0.2)
    assert wanted(producer)
    assert not wanted(producer, param="u")


def test_the_need_of_a_group_has_its_name_whoever_made_it(pool):
    with pool.session("member") as member:
        member.subscribe("param = t", group="paint")
    watcher = pool.session("watcher").subscribe(kinds="required")
    event = watcher.next_event(timeout=2)
    assert (event.component, event.rank, event.reason, event.selector) == ("paint", None, "subscription", "param = t")
    assert "maestro.pid" not in event.cdo.attributes


def test_a_demand_whose_selector_is_too_long_to_be_told_is_one_of_everything(pool):
    watcher = pool.session("watcher").subscribe(kinds="required,retracted")
    consumer = pool.session("consumer")
    with consumer.demand_start(f"param = t and maestro.name != '{'x' * 61_000}'"):
        consumer.flush()
        assert seen(watcher) == [("required", "require", "", "consumer")]


def test_a_need_that_looks_at_the_data_counts_as_wanting(pool):
    producer = pool.session("producer")
    pool.session("consumer").require("maestro.dtype = '<f4' and param = u")
    within(2, lambda: wanted(producer))


def test_who_offers_can_be_selected_too(pool):
    producer, other = pool.session("producer"), pool.session("other")
    pool.session("consumer").require("maestro.component = producer")
    within(2, lambda: wanted(producer))
    assert not wanted(other)


def test_wanted_is_asked_of_an_object_as_it_will_be_offered(pool):
    session = pool.session("producer")
    cdo = session.cdo(param="t", step=0)
    assert cdo.wanted() is False
    cdo.offer()
    with raises(maestro.StateError, "ask whether an object is wanted", "ask before the offer"):
        cdo.wanted()
    with pytest.raises(maestro.MissingAttributeError, match="param"):
        session.wanted(step=3)
    with raises(maestro.AttributeKeyError, "parm", "param"):
        session.wanted(parm="t")


def test_a_thousand_needs_that_change_while_a_producer_asks(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    assert not wanted(producer)
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            needs = [consumer.require(f"step = {step}") for step in range(100, 150)]
            for need in needs:
                need.retract()

    thread = threading.Thread(target=churn)
    thread.start()
    steady = consumer.require("step = 7")
    try:
        within(5, lambda: wanted(producer, step=7))
        for _ in range(2000):
            assert wanted(producer, step=7)
            assert not wanted(producer, step=8)
    finally:
        stop.set()
        thread.join()
    steady.retract()
    consumer.flush()
    within(5, lambda: not any(wanted(producer, step=step) for step in (7, *range(100, 150))))


def test_needs_outlive_a_log_that_forgets(pool):
    pool.set(MAESTRO_POOL_LOG="64KiB")
    producer, consumer = pool.session("producer"), pool.session("consumer")
    kept = [consumer.require(f"step = {step}") for step in range(10)]
    assert not wanted(producer, step=20)
    for _ in range(3000):  # the producer asks again only when all this has gone through its window and beyond
        consumer.require("param = q and step = 20").retract()
    assert not wanted(producer, step=20)
    assert all(wanted(producer, step=step) for step in range(10))
    for need in kept:
        need.retract()


def test_wrong_use_is_refused_in_words(pool):
    session = pool.session("consumer")
    with pytest.raises(maestro.SelectorError):
        session.require("param =")
    with raises(maestro.AttributeKeyError, "did you mean"):
        session.require("parm = t")
    needs = [session.require("param = t") for _ in range(4096)]
    with raises(maestro.TooLargeError, "4096 needs"):
        session.require("param = t")
    needs.pop().retract()
    session.require("param = t")
    session.close()
    with pytest.raises(maestro.ClosedError):
        session.require("param = t")
