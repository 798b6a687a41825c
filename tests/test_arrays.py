"""Attributes with several values: set and read back in every kind, refused where they do not fit, selected as by brute force."""

import json
import operator
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poolside import Pool, raises, within

import maestro

SCHEMA = """
schema: plasma
attributes:
  label:   {type: string, identity: true}
  levels:  {type: i64, array: true}
  weights: {type: f64, array: true}
  species: {type: string, array: true, fold: true, aliases: {h: hydrogen}}
  flags:   {type: bool, array: true}
  moments: {type: timestamp, array: true}
  number:  {type: i64}
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    path = tmp_path_factory.mktemp("schemas") / "plasma.yaml"
    path.write_text(SCHEMA)
    return str(path)


@pytest.fixture(scope="module")
def session(schema):
    with pytest.MonkeyPatch.context() as patch:
        pool = Pool(patch)
        yield pool.session("producer", schema=schema)
        pool.finish()


# ---- Setting and reading
@pytest.mark.parametrize(
    ("key", "given", "comes"),
    [
        ("levels", [1, -2, 3], np.array([1, -2, 3], "i8")),
        ("levels", (2**63 - 1, -(2**63)), np.array([2**63 - 1, -(2**63)], "i8")),
        ("levels", range(3), np.array([0, 1, 2], "i8")),
        ("levels", np.array([1, 2], ">u2"), np.array([1, 2], "i8")),
        ("levels", np.arange(20)[::5], np.array([0, 5, 10, 15], "i8")),
        ("levels", [], np.array([], "i8")),
        ("weights", [0.5, -np.inf], np.array([0.5, -np.inf])),
        ("weights", [1, 2], np.array([1.0, 2.0])),
        ("weights", np.array([0.1], "f4"), np.array([0.1], "f4").astype("f8")),
        ("flags", [True, False, True], np.array([True, False, True])),
        ("flags", np.zeros(3, bool), np.zeros(3, bool)),
        ("species", ["H", "deuterium", ""], ("hydrogen", "deuterium", "")),
        ("species", np.array(["a", "ä"]), ("a", "ä")),
        ("species", [], ()),
        ("moments", [datetime(2026, 11, 24, 6, tzinfo=UTC)], np.array(["2026-11-24T06"], "M8[ns]")),
        ("moments", np.array(["2026-11-24", "1970-01-01"], "M8[D]"), np.array(["2026-11-24", "1970-01-01"], "M8[ns]")),
    ],
)
def test_what_is_set_is_read_back_by_all(session, key, given, comes):
    with session.cdo(label="it", **{key: given}) as cdo:
        same(cdo[key], comes)
        cdo.offer()
        same(cdo[key], comes)
        with session.demand("label = it") as read:
            same(read[key], comes)
            same(read.attributes[key], comes)
        cdo.withdraw()


def same(value, comes):
    assert type(value) is type(comes)
    if isinstance(comes, np.ndarray):
        assert value.dtype == comes.dtype
        assert not value.flags.writeable
        np.testing.assert_array_equal(value, comes)
    else:
        assert value == comes


@pytest.mark.parametrize(
    ("key", "given", "words"),
    [
        ("levels", 3, ["levels", "type i64 was given", "i64 array"]),
        ("number", [3], ["number", "type i64 array was given", "says i64"]),
        ("levels", [0.5], ["levels", "f64 array", "i64 array"]),
        ("levels", ["a"], ["levels", "string array"]),
        ("species", ["a", 3], ["species", "value 1 is 3"]),
        ("levels", [[1, 2]], ["levels", "one dimension"]),
        ("levels", [None, 1], ["levels", "object"]),
        ("levels", np.zeros(2, "c16"), ["levels", "complex128"]),
    ],
)
def test_wrong_types_are_refused_by_name(session, key, given, words):
    with session.cdo(label="it") as cdo, raises(maestro.AttributeTypeError, *words):
        cdo[key] = given


@pytest.mark.parametrize(
    ("key", "given", "words"),
    [
        ("levels", np.array([2**63], "u8"), ["levels", "64 bits"]),
        ("weights", [0.0, float("nan")], ["weights", "value 1", "NaN"]),
        ("species", ["a\0b"], ["species", "NUL"]),
        ("moments", np.array(["NaT"], "M8[s]"), ["moments", "NaT"]),
    ],
)
def test_wrong_values_are_refused_by_name(session, key, given, words):
    with session.cdo(label="it") as cdo, raises(ValueError, *words):
        cdo[key] = given


def test_arrays_have_limits_that_are_told(session):
    with session.cdo(label="it") as cdo:
        with raises(maestro.TooLargeError, "levels", "put large"):
            cdo["levels"] = np.zeros(61440 // 8 + 1, "i8")
        cdo["levels"] = np.arange(61440 // 8 - 1)
        with raises(maestro.TooLargeError, "weights", "in sum"):
            cdo["weights"] = [1.0, 2.0]
        cdo["levels"] = [1]
        cdo["weights"] = np.ones(7000)
        cdo.offer()
        cdo.withdraw()


def test_texts_and_arrays_that_only_just_fit_are_offered_or_refused_with_a_reason(session):
    """Between texts of odd lengths arrays begin at multiples of 8: the gaps count."""
    for spare in range(24):
        with session.cdo(label="n" * 7) as cdo:
            cdo["species"] = ["s" * 12]
            try:
                cdo["weights"] = np.ones((61440 - spare) // 8 - 2)
                cdo.offer()
            except maestro.TooLargeError:
                continue
            cdo.withdraw(timeout=5)
    assert session.count() == 0


def test_columns_are_of_single_values_and_come_with_arrays(session):
    with raises(maestro.AttributeTypeError, "levels", "i64 array"):
        session.offer_many(label=["a", "b"], levels=[1, 2])
    with session.subscribe() as subscription:
        for levels in ([1], [2, 3]):
            session.offer(None, label=str(levels), levels=levels, number=len(levels))
        came = [subscription.next_columns(10, ["levels", "number"], timeout=1) for _ in range(2)]
    levels = [one.tolist() for columns in came for one in columns["levels"]]
    assert levels == [[1], [2, 3]]
    assert [columns["number"].dtype for columns in came] == [np.dtype("i8")] * len(came)
    session.withdraw(None)


@pytest.mark.parametrize("what", ["identity", "common"])
def test_schema_refuses_arrays_as(session, tmp_path, what):
    path = tmp_path / "bad.yaml"
    path.write_text(f"schema: bad\nattributes:\n  a: {{type: string, array: true, {what}: true}}\n")
    with raises(maestro.SchemaError, "bad.yaml:3:", "a is an array", what):
        maestro.check_selector("", schema=str(path))


def test_schema_tells_of_arrays(session):
    (levels,) = [a for a in session.schema["attributes"] if a["name"] == "levels"]
    assert (levels["type"], levels["array"]) == ("i64", True)


def test_messages_and_the_command_line_show_arrays(session):
    with session.cdo(label="it", levels=range(20), species=["a", "b"], moments=[datetime(2026, 11, 24)]) as cdo:
        cdo.offer(wait=True)
        assert "levels=[0, 1, 2, 3, 4, 5, 6, 7, ... (20 values)]" in repr(cdo)
        assert "species=[a, b]" in repr(cdo)
        for command in ("ls", "query"):
            run = [sys.executable, "-m", "maestro.cli", command]
            assert "species" in subprocess.run(run, check=True, capture_output=True, text=True).stdout
            said = json.loads(subprocess.run([*run, "--json"], check=True, capture_output=True, text=True).stdout)
            attributes = said["objects"][0]["attributes"] if command == "query" else said["attributes"]
            values = attributes if command == "query" else {key: counts[0]["value"] for key, counts in attributes.items()}
            assert values["levels"] == list(range(20))
            assert values["species"] == ["a", "b"]
            assert values["moments"] == ["2026-11-24T00:00:00.000000000"]
        cdo.withdraw()


# ---- Selecting
LEVELS = st.integers(-3, 6) | st.sampled_from([2**63 - 1, -(2**63)])
WEIGHTS = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 1.0, 2.0, 1e300])
SPECIES = st.sampled_from(["", "a", "b", "ab", "ba", "x y", "ä"])
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "levels": st.lists(LEVELS, max_size=4),
        "weights": st.lists(WEIGHTS | st.just(float("inf")), max_size=4),
        "species": st.lists(SPECIES, max_size=3),
        "flags": st.lists(st.booleans(), max_size=3),
        "number": LEVELS,
    },
)
ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "!=": operator.ne, "=": operator.eq}


def quoted(value):
    return f"'{value}'" if isinstance(value, str) else str(value).lower()


def some(key, condition):
    """Holds of an object where one of the attribute's values meets the condition."""

    def holds(attributes):
        values = attributes.get(key, [])
        return any(condition(value) for value in (values if isinstance(values, list) else [values]))

    return holds


