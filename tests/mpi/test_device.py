"""Arrays on a device go through host memory.  There is none here: its driver is tests/helpers/fakecuda.c, its addresses are of no use."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mpi4py import MPI
from poolside import raises

import maestro
from maestro.arrays import device

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.rank, COMM.size
FAR = 1 << 63
SOURCE = Path(__file__).parents[1] / "helpers/fakecuda.c"


class OnDevice:
    """An array as CuPy's are seen from outside; `seen` is what a kernel would see."""

    def __init__(self, seen, read_only=False, stream=None):
        self.seen = seen
        self.__cuda_array_interface__ = {
            "version": 3,
            "shape": seen.shape,
            "typestr": seen.dtype.str,
            "data": (seen.ctypes.data | FAR, read_only),
            "strides": None if seen.flags.c_contiguous else seen.strides,
            "stream": stream,
        }


@pytest.fixture(name="log")
def fake_driver(tmp_path, monkeypatch):
    library = tmp_path / "libcuda.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    monkeypatch.setattr(device, "DRIVER", str(library))
    monkeypatch.setenv("FAKECUDA_LOG", str(tmp_path / "log"))
    device.driver.cache_clear()
    yield lambda: (tmp_path / "log").read_text().split("\n")[:-1]
    device.driver.cache_clear()


def layouts():
    return maestro.Layout.blocks((6, 8), grid=(SIZE, 1)), maestro.Layout.blocks((6, 8), grid=(1, SIZE), order="F", ghosts=1)


def arrays():
    rows, columns = layouts()
    i, j = rows.coordinates(RANK)
    return 10.0 * i + j, np.full(columns.local(RANK).shape, -1.0, order="F")


def check(target):
    columns = layouts()[1]
    k, m = columns.coordinates(RANK)
    wanted = np.full(target.shape, -1.0)
    wanted[columns.local(RANK).owned] = 10 * k + m
    np.testing.assert_array_equal(target, wanted)


def test_arrays_on_a_device_are_redistributed(log):
    a, b = arrays()
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        for _ in range(2):
            b[...] = -1
            plan(OnDevice(a, read_only=True), OnDevice(b))
            check(b)
        there = plan_of_one_side(plan, a, b)
    check(there)
    assert [line.split()[0] for line in log()[:4]] == ["DtoH", "DtoH", "HtoD", "sync"]


def plan_of_one_side(plan, a, b):
    """A device on one side only."""
    target = np.array(b, order="F")
    target[...] = -1
    plan(OnDevice(a), target)
    return target


def test_what_streams_still_do_is_waited_for(log):
    a, b = arrays()
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        plan(OnDevice(a, stream=7), OnDevice(b), stream=SimpleNamespace(ptr=11))
        plan(OnDevice(a), OnDevice(b), stream=SimpleNamespace(cuda_stream=13))
    before = [line for line in log()[: log().index(f"HtoD {b.nbytes}")] if line.startswith("sync")]
    assert before == ["sync 7", "sync 11", "sync 11"]
    assert log().count("sync 13") == 2
    check(b)


def test_halos_of_a_device_keep_what_they_own(log):
    layout = maestro.Layout.blocks(4 * SIZE, grid=SIZE, ghosts=1)
    u = np.zeros(6)
    u[1:-1] = 4 * RANK + np.arange(4)
    with maestro.Halo(layout, "f8", COMM, periodic=True) as halo:
        halo(OnDevice(u))
    np.testing.assert_array_equal(u, np.arange(4 * RANK - 1, 4 * RANK + 5) % (4 * SIZE))
    assert len(log()) == 3


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a, b: (OnDevice(a[1:]), b), ["field 0 of the source", "shape"]),
        (lambda a, b: (OnDevice(a.astype("f4")), b), ["field 0 of the source", "float32"]),
        (lambda a, b: (a, OnDevice(np.ascontiguousarray(b))), ["field 0 of the target", "strides"]),
        (lambda a, b: (a, OnDevice(b, read_only=True)), ["field 0 of the target", "read-only"]),
    ],
)
def test_arrays_on_a_device_that_do_not_fit_are_refused(log, spoil, words):
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        a, b = arrays()
        with raises(maestro.ArgumentError, *words):
            plan.start(*spoil(a, b))
        plan(a, b)
        check(b)


def test_what_the_driver_refuses_is_told(log):
    a, b = arrays()
    here = OnDevice(a)
    here.__cuda_array_interface__["data"] = (a.ctypes.data, False)  # no address of the device
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        with raises(maestro.SystemError, "cuMemcpyDtoH", "invalid argument"):
            plan.start(here, b)
        plan(a, b)


def test_without_a_driver_arrays_on_a_device_are_refused(monkeypatch):
    monkeypatch.setattr(device, "DRIVER", "libno-such-driver.so")
    device.driver.cache_clear()
    a, b = arrays()
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        with raises(maestro.SystemError, "CUDA driver", "libno-such-driver.so"):
            plan.start(OnDevice(a), b)
        plan(a, b)
