"""The programs in examples/mpi do what they say, under mpirun of the MPI family of the environment that runs this."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maestro.launch.lines import launcher_words

pytest.importorskip("maestro._mpi", reason="Maestro's library is not built")
pytest.importorskip("mpi4py")

EXAMPLES = Path(__file__).parents[2] / "examples/mpi"


def run(*programs, ranks):
    """What the programs print, started as one job, each with its number of ranks."""
    words = launcher_words()
    if words is None:
        pytest.skip("no mpiexec")
    for program, n in zip(programs, ranks, strict=True):
        words += [":"] * (program is not programs[0]) + ["-n", str(n), sys.executable, *map(str, program)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False, stdin=subprocess.DEVNULL, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_stencils_give_the_same_bits_on_any_number_of_ranks(ranks):
    """Those of stencil.c, too."""
    assert run([EXAMPLES / "stencil.py"], ranks=[ranks]) == ["2D: u ce7b4317, v 64bc584b", "3D: t 5331a3e6, c 44de8fa1"]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_a_cubed_sphere_is_smoothed_to_the_same_bits_on_any_number_of_ranks(ranks):
    """Those of mesh.c, too."""
    assert run([EXAMPLES / "mesh.py"], ranks=[ranks]) == ["mesh: u ddb6ec75, v 880e7420"]


def test_a_matrix_is_transposed():
    wrong, method, other, tried = run([EXAMPLES / "transpose.py"], ranks=[2])
    assert wrong == "0 elements are wrong"
    assert method.endswith(": keeps 2,000,000 bytes, sends 2,000,000, receives 2,000,000")
    assert other.endswith(": sends 2,000,000, receives 2,000,000")
    assert tried.startswith("  tried: ")


@pytest.mark.parametrize("ranks", [1, 4])
def test_a_solver_gets_single_precision_in_dealt_blocks(ranks):
    assert run([EXAMPLES / "solver.py"], ranks=[ranks]) == ["0 elements are wrong"]


@pytest.mark.parametrize("order", [("land", "water"), ("water", "land")])
def test_programs_find_each_other_by_name(order):
    programs = [[EXAMPLES / "split.py", name] for name in order]
    assert run(*programs, ranks=[2 if name == "land" else 1 for name in order]) == ["water, 1 ranks: 0 elements are wrong"]
