"""Whether two selectors meet: against brute force over all objects of a small world, and case by case."""

from contextlib import contextmanager
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poolside import Pool

import maestro
from maestro.launch.overlap import selection

PARAMS, STEPS, LEVELS = ("t", "u"), (0, 6, 12), (None, 500.0, 850.0)
CLAUSES = st.sampled_from([
    "param = t", "param != t", "param in (t, u)", "param in (u, z)", "param like 't*'", "param = z", "has(param)",
    "step = 6", "step <= 6", "step > 6", "step in 0/to/12/by/6", "step in 6/to/24/by/12", "step > 0 and step < 6", "step in (0, 12)",
    "levelist = 500", "levelist != 500", "levelist >= 600", "has(levelist)", "levelist in (500, 850)", "levtype = pl",
])  # fmt: skip
LISTS = "schema: lists\nversion: 1\nattributes: {levels: {type: i64, array: true}, words: {type: string, array: true}}\n"
LIST_CLAUSES = st.sampled_from([
    "levels = 3", "levels = 7", "levels != 3", "levels > 5", "levels < 5", "levels in 3/to/9/by/6", "levels not in (3, 7)", "has(levels)",
    "words = t", "words = u", "words != t", "words like 't*'", "words in (u, z)", "has(words)",
])  # fmt: skip


def selectors(clauses):
    return st.recursive(
        clauses,
        lambda inner: st.one_of(
            inner.map(lambda one: f"not ({one})"),
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda it: "({}) {} ({})".format(*it)),
        ),
        max_leaves=6,
    )


SELECTORS = selectors(CLAUSES)


@contextmanager
def world_of(schema, objects):
    """A session in a pool with these objects."""
    with pytest.MonkeyPatch.context() as patch:
        pool = Pool(patch)
        with maestro.Session(schema=schema, timeout=20) as session:
            for values in objects:
                session.cdo(values).offer()
            session.flush()
            yield session
        pool.finish()


@pytest.fixture(scope="module")
def world():
    """One object for each combination of values."""
    objects = product(PARAMS, STEPS, LEVELS)
    with world_of("mars", ({"param": param, "step": step, "levelist": level} for param, step, level in objects)) as session:
        yield session


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """A schema's file."""
    path = tmp_path_factory.mktemp("schema") / "lists.yaml"
    path.write_text(LISTS)
    return str(path)


@pytest.fixture(scope="module")
def world_of_lists(lists):
    """Each combination of lists of one and of two values, empty ones, and none."""
    levels, words = ([None, [], *map(list, combinations(values, 1)), *map(list, combinations(values, 2))] for values in ((3, 7, 9), "tu"))
    with world_of(lists, ({"levels": some, "words": others} for some, others in product(levels, words))) as session:
        yield session


@settings(max_examples=300, deadline=None)
@given(SELECTORS, SELECTORS)
def test_what_has_an_object_in_common_meets(world, one, other):
    if world.count(f"({one}) and ({other})"):
        assert selection(one, "mars").meets(selection(other, "mars"))


@settings(max_examples=300, deadline=None)
@given(selectors(LIST_CLAUSES), selectors(LIST_CLAUSES))
def test_lists_that_have_an_object_in_common_meet(world_of_lists, lists, one, other):
    if world_of_lists.count(f"({one}) and ({other})"):
        assert selection(one, lists).meets(selection(other, lists))


def test_of_lists_only_absence_excludes(lists):
    offers, users = selection("words in (t, u) and levels = 3", lists), [selection("words = u and levels > 5", lists)]
    assert offers.meets(users[0])
    assert offers.unused(users) == {}
    assert not selection("not has(words)", lists).meets(users[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("param = t", "param = u"),
        ("param in (t, u)", "param in (q, w)"),
        ("param = t and step = 6", "param = t and step > 6"),
        ("step in 0/to/24/by/6", "step in 3/to/24/by/6"),
        ("step <= 6", "step > 6"),
        ("step < 6", "step >= 6"),
        ("not has(levelist)", "levelist = 500"),
        ("param like 't*'", "param = u"),
        ("param = t or param = u", "not (param in (t, u))"),
        ("param = t or step = 6", "param = u and step = 12"),
        ("param != t", "param = t"),
        ("levtype = sfc", "levtype = pl and param = t"),
    ],
)
def test_what_both_fix_differently_does_not_meet(one, other):
    assert not selection(one, "mars").meets(selection(other, "mars"))
    assert not selection(other, "mars").meets(selection(one, "mars"))


@pytest.mark.parametrize(
    ("one", "other"),
    [("param = t", "step = 6"), ("", "param = t"), ("param like 't*'", "param like '*u'"), ("not (step > 6)", "step = 12")],
)
def test_what_is_not_decided_meets(one, other):
    assert selection(one, "mars").meets(selection(other, "mars"))


def test_selectors_of_different_schemas_do_not_meet_but_core_ones_meet_all():
    core = selection("maestro.collection = hydro", None)
    assert core.meets(selection("param = t", "mars"))
    other = selection("maestro.name = a", "core")
    assert other.meets(core)
    assert not selection("maestro.collection = wind", None).meets(core)


def test_listed_values_that_no_user_selects_are_named():
    offers = selection("param in (t, u, q) and step in 0/to/24/by/6 and stream = enfo", "mars")
    users = [selection("param = t and step <= 12", "mars"), selection("param = u and step = 24 and stream = enfo", "mars")]
    assert offers.unused(users) == {"param": ["q"], "step": [18]}


def test_a_selector_of_very_many_boxes_is_taken_to_meet():
    many = " and ".join(f"(step = {n} or levelist = {n})" for n in range(30))
    assert selection(many, "mars").meets(selection("step = 999", "mars"))
