"""Demands, counts, queries and withdrawals by meaning; requests in two steps; what the errors tell."""

import threading
import time

import pytest
from poolside import raises, takes_less_than, within

import maestro


@pytest.fixture
def session(pool):
    return pool.session()


def offer(session, **attributes):
    session.offer_many(**attributes)
    session.flush()


# ---- Demand
def test_demand_waits_for_a_later_offer_of_another_process(pool, session):
    program = pool.program("""
        sys.stdin.readline()
        with Session("late", schema="mars") as s: s.offer(b"now", param="t", step=6)
    """)
    request = session.demand_start({"param": "t", "step": 6})
    assert not request.test()
    program.say()
    cdo = request.wait()
    assert bytes(cdo) == b"now"
    assert cdo["maestro.component"] == "late"
    program.end()


def test_demand_that_nothing_satisfies_names_selector_and_what_came_nearest(session):
    offer(session, param=["t", "t", "u"], step=[0, 6, 12], levelist=500)
    selector = "param = t and step = 12 and levelist = 500"
    with raises(TimeoutError, selector, "0.1 s", '2 objects match all but "step = 12"', "such as", "param=t", seconds=1):
        session.demand(selector, timeout=0.1)


def test_demand_in_an_empty_pool_says_so(session):
    with raises(maestro.TimeoutError, "param = 't'", "0 objects", seconds=1):
        session.demand({"param": "t"}, timeout=0.1)


def test_demand_of_several_identities_counts_them_and_names_the_keys_that_differ(session):
    offer(session, param="t", step=[0, 6, 12], levelist=[500, 500, 850])
    with raises(maestro.NotUniqueError, "3", "step", "levelist") as caught:
        session.demand("param = t")
    assert isinstance(caught.value, LookupError)
    assert "param," not in str(caught.value)
    with raises(maestro.NotUniqueError, "2", "step"):
        session.demand({"param": "t", "levelist": 500})


def test_demand_of_something_withdrawn_waits_for_the_next(session):
    session.offer(b"old", param="t", step=0).withdraw()
    request = session.demand_start("param = t")
    assert not request.test()
    session.offer(b"new", param="t", step=0)
    assert bytes(request.wait()) == b"new"


def test_demand_that_comes_too_late_says_that_it_was_withdrawn(session):
    session.offer(b"old", param="t", step=7).withdraw()
    with raises(maestro.TimeoutError, "param = t and step = 7", "one that matches was withdrawn", "step=7"):
        session.demand("param = t and step = 7", timeout=0.1)


def test_many_demands_wait_at_once(pool, session):
    requests = [session.demand_start({"param": "t", "step": step}) for step in range(200)]
    offer(pool.session("producer"), param="t", step=list(range(200)))
    assert [request.wait()["step"] for request in requests] == list(range(200))


@pytest.mark.parametrize(
    ("selector", "kind", "words"),
    [
        ("param = = t", maestro.SelectorError, ["        ^"]),
        ("param = t and", maestro.SelectorError, ["             ^", "expected"]),
        ("param = 't", maestro.SelectorError, ["        ^", "quote"]),
        ("param = t && step = 6", maestro.SelectorError, ["          ^", "and"]),
        ("step == 6 || step = 7", maestro.SelectorError, ["or"]),
        ("(param = t", maestro.SelectorError, [")"]),
        ("param in (t, u", maestro.SelectorError, [")"]),
        ("step like 6", maestro.SelectorError, ["step", "strings"]),
        ("param < t", maestro.SelectorError, ["param", "order"]),
        ("parm = t", maestro.AttributeKeyError, ["parm", "param", "^"]),
        ("step = 6 and levlist = 500", maestro.AttributeKeyError, ["levlist", "levelist", "             ^"]),
        ("step = six", maestro.AttributeValueError, ["step", "six", "       ^"]),
        ("class = xx", maestro.AttributeValueError, ["class", "xx"]),
        ("step in 0/to/", maestro.MaestroError, ["^"]),
    ],
)
def test_bad_selector_points_at_the_character(session, selector, kind, words):
    for ask in (
        session.demand,
        session.count,
        session.withdraw,
        session.subscribe,
        session.demand_all,
        lambda text: maestro.check_selector(text, schema="mars"),
    ):
        with raises(kind, selector, *words):
            ask(selector)


def test_wrong_type_of_a_selector_is_a_type_error(session):
    for ask in (session.demand, session.count, session.withdraw, session.subscribe, session.demand_all):
        with pytest.raises(TypeError, match=r"text, a dictionary or None"):
            ask(7)


