"""Events that come together are taken together, which nobody is to notice: all is as if each were taken alone."""

import pytest
from poolside import within

import maestro
from maestro import errors


@pytest.fixture
def pair(pool):
    with maestro.Session(schema="mars", timeout=10) as producer, maestro.Session(schema="mars", timeout=10) as consumer:
        yield producer, consumer


def offer(producer, count, first=0):
    cdos = [producer.offer(bytes([step % 256]), param="t", step=step) for step in range(first, first + count)]
    producer.flush()
    return cdos


def test_ways_of_taking_follow_each_other_in_order(pair):
    producer, consumer = pair
    subscription = consumer.subscribe("param = t")
    cdos = offer(producer, 60)
    steps = []
    while len(steps) < 60:
        steps.append(subscription.next()["step"])
        event = subscription.next_event()
        assert event.kind == "offered"
        assert bytes(event.cdo) == bytes([event.cdo["step"]])
        steps.append(event.cdo["step"])
        steps += [cdo["step"] for cdo in subscription.next_many(3)]
        steps += subscription.next_columns(4, ["step"])["step"].tolist()
        steps.append(next(subscription)["step"])
        steps += subscription.next_columns(2, ["step"])["step"].tolist()
    assert steps == list(range(60))
    assert subscription.next(timeout=0) is None
    assert cdos


def test_what_was_not_asked_for_is_given_back(pair):
    producer, consumer = pair
    subscription = consumer.subscribe("param = t")
    cdos = offer(producer, 20)
    assert subscription.next()["step"] == 0
    with pytest.raises(errors.TimeoutError):
        cdos[19].withdraw(timeout=0.1)
    subscription.dispose()
    within(5, lambda: consumer.stats()["leases"]["live"] == 0)
    assert producer.withdraw("param = t") in (19, 20)


def test_gone_objects_and_other_kinds_are_told_one_by_one(pair):
    producer, consumer = pair
    plain = consumer.subscribe("param = t")
    events = consumer.subscribe("param = t", kinds="offered,withdrawn")
    cdos = offer(producer, 5)
    cdos[3].withdraw_start()
    producer.flush()
    assert [plain.next()["step"] for _ in range(5)] == [0, 1, 2, 3, 4]
    told = [(event.kind, event.cdo["step"]) for event in (events.next() for _ in range(6))]
    assert told == [("offered", 0), ("offered", 1), ("offered", 2), ("offered", 3), ("offered", 4), ("withdrawn", 3)]


def test_session_that_is_closed_before_all_was_read(pair):
    producer, _ = pair
    consumer = maestro.Session(schema="mars", timeout=10)
    subscription = consumer.subscribe("param = t")
    cdos = offer(producer, 9)
    first = subscription.next()
    consumer.close()
    with pytest.raises(errors.ClosedError):
        subscription.next()
    del first, subscription
    for cdo in cdos:
        cdo.withdraw(timeout=5)
