"""Writes the Fortran sources that a machine can write better: the C interface, from maestro.h, and what is repeated over kinds and ranks.

- maestro_c.f90: module maestro_constants, every constant of the header with the value that the C compiler gives; module maestro_c, its
  structs, and an interface for every C function that the Fortran module calls (scripts/unwrapped-fortran.txt lists the others):
  maestro_x is called c_x there.
- each template NAME.f90.in becomes NAME.f90: what stands between `!@ repeat TABLE` and `!@ end` is written once for every row of a table,
  with {words} replaced.
The build calls this; nothing of what it writes is kept.
Usage: make_fortran.py FOLDER TEMPLATE...  (from the repository's root; CC may name the C compiler).
"""

import os
import re
import sys
from pathlib import Path

from check_bindings import HEADER, constant_names, constant_values, unwrapped_functions, without_comments

UNWRAPPED = Path("scripts/unwrapped-fortran.txt")

# ---- The C interface
SCALARS = {
    "int": "integer(c_int)",
    "maestro_comm_t": "integer(c_int)",
    "int64_t": "integer(c_int64_t)",
    "uint64_t": "integer(c_int64_t)",
    "uint32_t": "integer(c_int32_t)",
    "size_t": "integer(c_size_t)",
    "double": "real(c_double)",
    "bool": "logical(c_bool)",
}


MAY_BE_ABSENT = {"name", "schema", "selector", "is_ghost"}  # which C sees as NULL then
SEVERAL = {"comms_out"}  # outputs that are arrays


def enums(header):
    return set(re.findall(r"\} (maestro_\w+_t);", "".join(re.findall(r"typedef enum[^}]*\} \w+;", header))))


def structs(header):
    """{name: [(C type, member, the constant that is its number of elements or "")]} of the structs that the header shows."""
    found = {}
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", header, re.DOTALL):
        members = (re.match(r"(.*?[\s*])(\w+(?:\[\w+\])?(?:, .*)?)$", " ".join(line.split())) for line in body.split(";") if line.strip())
        found[name] = [(member[1].strip(), *re.findall(r"\w+|$", each)[:2]) for member in members for each in member[2].split(", ")]
    return found


def scalar(kind, known):
    return SCALARS.get(kind) or ("integer(c_int)" if kind in known["enums"] else None)


def argument(text, known):
    """The Fortran declaration of a C parameter."""
    kind, stars, name = re.match(r"(.*?)\s*((?:\*(?:const )?)*)(\w+)$", " ".join(text.split())).groups()
    constant, kind = kind.startswith("const "), kind.removeprefix("const ")
    optional = ", optional" * (name in MAY_BE_ABSENT)
    depth, value = stars.count("*"), scalar(kind, known)
    if depth == 0:
        return name, f"{value}, value"
    if depth == 1 and kind == "char" and constant:
        return name, f"character(kind=c_char), intent(in){optional}", "(*)"
    if depth == 1 and value:
        return (name, f"{value}, intent(in){optional}", "(*)") if constant else (name, f"{value}, intent(inout)", "(*)" * (name in SEVERAL))
    if depth == 1 and kind in known["structs"]:
        return name, f"type({kind}), intent({'in' if constant else 'inout'})"
    if depth == 1:
        return name, "type(c_ptr), value"
    return (name, "type(c_ptr), intent(in)", "(*)") if "const" in stars else (name, "type(c_ptr), intent(inout)")


def functions(header):
    """(name, result, [parameters]) of every public function."""
    for result, name, parameters in re.findall(r"MAESTRO_API\s+(.*?)\b(maestro_\w+)\(([^()]*)\);", header, re.DOTALL):
        yield name, result.strip(), [] if parameters == "void" else parameters.split(",")


def interface(name, result, parameters, known):
    arguments = [argument(one, known) for one in parameters]
    kind = "type(c_ptr)" if result.endswith("*") else scalar(result, known)
    line = f"{'function' if kind else 'subroutine'} c_{name.removeprefix('maestro_')}({', '.join(one[0] for one in arguments)}) &"
    yield f"    {line}"
    yield f'        bind(c, name="{name}")' + (" result(c_result)" if kind else "")
    yield "      import"
    for dummy, declaration, *bounds in arguments:
        yield f"      {declaration} :: {dummy}{''.join(bounds)}"
    if kind:
        yield f"      {kind} :: c_result"
    yield f"    end {'function' if kind else 'subroutine'}"


def struct(name, members, known, values):
    yield f"  type, bind(c) :: {name}"
    for kind, member, count in members:
        bounds = f"({values[count]})" if count else ""
        yield f"    {'type(c_ptr)' if '*' in kind or kind not in known else known[kind]} :: {member}{bounds}"
    yield "  end type"


