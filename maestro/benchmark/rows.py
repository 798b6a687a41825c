"""The rows: which figures they are made of, what bounds them, which peers they race, and how good they must be.

"Must" is the bar for calling a row done, "aim" where it is meant to be.  A peer is used its quickest natural way; its `does` says what it
leaves out.  Peers are raced also where they do less than the row, as long as objects come out of them one by one.  References are shown
with their figures, not raced, because they do another thing, whoever is quicker: columns in which no object is found, an entry that no
key finds, memory that no other process reads.
Invariant: a row names every peer that there is or says why there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Figures = dict[str, float]  # "source:figure" -> value, of one repetition or medians
Value = str | Callable[[Figures], float]


@dataclass(frozen=True)
class Other:
    """A bound, a peer or a reference: a name, its figure, and what it does less or more."""

    name: str
    value: Value
    does: str = ""
    absent: str = ""  # why there is no figure though its program ran


@dataclass(frozen=True)
class Row:
    key: str
    group: str
    title: str
    unit: str
    value: Value
    must: float | Callable[[Figures], float] | None
    aim: float | Callable[[Figures], float] | None
    scale: float = 1.0
    higher: bool = False  # is more better?
    bound: Other | None = None
    peers: tuple[Other, ...] = ()
    references: tuple[Other, ...] = ()  # do less than the row asks for; shown, not raced
    no_peer: str = ""
    details: dict[str, Value] = field(default_factory=dict)


SIZES = ("64 B", "64 KiB", "1 MiB", "64 MiB")
PYTHON_ONE = "neither stores nor matches"
DOES = {"zeromq": PYTHON_ONE, "iceoryx2": PYTHON_ONE, "redis": "stores; the consumer filters"}
NAMES = {"zeromq": "ZeroMQ", "iceoryx2": "iceoryx2", "redis": "Redis"}


def peers(
    figure: str, prefix: str = "{}", does: dict[str, str] | None = None, of: tuple[str, ...] = ("zeromq", "iceoryx2", "redis")
) -> tuple[Other, ...]:
    return tuple(Other(NAMES[s], f"{prefix.format(s)}:{figure}", (does or DOES).get(s, "")) for s in of)


def worst(pattern: str) -> Callable[[Figures], float]:
    """The largest figure whose name begins and ends so."""
    start, end = pattern.split("*")

    def value(figures: Figures) -> float:
        return max(v for name, v in figures.items() if name.startswith(start) and name.endswith(end))

    return value


def ratio(above: str, below: str) -> Callable[[Figures], float]:
    return lambda figures: figures[above] / figures[below]


def times(name: str, factor: float, plus: float = 0.0) -> Callable[[Figures], float]:
    return lambda figures: figures[name] * factor + plus


def query_ratio(figures: Figures) -> float:
    start = "queries:many_"
    return max(v / figures[f"queries:few_{name.removeprefix(start)}"] for name, v in figures.items() if name.startswith(start))


def rows() -> list[Row]:
    from . import arrays  # its rows are made of what stands here

    return [*rate_rows(), *latency_rows(), *demand_rows(), *memory_rows(), *meaning_rows(), *arrays.rows()]


def rate_rows() -> list[Row]:
    relay = Other("bare records through two rings and a relay", "relay:rate")
    counts = {f"{n} subscriptions, 1/s": f"n{n}:rate" for n in (1, 10, 100, 1000)}
    cpu = {f"{who} CPU ns an object": f"one:{who}_cpu_ns" for who in ("producer", "manager", "consumer")}
    stored = Other("ZeroMQ", "stored:rate", "a third process keeps a copy and compares a prefix")
    direct = Other("ZeroMQ, directly", "direct:rate", PYTHON_ONE)
    batches = {
        "zeromq": "a pickled list of 1000 tuples a message, the consumer filters; " + PYTHON_ONE,
        "iceoryx2": "a pickled list of 1000 tuples a sample, the consumer filters; " + PYTHON_ONE,
        "redis": "1000 XADD a pipeline; stores each, the consumer filters",
    }
    frames = Other("ZeroMQ, frames", "zeromq frames:rate", "1000 frames a message, one an object, the consumer filters; " + PYTHON_ONE)
    one_blob = "pickled columns as one {}, masked by the consumer: no object in it can be found, {}matched or leased singly"
    blobs = tuple(
        Other(f"{NAMES[s]}, columns", f"{s} blobs:rate", one_blob.format(thing, stored_too))
        for s, thing, stored_too in (
            ("zeromq", "message", "stored, "),
            ("iceoryx2", "sample", "stored, "),
            ("redis", "entry that is stored", ""),
        )
    )
    others = (
        Other("ZeroMQ", "zeromq1000:rate", "prefixes only, at the publisher; stores nothing"),
        Other("Redis", "redis1000:rate", "channels by their names; stores nothing"),
    )
    more = {"scale": 1e-6, "higher": True}
    return [
        Row(
            "offer-c",
            "offers-c",
            "offers that reach a subscriber, C, one call each",
            "M/s",
            "one:rate",
            2,
            5,
            bound=relay,
            peers=(stored, direct),
            details=cpu,
            **more,
        ),
        Row(
            "offer-python", "offers-python", "the same, Python, one call each", "M/s", "maestro:rate", 0.5, 0.8, peers=peers("rate"), **more
        ),
        Row(
            "columns-python",
            "columns-python",
            "the same, Python, 1000 a call, read by columns",
            "M/s",
            "maestro:rate",
            5,
            10,
            bound=relay,
            peers=(*peers("rate", does=batches), frames),
            references=blobs,
            **more,
        ),
        Row(
            "groups-python",
            "groups-python",
            "objects that two groups of two consumers take and acknowledge, Python",
            "M/s",
            "maestro:rate",
            0.3,
            1,
            peers=peers("rate", does={"redis": "stores; XREADGROUP and XACK of 200 entries"}, of=("redis",)),
            details={"least share of a member": "maestro:least_share"},
            **more,
        ),
        Row(
            "subscriptions",
            "subscriptions",
            "1000 subscriptions on other values: how much slower than 1, C",
            "x",
            ratio("n1:rate", "n1000:rate"),
            2,
            1.1,
            no_peer="factors of peers that start from other rates say little; see the row for Python",
            details=counts,
        ),
        Row(
            "subscriptions-python",
            "subscriptions",
            "offers that reach a subscriber among 1000 on other values, Python, one call each",
            "M/s",
            "maestro1000:rate",
            None,
            None,
            peers=others,
            details={
                f"{NAMES.get(s, s)}, how much slower than with 1": ratio(f"{s}1:rate", f"{s}1000:rate")
                for s in ("maestro", "zeromq", "redis")
            },
            **more,
        ),
    ]


def latency_rows() -> list[Row]:
    out = []
    for q in ("p50", "p99"):
        chain = Other("bare chain of two eventfds", f"c:chain_{q}_ns")
        in_c = Other("ZeroMQ in C", f"zeromq-c:{q}_ns", "through a process in between")
        one_hop = {"zeromq": "one hop", "iceoryx2": "one hop", "redis": "through its server"}
        micro = {"unit": "us", "scale": 1e-3, "group": "latency", "bound": chain}
        out += [
            Row(
                f"latency-c-{q}",
                title=f"offer to event at 1 kHz, all asleep, C, {q}",
                value=f"c:maestro_{q}_ns",
                must=times(f"c:chain_{q}_ns", 1.5),
                aim=times(f"c:chain_{q}_ns", 1.1),
                peers=(in_c,),
                **micro,
            ),
            Row(
                f"latency-python-{q}",
                title=f"the same, Python, {q}",
                value=f"maestro:{q}_ns",
                must=times(f"c:chain_{q}_ns", 1.5, 20_000),
                aim=None,
                peers=peers(f"{q}_ns", does=one_hop),
                **micro,
            ),
        ]
    return out


def demand_rows() -> list[Row]:
    out = []
    handed_over = {
        "zeromq": "its copy has come into the reader's memory before the clock starts; freeing that is included",
        "redis": "fetches the bytes from its server",
    }
    for size in SIZES:
        there = ("zeromq", "iceoryx2") if size == "64 MiB" else ("zeromq", "iceoryx2", "redis")
        out += [
            Row(
                f"demand-c-{size}",
                "demand-c",
                f"demand, lease pushed with the event, {size}, C",
                "us",
                f"{size}:ns",
                0.5,
                0.2,
                1e-3,
                no_peer="peers have Python figures here, see the row for Python",
                details={"page faults each": f"{size}:faults"},
            ),
            Row(
                f"demand-python-{size}",
                "demand-python",
                f"the same, {size}, Python",
                "us",
                f"maestro {size}:ns",
                4,
                2,
                1e-3,
                peers=peers("ns", "{} " + size, handed_over, there),
            ),
        ]
    asleep, awake = Other("bare, both asleep", "asleep:p50_ns"), Other("bare, both spinning", "awake:p50_ns")
    in_c = Other("ZeroMQ in C", "zeromq-c:p50_ns", "nothing is looked up")
    by_key = {"zeromq": "a dictionary's key", "redis": "a key"}
    return [
        *out,
        Row(
            "question-asleep",
            "question",
            "demand by question, manager asleep, C",
            "us",
            "c:asleep_p50_ns",
            15,
            10,
            1e-3,
            bound=asleep,
            peers=(in_c,),
            details={"p99 ns": "c:asleep_p99_ns"},
        ),
        Row(
            "question-awake",
            "question",
            "the same, back to back, C",
            "us",
            "c:awake_p50_ns",
            2,
            1,
            1e-3,
            bound=awake,
            no_peer="none that was measured answers without sleeping in between",
        ),
        Row(
            "question-python",
            "question",
            "demand by question, asleep, Python",
            "us",
            "maestro:p50_ns",
            None,
            None,
            1e-3,
            bound=asleep,
            peers=peers("p50_ns", does=by_key, of=("zeromq", "redis")),
        ),
        Row(
            "demand-busy",
            "busy",
            "longest demand while the producer computes for 1 s",
            "ms",
            "busy:max_ns",
            20,
            None,
            1e-6,
            no_peer="an MPI_Get waits for the whole second",
            details={"demands": "busy:demands", "p50 ns": "busy:p50_ns"},
        ),
    ]


def memory_rows() -> list[Row]:
    out = [
        Row(
            "touch-again",
            "touch",
            "page faults when the second object of a segment is read",
            "faults",
            "touch:next_faults",
            0,
            0,
            bound=Other("mapped anew for the object", "touch:anew_faults"),
            no_peer="compared with a mapping for each object",
            details={
                "first object: faults": "touch:first_faults",
                "first object: ns": "touch:first_ns",
                "second object: ns": "touch:next_ns",
            },
        ),
    ]
    for size in ("1 MiB", "16 MiB"):
        out.append(
            Row(
                f"wrap-{size}",
                "wrap",
                f"application memory copied in by the offer, {size}: share of memcpy",
                "x",
                ratio(f"{size}:gb_per_s", f"{size}:memcpy_gb_per_s"),
                0.9,
                0.95,
                higher=True,
                bound=Other("memcpy, GB/s", f"{size}:memcpy_gb_per_s"),
                no_peer="peers: see the row for Python",
                details={"GB/s": f"{size}:gb_per_s", "fresh segment each, GB/s": f"{size}:fresh_gb_per_s"},
            )
        )
    shares = tuple(Other(NAMES[s], ratio(f"{s}:gb_per_s", f"{s}:memcpy_gb_per_s")) for s in ("iceoryx2", "zeromq", "redis"))
    hashes = Other("Redis, hash", "redis:hash_nbytes", "found by its key alone")
    stream = Other("Redis, entry of a stream", "redis:stream_nbytes", "no index: cannot be found by value or key")
    out += [
        Row(
            "wrap-python",
            "wrap-python",
            "arrays of 1 MiB, offered, received, withdrawn, Python: share of memcpy",
            "x",
            ratio("maestro:gb_per_s", "maestro:memcpy_gb_per_s"),
            None,
            None,
            higher=True,
            peers=shares,
            details={"GB/s": "maestro:gb_per_s"},
        ),
        Row(
            "idle",
            "idle",
            "manager's memory for an idle object of ten attributes, with its index",
            "B",
            "catalogue:resident_indexed_nbytes",
            200,
            100,
            peers=(hashes,),
            references=(stream,),
            details={"without index": "catalogue:resident_nbytes", "as the catalogue counts": "catalogue:catalogue_nbytes"},
        ),
    ]
    for threads, must in (("1 thread", 40), ("2 threads, one heap and a mutex", 80)):
        for size in ("64 B", "1 MiB", "64 MiB"):
            name = f"alloc:alloc and free, {size}, {threads}"
            out.append(
                Row(
                    f"alloc-{size}-{threads[0]}",
                    "alloc",
                    f"alloc and free, {size}, {threads}",
                    "ns",
                    f"{name}.value_ns",
                    must,
                    must / 2,
                    bound=Other("bare list of one size", f"{name}.bare list"),
                    references=(
                        Other("glibc", f"{name}.glibc", "private memory, which no other process can read; a cache for each thread"),
                    ),
                    no_peer="of the peers here iceoryx2 alone lends memory that other processes read, and that from Python",
                )
            )
    return out


def meaning_rows() -> list[Row]:
    nobody = "no peer finds objects by the values of their attributes"
    return [
        Row(
            "match-scale",
            "meaning",
            "match one object against 1000 subscriptions: cost beside 1, worst kind",
            "x",
            worst("meta:match_ns.*.ratio"),
            1.3,
            1.1,
            no_peer=nobody,
        ),
        Row(
            "index-scale",
            "meaning",
            "query of equal hits among 10^5 objects: cost beside 10^3, worst kind, index alone",
            "x",
            worst("meta:query_us.*.ratio"),
            1.3,
            1.1,
            no_peer=nobody,
        ),
        Row(
            "query-scale",
            "meaning",
            "the same through the pool, with leases, Python",
            "x",
            query_ratio,
            1.3,
            1.1,
            no_peer=nobody,
            details={"equality among 10^5, us": "queries:many_equality_us", "and among 10^5, us": "queries:many_and_us"},
        ),
    ]


def not_measured() -> dict[str, str]:
    """Rows of the design's table that this machine or this state of Maestro cannot give, named in every report."""
    from . import ranks

    awake = {"offer to event with manager and subscriber awake": "needs a core each for producer, manager and subscriber, all spinning"}
    absent = [name for family, name in ranks.FAMILIES.items() if family not in ranks.families()]
    return awake | {f"distributed arrays on {name}": "its programs are not built: make build-openmpi, or make build" for name in absent}
