"""What the trace-event format asks of a file, checked; tests of whatever writes timelines use it."""

import json
from collections import Counter
from pathlib import Path

PHASES = set("XiCMbe")


def load(path):
    """The events of a timeline file, after the format's rules have been checked."""
    whole = json.loads(Path(path).read_text())
    assert whole["displayTimeUnit"] in ("ms", "ns")
    events, lanes, open_lives = whole["traceEvents"], {}, Counter()
    for event in events:
        check(event)
        lanes.setdefault((event["pid"], event["tid"]), []).append(event)
        if event["ph"] in "be":
            key = event["cat"], event["id"], event["name"]
            open_lives[key] += 1 if event["ph"] == "b" else -1
            assert open_lives[key] in (0, 1), event
    assert not any(open_lives.values())
    named = {event["pid"] for event in events if event["ph"] == "M" and event["name"] == "process_name"}
    assert {event["pid"] for event in events} <= named
    for lane in lanes.values():
        nest([event for event in lane if event["ph"] == "X"])
    return events


def check(event):
    assert event["ph"] in PHASES, event
    assert isinstance(event["name"], str), event
    assert event["name"], event
    assert isinstance(event["ts"], (int, float)), event
    assert event["ts"] >= 0, event
    assert all(isinstance(event[key], int) for key in ("pid", "tid")), event
    if event["ph"] == "X":
        assert event["dur"] >= 0, event
    elif event["ph"] == "i":
        assert event["s"] in "tpg", event
    elif event["ph"] == "C":
        assert event["args"], event
        assert all(isinstance(value, (int, float)) for value in event["args"].values()), event
    elif event["ph"] in "be":
        assert isinstance(event["cat"], str), event
        assert isinstance(event["id"], str), event
    else:
        assert event["name"] in ("process_name", "thread_name"), event
        assert isinstance(event["args"]["name"], str), event


def nest(spans):
    """Spans of one thread contain each other or do not meet, or a viewer draws nonsense."""
    ends = []
    for event in sorted(spans, key=lambda event: (event["ts"], -event["dur"])):
        while ends and ends[-1] <= event["ts"] + 1e-3:
            ends.pop()
        assert not ends or event["ts"] + event["dur"] <= ends[-1] + 1e-3, event
        ends.append(event["ts"] + event["dur"])


def names(events):
    """{process: {thread: names of what happened there}} by the names of both; counters stand under None."""
    process = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    thread = {(event["pid"], event["tid"]): event["args"]["name"] for event in events if event["name"] == "thread_name"}
    found = {}
    for event in events:
        if event["ph"] != "M":
            lane = None if event["ph"] == "C" else thread.get((event["pid"], event["tid"]))
            found.setdefault(process[event["pid"]], {}).setdefault(lane, Counter())[event["name"]] += 1
    return found