def test_nul_in_a_selector_is_refused(session):
    with raises(ValueError, "NUL"):
        session.count("param = 't\0'")


# ---- Requests
def test_request_gives_the_same_object_each_time(session):
    session.offer(b"x", param="t", step=0)
    request = session.demand_start("step = 0")
    cdo = request.wait()
    assert request.done
    assert request.wait() is cdo
    assert request.test()
    request.cancel()


def test_request_wait_may_be_shorter_than_the_request(session):
    request = session.demand_start("step = 0", timeout=0.4)
    with raises(TimeoutError, "goes on", seconds=0.3):
        request.wait(timeout=0.1)
    with raises(TimeoutError, "step = 0", seconds=0.6):
        request.wait()
    with raises(maestro.StateError, "failed"):
        request.wait()


@pytest.mark.parametrize("timeout", [0, 0.05, 1.0, 1.2])
def test_demand_takes_as_long_as_it_may_and_no_longer(session, timeout):
    begin = time.monotonic()
    with raises(TimeoutError, "step = 0", seconds=timeout + 0.3):
        session.demand("step = 0", timeout=timeout)
    assert time.monotonic() - begin >= timeout


def test_failed_request_tells_its_error_in_test_too(session):
    request = session.demand_start("step = 0", timeout=0.05)
    within(1, lambda: request_failed(request), "the request's end")


def request_failed(request):
    try:
        return request.test()
    except TimeoutError:
        return True


def test_cancelled_request_can_no_longer_be_waited_for(session):
    request = session.demand_start("step = 0")
    request.cancel()
    for use in (request.wait, request.test, request.cancel):
        with raises(maestro.StateError, "cancelled"):
            use()
    with session.demand_start("step = 0"):
        pass
    with session.demand_start("step = 0") as request:
        session.offer(b"x", param="t", step=0)
        kept = request.wait()
    assert bytes(kept) == b"x"


def test_cancelled_or_forgotten_demand_keeps_no_lease(session):
    session.offer(b"x", param="t", step=0)
    request = session.demand_start("step = 0")
    within(1, request.test)
    session.demand_start("step = 0").cancel()
    session.demand_start("step = 0")
    del request
    session.flush()
    within(1, lambda: session.stats()["leases"]["live"] == 0)


# ---- Count, query, withdraw
def test_count_and_query_see_what_was_offered_before(session):
    session.offer_many(param="t", step=range(0, 49, 6))  # no flush between
    assert session.count() == 9
    assert session.count("step > 12") == 6
    assert session.count({"step": range(0, 13, 6)}) == 3
    assert sorted(cdo["step"] for cdo in session.query("step in 0/to/24/by/12")) == [0, 12, 24]
    assert [cdo["step"] for cdo in session.demand_all({"step": 48})] == [48]
    assert session.count({"param": "nobody"}) == 0
    assert session.demand_all({"param": "nobody"}) == []


def test_query_left_in_the_middle_gives_its_leases_back(session):
    offer(session, param="t", step=list(range(100)))
    for cdo in session.query():
        assert cdo["step"] == 0
        break
    del cdo
    within(1, lambda: session.stats()["leases"]["live"] == 0)


def test_withdraw_takes_own_objects_alone_and_counts_them(pool, session):
    other = pool.session("other")
    offer(session, param="t", step=[0, 6, 12])
    offer(other, param="t", step=[0, 6, 12])
    assert session.withdraw("step <= 6") == 2
    assert session.count() == 4
    assert other.withdraw({"param": "t"}) == 3
    assert session.withdraw("param = nothing") == 0
    with raises(ValueError, "later"):
        session.withdraw("param = t", when="later")


def test_withdraw_that_waits_for_a_reader_names_it(pool, session):
    offer(session, param="t", step=[0, 6])
    lease = pool.session("reader").demand("step = 6")
    with raises(TimeoutError, "reader[0]"):
        session.withdraw("param = t", timeout=0.1)
    lease.dispose()


def test_withdraw_when_consumed_waits_for_the_subscriptions(session):
    subscription = session.subscribe("param = t", timeout=0.5)
    offer(session, param="t", step=[0, 6])
    done = []
    thread = threading.Thread(target=lambda: done.append(session.withdraw("param = t", when="consumed")))
    thread.start()
    assert not done
    assert len([None for _ in subscription]) == 2
    thread.join(5)
    assert done == [2]


def test_empty_withdrawal_does_not_wait(session):
    with takes_less_than(0.3):
        assert session.withdraw(None) == 0
