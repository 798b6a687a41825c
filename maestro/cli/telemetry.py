"""From the manager's counters to what a screen shows: two samples give rates.

Pure functions over the JSON of `Session.stats()`; nothing is asked or drawn here. The manager counts by session and forgets a
session when it ends, so components are put together here, and one that was in the first sample only is shown as gone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

COUNTERS = ("offers", "offered_bytes", "copied", "refused", "demands", "events", "event_bytes")


@dataclass
class Row:
    """One component: its sessions that are there, and what they did between the samples."""

    component: str
    state: str  # running, waiting (for room, or for a subscription that holds), gone
    ranks: list[int]
    pids: list[int]
    totals: dict[str, int]
    rates: dict[str, float]  # per second, of the same counters
    leases: int
    oldest_lease_s: float | None
    memory_used: int
    lag: int | None  # events its slowest subscription is behind; None: it has none
    gaps: int
    hold: bool
    groups: dict[str, int]  # consumer groups it is a member of, and how many objects they are behind


@dataclass
class Screen:
    pool: str
    node: str
    pid: int
    uptime_s: float
    memory: dict
    objects: dict
    leases: dict
    events: dict
    interval_s: float
    components: list[Row]

    def as_dict(self) -> dict:
        return asdict(self)


def screen(before: dict, after: dict, interval_s: float, own_pid: int | None = None) -> Screen:
    """What happened between two samples `interval_s` apart; `own_pid` leaves out the process that asks."""
    earlier, now = by_component(before, own_pid), by_component(after, own_pid)
    lags = {group["name"]: group["lag"] for group in after.get("groups", [])}
    rows = [_row(name, sessions, earlier.get(name, []), interval_s, lags) for name, sessions in now.items()]
    rows += [_row(name, [], sessions, interval_s, lags) for name, sessions in earlier.items() if name not in now]
    parts = {key: after.get(key, {}) for key in ("memory", "objects", "leases", "events")}
    return Screen(after["pool"], after["node"], after["pid"], after["uptime_s"], interval_s=interval_s, components=rows, **parts)


def by_component(stats: dict, own_pid: int | None = None) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for session in stats.get("sessions", []):
        if session["pid"] != own_pid:
            found.setdefault(session["component"], []).append(session)
    return found


def totals(sessions: list[dict]) -> dict[str, int]:
    return {name: sum(session.get(name, 0) for session in sessions) for name in COUNTERS}


def _row(name: str, now: list[dict], before: list[dict], interval_s: float, lags: dict[str, int]) -> Row:
    stayed = {session["session"] for session in now}
    done, earlier = totals(now), totals([session for session in before if session["session"] in stayed])
    subscriptions = [one for session in now for one in session.get("subscriptions", [])]
    return Row(
        component=name,
        state=_state(now),
        ranks=sorted(session.get("rank", 0) for session in now),
        pids=sorted(session["pid"] for session in now),
        totals=done,
        rates={counter: (done[counter] - earlier[counter]) / interval_s for counter in COUNTERS},
        leases=sum(session.get("leases", 0) for session in now),
        oldest_lease_s=max((session["oldest_lease_s"] for session in now if session.get("leases")), default=None),
        memory_used=sum(session.get("memory_used", 0) for session in now),
        lag=max((one.get("lag", 0) for one in subscriptions), default=None),
        gaps=sum(one.get("gaps", 0) for one in subscriptions),
        hold=any(one.get("hold") for one in subscriptions),
        groups={one["group"]: lags.get(one["group"], 0) for one in subscriptions if "group" in one},
    )


def _state(sessions: list[dict]) -> str:
    if not sessions:
        return "gone"
    return "waiting" if any(session.get("state") == "waiting" for session in sessions) else "running"
