"""Notices and traces: nothing is lost between processes, and a trace survives its writer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from maestro.workflows.weather import trace
from maestro.workflows.weather.errors import StageTimeoutError
from maestro.workflows.weather.notices import Reader, Writer
from maestro.workflows.weather.trace import Kind, Record, Trace


def test_notices_arrive_in_order_and_whole(tmp_path):
    reader = Reader(tmp_path, 0)
    reader.ready()
    writer = Writer(tmp_path, [0], timeout=1)
    for index in range(500):
        writer.send(0, Record(Kind.NOTICE, index, check=2**62 + index, offset=index * 7, nbytes=index))
    writer.end(3, 4)
    got = []
    while len(got) < 501:
        got += reader.read(timeout=1)
    assert [r.field for r in got[:-1]] == list(range(500))
    assert got[499].check == 2**62 + 499
    assert (got[-1].kind, got[-1].rank, got[-1].where) == (Kind.END, 3, 4)
    reader.close()


def test_writer_waits_until_the_reader_is_ready(tmp_path):
    reader = Reader(tmp_path, 0)
    with pytest.raises(StageTimeoutError, match="start the products first"):
        Writer(tmp_path, [0], timeout=0.1)
    reader.ready()
    Writer(tmp_path, [0], timeout=0.1).end(0, 1)
    reader.close()


def test_trace_survives_the_death_of_its_writer(tmp_path):
    path = tmp_path / "trace"
    code = f"""
import os, signal
from maestro.workflows.weather.trace import Kind, Trace
log = Trace({str(path)!r})
for field in range(1000):
    log.add(Kind.RECEIVED, field, nbytes=7)
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=20, check=False)
    assert done.returncode == -signal.SIGKILL
    assert trace.read(path)["field"].tolist() == list(range(1000))
    with Trace(path) as again:
        again.add(Kind.END)
    found = trace.read(path)
    assert len(found) == 1001
    assert path.stat().st_size == trace.HEADER + 1001 * trace.RECORD.size
