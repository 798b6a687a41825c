"""Many objects in one call, and many events' attributes in one: columns."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from poolside import raises, within

import maestro


@pytest.fixture
def session(pool):
    return pool.session()


# ---- To the pool
@pytest.mark.parametrize(
    "steps", [[0, 6, 12], (0, 6, 12), np.array([0, 6, 12]), np.array([0, 6, 12], "u1"), range(0, 13, 6), np.arange(6)[::2] * 3]
)
def test_column_may_be_any_sequence(session, steps):
    assert session.offer_many(param="t", step=steps) == 3
    assert sorted(cdo["step"] for cdo in session.query("param = t")) == [0, 6, 12]


def test_every_type_travels(session):
    moments = [datetime(2026, 1, 1, hour, 0, 0, 7, tzinfo=timezone(timedelta(hours=1))) for hour in range(3)]
    session.offer_many(
        None,
        {"maestro.time": moments, "maestro.checksum": np.array([1, 2, 2**63 - 1]), "maestro.name": np.array(["a", "ä", ""])},
        param=["t", "u", "v"], step=0, levelist=[0.5, 1, 2.25],
    )  # fmt: skip
    got = {cdo["param"]: cdo for cdo in session.query()}
    assert [got[param]["maestro.time"] for param in "tuv"] == [moment.astimezone(UTC) for moment in moments]
    assert [got[param]["maestro.checksum"] for param in "tuv"] == [1, 2, 2**63 - 1]
    assert [got[param]["maestro.name"] for param in "tuv"] == ["a", "ä", ""]
    assert [got[param]["levelist"] for param in "tuv"] == [0.5, 1, 2.25]


def test_none_is_absent_for_all(session):
    session.offer_many(param="t", step=[0, 6], levelist=None)
    assert session.count("has(levelist)") == 0


def test_times_of_numpy_travel(session):
    session.offer_many(None, {"maestro.time": np.array(["2026-11-24", "2026-11-25"], "M8[D]")}, param="t", step=[0, 1])
    assert session.demand("step = 1")["maestro.time"] == datetime(2026, 11, 25, tzinfo=UTC)
    session.offer_many(None, {"maestro.time": np.datetime64("2026-11-26")}, param="u", step=[0, 1])
    assert session.count({"maestro.time": np.datetime64("2026-11-26")}) == 2


PAYLOADS = [
    np.arange(12.0).reshape(3, 4),
    np.arange(24, dtype="i2").reshape(3, 4, 2).transpose(0, 2, 1),
    np.arange(24.0).reshape(6, 4)[::2],
    [np.arange(4.0), np.arange(9, dtype="i4").reshape(3, 3), np.zeros((2, 0))],
    [np.asfortranarray(np.arange(4.0).reshape(2, 2)) + n for n in range(3)],
    [np.asfortranarray(np.arange(4.0).reshape(2, 2)), np.arange(4.0).reshape(2, 2), np.arange(10)[::3]],
    [b"one", b"", b"three"],
    [bytearray(b"one"), memoryview(b"two"), b"three"],
]


@pytest.mark.parametrize("payloads", PAYLOADS, ids=range(len(PAYLOADS)))
def test_payloads_come_back(session, payloads):
    assert session.offer_many(payloads, param="t", step=[0, 1, 2]) == 3
    for number, payload in enumerate(payloads):
        got = session.demand(f"step = {number}")
        if isinstance(payload, np.ndarray):
            assert (got.array().dtype, got.array().shape) == (payload.dtype, payload.shape)
            np.testing.assert_array_equal(got.array(), payload)
        else:
            assert bytes(got) == bytes(payload)


def test_large_payloads_are_copied_once_each(session):
    session.offer_many(np.ones((8, 1 << 20)), param="t", step=range(8))
    session.flush()
    assert session.stats()["objects"]["copied_total"] == 8
    assert session.demand("step = 7").array().sum() == 1 << 20


def test_no_objects_are_no_error(session):
    assert session.offer_many(param="t", step=[]) == 0
    assert session.offer_many(np.zeros((0, 3)), param="t", step=[]) == 0
    assert session.offer_many([], param="t") == 0


@pytest.mark.parametrize(
    ("payloads", "columns", "kind", "words"),
    [
        (None, {"param": "t"}, ValueError, ["how many"]),
        (None, {}, ValueError, ["how many"]),
        (None, {"param": ["t", "u"], "step": [1, 2, 3]}, maestro.ArgumentError, ["'param' has 2", "'step' has 3"]),
        ([b"x"], {"param": "t", "step": [1, 2]}, maestro.ArgumentError, ["payloads has 1"]),
        ([b"x", np.zeros(2)], {"param": "t", "step": [1, 2]}, maestro.ArgumentError, ["arrays in part"]),
        (np.array(3.0), {"param": "t", "step": [1]}, ValueError, []),
        (None, {"param": "t", "step": [1, "2"]}, TypeError, ["step", "int and str"]),
        (None, {"param": ["t", 1], "step": 0}, TypeError, ["param", "value 1"]),
        (None, {"param": "t", "step": [1, None]}, TypeError, ["step", "NoneType"]),
        (None, {"param": "t", "step": [1, True]}, TypeError, ["step", "bool"]),
        (None, {"param": "t", "step": [2**64, 1]}, maestro.MaestroError, ["step"]),
        (None, {"param": "t", "step": np.array([2**63], "u8")}, ValueError, ["step", "64 bits"]),
        (None, {"param": "t", "step": [[1, 2], [3, 4]]}, maestro.ArgumentError, ["step", "2 dimensions"]),
        (None, {"param": "t", "step": [0.5, 1]}, maestro.AttributeTypeError, ["step"]),
        (None, {"parm": "t", "step": [0, 1]}, maestro.AttributeKeyError, ["parm", "param"]),
        (None, {"step": [0, 1]}, maestro.MissingAttributeError, ["param"]),
        (None, {"param": "t", "step": [0, 1], "class": ["od", "xx"]}, maestro.AttributeValueError, ["class", "xx", "1"]),
        ([np.array([object()])], {"param": "t", "step": [0]}, TypeError, ["dtype"]),
        (None, {"param": "a\0b", "step": [0]}, ValueError, ["param", "NUL"]),
    ],
)
def test_wrong_columns_are_named(session, payloads, columns, kind, words):
    with raises(kind, *words):
        session.offer_many(payloads, columns)


def test_error_says_how_many_were_offered(session):
    with raises(maestro.AttributeValueError, "2", "class") as caught:
        session.offer_many(param="t", step=[0, 1, 2, 3], **{"class": ["od", "od", "xx", "od"]})
    assert caught.value.offered == session.count("param = t") == 2


def test_refused_objects_are_told_by_flush(session):
    session.offer_many(param="t", step=[0, 1, 0, 1])
    with raises(maestro.DuplicateError, "2 offers"):
        session.flush()
    assert session.count() == 2


def test_error_in_a_later_portion_has_the_number_among_all(session):
    steps = np.arange(10_000)
    with raises(maestro.AttributeValueError, "object 9000 of 10000", "class") as caught:
        session.offer_many(param="t", step=steps, **{"class": ["od"] * 9000 + ["xx"] * 1000})
    assert caught.value.offered == session.count() == 9000


def test_more_than_the_ring_holds_travels(session):
    count = 50_000
    assert session.offer_many(param="t", step=np.arange(count)) == count
    session.flush()
    assert session.count() == count


# ---- From the pool
def test_columns_come_back_with_their_types(session):
    session.offer_many(None, {"maestro.checksum": [5, 6, 7]}, param=["t", "u", "v"], step=[0, 6, 12], levelist=[1, 2.5, 3])
    columns = session.subscribe().next_columns(10, ["param", "step", "levelist", "maestro.component"])
    assert list(columns) == ["param", "step", "levelist", "maestro.component"]
    assert (columns["step"].dtype, columns["levelist"].dtype, columns["param"].dtype) == (np.int64, np.float64, object)
    assert columns["param"].tolist() == ["t", "u", "v"]
    assert columns["step"].tolist() == [0, 6, 12]
    assert columns["levelist"].tolist() == [1, 2.5, 3]
    assert set(columns["maestro.component"]) == {"tester"}


def test_absent_is_nan_or_none(session):
    session.offer(None, param="t", step=0)
    session.offer(None, param="t", step=1, levelist=500, number=3)
    columns = session.subscribe().next_columns(2, ["levelist", "number", "date"])
    assert np.isnan(columns["levelist"][0])
    assert columns["levelist"][1] == 500
    assert columns["number"].tolist() == [None, 3]
    assert columns["date"].tolist() == [None, None]


def test_columns_keep_no_leases(session):
    session.offer_many([b"x"] * 500, param="t", step=range(500))
    subscription = session.subscribe()
    assert sum(len(subscription.next_columns(200, ["step"], timeout=0.2)["step"]) for _ in range(5)) == 500
    within(1, lambda: session.stats()["leases"]["live"] == 0)
    assert subscription.next_columns(10, ["step"], timeout=0)["step"].shape == (0,)


def test_unknown_column_is_named_with_the_nearest(session):
    with raises(maestro.AttributeKeyError, "stepp", "step"):
        session.subscribe().next_columns(10, ["stepp"])


def test_objects_and_columns_may_be_mixed(session):
    session.offer_many(param="t", step=range(10))
    subscription = session.subscribe()
    first = [cdo["step"] for cdo in subscription.next_many(3)]
    rest = subscription.next_columns(100, ["step"], timeout=0.2)["step"].tolist()
    assert first + rest == list(range(10))


def test_column_that_is_full_of_absent_values_goes_on(session):
    subscription = session.subscribe(start="now")
    session.offer_many(param="t", step=range(300))
    session.offer_many(param="t", step=range(300, 600), levelist=np.arange(300.0), number=7)
    session.flush()  # all are there
    columns = subscription.next_columns(1000, ["step", "levelist", "number"])
    assert columns["step"].tolist() == list(range(600))
    assert np.isnan(columns["levelist"][:300]).all()
    assert columns["levelist"][300:].tolist() == list(range(300))
    assert list(columns["number"]) == [None] * 300 + [7] * 300


# ---- Both ways, against a model: a list of dictionaries.
WHOLE = st.integers(-(2**63), 2**63 - 1)
REAL = st.floats(allow_nan=False)
MOMENT = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
TEXTS = {
    "param": st.sampled_from(["t", "u", "2t", "a text of its own"]),
    "maestro.name": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    "model": st.sampled_from(["ifs", "icon", "arpege"]),
}
OTHERS = {"levelist": REAL, "number": WHOLE, "maestro.checksum": WHOLE, "maestro.time": MOMENT, "frequency": WHOLE}
KEYS = ["param", "step", *OTHERS, "maestro.name", "model"]


@st.composite
def batches(draw):
    """What calls of offer_many get: columns and payloads; the step numbers all objects, so that all differ."""
    rows, calls = 0, []
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.sampled_from([1, 2, 7, 40, 300]))
        columns = {"step": list(range(rows, rows + count))}
        for key, values in (TEXTS | OTHERS).items():
            how = "same" if key == "param" and draw(st.booleans()) else draw(st.sampled_from(["absent", "same", "differs"]))
            few = draw(st.lists(values, min_size=1, max_size=5))
            if how != "absent" or key == "param":
                columns[key] = [few[i % len(few)] for i in range(count)] if how == "differs" else few[0]
        sizes = draw(st.none() | st.lists(st.integers(0, 3000), min_size=1, max_size=4))
        payloads = None if sizes is None else [bytes([i % 251]) * sizes[i % len(sizes)] for i in range(count)]
        calls.append((columns, payloads))
        rows += count
    return calls


def expected_of(calls):
    model = []
    for columns, payloads in calls:
        for i in range(len(columns["step"])):
            row = {key: values[i] if isinstance(values, list) else values for key, values in columns.items()}
            model.append((row, b"" if payloads is None else payloads[i]))
    return model


def same(key, came, row):
    """Whether a cell of a column is the row's value; absent is None, NaN among numbers, NaT among times."""
    if key not in row:
        return came is None or np.isnan(came) or np.isnat(came)
    if key == "maestro.time":
        return np.datetime64(row[key].replace(tzinfo=None), "ns") == np.datetime64(
            came.replace(tzinfo=None) if isinstance(came, datetime) else came
        )
    return came == row[key]