def comparison(key, sign, value):
    return f"{key} {sign} {quoted(value)}", some(key, lambda x: ORDERS[sign](x, value))


def listed(key, values, word):
    text = f"{key} {word} ({', '.join(map(quoted, values))})"
    within_list = some(key, lambda x: x in values)
    return (text, within_list) if word == "in" else (text, lambda attributes: key in attributes and not within_list(attributes))


def stepped(first, last, by):
    return f"levels in {first}/to/{last}/by/{by}", some("levels", lambda x: first <= x <= last and (x - first) % by == 0)


NUMBERS = st.tuples(st.just("levels") | st.just("number"), LEVELS) | st.tuples(st.just("weights"), WEIGHTS)
VALUES = NUMBERS | st.tuples(st.just("species"), SPECIES) | st.tuples(st.just("flags"), st.booleans())
LISTS = st.tuples(st.just("levels"), st.lists(LEVELS, min_size=1, max_size=4)) | st.tuples(
    st.just("species"), st.lists(SPECIES, min_size=1, max_size=3)
)
PRESENCES = [(f"has({key})", lambda attributes, key=key: key in attributes) for key in ("levels", "weights", "species", "flags")]
PATTERNS = [
    ("species like 'a*'", some("species", lambda x: x.startswith("a"))),
    ("species like '*'", some("species", lambda x: True)),
]
LEAVES = (
    st.builds(lambda pair, sign: comparison(pair[0], sign, pair[1]), NUMBERS, st.sampled_from(list(ORDERS)))
    | st.builds(lambda pair, sign: comparison(pair[0], sign, pair[1]), VALUES, st.sampled_from(["=", "!="]))
    | st.builds(lambda pair, word: listed(pair[0], pair[1], word), LISTS, st.sampled_from(["in", "not in"]))
    | st.builds(stepped, st.integers(-3, 2), st.integers(3, 6), st.integers(1, 3))
    | st.sampled_from(PRESENCES + PATTERNS)
)


