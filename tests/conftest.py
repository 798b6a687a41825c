"""What all Python tests share.  Fixtures of one subject stand in that subject's test file, not here.

Invariant: a test run touches no pool of the user: every run has a rendezvous directory of its own, every test that uses `pool` too.
"""

import os
import signal
import tempfile

import pytest
from poolside import Pool

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background of a script: the programs of tests would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def private_rendezvous():
    """A short-lived rendezvous directory for this run and the programs it starts (short: socket paths end at 108 bytes)."""
    if "MAESTRO_DIR" in os.environ:  # given by whoever started several processes that are to meet
        yield os.environ["MAESTRO_DIR"]
        return
    with tempfile.TemporaryDirectory(prefix="maestro-test-", ignore_cleanup_errors=True) as folder:
        os.environ["MAESTRO_DIR"] = folder
        yield folder
        del os.environ["MAESTRO_DIR"]


@pytest.fixture
def pool(monkeypatch):
    """A pool of the test's own; at its end the manager must have left by itself."""
    pool = Pool(monkeypatch)
    yield pool
    pool.finish()
