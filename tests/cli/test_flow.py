"""`maestro run` of workflows whose components meet in the pool: needs declared ahead, groups and priorities, services, archives."""

import json

import pytest

from maestro.launch.peers import Peers
from maestro.launch.runner import Runner
from maestro.launch.workflow import Workflow

PRODUCER = """
import maestro, numpy as np
with maestro.Session() as s:
    for step in range(0, 30, 6):
        for param in ("t", "u", "v", "q", "w"):
            if s.wanted(param=param, step=step):
                s.offer(np.full(20_000, step, "f8"), param=param, step=step)
    s.flush()
    mine = next(one for one in s.stats()["sessions"] if one["component"] == "model")
    print(mine["offers"], mine["offered_bytes"])
    s.wait_for_peers(["plot"])
"""
# It comes late: that its needs are known before is the workflow file's doing.
CONSUMER = """
import time; time.sleep(0.7)
import maestro
with maestro.Session() as s:
    print(sum(cdo.array().sum() for cdo in s.subscribe("param in (t, u) and step <= 12", timeout=0.5)))
"""


def write(cli, more_of_model="", more_of_plot="", more=""):
    cli.write("model.py", PRODUCER)
    cli.write("plot.py", CONSUMER)
    cli.write("w.yaml", f"""
workflow: toy
pool: {{schema: mars, memory: 64MiB}}
components:
  model: {{run: python model.py, {more_of_model}}}
  plot: {{run: python plot.py, {more_of_plot}}}
{more}
""")  # fmt: skip


def log(cli, name):
    return (cli.folder / "logs" / f"{name}.log").read_text()


def test_what_nobody_uses_is_neither_made_nor_moved(cli):
    """Bytes with and without `consumes`: of 25 objects six are used; the result is the same."""
    results = {}
    for consumes in ("", "consumes: 'param in (t, u) and step <= 12'"):
        write(cli, "offers: {param: t/u/v/q/w, step: 0/to/24/by/6}", consumes)
        done = cli("run", "w.yaml", "--logs", "logs")
        assert done.returncode == 0, done.stderr
        results[bool(consumes)] = (*map(int, log(cli, "model").split()), log(cli, "plot"))
    assert results[False] == (25, 25 * 160_000, results[True][2])
    assert results[True] == (6, 6 * 160_000, "720000.0\n")


def test_a_component_that_has_ended_needs_nothing_any_more(cli):
    write(cli, "offers: {param: t}", "consumes: 'param in (t, u) and step <= 12'")
    cli.write("plot.py", "")
    cli.write("model.py", """
import maestro, time
with maestro.Session() as s:
    while s.wanted(param="t", step=0):
        time.sleep(0.01)
    print(s.wanted(param="t", step=6))
""")  # fmt: skip
    assert cli("run", "w.yaml", "--logs", "logs").returncode == 0
    assert log(cli, "model") == "False\n"


def test_the_manager_does_not_inherit_the_place_of_a_background_component(cli):
    cli.write("a.py", """
import maestro, os
with maestro.Session() as s:
    manager = s.stats()["pid"]
    print(os.getpriority(os.PRIO_PROCESS, manager), os.sched_getaffinity(manager) == os.sched_getaffinity(os.getppid()), os.nice(0))
""")  # fmt: skip
    cli.write("w.yaml", "workflow: w\ncomponents: {a: {run: python a.py, priority: background, resources: {cores: 1}}}")
    assert cli("run", "w.yaml", "--logs", "logs").returncode == 0
    assert log(cli, "a") == "0 True 10\n"


SERVICE = """
import maestro, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(f"done {len(seen)}") if len(seen) == 6 else sys.exit(3))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
seen = []
time.sleep(0.3)
with maestro.Session() as s:
    for cdo in s.subscribe("param in (t, u) and step <= 12", group=s.group, timeout=60):
        with cdo:
            time.sleep(0.1)
            seen.append(cdo["step"])
            print(s.group, len(seen), flush=True)
"""


def test_a_service_is_there_before_the_others_and_ends_when_it_has_consumed_what_they_left(cli):
    cli.write("keep.py", SERVICE.replace('sys.exit(f"done {len(seen)}")', "sys.exit(0)"))
    write(cli, "offers: {param: t/u/v, step: 0/to/24/by/6}", "consumes: []")
    cli.write("plot.py", "")
    cli.write("model.py", PRODUCER.replace('s.wait_for_peers(["plot"])', ""))
    text = (cli.folder / "w.yaml").read_text()
    service = (
        "  keep: {run: python keep.py, consumes: 'param in (t, u) and step <= 12', group: keepers, priority: background, service: true}\n"
    )
    (cli.folder / "w.yaml").write_text(text + service)
    done = cli("run", "w.yaml", "--logs", "logs", "--json")
    assert done.returncode == 0, done.stderr
    assert log(cli, "keep").splitlines() == [f"keepers {count}" for count in range(1, 7)]
    assert [member["exit_code"] for member in json.loads(done.stdout)["members"]] == [0, 0, 0]


