"""A client, and a manager, that speak the wire's language by hand: they write what the library never would.

Layouts are those of csrc/wire/protocol.h and ring.h. Invariant: nothing here checks anything; that is the other side's part.
"""

import array
import mmap
import os
import select
import socket
import struct
import threading

MAGIC, PROTOCOL = 0x5254534D, 5
HELLO = struct.Struct("<IIq64s64sII")
WELCOME = struct.Struct("<IIiIIIQQq2048s")
REQUEST = struct.Struct("<IHHQQqQIHHQI4x")  # nbytes kind flags, request after timeout argument, kinds start hold, window, text_nbytes
WORD = struct.Struct("<IHHQ")
OFFER = struct.Struct("<IHHQqIIQQQQIHH")  # nbytes kind flags, id timeout, segment pad offset nbytes, mask mask tail nvalues schema
RUN = struct.Struct("<IHHQQqIHH16sQQIHH")  # nbytes kind flags, id sequence timeout count nown has_places positions, then as in OFFER
PLACE = struct.Struct("<IIQQ")  # segment pad offset nbytes
CAPACITIES = {"offers": 256 << 10, "control": 256 << 10, "releases": 64 << 10, "replies": 256 << 10, "freed": 64 << 10}
HEADER = 192  # of a ring: head at 0, tail at 64
KIND_OFFER, KIND_RUN, KIND_FLUSH, KIND_WORD = 1, 2, 16, 64
NO_SEGMENT = 0xFFFFFFFF
FETCH_WINDOW = 2


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(5)
    connection.connect(str(path))
    return connection


def hello(component=b"wild", rank=7, protocol=PROTOCOL, magic=MAGIC, schema=b""):
    return HELLO.pack(magic, protocol, rank, component, schema, 0, 0)


def receive(connection, nbytes=4096):
    """A packet and the descriptors that came with it."""
    packet, ancillary, _, _ = connection.recvmsg(nbytes, socket.CMSG_SPACE(4 * 8))
    fds = array.array("i")
    for _, _, data in ancillary:
        fds.frombytes(data)
    return packet, list(fds)


def welcome(packet):
    """Status and text of a welcome."""
    fields = WELCOME.unpack(packet)
    return fields[2], fields[-1].split(b"\0")[0].decode()


class RawClient:
    """A session whose rings are written by hand."""

    def __init__(self, path, component=b"wild", schema=b""):
        self.connection = connect(path)
        self.connection.send(hello(component, schema=schema))
        packet, self.fds = receive(self.connection)
        assert welcome(packet)[0] == 0, welcome(packet)
        self.session, self.schema = WELCOME.unpack(packet)[3:5]
        self.memory = mmap.mmap(self.fds[0], sum(CAPACITIES.values()) + HEADER * len(CAPACITIES))
        names = list(CAPACITIES)
        self.at = {name: sum(CAPACITIES[before] + HEADER for before in names[:i]) for i, name in enumerate(names)}
        self.position = dict.fromkeys(names, 0)

    def set_head(self, ring, value):
        at = self.at[ring]
        self.memory[at : at + 8] = value.to_bytes(8, "little")  # in one piece: pack_into clears first, and the manager may look just then
        os.eventfd_write(self.fds[3], 1)

    def set_tail(self, ring, value):
        at = self.at[ring] + 64
        self.memory[at : at + 8] = value.to_bytes(8, "little")

    def put(self, ring, message, size=None):
        """A message whose first word says `size`, its true one by default."""
        room = -(-len(message) // 8) * 8
        at = self.at[ring] + HEADER + self.position[ring]
        self.memory[at : at + len(message)] = message
        struct.pack_into("<I", self.memory, at, room if size is None else size)
        self.position[ring] += room
        self.set_head(ring, self.position[ring])

    def offer(self, number=1, segment=NO_SEGMENT, offset=0, nbytes=0, mask=0, kind=KIND_OFFER):
        self.put(
            "offers", OFFER.pack(0, kind, 0, self.session << 40 | number, 10**9, segment, 0, offset, nbytes, mask, 0, 0, 0, self.schema)
        )

    def run(self, keys, values, rows, own=None, places=None, **changes):
        """A run: keys and the first object's values, in the order of the keys; the rows' own words; places before them."""
        own = range(len(rows[0]) if rows else 0) if own is None else own
        masks = [sum(1 << key % 64 for key in keys if key // 64 == half) for half in (0, 1)]
        fields = {"id": self.session << 40 | 1, "count": len(rows), "nown": len(own), "has_places": int(places is not None), "tail": 0,
                  "nvalues": len(values), "schema": self.schema} | changes  # fmt: skip
        message = RUN.pack(0, KIND_RUN, 0, fields["id"], 0, 10**9, fields["count"], fields["nown"], fields["has_places"],
                           bytes(own).ljust(16, b"\0"), *masks, fields["tail"], fields["nvalues"], fields["schema"])  # fmt: skip
        message += struct.pack(f"<{len(values)}Q", *values)
        for i, row in enumerate(rows):
            message += (PLACE.pack(*places[i]) if places else b"") + struct.pack(f"<{len(row)}Q", *row)
        self.put("offers", message + fields.get("more", b""))

    def request(self, kind=KIND_FLUSH, text_nbytes=0, after=0, argument=0, window=0, rows=1):
        """`rows` is also an event kind: offered."""
        self.put("control", REQUEST.pack(0, kind, 0, 1, after, 10**9, argument, rows, 0, 0, window, text_nbytes))

    def release(self, *leases):
        self.put("releases", WORD.pack(0, KIND_WORD, 0, leases[0]) + struct.pack(f"<{len(leases) - 1}Q", *leases[1:]))

    def reply_value(self):
        """The value of the first reply."""
        return struct.unpack_from("<Q", self.memory, self.at["replies"] + HEADER + 24)[0]

    def fetch_window(self, number):
        """A subscription's window, to be written."""
        self.connection.send(struct.pack("<II", FETCH_WINDOW, number))
        _, fds = receive(self.connection)
        window = mmap.mmap(fds[0], 0)
        for fd in fds:
            os.close(fd)
        return window

    def is_cut_off(self, seconds=3):
        """Whether the manager closes the connection in this time."""
        return bool(select.select([self.connection], [], [], seconds)[0]) and self.connection.recv(64) == b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.memory.close()
        for fd in self.fds:
            os.close(fd)


class FakeManager:
    """Listens where a manager would, and answers every hello by what `answer(connection)` does."""

    def __init__(self, path, answer):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen()
        self.answer, self.kept = answer, []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # closed
                return
            self.kept.append(connection)
            connection.recv(4096)
            self.answer(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        for connection in self.kept:
            connection.close()
