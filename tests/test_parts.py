"""Objects that several offers make together: there at once or not at all, one to whoever reads them; and told when parts do not come."""

import contextlib
import random

import pytest
from poolside import raises, within

import maestro


def give(session, name="whole", parts=2, part=None, data=b"", **more):
    """One part; by default that of the session's rank."""
    attributes = {"maestro.name": name, "maestro.parts": parts} | ({} if part is None else {"maestro.part": part}) | more
    return session.offer(data, attributes)


@pytest.fixture
def ranks(pool):
    """Sessions of one component."""
    return lambda n, component="solver", **options: [pool.session(component, rank=rank, schema="core", **options) for rank in range(n)]


@pytest.fixture
def read(ranks, pool):
    """Two ranks, a reader, and the whole of theirs that it has read, of 100 bytes each."""
    sessions, reader = ranks(2), pool.session("reader", schema="core")
    for session in sessions:
        give(session, data=b"x" * 100)
    return sessions, reader, reader.demand("maestro.name = whole")


def test_an_object_is_there_when_its_last_part_has_come(ranks, pool):
    sessions, reader = ranks(3), pool.session("reader", schema="core")
    events = reader.subscribe(kinds="offered,withdrawn,incomplete")
    (counted,) = next(one for one in reader.stats()["sessions"] if one["component"] == "reader")["subscriptions"]
    assert counted["kinds"] == ["offered", "withdrawn", "incomplete"]
    for rank in (2, 0):
        give(sessions[rank], parts=3, data=bytes([rank]) * 10).wait()
    assert reader.count() == 0
    assert events.next(timeout=0.05) is None
    with raises(maestro.TimeoutError, "nothing matched"):
        reader.demand("maestro.name = whole", timeout=0)
    give(sessions[1], parts=3, data=b"\x01" * 10).wait()
    event = events.next(timeout=5)
    assert (event.kind, event.cdo["maestro.part"], event.cdo["maestro.parts"]) == ("offered", 0, 3)
    assert events.next(timeout=0.05) is None
    assert reader.count() == 1
    for number in range(3):
        part = event.cdo.part(number)
        assert (bytes(part), part["maestro.part"]) == (bytes([number]) * 10, number)
    with raises(maestro.NotFoundError, "3 parts"):
        event.cdo.part(3)


def test_a_lease_on_a_part_keeps_the_whole(read):
    sessions, reader, whole = read
    part = whole.part(1)
    whole.dispose()
    with raises(maestro.TimeoutError, "reader[0]", "holds 1"):
        sessions[0].withdraw("maestro.name = whole", timeout=0.1)
    assert bytes(part) == b"x" * 100
    part.dispose()
    within(2, lambda: reader.stats()["objects"]["parts"] == 0 and reader.stats()["memory"]["used"] == 0)


def test_every_producer_may_withdraw_the_whole(ranks, pool):
    sessions = ranks(3)
    for way in ("selector", "object"):
        cdos = [give(session, way, parts=3, data=b"123") for session in sessions]
        for session in sessions:
            session.flush()
        if way == "selector":
            assert sessions[2].withdraw("maestro.name = selector") == 1
        else:
            cdos[1].withdraw()
        with raises(maestro.WithdrawnError, "not in the pool"):
            cdos[0].withdraw()
        assert sessions[0].count() == 0
    assert sessions[0].stats()["memory"]["used"] == 0
    assert sessions[0].stats()["objects"]["parts"] == 0


def test_a_part_that_waits_can_be_withdrawn_and_the_others_are_told(ranks, pool):
    sessions, reader = ranks(3), pool.session("reader", schema="core")
    events = reader.subscribe(kinds="incomplete", start="now")
    give(sessions[0], parts=3)
    sessions[0].flush()
    give(sessions[2], parts=3).withdraw()
    event = events.next(timeout=5)
    assert (event.cdo["maestro.name"], event.cdo["maestro.missing"], event.reason) == ("whole", "1", "solver[2] withdrew its part")
    with raises(maestro.IncompleteError, "of its 3 parts 1 had not come", "solver[2] withdrew its part"):
        sessions[0].flush()
    sessions[2].flush()
    assert reader.count() == 0
    for session in sessions:
        give(session, parts=3)
    assert bytes(reader.demand("maestro.name = whole")) == b""


