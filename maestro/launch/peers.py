"""The pool as the runner sees it: who has joined, and what the manager counts.

The runner keeps one session for the whole run; the manager takes its limits and schema from it and leaves soon after it ends.
A lost manager is told once and does not end the run: the components get their own errors.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .workflow import Workflow

POLL_S = 0.25
ANSWER_S = 2.0


class Peers:
    """The runner's session and the manager's last answer."""

    def __init__(self, flow: Workflow, environment: dict[str, str], folder):
        import maestro

        self.lost: str | None = None
        self.stats: dict = {}
        self._next = 0.0
        for name in ("MAESTRO_POOL_MEMORY", "MAESTRO_LINGER_S"):
            if name in environment:
                os.environ[name] = environment[name]  # the manager inherits them from this process
        self.session = maestro.Session(pool=flow.pool_name, component="maestro-run", schema=flow.schema(folder))

    def poll(self, now: float) -> None:
        """Ask the manager, at most every POLL_S; `now` = infinity asks in any case."""
        if self.lost or now < self._next:
            return
        self._next = time.monotonic() + POLL_S
        import maestro

        try:
            self.stats = self.session.stats(timeout=ANSWER_S)
        except maestro.MaestroError as error:
            self.lost = str(error)

    def component(self, name: str) -> dict:
        return next((one for one in self.stats.get("components", []) if one.get("component") == name), {})

    def joined(self, name: str) -> int:
        """How many ranks of a component have joined so far, also when they have left since."""
        return int(self.component(name).get("ranks", 0))

    def strangers(self, known) -> list[str]:
        """Components that joined under names which the workflow file does not have."""
        names = (one.get("component", "") for one in self.stats.get("components", []))
        return [name for name in names if name not in known and not name.startswith("maestro-")]

    def close(self) -> None:
        import maestro

        try:
            self.session.close()
        except maestro.MaestroError as error:
            self.lost = self.lost or str(error)
