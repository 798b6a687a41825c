"""From the manager's counters to what a screen shows: two samples give rates.

Pure functions over the JSON of `Session.stats()`; nothing is asked or drawn here. Counters of components only grow, so a
smaller second value means a new component of that name, and the rate is counted from zero.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

COUNTERS = ("offers", "offered_bytes", "demands", "events", "copied")


@dataclass
class Row:
    """One component."""

    component: str
    state: str
    ranks: int
    pids: list[int]
    offers: int
    events: int
    demands: int
    copied: int
    offered_bytes: int
    offers_per_s: float
    gb_per_s: float
    events_per_s: float
    demands_per_s: float
    leases: int
    oldest_lease_s: float | None
    memory_used: int
    lag: int | None  # events its slowest subscription is behind; None: it has none
    gaps: int
    hold: bool
    reason: str | None


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
    earlier = {one["component"]: one for one in before.get("components", [])}
    rows = [_row(one, earlier.get(one["component"], {}), interval_s) for one in after.get("components", []) if not _is_only(one, own_pid)]
    return Screen(
        pool=after.get("pool", ""),
        node=after.get("node", ""),
        pid=after.get("pid", 0),
        uptime_s=after.get("uptime_s", 0.0),
        memory=after.get("memory", {}),
        objects=after.get("objects", {}),
        leases=after.get("leases", {}),
        events=after.get("events", {}),
        interval_s=interval_s,
        components=rows,
    )


def _is_only(component: dict, own_pid: int | None) -> bool:
    return own_pid is not None and {session.get("pid") for session in component.get("sessions", [])} == {own_pid}


def _row(now: dict, before: dict, interval_s: float) -> Row:
    sessions = now.get("sessions", [])
    subscriptions = [one for session in sessions for one in session.get("subscriptions", [])]
    counts = {name: _total(now, name) for name in COUNTERS}
    rates = {name: _rate(counts[name], _total(before, name), interval_s) for name in COUNTERS}
    return Row(
        component=now["component"],
        state=now.get("state", ""),
        ranks=now.get("ranks", len(sessions)),
        pids=[session["pid"] for session in sessions if "pid" in session],
        offers=counts["offers"],
        events=counts["events"],
        demands=counts["demands"],
        copied=counts["copied"],
        offered_bytes=counts["offered_bytes"],
        offers_per_s=rates["offers"],
        gb_per_s=rates["offered_bytes"] / 1e9,
        events_per_s=rates["events"],
        demands_per_s=rates["demands"],
        leases=_total(now, "leases"),
        oldest_lease_s=max((session.get("oldest_lease_s") or 0.0 for session in sessions if session.get("leases")), default=None),
        memory_used=_total(now, "memory_used"),
        lag=max((one.get("lag", 0) for one in subscriptions), default=None),
        gaps=sum(one.get("gaps", 0) for one in subscriptions),
        hold=any(one.get("hold") for one in subscriptions),
        reason=now.get("reason"),
    )


def _total(component: dict, counter: str) -> int:
    """A component's counter: its own total, which outlives its sessions, else the sum over the sessions that are there."""
    if counter in component:
        return component[counter]
    return sum(session.get(counter, 0) for session in component.get("sessions", []))


def _rate(now: int, before: int, interval_s: float) -> float:
    grown = now - before if now >= before else now
    return grown / interval_s if interval_s > 0 else 0.0
