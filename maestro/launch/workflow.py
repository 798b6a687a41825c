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
from ..errors import SelectorError
from ..selectors import selector_text

ARCHIVE = "archive-"  # a collection's archive is the component of this and the collection's name
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}")


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f"'{value}' is no name: 1 to 63 letters, digits, '-', '_' and '.', no leading '.'")
    return value


def _text(value: Any) -> Any:
    # YAML reads `workflow: 2024` as a number; a name is meant.
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_text), AfterValidator(_name)]
SLASHES = re.compile(r"[\w.:+-]+(/[\w.:+-]+)+")


def _selector(value: Any) -> Any:
    """A selector as text; in keys and values, a text with slashes is a list or a range as MARS has them."""
    if not isinstance(value, dict):
        return value
    lists = {key: text for key, text in value.items() if isinstance(text, str) and SLASHES.fullmatch(text)}
    others = {key: other for key, other in value.items() if key not in lists}
    try:
        clauses = [selector_text({key: ""}).removesuffix("''") + text for key, text in lists.items()]
        return " and ".join([*clauses, *([selector_text(others)] if others else [])])
    except SelectorError as error:
        raise ValueError(str(error)) from None


def _list(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else [value]


Selectors = Annotated[list[Annotated[str, BeforeValidator(_selector)]] | None, BeforeValidator(_list)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Pool(Part):
    """The pool that the components share, and its limits."""

    name: Name | None = None
    memory: ByteSize | None = None
    objects: PositiveInt | None = None
    schema_: str | None = Field(None, alias="schema")


class Resources(Part):
    """What each rank or process of a component needs."""

    cores: PositiveInt | None = None
    memory: ByteSize | None = None


class Component(Part):
    """A program: `ranks` of one MPI job, or `processes` started plainly; what it offers and needs.

    Without `offers` a component offers nothing; one that says neither what it offers nor what it consumes may do anything.
    """

    run: str | list[str]
    ranks: PositiveInt | None = None
    processes: PositiveInt = 1
    resources: Resources = Resources()
    schema_: Annotated[list[str] | None, BeforeValidator(_list)] = Field(None, alias="schema")
    offers: Selectors = None
    consumes: Selectors = None
    group: Name | None = None
    priority: Literal["urgent", "normal", "background"] = "normal"
    on_failure: Literal["stop", "continue"] = "stop"
    service: bool = False  # it runs until the others have ended and it has consumed what they left

    @model_validator(mode="after")
    def _group_of_consumers(self):
        if self.group and not self.consumes:
            raise ValueError("'group' shares out what the component consumes; say that in 'consumes'")
        return self

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

    @property
    def unsaid(self) -> bool:
        """Nothing is known of what it offers and consumes."""
        return self.offers is None and self.consumes is None


class Persist(Part):
    """What an archive keeps of a collection, as `maestro archive` takes it."""

    to: str
    every: PositiveInt = 1
    filter: str | None = None


class Collection(Part):
    persist: Persist | None = None

    def archive(self, name: str) -> Component:
        """The component that keeps the rule."""
        rule = self.persist
        selector = selector_text({"maestro.collection": name})
        run = ["maestro", "archive", selector, "--group", name, "--to", rule.to, "--every", str(rule.every)]
        run += ["--filter", rule.filter] if rule.filter else []
        return Component(run=run, offers=[], consumes=[selector], group=ARCHIVE + name, priority="background", service=True)


class Workflow(Part):
    workflow: Name
    pool: Pool | None = None
    components: Annotated[dict[Name, Component], Field(min_length=1)]
    collections: dict[Name, Collection] = {}
    wait_for: list[Name] = []

    @model_validator(mode="after")
    def _archives(self):
        for name, collection in self.collections.items():
            if collection.persist and self.components.setdefault(ARCHIVE + name, made := collection.archive(name)) is not made:
                raise ValueError(f"component '{ARCHIVE}{name}' has the name of the archive of collection '{name}'; choose another one")
        if all(part.service for part in self.components.values()):
            raise ValueError("all components are services, which run until others have ended")
        return self

    def place(self, name: str) -> tuple:
        """Where the file speaks of a component."""
        of_collection = name.removeprefix(ARCHIVE)
        kept = name.startswith(ARCHIVE) and of_collection in self.collections and self.collections[of_collection].persist
        return ("collections", of_collection, "persist") if kept else ("components", name)

    @property
    def pool_name(self) -> str:
        return (self.pool and self.pool.name) or os.environ.get("MAESTRO_POOL") or self.workflow

    def schema(self, folder: Path) -> str | None:
        """The pool's schema; a file's name counts from the workflow file's folder."""
        return _path(folder, self.pool.schema_ if self.pool else None)

    def schemas(self, name: str, folder: Path) -> list[str | None]:
        """Those of a component: a selector of it is of the first one that knows its attributes."""
        return [_path(folder, schema) for schema in self.components[name].schema_ or []] or [self.schema(folder)]

    @property
    def needs_pool(self) -> bool:
        """Whether the runner itself attaches: to give the pool its limits and schema, to see who has joined, to say what is consumed.

        Also where a component has a core or priority of its own, which a manager that it started would inherit.
        """
        parts = self.components.values()
        special = any(part.consumes or part.offers or part.resources.cores or part.priority != "normal" for part in parts)
        return self.pool is not None or bool(self.wait_for) or special


def _path(folder: Path, schema: str | None) -> str | None:
    return str(folder / schema) if schema and (folder / schema).is_file() else schema


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
