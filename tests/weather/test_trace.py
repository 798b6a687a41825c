"""Traces: only what is in use is read, new records are counted once, and nobody counts when nobody looks."""

import os

import pytest
import timelines

from maestro.tracefile import TraceFile
from maestro.workflows.weather import spans, trace
from maestro.workflows.weather.checksum import checksum
from maestro.workflows.weather.demo import Screen
from maestro.workflows.weather.trace import Kind, Tally, Trace


def test_a_trace_in_writing_is_read_no_further_than_its_records(tmp_path):
    log = Trace(tmp_path / "products.0", rank=300)
    assert trace.content(log.path) == b""
    log.add(Kind.RECEIVED, 7, nbytes=5)
    assert os.path.getsize(log.path) > 1_000_000
    assert len(trace.content(log.path)) == trace.RECORD.size
    record = next(trace.records(log.path))
    assert (record.kind, record.field, record.rank, record.nbytes) == (Kind.RECEIVED, 7, 300, 5)
    log.close()
    assert trace.read(log.path)["rank"].tolist() == [300]
    assert list(trace.records(tmp_path / "products.1")) == []


def test_a_tally_reads_each_record_once(tmp_path, monkeypatch):
    tally, taken = Tally(tmp_path, "products.*", Kind.RECEIVED), []
    content = trace.content
    monkeypatch.setattr(trace, "content", lambda *words: taken.append(content(*words)) or taken[-1])
    assert tally() == 0
    with Trace(tmp_path / "products.0") as first, Trace(tmp_path / "products.1") as second:
        first.add(Kind.RECEIVED, 1)
        first.add(Kind.FINISHED, 1)
        second.add(Kind.RECEIVED, 2)
        assert tally() == tally() == 2
        second.add(Kind.RECEIVED, 3)
        assert tally() == 3
    assert sum(map(len, taken)) == 4 * trace.RECORD.size


@pytest.mark.parametrize(("data", "digest"), [(b"", 0x2D06800538D394C2), (b"a", 0xE6C632B61E964E1F)])
def test_checksum_is_xxh3_as_a_signed_number(data, digest):
    pytest.importorskip("xxhash", reason="xxhash is not installed (extra weather)")
    found = checksum(data)
    assert -(1 << 63) <= found < 1 << 63
    assert found % (1 << 64) == digest
    assert trace.Record.unpack(trace.Record(Kind.NOTICE, check=found).pack()).check == found


def test_a_quiet_demo_never_counts():
    def count():
        raise AssertionError

    with Screen(quiet=True).bar("nothing to see", 1) as show:
        show(count)


def test_traces_of_a_run_become_spans_of_a_timeline(tmp_path):
    with Trace(tmp_path / "trace" / "hammer.0") as log:
        log.add(Kind.BEGIN, t=1_000)
        log.add(Kind.COMPLETE, 0, t=9_000, ns=4_000, nbytes=700)
        log.add(Kind.PLACED, 0, t=9_500, ns=3_000)  # part of it was done while the field was made
    with Trace(tmp_path / "trace" / "products.1", 1) as log:
        log.add(Kind.RECEIVED, 0, t=10_000, ns=200)
        log.add(Kind.PRODUCT, 0, t=12_000, ns=1_500, product=3)
    with Trace(tmp_path / "trace" / "steps") as log:
        log.add(Kind.STEP, where=6, t=11_000)
    (tmp_path / "trace" / "failures.1.jsonl").write_text("{}\n")
    with TraceFile(tmp_path / "out.json") as drawn:
        assert spans.write(tmp_path, drawn) == 6
    events = timelines.load(tmp_path / "out.json")
    assert timelines.names(events) == {
        "hammer": {"rank 0": {"begin": 1}, "rank 0: make field": {"make field": 1}, "rank 0: hand over field": {"hand over field": 1}},
        "products": {"rank 1: get field": {"get field": 1}, "rank 1: make product": {"make product": 1}},
        "steps": {"rank 0": {"step": 1}},
    }
    assert next(event for event in events if event["name"] == "step")["args"] == {"step": 6}
    made = next(event for event in events if event["name"] == "make field")
    assert (made["ts"], made["dur"], made["args"]) == (5.0, 4.0, {"field": 0, "bytes": 700})