@pytest.mark.parametrize("how", ["died", "closed"])
def test_when_the_producer_of_a_missing_part_leaves_what_has_come_is_discarded(ranks, pool, how):
    sessions, reader = ranks(5), pool.session("reader", schema="core")
    events = reader.subscribe(kinds="incomplete,left", start="now")
    program = pool.program(
        """
        session = Session(component="solver", rank=5, schema="core")
        print("there")
        if sys.stdin.readline() == "close\\n": session.close()
        """
    )
    program.expect("there")
    cdos = [give(sessions[rank], parts=6, data=b"x" * 1000) for rank in (1, 4)]
    for rank in (1, 4):
        sessions[rank].flush()
    if how == "died":
        program.kill()
    else:
        program.say("close")
    assert events.next(timeout=5).kind == "left"
    event = events.next(timeout=5)
    assert (event.kind, event.cdo["maestro.missing"], event.reason) == ("incomplete", "0,2-3,5", f"solver[5] {how}")
    for rank, cdo in zip((1, 4), cdos, strict=True):
        with raises(maestro.IncompleteError, "0,2-3,5 had not come", f"solver[5] {how}"):
            sessions[rank].flush()
        with raises(maestro.IncompleteError, "whole"):
            cdo.withdraw()
    within(2, lambda: reader.stats()["memory"]["used"] == 0)


def test_what_is_begun_when_a_producer_has_left_is_discarded_at_once_until_it_is_back(ranks, pool):
    sessions = ranks(3)
    sessions[1].close()
    within(2, lambda: [one["rank"] for one in sessions[0].stats()["sessions"]] == [0, 2])
    give(sessions[0], parts=3)
    with raises(maestro.IncompleteError, "solver[1] left before", "1-2 had not come"):
        sessions[0].flush()
    sessions[1] = pool.session("solver", rank=1, schema="core")
    for session in sessions:
        give(session, parts=3)
    for session in sessions:
        session.flush()
    assert sessions[0].count() == 1


def test_who_has_given_its_parts_may_leave(ranks, pool):
    """One rank gives two parts, and leaves before the other has given its own two; a rank of another component leaves too."""
    sessions, reader = ranks(2), pool.session("reader", schema="core")
    other = pool.session("other", rank=1, schema="core")
    for part in (1, 3):
        give(sessions[0], parts=4, part=part, data=bytes([part]))
    sessions[0].close()
    other.close()
    assert reader.count() == 0
    for part in (0, 2):
        give(sessions[1], parts=4, part=part, data=bytes([part]))
    whole = reader.demand("maestro.name = whole")
    assert [bytes(whole.part(number)) for number in range(4)] == [b"\0", b"\1", b"\2", b"\3"]


def test_who_has_closed_waits_for_those_who_have_not_begun_and_not_for_ever(ranks, pool):
    reader = pool.session("reader", schema="core")
    events = reader.subscribe(kinds="incomplete", start="now")
    for rank in range(2):  # one after the other: nobody else of the component is there
        with maestro.Session(component="solver", rank=rank, schema="core") as session:
            give(session, data=bytes([rank]))
    assert bytes(reader.demand("maestro.name = whole").part(1)) == b"\1"
    with maestro.Session(component="solver", schema="core") as session:
        give(session, "never", parts=9, part=3)
    event = events.next(timeout=8)
    assert (event.cdo["maestro.missing"], event.reason) == ("0-2,4-8", "its component has closed")
    assert reader.stats()["objects"]["parts"] == 1


def test_when_the_last_of_the_component_dies_its_parts_are_discarded_at_once(ranks, pool):
    reader = pool.session("reader", schema="core")
    events = reader.subscribe(kinds="incomplete", start="now")
    program = pool.program(
        """
        session = Session(component="solver", schema="core")
        session.offer(b"", {"maestro.name": "whole", "maestro.parts": 2}).wait()
        print("there")
        sys.stdin.read()
        """
    )
    program.expect("there")
    program.kill()
    assert events.next(timeout=2).reason == "solver[0] died"
    for session in ranks(2):  # a second run: who left before is forgotten
        give(session)
    assert bytes(reader.demand("maestro.name = whole")) == b""


def test_a_second_session_of_a_rank_that_closes_is_no_producer_that_left(ranks, pool):
    sessions, reader = ranks(2), pool.session("reader", schema="core")
    helper = pool.session("solver", rank=1, schema="core")
    give(sessions[0])
    helper.close()
    assert reader.count() == 0
    give(sessions[1])
    assert reader.demand("maestro.name = whole")["maestro.parts"] == 2


