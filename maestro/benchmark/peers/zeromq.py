"""ZeroMQ (pyzmq), PUSH/PULL over ipc; an object is a pickled dictionary, of a batch a frame.  It neither stores nor matches."""

from __future__ import annotations

import contextlib
import os
import pickle
import time
from collections.abc import Iterator
from typing import Any

import zmq

from . import FEW, FEW_NBYTES
from . import System as Base
from .columns import chosen, pack, tuples, unpack

SMALL = 65536
PREFIX = b"enfo.pf:"


@contextlib.contextmanager
def around(folder: str) -> Iterator[None]:
    yield


class System(Base):
    def __init__(self, producer: bool, what: str, count: int, nbytes: int) -> None:
        super().__init__(producer, what, count, nbytes)
        self.context = zmq.Context()
        self.socket = self.context.socket(kind_of(what, nbytes)[0 if producer else 1])
        self.socket.set_hwm(8 if what == "wrapped" else 1_000_000)
        self.socket.setsockopt(zmq.RCVTIMEO, 30_000)
        self.socket.setsockopt(zmq.SNDTIMEO, 30_000)
        address = f"ipc://{os.environ['BENCH_PLACE']}/zeromq"
        (self.socket.bind if producer else self.socket.connect)(address)
        self.by_prefix = what == "rate" and nbytes > 0
        self.under_way: list[Any] = []
        handed_over = producer and what == "handover"
        self.blocks = [bytearray(n) for n in [FEW_NBYTES] * FEW + [nbytes] * count] if handed_over else []

    def close(self) -> None:
        self.socket.close(linger=30_000 if self.producer else 0)
        self.context.term()

    def subscribe_to_others(self, count: int) -> None:
        """Prefixes are all that it matches; a publisher drops what comes before it knows of them, so they get time."""
        for i in range(count):
            self.socket.setsockopt(zmq.SUBSCRIBE, b"other%d:" % i)
        self.socket.setsockopt(zmq.SUBSCRIBE, PREFIX)
        time.sleep(1)

    def send_object(self, attributes: dict[str, Any]) -> None:
        packed = pickle.dumps(attributes, 5)
        self.socket.send(PREFIX + packed if self.by_prefix else packed)

    def receive_object(self) -> Any:
        message = self.socket.recv()
        return pickle.loads(message[len(PREFIX) :] if self.by_prefix else message)

    def send_columns(self, count: int, columns: dict[str, Any]) -> None:
        if self.what == "columns":
            frames = [pickle.dumps(one, 5) for one in tuples(count, columns)]
            self.socket.send_multipart([pickle.dumps(tuple(columns), 5), *frames])
        else:
            self.socket.send(pack(self.what, count, columns))

    def receive_columns(self, count: int, keys: tuple[str, ...]) -> dict[str, Any]:
        if self.what != "columns":
            return unpack(self.what, self.socket.recv(), count, keys)
        names, *objects = map(pickle.loads, self.socket.recv_multipart())
        return chosen(names, objects, keys)

    def send_bytes(self, i: int, nbytes: int) -> None:
        self.blocks[i][0] = (i + 1) % 256
        if nbytes < SMALL:
            self.socket.send(self.blocks[i])
        else:
            self.under_way.append(self.socket.send(self.blocks[i], copy=False, track=True))

    def flush(self) -> None:
        """Of large blocks: until the last byte has left this process for the consumer's, which reads them of its own accord."""
        for one in self.under_way:
            one.wait(30)
        self.under_way.clear()

    def send_array(self, i: int, block: Any) -> None:
        self.socket.send(block, copy=False)

    def receive_first_byte(self) -> int:
        return self.socket.recv(copy=False).buffer[0]

    def serve(self, meeting: Any, objects: list[dict[str, Any]]) -> None:
        by_key = {key_of(attributes): str(i).encode() for i, attributes in enumerate(objects)}
        meeting.tell()
        for _ in range(self.count):
            self.socket.send(by_key[self.socket.recv()])
        meeting.wait()

    def ask(self, wanted: dict[str, Any]) -> str:
        self.socket.send(key_of(wanted))
        return self.socket.recv().decode()


def kind_of(what: str, nbytes: int) -> tuple[int, int]:
    """Sockets of producer and consumer; only publishers and subscribers match."""
    if what == "question":
        return zmq.REP, zmq.REQ
    return (zmq.PUB, zmq.SUB) if what == "rate" and nbytes else (zmq.PUSH, zmq.PULL)


def key_of(attributes: dict[str, Any]) -> bytes:
    return f"{attributes['param']}:{attributes['levelist']:g}:{attributes['number']}".encode()
