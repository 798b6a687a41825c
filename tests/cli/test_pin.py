"""`maestro pin`: programs start on the chosen cores, running processes are bound and freed, and recorded machines are told of."""

import json
import os
import subprocess
import sys

import pytest

import maestro

CORES = os.sched_getaffinity(0)
AFFINITY = "import os; print(sorted(os.sched_getaffinity(0)))"
two_cores = pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")


@pytest.fixture
def field(cli, monkeypatch):
    """A pool in the command's folder, with one object in it."""
    monkeypatch.setenv("MAESTRO_DIR", cli.environment["MAESTRO_DIR"])
    monkeypatch.setenv("MAESTRO_LINGER_S", "0.2")
    with maestro.Session(component="model", schema="mars", timeout=10) as session:
        yield session.offer(b"x" * (1 << 20), param="t", step=6)


@two_cores
def test_a_program_runs_on_its_ranks_part_of_the_cores(cli, field):
    ran = [cli("pin", "param = t", "--rank", i, "--ranks", len(CORES), "--", sys.executable, "-c", AFFINITY) for i in range(len(CORES))]
    assert [done.returncode for done in ran] == [0] * len(CORES)
    assert sorted(core for done in ran for core in json.loads(done.stdout)) == sorted(CORES)
    assert "local to NUMA node" in ran[0].stderr
    assert f"rank 0 of {len(CORES)}" in ran[0].stderr


@two_cores
@pytest.mark.parametrize(
    ("rank", "count"), [("MPI_LOCALRANKID", "MPI_LOCALNRANKS"), ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
                        ("SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE")]
)  # fmt: skip
def test_the_launcher_says_which_rank_it_is(cli, field, rank, count):
    placement = cli.json("pin", "param = t", "--dry-run", **{rank: "1", count: "2(x3),1"[: None if "SLURM" in count else 1]})
    assert (placement["rank"], placement["ranks"], placement["bound"]) == (1, 2, False)


def test_the_exit_code_is_the_programs(cli, field):
    assert cli("pin", "param = t", "--", "sh", "-c", "exit 7").returncode == 7


@two_cores
def test_a_running_process_is_bound_again_and_freed(cli, field):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            for rank in range(2):
                done = cli("pin", "--pid", process.pid, "param = t", "--rank", rank, "--ranks", 2)
                assert done.returncode == 0, done.stderr
                bound = os.sched_getaffinity(process.pid)
                assert bound < CORES
            assert "allowed are" in done.stdout
            freed = cli("pin", "--undo", "--pid", process.pid)
            assert (freed.returncode, freed.stdout) == (0, f"process {process.pid}: 1 threads have their cores back\n")
            assert os.sched_getaffinity(process.pid) == CORES
            again = cli("pin", "--undo", "--pid", process.pid)
            assert again.returncode == 1
            assert "was not pinned" in again.stderr
        finally:
            process.communicate(b"\n")
    assert "no process" in cli("pin", "--pid", process.pid, "param = t").stderr


def test_a_process_that_took_the_number_of_a_pinned_one_is_left_alone(cli, field):
    memory = cli.folder / "r" / f"pinned-{os.getpid()}.json"
    memory.write_text(json.dumps({"start": 1, "threads": {os.getpid(): [min(CORES)]}}))
    done = cli("pin", "--undo", "--pid", os.getpid())
    assert (done.returncode, os.sched_getaffinity(0)) == (1, CORES)
    assert "has ended" in done.stderr
    assert not memory.exists()
    memory.write_text(json.dumps({"start": 1, "threads": {os.getpid(): [min(CORES)]}}))
    assert cli("pin", "--pid", os.getpid(), "param = t").returncode == 0
    assert cli("pin", "--undo", "--pid", os.getpid()).returncode == 0
    assert os.sched_getaffinity(0) == CORES
    memory.write_text('{"start": []}')
    assert "is damaged" in cli("pin", "--undo", "--pid", os.getpid()).stderr


def test_a_recorded_machine_is_told_of(cli, field):
    if field.numa_node is None:
        pytest.skip("where pages lie is not told here")
    done = cli("pin", "param = t", "--dry-run", "--rank", 3, "--ranks", 4, HWLOC_SYNTHETIC="pack:2 [numa(memory=64GB)] core:4 pu:2")
    assert done.returncode == 0, done.stderr
    lies, chosen = done.stdout.splitlines()
    assert lies.endswith("lies on NUMA node 0 (256 of 256 pages looked at)")
    assert chosen == "rank 3 of 4, its part of 0-7, cores 6-7: local to NUMA node 0 (DRAM); allowed are 0-15; nothing is bound"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["param = t"], "say what to bind"),
        (["--", "true"], "say what to bind"),
        (["--undo"], "--undo takes --pid"),
        ([], "near which object"),
        (["param = t", "--", "no-such-program"], "no program no-such-program"),
    ],
)
def test_wrong_use_is_explained(cli, words, says):
    done = cli("pin", *words)
    assert done.returncode == 1
    assert says in done.stderr
