"""Clients that write garbage, and what answers in a manager's place: the faulty one alone has the error, at once and by name."""

import os
import random
import socket
import struct
from pathlib import Path

import numpy as np
import pytest
import yaml
from poolside import raises, takes_less_than, within
from rawside import HEADER, KIND_FLUSH, KIND_RUN, NO_SEGMENT, PROTOCOL, WELCOME, FakeManager, RawClient, connect, hello, receive, welcome

import maestro

SCHEMAS = Path(__file__).parents[1] / "csrc/meta/schemas"
KEYS = [key for name in ("core", "mars") for key in yaml.safe_load((SCHEMAS / f"{name}.yaml").read_text())["attributes"]]
NAME, COMPONENT, PID, CHECKSUM, LEVEL, PARAM, STEP = (
    KEYS.index(key) for key in ("maestro.name", "maestro.component", "maestro.pid", "maestro.checksum", "levelist", "param", "step")
)
TEXT = 1 << 63  # a word that refers to text
NAN, MINUS_ZERO = 0x7FF8 << 48, 1 << 63


@pytest.fixture
def bystander(pool):
    """A session of good manners, that watches who leaves how."""
    session = pool.session("bystander")
    session.offer(np.arange(1000.0), param="t", step=0).wait()
    session.left = session.subscribe(kinds="left", start="now", timeout=2)
    return session


def goes_on(session):
    """What was there is there, and everything works."""
    step = session.count()
    session.offer(np.full(10, step), param="t", step=step).wait()
    with session.demand("step = 0") as cdo:
        assert (cdo.array() == np.arange(1000.0)).all()
    assert session.count() == step + 1


GARBAGE = {
    "packet of wrong length": (lambda wild: wild.connection.send(b"\xff" * 5), "garbage on its socket"),
    "long packet": (lambda wild: wild.connection.send(b"\xff" * 60000), "garbage on its socket"),
    "offers ring, end beyond it": (lambda wild: wild.set_head("offers", 1 << 40), "offers ring is out of bounds"),
    "offers ring, odd end": (lambda wild: wild.set_head("offers", 13), "offers ring is out of bounds"),
    "offers ring, size beyond the end": (lambda wild: wild.put("offers", bytes(64), size=4096), "offers ring is out of bounds"),
    "offers ring, size zero": (lambda wild: wild.put("offers", bytes(64), size=0), "offers ring is out of bounds"),
    "control ring, end goes back": (
        lambda wild: (wild.request(), within(2, lambda: tail(wild, "control")), wild.set_head("control", 8)),
        "garbage into its control ring",
    ),
    "offer of unknown kind": (lambda wild: wild.offer(kind=99), "garbage into its offers ring"),
    "offer with a wild id": (lambda wild: wild.offer(number=(1 << 40) - 1), "wrong id"),
    "offer of another's memory": (lambda wild: wild.offer(segment=0, nbytes=8000), "memory that is not lent to it"),
    "offer of no segment": (lambda wild: wild.offer(segment=12345, nbytes=8), "memory that is not lent to it"),
    "offer without its values": (lambda wild: wild.offer(mask=2), "malformed attributes"),
    "request of unknown kind": (lambda wild: wild.request(kind=99), "request of unknown kind"),
    "request with a long text": (lambda wild: wild.request(text_nbytes=1 << 31), "garbage into its control ring"),
    "request after offers to come": (lambda wild: wild.request(after=1 << 50), "garbage into its control ring"),
    "lease that it does not hold": (lambda wild: wild.release(1 << 32 | 5), "lease that it does not hold"),
    "segment that is not its own": (lambda wild: wild.request(kind=KIND_FLUSH + 9, argument=0), "not lent to it"),
    "replies read beyond their end": (
        lambda wild: [(wild.set_tail("replies", 1 << 30), wild.request(kind=KIND_FLUSH + 1)) for _ in range(3000)],  # refused in words
        "read position of a ring is out of bounds",
    ),
}  # fmt: skip


def run(keys=(PARAM, STEP), values=(1, 1000), rows=((1000,), (1001,)), own=(1,), **changes):
    """Writes a run of objects of params and steps that is right but for what is changed."""

    def write(wild):
        wild.run(keys, values, rows, own, **{name: value(wild) if callable(value) else value for name, value in changes.items()})

    return write


