"""Errors of the weather workflow: their remedies are commands that work."""

import re
import tomllib
from pathlib import Path

import pytest

from maestro.workflows.weather.errors import MissingPackageError, need

ROOT = Path(__file__).parents[2]


def test_a_missing_package_is_named_with_the_command_that_brings_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with pytest.raises(MissingPackageError) as caught:
        need("no_such_module", "no-such-package")
    name, extra = re.search(r"pip install '([\w-]+)\[(\w+)\]'", str(caught.value)).groups()
    assert name == project["name"]
    assert extra in project["optional-dependencies"]


def test_no_remedy_names_another_package():
    for path in (ROOT / "maestro" / "workflows").rglob("*.py"):
        assert "maestro[" not in path.read_text(), path
