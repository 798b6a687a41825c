"""Redistribution from Python, row blocks to column blocks: a plan beside mpi4py's Alltoallw with subarrays, which is what mpi4py-fft does.

Run by mpirun: python -m maestro.benchmark.alltoallw [N ...].  Prints a line of JSON for each N.
Invariant: both results are checked element by element before anything is measured; ways alternate; a sample is that of the slowest rank.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from mpi4py import MPI

import maestro

ROUNDS, SAMPLE_S = 15, 3e-4
comm = MPI.COMM_WORLD


def blocks(n: int) -> tuple[maestro.Layout, maestro.Layout]:
    return maestro.Layout.blocks((n, n), (comm.size, 1)), maestro.Layout.blocks((n, n), (1, comm.size))


def alltoallw(source: np.ndarray, target: np.ndarray) -> Callable[[], None]:
    """Each rank's columns of the source to its rows of the target."""
    n, part = target.shape
    sent = [MPI.DOUBLE.Create_subarray((part, n), (part, part), (0, p * part)).Commit() for p in range(comm.size)]
    received = [MPI.DOUBLE.Create_subarray((n, part), (part, part), (p * part, 0)).Commit() for p in range(comm.size)]
    ones, zeros = [1] * comm.size, [0] * comm.size
    return lambda: comm.Alltoallw([source, ones, zeros, sent], [target, ones, zeros, received])


def sample(run: Callable[[], None], repeats: int) -> float:
    """Microseconds of a run on the slowest rank."""
    comm.Barrier()
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return comm.allreduce((time.perf_counter() - start) / repeats, MPI.MAX) * 1e6


def check(run: Callable[[], None], target: np.ndarray, n: int, what: str) -> None:
    target[:] = -1
    comm.Barrier()
    run()
    expected = np.arange(n)[:, None] * n + np.arange(comm.rank * target.shape[1], (comm.rank + 1) * target.shape[1])
    if not np.array_equal(target, expected):
        sys.stderr.write(f"alltoallw: wrong result of {what}\n")
        comm.Abort(1)


def measure(n: int) -> dict[str, dict[str, float]]:
    rows, columns = blocks(n)
    source, target = maestro.empty(rows, "f8", comm), maestro.empty(columns, "f8", comm)
    source[:] = np.arange(comm.rank * len(source), (comm.rank + 1) * len(source))[:, None] * n + np.arange(n)
    plan, flat = maestro.redistribute(rows, columns, "f8", comm), target.reshape(source.shape)
    ways = {
        "memcpy": lambda: np.copyto(flat, source),
        "maestro": lambda: plan(source, target),
        "Alltoallw": alltoallw(source, target),
    }
    for name in ("maestro", "Alltoallw"):
        check(ways[name], target, n, name)
    repeats = {name: int(SAMPLE_S * 1e6 / sample(run, 3)) + 1 for name, run in ways.items()}
    samples = [{name: sample(run, repeats[name]) for name, run in ways.items()} for _ in range(ROUNDS)]
    plan.close()
    return {name: summary([one[name] for one in samples]) for name in ways}


def summary(us: list[float]) -> dict[str, float]:
    low, middle, high = np.quantile(us, (0.25, 0.5, 0.75))
    return {"us": middle, "low": low, "high": high, "samples": len(us)}


def main() -> None:
    for n in [int(word) for word in sys.argv[1:]] or [64, 512, 4096]:
        figures = measure(n)
        if comm.rank == 0:
            print(json.dumps({f"rc {n}": figures}), flush=True)


if __name__ == "__main__":
    main()