def check_columns(columns, rows):
    for key, cells in columns.items():
        assert len(cells) == len(rows)
        wrong = [
            (i, key, came, row.get(key)) for i, (came, (row, _)) in enumerate(zip(cells, rows, strict=True)) if not same(key, came, row)
        ]
        assert not wrong, wrong[:3]


def read_by_columns(subscription, data, model):
    done = 0
    while done < len(model):
        keys = data.draw(st.sampled_from([["step"], ["param", "step"], KEYS, KEYS[1:6]]))
        got = subscription.next_columns(data.draw(st.sampled_from([1, 3, 50, 257, 1000])), keys, timeout=1)
        assert len(got["step"])
        check_columns(got, model[done : done + len(got["step"])])
        done += len(got["step"])


def read_both_ways(subscription, model):
    done = 0
    while done < len(model):
        cdos = subscription.next_many(min(3, len(model) - done), timeout=1)
        check_objects(cdos, model[done : done + len(cdos)])
        done += len(cdos)
        if done < len(model):
            got = subscription.next_columns(5, ["step", "levelist"], timeout=1)
            check_columns(got, model[done : done + len(got["step"])])
            done += len(got["step"])


def check_objects(cdos, rows):
    for cdo, (row, payload) in zip(cdos, rows, strict=True):
        with cdo:
            assert bytes(cdo) == payload
            assert {key: cdo[key] for key in KEYS if key in cdo} == {key: row[key] for key in KEYS if key in row}


@given(calls=batches(), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_what_is_offered_by_columns_comes_by_columns_by_objects_and_by_query(pool, calls, data):
    model = expected_of(calls)
    with pool.session() as session, session.subscribe(start="now") as by_columns, session.subscribe(start="now") as by_objects:
        mixed = session.subscribe(start="now")
        try:
            for columns, payloads in calls:
                session.offer_many(payloads, columns)
            session.flush()
            read_by_columns(by_columns, data, model)
            check_objects((by_objects.next(timeout=1) for _ in model), model)
            read_both_ways(mixed, model)
            check_objects(session.query("step >= 0"), model)
        finally:  # nothing of it may meet the next example
            mixed.dispose()
            by_columns.dispose()
            by_objects.dispose()
            assert session.withdraw(None) == len(model)
