"""Consumer groups at work while a member is killed and another one is stopped: nothing is lost, and what comes twice says so."""

import collections
import os
import signal

import pytest
from node import wait_until

import maestro

OBJECTS = 100_000
CHUNK = 1000


def deliveries(members):
    """How often each object was given out, and how often of these marked as redelivered; a killed member may have left half a line."""
    plain, marked = collections.Counter(), collections.Counter()
    for member in members:
        for line in member.lines:
            words = line.split()
            if len(words) == 2:
                (marked if words[1] == "1" else plain)[int(words[0])] += 1
    return plain, marked


@pytest.mark.timeout(120)
def test_two_groups_of_two_while_one_member_is_killed_and_one_is_stopped(node):
    with maestro.Session(component="producer", schema=node.environment["SCENARIO_SCHEMA"], timeout=30) as session:
        groups = {name: [node.start("member.py", name, 1) for _ in range(2)] for name in ("paint", "count")}
        for member in (*groups["paint"], *groups["count"]):
            member.wait_for("ready")
        (victim, survivor), (sleeper, awake) = groups["paint"], groups["count"]
        for first in range(0, OBJECTS, CHUNK):
            session.offer_many(number=range(first, first + CHUNK))
            if first == OBJECTS // 4:
                wait_until(lambda: len(victim.lines) > 10 and len(sleeper.lines) > 10, "members work")
                os.kill(sleeper.process.pid, signal.SIGSTOP)
            if first == OBJECTS // 2:
                victim.kill()
        session.flush()

        def settled():
            states = session.stats()["groups"]
            return len(states) == 2 and all(state["acknowledged"] == OBJECTS for state in states) and states

        states = {state["name"]: state for state in wait_until(settled, "all is acknowledged", 60)}
        os.kill(sleeper.process.pid, signal.SIGCONT)
        for member in (survivor, sleeper, awake):
            member.end()
        assert states["count"]["overdue"] > 0
        for name, members in groups.items():
            plain, marked = deliveries(members)
            assert set(plain) | set(marked) == set(range(OBJECTS)), name
            assert max(plain.values()) == 1, name
            assert sum(marked.values()) <= states[name]["redelivered"], name
            assert min(len(member.lines) for member in members) > 10, name
