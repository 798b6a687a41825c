"""Redis Streams for objects, lists for bytes, keys for questions; a server of our own on a unix socket, without persistence.

The server stores; it matches nothing, the consumer filters.  Offers are pipelined, 100 at a time, for rates: one at a time it is
five times slower.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from . import PARAMS, MissingError
from . import System as Base
from .columns import pack, tuples, unpack
from .zeromq import key_of

PIPELINED, PIPELINED_STEPS, READ_COUNT, WAIT_S = 100, 10, 200, 30


@contextlib.contextmanager
def around(folder: str) -> Iterator[None]:
    server = shutil.which("redis-server")
    if server is None:
        raise MissingError("redis-server is not installed; install it with: apt-get install redis-server")
    words = [server, "--port", "0", "--unixsocket", f"{folder}/redis", "--save", "", "--appendonly", "no", "--dir", folder]
    with open(f"{folder}/redis.log", "w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        wait_until_ready(folder)
        yield
    finally:
        process.terminate()
        process.wait(WAIT_S)


def wait_until_ready(folder: str) -> None:
    give_up = time.monotonic() + 5
    while True:
        try:
            with connect(folder) as client:
                client.ping()
            return
        except redis.ConnectionError as error:
            if time.monotonic() > give_up:
                raise MissingError(f"redis-server does not answer: {Path(folder, 'redis.log').read_text()[-300:]}") from error
            time.sleep(0.01)


def connect(folder: str, **more: Any) -> redis.Redis:
    return redis.Redis(unix_socket_path=f"{folder}/redis", socket_timeout=WAIT_S, **more)


class System(Base):
    def __init__(self, producer: bool, what: str, count: int, nbytes: int) -> None:
        super().__init__(producer, what, count, nbytes)
        bytes_wanted = what in ("handover", "wrapped", "blobs")
        self.client = connect(os.environ["BENCH_PLACE"], decode_responses=not bytes_wanted)
        self.pipe = self.client.pipeline(transaction=False)
        self.waiting, self.last, self.came = 0, "0", iter(())
        self.block = bytearray(nbytes if bytes_wanted else 0)
        self.channel = self.client.pubsub(ignore_subscribe_messages=True) if what == "rate" and nbytes else None

    def close(self) -> None:
        self.client.close()

    def subscribe_to_others(self, count: int) -> None:
        """Channels named by the values, each looked up in a hash: the quickest that the server matches."""
        self.channel.subscribe(*(channel_of(f"other{i}") for i in range(count)))
        self.channel.subscribe(*(channel_of(param) for param in PARAMS))
        time.sleep(0.5)

    def send_object(self, attributes: dict[str, Any]) -> None:
        if self.channel is not None:
            self.pipe.publish(channel_of(attributes["param"]), json.dumps(attributes))
        else:
            self.pipe.xadd("objects", attributes)
        self.waiting += 1
        if self.waiting == PIPELINED:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.pipe.execute()
        self.waiting = 0

    def flush_one(self) -> None:
        self.flush()

    def receive_object(self) -> dict[str, Any]:
        if self.channel is not None:
            return self.receive_published()
        one = self.next_entry()
        return one | {"number": int(one["number"]), "step": int(one["step"])}

    def next_entry(self) -> dict[Any, Any]:
        one = next(self.came, None)
        if one is None:
            entries = self.client.xread({"objects": self.last}, count=READ_COUNT, block=WAIT_S * 500)[0][1]
            self.last, self.came = entries[-1][0], iter(entries)
            one = next(self.came)
        return one[1]

    def join_group(self, group: str) -> None:
        self.group, self.member = group, f"{group}-{os.getpid()}"
        with contextlib.suppress(redis.ResponseError):  # the other member was first
            self.client.xgroup_create("objects", group, id="0", mkstream=True)

    def receive_share(self, timeout: float) -> list[Any]:
        came = self.client.xreadgroup(self.group, self.member, {"objects": ">"}, count=READ_COUNT, block=int(timeout * 500))
        self.taken = [entry for entry, _ in came[0][1]] if came else []
        return [{"number": int(one["number"]), "step": int(one["step"])} for _, one in came[0][1]] if came else []

    def acknowledge(self, got: list[Any]) -> None:
        self.client.xack("objects", self.group, *self.taken)

    def receive_published(self) -> dict[str, Any]:
        message = None
        while message is None:  # confirmations of subscriptions are passed over
            message = self.channel.get_message(timeout=WAIT_S)
        return json.loads(message["data"])

    def send_columns(self, count: int, columns: dict[str, Any]) -> None:
        if self.what == "blobs":
            self.pipe.xadd("objects", {"columns": pack(self.what, count, columns)})
            self.waiting += 1
            if self.waiting == PIPELINED_STEPS:
                self.flush()
            return
        for one in tuples(count, columns):
            self.pipe.xadd("objects", dict(zip(columns, one, strict=True)))
        self.pipe.execute()

    def receive_columns(self, count: int, keys: tuple[str, ...]) -> dict[str, Any]:
        if self.what == "blobs":
            return unpack(self.what, self.next_entry()[b"columns"], count, keys)
        entries = self.client.xread({"objects": self.last}, count=count, block=WAIT_S * 500)[0][1]
        self.last = entries[-1][0]
        objects = [one for _, one in entries if one["stream"] == "enfo"]
        return {key: [int(one[key]) for one in objects] for key in keys}

    def send_bytes(self, i: int, nbytes: int) -> None:
        self.block[0] = (i + 1) % 256
        self.client.rpush("bytes", bytes(self.block if nbytes == len(self.block) else self.block[:nbytes]))

    def send_array(self, i: int, block: Any) -> None:
        while self.client.llen("bytes") > 8:
            time.sleep(0.0001)
        self.client.rpush("bytes", memoryview(block))

    def receive_first_byte(self) -> int:
        return self.client.blpop("bytes", WAIT_S // 2)[1][0]

    def serve(self, meeting: Any, objects: list[dict[str, Any]]) -> None:
        for i, attributes in enumerate(objects):
            self.client.set(key_of(attributes), str(i))
        meeting.tell()
        meeting.wait()

    def ask(self, wanted: dict[str, Any]) -> str:
        return self.client.get(key_of(wanted))

    def memory(self, field: Callable[[int], dict[str, Any]], count: int) -> dict[str, Any]:
        """Bytes per object as an entry of a stream, which cannot be asked for by value, and as a hash with a key."""

        def used() -> int:
            return self.client.info("memory")["used_memory"]

        before = used()
        for i in range(count):
            self.send_object(field(i))
        self.flush()
        stream = used()
        for i in range(count):
            self.pipe.hset(f"object:{i}", mapping=field(i))
            if i % PIPELINED == 0:
                self.pipe.execute()
        self.pipe.execute()
        return {"stream_nbytes": (stream - before) / count, "hash_nbytes": (used() - stream) / count}


def channel_of(param: str) -> str:
    return f"od.enfo.pf.{param}"