def test_mistakes_are_told(ranks, pool):
    first, second = ranks(2)
    for attributes, error, words in (
        ({"maestro.part": 0}, maestro.MissingAttributeError, ["maestro.parts"]),
        ({"maestro.parts": 0}, maestro.AttributeValueError, ["maestro.parts is 0"]),
        ({"maestro.parts": 70000}, maestro.AttributeValueError, ["1 to 65536"]),
        ({"maestro.parts": 2, "maestro.part": 2}, maestro.AttributeValueError, ["maestro.part is 2", "the last is 1"]),
        ({"maestro.parts": 1}, maestro.AttributeValueError, ["maestro.part is 1, the session's rank"]),
        ({"maestro.missing": "1"}, maestro.ArgumentError, ["maestro.missing"]),
    ):
        with raises(error, *words):
            second.offer(b"", {"maestro.name": "wrong"} | attributes)
    with raises(maestro.ArgumentError, "needs a name"):
        first.offer(b"", {"maestro.parts": 2}).wait()
    with raises(maestro.ArgumentError, "offered one by one"):
        first.offer_many(None, {"maestro.parts": [2, 2]})
    give(first)
    with raises(maestro.DuplicateError, "whole"):
        give(first).wait()
    with raises(maestro.ArgumentError, "same number"):
        give(second, parts=3).wait()
    give(second).wait()
    with raises(maestro.DuplicateError, "whole"):
        give(second).wait()
    with raises(maestro.StateError, "not leased"):
        give(first, "other").part(0)
    assert first.count() == 1


def test_parts_of_other_components_and_names_do_not_mix(ranks, pool):
    reader = pool.session("reader", schema="core")
    pairs = [(component, name, ranks(2, component)) for component in "ab" for name in ("x", "y")]
    for rank in (0, 1):
        for component, name, sessions in pairs:
            give(sessions[rank], name, data=f"{component}{name}{rank}".encode())
        assert [session.flush() for _, _, sessions in pairs for session in sessions] == [None] * 8
        assert reader.count() == (0, 4)[rank]
    for component, name, _ in pairs:
        whole = reader.demand({"maestro.component": component, "maestro.name": name})
        assert bytes(whole.part(1)) == f"{component}{name}1".encode()


def test_a_new_version_takes_the_place_of_the_old_when_it_is_whole(pool, tmp_path):
    (tmp_path / "v.yaml").write_text("schema: v\nattributes:\n  key: {type: i64, identity: true}\nduplicate: version\n")
    first, second = (pool.session("solver", rank=rank, schema=str(tmp_path / "v.yaml")) for rank in range(2))

    def offer(session, version):
        session.offer(bytes([version]), {"maestro.parts": 2}, key=1).wait()

    for session in (first, second):
        offer(session, 1)
    old = first.demand("key = 1")
    offer(first, 2)
    assert (first.demand("key = 1")["maestro.version"], first.count()) == (1, 1)
    offer(second, 2)
    new = first.demand("key = 1")
    assert (new["maestro.version"], bytes(new.part(1)), bytes(old.part(1)), first.count()) == (2, b"\2", b"\1", 1)


def test_the_whole_expires(ranks, pool):
    sessions, reader = ranks(2), pool.session("reader", schema="core")
    events = reader.subscribe(kinds="expired", start="now")
    for session in sessions:
        give(session, data=b"x", **{"maestro.lifetime": 0.05})
    assert events.next(timeout=5).cdo["maestro.name"] == "whole"
    assert reader.stats()["objects"] | {"live": 0, "parts": 0} == reader.stats()["objects"]
    assert reader.stats()["memory"]["used"] == 0


def test_a_whole_goes_to_one_member_of_a_group_and_to_another_when_that_dies(ranks, pool):
    sessions, survivor = ranks(2), pool.session("reader", schema="core")
    program = pool.program(
        """
        session = Session(component="doomed", schema="core")
        share = session.subscribe(group="g", limit=1)
        whole = share.next(timeout=10)
        print(bytes(whole.part(1)).decode())
        sys.stdin.readline()
        """
    )
    within(10, lambda: any(one["component"] == "doomed" for one in survivor.stats()["sessions"]))
    within(10, lambda: survivor.stats()["groups"])
    for session in sessions:
        give(session, data=b"1" * (session is sessions[1]))
    program.expect("1")
    share = survivor.subscribe(group="g")
    program.kill()
    whole = share.next(timeout=5)
    assert whole.redelivered
    assert bytes(whole.part(1)) == b"1"


