"""`maestro run` of toy workflows that use no pool: starting, failing, stopping, logs."""

import json
import os
import signal
import time

import pytest

SLEEPER = "import time; print('up', flush=True); time.sleep(30)"


STUBBORN = """
import os, signal, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print(os.getpid(), "up", flush=True)
time.sleep(60)
"""


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_two_components_run_to_their_end(cli):
    cli.write("a.py", "print('hello from a')")
    cli.write("b.py", "import sys; print(sys.argv[1:])")
    cli.write("w.yaml", "workflow: toy\ncomponents: {a: {run: python a.py, processes: 2}, b: {run: [python, b.py, 'x y']}}")
    done = cli("run", "w.yaml", "--logs", "logs", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [(member["component"], member["exit_code"]) for member in report["members"]] == [("a", 0), ("a", 0), ("b", 0)]
    logs = cli.folder / "logs"
    assert (logs / "a.0.log").read_text() == (logs / "a.1.log").read_text() == "hello from a\n"
    assert (logs / "b.log").read_text() == "['x y']\n"
    assert json.loads((logs / "run.json").read_text()) == report


def test_components_are_told_the_pool_their_name_and_rank(cli):
    cli.write("a.py", "import os; print({k: v for k, v in os.environ.items() if k.startswith('MAESTRO_') and k != 'MAESTRO_DIR'})")
    cli.write("w.yaml", "workflow: toy\ncomponents: {a: {run: python a.py, processes: 2}}")
    assert cli("run", "w.yaml", "--logs", "logs").returncode == 0
    told = eval((cli.folder / "logs" / "a.1.log").read_text())
    assert told == {"MAESTRO_POOL": "toy", "MAESTRO_LINGER_S": "0", "MAESTRO_COMPONENT": "a", "MAESTRO_RANK": "1"}


def test_components_are_told_group_priority_and_limits_and_have_their_cores(cli):
    cli.write(
        "a.py", "import os; print(os.environ['MAESTRO_GROUP'], os.environ['MAESTRO_PRIORITY'], len(os.sched_getaffinity(0)), os.nice(0))"
    )
    cli.write("b.py", "import os; print(os.environ.get('MAESTRO_PRIORITY'), os.sched_getaffinity(0))")
    cli.write("w.yaml", """
workflow: toy
pool: {schema: mars, objects: 1000, memory: 64MiB}
components:
  a: {run: python a.py, offers: {param: t}, consumes: {param: t}, group: g, priority: background, resources: {cores: 1}}
  b: {run: python b.py, processes: 2}
""")  # fmt: skip
    done = cli("run", "w.yaml", "--logs", "logs")
    assert done.returncode == 0, done.stderr
    assert (cli.folder / "logs" / "a.log").read_text() == "g background 1 10\n"
    assert (cli.folder / "logs" / "b.0.log").read_text() == f"None {os.sched_getaffinity(0)}\n"
    assert cli.json("run", "w.yaml", "--dry-run")["environment"]["MAESTRO_POOL_OBJECTS"] == "1000"


def test_dry_run_prints_the_lines_and_starts_nothing(cli):
    cli.write("w.yaml", f"workflow: toy\ncomponents: {{a: {{run: touch {cli.folder}/made}}, b: {{run: python b.py, ranks: 3}}}}")
    lines = cli.json("run", "w.yaml", "--dry-run")["lines"]
    assert lines[0]["words"][0].endswith("/touch")
    assert lines[1]["words"][-4:] == ["-n", "3", "python", "b.py"]
    assert os.path.basename(lines[1]["words"][0]) == "mpiexec"
    assert sorted(os.listdir(cli.folder)) == ["r", "w.yaml"]


def test_a_failure_stops_the_others_and_is_the_exit_code(cli):
    cli.write("bad.py", "print('reading'); raise SystemExit('no field today')")
    cli.write("w.yaml", f'workflow: toy\ncomponents: {{bad: {{run: python bad.py}}, other: {{run: [python, -c, "{SLEEPER}"]}}}}')
    started = time.monotonic()
    done = cli("run", "w.yaml")
    assert time.monotonic() - started < 8
    assert done.returncode == 1
    assert "bad failed with exit code 1 after" in done.stderr
    assert "  | reading\n  | no field today\n" in done.stderr
    assert "toy: bad failed; exit code 1" in done.stderr


def test_a_death_by_signal_has_the_exit_code_of_a_shell(cli):
    cli.write("w.yaml", "workflow: toy\ncomponents: {a: {run: [python, -c, 'import os; os.abort()']}}")
    assert cli("run", "w.yaml").returncode == 128 + signal.SIGABRT


def test_on_failure_continue_lets_the_others_go_on(cli):
    cli.write("bad.py", "raise SystemExit(7)")
    cli.write("good.py", "import time; time.sleep(1); print('done')")
    cli.write("w.yaml", "workflow: toy\ncomponents: {bad: {run: python bad.py, on_failure: continue}, good: {run: python good.py}}")
    done = cli("run", "w.yaml", "--logs", "logs")
    assert done.returncode == 0
    assert "bad failed with exit code 7" in done.stderr
    assert (cli.folder / "logs" / "good.log").read_text() == "done\n"


def test_a_missing_program_is_named_before_anything_starts(cli):
    cli.write("w.yaml", f"workflow: toy\ncomponents: {{a: {{run: touch {cli.folder}/made}}, b: {{run: no-such-program}}}}")
    done = cli("run", "w.yaml")
    assert done.returncode == 1
    assert "w.yaml:2:" in done.stderr
    assert "'no-such-program'" in done.stderr
    assert not (cli.folder / "made").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_everything(cli, number, code):
    cli.write("a.py", f"import os; print(os.getpid()); {SLEEPER}")
    cli.write("w.yaml", "workflow: toy\ncomponents: {a: {run: python a.py, processes: 2}}")
    with cli.start("run", "w.yaml", "--logs", "logs") as process:
        logs = [cli.folder / "logs" / f"a.{rank}.log" for rank in (0, 1)]
        wait_until(lambda: all(log.exists() and "up" in log.read_text() for log in logs))
        started = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert time.monotonic() - started < 4
    assert not any(alive(int(log.read_text().split()[0])) for log in logs)


def test_a_second_ctrl_c_does_not_wait_for_the_stubborn(cli):
    cli.write("a.py", STUBBORN)
    cli.write("w.yaml", "workflow: toy\ncomponents: {a: {run: python a.py}}")
    log = cli.folder / "logs" / "a.log"
    with cli.start("run", "w.yaml", "--logs", "logs") as process:
        wait_until(lambda: log.exists() and "up" in log.read_text())
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        _, err = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "a: still running, sent SIGKILL" in err
    assert not alive(int(log.read_text().split()[0]))


RANKS = """
import os, signal, time
from mpi4py import MPI
if {stubborn}:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
open(f"rank{{MPI.COMM_WORLD.rank}}.of{{MPI.COMM_WORLD.size}}", "w").write(str(os.getpid()))
time.sleep({seconds})
"""


def test_ranks_see_each_other(cli):
    pytest.importorskip("mpi4py")
    cli.write("a.py", RANKS.format(stubborn=False, seconds=0))
    cli.write("w.yaml", "workflow: toy\ncomponents: {a: {run: python a.py, ranks: 2}}")
    done = cli("run", "w.yaml")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in cli.folder.glob("rank*")} == {"rank0.of2", "rank1.of2"}


@pytest.mark.parametrize("stubborn", [False, True])
def test_ctrl_c_leaves_no_rank_behind(cli, stubborn):
    pytest.importorskip("mpi4py")
    cli.write("a.py", RANKS.format(stubborn=stubborn, seconds=60))
    cli.write("w.yaml", "workflow: toy\ncomponents: {a: {run: python a.py, ranks: 2}}")
    with cli.start("run", "w.yaml") as process:
        wait_until(lambda: sum(path.stat().st_size > 0 for path in cli.folder.glob("rank*")) == 2, 20)
        pids = [int(path.read_text()) for path in cli.folder.glob("rank*")]
        for _ in range(3 if stubborn else 1):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        _, err = process.communicate(timeout=15)
    assert process.returncode == 130, err
    assert not any(alive(pid) for pid in pids)