KEEPER = """
import maestro, time
time.sleep({seconds})
with maestro.Session() as s:
    kept = s.subscribe("param = t")
    time.sleep(60)
"""


def test_a_service_that_ends_as_it_was_asked_to_is_done(cli):
    cli.write("keep.py", KEEPER.format(seconds=0))
    cli.write("a.py", "")
    cli.write("w.yaml", """
workflow: w
pool: {schema: mars}
components:
  keep: {run: python keep.py, consumes: param = t, service: true}
  a: {run: python a.py, offers: {param: t}}
""")  # fmt: skip
    done = cli("run", "w.yaml", "--logs", "logs")
    assert done.returncode == 0, done.stderr
    assert "KeyboardInterrupt" in log(cli, "keep")
    assert "keep: done" in done.stderr
    assert "exit code" not in done.stderr


def test_who_starts_after_a_service_has_as_long_to_join(cli):
    cli.write("keep.py", KEEPER.format(seconds=2))
    cli.write("late.py", "import maestro, time\ntime.sleep(1.5)\nmaestro.Session().close()\n")
    cli.write("w.yaml", """
workflow: w
pool: {schema: mars}
components:
  keep: {run: python keep.py, consumes: param = t, service: true}
  late: {run: python late.py, offers: {param: t}}
wait_for: [late]
""")  # fmt: skip
    done = cli("run", "w.yaml", "--wait", 3)
    assert done.returncode == 0, done.stderr


def test_a_service_alone_is_no_workflow(cli):
    cli.write("w.yaml", "workflow: w\ncomponents: {a: {run: python x.py, service: true}}")
    assert "all components are services" in cli("check", "w.yaml").stderr


@pytest.fixture
def collection(cli):
    cli.write("hydro.py", """
import maestro, numpy as np
with maestro.Session() as s:
    hydro = s.collection("hydro")
    for step in range(8):
        with hydro.record(step) as record:
            record["mesh/rho"] = np.full((4, 5), step, "f8")
""")  # fmt: skip
    cli.write("w.yaml", """
workflow: hydro
pool: {schema: core}
components:
  hydro: {run: python hydro.py, offers: {maestro.collection: hydro}}
collections:
  hydro: {persist: {every: 4, to: store}}
""")  # fmt: skip


def test_a_rule_of_a_collection_becomes_an_archive(cli, collection):
    line = cli.json("run", "w.yaml", "--dry-run")["lines"][-1]
    assert line["component"] == "archive-hydro"
    assert line["words"][1:] == ["archive", "maestro.collection = 'hydro'", "--group", "hydro", "--to", "store", "--every", "4"]


def test_the_group_of_an_archive_and_who_answers_for_it_have_its_name():
    flow = Workflow.model_validate(
        {"workflow": "w", "components": {"a": {"run": "a"}}, "collections": {"hydro": {"persist": {"to": "store"}}}}
    )
    assert flow.components["archive-hydro"].group == "archive-hydro"
    peers = Peers.__new__(Peers)
    peers._joined = {"a": {1}, "archive-hydro": {2}, "archive-hydro-answers": {2}, "b-answers": {3}, "maestro-run": {4}}
    assert peers.strangers(flow.components) == ["b-answers"]


def test_services_that_retire_have_time_to_write(tmp_path):
    flow = Workflow.model_validate({"workflow": "w", "components": {"a": {"run": "a"}}})
    for wait_s, stopping, bound in ((33, None, 33), (1, None, 5), (33, "a failed", 5)):
        runner = Runner(flow, tmp_path, tmp_path, wait_s)
        runner.retiring, runner.stopping = True, stopping
        runner._escalate(100.0)
        assert runner._deadline == 100 + bound
        runner._escalate(200.0)  # SIGTERM
        assert runner._deadline == 205


def test_a_rule_for_a_collection_that_nobody_offers_is_an_error_at_the_rule(cli, collection):
    text = (cli.folder / "w.yaml").read_text()
    (cli.folder / "w.yaml").write_text(text.replace("maestro.collection: hydro", "maestro.collection: wind"))
    problem = cli.json("check", "w.yaml")["problems"][0]
    assert problem.startswith("w.yaml:7:20: collections.hydro.persist: no component offers what archive-hydro consumes here")
