"""Product generation: a supervisor and its workers, who share the fields.

The supervisor owns the notice pipes, hears which steps are complete, and touches no data. When a worker dies (MIR aborts), it reads
the worker's trace, refuses the requirement that was being made, by name, and starts the worker again. At the end it puts the part files
together.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import requirements as wishes
from . import trace
from .errors import StageTimeoutError
from .fences import open_fences
from .notices import Reader
from .outlet import assemble
from .plan import Plan
from .stage import ComponentError
from .trace import Kind, Trace
from .worker import refuse

LOOK_S = 0.1  # how often one looks after the workers; of steps one hears at once
IDLE_DEATHS = 3  # deaths of one worker outside of any requirement, after which it is given up


class Supervisor:
    """Runs the product workers of one plan to their end."""

    def __init__(self, plan_file, requirements_file, run, plan: Plan, *, dry: bool, pictures: bool, limit: float):
        self.files, self.run, self.plan = (str(plan_file), str(requirements_file)), Path(run), plan
        self.dry, self.pictures, self.limit = dry, pictures, time.monotonic() + limit
        self.products = wishes.expand(wishes.load(requirements_file), plan.fields())
        self.readers = [Reader(run, worker) for worker in range(plan.workers)]
        self.deaths = [0] * plan.workers
        self.children: dict[int, subprocess.Popen] = {}

    def execute(self) -> dict:
        """Start, watch, restart, assemble; returns the outcome, which also stands in `outcome.json`."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        fences = open_fences(self.plan, self.run)
        try:
            for worker in range(self.plan.workers):
                self._start(worker)
            while self.children:
                self._watch()
                fences.hear(LOOK_S)
        finally:
            for child in self.children.values():
                child.kill()
                child.wait()
            for reader in self.readers:
                reader.close()
            fences.close()
        if not self.dry:
            assemble(self.run, self.products)
        return write_outcome(self.run, self.plan, self.products, self.dry)

    def _start(self, worker: int) -> None:
        descriptor = self.readers[worker].descriptor
        command = [sys.executable, "-m", "maestro.workflows.weather.cli", "worker", *self.files]
        command += ["--run", str(self.run), "--worker", str(worker), "--notices", str(descriptor)]
        command += ["--dry-run"] * self.dry + ["--pictures"] * self.pictures
        with self._log(worker).open("ab") as log:
            self.children[worker] = subprocess.Popen(command, pass_fds=[descriptor], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _log(self, worker: int) -> Path:
        return self.run / f"products.{worker}.log"

    def _watch(self) -> None:
        if time.monotonic() > self.limit:
            raise StageTimeoutError(f"run products of {self.files[0]}: not finished within the limit; see {self.run}/products.*.log")
        for worker, child in list(self.children.items()):
            if child.poll() is None:
                continue
            del self.children[worker]
            if child.returncode:
                self._after_death(worker, child.returncode)

    def _after_death(self, worker: int, code: int) -> None:
        """Name the requirement that the worker died of, and start the next worker."""
        culprit = self._in_work(worker)
        if culprit is None:
            self.deaths[worker] += 1
            if self.deaths[worker] >= IDLE_DEATHS:
                log = self._log(worker)
                raise ComponentError(f"run product worker {worker}: it ended {IDLE_DEATHS} times with {_manner(code)}; {log}: {_last(log)}")
        else:
            reason = f"MIR ended its process: {_manner(code)}" if code < 0 else f"its worker failed: {_last(self._log(worker))}"
            with Trace(self.run / "trace" / f"products.{worker}", worker) as log:
                refuse(log, self.run, self.products[culprit], reason)
        self._start(worker)

    def _in_work(self, worker: int) -> int | None:
        path = self.run / "trace" / f"products.{worker}"
        current = None
        for record in trace.records(path):
            if record.kind == Kind.STARTED:
                current = record.product
            elif record.kind in (Kind.PRODUCT, Kind.REFUSED):
                current = None
        return current


def _manner(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _last(log: Path) -> str:
    """The last line of a log: of a Python program, what it died of."""
    return (log.read_text(errors="replace").strip().splitlines() or ["empty"])[-1].strip()


def write_outcome(run, plan: Plan, products, dry: bool = False) -> dict:
    """Count from the traces what was met, failed, lost, damaged, doubled; every failure by name."""
    run, fields = Path(run), plan.fields()
    met, received, corrupt, again, failures = set(), set(), [], [], {}
    for path in sorted((run / "trace").glob("products.*")):
        for record in trace.records(path):
            if record.kind == Kind.PRODUCT:
                met.add(record.product)
            elif record.kind == Kind.RECEIVED:
                received.add(record.field)
            elif record.kind == Kind.CORRUPT:
                corrupt.append(record.field)
            elif record.kind == Kind.AGAIN:
                again.append(record.field)
    for path in sorted((run / "trace").glob("failures.*")):
        for line in path.read_text().splitlines():
            failure = json.loads(line)
            failures[failure["product"]] = failure
    lost = sorted(wishes.covers(products, fields) - received)
    for product in [] if dry else products:
        if product.index not in met and product.index not in failures:
            reason = "no field of the plan fits" if product.field is None else "its field did not arrive"
            failures[product.index] = {"product": product.index, "name": product.name, "reason": reason}
    outcome = {
        "requirements": 0 if dry else len(products),
        "met": len(met),
        "failed": [failures[index] for index in sorted(failures)],
        "received": len(received),
        "lost": lost,
        "corrupt": sorted(corrupt),
        "duplicates": sorted(again),
    }
    (run / "outcome.json").write_text(json.dumps(outcome, indent=1) + "\n")
    return outcome
