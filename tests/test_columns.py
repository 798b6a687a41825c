"""Many objects in one call, and many events' attributes in one: columns."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
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
