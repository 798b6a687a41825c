"""How a test runs on several ranks: all of them agree on its outcome, and rank 0 alone prints.

Invariant: a phase of a test passes on all ranks or fails on all, with the text of those on which it failed; so no rank waits in a later
test for one that has given up.  A rank that hangs is ended by the test's timeout, which shows its stack.
"""

import pytest
from mpi4py import MPI


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if MPI.COMM_WORLD.rank > 0:
        config.pluginmanager.unregister(name="terminalreporter")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    comm = MPI.COMM_WORLD
    outcomes = comm.allgather((report.outcome, report.longreprtext))
    if {outcome for outcome, _ in outcomes} not in ({"passed"}, {"skipped"}):
        report.outcome = "failed"
        report.longrepr = "\n".join(f"---- rank {rank}: {outcome}\n{text}" for rank, (outcome, text) in enumerate(outcomes))
    return report
