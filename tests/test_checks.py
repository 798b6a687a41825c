"""The checks of the lint step find what they are for: a planted violation each, and none in the tree as it is."""

import types
from pathlib import Path

import check_bindings
import check_layers
import check_uses
import make_fortran
import pytest

CSRC = Path(__file__).parent.parent / "csrc"
HEADER = """
#define MAESTRO_VERSION_MAJOR 3
#define MAESTRO_STATUS_TABLE(X) \\
    X(OK, 0, None, "success") \\
    X(TIMEOUT, -20, TimeoutError, "not done, in time")
typedef enum maestro_status {
#define MAESTRO_STATUS_ENUM(name, value, python, text) MAESTRO_##name = value,
    MAESTRO_STATUS_TABLE(MAESTRO_STATUS_ENUM)
} maestro_status_t;
typedef enum maestro_kind { MAESTRO_KIND_A = 1, /* MAESTRO_KIND_GONE = 9, */ MAESTRO_KIND_B } maestro_kind_t;
MAESTRO_API const char *maestro_text(maestro_status_t status); /* maestro_comment() */
MAESTRO_API maestro_status_t maestro_open(const char *name,
                                          int *number_out);
"""


# ---- Layers
def test_the_tree_keeps_its_layers():
    assert list(check_layers.violations(CSRC)) == []


@pytest.mark.parametrize(
    ("room", "header", "reason"),
    [
        ("base", "meta/schema.h", "base stands on floor 0, meta on floor 1"),
        ("meta", "mem/segment.h", "meta stands on floor 1, mem on floor 1"),
        ("pool", "client/session.h", "pool stands on floor 3, client on floor 3"),
        ("wire", "pool/pool.h", "wire stands on floor 2, pool on floor 3"),
        ("client", "mpi.h", "mpi.h belongs to the mpi room alone"),
        ("tools", "mpi.h", "mpi.h belongs to the mpi room alone"),
        ("include", "base/base.h", "include stands on floor -1, base on floor 0"),
        ("meta", "../mem/segment.h", "without '..'"),
        ("kitchen", "stdio.h", "kitchen is no room"),
    ],
)
def test_a_planted_include_is_found(tmp_path, room, header, reason):
    (tmp_path / room).mkdir()
    (tmp_path / room / "planted.c").write_text(f'#include <stdio.h>\n  # include "{header}"\n')
    (found,) = check_layers.violations(tmp_path)
    assert reason in found


@pytest.mark.parametrize(
    ("room", "header"),
    [
        ("meta", "base/base.h"),
        ("meta", "meta/schema.h"),
        ("tools", "pool/pool.h"),
        ("mpi", "mpi.h"),
        ("base", "sys/mman.h"),
    ],
)
def test_an_allowed_include_passes(tmp_path, room, header):
    (tmp_path / room).mkdir()
    (tmp_path / room / "fine.h").write_text(f"#include <{header}>\n")
    assert list(check_layers.violations(tmp_path)) == []


def test_a_header_without_its_room_is_found(tmp_path):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "schema.h").write_text("")
    (tmp_path / "meta" / "schema.c").write_text('#include "schema.h"\n')
    (found,) = check_layers.violations(tmp_path)
    assert '"meta/schema.h"' in found


def test_a_system_header_may_have_the_name_of_a_rooms(tmp_path):
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "search.h").write_text("")
    (tmp_path / "pool" / "tree.c").write_text("#include <search.h>\n")
    assert list(check_layers.violations(tmp_path)) == []


# ---- Bindings
@pytest.fixture(name="header")
def header_without_comments():
    return check_bindings.without_comments(HEADER)


def test_the_header_is_read_whole(header):
    assert check_bindings.declared_functions(header) == {"maestro_text", "maestro_open"}
    assert check_bindings.status_table(header) == {"OK": "None", "TIMEOUT": "TimeoutError"}
    names = ["MAESTRO_OK", "MAESTRO_TIMEOUT", "MAESTRO_VERSION_MAJOR", "MAESTRO_KIND_A", "MAESTRO_KIND_B"]
    assert check_bindings.constant_names(header) == names


def test_the_compiler_gives_the_values(tmp_path, header):
    (tmp_path / "planted.h").write_text("#define MAESTRO_API\n" + HEADER)
    values = check_bindings.constant_values(tmp_path / "planted.h", check_bindings.constant_names(header))
    assert values == {
        "MAESTRO_OK": 0, "MAESTRO_TIMEOUT": -20, "MAESTRO_VERSION_MAJOR": 3, "MAESTRO_KIND_A": 1, "MAESTRO_KIND_B": 2,
    }  # fmt: skip


def test_a_constant_that_differs_or_lacks_is_found():
    module = types.SimpleNamespace(__name__="core", MAESTRO_A=1, B=3)
    found = list(check_bindings.constant_differences({"MAESTRO_A": 1, "MAESTRO_B": 2, "MAESTRO_C": 0}, module))
    assert found == ["MAESTRO_B = 2: core says 3", "MAESTRO_C = 0: core has neither MAESTRO_C nor C"]


def test_a_status_without_its_exception_is_found():
    class MaestroError(Exception):
        pass

    package = types.SimpleNamespace(__name__="maestro", MaestroError=MaestroError, WrongError=ValueError)
    found = list(check_bindings.exception_differences({"OK": "None", "WRONG": "WrongError", "LOST": "LostError"}, package))
    assert found == [
        "MAESTRO_WRONG: maestro.WrongError is no MaestroError",
        "MAESTRO_LOST: maestro.LostError is no MaestroError",
    ]


