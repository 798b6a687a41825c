"""The command as a user starts it: a process of its own, with a rendezvous directory of its own."""

import json
import os
import subprocess
import sys

import pytest


class Cli:
    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment

    def start(self, *words, stdout=subprocess.PIPE, **environment):
        """The running command, with pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "maestro.cli", *map(str, words)], cwd=self.folder, text=True,
            env={**self.environment, **environment}, stdout=stdout, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *words, timeout=40, **environment):
        with self.start(*words, **environment) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words, **options):
        return json.loads(self(*words, "--json", **options).stdout)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path


@pytest.fixture
def cli(tmp_path):
    rendezvous = tmp_path / "r"
    rendezvous.mkdir(mode=0o700)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAESTRO_", "SLURM_"))}
    return Cli(tmp_path, {**environment, "MAESTRO_DIR": str(rendezvous), "COLUMNS": "200"})
