"""How much `maestro query` reads, and what the runner makes of a gap, on a pool of this process."""

import pytest
from typer.testing import CliRunner

import maestro
from maestro import cli
from maestro.cli import objects
from maestro.launch.peers import Peers


class Counting(maestro.Session):
    """A session that counts the objects it hands out."""

    def query(self, selector=None):
        for cdo in super().query(selector):
            self.read = getattr(self, "read", 0) + 1
            yield cdo


@pytest.mark.parametrize(
    ("words", "read", "more"), [(["-n", "3"], 3, "197"), ([], 100, "100"), (["-n", "200"], 200, None), (["--json"], 200, None)]
)
def test_query_reads_only_what_it_shows(pool, monkeypatch, words, read, more):
    pool.session().offer_many(param="t", step=range(200))
    session = Counting(component="query", schema="mars", timeout=10)
    monkeypatch.setattr(objects, "attach", lambda *_: session)
    done = CliRunner().invoke(cli.app, ["query", *words])
    assert done.exit_code == 0, done.output
    assert session.read == read
    assert more is None or f"... and {more} more" in done.output


class GapFirst:
    """A subscription's events behind a gap: joins do not come quickly enough for a real one."""

    def __init__(self, subscription):
        self.subscription, self.gap = subscription, maestro.Event("gap", None, 3, gap=(1, 3))

    def next(self, timeout):
        gap, self.gap = self.gap, None
        return gap or self.subscription.next(timeout)


def test_a_gap_among_the_joins_is_passed_over(pool):
    session = pool.session("runner")
    peers = Peers.__new__(Peers)
    peers._joined, peers._events = {}, GapFirst(session.subscribe(None, kinds="joined"))
    peers._take_joins()
    assert peers.joined("runner") == 1
