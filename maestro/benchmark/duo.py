"""Two Python processes, a producer and a consumer, over Maestro or a peer: python -m maestro.benchmark.duo SYSTEM WHAT COUNT [NBYTES]

What is measured stands here, once for all systems; how a system sends and receives stands in peers/.  Prints one JSON object.
Invariant: every object is checked by the consumer (sums of attributes, first and last byte), and a wrong result ends it without figures.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from .peers import FEW, FEW_NBYTES, PARAMS, MissingError, System, open_system, place_of

LEVELS = 137
PERIOD_NS = 1_000_000
ROTATE_NBYTES = 256 << 20

now = time.monotonic_ns


class Meeting:
    """Two processes wait for each other; each end sends a byte to the other."""

    def __init__(self) -> None:
        self.pipes = [os.pipe(), os.pipe()]
        self.side = 0

    def take_side(self, side: int) -> None:
        """Closes what the other one uses, so that its end is noticed."""
        self.side = side
        os.close(self.pipes[side][1])
        os.close(self.pipes[1 - side][0])

    def tell(self) -> None:
        os.write(self.pipes[1 - self.side][1], b".")

    def wait(self) -> None:
        if os.read(self.pipes[self.side][0], 1) != b".":
            raise RuntimeError("the other process is gone")


def field(i: int) -> dict[str, Any]:
    """The i-th object's ten attributes; (param, levelist, number) tell objects apart."""
    return {
        "class": "od",
        "stream": "enfo",
        "type": "pf",
        "date": "20261124",
        "time": "1200",
        "levtype": "ml",
        "levelist": float(i // 10 % LEVELS + 1),
        "param": PARAMS[i % 10],
        "number": i // (10 * LEVELS),
        "step": 6,
    }


def expected_sum(count: int) -> int:
    return sum(i // (10 * LEVELS) + 6 for i in range(count))


# ---- One call an object
def rate_producer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    send, warm, start = system.send_object, count // 5, 0
    meeting.wait()
    for i in range(count):
        if i == warm:
            start = now()
        send(field(i))
    system.flush()
    return {"start": start, "objects": count - warm}


def rate_consumer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    """`nbytes` is the number of further subscriptions here, which want what never comes."""
    receive, total = system.receive_object, 0
    if nbytes:
        system.subscribe_to_others(nbytes)
    meeting.tell()
    for _ in range(count):
        got = receive()
        if got["stream"] == "enfo":
            total += got["number"] + got["step"]
    end = now()
    check(total == expected_sum(count), "attributes arrived as they were set")
    return {"end": end}


# ---- A step's objects in one call; peers have several ways, see peers/columns.py
def columns_of(first: int, count: int) -> dict[str, Any]:
    import numpy as np

    i = np.arange(first, first + count)
    fixed = {"class": "od", "stream": "enfo", "type": "pf", "date": "20261124", "time": "1200", "levtype": "ml", "step": 6}
    params = [PARAMS[k] for k in (i % 10).tolist()]
    return fixed | {"param": params, "levelist": (i // 10 % LEVELS + 1).astype("f8"), "number": i // (10 * LEVELS)}


CHUNK = 1000


def columns_producer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    warm, start = count // 5 // CHUNK * CHUNK, 0
    steps = [columns_of(first, CHUNK) for first in range(0, count, CHUNK)]  # the model has them; their making is not what is measured
    meeting.wait()
    for number, step in enumerate(steps):
        if number * CHUNK == warm:
            start = now()
        system.send_columns(CHUNK, step)
    system.flush()
    return {"start": start, "objects": count - warm}


def columns_consumer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    total = came = 0
    meeting.tell()
    while came < count:
        got = system.receive_columns(CHUNK, ("number", "step"))
        came += len(got["number"])
        total += (
            int(sum(got["number"])) + int(sum(got["step"]))
            if isinstance(got["number"], list)
            else int(got["number"].sum() + got["step"].sum())
        )
    end = now()
    check(came == count and total == expected_sum(count), "columns arrived as they were set")
    return {"end": end}


# ---- Latency at 1 kHz
def latency_producer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    sent = []
    system.wake_receiver()
    meeting.wait()
    at = now() + 20 * PERIOD_NS
    for i in range(count):
        time.sleep(max(at - now(), 0) / 1e9)
        at += PERIOD_NS
        attributes = field(i)
        sent.append(now())
        system.send_object(attributes)
        system.flush_one()
    meeting.wait()
    return {"sent": sent}


def latency_consumer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    came, total = [], 0
    system.sleep_when_idle()
    meeting.tell()
    for _ in range(count):
        got = system.receive_object()
        came.append(now())
        total += got["number"] + got["step"]
    meeting.tell()
    check(total == expected_sum(count), "attributes arrived as they were set")
    return {"came": came}


# ---- Getting at an object that has come already; after some small ones, which wake the reader's code and caches.  A system that brings the
# bytes into the reader's own memory has done so when the clock starts: its flush waits until they have left, and ARRIVAL_S is for the rest.
ARRIVAL_S = 0.02


def handover_producer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    for _ in range(ROUNDS):
        meeting.wait()
        for i in range(FEW + count):
            system.send_bytes(i, FEW_NBYTES if i < FEW else nbytes)
        system.flush()
        meeting.tell()
        meeting.wait()
        system.reclaim()
        meeting.tell()
    return {}


ROUNDS = 7


def handover_consumer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    samples, wrong = [], 0
    for _ in range(ROUNDS):
        meeting.tell()
        meeting.wait()
        time.sleep(ARRIVAL_S)
        for i in range(FEW):
            wrong += system.receive_first_byte() != (i + 1) % 256
        start = now()
        for i in range(FEW, FEW + count):
            wrong += system.receive_first_byte() != (i + 1) % 256
        samples.append((now() - start) / count)
        meeting.tell()
        meeting.wait()
    check(wrong == 0, "first bytes arrived as they were written")
    return {"ns": sorted(samples[1:])[len(samples[1:]) // 2]}


# ---- The application's own array, copied in by the send
def wrapped_producer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    import numpy as np

    source = np.random.default_rng(1).integers(0, 256, ROTATE_NBYTES, np.uint8)
    target = np.ones(ROTATE_NBYTES, np.uint8)
    blocks = [source[at : at + nbytes] for at in range(0, ROTATE_NBYTES, nbytes)]
    for i, block in enumerate(blocks):
        block[0] = (i + 1) % 256
    rates, copies = [], []
    meeting.wait()
    for _ in range(count):
        start = now()
        for i, block in enumerate(blocks):
            system.send_array(i, block)
        system.flush()
        meeting.wait()
        rates.append(ROTATE_NBYTES / (now() - start))
        start = now()
        for i, block in enumerate(blocks):
            target[i * nbytes : (i + 1) * nbytes] = block
        copies.append(ROTATE_NBYTES / (now() - start))  # the consumer sleeps, also where it polls for objects
        meeting.tell()
    check(bool((target == source).all()), "the copy is right")
    return {"gb_per_s": max(sorted(rates)[len(rates) // 2], 0), "memcpy_gb_per_s": sorted(copies)[len(copies) // 2]}


def wrapped_consumer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    meeting.tell()
    wrong = 0
    for _ in range(count):
        for i in range(ROTATE_NBYTES // nbytes):
            wrong += system.receive_first_byte() != (i + 1) % 256
        meeting.tell()
        meeting.wait()
    check(wrong == 0, "first bytes arrived as they were written")
    return {}


# ---- Two groups of two consumers, of which every group gets every object and acknowledges it
GROUPS, MEMBERS, IDLE_S = ("paint", "count"), 2, 1.0


def groups_producer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    for _ in range(len(GROUPS) * MEMBERS):
        meeting.wait()
    start = now()
    for i in range(count):
        system.send_object(field(i))
    system.flush()
    return {"start": start, "objects": count}


def groups_consumer(group: str) -> Callable[..., dict[str, Any]]:
    """A member: takes and acknowledges until nothing comes any more."""

    def consumer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
        system.join_group(group)
        meeting.tell()
        came, total, end, patience = 0, 0, 0, 30.0
        while got := system.receive_share(patience):
            came += len(got)
            total += sum(one["number"] + one["step"] for one in got)
            end, patience = now(), IDLE_S
            system.acknowledge(got)
        return {f"shares_{group}": [came], f"sums_{group}": [total], "ends": [end]}

    return consumer


# ---- A question by value
def question_producer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    system.serve(meeting, [field(i) for i in range(1000)])
    return {}


def question_consumer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    meeting.wait()
    samples = []
    for i in range(count):
        time.sleep(0.0005)
        wanted = field(i % 1000)
        start = now()
        answer = system.ask(wanted)
        samples.append(now() - start)
        check(answer == str(i % 1000), "the answer is that of the object")
    meeting.tell()
    samples = sorted(samples[count // 5 :])
    return {"p50_ns": samples[len(samples) // 2], "p99_ns": samples[int(0.99 * (len(samples) - 1))]}


# ---- Queries among few and among many objects, in turn: 100 of them hit, whatever their company
HITS, FEW_OBJECTS, WARM_QUERIES = 100, 1000, 20
QUERIES = {
    "equality": "param = tp",
    "in": "levelist in (9000, 9001, 9002, 9003, 9004, 9005, 9006, 9007, 9008, 9009)",
    "range": "step >= 5000",
    "has": "has(number)",
    "and": "stream = enfo and param = tp",
}


def queries_producer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    """`nbytes` is the number of queries of each kind.  The few objects lie in a pool of their own."""
    meeting.wait()
    with system.pool_beside() as beside:
        for one, objects in ((system, count), (beside, FEW_OBJECTS)):
            send_hits_and_misses(one, objects)
        meeting.tell()
        meeting.wait()
    return {}


def send_hits_and_misses(system: System, count: int) -> None:
    import numpy as np

    hit, miss = np.arange(HITS), np.arange(count - HITS)
    system.send_columns(HITS, {"stream": "enfo", "param": "tp", "levelist": 9000.0 + hit % 10, "step": 5000 + hit, "number": hit})
    params = [PARAMS[i % 10] for i in miss.tolist()]
    streams = ["enfo" if i % 2 else "oper" for i in miss.tolist()]
    system.send_columns(count - HITS, {"stream": streams, "param": params, "levelist": miss // 10 % 1000.0, "step": miss // 10000})
    system.flush()


def keep_apart(*systems: System) -> None:
    """All managers on one core, this process on another: else it is chance which of them shares a core with who asks, and answers later."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[0]})
        for system in systems:
            system.keep_manager_on(cores[1])


def queries_consumer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    figures = {}
    with system.pool_beside() as beside:
        keep_apart(system, beside)
        meeting.tell()
        meeting.wait()
        for kind, selector in QUERIES.items():
            samples: dict[str, list[int]] = {"few": [], "many": []}
            for _ in range(WARM_QUERIES + nbytes):
                for name, one in (("few", beside), ("many", system)):
                    start = now()
                    found = one.query(selector)
                    samples[name].append(now() - start)
                    check(found == HITS, f"a query of kind {kind} found what hits")
            for name, took in samples.items():
                figures[f"{name}_{kind}_us"] = sorted(took[WARM_QUERIES:])[nbytes // 2] / 1e3
        meeting.tell()
    return figures


# ---- Memory for each object that lies there
def memory_producer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    meeting.wait()
    return system.memory(field, count)


def memory_consumer(system: System, meeting: Meeting, count: int, nbytes: int) -> dict[str, Any]:
    meeting.tell()
    return {}


# ---- Roles as processes
def check(condition: bool, claim: str) -> None:
    if not condition:
        raise RuntimeError(f"not true: {claim}")


ROLES: dict[str, tuple[Callable[..., dict], ...]] = {
    "rate": (rate_producer, rate_consumer),
    "columns": (columns_producer, columns_consumer),
    "tuples": (columns_producer, columns_consumer),
    "blobs": (columns_producer, columns_consumer),
    "latency": (latency_producer, latency_consumer),
    "handover": (handover_producer, handover_consumer),
    "wrapped": (wrapped_producer, wrapped_consumer),
    "groups": (groups_producer, *(groups_consumer(group) for group in GROUPS for _ in range(MEMBERS))),
    "question": (question_producer, question_consumer),
    "queries": (queries_producer, queries_consumer),
    "memory": (memory_producer, memory_consumer),
}


def start_role(role: Callable[..., dict], side: int, name: str, meeting: Meeting, what: str, count: int, nbytes: int):
    """A forked process that runs one role; its pid and the pipe its figures come through."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    status = 1
    try:
        os.close(reading)
        meeting.take_side(side)
        with open_system(name, side == 0, what, count, nbytes) as system:
            figures = role(system, meeting, count, nbytes)
        with os.fdopen(writing, "w") as out:
            json.dump(figures, out)
        status = 0
    except BaseException as error:
        print(f"{name} {what}, {'producer' if side == 0 else 'consumer'}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def run(name: str, what: str, count: int, nbytes: int) -> dict[str, Any]:
    meeting = Meeting()
    producer, *consumers = ROLES[what]
    started = [start_role(role, 1, name, meeting, what, count, nbytes) for role in consumers]
    started.append(start_role(producer, 0, name, meeting, what, count, nbytes))
    for pair in meeting.pipes:
        for fd in pair:
            os.close(fd)
    figures: dict[str, Any] = {}
    for pid, reading in started:
        with os.fdopen(reading) as text:
            said = text.read()
        if os.waitpid(pid, 0)[1] != 0:
            sys.exit(1)
        for figure, value in json.loads(said).items():
            figures[figure] = figures.get(figure, []) + value if isinstance(value, list) else value
    return reduce(figures)


def reduce(figures: dict[str, Any]) -> dict[str, Any]:
    """Clocks of both processes (one and the same clock of the machine) as rate or latency."""
    if "ends" in figures:
        shares = [figures[f"shares_{group}"] for group in GROUPS]
        for group, share in zip(GROUPS, shares, strict=True):
            check(sum(share) == figures["objects"], "every group got every object, and each once")
            check(sum(figures[f"sums_{group}"]) == expected_sum(figures["objects"]), "attributes arrived as they were set")
        return {
            "rate": figures["objects"] * 1e9 / (max(figures["ends"]) - figures["start"]),
            "least_share": min(min(share) / sum(share) for share in shares),
        }
    if "end" in figures:
        return {"rate": figures["objects"] * 1e9 / (figures["end"] - figures["start"])}
    if "came" in figures:
        late = sorted(came - sent for came, sent in list(zip(figures["came"], figures["sent"], strict=True))[len(figures["sent"]) // 10 :])
        return {"p50_ns": late[len(late) // 2], "p99_ns": late[int(0.99 * (len(late) - 1))]}
    return figures


def main() -> None:
    if len(sys.argv) < 4 or sys.argv[2] not in ROLES:
        sys.exit(f"usage: python -m maestro.benchmark.duo SYSTEM {'|'.join(ROLES)} COUNT [NBYTES]")
    name, what, count, *rest = sys.argv[1:]
    try:
        with place_of(name):
            print(json.dumps(run(name, what, int(count), int(rest[0]) if rest else 0)))
    except MissingError as error:
        sys.exit(f"missing: {error}")


if __name__ == "__main__":
    main()
