"""A cgroup whose limit is near: allocations are refused by name before the kernel kills anybody.

Needs a memory cgroup of its own, which only some machines let a test make; the arithmetic is tested on recorded machines in csrc/mem."""

import contextlib
import os
import re
import time
from pathlib import Path

import pytest

MIB = 1 << 20
LIMIT = 192 * MIB


@pytest.fixture
def cgroup():
    """A memory cgroup (v1 or v2) below this process's own, with LIMIT."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = {line.split(":", 2)[1]: line.split(":", 2)[2].lstrip("/") for line in lines}
    places = [Path("/sys/fs/cgroup/memory", own[name]) for name in own if "memory" in name.split(",")]
    places += [Path("/sys/fs/cgroup", own[""])] if "" in own else []
    for place in places:
        folder = place / f"maestro-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            for name in ("memory.limit_in_bytes", "memory.max"):
                if (folder / name).exists():
                    (folder / name).write_text(str(LIMIT))
                    yield folder
                    return
    pytest.skip("no memory cgroup can be made here")


def remove(folder):
    for _ in range(100):
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.05)


def test_allocation_near_the_cgroups_limit_is_refused_by_name_and_nobody_is_killed(pool, cgroup):
    pool.set(MAESTRO_POOL_MEMORY="4GiB")
    program = pool.program(
        """
        from pathlib import Path
        Path(sys.argv[1], "cgroup.procs").write_text("0")  # the manager that it starts is in it too
        with Session("greedy", schema="mars", timeout=0.5) as s:
            kept = []
            try:
                for step in range(100):
                    with s.cdo(param="t", step=step) as cdo:
                        cdo.empty(8 << 20)[:] = step
                        cdo.offer()
            except MemoryError as error:
                print(error)
            print(step, all((cdo.array() == cdo["step"]).all() for cdo in s.query()), s.count() == step)
            s.withdraw("step <= 1")
            s.cdo(param="t", step=1000).empty(8 << 20)[:] = 1
            print("goes on")
        """,
        cgroup,
    )
    try:
        told, counts, last = program.end().splitlines()
        cause = r"the cgroup or machine has \d+ MiB left, less than the 8 MiB asked for \(held by greedy\[0\] \d+ MiB\)"
        assert re.search(f"alloc 8388608 bytes: {cause}; withdraw objects", told)
        step, whole, all_there = counts.split()
        assert 4 <= int(step) < LIMIT // (8 * MIB)
        assert (whole, all_there, last) == ("True", "True", "goes on")
    finally:
        pool.finish()
        remove(cgroup)
