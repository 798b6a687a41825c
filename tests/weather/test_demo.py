"""The demo as a user starts it: one JSON object with the figures, maps, products equal in all runs."""

import json
import subprocess
from pathlib import Path

import pytest
import timelines

from maestro.workflows.weather import cli, report

SMALL = ("--grid", "O32", "--members", "1", "--steps", "2", "--rate", "0")


def demo(output, *words, timeout=55):
    from maestro.workflows.weather.demo import environment
    from maestro.workflows.weather.stage import component

    command = component("demo", "--json", "--output", str(output), *words)
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=timeout, check=False)
    assert done.stdout.count("\n") == 1, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.usefixtures("sample_fields", "fdb_part")
def test_demo_prints_one_object_with_every_figure(tmp_path):
    status, result = demo(tmp_path, "--sinks", "maestro,fdb.shm_step", *SMALL)
    assert status == 0
    assert result["fields_offered"] == result["fields_received"] == 460
    assert result["requirements"] > 200
    assert result["failed_requirements"] == result["lost"] == result["duplicates"] == 0
    assert result["products_identical"] is True
    assert result["skipped"] == {}
    assert [bar["what"] for bar in result["bars"]] == ["age of a field, mean ms", "age of a field, p99 ms"]
    for column in (result["sinks"]["maestro"], result["sinks"]["fdb"]["shm_step"]):
        assert column["fields_per_s"] > 0
        assert column["gb_per_s"] > 0
        assert column["copies_per_field"] in (1, 3)
        assert set(column["field_age_ms"]) == set(column["product_age_ms"]) == {"mean", "p50", "p99"}
        assert 0 < column["field_age_ms"]["p50"] <= column["field_age_ms"]["p99"]
        assert column["field_age_ms"]["mean"] < column["product_age_ms"]["mean"]
    assert result["sinks"]["maestro"]["step_age_ms"]["p50"] > 0
    assert result["sinks"]["fdb"]["shm_step"]["step_age_ms"] is None
    assert len(result["maps"]) >= 5
    assert all(Path(path).stat().st_size > 10_000 for path in (*result["maps"], result["timeline"]))
    timeline = timelines.names(timelines.load(tmp_path / "timeline.json"))
    assert sum(timeline["maestro hammer"]["rank 0: make field"].values()) > 0
    assert timeline["maestro steps"] == {"rank 0": {"step": 2}}
    assert not (tmp_path / "forecast").exists()


def test_a_file_of_mine_gets_as_many_maps_as_asked_for(sample_fields, tmp_path):
    path = tmp_path / "mine.grib"
    path.write_bytes(3 * (sample_fields / "regular_latlon_surface.grib2").read_bytes())
    status, result = demo(tmp_path / "out", "--input", str(path), "--sinks", "file", "--pictures", "2")
    assert status == 0
    assert (result["fields_received"], len(result["maps"]), result["bars"]) == (3, 2, [])


@pytest.mark.usefixtures("sample_fields")
def test_planted_faults_are_reported_exactly(tmp_path):
    status, result = demo(tmp_path, "--sinks", "maestro", *SMALL, "--corrupt-field", "7", "--drop-field", "300")
    assert status == 1
    assert (result["lost"], result["corrupt"], result["duplicates"]) == (1, 1, 0)
    column = result["sinks"]["maestro"]
    assert (column["lost"], column["corrupt"]) == ([300], [7])
    assert all("damaged" in failure["reason"] or "did not arrive" in failure["reason"] for failure in column["failed"])


@pytest.mark.usefixtures("sample_fields", "fdb_part")
def test_dry_run_measures_age_at_a_rate_and_then_speed(tmp_path):
    status, result = demo(tmp_path, "--dry-run", "--sinks", "maestro,fdb.shm_field", "--grid", "O32", "--steps", "1")
    assert status == 0
    assert (result["at_rate"]["rate"], result["full_rate"]["rate"]) == (100, 0)
    for part in (result["at_rate"], result["full_rate"]):
        assert part["skipped"] == {}
        assert part["fields_offered"] == part["fields_received"] == 60
        assert part["sinks"]["maestro"]["field_age_ms"]["p99"] > 0
        assert part["sinks"]["fdb"]["shm_field"]["fields_per_s"] > 0
    assert [bar["what"].split(",")[-1].strip() for bar in result["bars"]] == [
        "mean ms", "p99 ms", "fields per second as multiple of the best FDB column",
    ]  # fmt: skip


def made_up_column(age: float, **more) -> dict:
    ages = {"mean": age, "p50": age, "p99": 3 * age}
    column = {
        "fields_per_s": 299.9,
        "gb_per_s": 0.1417,
        "field_age_ms": ages,
        "product_age_ms": {"mean": 1150.7, "p50": 1099.6, "p99": 2277.4},
    }
    column |= {
        "copies_per_field": 3.0,
        "data_movement_share": 0.36,
        "fields_offered": 46_000,
        "fields_received": 46_000,
        "requirements": 4970,
    }
    return column | {"failed_requirements": 0, "failed": [], "lost": [], "corrupt": [], "duplicates": [], "seconds": 15.4} | more


