"""The judgement of `maestro bench`: medians, spreads, bars, peers, and what is said where figures are missing."""

from __future__ import annotations

import time
from pathlib import Path

import performance
import pytest

from maestro.benchmark import arrays, groups, judge, ranks, rows, sources
from maestro.benchmark.rows import Other, Row
from maestro.benchmark.sources import SourceError, parse


def row(**more) -> Row:
    given = {"must": 10, "aim": 5, "peers": (Other("peer", "peer:ns"),)} | more
    return Row("key", "group", "title", "ns", "own:ns", **given)


def measured(own: list[float], peer: list[float]) -> judge.Measured:
    return judge.Measured([{"own:ns": o, "peer:ns": p} for o, p in zip(own, peer, strict=True)])


@pytest.mark.parametrize(
    ("own", "peer", "against"),
    [
        ([7, 8, 9], [9, 9, 9], "ahead"),
        ([8, 8, 8], [8, 8, 8], "level"),
        ([8, 11, 12], [9, 9, 9], "behind"),
        ([11, 12, 13], [10, 10.5, 14], "level"),
        ([10, 30, 31], [9.9, 10, 11], "behind"),
        ([9.9, 10, 11], [10, 30, 31], "level"),
        ([1, 8, 31], [9.9, 10, 11], "ahead"),
    ],
)
def test_the_median_is_held_against_every_repetition_of_the_peer(own, peer, against):
    assert judge.judge(row(), measured(own, peer))["against_peers"] == against


@pytest.mark.parametrize(
    ("own", "met", "close"),
    [
        ([7, 8, 9], True, False),
        ([7, 8, 11], True, True),
        ([8, 11, 12], False, True),
        ([11, 12, 13], False, False),
        ([10, 10, 10], True, False),
    ],
)
def test_the_median_meets_the_bar_or_not_and_a_bar_within_the_spread_is_close(own, met, close):
    judged = judge.judge(row(), measured(own, [1, 1, 1]))
    assert (judged["met"], judged["close"]) == (met, close)


def test_the_worst_word_of_several_peers_counts():
    wide_but_better, narrow = (1.0, 2.0, 20.0), (6.0, 6.5, 7.0)
    figures = [{"own:ns": 8.0, "a:ns": a, "b:ns": b} for a, b in zip(wide_but_better, narrow, strict=True)]
    judged = judge.judge(row(peers=(Other("a", "a:ns"), Other("b", "b:ns"))), judge.Measured(figures))
    assert (judged["best_peer"], judged["against_peers"]) == ("a", "behind")
    assert [peer["maestro_is"] for peer in judged["peers"]] == ["level", "behind"]


def test_a_reference_is_not_raced_and_named_where_it_is_quicker():
    figures = judge.Measured([{"own:ns": 8.0, "peer:ns": 9.0, "less:ns": 2.0}])
    judged = judge.judge(row(references=(Other("less", "less:ns", "does less"),)), figures)
    assert judged["against_peers"] == "ahead"
    assert judged["references"][0]["value"] == 2
    assert judge.quicker_references(judged) == ["less"]


def test_more_is_better_where_the_row_says_so():
    judged = judge.judge(row(higher=True), measured([9, 9.5, 11], [12, 12, 12]))
    assert judged["against_peers"] == "behind"
    assert (judged["met"], judged["close"]) == (False, True)
    assert judged["ratio"] == pytest.approx(9.5 / 12)


def test_the_best_of_several_peers_counts():
    figures = [{"own:ns": 8.0, "a:ns": 9.0, "b:ns": 7.0}]
    judged = judge.judge(row(peers=(Other("a", "a:ns"), Other("b", "b:ns"))), judge.Measured(figures))
    assert judged["best_peer"] == "b"
    assert judged["against_peers"] == "behind"  # one repetition has no spread


def test_a_missing_figure_is_never_met_and_says_why():
    judged = judge.judge(row(), judge.Measured([{"peer:ns": 3.0}], {"own": "it fell over"}))
    assert judged["value"] is None
    assert judged["missing"] == "it fell over"
    assert judged["met"] is False
    assert judged["against_peers"] is None


def test_a_bar_that_hangs_on_the_bound_is_made_of_its_median():
    bound = [{"own:ns": 14.0, "chain:ns": n} for n in (8.0, 10.0, 90.0)]
    judged = judge.judge(row(must=rows.times("chain:ns", 1.5), peers=()), judge.Measured(bound))
    assert judged["must"] == 15
    assert judged["met"] is True


def test_every_row_has_its_group_and_names_peers_or_why_there_are_none():
    there, everything = groups.groups(), rows.rows()
    assert len({one.key for one in everything}) == len(everything)
    for one in everything:
        assert one.group in there, one.key
        assert one.peers or one.no_peer, one.key


def test_every_figure_of_a_row_comes_from_a_source_of_its_group():
    there = groups.groups()
    for one in rows.rows():
        others = [one.bound] if one.bound else []
        for value in [one.value, *(o.value for o in (*one.peers, *one.references, *others)), *one.details.values()]:
            if isinstance(value, str):
                assert value.rsplit(":", 1)[0] in there[one.group], f"{one.key}: {value}"


def test_a_program_that_prints_nothing_gives_no_figure():
    with pytest.raises(SourceError):
        parse("\n")


def test_nested_figures_get_names_with_dots():
    assert parse('{"a":{"b":1},"c":2}') == {"a.b": 1, "c": 2}


