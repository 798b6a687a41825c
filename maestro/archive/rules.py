"""What an archive keeps: rules in a YAML file, or from the command line.

    to: store/
    period: {objects: 10000, bytes: 1GiB, seconds: 300}
    rules:
      - select: step in 0/to/240/by/6
      - select: maestro.collection = hydro
        every: 10
        filter: mymodule:keep

An object is kept when one rule keeps it. Selectors are checked against the schema, with the place in the file.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, PositiveFloat, PositiveInt

from .. import _core, errors, yamlfile
from ..selectors import selector_text
from .errors import ArchiveError
from .store import Limits


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _function(text: str) -> str:
    module, colon, name = text.partition(":")
    if not colon or not module or not name:
        raise ValueError(f"'{text}' is no function; write module:function")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"'{text}' cannot be loaded: {error}") from error
    if not callable(found):
        raise ValueError(f"'{text}' is no function")
    return text


class Rule(Part):
    """Objects that match `select`, of these every n-th, of these those for which the filter is true."""

    select: str | dict[str, Any] = ""
    every: PositiveInt = 1
    filter: Annotated[str, AfterValidator(_function)] | None = None

    @property
    def selector(self) -> str:
        """What is selected, as text."""
        return selector_text(self.select or None)

    def keeper(self) -> Callable[[Any], bool]:
        """Whether a selected object is kept: those of no record are counted as they come, those that ask for it are kept always."""
        module, _, name = (self.filter or "").partition(":")
        wanted = getattr(importlib.import_module(module), name) if module else None
        came = -1

        def keeps(cdo) -> bool:
            nonlocal came
            sequence = cdo.get("maestro.sequence")
            came += sequence is None
            number = came if sequence is None else sequence
            if cdo.get("maestro.persist", False):  # to acknowledge it without keeping it would break its promise
                return True
            return number % self.every == 0 and (wanted is None or ask(wanted, cdo))

        return keeps


def ask(function: Callable[[Any], Any], cdo: Any) -> bool:
    try:
        return bool(function(cdo))
    except Exception as error:
        raise ArchiveError(f"archive: the filter {function.__qualname__} failed for {cdo!r}: {type(error).__name__}: {error}") from error


class Period(Part):
    objects: PositiveInt = 10_000
    bytes_: ByteSize = Field(ByteSize(1 << 30), alias="bytes")
    seconds: PositiveFloat = 300.0

    def limits(self) -> Limits:
        return Limits(self.objects, self.bytes_, self.seconds)


class Rules(Part):
    to: str | None = None
    period: Period = Period()
    rules: Annotated[list[Rule], Field(min_length=1)]


def load(path: Path) -> tuple[Rules, yamlfile.Source]:
    """Read a file of rules; raises yamlfile.FileError with every mistake."""
    source = yamlfile.read(path)
    return yamlfile.validate(source, Rules), source


def check_selectors(rules: Rules, source: yamlfile.Source, session: Any) -> None:
    """Whether the selectors can be understood with the session's schema; raises yamlfile.FileError with every mistake."""
    index, problems = _core.Index(session), []
    for number, rule in enumerate(rules.rules):
        try:
            index.find(rule.selector)
        except errors.MaestroError as error:
            problems.append(source.problem(("rules", number, "select"), str(error)))
    if problems:
        raise yamlfile.FileError(problems)
