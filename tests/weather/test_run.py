"""Whole runs of hammer and products on a coarse grid: nothing lost, planted faults reported exactly, crashes survived."""

import shutil

import pytest

from maestro.workflows.weather import report, trace
from maestro.workflows.weather.trace import Kind

pytestmark = pytest.mark.usefixtures("sample_fields")


def test_file_run_meets_every_requirement_once(run, small_plan, wishes):
    run.write(small_plan, wishes)
    outcome = run.execute()
    assert run.status == 0
    assert outcome == {"requirements": 8, "met": 8, "failed": [], "received": 8, "lost": [], "corrupt": [], "duplicates": []}
    figures = report.figures(run.folder)
    assert figures["fields_offered"] == 24
    assert figures["copies_per_field"] == 2
    assert figures["field_age_ms"]["mean"] > 0


@pytest.mark.parametrize("flush", ["field", "step"])
def test_fdb_run_makes_the_same_products_as_the_file_run(run, tmp_path, small_plan, wishes, fdb_part, flush):
    run.write(small_plan, wishes)
    run.execute()
    same = report.digests(run.folder)
    other = type(run)(tmp_path / "other")
    other.write(small_plan | {"sink": "fdb", "fdb": {"flush": flush}}, wishes)
    outcome = other.execute()
    assert not outcome["failed"]
    assert not outcome["lost"]
    assert len(same) == 2
    assert report.digests(other.folder) == same
    assert report.figures(other.folder)["copies_per_field"] == 3


@pytest.mark.usefixtures("private_pool")
def test_pool_run_makes_the_same_products_as_the_file_run_with_one_copy(run, tmp_path, small_plan, wishes):
    run.write(small_plan, wishes)
    run.execute()
    other = type(run)(tmp_path / "other")
    other.write(small_plan | {"sink": "maestro"}, wishes)
    outcome = other.execute()
    assert outcome == {"requirements": 8, "met": 8, "failed": [], "received": 8, "lost": [], "corrupt": [], "duplicates": []}
    assert report.digests(other.folder) == report.digests(run.folder)
    assert report.figures(other.folder)["copies_per_field"] == 1


@pytest.mark.usefixtures("private_pool")
def test_what_no_product_needs_is_not_moved(run, tmp_path, small_plan, wishes):
    """The same products from a third of the bytes."""
    runs = {}
    for only_wanted in (False, True):
        runs[only_wanted] = other = type(run)(tmp_path / str(only_wanted))
        other.write(small_plan | {"sink": "maestro", "maestro": {"only_wanted": only_wanted, "pool": f"pool-{only_wanted}"}}, wishes)
        assert other.execute()["met"] == 8
    moved = {key: report.traces(other.folder, "hammer.*") for key, other in runs.items()}
    nbytes = {key: int(records["nbytes"][records["kind"] == Kind.PLACED].sum()) for key, records in moved.items()}
    assert report.figures(runs[True].folder)["fields_offered"] == 8
    assert nbytes[True] * 3 == pytest.approx(nbytes[False], rel=0.1)
    assert report.digests(runs[True].folder) == report.digests(runs[False].folder)


@pytest.mark.usefixtures("private_pool")
def test_a_forecast_larger_than_it_may_keep_takes_consumed_steps_back(run, small_plan, wishes):
    wishes.append({"name": "all", "retrieve": {"param": "t/z/msl/2t"}, "post": {"grid": "5/5"}, "to": "all"})
    run.write(small_plan | {"sink": "maestro", "maestro": {"keep": 100_000}}, wishes)  # of about 300,000 bytes
    outcome = run.execute()
    assert (outcome["received"], outcome["failed"], outcome["duplicates"]) == (24, [], [])


@pytest.mark.usefixtures("private_pool")
@pytest.mark.parametrize("sink", ["file", "maestro"])
def test_one_damaged_and_one_dropped_field_are_reported_exactly(run, small_plan, wishes, sink):
    wishes.append({"name": "all", "retrieve": {"param": "t/z/msl/2t"}, "post": {"grid": "5/5"}, "to": "all"})
    run.write(small_plan | {"sink": sink}, wishes)
    outcome = run.execute("--corrupt-field", 5, "--drop-field", 9)
    assert run.status == 1
    assert outcome["corrupt"] == [5]
    assert outcome["lost"] == [9]
    assert outcome["duplicates"] == []
    assert outcome["received"] == 23
    table = {failure["product"]: failure["reason"] for failure in outcome["failed"]}
    from maestro.workflows.weather import plan, requirements

    fields = plan.load(run.plan).fields()
    needed = requirements.needed(requirements.expand(requirements.load(run.wishes), fields))
    assert set(table) == {product.index for index in (5, 9) for product in needed[index]}
    assert all("damaged" in table[product.index] for product in needed[5])
    assert all("did not arrive" in table[product.index] for product in needed[9])


def eccodes_sample(name) -> bytes:
    from maestro.workflows.weather import grib

    ec = grib.eccodes()
    handle = ec.codes_grib_new_from_samples(name)
    message = ec.codes_get_message(handle)
    ec.codes_release(handle)
    return message


def user_wishes(count):
    return [{"name": "file", "retrieve": {"iteration": number}, "post": {"grid": "5/5"}, "to": "user"} for number in range(1, count + 1)]