MALFORMED = "malformed attributes"
RUNS = {
    "of no objects": (run(rows=()), MALFORMED),
    "of more than are there": (run(count=3), MALFORMED),
    "of fewer than are there": (run(count=1), MALFORMED),
    "of endless many": (run(count=2**32 - 1), MALFORMED),
    "of one too many": (run(rows=[(1000 + i,) for i in range(257)]), MALFORMED),
    "with bytes behind it": (run(more=bytes(8)), MALFORMED),
    "shorter than its head": (lambda wild: wild.put("offers", bytes([0, 0, 0, 0, KIND_RUN, 0, 0, 0]) + bytes(32)), MALFORMED),
    "with too many own words": (run(rows=[range(17)], own=range(17)), MALFORMED),
    "with wildly many own words": (run(nown=2**16 - 1), MALFORMED),
    "of more own words than words": (run(rows=[(1, 1000, 0)], own=(0, 1, 2)), MALFORMED),
    "with a position beyond its words": (run(own=(2,)), MALFORMED),
    "with a wild position": (run(own=(255,)), MALFORMED),
    "with positions that go back": (run(rows=[(1000, 1)], own=(1, 0)), MALFORMED),
    "with a position twice": (run(rows=[(1000, 1001)], own=(1, 1)), MALFORMED),
    "with places of an unknown kind": (run(has_places=2), MALFORMED),
    "without its places": (run(has_places=1), MALFORMED),
    "of more words than keys": (run(values=(1, 0, 0)), MALFORMED),
    "of fewer words than keys": (run(values=(1,), own=(0,), rows=[(1,)]), MALFORMED),
    "of keys the schema lacks": (run(keys=(PARAM, STEP, 127), values=(1, 0, 0)), MALFORMED),
    "of another schema": (run(schema=7), MALFORMED),
    "without a required attribute": (run(keys=(CHECKSUM,), values=(1,), own=(0,)), MALFORMED),
    "with a component": (run(keys=(COMPONENT, PARAM, STEP), values=(1, 1, 0), own=(2,)), MALFORMED),
    "with a process": (run(keys=(PID, PARAM, STEP), values=(1, 1, 0), own=(0,)), MALFORMED),
    "with a tail": (run(tail=8, more=bytes(8)), MALFORMED),
    "with text": (run(values=(TEXT, 0)), MALFORMED),
    "with text in a row": (run(rows=[(1,), (TEXT | 8 << 32,)], own=(0,)), MALFORMED),
    "with a code nobody has": (run(values=(1 << 20, 0)), MALFORMED),
    "with a code nobody has in a row": (run(rows=[(1,), (1 << 20,)], own=(0,)), MALFORMED),
    "with code 0 in a row": (run(rows=[(1,), (0,)], own=(0,)), MALFORMED),
    "with a code where text has none": (run(keys=(NAME, PARAM, STEP), values=(TEXT, 1, 0), rows=[(1,)], own=(0,)), MALFORMED),
    "with a code of text that has none in a row": (run(keys=(NAME, PARAM, STEP), values=(1, 1, 0), own=(2,)), MALFORMED),
    "with a NaN": (run(keys=(LEVEL, PARAM, STEP), values=(NAN, 1, 0), own=(2,)), MALFORMED),
    "with a NaN in a row": (run(keys=(LEVEL, PARAM, STEP), values=(0, 1, 1000), rows=[(0,), (NAN,)], own=(0,)), MALFORMED),
    "with a negative NaN in a row": (run(keys=(LEVEL, PARAM, STEP), values=(0, 1, 1000), rows=[(NAN | 1 << 63,)], own=(0,)), MALFORMED),
    "with a minus zero in a row": (run(keys=(LEVEL, PARAM, STEP), values=(0, 1, 1000), rows=[(0,), (MINUS_ZERO,)], own=(0,)), MALFORMED),
    "with ids of another": (run(id=lambda wild: wild.session + 1 << 40 | 1), "wrong ids"),
    "with ids to come": (run(id=lambda wild: wild.session << 40 | 2), "wrong ids"),
    "with ids that were": (lambda wild: (run()(wild), run(rows=((1002,),))(wild)), "wrong ids"),
    "with ids that end": (run(id=2**64 - 1), "wrong ids"),
    "of another's memory": (run(places=[(NO_SEGMENT, 0, 0, 0), (0, 0, 0, 8000)]), "memory that is not lent to it"),
    "of no segment": (run(places=[(12345, 0, 0, 8)] * 2), "memory that is not lent to it"),
    "of bytes nowhere": (run(places=[(NO_SEGMENT, 0, 0, 8)] * 2), "memory that is not lent to it"),
}  # fmt: skip
GARBAGE |= {f"run {name}": what for name, what in RUNS.items()}


