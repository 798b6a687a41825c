"""Checks that C header, C library, Python binding and Fortran module tell the same story.

- every constant of maestro.h (enumerators, status table, version) stands in maestro._core with the same value, under its C name
  with or without MAESTRO_;
- every status of the table has its exception in the package, a MaestroError;
- every public function is used in maestro/*.pyx, *.pxi or stands in scripts/unwrapped.txt with a reason;
- every public function is called in csrc/fortran or stands in scripts/unwrapped-fortran.txt with a reason; what is declared of it there,
  and the constants, make_fortran.py writes from the header;
- libmaestro.so and libmaestro_mpi.so together export what the header declares, no more and no less, and nothing twice; what has no
  libmaestro_mpi (there is no MPI) may lack what that exports.

While there is no maestro/_core.pyx, only what the library exports too much is found.
Usage: check_bindings.py  (from the repository's root, after `make build`).  Prints one line per difference and exits 1 if there is any.
"""

import fnmatch
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HEADER = Path("csrc/include/maestro.h")
LIBRARY = Path("maestro/_lib/libmaestro.so.0")
MPI_LIBRARY = next(Path("maestro/_lib").glob("*/libmaestro_mpi.so.0"), Path("none"))  # of any MPI family
MPI_EXPORTS = Path("cmake/maestro_mpi.map")
UNWRAPPED = Path("scripts/unwrapped.txt")
FORTRAN_UNWRAPPED = Path("scripts/unwrapped-fortran.txt")


# ---- What C says
def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)


def status_table(header):
    """{status name: exception name} of the X-macro."""
    table = re.search(r"#define MAESTRO_STATUS_TABLE\(X\)((?:.*\\\n)+.*)", header)
    return dict(re.findall(r"X\((\w+),\s*-?\d+,\s*(\w+),", table[1])) if table else {}


def constant_names(header):
    names = [f"MAESTRO_{name}" for name in status_table(header)]
    names += re.findall(r"^#define (MAESTRO_\w+) +-?\d", header, re.MULTILINE)
    for body in re.findall(r"typedef enum \w*\s*\{(.*?)\}", header, re.DOTALL):
        lines = (line for line in body.splitlines() if not line.startswith("#") and "MAESTRO_STATUS_TABLE" not in line)
        names += [enumerator.split("=")[0].strip() for enumerator in "".join(lines).split(",") if enumerator.strip()]
    return names


def constant_values(header_path, names, compiler="gcc"):
    """Asks the C compiler: {name: value}."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "values.c"), Path(folder, "values")
        lines = "".join(f'    printf("{name} %lld\\n", (long long){name});\n' for name in names)
        source.write_text(f'#include <stdio.h>\n#include "{header_path.resolve()}"\nint main(void) {{\n{lines}    return 0;\n}}\n')
        subprocess.run([compiler, "-std=c11", "-o", program, source], check=True)
        output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {name: int(value) for name, value in (line.split() for line in output.splitlines())}


def declared_functions(header):
    return set(re.findall(r"\bMAESTRO_API\b[^;()]*?\b(maestro_\w+)\s*\(", header))


def exported_symbols(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout.splitlines()
    fields = (line.split() for line in lines)
    return {name.split("@")[0] for *_, kind, name in fields if kind != "A"}  # A: the names of symbol versions


def promised_names(version_script):
    """A function that says whether libmaestro_mpi exports a name, by the patterns of its version script."""
    patterns = re.search(r"global:(.*?)local:", version_script, re.DOTALL)[1].replace(";", " ").split()
    return lambda name: any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


# ---- What Python says
def used_names(pyx):
    """The maestro_* names that a .pyx uses, not counting its extern declarations and comments."""
    text = re.sub(r"#[^\n]*", "", pyx)
    text = re.sub(r"^cdef extern from.*?(?=^\S|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"\bmaestro_\w+", text))


def called_in_fortran(text):
    """The maestro_x that a Fortran source calls as c_x; what is repeated over kinds calls c_cdo_set_{c}, which stands for all of them."""
    text = re.sub(r"![^\n]*", "", text)
    names = re.findall(r"\bc_(\w*(?:\{c\})?\w*)\(", text)
    return {f"maestro_{name.replace('{c}', kind)}" for name in names for kind in ("bool", "i64", "f64")}


def unwrapped_functions(text):
    """Names in the list file: one per line, then its reason."""
    return {line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")}


# ---- Differences
def constant_differences(values, module):
    for name, value in values.items():
        short = name.removeprefix("MAESTRO_")
        python = getattr(module, name, getattr(module, short, None))
        if python is None:
            yield f"{name} = {value}: {module.__name__} has neither {name} nor {short}"
        elif int(python) != value:
            yield f"{name} = {value}: {module.__name__} says {int(python)}"


def exception_differences(table, package):
    base = getattr(package, "MaestroError", ())
    for status, name in table.items():
        exception = getattr(package, name, None) if name != "None" else base
        if not (isinstance(exception, type) and issubclass(exception, base)):
            yield f"MAESTRO_{status}: {package.__name__}.{name} is no MaestroError"


def wrapping_differences(declared, used, unwrapped, where="maestro/*.pyx, *.pxi", listed=UNWRAPPED):
    yield from (f"{name}: neither used in {where} nor listed in {listed}" for name in sorted(declared - used - unwrapped))
    yield from (f"{name}: listed in {listed}, yet used" for name in sorted(unwrapped & used))
    yield from (f"{name}: listed in {listed}, but not in the header" for name in sorted(unwrapped - declared))


def differences(has_binding):
    header = without_comments(HEADER.read_text())
    declared, exported = declared_functions(header), exported_symbols(LIBRARY)
    of_mpi = set(filter(promised_names(MPI_EXPORTS.read_text()), declared))
    exported_mpi = exported_symbols(MPI_LIBRARY) if MPI_LIBRARY.exists() else of_mpi
    yield from (f"{name}: exported, but not in the header" for name in sorted((exported | exported_mpi) - declared))
    yield from (f"{name}: exported by both libraries" for name in sorted(exported & exported_mpi))
    if not has_binding:
        return
    yield from (f"{name}: in the header, but not exported" for name in sorted(declared - exported - exported_mpi))
    import maestro
    from maestro import _core

    used = set().union(*(used_names(path.read_text()) for path in Path("maestro").glob("*.p[yx][xi]")))
    yield from wrapping_differences(declared, used, unwrapped_functions(UNWRAPPED.read_text()))
    called = set().union(*(called_in_fortran(path.read_text()) for path in Path("csrc/fortran").glob("*.f90*")))
    yield from wrapping_differences(declared, called, unwrapped_functions(FORTRAN_UNWRAPPED.read_text()), "csrc/fortran", FORTRAN_UNWRAPPED)
    yield from constant_differences(constant_values(HEADER, constant_names(header)), _core)
    yield from exception_differences(status_table(header), maestro)


def main():
    sys.path.insert(0, "")
    has_binding = Path("maestro/_core.pyx").exists()
    found = list(differences(has_binding))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"bindings: {len(found)} differences" + ("" if has_binding else " (there is no binding yet)"))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