@pytest.mark.usefixtures("private_pool")
@pytest.mark.parametrize(("name", "sink"), [("budg", "file"), ("diag", "maestro")])
def test_a_field_that_kills_mir_fails_its_requirement_only(run, sample_fields, name, sink):
    good = (sample_fields / "regular_latlon_surface.grib2").read_bytes()
    path = run.folder.parent / "mine.grib"
    path.write_bytes(good + eccodes_sample(name) + good)
    run.write({"input": str(path), "sink": sink, "workers": 2}, user_wishes(3))  # in the pool's group the field goes to the other worker
    outcome = run.execute()
    assert outcome["met"] == 2
    assert [failure["product"] for failure in outcome["failed"]] == [1]
    assert "SIGABRT" in outcome["failed"][0]["reason"]
    assert "message 2" in outcome["failed"][0]["name"]
    assert outcome["lost"] == outcome["corrupt"] == outcome["duplicates"] == []


def later(message: bytes, step: int) -> bytes:
    """The same field at another step."""
    from maestro.workflows.weather import grib

    ec, handle = grib.eccodes(), grib.open_message(message)
    ec.codes_set(handle, "step", step)
    made = ec.codes_get_message(handle)
    ec.codes_release(handle)
    return made


@pytest.mark.usefixtures("private_pool")
def test_what_a_dead_worker_had_not_finished_stays_for_the_next_one(run, sample_fields):
    """Steps are taken back as soon as they are consumed, and the only worker dies three times in between."""
    good, bad = (sample_fields / "regular_latlon_surface.grib2").read_bytes(), eccodes_sample("diag")
    path = run.folder.parent / "mine.grib"
    path.write_bytes(b"".join(bad if step in (2, 9, 17) else later(good, step) for step in range(25)))
    run.write({"input": str(path), "sink": "maestro", "workers": 1, "rate": 40, "maestro": {"keep": 0}}, user_wishes(25))
    outcome = run.execute()
    assert outcome["lost"] == outcome["duplicates"] == []
    assert [failure["product"] for failure in outcome["failed"]] == [2, 9, 17]
    assert outcome["met"] == 22


def test_a_worker_that_fails_in_python_is_told_by_its_last_words(run, small_plan, wishes):
    wishes = [wishes[1] | {"retrieve": {"param": "msl", "step": 6, "number": 1}}]
    run.write(small_plan, wishes)
    (run.folder / "parts").write_text("a file where the folder of the parts should be")
    outcome = run.execute()
    assert (outcome["met"], outcome["lost"]) == (0, [])
    [failure] = outcome["failed"]
    assert failure["reason"].startswith("its worker failed: ")
    assert "File exists" in failure["reason"]
    assert "MIR" not in failure["reason"]


def test_requirement_without_a_field_fails_by_name(run, small_plan, wishes):
    wishes[0]["retrieve"]["levelist"] = 501
    run.write(small_plan, wishes)
    outcome = run.execute()
    assert {failure["reason"] for failure in outcome["failed"]} == {"no field of the plan fits"}
    assert all("501" in failure["name"] for failure in outcome["failed"])
    assert outcome["met"] == 4


def test_a_worker_that_cannot_start_ends_the_run_by_name(run, small_plan, wishes):
    """The sink is `null`, from which no worker can read."""
    import subprocess

    from maestro.workflows.weather.stage import component

    run.write(small_plan | {"sink": "null", "workers": 1}, wishes)
    words = component("products", str(run.plan), str(run.wishes), "--run", str(run.folder))
    done = subprocess.run(words, env=_environment(), capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 2
    assert "product worker 0" in done.stderr
    assert "there is nothing to read" in done.stderr


def test_dry_run_receives_everything_and_makes_nothing(run, small_plan, wishes):
    run.write(small_plan, wishes)
    outcome = run.execute(products_options=["--dry-run"])
    assert run.status == 0
    assert outcome["received"] == 8
    assert outcome["met"] == 0
    assert not (run.folder / "products").exists()


def test_replay_gives_the_same_bytes(run, tmp_path, small_plan, wishes):
    run.write(small_plan, wishes)
    run.execute()
    other = type(run)(tmp_path / "other")
    other.write(small_plan | {"mode": "replay", "forecast": str(run.folder / "fields")}, wishes)
    assert not other.execute()["failed"]
    assert report.digests(other.folder) == report.digests(run.folder)


def test_rate_is_kept(run, small_plan, wishes):
    run.write(small_plan | {"rate": 20, "jitter": 0.5}, wishes)
    run.execute()
    made = trace.read(run.folder / "trace" / "hammer.0")
    times = made["t"][made["kind"] == Kind.COMPLETE]
    assert 23 / 30 <= (times[-1] - times[0]) / 1e9 <= 23 / 10


@pytest.mark.skipif(not shutil.which("mpiexec"), reason="no mpiexec on PATH")
def test_ranks_share_the_fields(run, small_plan, wishes):
    """Two MPI ranks: every field once, each rank its own levels."""
    from maestro.workflows.weather.stage import Stage, component, ranks

    run.write(small_plan | {"workers": 0}, wishes)
    with Stage(run.folder, _environment()) as stage:
        stage.start("hammer", ranks(2, component("hammer", str(run.plan), "--run", str(run.folder))))
        stage.wait(40)
    fields = [set(trace.read(run.folder / "trace" / f"hammer.{rank}")["field"].tolist()) - {-1} for rank in (0, 1)]
    assert not fields[0] & fields[1]
    assert fields[0] | fields[1] == set(range(24))


def _environment():
    import os
    from pathlib import Path

    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
