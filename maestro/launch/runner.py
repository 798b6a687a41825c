"""A run of a workflow: starts the components, watches them, and ends them in bounded time.

A state machine that `step` moves on, so that whoever draws the screen keeps the loop. Ending goes by SIGINT, SIGTERM and
SIGKILL with a bound between, which is longer for services that end because the others have; a failure of one component ends the
others unless its file says `on_failure: continue`.
Invariant: when `finished` is true no process that was started here is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from .lines import Line, find_program, launcher_words, lines_of, search_path
from .member import Member, take_second_place
from .peers import Peers
from .workflow import Workflow

STAGES = ((signal.SIGINT, 5.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0))
ASKED = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # exit codes of who ended because it was asked to
MISSING_AFTER_S = 4.0  # peers that have not joined by then are named
TAIL_LINES = 12


class Runner:
    def __init__(self, flow: Workflow, folder: Path, logs: Path, wait_s: float | None = None):
        self.flow, self.folder, self.logs = flow, folder, logs
        self.wait_s = wait_s if wait_s is not None else float(os.environ.get("MAESTRO_TIMEOUT_S") or 60)
        self.notes: list[str] = []  # what a person should read, in order
        self.exit_code = 0
        self.peers: Peers | None = None
        self.members: list[Member] = []
        self.stopping: str | None = None  # why
        self._stage, self._deadline = -1, 0.0
        self._waiting = list(flow.wait_for)
        self._named = False
        self._judged: set[Member] = set()
        self._pending: list[Member] = []  # they start when the services are there
        self._alone_since = 0.0  # only services are left
        self.retiring = False  # they have been asked to end

    # ---- start

    def lines(self) -> list[Line]:
        """All launch lines, in the file's order."""
        launcher = launcher_words() if any(part.ranks for part in self.flow.components.values()) else None
        lines = [line for name, part in self.flow.components.items() for line in lines_of(name, part, launcher)]
        free = iter(sorted(os.sched_getaffinity(0)))
        return [self._complete(line, free) for line in lines]

    def _complete(self, line: Line, free: Iterator[int]) -> Line:
        """Name a plain program by its path, for its first word is looked up beside this Python first; give it cores of its own."""
        path = find_program(line.words, self.folder)
        part = self.flow.components[line.component]
        cores = tuple(islice(free, (part.resources.cores or 0) * line.ranks))
        return replace(line, words=[path or line.words[0], *line.words[1:]], cores=cores, background=part.priority == "background")

    def environment(self, line: Line | None = None) -> dict[str, str]:
        """What components find in their environment beyond the caller's own."""
        values = dict(os.environ, PATH=search_path(), PYTHONUNBUFFERED="1", MAESTRO_POOL=self.flow.pool_name)
        values.setdefault("MAESTRO_LINGER_S", "0")  # this run's session holds the pool as long as the run lasts
        if self.flow.pool and self.flow.pool.memory:
            values["MAESTRO_POOL_MEMORY"] = str(int(self.flow.pool.memory))
        if self.flow.pool and self.flow.pool.objects:
            values["MAESTRO_POOL_OBJECTS"] = str(self.flow.pool.objects)
        if line is not None:
            part = self.flow.components[line.component]
            values["MAESTRO_COMPONENT"] = line.component
            own = {"MAESTRO_GROUP": part.group, "MAESTRO_PRIORITY": part.priority if part.priority != "normal" else None}
            values = {name: value for name, value in (values | own).items() if value is not None}
            if line.ranks == 1:
                values["MAESTRO_RANK"] = str(line.first_rank)
        return values

    def start(self) -> None:
        lines = self.lines()
        self.logs.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        if self.flow.needs_pool:
            self.peers = Peers(self.flow, self.environment(), self.folder)
        self.members = [Member(line, self.logs / self._log_name(line)) for line in lines]
        self._start([member for member in self.members if self._is_service(member)])
        self._pending = [member for member in self.members if not self._is_service(member)]
        self._start_pending()

    def _start(self, members: list[Member]) -> None:
        for member in members:
            try:
                member.start(self.environment(member.line), self.folder)
            except Exception:
                self.kill()
                raise
            if member.line.background and not self._is_service(member):
                take_second_place(member.process.pid)

    def _is_service(self, member: Member) -> bool:
        return self.flow.components[member.line.component].service

    def _start_pending(self) -> None:
        """Start what is no service as soon as the services that consume something have subscribed."""
        services = [name for name, part in self.flow.components.items() if part.service and part.consumes]
        late = [name for name in services if self.peers.subscribed(name) < self.flow.components[name].size()]
        if late and not self.peers.lost and time.monotonic() - self.started < self.wait_s:
            return
        if late:
            self.notes.append(f"{', '.join(late)}: has not subscribed within {self.wait_s:g} s; the others start without it")
        pending, self._pending = self._pending, []
        for member in self.members:
            if member.running and member.line.background:  # services; before, all have been waiting for them
                take_second_place(member.process.pid)
        self._start(pending)

    def _log_name(self, line: Line) -> str:
        component = self.flow.components[line.component]
        several = component.ranks is None and component.processes > 1
        return f"{line.component}.{line.first_rank}.log" if several else f"{line.component}.log"

    # ---- watch

    @property
    def finished(self) -> bool:
        return bool(self.members) and not self._pending and not any(member.running for member in self.members)

    def step(self) -> None:
        """Look at everything once; never blocks for longer than the manager's answer takes."""
        now = time.monotonic()
        for member in self.members:
            member.poll()
        if self.peers:
            lost = self.peers.lost
            self.peers.poll()
            if self.peers.lost and not lost:
                self.notes.append(f"pool {self.flow.pool_name}: {self.peers.lost}")
            self._watch_peers(now)
        for member in self.members:
            if member.code is not None and member not in self._judged:
                self._judged.add(member)
                self._judge(member)
        if self.stopping:
            self._pending = []
        elif self._pending:
            self._start_pending()
        else:
            self._retire(now)
        if (self.stopping or self.retiring) and not self.finished and now >= self._deadline:
            self._escalate(now)

    def _retire(self, now: float) -> None:
        """When all others have ended, and what they left is consumed, services are asked to end."""
        left = [member for member in self.members if member.running]
        if self.retiring or not left or not all(self._is_service(member) for member in left):
            return
        self._alone_since = self._alone_since or now
        names = {member.line.component for member in left}
        consumed = not self.peers or self.peers.lost or (self.peers.looked > self._alone_since and all(map(self.peers.idle, names)))
        if not consumed and now - self._alone_since < self.wait_s:
            return
        if not consumed:
            self.notes.append(f"{', '.join(sorted(names))}: not done within {self.wait_s:g} s after the others; it is stopped")
        self.retiring = True

    def failed(self, member: Member) -> bool:
        """Whether it has ended otherwise than well, or by the signal that asked it to."""
        return bool(member.code) and not (self.retiring and member.code in ASKED)

    def _judge(self, member: Member) -> None:
        """A member has ended: decide what that means for the others."""
        name = member.line.component
        if self.peers and not any(other.running for other in [*self.members, *self._pending] if other.line.component == name):
            self.peers.retract(name)
        if self.stopping or not self.failed(member):
            return
        tail = "\n".join(f"  | {line}" for line in member.tail(TAIL_LINES)) or "  | (it wrote nothing)"
        goes_on = self.flow.components[name].on_failure == "continue"
        self.notes.append(
            f"{name} failed with exit code {member.code} after {member.seconds():.1f} s; its last lines ({member.log}):\n{tail}"
            + ("\n  the others go on (on_failure: continue)" if goes_on else "")
        )
        if not goes_on:
            self.stop(f"{name} failed", member.code)

    def _watch_peers(self, now: float) -> None:
        """Name the peers that have not joined: MISSING_AFTER_S after their start, when they ended without joining, and at the bound."""
        ended = [name for name in self._waiting if all(m.code == 0 for m in self.members if m.line.component == name)]
        self._waiting = [name for name in self._waiting if self.peers.joined(name) < self.flow.components[name].size()]
        pending = {member.line.component for member in self._pending}
        late = [name for name in self._waiting if name not in pending]
        if not late or self.stopping or self.peers.lost:
            return
        for name in ended:
            if name in late:
                count = f"{self.peers.joined(name)} of {self.flow.components[name].size()}"
                self.notes.append(f"{name} has ended, and {count} joined pool {self.flow.pool_name}{self._hint()}")
                self.stop(f"{name} never joined", 1)
                return
        elapsed = now - max(member.started for member in self.members if member.line.component in late)
        if elapsed >= MISSING_AFTER_S and not self._named:
            self._named = True
            self.notes.append(f"after {elapsed:.0f} s pool {self.flow.pool_name} still waits for {self._joined_of(late)}{self._hint()}")
        if elapsed >= self.wait_s:
            self.notes.append(f"gave up after {elapsed:.0f} s: pool {self.flow.pool_name} waited for {self._joined_of(late)}{self._hint()}")
            self.stop("a component never joined", 1)

    def _joined_of(self, names: list[str]) -> str:
        """'products (1 of 2 joined), ...'."""
        parts = self.flow.components
        return ", ".join(f"{name} ({self.peers.joined(name)} of {parts[name].size()} joined)" for name in names)

    def _hint(self) -> str:
        strangers = self.peers.strangers(self.flow.components)
        return f"; joined under other names: {', '.join(strangers)}" if strangers else ""

    # ---- end

    def stop(self, why: str, exit_code: int) -> None:
        """Ask all to end; called again (a second Ctrl-C), go to the next stage at once."""
        if self.stopping is None:
            self.stopping, self.exit_code = why, exit_code
        self._deadline = 0.0

    def _escalate(self, now: float) -> None:
        self._stage = min(self._stage + 1, len(STAGES) - 1)
        number, bound = STAGES[self._stage]
        if number == signal.SIGINT and not self.stopping:  # services that retire may have much to write, such as an archive its period
            bound = max(bound, self.wait_s)
        self._deadline = now + bound
        for member in self.members:
            if number == signal.SIGKILL:
                member.kill()
            else:
                member.interrupt(number)
        if self._stage > 0:
            left = sorted({member.line.component for member in self.members if member.running})
            self.notes.append(f"{', '.join(left)}: still running, sent {number.name}")

    def kill(self) -> None:
        """End everything at once, and what outlived its launcher."""
        for member in self.members:
            member.kill()
        for member in self.members:
            if member.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):  # in an uninterruptible sleep
                    member.process.wait(timeout=STAGES[-1][1])
                member.poll()

    def close(self) -> None:
        if not self.finished or self.stopping:
            self.kill()
        if self.peers:
            self.peers.close()

    def report(self) -> dict:
        """What `--json` prints and run.json holds."""
        return {
            "workflow": self.flow.workflow,
            "pool": self.flow.pool_name,
            "exit_code": self.exit_code,
            "stopped": self.stopping,
            "notes": self.notes,
            "members": [
                {"component": m.line.component, "line": m.line.words, "ranks": m.line.ranks, "exit_code": m.code,
                 "seconds": round(m.seconds(), 3), "log": str(m.log)}
                for m in self.members
            ],
        }  # fmt: skip
