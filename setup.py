"""A shim: setuptools asks for extension modules, CMake builds them and installs them into the package.

Everything about the package stands in pyproject.toml, everything about the build in CMakeLists.txt.
With MAESTRO_SKIP_NATIVE set (the Makefile, which builds by itself afterwards) nothing is compiled here.
"""

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()


class CMakeBuild(build_ext):
    def run(self):
        if os.environ.get("MAESTRO_SKIP_NATIVE"):
            return
        in_place = self.inplace or self.editable_mode
        package = ROOT / "maestro" if in_place else Path(self.build_lib).resolve() / "maestro"
        build = Path(self.build_temp).resolve()
        options = ["-G", "Ninja", "-DMAESTRO_PYTHON=ON", "-DMAESTRO_TESTS=OFF", "-DMAESTRO_FORTRAN=OFF"]
        options.append(f"-DPython_EXECUTABLE={sys.executable}")
        subprocess.check_call(["cmake", "-S", ROOT, "-B", build, *options])
        subprocess.check_call(["cmake", "--build", build])
        subprocess.check_call(["cmake", "--install", build, "--component", "python", "--prefix", package])

    def get_output_mapping(self):
        return {}  # in editable mode CMake has put the files beside the sources; nothing is left to copy

    def get_outputs(self):
        return []


def version():
    """The version in the C header, which is the only place that states it."""
    words = [line.split() for line in (ROOT / "csrc/include/maestro.h").read_text().splitlines()]
    parts = {w[1]: w[2] for w in words if len(w) == 3 and w[1].startswith("MAESTRO_VERSION_")}
    return ".".join(parts[f"MAESTRO_VERSION_{p}"] for p in ("MAJOR", "MINOR", "PATCH"))


setup(version=version(), ext_modules=[Extension("maestro._core", sources=[])], cmdclass={"build_ext": CMakeBuild})
