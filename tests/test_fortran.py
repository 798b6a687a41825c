"""Fortran beside C and Python in one pool: the same attributes, the same arrays, the same constants, and errors that end a program.

What needs no other language stands in tests/fortran/*_test.f90, which ctest runs.
"""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import check_bindings
import numpy as np
import pytest
from compiling import FORTRAN, LIMIT_S, ROOT, compiled, needs_fortran
from poolside import SCHEMA

PROGRAMS = ROOT / "build" / "release" / "tests"
EVERY_TYPE = """
schema: every
attributes:
  flag: {type: bool}
  number: {type: i64}
  weight: {type: f64}
  title: {type: string}
  moment: {type: timestamp}
  day: {type: timestamp}
  key: {type: blob}
  flags: {type: bool, array: true}
  levels: {type: i64, array: true}
  weights: {type: f64, array: true}
  species: {type: string, array: true}
  moments: {type: timestamp, array: true}
  nothing: {type: i64, array: true}
"""
VALUES = {
    "flag": True,
    "number": -7,
    "weight": 0.25,
    "title": "Grüße",
    "moment": np.datetime64(1767225600000000001, "ns"),
    "day": datetime(2026, 1, 1, tzinfo=UTC),
    "key": b"\x01\x00\xff",
    "flags": [True, False],
    "levels": [1, -2, 2**40],
    "weights": [0.5, -1.0],
    "species": ["hydrogen", "", "helium"],
    "moments": np.array([0, 1], "M8[ns]"),
    "nothing": [],
}


@pytest.fixture(autouse=True)
def fortran():
    needs_fortran()


def start(name, *words):
    return subprocess.Popen([PROGRAMS / f"fortran_{name}", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(running):
    printed, said = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 0, said
    return printed


# ---- Attributes
def plain(value):
    """A value and its type, so that values of another type are unequal."""
    return (type(value), value.dtype, value.tolist()) if isinstance(value, np.ndarray) else (type(value), value)


def described(cdo):
    return {key: plain(cdo[key]) for key in cdo.keys() if key not in ("maestro.name", "maestro.component")}  # noqa: SIM118  (a Cdo is its own mapping)


def test_setters_of_python_c_and_fortran_give_the_same_object(pool, tmp_path):
    schema = tmp_path / "every.yaml"
    schema.write_text(EVERY_TYPE)
    session = pool.session("python", schema=str(schema))
    with session.cdo(name="python", **VALUES) as cdo:
        cdo.empty(3, "f8")[:] = [1, 2, 3]
        cdo.offer()
    in_c = compiled((ROOT / "tests/fortran/setters.c").read_text(), tmp_path / "setters")
    subprocess.run([in_c, schema], check=True, timeout=LIMIT_S)
    finish(start("setters", schema))  # which also reads Python's values
    python, c, fortran = (session.demand(f"maestro.name = {name}") for name in ("python", "c", "fortran"))
    assert set(VALUES) <= set(python.keys())
    assert described(fortran) == described(c) == described(python)
    for cdo in (python, c, fortran):
        np.testing.assert_array_equal(cdo.array(), [1.0, 2.0, 3.0])
        assert cdo.array().dtype == "f8"


# ---- Arrays
def random_array(random, dtype, rank):
    """Any shape, also without elements; row-major, column-major, or slices of either."""
    shape = tuple(int(n) for n in random.integers(0, 6, rank))
    array = random.integers(-(2**31), 2**31, shape).astype(dtype, order=random.choice(["C", "F"]))
    return array[::2] if random.random() < 0.2 else array


def test_any_array_is_the_same_in_python_and_fortran(pool):
    random = np.random.default_rng(7)
    arrays = [random_array(random, dtype, rank) for dtype in ("i4", "i8", "f4", "f8") for rank in (1, 2, 3, 4) for _ in range(12)]
    session = pool.session("python", schema=SCHEMA)
    echo = start("echo", str(len(arrays)))
    for step, array in enumerate(arrays):
        session.offer(array, param="t", step=step)
    finish(echo)
    for step, array in enumerate(arrays):
        seen, copied = (session.demand({"param": param, "step": step}).array() for param in ("u", "v"))
        column_major = session.demand({"param": "t", "step": step}).get("maestro.order") == "F" or array.ndim == 1
        np.testing.assert_array_equal(copied, array, strict=True)
        np.testing.assert_array_equal(seen, array if column_major else array.T, strict=True)
        assert copied.flags.f_contiguous
        assert seen.flags.f_contiguous


# ---- Errors
@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("attribute", ["MAESTRO_UNKNOWN_ATTRIBUTE: ", "levlist", "did you mean 'levelist'?"]),
        ("array", ["MAESTRO_WRONG_TYPE: data ", "its elements are <f8 and those of the pointer <f4"]),
    ],
)
def test_an_error_without_status_ends_the_program_and_says_why(pool, mistake, words):
    running = start("stop", mistake)
    printed, said = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 1
    assert printed == ""
    assert [word for word in words if word not in said] == []