def tail(wild, ring):
    return int.from_bytes(wild.memory[wild.at[ring] + 64 : wild.at[ring] + 72], "little")


@pytest.mark.parametrize("name", GARBAGE)
def test_client_that_writes_garbage_is_cut_off_by_name_and_disturbs_nobody(pool, bystander, name):
    write, why = GARBAGE[name]
    with RawClient(pool.socket) as wild:
        write(wild)
        assert wild.is_cut_off()
    event = bystander.left.next_event()
    assert (event.component, event.rank, event.reason) == ("wild", 7, "died")
    assert f"(wild[7], process {os.getpid()}) ended: " in pool.log
    assert why in pool.log
    goes_on(bystander)


def test_run_that_is_right_is_taken(pool, bystander):
    rows = [(0, 1, 1000 + i) for i in range(256)]
    with RawClient(pool.socket) as wild:
        wild.run((LEVEL, PARAM, STEP), (0, 1, 0), rows, range(3), places=[(NO_SEGMENT, 0, 0, 0)] * 256)
        within(2, lambda: bystander.count("step >= 1000") == 256)
        wild.run((PARAM, STEP), (1, 2000), [()] * 2, id=wild.session << 40 | 257)  # the second one is a duplicate, not garbage
        within(2, lambda: bystander.count("step = 2000") == 1)
        assert not wild.is_cut_off(0.1)
    assert [cdo["step"] for cdo in bystander.query("step >= 1000")] == [*range(1000, 1256), 2000]
    goes_on(bystander)


def test_rows_before_a_wrong_one_are_there_for_all(pool, bystander):
    subscription = bystander.subscribe("step >= 1000", start="now")
    with RawClient(pool.socket) as wild:
        wild.run((LEVEL, PARAM, STEP), (0, 1, 0), [(0, 1000 + i) for i in range(99)] + [(NAN, 1099)], (0, 2))
        assert wild.is_cut_off()
    assert subscription.next_columns(200, ["step"], timeout=0.2)["step"].tolist() == list(range(1000, 1099))
    goes_on(bystander)


def test_leases_before_a_wild_one_in_one_message_have_gone_back(pool, bystander):
    with RawClient(pool.socket) as wild:
        bystander.offer_many(param="r", step=range(1000, 1003))
        wild.request(kind=KIND_FLUSH + 1, window=256 << 10)  # subscribes to all four
        within(2, lambda: bystander.stats()["leases"]["live"] == 4)
        wild.release(*(1 << 32 | slot for slot in range(3)))
        within(2, lambda: bystander.stats()["leases"]["live"] == 1)
        assert not wild.is_cut_off(0.05)
        wild.release(1 << 32 | 3, 1 << 32 | 77, 1 << 32 | 3)
        assert wild.is_cut_off()
    assert "lease that it does not hold" in pool.log
    assert bystander.withdraw("step >= 1000") == 3
    goes_on(bystander)


UNSUBSCRIBE = KIND_FLUSH + 2
OUT_OF_BOUNDS = "window is out of bounds"
NOT_HELD = "lease that it does not hold"
WRONG_POSITION = "ended a subscription at a wrong position"


def message(kind, count=0, nown=0, places=0, nbytes=None, values=0):
    """The head of a run of events, or what looks like one."""
    head = struct.pack("<IHHQQqIHH16sQQIHH", nbytes or 80, kind, 0, 0, 0, 0, count, nown, places, b"", 0, 0, 0, values, 0)
    return head.ljust(nbytes or 80, b"\0")


def row_twice(window):
    """The honest run's second row gets the first one's lease: the row's words are lease, then those that differ."""
    run = window[HEADER : HEADER + 4096]
    lease = run.index((1 << 32 | 0).to_bytes(8, "little"), 80)
    other = run.index((1 << 32 | 1).to_bytes(8, "little"), lease + 8)
    window[HEADER + other : HEADER + other + 8] = run[lease : lease + 8]


