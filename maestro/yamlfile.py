"""YAML files that people write, read into pydantic models; every error points at file, line and column.

PyYAML keeps the positions of the nodes, pydantic says which value is wrong, this file joins the two and names the nearest
known key. What a file means stands in its model, not here. Invariant: a key that occurs twice, or that no model knows, is an
error; nothing of a file is passed over in silence.
"""

from __future__ import annotations

import difflib
import re
import typing
from pathlib import Path

import pydantic
import yaml


class FileError(ValueError):
    """A file written by a user is wrong; `problems` has one text per mistake, each starting with file:line:column."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("\n".join(problems))


class Loader(yaml.SafeLoader):
    """YAML without YAML 1.1's surprises: 0600, 12:00 and 2026-11-24 stay text, as whoever writes MARS keys means them."""

    yaml_implicit_resolvers: typing.ClassVar = {
        first: [(tag, pattern) for tag, pattern in those if tag.rpartition(":")[2] not in ("int", "float", "timestamp")]
        for first, those in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"([-+]?([0-9]+\.[0-9]*|\.[0-9]+|[1-9][0-9]*(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    list("-+0123456789."),
)


def load(text: str) -> typing.Any:
    """What a YAML text means; yaml.YAMLError where it is none."""
    return yaml.load(text, Loader)


class Source:
    """A parsed YAML text with the positions of its nodes."""

    def __init__(self, text: str, name: str):
        self.name, self.lines = name, text.splitlines()
        try:
            self.tree = yaml.compose(text, Loader)
            repeated = list(_repeated_keys(self.tree))
            if not repeated:
                self.data = load(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise FileError([self._at(mark, error.problem or error.context)]) from error
        except yaml.YAMLError as error:  # a byte that no YAML text may hold
            raise FileError([f"{name}:1:1: {error}".splitlines()[0]]) from error
        if repeated:
            raise FileError([self._at(key.start_mark, f"key '{key.value}' stands here a second time") for key in repeated])

    def problem(self, loc: typing.Sequence, message: str, at_key: bool = False) -> str:
        """One error text: position of the deepest node that `loc` reaches, the path of keys, the message, the source line."""
        mark, keys = self._locate(loc, at_key)
        return self._at(mark, f"{'.'.join(keys)}: {message}" if keys else message)

    def _at(self, mark, message: str) -> str:
        line, column = (mark.line, mark.column) if mark else (0, 0)
        text = f"{self.name}:{line + 1}:{column + 1}: {message}"
        if mark and line < len(self.lines):
            text += f"\n    {self.lines[line]}\n    {' ' * column}^"
        return text

    def _locate(self, loc, at_key: bool):
        """Pydantic adds parts to `loc` that no node has (members of unions): they are passed over."""
        node, keys = self.tree, []
        mark = node.start_mark if node else None
        for part in loc:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == str(part)), None)
                if pair is None:
                    continue
                node, mark = pair[1], pair[0].start_mark if at_key else pair[1].start_mark
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                mark = node.start_mark
            else:
                continue
            keys.append(str(part))
        return mark, keys


def read(path) -> Source:
    path = Path(path)
    try:
        return Source(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise FileError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise FileError([f"{path}: byte {error.start} is no UTF-8 text"]) from error


def validate(source: Source, model):
    """The source's data as `model`; raises FileError with all mistakes that pydantic finds."""
    try:
        return pydantic.TypeAdapter(model).validate_python(source.data)
    except pydantic.ValidationError as error:
        raise FileError([_describe(source, detail, model) for detail in error.errors()]) from error


def _describe(source: Source, detail: dict, model) -> str:
    loc, message = detail["loc"], detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return source.problem(loc, f"unknown key{nearest(str(loc[-1]), _keys_at(model, loc[:-1]))}", at_key=True)
    if detail["type"] == "missing":
        return source.problem(loc[:-1], f"required key '{loc[-1]}' is missing", at_key=True)
    if detail["type"] in ("model_type", "dict_type", "model_attributes_type"):
        message = "expected keys and values here" + ("; the file is empty" if source.data is None else "")
    return source.problem(loc, message)


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """'; did you mean ...?' or the list of what is known, to be put behind a message."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; known are: {', '.join(known)}" if known else ""


def _repeated_keys(node):
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key
                seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)


def _keys_at(model, loc) -> set[str]:
    """The keys that the models at `loc` below `model` accept."""
    models = [model]
    for part in loc:
        deeper = [inner for outer in models for inner in _step(outer, part)]
        models = deeper or models
    return {info.alias or name for found in models for name, info in getattr(found, "model_fields", {}).items()}


def _step(model, part):
    fields = getattr(model, "model_fields", {})
    for name, info in fields.items():
        if part in (name, info.alias):
            return _unwrap(info.annotation)
    return [] if fields else [inner for argument in typing.get_args(model) for inner in _unwrap(argument)]


def _unwrap(annotation) -> list:
    """The models and containers inside unions and Annotated types."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (dict, list):
        return [annotation]
    return [inner for argument in arguments for inner in _unwrap(argument)]
