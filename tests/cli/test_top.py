"""The screen of `maestro top` from recorded counters, and the same live with a producer and a consumer."""

import copy
import os
import pty
import re
import select
import threading
import time
from collections import Counter

import pytest
from rich.console import Console

import maestro
from maestro.cli import stats, telemetry, top


def session(component, rank=0, **counters):
    zero = dict.fromkeys(telemetry.COUNTERS, 0)
    base = {"component": component, "rank": rank, "session": rank + 1, "pid": 100 + rank, "state": "running", "leases": 0,
            "oldest_lease_s": 0.0, "memory_lent": 0, "memory_used": 0, "subscriptions": []}  # fmt: skip
    return {**base, **zero, **counters}


def sample(*sessions):
    return {
        "pool": "default", "node": "n0", "pid": 7, "uptime_s": 42.3,
        "memory": {"limit": 4 << 30, "used": 3 << 29, "lent": 2 << 30, "idle": 1 << 20, "used_peak": 3 << 30},
        "objects": {"live": 4812}, "leases": {"live": 37}, "events": {"sequence": 9000}, "groups": [], "sessions": list(sessions),
    }  # fmt: skip


@pytest.fixture
def shown():
    before = sample(session("hammer", 0, offers=100, offered_bytes=10**9), session("hammer", 1, offers=50), session("old", 8, offers=5))
    after = copy.deepcopy(before)
    del after["sessions"][2]
    after["sessions"][0].update(offers=1100, offered_bytes=3 * 10**9)
    after["sessions"][1].update(offers=150)
    consumer = {"selector": "param = t", "kinds": ["offered"], "lag": 3, "delivered": 7, "gaps": 0, "hold": True}
    lagging = session("products", 4, demands=2408, events=20, leases=2, oldest_lease_s=0.0041, copied=6, subscriptions=[consumer])
    waiting = session("hammer", 2, state="waiting", waits_s=3.2, waits_for="memory is held by hammer[0] 512 MiB", memory_lent=1 << 29)
    group = {"name": "render", "selector": "param = t", "lag": 7, "delivered": 40, "acknowledged": 35, "redelivered": 2, "overdue": 0}
    after["groups"] = [{**group, "members": [{"component": "plot", "rank": rank, "unacknowledged": 3 - rank} for rank in (0, 1)]}]
    after["sessions"] += [lagging, waiting, session("maestro-top", 9)]
    return telemetry.screen(before, after, 2.0, own_pid=109)


def row(shown, name):
    return next(one for one in shown.components if one.component == name)


def test_rates_are_summed_over_the_ranks(shown):
    hammer = row(shown, "hammer")
    assert (hammer.rates["offers"], hammer.rates["offered_bytes"]) == (550.0, 1e9)
    assert (hammer.ranks, hammer.pids, hammer.totals["offers"]) == ([0, 1, 2], [100, 101, 102], 1250)


def test_a_session_that_came_between_the_samples_counts_from_zero(shown):
    assert row(shown, "products").rates["demands"] == 1204.0


def test_one_waiting_rank_makes_the_component_wait_and_a_vanished_one_is_gone(shown):
    assert {one.component: one.state for one in shown.components} == {"hammer": "waiting", "products": "running", "old": "gone"}


def test_the_picture_says_all_of_it(shown):
    console = Console(width=150, record=True)
    console.print(top.picture(shown))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert lines[0] == "pool default · node n0 · 00:42 memory 1.5 GiB / 4.0 GiB ▇▇▇▁▁▁▁▁ objects 4,812 leases 37"
    assert lines[2:] == [
        "component ranks offers/s GB/s events/s demands/s leases memory oldest lease state",
        "hammer 3 550 1.00 - - - 512.0 MiB - waiting",
        "products 1 - - 10 1,204 2 - 4.1 ms running, lag 3, holds, copied 6",
        "old 0 - - - - - - - gone",
        "hammer waits 3.2 s: memory is held by hammer[0] 512 MiB",
        "",
        "group lag objects/s redelivered members and what they hold",
        "render 7 20 2 plot[0] 3, plot[1] 2",
        "",
        "memory used of lent idle peak",
        "DRAM 1.5 GiB 4.0 GiB 2.0 GiB 1.0 MiB 3.0 GiB ▇▇▇▇▁▁▁▁",
    ]


