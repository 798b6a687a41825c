"""Traces: only what is in use is read, new records are counted once, and nobody counts when nobody looks."""

import os

import pytest

from maestro.workflows.weather import trace
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
