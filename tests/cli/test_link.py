"""Two nodes on one machine, joined by two links of one MPI job, of the MPI family of the environment that runs this."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from poolside import raises, within

import maestro
from maestro.launch import link
from maestro.launch.lines import launcher_words

FIELDS = 1000

# One of several programs on a node that demand the same fields by their keys; prints the digest of each.
READER = """
import hashlib, json, pathlib
keys = json.loads(pathlib.Path(sys.argv[1]).read_text())
with maestro.Session(component="reader", schema="mars", timeout=40) as session:
    for request in [session.demand_start(key) for key in keys]:
        with request.wait() as cdo:
            print(hashlib.sha256(bytes(cdo)).hexdigest(), cdo["maestro.component"], cdo["maestro.node"])
"""


class Links:
    """The links of two nodes, as mpirun starts them."""

    def __init__(self, pool, *options):
        launcher = launcher_words()
        words = list(launcher)
        for node in ("n0", "n1"):
            words += [
                *([":"] if node == "n1" else []),
                "-n",
                "1",
                "env",
                f"MAESTRO_NODE={node}",
                sys.executable,
                "-m",
                "maestro.launch.link",
            ]
            words += ["--schema", "mars", "--json", *options]
        self.pool = pool
        self.job = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []

    def joined(self):
        while len(self.lines) < 2:
            line = self.job.stdout.readline()
            assert line, "the links have ended"
            if line.startswith("{"):  # else an MPI talks about itself
                self.lines.append(json.loads(line))
        assert {line["node"] for line in self.lines} == {"n0", "n1"}
        return self

    def pids(self):
        """Of the link processes themselves."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                ours = f"MAESTRO_DIR={self.pool.folder}".encode() in (process / "environ").read_bytes().split(b"\0")
                if ours and (process / "comm").read_text().startswith("maestro-link"):
                    found.append(int(process.name))
            except OSError:
                continue
        return found

    def stop(self):
        """Ends the job in good order; what each link reports, by node."""
        for pid in self.pids():
            os.kill(pid, signal.SIGTERM)
        out, _ = self.job.communicate(timeout=20)
        reports = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        assert self.job.returncode == 0, out
        return {report["node"]: report for report in reports if report["event"] == "left"}

    def kill(self):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):  # the job's launcher ends the others itself
                os.kill(pid, signal.SIGKILL)
        self.job.communicate(timeout=20)


