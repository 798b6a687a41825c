"""Fences: a step is complete behind its last field, what will not come is known at once, and nobody waits for it."""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict

import pytest

import maestro
from maestro.workflows.weather import fences, hammer, poolsource, report, requirements, trace
from maestro.workflows.weather.demo import environment
from maestro.workflows.weather.errors import StageTimeoutError
from maestro.workflows.weather.plan import Plan, load
from maestro.workflows.weather.stage import component, ranks
from maestro.workflows.weather.trace import Kind

ALONE = """
import sys
from pathlib import Path
from maestro.workflows.weather import hammer, plan

class World:  # ranks without MPI's launcher, so that one can die alone
    Get_rank = staticmethod(lambda: int(sys.argv[3]))
    Get_size = staticmethod(lambda: 2)
    Ibarrier = staticmethod(lambda: World)
    Test = staticmethod(lambda: True)

hammer._communicator = lambda: World
hammer.run_hammer(plan.load(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("nranks", [1, 2, 3])
def test_each_rank_has_every_step_and_all_its_fields_once(small_plan, nranks):
    plan = Plan.model_validate(small_plan | {"steps": "0/6/12"})
    for rank in range(nranks):
        mine = [item for item in plan.fields() if item.rank(nranks) == rank]
        steps = hammer._steps(plan, mine)
        assert list(steps) == [0, 6, 12]
        assert [item for members in steps.values() for of_member in members for item in of_member] == mine
        for step, members in steps.items():
            found = [{(item.keys["step"], item.keys["number"]) for item in of_member} for of_member in members]
            assert found == ([{(step, 1)}, {(step, 2)}] if mine else [])  # the third rank has no fields


def test_two_forecasts_have_collections_of_two_names(small_plan):
    other = ({}, {"expver": "7"}, {"time": "1200"}, {"input": "a.grib"})
    assert len({Plan.model_validate(small_plan | more).collection("forecast") for more in other}) == len(other)


@pytest.fixture
def watcher(private_pool):
    """Sees every field and fence from the beginning, by number in the pool's log."""
    with maestro.Session(component="watcher", schema="mars") as fields, maestro.Session(component="watcher", schema=fences.SCHEMA) as steps:
        yield fields.subscribe("has(param)"), steps.subscribe("has(maestro.fence)")


def numbers(watcher) -> tuple[dict, dict]:
    """Of each step its fields' numbers in the log, and its fence's."""
    fields, steps = defaultdict(list), {}
    for event in watcher[0].events(timeout=0.5):
        with event.cdo as cdo:
            fields[cdo["step"]].append(event.sequence)
    for event in watcher[1].events(timeout=0.5):
        with event.cdo as cdo:
            assert steps.setdefault(cdo["maestro.sequence"], event.sequence) == event.sequence
    return fields, steps