def test_after_a_timeout_nothing_that_a_program_started_goes_on(monkeypatch, tmp_path):
    pid = tmp_path / "pid"
    monkeypatch.setattr(sources, "program", lambda name: ["sh", "-c", f"sleep 60 & echo $! >{pid}; wait"])
    monkeypatch.setattr(sources, "TIMEOUT_S", 0.5)
    with pytest.raises(SourceError, match="timed out"):
        sources.c("any", "").run(False)
    give_up = time.monotonic() + 5
    while running(int(pid.read_text())):
        assert time.monotonic() < give_up
        time.sleep(0.01)


def running(pid: int) -> bool:
    """A zombie that nobody has waited for does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# ---- Distributed arrays
@pytest.fixture
def both_families(monkeypatch):
    monkeypatch.setattr(arrays, "families", lambda: list(ranks.FAMILIES))


@pytest.mark.usefixtures("both_families")
def test_rows_of_arrays_are_there_for_each_mpi_and_take_their_figures_from_their_programs():
    sources_of = arrays.sources()
    assert list(sources_of) == [f"arrays-{family}" for family in ranks.FAMILIES]
    for one in arrays.rows():
        assert one.group in sources_of
        assert one.key.endswith(one.group.removeprefix("arrays-"))


def array_row(key: str) -> Row:
    return next(one for one in arrays.rows() if one.key == key)


@pytest.mark.usefixtures("both_families")
def test_a_halo_is_held_against_the_best_by_hand_that_was_measured():
    us = {"auto": 8.0, "packed by hand": 20.0, "phases": 10.0, "shared window": 4.0, "GHEX": 25.0}
    figures = judge.Measured([{f"halo:2d 128 1.{way}.us": value for way, value in us.items()}])
    judged = judge.judge(array_row("halo-2d-128-1-mpich"), figures)
    assert (judged["value"], judged["met"], judged["aim_met"]) == (0.8, True, True)
    assert judged["against_peers"] == "behind"  # the shared window is a peer too
    assert {peer["name"]: peer.get("value") for peer in judged["peers"]}["GHEX"] == 2.5


@pytest.mark.usefixtures("both_families")
def test_a_peer_that_could_not_be_had_is_named_as_such():
    judged = judge.judge(array_row("halo-2d-128-1-mpich"), judge.Measured([{"halo:2d 128 1.auto.us": 8.0, "halo:2d 128 1.phases.us": 9.0}]))
    assert next(peer for peer in judged["peers"] if peer["name"] == "GHEX")["missing"].startswith("no peer")


@pytest.mark.usefixtures("both_families")
def test_the_worst_choice_of_a_method_counts():
    us = {
        "cy 512.auto": 1.0,
        "cy 512.shared": 1.0,
        "cy 512.staged": 2.0,
        "cy 512.auto, other": 2.5,
        "cy 512.packed": 9.0,
        "cy 64.auto": 9.0,
        "cy 64.shared": 1.0,
    }
    figures = judge.Measured([{f"redistribute:{name}.us": value for name, value in us.items()}])
    judged = judge.judge(array_row("choice-cy-512-openmpi"), figures)
    assert (judged["value"], judged["met"]) == (1.25, False)


def test_an_mpi_without_programs_is_named_as_not_measured(monkeypatch):
    monkeypatch.setattr(ranks, "families", lambda: ["mpich"])
    assert any("Open MPI" in what for what in rows.not_measured())
    assert not any("on MPICH" in what for what in rows.not_measured())


def test_a_program_under_mpirun_that_fails_gives_no_figure(monkeypatch, tmp_path):
    mpirun = tmp_path / "mpirun"
    mpirun.write_text("#!/bin/sh\necho out of order >&2\nexit 3\n")
    mpirun.chmod(0o755)
    monkeypatch.setattr(ranks, "launcher", lambda family: mpirun)
    with pytest.raises(SourceError, match="exit 3: out of order"):
        ranks.ranks("mpich", "halo/--json").run(False)


def test_a_program_under_mpirun_finds_the_libraries_of_the_environment_too(monkeypatch, tmp_path):
    mpirun = tmp_path / "mpirun"
    mpirun.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH"\n')
    mpirun.chmod(0o755)
    monkeypatch.setattr(ranks, "launcher", lambda family: mpirun)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/far/lib")
    assert ranks.ranks("mpich", "halo/--json").output(False).strip() == f"{ranks.peers_folder('mpich')}:/far/lib"


def test_the_page_of_figures_shows_each_way_with_its_ratio_and_how_rows_stand(both_families, monkeypatch, tmp_path):
    ways = {"memcpy": 10.0, "auto": 12.0, "auto, nodes": 30.0, "by hand": 40.0, "packed": 31.0}
    note = {"auto": "shared", "auto, nodes": "packed"}
    case = {way: {"us": us, "low": us, "high": us, "samples": 15, "note": note.get(way, "")} for way, us in ways.items()}
    page = tmp_path / "page.md"
    page.write_text("Before.\n<!-- figures -->\nold\n<!-- end -->\nAfter.\n")
    monkeypatch.setattr(performance, "PAGE", page)
    monkeypatch.setattr(performance, "RUNS", [("mpich", 2)])
    monkeypatch.setattr(performance, "run", lambda family, count, words: {"rc 512": case} if words.startswith("redistribute") else {})
    monkeypatch.setattr("sys.argv", ["performance.py"])
    performance.main()
    text = page.read_text()
    assert text.startswith("Before.\n<!-- figures -->\n")
    assert text.endswith("<!-- end -->\nAfter.\n")
    assert "| rc 512 | 10.0 | 12.0 (1.20) shared | 30.0 (3.00) packed | 31.0 (3.10) | 40.0 (4.00) |" in text
    assert "| redistribute-rc-512-mpich | 1.20 x memcpy | 1.50 | 1.10 | by hand 4.00 | must met |" in text
    assert "| messages-rc-512-mpich | 0.75 x | 1.00 | 0.85 | - | aim met |" in text
    assert "old" not in text
