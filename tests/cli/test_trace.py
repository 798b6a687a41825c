"""`maestro trace`: the file keeps the rules of its format, and shows what happened while it recorded."""

import os
import signal
import time

import pytest
import timelines
from poolside import within

import maestro
from maestro.tracefile import TraceFile


@pytest.fixture(autouse=True)
def same_pool(cli, monkeypatch):
    """The test's sessions meet the command's."""
    monkeypatch.setenv("MAESTRO_DIR", cli.environment["MAESTRO_DIR"])
    monkeypatch.setenv("MAESTRO_LINGER_S", "0.2")


@pytest.fixture
def producer():
    with maestro.Session(component="model", rank=1, schema="mars", timeout=10) as session:
        yield session


def records(producer):
    """Whether a recorder listens: its second subscription is the last that it makes."""
    return any(len(one["subscriptions"]) == 2 for one in producer.stats()["sessions"] if one["component"] == "maestro-trace")


def recorded(cli, producer, do, *words, stop=True):
    """The events of a recording of what `do` does, until it is stopped or has ended by itself."""
    path = cli.folder / "out.json"
    with cli.start("trace", path, "--interval", 0.05, *words) as recorder:
        within(20, lambda: records(producer), "the recording")
        do()
        if stop:
            time.sleep(0.3)
            recorder.send_signal(signal.SIGINT)
        told, noted = recorder.communicate(timeout=20)
    assert recorder.returncode == 0, noted
    assert "events in" in told
    return timelines.load(path), noted


def offer_and_withdraw(producer):
    assert not producer.cdo(param="t", step=0).wanted()  # a recorder is no consumer
    cdos = [producer.offer(bytes(1000), param="t", step=step) for step in range(10)]
    producer.flush()
    time.sleep(0.2)
    cdos[0].withdraw()
    with maestro.Session(component="plot", timeout=10) as other, other.demand("param = t and step = 5"):
        time.sleep(0.2)


def test_a_recording_has_instants_and_counters(cli, producer):
    events, _ = recorded(cli, producer, lambda: offer_and_withdraw(producer))
    found = timelines.names(events)
    assert found["model"]["rank 1"] == {"offered": 10, "withdrawn": 1}
    assert found["plot"]["rank 0"] == {"joined": 1, "left": 1}
    assert {"offers/s", "bytes/s"} <= found["model"][None].keys()
    assert {"leases", "demands/s"} <= found["plot"][None].keys()
    assert {"objects", "leases", "DRAM bytes"} <= found["pool"][None].keys()
    counters = {(event["name"], *event["args"].items()) for event in events if event["ph"] == "C"}
    assert ("objects", ("live", 9)) in counters
    assert ("leases", ("held", 1)) in counters
    rates = [event["args"]["offers"] for event in events if event["name"] == "offers/s"]
    assert max(rates) > 0 == rates[-1]


def test_lives_of_selected_objects_are_spans(cli, producer):
    early = producer.offer(b"early", param="t", step=99)
    producer.flush()
    events, _ = recorded(cli, producer, lambda: offer_and_withdraw(producer), "--select", "param = t and step in (0, 1, 99)")
    begun = {event["args"]["step"]: event for event in events if event["ph"] == "b"}
    ends = {event["id"]: event["ts"] for event in events if event["ph"] == "e"}
    assert begun.keys() == {0, 1, 99}
    assert begun[0]["args"] | {"bytes": 1000, "component": "model", "ended": "withdrawn"} == begun[0]["args"]
    assert ends[begun[0]["id"]] - begun[0]["ts"] > 0.15e6
    assert begun[99]["args"]["ended"] == begun[1]["args"]["ended"] == "alive at the end of the recording"
    assert begun[99]["id"].endswith(f".{early.id:x}")


def test_a_demand_that_waits_is_a_span_until_it_is_met(cli, producer):
    def demand_early():
        with maestro.Session(component="plot", timeout=10) as other:
            request = other.demand_start("param = z")
            time.sleep(0.2)
            producer.offer(None, param="z", step=1)
            request.wait().dispose()

    events, _ = recorded(cli, producer, demand_early)
    times = [event["ts"] for event in events if event["name"] == "demand param = z"]
    assert 0.15e6 < times[1] - times[0] < 2e6


def test_what_a_group_needs_stands_under_its_name(cli, producer):
    with maestro.Session(component="plot", timeout=10) as other:
        events, _ = recorded(cli, producer, lambda: other.subscribe("param = z", group="paint").dispose())
    assert "subscription param = z" in timelines.names(events)["paint"]["group"]


def test_waiting_for_memory_is_a_span(cli, monkeypatch):
    monkeypatch.setenv("MAESTRO_POOL_MEMORY", "8MiB")
    with maestro.Session(component="model", schema="mars", timeout=10) as producer:
        held = producer.offer(bytes(7 << 20), param="t", step=1)
        producer.flush()

        def wait_for_room():
            with maestro.Session(component="late", schema="mars", timeout=0.5) as late, pytest.raises(maestro.MemoryError):
                late.cdo(param="t", step=2).empty(4 << 20)

        events, _ = recorded(cli, producer, wait_for_room)
        held.withdraw()
    [wait] = [event for event in events if event["name"] == "waits for room"]
    assert 0.2e6 < wait["dur"] < 2e6


def test_the_end_of_the_pool_ends_the_recording_and_the_file_is_whole(cli):
    producer = maestro.Session(component="model", timeout=10)
    manager = producer.stats()["pid"]
    _, noted = recorded(cli, producer, lambda: os.kill(manager, signal.SIGKILL), stop=False)
    assert "ended early" in noted
    with pytest.raises(maestro.PoolLostError):
        producer.close()


def test_a_recording_of_given_length_ends_by_itself(cli, producer):
    said = cli.json("trace", "out.json", "--for", 0.3, "--interval", 0.1)
    assert 0.3 <= said["seconds"] < 3
    assert 2 <= said["samples"] <= 5
    assert said["events"] == len(timelines.load(cli.folder / "out.json"))


def test_what_cannot_be_is_explained(cli, tmp_path):
    assert "no pool" in cli("trace", "out.json").stderr
    assert "cannot be written" in cli("trace", tmp_path / "nowhere" / "out.json").stderr
    assert "no traces of a weather run" in cli("trace", "out.json", "--run", tmp_path).stderr
    assert "needs a recording" in cli("trace", "out.json", "--run", tmp_path, "--select", "param = t").stderr


def test_texts_of_any_kind_leave_the_file_valid(tmp_path):
    with TraceFile(tmp_path / "out.json") as drawn:
        drawn.instant(drawn.lane('a "b"\n', "é"), "x\\", 5, blob=b"\xff")
    events = timelines.load(tmp_path / "out.json")
    assert timelines.names(events) == {'a "b"\n': {"é": {"x\\": 1}}}
