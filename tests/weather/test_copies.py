"""Copies per field are counted where they are made, and the counts agree with what the process is seen to allocate."""

import os
import tracemalloc

import pytest

from maestro.workflows.weather import report, trace
from maestro.workflows.weather.copying import read_all, write_all
from maestro.workflows.weather.notices import Reader
from maestro.workflows.weather.plan import Plan
from maestro.workflows.weather.sinks import FileSink, open_sink
from maestro.workflows.weather.sources import open_source
from maestro.workflows.weather.trace import Kind, Trace

NBYTES = 1 << 20
PLAN = {"sfc": "msl/2t", "members": "1", "steps": "6", "workers": 1}
WISHES = [{"name": "all", "retrieve": {"param": "msl/2t"}, "post": {"grid": "5/5"}, "to": "all"}]


class Way:
    """A sink and a source in one process, with the first field on its way from one to the other."""

    def __init__(self, folder, sink: str, make=open_sink):
        from maestro.workflows.weather import requirements

        self.folder = folder
        plan = Plan.model_validate(PLAN | {"sink": sink, "checksum": False})
        self.fields = plan.fields()
        products = requirements.expand([requirements.Requirement.model_validate(wish) for wish in WISHES], self.fields)
        self.pipe = Reader(folder, 0)
        self.log = Trace(folder / "trace" / "products.0")
        self.source = open_source(plan, products, folder, 0, {0, 1}, self.log, self.pipe.descriptor)
        self.source.ready()
        self.made = Trace(folder / "trace" / "hammer.0")
        self.sink = make(plan, folder, 0, 1, self.made)
        self.arrivals = iter(self.source)

    def pass_one(self, index: int = 0) -> tuple[float, float]:
        """Megabytes that the sink and the source allocate at the peak for a message of one."""
        message = memoryview(os.urandom(NBYTES))
        self.sink.prepare(self.fields[index], NBYTES)
        given = allocated(lambda: (self.sink.put(self.fields[index], message), self.sink.end_of_step()))
        taken = allocated(lambda: setattr(self, "arrival", next(self.arrivals)))
        assert memoryview(self.arrival.data) == message
        self.arrival.release()
        return given, taken

    def close(self) -> dict[Kind, trace.Record]:
        self.sink.close()
        self.arrivals.close()
        self.source.close()
        self.made.close()
        self.log.close()
        self.pipe.close()
        return {record.kind: record for name in ("hammer.0", "products.0") for record in trace.records(self.folder / "trace" / name)}


def allocated(work) -> float:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / NBYTES
    finally:
        tracemalloc.stop()


# The sink's last copy has its place already: the page cache, or the pool. All others need memory of their own.
@pytest.mark.usefixtures("private_pool")
@pytest.mark.parametrize(("name", "sink_makes", "source_makes"), [("file", 1, 1), ("fdb", 2, 1), ("maestro", 1, 0)])
def test_counted_copies_are_those_that_memory_shows(tmp_path, fdb_part, name, sink_makes, source_makes):
    way = Way(tmp_path, name)
    way.pass_one()  # libraries are loaded, handles opened
    given, taken = way.pass_one(1)
    records = way.close()
    assert records[Kind.PLACED].copies == sink_makes
    assert records[Kind.RECEIVED].copies == source_makes
    assert given == pytest.approx(sink_makes - 1, abs=0.1)
    assert taken == pytest.approx(source_makes, abs=0.1)


class CarelessFileSink(FileSink):
    """Makes one more copy, and counts it as it should."""

    def place(self, field, message):
        return memoryview(self.copies.to_bytes(message))


class SecretiveFileSink(FileSink):
    """Makes one more copy and does not count it."""

    def place(self, field, message):
        return memoryview(bytes(message))


@pytest.mark.parametrize(("make", "counted"), [(CarelessFileSink, 2), (SecretiveFileSink, 1)])
def test_one_more_copy_is_seen(tmp_path, make, counted):
    way = Way(tmp_path, "file", make)
    given, _ = way.pass_one()
    assert way.close()[Kind.PLACED].copies == counted
    assert given == pytest.approx(1, abs=0.1)  # and not 0, as of the sink `file`


@pytest.mark.usefixtures("private_pool")
def test_a_copy_that_the_pool_makes_is_in_the_report(tmp_path):
    import numpy as np

    from maestro.workflows.weather.poolsink import PoolSink

    class Outside(PoolSink):
        """Offers memory of its own, which the pool must copy."""

        def make_room(self, field, nbytes):
            pass

        def place(self, field, message):
            self.copies.made += 1
            return np.frombuffer(message, "u1").copy()

        def publish(self, field, data, check):
            self.session.offer(data, **field.keys)

    way = Way(tmp_path, "maestro", Outside)
    way.pass_one()
    way.pass_one(1)
    records = way.close()
    assert records[Kind.COPIED].where == 2
    made, got = report.traces(tmp_path, "hammer.*"), report.traces(tmp_path, "products.*")
    assert report._copies(made, made[made["kind"] == Kind.PLACED], got[got["kind"] == Kind.RECEIVED]) == 2


def test_what_is_written_in_pieces_arrives_whole_and_a_short_file_is_an_error(tmp_path, monkeypatch):
    path, data = tmp_path / "data", os.urandom(1000)
    write, preadv = os.write, os.preadv
    monkeypatch.setattr(os, "write", lambda descriptor, rest: write(descriptor, rest[:300]))
    monkeypatch.setattr(os, "preadv", lambda descriptor, parts, at: preadv(descriptor, [parts[0][:300]], at))
    with path.open("w+b", buffering=0) as stream:
        write_all(stream.fileno(), data)
        assert read_all(stream.fileno(), 900, 100) == data[100:]
        with pytest.raises(OSError, match="ends 100 bytes too early"):
            read_all(stream.fileno(), 900, 200)
        monkeypatch.setattr(os, "write", lambda descriptor, rest: 0)
        with pytest.raises(OSError, match="none was taken"):
            write_all(stream.fileno(), data)