def c_interface(header, unwrapped, compiler):
    """The text of maestro_c.f90."""
    values = constant_values(HEADER, constant_names(header), compiler)
    known = {"enums": enums(header), "structs": structs(header)}
    members = SCALARS | dict.fromkeys(known["enums"], "integer(c_int)")
    yield from ["module maestro_constants", "  implicit none", "  public"]
    yield from (f"  integer, parameter :: {name} = {value}" for name, value in values.items())
    yield from ["end module", "", "module maestro_c", "  use, intrinsic :: iso_c_binding", "  implicit none", "  public"]
    for name in known["structs"]:
        yield from struct(name, known["structs"][name], members, values)
    yield "  interface"
    for name, *rest in functions(header):
        if name not in unwrapped:
            yield from interface(name, *rest, known)
    yield from ["  end interface", "end module"]


# ---- What is repeated
NUMBERS = {  # kind: (Fortran's type, numpy's dtype, bytes)
    "int32": ("integer(int32)", "<i4", 4),
    "int64": ("integer(int64)", "<i8", 8),
    "real32": ("real(real32)", "<f4", 4),
    "real64": ("real(real64)", "<f8", 8),
}
DISTRIBUTED = {  # kind: (Fortran's type, the C constant of its element, bytes, the value of a number)
    "int32": ("integer(int32)", "MAESTRO_I32", 4, "number"),
    "int64": ("integer(int64)", "MAESTRO_I64", 8, "number * 2_int64**33"),
    "real32": ("real(real32)", "MAESTRO_F32", 4, "number"),
    "real64": ("real(real64)", "MAESTRO_F64", 8, "number * 1024.0_real64"),
    "complex32": ("complex(real32)", "MAESTRO_C64", 8, "cmplx(number, -number, real32)"),
    "complex64": ("complex(real64)", "MAESTRO_C128", 16, "cmplx(number, -number, real64)"),
}
VALUES = {  # name: (Fortran's type, its kind, the intrinsic that converts to it, the C function's suffix, the C type, its kind)
    "int32": ("integer(int32)", "int32", "int", "i64", "integer(c_int64_t)", "c_int64_t"),
    "int64": ("integer(int64)", "int64", "int", "i64", "integer(c_int64_t)", "c_int64_t"),
    "real32": ("real(real32)", "real32", "real", "f64", "real(c_double)", "c_double"),
    "real64": ("real(real64)", "real64", "real", "f64", "real(c_double)", "c_double"),
    "logical": ("logical", "kind(.true.)", "logical", "bool", "logical(c_bool)", "c_bool"),
}
VALUE_WORDS = ("type", "kind", "convert", "c", "c_type", "c_kind")


def array_row(kind, rank):
    return dict(zip(("type", "dtype", "nbytes"), NUMBERS[kind], strict=True)) | {
        "kind": kind,
        "rank": rank,
        "colons": ", ".join(":" * rank),
        "backwards": ", ".join(str(axis) for axis in range(rank, 0, -1)),
    }


def distributed_row(kind, rank):
    return dict(zip(("type", "element", "nbytes", "value"), DISTRIBUTED[kind], strict=True)) | {
        "kind": kind,
        "rank": rank,
        "colons": ", ".join(":" * rank),
        "zeros": ", ".join("0" * rank),
        "lower": ", ".join(f"lower({axis}):" for axis in range(1, rank + 1)),
    }


def value_row(name):
    return {"name": name, **dict(zip(VALUE_WORDS, VALUES[name], strict=True))}


TABLES = {
    "arrays": [array_row(kind, rank) for kind in NUMBERS for rank in (1, 2, 3, 4)],
    "distributed": [distributed_row(kind, rank) for kind in DISTRIBUTED for rank in (1, 2, 3, 4)],
    "integers": [{"kind": kind} for kind in ("int32", "int64")],
    "values": [value_row(name) for name in VALUES],
    "values but int32": [value_row(name) for name in VALUES if name != "int32"],
}


def expanded(text):
    """A template with its repeated parts written out."""

    def repeat(found):
        rows = TABLES[found[1]]
        return "".join(re.sub(r"\{(\w+)\}", lambda word, row=row: str(row[word[1]]), found[2]) for row in rows)

    return re.sub(r"^ *!@ repeat ([\w ]+)\n(.*?)^ *!@ end\n", repeat, text, flags=re.MULTILINE | re.DOTALL)


def main():
    folder, *templates = (Path(word) for word in sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    header = without_comments(HEADER.read_text())
    lines = c_interface(header, unwrapped_functions(UNWRAPPED.read_text()), os.environ.get("CC", "gcc"))
    (folder / "maestro_c.f90").write_text("\n".join(lines) + "\n")
    for template in templates:
        (folder / template.stem).write_text(expanded(template.read_text()))


if __name__ == "__main__":
    main()
