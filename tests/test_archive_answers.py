"""What an archive brings back for demands and declared needs, what it leaves alone, and what it takes back."""

import statistics
import time

import h5py
import pytest
from archiveside import Place, Running
from poolside import raises, within

import maestro
from maestro.archive import kept as keeping
from maestro.archive.answer import answer
from maestro.archive.store import open_store


@pytest.fixture
def place(pool, tmp_path):
    return Place(pool, tmp_path)


@pytest.fixture
def server(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer_many([b"zero", b"one", b"two"], station="a", hour=range(3))
    place.archive()
    producer.withdraw("")
    running = Running(place)
    yield running
    running.process.kill()
    running.process.communicate()


def test_demands_and_requires_are_answered_and_what_came_goes_again(place, server):
    reader = place.pool.session("reader", schema=place.schema)
    with reader.demand("hour = 1") as cdo:
        assert bytes(cdo) == b"one"
        assert server.next("answered") == {"event": "answered", "selector": "hour = 1", "by": "reader", "found": 1}
        within(5, lambda: reader.count() == 0)
        assert bytes(cdo) == b"one"  # who holds it reads on
    with reader.require("hour >= 1"):
        assert server.next("answered")["found"] == 2
        within(5, lambda: reader.count() == 2)
    within(5, lambda: reader.count() == 0)
    assert server.end()["answered"] == 3


def test_what_a_workflow_file_says_is_consumed_is_not_answered(place, server):
    runner, reader = (place.pool.session(name, schema=place.schema) for name in ("maestro-run", "reader"))
    with runner.require(""), reader.require("hour = 1"):
        assert server.next("answered")["by"] == "reader"
        within(5, lambda: reader.count() == 1)
    assert server.end()["answered"] == 1


def test_what_an_archive_brings_back_it_does_not_keep_again(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer(b"anonymous", level=1.0)
    producer.offer(b"named", station="a")
    producer.flush()
    running = Running(place, "--schema", place.schema)
    for _ in range(2):
        running.next("persisted")
    producer.withdraw("", when="consumed")
    for selector in ("level = 1", "station = a", "level = 1"):
        with producer.demand(selector):
            running.next("answered")
        within(5, lambda: producer.count() == 0)
    end = running.end()
    assert (end["kept"], end["known"], end["answered"]) == (2, 0, 3)
    assert len(place.lines()) == 2


def test_an_answer_that_fails_in_the_middle_is_taken_back(place):
    place.pool.set(MAESTRO_POOL_MEMORY="16MiB")
    producer = place.pool.session("probe", schema=place.schema)
    for hour in range(2):
        producer.offer(b"x" * (10 << 20), station="a", hour=hour)
        place.archive()
        producer.withdraw("")
    with place.pool.session("archive", schema=place.schema, relay=True, timeout=0.2) as session:
        told = []
        with raises(maestro.MaestroError, "alloc", seconds=5):
            answer(session, open_store(str(place.folder)), "", False, told.append)
        assert len(told) == 1
        within(5, lambda: producer.count() == 0)
    assert producer.offer(b"x" * (10 << 20), station="b").nbytes == 10 << 20


def two_parts(place):
    """An archived object of two parts, which is in the pool no more."""
    producer = place.pool.session("solver", schema=place.schema)
    for part in range(2):
        producer.offer(b"bytes", {"maestro.parts": 2, "maestro.part": part}, station="a")
    producer.flush()
    assert place.archive() == ["persisted"]
    producer.withdraw("")
    store = open_store(str(place.folder))
    (entry,) = store.catalogue
    return producer, store.load(entry)


def test_parts_that_cannot_all_be_offered_are_taken_back(place):
    producer, kept = two_parts(place)
    first, second = kept.line["attributes"], kept.line["parts"][0]
    unknown = {**second, "attributes": {**second["attributes"], "nonsense": 1}}
    digest = keeping.content([(first, kept.part(0).data), (unknown["attributes"], kept.part(1).data)])
    wrong = keeping.Kept({**kept.line, "parts": [unknown], "digest": digest}, kept.memory)
    with place.pool.session("archive", schema=place.schema, relay=True) as session:
        with raises(maestro.AttributeKeyError, "nonsense", seconds=5):
            keeping.offer(session, wrong)
        offered = keeping.offer(session, kept)  # nothing of the other one is in its way
        assert producer.count() == 1
        keeping.take_back(offered)


def test_every_refusal_of_an_answer_is_read(place):
    producer, kept = two_parts(place)
    with place.pool.session("archive", schema=place.schema, relay=True) as session:
        offered = keeping.offer(session, kept)
        for _ in range(2):
            with raises(maestro.DuplicateError, seconds=5):
                keeping.offer(session, kept)
        session.flush()  # raises what nobody has read
        assert producer.count() == 1
        keeping.take_back(offered)
        within(5, lambda: producer.count() == 0)


def test_what_was_declared_ahead_is_there_when_it_is_demanded(place):
    """Demands for megabytes in the archive, in turns, with the declaration, which brings the object, and without; none is brought twice."""
    producer = place.pool.session("probe", schema=place.schema)
    for hour in range(40):
        producer.offer(bytes([hour]) * (1 << 20), station="a", hour=hour)
    place.archive()
    producer.withdraw("")
    running = Running(place)
    reader = place.pool.session("reader", schema=place.schema)
    took = {False: [], True: []}
    try:
        for hour in range(40):
            declared = hour % 2 == 1
            need = reader.require(f"hour = {hour}") if declared else None
            if declared:
                within(5, lambda: reader.count() == 1)
            began = time.perf_counter()
            with reader.demand(f"hour = {hour}", timeout=10) as cdo:
                took[declared].append(1e3 * (time.perf_counter() - began))
                assert memoryview(cdo)[0] == hour
            if need:
                need.retract()
            within(5, lambda: reader.count() == 0)
        assert running.end()["answered"] == 40
    finally:
        running.process.kill()
        running.process.communicate()
    without, ahead = (statistics.median(took[declared]) for declared in (False, True))
    print(f"demand of 1 MiB from the archive, median of 20: {without:.2f} ms, declared ahead {ahead:.2f} ms, ratio {without / ahead:.1f}")


def test_what_several_identities_match_is_not_answered_for_a_demand(place, server):
    reader = place.pool.session("reader", schema=place.schema)
    with raises(maestro.TimeoutError, "nothing matched", seconds=5):
        reader.demand("station = a", timeout=0.5)
    assert server.next("ambiguous")["found"] == 3


def test_subscriptions_are_not_answered(place, server):
    reader = place.pool.session("reader", schema=place.schema)
    assert list(reader.subscribe("station = a", timeout=0.5)) == []
    assert server.end()["answered"] == 0


def test_what_cannot_be_brought_back_is_told_and_others_are(place, server):
    (path,) = place.folder.rglob("*.h5")
    with h5py.File(path, "r+") as file:
        file["object.000001"][0] = 99
    reader = place.pool.session("reader", schema=place.schema)
    with raises(maestro.TimeoutError, "nothing matched", seconds=5):
        reader.demand("hour = 1", timeout=0.5)
    assert "no longer has the bytes" in server.next("unanswered")["cause"]
    assert bytes(reader.demand("hour = 2")) == b"two"


def test_an_archive_goes_on_where_the_pool_has_no_room_for_an_answer(place):
    place.pool.set(MAESTRO_POOL_MEMORY="16MiB")
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer(b"x" * (10 << 20), station="a", hour=0)
    place.archive()
    producer.withdraw("")
    held = [producer.offer(b"y" * (10 << 20), station="b", hour=0)]
    server = Running(place)
    with raises(maestro.TimeoutError, seconds=10):
        producer.demand("station = a", timeout=3)
    assert "alloc" in server.next("unanswered")["cause"]
    held.pop().withdraw()
    assert producer.demand("station = a").nbytes == 10 << 20
    server.end()


def test_an_archive_that_ends_takes_back_what_it_had_offered(place, server):
    reader = place.pool.session("reader", schema=place.schema)
    with reader.require("hour >= 1"):
        within(5, lambda: reader.count() == 2)
        server.end()
        within(5, lambda: reader.count() == 0)


def test_what_has_expired_in_the_pool_is_brought_back(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer(b"short", {"maestro.lifetime": 0.3}, station="a", hour=0)
    place.archive()
    within(5, lambda: producer.count() == 0)
    server = Running(place)
    with producer.demand("station = a") as cdo:
        assert bytes(cdo) == b"short"
        assert cdo["maestro.lifetime"] == 0.3
    server.end()


def test_what_lives_already_is_not_offered_over_it(place):
    producer = place.pool.session("probe", schema=place.schema)
    producer.offer(b"bytes", station="a")
    place.archive()
    result = place.restore()
    assert (result.found, len(result.offered), result.live) == (1, 0, 1)


def test_an_object_of_several_parts_is_brought_back_for_a_demand(place):
    ranks = [place.pool.session("solver", rank=rank, schema=place.schema) for rank in range(3)]
    for rank in range(3):
        ranks[rank].offer(bytes([rank]) * (rank + 1), {"maestro.parts": 3}, station="a", hour=1)
    for session in ranks:
        session.flush()
    assert place.archive() == ["persisted"]
    ranks[0].withdraw("")
    for session in ranks:
        session.close()
    server = Running(place)
    reader = place.pool.session("reader", schema=place.schema)
    with reader.demand("station = a") as cdo:
        parts = [cdo.part(number) for number in range(3)]
        assert [bytes(part) for part in parts] == [b"\0", b"\1\1", b"\2\2\2"]
        assert cdo["maestro.component"] == "solver"
        del parts
    within(5, lambda: reader.count() == 0)
    server.end()
