"""The workflow file: which components belong together, how they are started, what they offer and consume.

Here stand the models and the checks that need nothing but the file; whether programs exist and selectors parse is asked in
check.py. The schema of the file is what the models say: a key that is not here is an error.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, PositiveInt, model_validator

from .. import yamlfile

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}")


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f"'{value}' is no name: 1 to 63 letters, digits, '-', '_' and '.', no leading '.'")
    return value


def _text(value: Any) -> Any:
    # YAML reads `workflow: 2024` as a number; a name is meant.
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_text), AfterValidator(_name)]
Selector = str | dict[str, Any]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Pool(Part):
    """The pool that the components share."""

    name: Name | None = None
    memory: ByteSize | None = None
    schema_: str | None = Field(None, alias="schema")


class Component(Part):
    """A program: `ranks` of one MPI job, or `processes` started plainly."""

    run: str | list[str]
    ranks: PositiveInt | None = None
    processes: PositiveInt = 1
    offers: Selector | None = None
    consumes: Selector | None = None
    on_failure: Literal["stop", "continue"] = "stop"

    @model_validator(mode="after")
    def _one_way_to_start(self):
        if self.ranks is not None and "processes" in self.model_fields_set:
            raise ValueError("give 'ranks' (one MPI job) or 'processes' (started plainly), not both")
        try:
            words = self.words()
        except ValueError as error:
            raise ValueError(f"'run' cannot be split into words: {error}") from error
        if not words:
            raise ValueError("'run' is empty")
        return self

    def words(self) -> list[str]:
        return shlex.split(self.run) if isinstance(self.run, str) else list(self.run)

    def size(self) -> int:
        """How many ranks or processes join the pool."""
        return self.ranks or self.processes


class Workflow(Part):
    workflow: Name
    pool: Pool | None = None
    components: Annotated[dict[Name, Component], Field(min_length=1)]
    wait_for: list[Name] = []

    @property
    def pool_name(self) -> str:
        return (self.pool and self.pool.name) or os.environ.get("MAESTRO_POOL") or self.workflow

    def schema(self, folder: Path) -> str | None:
        """The pool's schema; a file's name counts from the workflow file's folder."""
        schema = self.pool.schema_ if self.pool else None
        return str(folder / schema) if schema and (folder / schema).is_file() else schema

    @property
    def needs_pool(self) -> bool:
        """Whether the runner itself attaches: to give the pool its limits and schema, or to see who has joined."""
        return self.pool is not None or bool(self.wait_for)


def load(path) -> tuple[Workflow, yamlfile.Source]:
    """Read and validate a workflow file; raises yamlfile.FileError with every mistake found."""
    source = yamlfile.read(Path(path))
    flow = yamlfile.validate(source, Workflow)
    problems = [
        source.problem(("wait_for", index), f"no component '{name}'{yamlfile.nearest(name, flow.components)}")
        for index, name in enumerate(flow.wait_for)
        if name not in flow.components
    ]
    if problems:
        raise yamlfile.FileError(problems)
    return flow, source
