"""Clients that write garbage, and what answers in a manager's place: the faulty one alone has the error, at once and by name."""

import os
import random
import socket

import numpy as np
import pytest
from poolside import raises, takes_less_than, within
from rawside import KIND_FLUSH, PROTOCOL, WELCOME, FakeManager, RawClient, connect, hello, receive, welcome

import maestro


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
