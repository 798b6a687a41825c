"""Objects: attributes, memory, offer, bytes as arrays, leases, withdrawal, disposal."""

import gc
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poolside import raises, within

import maestro

SCHEMA = """
schema: every
version: 1
attributes:
  truth: {type: bool}
  number: {type: i64}
  real: {type: f64}
  text: {type: string}
  word: {type: string, values: [red, green], fold: true, aliases: {rot: red}}
  moment: {type: timestamp}
  bytes: {type: blob}
  padded: {type: string, pad: 4}
duplicate: error
reach: node
"""


@pytest.fixture
def every(pool, tmp_path):
    """A session whose schema has every type."""
    (tmp_path / "every.yaml").write_text(SCHEMA)
    return pool.session(schema=tmp_path / "every.yaml")


@pytest.fixture
def session(pool):
    return pool.session()


def leases(session):
    return session.stats()["leases"]["live"]


# ---- Attributes
MOMENT = datetime(2026, 11, 24, 6, 30, 0, 123456, tzinfo=UTC)
VALUES = [
    ("truth", True, True),
    ("truth", np.bool_(False), False),
    ("number", -(2**63), -(2**63)),
    ("number", 2**63 - 1, 2**63 - 1),
    ("number", np.int32(7), 7),
    ("real", 0.1, 0.1),
    ("real", 3, 3.0),
    ("real", np.float32(0.5), 0.5),
    ("real", "0.25", 0.25),
    ("text", "", ""),
    ("text", "grüße ☂", "grüße ☂"),
    ("text", np.str_("numpy's"), "numpy's"),
    ("word", "RED", "red"),
    ("word", "rot", "red"),
    ("moment", MOMENT, MOMENT),
    ("moment", MOMENT.astimezone(timezone(timedelta(hours=5))), MOMENT),
    ("moment", MOMENT.replace(tzinfo=None), MOMENT),
    ("moment", date(2026, 11, 24), datetime(2026, 11, 24, tzinfo=UTC)),
    ("moment", np.datetime64("2026-11-24T06:30:00.123456"), MOMENT),
    ("moment", "2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
    ("bytes", b"\0\1\2", b"\0\1\2"),
    ("bytes", bytearray(b"xyz"), b"xyz"),
    ("bytes", memoryview(b"xyz")[1:], b"yz"),
    ("padded", 12, "0012"),
    ("padded", "7", "0007"),
]


@pytest.mark.parametrize(("key", "value", "read"), VALUES)
def test_attribute_comes_back_before_and_after_the_offer(every, key, value, read):
    cdo = every.cdo({key: value})
    assert cdo[key] == read
    assert type(cdo[key]) is type(read)
    cdo.offer()
    got = every.demand(f"has({key})")
    assert got[key] == read
    assert got.attributes[key] == read


@pytest.mark.parametrize(
    ("key", "value", "kind", "words"),
    [
        ("nummber", 1, maestro.AttributeKeyError, ["nummber", "number"]),
        ("maestro.nam", "x", maestro.AttributeKeyError, ["maestro.nam", "maestro.name"]),
        ("number", "six", maestro.AttributeTypeError, ["number", "string", "i64"]),
        ("number", 1.5, maestro.AttributeTypeError, ["number", "i64"]),
        ("number", True, maestro.AttributeTypeError, ["number", "i64"]),
        ("number", 2**63, maestro.AttributeValueError, ["number", str(2**63), "64 bits"]),
        ("text", 3, maestro.AttributeTypeError, ["text", "string"]),
        ("text", "a\0b", maestro.AttributeValueError, ["text", "NUL"]),
        ("text", object(), maestro.AttributeTypeError, ["text", "object"]),
        ("truth", 1, maestro.AttributeTypeError, ["truth", "bool"]),
        ("real", [1.0], maestro.AttributeTypeError, ["real", "f64 array", "says f64"]),
        ("word", "blue", maestro.AttributeValueError, ["word", "blue", "red", "green"]),
        ("moment", "yesterday", maestro.MaestroError, ["moment", "yesterday"]),
        ("moment", np.datetime64("NaT"), maestro.AttributeValueError, ["moment", "NaT"]),
        ("moment", datetime(1600, 1, 1), maestro.AttributeValueError, ["moment", "1678"]),
        ("moment", np.datetime64("9999-01-01"), maestro.AttributeValueError, ["moment", "1678"]),
        ("bytes", "text", maestro.AttributeTypeError, ["bytes", "blob"]),
    ],
)
def test_wrong_attribute_is_refused_by_name(every, key, value, kind, words):
    cdo = every.cdo()
    with raises(kind, *words):
        cdo[key] = value
    with raises(kind, *words):
        every.offer(b"", {key: value})
    assert list(cdo) == []
    cdo["number"] = 1  # the handle goes on
    cdo.offer(wait=True)


def test_exceptions_are_the_builtins_a_caller_would_catch(every):
    cdo = every.cdo()
    with raises(KeyError):
        cdo["nummber"] = 1
    with raises(TypeError):
        cdo["text"] = 1
    with raises(ValueError):
        cdo["word"] = "blue"
    with raises(KeyError):
        cdo["number"]
    with raises(KeyError):
        cdo["nummber"]
    with pytest.raises(TypeError):
        cdo[3] = 3
    with pytest.raises(TypeError):
        cdo[3]


def test_object_is_a_mapping_of_its_attributes(session):
    cdo = session.cdo({"class": "od"}, param="t", step=6)
    assert list(cdo) == cdo.keys() == ["class", "param", "step"]
    assert ("step" in cdo, "levelist" in cdo, "unknown" in cdo) == (True, False, False)
    assert cdo.get("levelist") is None
    assert cdo.get("levelist", -1) == -1
    with raises(maestro.AttributeKeyError, "levelst", "levelist"):
        cdo.get("levelst")
    cdo.update({"step": 12}, levelist=500)
    assert dict(cdo.attributes) == {"class": "od", "param": "t", "step": 12, "levelist": 500.0}
    assert dict(cdo) == cdo.attributes
    del cdo["levelist"]
    cdo["class"] = None
    assert cdo.keys() == ["param", "step"]
    assert "param=t" in repr(cdo).replace(" = ", "=") or "t" in repr(cdo)


def test_namespace_and_plain_name_are_the_same_key(session):
    cdo = session.cdo({"mars.param": "t"}, step=0)
    assert cdo["param"] == cdo["mars.param"] == "t"


def test_none_is_absent(session):
    assert session.cdo(param="t", step=0, levelist=None).keys() == ["param", "step"]


def test_name_is_an_attribute(session):
    cdo = session.cdo(name="field 7", param="t", step=0)
    assert cdo["maestro.name"] == "field 7"
    assert "field 7" in repr(cdo)


def test_like_takes_attributes_of_own_and_leased_objects_without_maestros_own(pool, session):
    first = session.offer(b"x", param="t", step=0, levelist=500)
    second = session.cdo(first, step=6, name="second")
    assert second.attributes == {**first.attributes, "maestro.name": "second", "step": 6}
    leased = pool.session("other").demand("step = 0")
    assert leased["maestro.component"] == "tester"
    third = leased.session.cdo(leased, step=12)
    assert "maestro.component" not in third
    assert third["levelist"] == 500.0


def test_like_of_a_disposed_object_is_a_state_error(session):
    cdo = session.cdo(param="t", step=0)
    cdo.dispose()
    with raises(maestro.StateError, "disposed"):
        session.cdo(cdo)


def test_attributes_do_not_change_after_the_offer(session):
    cdo = session.offer(b"x", param="t", step=0)
    with raises(maestro.StateError):
        cdo["step"] = 1
    with raises(maestro.StateError):
        del cdo["step"]
    got = session.demand("step = 0")
    with raises(maestro.StateError):
        got["step"] = 1
    assert (cdo["step"], got["step"]) == (0, 0)


def test_managers_attributes_cannot_be_forged(session):
    for key, value in {"maestro.component": "somebody", "maestro.rank": 7, "maestro.pid": 1, "maestro.reason": "died"}.items():
        with raises(maestro.MaestroError, key):
            session.offer(b"x", {key: value}, param="t", step=0).wait()
    assert session.count() == 0


# ---- Offer
def test_missing_required_attribute_is_named(session):
    with raises(maestro.MissingAttributeError, "step"):
        session.offer(b"x", param="t")
    cdo = session.cdo(param="t")
    with raises(ValueError, "step"):
        cdo.seal()
    with raises(maestro.MissingAttributeError, "step"):
        cdo.offer()
    cdo["step"] = 0  # may be mended
    cdo.offer(wait=True)


def test_sealed_object_takes_no_more_attributes(session):
    cdo = session.cdo(param="t", step=0)
    cdo.seal()
    cdo.seal()
    with raises(maestro.StateError):
        cdo["step"] = 1
    cdo.offer(wait=True)


def test_duplicate_identity_is_told_where_the_offer_is_waited_for(session):
    session.offer(b"first", param="t", step=0, levelist=500)
    again = session.offer(b"second", param="t", step=0, levelist=500)
    with raises(maestro.DuplicateError, "t", "500", "identity"):
        again.wait()
    session.flush()  # it was read already
    with raises(ValueError):
        session.cdo(again).offer(wait=True)
    assert bytes(session.demand("param = t")) == b"first"


def test_duplicate_of_the_same_component_and_rank_is_told_by_flush(pool, session):
    session.offer(b"first", param="t", step=0)
    session.flush()
    again = pool.session()
    again.offer(b"second", param="t", step=0)
    with raises(maestro.DuplicateError, "flush", "tester rank 0", "identity"):
        again.flush()
    again.flush()


def test_component_and_rank_belong_to_the_identity(pool, session):
    for other in (session, pool.session(rank=1), pool.session("other")):
        other.offer(b"x", param="t", step=0).wait()
    with raises(maestro.NotUniqueError, "3", "maestro.component", "maestro.rank"):
        session.demand("step = 0")
    assert session.demand("step = 0 and maestro.rank = 1")


def test_second_offer_of_one_object_is_a_state_error(session):
    cdo = session.offer(b"x", param="t", step=0)
    with raises(maestro.StateError, "offered"):
        cdo.offer()
    with raises(maestro.StateError):
        session.demand("step = 0").offer()
    assert session.count() == 1


def test_wait_before_the_offer_is_a_state_error(session):
    with raises(maestro.StateError, "not been offered"):
        session.cdo(param="t", step=0).wait()


def test_id_is_zero_before_the_offer_and_unique_after(session):
    cdo = session.cdo(param="t", step=0)
    assert cdo.id == 0
    cdo.offer()
    assert cdo.id not in (0, session.offer(None, param="t", step=1).id)
    assert session.demand("step = 0").id == cdo.id


# ---- Bytes
LAYOUTS = [
    np.arange(12.0).reshape(3, 4),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(24, dtype="i2").reshape(2, 3, 4)[:, ::2, 1:],
    np.arange(5)[::-1],
    np.arange(6, dtype=">f4").reshape(1, 6),
    np.array(7.0),
    np.zeros((0, 5), "f4"),
    np.array([1 + 2j, 3j]),
    np.array([True, False]),
    np.array(["a", "bcd"]),
    np.array(["2026-01-01", "NaT"], "M8[ns]"),
    np.broadcast_to(np.arange(3), (4, 3)),
]


@pytest.mark.parametrize("array", LAYOUTS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_array_comes_back_with_dtype_shape_and_values(session, array):
    session.offer(array, param="t", step=0)
    got = session.demand("step = 0").array()
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(got, array)
    assert not got.flags.writeable
    assert got.flags.f_contiguous if array.flags.f_contiguous else got.flags.c_contiguous


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    dtype=st.sampled_from(["f8", "<i2", ">u4", "c8", "?", "S3", "U2", "m8[s]"]),
    order=st.permutations(range(4)),
    step=st.sampled_from([1, 2, -1]),
)
def test_any_array_survives_the_pool(one_pool, shape, dtype, order, step):
    session = one_pool
    array = np.frombuffer(np.random.default_rng(0).bytes(max(1, int(np.prod(shape))) * 4 * 16), "u1")
    array = (array[: int(np.prod(shape))] % 2).astype(dtype).reshape(shape)
    array = array.transpose([axis for axis in order if axis < array.ndim])
    array = array[::step] if array.ndim else array
    with session.offer(array, param="t", step=0) as cdo, session.demand("step = 0") as got:
        read = got.array()
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.tobytes() == array.tobytes()
        cdo_gone = cdo.withdraw_start()
        del read
    cdo_gone.wait()


@pytest.fixture(scope="module")
def one_pool():
    """One session for many examples."""
    from poolside import Pool

    with pytest.MonkeyPatch.context() as patch:
        pool = Pool(patch)
        yield pool.session()
        pool.finish()


@pytest.mark.parametrize("data", [b"bytes", bytearray(b"array"), memoryview(b"memory"), b""], ids=lambda data: type(data).__name__)
def test_plain_bytes_come_back_as_uint8(session, data):
    cdo = session.offer(data, param="t", step=0)
    got = session.demand("step = 0")
    assert bytes(got) == bytes(data) == bytes(cdo)
    assert (got.array().dtype, got.nbytes) == (np.uint8, len(data))
    assert got.array().tobytes() == bytes(data)
    assert "maestro.dtype" not in got


def test_object_without_data_is_empty(session):
    session.offer(None, param="t", step=0)
    got = session.demand("step = 0")
    assert (got.nbytes, bytes(got), got.array().size, got.data.nbytes) == (0, b"", 0, 0)


@pytest.mark.parametrize(
    "data",
    [np.array([object()]), np.zeros(2, [("a", "f4")]), np.ma.masked_array([1, 2], [True, False])],
    ids=["object", "record", "masked"],
)
def test_array_that_others_could_not_read_is_refused(session, data):
    with raises(TypeError, "offer"):
        session.offer(data, param="t", step=0)
    assert session.count() == 0


def test_what_has_no_buffer_is_a_type_error(session):
    with pytest.raises(TypeError, match="bytes-like"):
        session.offer("text", param="t", step=0)
    with pytest.raises(TypeError, match="bytes-like"):
        session.offer(3, param="t", step=0)


def test_empty_gives_aligned_pool_memory_that_is_not_copied(session):
    cdo = session.cdo(param="t", step=0)
    array = cdo.empty((3, 1000), "f4", order="F")
    assert array.ctypes.data % 64 == 0
    assert array.flags.f_contiguous
    assert array.flags.writeable
    array[:] = 7
    cdo.offer()
    assert not array.flags.writeable
    got = session.demand("step = 0").array()
    assert got.ctypes.data == array.ctypes.data  # one mapping per process
    assert (got == 7).all()
    assert got.flags.f_contiguous
    assert session.stats()["objects"]["copied_total"] == 0


@pytest.mark.parametrize("shape", [0, (0, 3), (), 5, np.int64(4), [2, 3]])
def test_empty_takes_any_shape(session, shape):
    with session.cdo(param="t", step=0) as cdo:
        array = cdo.empty(shape, "i4")
        assert array.shape == np.empty(shape).shape
        array[...] = 3
        cdo.offer()
    got = session.demand("step = 0").array()
    assert got.shape == array.shape
    assert (got == 3).all()


def test_empty_without_dtype_is_plain_bytes(session):
    with session.cdo(param="t", step=0) as cdo:
        cdo.empty(4)[:] = list(b"GRIB")
        cdo.offer()
    assert bytes(session.demand("step = 0")) == b"GRIB"


@pytest.mark.parametrize("nbytes", [0, 5, 700_001])
def test_fill_copies_into_the_memory_of_empty(session, nbytes):
    data = np.arange(nbytes, dtype="u1")
    cdo = session.cdo(param="t", step=0)
    cdo.empty(nbytes + 3)[:] = 7
    if nbytes:
        cdo.fill(data)
        cdo.fill(b"end", offset=nbytes)
    else:
        cdo.fill(b"end")
    cdo.offer()
    assert bytes(cdo) == data.tobytes() + b"end"


def test_fill_without_memory_beyond_its_end_or_after_the_offer_is_refused(session):
    cdo = session.cdo(param="t", step=0)
    with pytest.raises(maestro.StateError, match="allocate it before"):
        cdo.fill(b"x")
    cdo.empty(4)[:] = 1
    with pytest.raises(maestro.TooLargeError, match="from offset 2 on do not fit into the object's 4 bytes"):
        cdo.fill(b"xyz", offset=2)
    with pytest.raises((BufferError, ValueError)):
        cdo.fill(np.zeros((4, 4), "u1")[::2, ::2])
    with pytest.raises(TypeError):
        cdo.fill("text")
    with pytest.raises(OverflowError):
        cdo.fill(b"x", offset=-1)
    cdo.offer()
    with pytest.raises(maestro.StateError, match="before the offer"):
        cdo.fill(b"x")
    assert bytes(cdo) == bytes([1] * 4)


def test_empty_refuses_what_makes_no_sense(session):
    cdo = session.cdo(param="t", step=0)
    with raises(ValueError, "negative"):
        cdo.empty((2, -1))
    with raises(TypeError, "dtype"):
        cdo.empty(2, object)
    cdo.empty(10)
    with raises(maestro.StateError, "data already"):
        cdo.empty(10)
    cdo.offer()
    with raises(maestro.StateError, "offered"):
        cdo.empty(10)
    with raises(maestro.StateError):
        session.demand("step = 0").empty(10)


def test_array_of_wrong_description_is_an_error_not_a_wild_read(session):
    for number, (dtype, shape) in enumerate([("<f8", "100"), ("O", "1"), ("nonsense", "1"), ("<f8", "-1"), ("<f8", "a,b"), ("|V0", "")]):
        session.offer(b"12345678", {"maestro.dtype": dtype, "maestro.shape": shape}, param="t", step=number)
        with raises(maestro.AttributeValueError, "array"):
            session.demand(f"step = {number}").array()


def test_array_without_shape_has_one_dimension(session):
    session.offer(np.arange(3.0).tobytes(), {"maestro.dtype": "<f8"}, param="t", step=0)
    assert session.demand("step = 0").array().tolist() == [0, 1, 2]
    session.offer(b"1234567", {"maestro.dtype": "<f8"}, param="t", step=1)
    with raises(maestro.AttributeValueError, "7 bytes"):
        session.demand("step = 1").array()


def test_numpy_takes_objects_without_asking(session):
    session.offer(np.arange(4.0), param="t", step=0)
    got = session.demand("step = 0")
    assert np.asarray(got).sum() == 6
    assert np.asarray(got, "i4").dtype == np.int32
    assert np.array(got, copy=True).flags.writeable
    assert np.add(got, 1).tolist() == [1, 2, 3, 4]
    assert not np.asarray(got).flags.writeable
    assert np.frombuffer(got, "u1").size == got.data.nbytes == len(bytes(got)) == 32
    session.offer(np.array(["2026-11-24"], "M8[s]"), param="t", step=1)  # a type that buffers cannot tell
    assert np.asarray(session.demand("step = 1"))[0] == np.datetime64("2026-11-24")


# ---- Nobody writes to what was offered
def test_offered_bytes_are_read_only_in_every_form(session):
    cdo = session.cdo(param="t", step=0)
    array = cdo.empty(10, "f8")
    array[:] = 1
    cdo.offer()
    got = session.demand("step = 0")
    for view in (array, cdo.array(), got.array(), got.array()[2:], np.asarray(got), np.frombuffer(got, "u1")):
        assert not view.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 2
    for view in (memoryview(cdo), got.data, memoryview(got)):
        assert view.readonly
        assert view.nbytes == 80
        with pytest.raises(TypeError, match="read-only"):
            view[0] = 2
    with pytest.raises(ValueError, match="WRITEABLE"):
        got.array().setflags(write=True)
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.setflags(write=True)
    assert (got.array() == 1).all()


def test_consumer_process_cannot_write_even_by_force(pool, session):
    session.offer(np.ones(1000), param="t", step=0)
    session.flush()
    program = pool.program("""
        import ctypes
        s = Session("consumer", schema="mars")
        a = s.demand("step = 0").array()
        ctypes.memset(a.ctypes.data, 0, 8)
    """)
    program.process.communicate(timeout=20)
    assert program.process.returncode == -11  # its own fault: the segment is mapped read-only
    assert (session.demand("step = 0").array() == 1).all()


def test_wrapped_memory_may_change_after_the_offer(session):
    source = np.ones(100_000)
    session.offer(source, param="t", step=0)
    source[:] = 2
    assert (session.demand("step = 0").array() == 1).all()


# ---- Leases
def test_lease_lives_as_long_as_the_last_view(session):
    session.offer(np.arange(1000.0), param="t", step=0)
    got = session.demand("step = 0")
    array, part, view = got.array(), got.array()[10:20], memoryview(got)
    got.dispose()
    assert leases(session) == 1
    assert (array[3], part[0], view.nbytes) == (3, 10, 8000)
    del array
    view.release()
    assert leases(session) == 1
    assert part[0] == 10
    del part
    within(1, lambda: leases(session) == 0)


def test_lease_ends_with_the_forgotten_object(session):
    session.offer(b"x", param="t", step=0)
    session.demand("step = 0")
    within(1, lambda: leases(session) == 0)
    with session.demand("step = 0"):
        assert leases(session) == 1
    within(1, lambda: leases(session) == 0)


def test_own_view_keeps_bytes_after_withdrawal_and_dispose(session):
    cdo = session.cdo(param="t", step=0)
    array = cdo.empty(1000, "f8")
    array[:] = 5
    cdo.offer()
    cdo.withdraw()
    cdo.dispose()
    for step in range(50):  # would take the block if it were free
        with session.cdo(param="u", step=step) as other:
            other.empty(1000, "f8")[:] = -1
            other.offer()
    assert (array == 5).all()


def test_memory_of_withdrawn_objects_is_used_again(session):
    for step in range(400):
        with session.cdo(param="t", step=step) as cdo:
            cdo.empty(8 << 20)[0] = 1
            cdo.offer()
            cdo.withdraw()
    gc.collect()
    assert session.stats()["memory"]["used_peak"] < 100 << 20


# ---- Withdrawal
def test_withdrawn_object_is_found_no_more_and_says_so_the_second_time(session):
    cdo = session.offer(b"x", param="t", step=0)
    cdo.withdraw()
    assert session.count() == 0
    with raises(maestro.WithdrawnError, "withdrawn already"):
        cdo.withdraw()
    with raises(LookupError):
        cdo.withdraw(when="consumed")
    session.offer(b"y", param="t", step=0).wait()  # the identity is free again


def test_withdrawal_that_waits_for_a_reader_names_it(pool, session):
    cdo = session.offer(b"x", param="t", step=0)
    reader = pool.session("slow-reader", rank=4)
    lease = reader.demand("step = 0")
    with raises(TimeoutError, "slow-reader[4]"):
        cdo.withdraw(timeout=0.1)
    assert bytes(lease) == b"x"
    assert session.count() == 0  # withdrawn all the same


def test_withdrawal_of_what_is_not_ones_own_is_a_state_error(session):
    session.offer(b"x", param="t", step=0)
    with raises(maestro.StateError, "own"):
        session.demand("step = 0").withdraw()
    with raises(maestro.StateError, "own"):
        session.cdo(param="t", step=1).withdraw()
    with raises(ValueError, "never", "released", "consumed"):
        session.offer(b"x", param="t", step=1).withdraw(when="never")


def test_consumed_withdrawal_waits_until_the_subscription_has_released(session):
    subscription = session.subscribe("param = t")
    cdo = session.offer(b"x", param="t", step=0)
    request = cdo.withdraw_start("consumed")
    assert not request.test()
    got = subscription.next()
    with raises(TimeoutError, "goes on"):
        request.wait(0.1)
    got.dispose()
    assert request.wait() is None
    assert request.done


def test_consumed_withdrawal_that_times_out_leaves_the_object(session):
    session.subscribe("param = t")
    keep = session.subscribe("param = t")
    cdo = session.offer(b"x", param="t", step=0)
    with raises(TimeoutError, "tester[0]"):
        cdo.withdraw("consumed", timeout=0.1)
    assert session.count() == 1
    assert keep.next(0)


def test_more_than_the_pool_holds_is_refused_at_once_with_the_remedy(session):
    for give in (
        lambda: session.cdo(param="t", step=0).empty(1 << 40),
        lambda: session.offer(np.broadcast_to(np.uint8(0), 600 << 20), param="t", step=0),
    ):
        with raises(maestro.TooLargeError, "bytes are more than the pool's limit of 536870912", "MAESTRO_POOL_MEMORY"):
            give()
    assert session.count() == 0
    session.offer(b"fits", param="t", step=0).wait()


# ---- Disposal
def test_use_after_dispose_is_a_state_error(session):
    cdo = session.offer(b"x", param="t", step=0)
    cdo.dispose()
    assert cdo.disposed
    for use in (
        cdo.dispose, cdo.array, cdo.wait, cdo.offer, cdo.withdraw, cdo.seal, lambda: cdo["step"], lambda: cdo.nbytes, lambda: bytes(cdo),
        lambda: cdo.attributes, lambda: cdo.id, lambda: cdo.update(step=1), lambda: "step" in cdo, lambda: cdo.empty(1), lambda: cdo.data,
    ):  # fmt: skip
        with raises(maestro.StateError, "disposed"):
            use()
    assert repr(cdo) == "<maestro.Cdo disposed>"
    assert session.count() == 1


def test_context_manager_allows_disposal_inside(session):
    with session.cdo(param="t", step=0) as cdo:
        cdo.dispose()


def test_object_never_offered_gives_its_memory_back(session):
    for _ in range(100):
        session.cdo(param="t", step=0).empty(16 << 20)
    assert session.count() == 0


def test_numa_node_of_data_is_one_of_the_machines(pool):
    session = pool.session()
    with session.cdo(param="t", step=1) as cdo:
        cdo.empty(1 << 20)[:] = 1
        nodes = [place["node"] for place in maestro.info()["machine"]["numa"]]
        assert cdo.numa_node in [*nodes, None]  # a sandbox may forbid the question
        cdo.offer()
    assert session.offer(None, param="u", step=1).numa_node is None
