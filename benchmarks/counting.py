"""What the pool's counters cost: the instructions that the manager spends on counting, of all it spends on an object's way.

Runs a manager with debugging symbols under callgrind, offers objects to it, reads and withdraws them, and adds up the instructions of
the source lines that do nothing but count.  Instructions, for times are noise at this size.
Usage: counting.py [--json]  (from the repository's root, in the environment; needs valgrind and cmake)
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import maestro

OBJECTS = 20_000
BUILD = Path("build/profile")
# Statements that only count for `maestro top` and `maestro stats`; numbers that the pool itself goes by (live objects, leases) are none.
COUNTS = re.compile(r"^\s*\w+(->\w+)*(->|\.)(total\.\w+|\w+_total|delivered|redelivered)(\+\+| \+= .*);")


def build():
    options = ["-DCMAKE_C_FLAGS=-g", "-DMAESTRO_TESTS=OFF", "-DMAESTRO_PYTHON=OFF", "-DMAESTRO_MPI=OFF", "-DCMAKE_BUILD_TYPE=Release"]
    for command in (["cmake", "-G", "Ninja", "-B", BUILD, *options], ["cmake", "--build", BUILD, "--target", "maestro-pool"]):
        subprocess.run(command, check=True, stdout=sys.stderr)


def way_of_objects(pool):
    """Offer, event with lease, disposal, withdrawal; each object by itself."""
    with maestro.Session(pool=pool, component="producer", schema="mars", timeout=60) as session:
        with session.subscribe("step >= 0", timeout=60) as events:
            for step in range(OBJECTS):
                session.offer(b"values", param="t", step=step, levelist=500)
                events.next().dispose()
        session.withdraw(None, timeout=60)


def profile(folder):
    """{(file, line): instructions} of a manager that serves `way_of_objects`."""
    out = Path(folder, "callgrind.out")
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-pos=no", "--compress-strings=no"]
    os.environ |= {"MAESTRO_DIR": folder, "MAESTRO_LINGER_S": "1", "MAESTRO_SPIN_US": "0"}
    manager = subprocess.Popen([*valgrind, BUILD / "bin/maestro-pool", "--pool", "counted"], stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 30
    while not any(Path(folder).rglob("*.sock*")):
        if manager.poll() is not None or time.monotonic() > give_up:
            sys.exit("counting.py: no manager came under valgrind within 30 s")
        time.sleep(0.1)
    way_of_objects("counted")
    manager.wait(60)
    return instructions_by_line(out.read_text())


def instructions_by_line(text):
    """Callgrind's format: fl=, fi=, fe= name the file of the lines `LINE COST` below; a line behind calls= is the callee's."""
    cost, file, callee = {}, "", False
    for line in text.splitlines():
        if line.startswith(("fl=", "fi=", "fe=")):
            file = line[3:]
        elif line.startswith("calls="):
            callee = True
        elif re.fullmatch(r"\d+ \d+", line):
            at, count = map(int, line.split())
            if not callee:
                cost[file, at] = cost.get((file, at), 0) + count
            callee = False
    return cost


def counting_lines():
    for path in Path("csrc/pool").glob("*.c"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if COUNTS.match(line):
                yield str(path.resolve()), number


def main():
    build()
    with tempfile.TemporaryDirectory() as folder:
        cost = profile(folder)
    lines = set(counting_lines())
    counted = sum(count for place, count in cost.items() if place in lines)
    figures = {"objects": OBJECTS, "instructions": sum(cost.values()) / OBJECTS, "counting": counted / OBJECTS, "lines": len(lines)}
    figures["share"] = figures["counting"] / figures["instructions"]
    if "--json" in sys.argv:
        print(json.dumps(figures))
    else:
        print(
            "{counting:.1f} of {instructions:.0f} instructions an object are for counting ({share:.2%}), on {lines} lines".format(**figures)
        )


if __name__ == "__main__":
    main()
