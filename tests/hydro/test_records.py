"""Hydro's records: the same bits on any number of ranks and behind any restart; what `maestro ls`, figures and pictures make of them."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from poolside import managers, within
from typer.testing import CliRunner

pytest.importorskip("maestro._core", reason="Maestro's library is not built")

import maestro.cli
from maestro.launch.lines import launcher_words
from maestro.workflows.hydro import cli, output
from maestro.workflows.hydro.ranks import Block, Simulation
from maestro.workflows.hydro.solver import FIELDS

CELLS, SIZE = (23, 27), "27x23"  # (ny, nx), which no number of ranks divides
TREE = """
  └─ mesh
     ├─ zones
     │  ├─ rho  float64 23 x 27
     │  ├─ mx  float64 23 x 27
     │  ├─ my  float64 23 x 27
     │  └─ E  float64 23 x 27
     └─ dx  float64 scalar
"""


class Hydro:
    """The command, and what it has offered to the test's pool."""

    def __init__(self, pool, folder):
        self.pool, self.folder, self.running = pool, folder, []
        self.session = pool.session("looker", schema=output.SCHEMA)

    def start(self, *words, module="maestro.workflows.hydro.cli", launcher=()):
        line = [*launcher, sys.executable, "-m", module, *map(str, words)]
        process = subprocess.Popen(line, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.running.append(process)
        return process

    def run(self, *words, ranks=1):
        """The simulation, on so many ranks; what it prints."""
        launcher = [*_launcher(), "-n", str(ranks)] if ranks > 1 else []
        return self.ended(self.start("run", *words, launcher=launcher))

    def ended(self, process, code=0):
        out, err = process.communicate(timeout=40)
        assert process.returncode == code, err
        return err if code else out

    def archive(self, *words):
        """`maestro archive` with a store of this test, when it is ready."""
        process = self.start("archive", *words, "--to", "store", "--json", module="maestro.cli")
        assert '"ready"' in process.stdout.readline()
        return process

    def stop(self, process):
        process.terminate()
        self.ended(process)

    def renew_pool(self):
        """The pool ends, with all that it has, and a new one begins."""
        self.session.close()
        within(5, lambda: not managers(self.pool.folder), "the manager's leaving")
        self.session = self.pool.session("looker", schema=output.SCHEMA)

    def __getitem__(self, step):
        return self.session.collection("hydro").demand(step)

    def steps(self):
        return sorted(record.sequence for record in self.session.collection("hydro").query())

    def close(self):
        for process in self.running:
            with process:
                process.kill()


def _launcher():
    pytest.importorskip("mpi4py")
    words = launcher_words()
    if words is None:
        pytest.skip("no mpiexec")
    return words


@pytest.fixture
def hydro(pool, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    hydro = Hydro(pool, tmp_path)
    yield hydro
    hydro.close()


@pytest.fixture(scope="module")
def serial():
    """Step by step what one process computes without a pool: time, time step, state."""
    run = Simulation.begin("centre", Block(CELLS))
    states = [(run.time, run.dt, run.inner.copy())]
    for _ in range(60):
        run.advance()
        states.append((run.time, run.dt, run.inner.copy()))
    return states


def assert_same(record, states):
    """A record is that step of the serial run, bit for bit."""
    time, dt, state = states[record.sequence]
    with record:
        assert (record.attributes["time"], record.attributes["dt"]) == (time, dt)
        for name, values in zip(FIELDS, state, strict=True):
            assert record[f"mesh/zones/{name}"][...].tobytes() == values.tobytes(), (record.sequence, name)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_records_do_not_depend_on_the_number_of_ranks(hydro, serial, ranks):
    hydro.run("--case", "centre", "--cells", SIZE, "--steps", 45, "--every", 20, ranks=ranks)
    assert hydro.steps() == [0, 20, 40, 45]
    assert hydro[0].parts == ranks
    for step in hydro.steps():
        assert_same(hydro[step], serial)


def test_a_restart_on_other_ranks_goes_on_bit_for_bit(hydro, serial):
    """Also from an odd step, whose time step the next one keeps."""
    hydro.run("--case", "centre", "--cells", SIZE, "--steps", 25, "--every", 100, ranks=4)
    hydro.run("--restart", 25, "--steps", 40, "--every", 100, ranks=3)
    hydro.run("--restart", 40, "--steps", 60, "--every", 10)
    assert hydro.steps() == [0, 25, 40, 50, 60]
    for step in hydro.steps():
        assert_same(hydro[step], serial)
    figures = [json.loads(line) for line in hydro.ended(hydro.start("stats")).splitlines()]
    assert [one["step"] for one in figures] == hydro.steps()  # it did not end at the final record of a run that was restarted


def test_a_restart_before_the_newest_record_is_refused_at_once(hydro):
    hydro.run("--cells", SIZE, "--steps", 4, "--every", 2)
    process = hydro.start("run", "--restart", 2, "--steps", 1000000)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "restart hydro at 2: 1 records of later steps" in err


def test_a_restart_from_an_archive_goes_on_bit_for_bit(hydro, serial):
    archive = hydro.archive("maestro.collection = hydro", "--schema", output.SCHEMA)
    hydro.run("--case", "centre", "--cells", SIZE, "--steps", 25, "--every", 25, ranks=4)
    told = [json.loads(archive.stdout.readline()) for _ in range(2)]
    assert [(one["event"], one["attributes"]["maestro.sequence"]) for one in told] == [("persisted", 0), ("persisted", 25)]
    hydro.stop(archive)
    hydro.renew_pool()
    assert hydro.steps() == []
    archive = hydro.archive("--serve")
    hydro.run("--restart", 25, "--steps", 50, "--every", 25, ranks=2)
    assert_same(hydro[50], serial)
    hydro.stop(archive)


def test_maestro_ls_prints_the_tree_with_types_and_shapes(hydro):
    hydro.run("--cells", SIZE, "--steps", 2, "--every", 1, ranks=2)
    shown = CliRunner().invoke(maestro.cli.app, ["ls", "step > 0"])
    assert shown.exit_code == 0
    assert "collection hydro: 2 records 1 to 2 of hydro[2 parts]" in shown.output
    assert TREE in shown.output


def test_consumers_see_every_record_once_while_it_runs(hydro, serial):
    pytest.importorskip("matplotlib")
    stats, picture = hydro.start("stats"), hydro.start("picture", "--folder", "seen")
    hydro.run("--case", "centre", "--cells", SIZE, "--steps", 60, "--every", 10, ranks=2)
    figures = [json.loads(line) for line in hydro.ended(stats).splitlines()]
    assert [(one["step"], one["time"]) for one in figures] == [(step, serial[step][0]) for step in range(0, 61, 10)]
    for one in figures:
        assert one["mass"] == pytest.approx(figures[0]["mass"], rel=1e-13)
        assert one["energy"] == pytest.approx(figures[0]["energy"], rel=1e-13)
        assert (one["rho_min"], one["rho_max"]) == (serial[one["step"]][2][0].min(), serial[one["step"]][2][0].max())
    drawn = [hydro.folder / line for line in hydro.ended(picture).splitlines()]
    assert [path.name for path in drawn] == [f"rho-{step:06}.png" for step in range(0, 61, 10)]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


# ---- When it goes wrong
def test_a_consumer_says_that_ranks_have_left_in_the_middle(hydro, pool):
    blocks = [Block(CELLS, SimpleNamespace(rank=rank, size=2)) for rank in range(2)]
    ranks = [pool.session("hydro", rank=rank, schema=output.SCHEMA) for rank in range(2)]
    runs = [Simulation("corner", block, np.ones(block.layout.local(block.rank).shape)) for block in blocks]
    for session, run in zip(ranks, runs, strict=True):
        output.write(session, run, final=False)
    runs[0].step = 1
    output.write(ranks[0], runs[0], final=False)
    stats = hydro.start("stats")
    assert json.loads(stats.stdout.readline())["step"] == 0
    ranks[1].close()
    message = hydro.ended(stats, code=2)
    assert "hydro: 1 is not complete" in message
    assert "hydro[1] closed" in message


def test_a_restart_from_a_broken_record_ends_all_ranks_and_says_why(hydro):
    process = hydro.start("run", "--restart", 7, launcher=[*_launcher(), "-n", "2"])
    hydro.pool.session("hydro", schema=output.SCHEMA).offer(None, {"maestro.collection": "hydro", "maestro.sequence": 7})
    _, err = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "record hydro/7 of hydro: it has no maestro.arrays" in err


@pytest.mark.parametrize("words", [["--cells", "12"], ["--cells", "1x9"], ["--case", "plane"]])
def test_an_option_that_makes_no_sense_is_named(words, capsys):
    assert cli.main(["run", *words]) == 2
    assert words[0] in capsys.readouterr().err
