"""iceoryx2, publish and subscribe of byte slices; an object is a pickled dictionary.  It neither stores nor matches.

For latency the producer rings an event after each sample and the consumer sleeps on it; for rates the consumer polls, which is quicker.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import time
from collections.abc import Iterator
from typing import Any

import iceoryx2

from . import FEW
from . import System as Base
from .columns import pack, unpack

OBJECT_NBYTES, RING = 512, 4096
WAIT_S = 30


@contextlib.contextmanager
def around(folder: str) -> Iterator[None]:
    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    yield


class System(Base):
    def __init__(self, producer: bool, what: str, count: int, nbytes: int) -> None:
        super().__init__(producer, what, count, nbytes)
        if what == "question":
            raise RuntimeError("iceoryx2 has no objects to ask for")
        self.node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
        self.name = f"maestro-bench-{os.getppid()}"
        depth = {"handover": FEW + count, "wrapped": 8, "tuples": 64, "blobs": 64}.get(what, RING)
        longest = (0 if what == "rate" else nbytes) or (OBJECT_NBYTES * 1000 if what in ("tuples", "blobs") else OBJECT_NBYTES)
        self.bell = self.listener = None
        self.open(depth, longest)

    def open(self, depth: int, longest: int) -> None:
        named = self.node.service_builder(iceoryx2.ServiceName.new(self.name))
        slices = named.publish_subscribe(iceoryx2.Slice[ctypes.c_uint8]).enable_safe_overflow(False)
        self.service = (
            slices.subscriber_max_buffer_size(depth)
            .subscriber_max_borrowed_samples(2)
            .max_publishers(1)
            .max_subscribers(1)
            .open_or_create()
        )
        if self.producer:
            builder = self.service.publisher_builder().initial_max_slice_len(longest).max_loaned_samples(2)
            self.publisher = builder.backpressure_strategy(iceoryx2.BackpressureStrategy.RetryUntilDelivered).create()
        else:
            self.subscriber = self.service.subscriber_builder().buffer_size(depth).create()
        events = self.node.service_builder(iceoryx2.ServiceName.new(self.name + "-bell")).event().open_or_create()
        self.ringer, self.ears = (events.notifier_builder().create(), None) if self.producer else (None, events.listener_builder().create())

    def wake_receiver(self) -> None:
        self.bell = self.ringer

    def sleep_when_idle(self) -> None:
        self.listener = self.ears

    def send(self, data: bytes) -> None:
        sample = self.publisher.loan_slice_uninit(len(data))
        ctypes.memmove(sample.payload_ptr, data, len(data))
        sample.assume_init().send()
        if self.bell is not None:
            self.bell.notify()

    def receive(self) -> Any:
        sample = self.subscriber.receive()
        give_up = None
        while sample is None:
            give_up = give_up or time.monotonic() + WAIT_S
            if self.listener is not None:
                self.listener.timed_wait(iceoryx2.Duration.from_secs(1))
            else:
                os.sched_yield()
            if time.monotonic() > give_up:
                raise TimeoutError("no sample came")
            sample = self.subscriber.receive()
        return sample

    def read(self) -> bytes:
        sample = self.receive()
        return ctypes.string_at(sample.payload_ptr, sample.header.number_of_elements)

    def send_object(self, attributes: dict[str, Any]) -> None:
        self.send(pickle.dumps(attributes, 5))

    def receive_object(self) -> Any:
        return pickle.loads(self.read())

    def send_columns(self, count: int, columns: dict[str, Any]) -> None:
        self.send(pack(self.what, count, columns))

    def receive_columns(self, count: int, keys: tuple[str, ...]) -> dict[str, Any]:
        return unpack(self.what, self.read(), count, keys)

    def send_bytes(self, i: int, nbytes: int) -> None:
        sample = self.publisher.loan_slice_uninit(nbytes)
        ctypes.c_uint8.from_address(sample.payload_ptr).value = (i + 1) % 256
        sample.assume_init().send()

    def send_array(self, i: int, block: Any) -> None:
        sample = self.publisher.loan_slice_uninit(len(block))
        ctypes.memmove(sample.payload_ptr, block.ctypes.data, len(block))
        sample.assume_init().send()

    def receive_first_byte(self) -> int:
        sample = self.receive()
        return ctypes.c_uint8.from_address(sample.payload_ptr).value
