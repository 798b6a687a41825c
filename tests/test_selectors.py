"""Selectors as dictionaries: their translation, that values never become syntax, and that both forms select the same."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poolside import Pool, raises

import maestro
from maestro.selectors import selector_text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, ""),
        ("", ""),
        ({}, ""),
        ("step = 6", "step = 6"),
        ({"param": "t", "step": 6}, "param = 't' and step = 6"),
        ({"param": ["t", "u"]}, "param in ('t', 'u')"),
        ({"param": ("t",), "step": {6}}, "param in ('t') and step in (6)"),
        ({"step": range(0, 25, 6)}, "step in 0/to/24/by/6"),
        ({"step": range(0, 24, 6)}, "step in 0/to/18/by/6"),
        ({"step": range(24, -1, -6)}, "step in 24/to/0/by/6"),
        ({"step": range(7, 8)}, "step in 7/to/7/by/1"),
        ({"levelist": 0.5, "number": np.int32(3)}, "levelist = 0.5 and number = 3"),
        ({"step": np.array([1, 2])}, "step in (1, 2)"),
        ({"levelist": None, "number": ...}, "not has(levelist) and has(number)"),
        ({"maestro.name": "it's a \\ 'name'"}, r"maestro.name = 'it\'s a \\ \'name\''"),
        ({"maestro.time": datetime(2026, 11, 24, 6, tzinfo=timezone(timedelta(hours=2)))}, "maestro.time = '2026-11-24T04:00:00'"),
        ({"maestro.time": datetime(2026, 11, 24, 6, 0, 0, 5)}, "maestro.time = '2026-11-24T06:00:00.000005'"),
        ({"maestro.time": date(2026, 11, 24)}, "maestro.time = '2026-11-24'"),
        ({"maestro.time": np.array(["2026-11-24"], "M8[D]")}, "maestro.time in ('2026-11-24T00:00:00')"),
        ({"flag": True, "other": np.bool_(False)}, "flag = true and other = false"),
    ],
)
def test_dictionary_becomes_text(given, text):
    assert selector_text(given) == text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"step": []}, ["step", "empty list"]),
        ({"step": range(0)}, ["step", "empty range"]),
        ({"step": float("nan")}, ["step", "nan"]),
        ({"step": [1, None]}, ["step", "None"]),
        ({"step": {"a": 1}}, ["step"]),
        ({"step": b"6"}, ["step", "b'6'"]),
        ({"step": object()}, ["step", "object"]),
        ({"step = 6 or param": 6}, ["step = 6 or param", "attribute name"]),
        ({"": 6}, ["attribute name"]),
        ({6: 6}, ["6"]),
    ],
)
def test_what_cannot_be_compared_is_refused(given, words):
    with raises(maestro.SelectorError, *words):
        selector_text(given)


@pytest.mark.parametrize("given", [6, b"step = 6", ["step"], 1.5])
def test_other_types_are_type_errors(given):
    with pytest.raises(TypeError, match=r"a text, a dictionary or None"):
        selector_text(given)


def test_check_selector_needs_no_pool():
    maestro.check_selector({"param": "t", "step": range(0, 25, 6)}, schema="mars")
    maestro.check_selector(None)
    maestro.check_selector("maestro.rank = 3")
    with raises(KeyError, "param", "core"):
        maestro.check_selector("param = t")
    with raises(maestro.SchemaError, "marz", "mars"):
        maestro.check_selector("param = t", schema="marz")


# ---- Against brute force
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8) | st.sampled_from(
    [
        "t",
        "u",
        "T",
        "and",
        "or",
        "in",
        "to",
        "by",
        "has",
        "not",
        "true",
        "*",
        "all",
        "1",
        "0/to/5",
        "a,b",
        "'",
        '"',
        "\\",
        "x' or step = 1 or 'x",
    ]
)
STEPS = st.integers(-5, 30)
LEVELS = st.floats(-2, 2).map(lambda x: round(x, 2)) | st.sampled_from([500.0, 0.1 + 0.2, 1e300])
OBJECTS = st.fixed_dictionaries({"param": WORDS, "step": STEPS}, optional={"levelist": LEVELS, "maestro.name": WORDS})


def wish(values):
    return values | st.lists(values, min_size=1, max_size=4) | st.sampled_from([None, ...])


RANGES = st.builds(range, STEPS, STEPS, st.integers(1, 6) | st.integers(-6, -1)).filter(bool)
SELECTORS = st.fixed_dictionaries(
    {}, optional={"param": wish(WORDS), "step": wish(STEPS) | RANGES, "levelist": wish(LEVELS), "maestro.name": wish(WORDS)}
)


def identity(attributes):
    return attributes["param"], attributes["step"], attributes.get("levelist")


def satisfies(attributes, selector):
    def one(key, value):
        if value is None or value is ...:
            return (key in attributes) is (value is ...)
        wanted = value if isinstance(value, (list, range)) else [value]
        return key in attributes and attributes[key] in wanted

    return all(one(key, value) for key, value in selector.items())


@pytest.fixture(scope="module")
def one_pool():
    with pytest.MonkeyPatch.context() as patch:
        pool = Pool(patch)
        yield pool.session()
        pool.finish()


@settings(max_examples=60, deadline=None)
@given(
    objects=st.lists(OBJECTS, max_size=12, unique_by=lambda o: (o["param"], o["step"], o.get("levelist"))),
    selectors=st.lists(SELECTORS, min_size=4),
)
def test_dictionaries_select_what_python_would(one_pool, objects, selectors):
    session = one_pool
    try:
        ids = {session.offer(None, attributes).id: attributes for attributes in objects}
        session.flush()
        for selector in selectors:
            wanted = {number for number, attributes in ids.items() if satisfies(attributes, selector)}
            assert {cdo.id for cdo in session.query(selector)} == wanted
            assert session.count(selector) == len(wanted)
    finally:
        session.withdraw(None)


def test_moments_are_found_in_any_zone(one_pool):
    moment = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
    with one_pool.offer(None, {"maestro.time": moment}, param="t", step=0):
        for same in (
            moment.astimezone(timezone(timedelta(hours=-7))),
            moment.replace(tzinfo=None),
            np.datetime64("2026-11-24T06:30"),
            [moment],
        ):
            assert one_pool.count({"maestro.time": same}) == 1
        assert one_pool.count({"maestro.time": moment + timedelta(microseconds=1)}) == 0
        assert one_pool.count("maestro.time >= '2026-11-24T06:30:00Z' and maestro.time < '2026-11-25'") == 1
    one_pool.withdraw(None)


def test_a_selectors_parts_are_known_in_the_schemas_form(tmp_path):
    from maestro._core import selector_tree

    assert selector_tree("mars", "") == {"schema": "mars", "core_only": True, "tree": {"op": "true"}}
    found = selector_tree(
        "mars", "expver = 1 and step > 6 and step in 0/to/24/by/6 and not (levelist != 500 or param like 'a\"*' or has(number))"
    )
    assert found["core_only"] is False
    expver, above, strided, negated = found["tree"]["of"]
    assert expver == {"op": "in", "key": "expver", "values": ["0001"]}
    assert above == {"op": "range", "key": "step", "low": 6, "open_low": True}
    assert strided == {"op": "range", "key": "step", "low": 0, "high": 24, "step": 6}
    assert [part["op"] for part in negated["of"][0]["of"]] == ["ne", "like", "has"]
    assert negated["of"][0]["of"][1]["pattern"] == 'a"*'
    (tmp_path / "lists.yaml").write_text("schema: lists\nversion: 1\nattributes: {words: {type: string, array: true}}\n")
    leaf = selector_tree(str(tmp_path / "lists.yaml"), "words = t")["tree"]
    assert leaf == {"op": "in", "key": "words", "array": True, "values": ["t"]}
    with raises(maestro.SelectorError, "character 9"):
        selector_tree("mars", "step == = 6")