@pytest.fixture
def links(pool):
    if launcher_words() is None or not link.program(link_family()).exists():
        pytest.skip("maestro-link is not built for the MPI of this environment")
    pool.set(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    started = []

    def start(*options):
        started.append(Links(pool, *options))
        return started[-1]

    yield start
    for job in started:
        if job.job.poll() is None:
            job.kill()


def link_family():
    from maestro.launch import mpi

    return "openmpi" if mpi.library().family == "Open MPI" else "mpich"


def on(pool, node, component, **options):
    pool.set(MAESTRO_NODE=node)
    return pool.session(component, **options)


def test_objects_and_demands_cross_with_one_get_each(pool, links):
    producer = on(pool, "n0", "producer", rank=3)
    early = producer.offer(np.arange(1000.0), {"maestro.checksum": 7}, param="t", step=0, levelist=850)
    jobs = links().joined()
    consumer, other = on(pool, "n1", "consumer"), on(pool, "n1", "other")
    fields = consumer.subscribe("param = t", timeout=5)
    first = next(fields)
    assert (first["maestro.component"], first["maestro.rank"], first["maestro.node"], first["maestro.checksum"]) == ("producer", 3, "n0", 7)
    np.testing.assert_array_equal(first.array(), np.arange(1000.0))
    producer.offer(np.ones((3, 4), "f4", order="F"), param="t", step=6)
    second = next(fields)
    assert (second["step"], second.array().shape, second.array().dtype, second.array().flags.f_contiguous) == (6, (3, 4), "f4", True)
    np.testing.assert_array_equal(other.demand("param = t and step = 6", timeout=5).array(), np.ones((3, 4)))
    request = other.demand_start("param = q and step = 0", timeout=10)
    producer.offer(None, param="q", step=0)
    producer.offer(b"nobody needs this", param="w", step=0)
    assert request.wait().nbytes == 0
    assert producer.wanted(param="t", step=9)
    assert not producer.wanted(param="w", step=9)
    first.dispose()
    early.withdraw()
    within(5, lambda: other.count("param = t and step = 0") == 0, "the copy's end")
    assert other.count("param = t") == 1
    assert other.count("param = w") == 0
    reports = jobs.stop()
    assert (reports["n1"]["objects_in"], reports["n1"]["gets"], reports["n0"]["objects_in"]) == (3, 2, 0)


def test_what_comes_from_another_node_does_not_go_back(pool, links):
    jobs = links().joined()
    zero, one = on(pool, "n0", "zero"), on(pool, "n1", "one")
    subscriptions = [session.subscribe("param = t", timeout=1) for session in (zero, one)]
    zero.offer(b"zero", param="t", step=0)
    one.offer(b"one", param="t", step=0)
    got = [sorted(bytes(cdo) for cdo in subscription) for subscription in subscriptions]
    assert got == [[b"one", b"zero"]] * 2
    reports = jobs.stop()
    assert {node: report["gets"] for node, report in reports.items()} == {"n0": 1, "n1": 1}


def test_a_large_object_and_many_small_ones(pool, links):
    jobs = links().joined()
    producer, consumer = on(pool, "n0", "producer"), on(pool, "n1", "consumer")
    large = np.random.default_rng(1).integers(0, 256, 100 << 20, dtype="u1")
    producer.offer(large, param="t", step=0)
    assert np.array_equal(consumer.demand("param = t", timeout=20).array(), large)
    fields = consumer.subscribe("param = u", timeout=5)
    producer.offer_many([b"%d" % step for step in range(3000)], param="u", step=range(3000))
    for step in range(3000):
        with next(fields) as cdo:
            assert (cdo["step"], bytes(cdo)) == (step, b"%d" % step)
    assert jobs.stop()["n1"]["gets"] == 3001


def test_records_of_several_ranks_cross_whole(pool, links):
    jobs = links().joined()
    ranks = [on(pool, "n0", "model", rank=rank) for rank in range(3)]
    reader = on(pool, "n1", "reader")
    hydro = reader.collection("hydro")
    request = reader.require("maestro.collection = hydro")
    for sequence in range(2):
        for rank, session in enumerate(ranks):
            with session.collection("hydro").record(sequence, parts=3, param="rho", step=sequence) as record:
                record.write_block("rho", (3, 4), (rank, 0), np.full((1, 4), 10 * sequence + rank))
    for sequence in range(2):
        record = hydro.demand(sequence, timeout=5)
        np.testing.assert_array_equal(record["rho"][...], 10 * sequence + np.arange(3)[:, None].repeat(4, 1))
        assert record.cdo["maestro.node"] == "n0"
        record.cdo.dispose()
    ranks[0].collection("hydro").withdraw(0)
    within(5, lambda: reader.count("maestro.collection = hydro") == 1, "the copy's end")
    request.retract()
    assert jobs.stop()["n1"]["gets"] == 6


def test_what_is_withdrawn_at_once_leaves_no_copy(pool, links):
    jobs = links().joined()
    producer, consumer = on(pool, "n0", "producer"), on(pool, "n1", "consumer")
    with consumer.require("param = t"):
        for number in range(300):
            cdo = producer.offer(b"%d" % number, param="t", step=0)
            if number < 299:
                cdo.withdraw()
                if number % 7 == 0:
                    time.sleep(0.002)
            cdo.dispose()
        producer.flush()
        within(10, lambda: [bytes(cdo) for cdo in consumer.query("param = t")] == [b"299"], "the last one alone")
    jobs.stop()


def test_what_is_too_large_for_the_other_pool_holds_up_nothing(pool, links):
    pool.set(MAESTRO_POOL_MEMORY="16MiB")
    consumer = on(pool, "n1", "consumer")
    pool.set(MAESTRO_POOL_MEMORY="512MiB")
    producer = on(pool, "n0", "producer")
    jobs = links().joined()
    with consumer.require("param = t"):
        producer.offer(np.zeros(32 << 20, "u1"), param="t", step=0)
        producer.offer(b"small", param="t", step=1)
        assert bytes(consumer.demand("param = t and step = 1", timeout=10)) == b"small"
        assert consumer.count("param = t") == 1
    jobs.stop()


def test_a_copy_is_no_reading(pool, links):
    jobs = links().joined()
    producer, consumer = on(pool, "n0", "producer"), on(pool, "n1", "consumer")
    producer.offer(b"once", {"maestro.demands": 1}, param="t", step=0)
    for _ in range(2):
        assert bytes(consumer.demand("param = t", timeout=5)) == b"once"
    assert producer.count("param = t") == 1
    jobs.stop()


def test_links_that_are_killed_cost_remote_demands_alone_and_come_back(pool, links):
    jobs = links().joined()
    producer, consumer = on(pool, "n0", "producer"), on(pool, "n1", "consumer")
    local = on(pool, "n1", "local")
    producer.offer_many([b"x"] * 100, param="t", step=range(100))
    assert bytes(consumer.demand("param = t and step = 0", timeout=5)) == b"x"
    waits = local.demand_start("param = q", timeout=30)
    within(5, lambda: consumer.stats()["objects"]["elsewhere"] == 100, "what lies on the other node")
    jobs.kill()
    with raises(maestro.LinkLostError, "lies on node n0", "start maestro-link again"):
        consumer.demand("param = t and step = 7", timeout=30)
    assert bytes(consumer.demand("param = t and step = 0", timeout=5)) == b"x"  # the copy is here
    local.offer(b"local", param="u", step=0)
    assert bytes(consumer.demand("param = u", timeout=2)) == b"local"
    assert not waits.test()  # nothing on the other node would meet it: it waits for what is to come
    local.offer(b"late", param="q", step=0)
    assert bytes(waits.wait(2)) == b"late"
    producer.offer(b"x", param="t", step=100).wait()
    jobs = links().joined()
    for step in (7, 100):
        assert bytes(consumer.demand(f"param = t and step = {step}", timeout=5)) == b"x"
    within(5, lambda: consumer.stats()["objects"]["elsewhere"] == 101, "what lies there, told by the next link alone")
    jobs.stop()


def test_a_demand_that_waits_when_the_links_die_fails_then(pool, links):
    jobs = links().joined()
    producer, consumer = on(pool, "n0", "producer"), on(pool, "n1", "consumer")
    producer.offer_many([b"x"] * 2, param="t", step=range(2))
    within(5, lambda: consumer.stats()["objects"]["elsewhere"] == 2, "what lies on the other node")
    for pid in jobs.pids():
        os.kill(pid, signal.SIGSTOP)
    request = consumer.demand_start("param = t and step = 1", timeout=30)
    time.sleep(0.2)
    assert not request.test()
    with raises(maestro.LinkLostError, "lies on node n0"):
        jobs.kill()
        request.wait()


def test_an_idle_link_costs_little(pool, links):
    jobs = links().joined()
    time.sleep(0.5)
    before = {pid: cpu_seconds(pid) for pid in jobs.pids()}
    time.sleep(3)
    used = {pid: cpu_seconds(pid) - before[pid] for pid in before}
    jobs.stop()
    assert len(used) == 2
    assert max(used.values()) <= 0.15, used  # a spinning one takes 3 s


def cpu_seconds(pid):
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_wrong_use_is_refused_in_words(pool, links):
    pool.set(MAESTRO_NODE="same")
    words = [*launcher_words(), "-n", "2", sys.executable, "-m", "maestro.launch.link"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert "are both on node same; start one link per node" in done.stderr
    done = subprocess.run(
        [*words, "--schema", "none.yaml"], check=False, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
    )
    assert done.returncode != 0
    assert "none.yaml" in done.stderr


@pytest.mark.weather
@pytest.mark.timeout(120)
def test_a_thousand_fields_of_a_forecast_for_three_readers_of_the_other_node(pool, links, tmp_path):
    """Encoded fields go over with one MPI_Get each, whoever reads them there."""
    pytest.importorskip("eccodes", exc_type=ImportError)
    pytest.importorskip("mir", exc_type=ImportError)
    levels = "50/100/150/200/250/300/400/500/700/850"
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"members: 1/to/2\nsteps: 6/to/60/by/6\npl: {{params: t/u/v/q/z, levels: {levels}}}\ngrid: O32\nworkers: 0\nsink: maestro\n"
    )
    jobs = links().joined()
    keeper = on(pool, "n0", "keeper")
    hammer = [*launcher_words(), "-n", "2", sys.executable, "-m", "maestro.workflows.weather.cli", "hammer", str(plan)]
    done = subprocess.run(hammer, check=False, capture_output=True, text=True, timeout=100, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    here = {}
    for cdo in keeper.query("has(param)"):
        with cdo:
            here[tuple(cdo[key] for key in ("number", "step", "param", "levelist"))] = hashlib.sha256(bytes(cdo)).hexdigest()
    assert len(here) == FIELDS
    (tmp_path / "keys.json").write_text(json.dumps([dict(zip(("number", "step", "param", "levelist"), key, strict=True)) for key in here]))
    pool.set(MAESTRO_NODE="n1")
    readers = [pool.program(READER, tmp_path / "keys.json") for _ in range(3)]
    for reader in readers:
        lines = reader.end(timeout=60).splitlines()
        assert [line.split() for line in lines] == [[digest, "hammer", "n0"] for digest in here.values()]
    reports = jobs.stop()
    assert (reports["n1"]["objects_in"], reports["n1"]["gets"]) == (FIELDS, FIELDS)


def test_what_was_refused_comes_whole_when_it_is_needed_anew(pool, links):
    producer = on(pool, "n0", "producer")
    jobs = links().joined()
    relay, consumer = on(pool, "n1", "relay", relay=True), on(pool, "n1", "consumer")
    other = relay.offer(b"not by the link", {"maestro.component": "producer", "maestro.rank": 0, "maestro.node": "n0"}, param="t", step=0)
    with consumer.require("param = t"):
        producer.offer(b"of the producer", param="t", step=0)
        producer.offer(b"behind", param="t", step=1)
        assert bytes(consumer.demand("param = t and step = 1", timeout=5)) == b"behind"
        assert bytes(consumer.demand("param = t and step = 0", timeout=5)) == b"not by the link"
    other.withdraw()
    assert bytes(consumer.demand("param = t and step = 0", timeout=5)) == b"of the producer"
    jobs.stop()