def test_what_a_component_offered_any_of_its_sessions_may_withdraw_when_it_says_so(ranks, pool):
    sessions, other = ranks(3), pool.session("other", schema="core")
    for session in sessions:
        session.offer(b"", {"maestro.name": "one"})
        session.flush()
    other.offer(b"", {"maestro.name": "one"}).wait()
    sessions[1].close()
    assert sessions[0].withdraw("maestro.name = one", of="component") == 3
    assert [cdo["maestro.component"] for cdo in other.query()] == ["other"]
    with raises(maestro.ArgumentError, "of='all'"):
        other.withdraw("maestro.name = one", of="all")


def test_when_the_manager_dies_what_was_read_stays_and_the_rest_fails_by_name(read, pool):
    _, _, whole = read
    part = whole.part(1)
    pool.kill_manager()
    assert bytes(whole) == bytes(part) == b"x" * 100
    with raises(maestro.PoolLostError, "the manager of pool"):
        whole.part(1)


def test_parts_count_as_objects(pool):
    pool.set(MAESTRO_POOL_OBJECTS=3)
    session = pool.session("solver", schema="core", timeout=0.2)
    for part in range(3):
        give(session, parts=4, part=part).wait()
    with raises(maestro.MemoryError, "limit of 3 objects"):
        give(session, parts=4, part=3).wait()
    session.withdraw(None)  # which sees none of them
    with pytest.raises(maestro.MemoryError):
        session.offer(b"", {"maestro.name": "other"}).wait()


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_offers_departures_and_withdrawals_does_what_the_model_says(pool, seed):
    """Three ranks give parts of five objects, leave, come back and withdraw; a session of another rank keeps the component there."""
    chance, reader = random.Random(seed), pool.session("reader", schema="core")
    anchor, sessions = pool.session("solver", rank=9, schema="core"), {}
    waiting: dict[str, set] = {}
    there: set[str] = set()
    discarded = 0
    events = reader.subscribe(kinds="incomplete", start="now")

    def open_rank(rank):
        sessions[rank] = pool.session("solver", rank=rank, schema="core")

    def quietly(*calls):
        for call in calls:
            with contextlib.suppress(maestro.IncompleteError):
                call()

    def discard(names):
        nonlocal discarded
        for name in names:
            del waiting[name]
            discarded += 1

    for rank in range(3):
        open_rank(rank)
    for _ in range(150):
        rank, name = chance.randrange(3), chance.choice("abcde")
        if rank not in sessions:
            open_rank(rank)
            anchor.flush()
        elif chance.random() < 0.15:
            quietly(sessions.pop(rank).close)
            within(2, lambda rank=rank: all(one["rank"] != rank for one in anchor.stats()["sessions"] if one["component"] == "solver"))
            discard([name for name, given in waiting.items() if rank not in given])
        elif name in there and chance.random() < 0.7:
            assert sessions[rank].withdraw({"maestro.name": name}, of="component") == 1  # it may have been made before it came back
            there.remove(name)
        else:
            twice = name in there or rank in waiting.get(name, ())
            with pytest.raises(maestro.DuplicateError) if twice else contextlib.suppress(maestro.IncompleteError):
                give(sessions[rank], name, parts=3, data=name.encode()).wait()
            if twice:
                continue
            waiting.setdefault(name, set()).add(rank)
            if any(other not in sessions and other not in waiting[name] for other in range(3)):
                discard([name])
            elif len(waiting[name]) == 3:
                del waiting[name]
                there.add(name)
        quietly(*(session.flush for session in sessions.values()))
        assert {cdo["maestro.name"] for cdo in reader.query("has(maestro.parts)")} == there
        assert reader.stats()["objects"]["parts"] == sum(map(len, waiting.values())) + 2 * len(there)
    assert sum(1 for _ in events.events(timeout=0.05)) == discarded > 5
    anchor.withdraw(None, of="component")
    quietly(anchor.close, *(session.close for session in sessions.values()))
    within(6, lambda: reader.stats()["objects"]["parts"] == 0 and reader.stats()["memory"]["used"] == 0)