THREADS = """
program threads
  use maestro
  use omp_lib, only: omp_get_thread_num
  implicit none
  type(maestro_session) :: session
  type(maestro_cdo) :: cdo
  integer :: i, status
  character(8) :: keys(0:1) = ["levlist", "stepp  "]
  character(256) :: said(0:1)
  call maestro_session_open(session, schema="mars")
  !$omp parallel num_threads(2) private(cdo, i, status)
  i = omp_get_thread_num()
  call maestro_cdo_declare(session, cdo)
  call maestro_cdo_set(cdo, keys(i), 1, status)
  !$omp barrier
  said(i) = maestro_last_error()
  call maestro_cdo_dispose(cdo)
  !$omp end parallel
  call maestro_session_close(session)
  print "(a)", said
end program
"""


def test_every_thread_has_its_own_last_error(pool, tmp_path):
    program = compiled(THREADS, tmp_path / "threads", "fortran", "-fopenmp")
    first, second = subprocess.run([program], check=True, capture_output=True, text=True, timeout=LIMIT_S).stdout.splitlines()
    assert "'levlist'" in first
    assert "'stepp'" in second


STARTED = """
program started
  use maestro_mpi
  implicit none
  type(maestro_plan) :: plan
  real, asynchronous :: a(3), b(3)
  call plan%start(ARGUMENT, b)
end program
"""


@pytest.mark.parametrize(("given", "works"), [("a", True), ("a(::2)", True), ("2 * a", False), ("a([1, 3])", False)])
def test_no_compiler_takes_for_start_what_is_gone_after_it(tmp_path, given, works):
    if not (FORTRAN / "maestro_mpi.mod").exists():
        pytest.skip("there is no MPI")
    line = ["gfortran", "-std=f2018", "-fsyntax-only", f"-I{FORTRAN}", "started.f90"]
    (tmp_path / "started.f90").write_text(STARTED.replace("ARGUMENT", given))
    compiled_it = subprocess.run(line, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S)
    assert (compiled_it.returncode == 0) == works, compiled_it.stderr


# ---- The header
def test_constants_have_the_values_of_the_header(tmp_path):
    names = check_bindings.constant_names(check_bindings.without_comments((ROOT / "csrc/include/maestro.h").read_text()))
    lines = "".join(f'  print "(a,i0)", "{name} ", {name}\n' for name in names)
    program = compiled(f"program constants\n  use maestro\n  implicit none\n{lines}end program\n", tmp_path / "constants", "fortran")
    printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    found = {name: int(value) for name, value in (line.split() for line in printed.splitlines())}
    assert found == check_bindings.constant_values(ROOT / "csrc/include/maestro.h", names)


def test_structs_have_the_size_and_the_members_of_the_header(tmp_path):
    """Sizes, and where the last member lies, as both compilers have them."""
    structs = {"session_options": "priority", "subscription_options": "acknowledge_s", "event": "cdo"}
    structs |= {"layout_options": "high", "local": "first", "field": "conjugate", "plan_options": "periodic"}
    c_lines = "".join(
        f'printf("%zu %zu\\n", sizeof(maestro_{name}_t), offsetof(maestro_{name}_t, {last}));' for name, last in structs.items()
    )
    c_text = f"#include <maestro.h>\n#include <stdio.h>\nint main(void) {{ {c_lines} return 0; }}\n"
    declared = "".join(f"  type(maestro_{name}_t), target :: {name}\n" for name in structs)
    f_lines = "".join(
        f'  print "(i0,1x,i0)", c_sizeof({name}), &\n'
        f"    transfer(c_loc({name}%{last}), 0_c_intptr_t) - transfer(c_loc({name}), 0_c_intptr_t)\n"
        for name, last in structs.items()
    )
    f_text = f"program structs\n  use, intrinsic :: iso_c_binding\n  use maestro_c\n  implicit none\n{declared}{f_lines}end program\n"
    texts = {"c": c_text, "fortran": f_text}
    printed = [
        subprocess.run([compiled(text, tmp_path / language, language)], check=True, capture_output=True, text=True).stdout
        for language, text in texts.items()
    ]
    assert printed[0] == printed[1]


def test_every_public_procedure_stands_in_a_guide():
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("fortran.md", "arrays.md"))
    sources = [*Path(ROOT / "csrc/fortran").glob("*.f90"), *Path(ROOT / "csrc/fortran").glob("*.f90.in")]
    text = "\n".join(source.read_text() for source in sources)
    public = {name for line in re.findall(r"^ *public :: (.*)", text, re.MULTILINE) for name in re.findall(r"maestro_\w+", line)}
    of_types = {f"%{name}(" for name in re.findall(r"^ *(?:procedure|generic) :: (\w+) =>", text, re.MULTILINE)}
    assert {name for name in public if not re.search(rf"\b{name}\b", pages)} == set()
    assert {name for name in of_types if name not in pages} == set()
