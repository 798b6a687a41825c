"""The pool as the runner sees it: who has joined, what the manager counts; and what the runner says there: what components need.

The runner keeps one session for the whole run, and one more for each further schema; the manager takes its limits and schema from the
first one and leaves soon after it ends. What a component consumes is declared before any component starts, so that producers can ask
whether an object is wanted, until the component has ended.
Who has joined is read from events, for a quick component may come and go between two looks at the counters. A lost manager is
told once and does not end the run: the components get their own errors.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .overlap import first_selection

if TYPE_CHECKING:
    import maestro

    from .workflow import Workflow

RUNNER = "maestro-run"  # component of the runner's sessions
ANSWERS = "-answers"  # an archive answers needs under its name with this behind it
POLL_S = 0.25
ANSWER_S = 2.0


class Peers:
    """The runner's session, the joins it has seen, and the manager's last answer."""

    def __init__(self, flow: Workflow, environment: dict[str, str], folder: Path):
        import maestro

        self.lost: str | None = None
        self.stats: dict = {}
        self.looked = 0.0  # when they were asked for
        self._joined: dict[str, set[int]] = {}  # process ids by component
        self._sessions: dict[int, dict] = {}  # the last counters of every session ever seen
        self._next = 0.0
        for name in ("MAESTRO_POOL_MEMORY", "MAESTRO_POOL_OBJECTS", "MAESTRO_LINGER_S"):
            if name in environment:
                os.environ[name] = environment[name]  # the manager inherits them from this process
        self.session = maestro.Session(pool=flow.pool_name, component=RUNNER, schema=flow.schema(folder))
        self._events = self.session.subscribe(None, kinds="joined")
        self._sessions_of: dict[str | None, maestro.Session] = {flow.schema(folder): self.session}
        self._needs = {name: self._declare(flow, name, folder) for name in flow.components}

    def _declare(self, flow: Workflow, name: str, folder: Path) -> list[maestro.Need]:
        """The needs of a component; one that says nothing of itself may need everything."""
        import maestro

        part, schemas = flow.components[name], flow.schemas(name, folder)
        found = [first_selection(selector, schemas) for selector in ([""] if part.unsaid else part.consumes or [])]
        for one in found:
            if one.given not in self._sessions_of:
                self._sessions_of[one.given] = maestro.Session(pool=flow.pool_name, component=RUNNER, schema=one.given)
        return [self._sessions_of[one.given].require(one.text) for one in found]

    def retract(self, name: str) -> None:
        """A component has ended and needs nothing any more."""
        import maestro

        needs = self._needs.pop(name, [])
        try:
            for need in needs if not self.lost else ():
                need.retract()
        except maestro.MaestroError as error:
            self.lost = str(error)

    def poll(self) -> None:
        """Take the joins that are there; ask for the counters every POLL_S."""
        import maestro

        if self.lost:
            return
        try:
            self._take_joins()
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + POLL_S
                self.stats = self.session.stats(timeout=ANSWER_S)
                self.looked = time.monotonic()
                self._sessions |= {session["session"]: session for session in self.stats["sessions"]}
        except maestro.MaestroError as error:
            self.lost = str(error)

    def _take_joins(self) -> None:
        while (event := self._events.next(timeout=0)) is not None:
            if event.cdo is None:  # a gap: whoever joined meanwhile shows in the counters
                continue
            with event.cdo as cdo:
                self._joined.setdefault(cdo["maestro.component"], set()).add(cdo["maestro.pid"])

    def joined(self, name: str) -> int:
        """How many processes of a component have joined so far, also when they have left since."""
        return len(self._joined.get(name, ()))

    def counts(self, name: str) -> dict[str, int]:
        """What a component's sessions have done so far."""
        mine = [session for session in self._sessions.values() if session["component"] == name]
        return {counter: sum(session[counter] for session in mine) for counter in ("offers", "events", "demands")} if mine else {}

    def subscribed(self, name: str) -> int:
        """How many sessions of a component have subscribed to objects."""
        mine = [session for session in self.stats.get("sessions", ()) if session["component"] == name]
        return sum(any("offered" in one["kinds"] for one in session["subscriptions"]) for session in mine)

    def idle(self, name: str) -> bool:
        """Whether a component has taken and given back all objects for which it subscribed, as of the last look."""
        mine = [session for session in self.stats.get("sessions", ()) if session["component"] == name]
        groups = {one["group"] for session in mine for one in session["subscriptions"] if "group" in one}
        behind = any(group["lag"] for group in self.stats.get("groups", ()) if group["name"] in groups)
        return not behind and not any(session["leases"] or any(one["lag"] for one in session["subscriptions"]) for session in mine)

    def strangers(self, known) -> list[str]:
        """Components that joined under names which the workflow file does not have."""
        return [name for name in self._joined if name.removesuffix(ANSWERS) not in known and not name.startswith("maestro-")]

    def close(self) -> None:
        import maestro

        for session in reversed(self._sessions_of.values()):
            try:
                session.close()
            except maestro.MaestroError as error:
                self.lost = self.lost or str(error)