@pytest.mark.usefixtures("sample_fields")
@pytest.mark.parametrize(("nranks", "more"), [(1, {}), (2, {}), (2, {"sfc": "msl", "pl": None})], ids=["one", "two", "idle"])
def test_the_fence_of_a_step_comes_behind_all_its_fields(run, watcher, small_plan, nranks, more):
    if nranks > 1 and not shutil.which("mpiexec"):
        pytest.skip("no mpiexec on PATH")
    run.write(small_plan | {"steps": "6/12/18", "workers": 0, "sink": "maestro"} | more, [])
    words = component("hammer", str(run.plan), "--run", str(run.folder))
    subprocess.run(words if nranks == 1 else ranks(nranks, words), env=environment(), timeout=50, check=True)
    fields, steps = numbers(watcher)
    assert {step: len(found) for step, found in fields.items()} == dict.fromkeys((6, 12, 18), len(load(run.plan).fields()) // 3)
    assert list(steps) == [6, 12, 18]
    assert all(max(fields[step]) < steps[step] for step in steps)


@pytest.mark.usefixtures("sample_fields")
def test_a_users_file_is_one_sequence(run, watcher, sample_fields):
    run.write({"input": str(sample_fields / "gfs.grb"), "workers": 0, "sink": "maestro"}, [])
    subprocess.run(component("hammer", str(run.plan), "--run", str(run.folder)), env=environment(), timeout=50, check=True)
    fields, steps = numbers(watcher)
    assert list(steps) == [0]
    assert sum(map(len, fields.values())) == len(load(run.plan).fields())
    assert max(map(max, fields.values())) < steps[0]


@pytest.mark.usefixtures("sample_fields", "private_pool")
@pytest.mark.parametrize("killed", [(1,), (0, 1)], ids=["one", "all"])
def test_killed_ranks_end_the_run_and_what_they_owe_is_lost(run, small_plan, wishes, killed):
    """Also where a rank lives on: it makes all of its own fields."""
    wishes.append({"name": "all", "retrieve": {"param": "t/z/msl/2t"}, "post": {"grid": "5/5"}, "to": "all"})
    run.write(small_plan | {"steps": "6/to/60/by/6", "rate": 60, "sink": "maestro"}, wishes)
    placed = trace.Tally(run.folder / "trace", "hammer.*", Kind.PLACED)
    with contextlib.ExitStack() as stack:

        def start(words):
            program = stack.enter_context(subprocess.Popen(words, env=environment()))
            stack.callback(program.kill)
            return program

        supervisor = start(component("products", str(run.plan), str(run.wishes), "--run", str(run.folder), "--dry-run"))
        rank = [start([sys.executable, "-c", ALONE, str(run.plan), str(run.folder), str(number)]) for number in (0, 1)]
        give_up = time.monotonic() + 30
        while placed() < 40 and time.monotonic() < give_up:
            time.sleep(0.01)
        for number in killed:
            rank[number].kill()
        assert rank[0].wait(20) != 0  # it says which rank has left, or is killed
        began = time.monotonic()
        assert supervisor.wait(20) == 1
        took = time.monotonic() - began
    assert took < 10
    outcome = json.loads((run.folder / "outcome.json").read_text())
    here = {number: set(report.traces(run.folder, f"hammer.{number}")["field"][_placed(run, number)].tolist()) for number in (0, 1)}
    mine = {number: {item.index for item in load(run.plan).fields() if item.rank(2) == number} for number in (0, 1)}
    assert 0 in killed or here[0] == mine[0]
    owed = (mine[0] | mine[1]) - here[0] - here[1]
    assert set(outcome["lost"]) <= owed
    assert len(owed - set(outcome["lost"])) <= len(killed)  # one was offered and not yet noted
    assert outcome["received"] == 120 - len(outcome["lost"])
    steps = trace.read(run.folder / "trace" / "steps")
    assert steps["where"].tolist() == list(range(6, 61, 6))
    assert set(steps["kind"].tolist()) == {Kind.STEP, Kind.GIVEN_UP}
    assert steps["kind"].tolist() == sorted(steps["kind"])  # those that are complete first


def _placed(run, number: int):
    return report.traces(run.folder, f"hammer.{number}")["kind"] == Kind.PLACED


@pytest.mark.usefixtures("sample_fields", "private_pool")
@pytest.mark.parametrize("killed", [False, True])
def test_products_that_are_started_late_take_what_there_is(run, small_plan, wishes, killed):
    """The hammer has ended, or was killed in a step; a second supervisor takes back what the first one has said, until it ends too."""
    run.write(small_plan | {"steps": "6/to/60/by/6", "rate": 60 if killed else 0, "workers": 0, "sink": "maestro"}, wishes)
    with maestro.Session(component="watcher", schema="mars") as watcher:
        producer = subprocess.Popen(component("hammer", str(run.plan), "--run", str(run.folder)), env=environment())
        if killed:
            watcher.demand("param = msl and step = 12 and number = 2", timeout=30).dispose()
            producer.kill()
        assert producer.wait(30) == (-9 if killed else 0)
        wishes[0]["retrieve"]["step"] = wishes[1]["retrieve"]["step"] = "6/12/60"
        run.write(small_plan | {"steps": "6/to/60/by/6", "workers": 1, "sink": "maestro"}, wishes)
        words = component("products", str(run.plan), str(run.wishes), "--run", str(run.folder), "--dry-run")
        for _ in range(2):
            assert subprocess.run(words, env=environment(), timeout=30, check=False).returncode == (1 if killed else 0)
        with maestro.Session(component="watcher", schema=fences.SCHEMA) as steps:
            assert steps.count(fences.selector(load(run.plan).collection("products"))) == 1
    outcome = json.loads((run.folder / "outcome.json").read_text())
    assert {load(run.plan).fields()[index].keys["step"] for index in outcome["lost"]} == ({60} if killed else set())
    assert outcome["received"] + len(outcome["lost"]) == 12


@pytest.mark.usefixtures("private_pool")
def test_a_hammer_that_never_comes_ends_the_wait_by_name(tmp_path, small_plan):
    plan = Plan.model_validate(small_plan | {"sink": "maestro"})
    with trace.Trace(tmp_path / "trace" / "products.0") as log, contextlib.closing(open_source(plan, tmp_path, log)) as source:
        began = time.monotonic()
        with pytest.raises(StageTimeoutError, match=r"none came for 0.5 s; does it run\?"):
            next(iter(source))
        assert 0.5 <= time.monotonic() - began < 5


@pytest.mark.usefixtures("private_pool")
def test_fields_that_an_earlier_run_has_taken_are_not_waited_for_for_ever(tmp_path, small_plan):
    """The workers of a pool are one group, also across runs: what one has acknowledged comes to nobody else."""
    plan = Plan.model_validate(small_plan | {"sink": "maestro"})
    field = next(item for item in plan.fields() if item.keys["param"] == "t")
    with maestro.Session(component="hammer", schema="mars") as session:
        session.offer(b"GRIB", field.keys)
        with (
            trace.Trace(tmp_path / "first" / "trace" / "products.0") as log,
            contextlib.closing(open_source(plan, tmp_path, log)) as source,
        ):
            next(iter(source)).release()
        with trace.Trace(tmp_path / "trace" / "steps") as steps:
            for step in plan.sequences():
                steps.add(trace.Kind.STEP, where=step)
        silence = pytest.raises(StageTimeoutError, match="1 in the pool are finished by nobody; have workers of an earlier run")
        with trace.Trace(tmp_path / "trace" / "products.0") as log, contextlib.closing(open_source(plan, tmp_path, log)) as source, silence:
            next(iter(source))


def open_source(plan, run, log):
    wish = requirements.Requirement.model_validate({"name": "t", "retrieve": {"param": "t"}, "post": {"grid": "5/5"}, "to": "all"})
    products = requirements.expand([wish], plan.fields())
    return poolsource.PoolSource(plan, products, run, 0, requirements.covers(products, plan.fields()), log, -1, timeout=0.5)


@pytest.mark.usefixtures("sample_fields", "private_pool")
def test_pictures_end_with_the_products_when_one_has_failed(run, small_plan, wishes):
    """No grace for workers that might come again: the supervisor has said that the products are complete."""
    run.write(small_plan | {"sink": "maestro"}, wishes)
    plan = load(run.plan)
    wanted = requirements.expand(requirements.load(run.wishes), plan.fields())
    drawn = []
    pictures = threading.Thread(target=lambda: drawn.extend(poolsource.finished_products(plan, wanted, 30)), daemon=True)
    pictures.start()
    broken = next(item.index for item in plan.fields() if item.keys["param"] == "msl")
    outcome = run.execute("--corrupt-field", broken)
    pictures.join(1.5)
    assert not pictures.is_alive()
    assert [failure["name"].split(":")[0] for failure in outcome["failed"]] == ["msl"]
    assert len(drawn) == 3


@pytest.mark.usefixtures("private_pool")
def test_pictures_end_with_a_supervisor_that_is_stopped(run, small_plan, wishes):
    run.write(small_plan | {"sink": "maestro"}, wishes)
    plan = load(run.plan)
    with maestro.Session(component="watcher") as watcher:
        pictures = threading.Thread(target=lambda: list(poolsource.finished_products(plan, [], 30)), daemon=True)
        pictures.start()
        supervisor = subprocess.Popen(component("products", str(run.plan), str(run.wishes), "--run", str(run.folder)), env=environment())
        watcher.wait_for_peers({"pictures": 1, fences.SUPERVISOR: 1, "products": 2}, timeout=30)
        assert pictures.is_alive()
        supervisor.terminate()
        assert supervisor.wait(10) == 143
        pictures.join(5)
        assert not pictures.is_alive()