# What stands in the window, how far it is said to be read, and what the session ends of.
WINDOWS = {
    "read beyond its end": (None, {"window": 1 << 40}, WRONG_POSITION),
    "read to below its beginning": (None, {"window": 2**64 - 8}, WRONG_POSITION),
    "read to an odd place": (None, {"window": 12}, WRONG_POSITION),
    "read to the middle of a message": (b"", {"window": 16}, OUT_OF_BOUNDS),
    "full of ones": (b"\xff" * 4096, {}, OUT_OF_BOUNDS),
    "full of zeros": (bytes(4096), {}, OUT_OF_BOUNDS),
    "a run of endless many": (message(81, 2**32 - 1, 16, 1), {}, OUT_OF_BOUNDS),
    "a run of endless many words": (message(81, 3, 2**16 - 1, 1, values=2**16 - 1), {}, OUT_OF_BOUNDS),
    "a run shorter than its head": (message(81, nbytes=64), {}, OUT_OF_BOUNDS),
    "more rows read than there are": (None, {"rows": 2**32 - 1}, OUT_OF_BOUNDS),
    "an event with another's lease": (struct.pack("<IHHQQQ", 80, 80, 0, 0, 0, 7 << 32 | 3).ljust(80, b"\0"), {}, NOT_HELD),
    "a lease twice": (row_twice, {}, NOT_HELD),
    "a filler up to its end": ("filler", {}, None),
} | {f"random bytes, {i}": (random.Random(i).randbytes(8192), {}, OUT_OF_BOUNDS) for i in range(10)}  # fmt: skip


@pytest.mark.parametrize("name", WINDOWS)
def test_window_that_its_reader_wrote_into_harms_its_reader_alone(pool, bystander, name):
    content, read, why = WINDOWS[name]
    bystander.offer_many(param="r", step=range(1000, 1003))
    with RawClient(pool.socket) as wild:
        wild.request(kind=KIND_FLUSH + 1, window=256 << 10)
        within(2, lambda: bystander.stats()["leases"]["live"] == 4)
        number = wild.reply_value()
        window = wild.fetch_window(number)
        if content == "filler":
            head = int.from_bytes(window[:8], "little")
            window[HEADER : HEADER + 4] = (head | 1 << 31).to_bytes(4, "little")
            window[:8] = (1 << 40).to_bytes(8, "little")  # what the manager wrote itself it does not read back
        elif callable(content):
            content(window)
        elif content:
            window[HEADER : HEADER + len(content)] = content
        wild.request(kind=UNSUBSCRIBE, argument=number, **({"rows": 0} | read))
        assert wild.is_cut_off(3 if why else 0.2) == (why is not None)
        window.close()
    assert (why or "") in pool.log
    assert bystander.withdraw("step >= 1000") == 3
    goes_on(bystander)


def test_what_was_not_read_goes_back_with_the_subscription(pool, bystander):
    bystander.offer_many(param="r", step=range(1000, 1003))
    with RawClient(pool.socket) as wild:
        wild.request(kind=KIND_FLUSH + 1, window=256 << 10)
        within(2, lambda: bystander.stats()["leases"]["live"] == 4)
        wild.request(kind=UNSUBSCRIBE, argument=wild.reply_value(), rows=0)
        within(2, lambda: bystander.stats()["leases"]["live"] == 0)
        assert not wild.is_cut_off(0.05)


def test_random_bytes_in_every_ring_disturb_nobody(pool, bystander):
    chance = random.Random(3)
    for _ in range(60):
        with RawClient(pool.socket) as wild:
            for ring in ("offers", "control", "releases"):
                wild.memory[wild.at[ring] : wild.at[ring] + 192 + 4096] = chance.randbytes(192 + 4096)
                wild.set_head(ring, chance.choice((8, 64, 4096, chance.getrandbits(20) & ~7)))
            assert wild.is_cut_off()
    goes_on(bystander)


HELLOS = {
    "no hello": (b"GET / HTTP/1.1\r\n", "no Maestro client"),
    "nothing": (b"\0", "no Maestro client"),
    "cut short": (hello()[:60], "malformed"),
    "too long": (hello() + bytes(100), "malformed"),
    "name without end": (hello(b"w" * 64), "malformed"),
    "name that is no text": (hello(b"w\xff\xfe"), "malformed"),
    "another version": (hello(protocol=99), f"speaks protocol {PROTOCOL}, this client 99; stop the old programs"),
    "another version, shorter": (hello(protocol=99)[:8], f"speaks protocol {PROTOCOL}, this client 99; stop the old programs"),
}


@pytest.mark.parametrize("name", HELLOS)
def test_whoever_says_no_proper_hello_is_refused_with_the_reason(pool, bystander, name):
    packet, why = HELLOS[name]
    connection = connect(pool.socket)
    connection.send(packet)
    status, text = welcome(receive(connection)[0])
    assert status < 0
    assert why in text
    assert connection.recv(64) == b""
    connection.close()
    goes_on(bystander)


