"""Programs of tests in C and Fortran, compiled with all warnings against the package's library and the Fortran module of `make build`."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "maestro" / "_lib"
FORTRAN = ROOT / "build" / "release" / "fortran"
LIMIT_S = 60
LANGUAGES = {
    "c": ["gcc", "-x", "c", "-", "-x", "none", "-std=c11", f"-I{ROOT / 'csrc/include'}"],
    "fortran": ["gfortran", "-x", "f95", "-", "-x", "none", "-ffree-form", "-std=f2018", "-fcheck=all", f"-I{FORTRAN}"],
}


def needs_fortran():
    """Skips the test where there is no Fortran module."""
    if not (FORTRAN / "libmaestro_fortran.a").exists() or not shutil.which("gfortran"):
        pytest.skip("the Fortran module is not built: no gfortran (apt-get install gfortran, then make build)")


def compiled(text, program, language="c", *flags):
    """The path of a program that was compiled from its text."""
    libraries = [str(LIBRARY / "libmaestro.so.0"), f"-Wl,-rpath,{LIBRARY}"]
    if language == "fortran":
        needs_fortran()
        libraries.insert(0, str(FORTRAN / "libmaestro_fortran.a"))
    line = [*LANGUAGES[language], "-Wall", "-Wextra", "-Werror", *flags, *libraries, "-o", program]
    subprocess.run(line, input=text, text=True, check=True, timeout=LIMIT_S, cwd=Path(program).parent)
    return program
