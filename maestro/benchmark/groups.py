"""Which programs are run for which group of rows, and with which words.

Sources of one group run in turn, again and again, so that Maestro, its bound and its peers see the same machine.
Invariant: no source runs more processes that spin than there are cores.
"""

from __future__ import annotations

from pathlib import Path

from . import arrays
from .sources import Source, c, python


def zeromq_library() -> str:
    """libzmq as pyzmq brings it; a name that cannot be loaded if there is none, so that the source says so."""
    try:
        import zmq
    except ImportError:
        return "libzmq.so.5"
    found = sorted(Path(zmq.__file__).parents[1].glob("pyzmq.libs/libzmq*"))
    return str(found[0]) if found else "libzmq.so.5"


def zeromq(words: str, quick: str) -> Source:
    library = zeromq_library()
    return c("zeromq", f"{library} {words}", f"{library} {quick}", peer="ZeroMQ in C")


MIB = 1 << 20
# Bytes, objects in a round, and in a round of a quick run.
SIZES = {"64 B": (64, 500, 500), "64 KiB": (64 << 10, 300, 300), "1 MiB": (MIB, 200, 50), "64 MiB": (64 * MIB, 8, 4)}
FEWER = {("redis", "1 MiB"): 20, ("redis", "64 KiB"): 100, ("zeromq", "64 MiB"): 3}  # a millisecond and more for each


# A quick run leaves out what takes long and says little more than its neighbours (group:source).
NOT_QUICK = (
    "offers-c:direct",
    "subscriptions:n10",
    "subscriptions:n100",
    "subscriptions:[zr]*",
    "columns-python:iceoryx2",
    "columns-python:zeromq frames",
    "columns-python:redis",
    "columns-python:* blobs",
    "columns-python:relay",
    "latency:redis",
    "demand-*64 KiB",
    "demand-*64 MiB",
    "demand-python:*1 MiB",
    "demand-python:[zr]*",
    "question:zeromq",
    "question:redis",
    "question:maestro",
    "wrap:16 MiB",
    "wrap-python:*",
    "meaning:queries",
)


def groups() -> dict[str, dict[str, Source]]:
    """Group -> name -> source."""
    systems = ("maestro", "zeromq", "iceoryx2", "redis")
    few = {"redis": ("20000", "4000")}
    handovers = {"64 B": systems, "64 KiB": systems, "1 MiB": systems, "64 MiB": systems[:3]}
    return {
        "offers-c": {
            "one": c("stream", "500000 1", "150000 1"),
            "relay": c("bare", "relay 2000000", "relay 500000"),
            "direct": zeromq("direct 400000", "direct 100000"),
            "stored": zeromq("relay 400000", "relay 100000"),
        },
        "subscriptions": {
            **{f"n{n}": c("stream", f"300000 {n}", f"80000 {n}") for n in (1, 10, 100, 1000)},
            "maestro1": python("maestro", "rate 60000", "rate 20000"),
            "maestro1000": python("maestro", "rate 60000 999", "rate 20000 999"),
            "zeromq1": python("zeromq", "rate 30000 1", "rate 8000 1"),
            "zeromq1000": python("zeromq", "rate 30000 999", "rate 8000 999"),
            "redis1": python("redis", "rate 10000 1", "rate 3000 1"),
            "redis1000": python("redis", "rate 4000 999", "rate 1500 999"),
        },
        "offers-python": {s: python(s, "rate " + few.get(s, ("100000",))[0], "rate " + few.get(s, ("", "25000"))[1]) for s in systems},
        "columns-python": {
            "maestro": python("maestro", "columns 1000000", "columns 200000"),
            **{s: python(s, "tuples 400000", "tuples 100000") for s in ("zeromq", "iceoryx2")},
            "zeromq frames": python("zeromq", "columns 100000", "columns 20000"),
            "redis": python("redis", "columns 20000", "columns 5000"),
            **{f"{s} blobs": python(s, "blobs 1000000", "blobs 200000") for s in ("zeromq", "iceoryx2", "redis")},
            "relay": c("bare", "relay 2000000", "relay 500000"),
        },
        "groups-python": {
            "maestro": python("maestro", "groups 100000", "groups 30000"),
            "redis": python("redis", "groups 20000", "groups 6000"),
        },
        "latency": {
            "c": c("latency", "1000", "300"),
            "zeromq-c": zeromq("latency 1000", "latency 300"),
            **{s: python(s, "latency 1000", "latency 300") for s in systems},
        },
        "demand-python": {
            f"{s} {size}": python(s, *(f"handover {FEWER.get((s, size), n)} {SIZES[size][0]}" for n in SIZES[size][1:]))
            for size, those in handovers.items()
            for s in those
        },
        "demand-c": {size: c("demand", f"pushed {nbytes} 10", f"pushed {nbytes} 5") for size, (nbytes, *_) in SIZES.items()},
        "question": {
            "c": c("demand", "question 1000", "question 400"),
            "asleep": c("bare", "asleep 1000", "asleep 400"),
            "awake": c("bare", "awake 100000", "awake 50000"),
            "zeromq-c": zeromq("question 1000", "question 400"),
            **{s: python(s, "question 1000", "question 300") for s in ("maestro", "zeromq", "redis")},
        },
        "busy": {"busy": c("demand", "busy 1", "busy 1")},
        "touch": {"touch": c("memory", "touch 134217728", "touch 67108864")},
        "wrap": {
            "1 MiB": c("memory", "wrap 1048576 5", "wrap 1048576 3"),
            "16 MiB": c("memory", "wrap 16777216 5", "wrap 16777216 3"),
        },
        "wrap-python": {s: python(s, f"wrapped {2 if s == 'redis' else 5} {MIB}", f"wrapped 2 {MIB}") for s in systems},
        "idle": {
            "catalogue": c("memory", "catalogue 200000", "catalogue 100000"),
            "redis": python("redis", "memory 20000", "memory 5000", once=True),
        },
        "alloc": {"alloc": c("alloc", "plain", "plain")},
        "meaning": {
            "meta": c("meta_cost", "", ""),
            "queries": python("maestro", "queries 100000 200", "queries 100000 60"),
        },
        **arrays.sources(),
    }
