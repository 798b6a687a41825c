"""A client that does not read what it is told, or comes in an unlucky order, costs the manager no time and itself no memory."""

import os
import resource
import signal
import time
from pathlib import Path

import pytest
from poolside import raises, within

import maestro


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_segment_given_back_behind_many_offers_is_the_pools_again(pool):
    pool.set(MAESTRO_POOL_MEMORY="64MiB")
    session = pool.session("producer")
    big = session.cdo(param="t", step=0)
    big.empty(8 << 20)
    pool.kill_manager(signal.SIGSTOP)
    try:
        session.offer_many(param="u", step=range(1200))
        big.dispose()
    finally:
        pool.kill_manager(signal.SIGCONT)
    session.flush()
    memory = within(2, lambda: (m := session.stats()["memory"])["idle"] >= 8 << 20 and m, "the segment's way back")
    assert memory["lent"] - memory["idle"] < 8 << 20


def test_manager_sleeps_while_a_client_does_not_read_its_replies(pool):
    producer, silent = pool.session("producer"), pool.session("silent")
    producer.offer(None, {"maestro.name": "n" * 1000}, param="t", step=1).wait()
    requests = [silent.demand_start("step = 1") for _ in range(1500)]
    time.sleep(0.3)
    before = cpu_seconds(pool.manager())
    time.sleep(1)
    assert cpu_seconds(pool.manager()) - before <= 0.05
    begin = time.monotonic()
    assert {request.wait()["step"] for request in requests} == {1}
    assert time.monotonic() - begin < 1


def test_memory_freed_before_it_was_asked_for_is_found(pool):
    pool.set(MAESTRO_POOL_MEMORY="16MiB")
    producer, consumer = pool.session("producer", timeout=3), pool.session("consumer")
    for step in range(16):
        with producer.cdo(param="t", step=step) as cdo:
            cdo.empty(1 << 20)
            cdo.offer()
    lease = consumer.demand("step = 3")
    with pytest.raises(maestro.TimeoutError):
        producer.withdraw("step = 3", timeout=0.1)
    lease.dispose()
    begin = time.monotonic()
    producer.cdo(param="t", step=100).empty(1 << 20)
    assert time.monotonic() - begin < 1


def test_more_requests_than_may_wait_are_refused_and_the_session_goes_on(pool):
    session = pool.session("asker")
    waiting = [session.demand_start("step = 1") for _ in range(4096)]
    with raises(maestro.TooLargeError, "4096 requests", "cancel"):
        session.demand_start("step = 1").wait()
    waiting.pop().cancel()
    assert session.count() == 0
    session.offer(None, param="t", step=1)
    assert all(request.wait()["step"] == 1 for request in waiting)


def test_segments_on_their_way_back_while_no_message_fits(pool):
    """Blocks that have come back make segments go back, which takes a message, for which there is no room: neither recursion nor wait."""
    session = pool.session("producer", timeout=1)
    cdos = []
    for i in range(6000):
        cdos.append(session.cdo(param="t", step=0, number=i))
        cdos[-1].empty(64 << 10)
        cdos[-1].offer()
    session.flush()
    requests = [cdo.withdraw_start() for cdo in cdos[:1500]]
    within(2, lambda: session.count() == 4500, "the first withdrawals")
    pool.kill_manager(signal.SIGSTOP)
    try:
        with raises(maestro.TimeoutError, "did not take earlier messages"):
            for cdo in cdos[1500:]:
                requests.append(cdo.withdraw_start())
        for cdo in cdos:
            cdo.dispose()
    finally:
        pool.kill_manager(signal.SIGCONT)
    for request in requests:
        request.wait(10)


def test_memory_of_an_ended_session_is_lent_to_nobody(pool):
    """A thread of it may be writing there to this moment."""
    watcher, producer = pool.session("watcher"), pool.session("producer")
    producer.cdo(param="t", step=0).empty(8 << 20)
    assert watcher.stats()["memory"]["lent"] >= 8 << 20
    producer.close()
    memory = within(2, lambda: (m := watcher.stats()["memory"])["lent"] < 8 << 20 and m, "the segment's end")
    assert memory["idle"] == 0


def test_leases_of_a_subscription_that_could_not_be_opened_go_back(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    with producer.cdo(param="t", step=0) as cdo:
        cdo.offer(wait=True)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            with pytest.raises(maestro.MaestroError):
                consumer.subscribe("param = t")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        cdo.withdraw(timeout=2)


def test_subscription_that_ends_while_no_message_fits_gives_its_leases_back_later(pool):
    """And none of many waits for its turn."""
    producer, consumer = pool.session("producer"), pool.session("consumer", timeout=0.5)
    producer.offer_many(param="t", step=range(10))
    subscriptions = [consumer.subscribe("param = t") for _ in range(20)]
    within(2, lambda: producer.stats()["leases"]["live"] == 200)
    pool.kill_manager(signal.SIGSTOP)
    try:
        requests = [consumer.demand_start("step = 99") for _ in range(2)]
        with raises(maestro.TimeoutError, "did not take earlier messages"):
            while True:
                requests.append(consumer.demand_start("step = 99"))
        begin = time.monotonic()
        for subscription in subscriptions:
            subscription.dispose()
        assert time.monotonic() - begin < 1
    finally:
        pool.kill_manager(signal.SIGCONT)
    for request in requests:
        request.cancel()
    consumer.count()
    within(2, lambda: producer.stats()["leases"]["live"] == 0)
