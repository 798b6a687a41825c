"""The screen of `maestro top` from recorded counters, and the same live with a producer and a consumer."""

import copy

import pytest
from rich.console import Console

from maestro.cli import stats, telemetry, top


def session(component, rank=0, **counters):
    zero = dict.fromkeys(telemetry.COUNTERS, 0)
    base = {"component": component, "rank": rank, "session": rank + 1, "pid": 100 + rank, "state": "running", "leases": 0,
            "oldest_lease_s": 0.0, "memory_lent": 0, "memory_used": 0, "subscriptions": []}  # fmt: skip
    return {**base, **zero, **counters}


def sample(*sessions):
    return {
        "pool": "default", "node": "n0", "pid": 7, "uptime_s": 42.3,
        "memory": {"limit": 4 << 30, "used": 3 << 29, "lent": 2 << 30},
        "objects": {"live": 4812}, "leases": {"live": 37}, "events": {"sequence": 9000}, "sessions": list(sessions),
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
    waiting = session("hammer", 2, state="waiting")
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
    assert lines[2] == "component ranks offers/s GB/s events/s demands/s oldest lease state"
    assert lines[3] == "hammer 3 550 1.00 - - - waiting"
    assert lines[4] == "products 1 - - 10 1,204 4.1 ms running, lag 3, holds, copied 6"
    assert lines[5] == "old 0 - - - - - gone"


def test_on_80_columns_every_component_has_one_line_and_notes_stand_below(shown):
    console = Console(width=80, record=True)
    console.print(top.Components(shown))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert lines == [
        "component ranks offers/s GB/s events/s demands/s oldest lease state",
        "hammer 3 550 1.00 - - - waiting",
        "products 1 - - 10 1,204 4.1 ms running",
        "old 0 - - - - - gone",
        "products: lag 3, holds, copied 6",
    ]


def test_the_same_as_json_has_every_field(shown):
    found = shown.as_dict()
    assert {"pool", "node", "pid", "uptime_s", "memory", "objects", "leases", "interval_s", "components"} <= found.keys()
    assert {"component", "state", "ranks", "pids", "rates", "totals", "lag", "oldest_lease_s"} <= found["components"][0].keys()


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