def both(a, b):
    return f"({a[0]} and {b[0]})", lambda attributes: a[1](attributes) and b[1](attributes)


def either(a, b):
    return f"({a[0]} or {b[0]})", lambda attributes: a[1](attributes) or b[1](attributes)


def other(a):
    return f"not ({a[0]})", lambda attributes: not a[1](attributes)


def combined(inner):
    return st.builds(both, inner, inner) | st.builds(either, inner, inner) | st.builds(other, inner)


SELECTORS = st.recursive(LEAVES, combined, max_leaves=4)


@settings(max_examples=80, deadline=None)
@given(objects=st.lists(OBJECTS, min_size=1, max_size=12), selectors=st.lists(SELECTORS, min_size=4, max_size=10))
def test_selectors_over_arrays_select_what_brute_force_does(session, objects, selectors):
    """The index by queries, and the matcher by subscriptions that were there before."""
    watches = [session.subscribe(text, start="now") for text, _ in selectors]
    ids = {session.offer(None, attributes, label=str(i)).id: attributes for i, attributes in enumerate(objects)}
    try:
        session.flush()
        for watch, (text, holds) in zip(watches, selectors, strict=True):
            wanted = {number for number, attributes in ids.items() if holds(attributes)}
            assert {cdo.id for cdo in session.query(text)} == wanted, text
            assert {cdo.id for cdo in taken(watch)} == wanted, text
    finally:
        for watch in watches:
            watch.dispose()
        session.withdraw(None)


def taken(watch):
    while (cdo := watch.next(timeout=0)) is not None:
        yield cdo


def test_errors_of_selectors_over_arrays_point_at_the_character(session, schema):
    for text, words in (
        ("levels = a", ["levels", "whole number"]),
        ("species < a", ["species", "no order"]),
        ("flags like x", ["flags", "patterns are for strings"]),
    ):
        with raises(maestro.MaestroError, "character", *words):
            maestro.check_selector(text, schema=schema)


def test_dictionaries_select_arrays_by_any_of_their_values(session):
    with session.cdo(label="it", levels=[1, 5]) as cdo:
        cdo.offer(wait=True)
        assert [session.count({"levels": wanted}) for wanted in (5, [7, 1], range(2, 5), ..., None)] == [1, 1, 0, 1, 0]
        cdo.withdraw()
    within(2, lambda: session.count() == 0)
