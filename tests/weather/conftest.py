"""Fixtures of the weather workflow's tests: what is optional, and one small forecast on a coarse grid.

Everything that needs an optional package or the sample fields skips with the reason; nothing here replaces a real part by a mock.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def grib_parts():
    """eccodes and MIR, or a skip."""
    pytest.importorskip("eccodes", reason="eccodes is not installed (extra weather)", exc_type=ImportError)
    pytest.importorskip("mir", reason="mir-python is not installed (extra weather)", exc_type=ImportError)


@pytest.fixture(scope="session")
def sample_fields(grib_parts):
    """The directory of the sample files, or a skip where they cannot be had."""
    from maestro.workflows.weather import samples
    from maestro.workflows.weather.errors import SampleError

    try:
        return samples.samples_dir()
    except SampleError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def fdb_part():
    pytest.importorskip("pyfdb", reason="pyfdb is not installed (extra weather)", exc_type=ImportError)


@pytest.fixture
def small_plan():
    """A forecast of 24 fields on O32, as plain data."""
    return {
        "members": "1/to/2",
        "steps": "6/12",
        "pl": {"params": "t/z", "levels": "500/850"},
        "sfc": "msl/2t",
        "grid": "O32",
        "sink": "file",
    }


@pytest.fixture
def wishes():
    """Requirements for the small plan: 8 products, one with a picture."""
    return [
        {
            "name": "t500",
            "retrieve": {"param": "t", "levelist": 500, "step": "6/12", "number": "1/2"},
            "post": {"grid": "2/2", "area": "70/-20/30/40"},
            "to": "europe",
        },
        {
            "name": "msl",
            "retrieve": {"param": "msl", "step": "6/12", "number": "1/to/2"},
            "post": {"grid": "5/5"},
            "to": "world",
            "picture": True,
        },
    ]


def command(*words) -> list[str]:
    return [sys.executable, "-m", "maestro.workflows.weather.cli", *map(str, words)]


def environment(**more) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | more


class Run:
    """One run of hammer and products in a directory; the hammer is one rank, without MPI's launcher."""

    def __init__(self, folder: Path):
        self.folder = folder

    def write(self, plan, wishes) -> None:
        from maestro.workflows.weather.columns import write_yaml

        self.folder.mkdir(parents=True, exist_ok=True)
        self.plan = write_yaml(self.folder / "plan.yaml", plan)
        self.wishes = write_yaml(self.folder / "requirements.yaml", wishes)

    def execute(self, *hammer_options, products_options=(), timeout: float = 50) -> dict:
        """Run to the end; returns the outcome."""
        import json

        run = ["--run", self.folder]
        supervisor = subprocess.Popen(
            command("products", self.plan, self.wishes, *run, "--limit", timeout, *products_options), env=environment()
        )
        try:
            subprocess.run(command("hammer", self.plan, *run, *hammer_options), env=environment(), timeout=timeout, check=True)
            self.status = supervisor.wait(timeout)
        finally:
            supervisor.kill()
            supervisor.wait()
        return json.loads((self.folder / "outcome.json").read_text())


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


@pytest.fixture
def private_pool(monkeypatch):
    """A pool that only this test's programs attach to; it leaves by itself, soon after they have."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mst", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("MAESTRO_DIR", folder)  # a short path: sockets have room for 100 characters
        yield folder
