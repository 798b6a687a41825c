"""Redistribution, memory, names: from Python, on all ranks, beside the model of tests/helpers/cutting.py."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from cutting import DTYPES, elements, random_side, same
from mpi4py import MPI
from poolside import raises

import maestro

COMM = MPI.COMM_WORLD
RANK, SIZE = COMM.rank, COMM.size
N = 12


def rows(ghosts=0, order="C"):
    return maestro.Layout.blocks((N, N), grid=(SIZE, 1), ghosts=ghosts, order=order)


def columns(ghosts=0, order="F"):
    return maestro.Layout.blocks((N, N), grid=(1, SIZE), ghosts=ghosts, order=order)


# ---- Every element arrives
@pytest.mark.parametrize("seed", range(60))
def test_every_element_arrives(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(0, 9, rng.integers(1, 4)))
    dtype, nfields = np.dtype(DTYPES[rng.integers(len(DTYPES))]), int(rng.integers(1, 4))
    source, target = random_side(rng, shape, COMM), random_side(rng, shape, COMM, ghosts=int(rng.integers(3)))
    shared = rng.random(2) < 0.7
    method = str(rng.choice(["auto", "auto_private", "packed", "shared", "datatypes", "staged", "buffered"]))
    with maestro.redistribute(
        source.layout, target.layout, dtype, COMM, method=method, max_fields=nfields, from_part=source.part, to_part=target.part
    ) as plan:
        for use in range(2):
            sources = [source.filled(COMM, dtype, offset=f + use, shared=shared[0]) for f in range(nfields)]
            targets = [target.array(COMM, dtype, 2**40, shared=shared[1]) for f in range(nfields)]
            plan(sources, targets)
            for f, array in enumerate(targets):
                if target.layout is not None:
                    wanted = np.full_like(array, elements(2**40, dtype))
                    wanted[target.owned()] = elements(target.numbers() + f + use, dtype)
                    assert same(array, wanted)


def test_elements_without_source_stay_where_that_is_allowed():
    half = maestro.Layout.boxes((N,), [((0,), (N // 2,))] if RANK == 0 else [])
    target = maestro.Layout.blocks(N, grid=SIZE)
    with raises(maestro.NotFoundError, f"element {N // 2} ", seconds=20):
        maestro.redistribute(half, target, "f8", COMM)
    a, b = np.arange(half.local().size, dtype="f8"), np.full(target.local(RANK).shape, -1.0)
    with maestro.redistribute(half, target, "f8", COMM, partial=True) as plan:
        plan(a, b)
    (i,) = target.coordinates(RANK)
    np.testing.assert_array_equal(b, np.where(i < N // 2, i, -1))


def test_equal_layouts_up_to_numbers_move_nothing_when_relabelled():
    one, other = (maestro.Layout.blocks((N, N), grid=(SIZE, 1), order="C") for _ in range(2))
    part = (RANK + 1) % SIZE
    wanted = maestro.relabel(one, other, COMM, from_part=part)
    assert wanted == part
    with maestro.redistribute(one, other, "f8", COMM, from_part=part, to_part=wanted) as plan:
        assert plan.explain()["messages"] == []


# ---- Arrays that a trial moves
@pytest.mark.parametrize("nfields", [1, 2])
def test_arrays_that_a_trial_moves_are_as_after_a_use(nfields):
    sources, targets = ([maestro.empty(layout, "f8", COMM) for _ in range(nfields)] for layout in (rows(), columns()))
    for f, a in enumerate(sources):
        i, j = rows().coordinates(RANK)
        a[:] = 100 * i + j + f + 1
    with maestro.redistribute(rows(), columns(), "f8", COMM, max_fields=nfields, try_from=sources, try_to=targets) as plan:
        i, j = columns().coordinates(RANK)
        for f, b in enumerate(targets):
            np.testing.assert_array_equal(b, 100 * i + j + f + 1 if SIZE > 1 else 0)  # of one rank nothing is tried
        assert (len(plan.explain()["trial_s"]) > 2) == (SIZE > 1)
        plan(sources, targets)
    u = maestro.empty(rows(ghosts=1), "f8", COMM)
    u[1:-1, 1:-1] = RANK
    with maestro.Halo(rows(ghosts=1), "f8", COMM, periodic=True, try_to=u):
        assert SIZE == 1 or (u[0, 1:-1] == (RANK - 1) % SIZE).all()


def test_scratch_arrays_are_tried_where_a_rank_gives_none():
    a, b = np.ones(rows().local(RANK).shape), maestro.empty(columns(), "f8", COMM)
    tries = {} if RANK == 0 else {"try_from": a, "try_to": b}
    with maestro.redistribute(rows(), columns(), "f8", COMM, **tries) as plan:
        assert (len(plan.explain()["trial_s"]) > 2) == (SIZE > 1)
        assert not b.any()


# ---- Start, wait, test
def test_work_is_done_between_start_and_wait():
    a, b = maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM)
    i, j = rows().coordinates(RANK)
    a[:] = 100 * i + j
    with maestro.redistribute(rows(), columns(), "f8", COMM) as plan:
        plan.start(a, b)
        with raises(maestro.StateError, "started already"):
            plan.start(a, b)
        plan.wait()
        with raises(maestro.StateError, "not been started"):
            plan.wait()
        with raises(maestro.StateError, "not been started"):
            plan.test()
        b[:] = 0
        plan.start(a, b)
        while not plan.test():
            time.sleep(0)
        i, j = columns().coordinates(RANK)
        np.testing.assert_array_equal(b, 100 * i + j)


def test_a_started_plan_keeps_its_arrays():
    plan = maestro.redistribute(rows(), columns(), "f8", COMM)
    target = maestro.empty(columns(), "f8", COMM)
    plan.start(np.full(rows().local(RANK).shape, 7.0), target)
    gc.collect()
    junk = [np.zeros(rows().local(RANK).shape) for _ in range(10)]
    COMM.barrier()
    plan.wait()
    assert (target == 7).all(), junk
    plan.close()


def test_a_rank_that_does_not_come_is_a_timeout_and_the_use_goes_on():
    a, b = maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM)
    a[:] = 3
    with maestro.redistribute(rows(), columns(), "f8", COMM) as plan:
        if SIZE > 1 and RANK == 0:
            plan.start(a, b)
            with raises(maestro.TimeoutError, "0.3 s", "wait again"):
                plan.wait(timeout=0.3)
            COMM.barrier()
        else:
            COMM.barrier()
            plan.start(a, b)
        plan.wait()
    assert (b == 3).all()


def test_control_c_ends_a_wait():
    a, b = maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM)
    with maestro.redistribute(rows(), columns(), "f8", COMM) as plan:
        if SIZE > 1 and RANK == 0:
            plan.start(a, b)
            handler = signal.signal(signal.SIGINT, signal.default_int_handler)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            begin = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                plan.wait()
            assert time.monotonic() - begin < 5
            signal.signal(signal.SIGINT, handler)
            COMM.barrier()
        else:
            COMM.barrier()
            plan.start(a, b)
        plan.wait()


def test_other_threads_run_during_a_wait():
    a, b = maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM)
    with maestro.redistribute(rows(), columns(), "f8", COMM) as plan:
        if SIZE > 1 and RANK == 0:
            plan.start(a, b)
            turns, stop = [0], threading.Event()

            def count():
                while not stop.is_set():
                    turns[0] += 1
                    time.sleep(0.001)

            thread = threading.Thread(target=count)
            thread.start()
            with raises(maestro.TimeoutError):
                plan.wait(timeout=0.5)
            stop.set()
            thread.join()
            assert turns[0] > 5
            COMM.barrier()
        else:
            COMM.barrier()
            plan.start(a, b)
        plan.wait()


@pytest.mark.parametrize("method", ["shared", "packed"])
def test_threads_use_plans_of_their_own(method):
    plans = [maestro.redistribute(rows(), columns(), "f8", COMM, method=method) for _ in range(2)]
    failures = []

    def use(which):
        try:
            a, b = maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM)
            for k in range(20):
                a[...] = 100 * which + k
                plans[which](a, b)
                assert (b == 100 * which + k).all()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=[which]) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for plan in plans:
        plan.close()


def test_plans_that_were_never_closed_hinder_nobody():
    for method in ("packed", "shared", "auto") * 3:
        plan = maestro.redistribute(rows(), columns(), "f8", COMM, method=method)
        plan(maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM))
        plan.start(maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM))
        del plan
    a, b = maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM)
    a[:] = 3
    with maestro.redistribute(rows(), columns(), "f8", COMM) as plan:
        plan(a, b)
    assert (b == 3).all()


def test_a_plan_that_nobody_refers_to_ends():
    def mappings():
        gc.collect()
        return Path("/proc/self/maps").read_text().count("maestro-array"), len(os.listdir("/proc/self/fd"))

    def use(method):
        plan = maestro.redistribute(rows(), columns(), "f8", COMM, method=method)
        plan(maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM))

    for method in ("staged", "shared", "packed", "datatypes", "buffered", "auto"):
        use(method)
        COMM.barrier()
        before = mappings()
        for _ in range(5):
            use(method)
        COMM.barrier()
        assert mappings() == before


def test_ranks_that_start_different_numbers_of_fields_are_told_and_the_plan_is_spent():
    def fields(layout, n):
        return [maestro.empty(layout, "f8", COMM) for _ in range(n)]

    n = 2 if RANK == 0 else 1
    with maestro.redistribute(rows(), columns(), "f8", COMM, max_fields=2, method="packed") as plan:
        if SIZE == 1:
            plan(fields(rows(), n), fields(columns(), n))
            return
        with raises(maestro.ArgumentError, "field", seconds=20):
            plan(fields(rows(), n), fields(columns(), n))
        for _ in range(2):
            with raises(maestro.StateError, "earlier use has failed"):
                plan(fields(rows(), 1), fields(columns(), 1))


def test_a_started_plan_in_a_cycle_of_garbage_keeps_its_arrays():
    plan = maestro.redistribute(rows(), columns(), "f8", COMM)
    source, target = np.ones(rows().local(RANK).shape), maestro.empty(columns(), "f8", COMM)
    kept = [weakref.ref(source), weakref.ref(target)]
    plan.start(source, target)
    plan.me, gone = plan, weakref.ref(plan)
    begin = time.monotonic()
    del plan, source, target
    gc.collect()
    assert gone() is None  # it was garbage
    assert all(array() is not None for array in kept)
    assert time.monotonic() - begin < 5
    COMM.barrier()


def test_a_plan_that_is_done_or_refused_keeps_nothing():
    def alive(a, b):
        return [weakref.ref(a), weakref.ref(b)]

    with maestro.redistribute(rows(), columns(), "f8", COMM) as plan:
        a, b = maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM)
        done = alive(a, b)
        plan(a, b)
        a, b = maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f4", COMM)
        refused = alive(a, b)
        with raises(maestro.ArgumentError, "float32"):
            plan.start(a, b)
        del a, b
        gc.collect()
        assert [array() for array in done + refused] == [None] * 4


def test_short_waits_are_kept():
    with maestro.redistribute(rows(), columns(), "f8", COMM) as plan:
        if SIZE > 1 and RANK == 0:
            plan.start(maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM))
            begin = time.monotonic()
            for _ in range(50):
                with raises(maestro.TimeoutError, "after 0 s"):
                    plan.wait(timeout=0)
            spent = time.monotonic() - begin
            COMM.barrier()
        else:
            spent = 0
            COMM.barrier()
            plan.start(maestro.empty(rows(), "f8", COMM), maestro.empty(columns(), "f8", COMM))
        plan.wait(timeout=-1)  # the default
    assert spent < 4


# ---- What plans tell
def test_a_plan_explains_itself():
    with maestro.redistribute(rows(), columns(), "f4", COMM, method="packed") as plan:
        said = plan.explain()
        assert (said["method"], said["element_bytes"]) == ("packed", 4)
        sizes = COMM.allgather(rows().local(RANK).shape[0])
        assert said["kept_bytes"] == 4 * sizes[RANK] ** 2
        expected = [{"rank": r, "sent_bytes": 4 * n * sizes[RANK], "received_bytes": 4 * n * sizes[RANK]} for r, n in enumerate(sizes)]
        assert [{key: other[key] for key in expected[0]} for other in said["messages"]] == [one for one in expected if one["rank"] != RANK]
        assert str(said).startswith("method packed: keeps ")
        assert str(said).count(", packed: ") == SIZE - 1
        assert "tried" not in str(said)
        assert "packed" in repr(plan)
        assert json.loads(json.dumps(said)) == said


def test_a_closed_plan_says_so():
    plan = maestro.redistribute(rows(), columns(), "f8", COMM)
    assert not plan.closed
    plan.close()
    plan.close()
    assert plan.closed
    assert "closed" in repr(plan)
    for use in (plan.start, plan.wait, plan.test, plan.explain):
        with raises(maestro.ClosedError, "closed"):
            use()


# ---- What is refused
@pytest.fixture(name="plan")
def two_fields():
    plan = maestro.redistribute(rows(), columns(ghosts=1), "f8", COMM, max_fields=2)
    yield plan
    plan.close()


def good():
    return maestro.empty(rows(), "f8", COMM), maestro.empty(columns(ghosts=1), "f8", COMM)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a, b: (a[1:], b), ["field 0 of the source", "shape is", "this rank's part has shape"]),
        (lambda a, b: (a, b[1:-1, 1:-1]), ["field 0 of the target", "shape is", "ghost cells"]),
        (lambda a, b: (a.ravel(), b), ["field 0 of the source", "shape is"]),
        (lambda a, b: (a.astype("f4"), b), ["field 0 of the source", "float32", "float64"]),
        (lambda a, b: (a, np.ascontiguousarray(b)), ["field 0 of the target", "strides"]),
        (lambda a, b: (a, read_only(b)), ["field 0 of the target", "read-only"]),
        (lambda a, b: (a.tolist(), b), [f"{N // SIZE} fields of the source and 1 of the target"]),
        (lambda a, b: ("a", b), ["field 0 of the source", "str", "__cuda_array_interface__"]),
        (lambda a, b: ([a, None], [b, b]), ["field 1 of the source", "None"]),
        (lambda a, b: ([a, a], [b, b]), ["fields 0 and 1 of the target share memory"]),
        (lambda a, b: ([a, a], [b]), ["2 fields of the source and 1 of the target"]),
        (lambda a, b: ([a] * 3, [b] * 3), ["3 fields", "1 to 2"]),
        (lambda a, b: ([], []), ["0 fields"]),
        (lambda a, b: (None, b), ["field 0 of the source", "None"]),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(plan, spoil, words):
    a, b = good()
    with raises(maestro.ArgumentError, *words):
        plan.start(*spoil(a, b))
    plan(*good())  # nothing has begun


def read_only(array):
    array.flags.writeable = False
    return array


def test_a_target_that_shares_memory_with_the_source_is_refused():
    with maestro.redistribute(rows(), rows(order="C"), "f8", COMM) as plan:
        a = maestro.empty(rows(), "f8", COMM)
        with raises(maestro.ArgumentError, "start: field 0 of the target shares memory with field 0 of the source"):
            plan(a, a)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: maestro.redistribute(rows(), columns(), "O", COMM), ["object"]),
        (lambda: maestro.redistribute(rows(), columns(), "V12", COMM), ["12 bytes", "1, 2, 4, 8 or 16"]),
        (lambda: maestro.redistribute(rows(), columns(), "f8", COMM, method="quick"), ["'quick'", "packed"]),
        (lambda: maestro.redistribute(rows(), columns(), "f8", COMM, max_fields=0), ["max_fields is 0"]),
        (lambda: maestro.redistribute(rows(), columns(), ["f8", "f8"], COMM, max_fields=3), ["max_fields=3", "a list says"]),
        (lambda: maestro.redistribute(rows(), columns(), maestro.Field("i2", "f8"), COMM), ["int16", "not converted"]),
        (lambda: maestro.redistribute(rows(), columns(), "f8", 7), ["comm is 7", "mpi4py"]),
        (lambda: maestro.redistribute(rows(), maestro.Layout.blocks((N, N + 1), grid=(SIZE, 1)), "f8", COMM), ["size 12", "13"]),
        (lambda: maestro.redistribute(None, None, "f8", COMM), ["no rank"]),
        (lambda: maestro.empty(rows(), "O", COMM), ["object"]),
        (lambda: maestro.empty(rows(), "f8", COMM, part=SIZE), [f"no part {SIZE}"]),
        (lambda: maestro.Halo(rows(ghosts=1), "f8", COMM, periodic=[True]), ["periodic has 1 values for 2 dimensions"]),
        (lambda: maestro.Halo(rows(ghosts=1), "f8", COMM, periodic=[True] * 3), ["periodic has 3 values for 2 dimensions"]),
        (lambda: maestro.Halo(None, "f8", COMM, periodic=[True] * 8), ["periodic has 8 values for up to 7 dimensions"]),
        (lambda: maestro.redistribute(rows(), columns(), "f8", COMM, from_part=-1), ["part -"]),
        (lambda: maestro.redistribute(rows(), columns(), "f8", COMM, to_part=-1), ["part -"]),
        (lambda: maestro.redistribute(rows(), columns(), "f8", COMM, to_part=2**70), ["part -"]),
        (lambda: maestro.Halo(rows(ghosts=1), "f8", COMM, part=-1), ["part -"]),
        (lambda: maestro.relabel(rows(), rows(), COMM, from_part=-1), ["part -"]),
        (lambda: maestro.relabel(None, rows(), COMM), ["NULL"]),
        (lambda: maestro.relabel(rows(), None, COMM), ["NULL"]),
    ],
)
def test_wrong_requests_are_refused_by_name(make, words):
    with raises(maestro.ArgumentError, *words, seconds=20):
        make()


def rows_now():
    return maestro.empty(rows(), "f8", COMM)


def columns_now():
    return maestro.empty(columns(), "f8", COMM)


def tried(source, target):
    maestro.redistribute(rows(), columns(), "f8", COMM, try_from=source, try_to=target)


def without_a_timeout():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAESTRO_TIMEOUT_S", "soon")
        maestro.redistribute(rows(), columns(), "f8", COMM)


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        (lambda: maestro.redistribute(rows(), columns(), "O", COMM), maestro.ArgumentError, "object"),
        (lambda: maestro.redistribute(rows(), columns(), "no type", COMM), TypeError, "no type"),
        (lambda: maestro.redistribute(rows(), columns(), "f8", COMM, method="quick"), maestro.ArgumentError, "'quick'"),
        (lambda: maestro.redistribute(rows(), columns(), "f8", COMM, max_fields=0), maestro.ArgumentError, "max_fields is 0"),
        (lambda: maestro.redistribute(rows(), columns(), "f8", COMM, from_part=0.5), TypeError, "float"),
        (lambda: maestro.redistribute(rows(), columns(), "f8", COMM, to_part=-1), maestro.ArgumentError, "part -"),
        (lambda: maestro.redistribute(rows(), columns(), maestro.Field("i2", "f8"), COMM), maestro.ArgumentError, "int16"),
        (without_a_timeout, maestro.ArgumentError, "MAESTRO_TIMEOUT_S is 'soon'"),
        (lambda: tried(np.ones(3), columns_now()), maestro.ArgumentError, r"field 0 of the source: its shape is \(3,\)"),
        (lambda: tried(rows_now(), None), maestro.ArgumentError, "field 0 of the target: it is None"),
        (lambda: tried([rows_now()] * 2, [columns_now(), columns_now()]), maestro.ArgumentError, "2 fields to try; the plan is for 1"),
        (lambda: tried([rows_now()] * 2, columns_now()), maestro.ArgumentError, "make a plan: 2 fields of the source and 1 of the target"),
    ],
)
def test_what_one_rank_alone_gives_wrong_is_refused_on_all(wrong, kind, words):
    begin = time.monotonic()
    if RANK == 0:
        with pytest.raises(kind, match=words):
            wrong()
    else:
        with pytest.raises(maestro.ArgumentError):
            maestro.redistribute(rows(), columns(), "f8", COMM)
    assert time.monotonic() - begin < 20


def test_what_one_rank_alone_gives_wrong_of_a_halo_is_refused_on_all():
    with raises(maestro.ArgumentError, *(["periodic has 1 values"] if RANK == 0 else []), seconds=20):
        maestro.Halo(rows(ghosts=1), "f8", COMM, periodic=[True] if RANK == 0 else True)


def test_a_layout_that_one_rank_does_not_give_is_refused_on_all():
    with raises(maestro.ArgumentError, "NULL on rank 0", seconds=20):
        maestro.relabel(None if RANK == 0 else rows(), rows(), COMM)


# ---- Memory
def test_empty_gives_zeros_as_the_layout_says():
    layout = maestro.Layout.blocks((5, 7), grid=(SIZE, 1), order="F", ghosts=((1, 2), 0))
    array = maestro.empty(layout, "f4", COMM)
    local = layout.local(RANK)
    assert array.shape == local.shape
    assert array.size == 0 or array.strides == (4, 4 * local.shape[0])
    assert not array.any()
    assert array.flags.writeable


def test_memory_goes_with_the_last_view():
    def descriptors():
        gc.collect()
        return sum("maestro-array" in os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())

    before = descriptors()
    array = maestro.empty(rows(), "f8", COMM)
    view = array[:1].T
    assert descriptors() == before + 1
    del array
    assert descriptors() == before + 1
    view[:] = 1
    del view
    assert descriptors() == before


def test_a_forked_child_leaves_the_memory_alone():
    array = maestro.empty(rows(), "f8", COMM)
    array[:] = 5
    child = os.fork()
    if child == 0:
        seen = (array == 5).all()
        del array
        gc.collect()
        os._exit(0 if seen else 1)
    assert os.waitpid(child, 0)[1] == 0
    target = maestro.empty(columns(), "f8", COMM)
    with maestro.redistribute(rows(), columns(), "f8", COMM, method="shared") as plan:
        plan(array, target)  # other ranks still find the memory
    assert (target == 5).all()


# ---- Names
def test_ranks_split_by_names():
    names = ["both", "even" if RANK % 2 == 0 else "odd"]
    both, half = maestro.comm_split(COMM, *names)
    assert both.allgather(RANK) == list(range(SIZE))
    assert half.allgather(RANK) == list(range(RANK % 2, SIZE, 2))
    both.Free()
    half.Free()
    assert maestro.comm_split(COMM) == ()


def test_repeated_names_are_refused():
    with raises(maestro.ArgumentError, "split by name", seconds=20):
        maestro.comm_split(COMM, "a", "a")


@pytest.mark.parametrize("wrong", [7, None, b"a", "\udc80", "a\0b"])
def test_names_that_one_rank_alone_gives_wrong_are_refused_by_all(wrong):
    words = [repr(wrong)] if RANK == SIZE - 1 else [f"rank {SIZE - 1} has not taken part"]
    with raises(maestro.ArgumentError, "split by name", *words, seconds=20):
        maestro.comm_split(COMM, "b", wrong if RANK == SIZE - 1 else "a")


# ---- Without MPI
def test_layouts_and_the_package_need_no_mpi():
    program = "import maestro, sys; maestro.Layout.blocks(4, grid=2).local(1); maestro.Plan; print('mpi4py' in sys.modules)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PMI", "OMPI", "PRTE", "PMIX", "MPI"))}
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["False"]


def test_an_mpi_for_which_nothing_is_built_is_named():
    from maestro.arrays.library import path_for

    with raises(maestro.SystemError, "Some MPI 1.0", "mpicc"):
        path_for("Some MPI 1.0\n")
