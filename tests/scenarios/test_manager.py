"""The manager killed or stopped while clients wait for it, each in another operation: everybody gets an error, in time."""

import os
import signal
import time
from pathlib import Path

import pytest
from node import wait_until

import maestro

OBJECTS = 200
FIRST, THEN = ("next", "demand", "withdraw", "alloc"), ("offer", "wait", "flush", "close")  # the latter wait for room for objects


@pytest.fixture
def full_node(node, monkeypatch):
    monkeypatch.setenv("MAESTRO_POOL_OBJECTS", str(OBJECTS))
    monkeypatch.setenv("MAESTRO_POOL_MEMORY", "16MiB")
    return node


def start_waiting(node, session, timeout):
    """A program for each operation, all of them waiting: the pool has no memory and takes no more objects."""
    session.offer(b"x" * (12 << 20), number=0)
    programs = {operation: node.start("blocked.py", operation, timeout) for operation in FIRST + THEN}
    for program in programs.values():
        program.wait_for("ready", 20)
    for operation in FIRST:
        programs[operation].tell("go")
    wait_until(lambda: session.stats()["objects"]["withdrawn_total"] == 1, "an object is withdrawn and still read")
    session.offer_many(number=range(1, OBJECTS))
    wait_until(lambda: session.stats()["objects"]["live"] == OBJECTS, "the pool is full")
    for operation in THEN:
        programs[operation].tell("go")
    time.sleep(0.2)
    assert all(program.lines == ["ready"] for program in programs.values()), {
        operation: program.lines for operation, program in programs.items()
    }
    return programs


def outcomes(programs):
    return {operation: program.end().split()[0] for operation, program in programs.items()}


def open_session(node, **options):
    return maestro.Session(component="observer", schema=node.environment["SCENARIO_SCHEMA"], **options)


def test_killed_manager_ends_every_wait_in_two_seconds(full_node):
    session = open_session(full_node)
    programs = start_waiting(full_node, session, 20)
    leased, view = (
        session.demand("number = 0 and maestro.component = observer"),
        session.query("number = 0 and maestro.component = observer"),
    )
    view = next(view).array()
    manager = full_node.manager()
    full_node.note_memory()
    os.kill(manager, signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: all(len(program.lines) > 1 for program in programs.values()), "every client has its error", 2)
    assert time.monotonic() - killed < 2
    assert set(outcomes(programs).values()) == {"PoolLostError"}, outcomes(programs)
    with pytest.raises(maestro.PoolLostError, match="manager of pool default is gone"):
        session.flush()
    assert bytes(leased) == view.tobytes() == b"x" * (12 << 20)  # what is leased stays readable
    with pytest.raises(maestro.PoolLostError):
        session.close()
    assert (view == ord("x")).all()
    with open_session(full_node) as another:  # finds a stale socket, and starts a manager anew
        assert another.count() == 0
        assert full_node.manager() != manager


def check_times(programs, timeout):
    grace, slack = 2.0, 1.0  # the library waits a little longer than the manager should, since that one keeps the deadlines
    for operation, program in programs.items():
        outcome, seconds = program.end(seconds=20).split()
        times = 2 if operation == "close" else 1  # it flushes, then ends the session, each within the bound
        assert outcome in ("TimeoutError", "None"), operation  # None: no event came
        assert timeout - 0.5 < float(seconds) < times * (timeout + grace) + slack, operation


def test_stopped_manager_ends_every_wait_within_its_bound(full_node):
    with open_session(full_node, timeout=10) as session:
        programs = start_waiting(full_node, session, 2)
        manager = full_node.manager()
        os.kill(manager, signal.SIGSTOP)
        try:
            opener = full_node.start("opener.py", 1)
            check_times(programs, 2)
            outcome, seconds = opener.end().split()
            assert outcome in ("TimeoutError", "PoolStartError")
            assert float(seconds) < 4
            with pytest.raises(maestro.TimeoutError, match="stopped"):
                session.count(timeout=0.1)
        finally:
            os.kill(manager, signal.SIGCONT)
        assert session.count(timeout=5) == OBJECTS


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_manager_sleeps_when_a_session_has_left(node):
    session = open_session(node)
    with open_session(node) as other:
        other.count()
    manager = node.manager()
    time.sleep(0.1)
    before = cpu_seconds(manager)
    time.sleep(1)
    assert cpu_seconds(manager) - before <= 0.05
    session.close()


HOLDER = """
s = Session("holder", schema=sys.argv[1], timeout=20)
held = s.demand_all()
print(len(held))
sys.stdin.readline()
held.clear()
print("disposed")
"""


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSTOP])
def test_many_leases_are_given_back_in_bounded_time_without_a_manager(pool, signal_number):
    producer = pool.session("producer")
    producer.offer_many(param="t", step=range(10_000))
    producer.flush()
    program = pool.program(HOLDER, "mars")
    program.expect("10000")
    pool.kill_manager(signal_number)
    started = time.monotonic()
    program.say()
    program.expect("disposed")
    assert time.monotonic() - started < 4
    if signal_number == signal.SIGSTOP:
        pool.kill_manager(signal.SIGCONT)
        program.end()
        assert producer.count() == 10_000