def test_a_function_that_is_only_declared_to_cython_counts_as_unused():
    pyx = 'cdef extern from "maestro.h":\n    int maestro_open()\n    int maestro_text()\n\ndef f():\n    maestro_text() # maestro_open'
    assert check_bindings.used_names(pyx) == {"maestro_text"}


def test_wrapping_and_the_list_of_exceptions_must_agree():
    found = list(check_bindings.wrapping_differences({"maestro_a", "maestro_b"}, {"maestro_b"}, {"maestro_b", "maestro_c"}))
    assert [line.split(":")[0] for line in found] == ["maestro_a", "maestro_b", "maestro_c"]


def test_calls_in_fortran_are_found_and_comments_and_others_are_not():
    text = (
        "call finish(c_cdo_offer(cdo%handle), status)  ! not c_cdo_seal(cdo)\ncode = c_cdo_set_{c}(cdo, c_text(key))\ncall c_free(memory)\n"
    )
    called = check_bindings.called_in_fortran(text)
    assert called >= {"maestro_cdo_offer", "maestro_free"} | {f"maestro_cdo_set_{kind}" for kind in ("bool", "i64", "f64")}
    assert "maestro_cdo_seal" not in called
    found = list(check_bindings.wrapping_differences({"maestro_cdo_offer", "maestro_cdo_seal"}, called, set(), "csrc/fortran", "the list"))
    assert found == ["maestro_cdo_seal: neither used in csrc/fortran nor listed in the list"]


# ---- Fortran's view of the header
def test_parameters_become_what_fortran_can_pass():
    known = {"enums": {"maestro_kind_t"}, "structs": {"maestro_options_t": []}}
    expected = {
        "maestro_cdo_t *cdo": "type(c_ptr), value",
        "const char *key": "character(kind=c_char), intent(in)",
        "const char *selector": "character(kind=c_char), intent(in), optional",
        "char *text": "type(c_ptr), value",
        "double timeout_s": "real(c_double), value",
        "maestro_kind_t kind": "integer(c_int), value",
        "uint64_t *count_out": "integer(c_int64_t), intent(inout)",
        "const int64_t *values": "integer(c_int64_t), intent(in)",
        "const maestro_options_t *options": "type(maestro_options_t), intent(in)",
        "const void **bytes_out": "type(c_ptr), intent(inout)",
        "const char *const *texts": "type(c_ptr), intent(in)",
    }
    assert {text: make_fortran.argument(text, known)[1] for text in expected} == expected


def test_what_is_repeated_is_written_once_for_every_kind_and_rank():
    text = make_fortran.expanded("before\n  !@ repeat arrays\n  x_{kind}_{rank}({colons})\n  !@ end\nafter\n")
    lines = text.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("before", "after", 18)
    assert lines[2] == "  x_int32_2(:, :)"


def test_an_export_beyond_the_header_is_seen(tmp_path):
    source = tmp_path / "planted.c"
    source.write_text("int maestro_secret(void); int maestro_secret(void) { return 1; }\n")
    check_bindings.subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "planted.so", source], check=True)
    assert check_bindings.exported_symbols(tmp_path / "planted.so") == {"maestro_secret"}


# ---- Uses
@pytest.fixture
def small_tree(tmp_path, monkeypatch):
    """A function and a method, each with a test and a caller."""
    files = {
        "csrc/include/maestro.h": "MAESTRO_API int maestro_do(int x);\n",
        "csrc/client/do.c": "int maestro_do(int x) { return x; }\n",
        "csrc/client/do_test.c": "maestro_do(1);\n",
        "examples/do.c": "maestro_do(2);\n",
        "examples/do": "\x7f a program",
        "maestro/work.py": '__all__ = ["Work"]\n\nclass Work:\n    def work(self):\n        "Works."\n\n    def _own(self): ...\n',
        "maestro/_work.pxi": "cdef class Handle:\n    def hold(self):\n        pass\n",
        "tests/test_work.py": "thing.work(), thing.hold()\n",
        "README.md": "thing.work(), thing.hold()\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def unused():
    return [*check_uses.unused_in_c(), *check_uses.unused_in_python()]


@pytest.mark.usefixtures("small_tree")
def test_what_is_tested_and_called_is_no_unused_name():
    assert unused() == []


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("csrc/client/do_test.c", ["maestro_do has no test"]),
        ("examples/do.c", ["maestro_do has no caller"]),
        ("tests/test_work.py", ["work has no test", "hold has no test"]),
        ("README.md", ["work has no caller and no example", "hold has no caller and no example"]),
    ],
)
def test_a_name_without_test_or_caller_is_found(small_tree, gone, said):
    (small_tree / gone).write_text("")
    assert [line.split(": ")[1] for line in unused()] == said


def test_an_example_in_its_docstring_is_test_and_caller(small_tree):
    (small_tree / "tests/test_work.py").write_text("thing.hold()\n")
    (small_tree / "README.md").write_text("thing.hold()\n")
    path = small_tree / "maestro/work.py"
    path.write_text(path.read_text().replace('"Works."', '">>> Work().work()"'))
    assert unused() == []
