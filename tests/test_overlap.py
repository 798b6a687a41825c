"""Whether two selectors meet: against brute force over all objects of a small world, and case by case."""

from itertools import product

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
SELECTORS = st.recursive(
    CLAUSES,
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda it: "({}) {} ({})".format(*it)),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def world():
    """A session in a pool with one object for each combination of values."""
    with pytest.MonkeyPatch.context() as patch:
        pool = Pool(patch)
        with maestro.Session(schema="mars", timeout=20) as session:
            for param, step, level in product(PARAMS, STEPS, LEVELS):
                session.cdo(param=param, step=step, levelist=level).offer()
            session.flush()
            yield session
        pool.finish()


@settings(max_examples=300, deadline=None)
@given(SELECTORS, SELECTORS)
def test_what_has_an_object_in_common_meets(world, one, other):
    if world.count(f"({one}) and ({other})"):
        assert selection(one, "mars").meets(selection(other, "mars"))


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
