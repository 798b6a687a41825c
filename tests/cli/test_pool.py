"""Commands that meet a running pool: run with peers, top, ls, query, stats, pool, doctor."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from maestro.launch import rendezvous

pytest.importorskip("maestro._core", reason="Maestro's library is not built")

PRODUCER = """
import sys, time
import maestro
with maestro.Session(schema="mars") as session:
    for step in range(0, 24, 6):
        for param in ("t", "u"):
            with session.cdo(param=param, step=step, levelist=500) as cdo:
                cdo.empty((10,), "f8")[:] = step
                cdo.offer()
    session.flush()
    print("offered", flush=True)
    time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""
CONSUMER = """
import sys, time
import maestro
with maestro.Session(schema="mars") as session:
    for number, cdo in enumerate(session.subscribe("param = t", timeout=10), 1):
        with cdo:
            assert cdo.array().sum() == 10 * cdo["step"]
        if number == 4:
            break
    print("received", flush=True)
    time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""
OFFER_TIMES = """
import sys
import maestro
with maestro.Session(schema="mars") as session:
    session.offer(param="t", step=0, time="0600", expver="0010")
    session.offer(param="t", step=0, time="1200", expver="0010")
    session.flush()
    print("offered", flush=True)
    sys.stdin.readline()
"""
SILENT = "import time; time.sleep(30)"


@pytest.fixture(autouse=True)
def programs(cli):
    cli.write("producer.py", PRODUCER)
    cli.write("consumer.py", CONSUMER)
    cli.write("silent.py", SILENT)


def workflow(cli, components, wait_for):
    cli.write("w.yaml", f"workflow: toy\npool: {{schema: mars}}\ncomponents: {components}\nwait_for: {wait_for}\n")


def wait_for_text(path, text, seconds=15):
    deadline = time.monotonic() + seconds
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline, f"{path} does not say '{text}': {path.read_text() if path.exists() else 'no file'}"
        time.sleep(0.02)


@pytest.fixture
def living(cli):
    """A producer and a consumer that stay attached to pool 'default'."""
    started = []
    for name in ("producer", "consumer"):
        with (cli.folder / f"{name}.log").open("w") as log:
            environment = {**cli.environment, "MAESTRO_COMPONENT": name}
            words = [sys.executable, "-u", f"{name}.py", "60"]
            started.append(subprocess.Popen(words, cwd=cli.folder, stdout=log, stderr=log, env=environment))
    try:
        wait_for_text(cli.folder / "producer.log", "offered")
        wait_for_text(cli.folder / "consumer.log", "received")
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


# ---- run


def test_producer_and_consumer_find_each_other(cli):
    workflow(cli, "{a: {run: python producer.py 1}, b: {run: python consumer.py}}", "[a, b]")
    done = cli("run", "w.yaml", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [member["exit_code"] for member in report["members"]] == [0, 0]
    assert report["notes"] == []


def test_ranks_and_processes_join_under_their_components_name(cli):
    pytest.importorskip("mpi4py")
    cli.write("rank.py", "import maestro\nfrom mpi4py import MPI\nmaestro.Session(rank=MPI.COMM_WORLD.rank).close()")
    workflow(cli, "{a: {run: python rank.py, ranks: 2}, b: {run: python consumer.py}, c: {run: python producer.py}}", "[a, b, c]")
    done = cli("run", "w.yaml")
    assert done.returncode == 0, done.stderr


def test_a_missing_peer_is_named_within_five_seconds(cli):
    workflow(cli, "{here: {run: python producer.py 60}, away: {run: python silent.py, processes: 2}}", "[here, away]")
    started = time.monotonic()
    with cli.start("run", "w.yaml", "--wait", "6") as process:
        told = next(line for line in process.stderr if "still waits for" in line)
        assert time.monotonic() - started < 5
        assert "pool toy still waits for away (0 of 2 joined)" in told
        assert "here" not in told
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "gave up after 6 s: pool toy waited for away (0 of 2 joined)" in err


def test_a_peer_that_ends_without_joining_is_named_at_once(cli):
    workflow(cli, "{a: {run: python producer.py 60}, b: {run: [python, -c, pass]}}", "[a, b]")
    started = time.monotonic()
    done = cli("run", "w.yaml")
    assert time.monotonic() - started < 6
    assert done.returncode == 1
    assert "b has ended, and 0 of 1 joined pool toy" in done.stderr


def test_a_component_under_another_name_is_hinted_at(cli):
    cli.write("other.py", "import maestro, time\ns = maestro.Session(component='elsewhere')\ntime.sleep(30)")
    workflow(cli, "{a: {run: python other.py}}", "[a]")
    done = cli("run", "w.yaml", "--wait", "2")
    assert done.returncode == 1
    assert "a (0 of 1 joined); joined under other names: elsewhere" in done.stderr


def test_nothing_is_left_after_a_run(cli):
    workflow(cli, "{a: {run: python producer.py}}", "[a]")
    assert cli("run", "w.yaml").returncode == 0
    deadline = time.monotonic() + 3
    while list((cli.folder / "r").glob("*.sock")):
        assert time.monotonic() < deadline, "the manager is still there"
        time.sleep(0.02)


def test_the_pool_gets_the_memory_of_the_file(cli):
    cli.write("show.py", "import maestro\nwith maestro.Session() as s: print(s.stats()['memory']['limit'])")
    cli.write("w.yaml", "workflow: toy\npool: {memory: 64MiB}\ncomponents: {a: {run: python show.py}}")
    assert cli("run", "w.yaml", "--logs", "logs").returncode == 0
    assert (cli.folder / "logs" / "a.log").read_text() == f"{64 << 20}\n"


def test_check_points_at_a_wrong_selector(cli):
    cli.write("w.yaml", "workflow: w\npool: {schema: mars}\ncomponents:\n  a:\n    run: python x.py\n    consumes: parm = t\n")
    problem = cli.json("check", "w.yaml")["problems"][0]
    assert problem.startswith("w.yaml:6:15: components.a.consumes: ")
    assert "'param'" in problem


def test_check_takes_a_dictionary_as_selector(cli):
    text = "workflow: w\npool: {schema: mars}\ncomponents:\n  a:\n    run: python x.py\n    offers: {param: [t, u], step: [0, 6, 12]}\n"
    cli.write("w.yaml", text)
    assert cli.json("check", "w.yaml")["problems"] == []


# ---- looking


def test_top_lists_producer_and_consumer(cli, living):
    shown = cli.json("top", "--once", "--interval", "0.2")
    rows = {row["component"]: row for row in shown["components"]}
    assert rows.keys() == {"producer", "consumer"}
    assert rows["producer"]["totals"]["offers"] == 8
    assert rows["producer"]["pids"] == [living[0].pid]
    assert rows["consumer"]["totals"]["events"] >= 4
    assert shown["objects"]["live"] == 8
    lines = [" ".join(line.split()) for line in cli("top", "--once", "--interval", "0.2").stdout.splitlines()]
    assert lines[0].startswith("pool default · node")
    assert any(line.startswith("producer 1 0 0.00 - -") for line in lines)


def test_top_ends_on_ctrl_c(cli, living):
    with cli.start("top", "--interval", "0.1") as process:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=5) == 130
        assert "Traceback" not in process.stderr.read()


def test_stats_are_the_managers_counters(cli, living):
    counters = cli.json("stats")
    assert counters["objects"]["offered_total"] == 8
    assert "objects.offered_total" in cli("stats").stdout


def test_ls_sums_up(cli, living):
    summary = cli.json("ls")
    assert (summary["objects"], summary["bytes"]) == (8, 640)
    assert summary["attributes"]["param"] == [{"value": "t", "count": 4}, {"value": "u", "count": 4}]
    assert [one["value"] for one in summary["attributes"]["step"]] == [0, 6, 12, 18]
    assert "8 objects, 640 B" in cli("ls").stdout


@pytest.mark.parametrize(
    ("selector", "count"),
    [(None, 8), ("param = t and step <= 6", 2), ("param=t/u,step=0/to/6/by/6", 4), ("{param: t, step: [0, 18]}", 2), ("step > 100", 0)],
)
def test_query_takes_every_form(cli, living, selector, count):
    words = [selector] if selector else []
    assert cli.json("query", *words, "--count") == {"count": count}
    found = cli.json("query", *words)
    assert found["count"] == len(found["objects"]) == count
    assert all(one["bytes"] == 80 for one in found["objects"])


def test_query_of_a_wrong_selector_points_at_the_character(cli, living):
    done = cli("query", "param = t and step in")
    assert done.returncode == 1
    assert "error:" in done.stderr
    assert "expected" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_shows_as_many_rows_as_asked_for(cli, living):
    done = cli("query", "--limit", "3")
    alike, header, *rows = done.stdout.splitlines()
    assert alike.startswith("alike in all: ")
    assert header.split() == ["param", "step", "size"]
    assert len(rows) == 3
    assert "... and 5 more (--limit)" in done.stderr


def test_times_and_versions_in_a_dictionary_keep_their_zeros(cli):
    cli.write("offer.py", OFFER_TIMES)
    with subprocess.Popen(
        [sys.executable, "offer.py"], cwd=cli.folder, env=cli.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        assert cli.json("query", "{time: 0600}", "--count") == {"count": 1}
        assert cli.json("query", "{time: 12:00}", "--count") == {"count": 1}
        assert cli.json("query", "{expver: 0010}", "--count") == {"count": 2}
        process.stdin.close()


def test_no_pool_names_those_that_run(cli, living):
    done = cli("ls", "--pool", "other")
    assert done.returncode == 1
    assert "no pool 'other' runs here; running on this node: default" in done.stderr


def test_no_pool_at_all(cli):
    done = cli("top", "--once")
    assert done.returncode == 1
    assert "no pool runs on this node" in done.stderr
    assert not list((cli.folder / "r").glob("*.sock"))


# ---- pool and doctor


def test_a_pool_is_started_looked_at_and_stopped(cli):
    assert cli.json("pool", "start", "--memory", "32MiB")["pools"][0]["memory"]["limit"] == 32 << 20
    time.sleep(3)  # longer than the linger of a manager that a session started
    status = cli.json("pool", "status")["pools"]
    assert [one["pool"] for one in status] == ["default"]
    again = cli("pool", "start")
    assert again.returncode == 1
    assert "pool 'default' runs on this node already" in again.stderr
    assert cli.json("pool", "stop")["pid"] == status[0]["pid"]
    assert cli.json("pool", "status") == {"pools": []}
    gone = cli("pool", "stop")
    assert gone.returncode == 1
    assert "no pool 'default' runs on this node; running: none" in gone.stderr


def test_doctor_names_a_listener_that_does_not_serve(cli):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.bind(str(cli.folder / "r" / f"mute.{rendezvous.node()}.sock"))
        silent.listen()
        found = cli.json("doctor")
    finding = next(one for one in found["findings"] if one["check"] == "pool")
    assert finding["level"] == "error"
    assert f"process {os.getpid()} listens but does not serve" in finding["text"]
    assert finding["command"] == f"kill {os.getpid()}"


def test_doctor_names_a_pool_limit_above_this_machine(cli):
    found = cli.json("doctor", MAESTRO_POOL_MEMORY="900TiB")
    finding = next(one for one in found["findings"] if one["check"] == "pool memory")
    assert finding["level"] == "error"
    assert finding["command"].startswith("export MAESTRO_POOL_MEMORY=")


def test_info_has_memory_versions_and_pools(cli, living):
    found = cli.json("info")
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert [one["pool"] for one in found["running"]] == ["default"]
    assert "machine numa[0] bytes" in cli("info").stdout


def test_info_that_cannot_be_had_is_told_without_a_traceback(cli):
    done = cli("info", MAESTRO_DIR="/" + "long" * 75)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error" in done.stderr