def test_on_80_columns_every_component_has_one_line_and_notes_stand_below(shown):
    console = Console(width=80, record=True)
    console.print(top.Components(shown))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert lines == [
        "component ranks offers/s GB/s events/s demands/s oldest lease state",
        "hammer 3 550 1.00 - - - waiting",
        "products 1 - - 10 1,204 4.1 ms running",
        "old 0 - - - - - gone",
        "hammer: 512.0 MiB of memory",
        "products: 2 leases, lag 3, holds, copied 6",
    ]


def test_the_same_as_json_has_every_field(shown):
    found = shown.as_dict()
    assert {"pool", "node", "pid", "uptime_s", "memory", "objects", "leases", "interval_s", "components"} <= found.keys()
    assert {"component", "state", "ranks", "pids", "rates", "totals", "lag", "oldest_lease_s"} <= found["components"][0].keys()
    assert found["tiers"] == [{"name": "DRAM", "limit": 4 << 30, "used": 3 << 29, "lent": 2 << 30, "idle": 1 << 20, "peak": 3 << 30}]
    assert found["groups"][0]["members"] == {"plot[0]": 3, "plot[1]": 2}


@pytest.fixture
def session_of(cli, monkeypatch):
    """Sessions in the pool that the command looks at; they are closed at the end."""
    monkeypatch.setenv("MAESTRO_DIR", cli.environment["MAESTRO_DIR"])
    monkeypatch.setenv("MAESTRO_LINGER_S", "0.2")
    opened = []

    def session_of(component):
        opened.append(maestro.Session(component=component, schema="mars", timeout=10))
        return opened[-1]

    yield session_of
    for session in opened:
        session.close()


class Producer(threading.Thread):
    """Offers, withdraws and spoils objects, and counts what it does; `pause` is between two of them, when the manager has heard of all."""

    def __init__(self, session):
        super().__init__()
        self.session, self.did, self.lock, self.end = session, Counter(), threading.Lock(), False

    def run(self):
        step = 0
        while not self.end:
            with self.lock:
                step += 1
                cdo = self.session.offer(bytes(100 + step % 7), param="t", step=step)
                self.did += Counter(offers=1, copied=1, offered_bytes=cdo.nbytes)
                if step % 10 == 0:
                    self.did["offers"] += self.session.offer_many(param="u", step=range(1000 * step, 1000 * step + 5))
                    cdo.withdraw()
                    self.did["withdrawn"] += 1
                if step % 25 == 0:
                    with pytest.raises(maestro.DuplicateError):
                        self.session.offer(None, param="t", step=step - 1).wait()
                    self.did["refused"] += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end = True
        self.join()


def prometheus(text, component):
    """{metric without its prefix: value} of a component's sessions."""
    found = re.findall(rf'^maestro_session_(\w+)_total{{.*component="{component}".*}} (\d+)$', text, re.MULTILINE)
    return {name: int(value) for name, value in found}


def test_counters_during_a_run_agree_with_the_producers_own_to_the_object(cli, session_of):
    consumer = session_of("consumer")
    with Producer(session_of("producer")) as producer:
        for times in (1, 2):
            time.sleep(0.1)
            consumer.demand("param = t and step = 1")
            with producer.lock:
                producer.session.flush()
                shown = cli.json("top", "--once", "--interval", 0.05)
                text = cli("stats", "--prometheus").stdout
                own = dict(producer.did)
            totals = {row["component"]: row["totals"] for row in shown["components"]}
            told = prometheus(text, "producer")
            assert {name: totals["producer"][name] for name in own} == own
            assert {name: told[name] for name in own} == own
            assert totals["consumer"]["demands"] == prometheus(text, "consumer")["demands"] == times
            live = own["offers"] - own["withdrawn"]
            assert shown["objects"]["live"] == live
            assert f"}} {live}" in next(line for line in text.splitlines() if line.startswith("maestro_objects_live"))


