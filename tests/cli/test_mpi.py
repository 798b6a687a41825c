"""MPI programs and the pool, with the MPI family of the environment that runs this: `make test` has MPICH, `make test-openmpi` Open MPI.

A program that calls MPI from one thread only, and seldom, must delay nobody; the manager must not keep mpirun from returning.
"""

import os
import signal
import statistics
import subprocess
import sys
import time

import pytest

from maestro.launch import mpi, rendezvous
from maestro.launch.lines import launcher_words

pytest.importorskip("maestro._core", reason="Maestro's library is not built")
pytest.importorskip("mpi4py")

DELAY_S = 0.020
ROUNDS = 5

# Rank 0 offers and then computes; rank 1 offers all the time. Neither calls MPI between initialisation and the end of the run.
PRODUCERS = """
import os, time
import mpi4py
mpi4py.rc.thread_level = "single"
from mpi4py import MPI
import numpy as np
import maestro

assert MPI.Query_thread() == MPI.THREAD_SINGLE
rank = MPI.COMM_WORLD.rank

def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        np.sqrt(np.arange(1000.0)).sum()

with maestro.Session(component=f"single{rank}", rank=rank, schema="mars") as session:
    step = 0
    while not os.path.exists("stop"):
        session.offer(np.array([time.monotonic()]), param="tu"[rank], step=step)
        compute(1) if rank == 0 else time.sleep(0.01)
        step += 1
"""

# No MPI here: every event of rank 1 is timed, and between them an object of rank 0 that was offered before it began to compute.
CONSUMER = """
import sys, time
import maestro
assert "mpi4py" not in sys.modules
with maestro.Session(component="plain", schema="mars") as session:
    ticks = session.subscribe("param = u", start="now")
    for step in range(int(sys.argv[1])):
        session.demand(f"param = t and step = {step}").dispose()
        while ticks.next_many(100, timeout=0):  # those that came while we waited for rank 0
            pass
        events, demands, start = [], [], time.monotonic()
        end = start + 0.9
        while time.monotonic() < end:
            with ticks.next() as tick:
                events.append(time.monotonic() - tick.array()[0])
            begin = time.monotonic()
            session.demand(f"param = t and step = {step}").dispose()
            demands.append(time.monotonic() - begin)
        print(start, end, "|", *events, "|", *demands, flush=True)
    sys.stdin.readline()
"""

# Sleeps and wakes as rank 1 and the consumer do, over a pipe: what the machine itself delays, with the time at which it did.
CONTROL = """
import os, struct, time
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(reader)
    try:
        while True:
            os.write(writer, struct.pack("d", time.monotonic()))
            time.sleep(0.01)
    except BrokenPipeError:
        os._exit(0)
os.close(writer)
with open("control.log", "w", buffering=1) as log:
    while True:
        begin, = struct.unpack("d", os.read(reader, 8))
        log.write(f"{begin} {time.monotonic() - begin}\\n")
"""

# Says when it has ended; a manager that this session started stays longer.
RANK = """
import os, time
import maestro
from mpi4py import MPI
assert MPI.COMM_WORLD.size == 2
maestro.Session(rank=MPI.COMM_WORLD.rank).close()
MPI.Finalize()
os.write(1, b"%f\\n" % time.time())
"""


@pytest.fixture(autouse=True)
def launcher():
    words = launcher_words()
    if words is None:
        pytest.skip("no mpiexec")
    return words


def start(cli, words, **environment):
    return subprocess.Popen(
        list(map(str, words)), cwd=cli.folder, env={**cli.environment, **environment}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture
def computing(cli, launcher):
    """The two ranks, at work, and the consumer."""
    cli.write("producers.py", PRODUCERS)
    cli.write("consumer.py", CONSUMER)
    cli.write("control.py", CONTROL)
    control = start(cli, [sys.executable, "-u", "control.py"])
    producers = start(cli, [*launcher, "-n", 2, sys.executable, "-u", "producers.py"])
    consumer = start(cli, [sys.executable, "-u", "consumer.py", ROUNDS])
    try:
        yield producers, consumer
        (cli.folder / "stop").touch()
        for process in (consumer, producers):
            rest, _ = process.communicate("\n", timeout=20)
            assert process.returncode == 0, rest
    finally:
        for process in (consumer, producers, control):
            with process:
                process.kill()


def machine_delays(cli):
    """(moment, delay) of the control's whole lines so far."""
    lines = (cli.folder / "control.log").read_text().rpartition("\n")[0].splitlines()
    return [tuple(map(float, line.split())) for line in lines]


def test_a_producer_with_mpi_thread_single_that_computes_delays_nobody(cli, computing):
    """The longest delay of a round: above the machine's own in the median round, and as it is in the best one."""
    _, consumer = computing
    beyond, plain = [], []
    for _ in range(ROUNDS):
        line = consumer.stdout.readline()
        assert "|" in line, line + consumer.stdout.read()
        (begin, end), events, demands = ([float(word) for word in part.split()] for part in line.split("|"))
        bare = [delay for moment, delay in machine_delays(cli) if begin <= moment <= end]
        assert min(len(events), len(demands), len(bare)) > 20, line
        longest = max(events + demands)
        beyond.append(longest - max(bare))
        plain.append(longest)
        medians = [f"{1e3 * statistics.median(delays):.2f}" for delays in (events, demands)]
        longest_of = f"longest of all {1e3 * longest:.2f} ms, without a pool {1e3 * max(bare):.2f} ms"
        print(f"{mpi.library().family}: median event {medians[0]} ms, demand {medians[1]} ms; {longest_of}")
    assert statistics.median(beyond) <= DELAY_S
    assert min(plain) <= DELAY_S  # who waited for a computing producer would wait in each round

    shown = cli.json("top", "--once", "--interval", "0.3")
    rows = {row["component"]: row for row in shown["components"]}
    assert rows.keys() == {"single0", "single1", "plain"}
    assert rows["single0"]["totals"]["offers"] >= ROUNDS
    assert rows["plain"]["totals"]["demands"] > 20
    assert rows["plain"]["pids"] == [consumer.pid]


def test_mpirun_returns_while_the_manager_lingers(cli, launcher):
    cli.write("rank.py", RANK)
    words = [*launcher, "-n", 2, sys.executable, "rank.py"]
    with start(cli, words, MAESTRO_LINGER_S="20") as process:
        text, _ = process.communicate(timeout=40)
        returned = time.time()
    assert process.returncode == 0, text
    assert returned - max(float(line) for line in text.split()) < 1.0
    manager = rendezvous.listener(cli.folder / "r" / f"default.{rendezvous.node()}.sock")
    assert manager is not None
    os.kill(manager, signal.SIGTERM)
