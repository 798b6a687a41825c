"""Several programs in one pool, some of them killed, stopped or silent.  Every test has a node of its own, and leaves nothing on it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))  # node, objects

from node import Node, wait_until  # noqa: E402


@pytest.fixture(scope="session")
def binaries(tmp_path_factory):
    """The test programs, compiled against the library that Python uses."""
    folder = tmp_path_factory.mktemp("programs")
    library = ROOT / "maestro/_lib"
    for source in (HERE / "programs").glob("*.c"):
        command = [os.environ.get("CC", "gcc"), "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/csrc/include", str(source)]
        subprocess.run([*command, str(library / "libmaestro.so.0"), f"-Wl,-rpath,{library}", "-o", str(folder / source.stem)], check=True)
    for source in (HERE / "programs").glob("*.py"):
        shutil.copy(source, folder)
    return folder


@pytest.fixture
def node(binaries, monkeypatch):
    """A node whose manager leaves 0.2 s after its last session.  Set MAESTRO_POOL_* by monkeypatch before the first session."""
    with tempfile.TemporaryDirectory(prefix="maestro-s-") as folder:  # short: socket paths end at 108 bytes
        for name in [name for name in os.environ if name.startswith("MAESTRO_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("MAESTRO_DIR", folder)
        monkeypatch.setenv("MAESTRO_LINGER_S", "0.2")
        if "TEST_MANAGER" in os.environ:  # one that is built with a sanitizer
            monkeypatch.setenv("MAESTRO_MANAGER", os.environ["TEST_MANAGER"])
        monkeypatch.setenv("SCENARIO_SCHEMA", str(HERE / "scenario.yaml"))
        made = Node(folder, binaries, os.environ)
        try:
            yield made
            wait_until(lambda: not made.left_behind(), "nothing left behind", 5)
        finally:
            made.end()
