"""The demo as a user starts it: one JSON object with the figures, maps, products equal in all runs."""

import json
import subprocess
from pathlib import Path

import pytest

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
    for column in (result["sinks"]["maestro"], result["sinks"]["fdb"]["shm_step"]):
        assert column["fields_per_s"] > 0
        assert column["gb_per_s"] > 0
        assert column["copies_per_field"] in (1, 3)
        assert set(column["field_age_ms"]) == set(column["product_age_ms"]) == {"mean", "p50", "p99"}
        assert 0 < column["field_age_ms"]["p50"] <= column["field_age_ms"]["p99"]
        assert column["field_age_ms"]["mean"] < column["product_age_ms"]["mean"]
    assert len(result["maps"]) >= 5
    assert all(Path(path).stat().st_size > 10_000 for path in (*result["maps"], result["timeline"]))
    assert not (tmp_path / "forecast").exists()


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
        assert part["fields_offered"] == part["fields_received"] == 60
        assert part["sinks"]["maestro"]["field_age_ms"]["p99"] > 0
        assert part["sinks"]["fdb"]["shm_field"]["fields_per_s"] > 0
    assert [bar["what"].split(",")[-1].strip() for bar in result["bars"]] == [
        "mean ms", "p99 ms", "fields per second as multiple of the best FDB column",
    ]  # fmt: skip


def test_wrong_words_are_named(capsys):
    assert cli.main(["demo", "--sinks", "maestro,ftp"]) == 2
    assert "no run 'ftp'" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["hammer", "nowhere.yaml"]) == 2
    assert "nowhere.yaml: cannot be read" in capsys.readouterr().err


def test_figures_of_a_made_up_run_are_what_one_computes_by_hand(tmp_path):
    """Two fields, complete at 0 and 10 ms, readable 4 and 6 ms later; one product 20 ms after its field."""
    from maestro.workflows.weather.trace import Kind, Trace

    at = 1_000_000_000
    with Trace(tmp_path / "trace" / "hammer.0") as log:
        log.add(Kind.BEGIN, t=at)
        for index, complete in enumerate((0, 10_000_000)):
            log.add(Kind.COMPLETE, index, at + complete, 1_000_000)
            log.add(Kind.PLACED, index, at + complete + 1_000_000, 1_000_000, flag=2, nbytes=500)
    with Trace(tmp_path / "trace" / "products.0") as log:
        log.add(Kind.RECEIVED, 0, at + 4_000_000, 2_000_000, flag=1, nbytes=500)
        log.add(Kind.RECEIVED, 1, at + 16_000_000, 2_000_000, flag=1, nbytes=500)
        log.add(Kind.PRODUCT, 0, at + 20_000_000, 3_000_000, product=0)
        log.add(Kind.FINISHED, 0, at + 20_000_000, 4_000_000)
    outcome = {"requirements": 1, "met": 1, "failed": [], "received": 2, "lost": [], "corrupt": [], "duplicates": []}
    (tmp_path / "outcome.json").write_text(json.dumps(outcome))
    figures = report.figures(tmp_path)
    assert figures["field_age_ms"] == {"mean": 5.0, "p50": 5.0, "p99": pytest.approx(5.98)}
    assert figures["product_age_ms"]["mean"] == 20.0
    assert figures["fields_per_s"] == 125.0
    assert figures["copies_per_field"] == 3.0
    assert figures["data_movement_share"] == 0.5  # 2 + 4 ms of moving, 2 + 4 ms of making and using
