"""Threads and processes are bound to the cores near an object, and given back; on recorded machines the choice is told."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from poolside import raises

import maestro

CORES = os.sched_getaffinity(0)


@pytest.fixture
def field(pool):
    """An object of 4 MiB as a consumer gets it: no page has been read yet."""
    pool.session().offer(np.ones(1 << 19), param="t", step=6)
    return pool.session("reader").demand("param = t")


def affinity(tid=0):
    return os.sched_getaffinity(tid)


def test_a_thread_is_bound_within_the_block_and_freed_behind_it(field):
    some = {min(CORES)}
    os.sched_setaffinity(0, some)
    try:
        with field.pin() as pin:
            assert affinity() == some
            assert pin.placement.allowed == pin.placement.cores == str(min(CORES))
        assert affinity() == some
    finally:
        os.sched_setaffinity(0, CORES)


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")
def test_ranks_share_and_nested_pins_choose_from_all(field):
    with field.pin(rank=0, nranks=2) as first:
        here = affinity()
        assert first.placement.bound
        assert here < CORES
        with field.pin(rank=1, nranks=2) as second:
            assert not affinity() & here
            assert second.placement.allowed == first.placement.allowed
        assert affinity() == here
    assert affinity() == CORES


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")
def test_one_thread_or_the_whole_process(field):
    ready, end, other = threading.Event(), threading.Event(), []

    def wait():
        other.append(threading.get_native_id())
        ready.set()
        end.wait(20)

    thread = threading.Thread(target=wait)
    thread.start()
    ready.wait(20)
    try:
        with field.pin(nranks=2):
            assert affinity(other[0]) == CORES
        pin = field.pin(process=True, nranks=2)
        assert affinity(other[0]) == affinity() < CORES
        pin.undo()
        pin.undo()
        assert affinity(other[0]) == affinity() == CORES
    finally:
        end.set()
        thread.join()


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")
def test_what_is_not_undone_stays_bound_and_the_next_pin_knows_what_was_before(field):
    field.pin(rank=1, nranks=2)
    assert affinity() < CORES
    field.pin(nranks=2).undo()
    assert affinity() == CORES


def test_a_dry_run_tells_and_binds_nothing(field):
    placement = field.pin(nranks=len(CORES), dry_run=True).placement
    assert affinity() == CORES
    assert not placement.bound
    assert placement.node == (field.numa_node if field.numa_node is not None else 0)
    assert placement.why.startswith("local to NUMA node")
    assert placement.pages_there == placement.pages


def test_another_process_is_bound(field):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        with field.pin(process=child.pid, nranks=len(CORES)) as pin:
            assert len(affinity(child.pid)) == 1
            assert pin.placement.pid == child.pid
        assert affinity(child.pid) == CORES
        child.communicate(b"\n")
    with raises(maestro.NotFoundError, "no process"):
        field.pin(process=child.pid)


def test_recorded_machine_is_told_of_and_never_bound_to(field, monkeypatch):
    monkeypatch.setenv("HWLOC_SYNTHETIC", "pack:2 [numa(memory=64GB)] l3:1 core:8 pu:2")
    if field.numa_node is None:
        pytest.skip("where pages lie is not told here")
    placement = field.pin(rank=1, nranks=4, dry_run=True).placement
    assert (placement.domain, placement.cores, placement.allowed) == ("0-15", "4-7", "0-31")
    with raises(maestro.StateError, "another machine"):
        field.pin()
    assert affinity() == CORES


def test_objects_that_lie_nowhere_and_ranks_that_are_none(pool, field):
    with raises(maestro.NotFoundError, "no data"):
        pool.session().offer(None, param="u", step=1).pin()
    with raises(maestro.ArgumentError, "no rank 2 of 2"):
        field.pin(rank=2, nranks=2)
    assert affinity() == CORES


def test_the_node_of_data_is_known_to_who_has_not_read_it(field):
    own = field.session.cdo(param="u", step=1)
    own.empty(1 << 20)[:] = 1
    assert field.numa_node == own.numa_node  # None for both in a sandbox
