"""Errors of files that people write: position, path, nearest key."""

import pydantic
import pytest

from maestro import yamlfile


class Inner(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    size: int
    unit: str = "B"


class Outer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str
    parts: dict[str, Inner] = {}
    sizes: list[int] = []
    either: Inner | str = ""


def problems(text):
    with pytest.raises(yamlfile.FileError) as error:
        yamlfile.validate(yamlfile.Source(text, "f.yaml"), Outer)
    return error.value.problems


def test_a_right_file_gives_the_model():
    found = yamlfile.validate(yamlfile.Source("name: n\nparts: {a: {size: 3}}\neither: {size: 1}", "f"), Outer)
    assert found == Outer(name="n", parts={"a": Inner(size=3)}, either=Inner(size=1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: n\nparts:\n  a: {sise: 3, size: 1}", "f.yaml:3:7: parts.a.sise: unknown key; did you mean 'size'?"),
        ("nmae: n\nname: x", "f.yaml:1:1: nmae: unknown key; did you mean 'name'?"),
        ("name: n\nzzzzzzzz: 1", "f.yaml:2:1: zzzzzzzz: unknown key; known are: either, name, parts, sizes"),
        ("name: n\nparts:\n  a:\n    unit: B", "f.yaml:3:3: parts.a: required key 'size' is missing"),
        ("name: n\nsizes: [1, 2, x]", "f.yaml:2:15: sizes.2: Input should be a valid integer"),
        ("name: n\nparts: {a: 3}", "f.yaml:2:12: parts.a: expected keys and values here"),
        ("name: n\nname: m", "f.yaml:2:1: key 'name' stands here a second time"),
        ("name: n\nparts: {a: {size: 1}", "f.yaml:2:21: expected ',' or '}'"),
        ("name: 'n", "f.yaml:1:9: found unexpected end of stream"),
        ("", "f.yaml:1:1: expected keys and values here; the file is empty"),
        ("- 1", "f.yaml:1:1: expected keys and values here"),
        ("name: a\x07", "f.yaml:1:1: unacceptable character"),
    ],
)
def test_a_mistake_is_named_with_its_place(text, expected):
    assert problems(text)[0].startswith(expected)


def test_the_line_is_shown_with_a_caret_below_the_mistake():
    assert problems("name: n\nsizes: [1, x]")[0].splitlines()[1:] == ["    sizes: [1, x]", "               ^"]


def test_all_mistakes_are_told_at_once():
    assert len(problems("parts: {a: {size: x}, b: {}}\nsizes: 3")) == 4


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(yamlfile.FileError, match=r"none.yaml: cannot be read: No such file"):
        yamlfile.read(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe4")
    with pytest.raises(yamlfile.FileError, match=r"latin.yaml: byte 6 is no UTF-8 text"):
        yamlfile.read(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [("0600", "0600"), ("0012", "0012"), ("12:00", "12:00"), ("2026-11-24", "2026-11-24"), ("0o17", "0o17"), ("1_000", "1_000"),
     ("0", 0), ("-6", -6), ("240", 240), ("0.25", 0.25), (".5", 0.5), ("1e3", 1000.0), ("6.0", 6.0), ("true", True), ("null", None)],
)  # fmt: skip
def test_numbers_are_what_they_look_like(text, value):
    found = yamlfile.load(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)