def test_a_table_of_five_runs_fits_a_terminal_with_one_line_a_row():
    from io import StringIO

    from rich.console import Console

    names = ("maestro", "fdb.shm_field", "fdb.shm_step", "fdb.disk_field", "fdb.disk_step")
    console = Console(width=80, record=True, file=StringIO())
    console.print(report.table("Runs", {name: made_up_column(700.0 + number) for number, name in enumerate(names)}))
    lines = console.export_text().splitlines()
    assert len(lines) == 1 + 2 + 1 + len(report.ROWS)
    assert all(len(line) <= 80 and "…" not in line for line in lines)
    assert all(any(line.startswith(label) for line in lines) for label, *_ in report.ROWS)


def test_a_full_run_is_judged_by_the_best_fdb_column():
    sinks = {"maestro": made_up_column(3.0), "fdb": {"shm_field": made_up_column(4.0), "disk_step": made_up_column(2.0)}}
    mean, late = report.full_bars({"sinks": sinks})
    assert (mean["value"], mean["must"], mean["met"]) == (3.0, "2 at most, as the best FDB column", False)
    assert (late["value"], late["met"]) == (9.0, False)
    del sinks["fdb"]["disk_step"]
    assert all(bar["met"] for bar in report.full_bars({"sinks": sinks}))
    assert report.full_bars({"sinks": {"maestro": made_up_column(1.0)}}) == []


def test_a_missed_bar_is_an_error_only_when_asked():
    from maestro.workflows.weather import demo as it

    good = {"failed_requirements": 0, "lost": 0, "corrupt": 0, "duplicates": 0, "products_identical": True}
    assert it.status([good], [{"met": False}], strict=False) == 0
    assert it.status([good], [{"met": False}], strict=True) == 3
    assert it.status([good], [{"met": True}], strict=True) == 0
    assert it.status([good, good | {"lost": 1}], [{"met": False}], strict=True) == 1


def test_wrong_words_are_named(capsys):
    assert cli.main(["demo", "--sinks", "maestro,ftp"]) == 2
    assert "no run 'ftp'" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["hammer", "nowhere.yaml"]) == 2
    assert "nowhere.yaml: cannot be read" in capsys.readouterr().err


def test_figures_of_a_made_up_run_are_what_one_computes_by_hand(tmp_path):
    """Two fields, complete at 0 and 10 ms, readable 4 and 6 ms later; one product 20 ms after its field; its step heard 7 ms after it."""
    from maestro.workflows.weather.trace import Kind, Trace

    at = 1_000_000_000
    with Trace(tmp_path / "trace" / "hammer.0") as log:
        log.add(Kind.BEGIN, t=at)
        for index, complete in enumerate((0, 10_000_000)):
            log.add(Kind.COMPLETE, index, at + complete, 1_000_000)
            log.add(Kind.PLACED, index, at + complete + 1_000_000, 1_000_000, copies=2, nbytes=500)
        log.add(Kind.STEP, where=6, t=at + 12_000_000)
        log.add(Kind.STEP, where=12, t=at + 12_500_000)  # of which this rank has no field
    with Trace(tmp_path / "trace" / "hammer.1") as log:
        log.add(Kind.STEP, where=6, t=at + 2_000_000)
    with Trace(tmp_path / "trace" / "steps") as log:
        log.add(Kind.STEP, where=6, t=at + 17_000_000)
        log.add(Kind.GIVEN_UP, where=12, t=at + 18_000_000)
    with Trace(tmp_path / "trace" / "products.0") as log:
        log.add(Kind.RECEIVED, 0, at + 4_000_000, 2_000_000, copies=1, nbytes=500)
        log.add(Kind.RECEIVED, 1, at + 16_000_000, 2_000_000, copies=1, nbytes=500)
        log.add(Kind.PRODUCT, 0, at + 20_000_000, 3_000_000, product=0)
        log.add(Kind.FINISHED, 0, at + 20_000_000, 4_000_000)
    outcome = {"requirements": 1, "met": 1, "failed": [], "received": 2, "lost": [], "corrupt": [], "duplicates": []}
    (tmp_path / "outcome.json").write_text(json.dumps(outcome))
    figures = report.figures(tmp_path)
    assert figures["field_age_ms"] == {"mean": 5.0, "p50": 5.0, "p99": pytest.approx(5.98)}
    assert figures["product_age_ms"]["mean"] == 20.0
    assert figures["step_age_ms"] == {"mean": 7.0, "p50": 7.0, "p99": 7.0}
    assert figures["fields_per_s"] == 125.0
    assert figures["copies_per_field"] == 3.0
    assert figures["data_movement_share"] == 0.5  # 2 + 4 ms of moving, 2 + 4 ms of making and using
