"""Waiting for one of several subscriptions, in event loops, for components and for objects that belong together."""

import asyncio
import signal
import threading
import time

import pytest
from poolside import raises, takes_less_than, within

import maestro


def later(seconds, what):
    timer = threading.Timer(seconds, what)
    timer.start()
    return timer


# ---- Several subscriptions
def test_wait_tells_who_has_something(pool):
    session = pool.session()
    t, u = session.subscribe("param = t"), session.subscribe("param = u")
    assert maestro.wait([t, u], timeout=0.05) == []
    later(0.1, lambda: session.offer(None, param="u", step=1))
    with takes_less_than(1):
        assert maestro.wait([t, u], timeout=5) == [u]
    assert maestro.wait([t, u], timeout=5) == [u]  # until it is taken
    assert u.next(timeout=0)["step"] == 1
    assert maestro.wait([t, u], timeout=0) == []
    session.offer_many(param="t", step=range(20))
    session.offer(None, param="u", step=2).wait()
    assert maestro.wait([t, u], timeout=5) == [t, u]
    assert [t.next(timeout=0)["step"] for _ in range(20)] == list(range(20))


def test_wait_over_sessions_and_ended_queries(pool):
    one, two = pool.session("one"), pool.session("two")
    query, other = one.subscribe(start="query"), two.subscribe()
    assert query in maestro.wait([query, other], timeout=5)
    assert query.next(timeout=1) is None
    assert maestro.wait([query, other], timeout=5) == [query]
    assert query.ended


def test_wait_notices_a_manager_that_is_killed(pool):
    session = pool.session()
    subscription = session.subscribe()
    later(0.2, lambda: pool.kill_manager(signal.SIGKILL))
    with raises(maestro.PoolLostError, "is gone", seconds=2):
        maestro.wait([subscription], timeout=10)


def test_a_loop_of_empty_handed_looks_notices_it_too(pool):
    subscription = pool.session().subscribe()
    pool.kill_manager(signal.SIGKILL)
    with raises(maestro.PoolLostError, "is gone", seconds=2):
        while True:
            assert subscription.next(timeout=0) is None


def test_wait_for_nothing_or_for_what_is_disposed_is_an_error(pool):
    with raises(maestro.ArgumentError, "no subscription"):
        maestro.wait([])
    subscription = pool.session().subscribe()
    subscription.dispose()
    with raises(maestro.StateError, "disposed"):
        maestro.wait([subscription])


# ---- Event loops
def test_async_iteration_lets_others_run(pool):
    session = pool.session()
    subscription = session.subscribe("param = t", timeout=0.4)
    ticks = []

    async def tick():
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def collect():
        ticker = asyncio.create_task(tick())
        later(0.2, lambda: session.offer_many(param="t", step=range(30)))
        steps = [cdo["step"] async for cdo in subscription]
        ticker.cancel()
        return steps

    assert asyncio.run(collect()) == list(range(30))
    assert len(ticks) > 20


def test_async_iteration_over_two_subscriptions_at_once(pool):
    session = pool.session()

    async def collect(selector):
        return [cdo["step"] async for cdo in session.subscribe(selector, timeout=0.3)]

    async def both():
        later(0.1, lambda: (session.offer(None, param="t", step=1), session.offer(None, param="u", step=2)))
        return await asyncio.gather(collect("param = t"), collect("param = u"))

    assert asyncio.run(both()) == [[1], [2]]


def test_async_iteration_without_timeout_ends_in_the_sessions(pool):
    subscription = pool.session(timeout=0.2).subscribe()

    async def take():
        async for _ in subscription:
            pass

    with raises(maestro.TimeoutError, "nothing came within 0.2 s"):
        asyncio.run(take())


# ---- Components
def test_wait_for_peers_says_who_is_missing(pool):
    session = pool.session("hammer")
    session.wait_for_peers(["hammer"], timeout=1)
    with raises(maestro.TimeoutError, "missing: products (0 of 1), archive (0 of 1)", "there are: hammer"):
        session.wait_for_peers(["hammer", "products", "archive"], timeout=0.1)
    joined = []
    later(0.2, lambda: joined.append(pool.session("products")))
    session.wait_for_peers(["products"], timeout=5)
    with raises(maestro.TimeoutError, "missing: products (1 of 2)"):
        session.wait_for_peers({"products": 2, "hammer": 1}, timeout=0.1)
    joined[0].close()
    within(2, lambda: all(one["component"] != "products" for one in session.stats()["sessions"]))
    with raises(maestro.TimeoutError, "missing: products (0 of 1)"):
        session.wait_for_peers(["products"], timeout=0.3)


# ---- What is needed together
def test_a_set_is_demanded_whole_or_not_at_all(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    pair = [{"param": "vo", "step": 1}, {"param": "d", "step": 1}]
    producer.offer(b"vo", param="vo", step=1).wait()
    with raises(maestro.TimeoutError, "nothing matched"):
        consumer.demand_set(pair, timeout=0.1)
    assert producer.withdraw("param = vo", timeout=2) == 1  # no lease was left
    later(0.2, lambda: producer.offer_many([b"vo", b"d"], param=["vo", "d"], step=1))
    assert [bytes(cdo) for cdo in consumer.demand_set(pair, timeout=5)] == [b"vo", b"d"]
    with pytest.raises(maestro.SelectorError):
        consumer.demand_set([pair[0], "param = = 1"])


def test_a_request_that_failed_in_its_block_tells_its_own_error(pool):
    session = pool.session()
    with raises(maestro.TimeoutError, "nothing matched"), session.demand_start("step = 9", timeout=0.1) as request:
        request.wait()