def test_silent_connections_keep_nobody_out_and_are_dropped(pool, bystander):
    silent = [connect(pool.socket) for _ in range(100)]
    with takes_less_than(2), pool.session("late") as late:
        assert late.count() == 1
    for connection in silent:
        connection.settimeout(8)
        assert connection.recv(64) == b""
        connection.close()
    goes_on(bystander)


def test_descriptors_that_come_with_garbage_are_closed(pool, bystander):
    def descriptors():
        return len(os.listdir(f"/proc/{pool.manager()}/fd"))

    before = descriptors()
    for packet in (b"", b"x", hello()[:30]):
        connection = connect(pool.socket)
        with open("/dev/null") as file:
            socket.send_fds(connection, [packet], [file.fileno()] * 8)
        within(2, lambda: descriptors() == before, "the descriptors' end")
        connection.close()
    goes_on(bystander)


# ---- What answers in a manager's place.
def answer_with(packet, fds=()):
    def answer(connection):
        socket.send_fds(connection, [packet], fds) if fds else connection.send(packet)

    return answer


def good_welcome(**changes):
    fields = {"magic": 0x5254534D, "protocol": PROTOCOL, "status": 0, "session": 1, "schema": 0, "schema_nbytes": 10, "channel": 918464,
              "dictionary": 4096, "limit": 1 << 30, "text": b""} | changes  # fmt: skip
    return WELCOME.pack(*fields.values())


ANSWERS = {
    "garbage": (b"\x07" * 300, 0, maestro.ProtocolError, "no Maestro pool"),
    "cut short": (good_welcome()[:100], 0, maestro.ProtocolError, f"100 bytes where {WELCOME.size} were due"),
    "another version": (
        good_welcome(protocol=99)[:64],
        0,
        maestro.RefusedError,
        f"speaks protocol 99, this library {PROTOCOL}; stop the old programs",
    ),
    "no descriptors": (good_welcome(), 0, maestro.ProtocolError, "descriptors are missing"),
    "another channel": (good_welcome(channel=4096), 6, maestro.ProtocolError, "channel has another size"),
    "memory that is too short": (good_welcome(), 6, maestro.ProtocolError, "sealed"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_manager_is_told_at_once(pool, name):
    packet, nfds, error, why = ANSWERS[name]
    fds = [os.memfd_create("short") for _ in range(nfds)]
    path = f"{pool.folder}/fake.sock"
    with FakeManager(path, answer_with(packet, fds)), raises(error, why):
        maestro.Session(pool=path, start_pool=False, timeout=5)
    for fd in fds:
        os.close(fd)


def test_manager_that_hangs_up_is_no_endless_loop(pool):
    path = f"{pool.folder}/fake.sock"
    with FakeManager(path, lambda connection: connection.close()), raises(maestro.TimeoutError, "pool fake.sock"):
        maestro.Session(pool=path, start_pool=False, timeout=0.5)


# ---- Other users.
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def as_another_user():
    os.seteuid(65534)
    yield
    os.seteuid(0)


@needs_root
def test_directory_of_another_user_is_refused(pool, bystander, as_another_user):
    with raises(maestro.RefusedError, "belongs to user id 0, not to 65534", "MAESTRO_DIR"):
        maestro.Session()


@needs_root
def test_socket_in_another_users_directory_is_refused(pool, bystander):
    path = pool.socket
    os.seteuid(65534)
    try:
        with raises(maestro.RefusedError, "another user", "MAESTRO_DIR"):
            maestro.Session(pool=path, start_pool=False)
    finally:
        os.seteuid(0)
    goes_on(bystander)


@needs_root
def test_manager_and_client_of_two_users_refuse_each_other(pool, bystander):
    path = pool.socket
    os.chmod(pool.folder, 0o755)
    os.chmod(path, 0o666)
    os.seteuid(65534)
    try:
        with raises(maestro.RefusedError, "manager runs as user id 0, this process as 65534", "MAESTRO_DIR"):
            maestro.Session(pool=path, start_pool=False)
        connection = connect(path)
        connection.send(hello())
        assert "belongs to user id 0, you are 65534" in welcome(receive(connection)[0])[1]
        connection.close()
    finally:
        os.seteuid(0)
        os.chmod(pool.folder, 0o700)
    goes_on(bystander)
