"""ZeroMQ (pyzmq), PUSH/PULL over ipc; an object is a pickled dictionary.  It neither stores nor matches."""

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
        self.socket.send(pickle.dumps(rows(count, columns), 5))

    def receive_columns(self, count: int, keys: tuple[str, ...]) -> dict[str, Any]:
        objects = [one for one in pickle.loads(self.socket.recv()) if one["stream"] == "enfo"]
        return {key: [one[key] for one in objects] for key in keys}

    def send_blob(self, columns: dict[str, Any]) -> None:
        self.socket.send(pickle.dumps(columns, 5))

    def receive_blob(self, keys: tuple[str, ...]) -> dict[str, Any]:
        return chosen(pickle.loads(self.socket.recv()), keys)

    def send_bytes(self, i: int, nbytes: int) -> None:
        self.blocks[i][0] = (i + 1) % 256
        self.socket.send(self.blocks[i], copy=nbytes < SMALL)

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


def rows(count: int, columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Columns as one dictionary for each object: a peer that has no columns of attributes sends these."""
    lists = {
        key: value if isinstance(value, list) else value.tolist() if hasattr(value, "tolist") else [value] * count
        for key, value in columns.items()
    }
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def chosen(columns: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """These columns, if the stream is the one asked for; what is one value for all becomes a column."""
    import numpy as np

    count = len(columns["number"]) if columns["stream"] == "enfo" else 0
    return {key: value[:count] if isinstance(value := columns[key], np.ndarray) else np.full(count, value) for key in keys}


def key_of(attributes: dict[str, Any]) -> bytes:
    return f"{attributes['param']}:{attributes['levelist']:g}:{attributes['number']}".encode()
