"""What `cmake --install` gives to C and Fortran users works from any folder: find_package(Maestro) and pkg-config.  Needs `make build`."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from compiling import needs_fortran

ROOT = Path(__file__).parent.parent
PROGRAM = "#include <maestro.h>\n#include <stdio.h>\nint main(void) { puts(maestro_version()); return 0; }\n"
PROJECT = """cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(Maestro 0.1 REQUIRED)
add_executable(user user.c)
target_link_libraries(user Maestro::maestro)
"""
IN_FORTRAN = 'program user\n  use maestro\n  print "(a)", maestro_version()\nend program\n'
FORTRAN_PROJECT = (
    PROJECT.replace("user C", "user Fortran").replace("user.c", "user.f90").replace("Maestro::maestro", "Maestro::maestro_fortran")
)


def run(*command, **environment):
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | environment).stdout.strip()


@pytest.fixture(scope="module", name="prefix")
def installed(tmp_path_factory):
    """Maestro installed, then moved: nothing may hold on to the first place."""
    first, second = tmp_path_factory.mktemp("first") / "prefix", tmp_path_factory.mktemp("second") / "prefix"
    run("cmake", "--install", str(ROOT / "build/release"), "--prefix", str(first))
    return Path(shutil.move(first, second))


@pytest.fixture(name="source")
def user_program(tmp_path):
    (tmp_path / "user.c").write_text(PROGRAM)
    (tmp_path / "user.f90").write_text(IN_FORTRAN)
    return tmp_path


@pytest.fixture(scope="module", name="version")
def header_version():
    return ".".join(re.findall(r"#define MAESTRO_VERSION_\w+ (\d+)", (ROOT / "csrc/include/maestro.h").read_text()))


@pytest.fixture(name="project", params=[PROJECT, FORTRAN_PROJECT], ids=["C", "Fortran"])
def project_in_a_language(request):
    if request.param == FORTRAN_PROJECT:
        needs_fortran()
    return request.param


def test_a_cmake_project_finds_the_package(prefix, source, project, version):
    (source / "CMakeLists.txt").write_text(project)
    run("cmake", "-G", "Ninja", "-S", str(source), "-B", str(source / "build"), f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", str(source / "build"))
    assert run(str(source / "build/user")) == version


@pytest.mark.parametrize(("package", "compiler", "program"), [("maestro", "gcc", "user.c"), ("maestro-fortran", "gfortran", "user.f90")])
def test_pkg_config_gives_the_flags(prefix, source, version, package, compiler, program):
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    if compiler == "gfortran":
        needs_fortran()
    (pc,) = prefix.rglob(f"{package}.pc")
    where = {"PKG_CONFIG_PATH": str(pc.parent)}
    assert run("pkg-config", "--modversion", package, **where) == version
    flags = run("pkg-config", "--cflags", "--libs", package, **where).split()
    run(compiler, str(source / program), *flags, "-o", str(source / "user"))
    (library,) = prefix.rglob("libmaestro.so")
    assert run(str(source / "user"), LD_LIBRARY_PATH=str(library.parent)) == version


# Found in libmaestro_mpi, told by libmaestro: both have one last error.
COLLECTIVE = """#include <maestro.h>
#include <stdio.h>
int main(void) {
    maestro_plan_t *plan;
    maestro_status_t status = maestro_redistribute(NULL, NULL, 8, 0, NULL, &plan);
    printf("%s %s\\n", maestro_status_name(status), maestro_last_error());
    return 0;
}
"""


def test_collective_operations_are_a_library_beside_it(prefix, source):
    if not list(prefix.rglob("libmaestro_mpi.so")):
        pytest.skip("there is no MPI")
    (source / "user.c").write_text(COLLECTIVE)
    (source / "CMakeLists.txt").write_text(PROJECT.replace("Maestro::maestro)", "Maestro::maestro_mpi)"))
    run("cmake", "-G", "Ninja", "-S", str(source), "-B", str(source / "build"), f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", str(source / "build"))
    assert run(str(source / "build/user")).startswith("MAESTRO_WRONG_STATE redistribute: MPI is not initialised")
    if shutil.which("pkg-config"):
        folder = next(prefix.rglob("maestro-mpi.pc")).parent
        assert {"-lmaestro", "-lmaestro_mpi"} <= set(run("pkg-config", "--libs", "maestro-mpi", PKG_CONFIG_PATH=str(folder)).split())


PLAN_IN_FORTRAN = """program user
  use maestro_mpi
  type(maestro_layout) :: nothing
  type(maestro_plan) :: plan
  integer :: status
  call plan%create(nothing, nothing, MAESTRO_F64, 0, status=status)
  print "(3a)", maestro_status_name(status), " ", maestro_last_error()
end program
"""


def test_the_module_of_collective_operations_has_a_target(prefix, source):
    needs_fortran()
    if not list(prefix.rglob("libmaestro_mpi_fortran.a")):
        pytest.skip("there is no MPI")
    (source / "user.f90").write_text(PLAN_IN_FORTRAN)
    project = FORTRAN_PROJECT.replace("user Fortran", "user C Fortran").replace("find", "find_package(MPI COMPONENTS C REQUIRED)\nfind", 1)
    (source / "CMakeLists.txt").write_text(project.replace("Maestro::maestro_fortran", "Maestro::maestro_mpi_fortran MPI::MPI_C"))
    run("cmake", "-G", "Ninja", "-S", str(source), "-B", str(source / "build"), f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", str(source / "build"))
    assert run(str(source / "build/user")).startswith("MAESTRO_WRONG_STATE redistribute: MPI is not initialised")