def row_of_waiting(cli, component):
    """What is told of a component that waits, for programs; people are told too."""
    shown = cli.json("top", "--once", "--interval", 0.05)
    row = next(one for one in shown["components"] if one["component"] == component)
    assert row["state"] == "waiting"
    assert f"{component} waits" in cli("top", "--once", "--interval", 0.05).stdout
    return row


def test_who_waits_for_memory_is_told_with_who_holds_it(cli, monkeypatch, session_of):
    monkeypatch.setenv("MAESTRO_POOL_MEMORY", "8MiB")
    holder, writer = session_of("holder"), session_of("writer")
    held = holder.offer(bytes(7 << 20), param="t", step=1)
    thread = threading.Thread(target=lambda: writer.cdo(param="t", step=2).empty(4 << 20))
    thread.start()
    try:
        time.sleep(0.1)
        row = row_of_waiting(cli, "writer")
        assert 0.05 < row["waits_s"] < 10
        assert row["waits_for"].startswith("memory is held by holder[0]")
    finally:
        held.withdraw()
        held.dispose()
        thread.join()
    assert not thread.is_alive()


def test_who_makes_offers_wait_is_told(cli, monkeypatch, session_of):
    monkeypatch.setenv("MAESTRO_POOL_LOG", "64KiB")
    sleeper, producer = session_of("sleeper"), session_of("producer")
    asleep = sleeper.subscribe("param = t", hold=True, window=1 << 18)
    thread = threading.Thread(target=lambda: producer.offer_many(param="t", step=range(100_000)))
    thread.start()
    try:
        time.sleep(0.5)
        row = row_of_waiting(cli, "producer")
        assert row["waits_for"].startswith("sleeper[0]")
        assert "holds offers" in row["waits_for"]
    finally:
        asleep.dispose()
        thread.join()
    assert not thread.is_alive()


def reads_on_screen(screen, text, seconds=20):
    """Whether the text comes onto the terminal in time."""
    seen, end = "", time.monotonic() + seconds
    while text not in seen and time.monotonic() < end:
        if select.select([screen], [], [], 0.1)[0]:
            seen += os.read(screen, 65536).decode(errors="replace")
    return text in seen


def test_the_screen_stays_while_the_pool_goes_and_comes_back(cli, session_of):
    try:
        screen, terminal = pty.openpty()
    except OSError as error:  # a container without /dev/pts
        pytest.skip(f"no terminal to show it on: {error}")
    session = session_of("first")
    manager = session.stats()["pid"]
    process = cli.start("top", "--interval", 0.1, stdout=terminal, TERM="xterm")
    try:
        assert reads_on_screen(screen, "first")
        os.kill(manager, 9)
        assert reads_on_screen(screen, "waiting for a pool of that name")
        with maestro.Session(component="second", timeout=10):
            assert reads_on_screen(screen, "second")
    finally:
        process.terminate()
        process.communicate()
        os.close(screen)
        os.close(terminal)
    with pytest.raises(maestro.PoolLostError):
        session.close()


def test_a_narrow_screen_breaks_no_part_of_the_headline(shown):
    console = Console(width=60, record=True)
    console.print(top.headline(shown))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert lines == ["pool default · node n0 · 00:42", "memory 1.5 GiB / 4.0 GiB ▇▇▇▁▁▁▁▁", "objects 4,812 leases 37"]


def test_an_empty_bar_and_a_full_one():
    assert (top.bar(0, 8), top.bar(8, 8), top.bar(99, 8), top.bar(1, 0)) == ("▁" * 8, "▇" * 8, "▇" * 8, "▁" * 8)


def test_counters_are_flattened_with_names():
    found = dict(stats.flatten({"a": {"b": 1}, "sessions": [{"component": "x", "rank": 1, "offers": 2}], "kinds": ["offered"]}))
    assert found == {"a.b": 1, "sessions[x.1].component": "x", "sessions[x.1].rank": 1, "sessions[x.1].offers": 2, "kinds": ["offered"]}
