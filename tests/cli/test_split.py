"""Maestro's ranks and YAC's in one MPI job: maestro_comm_split speaks the handshake of the real YAC, whose wheel is made for Open MPI.

Runs where YAC is installed beside Open MPI (`.venv-openmpi/bin/pip install yac`, `make build-openmpi`); else it says what is missing.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from maestro.launch import mpi
from maestro.launch.lines import launcher_words

pytest.importorskip("mpi4py")
LIBRARY = Path(__file__).parents[2] / "build/openmpi/libmaestro_mpi.so.0"

# rank.py maestro LIBRARY NAMES... | handshake NAMES... | yac: takes part in one split of the world and says what became of it.
RANK = """
import ctypes, sys
from mpi4py import MPI

world, (role, *names) = MPI.COMM_WORLD, sys.argv[1:]

def texts(names):
    return len(names), (ctypes.c_char_p * len(names))(*[name.encode() for name in names])

def split_by_maestro(names):
    library = ctypes.CDLL(names.pop(0))
    count, given = texts(names)
    made = (ctypes.c_int * count)()
    status = library.maestro_comm_split(world.py2f(), ctypes.c_size_t(count), given, made)
    return [MPI.Comm.f2py(handle) for handle in made] if status == 0 else status

def split_by_yac(names):
    import yac
    path = next(file for name, module in sys.modules.items() if name.startswith("yac") and (file := module.__file__).endswith(".so"))
    count, given = texts(names)
    made = (ctypes.c_void_p * count)()
    ctypes.CDLL(path).yac_cmpi_handshake(ctypes.c_void_p(world.handle), ctypes.c_size_t(count), given, made)
    return [MPI.Comm.fromhandle(handle) for handle in made]

def say(*words):
    print("said", world.rank, *words, flush=True)

if role == "yac":
    import yac
    coupler = yac.YAC()
    coupler.def_comp("coupled")
    say(role, coupler.get_comps_comm(["coupled"]).size)
else:
    comms = (split_by_maestro if role == "maestro" else split_by_yac)(names)
    if isinstance(comms, int):
        say("status", comms)
    else:
        for name, comm in sorted(zip(names, comms)):
            say(name, *comm.allgather(world.rank))
"""


@pytest.fixture
def job(cli):
    """Starts ranks, each the words of one; gives the lines that they said, sorted, and the exit code."""
    if importlib.util.find_spec("yac") is None:
        pytest.skip("YAC is not installed")
    if mpi.library().family != "Open MPI":
        pytest.skip("YAC's wheel is made for Open MPI")
    launcher = launcher_words()
    if launcher is None or not LIBRARY.exists():
        pytest.skip("no mpiexec" if launcher is None else f"{LIBRARY} is not built")
    cli.write("rank.py", RANK)

    def run(*ranks):
        words = [*launcher]
        for rank in ranks:
            role, *names = rank.split()
            words += ["-n", "1", sys.executable, "rank.py", role, *([str(LIBRARY)] if role == "maestro" else []), *names, ":"]
        done = subprocess.run(words[:-1], check=False, cwd=cli.folder, env=cli.environment, text=True, capture_output=True, timeout=60)
        said = sorted(line.removeprefix("said ") for line in done.stdout.splitlines() if line.startswith("said "))
        return said, done

    return run


def test_ranks_of_both_libraries_share_a_name(job):
    said, done = job("maestro ocean both", "handshake both ice", "maestro ice", "maestro both ocean", "handshake none")
    assert done.returncode == 0, done.stderr
    assert said == ["0 both 0 1 3", "0 ocean 0 3", "1 both 0 1 3", "1 ice 1 2", "2 ice 1 2", "3 both 0 1 3", "3 ocean 0 3", "4 none 4"]


def test_yac_starts_beside_ranks_that_do_not_use_it(job):
    said, done = job("maestro ocean both", "yac", "maestro both", "yac")
    assert done.returncode == 0, done.stderr
    assert said == ["0 both 0 2", "0 ocean 0", "1 yac 2", "2 both 0 2", "3 yac 2"]


def test_names_that_maestro_refuses_end_yacs_ranks_too(job):
    said, done = job("maestro ocean ocean", "handshake ocean", "maestro ocean")
    assert done.returncode != 0
    assert "Version check failed" in done.stdout + done.stderr
    assert not any("handshake" in line for line in said)
