"""Arrays on a device go through host memory.  There is none here: its driver is tests/helpers/fakecuda.c, its addresses are of no use."""

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mpi4py import MPI
from poolside import raises

import maestro

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.rank, COMM.size
FAR = 1 << 63
SOURCE = Path(__file__).parents[1] / "helpers/fakecuda.c"
COPY = b"cuMemcpyDtoHAsync"  # the driver keeps the name


def loaded():
    """The driver, compiled by each rank for itself; when tests are collected, for a process looks for it when its first plan is made."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "libcuda.so.1")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", path, SOURCE], check=True)
        library = ctypes.CDLL(str(path))
    library.fakecuda_said.restype = ctypes.c_char_p
    library.fakecuda_later.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return library


DRIVER = loaded()


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


@pytest.fixture(name="said")
def use_of_the_device():
    """What the driver has done since the last time."""
    DRIVER.cuInit(0)
    DRIVER.fakecuda_said()
    yield lambda: DRIVER.fakecuda_said().decode().splitlines()
    DRIVER.fakecuda_fail(None, 0)


def put_kernel(stream, there, values):
    """Work that has not begun yet; both live until it has."""
    assert DRIVER.fakecuda_later(stream, there.ctypes.data | FAR, values.ctypes.data, values.nbytes) == 0


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


def test_arrays_on_a_device_are_redistributed(said):
    a, b = arrays()
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        for _ in range(2):
            b[...] = -1
            plan(OnDevice(a, read_only=True), OnDevice(b))
            check(b)
            assert [line.split()[0] for line in said()] == ["DtoH", "sync", "DtoH", "sync", "HtoD"]
        there = plan_of_one_side(plan, a, b)
    check(there)


def plan_of_one_side(plan, a, b):
    """A device on one side only."""
    target = np.array(b, order="F")
    target[...] = -1
    plan(OnDevice(a), target)
    return target


@pytest.mark.parametrize(
    ("of_arrays", "given"), [(7, None), (None, SimpleNamespace(ptr=11)), (7, SimpleNamespace(cuda_stream=13)), (None, 5), (None, None)]
)
def test_what_a_stream_still_does_is_waited_for(said, of_arrays, given):
    a, b = arrays()
    later, a[...] = a.copy(), 0
    stream = int(getattr(given, "ptr", getattr(given, "cuda_stream", given or of_arrays or 0)))
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        put_kernel(stream, a, later)
        plan(OnDevice(a, stream=of_arrays), OnDevice(b, stream=of_arrays), stream=given)
    check(b)
    assert {int(line.split()[-1]) for line in said()} == {stream}


def test_arrays_of_different_streams_need_one_that_is_given(said):
    a, b = arrays()
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        with raises(maestro.ArgumentError, "streams are [7, 11]"):
            plan.start(OnDevice(a, stream=11), OnDevice(b, stream=7))
        plan(OnDevice(a, stream=11), OnDevice(b, stream=7), stream=11)
    check(b)


def test_halos_of_a_device_keep_what_they_own(said):
    layout = maestro.Layout.blocks(4 * SIZE, grid=SIZE, ghosts=1)
    u = np.zeros(6)
    u[1:-1] = 4 * RANK + np.arange(4)
    with maestro.Halo(layout, "f8", COMM, periodic=True) as halo:
        halo.start(OnDevice(u))
        halo.wait()
    np.testing.assert_array_equal(u, np.arange(4 * RANK - 1, 4 * RANK + 5) % (4 * SIZE))
    assert said() == ["DtoH 48 0", "sync 0", "HtoD 48 0"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a, b: (OnDevice(a[1:]), b), ["field 0 of the source", "shape"]),
        (lambda a, b: (OnDevice(a.astype("f4")), b), ["field 0 of the source", "float32"]),
        (lambda a, b: (a, OnDevice(np.ascontiguousarray(b))), ["field 0 of the target", "strides"]),
        (lambda a, b: (a, OnDevice(b, read_only=True)), ["field 0 of the target", "read-only"]),
        (lambda a, b: (a, "text"), ["field 0 of the target", "str", "__cuda_array_interface__"]),
    ],
)
def test_arrays_on_a_device_that_do_not_fit_are_refused(said, spoil, words):
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        a, b = arrays()
        with raises(maestro.ArgumentError, *words):
            plan.start(*spoil(a, b))
        plan(a, b)
        check(b)
    assert not said()


def test_after_a_stream_of_another_device_nothing_has_begun(said):
    a, b = arrays()
    with maestro.redistribute(*layouts(), "f8", COMM) as plan:
        with raises(maestro.ArgumentError, "field 0 of the target", "cuMemcpyDtoHAsync", "invalid resource handle"):
            plan.start(OnDevice(a), OnDevice(b), stream=777)
        plan(OnDevice(a), OnDevice(b))
        check(b)


def test_what_the_device_fails_at_is_told(said):
    a, b = arrays()
    plan = maestro.redistribute(*layouts(), "f8", COMM)
    DRIVER.fakecuda_fail(COPY, 719)
    with raises(maestro.SystemError, "field 0 of the source", "cuMemcpyDtoHAsync", "unspecified launch failure"):
        plan.start(OnDevice(a), b)
    DRIVER.fakecuda_fail(None, 0)
    with raises(maestro.StateError, "an earlier use has failed"):
        plan.start(a, b)
    plan.close()


def test_without_a_driver_arrays_on_a_device_are_refused():
    if (
        subprocess.run([sys.executable, "-c", "import ctypes; ctypes.CDLL('libcuda.so.1')"], capture_output=True, check=False).returncode
        == 0
    ):
        pytest.skip("this machine has a CUDA driver")
    program = """if True:
        import sys, numpy as np, maestro
        from mpi4py import MPI
        class There:
            __cuda_array_interface__ = dict(version=3, shape=(4,), typestr="<f8", data=(1 << 63, False), strides=None, stream=None)
        line = maestro.Layout.blocks(4, grid=1)
        with maestro.redistribute(line, line, "f8", MPI.COMM_SELF) as plan:
            try:
                plan(There(), np.zeros(4))
            except maestro.SystemError as error:
                print(error)"""
    if RANK == 0:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PMI", "OMPI", "PRTE", "PMIX", "MPI"))}
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
        assert "field 0 is an array on a device, and this process has no CUDA driver, libcuda.so.1" in done.stdout
